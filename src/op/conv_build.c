/* SPDX-License-Identifier: MIT */
/*
 * Builders of convolutions.  A bias is a broadcast sum; one dimension is two with height 1; a
 * transposed convolution is the input gradient of a convolution, so w keeps the shape that it has
 * there: its first axis belongs to the input.
 */
#include "op/conv.h"

#include <deq/op/conv.h>
#include <deq/op/elementwise.h>
#include <deq/op/shape.h>
#include <string.h>

static const deq_value invalid = { -1 };

/* --- what the builders share ------------------------------------------------------------------ */

static bool check_rank(deq_graph *g, const char *op, const char *what, deq_value v, int rank)
{
    deq_type t = deq_value_type(g, v);
    char text[256];
    if (deq_graph_status(g) == DEQ_OK && t.shape.rank != rank)
        deq_graph_fail(g, DEQ_ERR_SHAPE, "%s: %s is %s, expected rank %d", op, what,
                       deq_type_format(text, sizeof text, &t), rank);
    return deq_graph_status(g) == DEQ_OK;
}

/* y[b, k, p, q] + bias[k] */
static deq_value add_bias(deq_graph *g, const char *op, deq_value y, deq_value bias)
{
    if (bias.id == 0 || deq_graph_status(g) != DEQ_OK) return y;
    deq_type t = deq_value_type(g, bias);
    int64_t channels = deq_value_type(g, y).shape.dim[1];
    char text[256];
    if (t.shape.rank != 1 || t.shape.dim[0] != channels)
        return deq_graph_fail(g, DEQ_ERR_SHAPE, "%s: bias is %s, expected [%lld]", op,
                              deq_type_format(text, sizeof text, &t), (long long)channels);
    return deq_add(g, y, deq_reshape(g, bias, DEQ_SHAPE(channels, 1, 1)));
}

/* [A, B, L] to [A, B, 1, L] and back. */
static deq_value with_height(deq_graph *g, deq_value v)
{
    deq_shape s = deq_value_type(g, v).shape;
    return deq_reshape(g, v, DEQ_SHAPE(s.dim[0], s.dim[1], 1, s.dim[2]));
}

static deq_value without_height(deq_graph *g, deq_value v)
{
    if (deq_graph_status(g) != DEQ_OK) return v;
    deq_shape s = deq_value_type(g, v).shape;
    return deq_reshape(g, v, DEQ_SHAPE(s.dim[0], s.dim[1], s.dim[3]));
}

static void set_pair(int64_t pair[2], int64_t height, int64_t width)
{
    pair[0] = height;
    pair[1] = width;
}

static int64_t or_one(int64_t n)
{
    return n ? n : 1;
}

/* --- convolution ------------------------------------------------------------------------------ */

static bool read_conv2d(deq_graph *g, deq_conv_attr *a, const deq_conv2d_options *given)
{
    const deq_conv2d_options none = { .struct_size = sizeof none }, *o = given ? given : &none;
    memset(a, 0, sizeof *a);
    if (!deq_window_options(g, "conv2d", o->struct_size, sizeof *o) ||
        !deq_window_pair(g, "conv2d", "stride", a->stride, o->stride, 1) ||
        !deq_window_pair(g, "conv2d", "dilation", a->dilation, o->dilation, 1))
        return false;
    set_pair(a->padding, o->padding[0], o->padding[1]);
    a->groups = or_one(o->groups);
    return true;
}

deq_value deq_conv2d(deq_graph *g, deq_value x, deq_value w, deq_value bias,
                     const deq_conv2d_options *options)
{
    deq_conv_attr a;
    if (!read_conv2d(g, &a, options)) return invalid;
    deq_value in[] = { x, w };
    return add_bias(g, "conv2d", deq_emit1(g, &deq_op_conv2d, &a, sizeof a, in, 2), bias);
}

deq_value deq_conv1d(deq_graph *g, deq_value x, deq_value w, deq_value bias,
                     const deq_conv1d_options *options)
{
    const deq_conv1d_options none = { .struct_size = sizeof none }, *o = options ? options : &none;
    if (!deq_window_options(g, "conv1d", o->struct_size, sizeof *o) ||
        !check_rank(g, "conv1d", "x", x, 3) || !check_rank(g, "conv1d", "w", w, 3))
        return invalid;
    deq_value y = deq_conv2d(
        g, with_height(g, x), with_height(g, w), bias,
        DEQ_CONV2D(.stride = { 1, or_one(o->stride) }, .padding = { 0, o->padding },
                   .dilation = { 1, or_one(o->dilation) }, .groups = o->groups));
    return without_height(g, y);
}

/* --- transposed convolution ------------------------------------------------------------------- */

/* a->size[i] = (in - 1) stride - 2 padding + dilation (kernel - 1) + output_padding + 1 */
static bool transposed_extent(deq_graph *g, deq_conv_attr *a, int i, int64_t in, int64_t kernel,
                              int64_t output_padding)
{
    const int64_t numbers[] = { a->stride[i], a->padding[i], a->dilation[i], output_padding,
                                in,           kernel };
    const char *const names[] = { "stride",         "padding", "dilation",
                                  "output_padding", "extent",  "kernel" };
    for (int n = 0; n < 6; n++) /* so small that nothing below can overflow */
        if (numbers[n] < 0 || numbers[n] > INT32_MAX) {
            deq_graph_fail(g, DEQ_ERR_ARGUMENT, "conv_transpose2d: %s is %lld, expected 0 to %lld",
                           names[n], (long long)numbers[n], (long long)INT32_MAX);
            return false;
        }
    if (output_padding >= a->stride[i]) {
        deq_graph_fail(
            g, DEQ_ERR_ARGUMENT,
            "conv_transpose2d: output_padding is %lld, expected less than the stride %lld",
            (long long)output_padding, (long long)a->stride[i]);
        return false;
    }
    a->size[i] = (in - 1) * a->stride[i] - 2 * a->padding[i] + a->dilation[i] * (kernel - 1) +
                 output_padding + 1;
    if (a->size[i] >= 1) return true;
    deq_graph_fail(g, DEQ_ERR_SHAPE, "conv_transpose2d: the %s of the output would be %lld",
                   i ? "width" : "height", (long long)a->size[i]);
    return false;
}

static bool read_transpose(deq_graph *g, deq_conv_attr *a, const deq_shape *x, const deq_shape *w,
                           const deq_conv_transpose2d_options *o)
{
    static const char *const op = "conv_transpose2d";
    memset(a, 0, sizeof *a);
    if (!deq_window_options(g, op, o->struct_size, sizeof *o) ||
        !deq_window_pair(g, op, "stride", a->stride, o->stride, 1) ||
        !deq_window_pair(g, op, "dilation", a->dilation, o->dilation, 1))
        return false;
    set_pair(a->padding, o->padding[0], o->padding[1]);
    a->groups = or_one(o->groups);
    for (int i = 0; i < 2; i++)
        if (!transposed_extent(g, a, i, x->dim[2 + i], w->dim[2 + i], o->output_padding[i]))
            return false;
    if (x->dim[1] == w->dim[0]) return true;
    deq_graph_fail(g, DEQ_ERR_SHAPE, "%s: x has %lld channels, w expects %lld", op,
                   (long long)x->dim[1], (long long)w->dim[0]);
    return false;
}

deq_value deq_conv_transpose2d(deq_graph *g, deq_value x, deq_value w, deq_value bias,
                               const deq_conv_transpose2d_options *options)
{
    const deq_conv_transpose2d_options none = { .struct_size = sizeof none };
    if (!check_rank(g, "conv_transpose2d", "x", x, 4) ||
        !check_rank(g, "conv_transpose2d", "w", w, 4))
        return invalid;
    deq_shape sx = deq_value_type(g, x).shape, sw = deq_value_type(g, w).shape;
    deq_conv_attr a;
    if (!read_transpose(g, &a, &sx, &sw, options ? options : &none)) return invalid;
    deq_value in[] = { x, w }, y = deq_emit1(g, &deq_op_conv2d_input_grad, &a, sizeof a, in, 2);
    return add_bias(g, "conv_transpose2d", y, bias);
}

deq_value deq_conv_transpose1d(deq_graph *g, deq_value x, deq_value w, deq_value bias,
                               const deq_conv_transpose1d_options *options)
{
    const deq_conv_transpose1d_options none = { .struct_size = sizeof none };
    const deq_conv_transpose1d_options *o = options ? options : &none;
    if (!deq_window_options(g, "conv_transpose1d", o->struct_size, sizeof *o) ||
        !check_rank(g, "conv_transpose1d", "x", x, 3) ||
        !check_rank(g, "conv_transpose1d", "w", w, 3))
        return invalid;
    deq_value y = deq_conv_transpose2d(
        g, with_height(g, x), with_height(g, w), bias,
        DEQ_CONV_TRANSPOSE2D(.stride = { 1, or_one(o->stride) }, .padding = { 0, o->padding },
                             .output_padding = { 0, o->output_padding },
                             .dilation = { 1, or_one(o->dilation) }, .groups = o->groups));
    return without_height(g, y);
}
