/* SPDX-License-Identifier: MIT */
/* Memory from solve to solve, and Broyden's inverse as an operator. */
#include "solver/memory.h"

#include <string.h>

deq_status deq_solver_memory_new(deq_solver_memory **out, deq_context *ctx)
{
    if (!out || !ctx) return DEQ_ERR_ARGUMENT;
    *out = deq_alloc(ctx, sizeof **out);
    if (!*out) return DEQ_ERR_NOMEM;
    (*out)->ctx = ctx;
    return DEQ_OK;
}

static size_t vector_bytes(const deq_solver_memory *m)
{
    return m->k ? (size_t)(m->B * m->d) * m->k->size : 0;
}

static size_t table_size(const deq_solver_memory *m)
{
    return m->method == DEQ_ANDERSON ? (size_t)m->B * (size_t)m->capacity * (size_t)m->capacity : 0;
}

static void empty(deq_solver_memory *m)
{
    for (int i = 0; i < m->capacity; i++) {
        deq_release(m->ctx, m->a[i], vector_bytes(m));
        deq_release(m->ctx, m->b[i], vector_bytes(m));
    }
    deq_release(m->ctx, m->rank, (size_t)m->B * sizeof *m->rank);
    deq_release(m->ctx, m->table, table_size(m) * sizeof *m->table);
    *m = (deq_solver_memory){ .ctx = m->ctx };
}

void deq_solver_memory_free(deq_solver_memory *m)
{
    if (!m) return;
    empty(m);
    deq_release(m->ctx, m, sizeof *m);
}

void deq_solver_memory_clear(deq_solver_memory *m)
{
    for (int64_t i = 0; i < m->B; i++) m->rank[i] = 0;
}

int deq_solver_memory_rank(const deq_solver_memory *m, int64_t sample)
{
    return sample >= 0 && sample < m->B ? m->rank[sample] : 0;
}

bool deq_memory_fits(const deq_solver_memory *m, const deq_solver *s)
{
    double gamma = s->memory_gamma;
    return m->method == s->kind->method && m->dtype == s->dtype && m->B == s->b.B &&
           m->d == s->b.d && m->capacity == s->memory_capacity &&
           !(m->gamma < gamma || m->gamma > gamma);
}

double *deq_memory_row(const deq_solver_memory *m, int64_t sample, int i)
{
    return m->table + (sample * m->capacity + i) * m->capacity;
}

static deq_status fill(deq_solver_memory *m)
{
    m->rank = deq_alloc_array(m->ctx, (size_t)m->B, sizeof *m->rank);
    m->table = deq_alloc_array(m->ctx, table_size(m), sizeof *m->table);
    if (!m->rank || !m->table) return DEQ_ERR_NOMEM;
    for (int i = 0; i < m->capacity; i++) {
        m->a[i] = deq_alloc(m->ctx, vector_bytes(m));
        m->b[i] = deq_alloc(m->ctx, vector_bytes(m));
        if (!m->a[i] || !m->b[i]) return DEQ_ERR_NOMEM;
    }
    return DEQ_OK;
}

deq_status deq_memory_prepare(deq_solver *s, int capacity, double gamma)
{
    deq_solver_memory *m = s->o.memory;
    s->memory_capacity = capacity;
    s->memory_gamma = gamma;
    if (!m || deq_memory_fits(m, s)) return DEQ_OK;
    empty(m);
    m->method = s->kind->method;
    m->k = s->b.k;
    m->dtype = s->dtype;
    m->threads = s->b.threads;
    m->B = s->b.B;
    m->d = s->b.d;
    m->capacity = capacity;
    m->gamma = gamma;
    deq_status status = fill(m);
    if (status != DEQ_OK) empty(m);
    return status;
}

static void *row_of(const deq_solver_memory *m, const void *vector, int64_t sample)
{
    return (char *)vector + (size_t)(sample * m->d) * m->k->size;
}

void deq_memory_put(deq_solver_memory *m, int i, int64_t sample, const void *a, const void *b)
{
    size_t bytes = (size_t)m->d * m->k->size;
    memcpy(row_of(m, m->a[i], sample), a, bytes);
    memcpy(row_of(m, m->b[i], sample), b, bytes);
}

void deq_memory_get(const deq_solver_memory *m, int i, int64_t sample, void *a, void *b)
{
    size_t bytes = (size_t)m->d * m->k->size;
    memcpy(a, row_of(m, m->a[i], sample), bytes);
    memcpy(b, row_of(m, m->b[i], sample), bytes);
}

deq_status deq_solver_start_from(deq_solver *s, const deq_solver_memory *m, bool transposed)
{
    if (s->kind != &deq_kind_broyden)
        return deq_fail(s->ctx, DEQ_ERR_ARGUMENT,
                        "deq_solver_start_from: the solver is %s, expected %s",
                        deq_method_name(s->kind->method), deq_method_name(DEQ_BROYDEN));
    if (m->method != DEQ_BROYDEN && m->method != DEQ_ADJOINT_BROYDEN)
        return deq_fail(s->ctx, DEQ_ERR_STATE,
                        "deq_solver_start_from: no Broyden solve has filled this memory");
    if (m->dtype != s->dtype || m->B != s->b.B || m->d != s->b.d)
        return deq_fail(
            s->ctx, DEQ_ERR_SHAPE,
            "deq_solver_start_from: the memory is of %lld samples of %lld %s, the solver "
            "of %lld of %lld %s",
            (long long)m->B, (long long)m->d, deq_dtype_name(m->dtype), (long long)s->b.B,
            (long long)s->b.d, deq_dtype_name(s->dtype));
    s->start = m;
    s->start_transposed = transposed;
    return DEQ_OK;
}

/* u = gamma w - sum_i c_i y_i  with  c_i = x_i . w;  the pairs are (u_i, v_i) for -w B, whose row
 * vector is u_i . w times v_i, and change places for -B w. */
static void apply(const deq_solver_memory *m, char *u, const char *w, int64_t sample, bool right)
{
    double c[DEQ_MEMORY_MAX];
    const void *x[DEQ_MEMORY_MAX] = { NULL }, *y[DEQ_MEMORY_MAX] = { NULL };
    int rank = m->rank[sample];
    for (int i = 0; i < rank; i++) {
        x[i] = row_of(m, right ? m->b[i] : m->a[i], sample);
        y[i] = row_of(m, right ? m->a[i] : m->b[i], sample);
    }
    const void *from = row_of(m, w, sample);
    m->k->dots(c, x, NULL, rank, from, m->d);
    for (int i = 0; i < rank; i++) c[i] = -c[i];
    m->k->combine(row_of(m, u, sample), m->gamma, from, 0, NULL, c, y, NULL, rank, m->d);
}

deq_status deq_solver_memory_apply(void *u, deq_solver_memory *m, const void *w, bool right)
{
    if (m->method != DEQ_BROYDEN && m->method != DEQ_ADJOINT_BROYDEN)
        return deq_fail(m->ctx, DEQ_ERR_STATE,
                        "deq_solver_memory_apply: no Broyden solve has filled this memory");
#pragma omp parallel for schedule(static) num_threads(m->threads) if (m->B * m->d > 1 << 14)
    for (int64_t i = 0; i < m->B; i++) apply(m, u, w, i, right);
    return DEQ_OK;
}
