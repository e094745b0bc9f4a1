/* SPDX-License-Identifier: MIT */
#ifndef DEQ_VOTE_IMPORTANCE_H
#define DEQ_VOTE_IMPORTANCE_H

#include "vote/rule.h"

/* The error of a rule that knows the accuracies, with any prior: (3) of monte_carlo.c. */
deq_status deq_vote_importance_optimal(deq_vote_correctness_result *result, deq_context *ctx,
                                       const deq_vote_rule *rule,
                                       const deq_vote_correctness_options *options);

#endif
