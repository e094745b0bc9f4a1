/* SPDX-License-Identifier: MIT */
/*
 * All 2^n patterns: 2^L sums and probabilities of the last L sources in a table, made by doubling,
 * against each pattern of the others.  No sum is carried from pattern to pattern, so none drifts.
 */
#include "vote/special.h"
#include "vote/tail.h"

#include <math.h>

enum { MAX_SOURCES = 30, TABLE_SOURCES = 12 };

typedef struct pattern {
    double sum, probability;
} pattern;

/* table[2^k] from the sources first to first + k - 1. */
static void fill(pattern *table, const deq_vote_sum *sum, int64_t first, int64_t k)
{
    table[0] = (pattern){ 0, 1 };
    for (int64_t i = 0; i < k; i++) {
        double w = sum->w[first + i], q = sum->q[first + i], r = sum->r[first + i];
        for (int64_t j = 0, half = (int64_t)1 << i; j < half; j++) {
            pattern old = table[j];
            table[half + j] = (pattern){ old.sum + w, old.probability * q };
            table[j] = (pattern){ old.sum - w, old.probability * r };
        }
    }
}

/* P(T < x) and P(T = x) over one outer pattern. */
static void sweep(double out[2], const pattern *table, int64_t n, pattern outer, double x,
                  double tie)
{
    deq_vote_total below = { 0, 0 }, equal = { 0, 0 };
    for (int64_t j = 0; j < n; j++) {
        double y = outer.sum + table[j].sum - x;
        if (y < -tie)
            deq_vote_total_add(&below, table[j].probability);
        else if (y <= tie)
            deq_vote_total_add(&equal, table[j].probability);
    }
    out[0] = outer.probability * deq_vote_total_value(below);
    out[1] = outer.probability * deq_vote_total_value(equal);
}

deq_status deq_vote_tail_enumerate(deq_vote_tail *out, deq_context *ctx, const deq_vote_sum *sum,
                                   double x, const deq_vote_correctness_options *options)
{
    (void)options;
    if (sum->n > MAX_SOURCES)
        return deq_fail(ctx, DEQ_ERR_UNSUPPORTED,
                        "enumeration: %lld sources, but 2^n patterns are too many beyond %d",
                        (long long)sum->n, MAX_SOURCES);
    int64_t inner = sum->n < TABLE_SOURCES ? sum->n : TABLE_SOURCES, outer = sum->n - inner;
    int64_t n_inner = (int64_t)1 << inner, n_outer = (int64_t)1 << outer;
    pattern *table = deq_alloc_array(ctx, (size_t)n_inner, sizeof *table);
    pattern *outers = deq_alloc_array(ctx, (size_t)n_outer, sizeof *outers);
    double(*parts)[2] = deq_alloc_array(ctx, (size_t)n_outer, sizeof *parts);
    deq_status status = table && outers && parts ? DEQ_OK : DEQ_ERR_NOMEM;
    if (status == DEQ_OK) {
        fill(table, sum, outer, inner);
        fill(outers, sum, 0, outer);
#pragma omp parallel for schedule(static) num_threads(deq_context_threads(ctx)) if (n_outer >= 8)
        for (int64_t j = 0; j < n_outer; j++)
            sweep(parts[j], table, n_inner, outers[j], x, sum->tie);
        deq_vote_total below = { 0, 0 }, equal = { 0, 0 };
        for (int64_t j = 0; j < n_outer; j++) {
            deq_vote_total_add(&below, parts[j][0]);
            deq_vote_total_add(&equal, parts[j][1]);
        }
        out->tie = deq_vote_total_value(equal);
        out->value = out->low = out->high = deq_vote_total_value(below) + 0.5 * out->tie;
        out->log_value = log(out->value);
        out->work = ldexp(1, (int)sum->n);
    }
    deq_release(ctx, table, (size_t)n_inner * sizeof *table);
    deq_release(ctx, outers, (size_t)n_outer * sizeof *outers);
    deq_release(ctx, parts, (size_t)n_outer * sizeof *parts);
    return status;
}
