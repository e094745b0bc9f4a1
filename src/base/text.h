/* SPDX-License-Identifier: MIT */
/* Text: bounded appending, and the nearest known name for "did you mean". */
#ifndef DEQ_BASE_TEXT_H
#define DEQ_BASE_TEXT_H

#include "base/context.h"

/* A buffer that text is appended to; what does not fit is cut, and the result is terminated. */
typedef struct deq_text {
    char *data;
    size_t capacity, length;
} deq_text;

void deq_text_add(deq_text *t, const char *format, ...) DEQ_PRINTF(2, 3);

/* Insertions, deletions and substitutions that turn a into b. */
size_t deq_edit_distance(const char *a, const char *b);

/* The nearest of `count` names, or NULL when none is near (more than half of it would change). */
const char *deq_nearest_name(const char *wanted, const char *(*name)(const void *set, int i),
                             const void *set, int count);

#endif
