/* SPDX-License-Identifier: MIT */
/*
 * A whole model: the multiscale classifier of small images (preset cifar-tiny), batch 32, in f32.
 *
 *     evaluation  one evaluation of f, in evaluation mode; the limit is its bare 3 x 3 convolutions
 *     forward     images to logits, 23 evaluations; the limit is 23 times the evaluation measured
 *     step        loss and gradients of all weights in training mode, dropout and batch statistics
 *                 included: 23 evaluations and 20 products of the adjoint solver, or 5 damped steps
 *                 behind the solution that are differentiated
 *
 * The memory of a record is what its programs took from the context, weights and gradients included.
 * bench/peers/torch_multiscale.py measures the same with PyTorch and TorchDEQ; Anderson remembers as
 * many pairs as there.
 */
#include "bare.h"

#include <deq/model.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 32, PLANE = 32, EVALUATIONS = 23 };

/* An allocator that counts. */
typedef struct account {
    size_t now, peak;
} account;

static void *counted_alloc(void *user, size_t bytes, size_t align)
{
    account *a = user;
    void *memory = aligned_alloc(align, (bytes + align - 1) / align * align);
    if (memory && (a->now += bytes) > a->peak) a->peak = a->now;
    return memory;
}

static void counted_free(void *user, void *memory, size_t bytes)
{
    account *a = user;
    a->now -= bytes;
    free(memory);
}

typedef struct model {
    bench_run *run;
    account memory;
    deq_context *ctx;
    deq_graph *g;
    deq_weights *w;
    deq_nn *nn;
    deq_program *program;
    deq_value x, labels, z0[2];
    deq_model_outputs out;
} model;

static bool begin(model *m, bench_run *run, bool training)
{
    *m = (model){ .run = run };
    deq_context_options o = deq_context_defaults();
    deq_allocator counting = { counted_alloc, counted_free, &m->memory };
    o.allocator = &counting;
    o.threads = run->threads;
    return deq_context_new(&m->ctx, &o) == DEQ_OK && deq_graph_new(&m->g, m->ctx) == DEQ_OK &&
           deq_weights_new(&m->w, m->ctx, DEQ_F32) == DEQ_OK &&
           deq_nn_new(&m->nn, m->g, m->w, training) == DEQ_OK;
}

static void end(model *m)
{
    deq_program_free(m->program);
    deq_nn_free(m->nn);
    deq_graph_free(m->g);
    deq_weights_free(m->w);
    deq_context_free(m->ctx);
}

static bool build(model *m, const deq_model_solve *solve, deq_stage x_stage)
{
    deq_model_options o = deq_model_defaults(DEQ_MODEL_MULTISCALE);
    o.multiscale = deq_multiscale_defaults(DEQ_MULTISCALE_CIFAR_TINY);
    m->x = deq_input(m->g, "x", x_stage, DEQ_F32, DEQ_SHAPE(BATCH, 3, PLANE, PLANE));
    return deq_model_build(m->nn, &m->out, m->x, &o, solve) == DEQ_OK &&
           deq_weights_allocate(m->w) == DEQ_OK && deq_weights_initialise(m->w, 1) == DEQ_OK;
}

static bool fill(model *m, deq_value v)
{
    deq_type t = deq_value_type(m->g, v);
    float *data = bench_floats((size_t)deq_shape_count(&t.shape));
    deq_status status = deq_program_write(m->program, v, data, deq_type_bytes(&t));
    free(data);
    return status == DEQ_OK;
}

static bool fill_integers(model *m, deq_value v)
{
    deq_type t = deq_value_type(m->g, v);
    char zeros[512] = { 0 }; /* labels 0, key (0, 0) */
    return deq_program_write(m->program, v, zeros, deq_type_bytes(&t)) == DEQ_OK;
}

static bool compile(model *m, const deq_value *out, int n, bool winograd)
{
    deq_compile_options o = deq_compile_defaults();
    deq_value native[4] = { m->z0[0], m->z0[1], m->out.z_star[0], m->out.z_star[1] };
    o.threads = m->run->threads;
    o.winograd = winograd;
    o.native = native;
    o.n_native = m->z0[0].id ? 4 : 0;
    if (deq_compile(&m->program, m->g, out, n, &o) != DEQ_OK || !fill(m, m->x)) return false;
    for (int i = 0; i < 2; i++)
        if (m->z0[i].id && !fill(m, m->z0[i])) return false;
    deq_value key = deq_nn_used_key(m->nn);
    if ((key.id && !fill_integers(m, key)) || (m->labels.id && !fill_integers(m, m->labels)))
        return false;
    return deq_program_run(m->program, DEQ_STAGE_PARAMETER) == DEQ_OK;
}

static void state_run(void *program)
{
    (void)deq_program_run(((model *)program)->program, DEQ_STAGE_STATE);
}

static bench_time measure(model *m, const char *name, const char *limit_name, double limit)
{
    char shape[64];
    bench_time t = bench_measure(m->run, state_run, m);
    snprintf(shape, sizeof shape, "%dx3x%dx%d %.0fMB", BATCH, PLANE, PLANE,
             (double)m->memory.peak * 1e-6);
    bench_report(
        m->run,
        &(bench_record){
            .name = name, .shape = shape, .limit_name = limit_name, .time = t, .limit = limit });
    return t;
}

/* The four 3 x 3 convolutions of the blocks: 24 -> 120 -> 24 on both planes. */
static double bare(bench_run *run)
{
    static const int shape[4][3] = {
        { 24, 120, 32 }, { 120, 24, 32 }, { 24, 120, 16 }, { 120, 24, 16 }
    };
    double sum = 0;
    for (int i = 0; i < 4; i++) {
        void *conv = bare_convolution_new(run, BARE_FORWARD, BATCH, shape[i][0], shape[i][1],
                                          shape[i][2], 3);
        if (!conv) return 0;
        sum += bench_measure(run, bare_convolution_run, conv).median;
        bare_convolution_free(conv);
    }
    return sum;
}

static void fail(model *m)
{
    bench_fail(m->run, deq_last_error(m->ctx));
}

/* f alone: one unrolled step from given states.  Seconds. */
static double evaluation(bench_run *run, bool winograd)
{
    model m;
    double median = 0;
    deq_model_solve s = deq_model_solve_defaults();
    s.equilibrium.gradient = DEQ_GRADIENT_UNROLL;
    s.equilibrium.forward.max_iter = 1;
    s.has_start = true;
    s.start = DEQ_START_GIVEN;
    if (!begin(&m, run, false)) return 0;
    for (int i = 0; i < 2; i++)
        m.z0[i] = deq_input(m.g, i ? "z1" : "z0", DEQ_STAGE_STATE, DEQ_F32,
                            DEQ_SHAPE(BATCH, 24, PLANE >> i, PLANE >> i));
    s.z0 = m.z0;
    if (build(&m, &s, DEQ_STAGE_INJECTED) && compile(&m, m.out.z_star, 2, winograd))
        median = measure(&m, winograd ? "evaluation, Winograd" : "evaluation",
                         "bare 3x3 convolutions", bare(run))
                     .median;
    else
        fail(&m);
    end(&m);
    return median;
}

/* So many evaluations, whatever the residual. */
static deq_model_solve fixed(void)
{
    deq_model_solve s = deq_model_solve_defaults();
    s.equilibrium.forward.max_iter = EVALUATIONS;
    s.equilibrium.forward.rtol = 0;
    s.equilibrium.forward.stagnation_window = 0;
    s.equilibrium.forward.anderson.depth = 6;
    s.equilibrium.adjoint.max_iter = 20;
    s.equilibrium.adjoint.rtol = 0;
    s.equilibrium.adjoint.trust_recurrence = true;
    return s;
}

static void forward(bench_run *run, deq_method method, bool winograd, double once)
{
    model m;
    char name[64];
    deq_model_solve s = fixed();
    s.equilibrium.forward.method = method;
    snprintf(name, sizeof name, "forward, %s%s", deq_method_name(method),
             winograd ? ", Winograd" : "");
    if (begin(&m, run, false) && build(&m, &s, DEQ_STAGE_STATE) &&
        compile(&m, m.out.logits, 1, winograd))
        measure(&m, name, "evaluations of f", EVALUATIONS * once);
    else
        fail(&m);
    end(&m);
}

static void step(bench_run *run, deq_gradient gradient, bool winograd, double once)
{
    model m;
    deq_model_solve s = fixed();
    s.equilibrium.gradient = gradient;
    s.equilibrium.steps = 5;
    s.equilibrium.tau = gradient == DEQ_GRADIENT_IFT ? 1 : 0.5;
    deq_value *out = NULL;
    bool ok = begin(&m, run, true) && build(&m, &s, DEQ_STAGE_STATE);
    if (ok) {
        deq_parameters *p = deq_weights_parameters(m.w);
        int n = deq_parameters_count(p), n_updates;
        const deq_nn_update *updates = deq_nn_updates(m.nn, &n_updates);
        out = calloc((size_t)(n + n_updates + 1), sizeof *out);
        m.labels = deq_input(m.g, "labels", DEQ_STAGE_STATE, DEQ_I32, DEQ_SHAPE(BATCH));
        deq_value loss = deq_cross_entropy(m.g, m.out.logits[m.out.n_logits - 1], m.labels, NULL);
        ok = out && deq_gradients(m.g, out, loss, p) == DEQ_OK;
        for (int i = 0; ok && i < n_updates; i++) out[n + i] = updates[i].value;
        if (ok) out[n + n_updates] = loss;
        ok = ok && compile(&m, out, n + n_updates + 1, winograd);
    }
    const char *name = gradient == DEQ_GRADIENT_IFT ? "step, implicit" : "step, phantom";
    if (ok)
        measure(&m, winograd ? "step, implicit, Winograd" : name, "evaluations of f",
                EVALUATIONS * once);
    else
        fail(&m);
    free(out);
    end(&m);
}

static void run_multiscale(bench_run *run)
{
    double once = evaluation(run, false);
    if (run->quick || once <= 0) return;
    forward(run, DEQ_ANDERSON, false, once);
    forward(run, DEQ_BROYDEN, false, once);
    step(run, DEQ_GRADIENT_IFT, false, once);
    step(run, DEQ_GRADIENT_PHANTOM_UNROLL, false, once);
    once = evaluation(run, true);
    forward(run, DEQ_ANDERSON, true, once);
    step(run, DEQ_GRADIENT_IFT, true, once);
}

const bench_case bench_multiscale = { "multiscale", "multiscale image classifier, whole model",
                                      run_multiscale };
