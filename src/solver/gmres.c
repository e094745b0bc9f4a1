/* SPDX-License-Identifier: MIT */
/*
 * GMRES(m) (Saad & Schultz 1986).
 *
 *   r = b - A u,  beta = |r|,  v_0 = r / beta
 *   Arnoldi     w = A v_j,  h_ij = w . v_i,  w -= h_ij v_i  (i <= j),  h_{j+1,j} = |w|,
 *               v_{j+1} = w / h_{j+1,j}                                               (1)
 *   rotations   Q H = R upper triangular, g = Q beta e_0; |g_{j+1}| is the residual   (2)
 *   update      y = R^{-1} g,  u += sum_j y_j v_j                                     (3)
 *
 * A = I - T has the Krylov spaces of T: if the operator is T, (1) is done with T, whose products are
 * taken as they come, and  H_A = I - H_T.
 *
 * What is stored is a multiple of v_i, length_i v_i, as (1) left it: dividing would be one more sweep,
 * and the operator is linear.  Only where lengths leave the comfortable range it is done.
 *
 * Orthogonalisation is modified Gram-Schmidt with groups of GROUP vectors in place of single ones:
 * within a group all coefficients are taken from the same w.  The sweep that subtracts a group forms
 * the products with the next, so a group is used twice with one sweep between; memory is read once
 * only where two groups and w fit the second cache (58 000 elements of f32 for 2 MiB), else twice.
 * (Smaller groups, which fit for longer, and larger ones, which sweep w less often, both measured
 * slower.)  It is done once more when the first pass has left less than ORTHOGONAL of w, since what
 * is left is then mostly rounding (Kahan: "twice is enough").
 *
 * If nothing is left of w the Krylov space is closed: then it holds the solution, or A is singular
 * on it, which shows as a zero on the diagonal of R; that column is left out of (3).
 */
#include "solver/linear_sample.h"

#include <math.h>

#define ORTHOGONAL 0.1
#define GROUP 4           /* vectors */
#define CLOSED 10         /* rounding units of |w| that count as nothing */
#define LENGTH_MAX 0x1p20 /* comfortable lengths; 1 / LENGTH_MAX is the other end */

enum { V = DEQ_LINEAR_R }; /* v_0 takes the place of r, v_1 ... v_m follow */

/* The numbers of a sample. */
typedef struct small {
    double *h;      /* [m, m + 1]: column j at h + j (m + 1); R after the rotations */
    double *cosine; /* [m] */
    double *sine;   /* [m] */
    double *g;      /* [m + 1] */
    double *y;      /* [m] */
    double *length; /* [m + 1] of the rows that stand for v_0 ... v_m */
    int m;
} small;

static small numbers_of(const deq_linear_solver *s, int64_t k)
{
    int m = s->kind.rows - 2;
    double *at = s->samples[k].numbers;
    small a = { .m = m, .h = at };
    a.cosine = a.h + (size_t)m * (size_t)(m + 1);
    a.sine = a.cosine + m;
    a.g = a.sine + m;
    a.y = a.g + m + 1;
    a.length = a.y + m;
    return a;
}

/* Row V + i is v_i times this length. */
static void set_length(deq_linear_solver *s, int64_t k, int i, double length)
{
    void *v = deq_linear_row(s, V + i, k);
    bool comfortable = length <= LENGTH_MAX && length >= 1 / LENGTH_MAX;
    if (!comfortable) (void)deq_vector_combine(&s->v, v, 1 / length, v, 0);
    numbers_of(s, k).length[i] = comfortable ? length : 1;
}

static void begin(deq_linear_solver *s, int64_t k)
{
    deq_linear_sample *c = &s->samples[k];
    numbers_of(s, k).g[0] = c->residual;
    set_length(s, k, 0, c->residual);
    c->j = 0;
    deq_linear_ask(s, k, V, V + 1, 0);
}

/* What was found out about w. */
typedef struct norms {
    double before, left; /* |w| as it came, and when v_0 ... v_j are out */
} norms;

/* From the products c of rows i ... i + n - 1 with row j + 1 to what of them is subtracted from it;
 * h_i grows by the coefficients of (1). */
static void collect(const small *a, int j, double *h, double *c, int i, int n)
{
    for (int l = 0; l < n; l++) {
        double along = c[l] / a->length[i + l]; /* v_i . row */
        h[i + l] += along / a->length[j];
        c[l] = -along / a->length[i + l];
    }
}

/* Take v_0 ... v_j out of w; h_0 ... h_j receive the coefficients.  GROUP vectors are treated at once:
 * a sweep subtracts one group and forms the dot products with the next, or with w itself. */
static norms orthogonalise(const deq_linear_solver *s, int64_t k, int j, double *h)
{
    small a = numbers_of(s, k);
    void *w = deq_linear_row(s, V + j + 1, k);
    const void *row[2][GROUP + 1];
    double c[2][GROUP + 1];
    norms r = { 0 };
    for (int i = 0; i <= j; i++) h[i] = 0;
    for (int pass = 0; pass < 2; pass++) {
        int taken = 0, subtract = 0, turn = 0;
        do {
            int n = j + 1 - taken < GROUP ? j + 1 - taken : GROUP, sums = n;
            for (int l = 0; l < n; l++) row[turn][l] = deq_linear_row(s, V + taken + l, k);
            if (taken == 0 || n == 0) row[turn][sums++] = w;
            deq_vector_pass(&s->v, w, c[1 - turn], row[1 - turn], subtract, c[turn], row[turn],
                            sums);
            if (pass == 0 && taken == 0) r.before = sqrt(c[turn][n]) / a.length[j];
            if (n == 0) r.left = sqrt(c[turn][0]) / a.length[j];
            collect(&a, j, h, c[turn], taken, n);
            taken += n;
            subtract = n;
            turn = 1 - turn;
        } while (subtract > 0);
        if (r.left > ORTHOGONAL * r.before) break;
    }
    return r;
}

/* Rotate column j, and g with it; `left` is h_{j+1,j}. */
static void rotate(const small *a, int j, double left)
{
    double *h = a->h + (size_t)j * (size_t)(a->m + 1);
    for (int i = 0; i < j; i++) {
        double upper = h[i], lower = h[i + 1];
        h[i] = a->cosine[i] * upper + a->sine[i] * lower;
        h[i + 1] = a->cosine[i] * lower - a->sine[i] * upper;
    }
    double length = hypot(h[j], left);
    a->cosine[j] = length > 0 ? h[j] / length : 1;
    a->sine[j] = length > 0 ? left / length : 0;
    h[j] = length;
    a->g[j + 1] = -a->sine[j] * a->g[j];
    a->g[j] *= a->cosine[j];
}

/* (3) with the first n columns. */
static void update(deq_linear_solver *s, int64_t k, int n)
{
    small a = numbers_of(s, k);
    for (int i = n - 1; i >= 0; i--) {
        double sum = a.g[i];
        for (int j = i + 1; j < n; j++)
            sum -= a.h[(size_t)j * (size_t)(a.m + 1) + (size_t)i] * a.y[j];
        a.y[i] = sum / a.h[(size_t)i * (size_t)(a.m + 1) + (size_t)i];
    }
    for (int i = 0; i < n; i++) a.y[i] /= a.length[i];
    for (int i = 0; i < n; i += DEQ_VECTOR_TERMS) {
        const void *v[DEQ_VECTOR_TERMS];
        int terms = n - i < DEQ_VECTOR_TERMS ? n - i : DEQ_VECTOR_TERMS;
        for (int j = 0; j < terms; j++) v[j] = deq_linear_row(s, V + i + j, k);
        deq_vector_pass(&s->v, deq_linear_row(s, DEQ_LINEAR_X, k), a.y + i, v, terms, NULL, NULL,
                        0);
    }
}

/* A v_j is not finite: what was gained before is kept. */
static void give_up(deq_linear_solver *s, int64_t k)
{
    int j = s->samples[k].j;
    update(s, k, j);
    if (deq_linear_keep(s, k, fabs(numbers_of(s, k).g[j]))) deq_linear_finish(s, k, DEQ_NON_FINITE);
}

static void step(deq_linear_solver *s, int64_t k)
{
    deq_linear_sample *c = &s->samples[k];
    small a = numbers_of(s, k);
    int j = c->j, n = j + 1;
    double *h = a.h + (size_t)j * (size_t)(a.m + 1);
    bool identity = s->a->identity_minus;

    norms l = orthogonalise(s, k, j, h); /* (1) */
    if (!isfinite(l.before) || !isfinite(l.left)) {
        give_up(s, k);
        return;
    }
    bool closed = l.left <= CLOSED * s->epsilon * l.before;
    double before = a.g[j], size = identity ? 1 + l.before : l.before;
    for (int i = 0; identity && i <= j; i++) h[i] = (i == j) - h[i];
    rotate(&a, j, closed ? 0 : identity ? -l.left : l.left); /* (2) */
    if (closed && h[j] <= CLOSED * s->epsilon * size) {
        c->info.breakdown = DEQ_BREAKDOWN_SINGULAR;
        a.g[j] = before;
        n = j;
    }
    double residual = fabs(a.g[n]);
    if (closed || residual <= c->tol || n == a.m || !deq_linear_may_apply(s, k)) {
        update(s, k, n); /* (3) */
        deq_linear_verify(s, k, residual);
        return;
    }
    set_length(s, k, n, l.left * a.length[j]);
    c->j = n;
    deq_linear_ask(s, k, V + j + 1, V + j + 2, 0);
}

deq_linear_kind deq_gmres_kind(const deq_linear_options *o, int64_t d)
{
    int64_t m = o->restart;
    if (m > d) m = d;
    if (m > o->max_iter) m = o->max_iter;
    if (m < 1) m = 1;
    return (deq_linear_kind){ .name = "gmres",
                              .rows = (int)m + 2,
                              .shifts = true,
                              .numbers = (size_t)(m * (m + 1) + 5 * m + 2),
                              .begin = begin,
                              .step = step };
}
