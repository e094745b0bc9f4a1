/* SPDX-License-Identifier: MIT */
/* deq info: what this build is and computes with; or what a file holds. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "commands.h"
#include "context.h"
#include "describe.h"

#include <ctype.h>
#include <deq/deq.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* The build ---------------------------------------------------------------------------------- */

/* OpenMP tells the date of its specification; people know its number. */
static const char *openmp_number(int date)
{
    static const struct {
        int date;
        const char *number;
    } known[] = {
        { 202411, "6.0" }, { 202111, "5.2" }, { 202011, "5.1" },
        { 201811, "5.0" }, { 201511, "4.5" }, { 201307, "4.0" },
    };
    for (int i = 0; i < LENGTH(known); i++)
        if (date >= known[i].date) return known[i].number;
    return "3.1 or older";
}

static int print_build_text(const deq_info *info, int threads, const char *isa)
{
    printf("libdeq           %s, built with %s\n", info->version, info->compiler);
    printf("OpenMP           %s, %d threads\n", openmp_number(info->openmp_version), threads);
    printf("instruction set  %s in use, %s available\n", isa, deq_isa_name(info->isa));
    printf("%-16s %s, uses %s\n", info->kernel_library, info->kernel_library_version,
           info->kernel_library_isa);
    return CLI_OK;
}

static int print_build_json(const deq_info *info, int threads, const char *isa)
{
    json_t *build = json_object();
    json_put(build, "version", json_string(info->version));
    json_put(build, "compiler", json_string(info->compiler));
    json_put(build, "openmp",
             json_pack("{si, si}", "version", info->openmp_version, "threads", threads));
    json_put(build, "isa",
             json_pack("{ss, ss}", "used", isa, "available", deq_isa_name(info->isa)));
    json_put(build, "kernel_libraries",
             json_pack("[{ss, ss, ss}]", "name", info->kernel_library, "version",
                       info->kernel_library_version, "isa", info->kernel_library_isa));
    return print_json(build);
}

static int print_build(const arguments *a, deq_context *ctx)
{
    const deq_info info = deq_build_info();
    const char *isa = deq_isa_name(deq_context_isa(ctx));
    return (argument_flag(a, "json") ? print_build_json
                                     : print_build_text)(&info, deq_context_threads(ctx), isa);
}

/* Files -------------------------------------------------------------------------------------- */

/* Whoever knows first describes; each has a word in `kinds`. */
static const describer *const describers[] = {
    &describe_run,        &describe_config,   &describe_image,    &describe_idx,
    &describe_cifar10,    &describe_cifar100, &describe_svmlight, &describe_csv,
    &describe_checkpoint, &describe_archive,
};
static const char *const kinds[] = { "run",        "config",   "image",    "idx",
                                     "cifar10",    "cifar100", "svmlight", "csv",
                                     "checkpoint", "weights",  NULL };

bool name_ends(const file_head *head, const char *end)
{
    const size_t n = strlen(head->name), m = strlen(end);
    if (n < m) return false;
    for (size_t i = 0; i < m; i++)
        if (tolower((unsigned char)head->name[n - m + i]) != end[i]) return false;
    return true;
}

bool begins_with(const file_head *head, const char *bytes, size_t n)
{
    return head->n >= n && memcmp(head->first, bytes, n) == 0;
}

static int look(file_head *head, const arguments *a, const char *path)
{
    struct stat about;
    const char *slash = strrchr(path, '/');
    *head = (file_head){ .path = path, .name = slash ? slash + 1 : path };
    if (stat(path, &about) != 0) return fail_about(CLI_FAILED, a, path, "%s", strerror(errno));
    head->is_folder = S_ISDIR(about.st_mode);
    head->bytes = about.st_size > 0 ? (uint64_t)about.st_size : 0;
    if (head->is_folder) return CLI_OK;
    FILE *file = fopen(path, "rb");
    if (!file) return fail_about(CLI_FAILED, a, path, "%s", strerror(errno));
    head->n = fread(head->first, 1, sizeof head->first, file);
    (void)fclose(file);
    return CLI_OK;
}

static const describer *who_knows(const arguments *a, const file_head *head)
{
    const char *kind = argument_text(a, "as");
    for (int i = 0; i < LENGTH(describers); i++)
        if (kind ? strcmp(describers[i]->kind, kind) == 0 : describers[i]->knows(head))
            return describers[i];
    return NULL;
}

static bool is_model(const describer *d)
{
    return d == &describe_run || d == &describe_checkpoint || d == &describe_config;
}

static bool has_weights(const describer *d)
{
    return d == &describe_archive || is_model(d);
}

/* What is said of models alone is a mistake elsewhere. */
static int check_options(const arguments *a, const describer *d)
{
    static const char *const names[] = { "set", "last", "program", "batch" };
    for (int i = 0; i < LENGTH(names); i++)
        if (!is_model(d) && argument_given(a, names[i]))
            return fail(CLI_USAGE, a->path, "--%s is for models, and this is: %s", names[i],
                        d->kind);
    return CLI_OK;
}

static int describe_path(const arguments *a, deq_context *ctx, const char *path)
{
    file_head head;
    int code = look(&head, a, path);
    if (code != CLI_OK) return code;
    const describer *d = who_knows(a, &head);
    if (!d && head.is_folder)
        return fail_about(CLI_FAILED, a, path, "a folder, and none that deq knows");
    if (!d)
        return fail_about(CLI_DATA, a, path,
                          "no kind of file that deq knows; --as says which it is");
    if (!has_weights(d) && argument_flag(a, "statistics"))
        return fail(CLI_USAGE, a->path, "--statistics is for weights, and this is: %s", d->kind);
    code = check_options(a, d);
    if (code != CLI_OK) return code;
    json_t *result = json_object();
    json_put(result, "file", json_text(path));
    if (!head.is_folder) json_put(result, "bytes", json_integer((json_int_t)head.bytes));
    code = d->describe(result, a, ctx, &head);
    if (code == CLI_OK) return print_result(a, result);
    json_decref(result);
    return code;
}

static int run(const arguments *a)
{
    deq_context *ctx = NULL;
    const char *path = argument_text(a, "FILE");
    static const char *const names[] = { "as", "statistics", "set", "last", "program", "batch" };
    for (int i = 0; i < LENGTH(names) && !path; i++)
        if (argument_given(a, names[i]))
            return fail(CLI_USAGE, a->path, "--%s is for files: FILE is missing", names[i]);
    int code = open_context(&ctx, a);
    if (code != CLI_OK) return code;
    code = path ? describe_path(a, ctx, path) : print_build(a, ctx);
    deq_context_free(ctx);
    return code;
}

static const option operands[] = {
    { .name = "FILE",
      .kind = VALUE_FILE,
      .help = "the folder of a run, a configuration, a file of weights or data; none: the build" },
};

static const option options[] = {
    { .name = "as",
      .kind = VALUE_CHOICE,
      .argument = "KIND",
      .choices = kinds,
      .help = "what the file is, where its first bytes and its name do not tell" },
    { .name = "statistics",
      .help = "of weights: least, greatest, mean, root of the mean square, and how many are not "
              "finite" },
    { .name = "set",
      .letter = 's',
      .kind = VALUE_TEXT,
      .argument = "KEY=VALUE",
      .repeatable = true,
      .help = "of models: change a setting of the configuration" },
    { .name = "last", .help = "of a run, the last weights; default: those of the best evaluation" },
    { .name = "program",
      .help = "of models: every kernel of the compiled programs, and where values lie; without it "
              "large models (20 million parameters) are not compiled" },
    { .name = "batch",
      .letter = 'b',
      .kind = VALUE_INTEGER,
      .argument = "N",
      .least = 1,
      .most = 1000000,
      .initial = "1",
      .help = "of models: compile for so many examples" },
};

static const example examples[] = {
    { "deq info", "what computes on this machine" },
    { "deq info model.pth", "the tensors of a checkpoint" },
    { "deq info runs/sums", "a trained model: layers, solver, cost, how far it came" },
    { "deq info configs/cifar10-tiny.yaml --set model.multiscale.preset=cifar-large",
      "what a configuration would train" },
    { "deq info --json --statistics weights.safetensors",
      "the same for programs, with statistics" },
    { "deq info train-images-idx3-ubyte.gz", "how many images, and how large" },
};

const command command_info = {
    .name = "info",
    .summary = "show what this build is and computes with, or what a file holds",
    .description =
        "Without a file, prints the version and compiler of the library, the number of threads, the "
        "instruction set of the library's own kernels, and each kernel library with the one that it "
        "uses. Kernel libraries choose theirs when they are loaded, and some choose badly on "
        "processors that they do not know: compare the two.\n"
        "\n"
        "With a file, prints what it holds: names, element types, shapes, counts. Weights are "
        "safetensors, PyTorch's .pt and .pth, NumPy's .npy and .npz; `dtype` is what libdeq computes "
        "with, `stored` what the file has. Data are PNG, JPEG, PPM, PGM, PFM, .flo, IDX, CIFAR, "
        "svmlight and CSV. The file is read to its end, and every mistake in it is found; nothing in "
        "it is executed.\n"
        "\n"
        "Of a run, a checkpoint of a run, or a configuration, prints the model: every parameter, the "
        "states of the equilibrium, the settings that count, how far training came; and of its "
        "compiled programs, for a batch of 1, stages, memory and operations: `map` is one evaluation "
        "of f, `program` all from input to logits, where the solve counts as often as it may "
        "evaluate f.\n",
    .operands = operands,
    .n_operands = LENGTH(operands),
    .options = options,
    .n_options = LENGTH(options),
    .examples = examples,
    .n_examples = LENGTH(examples),
    .common = COMMON_JSON | COMMON_THREADS,
    .run = run,
};
