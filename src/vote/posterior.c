/* SPDX-License-Identifier: MIT */
/* Decisions from posteriors: least expected cost, ties, the margin as a difference of logarithms. */
#include <deq/vote/posterior.h>

#include "base/context.h"
#include "base/philox.h"

#include <float.h>
#include <math.h>

#define TIE 1e-9 /* posteriors are rounded otherwise than scores */

typedef struct chooser {
    deq_votes_view v;
    const double *cost;
    deq_decide_options options;
} chooser;

static double cost_of(const chooser *o, const double *q, int64_t a)
{
    const int64_t K = o->v.n_labels;
    double sum = 0;

    if (!o->cost) return 1 - q[a];
    for (int64_t c = 0; c < K; c++) sum += q[c] * o->cost[c * K + a];
    return sum;
}

/* Without costs the larger probability is better: 1 - q has lost the digits of small ones. */
static bool is_best(const chooser *o, const double *q, int64_t a, double best)
{
    if (!o->cost) return q[a] >= best * (1 - TIE);
    return cost_of(o, q, a) <= best + TIE * fabs(best);
}

static double best_of(const chooser *o, const double *q)
{
    double best = o->cost ? INFINITY : 0;

    for (int64_t a = 0; a < o->v.n_labels; a++)
        best = o->cost ? fmin(best, cost_of(o, q, a)) : fmax(best, q[a]);
    return best;
}

static double margin_of(const double *q, int64_t K)
{
    double first = 0, second = 0;

    for (int64_t c = 0; c < K; c++) {
        if (q[c] > first) {
            second = first;
            first = q[c];
        } else if (q[c] > second) {
            second = q[c];
        }
    }
    return second >= first * (1 - TIE) ? 0 : log(first) - log(second);
}

static int32_t flags_of(const deq_votes_view *v, int64_t task)
{
    const int64_t begin = v->begin[task], end = v->begin[task + 1];
    int64_t same = 0;

    if (begin == end) return DEQ_DECISION_NO_VOTES;
    for (int64_t j = begin; j < end; j++) same += v->label[j] == v->label[begin];
    return same > 1 && same == end - begin ? DEQ_DECISION_UNANIMOUS : 0;
}

/* Of n, by (seed, task). */
static int32_t draw(uint64_t seed, int64_t task, int32_t n)
{
    const deq_philox_stream s = deq_philox_stream_of(seed, 0, 0);
    uint32_t words[4];

    deq_philox_words(words, &s, DEQ_PHILOX_HIGH, (uint64_t)task / 4);
    return (int32_t)((uint64_t)words[task % 4] * (uint32_t)n >> 32);
}

static void choose(deq_decision *d, const chooser *o, const double *q, int64_t task)
{
    const int64_t K = o->v.n_labels;
    const double best = best_of(o, q);
    int32_t k, shown = 0;

    *d = (deq_decision){ .n_votes = (int32_t)(o->v.begin[task + 1] - o->v.begin[task]),
                         .flags = flags_of(&o->v, task),
                         .margin = margin_of(q, K),
                         .flip_radius = NAN,
                         .flip_worker = -1 };
    for (int64_t a = 0; a < K; a++) d->n_tied += is_best(o, q, a, best);
    const bool tie = d->n_tied > 1;
    k = tie && o->options.tie == DEQ_TIE_RANDOM ? draw(o->options.seed, task, d->n_tied) : 0;
    for (int32_t a = 0; a < K; a++)
        if (is_best(o, q, a, best) && k-- == 0) shown = a;
    if (tie) d->flags |= DEQ_DECISION_TIE;
    d->label = tie && o->options.tie == DEQ_TIE_ABSTAIN ? -1 : shown;
    d->probability = q[shown];
    d->cost = cost_of(o, q, shown);
}

static deq_status check(deq_context *ctx, const deq_votes *votes, const chooser *o,
                        const double *posterior)
{
    const int64_t T = o->v.n_tasks, K = o->v.n_labels;

    if (o->options.struct_size != sizeof o->options)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "deq_decide_options of another size");
    if ((unsigned)o->options.tie > DEQ_TIE_ABSTAIN)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "tie: unknown value %d", (int)o->options.tie);
    if (K < 1) return deq_fail(ctx, DEQ_ERR_ARGUMENT, "the votes have no labels");
    for (int64_t i = 0; o->cost && i < K * K; i++)
        if (!(o->cost[i] >= 0 && o->cost[i] <= DBL_MAX))
            return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                            "cost of deciding %lld when it is %lld is %g, expected a finite one "
                            "that is not negative",
                            (long long)(i % K), (long long)(i / K), o->cost[i]);
    for (int64_t t = 0; t < T; t++) {
        double sum = 0;
        for (int64_t c = 0; c < K; c++) {
            const double q = posterior[t * K + c];
            sum += q >= 0 && q <= 1 ? q : NAN;
        }
        if (!(fabs(sum - 1) <= 1e-6))
            return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                            "posterior of task '%.40s': expected probabilities that sum to 1",
                            deq_votes_task_name(votes, t));
    }
    return DEQ_OK;
}

deq_status deq_vote_decide_posterior(deq_decision *decisions, deq_context *ctx,
                                     const deq_votes *votes, const double *posterior,
                                     const double *cost, const deq_decide_options *options)
{
    const chooser o = { .v = deq_votes_values(votes),
                        .cost = cost,
                        .options = options ? *options : deq_decide_defaults() };

    DEQ_TRY(check(ctx, votes, &o, posterior));
    for (int64_t t = 0; t < o.v.n_tasks; t++)
        choose(&decisions[t], &o, posterior + t * o.v.n_labels, t);
    return DEQ_OK;
}
