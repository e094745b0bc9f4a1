/* SPDX-License-Identifier: MIT */
#include "op/pool.h"
#include "support/op_check.h"

#include <deq/op/elementwise.h>
#include <deq/op/pool.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

typedef struct pool_case {
    const char *name;
    int64_t x[4];
    int64_t kernel[2], stride[2], padding[2];
    int64_t y[2]; /* P, Q as PyTorch gives them */
} pool_case;

static const pool_case cases[] = {
    { "one element", { 1, 1, 1, 1 }, { 1, 1 }, { 0 }, { 0 }, { 1, 1 } },
    { "2x2", { 2, 2, 4, 6 }, { 2, 2 }, { 0 }, { 0 }, { 2, 3 } },
    { "rest left over", { 1, 2, 5, 3 }, { 2, 2 }, { 0 }, { 0 }, { 2, 1 } },
    { "overlapping", { 1, 2, 5, 4 }, { 3, 3 }, { 1, 1 }, { 0 }, { 3, 2 } },
    { "overlapping, padded", { 1, 1, 5, 6 }, { 3, 3 }, { 2, 2 }, { 1, 1 }, { 3, 3 } },
    { "rows unlike columns", { 2, 1, 6, 5 }, { 3, 2 }, { 1, 2 }, { 1, 0 }, { 6, 2 } },
    { "gaps", { 1, 1, 7, 5 }, { 1, 2 }, { 3, 3 }, { 0 }, { 3, 2 } },
    { "whole plane", { 1, 3, 3, 4 }, { 3, 4 }, { 0 }, { 0 }, { 1, 1 } },
    { "padding wider than the plane", { 1, 1, 1, 2 }, { 3, 5 }, { 1, 1 }, { 2, 4 }, { 3, 6 } },
};

static op_case op_of(const pool_case *c, op_build_fn *build)
{
    return (op_case){ .name = c->name,
                      .n_in = 1,
                      .in = { { DEQ_F64, DEQ_SHAPE(c->x[0], c->x[1], c->x[2], c->x[3]) } },
                      .build = build,
                      .user = c };
}

static double *doubles(int64_t n)
{
    double *x = calloc((size_t)n, sizeof *x);
    assert_non_null(x);
    return x;
}

static int64_t count_x(const pool_case *c)
{
    return c->x[0] * c->x[1] * c->x[2] * c->x[3];
}

static int64_t count_y(const pool_case *c)
{
    return c->x[0] * c->x[1] * c->y[0] * c->y[1];
}

/* Distinct numbers 1/8 apart in mixed order, so that differences never meet a tie. */
static double *distinct(int64_t n)
{
    double *x = doubles(n);
    int64_t step = 37;
    while (n > 1 && (n % step == 0 || step % n == 0)) step += 2;
    for (int64_t i = 0, half = n / 2; i < n; i++) x[i] = (double)(i * step % n - half) / 8;
    return x;
}

static void check_shape(const op_case *o, const pool_case *c)
{
    deq_shape got = type_of_op(o).shape, y = DEQ_SHAPE(c->x[0], c->x[1], c->y[0], c->y[1]);
    assert_true(deq_shape_equal(&got, &y));
}

/* --- maximum ---------------------------------------------------------------------------------- */

static deq_value build_max(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    const pool_case *c = user;
    (void)n_in;
    return deq_max_pool2d(g, in[0],
                          DEQ_MAX_POOL2D(.kernel = { c->kernel[0], c->kernel[1] },
                                         .stride = { c->stride[0], c->stride[1] },
                                         .padding = { c->padding[0], c->padding[1] }),
                          NULL);
}

static deq_value build_argmax(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    const pool_case *c = user;
    deq_value argmax;
    (void)n_in;
    deq_max_pool2d(g, in[0],
                   DEQ_MAX_POOL2D(.kernel = { c->kernel[0], c->kernel[1] },
                                  .stride = { c->stride[0], c->stride[1] },
                                  .padding = { c->padding[0], c->padding[1] }),
                   &argmax);
    return deq_cast(g, argmax, deq_value_type(g, in[0]).dtype);
}

/* Visits every place of every window; places in the padding have index -1. */
typedef void visit_fn(void *user, int64_t plane, int64_t window, int64_t place);

static void each_place(const pool_case *c, visit_fn *visit, void *user)
{
    const int64_t *stride = c->stride[0] ? c->stride : c->kernel;
    for (int64_t i = 0; i < c->x[0] * c->x[1]; i++)
        for (int64_t w = 0; w < c->y[0] * c->y[1]; w++)
            for (int64_t t = 0; t < c->kernel[0] * c->kernel[1]; t++) {
                int64_t h = w / c->y[1] * stride[0] - c->padding[0] + t / c->kernel[1];
                int64_t v = w % c->y[1] * stride[1] - c->padding[1] + t % c->kernel[1];
                bool inside = h >= 0 && h < c->x[2] && v >= 0 && v < c->x[3];
                visit(user, i, w, inside ? h * c->x[3] + v : -1);
            }
}

typedef struct max_result {
    const pool_case *c;
    const double *x;
    double *y, *argmax;
} max_result;

static void visit_max(void *user, int64_t plane, int64_t window, int64_t place)
{
    max_result *m = user;
    if (place < 0) return;
    int64_t to = plane * m->c->y[0] * m->c->y[1] + window;
    double v = m->x[plane * m->c->x[2] * m->c->x[3] + place];
    if (m->argmax[to] < 0 || v > m->y[to]) {
        m->y[to] = v;
        m->argmax[to] = (double)place;
    }
}

static void max_pool2d_matches_a_plain_loop(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const pool_case *c = &cases[i];
        int64_t n = count_y(c);
        op_case max = op_of(c, build_max), argmax = op_of(c, build_argmax);
        double *x = distinct(count_x(c)), *y = doubles(n), *at = doubles(n), *got = doubles(n);
        for (int64_t k = 0; k < n; k++) at[k] = -1;
        max_result m = { c, x, y, at };
        const double *in[] = { x };
        each_place(c, visit_max, &m);
        check_shape(&max, c);
        forward_op(&max, in, got);
        check_close(c->name, got, y, n, 0);
        forward_op_f32(&max, in, got);
        check_close(c->name, got, y, n, 0);
        forward_op(&argmax, in, got);
        check_close(c->name, got, at, n, 0);
        free(x);
        free(y);
        free(at);
        free(got);
    }
}

static void max_pool2d_derivatives_match_differences(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        op_case o = op_of(&cases[i], build_max);
        double *x = distinct(count_x(&cases[i]));
        o.data[0] = x;
        check_op(&o);
        free(x);
    }
}

/* max_pool2d(x^2)^2: curved on both sides of the maximum. */
static deq_value build_max_of_square(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    deq_value square = deq_square(g, in[0]);
    return deq_square(g, build_max(g, &square, n_in, user));
}

static void max_pool2d_differentiates_twice_inside_a_composition(void **state)
{
    (void)state;
    const pool_case *c = &cases[4];
    op_case o = op_of(c, build_max_of_square);
    double *x = distinct(count_x(c));
    for (int64_t i = 0; i < count_x(c); i++) x[i] = 1 + (x[i] + 8) / 16; /* positive: no ties */
    o.data[0] = x;
    check_op(&o);
    free(x);
}

static void the_first_of_equal_elements_is_taken(void **state)
{
    (void)state;
    const pool_case c = { "ties", { 1, 1, 2, 4 }, { 2, 2 }, { 0 }, { 0 }, { 1, 2 } };
    const double x[] = { 0, 7, -INFINITY, -INFINITY, 7, 7, -INFINITY, -INFINITY };
    const double *in[] = { x };
    double y[2], at[2];
    op_case max = op_of(&c, build_max), argmax = op_of(&c, build_argmax);
    forward_op(&max, in, y);
    forward_op(&argmax, in, at);
    assert_true(y[0] == 7 && at[0] == 1);
    assert_true(y[1] == -INFINITY && at[1] == 2);
}

static void nan_in_a_window_is_its_result(void **state)
{
    (void)state;
    const pool_case c = { "nan", { 1, 1, 1, 6 }, { 1, 3 }, { 0 }, { 0 }, { 1, 2 } };
    const double x[] = { 1, NAN, INFINITY, 3, 5, 4 };
    const double *in[] = { x };
    double y[2], at[2];
    op_case max = op_of(&c, build_max), argmax = op_of(&c, build_argmax);
    forward_op(&max, in, y);
    forward_op(&argmax, in, at);
    assert_true(isnan(y[0]) && at[0] == 1);
    assert_true(y[1] == 5 && at[1] == 4);
}

static void padding_never_wins_the_maximum(void **state)
{
    (void)state;
    const pool_case c = { "padding", { 1, 1, 1, 2 }, { 3, 3 }, { 1, 1 }, { 1, 1 }, { 1, 2 } };
    const double x[] = { -5, -3 };
    const double *in[] = { x };
    double y[2];
    op_case o = op_of(&c, build_max);
    forward_op(&o, in, y);
    assert_true(y[0] == -3 && y[1] == -3);
}

/* --- gather and scatter ----------------------------------------------------------------------- */

static deq_value build_gather(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    (void)user;
    return deq_emit1(g, &deq_op_pool_gather, NULL, 0, in, n_in);
}

static deq_value build_scatter(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    return deq_emit1(g, &deq_op_pool_scatter, user, sizeof(deq_pool_scatter_attr), in, n_in);
}

static const deq_pool_scatter_attr plane_2x3 = { { 2, 3 } };

static op_case indexed(op_build_fn *build, deq_shape x, const int32_t *argmax)
{
    return (op_case){ .name = "indexed",
                      .n_in = 2,
                      .in = { { DEQ_F64, x }, { DEQ_I32, DEQ_SHAPE(1, 2, 1, 3) } },
                      .int_data = { NULL, argmax },
                      .build = build,
                      .user = &plane_2x3 };
}

static void gather_and_scatter_follow_the_indices(void **state)
{
    (void)state;
    const int32_t argmax[] = { 5, 0, 5, 1, 2, 3 };
    const double x[] = { 0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15 };
    const double gathered[] = { 5, 0, 5, 11, 12, 13 };
    const double scattered[] = { 1, 0, 0, 0, 0, 2, 0, 3, 4, 5, 0, 0 };
    double y[12];
    op_case gather = indexed(build_gather, DEQ_SHAPE(1, 2, 2, 3), argmax);
    op_case scatter = indexed(build_scatter, DEQ_SHAPE(1, 2, 1, 3), argmax);
    const double *in[] = { x, NULL };
    forward_op(&gather, in, y);
    check_close("gather", y, gathered, 6, 0);
    in[0] = (const double[]){ 0, 1, 2, 3, 4, 5 };
    forward_op(&scatter, in, y);
    check_close("scatter", y, scattered, 12, 0);
    check_op(&gather);
    check_op(&scatter);
}

static void indices_out_of_the_plane_are_refused_at_run_time(void **state)
{
    (void)state;
    const int32_t bad[][6] = { { 0, 0, 6, 0, 0, 0 }, { 0, 0, 0, 0, 0, -1 } };
    const char *const text[] = { "index 6 at 2, expected 0 to 5",
                                 "index -1 at 5, expected 0 to 5" };
    for (int i = 0; i < 2; i++) {
        op_case gather = indexed(build_gather, DEQ_SHAPE(1, 2, 2, 3), bad[i]);
        op_case scatter = indexed(build_scatter, DEQ_SHAPE(1, 2, 1, 3), bad[i]);
        check_run_refused(&gather, DEQ_ERR_DATA, text[i]);
        check_run_refused(&scatter, DEQ_ERR_DATA, text[i]);
    }
}

/* --- mean ------------------------------------------------------------------------------------- */

static deq_value build_average(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    const pool_case *c = user;
    (void)n_in;
    return deq_average_pool2d(g, in[0],
                              DEQ_AVERAGE_POOL2D(.kernel = { c->kernel[0], c->kernel[1] },
                                                 .stride = { c->stride[0], c->stride[1] },
                                                 .padding = { c->padding[0], c->padding[1] }));
}

static deq_value build_average_inside(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    const pool_case *c = user;
    (void)n_in;
    return deq_average_pool2d(g, in[0],
                              DEQ_AVERAGE_POOL2D(.kernel = { c->kernel[0], c->kernel[1] },
                                                 .stride = { c->stride[0], c->stride[1] },
                                                 .padding = { c->padding[0], c->padding[1] },
                                                 .exclude_padding = true));
}

typedef struct average_result {
    const pool_case *c;
    const double *x;
    double *sum, *inside;
} average_result;

static void visit_average(void *user, int64_t plane, int64_t window, int64_t place)
{
    average_result *a = user;
    int64_t to = plane * a->c->y[0] * a->c->y[1] + window;
    if (place < 0) return;
    a->sum[to] += a->x[plane * a->c->x[2] * a->c->x[3] + place];
    a->inside[to] += 1;
}

static void average_pool2d_matches_a_plain_loop(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const pool_case *c = &cases[i];
        int64_t n = count_y(c);
        double *x = distinct(count_x(c)), *sum = doubles(n), *inside = doubles(n);
        double *expected = doubles(n), *got = doubles(n);
        average_result a = { c, x, sum, inside };
        const double *in[] = { x };
        each_place(c, visit_average, &a);
        for (int exclude = 0; exclude < 2; exclude++) {
            op_case o = op_of(c, exclude ? build_average_inside : build_average);
            for (int64_t k = 0; k < n; k++)
                expected[k] = sum[k] /
                              (exclude ? inside[k] : (double)(c->kernel[0] * c->kernel[1]));
            check_shape(&o, c);
            forward_op(&o, in, got);
            check_close(c->name, got, expected, n, 1e-14);
        }
        free(x);
        free(sum);
        free(inside);
        free(expected);
        free(got);
    }
}

static void average_pool2d_derivatives_match_differences(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        op_case all = op_of(&cases[i], build_average);
        op_case inside = op_of(&cases[i], build_average_inside);
        check_op(&all);
        check_op(&inside);
    }
}

static deq_value build_global(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    (void)n_in;
    return deq_global_average_pool(g, in[0], user != NULL);
}

static void global_average_pool_is_the_mean_of_each_plane(void **state)
{
    (void)state;
    const double x[] = { 1, 2, 3, 6, 0, 0, 0, 4 }, expected[] = { 3, 1 };
    const double *in[] = { x };
    double y[2];
    op_case o = { .name = "global",
                  .n_in = 1,
                  .in = { { DEQ_F64, DEQ_SHAPE(1, 2, 2, 2) } },
                  .build = build_global };
    for (int keep = 0; keep < 2; keep++) {
        o.user = keep ? "keep" : NULL;
        deq_shape shape = type_of_op(&o).shape;
        deq_shape wanted = keep ? DEQ_SHAPE(1, 2, 1, 1) : DEQ_SHAPE(1, 2);
        assert_true(deq_shape_equal(&shape, &wanted));
        forward_op(&o, in, y);
        check_close("global", y, expected, 2, 1e-15);
        check_op(&o);
    }
    o.in[0].shape = DEQ_SHAPE(2, 2);
    check_refused(&o, DEQ_ERR_SHAPE, "global_average_pool: x is f64 [2, 2], expected [B, C, H, W]");
}

/* --- refusals --------------------------------------------------------------------------------- */

static void pooling_refuses_with_the_facts(void **state)
{
    (void)state;
    const struct {
        pool_case c;
        deq_status status;
        const char *text;
    } bad[] = {
        { { "no kernel", { 1, 1, 4, 4 }, { 0 }, { 0 }, { 0 }, { 0 } },
          DEQ_ERR_ARGUMENT,
          "kernel is [0, 0], expected at least 1" },
        { { "half a kernel", { 1, 1, 4, 4 }, { 2, 0 }, { 0 }, { 0 }, { 0 } },
          DEQ_ERR_ARGUMENT,
          "kernel is [2, 0]; give both extents" },
        { { "half a stride", { 1, 1, 4, 4 }, { 2, 2 }, { 0, 1 }, { 0 }, { 0 } },
          DEQ_ERR_ARGUMENT,
          "stride is [0, 1]; give both extents" },
        { { "padding as large as the kernel", { 1, 1, 4, 4 }, { 2, 2 }, { 0 }, { 1, 2 }, { 0 } },
          DEQ_ERR_ARGUMENT,
          "width: padding is 2, expected less than the kernel 2" },
        { { "negative padding", { 1, 1, 4, 4 }, { 2, 2 }, { 0 }, { -1, 0 }, { 0 } },
          DEQ_ERR_ARGUMENT,
          "height: padding is -1" },
        { { "window too large", { 1, 1, 4, 4 }, { 5, 2 }, { 0 }, { 0 }, { 0 } },
          DEQ_ERR_SHAPE,
          "height: a window of 5 does not fit into 4" },
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        op_case max = op_of(&bad[i].c, build_max), average = op_of(&bad[i].c, build_average);
        check_refused(&max, bad[i].status, bad[i].text);
        check_refused(&average, bad[i].status, bad[i].text);
    }
    op_case o = op_of(&cases[1], build_max);
    o.in[0].shape.rank = 3;
    check_refused(&o, DEQ_ERR_SHAPE, "input 0 has rank 3, expected 4");
    o = op_of(&cases[1], build_max);
    o.in[0].dtype = DEQ_I32;
    check_refused(&o, DEQ_ERR_DTYPE, "input 0 is i32");
    o = op_of(&cases[1], build_max);
    o.in[0].shape = DEQ_SHAPE(1, 1, INT64_C(1) << 16, INT64_C(1) << 16);
    check_refused(&o, DEQ_ERR_OVERFLOW,
                  "planes of 4294967296 elements, expected at most 2147483647");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(max_pool2d_matches_a_plain_loop),
        cmocka_unit_test(max_pool2d_derivatives_match_differences),
        cmocka_unit_test(max_pool2d_differentiates_twice_inside_a_composition),
        cmocka_unit_test(the_first_of_equal_elements_is_taken),
        cmocka_unit_test(nan_in_a_window_is_its_result),
        cmocka_unit_test(padding_never_wins_the_maximum),
        cmocka_unit_test(gather_and_scatter_follow_the_indices),
        cmocka_unit_test(indices_out_of_the_plane_are_refused_at_run_time),
        cmocka_unit_test(average_pool2d_matches_a_plain_loop),
        cmocka_unit_test(average_pool2d_derivatives_match_differences),
        cmocka_unit_test(global_average_pool_is_the_mean_of_each_plane),
        cmocka_unit_test(pooling_refuses_with_the_facts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
