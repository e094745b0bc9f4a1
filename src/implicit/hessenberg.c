/* SPDX-License-Identifier: MIT */
/*
 * The QR iteration with Francis' double shift (Francis 1961; Golub & Van Loan, Matrix Computations,
 * 4th ed., section 7.5), eigenvalues only.
 *
 * With the eigenvalues s1, s2 of the trailing 2 x 2 block as shifts, real or a conjugate pair,
 *
 *   m = (H - s1 I)(H - s2 I) e_1 = (x, y, z, 0, ...)                                        (1)
 *   H <- P' H P for the reflector P that takes m to a multiple of e_1, then reflectors of
 *        three that chase the bulge down and off the matrix                                 (2)
 *
 * leaves H Hessenberg, in real arithmetic.  A subdiagonal element that is negligible beside its
 * neighbours splits the problem; blocks of one and two are solved directly.
 */
#include "implicit/hessenberg.h"

#include <float.h>
#include <math.h>

#define SWEEPS_MAX 60

typedef struct matrix {
    double *h;
    int stride;
} matrix;

static double *at(const matrix *m, int i, int j)
{
    return m->h + (long)i * m->stride + j;
}

/* The first row of the irreducible block that ends before row p. */
static int block_start(const matrix *m, int p)
{
    int q = p - 1;
    for (; q > 0; q--) {
        double beside = fabs(*at(m, q - 1, q - 1)) + fabs(*at(m, q, q));
        if (beside == 0) beside = DBL_MIN;
        if (fabs(*at(m, q, q - 1)) > DBL_EPSILON * beside) continue;
        *at(m, q, q - 1) = 0;
        break;
    }
    return q;
}

/* Eigenvalues of [a b; c d]. */
static void solve_two(double a, double b, double c, double d, double *re, double *im)
{
    double half = (a - d) / 2, disc = half * half + b * c;
    if (disc >= 0) {
        double root = half + copysign(sqrt(disc), half); /* no cancellation */
        re[0] = d + root;
        re[1] = root != 0 ? d - b * c / root : d;
        im[0] = im[1] = 0;
    } else {
        re[0] = re[1] = d + half;
        im[0] = sqrt(-disc);
        im[1] = -im[0];
    }
}

/* I - beta v v' takes x (n elements, 2 or 3) to a multiple of e_1; beta is 0 when it is there. */
static double reflector(double *v, const double *x, int n)
{
    double scale = 0, sum = 0;
    for (int i = 0; i < n; i++) scale = fmax(scale, fabs(x[i]));
    if (scale == 0) return 0;
    for (int i = 0; i < n; i++) v[i] = x[i] / scale;
    for (int i = 0; i < n; i++) sum += v[i] * v[i];
    v[0] += copysign(sqrt(sum), v[0]);
    sum = 0;
    for (int i = 0; i < n; i++) sum += v[i] * v[i];
    return 2 / sum;
}

/* Rows, then columns k .. k + n - 1 of the block [q, p). */
static void reflect(const matrix *m, const double *v, double beta, int n, int k, int q, int p)
{
    int left = k > q ? k - 1 : q, below = k + n < p ? k + n + 1 : p;
    for (int j = left; j < p; j++) {
        double dot = 0;
        for (int i = 0; i < n; i++) dot += v[i] * *at(m, k + i, j);
        for (int i = 0; i < n; i++) *at(m, k + i, j) -= beta * dot * v[i];
    }
    for (int i = q; i < below; i++) {
        double dot = 0;
        for (int j = 0; j < n; j++) dot += v[j] * *at(m, i, k + j);
        for (int j = 0; j < n; j++) *at(m, i, k + j) -= beta * dot * v[j];
    }
}

/* One double step on the block [q, p) of at least three rows, with shifts of sum s, product t. */
static void francis_step(const matrix *m, int q, int p, double s, double t)
{
    double v[3] = { 0, 0, 0 }, x[3];
    double a = *at(m, q, q), b = *at(m, q + 1, q), c = *at(m, q + 1, q + 1);
    x[0] = a * a + *at(m, q, q + 1) * b - s * a + t; /* (1) */
    x[1] = b * (a + c - s);
    x[2] = b * *at(m, q + 2, q + 1);
    for (int k = q; k < p - 1; k++) { /* (2) */
        int n = k < p - 2 ? 3 : 2;
        if (k > q)
            for (int i = 0; i < n; i++) x[i] = *at(m, k + i, k - 1);
        reflect(m, v, reflector(v, x, n), n, k, q, p);
        for (int i = 1; k > q && i < n; i++) *at(m, k + i, k - 1) = 0;
    }
}

bool deq_hessenberg_eigenvalues(double *h, int n, int stride, double *re, double *im)
{
    matrix m = { h, stride };
    for (int i = 0; i < n; i++)
        for (int j = i ? i - 1 : 0; j < n; j++)
            if (!isfinite(*at(&m, i, j))) return false;
    for (int p = n, sweep = 0; p > 0;) {
        int q = block_start(&m, p);
        if (p - q <= 2) {
            if (p - q == 1) {
                re[q] = *at(&m, q, q);
                im[q] = 0;
            } else {
                solve_two(*at(&m, q, q), *at(&m, q, q + 1), *at(&m, q + 1, q),
                          *at(&m, q + 1, q + 1), re + q, im + q);
            }
            p = q;
            sweep = 0;
            continue;
        }
        if (++sweep > SWEEPS_MAX) return false;
        double a = *at(&m, p - 2, p - 2), d = *at(&m, p - 1, p - 1);
        double s = a + d, t = a * d - *at(&m, p - 2, p - 1) * *at(&m, p - 1, p - 2);
        if (sweep % 10 == 0) { /* out of a cycle, as for a cyclic permutation */
            double off = fabs(*at(&m, p - 1, p - 2)) + fabs(*at(&m, p - 2, p - 3));
            s = 1.5 * off;
            t = off * off;
        }
        francis_step(&m, q, p, s, t);
    }
    return true;
}
