/* SPDX-License-Identifier: MIT */
/*
 * M-MSR (Ma & Olshevsky, "Adversarial crowdsourcing through robust rank-one matrix completion", NeurIPS
 * 2020).  With skills s_i = (K p_i - 1) / (K - 1), two one-coin workers who share n_ij tasks agree on
 * a part of them whose expectation makes
 *
 *     X_ij = K/(K - 1) agree_ij / n_ij - 1/(K - 1)    estimate    s_i s_j                       (1)
 *
 * X = s s' is completed by sweeps that estimate each s_i from the workers j it shares tasks with,
 *
 *     s_i <- sum_j X_ij s_j / sum_j s_j^2                                                        (2)
 *
 * after the quotients X_ij / s_j have lost the F largest among those above s_i and the F smallest
 * among those below, so that F workers who collude cannot pull it far.  F = max(0, d/2 - 1), d the least
 * number of such partners that a worker has.  The sign is that of a crowd better than chance.  Votes
 * then weigh log-odds of p_i, held within [1e-3, 1 - 1e-3].
 */
#include <deq/vote/decide.h>

#include "vote/estimate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CLIP 1e-3

/* The workers that share tasks with one: a sparse symmetric matrix. */
typedef struct partner {
    uint32_t worker;
    float x; /* (1) */
} partner;

typedef struct quotient {
    double value, s; /* X_ij / s_j, s_j */
} quotient;

typedef struct work {
    deq_context *ctx;
    int64_t W;
    uint32_t *common, *agree; /* [W (W - 1) / 2] */
    size_t n_pairs;
    partner *partners;
    size_t n_partners;
    size_t *begin;  /* [W + 1] */
    double *s;      /* [W] */
    quotient *list; /* [W] */
    int64_t n_cut;  /* F */
} work;

static size_t pair_of(size_t i, size_t j)
{
    return i > j ? i * (i - 1) / 2 + j : j * (j - 1) / 2 + i;
}

static void count_pairs(work *w, const deq_votes_view *v)
{
    for (int64_t t = 0; t < v->n_tasks; t++)
        for (int64_t j = v->begin[t]; j < v->begin[t + 1]; j++)
            for (int64_t k = v->begin[t]; k < j; k++) {
                if (v->worker[j] == v->worker[k]) continue;
                const size_t at = pair_of(v->worker[j], v->worker[k]);
                w->common[at]++;
                w->agree[at] += v->label[j] == v->label[k];
            }
}

static deq_status list_partners(work *w, int64_t n_labels)
{
    const double K = (double)n_labels;
    const size_t W = (size_t)w->W;
    size_t n = 0, least = SIZE_MAX;

    for (size_t p = 0; p < w->n_pairs; p++) n += 2 * (size_t)(w->common[p] > 0);
    w->partners = deq_alloc_array(w->ctx, n, sizeof *w->partners);
    w->n_partners = n;
    if (!w->partners) return DEQ_ERR_NOMEM;
    n = 0;
    for (size_t i = 0; i < W; i++) {
        w->begin[i] = n;
        for (size_t j = 0; j < W; j++) {
            if (i == j || !w->common[pair_of(i, j)]) continue;
            const size_t at = pair_of(i, j);
            const double part = (double)w->agree[at] / (double)w->common[at];
            w->partners[n++] = (partner){ (uint32_t)j, (float)((K * part - 1) / (K - 1)) };
        }
        if (n > w->begin[i] && n - w->begin[i] < least) least = n - w->begin[i];
    }
    w->begin[W] = n;
    w->n_cut = least == SIZE_MAX || least < 4 ? 0 : (int64_t)(least / 2) - 1;
    return DEQ_OK;
}

static int rising(const void *a, const void *b)
{
    const double x = ((const quotient *)a)->value, y = ((const quotient *)b)->value;

    return (x > y) - (x < y);
}

/* (2) for worker i, without the extremes. */
static double update(const work *w, size_t i)
{
    double top = 0, bottom = 0;
    int64_t n = 0, from = 0, to;

    for (size_t k = w->begin[i]; k < w->begin[i + 1]; k++) {
        const double s = w->s[w->partners[k].worker];
        if (s != 0) w->list[n++] = (quotient){ w->partners[k].x / s, s };
    }
    if (n == 0) return w->s[i];
    qsort(w->list, (size_t)n, sizeof *w->list, rising);
    to = n;
    while (from < w->n_cut && from < n && w->list[from].value < w->s[i]) from++;
    while (n - to < w->n_cut && to > from && w->list[to - 1].value > w->s[i]) to--;
    for (int64_t k = from; k < to; k++) {
        top += w->list[k].value * w->list[k].s * w->list[k].s;
        bottom += w->list[k].s * w->list[k].s;
    }
    return bottom > 0 ? fmin(fmax(top / bottom, -1), 1) : w->s[i];
}

/* Sweeps, each half of the way, until nothing moves. */
static void complete(deq_estimate *e, work *w, const deq_problem *p)
{
    for (int64_t i = 0; i < w->W; i++) w->s[i] = 0.5;
    for (int k = 0; k < p->options.max_iter && !e->info.converged && !e->stopped; k++) {
        double change = 0, sum = 0;
        for (int64_t i = 0; i < w->W; i++) {
            const double s = 0.5 * (w->s[i] + update(w, (size_t)i));
            change = fmax(change, fabs(s - w->s[i]));
            w->s[i] = s;
            sum += s * (double)p->n_votes[i];
        }
        for (int64_t i = 0; i < w->W && sum < 0; i++) w->s[i] = -w->s[i];
        e->info.n_iter = k + 1;
        e->info.converged = change < p->options.tolerance;
        deq_estimate_tell(e, p, change, NAN);
    }
}

static deq_status decide(deq_estimate *e, const work *w, const deq_problem *p)
{
    const double K = (double)p->v.n_labels;
    const size_t T = (size_t)p->v.n_tasks;
    const deq_belief belief = { .struct_size = sizeof belief,
                                .trust = e->trust,
                                .prior = e->prior };
    deq_decide_options o = deq_decide_defaults();
    deq_decision *decisions = deq_alloc_array(p->ctx, T, sizeof *decisions);

    if (!decisions) return DEQ_ERR_NOMEM;
    for (int64_t i = 0; i < w->W; i++)
        e->trust[i] = fmin(fmax((w->s[i] * (K - 1) + 1) / K, CLIP), 1 - CLIP);
    o.flips = false;
    const deq_status status = deq_vote_decide(decisions, e->posterior, p->ctx, p->votes, &belief,
                                              &o);
    deq_release(p->ctx, decisions, T * sizeof *decisions);
    return status;
}

static deq_status allocate(work *w)
{
    const size_t W = (size_t)w->W;

    if (!deq_size_mul(&w->n_pairs, W, W ? W - 1 : 0))
        return deq_fail(w->ctx, DEQ_ERR_OVERFLOW, "pairs of %zu workers", W);
    w->n_pairs /= 2;
    w->common = deq_alloc_array(w->ctx, w->n_pairs, sizeof *w->common);
    w->agree = deq_alloc_array(w->ctx, w->n_pairs, sizeof *w->agree);
    w->begin = deq_alloc_array(w->ctx, W + 1, sizeof *w->begin);
    w->s = deq_alloc_array(w->ctx, W, sizeof *w->s);
    w->list = deq_alloc_array(w->ctx, W, sizeof *w->list);
    return w->common && w->agree && w->begin && w->s && w->list ? DEQ_OK : DEQ_ERR_NOMEM;
}

deq_status deq_estimate_m_msr(deq_estimate *e, const deq_problem *p)
{
    work w = { .ctx = p->ctx, .W = p->v.n_workers };
    const size_t W = (size_t)w.W;

    deq_status status = allocate(&w);
    if (status == DEQ_OK) {
        count_pairs(&w, &p->v);
        status = list_partners(&w, p->v.n_labels);
    }
    if (status == DEQ_OK) {
        complete(e, &w, p);
        status = decide(e, &w, p);
    }
    deq_release(p->ctx, w.common, w.n_pairs * sizeof *w.common);
    deq_release(p->ctx, w.agree, w.n_pairs * sizeof *w.agree);
    deq_release(p->ctx, w.partners, w.n_partners * sizeof *w.partners);
    deq_release(p->ctx, w.begin, (W + 1) * sizeof *w.begin);
    deq_release(p->ctx, w.s, W * sizeof *w.s);
    deq_release(p->ctx, w.list, W * sizeof *w.list);
    return status;
}
