/* SPDX-License-Identifier: MIT */
/* Weights: w = log(t / (1 - t)) + log(K - 1). */
#include "base/context.h"

#include <deq/vote/correctness.h>

#include <math.h>

/* About 1/2, log(t / (1 - t)) = 2 atanh(2 t - 1), where 2 t - 1 is exact. */
double deq_vote_log_odds(double t)
{
    if (!(t >= 0 && t <= 1)) return NAN;
    if (fabs(t - 0.5) <= 0.25) return 2 * atanh(2 * t - 1);
    return log(t) - log1p(-t);
}

deq_status deq_vote_weights(double *weights, deq_context *ctx, int64_t n, const double *trust,
                            int64_t n_options)
{
    if (n < 0 || n_options < 2)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "deq_vote_weights: n is %lld, n_options %lld",
                        (long long)n, (long long)n_options);
    double shift = n_options == 2 ? 0 : log((double)(n_options - 1));
    for (int64_t i = 0; i < n; i++) {
        double w = deq_vote_log_odds(trust[i]);
        if (isnan(w))
            return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                            "deq_vote_weights: trust[%lld] is %g, not in [0, 1]", (long long)i,
                            trust[i]);
        weights[i] = w + shift;
    }
    return DEQ_OK;
}
