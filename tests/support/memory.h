/* SPDX-License-Identifier: MIT */
/* An allocator for contexts under test: counts, checks what comes back, and fails on demand. */
#ifndef DEQ_TESTS_SUPPORT_MEMORY_H
#define DEQ_TESTS_SUPPORT_MEMORY_H

#include "support/test.h"

#include <deq/context.h>
#include <stdatomic.h>
#include <string.h>

typedef struct test_memory {
    atomic_size_t calls;       /* of alloc */
    atomic_size_t fail_at;     /* the call that returns NULL, counted from 1; 0: none */
    atomic_size_t live_blocks; /* allocated and not freed */
    atomic_size_t live_bytes;  /* likewise */
    atomic_size_t wrong_frees; /* with another size than was asked for, or of something else */
    atomic_size_t wrong_calls; /* of no bytes, or an alignment that is no power of two */
} test_memory;

/* In front of every block. */
typedef struct test_block {
    size_t bytes;
    uint64_t mark;
} test_block;

#define TEST_BLOCK_ROOM 64
#define TEST_BLOCK_MARK UINT64_C(0x6465715f6d656d21)

/* Blocks arrive full of garbage: whoever wants zeros has to write them. */
static inline void *memory_alloc(void *user, size_t bytes, size_t align)
{
    test_memory *m = user;
    size_t call = atomic_fetch_add(&m->calls, 1) + 1;
    if (!bytes || !align || (align & (align - 1)) || align > TEST_BLOCK_ROOM)
        atomic_fetch_add(&m->wrong_calls, 1);
    if (call == atomic_load(&m->fail_at) || bytes > (size_t)1 << 40) return NULL;
    size_t room = (bytes + 2 * TEST_BLOCK_ROOM - 1) / TEST_BLOCK_ROOM * TEST_BLOCK_ROOM;
    char *block = aligned_alloc(TEST_BLOCK_ROOM, room);
    if (!block) return NULL;
    memset(block, 0xA5, room);
    *(test_block *)(void *)block = (test_block){ bytes, TEST_BLOCK_MARK };
    atomic_fetch_add(&m->live_blocks, 1);
    atomic_fetch_add(&m->live_bytes, bytes);
    return block + TEST_BLOCK_ROOM;
}

static inline void memory_free(void *user, void *memory, size_t bytes)
{
    test_memory *m = user;
    test_block *block = (test_block *)(void *)((char *)memory - TEST_BLOCK_ROOM);
    if (block->mark != TEST_BLOCK_MARK || block->bytes != bytes)
        atomic_fetch_add(&m->wrong_frees, 1);
    atomic_fetch_sub(&m->live_blocks, 1);
    atomic_fetch_sub(&m->live_bytes, block->bytes);
    block->mark = 0;
    free(block);
}

/* A context that takes its memory from m; NULL when that fails. */
static inline deq_context *test_memory_context(test_memory *m, int threads)
{
    deq_allocator a = { memory_alloc, memory_free, m };
    deq_context_options o = deq_context_defaults();
    deq_context *ctx = NULL;
    o.allocator = &a;
    o.threads = threads;
    deq_status status = deq_context_new(&ctx, &o);
    if (status != DEQ_OK) assert_int_equal(status, DEQ_ERR_NOMEM);
    return ctx;
}

/* Everything was given back, as it was taken. */
static inline void assert_memory_clean(const test_memory *m)
{
    assert_int_equal(m->wrong_calls, 0);
    assert_int_equal(m->wrong_frees, 0);
    assert_int_equal(m->live_blocks, 0);
    assert_int_equal(m->live_bytes, 0);
}

#endif
