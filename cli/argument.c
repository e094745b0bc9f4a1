/* SPDX-License-Identifier: MIT */
/* What a command asks for: values that were given, or defaults. */
#include "parse.h"

#include <stdlib.h>
#include <string.h>

static const option *find(const arguments *a, const char *name)
{
    const command *c = a->command;
    const option *o;
    for (int i = 0; i < c->n_operands; i++)
        if (strcmp(c->operands[i].name, name) == 0) return &c->operands[i];
    for (int i = 0; (o = command_option(c, i)); i++)
        if (strcmp(o->name, name) == 0) return o;
    fail(CLI_FAILED, a->path, "internal mistake: there is no option or operand '%s'", name);
    abort();
}

int argument_count(const arguments *a, const char *name)
{
    const option *o = find(a, name);
    int n = 0;
    for (int i = 0; i < a->n_values; i++) n += a->values[i].option == o;
    return n;
}

bool argument_given(const arguments *a, const char *name)
{
    return argument_count(a, name) > 0;
}

bool argument_flag(const arguments *a, const char *name)
{
    return argument_given(a, name);
}

/* The i-th that was given. */
static argument_value value_at(const arguments *a, const char *name, int i)
{
    const option *o = find(a, name);
    for (int k = 0; k < a->n_values; k++)
        if (a->values[k].option == o && i-- == 0) return a->values[k];
    return (argument_value){ .choice = -1 };
}

/* The last that was given, else the default, else nothing. */
static argument_value value_of(const arguments *a, const char *name)
{
    const option *o = find(a, name);
    const int n = argument_count(a, name);
    argument_value value = { .choice = -1 };
    text_buffer why = { 0 };
    if (n > 0) return value_at(a, name, n - 1);
    if (o->initial && !parse_value(&value, &why, o, o->initial)) {
        fail(CLI_FAILED, a->path, "internal mistake: default of '%s': %s", name, text_string(&why));
        abort();
    }
    return value;
}

const char *argument_text(const arguments *a, const char *name)
{
    return value_of(a, name).text;
}

int64_t argument_integer(const arguments *a, const char *name)
{
    return value_of(a, name).integer;
}

double argument_real(const arguments *a, const char *name)
{
    return value_of(a, name).real;
}

int argument_choice(const arguments *a, const char *name)
{
    return value_of(a, name).choice;
}

const char *argument_text_at(const arguments *a, const char *name, int i)
{
    return value_at(a, name, i).text;
}

int64_t argument_integer_at(const arguments *a, const char *name, int i)
{
    return value_at(a, name, i).integer;
}

double argument_real_at(const arguments *a, const char *name, int i)
{
    return value_at(a, name, i).real;
}

int argument_choice_at(const arguments *a, const char *name, int i)
{
    return value_at(a, name, i).choice;
}
