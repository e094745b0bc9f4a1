/* SPDX-License-Identifier: MIT */
/* deq reproduce: published results, computed again; each has a file of its own. */
#include "reproduce.h"
#include "commands.h"

static const command *const commands[] = { &command_reproduce_wmv, NULL };

static const example examples[] = {
    { "deq reproduce wmv", "the tables of weighted majority voting, beside what they should say" },
};

const command command_reproduce = {
    .name = "reproduce",
    .summary = "compute published results again, and compare",
    .description = "Each of these prints what it computed beside the reference, says how far apart "
                   "they may be, and ends with exit code 4 if one is further off.\n",
    .commands = commands,
    .examples = examples,
    .n_examples = LENGTH(examples),
};
