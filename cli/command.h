/* SPDX-License-Identifier: MIT */
/*
 * What a subcommand is.  Each stands in one file, as one constant `command`; main.c has the table.
 *
 * A command writes its result to stdout and everything else to stderr, and returns an exit code.
 * Its options are one table, from which the parser, the help text and the suggestions for misspelt
 * options are made.  (getopt_long is not used: it takes abbreviations, so a new option could change
 * what an old script means.)
 */
#ifndef DEQ_CLI_COMMAND_H
#define DEQ_CLI_COMMAND_H

#include <stdio.h>

#if defined(__GNUC__)
#define CLI_PRINTF(at, first) __attribute__((format(printf, at, first)))
#else
#define CLI_PRINTF(at, first)
#endif

/* Exit codes. */
enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

#define CLI_MAX_OPTIONS 32

typedef struct option {
    const char *name;     /* without its dashes: "json" */
    char letter;          /* short form, 0 if none */
    const char *argument; /* what its value is called in the help text; NULL for a flag */
    const char *help;     /* one line */
} option;

/* A command line, taken apart.  Strings are those of argv. */
typedef struct arguments {
    const struct command *command;
    const char *values[CLI_MAX_OPTIONS]; /* of option i: NULL if not given, "" for a flag */
    char **operands;                     /* everything that is no option */
    int n_operands;
} arguments;

typedef struct command {
    const char *name;        /* of one word */
    const char *summary;     /* one line, no full stop */
    const char *operands;    /* for the usage line, " [command]"; "" for none */
    int max_operands;        /* more are refused */
    const char *description; /* lines */
    const char *examples;    /* lines, indented by two */
    const option *options;   /* --help comes by itself */
    int n_options;           /* at most CLI_MAX_OPTIONS */
    int (*run)(const arguments *a);
} command;

/* One line for each subcommand. */
extern const command command_help, command_info;

/* The commands in the order of the help text; NULL behind the last one. */
const command *command_at(int i);
/* By name; NULL if there is none. */
const command *command_find(const char *name);
/* "unknown command", with the nearest known one.  Returns CLI_USAGE. */
int command_unknown(const char *name);

/* Take apart what follows the command's name, and run it. */
int command_run(const command *c, int n, char **words);
/* The value of an option: NULL if it was not given, "" for a flag. */
const char *argument_value(const arguments *a, const char *option_name);

/* What `deq help` and `deq help NAME` print. */
void print_help(FILE *to);
void print_command_help(FILE *to, const command *c);

/* A message on stderr, "deq info: ...", where `who` is a command's name or NULL.  Returns code. */
int fail(int code, const char *who, const char *format, ...) CLI_PRINTF(3, 4);

/* The nearest of the names that name(set, 0), name(set, 1), ... give until NULL.  NULL when none is
 * near (more than half of it would change). */
const char *nearest_name(const char *wanted, const char *(*name)(const void *set, int i),
                         const void *set);

#endif
