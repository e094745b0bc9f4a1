/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L

#include "support/bytes.h"

#include "support/memory.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A copy that ends where the bytes end, so that reading past them is seen. */
static deq_status read_copy(read_fn *read, test_memory *m, const void *bytes, size_t size,
                            char *message)
{
    deq_context *ctx = test_memory_context(m, 1);
    if (!ctx) return DEQ_ERR_NOMEM;
    void *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    if (size) memcpy(copy, bytes, size);
    deq_status status = read(ctx, copy, size);
    free(copy);
    snprintf(message, 1024, "%s", deq_last_error(ctx));
    deq_context_free(ctx);
    assert_memory_clean(m);
    return status;
}

void check_reads(read_fn *read, const void *bytes, size_t size)
{
    test_memory m = { 0 };
    char message[1024];
    const deq_status status = read_copy(read, &m, bytes, size, message);

    if (status != DEQ_OK) fail_msg("refused: %s: %s", deq_status_text(status), message);
}

void check_truncation(read_fn *read, const void *bytes, size_t size, bool (*may)(size_t length))
{
    for (size_t length = 0; length < size; length++) {
        test_memory m = { 0 };
        char message[1024];
        const deq_status status = read_copy(read, &m, bytes, length, message);

        if (status == DEQ_OK && !(may && may(length)))
            fail_msg("read although cut off after %zu of %zu bytes", length, size);
        if (status != DEQ_OK && !strstr(message, "memory"))
            fail_msg("cut off after %zu bytes: the message names no file: '%s'", length, message);
    }
}

void check_bit_flips(read_fn *read, const void *bytes, size_t size)
{
    unsigned char *copy = malloc(size ? size : 1);

    assert_non_null(copy);
    memcpy(copy, bytes, size);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        test_memory m = { 0 };
        char message[1024];

        copy[bit / 8] ^= (unsigned char)(1u << bit % 8);
        const deq_status status = read_copy(read, &m, copy, size, message);
        copy[bit / 8] ^= (unsigned char)(1u << bit % 8);
        if (status != DEQ_OK && !message[0])
            fail_msg("bit %zu flipped: refused without a message", bit);
    }
    free(copy);
}

void check_out_of_memory(read_fn *read, const void *bytes, size_t size)
{
    for (size_t n = 1; n < 100000; n++) {
        test_memory m = { .fail_at = n };
        char message[1024] = "";
        const deq_status status = read_copy(read, &m, bytes, size, message);

        if (status == DEQ_OK && m.calls < n) return; /* never came so far */
        if (status != DEQ_ERR_NOMEM)
            fail_msg("allocation %zu failed: %s: %s", n, deq_status_text(status), message);
    }
    fail_msg("no end of allocations");
}

void check_reader(read_fn *read, const void *bytes, size_t size)
{
    check_reads(read, bytes, size);
    check_truncation(read, bytes, size, NULL);
    check_bit_flips(read, bytes, size);
    check_out_of_memory(read, bytes, size);
}

void check_refusal(read_fn *read, const void *bytes, size_t size, deq_status status,
                   const char *text)
{
    test_memory m = { 0 };
    char message[1024];
    const deq_status said = read_copy(read, &m, bytes, size, message);

    if (said != status || !strstr(message, text))
        fail_msg("expected %s: ...%s..., got %s: %s", deq_status_text(status), text,
                 deq_status_text(said), message);
}

void *load_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");

    if (!file) fail_msg("%s cannot be read", path);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    const long end = ftell(file);
    assert_true(end >= 0);
    rewind(file);
    void *data = malloc((size_t)end + 1);
    assert_non_null(data);
    *size = fread(data, 1, (size_t)end, file);
    assert_int_equal(*size, end);
    fclose(file);
    return data;
}

const char *shared_file(char path[1024], const char *variable, const char *name)
{
    const char *folder = getenv(variable);

    if (!folder) {
        print_message("%s is not set: %s is not read\n", variable, name);
        skip();
    }
    snprintf(path, 1024, "%s/%s", folder, name);
    return path;
}

void put(file_bytes *b, const void *data, size_t size)
{
    if (b->size + size > b->capacity) {
        b->capacity = 2 * (b->size + size);
        b->data = realloc(b->data, b->capacity);
        assert_non_null(b->data);
    }
    if (size) memcpy(b->data + b->size, data, size);
    b->size += size;
}

void put_text(file_bytes *b, const char *text)
{
    put(b, text, strlen(text));
}

void put_byte(file_bytes *b, int value)
{
    put(b, &(unsigned char){ (unsigned char)value }, 1);
}

void put_little(file_bytes *b, unsigned long long value, int size)
{
    for (int i = 0; i < size; i++) put_byte(b, (int)(value >> 8 * i & 255));
}

void put_big(file_bytes *b, unsigned long long value, int size)
{
    for (int i = size - 1; i >= 0; i--) put_byte(b, (int)(value >> 8 * i & 255));
}

void bytes_free(file_bytes *b)
{
    free(b->data);
    *b = (file_bytes){ 0 };
}

const char *scratch_path(char path[256], const char *suffix)
{
    static int count;
    const char *folder = getenv("TMPDIR");

    snprintf(path, 256, "%.150s/deq-test-%ld-%d%s", folder ? folder : "/tmp", (long)getpid(),
             count++, suffix);
    return path;
}
