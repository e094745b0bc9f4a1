/* SPDX-License-Identifier: MIT */
/*
 * Copies within a layout and between layouts.
 *
 * With S = H W, plain is [B, C, S] and channels-last [B, S, C]: a change of layout transposes one
 * matrix a sample.  A matrix is cut into panels of 16 elements along the axis whose neighbours lie
 * close together in the matrix with the larger row stride: all of a cache line there is used while
 * it is in the cache, although its rows often fall into the same cache set (S = 1024 floats).
 */
#include "backend/cpu/cpu.h"

#include <string.h>

enum {
    PANEL = 16,               /* elements of four bytes in a cache line */
    PARALLEL_BYTES = 1 << 18, /* from here on a fork and join costs less than it saves */
    CHUNK = 1 << 16           /* bytes of one piece of a plain copy */
};

/* y[j * ldy + i] = x[i * ldx + j], i < m, j < n. */
typedef struct transpose {
    int64_t m, n, ldx, ldy;
} transpose;

#define DEFINE_TRANSPOSE(name, T)                                                                  \
    static void name(T *y, const T *x, const transpose *t, int64_t i0, int64_t i1, int64_t j0,     \
                     int64_t j1)                                                                   \
    {                                                                                              \
        for (int64_t j = j0; j < j1; j++)                                                          \
            for (int64_t i = i0; i < i1; i++) y[j * t->ldy + i] = x[i * t->ldx + j];               \
    }
DEFINE_TRANSPOSE(transpose_1, uint8_t)
DEFINE_TRANSPOSE(transpose_4_any, uint32_t)
DEFINE_TRANSPOSE(transpose_8, uint64_t)

/* Four rows of four, in registers: the machine has shuffles, the language has not. */
#if defined(__clang__) || (defined(__GNUC__) && __GNUC__ >= 12)
typedef uint32_t quad __attribute__((vector_size(16)));

static inline void transpose_4x4(uint32_t *y, int64_t ldy, const uint32_t *x, int64_t ldx)
{
    quad r[4], low[2], high[2];
    for (int i = 0; i < 4; i++) memcpy(&r[i], x + i * ldx, sizeof r[i]);
    for (int i = 0; i < 2; i++) {
        low[i] = __builtin_shufflevector(r[2 * i], r[2 * i + 1], 0, 4, 1, 5);
        high[i] = __builtin_shufflevector(r[2 * i], r[2 * i + 1], 2, 6, 3, 7);
    }
    r[0] = __builtin_shufflevector(low[0], low[1], 0, 1, 4, 5);
    r[1] = __builtin_shufflevector(low[0], low[1], 2, 3, 6, 7);
    r[2] = __builtin_shufflevector(high[0], high[1], 0, 1, 4, 5);
    r[3] = __builtin_shufflevector(high[0], high[1], 2, 3, 6, 7);
    for (int j = 0; j < 4; j++) memcpy(y + j * ldy, &r[j], sizeof r[j]);
}
#else
static inline void transpose_4x4(uint32_t *y, int64_t ldy, const uint32_t *x, int64_t ldx)
{
    for (int j = 0; j < 4; j++)
        for (int i = 0; i < 4; i++) y[j * ldy + i] = x[i * ldx + j];
}
#endif

/* The block [i0, i1) x [j0, j1), four by four as far as that goes. */
static void transpose_4(uint32_t *y, const uint32_t *x, const transpose *t, int64_t i0, int64_t i1,
                        int64_t j0, int64_t j1)
{
    int64_t i4 = i0 + (i1 - i0) / 4 * 4, j4 = j0 + (j1 - j0) / 4 * 4;
    if (t->ldx >= t->ldy) {
        for (int64_t i = i0; i < i4; i += 4)
            for (int64_t j = j0; j < j4; j += 4)
                transpose_4x4(y + j * t->ldy + i, t->ldy, x + i * t->ldx + j, t->ldx);
    } else {
        for (int64_t j = j0; j < j4; j += 4)
            for (int64_t i = i0; i < i4; i += 4)
                transpose_4x4(y + j * t->ldy + i, t->ldy, x + i * t->ldx + j, t->ldx);
    }
    transpose_4_any(y, x, t, i4, i1, j0, j1);
    transpose_4_any(y, x, t, i0, i4, j4, j1);
}

/* Panel p of a matrix: columns of x if its rows are farther apart, else rows. */
static void transpose_panel(void *y, const void *x, const transpose *t, int64_t p, size_t size)
{
    bool columns = t->ldx >= t->ldy;
    int64_t extent = columns ? t->n : t->m, from = p * PANEL;
    int64_t to = from + PANEL < extent ? from + PANEL : extent;
    int64_t i0 = columns ? 0 : from, i1 = columns ? t->m : to;
    int64_t j0 = columns ? from : 0, j1 = columns ? to : t->n;
    if (size == 1) transpose_1(y, x, t, i0, i1, j0, j1);
    if (size == 4) transpose_4(y, x, t, i0, i1, j0, j1);
    if (size == 8) transpose_8(y, x, t, i0, i1, j0, j1);
}

static void change_layout(const deq_type *type, void *dst, const void *src, bool to_last,
                          int threads)
{
    const int64_t *d = type->shape.dim;
    int64_t C = d[1], S = d[2] * d[3];
    size_t size = deq_dtype_size(type->dtype);
    transpose t = to_last ? (transpose){ .m = C, .n = S, .ldx = S, .ldy = C }
                          : (transpose){ .m = S, .n = C, .ldx = C, .ldy = S };
    int64_t extent = t.ldx >= t.ldy ? t.n : t.m;
    int64_t panels = (extent + PANEL - 1) / PANEL;
    size_t step = (size_t)(C * S) * size;
    if (deq_type_bytes(type) < PARALLEL_BYTES) threads = 1;
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
    for (int64_t k = 0; k < d[0] * panels; k++) {
        size_t at = (size_t)(k / panels) * step;
        transpose_panel((char *)dst + at, (const char *)src + at, &t, k % panels, size);
    }
}

static void copy_bytes(void *dst, const void *src, size_t bytes, int threads)
{
    if (threads == 1 || bytes < PARALLEL_BYTES) {
        memcpy(dst, src, bytes);
        return;
    }
    int64_t chunks = (int64_t)((bytes + CHUNK - 1) / CHUNK);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t k = 0; k < chunks; k++) {
        size_t at = (size_t)k * CHUNK, n = bytes - at < CHUNK ? bytes - at : CHUNK;
        memcpy((char *)dst + at, (const char *)src + at, n);
    }
}

/* Do both layouts put the elements into the same places? */
static bool same_places(const deq_type *type, deq_layout a, deq_layout b)
{
    const deq_shape *s = &type->shape;
    return a == b || s->rank != 4 || s->dim[1] == 1 || s->dim[2] * s->dim[3] == 1;
}

void deq_cpu_copy(const deq_type *type, void *dst, deq_layout dst_layout, const void *src,
                  deq_layout src_layout, int threads)
{
    if (dst == src) return;
    if (same_places(type, dst_layout, src_layout))
        copy_bytes(dst, src, deq_type_bytes(type), threads);
    else
        change_layout(type, dst, src, dst_layout == DEQ_LAYOUT_CHANNELS_LAST, threads);
}

/* As a step ---------------------------------------------------------------------------------- */

typedef struct copy_step {
    deq_type type;
    int dst, src;
    deq_layout dst_layout, src_layout;
    int threads;
} copy_step;

static deq_status run_copy(void *self, void *const *slot, char *message)
{
    const copy_step *c = self;
    (void)message;
    deq_cpu_copy(&c->type, slot[c->dst], c->dst_layout, slot[c->src], c->src_layout, c->threads);
    return DEQ_OK;
}

deq_status deq_cpu_lower_copy(deq_lowering *l, const deq_type *type, int dst, deq_layout dst_layout,
                              int src, deq_layout src_layout, deq_stage stage)
{
    copy_step *c = deq_lower_alloc(l, sizeof *c);
    if (!c) return DEQ_ERR_NOMEM;
    *c = (copy_step){ *type, dst, src, dst_layout, src_layout, l->threads };
    deq_step step = { .run = run_copy,
                      .self = c,
                      .stage = stage,
                      .n_reads = 1,
                      .n_writes = 1,
                      .reads = &src,
                      .writes = &dst,
                      .kernel = dst_layout == src_layout ? "copy" : "reorder",
                      .bytes = 2 * (double)deq_type_bytes(type) };
    return deq_lower_step(l, &step);
}
