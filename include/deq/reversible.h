/* SPDX-License-Identifier: MIT */
/**
 * @file
 * The reversible coupled iteration, with its exact inverse: what lets a gradient run back through a
 * solve without storing it (docs/math/reversible.md).
 *
 *     y' = (1 - beta) y + beta f(z),   z' = (1 - beta) z + beta f(y')                     (1)
 *     z = (z' - beta f(y')) / (1 - beta),   y = (y' - beta f(z)) / (1 - beta)             (2)
 *
 * Every step costs two evaluations of f, either way.  (2) is exact but for rounding, whose effect
 * grows by 1 / (1 - beta) a step; deq_reversible_discrepancy() tells how much is left.  To solve
 * for an equilibrium only, use DEQ_REVERSIBLE of solver.h.
 */
#ifndef DEQ_REVERSIBLE_H
#define DEQ_REVERSIBLE_H

#include <deq/solver.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Workspace for one batch size, dimension and dtype. */
typedef struct deq_reversible deq_reversible;

/**
 * Make a workspace; steps allocate nothing.
 *
 * @param out   receives the workspace; free with deq_reversible_free().  NULL on failure.
 * @param ctx   supplies memory and threads.
 * @param dtype DEQ_F32 or DEQ_F64.
 * @param batch samples, >= 1.
 * @param dim   elements of a sample's state, >= 1.
 * @param beta  in (0, 1).
 * @return DEQ_OK, DEQ_ERR_ARGUMENT, DEQ_ERR_DTYPE, DEQ_ERR_OVERFLOW, DEQ_ERR_NOMEM;
 *         deq_last_error() explains.
 */
DEQ_API deq_status deq_reversible_new(deq_reversible **out, deq_context *ctx, deq_dtype dtype,
                                      int64_t batch, int64_t dim, double beta);

/**
 * Free a workspace.
 *
 * @param reversible NULL is allowed.
 */
DEQ_API void deq_reversible_free(deq_reversible *reversible);

/**
 * Steps (1).
 *
 * @param y          [batch, dim], changed in place; starts as z_0 by convention.
 * @param z          [batch, dim], changed in place; not y.
 * @param reversible a workspace.
 * @param f          the map; always given the whole batch.
 * @param steps      how many; none if <= 0.
 * @return DEQ_OK, DEQ_ERR_ARGUMENT (the map has no eval), or what f returned.
 */
DEQ_API deq_status deq_reversible_forward(void *y, void *z, deq_reversible *reversible,
                                          const deq_map *f, int steps);

/**
 * Steps (2), which undo those of deq_reversible_forward() in turn.
 *
 * @param y          [batch, dim], changed in place.
 * @param z          [batch, dim], changed in place; not y.
 * @param reversible a workspace.
 * @param f          the same map.
 * @param steps      how many; none if <= 0.
 * @return as deq_reversible_forward().
 */
DEQ_API deq_status deq_reversible_backward(void *y, void *z, deq_reversible *reversible,
                                           const deq_map *f, int steps);

/**
 * Go there and back, and compare:  |(y, z) - (y_0, z_0)| / |(y_0, z_0)|  of each sample; absolute
 * where the start is zero.  A gradient that runs back is as wrong as this.
 *
 * @param discrepancy [batch] receives the result.
 * @param reversible  a workspace.
 * @param f           the map, evaluated 4 steps times.
 * @param y0          [batch, dim] start.
 * @param z0          [batch, dim] start.
 * @param steps       of each way.
 * @return as deq_reversible_forward().
 */
DEQ_API deq_status deq_reversible_discrepancy(double *discrepancy, deq_reversible *reversible,
                                              const deq_map *f, const void *y0, const void *z0,
                                              int steps);

#ifdef __cplusplus
}
#endif
#endif
