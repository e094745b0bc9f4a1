/* SPDX-License-Identifier: MIT */
/*
 * deq bench: how long the configured model takes on this machine.
 *
 * Each piece of work is run once to warm up, then until its median is known well enough,
 *
 *     1.57 IQR / sqrt(runs) <= PRECISE median                                               (1)
 *
 * half the width of the notch of McGill, Tukey & Larsen (1978), about a 95 % interval; or until its
 * time is over.  IQR is the range of the middle half of the runs.
 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "commands.h"
#include "context.h"
#include "model_json.h"
#include "settings.h"
#include "terminal.h"

#include <deq/train.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define PRECISE 0.02
#define SHORTEST 2e-3 /* seconds of a run: what is quicker is done several times in one */
enum { FEWEST = 5, MOST = 10000 };

static const char *const works[] = { "map", "solve", "step", "penalty", "pretrain", NULL };

static const option options[] = {
    { .name = "set",
      .letter = 's',
      .kind = VALUE_TEXT,
      .argument = "KEY=VALUE",
      .repeatable = true,
      .help = "change a setting: solver.method, gradient.method, training.batch, ..." },
    { .name = "last", .help = "of a run, the last weights; default: those of the best evaluation" },
    { .name = "only",
      .kind = VALUE_CHOICE,
      .argument = "WORK",
      .choices = works,
      .repeatable = true,
      .help = "time only this; default: all that the configuration has" },
    { .name = "batch",
      .letter = 'b',
      .kind = VALUE_INTEGER,
      .argument = "N",
      .least = 1,
      .most = 1000000,
      .help = "examples; default: training.batch for steps, otherwise evaluation.batch" },
    { .name = "steps",
      .kind = VALUE_INTEGER,
      .argument = "N",
      .least = 1,
      .most = MOST,
      .help = "runs of each; default: until the median is known to 2 %, or --seconds are over" },
    { .name = "seconds",
      .kind = VALUE_REAL,
      .argument = "S",
      .initial = "5",
      .low = 0,
      .high = 86400,
      .above = true,
      .help = "for each, at most, but 5 runs at least" },
    { .name = "random",
      .help = "random numbers for inputs, even if there are data: solves take other numbers of "
              "evaluations then" },
};

static const option operands[] = {
    { .name = "MODEL",
      .kind = VALUE_FILE,
      .help = "a configuration, the folder of a run, or a checkpoint; none: the default "
              "configuration" },
};

typedef struct session {
    const arguments *a;
    deq_context *ctx;
    deq_inspection *model;
    deq_datasets data;
    bool has_data;
    json_t *rows;
} session;

/* Times -------------------------------------------------------------------------------------- */

typedef struct timing {
    double first;          /* seconds of the run that warmed up */
    double median, spread; /* spread: IQR / median */
    int runs;
} timing;

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Linear between the order statistics. */
static double quantile(const double *sorted, int n, double q)
{
    double at = q * (n - 1);
    int i = (int)at;
    return i + 1 < n ? sorted[i] + (at - i) * (sorted[i + 1] - sorted[i]) : sorted[n - 1];
}

static void summarise(timing *t, const double *seconds, int n, double *room)
{
    memcpy(room, seconds, (size_t)n * sizeof *room);
    qsort(room, (size_t)n, sizeof *room, compare);
    t->runs = n;
    t->median = quantile(room, n, 0.5);
    t->spread = t->median > 0 ? (quantile(room, n, 0.75) - quantile(room, n, 0.25)) / t->median : 0;
}

static deq_status time_once(double *seconds, deq_workload *w, int repeats)
{
    double begin = clock_seconds();
    for (int i = 0; i < repeats; i++) {
        deq_status status = deq_workload_run(w);
        if (status != DEQ_OK) return status;
    }
    *seconds = (clock_seconds() - begin) / repeats;
    return DEQ_OK;
}

/* (1), or what the user said. */
static bool enough(const session *s, const timing *t, double began)
{
    if (argument_given(s->a, "steps")) return t->runs >= argument_integer(s->a, "steps");
    if (t->runs < FEWEST) return false;
    return 1.57 * t->spread / sqrt(t->runs) <= PRECISE ||
           clock_seconds() - began >= argument_real(s->a, "seconds") || t->runs == MOST;
}

static deq_status measure(timing *t, const session *s, deq_workload *w, const char *name)
{
    static double seconds[MOST], room[MOST];
    double quick = 0, began;
    progress p;
    deq_status status = time_once(&t->first, w, 1);
    if (status == DEQ_OK) status = time_once(&quick, w, 1);
    int repeats = quick < SHORTEST ? (int)fmin(ceil(SHORTEST / fmax(quick, 1e-9)), 1e6) : 1;
    progress_start(&p, name, 0);
    began = clock_seconds();
    for (int n = 0; status == DEQ_OK && !interrupted();) {
        status = time_once(&seconds[n++], w, repeats);
        if (status != DEQ_OK) break;
        summarise(t, seconds, n, room);
        progress_update(&p, n, "%.3g s, spread %.1f %%", t->median, 100 * t->spread);
        if (enough(s, t, began)) break;
    }
    progress_end(&p);
    return status;
}

/* Work --------------------------------------------------------------------------------------- */

/* Sums over the kernels of that name, "" for all. */
static double total(const json_t *kernels, const char *name, const char *what)
{
    double sum = 0;
    for (size_t i = 0; i < json_array_size(kernels); i++) {
        const json_t *k = json_array_get(kernels, i);
        if (!*name || strcmp(name, json_string_value(json_object_get(k, "kernel"))) == 0)
            sum += json_number_value(json_object_get(k, what));
    }
    return sum;
}

/*
 * A program counts solves as long as they may be; what they took is known afterwards.  The batch is
 * evaluated as often as its slowest sample needs.  NaN where it is not known: a backward solve by
 * another fixed-point solver does not tell its evaluations.
 */
static double amount(const session *s, const json_t *kernels, deq_work work,
                     const deq_workload_cost *cost, const char *what)
{
    const deq_config *c = deq_inspection_config(s->model);
    const deq_equilibrium_options *e = &c->equilibrium;
    double f_most = e->forward.max_iter, b_most = (double)e->adjoint.max_iter;
    bool step = work == DEQ_WORK_STEP || work == DEQ_WORK_PENALTY;
    if (work == DEQ_WORK_SOLVE && c->evaluation.max_iter > 0) f_most = c->evaluation.max_iter;
    if (step && e->gradient == DEQ_GRADIENT_IFT && e->adjoint_by_solver) return NAN;
    double f = total(kernels, "equilibrium", what), b = total(kernels, "implicit solve", what);
    double rest = total(kernels, "", what) - f - b;
    if (f_most > 0) rest += f / f_most * (double)cost->n_feval_max;
    if (b_most > 0) rest += b / b_most * (double)cost->n_apply_max;
    return rest;
}

/* Of the map, f alone: what its stage holds. */
static double amount_of_map(const deq_program *p, bool flops)
{
    deq_program_info info = deq_program_stats(p);
    return flops ? info.flops[DEQ_STAGE_STATE] : info.bytes[DEQ_STAGE_STATE];
}

/* What does not depend on the inputs is not done again by a solve. */
static json_t *repeated(const json_t *program, deq_work work)
{
    json_t *all = json_object_get(program, "kernels"), *kept = json_array(), *row;
    size_t i;
    json_array_foreach(all, i, row)
    {
        const char *stage = json_string_value(json_object_get(row, "stage"));
        bool weights = strcmp(stage, "parameter") == 0;
        if (strcmp(stage, "constant") == 0 || (work == DEQ_WORK_SOLVE && weights)) continue;
        json_push(kept, json_incref(row));
    }
    return kept;
}

static int64_t peak_bytes(void)
{
    struct rusage use;
    return getrusage(RUSAGE_SELF, &use) == 0 ? (int64_t)use.ru_maxrss * 1024 : 0;
}

static void add_row(session *s, deq_work work, deq_workload *w, const timing *t,
                    const deq_workload_cost *cost)
{
    const deq_program *p = deq_workload_program(w);
    json_t *row = json_object(), *program = program_json(p, true);
    json_t *kernels = repeated(program, work);
    bool map = work == DEQ_WORK_MAP;
    double flops = map ? amount_of_map(p, true) : amount(s, kernels, work, cost, "flops");
    double bytes = map ? amount_of_map(p, false) : amount(s, kernels, work, cost, "bytes");
    json_put(row, "work", json_string(works[work]));
    json_put(row, "batch", json_integer(deq_workload_batch(w)));
    json_put(row, "seconds", json_number(t->median));
    json_put(row, "spread", json_number(t->spread));
    json_put(row, "runs", json_integer(t->runs));
    json_put(row, "examples_per_second", json_number((double)deq_workload_batch(w) / t->median));
    json_put(row, "evaluations", json_number(cost->n_feval));
    json_put(row, "products", json_number(cost->n_apply));
    json_put(row, "gflops_per_second", json_number(1e-9 * flops / t->median));
    json_put(row, "gbytes_per_second", json_number(1e-9 * bytes / t->median));
    json_put(row, "first_seconds", json_number(t->first));
    json_put(row, "arena_bytes", json_incref(json_object_get(program, "arena_bytes")));
    json_put(row, "peak_bytes", json_integer(peak_bytes()));
    json_push(s->rows, row);
    json_decref(kernels);
    json_decref(program);
}

/* Examples ----------------------------------------------------------------------------------- */

static deq_status open_data(session *s)
{
    const deq_config *c = deq_inspection_config(s->model);
    bool generated = c->data.source == DEQ_SOURCE_PREFIX_SUMS || c->data.source == DEQ_SOURCE_MAZES;
    if (argument_flag(s->a, "random") || (!generated && !*c->data.path)) return DEQ_OK;
    deq_status status = deq_config_datasets(&s->data, s->ctx, c);
    s->has_data = status == DEQ_OK;
    return status;
}

/* The first training examples, as they are. */
static deq_status write_examples(session *s, deq_workload *w)
{
    deq_loader *loader = NULL;
    deq_loader_options o = deq_loader_defaults();
    deq_batch batch;
    o.batch = deq_workload_batch(w);
    o.shuffle = false;
    if (!s->has_data) return DEQ_OK;
    deq_status status = deq_loader_new(&loader, s->ctx, s->data.train, &o);
    if (status == DEQ_OK) status = deq_loader_next(loader, &batch);
    if (status == DEQ_OK) status = deq_workload_write(w, batch.input, batch.target);
    deq_loader_free(loader);
    return status;
}

/* All ---------------------------------------------------------------------------------------- */

static bool wanted(const session *s, deq_work work)
{
    const deq_config *c = deq_inspection_config(s->model);
    int n = argument_count(s->a, "only");
    for (int i = 0; i < n; i++)
        if (argument_choice_at(s->a, "only", i) == (int)work) return true;
    if (n > 0) return false;
    if (work == DEQ_WORK_PENALTY) return c->penalty.weight > 0;
    return work != DEQ_WORK_PRETRAIN || c->training.pretrain_steps > 0;
}

static deq_status bench_work(session *s, deq_work work)
{
    deq_workload *w = NULL;
    deq_workload_cost cost = { 0 };
    timing t = { 0 };
    int64_t batch = argument_given(s->a, "batch") ? argument_integer(s->a, "batch") : 0;
    deq_status status = deq_workload_new(&w, s->model, work, batch);
    if (status == DEQ_OK) status = write_examples(s, w);
    if (status == DEQ_OK) status = measure(&t, s, w, works[work]);
    if (status == DEQ_OK) status = deq_workload_last(&cost, w);
    if (status == DEQ_OK && t.runs > 0) add_row(s, work, w, &t, &cost);
    deq_workload_free(w);
    return status;
}

static int report(session *s)
{
    json_t *result = json_object();
    deq_parameters *p = deq_weights_parameters(deq_inspection_weights(s->model));
    const deq_config *c = deq_inspection_config(s->model);
    json_put(result, "model",
             json_text(argument_text(s->a, "MODEL") ? argument_text(s->a, "MODEL") : "default"));
    json_put(result, "family", json_string(deq_model_name(c->model.family)));
    json_put(result, "parameters", json_integer(deq_parameters_elements(p)));
    json_put(result, "examples", json_string(s->has_data ? "training set" : "random numbers"));
    json_put(result, "threads", json_integer(deq_context_threads(s->ctx)));
    json_put(result, "isa", json_string(deq_isa_name(deq_context_isa(s->ctx))));
    json_put(result, "results", json_incref(s->rows));
    return print_result(s->a, result);
}

static int bench_all(session *s)
{
    deq_status status = open_data(s);
    if (status != DEQ_OK) return fail_status(s->a, s->ctx, status);
    interrupt_watch();
    s->rows = json_array();
    for (int k = 0; k < DEQ_WORK_COUNT && status == DEQ_OK && !interrupted(); k++)
        if (wanted(s, (deq_work)k)) status = bench_work(s, (deq_work)k);
    int code = fail_status(s->a, s->ctx, status);
    if (code == CLI_OK && interrupted()) code = fail(CLI_INTERRUPTED, s->a->path, "interrupted");
    if (code == CLI_OK) code = report(s);
    json_decref(s->rows);
    return code;
}

/* Runs and checkpoints; all else is a configuration. */
static bool is_trained(const char *path)
{
    struct stat about;
    const char *dot = strrchr(path, '.');
    bool yaml = dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
    return stat(path, &about) == 0 && (S_ISDIR(about.st_mode) || !yaml);
}

static int open_session(session *s)
{
    const char *path = argument_text(s->a, "MODEL");
    deq_config config = deq_config_defaults();
    deq_status status;
    int code = CLI_OK;
    if (path && is_trained(path)) {
        deq_which which = argument_flag(s->a, "last") ? DEQ_WHICH_LAST : DEQ_WHICH_BEST;
        status = deq_inspect_trained(&s->model, s->ctx, path, which);
        code = fail_status(s->a, s->ctx, status);
        return code == CLI_OK ? apply_settings(deq_inspection_config(s->model), s->ctx, s->a)
                              : code;
    }
    if (path) code = read_model_config(&config, s->ctx, s->a, path);
    if (!path) code = apply_settings(&config, s->ctx, s->a);
    if (code != CLI_OK) return code;
    return fail_status(s->a, s->ctx, deq_inspect_config(&s->model, s->ctx, &config));
}

static int run(const arguments *a)
{
    session s = { .a = a };
    int code = open_context(&s.ctx, a);
    if (code != CLI_OK) return code;
    code = open_session(&s);
    if (code == CLI_OK) code = bench_all(&s);
    deq_datasets_free(&s.data);
    deq_inspection_free(s.model);
    deq_context_free(s.ctx);
    return code;
}

static const example examples[] = {
    { "deq bench", "the default model" },
    { "deq bench configs/mnist-mlp.yaml --set data.path=mnist", "a configuration, with its data" },
    { "deq bench runs/sums --only solve --batch 1 --set solver.method=anderson",
      "how fast does a trained model answer?" },
};

const command command_bench = {
    .name = "bench",
    .summary = "time a model on this machine",
    .description =
        "Times one evaluation of f (map), the way from inputs to logits (solve), and a step of "
        "training: solve, gradient, update (step); the step with the Jacobian penalty and the one of "
        "the unrolled network, if the configuration has them.  Prints the median, the spread (range "
        "of the middle half, relative to the median), evaluations of f and products with its "
        "Jacobian a sample, floating-point operations and bytes moved by the kernels a second, the "
        "memory of the compiled program, and the most memory that the process had so far.\n"
        "\n"
        "Inputs are the first training examples, or random numbers where the configuration names no "
        "data.  Updates have a learning rate of 0, so that each run does the same.",
    .examples = examples,
    .n_examples = LENGTH(examples),
    .options = options,
    .n_options = LENGTH(options),
    .operands = operands,
    .n_operands = LENGTH(operands),
    .common = COMMON_JSON | COMMON_THREADS | COMMON_QUIET,
    .run = run,
};
