/* SPDX-License-Identifier: MIT */
#include "support/memory.h"
#include "vote/draw_votes.h"

#include <deq/vote/influence.h>
#include <deq/vote/sensitivity.h>
#include <math.h>
#include <stdio.h>

enum { WORKERS = 5, MOST_LABELS = 3, TASKS = 12 };

/* DEQ_TEST_SEED=<number> tries other data. */
static uint64_t test_seed(void)
{
    const char *text = getenv("DEQ_TEST_SEED");

    return text ? strtoull(text, NULL, 0) : 1;
}

/* What is in memory, so that a vote can be another one. */
typedef struct panel {
    int32_t task[TASKS * WORKERS], worker[TASKS * WORKERS], label[TASKS * WORKERS];
    int labels;
} panel;

static deq_votes *table_of(deq_context *ctx, const panel *p)
{
    const deq_votes_arrays a = { .struct_size = sizeof a,
                                 .n_tasks = TASKS,
                                 .n_workers = WORKERS,
                                 .n_labels = p->labels,
                                 .n_votes = TASKS * WORKERS,
                                 .task = p->task,
                                 .worker = p->worker,
                                 .label = p->label };
    deq_votes *votes;

    assert_int_equal(deq_votes_new(&votes, ctx, &a), DEQ_OK);
    return votes;
}

static void fill(panel *p, int labels, uint64_t seed)
{
    double u[TASKS * WORKERS];

    p->labels = labels;
    assert_int_equal(
        deq_draw_uniform(u, DEQ_F64, TASKS * WORKERS, (deq_random_key){ seed, 0, 0 }, 0, 1),
        DEQ_OK);
    for (int i = 0; i < TASKS * WORKERS; i++) {
        p->task[i] = i / WORKERS;
        p->worker[i] = i % WORKERS;
        p->label[i] = (int32_t)(u[i] * labels);
    }
}

/* The labels that deq_vote_decide() finds equally good on each task, from costs or posteriors. */
static void best_labels(bool best[TASKS][MOST_LABELS], deq_context *ctx, const panel *p,
                        const deq_belief *belief)
{
    deq_votes *votes = table_of(ctx, p);
    const int K = p->labels;
    deq_decision d[TASKS];
    double q[TASKS * MOST_LABELS];

    assert_int_equal(deq_vote_decide(d, q, ctx, votes, belief, NULL), DEQ_OK);
    for (int t = 0; t < TASKS; t++)
        for (int a = 0; a < K; a++) {
            double cost = 0, most = 0;
            for (int c = 0; c < K; c++) {
                if (belief->cost) cost += q[t * K + c] * belief->cost[c * K + a];
                most = fmax(most, q[t * K + c]);
            }
            best[t][a] = belief->cost ? cost <= d[t].cost + 1e-9 : q[t * K + a] >= most - 1e-9;
        }
    deq_votes_free(votes);
}

/* (1) of influence.h, by deciding again with every other vote. */
static double by_definition(deq_context *ctx, const panel *p, const deq_belief *belief, int worker)
{
    bool all[TASKS][MOST_LABELS], best[MOST_LABELS][TASKS][MOST_LABELS];
    double sum = 0;

    for (int x = 0; x < p->labels; x++) {
        panel other = *p;
        for (int t = 0; t < TASKS; t++) other.label[t * WORKERS + worker] = x;
        best_labels(best[x], ctx, &other, belief);
    }
    for (int t = 0; t < TASKS; t++) {
        bool same = true, common = false;
        for (int c = 0; c < p->labels; c++) {
            all[t][c] = true;
            for (int x = 0; x < p->labels; x++) {
                all[t][c] = all[t][c] && best[x][t][c];
                same = same && best[x][t][c] == best[0][t][c];
            }
            common = common || all[t][c];
        }
        sum += same ? 0 : common ? 0.5 : 1;
    }
    return sum / TASKS;
}

static const double prior_3[] = { 0.5, 0.3, 0.2 };
static const double cost_2[] = { 0, 1, 4, 0 }, cost_3[] = { 0, 1, 2, 5, 0, 1, 1, 1, 0 };

static const struct belief_case {
    const char *name;
    int labels;
    double trust[WORKERS];
    const double *prior, *cost;
} cases[] = {
    { "two labels", 2, { 0.9, 0.7, 0.6, 0.65, 0.55 }, NULL, NULL },
    { "equal weights: ties", 2, { 0.7, 0.7, 0.7, 0.7, 0.5 }, NULL, NULL },
    { "reversed votes", 2, { 0.2, 0.7, 0.6, 0.4, 0.55 }, NULL, NULL },
    { "a certain source", 2, { 1, 0.7, 0.6, 0.65, 0.55 }, NULL, NULL },
    { "certain sources against each other", 2, { 1, 1, 0, 0.65, 0.55 }, NULL, NULL },
    { "costs", 2, { 0.9, 0.7, 0.6, 0.65, 0.55 }, NULL, cost_2 },
    { "three labels", 3, { 0.9, 0.7, 0.4, 0.5, 0.35 }, NULL, NULL },
    { "three labels, below chance", 3, { 0.1, 0.7, 0.4, 0.2, 0.6 }, NULL, NULL },
    { "three labels, ties", 3, { 0.6, 0.6, 0.6, 0.6, 0.6 }, NULL, NULL },
    { "three labels, prior", 3, { 0.9, 0.7, 0.4, 0.5, 0.35 }, prior_3, NULL },
    { "three labels, costs", 3, { 0.9, 0.7, 0.4, 0.5, 0.35 }, prior_3, cost_3 },
    { "three labels, a certain source", 3, { 0.9, 1, 0.4, 0, 0.35 }, NULL, NULL },
};

static void pivots_are_those_of_deciding_again(void **state)
{
    (void)state;
    const uint64_t seed = test_seed();
    deq_context *ctx;
    panel p;

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct belief_case *c = &cases[i];
        const deq_belief belief = {
            .struct_size = sizeof belief, .trust = c->trust, .prior = c->prior, .cost = c->cost
        };
        double pivot[WORKERS];
        fill(&p, c->labels, seed + i);
        deq_votes *votes = table_of(ctx, &p);
        assert_int_equal(deq_vote_influence(pivot, ctx, votes, &belief, NULL), DEQ_OK);
        for (int w = 0; w < WORKERS; w++) {
            const double wanted = by_definition(ctx, &p, &belief, w);
            if (pivot[w] != wanted)
                fail_msg("%s, worker %d: %g, expected %g (seed %llu)", c->name, w, pivot[w], wanted,
                         (unsigned long long)seed);
        }
        deq_votes_free(votes);
    }
    deq_context_free(ctx);
}

/* A confusion matrix of equal errors is a trust, whichever way it is counted. */
static void confusion_matrices_of_one_coin_give_the_pivots_of_trust(void **state)
{
    (void)state;
    static const double trust[WORKERS] = { 0.9, 0.7, 0.4, 0.5, 0.2 };
    double confusion[WORKERS * 9], by_trust[WORKERS], by_matrix[WORKERS];
    deq_context *ctx;
    panel p;

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    for (int i = 0; i < WORKERS * 9; i++)
        confusion[i] = i % 9 % 4 == 0 ? trust[i / 9] : (1 - trust[i / 9]) / 2;
    fill(&p, 3, test_seed());
    deq_votes *votes = table_of(ctx, &p);
    deq_belief belief = { .struct_size = sizeof belief, .trust = trust };
    assert_int_equal(deq_vote_influence(by_trust, ctx, votes, &belief, NULL), DEQ_OK);
    belief.trust = NULL;
    belief.confusion = confusion;
    assert_int_equal(deq_vote_influence(by_matrix, ctx, votes, &belief, NULL), DEQ_OK);
    for (int w = 0; w < WORKERS; w++) assert_true(by_trust[w] == by_matrix[w]);
    deq_votes_free(votes);
    deq_context_free(ctx);
}

/* 20,000 tasks: four standard errors are at most 0.0142. */
static void the_share_estimates_the_pivot_probability(void **state)
{
    (void)state;
    enum { MANY = 20000 };
    static const double p[] = { 0.9, 0.8, 0.7, 0.6, 0.55 };
    deq_vote_sensitivity_result r;
    deq_vote_sensitivity_source s[5];
    double pivot[5];
    deq_context *ctx;
    int32_t *truth = malloc(MANY * sizeof *truth);

    assert_non_null(truth);
    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    deq_votes *votes = draw_votes(truth, ctx, MANY, p, 5, 2, test_seed());
    const deq_belief belief = { .struct_size = sizeof belief, .trust = p };
    assert_int_equal(deq_vote_influence(pivot, ctx, votes, &belief, NULL), DEQ_OK);
    assert_int_equal(deq_vote_sensitivity(&r, s, ctx, 5, p, p, NULL), DEQ_OK);
    for (int i = 0; i < 5; i++)
        if (!(fabs(pivot[i] - s[i].pivot) < 0.0142))
            fail_msg("worker %d: %g, expected about %g", i, pivot[i], s[i].pivot);
    deq_votes_free(votes);
    deq_context_free(ctx);
    free(truth);
}

static void what_is_out_of_range_is_refused(void **state)
{
    (void)state;
    double trust[] = { 0.9, 1.5 }, pivot[2];
    deq_belief belief = { .struct_size = sizeof belief, .trust = trust };
    deq_context *ctx;

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    deq_votes *votes = votes_of(ctx, "task,worker,label\na,1,0\na,2,1\n");
    assert_int_equal(deq_vote_influence(pivot, ctx, votes, &belief, NULL), DEQ_ERR_ARGUMENT);
    assert_non_null(strstr(deq_last_error(ctx), "trust, element 1 is 1.5"));
    assert_int_equal(deq_vote_influence(pivot, ctx, votes, NULL, NULL), DEQ_ERR_ARGUMENT);
    belief.trust = NULL;
    assert_int_equal(deq_vote_influence(pivot, ctx, votes, &belief, NULL), DEQ_ERR_ARGUMENT);
    deq_votes_free(votes);
    deq_context_free(ctx);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(pivots_are_those_of_deciding_again),
        cmocka_unit_test(confusion_matrices_of_one_coin_give_the_pivots_of_trust),
        cmocka_unit_test(the_share_estimates_the_pivot_probability),
        cmocka_unit_test(what_is_out_of_range_is_refused),
    };
    return cmocka_run_group_tests_name("vote/influence", tests, NULL, NULL);
}
