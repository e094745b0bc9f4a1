/* SPDX-License-Identifier: MIT */
/* Whole files in memory, and messages that say where in a file something is wrong. */
#define _POSIX_C_SOURCE 200809L

#include "io/source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

deq_status deq_source_size(size_t *size, deq_context *ctx, const char *path)
{
    struct stat info;

    if (!path) return deq_fail(ctx, DEQ_ERR_ARGUMENT, "no path of a file to read");
    if (stat(path, &info) != 0)
        return deq_fail(ctx, DEQ_ERR_IO, "%s: cannot be read: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return deq_fail(ctx, DEQ_ERR_IO, "%s: is %s, not a file", path,
                        S_ISDIR(info.st_mode) ? "a directory" : "a device or a pipe");
    if (info.st_size < 0 || (uintmax_t)info.st_size > (uintmax_t)PTRDIFF_MAX)
        return deq_fail(ctx, DEQ_ERR_OVERFLOW, "%s: too large to be read", path);
    *size = (size_t)info.st_size;
    return DEQ_OK;
}

deq_status deq_source_open(deq_source *s, deq_context *ctx, const char *path)
{
    *s = (deq_source){ .ctx = ctx, .name = path };
    DEQ_TRY(deq_source_size(&s->size, ctx, path));

    FILE *file = fopen(path, "rb");
    if (!file) return deq_fail(ctx, DEQ_ERR_IO, "%s: cannot be read: %s", path, strerror(errno));
    deq_status status = DEQ_OK;
    s->owned = deq_alloc(ctx, s->size);
    s->owned_size = s->size;
    if (!s->owned) {
        status = DEQ_ERR_NOMEM;
    } else if (fread(s->owned, 1, s->size, file) != s->size) {
        status = deq_fail(ctx, DEQ_ERR_IO, "%s: cannot be read to its end at byte %zu: %s", path,
                          s->size, ferror(file) ? strerror(errno) : "it became shorter");
    }
    (void)fclose(file);
    s->data = s->owned;
    if (status != DEQ_OK) deq_source_close(s);
    return status;
}

deq_source deq_source_memory(deq_context *ctx, const void *bytes, size_t size)
{
    return (deq_source){ .ctx = ctx, .name = "memory", .data = bytes, .size = bytes ? size : 0 };
}

void deq_source_close(deq_source *s)
{
    deq_release(s->ctx, s->owned, s->owned_size);
    s->owned = NULL;
    s->owned_size = 0;
    s->data = NULL;
    s->size = 0;
}

static deq_status fail(const deq_source *s, deq_status status, size_t offset, const char *format,
                       va_list args)
{
    char text[DEQ_MESSAGE_BYTES];

    vsnprintf(text, sizeof text, format, args);
    return deq_fail(s->ctx, status, "%s: byte %zu: %s", s->name, offset, text);
}

deq_status(deq_source_fail)(const deq_source *s, size_t offset, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)fail(s, DEQ_ERR_DATA, offset, format, args);
    va_end(args);
    return DEQ_ERR_DATA;
}

deq_status(deq_source_refuse)(const deq_source *s, deq_status status, size_t offset,
                              const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)fail(s, status, offset, format, args);
    va_end(args);
    return status;
}

bool deq_source_has(const deq_source *s, size_t offset, size_t count)
{
    return offset <= s->size && count <= s->size - offset;
}

deq_status deq_source_need(const deq_source *s, size_t offset, size_t count, const char *what)
{
    if (deq_source_has(s, offset, count)) return DEQ_OK;
    return deq_source_fail(s, offset, "%s needs %zu bytes, but the file ends at byte %zu", what,
                           count, s->size);
}

uint16_t deq_le16(const unsigned char *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

uint32_t deq_le32(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint64_t deq_le64(const unsigned char *p)
{
    return (uint64_t)deq_le32(p) | (uint64_t)deq_le32(p + 4) << 32;
}

uint32_t deq_be32(const unsigned char *p)
{
    return (uint32_t)p[3] | (uint32_t)p[2] << 8 | (uint32_t)p[1] << 16 | (uint32_t)p[0] << 24;
}

bool deq_host_is_big_endian(void)
{
    const uint16_t one = 1;
    unsigned char first;

    memcpy(&first, &one, 1);
    return first == 0;
}

const char *deq_quote(char quoted[DEQ_QUOTED_BYTES], const void *text, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *p = text;
    size_t n = 0;

    for (size_t i = 0; i < length && i < 40; i++) {
        if (p[i] >= 0x20 && p[i] < 0x7f) {
            quoted[n++] = (char)p[i];
        } else {
            quoted[n++] = '\\';
            quoted[n++] = 'x';
            quoted[n++] = digits[p[i] >> 4];
            quoted[n++] = digits[p[i] & 15];
        }
    }
    if (length > 40)
        for (int i = 0; i < 3; i++) quoted[n++] = '.';
    quoted[n] = '\0';
    return quoted;
}
