/* SPDX-License-Identifier: MIT */
/* Beta laws: closed forms, identities, and the moments of draws. */
#include "support/test.h"

#include <deq/vote/beta.h>
#include <math.h>
#include <string.h>

static void assert_near(double got, double wanted, double relative)
{
    if (!(fabs(got - wanted) <= relative * fabs(wanted)))
        fail_msg("got %.17g, wanted %.17g", got, wanted);
}

static void log_beta_has_closed_forms(void **state)
{
    (void)state;
    assert_near(deq_vote_log_beta(1, 1) + 1, 1, 1e-15);
    assert_near(deq_vote_log_beta(0.5, 0.5), log(3.14159265358979323846), 1e-14);
    assert_near(deq_vote_log_beta(3, 4), -log(60), 1e-14);
    assert_near(deq_vote_log_beta(1, 1e6), -log(1e6), 1e-13);
    assert_near(deq_vote_log_beta(1e-20, 1), log(1e20), 1e-14);
    assert_near(deq_vote_log_beta(1e-20, 1e5), log(1e20), 1e-14);
    for (int k = 0; k < 14; k++) { /* B(a, 1) = 1 / a; B(a, 2) = 1 / (a (a + 1)) */
        double a = 0.3 * pow(3.7, k);
        assert_near(deq_vote_log_beta(a, 2), -log(a) - log1p(a), 2e-13);
        assert_near(deq_vote_log_beta(2, a), deq_vote_log_beta(a, 2), 0);
    }
}

/* B(a + 1, b) = B(a, b) a / (a + b), across the borders between the formulas. */
static void log_beta_satisfies_its_recurrence(void **state)
{
    (void)state;
    const double values[] = { 0.01, 0.9, 4, 9.5, 9.999, 10, 11, 19, 55, 1000, 123456 };
    int count = (int)(sizeof values / sizeof *values);
    for (int i = 0; i < count; i++)
        for (int j = 0; j < count; j++) {
            double a = values[i], b = values[j];
            double step = deq_vote_log_beta(a + 1, b) - deq_vote_log_beta(a, b);
            double size = 1 + fabs(deq_vote_log_beta(a, b));
            assert_true(fabs(step - log(a / (a + b))) <= 2e-14 * size);
        }
}

static void cdf_has_closed_forms(void **state)
{
    (void)state;
    for (int k = 0; k < 27; k++) {
        double p = 0.001 + 0.037 * k;
        assert_near(deq_vote_beta_cdf(p, 1, 1), p, 1e-14);
        assert_near(deq_vote_beta_cdf(p, 5, 1), pow(p, 5), 1e-13);
        assert_near(deq_vote_beta_cdf(p, 1, 7.5), -expm1(7.5 * log1p(-p)), 1e-13);
        assert_near(deq_vote_beta_cdf(p, 0.5, 0.5), 2 / 3.14159265358979323846 * asin(sqrt(p)),
                    1e-13);
    }
    assert_true(deq_vote_beta_cdf(0, 2, 3) == 0 && deq_vote_beta_cdf(1, 2, 3) == 1);
    assert_near(deq_vote_beta_cdf(1e-10, 3, 2), 4e-30, 1e-9); /* 4 p^3 - 3 p^4 */
}

/* I_p(k, n - k + 1) = P(at least k of n), summed from the law itself. */
static void cdf_is_a_binomial_tail(void **state)
{
    (void)state;
    const int ns[] = { 5, 40, 300, 5000 };
    for (int c = 0; c < 4; c++) {
        int n = ns[c];
        for (int at = 1; at < 8; at++) {
            int k = n * at / 8 + 1;
            double p = (double)at / 8 + 0.3 / sqrt(n), sum = 0;
            for (int j = k; j <= n; j++)
                sum += exp(lgamma(n + 1) - lgamma(j + 1) - lgamma(n - j + 1) + j * log(p) +
                           (n - j) * log1p(-p));
            if (p < 1) assert_near(deq_vote_beta_cdf(p, k, n - k + 1), sum, 4e-11);
        }
    }
}

static void large_shapes_keep_their_digits(void **state)
{
    (void)state;
    /* symmetric, exactly 1/2 in the middle, and the two tails add up to 1 */
    for (int k = 0; k < 7; k++) {
        double a = 10 * pow(7, k);
        assert_near(deq_vote_beta_cdf(0.5, a, a), 0.5, 1e-12);
        double p = 0.5 - 0.5 / sqrt(a);
        double sum = deq_vote_beta_cdf(p, a, a) + deq_vote_beta_cdf(1 - p, a, a);
        assert_near(sum, 1, 1e-12);
    }
}

static void quantile_inverts_the_cdf(void **state)
{
    (void)state;
    const double shapes[][2] = { { 1, 1 },    { 0.5, 0.5 }, { 8, 4 },     { 1, 30 },     { 30, 1 },
                                 { 0.02, 3 }, { 3, 0.2 },   { 5000, 20 }, { 1e5, 1.2e5 } };
    const double levels[] = { 1e-12, 0.001, 0.025, 0.3, 0.5, 0.8, 0.975, 0.9999 };
    for (int s = 0; s < 9; s++)
        for (int l = 0; l < 8; l++) {
            double a = shapes[s][0], b = shapes[s][1];
            double x = deq_vote_beta_quantile(levels[l], a, b);
            if (!(x >= 0 && x <= 1)) fail_msg("quantile %g of (%g, %g) is %g", levels[l], a, b, x);
            if (x == 0 || x > 1 - 1e-9) continue; /* doubles are too far apart to invert */
            assert_near(deq_vote_beta_cdf(x, a, b), levels[l], 1e-9);
        }
    assert_near(deq_vote_beta_quantile(0.3, 1, 1), 0.3, 1e-15);
    assert_near(deq_vote_beta_quantile(0.5, 2, 1), sqrt(0.5), 1e-14);
    assert_true(deq_vote_beta_quantile(0, 2, 1) == 0 && deq_vote_beta_quantile(1, 2, 1) == 1);
}

static void beta_binomial_is_uniform_under_the_uniform_prior(void **state)
{
    (void)state;
    for (int s = 0; s <= 12; s++)
        assert_near(deq_vote_beta_binomial_log(s, 12, 1, 1), -log(13), 1e-13);
    double sum = 0;
    for (int s = 0; s <= 50; s++) sum += exp(deq_vote_beta_binomial_log(s, 50, 8, 0.7));
    assert_near(sum, 1, 1e-12);
}

static void wilson_agrees_with_its_equation(void **state)
{
    (void)state;
    double low, high, z = 1.959963984540054;
    assert_int_equal(deq_vote_wilson(&low, &high, 7, 10, 0.95), DEQ_OK);
    /* both ends solve (share - p)^2 = z^2 p (1 - p) / n */
    assert_near((0.7 - low) * (0.7 - low), z * z * low * (1 - low) / 10, 1e-12);
    assert_near((high - 0.7) * (high - 0.7), z * z * high * (1 - high) / 10, 1e-12);
    assert_int_equal(deq_vote_wilson(&low, &high, 0, 10, 0.95), DEQ_OK);
    assert_true(low == 0 && high > 0.2 && high < 0.4);
    assert_int_equal(deq_vote_wilson(&low, &high, 0, 0, 0.95), DEQ_OK);
    assert_true(low == 0 && high == 1);
    assert_int_equal(deq_vote_wilson(&low, &high, 11, 10, 0.95), DEQ_ERR_ARGUMENT);
    assert_true(isnan(low) && isnan(high));
}

/* Mean and variance within five standard errors (chance 6e-7 each), seeds fixed. */
static void beta_draws_have_the_right_moments(void **state)
{
    (void)state;
    enum { N = 20000 };
    static double x[N];
    const double shapes[][2] = { { 1, 1 }, { 0.3, 0.5 }, { 8, 4 }, { 200, 3 } };
    for (int s = 0; s < 4; s++) {
        double a = shapes[s][0], b = shapes[s][1], all = a + b;
        deq_random_key key = { 11, 0, (uint64_t)s };
        assert_int_equal(deq_vote_draw_beta(x, N, key, a, b), DEQ_OK);
        double mean = 0, below = 0, median = deq_vote_beta_quantile(0.5, a, b);
        for (int i = 0; i < N; i++) mean += x[i] / N, below += x[i] < median ? 1.0 / N : 0;
        double variance = a * b / (all * all * (all + 1));
        assert_true(fabs(mean - a / all) <= 5 * sqrt(variance / N));
        assert_true(fabs(below - 0.5) <= 5 * 0.5 / sqrt(N));
    }
}

static void counts_follow_the_beta_binomial_law(void **state)
{
    (void)state;
    enum { N = 20000 };
    static int64_t right[N];
    const int64_t totals[] = { 3, 31, 33, 1000 }; /* counted, and by order statistics */
    for (int c = 0; c < 4; c++) {
        int64_t m = totals[c];
        assert_int_equal(
            deq_vote_draw_beta_binomial(right, N, (deq_random_key){ 5, 0, 9 }, m, 8, 4), DEQ_OK);
        double mean = 0, square = 0;
        for (int i = 0; i < N; i++) {
            assert_true(right[i] >= 0 && right[i] <= m);
            mean += (double)right[i] / N;
            square += (double)right[i] * (double)right[i] / N;
        }
        double wanted = (double)m * 8 / 12, d = (double)m;
        double variance = d * (8.0 / 12) * (4.0 / 12) * (12 + d) / 13;
        assert_true(fabs(mean - wanted) <= 5 * sqrt(variance / N));
        assert_near(square - mean * mean, variance,
                    0.06); /* five errors of a variance: 5 sqrt(2/N) */
    }
}

static void a_draw_depends_on_its_place_alone(void **state)
{
    (void)state;
    double many[100], few[10];
    deq_random_key key = { 3, 1, 2 };
    assert_int_equal(deq_vote_draw_beta(many, 100, key, 0.5, 2), DEQ_OK);
    assert_int_equal(deq_vote_draw_beta(few, 10, key, 0.5, 2), DEQ_OK);
    assert_memory_equal(many, few, sizeof few);
}

static void bad_arguments_are_refused(void **state)
{
    (void)state;
    double x;
    int64_t k;
    deq_random_key key = { 1, 0, 0 };
    assert_true(isnan(deq_vote_log_beta(0, 1)) && isnan(deq_vote_log_beta(1, INFINITY)));
    assert_true(isnan(deq_vote_beta_cdf(-0.1, 1, 1)) && isnan(deq_vote_beta_cdf(NAN, 1, 1)));
    assert_true(isnan(deq_vote_beta_quantile(1.1, 1, 1)) &&
                isnan(deq_vote_beta_quantile(0.5, -1, 1)));
    assert_true(isnan(deq_vote_beta_binomial_log(3, 2, 1, 1)));
    assert_int_equal(deq_vote_draw_beta(&x, -1, key, 1, 1), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_vote_draw_beta(&x, 1, key, 0, 1), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_vote_draw_beta_binomial(&k, 1, key, -1, 1, 1), DEQ_ERR_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_beta_has_closed_forms),
        cmocka_unit_test(log_beta_satisfies_its_recurrence),
        cmocka_unit_test(cdf_has_closed_forms),
        cmocka_unit_test(cdf_is_a_binomial_tail),
        cmocka_unit_test(large_shapes_keep_their_digits),
        cmocka_unit_test(quantile_inverts_the_cdf),
        cmocka_unit_test(beta_binomial_is_uniform_under_the_uniform_prior),
        cmocka_unit_test(wilson_agrees_with_its_equation),
        cmocka_unit_test(beta_draws_have_the_right_moments),
        cmocka_unit_test(counts_follow_the_beta_binomial_law),
        cmocka_unit_test(a_draw_depends_on_its_place_alone),
        cmocka_unit_test(bad_arguments_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
