/* SPDX-License-Identifier: MIT */
/*
 * One step of training:
 *
 *     loss, g = program(weights, batch, key = (seed, step))
 *     g <- g min(1, clip / |g|)
 *     theta <- optimiser(theta, g, rate(step)),   average <- moving average of theta
 */
#include "train/measure.h"
#include "train/run.h"

#include <deq/random.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Random streams of a run, apart from those of layers, which are hashes of their names. */
enum { STREAM_DEPTH = 2 };

static bool uses_penalty(const deq_run *run, int64_t step)
{
    const deq_penalty_config *p = &run->config.penalty;
    if (p->weight <= 0 && p->increase <= 0) return false;
    if (p->until > 0 && step >= p->until) return false;
    deq_jacobian_options o = deq_jacobian_defaults();
    o.probability = p->probability;
    return deq_jacobian_applies((uint64_t)run->config.training.seed, (uint64_t)step, &o);
}

static double penalty_weight(const deq_penalty_config *p, int64_t step)
{
    int64_t raises = p->increase_every > 0 ? step / p->increase_every : 0;
    return p->weight + (double)raises * p->increase;
}

static int choose_program(const deq_run *run, int64_t step)
{
    if (step < run->config.training.pretrain_steps) return PROGRAM_PRETRAIN;
    return uses_penalty(run, step) ? PROGRAM_PENALTY : PROGRAM_PLAIN;
}

static void tally_adjoint(void *user, const deq_linear_info *info, int64_t batch)
{
    adjoint_tally *t = user;
    for (int64_t i = 0; i < batch; i++) {
        t->n_samples++;
        t->n_failed += info[i].outcome != DEQ_CONVERGED;
        t->n_apply += info[i].n_apply;
        if (isfinite(info[i].residual)) t->residual += info[i].residual;
    }
}

static deq_status get_program(model_program **out, deq_run *run, int which)
{
    *out = &run->programs[which];
    if (run->compiled[which]) return DEQ_OK;
    if (run->compiled[PROGRAM_PRETRAIN]) { /* it is over; an unrolled network holds much memory */
        deq_model_program_free(&run->programs[PROGRAM_PRETRAIN]);
        run->compiled[PROGRAM_PRETRAIN] = false;
    }
    step_variant variant = { .pretraining = which == PROGRAM_PRETRAIN,
                             .penalty = which == PROGRAM_PENALTY,
                             .depth = run->config.training.depth.count > 0 ? &run->depth : NULL,
                             .observer = tally_adjoint,
                             .observer_user = &run->adjoint,
                             .workspace = run->workspace };
    DEQ_TRY(deq_step_program(*out, run->ctx, &run->config, &run->form, run->weights, &variant));
    run->compiled[which] = true;
    return DEQ_OK;
}

/* Uniform on low, ..., high. */
static void draw_depth(deq_run *run, int64_t step)
{
    const deq_int_list *d = &run->config.training.depth;
    double u = 0;
    if (d->count == 0) return;
    deq_random_key key = { (uint64_t)run->config.training.seed, (uint64_t)step, STREAM_DEPTH };
    deq_draw_uniform(&u, DEQ_F64, 1, key, 0, 1);
    run->depth = d->item[0] + (int64_t)(u * (double)(d->item[1] - d->item[0] + 1));
}

/* An output as doubles; `wide` is scratch. */
static deq_status read_wide(deq_run *run, const model_program *m, deq_value v, double *out,
                            size_t count)
{
    if (m->dtype == DEQ_F64) return deq_program_read(m->p, v, out, count * sizeof *out);
    float *narrow = (float *)(void *)run->wide;
    DEQ_TRY(deq_program_read(m->p, v, narrow, count * sizeof *narrow));
    for (size_t i = 0; i < count; i++) out[i] = (double)narrow[i];
    return DEQ_OK;
}

static deq_status write_scalar(const model_program *m, deq_value v, double x)
{
    float narrow = (float)x;
    return m->dtype == DEQ_F64 ? deq_program_write(m->p, v, &x, sizeof x)
                               : deq_program_write(m->p, v, &narrow, sizeof narrow);
}

static deq_status run_program(deq_run *run, model_program *m, const deq_batch *batch)
{
    uint64_t seed = (uint64_t)run->config.training.seed, step = (uint64_t)run->counters.step;
    size_t n_x = (size_t)(m->batch * deq_shape_count(&run->form.input));
    size_t n_target = (size_t)(m->batch * deq_shape_count(&run->form.target));
    DEQ_TRY(deq_program_feed(m, batch->input, n_x, batch->target, n_target, seed, step, run->wide));
    if (m->gamma.id > 0)
        DEQ_TRY(
            write_scalar(m, m->gamma, penalty_weight(&run->config.penalty, run->counters.step)));
    memset(&run->adjoint, 0, sizeof run->adjoint);
    deq_status status = deq_program_run(m->p, DEQ_STAGE_PARAMETER);
    if (status == DEQ_OK) return DEQ_OK;
    char message[DEQ_MESSAGE_BYTES]; /* of the program, else of what it called */
    const char *error = deq_program_error(m->p);
    snprintf(message, sizeof message, "%s", *error ? error : deq_last_error(run->ctx));
    return deq_fail(run->ctx, status, "step %lld: %s", (long long)run->counters.step, message);
}

static deq_status measure(deq_run *run, const model_program *m, const deq_batch *batch,
                          step_result *r)
{
    size_t b = (size_t)m->batch;
    int64_t positions = deq_shape_count(&run->form.target), classes = run->config.model.classes;
    score s = { 0 };
    DEQ_TRY(read_wide(run, m, m->data_loss, &r->loss, 1));
    if (m->penalty.id > 0) DEQ_TRY(read_wide(run, m, m->penalty, &r->penalty, 1));
    DEQ_TRY(read_wide(run, m, m->logits, run->logits, run->n_logits));
    deq_labels_from_logits(run->label, run->logits, m->batch, classes, positions);
    deq_score_add(&s, run->logits, run->label, batch->target, m->batch, classes, positions);
    r->accuracy = (double)s.n_right / (double)s.n_examples;
    r->element_accuracy = s.n_positions > 0 ? (double)s.n_positions_right / (double)s.n_positions
                                            : 0;

    DEQ_TRY(read_wide(run, m, m->report.residual, run->logits, b));
    DEQ_TRY(deq_program_read(m->p, m->report.outcome, run->outcome, b * sizeof *run->outcome));
    DEQ_TRY(deq_program_read(m->p, m->report.n_feval, run->n_feval, b * sizeof *run->n_feval));
    int64_t n_finite = 0;
    for (size_t i = 0; i < b; i++) {
        r->n_bad += run->outcome[i] == DEQ_DIVERGED || run->outcome[i] == DEQ_NON_FINITE;
        r->n_feval += run->n_feval[i];
        if (!isfinite(run->logits[i])) continue;
        r->residual += run->logits[i];
        n_finite++;
    }
    r->n_feval /= (double)b;
    r->residual = n_finite > 0 ? r->residual / (double)n_finite : INFINITY;
    return DEQ_OK;
}

/* What the program says that buffers become. */
static deq_status update_buffers(deq_run *run, const model_program *m)
{
    deq_parameters *buffers = deq_weights_buffers(run->weights);
    for (int i = 0; i < m->n_updates; i++) {
        int index = m->updates[i].buffer;
        size_t bytes = (size_t)deq_parameters_info(buffers, index).count *
                       deq_dtype_size(deq_parameters_dtype(buffers));
        DEQ_TRY(deq_program_read(m->p, m->updates[i].value, deq_parameters_values(buffers, index),
                                 bytes));
    }
    return DEQ_OK;
}

static deq_status update(deq_run *run, const model_program *m, step_result *r)
{
    deq_parameters *p = deq_weights_parameters(run->weights);
    const deq_training_config *t = &run->config.training;
    int threads = deq_context_threads(run->ctx);
    int64_t length = deq_parameters_length(p);
    void *values = deq_parameters_values(p, -1), *grads = deq_parameters_gradients(p, -1);
    r->rate = deq_schedule_rate(&run->schedule, run->counters.step);
    r->gradient_norm = deq_clip_norm(grads, m->dtype, length, t->clip > 0 ? t->clip : INFINITY,
                                     threads);
    r->finite = isfinite(r->gradient_norm) && isfinite(r->loss);
    if (!r->finite) return DEQ_OK;
    DEQ_TRY(deq_optimiser_step(run->optimiser, values, grads, r->rate));
    if (run->average)
        deq_average_update(run->average, values, m->dtype, length, t->average, threads);
    return update_buffers(run, m);
}

deq_status deq_run_step_once(deq_run *run, step_result *r)
{
    deq_batch batch;
    model_program *m;
    int which = choose_program(run, run->counters.step);
    *r = (step_result){ .pretraining = which == PROGRAM_PRETRAIN,
                        .has_penalty = which == PROGRAM_PENALTY };
    DEQ_TRY(get_program(&m, run, which));
    DEQ_TRY(deq_loader_next(run->loader, &batch));
    draw_depth(run, run->counters.step);
    DEQ_TRY(run_program(run, m, &batch));
    DEQ_TRY(measure(run, m, &batch, r));
    DEQ_TRY(update(run, m, r));
    run->counters.step++;
    run->counters.optimiser_steps = deq_optimiser_steps(run->optimiser);
    return DEQ_OK;
}
