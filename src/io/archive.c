/* SPDX-License-Identifier: MIT */
/* Archives: tensors in memory that they own, found by name. */
#include "io/archive.h"

#include "base/arena.h"
#include "io/index.h"

#include <string.h>

struct block {
    void *memory;
    size_t bytes;
};

struct pair {
    const char *key, *value;
};

struct deq_archive {
    deq_context *ctx;
    deq_arena names; /* also keys and texts of the metadata */
    deq_archive_tensor *tensors;
    size_t count, capacity;
    deq_index index; /* of tensors by name */
    struct block *blocks;
    size_t n_blocks, block_capacity;
    struct pair *metadata;
    size_t n_metadata, metadata_capacity;
    deq_index keys;
    struct pair *left_out; /* names and reasons */
    size_t n_left_out, left_out_capacity;
};

deq_status deq_archive_new(deq_archive **out, deq_context *ctx)
{
    *out = NULL;
    deq_archive *a = deq_alloc(ctx, sizeof *a);
    if (!a) return DEQ_ERR_NOMEM;
    a->ctx = ctx;
    deq_arena_init(&a->names, ctx);
    deq_index_init(&a->index, ctx);
    deq_index_init(&a->keys, ctx);
    *out = a;
    return DEQ_OK;
}

void deq_archive_free(deq_archive *a)
{
    if (!a) return;
    for (size_t i = 0; i < a->n_blocks; i++)
        deq_release(a->ctx, a->blocks[i].memory, a->blocks[i].bytes);
    deq_release(a->ctx, a->blocks, a->block_capacity * sizeof *a->blocks);
    deq_release(a->ctx, a->tensors, a->capacity * sizeof *a->tensors);
    deq_release(a->ctx, a->metadata, a->metadata_capacity * sizeof *a->metadata);
    deq_release(a->ctx, a->left_out, a->left_out_capacity * sizeof *a->left_out);
    deq_index_free(&a->index);
    deq_index_free(&a->keys);
    deq_arena_free(&a->names);
    deq_release(a->ctx, a, sizeof *a);
}

deq_context *deq_archive_context(const deq_archive *a)
{
    return a->ctx;
}

size_t deq_archive_count(const deq_archive *a)
{
    return a->count;
}

const deq_archive_tensor *deq_archive_at(const deq_archive *a, size_t i)
{
    return i < a->count ? &a->tensors[i] : NULL;
}

const deq_archive_tensor *deq_archive_find(const deq_archive *a, const char *name)
{
    return deq_archive_at(a, deq_index_find(&a->index, name));
}

deq_status deq_archive_take(deq_archive *a, void *block, size_t bytes)
{
    void *blocks = a->blocks;
    deq_status status = deq_grow(a->ctx, &blocks, &a->block_capacity, a->n_blocks + 1,
                                 sizeof *a->blocks);

    a->blocks = blocks;
    if (status == DEQ_OK)
        a->blocks[a->n_blocks++] = (struct block){ block, bytes };
    else
        deq_release(a->ctx, block, bytes);
    return status;
}

deq_status deq_archive_take_source(deq_archive *a, deq_source *s)
{
    void *memory = s->owned;

    if (!memory) return DEQ_OK;
    s->owned = NULL;
    return deq_archive_take(a, memory, s->owned_size);
}

deq_status deq_archive_put_view(deq_archive *a, const char *name, const deq_type *type,
                                const void *data, const char *stored)
{
    if (!*name) return deq_fail(a->ctx, DEQ_ERR_NAME, "a tensor of an archive needs a name");
    if (deq_index_find(&a->index, name) != DEQ_INDEX_NONE)
        return deq_fail(a->ctx, DEQ_ERR_NAME, "two tensors are called '%.200s'", name);
    void *tensors = a->tensors;
    deq_status status = deq_grow(a->ctx, &tensors, &a->capacity, a->count + 1, sizeof *a->tensors);
    a->tensors = tensors;
    DEQ_TRY(status);
    const char *kept = deq_arena_strdup(&a->names, name);
    if (!kept) return DEQ_ERR_NOMEM;
    DEQ_TRY(deq_index_add(&a->index, kept, a->count));
    a->tensors[a->count++] = (deq_archive_tensor){ kept, *type, data, stored };
    return DEQ_OK;
}

/* Whether the elements at p can be used as they stand. */
static bool can_lend(const void *p, deq_element e, bool big_endian)
{
    return deq_element_is_native(e, big_endian) && (uintptr_t)p % deq_element_size(e) == 0;
}

deq_status deq_archive_put(deq_archive *a, const char *name, deq_element element,
                           const deq_shape *shape, const deq_source *s, size_t offset,
                           bool big_endian, bool lent)
{
    const deq_type type = { deq_element_dtype(element), *shape };
    const size_t count = (size_t)deq_shape_count(shape);
    const char *stored = deq_element_name(element);
    size_t bytes;

    if (lent && element != DEQ_ELEMENT_BOOL && can_lend(s->data + offset, element, big_endian))
        return deq_archive_put_view(a, name, &type, s->data + offset, stored);
    if (!deq_size_mul(&bytes, count, deq_dtype_size(type.dtype)))
        return deq_source_refuse(s, DEQ_ERR_OVERFLOW, offset, "'%.200s' is too large", name);
    void *block = deq_alloc(a->ctx, bytes);
    if (!block) return DEQ_ERR_NOMEM;
    DEQ_TRY(deq_archive_take(a, block, bytes));
    DEQ_TRY(deq_element_decode(block, s, offset, count, element, big_endian));
    return deq_archive_put_view(a, name, &type, block, stored);
}

deq_status deq_archive_check_type(deq_context *ctx, const char *name, const deq_type *type,
                                  size_t *bytes)
{
    const size_t size = deq_dtype_size(type->dtype);

    if (size == 0)
        return deq_fail(ctx, DEQ_ERR_DTYPE, "'%.200s' has the unknown dtype %d", name,
                        (int)type->dtype);
    if (type->shape.rank < 0 || type->shape.rank > DEQ_MAX_RANK)
        return deq_fail(ctx, DEQ_ERR_SHAPE, "'%.200s' has rank %d, expected 0 to %d", name,
                        type->shape.rank, DEQ_MAX_RANK);
    for (int i = 0; i < type->shape.rank; i++)
        if (type->shape.dim[i] < 0)
            return deq_fail(ctx, DEQ_ERR_SHAPE, "'%.200s' has extent %lld in axis %d", name,
                            (long long)type->shape.dim[i], i);
    if (!deq_element_bytes(bytes, &type->shape, size))
        return deq_fail(ctx, DEQ_ERR_OVERFLOW, "'%.200s' is too large", name);
    return DEQ_OK;
}

deq_status deq_archive_add(deq_archive *a, const char *name, deq_type type, const void *data)
{
    size_t bytes;

    DEQ_TRY(deq_archive_check_type(a->ctx, name, &type, &bytes));
    for (int i = type.shape.rank; i < DEQ_MAX_RANK; i++) type.shape.dim[i] = 0;
    void *block = deq_alloc(a->ctx, bytes);
    if (!block) return DEQ_ERR_NOMEM;
    if (data && bytes) memcpy(block, data, bytes);
    DEQ_TRY(deq_archive_take(a, block, bytes));
    const deq_status status = deq_archive_put_view(a, name, &type, block,
                                                   deq_dtype_name(type.dtype));
    if (status != DEQ_OK) {
        a->n_blocks--;
        deq_release(a->ctx, block, bytes);
    }
    return status;
}

deq_status deq_archive_narrow(deq_archive *a, const char *prefix)
{
    const size_t length = strlen(prefix);
    size_t kept = 0;
    deq_index index;
    deq_status status = DEQ_OK;

    deq_index_init(&index, a->ctx);
    for (size_t i = 0; i < a->count && status == DEQ_OK; i++) {
        const char *name = a->tensors[i].name;
        if (strncmp(name, prefix, length) != 0) continue;
        if (!name[length])
            status = deq_fail(a->ctx, DEQ_ERR_NAME, "'%.200s' is nothing but the prefix", name);
        else
            status = deq_index_add(&index, name + length, kept++);
    }
    if (status == DEQ_OK && kept == 0)
        status = deq_fail(a->ctx, DEQ_ERR_NAME, "no tensor's name begins with '%.200s'", prefix);
    if (status != DEQ_OK) {
        deq_index_free(&index);
        return status;
    }
    kept = 0;
    for (size_t i = 0; i < a->count; i++) {
        if (strncmp(a->tensors[i].name, prefix, length) != 0) continue;
        a->tensors[kept] = a->tensors[i];
        a->tensors[kept++].name += length;
    }
    a->count = kept;
    deq_index_free(&a->index);
    a->index = index;
    return DEQ_OK;
}

deq_status deq_archive_set_metadata(deq_archive *a, const char *key, const char *value)
{
    const size_t place = deq_index_find(&a->keys, key);
    void *metadata = a->metadata;
    const char *kept = deq_arena_strdup(&a->names, value);

    if (!kept) return DEQ_ERR_NOMEM;
    if (place != DEQ_INDEX_NONE) {
        a->metadata[place].value = kept;
        return DEQ_OK;
    }
    deq_status status = deq_grow(a->ctx, &metadata, &a->metadata_capacity, a->n_metadata + 1,
                                 sizeof *a->metadata);
    a->metadata = metadata;
    DEQ_TRY(status);
    const char *name = deq_arena_strdup(&a->names, key);
    if (!name) return DEQ_ERR_NOMEM;
    DEQ_TRY(deq_index_add(&a->keys, name, a->n_metadata));
    a->metadata[a->n_metadata++] = (struct pair){ name, kept };
    return DEQ_OK;
}

const char *deq_archive_metadata(const deq_archive *a, const char *key)
{
    const size_t place = deq_index_find(&a->keys, key);

    return place == DEQ_INDEX_NONE ? NULL : a->metadata[place].value;
}

const char *deq_archive_metadata_at(const deq_archive *a, size_t i, const char **value)
{
    if (i >= a->n_metadata) return NULL;
    if (value) *value = a->metadata[i].value;
    return a->metadata[i].key;
}

deq_status deq_archive_leave_out(deq_archive *a, const char *name, const char *why)
{
    void *list = a->left_out;
    const char *kept = deq_arena_strdup(&a->names, name);
    const char *reason = deq_arena_strdup(&a->names, why);

    if (!kept || !reason) return DEQ_ERR_NOMEM;
    deq_status status = deq_grow(a->ctx, &list, &a->left_out_capacity, a->n_left_out + 1,
                                 sizeof *a->left_out);
    a->left_out = list;
    if (status == DEQ_OK) a->left_out[a->n_left_out++] = (struct pair){ kept, reason };
    return status;
}

const char *deq_archive_left_out_at(const deq_archive *a, size_t i, const char **why)
{
    if (i >= a->n_left_out) return NULL;
    if (why) *why = a->left_out[i].value;
    return a->left_out[i].key;
}

const char *deq_archive_left_out(const deq_archive *a, const char *name)
{
    for (size_t i = 0; i < a->n_left_out; i++)
        if (strcmp(a->left_out[i].key, name) == 0) return a->left_out[i].value;
    return NULL;
}
