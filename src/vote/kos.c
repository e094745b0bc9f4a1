/* SPDX-License-Identifier: MIT */
/*
 * Karger, Oh & Shah ("Iterative learning for reliable crowdsourcing systems", NeurIPS 2011), for two
 * labels.  With A = -1 or +1 the vote of worker j on task t, messages go to and fro along the votes:
 *
 *     x_{t->j} = sum_{j' != j} A_{tj'} y_{j'->t},   y_{j->t} = sum_{t' != t} A_{t'j} x_{t'->j}   (1)
 *
 * from y ~ N(1, 1), scaled to unit mean square each time; the label of t is the sign of
 * x_t = sum_j A_{tj} y_{j->t}.  Options.restarts starts are averaged.  The posterior is the share of
 * |y| for each label.
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

static void to_tasks(messages *m, const deq_votes_view *v)
{
    double square = 0;

    memset(m->sum, 0, (size_t)v->n_workers * sizeof *m->sum);
    for (int64_t j = 0; j < v->n_votes; j++) m->sum[v->worker[j]] += sign_of(v, j) * m->x[j];
    for (int64_t j = 0; j < v->n_votes; j++) {
        m->y[j] = m->sum[v->worker[j]] - sign_of(v, j) * m->x[j];
        square += m->y[j] * m->y[j];
    }
    const double scale = sqrt(square / (double)v->n_votes);
    for (int64_t j = 0; j < v->n_votes; j++) m->y[j] = scale > 0 ? m->y[j] / scale : 1;
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
    for (int s = 0; s < starts; s++) {
        const deq_random_key key = { p->options.seed, 0, (uint64_t)s };
        DEQ_TRY(deq_draw_normal(m->y, DEQ_F64, p->v.n_votes, key, 1, 1));
        for (int k = 0; k < p->options.max_iter; k++) {
            to_workers(m, &p->v);
            to_tasks(m, &p->v);
        }
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
    e->info.n_iter = p->options.max_iter;
    deq_release(ctx, m.x, n * sizeof(double));
    deq_release(ctx, m.y, n * sizeof(double));
    deq_release(ctx, m.sum, W * sizeof(double));
    return status;
}
