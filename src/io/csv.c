/* SPDX-License-Identifier: MIT */
/*
 * RFC 4180:
 *
 *     file    row (end row)* [end]        end: LF or CR LF
 *     row     field (separator field)*
 *     field   '"' (any but '"', or '""')* '"'   or   (any but '"', separator, CR, LF)*
 *
 * A row is looked at where it lies in the buffer: scan() finds the fields and changes nothing, so that
 * a reader can go back to the row's first line end; finish() then ends them with zeros and takes
 * doubled quotes out.  Offsets are from the beginning of the row, which moves when the buffer is
 * filled up.  Behind the bytes in the buffer stands a zero, so that scanning needs no other bound.
 */
#include <deq/io/csv.h>

#include "io/number.h"
#include "io/source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CHUNK_BYTES 65536

struct deq_csv {
    deq_context *ctx;
    char *name;
    deq_csv_options options;
    bool special[256]; /* bytes at which a field that is not quoted ends, for good or bad */

    FILE *file;                /* NULL: text in memory */
    const unsigned char *text; /* of which these bytes are not yet in the buffer */
    size_t text_size;
    int error; /* errno of a failed read */

    unsigned char *buffer;
    size_t capacity;
    size_t begin, end; /* of what is not yet read; buffer[end] is zero */
    bool started;      /* a byte order mark was looked for */
    bool failed;       /* the row at `begin` is bad */

    size_t line;       /* of the next row */
    size_t lines;      /* line ends in the row that is scanned */
    size_t columns;    /* of the first row; 0 before */
    size_t first_line; /* of that row */
    bool doubled;      /* the row has doubled quotes */

    size_t *starts, *lengths; /* of the fields */
    size_t count, start_capacity, length_capacity;
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

static size_t take(deq_csv *c, unsigned char *to, size_t room)
{
    if (c->file) {
        const size_t n = fread(to, 1, room, c->file);
        if (n < room && ferror(c->file)) c->error = errno ? errno : EIO;
        return n;
    }
    const size_t n = room < c->text_size ? room : c->text_size;
    if (n) memcpy(to, c->text, n);
    if (n) c->text += n;
    c->text_size -= n;
    return n;
}

/* More bytes behind those of the row, which moves to the front; *any: there were some. */
static deq_status more(deq_csv *c, bool *any)
{
    const size_t kept = c->end - c->begin;

    *any = false;
    if (kept > c->options.max_row_bytes)
        return fail(c, c->line + c->lines, "the row is longer than the limit");
    if (kept && c->begin) memmove(c->buffer, c->buffer + c->begin, kept);
    c->begin = 0;
    c->end = kept;
    if (kept + 1 >= c->capacity) {
        void *buffer = c->buffer;
        deq_status status = deq_grow(c->ctx, &buffer, &c->capacity, 2 * c->capacity, 1);
        c->buffer = buffer;
        DEQ_TRY(status);
    }
    const size_t n = take(c, c->buffer + kept, c->capacity - 1 - kept);
    c->end += n;
    c->buffer[c->end] = 0;
    *any = n > 0;
    return DEQ_OK;
}

/* Whether there is a byte at this offset of the row. */
static deq_status reach(deq_csv *c, size_t offset, bool *any)
{
    *any = offset < c->end - c->begin;
    return *any ? DEQ_OK : more(c, any);
}

static deq_status begin_field(deq_csv *c)
{
    if (c->count == c->start_capacity || c->count == c->length_capacity) {
        void *starts = c->starts, *lengths = c->lengths;
        deq_status status = deq_grow(c->ctx, &starts, &c->start_capacity, c->count + 1,
                                     sizeof *c->starts);
        c->starts = starts;
        DEQ_TRY(status);
        status = deq_grow(c->ctx, &lengths, &c->length_capacity, c->count + 1, sizeof *c->lengths);
        c->lengths = lengths;
        DEQ_TRY(status);
    }
    c->count++;
    return DEQ_OK;
}

/* What stands in quotes from *at on; *at is then behind the closing ones. */
static deq_status scan_quoted(deq_csv *c, size_t *at)
{
    const size_t line = c->line + c->lines;
    bool any;

    for (;; ++*at) {
        DEQ_TRY(reach(c, *at, &any));
        if (!any) return fail(c, line, "quotes open here and never close");
        const unsigned char byte = c->buffer[c->begin + *at];
        if (byte == 0) return fail(c, c->line + c->lines, "found a zero byte, expected text");
        c->lines += byte == '\n';
        if (byte != '"') continue;
        DEQ_TRY(reach(c, *at + 1, &any));
        if (!any || c->buffer[c->begin + *at + 1] != '"') break;
        c->doubled = true;
        ++*at;
    }
    ++*at;
    return DEQ_OK;
}

/* The field at *at; *at is then at the byte that ends it, or at the end of the text. */
static deq_status scan_field(deq_csv *c, size_t *at)
{
    bool any = true, quoted;

    DEQ_TRY(begin_field(c));
    if (c->buffer[c->begin + *at] == 0) DEQ_TRY(reach(c, *at, &any));
    quoted = c->buffer[c->begin + *at] == '"';
    if (quoted) {
        ++*at;
        c->starts[c->count - 1] = *at;
        DEQ_TRY(scan_quoted(c, at));
        c->lengths[c->count - 1] = *at - 1 - c->starts[c->count - 1];
    } else {
        c->starts[c->count - 1] = *at;
    }
    const size_t behind = *at;
    do {
        const unsigned char *byte = c->buffer + c->begin + *at;
        while (!c->special[*byte]) byte++;
        *at = (size_t)(byte - c->buffer) - c->begin;
        if (*byte != 0) break;
        DEQ_TRY(reach(c, *at, &any));
        if (any && c->buffer[c->begin + *at] == 0)
            return fail(c, c->line + c->lines, "found a zero byte, expected text");
    } while (any);
    if (quoted && *at != behind)
        return fail(c, c->line + c->lines, "text follows the closing quotes");
    if (any && c->buffer[c->begin + *at] == '"')
        return fail(c, c->line + c->lines,
                    quoted ? "text follows the closing quotes"
                           : "quotes inside a field that does not begin with one");
    if (!quoted) c->lengths[c->count - 1] = *at - c->starts[c->count - 1];
    return DEQ_OK;
}

/* Fields without quotes, from *at, the beginning of one, on; whether the row is at its end, which is a
 * line feed.  *at is then there, else at the beginning of a field for scan_field(). */
static bool scan_plain(deq_csv *c, size_t *at)
{
    const unsigned char separator = (unsigned char)c->options.separator;
    const unsigned char *row = c->buffer + c->begin, *field = row + *at, *byte = field;
    const size_t room = c->start_capacity < c->length_capacity ? c->start_capacity
                                                               : c->length_capacity;

    while (c->count < room) {
        while (!c->special[*byte]) byte++;
        if (*byte != separator && *byte != '\n') break;
        c->starts[c->count] = (size_t)(field - row);
        c->lengths[c->count++] = (size_t)(byte - field);
        if (*byte == '\n') {
            *at = (size_t)(byte - row);
            return true;
        }
        field = ++byte;
    }
    *at = (size_t)(field - row);
    return false;
}

/* All fields of the row; *at is then behind it, or at the end of the text. */
static deq_status scan(deq_csv *c, size_t *at)
{
    const unsigned char separator = (unsigned char)c->options.separator;
    bool any;

    *at = c->count = c->lines = 0;
    c->doubled = false;
    for (; !scan_plain(c, at); ++*at) {
        DEQ_TRY(scan_field(c, at));
        if (c->buffer[c->begin + *at] != separator || *at == c->end - c->begin) break;
    }
    if (*at >= c->options.max_row_bytes)
        return fail(c, c->line + c->lines, "the row is longer than the limit");
    if (*at == c->end - c->begin) return DEQ_OK;
    if (c->buffer[c->begin + *at] == '\r') {
        ++*at;
        DEQ_TRY(reach(c, *at, &any));
        if (!any || c->buffer[c->begin + *at] != '\n')
            return fail(c, c->line + c->lines, "a carriage return without a line feed");
    }
    ++*at;
    c->lines++;
    return DEQ_OK;
}

/* Leave the line where the bad row began. */
static deq_status resume(deq_csv *c)
{
    bool any = true;

    c->failed = false;
    while (any) {
        const size_t n = c->end - c->begin;
        const unsigned char *lf = n ? memchr(c->buffer + c->begin, '\n', n) : NULL;
        if (lf) {
            c->begin = (size_t)(lf - c->buffer) + 1;
            c->line++;
            return DEQ_OK;
        }
        c->begin = c->end;
        c->lines = 0;
        DEQ_TRY(more(c, &any));
    }
    return DEQ_OK;
}

static size_t without_doubled(char *text, size_t length)
{
    size_t n = 0;

    for (size_t i = 0; i < length; i++) {
        text[n++] = text[i];
        i += text[i] == '"';
    }
    return n;
}

/* Make a row of what was scanned. */
static deq_status finish(deq_csv *c)
{
    char *row = (char *)c->buffer + c->begin;
    void *pointers = (void *)c->fields;
    deq_status status = c->count <= c->field_capacity
                            ? DEQ_OK
                            : deq_grow(c->ctx, &pointers, &c->field_capacity, c->count,
                                       sizeof *c->fields);

    c->fields = pointers;
    DEQ_TRY(status);
    for (size_t i = 0; i < c->count; i++) {
        char *field = row + c->starts[i];
        if (c->doubled && c->starts[i] && field[-1] == '"')
            c->lengths[i] = without_doubled(field, c->lengths[i]);
        c->fields[i] = field;
    }
    for (size_t i = 0; i < c->count; i++) row[c->starts[i] + c->lengths[i]] = '\0';
    c->row = (deq_csv_row){ (int64_t)c->line, c->count, c->fields, c->lengths };
    return DEQ_OK;
}

static deq_status check_count(deq_csv *c)
{
    if (c->columns == 0) {
        c->columns = c->count;
        c->first_line = c->line;
    }
    if (c->count == c->columns) return DEQ_OK;
    return deq_fail(c->ctx, DEQ_ERR_DATA,
                    "%s: line %zu: found %zu fields, expected %zu as in line %zu", c->name, c->line,
                    c->count, c->columns, c->first_line);
}

static deq_status read_error(const deq_csv *c)
{
    return deq_fail(c->ctx, DEQ_ERR_IO, "%s: cannot be read: %s", c->name, strerror(c->error));
}

static void list_special(deq_csv *c)
{
    c->special[(unsigned char)c->options.separator] = true;
    for (const char *s = "\r\n\""; *s; s++) c->special[(unsigned char)*s] = true;
    c->special[0] = true;
}

/* The separator is the first candidate in what is in the buffer of the first line. */
static void detect_separator(deq_csv *c)
{
    bool quoted = false;

    for (const unsigned char *p = c->buffer + c->begin; *p && *p != '\n'; p++) {
        quoted ^= *p == '"';
        if (!quoted && strchr("\t,;", *p)) {
            c->options.separator = (char)*p;
            break;
        }
    }
}

static deq_status begin(deq_csv *c)
{
    bool any;

    c->started = true;
    DEQ_TRY(reach(c, 2, &any));
    if (any && memcmp(c->buffer, "\xef\xbb\xbf", 3) == 0) c->begin += 3;
    if (c->options.detect) detect_separator(c);
    list_special(c);
    return DEQ_OK;
}

static deq_status next(deq_csv *c, bool *found)
{
    size_t length = 0, read_lines = 0;
    bool any;

    if (!c->started) DEQ_TRY(begin(c));
    if (c->failed) DEQ_TRY(resume(c));
    do {
        c->begin += length;
        c->line += read_lines;
        DEQ_TRY(reach(c, 0, &any));
        *found = any;
        if (!any) return c->error ? read_error(c) : DEQ_OK;
        c->failed = true;
        DEQ_TRY(scan(c, &length));
        if (c->error) return read_error(c);
        read_lines = c->lines;
    } while (c->count == 1 && c->lengths[0] == 0 && c->columns != 1 && c->lines);
    DEQ_TRY(check_count(c));
    DEQ_TRY(finish(c));
    c->failed = false;
    c->begin += length;
    c->line += read_lines;
    return DEQ_OK;
}

deq_status deq_csv_next(const deq_csv_row **row, deq_csv *csv)
{
    bool found;

    *row = NULL;
    DEQ_TRY(next(csv, &found));
    if (found) *row = &csv->row;
    return DEQ_OK;
}

deq_status deq_csv_refuse(const deq_csv *csv, size_t field, const char *expected)
{
    char quoted[DEQ_QUOTED_BYTES];
    const deq_csv_row *row = &csv->row;

    if (row->line == 0) return deq_fail(csv->ctx, DEQ_ERR_DATA, "%s: %s", csv->name, expected);
    if (field >= row->count)
        return deq_fail(csv->ctx, DEQ_ERR_DATA, "%s: line %lld: %s", csv->name,
                        (long long)row->line, expected);
    return deq_fail(csv->ctx, DEQ_ERR_DATA, "%s: line %lld, field %zu: expected %s, found '%s'",
                    csv->name, (long long)row->line, field + 1, expected,
                    deq_quote(quoted, row->fields[field], row->lengths[field]));
}

deq_status deq_csv_number(double *value, const deq_csv *csv, size_t i)
{
    if (i >= csv->row.count)
        return deq_fail(csv->ctx, DEQ_ERR_ARGUMENT, "field %zu of a row of %zu", i, csv->row.count);
    if (deq_number_f64(value, csv->row.fields[i], csv->row.lengths[i])) return DEQ_OK;
    return deq_csv_refuse(csv, i, "a number");
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
    *c = (deq_csv){ .ctx = ctx, .options = o, .line = 1, .capacity = CHUNK_BYTES };
    c->name = deq_strdup(ctx, name);
    c->buffer = c->name ? deq_alloc(ctx, c->capacity) : NULL;
    if (!c->buffer) {
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
    (*out)->file = fopen(path, "rb");
    if ((*out)->file) return DEQ_OK;
    deq_csv_close(*out);
    *out = NULL;
    return deq_fail(ctx, DEQ_ERR_IO, "%s: cannot be read: %s", path, strerror(errno));
}

deq_status deq_csv_parse(deq_csv **out, deq_context *ctx, const void *bytes, size_t size,
                         const deq_csv_options *options)
{
    DEQ_TRY(new_reader(out, ctx, "memory", options));
    (*out)->text = bytes;
    (*out)->text_size = bytes ? size : 0;
    return DEQ_OK;
}

void deq_csv_close(deq_csv *csv)
{
    if (!csv) return;
    if (csv->file) (void)fclose(csv->file);
    if (csv->name) deq_release(csv->ctx, csv->name, strlen(csv->name) + 1);
    deq_release(csv->ctx, csv->buffer, csv->capacity);
    deq_release(csv->ctx, csv->starts, csv->start_capacity * sizeof *csv->starts);
    deq_release(csv->ctx, csv->lengths, csv->length_capacity * sizeof *csv->lengths);
    deq_release(csv->ctx, (void *)csv->fields, csv->field_capacity * sizeof *csv->fields);
    deq_release(csv->ctx, csv, sizeof *csv);
}
