/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Reductions over any set of axes.
 *
 * The set is a bit mask: DEQ_AXIS(0) | DEQ_AXIS(2).  With `keep` the reduced axes stay with extent
 * one, so that the result broadcasts against the input; without it they are removed.  An empty set
 * reduces nothing.  Sums of f32 accumulate in double, in an order that depends on the shape alone:
 * the number of threads does not change a bit of the result.
 */
#ifndef DEQ_OP_REDUCE_H
#define DEQ_OP_REDUCE_H

#include <deq/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The set of the single axis i, 0 for the outermost. */
#define DEQ_AXIS(i) ((uint32_t)1 << (i))
/** All axes, whatever the rank: the result is a scalar. */
#define DEQ_ALL_AXES UINT32_MAX

/**
 * The sum  y = sum_r x_r  over the elements r of the reduced axes.
 *
 * @param g    a graph.
 * @param x    f32, f64, i32 or i64; integers wrap around.
 * @param axes a set of axes of x, or DEQ_ALL_AXES.
 * @param keep keep the reduced axes with extent one.
 * @return the value, of x's dtype; invalid after DEQ_ERR_DTYPE or DEQ_ERR_ARGUMENT (an axis that x
 *         does not have).
 */
DEQ_API deq_value deq_sum(deq_graph *g, deq_value x, uint32_t axes, bool keep);

/**
 * The mean  y = 1/n sum_r x_r  over the n elements of the reduced axes.
 *
 * @param g    a graph.
 * @param x    f32 or f64.
 * @param axes a set of axes of x, or DEQ_ALL_AXES.
 * @param keep keep the reduced axes with extent one.
 * @return the value; invalid after DEQ_ERR_DTYPE or DEQ_ERR_ARGUMENT.
 */
DEQ_API deq_value deq_mean(deq_graph *g, deq_value x, uint32_t axes, bool keep);

/**
 * The largest element  y = max_r x_r.  NaN if there is one.
 *
 * Where k elements are the largest, each of them gets 1/k of the derivative.
 *
 * @param g    a graph.
 * @param x    any dtype; of bool: whether any element is true.
 * @param axes a set of axes of x, or DEQ_ALL_AXES.
 * @param keep keep the reduced axes with extent one.
 * @return the value, of x's dtype; invalid after DEQ_ERR_ARGUMENT.
 */
DEQ_API deq_value deq_reduce_max(deq_graph *g, deq_value x, uint32_t axes, bool keep);

/**
 * The smooth maximum  y = log sum_r exp(x_r),  computed as  m + log sum_r exp(x_r - m)  with
 * m = max_r x_r, which does not overflow.
 *
 * Its derivative is the softmax of x.  Elements of -inf count for nothing; when all are -inf, so is
 * y, and the derivative is zero.  An element of +inf makes y +inf and takes the whole derivative.
 *
 * @param g    a graph.
 * @param x    f32 or f64.
 * @param axes a set of axes of x, or DEQ_ALL_AXES.
 * @param keep keep the reduced axes with extent one.
 * @return the value; invalid after DEQ_ERR_DTYPE or DEQ_ERR_ARGUMENT.
 */
DEQ_API deq_value deq_logsumexp(deq_graph *g, deq_value x, uint32_t axes, bool keep);

/**
 * The squared Euclidean norm  y = sum_r x_r^2.
 *
 * @param g    a graph.
 * @param x    f32 or f64.
 * @param axes a set of axes of x, or DEQ_ALL_AXES.
 * @param keep keep the reduced axes with extent one.
 * @return the value; invalid after DEQ_ERR_DTYPE or DEQ_ERR_ARGUMENT.
 */
DEQ_API deq_value deq_squared_norm(deq_graph *g, deq_value x, uint32_t axes, bool keep);

/**
 * The adjoint of deq_broadcast(): sums x over the axes along which a value of the given shape would
 * be repeated to have the shape of x.
 *
 * @param g     a graph.
 * @param x     f32, f64, i32 or i64.
 * @param shape a shape that broadcasts to the shape of x.
 * @return the value, of the given shape; x itself if it has that shape already; invalid after
 *         DEQ_ERR_SHAPE or DEQ_ERR_DTYPE.
 */
DEQ_API deq_value deq_sum_to(deq_graph *g, deq_value x, deq_shape shape);

#ifdef __cplusplus
}
#endif
#endif
