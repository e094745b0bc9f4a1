/* SPDX-License-Identifier: MIT */
/*
 * Results as JSON.  A command builds one object and hands it to print_result(): with --json it is
 * printed as it is, otherwise as text that says the same.
 *
 *     json_t *result = json_object();
 *     json_put(result, "format", json_string("npy"));
 *     ...
 *     return print_result(a, result);
 *
 * Names and texts of foreign files need not be UTF-8: json_text() takes any.  JSON knows no infinite
 * numbers: json_number() makes them null.  Without memory the program ends with a message.
 */
#ifndef DEQ_CLI_JSON_H
#define DEQ_CLI_JSON_H

#include "command.h"

#include <deq/type.h>
#include <jansson.h>

/* Adds a value, which belongs to the object or array afterwards. */
void json_put(json_t *object, const char *key, json_t *value);
void json_push(json_t *array, json_t *value);

json_t *json_text(const char *s); /* bytes that are no UTF-8 become \xNN */
json_t *json_number(double x);    /* null unless finite */
json_t *json_shape(const deq_shape *shape);

/* One JSON object and a line end; gives the object back.  CLI_OK, or CLI_FAILED with a message. */
int print_json(json_t *object);

/* The result of a command, as JSON with --json (COMMON_JSON), else as text: members that are numbers,
 * texts or lists of numbers as `name  value`, arrays of objects as tables, objects with a title. */
int print_result(const arguments *a, json_t *result);

#endif
