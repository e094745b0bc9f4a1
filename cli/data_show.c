/* SPDX-License-Identifier: MIT */
/* deq data show: look at an example. */
#include "context.h"
#include "data.h"
#include "picture.h"
#include "terminal.h"
#include "text.h"

#include <math.h>
#include <string.h>

/* ---- in characters ---- */

static void print_class(const deq_dataset *d, int32_t label)
{
    char name[256], number[32];
    text_buffer safe = { 0 };
    deq_dataset_class_name(d, label, name, sizeof name);
    put_safe(&safe, name);
    snprintf(number, sizeof number, "%d", (int)label);
    if (label == DEQ_TARGET_IGNORE)
        printf("no class\n");
    else if (strcmp(text_string(&safe), number) == 0)
        printf("class %s\n", number);
    else
        printf("class %s, %s\n", number, text_string(&safe));
    text_free(&safe);
}

/* How often each class stands in a target of many positions. */
static void print_map(const one_example *e)
{
    int64_t ignored = 0, largest = 0;
    for (int64_t i = 0; i < e->n_target; i++) {
        ignored += e->target[i] == DEQ_TARGET_IGNORE;
        if (e->target[i] > largest) largest = e->target[i];
    }
    printf("%lld positions of classes 0 to %lld, %lld of them ignored\n", (long long)e->n_target,
           (long long)largest, (long long)ignored);
}

static void print_numbers(const one_example *e)
{
    double least = INFINITY, largest = -INFINITY, sum = 0;
    const int64_t few = e->n_input < 16 ? e->n_input : 16;
    for (int64_t i = 0; i < e->n_input; i++) {
        least = fmin(least, (double)e->input[i]);
        largest = fmax(largest, (double)e->input[i]);
        sum += (double)e->input[i];
    }
    printf("%lld numbers of %g to %g, mean %g:", (long long)e->n_input, least, largest,
           sum / (double)e->n_input);
    for (int64_t i = 0; i < few; i++) printf(" %g", (double)e->input[i]);
    printf("%s\n", few < e->n_input ? " ..." : "");
}

static int show_text(const deq_dataset *d, const one_example *e)
{
    const deq_shape *x = &e->form.input;
    const example_kind kind = kind_of(e);
    switch (kind) {
    case EXAMPLE_BITS: write_bits(stdout, e); return CLI_OK;
    case EXAMPLE_MAZE: write_maze_text(stdout, e, -1); return CLI_OK;
    case EXAMPLE_IMAGE:
        print_planes(stdout, e->input, x->dim[0], x->dim[1], x->dim[2], terminal_width(stdout));
        break;
    case EXAMPLE_NUMBERS: print_numbers(e); break;
    }
    if (e->form.target.rank == 0)
        print_class(d, e->target[0]);
    else
        print_map(e);
    return CLI_OK;
}

/* ---- as JSON ---- */

static int show_json(const arguments *a, const deq_dataset *d, const one_example *e)
{
    json_t *result = json_object(), *input = json_array(), *target = json_array();
    json_put(result, "source", json_text(argument_text(a, "SOURCE")));
    json_put(result, "index", json_integer(argument_integer(a, "INDEX")));
    json_put(result, "input_shape", json_shape(&e->form.input));
    json_put(result, "target_shape", json_shape(&e->form.target));
    for (int64_t i = 0; i < e->n_input; i++) json_push(input, json_number((double)e->input[i]));
    for (int64_t i = 0; i < e->n_target; i++) json_push(target, json_integer(e->target[i]));
    json_put(result, "input", input);
    json_put(result, "target", target);
    if (e->form.target.rank == 0) {
        char name[256];
        deq_dataset_class_name(d, e->target[0], name, sizeof name);
        json_put(result, "class", json_text(name));
    }
    return print_json(result);
}

/* ---- as PNG ---- */

static int draw(const arguments *a, deq_context *ctx, const one_example *e)
{
    const deq_shape *x = &e->form.input;
    const int64_t scale = argument_integer(a, "scale");
    const char *path = argument_text(a, "out");
    deq_image *image = NULL;
    int code;
    switch (kind_of(e)) {
    case EXAMPLE_MAZE:
        return write_maze_picture(a, ctx, path, e->input, NULL, e->target, x->dim[1], scale);
    case EXAMPLE_IMAGE:
        code = draw_planes(&image, a, ctx, e->input, x->dim[0], x->dim[1], x->dim[2], scale);
        if (code == CLI_OK) code = fail_status(a, ctx, deq_image_write(image, path));
        deq_image_free(image);
        return code;
    default:
        return fail(CLI_FAILED, a->path,
                    "--out draws images of 1 or 3 channels and mazes; this is neither");
    }
}

static int show(const arguments *a, deq_context *ctx, const deq_dataset *d)
{
    const int64_t index = argument_integer(a, "INDEX"), count = deq_dataset_count(d);
    one_example e;
    if (index >= count)
        return fail(CLI_USAGE, a->path, "example %lld: there are %lld, from 0 on", (long long)index,
                    (long long)count);
    example_room(&e, d);
    int code = read_example(&e, a, d, index);
    if (code == CLI_OK && argument_given(a, "out")) code = draw(a, ctx, &e);
    if (code == CLI_OK && argument_flag(a, "json"))
        code = show_json(a, d, &e);
    else if (code == CLI_OK && !argument_given(a, "out"))
        code = show_text(d, &e);
    example_free(&e);
    return code;
}

static int run(const arguments *a)
{
    deq_context *ctx = NULL;
    deq_dataset *d = NULL;
    int code = open_context(&ctx, a);
    if (code != CLI_OK) return code;
    code = argument_given(a, "scale") && !argument_given(a, "out")
               ? fail(CLI_USAGE, a->path, "--scale is for --out")
               : open_source(&d, a, ctx, INT64_C(1) << 48);
    if (code == CLI_OK) code = show(a, ctx, d);
    deq_dataset_free(d);
    deq_context_free(ctx);
    return code;
}

static const option operands[] = {
    { .name = "SOURCE", .kind = VALUE_FILE, .required = true, .help = SOURCE_HELP },
    { .name = "INDEX",
      .kind = VALUE_INTEGER,
      .required = true,
      .least = 0,
      .most = (INT64_C(1) << 48) - 1,
      .help = "which example, from 0" },
};

static const option options[] = {
    { .name = "out",
      .letter = 'o',
      .kind = VALUE_FILE,
      .argument = "FILE",
      .help = "draw it into a .png; mazes with their target beside them" },
    { .name = "scale",
      .kind = VALUE_INTEGER,
      .argument = "N",
      .least = 1,
      .most = 1000,
      .help = "of the drawing: the side of a pixel; default: so that it is about 256 high" },
    SOURCE_OPTIONS,
};

static const example examples[] = {
    { "deq data show mazes 3 --size 13", "a generated maze with its shortest path" },
    { "deq data show mazes 3 --size 13 --percolation 0.1 --out maze.png", "one with loops, drawn" },
    { "deq data show --test mnist 0", "a digit, in shades of blocks" },
    { "deq data show --json prefix-sums 0", "input and target as numbers" },
};

const command command_data_show = {
    .name = "show",
    .summary = "show an example of a data set",
    .description =
        "Prints an example in characters: mazes with '#' for walls, '.' for the shortest path, S "
        "and E for its ends; images in shades, or in colours where the terminal has them; prefix "
        "sums as bits.\n",
    .operands = operands,
    .n_operands = LENGTH(operands),
    .options = options,
    .n_options = LENGTH(options),
    .examples = examples,
    .n_examples = LENGTH(examples),
    .common = COMMON_JSON,
    .run = run,
};
