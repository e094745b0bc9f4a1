/* SPDX-License-Identifier: MIT */
/* The element-wise updates, vectorised by the compiler. */
#include "optim/update.h"

#include <math.h>

#define T float
#define NAME(f) f##_f32
#define SQRT sqrtf
#include "optim/update_real.h"
#undef T
#undef NAME
#undef SQRT

#define T double
#define NAME(f) f##_f64
#define SQRT sqrt
#include "optim/update_real.h"

void deq_update_part(int64_t *first, int64_t *count, int64_t length, int part, int parts)
{
    enum { LINE = 16 }; /* elements; starts of parts are then aligned as the vectors are */
    const int64_t lines = length / LINE + (length % LINE != 0);
    const int64_t each = lines / parts, more = lines % parts;
    const int64_t begin = (part * each + (part < more ? part : more)) * LINE;
    const int64_t end = begin + (each + (part < more)) * LINE;

    *first = begin < length ? begin : length;
    *count = (end < length ? end : length) - *first;
}
