/* SPDX-License-Identifier: MIT */
/* Eigenvalues of a small Hessenberg matrix, as Arnoldi's method leaves it. */
#ifndef DEQ_IMPLICIT_HESSENBERG_H
#define DEQ_IMPLICIT_HESSENBERG_H

#include <stdbool.h>

/* All n eigenvalues re + i im of the upper Hessenberg matrix h, row-major with rows of `stride`
 * elements; h is destroyed.  Complex ones come in conjugate pairs, the positive imaginary part
 * first.  False when the iteration does not converge (or h is not finite). */
bool deq_hessenberg_eigenvalues(double *h, int n, int stride, double *re, double *im);

#endif
