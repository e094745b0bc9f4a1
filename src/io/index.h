/* SPDX-License-Identifier: MIT */
/* Places of names: a hash table from strings to positions, which grows as needed. */
#ifndef DEQ_SRC_IO_INDEX_H
#define DEQ_SRC_IO_INDEX_H

#include "base/context.h"

#define DEQ_INDEX_NONE SIZE_MAX

typedef struct deq_index {
    deq_context *ctx;
    struct deq_index_slot *slots;
    size_t capacity, count;
} deq_index;

void deq_index_init(deq_index *x, deq_context *ctx);
void deq_index_free(deq_index *x);
/* The place of a name, or DEQ_INDEX_NONE. */
size_t deq_index_find(const deq_index *x, const char *name);
/* The name must be new, and must stay where it is. */
deq_status deq_index_add(deq_index *x, const char *name, size_t place);

#endif
