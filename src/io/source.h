/* SPDX-License-Identifier: MIT */
/* Foreign bytes: a whole file in memory, or memory of the caller, with a name for messages. */
#ifndef DEQ_SRC_IO_SOURCE_H
#define DEQ_SRC_IO_SOURCE_H

#include "base/context.h"

typedef struct deq_source {
    deq_context *ctx;
    const char *name; /* of the file, or "memory"; lent by the caller */
    const unsigned char *data;
    size_t size;
    void *owned; /* from deq_alloc(), to be released; NULL: the bytes are the caller's */
    size_t owned_size;
} deq_source;

/* The size of a regular file; anything else is refused. */
deq_status deq_source_size(size_t *size, deq_context *ctx, const char *path);
/* The bytes of a regular file. */
deq_status deq_source_open(deq_source *s, deq_context *ctx, const char *path);
deq_source deq_source_memory(deq_context *ctx, const void *bytes, size_t size);
void deq_source_close(deq_source *s);

/* The bytes unpacked, if they are a gzip stream; else they stay as they are. */
deq_status deq_source_gunzip(deq_source *s);

/* DEQ_ERR_DATA with the message "NAME: byte OFFSET: ...". */
deq_status deq_source_fail(const deq_source *s, size_t offset, const char *format, ...)
    DEQ_PRINTF(3, 4);
/* The same with another status. */
deq_status deq_source_refuse(const deq_source *s, deq_status status, size_t offset,
                             const char *format, ...) DEQ_PRINTF(4, 5);
#ifdef __clang_analyzer__ /* see deq_fail */
#define deq_source_fail(s, offset, ...) ((deq_source_fail)(s, offset, __VA_ARGS__), DEQ_ERR_DATA)
#define deq_source_refuse(s, status, offset, ...)                                                  \
    ((deq_source_refuse)(s, status, offset, __VA_ARGS__), (status))
#endif

/* Whether `count` bytes stand at `offset`. */
bool deq_source_has(const deq_source *s, size_t offset, size_t count);
/* The same as a status: "the file ends within WHAT". */
deq_status deq_source_need(const deq_source *s, size_t offset, size_t count, const char *what);

/* Numbers in the file's order of bytes. */
uint16_t deq_le16(const unsigned char *p);
uint32_t deq_le32(const unsigned char *p);
uint64_t deq_le64(const unsigned char *p);
uint32_t deq_be32(const unsigned char *p);
bool deq_host_is_big_endian(void);

/* Foreign text for a message: at most 40 bytes, those that do not print as \xNN. */
#define DEQ_QUOTED_BYTES 168
const char *deq_quote(char quoted[DEQ_QUOTED_BYTES], const void *text, size_t length);

#endif
