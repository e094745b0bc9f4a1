/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Picking entries along an axis by index, and adding into them.
 *
 * Indices are i32 and are checked when a program runs: one that is out of range ends the run with
 * DEQ_ERR_DATA and a message that gives its position, its value and the range.
 */
#ifndef DEQ_OP_INDEX_H
#define DEQ_OP_INDEX_H

#include <deq/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Entries of x along an axis:
 *
 *     y[p.., i.., q..] = x[p.., ids[i..], q..]
 *
 * where p runs over the axes before `axis` and q over those after it.  Its adjoint adds with
 * deq_scatter_add().
 *
 * @param g    a graph.
 * @param x    any dtype, rank at least 1.
 * @param axis 0 to rank - 1, or negative to count from the end.
 * @param ids  i32, any shape; elements 0 to x's extent at axis - 1, repeated ones allowed.
 * @return the value, of x's dtype and shape with `axis` replaced by the axes of ids; invalid after
 *         DEQ_ERR_SHAPE (rank above DEQ_MAX_RANK), DEQ_ERR_DTYPE, DEQ_ERR_ARGUMENT (axis).
 */
DEQ_API deq_value deq_gather(deq_graph *g, deq_value x, int axis, deq_value ids);

/**
 * The rows of a table: deq_gather() along axis 0.
 *
 * @param g     a graph.
 * @param table [V, D], any dtype.
 * @param ids   i32, any shape; elements 0 to V - 1.
 * @return the value [ids.., D]; invalid after DEQ_ERR_SHAPE or DEQ_ERR_DTYPE.
 */
DEQ_API deq_value deq_embedding(deq_graph *g, deq_value table, deq_value ids);

/**
 * x with entries added along an axis:
 *
 *     y[p.., j, q..] = x[p.., j, q..] + sum over i with ids[i..] = j of src[p.., i.., q..]
 *
 * Each sum accumulates in double, in the order of i, whatever the number of threads.
 *
 * @param g    a graph.
 * @param x    f32 or f64, rank at least 1.
 * @param axis 0 to rank - 1, or negative to count from the end.
 * @param ids  i32, any shape; elements 0 to x's extent at axis - 1, repeated ones allowed.
 * @param src  x's dtype; x's shape with `axis` replaced by the axes of ids.
 * @return the value, of x's type; invalid after DEQ_ERR_SHAPE, DEQ_ERR_DTYPE, DEQ_ERR_ARGUMENT.
 */
DEQ_API deq_value deq_scatter_add(deq_graph *g, deq_value x, int axis, deq_value ids,
                                  deq_value src);

#ifdef __cplusplus
}
#endif
#endif
