/* SPDX-License-Identifier: MIT */
/* Reductions over every kind of axes: outermost, innermost, in between, all, none. */
#include "support/run.h"

#include <deq/op.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
/* Initialisers of static tables, where DEQ_SHAPE() is not constant enough. */
#define SHAPE(...)                                                                                 \
    {                                                                                              \
        (int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)),                               \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define F64(...)                                                                                   \
    {                                                                                              \
        DEQ_F64, SHAPE(__VA_ARGS__)                                                                \
    }
#define F64_SCALAR                                                                                 \
    {                                                                                              \
        DEQ_F64,                                                                                   \
        {                                                                                          \
            0,                                                                                     \
            {                                                                                      \
                0                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }

/* --- the operators under test, and what each must compute ------------------------------------ */

typedef deq_value reduce_fn(deq_graph *g, deq_value x, uint32_t axes, bool keep);

typedef struct reduction {
    const char *name;
    reduce_fn *build;
    double start;
    double (*step)(double a, double x);
    double (*end)(double a, int64_t n);
} reduction;

static double step_sum(double a, double x)
{
    return a + x;
}
static double step_max(double a, double x)
{
    return x > a ? x : a;
}
static double step_exp(double a, double x)
{
    return a + exp(x);
}
static double step_square(double a, double x)
{
    return a + x * x;
}
static double end_same(double a, int64_t n)
{
    return (void)n, a;
}
static double end_mean(double a, int64_t n)
{
    return a / (double)n;
}
static double end_log(double a, int64_t n)
{
    return (void)n, log(a);
}

static const reduction reductions[] = {
    { "sum", deq_sum, 0, step_sum, end_same },
    { "mean", deq_mean, 0, step_sum, end_mean },
    { "reduce_max", deq_reduce_max, -INFINITY, step_max, end_same },
    { "logsumexp", deq_logsumexp, 0, step_exp, end_log },
    { "squared_norm", deq_squared_norm, 0, step_square, end_same },
};

static const struct axes_case {
    const char *name;
    deq_type x;
    uint32_t axes;
    bool keep;
    int out_rank;
    int64_t out[DEQ_MAX_RANK];
} axes_cases[] = {
    { "scalar", F64_SCALAR, DEQ_ALL_AXES, false, 0, { 0 } },
    { "one element", F64(1), DEQ_ALL_AXES, false, 0, { 0 } },
    { "one element, kept", F64(1, 1, 1), DEQ_AXIS(1), true, 3, { 1, 1, 1 } },
    { "vector", F64(9), DEQ_ALL_AXES, false, 0, { 0 } },
    { "innermost", F64(3, 7), DEQ_AXIS(1), false, 1, { 3 } },
    { "innermost of extent one", F64(3, 1), DEQ_AXIS(1), false, 1, { 3 } },
    { "outermost", F64(4, 3), DEQ_AXIS(0), false, 1, { 3 } },
    { "outermost, kept", F64(4, 3), DEQ_AXIS(0), true, 2, { 1, 3 } },
    { "between", F64(2, 3, 5), DEQ_AXIS(1), false, 2, { 2, 5 } },
    { "all but one of four",
      F64(2, 3, 2, 3),
      DEQ_AXIS(0) | DEQ_AXIS(2) | DEQ_AXIS(3),
      false,
      1,
      { 3 } },
    { "two apart", F64(3, 2, 3, 2), DEQ_AXIS(0) | DEQ_AXIS(2), true, 4, { 1, 2, 1, 2 } },
    { "the other two", F64(3, 2, 3, 2), DEQ_AXIS(1) | DEQ_AXIS(3), false, 2, { 3, 3 } },
    { "eight axes", F64(2, 1, 2, 2, 1, 2, 1, 2), 0x99, false, 4, { 1, 2, 2, 1 } },
    { "all, kept", F64(2, 3, 2), DEQ_ALL_AXES, true, 3, { 1, 1, 1 } },
    { "none", F64(2, 3), 0, false, 2, { 2, 3 } },
};

/* Large enough for several blocks, splits and threads. */
static const struct axes_case large_cases[] = {
    { "long vector", F64(70001), DEQ_ALL_AXES, false, 0, { 0 } },
    { "few long rows", F64(3, 20011), DEQ_AXIS(1), false, 1, { 3 } },
    { "many rows", F64(501, 77), DEQ_AXIS(1), false, 1, { 501 } },
    { "many columns", F64(9, 5003), DEQ_AXIS(0), false, 1, { 5003 } },
    { "few columns", F64(5003, 9), DEQ_AXIS(0), false, 1, { 9 } },
    { "a block and one column", F64(301, 129), DEQ_AXIS(0), false, 1, { 129 } },
    { "channels first",
      F64(7, 5, 33, 31),
      DEQ_AXIS(0) | DEQ_AXIS(2) | DEQ_AXIS(3),
      false,
      1,
      { 5 } },
    { "channels last", F64(7, 33, 31, 5), 7, false, 1, { 5 } },
    { "long between", F64(3, 4001, 3), DEQ_AXIS(1), false, 2, { 3, 3 } },
    { "alternating", F64(11, 13, 17, 19), DEQ_AXIS(0) | DEQ_AXIS(2), false, 2, { 13, 19 } },
};

typedef struct reduce_user {
    const reduction *r;
    const struct axes_case *a;
} reduce_user;

static deq_value build_reduction(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    const reduce_user *u = user;
    (void)n_in;
    return u->r->build(g, in[0], u->a->axes, u->a->keep);
}

/* Where element i of x goes in y: index by index. */
static int64_t place_of(const struct axes_case *a, int64_t i)
{
    const deq_shape *s = &a->x.shape;
    int64_t at = 0, step = 1;
    for (int k = s->rank - 1; k >= 0; k--) {
        if (!(a->axes >> k & 1)) {
            at += i % s->dim[k] * step;
            step *= s->dim[k];
        }
        i /= s->dim[k];
    }
    return at;
}

static void check_against_loops(const op_case *c, const reduce_user *u)
{
    deq_type t = type_of_op(c);
    assert_int_equal(t.shape.rank, u->a->out_rank);
    for (int k = 0; k < t.shape.rank; k++) assert_int_equal(t.shape.dim[k], u->a->out[k]);

    int64_t n = deq_shape_count(&c->in[0].shape), m = deq_shape_count(&t.shape);
    double *x = malloc((size_t)n * sizeof *x), *y = malloc((size_t)m * sizeof *y);
    double *expected = malloc((size_t)m * sizeof *expected);
    assert_true(x && y && expected);
    random_data(c, 0, x);
    for (int64_t i = 0; i < m; i++) expected[i] = u->r->start;
    for (int64_t i = 0; i < n; i++) {
        double *e = &expected[place_of(u->a, i)];
        *e = u->r->step(*e, x[i]);
    }
    for (int64_t i = 0; i < m; i++) expected[i] = u->r->end(expected[i], n / m);
    forward_op(c, NULL, y);
    check_close(c->name, y, expected, m, 1e-13);
    free(x);
    free(y);
    free(expected);
}

static void check_cases(const struct axes_case *cases, size_t n, bool derivatives)
{
    for (size_t r = 0; r < COUNT(reductions); r++)
        for (size_t k = 0; k < n; k++) {
            char name[96];
            reduce_user u = { &reductions[r], &cases[k] };
            snprintf(name, sizeof name, "%s, %s", u.r->name, u.a->name);
            op_case c = { .name = name,
                          .n_in = 1,
                          .in = { u.a->x },
                          .build = build_reduction,
                          .user = &u,
                          .only_forward = !derivatives };
            check_against_loops(&c, &u);
            check_op(&c);
        }
}

static void every_reduction_matches_plain_loops_and_differences(void **state)
{
    (void)state;
    check_cases(axes_cases, COUNT(axes_cases), true);
}

static void large_reductions_match_plain_loops(void **state)
{
    (void)state;
    check_cases(large_cases, COUNT(large_cases), false);
}

/* --- precision, threads ---------------------------------------------------------------------- */

static void f32_sums_accumulate_in_double(void **state)
{
    (void)state;
    enum { N = 1 << 20 };
    test_graph t = test_graph_new();
    float *x = malloc(N * sizeof *x), y;
    assert_non_null(x);
    for (int i = 0; i < N; i++) x[i] = 0.1F;
    deq_value in = deq_input(t.g, "x", DEQ_STAGE_STATE, DEQ_F32, DEQ_SHAPE(N));
    test_graph_run(&t, &in, (const void *[]){ x }, 1, deq_sum(t.g, in, DEQ_ALL_AXES, false), &y, 1);
    assert_true(y == (float)(N * (double)0.1F));
    test_graph_free(&t);
    free(x);
}

static void threads_do_not_change_a_bit(void **state)
{
    (void)state;
    for (size_t r = 0; r < COUNT(reductions); r++)
        for (size_t k = 0; k < COUNT(large_cases); k++) {
            const struct axes_case *a = &large_cases[k];
            int64_t n = deq_shape_count(&a->x.shape);
            double *x = malloc((size_t)n * sizeof *x), y[3][5003];
            assert_non_null(x);
            random_data(&(op_case){ .name = a->name, .in = { a->x } }, 0, x);
            test_graph t = test_graph_new();
            deq_value in = deq_input(t.g, "x", DEQ_STAGE_STATE, DEQ_F64, a->x.shape);
            deq_value out = reductions[r].build(t.g, in, a->axes, false);
            deq_type type = deq_value_type(t.g, out);
            for (int threads = 1; threads <= 3; threads++)
                test_graph_run(&t, &in, (const void *[]){ x }, 1, out, y[threads - 1], threads);
            assert_memory_equal(y[0], y[1], deq_type_bytes(&type));
            assert_memory_equal(y[0], y[2], deq_type_bytes(&type));
            test_graph_free(&t);
            free(x);
        }
}

/* --- other dtypes ---------------------------------------------------------------------------- */

static void integers_sum_and_wrap_around(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    const int32_t x[2][3] = { { 1, -2, INT32_MAX }, { 10, -20, 1 } };
    const int64_t z[3] = { INT64_MAX, 2, -5 };
    int32_t y[3];
    int64_t w;
    deq_value in = deq_input(t.g, "x", DEQ_STAGE_STATE, DEQ_I32, DEQ_SHAPE(2, 3));
    test_graph_run(&t, &in, (const void *[]){ x }, 1, deq_sum(t.g, in, DEQ_AXIS(0), false), y, 1);
    assert_int_equal(y[0], 11);
    assert_int_equal(y[1], -22);
    assert_int_equal(y[2], INT32_MIN);
    in = deq_input(t.g, "z", DEQ_STAGE_STATE, DEQ_I64, DEQ_SHAPE(3));
    test_graph_run(&t, &in, (const void *[]){ z }, 1, deq_sum(t.g, in, 1, false), &w, 1);
    assert_true(w == INT64_MAX - 3);
    test_graph_free(&t);
}

static void maxima_of_integers_and_truth_values(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    const int32_t a[4] = { -7, INT32_MIN, -3, -9 };
    const int64_t b[3] = { INT64_MIN, INT64_MIN, INT64_MIN };
    const uint8_t c[2][2] = { { 0, 0 }, { 0, 1 } };
    int32_t ya;
    int64_t yb;
    uint8_t yc[2];
    deq_value in = deq_input(t.g, "a", DEQ_STAGE_STATE, DEQ_I32, DEQ_SHAPE(4));
    test_graph_run(&t, &in, (const void *[]){ a }, 1, deq_reduce_max(t.g, in, 1, false), &ya, 1);
    assert_int_equal(ya, -3);
    in = deq_input(t.g, "b", DEQ_STAGE_STATE, DEQ_I64, DEQ_SHAPE(3));
    test_graph_run(&t, &in, (const void *[]){ b }, 1, deq_reduce_max(t.g, in, 1, false), &yb, 1);
    assert_true(yb == INT64_MIN);
    in = deq_input(t.g, "c", DEQ_STAGE_STATE, DEQ_BOOL, DEQ_SHAPE(2, 2));
    test_graph_run(&t, &in, (const void *[]){ c }, 1, deq_reduce_max(t.g, in, DEQ_AXIS(1), false),
                   yc, 1);
    assert_int_equal(yc[0], 0);
    assert_int_equal(yc[1], 1);
    test_graph_free(&t);
}

/* --- ties and infinities --------------------------------------------------------------------- */

/* y = f(x) over the rows of x [3, 4], its gradient with cotangent 1, and the tangent for dx = 1. */
static void rows_of(reduce_fn *f, deq_dtype dtype, const double x[3][4], double y[3],
                    double dx[3][4], double dy[3])
{
    test_graph t = test_graph_new();
    deq_value in = deq_input(t.g, "x", DEQ_STAGE_STATE, DEQ_F64, DEQ_SHAPE(3, 4)), grad, tangent;
    deq_value cast = deq_cast(t.g, in, dtype);
    deq_value out = f(t.g, cast, DEQ_AXIS(1), false);
    deq_value one = deq_fill(t.g, dtype, DEQ_SHAPE(3), 1);
    deq_value ones = deq_fill(t.g, dtype, DEQ_SHAPE(3, 4), 1);
    assert_int_equal(deq_vjp(t.g, &grad, &out, &one, 1, &cast, 1), DEQ_OK);
    assert_int_equal(deq_jvp(t.g, &tangent, &out, 1, &cast, &ones, 1), DEQ_OK);
    const void *data[] = { x };
    test_graph_run(&t, &in, data, 1, deq_cast(t.g, out, DEQ_F64), y, 1);
    test_graph_run(&t, &in, data, 1, deq_cast(t.g, grad, DEQ_F64), dx, 1);
    test_graph_run(&t, &in, data, 1, deq_cast(t.g, tangent, DEQ_F64), dy, 1);
    test_graph_free(&t);
}

static void reduce_max_shares_its_derivative_among_ties(void **state)
{
    (void)state;
    const double x[3][4] = { { 1, 3, 3, 2 }, { -5, -5, -5, -5 }, { -INFINITY, 0, INFINITY, 1 } };
    const double expected[3][4] = { { 0, 0.5, 0.5, 0 },
                                    { 0.25, 0.25, 0.25, 0.25 },
                                    { 0, 0, 1, 0 } };
    double y[3], dx[3][4], dy[3];
    for (deq_dtype d = DEQ_F32; d <= DEQ_F64; d++) {
        rows_of(deq_reduce_max, d, x, y, dx, dy);
        assert_memory_equal(y, ((double[3]){ 3, -5, INFINITY }), sizeof y);
        assert_memory_equal(dx, expected, sizeof dx);
        assert_memory_equal(dy, ((double[3]){ 1, 1, 1 }), sizeof dy);
    }
}

static void reduce_max_of_nan_is_nan(void **state)
{
    (void)state;
    const double x[3][4] = { { NAN, 3, 3, 2 }, { 1, NAN, INFINITY, 2 }, { 1, 2, 3, NAN } };
    double y[3], dx[3][4], dy[3];
    rows_of(deq_reduce_max, DEQ_F32, x, y, dx, dy);
    for (int i = 0; i < 3; i++) assert_true(isnan(y[i]));
}

static void logsumexp_neither_overflows_nor_loses_small_rows(void **state)
{
    (void)state;
    const double x[3][4] = { { 1e30, 1e30, 1e30, 1e30 },
                             { -1e4, -1e4, -2e4, -1e4 },
                             { 0, 88, 89, 90 } };
    double y[3], dx[3][4], dy[3];
    rows_of(deq_logsumexp, DEQ_F64, x, y, dx, dy);
    check_close("large", y, (double[3]){ 1e30, -1e4 + log(3), 90 + log(1 + exp(-1) + exp(-2)) }, 1,
                1e-15);
    check_close("dx", dx[1], (double[4]){ 1. / 3, 1. / 3, 0, 1. / 3 }, 4, 1e-11);
    check_close("dy", dy, (double[3]){ 4 * exp(0), 1, 1 }, 0, 1e-11);
}

static void logsumexp_of_infinities_is_the_infinity(void **state)
{
    (void)state;
    const double inf = INFINITY;
    const double x[3][4] = { { -inf, -inf, -inf, -inf },
                             { 1, inf, -inf, 0 },
                             { -inf, 2, -inf, 2 } };
    const double expected[3][4] = { { 0, 0, 0, 0 }, { 0, 1, 0, 0 }, { 0, 0.5, 0, 0.5 } };
    double y[3], dx[3][4], dy[3];
    for (deq_dtype d = DEQ_F32; d <= DEQ_F64; d++) {
        double tol = d == DEQ_F32 ? 1e-6 : 1e-15;
        rows_of(deq_logsumexp, d, x, y, dx, dy);
        assert_true(y[0] == -inf && y[1] == inf);
        check_close("y", y + 2, (double[1]){ 2 + log(2) }, 1, tol);
        check_close("dx", dx[0], expected[0], 12, tol);
        check_close("dy", dy, (double[3]){ 0, 1, 1 }, 3, tol);
    }
}

static void logsumexp_of_nan_is_nan(void **state)
{
    (void)state;
    const double x[3][4] = { { NAN, 3, 3, 2 }, { 1, NAN, INFINITY, 2 }, { 1, 2, 3, 4 } };
    double y[3], dx[3][4], dy[3];
    rows_of(deq_logsumexp, DEQ_F64, x, y, dx, dy);
    assert_true(isnan(y[0]) && isnan(y[1]) && isfinite(y[2]));
    assert_true(isnan(dx[0][1]) && isfinite(dx[2][1]));
}

/* --- sum_to ---------------------------------------------------------------------------------- */

static const struct sum_to_case {
    const char *name;
    deq_type x;
    deq_shape to;
} sum_to_cases[] = {
    { "nothing to do", F64(2, 3), SHAPE(2, 3) },
    { "scalar", F64(2, 3), { 0, { 0 } } },
    { "leading axis", F64(4, 3), SHAPE(3) },
    { "extent one", F64(4, 3), SHAPE(4, 1) },
    { "both", F64(2, 4, 3), SHAPE(1, 3) },
    { "leading axis of extent one", F64(1, 3), SHAPE(3) },
    { "bias of channels", F64(2, 3, 2, 2), SHAPE(3, 1, 1) },
};

static deq_value build_sum_to(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    (void)n_in;
    return deq_sum_to(g, in[0], *(const deq_shape *)user);
}

static void sum_to_is_the_adjoint_of_broadcasting(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(sum_to_cases); k++) {
        const struct sum_to_case *s = &sum_to_cases[k];
        op_case c = {
            .name = s->name, .n_in = 1, .in = { s->x }, .build = build_sum_to, .user = &s->to
        };
        double x[24], y[24], expected[24] = { 0 };
        deq_type t = type_of_op(&c);
        assert_true(deq_shape_equal(&t.shape, &s->to));
        random_data(&c, 0, x);
        for (int64_t i = 0; i < deq_shape_count(&s->x.shape); i++) {
            int64_t at = 0, step = 1, rest = i;
            for (int a = s->x.shape.rank - 1, b = s->to.rank - 1; a >= 0; a--, b--) {
                if (b >= 0 && s->to.dim[b] > 1) at += rest % s->x.shape.dim[a] * step;
                if (b >= 0) step *= s->to.dim[b];
                rest /= s->x.shape.dim[a];
            }
            expected[at] += x[i];
        }
        forward_op(&c, NULL, y);
        check_close(s->name, y, expected, deq_shape_count(&s->to), 1e-14);
        check_op(&c);
    }
}

/* --- refusals -------------------------------------------------------------------------------- */

static deq_value sum_axis_2(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    (void)n_in;
    (void)user;
    return deq_sum(g, in[0], DEQ_AXIS(2), false);
}

static deq_value apply(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    return ((const reduction *)user)->build(g, n_in ? in[0] : DEQ_NONE, DEQ_ALL_AXES, false);
}

static void wrong_calls_are_refused_with_the_facts(void **state)
{
    (void)state;
    const deq_shape four = DEQ_SHAPE(4), long_shape = DEQ_SHAPE(1, 2, 3);
    const op_case axis = { .name = "axis", .n_in = 1, .in = { F64(2, 3) }, .build = sum_axis_2 };
    check_refused(&axis, DEQ_ERR_ARGUMENT, "sum: axis 2, the input has rank 2");
    for (size_t r = 0; r < COUNT(reductions); r++) {
        op_case c = { .name = reductions[r].name,
                      .n_in = 1,
                      .in = { { DEQ_BOOL, DEQ_SHAPE(3) } },
                      .build = apply,
                      .user = &reductions[r] };
        if (reductions[r].build == deq_reduce_max) continue;
        check_refused(&c, DEQ_ERR_DTYPE, "bool");
        if (reductions[r].build == deq_sum) continue;
        c.in[0].dtype = DEQ_I32;
        check_refused(&c, DEQ_ERR_DTYPE, "i32, expected f32 or f64");
    }
    const op_case absent = { .name = "absent", .build = apply, .user = &reductions[0] };
    check_refused(&absent, DEQ_ERR_ARGUMENT, "input 0 is absent");
    op_case to = {
        .name = "sum_to", .n_in = 1, .in = { F64(2, 3) }, .build = build_sum_to, .user = &four
    };
    check_refused(&to, DEQ_ERR_SHAPE, "sum_to: f64 [4] does not repeat to f64 [2, 3]");
    to.user = &long_shape;
    check_refused(&to, DEQ_ERR_SHAPE, "sum_to: f64 [1, 2, 3] does not repeat to f64 [2, 3]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reduction_matches_plain_loops_and_differences),
        cmocka_unit_test(large_reductions_match_plain_loops),
        cmocka_unit_test(f32_sums_accumulate_in_double),
        cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(integers_sum_and_wrap_around),
        cmocka_unit_test(maxima_of_integers_and_truth_values),
        cmocka_unit_test(reduce_max_shares_its_derivative_among_ties),
        cmocka_unit_test(reduce_max_of_nan_is_nan),
        cmocka_unit_test(logsumexp_neither_overflows_nor_loses_small_rows),
        cmocka_unit_test(logsumexp_of_infinities_is_the_infinity),
        cmocka_unit_test(logsumexp_of_nan_is_nan),
        cmocka_unit_test(sum_to_is_the_adjoint_of_broadcasting),
        cmocka_unit_test(wrong_calls_are_refused_with_the_facts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
