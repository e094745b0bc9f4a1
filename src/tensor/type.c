/* SPDX-License-Identifier: MIT */
/* Data types and shapes. */
#include <deq/type.h>

#include "base/text.h"

size_t deq_dtype_size(deq_dtype dtype)
{
    switch (dtype) {
    case DEQ_F32: return sizeof(float);
    case DEQ_F64: return sizeof(double);
    case DEQ_I32: return sizeof(int32_t);
    case DEQ_I64: return sizeof(int64_t);
    case DEQ_BOOL: return 1;
    }
    return 0;
}

const char *deq_dtype_name(deq_dtype dtype)
{
    switch (dtype) {
    case DEQ_F32: return "f32";
    case DEQ_F64: return "f64";
    case DEQ_I32: return "i32";
    case DEQ_I64: return "i64";
    case DEQ_BOOL: return "bool";
    }
    return "unknown";
}

int64_t deq_shape_count(const deq_shape *shape)
{
    int64_t n = 1;
    for (int i = 0; i < shape->rank; i++) n *= shape->dim[i];
    return n;
}

bool deq_shape_equal(const deq_shape *a, const deq_shape *b)
{
    if (a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i]) return false;
    return true;
}

size_t deq_type_bytes(const deq_type *type)
{
    return (size_t)deq_shape_count(&type->shape) * deq_dtype_size(type->dtype);
}

const char *deq_type_format(char *buffer, size_t capacity, const deq_type *type)
{
    deq_text t = { buffer, capacity, 0 };
    if (capacity) buffer[0] = '\0';
    int rank = type->shape.rank < DEQ_MAX_RANK ? type->shape.rank : DEQ_MAX_RANK;
    deq_text_add(&t, "%s [", deq_dtype_name(type->dtype));
    for (int i = 0; i < rank; i++)
        deq_text_add(&t, "%s%lld", i ? ", " : "", (long long)type->shape.dim[i]);
    deq_text_add(&t, "]");
    return buffer;
}
