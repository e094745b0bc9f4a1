/* SPDX-License-Identifier: MIT */
/* gzip streams, unpacked as a whole. */
#define ZLIB_CONST

#include "io/source.h"

#include <limits.h>
#include <zlib.h>

/* One byte of a deflate stream makes at most 1032 bytes. */
#define MOST_PER_BYTE 1032

/* How many bytes the stream says it holds, modulo 2^32; within what so few bytes can make. */
static size_t expected_size(const deq_source *s)
{
    size_t said = s->size >= 4 ? deq_le32(s->data + s->size - 4) : 0;
    size_t most = s->size < SIZE_MAX / MOST_PER_BYTE ? s->size * MOST_PER_BYTE : SIZE_MAX;

    return (said < most ? said : most) + 1;
}

static deq_status unpack(const deq_source *s, z_stream *z, void **out, size_t *capacity,
                         size_t *size)
{
    size_t taken = 0;
    int code = Z_OK;

    while (code != Z_STREAM_END) {
        DEQ_TRY(deq_grow(s->ctx, out, capacity, *size + 1, 1));
        size_t room = *capacity - *size, left = s->size - taken;
        z->next_in = s->data + taken;
        z->avail_in = left < UINT_MAX ? (unsigned)left : UINT_MAX;
        z->next_out = (unsigned char *)*out + *size;
        z->avail_out = room < UINT_MAX ? (unsigned)room : UINT_MAX;
        code = inflate(z, Z_NO_FLUSH);
        taken = (size_t)(z->next_in - s->data);
        *size = (size_t)(z->next_out - (unsigned char *)*out);
        if (code == Z_BUF_ERROR || (code == Z_OK && taken == s->size && z->avail_out > 0))
            return deq_source_fail(s, taken, "the gzip stream is cut off");
        if (code == Z_MEM_ERROR)
            return deq_fail(s->ctx, DEQ_ERR_NOMEM, "%s: out of memory", s->name);
        if (code != Z_OK && code != Z_STREAM_END)
            return deq_source_fail(s, taken, "the gzip stream is damaged: %s",
                                   z->msg ? z->msg : "a dictionary is missing");
    }
    if (taken < s->size)
        return deq_source_fail(s, taken, "%zu bytes follow the end of the gzip stream",
                               s->size - taken);
    return DEQ_OK;
}

deq_status deq_source_gunzip(deq_source *s)
{
    if (s->size < 2 || s->data[0] != 0x1f || s->data[1] != 0x8b) return DEQ_OK;
    z_stream z = { 0 };
    void *out = NULL;
    size_t capacity = 0, size = 0;

    if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)
        return deq_fail(s->ctx, DEQ_ERR_NOMEM, "%s: out of memory", s->name);
    deq_status status = deq_grow(s->ctx, &out, &capacity, expected_size(s), 1);
    if (status == DEQ_OK) status = unpack(s, &z, &out, &capacity, &size);
    (void)inflateEnd(&z);
    if (status != DEQ_OK) {
        deq_release(s->ctx, out, capacity);
        return status;
    }
    deq_source_close(s);
    *s = (deq_source){ s->ctx, s->name, out, size, out, capacity };
    return DEQ_OK;
}
