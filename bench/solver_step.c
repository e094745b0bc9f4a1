/* SPDX-License-Identifier: MIT */
/*
 * One step of a fixed-point solver without the evaluation: from the moment f(z) is written until the
 * next z is.  The limit is one pass over the vectors that the method remembers; for Broyden, which
 * writes half of what it reads, all vectors that a step must read or write.
 *
 * f multiplies element by element, with factors that no solver is done with in so few steps.
 */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

enum { MOST = 4096 };

typedef struct stopwatch {
    double since; /* f returned */
    double step[MOST];
    int n, calls, skip;
    int64_t dim;
} stopwatch;

static deq_status eval(void *user, void *fz, const void *z, const int64_t *samples, int64_t n)
{
    stopwatch *w = user;
    float *f = fz;
    const float *x = z;
    (void)samples;
    if (w->calls++ > w->skip && w->n < MOST) w->step[w->n++] = bench_now() - w->since;
    for (int64_t r = 0; r < n; r++)
        for (int64_t i = 0; i < w->dim; i++) {
            float at = (float)(i * 7919 % w->dim) / (float)w->dim;
            f[r * w->dim + i] = (0.3f + 0.6999f * at) * x[r * w->dim + i] + 1.0f + at;
        }
    w->since = bench_now();
    return DEQ_OK;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef struct step_case {
    const char *name, *shape;
    deq_method method;
    int remembered; /* pairs of vectors */
    int beside;     /* vectors that a step must move beside those */
    int64_t batch, dim;
    double allowed;
} step_case;

static const step_case cases[] = {
    { "anderson, depth 5", "32x65536", DEQ_ANDERSON, 5, 0, 32, 65536, 1.3 },
    { "anderson, depth 5", "1x2097152", DEQ_ANDERSON, 5, 0, 1, 2097152, 1.3 },
    { "anderson, depth 20", "32x65536", DEQ_ANDERSON, 20, 0, 32, 65536, 0 },
    { "anderson, depth 5", "128x512", DEQ_ANDERSON, 5, 0, 128, 512, 0 },
    { "broyden, 10 updates", "32x65536", DEQ_BROYDEN, 10, 11, 32, 65536, 1.5 },
    { "broyden, 10 updates", "1x2097152", DEQ_BROYDEN, 10, 11, 1, 2097152, 1.5 },
    { "picard", "32x65536", DEQ_PICARD, 1, 0, 32, 65536, 1.3 },
};

static deq_solver_options options_of(const bench_run *run, const step_case *c)
{
    deq_solver_options o = deq_solver_defaults();
    o.method = c->method;
    o.rtol = 0;
    o.divergence = 0;
    o.stagnation_window = 0;
    o.max_iter = 2 * c->remembered + (run->quick ? 6 : 30);
    o.anderson.depth = c->remembered;
    o.anderson.safeguard = 0;
    o.broyden.memory = c->remembered;
    o.broyden.reduction = DEQ_REDUCE_OLDEST;
    o.broyden.safeguard = 0;
    return o;
}

static void run_step(bench_run *run, const step_case *c)
{
    deq_solver_options o = options_of(run, c);
    deq_solver *s = NULL;
    static stopwatch w;
    w = (stopwatch){ .skip = 2 * c->remembered + 2, .dim = c->dim };
    deq_map f = { .struct_size = sizeof f, .eval = eval, .user = &w };
    float *z = bench_floats((size_t)(c->batch * c->dim));
    if (deq_solver_new(&s, run->ctx, &o, c->batch, c->dim, DEQ_F32) == DEQ_OK &&
        deq_solve(z, NULL, s, &f) == DEQ_OK && w.n > 0) {
        double bytes = (2.0 * c->remembered + c->beside) * (double)(c->batch * c->dim) *
                       sizeof(float);
        qsort(w.step, (size_t)w.n, sizeof *w.step, ascending);
        bench_report(run, &(bench_record){ .name = c->name,
                                           .shape = c->shape,
                                           .limit_name = c->beside ? "vectors moved once"
                                                                   : "one pass over the history",
                                           .time = { .median = w.step[w.n / 2],
                                                     .p10 = w.step[w.n / 10],
                                                     .p90 = w.step[w.n - 1 - w.n / 10],
                                                     .best = w.step[0],
                                                     .repetitions = w.n },
                                           .limit = bytes / run->machine.bytes,
                                           .allowed = c->allowed,
                                           .bytes = bytes });
    } else {
        bench_fail(run, deq_last_error(run->ctx));
    }
    deq_solver_free(s);
    free(z);
}

static void run_steps(bench_run *run)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) run_step(run, &cases[i]);
}

const bench_case bench_solver_step = { "step", "solver steps without evaluations", run_steps };
