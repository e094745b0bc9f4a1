/* SPDX-License-Identifier: MIT */
/* Zip archives: the only file that knows libzip is zip.c. */
#ifndef DEQ_SRC_IO_ZIP_H
#define DEQ_SRC_IO_ZIP_H

#include "io/output.h"
#include "io/source.h"

typedef struct deq_zip deq_zip;

/* Open for reading.  Sizes are checked: no member, nor all together, claims more than its
 * compressed bytes can make. */
deq_status deq_zip_open(deq_zip **out, deq_context *ctx, const char *path);
deq_status deq_zip_open_memory(deq_zip **out, deq_context *ctx, const void *bytes, size_t size);
void deq_zip_close(deq_zip *z);

size_t deq_zip_count(const deq_zip *z);
/* Name and size of a member. */
const char *deq_zip_name(const deq_zip *z, size_t i);
size_t deq_zip_size(const deq_zip *z, size_t i);
/* The place of a member, or SIZE_MAX. */
size_t deq_zip_find(const deq_zip *z, const char *name);
/* The bytes of a member, owned by *s, whose name is "ARCHIVE: MEMBER" and lives in `name`. */
#define DEQ_ZIP_NAME_BYTES 512
deq_status deq_zip_read(deq_source *s, char name[DEQ_ZIP_NAME_BYTES], deq_zip *z, size_t i);
/* Sum of the sizes of all members. */
size_t deq_zip_total(const deq_zip *z);
/* DEQ_ERR_DATA about the archive as a whole. */
deq_status deq_zip_fail(const deq_zip *z, const char *format, ...) DEQ_PRINTF(2, 3);

/* Whether bytes begin as a zip archive does. */
bool deq_zip_is(const void *bytes, size_t size);

/* Writing: members are a head and a body, which must live until the end. */
typedef struct deq_zip_part {
    char name[DEQ_ZIP_NAME_BYTES];
    const void *head, *body;
    size_t head_bytes, body_bytes;
} deq_zip_part;

deq_status deq_zip_write(deq_context *ctx, const char *path, size_t count, bool compress,
                         deq_status (*part)(deq_zip_part *part, void *user, size_t i), void *user);

#endif
