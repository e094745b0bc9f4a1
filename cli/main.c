/* SPDX-License-Identifier: MIT */
/* The program deq: the table of its commands.  It sees the public headers only. */
#include "commands.h"
#include "waiting.h"

#include <errno.h>
#include <string.h>

static const command *const commands[] = {
    &command_train, &command_eval,       &command_predict,
    &command_audit, &command_bench,      &command_reproduce,
    &command_vote,  &command_info,       &command_convert,
    &command_data,  &command_completion, &command_help,
    NULL,
};

static const example examples[] = {
    { "deq train --out runs/first", "train the default model, on prefix sums" },
    { "deq info", "show what this build is and what it computes with" },
    { "deq help info", "explain a command" },
};

const command root_command = {
    .name = "",
    .summary = "deep equilibrium models",
    .description =
        "Trains and runs networks whose layer is the solution of z* = f(z*; x, theta).\n",
    .commands = commands,
    .examples = examples,
    .n_examples = LENGTH(examples),
};

int main(int argc, char **argv)
{
    if (argc > 0) wait_briefly(argv);
    const int code = command_line_run(&root_command, argc > 0 ? argc - 1 : 0, argv + 1);
    if (fflush(stdout) != 0 || ferror(stdout))
        return fail(CLI_FAILED, NULL, "cannot write the result: %s", strerror(errno));
    return code;
}
