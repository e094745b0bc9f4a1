/* SPDX-License-Identifier: MIT */
/*
 * Dawid & Skene ("Maximum likelihood estimation of observer error-rates using the EM algorithm",
 * Applied Statistics 28, 1979): worker i answers x with probability e_i[c, x] when the truth is c.
 *
 *     s_c = log pi_c + sum_i log e_i[c, x_i]                                                    (1)
 *     e_i[c, x] = (n_i[c, x] + h) / sum_y (n_i[c, y] + h),  n_i[c, x] = sum_{t: x_it = x} q_t(c) (2)
 *
 * with h = options.smoothing; the objective adds h sum log e.  The state is log e up to a constant a
 * row, stored [worker, vote, truth], so that a vote reads and counts K numbers in a row.  Loops over
 * labels are written out for the usual numbers of them.
 */
#include "vote/em.h"

#include <math.h>
#include <string.h>

static inline size_t cell(int64_t K, int64_t worker, int64_t vote)
{
    return (size_t)((worker * K + vote) * K);
}

static void prepare(deq_em *em, const double *z)
{
    const int64_t W = em->p->v.n_workers, K = em->p->v.n_labels;

    memcpy(em->table, z, (size_t)(W * K * K) * sizeof *z);
#pragma omp parallel for schedule(static) num_threads(em->p->threads)
    for (int64_t i = 0; i < W; i++)
        for (int64_t c = 0; c < K; c++) deq_log_normalise(em->table + cell(K, i, 0) + c, K, K);
}

static inline void score_of(double *s, const deq_em *em, int64_t K, int64_t task)
{
    const deq_votes_view *v = &em->p->v;

    for (int64_t j = v->begin[task]; j < v->begin[task + 1]; j++) {
        const double *row = em->table + cell(K, v->worker[j], v->label[j]);
        for (int64_t c = 0; c < K; c++) s[c] += row[c];
    }
}

static inline void count_of(double *counts, const double *q, const deq_em *em, int64_t K,
                            int64_t task)
{
    const deq_votes_view *v = &em->p->v;

    for (int64_t j = v->begin[task]; j < v->begin[task + 1]; j++) {
        double *row = counts + cell(K, v->worker[j], v->label[j]);
        for (int64_t c = 0; c < K; c++) row[c] += q[c];
    }
}

static double score(const deq_em *em, double *s, int64_t task)
{
    const int64_t K = em->p->v.n_labels;

    switch (K) {
    case 2: score_of(s, em, 2, task); break;
    case 3: score_of(s, em, 3, task); break;
    case 4: score_of(s, em, 4, task); break;
    case 5: score_of(s, em, 5, task); break;
    default: score_of(s, em, K, task);
    }
    return 0;
}

static void count(const deq_em *em, double *counts, const double *q, int64_t task)
{
    const int64_t K = em->p->v.n_labels;

    switch (K) {
    case 2: count_of(counts, q, em, 2, task); break;
    case 3: count_of(counts, q, em, 3, task); break;
    case 4: count_of(counts, q, em, 4, task); break;
    case 5: count_of(counts, q, em, 5, task); break;
    default: count_of(counts, q, em, K, task);
    }
}

/* (2) for one row of one worker; what the row adds to the objective and to the gain. */
static void maximise_row(double *next, double *objective, double *gain, const double *counts,
                         const double *log_e, int64_t K, double h)
{
    double sum = 0;

    for (int64_t x = 0; x < K; x++) sum += counts[x * K] + h;
    for (int64_t x = 0; x < K; x++) {
        const double n = counts[x * K] + h;
        next[x * K] = log(n / sum);
        *objective += h * log_e[x * K];
        *gain += n * (next[x * K] - log_e[x * K]);
    }
}

static void maximise(deq_em *em, double *next, deq_em_value *value, const double *z,
                     const double *counts)
{
    const int64_t W = em->p->v.n_workers, K = em->p->v.n_labels;

    (void)z;
    for (int64_t i = 0; i < W; i++)
        for (int64_t c = 0; c < K; c++) {
            const size_t at = cell(K, i, 0) + (size_t)c;
            maximise_row(next + at, &value->objective, &value->gain, counts + at, em->table + at, K,
                         em->p->options.smoothing);
        }
}

/* e from the solution, and sum_c pi_c e[c, c]. */
static void leave(deq_estimate *e, const deq_em *em)
{
    const int64_t W = em->p->v.n_workers, K = em->p->v.n_labels;

    for (int64_t i = 0; i < W; i++) {
        e->trust[i] = 0;
        for (int64_t c = 0; c < K; c++)
            for (int64_t x = 0; x < K; x++) {
                const double p = exp(em->table[cell(K, i, x) + (size_t)c]);
                e->confusion[(i * K + c) * K + x] = p;
                if (x == c) e->trust[i] += e->prior[c] * p;
            }
    }
}

deq_status deq_estimate_dawid_skene(deq_estimate *e, const deq_problem *p)
{
    const int64_t W = p->v.n_workers, K = p->v.n_labels;
    size_t cells;

    if (!deq_size_mul(&cells, (size_t)K, (size_t)K) || !deq_size_mul(&cells, cells, (size_t)W) ||
        cells > SIZE_MAX / 1024)
        return deq_fail(p->ctx, DEQ_ERR_OVERFLOW, "%lld confusion matrices of %lld labels",
                        (long long)W, (long long)K);
    const deq_em_model model = { .dim = (int64_t)cells + (p->free_prior ? K : 0),
                                 .n_counts = (int64_t)cells + K,
                                 .table = cells,
                                 .prepare = prepare,
                                 .score = score,
                                 .count = count,
                                 .maximise = maximise };
    deq_em em;

    deq_status status = deq_em_init(&em, p, &model, NULL);
    e->confusion = deq_alloc_array(p->ctx, cells, sizeof *e->confusion);
    if (!e->confusion) status = DEQ_ERR_NOMEM;
    if (status == DEQ_OK) {
        deq_vote_shares(e->posterior, p, NULL);
        deq_em_start(&em, e->posterior);
        status = deq_em_solve(&em, e);
    }
    if (status == DEQ_OK) leave(e, &em);
    deq_em_free(&em);
    return status;
}
