/* SPDX-License-Identifier: MIT */
/*
 * Karger, Oh & Shah ("Iterative learning for reliable crowdsourcing systems", NeurIPS 2011), for two
 * labels.  With A = -1 or +1 the vote of worker j on task t, messages go to and fro along the votes:
 *
 *     x_{t->j} = sum_{j' != j} A_{tj'} y_{j'->t}                                                (1)
 *     y_{j->t} = 1 / (m_j - 1) sum_{t' != t} A_{t'j} x_{t'->j},   m_j votes of worker j            (2)
 *
 * from y ~ N(1, 1), scaled to unit mean square each time; the label of t is the sign of
 * x_t = sum_j A_{tj} y_{j->t}.  The factor of (2) is ours.  The paper assigns as many tasks to every
 * worker, so that it is a constant there and changes nothing.  Where workers give different numbers of
 * votes, sums without it grow fastest along those with the most votes, whoever they are, until they
 * alone decide; means leave y an estimate of how reliable the worker is.
 *
 * y and -y explain the votes equally well; the paper takes workers to be better than chance on average,
 * so the sum of all y is held positive.  Options.restarts starts are averaged.  The posterior is the
 * share of |y| for each label.
 */
#include "vote/estimate.h"

#include <deq/random.h>
#include <math.h>
#include <string.h>

typedef struct messages {
    double *x, *y, *sum; /* [n_votes], [n_votes], [n_workers] */
} messages;

static double sign_of(const deq_votes_view *v, int64_t j)
{
    return v->label[j] ? 1 : -1;
}

static void to_workers(messages *m, const deq_votes_view *v)
{
    for (int64_t t = 0; t < v->n_tasks; t++) {
        double all = 0;
        for (int64_t j = v->begin[t]; j < v->begin[t + 1]; j++) all += sign_of(v, j) * m->y[j];
        for (int64_t j = v->begin[t]; j < v->begin[t + 1]; j++)
            m->x[j] = all - sign_of(v, j) * m->y[j];
    }
}

/* (2); the root of the mean square that y changes by. */
static double to_tasks(messages *m, const deq_problem *p)
{
    const deq_votes_view *v = &p->v;
    double square = 0, change = 0;

    memset(m->sum, 0, (size_t)v->n_workers * sizeof *m->sum);
    for (int64_t j = 0; j < v->n_votes; j++) m->sum[v->worker[j]] += sign_of(v, j) * m->x[j];
    for (int64_t j = 0; j < v->n_votes; j++) {
        const int64_t others = p->n_votes[v->worker[j]] - 1;
        m->x[j] = others ? (m->sum[v->worker[j]] - sign_of(v, j) * m->x[j]) / (double)others : 0;
        square += m->x[j] * m->x[j];
    }
    const double scale = sqrt(square / (double)v->n_votes);
    for (int64_t j = 0; j < v->n_votes; j++) {
        const double y = scale > 0 ? m->x[j] / scale : 1;
        change += (y - m->y[j]) * (y - m->y[j]);
        m->y[j] = y;
    }
    return sqrt(change / (double)v->n_votes);
}

static void turn_upright(messages *m, int64_t n)
{
    double sum = 0;

    for (int64_t j = 0; j < n; j++) sum += m->y[j];
    for (int64_t j = 0; j < n && sum < 0; j++) m->y[j] = -m->y[j];
}

/* Adds the messages' weight for each label to the posterior. */
static void add_shares(double *posterior, const messages *m, const deq_votes_view *v)
{
    for (int64_t t = 0; t < v->n_tasks; t++)
        for (int64_t j = v->begin[t]; j < v->begin[t + 1]; j++)
            posterior[2 * t + (sign_of(v, j) * m->y[j] > 0)] += fabs(m->y[j]);
}

static deq_status run(deq_estimate *e, messages *m, const deq_problem *p)
{
    const int64_t T = p->v.n_tasks;
    const int starts = p->options.restarts > 1 ? p->options.restarts : 1;

    memset(e->posterior, 0, (size_t)T * 2 * sizeof *e->posterior);
    e->info.converged = true;
    for (int s = 0; s < starts && !e->stopped; s++) {
        const deq_random_key key = { p->options.seed, 0, (uint64_t)s };
        DEQ_TRY(deq_draw_normal(m->y, DEQ_F64, p->v.n_votes, key, 1, 1));
        bool still = false;
        for (int k = 0; k < p->options.max_iter && !still && !e->stopped; k++) {
            to_workers(m, &p->v);
            const double change = to_tasks(m, p);
            still = change < p->options.tolerance;
            e->info.n_iter++;
            deq_estimate_tell(e, p, change, NAN);
        }
        e->info.converged &= still;
        turn_upright(m, p->v.n_votes);
        add_shares(e->posterior, m, &p->v);
    }
    for (int64_t t = 0; t < T; t++) {
        double *q = e->posterior + 2 * t;
        const double sum = q[0] + q[1];
        q[0] = sum > 0 ? q[0] / sum : 0.5;
        q[1] = 1 - q[0];
    }
    return DEQ_OK;
}

deq_status deq_estimate_kos(deq_estimate *e, const deq_problem *p)
{
    const size_t n = (size_t)p->v.n_votes, W = (size_t)p->v.n_workers;
    deq_context *ctx = p->ctx;

    if (p->v.n_labels != 2)
        return deq_fail(ctx, DEQ_ERR_UNSUPPORTED, "kos decides between two labels, not %lld",
                        (long long)p->v.n_labels);
    messages m = { deq_alloc_array(ctx, n, sizeof(double)), deq_alloc_array(ctx, n, sizeof(double)),
                   deq_alloc_array(ctx, W, sizeof(double)) };
    deq_status status = m.x && m.y && m.sum ? run(e, &m, p) : DEQ_ERR_NOMEM;
    if (status == DEQ_OK) deq_vote_agreement(e->trust, p, e->posterior);
    deq_release(ctx, m.x, n * sizeof(double));
    deq_release(ctx, m.y, n * sizeof(double));
    deq_release(ctx, m.sum, W * sizeof(double));
    return status;
}
