/* SPDX-License-Identifier: MIT */
/* The program deq: the table of its subcommands.  It sees the public headers only. */
#include "command.h"

#include <deq/deq.h>
#include <errno.h>
#include <string.h>

static const command *const commands[] = { &command_info, &command_help, NULL };

const command *command_at(int i)
{
    return commands[i];
}

const command *command_find(const char *name)
{
    for (int i = 0; commands[i]; i++)
        if (strcmp(commands[i]->name, name) == 0) return commands[i];
    return NULL;
}

static const char *command_name(const void *set, int i)
{
    (void)set;
    return commands[i] ? commands[i]->name : NULL;
}

int command_unknown(const char *name)
{
    const char *near = nearest_name(name, command_name, NULL);
    if (near) return fail(CLI_USAGE, NULL, "unknown command '%s'; did you mean '%s'?", name, near);
    return fail(CLI_USAGE, NULL, "unknown command '%s'; see deq help", name);
}

static const char *global_option(const void *set, int i)
{
    static const char *const names[] = { "--help", "--version", NULL };
    (void)set;
    return names[i];
}

/* What stands where a command should: --help, --version, or a mistake. */
static int run_option(int n, char **words)
{
    if (strcmp(words[0], "--help") == 0 || strcmp(words[0], "-h") == 0)
        return command_run(&command_help, n - 1, words + 1);
    if (strcmp(words[0], "--version") == 0 || strcmp(words[0], "-V") == 0) {
        if (n > 1) return fail(CLI_USAGE, NULL, "unexpected argument '%s'", words[1]);
        printf("deq %s\n", deq_version());
        return CLI_OK;
    }
    const char *near = nearest_name(words[0], global_option, NULL);
    if (near)
        return fail(CLI_USAGE, NULL, "unknown option '%s'; did you mean '%s'?", words[0], near);
    return fail(CLI_USAGE, NULL, "unknown option '%s'; see deq help", words[0]);
}

static int dispatch(int n, char **words)
{
    if (n == 0) {
        print_help(stderr);
        return CLI_USAGE;
    }
    if (words[0][0] == '-') return run_option(n, words);
    const command *c = command_find(words[0]);
    return c ? command_run(c, n - 1, words + 1) : command_unknown(words[0]);
}

int main(int argc, char **argv)
{
    int code = dispatch(argc > 0 ? argc - 1 : 0, argv + 1);
    if (fflush(stdout) != 0 || ferror(stdout))
        return fail(CLI_FAILED, NULL, "cannot write the result: %s", strerror(errno));
    return code;
}
