/* SPDX-License-Identifier: MIT */
/* Arrays as a dataset; what deq_dataset_npz() and deq_dataset_npy() make of their files. */
#ifndef DEQ_SRC_DATA_ARRAYS_H
#define DEQ_SRC_DATA_ARRAYS_H

#include <deq/data.h>
#include <deq/io/archive.h>

/* An array in an archive, with words for messages: "FILE: 'x'". */
typedef struct deq_named_array {
    deq_archive *archive; /* taken over, also on failure; NULL: that of the inputs */
    const char *name;
    const char *place;
} deq_named_array;

deq_status deq_dataset_arrays(deq_dataset **out, deq_context *ctx, deq_named_array inputs,
                              deq_named_array targets);

#endif
