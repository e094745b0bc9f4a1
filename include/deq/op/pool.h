/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Pooling over windows of the last two axes.  Meaning and rounding (down) agree with PyTorch's
 * functions of the same names.  Of a pair the first number is for rows, the second for columns.
 */
#ifndef DEQ_OP_POOL_H
#define DEQ_OP_POOL_H

#include <deq/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Settings of deq_max_pool2d(). */
typedef struct deq_max_pool2d_options {
    size_t struct_size; /**< sizeof(deq_max_pool2d_options) */
    int64_t kernel[2];  /**< extents of a window, >= 1; must be given */
    int64_t stride[2];  /**< >= 1, both or neither; default: kernel */
    int64_t padding[2]; /**< positions of -infinity at each side, 0 to kernel - 1; default 0 */
} deq_max_pool2d_options;

/** Settings of deq_average_pool2d(). */
typedef struct deq_average_pool2d_options {
    size_t struct_size;   /**< sizeof(deq_average_pool2d_options) */
    int64_t kernel[2];    /**< extents of a window, >= 1; must be given */
    int64_t stride[2];    /**< >= 1, both or neither; default: kernel */
    int64_t padding[2];   /**< zeros at each side, 0 to kernel - 1; default 0 */
    bool exclude_padding; /**< divide by the number of elements of x in the window instead of by the
                               extent of the window; default false */
} deq_average_pool2d_options;

/** Options of deq_max_pool2d() in place: DEQ_MAX_POOL2D(.kernel = { 2, 2 }). */
#define DEQ_MAX_POOL2D(...)                                                                        \
    (&(deq_max_pool2d_options){ .struct_size = sizeof(deq_max_pool2d_options), __VA_ARGS__ })
/** Options of deq_average_pool2d() in place. */
#define DEQ_AVERAGE_POOL2D(...)                                                                    \
    (&(deq_average_pool2d_options){ .struct_size = sizeof(deq_average_pool2d_options),             \
                                    __VA_ARGS__ })

/**
 * The largest element of each window.  A NaN in a window makes its result NaN.
 *
 * The derivative goes to the element that was taken: among equal ones the first in row-major order.
 *
 * @param g       a graph.
 * @param x       f32 or f64 [B, C, H, W].
 * @param options window; required.
 * @param argmax  receives I32 [B, C, P, Q], the row-major index in the plane [H, W] of the element
 *                taken; NULL if not wanted.
 * @return [B, C, P, Q], P = floor((H + 2 padding_h - kernel_h) / stride_h) + 1 and Q likewise;
 *         invalid after DEQ_ERR_ARGUMENT, DEQ_ERR_DTYPE, DEQ_ERR_SHAPE, DEQ_ERR_OVERFLOW (planes of
 *         more than 2^31 - 1 elements).
 */
DEQ_API deq_value deq_max_pool2d(deq_graph *g, deq_value x, const deq_max_pool2d_options *options,
                                 deq_value *argmax);

/**
 * The mean of each window.  Linear.
 *
 * @param g       a graph.
 * @param x       f32 or f64 [B, C, H, W].
 * @param options window; required.
 * @return [B, C, P, Q], extents as for deq_max_pool2d(); invalid after DEQ_ERR_ARGUMENT,
 *         DEQ_ERR_DTYPE, DEQ_ERR_SHAPE, DEQ_ERR_OVERFLOW.
 */
DEQ_API deq_value deq_average_pool2d(deq_graph *g, deq_value x,
                                     const deq_average_pool2d_options *options);

/**
 * The mean of each plane.  Linear.
 *
 * @param g    a graph.
 * @param x    f32 or f64 [B, C, H, W].
 * @param keep whether the two averaged axes stay, with extent 1.
 * @return [B, C], or [B, C, 1, 1] with keep; invalid after DEQ_ERR_DTYPE, DEQ_ERR_SHAPE.
 */
DEQ_API deq_value deq_global_average_pool(deq_graph *g, deq_value x, bool keep);

#ifdef __cplusplus
}
#endif
#endif
