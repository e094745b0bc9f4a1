/* SPDX-License-Identifier: MIT */
/* Maps with known fixed points, and solves of them. */
#ifndef DEQ_TESTS_SOLVER_FIXED_POINTS_H
#define DEQ_TESTS_SOLVER_FIXED_POINTS_H

#include "support/test.h"

#include <deq/solver.h>
#include <math.h>
#include <string.h>

/* f(z)_i = shape(sum_j A_ij z_j + b_i + sample * shift), A [dim, dim]; row-major doubles. */
typedef struct test_map {
    int64_t dim;
    const double *A, *b;
    double shift;
    double (*shape)(double); /* NULL: identity */
    double (*slope)(double); /* of shape, for products */
    deq_dtype dtype;
    int64_t poison; /* sample whose f is NaN from call `poison_from` on; -1: none */
    int64_t poison_from;
    int64_t calls, rows, products;
    double *linear; /* [batch, dim] arguments of shape in the last call, by row */
} test_map;

static inline double test_get(const void *v, deq_dtype dtype, int64_t i)
{
    float f;
    double d;
    if (dtype == DEQ_F32) {
        memcpy(&f, (const char *)v + (size_t)i * sizeof f, sizeof f);
        return (double)f;
    }
    memcpy(&d, (const char *)v + (size_t)i * sizeof d, sizeof d);
    return d;
}

static inline void test_put(void *v, deq_dtype dtype, int64_t i, double x)
{
    float f = (float)x;
    if (dtype == DEQ_F32)
        memcpy((char *)v + (size_t)i * sizeof f, &f, sizeof f);
    else
        memcpy((char *)v + (size_t)i * sizeof x, &x, sizeof x);
}

static inline deq_status test_eval(void *user, void *fz, const void *z, const int64_t *samples,
                                   int64_t n)
{
    test_map *m = user;
    m->calls++;
    m->rows += n;
    for (int64_t r = 0; r < n; r++)
        for (int64_t i = 0; i < m->dim; i++) {
            double v = m->b[i] + (double)samples[r] * m->shift;
            for (int64_t j = 0; j < m->dim; j++)
                v += m->A[i * m->dim + j] * test_get(z, m->dtype, r * m->dim + j);
            if (m->linear) m->linear[r * m->dim + i] = v;
            v = m->shape ? m->shape(v) : v;
            if (samples[r] == m->poison && m->calls >= m->poison_from) v = NAN;
            test_put(fz, m->dtype, r * m->dim + i, v);
        }
    return DEQ_OK;
}

static inline deq_status test_vjp(void *user, void *out, const void *v, const int64_t *samples,
                                  int64_t n)
{
    test_map *m = user;
    (void)samples;
    m->products++;
    for (int64_t r = 0; r < n; r++)
        for (int64_t j = 0; j < m->dim; j++) {
            double sum = 0;
            for (int64_t i = 0; i < m->dim; i++) {
                double slope = m->slope ? m->slope(m->linear[r * m->dim + i]) : 1;
                sum += test_get(v, m->dtype, r * m->dim + i) * slope * m->A[i * m->dim + j];
            }
            test_put(out, m->dtype, r * m->dim + j, sum);
        }
    return DEQ_OK;
}

static inline deq_map test_map_of(test_map *m, bool partial)
{
    return (deq_map){ .struct_size = sizeof(deq_map),
                      .eval = test_eval,
                      .vjp = test_vjp,
                      .user = m,
                      .partial = partial };
}

/* A solver, a batch of states and what came of them. */
typedef struct test_solve {
    deq_context *ctx;
    deq_solver *solver;
    deq_solve_info info;
    void *z;
    int64_t batch, dim;
    deq_dtype dtype;
} test_solve;

static inline test_solve test_solve_new(const deq_solver_options *o, int64_t batch, int64_t dim,
                                        deq_dtype dtype, int threads)
{
    test_solve t = {
        .batch = batch, .dim = dim, .dtype = dtype, .info = { .struct_size = sizeof t.info }
    };
    deq_context_options c = deq_context_defaults();
    c.threads = threads;
    assert_int_equal(deq_context_new(&t.ctx, &c), DEQ_OK);
    if (deq_solver_new(&t.solver, t.ctx, o, batch, dim, dtype) != DEQ_OK)
        fail_msg("%s", deq_last_error(t.ctx));
    t.z = calloc((size_t)(batch * dim), deq_dtype_size(dtype));
    assert_non_null(t.z);
    return t;
}

static inline void test_solve_run(test_solve *t, const deq_map *f)
{
    deq_status status = deq_solve(t->z, &t->info, t->solver, f);
    if (status != DEQ_OK) fail_msg("%s", deq_last_error(t->ctx));
    assert_int_equal(t->info.batch, t->batch);
}

static inline void test_solve_free(test_solve *t)
{
    free(t->z);
    deq_solver_free(t->solver);
    deq_context_free(t->ctx);
}

static inline double test_z(const test_solve *t, int64_t sample, int64_t i)
{
    return test_get(t->z, t->dtype, sample * t->dim + i);
}

/* Deterministic numbers in [-1, 1). */
static inline double test_number(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(*state >> 11) * 0x1p-52 - 1;
}

/* A random matrix whose rows have absolute sums `norm`: a contraction in the maximum norm below 1. */
static inline double *test_matrix(int64_t n, double norm, uint64_t seed)
{
    double *A = malloc((size_t)(n * n) * sizeof *A);
    assert_non_null(A);
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int64_t j = 0; j < n; j++) sum += fabs(A[i * n + j] = test_number(&seed));
        for (int64_t j = 0; j < n; j++) A[i * n + j] *= norm / sum;
    }
    return A;
}

static inline double *test_vector(int64_t n, uint64_t seed)
{
    double *b = malloc((size_t)n * sizeof *b);
    assert_non_null(b);
    for (int64_t i = 0; i < n; i++) b[i] = test_number(&seed);
    return b;
}

#endif
