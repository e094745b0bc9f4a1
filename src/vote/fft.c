/* SPDX-License-Identifier: MIT */
/*
 * The law of a sum of independent integers by halves: the laws of both halves, multiplied as
 * polynomials.  Two real factors a and b ride in one complex transform:
 *
 *   z = a + i b,   (a * b)^ _k = (Z_k^2 - conj(Z_{M-k})^2) / (4 i)                               (1)
 *
 * With both factors scaled to 2-norm 1, each transform of length M errs by about log2(M) units of
 * rounding in 2-norm, so by Parseval each element of the product by at most 2 * 24 eps log2(M).  That
 * bound, times the number of elements, is carried along as probability that may be anywhere.
 */
#include "vote/lattice.h"

#include <float.h>
#include <math.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

enum { DIRECT_LENGTH = 512 };

/* Transforms ----------------------------------------------------------------------------------- */

typedef struct complex_number {
    double re, im;
} complex_number;

/* roots[k] = e^{-2 pi i k / length}, k < length / 2: serves every shorter power of two too. */
typedef struct transforms {
    deq_context *ctx;
    complex_number *roots, *z;
    size_t length, capacity;
    int64_t n;
    const int64_t *steps;
    const double *q;
    double cut;
} transforms;

static deq_status prepare(transforms *t, size_t length)
{
    if (length <= t->length) return DEQ_OK;
    deq_release(t->ctx, t->roots, t->capacity / 2 * sizeof *t->roots);
    deq_release(t->ctx, t->z, t->capacity * sizeof *t->z);
    t->length = 0;
    t->capacity = length;
    t->roots = deq_alloc_array(t->ctx, length / 2, sizeof *t->roots);
    t->z = deq_alloc_array(t->ctx, length, sizeof *t->z);
    if (!t->roots || !t->z) return DEQ_ERR_NOMEM;
    for (size_t k = 0; k < length / 2; k++) {
        double angle = -2 * pi * (double)k / (double)length;
        t->roots[k] = (complex_number){ cos(angle), sin(angle) };
    }
    t->length = length;
    return DEQ_OK;
}

static void reverse_bits(complex_number *z, size_t m)
{
    for (size_t i = 1, j = 0; i < m; i++) {
        size_t bit = m >> 1;
        for (; j & bit; bit >>= 1) j ^= bit;
        j ^= bit;
        if (i >= j) continue;
        complex_number swap = z[i];
        z[i] = z[j];
        z[j] = swap;
    }
}

/* In place; sign -1 of the inverse by exchanging the roles of re and im outside. */
static void transform(const transforms *t, complex_number *z, size_t m)
{
    reverse_bits(z, m);
    for (size_t half = 1; half < m; half *= 2) {
        size_t stride = t->length / (2 * half);
        for (size_t at = 0; at < m; at += 2 * half) {
            for (size_t k = 0; k < half; k++) {
                complex_number r = t->roots[k * stride], b = z[at + half + k], a = z[at + k];
                complex_number rb = { r.re * b.re - r.im * b.im, r.re * b.im + r.im * b.re };
                z[at + k] = (complex_number){ a.re + rb.re, a.im + rb.im };
                z[at + half + k] = (complex_number){ a.re - rb.re, a.im - rb.im };
            }
        }
    }
}

/* (1), and exchanged so that a forward transform inverts it. */
static void multiply_spectra(complex_number *z, size_t m)
{
    for (size_t k = 0; k <= m / 2; k++) {
        size_t l = (m - k) % m;
        complex_number u = z[k], v = z[l];
        /* u^2 - conj(v)^2 over 4 i, and its conjugate at l */
        double re = (u.re * u.re - u.im * u.im) - (v.re * v.re - v.im * v.im);
        double im = 2 * (u.re * u.im + v.re * v.im);
        complex_number c = { im / 4, -re / 4 };
        z[k] = (complex_number){ c.im, c.re };
        z[l] = (complex_number){ -c.im, c.re };
    }
}

static double norm(const deq_vote_law *a)
{
    double sum = 0;
    for (size_t k = 0; k < a->length; k++) sum += a->values[k] * a->values[k];
    return sqrt(sum);
}

/* Laws ----------------------------------------------------------------------------------------- */

static deq_status law_new(deq_vote_law *law, deq_context *ctx, size_t length)
{
    *law = (deq_vote_law){ .length = length, .capacity = length };
    law->values = deq_alloc_array(ctx, length, sizeof(double));
    return law->values ? DEQ_OK : DEQ_ERR_NOMEM;
}

static void trim(deq_vote_law *law, double cut)
{
    double lost = 0;
    size_t first = 0, end = law->length;
    while (end - first > 1 && lost + law->values[first] <= cut) lost += law->values[first++];
    law->lost += lost;
    lost = 0;
    while (end - first > 1 && lost + law->values[end - 1] <= cut) lost += law->values[--end];
    law->lost += lost;
    law->first += (int64_t)first;
    law->length = end - first;
    if (first > 0) memmove(law->values, law->values + first, law->length * sizeof(double));
}

static deq_status product(deq_vote_law *law, transforms *t, const deq_vote_law *a,
                          const deq_vote_law *b)
{
    size_t length = a->length + b->length - 1, m = 2;
    int log2_m = 1;
    for (; m < length; m *= 2) log2_m++;
    DEQ_TRY(prepare(t, m));
    DEQ_TRY(law_new(law, t->ctx, length));
    double norm_a = norm(a), norm_b = norm(b);
    memset(t->z, 0, m * sizeof *t->z);
    for (size_t k = 0; k < a->length; k++) t->z[k].re = a->values[k] / norm_a;
    for (size_t k = 0; k < b->length; k++) t->z[k].im = b->values[k] / norm_b;
    transform(t, t->z, m);
    multiply_spectra(t->z, m);
    transform(t, t->z, m);
    double back = norm_a * norm_b / (double)m;
    for (size_t k = 0; k < length; k++) law->values[k] = fmax(0, t->z[k].im * back);
    law->first = a->first + b->first;
    double element = 2 * 24 * (DBL_EPSILON / 2) * log2_m * norm_a * norm_b;
    law->lost = a->lost + b->lost + element * (double)length;
    trim(law, t->cut);
    return DEQ_OK;
}

/* Sources i to end - 1 one by one. */
static deq_status direct(deq_vote_law *law, transforms *t, int64_t i, int64_t end, size_t length)
{
    DEQ_TRY(law_new(law, t->ctx, length));
    double *f = law->values;
    f[0] = 1;
    size_t done = 1;
    for (; i < end; i++) {
        size_t step = (size_t)t->steps[i];
        if (step == 0) continue;
        double q = t->q[i], r = 1 - q;
        for (size_t k = done + step; k-- > 0;)
            f[k] = (k < done ? r * f[k] : 0) + (k >= step ? q * f[k - step] : 0);
        done += step;
    }
    return DEQ_OK;
}

static deq_status of_range(deq_vote_law *law, transforms *t, int64_t i, int64_t end)
{
    size_t length = 1;
    for (int64_t k = i; k < end; k++) length += (size_t)t->steps[k];
    if (end - i <= 1 || length <= DIRECT_LENGTH) return direct(law, t, i, end, length);
    deq_vote_law a = { .values = NULL }, b = { .values = NULL };
    deq_status status = of_range(&a, t, i, i + (end - i) / 2);
    if (status == DEQ_OK) status = of_range(&b, t, i + (end - i) / 2, end);
    if (status == DEQ_OK) status = product(law, t, &a, &b);
    deq_vote_law_free(&a, t->ctx);
    deq_vote_law_free(&b, t->ctx);
    return status;
}

deq_status deq_vote_fft_law(deq_vote_law *law, deq_context *ctx, int64_t n, const int64_t *steps,
                            const double *q, double cut)
{
    transforms t = { .ctx = ctx, .n = n, .steps = steps, .q = q };
    t.cut = cut / (2 * (double)(n > 0 ? n : 1));
    deq_status status = of_range(law, &t, 0, n);
    deq_release(ctx, t.roots, t.capacity / 2 * sizeof *t.roots);
    deq_release(ctx, t.z, t.capacity * sizeof *t.z);
    return status;
}
