/* SPDX-License-Identifier: MIT */
/* Datasets of the caller: examples come from a function. */
#include "data/dataset.h"

#include <stdio.h>

typedef struct custom {
    deq_example_read *read;
    void *user;
} custom;

static deq_status read(const deq_dataset *d, int64_t index, float *input, int32_t *target,
                       deq_context *own)
{
    const custom *c = d->data;
    char error[DEQ_MESSAGE_BYTES] = "";
    const deq_status status = c->read(c->user, index, input, target, error, sizeof error);

    if (status == DEQ_OK) return DEQ_OK;
    return deq_fail(own, status, "%.*s", DEQ_MESSAGE_BYTES - 1,
                    error[0] ? error : deq_status_text(status));
}

static const deq_dataset_kind kind = { .read = read };

deq_status deq_dataset_custom(deq_dataset **out, deq_context *ctx, const deq_example_form *form,
                              int64_t count, deq_example_read *read_example, void *user)
{
    deq_dataset *d;

    *out = NULL;
    if (!form || !read_example)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "a dataset without %s",
                        form ? "a function that reads" : "a form");
    DEQ_TRY(deq_dataset_new(&d, ctx, &kind, sizeof(custom)));
    *(custom *)d->data = (custom){ read_example, user };
    d->form = *form;
    d->count = count;
    return deq_dataset_finish(out, d, DEQ_OK);
}
