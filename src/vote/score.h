/* SPDX-License-Identifier: MIT */
/* Reliability diagrams as they are gathered. */
#ifndef DEQ_SRC_VOTE_SCORE_H
#define DEQ_SRC_VOTE_SCORE_H

#include <deq/vote/compare.h>

typedef struct deq_reliability {
    double low; /* beliefs lie in [low, 1] */
    int n_bins;
    int64_t count[DEQ_RELIABILITY_BINS];
    double believed[DEQ_RELIABILITY_BINS], achieved[DEQ_RELIABILITY_BINS]; /* sums */
    double variance[DEQ_RELIABILITY_BINS];                                 /* sum b (1 - b) */
} deq_reliability;

void deq_reliability_begin(deq_reliability *r, double low, int n_bins);
void deq_reliability_add(deq_reliability *r, double believed, double achieved);
/* Writes the bins; returns the calibration error, NaN without beliefs. */
double deq_reliability_end(deq_vote_bin *bins, const deq_reliability *r);

#endif
