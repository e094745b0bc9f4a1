/* SPDX-License-Identifier: MIT */
/* Images and labels of two IDX files.  They stay bytes until they are read. */
#include "data/dataset.h"

#include <deq/io/idx.h>

typedef struct files {
    deq_idx *images, *labels;
} files;

static deq_status read(const deq_dataset *d, int64_t index, float *input, int32_t *target,
                       deq_context *own)
{
    const files *f = d->data;
    const int64_t elements = deq_shape_count(&d->form.input);

    (void)own;
    deq_dataset_scale(input, f->images->data + index * elements, elements);
    *target = f->labels->data[index];
    return DEQ_OK;
}

static void free_files(deq_dataset *d)
{
    files *f = d->data;

    deq_idx_free(f->images);
    deq_idx_free(f->labels);
}

static const deq_dataset_kind kind = { .read = read, .free = free_files };

/* [N, D] stays [D], [N, H, W] becomes [1, H, W], [N, C, H, W] stays [C, H, W]. */
static deq_shape example_shape(const deq_shape *all)
{
    deq_shape shape = { .rank = 0 };

    if (all->rank == 3) shape.dim[shape.rank++] = 1;
    for (int i = 1; i < all->rank; i++) shape.dim[shape.rank++] = all->dim[i];
    return shape;
}

static deq_status check(deq_context *ctx, const deq_shape *x, const deq_shape *y,
                        const char *images, const char *labels)
{
    if (x->rank < 2 || x->rank > 4)
        return deq_fail(ctx, DEQ_ERR_DATA, "%s: %d axes, expected images [N, H, W]", images,
                        x->rank);
    if (y->rank != 1)
        return deq_fail(ctx, DEQ_ERR_DATA, "%s: %d axes, expected labels [N]", labels, y->rank);
    if (x->dim[0] != y->dim[0])
        return deq_fail(ctx, DEQ_ERR_DATA, "%s: %lld images, but %s has %lld labels", images,
                        (long long)x->dim[0], labels, (long long)y->dim[0]);
    for (int i = 0; i < x->rank; i++)
        if (x->dim[i] < 1)
            return deq_fail(ctx, DEQ_ERR_DATA, "%s: extent %d is 0, expected 1 or more", images, i);
    return DEQ_OK;
}

static deq_status open_files(deq_dataset *d, const char *images, const char *labels)
{
    files *f = d->data;
    int largest = 0;

    DEQ_TRY(deq_idx_read(&f->images, d->ctx, images));
    DEQ_TRY(deq_idx_read(&f->labels, d->ctx, labels));
    DEQ_TRY(check(d->ctx, &f->images->shape, &f->labels->shape, images, labels));
    d->count = f->labels->shape.dim[0];
    for (int64_t i = 0; i < d->count; i++)
        if (f->labels->data[i] > largest) largest = f->labels->data[i];
    d->form = (deq_example_form){ example_shape(&f->images->shape), DEQ_SCALAR, largest + 1 };
    return DEQ_OK;
}

deq_status deq_dataset_idx(deq_dataset **out, deq_context *ctx, const char *images,
                           const char *labels)
{
    deq_dataset *d;

    *out = NULL;
    DEQ_TRY(deq_dataset_new(&d, ctx, &kind, sizeof(files)));
    return deq_dataset_finish(out, d, open_files(d, images, labels));
}
