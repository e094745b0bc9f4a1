/* SPDX-License-Identifier: MIT */
#include "support/memory.h"
#include "vote/draw_votes.h"

#include <deq/vote/beta.h>
#include <deq/vote/compare.h>
#include <math.h>

static void scores_are_those_of_a_hand_calculation(void **state)
{
    (void)state;
    static const double q[] = { 0.8, 0.2, 0.5, 0.5, 0.1, 0.9, 0.6, 0.4 };
    static const int32_t gold[] = { 0, 1, 0, -1 };
    static const bool use[] = { true, false, false, true };
    deq_context *ctx;
    deq_vote_score s;
    int64_t confusion[4];

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    deq_votes *votes = votes_of(ctx, "task,worker,label\na,u,0\nb,u,1\nc,u,1\nd,u,0\n");
    deq_vote_score_posterior(&s, confusion, votes, q, gold, NULL, 5);
    assert_int_equal(s.n_gold, 3);
    assert_true(fabs(s.accuracy - 1.5 / 3) < 1e-15); /* right, a tie of two, wrong */
    assert_true(fabs(s.believed - 2.2 / 3) < 1e-15);
    assert_true(fabs(s.log_loss + (log(0.8) + log(0.5) + log(0.1)) / 3) < 1e-15);
    assert_true(fabs(s.brier - (0.08 + 0.5 + 1.62) / 3) < 1e-15);
    /* differences 0.2, 0, -0.9 of mean -0.7/3 */
    const double m = -0.7 / 3, ss = (0.2 - m) * (0.2 - m) + m * m + (-0.9 - m) * (-0.9 - m);
    assert_true(fabs(s.standard_error - sqrt(ss / 2 / 3)) < 1e-15);
    /* bins of 0.1 from 0.5: {b}, {}, {}, {a}, {c} */
    assert_int_equal(s.bins[0].count, 1);
    assert_int_equal(s.bins[3].count + s.bins[2].count, 1);
    assert_int_equal(s.bins[4].count, 1);
    assert_true(isnan(s.bins[1].believed));
    assert_true(fabs(s.calibration_error - (0 + 0.2 + 0.9) / 3) < 1e-15);
    const double chi = 0.04 / 0.16 + 0.81 / 0.09;
    assert_true(fabs(s.chi_square - chi) < 1e-12);
    assert_int_equal(s.chi_square_bins, 3);
    /* the tail of chi^2 with 3 degrees: erfc(sqrt(x/2)) + sqrt(2x/pi) exp(-x/2) */
    const double tail = erfc(sqrt(chi / 2)) + sqrt(2 * chi / acos(-1)) * exp(-chi / 2);
    assert_true(fabs(s.p_value - tail) < 1e-12);
    assert_int_equal(confusion[0], 1);
    assert_int_equal(confusion[1], 1);
    assert_int_equal(confusion[2], 1); /* the tie goes to the first */
    assert_int_equal(confusion[3], 0);
    deq_vote_score_posterior(&s, NULL, votes, q, gold, use, 5);
    assert_int_equal(s.n_gold, 1);
    assert_true(s.accuracy == 1);
    assert_true(isnan(s.standard_error));
    deq_votes_free(votes);
    deq_context_free(ctx);
}

static void folds_are_of_equal_size_and_depend_on_the_seed(void **state)
{
    (void)state;
    enum { TASKS = 103 };
    static const double p[] = { 0.8, 0.7 };
    int32_t gold[TASKS], fold[TASKS], again[TASKS], other[TASKS];
    int size[5] = { 0 };
    deq_context *ctx;
    bool differs = false;

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    deq_votes *votes = draw_votes(gold, ctx, TASKS, p, 2, 2, 1);
    gold[7] = gold[50] = -1;
    assert_int_equal(deq_vote_cut_folds(fold, ctx, votes, gold, 5, 3), DEQ_OK);
    assert_int_equal(deq_vote_cut_folds(again, ctx, votes, gold, 5, 3), DEQ_OK);
    assert_int_equal(deq_vote_cut_folds(other, ctx, votes, gold, 5, 4), DEQ_OK);
    for (int t = 0; t < TASKS; t++) {
        assert_int_equal(fold[t], again[t]);
        differs |= fold[t] != other[t];
        if (gold[t] < 0) assert_int_equal(fold[t], -1);
        if (gold[t] >= 0) size[fold[t]]++;
    }
    assert_true(differs);
    for (int f = 0; f < 5; f++) assert_in_range(size[f], 20, 21);
    assert_int_equal(deq_vote_cut_folds(fold, ctx, votes, gold, 0, 3), DEQ_ERR_ARGUMENT);
    deq_votes_free(votes);
    deq_context_free(ctx);
}

/* Accuracies drawn from the prior that trust uses: stability of correctness, within four standard
 * errors.  Trust that takes s/m for the accuracy (a, b near zero) believes too much. */
static void unbiased_trust_achieves_what_it_believes(void **state)
{
    (void)state;
    enum { TASKS = 60, WORKERS = 9, WORLDS = 60 };
    int32_t gold[TASKS];
    double p[WORKERS], residual[2] = { 0 }, square = 0;
    deq_context *ctx;

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    for (uint64_t world = 0; world < WORLDS; world++) {
        assert_int_equal(deq_vote_draw_beta(p, WORKERS, (deq_random_key){ world, 9, 0 }, 2, 1.5),
                         DEQ_OK);
        deq_votes *votes = draw_votes(gold, ctx, TASKS, p, WORKERS, 2, world);
        for (int k = 0; k < 2; k++) {
            deq_estimate_options e = deq_estimate_defaults();
            deq_compare_options o = deq_compare_defaults();
            deq_calibration c;
            e.a = k ? 0.02 : 2;
            e.b = k ? 0.02 : 1.5;
            o.estimate = &e;
            o.folds = 12; /* of five tasks: trust from 55 */
            assert_int_equal(deq_vote_calibrate(&c, ctx, votes, gold, DEQ_GOLD_WMV, &o), DEQ_OK);
            assert_true(c.believed_low < c.score.believed && c.score.believed < c.believed_high);
            assert_true(fabs(c.soc_residual - c.score.accuracy + c.score.believed) < 1e-15);
            residual[k] += c.soc_residual / WORLDS;
            if (k == 0) square += c.soc_residual * c.soc_residual / WORLDS;
        }
        deq_votes_free(votes);
    }
    const double se = sqrt(square / WORLDS);
    assert_true(se < 0.01);
    assert_true(fabs(residual[0]) < 4 * se);
    assert_true(residual[1] < residual[0]);
    deq_context_free(ctx);
}

static void comparison_runs_all_that_fit(void **state)
{
    (void)state;
    enum { TASKS = 40, WORKERS = 6 };
    static const double p[] = { 0.9, 0.8, 0.75, 0.7, 0.6, 0.55 };
    deq_comparison lines[DEQ_AGGREGATION_COUNT], few[1];
    deq_compare_options o = deq_compare_defaults();
    const deq_aggregation one[] = { DEQ_GOLD_WMV };
    int32_t gold[TASKS], none[TASKS];
    deq_context *ctx;

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    for (int K = 2; K <= 3; K++) {
        deq_votes *votes = draw_votes(gold, ctx, TASKS, p, WORKERS, K, 6);
        int n = DEQ_AGGREGATION_COUNT;
        assert_int_equal(deq_vote_compare(lines, &n, ctx, votes, gold, NULL), DEQ_OK);
        assert_int_equal(n, DEQ_AGGREGATION_COUNT - (K == 3));
        for (int i = 0; i < n; i++) {
            assert_int_equal(lines[i].score.n_gold, TASKS);
            assert_true(lines[i].score.accuracy > 0.5);
            assert_int_equal(lines[i].held_out, lines[i].method == DEQ_GOLD_MAJORITY ||
                                                    lines[i].method == DEQ_GOLD_WMV);
        }
        o.methods = one;
        o.n_methods = 1;
        o.folds = 0; /* in sample: at least as good as held out, here */
        n = 1;
        assert_int_equal(deq_vote_compare(few, &n, ctx, votes, gold, &o), DEQ_OK);
        assert_false(few[0].held_out);
        o.empirical_bayes = true;
        o.folds = 5;
        assert_int_equal(deq_vote_compare(few, &n, ctx, votes, gold, &o), DEQ_OK);
        assert_true(few[0].held_out);
        n = 0;
        assert_int_equal(deq_vote_compare(few, &n, ctx, votes, gold, &o), DEQ_ERR_ARGUMENT);
        deq_votes_free(votes);
    }
    deq_votes *votes = draw_votes(gold, ctx, TASKS, p, WORKERS, 2, 6);
    int n = DEQ_AGGREGATION_COUNT;
    for (int t = 0; t < TASKS; t++) none[t] = -1;
    assert_int_equal(deq_vote_compare(lines, &n, ctx, votes, none, NULL), DEQ_ERR_ARGUMENT);
    none[0] = 1;
    n = DEQ_AGGREGATION_COUNT;
    assert_int_equal(deq_vote_compare(lines, &n, ctx, votes, none, NULL), DEQ_ERR_ARGUMENT);
    assert_string_equal(deq_last_error(ctx), "1 tasks with a true label cannot fill 5 folds");
    deq_calibration c;
    o = deq_compare_defaults();
    o.folds = 0;
    assert_int_equal(deq_vote_calibrate(&c, ctx, votes, gold, DEQ_MAJORITY, &o), DEQ_ERR_ARGUMENT);
    o.folds = 5;
    o.n_bins = 0;
    assert_int_equal(deq_vote_calibrate(&c, ctx, votes, gold, DEQ_MAJORITY, &o), DEQ_ERR_ARGUMENT);
    deq_votes_free(votes);
    deq_context_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_are_those_of_a_hand_calculation),
        cmocka_unit_test(folds_are_of_equal_size_and_depend_on_the_seed),
        cmocka_unit_test(unbiased_trust_achieves_what_it_believes),
        cmocka_unit_test(comparison_runs_all_that_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
