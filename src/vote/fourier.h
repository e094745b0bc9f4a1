/* SPDX-License-Identifier: MIT */
/* Characteristic functions at equidistant nodes, and Vaaler's polynomials. */
#ifndef DEQ_VOTE_FOURIER_H
#define DEQ_VOTE_FOURIER_H

#include "base/context.h"

#include "vote/kernel.h"

#include <stdint.h>

/* Terms of sum_i w_i Z_i in units of a period: turns t_i = w_i / P, bias b_i = q_i - r_i. */
typedef struct deq_vote_terms {
    int64_t n;
    const double *turns, *bias;
    const deq_vote_steps *steps; /* by deq_vote_steps_of() of the turns */
    const deq_vote_kernels *kernels;
} deq_vote_terms;

typedef struct deq_vote_nodes {
    double re[DEQ_VOTE_NODES], im[DEQ_VOTE_NODES];
} deq_vote_nodes;

/*
 * prod_i (cos 2 pi k t_i + i b_i sin 2 pi k t_i), k = first .. first + NODES - 1.  Stops, with zeros, as
 * soon as all have fallen below 1e-20.  Returns the number of factors used; `start` factors are
 * skipped, so that a caller can leave the first out.
 */
int64_t deq_vote_fourier_block(deq_vote_nodes *nodes, const deq_vote_terms *terms, int64_t start,
                               int64_t first);

/* The steps of n turns. */
void deq_vote_steps_of(deq_vote_steps *steps, const double *turns, int64_t n);

/* cos and sin of 2 pi k t; k t is reduced exactly. */
void deq_vote_turn(double *cosine, double *sine, double k, double t);

/* Vaaler's factor pi u (1 - u) cot(pi u) + u, 0 < u < 1. */
double deq_vote_vaaler(double u);

#endif
