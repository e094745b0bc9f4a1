/* SPDX-License-Identifier: MIT */
/* The header line of a file: which field is which. */
#ifndef DEQ_SRC_VOTE_COLUMNS_H
#define DEQ_SRC_VOTE_COLUMNS_H

#include <deq/io/csv.h>

#include "base/context.h"

/* Begin to read: bytes, or the file `path`.  separator 0: find it out. */
deq_status deq_columns_open(deq_csv **out, deq_context *ctx, const char *path, const void *bytes,
                            size_t size, char separator, bool recover);

/* The header line.  DEQ_ERR_DATA for an empty file. */
deq_status deq_columns_header(const deq_csv_row **header, deq_csv *csv);

/* The only column called `name`, or, where that is NULL, one of `usual` (up to a NULL).  SIZE_MAX: there
 * is none and it is not needed. */
deq_status deq_column_find(size_t *column, const deq_csv *csv, const deq_csv_row *header,
                           const char *name, const char *const *usual, bool needed);

#endif
