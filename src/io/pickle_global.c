/* SPDX-License-Identifier: MIT */
/*
 * The classes and functions that a checkpoint may name, and what they make:
 *
 *     OrderedDict()  OrderedDict([(key, value), ...])       a dictionary
 *     Size((d_0, ...))                                      a tuple
 *     _rebuild_tensor(storage, offset, size, stride)        a tensor: element (i_0, i_1, ...) is
 *     _rebuild_tensor_v2(the same, ...)                     element offset + sum_k i_k stride_k of
 *     _rebuild_parameter(tensor, ...)                       the storage
 *
 * The classes of storages name element types.  Every other name is refused.
 */
#include "io/pickle.h"

#include <string.h>

typedef enum function {
    STORAGE,
    ORDERED_DICT,
    SIZE,
    REBUILD_TENSOR,
    REBUILD_PARAMETER,
} function;

struct deq_pickle_global {
    const char *module, *name;
    function function;
    deq_element element; /* of a storage */
};

typedef struct deq_pickle_global global;

static const global globals[] = {
    { "collections", "OrderedDict", ORDERED_DICT, DEQ_ELEMENT_NONE },
    { "torch", "Size", SIZE, DEQ_ELEMENT_NONE },
    { "torch._utils", "_rebuild_tensor", REBUILD_TENSOR, DEQ_ELEMENT_NONE },
    { "torch._utils", "_rebuild_tensor_v2", REBUILD_TENSOR, DEQ_ELEMENT_NONE },
    { "torch._utils", "_rebuild_parameter", REBUILD_PARAMETER, DEQ_ELEMENT_NONE },
    { "torch._utils", "_rebuild_parameter_with_state", REBUILD_PARAMETER, DEQ_ELEMENT_NONE },
    { "torch", "FloatStorage", STORAGE, DEQ_ELEMENT_F32 },
    { "torch", "DoubleStorage", STORAGE, DEQ_ELEMENT_F64 },
    { "torch", "HalfStorage", STORAGE, DEQ_ELEMENT_F16 },
    { "torch", "BFloat16Storage", STORAGE, DEQ_ELEMENT_BF16 },
    { "torch", "LongStorage", STORAGE, DEQ_ELEMENT_I64 },
    { "torch", "IntStorage", STORAGE, DEQ_ELEMENT_I32 },
    { "torch", "ShortStorage", STORAGE, DEQ_ELEMENT_I16 },
    { "torch", "CharStorage", STORAGE, DEQ_ELEMENT_I8 },
    { "torch", "ByteStorage", STORAGE, DEQ_ELEMENT_U8 },
    { "torch", "BoolStorage", STORAGE, DEQ_ELEMENT_BOOL },
};

static bool same(const char *known, const char *text, size_t length)
{
    return strlen(known) == length && memcmp(known, text, length) == 0;
}

deq_status deq_pickle_find_global(deq_pickle *p, deq_pickle_value *result, const char *module,
                                  size_t module_length, const char *name, size_t name_length)
{
    char quoted[2][DEQ_QUOTED_BYTES];

    for (size_t i = 0; i < sizeof globals / sizeof *globals; i++) {
        const global *g = &globals[i];
        if (!same(g->module, module, module_length) || !same(g->name, name, name_length)) continue;
        *result = (deq_pickle_value){ .kind = DEQ_PICKLE_GLOBAL, .as.global = g };
        return DEQ_OK;
    }
    return deq_source_refuse(
        p->s, DEQ_ERR_UNSUPPORTED, p->here,
        "the class or function '%s.%s', which is not one of those that tensors "
        "need; save a state_dict alone",
        deq_quote(quoted[0], module, module_length), deq_quote(quoted[1], name, name_length));
}

/* OrderedDict([(key, value), ...]) */
static deq_status make_dict(deq_pickle *p, deq_pickle_value *result, const deq_pickle_list *args)
{
    deq_pickle_list *dict = deq_pickle_new_list(p, NULL, 0);

    if (!dict) return DEQ_ERR_NOMEM;
    *result = (deq_pickle_value){ .kind = DEQ_PICKLE_DICT, .as.list = dict };
    if (args->count == 0) return DEQ_OK;
    if (args->count != 1 || args->items[0].kind != DEQ_PICKLE_LIST)
        return deq_pickle_fail(p, "expected a list of pairs for an OrderedDict");
    const deq_pickle_list *pairs = args->items[0].as.list;
    p->copied +=
        pairs->count; /* a list may be given again and again; each pair took an operation */
    if (p->copied > p->operations)
        return deq_pickle_fail(p, "dictionaries of more pairs than the pickle has operations");
    for (size_t i = 0; i < pairs->count; i++) {
        const deq_pickle_value *v = &pairs->items[i];
        if ((v->kind != DEQ_PICKLE_TUPLE && v->kind != DEQ_PICKLE_LIST) || v->as.list->count != 2)
            return deq_pickle_fail(p, "expected a list of pairs for an OrderedDict");
        DEQ_TRY(deq_pickle_append(p, dict, v->as.list->items, 2));
    }
    return DEQ_OK;
}

/* A tuple of integers of at least 0. */
static deq_status extents(deq_pickle *p, const deq_pickle_value *v, const char *what,
                          const deq_pickle_list **list)
{
    if (v->kind != DEQ_PICKLE_TUPLE && v->kind != DEQ_PICKLE_LIST)
        return deq_pickle_fail(p, "expected the %s of a tensor, found %s", what,
                               deq_pickle_kind_name(v->kind));
    *list = v->as.list;
    if ((*list)->count > DEQ_MAX_RANK)
        return deq_source_refuse(p->s, DEQ_ERR_UNSUPPORTED, p->here,
                                 "a tensor of %zu axes; at most %d are known", (*list)->count,
                                 DEQ_MAX_RANK);
    for (size_t i = 0; i < (*list)->count; i++)
        if ((*list)->items[i].kind != DEQ_PICKLE_INT || (*list)->items[i].as.integer < 0)
            return deq_pickle_fail(p, "the %s of a tensor must be integers of at least 0", what);
    return DEQ_OK;
}

/* The last element, offset + sum_k (d_k - 1) stride_k, must be one of the storage. */
static deq_status check_reach(deq_pickle *p, const deq_pickle_tensor *t)
{
    size_t last = t->offset, step;

    for (int i = 0; i < t->shape.rank; i++)
        if (t->shape.dim[i] == 0) return DEQ_OK;
    for (int i = 0; i < t->shape.rank; i++)
        if (!deq_size_mul(&step, (size_t)(t->shape.dim[i] - 1), t->stride[i]) ||
            !deq_size_add(&last, last, step))
            return deq_pickle_fail(p, "a tensor reaches further than any storage");
    if (last >= t->storage->count)
        return deq_pickle_fail(p, "a tensor reaches element %zu of storage '%.40s', which has %zu",
                               last, t->storage->key, t->storage->count);
    return DEQ_OK;
}

static deq_status make_tensor(deq_pickle *p, deq_pickle_value *result, const deq_pickle_list *args)
{
    const deq_pickle_list *size, *stride;
    size_t bytes;

    if (args->count < 4 || args->items[0].kind != DEQ_PICKLE_STORAGE ||
        args->items[1].kind != DEQ_PICKLE_INT || args->items[1].as.integer < 0)
        return deq_pickle_fail(p, "expected a storage, an offset, a size and strides for a tensor");
    DEQ_TRY(extents(p, &args->items[2], "size", &size));
    DEQ_TRY(extents(p, &args->items[3], "strides", &stride));
    if (size->count != stride->count)
        return deq_pickle_fail(p, "a tensor of %zu axes with %zu strides", size->count,
                               stride->count);
    deq_pickle_tensor *t = deq_arena_alloc(&p->arena, sizeof *t);
    if (!t) return DEQ_ERR_NOMEM;
    *t = (deq_pickle_tensor){ .storage = args->items[0].as.storage,
                              .offset = (size_t)args->items[1].as.integer,
                              .shape.rank = (int)size->count,
                              .at = p->here };
    for (size_t i = 0; i < size->count; i++) {
        t->shape.dim[i] = size->items[i].as.integer;
        t->stride[i] = (size_t)stride->items[i].as.integer;
    }
    if (!deq_element_bytes(&bytes, &t->shape, 8))
        return deq_pickle_fail(p, "a tensor is too large");
    DEQ_TRY(check_reach(p, t));
    *result = (deq_pickle_value){ .kind = DEQ_PICKLE_TENSOR, .as.tensor = t };
    return DEQ_OK;
}

deq_status deq_pickle_apply(deq_pickle *p, deq_pickle_value *result, deq_pickle_value f,
                            deq_pickle_value arguments)
{
    if (f.kind != DEQ_PICKLE_GLOBAL || arguments.kind != DEQ_PICKLE_TUPLE)
        return deq_pickle_fail(p, "expected a function and a tuple of arguments, found %s and %s",
                               deq_pickle_kind_name(f.kind), deq_pickle_kind_name(arguments.kind));
    const deq_pickle_list *args = arguments.as.list;
    switch (f.as.global->function) {
    case ORDERED_DICT: return make_dict(p, result, args);
    case REBUILD_TENSOR: return make_tensor(p, result, args);
    case REBUILD_PARAMETER:
        if (args->count < 1 || args->items[0].kind != DEQ_PICKLE_TENSOR)
            return deq_pickle_fail(p, "expected a tensor for a parameter");
        *result = args->items[0];
        return DEQ_OK;
    case SIZE:
        if (args->count != 1 || args->items[0].kind != DEQ_PICKLE_TUPLE)
            return deq_pickle_fail(p, "expected a tuple for a size");
        *result = args->items[0];
        return DEQ_OK;
    case STORAGE: break;
    }
    return deq_pickle_fail(p, "%s.%s is not a function that makes something here",
                           f.as.global->module, f.as.global->name);
}

static deq_status new_storage(deq_pickle *p, deq_pickle_storage **out, const char *key,
                              deq_element element, size_t count)
{
    void *storages = p->storages;
    deq_pickle_storage *s = deq_arena_alloc(&p->arena, sizeof *s);

    if (!s) return DEQ_ERR_NOMEM;
    *s = (deq_pickle_storage){ .key = key, .element = element, .count = count };
    deq_status status = deq_grow(p->ctx, &storages, &p->storage_capacity, p->n_storages + 1,
                                 sizeof *p->storages);
    p->storages = storages;
    DEQ_TRY(status);
    DEQ_TRY(deq_index_add(&p->index, key, p->n_storages));
    p->storages[p->n_storages++] = s;
    *out = s;
    return DEQ_OK;
}

deq_status deq_pickle_find_storage(deq_pickle *p, deq_pickle_value *result, deq_pickle_value id)
{
    size_t bytes;
    deq_pickle_storage *s;

    if (id.kind != DEQ_PICKLE_TUPLE || id.as.list->count < 5 ||
        id.as.list->items[0].kind != DEQ_PICKLE_TEXT ||
        strcmp(id.as.list->items[0].as.text->data, "storage") != 0)
        return deq_pickle_fail(p, "expected ('storage', class, key, place, count) as a reference");
    const deq_pickle_value *v = id.as.list->items;
    if (v[1].kind != DEQ_PICKLE_GLOBAL || v[1].as.global->function != STORAGE)
        return deq_pickle_fail(p, "a storage without a class of storages");
    if (v[2].kind != DEQ_PICKLE_TEXT || strlen(v[2].as.text->data) != v[2].as.text->length)
        return deq_pickle_fail(p, "a storage without a text as its key");
    if (id.as.list->count > 5 && v[5].kind != DEQ_PICKLE_NONE)
        return deq_source_refuse(p->s, DEQ_ERR_UNSUPPORTED, p->here,
                                 "a view of a storage, which only PyTorch before 0.4 wrote");
    const deq_element element = v[1].as.global->element;
    if (v[4].kind != DEQ_PICKLE_INT || v[4].as.integer < 0 ||
        !deq_size_mul(&bytes, (size_t)v[4].as.integer, deq_element_size(element)))
        return deq_pickle_fail(p, "a storage without a number of elements");
    const size_t count = (size_t)v[4].as.integer;
    const size_t place = deq_index_find(&p->index, v[2].as.text->data);
    if (place == DEQ_INDEX_NONE) {
        DEQ_TRY(new_storage(p, &s, v[2].as.text->data, element, count));
    } else {
        s = p->storages[place];
        if (s->element != element || s->count != count)
            return deq_pickle_fail(p, "storage '%.40s' is %zu x %s here and %zu x %s elsewhere",
                                   s->key, count, deq_element_name(element), s->count,
                                   deq_element_name(s->element));
    }
    *result = (deq_pickle_value){ .kind = DEQ_PICKLE_STORAGE, .as.storage = s };
    return DEQ_OK;
}
