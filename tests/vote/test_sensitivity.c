/* SPDX-License-Identifier: MIT */
/* Sensitivity: worked examples, finite differences, and intervals tried out at their ends. */
#include "support/test.h"

#include <deq/random.h>
#include <deq/vote/sensitivity.h>
#include <math.h>
#include <string.h>

enum { MAX = 128 };

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

static void draw(double *x, int n, uint64_t step, uint64_t stream, double low, double high)
{
    const char *seed = getenv("DEQ_TEST_SEED");
    deq_random_key key = { seed ? strtoull(seed, NULL, 10) : 21, step, stream };
    assert_int_equal(deq_draw_uniform(x, DEQ_F64, n, key, low, high), DEQ_OK);
}

static deq_vote_sensitivity_result sensitivity(deq_vote_sensitivity_source *s, int n,
                                               const double *t, const double *p,
                                               const deq_vote_correctness_options *o)
{
    deq_vote_sensitivity_result r;
    deq_status status = deq_vote_sensitivity(&r, s, ctx, n, t, p, o);
    if (status != DEQ_OK) fail_msg("%s", deq_last_error(ctx));
    return r;
}

static double correct(int n, const double *t, const double *p, double prior)
{
    deq_vote_correctness_result r;
    deq_vote_correctness_options o = deq_vote_correctness_defaults();
    o.prior = prior;
    assert_int_equal(deq_vote_correctness(&r, ctx, n, t, p, &o), DEQ_OK);
    return r.correctness;
}

static const double five[] = { 0.9, 0.8, 0.7, 0.6, 0.55 };

static void the_fifth_of_five_sources_is_never_pivotal(void **state)
{
    (void)state;
    const double wanted[] = { 0.64, 0.15, 0.12, 0.11, 0 };
    deq_vote_sensitivity_source s[5];
    deq_vote_sensitivity_result r = sensitivity(s, 5, five, five, NULL);
    double all = 0;
    for (int i = 0; i < 5; i++) {
        assert_close(s[i].pivot, wanted[i], 1e-15);
        all += s[i].share;
    }
    assert_close(all, 1, 1e-15);
    assert_close(s[0].share, 0.64 / 1.02, 1e-15);
    assert_true(r.certified && r.stable_known && r.difference == 0 && r.first_order == 0);
    /* of 16 patterns of the others, those that leave the decision to source 1: all but the four with
       2, 3 and 4 together against it, 1.3863 + 0.8473 + 0.4055 = 2.639 > 2.1972 */
    assert_close(s[0].influence, 12.0 / 16, 1e-15);
}

/* C is affine in p_i: a central difference of any step is the derivative. */
static void pivots_are_finite_differences(void **state)
{
    (void)state;
    for (int n = 1; n <= 12; n++) {
        double t[MAX], p[MAX], prior = n % 2 ? 0.5 : 0.3;
        deq_vote_sensitivity_source s[MAX];
        draw(t, n, (uint64_t)n, 0, 0.1, 0.95);
        draw(p, n, (uint64_t)n, 1, 0.1, 0.9);
        if (n > 3) t[1] = t[2], p[1] = p[2], t[3] = 0.5;
        if (n > 6) t[4] = 1, t[5] = 0, p[6] = 1;
        deq_vote_correctness_options o = deq_vote_correctness_defaults();
        o.prior = prior;
        (void)sensitivity(s, n, t, p, &o);
        for (int i = 0; i < n; i++) {
            double keep = p[i], h = 0.05, high, low;
            double middle = keep > 0.9 ? 0.9 : keep;
            p[i] = middle + h;
            high = correct(n, t, p, prior);
            p[i] = middle - h;
            low = correct(n, t, p, prior);
            p[i] = keep;
            assert_close(s[i].pivot, (high - low) / (2 * h), 1e-12);
        }
    }
}

static void negative_weights_have_negative_pivots(void **state)
{
    (void)state;
    const double t[] = { 0.2, 0.6, 0.7 };
    deq_vote_sensitivity_source s[3];
    (void)sensitivity(s, 3, t, t, NULL);
    assert_close(s[0].pivot, -1, 1e-15); /* it dictates, reversed */
    assert_close(s[1].pivot, 0, 1e-15);
}

/* The two ways to all pivots, on both sides of where AUTO changes. */
static void the_characteristic_function_agrees_with_differences(void **state)
{
    (void)state;
    const int ns[] = { 3, 17, 24 };
    for (int c = 0; c < 3; c++)
        for (int prior = 0; prior < 2; prior++) {
            int n = ns[c];
            double t[MAX], p[MAX];
            deq_vote_sensitivity_source exact[MAX], s[MAX];
            draw(t, n, (uint64_t)c, 2, 0.3, 0.8);
            draw(p, n, (uint64_t)c, 3, 0.3, 0.8);
            p[0] = 1;
            t[1] = t[2];
            deq_vote_correctness_options o = deq_vote_correctness_defaults();
            o.prior = prior ? 0.6 : 0.5;
            (void)sensitivity(exact, n, t, p, &o);
            o.method = DEQ_VOTE_CORRECTNESS_FOURIER;
            o.effort = 1e7;
            deq_vote_sensitivity_result r = sensitivity(s, n, t, p, &o);
            assert_true(!r.certified && r.pivot_band < 0.05);
            for (int i = 0; i < n; i++) {
                assert_close(s[i].pivot, exact[i].pivot, r.pivot_band);
                assert_close(s[i].influence, exact[i].influence, r.pivot_band);
            }
        }
}

/* Many sources: the same against single evaluations of their own certified intervals. */
static void many_sources_are_done_at_once(void **state)
{
    (void)state;
    enum { N = 100 };
    double t[N], p[N];
    deq_vote_sensitivity_source s[N];
    draw(t, N, 0, 4, 0.45, 0.6);
    draw(p, N, 0, 5, 0.45, 0.6);
    deq_vote_correctness_options o = deq_vote_correctness_defaults();
    o.effort = 1e7;
    deq_vote_sensitivity_result r = sensitivity(s, N, t, p, &o);
    assert_true(!r.stable_known && isnan(r.flip_radius) && isnan(s[0].trust_low));
    assert_int_equal(r.method, DEQ_VOTE_CORRECTNESS_FOURIER);
    for (int i = 0; i < N; i += 33) {
        double keep = p[i];
        deq_vote_correctness_result one, zero;
        p[i] = 1;
        assert_int_equal(deq_vote_correctness(&one, ctx, N, t, p, &o), DEQ_OK);
        p[i] = 0;
        assert_int_equal(deq_vote_correctness(&zero, ctx, N, t, p, &o), DEQ_OK);
        p[i] = keep;
        double slack = r.pivot_band + one.error_high - one.error_low + zero.error_high -
                       zero.error_low;
        assert_true(slack < 1e-2);
        assert_close(s[i].pivot, one.correctness - zero.correctness, slack);
    }
}

/* With one wrong trust within its interval, believed - actual is first order exactly. */
static void one_wrong_trust_is_first_order(void **state)
{
    (void)state;
    double t[5];
    deq_vote_sensitivity_source s[5];
    memcpy(t, five, sizeof t);
    t[0] = 0.91;
    deq_vote_sensitivity_result r = sensitivity(s, 5, t, five, NULL);
    assert_close(r.first_order, 0.0064, 1e-14);
    assert_close(r.difference, r.first_order, 1e-14);
    t[1] = 0.81; /* with two, a second difference is left over */
    r = sensitivity(s, 5, t, five, NULL);
    double mixed;
    assert_int_equal(deq_vote_mixed(&mixed, ctx, 5, t, five, 0, 1, NULL), DEQ_OK);
    assert_close(r.difference, r.first_order + mixed * 1e-4, 1e-14);
}

static void mixed_derivatives_are_second_differences(void **state)
{
    (void)state;
    double p[5], sum = 0, mixed;
    memcpy(p, five, sizeof p);
    for (int a = 0; a < 2; a++)
        for (int b = 0; b < 2; b++) {
            p[1] = a;
            p[3] = b;
            sum += (a == b ? 1 : -1) * correct(5, five, p, 0.5);
        }
    assert_int_equal(deq_vote_mixed(&mixed, ctx, 5, five, five, 1, 3, NULL), DEQ_OK);
    assert_close(mixed, sum, 1e-15);
    assert_int_equal(deq_vote_mixed(&mixed, ctx, 5, five, five, 3, 1, NULL), DEQ_OK);
    assert_close(mixed, sum, 1e-15);
    assert_int_equal(deq_vote_mixed(&mixed, ctx, 5, five, five, 2, 2, NULL), DEQ_OK);
    assert_close(mixed, 0, 0);
    assert_int_equal(deq_vote_mixed(&mixed, ctx, 5, five, five, 2, 5, NULL), DEQ_ERR_ARGUMENT);
    assert_true(isnan(mixed));
}

/* Stable intervals ----------------------------------------------------------------------------- */

/* The decisions of a rule over all vote patterns. */
static void decide(signed char *out, int n, const double *weights, double w_0)
{
    double tie = fabs(w_0);
    for (int i = 0; i < n; i++) tie += fabs(weights[i]);
    for (int v = 0; v < 1 << n; v++) {
        double s = w_0;
        for (int i = 0; i < n; i++) s += v >> i & 1 ? weights[i] : -weights[i];
        out[v] = (signed char)(fabs(s) <= 1e-12 * tie ? 0 : s > 0 ? 1 : -1);
    }
}

static int same_decisions(int n, const double *a, const double *b, double w_0)
{
    signed char x[1 << 8], y[1 << 8];
    decide(x, n, a, w_0);
    decide(y, n, b, w_0);
    return memcmp(x, y, (size_t)1 << n) == 0;
}

static void intervals_end_where_a_decision_changes(void **state)
{
    (void)state;
    for (int n = 1; n <= 8; n++)
        for (int c = 0; c < 6; c++) {
            double t[8], w[8], moved[8], prior = c % 2 ? 0.62 : 0.5, w_0 = log(prior / (1 - prior));
            deq_vote_sensitivity_source s[8];
            draw(t, n, (uint64_t)(10 * n + c), 6, 0.15, 0.95);
            for (int i = 0; i < n; i++) w[i] = deq_vote_log_odds(t[i]);
            deq_vote_correctness_options o = deq_vote_correctness_defaults();
            o.prior = prior;
            deq_vote_sensitivity_result r = sensitivity(s, n, t, t, &o);
            assert_true(r.stable_known);
            memcpy(moved, w, sizeof moved);
            for (int i = 0; i < n; i++) {
                double low = s[i].trust_low, high = s[i].trust_high;
                assert_true(low <= t[i] && t[i] <= high);
                for (int k = 1; k < 8; k++) { /* inside */
                    moved[i] = deq_vote_log_odds(low + (high - low) * k / 8);
                    assert_true(same_decisions(n, w, moved, w_0));
                }
                moved[i] = deq_vote_log_odds(low - 1e-6); /* just outside */
                if (low > 1e-6) assert_false(same_decisions(n, w, moved, w_0));
                moved[i] = deq_vote_log_odds(high + 1e-6);
                if (high < 1 - 1e-6) assert_false(same_decisions(n, w, moved, w_0));
                moved[i] = w[i];
            }
            /* the flip radius: the weakest decision turns just beyond it, and none before */
            double weakest = INFINITY, total = 0;
            for (int i = 0; i < n; i++) total += fabs(w[i]);
            for (int v = 0; v < 1 << n; v++) {
                double sum = w_0;
                for (int i = 0; i < n; i++) sum += v >> i & 1 ? w[i] : -w[i];
                weakest = fmin(weakest, fabs(sum));
            }
            assert_close(r.flip_radius, weakest / total, 1e-12);
        }
}

static void ties_leave_no_room(void **state)
{
    (void)state;
    const double t[] = { 0.7, 0.7 };
    deq_vote_sensitivity_source s[2];
    deq_vote_sensitivity_result r = sensitivity(s, 2, t, t, NULL);
    assert_true(r.flip_radius == 0);
    assert_close(s[0].trust_low, 0.7, 1e-15);
    assert_close(s[0].trust_high, 0.7, 1e-15);
}

static void a_source_alone_may_fall_to_one_half(void **state)
{
    (void)state;
    const double t[] = { 0.7, 1 };
    deq_vote_sensitivity_source s[2];
    (void)sensitivity(s, 1, t, t, NULL);
    assert_close(s[0].trust_low, 0.5, 1e-15);
    assert_close(s[0].trust_high, 1, 1e-15);
    (void)sensitivity(s, 2, t, t, NULL); /* a certain one keeps deciding above 0.7 */
    assert_close(s[1].trust_low, 0.7, 1e-15);
    assert_close(s[1].trust_high, 1, 1e-15);
}

static void approximations_are_refused(void **state)
{
    (void)state;
    deq_vote_sensitivity_result r;
    deq_vote_sensitivity_source s[5];
    deq_vote_correctness_options o = deq_vote_correctness_defaults();
    o.method = DEQ_VOTE_CORRECTNESS_NORMAL;
    assert_int_equal(deq_vote_sensitivity(&r, s, ctx, 5, five, five, &o), DEQ_ERR_UNSUPPORTED);
    assert_non_null(strstr(deq_last_error(ctx), "normal"));
    const double bad[] = { 0.5, -1 };
    assert_int_equal(deq_vote_sensitivity(&r, s, ctx, 2, bad, five, NULL), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_vote_sensitivity(&r, s, ctx, 2, five, bad, NULL), DEQ_ERR_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fifth_of_five_sources_is_never_pivotal),
        cmocka_unit_test(pivots_are_finite_differences),
        cmocka_unit_test(negative_weights_have_negative_pivots),
        cmocka_unit_test(the_characteristic_function_agrees_with_differences),
        cmocka_unit_test(many_sources_are_done_at_once),
        cmocka_unit_test(one_wrong_trust_is_first_order),
        cmocka_unit_test(mixed_derivatives_are_second_differences),
        cmocka_unit_test(intervals_end_where_a_decision_changes),
        cmocka_unit_test(ties_leave_no_room),
        cmocka_unit_test(a_source_alone_may_fall_to_one_half),
        cmocka_unit_test(approximations_are_refused),
    };
    return cmocka_run_group_tests(tests, make_context, free_context);
}
