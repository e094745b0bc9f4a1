/* SPDX-License-Identifier: MIT */
/*
 * RFC 4180:
 *
 *     file    row (end row)* [end]        end: LF or CR LF
 *     row     field (separator field)*
 *     field   '"' (any but '"', or '""')* '"'   or   (any but '"', separator, CR, LF)*
 */
#include <deq/io/csv.h>

#include "io/number.h"
#include "io/source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CHUNK_BYTES 65536
#define END (-1)

struct deq_csv {
    deq_context *ctx;
    char *name;
    deq_csv_options options;
    FILE *file; /* NULL: text in memory */
    unsigned char *chunk;
    const unsigned char *next, *end; /* bytes not yet read */
    int error;                       /* errno of a failed read */
    size_t line;                     /* of the next byte */
    size_t columns;                  /* of the first row; 0 before */
    size_t first_line;               /* of that row */

    char *text; /* of the row: its fields, each terminated */
    size_t length, text_capacity;
    size_t *starts; /* of the fields in the text */
    size_t count, start_capacity;
    const char **fields;
    size_t field_capacity;
    deq_csv_row row;
};

deq_csv_options deq_csv_defaults(void)
{
    return (deq_csv_options){ .struct_size = sizeof(deq_csv_options),
                              .separator = ',',
                              .max_row_bytes = (size_t)16 << 20 };
}

static deq_status fail(const deq_csv *c, size_t line, const char *what)
{
    return deq_fail(c->ctx, DEQ_ERR_DATA, "%s: line %zu, field %zu: %s", c->name, line, c->count,
                    what);
}

/* The next byte stays. */
static int peek(deq_csv *c)
{
    if (c->next == c->end && c->file) {
        const size_t n = fread(c->chunk, 1, CHUNK_BYTES, c->file);
        if (n < CHUNK_BYTES && ferror(c->file)) c->error = errno ? errno : EIO;
        c->next = c->chunk;
        c->end = c->chunk + n;
    }
    return c->next == c->end ? END : *c->next;
}

/* The next byte goes. */
static int take(deq_csv *c)
{
    const int byte = peek(c);

    if (byte != END) c->next++;
    if (byte == '\n') c->line++;
    return byte;
}

static deq_status append(deq_csv *c, int byte)
{
    void *text = c->text;

    if (c->length == c->options.max_row_bytes)
        return fail(c, c->line, "the row is longer than the limit");
    deq_status status = deq_grow(c->ctx, &text, &c->text_capacity, c->length + 1, 1);
    c->text = text;
    DEQ_TRY(status);
    c->text[c->length++] = (char)byte;
    return DEQ_OK;
}

static deq_status begin_field(deq_csv *c)
{
    void *starts = c->starts;
    deq_status status = deq_grow(c->ctx, &starts, &c->start_capacity, c->count + 1,
                                 sizeof *c->starts);

    c->starts = starts;
    DEQ_TRY(status);
    c->starts[c->count++] = c->length;
    return DEQ_OK;
}

/* What stands in quotes; the first one is gone. */
static deq_status quoted(deq_csv *c)
{
    const size_t line = c->line;

    for (;;) {
        const int byte = take(c);
        if (byte == END) return fail(c, line, "quotes open here and never close");
        if (byte == 0) return fail(c, c->line, "found a zero byte, expected text");
        if (byte == '"') {
            if (peek(c) != '"') return DEQ_OK;
            (void)take(c);
        }
        DEQ_TRY(append(c, byte));
    }
}

static bool ends_field(const deq_csv *c, int byte)
{
    return byte == END || byte == '\r' || byte == '\n' ||
           byte == (unsigned char)c->options.separator;
}

static deq_status field(deq_csv *c)
{
    DEQ_TRY(begin_field(c));
    if (peek(c) == '"') {
        (void)take(c);
        DEQ_TRY(quoted(c));
        if (!ends_field(c, peek(c))) return fail(c, c->line, "text follows the closing quotes");
    }
    while (!ends_field(c, peek(c))) {
        const int byte = take(c);
        if (byte == '"')
            return fail(c, c->line, "quotes inside a field that does not begin with one");
        if (byte == 0) return fail(c, c->line, "found a zero byte, expected text");
        DEQ_TRY(append(c, byte));
    }
    return append(c, 0);
}

static deq_status end_line(deq_csv *c)
{
    if (peek(c) == '\r') {
        (void)take(c);
        if (peek(c) != '\n') return fail(c, c->line, "a carriage return without a line feed");
    }
    (void)take(c);
    return DEQ_OK;
}

static deq_status fields(deq_csv *c)
{
    c->length = c->count = 0;
    DEQ_TRY(field(c));
    while (peek(c) == (unsigned char)c->options.separator) {
        (void)take(c);
        DEQ_TRY(field(c));
    }
    DEQ_TRY(end_line(c));
    if (c->error)
        return deq_fail(c->ctx, DEQ_ERR_IO, "%s: cannot be read: %s", c->name, strerror(c->error));
    return DEQ_OK;
}

static deq_status check_count(deq_csv *c, size_t line)
{
    if (c->columns == 0) {
        c->columns = c->count;
        c->first_line = line;
    }
    if (c->count == c->columns) return DEQ_OK;
    return deq_fail(c->ctx, DEQ_ERR_DATA,
                    "%s: line %zu: found %zu fields, expected %zu as in line %zu", c->name, line,
                    c->count, c->columns, c->first_line);
}

/* Fields point into the text, which no longer moves. */
static deq_status make_row(deq_csv *c, size_t line)
{
    void *pointers = (void *)c->fields;
    deq_status status = deq_grow(c->ctx, &pointers, &c->field_capacity, c->count,
                                 sizeof *c->fields);

    c->fields = pointers;
    DEQ_TRY(status);
    for (size_t i = 0; i < c->count; i++) c->fields[i] = c->text + c->starts[i];
    c->row = (deq_csv_row){ (int64_t)line, c->count, c->fields };
    return DEQ_OK;
}

static void skip_mark(deq_csv *c)
{
    if (c->line == 1 && peek(c) == 0xef && c->end - c->next >= 3 && c->next[1] == 0xbb &&
        c->next[2] == 0xbf && c->columns == 0)
        c->next += 3;
}

deq_status deq_csv_next(const deq_csv_row **row, deq_csv *csv)
{
    size_t line;

    *row = NULL;
    skip_mark(csv);
    do {
        line = csv->line;
        if (peek(csv) == END) {
            if (!csv->error) return DEQ_OK;
            return deq_fail(csv->ctx, DEQ_ERR_IO, "%s: cannot be read: %s", csv->name,
                            strerror(csv->error));
        }
        DEQ_TRY(fields(csv));
    } while (csv->count == 1 && csv->length == 1 && csv->columns != 1 && csv->line > line);
    DEQ_TRY(check_count(csv, line));
    DEQ_TRY(make_row(csv, line));
    *row = &csv->row;
    return DEQ_OK;
}

deq_status deq_csv_number(double *value, const deq_csv *csv, size_t i)
{
    char quoted_text[DEQ_QUOTED_BYTES];

    if (i >= csv->row.count)
        return deq_fail(csv->ctx, DEQ_ERR_ARGUMENT, "field %zu of a row of %zu", i, csv->row.count);
    const char *text = csv->row.fields[i];
    if (deq_number_f64(value, text, strlen(text))) return DEQ_OK;
    return deq_fail(csv->ctx, DEQ_ERR_DATA,
                    "%s: line %lld, field %zu: expected a number, found '%s'", csv->name,
                    (long long)csv->row.line, i + 1, deq_quote(quoted_text, text, strlen(text)));
}

static deq_status new_reader(deq_csv **out, deq_context *ctx, const char *name,
                             const deq_csv_options *options)
{
    const deq_csv_options o = options ? *options : deq_csv_defaults();

    *out = NULL;
    if (o.struct_size != sizeof o)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "deq_csv_options of another size");
    if (strchr("\"\r\n", o.separator) || o.max_row_bytes < 1)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "separator %d, max_row_bytes %zu", o.separator,
                        o.max_row_bytes);
    deq_csv *c = deq_alloc(ctx, sizeof *c);
    if (!c) return DEQ_ERR_NOMEM;
    *c = (deq_csv){ .ctx = ctx, .options = o, .line = 1, .name = deq_strdup(ctx, name) };
    if (!c->name) {
        deq_csv_close(c);
        return DEQ_ERR_NOMEM;
    }
    *out = c;
    return DEQ_OK;
}

deq_status deq_csv_open(deq_csv **out, deq_context *ctx, const char *path,
                        const deq_csv_options *options)
{
    *out = NULL;
    if (!path) return deq_fail(ctx, DEQ_ERR_ARGUMENT, "no path of a file to read");
    DEQ_TRY(new_reader(out, ctx, path, options));
    deq_csv *c = *out;
    deq_status status = DEQ_OK;
    c->chunk = deq_alloc(ctx, CHUNK_BYTES);
    if (!c->chunk)
        status = DEQ_ERR_NOMEM;
    else if (!(c->file = fopen(path, "rb")))
        status = deq_fail(ctx, DEQ_ERR_IO, "%s: cannot be read: %s", path, strerror(errno));
    if (status != DEQ_OK) {
        deq_csv_close(c);
        *out = NULL;
    }
    return status;
}

deq_status deq_csv_parse(deq_csv **out, deq_context *ctx, const void *bytes, size_t size,
                         const deq_csv_options *options)
{
    DEQ_TRY(new_reader(out, ctx, "memory", options));
    if (bytes && size) {
        (*out)->next = bytes;
        (*out)->end = (*out)->next + size;
    }
    return DEQ_OK;
}

void deq_csv_close(deq_csv *csv)
{
    if (!csv) return;
    if (csv->file) (void)fclose(csv->file);
    if (csv->name) deq_release(csv->ctx, csv->name, strlen(csv->name) + 1);
    deq_release(csv->ctx, csv->chunk, CHUNK_BYTES);
    deq_release(csv->ctx, csv->text, csv->text_capacity);
    deq_release(csv->ctx, csv->starts, csv->start_capacity * sizeof *csv->starts);
    deq_release(csv->ctx, (void *)csv->fields, csv->field_capacity * sizeof *csv->fields);
    deq_release(csv->ctx, csv, sizeof *csv);
}
