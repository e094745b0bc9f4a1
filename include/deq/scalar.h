/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Roots of a function of one real variable, to test other solvers with: slow and certain.
 */
#ifndef DEQ_SCALAR_H
#define DEQ_SCALAR_H

#include <deq/outcome.h>
#include <deq/status.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** g(z) of one variable. */
typedef double deq_scalar_fn(void *user, double z);

/** What deq_scalar_root() found. */
typedef struct deq_scalar_result {
    double z;            /**< where |g| is smallest of all that was evaluated */
    double value;        /**< g(z) */
    double low;          /**< g changes its sign between low */
    double high;         /**< and high: the bracket that is left */
    int64_t n_eval;      /**< evaluations of g */
    deq_outcome outcome; /**< DEQ_CONVERGED, DEQ_MAX_ITER or DEQ_NON_FINITE */
} deq_scalar_result;

/**
 * Find a root of a continuous g between two points where its signs differ: by bisection, or by
 * Brent's method, which mixes bisection with inverse quadratic interpolation (Brent, Algorithms for
 * Minimization without Derivatives, 1973) and never needs many more steps.  For a fixed point of f
 * pass g(z) = f(z) - z.
 *
 * @param result   receives what was found.
 * @param g        the function.
 * @param user     passed to g.
 * @param low      one end, finite.
 * @param high     the other end, finite, > low.
 * @param tol      stop when the bracket is shorter than this plus the spacing of the numbers there;
 *                 >= 0.
 * @param max_eval evaluations allowed, >= 2.
 * @param bisect   true: bisection alone.
 * @return DEQ_OK; DEQ_ERR_ARGUMENT: the bounds are no interval, tol or max_eval is out of range, or
 *         g has the same sign at both ends.  result->z is then NaN.
 */
DEQ_API deq_status deq_scalar_root(deq_scalar_result *result, deq_scalar_fn *g, void *user,
                                   double low, double high, double tol, int64_t max_eval,
                                   bool bisect);

#ifdef __cplusplus
}
#endif
#endif
