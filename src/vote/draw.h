/* SPDX-License-Identifier: MIT */
/* Variates that take a varying number of uniform words, each from a place of its own. */
#ifndef DEQ_VOTE_DRAW_H
#define DEQ_VOTE_DRAW_H

#include "base/philox.h"

#include <deq/random.h>

/* The words of one element: blocks element << 20 and following of a stream. */
typedef struct deq_vote_draw {
    deq_philox_stream stream;
    uint64_t block;
    uint32_t words[4];
    int left;
} deq_vote_draw;

deq_vote_draw deq_vote_draw_begin(deq_random_key key, uint64_t element);
/* Uniform in (0, 1), 53 bits. */
double deq_vote_draw_uniform(deq_vote_draw *d);
/* Beta(a, b), binomial(m, p). */
double deq_vote_draw_beta_one(deq_vote_draw *d, double a, double b);
int64_t deq_vote_draw_binomial(deq_vote_draw *d, int64_t m, double p);

#endif
