/* SPDX-License-Identifier: MIT */
/* Containers inside each other become names with dots; tensors of any stride become row-major. */
#include "io/checkpoint.h"

#include "base/number.h"

#include <stdio.h>
#include <string.h>

/* Bounds that no honest file meets: containers can hold themselves, and each other many times. */
#define MAX_DEPTH 64
#define MAX_NAME 1024

/* Copies (other element types, other strides) may take so much more than the file holds. */
#define COPY_FACTOR 4
#define COPY_BYTES ((size_t)64 << 20)

typedef struct walk {
    deq_checkpoint *c;
    char name[MAX_NAME];
    size_t length;  /* of the name so far */
    size_t visited; /* values */
    size_t copied;  /* bytes */
} walk;

static deq_status fail(const walk *w, size_t at, const char *what)
{
    char quoted[DEQ_QUOTED_BYTES];

    return deq_source_fail(w->c->s, at, "'%s': %s", deq_quote(quoted, w->name, w->length), what);
}

static bool is_contiguous(const deq_pickle_tensor *t)
{
    size_t step = 1;

    for (int i = t->shape.rank - 1; i >= 0; i--) {
        if (t->shape.dim[i] != 1 && t->stride[i] != step) return false;
        step *= (size_t)t->shape.dim[i];
    }
    return true;
}

/* Elements in row-major order, as the file has them. */
static void gather(unsigned char *dst, const deq_pickle_tensor *t, size_t size)
{
    const unsigned char *src = t->storage->bytes.data;
    const size_t count = (size_t)deq_shape_count(&t->shape);
    int64_t at[DEQ_MAX_RANK] = { 0 };
    size_t from = t->offset;

    for (size_t k = 0; k < count; k++) {
        memcpy(dst + k * size, src + from * size, size);
        for (int i = t->shape.rank - 1; i >= 0; i--) {
            from += t->stride[i];
            if (++at[i] < t->shape.dim[i]) break;
            from -= t->stride[i] * (size_t)t->shape.dim[i];
            at[i] = 0;
        }
    }
}

static deq_status put_strided(walk *w, const deq_pickle_tensor *t)
{
    deq_context *ctx = deq_archive_context(w->c->archive);
    const deq_pickle_storage *s = t->storage;
    const size_t size = deq_element_size(s->element);
    const size_t bytes = (size_t)deq_shape_count(&t->shape) * size;

    void *block = deq_alloc(ctx, bytes);
    if (!block) return DEQ_ERR_NOMEM;
    DEQ_TRY(deq_archive_take(w->c->archive, block, bytes));
    gather(block, t, size);
    const deq_source rows = { .ctx = ctx, .name = s->bytes.name, .data = block, .size = bytes };
    return deq_archive_put(w->c->archive, w->name, s->element, &t->shape, &rows, 0,
                           w->c->big_endian, true);
}

static deq_status charge(walk *w, const deq_pickle_tensor *t, size_t count, size_t size)
{
    const size_t most = w->c->file_bytes < (SIZE_MAX - COPY_BYTES) / COPY_FACTOR
                            ? w->c->file_bytes * COPY_FACTOR + COPY_BYTES
                            : SIZE_MAX;

    if (count > (most - w->copied) / size)
        return fail(
            w, t->at,
            "this tensor and those before it take more memory than the file has bytes: they "
            "share storages too often");
    w->copied += count * size;
    return DEQ_OK;
}

static deq_status put_tensor(walk *w, const deq_pickle_tensor *t)
{
    const deq_pickle_storage *s = t->storage;
    const size_t size = deq_element_size(s->element), count = (size_t)deq_shape_count(&t->shape);
    const bool contiguous = count == 0 || is_contiguous(t);

    if (!contiguous || !s->lent || !deq_element_is_native(s->element, w->c->big_endian)) {
        DEQ_TRY(charge(w, t, count, size + deq_dtype_size(deq_element_dtype(s->element))));
    }
    if (!contiguous) return put_strided(w, t);
    return deq_archive_put(w->c->archive, w->name, s->element, &t->shape, &s->bytes,
                           count ? t->offset * size : 0, w->c->big_endian, s->lent);
}

/* Metadata do not depend on the locale. */
static deq_status put_real(walk *w, double x)
{
    char text[DEQ_NUMBER_BYTES];

    return deq_archive_set_metadata(w->c->archive, w->name, deq_number_text(text, 'g', 17, x));
}

static deq_status put_integer(walk *w, int64_t i)
{
    char text[32];

    snprintf(text, sizeof text, "%lld", (long long)i);
    return deq_archive_set_metadata(w->c->archive, w->name, text);
}

static deq_status visit(walk *w, const deq_pickle_value *v, int depth);

/* Visit a member of a container under its name. */
static deq_status visit_member(walk *w, const char *name, size_t length, const deq_pickle_value *v,
                               int depth)
{
    const size_t before = w->length;

    if (length == 0 || strlen(name) != length) return fail(w, 0, "an empty or broken key");
    if (length + 2 > MAX_NAME - w->length) return fail(w, 0, "the name of a tensor is too long");
    if (before > 0) w->name[w->length++] = '.';
    memcpy(w->name + w->length, name, length + 1);
    w->length += length;
    const deq_status status = visit(w, v, depth + 1);
    w->length = before;
    w->name[before] = '\0';
    return status;
}

static deq_status visit_dict(walk *w, const deq_pickle_list *dict, int depth)
{
    char number[32];

    for (size_t i = 0; i + 1 < dict->count; i += 2) {
        const deq_pickle_value *key = &dict->items[i];
        if (key->kind == DEQ_PICKLE_TEXT) {
            DEQ_TRY(visit_member(w, key->as.text->data, key->as.text->length, key + 1, depth));
        } else if (key->kind == DEQ_PICKLE_INT) {
            snprintf(number, sizeof number, "%lld", (long long)key->as.integer);
            DEQ_TRY(visit_member(w, number, strlen(number), key + 1, depth));
        } else {
            return fail(w, 0, "a key is neither a text nor an integer");
        }
    }
    return DEQ_OK;
}

static deq_status visit_list(walk *w, const deq_pickle_list *list, int depth)
{
    char number[32];

    for (size_t i = 0; i < list->count; i++) {
        snprintf(number, sizeof number, "%zu", i);
        DEQ_TRY(visit_member(w, number, strlen(number), &list->items[i], depth));
    }
    return DEQ_OK;
}

static deq_status visit(walk *w, const deq_pickle_value *v, int depth)
{
    if (depth > MAX_DEPTH) return fail(w, 0, "containers are nested too deeply");
    if (++w->visited > 4 * w->c->pickle->operations)
        return fail(w, 0, "containers hold each other too often");
    switch (v->kind) {
    case DEQ_PICKLE_TENSOR: return put_tensor(w, v->as.tensor);
    case DEQ_PICKLE_DICT: return visit_dict(w, v->as.list, depth);
    case DEQ_PICKLE_TUPLE:
    case DEQ_PICKLE_LIST:
    case DEQ_PICKLE_SET: return visit_list(w, v->as.list, depth);
    case DEQ_PICKLE_NONE: return DEQ_OK;
    case DEQ_PICKLE_BOOL:
        return deq_archive_set_metadata(w->c->archive, w->name, v->as.integer ? "true" : "false");
    case DEQ_PICKLE_INT: return put_integer(w, v->as.integer);
    case DEQ_PICKLE_FLOAT: return put_real(w, v->as.real);
    case DEQ_PICKLE_TEXT: return deq_archive_set_metadata(w->c->archive, w->name, v->as.text->data);
    case DEQ_PICKLE_BIG:
    case DEQ_PICKLE_BYTES:
    case DEQ_PICKLE_GLOBAL:
    case DEQ_PICKLE_STORAGE:
    case DEQ_PICKLE_MARK: break;
    }
    char what[64];
    snprintf(what, sizeof what, "found %s, expected tensors", deq_pickle_kind_name(v->kind));
    return fail(w, 0, what);
}

deq_status deq_checkpoint_flatten(deq_checkpoint *c, const deq_pickle_value *root)
{
    walk w = { .c = c };

    if (root->kind != DEQ_PICKLE_TENSOR && root->kind != DEQ_PICKLE_DICT &&
        root->kind != DEQ_PICKLE_LIST && root->kind != DEQ_PICKLE_TUPLE)
        return deq_source_fail(c->s, 0, "the checkpoint is %s, expected tensors",
                               deq_pickle_kind_name(root->kind));
    if (root->kind == DEQ_PICKLE_TENSOR) w.length = (size_t)snprintf(w.name, MAX_NAME, "data");
    return visit(&w, root, 0);
}
