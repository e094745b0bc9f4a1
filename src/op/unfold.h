/* SPDX-License-Identifier: MIT */
/* im2col and col2im, for backends that bring their own kernels; see unfold.c. */
#ifndef DEQ_SRC_OP_UNFOLD_H
#define DEQ_SRC_OP_UNFOLD_H

#include "op/window.h"

/* Of a pair, [0] is for the height and [1] for the width. */
typedef struct deq_unfold_attr {
    int64_t kernel[2], stride[2], padding[2], dilation[2];
    int64_t size[2]; /* fold2d: H, W of x; unfold2d: zero */
} deq_unfold_attr;

/* unfold2d: x [B, C, H, W] to columns [B, C R S, P Q].  fold2d: its adjoint. */
extern const deq_op deq_op_unfold2d, deq_op_fold2d;

#endif
