/* SPDX-License-Identifier: MIT */
/* The relative shift of attention scores. */
#include "support/op_check.h"

#include <deq/op/relative_shift.h>
#include <string.h>

static deq_value shift(deq_graph *g, const deq_value *in, int n, const void *user)
{
    (void)n;
    (void)user;
    return deq_relative_shift(g, in[0]);
}

/* clang-format off */
static const op_case cases[] = {
    { "one element",          1, { { DEQ_F64, { 2, { 1, 1 } } } },       .build = shift },
    { "one query",            1, { { DEQ_F64, { 2, { 1, 5 } } } },       .build = shift },
    { "one key",              1, { { DEQ_F64, { 2, { 4, 1 } } } },       .build = shift },
    { "square",               1, { { DEQ_F64, { 2, { 4, 4 } } } },       .build = shift },
    { "memory before",        1, { { DEQ_F64, { 2, { 3, 7 } } } },       .build = shift },
    { "more queries",         1, { { DEQ_F64, { 2, { 7, 3 } } } },       .build = shift },
    { "batch and heads",      1, { { DEQ_F64, { 4, { 2, 3, 3, 5 } } } }, .build = shift },
    { "larger than a thread", 1, { { DEQ_F64, { 3, { 2, 150, 300 } } } }, .build = shift },
};
/* clang-format on */

/* As the paper says it: pad, read as [S + 1, T], drop the first row, read as [T, S]. */
static void pad_and_reinterpret(double *y, const double *x, int64_t rows, int64_t cols)
{
    static double padded[150 * 301];
    for (int64_t i = 0; i < rows; i++) {
        padded[i * (cols + 1)] = 0;
        memcpy(padded + i * (cols + 1) + 1, x + i * cols, (size_t)cols * sizeof *x);
    }
    memcpy(y, padded + rows, (size_t)(rows * cols) * sizeof *y);
}

static void shift_is_padding_and_reinterpreting(void **state)
{
    (void)state;
    static double x[90000], y[90000], expected[90000];
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const op_case *c = &cases[k];
        const deq_shape *s = &c->in[0].shape;
        int64_t rows = s->dim[s->rank - 2], cols = s->dim[s->rank - 1], n = deq_shape_count(s);
        random_data(c, 0, x);
        for (int64_t m = 0; m < n; m += rows * cols)
            pad_and_reinterpret(expected + m, x + m, rows, cols);
        forward_op(c, NULL, y);
        check_close(c->name, y, expected, n, 0);
    }
}

static void visible_scores_are_aligned_by_distance(void **state)
{
    (void)state;
    enum { T = 4, S = 6 };
    const op_case c = { "aligned", 1, { { DEQ_F64, { 2, { T, S } } } }, .build = shift };
    double x[T * S], y[T * S];
    for (int i = 0; i < T; i++)
        for (int j = 0; j < S; j++) x[i * S + j] = j; /* column j: distance S - 1 - j */
    forward_op(&c, (const double *[]){ x }, y);
    for (int i = 0; i < T; i++)
        for (int j = 0; j <= S - T + i; j++) assert_true(y[i * S + j] == S - 1 - (i + S - T - j));
}

static void derivatives_match_differences(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) check_op(&cases[k]);
}

static void mistakes_are_refused(void **state)
{
    (void)state;
    const op_case rank = { "rank", 1, { { DEQ_F64, { 1, { 3 } } } }, .build = shift };
    const op_case dtype = { "dtype", 1, { { DEQ_I32, { 2, { 3, 3 } } } }, .build = shift };
    check_refused(&rank, DEQ_ERR_SHAPE, "x has rank 1, expected at least 2");
    check_refused(&dtype, DEQ_ERR_DTYPE, "input 0 is i32");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shift_is_padding_and_reinterpreting),
        cmocka_unit_test(visible_scores_are_aligned_by_distance),
        cmocka_unit_test(derivatives_match_differences),
        cmocka_unit_test(mistakes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
