/* SPDX-License-Identifier: MIT */
/*
 * Random draws one after the other, of one example or one epoch.
 *
 * What is drawn is a function of (seed, step, use, index) and of how many draws came before in the
 * same sequence: nothing is carried from one example to the next, so any thread can make any of them.
 */
#ifndef DEQ_SRC_DATA_DRAWS_H
#define DEQ_SRC_DATA_DRAWS_H

#include "base/philox.h"

#include <stdbool.h>

/* What draws are for: sequences of different uses are independent. */
typedef enum deq_draws_use {
    DEQ_DRAWS_PREFIX_SUMS = 0xd1,
    DEQ_DRAWS_MAZES,
    DEQ_DRAWS_ORDER,
    DEQ_DRAWS_AUGMENT
} deq_draws_use;

/* Indices are below this. */
#define DEQ_DRAWS_MOST (INT64_C(1) << 56)

typedef struct deq_draws {
    deq_philox_stream stream;
    uint64_t block; /* the next one */
    uint32_t words[4];
    int left; /* words not used yet */
} deq_draws;

/* The beginning of a sequence; index is below DEQ_DRAWS_MOST. */
deq_draws deq_draws_of(uint64_t seed, uint64_t step, deq_draws_use use, int64_t index);
/* 32 bits. */
uint32_t deq_draws_word(deq_draws *d);
/* An integer below n >= 1, each as likely as the others. */
int64_t deq_draws_below(deq_draws *d, int64_t n);
/* True with probability p of 0 to 1, in steps of 2^-32. */
bool deq_draws_chance(deq_draws *d, double p);

#endif
