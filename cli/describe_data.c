/* SPDX-License-Identifier: MIT */
/* deq info of data: images, IDX, CIFAR, svmlight, CSV. */
#include "context.h"
#include "describe.h"
#include "text.h"

#include <ctype.h>
#include <deq/io/cifar.h>
#include <deq/io/csv.h>
#include <deq/io/idx.h>
#include <deq/io/image.h>
#include <deq/io/svmlight.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Labels ------------------------------------------------------------------------------------- */

enum { MOST_CLASSES = 1000 };

static int by_value(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

void json_put_labels(json_t *into, int64_t *labels, int64_t n)
{
    json_t *count = json_object();
    int64_t classes = 0;
    qsort(labels, (size_t)n, sizeof *labels, by_value);
    for (int64_t i = 0, begin = 0; i < n; i++) {
        if (i + 1 < n && labels[i + 1] == labels[i]) continue;
        if (classes++ < MOST_CLASSES) {
            char name[32];
            snprintf(name, sizeof name, "%" PRId64, labels[i]);
            json_put(count, name, json_integer(i + 1 - begin));
        }
        begin = i + 1;
    }
    json_put(into, "classes", json_integer(classes));
    if (classes <= MOST_CLASSES)
        json_put(into, "labels", count);
    else
        json_decref(count);
}

static void put_byte_labels(json_t *into, const uint8_t *bytes, int64_t n)
{
    int64_t *labels = must_alloc((size_t)n * sizeof *labels);
    for (int64_t i = 0; i < n; i++) labels[i] = bytes[i];
    json_put_labels(into, labels, n);
    free(labels);
}

/* IDX ---------------------------------------------------------------------------------------- */

static bool is_gzip(const file_head *head)
{
    return begins_with(head, "\x1f\x8b", 2);
}

/* Two bytes of zero, a code of an element type, the rank; packed ones are known by their names. */
static bool is_idx(const file_head *head)
{
    if (is_gzip(head)) return strstr(head->name, "idx") != NULL || strstr(head->name, "ubyte");
    return head->n >= 4 && head->first[0] == 0 && head->first[1] == 0 && head->first[2] >= 8 &&
           head->first[2] <= 14 && head->first[3] >= 1 && head->first[3] <= DEQ_MAX_RANK;
}

static int idx(json_t *into, const arguments *a, deq_context *ctx, const file_head *head)
{
    deq_idx *file;
    const deq_status status = deq_idx_read(&file, ctx, head->path);
    if (status != DEQ_OK) return fail_status(a, ctx, status);
    json_put(into, "format", json_string(is_gzip(head) ? "idx, gzip" : "idx"));
    json_put(into, "dtype", json_string("u8"));
    json_put(into, "shape", json_shape(&file->shape));
    json_put(into, "count", json_integer(file->shape.rank > 0 ? file->shape.dim[0] : 1));
    if (file->shape.rank == 1) put_byte_labels(into, file->data, file->shape.dim[0]);
    deq_idx_free(file);
    return CLI_OK;
}

const describer describe_idx = { "idx", is_idx, idx };

/* CIFAR -------------------------------------------------------------------------------------- */

static bool is_records(const file_head *head, uint64_t size)
{
    return name_ends(head, ".bin") && head->bytes > 0 && head->bytes % size == 0;
}

static bool is_cifar10(const file_head *head)
{
    return is_records(head, 3073);
}

static bool is_cifar100(const file_head *head)
{
    return is_records(head, 3074);
}

static int cifar(json_t *into, const arguments *a, deq_context *ctx, const file_head *head,
                 deq_cifar_kind kind)
{
    deq_cifar *file;
    const deq_status status = deq_cifar_read(&file, ctx, head->path, kind);
    if (status != DEQ_OK) return fail_status(a, ctx, status);
    json_put(into, "format", json_string(kind == DEQ_CIFAR10 ? "cifar10" : "cifar100"));
    json_put(into, "dtype", json_string("u8"));
    json_put(into, "shape", json_pack("[I, i, i, i]", (json_int_t)file->count, 3, 32, 32));
    json_put(into, "count", json_integer(file->count));
    put_byte_labels(into, file->labels, file->count);
    deq_cifar_free(file);
    return CLI_OK;
}

static int cifar10(json_t *into, const arguments *a, deq_context *ctx, const file_head *head)
{
    return cifar(into, a, ctx, head, DEQ_CIFAR10);
}

static int cifar100(json_t *into, const arguments *a, deq_context *ctx, const file_head *head)
{
    return cifar(into, a, ctx, head, DEQ_CIFAR100);
}

const describer describe_cifar10 = { "cifar10", is_cifar10, cifar10 };
const describer describe_cifar100 = { "cifar100", is_cifar100, cifar100 };

/* Images ------------------------------------------------------------------------------------- */

static const struct {
    const char *bytes, *name;
} image_formats[] = {
    { "\x89PNG", "png" }, { "\xff\xd8\xff", "jpeg" },
    { "P5", "pgm" },      { "P6", "ppm" },
    { "Pf", "pfm" },      { "PF", "pfm" },
    { "PIEH", "flo" },
};

static const char *image_format(const file_head *head)
{
    for (int i = 0; i < LENGTH(image_formats); i++)
        if (begins_with(head, image_formats[i].bytes, strlen(image_formats[i].bytes)))
            return image_formats[i].name;
    return NULL;
}

static bool is_image(const file_head *head)
{
    return image_format(head) != NULL;
}

static int image(json_t *into, const arguments *a, deq_context *ctx, const file_head *head)
{
    static const char *const samples[] = { "?", "u8", "u16", "f32" };
    deq_image *file;
    const deq_status status = deq_image_read(&file, ctx, head->path);
    if (status != DEQ_OK) return fail_status(a, ctx, status);
    const char *format = image_format(head);
    json_put(into, "format", json_string(format ? format : "image"));
    json_put(into, "dtype", json_string(samples[file->sample]));
    json_put(into, "shape",
             json_pack("[I, I, I]", (json_int_t)file->channels, (json_int_t)file->height,
                       (json_int_t)file->width));
    json_put(into, "channels", json_integer(file->channels));
    json_put(into, "height", json_integer(file->height));
    json_put(into, "width", json_integer(file->width));
    if (file->sample != DEQ_SAMPLE_F32) json_put(into, "maximum", json_integer(file->maximum));
    deq_image_free(file);
    return CLI_OK;
}

const describer describe_image = { "image", is_image, image };

/* Tables ------------------------------------------------------------------------------------- */

static bool is_text(const file_head *head)
{
    for (size_t i = 0; i < head->n; i++)
        if (!isprint(head->first[i]) && !isspace(head->first[i])) return false;
    return head->n > 0;
}

/* Where the first line begins that is neither empty nor a comment. */
static size_t first_line(const file_head *head)
{
    size_t at = 0;
    while (at < head->n) {
        while (at < head->n && isspace(head->first[at])) at++;
        if (at == head->n || head->first[at] != '#') break;
        while (at < head->n && head->first[at] != '\n') at++;
    }
    return at;
}

/* How many of the bytes from `at` on are among `set`. */
static size_t span(const file_head *head, size_t at, const char *set)
{
    size_t n = 0;
    while (at + n < head->n && head->first[at + n] && strchr(set, head->first[at + n])) n++;
    return n;
}

/* A number, a blank, a number, a colon: "+1 3:0.5"; packed ones are known by their names. */
static bool is_svmlight(const file_head *head)
{
    if (is_gzip(head)) return strstr(head->name, ".svm") || strstr(head->name, "libsvm");
    if (name_ends(head, ".svm") || name_ends(head, ".svmlight") || name_ends(head, ".libsvm"))
        return true;
    if (!is_text(head)) return false;
    const size_t label = first_line(head);
    const size_t blank = label + span(head, label, "+-.0123456789eE");
    const size_t index = blank + span(head, blank, " \t");
    const size_t colon = index + span(head, index, "0123456789");
    return label < blank && blank < index && index < colon && colon < head->n &&
           head->first[colon] == ':';
}

/* Labels that are whole numbers are counted. */
static void put_real_labels(json_t *into, const double *labels, int64_t n)
{
    int64_t *whole = must_alloc((size_t)n * sizeof *whole);
    bool all = true;
    for (int64_t i = 0; i < n; i++) {
        const bool small = labels[i] > -1e9 && labels[i] < 1e9;
        whole[i] = small ? (int64_t)labels[i] : 0;
        if (!small || (double)whole[i] < labels[i] || (double)whole[i] > labels[i]) all = false;
    }
    if (all) json_put_labels(into, whole, n);
    free(whole);
}

static int svmlight(json_t *into, const arguments *a, deq_context *ctx, const file_head *head)
{
    deq_svmlight *file;
    deq_svmlight_options options = deq_svmlight_defaults();
    deq_status status = deq_svmlight_read(&file, ctx, head->path, &options);
    if (status == DEQ_ERR_DATA) {
        options.first_index = 0; /* some count from 0 */
        status = deq_svmlight_read(&file, ctx, head->path, &options);
    }
    if (status != DEQ_OK) return fail_status(a, ctx, status);
    json_put(into, "format", json_string(is_gzip(head) ? "svmlight, gzip" : "svmlight"));
    json_put(into, "rows", json_integer(file->rows));
    json_put(into, "columns", json_integer(file->columns));
    json_put(into, "entries", json_integer(file->entries));
    json_put(into, "first_index", json_integer(options.first_index));
    if (file->rows > 0) put_real_labels(into, file->labels, file->rows);
    deq_svmlight_free(file);
    return CLI_OK;
}

const describer describe_svmlight = { "svmlight", is_svmlight, svmlight };

static bool is_csv(const file_head *head)
{
    return name_ends(head, ".csv") || name_ends(head, ".tsv");
}

static deq_status read_rows(json_t *into, deq_csv *csv)
{
    const deq_csv_row *row;
    int64_t rows = 0;
    deq_status status;
    json_t *first = json_array();
    while ((status = deq_csv_next(&row, csv)) == DEQ_OK && row) {
        for (size_t i = 0; rows == 0 && i < row->count; i++)
            json_push(first, json_text(row->fields[i]));
        rows++;
    }
    json_put(into, "rows", json_integer(rows));
    json_put(into, "columns", json_integer((json_int_t)json_array_size(first)));
    json_put(into, "first_row", first);
    return status;
}

static int csv(json_t *into, const arguments *a, deq_context *ctx, const file_head *head)
{
    deq_csv *file;
    deq_csv_options options = deq_csv_defaults();
    const bool tabs = name_ends(head, ".tsv");
    if (tabs) options.separator = '\t';
    deq_status status = deq_csv_open(&file, ctx, head->path, &options);
    json_put(into, "format", json_string(tabs ? "tsv" : "csv"));
    if (status == DEQ_OK) {
        status = read_rows(into, file);
        deq_csv_close(file);
    }
    return fail_status(a, ctx, status);
}

const describer describe_csv = { "csv", is_csv, csv };
