/* SPDX-License-Identifier: MIT */
/*
 * A fuzz target for a reader of foreign bytes:
 *
 *     static deq_status read(deq_context *ctx, const uint8_t *bytes, size_t size, int *result)
 *     FUZZ_READER(read)
 *
 * Beyond what sanitizers see: a result comes with DEQ_OK and only then, a refusal has a message, all
 * memory is given back, and never is more taken than the bytes can account for.
 */
#ifndef DEQ_TESTS_FUZZ_READER_H
#define DEQ_TESTS_FUZZ_READER_H

#include <deq/context.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* deflate makes 1032 bytes of one, of which we may keep four forms; copies of shared storages are
 * bounded by a constant. */
#define MOST_BYTES(size) ((size_t)160 << 20) + 8 * 1032 * (size)

typedef struct ledger {
    size_t live, most;
} ledger;

static void *ledger_alloc(void *user, size_t bytes, size_t align)
{
    ledger *l = user;

    l->live += bytes;
    if (l->live > l->most) {
        fprintf(stderr, "%zu bytes asked for, %zu in all, at most %zu\n", bytes, l->live, l->most);
        abort();
    }
    return aligned_alloc(align, (bytes + align - 1) / align * align);
}

static void ledger_free(void *user, void *memory, size_t bytes)
{
    ledger *l = user;

    l->live -= bytes;
    free(memory);
}

static void expect(int holds, const char *what)
{
    if (holds) return;
    fprintf(stderr, "not so: %s\n", what);
    abort();
}

/* Reads, and frees what came; *result tells whether something came. */
typedef deq_status fuzz_read(deq_context *ctx, const uint8_t *bytes, size_t size, int *result);

static void fuzz_reader(fuzz_read *read, const uint8_t *data, size_t size)
{
    ledger l = { 0, MOST_BYTES(size) };
    deq_allocator allocator = { ledger_alloc, ledger_free, &l };
    deq_context_options options = deq_context_defaults();
    deq_context *ctx;
    int result = 0;

    options.allocator = &allocator;
    options.threads = 1;
    if (deq_context_new(&ctx, &options) != DEQ_OK) abort();
    const deq_status status = read(ctx, data, size, &result);
    expect((status == DEQ_OK) == result, "a result comes with DEQ_OK and only then");
    expect(status == DEQ_OK || deq_last_error(ctx)[0] != '\0', "a refusal has a message");
    deq_context_free(ctx);
    expect(l.live == 0, "all memory is given back");
}

#define FUZZ_READER(read)                                                                          \
    int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)                                   \
    {                                                                                              \
        fuzz_reader(read, data, size);                                                             \
        return 0;                                                                                  \
    }

#endif
