/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Decisions by weighted majority: the label of least expected cost, task by task.
 *
 * With K labels, class prior pi and trust t_i of worker i (errors spread evenly),
 *
 *     s_c = log pi_c + sum_{i votes c} w_i,   w_i = log( t_i (K - 1) / (1 - t_i) )             (1)
 *     q_c = exp(s_c) / sum_k exp(s_k)         the posterior                                    (2)
 *     decision = argmin_a sum_c q_c cost[c, a],  by default argmax_c s_c                       (3)
 *
 * or, with a confusion matrix e_i[c, x] = P(vote x | truth c) for each worker,
 *
 *     s_c = log pi_c + sum_i log e_i[c, x_i]                                                   (4)
 *
 * For K = 2, s_1 - s_0 is the classical score S = w_0 + sum_i w_i X_i (Nitzan & Paroush 1982; Bai et
 * al., AAMAS 2024).  Trust below 1/K gives a negative weight, 1/K gives none.  Trust 0 and 1 (and zeros
 * of priors and confusion matrices) are infinite evidence and are counted apart: every vote of a
 * worker with t = 1 adds one for its label, with t = 0 takes one from it; only the labels with the
 * highest count stay candidates, among which the finite part decides.  For K = 2 that compares n_plus
 * with n_minus.  Counts that cannot all be true set DEQ_DECISION_CONTRADICTION.
 *
 * Scores tie when they differ by at most 1e-12 sum |w|; expected costs likewise, relatively.
 *
 * Flip radius: the smallest |t_i' - t_i|, with t_i' in (0, 1), of a single worker that voted on the
 * task, for which decision (3) becomes another one.  (With costs, workers who gave a task several
 * labels are left out.)
 */
#ifndef DEQ_VOTE_DECIDE_H
#define DEQ_VOTE_DECIDE_H

#include <deq/vote/votes.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What to decide when labels tie. */
typedef enum deq_tie {
    DEQ_TIE_FIRST = 0, /**< "first": the lowest label */
    DEQ_TIE_RANDOM,    /**< "random": one of them, a function of (seed, task) */
    DEQ_TIE_ABSTAIN    /**< "abstain": none, -1 */
} deq_tie;

/** Peculiarities of a decision. */
enum {
    DEQ_DECISION_TIE = 1,           /**< several labels were equally good */
    DEQ_DECISION_CONTRADICTION = 2, /**< infinite evidence for labels that exclude each other */
    DEQ_DECISION_CERTAIN = 4,       /**< infinite evidence left one label */
    DEQ_DECISION_NO_VOTES = 8,      /**< nobody voted: the prior decides */
    DEQ_DECISION_UNANIMOUS = 16     /**< all votes are the same, two at least */
};

/** A decision. */
typedef struct deq_decision {
    int32_t label;       /**< decided; -1: abstained */
    int32_t n_tied;      /**< labels that were equally good; 1: no tie */
    int32_t n_votes;     /**< on this task */
    int32_t flags;       /**< DEQ_DECISION_... */
    double probability;  /**< posterior of the label decided (of the first tied one, if none) */
    double margin;       /**< score of the best label minus that of the second best; infinite when
                              infinite evidence decided; 0 when scores tie */
    double cost;         /**< expected cost; without costs 1 - probability */
    double flip_radius;  /**< see above; 0 on ties; infinite when no single worker can flip it, and
                              for decisions by confusion matrices */
    int64_t flip_worker; /**< whose trust that is; -1: nobody's */
} deq_decision;

/** What is believed.  Exactly one of trust and confusion is given. */
typedef struct deq_belief {
    size_t struct_size;      /**< sizeof(deq_belief) */
    const double *trust;     /**< [n_workers], each in [0, 1] */
    const double *confusion; /**< [n_workers, K, K]: row truth, column vote; rows sum to 1 */
    const double *prior;     /**< [K], sum 1; NULL: uniform */
    const double *cost;      /**< [K, K], truth by decision, finite, >= 0; NULL: 0 right, 1 wrong */
} deq_belief;

/** Settings.  Start from deq_decide_defaults(). */
typedef struct deq_decide_options {
    size_t struct_size; /**< sizeof(deq_decide_options) */
    deq_tie tie;        /**< default DEQ_TIE_FIRST */
    uint64_t seed;      /**< for DEQ_TIE_RANDOM; default 0 */
    double clip; /**< trust is held within [clip, 1 - clip]; in [0, 0.5); default 0: as given */
    bool flips;  /**< compute flip radii; default true */
    bool linear; /**< weights are t_i themselves, not log-odds (majority weighted by skill):
                             for comparison only; posteriors are then shares of the weights */
} deq_decide_options;

/**
 * The default settings.
 *
 * @return a struct to change and pass to deq_vote_decide().
 */
DEQ_API deq_decide_options deq_decide_defaults(void);

/**
 * Decide every task.
 *
 * @param decisions [n_tasks] receives the decisions.
 * @param posterior [n_tasks, K] receives (2); NULL if not wanted.
 * @param ctx       supplies scratch memory and threads.
 * @param votes     the votes.
 * @param belief    trust or confusion matrices, prior and costs.
 * @param options   NULL for the defaults.
 * @return DEQ_OK; DEQ_ERR_ARGUMENT (options; trust, prior, confusion or cost out of range: the message
 *         says whose); DEQ_ERR_OVERFLOW; DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_vote_decide(deq_decision *decisions, double *posterior, deq_context *ctx,
                                   const deq_votes *votes, const deq_belief *belief,
                                   const deq_decide_options *options);

/**
 * The name of a tie rule: "first", "random", "abstain".
 *
 * @param tie any value; unknown ones give "unknown".
 * @return a string that is never freed.
 */
DEQ_API const char *deq_tie_name(deq_tie tie);

#ifdef __cplusplus
}
#endif
#endif
