/* SPDX-License-Identifier: MIT */
/* The weights of a model: two stores, and the law by which each weight begins (initialise.c). */
#include "nn/weights.h"

#include "base/text.h"

#include <math.h>
#include <string.h>

deq_status deq_weights_new(deq_weights **out, deq_context *ctx, deq_dtype dtype)
{
    *out = NULL;
    deq_weights *w = deq_alloc(ctx, sizeof *w);
    if (!w) return DEQ_ERR_NOMEM;
    w->ctx = ctx;
    deq_status status = deq_parameters_new(&w->parameters, ctx, dtype);
    if (status == DEQ_OK) status = deq_parameters_new(&w->buffers, ctx, dtype);
    if (status != DEQ_OK) {
        deq_weights_free(w);
        return status;
    }
    *out = w;
    return DEQ_OK;
}

static void release_name(deq_context *ctx, const char *name)
{
    if (name) deq_release(ctx, (void *)(uintptr_t)name, strlen(name) + 1);
}

static void free_laws(deq_context *ctx, deq_laws *laws)
{
    for (size_t i = 0; i < laws->capacity; i++) release_name(ctx, laws->law[i].of);
    deq_release(ctx, laws->law, laws->capacity * sizeof *laws->law);
}

void deq_weights_free(deq_weights *w)
{
    if (!w) return;
    free_laws(w->ctx, &w->parameter_laws);
    free_laws(w->ctx, &w->buffer_laws);
    deq_parameters_free(w->parameters);
    deq_parameters_free(w->buffers);
    deq_release(w->ctx, w, sizeof *w);
}

/* Names -------------------------------------------------------------------------------------- */

deq_context *deq_weights_context(const deq_weights *w)
{
    return w->ctx;
}

bool deq_weights_allocated(const deq_weights *w)
{
    return deq_parameters_values(w->parameters, -1) != NULL;
}

deq_weight_place deq_weights_find(const deq_weights *w, const char *name)
{
    int i = deq_parameters_find(w->parameters, name);
    if (i >= 0) return (deq_weight_place){ w->parameters, i, true };
    i = deq_parameters_find(w->buffers, name);
    if (i >= 0) return (deq_weight_place){ w->buffers, i, false };
    return (deq_weight_place){ 0 };
}

int deq_weights_count(const deq_weights *w)
{
    return deq_parameters_count(w->parameters) + deq_parameters_count(w->buffers);
}

deq_weight_place deq_weights_at(const deq_weights *w, int i)
{
    int n = deq_parameters_count(w->parameters);
    if (i < n) return (deq_weight_place){ w->parameters, i, true };
    return (deq_weight_place){ w->buffers, i - n, false };
}

static const char *name_at(const void *set, int i)
{
    deq_weight_place at = deq_weights_at(set, i);
    return deq_parameters_info(at.store, at.index).name;
}

const char *deq_weights_nearest(const deq_weights *w, const char *name)
{
    return deq_nearest_name(name, name_at, w, deq_weights_count(w));
}

deq_parameters *deq_weights_parameters(deq_weights *w)
{
    return w->parameters;
}

deq_parameters *deq_weights_buffers(deq_weights *w)
{
    return w->buffers;
}

/* Declaring ---------------------------------------------------------------------------------- */

static deq_status check_law(deq_weights *w, const char *name, const deq_shape *shape,
                            const deq_init *init)
{
    bool spread = init->law >= DEQ_INIT_NORMAL && init->law <= DEQ_INIT_FAN_IN_NORMAL;
    bool sliced = init->law == DEQ_INIT_FAN_IN || init->law == DEQ_INIT_FAN_IN_NORMAL;
    if (init->law < DEQ_INIT_CONSTANT || init->law > DEQ_INIT_RIGHT_SINGULAR)
        return deq_fail(w->ctx, DEQ_ERR_ARGUMENT, "weight '%s': %d is not a law of initial values",
                        name, (int)init->law);
    if (!isfinite(init->value) || (spread && init->value < 0))
        return deq_fail(w->ctx, DEQ_ERR_ARGUMENT,
                        "weight '%s': the value of its initial law is %g, expected %s", name,
                        init->value, spread ? "at least 0" : "a number");
    if (init->law >= DEQ_INIT_SLICE_NORM && !init->of)
        return deq_fail(w->ctx, DEQ_ERR_ARGUMENT,
                        "weight '%s': its initial law needs the name of another weight", name);
    if (sliced && !init->of && (init->axis < 0 || init->axis >= shape->rank))
        return deq_fail(w->ctx, DEQ_ERR_ARGUMENT,
                        "weight '%s': axis %d of its initial law, but the weight has %d axes", name,
                        init->axis, shape->rank);
    return DEQ_OK;
}

/* Known: as the same kind, with the same shape. */
static deq_status check_known(deq_weights *w, deq_weight_place at, const char *name,
                              const deq_shape *shape, bool trained)
{
    char was[256], is[256];
    deq_type a = { deq_parameters_dtype(at.store), deq_parameters_info(at.store, at.index).shape };
    deq_type b = { a.dtype, *shape };
    if (at.trained != trained)
        return deq_fail(w->ctx, DEQ_ERR_NAME, "weight '%s' is a %s, and was asked for as a %s",
                        name, at.trained ? "parameter" : "buffer",
                        trained ? "parameter" : "buffer");
    if (!deq_shape_equal(&a.shape, &b.shape))
        return deq_fail(w->ctx, DEQ_ERR_SHAPE, "weight '%s' is %s, and was asked for as %s", name,
                        deq_type_format(was, sizeof was, &a), deq_type_format(is, sizeof is, &b));
    return DEQ_OK;
}

deq_status deq_weights_declare(deq_weights *w, const char *name, deq_shape shape, deq_init init,
                               bool trained)
{
    deq_parameters *store = trained ? w->parameters : w->buffers;
    deq_laws *laws = trained ? &w->parameter_laws : &w->buffer_laws;
    if (!name || !*name) return deq_fail(w->ctx, DEQ_ERR_NAME, "weight: a name is needed");
    deq_weight_place at = deq_weights_find(w, name);
    if (at.store) return check_known(w, at, name, &shape, trained);
    if (deq_weights_allocated(w)) {
        const char *near = deq_weights_nearest(w, name);
        return deq_fail(w->ctx, DEQ_ERR_STATE,
                        "weight '%s' is unknown to weights that are allocated%s%s%s", name,
                        near ? "; the nearest is '" : "", near ? near : "", near ? "'" : "");
    }
    DEQ_TRY(check_law(w, name, &shape, &init));
    size_t count = (size_t)deq_parameters_count(store);
    DEQ_TRY(deq_grow(w->ctx, (void **)&laws->law, &laws->capacity, count + 1, sizeof *laws->law));
    char *of = init.of ? deq_strdup(w->ctx, init.of) : NULL;
    if (init.of && !of) return DEQ_ERR_NOMEM;
    deq_status status = deq_parameters_add(store, name, shape);
    if (status != DEQ_OK) {
        release_name(w->ctx, of);
        return status;
    }
    init.of = of;
    laws->law[count] = init;
    return DEQ_OK;
}

deq_status deq_weights_allocate(deq_weights *w)
{
    if (deq_weights_allocated(w)) return DEQ_OK;
    if (deq_parameters_count(w->parameters) == 0)
        return deq_fail(w->ctx, DEQ_ERR_STATE, "weights: nothing was declared");
    if (deq_parameters_count(w->buffers) > 0) DEQ_TRY(deq_parameters_allocate(w->buffers));
    return deq_parameters_allocate(w->parameters);
}
