/* SPDX-License-Identifier: MIT */
/* TensorBoard's files from inside: records, and what must hold before something is appended. */
#ifndef DEQ_SRC_IO_TENSORBOARD_H
#define DEQ_SRC_IO_TENSORBOARD_H

#include "io/source.h"

#include <deq/io/tensorboard.h>

/* Around the data of a record: its length and that one's sum before, the data's sum behind. */
enum { DEQ_RECORD_HEAD = 12, DEQ_RECORD_TAIL = 4 };

/* The cyclic redundancy check of Castagnoli (RFC 3720), continued from `crc`; 0 to begin. */
uint32_t deq_crc32c(uint32_t crc, const void *bytes, size_t count);
/* How records store it: so that sums of data that contain sums stay good. */
uint32_t deq_crc32c_masked(const void *bytes, size_t count);

/* The source is a sequence of whole records whose sums agree; the first names the version. */
deq_status deq_tensorboard_check(const deq_source *s);

#endif
