/* SPDX-License-Identifier: MIT */
/* Single arrays in NumPy's format, for npy.c and npz.c. */
#ifndef DEQ_SRC_IO_NPY_H
#define DEQ_SRC_IO_NPY_H

#include "io/archive.h"

/* Put the array that is the whole of s into the archive.  `lent`: s's memory belongs to it. */
deq_status deq_npy_decode(deq_archive *a, const char *name, const deq_source *s, bool lent);

/* Whether the elements are numbers that we know: DEQ_ERR_UNSUPPORTED, with the reason, if they are not;
 * other faults of the header too. */
deq_status deq_npy_check(const deq_source *s);

#define DEQ_NPY_HEADER_BYTES 384

/* Write the header of a type; the number of its bytes, a multiple of 64. */
size_t deq_npy_header(char head[DEQ_NPY_HEADER_BYTES], const deq_type *type);

#endif
