/* SPDX-License-Identifier: MIT */
/*
 * How far one worker's trust has to move until a decision flips.
 *
 * Take worker i's n votes for label x out: scores s_c remain, of which those with the most infinite
 * evidence are candidates.  With weight w' the worker gives n w' to x.  For x a candidate, the others
 * keep their order, so the decision is x above, and the best other candidate below,
 *
 *     w* = ( max_{c != x} s_c - s_x ) / n,     t* = e^{w*} / (e^{w*} + K - 1)                  (1)
 *
 * With costs the expected cost of deciding a instead of the present d is, up to a positive factor,
 *
 *     A + B u^n,   A = sum_{c != x} e^{s_c} (cost[c,a] - cost[c,d]),   u = e^{w'}              (2)
 *                  B = e^{s_x} (cost[x,a] - cost[x,d])
 *
 * and passes zero at most once.  A worker who gave a task several labels counts n_c w' for each label
 * c; without costs d is passed by c where s_d - s_c + (n_d - n_c) w' = 0, and the nearest such w' flips.
 */
#include "vote/decide.h"

#include <math.h>

/* Worker i without its votes on the task. */
typedef struct one {
    const deq_rule *r;
    const deq_evidence *e;
    int64_t task;
    uint32_t worker;
    int32_t decided;
} one;

/* The worker's votes for a label. */
static int64_t votes_for(const one *o, int64_t label)
{
    const deq_votes_view *v = &o->r->v;
    int64_t n = 0;

    for (int64_t j = v->begin[o->task]; j < v->begin[o->task + 1]; j++)
        n += v->worker[j] == o->worker && v->label[j] == label;
    return n;
}

static double score_without(const one *o, int64_t c, int64_t n)
{
    return o->e->score[c] - (double)n * o->r->weight[o->worker];
}

/* Distance in trust from the worker's to the one of weight w. */
static double distance(const one *o, double w)
{
    const double others = (double)(o->r->v.n_labels - 1);

    return fabs(1 / (1 + others * exp(-w)) - o->r->trust[o->worker]);
}

/* The most infinite evidence that is left. */
static int32_t most_without(const one *o, int64_t x, int64_t n)
{
    const int32_t own = (int32_t)n * o->r->infinite[o->worker];
    int32_t most = INT32_MIN;

    for (int64_t c = 0; c < o->r->v.n_labels; c++) {
        const int32_t count = o->e->infinite[c] - (c == x ? own : 0);
        if (count > most) most = count;
    }
    return most;
}

/* (1) */
static double radius_of_label(const one *o, int64_t x, int64_t n)
{
    const int64_t K = o->r->v.n_labels;
    const int32_t own = (int32_t)n * o->r->infinite[o->worker], most = most_without(o, x, n);
    const bool candidate = o->e->infinite[x] - own == most;
    int64_t other = -1;

    for (int64_t c = 0; c < K; c++)
        if (c != x && o->e->infinite[c] == most &&
            (other < 0 || o->e->score[c] > o->e->score[other]))
            other = c;
    if (!candidate) return other == o->decided ? INFINITY : 0;
    if (other < 0) return x == o->decided ? INFINITY : 0;
    if (o->decided != x && o->decided != other) return 0;
    return distance(o, (o->e->score[other] - score_without(o, x, n)) / (double)n);
}

/* (2); infinite evidence only where the worker has none and x is a candidate. */
static double radius_by_cost(const one *o, int64_t x, int64_t n)
{
    const int64_t K = o->r->v.n_labels, d = o->decided;
    const double *cost = o->r->belief.cost;
    const int32_t own = (int32_t)n * o->r->infinite[o->worker], most = most_without(o, x, n);
    double best = -INFINITY, radius = INFINITY;

    if (own || o->e->infinite[x] != most) return INFINITY;
    for (int64_t c = 0; c < K; c++)
        if (o->e->infinite[c] == most) best = fmax(best, o->e->score[c]);
    const double part = exp(score_without(o, x, n) - best);
    for (int64_t a = 0; a < K; a++) {
        double A = 0;
        for (int64_t c = 0; c < K; c++)
            if (c != x && o->e->infinite[c] == most)
                A += exp(o->e->score[c] - best) * (cost[c * K + a] - cost[c * K + d]);
        const double B = part * (cost[x * K + a] - cost[x * K + d]);
        if (A != 0 && B != 0 && A / B < 0)
            radius = fmin(radius, distance(o, log(-A / B) / (double)n));
    }
    return radius;
}

/* A worker with several labels on the task. */
static double radius_of_many(const one *o)
{
    const int64_t K = o->r->v.n_labels, d = o->decided, n_d = votes_for(o, d);
    double radius = INFINITY;

    if (o->r->belief.cost || o->r->infinite[o->worker]) return INFINITY;
    for (int64_t c = 0; c < K; c++) {
        const int64_t n_c = votes_for(o, c);
        if (c == d || n_c == n_d || o->e->infinite[c] != o->e->most) continue;
        const double ahead = score_without(o, d, n_d) - score_without(o, c, n_c);
        radius = fmin(radius, distance(o, ahead / (double)(n_c - n_d)));
    }
    return radius;
}

static double radius_of(const one *o, int64_t j)
{
    const deq_votes_view *v = &o->r->v;
    const int64_t x = v->label[j];
    int64_t n = 1;

    if (o->r->repeats) {
        int64_t all = 0;
        n = votes_for(o, x);
        for (int64_t i = v->begin[o->task]; i < v->begin[o->task + 1]; i++)
            all += v->worker[i] == o->worker;
        if (all != n) return radius_of_many(o);
    }
    return o->r->belief.cost ? radius_by_cost(o, x, n) : radius_of_label(o, x, n);
}

void deq_flip_radius(deq_decision *d, const deq_rule *r, const deq_evidence *e, int64_t task)
{
    if (r->v.n_labels < 2) return;
    for (int64_t j = r->v.begin[task]; j < r->v.begin[task + 1]; j++) {
        const one o = { r, e, task, r->v.worker[j], d->label };
        const double radius = radius_of(&o, j);
        if (radius < d->flip_radius) {
            d->flip_radius = radius;
            d->flip_worker = r->v.worker[j];
        }
    }
}
