/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Trust from tasks whose true label is known.
 *
 * A worker was right s times of m.  With the prior Beta(a, b) of accuracies,
 *
 *     t = (a + s) / (a + b + m)         the mean of Beta(a + s, b + m - s)                     (1)
 *
 * which is unbiased in the sense of Bai et al. (AAMAS 2024) when the prior is right.  The interval has
 * equal tails.  Empirical Bayes takes the a, b that maximise
 *
 *     sum_i log BetaBinomial(s_i | m_i, a, b)                                                  (2)
 *
 * over workers with m_i > 0, within a + b <= 1e6.
 */
#ifndef DEQ_VOTE_TRUST_H
#define DEQ_VOTE_TRUST_H

#include <deq/vote/votes.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Settings.  Start from deq_trust_defaults(). */
typedef struct deq_trust_options {
    size_t struct_size;   /**< sizeof(deq_trust_options) */
    double a;             /**< of the prior, > 0; a = b = 1, the default: uniform */
    double b;             /**< of the prior, > 0 */
    bool empirical_bayes; /**< choose a, b by (2); default false */
    double level;         /**< of the interval, in (0, 1); default 0.95 */
} deq_trust_options;

/** Trust in one worker. */
typedef struct deq_trust {
    double trust;    /**< (1) */
    double low;      /**< lower end of the interval */
    double high;     /**< its upper end */
    int64_t correct; /**< s */
    int64_t total;   /**< m */
} deq_trust;

/** The prior that was used. */
typedef struct deq_trust_prior {
    double a;              /**< of Beta(a, b) */
    double b;              /**< of Beta(a, b) */
    double log_likelihood; /**< (2) at a, b */
    bool at_bound;         /**< empirical Bayes stopped at a + b = 1e6: the workers do not differ */
} deq_trust_prior;

/**
 * The default settings.
 *
 * @return a struct to change and pass to deq_trust_from_counts().
 */
DEQ_API deq_trust_options deq_trust_defaults(void);

/**
 * Count each worker's right answers on gold.
 *
 * @param correct [n_workers] is added to.
 * @param total   [n_workers] is added to.
 * @param votes   the votes.
 * @param gold    [n_tasks], -1 where unknown.
 * @param use     [n_tasks]: which tasks count; NULL: all.
 */
DEQ_API void deq_vote_count_gold(int64_t *correct, int64_t *total, const deq_votes *votes,
                                 const int32_t *gold, const bool *use);

/**
 * Trust from counts.
 *
 * @param trust   [n] receives it.
 * @param prior   receives the prior that was used; NULL if not wanted.
 * @param ctx     supplies scratch memory and receives messages.
 * @param n       workers, >= 0.
 * @param correct [n] right answers, 0 <= correct <= total.
 * @param total   [n].
 * @param options NULL for the defaults.
 * @return DEQ_OK; DEQ_ERR_ARGUMENT (options or counts out of range); DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_trust_from_counts(deq_trust *trust, deq_trust_prior *prior, deq_context *ctx,
                                         int64_t n, const int64_t *correct, const int64_t *total,
                                         const deq_trust_options *options);

#ifdef __cplusplus
}
#endif
#endif
