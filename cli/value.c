/* SPDX-License-Identifier: MIT */
/* Values of options and operands: what they may be, and whether a text is one. */
#include "parse.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool has_range(const option *o)
{
    return o->kind == VALUE_INTEGER
               ? o->least != o->most
               : o->kind == VALUE_REAL && (o->low < o->high || o->low > o->high);
}

static void put_integer_range(text_buffer *t, const option *o)
{
    if (o->most == INT64_MAX)
        put_format(t, "at least %" PRId64, o->least);
    else if (o->least == INT64_MIN)
        put_format(t, "at most %" PRId64, o->most);
    else
        put_format(t, "%" PRId64 " to %" PRId64, o->least, o->most);
}

static void put_real_range(text_buffer *t, const option *o)
{
    if (isinf(o->low))
        put_format(t, "at most %g", o->high);
    else if (isinf(o->high))
        put_format(t, "%s %g", o->above ? "above" : "at least", o->low);
    else if (o->above)
        put_format(t, "above %g, at most %g", o->low, o->high);
    else
        put_format(t, "%g to %g", o->low, o->high);
}

static void put_choices(text_buffer *t, const option *o, const char *between)
{
    for (int i = 0; o->choices[i]; i++) {
        if (i) put(t, between);
        put(t, o->choices[i]);
    }
}

void put_range(text_buffer *t, const option *o)
{
    if (o->kind == VALUE_CHOICE)
        put_choices(t, o, ", ");
    else if (has_range(o) && o->kind == VALUE_INTEGER)
        put_integer_range(t, o);
    else if (has_range(o))
        put_real_range(t, o);
}

void put_argument(text_buffer *t, const option *o)
{
    if (o->argument)
        put(t, o->argument);
    else if (o->kind == VALUE_CHOICE)
        put_choices(t, o, "|");
    else if (o->kind != VALUE_NONE)
        put(t, o->kind == VALUE_INTEGER   ? "N"
               : o->kind == VALUE_REAL    ? "X"
               : o->kind == VALUE_FILE    ? "FILE"
               : o->kind == VALUE_FOLDER  ? "FOLDER"
               : o->kind == VALUE_COMMAND ? "COMMAND"
                                          : "TEXT");
}

/* "'7' is out of range: 1 to 5" */
static bool out_of_range(text_buffer *why, const option *o, const char *text)
{
    put(why, "'");
    put_safe(why, text);
    put(why, "' is out of range: ");
    put_range(why, o);
    return false;
}

static bool is_no(text_buffer *why, const char *text, const char *what)
{
    put(why, "'");
    put_safe(why, text);
    put_format(why, "' is no %s", what);
    return false;
}

/* Digits, perhaps behind a sign. */
static bool parse_integer(argument_value *value, text_buffer *why, const option *o,
                          const char *text)
{
    const char *digits = text + (text[0] == '-' || text[0] == '+');
    if (!*digits || digits[strspn(digits, "0123456789")]) return is_no(why, text, "whole number");
    errno = 0;
    value->integer = strtoll(text, NULL, 10);
    if (errno == ERANGE) return is_no(why, text, "whole number of 64 bits");
    if (has_range(o) && (value->integer < o->least || value->integer > o->most))
        return out_of_range(why, o, text);
    return true;
}

static bool parse_real(argument_value *value, text_buffer *why, const option *o, const char *text)
{
    char *end;
    if (!strchr("+-.0123456789", text[0])) return is_no(why, text, "number");
    value->real = strtod(text, &end);
    if (end == text || *end || !isfinite(value->real)) return is_no(why, text, "finite number");
    const double x = value->real;
    if (has_range(o) && (x < o->low || x > o->high || (o->above && x <= o->low)))
        return out_of_range(why, o, text);
    return true;
}

static const char *choice_name(const void *set, int i)
{
    return ((const option *)set)->choices[i];
}

static bool parse_choice(argument_value *value, text_buffer *why, const option *o, const char *text)
{
    for (int i = 0; o->choices[i]; i++)
        if (strcmp(o->choices[i], text) == 0) {
            value->choice = i;
            return true;
        }
    const char *near = nearest_name(text, choice_name, o);
    put(why, "unknown value '");
    put_safe(why, text);
    if (near) {
        put_format(why, "'; did you mean '%s'?", near);
    } else {
        put(why, "'; it is one of ");
        put_range(why, o);
    }
    return false;
}

bool parse_value(argument_value *value, text_buffer *why, const option *o, const char *text)
{
    *value = (argument_value){ .option = o, .text = text, .choice = -1 };
    switch (o->kind) {
    case VALUE_INTEGER: return parse_integer(value, why, o, text);
    case VALUE_REAL: return parse_real(value, why, o, text);
    case VALUE_CHOICE: return parse_choice(value, why, o, text);
    case VALUE_FILE:
    case VALUE_FOLDER:
        if (*text) return true;
        put(why, "the name is empty");
        return false;
    case VALUE_NONE:
    case VALUE_COMMAND:
    case VALUE_TEXT: break;
    }
    return true;
}
