/* SPDX-License-Identifier: MIT */
#include "support/memory.h"
#include "vote/draw_votes.h"

#include <deq/vote/posterior.h>
#include <math.h>
#include <stdio.h>

enum { TASKS = 400, WORKERS = 4, LABELS = 3 };

static const double trust[WORKERS] = { 0.6, 0.6, 0.6, 0.6 }; /* many ties */
static const double cost[LABELS * LABELS] = { 0, 1, 2, 5, 0, 1, 1, 1, 0 };

/* DEQ_TEST_SEED=<number> tries other data. */
static uint64_t test_seed(void)
{
    const char *text = getenv("DEQ_TEST_SEED");

    return text ? strtoull(text, NULL, 0) : 1;
}

/* The two roads meet: decisions from weights, and from the posteriors that these give. */
static void decisions_are_those_of_the_weights(void **state)
{
    (void)state;
    static deq_decision a[TASKS], b[TASKS];
    static double q[TASKS * LABELS];
    int32_t truth[TASKS];
    deq_context *ctx;
    deq_decide_options o = deq_decide_defaults();

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    deq_votes *votes = draw_votes(truth, ctx, TASKS, trust, WORKERS, LABELS, test_seed());
    for (int i = 0; i < 6; i++) {
        const deq_belief belief = { .struct_size = sizeof belief,
                                    .trust = trust,
                                    .cost = i < 3 ? NULL : cost };
        int ties = 0;
        o.tie = (deq_tie)(i % 3);
        o.seed = 7;
        assert_int_equal(deq_vote_decide(a, q, ctx, votes, &belief, &o), DEQ_OK);
        assert_int_equal(deq_vote_decide_posterior(b, ctx, votes, q, belief.cost, &o), DEQ_OK);
        for (int t = 0; t < TASKS; t++) {
            assert_int_equal(a[t].label, b[t].label);
            assert_int_equal(a[t].n_tied, b[t].n_tied);
            assert_int_equal(a[t].n_votes, b[t].n_votes);
            assert_int_equal(a[t].flags, b[t].flags);
            assert_true(a[t].probability == b[t].probability);
            assert_true(fabs(a[t].cost - b[t].cost) < 1e-14);
            assert_true(fabs(a[t].margin - b[t].margin) < 1e-8);
            assert_true(isnan(b[t].flip_radius) && b[t].flip_worker == -1);
            ties += a[t].n_tied > 1;
        }
        assert_true(i >= 3 || ties > TASKS / 20);
    }
    deq_votes_free(votes);
    deq_context_free(ctx);
}

static void what_is_no_posterior_is_refused(void **state)
{
    (void)state;
    static const struct bad {
        double q[2];
    } bad[] = { { { 0.5, 0.6 } }, { { -0.1, 1.1 } }, { { NAN, 1 } } };
    static const double negative[] = { 0, 1, -1, 0 };
    const double fine[] = { 0.25, 0.75 };
    deq_decision d[1];
    deq_context *ctx;

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    deq_votes *votes = votes_of(ctx, "task,worker,label\na,1,0\na,2,1\n");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(deq_vote_decide_posterior(d, ctx, votes, bad[i].q, NULL, NULL),
                         DEQ_ERR_ARGUMENT);
        assert_non_null(strstr(deq_last_error(ctx), "posterior of task 'a'"));
    }
    assert_int_equal(deq_vote_decide_posterior(d, ctx, votes, fine, negative, NULL),
                     DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_vote_decide_posterior(d, ctx, votes, fine, NULL, NULL), DEQ_OK);
    assert_int_equal(d[0].label, 1);
    assert_true(fabs(d[0].margin - log(3)) < 1e-15);
    deq_votes_free(votes);
    deq_context_free(ctx);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(decisions_are_those_of_the_weights),
        cmocka_unit_test(what_is_no_posterior_is_refused),
    };
    return cmocka_run_group_tests_name("vote/posterior", tests, NULL, NULL);
}
