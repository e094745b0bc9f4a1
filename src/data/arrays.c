/* SPDX-License-Identifier: MIT */
/*
 * Arrays as a dataset: inputs [N, ...] of numbers, targets [N, ...] of integers.  They stay in the
 * archive that they were read into.  Targets are looked at when the dataset is made (the largest tells
 * how many classes there are), inputs when they are read.
 */
#include "data/arrays.h"

#include "base/text.h"
#include "data/dataset.h"

#include <deq/io/npy.h>
#include <math.h>
#include <string.h>

typedef struct array {
    deq_archive *archive; /* NULL: that of the other */
    const deq_archive_tensor *tensor;
    char *place;
} array;

typedef struct arrays {
    array inputs, targets;
    bool bytes; /* inputs are scaled to [0, 1] */
} arrays;

/* An element, as either kind of number. */
static double number_at(const deq_archive_tensor *t, int64_t i)
{
    switch (t->type.dtype) {
    case DEQ_F32: return (double)((const float *)t->data)[i];
    case DEQ_F64: return ((const double *)t->data)[i];
    case DEQ_I32: return (double)((const int32_t *)t->data)[i];
    case DEQ_I64: return (double)((const int64_t *)t->data)[i];
    case DEQ_BOOL: return (double)((const uint8_t *)t->data)[i];
    }
    return 0;
}

static int64_t integer_at(const deq_archive_tensor *t, int64_t i)
{
    switch (t->type.dtype) {
    case DEQ_I32: return ((const int32_t *)t->data)[i];
    case DEQ_I64: return ((const int64_t *)t->data)[i];
    default: return ((const uint8_t *)t->data)[i];
    }
}

static deq_status read(const deq_dataset *d, int64_t index, float *input, int32_t *target,
                       deq_context *own)
{
    const arrays *a = d->data;
    const int64_t n = deq_shape_count(&d->form.input), m = deq_shape_count(&d->form.target);

    for (int64_t i = 0; i < n; i++) {
        const double number = number_at(a->inputs.tensor, index * n + i);
        input[i] = (float)(a->bytes ? number / 255.0 : number);
        if (!isfinite(input[i]))
            return deq_fail(own, DEQ_ERR_DATA,
                            "%s: element %lld of example %lld is %g, expected a finite f32",
                            a->inputs.place, (long long)i, (long long)index, number);
    }
    for (int64_t i = 0; i < m; i++)
        target[i] = (int32_t)integer_at(a->targets.tensor, index * m + i);
    return DEQ_OK;
}

static void free_arrays(deq_dataset *d)
{
    const arrays *a = d->data;
    const array *const both[] = { &a->inputs, &a->targets };

    for (int i = 0; i < 2; i++) {
        if (both[i]->place) deq_release(d->ctx, both[i]->place, strlen(both[i]->place) + 1);
        deq_archive_free(both[i]->archive);
    }
}

static const deq_dataset_kind kind = { .read = read, .free = free_arrays };

static const char *tensor_name(const void *set, int i)
{
    return deq_archive_at(set, (size_t)i)->name;
}

static deq_status find(array *out, deq_context *ctx, deq_archive *archive, const deq_named_array *n)
{
    out->place = deq_strdup(ctx, n->place);
    if (!out->place) return DEQ_ERR_NOMEM;
    out->tensor = deq_archive_find(archive, n->name);
    if (out->tensor) return DEQ_OK;
    const char *why = deq_archive_left_out(archive, n->name);
    if (why) return deq_fail(ctx, DEQ_ERR_UNSUPPORTED, "%s", why);
    const size_t count = deq_archive_count(archive);
    const char *near = deq_nearest_name(n->name, tensor_name, archive,
                                        count < INT32_MAX ? (int)count : INT32_MAX);
    if (near)
        return deq_fail(ctx, DEQ_ERR_NAME, "%s: no array of this name; did you mean '%s'?",
                        n->place, near);
    return deq_fail(ctx, DEQ_ERR_NAME, "%s: no array of this name among %zu%s%s%s", n->place, count,
                    count ? ", the first is '" : "", count ? deq_archive_at(archive, 0)->name : "",
                    count ? "'" : "");
}

/* Extents without the first. */
static deq_shape rest_of(const deq_shape *all)
{
    deq_shape rest = { .rank = all->rank - 1 };

    for (int i = 0; i < rest.rank; i++) rest.dim[i] = all->dim[i + 1];
    return rest;
}

static deq_status check_shapes(deq_context *ctx, const arrays *a)
{
    const deq_type *x = &a->inputs.tensor->type, *y = &a->targets.tensor->type;
    char text[96], other[96];

    deq_type_format(text, sizeof text, x);
    deq_type_format(other, sizeof other, y);
    if (x->shape.rank < 2)
        return deq_fail(ctx, DEQ_ERR_SHAPE, "%s: %s, expected [N, ...] of two axes or more",
                        a->inputs.place, text);
    if (y->shape.rank < 1)
        return deq_fail(ctx, DEQ_ERR_SHAPE, "%s: %s, expected [N] or [N, ...]", a->targets.place,
                        other);
    if (x->shape.dim[0] != y->shape.dim[0])
        return deq_fail(ctx, DEQ_ERR_SHAPE, "%s: %s, but %s: %s: the first extents differ",
                        a->inputs.place, text, a->targets.place, other);
    for (int i = 0; i < x->shape.rank + y->shape.rank; i++)
        if ((i < x->shape.rank ? x->shape.dim[i] : y->shape.dim[i - x->shape.rank]) < 1)
            return deq_fail(ctx, DEQ_ERR_SHAPE, "%s: %s, %s: %s: an extent is 0", a->inputs.place,
                            text, a->targets.place, other);
    if (y->dtype == DEQ_F32 || y->dtype == DEQ_F64)
        return deq_fail(ctx, DEQ_ERR_DATA, "%s: %s, expected integers", a->targets.place, other);
    return DEQ_OK;
}

/* The largest target, which must be classes or DEQ_TARGET_IGNORE. */
static deq_status check_targets(int64_t *largest, deq_context *ctx, const array *targets)
{
    const int64_t count = deq_shape_count(&targets->tensor->type.shape);

    *largest = 0;
    for (int64_t i = 0; i < count; i++) {
        const int64_t class_ = integer_at(targets->tensor, i);
        if (class_ != DEQ_TARGET_IGNORE && (class_ < 0 || class_ >= INT32_MAX))
            return deq_fail(ctx, DEQ_ERR_DATA,
                            "%s: element %lld is %lld, expected a class of 0 or more, or %d",
                            targets->place, (long long)i, (long long)class_, DEQ_TARGET_IGNORE);
        if (class_ > *largest) *largest = class_;
    }
    return DEQ_OK;
}

static deq_status make(deq_dataset *d, const deq_named_array *inputs,
                       const deq_named_array *targets)
{
    arrays *a = d->data;
    int64_t largest;

    DEQ_TRY(find(&a->inputs, d->ctx, inputs->archive, inputs));
    DEQ_TRY(
        find(&a->targets, d->ctx, targets->archive ? targets->archive : inputs->archive, targets));
    DEQ_TRY(check_shapes(d->ctx, a));
    DEQ_TRY(check_targets(&largest, d->ctx, &a->targets));
    a->bytes = strcmp(a->inputs.tensor->stored, "u8") == 0;
    d->count = a->inputs.tensor->type.shape.dim[0];
    d->form = (deq_example_form){ rest_of(&a->inputs.tensor->type.shape),
                                  rest_of(&a->targets.tensor->type.shape), largest + 1 };
    return DEQ_OK;
}

deq_status deq_dataset_arrays(deq_dataset **out, deq_context *ctx, deq_named_array inputs,
                              deq_named_array targets)
{
    deq_dataset *d;
    const deq_status status = deq_dataset_new(&d, ctx, &kind, sizeof(arrays));

    *out = NULL;
    if (status != DEQ_OK) {
        deq_archive_free(inputs.archive);
        deq_archive_free(targets.archive);
        return status;
    }
    arrays *a = d->data;
    a->inputs.archive = inputs.archive;
    a->targets.archive = targets.archive;
    return deq_dataset_finish(out, d, make(d, &inputs, &targets));
}

deq_status deq_dataset_npz(deq_dataset **out, deq_context *ctx, const char *path,
                           const char *inputs, const char *targets)
{
    char places[2][DEQ_MESSAGE_BYTES];
    deq_named_array x = { .name = inputs ? inputs : "x" }, y = { .name = targets ? targets : "y" };

    *out = NULL;
    DEQ_TRY(deq_npz_read(&x.archive, ctx, path));
    deq_text text[2] = { { places[0], sizeof places[0], 0 }, { places[1], sizeof places[1], 0 } };
    deq_text_add(&text[0], "%s: '%s'", path, x.name);
    deq_text_add(&text[1], "%s: '%s'", path, y.name);
    x.place = places[0];
    y.place = places[1];
    return deq_dataset_arrays(out, ctx, x, y);
}

deq_status deq_dataset_npy(deq_dataset **out, deq_context *ctx, const char *inputs,
                           const char *targets)
{
    deq_named_array x = { .name = "data", .place = inputs };
    deq_named_array y = { .name = "data", .place = targets };

    *out = NULL;
    DEQ_TRY(deq_npy_read(&x.archive, ctx, inputs));
    const deq_status status = deq_npy_read(&y.archive, ctx, targets);
    if (status != DEQ_OK) {
        deq_archive_free(x.archive);
        return status;
    }
    return deq_dataset_arrays(out, ctx, x, y);
}
