/* SPDX-License-Identifier: MIT */
/* Atomic replacement of files. */
#define _XOPEN_SOURCE 700

#include "io/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void free_names(deq_output *o)
{
    if (o->target) deq_release(o->ctx, o->target, strlen(o->target) + 1);
    if (o->part) deq_release(o->ctx, o->part, strlen(o->part) + 1);
    o->target = o->part = NULL;
}

static deq_status fail(const deq_output *o, const char *what, int error)
{
    return deq_fail(o->ctx, DEQ_ERR_IO, "%s: %s: %s", o->path, what, strerror(error));
}

/* The name behind links, if the file exists; else the name itself. */
static char *resolve(deq_context *ctx, const char *path)
{
    char *real = realpath(path, NULL);
    char *copy = deq_strdup(ctx, real ? real : path);

    free(real);
    return copy;
}

deq_status deq_output_prepare(deq_output *o, deq_context *ctx, const char *path)
{
    *o = (deq_output){ .ctx = ctx, .path = path };
    if (!path || !*path) return deq_fail(ctx, DEQ_ERR_ARGUMENT, "no path of a file to write");
    struct stat info;
    const bool exists = stat(path, &info) == 0;

    if (exists && S_ISDIR(info.st_mode))
        return deq_fail(ctx, DEQ_ERR_IO, "%s: is a directory, not a file", path);
    o->target = resolve(ctx, path);
    if (!o->target) return DEQ_ERR_NOMEM;
    if (exists && !S_ISREG(info.st_mode)) return DEQ_OK;

    char suffix[32];
    snprintf(suffix, sizeof suffix, ".%ld.part", (long)getpid());
    const size_t length = strlen(o->target), more = strlen(suffix) + 1;
    o->part = deq_alloc(ctx, length + more);
    if (!o->part) {
        free_names(o);
        return DEQ_ERR_NOMEM;
    }
    memcpy(o->part, o->target, length);
    memcpy(o->part + length, suffix, more);
    return DEQ_OK;
}

deq_status deq_output_open(deq_output *o, deq_context *ctx, const char *path)
{
    DEQ_TRY(deq_output_prepare(o, ctx, path));
    o->file = fopen(o->part ? o->part : o->target, "wb");
    if (o->file) return DEQ_OK;
    deq_status status = fail(o, "cannot be written", errno);
    free_names(o);
    return status;
}

void deq_output_write(deq_output *o, const void *bytes, size_t count)
{
    if (o->error || count == 0) return;
    if (fwrite(bytes, 1, count, o->file) != count) o->error = errno ? errno : EIO;
}

/* A file, or the entries of a folder, brought to the disk.  Devices and some file systems cannot. */
static int sync_path(const char *path)
{
    int descriptor = open(path, O_RDONLY), error = 0;

    if (descriptor < 0) return errno;
    if (fsync(descriptor) != 0 && errno != EINVAL && errno != EROFS && errno != ENOTSUP)
        error = errno;
    (void)close(descriptor);
    return error;
}

static int sync_folder(char *path)
{
    char *slash = strrchr(path, '/');

    if (!slash) return sync_path(".");
    if (slash == path) return sync_path("/");
    *slash = '\0';
    int error = sync_path(path);
    *slash = '/';
    return error;
}

static deq_status finish(deq_output *o)
{
    if (o->file && fclose(o->file) != 0 && !o->error) o->error = errno ? errno : EIO;
    o->file = NULL;
    if (o->error) return fail(o, "cannot be written", o->error);
    if (!o->part) return DEQ_OK;
    int error = sync_path(o->part);
    if (error) return fail(o, "cannot be brought to the disk", error);
    if (rename(o->part, o->target) != 0) return fail(o, "cannot be replaced", errno);
    (void)sync_folder(o->target); /* the contents are safe; a folder that cannot is not a failure */
    return DEQ_OK;
}

deq_status deq_output_close(deq_output *o, deq_status status)
{
    if (status == DEQ_OK) status = finish(o);
    if (o->file) (void)fclose(o->file);
    o->file = NULL;
    if (status != DEQ_OK && o->part) (void)unlink(o->part);
    free_names(o);
    return status;
}
