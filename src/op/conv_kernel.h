/* SPDX-License-Identifier: MIT */
/*
 * The three sums of conv.c (1) for one element type.  Included by conv.c once for each type, with
 * REAL and TYPED(name) defined; no include guard on purpose.
 *
 * Every function walks the terms of (1) that belong to its part of the output: pairs of channels,
 * then taps (r, s), then the output positions (p, q) for which the tap lies inside x.
 */

/* sums[i] += weight x[i stride]; n of them.  Neighbours are the usual case, which vectorises. */
static inline void TYPED(gather_row)(double *restrict sums, const REAL *restrict x, int64_t stride,
                                     double weight, int64_t n)
{
    if (stride == 1)
        for (int64_t i = 0; i < n; i++) sums[i] += weight * (double)x[i];
    else
        for (int64_t i = 0; i < n; i++) sums[i] += weight * (double)x[i * stride];
}

/* sums[i stride] += weight y[i] */
static inline void TYPED(scatter_row)(double *restrict sums, int64_t stride, const REAL *restrict y,
                                      double weight, int64_t n)
{
    if (stride == 1)
        for (int64_t i = 0; i < n; i++) sums[i] += weight * (double)y[i];
    else
        for (int64_t i = 0; i < n; i++) sums[i * stride] += weight * (double)y[i];
}

/* y[b, k, :, :] for item = b K + k. */
static void TYPED(conv2d)(void *out, const void *in_x, const void *in_w, const deq_conv_dims *d,
                          int64_t item, double *sums)
{
    int64_t cg = d->c / d->groups, kg = d->k / d->groups, plane = d->p * d->q;
    int64_t b = item / d->k, k = item % d->k, c0 = k / kg * cg;
    int64_t stride = d->width.stride;
    const REAL *w = (const REAL *)in_w + k * cg * d->r * d->s;
    memset(sums, 0, (size_t)plane * sizeof *sums);
    for (int64_t c = c0; c < c0 + cg; c++) {
        const REAL *x = (const REAL *)in_x + (b * d->c + c) * d->h * d->w;
        for (int64_t r = 0; r < d->r; r++)
            for (int64_t s = 0; s < d->s; s++) {
                double weight = (double)*w++;
                tap t = tap_of(d, r, s);
                for (int64_t p = t.p.from; p < t.p.to; p++) {
                    double *to = sums + p * d->q + t.q.from;
                    TYPED(gather_row)(to, x + row_of(d, &t, p), stride, weight, extent(t.q));
                }
            }
    }
    for (int64_t i = 0; i < plane; i++) ((REAL *)out)[item * plane + i] = (REAL)sums[i];
}

/* dx[b, c, :, :] for item = b C + c. */
static void TYPED(input_grad)(void *out, const void *in_dy, const void *in_w,
                              const deq_conv_dims *d, int64_t item, double *sums)
{
    int64_t cg = d->c / d->groups, kg = d->k / d->groups, plane = d->h * d->w;
    int64_t b = item / d->c, c = item % d->c, k0 = c / cg * kg;
    int64_t stride = d->width.stride;
    memset(sums, 0, (size_t)plane * sizeof *sums);
    for (int64_t k = k0; k < k0 + kg; k++) {
        const REAL *dy = (const REAL *)in_dy + (b * d->k + k) * d->p * d->q;
        const REAL *w = (const REAL *)in_w + (k * cg + c % cg) * d->r * d->s;
        for (int64_t r = 0; r < d->r; r++)
            for (int64_t s = 0; s < d->s; s++) {
                double weight = (double)*w++;
                tap t = tap_of(d, r, s);
                for (int64_t p = t.p.from; p < t.p.to; p++) {
                    const REAL *from = dy + p * d->q + t.q.from;
                    TYPED(scatter_row)(sums + row_of(d, &t, p), stride, from, weight, extent(t.q));
                }
            }
    }
    for (int64_t i = 0; i < plane; i++) ((REAL *)out)[item * plane + i] = (REAL)sums[i];
}

/* dw[k, c, :, :] for item = k C/g + c. */
static void TYPED(weight_grad)(void *out, const void *in_x, const void *in_dy,
                               const deq_conv_dims *d, int64_t item, double *sums)
{
    int64_t cg = d->c / d->groups, kg = d->k / d->groups, taps = d->r * d->s;
    int64_t k = item / cg, c = k / kg * cg + item % cg;
    memset(sums, 0, (size_t)taps * sizeof *sums);
    for (int64_t b = 0; b < d->batch; b++) {
        const REAL *x = (const REAL *)in_x + (b * d->c + c) * d->h * d->w;
        const REAL *dy = (const REAL *)in_dy + (b * d->k + k) * d->p * d->q;
        for (int64_t r = 0; r < d->r; r++)
            for (int64_t s = 0; s < d->s; s++) {
                tap t = tap_of(d, r, s);
                double sum = 0.0;
                for (int64_t p = t.p.from; p < t.p.to; p++) {
                    const REAL *from = x + row_of(d, &t, p), *u = dy + p * d->q;
                    for (int64_t q = t.q.from; q < t.q.to; q++)
                        sum += (double)from[(q - t.q.from) * d->width.stride] * (double)u[q];
                }
                sums[r * d->s + s] += sum;
            }
    }
    for (int64_t i = 0; i < taps; i++) ((REAL *)out)[item * taps + i] = (REAL)sums[i];
}

#undef REAL
#undef TYPED
