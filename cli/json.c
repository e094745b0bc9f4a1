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

/* The columns are the members of the first row. */
static void print_rows(json_t *rows)
{
    json_t *first = json_array_get(rows, 0), *row, *value;
    const size_t n = json_object_size(first);
    const char **titles = must_alloc((n + 1) * sizeof *titles);
    char *align = must_alloc(n + 1);
    const char *key;
    size_t i = 0, r;
    json_object_foreach(first, key, value)
    {
        titles[i] = key;
        align[i++] = json_is_number(value) ? 'r' : 'l';
    }
    titles[n] = NULL;
    align[n] = '\0';
    table *t = table_new(titles, align);
    json_array_foreach(rows, r, row)
    {
        for (i = 0; i < n; i++) {
            text_buffer cell = { 0 };
            value = json_object_get(row, titles[i]);
            if (value) put_value(&cell, value);
            table_add(t, "%s", text_string(&cell));
            text_free(&cell);
        }
    }
    table_print(t, stdout);
    table_free(t);
    free(align);
    free(titles);
}

static void print_title(const char *key)
{
    text_buffer title = { 0 };
    put_safe(&title, key);
    putchar('\n');
    print_styled(stdout, STYLE_BOLD, "%s", text_string(&title));
    putchar('\n');
    text_free(&title);
}

static void print_report(json_t *object)
{
    const char *key;
    json_t *value;
    print_lines(object, "");
    json_object_foreach(object, key, value)
    {
        if (is_line(value)) continue;
        if (is_table(value)) {
            putchar('\n');
            print_rows(value);
        } else if (json_object_size(value) > 0) {
            print_title(key);
            print_lines(value, "  ");
        }
    }
}

int print_result(const arguments *a, json_t *result)
{
    if ((a->command->common & COMMON_JSON) && argument_flag(a, "json")) return print_json(result);
    print_report(result);
    json_decref(result);
    return CLI_OK;
}
