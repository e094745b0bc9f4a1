/* SPDX-License-Identifier: MIT */
/* deq audit: every gradient estimator against the exact gradient, for a trained model and a batch. */
#include "commands.h"
#include "context.h"
#include "settings.h"
#include "terminal.h"

#include <deq/audit.h>
#include <deq/op.h>
#include <deq/train.h>
#include <stdlib.h>
#include <string.h>

static const option options[] = {
    { .name = "set",
      .letter = 's',
      .kind = VALUE_TEXT,
      .argument = "KEY=VALUE",
      .repeatable = true,
      .help = "change a setting: solver.method, gradient.tau, data.path, ..." },
    { .name = "config",
      .kind = VALUE_FILE,
      .argument = "CONFIG",
      .help = "the model that weights from elsewhere are for, and its data" },
    { .name = "last", .kind = VALUE_NONE, .help = "of a run, the last weights" },
    { .name = "batch",
      .letter = 'b',
      .kind = VALUE_INTEGER,
      .least = 1,
      .most = 100000,
      .initial = "8",
      .help = "training examples" },
    { .name = "steps",
      .kind = VALUE_INTEGER,
      .least = 1,
      .most = 10000,
      .initial = "5",
      .help = "of phantom gradients" },
    { .name = "tau",
      .kind = VALUE_REAL,
      .low = 0,
      .above = true,
      .high = 1,
      .initial = "0.5",
      .help = "damping of phantom and reversible gradients" },
    { .name = "refine",
      .kind = VALUE_INTEGER,
      .least = 0,
      .most = 10000,
      .initial = "5",
      .help = "products of SHINE's refinement" },
    { .name = "repeats",
      .kind = VALUE_INTEGER,
      .least = 1,
      .most = 1000,
      .initial = "3",
      .help = "timed runs, of which the fastest counts" },
};

static const option operands[] = {
    { .name = "MODEL",
      .kind = VALUE_FILE,
      .required = true,
      .help = "the folder of a run, a checkpoint, or weights" },
};

/* The model as the audit builds it, and its batch. */
typedef struct subject {
    deq_config *config;
    deq_weights *weights;
    deq_example_form form;
    deq_nn *nn; /* of the graph built last */
    deq_value x, target, key;
    deq_batch batch;
    int64_t n;
    double *wide; /* the input in double precision, if the weights are */
} subject;

static deq_shape batched(int64_t batch, deq_shape s)
{
    deq_shape b = { .rank = s.rank + 1, .dim = { batch } };
    memcpy(b.dim + 1, s.dim, (DEQ_MAX_RANK - 1) * sizeof *s.dim);
    return b;
}

static deq_value build(deq_graph *g, const deq_equilibrium_options *equilibrium, void *user)
{
    subject *s = user;
    deq_dtype dtype = s->config->training.dtype;
    deq_model_solve solve = deq_model_solve_defaults();
    deq_model_outputs out;
    solve.equilibrium = *equilibrium;
    solve.has_start = s->config->has_start;
    solve.start = s->config->start;
    deq_nn_free(s->nn);
    if (deq_nn_new(&s->nn, g, s->weights, true) != DEQ_OK) return (deq_value){ -1 };
    s->x = deq_input(g, "x", DEQ_STAGE_INJECTED, dtype, batched(s->n, s->form.input));
    s->target = deq_input(g, "target", DEQ_STAGE_INJECTED, DEQ_I32, batched(s->n, s->form.target));
    if (deq_model_build(s->nn, &out, s->x, &s->config->model, &solve) != DEQ_OK)
        return (deq_value){ -1 };
    s->key = deq_nn_used_key(s->nn);
    return deq_cross_entropy(
        g, out.logits[out.n_logits - 1], s->target,
        DEQ_CROSS_ENTROPY(.has_ignore = true, .ignore_index = DEQ_TARGET_IGNORE));
}

static deq_status feed(deq_program *p, void *user)
{
    subject *s = user;
    size_t n_x = (size_t)(s->n * deq_shape_count(&s->form.input));
    size_t n_target = (size_t)(s->n * deq_shape_count(&s->form.target));
    const void *x = s->wide ? (const void *)s->wide : s->batch.input;
    int64_t key[2] = { s->config->training.seed, 0 };
    deq_status status = deq_program_write(
        p, s->x, x, n_x * (s->wide ? sizeof *s->wide : sizeof *s->batch.input));
    if (status == DEQ_OK)
        status = deq_program_write(p, s->target, s->batch.target,
                                   n_target * sizeof *s->batch.target);
    if (status == DEQ_OK && s->key.id > 0) status = deq_program_write(p, s->key, key, sizeof key);
    return status;
}

static bool print_piece(void *user, const char *text, size_t length)
{
    (void)user;
    return fwrite(text, 1, length, stdout) == length;
}

static deq_status audit_subject(deq_context *ctx, const arguments *a, subject *s)
{
    deq_audit *audit = NULL;
    deq_audit_options o = deq_audit_defaults();
    o.base = s->config->equilibrium;
    o.steps = (int)argument_integer(a, "steps");
    o.tau = argument_real(a, "tau");
    o.refine = (int)argument_integer(a, "refine");
    o.repeats = (int)argument_integer(a, "repeats");
    deq_status status = deq_gradient_audit(&audit, ctx, build, feed, s,
                                           deq_weights_parameters(s->weights), &o);
    if (status == DEQ_OK)
        status = deq_audit_write(audit,
                                 argument_flag(a, "json") ? DEQ_DESCRIBE_JSON : DEQ_DESCRIBE_TEXT,
                                 print_piece, NULL);
    deq_audit_free(audit);
    deq_nn_free(s->nn);
    return status;
}

/* The batch comes as training would see it, normalised; without its augmentation. */
static deq_status load_batch(deq_loader **loader, deq_context *ctx, subject *s,
                             const deq_dataset *d)
{
    const deq_data_config *data = &s->config->data;
    deq_loader_options o = deq_loader_defaults();
    o.batch = s->n;
    o.shuffle = false;
    o.augment.n_channels = data->mean.count;
    for (int i = 0; i < data->mean.count && i < 4; i++) {
        o.augment.mean[i] = data->mean.item[i];
        o.augment.deviation[i] = data->deviation.item[i];
    }
    deq_status status = deq_loader_new(loader, ctx, d, &o);
    return status == DEQ_OK ? deq_loader_next(*loader, &s->batch) : status;
}

static deq_status widen(subject *s)
{
    if (s->config->training.dtype != DEQ_F64) return DEQ_OK;
    size_t n = (size_t)(s->n * deq_shape_count(&s->form.input));
    s->wide = malloc(n * sizeof *s->wide);
    if (!s->wide) return DEQ_ERR_NOMEM;
    for (size_t i = 0; i < n; i++) s->wide[i] = (double)s->batch.input[i];
    return DEQ_OK;
}

static deq_status audit_model(deq_context *ctx, const arguments *a, deq_trained *model)
{
    subject s = { .config = deq_trained_config(model),
                  .weights = deq_trained_weights(model),
                  .n = argument_integer(a, "batch") };
    deq_datasets data;
    deq_loader *loader = NULL;
    deq_status status = deq_config_datasets(&data, ctx, s.config);
    if (status != DEQ_OK) return status;
    s.form = deq_dataset_form(data.train);
    status = load_batch(&loader, ctx, &s, data.train);
    if (status == DEQ_OK) status = widen(&s);
    if (status == DEQ_OK) status = audit_subject(ctx, a, &s);
    free(s.wide);
    deq_loader_free(loader);
    deq_datasets_free(&data);
    return status;
}

static int run(const arguments *a)
{
    deq_context *ctx = NULL;
    deq_trained *model = NULL;
    int code = open_context(&ctx, a);
    if (code != CLI_OK) return code;
    code = open_model(&model, ctx, a);
    if (code == CLI_OK) code = fail_status(a, ctx, audit_model(ctx, a, model));
    deq_trained_free(model);
    deq_context_free(ctx);
    return code;
}

static const example examples[] = {
    { "deq audit runs/sums", "how good is each gradient for this model?" },
    { "deq audit runs/sums --batch 32 --set solver.method=broyden --json",
      "another solver, as JSON" },
};

const command command_audit = {
    .name = "audit",
    .summary = "compare gradient estimators on a trained model",
    .description =
        "Computes the gradient of the loss on a batch of training examples by every estimator, and "
        "compares each with the exact one, an implicit gradient with both solves tight: cosine and "
        "ratio of norms, in total and (--json) for every parameter; evaluations, time and memory.",
    .examples = examples,
    .n_examples = LENGTH(examples),
    .options = options,
    .n_options = LENGTH(options),
    .operands = operands,
    .n_operands = LENGTH(operands),
    .common = COMMON_JSON | COMMON_THREADS,
    .run = run,
};
