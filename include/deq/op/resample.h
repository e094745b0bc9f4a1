/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Resizing images, and sampling them at given points.
 */
#ifndef DEQ_OP_RESAMPLE_H
#define DEQ_OP_RESAMPLE_H

#include <deq/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Resize to the nearest pixel at the left and above:
 *
 *     y[b, c, i, j] = x[b, c, floor(i H / height), floor(j W / width)]
 *
 * (PyTorch's mode "nearest", without its rounding of the quotient).  Linear; its adjoint sums over
 * the pixels that were copies of one.
 *
 * @param g      a graph.
 * @param x      [B, C, H, W], f32 or f64.
 * @param height H' >= 1, larger or smaller than H.
 * @param width  W' >= 1.
 * @return the value [B, C, height, width]; invalid after DEQ_ERR_SHAPE (rank), DEQ_ERR_DTYPE,
 *         DEQ_ERR_ARGUMENT (height or width), DEQ_ERR_OVERFLOW.
 */
DEQ_API deq_value deq_resize_nearest(deq_graph *g, deq_value x, int64_t height, int64_t width);

/**
 * Resize by bilinear interpolation, along the height (and likewise the width) at
 *
 *     s(i) = i (H - 1) / (height - 1)              align_corners, 0 where height is 1
 *     s(i) = max(0, (i + 1/2) H / height - 1/2)    otherwise: centres of pixels, clamped
 *
 *     y_i = (1 - t) x_k + t x_min(k+1, H-1),    k = floor(s(i)), t = s(i) - k
 *
 * This is PyTorch's mode "bilinear" without antialiasing.  Linear.
 *
 * @param g             a graph.
 * @param x             [B, C, H, W], f32 or f64.
 * @param height        H' >= 1, larger or smaller than H.
 * @param width         W' >= 1.
 * @param align_corners which of the two maps.
 * @return the value [B, C, height, width]; errors as deq_resize_nearest().
 */
DEQ_API deq_value deq_resize_bilinear(deq_graph *g, deq_value x, int64_t height, int64_t width,
                                      bool align_corners);

/**
 * Sample an image at points by bilinear interpolation; outside of it there are zeros:
 *
 *     y[b, c, p] = sum over pixels (i, j) of  hat(u_p - j) hat(v_p - i) x[b, c, i, j]
 *
 * with hat(t) = max(0, 1 - |t|), u = coords[b, 0, p] and v = coords[b, 1, p].  Coordinates are
 * pixels: an integer hits the pixel of that number.  (PyTorch's grid_sample with align_corners and
 * zero padding, without the normalisation of the grid, which divides by zero at extent one.)
 *
 * y is differentiable in x and coords to any order; at integer coordinates, where hat has kinks, the
 * derivative is the one to the right.  A coordinate that is NaN gives NaN.
 *
 * @param g      a graph.
 * @param x      [B, C, H, W], f32 or f64.
 * @param coords [B, 2, H', W'], of x's dtype; channel 0 counts columns, channel 1 rows.
 * @return the value [B, C, H', W']; invalid after DEQ_ERR_SHAPE or DEQ_ERR_DTYPE.
 */
DEQ_API deq_value deq_sample_bilinear(deq_graph *g, deq_value x, deq_value coords);

#ifdef __cplusplus
}
#endif
#endif
