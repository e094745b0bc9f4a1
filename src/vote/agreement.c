/* SPDX-License-Identifier: MIT */
/*
 * Majorities, plain and weighted by agreement with themselves:
 *
 *     shares      q_t(c) = sum_{i votes c on t} g_i / sum_{i votes on t} g_i                    (1)
 *     agreement   g_i = mean over i's votes of [x_it = label of t]                              (2)
 *
 * Majority takes g = 1; Wawa, (1) once more with (2) of the majority.  Zero-based skill begins with
 * g = 1/K and repeats g += r (agreement - g), with r halved from 1/2 every 20 iterations.  Where labels
 * tie, agreement counts a part.
 */
#include "vote/estimate.h"

#include <math.h>
#include <string.h>

#define ZBS_PERIOD 20

void deq_vote_shares(double *posterior, const deq_problem *p, const double *weight)
{
    const deq_votes_view *v = &p->v;
    const int64_t K = v->n_labels;

#pragma omp parallel for schedule(static) num_threads(p->threads)
    for (int64_t t = 0; t < v->n_tasks; t++) {
        double *q = posterior + t * K, sum = 0;
        memset(q, 0, (size_t)K * sizeof *q);
        for (int64_t j = v->begin[t]; j < v->begin[t + 1]; j++) {
            const double g = weight ? weight[v->worker[j]] : 1;
            q[v->label[j]] += g;
            sum += g;
        }
        if (!(sum > 0)) /* all weigh nothing, or nobody voted */
            for (int64_t j = v->begin[t]; j < v->begin[t + 1]; j++) {
                q[v->label[j]] += 1;
                sum += 1;
            }
        for (int64_t c = 0; c < K; c++) q[c] = sum > 0 ? q[c] / sum : 1 / (double)K;
    }
}

void deq_vote_agreement(double *trust, const deq_problem *p, const double *posterior)
{
    const deq_votes_view *v = &p->v;

    memset(trust, 0, (size_t)v->n_workers * sizeof *trust);
    for (int64_t t = 0; t < v->n_tasks; t++)
        for (int64_t j = v->begin[t]; j < v->begin[t + 1]; j++)
            trust[v->worker[j]] += posterior[t * v->n_labels + v->label[j]];
    for (int64_t i = 0; i < v->n_workers; i++)
        trust[i] = p->n_votes[i] ? trust[i] / (double)p->n_votes[i] : 1 / (double)v->n_labels;
}

/* (2) with the labels that (1) decides. */
static void agreement_with_labels(double *skill, const deq_problem *p, const double *posterior)
{
    const deq_votes_view *v = &p->v;
    const int64_t K = v->n_labels;

    memset(skill, 0, (size_t)v->n_workers * sizeof *skill);
    for (int64_t t = 0; t < v->n_tasks; t++) {
        const double *q = posterior + t * K;
        double most = 0;
        int n = 0;
        for (int64_t c = 0; c < K; c++) most = fmax(most, q[c]);
        for (int64_t c = 0; c < K; c++) n += q[c] >= most * (1 - 1e-12);
        for (int64_t j = v->begin[t]; j < v->begin[t + 1]; j++)
            if (q[v->label[j]] >= most * (1 - 1e-12)) skill[v->worker[j]] += 1.0 / n;
    }
    for (int64_t i = 0; i < v->n_workers; i++)
        skill[i] = p->n_votes[i] ? skill[i] / (double)p->n_votes[i] : 1 / (double)K;
}

deq_status deq_estimate_majority(deq_estimate *e, const deq_problem *p)
{
    deq_vote_shares(e->posterior, p, NULL);
    deq_vote_agreement(e->trust, p, e->posterior);
    e->info.converged = true;
    return DEQ_OK;
}

deq_status deq_estimate_wawa(deq_estimate *e, const deq_problem *p)
{
    deq_vote_shares(e->posterior, p, NULL);
    agreement_with_labels(e->trust, p, e->posterior);
    deq_vote_shares(e->posterior, p, e->trust);
    e->info.n_iter = 1;
    e->info.converged = true;
    return DEQ_OK;
}

deq_status deq_estimate_zbs(deq_estimate *e, const deq_problem *p)
{
    const int64_t W = p->v.n_workers;
    double rate = 1;
    double *skill = deq_alloc_array(p->ctx, (size_t)W, sizeof *skill);

    if (!skill) return DEQ_ERR_NOMEM;
    for (int64_t i = 0; i < W; i++) e->trust[i] = 1 / (double)p->v.n_labels;
    deq_vote_shares(e->posterior, p, NULL);
    for (int k = 0; k < p->options.max_iter && !e->info.converged && !e->stopped; k++) {
        double change = 0;
        if (k % ZBS_PERIOD == 0) rate /= 2;
        agreement_with_labels(skill, p, e->posterior);
        for (int64_t i = 0; i < W; i++) {
            change = fmax(change, fabs(skill[i] - e->trust[i]));
            e->trust[i] += rate * (skill[i] - e->trust[i]);
        }
        deq_vote_shares(e->posterior, p, e->trust);
        e->info.n_iter = k + 1;
        e->info.converged = change < p->options.tolerance;
        deq_estimate_tell(e, p, change, NAN);
    }
    deq_release(p->ctx, skill, (size_t)W * sizeof *skill);
    return DEQ_OK;
}
