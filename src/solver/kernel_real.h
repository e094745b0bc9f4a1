/* SPDX-License-Identifier: MIT */
/* The kernels of kernel.h for one real type: T, with NAME(f) naming functions.  Included twice. */

static inline wide NAME(load)(const T *p)
{
    NAME(narrow) v;
    memcpy(&v, p, sizeof v);
    return __builtin_convertvector(v, wide);
}

static inline void NAME(store)(T *p, wide v)
{
    NAME(narrow) r = __builtin_convertvector(v, NAME(narrow));
    memcpy(p, &r, sizeof r);
}

static void NAME(residual)(void *g, const void *f, const void *z, int64_t n, double *sums)
{
    T *gv = g;
    const T *fv = f, *zv = z;
    wide gg[2] = { { 0 }, { 0 } }, ff[2] = { { 0 }, { 0 } };
    double gg_end = 0, ff_end = 0;
    int64_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES)
        for (int l = 0; l < 2; l++) {
            wide a = NAME(load)(fv + i + l * LANES), d = a - NAME(load)(zv + i + l * LANES);
            if (gv) NAME(store)(gv + i + l * LANES, d);
            gg[l] += d * d;
            ff[l] += a * a;
        }
    for (; i < n; i++) {
        double a = (double)fv[i], d = a - (double)zv[i];
        if (gv) gv[i] = (T)d;
        gg_end += d * d;
        ff_end += a * a;
    }
    sums[0] = add_lanes(gg[0] + gg[1]) + gg_end;
    sums[1] = add_lanes(ff[0] + ff[1]) + ff_end;
}

/* Four products at once: w is loaded once for four vectors. */
static inline void NAME(dots_four)(double *sums, const void *const *x, const void *const *y,
                                   const T *w, int64_t n)
{
    const T *a[4], *b[4] = { NULL, NULL, NULL, NULL };
    wide acc[4] = { { 0 }, { 0 }, { 0 }, { 0 } };
    double end[4] = { 0, 0, 0, 0 };
    for (int j = 0; j < 4; j++) {
        a[j] = x[j];
        if (y) b[j] = y[j];
    }
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        wide v = NAME(load)(w + i);
        for (int j = 0; j < 4; j++) {
            wide u = NAME(load)(a[j] + i);
            if (y) u -= NAME(load)(b[j] + i);
            acc[j] += u * v;
        }
    }
    for (; i < n; i++)
        for (int j = 0; j < 4; j++) {
            double u = (double)a[j][i] - (y ? (double)b[j][i] : 0.0);
            end[j] += u * (double)w[i];
        }
    for (int j = 0; j < 4; j++) sums[j] = add_lanes(acc[j]) + end[j];
}

static inline double NAME(dot)(const T *a, const T *b, const T *w, int64_t n)
{
    wide acc[2] = { { 0 }, { 0 } };
    double end = 0;
    int64_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES)
        for (int l = 0; l < 2; l++) {
            wide u = NAME(load)(a + i + l * LANES);
            if (b) u -= NAME(load)(b + i + l * LANES);
            acc[l] += u * NAME(load)(w + i + l * LANES);
        }
    for (; i < n; i++) {
        double u = (double)a[i] - (b ? (double)b[i] : 0.0);
        end += u * (double)w[i];
    }
    return add_lanes(acc[0] + acc[1]) + end;
}

static void NAME(dots)(double *sums, const void *const *x, const void *const *y, int m,
                       const void *w, int64_t n)
{
    int i = 0;
    for (; i + 4 <= m; i += 4) {
        if (y)
            NAME(dots_four)(sums + i, x + i, y + i, w, n);
        else
            NAME(dots_four)(sums + i, x + i, NULL, w, n);
    }
    for (; i < m; i++) sums[i] = NAME(dot)(x[i], y ? y[i] : NULL, w, n);
}

/* Four vectors against two. */
static inline __attribute__((always_inline)) void NAME(dots_two_block)(
    double *first, double *second, const void *const *x, int k, const T *v, const T *w, int64_t n)
{
    const T *a[4] = { NULL, NULL, NULL, NULL };
    wide vs[4] = { { 0 }, { 0 }, { 0 }, { 0 } }, ws[4] = { { 0 }, { 0 }, { 0 }, { 0 } };
    double v_end[4] = { 0, 0, 0, 0 }, w_end[4] = { 0, 0, 0, 0 };
    int64_t i = 0;
    for (int l = 0; l < k; l++) a[l] = x[l];
    for (; i + LANES <= n; i += LANES) {
        wide p = NAME(load)(v + i), q = NAME(load)(w + i);
        for (int l = 0; l < k; l++) {
            wide u = NAME(load)(a[l] + i);
            vs[l] += u * p;
            ws[l] += u * q;
        }
    }
    for (; i < n; i++)
        for (int l = 0; l < k; l++) {
            v_end[l] += (double)a[l][i] * (double)v[i];
            w_end[l] += (double)a[l][i] * (double)w[i];
        }
    for (int l = 0; l < k; l++) {
        first[l] = add_lanes(vs[l]) + v_end[l];
        second[l] = add_lanes(ws[l]) + w_end[l];
    }
}

static void NAME(dots_two)(double *first, double *second, const void *const *x, int m,
                           const void *v, const void *w, int64_t n)
{
    int i = 0;
    for (; i + 4 <= m; i += 4) NAME(dots_two_block)(first + i, second + i, x + i, 4, v, w, n);
    if (m - i == 3) NAME(dots_two_block)(first + i, second + i, x + i, 3, v, w, n);
    if (m - i == 2) NAME(dots_two_block)(first + i, second + i, x + i, 2, v, w, n);
    if (m - i == 1) NAME(dots_two_block)(first + i, second + i, x + i, 1, v, w, n);
}

/* Differences j .. j + k - 1 of the neighbours; j > 0 or not, and k, are constants of each call. */
static inline __attribute__((always_inline)) void NAME(neighbours_block)(double *sums,
                                                                         const void *const *x,
                                                                         int m, int j, int k,
                                                                         int64_t n)
{
    const T *a[5], *x0 = x[0], *x1 = x[1];
    wide first[4] = { { 0 }, { 0 }, { 0 }, { 0 } }, second[4] = { { 0 }, { 0 }, { 0 }, { 0 } };
    double first_end[4] = { 0, 0, 0, 0 }, second_end[4] = { 0, 0, 0, 0 };
    int64_t i = 0;
    for (int l = 0; l <= k; l++) a[l] = x[j + l];
    for (; i + LANES <= n; i += LANES) {
        wide v0 = NAME(load)(x0 + i), older = NAME(load)(x1 + i), d0 = v0 - older, newer = v0;
        if (j > 0) newer = NAME(load)(a[0] + i);
        for (int l = 0; l < k; l++) {
            if (j > 0 || l > 0) older = NAME(load)(a[l + 1] + i);
            wide d = newer - older;
            first[l] += d * v0;
            second[l] += d * d0;
            newer = older;
        }
    }
    for (; i < n; i++) {
        double v0 = (double)x0[i], d0 = v0 - (double)x1[i];
        for (int l = 0; l < k; l++) {
            double d = (double)a[l][i] - (double)a[l + 1][i];
            first_end[l] += d * v0;
            second_end[l] += d * d0;
        }
    }
    for (int l = 0; l < k; l++) {
        sums[j + l] = add_lanes(first[l]) + first_end[l];
        sums[m + j + l] = add_lanes(second[l]) + second_end[l];
    }
}

/* The last few differences. */
static inline __attribute__((always_inline)) void NAME(neighbours_rest)(double *sums,
                                                                        const void *const *x, int m,
                                                                        int j, int64_t n)
{
    if (m - j == 3) NAME(neighbours_block)(sums, x, m, j, 3, n);
    if (m - j == 2) NAME(neighbours_block)(sums, x, m, j, 2, n);
    if (m - j == 1) NAME(neighbours_block)(sums, x, m, j, 1, n);
}

static void NAME(neighbours)(double *sums, const void *const *x, int m, int64_t n)
{
    if (m < 4) {
        NAME(neighbours_rest)(sums, x, m, 0, n);
        return;
    }
    NAME(neighbours_block)(sums, x, m, 0, 4, n);
    int j = 4;
    for (; j + 4 <= m; j += 4) NAME(neighbours_block)(sums, x, m, j, 4, n);
    NAME(neighbours_rest)(sums, x, m, j, n);
}

static inline NAME(full) NAME(load_full)(const T *p)
{
    NAME(full) v;
    memcpy(&v, p, sizeof v);
    return v;
}

static double NAME(advance)(void *out, const void *p, const double *c, const void *const *x, int m,
                            const void *z, int64_t n)
{
    enum { WIDTH = 64 / sizeof(T) };
    const T *pv = p, *zv = z;
    T *o = out, factor[DEQ_NEIGHBOURS_MAX];
    NAME(full) acc[2] = { { 0 }, { 0 } };
    double moved = 0;
    int64_t i = 0;
    for (int j = 0; j < m; j++) factor[j] = (T)c[j];
    for (; i + 2 * WIDTH <= n; i += 2 * WIDTH) {
        NAME(full) v[2] = { { 0 }, { 0 } }, newer[2] = { { 0 }, { 0 } };
        for (int l = 0; l < 2 && m; l++)
            newer[l] = NAME(load_full)((const T *)x[0] + i + l * WIDTH);
        for (int j = 0; j < m; j++) {
            const T *next = (const T *)x[j + 1] + i;
            for (int l = 0; l < 2; l++) {
                NAME(full) older = NAME(load_full)(next + l * WIDTH);
                v[l] += factor[j] * (newer[l] - older);
                newer[l] = older;
            }
        }
        for (int l = 0; l < 2; l++) {
            v[l] += NAME(load_full)(pv + i + l * WIDTH);
            memcpy(o + i + l * WIDTH, &v[l], sizeof v[l]);
            v[l] -= NAME(load_full)(zv + i + l * WIDTH);
            acc[l] += v[l] * v[l];
        }
    }
    for (; i < n; i++) {
        T v = 0;
        for (int j = 0; j < m; j++)
            v += factor[j] * (((const T *)x[j])[i] - ((const T *)x[j + 1])[i]);
        v += pv[i];
        o[i] = v;
        moved += ((double)v - (double)zv[i]) * ((double)v - (double)zv[i]);
    }
    for (int l = 0; l < WIDTH; l++) moved += (double)acc[0][l] + (double)acc[1][l];
    return moved;
}

static void NAME(combine)(void *out, double a, const void *p, double b, const void *q,
                          const double *c, const void *const *x, const void *const *y, int m,
                          int64_t n)
{
    enum { WIDTH = 64 / sizeof(T), PIECES = 2 };
    T *o = out, fa = (T)a, fb = (T)b, factor[DEQ_TERMS_MAX];
    const T *pv = p, *qv = q;
    int64_t i = 0;
    for (int j = 0; j < m; j++) factor[j] = (T)c[j];
    for (; i + PIECES * WIDTH <= n; i += PIECES * WIDTH) {
        NAME(full) v[PIECES] = { { 0 }, { 0 } };
        for (int j = 0; j < m; j++) {
            const T *xj = (const T *)x[j] + i, *yj = y ? (const T *)y[j] + i : NULL;
            for (int l = 0; l < PIECES; l++) {
                NAME(full) u = NAME(load_full)(xj + l * WIDTH);
                if (yj) u -= NAME(load_full)(yj + l * WIDTH);
                v[l] += factor[j] * u;
            }
        }
        for (int l = 0; l < PIECES; l++) {
            if (pv) v[l] += fa * NAME(load_full)(pv + i + l * WIDTH);
            if (qv) v[l] += fb * NAME(load_full)(qv + i + l * WIDTH);
            memcpy(o + i + l * WIDTH, &v[l], sizeof v[l]);
        }
    }
    for (; i < n; i++) {
        T v = 0;
        for (int j = 0; j < m; j++)
            v += factor[j] * (((const T *)x[j])[i] - (y ? ((const T *)y[j])[i] : (T)0));
        if (pv) v += fa * pv[i];
        if (qv) v += fb * qv[i];
        o[i] = v;
    }
}

static double NAME(distance)(const void *x, const void *y, int64_t n)
{
    const T *a = x, *b = y;
    wide acc[2] = { { 0 }, { 0 } };
    double end = 0;
    int64_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES)
        for (int l = 0; l < 2; l++) {
            wide u = NAME(load)(a + i + l * LANES) - NAME(load)(b + i + l * LANES);
            acc[l] += u * u;
        }
    for (; i < n; i++) {
        double u = (double)a[i] - (double)b[i];
        end += u * u;
    }
    return add_lanes(acc[0] + acc[1]) + end;
}
