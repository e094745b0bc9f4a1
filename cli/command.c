/* SPDX-License-Identifier: MIT */
/* Command lines: taking them apart, and help texts. */
#include "command.h"

#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

int fail(int code, const char *who, const char *format, ...)
{
    va_list args;
    fflush(stdout);
    fprintf(stderr, "deq%s%s: ", who ? " " : "", who ? who : "");
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return code;
}

/* Options ------------------------------------------------------------------------------------ */

static const option help_option = { "help", 'h', NULL, "show this text" };

/* The command's options, and --help behind them. */
static const option *option_at(const command *c, int i)
{
    return i < c->n_options ? &c->options[i] : i == c->n_options ? &help_option : NULL;
}

static const char *option_name(const void *set, int i)
{
    const option *o = option_at(set, i);
    return o ? o->name : NULL;
}

const char *argument_value(const arguments *a, const char *option_name)
{
    for (int i = 0; i < a->command->n_options; i++)
        if (strcmp(a->command->options[i].name, option_name) == 0) return a->values[i];
    return NULL;
}

static int unknown_option(const command *c, const char *word, const char *name, size_t length)
{
    char wanted[64];
    snprintf(wanted, sizeof wanted, "%.*s", (int)(length < sizeof wanted ? length : 0), name);
    const char *near = nearest_name(wanted, option_name, c);
    if (near)
        return fail(CLI_USAGE, c->name, "unknown option '%s'; did you mean '--%s'?", word, near);
    return fail(CLI_USAGE, c->name, "unknown option '%s'; see deq help %s", word, c->name);
}

/* Beside the exit codes: nothing decided yet. */
enum { GO_ON = -1 };

/* An option in words[0], perhaps with its value in words[1]; *used says how many words it took. */
static int parse_option(arguments *a, int n, char **words, int *used)
{
    const command *c = a->command;
    const char *word = words[0];
    bool is_long = word[1] == '-';
    const char *name = word + 1 + is_long;
    const char *equals = is_long ? strchr(name, '=') : NULL;
    size_t length = equals ? (size_t)(equals - name) : strlen(name);
    const option *o;
    int i = 0;
    for (; (o = option_at(c, i)); i++)
        if (is_long ? strlen(o->name) == length && strncmp(o->name, name, length) == 0
                    : o->letter && name[0] == o->letter && !name[1])
            break;
    if (!o) return unknown_option(c, word, name, length);
    *used = 1;
    if (!o->argument && equals)
        return fail(CLI_USAGE, c->name, "option '--%s' takes no value", o->name);
    if (o == &help_option) {
        print_command_help(stdout, c);
        return CLI_OK;
    }
    if (!o->argument) {
        a->values[i] = "";
    } else if (equals) {
        a->values[i] = equals + 1;
    } else {
        if (n < 2) return fail(CLI_USAGE, c->name, "option '--%s' needs %s", o->name, o->argument);
        a->values[i] = words[1];
        *used = 2;
    }
    return GO_ON;
}

int command_run(const command *c, int n, char **words)
{
    arguments a = { .command = c, .operands = words };
    bool only_operands = false;
    for (int at = 0, used = 1; at < n; at += used) {
        char *word = words[at];
        used = 1;
        if (!only_operands && strcmp(word, "--") == 0) {
            only_operands = true;
        } else if (!only_operands && word[0] == '-' && word[1]) {
            int code = parse_option(&a, n - at, words + at, &used);
            if (code != GO_ON) return code;
        } else {
            words[a.n_operands++] = word; /* never behind `at` */
        }
    }
    if (a.n_operands > c->max_operands)
        return fail(CLI_USAGE, c->name, "unexpected argument '%s'; see deq help %s",
                    a.operands[c->max_operands], c->name);
    return c->run(&a);
}

/* Help --------------------------------------------------------------------------------------- */

static void print_option(FILE *to, const option *o)
{
    char text[64];
    snprintf(text, sizeof text, "--%s%s%s", o->name, o->argument ? " " : "",
             o->argument ? o->argument : "");
    if (o->letter)
        fprintf(to, "  -%c, %-20s %s\n", o->letter, text, o->help);
    else
        fprintf(to, "      %-20s %s\n", text, o->help);
}

void print_command_help(FILE *to, const command *c)
{
    fprintf(to, "deq %s: %s\n\nusage: deq %s [options]%s\n\n%s\noptions:\n", c->name, c->summary,
            c->name, c->operands, c->description);
    for (int i = 0; i <= c->n_options; i++) print_option(to, option_at(c, i));
    fprintf(to, "\nexamples:\n%s", c->examples);
}

void print_help(FILE *to)
{
    fputs("deq: deep equilibrium models\n\nusage: deq <command> [options]\n\ncommands:\n", to);
    for (int i = 0; command_at(i); i++)
        fprintf(to, "  %-10s %s\n", command_at(i)->name, command_at(i)->summary);
    fputs("\noptions:\n"
          "  -h, --help     show this text; after a command, that command's\n"
          "  -V, --version  show the version\n"
          "\nexamples:\n"
          "  deq info        show what this build is and what it computes with\n"
          "  deq help info   explain a command\n"
          "\nexit codes: 0 done, 1 failed, 2 the command line is wrong\n",
          to);
}
