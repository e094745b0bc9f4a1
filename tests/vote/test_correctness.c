/* SPDX-License-Identifier: MIT */
/*
 * Correctness against worked examples, against each other's methods, and against its definition.
 */
#include "support/memory.h"
#include "support/test.h"

#include <deq/random.h>
#include <deq/vote/correctness.h>
#include <math.h>
#include <string.h>

enum { MAX = 64 };

static deq_context *ctx;

static int make_context(void **state)
{
    (void)state;
    return deq_context_new(&ctx, NULL) == DEQ_OK ? 0 : -1;
}

static int free_context(void **state)
{
    (void)state;
    deq_context_free(ctx);
    return 0;
}

static void assert_close(double got, double wanted, double tol)
{
    if (!(fabs(got - wanted) <= tol)) fail_msg("got %.17g, wanted %.17g +- %g", got, wanted, tol);
}

static deq_vote_correctness_options of(deq_vote_correctness_method method)
{
    deq_vote_correctness_options o = deq_vote_correctness_defaults();
    o.method = method;
    return o;
}

static deq_vote_correctness_result correctness(int n, const double *t, const double *p,
                                               const deq_vote_correctness_options *o)
{
    deq_vote_correctness_result r;
    deq_status status = deq_vote_correctness(&r, ctx, n, t, p, o);
    if (status != DEQ_OK) fail_msg("%s", deq_last_error(ctx));
    return r;
}

/* The definition, spelt out: both truths, every vote pattern, infinite weights counted. */
static double by_definition(int n, const double *t, const double *p, double prior)
{
    double w_0 = log(prior / (1 - prior)), total = fabs(w_0), sum = 0;
    for (int i = 0; i < n; i++)
        if (t[i] > 0 && t[i] < 1) total += fabs(log(t[i] / (1 - t[i])));
    for (int y = -1; y <= 1; y += 2)
        for (int v = 0; v < 1 << n; v++) {
            double score = w_0, probability = y > 0 ? prior : 1 - prior;
            int infinite = 0;
            for (int i = 0; i < n; i++) {
                int x = v >> i & 1 ? 1 : -1;
                probability *= x == y ? p[i] : 1 - p[i];
                if (t[i] == 0 || t[i] == 1)
                    infinite += t[i] == 1 ? x : -x;
                else
                    score += x * log(t[i] / (1 - t[i]));
            }
            if (infinite != 0) score = infinite;
            double g = fabs(score) <= 1e-12 * total ? 0.5 : (score > 0) == (y > 0);
            sum += probability * g;
        }
    return sum;
}

/* Worked examples ------------------------------------------------------------------------------ */

static const double five[] = { 0.9, 0.8, 0.7, 0.6, 0.55 };
static const double nine[] = { 0.95, 0.90, 0.85, 0.80, 0.75, 0.70, 0.65, 0.60, 0.55 };
static const double ones[9] = { 1, 1, 1, 1, 1, 1, 1, 1, 1 };
static const double three_quarters[9] = { 0.75, 0.75, 0.75, 0.75, 0.75, 0.75, 0.75, 0.75, 0.75 };

static void a_strong_source_dictates(void **state)
{
    (void)state;
    const double p[] = { 0.9, 0.6, 0.6 };
    assert_close(correctness(3, p, p, NULL).correctness, 0.9, 1e-15);
    deq_vote_correctness_result r;
    assert_int_equal(deq_vote_correctness_weighted(&r, ctx, 3, ones, p, NULL), DEQ_OK);
    assert_close(r.correctness, 0.792, 1e-15);
}

static void a_reversed_vote_counts(void **state)
{
    (void)state;
    const double p[] = { 0.2, 0.6, 0.7 };
    assert_close(correctness(3, p, p, NULL).correctness, 0.8, 1e-15);
}

static void five_sources_are_right_in_912_of_1000(void **state)
{
    (void)state;
    deq_vote_correctness_result r = correctness(5, five, five, NULL);
    assert_close(r.correctness, 0.912, 1e-15);
    assert_close(r.error, 0.088, 1e-16);
    assert_int_equal(r.bound, DEQ_VOTE_BOUND_EXACT);
    assert_int_equal(deq_vote_correctness_weighted(&r, ctx, 5, ones, five, NULL), DEQ_OK);
    assert_close(r.correctness, 0.86072, 1e-15);
}

/* The figures have ten decimals. */
static void approximations_and_bounds_of_the_five_are_reproduced(void **state)
{
    (void)state;
    deq_vote_correctness_options o = of(DEQ_VOTE_CORRECTNESS_SADDLEPOINT);
    assert_close(correctness(5, five, five, &o).error, 0.0929178946, 6e-11);
    o = of(DEQ_VOTE_CORRECTNESS_NORMAL);
    assert_close(correctness(5, five, five, &o).error, 0.0593079455, 6e-11);
    deq_vote_bounds_result b;
    assert_int_equal(deq_vote_bounds(&b, ctx, 5, five), DEQ_OK);
    assert_close(exp(b.log_bhattacharyya), 0.4288783212, 6e-11);
    assert_close(b.bhattacharyya_low, 0.0483188665, 6e-11);
    assert_close(b.bhattacharyya_high, 0.2144391606, 6e-11);
    assert_close(b.potential, 1.5148177569, 6e-11);
    assert_close(b.potential_high, 0.4688797789, 6e-11);
    assert_close(b.best_source, 0.1, 1e-16);
}

static void believed_actual_and_optimal_of_the_nine_differ(void **state)
{
    (void)state;
    assert_close(correctness(9, nine, nine, NULL).correctness, 0.984073906250, 1e-15);
    assert_close(correctness(9, three_quarters, nine, NULL).correctness, 0.959984768750, 1e-15);
    assert_close(correctness(9, three_quarters, three_quarters, NULL).correctness, 0.951072692871,
                 5e-13);
}

static void equal_sources_are_a_binomial_tail(void **state)
{
    (void)state;
    const double p[] = { 2.0 / 3, 2.0 / 3, 2.0 / 3, 2.0 / 3, 2.0 / 3 };
    assert_close(correctness(3, p, p, NULL).correctness, 20.0 / 27, 1e-15);
    assert_close(correctness(5, p, p, NULL).correctness, 64.0 / 81, 1e-15);
    deq_vote_correctness_result r = correctness(4, p, p, NULL); /* ties count a half */
    assert_close(r.correctness, 20.0 / 27, 1e-15);
    assert_close(r.tie, 6 * 4.0 / 81, 1e-15);
}

/* Edge cases ----------------------------------------------------------------------------------- */

static const struct edge {
    const char *name;
    int n;
    double t[4], p[4], prior;
} edges[] = {
    { "no source", 0, { 0 }, { 0 }, 0.5 },
    { "no source, a prior", 0, { 0 }, { 0 }, 0.8 },
    { "nothing is trusted", 2, { 0.5, 0.5 }, { 0.9, 0.9 }, 0.5 },
    { "a certain source", 3, { 1, 0.6, 0.6 }, { 0.9, 0.6, 0.6 }, 0.5 },
    { "a certain liar", 3, { 0, 0.6, 0.6 }, { 0.2, 0.6, 0.6 }, 0.5 },
    { "two certain sources that may contradict", 3, { 1, 1, 0.7 }, { 0.9, 0.8, 0.6 }, 0.5 },
    { "contradiction and nothing else", 2, { 1, 1 }, { 0.9, 0.6 }, 0.5 },
    { "contradiction, then the prior", 2, { 1, 1 }, { 0.9, 0.6 }, 0.7 },
    { "a source of known vote", 3, { 0.8, 0.7, 0.6 }, { 1, 0.7, 0 }, 0.5 },
    { "a prior that outweighs all", 2, { 0.6, 0.6 }, { 0.6, 0.6 }, 0.95 },
    { "a prior and ties", 2, { 0.75, 0.75 }, { 0.6, 0.8 }, 0.75 },
    { "reversed votes and a prior", 4, { 0.2, 0.6, 0.4, 0.9 }, { 0.3, 0.5, 0.45, 0.8 }, 0.4 },
};

static void edge_cases_follow_the_definition(void **state)
{
    (void)state;
    const deq_vote_correctness_method methods[] = { DEQ_VOTE_CORRECTNESS_AUTO,
                                                    DEQ_VOTE_CORRECTNESS_ENUMERATION,
                                                    DEQ_VOTE_CORRECTNESS_MEET,
                                                    DEQ_VOTE_CORRECTNESS_GROUPING };
    for (size_t c = 0; c < sizeof edges / sizeof *edges; c++)
        for (int m = 0; m < 4; m++) {
            const struct edge *e = &edges[c];
            deq_vote_correctness_options o = of(methods[m]);
            o.prior = e->prior;
            double wanted = by_definition(e->n, e->t, e->p, e->prior);
            deq_vote_correctness_result r = correctness(e->n, e->t, e->p, &o);
            if (!(fabs(r.correctness - wanted) <= 1e-15) || !(fabs(r.error + wanted - 1) <= 1e-15))
                fail_msg("%s, %s: %.17g, wanted %.17g", e->name,
                         deq_vote_correctness_method_name(methods[m]), r.correctness, wanted);
        }
}

static void contradiction_is_reported(void **state)
{
    (void)state;
    const double t[] = { 1, 1, 0.7 }, p[] = { 0.9, 0.8, 0.6 };
    deq_vote_correctness_result r = correctness(3, t, p, NULL);
    assert_close(r.contradiction, 0.9 * 0.2 + 0.1 * 0.8, 1e-15);
}

static void a_certain_prior_decides(void **state)
{
    (void)state;
    deq_vote_correctness_options o = deq_vote_correctness_defaults();
    o.prior = 1;
    assert_close(correctness(5, five, five, &o).correctness, 1, 0);
}

/* Methods against each other ------------------------------------------------------------------- */

static void draw(double *x, int n, uint64_t step, uint64_t stream, double low, double high)
{
    const char *seed = getenv("DEQ_TEST_SEED");
    deq_random_key key = { seed ? strtoull(seed, NULL, 10) : 20, step, stream };
    assert_int_equal(deq_draw_uniform(x, DEQ_F64, n, key, low, high), DEQ_OK);
}

static void exact_methods_agree_with_the_definition(void **state)
{
    (void)state;
    for (int n = 1; n <= 13; n++) {
        double p[MAX], t[MAX], prior;
        draw(p, n, (uint64_t)n, 0, 0.1, 0.95);
        draw(t, n, (uint64_t)n, 1, 0.1, 0.95);
        draw(&prior, 1, (uint64_t)n, 2, 0.2, 0.8);
        if (n % 3 == 0) /* repeated weights, and ties */
            for (int i = 0; i < n; i++) t[i] = i % 2 ? 0.7 : 0.3;
        if (n % 2) prior = 0.5;
        double wanted = by_definition(n, t, p, prior);
        for (int m = DEQ_VOTE_CORRECTNESS_AUTO; m <= DEQ_VOTE_CORRECTNESS_GROUPING; m++) {
            deq_vote_correctness_options o = of((deq_vote_correctness_method)m);
            o.prior = prior;
            /* 2^13 terms are added plainly by the definition */
            assert_close(correctness(n, t, p, &o).correctness, wanted, 1e-14);
        }
    }
}

/* Whatever the effort: the exact value lies inside, and the interval shrinks. */
static void certified_intervals_hold_the_exact_value(void **state)
{
    (void)state;
    const deq_vote_correctness_method methods[] = { DEQ_VOTE_CORRECTNESS_LATTICE,
                                                    DEQ_VOTE_CORRECTNESS_FFT,
                                                    DEQ_VOTE_CORRECTNESS_FOURIER };
    const double efforts[] = { 1e4, 1e6, 3e7 };
    for (int n = 2; n <= 26; n += 3)
        for (int m = 0; m < 3; m++) {
            double p[MAX], t[MAX], width = 2;
            draw(p, n, (uint64_t)n, 3, 0.35, 0.9);
            draw(t, n, (uint64_t)n, 4, 0.35, 0.9);
            deq_vote_correctness_options exact = of(DEQ_VOTE_CORRECTNESS_MEET), o = of(methods[m]);
            exact.prior = o.prior = n % 2 ? 0.5 : 0.7;
            o.tol = 1e-9;
            double wanted = correctness(n, t, p, &exact).error;
            for (int e = 0; e < 3; e++) {
                o.effort = efforts[e];
                deq_vote_correctness_result r = correctness(n, t, p, &o);
                const char *name = deq_vote_correctness_method_name(methods[m]);
                if (n > 2) assert_int_equal(r.bound, DEQ_VOTE_BOUND_CERTIFIED);
                if (!(r.error_low <= wanted && wanted <= r.error_high))
                    fail_msg("%s, n = %d: %.15g is not in [%.15g, %.15g]", name, n, wanted,
                             r.error_low, r.error_high);
                assert_true(r.correctness_low <= 1 - wanted && 1 - wanted <= r.correctness_high);
                double now = r.error_high - r.error_low;
                if (!(now <= width)) fail_msg("%s, n = %d: wider with effort", name, n);
                width = now;
            }
            if (!(width < 0.02)) fail_msg("method %d, n = %d: width %g", m, n, width);
        }
}

/* Integer weights: one lattice holds them, and only rounding is left. */
static void integer_weights_are_exact_on_their_lattice(void **state)
{
    (void)state;
    double w[30], p[30];
    draw(p, 30, 0, 5, 0.3, 0.9);
    for (int i = 0; i < 30; i++) w[i] = 1 + i * i % 11;
    deq_vote_correctness_result exact, r;
    deq_vote_correctness_options o = of(DEQ_VOTE_CORRECTNESS_GROUPING);
    assert_int_equal(deq_vote_correctness_weighted(&exact, ctx, 30, w, p, &o), DEQ_OK);
    for (int m = DEQ_VOTE_CORRECTNESS_LATTICE; m <= DEQ_VOTE_CORRECTNESS_FFT; m++) {
        o.method = (deq_vote_correctness_method)m;
        assert_int_equal(deq_vote_correctness_weighted(&r, ctx, 30, w, p, &o), DEQ_OK);
        assert_close(r.error, exact.error, 1e-12 * exact.error);
        assert_true(r.error_high - r.error_low < 1e-9 * r.error);
        assert_true(r.error_low <= exact.error && exact.error <= r.error_high);
    }
}

static void tiny_errors_keep_their_digits(void **state)
{
    (void)state;
    double p[24];
    for (int i = 0; i < 24; i++) p[i] = 0.98 + 0.0005 * i;
    deq_vote_correctness_options o = of(DEQ_VOTE_CORRECTNESS_MEET);
    double exact = correctness(24, p, p, &o).error;
    assert_true(exact < 1e-15 && exact > 0);
    o = of(DEQ_VOTE_CORRECTNESS_ENUMERATION);
    assert_close(correctness(24, p, p, &o).error, exact, 1e-12 * exact);
    o = of(DEQ_VOTE_CORRECTNESS_FOURIER);
    o.effort = 1e8;
    assert_close(correctness(24, p, p, &o).error, exact, 1e-4 * exact);
    o = of(DEQ_VOTE_CORRECTNESS_IMPORTANCE);
    deq_vote_correctness_result r = correctness(24, p, p, &o);
    assert_close(r.error, exact, 5 * r.standard_error);
    assert_true(r.standard_error < 0.02 * exact);
}

/* With n equal sources P(wrong) = P(Binomial(n, p) < n / 2), summed in logarithms. */
static void a_hundred_thousand_equal_sources_have_a_logarithm(void **state)
{
    (void)state;
    enum { N = 100001 };
    double *p = malloc(N * sizeof *p);
    assert_non_null(p);
    for (int i = 0; i < N; i++) p[i] = 0.6;
    double wanted = -INFINITY;
    for (int k = N / 2; k > N / 2 - 2000; k--) {
        double term = lgamma(N + 1.0) - lgamma(k + 1.0) - lgamma(N - k + 1.0) + k * log(0.6) +
                      (N - k) * log(0.4);
        wanted = wanted == -INFINITY ? term : wanted + log1p(exp(term - wanted));
    }
    deq_vote_correctness_result r = correctness(N, p, p, NULL);
    assert_true(r.error == 0); /* e^-2046 */
    assert_close(r.log_error, wanted, 1e-6);
    free(p);
}

/* Monte Carlo --------------------------------------------------------------------------------- */

static void draws_hold_the_truth_inside_their_interval(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++)
        for (int prior = 0; prior < 2; prior++) {
            deq_vote_correctness_options o = of(DEQ_VOTE_CORRECTNESS_MONTE_CARLO);
            o.prior = prior ? 0.8 : 0.5;
            o.confidence = 1 - 1e-6;
            o.interval = kind ? DEQ_VOTE_INTERVAL_RIGOROUS : DEQ_VOTE_INTERVAL_NORMAL;
            double wanted = by_definition(9, three_quarters, nine, o.prior);
            deq_vote_correctness_result r = correctness(9, three_quarters, nine, &o);
            assert_true(r.correctness_low <= wanted && wanted <= r.correctness_high);
            assert_true(r.correctness_high - r.correctness_low < 0.02);
            o.method = DEQ_VOTE_CORRECTNESS_IMPORTANCE;
            r = correctness(9, three_quarters, nine, &o);
            assert_true(r.correctness_low <= wanted && wanted <= r.correctness_high);
            wanted = by_definition(9, nine, nine, o.prior);
            r = correctness(9, nine, nine, &o);
            assert_true(r.correctness_low <= wanted && wanted <= r.correctness_high);
        }
}

static void the_importance_identity_is_exact_on_average(void **state)
{
    (void)state;
    double b = 1, sum = 0; /* (B / 2) E exp(-|S| / 2) over all 32 coins is 0.088 */
    for (int i = 0; i < 5; i++) b *= 2 * sqrt(five[i] * (1 - five[i]));
    for (int v = 0; v < 32; v++) {
        double s = 0;
        for (int i = 0; i < 5; i++) s += (v >> i & 1 ? 1 : -1) * deq_vote_log_odds(five[i]);
        sum += exp(-0.5 * fabs(s)) / 32;
    }
    assert_close(0.5 * b * sum, 0.088, 1e-15);
    deq_vote_correctness_options o = of(DEQ_VOTE_CORRECTNESS_IMPORTANCE);
    deq_vote_correctness_result r = correctness(5, five, five, &o);
    assert_close(r.error, 0.088, 5 * r.standard_error);
    assert_true(r.standard_error < 5e-4);
}

static void threads_do_not_change_a_bit(void **state)
{
    (void)state;
    double p[50];
    draw(p, 50, 1, 6, 0.4, 0.7);
    for (int m = DEQ_VOTE_CORRECTNESS_LATTICE; m < DEQ_VOTE_CORRECTNESS_COUNT; m++) {
        deq_vote_correctness_result r[2];
        for (int threads = 1; threads <= 3; threads += 2) {
            deq_context_options c = deq_context_defaults();
            c.threads = threads;
            deq_context *own;
            assert_int_equal(deq_context_new(&own, &c), DEQ_OK);
            deq_vote_correctness_options o = of((deq_vote_correctness_method)m);
            o.effort = 1e7;
            o.draws = 5000;
            memset(&r[threads / 2], 0, sizeof *r);
            assert_int_equal(deq_vote_correctness(&r[threads / 2], own, 50, p, p, &o), DEQ_OK);
            deq_context_free(own);
        }
        assert_memory_equal(&r[0].correctness, &r[1].correctness, sizeof(double));
        assert_memory_equal(&r[0].error_low, &r[1].error_low, sizeof(double));
    }
}

/* Facts ---------------------------------------------------------------------------------------- */

static void bounds_hold_for_random_sources(void **state)
{
    (void)state;
    for (int k = 0; k < 500; k++) {
        double p[9];
        int n = 1 + k % 9;
        draw(p, n, (uint64_t)k, 7, 0.02, 0.98);
        deq_vote_bounds_result b;
        assert_int_equal(deq_vote_bounds(&b, ctx, n, p), DEQ_OK);
        double error = correctness(n, p, p, NULL).error, slack = 1e-14;
        assert_true(b.bhattacharyya_low <= error + slack && error <= b.bhattacharyya_high + slack);
        assert_true(b.potential_low <= error + slack && error <= b.potential_high + slack);
        assert_true(error <= b.best_source + slack);
    }
}

static void no_trust_beats_the_truth(void **state)
{
    (void)state;
    for (int k = 0; k < 500; k++) {
        double p[8], t[8], distance = 0;
        int n = 1 + k % 8;
        draw(p, n, (uint64_t)k, 8, 0, 1);
        draw(t, n, (uint64_t)k, 9, 0, 1);
        for (int i = 0; i < n; i++) distance += fabs(p[i] - t[i]);
        double regret = correctness(n, p, p, NULL).correctness -
                        correctness(n, t, p, NULL).correctness;
        assert_true(regret >= -1e-14 && regret <= 2 * distance + 1e-14);
    }
}

static void log_odds_are_precise_at_both_ends(void **state)
{
    (void)state;
    assert_close(deq_vote_log_odds(0.5), 0, 0);
    assert_close(deq_vote_log_odds(0.5 + 0x1p-50) * 0x1p48, 1, 1e-15);
    assert_close(deq_vote_log_odds(1e-30), log(1e-30), 1e-13);
    assert_close(deq_vote_log_odds(0.9), log(9), 1e-15);
    assert_true(deq_vote_log_odds(0) == -INFINITY && deq_vote_log_odds(1) == INFINITY);
    assert_true(isnan(deq_vote_log_odds(1.0000001)));
    double w[2];
    const double t[] = { 0.25, 0.7 };
    assert_int_equal(deq_vote_weights(w, ctx, 2, t, 4), DEQ_OK);
    assert_close(w[0], 0, 1e-15); /* 1 / K is neutral */
    assert_close(w[1], log(7), 1e-15);
}

/* Refusals ------------------------------------------------------------------------------------- */

static void bad_arguments_are_named(void **state)
{
    (void)state;
    deq_vote_correctness_result r;
    const double bad[] = { 0.5, 1.5 }, good[] = { 0.5, 0.6 };
    assert_int_equal(deq_vote_correctness(&r, ctx, 2, bad, good, NULL), DEQ_ERR_ARGUMENT);
    assert_string_equal(deq_last_error(ctx),
                        "deq_vote_correctness: trust[1] is 1.5, not in [0, 1]");
    assert_int_equal(deq_vote_correctness(&r, ctx, 2, good, bad, NULL), DEQ_ERR_ARGUMENT);
    assert_string_equal(deq_last_error(ctx), "deq_vote_correctness: p[1] is 1.5, not in [0, 1]");
    assert_int_equal(deq_vote_correctness(&r, ctx, -1, good, good, NULL), DEQ_ERR_ARGUMENT);
    deq_vote_correctness_options o = deq_vote_correctness_defaults();
    o.prior = NAN;
    assert_int_equal(deq_vote_correctness(&r, ctx, 2, good, good, &o), DEQ_ERR_ARGUMENT);
    assert_non_null(strstr(deq_last_error(ctx), "options.prior is nan"));
    o = of(DEQ_VOTE_CORRECTNESS_ENUMERATION);
    double many[60];
    draw(many, 60, 0, 10, 0.2, 0.8);
    assert_int_equal(deq_vote_correctness(&r, ctx, 60, many, many, &o), DEQ_ERR_UNSUPPORTED);
    o.method = DEQ_VOTE_CORRECTNESS_MEET;
    assert_int_equal(deq_vote_correctness(&r, ctx, 60, many, many, &o), DEQ_ERR_UNSUPPORTED);
    o.method = DEQ_VOTE_CORRECTNESS_GROUPING;
    assert_int_equal(deq_vote_correctness(&r, ctx, 60, many, many, &o), DEQ_ERR_UNSUPPORTED);
    assert_true(r.correctness == 0);
}

static void methods_have_names(void **state)
{
    (void)state;
    for (int m = 0; m < DEQ_VOTE_CORRECTNESS_COUNT; m++) {
        deq_vote_correctness_method found;
        const char *name = deq_vote_correctness_method_name((deq_vote_correctness_method)m);
        assert_int_equal(deq_vote_correctness_method_find(&found, name), DEQ_OK);
        assert_int_equal(found, m);
    }
    deq_vote_correctness_method untouched = DEQ_VOTE_CORRECTNESS_FFT;
    assert_int_equal(deq_vote_correctness_method_find(&untouched, "fourrier"), DEQ_ERR_NAME);
    assert_int_equal(untouched, DEQ_VOTE_CORRECTNESS_FFT);
}

/* Each allocation fails in turn; nothing leaks. */
static void every_allocation_may_fail(void **state)
{
    (void)state;
    double p[20];
    draw(p, 20, 2, 11, 0.4, 0.8);
    for (int m = 0; m < DEQ_VOTE_CORRECTNESS_COUNT; m++)
        for (size_t fail_at = 2;; fail_at++) {
            test_memory memory = { .calls = 0 };
            deq_allocator a = { memory_alloc, memory_free, &memory };
            deq_context_options c = deq_context_defaults();
            c.allocator = &a;
            c.threads = 1;
            deq_context *own;
            assert_int_equal(deq_context_new(&own, &c), DEQ_OK);
            memory.fail_at = fail_at;
            deq_vote_correctness_options o = of((deq_vote_correctness_method)m);
            o.prior = 0.6;
            o.effort = 1e4;
            o.draws = 100;
            deq_vote_correctness_result r;
            deq_status status = deq_vote_correctness(&r, own, 20, p, p, &o);
            size_t calls = memory.calls;
            deq_context_free(own);
            assert_int_equal(memory.live_blocks, 0);
            assert_int_equal(memory.wrong_frees, 0);
            if (calls < fail_at) {
                assert_int_equal(status, DEQ_OK);
                break;
            }
            assert_int_equal(status, DEQ_ERR_NOMEM);
        }
}

/* Intervals certify the same number whatever the instructions. */
static void instruction_sets_agree_within_their_bounds(void **state)
{
    (void)state;
    static const deq_vote_correctness_method methods[] = { DEQ_VOTE_CORRECTNESS_LATTICE,
                                                           DEQ_VOTE_CORRECTNESS_FFT,
                                                           DEQ_VOTE_CORRECTNESS_FOURIER };
    double p[61];

    for (int i = 0; i < 61; i++) p[i] = 0.52 + 0.23 * fmod(0.6180339887498949 * i, 1);
    for (int m = 0; m < 3; m++) {
        double low = 0, high = 1;
        for (deq_isa isa = DEQ_ISA_BASELINE; isa <= deq_context_isa(ctx); isa++) {
            deq_context_options o = deq_context_defaults();
            deq_context *limited;
            deq_vote_correctness_result r;
            deq_vote_correctness_options options = deq_vote_correctness_defaults();
            o.isa = isa;
            options.method = methods[m];
            options.effort = 1e8;
            assert_int_equal(deq_context_new(&limited, &o), DEQ_OK);
            assert_int_equal(deq_vote_correctness(&r, limited, 61, p, p, &options), DEQ_OK);
            assert_true(r.error_high - r.error_low < 0.05 * r.error);
            low = fmax(low, r.error_low);
            high = fmin(high, r.error_high);
            deq_context_free(limited);
        }
        assert_true(low <= high);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(instruction_sets_agree_within_their_bounds),
        cmocka_unit_test(a_strong_source_dictates),
        cmocka_unit_test(a_reversed_vote_counts),
        cmocka_unit_test(five_sources_are_right_in_912_of_1000),
        cmocka_unit_test(approximations_and_bounds_of_the_five_are_reproduced),
        cmocka_unit_test(believed_actual_and_optimal_of_the_nine_differ),
        cmocka_unit_test(equal_sources_are_a_binomial_tail),
        cmocka_unit_test(edge_cases_follow_the_definition),
        cmocka_unit_test(contradiction_is_reported),
        cmocka_unit_test(a_certain_prior_decides),
        cmocka_unit_test(exact_methods_agree_with_the_definition),
        cmocka_unit_test(certified_intervals_hold_the_exact_value),
        cmocka_unit_test(integer_weights_are_exact_on_their_lattice),
        cmocka_unit_test(tiny_errors_keep_their_digits),
        cmocka_unit_test(a_hundred_thousand_equal_sources_have_a_logarithm),
        cmocka_unit_test(draws_hold_the_truth_inside_their_interval),
        cmocka_unit_test(the_importance_identity_is_exact_on_average),
        cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(bounds_hold_for_random_sources),
        cmocka_unit_test(no_trust_beats_the_truth),
        cmocka_unit_test(log_odds_are_precise_at_both_ends),
        cmocka_unit_test(bad_arguments_are_named),
        cmocka_unit_test(methods_have_names),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, make_context, free_context);
}
