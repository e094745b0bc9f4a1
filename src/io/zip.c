/* SPDX-License-Identifier: MIT */
/* Zip archives through libzip. */
#include "io/zip.h"

#include <stdio.h>
#include <string.h>
#include <zip.h>

/* One byte of a deflate stream makes at most 1032 bytes. */
#define MOST_PER_BYTE 1032

struct deq_zip {
    deq_context *ctx;
    char *name;
    zip_t *zip;
    size_t count, file_size, total;
};

bool deq_zip_is(const void *bytes, size_t size)
{
    return size >= 4 && (memcmp(bytes, "PK\3\4", 4) == 0 || memcmp(bytes, "PK\5\6", 4) == 0);
}

static deq_status open_failed(deq_context *ctx, const char *name, zip_error_t *error)
{
    const int code = zip_error_code_zip(error);
    const deq_status status = code == ZIP_ER_MEMORY ? DEQ_ERR_NOMEM
                              : code == ZIP_ER_OPEN || code == ZIP_ER_READ || code == ZIP_ER_NOENT
                                  ? DEQ_ERR_IO
                                  : DEQ_ERR_DATA;

    return deq_fail(ctx, status, "%s: cannot be read as a zip archive: %s", name,
                    zip_error_strerror(error));
}

static deq_status member_failed(const deq_zip *z, size_t i, const char *what)
{
    return deq_fail(z->ctx, DEQ_ERR_DATA, "%s: member %zu, '%.200s': %s", z->name, i,
                    deq_zip_name(z, i), what);
}

/* What each member claims to be, against what the file can hold. */
static deq_status check_member(deq_zip *z, size_t i, size_t *packed)
{
    zip_stat_t info;
    const zip_uint64_t wanted = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE |
                                ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;

    if (zip_stat_index(z->zip, i, 0, &info) != 0 || (info.valid & wanted) != wanted)
        return member_failed(z, i, "it is not described");
    if (info.encryption_method != ZIP_EM_NONE) return member_failed(z, i, "it is encrypted");
    if (info.comp_method != ZIP_CM_STORE && info.comp_method != ZIP_CM_DEFLATE)
        return member_failed(z, i, "it is neither stored nor deflated");
    if (info.comp_size > z->file_size - *packed)
        return member_failed(z, i, "it claims more bytes than the archive has");
    *packed += (size_t)info.comp_size;
    if (info.comp_method == ZIP_CM_STORE ? info.size != info.comp_size
                                         : info.size / MOST_PER_BYTE > info.comp_size)
        return member_failed(z, i, "it claims a size that its bytes cannot make");
    if (!deq_size_add(&z->total, z->total, (size_t)info.size))
        return member_failed(z, i, "the archive is too large");
    return DEQ_OK;
}

static deq_status open_source(deq_zip **out, deq_context *ctx, const char *name, size_t file_size,
                              zip_source_t *source)
{
    zip_error_t error;
    deq_zip *z = deq_alloc(ctx, sizeof *z);
    deq_status status = DEQ_ERR_NOMEM;
    size_t packed = 0;

    if (z) {
        *z = (deq_zip){ .ctx = ctx, .name = deq_strdup(ctx, name), .file_size = file_size };
        if (z->name) status = DEQ_OK;
    }
    if (status == DEQ_OK && file_size == 0) /* libzip takes it for an archive without members */
        status = deq_fail(ctx, DEQ_ERR_DATA, "%s: is empty, expected a zip archive", name);
    zip_error_init(&error);
    if (status == DEQ_OK) {
        z->zip = zip_open_from_source(source, ZIP_RDONLY, &error);
        if (!z->zip) status = open_failed(ctx, name, &error);
    }
    if (!z || !z->zip) zip_source_free(source);
    zip_error_fini(&error);
    if (status == DEQ_OK) z->count = (size_t)zip_get_num_entries(z->zip, 0);
    for (size_t i = 0; status == DEQ_OK && i < z->count; i++) status = check_member(z, i, &packed);
    if (status != DEQ_OK) {
        deq_zip_close(z);
        return status;
    }
    *out = z;
    return DEQ_OK;
}

deq_status deq_zip_open(deq_zip **out, deq_context *ctx, const char *path)
{
    size_t size;

    *out = NULL;
    DEQ_TRY(deq_source_size(&size, ctx, path));
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t *source = zip_source_file_create(path, 0, -1, &error);
    deq_status status = source ? DEQ_OK : open_failed(ctx, path, &error);
    zip_error_fini(&error);
    return source ? open_source(out, ctx, path, size, source) : status;
}

deq_status deq_zip_open_memory(deq_zip **out, deq_context *ctx, const void *bytes, size_t size)
{
    zip_error_t error;

    *out = NULL;
    zip_error_init(&error);
    zip_source_t *source = zip_source_buffer_create(bytes, size, 0, &error);
    deq_status status = source ? DEQ_OK : open_failed(ctx, "memory", &error);
    zip_error_fini(&error);
    return source ? open_source(out, ctx, "memory", size, source) : status;
}

void deq_zip_close(deq_zip *z)
{
    if (!z) return;
    if (z->zip) zip_discard(z->zip);
    if (z->name) deq_release(z->ctx, z->name, strlen(z->name) + 1);
    deq_release(z->ctx, z, sizeof *z);
}

size_t deq_zip_count(const deq_zip *z)
{
    return z->count;
}

size_t deq_zip_total(const deq_zip *z)
{
    return z->total;
}

const char *deq_zip_name(const deq_zip *z, size_t i)
{
    const char *name = zip_get_name(z->zip, i, 0);

    return name ? name : "?";
}

size_t deq_zip_size(const deq_zip *z, size_t i)
{
    zip_stat_t info;

    return zip_stat_index(z->zip, i, 0, &info) == 0 ? (size_t)info.size : 0;
}

size_t deq_zip_find(const deq_zip *z, const char *name)
{
    const zip_int64_t i = zip_name_locate(z->zip, name, 0);

    return i < 0 ? SIZE_MAX : (size_t)i;
}

deq_status deq_zip_fail(const deq_zip *z, const char *format, ...)
{
    char text[DEQ_MESSAGE_BYTES];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return deq_fail(z->ctx, DEQ_ERR_DATA, "%s: %s", z->name, text);
}

/* All bytes; libzip compares the check sum when it meets the end, so the end is asked for. */
static bool read_all(zip_file_t *file, unsigned char *to, size_t size)
{
    unsigned char more;

    for (size_t done = 0; done < size;) {
        const zip_int64_t n = zip_fread(file, to + done, size - done);
        if (n <= 0) return false;
        done += (size_t)n;
    }
    return zip_fread(file, &more, 1) == 0;
}

deq_status deq_zip_read(deq_source *s, char name[DEQ_ZIP_NAME_BYTES], deq_zip *z, size_t i)
{
    const size_t size = deq_zip_size(z, i);

    snprintf(name, DEQ_ZIP_NAME_BYTES, "%.250s: %.250s", z->name, deq_zip_name(z, i));
    *s = (deq_source){ .ctx = z->ctx, .name = name, .size = size, .owned_size = size };
    s->owned = deq_alloc(z->ctx, size);
    s->data = s->owned;
    if (!s->owned) return DEQ_ERR_NOMEM;
    zip_file_t *file = zip_fopen_index(z->zip, i, 0);
    deq_status status = DEQ_OK;
    if (!file)
        status = member_failed(z, i, zip_error_strerror(zip_get_error(z->zip)));
    else if (!read_all(file, s->owned, size))
        status = member_failed(z, i, zip_error_strerror(zip_file_get_error(file)));
    if (file) (void)zip_fclose(file);
    if (status != DEQ_OK) deq_source_close(s);
    return status;
}

/* zlib's own choice, and NumPy's.  libzip's, 9, took 9 times as long on mazes, for files a quarter
 * smaller. */
#define DEFLATE_LEVEL 6

static deq_status add_part(zip_t *zip, const deq_zip_part *p, bool compress, deq_context *ctx)
{
    /* libzip only reads them. */
    zip_buffer_fragment_t fragments[] = {
        { (zip_uint8_t *)(uintptr_t)p->head, p->head_bytes },
        { (zip_uint8_t *)(uintptr_t)p->body, p->body_bytes },
    };
    zip_source_t *source = zip_source_buffer_fragment(zip, fragments, p->body_bytes ? 2 : 1, 0);
    const zip_int64_t i = source ? zip_file_add(zip, p->name, source, ZIP_FL_ENC_UTF_8) : -1;

    if (i < 0) {
        zip_source_free(source);
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "member '%.200s': %s", p->name, zip_strerror(zip));
    }
    /* The same archive gives the same file: no time stamp but the first day that zip knows. */
    if (zip_set_file_compression(zip, (zip_uint64_t)i, compress ? ZIP_CM_DEFLATE : ZIP_CM_STORE,
                                 compress ? DEFLATE_LEVEL : 0) != 0 ||
        zip_file_set_dostime(zip, (zip_uint64_t)i, 0, 33, 0) != 0)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "member '%.200s': %s", p->name, zip_strerror(zip));
    return DEQ_OK;
}

deq_status deq_zip_write(deq_context *ctx, const char *path, size_t count, bool compress,
                         deq_status (*part)(deq_zip_part *part, void *user, size_t i), void *user)
{
    deq_output o;
    zip_error_t error;
    int code = 0;

    if (count == 0)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "%s: nothing to write", path ? path : "zip archive");
    DEQ_TRY(deq_output_prepare(&o, ctx, path));
    if (!o.part)
        return deq_output_close(&o,
                                deq_fail(ctx, DEQ_ERR_IO,
                                         "%s: is a device or a pipe, which libzip would replace "
                                         "by a file",
                                         path));
    zip_t *zip = zip_open(o.part, ZIP_CREATE | ZIP_TRUNCATE, &code);
    if (!zip) {
        zip_error_init_with_code(&error, code);
        deq_status status = deq_fail(ctx, DEQ_ERR_IO, "%s: cannot be written: %s", path,
                                     zip_error_strerror(&error));
        zip_error_fini(&error);
        return deq_output_close(&o, status);
    }
    deq_status status = DEQ_OK;
    for (size_t i = 0; i < count && status == DEQ_OK; i++) {
        deq_zip_part p = { .name = "" };
        status = part(&p, user, i);
        if (status == DEQ_OK) status = add_part(zip, &p, compress, ctx);
    }
    if (status == DEQ_OK && zip_close(zip) == 0) return deq_output_close(&o, DEQ_OK);
    if (status == DEQ_OK)
        status = deq_fail(ctx, DEQ_ERR_IO, "%s: cannot be written: %s", path, zip_strerror(zip));
    zip_discard(zip);
    return deq_output_close(&o, status);
}
