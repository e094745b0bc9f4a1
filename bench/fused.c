/* SPDX-License-Identifier: MIT */
/* Work that is bound by memory: element-wise chains and normalisation with what surrounds it. */
#include "bench.h"

#include <stdio.h>

typedef struct stream {
    const char *name;
    int arrays; /* distinct arrays read or written once */
    deq_value (*build)(bench_program *p, deq_value z, deq_value x);
} stream;

static deq_value chain(bench_program *p, deq_value z, deq_value x)
{
    deq_graph *g = p->g;
    deq_value bias = bench_parameter(p, "bias", DEQ_SHAPE(64, 1, 1));
    deq_value y = deq_relu(g, deq_add(g, deq_add(g, z, x), bias));
    return deq_add(g, deq_scale(g, y, 0.5), deq_scale(g, z, 0.25));
}

static deq_value gates(bench_program *p, deq_value z, deq_value x)
{
    deq_graph *g = p->g;
    deq_value s = deq_sigmoid(g, x);
    return deq_add(g, deq_mul(g, s, deq_tanh(g, z)), deq_mul(g, deq_shift(g, deq_neg(g, s), 1), x));
}

static deq_value norm_add_relu(bench_program *p, deq_value z, deq_value x)
{
    deq_value gamma = bench_parameter(p, "gamma", DEQ_SHAPE(64));
    deq_value beta = bench_parameter(p, "beta", DEQ_SHAPE(64));
    return deq_relu(p->g, deq_add(p->g, deq_group_norm(p->g, z, 8, gamma, beta, 1e-5), x));
}

static void measure(bench_run *run, const stream *s, int batch, bool channels_last)
{
    bench_program p;
    if (!bench_program_begin(&p, run)) return;
    deq_shape shape = DEQ_SHAPE(batch, 64, 32, 32);
    deq_value z = deq_input(p.g, "z", DEQ_STAGE_STATE, DEQ_F32, shape);
    deq_value x = deq_input(p.g, "x", DEQ_STAGE_STATE, DEQ_F32, shape);
    deq_value y = s->build(&p, z, x), inputs[2] = { z, x };
    /* A convolution among the outputs makes the program channels-last; it is of a stage that does
     * not run again. */
    deq_value outputs[2] = { y, DEQ_NONE };
    deq_value small = deq_input(p.g, "small", DEQ_STAGE_INJECTED, DEQ_F32, DEQ_SHAPE(1, 16, 4, 4));
    if (channels_last)
        outputs[1] = deq_conv2d(p.g, small, bench_parameter(&p, "w", DEQ_SHAPE(16, 16, 1, 1)),
                                DEQ_NONE, NULL);
    if (bench_program_compile(&p, outputs, channels_last ? 2 : 1, inputs, 2, false)) {
        char text[64];
        bench_time t = bench_measure(run, bench_state_run, &p);
        double bytes = (double)s->arrays * (double)deq_shape_count(&shape) * sizeof(float);
        snprintf(text, sizeof text, "%dx64x32x32%s", batch, channels_last ? " cl" : "");
        bench_report(run, &(bench_record){ .name = s->name,
                                           .shape = text,
                                           .limit_name = "triad",
                                           .time = t,
                                           .limit = bytes / run->machine.bytes,
                                           .allowed = 1 / 0.80,
                                           .bytes = bytes });
    }
    bench_program_end(&p);
}

static void run_fused(bench_run *run)
{
    static const stream streams[] = {
        { "relu(z+x+b)/2 + z/4", 3, chain },
        { "s tanh(z) + (1-s) x", 3, gates },
        { "relu(GN(z) + x)", 3, norm_add_relu },
    };
    /* 128 samples are 33.5 MB an array: beyond the second-level caches by far. */
    for (size_t i = 0; i < sizeof streams / sizeof *streams; i++)
        for (int last = 0; last < 2; last++)
            measure(run, &streams[i], run->quick ? 1 : 128, last != 0);
}

const bench_case bench_fused = { "fused", "element-wise chains and normalisation", run_fused };
