/* SPDX-License-Identifier: MIT */
/*
 * Correctness of a vote, by the methods that reach many sources.
 *
 * What is least: meeting in the middle writes and reads lists of 2^(n/2) entries of 16 bytes, twice in
 * all since each is half as long as the next, and reads both once more in the sweep.  The characteristic
 * function takes ten operations of f64 for each source and node that it needed; the lattice three for
 * each source and cell.  f64 has half the lanes of the f32 that the machine was measured with.
 */
#include "bench.h"

#include <deq/vote.h>
#include <stdlib.h>

typedef struct vote {
    bench_run *run;
    int64_t n;
    double *p;
    deq_vote_correctness_options options;
    deq_vote_correctness_result result;
    deq_status status;
} vote;

static void evaluate(void *user)
{
    vote *v = user;
    deq_status status = deq_vote_correctness(&v->result, v->run->ctx, v->n, v->p, v->p,
                                             &v->options);
    if (status != DEQ_OK) v->status = status;
}

/* Accuracies between low and high, none twice. */
static void fill(double *p, int64_t n, double low, double high)
{
    for (int64_t i = 0; i < n; i++) {
        double turns = 0.6180339887498949 * (double)i;
        p[i] = low + (high - low) * (turns - (double)(int64_t)turns);
    }
}

static void measure(bench_run *run, deq_vote_correctness_method method, int64_t n, double low,
                    double high, double effort)
{
    char shape[64];
    vote v = { .run = run, .n = n, .options = deq_vote_correctness_defaults() };
    v.p = malloc((size_t)n * sizeof *v.p);
    if (!v.p) {
        bench_fail(run, "out of memory");
        return;
    }
    fill(v.p, n, low, high);
    v.options.method = method;
    v.options.effort = run->quick ? 1e5 : effort;
    v.options.tol = 1e-12; /* spend the effort */
    bench_record record = { .name = deq_vote_correctness_method_name(method), .shape = shape };
    record.time = bench_measure(run, evaluate, &v);
    double work = v.result.work, flops = run->machine.flops / 2;
    if (method == DEQ_VOTE_CORRECTNESS_MEET) {
        record.limit_name = "lists written and read";
        record.bytes = work * 16 * 5;
        record.limit = record.bytes / run->machine.bytes;
    } else {
        record.limit_name = "multiplications";
        record.flops = work * (method == DEQ_VOTE_CORRECTNESS_FOURIER ? 10 : 3);
        record.limit = record.flops / flops;
    }
    snprintf(shape, sizeof shape, "%lld, +-%.0e", (long long)n,
             0.5 * (v.result.error_high - v.result.error_low) / v.result.error);
    if (v.status == DEQ_OK)
        bench_report(run, &record);
    else
        bench_fail(run, deq_last_error(run->ctx));
    free(v.p);
}

/* Draws of P and T, five sources each. */
static void simulate(void *user)
{
    vote *v = user;
    const double a[] = { 8, 8, 8, 8, 8 }, b[] = { 4, 4, 4, 4, 4 };
    const int64_t gold[] = { 20, 20, 20, 20, 20 };
    deq_vote_stability_options o = deq_vote_stability_defaults();
    deq_vote_stability_result result;
    deq_status status = deq_vote_stability(&result, v->run->ctx, 5, a, b, gold, &o);
    if (status != DEQ_OK) v->status = status;
}

static void measure_stability(bench_run *run)
{
    vote v = { .run = run };
    bench_record record = { .name = "stability", .shape = "20000 x 5", .limit_name = "none" };
    record.time = bench_measure(run, simulate, &v);
    if (v.status == DEQ_OK)
        bench_report(run, &record);
    else
        bench_fail(run, deq_last_error(run->ctx));
}

static void run_vote(bench_run *run)
{
    measure(run, DEQ_VOTE_CORRECTNESS_MEET, 40, 0.4, 0.7, 1e9);
    measure(run, DEQ_VOTE_CORRECTNESS_LATTICE, 200, 0.45, 0.6, 5e8);
    measure(run, DEQ_VOTE_CORRECTNESS_FOURIER, 200, 0.45, 0.6, 5e8);
    measure(run, DEQ_VOTE_CORRECTNESS_FOURIER, 100000, 0.497, 0.505, 5e8);
    measure_stability(run);
}

const bench_case bench_vote = { "vote", "correctness of weighted majority votes", run_vote };
