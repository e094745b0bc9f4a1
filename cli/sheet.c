/* SPDX-License-Identifier: MIT */
/* Rows of named cells. */
#include "sheet.h"

#include "context.h"
#include "text.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

void sheet_begin(sheet *s, FILE *to, sheet_format format, const char *const *titles,
                 const char *align, int64_t most)
{
    *s = (sheet){ .to = to, .format = format, .titles = titles, .most = most };
    while (titles[s->n]) s->n++;
    if (format == SHEET_TABLE) s->table = table_new(titles, align);
    if (format == SHEET_JSON) fputs("[", to);
    if (format != SHEET_CSV && format != SHEET_TSV) return;
    for (int i = 0; i < s->n; i++) sheet_text(s, titles[i]);
    s->rows = 0;
}

static void put_quoted_json(FILE *to, const char *text)
{
    putc('"', to);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\')
            fprintf(to, "\\%c", *c);
        else if (*c < 0x20 || *c == 0x7f)
            fprintf(to, "\\u%04x", *c);
        else
            putc(*c, to);
    }
    putc('"', to);
}

/* A field stands in quotes if a reader could misunderstand it. */
static void put_field(FILE *to, const char *text, char separator)
{
    const char special[] = { separator, '"', '\n', '\r', '\0' };
    if (!strpbrk(text, special)) {
        fputs(text, to);
        return;
    }
    putc('"', to);
    for (; *text; text++) {
        if (*text == '"') putc('"', to);
        putc(*text, to);
    }
    putc('"', to);
}

/* What stands before a cell. */
static void open_cell(const sheet *s)
{
    if (s->format == SHEET_JSON) {
        fputs(s->at ? ", " : s->rows ? ",\n    { " : "\n    { ", s->to);
        put_quoted_json(s->to, s->titles[s->at]);
        fputs(": ", s->to);
    } else if (s->at) {
        putc(s->format == SHEET_TSV ? '\t' : ',', s->to);
    }
}

static void close_cell(sheet *s)
{
    if (++s->at < s->n) return;
    s->at = 0;
    s->rows++;
    if (s->format == SHEET_JSON) fputs(" }", s->to);
    if (s->format == SHEET_CSV || s->format == SHEET_TSV) putc('\n', s->to);
}

static bool hidden(const sheet *s)
{
    return s->format == SHEET_TABLE && s->most > 0 && s->rows >= s->most;
}

void sheet_text(sheet *s, const char *text)
{
    if (s->format == SHEET_TABLE) {
        if (!hidden(s)) table_add(s->table, "%s", text ? text : "-");
    } else {
        open_cell(s);
        if (s->format != SHEET_JSON)
            put_field(s->to, text ? text : "", s->format == SHEET_TSV ? '\t' : ',');
        else if (text)
            put_quoted_json(s->to, text);
        else
            fputs("null", s->to);
    }
    close_cell(s);
}

void sheet_number(sheet *s, double x)
{
    if (s->format == SHEET_TABLE) {
        if (!hidden(s) && isnan(x)) table_add(s->table, "-");
        if (!hidden(s) && !isnan(x)) table_add(s->table, "%.6g", x);
    } else {
        open_cell(s);
        if (isfinite(x))
            fprintf(s->to, "%.15g", x);
        else if (s->format == SHEET_JSON)
            fputs("null", s->to);
        else if (!isnan(x))
            fputs(x > 0 ? "inf" : "-inf", s->to);
    }
    close_cell(s);
}

void sheet_integer(sheet *s, int64_t x)
{
    if (s->format == SHEET_TABLE) {
        if (!hidden(s)) table_add(s->table, "%" PRId64, x);
    } else {
        open_cell(s);
        fprintf(s->to, "%" PRId64, x);
    }
    close_cell(s);
}

int64_t sheet_end(sheet *s)
{
    if (s->format == SHEET_JSON) fputs(s->rows ? "\n  ]" : "]", s->to);
    if (s->format == SHEET_TABLE) {
        table_print(s->table, s->to);
        table_free(s->table);
        if (s->most > 0 && s->rows > s->most)
            fprintf(s->to, "... and %" PRId64 " more\n", s->rows - s->most);
    }
    return s->rows;
}

static bool ends_in(const char *s, const char *end)
{
    const size_t n = strlen(s), m = strlen(end);
    return n > m && strcmp(s + n - m, end) == 0;
}

int sheet_format_of(sheet_format *format, const arguments *a, const char *path)
{
    if (ends_in(path, ".csv"))
        *format = SHEET_CSV;
    else if (ends_in(path, ".tsv"))
        *format = SHEET_TSV;
    else if (ends_in(path, ".json"))
        *format = SHEET_JSON;
    else
        return fail_about(CLI_USAGE, a, path, "the name must end in .csv, .tsv or .json");
    return CLI_OK;
}
