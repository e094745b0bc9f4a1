/* SPDX-License-Identifier: MIT */
/*
 * What `deq info PATH` says of a file or folder.  A describer knows one kind of contents by its first
 * bytes or its name; info.c has the table, and asks in order.
 */
#ifndef DEQ_CLI_DESCRIBE_H
#define DEQ_CLI_DESCRIBE_H

#include "command.h"
#include "json.h"

#include <deq/context.h>
#include <deq/io/archive.h>

/* What can be known of a file without reading it. */
typedef struct file_head {
    const char *path;
    const char *name; /* the part behind the last slash */
    bool is_folder;
    uint64_t bytes; /* of the file */
    size_t n;       /* how many of the following there are */
    unsigned char first[256];
} file_head;

typedef struct describer {
    const char *kind; /* for --as */
    bool (*knows)(const file_head *head);
    /* Adds members to the object; `format` is the first.  An exit code, with a message. */
    int (*describe)(json_t *into, const arguments *a, deq_context *ctx, const file_head *head);
} describer;

extern const describer describe_archive, describe_checkpoint, describe_cifar10, describe_cifar100,
    describe_config, describe_csv, describe_idx, describe_image, describe_run, describe_svmlight;

/* Whether the name ends so, in small or large letters: ".csv". */
bool name_ends(const file_head *head, const char *end);
bool begins_with(const file_head *head, const char *bytes, size_t n);

/* How many different labels there are, and if that is not too many how often each; sorts them. */
void json_put_labels(json_t *into, int64_t *labels, int64_t n);
/* Least, greatest, mean and root of the mean square of the finite elements; how many are not. */
void json_put_statistics(json_t *row, const deq_archive_tensor *t);

#endif
