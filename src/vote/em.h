/* SPDX-License-Identifier: MIT */
/*
 * Expectation-maximisation as a fixed point z = M(E(z)) in logarithms of the parameters.
 *
 * A pass over the tasks does both steps at once: the posterior of a task is used and forgotten, so
 * that the state is the parameters alone.  What a model has to say about a task is
 *
 *     s_c = log pi_c + sum_i log P(x_i | c)                                                     (1)
 *
 * and what it counts once q = softmax(s) is known.
 */
#ifndef DEQ_SRC_VOTE_EM_H
#define DEQ_SRC_VOTE_EM_H

#include "vote/estimate.h"

/* What one evaluation found out about z. */
typedef struct deq_em_value {
    double log_likelihood; /* of the votes (and clamped labels) */
    double objective;      /* the same with the logarithms of the priors on parameters */
    double gain;           /* rise of the bound by the M-step */
} deq_em_value;

typedef struct deq_em deq_em;

/* A model; z and next are [dim], the last K of them log pi if the prior is free. */
typedef struct deq_em_model {
    int64_t dim;      /* with the prior */
    int64_t n_counts; /* doubles that every thread counts in, with K for the prior */
    size_t table;     /* doubles that `prepare` fills */
    /* From z to what the pass needs. */
    void (*prepare)(deq_em *em, const double *z);
    /* (1) without log pi, added to s; returns what is common to all labels. */
    double (*score)(const deq_em *em, double *s, int64_t task);
    /* Count what the task with posterior q says. */
    void (*count)(const deq_em *em, double *counts, const double *q, int64_t task);
    /* next from the counts (the prior excepted); adds to value's objective and gain. */
    void (*maximise)(deq_em *em, double *next, deq_em_value *value, const double *z,
                     const double *counts);
} deq_em_model;

struct deq_em {
    const deq_problem *p;
    const deq_em_model *model;
    void *user;        /* of the model */
    double *table;     /* [model->table] */
    double *log_prior; /* [K] of the present z */
    double *counts;    /* [threads, n_counts] */
    double *scratch;   /* [threads, K] */
    double *z;         /* [dim] the best so far */
    double *next;      /* [dim] scratch */
    double *posterior; /* [n_tasks, K] or NULL: where a pass leaves q */
    deq_em_value value;
};

deq_status deq_em_init(deq_em *em, const deq_problem *p, const deq_em_model *model, void *user);
void deq_em_free(deq_em *em);

/* One EM step from z, leaving em->value. */
void deq_em_step(deq_em *em, double *next, const double *z);
/* The M-step alone, from given posteriors: where EM begins. */
void deq_em_start(deq_em *em, const double *posterior);
/* Solve from em->z, which receives the best; then leave the posteriors in e, and fill e->info. */
deq_status deq_em_solve(deq_em *em, deq_estimate *e);

/* log softmax of n numbers with a stride, in place. */
void deq_log_normalise(double *x, int64_t n, int64_t stride);

#endif
