/* SPDX-License-Identifier: MIT */
/* What all datasets have in common. */
#include "data/dataset.h"

#include <stdio.h>
#include <string.h>

deq_status deq_dataset_new(deq_dataset **out, deq_context *ctx, const deq_dataset_kind *kind,
                           size_t bytes)
{
    deq_dataset *d = deq_alloc(ctx, sizeof *d);

    *out = NULL;
    if (!d) return DEQ_ERR_NOMEM;
    *d = (deq_dataset){ .kind = kind, .ctx = ctx, .bytes = bytes, .data = deq_alloc(ctx, bytes) };
    if (!d->data) {
        deq_release(ctx, d, sizeof *d);
        return DEQ_ERR_NOMEM;
    }
    *out = d;
    return DEQ_OK;
}

/* A shape whose elements, as 8-byte numbers even, can be counted. */
static bool shape_fits(const deq_shape *shape)
{
    size_t bytes = 8;

    if (shape->rank < 0 || shape->rank > DEQ_MAX_RANK) return false;
    for (int i = 0; i < shape->rank; i++)
        if (shape->dim[i] < 1 || !deq_size_mul(&bytes, bytes, (size_t)shape->dim[i])) return false;
    return true;
}

static deq_status check(const deq_dataset *d)
{
    const deq_example_form *f = &d->form;
    char input[96], target[96];

    if (d->count < 1)
        return deq_fail(d->ctx, DEQ_ERR_ARGUMENT, "a dataset of %lld examples, expected 1 or more",
                        (long long)d->count);
    if (f->classes < 1 || f->classes > INT32_MAX)
        return deq_fail(d->ctx, DEQ_ERR_ARGUMENT, "a dataset of %lld classes, expected 1 or more",
                        (long long)f->classes);
    if (f->input.rank < 1 || !shape_fits(&f->input) || !shape_fits(&f->target))
        return deq_fail(d->ctx, DEQ_ERR_ARGUMENT,
                        "examples of %s with targets of %s: extents must be 1 or more, and fit "
                        "into memory",
                        deq_type_format(input, sizeof input, &(deq_type){ DEQ_F32, f->input }),
                        deq_type_format(target, sizeof target, &(deq_type){ DEQ_I32, f->target }));
    return DEQ_OK;
}

deq_status deq_dataset_finish(deq_dataset **out, deq_dataset *d, deq_status status)
{
    if (status == DEQ_OK) status = check(d);
    if (status == DEQ_OK)
        *out = d;
    else
        deq_dataset_free(d);
    return status;
}

void deq_dataset_free(deq_dataset *d)
{
    if (!d) return;
    if (d->kind->free) d->kind->free(d);
    deq_release(d->ctx, d->data, d->bytes);
    deq_release(d->ctx, d, sizeof *d);
}

int64_t deq_dataset_count(const deq_dataset *d)
{
    return d->count;
}

deq_example_form deq_dataset_form(const deq_dataset *d)
{
    return d->form;
}

void deq_dataset_class_name(const deq_dataset *d, int64_t class_, char *buffer, size_t size)
{
    if (size == 0) return;
    if (d->kind->class_name && class_ >= 0 && class_ < d->form.classes)
        d->kind->class_name(d, class_, buffer, size);
    else
        (void)snprintf(buffer, size, "%lld", (long long)class_);
}

deq_status deq_dataset_read_own(const deq_dataset *d, int64_t index, float *input, int32_t *target,
                                deq_context *own)
{
    return d->kind->read(d, index, input, target, own);
}

deq_status deq_dataset_read(const deq_dataset *d, int64_t index, float *input, int32_t *target,
                            char *error, size_t size)
{
    deq_context *own = NULL;
    deq_status status = deq_context_private(&own, d->ctx);

    if (status == DEQ_OK && (index < 0 || index >= d->count || !input || !target))
        status = deq_fail(own, DEQ_ERR_ARGUMENT,
                          "example %lld asked of a dataset of %lld, with%s a place for it",
                          (long long)index, (long long)d->count, input && target ? "" : "out");
    else if (status == DEQ_OK)
        status = d->kind->read(d, index, input, target, own);
    if (status != DEQ_OK && error && size)
        (void)snprintf(error, size, "%s", own ? deq_last_error(own) : deq_status_text(status));
    deq_context_free(own);
    return status;
}

void deq_dataset_scale(float *values, const uint8_t *bytes, int64_t count)
{
    for (int64_t i = 0; i < count; i++) values[i] = (float)bytes[i] / 255.0f;
}
