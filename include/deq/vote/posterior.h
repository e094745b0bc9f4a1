/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Decisions from posteriors of any origin: of methods that have no weights to give (GLAD, MACE, KOS,
 * M-MSR), or of a model outside.  Where trust or confusion matrices are known, decide.h says more.
 */
#ifndef DEQ_VOTE_POSTERIOR_H
#define DEQ_VOTE_POSTERIOR_H

#include <deq/vote/decide.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Decide every task for the label of least expected cost, argmin_a sum_c q_c cost[c, a].
 *
 * Probabilities and costs within 1e-9, relatively, are ties.  The margin is log(q_1 / q_2), infinite
 * when q_2 is 0; flip radii are NaN; of the flags only those for ties, absent votes and unanimity are
 * set.
 *
 * @param decisions [n_tasks] receives the decisions.
 * @param ctx       keeps the message.
 * @param votes     the votes.
 * @param posterior [n_tasks, K], each in [0, 1], of sum 1 a task.
 * @param cost      [K, K], truth by decision, finite, >= 0; NULL: 0 right, 1 wrong.
 * @param options   `tie` and `seed` matter; NULL for the defaults.
 * @return DEQ_OK; DEQ_ERR_ARGUMENT (options, posterior or cost out of range: the message says whose).
 */
DEQ_API deq_status deq_vote_decide_posterior(deq_decision *decisions, deq_context *ctx,
                                             const deq_votes *votes, const double *posterior,
                                             const double *cost, const deq_decide_options *options);

#ifdef __cplusplus
}
#endif
#endif
