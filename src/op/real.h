/* SPDX-License-Identifier: MIT */
/*
 * Elements of f32 or f64 arrays, read and written as doubles.  A reference kernel written with these
 * serves both dtypes; the compiler takes the test out of its loops.
 */
#ifndef DEQ_OP_REAL_H
#define DEQ_OP_REAL_H

#include <deq/type.h>

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

#endif
