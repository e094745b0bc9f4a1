/* SPDX-License-Identifier: MIT */
/* Help texts. */
#include "parse.h"
#include "terminal.h"

#include <ctype.h>

static const exit_code exit_codes[] = {
    { "0", "done" },
    { "1", "the work could not be done" },
    { "2", "the command line is wrong" },
    { "3", "the contents of a file are wrong: data, checkpoint, configuration" },
    { "4", "done, and what was to be checked does not hold" },
    { "130", "interrupted by the user" },
};

const exit_code *exit_code_at(int i)
{
    return i < LENGTH(exit_codes) ? &exit_codes[i] : NULL;
}

/* "deq train CONFIG [options]" */
static void put_usage(text_buffer *t, const command *c, const char *path)
{
    put(t, "usage: ");
    full_name(t, path);
    if (c->commands) {
        put(t, " <command>");
    } else {
        for (int i = 0; i < c->n_operands; i++) {
            const option *o = &c->operands[i];
            put_format(t, o->required ? " %s%s" : " [%s%s]", o->name, o->repeatable ? "..." : "");
        }
    }
    put(t, " [options]\n");
}

/* "  --name ARGUMENT   text", the text in a column of its own; wide names push it to the next line. */
static void put_entry(text_buffer *t, const char *head, const char *text, int column, int width)
{
    text_buffer wrapped = { 0 };
    const int columns = (int)text_columns(head);
    put(t, head);
    put_wrapped(&wrapped, text, column, width);
    const char *s = text_string(&wrapped);
    if (columns + 2 <= column)
        s += columns; /* the head stands where the indent was */
    else
        put(t, "\n");
    put(t, s);
    text_free(&wrapped);
}

void put_option_facts(text_buffer *t, const option *o)
{
    text_buffer facts = { 0 };
    if (o->kind != VALUE_CHOICE || o->argument || isupper((unsigned char)o->name[0]))
        put_range(&facts, o);
    if (o->initial) put_format(&facts, "%sdefault %s", facts.size ? "; " : "", o->initial);
    if (o->repeatable) put_format(&facts, "%smay be repeated", facts.size ? "; " : "");
    if (o->required && !isupper((unsigned char)o->name[0]))
        put_format(&facts, "%srequired", facts.size ? "; " : "");
    put(t, o->help);
    if (facts.size) put_format(t, " (%s)", text_string(&facts));
    text_free(&facts);
}

static void put_head(text_buffer *t, const option *o)
{
    if (o->letter)
        put_format(t, "  -%c, --%s", o->letter, o->name);
    else
        put_format(t, "      --%s", o->name);
    if (o->kind != VALUE_NONE) put(t, " ");
    put_argument(t, o);
}

static void put_options(text_buffer *t, const command *c, int width)
{
    const option *o;
    put(t, "\noptions:\n");
    for (int i = 0; (o = command_option(c, i)); i++) {
        text_buffer head = { 0 }, text = { 0 };
        put_head(&head, o);
        put_option_facts(&text, o);
        put_entry(t, text_string(&head), text_string(&text), 28, width);
        text_free(&head);
        text_free(&text);
    }
}

static void put_operands(text_buffer *t, const command *c, int width)
{
    if (c->n_operands > 0) put(t, "\n");
    for (int i = 0; i < c->n_operands; i++) {
        text_buffer head = { 0 }, text = { 0 };
        put_format(&head, "  %s", c->operands[i].name);
        put_option_facts(&text, &c->operands[i]);
        put_entry(t, text_string(&head), text_string(&text), 14, width);
        text_free(&head);
        text_free(&text);
    }
}

static void put_commands(text_buffer *t, const command *c, int width)
{
    if (c->commands) put(t, "\ncommands:\n");
    for (int i = 0; c->commands && c->commands[i]; i++) {
        text_buffer head = { 0 };
        put_format(&head, "  %s", c->commands[i]->name);
        put_entry(t, text_string(&head), c->commands[i]->summary, 14, width);
        text_free(&head);
    }
}

static void put_examples(text_buffer *t, const command *c, int width)
{
    put(t, "\nexamples:\n");
    for (int i = 0; i < c->n_examples; i++) {
        put_format(t, "  %s\n", c->examples[i].line);
        put_wrapped(t, c->examples[i].what, 6, width);
    }
}

void put_help(text_buffer *t, const command *c, const char *path, int width)
{
    full_name(t, path);
    put_format(t, ": %s\n\n", c->summary);
    put_usage(t, c, path);
    put_operands(t, c, width);
    if (*c->description) put(t, "\n");
    put_wrapped(t, c->description, 0, width);
    put_commands(t, c, width);
    put_options(t, c, width);
    put_examples(t, c, width);
    if (*path) return;
    put(t, "\nexit codes:\n");
    for (int i = 0; exit_code_at(i); i++)
        put_format(t, "  %-4s%s\n", exit_codes[i].number, exit_codes[i].meaning);
}

void print_help(FILE *to, const command *c, const char *path)
{
    text_buffer t = { 0 };
    const int width = terminal_width(to);
    put_help(&t, c, path, width > 100 ? 100 : width);
    fputs(text_string(&t), to);
    text_free(&t);
}
