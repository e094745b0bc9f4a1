/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Products with sparse matrices in compressed row storage (CSR).
 *
 * A sparse matrix A [M, N] is three values: row_offsets [M + 1] (i32 or i64), columns [nnz] (i32)
 * and values [nnz] (f32 or f64).  Row i holds the entries k = row_offsets[i] to
 * row_offsets[i + 1] - 1, entry k being values[k] in column columns[k].  Columns need not be sorted;
 * entries in the same place add up.  nnz is at least 1.
 *
 * The structure is checked when a program runs: offsets that do not rise from 0 to nnz, or a column
 * out of range, end the run with DEQ_ERR_DATA and a message that says which.  Sums accumulate in
 * double, in an order that does not depend on the number of threads.
 *
 * The family is closed under derivatives: with y = A(v) b,  dv = csr_sample_dot(dy, b)  and
 * db = A(v)^T dy.
 */
#ifndef DEQ_OP_SPARSE_H
#define DEQ_OP_SPARSE_H

#include <deq/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * The product  y = A b.
 *
 * @param g           a graph.
 * @param row_offsets [M + 1], i32 or i64.
 * @param columns     [nnz], i32; elements 0 to N - 1.
 * @param values      [nnz], f32 or f64.
 * @param b           [N, D], of values' dtype.
 * @return the value [M, D]; invalid after DEQ_ERR_SHAPE or DEQ_ERR_DTYPE.
 */
DEQ_API deq_value deq_csr_matmul(deq_graph *g, deq_value row_offsets, deq_value columns,
                                 deq_value values, deq_value b);

/**
 * The product with the transpose,  y = A^T b.
 *
 * @param g           a graph.
 * @param row_offsets [M + 1], i32 or i64.
 * @param columns     [nnz], i32; elements 0 to n_columns - 1.
 * @param values      [nnz], f32 or f64.
 * @param b           [M, D], of values' dtype.
 * @param n_columns   N, at least 1.
 * @return the value [N, D]; invalid after DEQ_ERR_SHAPE, DEQ_ERR_DTYPE or DEQ_ERR_ARGUMENT.
 */
DEQ_API deq_value deq_csr_matmul_transposed(deq_graph *g, deq_value row_offsets, deq_value columns,
                                            deq_value values, deq_value b, int64_t n_columns);

/**
 * The entries of the dense product a b^T at the places of a sparse matrix:
 *
 *     v[k] = sum_d a[i, d] b[columns[k], d]     for the entries k of row i
 *
 * @param g           a graph.
 * @param row_offsets [M + 1], i32 or i64.
 * @param columns     [nnz], i32; elements 0 to N - 1.
 * @param a           [M, D], f32 or f64.
 * @param b           [N, D], of a's dtype.
 * @return the value [nnz]; invalid after DEQ_ERR_SHAPE or DEQ_ERR_DTYPE.
 */
DEQ_API deq_value deq_csr_sample_dot(deq_graph *g, deq_value row_offsets, deq_value columns,
                                     deq_value a, deq_value b);

#ifdef __cplusplus
}
#endif
#endif
