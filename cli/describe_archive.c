/* SPDX-License-Identifier: MIT */
/* deq info of files of weights: every tensor, what they are made of, what stands beside them. */
#include "context.h"
#include "describe.h"

#include <deq/io/archive.h>
#include <math.h>
#include <string.h>

static bool is_zip(const file_head *head)
{
    return begins_with(head, "PK\003\004", 4) || begins_with(head, "PK\005\006", 4);
}

static bool is_safetensors(const file_head *head)
{
    return (head->n > 8 && head->first[8] == '{') || name_ends(head, ".safetensors");
}

static bool knows(const file_head *head)
{
    return is_zip(head) || begins_with(head, "\x93NUMPY", 6) ||
           begins_with(head, "\x80\x02\x8a", 3) || is_safetensors(head) || name_ends(head, ".pt") ||
           name_ends(head, ".pth") || name_ends(head, ".npy") || name_ends(head, ".npz");
}

/* A zip file tells the name of its first member from byte 30 on, and how long it is at byte 26. */
static bool holds_arrays(const file_head *head)
{
    const size_t length = head->n > 30 ? head->first[26] + 256u * head->first[27] : 0;
    if (length <= 4) return begins_with(head, "PK\005\006", 4);
    return 30 + length <= head->n && memcmp(head->first + 30 + length - 4, ".npy", 4) == 0;
}

static const char *format_name(const file_head *head)
{
    if (is_zip(head)) return holds_arrays(head) ? "npz" : "pytorch";
    if (begins_with(head, "\x93NUMPY", 6)) return "npy";
    return head->n > 0 && head->first[0] == 0x80 ? "pytorch, older container" : "safetensors";
}

static double element(const deq_archive_tensor *t, int64_t i)
{
    switch (t->type.dtype) {
    case DEQ_F32: return ((const float *)t->data)[i];
    case DEQ_F64: return ((const double *)t->data)[i];
    case DEQ_I32: return ((const int32_t *)t->data)[i];
    case DEQ_I64: return (double)((const int64_t *)t->data)[i];
    case DEQ_BOOL: return ((const unsigned char *)t->data)[i];
    }
    return 0;
}

void json_put_statistics(json_t *row, const deq_archive_tensor *t)
{
    const int64_t n = deq_shape_count(&t->type.shape);
    double least = INFINITY, most = -INFINITY, sum = 0, squares = 0;
    int64_t finite = 0;
    for (int64_t i = 0; i < n; i++) {
        const double x = element(t, i);
        if (!isfinite(x)) continue;
        finite++;
        sum += x;
        squares += x * x;
        if (x < least) least = x;
        if (x > most) most = x;
    }
    const double mean = finite ? sum / (double)finite : NAN;
    json_put(row, "min", json_number(least));
    json_put(row, "max", json_number(most));
    json_put(row, "mean", json_number(mean));
    json_put(row, "rms", json_number(finite ? sqrt(squares / (double)finite) : NAN));
    json_put(row, "not_finite", json_integer(n - finite));
}

static json_t *tensor_row(const deq_archive_tensor *t, bool statistics)
{
    json_t *row = json_object();
    json_put(row, "name", json_text(t->name));
    json_put(row, "dtype", json_string(deq_dtype_name(t->type.dtype)));
    json_put(row, "stored", json_string(t->stored));
    json_put(row, "shape", json_shape(&t->type.shape));
    json_put(row, "elements", json_integer(deq_shape_count(&t->type.shape)));
    json_put(row, "bytes", json_integer((json_int_t)deq_type_bytes(&t->type)));
    if (statistics) json_put_statistics(row, t);
    return row;
}

static void put_metadata(json_t *into, const deq_archive *archive)
{
    const char *key, *text;
    json_t *metadata = json_object();
    for (size_t i = 0; (key = deq_archive_metadata_at(archive, i, &text)); i++) {
        json_t *name = json_text(key);
        json_put(metadata, json_string_value(name), json_text(text));
        json_decref(name);
    }
    json_put(into, "metadata", metadata);
}

static void put_tensors(json_t *into, const deq_archive *archive, bool statistics)
{
    json_t *rows = json_array();
    int64_t elements = 0;
    size_t bytes = 0;
    for (size_t i = 0; i < deq_archive_count(archive); i++) {
        const deq_archive_tensor *t = deq_archive_at(archive, i);
        elements += deq_shape_count(&t->type.shape);
        bytes += deq_type_bytes(&t->type);
        json_push(rows, tensor_row(t, statistics));
    }
    json_put(into, "count", json_integer((json_int_t)deq_archive_count(archive)));
    json_put(into, "elements", json_integer(elements));
    json_put(into, "memory", json_integer((json_int_t)bytes));
    put_metadata(into, archive);
    json_put(into, "tensors", rows);
}

/* What the file has beside them. */
static void put_left_out(json_t *into, const deq_archive *archive)
{
    const char *name, *why;
    json_t *rows = json_array();
    for (size_t i = 0; (name = deq_archive_left_out_at(archive, i, &why)); i++) {
        json_t *row = json_object();
        json_put(row, "name", json_text(name));
        json_put(row, "why", json_text(why));
        json_push(rows, row);
    }
    json_put(into, "left_out", rows);
}

static int describe(json_t *into, const arguments *a, deq_context *ctx, const file_head *head)
{
    deq_archive *archive;
    const deq_status status = deq_archive_read(&archive, ctx, head->path);
    if (status != DEQ_OK) return fail_status(a, ctx, status);
    json_put(into, "format", json_string(format_name(head)));
    put_tensors(into, archive, argument_flag(a, "statistics"));
    put_left_out(into, archive);
    deq_archive_free(archive);
    return CLI_OK;
}

const describer describe_archive = { "weights", knows, describe };
