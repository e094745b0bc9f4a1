/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "base/philox.h"
#include "tensor/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define N 200000

static const deq_random_key key = { .seed = 12345, .step = 6, .stream = 7 };

static const deq_random_law laws[] = {
    { DEQ_RANDOM_UNIFORM, -2, 3 },
    { DEQ_RANDOM_NORMAL, 1, 0.5 },
    { DEQ_RANDOM_BERNOULLI, 0.3, 0 },
    { DEQ_RANDOM_RADEMACHER, 0, 0 },
};
enum { N_LAWS = sizeof laws / sizeof *laws };

static double *draw(deq_random_key k, deq_random_law law, int64_t n, int threads)
{
    double *x = malloc((size_t)n * sizeof *x);
    assert_non_null(x);
    deq_random_draw(x, DEQ_F64, n, k, law, threads);
    return x;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The statistic of Kolmogorov and Smirnov times sqrt(n): above 1.95 once in a thousand samples. */
static double kolmogorov(double *x, int n, double (*cdf)(double))
{
    double worst = 0;
    qsort(x, (size_t)n, sizeof *x, by_size);
    for (int i = 0; i < n; i++) {
        double p = cdf(x[i]);
        worst = fmax(worst, fmax(p - (double)i / n, (double)(i + 1) / n - p));
    }
    return worst * sqrt((double)n);
}

static double uniform_cdf(double x)
{
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

static double normal_cdf(double x)
{
    return 0.5 * erfc(-x / sqrt(2.0));
}

static void uniform_draws_are_uniform_and_below_one(void **state)
{
    (void)state;
    double *x = malloc(N * sizeof *x);
    assert_non_null(x);
    assert_int_equal(deq_draw_uniform(x, DEQ_F64, N, key, 0, 1), DEQ_OK);
    for (int i = 0; i < N; i++) assert_true(x[i] >= 0 && x[i] < 1);
    assert_true(kolmogorov(x, N, uniform_cdf) < 1.95);
    free(x);
}

static void normal_draws_are_normal(void **state)
{
    (void)state;
    double *x = malloc(N * sizeof *x);
    assert_non_null(x);
    assert_int_equal(deq_draw_normal(x, DEQ_F64, N, key, 0, 1), DEQ_OK);
    for (int i = 0; i < N; i++) assert_true(isfinite(x[i]));
    assert_true(kolmogorov(x, N, normal_cdf) < 1.95);
    free(x);
}

static void mean_and_deviation_are_what_was_asked_for(void **state)
{
    (void)state;
    static const double mean[] = { 0.5, 1, 0.3, 0 };
    static const double variance[] = { 25.0 / 12, 0.25, 0.21, 1 };
    for (int k = 0; k < N_LAWS; k++) {
        double *x = draw(key, laws[k], N, 1), m = 0, v = 0;
        for (int i = 0; i < N; i++) m += x[i] / N;
        for (int i = 0; i < N; i++) v += (x[i] - m) * (x[i] - m) / N;
        assert_true(fabs(m - mean[k]) < 4 * sqrt(variance[k] / N));
        assert_true(fabs(v / variance[k] - 1) < 0.02);
        free(x);
    }
}

static void neighbours_and_streams_are_uncorrelated(void **state)
{
    (void)state;
    const deq_random_law normal = { DEQ_RANDOM_NORMAL, 0, 1 };
    deq_random_key next[3] = { key, key, key };
    next[0].seed++;
    next[1].step++;
    next[2].stream++;
    double *x = draw(key, normal, N, 1);
    for (int lag = 1; lag <= 8; lag++) {
        double c = 0;
        for (int i = 0; i + lag < N; i++) c += x[i] * x[i + lag] / N;
        assert_true(fabs(c) < 4 / sqrt((double)N));
    }
    for (int k = 0; k < 3; k++) {
        double *y = draw(next[k], normal, N, 1), c = 0;
        for (int i = 0; i < N; i++) c += x[i] * y[i] / N;
        assert_true(fabs(c) < 4 / sqrt((double)N));
        free(y);
    }
    free(x);
}

static void an_element_depends_on_its_index_alone(void **state)
{
    (void)state;
    static const int64_t counts[] = { 0, 1, 2, 3, 5, 1023 };
    for (int k = 0; k < N_LAWS; k++) {
        double *all = draw(key, laws[k], N, 1);
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
            double some[1024] = { 0 };
            some[counts[i]] = 99; /* must survive */
            deq_random_draw(some, DEQ_F64, counts[i], key, laws[k], 1);
            assert_memory_equal(some, all, (size_t)counts[i] * sizeof *some);
            assert_true(some[counts[i]] == 99);
        }
        for (int threads = 2; threads <= 5; threads++) {
            double *x = draw(key, laws[k], N, threads);
            assert_memory_equal(x, all, N * sizeof *x);
            free(x);
        }
        free(all);
    }
}

static void both_precisions_see_the_same_draws(void **state)
{
    (void)state;
    enum { M = 4096 };
    double *x = malloc(M * sizeof *x);
    float *y = malloc(M * sizeof *y);
    assert_non_null(x);
    assert_non_null(y);
    assert_int_equal(deq_draw_uniform(x, DEQ_F64, M, key, 0, 1), DEQ_OK);
    assert_int_equal(deq_draw_uniform(y, DEQ_F32, M, key, 0, 1), DEQ_OK);
    for (int i = 0; i < M; i++) assert_true((double)y[i] == floor(x[i] * 0x1p24) * 0x1p-24);
    assert_int_equal(deq_draw_normal(x, DEQ_F64, M, key, 3, 2), DEQ_OK);
    assert_int_equal(deq_draw_normal(y, DEQ_F32, M, key, 3, 2), DEQ_OK);
    for (int i = 0; i < M; i++) assert_true(y[i] == (float)x[i]);
    for (int k = 2; k < N_LAWS; k++) {
        deq_random_draw(x, DEQ_F64, M, key, laws[k], 1);
        deq_random_draw(y, DEQ_F32, M, key, laws[k], 1);
        for (int i = 0; i < M; i++) assert_true((double)y[i] == x[i]);
    }
    free(x);
    free(y);
}

/* The formulas at the head of src/tensor/random.c, for one element. */
static void draws_follow_the_documented_formulas(void **state)
{
    (void)state;
    enum { I = 42, J = 43 }; /* a pair of Box and Muller, in block 10 */
    const deq_philox_stream s = deq_philox_stream_of(key.seed, key.step, key.stream);
    uint32_t h[4], l[4];
    double x[J + 1];
    deq_philox_words(h, &s, DEQ_PHILOX_HIGH, I / 4);
    deq_philox_words(l, &s, DEQ_PHILOX_LOW, I / 4);
    double u = ldexp((double)h[2], -32) + ldexp((double)(l[2] >> 11), -53);
    double w = ldexp((double)h[3], -32) + ldexp((double)(l[3] >> 11), -53);

    deq_draw_uniform(x, DEQ_F64, J + 1, key, 0, 1);
    assert_true(x[I] == u && x[J] == w);
    double r = sqrt(-2 * log(u + 0x1p-54)), pi = acos(-1.0);
    deq_draw_normal(x, DEQ_F64, J + 1, key, 0, 1);
    assert_true(fabs(x[I] - r * cos(2 * pi * w)) < 1e-14);
    assert_true(fabs(x[J] - r * sin(2 * pi * w)) < 1e-14);
    deq_random_draw(x, DEQ_F64, J + 1, key, laws[2], 1);
    assert_true(x[I] == (ldexp((double)h[2], -32) < laws[2].a));
    deq_random_draw(x, DEQ_F64, J + 1, key, laws[3], 1);
    assert_true(x[I] == (h[2] >> 31 ? 1 : -1));
}

static void probabilities_zero_and_one_are_certain(void **state)
{
    (void)state;
    for (int p = 0; p <= 1; p++) {
        double *x = draw(key, (deq_random_law){ DEQ_RANDOM_BERNOULLI, p, 0 }, N, 1);
        for (int i = 0; i < N; i++) assert_true(x[i] == p);
        free(x);
    }
}

static void bounds_and_dtypes_are_checked_before_anything_is_written(void **state)
{
    (void)state;
    double x[2] = { 5, 5 };
    assert_int_equal(deq_draw_uniform(x, DEQ_I32, 2, key, 0, 1), DEQ_ERR_DTYPE);
    assert_int_equal(deq_draw_normal(x, DEQ_BOOL, 2, key, 0, 1), DEQ_ERR_DTYPE);
    assert_int_equal(deq_draw_uniform(x, DEQ_F64, -1, key, 0, 1), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_draw_uniform(x, DEQ_F64, 2, key, 1, 0), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_draw_uniform(x, DEQ_F64, 2, key, 0, INFINITY), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_draw_normal(x, DEQ_F64, 2, key, NAN, 1), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_draw_normal(x, DEQ_F64, 2, key, 0, -1), DEQ_ERR_ARGUMENT);
    assert_true(x[0] == 5 && x[1] == 5);
    assert_int_equal(deq_draw_uniform(x, DEQ_F64, 2, key, 4, 4), DEQ_OK);
    assert_true(x[0] == 4 && x[1] == 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uniform_draws_are_uniform_and_below_one),
        cmocka_unit_test(normal_draws_are_normal),
        cmocka_unit_test(mean_and_deviation_are_what_was_asked_for),
        cmocka_unit_test(neighbours_and_streams_are_uncorrelated),
        cmocka_unit_test(an_element_depends_on_its_index_alone),
        cmocka_unit_test(both_precisions_see_the_same_draws),
        cmocka_unit_test(draws_follow_the_documented_formulas),
        cmocka_unit_test(probabilities_zero_and_one_are_certain),
        cmocka_unit_test(bounds_and_dtypes_are_checked_before_anything_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
