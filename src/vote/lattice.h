/* SPDX-License-Identifier: MIT */
#ifndef DEQ_VOTE_LATTICE_H
#define DEQ_VOTE_LATTICE_H

#include "vote/tail.h"

/* Cells of the lattice that all weights lie on (up to rounding), INFINITY if there is none. */
double deq_vote_lattice_exact_cells(const deq_vote_sum *sum);

/* law[0..m] of the number of right votes, as an array that is zero outside [0, length). */
typedef struct deq_vote_law {
    double *values;
    size_t length, capacity;
    int64_t first; /* what values[0] stands for */
    double lost;   /* probability cut off, and rounding of transforms: 1-norm */
} deq_vote_law;

/* The law of sum_i W_i [Z_i = 1] for integers W_i > 0, by transforms of halves. */
deq_status deq_vote_fft_law(deq_vote_law *law, deq_context *ctx, int64_t n, const int64_t *steps,
                            const double *q, double cut);
void deq_vote_law_free(deq_vote_law *law, deq_context *ctx);

#endif
