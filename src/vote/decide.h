/* SPDX-License-Identifier: MIT */
/* Evidence for the labels of one task; the equations stand in deq/vote/decide.h. */
#ifndef DEQ_SRC_VOTE_DECIDE_H
#define DEQ_SRC_VOTE_DECIDE_H

#include <deq/vote/decide.h>

/* Scores differ if by more than this part of sum |w|. */
#define DEQ_TIE_TOLERANCE 1e-12

/* What does not change from task to task. */
typedef struct deq_rule {
    deq_votes_view v;
    deq_belief belief;
    deq_decide_options options;
    bool repeats;          /* some worker votes more than once on a task */
    double *trust;         /* [n_workers] clipped; NULL with confusion matrices */
    double *weight;        /* [n_workers] finite part of (1) */
    int8_t *infinite;      /* [n_workers] 1: t = 1, -1: t = 0 */
    double *log_confusion; /* [n_workers, vote, truth], -inf for zeros; or NULL */
    double *log_prior;     /* [K], 0 for zeros */
    bool *impossible;      /* [K]: prior zero */
} deq_rule;

/* The evidence on one task. */
typedef struct deq_evidence {
    double *score;     /* [K] finite part */
    double *posterior; /* [K] */
    double *cost;      /* [K] expected, of deciding so; only with costs */
    int32_t *infinite; /* [K] counts for, minus counts against */
    int32_t *certain;  /* [K] counts for */
    int32_t *excluded; /* [K] counts against */
    int32_t most;      /* of infinite */
    double scale;      /* sum |w| */
} deq_evidence;

/* The radius and whose it is, for a task that was decided without a tie. */
void deq_flip_radius(deq_decision *d, const deq_rule *r, const deq_evidence *e, int64_t task);

#endif
