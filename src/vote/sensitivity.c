/* SPDX-License-Identifier: MIT */
/*
 * Pivots, influences and stable intervals.
 *
 *   D_i = C(p_i = 1) - C(p_i = 0)                                                                (1)
 *
 * is a difference without error, since C is affine in p_i.  Exact methods evaluate it source by source;
 * equal sources are done once.  Where that would take too long, pivots.c does all at once.
 *
 * Trust t_i may move until w_i meets a sum that turns a decision: with |w_0 + sum_{j != i} +-w_j| as the
 * attainable strengths of the others, w_i > 0 may move between the nearest strength below it and the
 * nearest above.  If there is none below, source i never decides, and w_i may go down to minus the
 * nearest strength above.
 */
#include <deq/vote/sensitivity.h>

#include "vote/lists.h"
#include "vote/pivots.h"
#include "vote/rule.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char who[] = "deq_vote_sensitivity";
static const double logistic_max = 745;

typedef struct job {
    deq_context *ctx;
    int64_t n;
    const double *weights;
    deq_vote_correctness_options options;
    double *accuracy; /* [n] a copy of p to change */
    int64_t *order;   /* [n] sources by weight and accuracy: equal ones are neighbours */
    double *pivots;   /* [n] scratch */
} job;

static double logistic(double w)
{
    return w > logistic_max ? 1 : w < -logistic_max ? 0 : 1 / (1 + exp(-w));
}

/* Exact differences ---------------------------------------------------------------------------- */

/* (1) for one source; leaves p_i as it was. */
static deq_status difference(double *pivot, const job *j, int64_t i)
{
    double p = j->accuracy[i];
    deq_vote_correctness_result one, zero;
    j->accuracy[i] = 1;
    deq_status status = deq_vote_correctness_weighted(&one, j->ctx, j->n, j->weights, j->accuracy,
                                                      &j->options);
    j->accuracy[i] = 0;
    if (status == DEQ_OK)
        status = deq_vote_correctness_weighted(&zero, j->ctx, j->n, j->weights, j->accuracy,
                                               &j->options);
    j->accuracy[i] = p;
    if (status == DEQ_OK) { /* from the smaller side, which has the digits */
        bool high = one.correctness + zero.correctness > 1;
        *pivot = high ? zero.error - one.error : one.correctness - zero.correctness;
    }
    return status;
}

typedef struct sort_key {
    double w, p;
    int64_t at;
} sort_key;

static int by_value(const void *a, const void *b)
{
    const sort_key *x = a, *y = b;
    if (x->w != y->w) return x->w < y->w ? -1 : 1;
    if (x->p != y->p) return x->p < y->p ? -1 : 1;
    return x->at < y->at ? -1 : 1;
}

static deq_status sort_sources(job *j)
{
    sort_key *keys = deq_alloc_array(j->ctx, (size_t)j->n, sizeof *keys);
    if (!keys) return DEQ_ERR_NOMEM;
    for (int64_t i = 0; i < j->n; i++) keys[i] = (sort_key){ j->weights[i], j->accuracy[i], i };
    qsort(keys, (size_t)j->n, sizeof *keys, by_value);
    for (int64_t i = 0; i < j->n; i++) j->order[i] = keys[i].at;
    deq_release(j->ctx, keys, (size_t)j->n * sizeof *keys);
    return DEQ_OK;
}

static bool same_source(const job *j, int64_t a, int64_t b)
{
    return j->weights[a] == j->weights[b] && j->accuracy[a] == j->accuracy[b];
}

static int64_t count_distinct(const job *j)
{
    int64_t count = j->n > 0;
    for (int64_t k = 1; k < j->n; k++) count += !same_source(j, j->order[k], j->order[k - 1]);
    return count;
}

/* Every source, or the infinitely weighted ones alone. */
static deq_status by_differences(const job *j, bool infinite_only)
{
    for (int64_t k = 0; k < j->n; k++) {
        int64_t i = j->order[k];
        double *pivot = &j->pivots[i];
        if (infinite_only && !isinf(j->weights[i])) continue;
        if (j->weights[i] == 0)
            *pivot = 0;
        else if (k > 0 && same_source(j, i, j->order[k - 1]))
            *pivot = j->pivots[j->order[k - 1]];
        else
            DEQ_TRY(difference(pivot, j, i));
    }
    return DEQ_OK;
}

/* All at once ---------------------------------------------------------------------------------- */

/* The normal form sorts sources and drops some: find each source's place again by its values. */
static double place_of(const deq_vote_sum *sum, const double *values, double w, double q, double r)
{
    int64_t low = 0, high = sum->n;
    while (low < high) { /* weights fall, then q */
        int64_t middle = low + (high - low) / 2;
        bool before = sum->w[middle] > w || (sum->w[middle] == w && sum->q[middle] > q);
        if (before)
            low = middle + 1;
        else
            high = middle;
    }
    while (low < sum->n && sum->w[low] == w && sum->q[low] == q && sum->r[low] != r) low++;
    return low < sum->n ? values[low] : 0;
}

static deq_status by_fourier(const job *j, const deq_vote_rule *rule, double *band)
{
    size_t n = (size_t)rule->sum.n;
    double *values = deq_alloc_array(j->ctx, n, sizeof *values);
    if (!values) return DEQ_ERR_NOMEM;
    deq_status status = DEQ_OK;
    *band = 0;
    for (int64_t i = 0; i < j->n; i++) j->pivots[i] = 0;
    for (int s = 0; s < rule->n_sides && status == DEQ_OK; s++) {
        const deq_vote_side *side = &rule->sides[s];
        double share = side->share * side->finite, side_band;
        if (share == 0) continue;
        status = deq_vote_fourier_pivots(values, &side_band, j->ctx, &rule->sum, side->x,
                                         &j->options);
        if (status != DEQ_OK) break;
        *band += share * side_band;
        for (int64_t i = 0; i < j->n; i++) {
            double w = fabs(j->weights[i]), p = j->accuracy[i];
            if (w == 0 || isinf(w) || p == 0 || p == 1) continue;
            bool kept = j->weights[i] > 0;
            double d = place_of(&rule->sum, values, w, kept ? p : 1 - p, kept ? 1 - p : p);
            j->pivots[i] += kept ? share * d : -share * d;
        }
    }
    deq_release(j->ctx, values, n * sizeof *values);
    for (int64_t i = 0; i < j->n && status == DEQ_OK; i++) {
        bool known = j->accuracy[i] == 0 || j->accuracy[i] == 1;
        if (isinf(j->weights[i]) || (known && j->weights[i] != 0))
            status = difference(&j->pivots[i], j, i);
    }
    return status;
}

/* Either, by cost. */
static deq_status compute_pivots(job *j, deq_vote_sensitivity_result *result, double *band)
{
    deq_vote_rule rule;
    *band = 0;
    deq_status status = deq_vote_rule_new(&rule, j->ctx, who, j->n, j->weights, j->accuracy,
                                          &j->options);
    if (status == DEQ_OK) status = sort_sources(j);
    if (status == DEQ_OK) {
        double n = (double)rule.sum.n, plain = n < 1000 ? ceil(n / 2) * log(2) : 500;
        double states = fmin(deq_vote_group_states(&rule.sum), exp(plain));
        double cost = states * 30 * (double)count_distinct(j);
        bool exact = j->options.method != DEQ_VOTE_CORRECTNESS_FOURIER &&
                     (j->options.method != DEQ_VOTE_CORRECTNESS_AUTO ||
                      (cost <= j->options.effort && states <= 0x1p22));
        status = exact ? by_differences(j, false) : by_fourier(j, &rule, band);
        if (!exact) result->method = DEQ_VOTE_CORRECTNESS_FOURIER;
    }
    deq_vote_rule_free(&rule, j->ctx);
    return status;
}

/* Stable intervals ----------------------------------------------------------------------------- */

/* The sum of the finite weights but one (or all, for skip < 0), as patterns: probabilities do not
 * matter. */
static void patterns_of(deq_vote_sum *sum, const deq_vote_sum *all, int64_t skip)
{
    sum->n = 0;
    sum->total = all->total - (skip >= 0 ? all->w[skip] : 0);
    sum->tie = all->tie;
    for (int64_t i = 0; i < all->n; i++) {
        if (i == skip) continue;
        sum->w[sum->n] = all->w[i];
        sum->q[sum->n] = sum->r[sum->n] = 0.5;
        sum->n++;
    }
}

/* The attainable strengths next to w > 0: |T + w_0| = w, whichever sign. */
static bool nearest_strengths(const deq_vote_lists *lists, double w, double w_0, double tie,
                              double *below, double *above)
{
    bool meets = false;
    *below = -INFINITY;
    *above = INFINITY;
    for (int sign = -1; sign <= 1; sign += 2) {
        double low, high, x = w + sign * w_0;
        meets = deq_vote_lists_nearest(lists, x, tie, &low, &high) || meets;
        *below = fmax(*below, low - sign * w_0);
        *above = fmin(*above, high - sign * w_0);
    }
    if (*below < -tie) *below = -*above; /* no strength below w: it never decides */
    return meets;
}

typedef struct intervals {
    deq_vote_sum all, part; /* of finite non-zero weights, falling */
    double *low, *high;     /* of all.w */
    double flip_radius;
    size_t capacity;
} intervals;

static deq_status intervals_new(intervals *v, job *j)
{
    size_t n = (size_t)j->n;
    *v = (intervals){ .capacity = n };
    double *memory = deq_alloc_array(j->ctx, 8 * n, sizeof *memory);
    if (!memory) return DEQ_ERR_NOMEM;
    v->all = (deq_vote_sum){ .w = memory, .q = memory + n, .r = memory + 2 * n };
    v->part = (deq_vote_sum){ .w = memory + 3 * n, .q = memory + 4 * n, .r = memory + 5 * n };
    v->low = memory + 6 * n;
    v->high = memory + 7 * n;
    return DEQ_OK;
}

static int falling(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

static deq_status fill_intervals(intervals *v, const job *j, double w_0)
{
    int64_t n = v->all.n;
    deq_vote_lists lists;
    for (int64_t i = 0; i < n; i++) {
        if (i > 0 && v->all.w[i] == v->all.w[i - 1]) {
            v->low[i] = v->low[i - 1];
            v->high[i] = v->high[i - 1];
            continue;
        }
        patterns_of(&v->part, &v->all, i);
        deq_status status = deq_vote_lists_new(&lists, j->ctx, &v->part, true);
        double w = v->all.w[i];
        if (status == DEQ_OK &&
            nearest_strengths(&lists, w, w_0, v->all.tie, &v->low[i], &v->high[i]))
            v->low[i] = v->high[i] = w; /* it stands on a tie: any move breaks that */
        deq_vote_lists_free(&lists, j->ctx);
        DEQ_TRY(status);
    }
    patterns_of(&v->part, &v->all, -1);
    deq_status status = deq_vote_lists_new(&lists, j->ctx, &v->part, true);
    if (status == DEQ_OK) {
        double low, high;
        bool tie = deq_vote_lists_nearest(&lists, -w_0, v->all.tie, &low, &high);
        v->flip_radius = tie ? 0 : fmin(-w_0 - low, high + w_0) / v->all.total;
    }
    deq_vote_lists_free(&lists, j->ctx);
    return status;
}

/* Infinite weights: one alone may come down to the strength of all others together. */
static void interval_of_infinite(deq_vote_sensitivity_source *s, int64_t n_infinite, double total)
{
    double edge = n_infinite == 1 ? logistic(total) : 1;
    s->trust_low = s->weight > 0 ? edge : 0;
    s->trust_high = s->weight > 0 ? 1 : 1 - edge;
}

static void write_intervals(deq_vote_sensitivity_source *sources, const job *j, const intervals *v,
                            int64_t n_infinite, double w_0)
{
    for (int64_t i = 0; i < j->n; i++) {
        deq_vote_sensitivity_source *s = &sources[i];
        double w = fabs(s->weight);
        if (isinf(w)) {
            interval_of_infinite(s, n_infinite, v->all.total + fabs(w_0));
            continue;
        }
        int64_t k = 0;
        while (k < v->all.n && v->all.w[k] != w) k++;
        double low, high;
        if (w == 0) { /* may move until it breaks the weakest decision */
            high = v->flip_radius * v->all.total;
            if (v->all.n == 0) high = fabs(w_0);
            low = -high;
        } else {
            low = v->low[k];
            high = v->high[k];
        }
        bool kept = s->weight >= 0;
        s->trust_low = logistic(kept ? low : -high);
        s->trust_high = logistic(kept ? high : -low);
    }
}

static deq_status compute_intervals(deq_vote_sensitivity_result *result,
                                    deq_vote_sensitivity_source *sources, job *j)
{
    intervals v;
    double w_0 = j->options.weight_0;
    if (isnan(w_0)) w_0 = deq_vote_log_odds(j->options.prior);
    DEQ_TRY(intervals_new(&v, j));
    int64_t n_infinite = isinf(w_0) != 0, distinct = 0;
    if (isinf(w_0)) w_0 = 0;
    for (int64_t i = 0; i < j->n; i++) {
        double w = fabs(j->weights[i]);
        n_infinite += isinf(w) != 0;
        if (w == 0 || isinf(w)) continue;
        v.all.w[v.all.n++] = w;
        v.all.total += w;
    }
    qsort(v.all.w, (size_t)v.all.n, sizeof(double), falling);
    for (int64_t i = 0; i < v.all.n; i++) distinct += i == 0 || v.all.w[i] != v.all.w[i - 1];
    v.all.tie = 1e-12 * (v.all.total + fabs(w_0));
    for (int64_t i = 0; i < v.all.n; i++) v.all.q[i] = v.all.r[i] = 0.5;
    double states = deq_vote_group_states(&v.all);
    deq_status status = DEQ_OK;
    result->stable_known = states <= 0x1p22 && states * 30 * (double)distinct <= j->options.effort;
    if (result->stable_known) {
        status = fill_intervals(&v, j, w_0);
        if (status == DEQ_OK) write_intervals(sources, j, &v, n_infinite, w_0);
        result->flip_radius = v.all.n > 0 ? v.flip_radius : NAN;
    }
    deq_release(j->ctx, v.all.w, 8 * v.capacity * sizeof(double));
    return status;
}

/* ---------------------------------------------------------------------------------------------- */

static deq_status fill_sources(deq_vote_sensitivity_result *result,
                               deq_vote_sensitivity_source *sources, job *j, const double *trust,
                               const double *p)
{
    double influence_band, all = 0;
    for (int64_t i = 0; i < j->n; i++) j->accuracy[i] = 0.5;
    DEQ_TRY(compute_pivots(j, result, &influence_band));
    for (int64_t i = 0; i < j->n; i++) sources[i].influence = j->pivots[i];
    if (j->n > 0) memcpy(j->accuracy, p, (size_t)j->n * sizeof *p);
    DEQ_TRY(compute_pivots(j, result, &result->pivot_band));
    result->pivot_band = fmax(result->pivot_band, influence_band);
    result->certified = result->pivot_band == 0;
    for (int64_t i = 0; i < j->n; i++) {
        sources[i].weight = j->weights[i];
        sources[i].pivot = j->pivots[i];
        sources[i].trust_low = sources[i].trust_high = NAN;
        all += fabs(j->pivots[i]);
        result->first_order += j->pivots[i] * (trust[i] - p[i]);
    }
    for (int64_t i = 0; i < j->n; i++)
        sources[i].share = all > 0 ? fabs(sources[i].pivot) / all : 0;
    return compute_intervals(result, sources, j);
}

static deq_status evaluate(deq_vote_sensitivity_result *result,
                           deq_vote_sensitivity_source *sources, job *j, const double *trust,
                           const double *p)
{
    DEQ_TRY(deq_vote_correctness_weighted(&result->believed, j->ctx, j->n, j->weights, trust,
                                          &j->options));
    DEQ_TRY(
        deq_vote_correctness_weighted(&result->actual, j->ctx, j->n, j->weights, p, &j->options));
    result->difference = result->actual.error - result->believed.error;
    result->method = result->actual.method;
    result->flip_radius = NAN;
    return fill_sources(result, sources, j, trust, p);
}

static bool is_exact(deq_vote_correctness_method method)
{
    return method <= DEQ_VOTE_CORRECTNESS_FOURIER;
}

deq_status deq_vote_sensitivity(deq_vote_sensitivity_result *result,
                                deq_vote_sensitivity_source *sources, deq_context *ctx, int64_t n,
                                const double *trust, const double *p,
                                const deq_vote_correctness_options *options)
{
    *result = (deq_vote_sensitivity_result){ .difference = 0 };
    job j = { .ctx = ctx, .n = n };
    j.options = options ? *options : deq_vote_correctness_defaults();
    if (!is_exact(j.options.method))
        return deq_fail(ctx, DEQ_ERR_UNSUPPORTED,
                        "%s: differences of method %s say nothing; use auto or an exact one", who,
                        deq_vote_correctness_method_name(j.options.method));
    double *weights;
    DEQ_TRY(deq_vote_trust_weights(&weights, ctx, who, n, trust));
    size_t count = (size_t)n;
    j.weights = weights;
    j.accuracy = deq_alloc_array(ctx, count, sizeof(double));
    j.pivots = deq_alloc_array(ctx, count, sizeof(double));
    j.order = deq_alloc_array(ctx, count, sizeof(int64_t));
    deq_status status = j.accuracy && j.pivots && j.order ? DEQ_OK : DEQ_ERR_NOMEM;
    if (status == DEQ_OK) status = evaluate(result, sources, &j, trust, p);
    deq_release(ctx, weights, count * sizeof *weights);
    deq_release(ctx, j.accuracy, count * sizeof(double));
    deq_release(ctx, j.pivots, count * sizeof(double));
    deq_release(ctx, j.order, count * sizeof(int64_t));
    return status;
}

static deq_status second_difference(double *mixed, const job *j, int64_t a, int64_t b)
{
    double d[2];
    for (int k = 0; k < 2; k++) {
        j->accuracy[b] = k;
        DEQ_TRY(difference(&d[k], j, a));
    }
    *mixed = d[1] - d[0];
    return DEQ_OK;
}

deq_status deq_vote_mixed(double *mixed, deq_context *ctx, int64_t n, const double *trust,
                          const double *p, int64_t i, int64_t j,
                          const deq_vote_correctness_options *options)
{
    *mixed = NAN;
    if (i < 0 || i >= n || j < 0 || j >= n)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "deq_vote_mixed: i is %lld, j %lld, n %lld",
                        (long long)i, (long long)j, (long long)n);
    job work = { .ctx = ctx, .n = n };
    work.options = options ? *options : deq_vote_correctness_defaults();
    double *weights;
    DEQ_TRY(deq_vote_trust_weights(&weights, ctx, "deq_vote_mixed", n, trust));
    work.weights = weights;
    work.accuracy = deq_alloc_array(ctx, (size_t)n, sizeof(double));
    deq_status status = work.accuracy ? DEQ_OK : DEQ_ERR_NOMEM;
    if (status == DEQ_OK) {
        memcpy(work.accuracy, p, (size_t)n * sizeof *p);
        double value = 0;
        if (i != j) status = second_difference(&value, &work, i, j);
        if (status == DEQ_OK) *mixed = value;
    }
    deq_release(ctx, weights, (size_t)n * sizeof *weights);
    deq_release(ctx, work.accuracy, (size_t)n * sizeof(double));
    return status;
}
