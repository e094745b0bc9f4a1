/* SPDX-License-Identifier: MIT */
/* Clipping by the norm. */
#include "support/test.h"

#include <deq/optim.h>

#include <float.h>
#include <math.h>
#include <string.h>

enum { MANY = 300007 };

static void vectors_of_known_norm_are_measured_and_cut(void **state)
{
    float g[2] = { 3, 4 };
    double h[3] = { 2, -3, 6 };

    (void)state;
    assert_true(deq_clip_norm(g, DEQ_F32, 2, INFINITY, 1) == 5);
    assert_true(deq_clip_norm(g, DEQ_F32, 2, 5, 1) == 5);
    assert_true(g[0] == 3 && g[1] == 4);
    assert_true(deq_clip_norm(g, DEQ_F32, 2, 2.5, 1) == 5);
    assert_true(g[0] == 1.5F && g[1] == 2);
    assert_true(deq_clip_norm(h, DEQ_F64, 3, 3.5, 1) == 7);
    assert_true(h[0] == 1 && h[1] == -1.5 && h[2] == 3);
    assert_true(deq_clip_norm(h, DEQ_F64, 0, 1, 1) == 0);
}

static void threads_do_not_change_a_bit(void **state)
{
    float *g = malloc(MANY * sizeof *g), *one = malloc(MANY * sizeof *g);
    long double exact = 0;
    double norm = 0;

    (void)state;
    for (int threads = 1; threads <= 3; threads++) {
        exact = 0;
        for (int i = 0; i < MANY; i++) {
            g[i] = (float)(sin(i) * pow(10, i % 7 - 3));
            exact += (long double)g[i] * (long double)g[i];
        }
        const double now = deq_clip_norm(g, DEQ_F32, MANY, 0.1, threads);
        if (threads == 1) {
            norm = now;
            memcpy(one, g, MANY * sizeof *g);
        }
        assert_true(now == norm);
        assert_memory_equal(g, one, MANY * sizeof *g);
    }
    assert_true(fabs(norm - sqrt((double)exact)) < 1e-12 * norm);
    assert_true(fabs(deq_clip_norm(g, DEQ_F32, MANY, INFINITY, 1) - 0.1) < 1e-7);
    free(g);
    free(one);
}

static void the_order_of_a_sum_does_not_depend_on_the_address(void **state)
{
    double *block = malloc((MANY + 3) * sizeof *block);
    double first = 0;

    (void)state;
    for (int shift = 0; shift < 3; shift++) {
        for (int i = 0; i < MANY; i++) block[shift + i] = sin(i) * 1e-3;
        const double norm = deq_clip_norm(block + shift, DEQ_F64, MANY, INFINITY, 2);
        if (shift == 0) first = norm;
        assert_true(norm == first);
    }
    free(block);
}

static void vectors_that_are_not_finite_are_left_alone(void **state)
{
    const double bad[] = { NAN, INFINITY, -INFINITY };

    (void)state;
    for (int k = 0; k < 3; k++) {
        float g[3] = { 10, (float)bad[k], 20 };
        double h[3] = { 10, bad[k], 20 };
        assert_true(!isfinite(deq_clip_norm(g, DEQ_F32, 3, 1, 1)));
        assert_true(!isfinite(deq_clip_norm(h, DEQ_F64, 3, 1, 1)));
        assert_true(g[0] == 10 && g[2] == 20 && h[0] == 10 && h[2] == 20);
    }
}

static void squares_that_leave_the_range_are_no_matter(void **state)
{
    static const double unit[] = { 1e300, 1e-300, 1e200, 1e-200, DBL_MAX / 8, 0x1p-1070 };

    (void)state;
    for (size_t k = 0; k < sizeof unit / sizeof *unit; k++) {
        double g[2] = { 3 * unit[k], -4 * unit[k] };
        const double norm = deq_clip_norm(g, DEQ_F64, 2, INFINITY, 1);
        assert_true(fabs(norm / unit[k] - 5) < 1e-14);
    }
    float f[2] = { 3e38F, 0 };
    assert_true(fabs(deq_clip_norm(f, DEQ_F32, 2, 1, 1) / 3e38 - 1) < 1e-7);
    assert_true(fabs((double)f[0] - 1) < 1e-6);
    double over[2] = { DBL_MAX, DBL_MAX };
    assert_true(isinf(deq_clip_norm(over, DEQ_F64, 2, 1, 1)) && over[0] == DBL_MAX);
    double zero[2] = { 0, 0 };
    assert_true(deq_clip_norm(zero, DEQ_F64, 2, 1, 1) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_of_known_norm_are_measured_and_cut),
        cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(the_order_of_a_sum_does_not_depend_on_the_address),
        cmocka_unit_test(vectors_that_are_not_finite_are_left_alone),
        cmocka_unit_test(squares_that_leave_the_range_are_no_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
