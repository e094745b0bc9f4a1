/* SPDX-License-Identifier: MIT */
/*
 * The weight of a layer in state dictionaries: what it is in each of its forms, from one form to
 * another.
 *
 *   plain     W = weight                                                               (1)
 *   norm      W = weight_v . weight_g / |weight_v|          slice by slice             (2)
 *   spectral  W = weight_orig . weight_g / (u' weight_orig v)                          (3)
 */
#ifndef DEQ_MODEL_LAYER_WEIGHT_H
#define DEQ_MODEL_LAYER_WEIGHT_H

#include "base/context.h"

#include <deq/io/archive.h>

/* The parts of a weight; their names end so. */
typedef enum deq_layer_part {
    DEQ_PART_WEIGHT = 0, /* "weight" */
    DEQ_PART_G,          /* "weight_g" */
    DEQ_PART_V,          /* "weight_v": the direction of (2), the right vector of (3) */
    DEQ_PART_ORIG,       /* "weight_orig" */
    DEQ_PART_U,          /* "weight_u" */
    DEQ_PART_COUNT
} deq_layer_part;

/* Parts present, as bits. */
#define DEQ_PART(p) (1u << (p))

typedef enum deq_layer_form {
    DEQ_FORM_NONE = 0, /* not a whole weight */
    DEQ_FORM_PLAIN,
    DEQ_FORM_NORM,
    DEQ_FORM_SPECTRAL
} deq_layer_form;

const char *deq_part_name(deq_layer_part part);
/* The part that a name is, and the length of what stands before it; DEQ_PART_COUNT if it is none. */
deq_layer_part deq_part_of(const char *name, size_t *base);
deq_layer_form deq_form_of_parts(unsigned parts);
/* The part whose shape is that of W. */
deq_layer_part deq_form_direction(deq_layer_form form);

/* Element i of a tensor of f32 or f64. */
double deq_tensor_number(const deq_archive_tensor *t, int64_t i);

/* W [shape] from the parts of a form; absent parts are NULL.  The direction is of W's shape (extents
 * of 1 aside); other parts that do not fit are refused. */
deq_status deq_layer_effective(double *W, deq_context *ctx, deq_layer_form form,
                               const deq_archive_tensor *const part[DEQ_PART_COUNT],
                               const deq_shape *shape);

/* A part [count] of a form from W [shape]: weight_v and weight_orig are W itself, weight_g the norms,
 * weight_u and weight_v of (3) its singular vectors. */
deq_status deq_layer_decompose(double *out, int64_t count, deq_context *ctx, deq_layer_form form,
                               deq_layer_part part, const double *W, const deq_shape *shape);

#endif
