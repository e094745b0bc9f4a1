/* SPDX-License-Identifier: MIT */
/*
 * Text tables with aligned columns:
 *
 *     table *t = table_new((const char *const[]){ "name", "bytes", NULL }, "lr");
 *     table_add(t, "%s", name);
 *     table_add(t, "%zu", bytes);
 *     table_print(t, stdout);
 *     table_free(t);
 *
 * Control characters in cells, which may come from anybody's file, are printed as \xNN.  Widths count
 * code points of UTF-8.  Without memory the program ends with a message.
 */
#ifndef DEQ_CLI_TABLE_H
#define DEQ_CLI_TABLE_H

#include "command.h"

typedef struct table table;

/* Titles of the columns, NULL behind the last; "l" or "r" for each. */
table *table_new(const char *const *titles, const char *align);
/* The next cell, row after row. */
void table_add(table *t, const char *format, ...) CLI_PRINTF(2, 3);
void table_print(const table *t, FILE *to);
void table_free(table *t);

#endif
