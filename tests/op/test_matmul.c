/* SPDX-License-Identifier: MIT */
#include "op/matmul.h"
#include "support/op_check.h"

#include <deq/op/matmul.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- a plain loop to compare with ------------------------------------------------------------- */

typedef struct matmul_case {
    const char *name;
    deq_shape a, b;
    bool ta, tb;
} matmul_case;

static deq_value build(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    const matmul_case *m = user;
    (void)n_in;
    return deq_matmul(g, in[0], in[1], m->ta, m->tb);
}

static op_case op_of(const matmul_case *m)
{
    return (op_case){ .name = m->name,
                      .n_in = 2,
                      .in = { { DEQ_F64, m->a }, { DEQ_F64, m->b } },
                      .build = build,
                      .user = m };
}

/* Element (..., row, column) of s, where `index` has the coordinates of the output; batch axes are
 * lined up from the right and repeat when their extent is one. */
static int64_t place(const deq_shape *s, const int64_t *index, int rank, int64_t row,
                     int64_t column)
{
    int64_t at = 0;
    for (int axis = 0; axis < s->rank - 2; axis++) {
        int64_t i = index[rank - s->rank + axis];
        at = at * s->dim[axis] + (s->dim[axis] == 1 ? 0 : i);
    }
    return (at * s->dim[s->rank - 2] + row) * s->dim[s->rank - 1] + column;
}

static void plain_matmul(const matmul_case *m, const deq_shape *y, const double *a, const double *b,
                         double *out)
{
    int64_t inner = m->a.dim[m->a.rank - (m->ta ? 2 : 1)];
    for (int64_t i = 0; i < deq_shape_count(y); i++) {
        int64_t index[DEQ_MAX_RANK], rest = i;
        for (int axis = y->rank - 1; axis >= 0; axis--) {
            index[axis] = rest % y->dim[axis];
            rest /= y->dim[axis];
        }
        int64_t row = index[y->rank - 2], column = index[y->rank - 1];
        double sum = 0;
        for (int64_t k = 0; k < inner; k++)
            sum += a[place(&m->a, index, y->rank, m->ta ? k : row, m->ta ? row : k)] *
                   b[place(&m->b, index, y->rank, m->tb ? column : k, m->tb ? k : column)];
        out[i] = sum;
    }
}

static double *doubles(int64_t n)
{
    double *x = calloc((size_t)n, sizeof *x);
    assert_non_null(x);
    return x;
}

static void check_against_loop(const matmul_case *m)
{
    op_case c = op_of(m);
    deq_shape y = type_of_op(&c).shape;
    int64_t n = deq_shape_count(&y);
    double *a = doubles(deq_shape_count(&m->a)), *b = doubles(deq_shape_count(&m->b));
    double *expected = doubles(n), *got = doubles(n);
    random_data(&c, 0, a);
    random_data(&c, 1, b);
    plain_matmul(m, &y, a, b, expected);
    forward_op(&c, NULL, got);
    check_close(m->name, got, expected, n, 1e-13);
    forward_op_f32(&c, NULL, got);
    check_close(m->name, got, expected, n, 2e-6);
    free(a);
    free(b);
    free(expected);
    free(got);
}

/* --- products --------------------------------------------------------------------------------- */

/* Every way to transpose a product of matrices of these extents. */
static void each_transposition(const char *name, const int64_t *batch_a, int n_a,
                               const int64_t *batch_b, int n_b, int64_t rows, int64_t columns,
                               int64_t inner, void (*check)(const matmul_case *))
{
    for (int t = 0; t < 4; t++) {
        matmul_case m = { .name = name, .ta = t & 1, .tb = t >> 1 };
        for (int i = 0; i < n_a; i++) m.a.dim[i] = batch_a[i];
        for (int i = 0; i < n_b; i++) m.b.dim[i] = batch_b[i];
        m.a.rank = n_a + 2;
        m.b.rank = n_b + 2;
        m.a.dim[n_a] = m.ta ? inner : rows;
        m.a.dim[n_a + 1] = m.ta ? rows : inner;
        m.b.dim[n_b] = m.tb ? columns : inner;
        m.b.dim[n_b + 1] = m.tb ? inner : columns;
        check(&m);
    }
}

static const struct product {
    const char *name;
    int n_a, n_b;
    int64_t batch_a[3], batch_b[3], rows, columns, inner;
} products[] = {
    { "scalars in disguise", 0, 0, { 0 }, { 0 }, 1, 1, 1 },
    { "row times column", 0, 0, { 0 }, { 0 }, 1, 1, 5 },
    { "column times row", 0, 0, { 0 }, { 0 }, 4, 3, 1 },
    { "odd extents", 0, 0, { 0 }, { 0 }, 3, 5, 7 },
    { "batch", 1, 1, { 2 }, { 2 }, 3, 2, 4 },
    { "one matrix on the right of a batch", 2, 0, { 2, 2 }, { 0 }, 2, 3, 2 },
    { "one matrix on the left of a batch", 0, 1, { 0 }, { 3 }, 2, 3, 2 },
    { "extents one broadcast both ways", 3, 2, { 2, 1, 3 }, { 2, 1 }, 2, 1, 3 },
    { "batch of one", 1, 1, { 1 }, { 1 }, 2, 3, 2 },
};

static const struct product large[] = {
    { "one tile and a bit", 0, 0, { 0 }, { 0 }, 66, 65, 3 },
    { "two pieces of the inner axis", 0, 0, { 0 }, { 0 }, 5, 6, 300 },
    { "tiles and pieces and a batch", 1, 1, { 3 }, { 1 }, 70, 130, 257 },
    { "whole tiles", 0, 0, { 0 }, { 0 }, 128, 64, 256 },
};

static void matmul_matches_a_plain_loop(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof products / sizeof *products; i++) {
        const struct product *p = &products[i];
        each_transposition(p->name, p->batch_a, p->n_a, p->batch_b, p->n_b, p->rows, p->columns,
                           p->inner, check_against_loop);
    }
}

static void matmul_matches_a_plain_loop_across_tiles(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
        const struct product *p = &large[i];
        each_transposition(p->name, p->batch_a, p->n_a, p->batch_b, p->n_b, p->rows, p->columns,
                           p->inner, check_against_loop);
    }
}

static void check_derivatives(const matmul_case *m)
{
    op_case c = op_of(m);
    check_op(&c);
}

static void matmul_derivatives_match_differences(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof products / sizeof *products; i++) {
        const struct product *p = &products[i];
        each_transposition(p->name, p->batch_a, p->n_a, p->batch_b, p->n_b, p->rows, p->columns,
                           p->inner, check_derivatives);
    }
}

static deq_value build_square(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    (void)n_in;
    (void)user;
    return deq_matmul(g, in[0], in[0], true, false); /* a^T a: both inputs are one value */
}

static void gram_matrix_derivatives_match_differences(void **state)
{
    (void)state;
    op_case c = {
        .name = "a^T a", .n_in = 1, .in = { { DEQ_F64, DEQ_SHAPE(2, 3, 2) } }, .build = build_square
    };
    check_op(&c);
}

/* The reference kernel run by hand with a given number of threads. */
static void run_kernel(double *y, const double *a, const double *b, int64_t n, int threads)
{
    deq_matmul_attr attr = { 0, 0 };
    deq_type types[2] = { { DEQ_F64, DEQ_SHAPE(n, n) }, { DEQ_F64, DEQ_SHAPE(n, n) } };
    const void *in[] = { a, b };
    void *out[] = { y };
    deq_kernel_call c = { .attr = &attr,
                          .n_in = 2,
                          .n_out = 1,
                          .in_type = types,
                          .out_type = types,
                          .in = in,
                          .out = out,
                          .threads = threads };
    c.scratch = malloc(deq_op_matmul.scratch(&c));
    assert_non_null(c.scratch);
    assert_int_equal(deq_op_matmul.kernel(&c), DEQ_OK);
    free(c.scratch);
}

static void matmul_has_the_same_bits_for_any_number_of_threads(void **state)
{
    (void)state;
    enum { N = 150 };
    op_case c = { .name = "threads", .n_in = 1, .in = { { DEQ_F64, DEQ_SHAPE(N, N) } } };
    double *a = doubles(N * N), *one = doubles(N * N), *many = doubles(N * N);
    random_data(&c, 0, a);
    run_kernel(one, a, a, N, 1);
    for (int threads = 2; threads <= 12; threads += 5) {
        run_kernel(many, a, a, N, threads);
        assert_memory_equal(one, many, N * N * sizeof *one);
    }
    free(a);
    free(one);
    free(many);
}

static void infinities_and_nan_spread_to_their_row_and_column_only(void **state)
{
    (void)state;
    const double a[] = { 1, INFINITY, 0, 2, 3, 4 }, b[] = { 1, 1, 1, 1, 1, NAN };
    const double *in[] = { a, b };
    double y[4];
    matmul_case m = { .name = "non-finite", .a = DEQ_SHAPE(2, 3), .b = DEQ_SHAPE(3, 2) };
    op_case c = op_of(&m);
    forward_op(&c, in, y);
    assert_true(isinf(y[0]) && isnan(y[1]) && y[2] == 9 && isnan(y[3]));
}

/* --- refusals --------------------------------------------------------------------------------- */

static void matmul_refuses_with_the_facts(void **state)
{
    (void)state;
    const struct {
        matmul_case m;
        deq_dtype da, db;
        deq_status status;
        const char *text;
    } bad[] = {
        { { "vector on the left", DEQ_SHAPE(3), DEQ_SHAPE(3, 4), false, false },
          DEQ_F32,
          DEQ_F32,
          DEQ_ERR_SHAPE,
          "matmul: a has rank 1, expected at least 2; reshape" },
        { { "vector on the right", DEQ_SHAPE(4, 3), DEQ_SHAPE(3), false, false },
          DEQ_F32,
          DEQ_F32,
          DEQ_ERR_SHAPE,
          "matmul: b has rank 1, expected at least 2; reshape" },
        { { "scalar", DEQ_SCALAR, DEQ_SHAPE(3, 4), false, false },
          DEQ_F32,
          DEQ_F32,
          DEQ_ERR_SHAPE,
          "a has rank 0" },
        { { "inner extents", DEQ_SHAPE(32, 64), DEQ_SHAPE(48, 10), false, false },
          DEQ_F32,
          DEQ_F32,
          DEQ_ERR_SHAPE,
          "inner extents differ: 64 in a, 48 in b" },
        { { "inner extents, transposed", DEQ_SHAPE(2, 3), DEQ_SHAPE(4, 3), true, true },
          DEQ_F32,
          DEQ_F32,
          DEQ_ERR_SHAPE,
          "inner extents differ: 2 in a (transposed), 3 in b (transposed)" },
        { { "inner extents, one matrix on the right", DEQ_SHAPE(5, 2, 3), DEQ_SHAPE(4, 3), false,
            false },
          DEQ_F32,
          DEQ_F32,
          DEQ_ERR_SHAPE,
          "inner extents differ: 3 in a, 4 in b" },
        { { "batches", DEQ_SHAPE(5, 2, 3), DEQ_SHAPE(4, 3, 2), false, false },
          DEQ_F32,
          DEQ_F32,
          DEQ_ERR_SHAPE,
          "batch extents do not broadcast: 5 in a, 4 in b" },
        { { "dtypes", DEQ_SHAPE(2, 3), DEQ_SHAPE(3, 2), false, false },
          DEQ_F32,
          DEQ_F64,
          DEQ_ERR_DTYPE,
          "different dtypes, f32 and f64" },
        { { "integers", DEQ_SHAPE(2, 3), DEQ_SHAPE(3, 2), false, false },
          DEQ_I32,
          DEQ_I32,
          DEQ_ERR_DTYPE,
          "input 0 is i32, expected f32 or f64" },
        { { "product too large", DEQ_SHAPE(INT64_C(1) << 40, 1), DEQ_SHAPE(1, INT64_C(1) << 40),
            false, false },
          DEQ_F32,
          DEQ_F32,
          DEQ_ERR_OVERFLOW,
          "matmul" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        op_case c = op_of(&bad[i].m);
        c.in[0].dtype = bad[i].da;
        c.in[1].dtype = bad[i].db;
        check_refused(&c, bad[i].status, bad[i].text);
    }
}

/* --- linear ----------------------------------------------------------------------------------- */

static deq_value build_linear(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    (void)user;
    return deq_linear(g, in[0], in[1], n_in > 2 ? in[2] : DEQ_NONE);
}

static op_case linear_of(const char *name, deq_shape x, deq_shape w, deq_shape b, bool bias)
{
    return (op_case){ .name = name,
                      .n_in = bias ? 3 : 2,
                      .in = { { DEQ_F64, x }, { DEQ_F64, w }, { DEQ_F64, b } },
                      .build = build_linear };
}

static void linear_maps_the_last_axis(void **state)
{
    (void)state;
    const deq_shape shapes[] = { DEQ_SHAPE(3), DEQ_SHAPE(4, 3), DEQ_SHAPE(2, 1, 3),
                                 DEQ_SHAPE(1, 2, 2, 3) };
    const double w[] = { 1, 2, 3, -1, 0, 1 }, b[] = { 10, 20 };
    for (size_t i = 0; i < 4; i++)
        for (int bias = 0; bias < 2; bias++) {
            op_case c = linear_of("linear", shapes[i], DEQ_SHAPE(2, 3), DEQ_SHAPE(2), bias);
            int64_t rows = deq_shape_count(&shapes[i]) / 3;
            double x[12], y[8], expected[8];
            random_data(&c, 0, x);
            for (int64_t r = 0; r < rows; r++)
                for (int64_t n = 0; n < 2; n++) {
                    expected[2 * r + n] = bias ? b[n] : 0;
                    for (int64_t k = 0; k < 3; k++)
                        expected[2 * r + n] += x[3 * r + k] * w[3 * n + k];
                }
            const double *in[] = { x, w, b };
            forward_op(&c, in, y);
            check_close("linear", y, expected, 2 * rows, 1e-14);

            deq_shape out = shapes[i], got = type_of_op(&c).shape;
            out.dim[out.rank - 1] = 2;
            assert_true(deq_shape_equal(&out, &got));
            check_op(&c);
        }
}

static void linear_refuses_with_the_facts(void **state)
{
    (void)state;
    const struct {
        deq_shape x, w, b;
        const char *text;
    } bad[] = {
        { DEQ_SCALAR, DEQ_SHAPE(2, 3), DEQ_SHAPE(2), "linear: x is f64 [], expected [..., K]" },
        { DEQ_SHAPE(4, 3), DEQ_SHAPE(2), DEQ_SHAPE(2), "linear: w is f64 [2], expected [N, K]" },
        { DEQ_SHAPE(4, 3), DEQ_SHAPE(2, 5), DEQ_SHAPE(2), "x has 3 features, w expects 5" },
        { DEQ_SHAPE(4, 3), DEQ_SHAPE(2, 3), DEQ_SHAPE(1), "bias is f64 [1], expected [2]" },
        { DEQ_SHAPE(4, 3), DEQ_SHAPE(2, 3), DEQ_SHAPE(1, 2), "bias is f64 [1, 2], expected [2]" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        op_case c = linear_of("linear", bad[i].x, bad[i].w, bad[i].b, true);
        check_refused(&c, DEQ_ERR_SHAPE, bad[i].text);
    }
    op_case c = linear_of("linear", DEQ_SHAPE(4, 3), DEQ_SHAPE(2, 3), DEQ_SHAPE(2), true);
    c.in[1].dtype = DEQ_F32;
    check_refused(&c, DEQ_ERR_DTYPE, "different dtypes, f64 and f32");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matmul_matches_a_plain_loop),
        cmocka_unit_test(matmul_matches_a_plain_loop_across_tiles),
        cmocka_unit_test(matmul_derivatives_match_differences),
        cmocka_unit_test(gram_matrix_derivatives_match_differences),
        cmocka_unit_test(matmul_has_the_same_bits_for_any_number_of_threads),
        cmocka_unit_test(infinities_and_nan_spread_to_their_row_and_column_only),
        cmocka_unit_test(matmul_refuses_with_the_facts),
        cmocka_unit_test(linear_maps_the_last_axis),
        cmocka_unit_test(linear_refuses_with_the_facts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
