/* SPDX-License-Identifier: MIT */
/**
 * @file
 * How often a weighted majority vote is right.
 *
 * One question with truth Y = +1 or -1, P(Y = +1) = prior.  Sources i = 1..n vote X_i = Y with
 * probability p_i, independently given Y.  The rule adds weights and takes the sign:
 *
 *     S = w_0 + sum_i w_i X_i,   w_i = log(t_i / (1 - t_i)),   w_0 = log(prior / (1 - prior))     (1)
 *     C(t, p) = P(sign(S) = Y),  a tie counts 1/2                                                (2)
 *
 * t_i is the *trust* in source i: what the owner of the rule believes p_i to be.  Three numbers have
 * to be told apart: the **believed** correctness C(t,t), the **actual** C(t,p), and the **optimal**
 * C(p,p), which is the largest that any rule reaches.  docs/math/voting.md has statements and proofs.
 *
 * Edge cases of the weights, everywhere in deq/vote: trust below 1/2 gives a negative weight (the
 * vote is reversed); 1/2 gives 0; 0 and 1 give infinite ones.  Infinite weights are counted: the side
 * with more of them wins.  When both sides have equally many, and any, the evidence is contradictory;
 * the finite weights decide then, and the probability of that event is reported.  Sums within 1e-12
 * of the sum of the |weights| are ties.
 */
#ifndef DEQ_VOTE_CORRECTNESS_H
#define DEQ_VOTE_CORRECTNESS_H

#include <deq/context.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Every way to compute (2): X(enumerator, name). */
#define DEQ_VOTE_CORRECTNESS_LIST(X)                                                               \
    X(DEQ_VOTE_CORRECTNESS_AUTO, "auto")                                                           \
    X(DEQ_VOTE_CORRECTNESS_ENUMERATION, "enumeration")                                             \
    X(DEQ_VOTE_CORRECTNESS_MEET, "meet-in-the-middle")                                             \
    X(DEQ_VOTE_CORRECTNESS_GROUPING, "grouping")                                                   \
    X(DEQ_VOTE_CORRECTNESS_LATTICE, "lattice")                                                     \
    X(DEQ_VOTE_CORRECTNESS_FFT, "fft")                                                             \
    X(DEQ_VOTE_CORRECTNESS_FOURIER, "fourier")                                                     \
    X(DEQ_VOTE_CORRECTNESS_NORMAL, "normal")                                                       \
    X(DEQ_VOTE_CORRECTNESS_SADDLEPOINT, "saddlepoint")                                             \
    X(DEQ_VOTE_CORRECTNESS_MONTE_CARLO, "monte-carlo")                                             \
    X(DEQ_VOTE_CORRECTNESS_IMPORTANCE, "importance")

/**
 * How (2) is computed.  n counts the sources whose weight is neither zero nor infinite.
 *
 *   enumeration         all 2^n patterns; exact; n <= 30
 *   meet-in-the-middle  two sorted lists of 2^(n/2) sums; exact; n <= 50
 *   grouping            sources of equal |weight| become one count, then as above; exact; at most
 *                       2^25 sums on each side
 *   lattice             weights rounded to multiples of a step, convolved one by one; certified
 *   fft                 the same lattice, products of halves by fast Fourier transforms; certified
 *   fourier             the characteristic function against Vaaler's polynomials; certified; needs
 *                       no lattice, and the more sources the better
 *   normal              moments; no bound
 *   saddlepoint         the normal law after tilting to the threshold; no bound
 *   monte-carlo         votes are drawn; confidence interval
 *   importance          votes are drawn from the tilted law, which makes rare errors frequent;
 *                       for a rule that knows the p_i an identity with summands in (0, 1]
 *   auto                enumeration for n <= 12; grouping if weights repeat and it takes 2^22 sums a
 *                       side at most; meet-in-the-middle for n <= 44; lattice or fft if all weights
 *                       are multiples of one step; else fourier
 */
typedef enum deq_vote_correctness_method {
#define DEQ_VOTE_CORRECTNESS_ENUM(name, text) name,
    DEQ_VOTE_CORRECTNESS_LIST(DEQ_VOTE_CORRECTNESS_ENUM)
#undef DEQ_VOTE_CORRECTNESS_ENUM
        DEQ_VOTE_CORRECTNESS_COUNT /**< number of methods; not one itself */
} deq_vote_correctness_method;

/** What the interval of a result means. */
typedef enum deq_vote_bound {
    DEQ_VOTE_BOUND_EXACT,      /**< exact up to rounding: low == high */
    DEQ_VOTE_BOUND_CERTIFIED,  /**< the truth lies inside, rounding included */
    DEQ_VOTE_BOUND_CONFIDENCE, /**< it does so with the probability that was asked for */
    DEQ_VOTE_BOUND_NONE        /**< an approximation without a bound: the interval is [0, 1] */
} deq_vote_bound;

/** Which confidence interval Monte Carlo gives. */
typedef enum deq_vote_interval {
    DEQ_VOTE_INTERVAL_NORMAL = 0, /**< Wilson's for plain draws, mean +- z errors for importance */
    DEQ_VOTE_INTERVAL_RIGOROUS    /**< holds for every number of draws: Hoeffding's radius for plain
                                    ones, the empirical Bernstein bound (Maurer & Pontil 2009) else */
} deq_vote_interval;

/** Settings of deq_vote_correctness().  Start from deq_vote_correctness_defaults(). */
typedef struct deq_vote_correctness_options {
    size_t struct_size;                 /**< sizeof(deq_vote_correctness_options) */
    deq_vote_correctness_method method; /**< default DEQ_VOTE_CORRECTNESS_AUTO */
    double prior;                       /**< P(Y = +1) in [0, 1]; default 1/2 */
    double weight_0; /**< w_0, may be infinite; NaN (default): the log-odds of prior */
    double tol;      /**< width of the certified interval that lattice, fft and fourier aim at, as a
                          part of the error; in (0, 1); default 1e-6.  They stop early at `effort` */
    double effort;   /**< elementary steps allowed for that, >= 1e4; default 2e9, seconds */
    int64_t draws;   /**< of Monte Carlo, >= 1; default 100000 */
    double confidence;          /**< of Monte Carlo's interval, in (0, 1); default 0.95 */
    deq_vote_interval interval; /**< default DEQ_VOTE_INTERVAL_NORMAL */
    uint64_t seed;              /**< of Monte Carlo; default 1 */
} deq_vote_correctness_options;

/** What deq_vote_correctness() found.  correctness + error = 1, and each keeps its own digits. */
typedef struct deq_vote_correctness_result {
    double correctness;      /**< (2) */
    double error;            /**< 1 - (2), to relative precision: 1e-30 is meant */
    double log_error;        /**< log(error), finite where error underflows */
    double correctness_low;  /**< see bound */
    double correctness_high; /**< see bound */
    double error_low;        /**< see bound */
    double error_high;       /**< see bound */
    double standard_error;   /**< of error, Monte Carlo; 0 else */
    double tie;              /**< P(S is a tie), exact methods; NaN else */
    double contradiction;    /**< P(equally many infinite weights on both sides, and any) */
    deq_vote_bound bound;    /**< what the interval means */
    deq_vote_correctness_method method; /**< that was used, never AUTO */
    int64_t n_finite;                   /**< sources of non-zero finite weight */
    double work;                        /**< patterns, list entries, cells, nodes or draws */
    double step;                        /**< of the lattice; 0 for other methods */
} deq_vote_correctness_result;

/**
 * The default settings.
 *
 * @return a struct to change and pass on.
 */
DEQ_API deq_vote_correctness_options deq_vote_correctness_defaults(void);

/**
 * The name of a method: "meet-in-the-middle".
 *
 * @param method any value; unknown ones give "unknown".
 * @return a string that is never freed.
 */
DEQ_API const char *deq_vote_correctness_method_name(deq_vote_correctness_method method);

/**
 * A method by its name.
 *
 * @param method receives the method; untouched when there is none of that name.
 * @param name   for instance "fourier".
 * @return DEQ_OK or DEQ_ERR_NAME.
 */
DEQ_API deq_status deq_vote_correctness_method_find(deq_vote_correctness_method *method,
                                                    const char *name);

/**
 * The log-odds log(t / (1 - t)), precise at both ends and at 1/2.
 *
 * @param t trust in [0, 1].
 * @return -infinity at 0, infinity at 1; NaN when t is out of range.
 */
DEQ_API double deq_vote_log_odds(double t);

/**
 * Weights w_i = log(t_i (K-1) / (1 - t_i)) of sources that choose one of K options and err
 * symmetrically; for K = 2 the log-odds.
 *
 * @param weights   [n] receives the weights, perhaps infinite; may be trust itself.
 * @param ctx       keeps the message.
 * @param n         at least 0.
 * @param trust     [n] in [0, 1].
 * @param n_options K >= 2.
 * @return DEQ_OK; DEQ_ERR_ARGUMENT: an argument is out of range; weights are unspecified then.
 */
DEQ_API deq_status deq_vote_weights(double *weights, deq_context *ctx, int64_t n,
                                    const double *trust, int64_t n_options);

/**
 * C(t,p), (2), for the rule (1).
 *
 * The number of threads does not change a bit of the result.
 *
 * @param result  receives the correctness, its interval and how it was found.
 * @param ctx     supplies memory and threads.
 * @param n       at least 0; with 0 the prior decides.
 * @param trust   [n] t, in [0, 1].
 * @param p       [n] accuracies in [0, 1]; may be trust itself (believed, or optimal).
 * @param options NULL for the defaults.
 * @return DEQ_OK; DEQ_ERR_ARGUMENT: an argument is out of range or not a number;
 *         DEQ_ERR_UNSUPPORTED: the method that was asked for does not reach this many sources;
 *         DEQ_ERR_NOMEM.  The result is zeroed on failure.
 */
DEQ_API deq_status deq_vote_correctness(deq_vote_correctness_result *result, deq_context *ctx,
                                        int64_t n, const double *trust, const double *p,
                                        const deq_vote_correctness_options *options);

/**
 * As deq_vote_correctness(), for any weights: 1 for simple majority.
 *
 * @param result  as there.
 * @param ctx     as there.
 * @param n       as there.
 * @param weights [n] of any sign, may be infinite, not NaN.  Their common unit matters only against
 *                w_0: set options->weight_0 = 0 unless they are log-odds or prior is 1/2.
 * @param p       as there.
 * @param options as there.
 * @return as there.
 */
DEQ_API deq_status deq_vote_correctness_weighted(deq_vote_correctness_result *result,
                                                 deq_context *ctx, int64_t n, const double *weights,
                                                 const double *p,
                                                 const deq_vote_correctness_options *options);

/** Bounds on the error 1 - C(p,p) of the optimal rule with prior 1/2: they cost nothing. */
typedef struct deq_vote_bounds_result {
    double
        log_bhattacharyya; /**< log B, B = prod 2 sqrt(p_i (1 - p_i)); -infinity for a p of 0, 1 */
    double bhattacharyya_low;  /**< (1 - sqrt(1 - B^2)) / 2 <= error */
    double bhattacharyya_high; /**< error <= B / 2 */
    double
        potential; /**< Phi = sum (p_i - 1/2) log(p_i / (1 - p_i)) of Berend & Kontorovich 2014 */
    double potential_low;  /**< 3 / (8 (1 + exp(2 Phi + 4 sqrt(Phi)))) <= error */
    double potential_high; /**< error <= exp(-Phi / 2) */
    double best_source;    /**< error <= min_i min(p_i, 1 - p_i) */
} deq_vote_bounds_result;

/**
 * Bounds on the error of the optimal rule.
 *
 * @param result receives the bounds.
 * @param ctx    keeps the message.
 * @param n      at least 0.
 * @param p      [n] in [0, 1].
 * @return DEQ_OK; DEQ_ERR_ARGUMENT: an argument is out of range.
 */
DEQ_API deq_status deq_vote_bounds(deq_vote_bounds_result *result, deq_context *ctx, int64_t n,
                                   const double *p);

#ifdef __cplusplus
}
#endif
#endif
