/* SPDX-License-Identifier: MIT */
/* Sums and updates of vectors with a fixed partition; see vector.h. */
#include "solver/vector.h"

#include <math.h>
#include <string.h>

#define LANES DEQ_VECTOR_LANES

#define REAL float
#define NAME(x) x##_f32
#include "solver/vector_kernel.h"
#undef REAL
#undef NAME

#define REAL double
#define NAME(x) x##_f64
#include "solver/vector_kernel.h"
#undef REAL
#undef NAME

/* Elements below which waking threads costs more than it gives. */
#define PARALLEL_MIN 32768

/* The partition: `count` chunks of `length` elements, the last one shorter. */
typedef struct chunks {
    int64_t length;
    int count, threads;
} chunks;

static chunks cut(const deq_vectors *v)
{
    int64_t length = (v->n + DEQ_VECTOR_CHUNKS - 1) / DEQ_VECTOR_CHUNKS;
    if (length < DEQ_VECTOR_CHUNK_MIN) length = DEQ_VECTOR_CHUNK_MIN;
    length = (length + 15) / 16 * 16; /* whole cache lines */
    return (chunks){ .length = length,
                     .count = (int)((v->n + length - 1) / length),
                     .threads = v->n >= PARALLEL_MIN ? v->threads : 1 };
}

static int64_t end_of(const deq_vectors *v, const chunks *c, int i)
{
    int64_t end = (i + 1) * c->length;
    return end < v->n ? end : v->n;
}

static double add_up(const double *part, int count)
{
    double sum = 0;
    for (int i = 0; i < count; i++) sum += part[i];
    return sum;
}

/* Evaluate `body32` or `body64` on every chunk [from, to) and add up its results. */
#define SWEEP(v, body32, body64)                                                                   \
    chunks c_ = cut(v);                                                                            \
    double part_[DEQ_VECTOR_CHUNKS];                                                               \
    _Pragma("omp parallel for num_threads(c_.threads) schedule(static) if (c_.threads > 1)") for ( \
        int i_ = 0; i_ < c_.count; i_++)                                                           \
    {                                                                                              \
        int64_t from = i_ * c_.length, to = end_of(v, &c_, i_);                                    \
        part_[i_] = (v)->dtype == DEQ_F32 ? (body32) : (body64);                                   \
    }                                                                                              \
    return add_up(part_, c_.count)

size_t deq_vector_bytes(const deq_vectors *v)
{
    return (size_t)v->n * deq_dtype_size(v->dtype);
}

double deq_vector_dot(const deq_vectors *v, const void *x, const void *y)
{
    SWEEP(v, dot_f32(x, y, from, to), dot_f64(x, y, from, to));
}

double deq_vector_norm(const deq_vectors *v, const void *x)
{
    return sqrt(deq_vector_dot(v, x, x));
}

double deq_vector_sum(const deq_vectors *v, void *w, double a, const void *x, double b,
                      const void *y)
{
    SWEEP(v, sum_f32(w, a, x, b, y, from, to), sum_f64(w, a, x, b, y, from, to));
}

static double scale(const deq_vectors *v, void *w, double a, const void *x)
{
    SWEEP(v, scale_f32(w, a, x, from, to), scale_f64(w, a, x, from, to));
}

double deq_vector_combine(const deq_vectors *v, void *y, double a, const void *x, double b)
{
    return b == 0 ? scale(v, y, a, x) : deq_vector_sum(v, y, a, x, b, y);
}

double deq_vector_add_dot(const deq_vectors *v, void *y, double a, const void *x, const void *z)
{
    SWEEP(v, add_dot_f32(y, a, x, z, from, to), add_dot_f64(y, a, x, z, from, to));
}

void deq_vector_add_many(const deq_vectors *v, void *y, const double *c, const void *x, int k,
                         int64_t stride)
{
    chunks p = cut(v);
#pragma omp parallel for num_threads(p.threads) schedule(static) if (p.threads > 1)
    for (int i = 0; i < p.count; i++) {
        int64_t from = i * p.length, to = end_of(v, &p, i);
        if (v->dtype == DEQ_F32)
            add_many_f32(y, c, x, k, stride, from, to);
        else
            add_many_f64(y, c, x, k, stride, from, to);
    }
}

void deq_vector_zero(const deq_vectors *v, void *x)
{
    memset(x, 0, deq_vector_bytes(v));
}

void deq_vector_copy(const deq_vectors *v, void *y, const void *x)
{
    if (x != y) memcpy(y, x, deq_vector_bytes(v));
}
