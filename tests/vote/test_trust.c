/* SPDX-License-Identifier: MIT */
#include "support/memory.h"
#include "vote/draw_votes.h"

#include <deq/vote/beta.h>
#include <deq/vote/trust.h>
#include <math.h>

static void trust_is_the_posterior_mean_with_equal_tails(void **state)
{
    (void)state;
    static const int64_t correct[] = { 0, 3, 7 }, total[] = { 0, 3, 10 };
    deq_trust_options o = deq_trust_defaults();
    deq_context *ctx;
    deq_trust t[3];
    deq_trust_prior prior;

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    assert_int_equal(deq_trust_from_counts(t, &prior, ctx, 3, correct, total, NULL), DEQ_OK);
    assert_true(t[0].trust == 0.5 && t[1].trust == 0.8 && t[2].trust == 8.0 / 12);
    /* Beta(1, 1) is uniform; Beta(4, 1) has cdf p^4 */
    assert_true(fabs(t[0].low - 0.025) < 1e-12 && fabs(t[0].high - 0.975) < 1e-12);
    assert_true(fabs(t[1].low - pow(0.025, 0.25)) < 1e-12);
    assert_true(fabs(t[1].high - pow(0.975, 0.25)) < 1e-12);
    assert_int_equal(t[2].correct, 7);
    assert_true(prior.a == 1 && prior.b == 1);
    o.a = 8;
    o.b = 4;
    o.level = 0.5;
    assert_int_equal(deq_trust_from_counts(t, NULL, ctx, 3, correct, total, &o), DEQ_OK);
    assert_true(t[2].trust == 15.0 / 22);
    assert_true(fabs(deq_vote_beta_cdf(t[2].high, 15, 7) - 0.75) < 1e-12);
    deq_context_free(ctx);
}

static void gold_is_counted_worker_by_worker(void **state)
{
    (void)state;
    static const int32_t gold[] = { 1, -1, 0 };
    static const bool use[] = { true, true, false };
    deq_context *ctx;
    int64_t correct[2] = { 10, 0 }, total[2] = { 10, 0 };

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    deq_votes *votes = votes_of(ctx, "task,worker,label\na,u,1\nb,u,1\nc,u,1\na,v,0\nc,v,0\n");
    deq_vote_count_gold(correct, total, votes, gold, NULL);
    assert_int_equal(correct[0], 11);
    assert_int_equal(total[0], 12);
    assert_int_equal(correct[1], 1);
    assert_int_equal(total[1], 2);
    deq_vote_count_gold(correct, total, votes, gold, use);
    assert_int_equal(total[0], 13);
    assert_int_equal(total[1], 3);
    deq_votes_free(votes);
    deq_context_free(ctx);
}

/* The likelihood at the prior found is not below that of its neighbours, and the truth is near. */
static void empirical_bayes_finds_the_most_likely_prior(void **state)
{
    (void)state;
    enum { N = 4000, M = 25 };
    static int64_t correct[N], total[N];
    static deq_trust t[N];
    deq_trust_options o = deq_trust_defaults();
    deq_context *ctx;
    deq_trust_prior best, near;

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    assert_int_equal(deq_vote_draw_beta_binomial(correct, N, (deq_random_key){ 3, 0, 0 }, M, 8, 4),
                     DEQ_OK);
    for (int i = 0; i < N; i++) total[i] = M;
    o.empirical_bayes = true;
    assert_int_equal(deq_trust_from_counts(t, &best, ctx, N, correct, total, &o), DEQ_OK);
    assert_false(best.at_bound);
    /* the mean of 4000 workers is known to 0.0022, the size to some 4 %: five deviations */
    assert_true(fabs(best.a / (best.a + best.b) - 2.0 / 3) < 0.011);
    assert_true(fabs((best.a + best.b) / 12 - 1) < 0.2);
    o.empirical_bayes = false;
    for (int k = 0; k < 4; k++) {
        o.a = best.a * (k == 0 ? 1.01 : k == 1 ? 0.99 : 1);
        o.b = best.b * (k == 2 ? 1.01 : k == 3 ? 0.99 : 1);
        assert_int_equal(deq_trust_from_counts(t, &near, ctx, N, correct, total, &o), DEQ_OK);
        assert_true(near.log_likelihood < best.log_likelihood);
    }
    deq_context_free(ctx);
}

static void workers_who_do_not_differ_give_a_sharp_prior(void **state)
{
    (void)state;
    static const int64_t same[] = { 6, 6, 6, 6, 6, 6 }, ten[] = { 10, 10, 10, 10, 10, 10 };
    static const int64_t all[] = { 0, 0, 0, 0, 0, 0 };
    deq_trust_options o = deq_trust_defaults();
    deq_context *ctx;
    deq_trust t[6];
    deq_trust_prior prior;

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    o.empirical_bayes = true;
    assert_int_equal(deq_trust_from_counts(t, &prior, ctx, 6, same, ten, &o), DEQ_OK);
    assert_true(prior.at_bound);
    assert_true(fabs(t[0].trust - 0.6) < 1e-3);
    assert_int_equal(deq_trust_from_counts(t, &prior, ctx, 6, ten, ten, &o), DEQ_OK);
    assert_true(t[0].trust > 0.99 && t[0].trust < 1);
    assert_int_equal(deq_trust_from_counts(t, &prior, ctx, 6, all, all, &o), DEQ_OK); /* no gold */
    assert_true(t[0].trust > 0.49 && t[0].trust < 0.51);
    deq_context_free(ctx);
}

static void counts_and_options_out_of_range_are_refused(void **state)
{
    (void)state;
    static const int64_t five[] = { 5 }, four[] = { 4 }, negative[] = { -1 };
    deq_trust_options o = deq_trust_defaults();
    deq_context *ctx;
    deq_trust t[1];

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    assert_int_equal(deq_trust_from_counts(t, NULL, ctx, 1, five, four, &o), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_trust_from_counts(t, NULL, ctx, 1, negative, four, &o), DEQ_ERR_ARGUMENT);
    o.a = 0;
    assert_int_equal(deq_trust_from_counts(t, NULL, ctx, 1, four, five, &o), DEQ_ERR_ARGUMENT);
    o.a = 1;
    o.level = 1;
    assert_int_equal(deq_trust_from_counts(t, NULL, ctx, 1, four, five, &o), DEQ_ERR_ARGUMENT);
    o = deq_trust_defaults();
    o.struct_size--;
    assert_int_equal(deq_trust_from_counts(t, NULL, ctx, 1, four, five, &o), DEQ_ERR_ARGUMENT);
    deq_context_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trust_is_the_posterior_mean_with_equal_tails),
        cmocka_unit_test(gold_is_counted_worker_by_worker),
        cmocka_unit_test(empirical_bayes_finds_the_most_likely_prior),
        cmocka_unit_test(workers_who_do_not_differ_give_a_sharp_prior),
        cmocka_unit_test(counts_and_options_out_of_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
