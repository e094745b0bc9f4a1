/* SPDX-License-Identifier: MIT */
/*
 * Manual pages, in the macros of man(7), from the tables of commands.
 *
 * In troff a backslash begins an escape, "-" is a hyphen, and a line that begins with "." or "'" is a
 * request: put_roff() writes text so that it stays text.  Words between backquotes are set bold; while
 * a paragraph is wrapped, two control characters stand for the backquotes.
 */
#include "parse.h"

#include <ctype.h>
#include <deq/version.h>
#include <string.h>

enum { BOLD = 1, PLAIN = 2 };

/* A copy whose backquotes, in pairs, are those characters. */
static const char *put_marked(text_buffer *t, const char *s)
{
    char mark = BOLD;
    for (; *s; s++) {
        if (*s == '`') {
            put_bytes(t, &mark, 1);
            mark = mark == BOLD ? PLAIN : BOLD;
        } else {
            put_bytes(t, s, 1);
        }
    }
    return text_string(t);
}

static void put_roff_bytes(text_buffer *t, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const bool begins = t->size == 0 || t->bytes[t->size - 1] == '\n';
        if (begins && (s[i] == '.' || s[i] == '\'')) put(t, "\\&");
        if (s[i] == '\\')
            put(t, "\\e");
        else if (s[i] == '-')
            put(t, "\\-");
        else if (s[i] == '\'')
            put(t, "\\(aq");
        else if (s[i] == '^')
            put(t, "\\(ha");
        else if (s[i] == '~')
            put(t, "\\(ti");
        else if (s[i] == BOLD)
            put(t, "\\fB");
        else if (s[i] == PLAIN)
            put(t, "\\fR");
        else
            put_bytes(t, s + i, 1);
    }
}

static void put_roff(text_buffer *t, const char *s)
{
    put_roff_bytes(t, s, strlen(s));
}

static void put_line(text_buffer *t, const char *s)
{
    text_buffer marked = { 0 };
    put_roff(t, put_marked(&marked, s));
    put(t, "\n");
    text_free(&marked);
}

/* Paragraphs; lines that begin with two blanks stay as they are. */
static void put_paragraphs(text_buffer *t, const char *description)
{
    text_buffer wrapped = { 0 }, marked = { 0 };
    put_wrapped(&wrapped, put_marked(&marked, description), 0, 70);
    const char *s = text_string(&wrapped);
    bool as_it_is = false, gap = false;
    while (*s) {
        const size_t n = strcspn(s, "\n");
        const bool verbatim = strncmp(s, "  ", 2) == 0;
        if (verbatim != as_it_is) put(t, verbatim ? ".PP\n.EX\n" : ".EE\n");
        gap = !verbatim && (gap || as_it_is || n == 0); /* a paragraph begins with the next text */
        as_it_is = verbatim;
        if (n > 0) {
            if (gap) put(t, ".PP\n");
            put_roff_bytes(t, s, n);
            put(t, "\n");
            gap = false;
        }
        s += n + (s[n] == '\n');
    }
    if (as_it_is) put(t, ".EE\n");
    text_free(&wrapped);
    text_free(&marked);
}

/* "deq-vote-decide" */
static void put_page_name(text_buffer *t, const char *path)
{
    put(t, "deq");
    if (*path) put(t, "-");
    for (; *path; path++) put_bytes(t, *path == ' ' ? "-" : path, 1);
}

static void put_header(text_buffer *t, const command *c, const char *path)
{
    text_buffer name = { 0 };
    put_page_name(&name, path);
    put(t, ".TH ");
    for (const char *s = text_string(&name); *s; s++) {
        const char upper = (char)toupper((unsigned char)*s);
        put_roff_bytes(t, &upper, 1);
    }
    put_format(t, " 1 \"\" \"libdeq %s\" \"libdeq\"\n.SH NAME\n", deq_version());
    put_roff(t, text_string(&name));
    put(t, " \\- ");
    put_line(t, c->summary);
    text_free(&name);
}

static void put_synopsis(text_buffer *t, const command *c, const char *path)
{
    text_buffer name = { 0 };
    put(t, ".SH SYNOPSIS\n.B ");
    put_line(t, full_name(&name, path));
    text_free(&name);
    if (c->commands) put(t, ".I command\n");
    for (int i = 0; i < c->n_operands; i++) {
        const option *o = &c->operands[i];
        put_format(t, o->required ? ".I " : ".RI [ ");
        put_roff(t, o->name);
        put_format(t, "%s%s\n", o->repeatable ? " ..." : "", o->required ? "" : " ]");
    }
    put(t, ".RI [ options ]\n");
}

/* Help text, range and default, as sentences. */
static void put_item_text(text_buffer *t, const option *o)
{
    text_buffer text = { 0 };
    put_option_facts(&text, o);
    put_line(t, text_string(&text));
    text_free(&text);
}

static void put_option_item(text_buffer *t, const option *o)
{
    text_buffer argument = { 0 };
    put_argument(&argument, o);
    put(t, ".TP\n\\fB");
    if (o->letter) put_format(t, "\\-%c\\fR, \\fB", o->letter);
    put(t, "\\-\\-");
    put_roff(t, o->name);
    put(t, "\\fR");
    if (argument.size) {
        put(t, " \\fI");
        put_roff(t, text_string(&argument));
        put(t, "\\fR");
    }
    put(t, "\n");
    put_item_text(t, o);
    text_free(&argument);
}

static void put_items(text_buffer *t, const command *c)
{
    const option *o;
    for (int i = 0; i < c->n_operands; i++) {
        put(t, ".TP\n.I ");
        put_line(t, c->operands[i].name);
        put_item_text(t, &c->operands[i]);
    }
    put(t, ".SH OPTIONS\n");
    for (int i = 0; (o = command_option(c, i)); i++) put_option_item(t, o);
}

static void put_command_items(text_buffer *t, const command *c)
{
    if (c->commands) put(t, ".SH COMMANDS\n");
    for (int i = 0; c->commands && c->commands[i]; i++) {
        put(t, ".TP\n.B ");
        put_line(t, c->commands[i]->name);
        put_line(t, c->commands[i]->summary);
    }
}

static void put_example_items(text_buffer *t, const command *c)
{
    put(t, ".SH EXAMPLES\n");
    for (int i = 0; i < c->n_examples; i++) {
        put(t, ".TP\n.B ");
        put_line(t, c->examples[i].line);
        put_line(t, c->examples[i].what);
    }
}

static void put_exit_status(text_buffer *t)
{
    put(t, ".SH EXIT STATUS\n");
    for (int i = 0; exit_code_at(i); i++) {
        put_format(t, ".TP\n.B %s\n", exit_code_at(i)->number);
        put_line(t, exit_code_at(i)->meaning);
    }
}

/* The pages above and below. */
static void put_see_also(text_buffer *t, const command *c, const char *path)
{
    const char *between = ".BR ";
    put(t, ".SH SEE ALSO\n");
    if (*path) {
        put(t, ".BR deq (1)");
        between = " ,\n.BR ";
    }
    for (int i = 0; c->commands && c->commands[i]; i++) {
        text_buffer below = { 0 }, name = { 0 };
        put_format(&below, "%s%s%s", path, *path ? " " : "", c->commands[i]->name);
        put_page_name(&name, text_string(&below));
        put(t, between);
        put_roff(t, text_string(&name));
        put(t, " (1)");
        between = " ,\n.BR ";
        text_free(&below);
        text_free(&name);
    }
    put(t, "\n");
}

void put_manual(text_buffer *t, const command *c, const char *path)
{
    put(t, ".\\\" Made by deq help --man from the program's tables.\n");
    put_header(t, c, path);
    put_synopsis(t, c, path);
    put(t, ".SH DESCRIPTION\n");
    put_paragraphs(t, c->description);
    put_command_items(t, c);
    put_items(t, c);
    put_example_items(t, c);
    put_exit_status(t);
    put_see_also(t, c, path);
}
