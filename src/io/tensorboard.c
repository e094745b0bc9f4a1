/* SPDX-License-Identifier: MIT */
/*
 * TensorBoard's event files.  The parts of the protocol buffers that are written
 * (tensorboard/compat/proto: event, summary, tensor):
 *
 *     Event        1: f64 wall_time   2: int64 step   3: string file_version   5: Summary
 *     Summary      1: Value
 *     Value        1: string tag      2: f32 simple_value   8: TensorProto   9: SummaryMetadata
 *     Metadata     1: PluginData { 1: string plugin_name }
 *     TensorProto  1: dtype (7: string)   2: Shape { 2: Dim { 1: int64 size } }   8: string_val
 */
#define _XOPEN_SOURCE 700

#include "io/tensorboard.h"

#include "base/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct deq_tensorboard {
    deq_context *ctx;
    char *path;
    FILE *file;
    int64_t bytes;
    unsigned char *record; /* one record, with its head and tail */
    size_t length, capacity;
    bool failed; /* the file may end within a record */
};

/* Protocol buffers: a field is a key (number << 3 | wire type) and its value. */

enum { WIRE_VARINT = 0, WIRE_F64 = 1, WIRE_BYTES = 2, WIRE_F32 = 5 };

static void add_bytes(deq_tensorboard *t, const void *bytes, size_t count)
{
    memcpy(t->record + t->length, bytes, count);
    t->length += count;
}

static void add_little(deq_tensorboard *t, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) t->record[t->length++] = (unsigned char)(value >> 8 * i);
}

static void add_varint(deq_tensorboard *t, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        t->record[t->length++] = (unsigned char)(0x80 | (value & 0x7F));
    t->record[t->length++] = (unsigned char)value;
}

static size_t varint_bytes(uint64_t value)
{
    size_t n = 1;

    for (; value >= 0x80; value >>= 7) n++;
    return n;
}

static void add_key(deq_tensorboard *t, unsigned field, unsigned wire)
{
    add_varint(t, field << 3 | wire);
}

static void add_string(deq_tensorboard *t, unsigned field, const char *text)
{
    add_key(t, field, WIRE_BYTES);
    add_varint(t, strlen(text));
    add_bytes(t, text, strlen(text));
}

/* Bytes of a field (number below 16) that holds so many. */
static size_t field_bytes(size_t length)
{
    return 1 + varint_bytes(length) + length;
}

static void add_f64(deq_tensorboard *t, unsigned field, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    add_key(t, field, WIRE_F64);
    add_little(t, bits, 8);
}

static void add_f32(deq_tensorboard *t, unsigned field, float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    add_key(t, field, WIRE_F32);
    add_little(t, bits, 4);
}

/* Records. */

static deq_status fail(deq_tensorboard *t, const char *what, int error)
{
    t->failed = true;
    return deq_fail(t->ctx, DEQ_ERR_IO, "%s: %s: %s", t->path, what, strerror(error));
}

static double time_or_now(double time)
{
    struct timespec now;

    if (time >= 0) return time;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Begin an event; `most` bounds what follows its time and step. */
static deq_status begin(deq_tensorboard *t, double time, int64_t step, size_t most)
{
    enum { OWN = 64 }; /* head, tail, time, step */

    DEQ_TRY(deq_grow(t->ctx, (void **)&t->record, &t->capacity, most + OWN, 1));
    t->length = DEQ_RECORD_HEAD;
    add_f64(t, 1, time_or_now(time));
    if (step != 0) {
        add_key(t, 2, WIRE_VARINT);
        add_varint(t, (uint64_t)step);
    }
    return DEQ_OK;
}

static deq_status end(deq_tensorboard *t)
{
    const size_t data = t->length - DEQ_RECORD_HEAD;

    if (t->failed)
        return deq_fail(t->ctx, DEQ_ERR_IO, "%s: an earlier record could not be written", t->path);
    add_little(t, deq_crc32c_masked(t->record + DEQ_RECORD_HEAD, data), 4);
    const size_t whole = t->length;
    t->length = 0;
    add_little(t, data, 8);
    add_little(t, deq_crc32c_masked(t->record, 8), 4);
    if (fwrite(t->record, 1, whole, t->file) != whole)
        return fail(t, "cannot be written", errno ? errno : EIO);
    t->bytes += (int64_t)whole;
    return DEQ_OK;
}

static deq_status add_version(deq_tensorboard *t, double time)
{
    DEQ_TRY(begin(t, time, 0, 64));
    add_string(t, 3, "brain.Event:2");
    return end(t);
}

static bool is_utf8(const char *text)
{
    for (uint32_t c; (c = deq_utf8_next(&text)) != 0;)
        if (c == DEQ_UTF8_BAD) return false;
    return true;
}

static deq_status check_texts(const deq_tensorboard *t, const char *tag, const char *text)
{
    if (!tag || !*tag) return deq_fail(t->ctx, DEQ_ERR_ARGUMENT, "%s: a tag is needed", t->path);
    if (!is_utf8(tag)) return deq_fail(t->ctx, DEQ_ERR_ARGUMENT, "%s: a tag is not UTF-8", t->path);
    if (!text || !is_utf8(text))
        return deq_fail(t->ctx, DEQ_ERR_ARGUMENT, "%s: the text of '%s' is %s", t->path, tag,
                        text ? "not UTF-8" : "missing");
    return DEQ_OK;
}

/* The summary with one value, of which `rest` bytes follow the tag. */
static void add_summary(deq_tensorboard *t, const char *tag, size_t rest)
{
    const size_t value = field_bytes(strlen(tag)) + rest;

    add_key(t, 5, WIRE_BYTES);
    add_varint(t, field_bytes(value));
    add_key(t, 1, WIRE_BYTES);
    add_varint(t, value);
    add_string(t, 1, tag);
}

deq_status deq_tensorboard_scalar(deq_tensorboard *t, const char *tag, int64_t step, double value,
                                  double time)
{
    DEQ_TRY(check_texts(t, tag, ""));
    DEQ_TRY(begin(t, time, step, strlen(tag) + 64));
    add_summary(t, tag, 5);
    add_f32(t, 2, (float)value);
    return end(t);
}

deq_status deq_tensorboard_text(deq_tensorboard *t, const char *tag, int64_t step, const char *text,
                                double time)
{
    static const char plugin[] = "text";
    enum { STRING = 7, SHAPE_BYTES = 4 }; /* shape [1]: { 2: { 1: 1 } } */

    DEQ_TRY(check_texts(t, tag, text));
    DEQ_TRY(begin(t, time, step, strlen(tag) + strlen(text) + 128));
    const size_t tensor = 2 + (2 + SHAPE_BYTES) + field_bytes(strlen(text));
    const size_t plugin_data = field_bytes(strlen(plugin)), metadata = field_bytes(plugin_data);

    add_summary(t, tag, field_bytes(metadata) + field_bytes(tensor));
    add_key(t, 9, WIRE_BYTES);
    add_varint(t, metadata);
    add_key(t, 1, WIRE_BYTES);
    add_varint(t, plugin_data);
    add_string(t, 1, plugin);
    add_key(t, 8, WIRE_BYTES);
    add_varint(t, tensor);
    add_key(t, 1, WIRE_VARINT);
    add_varint(t, STRING);
    add_key(t, 2, WIRE_BYTES);
    add_varint(t, SHAPE_BYTES);
    add_key(t, 2, WIRE_BYTES);
    add_varint(t, 2);
    add_key(t, 1, WIRE_VARINT);
    add_varint(t, 1);
    add_string(t, 8, text);
    return end(t);
}

/* Files. */

/* Check the first `bytes` bytes and cut the rest off. */
static deq_status keep(deq_tensorboard *t, int64_t bytes)
{
    deq_source s;

    DEQ_TRY(deq_source_open(&s, t->ctx, t->path));
    deq_source part = s; /* lent: s is closed */
    deq_status status = DEQ_OK;
    if ((uint64_t)bytes > s.size) {
        status = deq_fail(t->ctx, DEQ_ERR_DATA,
                          "%s: has %zu bytes, but %lld were there when the checkpoint was made",
                          t->path, s.size, (long long)bytes);
    } else if (bytes > 0) {
        part.size = (size_t)bytes;
        status = deq_tensorboard_check(&part);
    }
    deq_source_close(&s);
    DEQ_TRY(status);
    if (truncate(t->path, (off_t)bytes) != 0) return fail(t, "cannot be cut", errno);
    t->bytes = bytes;
    return DEQ_OK;
}

static deq_status open_file(deq_tensorboard *t, int64_t bytes)
{
    struct stat info;
    const bool exists = stat(t->path, &info) == 0;

    if (bytes > 0 || (bytes == 0 && exists)) DEQ_TRY(keep(t, bytes));
    t->file = fopen(t->path, t->bytes > 0 ? "ab" : "wb");
    return t->file ? DEQ_OK : fail(t, "cannot be written", errno);
}

deq_status deq_tensorboard_open(deq_tensorboard **out, deq_context *ctx, const char *path,
                                int64_t bytes, double time)
{
    *out = NULL;
    if (!path || !*path) return deq_fail(ctx, DEQ_ERR_ARGUMENT, "no path of a file to write");
    deq_tensorboard *t = deq_alloc(ctx, sizeof *t);
    if (!t) return DEQ_ERR_NOMEM;
    t->ctx = ctx;
    t->path = deq_strdup(ctx, path);
    deq_status status = t->path ? open_file(t, bytes) : DEQ_ERR_NOMEM;
    if (status == DEQ_OK && t->bytes == 0) status = add_version(t, time);
    if (status == DEQ_OK) status = deq_tensorboard_flush(t);
    if (status == DEQ_OK)
        *out = t;
    else
        (void)deq_tensorboard_close(t);
    return status;
}

deq_status deq_tensorboard_flush(deq_tensorboard *t)
{
    if (fflush(t->file) != 0) return fail(t, "cannot be written", errno);
    if (fsync(fileno(t->file)) != 0 && errno != EINVAL && errno != EROFS && errno != ENOTSUP)
        return fail(t, "cannot be brought to the disk", errno);
    if (t->failed)
        return deq_fail(t->ctx, DEQ_ERR_IO, "%s: an earlier record could not be written", t->path);
    return DEQ_OK;
}

int64_t deq_tensorboard_bytes(const deq_tensorboard *t)
{
    return t->bytes;
}

deq_status deq_tensorboard_close(deq_tensorboard *t)
{
    deq_status status = DEQ_OK;

    if (!t) return DEQ_OK;
    if (t->file && fclose(t->file) != 0) {
        status = fail(t, "cannot be written", errno);
    } else if (t->failed && t->file) {
        status = deq_fail(t->ctx, DEQ_ERR_IO, "%s: an earlier record could not be written",
                          t->path);
    }
    deq_context *ctx = t->ctx;
    if (t->path) deq_release(ctx, t->path, strlen(t->path) + 1);
    deq_release(ctx, t->record, t->capacity);
    deq_release(ctx, t, sizeof *t);
    return status;
}
