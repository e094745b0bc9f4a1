/* SPDX-License-Identifier: MIT */
/*
 * Bounds on the error of the optimal rule with prior 1/2, from two numbers:
 *
 *   B   = prod_i 2 sqrt(p_i (1 - p_i))              (1 - sqrt(1 - B^2)) / 2 <= error <= B / 2     (1)
 *   Phi = sum_i (p_i - 1/2) log(p_i / (1 - p_i))    error <= exp(-Phi / 2)                        (2)
 *                                                   error >= 3 / (8 (1 + exp(2 Phi + 4 sqrt(Phi))))
 *
 * (1) is the Bhattacharyya bound, (2) Theorem 1 of Berend & Kontorovich, "Consistency of weighted
 * majority votes" (2014).
 */
#include "base/context.h"

#include <deq/vote/correctness.h>

#include <math.h>

deq_status deq_vote_bounds(deq_vote_bounds_result *result, deq_context *ctx, int64_t n,
                           const double *p)
{
    double log_b = 0, potential = 0, best = 0.5;
    *result = (deq_vote_bounds_result){ .potential = 0 };
    if (n < 0) return deq_fail(ctx, DEQ_ERR_ARGUMENT, "deq_vote_bounds: n is %lld", (long long)n);
    for (int64_t i = 0; i < n; i++) {
        if (!(p[i] >= 0 && p[i] <= 1))
            return deq_fail(ctx, DEQ_ERR_ARGUMENT, "deq_vote_bounds: p[%lld] is %g, not in [0, 1]",
                            (long long)i, p[i]);
        double r = 1 - p[i], off = 2 * p[i] - 1;
        /* 4 p r = 1 - off^2, whose logarithm keeps its digits near 1/2 */
        log_b += fabs(off) < 0.5 ? 0.5 * log1p(-off * off) : 0.5 * (log(4 * p[i]) + log(r));
        if (off != 0) potential += 0.5 * off * deq_vote_log_odds(p[i]);
        best = fmin(best, fmin(p[i], r));
    }
    double b = exp(log_b);
    result->log_bhattacharyya = log_b;
    result->bhattacharyya_low = 0.5 * b * b / (1 + sqrt((1 - b) * (1 + b)));
    result->bhattacharyya_high = 0.5 * b;
    result->potential = potential;
    result->potential_low = 3 / (8 * (1 + exp(2 * potential + 4 * sqrt(potential))));
    result->potential_high = exp(-0.5 * potential);
    result->best_source = best;
    return DEQ_OK;
}
