/* SPDX-License-Identifier: MIT */
/* The fully connected cell  f(z, x) = tanh(W z + U x + b)  against oneDNN's sgemm of the same shape. */
#include "bare.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

static void measure(bench_run *run, int batch, int d)
{
    bench_program p;
    bare_product s = { .m = batch, .n = d, .k = d };
    if (!bench_program_begin(&p, run)) return;
    deq_graph *g = p.g;
    deq_value z = deq_input(g, "z", DEQ_STAGE_STATE, DEQ_F32, DEQ_SHAPE(batch, d));
    deq_value x = deq_input(g, "x", DEQ_STAGE_INJECTED, DEQ_F32, DEQ_SHAPE(batch, d));
    deq_value w = bench_parameter(&p, "W", DEQ_SHAPE(d, d));
    deq_value u = bench_parameter(&p, "U", DEQ_SHAPE(d, d));
    deq_value b = bench_parameter(&p, "b", DEQ_SHAPE(d));
    deq_value sum = deq_add(g, deq_linear(g, z, w, DEQ_NONE), deq_linear(g, x, u, b));
    deq_value y = deq_tanh(g, sum), inputs[2] = { z, x };
    if (bench_program_compile(&p, &y, 1, inputs, 2, false)) {
        char shape[64];
        bench_time t, peak;
        s.a = bench_floats((size_t)(batch * d));
        s.b = bench_floats((size_t)(d * d));
        s.c = bench_floats((size_t)(batch * d));
        omp_set_num_threads(run->threads); /* sgemm asks OpenMP */
        bench_measure_both(run, &t, bench_state_run, &p, &peak, bare_sgemm, &s);
        snprintf(shape, sizeof shape, "%dx%d", batch, d);
        bench_report(run, &(bench_record){ .name = "tanh(Wz + Ux + b)",
                                           .shape = shape,
                                           .limit_name = "oneDNN sgemm alone",
                                           .time = t,
                                           .limit = peak.median,
                                           .allowed = batch == 128 ? 1 / 0.70 : 0,
                                           .flops = 2.0 * batch * d * d });
        free(s.a);
        free(s.b);
        free(s.c);
    }
    bench_program_end(&p);
}

static void run_dense(bench_run *run)
{
    static const int batches[] = { 1, 2, 4, 128 };
    for (int i = 0; i < 4; i++)
        if (!run->quick || i == 0) measure(run, batches[i], 512);
}

const bench_case bench_dense = { "dense", "fully connected cell, one iteration", run_dense };
