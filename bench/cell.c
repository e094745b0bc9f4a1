/* SPDX-License-Identifier: MIT */
/*
 * The convolutional equilibrium cell
 *
 *     f(z, x) = GN(relu(z + GN(x + conv(GN(relu(conv(z)))))))
 *
 * state B x 64 x 32 x 32, 3 x 3 convolutions 64 -> 64, 8 groups, and its vector-Jacobian product at
 * a fixed z.  The limit is the sum of the two bare convolutions and of one pass over memory for each
 * normalisation:
 *
 *     forward  relu + GN: read, write;  x + z + GN + relu: read 3, write 1;  GN: read, write
 *     adjoint  the same three passes read u, xhat (and the mask of the relu, a byte) and write u;
 *              the last adds the two branches of z
 */
#include "bare.h"

#include <stdio.h>

enum { CHANNELS = 64, PLANE = 32, GROUPS = 8 };

typedef struct cell {
    bench_program p;
    deq_value z, x, y;
} cell;

static deq_value norm(cell *c, deq_value v, const char *gamma, const char *beta)
{
    deq_value scale = bench_parameter(&c->p, gamma, DEQ_SHAPE(CHANNELS));
    deq_value shift = bench_parameter(&c->p, beta, DEQ_SHAPE(CHANNELS));
    return deq_group_norm(c->p.g, v, GROUPS, scale, shift, 1e-5);
}

static void build(cell *c, int batch, deq_stage z_stage)
{
    deq_graph *g = c->p.g;
    deq_shape s = DEQ_SHAPE(batch, CHANNELS, PLANE, PLANE);
    deq_shape k = DEQ_SHAPE(CHANNELS, CHANNELS, 3, 3);
    const deq_conv2d_options *same = DEQ_CONV2D(.padding = { 1, 1 });
    c->z = deq_input(g, "z", z_stage, DEQ_F32, s);
    c->x = deq_input(g, "x", DEQ_STAGE_INJECTED, DEQ_F32, s);
    deq_value w1 = bench_parameter(&c->p, "w1", k), w2 = bench_parameter(&c->p, "w2", k);
    deq_value h = norm(c, deq_relu(g, deq_conv2d(g, c->z, w1, DEQ_NONE, same)), "g1", "b1");
    h = norm(c, deq_add(g, c->x, deq_conv2d(g, h, w2, DEQ_NONE, same)), "g2", "b2");
    c->y = norm(c, deq_relu(g, deq_add(g, c->z, h)), "g3", "b3");
}

static double conv_flops(int batch)
{
    return 2.0 * batch * CHANNELS * CHANNELS * 9 * PLANE * PLANE;
}

static void report(bench_run *run, const char *name, int batch, bench_time t, double conv,
                   double arrays, double allowed)
{
    char shape[64];
    double bytes = arrays * batch * CHANNELS * PLANE * PLANE * sizeof(float);
    snprintf(shape, sizeof shape, "%dx%dx%dx%d", batch, CHANNELS, PLANE, PLANE);
    bench_report(run, &(bench_record){ .name = name,
                                       .shape = shape,
                                       .limit_name = "bare convolutions + norm passes at triad",
                                       .time = t,
                                       .limit = conv + bytes / run->machine.bytes,
                                       .allowed = allowed,
                                       .flops = 2 * conv_flops(batch) });
}

static void forward(bench_run *run, int batch, bool winograd)
{
    cell c;
    bench_time bare, t;
    void *conv = bare_convolution_new(run, BARE_FORWARD, batch, CHANNELS, CHANNELS, PLANE, 3);
    if (!conv || !bench_program_begin(&c.p, run)) return;
    build(&c, batch, DEQ_STAGE_STATE);
    deq_value inputs[2] = { c.z, c.x };
    if (bench_program_compile(&c.p, &c.y, 1, inputs, 2, winograd)) {
        bench_measure_both(run, &t, bench_state_run, &c.p, &bare, bare_convolution_run, conv);
        report(run, winograd ? "forward, Winograd" : "forward", batch, t, 2 * bare.median, 8,
               batch == 32 && !winograd ? 1.10 : 0);
    }
    bench_program_end(&c.p);
    bare_convolution_free(conv);
}

static void adjoint(bench_run *run, int batch, bool winograd)
{
    cell c;
    bench_time bare, t;
    void *conv = bare_convolution_new(run, BARE_INPUT_GRAD, batch, CHANNELS, CHANNELS, PLANE, 3);
    if (!conv || !bench_program_begin(&c.p, run)) return;
    build(&c, batch, DEQ_STAGE_INJECTED);
    deq_value u = deq_input(c.p.g, "u", DEQ_STAGE_STATE, DEQ_F32,
                            DEQ_SHAPE(batch, CHANNELS, PLANE, PLANE));
    deq_value du;
    deq_vjp(c.p.g, &du, &c.y, &u, 1, &c.z, 1);
    deq_value inputs[3] = { u, c.z, c.x };
    if (bench_program_compile(&c.p, &du, 1, inputs, 3, winograd)) {
        bench_measure_both(run, &t, bench_state_run, &c.p, &bare, bare_convolution_run, conv);
        /* reads u, xhat, writes; three times; masks are a quarter; the sum of branches reads one */
        report(run, winograd ? "vjp, Winograd" : "vjp", batch, t, 2 * bare.median,
               3 * 3 + 2 * 0.25 + 1, batch == 32 && !winograd ? 1.15 : 0);
    }
    bench_program_end(&c.p);
    bare_convolution_free(conv);
}

static void run_cell(bench_run *run)
{
    for (int batch = 1; batch <= (run->quick ? 1 : 4); batch *= 2) forward(run, batch, false);
    if (run->quick) return;
    forward(run, 32, false);
    forward(run, 32, true);
}

static void run_adjoint(bench_run *run)
{
    for (int batch = 1; batch <= (run->quick ? 1 : 4); batch *= 2) adjoint(run, batch, false);
    if (run->quick) return;
    adjoint(run, 32, false);
    adjoint(run, 32, true);
}

const bench_case bench_cell = { "cell", "convolutional equilibrium cell, one iteration", run_cell };
const bench_case bench_adjoint = { "adjoint", "its vector-Jacobian product, one iteration",
                                   run_adjoint };
