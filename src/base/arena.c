/* SPDX-License-Identifier: MIT */
#include "base/arena.h"

#include <string.h>

#define CHUNK_BYTES ((size_t)16384)

struct deq_arena_chunk {
    struct deq_arena_chunk *next;
    size_t bytes; /* of the whole chunk, this header included */
    size_t used;  /* likewise */
};

#define HEADER_BYTES                                                                               \
    ((sizeof(struct deq_arena_chunk) + DEQ_ALIGNMENT - 1) & ~(size_t)(DEQ_ALIGNMENT - 1))

void deq_arena_init(deq_arena *arena, deq_context *ctx)
{
    *arena = (deq_arena){ .ctx = ctx };
}

void deq_arena_free(deq_arena *arena)
{
    for (struct deq_arena_chunk *c = arena->chunks, *next; c; c = next) {
        next = c->next;
        deq_release(arena->ctx, c, c->bytes);
    }
    arena->chunks = NULL;
}

static struct deq_arena_chunk *add_chunk(deq_arena *arena, size_t need)
{
    size_t bytes;
    if (!deq_size_add(&bytes, need, HEADER_BYTES + DEQ_ALIGNMENT)) {
        (void)deq_fail(arena->ctx, DEQ_ERR_NOMEM, "out of memory: asked for %zu bytes", need);
        return NULL;
    }
    if (bytes < CHUNK_BYTES) bytes = CHUNK_BYTES;
    struct deq_arena_chunk *c = deq_alloc(arena->ctx, bytes);
    if (!c) return NULL;
    *c = (struct deq_arena_chunk){ .next = arena->chunks, .bytes = bytes, .used = HEADER_BYTES };
    arena->chunks = c;
    return c;
}

void *deq_arena_alloc(deq_arena *arena, size_t bytes)
{
    size_t align = bytes >= DEQ_ALIGNMENT ? DEQ_ALIGNMENT : 16;
    struct deq_arena_chunk *c = arena->chunks;
    size_t at = c ? (c->used + align - 1) & ~(align - 1) : 0;
    if (!c || at > c->bytes || bytes > c->bytes - at) {
        c = add_chunk(arena, bytes);
        if (!c) return NULL;
        at = c->used; /* the header's size is a multiple of every alignment */
    }
    c->used = at + bytes;
    return (char *)c + at;
}

void *deq_arena_copy(deq_arena *arena, const void *data, size_t bytes)
{
    void *copy = deq_arena_alloc(arena, bytes);
    if (copy && bytes) memcpy(copy, data, bytes);
    return copy;
}

char *deq_arena_strdup(deq_arena *arena, const char *s)
{
    return deq_arena_copy(arena, s, strlen(s) + 1);
}
