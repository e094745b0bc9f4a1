/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Weighted majority voting under estimated trust, one header a question.
 *
 * How right a rule is, what its owner believes, and what that costs: correctness.h, sensitivity.h,
 * stability.h, on plain arrays of n sources.  The method is described in docs/math/voting.md.
 */
#ifndef DEQ_VOTE_H
#define DEQ_VOTE_H

#include <deq/vote/beta.h>
#include <deq/vote/correctness.h>
#include <deq/vote/sensitivity.h>
#include <deq/vote/stability.h>

#endif
