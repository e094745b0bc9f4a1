/* SPDX-License-Identifier: MIT */
/*
 * The inner loops of certified correctness, one table per instruction set.
 *
 * Results of two tables differ by rounding, within the bounds that their callers certify.
 */
#ifndef DEQ_SRC_VOTE_KERNEL_H
#define DEQ_SRC_VOTE_KERNEL_H

#include <deq/context.h>

enum {
    DEQ_VOTE_NODES = 128, /* of one block */
    DEQ_VOTE_LANES = 16   /* of them side by side; divides DEQ_VOTE_NODES */
};

/* cos and sin of 2 pi l t for l < LANES, and of 2 pi LANES t. */
typedef struct deq_vote_steps {
    double c[DEQ_VOTE_LANES], s[DEQ_VOTE_LANES], step_c, step_s;
} deq_vote_steps;

typedef struct deq_vote_kernels {
    /* re + i im, one for each node k, times cos a_k + i bias sin a_k, where a_k = a_0 + 2 pi k t and
     * c = cos a_0, s = sin a_0. */
    void (*turn)(double *re, double *im, const deq_vote_steps *steps, double bias, double c,
                 double s);
    /* The largest re^2 + im^2. */
    double (*largest)(const double *re, const double *im);
    /* With the squares |cos a_k + i bias sin a_k|^2: product times each, except that the smallest so far
     * is held back in `least`. */
    void (*weaken)(double *product, double *least, const deq_vote_steps *steps, double bias,
                   double c, double s);
    /* out[k] = (1 - q) f[k] + q f[k - step] for k < length + step, where f is 0 outside [0, length). */
    void (*convolve)(double *out, const double *f, size_t length, size_t step, double q);
    /* Fourier transform of m = 2^j numbers in place, from their order to that of reversed bits; roots
     * hold e^{-pi i k / h} at h + k for k < h = 1, 2, 4, ..., m / 2. */
    void (*forward)(double *re, double *im, const double *roots_re, const double *roots_im,
                    size_t m);
    /* Its transpose, from reversed bits to the order: the inverse times m, if re and im are exchanged. */
    void (*backward)(double *re, double *im, const double *roots_re, const double *roots_im,
                     size_t m);
} deq_vote_kernels;

const deq_vote_kernels *deq_vote_kernels_for(deq_isa isa);

#endif
