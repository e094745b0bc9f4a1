/* SPDX-License-Identifier: MIT */
/*
 * A step of training a small equilibrium model: solve, loss, implicit gradient, clipping, Adam.
 *
 *     mlp       z = tanh(W z + U x + b), 784 -> 256 -> 10, batch 128
 *     sequence  the recurrent-convolutional cell, 32 channels, on 32 bits, batch 64
 *
 * The limit of a step is the program alone, timed turn by turn with it: what solving and
 * differentiating cost, so the ratio shows what the rest adds.  Updates of long vectors are bound by
 * memory: their limit is the bytes that they must move at the speed of the triad.
 */
#include "bench.h"

#include <deq/model.h>
#include <deq/optim.h>
#include <math.h>
#include <stdlib.h>

enum { MOST_OUTPUTS = 64, WIDTH = 32 };

#define TRY(call)                                                                                  \
    do {                                                                                           \
        deq_status try_status = (call);                                                            \
        if (try_status != DEQ_OK) return try_status;                                               \
    } while (0)

typedef struct training {
    bench_run *run;
    deq_weights *weights;
    deq_graph *g;
    deq_nn *nn;
    deq_program *p;
    deq_optimiser *optimiser;
    deq_value x, target, loss, n_feval;
} training;

typedef struct setting {
    const char *name, *shape_text;
    deq_model_family family;
    deq_shape input, target;
} setting;

static deq_status build(training *t, const setting *s)
{
    deq_model_options model = deq_model_defaults(s->family);
    deq_model_solve solve = deq_model_solve_defaults();
    deq_model_outputs out;
    deq_value outputs[MOST_OUTPUTS];

    model.recurrent.width = WIDTH;
    solve.equilibrium.forward.method = DEQ_ANDERSON;
    solve.equilibrium.forward.anderson.depth = 6;
    t->x = deq_input(t->g, "x", DEQ_STAGE_INJECTED, DEQ_F32, s->input);
    t->target = deq_input(t->g, "target", DEQ_STAGE_INJECTED, DEQ_I32, s->target);
    TRY(deq_model_build(t->nn, &out, t->x, &model, &solve));
    TRY(deq_weights_allocate(t->weights));
    TRY(deq_weights_initialise(t->weights, 1));
    deq_value logits = out.logits[out.n_logits - 1];
    t->loss = outputs[0] = deq_cross_entropy(t->g, logits, t->target, NULL);
    t->n_feval = outputs[1] = out.report.n_feval;
    deq_parameters *theta = deq_weights_parameters(t->weights);
    const int n = deq_parameters_count(theta);
    if (n + 2 > MOST_OUTPUTS) return DEQ_ERR_UNSUPPORTED;
    TRY(deq_gradients(t->g, outputs + 2, t->loss, theta));
    TRY(deq_compile(&t->p, t->g, outputs, n + 2, NULL));
    TRY(deq_program_bind_gradients(t->p, theta, outputs + 2));
    const deq_optimiser_options adam = deq_optimiser_defaults(DEQ_ADAM);
    return deq_optimiser_new(&t->optimiser, t->run->ctx, DEQ_F32, deq_parameters_length(theta),
                             &adam);
}

static deq_status write_batch(training *t, const setting *s)
{
    const int64_t n = deq_shape_count(&s->input), m = deq_shape_count(&s->target);
    float *x = bench_floats((size_t)n);
    int32_t *target = malloc((size_t)m * sizeof *target);
    deq_status status = target ? DEQ_OK : DEQ_ERR_NOMEM;

    for (int64_t i = 0; target && i < m; i++)
        target[i] = (int32_t)(i * 7 % (s->family == DEQ_MODEL_SEQUENCE ? 2 : 10));
    if (target) status = deq_program_write(t->p, t->x, x, (size_t)n * sizeof *x);
    if (status == DEQ_OK)
        status = deq_program_write(t->p, t->target, target, (size_t)m * sizeof *target);
    free(x);
    free(target);
    return status;
}

static void differentiate(void *user)
{
    training *t = user;

    if (deq_program_run(t->p, DEQ_STAGE_PARAMETER) != DEQ_OK)
        bench_fail(t->run, deq_program_error(t->p));
}

/* The rate is 0: a model that learns would not do the same work each time. */
static void step(void *user)
{
    training *t = user;
    deq_parameters *theta = deq_weights_parameters(t->weights);
    void *grads = deq_parameters_gradients(theta, -1);

    differentiate(t);
    (void)deq_clip_norm(grads, DEQ_F32, deq_parameters_length(theta), 1e-3, t->run->threads);
    if (deq_optimiser_step(t->optimiser, deq_parameters_values(theta, -1), grads, 0) != DEQ_OK)
        bench_fail(t->run, deq_last_error(t->run->ctx));
}

static deq_status prepare(training *t, bench_run *run, const setting *s)
{
    *t = (training){ .run = run };
    TRY(deq_weights_new(&t->weights, run->ctx, DEQ_F32));
    TRY(deq_graph_new(&t->g, run->ctx));
    TRY(deq_nn_new(&t->nn, t->g, t->weights, true));
    TRY(build(t, s));
    TRY(write_batch(t, s));
    return deq_program_run(t->p, DEQ_STAGE_PARAMETER);
}

static void finish(training *t)
{
    deq_optimiser_free(t->optimiser);
    deq_program_free(t->p);
    deq_nn_free(t->nn);
    deq_graph_free(t->g);
    deq_weights_free(t->weights);
}

static void measure_step(bench_run *run, const setting *s)
{
    training t;
    bench_time whole, alone;

    if (prepare(&t, run, s) == DEQ_OK) {
        bench_measure_both(run, &whole, step, &t, &alone, differentiate, &t);
        bench_report(run, &(bench_record){ .name = s->name,
                                           .shape = s->shape_text,
                                           .limit_name = "solve and gradient alone",
                                           .time = whole,
                                           .limit = alone.median });
    } else {
        bench_fail(run, t.p ? deq_program_error(t.p) : deq_last_error(run->ctx));
    }
    finish(&t);
}

/* Updates of long vectors. */

typedef struct vectors {
    bench_run *run;
    deq_optimiser *optimiser;
    float *theta, *g;
    int64_t n;
} vectors;

static void update(void *user)
{
    vectors *v = user;

    if (deq_optimiser_step(v->optimiser, v->theta, v->g, 1e-6) != DEQ_OK)
        bench_fail(v->run, deq_last_error(v->run->ctx));
}

static void norm(void *user)
{
    vectors *v = user;

    (void)deq_clip_norm(v->g, DEQ_F32, v->n, INFINITY, v->run->threads);
}

static void average(void *user)
{
    vectors *v = user;

    deq_average_update(v->theta, v->g, DEQ_F32, v->n, 0.999, v->run->threads);
}

static void measure_bytes(bench_run *run, const char *name, bench_body *body, vectors *v,
                          double bytes)
{
    const bench_time t = bench_measure(run, body, v);

    bench_report(run, &(bench_record){ .name = name,
                                       .shape = "4M",
                                       .limit_name = "memory",
                                       .time = t,
                                       .limit = bytes / run->machine.bytes,
                                       .bytes = bytes });
}

static void measure_updates(bench_run *run)
{
    static const struct {
        deq_optimiser_kind kind;
        int vectors; /* read and written */
    } rows[] = { { DEQ_SGD, 5 }, { DEQ_ADAM, 7 }, { DEQ_ADAMW, 7 }, { DEQ_RADAM, 7 } };
    vectors v = { .run = run, .n = (int64_t)1 << 22 };

    v.theta = bench_floats((size_t)v.n);
    v.g = bench_floats((size_t)v.n);
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        const deq_optimiser_options o = deq_optimiser_defaults(rows[k].kind);
        if (deq_optimiser_new(&v.optimiser, run->ctx, DEQ_F32, v.n, &o) != DEQ_OK) {
            bench_fail(run, deq_last_error(run->ctx));
            continue;
        }
        deq_optimiser_set_steps(v.optimiser, 100); /* past RAdam's first steps */
        measure_bytes(run, deq_optimiser_name(rows[k].kind), update, &v,
                      4.0 * rows[k].vectors * (double)v.n);
        deq_optimiser_free(v.optimiser);
    }
    measure_bytes(run, "norm", norm, &v, 4.0 * (double)v.n);
    measure_bytes(run, "average", average, &v, 12.0 * (double)v.n);
    free(v.theta);
    free(v.g);
}

static void run_train(bench_run *run)
{
    static const setting settings[] = {
        { "mlp step", "128x784", DEQ_MODEL_MLP, { 2, { 128, 784 } }, { 1, { 128 } } },
        { "sequence step", "64x1x32", DEQ_MODEL_SEQUENCE, { 3, { 64, 1, 32 } }, { 2, { 64, 32 } } },
    };

    for (size_t k = 0; k < sizeof settings / sizeof *settings; k++) measure_step(run, &settings[k]);
    measure_updates(run);
}

const bench_case bench_train = { "train", "training steps, and updates of long vectors",
                                 run_train };
