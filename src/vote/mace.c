/* SPDX-License-Identifier: MIT */
/*
 * MACE (Hovy, Berg-Kirkpatrick, Vaswani & Hovy, "Learning whom to trust with MACE", NAACL 2013): worker
 * i knows the label with probability k_i, else guesses x with probability g_i[x].
 *
 *     P(x | c) = k_i [x = c] + (1 - k_i) g_i[x]                                                 (1)
 *     known(x) = k_i / (k_i + (1 - k_i) g_i[x])    that a right answer x was known              (2)
 *     k_i = (n + h) / (m_i + 2 h),  n = sum_t q_t(x_it) known(x_it)                             (3)
 *     g_i[x] proportional to h + sum_{t: x_it = x} (1 - q_t(x) known(x))                        (4)
 *
 * The objective adds h (log k + log(1 - k) + sum_x log g[x]).  The state is logit k_i and log g_i.
 */
#include "vote/em.h"

#include "base/philox.h"

#include <math.h>
#include <string.h>

/* The table: known(x), log of (1) for a right and for a wrong answer; log g. */
typedef struct tables {
    double *known, *extra, *wrong, *log_g;
} tables;

static tables tables_of(const deq_em *em)
{
    const size_t n = (size_t)(em->p->v.n_workers * em->p->v.n_labels);
    double *t = em->table;

    return (tables){ t, t + n, t + 2 * n, t + 3 * n };
}

static void prepare(deq_em *em, const double *z)
{
    const int64_t W = em->p->v.n_workers, K = em->p->v.n_labels;
    const tables t = tables_of(em);

    memcpy(t.log_g, z + W, (size_t)(W * K) * sizeof *z);
    for (int64_t i = 0; i < W; i++) {
        const double log_k = -log1p(exp(-z[i])), log_not = log_k - z[i];
        deq_log_normalise(t.log_g + i * K, K, 1);
        for (int64_t x = 0; x < K; x++) {
            const double guess = log_not + t.log_g[i * K + x], ratio = log_k - guess;
            t.known[i * K + x] = 1 / (1 + exp(-ratio));
            t.extra[i * K + x] = ratio > 700 ? ratio : log1p(exp(ratio));
            t.wrong[i * K + x] = guess;
        }
    }
}

static double score(const deq_em *em, double *s, int64_t task)
{
    const deq_votes_view *v = &em->p->v;
    const tables t = tables_of(em);
    double common = 0;

    for (int64_t j = v->begin[task]; j < v->begin[task + 1]; j++) {
        const int64_t at = v->worker[j] * v->n_labels + v->label[j];
        s[v->label[j]] += t.extra[at];
        common += t.wrong[at];
    }
    return common;
}

/* n of (3) by worker, then the sums of (4). */
static void count(const deq_em *em, double *counts, const double *q, int64_t task)
{
    const deq_votes_view *v = &em->p->v;
    const tables t = tables_of(em);

    for (int64_t j = v->begin[task]; j < v->begin[task + 1]; j++) {
        const int64_t w = v->worker[j], x = v->label[j];
        const double known = q[x] * t.known[w * v->n_labels + x];
        counts[w] += known;
        counts[v->n_workers + w * v->n_labels + x] += 1 - known;
    }
}

static void maximise(deq_em *em, double *next, deq_em_value *value, const double *z,
                     const double *counts)
{
    const int64_t W = em->p->v.n_workers, K = em->p->v.n_labels;
    const double h = em->p->options.smoothing, *guesses = counts + W;
    const tables t = tables_of(em);

    for (int64_t i = 0; i < W; i++) {
        const double log_k = -log1p(exp(-z[i])), log_not = log_k - z[i];
        double guessed = 0;
        for (int64_t x = 0; x < K; x++) guessed += guesses[i * K + x];
        const double n = counts[i] + h, not_n = guessed + h;
        next[i] = log(n / not_n);
        value->objective += h * (log_k + log_not);
        value->gain += n * (log(n / (n + not_n)) - log_k) +
                       not_n * (log(not_n / (n + not_n)) - log_not);
        for (int64_t x = 0; x < K; x++) {
            const double g = guesses[i * K + x] + h, log_old = t.log_g[i * K + x];
            const double log_new = log(g / (guessed + (double)K * h));
            next[W + i * K + x] = log_new;
            value->objective += h * log_old;
            value->gain += g * (log_new - log_old);
        }
    }
}

/* From vote shares: answers of the majority are half known. */
static void start_shares(deq_em *em, deq_estimate *e)
{
    memset(em->z, 0, (size_t)em->model->dim * sizeof *em->z);
    deq_vote_shares(e->posterior, em->p, NULL);
    deq_em_start(em, e->posterior);
}

/* Random parameters: k uniform, g proportional to a uniform number. */
static void start_random(deq_em *em, int restart)
{
    const int64_t n = em->p->v.n_workers * (em->p->v.n_labels + 1);
    const deq_philox_stream s = deq_philox_stream_of(em->p->options.seed, 0, (uint64_t)restart);
    uint32_t words[4];

    memset(em->z, 0, (size_t)em->model->dim * sizeof *em->z);
    for (int64_t i = 0; i < n; i++) {
        if (i % 4 == 0) deq_philox_words(words, &s, DEQ_PHILOX_HIGH, (uint64_t)i / 4);
        const double u = ((double)words[i % 4] + 0.5) / 4294967296.0;
        em->z[i] = i < em->p->v.n_workers ? log(u / (1 - u)) : log(u);
    }
}

/* Right answers are known or guessed: k + (1 - k) sum_c pi_c g[c]. */
static void leave(deq_estimate *e, const deq_em *em)
{
    const int64_t W = em->p->v.n_workers, K = em->p->v.n_labels;
    const tables t = tables_of(em);

    for (int64_t i = 0; i < W; i++) {
        double guess = 0;
        for (int64_t c = 0; c < K; c++) guess += e->prior[c] * exp(t.log_g[i * K + c]);
        e->ability[i] = 1 / (1 + exp(-em->z[i]));
        e->trust[i] = e->ability[i] + (1 - e->ability[i]) * guess;
    }
}

/* All starts; the best parameters end in em->z, and a last pass leaves its posteriors. */
static deq_status solve(deq_em *em, deq_estimate *e, double *best_z)
{
    const size_t bytes = (size_t)em->model->dim * sizeof *best_z;
    const int restarts = em->p->options.restarts;
    deq_estimate_info best = { .objective = -INFINITY }, first = e->info;
    int64_t n_iter = 0, n_eval = 0;

    for (int k = 0; k <= restarts && !e->stopped; k++) {
        e->info = first;
        if (k == 0)
            start_shares(em, e);
        else
            start_random(em, k);
        DEQ_TRY(deq_em_solve(em, e));
        n_iter += e->info.n_iter;
        n_eval += e->info.n_eval;
        if (!(e->info.objective > best.objective)) continue;
        best = e->info;
        memcpy(best_z, em->z, bytes);
    }
    e->info = best;
    e->info.n_iter = n_iter;
    e->info.n_eval = n_eval;
    memcpy(em->z, best_z, bytes);
    em->posterior = e->posterior;
    deq_em_step(em, em->next, em->z);
    for (int64_t c = 0; c < em->p->v.n_labels; c++) e->prior[c] = exp(em->log_prior[c]);
    return DEQ_OK;
}

deq_status deq_estimate_mace(deq_estimate *e, const deq_problem *p)
{
    const int64_t W = p->v.n_workers, K = p->v.n_labels;
    const deq_em_model model = { .dim = W + W * K + (p->free_prior ? K : 0),
                                 .n_counts = W + W * K + K,
                                 .table = 4 * (size_t)(W * K),
                                 .prepare = prepare,
                                 .score = score,
                                 .count = count,
                                 .maximise = maximise };
    const size_t dim = (size_t)model.dim;
    deq_em em;

    deq_status status = deq_em_init(&em, p, &model, NULL);
    double *best_z = deq_alloc_array(p->ctx, dim, sizeof *best_z);
    e->ability = deq_alloc_array(p->ctx, (size_t)W, sizeof *e->ability);
    if (!best_z || !e->ability) status = DEQ_ERR_NOMEM;
    if (status == DEQ_OK) status = solve(&em, e, best_z);
    if (status == DEQ_OK) leave(e, &em);
    deq_release(p->ctx, best_z, dim * sizeof *best_z);
    deq_em_free(&em);
    return status;
}
