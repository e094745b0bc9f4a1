/* SPDX-License-Identifier: MIT */
/*
 * Whole solves, forward and with the implicit gradient of all weights:
 *
 *     dense  f(z) = tanh(W z + U x + b), batch 128, d 512, to |f(z) - z| <= 1e-4
 *     conv   the cell of bench/cell.c, batch 32, ten evaluations, ten more backward
 *
 * bench/peers/torchdeq_solve.py measures the same with PyTorch and TorchDEQ: the weights come from
 * the same generator (bench_floats) and are scaled alike.  The "limit" here is the evaluations of f
 * alone, timed in the same run, so the ratio shows what the solver adds.
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
    deq_equilibrium_report report;
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

/* The solve as a program whose state stage is all of it: x counts as state here. */
typedef struct solve {
    const char *name;
    deq_method method;
    bool conv, backward;
} solve;

static deq_equilibrium_options options_of(const solve *s)
{
    deq_equilibrium_options o = deq_equilibrium_defaults();
    o.forward.method = s->method;
    o.forward.rtol = 0;
    o.forward.atol = s->conv ? 0 : 1e-4;
    o.forward.max_iter = s->conv ? 10 : 100;
    o.forward.stagnation_window = 0;
    o.adjoint.atol = s->conv ? 0 : 1e-4;
    o.adjoint.rtol = 0;
    o.adjoint.max_iter = s->conv ? 10 : 100;
    return o;
}

static deq_value build(cell *c, const solve *s)
{
    deq_graph *g = c->p.g;
    deq_shape shape = s->conv ? DEQ_SHAPE(32, CHANNELS, PLANE, PLANE) : DEQ_SHAPE(128, 512);
    c->x = deq_input(g, "x", DEQ_STAGE_STATE, DEQ_F32, shape);
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
    deq_equilibrium_options o = options_of(s);
    deq_value z0 = deq_fill(g, DEQ_F32, shape, 0);
    return deq_equilibrium(g, s->conv ? conv : dense, c, z0, &o, &c->report);
}

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

static void measure(bench_run *run, const solve *s)
{
    cell c = { 0 };
    deq_value out[16];
    int n_out = 0;
    if (!bench_program_begin(&c.p, run)) return;
    deq_value z = build(&c, s);
    out[n_out++] = c.report.n_feval;
    if (s->backward) {
        deq_value loss = deq_sum(c.p.g, z, DEQ_ALL_AXES, false);
        deq_vjp(c.p.g, out + n_out, &loss, NULL, 1, c.w, c.n_w);
        n_out += c.n_w;
    } else {
        out[n_out++] = z;
    }
    if (bench_program_compile(&c.p, out, n_out, &c.x, 1, false)) {
        char text[64];
        bench_time t = bench_measure(run, bench_state_run, &c.p);
        snprintf(text, sizeof text, "%s, %d evals", s->conv ? "conv" : "dense",
                 (int)most(&c.p, c.report.n_feval));
        bench_report(
            run, &(bench_record){
                     .name = s->name, .shape = text, .limit_name = "see bench/peers", .time = t });
    }
    bench_program_end(&c.p);
}

static void run_solve(bench_run *run)
{
    static const solve solves[] = {
        { "picard", DEQ_PICARD, false, false },
        { "anderson", DEQ_ANDERSON, false, false },
        { "broyden", DEQ_BROYDEN, false, false },
        { "picard + IFT", DEQ_PICARD, false, true },
        { "anderson + IFT", DEQ_ANDERSON, false, true },
        { "broyden + IFT", DEQ_BROYDEN, false, true },
        { "picard", DEQ_PICARD, true, false },
        { "anderson", DEQ_ANDERSON, true, false },
        { "broyden", DEQ_BROYDEN, true, false },
        { "picard + IFT", DEQ_PICARD, true, true },
        { "anderson + IFT", DEQ_ANDERSON, true, true },
        { "broyden + IFT", DEQ_BROYDEN, true, true },
    };
    for (size_t i = 0; i < sizeof solves / sizeof *solves; i++)
        if (!run->quick || !solves[i].conv) measure(run, &solves[i]);
}

const bench_case bench_solve = { "solve", "whole equilibrium solves, with gradients", run_solve };
