/* SPDX-License-Identifier: MIT */
/*
 * One step of GMRES without the product: from the moment A v_j is written until v_{j+1} is asked for.
 *
 * The least that has to move for column j: v_0 ... v_j read once, w = A v_j read and v_{j+1} written,
 * (j + 3) d elements.  Grouped Gram-Schmidt uses every v_i twice and sweeps w once a group; see
 * gmres.c for when the second use comes from a cache.
 */
#include "bench.h"

#include <stdlib.h>

enum { COLUMN = 10, MOST = 512 };

typedef struct stopwatch {
    double since;
    double step[MOST];
    int n, column;
    int64_t d;
} stopwatch;

/* A band: (1 + (i mod 97) / 97) v_i + v_{i+1} / 2 */
static deq_status apply(void *user, void *out, const void *v, const int64_t *samples, int64_t n)
{
    stopwatch *w = user;
    (void)samples;
    if (w->column == COLUMN + 1 && w->n < MOST) w->step[w->n++] = bench_now() - w->since;
    for (int64_t r = 0; r < n; r++) {
        const float *x = (const float *)v + r * w->d;
        float *y = (float *)out + r * w->d;
        for (int64_t i = 0; i < w->d; i++)
            y[i] = (1 + (float)(i % 97) / 97) * x[i] + (i + 1 < w->d ? 0.5F * x[i + 1] : 0);
    }
    w->column++;
    w->since = bench_now();
    return DEQ_OK;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(bench_run *run, const char *shape, int64_t batch, double allowed, stopwatch *w)
{
    double bytes = (COLUMN + 3.0) * (double)(batch * w->d) * sizeof(float);
    qsort(w->step, (size_t)w->n, sizeof *w->step, ascending);
    bench_report(run, &(bench_record){ .name = "gmres, column 10",
                                       .shape = shape,
                                       .limit_name = "one pass over the basis",
                                       .time = { .median = w->step[w->n / 2],
                                                 .p10 = w->step[w->n / 10],
                                                 .p90 = w->step[w->n - 1 - w->n / 10],
                                                 .best = w->step[0],
                                                 .repetitions = w->n },
                                       .limit = bytes / run->machine.bytes,
                                       .allowed = allowed,
                                       .bytes = bytes });
}

static void measure(bench_run *run, const char *shape, int64_t batch, int64_t d, double allowed)
{
    static stopwatch w;
    deq_linear_options o = deq_linear_defaults();
    deq_linear_operator a = { .apply = apply, .user = &w };
    deq_linear_solver *s = NULL;
    float *b = bench_floats((size_t)(batch * d)), *u = bench_floats((size_t)(batch * d));
    double end = bench_now() + (run->quick ? 0 : run->seconds);
    deq_status status;
    o.rtol = 0;
    o.restart = COLUMN + 4;
    o.max_iter = COLUMN + 2;
    w = (stopwatch){ .d = d };
    status = deq_linear_new(&s, run->ctx, DEQ_F32, batch, d, &o);
    do {
        w.column = 0;
        if (status == DEQ_OK) status = deq_linear_solve(u, NULL, s, &a, b, NULL);
    } while (status == DEQ_OK && w.n < MOST && bench_now() < end);
    if (status == DEQ_OK && w.n > 0)
        report(run, shape, batch, allowed, &w);
    else
        bench_fail(run, deq_last_error(run->ctx));
    deq_linear_free(s);
    free(u);
    free(b);
}

static void run_gmres(bench_run *run)
{
    measure(run, "32x65536", 32, 65536, 1.5);
    measure(run, "1x2097152", 1, 2097152, 1.5);
    measure(run, "128x512", 128, 512, 0);
}

const bench_case bench_gmres = { "gmres", "a step of GMRES without the product", run_gmres };
