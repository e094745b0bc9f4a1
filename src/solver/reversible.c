/* SPDX-License-Identifier: MIT */
/*
 * The reversible coupled iteration (McCallum, Arora & Foster, "Reversible deep equilibrium
 * models", 2025):
 *
 *   y' = (1 - beta) y + beta f(z),   z' = (1 - beta) z + beta f(y')
 *
 * With p_0 = z_0, p_1 = y_1, p_2 = z_1, ... and p_{-1} = y_0 this is one recursion over the points
 * at which f is evaluated, and can be solved for its oldest term:
 *
 *   p_{n+1} = (1 - beta) p_{n-1} + beta f(p_n)                  (1)
 *   p_{n-1} = (p_{n+1} - beta f(p_n)) / (1 - beta)              (2)
 *
 * Rounding errors of (2) grow by 1 / (1 - beta) in two steps.
 */
#include "base/context.h"
#include "solver/solver.h"
#include "solver/vector.h"

#include <deq/reversible.h>
#include <math.h>
#include <string.h>

/* As a solver: p_{n-1} is all that has to be kept. */
static void step(void *user, const deq_custom_step *s)
{
    const deq_solver *solver = user;
    deq_vectors d = { .dtype = s->dtype, .k = solver->b.k, .threads = 1, .n = s->dim };
    void *before = s->vectors[0];
    double beta = solver->o.reversible.beta;
    if (s->step == 0) deq_vector_copy(&d, before, s->z);
    (void)deq_vector_sum(&d, s->z_next, 1 - beta, before, beta, s->fz); /* (1) */
    deq_vector_copy(&d, before, s->z);
}

const deq_custom_method deq_reversible_method = {
    .struct_size = sizeof(deq_custom_method), .name = "reversible", .n_vectors = 1, .step = step
};

/* As a pair of maps: a fixed number of steps, there and back. */
struct deq_reversible {
    deq_context *ctx;
    deq_vectors v; /* of the whole batch */
    int64_t batch, dim;
    double beta;
    int64_t *samples;
    void *f, *back[2];
};

static size_t bytes_of(const deq_reversible *r)
{
    return deq_vector_bytes(&r->v);
}

deq_status deq_reversible_new(deq_reversible **out, deq_context *ctx, deq_dtype dtype,
                              int64_t batch, int64_t dim, double beta)
{
    size_t bytes;
    *out = NULL;
    if (dtype != DEQ_F32 && dtype != DEQ_F64)
        return deq_fail(ctx, DEQ_ERR_DTYPE, "reversible: dtype is %s, expected f32 or f64",
                        deq_dtype_name(dtype));
    if (batch < 1 || dim < 1 || !(beta > 0 && beta < 1))
        return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                        "reversible: batch is %lld, dim %lld, beta %g, expected >= 1, >= 1 and in "
                        "(0, 1)",
                        (long long)batch, (long long)dim, beta);
    if (!deq_size_mul(&bytes, (size_t)batch, (size_t)dim) ||
        !deq_size_mul(&bytes, bytes, deq_dtype_size(dtype)))
        return deq_fail(ctx, DEQ_ERR_OVERFLOW,
                        "reversible: %lld samples of %lld elements are too many", (long long)batch,
                        (long long)dim);
    deq_reversible *r = deq_alloc(ctx, sizeof *r);
    if (!r) return DEQ_ERR_NOMEM;
    *r = (deq_reversible){ .ctx = ctx, .batch = batch, .dim = dim, .beta = beta };
    r->v = (deq_vectors){ .dtype = dtype,
                          .k = deq_kernels_for(dtype, deq_context_isa(ctx)),
                          .threads = deq_context_threads(ctx),
                          .n = batch * dim };
    r->samples = deq_alloc_array(ctx, (size_t)batch, sizeof *r->samples);
    r->f = deq_alloc(ctx, bytes);
    r->back[0] = deq_alloc(ctx, bytes);
    r->back[1] = deq_alloc(ctx, bytes);
    if (!r->samples || !r->f || !r->back[0] || !r->back[1]) {
        deq_reversible_free(r);
        return DEQ_ERR_NOMEM;
    }
    for (int64_t k = 0; k < batch; k++) r->samples[k] = k;
    *out = r;
    return DEQ_OK;
}

void deq_reversible_free(deq_reversible *r)
{
    if (!r) return;
    deq_release(r->ctx, r->back[1], bytes_of(r));
    deq_release(r->ctx, r->back[0], bytes_of(r));
    deq_release(r->ctx, r->f, bytes_of(r));
    deq_release(r->ctx, r->samples, (size_t)r->batch * sizeof *r->samples);
    deq_release(r->ctx, r, sizeof *r);
}

static deq_status check_map(const deq_reversible *r, const deq_map *f)
{
    if (f && f->struct_size == sizeof *f && f->eval) return DEQ_OK;
    return deq_fail(r->ctx, DEQ_ERR_ARGUMENT,
                    "reversible: the map has no eval, or its struct_size is not that of deq_map");
}

/* into = a into + b f(at) */
static deq_status mix(deq_reversible *r, const deq_map *f, void *into, double a, const void *at,
                      double b)
{
    DEQ_TRY(f->eval(f->user, r->f, at, r->samples, r->batch));
    (void)deq_vector_sum(&r->v, into, a, into, b, r->f);
    return DEQ_OK;
}

deq_status deq_reversible_forward(void *y, void *z, deq_reversible *r, const deq_map *f, int steps)
{
    DEQ_TRY(check_map(r, f));
    for (int n = 0; n < steps; n++) {
        DEQ_TRY(mix(r, f, y, 1 - r->beta, z, r->beta));
        DEQ_TRY(mix(r, f, z, 1 - r->beta, y, r->beta));
    }
    return DEQ_OK;
}

deq_status deq_reversible_backward(void *y, void *z, deq_reversible *r, const deq_map *f, int steps)
{
    double c = 1 / (1 - r->beta);
    DEQ_TRY(check_map(r, f));
    for (int n = 0; n < steps; n++) {
        DEQ_TRY(mix(r, f, z, c, y, -r->beta * c));
        DEQ_TRY(mix(r, f, y, c, z, -r->beta * c));
    }
    return DEQ_OK;
}

deq_status deq_reversible_discrepancy(double *discrepancy, deq_reversible *r, const deq_map *f,
                                      const void *y0, const void *z0, int steps)
{
    size_t row = (size_t)r->dim * deq_dtype_size(r->v.dtype);
    deq_vectors one = { .dtype = r->v.dtype, .k = r->v.k, .threads = 1, .n = r->dim };
    deq_vector_copy(&r->v, r->back[0], y0);
    deq_vector_copy(&r->v, r->back[1], z0);
    DEQ_TRY(deq_reversible_forward(r->back[0], r->back[1], r, f, steps));
    DEQ_TRY(deq_reversible_backward(r->back[0], r->back[1], r, f, steps));
    for (int64_t k = 0; k < r->batch; k++) {
        size_t at = (size_t)k * row;
        char *y = (char *)r->back[0] + at, *z = (char *)r->back[1] + at;
        const char *y_true = (const char *)y0 + at, *z_true = (const char *)z0 + at;
        double size = deq_vector_dot(&one, y_true, y_true) + deq_vector_dot(&one, z_true, z_true);
        double gap = deq_vector_combine(&one, y, -1, y_true, 1) +
                     deq_vector_combine(&one, z, -1, z_true, 1);
        discrepancy[k] = size > 0 ? sqrt(gap / size) : sqrt(gap);
    }
    return DEQ_OK;
}
