/* SPDX-License-Identifier: MIT */
/* All sums of two halves of the sources, sorted: what exact methods beyond enumeration stand on. */
#ifndef DEQ_VOTE_LISTS_H
#define DEQ_VOTE_LISTS_H

#include "vote/tail.h"

/* One sum of a half, and its probability; in the second list that of all sums up to it. */
typedef struct deq_vote_entry {
    double sum, probability;
} deq_vote_entry;

typedef struct deq_vote_list {
    deq_vote_entry *entries;
    size_t count, capacity;
} deq_vote_list;

typedef struct deq_vote_lists {
    deq_vote_list half[2];
} deq_vote_lists;

/* Grouped: sources of equal weight are one count.  Otherwise each is by itself.  More than 2^25 sums
 * on a side are refused.  Free with deq_vote_lists_free(), also after a failure. */
deq_status deq_vote_lists_new(deq_vote_lists *lists, deq_context *ctx, const deq_vote_sum *sum,
                              bool grouped);
void deq_vote_lists_free(deq_vote_lists *lists, deq_context *ctx);

/* P(T < x) + P(T = x) / 2, and P(T = x); |T - x| <= tie counts as equal. */
double deq_vote_lists_below(const deq_vote_lists *lists, double x, double tie, double *equal);
/* The largest sum below x - tie and the smallest above x + tie; infinite if there is none.  Returns
 * whether a sum lies between. */
bool deq_vote_lists_nearest(const deq_vote_lists *lists, double x, double tie, double *low,
                            double *high);

#endif
