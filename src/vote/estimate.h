/* SPDX-License-Identifier: MIT */
/* An estimate from inside, and what the methods share. */
#ifndef DEQ_SRC_VOTE_ESTIMATE_H
#define DEQ_SRC_VOTE_ESTIMATE_H

#include <deq/vote/estimate.h>

#include "base/context.h"

struct deq_estimate {
    deq_context *ctx;
    int64_t n_tasks, n_workers, n_labels;
    double *posterior; /* [n_tasks, K] */
    double *trust;     /* [n_workers] */
    double *prior;     /* [K] */
    double *confusion; /* [n_workers, K, K], or NULL */
    double *ability;   /* [n_workers], or NULL */
    double *ease;      /* [n_tasks], or NULL */
    double *trace;     /* [trace_capacity] */
    size_t trace_capacity;
    deq_estimate_info info;
    int64_t told; /* times the observer was called */
    bool stopped; /* by the observer */
};

/* What a method works on. */
typedef struct deq_problem {
    deq_context *ctx;
    const deq_votes *votes;
    deq_votes_view v;
    deq_estimate_options options;
    const int64_t *n_votes; /* [n_workers] */
    bool free_prior;
    int threads;
} deq_problem;

/* Each fills posterior, trust and prior, and what is its own. */
deq_status deq_estimate_majority(deq_estimate *e, const deq_problem *p);
deq_status deq_estimate_wawa(deq_estimate *e, const deq_problem *p);
deq_status deq_estimate_zbs(deq_estimate *e, const deq_problem *p);
deq_status deq_estimate_gold(deq_estimate *e, const deq_problem *p);
deq_status deq_estimate_one_coin(deq_estimate *e, const deq_problem *p);
deq_status deq_estimate_dawid_skene(deq_estimate *e, const deq_problem *p);
deq_status deq_estimate_glad(deq_estimate *e, const deq_problem *p);
deq_status deq_estimate_mace(deq_estimate *e, const deq_problem *p);
deq_status deq_estimate_kos(deq_estimate *e, const deq_problem *p);
deq_status deq_estimate_m_msr(deq_estimate *e, const deq_problem *p);

/* Shares of votes, each weighing its worker's weight (NULL: 1), which is >= 0; where all weigh nothing,
 * plain shares. */
void deq_vote_shares(double *posterior, const deq_problem *p, const double *weight);
/* Each worker's mean posterior of the labels it gave; without votes 1/K. */
void deq_vote_agreement(double *trust, const deq_problem *p, const double *posterior);
/* Tell the observer; whether to go on. */
bool deq_estimate_tell(deq_estimate *e, const deq_problem *p, double change, double objective);
/* Seconds of a clock that runs on. */
double deq_vote_seconds(void);

#endif
