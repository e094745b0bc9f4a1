/* SPDX-License-Identifier: MIT */
/*
 * Methods against gold, and the test of stability of correctness: trust from the other folds, decisions
 * on this one.  A method that does not look at gold is run once for all folds.
 */
#include <deq/vote/compare.h>

#include "base/context.h"
#include "base/philox.h"
#include "vote/estimate.h"
#include "vote/score.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

deq_compare_options deq_compare_defaults(void)
{
    return (deq_compare_options){
        .struct_size = sizeof(deq_compare_options), .folds = 5, .clamp = true, .n_bins = 10
    };
}

/* Folds -------------------------------------------------------------------------------------- */

typedef struct drawn {
    uint64_t order;
    int64_t task;
} drawn;

static int by_order(const void *a, const void *b)
{
    const drawn *x = a, *y = b;

    if (x->order != y->order) return x->order < y->order ? -1 : 1;
    return x->task < y->task ? -1 : x->task > y->task;
}

static uint64_t draw(const deq_philox_stream *s, int64_t task)
{
    uint32_t words[4];

    deq_philox_words(words, s, DEQ_PHILOX_HIGH, (uint64_t)task);
    return (uint64_t)words[0] << 32 | words[1];
}

/* The fold of a task is its rank among the draws, modulo the number of folds. */
static deq_status cut(int32_t *fold, deq_context *ctx, const deq_votes *votes, const int32_t *gold,
                      int folds, uint64_t seed)
{
    const size_t T = (size_t)deq_votes_values(votes).n_tasks;
    const deq_philox_stream s = deq_philox_stream_of(seed, 0, 0);
    drawn *list = deq_alloc_array(ctx, T, sizeof *list);
    size_t n = 0;

    if (!list) return DEQ_ERR_NOMEM;
    for (size_t t = 0; t < T; t++) {
        fold[t] = -1;
        if (gold[t] >= 0) list[n++] = (drawn){ draw(&s, (int64_t)t), (int64_t)t };
    }
    qsort(list, n, sizeof *list, by_order);
    for (size_t i = 0; i < n; i++) fold[list[i].task] = (int32_t)(i % (size_t)folds);
    deq_release(ctx, list, T * sizeof *list);
    return DEQ_OK;
}

deq_status deq_vote_cut_folds(int32_t *fold, deq_context *ctx, const deq_votes *votes,
                              const int32_t *gold, int folds, uint64_t seed)
{
    if (folds < 1) return deq_fail(ctx, DEQ_ERR_ARGUMENT, "%d folds", folds);
    return cut(fold, ctx, votes, gold, folds, seed);
}

/* One method on all folds -------------------------------------------------------------------- */

typedef struct trial {
    deq_context *ctx;
    const deq_votes *votes;
    deq_votes_view v;
    const int32_t *gold;
    const deq_compare_options *options;
    int32_t *fold;     /* [n_tasks] */
    int32_t *known;    /* [n_tasks] gold of the other folds */
    int64_t *counts;   /* [2, n_workers] scratch */
    double *posterior; /* [n_tasks, K] of each task by what the other folds taught */
    deq_reliability workers;
    deq_trust_prior prior;
    deq_estimate_info info;
    double seconds;
} trial;

static bool is_gold_method(deq_aggregation method)
{
    return method == DEQ_GOLD_MAJORITY || method == DEQ_GOLD_WMV;
}

static bool is_model(deq_aggregation method)
{
    return method == DEQ_ONE_COIN || method == DEQ_DAWID_SKENE || method == DEQ_GLAD ||
           method == DEQ_MACE;
}

/* The prior of accuracies by empirical Bayes from the gold in use. */
static deq_status fit_prior(deq_estimate_options *o, trial *t)
{
    const size_t W = (size_t)t->v.n_workers;
    deq_trust_options options = deq_trust_defaults();
    deq_trust *trust = deq_alloc_array(t->ctx, W, sizeof *trust);

    if (!trust) return DEQ_ERR_NOMEM;
    memset(t->counts, 0, 2 * W * sizeof *t->counts);
    deq_vote_count_gold(t->counts, t->counts + W, t->votes, o->gold, NULL);
    options.a = o->a;
    options.b = o->b;
    options.empirical_bayes = t->options->empirical_bayes;
    const deq_status status = deq_trust_from_counts(trust, &t->prior, t->ctx, t->v.n_workers,
                                                    t->counts, t->counts + W, &options);
    deq_release(t->ctx, trust, W * sizeof *trust);
    o->a = t->prior.a;
    o->b = t->prior.b;
    return status;
}

/* Votes on held-out gold tasks against the trust in their workers. */
static void add_workers(trial *t, const double *trust, int32_t fold)
{
    for (int64_t i = 0; i < t->v.n_tasks; i++) {
        if (t->gold[i] < 0 || (fold >= 0 && t->fold[i] != fold)) continue;
        for (int64_t j = t->v.begin[i]; j < t->v.begin[i + 1]; j++)
            deq_reliability_add(&t->workers, trust[t->v.worker[j]], t->v.label[j] == t->gold[i]);
    }
}

/* Estimate with the given gold, and keep what concerns the fold; fold -1: everything. */
static deq_status run_once(trial *t, deq_aggregation method, const int32_t *gold, int32_t fold)
{
    const int64_t K = t->v.n_labels;
    deq_estimate_options o = t->options->estimate ? *t->options->estimate : deq_estimate_defaults();
    deq_estimate *e;

    o.method = method;
    o.gold = gold;
    o.trace = false;
    if (!is_gold_method(method) && method != DEQ_ONE_COIN) o.correct = o.total = NULL;
    if (is_gold_method(method)) DEQ_TRY(fit_prior(&o, t));
    DEQ_TRY(deq_vote_estimate(&e, t->ctx, t->votes, &o));
    t->info = deq_estimate_about(e);
    t->seconds += t->info.seconds;
    const double *q = deq_estimate_posterior(e);
    for (int64_t i = 0; i < t->v.n_tasks; i++)
        if (fold < 0 || t->fold[i] == fold)
            memcpy(t->posterior + i * K, q + i * K, (size_t)K * sizeof *q);
    add_workers(t, deq_estimate_trust(e), fold);
    deq_estimate_free(e);
    return DEQ_OK;
}

/* Each fold by the others, or all at once. */
static deq_status run(trial *t, deq_aggregation method, bool with_gold)
{
    t->seconds = 0;
    t->prior = (deq_trust_prior){ 0 };
    deq_reliability_begin(&t->workers, 0, t->options->n_bins);
    if (!with_gold || t->options->folds == 0)
        return run_once(t, method, with_gold ? t->gold : NULL, -1);
    for (int32_t f = 0; f < t->options->folds; f++) {
        for (int64_t i = 0; i < t->v.n_tasks; i++) t->known[i] = t->fold[i] == f ? -1 : t->gold[i];
        DEQ_TRY(run_once(t, method, t->known, f));
    }
    return DEQ_OK;
}

/* Trials ------------------------------------------------------------------------------------- */

static deq_status check(deq_context *ctx, const deq_votes_view *v, const int32_t *gold,
                        const deq_compare_options *o, int least_folds)
{
    int64_t n = 0;

    if (o->struct_size != sizeof *o ||
        (o->estimate && o->estimate->struct_size != sizeof *o->estimate))
        return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                        "deq_compare_options or deq_estimate_options of another size");
    if (o->n_bins < 1 || o->n_bins > DEQ_RELIABILITY_BINS)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "n_bins %d, expected 1 to %d", o->n_bins,
                        DEQ_RELIABILITY_BINS);
    if (o->folds < least_folds || o->folds == 1)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "%d folds, expected 2 or more%s", o->folds,
                        least_folds ? "" : ", or 0");
    for (int64_t t = 0; t < v->n_tasks; t++) {
        if (gold[t] < -1 || gold[t] >= v->n_labels)
            return deq_fail(ctx, DEQ_ERR_ARGUMENT, "gold of task %lld is %d, expected -1 to %lld",
                            (long long)t, (int)gold[t], (long long)v->n_labels - 1);
        n += gold[t] >= 0;
    }
    if (n == 0) return deq_fail(ctx, DEQ_ERR_ARGUMENT, "no task has a true label");
    if (n < o->folds)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "%lld tasks with a true label cannot fill %d folds",
                        (long long)n, o->folds);
    return DEQ_OK;
}

static void end_trial(trial *t)
{
    const size_t T = (size_t)t->v.n_tasks, K = (size_t)t->v.n_labels, W = (size_t)t->v.n_workers;

    deq_release(t->ctx, t->fold, T * sizeof *t->fold);
    deq_release(t->ctx, t->known, T * sizeof *t->known);
    deq_release(t->ctx, t->counts, 2 * W * sizeof *t->counts);
    deq_release(t->ctx, t->posterior, T * K * sizeof *t->posterior);
}

static deq_status begin_trial(trial *t, deq_context *ctx, const deq_votes *votes,
                              const int32_t *gold, const deq_compare_options *options,
                              int least_folds)
{
    size_t cells;

    *t = (trial){
        .ctx = ctx, .votes = votes, .v = deq_votes_values(votes), .gold = gold, .options = options
    };
    const size_t T = (size_t)t->v.n_tasks;
    DEQ_TRY(check(ctx, &t->v, gold, options, least_folds));
    if (!deq_size_mul(&cells, T, (size_t)t->v.n_labels))
        return deq_fail(ctx, DEQ_ERR_OVERFLOW, "%zu tasks with %lld labels", T,
                        (long long)t->v.n_labels);
    t->fold = deq_alloc_array(ctx, T, sizeof *t->fold);
    t->known = deq_alloc_array(ctx, T, sizeof *t->known);
    t->counts = deq_alloc_array(ctx, 2 * (size_t)t->v.n_workers, sizeof *t->counts);
    t->posterior = deq_alloc_array(ctx, cells, sizeof *t->posterior);
    if (!t->fold || !t->known || !t->counts || !t->posterior) return DEQ_ERR_NOMEM;
    return cut(t->fold, ctx, votes, gold, options->folds ? options->folds : 1, options->seed);
}

/* Comparison --------------------------------------------------------------------------------- */

static deq_status compare(deq_comparison *lines, int *n_lines, trial *t)
{
    const deq_compare_options *o = t->options;
    const int n = o->methods ? o->n_methods : DEQ_AGGREGATION_COUNT, room = *n_lines;

    *n_lines = 0;
    if (n < 0 || room < n)
        return deq_fail(t->ctx, DEQ_ERR_ARGUMENT, "room for %d lines, expected %d", room, n);
    for (int i = 0; i < n; i++) {
        const deq_aggregation method = o->methods ? o->methods[i] : (deq_aggregation)i;
        deq_comparison *line = &lines[*n_lines];
        if (!o->methods && method == DEQ_KOS && t->v.n_labels != 2) continue;
        DEQ_TRY(run(t, method, is_gold_method(method)));
        *line = (deq_comparison){ .method = method,
                                  .held_out = is_gold_method(method) && o->folds > 0,
                                  .info = t->info,
                                  .seconds = t->seconds };
        line->info.trace = NULL;
        deq_vote_score_posterior(&line->score, NULL, t->votes, t->posterior, t->gold, NULL,
                                 o->n_bins);
        ++*n_lines;
    }
    return DEQ_OK;
}

deq_status deq_vote_compare(deq_comparison *lines, int *n_lines, deq_context *ctx,
                            const deq_votes *votes, const int32_t *gold,
                            const deq_compare_options *options)
{
    const deq_compare_options o = options ? *options : deq_compare_defaults();
    trial t;

    deq_status status = begin_trial(&t, ctx, votes, gold, &o, 0);
    if (status == DEQ_OK) status = compare(lines, n_lines, &t);
    end_trial(&t);
    return status;
}

/* Calibration -------------------------------------------------------------------------------- */

/* 1.96 standard errors of the share right, were the beliefs true. */
static double spread_if_true(const trial *t)
{
    const int64_t K = t->v.n_labels;
    double variance = 0, n = 0;

    for (int64_t i = 0; i < t->v.n_tasks; i++) {
        double b = 0;
        if (t->gold[i] < 0) continue;
        for (int64_t c = 0; c < K; c++) b = fmax(b, t->posterior[i * K + c]);
        variance += b * (1 - b);
        n++;
    }
    return 1.96 * sqrt(variance) / n;
}

static deq_status calibrate(deq_calibration *c, trial *t, deq_aggregation method)
{
    const int n_bins = t->options->n_bins;
    deq_vote_score majority;

    DEQ_TRY(run(t, DEQ_MAJORITY, false));
    deq_vote_score_posterior(&majority, NULL, t->votes, t->posterior, t->gold, NULL, n_bins);
    DEQ_TRY(run(t, method, is_gold_method(method) || (is_model(method) && t->options->clamp)));
    deq_vote_score_posterior(&c->score, NULL, t->votes, t->posterior, t->gold, NULL, n_bins);
    const double spread = spread_if_true(t);
    c->majority_accuracy = majority.accuracy;
    c->soc_residual = c->score.accuracy - c->score.believed;
    c->believed_low = c->score.believed - spread;
    c->believed_high = c->score.believed + spread;
    c->n_bins = n_bins;
    c->worker_calibration_error = deq_reliability_end(c->workers, &t->workers);
    c->prior = t->prior;
    c->info = t->info;
    c->info.trace = NULL;
    c->seconds = t->seconds;
    return DEQ_OK;
}

deq_status deq_vote_calibrate(deq_calibration *result, deq_context *ctx, const deq_votes *votes,
                              const int32_t *gold, deq_aggregation method,
                              const deq_compare_options *options)
{
    const deq_compare_options o = options ? *options : deq_compare_defaults();
    trial t;

    *result = (deq_calibration){ 0 };
    deq_status status = begin_trial(&t, ctx, votes, gold, &o, 2);
    if (status == DEQ_OK) status = calibrate(result, &t, method);
    end_trial(&t);
    return status;
}
