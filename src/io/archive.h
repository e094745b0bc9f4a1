/* SPDX-License-Identifier: MIT */
/* Archives from inside: readers hand over blocks of memory and put views of them. */
#ifndef DEQ_SRC_IO_ARCHIVE_H
#define DEQ_SRC_IO_ARCHIVE_H

#include "io/element.h"

#include <deq/io/archive.h>

deq_context *deq_archive_context(const deq_archive *a);

/* Whether a type of the caller's can be stored, and its bytes. */
deq_status deq_archive_check_type(deq_context *ctx, const char *name, const deq_type *type,
                                  size_t *bytes);

/* The block, from deq_alloc(ctx, bytes), belongs to the archive from now on, also on failure. */
deq_status deq_archive_take(deq_archive *a, void *block, size_t bytes);

/* Note that the file has something of this name which is no tensor of ours. */
deq_status deq_archive_leave_out(deq_archive *a, const char *name, const char *why);

/* Take over what a source owns. */
deq_status deq_archive_take_source(deq_archive *a, deq_source *s);

/* Put a tensor of `elements` whose bytes stand at `offset` of s, checked to be there.  Where they
 * are ours as they stand, and s's memory belongs to the archive, the tensor is a view. */
deq_status deq_archive_put(deq_archive *a, const char *name, deq_element element,
                           const deq_shape *shape, const deq_source *s, size_t offset,
                           bool big_endian, bool lent);

/* Put a tensor whose data belong to the archive.  `stored` is never freed. */
deq_status deq_archive_put_view(deq_archive *a, const char *name, const deq_type *type,
                                const void *data, const char *stored);

#endif
