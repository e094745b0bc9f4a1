/* SPDX-License-Identifier: MIT */
#include "model/layer_weight.h"

#include "nn/weights.h"

#include <deq/random.h>
#include <math.h>
#include <string.h>

#define TINY 1e-12      /* norms below this count as this, as in deq_weight_norm() */
#define POWER_STEPS 100 /* a loaded weight is converted once: the estimate may as well be good */

/* Names -------------------------------------------------------------------------------------- */

static const char *const part_names[DEQ_PART_COUNT] = { "weight", "weight_g", "weight_v",
                                                        "weight_orig", "weight_u" };

const char *deq_part_name(deq_layer_part part)
{
    return part_names[part];
}

deq_layer_part deq_part_of(const char *name, size_t *base)
{
    const char *dot = strrchr(name, '.'), *last = dot ? dot + 1 : name;
    *base = (size_t)(last - name);
    int part = 0;
    while (part < DEQ_PART_COUNT && strcmp(last, part_names[part]) != 0) part++;
    return (deq_layer_part)part;
}

deq_layer_form deq_form_of_parts(unsigned parts)
{
    const unsigned norm = DEQ_PART(DEQ_PART_G) | DEQ_PART(DEQ_PART_V);
    const unsigned spectral = DEQ_PART(DEQ_PART_ORIG) | DEQ_PART(DEQ_PART_U) | DEQ_PART(DEQ_PART_V);
    if (parts & DEQ_PART(DEQ_PART_ORIG))
        return (parts & spectral) == spectral ? DEQ_FORM_SPECTRAL : DEQ_FORM_NONE;
    if (parts & DEQ_PART(DEQ_PART_WEIGHT)) return DEQ_FORM_PLAIN;
    return (parts & norm) == norm ? DEQ_FORM_NORM : DEQ_FORM_NONE;
}

deq_layer_part deq_form_direction(deq_layer_form form)
{
    return form == DEQ_FORM_NORM       ? DEQ_PART_V
           : form == DEQ_FORM_SPECTRAL ? DEQ_PART_ORIG
                                       : DEQ_PART_WEIGHT;
}

/* Numbers ------------------------------------------------------------------------------------ */

double deq_tensor_number(const deq_archive_tensor *t, int64_t i)
{
    const char *at = (const char *)t->data + (size_t)i * deq_dtype_size(t->type.dtype);
    float f;
    double d;
    if (t->type.dtype == DEQ_F32) {
        memcpy(&f, at, sizeof f);
        return (double)f;
    }
    memcpy(&d, at, sizeof d);
    return d;
}

/* The part has one of two lengths. */
static deq_status check_count(deq_context *ctx, const deq_archive_tensor *t, int64_t a, int64_t b)
{
    int64_t n = deq_shape_count(&t->type.shape);
    if (n == a || n == b) return DEQ_OK;
    return deq_fail(ctx, DEQ_ERR_SHAPE, "state dictionary: a '%s' has %lld elements, expected %lld",
                    strrchr(t->name, '.') ? strrchr(t->name, '.') + 1 : t->name, (long long)n,
                    (long long)b);
}

/* Slices of a weight: an element of its first axis each. */
static int64_t rows_of(const deq_shape *shape)
{
    return shape->rank > 0 ? shape->dim[0] : 1;
}

/* u' W v */
static double sigma_of(const deq_archive_tensor *u, const deq_archive_tensor *v, const double *W,
                       int64_t rows, int64_t rest)
{
    double sum = 0;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < rest; k++)
            sum += deq_tensor_number(u, r) * W[r * rest + k] * deq_tensor_number(v, k);
    return sum;
}

deq_status deq_layer_effective(double *W, deq_context *ctx, deq_layer_form form,
                               const deq_archive_tensor *const part[DEQ_PART_COUNT],
                               const deq_shape *shape)
{
    const deq_archive_tensor *w = part[deq_form_direction(form)], *g = part[DEQ_PART_G];
    int64_t n = deq_shape_count(shape), rows = rows_of(shape), rest = n / rows;
    double sigma = 1;
    for (int64_t i = 0; i < n; i++) W[i] = deq_tensor_number(w, i);
    if (form == DEQ_FORM_PLAIN) return DEQ_OK; /* (1) */
    if (g) DEQ_TRY(check_count(ctx, g, form == DEQ_FORM_NORM ? rows : 1, rows));
    if (form == DEQ_FORM_SPECTRAL) {
        DEQ_TRY(check_count(ctx, part[DEQ_PART_U], rows, rows));
        DEQ_TRY(check_count(ctx, part[DEQ_PART_V], rest, rest));
        sigma = fmax(sigma_of(part[DEQ_PART_U], part[DEQ_PART_V], W, rows, rest), TINY);
    }
    for (int64_t r = 0; r < rows; r++) {
        double *row = W + r * rest, norm = 0, scale = 1;
        for (int64_t k = 0; k < rest; k++) norm += row[k] * row[k];
        norm = form == DEQ_FORM_NORM ? fmax(sqrt(norm), TINY) : sigma;
        if (g) scale = deq_tensor_number(g, deq_shape_count(&g->type.shape) == rows ? r : 0);
        for (int64_t k = 0; k < rest; k++) row[k] *= scale / norm; /* (2), (3) */
    }
    return DEQ_OK;
}

/* |W|_2 for weight_g, or a singular vector. */
static deq_status spectral_part(double *out, int64_t count, deq_context *ctx, deq_layer_part part,
                                const double *W, const deq_shape *shape)
{
    int64_t rows = rows_of(shape), rest = deq_shape_count(shape) / rows;
    size_t bytes = (size_t)(rows + rest) * sizeof(double);
    double *u = deq_alloc(ctx, bytes);
    if (!u) return DEQ_ERR_NOMEM;
    deq_random_key key = { 0, 0, 0 };
    deq_status status = deq_draw_normal(u, DEQ_F64, rows, key, 0, 1);
    double sigma = deq_power_iteration(u, u + rows, W, DEQ_F64, shape, 0, POWER_STEPS);
    for (int64_t i = 0; i < count; i++)
        out[i] = part == DEQ_PART_G ? sigma : part == DEQ_PART_U ? u[i] : u[rows + i];
    deq_release(ctx, u, bytes);
    return status;
}

deq_status deq_layer_decompose(double *out, int64_t count, deq_context *ctx, deq_layer_form form,
                               deq_layer_part part, const double *W, const deq_shape *shape)
{
    bool spectral = form == DEQ_FORM_SPECTRAL;
    int64_t n = deq_shape_count(shape), rows = rows_of(shape), expected = rows;
    if (part == deq_form_direction(form))
        expected = n;
    else if (part == DEQ_PART_V)
        expected = n / rows;
    else if (part == DEQ_PART_G && spectral && count == 1)
        expected = 1;
    if (count != expected || shape->rank < 1)
        return deq_fail(
            ctx, DEQ_ERR_SHAPE,
            "state dictionary: a '%s' of %lld elements belongs to no weight of %lld slices",
            deq_part_name(part), (long long)count, (long long)rows);
    if (part == deq_form_direction(form))
        memcpy(out, W, (size_t)count * sizeof *out);
    else if (spectral)
        return spectral_part(out, count, ctx, part, W, shape);
    else
        deq_slice_norms(out, W, DEQ_F64, shape, 0);
    return DEQ_OK;
}
