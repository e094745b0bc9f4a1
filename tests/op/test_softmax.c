/* SPDX-License-Identifier: MIT */
#include "support/run.h"

#include <deq/op.h>
#include <deq/random.h>
#include <math.h>
#include <stdlib.h>

#define MAX_ELEMENTS 4096
#define N_OF(table) (sizeof(table) / sizeof *(table))

static deq_value build_softmax(deq_graph *g, const deq_value *in, int n, const void *user)
{
    (void)n;
    return deq_softmax(g, in[0], *(const int *)user);
}

static deq_value build_log_softmax(deq_graph *g, const deq_value *in, int n, const void *user)
{
    (void)n;
    return deq_log_softmax(g, in[0], *(const int *)user);
}

/* clang-format off */
#define X(...) { DEQ_F64, { sizeof((int[]){ __VA_ARGS__ }) / sizeof(int), { __VA_ARGS__ } } }
#define AXIS(i) &(const int){ i }

/* build is filled in by the tests */
static const op_case cases[] = {
    { "one element",         1, { X(1) },              .user = AXIS(0) },
    { "extent one",          1, { X(3, 1, 2) },        .user = AXIS(1) },
    { "a vector",            1, { X(5) },              .user = AXIS(0) },
    { "last axis",           1, { X(4, 7) },           .user = AXIS(1) },
    { "last axis, negative", 1, { X(4, 7) },           .user = AXIS(-1) },
    { "first axis",          1, { X(4, 7) },           .user = AXIS(0) },
    { "middle axis",         1, { X(3, 5, 2, 2) },     .user = AXIS(1) },
    { "middle, negative",    1, { X(3, 5, 2, 3) },     .user = AXIS(-2) },
    { "wide",                1, { X(2, 9) }, -4, 4,    .user = AXIS(1) },
};
/* clang-format on */

/* The definition, in long double and without any shift: the data is small. */
static void expected_softmax(const op_case *c, const double *x, double *y, bool logarithm)
{
    const deq_shape *s = &c->in[0].shape;
    int axis = *(const int *)c->user;
    if (axis < 0) axis += s->rank;
    int64_t inner = 1;
    for (int i = axis + 1; i < s->rank; i++) inner *= s->dim[i];
    for (int64_t i = 0; i < deq_shape_count(s); i++) {
        int64_t first = i / (inner * s->dim[axis]) * inner * s->dim[axis] + i % inner;
        long double sum = 0;
        for (int64_t k = 0; k < s->dim[axis]; k++) sum += expl((long double)x[first + k * inner]);
        y[i] = (double)(logarithm ? (long double)x[i] - logl(sum) : expl((long double)x[i]) / sum);
    }
}

static void expect_case(op_case c, bool logarithm)
{
    double x[MAX_ELEMENTS], y[MAX_ELEMENTS], expected[MAX_ELEMENTS];
    c.build = logarithm ? build_log_softmax : build_softmax;
    random_data(&c, 0, x);
    expected_softmax(&c, x, expected, logarithm);
    forward_op(&c, NULL, y);
    check_close(c.name, y, expected, deq_shape_count(&c.in[0].shape), 1e-14);
    check_op(&c);
}

static void softmax_and_its_derivatives_match(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_OF(cases); i++) expect_case(cases[i], false);
}

static void log_softmax_and_its_derivatives_match(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_OF(cases); i++) expect_case(cases[i], true);
}

static void rows_sum_to_one_in_f32(void **state)
{
    (void)state;
    const op_case c = { .name = "a thousand",
                        .n_in = 1,
                        .in = { X(2, 1000) },
                        .build = build_softmax,
                        .user = AXIS(1) };
    double y[2000];
    forward_op_f32(&c, NULL, y);
    for (int row = 0; row < 2; row++) {
        double sum = 0;
        for (int k = 0; k < 1000; k++) sum += y[1000 * row + k];
        assert_true(fabs(sum - 1) < 1e-6);
    }
}

/* ---- hard rows ---------------------------------------------------------------------------- */

static const struct hard_row {
    const char *name;
    double x[3], softmax[3], log_softmax[3];
} hard_rows[] = {
    { "large logits",
      { 1000, 1000, -1000 },
      { 0.5, 0.5, 0 },
      { -0.69314718055994531, -0.69314718055994531, -2000.69314718055994531 } },
    { "large negative logits",
      { -3e38, -3e38, -3e38 },
      { 1.0 / 3, 1.0 / 3, 1.0 / 3 },
      { -1.0986122886681098, -1.0986122886681098, -1.0986122886681098 } },
    { "one masked",
      { 0, -INFINITY, 0 },
      { 0.5, 0, 0.5 },
      { -0.69314718055994531, -INFINITY, -0.69314718055994531 } },
    { "one left", { -INFINITY, 5, -INFINITY }, { 0, 1, 0 }, { -INFINITY, 0, -INFINITY } },
    { "all masked",
      { -INFINITY, -INFINITY, -INFINITY },
      { 0, 0, 0 },
      { -INFINITY, -INFINITY, -INFINITY } },
    { "not a number", { 0, NAN, 1 }, { NAN, NAN, NAN }, { NAN, NAN, NAN } },
    { "not a number among masked",
      { -INFINITY, NAN, -INFINITY },
      { NAN, NAN, NAN },
      { NAN, NAN, NAN } },
    { "infinite", { 0, INFINITY, 1 }, { NAN, NAN, NAN }, { NAN, NAN, NAN } },
};

static void hard_rows_come_out_as_documented(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_OF(hard_rows); i++) {
        const struct hard_row *r = &hard_rows[i];
        const double *in[1] = { r->x };
        op_case c = { .name = r->name, .n_in = 1, .in = { X(1, 3) }, .user = AXIS(1) };
        double y[3];
        c.build = build_softmax;
        forward_op(&c, in, y);
        check_close(r->name, y, r->softmax, 3, 1e-15);
        forward_op_f32(&c, in, y);
        check_close(r->name, y, r->softmax, 3, 1e-7);
        c.build = build_log_softmax;
        forward_op(&c, in, y);
        check_close(r->name, y, r->log_softmax, 3, 1e-15);
    }
}

/* The vjp of softmax at a masked row, with cotangent c. */
static deq_value build_vjp(deq_graph *g, const deq_value *in, int n, const void *user)
{
    deq_value y = deq_softmax(g, in[0], *(const int *)user), dx = DEQ_NONE;
    (void)n;
    deq_vjp(g, &dx, &y, &in[1], 1, &in[0], 1);
    return dx;
}

static void a_masked_row_has_derivative_zero(void **state)
{
    (void)state;
    static const double x[] = { -INFINITY, -INFINITY, 0, -INFINITY }, v[] = { 1, 2, 3, 4 };
    const op_case c = { .name = "masked derivative",
                        .n_in = 2,
                        .in = { X(2, 2), X(2, 2) },
                        .data = { x, v },
                        .build = build_vjp,
                        .user = AXIS(1) };
    const double expected[4] = { 0, 0, 0, 0 };
    double dx[4];
    forward_op(&c, NULL, dx);
    check_close(c.name, dx, expected, 4, 0);
}

static void the_number_of_threads_changes_no_bit(void **state)
{
    (void)state;
    enum { N = 33 * 17 * 19 };
    double *x = malloc(N * sizeof *x), *one = malloc(N * sizeof *one), *y = malloc(N * sizeof *y);
    assert_true(x && one && y);
    assert_int_equal(deq_draw_normal(x, DEQ_F64, N, (deq_random_key){ 1, 2, 3 }, 0, 1), DEQ_OK);
    test_graph t = test_graph_new();
    deq_value in = deq_input(t.g, "x", DEQ_STAGE_STATE, DEQ_F64, DEQ_SHAPE(33, 17, 19));
    deq_value out[2] = { deq_softmax(t.g, in, 1), deq_log_softmax(t.g, in, 2) };
    for (int k = 0; k < 2; k++)
        for (int threads = 1; threads <= 3; threads++) {
            test_graph_run(&t, &in, (const void *const[]){ x }, 1, out[k], threads == 1 ? one : y,
                           threads);
            if (threads > 1) assert_memory_equal(y, one, N * sizeof *y);
        }
    test_graph_free(&t);
    free(x);
    free(one);
    free(y);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    const op_case axis = { "axis", 1, { X(2, 3) }, .build = build_softmax, .user = AXIS(2) };
    const op_case low = { "low", 1, { X(2, 3) }, .build = build_log_softmax, .user = AXIS(-3) };
    const op_case scalar = {
        "scalar", 1, { { DEQ_F64, { 0, { 0 } } } }, .build = build_softmax, .user = AXIS(-1)
    };
    const op_case dtype = {
        "dtype", 1, { { DEQ_I32, { 1, { 3 } } } }, .build = build_softmax, .user = AXIS(0)
    };
    check_refused(&axis, DEQ_ERR_SHAPE, "softmax: axis 2, x has rank 2");
    check_refused(&low, DEQ_ERR_SHAPE, "log_softmax: axis -3, x has rank 2");
    check_refused(&scalar, DEQ_ERR_SHAPE, "x has rank 0");
    check_refused(&dtype, DEQ_ERR_DTYPE, "i32");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(softmax_and_its_derivatives_match),
        cmocka_unit_test(log_softmax_and_its_derivatives_match),
        cmocka_unit_test(rows_sum_to_one_in_f32),
        cmocka_unit_test(hard_rows_come_out_as_documented),
        cmocka_unit_test(a_masked_row_has_derivative_zero),
        cmocka_unit_test(the_number_of_threads_changes_no_bit),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
