/* SPDX-License-Identifier: MIT */
#include "vote/em.h"

#include "vote/votes.h"

#include <math.h>
#include <string.h>

void deq_log_normalise(double *x, int64_t n, int64_t stride)
{
    double most = -INFINITY, sum = 0;

    for (int64_t i = 0; i < n; i++) most = fmax(most, x[i * stride]);
    for (int64_t i = 0; i < n; i++) sum += exp(x[i * stride] - most);
    const double log_sum = most + log(sum);
    for (int64_t i = 0; i < n; i++) x[i * stride] -= log_sum;
}

static size_t n_scratch(const deq_em *em)
{
    return (size_t)em->p->threads * ((size_t)em->p->v.n_labels + 8);
}

deq_status deq_em_init(deq_em *em, const deq_problem *p, const deq_em_model *model, void *user)
{
    const size_t dim = (size_t)model->dim, K = (size_t)p->v.n_labels;

    *em = (deq_em){ .p = p, .model = model, .user = user };
    em->table = deq_alloc_array(p->ctx, model->table, sizeof(double));
    em->log_prior = deq_alloc_array(p->ctx, K, sizeof(double));
    em->counts = deq_alloc_array(p->ctx, (size_t)model->n_counts * (size_t)p->threads,
                                 sizeof(double));
    em->scratch = deq_alloc_array(p->ctx, n_scratch(em), sizeof(double));
    em->z = deq_alloc_array(p->ctx, dim, sizeof(double));
    em->next = deq_alloc_array(p->ctx, dim, sizeof(double));
    if (em->table && em->log_prior && em->counts && em->scratch && em->z && em->next) return DEQ_OK;
    return DEQ_ERR_NOMEM;
}

void deq_em_free(deq_em *em)
{
    deq_context *ctx = em->p->ctx;
    const size_t dim = (size_t)em->model->dim, K = (size_t)em->p->v.n_labels;

    deq_release(ctx, em->table, em->model->table * sizeof(double));
    deq_release(ctx, em->log_prior, K * sizeof(double));
    deq_release(ctx, em->counts,
                (size_t)em->model->n_counts * (size_t)em->p->threads * sizeof(double));
    deq_release(ctx, em->scratch, n_scratch(em) * sizeof(double));
    deq_release(ctx, em->z, dim * sizeof(double));
    deq_release(ctx, em->next, dim * sizeof(double));
}

/* The E-step of one task: s becomes q; returns log P(votes), or with the clamped label. */
static double infer(double *s, const deq_em *em, int64_t task)
{
    const int64_t K = em->p->v.n_labels;
    const int32_t gold = em->p->options.gold ? em->p->options.gold[task] : -1;
    double most = -INFINITY, sum = 0;

    memcpy(s, em->log_prior, (size_t)K * sizeof *s);
    const double common = em->model->score(em, s, task);
    if (gold >= 0) {
        const double joint = common + s[gold];
        for (int64_t c = 0; c < K; c++) s[c] = c == gold;
        return joint;
    }
    for (int64_t c = 0; c < K; c++) most = s[c] > most ? s[c] : most;
    for (int64_t c = 0; c < K; c++) sum += s[c] = exp(s[c] - most);
    for (int64_t c = 0; c < K; c++) s[c] /= sum;
    return common + most + log(sum);
}

/* Tasks [begin, end): the last K counts are of labels. */
static double pass(double *counts, double *s, const deq_em *em, const double *given, int64_t begin,
                   int64_t end)
{
    const deq_votes_view *v = &em->p->v;
    const int64_t K = v->n_labels;
    double *labels = counts + em->model->n_counts - K;
    double log_likelihood = 0;

    memset(counts, 0, (size_t)em->model->n_counts * sizeof *counts);
    for (int64_t t = begin; t < end; t++) {
        if (given)
            memcpy(s, given + t * K, (size_t)K * sizeof *s);
        else
            log_likelihood += infer(s, em, t);
        if (em->posterior) memcpy(em->posterior + t * K, s, (size_t)K * sizeof *s);
        if (v->begin[t] == v->begin[t + 1]) continue;
        for (int64_t c = 0; c < K; c++) labels[c] += s[c];
        em->model->count(em, counts, s, t);
    }
    return log_likelihood;
}

/* All tasks, in parts that depend on the number of threads alone; counts end in the first part's. */
static double all_passes(deq_em *em, const double *given)
{
    const int64_t n = em->model->n_counts, K = em->p->v.n_labels, T = em->p->v.n_tasks;
    const int threads = em->p->threads;

#pragma omp parallel for schedule(static, 1) num_threads(threads)
    for (int i = 0; i < threads; i++) {
        double *s = em->scratch + (int64_t)i * (K + 8);
        s[K] = pass(em->counts + i * n, s, em, given, T * i / threads, T * (i + 1) / threads);
    }
    double log_likelihood = em->scratch[K];
    for (int i = 1; i < threads; i++) {
        log_likelihood += em->scratch[(int64_t)i * (K + 8) + K];
        for (int64_t k = 0; k < n; k++) em->counts[k] += em->counts[i * n + k];
    }
    return log_likelihood;
}

static void load_prior(deq_em *em, const double *z)
{
    const int64_t K = em->p->v.n_labels;
    const double *given = em->p->options.class_prior == DEQ_PRIOR_GIVEN ? em->p->options.prior
                                                                        : NULL;

    for (int64_t c = 0; c < K; c++) {
        em->log_prior[c] = -log((double)K);
        if (given) em->log_prior[c] = given[c] > 0 ? log(given[c]) : -745;
        if (em->p->free_prior) em->log_prior[c] = z[em->model->dim - K + c];
    }
    if (em->p->free_prior) deq_log_normalise(em->log_prior, K, 1);
}

/* pi_c proportional to the count of c and the smoothing. */
static void maximise_prior(const deq_em *em, double *next, deq_em_value *value)
{
    const int64_t K = em->p->v.n_labels;
    const double *labels = em->counts + em->model->n_counts - K;
    const double smoothing = fmax(em->p->options.prior_smoothing, 1e-9);
    double sum = 0;

    if (!em->p->free_prior) return;
    for (int64_t c = 0; c < K; c++) sum += labels[c] + smoothing;
    for (int64_t c = 0; c < K; c++) {
        const double count = labels[c] + smoothing, log_pi = log(count / sum);
        value->objective += smoothing * em->log_prior[c];
        value->gain += count * (log_pi - em->log_prior[c]);
        next[em->model->dim - K + c] = log_pi;
    }
}

void deq_em_step(deq_em *em, double *next, const double *z)
{
    deq_em_value value = { 0 };

    load_prior(em, z);
    em->model->prepare(em, z);
    value.log_likelihood = all_passes(em, NULL);
    value.objective = value.log_likelihood;
    em->model->maximise(em, next, &value, z, em->counts);
    maximise_prior(em, next, &value);
    em->value = value;
}

void deq_em_start(deq_em *em, const double *posterior)
{
    deq_em_value value = { 0 };

    load_prior(em, em->z);
    em->model->prepare(em, em->z);
    (void)all_passes(em, posterior);
    em->model->maximise(em, em->next, &value, em->z, em->counts);
    maximise_prior(em, em->next, &value);
    memcpy(em->z, em->next, (size_t)em->model->dim * sizeof *em->z);
}
