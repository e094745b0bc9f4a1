/* SPDX-License-Identifier: MIT */
/* Splittings of monotone equilibria as maps; the equations stand in the public header. */
#include "base/context.h"
#include "solver/vector.h"

#include <deq/splitting.h>
#include <math.h>

struct deq_splitting {
    deq_context *ctx;
    deq_monotone parts;
    double alpha;
    int64_t batch, dim;
    deq_vectors v; /* of one row */
    deq_map map;
    const char *c;
    char *half, *work; /* [batch, dim] */
    int64_t *samples;  /* 0, 1, ... */
};

static size_t row_bytes(const deq_splitting *s)
{
    return deq_vector_bytes(&s->v);
}

static char *row(const deq_splitting *s, void *x, int64_t i)
{
    return (char *)x + (size_t)i * row_bytes(s);
}

static const char *row_of(const deq_splitting *s, const void *x, int64_t i)
{
    return (const char *)x + (size_t)i * row_bytes(s);
}

/* (1) */
static deq_status forward_backward(void *user, void *fz, const void *z, const int64_t *samples,
                                   int64_t n)
{
    deq_splitting *s = user;
    const deq_monotone *m = &s->parts;
    double a = s->alpha;
    DEQ_TRY(m->linear(m->user, fz, z, samples, n));
    for (int64_t i = 0; i < n; i++) {
        void *f = row(s, fz, i);
        (void)deq_vector_sum(&s->v, f, a, f, a, row_of(s, s->c, samples[i]));
        if (a != 1) (void)deq_vector_combine(&s->v, f, 1 - a, row_of(s, z, i), 1);
    }
    return m->prox(m->user, fz, a, samples, n);
}

/* (2), with  half = 2 z - u  and  work = half + a c */
static deq_status peaceman_rachford(void *user, void *fu, const void *u, const int64_t *samples,
                                    int64_t n)
{
    deq_splitting *s = user;
    const deq_monotone *m = &s->parts;
    for (int64_t i = 0; i < n; i++) deq_vector_copy(&s->v, row(s, s->half, i), row_of(s, u, i));
    DEQ_TRY(m->prox(m->user, s->half, s->alpha, samples, n));
    for (int64_t i = 0; i < n; i++) {
        void *half = row(s, s->half, i);
        (void)deq_vector_sum(&s->v, half, 2, half, -1, row_of(s, u, i));
        (void)deq_vector_sum(&s->v, row(s, s->work, i), 1, half, s->alpha,
                             row_of(s, s->c, samples[i]));
    }
    DEQ_TRY(m->resolvent(m->user, fu, s->work, s->alpha, samples, n));
    for (int64_t i = 0; i < n; i++)
        (void)deq_vector_sum(&s->v, row(s, fu, i), 2, row_of(s, fu, i), -1, row(s, s->half, i));
    return DEQ_OK;
}

static deq_status check(deq_context *ctx, deq_splitting_method method, const deq_monotone *p,
                        double alpha, int64_t batch, int64_t dim, deq_dtype dtype)
{
    bool backward = method == DEQ_SPLITTING_FORWARD_BACKWARD;
    if (!backward && method != DEQ_SPLITTING_PEACEMAN_RACHFORD)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "splitting: unknown method %d", (int)method);
    if (p->struct_size != sizeof *p)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "splitting: struct_size is %zu, expected %zu",
                        p->struct_size, sizeof *p);
    if (!p->prox || (backward && !p->linear) || (!backward && !p->resolvent))
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "splitting: prox or %s is missing",
                        backward ? "linear" : "resolvent");
    if (!(alpha > 0) || isinf(alpha) || batch < 1 || dim < 1)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                        "splitting: alpha is %g, batch %lld, dim %lld, expected > 0, >= 1, >= 1",
                        alpha, (long long)batch, (long long)dim);
    if (dtype != DEQ_F32 && dtype != DEQ_F64)
        return deq_fail(ctx, DEQ_ERR_DTYPE, "splitting: dtype is %s, expected f32 or f64",
                        deq_dtype_name(dtype));
    return DEQ_OK;
}

deq_status deq_splitting_new(deq_splitting **out, deq_context *ctx, deq_splitting_method method,
                             const deq_monotone *parts, double alpha, int64_t batch, int64_t dim,
                             deq_dtype dtype)
{
    size_t bytes;
    *out = NULL;
    DEQ_TRY(check(ctx, method, parts, alpha, batch, dim, dtype));
    if (!deq_size_mul(&bytes, (size_t)batch, (size_t)dim) ||
        !deq_size_mul(&bytes, bytes, deq_dtype_size(dtype)))
        return deq_fail(ctx, DEQ_ERR_OVERFLOW,
                        "splitting: %lld samples of %lld elements are too many", (long long)batch,
                        (long long)dim);
    deq_splitting *s = deq_alloc(ctx, sizeof *s);
    if (!s) return DEQ_ERR_NOMEM;
    *s = (deq_splitting){ .ctx = ctx,
                          .parts = *parts,
                          .alpha = alpha,
                          .batch = batch,
                          .dim = dim,
                          .v = { .dtype = dtype,
                                 .k = deq_kernels_for(dtype, deq_context_isa(ctx)),
                                 .threads = deq_context_threads(ctx),
                                 .n = dim } };
    s->map = (deq_map){ .struct_size = sizeof s->map,
                        .eval = method == DEQ_SPLITTING_FORWARD_BACKWARD ? forward_backward
                                                                         : peaceman_rachford,
                        .user = s,
                        .partial = parts->partial };
    s->samples = deq_alloc_array(ctx, (size_t)batch, sizeof *s->samples);
    s->half = deq_alloc(ctx, bytes);
    s->work = deq_alloc(ctx, bytes);
    if (!s->samples || !s->half || !s->work) {
        deq_splitting_free(s);
        return DEQ_ERR_NOMEM;
    }
    for (int64_t k = 0; k < batch; k++) s->samples[k] = k;
    *out = s;
    return DEQ_OK;
}

void deq_splitting_free(deq_splitting *s)
{
    if (!s) return;
    size_t bytes = (size_t)s->batch * row_bytes(s);
    deq_release(s->ctx, s->work, bytes);
    deq_release(s->ctx, s->half, bytes);
    deq_release(s->ctx, s->samples, (size_t)s->batch * sizeof *s->samples);
    deq_release(s->ctx, s, sizeof *s);
}

const deq_map *deq_splitting_map(deq_splitting *s, const void *c)
{
    s->c = c;
    return &s->map;
}

deq_status deq_splitting_state(void *z, deq_splitting *s, const void *v)
{
    for (int64_t k = 0; k < s->batch; k++) deq_vector_copy(&s->v, row(s, z, k), row_of(s, v, k));
    if (s->map.eval == forward_backward) return DEQ_OK;
    return s->parts.prox(s->parts.user, z, s->alpha, s->samples, s->batch);
}

deq_status deq_splitting_residual(double *residual, deq_splitting *s, const void *z)
{
    const deq_monotone *m = &s->parts;
    if (!m->linear || !s->c)
        return deq_fail(s->ctx, DEQ_ERR_STATE, "splitting: a residual needs linear and c");
    DEQ_TRY(m->linear(m->user, s->work, z, s->samples, s->batch));
    for (int64_t k = 0; k < s->batch; k++) {
        void *w = row(s, s->work, k);
        (void)deq_vector_combine(&s->v, w, 1, row_of(s, s->c, k), 1);
    }
    DEQ_TRY(m->prox(m->user, s->work, 1, s->samples, s->batch));
    for (int64_t k = 0; k < s->batch; k++) {
        void *w = row(s, s->work, k);
        residual[k] = sqrt(deq_vector_combine(&s->v, w, -1, row_of(s, z, k), 1));
    }
    return DEQ_OK;
}
