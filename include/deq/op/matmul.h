/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Matrix products.
 */
#ifndef DEQ_OP_MATMUL_H
#define DEQ_OP_MATMUL_H

#include <deq/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Batched matrix product over the last two axes,
 *
 *     y[..., m, n] = sum_k  A[..., m, k] B[..., k, n],    A = a or a^T,  B = b or b^T
 *
 * where the axes before the last two are batch axes and broadcast against each other as in an
 * element-wise operator (missing axes count as extent 1).  Bilinear; differentiable in a and b.
 *
 * @param g           a graph.
 * @param a           f32 or f64 [..., M, K]; [..., K, M] with transpose_a.  Rank at least 2: a
 *                    vector has to be reshaped to a row or a column first.
 * @param b           [..., K, N] of a's dtype; [..., N, K] with transpose_b.
 * @param transpose_a whether the last two axes of a are exchanged.
 * @param transpose_b whether the last two axes of b are exchanged.
 * @return [..., M, N]; invalid after DEQ_ERR_DTYPE, DEQ_ERR_SHAPE, DEQ_ERR_OVERFLOW.
 */
DEQ_API deq_value deq_matmul(deq_graph *g, deq_value a, deq_value b, bool transpose_a,
                             bool transpose_b);

/**
 * An affine map of the last axis, y = x w^T + b: every axis of x but the last counts as batch.
 *
 * @param g a graph.
 * @param x f32 or f64 [..., K], rank at least 1.
 * @param w [N, K] of x's dtype, one row for each output feature.
 * @param b [N] of x's dtype, or DEQ_NONE for no bias.
 * @return [..., N]; invalid after DEQ_ERR_DTYPE, DEQ_ERR_SHAPE, DEQ_ERR_OVERFLOW.
 */
DEQ_API deq_value deq_linear(deq_graph *g, deq_value x, deq_value w, deq_value b);

#ifdef __cplusplus
}
#endif
#endif
