/* SPDX-License-Identifier: MIT */
/*
 * Workloads: pieces of work with a model, to be described or timed.
 *
 * One evaluation of f is cut out of the model by unrolling its equilibrium once,
 *
 *     z_1 = f(z_0; x),    z_0 an input of the state's stage,                                (1)
 *
 * so that the stages of its program are those of a solve: weights, injection, and f itself.
 */
#include "train/inspect.h"
#include "train/program.h"

#include <deq/random.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Streams of the random examples. */
enum { STREAM_INPUT = 1, STREAM_TARGET, STREAM_STATE };

struct deq_workload {
    deq_context *ctx;
    deq_inspection *inspection;
    deq_work work;
    model_program m;
    deq_value state[DEQ_MAX_STATES]; /* inputs of the map */
    deq_optimiser *optimiser;
    void *average; /* NULL: none */
    size_t average_bytes;
    bool ran;
    int64_t n_samples, n_apply, n_apply_max; /* of the backward solve */
};

static bool is_step(deq_work work)
{
    return work == DEQ_WORK_STEP || work == DEQ_WORK_PENALTY || work == DEQ_WORK_PRETRAIN;
}

/* ---- the map: (1) ---- */

static deq_shape batched(int64_t batch, deq_shape shape)
{
    deq_shape s = { .rank = shape.rank + 1, .dim = { batch } };
    for (int i = 0; i < shape.rank && i + 1 < DEQ_MAX_RANK; i++) s.dim[i + 1] = shape.dim[i];
    return s;
}

static deq_status build_map(deq_workload *w, deq_graph *g, deq_nn *nn)
{
    const deq_inspection *i = w->inspection;
    deq_model_solve solve = deq_model_solve_defaults();
    deq_model_outputs out;
    solve.equilibrium.gradient = DEQ_GRADIENT_UNROLL;
    solve.equilibrium.forward.max_iter = 1;
    solve.has_start = true;
    solve.start = DEQ_START_GIVEN;
    solve.z0 = w->state;
    for (int k = 0; k < i->n_states; k++) {
        char name[16];
        snprintf(name, sizeof name, "z.%d", k);
        w->state[k] = deq_input(g, name, DEQ_STAGE_STATE, w->m.dtype,
                                batched(w->m.batch, i->state[k]));
    }
    w->m.x = deq_input(g, "x", DEQ_STAGE_INJECTED, w->m.dtype, batched(w->m.batch, i->form.input));
    DEQ_TRY(deq_model_build(nn, &out, w->m.x, &i->config.model, &solve));
    w->m.key = deq_nn_used_key(nn);
    deq_compile_options o = deq_compile_defaults();
    o.winograd = i->config.training.winograd;
    return deq_compile(&w->m.p, g, out.z_star, out.n_states, &o);
}

static deq_status make_map(deq_workload *w, int64_t batch)
{
    deq_graph *g = NULL;
    deq_nn *nn = NULL;
    w->m = (model_program){ .dtype = w->inspection->config.training.dtype, .batch = batch };
    deq_status status = deq_graph_new(&g, w->ctx);
    if (status == DEQ_OK) status = deq_nn_new(&nn, g, w->inspection->weights, false);
    if (status == DEQ_OK) status = build_map(w, g, nn);
    deq_nn_free(nn);
    deq_graph_free(g);
    return status;
}

/* ---- a step of training ---- */

static void tally(void *user, const deq_linear_info *info, int64_t batch)
{
    deq_workload *w = user;
    for (int64_t i = 0; i < batch; i++) {
        w->n_apply += info[i].n_apply;
        if (info[i].n_apply > w->n_apply_max) w->n_apply_max = info[i].n_apply;
    }
    w->n_samples += batch;
}

static deq_status make_optimiser(deq_workload *w)
{
    const deq_config *c = &w->inspection->config;
    deq_parameters *p = deq_weights_parameters(w->inspection->weights);
    int64_t length = deq_parameters_length(p);
    DEQ_TRY(deq_optimiser_new(&w->optimiser, w->ctx, c->training.dtype, length, &c->optimiser));
    if (c->training.average <= 0) return DEQ_OK;
    w->average_bytes = (size_t)length * deq_dtype_size(c->training.dtype);
    w->average = deq_alloc(w->ctx, w->average_bytes);
    if (!w->average) return DEQ_ERR_NOMEM;
    memcpy(w->average, deq_parameters_values(p, -1), w->average_bytes);
    return DEQ_OK;
}

static deq_status make_step(deq_workload *w, int64_t batch)
{
    deq_inspection *i = w->inspection;
    step_variant variant = { .pretraining = w->work == DEQ_WORK_PRETRAIN,
                             .penalty = w->work == DEQ_WORK_PENALTY,
                             .observer = tally,
                             .observer_user = w };
    deq_config *config = deq_alloc(w->ctx, sizeof *config);
    if (!config) return DEQ_ERR_NOMEM;
    *config = i->config;
    config->training.batch = batch;
    deq_status status = deq_step_program(&w->m, w->ctx, config, &i->form, i->weights, &variant);
    deq_release(w->ctx, config, sizeof *config);
    return status == DEQ_OK ? make_optimiser(w) : status;
}

/* The equations of step.c, at rate 0; buffers keep their values. */
static deq_status update(deq_workload *w)
{
    deq_parameters *p = deq_weights_parameters(w->inspection->weights);
    const deq_training_config *t = &w->inspection->config.training;
    int threads = deq_context_threads(w->ctx);
    int64_t length = deq_parameters_length(p);
    void *values = deq_parameters_values(p, -1), *grads = deq_parameters_gradients(p, -1);
    double norm = deq_clip_norm(grads, w->m.dtype, length, t->clip > 0 ? t->clip : INFINITY,
                                threads);
    if (isfinite(norm)) DEQ_TRY(deq_optimiser_step(w->optimiser, values, grads, 0));
    if (w->average) deq_average_update(w->average, values, w->m.dtype, length, t->average, threads);
    return DEQ_OK;
}

/* ---- numbers to work on ---- */

static deq_random_key stream(const deq_workload *w, uint64_t number)
{
    return (deq_random_key){ .seed = (uint64_t)w->inspection->config.training.seed,
                             .stream = number };
}

/* A random value of an input of the program, written where it lies. */
static deq_status draw_input(deq_workload *w, deq_value v, int64_t count, uint64_t number)
{
    size_t size = deq_dtype_size(w->m.dtype);
    void *data = deq_alloc_array(w->ctx, (size_t)count, size);
    if (!data) return DEQ_ERR_NOMEM;
    deq_status status = deq_draw_normal(data, w->m.dtype, count, stream(w, number), 0, 1);
    if (status == DEQ_OK) status = deq_program_write(w->m.p, v, data, (size_t)count * size);
    deq_release(w->ctx, data, (size_t)count * size);
    return status;
}

static deq_status draw_targets(deq_workload *w)
{
    const deq_inspection *i = w->inspection;
    int64_t n = w->m.batch * deq_shape_count(&i->form.target);
    double *u = deq_alloc_array(w->ctx, (size_t)n, sizeof *u);
    int32_t *target = deq_alloc_array(w->ctx, (size_t)n, sizeof *target);
    deq_status status = u && target ? DEQ_OK : DEQ_ERR_NOMEM;
    if (status == DEQ_OK) status = deq_draw_uniform(u, DEQ_F64, n, stream(w, STREAM_TARGET), 0, 1);
    for (int64_t k = 0; k < n && status == DEQ_OK; k++)
        target[k] = (int32_t)(u[k] * (double)i->form.classes);
    if (status == DEQ_OK)
        status = deq_program_write(w->m.p, w->m.target, target, (size_t)n * sizeof *target);
    deq_release(w->ctx, u, (size_t)n * sizeof *u);
    deq_release(w->ctx, target, (size_t)n * sizeof *target);
    return status;
}

static deq_status write_scalars(deq_workload *w)
{
    const deq_config *c = &w->inspection->config;
    int64_t key[2] = { c->training.seed, 0 };
    if (w->m.key.id > 0) DEQ_TRY(deq_program_write(w->m.p, w->m.key, key, sizeof key));
    if (w->m.gamma.id <= 0) return DEQ_OK;
    double wide = c->penalty.weight;
    float narrow = (float)wide;
    return w->m.dtype == DEQ_F64 ? deq_program_write(w->m.p, w->m.gamma, &wide, sizeof wide)
                                 : deq_program_write(w->m.p, w->m.gamma, &narrow, sizeof narrow);
}

static deq_status draw_all(deq_workload *w)
{
    const deq_inspection *i = w->inspection;
    DEQ_TRY(draw_input(w, w->m.x, w->m.batch * deq_shape_count(&i->form.input), STREAM_INPUT));
    for (int k = 0; w->work == DEQ_WORK_MAP && k < i->n_states; k++)
        DEQ_TRY(draw_input(w, w->state[k], w->m.batch * deq_shape_count(&i->state[k]),
                           STREAM_STATE + (uint64_t)k));
    if (w->m.target.id > 0) DEQ_TRY(draw_targets(w));
    return write_scalars(w);
}

deq_status deq_workload_write(deq_workload *w, const float *input, const int32_t *target)
{
    const deq_inspection *i = w->inspection;
    size_t n_x = (size_t)(w->m.batch * deq_shape_count(&i->form.input));
    size_t n_target = (size_t)(w->m.batch * deq_shape_count(&i->form.target));
    float *x = deq_alloc_array(w->ctx, n_x, sizeof *x);
    double *scratch = deq_alloc_array(w->ctx, n_x, sizeof *scratch);
    deq_status status = x && scratch ? DEQ_OK : DEQ_ERR_NOMEM;
    if (status == DEQ_OK && w->m.target.id > 0 && !target)
        status = deq_fail(w->ctx, DEQ_ERR_ARGUMENT, "workload: this work needs targets");
    if (status == DEQ_OK) {
        deq_normalise_input(x, input, w->m.batch, &i->form.input, &i->config.data);
        status = deq_program_feed(&w->m, x, n_x, target, n_target,
                                  (uint64_t)i->config.training.seed, 0, scratch);
    }
    deq_release(w->ctx, x, n_x * sizeof *x);
    deq_release(w->ctx, scratch, n_x * sizeof *scratch);
    w->ran = false;
    return status;
}

/* ---- making and running ---- */

/* The first workload of a model that is only declared gives its weights numbers. */
static deq_status allocate(deq_inspection *i)
{
    if (!i->own || i->allocated) return DEQ_OK;
    DEQ_TRY(deq_weights_allocate(i->own));
    i->allocated = true;
    return deq_weights_initialise(i->own, (uint64_t)i->config.training.seed);
}

static deq_status make(deq_workload *w, int64_t batch)
{
    deq_inspection *i = w->inspection;
    DEQ_TRY(allocate(i));
    switch (w->work) {
    case DEQ_WORK_MAP: DEQ_TRY(make_map(w, batch)); break;
    case DEQ_WORK_SOLVE:
        DEQ_TRY(deq_predict_program(&w->m, w->ctx, &i->config, i->form.input, batch, i->weights, 0,
                                    -1, -1, NULL));
        break;
    default: DEQ_TRY(make_step(w, batch));
    }
    return draw_all(w);
}

deq_status deq_workload_new(deq_workload **out, deq_inspection *i, deq_work work, int64_t batch)
{
    *out = NULL;
    if ((int)work < 0 || work >= DEQ_WORK_COUNT || batch < 0)
        return deq_fail(i->ctx, DEQ_ERR_ARGUMENT, "workload: work %d of %lld examples", (int)work,
                        (long long)batch);
    if (batch == 0) batch = is_step(work) ? i->config.training.batch : i->config.evaluation.batch;
    deq_workload *w = deq_alloc(i->ctx, sizeof *w);
    if (!w) return DEQ_ERR_NOMEM;
    *w = (deq_workload){ .ctx = i->ctx, .inspection = i, .work = work };
    deq_status status = make(w, batch);
    if (status != DEQ_OK) {
        deq_workload_free(w);
        return status;
    }
    *out = w;
    return DEQ_OK;
}

void deq_workload_free(deq_workload *w)
{
    if (!w) return;
    deq_model_program_free(&w->m);
    deq_optimiser_free(w->optimiser);
    deq_release(w->ctx, w->average, w->average_bytes);
    deq_release(w->ctx, w, sizeof *w);
}

int64_t deq_workload_batch(const deq_workload *w)
{
    return w->m.batch;
}

const deq_program *deq_workload_program(const deq_workload *w)
{
    return w->m.p;
}

/* A step begins with new weights, a solve with new inputs, the map with a new state. */
static deq_stage first_stage(const deq_workload *w)
{
    if (!w->ran || is_step(w->work)) return DEQ_STAGE_PARAMETER;
    return w->work == DEQ_WORK_SOLVE ? DEQ_STAGE_INJECTED : DEQ_STAGE_STATE;
}

deq_status deq_workload_run(deq_workload *w)
{
    w->n_samples = w->n_apply = w->n_apply_max = 0;
    deq_status status = deq_program_run(w->m.p, first_stage(w));
    if (status != DEQ_OK) return deq_fail(w->ctx, status, "%s", deq_program_error(w->m.p));
    w->ran = true;
    return is_step(w->work) ? update(w) : DEQ_OK;
}

deq_status deq_workload_last(deq_workload_cost *cost, deq_workload *w)
{
    *cost = (deq_workload_cost){ .n_feval = 1, .n_feval_max = 1 };
    if (!w->ran) return deq_fail(w->ctx, DEQ_ERR_STATE, "workload: it was not run");
    if (w->n_samples > 0) cost->n_apply = (double)w->n_apply / (double)w->n_samples;
    cost->n_apply_max = w->n_apply_max;
    if (w->work == DEQ_WORK_MAP) return DEQ_OK;
    size_t n = (size_t)w->m.batch;
    int32_t *n_feval = deq_alloc_array(w->ctx, n, sizeof *n_feval);
    if (!n_feval) return DEQ_ERR_NOMEM;
    deq_status status = deq_program_read(w->m.p, w->m.report.n_feval, n_feval, n * sizeof *n_feval);
    double sum = 0;
    for (size_t k = 0; k < n && status == DEQ_OK; k++) {
        sum += n_feval[k];
        if (k == 0 || n_feval[k] > cost->n_feval_max) cost->n_feval_max = n_feval[k];
    }
    cost->n_feval = sum / (double)n;
    deq_release(w->ctx, n_feval, n * sizeof *n_feval);
    return status;
}
