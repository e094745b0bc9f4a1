/* SPDX-License-Identifier: MIT */
/* The three convolution operators, for backends that bring their own kernels; see conv.c. */
#ifndef DEQ_SRC_OP_CONV_H
#define DEQ_SRC_OP_CONV_H

#include "op/window.h"

/* Of a pair, [0] is for the height and [1] for the width. */
typedef struct deq_conv_attr {
    int64_t stride[2], padding[2], dilation[2];
    int64_t groups;
    int64_t size[2]; /* input_grad: H, W of dx; weight_grad: R, S of dw; conv2d: zero */
} deq_conv_attr;

/*   operator              inputs                                   output
 *   conv2d                x [B, C, H, W],   w [K, C/g, R, S]       y  [B, K, P, Q]
 *   conv2d_input_grad     dy [B, K, P, Q],  w [K, C/g, R, S]       dx [B, C, H, W]
 *   conv2d_weight_grad    x [B, C, H, W],   dy [B, K, P, Q]        dw [K, C/g, R, S]   */
extern const deq_op deq_op_conv2d, deq_op_conv2d_input_grad, deq_op_conv2d_weight_grad;

/* The extents of any of the three. */
typedef struct deq_conv_dims {
    int64_t batch, groups;
    int64_t c, k;             /* channels of x and y, all groups together */
    int64_t h, w, r, s, p, q; /* planes of x, w and y */
    deq_window height, width;
} deq_conv_dims;

/* From the types of a valid node of one of the three operators. */
deq_conv_dims deq_conv2d_dims(const deq_kernel_call *c);
deq_conv_dims deq_conv2d_input_grad_dims(const deq_kernel_call *c);
deq_conv_dims deq_conv2d_weight_grad_dims(const deq_kernel_call *c);

#endif
