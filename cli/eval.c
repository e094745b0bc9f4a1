/* SPDX-License-Identifier: MIT */
/* deq eval: how well a trained model does. */
#include "commands.h"
#include "context.h"
#include "json.h"
#include "settings.h"
#include "table.h"
#include "terminal.h"

#include <deq/train.h>
#include <math.h>

static const option options[] = {
    { .name = "set",
      .letter = 's',
      .kind = VALUE_TEXT,
      .argument = "KEY=VALUE",
      .repeatable = true,
      .help = "change a setting: data.path, solver.method, evaluation.batch, ..." },
    { .name = "config",
      .kind = VALUE_FILE,
      .argument = "CONFIG",
      .help = "the model that weights from elsewhere are for, and its data" },
    { .name = "last",
      .kind = VALUE_NONE,
      .help = "of a run, the last weights; default: those of the best evaluation" },
    { .name = "max-iter",
      .letter = 'n',
      .kind = VALUE_INTEGER,
      .argument = "N",
      .least = 1,
      .most = 1000000000,
      .repeatable = true,
      .help = "evaluations of f allowed; several: accuracy against budget" },
    { .name = "size",
      .kind = VALUE_INTEGER,
      .argument = "N",
      .least = 1,
      .most = 1000000,
      .repeatable = true,
      .help = "generated tasks: examples of this size" },
    { .name = "train-set", .kind = VALUE_NONE, .help = "on the training examples" },
    { .name = "at-least",
      .kind = VALUE_REAL,
      .argument = "ACCURACY",
      .low = 0,
      .high = 1,
      .help = "exit with 4 if an accuracy is below" },
};

static const option operands[] = {
    { .name = "MODEL",
      .kind = VALUE_FILE,
      .required = true,
      .help = "the folder of a run, a checkpoint, or weights (.safetensors, .pt, .pth, .npz)" },
};

/* What is evaluated, and where the results go. */
typedef struct session {
    const arguments *a;
    deq_context *ctx;
    deq_trained *model;
    json_t *rows;
    table *table;
    double worst; /* accuracy */
} session;

static bool show(void *user, int64_t done, int64_t total)
{
    (void)total;
    progress_update(user, done, NULL);
    return !interrupted();
}

static void add_row(session *s, const deq_evaluation *e, int64_t size, int max_iter)
{
    double n = e->n_examples > 0 ? (double)e->n_examples : 1;
    double positions = e->n_positions > 0 ? (double)e->n_positions : 1;
    json_t *row = evaluation_json(e);
    if (size > 0) json_put(row, "size", json_integer(size));
    json_put(row, "max_iter", json_integer(max_iter));
    json_push(s->rows, row);
    if (size > 0)
        table_add(s->table, "size %lld", (long long)size);
    else
        table_add(s->table, "%s", argument_flag(s->a, "train-set") ? "training set" : "test set");
    table_add(s->table, "%d", max_iter);
    table_add(s->table, "%lld", (long long)e->n_examples);
    table_add(s->table, "%lld", (long long)e->n_right);
    table_add(s->table, "%.2f %%", 100 * (double)e->n_right / n);
    table_add(s->table, "%.3f %%", 100 * (double)e->n_positions_right / positions);
    table_add(s->table, "%.4f", e->loss);
    table_add(s->table, "%.1f", e->n_feval);
    table_add(s->table, "%.2g", e->mean_residual);
    table_add(s->table, "%.1f %%", 100 * (double)e->n_outcome[DEQ_CONVERGED] / n);
    table_add(s->table, "%.1f", e->seconds);
    s->worst = fmin(s->worst, (double)e->n_right / n);
}

static int usual_budget(const deq_config *c)
{
    return c->evaluation.max_iter > 0 ? c->evaluation.max_iter : c->equilibrium.forward.max_iter;
}

/* One dataset at every --max-iter. */
static int over_budgets(session *s, const deq_dataset *d, int64_t size)
{
    int n = argument_count(s->a, "max-iter");
    for (int i = 0; i < (n > 0 ? n : 1); i++) {
        deq_predictor_options o = deq_predictor_defaults();
        deq_evaluation e;
        progress p;
        o.max_iter = n > 0 ? (int)argument_integer_at(s->a, "max-iter", i) : 0;
        progress_start(&p, "evaluating", deq_dataset_count(d));
        deq_status status = deq_evaluate(&e, s->model, d, &o, show, &p);
        progress_end(&p);
        if (status != DEQ_OK) return fail_status(s->a, s->ctx, status);
        if (interrupted()) return fail(CLI_INTERRUPTED, s->a->path, "interrupted");
        add_row(s, &e, size,
                o.max_iter > 0 ? o.max_iter : usual_budget(deq_trained_config(s->model)));
    }
    return CLI_OK;
}

static int over_sizes(session *s)
{
    const deq_config *c = deq_trained_config(s->model);
    for (int i = 0; i < argument_count(s->a, "size"); i++) {
        deq_dataset *d;
        int64_t size = argument_integer_at(s->a, "size", i);
        deq_status status = deq_config_sized(&d, s->ctx, c, size, c->evaluation.count);
        if (status != DEQ_OK) return fail_status(s->a, s->ctx, status);
        int code = over_budgets(s, d, size);
        deq_dataset_free(d);
        if (code != CLI_OK) return code;
    }
    return CLI_OK;
}

static int over_sets(session *s)
{
    deq_datasets data;
    const deq_config *c = deq_trained_config(s->model);
    bool training = argument_flag(s->a, "train-set");
    if (argument_count(s->a, "size") > 0) return over_sizes(s);
    deq_status status = training ? deq_config_datasets(&data, s->ctx, c)
                                 : deq_config_test_set(&data, s->ctx, c);
    if (status != DEQ_OK) return fail_status(s->a, s->ctx, status);
    int code = over_budgets(s, training ? data.train : data.test, 0);
    deq_datasets_free(&data);
    return code;
}

static int report(session *s)
{
    if (argument_flag(s->a, "json")) {
        json_t *result = json_object();
        json_put(result, "weights", json_text(deq_trained_path(s->model)));
        json_put(result, "steps", json_integer(deq_trained_steps(s->model)));
        json_put(result, "results", json_incref(s->rows));
        int code = print_json(result);
        if (code != CLI_OK) return code;
    } else {
        table_print(s->table, stdout);
    }
    if (argument_given(s->a, "at-least") && s->worst < argument_real(s->a, "at-least"))
        return fail(CLI_UNMET, s->a->path, "the accuracy is %.4f, below --at-least %g", s->worst,
                    argument_real(s->a, "at-least"));
    return CLI_OK;
}

static int run(const arguments *a)
{
    static const char *const titles[] = {
        "data", "evaluations allowed", "examples", "right",     "accuracy", "positions right",
        "loss", "mean evaluations",    "residual", "converged", "seconds",  NULL
    };
    session s = { .a = a, .worst = 1 };
    int code = open_context(&s.ctx, a);
    if (code != CLI_OK) return code;
    code = open_model(&s.model, s.ctx, a);
    if (code == CLI_OK) {
        interrupt_watch();
        s.rows = json_array();
        s.table = table_new(titles, "lrrrrrrrrrr");
        code = over_sets(&s);
        if (code == CLI_OK) code = report(&s);
        table_free(s.table);
        json_decref(s.rows);
    }
    deq_trained_free(s.model);
    deq_context_free(s.ctx);
    return code;
}

static const example examples[] = {
    { "deq eval runs/sums", "on the test set of the run's configuration" },
    { "deq eval runs/sums --size 64 --size 512 -n 30 -n 100 -n 300",
      "on longer strings, with growing solver budgets" },
    { "deq eval mnist_mondeq_float.pt --config configs/mondeq-mnist.yaml",
      "weights saved by PyTorch" },
};

const command command_eval = {
    .name = "eval",
    .summary = "evaluate a trained model",
    .description =
        "Evaluates MODEL on the test set that its configuration names.  An example counts as right "
        "when every position of it is right.  Solver settings may differ from those of training: "
        "--max-iter, or --set solver.method=broyden.",
    .examples = examples,
    .n_examples = LENGTH(examples),
    .options = options,
    .n_options = LENGTH(options),
    .operands = operands,
    .n_operands = LENGTH(operands),
    .common = COMMON_JSON | COMMON_THREADS | COMMON_QUIET,
    .run = run,
};
