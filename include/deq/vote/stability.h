/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Stability of a weighted majority vote whose weights are estimated, by simulation.
 *
 * Accuracies P_i ~ Beta(a_i, b_i) are independent; the owner of the rule sees s_i right answers of m_i
 * gold questions and trusts the posterior mean T_i = (a_i + s_i) / (a_i + b_i + m_i).  That trust is
 * *unbiased*: E[P_i | T_i] = T_i.  Then (Bai, Wang, Muller, Cheng & Chen, AAMAS 2024; proofs in
 * docs/math/voting.md)
 *
 *     stability of correctness    E[C(T,T)] = E[C(T,P)]: what is believed is achieved             (1)
 *     no stability of optimality  G = E[C(P,P)] - E[C(T,P)] >= 0 is the price of not knowing P     (2)
 *
 * Each draw of (P, T) is evaluated without sampling votes.  With m_i = 0 and the parameters of a
 * posterior law, (2) says what more gold could still gain for sources at hand.
 */
#ifndef DEQ_VOTE_STABILITY_H
#define DEQ_VOTE_STABILITY_H

#include <deq/vote/correctness.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How trust is made of s right answers of m. */
typedef enum deq_vote_trust_rule {
    DEQ_VOTE_TRUST_POSTERIOR = 0, /**< (a + s) / (a + b + m) with the prior of the options */
    DEQ_VOTE_TRUST_FREQUENCY      /**< s / m, clipped; 1/2 when m = 0: biased */
} deq_vote_trust_rule;

/** Settings of deq_vote_stability().  Start from deq_vote_stability_defaults(). */
typedef struct deq_vote_stability_options {
    size_t struct_size;       /**< sizeof(deq_vote_stability_options) */
    int64_t draws;            /**< of (P, T), >= 2; default 20000 */
    uint64_t seed;            /**< default 1 */
    deq_vote_trust_rule rule; /**< default DEQ_VOTE_TRUST_POSTERIOR */
    double
        trust_a; /**< the prior that the owner of the rule assumes; NaN (default): the true one. */
    double trust_b; /**< Both or none; > 0.  A wrong prior makes trust biased. */
    double clip;    /**< frequencies are held in [clip, 1 - clip]; in [0, 1/2); default 0.01 */
    deq_vote_correctness_options
        correctness; /**< of one draw; prior and weight_0 count as well.  Its
                                                   method must not be Monte Carlo */
    void (*progress)(void *user, int64_t done,
                     int64_t draws); /**< told now and then, in the caller's thread, how many draws
                                           are done, in the end all; NULL (default): nobody */
    void *progress_user;             /**< its first argument */
} deq_vote_stability_options;

/** A mean over draws. */
typedef struct deq_vote_mean {
    double mean;           /**< of the draws */
    double standard_error; /**< of the mean */
} deq_vote_mean;

/** What deq_vote_stability() found. */
typedef struct deq_vote_stability_result {
    deq_vote_mean believed; /**< E[C(T,T)] */
    deq_vote_mean actual;   /**< E[C(T,P)] */
    deq_vote_mean optimal;  /**< E[C(P,P)] */
    deq_vote_mean excess;   /**< believed - actual, draw by draw: (1) says 0 */
    deq_vote_mean gap;      /**< optimal - actual, draw by draw: (2) */
    double bound_distance;  /**< G <= 2 sum E|P_i - T_i|, whatever the trust */
    double
        bound_deviation; /**< G <= 2 sum E[sd(P_i | data)], unbiased trust; NaN for a biased one */
    double bound_knowledge; /**< G <= 1 - E[C(T,T)], unbiased trust; NaN for a biased one */
    deq_vote_correctness_method method; /**< that evaluated the draws */
    int64_t draws;                      /**< as asked for */
} deq_vote_stability_result;

/**
 * The default settings.
 *
 * @return a struct to change and pass on.
 */
DEQ_API deq_vote_stability_options deq_vote_stability_defaults(void);

/**
 * Simulate (1) and (2).
 *
 * The result is a function of the arguments: the number of threads does not change a bit.
 *
 * @param result  receives means and bounds; zeroed on failure.
 * @param ctx     supplies memory and threads.
 * @param n       sources, >= 1.
 * @param a       [n] first parameters of the laws of P_i, finite, > 0.
 * @param b       [n] second parameters, finite, > 0.
 * @param gold    [n] m_i >= 0, gold questions of each source.
 * @param options NULL for the defaults.
 * @return DEQ_OK; DEQ_ERR_ARGUMENT: an argument is out of range; DEQ_ERR_UNSUPPORTED: the method for
 *         one draw does not reach n sources, or is a Monte Carlo; DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_vote_stability(deq_vote_stability_result *result, deq_context *ctx,
                                      int64_t n, const double *a, const double *b,
                                      const int64_t *gold,
                                      const deq_vote_stability_options *options);

#ifdef __cplusplus
}
#endif
#endif
