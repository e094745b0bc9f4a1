/* SPDX-License-Identifier: MIT */
/*
 * Lipschitz ratios of successive evaluations,  |f(z_k) - f(z_{k-1})| / |z_k - z_{k-1}|,  seen by a
 * map that stands between a solver and the map that it solves.
 */
#include "base/context.h"
#include "solver/vector.h"

#include <deq/spectral.h>
#include <math.h>

typedef struct watched {
    bool seen; /* the previous z and f(z) are there */
    double sum_log;
    deq_contraction_info info;
} watched;

struct deq_contraction {
    deq_context *ctx;
    deq_map map;
    deq_vectors one;
    int64_t batch;
    watched *sample;
    char *z, *fz, *difference; /* [batch, dim], [batch, dim], [dim] */
    size_t bytes;              /* of z and of fz */
};

static deq_status eval(void *user, void *fz, const void *z, const int64_t *samples, int64_t n)
{
    deq_contraction *c = user;
    size_t row = deq_vector_bytes(&c->one);
    DEQ_TRY(c->map.eval(c->map.user, fz, z, samples, n));
    for (int64_t i = 0; i < n; i++) {
        watched *w = &c->sample[samples[i]];
        char *z0 = c->z + (size_t)samples[i] * row, *f0 = c->fz + (size_t)samples[i] * row;
        const char *z1 = (const char *)z + (size_t)i * row, *f1 = (char *)fz + (size_t)i * row;
        double dz = 0, df = 0;
        if (w->seen) {
            dz = sqrt(deq_vector_sum(&c->one, c->difference, 1, z1, -1, z0));
            df = sqrt(deq_vector_sum(&c->one, c->difference, 1, f1, -1, f0));
        }
        if (dz > 0 && isfinite(df)) {
            w->info.last = df / dz;
            w->info.largest = fmax(w->info.largest, w->info.last);
            w->sum_log += log(w->info.last);
            w->info.n++;
        }
        deq_vector_copy(&c->one, z0, z1);
        deq_vector_copy(&c->one, f0, f1);
        w->seen = true;
    }
    return DEQ_OK;
}

static deq_status linearise(void *user, const void *z, const int64_t *samples, int64_t n)
{
    const deq_contraction *c = user;
    return c->map.linearise(c->map.user, z, samples, n);
}

static deq_status jvp(void *user, void *jv, const void *v, const int64_t *samples, int64_t n)
{
    const deq_contraction *c = user;
    return c->map.jvp(c->map.user, jv, v, samples, n);
}

static deq_status vjp(void *user, void *vj, const void *v, const int64_t *samples, int64_t n)
{
    const deq_contraction *c = user;
    return c->map.vjp(c->map.user, vj, v, samples, n);
}

deq_map deq_contraction_map(deq_contraction *c)
{
    return (deq_map){ .struct_size = sizeof(deq_map),
                      .eval = eval,
                      .linearise = c->map.linearise ? linearise : NULL,
                      .jvp = c->map.jvp ? jvp : NULL,
                      .vjp = c->map.vjp ? vjp : NULL,
                      .user = c,
                      .partial = c->map.partial };
}

deq_status deq_contraction_new(deq_contraction **out, deq_context *ctx, const deq_map *map,
                               deq_dtype dtype, int64_t batch, int64_t dim)
{
    *out = NULL;
    if (dtype != DEQ_F32 && dtype != DEQ_F64)
        return deq_fail(ctx, DEQ_ERR_DTYPE, "contraction: dtype %s, expected f32 or f64",
                        deq_dtype_name(dtype));
    if (batch < 1 || dim < 1 || map->struct_size != sizeof *map || !map->eval)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "contraction: batch %lld, dim %lld, or no eval",
                        (long long)batch, (long long)dim);
    deq_contraction *c = deq_alloc(ctx, sizeof *c);
    if (!c) return DEQ_ERR_NOMEM;
    *c = (deq_contraction){
        .ctx = ctx, .map = *map, .one = { .dtype = dtype, .threads = 1, .n = dim }, .batch = batch
    };
    if (deq_size_mul(&c->bytes, (size_t)batch, (size_t)dim) &&
        deq_size_mul(&c->bytes, c->bytes, deq_dtype_size(dtype))) {
        c->sample = deq_alloc_array(ctx, (size_t)batch, sizeof *c->sample);
        c->z = deq_alloc(ctx, c->bytes);
        c->fz = deq_alloc(ctx, c->bytes);
        c->difference = deq_alloc(ctx, deq_vector_bytes(&c->one));
    }
    if (!c->sample || !c->z || !c->fz || !c->difference) {
        deq_contraction_free(c);
        return DEQ_ERR_NOMEM;
    }
    *out = c;
    return DEQ_OK;
}

void deq_contraction_free(deq_contraction *c)
{
    if (!c) return;
    deq_release(c->ctx, c->sample, (size_t)c->batch * sizeof *c->sample);
    deq_release(c->ctx, c->z, c->bytes);
    deq_release(c->ctx, c->fz, c->bytes);
    deq_release(c->ctx, c->difference, deq_vector_bytes(&c->one));
    deq_release(c->ctx, c, sizeof *c);
}

deq_contraction_info deq_contraction_of(const deq_contraction *c, int64_t sample)
{
    if (sample < 0 || sample >= c->batch) return (deq_contraction_info){ 0 };
    deq_contraction_info info = c->sample[sample].info;
    if (info.n) info.mean = exp(c->sample[sample].sum_log / (double)info.n);
    return info;
}

void deq_contraction_clear(deq_contraction *c)
{
    for (int64_t b = 0; b < c->batch; b++) c->sample[b] = (watched){ 0 };
}
