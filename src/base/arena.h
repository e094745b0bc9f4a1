/* SPDX-License-Identifier: MIT */
/* A bump allocator: many small objects of one lifetime, released at once. */
#ifndef DEQ_BASE_ARENA_H
#define DEQ_BASE_ARENA_H

#include "base/context.h"

typedef struct deq_arena {
    deq_context *ctx;
    struct deq_arena_chunk *chunks; /* newest first */
} deq_arena;

void deq_arena_init(deq_arena *arena, deq_context *ctx);
void deq_arena_free(deq_arena *arena);
/* Zeroed memory aligned to 16 bytes (DEQ_ALIGNMENT from 64 bytes on); NULL when out of memory. */
void *deq_arena_alloc(deq_arena *arena, size_t bytes);
void *deq_arena_copy(deq_arena *arena, const void *data, size_t bytes);
char *deq_arena_strdup(deq_arena *arena, const char *s);

#endif
