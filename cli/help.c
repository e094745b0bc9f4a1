/* SPDX-License-Identifier: MIT */
/* deq help: the texts that come from the tables of the commands. */
#include "commands.h"
#include "parse.h"

static int print_text(text_buffer *t)
{
    fputs(text_string(t), stdout);
    text_free(t);
    return CLI_OK;
}

static int print_name(void *user, const command *c, const char *path)
{
    (void)user;
    (void)c;
    if (*path) puts(path);
    return 0;
}

static int check_tables(const arguments *a)
{
    text_buffer faults = { 0 };
    put_faults(&faults, &root_command);
    const bool well = faults.size == 0;
    if (!well) fail(CLI_UNMET, a->path, "the tables of commands have faults:");
    fputs(text_string(&faults), stderr);
    text_free(&faults);
    return well ? CLI_OK : CLI_UNMET;
}

/* The command that the operands name; *path receives its name. */
static const command *named(const arguments *a, text_buffer *path)
{
    const command *c = &root_command;
    for (int i = 0; i < argument_count(a, "COMMAND"); i++) {
        const char *word = argument_text_at(a, "COMMAND", i);
        int bad = 0;
        const command *child = command_find(c, 1, &word, &bad);
        if (!child) {
            unknown_command(c, text_string(path), word);
            return NULL;
        }
        put_format(path, "%s%s", path->size ? " " : "", word);
        c = child;
    }
    return c;
}

/* One thing at a time: an option that does nothing is a mistake. */
static int check_options(const arguments *a)
{
    const int n = argument_flag(a, "man") + argument_flag(a, "list") + argument_flag(a, "check");
    if (n > 1) return fail(CLI_USAGE, a->path, "choose one of --man, --list, --check");
    if (argument_given(a, "COMMAND") && n > 0 && !argument_flag(a, "man"))
        return fail(CLI_USAGE, a->path, "--list and --check take no COMMAND");
    return CLI_OK;
}

static int run(const arguments *a)
{
    if (check_options(a) != CLI_OK) return CLI_USAGE;
    text_buffer path = { 0 }, manual = { 0 };
    if (argument_flag(a, "list")) return for_each_command(&root_command, print_name, NULL);
    if (argument_flag(a, "check")) return check_tables(a);
    const command *c = named(a, &path);
    if (c && argument_flag(a, "man")) {
        put_manual(&manual, c, text_string(&path));
        print_text(&manual);
    } else if (c) {
        print_help(stdout, c, text_string(&path));
    }
    text_free(&path);
    return c ? CLI_OK : CLI_USAGE;
}

static const option operands[] = {
    { .name = "COMMAND",
      .repeatable = true,
      .kind = VALUE_COMMAND,
      .help = "words that name a command" },
};

static const option options[] = {
    { .name = "man", .help = "print the manual page instead, as troff" },
    { .name = "list", .help = "print the names of all commands, one a line" },
    { .name = "check", .help = "look for faults in the program's own tables of commands" },
};

static const example examples[] = {
    { "deq help", "list the commands" },
    { "deq help info", "explain a command" },
    { "deq help --man info", "the source of deq-info(1)" },
};

const command command_help = {
    .name = "help",
    .summary = "list the commands, or show the help of one",
    .description =
        "Without a command, lists all of them. `deq help info` and `deq info --help` print "
        "the same.\n",
    .operands = operands,
    .n_operands = LENGTH(operands),
    .options = options,
    .n_options = LENGTH(options),
    .examples = examples,
    .n_examples = LENGTH(examples),
    .run = run,
};
