/* SPDX-License-Identifier: MIT */
/*
 * Files written so that a reader sees the old contents or the new, whole, whatever happens:
 *
 *     PATH.<process>.part is written and brought to the disk, then renamed to PATH.
 *
 * A link is followed.  What is no regular file (a device, a pipe) is written as it is.
 */
#ifndef DEQ_SRC_IO_OUTPUT_H
#define DEQ_SRC_IO_OUTPUT_H

#include "base/context.h"

#include <stdio.h>

typedef struct deq_output {
    deq_context *ctx;
    const char *path; /* as the caller gave it, for messages */
    char *target;     /* what the file will be called */
    char *part;       /* what it is called until it is whole; NULL: written in place */
    FILE *file;
    int error; /* errno of the first write that failed */
} deq_output;

deq_status deq_output_open(deq_output *o, deq_context *ctx, const char *path);
/* Failures are kept for deq_output_close(). */
void deq_output_write(deq_output *o, const void *bytes, size_t count);
/* Finish if status is DEQ_OK; otherwise, and on failure, the new contents are dropped. */
deq_status deq_output_close(deq_output *o, deq_status status);

/* For writers that open files themselves: the same without o->file, which is NULL. */
deq_status deq_output_prepare(deq_output *o, deq_context *ctx, const char *path);

#endif
