/* SPDX-License-Identifier: MIT */
/* deq vote: weighted majority voting under estimated trust. */
#include "vote.h"

#include "commands.h"

static const command *const commands[] = {
    &command_vote_decide,    &command_vote_trust,
    &command_vote_accuracy,  &command_vote_sensitivity,
    &command_vote_stability, &command_vote_calibrate,
    &command_vote_compare,   NULL,
};

static const example examples[] = {
    { "deq vote decide votes.csv --gold gold.csv", "decisions, with weights from known answers" },
    { "deq vote calibrate votes.csv --gold gold.csv", "is what is believed achieved" },
    { "deq vote accuracy --t 0.9,0.6,0.6 --p 0.8,0.7,0.6",
      "believed, actual and optimal accuracy of three sources" },
};

const command command_vote = {
    .name = "vote",
    .summary = "weighted majority voting under estimated trust",
    .description =
        "Workers, or models, give labels to tasks; each vote weighs as much as the log-odds of the trust in "
        "who gave it. decide, trust, calibrate and compare work on files of votes; accuracy, "
        "sensitivity and stability on what is known or assumed of the sources.\n"
        "\n"
        "Three accuracies are always told apart: believed, by whoever trusts; actual (achieved, where "
        "it is counted on known answers); and optimal, with the true accuracies for trust.\n",
    .commands = commands,
    .examples = examples,
    .n_examples = LENGTH(examples),
};
