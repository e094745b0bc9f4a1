/* SPDX-License-Identifier: MIT */
/* The parameter store: named tensors in one flat vector. */
#include <deq/parameters.h>

#include "base/context.h"

#include <string.h>

struct deq_parameters {
    deq_context *ctx;
    deq_dtype dtype;
    deq_parameter_info *info;
    size_t count, capacity;
    int64_t length, elements;
    void *values, *gradients; /* NULL until allocated */
};

static size_t vector_bytes(const deq_parameters *p)
{
    return (size_t)p->length * deq_dtype_size(p->dtype);
}

deq_status deq_parameters_new(deq_parameters **out, deq_context *ctx, deq_dtype dtype)
{
    *out = NULL;
    if (dtype != DEQ_F32 && dtype != DEQ_F64)
        return deq_fail(ctx, DEQ_ERR_DTYPE, "parameters are %s, expected f32 or f64",
                        deq_dtype_name(dtype));
    deq_parameters *p = deq_alloc(ctx, sizeof *p);
    if (!p) return DEQ_ERR_NOMEM;
    p->ctx = ctx;
    p->dtype = dtype;
    *out = p;
    return DEQ_OK;
}

void deq_parameters_free(deq_parameters *p)
{
    if (!p) return;
    deq_context *ctx = p->ctx;
    deq_release(ctx, p->values, vector_bytes(p));
    deq_release(ctx, p->gradients, vector_bytes(p));
    for (size_t i = 0; i < p->count; i++)
        deq_release(ctx, (void *)(uintptr_t)p->info[i].name, strlen(p->info[i].name) + 1);
    deq_release(ctx, p->info, p->capacity * sizeof *p->info);
    deq_release(ctx, p, sizeof *p);
}

/* The number of elements, with extents and size checked. */
static deq_status checked_count(const deq_parameters *p, const char *name, const deq_shape *s,
                                int64_t *count)
{
    char text[256];
    deq_type type = { p->dtype, *s };
    size_t n = 1, bytes;
    if (s->rank < 0 || s->rank > DEQ_MAX_RANK)
        return deq_fail(p->ctx, DEQ_ERR_SHAPE, "parameter '%s': rank %d, expected 0 to %d", name,
                        s->rank, DEQ_MAX_RANK);
    for (int i = 0; i < s->rank; i++) {
        if (s->dim[i] < 1)
            return deq_fail(p->ctx, DEQ_ERR_SHAPE,
                            "parameter '%s': extent %lld at axis %d of %s, expected at least 1",
                            name, (long long)s->dim[i], i,
                            deq_type_format(text, sizeof text, &type));
        if (!deq_size_mul(&n, n, (size_t)s->dim[i])) n = SIZE_MAX;
    }
    if (!deq_size_add(&bytes, n, (size_t)p->length + DEQ_ALIGNMENT) ||
        !deq_size_mul(&bytes, bytes, deq_dtype_size(p->dtype)))
        return deq_fail(p->ctx, DEQ_ERR_OVERFLOW, "parameter '%s': %s is too large", name,
                        deq_type_format(text, sizeof text, &type));
    *count = (int64_t)n;
    return DEQ_OK;
}

deq_status deq_parameters_add(deq_parameters *p, const char *name, deq_shape shape)
{
    int64_t count = 0;
    if (!name || !*name) return deq_fail(p->ctx, DEQ_ERR_NAME, "parameter: a name is needed");
    if (p->values)
        return deq_fail(p->ctx, DEQ_ERR_STATE, "parameter '%s' added after the store was allocated",
                        name);
    if (deq_parameters_find(p, name) >= 0)
        return deq_fail(p->ctx, DEQ_ERR_NAME, "parameter '%s': the name is taken", name);
    DEQ_TRY(checked_count(p, name, &shape, &count));
    DEQ_TRY(deq_grow(p->ctx, (void **)&p->info, &p->capacity, p->count + 1, sizeof *p->info));
    char *copy = deq_strdup(p->ctx, name);
    if (!copy) return DEQ_ERR_NOMEM;

    for (int i = shape.rank; i < DEQ_MAX_RANK; i++) shape.dim[i] = 0;
    p->info[p->count++] =
        (deq_parameter_info){ .name = copy, .shape = shape, .offset = p->length, .count = count };
    int64_t line = DEQ_ALIGNMENT / (int64_t)deq_dtype_size(p->dtype);
    p->length += (count + line - 1) / line * line;
    p->elements += count;
    return DEQ_OK;
}

deq_status deq_parameters_allocate(deq_parameters *p)
{
    if (p->values) return DEQ_OK;
    if (!p->count) return deq_fail(p->ctx, DEQ_ERR_STATE, "the parameter store is empty");
    void *values = deq_alloc(p->ctx, vector_bytes(p));
    void *gradients = values ? deq_alloc(p->ctx, vector_bytes(p)) : NULL;
    if (!gradients) {
        deq_release(p->ctx, values, vector_bytes(p));
        return DEQ_ERR_NOMEM;
    }
    p->values = values;
    p->gradients = gradients;
    return DEQ_OK;
}

int deq_parameters_count(const deq_parameters *p)
{
    return (int)p->count;
}

int64_t deq_parameters_length(const deq_parameters *p)
{
    return p->length;
}

int64_t deq_parameters_elements(const deq_parameters *p)
{
    return p->elements;
}

deq_dtype deq_parameters_dtype(const deq_parameters *p)
{
    return p->dtype;
}

deq_parameter_info deq_parameters_info(const deq_parameters *p, int index)
{
    if (index < 0 || (size_t)index >= p->count) return (deq_parameter_info){ 0 };
    return p->info[index];
}

int deq_parameters_find(const deq_parameters *p, const char *name)
{
    for (size_t i = 0; name && i < p->count; i++)
        if (strcmp(p->info[i].name, name) == 0) return (int)i;
    return -1;
}

static void *part(const deq_parameters *p, void *vector, int index)
{
    if (!vector || index < -1 || index >= (int)p->count) return NULL;
    size_t offset = index < 0 ? 0 : (size_t)p->info[index].offset;
    return (char *)vector + offset * deq_dtype_size(p->dtype);
}

void *deq_parameters_values(deq_parameters *p, int index)
{
    return part(p, p->values, index);
}

void *deq_parameters_gradients(deq_parameters *p, int index)
{
    return part(p, p->gradients, index);
}
