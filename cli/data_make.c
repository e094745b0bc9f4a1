/* SPDX-License-Identifier: MIT */
/* deq data make: generated examples, in files that others read. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "context.h"
#include "data.h"
#include "terminal.h"
#include "text.h"

#include <deq/io/image.h>
#include <deq/io/npy.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef enum format { NPZ, TEXT, PNG } format;
static const char *const formats[] = { "npz", "text", "png", NULL };

/* What is made, for all three forms. */
typedef struct making {
    const arguments *a;
    deq_context *ctx;
    const deq_dataset *d;
    bool mazes;
    const char *out; /* "-": stdout */
    format as;
    progress bar;
} making;

static bool is_stdout(const making *m)
{
    return strcmp(m->out, "-") == 0;
}

/* Reads example i, saying how far it is. */
static int next_example(making *m, one_example *e, int64_t i)
{
    const int code = interrupted() ? CLI_INTERRUPTED : read_example(e, m->a, m->d, i);
    if (!is_stdout(m)) progress_update(&m->bar, i + 1, NULL);
    return code;
}

/* ---- npz: inputs "x", mazes as bools, since they are 0 or 1; targets "y" ---- */

/* [count, ...]. */
static deq_type type_of_all(deq_dtype dtype, int64_t count, const deq_shape *one)
{
    deq_type type = { dtype, { .rank = one->rank + 1, .dim = { count } } };
    for (int i = 0; i < one->rank; i++) type.shape.dim[i + 1] = one->dim[i];
    return type;
}

/* Whether so many elements can be counted; must_alloc() decides whether there is memory. */
static bool fits(int64_t count, int64_t elements)
{
    return count <= PTRDIFF_MAX / (int64_t)sizeof(float) / elements;
}

static int fill_arrays(making *m, one_example *e, void *x, int32_t *y)
{
    const int64_t count = deq_dataset_count(m->d);
    int code = CLI_OK;
    for (int64_t i = 0; i < count && code == CLI_OK; i++) {
        code = next_example(m, e, i);
        if (code != CLI_OK) break;
        for (int64_t k = 0; k < e->n_input; k++) {
            if (m->mazes)
                ((uint8_t *)x)[i * e->n_input + k] = e->input[k] > 0;
            else
                ((float *)x)[i * e->n_input + k] = e->input[k];
        }
        memcpy(y + i * e->n_target, e->target, (size_t)e->n_target * sizeof *y);
    }
    return code;
}

static int save_arrays(const making *m, const one_example *e, const void *x, const int32_t *y)
{
    const int64_t count = deq_dataset_count(m->d);
    const deq_type input = type_of_all(m->mazes ? DEQ_BOOL : DEQ_F32, count, &e->form.input);
    const deq_type target = type_of_all(DEQ_I32, count, &e->form.target);
    deq_archive *archive = NULL;
    deq_status status = deq_archive_new(&archive, m->ctx);
    if (status == DEQ_OK) status = deq_archive_add(archive, "x", input, x);
    if (status == DEQ_OK) status = deq_archive_add(archive, "y", target, y);
    if (status == DEQ_OK) status = deq_npz_write(archive, m->out, true);
    deq_archive_free(archive);
    return fail_status(m->a, m->ctx, status);
}

static int make_npz(making *m, one_example *e)
{
    const int64_t count = deq_dataset_count(m->d);
    if (!fits(count, e->n_input) || !fits(count, e->n_target))
        return fail(CLI_FAILED, m->a->path, "%" PRId64 " examples do not fit into memory", count);
    void *x = must_alloc((size_t)(count * e->n_input) * (m->mazes ? 1 : sizeof(float)));
    int32_t *y = must_alloc((size_t)(count * e->n_target) * sizeof *y);
    int code = fill_arrays(m, e, x, y);
    if (code == CLI_OK) code = save_arrays(m, e, x, y);
    free(x);
    free(y);
    return code;
}

/* ---- text ---- */

static int print_examples(making *m, one_example *e, FILE *to)
{
    const int64_t count = deq_dataset_count(m->d);
    int code = CLI_OK;
    for (int64_t i = 0; i < count && code == CLI_OK && !ferror(to); i++) {
        code = next_example(m, e, i);
        if (code == CLI_OK && m->mazes)
            write_maze_text(to, e, argument_real(m->a, "percolation"));
        else if (code == CLI_OK)
            write_bits(to, e);
    }
    return code;
}

/* Beside, then renamed: whoever reads the file sees the old text or the new. */
static int make_text_file(making *m, one_example *e)
{
    text_buffer part = { 0 };
    put_format(&part, "%s.%ld.part", m->out, (long)getpid());
    FILE *to = fopen(text_string(&part), "w");
    int code = to ? print_examples(m, e, to) : CLI_FAILED;
    errno = to ? 0 : errno;
    const bool bad = !to || ferror(to), unclosed = to && fclose(to) != 0;
    if (bad || unclosed || (code == CLI_OK && rename(text_string(&part), m->out) != 0))
        code = fail_about(CLI_FAILED, m->a, m->out, "cannot be written: %s",
                          strerror(errno ? errno : EIO));
    if (code != CLI_OK && to) (void)unlink(text_string(&part));
    text_free(&part);
    return code;
}

/* ---- png: FOLDER/inputs/000.png and FOLDER/targets/000.png ---- */

static int make_folder(const making *m, const char *name)
{
    text_buffer path = { 0 };
    put_format(&path, "%s%s%s", m->out, *name ? "/" : "", name);
    const bool made = mkdir(text_string(&path), 0777) == 0 || errno == EEXIST;
    const int code = made ? CLI_OK
                          : fail_about(CLI_FAILED, m->a, text_string(&path), "cannot be made: %s",
                                       strerror(errno));
    text_free(&path);
    return code;
}

static int write_image(const making *m, const deq_image *image, const char *folder, int64_t i)
{
    int digits = 1;
    for (int64_t last = deq_dataset_count(m->d) - 1; last > 9; last /= 10) digits++;
    text_buffer path = { 0 };
    put_format(&path, "%s/%s/%0*" PRId64 ".png", m->out, folder, digits, i);
    const int code = fail_status(m->a, m->ctx, deq_image_write(image, text_string(&path)));
    text_free(&path);
    return code;
}

static int make_images(making *m, one_example *e, deq_image *input, deq_image *target)
{
    const int64_t count = deq_dataset_count(m->d);
    int code = CLI_OK;
    for (int64_t i = 0; i < count && code == CLI_OK; i++) {
        code = next_example(m, e, i);
        if (code != CLI_OK) break;
        for (int64_t k = 0; k < e->n_input; k++)
            ((uint8_t *)input->data)[k] = e->input[k] > 0 ? 255 : 0;
        for (int64_t k = 0; k < e->n_target; k++)
            ((uint8_t *)target->data)[k] = e->target[k] == 1 ? 255 : 0;
        code = write_image(m, input, "inputs", i);
        if (code == CLI_OK) code = write_image(m, target, "targets", i);
    }
    return code;
}

static int make_png(making *m, one_example *e)
{
    const int64_t side = e->form.input.dim[1];
    deq_image *input = NULL, *target = NULL;
    int code = make_folder(m, "");
    if (code == CLI_OK) code = make_folder(m, "inputs");
    if (code == CLI_OK) code = make_folder(m, "targets");
    if (code == CLI_OK)
        code = fail_status(m->a, m->ctx,
                           deq_image_new(&input, m->ctx, DEQ_SAMPLE_U8, 3, side, side));
    if (code == CLI_OK)
        code = fail_status(m->a, m->ctx,
                           deq_image_new(&target, m->ctx, DEQ_SAMPLE_U8, 1, side, side));
    if (code == CLI_OK) code = make_images(m, e, input, target);
    deq_image_free(input);
    deq_image_free(target);
    return code;
}

/* ---- the command ---- */

static bool ends_with(const char *s, const char *end)
{
    const size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

static int choose_format(making *m)
{
    const int chosen = argument_choice(m->a, "to");
    struct stat about;
    const bool there = !is_stdout(m) && stat(m->out, &about) == 0;
    if (chosen >= 0)
        m->as = (format)chosen;
    else if (is_stdout(m) || ends_with(m->out, ".txt"))
        m->as = TEXT;
    else if (ends_with(m->out, ".npz"))
        m->as = NPZ;
    else if (ends_with(m->out, "/") || (there && S_ISDIR(about.st_mode)))
        m->as = PNG;
    else
        return fail(CLI_USAGE, m->a->path,
                    "--out ends with none of .npz, .txt, /; --to says what it is");
    if (is_stdout(m) && (m->as != TEXT || argument_flag(m->a, "json")))
        return fail(CLI_USAGE, m->a->path, "without --out, examples are printed as text");
    if (m->as == PNG && !m->mazes)
        return fail(CLI_USAGE, m->a->path, "prefix sums are no images; write .npz or .txt");
    if (there && !argument_flag(m->a, "force"))
        return fail_about(CLI_FAILED, m->a, m->out, "exists; --force writes over it");
    return CLI_OK;
}

static int write_all(making *m)
{
    one_example e;
    int code = CLI_FAILED;
    example_room(&e, m->d);
    interrupt_watch();
    progress_start(&m->bar, "examples", deq_dataset_count(m->d));
    switch (m->as) {
    case NPZ: code = make_npz(m, &e); break;
    case PNG: code = make_png(m, &e); break;
    case TEXT: code = is_stdout(m) ? print_examples(m, &e, stdout) : make_text_file(m, &e); break;
    }
    progress_end(&m->bar);
    example_free(&e);
    return code;
}

static int report(const making *m)
{
    const deq_example_form form = deq_dataset_form(m->d);
    json_t *result = json_object();
    if (is_stdout(m) || (terminal_quiet() && !argument_flag(m->a, "json"))) {
        json_decref(result);
        return CLI_OK;
    }
    json_put(result, m->as == PNG ? "folder" : "file", json_text(m->out));
    json_put(result, "format", json_string(formats[m->as]));
    json_put(result, "count", json_integer(deq_dataset_count(m->d)));
    json_put(result, "input", json_shape(&form.input));
    json_put(result, "target", json_shape(&form.target));
    return print_result(m->a, result);
}

static int make(const arguments *a, bool mazes)
{
    making m = { .a = a, .mazes = mazes, .out = argument_text(a, "out") };
    deq_dataset *d = NULL;
    const int64_t count = argument_integer(a, "count");
    int code = choose_format(&m);
    if (code == CLI_OK) code = open_context(&m.ctx, a);
    if (code != CLI_OK) return code;
    code = mazes ? open_mazes(&d, a, m.ctx, count) : open_prefix_sums(&d, a, m.ctx, count);
    m.d = d;
    if (code == CLI_OK && deq_dataset_count(d) < count)
        code = fail(CLI_USAGE, a->path, "there are only %" PRId64 " strings of so few bits",
                    deq_dataset_count(d));
    if (code == CLI_OK) code = write_all(&m);
    if (code == CLI_OK) code = report(&m);
    deq_dataset_free(d);
    deq_context_free(m.ctx);
    return code;
}

static int run_prefix_sums(const arguments *a)
{
    return make(a, false);
}

static int run_mazes(const arguments *a)
{
    return make(a, true);
}

/* clang-format off */
#define MAKE_OPTIONS(endings)                                                                      \
    { .name = "count", .letter = 'n', .kind = VALUE_INTEGER, .argument = "N", .least = 1,          \
      .most = INT64_C(1) << 48, .initial = "10000", .help = "how many" },                          \
    SOURCE_SEED,                                                                                   \
    { .name = "out", .letter = 'o', .kind = VALUE_FILE, .argument = "PATH", .initial = "-",        \
      .help = endings },                                                                           \
    { .name = "to", .kind = VALUE_CHOICE, .argument = "FORMAT", .choices = formats,                  \
      .help = "what to write, where the end of PATH does not tell" },                              \
    { .name = "force", .letter = 'f', .help = "write over what there is" }
/* clang-format on */

static const option options_prefix_sums[] = {
    SOURCE_SIZE("bits; default 32"),
    MAKE_OPTIONS("FILE.npz or FILE.txt; - is text on stdout"),
};

static const option options_mazes[] = {
    SOURCE_SIZE("an odd number s from 3: (s + 1) / 2 cells and 2 s + 6 pixels a side; default 9"),
    SOURCE_PERCOLATION,
    SOURCE_START,
    MAKE_OPTIONS("FILE.npz, FILE.txt, or FOLDER/ for images; - is text on stdout"),
};

static const example examples_prefix_sums[] = {
    { "deq data make prefix-sums --size 16 --count 3", "three strings, on stdout" },
    { "deq data make prefix-sums --size 512 --count 2000 --seed 1 --out hard.npz",
      "a test set that is harder than the usual training set" },
};

static const example examples_mazes[] = {
    { "deq data make mazes --count 1", "one maze, on stdout" },
    { "deq data make mazes --size 25 --count 1000 --seed 7 --out hard.npz", "a harder test set" },
    { "deq data make mazes --percolation 0.1 --start any --count 20 --out loops/",
      "mazes with loops, as images" },
};

static const command make_prefix_sums = {
    .name = "prefix-sums",
    .summary = "make prefix sums: running parities of strings of bits",
    .description =
        "Strings x of fair bits and their sums y_i = x_0 xor ... xor x_i (Schwarzschild et al. "
        "2021). Below 24 bits no string comes twice. The inputs are x - 1/2.\n"
        "\n"
        "A .npz holds the inputs as x, f32 [N, 1, bits], and the targets as y, i32 [N, bits]. A "
        ".txt has a line for each: the number of bits, x and y, separated by tabs.\n"
        "\n"
        "Example i depends on size, seed and i only.\n",
    .options = options_prefix_sums,
    .n_options = LENGTH(options_prefix_sums),
    .examples = examples_prefix_sums,
    .n_examples = LENGTH(examples_prefix_sums),
    .common = COMMON_JSON | COMMON_QUIET,
    .run = run_prefix_sums,
};

static const command make_mazes = {
    .name = "mazes",
    .summary = "make mazes and their shortest paths",
    .description =
        "Mazes from a randomised depth-first search, so that one path joins any two cells "
        "(Schwarzschild et al. 2021). With --percolation each wall that the search left opens with this chance, and there are loops (Knutson et al. 2024).\n"
        "\n"
        "A .npz holds the inputs as x, bool [N, 3, S, S] with S = 2 s + 6 (walls 0 0 0, open 1 1 1, "
        "start 0 1 0, end 1 0 0), and the targets as y, i32 [N, S, S]: 1 on the path, 0 beside it, "
        "-100 on walls. A folder gets inputs/N.png and targets/N.png. A .txt has a header for each "
        "maze, then its tiles: '#' wall, ' ' open, '.' path, S and E.\n"
        "\n"
        "Example i depends on the settings, the seed and i only.\n",
    .options = options_mazes,
    .n_options = LENGTH(options_mazes),
    .examples = examples_mazes,
    .n_examples = LENGTH(examples_mazes),
    .common = COMMON_JSON | COMMON_QUIET,
    .run = run_mazes,
};

static const command *const commands[] = { &make_prefix_sums, &make_mazes, NULL };

static const example examples[] = {
    { "deq data make prefix-sums --out sums.npz", "10,000 strings of 32 bits" },
    { "deq data make mazes --size 13 --out mazes.npz", "10,000 mazes" },
};

const command command_data_make = {
    .name = "make",
    .summary = "make examples of a task that is generated",
    .description =
        "Training needs no files of these tasks: it makes examples as it reads them. Files are for "
        "other programs, and for looking at them.\n",
    .commands = commands,
    .examples = examples,
    .n_examples = LENGTH(examples),
};
