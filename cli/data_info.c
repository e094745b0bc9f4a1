/* SPDX-License-Identifier: MIT */
/* deq data info: what a data set holds. */
#include "context.h"
#include "data.h"
#include "terminal.h"
#include "text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Classes that are listed, and channels whose numbers are. */
enum { MOST_LISTED = 1000, MOST_CHANNELS = 16 };

/* ---- statistics ---- */

/* Of the numbers of a channel. */
typedef struct moments {
    double n, mean, squares; /* sum of squared deviations from the mean (Welford 1962) */
    double least, largest;
} moments;

typedef struct statistics {
    int64_t channels;
    moments *channel;
    int64_t *labels; /* positions by class; the last: ignored */
} statistics;

/* Chan, Golub & LeVeque 1979: an example at a time, so that no digits are lost over millions. */
static void add_numbers(moments *m, const float *x, int64_t n)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += (double)x[i];
        m->least = fmin(m->least, (double)x[i]);
        m->largest = fmax(m->largest, (double)x[i]);
    }
    const double mean = sum / (double)n, difference = mean - m->mean, all = m->n + (double)n;
    for (int64_t i = 0; i < n; i++) squares += ((double)x[i] - mean) * ((double)x[i] - mean);
    m->squares += squares + difference * difference * m->n * (double)n / all;
    m->mean += difference * (double)n / all;
    m->n = all;
}

static void add_example(statistics *s, const one_example *e)
{
    const int64_t each = e->n_input / s->channels;
    for (int64_t c = 0; c < s->channels; c++)
        add_numbers(&s->channel[c], e->input + c * each, each);
    for (int64_t i = 0; i < e->n_target; i++)
        s->labels[e->target[i] >= 0 ? e->target[i] : e->form.classes]++;
}

static int gather(statistics *s, const arguments *a, const deq_dataset *d)
{
    const int64_t count = deq_dataset_count(d);
    one_example e;
    progress p;
    int code = CLI_OK;
    example_room(&e, d);
    progress_start(&p, "examples", count);
    for (int64_t i = 0; i < count && code == CLI_OK; i++) {
        code = read_example(&e, a, d, i);
        if (code == CLI_OK) add_example(s, &e);
        progress_update(&p, i + 1, NULL);
    }
    progress_end(&p);
    example_free(&e);
    return code;
}

static statistics make_statistics(const deq_dataset *d)
{
    const deq_example_form form = deq_dataset_form(d);
    const bool apart = form.input.rank > 1 && form.input.dim[0] <= MOST_CHANNELS;
    statistics s = { .channels = apart ? form.input.dim[0] : 1 };
    s.channel = must_alloc((size_t)s.channels * sizeof *s.channel);
    for (int64_t c = 0; c < s.channels; c++)
        s.channel[c] = (moments){ .least = INFINITY, .largest = -INFINITY };
    s.labels = must_alloc(((size_t)form.classes + 1) * sizeof *s.labels);
    memset(s.labels, 0, ((size_t)form.classes + 1) * sizeof *s.labels);
    return s;
}

static void free_statistics(statistics *s)
{
    free(s->channel);
    free(s->labels);
}

static void put_moments(json_t *into, const statistics *s)
{
    json_t *rows = json_array();
    for (int64_t c = 0; c < s->channels; c++) {
        const moments *m = &s->channel[c];
        json_t *row = json_object();
        json_put(row, "channel", json_integer(c));
        json_put(row, "mean", json_number(m->mean));
        json_put(row, "deviation", json_number(sqrt(m->squares / m->n)));
        json_put(row, "least", json_number(m->least));
        json_put(row, "largest", json_number(m->largest));
        json_push(rows, row);
    }
    json_put(into, "channels", rows);
}

/* ---- classes ---- */

static void put_classes(json_t *into, const deq_dataset *d, const statistics *s)
{
    const int64_t classes = deq_dataset_form(d).classes;
    json_t *rows = json_array();
    bool named = false;
    for (int64_t k = 0; k < classes && classes <= MOST_LISTED; k++) {
        char name[256], number[32];
        json_t *row = json_object();
        deq_dataset_class_name(d, k, name, sizeof name);
        snprintf(number, sizeof number, "%lld", (long long)k);
        const bool has_name = strcmp(name, number) != 0;
        named = named || has_name;
        json_put(row, "class", json_integer(k));
        if (has_name) json_put(row, "name", json_text(name));
        if (s) json_put(row, "count", json_integer(s->labels[k]));
        json_push(rows, row);
    }
    if (s && s->labels[classes] > 0) json_put(into, "ignored", json_integer(s->labels[classes]));
    if ((named || s) && json_array_size(rows) > 0)
        json_put(into, "by_class", rows);
    else
        json_decref(rows);
}

static int describe(const arguments *a, const deq_dataset *d)
{
    const deq_example_form form = deq_dataset_form(d);
    statistics s = { 0 };
    const bool wanted = argument_flag(a, "statistics");
    if (wanted) {
        s = make_statistics(d);
        const int code = gather(&s, a, d);
        if (code != CLI_OK) {
            free_statistics(&s);
            return code;
        }
    }
    json_t *result = json_object();
    json_put(result, "source", json_text(argument_text(a, "SOURCE")));
    json_put(result, "count", json_integer(deq_dataset_count(d)));
    json_put(result, "input", json_shape(&form.input));
    json_put(result, "target", json_shape(&form.target));
    json_put(result, "classes", json_integer(form.classes));
    put_classes(result, d, wanted ? &s : NULL);
    if (wanted) put_moments(result, &s);
    free_statistics(&s);
    return print_result(a, result);
}

static int run(const arguments *a)
{
    deq_context *ctx = NULL;
    deq_dataset *d = NULL;
    int code;
    if (argument_given(a, "count") && !source_is_generated(a))
        return fail(CLI_USAGE, a->path, "--count is for prefix-sums and mazes");
    code = open_context(&ctx, a);
    if (code != CLI_OK) return code;
    code = open_source(&d, a, ctx, argument_integer(a, "count"));
    if (code == CLI_OK) code = describe(a, d);
    deq_dataset_free(d);
    deq_context_free(ctx);
    return code;
}

static const option operands[] = {
    { .name = "SOURCE", .kind = VALUE_FILE, .required = true, .help = SOURCE_HELP },
};

static const option options[] = {
    { .name = "statistics",
      .help = "read all examples: count classes, and find the mean and deviation of each channel, "
              "as data.mean and data.deviation of a configuration want them" },
    { .name = "count",
      .kind = VALUE_INTEGER,
      .argument = "N",
      .least = 1,
      .most = INT64_MAX,
      .initial = "10000",
      .help = "generated: examples" },
    SOURCE_OPTIONS,
};

static const example examples[] = {
    { "deq data info --statistics mnist", "the folder with MNIST's four files" },
    { "deq data info --test cifar-10-batches-bin", "the test images of CIFAR-10" },
    { "deq data info --json photos --height 224 --width 224", "a folder of images, by class" },
};

const command command_data_info = {
    .name = "info",
    .summary = "describe a data set: examples, classes, statistics",
    .description =
        "Prints how many examples SOURCE has, the extents of inputs and targets, and its classes. "
        "The extents of a target are [] where it is a class of the whole input.\n",
    .operands = operands,
    .n_operands = LENGTH(operands),
    .options = options,
    .n_options = LENGTH(options),
    .examples = examples,
    .n_examples = LENGTH(examples),
    .common = COMMON_JSON | COMMON_QUIET,
    .run = run,
};
