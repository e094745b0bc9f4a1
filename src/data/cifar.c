/* SPDX-License-Identifier: MIT */
/* Images of several of CIFAR's binary files, one behind the other. */
#include "data/dataset.h"

#include <deq/io/cifar.h>
#include <stdio.h>

#define IMAGE 3072

/* In the order of the labels: batches.meta.txt and fine_label_names.txt of the official archives. */
static const char *const names_10[] = { "airplane", "automobile", "bird",  "cat",  "deer",
                                        "dog",      "frog",       "horse", "ship", "truck" };

/* clang-format off */
static const char *const names_100[] = {
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle",
    "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle",
    "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur",
    "dolphin", "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard",
    "lamp", "lawn_mower", "leopard", "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain",
    "mouse", "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree",
    "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road", "rocket",
    "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider",
    "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor",
    "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
};
/* clang-format on */

_Static_assert(sizeof names_10 / sizeof *names_10 == 10, "ten classes");
_Static_assert(sizeof names_100 / sizeof *names_100 == 100, "a hundred classes");

typedef struct files {
    deq_cifar **file; /* n of them; NULL: not read yet */
    size_t n;
} files;

static deq_status read(const deq_dataset *d, int64_t index, float *input, int32_t *target,
                       deq_context *own)
{
    deq_cifar *const *file = ((const files *)d->data)->file;

    (void)own;
    for (; index >= (*file)->count; file++) index -= (*file)->count;
    deq_dataset_scale(input, (*file)->images + index * IMAGE, IMAGE);
    *target = (*file)->labels[index];
    return DEQ_OK;
}

static void class_name(const deq_dataset *d, int64_t class_, char *buffer, size_t size)
{
    (void)snprintf(buffer, size, "%s", (d->form.classes == 10 ? names_10 : names_100)[class_]);
}

static void free_files(deq_dataset *d)
{
    files *f = d->data;

    for (size_t i = 0; i < f->n; i++) deq_cifar_free(f->file[i]);
    deq_release(d->ctx, (void *)f->file, f->n * sizeof *f->file);
}

static const deq_dataset_kind kind = { .read = read, .class_name = class_name, .free = free_files };

static deq_status open_files(deq_dataset *d, const char *const *paths, size_t n, int classes)
{
    files *f = d->data;

    f->file = deq_alloc_array(d->ctx, n, sizeof *f->file);
    if (!f->file) return DEQ_ERR_NOMEM;
    f->n = n;
    for (size_t i = 0; i < n; i++) {
        DEQ_TRY(deq_cifar_read(&f->file[i], d->ctx, paths[i],
                               classes == 10 ? DEQ_CIFAR10 : DEQ_CIFAR100));
        d->count += f->file[i]->count;
    }
    d->form = (deq_example_form){ DEQ_SHAPE(3, 32, 32), DEQ_SCALAR, classes };
    return DEQ_OK;
}

deq_status deq_dataset_cifar(deq_dataset **out, deq_context *ctx, const char *const *paths,
                             int n_paths, int classes)
{
    deq_dataset *d;

    *out = NULL;
    if (n_paths < 1 || !paths)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "%d files of CIFAR, expected 1 or more", n_paths);
    if (classes != 10 && classes != 100)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "CIFAR of %d classes, expected 10 or 100", classes);
    DEQ_TRY(deq_dataset_new(&d, ctx, &kind, sizeof(files)));
    return deq_dataset_finish(out, d, open_files(d, paths, (size_t)n_paths, classes));
}
