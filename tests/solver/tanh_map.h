/* SPDX-License-Identifier: MIT */
/* f(z) = tanh(W_k z + c_k), a map with derivatives, one a sample, that counts what is asked of it. */
#ifndef DEQ_TESTS_SOLVER_TANH_MAP_H
#define DEQ_TESTS_SOLVER_TANH_MAP_H

#include "solver/linear_systems.h"

#include <deq/solver.h>

typedef struct tanh_map {
    int64_t batch, d;
    deq_dtype dtype;
    double *w, *c;   /* [batch, d, d], [batch, d] */
    double *at;      /* [batch, d] points of linearise, by sample */
    int64_t *n_eval; /* [batch] */
    int64_t n_products;
    int64_t poisoned, poisoned_at; /* sample, and its evaluation (from 0) from which f is NaN */
    bool affine;                   /* without the tanh */
} tanh_map;

static inline tanh_map tanh_map_new(int64_t batch, int64_t d, deq_dtype dtype, double size)
{
    tanh_map m = { .batch = batch, .d = d, .dtype = dtype, .poisoned = -1 };
    m.w = doubles(batch * d * d);
    m.c = doubles(batch * d);
    m.at = doubles(batch * d);
    m.n_eval = calloc((size_t)batch, sizeof *m.n_eval);
    assert_non_null(m.n_eval);
    for (int64_t k = 0; k < batch; k++) fill_random(m.w + k * d * d, d, size, 31, k);
    deq_random_key key = { .seed = 32 };
    assert_int_equal(deq_draw_normal(m.c, DEQ_F64, batch * d, key, 0, 1), DEQ_OK);
    return m;
}

static inline void tanh_map_free(tanh_map *m)
{
    free(m->w);
    free(m->c);
    free(m->at);
    free(m->n_eval);
}

static inline double tanh_map_argument(const tanh_map *m, int64_t k, const double *z, int64_t i)
{
    double sum = m->c[k * m->d + i];
    for (int64_t j = 0; j < m->d; j++) sum += m->w[(k * m->d + i) * m->d + j] * z[j];
    return sum;
}

static inline deq_status tanh_map_eval(void *user, void *fz, const void *z, const int64_t *samples,
                                       int64_t n)
{
    tanh_map *m = user;
    double *x = doubles(m->d);
    for (int64_t r = 0; r < n; r++) {
        int64_t k = samples[r];
        bool bad = k == m->poisoned && m->n_eval[k] >= m->poisoned_at;
        m->n_eval[k]++;
        for (int64_t i = 0; i < m->d; i++) x[i] = get(z, m->dtype, r * m->d + i);
        for (int64_t i = 0; i < m->d; i++) {
            double a = tanh_map_argument(m, k, x, i);
            put(fz, m->dtype, r * m->d + i, bad ? NAN : m->affine ? a : tanh(a));
        }
    }
    free(x);
    return DEQ_OK;
}

static inline deq_status tanh_map_linearise(void *user, const void *z, const int64_t *samples,
                                            int64_t n)
{
    tanh_map *m = user;
    for (int64_t r = 0; r < n; r++)
        for (int64_t i = 0; i < m->d; i++)
            m->at[samples[r] * m->d + i] = get(z, m->dtype, r * m->d + i);
    return DEQ_OK;
}

static inline deq_status tanh_map_jvp(void *user, void *jv, const void *v, const int64_t *samples,
                                      int64_t n)
{
    tanh_map *m = user;
    m->n_products++;
    for (int64_t r = 0; r < n; r++) {
        int64_t k = samples[r];
        for (int64_t i = 0; i < m->d; i++) {
            double t = tanh(tanh_map_argument(m, k, m->at + k * m->d, i)), sum = 0;
            for (int64_t j = 0; j < m->d; j++)
                sum += m->w[(k * m->d + i) * m->d + j] * get(v, m->dtype, r * m->d + j);
            put(jv, m->dtype, r * m->d + i, m->affine ? sum : (1 - t * t) * sum);
        }
    }
    return DEQ_OK;
}

static inline deq_status tanh_map_vjp(void *user, void *vj, const void *v, const int64_t *samples,
                                      int64_t n)
{
    tanh_map *m = user;
    m->n_products++;
    for (int64_t r = 0; r < n; r++) {
        int64_t k = samples[r];
        double *sum = doubles(m->d);
        for (int64_t i = 0; i < m->d; i++) {
            double t = tanh(tanh_map_argument(m, k, m->at + k * m->d, i));
            double scaled = get(v, m->dtype, r * m->d + i) * (m->affine ? 1 : 1 - t * t);
            for (int64_t j = 0; j < m->d; j++) sum[j] += scaled * m->w[(k * m->d + i) * m->d + j];
        }
        for (int64_t j = 0; j < m->d; j++) put(vj, m->dtype, r * m->d + j, sum[j]);
        free(sum);
    }
    return DEQ_OK;
}

static inline deq_map tanh_map_of(tanh_map *m, bool derivative, bool partial)
{
    return (deq_map){ .struct_size = sizeof(deq_map),
                      .eval = tanh_map_eval,
                      .linearise = derivative ? tanh_map_linearise : NULL,
                      .jvp = derivative ? tanh_map_jvp : NULL,
                      .user = m,
                      .partial = partial };
}

/* |f(z) - z| of row k of z, in double. */
static inline double tanh_map_residual(const tanh_map *m, const void *z, int64_t k)
{
    double *x = doubles(m->d), sum = 0;
    for (int64_t i = 0; i < m->d; i++) x[i] = get(z, m->dtype, k * m->d + i);
    for (int64_t i = 0; i < m->d; i++) {
        double a = tanh_map_argument(m, k, x, i), g = (m->affine ? a : tanh(a)) - x[i];
        sum += g * g;
    }
    free(x);
    return sqrt(sum);
}

/* Solve from zeros; info is [batch]. */
static inline void tanh_map_solve(tanh_map *m, const deq_map *f, const deq_solver_options *o,
                                  int threads, void *z, deq_sample_info *info, deq_solve_info *all)
{
    deq_context *ctx = NULL;
    deq_context_options co = deq_context_defaults();
    deq_solver *s = NULL;
    deq_solve_info total = { .struct_size = sizeof total };
    co.threads = threads;
    assert_int_equal(deq_context_new(&ctx, &co), DEQ_OK);
    memset(z, 0, (size_t)(m->batch * m->d) * deq_dtype_size(m->dtype));
    memset(m->n_eval, 0, (size_t)m->batch * sizeof *m->n_eval);
    m->n_products = 0;
    if (deq_solver_new(&s, ctx, o, m->batch, m->d, m->dtype) != DEQ_OK)
        fail_msg("%s", deq_last_error(ctx));
    if (deq_solve(z, &total, s, f) != DEQ_OK) fail_msg("%s", deq_last_error(ctx));
    memcpy(info, total.sample, (size_t)m->batch * sizeof *info);
    if (all) *all = total;
    deq_solver_free(s);
    deq_context_free(ctx);
}

static inline deq_solver_options options_of(deq_method method, double atol, int max_iter)
{
    deq_solver_options o = deq_solver_defaults();
    o.method = method;
    o.atol = atol;
    o.rtol = 0;
    o.max_iter = max_iter;
    return o;
}

#endif
