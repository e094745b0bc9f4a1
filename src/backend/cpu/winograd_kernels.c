/* SPDX-License-Identifier: MIT */
/*
 * The loops of Winograd's convolution.  Transforms take one vector of channels through a tile; where
 * the channels are no multiple of a vector the last one overlaps the one before, which computes some
 * channels twice, to the same bits.
 */
#include "backend/cpu/winograd_kernels.h"

#include <string.h>

#if defined(__AVX512F__)
#define LANES 16
#define VECTORS 4 /* of a panel: with six rows, 24 sums stay in registers */
#elif defined(__AVX2__)
#define LANES 8
#define VECTORS 2
#else
#define LANES 4
#define VECTORS 2
#endif

enum { IN = DEQ_WINOGRAD_IN, OUT = DEQ_WINOGRAD_OUT, PLANES = DEQ_WINOGRAD_PLANES, ROWS = 6 };

typedef float vec __attribute__((vector_size(LANES * sizeof(float))));

#define INLINE static inline __attribute__((always_inline))

INLINE vec load(const float *p)
{
    vec v;
    memcpy(&v, p, sizeof v);
    return v;
}

INLINE void store(float *p, vec v)
{
    memcpy(p, &v, sizeof v);
}

#define A ((float)DEQ_WINOGRAD_A)
#define B ((float)DEQ_WINOGRAD_B)
#define A2 ((float)(DEQ_WINOGRAD_A * DEQ_WINOGRAD_A))
#define B2 ((float)(DEQ_WINOGRAD_B * DEQ_WINOGRAD_B))

/* v = B' d; every second number of either is `step` away. */
INLINE void transform_in(const vec *d, vec *v, int step)
{
    vec d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step],
        d5 = d[5 * step];
    vec even_a = d4 - B2 * d2, odd_a = A * (d3 - B2 * d1);
    vec even_b = d4 - A2 * d2, odd_b = B * (d3 - A2 * d1);
    v[0] = (A2 * B2) * d0 - (A2 + B2) * d2 + d4;
    v[step] = even_a + odd_a;
    v[2 * step] = even_a - odd_a;
    v[3 * step] = even_b + odd_b;
    v[4 * step] = even_b - odd_b;
    v[5 * step] = (A2 * B2) * d1 - (A2 + B2) * d3 + d5;
}

/* y = A' m */
INLINE void transform_out(const vec *m, int m_step, vec *y, int y_step)
{
    vec sum_a = m[m_step] + m[2 * m_step], difference_a = m[m_step] - m[2 * m_step];
    vec sum_b = m[3 * m_step] + m[4 * m_step], difference_b = m[3 * m_step] - m[4 * m_step];
    y[0] = m[0] + sum_a + sum_b;
    y[y_step] = A * difference_a + B * difference_b;
    y[2 * y_step] = A2 * sum_a + B2 * sum_b;
    y[3 * y_step] = (A2 * A) * difference_a + (B2 * B) * difference_b + m[5 * m_step];
}

static void input(const float *x, const int64_t *at, int64_t channels, float *v, int64_t plane)
{
    static const float zeros[LANES];
    for (int64_t c = 0; c < channels; c += LANES) {
        vec d[PLANES];
        int64_t from = c + LANES <= channels ? c : channels - LANES;
        for (int i = 0; i < PLANES; i++) d[i] = load(at[i] < 0 ? zeros : x + at[i] + from);
        for (int j = 0; j < IN; j++) transform_in(d + j, d + j, IN);
        for (int i = 0; i < IN; i++) transform_in(d + i * IN, d + i * IN, 1);
        for (int i = 0; i < PLANES; i++) store(v + i * plane + from, d[i]);
    }
}

static void output(const float *m, int64_t plane, int64_t channels, const float *bias, float *y,
                   const int64_t *at)
{
    for (int64_t c = 0; c < channels; c += LANES) {
        vec d[PLANES], half[OUT * IN], out[OUT * OUT], shift = { 0 };
        int64_t from = c + LANES <= channels ? c : channels - LANES;
        if (bias) shift = load(bias + from);
        for (int i = 0; i < PLANES; i++) d[i] = load(m + i * plane + from);
        for (int j = 0; j < IN; j++) transform_out(d + j, IN, half + j, IN);
        for (int i = 0; i < OUT; i++) transform_out(half + i * IN, 1, out + i * OUT, 1);
        for (int i = 0; i < OUT * OUT; i++)
            if (at[i] >= 0) store(y + at[i] + from, out[i] + shift);
    }
}

/* `rows` rows and `vectors` columns of vectors, both known when this is compiled. */
INLINE void multiply_block(const float *v, const float *u, int rows, int vectors, int64_t depth,
                           int64_t width, float *m)
{
    vec sum[ROWS][VECTORS] = { { { 0 } } };
    for (int64_t c = 0; c < depth; c++) {
        vec w[VECTORS];
        for (int k = 0; k < vectors; k++) w[k] = load(u + (c * vectors + k) * LANES);
        for (int i = 0; i < rows; i++)
            for (int k = 0; k < vectors; k++) sum[i][k] += v[i * depth + c] * w[k];
    }
    for (int i = 0; i < rows; i++)
        for (int k = 0; k < vectors; k++) store(m + i * width + k * LANES, sum[i][k]);
}

#define MULTIPLY_ROWS(count, vectors)                                                              \
    case count: multiply_block(v, u, count, vectors, depth, width, m); break

/* All rows of a panel. */
#define DEFINE_PANEL(vectors)                                                                      \
    static void multiply_panel_##vectors(const float *v, const float *u, int64_t rows,             \
                                         int64_t depth, int64_t width, float *m)                   \
    {                                                                                              \
        for (; rows >= ROWS; rows -= ROWS, v += ROWS * depth, m += ROWS * width)                   \
            multiply_block(v, u, ROWS, vectors, depth, width, m);                                  \
        switch (rows) {                                                                            \
            MULTIPLY_ROWS(1, vectors);                                                             \
            MULTIPLY_ROWS(2, vectors);                                                             \
            MULTIPLY_ROWS(3, vectors);                                                             \
            MULTIPLY_ROWS(4, vectors);                                                             \
            MULTIPLY_ROWS(5, vectors);                                                             \
        }                                                                                          \
    }
DEFINE_PANEL(2)
#if VECTORS == 4
DEFINE_PANEL(1)
DEFINE_PANEL(3)
DEFINE_PANEL(4)
#endif

static void multiply(const float *v, const float *u, int64_t rows, int64_t depth, int64_t width,
                     float *m)
{
    for (int64_t k = 0; k < width; k += VECTORS * LANES) {
        int64_t left = (width - k) / LANES;
        const float *panel = u + k * depth;
        switch (left < VECTORS ? left : VECTORS) {
        case 2: multiply_panel_2(v, panel, rows, depth, width, m + k); break;
#if VECTORS == 4
        case 1: multiply_panel_1(v, panel, rows, depth, width, m + k); break;
        case 3: multiply_panel_3(v, panel, rows, depth, width, m + k); break;
        default: multiply_panel_4(v, panel, rows, depth, width, m + k); break;
#endif
        }
    }
}

const deq_winograd_kernels DEQ_ISA_NAME(deq_winograd_kernels) = {
    .panel = VECTORS * LANES, .input = input, .multiply = multiply, .output = output
};
