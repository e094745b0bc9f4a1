/* SPDX-License-Identifier: MIT */
/*
 * A folder of images: PATH/CLASS/FILE.  Only names are kept; a file is read when it is asked for.
 * Names are sorted by their bytes, so that a dataset is the same on every machine.  Names that begin
 * with a dot, files that are no images by their endings, and files beside the classes are left out.
 */
#define _XOPEN_SOURCE 700

#include "base/arena.h"
#include "data/dataset.h"
#include "data/fit.h"

#include <deq/io/image.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

typedef struct image_file {
    const char *name; /* in the folder of its class */
    int32_t label;
} image_file;

typedef struct folder {
    deq_arena names;
    const char *path;
    const char **classes;
    size_t n_classes, classes_room;
    image_file *files;
    size_t n_files, files_room;
} folder;

/* Names in a folder. */
typedef struct listing {
    const char **names;
    size_t n, room;
} listing;

/* PATH/NAME in an arena. */
static char *join(deq_arena *a, const char *path, const char *name)
{
    const size_t bytes = strlen(path) + strlen(name) + 2;
    char *joined = deq_arena_alloc(a, bytes);

    if (joined) (void)snprintf(joined, bytes, "%s/%s", path, name);
    return joined;
}

static bool is_image(const char *name)
{
    static const char *const endings[] = { ".png", ".jpg", ".jpeg", ".ppm", ".pgm" };
    const char *ending = strrchr(name, '.');

    for (size_t i = 0; ending && i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(ending, endings[i]) == 0) return true;
    return false;
}

/* Whether an entry is wanted: subfolders, or files that are images. */
static bool is_wanted(const char *path, const char *name, bool folders)
{
    struct stat info;

    if (name[0] == '.' || (!folders && !is_image(name))) return false;
    if (stat(path, &info) != 0) return !folders; /* reading it will say why */
    return folders ? S_ISDIR(info.st_mode) : !S_ISDIR(info.st_mode);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static deq_status add_name(listing *l, deq_arena *names, const char *path, const char *name,
                           bool folders)
{
    deq_arena scratch;

    deq_arena_init(&scratch, names->ctx);
    const char *whole = join(&scratch, path, name);
    const bool wanted = whole && is_wanted(whole, name, folders);
    deq_arena_free(&scratch);
    if (!whole) return DEQ_ERR_NOMEM;
    if (!wanted) return DEQ_OK;
    DEQ_TRY(deq_grow(names->ctx, (void **)&l->names, &l->room, l->n + 1, sizeof *l->names));
    l->names[l->n] = deq_arena_strdup(names, name);
    return l->names[l->n++] ? DEQ_OK : DEQ_ERR_NOMEM;
}

static deq_status list(listing *l, deq_arena *names, const char *path, bool folders)
{
    deq_status status = DEQ_OK;
    DIR *directory = opendir(path);

    *l = (listing){ 0 };
    if (!directory)
        return deq_fail(names->ctx, DEQ_ERR_IO, "%s: cannot be listed: %s", path, strerror(errno));
    for (const struct dirent *e; status == DEQ_OK;) {
        errno = 0;
        e = readdir(directory);
        if (!e && errno)
            status = deq_fail(names->ctx, DEQ_ERR_IO, "%s: cannot be listed: %s", path,
                              strerror(errno));
        if (!e) break;
        status = add_name(l, names, path, e->d_name, folders);
    }
    (void)closedir(directory);
    if (l->n) qsort((void *)l->names, l->n, sizeof *l->names, by_name);
    return status;
}

static void free_listing(listing *l, deq_context *ctx)
{
    deq_release(ctx, (void *)l->names, l->room * sizeof *l->names);
}

static deq_status add_files(folder *f, deq_context *ctx, const char *path, int32_t label)
{
    listing files;
    deq_status status = list(&files, &f->names, path, false);

    if (status == DEQ_OK && files.n == 0)
        status = deq_fail(ctx, DEQ_ERR_DATA,
                          "%s: no image in this class, expected .png, .jpg, .jpeg, .ppm or .pgm "
                          "files",
                          path);
    if (status == DEQ_OK)
        status = deq_grow(ctx, (void **)&f->files, &f->files_room, f->n_files + files.n,
                          sizeof *f->files);
    for (size_t i = 0; status == DEQ_OK && i < files.n; i++)
        f->files[f->n_files++] = (image_file){ files.names[i], label };
    free_listing(&files, ctx);
    return status;
}

static deq_status open_folder(deq_dataset *d, const char *path)
{
    folder *f = d->data;
    listing classes;

    f->path = deq_arena_strdup(&f->names, path);
    if (!f->path) return DEQ_ERR_NOMEM;
    deq_status status = list(&classes, &f->names, path, true);
    f->classes = classes.names;
    f->n_classes = classes.n;
    f->classes_room = classes.room;
    if (status == DEQ_OK && classes.n == 0)
        return deq_fail(d->ctx, DEQ_ERR_DATA, "%s: no subfolder, expected one for each class",
                        path);
    if (classes.n > INT32_MAX)
        return deq_fail(d->ctx, DEQ_ERR_DATA, "%s: %zu subfolders", path, classes.n);
    for (size_t i = 0; status == DEQ_OK && i < classes.n; i++) {
        const char *class_path = join(&f->names, f->path, classes.names[i]);
        status = class_path ? add_files(f, d->ctx, class_path, (int32_t)i) : DEQ_ERR_NOMEM;
    }
    d->count = (int64_t)f->n_files;
    d->form.classes = (int64_t)f->n_classes;
    return status;
}

/* Reading. */

static deq_status fit(float *out, const deq_dataset *d, const deq_image *image, deq_context *own)
{
    const deq_shape *to = &d->form.input;
    const size_t n = (size_t)(to->dim[0] * image->height * image->width);
    float *values = deq_alloc_array(own, n, sizeof *values);

    if (!values) return DEQ_ERR_NOMEM;
    deq_status status = deq_image_values(values, image, to->dim[0]);
    if (status == DEQ_OK)
        status = deq_fit_image(out, own, values, to->dim[0], image->height, image->width,
                               to->dim[1], to->dim[2]);
    deq_release(own, values, n * sizeof *values);
    return status;
}

static deq_status read(const deq_dataset *d, int64_t index, float *input, int32_t *target,
                       deq_context *own)
{
    const folder *f = d->data;
    const image_file *file = &f->files[index];
    deq_image *image = NULL;
    deq_arena scratch;

    deq_arena_init(&scratch, own);
    const char *class_path = join(&scratch, f->path, f->classes[file->label]);
    const char *path = class_path ? join(&scratch, class_path, file->name) : NULL;
    deq_status status = path ? deq_image_read(&image, own, path) : DEQ_ERR_NOMEM;
    if (status == DEQ_OK && image->sample == DEQ_SAMPLE_F32)
        status = deq_fail(own, DEQ_ERR_DATA,
                          "%s: samples are floating-point numbers, expected a PNG, JPEG, PPM or "
                          "PGM",
                          path);
    if (status == DEQ_OK) status = fit(input, d, image, own);
    deq_image_free(image);
    deq_arena_free(&scratch);
    *target = file->label;
    return status;
}

static void class_name(const deq_dataset *d, int64_t class_, char *buffer, size_t size)
{
    (void)snprintf(buffer, size, "%s", ((const folder *)d->data)->classes[class_]);
}

static void free_folder(deq_dataset *d)
{
    folder *f = d->data;

    deq_release(d->ctx, f->files, f->files_room * sizeof *f->files);
    deq_release(d->ctx, (void *)f->classes, f->classes_room * sizeof *f->classes);
    deq_arena_free(&f->names);
}

static const deq_dataset_kind kind = { .read = read,
                                       .class_name = class_name,
                                       .free = free_folder };

deq_status deq_dataset_folder(deq_dataset **out, deq_context *ctx, const char *path,
                              int64_t channels, int64_t height, int64_t width)
{
    deq_dataset *d;

    *out = NULL;
    if ((channels != 1 && channels != 3) || height < 1 || width < 1 || height > INT32_MAX ||
        width > INT32_MAX)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                        "images of [%lld, %lld, %lld], expected 1 or 3 channels, and extents of "
                        "1 to 2^31 - 1",
                        (long long)channels, (long long)height, (long long)width);
    DEQ_TRY(deq_dataset_new(&d, ctx, &kind, sizeof(folder)));
    deq_arena_init(&((folder *)d->data)->names, ctx);
    d->form = (deq_example_form){ DEQ_SHAPE(channels, height, width), DEQ_SCALAR, 1 };
    return deq_dataset_finish(out, d, open_folder(d, path));
}
