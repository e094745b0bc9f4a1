/* SPDX-License-Identifier: MIT */
/* Moving averages. */
#include "support/test.h"

#include <deq/optim.h>

#include <math.h>

enum { MANY = 70001 };

/* Of a constant x, from 0: (1 - decay^n) x. */
static void averages_approach_a_constant_geometrically(void **state)
{
    float f = 0, fx = 3;
    double d = 0, dx = -2;

    (void)state;
    for (int n = 1; n <= 60; n++) {
        deq_average_update(&f, &fx, DEQ_F32, 1, 0.9, 1);
        deq_average_update(&d, &dx, DEQ_F64, 1, 0.75, 1);
        assert_true(fabs((double)f - 3 * (1 - pow(0.9, n))) < 3e-6);
        assert_true(fabs(d + 2 * (1 - pow(0.75, n))) < 1e-14);
    }
}

static void decays_of_zero_and_one_copy_and_keep_whatever_the_other_is(void **state)
{
    double average[2] = { NAN, INFINITY }, values[2] = { 1, 2 }, bad[2] = { NAN, INFINITY };

    (void)state;
    deq_average_update(average, values, DEQ_F64, 2, 0, 1);
    assert_true(average[0] == 1 && average[1] == 2);
    deq_average_update(average, bad, DEQ_F64, 2, 1, 1);
    assert_true(average[0] == 1 && average[1] == 2);
}

static void threads_do_not_change_a_bit(void **state)
{
    double *one = malloc(MANY * sizeof *one), *more = malloc(MANY * sizeof *one);
    double *x = malloc(MANY * sizeof *x);

    (void)state;
    for (int threads = 1; threads <= 3; threads++) {
        double *average = threads == 1 ? one : more;
        for (int i = 0; i < MANY; i++) {
            average[i] = sin(i);
            x[i] = cos(i);
        }
        deq_average_update(average, x, DEQ_F64, MANY, 0.9, threads);
        assert_true(fabs(average[MANY - 1] - (0.9 * sin(MANY - 1) + 0.1 * cos(MANY - 1))) < 1e-15);
        if (threads > 1) assert_memory_equal(one, more, MANY * sizeof *one);
    }
    free(one);
    free(more);
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(averages_approach_a_constant_geometrically),
        cmocka_unit_test(decays_of_zero_and_one_copy_and_keep_whatever_the_other_is),
        cmocka_unit_test(threads_do_not_change_a_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
