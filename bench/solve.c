/* SPDX-License-Identifier: MIT */
/*
 * Whole solves, forward and with the implicit gradient of all weights:
 *
 *     dense  f(z) = tanh(W z + U x + b), batch 128, d 512, to |f(z) - z| <= 1e-4
 *     conv   the cell of bench/cell.c, batch 32, ten evaluations, ten products backward
 *
 * bench/peers/torchdeq_solve.py measures the same with PyTorch and TorchDEQ: the weights come from
 * the same generator (bench_floats) and are scaled alike, and Anderson keeps as many pairs.  The limit
 * is the work that any solver would have to do, timed turn by turn with the solve: so many evaluations
 * of f; backward also f once more at z*, so many products with J, and the gradients of the weights.
 * So the ratio shows what the solver adds.
 */
#include "bench.h"

#include <deq/equilibrium.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNELS = 64, PLANE = 32 };

typedef struct cell {
    bench_program p;
    deq_value w[8]; /* parameters */
    int n_w;
    deq_value x;
} cell;

static deq_value weight(cell *c, const char *name, deq_shape shape)
{
    return c->w[c->n_w++] = bench_parameter(&c->p, name, shape);
}

static void dense(deq_graph *g, const deq_value *z, deq_value *fz, void *user)
{
    const cell *c = user;
    deq_value injected = deq_linear(g, c->x, c->w[1], c->w[2]);
    fz[0] = deq_tanh(g, deq_add(g, deq_linear(g, z[0], c->w[0], DEQ_NONE), injected));
}

static deq_value norm(deq_graph *g, const cell *c, deq_value v, int gamma)
{
    return deq_group_norm(g, v, 8, c->w[gamma], c->w[gamma + 1], 1e-5);
}

static void conv(deq_graph *g, const deq_value *z, deq_value *fz, void *user)
{
    const cell *c = user;
    const deq_conv2d_options *same = DEQ_CONV2D(.padding = { 1, 1 });
    deq_value h = norm(g, c, deq_relu(g, deq_conv2d(g, z[0], c->w[0], DEQ_NONE, same)), 2);
    h = norm(g, c, deq_add(g, c->x, deq_conv2d(g, h, c->w[1], DEQ_NONE, same)), 4);
    fz[0] = norm(g, c, deq_relu(g, deq_add(g, z[0], h)), 6);
}

typedef struct solve {
    const char *name;
    deq_method method;
    bool conv, backward, winograd;
} solve;

static void count(void *user, const deq_linear_info *info, int64_t batch)
{
    int *most = user;
    for (int64_t b = 0; b < batch; b++)
        if (info[b].n_apply > *most) *most = (int)info[b].n_apply;
}

static deq_equilibrium_options options_of(const solve *s, int *products)
{
    deq_equilibrium_options o = deq_equilibrium_defaults();
    o.forward.method = s->method;
    o.forward.rtol = 0;
    o.forward.atol = s->conv ? 0 : 1e-4;
    o.forward.max_iter = s->conv ? 10 : 100;
    o.forward.stagnation_window = 0;
    o.forward.anderson.depth = 6;
    o.adjoint.atol = s->conv ? 0 : 1e-4;
    o.adjoint.rtol = 0;
    o.adjoint.max_iter = s->conv ? 10 : 100;
    o.adjoint_observer = count;
    o.adjoint_observer_user = products;
    return o;
}

static deq_shape shape_of(const solve *s)
{
    return s->conv ? DEQ_SHAPE(32, CHANNELS, PLANE, PLANE) : DEQ_SHAPE(128, 512);
}

static bool begin(cell *c, bench_run *run, const solve *s, deq_stage injected)
{
    *c = (cell){ .n_w = 0 };
    if (!bench_program_begin(&c->p, run)) return false;
    c->x = deq_input(c->p.g, "x", injected, DEQ_F32, shape_of(s));
    if (s->conv) {
        static const char *const names[6] = { "g1", "b1", "g2", "b2", "g3", "b3" };
        weight(c, "w1", DEQ_SHAPE(CHANNELS, CHANNELS, 3, 3));
        weight(c, "w2", DEQ_SHAPE(CHANNELS, CHANNELS, 3, 3));
        for (int i = 0; i < 6; i++) weight(c, names[i], DEQ_SHAPE(CHANNELS));
    } else {
        weight(c, "W", DEQ_SHAPE(512, 512));
        weight(c, "U", DEQ_SHAPE(512, 512));
        weight(c, "b", DEQ_SHAPE(512));
    }
    return true;
}

/* The work behind a solve ---------------------------------------------------------------------- */

enum { EVALUATION, PRODUCT, WEIGHTS, WORKS };

typedef struct work {
    cell c[WORKS];
    bool made[WORKS];
    int evaluations, products;
} work;

/* f(z), or u J with z fixed, or the gradients of u . f(z) for the weights. */
static bool make_work(work *w, bench_run *run, const solve *s, int which)
{
    cell *c = &w->c[which];
    deq_value in[3], fz, out[8];
    int n_in = 2, n_out = 1;
    deq_stage injected = which == WEIGHTS ? DEQ_STAGE_STATE : DEQ_STAGE_INJECTED;
    if (!begin(c, run, s, injected)) return false;
    w->made[which] = true;
    deq_graph *g = c->p.g;
    in[0] = c->x;
    in[1] = deq_input(g, "z", which == PRODUCT ? DEQ_STAGE_INJECTED : DEQ_STAGE_STATE, DEQ_F32,
                      shape_of(s));
    (s->conv ? conv : dense)(g, &in[1], &fz, c);
    out[0] = fz;
    if (which != EVALUATION) in[n_in++] = deq_input(g, "u", DEQ_STAGE_STATE, DEQ_F32, shape_of(s));
    if (which == PRODUCT) deq_vjp(g, out, &fz, &in[2], 1, &in[1], 1);
    if (which == WEIGHTS) deq_vjp(g, out, &fz, &in[2], 1, c->w, n_out = c->n_w);
    return bench_program_compile(&c->p, out, n_out, in, n_in, s->winograd);
}

static void do_work(void *user)
{
    work *w = user;
    for (int i = 0; i < w->evaluations; i++) bench_state_run(&w->c[EVALUATION].p);
    if (!w->made[PRODUCT]) return;
    bench_program *product = &w->c[PRODUCT].p;
    if (deq_program_run(product->program, DEQ_STAGE_INJECTED) != DEQ_OK)
        bench_fail(product->run, deq_program_error(product->program));
    for (int i = 1; i < w->products; i++) bench_state_run(product);
    bench_state_run(&w->c[WEIGHTS].p);
}

/* The solve as a program whose state stage is all of it: x counts as state here. ---------------- */

static int32_t most(bench_program *p, deq_value v)
{
    deq_type t = deq_value_type(p->g, v);
    int64_t n = deq_shape_count(&t.shape);
    int32_t *data = malloc(deq_type_bytes(&t)), largest = 0;
    if (data && deq_program_read(p->program, v, data, deq_type_bytes(&t)) == DEQ_OK)
        for (int64_t i = 0; i < n; i++) largest = data[i] > largest ? data[i] : largest;
    free(data);
    return largest;
}

static void report(bench_run *run, const solve *s, const work *w, bench_time t, bench_time least)
{
    char text[64];
    if (s->backward)
        snprintf(text, sizeof text, "%s, %d + %d%s", s->conv ? "conv" : "dense", w->evaluations,
                 w->products, s->winograd ? ", W" : "");
    else
        snprintf(text, sizeof text, "%s, %d%s", s->conv ? "conv" : "dense", w->evaluations,
                 s->winograd ? ", W" : "");
    bench_report(run, &(bench_record){ .name = s->name,
                                       .shape = text,
                                       .limit_name = "evaluations and products alone",
                                       .time = t,
                                       .limit = least.median });
}

static void measure(bench_run *run, const solve *s)
{
    cell c;
    work w = { .evaluations = 0 };
    deq_equilibrium_report told;
    deq_value out[16], z0;
    int n_out = 0;
    bench_time t, least;
    if (!begin(&c, run, s, DEQ_STAGE_STATE)) return;
    deq_equilibrium_options o = options_of(s, &w.products);
    z0 = deq_fill(c.p.g, DEQ_F32, shape_of(s), 0);
    deq_value z = deq_equilibrium(c.p.g, s->conv ? conv : dense, &c, z0, &o, &told);
    out[n_out++] = told.n_feval;
    if (s->backward) {
        deq_value loss = deq_sum(c.p.g, z, DEQ_ALL_AXES, false);
        deq_vjp(c.p.g, out + n_out, &loss, NULL, 1, c.w, c.n_w);
        n_out += c.n_w;
    } else {
        out[n_out++] = z;
    }
    bool made = bench_program_compile(&c.p, out, n_out, &c.x, 1, s->winograd);
    for (int i = 0; i < (s->backward ? WORKS : 1); i++) made = made && make_work(&w, run, s, i);
    if (made) {
        w.evaluations = (int)most(&c.p, told.n_feval);
        bench_measure_both(run, &t, bench_state_run, &c.p, &least, do_work, &w);
        report(run, s, &w, t, least);
    }
    for (int i = 0; i < WORKS; i++)
        if (w.made[i]) bench_program_end(&w.c[i].p);
    bench_program_end(&c.p);
}

static void run_solve(bench_run *run)
{
    static const struct {
        const char *name, *with_gradient;
        deq_method method;
    } methods[] = {
        { "picard", "picard + IFT", DEQ_PICARD },
        { "anderson", "anderson + IFT", DEQ_ANDERSON },
        { "broyden", "broyden + IFT", DEQ_BROYDEN },
    };
    for (int kind = 0; kind < (run->quick ? 1 : 3); kind++) /* dense, conv, conv by Winograd */
        for (int backward = 0; backward < 2; backward++)
            for (size_t m = 0; m < sizeof methods / sizeof *methods; m++)
                measure(run,
                        &(solve){ .name = backward ? methods[m].with_gradient : methods[m].name,
                                  .method = methods[m].method,
                                  .conv = kind > 0,
                                  .backward = backward,
                                  .winograd = kind > 1 });
}

const bench_case bench_solve = { "solve", "whole equilibrium solves, with gradients", run_solve };
