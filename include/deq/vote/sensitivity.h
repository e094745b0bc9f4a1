/* SPDX-License-Identifier: MIT */
/**
 * @file
 * What one source does to the correctness of a vote (see correctness.h for the rule).
 *
 * For a fixed rule C(t, .) is affine in each p_i, so with Z_j = +1 where source j is right, else -1,
 *
 *     D_i = dC(t,p)/dp_i = C(t, p | p_i = 1) - C(t, p | p_i = 0)                                (1)
 *
 * is the probability that source i is *pivotal*: the others leave the decision to it.  It is negative
 * where the weight is.  To first order, and exactly where one trust alone is wrong,
 *
 *     C(t,t) - C(t,p) = sum_i D_i (t_i - p_i)                                                    (2)
 *
 * C(., p) is piecewise constant in t; the intervals below say how far t_i may move before any
 * decision changes.
 */
#ifndef DEQ_VOTE_SENSITIVITY_H
#define DEQ_VOTE_SENSITIVITY_H

#include <deq/vote/correctness.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What is known of one source. */
typedef struct deq_vote_sensitivity_source {
    double weight;     /**< w_i, may be infinite */
    double pivot;      /**< (1) at p */
    double influence;  /**< (1) at p = 1/2: how much the rule alone leaves to it (Banzhaf) */
    double share;      /**< |pivot| / sum of |pivot|; 0 when the sum is */
    double trust_low;  /**< moving t_i within (trust_low, trust_high) changes no decision, */
    double trust_high; /**< ties included; NaN where that is not known, see stable_known */
} deq_vote_sensitivity_source;

/** What is known of the rule. */
typedef struct deq_vote_sensitivity_result {
    deq_vote_correctness_result believed; /**< C(t,t) */
    deq_vote_correctness_result actual;   /**< C(t,p) */
    double difference;                    /**< believed - actual */
    double first_order;                   /**< the right-hand side of (2), D_i at p */
    double flip_radius; /**< least rho such that weights moved by |w_i| rho or less, all at once and
                             w_0 not, change a decision; 0 when there are ties, NaN if not known */
    bool stable_known;  /**< trust_low, trust_high and flip_radius were computed */
    bool certified;     /**< pivots are exact up to rounding; else see pivot_band */
    double pivot_band;  /**< no pivot or influence is further off than this; 0 if certified */
    deq_vote_correctness_method method; /**< that gave the pivots */
} deq_vote_sensitivity_result;

/**
 * Pivot probabilities and stable intervals of every source.
 *
 * Exact methods are used where they reach (options->method is obeyed, AUTO recommended); many sources
 * are done together by the characteristic function.  Intervals and flip radius need the sorted sums of
 * the weights: they are known for up to 44 sources of non-zero finite weight, or more if weights
 * repeat.
 *
 * @param result  receives what is known of the rule.
 * @param sources [n] receives what is known of each source.
 * @param ctx     supplies memory and threads.
 * @param n       at least 0.
 * @param trust   [n] t, in [0, 1].
 * @param p       [n] accuracies in [0, 1]; may be trust itself.
 * @param options NULL for the defaults.
 * @return as deq_vote_correctness(); the outputs are unspecified on failure.
 */
DEQ_API deq_status deq_vote_sensitivity(deq_vote_sensitivity_result *result,
                                        deq_vote_sensitivity_source *sources, deq_context *ctx,
                                        int64_t n, const double *trust, const double *p,
                                        const deq_vote_correctness_options *options);

/**
 * The mixed derivative d2C(t,p) / dp_i dp_j: the second difference of C over {0,1}^2, exact.  It says
 * whether two sources substitute (negative) or complement each other.
 *
 * @param mixed   receives the derivative; 0 for i = j.
 * @param ctx     supplies memory and threads.
 * @param n       at least 1.
 * @param trust   [n] t, in [0, 1].
 * @param p       [n] accuracies in [0, 1].
 * @param i       in [0, n).
 * @param j       in [0, n).
 * @param options NULL for the defaults.
 * @return as deq_vote_correctness(); mixed is NaN on failure.
 */
DEQ_API deq_status deq_vote_mixed(double *mixed, deq_context *ctx, int64_t n, const double *trust,
                                  const double *p, int64_t i, int64_t j,
                                  const deq_vote_correctness_options *options);

#ifdef __cplusplus
}
#endif
#endif
