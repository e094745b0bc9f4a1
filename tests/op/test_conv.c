/* SPDX-License-Identifier: MIT */
#include "op/conv.h"
#include "support/op_check.h"

#include <deq/op/conv.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* --- the trilinear form as a plain loop ------------------------------------------------------- */

typedef struct conv_case {
    const char *name;
    int64_t x[4], w[4];                         /* [B, C, H, W], [K, C/g, R, S] */
    int64_t stride[2], padding[2], dilation[2]; /* zeros: the default */
    int64_t groups;
} conv_case;

static const conv_case cases[] = {
    { "one element", { 1, 1, 1, 1 }, { 1, 1, 1, 1 }, { 0 }, { 0 }, { 0 }, 0 },
    { "1x1", { 2, 3, 2, 3 }, { 2, 3, 1, 1 }, { 0 }, { 0 }, { 0 }, 0 },
    { "3x3 same", { 1, 2, 4, 3 }, { 2, 2, 3, 3 }, { 0 }, { 1, 1 }, { 0 }, 0 },
    { "3x3 valid", { 2, 1, 5, 4 }, { 2, 1, 3, 3 }, { 1, 1 }, { 0 }, { 1, 1 }, 1 },
    { "window as large as the image", { 1, 2, 3, 2 }, { 2, 2, 3, 2 }, { 0 }, { 0 }, { 0 }, 0 },
    { "rows unlike columns", { 1, 2, 6, 5 }, { 1, 2, 3, 2 }, { 2, 1 }, { 1, 0 }, { 1, 3 }, 0 },
    { "stride 2, rest left over", { 1, 1, 6, 7 }, { 2, 1, 3, 3 }, { 2, 2 }, { 1, 1 }, { 0 }, 0 },
    { "stride larger than the window", { 1, 2, 7, 5 }, { 1, 2, 1, 2 }, { 3, 3 }, { 0 }, { 0 }, 0 },
    { "dilation 2", { 1, 1, 5, 6 }, { 2, 1, 3, 2 }, { 0 }, { 2, 1 }, { 2, 2 }, 0 },
    { "padding larger than the window", { 1, 1, 2, 2 }, { 1, 1, 2, 1 }, { 0 }, { 3, 2 }, { 0 }, 0 },
    { "groups", { 1, 4, 3, 3 }, { 6, 2, 2, 2 }, { 0 }, { 1, 0 }, { 0 }, 2 },
    { "depthwise", { 2, 3, 4, 3 }, { 3, 1, 3, 3 }, { 2, 1 }, { 1, 1 }, { 0 }, 3 },
    { "depthwise, two outputs each", { 1, 2, 3, 3 }, { 4, 1, 2, 2 }, { 0 }, { 0 }, { 0 }, 2 },
    { "separable row", { 1, 2, 2, 6 }, { 1, 2, 1, 5 }, { 0 }, { 0, 2 }, { 0 }, 0 },
    { "everything", { 2, 4, 7, 6 }, { 2, 2, 3, 2 }, { 2, 3 }, { 2, 1 }, { 2, 3 }, 2 },
};

static int64_t given_or_one(int64_t n)
{
    return n ? n : 1;
}

static deq_shape shape4(const int64_t d[4])
{
    return DEQ_SHAPE(d[0], d[1], d[2], d[3]);
}

static deq_conv_attr attr_of(const conv_case *c)
{
    deq_conv_attr a;
    memset(&a, 0, sizeof a);
    for (int i = 0; i < 2; i++) {
        a.stride[i] = given_or_one(c->stride[i]);
        a.dilation[i] = given_or_one(c->dilation[i]);
        a.padding[i] = c->padding[i];
    }
    a.groups = given_or_one(c->groups);
    return a;
}

static deq_shape y_shape(const conv_case *c)
{
    deq_conv_attr a = attr_of(c);
    int64_t extent[2];
    for (int i = 0; i < 2; i++) {
        int64_t last = c->x[2 + i] + a.padding[i] - 1; /* largest place that may be read */
        extent[i] = 0;
        for (int64_t from = -a.padding[i]; from + a.dilation[i] * (c->w[2 + i] - 1) <= last;
             from += a.stride[i])
            extent[i]++;
    }
    return DEQ_SHAPE(c->x[0], c->w[0], extent[0], extent[1]);
}

/* Adds, for every pair of an output and an input that a tap joins, one factor times another:
 * exactly one of x, w, y is written (`to`), the other two are read. */
typedef enum role { TO_X, TO_W, TO_Y } role;

static void trilinear(const conv_case *c, double *x, double *w, double *y, role to)
{
    deq_conv_attr a = attr_of(c);
    deq_shape s = y_shape(c);
    int64_t cg = c->w[1], kg = c->w[0] / a.groups, C = c->x[1], H = c->x[2], W = c->x[3];
    int64_t K = c->w[0], R = c->w[2], S = c->w[3], P = s.dim[2], Q = s.dim[3];
    for (int64_t b = 0; b < c->x[0]; b++)
        for (int64_t k = 0; k < K; k++)
            for (int64_t p = 0; p < P; p++)
                for (int64_t q = 0; q < Q; q++)
                    for (int64_t i = 0; i < cg; i++)
                        for (int64_t r = 0; r < R; r++)
                            for (int64_t t = 0; t < S; t++) {
                                int64_t h = p * a.stride[0] - a.padding[0] + r * a.dilation[0];
                                int64_t v = q * a.stride[1] - a.padding[1] + t * a.dilation[1];
                                if (h < 0 || h >= H || v < 0 || v >= W) continue;
                                int64_t ch = k / kg * cg + i;
                                double *px = &x[((b * C + ch) * H + h) * W + v];
                                double *pw = &w[((k * cg + i) * R + r) * S + t];
                                double *py = &y[((b * K + k) * P + p) * Q + q];
                                if (to == TO_X) *px += *pw * *py;
                                if (to == TO_W) *pw += *px * *py;
                                if (to == TO_Y) *py += *px * *pw;
                            }
}

/* --- the three operators ---------------------------------------------------------------------- */

static deq_value build_conv(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    const conv_case *c = user;
    return deq_conv2d(g, in[0], in[1], n_in > 2 ? in[2] : DEQ_NONE,
                      DEQ_CONV2D(.stride = { c->stride[0], c->stride[1] },
                                 .padding = { c->padding[0], c->padding[1] },
                                 .dilation = { c->dilation[0], c->dilation[1] },
                                 .groups = c->groups));
}

static deq_value emit(deq_graph *g, const deq_op *op, const conv_case *c, const deq_value *in,
                      const int64_t *size)
{
    deq_conv_attr a = attr_of(c);
    a.size[0] = size[0];
    a.size[1] = size[1];
    return deq_emit1(g, op, &a, sizeof a, in, 2);
}

static deq_value build_input_grad(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    const conv_case *c = user;
    (void)n_in;
    return emit(g, &deq_op_conv2d_input_grad, c, in, &c->x[2]);
}

static deq_value build_weight_grad(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    const conv_case *c = user;
    (void)n_in;
    return emit(g, &deq_op_conv2d_weight_grad, c, in, &c->w[2]);
}

static op_case op_of(const conv_case *c, op_build_fn *build, deq_shape a, deq_shape b)
{
    return (op_case){ .name = c->name,
                      .n_in = 2,
                      .in = { { DEQ_F64, a }, { DEQ_F64, b } },
                      .build = build,
                      .user = c };
}

static op_case op_conv(const conv_case *c)
{
    return op_of(c, build_conv, shape4(c->x), shape4(c->w));
}

static op_case op_input_grad(const conv_case *c)
{
    return op_of(c, build_input_grad, y_shape(c), shape4(c->w));
}

static op_case op_weight_grad(const conv_case *c)
{
    return op_of(c, build_weight_grad, shape4(c->x), y_shape(c));
}

static double *doubles(deq_shape s)
{
    double *x = calloc((size_t)deq_shape_count(&s), sizeof *x);
    assert_non_null(x);
    return x;
}

/* Input 0 and 1 of the operator are two of x, w, y; the third is what it computes. */
static void check_against_loop(const conv_case *c, const op_case *o, role in0, role in1, role out)
{
    deq_shape shapes[3] = { shape4(c->x), shape4(c->w), y_shape(c) };
    double *v[3] = { doubles(shapes[0]), doubles(shapes[1]), doubles(shapes[2]) };
    double *got = doubles(shapes[out]);
    deq_shape type = type_of_op(o).shape;
    assert_true(deq_shape_equal(&type, &shapes[out]));
    random_data(o, 0, v[in0]);
    random_data(o, 1, v[in1]);
    trilinear(c, v[0], v[1], v[2], out);
    forward_op(o, NULL, got);
    check_close(c->name, got, v[out], deq_shape_count(&type), 1e-13);
    forward_op_f32(o, NULL, got);
    check_close(c->name, got, v[out], deq_shape_count(&type), 2e-6);
    for (int i = 0; i < 3; i++) free(v[i]);
    free(got);
}

static void conv2d_matches_a_plain_loop(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        op_case o = op_conv(&cases[i]);
        check_against_loop(&cases[i], &o, TO_X, TO_W, TO_Y);
    }
}

static void conv2d_input_grad_matches_a_plain_loop(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        op_case o = op_input_grad(&cases[i]);
        check_against_loop(&cases[i], &o, TO_Y, TO_W, TO_X);
    }
}

static void conv2d_weight_grad_matches_a_plain_loop(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        op_case o = op_weight_grad(&cases[i]);
        check_against_loop(&cases[i], &o, TO_X, TO_Y, TO_W);
    }
}

static void conv2d_derivatives_match_differences(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        op_case o = op_conv(&cases[i]);
        check_op(&o);
    }
}

static void derivatives_of_the_adjoints_match_differences(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        op_case input = op_input_grad(&cases[i]), weight = op_weight_grad(&cases[i]);
        check_op(&input);
        check_op(&weight);
    }
}

static void bias_is_added_to_its_channel(void **state)
{
    (void)state;
    conv_case c = { "bias", { 2, 1, 2, 2 }, { 3, 1, 1, 1 }, { 0 }, { 0 }, { 0 }, 0 };
    op_case o = op_conv(&c);
    o.n_in = 3;
    o.in[2] = (deq_type){ DEQ_F64, DEQ_SHAPE(3) };
    const double x[8] = { 0 }, w[3] = { 1, 1, 1 }, bias[3] = { 1, 2, 3 };
    const double *in[] = { x, w, bias };
    double y[24];
    forward_op(&o, in, y);
    for (int i = 0; i < 24; i++) assert_true(y[i] == bias[i / 4 % 3]);
    check_op(&o);
}

static deq_value build_without_options(deq_graph *g, const deq_value *in, int n_in,
                                       const void *user)
{
    (void)n_in;
    (void)user;
    return deq_conv2d(g, in[0], in[1], DEQ_NONE, NULL);
}

static void absent_options_mean_stride_one_and_no_padding(void **state)
{
    (void)state;
    conv_case c = { "defaults", { 1, 2, 3, 4 }, { 2, 2, 2, 2 }, { 0 }, { 0 }, { 0 }, 0 };
    op_case o = op_of(&c, build_without_options, shape4(c.x), shape4(c.w));
    check_against_loop(&c, &o, TO_X, TO_W, TO_Y);
}

static void run_kernel(const deq_op *op, const deq_conv_attr *attr, deq_type *types,
                       const void *const *in, double *y, int threads)
{
    void *out[] = { y };
    deq_kernel_call c = { .attr = attr,
                          .n_in = 2,
                          .n_out = 1,
                          .in_type = types,
                          .out_type = &types[2],
                          .in = in,
                          .out = out,
                          .threads = threads };
    c.scratch = malloc(op->scratch(&c));
    assert_non_null(c.scratch);
    assert_int_equal(op->kernel(&c), DEQ_OK);
    free(c.scratch);
}

static void conv2d_has_the_same_bits_for_any_number_of_threads(void **state)
{
    (void)state;
    const conv_case c = { "threads", { 2, 6, 12, 11 }, { 10, 6, 3, 3 }, { 0 }, { 1, 1 }, { 0 }, 0 };
    const deq_shape shapes[] = { shape4(c.x), shape4(c.w), y_shape(&c) };
    const struct {
        const deq_op *op;
        role in0, in1, out;
    } ops[] = { { &deq_op_conv2d, TO_X, TO_W, TO_Y },
                { &deq_op_conv2d_input_grad, TO_Y, TO_W, TO_X },
                { &deq_op_conv2d_weight_grad, TO_X, TO_Y, TO_W } };
    for (size_t i = 0; i < COUNT(ops); i++) {
        deq_type types[3] = { { DEQ_F64, shapes[ops[i].in0] },
                              { DEQ_F64, shapes[ops[i].in1] },
                              { DEQ_F64, shapes[ops[i].out] } };
        op_case o = { .name = "threads", .n_in = 2, .in = { types[0], types[1] } };
        deq_conv_attr a = attr_of(&c);
        double *v[2] = { doubles(types[0].shape), doubles(types[1].shape) };
        double *one = doubles(types[2].shape), *many = doubles(types[2].shape);
        for (int k = 0; k < 2; k++) random_data(&o, k, v[k]);
        const void *in[] = { v[0], v[1] };
        run_kernel(ops[i].op, &a, types, in, one, 1);
        for (int threads = 2; threads <= 12; threads += 5) {
            run_kernel(ops[i].op, &a, types, in, many, threads);
            assert_memory_equal(one, many, deq_type_bytes(&types[2]));
        }
        free(v[0]);
        free(v[1]);
        free(one);
        free(many);
    }
}

/* --- one dimension ---------------------------------------------------------------------------- */

static deq_value build_conv1d(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    const deq_conv1d_options *options = user;
    return deq_conv1d(g, in[0], in[1], n_in > 2 ? in[2] : DEQ_NONE, options);
}

static void conv1d_is_conv2d_of_height_one(void **state)
{
    (void)state;
    const conv_case c = { "1d", { 2, 4, 1, 9 }, { 4, 2, 1, 3 }, { 1, 2 }, { 0, 2 }, { 1, 2 }, 2 };
    op_case o = { .name = "1d",
                  .n_in = 2,
                  .in = { { DEQ_F64, DEQ_SHAPE(2, 4, 9) }, { DEQ_F64, DEQ_SHAPE(4, 2, 3) } },
                  .build = build_conv1d,
                  .user = DEQ_CONV1D(.stride = 2, .padding = 2, .dilation = 2, .groups = 2) };
    deq_shape y = y_shape(&c), expected_shape = DEQ_SHAPE(2, 4, y.dim[3]);
    deq_shape got_shape = type_of_op(&o).shape;
    double x[72], w[24], expected[72] = { 0 }, got[72];
    assert_true(deq_shape_equal(&got_shape, &expected_shape));
    random_data(&o, 0, x);
    random_data(&o, 1, w);
    trilinear(&c, x, w, expected, TO_Y);
    forward_op(&o, NULL, got);
    check_close("1d", got, expected, deq_shape_count(&y), 1e-13);

    o.n_in = 3;
    o.in[2] = (deq_type){ DEQ_F64, DEQ_SHAPE(4) };
    check_op(&o);
    o.user = NULL; /* default options: one group */
    o.in[1].shape = DEQ_SHAPE(4, 4, 3);
    check_op(&o);
}

/* --- transposed convolution ------------------------------------------------------------------- */

typedef struct transpose_case {
    const char *name;
    int64_t x[4], w[4]; /* [B, C, H, W], [C, K/g, R, S] */
    int64_t stride[2], padding[2], output_padding[2], dilation[2];
    int64_t groups;
    int64_t out[2]; /* P, Q as PyTorch gives them */
} transpose_case;

static const transpose_case transposes[] = {
    { "defaults", { 1, 2, 2, 3 }, { 2, 1, 3, 2 }, { 0 }, { 0 }, { 0 }, { 0 }, 0, { 4, 4 } },
    { "stride 2, 4x4, padding 1 doubles",
      { 1, 1, 3, 2 },
      { 1, 2, 4, 4 },
      { 2, 2 },
      { 1, 1 },
      { 0 },
      { 0 },
      0,
      { 6, 4 } },
    { "stride 2, 3x3, output padding doubles",
      { 2, 1, 2, 3 },
      { 1, 1, 3, 3 },
      { 2, 2 },
      { 1, 1 },
      { 1, 1 },
      { 0 },
      0,
      { 4, 6 } },
    { "gaps between windows",
      { 1, 1, 3, 2 },
      { 1, 1, 1, 2 },
      { 3, 3 },
      { 0 },
      { 2, 0 },
      { 0 },
      0,
      { 9, 5 } },
    { "dilation",
      { 1, 2, 3, 3 },
      { 2, 2, 2, 3 },
      { 1, 2 },
      { 1, 0 },
      { 0, 1 },
      { 3, 2 },
      0,
      { 4, 10 } },
    { "groups", { 1, 4, 2, 2 }, { 4, 3, 2, 2 }, { 2, 2 }, { 0 }, { 0 }, { 0 }, 2, { 4, 4 } },
    { "1x1", { 2, 3, 1, 1 }, { 3, 2, 1, 1 }, { 0 }, { 0 }, { 0 }, { 0 }, 0, { 1, 1 } },
};

static deq_value build_transpose(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    const transpose_case *c = user;
    return deq_conv_transpose2d(
        g, in[0], in[1], n_in > 2 ? in[2] : DEQ_NONE,
        DEQ_CONV_TRANSPOSE2D(.stride = { c->stride[0], c->stride[1] },
                             .padding = { c->padding[0], c->padding[1] },
                             .output_padding = { c->output_padding[0], c->output_padding[1] },
                             .dilation = { c->dilation[0], c->dilation[1] }, .groups = c->groups));
}

static op_case op_transpose(const transpose_case *c)
{
    int64_t channels = c->w[1] * given_or_one(c->groups);
    return (op_case){ .name = c->name,
                      .n_in = 3,
                      .in = { { DEQ_F64, shape4(c->x) },
                              { DEQ_F64, shape4(c->w) },
                              { DEQ_F64, DEQ_SHAPE(channels) } },
                      .build = build_transpose,
                      .user = c };
}

/* Every element of x paints w, scaled, into the output at stride times its place. */
static void paint(const transpose_case *c, const double *x, const double *w, const double *bias,
                  double *y)
{
    int64_t groups = given_or_one(c->groups), cg = c->x[1] / groups, kg = c->w[1];
    int64_t K = kg * groups, P = c->out[0], Q = c->out[1], H = c->x[2], W = c->x[3];
    for (int64_t i = 0; i < c->x[0] * K * P * Q; i++) y[i] = bias[i / (P * Q) % K];
    for (int64_t b = 0; b < c->x[0]; b++)
        for (int64_t i = 0; i < c->x[1]; i++)
            for (int64_t at = 0; at < H * W; at++)
                for (int64_t j = 0; j < kg; j++)
                    for (int64_t tap = 0; tap < c->w[2] * c->w[3]; tap++) {
                        int64_t r = tap / c->w[3], s = tap % c->w[3];
                        int64_t p = at / W * given_or_one(c->stride[0]) - c->padding[0] +
                                    r * given_or_one(c->dilation[0]);
                        int64_t q = at % W * given_or_one(c->stride[1]) - c->padding[1] +
                                    s * given_or_one(c->dilation[1]);
                        if (p < 0 || p >= P || q < 0 || q >= Q) continue;
                        y[((b * K + i / cg * kg + j) * P + p) * Q + q] +=
                            x[(b * c->x[1] + i) * H * W + at] *
                            w[(i * kg + j) * c->w[2] * c->w[3] + tap];
                    }
}

static void conv_transpose2d_matches_a_plain_loop(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(transposes); i++) {
        const transpose_case *c = &transposes[i];
        op_case o = op_transpose(c);
        deq_shape y = type_of_op(&o).shape;
        deq_shape expected_shape = DEQ_SHAPE(c->x[0], c->w[1] * given_or_one(c->groups), c->out[0],
                                             c->out[1]);
        assert_true(deq_shape_equal(&y, &expected_shape));
        double *v[3], *expected = doubles(y), *got = doubles(y);
        for (int k = 0; k < 3; k++) {
            v[k] = doubles(o.in[k].shape);
            random_data(&o, k, v[k]);
        }
        paint(c, v[0], v[1], v[2], expected);
        forward_op(&o, NULL, got);
        check_close(c->name, got, expected, deq_shape_count(&y), 1e-13);
        for (int k = 0; k < 3; k++) free(v[k]);
        free(expected);
        free(got);
    }
}

static void conv_transpose2d_derivatives_match_differences(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(transposes); i++) {
        op_case o = op_transpose(&transposes[i]);
        check_op(&o);
    }
}

static deq_value build_transpose1d(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    (void)n_in;
    return deq_conv_transpose1d(g, in[0], in[1], DEQ_NONE, user);
}

static void conv_transpose1d_is_conv_transpose2d_of_height_one(void **state)
{
    (void)state;
    const transpose_case c = { "1d",     { 1, 2, 1, 4 }, { 2, 1, 1, 3 }, { 1, 2 },
                               { 0, 1 }, { 0, 1 },       { 0 },          0,
                               { 1, 8 } };
    op_case o = { .name = "1d",
                  .n_in = 2,
                  .in = { { DEQ_F64, DEQ_SHAPE(1, 2, 4) }, { DEQ_F64, DEQ_SHAPE(2, 1, 3) } },
                  .build = build_transpose1d,
                  .user = DEQ_CONV_TRANSPOSE1D(.stride = 2, .padding = 1, .output_padding = 1) };
    const double bias[] = { 0 };
    double x[8], w[6], expected[8], got[8];
    deq_shape shape = type_of_op(&o).shape, expected_shape = DEQ_SHAPE(1, 1, 8);
    assert_true(deq_shape_equal(&shape, &expected_shape));
    random_data(&o, 0, x);
    random_data(&o, 1, w);
    paint(&c, x, w, bias, expected);
    forward_op(&o, NULL, got);
    check_close("1d", got, expected, 8, 1e-13);
    check_op(&o);
    o.user = NULL;
    check_op(&o);
}

/* --- refusals --------------------------------------------------------------------------------- */

static void conv2d_refuses_with_the_facts(void **state)
{
    (void)state;
    const int64_t huge = INT64_C(1) << 40;
    const struct {
        conv_case c;
        deq_status status;
        const char *text;
    } bad[] = {
        { { "channels", { 1, 3, 4, 4 }, { 2, 5, 3, 3 }, { 0 }, { 0 }, { 0 }, 0 },
          DEQ_ERR_SHAPE,
          "conv2d: x has 3 channels, w expects 5" },
        { { "channels of groups", { 1, 4, 4, 4 }, { 2, 4, 3, 3 }, { 0 }, { 0 }, { 0 }, 2 },
          DEQ_ERR_SHAPE,
          "x has 4 channels, w expects 8" },
        { { "x in groups", { 1, 3, 4, 4 }, { 2, 1, 3, 3 }, { 0 }, { 0 }, { 0 }, 2 },
          DEQ_ERR_SHAPE,
          "3 channels of x cannot be divided into 2 groups" },
        { { "w in groups", { 1, 4, 4, 4 }, { 3, 2, 3, 3 }, { 0 }, { 0 }, { 0 }, 2 },
          DEQ_ERR_SHAPE,
          "3 output channels of w cannot be divided into 2 groups" },
        { { "negative groups", { 1, 4, 4, 4 }, { 3, 2, 3, 3 }, { 0 }, { 0 }, { 0 }, -1 },
          DEQ_ERR_ARGUMENT,
          "groups is -1, expected at least 1" },
        { { "window too large", { 1, 1, 4, 4 }, { 1, 1, 3, 5 }, { 0 }, { 1, 0 }, { 0 }, 0 },
          DEQ_ERR_SHAPE,
          "width: a window of 5 does not fit into 4 (4 with padding 0)" },
        { { "dilated window too large",
            { 1, 1, 4, 4 },
            { 1, 1, 3, 1 },
            { 0 },
            { 1, 0 },
            { 3, 1 },
            0 },
          DEQ_ERR_SHAPE,
          "height: a window of 7 does not fit into 6 (4 with padding 1)" },
        { { "half a stride", { 1, 1, 4, 4 }, { 1, 1, 3, 3 }, { 2, 0 }, { 0 }, { 0 }, 0 },
          DEQ_ERR_ARGUMENT,
          "conv2d: stride is [2, 0]; give both extents" },
        { { "negative stride", { 1, 1, 4, 4 }, { 1, 1, 3, 3 }, { 1, -1 }, { 0 }, { 0 }, 0 },
          DEQ_ERR_ARGUMENT,
          "stride is [1, -1], expected at least 1" },
        { { "half a dilation", { 1, 1, 4, 4 }, { 1, 1, 3, 3 }, { 0 }, { 0 }, { 0, 2 }, 0 },
          DEQ_ERR_ARGUMENT,
          "dilation is [0, 2]; give both extents" },
        { { "negative padding", { 1, 1, 4, 4 }, { 1, 1, 3, 3 }, { 0 }, { 0, -1 }, { 0 }, 0 },
          DEQ_ERR_ARGUMENT,
          "width: padding is -1, expected at least 0" },
        { { "huge padding", { 1, 1, 4, 4 }, { 1, 1, 3, 3 }, { 0 }, { huge, 0 }, { 0 }, 0 },
          DEQ_ERR_OVERFLOW,
          "height: padding is 1099511627776, expected at most 2147483647" },
        { { "huge dilation", { 1, 1, 4, 4 }, { 1, 1, 3, 3 }, { 0 }, { 0 }, { huge, 1 }, 0 },
          DEQ_ERR_OVERFLOW,
          "height: dilation is" },
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        op_case o = op_conv(&bad[i].c);
        check_refused(&o, bad[i].status, bad[i].text);
    }
    conv_case c = { "good", { 1, 2, 4, 4 }, { 3, 2, 3, 3 }, { 0 }, { 0 }, { 0 }, 0 };
    op_case o = op_conv(&c);
    o.in[0].shape = DEQ_SHAPE(2, 4, 4);
    check_refused(&o, DEQ_ERR_SHAPE, "input 0 has rank 3, expected 4");
    o = op_conv(&c);
    o.in[1].dtype = DEQ_F32;
    check_refused(&o, DEQ_ERR_DTYPE, "different dtypes, f64 and f32");
    o = op_conv(&c);
    o.n_in = 3;
    o.in[2] = (deq_type){ DEQ_F64, DEQ_SHAPE(2) };
    check_refused(&o, DEQ_ERR_SHAPE, "conv2d: bias is f64 [2], expected [3]");
}

static void adjoints_refuse_extents_that_no_convolution_gives(void **state)
{
    (void)state;
    const conv_case c = { "good", { 2, 2, 5, 5 }, { 3, 2, 3, 3 }, { 2, 2 }, { 0 }, { 0 }, 0 };
    op_case o = op_input_grad(&c);
    o.in[0].shape = DEQ_SHAPE(2, 3, 2, 3);
    check_refused(&o, DEQ_ERR_SHAPE, "width: dy has extent 3, the convolution gives 2");
    o.in[0].shape = DEQ_SHAPE(2, 4, 2, 2);
    check_refused(&o, DEQ_ERR_SHAPE, "dy has 4 channels, w expects 3");
    o = op_weight_grad(&c);
    o.in[1].shape = DEQ_SHAPE(2, 3, 1, 2);
    check_refused(&o, DEQ_ERR_SHAPE, "height: dy has extent 1, the convolution gives 2");
    o.in[1].shape = DEQ_SHAPE(1, 3, 2, 2);
    check_refused(&o, DEQ_ERR_SHAPE, "batches differ: 2 in x, 1 in dy");
}

static void conv_transpose2d_refuses_with_the_facts(void **state)
{
    (void)state;
    const struct {
        transpose_case c;
        deq_status status;
        const char *text;
    } bad[] = {
        { { "channels", { 1, 3, 2, 2 }, { 2, 1, 3, 3 }, { 0 }, { 0 }, { 0 }, { 0 }, 0, { 0 } },
          DEQ_ERR_SHAPE,
          "conv_transpose2d: x has 3 channels, w expects 2" },
        { { "output padding",
            { 1, 2, 2, 2 },
            { 2, 1, 3, 3 },
            { 2, 2 },
            { 0 },
            { 0, 2 },
            { 0 },
            0,
            { 0 } },
          DEQ_ERR_ARGUMENT,
          "output_padding is 2, expected less than the stride 2" },
        { { "all cut off",
            { 1, 2, 2, 2 },
            { 2, 1, 1, 3 },
            { 0 },
            { 1, 1 },
            { 0 },
            { 0 },
            0,
            { 0 } },
          DEQ_ERR_SHAPE,
          "the height of the output would be 0" },
        { { "negative padding",
            { 1, 2, 2, 2 },
            { 2, 1, 3, 3 },
            { 0 },
            { -1, 0 },
            { 0 },
            { 0 },
            0,
            { 0 } },
          DEQ_ERR_ARGUMENT,
          "padding is -1" },
        { { "groups", { 1, 3, 2, 2 }, { 3, 1, 3, 3 }, { 0 }, { 0 }, { 0 }, { 0 }, 2, { 0 } },
          DEQ_ERR_SHAPE,
          "cannot be divided into 2 groups" },
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        op_case o = op_transpose(&bad[i].c);
        check_refused(&o, bad[i].status, bad[i].text);
    }
}

static void one_dimensional_builders_refuse_images(void **state)
{
    (void)state;
    op_case o = { .name = "1d",
                  .n_in = 2,
                  .in = { { DEQ_F64, DEQ_SHAPE(1, 2, 4, 4) }, { DEQ_F64, DEQ_SHAPE(2, 2, 3) } },
                  .build = build_conv1d };
    check_refused(&o, DEQ_ERR_SHAPE, "conv1d: x is f64 [1, 2, 4, 4], expected rank 3");
    o.build = build_transpose1d;
    check_refused(&o, DEQ_ERR_SHAPE, "conv_transpose1d: x is f64 [1, 2, 4, 4], expected rank 3");
    o.build = build_conv1d;
    o.user = &(deq_conv1d_options){ .stride = 2 };
    check_refused(&o, DEQ_ERR_ARGUMENT, "conv1d: options.struct_size is 0, expected");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conv2d_matches_a_plain_loop),
        cmocka_unit_test(conv2d_input_grad_matches_a_plain_loop),
        cmocka_unit_test(conv2d_weight_grad_matches_a_plain_loop),
        cmocka_unit_test(conv2d_derivatives_match_differences),
        cmocka_unit_test(derivatives_of_the_adjoints_match_differences),
        cmocka_unit_test(bias_is_added_to_its_channel),
        cmocka_unit_test(absent_options_mean_stride_one_and_no_padding),
        cmocka_unit_test(conv2d_has_the_same_bits_for_any_number_of_threads),
        cmocka_unit_test(conv1d_is_conv2d_of_height_one),
        cmocka_unit_test(conv_transpose2d_matches_a_plain_loop),
        cmocka_unit_test(conv_transpose2d_derivatives_match_differences),
        cmocka_unit_test(conv_transpose1d_is_conv_transpose2d_of_height_one),
        cmocka_unit_test(conv2d_refuses_with_the_facts),
        cmocka_unit_test(adjoints_refuse_extents_that_no_convolution_gives),
        cmocka_unit_test(conv_transpose2d_refuses_with_the_facts),
        cmocka_unit_test(one_dimensional_builders_refuse_images),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
