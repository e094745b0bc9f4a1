/* SPDX-License-Identifier: MIT */
/* Sums and updates of vectors with a fixed partition; see vector.h. */
#include "solver/vector.h"

#include <math.h>
#include <string.h>

/* Elements below which waking threads costs more than it gives. */
#define PARALLEL_MIN 32768

/* The partition: `count` parts of `length` elements, a multiple of a block; the last may be shorter. */
typedef struct parts {
    int64_t length;
    int count, threads;
} parts;

static const deq_kernels *kernels(const deq_vectors *v)
{
    return v->k ? v->k : deq_kernels_for(v->dtype, DEQ_ISA_BASELINE);
}

static parts cut(const deq_vectors *v)
{
    int64_t blocks = (v->n + DEQ_VECTOR_BLOCK - 1) / DEQ_VECTOR_BLOCK;
    int64_t each = (blocks + DEQ_VECTOR_PARTS - 1) / DEQ_VECTOR_PARTS;
    return (parts){ .length = each * DEQ_VECTOR_BLOCK,
                    .count = (int)((blocks + each - 1) / each),
                    .threads = v->n >= PARALLEL_MIN ? v->threads : 1 };
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void *at(const deq_vectors *v, const void *x, int64_t i)
{
    return (char *)x + (size_t)i * deq_dtype_size(v->dtype);
}

/* The pointers of `x`, moved on to element i. */
static void move_on(const deq_vectors *v, const void **moved, const void *const *x, int n,
                    int64_t i)
{
    for (int j = 0; j < n; j++) moved[j] = at(v, x[j], i);
}

/* What deq_vector_pass() is asked for. */
typedef struct pass {
    void *w;
    const double *c;
    const void *const *x, *const *y;
    int terms, n_sums;
} pass;

static void run_block(const deq_vectors *v, const pass *p, int64_t i, int64_t n, double *sums)
{
    const void *x[DEQ_VECTOR_TERMS], *y[DEQ_VECTOR_SUMS];
    double part[DEQ_VECTOR_SUMS];
    const deq_kernels *k = kernels(v);
    void *w = at(v, p->w, i);
    move_on(v, x, p->x, p->terms, i);
    move_on(v, y, p->y, p->n_sums, i);
    if (p->terms) k->combine(w, 1, w, 0, NULL, p->c, x, NULL, p->terms, n);
    if (p->n_sums) k->dots(part, y, NULL, p->n_sums, w, n);
    for (int j = 0; j < p->n_sums; j++) sums[j] += part[j];
}

/* Part i of the partition. */
static void run_part(const deq_vectors *v, const pass *p, const parts *s, int i, double *sums)
{
    int64_t end = least((i + 1) * s->length, v->n);
    for (int j = 0; j < p->n_sums; j++) sums[j] = 0;
    for (int64_t b = i * s->length; b < end; b += DEQ_VECTOR_BLOCK)
        run_block(v, p, b, least(DEQ_VECTOR_BLOCK, end - b), sums);
}

/* One thread enters no parallel region: making a team, even of one, costs more than a short pass. */
void deq_vector_pass(const deq_vectors *v, void *w, const double *c, const void *const *x,
                     int terms, double *sums, const void *const *y, int n_sums)
{
    const pass p = { w, c, x, y, terms, n_sums };
    double part[DEQ_VECTOR_PARTS][DEQ_VECTOR_SUMS];
    parts s = cut(v);
    if (s.threads == 1) {
        for (int i = 0; i < s.count; i++) run_part(v, &p, &s, i, part[i]);
    } else {
#pragma omp parallel for num_threads(s.threads) schedule(static)
        for (int i = 0; i < s.count; i++) run_part(v, &p, &s, i, part[i]);
    }
    for (int j = 0; j < n_sums; j++) {
        sums[j] = 0;
        for (int i = 0; i < s.count; i++) sums[j] += part[i][j];
    }
}

/* w = a x + b y on part i; returns its |w|^2. */
static double sum_part(const deq_vectors *v, void *w, double a, const void *x, double b,
                       const void *y, const parts *s, int i)
{
    const deq_kernels *k = kernels(v);
    int64_t end = least((i + 1) * s->length, v->n);
    double sum = 0;
    for (int64_t e = i * s->length; e < end; e += DEQ_VECTOR_BLOCK) {
        int64_t n = least(DEQ_VECTOR_BLOCK, end - e);
        const void *out = at(v, w, e);
        double square;
        k->combine(at(v, w, e), a, at(v, x, e), b, b == 0 ? NULL : at(v, y, e), NULL, NULL, NULL, 0,
                   n);
        k->dots(&square, &out, NULL, 1, out, n);
        sum += square;
    }
    return sum;
}

double deq_vector_sum(const deq_vectors *v, void *w, double a, const void *x, double b,
                      const void *y)
{
    double part[DEQ_VECTOR_PARTS], sum = 0;
    parts s = cut(v);
    if (s.threads == 1) {
        for (int i = 0; i < s.count; i++) part[i] = sum_part(v, w, a, x, b, y, &s, i);
    } else {
#pragma omp parallel for num_threads(s.threads) schedule(static)
        for (int i = 0; i < s.count; i++) part[i] = sum_part(v, w, a, x, b, y, &s, i);
    }
    for (int i = 0; i < s.count; i++) sum += part[i];
    return sum;
}

double deq_vector_combine(const deq_vectors *v, void *y, double a, const void *x, double b)
{
    return deq_vector_sum(v, y, a, x, b, y);
}

double deq_vector_dot(const deq_vectors *v, const void *x, const void *y)
{
    double sum;
    /* Without terms w is only read. */
    deq_vector_pass(v, (void *)y, NULL, NULL, 0, &sum, &x, 1);
    return sum;
}

double deq_vector_norm(const deq_vectors *v, const void *x)
{
    return sqrt(deq_vector_dot(v, x, x));
}

void deq_vector_zero(const deq_vectors *v, void *x)
{
    memset(x, 0, deq_vector_bytes(v));
}

void deq_vector_copy(const deq_vectors *v, void *y, const void *x)
{
    if (x != y) memcpy(y, x, deq_vector_bytes(v));
}
