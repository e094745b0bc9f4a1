/* SPDX-License-Identifier: MIT */
/*
 * The sweeps of vector.c over elements [from, to) of vectors of REAL.  No include guard: vector.c
 * includes this once with REAL float and once with REAL double, NAME(x) naming the functions.
 *
 * LANES sums side by side are what lets a compiler use vector registers without reordering sums.
 */

static double NAME(add_lanes)(const double *lane)
{
    double sum = 0;
    for (int l = 0; l < LANES; l++) sum += lane[l];
    return sum;
}

static double NAME(dot)(const REAL *restrict x, const REAL *restrict y, int64_t from, int64_t to)
{
    double lane[LANES] = { 0 };
    int64_t i = from;
    for (; i + LANES <= to; i += LANES)
        for (int l = 0; l < LANES; l++) lane[l] += (double)x[i + l] * (double)y[i + l];
    for (int l = 0; i < to; i++, l++) lane[l] += (double)x[i] * (double)y[i];
    return NAME(add_lanes)(lane);
}

/* w = a x + b y; returns w . w */
static double NAME(sum)(REAL *w, double a, const REAL *x, double b, const REAL *y, int64_t from,
                        int64_t to)
{
    double lane[LANES] = { 0 };
    int64_t i = from;
    for (; i + LANES <= to; i += LANES) {
        REAL t[LANES];
        for (int l = 0; l < LANES; l++) t[l] = (REAL)(a * (double)x[i + l] + b * (double)y[i + l]);
        for (int l = 0; l < LANES; l++) lane[l] += (double)t[l] * (double)t[l];
        for (int l = 0; l < LANES; l++) w[i + l] = t[l];
    }
    for (int l = 0; i < to; i++, l++) {
        w[i] = (REAL)(a * (double)x[i] + b * (double)y[i]);
        lane[l] += (double)w[i] * (double)w[i];
    }
    return NAME(add_lanes)(lane);
}

/* w = a x; returns w . w */
static double NAME(scale)(REAL *w, double a, const REAL *x, int64_t from, int64_t to)
{
    double lane[LANES] = { 0 };
    int64_t i = from;
    for (; i + LANES <= to; i += LANES) {
        REAL t[LANES];
        for (int l = 0; l < LANES; l++) t[l] = (REAL)(a * (double)x[i + l]);
        for (int l = 0; l < LANES; l++) lane[l] += (double)t[l] * (double)t[l];
        for (int l = 0; l < LANES; l++) w[i + l] = t[l];
    }
    for (int l = 0; i < to; i++, l++) {
        w[i] = (REAL)(a * (double)x[i]);
        lane[l] += (double)w[i] * (double)w[i];
    }
    return NAME(add_lanes)(lane);
}

/* y = y + a x; returns y . z, where z may be y */
static double NAME(add_dot)(REAL *y, double a, const REAL *x, const REAL *z, int64_t from,
                            int64_t to)
{
    double lane[LANES] = { 0 };
    int64_t i = from;
    for (; i + LANES <= to; i += LANES) {
        REAL t[LANES];
        for (int l = 0; l < LANES; l++) t[l] = (REAL)((double)y[i + l] + a * (double)x[i + l]);
        for (int l = 0; l < LANES; l++) y[i + l] = t[l];
        for (int l = 0; l < LANES; l++) lane[l] += (double)t[l] * (double)z[i + l];
    }
    for (int l = 0; i < to; i++, l++) {
        y[i] = (REAL)((double)y[i] + a * (double)x[i]);
        lane[l] += (double)y[i] * (double)z[i];
    }
    return NAME(add_lanes)(lane);
}

/* y = y + sum_i c[i] X_i, in panels that stay in the first cache, summed in double */
static void NAME(add_many)(REAL *restrict y, const double *c, const REAL *restrict x, int k,
                           int64_t stride, int64_t from, int64_t to)
{
    enum { PANEL = 512 };
    double sum[PANEL];
    for (int64_t at = from; at < to; at += PANEL) {
        int m = (int)(to - at < PANEL ? to - at : PANEL);
        for (int j = 0; j < m; j++) sum[j] = (double)y[at + j];
        for (int i = 0; i < k; i++) {
            const REAL *restrict row = x + i * stride + at;
            for (int j = 0; j < m; j++) sum[j] += c[i] * (double)row[j];
        }
        for (int j = 0; j < m; j++) y[at + j] = (REAL)sum[j];
    }
}
