/* SPDX-License-Identifier: MIT */
/*
 * A dataset from inside: what it is made of, and how an example is read.
 *
 * Examples are read by many threads at once, so a dataset does not change once it is made, and
 * whoever reads brings a context of his own for memory and messages.
 */
#ifndef DEQ_SRC_DATA_DATASET_H
#define DEQ_SRC_DATA_DATASET_H

#include "base/context.h"

#include <deq/data.h>

/* What a kind of dataset does. */
typedef struct deq_dataset_kind {
    deq_status (*read)(const deq_dataset *d, int64_t index, float *input, int32_t *target,
                       deq_context *own);
    /* NULL: classes are called by their numbers */
    void (*class_name)(const deq_dataset *d, int64_t class_, char *buffer, size_t size);
    void (*free)(deq_dataset *d); /* of what `data` points to; NULL: nothing */
} deq_dataset_kind;

struct deq_dataset {
    const deq_dataset_kind *kind;
    deq_context *ctx;
    deq_example_form form;
    int64_t count;
    void *data; /* the kind's own, `bytes` long, zeroed when made */
    size_t bytes;
};

/* An empty dataset of a kind; its form and count are the caller's to set. */
deq_status deq_dataset_new(deq_dataset **out, deq_context *ctx, const deq_dataset_kind *kind,
                           size_t bytes);

/* Finish making a dataset: checks form and count; on failure, or if status is one, frees it. */
deq_status deq_dataset_finish(deq_dataset **out, deq_dataset *d, deq_status status);

/* deq_dataset_read() for a thread with a context of its own, without checks. */
deq_status deq_dataset_read_own(const deq_dataset *d, int64_t index, float *input, int32_t *target,
                                deq_context *own);

/* Bytes as numbers in [0, 1]. */
void deq_dataset_scale(float *values, const uint8_t *bytes, int64_t count);

#endif
