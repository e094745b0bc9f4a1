/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Who decides: how often the other votes on a task leave its decision to one worker.
 *
 * On a task let D(x) be the set of labels that decide.h (3) finds equally good when worker i votes x
 * and everyone else as they did.  The worker is
 *
 *     pivotal               no label is in all D(x)                          counts 1
 *     pivotal up to a tie   D(x) differ, but have a label in common          counts 1/2
 *     not                   D(x) are all the same                            counts 0         (1)
 *
 * whatever it voted.  For two labels this is |S_{-i}| < |w_i|, |S_{-i}| = |w_i| and the rest, so the
 * mean of (1) over tasks estimates the pivot probability D_i of sensitivity.h from the votes, without a
 * model of them.
 */
#ifndef DEQ_VOTE_INFLUENCE_H
#define DEQ_VOTE_INFLUENCE_H

#include <deq/vote/decide.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Count (1).
 *
 * One pass over the votes with trust; K times that with confusion matrices, K^3 with costs.
 *
 * @param pivot   [n_workers] receives the mean of (1) over the worker's votes; NaN without any.
 * @param ctx     supplies scratch memory.
 * @param votes   the votes.
 * @param belief  as for deq_vote_decide().
 * @param options `clip` and `linear` matter; NULL for the defaults.
 * @return as deq_vote_decide().
 */
DEQ_API deq_status deq_vote_influence(double *pivot, deq_context *ctx, const deq_votes *votes,
                                      const deq_belief *belief, const deq_decide_options *options);

#ifdef __cplusplus
}
#endif
#endif
