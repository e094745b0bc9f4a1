/* SPDX-License-Identifier: MIT */
/*
 * A rule in normal form: what is certain or infinite is taken out of the sum.
 *
 *   w_i < 0                the reversed vote: |w_i|, q_i = 1 - p_i, r_i = p_i
 *   w_i = 0                dropped
 *   q_i or r_i = 0         the vote is known: moves the threshold
 *   w_i infinite           counted; N = right minus wrong infinite votes has a law of its own
 *
 * Given Y = +1 (side 0) or Y = -1 (side 1) the decision is wrong if N + N_0 < 0, right if > 0, and
 * else it is wrong with probability below(x), where x = -w_0 or w_0, moved by the known votes.
 */
#ifndef DEQ_VOTE_RULE_H
#define DEQ_VOTE_RULE_H

#include "vote/tail.h"

/* One of the two values of the truth. */
typedef struct deq_vote_side {
    double share;                /* P(Y) */
    double wrong, right, finite; /* P(N + N_0 < 0), > 0, = 0 */
    double contradiction;        /* P(N + N_0 = 0 and there are infinite weights) */
    double x;                    /* the threshold of the finite part */
} deq_vote_side;

typedef struct deq_vote_rule {
    deq_vote_sum sum;
    deq_vote_side sides[2];
    int n_sides; /* 1 where both are the same; its share is 1 */
    double weight_0;
    int64_t n_finite; /* with those whose vote is known */
    bool optimal;     /* weights are the log-odds of p, w_0 that of the prior, none infinite */
    size_t capacity;
} deq_vote_rule;

/* Checks the arguments; `who` is the public function's name.  Free with deq_vote_rule_free(), also
 * after a failure. */
deq_status deq_vote_rule_new(deq_vote_rule *rule, deq_context *ctx, const char *who, int64_t n,
                             const double *weights, const double *p,
                             const deq_vote_correctness_options *options);
void deq_vote_rule_free(deq_vote_rule *rule, deq_context *ctx);

deq_status deq_vote_correctness_check(deq_context *ctx, const char *who,
                                      const deq_vote_correctness_options *options);
/* Trust to weights, with the function's name in the message; allocates [n]. */
deq_status deq_vote_trust_weights(double **weights, deq_context *ctx, const char *who, int64_t n,
                                  const double *trust);

#endif
