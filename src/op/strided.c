/* SPDX-License-Identifier: MIT */
/*
 * Strided copies.
 *
 * First the axes are simplified: extents of one go, neighbours that are one axis in both arrays
 * merge.  What is left of the innermost axis decides how a row moves:
 *
 *   steps (to, from)        a row is
 *   element, element        one memcpy
 *   element, 0              one element repeated
 *   any, any                element by element
 *
 * and when from runs through consecutive elements along another axis than to does (a transposition)
 * both are walked in square tiles, so that no cache line is fetched for one element alone.
 */
#include "op/strided.h"

#include <string.h>

enum { TILE = 32, PARALLEL_BYTES = 1 << 18 };

void deq_row_major_steps(int64_t *step, const deq_type *type)
{
    int64_t n = (int64_t)deq_dtype_size(type->dtype);
    for (int i = type->shape.rank; i-- > 0;) {
        step[i] = n;
        n *= type->shape.dim[i];
    }
}

deq_strided deq_strided_between(const deq_type *to, const deq_type *from, const deq_shape *dim)
{
    deq_strided s = { .rank = dim->rank, .size = deq_dtype_size(to->dtype) };
    for (int i = 0; i < dim->rank; i++) s.dim[i] = dim->dim[i];
    deq_row_major_steps(s.to_step, to);
    deq_row_major_steps(s.from_step, from);
    return s;
}

double deq_no_flops(const deq_kernel_call *c)
{
    (void)c;
    return 0;
}

static void simplify(deq_strided *s)
{
    int n = 0;
    for (int i = 0; i < s->rank; i++) {
        int64_t extent = s->dim[i];
        if (extent == 1) continue;
        bool merges = n > 0 && s->to_step[n - 1] == s->to_step[i] * extent &&
                      s->from_step[n - 1] == s->from_step[i] * extent;
        if (merges)
            s->dim[n - 1] *= extent;
        else
            s->dim[n++] = extent;
        s->to_step[n - 1] = s->to_step[i];
        s->from_step[n - 1] = s->from_step[i];
    }
    if (n == 0) { /* one element */
        s->dim[n] = 1;
        s->to_step[n] = s->from_step[n] = (int64_t)s->size;
        n = 1;
    }
    s->rank = n;
}

/* n elements of `size` bytes; inlined with a constant size, where memcpy is a load and a store. */
static inline void move_row(char *to, int64_t to_step, const char *from, int64_t from_step,
                            int64_t n, size_t size)
{
    for (int64_t i = 0; i < n; i++) memcpy(to + i * to_step, from + i * from_step, size);
}

static void copy_row(char *to, int64_t to_step, const char *from, int64_t from_step, int64_t n,
                     size_t size)
{
    int64_t dense = (int64_t)size;
    if (to_step == dense && from_step == dense)
        memcpy(to, from, (size_t)n * size);
    else if (size == 1)
        move_row(to, to_step, from, from_step, n, 1);
    else if (size == 4 && to_step == 4)
        move_row(to, 4, from, from_step, n, 4);
    else if (size == 4)
        move_row(to, to_step, from, from_step, n, 4);
    else if (to_step == 8)
        move_row(to, 8, from, from_step, n, 8);
    else
        move_row(to, to_step, from, from_step, n, 8);
}

/* A walk over all axes but the innermost, in row-major order. */
typedef struct walk {
    const deq_strided *s;
    int64_t index[DEQ_MAX_RANK], to, from; /* to, from: offsets of the row in bytes */
} walk;

static void walk_start(walk *w, const deq_strided *s, int64_t row)
{
    *w = (walk){ .s = s };
    for (int i = s->rank - 1; i-- > 0;) {
        w->index[i] = row % s->dim[i];
        row /= s->dim[i];
        w->to += w->index[i] * s->to_step[i];
        w->from += w->index[i] * s->from_step[i];
    }
}

static void walk_next(walk *w)
{
    const deq_strided *s = w->s;
    for (int i = s->rank - 1; i-- > 0;) {
        w->to += s->to_step[i];
        w->from += s->from_step[i];
        if (++w->index[i] < s->dim[i]) return;
        w->index[i] = 0;
        w->to -= s->dim[i] * s->to_step[i];
        w->from -= s->dim[i] * s->from_step[i];
    }
}

/* Each of `parts` threads takes consecutive rows. */
static void copy_rows(char *to, const char *from, const deq_strided *s, int64_t rows, int threads)
{
    int last = s->rank - 1;
    int parts = rows < threads ? (int)rows : threads;
    bool large = rows * s->dim[last] * (int64_t)s->size > PARALLEL_BYTES;
#pragma omp parallel for num_threads(parts) if (large)
    for (int p = 0; p < parts; p++) {
        int64_t begin = rows * p / parts, end = rows * (p + 1) / parts;
        walk w;
        walk_start(&w, s, begin);
        for (int64_t row = begin; row < end; row++, walk_next(&w))
            copy_row(to + w.to, s->to_step[last], from + w.from, s->from_step[last], s->dim[last],
                     s->size);
    }
}

static int64_t count_rows(const deq_strided *s)
{
    int64_t rows = 1;
    for (int i = 0; i < s->rank - 1; i++) rows *= s->dim[i];
    return rows;
}

/* The axis along which `from` is dense while `to` is dense along the innermost one; -1 if none. */
static int crossing_axis(const deq_strided *s)
{
    int last = s->rank - 1;
    int64_t dense = (int64_t)s->size;
    if (s->to_step[last] != dense || s->from_step[last] == dense || s->from_step[last] == 0)
        return -1;
    for (int i = 0; i < last; i++)
        if (s->from_step[i] == dense) return i;
    return -1;
}

/* to[k][i] = from[i][k] for i < n, k < m, in tiles; to_k and from_i are steps. */
static void copy_tiles(char *to, int64_t to_k, const char *from, int64_t from_i, int64_t n,
                       int64_t m, size_t size)
{
    int64_t dense = (int64_t)size;
    for (int64_t i = 0; i < n; i += TILE) {
        int64_t width = n - i < TILE ? n - i : TILE;
        for (int64_t k = 0; k < m; k++)
            copy_row(to + k * to_k + i * dense, dense, from + k * dense + i * from_i, from_i, width,
                     size);
    }
}

static void copy_crossed(char *to, const char *from, const deq_strided *s, int k, int threads)
{
    int last = s->rank - 1;
    int64_t n = s->dim[last], m = s->dim[k], tiles = (m + TILE - 1) / TILE;
    int64_t to_k = s->to_step[k], from_i = s->from_step[last];
    deq_strided outer = *s; /* the axes other than i and k, and the tiles of k */
    outer.dim[k] = tiles;
    outer.to_step[k] *= TILE;
    outer.from_step[k] *= TILE;
    int64_t rows = count_rows(&outer);
    bool large = rows * TILE * n * (int64_t)s->size > PARALLEL_BYTES;
#pragma omp parallel for num_threads(threads) if (large)
    for (int64_t row = 0; row < rows; row++) {
        walk w;
        walk_start(&w, &outer, row);
        int64_t rest = m - w.index[k] * TILE, height = rest < TILE ? rest : TILE;
        copy_tiles(to + w.to, to_k, from + w.from, from_i, n, height, s->size);
    }
}

void deq_strided_copy(void *to, const void *from, const deq_strided *copy, int threads)
{
    deq_strided s = *copy;
    simplify(&s);
    int k = crossing_axis(&s);
    if (k >= 0)
        copy_crossed(to, from, &s, k, threads);
    else
        copy_rows(to, from, &s, count_rows(&s), threads);
}
