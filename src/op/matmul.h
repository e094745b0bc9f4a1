/* SPDX-License-Identifier: MIT */
/* The matrix product, for backends that bring their own kernel. */
#ifndef DEQ_SRC_OP_MATMUL_H
#define DEQ_SRC_OP_MATMUL_H

#include "op/op.h"

typedef struct deq_matmul_attr {
    int32_t transpose_a, transpose_b; /* 0 or 1: exchange the last two axes */
} deq_matmul_attr;

/* inputs a, b; output y; see deq/op/matmul.h. */
extern const deq_op deq_op_matmul;

/* A batched product in numbers.  Strides are in elements and zero along a broadcast axis; the batch
 * axes are those of the output. */
typedef struct deq_matmul_dims {
    int64_t batch, m, n, k;
    int64_t a_row, a_col, b_row, b_col; /* of A [M, K] and B [K, N], transposition included */
    int n_batch_axes;
    int64_t batch_dim[DEQ_MAX_RANK];
    int64_t a_batch[DEQ_MAX_RANK], b_batch[DEQ_MAX_RANK];
} deq_matmul_dims;

/* From the types of a valid node. */
deq_matmul_dims deq_matmul_dims_of(const deq_kernel_call *c);
/* Where the matrices of batch element i start, in elements. */
void deq_matmul_offsets(const deq_matmul_dims *d, int64_t i, int64_t *a, int64_t *b);

#endif
