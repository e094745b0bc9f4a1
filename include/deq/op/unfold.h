/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Windows of an image as columns of a matrix (im2col), and the adjoint (col2im).  Layouts agree with
 * PyTorch's nn.Unfold and nn.Fold.
 */
#ifndef DEQ_OP_UNFOLD_H
#define DEQ_OP_UNFOLD_H

#include <deq/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Settings of deq_unfold2d() and deq_fold2d(); first rows, then columns. */
typedef struct deq_unfold2d_options {
    size_t struct_size;  /**< sizeof(deq_unfold2d_options) */
    int64_t kernel[2];   /**< taps of a window, >= 1; must be given */
    int64_t stride[2];   /**< >= 1, both or neither; default 1 */
    int64_t padding[2];  /**< zeros at each side, >= 0; default 0 */
    int64_t dilation[2]; /**< distance of the taps, >= 1, both or neither; default 1 */
} deq_unfold2d_options;

/** Options of deq_unfold2d() in place: DEQ_UNFOLD2D(.kernel = { 3, 3 }). */
#define DEQ_UNFOLD2D(...)                                                                          \
    (&(deq_unfold2d_options){ .struct_size = sizeof(deq_unfold2d_options), __VA_ARGS__ })

/**
 * Every window of x as a column,
 *
 *     y[b, (c R + r) S + s, p Q + q] = x[b, c, p s_h - p_h + r d_h, q s_w - p_w + s d_w]
 *
 * with kernel [R, S], stride s, padding p (x is zero outside) and dilation d.  Linear.
 *
 * @param g       a graph.
 * @param x       f32 or f64 [B, C, H, W].
 * @param options window; required.
 * @return [B, C R S, P Q], P = floor((H + 2 p_h - d_h (R - 1) - 1) / s_h) + 1 and Q likewise;
 *         invalid after DEQ_ERR_ARGUMENT, DEQ_ERR_DTYPE, DEQ_ERR_SHAPE, DEQ_ERR_OVERFLOW.
 */
DEQ_API deq_value deq_unfold2d(deq_graph *g, deq_value x, const deq_unfold2d_options *options);

/**
 * The adjoint of deq_unfold2d(): every column is added to the window that it stands for; what would
 * fall on the padding is dropped.  Linear.
 *
 * @param g       a graph.
 * @param columns f32 or f64 [B, C R S, P Q], P and Q as deq_unfold2d() gives them for [H, W].
 * @param height  H, >= 1.
 * @param width   W, >= 1.
 * @param options window; required.
 * @return [B, C, H, W]; invalid after DEQ_ERR_ARGUMENT, DEQ_ERR_DTYPE, DEQ_ERR_SHAPE,
 *         DEQ_ERR_OVERFLOW.
 */
DEQ_API deq_value deq_fold2d(deq_graph *g, deq_value columns, int64_t height, int64_t width,
                             const deq_unfold2d_options *options);

#ifdef __cplusplus
}
#endif
#endif
