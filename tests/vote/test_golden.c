/* SPDX-License-Identifier: MIT */
/*
 * The nine public sets in $DEQ_DATA/votes against the accuracies of reference implementations: majority;
 * log-odds from all gold; one coin with a free and with a uniform class prior; Dawid-Skene.  All to four
 * digits, ties counted by 1/k, EM plain with 100 iterations from vote shares.
 */
#include "support/bytes.h"
#include "support/memory.h"

#include <deq/vote/compare.h>
#include <deq/vote/tables.h>
#include <math.h>
#include <stdio.h>

static const struct reference {
    const char *name;
    int64_t tasks, workers, votes, labels, gold;
    double majority, gold_wmv, one_coin_free, one_coin, dawid_skene;
} references[] = {
    { "bluebird", 108, 39, 4212, 2, 108, .7593, .8704, .5833, .7222, .8981 },
    { "rte", 800, 164, 8000, 2, 800, .8969, .9425, .9213, .9237, .9275 },
    { "dog", 807, 109, 8070, 4, 807, .8222, .8377, .8302, .8315, .8426 },
    { "web", 2665, 177, 15567, 5, 2653, .7307, .8835, .8115, .8424, .8217 },
    { "product", 8315, 176, 24945, 2, 8315, .8966, .9363, .9075, .9274, .9400 },
    { "weather", 300, 461, 1720, 5, 300, .8822, .9133, .8733, .8833, .8300 },
    { "zencrowd", 2040, 78, 21855, 2, 2040, .8319, .8789, .8456, .8260, .7961 },
    { "hitspam", 5380, 153, 42762, 2, 100, .6600, .6600, .6600, .6600, .6600 },
    { "barzan", 1000, 83, 5000, 2, 1000, .6960, .7200, .6660, .6900, .7120 },
};

typedef struct fixture {
    deq_context *ctx;
    deq_votes *votes;
    int32_t *gold;
} fixture;

static void begin(fixture *f, const struct reference *r)
{
    char name[64], path[1024];
    deq_table_report report;

    snprintf(name, sizeof name, "votes/%s_votes.csv", r->name);
    (void)shared_file(path, "DEQ_DATA", name);
    assert_int_equal(deq_context_new(&f->ctx, NULL), DEQ_OK);
    if (deq_votes_read(&f->votes, f->ctx, path, NULL) != DEQ_OK)
        fail_msg("%s", deq_last_error(f->ctx));
    const deq_votes_view v = deq_votes_values(f->votes);
    assert_int_equal(v.n_tasks, r->tasks);
    assert_int_equal(v.n_workers, r->workers);
    assert_int_equal(v.n_votes, r->votes);
    assert_int_equal(v.n_labels, r->labels);
    f->gold = malloc((size_t)v.n_tasks * sizeof *f->gold);
    assert_non_null(f->gold);
    snprintf(name, sizeof name, "votes/%s_gold.csv", r->name);
    assert_int_equal(
        deq_vote_read_gold(f->gold, &report, f->votes, shared_file(path, "DEQ_DATA", name), NULL),
        DEQ_OK);
    assert_int_equal(report.n_used, r->gold);
}

static void end(fixture *f)
{
    free(f->gold);
    deq_votes_free(f->votes);
    deq_context_free(f->ctx);
}

static void check(const fixture *f, const struct reference *r, deq_estimate_options o,
                  double expected)
{
    const deq_votes_view v = deq_votes_values(f->votes);
    deq_estimate *e;
    deq_vote_score score;

    o.solver = DEQ_PICARD;
    o.tolerance = 0;
    o.prior_smoothing = 0;
    if (o.method == DEQ_GOLD_WMV) o.gold = f->gold;
    assert_int_equal(deq_vote_estimate(&e, f->ctx, f->votes, &o), DEQ_OK);
    deq_vote_score_posterior(&score, NULL, f->votes, deq_estimate_posterior(e), f->gold, NULL, 10);
    assert_int_equal(score.n_gold, r->gold);
    assert_true(v.n_labels == r->labels);
    if (fabs(score.accuracy - expected) > 0.5001e-4)
        fail_msg("%s, %s: %.5f, expected %.4f", r->name, deq_aggregation_name(o.method),
                 score.accuracy, expected);
    deq_estimate_free(e);
}

static void accuracies_are_those_of_the_references(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof references / sizeof *references; i++) {
        const struct reference *r = &references[i];
        deq_estimate_options o = deq_estimate_defaults();
        fixture f;
        begin(&f, r);
        o.method = DEQ_MAJORITY;
        check(&f, r, o, r->majority);
        o.method = DEQ_GOLD_WMV;
        check(&f, r, o, r->gold_wmv);
        o.method = DEQ_ONE_COIN;
        o.class_prior = DEQ_PRIOR_FREE;
        check(&f, r, o, r->one_coin_free);
        o.class_prior = DEQ_PRIOR_UNIFORM;
        check(&f, r, o, r->one_coin);
        o.method = DEQ_DAWID_SKENE;
        o.class_prior = DEQ_PRIOR_FREE;
        check(&f, r, o, r->dawid_skene);
        end(&f);
    }
}

/* Bluebird's workers are biased by class: a free prior lets one coin explain them away. */
static void a_degenerate_solution_is_warned_of(void **state)
{
    (void)state;
    fixture f;
    deq_estimate_options o = deq_estimate_defaults();
    deq_estimate *e;

    begin(&f, &references[0]);
    o.method = DEQ_ONE_COIN;
    o.class_prior = DEQ_PRIOR_FREE;
    assert_int_equal(deq_vote_estimate(&e, f.ctx, f.votes, &o), DEQ_OK);
    assert_true(deq_estimate_about(e).warnings & DEQ_WARN_DEGENERATE);
    deq_estimate_free(e);
    o.class_prior = DEQ_PRIOR_AUTO;
    assert_int_equal(deq_vote_estimate(&e, f.ctx, f.votes, &o), DEQ_OK);
    assert_false(deq_estimate_about(e).warnings & DEQ_WARN_DEGENERATE);
    deq_estimate_free(e);
    end(&f);
}

/* One worker of rte gave 800 votes and most gave 20: sums of messages end with the labels of two workers
 * (0.4975 right), means of them do not. */
static void message_passing_survives_workers_of_many_votes(void **state)
{
    (void)state;
    static const struct {
        int set;
        double least; /* a second implementation of the same equations has 0.9137, 0.9268, 0.8451 */
    } sets[] = { { 1, 0.9125 }, { 4, 0.9263 }, { 6, 0.8446 } };

    for (int i = 0; i < 3; i++) {
        fixture f;
        deq_estimate_options o = deq_estimate_defaults();
        deq_estimate *e;
        deq_vote_score score;
        begin(&f, &references[sets[i].set]);
        o.method = DEQ_KOS;
        assert_int_equal(deq_vote_estimate(&e, f.ctx, f.votes, &o), DEQ_OK);
        deq_vote_score_posterior(&score, NULL, f.votes, deq_estimate_posterior(e), f.gold, NULL,
                                 10);
        if (!(score.accuracy >= sets[i].least))
            fail_msg("%s: %.4f", references[sets[i].set].name, score.accuracy);
        deq_estimate_free(e);
        end(&f);
    }
}

/* With gold from other folds, log-odds beat the majority on product, and the accuracy believed of one
 * coin, which is fitted to its own votes, is too high on bluebird. */
static void folds_show_who_is_overconfident(void **state)
{
    (void)state;
    fixture f;
    deq_calibration c;

    begin(&f, &references[4]);
    assert_int_equal(deq_vote_calibrate(&c, f.ctx, f.votes, f.gold, DEQ_GOLD_WMV, NULL), DEQ_OK);
    assert_int_equal(c.score.n_gold, 8315);
    assert_true(c.score.accuracy > c.majority_accuracy + 0.02);
    assert_true(c.score.accuracy < 0.9363 + 1e-3); /* in-sample is the optimistic figure */
    end(&f);
    begin(&f, &references[0]);
    deq_compare_options o = deq_compare_defaults();
    o.clamp = false;
    assert_int_equal(deq_vote_calibrate(&c, f.ctx, f.votes, f.gold, DEQ_ONE_COIN, &o), DEQ_OK);
    assert_true(c.soc_residual < -0.2);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accuracies_are_those_of_the_references),
        cmocka_unit_test(a_degenerate_solution_is_warned_of),
        cmocka_unit_test(message_passing_survives_workers_of_many_votes),
        cmocka_unit_test(folds_show_who_is_overconfident),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
