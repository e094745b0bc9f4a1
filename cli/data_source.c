/* SPDX-License-Identifier: MIT */
/* Which data set a command line means. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "context.h"
#include "data.h"
#include "text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char *const maze_starts[] = { "root", "dead-end", "any", NULL };

/* What there is, and the options that each has a use for. */
typedef enum source_kind {
    PREFIX_SUMS,
    MAZES,
    ARCHIVE,
    IDX,
    MNIST,
    CIFAR_FILE,
    CIFAR10,
    CIFAR100,
    IMAGES,
    UNKNOWN
} source_kind;

#define KIND(kind) (1u << (kind))

static const struct source_option {
    const char *name, *for_what;
    unsigned kinds;
} source_options[] = {
    { "size", "prefix-sums and mazes", KIND(PREFIX_SUMS) | KIND(MAZES) },
    { "seed", "prefix-sums and mazes", KIND(PREFIX_SUMS) | KIND(MAZES) },
    { "percolation", "mazes", KIND(MAZES) },
    { "start", "mazes", KIND(MAZES) },
    { "test", "a folder of MNIST's or CIFAR's files",
      KIND(MNIST) | KIND(CIFAR10) | KIND(CIFAR100) },
    { "inputs", "a .npz", KIND(ARCHIVE) },
    { "targets", "a .npz", KIND(ARCHIVE) },
    { "channels", "a folder of images", KIND(IMAGES) },
    { "height", "a folder of images", KIND(IMAGES) },
    { "width", "a folder of images", KIND(IMAGES) },
};

static int check_options(const arguments *a, source_kind kind)
{
    for (int i = 0; i < LENGTH(source_options); i++)
        if (argument_given(a, source_options[i].name) && !(source_options[i].kinds & KIND(kind)))
            return fail(CLI_USAGE, a->path, "--%s is for %s", source_options[i].name,
                        source_options[i].for_what);
    return CLI_OK;
}

/* ---- generated ---- */

/* What is wrong with a generator's settings is wrong with the command line. */
static int fail_settings(const arguments *a, deq_context *ctx, deq_status status)
{
    const int code = fail_status(a, ctx, status);
    return status == DEQ_ERR_ARGUMENT ? CLI_USAGE : code;
}

int open_prefix_sums(deq_dataset **out, const arguments *a, deq_context *ctx, int64_t count)
{
    deq_prefix_sums o = deq_prefix_sums_defaults();
    if (argument_integer(a, "size") > 0) o.bits = argument_integer(a, "size");
    o.seed = (uint64_t)argument_integer(a, "seed");
    o.count = o.bits < 24 && count > INT64_C(1) << o.bits ? INT64_C(1) << o.bits : count;
    return fail_settings(a, ctx, deq_dataset_prefix_sums(out, ctx, &o));
}

int open_mazes(deq_dataset **out, const arguments *a, deq_context *ctx, int64_t count)
{
    deq_mazes o = deq_mazes_defaults();
    if (argument_integer(a, "size") > 0) o.size = argument_integer(a, "size");
    o.seed = (uint64_t)argument_integer(a, "seed");
    o.count = count;
    o.percolation = argument_real(a, "percolation");
    o.start = (deq_maze_start)argument_choice(a, "start");
    return fail_settings(a, ctx, deq_dataset_mazes(out, ctx, &o));
}

/* ---- files ---- */

static bool exists(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0;
}

/* FOLDER/NAME, if there is such a file, perhaps with .gz; else NULL.  To be freed. */
static char *find_in(const char *folder, const char *name)
{
    static const char *const ends[] = { "", ".gz" };
    for (int i = 0; i < LENGTH(ends); i++) {
        text_buffer path = { 0 };
        put_format(&path, "%s/%s%s", folder, name, ends[i]);
        if (exists(text_string(&path))) return path.bytes;
        text_free(&path);
    }
    return NULL;
}

static bool has(const char *folder, const char *name)
{
    char *path = find_in(folder, name);
    free(path);
    return path != NULL;
}

static int open_mnist(deq_dataset **out, const arguments *a, deq_context *ctx, const char *folder)
{
    const bool test = argument_flag(a, "test");
    const char *const names[2] = { test ? "t10k-images-idx3-ubyte" : "train-images-idx3-ubyte",
                                   test ? "t10k-labels-idx1-ubyte" : "train-labels-idx1-ubyte" };
    char *paths[2] = { find_in(folder, names[0]), find_in(folder, names[1]) };
    int code = CLI_OK;
    for (int i = 0; i < 2 && code == CLI_OK; i++)
        if (!paths[i])
            code = fail_about(CLI_FAILED, a, folder, "there is no %s in this folder", names[i]);
    if (code == CLI_OK) code = fail_status(a, ctx, deq_dataset_idx(out, ctx, paths[0], paths[1]));
    for (int i = 0; i < 2; i++) free(paths[i]);
    return code;
}

/* The last "images-idx3" becomes "labels-idx1". */
static int open_idx(deq_dataset **out, const arguments *a, deq_context *ctx, const char *images)
{
    const char *at = strstr(images, "images-idx3");
    text_buffer labels = { 0 };
    for (const char *next = at; next; next = strstr(next + 1, "images-idx3")) at = next;
    if (!at) return CLI_FAILED;
    put_bytes(&labels, images, (size_t)(at - images));
    put_format(&labels, "labels-idx1%s", at + strlen("images-idx3"));
    const int code = fail_status(a, ctx, deq_dataset_idx(out, ctx, images, text_string(&labels)));
    text_free(&labels);
    return code;
}

/* Those of the files that there are. */
static int open_cifar(deq_dataset **out, const arguments *a, deq_context *ctx, const char *folder,
                      const char *const *names, int n, int classes)
{
    const char *paths[8];
    char *owned[8];
    int found = 0;
    for (int i = 0; i < n; i++) {
        owned[found] = find_in(folder, names[i]);
        if (owned[found]) paths[found] = owned[found], found++;
    }
    int code = found ? CLI_OK
                     : fail_about(CLI_FAILED, a, folder, "there is no %s in this folder", names[0]);
    if (code == CLI_OK)
        code = fail_status(a, ctx, deq_dataset_cifar(out, ctx, paths, found, classes));
    for (int i = 0; i < found; i++) free(owned[i]);
    return code;
}

static int open_cifar_folder(deq_dataset **out, const arguments *a, deq_context *ctx,
                             const char *folder, source_kind kind)
{
    static const char *const train_10[] = { "data_batch_1.bin", "data_batch_2.bin",
                                            "data_batch_3.bin", "data_batch_4.bin",
                                            "data_batch_5.bin" };
    static const char *const test_10[] = { "test_batch.bin" };
    static const char *const train_100[] = { "train.bin" }, *const test_100[] = { "test.bin" };
    if (kind == CIFAR100)
        return open_cifar(out, a, ctx, folder, argument_flag(a, "test") ? test_100 : train_100, 1,
                          100);
    return argument_flag(a, "test")
               ? open_cifar(out, a, ctx, folder, test_10, 1, 10)
               : open_cifar(out, a, ctx, folder, train_10, LENGTH(train_10), 10);
}

/* Records of both sizes fill a file: CIFAR-10. */
static int open_cifar_file(deq_dataset **out, const arguments *a, deq_context *ctx,
                           const char *path, uint64_t bytes)
{
    const int classes = bytes % 3073 && bytes % 3074 == 0 ? 100 : 10;
    return fail_status(a, ctx, deq_dataset_cifar(out, ctx, &path, 1, classes));
}

/* ---- which ---- */

static bool ends_with(const char *s, const char *end)
{
    const size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

static source_kind kind_of_folder(const char *path)
{
    if (has(path, "train-images-idx3-ubyte") || has(path, "t10k-images-idx3-ubyte")) return MNIST;
    if (has(path, "data_batch_1.bin") || has(path, "test_batch.bin")) return CIFAR10;
    if (has(path, "train.bin") || has(path, "test.bin")) return CIFAR100;
    return IMAGES;
}

static source_kind kind_of_source(const char *name, struct stat *about)
{
    if (strcmp(name, "prefix-sums") == 0) return PREFIX_SUMS;
    if (strcmp(name, "mazes") == 0) return MAZES;
    if (stat(name, about) != 0) return UNKNOWN;
    if (S_ISDIR(about->st_mode)) return kind_of_folder(name);
    if (ends_with(name, ".npz")) return ARCHIVE;
    if (ends_with(name, ".bin")) return CIFAR_FILE;
    return strstr(name, "images-idx3") ? IDX : UNKNOWN;
}

bool source_is_generated(const arguments *a)
{
    struct stat about;
    const source_kind kind = kind_of_source(argument_text(a, "SOURCE"), &about);
    return kind == PREFIX_SUMS || kind == MAZES;
}

static const char *generated_name(const void *set, int i)
{
    static const char *const names[] = { "prefix-sums", "mazes" };
    (void)set;
    return i < LENGTH(names) ? names[i] : NULL;
}

static int fail_unknown(const arguments *a, const char *name)
{
    const int error = errno;
    const char *near = nearest_name(name, generated_name, NULL);
    if (exists(name))
        return fail_about(CLI_DATA, a, name,
                          "no data set that deq knows by its name: expected a folder, a .npz, a "
                          ".bin of CIFAR, or ...images-idx3...");
    if (near)
        return fail_about(CLI_FAILED, a, name, "%s; did you mean '%s'?", strerror(error), near);
    return fail_about(CLI_FAILED, a, name, "%s", strerror(error));
}

int open_source(deq_dataset **out, const arguments *a, deq_context *ctx, int64_t count)
{
    const char *name = argument_text(a, "SOURCE");
    struct stat about = { 0 };
    const source_kind kind = kind_of_source(name, &about);
    *out = NULL;
    if (kind == UNKNOWN) return fail_unknown(a, name);
    const int code = check_options(a, kind);
    if (code != CLI_OK) return code;
    switch (kind) {
    case PREFIX_SUMS: return open_prefix_sums(out, a, ctx, count);
    case MAZES: return open_mazes(out, a, ctx, count);
    case ARCHIVE:
        return fail_status(a, ctx,
                           deq_dataset_npz(out, ctx, name, argument_text(a, "inputs"),
                                           argument_text(a, "targets")));
    case IDX: return open_idx(out, a, ctx, name);
    case MNIST: return open_mnist(out, a, ctx, name);
    case CIFAR_FILE: return open_cifar_file(out, a, ctx, name, (uint64_t)about.st_size);
    case CIFAR10:
    case CIFAR100: return open_cifar_folder(out, a, ctx, name, kind);
    case IMAGES:
        return fail_status(a, ctx,
                           deq_dataset_folder(out, ctx, name, argument_integer(a, "channels"),
                                              argument_integer(a, "height"),
                                              argument_integer(a, "width")));
    case UNKNOWN: break;
    }
    return CLI_FAILED;
}
