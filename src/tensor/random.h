/* SPDX-License-Identifier: MIT */
/* Random draws into arrays of f32 or f64; see deq/random.h for what a draw is. */
#ifndef DEQ_TENSOR_RANDOM_H
#define DEQ_TENSOR_RANDOM_H

#include <deq/random.h>

typedef enum deq_random_kind {
    DEQ_RANDOM_UNIFORM,   /* low + (high - low) u:  a = low, b = high */
    DEQ_RANDOM_NORMAL,    /* a = mean, b = standard deviation */
    DEQ_RANDOM_BERNOULLI, /* 1 with probability a, else 0 */
    DEQ_RANDOM_RADEMACHER /* 1 or -1, each with probability 1/2 */
} deq_random_kind;

typedef struct deq_random_law {
    deq_random_kind kind;
    double a, b;
} deq_random_law;

/* Elements 0 to count - 1 of a key's draws; the same bits for any number of threads. */
void deq_random_draw(void *data, deq_dtype dtype, int64_t count, deq_random_key key,
                     deq_random_law law, int threads);

#endif
