/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Convolutions (cross-correlations, as everywhere in the field) and transposed convolutions.
 *
 * In every function `options` may be NULL for the defaults, and a field that is zero has its
 * default: `deq_conv2d(g, x, w, b, DEQ_CONV2D(.stride = { 2, 2 }, .padding = { 1, 1 }))`.
 * Of a pair the first number is for rows (height), the second for columns (width); for strides and
 * dilations either both are given or neither.
 *
 * Meaning, order of axes and rounding agree with PyTorch's functions of the same names.
 */
#ifndef DEQ_OP_CONV_H
#define DEQ_OP_CONV_H

#include <deq/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Settings of deq_conv2d(). */
typedef struct deq_conv2d_options {
    size_t struct_size;  /**< sizeof(deq_conv2d_options) */
    int64_t stride[2];   /**< >= 1; default 1 */
    int64_t padding[2];  /**< zeros before and after each axis, >= 0; default 0 */
    int64_t dilation[2]; /**< distance of the taps, >= 1; default 1 */
    int64_t groups;      /**< >= 1, divides the channels of x and of y; default 1 */
} deq_conv2d_options;

/** Settings of deq_conv1d(). */
typedef struct deq_conv1d_options {
    size_t struct_size; /**< sizeof(deq_conv1d_options) */
    int64_t stride;     /**< >= 1; default 1 */
    int64_t padding;    /**< zeros before and after, >= 0; default 0 */
    int64_t dilation;   /**< distance of the taps, >= 1; default 1 */
    int64_t groups;     /**< >= 1, divides the channels of x and of y; default 1 */
} deq_conv1d_options;

/** Settings of deq_conv_transpose2d(). */
typedef struct deq_conv_transpose2d_options {
    size_t struct_size;        /**< sizeof(deq_conv_transpose2d_options) */
    int64_t stride[2];         /**< of the convolution that is transposed, >= 1; default 1 */
    int64_t padding[2];        /**< rows and columns cut off at each side, >= 0; default 0 */
    int64_t output_padding[2]; /**< rows and columns added at the end, 0 to stride - 1; default 0 */
    int64_t dilation[2];       /**< distance of the taps, >= 1; default 1 */
    int64_t groups;            /**< >= 1, divides the channels of x; default 1 */
} deq_conv_transpose2d_options;

/** Settings of deq_conv_transpose1d(). */
typedef struct deq_conv_transpose1d_options {
    size_t struct_size;     /**< sizeof(deq_conv_transpose1d_options) */
    int64_t stride;         /**< of the convolution that is transposed, >= 1; default 1 */
    int64_t padding;        /**< positions cut off at each side, >= 0; default 0 */
    int64_t output_padding; /**< positions added at the end, 0 to stride - 1; default 0 */
    int64_t dilation;       /**< distance of the taps, >= 1; default 1 */
    int64_t groups;         /**< >= 1, divides the channels of x; default 1 */
} deq_conv_transpose1d_options;

/** Options of deq_conv2d() in place: DEQ_CONV2D(.padding = { 1, 1 }). */
#define DEQ_CONV2D(...)                                                                            \
    (&(deq_conv2d_options){ .struct_size = sizeof(deq_conv2d_options), __VA_ARGS__ })
/** Options of deq_conv1d() in place. */
#define DEQ_CONV1D(...)                                                                            \
    (&(deq_conv1d_options){ .struct_size = sizeof(deq_conv1d_options), __VA_ARGS__ })
/** Options of deq_conv_transpose2d() in place. */
#define DEQ_CONV_TRANSPOSE2D(...)                                                                  \
    (&(deq_conv_transpose2d_options){ .struct_size = sizeof(deq_conv_transpose2d_options),         \
                                      __VA_ARGS__ })
/** Options of deq_conv_transpose1d() in place. */
#define DEQ_CONV_TRANSPOSE1D(...)                                                                  \
    (&(deq_conv_transpose1d_options){ .struct_size = sizeof(deq_conv_transpose1d_options),         \
                                      __VA_ARGS__ })

/**
 * Two-dimensional convolution,
 *
 *     y[b, k, p, q] = bias[k] + sum_{c, r, s} x[b, c, p s_h - p_h + r d_h, q s_w - p_w + s d_w]
 *                                             w[k, c, r, s]
 *
 * with stride s, padding p (x is zero outside) and dilation d; channel k sees the channels c of its
 * group only.
 *
 * @param g       a graph.
 * @param x       f32 or f64 [B, C, H, W].
 * @param w       [K, C / groups, R, S] of x's dtype.
 * @param bias    [K] of x's dtype, or DEQ_NONE for no bias.
 * @param options NULL for the defaults.
 * @return [B, K, P, Q], P = floor((H + 2 p_h - d_h (R - 1) - 1) / s_h) + 1 and Q likewise; invalid
 *         after DEQ_ERR_ARGUMENT, DEQ_ERR_DTYPE, DEQ_ERR_SHAPE, DEQ_ERR_OVERFLOW.
 */
DEQ_API deq_value deq_conv2d(deq_graph *g, deq_value x, deq_value w, deq_value bias,
                             const deq_conv2d_options *options);

/**
 * One-dimensional convolution: deq_conv2d() with height 1.
 *
 * @param g       a graph.
 * @param x       f32 or f64 [B, C, L].
 * @param w       [K, C / groups, S] of x's dtype.
 * @param bias    [K] of x's dtype, or DEQ_NONE for no bias.
 * @param options NULL for the defaults.
 * @return [B, K, Q], Q = floor((L + 2 padding - dilation (S - 1) - 1) / stride) + 1; invalid as
 *         deq_conv2d().
 */
DEQ_API deq_value deq_conv1d(deq_graph *g, deq_value x, deq_value w, deq_value bias,
                             const deq_conv1d_options *options);

/**
 * Two-dimensional transposed convolution: the adjoint of deq_conv2d() with respect to its input,
 * for the same w, stride, padding, dilation and groups; plus a bias.
 *
 * @param g       a graph.
 * @param x       f32 or f64 [B, C, H, W].
 * @param w       [C, K / groups, R, S] of x's dtype.
 * @param bias    [K] of x's dtype, or DEQ_NONE for no bias.
 * @param options NULL for the defaults.
 * @return [B, K, P, Q], P = (H - 1) s_h - 2 p_h + d_h (R - 1) + output_padding_h + 1 and Q likewise;
 *         invalid after DEQ_ERR_ARGUMENT (also for output_padding >= stride), DEQ_ERR_DTYPE,
 *         DEQ_ERR_SHAPE, DEQ_ERR_OVERFLOW.
 */
DEQ_API deq_value deq_conv_transpose2d(deq_graph *g, deq_value x, deq_value w, deq_value bias,
                                       const deq_conv_transpose2d_options *options);

/**
 * One-dimensional transposed convolution: deq_conv_transpose2d() with height 1.
 *
 * @param g       a graph.
 * @param x       f32 or f64 [B, C, L].
 * @param w       [C, K / groups, S] of x's dtype.
 * @param bias    [K] of x's dtype, or DEQ_NONE for no bias.
 * @param options NULL for the defaults.
 * @return [B, K, Q], Q = (L - 1) stride - 2 padding + dilation (S - 1) + output_padding + 1; invalid
 *         as deq_conv_transpose2d().
 */
DEQ_API deq_value deq_conv_transpose1d(deq_graph *g, deq_value x, deq_value w, deq_value bias,
                                       const deq_conv_transpose1d_options *options);

#ifdef __cplusplus
}
#endif
#endif
