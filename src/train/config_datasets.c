/* SPDX-License-Identifier: MIT */
/* The datasets that a configuration names. */
#include "train/trained.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define GENERATED_TRAIN 10000
#define GENERATED_TEST 2000
/* Examples for the test, and those kept back, are drawn with other seeds than those trained on. */
#define TEST_SEED 0x7465737400000000u
#define VALIDATION_SEED 0x76616c6900000000u

static bool is_file(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISREG(s.st_mode);
}

/* folder/name or folder/name.gz; the first if there is neither, for the message. */
static void find_idx(char *path, size_t size, const char *folder, const char *name)
{
    snprintf(path, size, "%s/%s.gz", folder, name);
    if (is_file(path)) return;
    snprintf(path, size, "%s/%s", folder, name);
}

static deq_status open_mnist(deq_dataset **out, deq_context *ctx, const char *folder, bool test)
{
    char images[DEQ_CONFIG_TEXT + 64], labels[DEQ_CONFIG_TEXT + 64];
    find_idx(images, sizeof images, folder,
             test ? "t10k-images-idx3-ubyte" : "train-images-idx3-ubyte");
    find_idx(labels, sizeof labels, folder,
             test ? "t10k-labels-idx1-ubyte" : "train-labels-idx1-ubyte");
    return deq_dataset_idx(out, ctx, images, labels);
}

/* The batches 1 to 5 of CIFAR-10 that are there (at least the first), or its test batch. */
static deq_status open_cifar10(deq_dataset **out, deq_context *ctx, const char *folder, bool test)
{
    char paths[5][DEQ_CONFIG_TEXT + 64];
    const char *list[5];
    int n = 0;
    for (int i = 0; i < (test ? 1 : 5); i++) {
        if (test)
            snprintf(paths[i], sizeof paths[i], "%s/test_batch.bin", folder);
        else
            snprintf(paths[i], sizeof paths[i], "%s/data_batch_%d.bin", folder, i + 1);
        if (i > 0 && !is_file(paths[i])) break;
        list[n++] = paths[i];
    }
    return deq_dataset_cifar(out, ctx, list, n, 10);
}

static deq_status open_cifar100(deq_dataset **out, deq_context *ctx, const char *folder, bool test)
{
    char path[DEQ_CONFIG_TEXT + 64];
    const char *list[1] = { path };
    snprintf(path, sizeof path, "%s/%s.bin", folder, test ? "test" : "train");
    return deq_dataset_cifar(out, ctx, list, 1, 100);
}

static bool is_generated(const deq_data_config *d)
{
    return d->source == DEQ_SOURCE_PREFIX_SUMS || d->source == DEQ_SOURCE_MAZES;
}

static deq_status open_generated(deq_dataset **out, deq_context *ctx, const deq_data_config *d,
                                 int64_t size, int64_t count, uint64_t other_seed)
{
    uint64_t seed = (uint64_t)d->seed ^ other_seed;
    if (d->source == DEQ_SOURCE_PREFIX_SUMS) {
        deq_prefix_sums o = deq_prefix_sums_defaults();
        if (size > 0) o.bits = size;
        o.count = count;
        o.seed = seed;
        return deq_dataset_prefix_sums(out, ctx, &o);
    }
    deq_mazes o = deq_mazes_defaults();
    if (size > 0) o.size = size;
    o.count = count;
    o.seed = seed;
    o.percolation = d->percolation;
    o.start = d->start;
    return deq_dataset_mazes(out, ctx, &o);
}

static deq_status need_path(deq_context *ctx, const char *key, const char *value)
{
    if (*value) return DEQ_OK;
    return deq_fail(ctx, DEQ_ERR_ARGUMENT, "%s is not set; it says where the data are", key);
}

/* All of the training or test examples that there are. */
static deq_status open_source(deq_dataset **out, deq_context *ctx, const deq_data_config *d,
                              bool test)
{
    int64_t count = test ? d->test_count : d->count;
    if (is_generated(d))
        return open_generated(out, ctx, d, d->size,
                              count > 0 ? count
                              : test    ? GENERATED_TEST
                                        : GENERATED_TRAIN,
                              test ? TEST_SEED : 0);
    bool apart = test && (d->source == DEQ_SOURCE_FOLDER || d->source == DEQ_SOURCE_NPZ);
    const char *path = apart ? d->test : d->path;
    DEQ_TRY(need_path(ctx, apart ? "data.test" : "data.path", path));
    switch (d->source) {
    case DEQ_SOURCE_MNIST: return open_mnist(out, ctx, path, test);
    case DEQ_SOURCE_CIFAR10: return open_cifar10(out, ctx, path, test);
    case DEQ_SOURCE_CIFAR100: return open_cifar100(out, ctx, path, test);
    case DEQ_SOURCE_FOLDER:
        return deq_dataset_folder(out, ctx, path, d->channels, d->height, d->width);
    default: return deq_dataset_npz(out, ctx, path, d->inputs, d->targets);
    }
}

static deq_status check_count(deq_context *ctx, const char *key, int64_t wanted, int64_t there)
{
    if (wanted <= there) return DEQ_OK;
    return deq_fail(ctx, DEQ_ERR_ARGUMENT, "%s is %lld, but there are %lld examples", key,
                    (long long)wanted, (long long)there);
}

/* The training examples cut into what is trained on and what is kept back.  Generated examples cost
 * nothing: there what would be kept back is drawn besides. */
static deq_status divide(deq_dataset **train, deq_dataset **validation, deq_dataset *whole,
                         deq_context *ctx, const deq_data_config *d)
{
    int64_t n = deq_dataset_count(whole);
    DEQ_TRY(check_count(ctx, "data.count", d->count, n));
    if (d->count > 0) n = d->count;
    if (is_generated(d)) {
        DEQ_TRY(deq_dataset_slice(train, whole, 0, n));
        return d->validation > 0
                   ? open_generated(validation, ctx, d, d->size, d->validation, VALIDATION_SEED)
                   : DEQ_OK;
    }
    if (d->validation >= n)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                        "data.validation is %lld; it must leave some of the %lld examples for "
                        "training",
                        (long long)d->validation, (long long)n);
    DEQ_TRY(deq_dataset_slice(train, whole, 0, n - d->validation));
    if (d->validation > 0)
        DEQ_TRY(deq_dataset_slice(validation, whole, n - d->validation, d->validation));
    return DEQ_OK;
}

static deq_status open_test(deq_dataset **test, deq_dataset **owner, deq_context *ctx,
                            const deq_data_config *d)
{
    deq_dataset *whole = NULL;
    DEQ_TRY(open_source(&whole, ctx, d, true));
    deq_status status = check_count(ctx, "data.test_count", d->test_count,
                                    deq_dataset_count(whole));
    if (status == DEQ_OK && d->test_count > 0 && d->test_count < deq_dataset_count(whole)) {
        status = deq_dataset_slice(test, whole, 0, d->test_count);
        if (status == DEQ_OK) *owner = whole;
    } else if (status == DEQ_OK) {
        *test = whole;
    }
    if (status != DEQ_OK) deq_dataset_free(whole);
    return status;
}

deq_status deq_config_datasets(deq_datasets *out, deq_context *ctx, const deq_config *config)
{
    memset(out, 0, sizeof *out);
    deq_status status = open_source(&out->owner[0], ctx, &config->data, false);
    if (status == DEQ_OK)
        status = divide(&out->train, &out->validation, out->owner[0], ctx, &config->data);
    if (status == DEQ_OK) status = open_test(&out->test, &out->owner[1], ctx, &config->data);
    if (status != DEQ_OK) deq_datasets_free(out);
    return status;
}

deq_status deq_config_test_set(deq_datasets *out, deq_context *ctx, const deq_config *config)
{
    memset(out, 0, sizeof *out);
    return open_test(&out->test, &out->owner[1], ctx, &config->data);
}

void deq_datasets_free(deq_datasets *d)
{
    deq_dataset_free(d->train);
    deq_dataset_free(d->validation);
    deq_dataset_free(d->test);
    for (int i = 0; i < 2; i++) deq_dataset_free(d->owner[i]);
    memset(d, 0, sizeof *d);
}

deq_status deq_config_sized(deq_dataset **out, deq_context *ctx, const deq_config *config,
                            int64_t size, int64_t count)
{
    *out = NULL;
    if (!is_generated(&config->data))
        return deq_fail(ctx, DEQ_ERR_UNSUPPORTED,
                        "only generated examples (prefix-sums, mazes) come in other sizes");
    return open_generated(out, ctx, &config->data, size, count, TEST_SEED);
}

deq_status deq_config_form(deq_example_form *form, deq_context *ctx, const deq_config *config)
{
    const deq_data_config *d = &config->data;
    deq_shape images[] = { [DEQ_SOURCE_MNIST] = DEQ_SHAPE(1, 28, 28),
                           [DEQ_SOURCE_CIFAR10] = DEQ_SHAPE(3, 32, 32),
                           [DEQ_SOURCE_CIFAR100] = DEQ_SHAPE(3, 32, 32) };
    switch (d->source) {
    case DEQ_SOURCE_MNIST:
    case DEQ_SOURCE_CIFAR10:
    case DEQ_SOURCE_CIFAR100:
        *form = (deq_example_form){ .input = images[d->source],
                                    .target = DEQ_SCALAR,
                                    .classes = d->source == DEQ_SOURCE_CIFAR100 ? 100 : 10 };
        return DEQ_OK;
    default: break;
    }
    deq_dataset *set = NULL;
    DEQ_TRY(open_source(&set, ctx, d, false));
    *form = deq_dataset_form(set);
    deq_dataset_free(set);
    return DEQ_OK;
}
