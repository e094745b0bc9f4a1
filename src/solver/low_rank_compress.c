/* SPDX-License-Identifier: MIT */
/*
 * Compression of Broyden's inverse to its leading singular triples.  With Gram matrices U'U = L L' and V'V = K K' (Cholesky), U V' = Qu (L' K) Qv' where
 * Qu = U L'^-1 and Qv = V K'^-1 have orthonormal columns.  If  L' K = X S Y'  then
 *
 *     U V' = (U L'^-1 X S) (V K'^-1 Y)'                                                      (1)
 *
 * and the leading half of the singular triples is kept.  It is done once in half a memory full of
 * steps, for one row at a time.
 */
#include "solver/low_rank.h"

#include <math.h>
#include <string.h>

/* L of A = L L', in place; a vanishing pivot makes its column zero. */
static void cholesky(double *A, int n)
{
    for (int j = 0; j < n; j++) {
        double pivot = A[j * n + j], least = 1e-14 * pivot;
        for (int k = 0; k < j; k++) pivot -= A[j * n + k] * A[j * n + k];
        double root = pivot > least ? sqrt(pivot) : 0;
        A[j * n + j] = root;
        for (int i = j + 1; i < n; i++) {
            double v = A[i * n + j];
            for (int k = 0; k < j; k++) v -= A[i * n + k] * A[j * n + k];
            A[i * n + j] = root > 0 ? v / root : 0;
        }
        for (int i = 0; i < j; i++) A[i * n + j] = 0;
    }
}

/* x := L'^-1 x */
static void solve_transposed(const double *L, int n, double *x)
{
    for (int i = n - 1; i >= 0; i--) {
        for (int k = i + 1; k < n; k++) x[i] -= L[k * n + i] * x[k];
        x[i] = L[i * n + i] > 0 ? x[i] / L[i * n + i] : 0;
    }
}

/* Rotate columns p and q of the n x n matrices W and Y so that those of W become orthogonal; returns
 * how far they were from it. */
static double rotate(double *W, double *Y, int n, int p, int q)
{
    double pp = 0, qq = 0, pq = 0;
    for (int i = 0; i < n; i++) {
        pp += W[i * n + p] * W[i * n + p];
        qq += W[i * n + q] * W[i * n + q];
        pq += W[i * n + p] * W[i * n + q];
    }
    if (!(fabs(pq) > 1e-15 * sqrt(pp * qq))) return 0;
    double zeta = (qq - pp) / (2 * pq);
    double t = (zeta < 0 ? -1 : 1) / (fabs(zeta) + sqrt(1 + zeta * zeta));
    double c = 1 / sqrt(1 + t * t), sn = c * t;
    for (int i = 0; i < n; i++) {
        double a = W[i * n + p], b = W[i * n + q];
        W[i * n + p] = c * a - sn * b;
        W[i * n + q] = sn * a + c * b;
        a = Y[i * n + p], b = Y[i * n + q];
        Y[i * n + p] = c * a - sn * b;
        Y[i * n + q] = sn * a + c * b;
    }
    return fabs(pq) / sqrt(pp * qq);
}

/* One-sided Jacobi: W becomes X S, its columns then sorted by falling length; Y orthogonal. */
static void svd(double *W, double *Y, int n)
{
    memset(Y, 0, (size_t)(n * n) * sizeof *Y);
    for (int i = 0; i < n; i++) Y[i * n + i] = 1;
    for (int sweep = 0; sweep < 30; sweep++) {
        double off = 0;
        for (int p = 0; p < n; p++)
            for (int q = p + 1; q < n; q++) off = fmax(off, rotate(W, Y, n, p, q));
        if (off < 1e-14) break;
    }
}

static double column_square(const double *W, int n, int j)
{
    double v = 0;
    for (int i = 0; i < n; i++) v += W[i * n + j] * W[i * n + j];
    return v;
}

/* Largest column not yet taken. */
static int next_column(const double *W, int n, const bool *taken)
{
    int best = -1;
    for (int j = 0; j < n; j++)
        if (!taken[j] && (best < 0 || column_square(W, n, j) > column_square(W, n, best))) best = j;
    return best;
}

/* sums_i [n, n]: x_i . x_j over a whole row. */
static void gram(const deq_solver *s, double *A, const void *const *x, int n)
{
    for (int i = 0; i < n; i++) s->b.k->dots(A + i * n, x, NULL, n, x[i], s->b.d);
}

/* x_j := sum_i C[j][i] x_i for j < kept, chunk by chunk; C is [kept, n]. */
static void recombine(const deq_solver *s, void *const *x, const double *C, int n, int kept,
                      double *room)
{
    size_t size = s->b.k->size;
    for (int64_t at = 0; at < s->b.d; at += DEQ_CHUNK) {
        int64_t count = s->b.d - at < DEQ_CHUNK ? s->b.d - at : DEQ_CHUNK;
        const void *piece[DEQ_MEMORY_MAX];
        for (int i = 0; i < n; i++) piece[i] = (char *)x[i] + (size_t)at * size;
        for (int j = 0; j < kept; j++)
            s->b.k->combine(room + j * DEQ_CHUNK, 0, NULL, 0, NULL, C + j * n, piece, NULL, n,
                            count);
        for (int j = 0; j < kept; j++)
            memcpy((char *)x[j] + (size_t)at * size, room + j * DEQ_CHUNK, (size_t)count * size);
    }
}

size_t deq_compress_scratch(const deq_low_rank *l)
{
    size_t n = (size_t)l->capacity;
    return 6 * n * n + n * DEQ_CHUNK;
}

/* Row j of CU and CV: the coefficients (1) of triple j, in falling order. */
static void coefficients(double *CU, double *CV, const double *L, const double *K, const double *W,
                         const double *Y, int n, int kept)
{
    bool taken[DEQ_MEMORY_MAX] = { false };
    for (int j = 0; j < kept; j++) {
        int c = next_column(W, n, taken);
        taken[c] = true;
        for (int i = 0; i < n; i++) {
            CU[j * n + i] = W[i * n + c];
            CV[j * n + i] = Y[i * n + c];
        }
        solve_transposed(L, n, CU + j * n);
        solve_transposed(K, n, CV + j * n);
    }
}

void deq_low_rank_compress(deq_low_rank *l, deq_solver *s, int64_t row)
{
    int64_t sample = s->b.sample[row];
    int n = l->rank[sample], kept = n / 2;
    double *L = l->scratch, *K = L + n * n, *W = K + n * n, *Y = W + n * n, *CU = Y + n * n,
           *CV = CU + n * n, *room = CV + n * n;
    const void *u[DEQ_MEMORY_MAX] = { NULL }, *v[DEQ_MEMORY_MAX] = { NULL };
    void *to_u[DEQ_MEMORY_MAX], *to_v[DEQ_MEMORY_MAX];
    if (n <= 0) return;
    deq_low_rank_list(l, s, row, 0, u, v);
    for (int i = 0; i < n; i++) {
        int t = deq_low_rank_slot(l, sample, i);
        to_u[i] = deq_at(&s->b, l->U[t], row, 0);
        to_v[i] = deq_at(&s->b, l->V[t], row, 0);
    }
    gram(s, L, u, n);
    gram(s, K, v, n);
    cholesky(L, n);
    cholesky(K, n);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            W[i * n + j] = 0; /* L' K */
            for (int k = i > j ? i : j; k < n; k++) W[i * n + j] += L[k * n + i] * K[k * n + j];
        }
    svd(W, Y, n);
    coefficients(CU, CV, L, K, W, Y, n, kept);
    recombine(s, to_u, CU, n, kept, room);
    recombine(s, to_v, CV, n, kept, room);
    l->rank[sample] = kept;
    if (l->best[sample] > 0) l->best[sample] = kept;
}
