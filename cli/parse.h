/* SPDX-License-Identifier: MIT */
/* Taking a command line apart: what the files of the framework share. */
#ifndef DEQ_CLI_PARSE_H
#define DEQ_CLI_PARSE_H

#include "command.h"
#include "text.h"

/* Beside the exit codes: nothing decided yet. */
enum { GO_ON = -1 };

/* The options that come by themselves, and those of COMMON_... */
extern const option option_help, option_colour, option_version;

/* Takes apart what follows the name of a command that is run.  GO_ON: *a is whole, and its values are
 * freed with arguments_free().  CLI_OK: help was asked for.  Otherwise a mistake, with its message. */
int parse_arguments(arguments *a, const command *c, const char *path, int n, char **words);
void arguments_free(arguments *a);

/* A value from its text.  False: *why says what is wrong with it. */
bool parse_value(argument_value *value, text_buffer *why, const option *o, const char *text);

/* What a value may be, "at least 1", "f32, f64"; "" for what may be anything. */
void put_range(text_buffer *t, const option *o);
/* What a value is called in texts: "N", "FILE", "auto|always|never". */
void put_argument(text_buffer *t, const option *o);

/* "unknown command", with the nearest known one below c.  Returns CLI_USAGE. */
int unknown_command(const command *c, const char *path, const char *word);

/* What is said of an option or operand: its help, range, default, whether it repeats. */
void put_option_facts(text_buffer *t, const option *o);

/* The command's name with those above it: "deq vote decide". */
const char *full_name(text_buffer *t, const char *path);

/* The whole help text of a command; `path` is "" for the program. */
void put_help(text_buffer *t, const command *c, const char *path, int width);
void print_help(FILE *to, const command *c, const char *path);

/* The table of exit codes: NULL behind the last. */
typedef struct exit_code {
    const char *number, *meaning;
} exit_code;
const exit_code *exit_code_at(int i);

/* A long text for packagers: a manual page (troff), completions of a shell. */
void put_manual(text_buffer *t, const command *c, const char *path);
void put_bash(text_buffer *t, const command *root);
void put_zsh(text_buffer *t, const command *root);
void put_fish(text_buffer *t, const command *root);

/* Calls for each command below root, itself included, with the names above it; stops at the first
 * that does not return 0, and returns that. */
typedef int command_visit(void *user, const command *c, const char *path);
int for_each_command(const command *root, command_visit *visit, void *user);

/* What is wrong with the tables, as lines; nothing if all is well. */
void put_faults(text_buffer *t, const command *root);

#endif
