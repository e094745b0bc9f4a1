/* SPDX-License-Identifier: MIT */
/* Faults in the tables of commands: what no user should be the first to find.  A test asks. */
#include "parse.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

typedef struct faults {
    text_buffer *text;
    const command *root;
    const char *path;
} faults;

static void note(const faults *f, const char *about, const char *what)
{
    put_format(f->text, "deq%s%s: %s: %s\n", *f->path ? " " : "", f->path, about, what);
}

static bool is_word(const char *s, bool upper)
{
    if (!*s) return false;
    for (; *s; s++) {
        const unsigned char c = (unsigned char)*s;
        const bool letter = upper ? isupper(c) : islower(c);
        if (!letter && !isdigit(c) && c != '-' && c != '_') return false;
    }
    return true;
}

/* Help begins small and ends without a full stop, so that it reads on. */
static void check_sentence(const faults *f, const char *about, const char *s)
{
    if (!s || !*s) {
        note(f, about, "no help text");
        return;
    }
    if (isupper((unsigned char)s[0]) && islower((unsigned char)s[1]))
        note(f, about, "the help text begins with a capital");
    const size_t n = strlen(s);
    if (s[n - 1] == '.' && !(n > 1 && s[n - 2] == '.')) /* "..." may stand */
        note(f, about, "the help text ends with a full stop");
}

static void check_value(const faults *f, const option *o)
{
    argument_value value;
    text_buffer why = { 0 };
    if (o->kind == VALUE_CHOICE && (!o->choices || !o->choices[0]))
        note(f, o->name, "a choice without choices");
    else if (o->initial && !parse_value(&value, &why, o, o->initial))
        note(f, o->name, "the default is not allowed");
    if (o->initial && (o->required || o->kind == VALUE_NONE))
        note(f, o->name, "a default that is never taken");
    if (o->kind == VALUE_INTEGER && o->least > o->most) note(f, o->name, "an empty range");
    if (o->kind == VALUE_REAL && o->low > o->high) note(f, o->name, "an empty range");
    text_free(&why);
}

static void check_options(const faults *f, const command *c)
{
    const option *a, *b;
    for (int i = 0; (a = command_option(c, i)); i++) {
        if (!is_word(a->name, false)) note(f, a->name, "no name for an option");
        check_sentence(f, a->name, a->help);
        check_value(f, a);
        for (int k = 0; k < i && (b = command_option(c, k)); k++) {
            if (strcmp(a->name, b->name) == 0) note(f, a->name, "two options of one name");
            if (a->letter && a->letter == b->letter) note(f, a->name, "two options of one letter");
        }
    }
}

static void check_operands(const faults *f, const command *c)
{
    for (int i = 0; i < c->n_operands; i++) {
        const option *o = &c->operands[i];
        if (!is_word(o->name, true)) note(f, o->name, "an operand is called in capitals");
        if (o->kind == VALUE_NONE) note(f, o->name, "an operand is no flag");
        if (o->repeatable && i + 1 < c->n_operands) note(f, o->name, "only the last may repeat");
        if (o->required && i > 0 && !c->operands[i - 1].required)
            note(f, o->name, "required behind one that is not");
        check_sentence(f, o->name, o->help);
        check_value(f, o);
    }
}

/* Takes an example apart at blanks, without quotes: "..." keeps blanks together. */
static int split(char *line, char **words, int most)
{
    int n = 0;
    while (n < most) {
        line += strspn(line, " ");
        if (!*line) break;
        const char *ends = *line == '"' ? "\"" : *line == '\'' ? "'" : " ";
        if (*ends != ' ') line++;
        words[n++] = line;
        line += strcspn(line, ends);
        if (*line) *line++ = '\0';
    }
    return n;
}

/* An example must be right; up to what a shell would do with it. */
static void check_example(const faults *f, const example *e)
{
    enum { MOST = 64 };
    char *words[MOST];
    text_buffer line = { 0 };
    put(&line, e->line);
    line.bytes[strcspn(line.bytes, "|<>&;#")] = '\0';
    const int n = split(line.bytes, words, MOST);
    if (n < 1 || strcmp(words[0], "deq") != 0)
        note(f, e->line, "an example begins with deq");
    else if (command_line_check(f->root, n - 1, words + 1) != CLI_OK)
        note(f, e->line, "the example is no right command line");
    check_sentence(f, e->line, e->what);
    text_free(&line);
}

static int check_command(void *user, const command *c, const char *path)
{
    faults *f = user;
    f->path = path;
    if (*path && !is_word(c->name, false)) note(f, c->name, "no name for a command");
    check_sentence(f, "summary", c->summary);
    if (!c->description || !*c->description) note(f, "description", "is missing");
    if (!c->commands == !c->run) note(f, c->name, "either runs or has commands");
    if (c->n_examples < 1) note(f, c->name, "no example");
    check_options(f, c);
    check_operands(f, c);
    for (int i = 0; i < c->n_examples; i++) check_example(f, &c->examples[i]);
    for (int i = 0; c->commands && c->commands[i]; i++)
        for (int k = 0; k < i; k++)
            if (strcmp(c->commands[i]->name, c->commands[k]->name) == 0)
                note(f, c->commands[i]->name, "two commands of one name");
    return 0;
}

void put_faults(text_buffer *t, const command *root)
{
    faults f = { .text = t, .root = root };
    for_each_command(root, check_command, &f);
}
