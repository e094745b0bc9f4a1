/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Minimise smooth functions h(x), one a sample of a batch, by L-BFGS with a strong Wolfe search.
 *
 * Meant for the inner problems of bilevel optimisation: what the method learned of the Hessian's
 * inverse can be multiplied with (SHINE), kept for the next problem, and fed with extra secant pairs
 * along the direction that the outer problem asks for (OPA; Ramzi et al., ICLR 2022).
 *
 * Stopping: |grad h(x)| <= atol + rtol |grad h(x_0)|.  Every sample has its own memory, search,
 * counters and outcome.  See docs/math/lbfgs.md.
 */
#ifndef DEQ_MINIMISE_H
#define DEQ_MINIMISE_H

#include <deq/context.h>
#include <deq/outcome.h>
#include <deq/type.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The functions to minimise. */
typedef struct deq_objective {
    size_t struct_size; /**< sizeof(deq_objective) */
    /** value[i] = h(x_i) and row i of grad [n, d] = grad h(x_i) for row i of x [n, d], which belongs
     *  to sample samples[i].  Values that are not finite mean "outside": the search steps back. */
    deq_status (*eval)(void *user, double *value, void *grad, const void *x, const int64_t *samples,
                       int64_t n);
    /** The gradient of the outer problem at x, for extra pairs; NULL: none are added. */
    deq_status (*outer_gradient)(void *user, void *grad, const void *x, const int64_t *samples,
                                 int64_t n);
    void *user; /**< passed to both */
} deq_objective;

/** Settings of L-BFGS.  Start from deq_lbfgs_defaults(). */
typedef struct deq_lbfgs_options {
    size_t struct_size; /**< sizeof(deq_lbfgs_options) */
    int64_t max_eval;   /**< evaluations allowed for a sample, >= 0; default 1000 */
    double atol;        /**< >= 0; default 0 */
    double rtol;        /**< >= 0; default 1e-6 */
    int memory;         /**< secant pairs, 1 to 1000; default 10 */
    bool unit_scale;    /**< H_0 = I; default false: H_0 = (s . y / y . y) I of the newest pair */
    double armijo;      /**< c1 in (0, 1/2); default 1e-4 */
    double curvature;   /**< c2 in (c1, 1); default 0.9 */
    int max_search;     /**< evaluations of one search, >= 1; default 20 */
    int outer_every;    /**< an extra pair every so many steps after the first, >= 1; default 5 */
    bool keep_memory;   /**< begin with the pairs of the last problem; default false */
} deq_lbfgs_options;

/** What became of one sample. */
typedef struct deq_lbfgs_info {
    deq_outcome outcome;     /**< DEQ_DIVERGED: h fell below -1e300; DEQ_STAGNATED: a search along
                                  the negative gradient failed */
    int64_t n_iter;          /**< steps accepted */
    int64_t n_eval;          /**< evaluations of h and its gradient, exactly */
    int64_t n_outer;         /**< evaluations of the outer gradient */
    int64_t n_skipped;       /**< pairs not stored because s . y was not positive */
    int64_t n_search_failed; /**< searches without success */
    double value;            /**< h at the x returned; NaN if it was never evaluated */
    double gradient;         /**< |grad h| there; infinite if it was never evaluated */
} deq_lbfgs_info;

/** The method with its memory, for problems of one size. */
typedef struct deq_lbfgs deq_lbfgs;

/**
 * The default settings.
 *
 * @return a struct to change and pass to deq_lbfgs_new().
 */
DEQ_API deq_lbfgs_options deq_lbfgs_defaults(void);

/**
 * Make a minimiser; all its memory (2 memory + 10 vectors a sample) is taken here.
 *
 * @param out     receives it; free with deq_lbfgs_free().  NULL on failure.
 * @param ctx     supplies memory and threads.
 * @param dtype   of x: DEQ_F32 or DEQ_F64.
 * @param batch   samples, >= 1.
 * @param d       elements of a sample's x, >= 1.
 * @param options NULL for the defaults.
 * @return DEQ_OK, DEQ_ERR_ARGUMENT, DEQ_ERR_DTYPE, DEQ_ERR_OVERFLOW or DEQ_ERR_NOMEM;
 *         deq_last_error() explains.
 */
DEQ_API deq_status deq_lbfgs_new(deq_lbfgs **out, deq_context *ctx, deq_dtype dtype, int64_t batch,
                                 int64_t d, const deq_lbfgs_options *options);

/**
 * Free a minimiser.
 *
 * @param lbfgs NULL is allowed.
 */
DEQ_API void deq_lbfgs_free(deq_lbfgs *lbfgs);

/**
 * Minimise every sample's function.
 *
 * @param x     [batch, d] in: x_0; out: the last accepted iterate, which has the least value.
 * @param info  [batch] receives what became of each sample; NULL if not wanted.
 * @param lbfgs one calling thread at a time.
 * @param h     the functions.
 * @return DEQ_OK even when nothing converged: read info.  DEQ_ERR_ARGUMENT (no eval), or what a
 *         callback returned; x then holds unspecified values.
 */
DEQ_API deq_status deq_lbfgs_minimise(void *x, deq_lbfgs_info *info, deq_lbfgs *lbfgs,
                                      const deq_objective *h);

/**
 * Change the tolerances for the next problem, e.g. along the outer iterations of HOAG.
 *
 * @param lbfgs a minimiser.
 * @param atol  finite, >= 0.
 * @param rtol  finite, >= 0.
 * @return DEQ_OK or DEQ_ERR_ARGUMENT.
 */
DEQ_API deq_status deq_lbfgs_set_tolerance(deq_lbfgs *lbfgs, double atol, double rtol);

/**
 * Multiply by the present estimate of the inverse Hessian:  out = H v  for every sample.
 *
 * @param out   [batch, d], may be v.
 * @param lbfgs after a problem; before, H = I.
 * @param v     [batch, d].
 */
DEQ_API void deq_lbfgs_apply(void *out, deq_lbfgs *lbfgs, const void *v);

/**
 * Store a secant pair H y = s of one sample, as its newest.
 *
 * @param lbfgs  a minimiser.
 * @param sample 0 to batch - 1.
 * @param s      [d] a step.
 * @param y      [d] the change of the gradient along it.
 * @return DEQ_OK; DEQ_ERR_ARGUMENT for a wrong sample, or when s . y is not positive beyond
 *         rounding: nothing is stored then.
 */
DEQ_API deq_status deq_lbfgs_add_pair(deq_lbfgs *lbfgs, int64_t sample, const void *s,
                                      const void *y);

/**
 * The number of pairs stored for a sample.
 *
 * @param lbfgs  a minimiser.
 * @param sample 0 to batch - 1.
 * @return 0 to memory.
 */
DEQ_API int deq_lbfgs_rank(const deq_lbfgs *lbfgs, int64_t sample);

#ifdef __cplusplus
}
#endif
#endif
