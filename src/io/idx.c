/* SPDX-License-Identifier: MIT */
/*
 * IDX:
 *
 *     0  0  element type (8: unsigned byte)  rank r
 *     r extents, 4 bytes each, highest first
 *     the elements, row-major
 */
#include <deq/io/idx.h>

#include "io/element.h"

#include <string.h>

static const char *element_name(int code)
{
    switch (code) {
    case 0x09: return "i8";
    case 0x0b: return "i16";
    case 0x0c: return "i32";
    case 0x0d: return "f32";
    case 0x0e: return "f64";
    default: return NULL;
    }
}

static deq_status check_magic(const deq_source *s)
{
    char quoted[DEQ_QUOTED_BYTES];

    DEQ_TRY(deq_source_need(s, 0, 4, "the magic number"));
    if (s->data[0] != 0 || s->data[1] != 0 || (s->data[2] != 8 && !element_name(s->data[2])))
        return deq_source_fail(s, 0,
                               "expected the magic number '\\x00\\x00\\x08' of an IDX file of "
                               "bytes, found '%s'",
                               deq_quote(quoted, s->data, 3));
    if (s->data[2] != 8)
        return deq_source_refuse(s, DEQ_ERR_UNSUPPORTED, 2, "elements of type %s; known are u8",
                                 element_name(s->data[2]));
    if (s->data[3] == 0 || s->data[3] > DEQ_MAX_RANK)
        return deq_source_refuse(s, DEQ_ERR_UNSUPPORTED, 3, "%d axes; known are 1 to %d",
                                 s->data[3], DEQ_MAX_RANK);
    return DEQ_OK;
}

static deq_status read_header(deq_shape *shape, size_t *start, const deq_source *s)
{
    size_t count;

    DEQ_TRY(check_magic(s));
    const size_t rank = s->data[3];
    *start = 4 + 4 * rank;
    DEQ_TRY(deq_source_need(s, 4, 4 * rank, "the extents"));
    *shape = (deq_shape){ .rank = (int)rank };
    for (size_t i = 0; i < rank; i++) shape->dim[i] = deq_be32(s->data + 4 + 4 * i);
    if (!deq_element_bytes(&count, shape, 1) || count != s->size - *start)
        return deq_source_fail(s, *start,
                               "%zu bytes follow the extents, which announce another "
                               "number",
                               s->size - *start);
    return DEQ_OK;
}

/* Bytes of the caller's are copied, those of a file taken over. */
static deq_status own(deq_source *s)
{
    if (s->owned) return DEQ_OK;
    void *copy = deq_alloc(s->ctx, s->size);
    if (!copy) return DEQ_ERR_NOMEM;
    if (s->size) memcpy(copy, s->data, s->size);
    s->owned = copy;
    s->owned_size = s->size;
    s->data = copy;
    return DEQ_OK;
}

static deq_status read(deq_idx **out, deq_source *s)
{
    deq_shape shape;
    size_t start;

    DEQ_TRY(deq_source_gunzip(s));
    DEQ_TRY(read_header(&shape, &start, s));
    DEQ_TRY(own(s));
    deq_idx *idx = deq_alloc(s->ctx, sizeof *idx);
    if (!idx) return DEQ_ERR_NOMEM;
    *idx = (deq_idx){ shape, s->data + start, s->ctx, s->owned, s->owned_size };
    s->owned = NULL;
    *out = idx;
    return DEQ_OK;
}

deq_status deq_idx_read(deq_idx **out, deq_context *ctx, const char *path)
{
    deq_source s;

    *out = NULL;
    DEQ_TRY(deq_source_open(&s, ctx, path));
    deq_status status = read(out, &s);
    deq_source_close(&s);
    return status;
}

deq_status deq_idx_parse(deq_idx **out, deq_context *ctx, const void *bytes, size_t size)
{
    deq_source s = deq_source_memory(ctx, bytes, size);

    *out = NULL;
    deq_status status = read(out, &s);
    deq_source_close(&s);
    return status;
}

void deq_idx_free(deq_idx *idx)
{
    if (!idx) return;
    deq_release(idx->context, idx->memory, idx->memory_bytes);
    deq_release(idx->context, idx, sizeof *idx);
}
