/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Labels and trust from the votes alone, or with some true labels.
 *
 * The likelihood models are solved as fixed points theta = M(E(theta)) of expectation-maximisation,
 * by the library's solvers: "picard" is plain EM, "anderson" and "squarem" accelerate it.  The state is
 * in logarithms, so any vector is a valid parameter, and a safeguard goes back to the best parameters
 * whenever an accelerated step has lowered the penalised likelihood: what comes back has at least
 * the likelihood of every iterate.  See docs/math/vote-estimation.md.
 *
 * Gold labels, if given, are held fixed by the models solved by EM; the gold methods take trust from
 * them and decide those tasks like all others; the other methods do not look at them.  Trust that was estimated from the same
 * votes that it then weighs is overconfident: calibrate it (compare.h).
 */
#ifndef DEQ_VOTE_ESTIMATE_H
#define DEQ_VOTE_ESTIMATE_H

#include <deq/solver.h>
#include <deq/vote/votes.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The methods.  deq_aggregation_name() and deq_aggregation_find() know them by name. */
typedef enum deq_aggregation {
    DEQ_MAJORITY = 0, /**< "majority": shares of the votes */
    DEQ_WAWA,         /**< "wawa": majority weighted by agreement with the majority */
    DEQ_ZBS, /**< "zbs": zero-based skills; agreement with the weighted majority, iterated */
    DEQ_GOLD_MAJORITY, /**< "gold_majority": majority weighted by accuracy on gold */
    DEQ_GOLD_WMV,    /**< "gold_wmv": log-odds weights from accuracy on gold (decide.h, trust.h) */
    DEQ_ONE_COIN,    /**< "one_coin": one accuracy a worker, by EM */
    DEQ_DAWID_SKENE, /**< "dawid_skene": a confusion matrix a worker, by EM (Dawid & Skene 1979) */
    DEQ_GLAD,        /**< "glad": ability and difficulty (Whitehill et al., NeurIPS 2009) */
    DEQ_MACE,        /**< "mace": knows or guesses (Hovy et al., NAACL 2013) */
    DEQ_KOS,   /**< "kos": message passing (Karger, Oh & Shah 2011), a worker's messages divided by
                            its votes; two labels only */
    DEQ_M_MSR, /**< "m_msr": robust rank-one completion (Ma & Olshevsky, NeurIPS 2020) */
    DEQ_AGGREGATION_COUNT /**< number of methods; not one itself */
} deq_aggregation;

/** How the class prior pi is had. */
typedef enum deq_class_prior {
    DEQ_PRIOR_AUTO = 0, /**< free for Dawid-Skene, else uniform */
    DEQ_PRIOR_UNIFORM,  /**< 1 / K */
    DEQ_PRIOR_FREE,     /**< estimated, with `prior_smoothing` added to each label's count */
    DEQ_PRIOR_GIVEN     /**< deq_estimate_options.prior */
} deq_class_prior;

/** What an observer is told after each pass over the votes, or iteration of a method without a model. */
typedef struct deq_estimate_progress {
    deq_aggregation method; /**< that is at work */
    int64_t done;           /**< passes or iterations so far, of all starts */
    int64_t most;           /**< that there can be; usually fewer are needed */
    double change;          /**< what `tolerance` is compared with, as of now */
    double objective;       /**< penalised log-likelihood; NaN for methods without */
} deq_estimate_progress;

/** Returns false to end the estimation with what it has; it then counts as not converged. */
typedef bool deq_estimate_observer_fn(void *user, const deq_estimate_progress *progress);

/** Settings.  Start from deq_estimate_defaults(). */
typedef struct deq_estimate_options {
    size_t struct_size;     /**< sizeof(deq_estimate_options) */
    deq_aggregation method; /**< default DEQ_DAWID_SKENE */
    deq_method solver;  /**< DEQ_PICARD, DEQ_ANDERSON or DEQ_SQUAREM; default DEQ_AUTO: squarem */
    int anderson_depth; /**< 1 to DEQ_DEPTH_MAX; default 5 */
    int max_iter;       /**< evaluations of the EM map, or iterations of the other methods, >= 0;
                                 default 100 */
    double tolerance;   /**< models: stop when an M-step raises the evidence bound by less than this
                                 per vote; kos: when messages of mean square 1 change by less in
                                 their mean square's root; zbs, m_msr: when no skill changes by more;
                                 >= 0; default 1e-5 */
    deq_class_prior class_prior; /**< default DEQ_PRIOR_AUTO */
    const double *prior;         /**< [K], sum 1, for DEQ_PRIOR_GIVEN */
    double prior_smoothing;      /**< >= 0; default 1 */
    double a;         /**< Beta(a, b) is the prior of accuracies (one coin, gold); > 0; default 1 */
    double b;         /**< see a */
    double smoothing; /**< added to each cell of a confusion matrix, or of MACE's counts, > 0;
                                 default 0.01 */
    const int32_t *gold; /**< [n_tasks], -1 unknown; NULL: none */
    const int64_t
        *correct;         /**< [n_workers] earlier right answers, for the gold methods and one coin,
                                 counted like gold; NULL: none */
    const int64_t *total; /**< [n_workers] of so many; both or none */
    int restarts;  /**< MACE: random starts beside the one from vote shares, of which the highest
                       objective counts; KOS: random starts, at least one, whose messages are
                       averaged; >= 0; default 0 */
    uint64_t seed; /**< of random starts; default 0 */
    bool trace;    /**< keep the objective of every evaluation; default false */
    deq_estimate_observer_fn *observer; /**< called in the caller's thread; NULL (default): none */
    void *observer_user;                /**< its first argument */
} deq_estimate_options;

/** Warnings about the votes or the result, as bits. */
enum {
    DEQ_WARN_DEGENERATE = 1,   /**< nearly all tasks got one label though votes vary: class prior
                                      and accuracies explain each other; fix the prior */
    DEQ_WARN_BELOW_CHANCE = 2, /**< some worker's accuracy is below 1 / K: votes are reversed */
    DEQ_WARN_FEW_GOLD = 4,     /**< a gold method, and some worker has fewer than 5 gold tasks */
    DEQ_WARN_DUPLICATES = 8,   /**< (task, worker) pairs occur again */
    DEQ_WARN_CONSTANT = 16,    /**< some worker always gives the same label */
    DEQ_WARN_UNANIMOUS = 32,   /**< every task is unanimous: nothing tells workers apart */
    DEQ_WARN_SAME_VOTES = 64   /**< trust was fitted to the votes it weighs: overconfident */
};

/** How an estimation went. */
typedef struct deq_estimate_info {
    deq_aggregation method; /**< what was done */
    deq_method solver;      /**< with which solver; DEQ_AUTO for methods without one */
    bool converged;         /**< the tolerance was met */
    int64_t n_iter;         /**< iterations, or steps of the solver */
    int64_t n_eval;         /**< evaluations of the EM map: passes over the votes */
    int n_restart;          /**< times the safeguard went back */
    double gain;            /**< last rise of the evidence bound per vote */
    double objective;       /**< penalised log-likelihood; NaN for methods without */
    double log_likelihood;  /**< of the votes; NaN for methods without */
    double seconds;         /**< wall clock */
    int warnings;           /**< DEQ_WARN_... */
    int64_t n_below_chance; /**< workers below 1 / K */
    const double *trace;    /**< [trace_length] objective by evaluation */
    int64_t trace_length;   /**< 0 without options.trace */
} deq_estimate_info;

/** Labels and trust. */
typedef struct deq_estimate deq_estimate;

/**
 * The default settings.
 *
 * @return a struct to change and pass to deq_vote_estimate().
 */
DEQ_API deq_estimate_options deq_estimate_defaults(void);

/**
 * Estimate.
 *
 * @param out     receives the estimate; free with deq_estimate_free().  NULL on failure.
 * @param ctx     supplies memory and threads; must outlive the estimate.
 * @param votes   the votes; need not outlive it.
 * @param options NULL for the defaults.
 * @return DEQ_OK even without convergence: read deq_estimate_about(); DEQ_ERR_ARGUMENT (options out of
 *         range, no votes, fewer than two labels, a gold method without gold or counts);
 *         DEQ_ERR_UNSUPPORTED (KOS with more than two labels; `correct` for a method that does not
 *         use it); DEQ_ERR_OVERFLOW; DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_vote_estimate(deq_estimate **out, deq_context *ctx, const deq_votes *votes,
                                     const deq_estimate_options *options);

/**
 * Free an estimate.
 *
 * @param estimate NULL is allowed.
 */
DEQ_API void deq_estimate_free(deq_estimate *estimate);

/**
 * How it went.
 *
 * @param estimate an estimate.
 * @return facts; the trace belongs to the estimate.
 */
DEQ_API deq_estimate_info deq_estimate_about(const deq_estimate *estimate);

/**
 * Probabilities of the labels; for methods without a probability model shares of the weights.
 *
 * @param estimate an estimate.
 * @return [n_tasks, K], owned by the estimate.
 */
DEQ_API const double *deq_estimate_posterior(const deq_estimate *estimate);

/**
 * Each worker's accuracy: believed for the models with a probability, else the skill in [0, 1] that
 * the method found.  Dawid-Skene: sum_c pi_c e[c, c]; MACE: by the chance of knowing and guessing
 * right; GLAD: on a task of median difficulty; majority: agreement with the posterior.
 *
 * @param estimate an estimate.
 * @return [n_workers], owned by the estimate.
 */
DEQ_API const double *deq_estimate_trust(const deq_estimate *estimate);

/**
 * Confusion matrices.
 *
 * @param estimate an estimate.
 * @return [n_workers, K, K], truth by vote, owned by the estimate; NULL unless Dawid-Skene.
 */
DEQ_API const double *deq_estimate_confusion(const deq_estimate *estimate);

/**
 * The class prior used or found.
 *
 * @param estimate an estimate.
 * @return [K], owned by the estimate.
 */
DEQ_API const double *deq_estimate_prior(const deq_estimate *estimate);

/**
 * GLAD's ability alpha of each worker, or MACE's chance of knowing.
 *
 * @param estimate an estimate.
 * @return [n_workers], owned by the estimate; NULL for other methods.
 */
DEQ_API const double *deq_estimate_ability(const deq_estimate *estimate);

/**
 * GLAD's ease beta > 0 of each task; its difficulty is 1 / beta.
 *
 * @param estimate an estimate.
 * @return [n_tasks], owned by the estimate; NULL for other methods.
 */
DEQ_API const double *deq_estimate_ease(const deq_estimate *estimate);

/**
 * The name of a method.
 *
 * @param method any value; unknown ones give "unknown".
 * @return a string that is never freed.
 */
DEQ_API const char *deq_aggregation_name(deq_aggregation method);

/**
 * Find a method by name.
 *
 * @param method receives it.
 * @param ctx    receives the message.
 * @param name   as deq_aggregation_name() gives it; '-' counts as '_'.
 * @return DEQ_OK; DEQ_ERR_NAME, with the nearest known name in the message.
 */
DEQ_API deq_status deq_aggregation_find(deq_aggregation *method, deq_context *ctx,
                                        const char *name);

#ifdef __cplusplus
}
#endif
#endif
