/* SPDX-License-Identifier: MIT */
/* Text tables with aligned columns. */
#include "table.h"

#include "terminal.h"
#include "text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct table {
    int n_columns;
    char *align;
    char **cells; /* titles first, then row after row */
    size_t n_cells, capacity;
};

static void add_cell(table *t, const char *s)
{
    text_buffer cell = { 0 };
    put(&cell, "");
    put_safe(&cell, s);
    if (t->n_cells == t->capacity) {
        t->capacity = 2 * t->capacity + 64;
        t->cells = must_realloc(t->cells, t->capacity * sizeof *t->cells);
    }
    t->cells[t->n_cells++] = cell.bytes;
}

table *table_new(const char *const *titles, const char *align)
{
    table *t = must_alloc(sizeof *t);
    *t = (table){ 0 };
    t->align = must_alloc(strlen(align) + 1);
    memcpy(t->align, align, strlen(align) + 1);
    while (titles[t->n_columns]) t->n_columns++;
    for (int i = 0; i < t->n_columns; i++) add_cell(t, titles[i]);
    return t;
}

void table_add(table *t, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    const int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    const size_t size = n > 0 ? (size_t)n + 1 : 1;
    char *s = must_alloc(size);
    s[0] = '\0';
    vsnprintf(s, size, format, again);
    va_end(again);
    add_cell(t, s);
    free(s);
}

static size_t column_width(const table *t, int column)
{
    size_t width = 0;
    for (size_t i = (size_t)column; i < t->n_cells; i += (size_t)t->n_columns) {
        const size_t w = text_columns(t->cells[i]);
        if (w > width) width = w;
    }
    return width;
}

static void put_blanks(text_buffer *t, size_t n)
{
    while (n-- > 0) put(t, " ");
}

/* A row as a line, without blanks at its end. */
static void put_row(text_buffer *line, const table *t, size_t first, const size_t *width)
{
    for (int c = 0; c < t->n_columns && first + (size_t)c < t->n_cells; c++) {
        const char *cell = t->cells[first + (size_t)c];
        const size_t room = width[c] - text_columns(cell);
        if (c > 0) put(line, "  ");
        if (t->align[c] == 'r') put_blanks(line, room);
        put(line, cell);
        if (t->align[c] != 'r') put_blanks(line, room);
    }
    while (line->size > 0 && line->bytes[line->size - 1] == ' ') line->bytes[--line->size] = '\0';
}

void table_print(const table *t, FILE *to)
{
    size_t *width = must_alloc((size_t)t->n_columns * sizeof *width);
    for (int c = 0; c < t->n_columns; c++) width[c] = column_width(t, c);
    for (size_t first = 0; first < t->n_cells; first += (size_t)t->n_columns) {
        text_buffer line = { 0 };
        put_row(&line, t, first, width);
        print_styled(to, first == 0 ? STYLE_BOLD : STYLE_PLAIN, "%s", text_string(&line));
        fputc('\n', to);
        text_free(&line);
    }
    free(width);
}

void table_free(table *t)
{
    if (!t) return;
    for (size_t i = 0; i < t->n_cells; i++) free(t->cells[i]);
    free(t->cells);
    free(t->align);
    free(t);
}
