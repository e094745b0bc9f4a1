/* SPDX-License-Identifier: MIT */
#include "support/memory.h"
#include "vote/draw_votes.h"

#include <deq/vote/decide.h>
#include <math.h>
#include <stdio.h>

typedef struct outcome {
    deq_decision d[8];
    double q[8 * 4];
} outcome;

static deq_status decide(outcome *o, deq_context *ctx, const deq_votes *votes, const double *trust,
                         const double *prior, const double *cost, const deq_decide_options *options)
{
    const deq_belief belief = {
        .struct_size = sizeof belief, .trust = trust, .prior = prior, .cost = cost
    };

    return deq_vote_decide(o->d, o->q, ctx, votes, &belief, options);
}

static void scores_are_those_of_the_binary_rule(void **state)
{
    (void)state;
    static const double trust[] = { 0.9, 0.6, 0.6 };
    deq_context *ctx;
    outcome o;

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    deq_votes *votes = votes_of(ctx, "task,worker,label\na,1,+\na,2,-\na,3,-\n");
    assert_int_equal(decide(&o, ctx, votes, trust, NULL, NULL, NULL), DEQ_OK);
    assert_string_equal(deq_votes_label_name(votes, o.d[0].label), "+");
    assert_int_equal(o.d[0].n_tied, 1);
    assert_int_equal(o.d[0].n_votes, 3);
    /* S = log 9 - 2 log 1.5 = log 4: the posterior is 0.8 */
    assert_true(fabs(o.d[0].margin - log(4)) < 1e-14);
    assert_true(fabs(o.d[0].probability - 0.8) < 1e-15);
    assert_true(fabs(o.d[0].cost - 0.2) < 1e-15);
    /* worker 1 flips at w = 2 log 1.5, t = 9/13; workers 2, 3 at w = log 9 - log 1.5, t = 6/7 */
    assert_int_equal(o.d[0].flip_worker, 0);
    assert_true(fabs(o.d[0].flip_radius - (0.9 - 9.0 / 13)) < 1e-14);
    deq_votes_free(votes);
    deq_context_free(ctx);
}

/* log pi_c + sum of log t_i or log((1 - t_i) / (K - 1)), from the definition. */
static void posteriors_are_bayes_rule(void **state)
{
    (void)state;
    static const double trust[] = { 0.7, 0.2, 0.5, 1.0 / 3 }, prior[] = { 0.2, 0.5, 0.3 };
    static const int label[] = { 2, 0, 2, 1 };
    deq_context *ctx;
    outcome o;
    double q[3], sum = 0;

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    deq_votes *votes = votes_of(ctx, "task,worker,label\na,1,2\na,2,0\na,3,2\na,4,1\n");
    assert_int_equal(decide(&o, ctx, votes, trust, prior, NULL, NULL), DEQ_OK);
    for (int c = 0; c < 3; c++) {
        q[c] = prior[c];
        for (int i = 0; i < 4; i++) q[c] *= label[i] == c ? trust[i] : (1 - trust[i]) / 2;
        sum += q[c];
    }
    for (int c = 0; c < 3; c++) assert_true(fabs(o.q[c] - q[c] / sum) < 1e-14);
    deq_votes_free(votes);
    deq_context_free(ctx);
}

static const struct infinite {
    const char *name;
    double trust[4];
    const char *votes; /* of workers 1.. on labels 0, 1 (and 2) */
    const char *label;
    int flags;
} infinites[] = {
    { "one certain source beats all", { 1, 0.9, 0.9, 0.9 }, "0111", "0", DEQ_DECISION_CERTAIN },
    { "always wrong is certain of the other",
      { 0, 0.9, 0.9, 0.9 },
      "1011",
      "0",
      DEQ_DECISION_CERTAIN },
    { "n_plus above n_minus",
      { 1, 1, 1, 0.9 },
      "0011",
      "0",
      DEQ_DECISION_CERTAIN | DEQ_DECISION_CONTRADICTION },
    { "equal counts fall back to the finite part",
      { 1, 1, 0.9, 0.6 },
      "0110",
      "1",
      DEQ_DECISION_CONTRADICTION },
    { "certain against always wrong", { 1, 0, 0.6, 0.7 }, "0010", "0", DEQ_DECISION_CONTRADICTION },
    { "exclusion of one of three", { 0, 0.9, 0.6, 0.5 }, "0012", "1", 0 },
};

static void infinite_evidence_is_counted_apart(void **state)
{
    (void)state;
    deq_context *ctx;

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    for (size_t i = 0; i < sizeof infinites / sizeof *infinites; i++) {
        const struct infinite *c = &infinites[i];
        char text[200];
        size_t n = (size_t)snprintf(text, sizeof text, "task,worker,label\n");
        outcome o;
        for (int w = 0; c->votes[w]; w++)
            n += (size_t)snprintf(text + n, sizeof text - n, "a,%d,%c\n", w, c->votes[w]);
        deq_votes *votes = votes_of(ctx, text);
        assert_int_equal(decide(&o, ctx, votes, c->trust, NULL, NULL, NULL), DEQ_OK);
        if (strcmp(deq_votes_label_name(votes, o.d[0].label), c->label) != 0 ||
            (o.d[0].flags & (DEQ_DECISION_CERTAIN | DEQ_DECISION_CONTRADICTION)) != c->flags)
            fail_msg("%s: label %d, flags %d", c->name, (int)o.d[0].label, (int)o.d[0].flags);
        assert_true(isfinite(o.d[0].probability));
        deq_votes_free(votes);
    }
    deq_context_free(ctx);
}

static void ties_follow_the_rule(void **state)
{
    (void)state;
    static const double trust[] = { 0.7, 0.7, 0.5 };
    deq_decide_options options = deq_decide_defaults();
    deq_context *ctx;
    outcome o, again;
    int ones = 0;

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    deq_votes *votes = votes_of(ctx,
                                "task,worker,label\na,1,1\na,2,0\nb,3,1\nb,1,\nc,1,1\nc,2,1\n");
    assert_int_equal(decide(&o, ctx, votes, trust, NULL, NULL, &options), DEQ_OK);
    for (int t = 0; t < 2; t++) {
        assert_int_equal(o.d[t].label, 0);
        assert_int_equal(o.d[t].n_tied, 2);
        assert_true(o.d[t].flags & DEQ_DECISION_TIE);
        assert_true(o.d[t].margin == 0 && o.d[t].flip_radius == 0);
    }
    assert_int_equal(o.d[2].flags, DEQ_DECISION_UNANIMOUS);
    options.tie = DEQ_TIE_ABSTAIN;
    assert_int_equal(decide(&o, ctx, votes, trust, NULL, NULL, &options), DEQ_OK);
    assert_int_equal(o.d[0].label, -1);
    assert_int_equal(o.d[2].label, 1);
    options.tie = DEQ_TIE_RANDOM;
    for (uint64_t seed = 0; seed < 200; seed++) {
        options.seed = seed;
        assert_int_equal(decide(&o, ctx, votes, trust, NULL, NULL, &options), DEQ_OK);
        assert_int_equal(decide(&again, ctx, votes, trust, NULL, NULL, &options), DEQ_OK);
        assert_int_equal(o.d[0].label, again.d[0].label);
        ones += o.d[0].label;
    }
    assert_in_range(ones, 65, 135); /* five standard deviations of 200 fair coins: 100 -+ 35 */
    deq_votes_free(votes);
    deq_context_free(ctx);
}

static void tasks_without_votes_are_decided_by_the_prior(void **state)
{
    (void)state;
    static const double trust[] = { 0.7 }, prior[] = { 0.25, 0.75 }, zero[] = { 1, 0 };
    deq_context *ctx;
    outcome o;

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    deq_votes *votes = votes_of(ctx, "task,worker,label\na,1,\nb,1,0\nc,1,1\n");
    assert_int_equal(decide(&o, ctx, votes, trust, prior, NULL, NULL), DEQ_OK);
    assert_int_equal(o.d[0].label, 1);
    assert_int_equal(o.d[0].flags, DEQ_DECISION_NO_VOTES);
    assert_true(fabs(o.d[0].probability - 0.75) < 1e-15);
    assert_true(isinf(o.d[0].flip_radius));
    assert_int_equal(o.d[1].label, 1); /* 0.25 * 0.7 < 0.75 * 0.3 */
    assert_int_equal(decide(&o, ctx, votes, trust, zero, NULL, NULL), DEQ_OK);
    assert_int_equal(o.d[2].label, 0); /* the prior excludes the other */
    assert_true(o.d[2].probability == 1);
    deq_votes_free(votes);
    deq_context_free(ctx);
}

static void costs_move_the_decision(void **state)
{
    (void)state;
    static const double trust[] = { 0.8 }, cost[] = { 0, 1, 10, 0 }; /* missing a 1 costs 10 */
    deq_context *ctx;
    outcome o;

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    deq_votes *votes = votes_of(ctx, "task,worker,label\na,1,0\nb,1,1\n");
    assert_int_equal(decide(&o, ctx, votes, trust, NULL, cost, NULL), DEQ_OK);
    assert_int_equal(o.d[0].label, 1); /* 0.8 * 1 < 0.2 * 10 */
    assert_true(fabs(o.d[0].cost - 0.8) < 1e-14);
    assert_true(fabs(o.d[0].probability - 0.2) < 1e-14);
    /* indifferent at t = 10/11 */
    assert_true(fabs(o.d[0].flip_radius - (10.0 / 11 - 0.8)) < 1e-14);
    deq_votes_free(votes);
    deq_context_free(ctx);
}

static void confusion_matrices_decide_by_their_logarithms(void **state)
{
    (void)state;
    static const double e[] = { 0.9, 0.1, 0.4, 0.6, 1, 0, 0.5, 0.5 };
    deq_context *ctx;
    deq_decision d[2];
    double q[4];
    const deq_belief belief = { .struct_size = sizeof belief, .confusion = e };

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    deq_votes *votes = votes_of(ctx, "task,worker,label\na,1,0\na,2,0\nb,2,1\nb,1,0\n");
    assert_int_equal(deq_vote_decide(d, q, ctx, votes, &belief, NULL), DEQ_OK);
    assert_int_equal(d[0].label, 0);
    assert_true(fabs(q[0] - 0.9 / (0.9 + 0.4 * 0.5)) < 1e-14);
    assert_int_equal(d[1].label, 1); /* worker 2 never says 1 of a 0 */
    assert_true(d[1].flags & DEQ_DECISION_CERTAIN);
    assert_true(q[3] == 1);
    deq_votes_free(votes);
    deq_context_free(ctx);
}

/* The radius against trying: just inside nobody flips the task, just outside flip_worker does. */
static void check_radius(deq_context *ctx, const deq_votes *votes, const double *trust, int n,
                         const double *cost, const outcome *o, int task)
{
    const deq_decision *d = &o->d[task];
    double moved[8];
    bool flipped = false;
    outcome p;

    if (!isfinite(d->flip_radius) || d->n_tied > 1) return;
    for (int w = 0; w < n; w++)
        for (int side = -1; side <= 1; side += 2) {
            memcpy(moved, trust, (size_t)n * sizeof *trust);
            moved[w] = trust[w] + side * (d->flip_radius - 1e-6);
            if (moved[w] > 0 && moved[w] < 1) {
                assert_int_equal(decide(&p, ctx, votes, moved, NULL, cost, NULL), DEQ_OK);
                assert_int_equal(p.d[task].label, d->label);
            }
            moved[w] = trust[w] + side * (d->flip_radius + 1e-6);
            if (w != d->flip_worker || !(moved[w] > 0 && moved[w] < 1)) continue;
            assert_int_equal(decide(&p, ctx, votes, moved, NULL, cost, NULL), DEQ_OK);
            flipped |= p.d[task].label != d->label;
        }
    assert_true(flipped);
}

static void flip_radii_are_where_decisions_flip(void **state)
{
    (void)state;
    deq_context *ctx;
    int32_t truth[8];
    static const double p[] = { 0.8, 0.6, 0.55, 0.7, 0.3 };
    double costs[9], u[5];

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    for (uint64_t seed = 0; seed < 40; seed++) {
        const int K = seed % 2 ? 3 : 2;
        deq_votes *votes = draw_votes(truth, ctx, 8, p, 5, K, seed);
        const double *cost = seed % 4 < 2 ? NULL : costs;
        outcome o;
        assert_int_equal(
            deq_draw_uniform(u, DEQ_F64, 5, (deq_random_key){ seed, 1, 0 }, 0.05, 0.95), DEQ_OK);
        assert_int_equal(deq_draw_uniform(costs, DEQ_F64, 9, (deq_random_key){ seed, 2, 0 }, 0, 1),
                         DEQ_OK);
        assert_int_equal(decide(&o, ctx, votes, u, NULL, cost, NULL), DEQ_OK);
        for (int t = 0; t < 8; t++) check_radius(ctx, votes, u, 5, cost, &o, t);
        deq_votes_free(votes);
    }
    deq_context_free(ctx);
}

static void a_worker_who_votes_twice_flips_with_both_votes(void **state)
{
    (void)state;
    static const double trust[] = { 0.9, 0.7, 0.6 };
    deq_context *ctx;
    outcome o;

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    deq_votes *votes = votes_of(ctx, "task,worker,label\na,u,0\na,v,1\na,u,0\na,w,0\na,u,1\n");
    assert_int_equal(decide(&o, ctx, votes, trust, NULL, NULL, NULL), DEQ_OK);
    assert_int_equal(o.d[0].label, 0);
    check_radius(ctx, votes, trust, 3, NULL, &o, 0);
    deq_votes_free(votes);
    votes = votes_of(ctx, "task,worker,label\na,u,0\na,v,1\na,u,0\na,w,0\n");
    assert_int_equal(decide(&o, ctx, votes, trust, NULL, NULL, NULL), DEQ_OK);
    check_radius(ctx, votes, trust, 3, NULL, &o, 0);
    deq_votes_free(votes);
    deq_context_free(ctx);
}

static void clipping_and_linear_weights_are_options(void **state)
{
    (void)state;
    static const double trust[] = { 1, 0.95, 0.95 }, skills[] = { 0.4, 0.3, 0.2 };
    deq_decide_options options = deq_decide_defaults();
    deq_context *ctx;
    outcome o;

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    deq_votes *votes = votes_of(ctx, "task,worker,label\na,1,0\na,2,1\na,3,1\n");
    options.clip = 0.05;
    assert_int_equal(decide(&o, ctx, votes, trust, NULL, NULL, &options), DEQ_OK);
    assert_int_equal(o.d[0].label, 1);
    options.clip = 0;
    options.linear = true;
    assert_int_equal(decide(&o, ctx, votes, skills, NULL, NULL, &options), DEQ_OK);
    assert_int_equal(o.d[0].label, 1); /* 0.4 against 0.5; by log-odds all of them are reversed */
    assert_true(fabs(o.q[1] - 0.5 / 0.9) < 1e-15);
    deq_votes_free(votes);
    deq_context_free(ctx);
}

static void beliefs_out_of_range_are_refused(void **state)
{
    (void)state;
    static const double good[] = { 0.5, 0.5 }, bad[] = { 0.5, 1.5 }, nan_trust[] = { 0.5, NAN };
    static const double cost[] = { 0, -1, 1, 0 }, prior[] = { 0.5, 0.6 };
    deq_decide_options options = deq_decide_defaults();
    deq_context *ctx;
    outcome o;

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    deq_votes *votes = votes_of(ctx, "task,worker,label\na,ann,0\na,bob,1\n");
    assert_int_equal(decide(&o, ctx, votes, bad, NULL, NULL, NULL), DEQ_ERR_ARGUMENT);
    assert_string_equal(deq_last_error(ctx), "trust of worker 'bob' is 1.5, expected [0, 1]");
    assert_int_equal(decide(&o, ctx, votes, nan_trust, NULL, NULL, NULL), DEQ_ERR_ARGUMENT);
    assert_int_equal(decide(&o, ctx, votes, good, prior, NULL, NULL), DEQ_ERR_ARGUMENT);
    assert_int_equal(decide(&o, ctx, votes, good, NULL, cost, NULL), DEQ_ERR_ARGUMENT);
    assert_int_equal(decide(&o, ctx, votes, NULL, NULL, NULL, NULL), DEQ_ERR_ARGUMENT);
    options.clip = 0.5;
    assert_int_equal(decide(&o, ctx, votes, good, NULL, NULL, &options), DEQ_ERR_ARGUMENT);
    options.clip = 0;
    options.tie = (deq_tie)7;
    assert_int_equal(decide(&o, ctx, votes, good, NULL, NULL, &options), DEQ_ERR_ARGUMENT);
    assert_string_equal(deq_tie_name(DEQ_TIE_RANDOM), "random");
    assert_string_equal(deq_tie_name((deq_tie)7), "unknown");
    deq_votes_free(votes);
    deq_context_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_are_those_of_the_binary_rule),
        cmocka_unit_test(posteriors_are_bayes_rule),
        cmocka_unit_test(infinite_evidence_is_counted_apart),
        cmocka_unit_test(ties_follow_the_rule),
        cmocka_unit_test(tasks_without_votes_are_decided_by_the_prior),
        cmocka_unit_test(costs_move_the_decision),
        cmocka_unit_test(confusion_matrices_decide_by_their_logarithms),
        cmocka_unit_test(flip_radii_are_where_decisions_flip),
        cmocka_unit_test(a_worker_who_votes_twice_flips_with_both_votes),
        cmocka_unit_test(clipping_and_linear_weights_are_options),
        cmocka_unit_test(beliefs_out_of_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
