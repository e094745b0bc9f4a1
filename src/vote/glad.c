/* SPDX-License-Identifier: MIT */
/*
 * GLAD (Whitehill, Ruvolo, Wu, Bergsma & Movellan, "Whose vote should count more", NeurIPS 2009):
 * worker i has ability alpha_i, task t ease beta_t = e^{gamma_t}, and errs evenly:
 *
 *     P(x = c) = sigma(alpha_i beta_t),   else (1 - sigma(alpha_i beta_t)) / (K - 1)            (1)
 *
 * with normal priors of mean 1 and variance 1 on alpha and gamma.  The M-step is a generalised one:
 * with r = q_t(x_it), x = alpha_i beta_t and sigma = sigma(x), first a step in each alpha,
 *
 *     alpha += ( sum_t beta (r - sigma) - (alpha - 1) ) / ( sum_t beta^2 k(x) + 1 ),
 *     k(x) = (sigma(x) - 1/2) / x                                                               (2)
 *
 * which maximises the tightest quadratic below the bound (Jaakkola & Jordan, Statistics and Computing
 * 10, 2000) and so cannot lower it; then, given those, Fisher's scoring in each gamma, halved until the
 * bound rises:
 *
 *     gamma += ( sum_i alpha beta (r - sigma) - (gamma - 1) )
 *              / ( sum_i (alpha beta)^2 sigma (1 - sigma) + 1 )                                 (3)
 *
 * The state is alpha, gamma.
 */
#include "vote/em.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST 2.0 /* step in gamma */
#define HALVINGS 6
#define MOST_GAMMA 20.0 /* further out the exponential says nothing */

/* log sigma(x) and log(1 - sigma(x)). */
static inline double log_sigma(double x)
{
    return x > 0 ? -log1p(exp(-x)) : x - log1p(exp(x));
}

static inline double held(double x, double most)
{
    return x > most ? most : x < -most ? -most : x;
}

static void prepare(deq_em *em, const double *z)
{
    const int64_t W = em->p->v.n_workers, T = em->p->v.n_tasks;

    memcpy(em->table, z, (size_t)W * sizeof *z);
    for (int64_t t = 0; t < T; t++) em->table[W + t] = exp(held(z[W + t], MOST_GAMMA));
}

static double score(const deq_em *em, double *s, int64_t task)
{
    const deq_votes_view *v = &em->p->v;
    const double others = log((double)(v->n_labels - 1));
    const double beta = em->table[v->n_workers + task];
    double common = 0;

    for (int64_t j = v->begin[task]; j < v->begin[task + 1]; j++) {
        const double x = em->table[v->worker[j]] * beta;
        s[v->label[j]] += x + others;
        common += log_sigma(-x) - others;
    }
    return common;
}

/* The sums of (2): gradients, then curvatures. */
static void count(const deq_em *em, double *counts, const double *q, int64_t task)
{
    const deq_votes_view *v = &em->p->v;
    const double beta = em->table[v->n_workers + task];

    for (int64_t j = v->begin[task]; j < v->begin[task + 1]; j++) {
        const int64_t w = v->worker[j];
        const double x = em->table[w] * beta, sigma = 1 / (1 + exp(-x));
        counts[w] += beta * (q[v->label[j]] - sigma);
        counts[v->n_workers + w] += beta * beta * (fabs(x) > 1e-4 ? (sigma - 0.5) / x : 0.25);
    }
}

/* What the task adds to the bound. */
static double bound(const deq_em *em, const double *alpha, double gamma, int64_t task)
{
    const deq_votes_view *v = &em->p->v;
    const double *q = em->posterior + task * v->n_labels;
    const double beta = exp(held(gamma, MOST_GAMMA));
    double sum = -0.5 * (gamma - 1) * (gamma - 1);

    for (int64_t j = v->begin[task]; j < v->begin[task + 1]; j++) {
        const double x = alpha[v->worker[j]] * beta, r = q[v->label[j]];
        sum += r * log_sigma(x) + (1 - r) * log_sigma(-x);
    }
    return sum;
}

/* (3) */
static double gamma_step(const deq_em *em, const double *alpha, double gamma, int64_t task)
{
    const deq_votes_view *v = &em->p->v;
    const double *q = em->posterior + task * v->n_labels;
    const double beta = exp(held(gamma, MOST_GAMMA));
    double gradient = 1 - gamma, information = 1;

    for (int64_t j = v->begin[task]; j < v->begin[task + 1]; j++) {
        const double x = alpha[v->worker[j]] * beta, sigma = 1 / (1 + exp(-x));
        gradient += x * (q[v->label[j]] - sigma);
        information += x * x * sigma * (1 - sigma);
    }
    return held(gradient / information, LONGEST);
}

/* The new gamma of a task; *rise: of its part of the bound, from the old alpha and gamma. */
static double best_gamma(double *rise, const deq_em *em, const double *old_alpha,
                         const double *alpha, double gamma, int64_t task)
{
    const double before = bound(em, alpha, gamma, task);
    double step = gamma_step(em, alpha, gamma, task);

    *rise = before - bound(em, old_alpha, gamma, task);
    for (int k = 0; k < HALVINGS; k++) {
        const double after = bound(em, alpha, gamma + step, task);
        if (after >= before) {
            *rise += after - before;
            return gamma + step;
        }
        step /= 2;
    }
    return gamma;
}

static void maximise(deq_em *em, double *next, deq_em_value *value, const double *z,
                     const double *counts)
{
    const int64_t W = em->p->v.n_workers, T = em->p->v.n_tasks, K = em->p->v.n_labels;
    const int threads = em->p->threads;

    for (int64_t i = 0; i < W; i++) {
        next[i] = z[i] + (counts[i] - (z[i] - 1)) / (counts[W + i] + 1);
        value->objective -= 0.5 * (z[i] - 1) * (z[i] - 1);
        value->gain += 0.5 * ((z[i] - 1) * (z[i] - 1) - (next[i] - 1) * (next[i] - 1));
    }
#pragma omp parallel for schedule(static, 1) num_threads(threads)
    for (int part = 0; part < threads; part++) {
        double sum = 0, rise;
        for (int64_t t = T * part / threads; t < T * (part + 1) / threads; t++) {
            next[W + t] = best_gamma(&rise, em, z, next, z[W + t], t);
            sum += rise;
        }
        em->scratch[part * (K + 8)] = sum;
    }
    for (int part = 0; part < threads; part++) value->gain += em->scratch[part * (K + 8)];
    for (int64_t t = 0; t < T; t++) value->objective -= 0.5 * (z[W + t] - 1) * (z[W + t] - 1);
}

static int rising(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void leave(deq_estimate *e, deq_em *em)
{
    const int64_t W = em->p->v.n_workers, T = em->p->v.n_tasks;
    double *sorted = em->next;

    for (int64_t t = 0; t < T; t++) sorted[t] = e->ease[t] = exp(held(em->z[W + t], MOST_GAMMA));
    qsort(sorted, (size_t)T, sizeof *sorted, rising);
    const double median = T ? sorted[T / 2] : 1;
    for (int64_t i = 0; i < W; i++) {
        e->ability[i] = em->z[i];
        e->trust[i] = 1 / (1 + exp(-em->z[i] * median));
    }
}

deq_status deq_estimate_glad(deq_estimate *e, const deq_problem *p)
{
    const int64_t W = p->v.n_workers, T = p->v.n_tasks, K = p->v.n_labels;
    const deq_em_model model = { .dim = W + T + (p->free_prior ? K : 0),
                                 .n_counts = 2 * W + K,
                                 .table = (size_t)(W + T),
                                 .prepare = prepare,
                                 .score = score,
                                 .count = count,
                                 .maximise = maximise };
    deq_em em;

    deq_status status = deq_em_init(&em, p, &model, NULL);
    e->ability = deq_alloc_array(p->ctx, (size_t)W, sizeof *e->ability);
    e->ease = deq_alloc_array(p->ctx, (size_t)T, sizeof *e->ease);
    if (!e->ability || !e->ease) status = DEQ_ERR_NOMEM;
    if (status == DEQ_OK) {
        for (int64_t i = 0; i < W + T; i++) em.z[i] = 1;
        em.posterior = e->posterior; /* the M-step reads it */
        status = deq_em_solve(&em, e);
    }
    if (status == DEQ_OK) leave(e, &em);
    deq_em_free(&em);
    return status;
}
