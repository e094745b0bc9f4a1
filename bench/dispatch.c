/* SPDX-License-Identifier: MIT */
/*
 * What a step costs beyond its arithmetic: a program of 50 tiny nodes that cannot be fused (they
 * alternate between an element-wise operator and a sum over an axis), per node.
 */
#include "bench.h"

enum { PAIRS = 25, SIZE = 8 };

static void run_dispatch(bench_run *run)
{
    bench_program p;
    if (!bench_program_begin(&p, run)) return;
    deq_value z = deq_input(p.g, "z", DEQ_STAGE_STATE, DEQ_F32, DEQ_SHAPE(SIZE));
    deq_value v = z;
    for (int i = 0; i < PAIRS; i++) {
        deq_value mean = deq_mean(p.g, v, DEQ_ALL_AXES, true);
        v = deq_mul(p.g, z, mean);
    }
    if (bench_program_compile(&p, &v, 1, &z, 1, false)) {
        bench_time t = bench_measure(run, bench_state_run, &p);
        int steps = deq_program_stats(p.program).n_steps[DEQ_STAGE_STATE];
        double per = 1.0 / steps;
        bench_time each = { t.median * per, t.p10 * per, t.p90 * per, t.best * per, t.repetitions };
        bench_report(run, &(bench_record){ .name = "one tiny node",
                                           .shape = "8",
                                           .limit_name = "0.3 us, the aim",
                                           .time = each,
                                           .limit = 0.3e-6,
                                           .allowed = 1.0 });
    }
    bench_program_end(&p);
}

const bench_case bench_dispatch = { "dispatch", "cost of a tiny node", run_dispatch };
