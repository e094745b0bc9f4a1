/* SPDX-License-Identifier: MIT */
/* deq help */
#include "command.h"

static int run(const arguments *a)
{
    if (a->n_operands == 0) {
        print_help(stdout);
        return CLI_OK;
    }
    const command *c = command_find(a->operands[0]);
    if (!c) return command_unknown(a->operands[0]);
    print_command_help(stdout, c);
    return CLI_OK;
}

const command command_help = {
    .name = "help",
    .summary = "list the commands, or show the help of one",
    .operands = " [command]",
    .max_operands = 1,
    .description =
        "Without a command, lists all of them.  `deq help info` and `deq info --help` print\n"
        "the same.\n",
    .examples = "  deq help\n"
                "  deq help info\n",
    .run = run,
};
