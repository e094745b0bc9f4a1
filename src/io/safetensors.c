/* SPDX-License-Identifier: MIT */
/*
 * Safetensors:
 *
 *     8 bytes                N, little-endian
 *     N bytes                JSON, padded with spaces:
 *                            {"__metadata__": {"key": "text"},
 *                             "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}
 *     the rest               elements, little-endian, row-major; offsets count from here and cover
 *                            the rest exactly
 */
#include "io/archive.h"
#include "io/output.h"

#include <deq/io/safetensors.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* As in the reference implementation: nobody's header is longer. */
#define MAX_HEADER_BYTES 100000000

static const struct {
    const char *name;
    deq_element element;
} dtypes[] = {
    { "BOOL", DEQ_ELEMENT_BOOL }, { "I8", DEQ_ELEMENT_I8 },     { "U8", DEQ_ELEMENT_U8 },
    { "I16", DEQ_ELEMENT_I16 },   { "U16", DEQ_ELEMENT_U16 },   { "I32", DEQ_ELEMENT_I32 },
    { "U32", DEQ_ELEMENT_U32 },   { "I64", DEQ_ELEMENT_I64 },   { "U64", DEQ_ELEMENT_U64 },
    { "F16", DEQ_ELEMENT_F16 },   { "BF16", DEQ_ELEMENT_BF16 }, { "F32", DEQ_ELEMENT_F32 },
    { "F64", DEQ_ELEMENT_F64 },
};

typedef struct entry {
    const char *name; /* lent by the JSON */
    deq_element element;
    deq_shape shape;
    size_t begin, end; /* offsets from the start of the elements */
} entry;

typedef struct reading {
    const deq_source *s; /* whose bytes may belong to the archive */
    bool lent;
    size_t start; /* of the elements */
    deq_archive *a;
} reading;

/* Complaints about the header's meaning all stand at its beginning; the name tells which entry. */
static deq_status complain(const deq_source *s, const char *name, const char *found,
                           const char *expected)
{
    char quoted[DEQ_QUOTED_BYTES];

    return deq_source_fail(s, 8, "header entry '%s': %s, expected %s",
                           deq_quote(quoted, name, strlen(name)), found, expected);
}

static deq_status read_dtype(entry *e, const deq_source *s, const json_t *dtype)
{
    char quoted[2][DEQ_QUOTED_BYTES];
    const char *name = json_string_value(dtype);

    if (!name)
        return complain(s, e->name, "no string \"dtype\"", "an element type such as \"F32\"");
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (strcmp(name, dtypes[i].name) == 0) e->element = dtypes[i].element;
    if (e->element != DEQ_ELEMENT_NONE) return DEQ_OK;
    return deq_source_refuse(s, DEQ_ERR_UNSUPPORTED, 8,
                             "header entry '%s': dtype '%s'; known are BOOL, I8 to I64, U8 to U64, "
                             "F16, BF16, F32 and F64",
                             deq_quote(quoted[0], e->name, strlen(e->name)),
                             deq_quote(quoted[1], name, strlen(name)));
}

static deq_status read_shape(entry *e, const deq_source *s, const json_t *shape)
{
    char quoted[DEQ_QUOTED_BYTES];

    if (!json_is_array(shape)) return complain(s, e->name, "no list \"shape\"", "extents");
    const size_t rank = json_array_size(shape);
    if (rank > DEQ_MAX_RANK)
        return deq_source_refuse(s, DEQ_ERR_UNSUPPORTED, 8,
                                 "header entry '%s' has %zu axes; at most %d are known",
                                 deq_quote(quoted, e->name, strlen(e->name)), rank, DEQ_MAX_RANK);
    e->shape.rank = (int)rank;
    for (size_t i = 0; i < rank; i++) {
        const json_t *extent = json_array_get(shape, i);
        if (!json_is_integer(extent) || json_integer_value(extent) < 0)
            return complain(s, e->name, "a wrong extent", "integers of at least 0");
        e->shape.dim[i] = json_integer_value(extent);
    }
    return DEQ_OK;
}

static deq_status read_place(entry *e, const reading *r, const json_t *offsets)
{
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    const size_t room = r->s->size - r->start;
    size_t bytes;

    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end))
        return complain(r->s, e->name, "no list \"data_offsets\"", "two integers");
    const json_int_t first = json_integer_value(begin), last = json_integer_value(end);
    if (first < 0 || last < first || (uint64_t)last > room)
        return deq_source_fail(r->s, 8,
                               "header entry '%.100s': offsets %lld to %lld, expected a "
                               "place within the %zu bytes of elements",
                               e->name, (long long)first, (long long)last, room);
    e->begin = (size_t)first;
    e->end = (size_t)last;
    if (!deq_element_bytes(&bytes, &e->shape, deq_element_size(e->element)) ||
        bytes != e->end - e->begin)
        return deq_source_fail(r->s, 8,
                               "header entry '%.100s': %zu bytes, which its shape and "
                               "dtype do not make",
                               e->name, e->end - e->begin);
    return DEQ_OK;
}

static deq_status read_entry(entry *e, const reading *r, const char *name, const json_t *json)
{
    *e = (entry){ .name = name };
    if (!json_is_object(json)) return complain(r->s, name, "not an object", "a tensor");
    if (!*name) return complain(r->s, name, "an empty name", "the name of a tensor");
    if (json_object_size(json) != 3)
        return complain(r->s, name, "other keys", "\"dtype\", \"shape\" and \"data_offsets\"");
    DEQ_TRY(read_dtype(e, r->s, json_object_get(json, "dtype")));
    DEQ_TRY(read_shape(e, r->s, json_object_get(json, "shape")));
    return read_place(e, r, json_object_get(json, "data_offsets"));
}

static deq_status read_metadata(const reading *r, json_t *metadata)
{
    const char *key;
    json_t *value;

    if (!json_is_object(metadata))
        return complain(r->s, "__metadata__", "not an object", "keys and texts");
    json_object_foreach(metadata, key, value)
    {
        if (!json_is_string(value)) return complain(r->s, key, "not a text", "metadata as text");
        DEQ_TRY(deq_archive_set_metadata(r->a, key, json_string_value(value)));
    }
    return DEQ_OK;
}

static int by_place(const void *x, const void *y)
{
    const entry *a = x, *b = y;

    if (a->begin != b->begin) return a->begin < b->begin ? -1 : 1;
    return a->end < b->end ? -1 : a->end > b->end;
}

/* Places in order must follow each other exactly, from the first byte to the last. */
static deq_status check_places(const reading *r, const entry *entries, size_t count)
{
    entry *sorted = deq_alloc_array(r->s->ctx, count, sizeof *sorted);
    deq_status status = DEQ_OK;
    size_t at = 0;

    if (!sorted) return DEQ_ERR_NOMEM;
    if (count) memcpy(sorted, entries, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, by_place);
    for (size_t i = 0; i < count && status == DEQ_OK; i++) {
        if (sorted[i].begin != at)
            status = deq_source_fail(r->s, r->start + sorted[i].begin,
                                     "'%.100s' begins at offset %zu, expected %zu: tensors %s",
                                     sorted[i].name, sorted[i].begin, at,
                                     sorted[i].begin < at ? "overlap" : "leave a gap");
        at = sorted[i].end;
    }
    if (status == DEQ_OK && at != r->s->size - r->start)
        status = deq_source_fail(r->s, r->start + at, "%zu bytes belong to no tensor",
                                 r->s->size - r->start - at);
    deq_release(r->s->ctx, sorted, count * sizeof *sorted);
    return status;
}

static deq_status read_entries(const reading *r, json_t *header, entry *entries)
{
    const char *name;
    json_t *value;
    size_t count = 0;

    json_object_foreach(header, name, value)
    {
        if (strcmp(name, "__metadata__") == 0)
            DEQ_TRY(read_metadata(r, value));
        else
            DEQ_TRY(read_entry(&entries[count++], r, name, value));
    }
    DEQ_TRY(check_places(r, entries, count));
    for (size_t i = 0; i < count; i++)
        DEQ_TRY(deq_archive_put(r->a, entries[i].name, entries[i].element, &entries[i].shape, r->s,
                                r->start + entries[i].begin, false, r->lent));
    return DEQ_OK;
}

static deq_status parse_header(json_t **header, reading *r)
{
    const deq_source *s = r->s;
    json_error_t error;
    char quoted[DEQ_QUOTED_BYTES];

    DEQ_TRY(deq_source_need(s, 0, 8, "the length of the header"));
    const uint64_t length = deq_le64(s->data);
    if (length > MAX_HEADER_BYTES)
        return deq_source_fail(s, 0,
                               "a header of %llu bytes, expected at most %d: not a "
                               "safetensors file",
                               (unsigned long long)length, MAX_HEADER_BYTES);
    DEQ_TRY(deq_source_need(s, 8, (size_t)length, "the header"));
    r->start = 8 + (size_t)length;
    if (length == 0 || s->data[8] != '{')
        return deq_source_fail(s, 8, "expected a JSON object, found '%s'",
                               deq_quote(quoted, s->data + 8, length < 8 ? (size_t)length : 8));
    *header = json_loadb((const char *)s->data + 8, (size_t)length, JSON_REJECT_DUPLICATES, &error);
    if (*header) return DEQ_OK;
    if (json_error_code(&error) == json_error_out_of_memory)
        return deq_fail(s->ctx, DEQ_ERR_NOMEM, "%s: out of memory", s->name);
    return deq_source_fail(s, 8 + (error.position > 0 ? (size_t)error.position : 0),
                           "the header is not JSON: %s", error.text);
}

static deq_status read_all(reading *r)
{
    json_t *header = NULL;

    DEQ_TRY(parse_header(&header, r));
    const size_t count = json_object_size(header);
    entry *entries = deq_alloc_array(r->s->ctx, count, sizeof *entries);
    deq_status status = entries ? read_entries(r, header, entries) : DEQ_ERR_NOMEM;
    deq_release(r->s->ctx, entries, count * sizeof *entries);
    json_decref(header);
    return status;
}

static deq_status read(deq_archive **out, deq_source *s)
{
    const deq_source view = { .ctx = s->ctx, .name = s->name, .data = s->data, .size = s->size };
    reading r = { .s = &view, .lent = s->owned != NULL };

    DEQ_TRY(deq_archive_new(&r.a, s->ctx));
    deq_status status = deq_archive_take_source(r.a, s);
    if (status == DEQ_OK) status = read_all(&r);
    if (status == DEQ_OK)
        *out = r.a;
    else
        deq_archive_free(r.a);
    return status;
}

deq_status deq_safetensors_read(deq_archive **out, deq_context *ctx, const char *path)
{
    deq_source s;

    *out = NULL;
    DEQ_TRY(deq_source_open(&s, ctx, path));
    deq_status status = read(out, &s);
    deq_source_close(&s);
    return status;
}

deq_status deq_safetensors_parse(deq_archive **out, deq_context *ctx, const void *bytes,
                                 size_t size)
{
    deq_source s = deq_source_memory(ctx, bytes, size);

    *out = NULL;
    return read(out, &s);
}
