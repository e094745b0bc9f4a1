/* SPDX-License-Identifier: MIT */
#include "support/op_check.h"

#include <deq/op/conv.h>
#include <deq/op/matmul.h>
#include <deq/op/shape.h>
#include <deq/op/unfold.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

typedef struct unfold_case {
    const char *name;
    int64_t x[4];
    int64_t kernel[2], stride[2], padding[2], dilation[2];
    int64_t out[2]; /* P, Q */
} unfold_case;

static const unfold_case cases[] = {
    { "one element", { 1, 1, 1, 1 }, { 1, 1 }, { 0 }, { 0 }, { 0 }, { 1, 1 } },
    { "1x1", { 2, 3, 2, 2 }, { 1, 1 }, { 0 }, { 0 }, { 0 }, { 2, 2 } },
    { "3x3 same", { 1, 2, 3, 4 }, { 3, 3 }, { 0 }, { 1, 1 }, { 0 }, { 3, 4 } },
    { "patches", { 2, 1, 4, 6 }, { 2, 3 }, { 2, 3 }, { 0 }, { 0 }, { 2, 2 } },
    { "rows unlike columns", { 1, 2, 5, 4 }, { 2, 3 }, { 2, 1 }, { 0, 2 }, { 3, 1 }, { 1, 6 } },
    { "gaps", { 1, 1, 5, 4 }, { 1, 1 }, { 2, 3 }, { 0 }, { 0 }, { 3, 2 } },
    { "windows in the padding", { 1, 1, 1, 2 }, { 1, 2 }, { 0 }, { 2, 3 }, { 0 }, { 5, 7 } },
};

static deq_value build_unfold(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    const unfold_case *c = user;
    (void)n_in;
    return deq_unfold2d(g, in[0],
                        DEQ_UNFOLD2D(.kernel = { c->kernel[0], c->kernel[1] },
                                     .stride = { c->stride[0], c->stride[1] },
                                     .padding = { c->padding[0], c->padding[1] },
                                     .dilation = { c->dilation[0], c->dilation[1] }));
}

static deq_value build_fold(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    const unfold_case *c = user;
    (void)n_in;
    return deq_fold2d(g, in[0], c->x[2], c->x[3],
                      DEQ_UNFOLD2D(.kernel = { c->kernel[0], c->kernel[1] },
                                   .stride = { c->stride[0], c->stride[1] },
                                   .padding = { c->padding[0], c->padding[1] },
                                   .dilation = { c->dilation[0], c->dilation[1] }));
}

static deq_shape image(const unfold_case *c)
{
    return DEQ_SHAPE(c->x[0], c->x[1], c->x[2], c->x[3]);
}

static deq_shape matrix(const unfold_case *c)
{
    return DEQ_SHAPE(c->x[0], c->x[1] * c->kernel[0] * c->kernel[1], c->out[0] * c->out[1]);
}

static op_case op_of(const unfold_case *c, op_build_fn *build, deq_shape in)
{
    return (op_case){
        .name = c->name, .n_in = 1, .in = { { DEQ_F64, in } }, .build = build, .user = c
    };
}

static double *doubles(deq_shape s)
{
    double *x = calloc((size_t)deq_shape_count(&s), sizeof *x);
    assert_non_null(x);
    return x;
}

/* Copies every tap to the matrix, or adds the matrix to the image. */
static void walk(const unfold_case *c, double *x, double *y, bool to_matrix)
{
    int64_t i = 0;
    for (int64_t plane = 0; plane < c->x[0] * c->x[1]; plane++)
        for (int64_t r = 0; r < c->kernel[0]; r++)
            for (int64_t s = 0; s < c->kernel[1]; s++)
                for (int64_t p = 0; p < c->out[0]; p++)
                    for (int64_t q = 0; q < c->out[1]; q++, i++) {
                        int64_t h = p * (c->stride[0] ? c->stride[0] : 1) - c->padding[0] +
                                    r * (c->dilation[0] ? c->dilation[0] : 1);
                        int64_t v = q * (c->stride[1] ? c->stride[1] : 1) - c->padding[1] +
                                    s * (c->dilation[1] ? c->dilation[1] : 1);
                        if (h < 0 || h >= c->x[2] || v < 0 || v >= c->x[3]) continue;
                        double *px = &x[(plane * c->x[2] + h) * c->x[3] + v];
                        if (to_matrix)
                            y[i] = *px;
                        else
                            *px += y[i];
                    }
}

static void check_against_loop(const unfold_case *c, bool to_matrix)
{
    op_case o = to_matrix ? op_of(c, build_unfold, image(c)) : op_of(c, build_fold, matrix(c));
    deq_shape expected_shape = to_matrix ? matrix(c) : image(c), shape = type_of_op(&o).shape;
    double *x = doubles(image(c)), *y = doubles(matrix(c)), *got = doubles(expected_shape);
    assert_true(deq_shape_equal(&shape, &expected_shape));
    random_data(&o, 0, to_matrix ? x : y);
    walk(c, x, y, to_matrix);
    forward_op(&o, NULL, got);
    check_close(c->name, got, to_matrix ? y : x, deq_shape_count(&shape), 1e-15);
    forward_op_f32(&o, NULL, got);
    check_close(c->name, got, to_matrix ? y : x, deq_shape_count(&shape), 1e-6);
    free(x);
    free(y);
    free(got);
}

static void unfold2d_matches_a_plain_loop(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) check_against_loop(&cases[i], true);
}

static void fold2d_matches_a_plain_loop(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) check_against_loop(&cases[i], false);
}

static void unfold2d_and_fold2d_derivatives_match_differences(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        op_case unfold = op_of(&cases[i], build_unfold, image(&cases[i]));
        op_case fold = op_of(&cases[i], build_fold, matrix(&cases[i]));
        check_op(&unfold);
        check_op(&fold);
    }
}

/* The same convolution twice. */
static deq_value build_conv(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    (void)n_in;
    (void)user;
    return deq_conv2d(g, in[0], in[1], DEQ_NONE,
                      DEQ_CONV2D(.stride = { 2, 1 }, .padding = { 1, 2 }));
}

static deq_value build_conv_by_columns(deq_graph *g, const deq_value *in, int n_in,
                                       const void *user)
{
    (void)n_in;
    (void)user;
    deq_value columns = deq_unfold2d(
        g, in[0], DEQ_UNFOLD2D(.kernel = { 3, 2 }, .stride = { 2, 1 }, .padding = { 1, 2 }));
    return deq_matmul(g, deq_reshape(g, in[1], DEQ_SHAPE(4, -1)), columns, false, false);
}

static void convolution_is_a_product_with_the_unfolded_image(void **state)
{
    (void)state;
    op_case o = { .name = "convolution",
                  .n_in = 2,
                  .in = { { DEQ_F64, DEQ_SHAPE(2, 3, 5, 4) }, { DEQ_F64, DEQ_SHAPE(4, 3, 3, 2) } },
                  .build = build_conv };
    deq_shape y = type_of_op(&o).shape;
    double *expected = doubles(y), *got = doubles(y);
    forward_op(&o, NULL, expected);
    o.build = build_conv_by_columns;
    forward_op(&o, NULL, got);
    check_close("convolution", got, expected, deq_shape_count(&y), 1e-14);
    free(expected);
    free(got);
}

static void unfold2d_and_fold2d_refuse_with_the_facts(void **state)
{
    (void)state;
    const unfold_case good = { "good", { 1, 2, 4, 4 }, { 2, 2 }, { 0 }, { 0 }, { 0 }, { 3, 3 } };
    unfold_case bad = good;
    op_case o = op_of(&bad, build_unfold, image(&good));

    bad.kernel[0] = bad.kernel[1] = 0;
    check_refused(&o, DEQ_ERR_ARGUMENT, "unfold2d: kernel is [0, 0], expected at least 1");
    bad = good;
    bad.kernel[1] = 5;
    check_refused(&o, DEQ_ERR_SHAPE, "width: a window of 5 does not fit into 4");
    bad = good;
    bad.stride[0] = 2;
    check_refused(&o, DEQ_ERR_ARGUMENT, "stride is [2, 0]; give both extents");
    bad = good;
    bad.padding[1] = -1;
    check_refused(&o, DEQ_ERR_ARGUMENT, "width: padding is -1");
    bad = good;
    bad.kernel[0] = bad.kernel[1] = INT32_MAX;
    bad.padding[0] = bad.padding[1] = INT32_MAX;
    o.in[0].shape.dim[1] = INT64_C(1) << 20;
    check_refused(&o, DEQ_ERR_OVERFLOW, "is too large");
    bad = good;
    o.in[0].shape.rank = 3;
    check_refused(&o, DEQ_ERR_SHAPE, "unfold2d: input 0 has rank 3, expected 4");

    o = op_of(&bad, build_fold, DEQ_SHAPE(1, 7, 9));
    check_refused(&o, DEQ_ERR_SHAPE, "fold2d: 7 rows cannot be divided by the 4 taps");
    o = op_of(&bad, build_fold, DEQ_SHAPE(1, 8, 8));
    check_refused(&o, DEQ_ERR_SHAPE, "8 columns, expected 3 x 3 = 9");
    bad.x[2] = 0;
    check_refused(&o, DEQ_ERR_ARGUMENT, "height: extent is 0, expected at least 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unfold2d_matches_a_plain_loop),
        cmocka_unit_test(fold2d_matches_a_plain_loop),
        cmocka_unit_test(unfold2d_and_fold2d_derivatives_match_differences),
        cmocka_unit_test(convolution_is_a_product_with_the_unfolded_image),
        cmocka_unit_test(unfold2d_and_fold2d_refuse_with_the_facts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
