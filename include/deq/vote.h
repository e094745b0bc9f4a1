/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Weighted majority voting under estimated trust, one header a question.
 *
 * From files to decisions: votes.h (who voted what), tables.h (gold, trust, priors, costs), decide.h
 * (task by task), posterior.h (the same from probabilities), influence.h (whose votes mattered), trust.h
 * (from gold), estimate.h (from the votes), compare.h (is it so).
 *
 * How right a rule is, what its owner believes, and what that costs: correctness.h, sensitivity.h,
 * stability.h, on plain arrays of n sources.  The method is described in docs/math/voting.md.
 */
#ifndef DEQ_VOTE_H
#define DEQ_VOTE_H

#include <deq/vote/beta.h>
#include <deq/vote/compare.h>
#include <deq/vote/correctness.h>
#include <deq/vote/decide.h>
#include <deq/vote/estimate.h>
#include <deq/vote/influence.h>
#include <deq/vote/posterior.h>
#include <deq/vote/sensitivity.h>
#include <deq/vote/stability.h>
#include <deq/vote/tables.h>
#include <deq/vote/trust.h>
#include <deq/vote/votes.h>

#endif
