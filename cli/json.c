/* SPDX-License-Identifier: MIT */
/* Results as JSON, and the same as text. */
#include "json.h"

#include "context.h"
#include "table.h"
#include "terminal.h"
#include "text.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static json_t *must(json_t *value)
{
    if (value) return value;
    fail(CLI_FAILED, NULL, "out of memory");
    exit(CLI_FAILED);
}

void json_put(json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, must(value)) != 0) must(NULL);
}

void json_push(json_t *array, json_t *value)
{
    if (json_array_append_new(array, must(value)) != 0) must(NULL);
}

json_t *json_text(const char *s)
{
    json_t *value = json_string(s);
    if (value) return value;
    text_buffer safe = { 0 };
    put_safe(&safe, s);
    value = must(json_string(text_string(&safe)));
    text_free(&safe);
    return value;
}

json_t *json_number(double x)
{
    return must(isfinite(x) ? json_real(x) : json_null());
}

json_t *json_shape(const deq_shape *shape)
{
    json_t *array = must(json_array());
    for (int i = 0; i < shape->rank; i++) json_push(array, json_integer(shape->dim[i]));
    return array;
}

int print_json(json_t *object)
{
    const int failed = json_dumpf(object, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    json_decref(object);
    putchar('\n');
    return failed ? fail(CLI_FAILED, NULL, "cannot write the result: %s", strerror(errno)) : CLI_OK;
}

/* As text ------------------------------------------------------------------------------------ */

static void put_value(text_buffer *t, const json_t *value)
{
    char *dump;
    switch (json_typeof(value)) {
    case JSON_STRING: put_safe(t, json_string_value(value)); break;
    case JSON_INTEGER: put_format(t, "%" JSON_INTEGER_FORMAT, json_integer_value(value)); break;
    case JSON_REAL: put_format(t, "%.6g", json_real_value(value)); break;
    case JSON_TRUE: put(t, "yes"); break;
    case JSON_FALSE: put(t, "no"); break;
    case JSON_NULL: put(t, "-"); break;
    case JSON_ARRAY:
        put(t, "[");
        for (size_t i = 0; i < json_array_size(value); i++) {
            if (i) put(t, ", ");
            put_value(t, json_array_get(value, i));
        }
        put(t, "]");
        break;
    case JSON_OBJECT:
        dump = json_dumps(value, JSON_COMPACT);
        put(t, dump ? dump : "{}");
        free(dump);
        break;
    }
}

static bool is_table(const json_t *value)
{
    return json_is_array(value) && json_is_object(json_array_get(value, 0));
}

static bool is_line(const json_t *value)
{
    return !is_table(value) && !json_is_object(value);
}

static void print_lines(json_t *object, const char *indent)
{
    const char *key;
    json_t *value;
    size_t width = 0;
    json_object_foreach(object, key, value) if (is_line(value) && text_columns(key) > width)
        width = text_columns(key);
    json_object_foreach(object, key, value)
    {
        if (!is_line(value)) continue;
        text_buffer name = { 0 }, line = { 0 };
        put_safe(&name, key);
        put_value(&line, value);
        printf("%s%-*s  %s\n", indent, (int)width, text_string(&name), text_string(&line));
        text_free(&name);
        text_free(&line);
    }
}

/* The columns: every member that a row has, in the order in which they come; true for numbers. */
static json_t *columns_of(json_t *rows)
{
    json_t *columns = must(json_object()), *row, *value;
    const char *key;
    size_t i;
    json_array_foreach(rows, i, row)
    {
        json_object_foreach(row, key, value)
        {
            if (json_is_true(json_object_get(columns, key))) continue;
            json_put(columns, key, json_boolean(json_is_number(value)));
        }
    }
    return columns;
}

static table *new_table(json_t *columns)
{
    const size_t n = json_object_size(columns);
    const char **titles = must_alloc((n + 1) * sizeof *titles), *key;
    char *align = must_alloc(n + 1);
    json_t *value;
    size_t i = 0;
    json_object_foreach(columns, key, value)
    {
        titles[i] = key;
        align[i++] = json_is_true(value) ? 'r' : 'l';
    }
    titles[n] = NULL;
    align[n] = '\0';
    table *t = table_new(titles, align);
    free(align);
    free(titles);
    return t;
}

static void print_rows(json_t *rows)
{
    json_t *columns = columns_of(rows), *row, *value;
    table *t = new_table(columns);
    const char *key;
    size_t i;
    json_array_foreach(rows, i, row)
    {
        json_object_foreach(columns, key, value)
        {
            const json_t *member = json_object_get(row, key);
            text_buffer cell = { 0 };
            if (member) put_value(&cell, member);
            table_add(t, "%s", text_string(&cell));
            text_free(&cell);
        }
    }
    table_print(t, stdout);
    table_free(t);
    json_decref(columns);
}

static void print_title(const char *title)
{
    putchar('\n');
    print_styled(stdout, STYLE_BOLD, "%s:", title);
    putchar('\n');
}

/* Lines first, then tables and objects, each with its path for a title: "forward solver:". */
static void print_members(json_t *object, const char *path)
{
    const char *key;
    json_t *value;
    print_lines(object, *path ? "  " : "");
    json_object_foreach(object, key, value)
    {
        text_buffer title = { 0 };
        if (is_line(value) || (json_is_object(value) && json_object_size(value) == 0)) continue;
        put_format(&title, "%s%s", path, *path ? " " : "");
        put_safe(&title, key);
        print_title(text_string(&title));
        if (is_table(value))
            print_rows(value);
        else
            print_members(value, text_string(&title));
        text_free(&title);
    }
}

int print_result(const arguments *a, json_t *result)
{
    if ((a->command->common & COMMON_JSON) && argument_flag(a, "json")) return print_json(result);
    print_members(result, "");
    json_decref(result);
    return CLI_OK;
}
