/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Linear systems  A u = b,  one a sample of a batch, where A is known by its action alone.
 *
 * The system that the gradient of an equilibrium asks for is  (I - J^T) u = w  (in rows:
 * u (I - J) = w): set `identity_minus` and let `apply` be the vector-Jacobian product.
 *
 * Every sample has its own Krylov space, residual, counters and outcome.  A finished sample is left
 * alone; what a sample computes has the same bits whatever its companions and however many threads
 * work, given the same values from `apply`.  Sums are accumulated in double.
 *
 * Stopping: |b - A u| <= atol + rtol |b|.  The residual that decides is computed by an application
 * of A to the u that is returned, unless `trust_recurrence` is set.  See docs/math/krylov.md.
 */
#ifndef DEQ_LINEAR_H
#define DEQ_LINEAR_H

#include <deq/context.h>
#include <deq/outcome.h>
#include <deq/type.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How A u = b is solved. */
typedef enum deq_linear_method {
    DEQ_LINEAR_GMRES = 0,   /**< GMRES(m), any A (Saad & Schultz 1986) */
    DEQ_LINEAR_BICGSTAB,    /**< BiCGSTAB, any A, memory of 6 vectors (van der Vorst 1992) */
    DEQ_LINEAR_CG,          /**< conjugate gradients, A symmetric and positive definite */
    DEQ_LINEAR_NEUMANN,     /**< u <- u + damping (b - A u): Richardson; for A = I - T and damping 1
                               the Neumann series of T */
    DEQ_LINEAR_METHOD_COUNT /**< number of methods; not a method */
} deq_linear_method;

/** What a method ran into, if it ran into something; restarts and outcomes follow from it. */
typedef enum deq_breakdown {
    DEQ_BREAKDOWN_NONE = 0,
    DEQ_BREAKDOWN_SINGULAR,    /**< GMRES: the Krylov space is closed and holds no solution */
    DEQ_BREAKDOWN_ORTHOGONAL,  /**< BiCGSTAB: a denominator vanished; the method started again */
    DEQ_BREAKDOWN_NOT_POSITIVE /**< CG: met p . A p <= 0; A is not positive definite */
} deq_breakdown;

/**
 * Compute A v (or T v; see deq_linear_operator) for some samples.
 *
 * @param user      of the operator.
 * @param out       [n_samples, d] receives row i = A v for sample samples[i]; not v.
 * @param v         [n_samples, d] row i belongs to sample samples[i].
 * @param samples   n_samples rising indices into the batch; with `whole_batch` all of 0 ... batch-1.
 * @param n_samples at least 1.
 * @return DEQ_OK; anything else ends the solve and is returned by deq_linear_solve().
 */
typedef deq_status deq_linear_apply_fn(void *user, void *out, const void *v, const int64_t *samples,
                                       int64_t n_samples);

/** A linear map of each sample. */
typedef struct deq_linear_operator {
    deq_linear_apply_fn *apply; /**< see deq_linear_apply_fn */
    void *user;                 /**< passed to apply */
    bool identity_minus;        /**< false: apply is A.  true: apply is T, and A = I - T */
    bool whole_batch; /**< apply cannot work on part of the batch: always give it every row.
                              Rows of finished samples then hold old values; what comes of them is
                              ignored and not counted */
} deq_linear_operator;

/** Settings of a linear solver.  Start from deq_linear_defaults(). */
typedef struct deq_linear_options {
    size_t struct_size;       /**< sizeof(deq_linear_options) */
    deq_linear_method method; /**< default DEQ_LINEAR_GMRES */
    int64_t max_iter;         /**< applications of A allowed for a sample, >= 0; default 100 */
    double atol;              /**< >= 0; default 0 */
    double rtol;              /**< >= 0; default 1e-6 */
    int restart;              /**< GMRES: vectors of a cycle, 1 to 1000; default 20 */
    double damping;           /**< Neumann: in (0, 2); default 1 */
    double divergence; /**< diverged when |b - A u| exceeds this times |b|, > 1; default 1e6 */
    int stagnation;    /**< BiCGSTAB, CG, Neumann: stagnated when so many applications in a row gain
                            less than a thousandth; 0 never; default 30 */
    bool trust_recurrence; /**< believe the residual that the method carries along; saves one
                                application for each sample that converges; default false */
} deq_linear_options;

/** What became of one sample. */
typedef struct deq_linear_info {
    deq_outcome outcome;     /**< how it ended */
    deq_breakdown breakdown; /**< the last one met */
    bool fallback;     /**< nothing better than u = 0 was found, and u is b instead: never silent
                            zeros.  Only when not converged */
    bool verified;     /**< `residual` was computed by an application of A to u */
    int64_t n_apply;   /**< applications of A to a vector of this sample, exactly */
    int64_t n_restart; /**< times that the method began anew */
    double residual;   /**< |b - A u| for the u returned; infinite where it is not known (fall-back,
                            or a start that was never evaluated) */
    double b_norm;     /**< |b| */
} deq_linear_info;

/** A method with its memory, for systems of one size. */
typedef struct deq_linear_solver deq_linear_solver;

/**
 * The default settings: GMRES(20) to 1e-6 of |b|, 100 applications.
 *
 * @return a struct to change and pass to deq_linear_new().
 */
DEQ_API deq_linear_options deq_linear_defaults(void);

/**
 * The name of a method: "gmres", "bicgstab", "cg", "neumann".
 *
 * @param method any value; unknown ones give "unknown".
 * @return a string that is never freed.
 */
DEQ_API const char *deq_linear_method_name(deq_linear_method method);

/**
 * Make a solver.  All memory that solving takes is taken here: so many vectors of d elements for
 * each sample,
 *
 *     GMRES  min(restart, max_iter, d) + 2      BiCGSTAB  6      CG  4      Neumann  2
 *
 * and two more if the batch is larger than 1.
 *
 * @param out     receives the solver; free with deq_linear_free().  NULL on failure.
 * @param ctx     supplies memory and threads.
 * @param dtype   of u and b: DEQ_F32 or DEQ_F64.
 * @param batch   samples, >= 1.
 * @param d       elements of a sample's vector, >= 1.
 * @param options NULL for the defaults.
 * @return DEQ_OK, DEQ_ERR_ARGUMENT, DEQ_ERR_DTYPE, DEQ_ERR_OVERFLOW or DEQ_ERR_NOMEM;
 *         deq_last_error() explains.
 */
DEQ_API deq_status deq_linear_new(deq_linear_solver **out, deq_context *ctx, deq_dtype dtype,
                                  int64_t batch, int64_t d, const deq_linear_options *options);

/**
 * Free a solver.
 *
 * @param solver NULL is allowed.
 */
DEQ_API void deq_linear_free(deq_linear_solver *solver);

/**
 * Solve A u = b for every sample.
 *
 * Without u0 a solve begins at u = 0, which costs no application.  With u0 it begins there, unless
 * u0 is worse than 0 or not finite.  A sample whose |b| is within the tolerance needs nothing:
 * u = 0.  A sample with a non-finite b gives outcome DEQ_NON_FINITE at once.
 *
 * @param u      [batch, d] receives the u of least residual that was met; if none was better than
 *               0 and the sample has not converged, b.
 * @param info   [batch] receives what became of each sample; NULL if not wanted.
 * @param solver one calling thread at a time.
 * @param a      the operator.
 * @param b      [batch, d] right sides; not u.
 * @param u0     [batch, d] where to begin, may be u; NULL for 0.
 * @return DEQ_OK even when nothing converged: read info.  DEQ_ERR_ARGUMENT (no apply, b is u), or
 *         what apply returned; u then holds unspecified values.
 */
DEQ_API deq_status deq_linear_solve(void *u, deq_linear_info *info, deq_linear_solver *solver,
                                    const deq_linear_operator *a, const void *b, const void *u0);

#ifdef __cplusplus
}
#endif
#endif
