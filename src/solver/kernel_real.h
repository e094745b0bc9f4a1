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

/* One piece of eight, and a single element, of the linear combination. */
#define COMBINE_PIECES 4

static void NAME(combine)(void *out, double a, const void *p, double b, const void *q,
                          const double *c, const void *const *x, const void *const *y, int m,
                          int64_t n)
{
    T *o = out;
    const T *pv = p, *qv = q;
    int64_t i = 0;
    for (; i + COMBINE_PIECES * LANES <= n; i += COMBINE_PIECES * LANES) {
        wide v[COMBINE_PIECES] = { { 0 }, { 0 }, { 0 }, { 0 } };
        for (int l = 0; l < COMBINE_PIECES; l++) {
            if (pv) v[l] = a * NAME(load)(pv + i + l * LANES);
            if (qv) v[l] += b * NAME(load)(qv + i + l * LANES);
        }
        for (int j = 0; j < m; j++) {
            const T *xj = (const T *)x[j] + i, *yj = y ? (const T *)y[j] + i : NULL;
            for (int l = 0; l < COMBINE_PIECES; l++) {
                wide u = NAME(load)(xj + l * LANES);
                if (yj) u -= NAME(load)(yj + l * LANES);
                v[l] += c[j] * u;
            }
        }
        for (int l = 0; l < COMBINE_PIECES; l++) NAME(store)(o + i + l * LANES, v[l]);
    }
    for (; i < n; i++) {
        double v = 0;
        if (pv) v = a * (double)pv[i];
        if (qv) v += b * (double)qv[i];
        for (int j = 0; j < m; j++)
            v += c[j] * ((double)((const T *)x[j])[i] - (y ? (double)((const T *)y[j])[i] : 0.0));
        o[i] = (T)v;
    }
}

#undef COMBINE_PIECES

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
