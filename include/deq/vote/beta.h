/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Beta laws: what is known of an accuracy after s right answers of m.
 *
 *     density      p^(a-1) (1-p)^(b-1) / B(a,b)                     on (0, 1)
 *     cdf          I_p(a,b) = int_0^p of the density
 *     posterior    prior Beta(a,b), s right of m: Beta(a+s, b+m-s), of mean (a+s) / (a+b+m)
 *     predictive   P(s right of m) = C(m,s) B(a+s, b+m-s) / B(a,b)  the Beta-binomial law
 *
 * Functions that return a number return NaN where an argument is out of range; none of them touches
 * a context, and all may be called from several threads.  docs/math/voting.md has the rest.
 */
#ifndef DEQ_VOTE_BETA_H
#define DEQ_VOTE_BETA_H

#include <deq/random.h>
#include <deq/status.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * log B(a,b) = log Gamma(a) + log Gamma(b) - log Gamma(a+b).
 *
 * For large arguments the difference is taken in the corrections of Stirling's series, so that the
 * result keeps its digits.
 *
 * @param a finite, > 0.
 * @param b finite, > 0.
 * @return the logarithm; NaN when an argument is out of range.
 */
DEQ_API double deq_vote_log_beta(double a, double b);

/**
 * The cumulative distribution I_p(a,b), by the continued fraction of DiDonato & Morris ("Algorithm
 * 708", ACM TOMS 18, 1992), to about 1e-12 relative for a + b up to 1e6.
 *
 * @param p in [0, 1].
 * @param a finite, > 0.
 * @param b finite, > 0.
 * @return a probability; NaN when an argument is out of range.
 */
DEQ_API double deq_vote_beta_cdf(double p, double a, double b);

/**
 * The quantile: the x with I_x(a,b) = p.
 *
 * @param p in [0, 1].
 * @param a finite, > 0.
 * @param b finite, > 0.
 * @return a number in [0, 1]; NaN when an argument is out of range.
 */
DEQ_API double deq_vote_beta_quantile(double p, double a, double b);

/**
 * log P(right of total) under the Beta-binomial law: the likelihood that empirical Bayes maximises.
 *
 * @param right in [0, total]; need not be whole.
 * @param total finite, >= 0.
 * @param a     finite, > 0.
 * @param b     finite, > 0.
 * @return a logarithm, at most 0 for whole counts; NaN when an argument is out of range.
 */
DEQ_API double deq_vote_beta_binomial_log(double right, double total, double a, double b);

/**
 * Wilson's interval for a proportion (Wilson 1927).
 *
 * @param low        receives the lower end; 0 when total is 0.
 * @param high       receives the upper end; 1 when total is 0.
 * @param right      in [0, total]; need not be whole: ties count a half.
 * @param total      finite, >= 0.
 * @param confidence in (0, 1), for instance 0.95.
 * @return DEQ_OK; DEQ_ERR_ARGUMENT: an argument is out of range; both ends are NaN then.
 */
DEQ_API deq_status deq_vote_wilson(double *low, double *high, double right, double total,
                                   double confidence);

/**
 * Fill an array with independent draws of Beta(a,b): quotients of gamma variates (Marsaglia & Tsang,
 * ACM TOMS 26, 2000), in logarithms where a shape is below 1.
 *
 * Element i is a function of (key, a, b, i) alone.
 *
 * @param out   receives count numbers in [0, 1].
 * @param count at least 0.
 * @param key   which draws.
 * @param a     finite, > 0.
 * @param b     finite, > 0.
 * @return DEQ_OK, DEQ_ERR_ARGUMENT (count, a or b); out is untouched then.
 */
DEQ_API deq_status deq_vote_draw_beta(double *out, int64_t count, deq_random_key key, double a,
                                      double b);

/**
 * Fill an array with independent counts of the Beta-binomial law: p ~ Beta(a,b), then the number of
 * right answers of `total`.  Element i is a function of (key, a, b, total, i) alone.
 *
 * @param right receives count numbers in [0, total].
 * @param count at least 0.
 * @param key   which draws.
 * @param total at least 0.
 * @param a     finite, > 0.
 * @param b     finite, > 0.
 * @return DEQ_OK, DEQ_ERR_ARGUMENT (count, total, a or b); right is untouched then.
 */
DEQ_API deq_status deq_vote_draw_beta_binomial(int64_t *right, int64_t count, deq_random_key key,
                                               int64_t total, double a, double b);

#ifdef __cplusplus
}
#endif
#endif
