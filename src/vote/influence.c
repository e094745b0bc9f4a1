/* SPDX-License-Identifier: MIT */
/*
 * How often a worker is pivotal (deq/vote/influence.h).  Infinite evidence is counted apart, so a label
 * has the score (count, finite part), compared count first.
 *
 * With one weight w a worker, and a and b the best and second best labels by the other votes,
 *
 *     w > 0    a vote for b lifts it      b + w against a                                       (2)
 *     w < 0    a vote for a sinks it      b against a - |w|
 *
 * above: pivotal; equal: up to a tie; below: not.  Otherwise the K votes that the worker could have
 * given are tried, and labels counted that are best whatever it votes.
 */
#include <deq/vote/influence.h>

#include "base/context.h"
#include "vote/decide.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* The evidence of the votes that a label may get: [K] of each. */
typedef struct scores {
    double *finite;
    int32_t *infinite;
} scores;

typedef struct counter {
    deq_votes_view v;
    const double *cost;
    double *weight;   /* [n_workers], 0 where infinite; NULL with confusion matrices */
    int32_t *sign;    /* [n_workers] of infinite weights, else 0 */
    double *evidence; /* [n_workers, vote, truth] log e; NULL with trust */
    double *prior;    /* [K], 0 for zeros */
    int8_t *excluded; /* [K]: prior zero */
    scores all;       /* of the task */
    scores trial;     /* with another vote of one worker */
    double *posterior;
    int32_t *best; /* [K] times that a label was among the best */
    double scale;  /* sum |w| */
    bool linear;   /* posteriors are shares of the weights */
} counter;

/* Scores ------------------------------------------------------------------------------------- */

static void add(scores *s, const counter *n, uint32_t w, int64_t x, int sign)
{
    const int64_t K = n->v.n_labels;

    if (n->weight) {
        s->finite[x] += sign * n->weight[w];
        s->infinite[x] += sign * n->sign[w];
        return;
    }
    const double *row = n->evidence + ((int64_t)w * K + x) * K;
    for (int64_t c = 0; c < K; c++) {
        if (row[c] < -DBL_MAX)
            s->infinite[c] -= sign;
        else
            s->finite[c] += sign * row[c];
    }
}

static double scale_of(const counter *n, uint32_t w, int64_t x)
{
    const int64_t K = n->v.n_labels;
    double most = 0;

    if (n->weight) return fabs(n->weight[w]);
    for (int64_t c = 0; c < K; c++) {
        const double e = n->evidence[((int64_t)w * K + x) * K + c];
        if (e >= -DBL_MAX) most = fmax(most, -e);
    }
    return most;
}

static void gather(counter *n, int64_t task)
{
    n->scale = 0;
    for (int64_t c = 0; c < n->v.n_labels; c++) {
        n->all.finite[c] = n->prior[c];
        n->all.infinite[c] = -n->excluded[c];
        n->scale = fmax(n->scale, fabs(n->prior[c] - n->prior[0]));
    }
    for (int64_t j = n->v.begin[task]; j < n->v.begin[task + 1]; j++) {
        add(&n->all, n, n->v.worker[j], n->v.label[j], 1);
        n->scale += scale_of(n, n->v.worker[j], n->v.label[j]);
    }
}

/* -1, 0, 1: the first score below, equal to, above the second. */
static int compare(int32_t count, double score, int32_t other_count, double other, double slack)
{
    if (count != other_count) return count < other_count ? -1 : 1;
    if (fabs(score - other) <= slack) return 0;
    return score < other ? -1 : 1;
}

/* (2) ---------------------------------------------------------------------------------------- */

static double pivot_by_weight(const counter *n, uint32_t w, int64_t x)
{
    const double own = n->weight[w], slack = DEQ_TIE_TOLERANCE * n->scale;
    const int sign = n->sign[w];
    int64_t a = -1, b = -1;
    int order;

    if (sign == 0 && own == 0) return 0;
    for (int64_t c = 0; c < n->v.n_labels; c++) {
        const double s = n->all.finite[c] - (c == x ? own : 0);
        const int32_t i = n->all.infinite[c] - (c == x ? sign : 0);
        n->trial.finite[c] = s;
        n->trial.infinite[c] = i;
        if (a < 0 || compare(i, s, n->trial.infinite[a], n->trial.finite[a], 0) > 0) {
            b = a;
            a = c;
        } else if (b < 0 || compare(i, s, n->trial.infinite[b], n->trial.finite[b], 0) > 0) {
            b = c;
        }
    }
    if (b < 0) return 0; /* one label */
    if (sign > 0 || (sign == 0 && own > 0))
        order = compare(n->trial.infinite[b] + sign, n->trial.finite[b] + own, n->trial.infinite[a],
                        n->trial.finite[a], slack);
    else
        order = compare(n->trial.infinite[b], n->trial.finite[b], n->trial.infinite[a] + sign,
                        n->trial.finite[a] + own, slack);
    return order > 0 ? 1 : order == 0 ? 0.5 : 0;
}

/* By trial ----------------------------------------------------------------------------------- */

static void count_best_scores(counter *n)
{
    const int64_t K = n->v.n_labels;
    const scores *s = &n->trial;
    int64_t top = 0;

    for (int64_t c = 1; c < K; c++)
        if (compare(s->infinite[c], s->finite[c], s->infinite[top], s->finite[top], 0) > 0) top = c;
    for (int64_t c = 0; c < K; c++)
        n->best[c] += compare(s->infinite[c], s->finite[c], s->infinite[top], s->finite[top],
                              DEQ_TIE_TOLERANCE * n->scale) == 0;
}

static void count_best_costs(counter *n)
{
    const int64_t K = n->v.n_labels;
    const scores *s = &n->trial;
    double least = INFINITY, sum = 0;
    int64_t top = 0;

    for (int64_t c = 1; c < K; c++)
        if (compare(s->infinite[c], s->finite[c], s->infinite[top], s->finite[top], 0) > 0) top = c;
    for (int64_t c = 0; c < K; c++) {
        const double q = n->linear ? s->finite[c] : exp(s->finite[c] - s->finite[top]);
        n->posterior[c] = s->infinite[c] == s->infinite[top] ? q : 0;
        sum += n->posterior[c];
    }
    for (int64_t a = 0; a < K; a++) {
        s->finite[a] = 0; /* from here on the expected cost */
        for (int64_t c = 0; c < K; c++)
            s->finite[a] += (sum > 0 ? n->posterior[c] / sum : 1 / (double)K) * n->cost[c * K + a];
        least = fmin(least, s->finite[a]);
    }
    for (int64_t a = 0; a < K; a++)
        n->best[a] += s->finite[a] <= least + DEQ_TIE_TOLERANCE * fabs(least);
}

static double pivot_by_trial(counter *n, uint32_t w, int64_t voted)
{
    const int64_t K = n->v.n_labels;
    bool same = true, common = false;

    memset(n->best, 0, (size_t)K * sizeof *n->best);
    for (int64_t x = 0; x < K; x++) {
        memcpy(n->trial.finite, n->all.finite, (size_t)K * sizeof *n->trial.finite);
        memcpy(n->trial.infinite, n->all.infinite, (size_t)K * sizeof *n->trial.infinite);
        add(&n->trial, n, w, voted, -1);
        add(&n->trial, n, w, x, 1);
        if (n->cost)
            count_best_costs(n);
        else
            count_best_scores(n);
    }
    for (int64_t c = 0; c < K; c++) {
        same = same && (n->best[c] == 0 || n->best[c] == K);
        common = common || n->best[c] == K;
    }
    return same ? 0 : common ? 0.5 : 1;
}

/* ---------------------------------------------------------------------------------------------- */

static void set_weights(counter *n, const deq_belief *b, const deq_decide_options *o)
{
    const double others = (double)(n->v.n_labels > 1 ? n->v.n_labels - 1 : 1);

    for (int64_t i = 0; i < n->v.n_workers; i++) {
        const double t = fmin(fmax(b->trust[i], o->clip), 1 - o->clip);
        if (o->linear)
            n->weight[i] = t;
        else if (t > 0 && t < 1)
            n->weight[i] = log(t) - log1p(-t) + log(others);
        else
            n->sign[i] = t > 0 ? 1 : -1;
    }
}

static void set_evidence(counter *n, const deq_belief *b)
{
    const int64_t K = n->v.n_labels;

    for (int64_t i = 0; i < n->v.n_workers; i++)
        for (int64_t c = 0; c < K; c++)
            for (int64_t x = 0; x < K; x++)
                n->evidence[(i * K + x) * K + c] = log(b->confusion[(i * K + c) * K + x]);
}

static void set_prior(counter *n, const deq_belief *b, bool linear)
{
    for (int64_t c = 0; c < n->v.n_labels; c++) {
        const double p = b->prior ? b->prior[c] : 1 / (double)n->v.n_labels;
        n->excluded[c] = !(p > 0);
        n->prior[c] = p > 0 && !linear ? log(p) : 0;
    }
}

static deq_status make(counter *n, deq_context *ctx, const deq_belief *b,
                       const deq_decide_options *o)
{
    const size_t W = (size_t)n->v.n_workers, K = (size_t)n->v.n_labels;
    size_t cells;

    if (!deq_size_mul(&cells, K, K) || !deq_size_mul(&cells, cells, W))
        return deq_fail(ctx, DEQ_ERR_OVERFLOW, "%zu confusion matrices of %zu labels", W, K);
    if (b->trust) {
        n->weight = deq_alloc_array(ctx, W, sizeof *n->weight);
        n->sign = deq_alloc_array(ctx, W, sizeof *n->sign);
        if (!n->weight || !n->sign) return DEQ_ERR_NOMEM;
        set_weights(n, b, o);
    } else {
        n->evidence = deq_alloc_array(ctx, cells, sizeof *n->evidence);
        if (!n->evidence) return DEQ_ERR_NOMEM;
        set_evidence(n, b);
    }
    n->prior = deq_alloc_array(ctx, K, sizeof *n->prior);
    n->excluded = deq_alloc_array(ctx, K, sizeof *n->excluded);
    n->all.finite = deq_alloc_array(ctx, K, sizeof *n->all.finite);
    n->all.infinite = deq_alloc_array(ctx, K, sizeof *n->all.infinite);
    n->trial.finite = deq_alloc_array(ctx, K, sizeof *n->trial.finite);
    n->trial.infinite = deq_alloc_array(ctx, K, sizeof *n->trial.infinite);
    n->posterior = deq_alloc_array(ctx, K, sizeof *n->posterior);
    n->best = deq_alloc_array(ctx, K, sizeof *n->best);
    if (!n->prior || !n->excluded || !n->all.finite || !n->all.infinite || !n->trial.finite ||
        !n->trial.infinite || !n->posterior || !n->best)
        return DEQ_ERR_NOMEM;
    set_prior(n, b, o->linear);
    return DEQ_OK;
}

static void drop(counter *n, deq_context *ctx)
{
    const size_t W = (size_t)n->v.n_workers, K = (size_t)n->v.n_labels;

    deq_release(ctx, n->weight, W * sizeof *n->weight);
    deq_release(ctx, n->sign, W * sizeof *n->sign);
    deq_release(ctx, n->evidence, W * K * K * sizeof *n->evidence);
    deq_release(ctx, n->prior, K * sizeof *n->prior);
    deq_release(ctx, n->excluded, K * sizeof *n->excluded);
    deq_release(ctx, n->all.finite, K * sizeof *n->all.finite);
    deq_release(ctx, n->all.infinite, K * sizeof *n->all.infinite);
    deq_release(ctx, n->trial.finite, K * sizeof *n->trial.finite);
    deq_release(ctx, n->trial.infinite, K * sizeof *n->trial.infinite);
    deq_release(ctx, n->posterior, K * sizeof *n->posterior);
    deq_release(ctx, n->best, K * sizeof *n->best);
}

static void count(double *pivot, counter *n, int64_t *votes_of)
{
    for (int64_t t = 0; t < n->v.n_tasks; t++) {
        gather(n, t);
        for (int64_t j = n->v.begin[t]; j < n->v.begin[t + 1]; j++) {
            const uint32_t w = n->v.worker[j];
            const bool simple = n->weight && !n->cost;
            votes_of[w]++;
            pivot[w] += simple ? pivot_by_weight(n, w, n->v.label[j])
                               : pivot_by_trial(n, w, n->v.label[j]);
        }
    }
    for (int64_t i = 0; i < n->v.n_workers; i++)
        pivot[i] = votes_of[i] > 0 ? pivot[i] / (double)votes_of[i] : NAN;
}

static deq_status check_range(deq_context *ctx, const double *values, int64_t n, double most,
                              const char *what)
{
    for (int64_t i = 0; values && i < n; i++)
        if (!(values[i] >= 0 && values[i] <= most))
            return deq_fail(ctx, DEQ_ERR_ARGUMENT, "%s, element %lld is %g: out of range", what,
                            (long long)i, values[i]);
    return DEQ_OK;
}

static deq_status check(deq_context *ctx, const deq_votes_view *v, const deq_belief *b,
                        const deq_decide_options *o)
{
    const int64_t K = v->n_labels;

    if (!b) return deq_fail(ctx, DEQ_ERR_ARGUMENT, "nothing is believed");
    if (o->struct_size != sizeof *o || b->struct_size != sizeof *b)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "deq_decide_options or deq_belief of another size");
    if (!(o->clip >= 0 && o->clip < 0.5))
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "clip %g, expected one in [0, 0.5)", o->clip);
    if (!b->trust == !b->confusion || (o->linear && !b->trust))
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "expected trust or confusion matrices, not both%s",
                        o->linear ? "; linear weights need trust" : "");
    DEQ_TRY(check_range(ctx, b->trust, v->n_workers, 1, "trust"));
    DEQ_TRY(check_range(ctx, b->confusion, v->n_workers * K * K, 1, "confusion"));
    DEQ_TRY(check_range(ctx, b->prior, K, 1, "prior"));
    return check_range(ctx, b->cost, K * K, DBL_MAX, "cost");
}

deq_status deq_vote_influence(double *pivot, deq_context *ctx, const deq_votes *votes,
                              const deq_belief *belief, const deq_decide_options *options)
{
    const deq_decide_options o = options ? *options : deq_decide_defaults();
    counter n = { .v = deq_votes_values(votes) };
    const size_t W = (size_t)n.v.n_workers;

    DEQ_TRY(check(ctx, &n.v, belief, &o));
    n.cost = belief->cost;
    n.linear = o.linear;
    int64_t *votes_of = deq_alloc_array(ctx, W, sizeof *votes_of);
    deq_status status = votes_of ? make(&n, ctx, belief, &o) : DEQ_ERR_NOMEM;
    if (status == DEQ_OK) {
        for (size_t i = 0; i < W; i++) pivot[i] = 0;
        count(pivot, &n, votes_of);
    }
    drop(&n, ctx);
    deq_release(ctx, votes_of, W * sizeof *votes_of);
    return status;
}
