/* SPDX-License-Identifier: MIT */
/* Readers of foreign bytes under attack: cut off everywhere, every bit flipped, out of memory. */
#ifndef DEQ_TESTS_SUPPORT_BYTES_H
#define DEQ_TESTS_SUPPORT_BYTES_H

#include <deq/context.h>
#include <stdbool.h>
#include <stddef.h>

/* A reader: reads the bytes, frees the result, and returns what the reader said. */
typedef deq_status read_fn(deq_context *ctx, const void *bytes, size_t size);

/* The bytes are good. */
void check_reads(read_fn *read, const void *bytes, size_t size);
/* No prefix is good, or only those that `may` allows (NULL: none). */
void check_truncation(read_fn *read, const void *bytes, size_t size, bool (*may)(size_t length));
/* With any bit flipped the bytes are read or refused, and nothing leaks. */
void check_bit_flips(read_fn *read, const void *bytes, size_t size);
/* Each allocation may fail. */
void check_out_of_memory(read_fn *read, const void *bytes, size_t size);
/* All of these. */
void check_reader(read_fn *read, const void *bytes, size_t size);
/* The bytes are refused with this status, and the message contains the text. */
void check_refusal(read_fn *read, const void *bytes, size_t size, deq_status status,
                   const char *text);

/* The contents of a file; free().  Fails the test if it cannot be read. */
void *load_file(const char *path, size_t *size);
/* A path below $DEQ_DATA or $DEQ_GOLDEN, in `path`; skips the test, saying so, if that is not set. */
const char *shared_file(char path[1024], const char *variable, const char *name);

/* Bytes that grow: files made by tests. */
typedef struct file_bytes {
    unsigned char *data;
    size_t size, capacity;
} file_bytes;

void put(file_bytes *b, const void *data, size_t size);
void put_text(file_bytes *b, const char *text);
void put_byte(file_bytes *b, int value);
/* A number of `size` bytes, lowest byte first or last. */
void put_little(file_bytes *b, unsigned long long value, int size);
void put_big(file_bytes *b, unsigned long long value, int size);
void bytes_free(file_bytes *b);

/* A scratch file in $TMPDIR or /tmp: its name; remove it afterwards. */
const char *scratch_path(char path[256], const char *suffix);

#endif
