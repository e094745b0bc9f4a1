/* SPDX-License-Identifier: MIT */
/*
 * Spectral radius and norm of J from products, every sample for itself.
 *
 *   power     y = v J,  g_k = log(|y| / |v|),  v = y / |y|
 *             radius ~ exp(mean of g over the second half of the steps)                     (1)
 *   Arnoldi   J V_m = V_m H + h e_m',  V_m orthonormal by Gram-Schmidt, twice              (2)
 *             radius ~ the largest |eigenvalue of H|
 *   norm      u = J v, sigma = |u| / |v|, v = u J / |u J|                                   (3)
 *
 * The whole batch is multiplied each time; a sample that is finished keeps its result.
 */
#include "base/context.h"
#include "implicit/hessenberg.h"
#include "solver/vector.h"

#include <deq/random.h>
#include <deq/spectral.h>
#include <math.h>
#include <string.h>

/* An estimate is believed when so many in a row lie within tol of each other. */
#define STEADY 5

deq_spectral_options deq_spectral_defaults(void)
{
    return (deq_spectral_options){
        .struct_size = sizeof(deq_spectral_options), .max_iter = 100, .tol = 1e-3, .subspace = 30
    };
}

/* The batch, and the memory of one estimate. */
typedef struct rows {
    deq_context *ctx;
    const deq_map *map;
    deq_spectral_options o;
    deq_vectors one; /* a sample's row */
    int64_t batch;
    int64_t *samples; /* 0, 1, ... */
    char *memory;
    size_t bytes, vector; /* of memory, of one vector of the batch */
} rows;

static char *vector(const rows *r, int i)
{
    return r->memory + (size_t)i * r->vector;
}

/* Sample b of a vector of the batch. */
static void *row(const rows *r, char *v, int64_t b)
{
    return v + (size_t)b * deq_vector_bytes(&r->one);
}

typedef deq_status product_fn(void *user, void *out, const void *v, const int64_t *samples,
                              int64_t n);

static deq_status multiply(const rows *r, product_fn *product, void *out, const void *v)
{
    return product(r->map->user, out, v, r->samples, r->batch);
}

static product_fn *choose(const rows *r)
{
    if (r->o.forward || !r->map->vjp) return r->map->jvp;
    return r->map->vjp;
}

/* Checks and memory -------------------------------------------------------------------------- */

static deq_status check(const rows *r, deq_dtype dtype, int64_t dim)
{
    const deq_spectral_options *o = &r->o;
    if (dtype != DEQ_F32 && dtype != DEQ_F64)
        return deq_fail(r->ctx, DEQ_ERR_DTYPE, "spectral: dtype %s, expected f32 or f64",
                        deq_dtype_name(dtype));
    if (r->batch < 1 || dim < 1)
        return deq_fail(r->ctx, DEQ_ERR_ARGUMENT, "spectral: batch %lld, dim %lld",
                        (long long)r->batch, (long long)dim);
    if (o->struct_size != sizeof *o || o->max_iter < 1 || !(o->tol >= 0) || o->subspace < 1 ||
        o->subspace > DEQ_SUBSPACE_MAX)
        return deq_fail(r->ctx, DEQ_ERR_ARGUMENT,
                        "spectral: options out of range (struct_size %zu, max_iter %d, tol %g, "
                        "subspace %d)",
                        o->struct_size, o->max_iter, o->tol, o->subspace);
    return DEQ_OK;
}

static void rows_end(rows *r)
{
    deq_release(r->ctx, r->memory, r->bytes);
    deq_release(r->ctx, r->samples, (size_t)r->batch * sizeof *r->samples);
}

/* Room for n_vectors of the batch; J is taken at z from here on. */
static deq_status rows_begin(rows *r, const void *z, deq_dtype dtype, int64_t dim, int n_vectors)
{
    DEQ_TRY(check(r, dtype, dim));
    if (!choose(r)) return deq_fail(r->ctx, DEQ_ERR_ARGUMENT, "spectral: the map has no product");
    r->one = (deq_vectors){ .dtype = dtype, .threads = deq_context_threads(r->ctx), .n = dim };
    bool fits = deq_size_mul(&r->vector, (size_t)r->batch, (size_t)dim) &&
                deq_size_mul(&r->vector, r->vector, deq_dtype_size(dtype)) &&
                deq_size_add(&r->vector, r->vector, DEQ_ALIGNMENT - 1);
    r->vector = r->vector / DEQ_ALIGNMENT * DEQ_ALIGNMENT;
    if (!fits || !deq_size_mul(&r->bytes, r->vector, (size_t)n_vectors))
        return deq_fail(r->ctx, DEQ_ERR_OVERFLOW, "spectral: %d vectors of [%lld, %lld]", n_vectors,
                        (long long)r->batch, (long long)dim);
    r->samples = deq_alloc_array(r->ctx, (size_t)r->batch, sizeof *r->samples);
    r->memory = deq_alloc(r->ctx, r->bytes);
    deq_status status = r->samples && r->memory ? DEQ_OK : DEQ_ERR_NOMEM;
    for (int64_t b = 0; status == DEQ_OK && b < r->batch; b++) r->samples[b] = b;
    if (status == DEQ_OK && z && r->map->linearise) {
        memcpy(r->memory, z, (size_t)r->batch * deq_vector_bytes(&r->one));
        status = r->map->linearise(r->map->user, r->memory, r->samples, r->batch);
    }
    if (status != DEQ_OK) rows_end(r);
    return status;
}

/* v = v / |v|, by sample; a zero vector stays. */
static void normalise(const rows *r, char *v)
{
    for (int64_t b = 0; b < r->batch; b++) {
        double norm = deq_vector_norm(&r->one, row(r, v, b));
        if (norm > 0) deq_vector_combine(&r->one, row(r, v, b), 1 / norm, row(r, v, b), 0);
    }
}

static void random_start(const rows *r, char *v)
{
    deq_random_key key = { .seed = r->o.seed };
    deq_draw_normal(v, r->one.dtype, r->batch * r->one.n, key, 0, 1);
    normalise(r, v);
}

static void clear(deq_spectral_info *info, int64_t batch)
{
    for (int64_t b = 0; b < batch; b++) info[b] = (deq_spectral_info){ 0 };
}

static bool all_finished(const bool *finished, int64_t batch)
{
    for (int64_t b = 0; b < batch; b++)
        if (!finished[b]) return false;
    return true;
}

/* Power iteration ---------------------------------------------------------------------------- */

/* sum[k] = g_1 + ... + g_k of one sample; (1). */
static double growth(const double *sum, int k)
{
    int from = k / 2;
    return exp((sum[k] - sum[from]) / (k - from));
}

static bool is_steady(const double *sum, int k, double tol)
{
    if (k < 2 * STEADY || tol == 0) return false;
    double now = growth(sum, k);
    for (int i = 1; i < STEADY; i++)
        if (fabs(growth(sum, k - i) - now) > tol * now) return false;
    return true;
}

/* One step of one sample: v <- y / |y|.  True when the sample is finished. */
static bool power_step(const rows *r, deq_spectral_info *info, double *sum, int k, void *v, void *y)
{
    double length = deq_vector_norm(&r->one, v), grown = deq_vector_norm(&r->one, y);
    info->n_apply++;
    info->real = deq_vector_dot(&r->one, y, v) / (length * length);
    if (!(isfinite(grown) && grown > 0)) {
        info->value = grown == 0 ? 0 : NAN;
        info->converged = grown == 0;
        return true;
    }
    sum[k] = sum[k - 1] + log(grown / length);
    info->value = growth(sum, k);
    deq_vector_combine(&r->one, v, 1 / grown, y, 0);
    info->converged = is_steady(sum, k, r->o.tol);
    return info->converged;
}

static deq_status power(const rows *r, deq_spectral_info *info, double *sums, bool *finished)
{
    char *v = vector(r, 0), *y = vector(r, 1);
    for (int k = 1; k <= r->o.max_iter && !all_finished(finished, r->batch); k++) {
        DEQ_TRY(multiply(r, choose(r), y, v));
        for (int64_t b = 0; b < r->batch; b++)
            if (!finished[b])
                finished[b] = power_step(r, &info[b], sums + b * (r->o.max_iter + 1), k,
                                         row(r, v, b), row(r, y, b));
    }
    return DEQ_OK;
}

deq_status deq_spectral_power(deq_spectral_info *info, void *v, deq_context *ctx,
                              const deq_map *map, const void *z, deq_dtype dtype, int64_t batch,
                              int64_t dim, const deq_spectral_options *options)
{
    rows r = { .ctx = ctx, .map = map, .batch = batch };
    r.o = options ? *options : deq_spectral_defaults();
    DEQ_TRY(rows_begin(&r, z, dtype, dim, 2));
    size_t n = (size_t)batch, bytes = n * deq_vector_bytes(&r.one);
    size_t width = (size_t)r.o.max_iter + 1;
    double *sums = deq_alloc_array(ctx, n, width * sizeof *sums);
    bool *finished = deq_alloc_array(ctx, n, sizeof *finished);
    deq_status status = sums && finished ? DEQ_OK : DEQ_ERR_NOMEM;
    if (v)
        memcpy(vector(&r, 0), v, bytes);
    else
        random_start(&r, vector(&r, 0));
    clear(info, batch);
    if (status == DEQ_OK) status = power(&r, info, sums, finished);
    if (status == DEQ_OK && v) memcpy(v, vector(&r, 0), bytes);
    deq_release(ctx, finished, n * sizeof *finished);
    deq_release(ctx, sums, n * width * sizeof *sums);
    rows_end(&r);
    return status;
}

/* Arnoldi ------------------------------------------------------------------------------------ */

/* Column j of H and the next basis vector, from w = J v_j; (2).  False when the space is closed. */
static bool orthogonalise(const rows *r, double *h, int width, int j, int64_t b)
{
    void *w = row(r, vector(r, j + 1), b);
    double before = deq_vector_norm(&r->one, w);
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i <= j; i++) {
            void *v = row(r, vector(r, i), b);
            double c = deq_vector_dot(&r->one, v, w);
            deq_vector_combine(&r->one, w, -c, v, 1);
            h[i * width + j] += c;
        }
    double after = deq_vector_norm(&r->one, w);
    double floor = (r->one.dtype == DEQ_F32 ? 1e-6 : 1e-14) * before;
    if (!(after > floor)) {
        deq_vector_zero(&r->one, w);
        return false;
    }
    h[(j + 1) * width + j] = after;
    deq_vector_combine(&r->one, w, 1 / after, w, 0);
    return true;
}

/* The largest eigenvalue of the leading m x m part of H. */
static void largest(deq_spectral_info *info, const double *h, int width, int m)
{
    double copy[DEQ_SUBSPACE_MAX * DEQ_SUBSPACE_MAX], re[DEQ_SUBSPACE_MAX], im[DEQ_SUBSPACE_MAX];
    for (int i = 0; i < m; i++) memcpy(copy + i * m, h + i * width, (size_t)m * sizeof *copy);
    info->value = info->real = info->imag = NAN;
    if (!deq_hessenberg_eigenvalues(copy, m, m, re, im)) return;
    info->value = 0;
    for (int i = 0; i < m; i++) {
        if (hypot(re[i], im[i]) < info->value) continue;
        info->value = hypot(re[i], im[i]);
        info->real = re[i];
        info->imag = fabs(im[i]);
    }
}

static bool is_finite_column(const double *h, int width, int j)
{
    for (int i = 0; i <= j; i++)
        if (!isfinite(h[i * width + j])) return false;
    return true;
}

/* After column j of sample b: is it done? */
static bool arnoldi_step(const rows *r, deq_spectral_info *info, double *h, int width, int j,
                         int64_t b)
{
    double before = info->value;
    bool open = orthogonalise(r, h, width, j, b);
    info->n_apply++;
    if (!is_finite_column(h, width, j)) {
        info->value = NAN;
        return true;
    }
    largest(info, h, width, j + 1);
    bool whole = j + 1 == r->one.n || !open;
    bool steady = j > 0 && r->o.tol > 0 && fabs(info->value - before) <= r->o.tol * info->value;
    info->converged = whole || steady;
    return whole;
}

static deq_status arnoldi(const rows *r, deq_spectral_info *info, double *h, bool *finished, int m)
{
    int width = m + 1;
    random_start(r, vector(r, 0));
    for (int j = 0; j < m && !all_finished(finished, r->batch); j++) {
        DEQ_TRY(multiply(r, choose(r), vector(r, j + 1), vector(r, j)));
        for (int64_t b = 0; b < r->batch; b++) {
            if (finished[b]) /* any finite vector will do for it */
                deq_vector_zero(&r->one, row(r, vector(r, j + 1), b));
            else
                finished[b] = arnoldi_step(r, &info[b], h + b * width * width, width, j, b);
        }
    }
    return DEQ_OK;
}

deq_status deq_spectral_arnoldi(deq_spectral_info *info, deq_context *ctx, const deq_map *map,
                                const void *z, deq_dtype dtype, int64_t batch, int64_t dim,
                                const deq_spectral_options *options)
{
    rows r = { .ctx = ctx, .map = map, .batch = batch };
    r.o = options ? *options : deq_spectral_defaults();
    int m = dim < r.o.subspace ? (int)dim : r.o.subspace;
    DEQ_TRY(rows_begin(&r, z, dtype, dim, m + 1));
    size_t n = (size_t)batch, square = (size_t)(m + 1) * (size_t)(m + 1);
    double *h = deq_alloc_array(ctx, n, square * sizeof *h);
    bool *finished = deq_alloc_array(ctx, n, sizeof *finished);
    deq_status status = h && finished ? DEQ_OK : DEQ_ERR_NOMEM;
    clear(info, batch);
    if (status == DEQ_OK) status = arnoldi(&r, info, h, finished, m);
    deq_release(ctx, finished, n * sizeof *finished);
    deq_release(ctx, h, n * square * sizeof *h);
    rows_end(&r);
    return status;
}

/* Norm --------------------------------------------------------------------------------------- */

/* After u = J v and w = u J of one sample: v <- w / |w|. */
static bool norm_step(const rows *r, deq_spectral_info *info, int k, void *v, const void *u,
                      const void *w)
{
    double before = info->value, length = deq_vector_norm(&r->one, w);
    info->value = deq_vector_norm(&r->one, u); /* (3) */
    info->n_apply += 2;
    if (!isfinite(length) || !isfinite(info->value)) {
        info->value = NAN;
        return true;
    }
    if (length > 0) deq_vector_combine(&r->one, v, 1 / length, w, 0);
    info->converged = length == 0 ||
                      (k > 1 && r->o.tol > 0 && info->value - before <= r->o.tol * info->value);
    return info->converged;
}

static deq_status norm(const rows *r, deq_spectral_info *info, bool *finished)
{
    char *v = vector(r, 0), *u = vector(r, 1), *w = vector(r, 2);
    random_start(r, v);
    for (int k = 1; k <= r->o.max_iter && !all_finished(finished, r->batch); k++) {
        DEQ_TRY(multiply(r, r->map->jvp, u, v));
        DEQ_TRY(multiply(r, r->map->vjp, w, u));
        for (int64_t b = 0; b < r->batch; b++)
            if (!finished[b])
                finished[b] = norm_step(r, &info[b], k, row(r, v, b), row(r, u, b), row(r, w, b));
    }
    return DEQ_OK;
}

deq_status deq_jacobian_norm(deq_spectral_info *info, deq_context *ctx, const deq_map *map,
                             const void *z, deq_dtype dtype, int64_t batch, int64_t dim,
                             const deq_spectral_options *options)
{
    rows r = { .ctx = ctx, .map = map, .batch = batch };
    r.o = options ? *options : deq_spectral_defaults();
    if (!map->jvp || !map->vjp)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "jacobian norm: the map has no %s",
                        map->jvp ? "vjp" : "jvp");
    DEQ_TRY(rows_begin(&r, z, dtype, dim, 3));
    bool *finished = deq_alloc_array(ctx, (size_t)batch, sizeof *finished);
    clear(info, batch);
    deq_status status = finished ? norm(&r, info, finished) : DEQ_ERR_NOMEM;
    deq_release(ctx, finished, (size_t)batch * sizeof *finished);
    rows_end(&r);
    return status;
}
