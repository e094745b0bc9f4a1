/* SPDX-License-Identifier: MIT */
/* Small dense systems: those of multi-secant methods. */
#ifndef DEQ_SOLVER_FIT_H
#define DEQ_SOLVER_FIT_H

#include <stdbool.h>

enum { DEQ_FIT_MAX = 32 };

/* Solve A x = b (row-major n x n, n <= DEQ_FIT_MAX) by elimination in the order given: unknown i is
 * left out (x_i = 0) when its pivot is not finite or not above tolerance * |A_ii|, that is, when
 * column i hardly differs from a combination of the earlier ones.  A positive semi-definite A gives
 * the Cholesky factors.  A and b are overwritten.  Returns the number of unknowns left out. */
int deq_fit(double *x, double *A, double *b, int n, double tolerance);

#endif
