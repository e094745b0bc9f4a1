/* SPDX-License-Identifier: MIT */
/*
 * Elements of f32 or f64 arrays, read and written as doubles.  A reference kernel written with these
 * serves both dtypes; the compiler takes the test out of its loops.  And how reals become integers.
 */
#ifndef DEQ_OP_REAL_H
#define DEQ_OP_REAL_H

#include <deq/type.h>
#include <math.h>

static inline double deq_load(const void *p, deq_dtype dtype, int64_t i)
{
    return dtype == DEQ_F32 ? (double)((const float *)p)[i] : ((const double *)p)[i];
}

static inline void deq_store(void *p, deq_dtype dtype, int64_t i, double value)
{
    if (dtype == DEQ_F32)
        ((float *)p)[i] = (float)value;
    else
        ((double *)p)[i] = value;
}

/* Towards zero, NaN to 0, out of [low, high] to the nearest end; 2^63 stands for INT64_MAX. */
static inline int64_t deq_to_int(double x, double low, double high)
{
    if (isnan(x)) return 0;
    if (x <= low) return (int64_t)low;
    if (x >= high) return high >= 0x1p62 ? INT64_MAX : (int64_t)high;
    return (int64_t)x;
}

#endif
