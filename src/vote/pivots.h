/* SPDX-License-Identifier: MIT */
#ifndef DEQ_VOTE_PIVOTS_H
#define DEQ_VOTE_PIVOTS_H

#include "vote/tail.h"

/*
 * For every source the probability that the others leave the decision to it,
 *
 *   D_i = P(x - w_i < T_{-i} < x + w_i) + (P(T_{-i} = x - w_i) + P(T_{-i} = x + w_i)) / 2
 *
 * from the characteristic function; *band is how far any of them may be off.
 */
deq_status deq_vote_fourier_pivots(double *pivots, double *band, deq_context *ctx,
                                   const deq_vote_sum *sum, double x,
                                   const deq_vote_correctness_options *options);

#endif
