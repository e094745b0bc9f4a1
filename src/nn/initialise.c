/* SPDX-License-Identifier: MIT */
/*
 * Initial values.  Element i of weight n is a function of (seed, n, i): the stream of its draws is a
 * number made from its name.
 *
 *   fan in       u / sqrt(k),  u uniform in [-value, value) or normal, k elements of a slice
 *   slice norm   value |w_r|   for the slices w_r of another weight
 *   singular     value u, value v  of another weight W2 by  v <- W2' u / |.|,  u <- W2 v / |.|
 *
 * The last two read another weight, so they come second.
 */
#include "nn/weights.h"

#include <deq/random.h>
#include <math.h>
#include <string.h>

/* Power iterations of an initial singular vector: as many as bring the estimate of |W2| of random
 * weights within a few per cent; training goes on from there. */
#define SINGULAR_STEPS 30

int64_t deq_name_stream(const char *kind, const char *name)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (const char *s = kind; *s; s++) h = (h ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
    h = (h ^ 0xff) * UINT64_C(0x100000001b3); /* no byte of a text */
    for (const char *s = name; *s; s++) h = (h ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
    h = (h ^ (h >> 30)) * UINT64_C(0xbf58476d1ce4e5b9); /* the finaliser of splitmix64 */
    h = (h ^ (h >> 27)) * UINT64_C(0x94d049bb133111eb);
    h ^= h >> 31;
    return (int64_t)(h >> 2); /* room above for who takes several streams in a row */
}

/* Slices ------------------------------------------------------------------------------------- */

/* w [before, rows, behind]; a slice has `rest` = before * behind elements. */
typedef struct slices {
    const void *w;
    deq_dtype dtype;
    int64_t before, rows, behind, rest;
} slices;

static slices slices_of(const void *w, deq_dtype dtype, const deq_shape *shape, int axis)
{
    slices s = { w, dtype, 1, shape->dim[axis], 1, 1 };
    for (int i = 0; i < axis; i++) s.before *= shape->dim[i];
    for (int i = axis + 1; i < shape->rank; i++) s.behind *= shape->dim[i];
    s.rest = s.before * s.behind;
    return s;
}

/* The piece of slice r that lies together, the b-th of `before`: its first element. */
static int64_t piece(const slices *s, int64_t r, int64_t b)
{
    return (b * s->rows + r) * s->behind;
}

static double element(const slices *s, int64_t at)
{
    return s->dtype == DEQ_F32 ? (double)((const float *)s->w)[at] : ((const double *)s->w)[at];
}

/* w_r . x */
static double dot(const slices *s, int64_t r, const double *x)
{
    double sum = 0;
    for (int64_t b = 0; b < s->before; b++)
        for (int64_t j = 0; j < s->behind; j++)
            sum += element(s, piece(s, r, b) + j) * x[b * s->behind + j];
    return sum;
}

/* x += c w_r */
static void add(const slices *s, int64_t r, double c, double *x)
{
    for (int64_t b = 0; b < s->before; b++)
        for (int64_t j = 0; j < s->behind; j++)
            x[b * s->behind + j] += c * element(s, piece(s, r, b) + j);
}

void deq_slice_norms(double *norm, const void *w, deq_dtype dtype, const deq_shape *shape, int axis)
{
    slices s = slices_of(w, dtype, shape, axis);
    for (int64_t r = 0; r < s.rows; r++) {
        double sum = 0;
        for (int64_t b = 0; b < s.before; b++)
            for (int64_t j = 0; j < s.behind; j++) {
                double x = element(&s, piece(&s, r, b) + j);
                sum += x * x;
            }
        norm[r] = sqrt(sum);
    }
}

/* x / |x|; the norm. */
static double normalise(double *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i] * x[i];
    double norm = sqrt(sum);
    for (int64_t i = 0; i < n && norm > 0; i++) x[i] /= norm;
    return norm;
}

double deq_power_iteration(double *u, double *v, const void *w, deq_dtype dtype,
                           const deq_shape *shape, int axis, int steps)
{
    slices s = slices_of(w, dtype, shape, axis);
    double sigma = 0;
    for (int step = 0; step < steps; step++) {
        for (int64_t k = 0; k < s.rest; k++) v[k] = 0;
        for (int64_t r = 0; r < s.rows; r++) add(&s, r, u[r], v);
        normalise(v, s.rest);
        for (int64_t r = 0; r < s.rows; r++) u[r] = dot(&s, r, v);
        sigma = normalise(u, s.rows);
    }
    return sigma;
}

/* Laws --------------------------------------------------------------------------------------- */

/* One weight on its way. */
typedef struct target {
    deq_weights *w;
    deq_parameter_info info;
    deq_init init;
    void *values;
    deq_dtype dtype;
    uint64_t seed;
} target;

static void put(void *values, deq_dtype dtype, int64_t i, double x)
{
    if (dtype == DEQ_F32)
        ((float *)values)[i] = (float)x;
    else
        ((double *)values)[i] = x;
}

static deq_status misfit(const target *t, const char *what)
{
    return deq_fail(t->w->ctx, DEQ_ERR_SHAPE, "weight '%s': its initial law does not fit: %s",
                    t->info.name, what);
}

/* The weight that the law names, with its slices; without a name, the weight itself. */
static deq_status other(const target *t, slices *s, deq_shape *shape, const void **values)
{
    deq_weight_place at = deq_weights_find(t->w, t->init.of ? t->init.of : t->info.name);
    if (!at.store)
        return deq_fail(t->w->ctx, DEQ_ERR_NAME,
                        "weight '%s': its initial law names '%s', which is unknown", t->info.name,
                        t->init.of);
    *shape = deq_parameters_info(at.store, at.index).shape;
    *values = deq_parameters_values(at.store, at.index);
    if (t->init.axis < 0 || t->init.axis >= shape->rank)
        return misfit(t, "the other weight has no such axis");
    *s = slices_of(*values, t->dtype, shape, t->init.axis);
    return DEQ_OK;
}

/* Laws that read no other weight's values. */
static deq_status draw(const target *t)
{
    deq_random_key key = { t->seed, 0, (uint64_t)deq_name_stream("initial", t->info.name) };
    double value = t->init.value;
    slices s;
    deq_shape shape;
    const void *unused;
    if (t->init.law == DEQ_INIT_FAN_IN || t->init.law == DEQ_INIT_FAN_IN_NORMAL) {
        DEQ_TRY(other(t, &s, &shape, &unused));
        value /= sqrt((double)s.rest);
    }
    switch (t->init.law) {
    case DEQ_INIT_CONSTANT:
        for (int64_t i = 0; i < t->info.count; i++) put(t->values, t->dtype, i, value);
        return DEQ_OK;
    case DEQ_INIT_NORMAL:
    case DEQ_INIT_FAN_IN_NORMAL:
        return deq_draw_normal(t->values, t->dtype, t->info.count, key, 0, value);
    default: return deq_draw_uniform(t->values, t->dtype, t->info.count, key, -value, value);
    }
}

static deq_status slice_norm(const target *t)
{
    slices s;
    deq_shape shape;
    const void *values;
    DEQ_TRY(other(t, &s, &shape, &values));
    if (s.rows != t->info.count) return misfit(t, "an element for each slice of the other weight");
    double *norm = deq_alloc_array(t->w->ctx, (size_t)s.rows, sizeof *norm);
    if (!norm) return DEQ_ERR_NOMEM;
    deq_slice_norms(norm, values, t->dtype, &shape, t->init.axis);
    for (int64_t r = 0; r < s.rows; r++) put(t->values, t->dtype, r, t->init.value * norm[r]);
    deq_release(t->w->ctx, norm, (size_t)s.rows * sizeof *norm);
    return DEQ_OK;
}

static deq_status singular(const target *t)
{
    slices s;
    deq_shape shape;
    const void *values;
    DEQ_TRY(other(t, &s, &shape, &values));
    bool left = t->init.law == DEQ_INIT_LEFT_SINGULAR;
    int64_t n = left ? s.rows : s.rest;
    if (n != t->info.count)
        return misfit(t, "a singular vector of the other weight has not so many");
    size_t bytes = (size_t)(s.rows + s.rest) * sizeof(double);
    double *u = deq_alloc(t->w->ctx, bytes);
    if (!u) return DEQ_ERR_NOMEM;
    double *v = u + s.rows, *x = left ? u : v;
    deq_random_key key = { t->seed, 0, (uint64_t)deq_name_stream("singular", t->init.of) };
    deq_status status = deq_draw_normal(u, DEQ_F64, s.rows, key, 0, 1);
    deq_power_iteration(u, v, values, t->dtype, &shape, t->init.axis, SINGULAR_STEPS);
    for (int64_t i = 0; i < n; i++) put(t->values, t->dtype, i, t->init.value * x[i]);
    deq_release(t->w->ctx, u, bytes);
    return status;
}

static deq_status initialise(deq_weights *w, deq_weight_place at, uint64_t seed, bool second)
{
    const deq_laws *laws = at.trained ? &w->parameter_laws : &w->buffer_laws;
    target t = { w,
                 deq_parameters_info(at.store, at.index),
                 laws->law[at.index],
                 deq_parameters_values(at.store, at.index),
                 deq_parameters_dtype(at.store),
                 seed };
    if ((t.init.law >= DEQ_INIT_SLICE_NORM) != second) return DEQ_OK;
    if (!second) return draw(&t);
    return t.init.law == DEQ_INIT_SLICE_NORM ? slice_norm(&t) : singular(&t);
}

deq_status deq_weights_initialise(deq_weights *w, uint64_t seed)
{
    if (!deq_weights_allocated(w))
        return deq_fail(w->ctx, DEQ_ERR_STATE, "weights: initial values before the allocation");
    for (int second = 0; second < 2; second++)
        for (int i = 0; i < deq_weights_count(w); i++)
            DEQ_TRY(initialise(w, deq_weights_at(w, i), seed, second != 0));
    return DEQ_OK;
}
