/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Methods against true labels: accuracy, and whether the accuracy that is believed is achieved.
 *
 * Stability of correctness (Bai et al., AAMAS 2024) says that with unbiased trust the two are equal on
 * average.  deq_vote_calibrate() asks that of data: the gold tasks are cut into folds; trust comes from
 * the other folds; what is believed of a fold's decisions is compared with what came true.
 */
#ifndef DEQ_VOTE_COMPARE_H
#define DEQ_VOTE_COMPARE_H

#include <deq/vote/estimate.h>
#include <deq/vote/trust.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Bins of a reliability diagram. */
#define DEQ_RELIABILITY_BINS 20

/** One bin of a reliability diagram: beliefs in [low, high), the last one closed. */
typedef struct deq_vote_bin {
    double low;      /**< least belief */
    double high;     /**< end of the interval of beliefs */
    int64_t count;   /**< how many fell into it */
    double believed; /**< their mean belief; NaN if empty */
    double achieved; /**< share that came true (ties by their share); NaN if empty */
} deq_vote_bin;

/** Posteriors against true labels. */
typedef struct deq_vote_score {
    int64_t n_gold;  /**< tasks compared */
    double accuracy; /**< share right; a tie of k labels that has the right one counts 1 / k */
    double believed; /**< mean probability of the decided label */
    double standard_error;    /**< of accuracy - believed, from the differences task by task */
    double log_loss;          /**< mean -log q(true label), q held above 1e-15 */
    double brier;             /**< mean sum_c (q_c - [c true])^2 */
    double calibration_error; /**< ECE: mean |believed - achieved| over bins, by their counts */
    double chi_square; /**< sum over bins of (right - believed)^2 / variance (Hosmer & Lemeshow) */
    int chi_square_bins; /**< bins in that sum: degrees of freedom for beliefs not fitted to gold */
    double p_value;      /**< of chi_square */
    int n_bins;          /**< of the diagram: beliefs lie in [1/K, 1], in equal steps */
    deq_vote_bin bins[DEQ_RELIABILITY_BINS]; /**< the first n_bins are used */
} deq_vote_score;

/**
 * Compare posteriors with true labels.
 *
 * @param score     receives the figures; accuracy is NaN when no task can be compared.
 * @param confusion [K, K] receives counts, truth by decision (ties go to the first); NULL if not
 *                  wanted.
 * @param votes     the votes (for sizes).
 * @param posterior [n_tasks, K].
 * @param gold      [n_tasks], -1 unknown.
 * @param use       [n_tasks]: which tasks to compare; NULL: all.
 * @param n_bins    of the diagram, 1 to DEQ_RELIABILITY_BINS.
 */
DEQ_API void deq_vote_score_posterior(deq_vote_score *score, int64_t *confusion,
                                      const deq_votes *votes, const double *posterior,
                                      const int32_t *gold, const bool *use, int n_bins);

/** Settings of both functions below.  Start from deq_compare_defaults(). */
typedef struct deq_compare_options {
    size_t struct_size;                   /**< sizeof(deq_compare_options) */
    const deq_estimate_options *estimate; /**< settings of all methods, its `method` and `gold`
                                                excepted; NULL: the defaults */
    const deq_aggregation *methods;       /**< NULL: all that fit the votes */
    int n_methods;                        /**< how many; default 0 */
    int folds;            /**< methods that use gold: trust from the other folds.  0: trust
                                        from all gold, also that of the task (optimistic).  Default 5;
                                        compare: 0 or >= 2, calibrate: >= 2 */
    uint64_t seed;        /**< of the folds; default 0 */
    bool clamp;           /**< calibrate: EM methods hold the gold of the other folds fixed;
                                        default true */
    bool empirical_bayes; /**< gold methods: prior by trust.h (2); default false */
    int n_bins;           /**< 1 to DEQ_RELIABILITY_BINS; default 10 */
} deq_compare_options;

/** One method's line. */
typedef struct deq_comparison {
    deq_aggregation method; /**< which */
    bool held_out;          /**< gold was used, and each task's own was not */
    deq_vote_score score;   /**< against gold */
    deq_estimate_info info; /**< of the (last) estimation; without trace */
    double seconds;         /**< of all estimations together */
} deq_comparison;

/** How trust predicts the accuracy of workers on other tasks. */
typedef struct deq_calibration {
    deq_vote_score score; /**< all gold tasks, each decided by what the other folds taught */
    double soc_residual;  /**< achieved - believed accuracy; 0 is stability of correctness */
    double believed_low;  /**< believed accuracy - 1.96 standard errors of what would be achieved if
                               the posteriors were right */
    double believed_high; /**< the same, + 1.96 */
    double majority_accuracy;                   /**< the same tasks by majority */
    int n_bins;                                 /**< of the following */
    deq_vote_bin workers[DEQ_RELIABILITY_BINS]; /**< votes on held-out gold tasks: trust of
                                             their worker against share right, in [0, 1] */
    double worker_calibration_error;            /**< ECE of these */
    deq_trust_prior prior;                      /**< of gold methods, last fold */
    deq_estimate_info info;                     /**< of the last estimation; without trace */
    double seconds;                             /**< of all */
} deq_calibration;

/**
 * The default settings.
 *
 * @return a struct to change.
 */
DEQ_API deq_compare_options deq_compare_defaults(void);

/**
 * Cut the gold tasks into folds of sizes as equal as possible, at random.
 *
 * @param fold  [n_tasks] receives 0 to folds - 1; -1 where gold is not known.
 * @param ctx   supplies scratch memory.
 * @param votes the votes (for sizes).
 * @param gold  [n_tasks].
 * @param folds >= 1.
 * @param seed  which cut.
 * @return DEQ_OK; DEQ_ERR_ARGUMENT (folds); DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_vote_cut_folds(int32_t *fold, deq_context *ctx, const deq_votes *votes,
                                      const int32_t *gold, int folds, uint64_t seed);

/**
 * Run methods and compare each with gold.
 *
 * @param lines   [*n_lines] receives a line a method, in their order.
 * @param n_lines in: room, at least DEQ_AGGREGATION_COUNT or n_methods; out: lines written.
 * @param ctx     supplies memory and threads.
 * @param votes   the votes.
 * @param gold    [n_tasks], -1 unknown.
 * @param options NULL for the defaults.
 * @return DEQ_OK; DEQ_ERR_ARGUMENT (options, too little room, no gold, fewer gold tasks than folds),
 *         or what an estimation returned.
 */
DEQ_API deq_status deq_vote_compare(deq_comparison *lines, int *n_lines, deq_context *ctx,
                                    const deq_votes *votes, const int32_t *gold,
                                    const deq_compare_options *options);

/**
 * Test stability of correctness on data, for one method.
 *
 * @param result  receives the figures.
 * @param ctx     supplies memory and threads.
 * @param votes   the votes.
 * @param gold    [n_tasks], -1 unknown.
 * @param method  any of estimate.h.
 * @param options NULL for the defaults.
 * @return as deq_vote_compare().
 */
DEQ_API deq_status deq_vote_calibrate(deq_calibration *result, deq_context *ctx,
                                      const deq_votes *votes, const int32_t *gold,
                                      deq_aggregation method, const deq_compare_options *options);

#ifdef __cplusplus
}
#endif
#endif
