/* SPDX-License-Identifier: MIT */
/*
 * Approximations without a bound, for T of mean mu and cumulants K (tail.h, (2)):
 *
 *   normal        below(x) ~ Phi((x - mu) / sd)                                                  (1)
 *   saddlepoint   below(x) ~ e^{K(s) - s x} e^{s^2 V / 2} Phi(-|s| sqrt(V)),   K'(s) = x, V = K''(s)  (2)
 *
 * (2) is (3) of tail.h with T - x taken as normal under the tilted law.  It is relatively right far
 * out, where (1) is hopeless.  For the optimal rule s = -1/2 and it reads B e^{V/8} Phi(-sqrt(V)/2).
 */
#include "vote/special.h"
#include "vote/tail.h"

#include <math.h>

static void without_bound(deq_vote_tail *out, double log_value, double work)
{
    out->log_value = fmin(0, log_value);
    out->value = exp(out->log_value);
    out->low = 0;
    out->high = 1;
    out->bound = DEQ_VOTE_BOUND_NONE;
    out->work = work;
}

deq_status deq_vote_tail_normal(deq_vote_tail *out, deq_context *ctx, const deq_vote_sum *sum,
                                double x, const deq_vote_correctness_options *options)
{
    (void)ctx;
    (void)options;
    double mean = 0, variance = 0;
    for (int64_t i = 0; i < sum->n; i++) {
        mean += sum->w[i] * (sum->q[i] - sum->r[i]);
        variance += 4 * sum->w[i] * sum->w[i] * sum->q[i] * sum->r[i];
    }
    without_bound(out, deq_vote_normal_log_cdf((x - mean) / sqrt(variance)), (double)sum->n);
    return DEQ_OK;
}

deq_status deq_vote_tail_saddlepoint(deq_vote_tail *out, deq_context *ctx, const deq_vote_sum *sum,
                                     double x, const deq_vote_correctness_options *options)
{
    (void)ctx;
    (void)options;
    deq_vote_tilt tilt = deq_vote_tilt_of(sum, x);
    double v = tilt.a * tilt.a * tilt.variance;
    without_bound(out, tilt.log_scale + 0.5 * v + deq_vote_normal_log_cdf(-sqrt(v)),
                  (double)sum->n);
    return DEQ_OK;
}
