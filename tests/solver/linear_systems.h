/* SPDX-License-Identifier: MIT */
/* Dense systems, one a sample, for tests of solvers that see only products with them. */
#ifndef DEQ_TESTS_SOLVER_LINEAR_SYSTEMS_H
#define DEQ_TESTS_SOLVER_LINEAR_SYSTEMS_H

#include "support/memory.h"

#include <deq/linear.h>
#include <deq/random.h>
#include <math.h>

/* A_k [d, d] of each sample k, its right side b_k and the solution u_k, kept in f64. */
typedef struct systems {
    int64_t batch, d;
    deq_dtype dtype; /* of the vectors that the operator sees */
    double *a, *b, *u;
    bool transpose;
    int64_t poisoned, poisoned_at; /* sample, and which product of it becomes NaN; -1 never */
    int64_t fail_at;               /* call that fails; -1 never */
    int64_t calls;
    int64_t *rows; /* [batch] products of each sample */
} systems;

/* Element i of f32 or f64 memory; by memcpy, since the compiler may know the memory as the other. */
static inline double get(const void *x, deq_dtype t, int64_t i)
{
    float narrow;
    double wide;
    if (t == DEQ_F32) {
        memcpy(&narrow, (const char *)x + i * (int64_t)sizeof narrow, sizeof narrow);
        return (double)narrow;
    }
    memcpy(&wide, (const char *)x + i * (int64_t)sizeof wide, sizeof wide);
    return wide;
}

static inline void put(void *x, deq_dtype t, int64_t i, double value)
{
    float narrow = (float)value;
    if (t == DEQ_F32)
        memcpy((char *)x + i * (int64_t)sizeof narrow, &narrow, sizeof narrow);
    else
        memcpy((char *)x + i * (int64_t)sizeof value, &value, sizeof value);
}

static inline double *doubles(int64_t n)
{
    double *x = calloc((size_t)n, sizeof *x);
    assert_non_null(x);
    return x;
}

static inline systems systems_new(int64_t batch, int64_t d, deq_dtype dtype)
{
    systems s = { .batch = batch, .d = d, .dtype = dtype, .poisoned = -1, .fail_at = -1 };
    s.a = doubles(batch * d * d);
    s.b = doubles(batch * d);
    s.u = doubles(batch * d);
    s.rows = calloc((size_t)batch, sizeof *s.rows);
    assert_non_null(s.rows);
    return s;
}

static inline void systems_free(systems *s)
{
    free(s->a);
    free(s->b);
    free(s->u);
    free(s->rows);
}

/* v . or |v| of so many doubles */
static inline double norm_of(const double *v, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += v[i] * v[i];
    return sqrt(sum);
}

static inline void multiply(const systems *s, int64_t k, const double *v, double *out)
{
    for (int64_t i = 0; i < s->d; i++) {
        out[i] = 0;
        for (int64_t j = 0; j < s->d; j++) {
            int64_t at = s->transpose ? j * s->d + i : i * s->d + j;
            out[i] += s->a[k * s->d * s->d + at] * v[j];
        }
    }
}

/* b = A u for a random u. */
static inline void systems_fill_b(systems *s, uint64_t seed)
{
    deq_random_key key = { .seed = seed, .stream = 77 };
    assert_int_equal(deq_draw_normal(s->u, DEQ_F64, s->batch * s->d, key, 0, 1), DEQ_OK);
    for (int64_t k = 0; k < s->batch; k++) multiply(s, k, s->u + k * s->d, s->b + k * s->d);
}

static inline deq_status systems_apply(void *user, void *out, const void *v, const int64_t *samples,
                                       int64_t n)
{
    systems *s = user;
    if (s->calls++ == s->fail_at) return DEQ_ERR_BACKEND;
    double *x = doubles(s->d), *y = doubles(s->d);
    for (int64_t i = 0; i < n; i++) {
        int64_t k = samples[i];
        assert_in_range(k, 0, s->batch - 1);
        if (i > 0) assert_true(k > samples[i - 1]);
        for (int64_t j = 0; j < s->d; j++) x[j] = get(v, s->dtype, i * s->d + j);
        multiply(s, k, x, y);
        bool bad = k == s->poisoned && s->rows[k] >= s->poisoned_at;
        for (int64_t j = 0; j < s->d; j++) put(out, s->dtype, i * s->d + j, bad ? NAN : y[j]);
        s->rows[k]++;
    }
    free(x);
    free(y);
    return DEQ_OK;
}

static inline void *systems_b(const systems *s)
{
    void *b = calloc((size_t)(s->batch * s->d), deq_dtype_size(s->dtype));
    assert_non_null(b);
    for (int64_t i = 0; i < s->batch * s->d; i++) put(b, s->dtype, i, s->b[i]);
    return b;
}

/* |b - A u| of sample k, in double, for the A that the solver sees. */
static inline double true_residual(const systems *s, const void *b, const void *u, int64_t k,
                                   bool identity_minus)
{
    double *x = doubles(s->d), *y = doubles(s->d), sum = 0;
    for (int64_t j = 0; j < s->d; j++) x[j] = get(u, s->dtype, k * s->d + j);
    multiply(s, k, x, y);
    for (int64_t j = 0; j < s->d; j++) {
        double r = get(b, s->dtype, k * s->d + j) - (identity_minus ? x[j] - y[j] : y[j]);
        sum += r * r;
    }
    free(x);
    free(y);
    return sqrt(sum);
}

/* Families of matrices -------------------------------------------------------------------------- */

/* Scale a random matrix to about this spectral radius (of the circular law). */
static inline void fill_random(double *a, int64_t d, double radius, uint64_t seed, int64_t k)
{
    deq_random_key key = { .seed = seed, .stream = (uint64_t)k };
    double deviation = radius / sqrt((double)d);
    assert_int_equal(deq_draw_normal(a, DEQ_F64, d * d, key, 0, deviation), DEQ_OK);
}

/* I - T, T random: a contraction of radius 0.5. */
static inline void fill_contraction(double *a, int64_t d, int64_t k)
{
    fill_random(a, d, 0.5, 11, k);
    for (int64_t i = 0; i < d * d; i++) a[i] = -a[i];
    for (int64_t i = 0; i < d; i++) a[i * d + i] += 1;
}

/* I - 0.95 R: blocks of rotations, spectrum on a circle about 1, angles spread over the half turn. */
static inline void fill_rotation(double *a, int64_t d, int64_t k)
{
    memset(a, 0, (size_t)(d * d) * sizeof *a);
    for (int64_t i = 0; i < d; i++) a[i * d + i] = 1;
    for (int64_t i = 0; i + 1 < d; i += 2) {
        double angle = 0.1 + 3.0 * (double)(i + k) / (double)(d + k);
        a[i * d + i] -= 0.95 * cos(angle);
        a[i * d + i + 1] += 0.95 * sin(angle);
        a[(i + 1) * d + i] -= 0.95 * sin(angle);
        a[(i + 1) * d + i + 1] -= 0.95 * cos(angle);
    }
}

/* I + M' M / d, M random: symmetric, positive definite. */
static inline void fill_positive(double *a, int64_t d, int64_t k)
{
    double *m = doubles(d * d);
    fill_random(m, d, 1, 13, k);
    for (int64_t i = 0; i < d; i++)
        for (int64_t j = 0; j < d; j++) {
            a[i * d + j] = i == j;
            for (int64_t l = 0; l < d; l++) a[i * d + j] += m[l * d + i] * m[l * d + j] / (double)d;
        }
    free(m);
}

/* Diagonal, from `least` to 1 evenly in the logarithm. */
static inline void fill_graded(double *a, int64_t d, double least)
{
    memset(a, 0, (size_t)(d * d) * sizeof *a);
    for (int64_t i = 0; i < d; i++)
        a[i * d + i] = d == 1 ? least : pow(least, 1 - (double)i / (double)(d - 1));
}

/* The cyclic shift: GMRES gains nothing before step d. */
static inline void fill_shift(double *a, int64_t d)
{
    memset(a, 0, (size_t)(d * d) * sizeof *a);
    for (int64_t i = 0; i < d; i++) a[i * d + (i + 1) % d] = 1;
}

#endif
