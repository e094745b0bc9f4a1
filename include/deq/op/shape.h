/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Operators that move elements and compute nothing: any dtype, differentiable for f32 and f64.
 *
 * Axes count from 0, the outermost.  A call that would change nothing returns its input.
 */
#ifndef DEQ_OP_SHAPE_H
#define DEQ_OP_SHAPE_H

#include <deq/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What deq_pad() puts around a value. */
typedef enum deq_pad_mode {
    DEQ_PAD_ZERO = 0, /**< zeros */
    DEQ_PAD_REPLICATE /**< the nearest element of the edge */
} deq_pad_mode;

/**
 * Repeat a value until it has the given shape.  Axes are aligned at the innermost one; an axis that
 * x lacks, or has with extent one, is repeated.  Element-wise operators broadcast by themselves.
 *
 * @param g     a graph.
 * @param x     a value.
 * @param shape every extent equals that of the aligned axis of x, unless that is one or missing.
 * @return the value; its adjoint is deq_sum_to(); invalid after DEQ_ERR_SHAPE or DEQ_ERR_OVERFLOW.
 */
DEQ_API deq_value deq_broadcast(deq_graph *g, deq_value x, deq_shape shape);

/**
 * The same elements, in the same row-major order, under another shape.  Costs nothing.
 *
 * @param g     a graph.
 * @param x     a value.
 * @param shape as many elements as x; one extent may be -1 and follows from the others.
 * @return the value; invalid after DEQ_ERR_SHAPE.
 */
DEQ_API deq_value deq_reshape(deq_graph *g, deq_value x, deq_shape shape);

/**
 * Reorder the axes: axis i of the result is axis order[i] of x.
 *
 * @param g     a graph.
 * @param x     a value of rank n.
 * @param order n axes of x, each once.
 * @param n     the rank of x.
 * @return the value; its adjoint is the inverse reordering; invalid after DEQ_ERR_ARGUMENT.
 */
DEQ_API deq_value deq_permute(deq_graph *g, deq_value x, const int *order, int n);

/**
 * Exchange two axes.
 *
 * @param g a graph.
 * @param x a value.
 * @param a an axis of x.
 * @param b an axis of x.
 * @return the value; invalid after DEQ_ERR_ARGUMENT.
 */
DEQ_API deq_value deq_transpose(deq_graph *g, deq_value x, int a, int b);

/**
 * Join values along an axis.
 *
 * @param g    a graph.
 * @param x    n values of one dtype and one rank, with equal extents at all axes but one.
 * @param n    at least 1.
 * @param axis the axis along which they may differ, and are joined.
 * @return the value; its adjoint slices; invalid after DEQ_ERR_ARGUMENT, DEQ_ERR_DTYPE,
 *         DEQ_ERR_SHAPE or DEQ_ERR_OVERFLOW.
 */
DEQ_API deq_value deq_concat(deq_graph *g, const deq_value *x, int n, int axis);

/**
 * The part start .. start + length - 1 of an axis.
 *
 * @param g      a graph.
 * @param x      a value.
 * @param axis   an axis of x.
 * @param start  at least 0.
 * @param length at least 1; start + length is at most the extent of the axis.
 * @return the value; its adjoint pads with zeros; invalid after DEQ_ERR_ARGUMENT or DEQ_ERR_SHAPE.
 */
DEQ_API deq_value deq_slice(deq_graph *g, deq_value x, int axis, int64_t start, int64_t length);

/**
 * Surround a value: axis i of the result has extent before[i] + extent + after[i].
 *
 * The adjoint of padding with zeros slices; that of replicating adds to each element of the edge
 * what its copies receive.
 *
 * @param g      a graph.
 * @param x      a value.
 * @param before as many numbers >= 0 as x has axes: elements put before each axis.
 * @param after  the same, behind each axis.
 * @param mode   DEQ_PAD_ZERO or DEQ_PAD_REPLICATE.
 * @return the value; invalid after DEQ_ERR_ARGUMENT or DEQ_ERR_OVERFLOW.
 */
DEQ_API deq_value deq_pad(deq_graph *g, deq_value x, const int64_t *before, const int64_t *after,
                          deq_pad_mode mode);

/**
 * The value itself, but a constant to derivatives.
 *
 * @param g a graph.
 * @param x a value.
 * @return the value.
 */
DEQ_API deq_value deq_stop_gradient(deq_graph *g, deq_value x);

#ifdef __cplusplus
}
#endif
#endif
