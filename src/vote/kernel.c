/* SPDX-License-Identifier: MIT */
/*
 * The kernels, compiled once per instruction set, in the vector types of GNU C.
 *
 * The transform takes two steps of radix 2 at once and goes into each quarter before the next, so that
 * all but the first steps of a long one find their numbers in the cache.  With h a quarter of the length
 * and w_h(k) = e^{-pi i k / h},
 *
 *   b_0 = a_0 + a_2,  b_1 = a_1 + a_3,  b_2 = (a_0 - a_2) w_2h(k),  b_3 = -i (a_1 - a_3) w_2h(k)
 *   c_0 = b_0 + b_1,  c_1 = (b_0 - b_1) w_h(k),  c_2 = b_2 + b_3,   c_3 = (b_2 - b_3) w_h(k)       (1)
 *
 * and the transpose of that on the way back.
 */
#include "vote/kernel.h"

#include <string.h>

#if defined(__GNUC__)
#pragma GCC diagnostic ignored "-Wpsabi" /* no vector leaves this file */
#endif

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

/* As wide as the registers: wider vectors go through memory. */
#if defined(__AVX512F__)
enum { LANES = 8 };
#elif defined(__AVX__)
enum { LANES = 4 };
#else
enum { LANES = 2 };
#endif
typedef double wide __attribute__((vector_size(LANES * sizeof(double))));

static inline wide load(const double *x)
{
    wide v;
    memcpy(&v, x, sizeof v);
    return v;
}

static inline void store(double *x, wide v)
{
    memcpy(x, &v, sizeof v);
}

/* Nodes ---------------------------------------------------------------------------------------- */

/* cos and sin of the angles of a vector of nodes; a step is DEQ_VOTE_LANES of them. */
typedef struct angles {
    wide c, s;
} angles;

static inline angles start(const deq_vote_steps *steps, int lane, double cosine, double sine)
{
    const wide c = load(steps->c + lane), s = load(steps->s + lane);
    return (angles){ cosine * c - sine * s, sine * c + cosine * s };
}

static inline angles step(angles a, const deq_vote_steps *steps)
{
    return (angles){ a.c * steps->step_c - a.s * steps->step_s,
                     a.s * steps->step_c + a.c * steps->step_s };
}

static void turn(double *re, double *im, const deq_vote_steps *steps, double bias, double cosine,
                 double sine)
{
    for (int lane = 0; lane < DEQ_VOTE_LANES; lane += LANES) {
        angles a = start(steps, lane, cosine, sine);
        for (int k = lane; k < DEQ_VOTE_NODES; k += DEQ_VOTE_LANES) {
            const wide x = load(re + k), y = load(im + k), b = bias * a.s;
            store(re + k, x * a.c - y * b);
            store(im + k, x * b + y * a.c);
            a = step(a, steps);
        }
    }
}

static double largest(const double *re, const double *im)
{
    double most = 0;
    wide best = load(re) * load(re) + load(im) * load(im);

    for (int k = LANES; k < DEQ_VOTE_NODES; k += LANES) {
        const wide x = load(re + k), y = load(im + k), square = x * x + y * y;
        for (int l = 0; l < LANES; l++) best[l] = square[l] > best[l] ? square[l] : best[l];
    }
    for (int l = 0; l < LANES; l++) most = best[l] > most ? best[l] : most;
    return most;
}

static void weaken(double *product, double *least, const deq_vote_steps *steps, double bias,
                   double cosine, double sine)
{
    for (int lane = 0; lane < DEQ_VOTE_LANES; lane += LANES) {
        angles a = start(steps, lane, cosine, sine);
        for (int k = lane; k < DEQ_VOTE_NODES; k += DEQ_VOTE_LANES) {
            const wide b = bias * a.s, square = a.c * a.c + b * b;
            for (int l = 0; l < LANES; l++) {
                const double x = square[l], y = least[k + l];
                product[k + l] *= x < y ? y : x;
                least[k + l] = x < y ? x : y;
            }
            a = step(a, steps);
        }
    }
}

/* Convolution ---------------------------------------------------------------------------------- */

static void convolve(double *restrict out, const double *restrict f, size_t length, size_t step_,
                     double q)
{
    const double r = 1 - q;
    const size_t first = step_ < length ? step_ : length;

    for (size_t k = 0; k < first; k++) out[k] = r * f[k];
    for (size_t k = length; k < step_; k++) out[k] = 0;
    for (size_t k = step_; k < length; k++) out[k] = r * f[k] + q * f[k - step_];
    for (size_t k = length - first; k < length; k++) out[k + step_] = q * f[k];
}

/* Transforms ----------------------------------------------------------------------------------- */

typedef struct complex_wide {
    wide re, im;
} complex_wide;

static inline complex_wide pick(const double *re, const double *im, size_t k)
{
    return (complex_wide){ load(re + k), load(im + k) };
}

static inline void put(double *re, double *im, size_t k, complex_wide z)
{
    store(re + k, z.re);
    store(im + k, z.im);
}

static inline complex_wide times(complex_wide a, complex_wide b)
{
    return (complex_wide){ a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re };
}

static inline complex_wide plus(complex_wide a, complex_wide b)
{
    return (complex_wide){ a.re + b.re, a.im + b.im };
}

static inline complex_wide minus(complex_wide a, complex_wide b)
{
    return (complex_wide){ a.re - b.re, a.im - b.im };
}

/* -i (a - b) */
static inline complex_wide minus_turned(complex_wide a, complex_wide b)
{
    return (complex_wide){ a.im - b.im, b.re - a.re };
}

/* (1) for a block of 4 h numbers, h a multiple of LANES. */
static void forward_quarters(double *re, double *im, const double *roots_re, const double *roots_im,
                             size_t h)
{
    for (size_t k = 0; k < h; k += LANES) {
        const complex_wide a0 = pick(re, im, k), a1 = pick(re, im, k + h),
                           a2 = pick(re, im, k + 2 * h), a3 = pick(re, im, k + 3 * h);
        const complex_wide w = pick(roots_re, roots_im, h + k),
                           w2 = pick(roots_re, roots_im, 2 * h + k);
        const complex_wide b0 = plus(a0, a2), b1 = plus(a1, a3), b2 = times(minus(a0, a2), w2),
                           b3 = times(minus_turned(a1, a3), w2);
        put(re, im, k, plus(b0, b1));
        put(re, im, k + h, times(minus(b0, b1), w));
        put(re, im, k + 2 * h, plus(b2, b3));
        put(re, im, k + 3 * h, times(minus(b2, b3), w));
    }
}

static void backward_quarters(double *re, double *im, const double *roots_re,
                              const double *roots_im, size_t h)
{
    for (size_t k = 0; k < h; k += LANES) {
        const complex_wide w = pick(roots_re, roots_im, h + k),
                           w2 = pick(roots_re, roots_im, 2 * h + k);
        const complex_wide c0 = pick(re, im, k), c1 = times(pick(re, im, k + h), w),
                           c2 = pick(re, im, k + 2 * h), c3 = times(pick(re, im, k + 3 * h), w);
        const complex_wide b0 = plus(c0, c1), b1 = minus(c0, c1), b2 = times(plus(c2, c3), w2),
                           b3 = times(minus_turned(c2, c3), w2);
        put(re, im, k, plus(b0, b2));
        put(re, im, k + h, plus(b1, b3));
        put(re, im, k + 2 * h, minus(b0, b2));
        put(re, im, k + 3 * h, minus(b1, b3));
    }
}

/* One step of radix 2 on blocks of 2 h numbers. */
static void forward_halves(double *re, double *im, const double *roots_re, const double *roots_im,
                           size_t h, size_t m)
{
    for (size_t at = 0; at < m; at += 2 * h)
        for (size_t k = at; k < at + h; k++) {
            const double w_re = roots_re[h + k - at], w_im = roots_im[h + k - at];
            const double x = re[k] - re[k + h], y = im[k] - im[k + h];
            re[k] += re[k + h];
            im[k] += im[k + h];
            re[k + h] = x * w_re - y * w_im;
            im[k + h] = x * w_im + y * w_re;
        }
}

static void backward_halves(double *re, double *im, const double *roots_re, const double *roots_im,
                            size_t h, size_t m)
{
    for (size_t at = 0; at < m; at += 2 * h)
        for (size_t k = at; k < at + h; k++) {
            const double w_re = roots_re[h + k - at], w_im = roots_im[h + k - at];
            const double x = re[k + h] * w_re - im[k + h] * w_im;
            const double y = re[k + h] * w_im + im[k + h] * w_re;
            re[k + h] = re[k] - x;
            im[k + h] = im[k] - y;
            re[k] += x;
            im[k] += y;
        }
}

static void forward(double *re, double *im, const double *roots_re, const double *roots_im,
                    size_t m)
{
    if (m < 4 * LANES) {
        for (size_t h = m / 2; h > 0; h /= 2) forward_halves(re, im, roots_re, roots_im, h, m);
        return;
    }
    forward_quarters(re, im, roots_re, roots_im, m / 4);
    for (size_t at = 0; at < m; at += m / 4) forward(re + at, im + at, roots_re, roots_im, m / 4);
}

static void backward(double *re, double *im, const double *roots_re, const double *roots_im,
                     size_t m)
{
    if (m < 4 * LANES) {
        for (size_t h = 1; h < m; h *= 2) backward_halves(re, im, roots_re, roots_im, h, m);
        return;
    }
    for (size_t at = 0; at < m; at += m / 4) backward(re + at, im + at, roots_re, roots_im, m / 4);
    backward_quarters(re, im, roots_re, roots_im, m / 4);
}

extern const deq_vote_kernels JOIN(deq_vote_kernels, DEQ_ISA_SUFFIX);
const deq_vote_kernels JOIN(deq_vote_kernels, DEQ_ISA_SUFFIX) = { turn,     largest, weaken,
                                                                  convolve, forward, backward };
