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

#include "vote/kernel.h"

#include <float.h>
#include <math.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

enum { DIRECT_LENGTH = 512 };

/* Transforms ----------------------------------------------------------------------------------- */

/* Arrays of `length` numbers; the roots are those of kernel.h, and serve every shorter power of two. */
typedef struct transforms {
    deq_context *ctx;
    const deq_vote_kernels *kernels;
    double *roots_re, *roots_im, *re, *im;
    size_t length;
    int64_t n;
    const int64_t *steps;
    const double *q;
    double cut;
} transforms;

static void release(transforms *t)
{
    double **const arrays[] = { &t->roots_re, &t->roots_im, &t->re, &t->im };

    for (int i = 0; i < 4; i++) {
        deq_release(t->ctx, *arrays[i], t->length * sizeof(double));
        *arrays[i] = NULL;
    }
    t->length = 0;
}

static deq_status prepare(transforms *t, size_t length)
{
    if (length <= t->length) return DEQ_OK;
    release(t);
    t->length = length;
    t->roots_re = deq_alloc_array(t->ctx, length, sizeof(double));
    t->roots_im = deq_alloc_array(t->ctx, length, sizeof(double));
    t->re = deq_alloc_array(t->ctx, length, sizeof(double));
    t->im = deq_alloc_array(t->ctx, length, sizeof(double));
    if (!t->roots_re || !t->roots_im || !t->re || !t->im) return DEQ_ERR_NOMEM;
    const size_t half = length / 2;
    for (size_t k = 0; k < half; k++) {
        double angle = -pi * (double)k / (double)half;
        t->roots_re[half + k] = cos(angle);
        t->roots_im[half + k] = sin(angle);
    }
    for (size_t k = half - 1; k > 0; k--) { /* every other one of the next longer */
        t->roots_re[k] = t->roots_re[2 * k];
        t->roots_im[k] = t->roots_im[2 * k];
    }
    return DEQ_OK;
}

/* (1) for the frequencies at places k and l, which are each other's negatives. */
static void multiply_pair(transforms *t, size_t k, size_t l)
{
    const double a = t->re[k], b = t->im[k], c = t->re[l], d = t->im[l];
    const double re = (a * a - b * b) - (c * c - d * d), im = 2 * (a * b + c * d);

    t->re[k] = im / 4; /* u^2 - conj(v)^2 over 4 i, and its conjugate at l */
    t->im[k] = -re / 4;
    t->re[l] = im / 4;
    t->im[l] = re / 4;
}

/* In the order of reversed bits the negative of place k, 2^j <= k < 2^{j+1}, is 3 * 2^j - 1 - k. */
static void multiply_spectra(transforms *t, size_t m)
{
    multiply_pair(t, 0, 0);
    if (m > 1) multiply_pair(t, 1, 1);
    for (size_t block = 2; block < m; block *= 2)
        for (size_t k = block; k < block + block / 2; k++) multiply_pair(t, k, 3 * block - 1 - k);
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
    memset(t->re, 0, m * sizeof *t->re);
    memset(t->im, 0, m * sizeof *t->im);
    for (size_t k = 0; k < a->length; k++) t->re[k] = a->values[k] / norm_a;
    for (size_t k = 0; k < b->length; k++) t->im[k] = b->values[k] / norm_b;
    t->kernels->forward(t->re, t->im, t->roots_re, t->roots_im, m);
    multiply_spectra(t, m);
    t->kernels->backward(t->im, t->re, t->roots_re, t->roots_im, m);
    double back = norm_a * norm_b / (double)m;
    for (size_t k = 0; k < length; k++) law->values[k] = fmax(0, t->re[k] * back);
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
    transforms t = { .ctx = ctx,
                     .kernels = deq_vote_kernels_for(deq_context_isa(ctx)),
                     .n = n,
                     .steps = steps,
                     .q = q };
    t.cut = cut / (2 * (double)(n > 0 ? n : 1));
    deq_status status = of_range(law, &t, 0, n);
    release(&t);
    return status;
}
