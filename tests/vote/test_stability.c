/* SPDX-License-Identifier: MIT */
/*
 * Stability of correctness and of optimality: closed forms, and the table of a second implementation,
 * within three standard errors and the rounding of the printed figures.
 */
#include "support/memory.h"
#include "support/test.h"

#include <deq/vote/stability.h>
#include <math.h>
#include <string.h>

enum { MAX = 32 };

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

static deq_vote_stability_result stability(int n, double a, double b, int64_t gold,
                                           const deq_vote_stability_options *o)
{
    double as[MAX], bs[MAX];
    int64_t golds[MAX];
    for (int i = 0; i < n; i++) as[i] = a, bs[i] = b, golds[i] = gold;
    deq_vote_stability_result r;
    deq_status status = deq_vote_stability(&r, ctx, n, as, bs, golds, o);
    if (status != DEQ_OK) fail_msg("%s", deq_last_error(ctx));
    return r;
}

static void assert_mean(deq_vote_mean got, double wanted, double rounding, const char *what,
                        int row)
{
    double slack = 3 * got.standard_error + rounding + 1e-14;
    if (!(fabs(got.mean - wanted) <= slack))
        fail_msg("row %d: %s is %.5f +- %.5f, wanted %.4f", row, what, got.mean, got.standard_error,
                 wanted);
}

/* The figures have three or four decimals; those of the reference have errors of about 1e-4. */
static const struct row {
    double a, b;
    int n;
    int64_t gold;
    double believed, optimal, gap;
    double frequency_believed, frequency_actual; /* NaN: not printed */
} rows[] = {
    { 1, 1, 1, 5, 0.7142, 0.7500, 0.0358, 0.797, 0.714 },
    { 1, 1, 3, 0, 0.5000, 0.883, 0.383, NAN, 0.5 },
    { 1, 1, 3, 1, 0.7407, 0.883, 0.1425, 0.9997, 0.741 },
    { 1, 1, 3, 5, 0.828, 0.883, 0.0546, 0.936, 0.828 },
    { 1, 1, 3, 20, 0.8666, 0.883, 0.0165, 0.897, 0.866 },
    { 1, 1, 3, 100, 0.8795, 0.883, 0.0035, 0.886, 0.8795 },
    { 1, 1, 9, 5, 0.948, 0.981, 0.0332, 0.997, 0.9435 },
    { 1, 1, 9, 20, 0.973, 0.981, 0.0083, 0.987, 0.972 },
    { 2, 1, 5, 0, 0.790, 0.939, 0.1485, NAN, 0.5 },
    { 2, 1, 5, 5, 0.895, 0.939, 0.0437, 0.977, 0.884 },
    { 8, 4, 5, 0, 0.790, 0.849, 0.0587, NAN, 0.5 },
    { 8, 4, 5, 5, 0.8046, 0.849, 0.0444, 0.945, 0.754 },
    { 8, 4, 5, 20, 0.8266, 0.849, 0.0225, 0.880, 0.818 },
    { 8, 4, 5, 100, 0.8427, 0.849, 0.0062, 0.856, 0.842 },
    { 8, 4, 9, 5, 0.874, 0.917, 0.0427, 0.985, 0.817 },
};

static void the_reference_table_is_reproduced(void **state)
{
    (void)state;
    const double three = 6e-4, four = 2e-4; /* half a unit, and the reference's own error */
    for (int k = 0; k < (int)(sizeof rows / sizeof *rows); k++) {
        const struct row *row = &rows[k];
        deq_vote_stability_options o = deq_vote_stability_defaults();
        o.draws = 10000;
        deq_vote_stability_result r = stability(row->n, row->a, row->b, row->gold, &o);
        assert_mean(r.believed, row->believed, three, "believed", k);
        assert_mean(r.actual, row->believed, three, "actual", k);
        assert_mean(r.optimal, row->optimal, three, "optimal", k);
        assert_mean(r.gap, row->gap, row->gap > 0.2 ? three : four, "gap", k);
        assert_mean(r.excess, 0, 0, "believed - actual", k);
        assert_true(r.gap.mean <= r.bound_distance && r.gap.mean <= r.bound_deviation);
        assert_true(r.gap.mean <= r.bound_knowledge + 3 * r.gap.standard_error);
        o.rule = DEQ_VOTE_TRUST_FREQUENCY;
        r = stability(row->n, row->a, row->b, row->gold, &o);
        assert_mean(r.actual, row->frequency_actual, three, "actual with s/m", k);
        assert_true(isnan(r.bound_knowledge) && isnan(r.bound_deviation));
        if (isnan(row->frequency_believed)) continue;
        assert_mean(r.believed, row->frequency_believed, three, "believed with s/m", k);
    }
}

static void closed_forms_are_met(void **state)
{
    (void)state;
    deq_vote_stability_result r = stability(1, 1, 1, 1, NULL);
    assert_mean(r.optimal, 0.75, 0, "optimal", 0);
    assert_true(fabs(r.believed.mean - 2.0 / 3) < 1e-12); /* the same in every draw */
    r = stability(3, 2, 1, 0, NULL);
    assert_true(fabs(r.believed.mean - 20.0 / 27) < 1e-12);
    r = stability(5, 8, 4, 0, NULL);
    assert_true(fabs(r.believed.mean - 64.0 / 81) < 1e-12);
}

static void a_wrong_prior_is_believed_too_much_or_too_little(void **state)
{
    (void)state;
    deq_vote_stability_options o = deq_vote_stability_defaults();
    o.trust_a = 80; /* sure that sources are good */
    o.trust_b = 10;
    deq_vote_stability_result r = stability(5, 8, 4, 5, &o);
    assert_true(r.excess.mean > 20 * r.excess.standard_error);
    assert_true(isnan(r.bound_deviation));
    o.trust_a = o.trust_b = 40;
    r = stability(5, 8, 4, 5, &o);
    assert_true(r.excess.mean < -20 * r.excess.standard_error);
}

/* Tables against single evaluations, with a prior of the truth. */
static void tables_agree_with_correctness(void **state)
{
    (void)state;
    deq_vote_stability_options o = deq_vote_stability_defaults();
    o.draws = 300;
    for (int prior = 0; prior < 2; prior++) {
        o.correctness.prior = prior ? 0.7 : 0.5;
        o.correctness.method = DEQ_VOTE_CORRECTNESS_AUTO;
        deq_vote_stability_result tables = stability(6, 8, 4, 3, &o);
        o.correctness.method = DEQ_VOTE_CORRECTNESS_MEET;
        deq_vote_stability_result lists = stability(6, 8, 4, 3, &o);
        assert_int_equal(tables.method, DEQ_VOTE_CORRECTNESS_ENUMERATION);
        assert_int_equal(lists.method, DEQ_VOTE_CORRECTNESS_MEET);
        assert_true(fabs(tables.believed.mean - lists.believed.mean) < 1e-13);
        assert_true(fabs(tables.actual.mean - lists.actual.mean) < 1e-13);
        assert_true(fabs(tables.optimal.mean - lists.optimal.mean) < 1e-13);
        assert_true(fabs(tables.gap.standard_error - lists.gap.standard_error) < 1e-10);
    }
}

static void unclipped_frequencies_give_infinite_weights(void **state)
{
    (void)state;
    deq_vote_stability_options o = deq_vote_stability_defaults();
    o.rule = DEQ_VOTE_TRUST_FREQUENCY;
    o.clip = 0;
    o.draws = 500;
    deq_vote_stability_result r = stability(4, 8, 4, 2, &o);
    assert_true(r.believed.mean > r.actual.mean && r.actual.mean > 0.5);
}

static void sources_may_differ(void **state)
{
    (void)state;
    const double a[] = { 90, 1, 1 }, b[] = { 10, 1, 1 };
    const int64_t gold[] = { 0, 0, 0 };
    deq_vote_stability_result r; /* the first dictates: E P_1 = 0.9 */
    assert_int_equal(deq_vote_stability(&r, ctx, 3, a, b, gold, NULL), DEQ_OK);
    assert_true(fabs(r.believed.mean - 0.9) < 1e-12);
    assert_mean(r.actual, 0.9, 0, "actual", 0);
}

static void many_sources_are_possible(void **state)
{
    (void)state;
    deq_vote_stability_options o = deq_vote_stability_defaults();
    o.draws = 40;
    deq_vote_stability_result r = stability(22, 8, 4, 20, &o);
    assert_mean(r.excess, 0, 0, "believed - actual", 0);
    assert_true(r.gap.mean > 0);
}

static void the_result_is_a_function_of_the_seed(void **state)
{
    (void)state;
    deq_vote_stability_result r[3];
    for (int k = 0; k < 3; k++) {
        deq_context *shared = ctx;
        deq_context_options c = deq_context_defaults();
        c.threads = k + 1;
        assert_int_equal(deq_context_new(&ctx, &c), DEQ_OK);
        deq_vote_stability_options o = deq_vote_stability_defaults();
        o.draws = 1000;
        o.seed = k == 2 ? 8 : 7;
        r[k] = stability(5, 8, 4, 5, &o);
        deq_context_free(ctx);
        ctx = shared;
    }
    assert_memory_equal(&r[0].gap, &r[1].gap, sizeof r[0].gap);
    assert_true(r[0].gap.mean != r[2].gap.mean);
}

static void bad_arguments_are_named(void **state)
{
    (void)state;
    const double a[] = { 1, -1 }, b[] = { 1, 1 };
    const int64_t gold[] = { 0, 0 };
    deq_vote_stability_result r;
    assert_int_equal(deq_vote_stability(&r, ctx, 2, a, b, gold, NULL), DEQ_ERR_ARGUMENT);
    assert_non_null(strstr(deq_last_error(ctx), "source 1 has a = -1"));
    assert_int_equal(deq_vote_stability(&r, ctx, 0, a, b, gold, NULL), DEQ_ERR_ARGUMENT);
    deq_vote_stability_options o = deq_vote_stability_defaults();
    o.correctness.method = DEQ_VOTE_CORRECTNESS_IMPORTANCE;
    assert_int_equal(deq_vote_stability(&r, ctx, 1, a, b, gold, &o), DEQ_ERR_UNSUPPORTED);
    o = deq_vote_stability_defaults();
    o.trust_a = 1;
    assert_int_equal(deq_vote_stability(&r, ctx, 1, a, b, gold, &o), DEQ_ERR_ARGUMENT);
    o = deq_vote_stability_defaults();
    o.draws = 1;
    assert_int_equal(deq_vote_stability(&r, ctx, 1, a, b, gold, &o), DEQ_ERR_ARGUMENT);
}

static void hear(void *user, int64_t done, int64_t draws)
{
    int64_t *last = user;

    assert_true(done > *last || done == draws);
    assert_true(done <= draws);
    *last = done;
}

static void progress_ends_with_all_draws(void **state)
{
    (void)state;
    deq_vote_stability_options o = deq_vote_stability_defaults();

    o.draws = 3000;
    o.progress = hear;
    for (int n = 5; n <= 17; n += 12) { /* with tables, and without */
        int64_t last = 0;
        o.progress_user = &last;
        o.draws = n == 5 ? 3000 : 300;
        (void)stability(n, 2, 1, 5, &o);
        assert_true(last == o.draws);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(progress_ends_with_all_draws),
        cmocka_unit_test(the_reference_table_is_reproduced),
        cmocka_unit_test(closed_forms_are_met),
        cmocka_unit_test(a_wrong_prior_is_believed_too_much_or_too_little),
        cmocka_unit_test(tables_agree_with_correctness),
        cmocka_unit_test(unclipped_frequencies_give_infinite_weights),
        cmocka_unit_test(sources_may_differ),
        cmocka_unit_test(many_sources_are_possible),
        cmocka_unit_test(the_result_is_a_function_of_the_seed),
        cmocka_unit_test(bad_arguments_are_named),
    };
    return cmocka_run_group_tests(tests, make_context, free_context);
}
