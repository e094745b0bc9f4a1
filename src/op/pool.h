/* SPDX-License-Identifier: MIT */
/* Pooling operators, for backends that bring their own kernels; see max_pool.c, average_pool.c. */
#ifndef DEQ_SRC_OP_POOL_H
#define DEQ_SRC_OP_POOL_H

#include "op/window.h"

/* Of a pair, [0] is for the height and [1] for the width. */
typedef struct deq_pool_attr {
    int64_t kernel[2], stride[2], padding[2];
    int64_t size[2];         /* average_pool2d_grad: H, W of dx; others: zero */
    int64_t exclude_padding; /* average_pool2d and its adjoint: 0 or 1; others: zero */
} deq_pool_attr;

/* x [B, C, H, W] to y [B, C, P, Q] and argmax I32 [B, C, P, Q], indices into the plane [H, W]. */
extern const deq_op deq_op_max_pool2d;

/* x [B, C, H, W], argmax [B, C, P, Q] to x[argmax] [B, C, P, Q]; no attributes. */
extern const deq_op deq_op_pool_gather;
/* Its adjoint: y [B, C, P, Q], argmax to [B, C, H, W], zero where no index points. */
typedef struct deq_pool_scatter_attr {
    int64_t size[2]; /* H, W */
} deq_pool_scatter_attr;
extern const deq_op deq_op_pool_scatter;

/* x [B, C, H, W] to y [B, C, P, Q]. */
extern const deq_op deq_op_average_pool2d;
/* Its adjoint: dy [B, C, P, Q] to dx [B, C, H, W]. */
extern const deq_op deq_op_average_pool2d_grad;

/* What the builders of pooling read: kernel, stride (default: kernel), padding. */
bool deq_pool_read(deq_graph *g, const char *op, deq_pool_attr *a, const int64_t kernel[2],
                   const int64_t stride[2], const int64_t padding[2]);
/* P, Q of a plane `in` = [H, W]; refuses windows that lie in the padding altogether. */
bool deq_rule_pool(deq_shape_rule *r, int64_t out[2], const int64_t in[2]);

/* The positions inside an axis of `in` that window p covers; never empty for a valid node. */
static inline deq_span deq_pool_cells(const deq_pool_attr *a, int axis, int64_t p, int64_t in)
{
    int64_t from = p * a->stride[axis] - a->padding[axis], to = from + a->kernel[axis];
    return (deq_span){ from > 0 ? from : 0, to < in ? to : in };
}

#endif
