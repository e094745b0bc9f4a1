/* SPDX-License-Identifier: MIT */
#include "support/memory.h"
#include "vote/draw_votes.h"

#include <deq/vote/estimate.h>
#include <math.h>

enum { TASKS = 60, WORKERS = 7, LABELS = 3 };

static const double accuracy[WORKERS] = { 0.9, 0.8, 0.7, 0.6, 0.5, 0.34, 0.15 };

static deq_estimate *estimate(deq_context *ctx, const deq_votes *votes,
                              const deq_estimate_options *o)
{
    deq_estimate *e;

    if (deq_vote_estimate(&e, ctx, votes, o) != DEQ_OK) fail_msg("%s", deq_last_error(ctx));
    return e;
}

/* Plain EM written down a second time, straight from the equations ------------------------------- */

typedef struct naive {
    double q[TASKS][LABELS], e[WORKERS][LABELS][LABELS], p[WORKERS], pi[LABELS];
} naive;

static void naive_shares(naive *n, const deq_votes_view *v)
{
    memset(n, 0, sizeof *n);
    for (int t = 0; t < TASKS; t++)
        for (int64_t j = v->begin[t]; j < v->begin[t + 1]; j++)
            n->q[t][v->label[j]] += 1.0 / (double)(v->begin[t + 1] - v->begin[t]);
}

static void naive_maximise(naive *n, const deq_votes_view *v, const deq_estimate_options *o)
{
    double right[WORKERS] = { 0 }, all[WORKERS] = { 0 };

    memset(n->e, 0, sizeof n->e);
    memset(n->pi, 0, sizeof n->pi);
    for (int t = 0; t < TASKS; t++) {
        for (int c = 0; c < LABELS; c++)
            n->pi[c] += (n->q[t][c] + o->prior_smoothing / TASKS) /
                        (TASKS + LABELS * o->prior_smoothing);
        for (int64_t j = v->begin[t]; j < v->begin[t + 1]; j++) {
            right[v->worker[j]] += n->q[t][v->label[j]];
            all[v->worker[j]]++;
            for (int c = 0; c < LABELS; c++) n->e[v->worker[j]][c][v->label[j]] += n->q[t][c];
        }
    }
    for (int i = 0; i < WORKERS; i++) {
        n->p[i] = (o->a + right[i]) / (o->a + o->b + all[i]);
        for (int c = 0; c < LABELS; c++) {
            double sum = 0;
            for (int x = 0; x < LABELS; x++) sum += n->e[i][c][x] += o->smoothing;
            for (int x = 0; x < LABELS; x++) n->e[i][c][x] /= sum;
        }
    }
}

static void naive_expect(naive *n, const deq_votes_view *v, bool one_coin, bool free_prior)
{
    for (int t = 0; t < TASKS; t++) {
        double sum = 0;
        for (int c = 0; c < LABELS; c++) {
            double like = free_prior ? n->pi[c] : 1;
            for (int64_t j = v->begin[t]; j < v->begin[t + 1]; j++) {
                const uint32_t w = v->worker[j];
                const double wrong = (1 - n->p[w]) / (LABELS - 1);
                like *= !one_coin ? n->e[w][c][v->label[j]] : v->label[j] == c ? n->p[w] : wrong;
            }
            sum += n->q[t][c] = like;
        }
        for (int c = 0; c < LABELS; c++) n->q[t][c] /= sum;
    }
}

/* k evaluations leave the library at the parameters of k - 1 maximisations after the first. */
static void plain_em_is_that_of_the_books(void **state)
{
    (void)state;
    static naive n;
    deq_context *ctx;
    int32_t truth[TASKS];

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    deq_votes *votes = draw_votes(truth, ctx, TASKS, accuracy, WORKERS, LABELS, 5);
    const deq_votes_view v = deq_votes_values(votes);
    for (int k = 0; k < 4; k++) {
        deq_estimate_options o = deq_estimate_defaults();
        const bool one_coin = k < 2, free_prior = k % 2;
        o.method = one_coin ? DEQ_ONE_COIN : DEQ_DAWID_SKENE;
        o.class_prior = free_prior ? DEQ_PRIOR_FREE : DEQ_PRIOR_UNIFORM;
        o.solver = DEQ_PICARD;
        o.tolerance = 0;
        o.max_iter = 6;
        naive_shares(&n, &v);
        for (int i = 0; i < 6; i++) {
            naive_maximise(&n, &v, &o);
            naive_expect(&n, &v, one_coin, free_prior);
        }
        deq_estimate *e = estimate(ctx, votes, &o);
        const double *q = deq_estimate_posterior(e), *trust = deq_estimate_trust(e);
        const double *confusion = deq_estimate_confusion(e);
        for (int i = 0; i < TASKS * LABELS; i++)
            assert_true(fabs(q[i] - n.q[i / LABELS][i % LABELS]) < 1e-11);
        for (int i = 0; i < WORKERS && one_coin; i++) assert_true(fabs(trust[i] - n.p[i]) < 1e-11);
        assert_true(one_coin == !confusion);
        for (int i = 0; i < WORKERS * LABELS * LABELS && !one_coin; i++)
            assert_true(fabs(confusion[i] - (&n.e[0][0][0])[i]) < 1e-11);
        for (int c = 0; c < LABELS && free_prior; c++)
            assert_true(fabs(deq_estimate_prior(e)[c] - n.pi[c]) < 1e-11);
        deq_estimate_free(e);
    }
    deq_votes_free(votes);
    deq_context_free(ctx);
}

/* The objective of plain EM never falls (rounding: 1e-9 of some hundred). */
static void plain_em_never_lowers_the_objective(void **state)
{
    (void)state;
    static const deq_aggregation methods[] = { DEQ_ONE_COIN, DEQ_DAWID_SKENE, DEQ_GLAD, DEQ_MACE };
    deq_context *ctx;
    int32_t truth[TASKS];

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    for (uint64_t seed = 0; seed < 5; seed++) {
        deq_votes *votes = draw_votes(truth, ctx, TASKS, accuracy, WORKERS, LABELS, seed);
        for (int m = 0; m < 4; m++) {
            deq_estimate_options o = deq_estimate_defaults();
            o.method = methods[m];
            o.class_prior = DEQ_PRIOR_FREE;
            o.solver = DEQ_PICARD;
            o.tolerance = 1e-8;
            o.max_iter = 300;
            o.trace = true;
            deq_estimate *e = estimate(ctx, votes, &o);
            const deq_estimate_info info = deq_estimate_about(e);
            assert_true(info.trace_length > 3);
            for (int64_t i = 1; i < info.trace_length; i++)
                assert_true(info.trace[i] >= info.trace[i - 1] - 1e-9);
            assert_true(info.objective >= info.trace[info.trace_length - 1] - 1e-9);
            deq_estimate_free(e);
        }
        deq_votes_free(votes);
    }
    deq_context_free(ctx);
}

/* Accelerated solves reach a gain as small, no lower than their own best, in fewer passes where plain
 * EM needs many; all are fixed points: one more step of plain EM gains next to nothing. */
static void accelerated_solves_reach_fixed_points_sooner(void **state)
{
    (void)state;
    static const deq_aggregation methods[] = { DEQ_ONE_COIN, DEQ_DAWID_SKENE, DEQ_GLAD, DEQ_MACE };
    static const deq_method solvers[] = { DEQ_PICARD, DEQ_SQUAREM, DEQ_ANDERSON };
    int64_t passes[3] = { 0 };
    deq_context *ctx;
    int32_t truth[TASKS];

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    for (uint64_t seed = 0; seed < 5; seed++) {
        deq_votes *votes = draw_votes(truth, ctx, TASKS, accuracy, WORKERS, LABELS, seed);
        for (int m = 0; m < 4; m++)
            for (int s = 0; s < 3; s++) {
                deq_estimate_options o = deq_estimate_defaults();
                o.method = methods[m];
                o.solver = solvers[s];
                o.tolerance = 1e-9;
                o.max_iter = 20000;
                o.trace = true;
                deq_estimate *e = estimate(ctx, votes, &o);
                const deq_estimate_info info = deq_estimate_about(e);
                assert_true(info.converged);
                assert_true(info.gain < 2e-9);
                for (int64_t i = 0; i < info.trace_length; i++)
                    assert_true(info.objective >= info.trace[i] - 1e-9);
                passes[s] += info.n_eval;
                deq_estimate_free(e);
            }
        deq_votes_free(votes);
    }
    assert_true(2 * passes[1] < passes[0]);
    assert_true(passes[2] < passes[0]);
    deq_context_free(ctx);
}

/* Many tasks: the accuracies come out to within five standard errors, and better labels than the
 * majority's. */
static void one_coin_recovers_accuracies(void **state)
{
    (void)state;
    enum { MANY = 4000 };
    static int32_t truth[MANY];
    deq_estimate_options o = deq_estimate_defaults();
    deq_context *ctx;
    int right[2] = { 0 };

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    deq_votes *votes = draw_votes(truth, ctx, MANY, accuracy, WORKERS, LABELS, 1);
    for (int m = 0; m < 2; m++) {
        o.method = m ? DEQ_ONE_COIN : DEQ_MAJORITY;
        o.tolerance = 1e-9;
        o.max_iter = 1000;
        deq_estimate *e = estimate(ctx, votes, &o);
        const double *q = deq_estimate_posterior(e);
        for (int t = 0; t < MANY; t++) {
            int best = 0;
            for (int c = 1; c < LABELS; c++)
                if (q[t * LABELS + c] > q[t * LABELS + best]) best = c;
            right[m] += best == truth[t];
        }
        /* sampling: 0.008 at most; labels unknown: somewhat more */
        for (int i = 0; i < WORKERS && m; i++)
            assert_true(fabs(deq_estimate_trust(e)[i] - accuracy[i]) < 0.05);
        if (m) assert_int_equal(deq_estimate_about(e).n_below_chance >= 1, 1);
        if (m) assert_true(deq_estimate_about(e).warnings & DEQ_WARN_BELOW_CHANCE);
        deq_estimate_free(e);
    }
    assert_true(right[1] > right[0] + 100);
    deq_votes_free(votes);
    deq_context_free(ctx);
}

static void gold_labels_are_held(void **state)
{
    (void)state;
    deq_estimate_options o = deq_estimate_defaults();
    deq_context *ctx;
    int32_t truth[TASKS], gold[TASKS];

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    deq_votes *votes = draw_votes(truth, ctx, TASKS, accuracy, WORKERS, LABELS, 2);
    for (int t = 0; t < TASKS; t++) gold[t] = t % 2 ? -1 : (truth[t] + 1) % LABELS; /* odd gold */
    o.gold = gold;
    for (int m = 0; m < DEQ_AGGREGATION_COUNT; m++) {
        o.method = (deq_aggregation)m;
        if (m == DEQ_KOS) continue;
        deq_estimate *e = estimate(ctx, votes, &o);
        const double *q = deq_estimate_posterior(e);
        int held = 0;
        for (int t = 0; t < TASKS; t += 2) held += q[t * LABELS + gold[t]] == 1;
        for (int i = 0; i < TASKS * LABELS; i++) assert_true(q[i] >= 0 && q[i] <= 1);
        for (int i = 0; i < WORKERS; i++)
            assert_true(deq_estimate_trust(e)[i] >= 0 && deq_estimate_trust(e)[i] <= 1);
        const bool model = m >= DEQ_ONE_COIN && m <= DEQ_MACE;
        assert_int_equal(model, held == TASKS / 2);
        deq_estimate_free(e);
    }
    deq_votes_free(votes);
    deq_context_free(ctx);
}

/* Two groups of tasks without a common worker, and a worker with no votes at all. */
static void sparse_votes_give_finite_results(void **state)
{
    (void)state;
    deq_context *ctx;

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    deq_votes *votes = votes_of(ctx, "task,worker,label\na,u,1\na,v,1\nb,u,0\nc,w,0\nd,x,\nd,y,\n");
    const deq_votes_view v = deq_votes_values(votes);
    for (int m = 0; m < DEQ_AGGREGATION_COUNT; m++) {
        deq_estimate_options o = deq_estimate_defaults();
        const int32_t gold[] = { 1, -1, -1, -1 };
        o.method = (deq_aggregation)m;
        o.gold = gold;
        o.restarts = 2;
        deq_estimate *e = estimate(ctx, votes, &o);
        for (int64_t i = 0; i < v.n_tasks * v.n_labels; i++)
            assert_true(isfinite(deq_estimate_posterior(e)[i]));
        for (int64_t i = 0; i < v.n_workers; i++) assert_true(isfinite(deq_estimate_trust(e)[i]));
        deq_estimate_free(e);
    }
    deq_votes_free(votes);
    deq_context_free(ctx);
}

static void messages_find_the_good_workers(void **state)
{
    (void)state;
    static const double mixed[] = { 0.9, 0.9, 0.85, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5 };
    deq_estimate_options o = deq_estimate_defaults();
    deq_context *ctx;
    enum { MANY = 1000, N = 9 };
    static int32_t truth[MANY];
    double right[3] = { 0 };
    static const deq_aggregation methods[] = { DEQ_MAJORITY, DEQ_KOS, DEQ_M_MSR };

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    deq_votes *votes = draw_votes(truth, ctx, MANY, mixed, N, 2, 9);
    for (int m = 0; m < 3; m++) {
        o.method = methods[m];
        deq_estimate *e = estimate(ctx, votes, &o);
        for (int t = 0; t < MANY; t++)
            right[m] += deq_estimate_posterior(e)[2 * t + truth[t]] > 0.5;
        deq_estimate_free(e);
    }
    assert_true(right[1] > right[0] + 50);
    assert_true(right[2] > right[0] + 50);
    deq_votes_free(votes);
    deq_context_free(ctx);
}

static void earlier_counts_are_as_good_as_gold(void **state)
{
    (void)state;
    deq_estimate_options o = deq_estimate_defaults();
    deq_context *ctx;
    const int64_t correct[] = { 9, 1, 5 }, total[] = { 10, 10, 10 };
    const int32_t gold[] = { 0, -1 };

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    deq_votes *votes = votes_of(ctx, "task,worker,label\na,u,0\na,v,1\na,w,1\nb,u,1\nb,v,1\n");
    o.method = DEQ_GOLD_WMV;
    o.correct = correct;
    o.total = total;
    o.gold = gold;
    deq_estimate *e = estimate(ctx, votes, &o);
    assert_true(fabs(deq_estimate_trust(e)[0] - 11.0 / 13) < 1e-15);
    assert_true(fabs(deq_estimate_trust(e)[1] - 2.0 / 13) < 1e-15);
    assert_true(fabs(deq_estimate_posterior(e)[3] - 0.5) < 1e-12); /* u and v say the opposite */
    assert_false(deq_estimate_about(e).warnings & DEQ_WARN_FEW_GOLD);
    deq_estimate_free(e);
    o.method = DEQ_DAWID_SKENE;
    assert_int_equal(deq_vote_estimate(&e, ctx, votes, &o), DEQ_ERR_UNSUPPORTED);
    o.method = DEQ_ONE_COIN;
    o.max_iter = 0; /* the start: vote shares, and the counts */
    o.gold = NULL;
    e = estimate(ctx, votes, &o);
    assert_true(fabs(deq_estimate_trust(e)[0] - (1 + 9 + 1.0 / 3 + 1) / 14) < 1e-12);
    deq_estimate_free(e);
    deq_votes_free(votes);
    deq_context_free(ctx);
}

static void options_out_of_range_are_refused(void **state)
{
    (void)state;
    deq_context *ctx;
    deq_estimate *e;
    deq_aggregation method;
    const int32_t gold[] = { 2 };
    const double prior[] = { 0.5, 0.6 };

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    deq_votes *votes = votes_of(ctx, "task,worker,label\na,u,0\na,v,1\n");
    deq_votes *one = votes_of(ctx, "task,worker,label\na,u,0\na,v,0\n");
    deq_votes *three = votes_of(ctx, "task,worker,label\na,u,0\na,v,1\na,w,2\n");
    const deq_estimate_options good = deq_estimate_defaults();
    deq_estimate_options o[11];
    for (int i = 0; i < 11; i++) o[i] = good;
    o[0].struct_size = 0;
    o[1].method = DEQ_AGGREGATION_COUNT;
    o[2].solver = DEQ_BROYDEN;
    o[3].max_iter = -1;
    o[4].tolerance = -1;
    o[5].smoothing = 0;
    o[6].a = 0;
    o[7].class_prior = DEQ_PRIOR_GIVEN;
    o[8].gold = gold;
    o[9].method = DEQ_GOLD_WMV;
    o[10].class_prior = DEQ_PRIOR_GIVEN;
    o[10].prior = prior;
    for (int i = 0; i < 11; i++) {
        assert_int_equal(deq_vote_estimate(&e, ctx, votes, &o[i]), DEQ_ERR_ARGUMENT);
        assert_null(e);
    }
    assert_int_equal(deq_vote_estimate(&e, ctx, one, &good), DEQ_ERR_ARGUMENT);
    assert_non_null(strstr(deq_last_error(ctx), "all votes are '0': expected two labels"));
    o[0] = good;
    o[0].method = DEQ_KOS;
    assert_int_equal(deq_vote_estimate(&e, ctx, three, &o[0]), DEQ_ERR_UNSUPPORTED);
    for (int m = 0; m < DEQ_AGGREGATION_COUNT; m++) {
        assert_int_equal(
            deq_aggregation_find(&method, ctx, deq_aggregation_name((deq_aggregation)m)), DEQ_OK);
        assert_int_equal(method, m);
    }
    assert_int_equal(deq_aggregation_find(&method, ctx, "dawid-skene"), DEQ_OK);
    assert_int_equal(deq_aggregation_find(&method, ctx, "dawid_skeen"), DEQ_ERR_NAME);
    assert_non_null(strstr(deq_last_error(ctx), "did you mean 'dawid_skene'?"));
    deq_votes_free(votes);
    deq_votes_free(one);
    deq_votes_free(three);
    deq_estimate_free(NULL);
    deq_context_free(ctx);
}

typedef struct told {
    deq_aggregation method;
    int64_t done, end; /* passes so far; after which to stop */
    double best;
} told;

static bool hear(void *user, const deq_estimate_progress *now)
{
    told *t = user;

    assert_int_equal(now->method, t->method);
    assert_int_equal(now->done, ++t->done);
    assert_true(now->done <= now->most);
    assert_true(now->change >= 0 || !isnan(now->objective));
    if (now->objective > t->best) t->best = now->objective;
    return t->done < t->end;
}

static void observers_see_every_pass_and_may_end_them(void **state)
{
    (void)state;
    static const deq_aggregation methods[] = { DEQ_ZBS,  DEQ_ONE_COIN, DEQ_DAWID_SKENE, DEQ_GLAD,
                                               DEQ_MACE, DEQ_KOS,      DEQ_M_MSR };
    static int32_t truth[200];
    deq_estimate_options o = deq_estimate_defaults();
    deq_context *ctx;

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    deq_votes *votes = draw_votes(truth, ctx, 200, accuracy, WORKERS, 2, 3);
    o.observer = hear;
    o.tolerance = 1e-9;
    for (size_t m = 0; m < sizeof methods / sizeof *methods; m++)
        for (int end = 3; end < 2000; end += 1000) {
            told t = { .method = methods[m], .end = end, .best = -INFINITY };
            o.method = methods[m];
            o.max_iter = end > 3 ? 300 : 100;
            o.restarts = 2;
            o.observer_user = &t;
            deq_estimate *e = estimate(ctx, votes, &o);
            const deq_estimate_info info = deq_estimate_about(e);
            assert_true(t.done >= 3);
            if (end == 3) {
                assert_int_equal(t.done, 3);
                assert_false(info.converged);
            }
            if (t.best > -INFINITY) assert_true(info.objective >= t.best - 1e-6);
            deq_estimate_free(e);
        }
    deq_votes_free(votes);
    deq_context_free(ctx);
}

/* Where every worker votes on every task, the equations of the paper, with sums and without a test of
 * convergence, give the same labels. */
static void on_a_regular_graph_kos_is_the_papers(void **state)
{
    (void)state;
    enum { T = 40, W = 7 };
    static const double p[W] = { 0.9, 0.55, 0.8, 0.3, 0.6, 0.7, 0.5 };
    double y[T][W], x[T][W];
    int32_t truth[T];
    deq_context *ctx;
    deq_estimate *e;
    deq_estimate_options o = deq_estimate_defaults();

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    deq_votes *votes = draw_votes(truth, ctx, T, p, W, 2, 6);
    const deq_votes_view v = deq_votes_values(votes);
    o.method = DEQ_KOS;
    o.max_iter = 1000;
    assert_int_equal(deq_vote_estimate(&e, ctx, votes, &o), DEQ_OK);
    assert_true(deq_estimate_about(e).converged);
    assert_true(deq_estimate_about(e).n_iter < 1000);
    for (int t = 0; t < T; t++)
        for (int j = 0; j < W; j++) y[t][j] = 1;
    for (int k = 0; k < 200; k++) {
        double square = 0;
        for (int t = 0; t < T; t++)
            for (int j = 0; j < W; j++) {
                x[t][j] = 0;
                for (int i = 0; i < W; i++)
                    if (i != j) x[t][j] += (v.label[v.begin[t] + i] ? 1 : -1) * y[t][i];
            }
        for (int t = 0; t < T; t++)
            for (int j = 0; j < W; j++) {
                y[t][j] = 0;
                for (int i = 0; i < T; i++)
                    if (i != t) y[t][j] += (v.label[v.begin[i] + j] ? 1 : -1) * x[i][j];
                square += y[t][j] * y[t][j];
            }
        for (int t = 0; t < T; t++)
            for (int j = 0; j < W; j++) y[t][j] /= sqrt(square / (T * W));
    }
    for (int t = 0; t < T; t++) {
        double sum = 0;
        for (int j = 0; j < W; j++) sum += (v.label[v.begin[t] + j] ? 1 : -1) * y[t][j];
        assert_true((sum > 0) == (deq_estimate_posterior(e)[2 * t + 1] > 0.5));
    }
    deq_estimate_free(e);
    deq_votes_free(votes);
    deq_context_free(ctx);
}

/* With three votes a task the start of the messages may point the wrong way round. */
static void kos_never_takes_everyone_for_a_liar(void **state)
{
    (void)state;
    enum { T = 3 };
    static const double p[] = { 0.999, 0.999, 0.999 };
    int32_t truth[T];
    deq_context *ctx;
    deq_estimate_options o = deq_estimate_defaults();

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    deq_votes *votes = draw_votes(truth, ctx, T, p, 3, 2, 1);
    o.method = DEQ_KOS;
    for (o.seed = 0; o.seed < 3000; o.seed++) {
        deq_estimate *e;
        assert_int_equal(deq_vote_estimate(&e, ctx, votes, &o), DEQ_OK);
        for (int t = 0; t < T; t++)
            assert_true((deq_estimate_posterior(e)[2 * t + 1] > 0.5) == truth[t]);
        deq_estimate_free(e);
    }
    deq_votes_free(votes);
    deq_context_free(ctx);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    int32_t truth[4];
    const double p[] = { 0.9, 0.7, 0.6 };

    for (int m = 0; m < DEQ_AGGREGATION_COUNT; m++) {
        test_memory memory = { 0 };
        deq_context *ctx = test_memory_context(&memory, 1);
        deq_votes *votes = draw_votes(truth, ctx, 4, p, 3, 2, 1);
        deq_estimate_options o = deq_estimate_defaults();
        deq_estimate *e = NULL;
        deq_status status = DEQ_ERR_NOMEM;
        o.method = (deq_aggregation)m;
        o.gold = truth;
        o.trace = true;
        for (int k = 1; k < 200 && status == DEQ_ERR_NOMEM; k++) {
            memory.fail_at = memory.calls + (size_t)k;
            status = deq_vote_estimate(&e, ctx, votes, &o);
            assert_true(status == DEQ_OK || !e);
        }
        memory.fail_at = 0;
        assert_int_equal(status, DEQ_OK);
        deq_estimate_free(e);
        deq_votes_free(votes);
        deq_context_free(ctx);
        assert_memory_clean(&memory);
    }
}

/* More than 20000 votes, so that several threads take part: sums in another order. */
static void threads_change_rounding_alone(void **state)
{
    (void)state;
    enum { MANY = 4000 };
    static int32_t truth[MANY];
    deq_context_options c = deq_context_defaults();
    deq_estimate *e[3];
    deq_votes *votes[3];
    deq_context *ctx[3];

    for (int i = 0; i < 3; i++) {
        deq_estimate_options o = deq_estimate_defaults();
        c.threads = i == 0 ? 1 : 3;
        assert_int_equal(deq_context_new(&ctx[i], &c), DEQ_OK);
        votes[i] = draw_votes(truth, ctx[i], MANY, accuracy, WORKERS, LABELS, 4);
        o.solver = DEQ_PICARD;
        o.max_iter = 20;
        o.tolerance = 0;
        e[i] = estimate(ctx[i], votes[i], &o);
    }
    for (int i = 0; i < MANY * LABELS; i++) {
        assert_true(fabs(deq_estimate_posterior(e[0])[i] - deq_estimate_posterior(e[1])[i]) < 1e-9);
        assert_true(deq_estimate_posterior(e[1])[i] == deq_estimate_posterior(e[2])[i]);
    }
    for (int i = 0; i < 3; i++) {
        deq_estimate_free(e[i]);
        deq_votes_free(votes[i]);
        deq_context_free(ctx[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_em_is_that_of_the_books),
        cmocka_unit_test(plain_em_never_lowers_the_objective),
        cmocka_unit_test(accelerated_solves_reach_fixed_points_sooner),
        cmocka_unit_test(one_coin_recovers_accuracies),
        cmocka_unit_test(gold_labels_are_held),
        cmocka_unit_test(sparse_votes_give_finite_results),
        cmocka_unit_test(messages_find_the_good_workers),
        cmocka_unit_test(earlier_counts_are_as_good_as_gold),
        cmocka_unit_test(options_out_of_range_are_refused),
        cmocka_unit_test(observers_see_every_pass_and_may_end_them),
        cmocka_unit_test(on_a_regular_graph_kos_is_the_papers),
        cmocka_unit_test(kos_never_takes_everyone_for_a_liar),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(threads_change_rounding_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
