/* SPDX-License-Identifier: MIT */
/**
 * @file
 * The relative shift of Transformer-XL's attention.
 */
#ifndef DEQ_OP_RELATIVE_SHIFT_H
#define DEQ_OP_RELATIVE_SHIFT_H

#include <deq/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Aligns scores by relative position with keys: one zero column is put on the left of each
 * [T, S] matrix, its memory is read as [S + 1, T], the first row is dropped, and the rest is read
 * as [T, S] again.  With element m of the padded matrix, row-major,
 *
 *     y[i, j] = padded[i S + j + T],    padded[i (S + 1)] = 0,  padded[i (S + 1) + 1 + j] = x[i, j]
 *
 * so that y[i, j] = x[i, j + T - 1 - i] wherever j <= S - T + i: column j of query i meets the
 * position code of distance i + S - T - j.  The elements beyond are what the reading leaves there
 * (a zero, then the following row); causal attention masks them.
 *
 * Dai et al., "Transformer-XL: Attentive language models beyond a fixed-length context", ACL 2019,
 * appendix B.
 *
 * @param g a graph.
 * @param x [..., T, S], f32 or f64.
 * @return the value, of x's type; invalid after DEQ_ERR_SHAPE (rank below 2) or DEQ_ERR_DTYPE.
 */
DEQ_API deq_value deq_relative_shift(deq_graph *g, deq_value x);

#ifdef __cplusplus
}
#endif
#endif
