/* SPDX-License-Identifier: MIT */
/* Functions of one real variable that voting needs, and sums that keep their digits. */
#ifndef DEQ_VOTE_SPECIAL_H
#define DEQ_VOTE_SPECIAL_H

#include <stdint.h>

/* The standard normal law: Phi(x), log Phi(x) also where Phi underflows, and the x of Phi(x) = p. */
double deq_vote_normal_cdf(double x);
double deq_vote_normal_log_cdf(double x);
double deq_vote_normal_quantile(double p);

/* log(1 + e) - e without cancellation, e > -1. */
double deq_vote_log1p_minus(double e);

/* log(exp(a) + exp(b)); -infinity stands for a term that is 0. */
double deq_vote_log_add(double a, double b);

/* A sum with the rounding of each addition carried along (Neumaier 1974). */
typedef struct deq_vote_total {
    double sum, rest;
} deq_vote_total;

static inline void deq_vote_total_add(deq_vote_total *t, double x)
{
    double sum = t->sum + x;
    double big = sum < 0 ? -sum : sum, term = x < 0 ? -x : x;
    t->rest += big >= term ? (t->sum - sum) + x : (x - sum) + t->sum;
    t->sum = sum;
}

static inline double deq_vote_total_value(deq_vote_total t)
{
    return t.sum + t.rest;
}

#endif
