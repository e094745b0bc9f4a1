/* SPDX-License-Identifier: MIT */
/* Weights from inside. */
#ifndef DEQ_NN_WEIGHTS_H
#define DEQ_NN_WEIGHTS_H

#include "base/context.h"

#include <deq/weights.h>

/* The laws of one store's weights, in its order; `of` is owned. */
typedef struct deq_laws {
    deq_init *law;
    size_t capacity;
} deq_laws;

struct deq_weights {
    deq_context *ctx;
    deq_parameters *parameters, *buffers;
    deq_laws parameter_laws, buffer_laws;
};

deq_context *deq_weights_context(const deq_weights *w);
bool deq_weights_allocated(const deq_weights *w);

/* Where a weight is, by its full name; store NULL if there is none. */
typedef struct deq_weight_place {
    deq_parameters *store;
    int index;
    bool trained;
} deq_weight_place;

deq_weight_place deq_weights_find(const deq_weights *w, const char *name);
/* Parameters first, then buffers: how many, and the i-th. */
int deq_weights_count(const deq_weights *w);
deq_weight_place deq_weights_at(const deq_weights *w, int i);
/* The nearest known name, or NULL. */
const char *deq_weights_nearest(const deq_weights *w, const char *name);

/* A number of 62 bits for a name, the same everywhere: FNV-1a, mixed. */
int64_t deq_name_stream(const char *kind, const char *name);

/* [rows] norms of the slices of w along an axis, as doubles. */
void deq_slice_norms(double *norm, const void *w, deq_dtype dtype, const deq_shape *shape,
                     int axis);
/* Power iteration on w as a matrix of shape[axis] rows, from the vector u [rows]; v [the rest].
 * `steps` at least 1; gives sigma = u' W v. */
double deq_power_iteration(double *u, double *v, const void *w, deq_dtype dtype,
                           const deq_shape *shape, int axis, int steps);

#endif
