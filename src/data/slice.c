/* SPDX-License-Identifier: MIT */
/* Part of a dataset: the whole, with a first example. */
#include "data/dataset.h"

typedef struct slice {
    const deq_dataset *whole;
    int64_t first;
} slice;

static deq_status read(const deq_dataset *d, int64_t index, float *input, int32_t *target,
                       deq_context *own)
{
    const slice *s = d->data;

    return deq_dataset_read_own(s->whole, s->first + index, input, target, own);
}

static void class_name(const deq_dataset *d, int64_t class_, char *buffer, size_t size)
{
    deq_dataset_class_name(((const slice *)d->data)->whole, class_, buffer, size);
}

static const deq_dataset_kind kind = { .read = read, .class_name = class_name };

deq_status deq_dataset_slice(deq_dataset **out, const deq_dataset *whole, int64_t first,
                             int64_t count)
{
    deq_dataset *d;

    *out = NULL;
    if (first < 0 || count < 1 || first >= whole->count || count > whole->count - first)
        return deq_fail(whole->ctx, DEQ_ERR_ARGUMENT,
                        "%lld examples from %lld on asked of a dataset of %lld", (long long)count,
                        (long long)first, (long long)whole->count);
    DEQ_TRY(deq_dataset_new(&d, whole->ctx, &kind, sizeof(slice)));
    *(slice *)d->data = (slice){ whole, first };
    d->form = whole->form;
    d->count = count;
    return deq_dataset_finish(out, d, DEQ_OK);
}
