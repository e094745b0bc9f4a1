/* SPDX-License-Identifier: MIT */
/*
 * One coin: worker i is right with probability p_i, and errs evenly.
 *
 *     s_c = log pi_c + sum_i log((1 - p_i)/(K - 1)) + sum_{i votes c} w_i                       (1)
 *     w_i = log p_i - log((1 - p_i)/(K - 1))
 *     p_i = (a + r_i) / (a + b + m_i),   r_i = sum_t q_t(x_it)                                  (2)
 *
 * (2) maximises the likelihood with a log p + b log(1 - p) added, the objective.  Answers known to be
 * right or wrong from elsewhere count with a and b.  The state is logit p_i.
 */
#include "vote/em.h"

#include <math.h>

static void prepare(deq_em *em, const double *z)
{
    const int64_t W = em->p->v.n_workers;
    const double others = log((double)(em->p->v.n_labels - 1));
    double *w = em->table, *wrong = w + W;

    for (int64_t i = 0; i < W; i++) {
        w[i] = z[i] + others;
        wrong[i] = -log1p(exp(z[i])) - others;
        if (z[i] > 700) wrong[i] = -z[i] - others;
    }
}

static double score(const deq_em *em, double *s, int64_t task)
{
    const deq_votes_view *v = &em->p->v;
    const double *w = em->table, *wrong = w + v->n_workers;
    double common = 0;

    for (int64_t j = v->begin[task]; j < v->begin[task + 1]; j++) {
        s[v->label[j]] += w[v->worker[j]];
        common += wrong[v->worker[j]];
    }
    return common;
}

static void count(const deq_em *em, double *counts, const double *q, int64_t task)
{
    const deq_votes_view *v = &em->p->v;

    for (int64_t j = v->begin[task]; j < v->begin[task + 1]; j++)
        counts[v->worker[j]] += q[v->label[j]];
}

static void maximise(deq_em *em, double *next, deq_em_value *value, const double *z,
                     const double *counts)
{
    const deq_estimate_options *o = &em->p->options;

    for (int64_t i = 0; i < em->p->v.n_workers; i++) {
        const double known = o->correct ? (double)o->correct[i] : 0;
        const double wrong = o->correct ? (double)(o->total[i] - o->correct[i]) : 0;
        const double a = o->a + known, b = o->b + wrong, m = (double)em->p->n_votes[i];
        const double right = a + counts[i], not_right = fmax(b + m - counts[i], 1e-300);
        const double log_p = -log1p(exp(-z[i])), log_not = log_p - z[i];
        const double p = right / (right + not_right);
        next[i] = log(right / not_right);
        value->objective += a * log_p + b * log_not;
        value->gain += right * (log(p) - log_p) + not_right * (log1p(-p) - log_not);
    }
}

deq_status deq_estimate_one_coin(deq_estimate *e, const deq_problem *p)
{
    const int64_t W = p->v.n_workers, K = p->v.n_labels;
    const deq_em_model model = { .dim = W + (p->free_prior ? K : 0),
                                 .n_counts = W + K,
                                 .table = 2 * (size_t)W,
                                 .prepare = prepare,
                                 .score = score,
                                 .count = count,
                                 .maximise = maximise };
    deq_em em;

    deq_status status = deq_em_init(&em, p, &model, NULL);
    if (status == DEQ_OK) {
        deq_vote_shares(e->posterior, p, NULL);
        deq_em_start(&em, e->posterior);
        status = deq_em_solve(&em, e);
    }
    for (int64_t i = 0; i < W && status == DEQ_OK; i++) e->trust[i] = 1 / (1 + exp(-em.z[i]));
    deq_em_free(&em);
    return status;
}
