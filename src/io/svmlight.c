/* SPDX-License-Identifier: MIT */
/* svmlight's text, read in two passes: how much there can be, then what there is. */
#include <deq/io/svmlight.h>

#include "io/number.h"
#include "io/source.h"

#include <string.h>

typedef struct parser {
    const deq_source *s;
    deq_svmlight_options options;
    size_t at, line;
    double *labels;
    int64_t *row_offsets;
    int32_t *indices;
    double *values;
    int64_t rows, entries;
    int64_t columns;
} parser;

deq_svmlight_options deq_svmlight_defaults(void)
{
    return (deq_svmlight_options){ .struct_size = sizeof(deq_svmlight_options), .first_index = 1 };
}

static deq_status fail(const parser *p, const char *expected, const char *found, size_t length)
{
    char quoted[DEQ_QUOTED_BYTES];

    return deq_fail(p->s->ctx, DEQ_ERR_DATA, "%s: line %zu: expected %s, found '%s'", p->s->name,
                    p->line, expected, deq_quote(quoted, found, length));
}

static bool ends_word(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '#';
}

/* The next word of the line: up to white space, the line's end, or a comment; may be empty. */
static const char *word(parser *p, size_t *length)
{
    const char *text = (const char *)p->s->data;

    while (p->at < p->s->size && (text[p->at] == ' ' || text[p->at] == '\t' || text[p->at] == '\r'))
        p->at++;
    const size_t start = p->at;
    while (p->at < p->s->size && !ends_word(text[p->at])) p->at++;
    *length = p->at - start;
    return text + start;
}

static deq_status read_entry(parser *p, const char *text, size_t length)
{
    const char *colon = memchr(text, ':', length);
    const int64_t first = p->options.first_index;
    int64_t index;
    double value;

    if (!colon) return fail(p, "INDEX:VALUE", text, length);
    const size_t n = (size_t)(colon - text);
    if (!deq_number_i64(&index, text, n) || index < first || index - first >= INT32_MAX)
        return fail(p, first ? "an index of at least 1" : "an index of at least 0", text, length);
    index -= first;
    if (p->options.columns && index >= p->options.columns)
        return fail(p, "an index of the columns asked for", text, length);
    if (p->entries > p->row_offsets[p->rows] && index <= p->indices[p->entries - 1])
        return fail(p, "rising indices", text, length);
    if (!deq_number_f64(&value, colon + 1, length - n - 1))
        return fail(p, "a finite number after the index", text, length);
    if (index >= p->columns) p->columns = index + 1;
    p->indices[p->entries] = (int32_t)index;
    p->values[p->entries++] = value;
    return DEQ_OK;
}

static deq_status read_line(parser *p)
{
    size_t length;
    const char *text = word(p, &length);

    if (length > 0) {
        p->row_offsets[p->rows] = p->entries;
        if (!deq_number_f64(&p->labels[p->rows], text, length))
            return fail(p, "a number as the label", text, length);
        for (text = word(p, &length); length > 0; text = word(p, &length))
            DEQ_TRY(read_entry(p, text, length));
        p->rows++;
    }
    while (p->at < p->s->size && p->s->data[p->at] != '\n') p->at++; /* a comment */
    p->at++;
    p->line++;
    return DEQ_OK;
}

/* A row is a line, an entry has a colon: upper bounds of both. */
static bool measure(size_t *bytes, size_t *rows, size_t *entries, const deq_source *s)
{
    size_t more;

    *rows = 1;
    *entries = 0;
    for (size_t i = 0; i < s->size; i++) {
        *rows += s->data[i] == '\n';
        *entries += s->data[i] == ':';
    }
    return deq_size_mul(bytes, 2 * *rows + 1, 8) && deq_size_mul(&more, *entries, 12) &&
           deq_size_add(bytes, *bytes, more);
}

static deq_status read_rows(deq_svmlight *r, const deq_source *s, deq_svmlight_options options,
                            size_t rows, size_t entries)
{
    parser p = { .s = s, .options = options, .line = 1 };

    p.labels = r->memory;
    p.row_offsets = (int64_t *)r->memory + rows;
    p.values = (double *)r->memory + 2 * rows + 1;
    p.indices = (int32_t *)(void *)(p.values + entries);
    while (p.at < s->size) DEQ_TRY(read_line(&p));
    p.row_offsets[p.rows] = p.entries;
    r->rows = p.rows;
    r->columns = options.columns ? options.columns : (int32_t)p.columns;
    r->entries = p.entries;
    r->labels = p.labels;
    r->row_offsets = p.row_offsets;
    r->indices = p.indices;
    r->values = p.values;
    return DEQ_OK;
}

static deq_status read(deq_svmlight **out, deq_source *s, deq_svmlight_options options)
{
    size_t bytes, rows, entries;

    DEQ_TRY(deq_source_gunzip(s));
    if (!measure(&bytes, &rows, &entries, s))
        return deq_fail(s->ctx, DEQ_ERR_OVERFLOW, "%s: too large", s->name);
    deq_svmlight *r = deq_alloc(s->ctx, sizeof *r);
    if (!r) return DEQ_ERR_NOMEM;
    r->context = s->ctx;
    r->memory_bytes = bytes;
    r->memory = deq_alloc(s->ctx, bytes);
    deq_status status = r->memory ? read_rows(r, s, options, rows, entries) : DEQ_ERR_NOMEM;
    if (status == DEQ_OK)
        *out = r;
    else
        deq_svmlight_free(r);
    return status;
}

static deq_status check_options(deq_svmlight_options *o, deq_context *ctx,
                                const deq_svmlight_options *options)
{
    *o = deq_svmlight_defaults();
    if (!options) return DEQ_OK;
    if (options->struct_size != sizeof *o)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "deq_svmlight_options of another size");
    *o = *options;
    if (o->columns < 0 || o->first_index < 0 || o->first_index > 1)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "columns %d, first_index %d", (int)o->columns,
                        (int)o->first_index);
    return DEQ_OK;
}

deq_status deq_svmlight_read(deq_svmlight **out, deq_context *ctx, const char *path,
                             const deq_svmlight_options *options)
{
    deq_svmlight_options o;
    deq_source s;

    *out = NULL;
    DEQ_TRY(check_options(&o, ctx, options));
    DEQ_TRY(deq_source_open(&s, ctx, path));
    deq_status status = read(out, &s, o);
    deq_source_close(&s);
    return status;
}

deq_status deq_svmlight_parse(deq_svmlight **out, deq_context *ctx, const void *bytes, size_t size,
                              const deq_svmlight_options *options)
{
    deq_svmlight_options o;
    deq_source s = deq_source_memory(ctx, bytes, size);

    *out = NULL;
    DEQ_TRY(check_options(&o, ctx, options));
    deq_status status = read(out, &s, o);
    deq_source_close(&s);
    return status;
}

void deq_svmlight_free(deq_svmlight *rows)
{
    if (!rows) return;
    deq_release(rows->context, rows->memory, rows->memory_bytes);
    deq_release(rows->context, rows, sizeof *rows);
}
