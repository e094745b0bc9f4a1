/* SPDX-License-Identifier: MIT */
/*
 * Elimination that leaves out dependent unknowns: A = L U of the unknowns kept, grown one unknown at
 * a time, so that the choice made for the first ones does not depend on the later ones.
 */
#include "solver/fit.h"

#include <math.h>

/* Row i against the pivots kept so far; returns its pivot. */
static double eliminate(double *A, double *b, int n, int i, const int *kept, int n_kept)
{
    for (int p = 0; p < n_kept; p++) {
        int k = kept[p];
        double l = A[i * n + k] / A[k * n + k];
        A[i * n + k] = l;
        for (int j = k + 1; j < n; j++) A[i * n + j] -= l * A[k * n + j];
        b[i] -= l * b[k];
    }
    return A[i * n + i];
}

int deq_fit(double *x, double *A, double *b, int n, double tolerance)
{
    int kept[DEQ_FIT_MAX], n_kept = 0;
    for (int i = 0; i < n; i++) {
        double size = fabs(A[i * n + i]), pivot = eliminate(A, b, n, i, kept, n_kept);
        x[i] = 0;
        if (isfinite(pivot) && isfinite(b[i]) && fabs(pivot) > tolerance * size) kept[n_kept++] = i;
    }
    for (int p = n_kept - 1; p >= 0; p--) {
        int i = kept[p];
        double v = b[i];
        for (int q = p + 1; q < n_kept; q++) v -= A[i * n + kept[q]] * x[kept[q]];
        x[i] = v / A[i * n + i];
    }
    return n - n_kept;
}
