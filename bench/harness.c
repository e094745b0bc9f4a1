/* SPDX-License-Identifier: MIT */
/* Timing and records. */
#define _POSIX_C_SOURCE 200809L
#include "bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MOST_REPETITIONS 20000

double bench_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static bench_time quantiles(double *t, int n)
{
    qsort(t, (size_t)n, sizeof *t, ascending);
    return (bench_time){ .median = t[n / 2],
                         .p10 = t[n / 10],
                         .p90 = t[n - 1 - n / 10],
                         .best = t[0],
                         .repetitions = n };
}

static double timed(bench_body *body, void *user, int calls)
{
    double begin = bench_now();
    for (int i = 0; i < calls; i++) body(user);
    return (bench_now() - begin) / calls;
}

/* Calls a sample, so that a sample is long against the clock's resolution. */
static int calls_per_sample(const bench_run *run, bench_body *body, void *user)
{
    timed(body, user, 1);
    double once = timed(body, user, 1);
    if (run->quick || once > 20e-6) return 1;
    return (int)fmin(1000, ceil(20e-6 / fmax(once, 1e-8)));
}

bench_time bench_measure(const bench_run *run, bench_body *body, void *user)
{
    static double times[MOST_REPETITIONS];
    int calls = calls_per_sample(run, body, user);
    int least = run->quick ? 1 : 7, n = 0;
    double end = bench_now() + (run->quick ? 0 : run->seconds);
    while (n < MOST_REPETITIONS && (n < least || bench_now() < end))
        times[n++] = timed(body, user, calls);
    return quantiles(times, n);
}

void bench_measure_both(const bench_run *run, bench_time *a, bench_body *body_a, void *user_a,
                        bench_time *b, bench_body *body_b, void *user_b)
{
    static double ta[MOST_REPETITIONS], tb[MOST_REPETITIONS];
    int calls_a = calls_per_sample(run, body_a, user_a);
    int calls_b = calls_per_sample(run, body_b, user_b);
    int least = run->quick ? 1 : 7, n = 0;
    double end = bench_now() + (run->quick ? 0 : 2 * run->seconds);
    while (n < MOST_REPETITIONS && (n < least || bench_now() < end)) {
        ta[n] = timed(body_a, user_a, calls_a);
        tb[n++] = timed(body_b, user_b, calls_b);
    }
    *a = quantiles(ta, n);
    *b = quantiles(tb, n);
}

static void write_json(const bench_run *run, const bench_record *r)
{
    fprintf(run->json,
            "{\"case\": \"%s\", \"name\": \"%s\", \"shape\": \"%s\", \"threads\": %d, "
            "\"repetitions\": %d, \"median_s\": %.9g, \"p10_s\": %.9g, \"p90_s\": %.9g, "
            "\"best_s\": %.9g, \"limit\": \"%s\", \"limit_s\": %.9g, \"ratio\": %.4f, ",
            run->case_name, r->name, r->shape, run->threads, r->time.repetitions, r->time.median,
            r->time.p10, r->time.p90, r->time.best, r->limit_name, r->limit,
            r->limit > 0 ? r->time.median / r->limit : 0.0);
    fprintf(run->json,
            "\"allowed\": %.4g, \"flops\": %.9g, \"bytes\": %.9g, \"peak_flops\": %.6g, "
            "\"triad_bytes\": %.6g, \"isa\": \"%s\", \"version\": \"%s\", \"compiler\": \"%s\"}\n",
            r->allowed, r->flops, r->bytes, run->machine.flops, run->machine.bytes,
            deq_isa_name(deq_context_isa(run->ctx)), deq_version(), __VERSION__);
    fflush(run->json);
}

void bench_report(bench_run *run, const bench_record *r)
{
    double ratio = r->limit > 0 ? r->time.median / r->limit : 0;
    printf("%-10s %-26s %-16s %2d %10.4f %10.4f %10.4f  %6.3f", run->case_name, r->name, r->shape,
           run->threads, r->time.median * 1e3, r->time.p10 * 1e3, r->limit * 1e3, ratio);
    if (r->allowed > 0)
        printf(" <= %-5.3g %s", r->allowed, ratio <= r->allowed ? "yes" : "NO ");
    else
        printf("              ");
    if (r->flops > 0) printf(" %8.1f GFLOP/s", r->flops / r->time.median * 1e-9);
    if (r->bytes > 0) printf(" %7.2f GB/s", r->bytes / r->time.median * 1e-9);
    printf("  (%s)\n", r->limit_name);
    fflush(stdout);
    if (run->json) write_json(run, r);
}

void bench_fail(bench_run *run, const char *why)
{
    fprintf(stderr, "deq-bench: %s: %s\n", run->case_name, why);
    run->failures++;
}

float *bench_floats(size_t n)
{
    float *x = aligned_alloc(64, (n * sizeof *x + 63) / 64 * 64);
    if (!x) {
        fprintf(stderr, "deq-bench: out of memory\n");
        exit(1);
    }
    unsigned seed = 12345;
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)(seed >> 8) * 0x1p-23f - 1.0f; /* in [-1, 1) */
    }
    return x;
}
