/* SPDX-License-Identifier: MIT */
/* Bisection and Brent's method. */
#include "support/test.h"

#include <deq/scalar.h>
#include <math.h>
#include <string.h>

static double cosine(void *user, double z)
{
    (void)user;
    return cos(z) - z;
}

static double cubed(void *user, double z)
{
    (void)user;
    return z * z * z;
}

static double step(void *user, double z)
{
    (void)user;
    return z < 0.3 ? -1 : 1;
}

static double steep(void *user, double z)
{
    (void)user;
    return tanh(1000 * (z - 0.1)) + 1e-3;
}

static double holed(void *user, double z)
{
    (void)user;
    return fabs(z) < 0.5 ? NAN : z;
}

static const struct {
    const char *name;
    deq_scalar_fn *g;
    double low, high, root, error;
} cases[] = {
    { "x = cos x", cosine, 0, 1, 0.7390851332151607, 1e-13 },
    { "triple root", cubed, -1, 2, 0, 1e-12 },
    { "jump", step, -4, 1, 0.3, 1e-12 },
    { "steep", steep, -1, 1, 0.099998999999666667, 1e-9 },
    { "at the end", cubed, 0, 5, 0, 0 },
};

static void roots_are_found_to_the_tolerance(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int bisect = 0; bisect < 2; bisect++) {
            deq_scalar_result r;
            assert_int_equal(deq_scalar_root(&r, cases[i].g, NULL, cases[i].low, cases[i].high,
                                             1e-13, 300, bisect),
                             DEQ_OK);
            assert_int_equal(r.outcome, DEQ_CONVERGED);
            if (!(fabs(r.z - cases[i].root) <= cases[i].error))
                fail_msg("%s: %.17g", cases[i].name, r.z);
            assert_true(r.low <= r.z && r.z <= r.high);
        }
}

static void brent_needs_few_evaluations_and_bisection_as_many_as_bits(void **state)
{
    (void)state;
    deq_scalar_result r;
    assert_int_equal(deq_scalar_root(&r, cosine, NULL, 0, 1, 1e-13, 100, false), DEQ_OK);
    assert_true(r.n_eval < 12);
    assert_int_equal(deq_scalar_root(&r, cosine, NULL, 0, 1, 0x1p-20, 100, true), DEQ_OK);
    assert_in_range(r.n_eval, 21, 22);
}

static void running_out_and_nan_are_outcomes(void **state)
{
    (void)state;
    deq_scalar_result r;
    assert_int_equal(deq_scalar_root(&r, cosine, NULL, 0, 1, 0, 5, true), DEQ_OK);
    assert_int_equal(r.outcome, DEQ_MAX_ITER);
    assert_int_equal(r.n_eval, 5);
    assert_true(r.high - r.low <= 0.125);
    assert_true(r.low < 0.7390851332151607 && r.high > 0.7390851332151607);
    assert_int_equal(deq_scalar_root(&r, holed, NULL, -1, 2, 0, 50, true), DEQ_OK);
    assert_int_equal(r.outcome, DEQ_NON_FINITE);
    assert_true(isfinite(r.z));
}

static void what_is_no_bracket_is_refused(void **state)
{
    (void)state;
    deq_scalar_result r;
    assert_int_equal(deq_scalar_root(&r, cosine, NULL, 0, 0.5, 0, 50, false), DEQ_ERR_ARGUMENT);
    assert_true(isnan(r.z));
    assert_int_equal(deq_scalar_root(&r, cosine, NULL, 1, 0, 0, 50, false), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_scalar_root(&r, cosine, NULL, 0, 1, -1, 50, false), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_scalar_root(&r, cosine, NULL, 0, 1, 0, 1, false), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_scalar_root(&r, cosine, NULL, 0, INFINITY, 0, 9, false), DEQ_ERR_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roots_are_found_to_the_tolerance),
        cmocka_unit_test(brent_needs_few_evaluations_and_bisection_as_many_as_bits),
        cmocka_unit_test(running_out_and_nan_are_outcomes),
        cmocka_unit_test(what_is_no_bracket_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
