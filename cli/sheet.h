/* SPDX-License-Identifier: MIT */
/*
 * Rows of named cells, as many as there are, written as they come: comma- or tab-separated values, a
 * JSON array of objects, or a table for people, which holds the first rows.
 *
 *     sheet_begin(&s, stdout, SHEET_CSV, titles, n, align, most);
 *     sheet_text(&s, name);
 *     sheet_number(&s, 0.25);          ... cell by cell, row by row
 *     sheet_end(&s);
 *
 * Numbers have 15 digits (6 in tables).  What is no number is an empty cell, null, or "-"; infinite
 * numbers are inf, null, inf.
 */
#ifndef DEQ_CLI_SHEET_H
#define DEQ_CLI_SHEET_H

#include "table.h"

typedef enum sheet_format { SHEET_TABLE, SHEET_CSV, SHEET_TSV, SHEET_JSON } sheet_format;

typedef struct sheet {
    FILE *to;
    sheet_format format;
    const char *const *titles;
    int n, at;
    int64_t rows, most; /* most: of a table */
    table *table;
} sheet;

/* titles: [n], NULL behind the last, alive as long; align: "l" or "r" for each; most: rows of a table, 0
 * for all. */
void sheet_begin(sheet *s, FILE *to, sheet_format format, const char *const *titles,
                 const char *align, int64_t most);
void sheet_text(sheet *s, const char *text); /* NULL: empty */
void sheet_number(sheet *s, double x);
void sheet_integer(sheet *s, int64_t x);
/* Rows written; a table says how many it does not show. */
int64_t sheet_end(sheet *s);

/* The format that the name of a file ends in; CLI_USAGE with a message if it is none. */
int sheet_format_of(sheet_format *format, const arguments *a, const char *path);

#endif
