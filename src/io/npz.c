/* SPDX-License-Identifier: MIT */
/* NumPy's .npz: a zip archive whose members NAME.npy are arrays.  Those that hold no numbers are left
 * out, so that names or labels in words do not hide the numbers beside them. */
#include "io/npy.h"
#include "io/zip.h"

#include <deq/io/npy.h>
#include <stdio.h>
#include <string.h>

static deq_status read_member(deq_archive *a, deq_zip *z, size_t i)
{
    char title[DEQ_ZIP_NAME_BYTES], name[DEQ_ZIP_NAME_BYTES];
    deq_source s;
    const char *member = deq_zip_name(z, i);
    const size_t length = strlen(member);

    if (length < 5 || length >= sizeof name || strcmp(member + length - 4, ".npy") != 0)
        return deq_zip_fail(z, "member %zu is called '%.200s', expected NAME.npy", i, member);
    memcpy(name, member, length - 4);
    name[length - 4] = '\0';
    DEQ_TRY(deq_zip_read(&s, title, z, i));
    const deq_status status = deq_npy_check(&s);
    if (status != DEQ_OK) {
        deq_source_close(&s);
        return status == DEQ_ERR_UNSUPPORTED
                   ? deq_archive_leave_out(a, name, deq_last_error(deq_archive_context(a)))
                   : status;
    }
    const deq_source view = { .ctx = s.ctx, .name = s.name, .data = s.data, .size = s.size };
    DEQ_TRY(deq_archive_take_source(a, &s));
    return deq_npy_decode(a, name, &view, true);
}

static deq_status read_members(deq_archive **out, deq_context *ctx, deq_zip *z)
{
    deq_archive *a;

    DEQ_TRY(deq_archive_new(&a, ctx));
    for (size_t i = 0; i < deq_zip_count(z); i++) {
        deq_status status = read_member(a, z, i);
        if (status != DEQ_OK) {
            deq_archive_free(a);
            return status;
        }
    }
    *out = a;
    return DEQ_OK;
}

deq_status deq_npz_read(deq_archive **out, deq_context *ctx, const char *path)
{
    deq_zip *z;

    *out = NULL;
    DEQ_TRY(deq_zip_open(&z, ctx, path));
    deq_status status = read_members(out, ctx, z);
    deq_zip_close(z);
    return status;
}

deq_status deq_npz_parse(deq_archive **out, deq_context *ctx, const void *bytes, size_t size)
{
    deq_zip *z;

    *out = NULL;
    DEQ_TRY(deq_zip_open_memory(&z, ctx, bytes, size));
    deq_status status = read_members(out, ctx, z);
    deq_zip_close(z);
    return status;
}

/* What is written: the archive, and a header for each tensor. */
typedef struct writing {
    const deq_archive *a;
    char (*headers)[DEQ_NPY_HEADER_BYTES];
} writing;

static deq_status write_part(deq_zip_part *part, void *user, size_t i)
{
    const writing *w = user;
    const deq_archive_tensor *t = deq_archive_at(w->a, i);

    if (strlen(t->name) + 5 > sizeof part->name)
        return deq_fail(deq_archive_context(w->a), DEQ_ERR_ARGUMENT,
                        "the name '%.200s...' is too long for a member of a zip archive", t->name);
    snprintf(part->name, sizeof part->name, "%s.npy", t->name);
    part->head = w->headers[i];
    part->head_bytes = deq_npy_header(w->headers[i], &t->type);
    part->body = t->data;
    part->body_bytes = deq_type_bytes(&t->type);
    return DEQ_OK;
}

deq_status deq_npz_write(const deq_archive *a, const char *path, bool compress)
{
    deq_context *ctx = deq_archive_context(a);
    const size_t count = deq_archive_count(a);
    writing w = { a, deq_alloc_array(ctx, count, DEQ_NPY_HEADER_BYTES) };

    if (!w.headers) return DEQ_ERR_NOMEM;
    deq_status status = deq_zip_write(ctx, path, count, compress, write_part, &w);
    deq_release(ctx, w.headers, count * DEQ_NPY_HEADER_BYTES);
    return status;
}
