/* SPDX-License-Identifier: MIT */
/* Writing safetensors; the format stands in safetensors.c.  Elements of 8 bytes come first, then of
 * 4, then bytes, so that all are aligned; the header lists the tensors in the archive's order. */
#include "io/archive.h"
#include "io/output.h"

#include <deq/io/safetensors.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const size_t sizes[] = { 8, 4, 1 };

static const char *dtype_of(deq_dtype dtype)
{
    switch (dtype) {
    case DEQ_F32: return "F32";
    case DEQ_F64: return "F64";
    case DEQ_I32: return "I32";
    case DEQ_I64: return "I64";
    case DEQ_BOOL: return "BOOL";
    }
    return "?";
}

static json_t *describe(const deq_archive_tensor *t, size_t begin)
{
    const size_t end = begin + deq_type_bytes(&t->type);
    json_t *shape = json_array();

    for (int i = 0; shape && i < t->type.shape.rank; i++) {
        if (json_array_append_new(shape, json_integer(t->type.shape.dim[i])) == 0) continue;
        json_decref(shape);
        shape = NULL;
    }
    /* "o" takes the shape, also on failure and when it is NULL. */
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtype_of(t->type.dtype), "shape", shape,
                     "data_offsets", (json_int_t)begin, (json_int_t)end);
}

static deq_status add_metadata(json_t *header, const deq_archive *a)
{
    deq_context *ctx = deq_archive_context(a);
    const char *key, *value;

    if (!deq_archive_metadata_at(a, 0, NULL)) return DEQ_OK;
    json_t *metadata = json_object();
    if (!metadata || json_object_set_new(header, "__metadata__", metadata) != 0)
        return deq_fail(ctx, DEQ_ERR_NOMEM, "out of memory for the header of a safetensors file");
    for (size_t i = 0; (key = deq_archive_metadata_at(a, i, &value)); i++)
        if (json_object_set_new(metadata, key, json_string(value)) != 0)
            return deq_fail(ctx, DEQ_ERR_ARGUMENT, "the metadata '%.100s' are not UTF-8", key);
    return DEQ_OK;
}

static deq_status add_tensor(json_t *header, const deq_archive *a, size_t i, size_t begin)
{
    deq_context *ctx = deq_archive_context(a);
    const deq_archive_tensor *t = deq_archive_at(a, i);

    if (strcmp(t->name, "__metadata__") == 0)
        return deq_fail(ctx, DEQ_ERR_NAME, "a tensor of a safetensors file cannot be called '%s'",
                        t->name);
    json_t *entry = describe(t, begin);
    if (!entry)
        return deq_fail(ctx, DEQ_ERR_NOMEM, "out of memory for the header of a safetensors file");
    if (json_object_set_new(header, t->name, entry) != 0)
        return deq_fail(ctx, DEQ_ERR_NAME, "the name '%.100s' is not UTF-8", t->name);
    return DEQ_OK;
}

/* Where each tensor begins. */
static bool place(size_t *begin, const deq_archive *a)
{
    size_t at = 0;

    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        for (size_t i = 0; i < deq_archive_count(a); i++) {
            const deq_type *type = &deq_archive_at(a, i)->type;
            if (deq_dtype_size(type->dtype) != sizes[k]) continue;
            begin[i] = at;
            if (!deq_size_add(&at, at, deq_type_bytes(type))) return false;
        }
    return true;
}

static deq_status make_header(char **text, const deq_archive *a, const size_t *begin)
{
    deq_context *ctx = deq_archive_context(a);
    json_t *header = json_object();

    *text = NULL;
    if (!header)
        return deq_fail(ctx, DEQ_ERR_NOMEM, "out of memory for the header of a safetensors file");
    deq_status status = add_metadata(header, a);
    for (size_t i = 0; i < deq_archive_count(a) && status == DEQ_OK; i++)
        status = add_tensor(header, a, i, begin[i]);
    if (status == DEQ_OK && !(*text = json_dumps(header, JSON_COMPACT)))
        status = deq_fail(ctx, DEQ_ERR_NOMEM, "out of memory for the header of a safetensors file");
    json_decref(header);
    return status;
}

/* Elements in the file's order of bytes, whatever the machine's. */
static void write_elements(deq_output *o, const deq_archive_tensor *t)
{
    const size_t size = deq_dtype_size(t->type.dtype), bytes = deq_type_bytes(&t->type);
    const unsigned char *p = t->data;
    unsigned char turned[8];

    if (!deq_host_is_big_endian()) {
        deq_output_write(o, p, bytes);
        return;
    }
    for (size_t i = 0; i < bytes; i += size) {
        for (size_t k = 0; k < size; k++) turned[k] = p[i + size - 1 - k];
        deq_output_write(o, turned, size);
    }
}

static void write_file(deq_output *o, const deq_archive *a, const char *header)
{
    static const char spaces[] = "        ";
    const size_t length = strlen(header), padded = (length + 7) / 8 * 8;
    unsigned char head[8];

    for (int i = 0; i < 8; i++) head[i] = (unsigned char)((uint64_t)padded >> 8 * i & 255);
    deq_output_write(o, head, sizeof head);
    deq_output_write(o, header, length);
    deq_output_write(o, spaces, padded - length);
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        for (size_t i = 0; i < deq_archive_count(a); i++) {
            const deq_archive_tensor *t = deq_archive_at(a, i);
            if (deq_dtype_size(t->type.dtype) == sizes[k]) write_elements(o, t);
        }
}

deq_status deq_safetensors_write(const deq_archive *a, const char *path)
{
    deq_context *ctx = deq_archive_context(a);
    const size_t count = deq_archive_count(a);
    char *header = NULL;
    deq_output o;

    size_t *begin = deq_alloc_array(ctx, count, sizeof *begin);
    if (!begin) return DEQ_ERR_NOMEM;
    deq_status status = place(begin, a) ? make_header(&header, a, begin)
                                        : deq_fail(ctx, DEQ_ERR_OVERFLOW,
                                                   "the tensors are too large for a file");
    deq_release(ctx, begin, count * sizeof *begin);
    if (status == DEQ_OK) status = deq_output_open(&o, ctx, path);
    if (status == DEQ_OK) {
        write_file(&o, a, header);
        status = deq_output_close(&o, DEQ_OK);
    }
    free(header);
    return status;
}
