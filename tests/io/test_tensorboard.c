/* SPDX-License-Identifier: MIT */
/* TensorBoard's files, read back by a parser that shares nothing with the writer. */
#define _POSIX_C_SOURCE 200809L

#include "support/bytes.h"
#include "support/memory.h"

#include "io/tensorboard.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The sum by the definition of RFC 3720: long division, highest power first. */
static uint32_t reference_crc(const unsigned char *p, size_t n)
{
    uint32_t rest = 0xFFFFFFFF, reversed = 0;

    for (size_t i = 0; i < n; i++)
        for (int bit = 0; bit < 8; bit++) {
            const uint32_t in = (rest >> 31) ^ (p[i] >> bit & 1U);
            rest = rest << 1 ^ (in ? 0x1EDC6F41U : 0);
        }
    for (int bit = 0; bit < 32; bit++) reversed |= (rest >> bit & 1U) << (31 - bit);
    return ~reversed;
}

static uint32_t masked(const unsigned char *p, size_t n)
{
    const uint32_t crc = reference_crc(p, n);

    return ((crc >> 15) | (crc << 17)) + 0xa282ead8U;
}

static uint64_t little(const unsigned char *p, int n)
{
    uint64_t value = 0;

    for (int i = n - 1; i >= 0; i--) value = value << 8 | p[i];
    return value;
}

/* A message, or a part of it. */
typedef struct span {
    const unsigned char *at, *end;
} span;

typedef struct field {
    unsigned number, wire;
    uint64_t value; /* of a number */
    span bytes;     /* of a string or message */
} field;

static uint64_t varint(span *s)
{
    uint64_t value = 0;
    int shift = 0;

    for (;;) {
        assert_true(s->at < s->end && shift < 64);
        const unsigned char byte = *s->at++;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (!(byte & 0x80)) return value;
        shift += 7;
    }
}

static bool next(field *f, span *s)
{
    if (s->at == s->end) return false;
    const uint64_t key = varint(s);
    *f = (field){ .number = (unsigned)(key >> 3), .wire = (unsigned)(key & 7) };
    if (f->wire == 0) {
        f->value = varint(s);
        return true;
    }
    const size_t n = f->wire == 1 ? 8 : f->wire == 5 ? 4 : (size_t)varint(s);
    assert_true(f->wire == 1 || f->wire == 2 || f->wire == 5);
    assert_true((size_t)(s->end - s->at) >= n);
    if (f->wire == 2)
        f->bytes = (span){ s->at, s->at + n };
    else
        f->value = little(s->at, (int)n);
    s->at += n;
    return true;
}

/* The only field of that number. */
static field only(span s, unsigned number, unsigned wire)
{
    field f, found = { 0 };
    int n = 0;

    while (next(&f, &s))
        if (f.number == number) {
            found = f;
            n++;
        }
    assert_int_equal(n, 1);
    assert_int_equal(found.wire, wire);
    return found;
}

static bool has(span s, unsigned number)
{
    for (field f; next(&f, &s);)
        if (f.number == number) return true;
    return false;
}

static void expect_text(span s, const char *text)
{
    assert_int_equal((size_t)(s.end - s.at), strlen(text));
    assert_memory_equal(s.at, text, strlen(text));
}

/* Record `index` of a file, with its sums checked. */
static span record(const unsigned char *file, size_t size, int index)
{
    for (size_t at = 0;; index--) {
        assert_true(size - at >= 16);
        const uint64_t n = little(file + at, 8);
        assert_true(n <= size - at - 16);
        assert_int_equal(little(file + at + 8, 4), masked(file + at, 8));
        const unsigned char *data = file + at + 12;
        assert_int_equal(little(data + n, 4), masked(data, (size_t)n));
        if (index == 0) return (span){ data, data + n };
        at += (size_t)n + 16;
    }
}

static double f64(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static float f32(uint64_t bits)
{
    const uint32_t low = (uint32_t)bits;
    float x;
    memcpy(&x, &low, sizeof x);
    return x;
}

static void expect_version(span event, double time)
{
    assert_true(f64(only(event, 1, 1).value) == time);
    expect_text(only(event, 3, 2).bytes, "brain.Event:2");
}

static span value_of(span event, double time, int64_t step, const char *tag)
{
    assert_true(f64(only(event, 1, 1).value) == time);
    if (step == 0)
        assert_false(has(event, 2));
    else
        assert_true((int64_t)only(event, 2, 0).value == step);
    const span value = only(only(event, 5, 2).bytes, 1, 2).bytes;
    expect_text(only(value, 1, 2).bytes, tag);
    return value;
}

static void expect_scalar(span event, double time, int64_t step, const char *tag, float x)
{
    const float found = f32(only(value_of(event, time, step, tag), 2, 5).value);

    assert_true(found == x || (isnan(found) && isnan(x)));
}

static void expect_words(span event, double time, int64_t step, const char *tag, const char *text)
{
    const span value = value_of(event, time, step, tag);
    const span plugin = only(only(value, 9, 2).bytes, 1, 2).bytes;
    const span tensor = only(value, 8, 2).bytes;

    expect_text(only(plugin, 1, 2).bytes, "text");
    assert_int_equal(only(tensor, 1, 0).value, 7);
    const span dim = only(only(tensor, 2, 2).bytes, 2, 2).bytes;
    assert_int_equal(only(dim, 1, 0).value, 1);
    expect_text(only(tensor, 8, 2).bytes, text);
}

/* RFC 3720, appendix B.4. */
static void sums_are_those_of_the_rfc(void **state)
{
    unsigned char bytes[32];

    (void)state;
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(deq_crc32c(0, bytes, 32), 0x8A9136AA);
    memset(bytes, 0xFF, sizeof bytes);
    assert_int_equal(deq_crc32c(0, bytes, 32), 0x62A8AB43);
    for (int i = 0; i < 32; i++) bytes[i] = (unsigned char)i;
    assert_int_equal(deq_crc32c(0, bytes, 32), 0x46DD794E);
    assert_int_equal(deq_crc32c(deq_crc32c(0, bytes, 10), bytes + 10, 22), 0x46DD794E);
    assert_int_equal(deq_crc32c(0, "123456789", 9), 0xE3069283);
    assert_int_equal(deq_crc32c(0, "", 0), 0);
}

static void what_was_added_is_read_back(void **state)
{
    test_memory m = { 0 };
    deq_context *ctx = test_memory_context(&m, 1);
    deq_tensorboard *t;
    char path[256], *words = malloc(70000);
    size_t size;

    (void)state;
    memset(words, 'x', 69999);
    words[69999] = '\0';
    scratch_path(path, ".tfevents");
    assert_int_equal(deq_tensorboard_open(&t, ctx, path, -1, 1.5), DEQ_OK);
    assert_int_equal(deq_tensorboard_scalar(t, "train/loss", 0, 0.25, 2), DEQ_OK);
    assert_int_equal(deq_tensorboard_scalar(t, "train/loss", 1, NAN, 3), DEQ_OK);
    assert_int_equal(deq_tensorboard_scalar(t,
                                            "d\xC3\xA9riv\xC3\xA9"
                                            "e",
                                            INT64_MAX, -INFINITY, 0),
                     DEQ_OK);
    assert_int_equal(deq_tensorboard_scalar(t, "x", -1, 1e300, 4), DEQ_OK);
    assert_int_equal(deq_tensorboard_text(t, "configuration", 127, "a: 1\nb: \xE2\x88\x82", 5),
                     DEQ_OK);
    assert_int_equal(deq_tensorboard_text(t, "empty", 128, "", 6), DEQ_OK);
    assert_int_equal(deq_tensorboard_text(t, "long", 16384, words, 7), DEQ_OK);
    const int64_t bytes = deq_tensorboard_bytes(t);
    assert_int_equal(deq_tensorboard_close(t), DEQ_OK);

    unsigned char *file = load_file(path, &size);
    assert_int_equal(size, bytes);
    expect_version(record(file, size, 0), 1.5);
    expect_scalar(record(file, size, 1), 2, 0, "train/loss", 0.25F);
    expect_scalar(record(file, size, 2), 3, 1, "train/loss", NAN);
    expect_scalar(record(file, size, 3), 0, INT64_MAX,
                  "d\xC3\xA9riv\xC3\xA9"
                  "e",
                  -INFINITY);
    expect_scalar(record(file, size, 4), 4, -1, "x", INFINITY);
    expect_words(record(file, size, 5), 5, 127, "configuration", "a: 1\nb: \xE2\x88\x82");
    expect_words(record(file, size, 6), 6, 128, "empty", "");
    expect_words(record(file, size, 7), 7, 16384, "long", words);
    free(file);
    free(words);
    assert_int_equal(remove(path), 0);
    deq_context_free(ctx);
    assert_memory_clean(&m);
}

static void a_resumed_run_cuts_and_goes_on_as_if_it_had_never_stopped(void **state)
{
    deq_context *ctx;
    deq_tensorboard *t;
    char path[256];
    size_t size, straight_size;

    (void)state;
    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    scratch_path(path, ".tfevents");
    assert_int_equal(deq_tensorboard_open(&t, ctx, path, -1, 1), DEQ_OK);
    assert_int_equal(deq_tensorboard_scalar(t, "loss", 1, 4, 1), DEQ_OK);
    assert_int_equal(deq_tensorboard_flush(t), DEQ_OK);
    const int64_t checkpoint = deq_tensorboard_bytes(t);
    assert_int_equal(deq_tensorboard_scalar(t, "loss", 2, 3, 2), DEQ_OK);
    assert_int_equal(deq_tensorboard_flush(t), DEQ_OK);
    unsigned char *straight = load_file(path, &straight_size);
    assert_int_equal(straight_size, deq_tensorboard_bytes(t));
    assert_int_equal(deq_tensorboard_scalar(t, "loss", 3, 2, 3), DEQ_OK);
    assert_int_equal(deq_tensorboard_close(t), DEQ_OK);

    assert_int_equal(deq_tensorboard_open(&t, ctx, path, checkpoint, 9), DEQ_OK);
    assert_int_equal(deq_tensorboard_bytes(t), checkpoint);
    assert_int_equal(deq_tensorboard_scalar(t, "loss", 2, 3, 2), DEQ_OK);
    assert_int_equal(deq_tensorboard_close(t), DEQ_OK);
    unsigned char *resumed = load_file(path, &size);
    assert_int_equal(size, straight_size);
    assert_memory_equal(resumed, straight, size);
    free(straight);
    free(resumed);
    assert_int_equal(remove(path), 0);

    /* From nothing, by both ways of saying so. */
    for (int64_t bytes = -1; bytes <= 0; bytes++) {
        assert_int_equal(deq_tensorboard_open(&t, ctx, path, bytes, 9), DEQ_OK);
        assert_int_equal(deq_tensorboard_close(t), DEQ_OK);
        resumed = load_file(path, &size);
        expect_version(record(resumed, size, 0), 9);
        free(resumed);
    }
    assert_int_equal(remove(path), 0);
    deq_context_free(ctx);
}

static void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void refuse(deq_context *ctx, const char *path, int64_t bytes, const char *text)
{
    struct stat before, after;
    deq_tensorboard *t;

    assert_int_equal(stat(path, &before), 0);
    assert_int_equal(deq_tensorboard_open(&t, ctx, path, bytes, 1), DEQ_ERR_DATA);
    assert_null(t);
    if (!strstr(deq_last_error(ctx), text) || !strstr(deq_last_error(ctx), path))
        fail_msg("'%s' is not in '%s'", text, deq_last_error(ctx));
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_size, after.st_size);
}

static void a_file_that_is_not_as_the_checkpoint_left_it_is_refused(void **state)
{
    deq_context *ctx;
    deq_tensorboard *t;
    char path[256];
    size_t size;

    (void)state;
    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    scratch_path(path, ".tfevents");
    assert_int_equal(deq_tensorboard_open(&t, ctx, path, -1, 1), DEQ_OK);
    const int64_t first = deq_tensorboard_bytes(t);
    assert_int_equal(deq_tensorboard_scalar(t, "loss", 1, 4, 1), DEQ_OK);
    const int64_t whole = deq_tensorboard_bytes(t);
    assert_int_equal(deq_tensorboard_close(t), DEQ_OK);
    unsigned char *good = load_file(path, &size);

    refuse(ctx, path, whole + 1, "were there when the checkpoint was made");
    refuse(ctx, path, whole - 1, "a record needs 4 bytes");
    refuse(ctx, path, first + 5, "the head of a record");
    unsigned char *bad = malloc(size);
    memcpy(bad, good, size);
    bad[first + 20] ^= 4;
    write_file(path, bad, size);
    refuse(ctx, path, whole, "the sum of a record does not agree");
    memcpy(bad, good, size);
    bad[first + 1] ^= 4;
    write_file(path, bad, size);
    refuse(ctx, path, whole, "length does not agree");
    write_file(path, good + first, size - (size_t)first);
    refuse(ctx, path, whole - first, "brain.Event:2");
    free(good);
    free(bad);
    assert_int_equal(remove(path), 0);

    assert_int_equal(deq_tensorboard_open(&t, ctx, path, 10, 1), DEQ_ERR_IO); /* no such file */
    assert_int_equal(deq_tensorboard_open(&t, ctx, "/nowhere/at/all", -1, 1), DEQ_ERR_IO);
    assert_int_equal(deq_tensorboard_open(&t, ctx, "", -1, 1), DEQ_ERR_ARGUMENT);
    deq_context_free(ctx);
}

static void texts_that_a_protocol_buffer_cannot_hold_are_refused(void **state)
{
    deq_context *ctx;
    deq_tensorboard *t;
    char path[256];

    (void)state;
    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    scratch_path(path, ".tfevents");
    assert_int_equal(deq_tensorboard_open(&t, ctx, path, -1, -1), DEQ_OK);
    const int64_t bytes = deq_tensorboard_bytes(t);
    assert_int_equal(deq_tensorboard_scalar(t, "", 1, 1, 1), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_tensorboard_scalar(t, NULL, 1, 1, 1), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_tensorboard_scalar(t, "\xC0", 1, 1, 1), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_tensorboard_text(t, "a", 1, "\xFF", 1), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_tensorboard_text(t, "a", 1, NULL, 1), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_tensorboard_bytes(t), bytes);
    assert_int_equal(deq_tensorboard_close(t), DEQ_OK);
    assert_int_equal(deq_tensorboard_close(NULL), DEQ_OK);
    assert_int_equal(remove(path), 0);
    deq_context_free(ctx);
}

static void a_full_disk_is_reported_and_nothing_more_is_written(void **state)
{
    deq_context *ctx;
    deq_tensorboard *t;

    (void)state;
    if (access("/dev/full", W_OK) != 0) skip();
    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    assert_int_equal(deq_tensorboard_open(&t, ctx, "/dev/full", -1, 1), DEQ_ERR_IO);
    assert_null(t);
    assert_non_null(strstr(deq_last_error(ctx), "/dev/full"));
    deq_context_free(ctx);
}

static deq_status check(deq_context *ctx, const void *bytes, size_t size)
{
    const deq_source s = deq_source_memory(ctx, bytes, size);

    return deq_tensorboard_check(&s);
}

static bool ends_with_first_record(size_t length)
{
    return length == 16 + 9 + 15;
}

static void damaged_files_never_pass(void **state)
{
    deq_context *ctx;
    deq_tensorboard *t;
    char path[256];
    size_t size;

    (void)state;
    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    scratch_path(path, ".tfevents");
    assert_int_equal(deq_tensorboard_open(&t, ctx, path, -1, 1), DEQ_OK);
    assert_int_equal(deq_tensorboard_scalar(t, "loss", 1, 4, 1), DEQ_OK);
    assert_int_equal(deq_tensorboard_close(t), DEQ_OK);
    unsigned char *file = load_file(path, &size);
    check_reads(check, file, size);
    check_truncation(check, file, size, ends_with_first_record);
    check_bit_flips(check, file, size);
    for (size_t bit = 0; bit < 8 * size; bit++) { /* a sum finds every single bit */
        file[bit / 8] ^= (unsigned char)(1U << bit % 8);
        assert_int_equal(check(ctx, file, size), DEQ_ERR_DATA);
        file[bit / 8] ^= (unsigned char)(1U << bit % 8);
    }
    free(file);
    assert_int_equal(remove(path), 0);
    deq_context_free(ctx);
}

static void every_allocation_may_fail(void **state)
{
    deq_status status = DEQ_ERR_NOMEM;
    char path[256];

    (void)state;
    scratch_path(path, ".tfevents");
    for (size_t n = 2; status == DEQ_ERR_NOMEM; n++) {
        test_memory m = { 0 };
        deq_context *ctx = test_memory_context(&m, 1);
        deq_tensorboard *t;
        m.fail_at = n;
        status = deq_tensorboard_open(&t, ctx, path, -1, 1);
        if (status == DEQ_OK) {
            status = deq_tensorboard_text(
                t, "t", 1,
                "much longer than the version record "
                "........................................................"
                "........................................................",
                1);
            assert_int_equal(deq_tensorboard_close(t), DEQ_OK);
        }
        assert_true(status == DEQ_OK || status == DEQ_ERR_NOMEM);
        deq_context_free(ctx);
        assert_memory_clean(&m);
        assert_in_range(n, 2, 20);
    }
    (void)remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_those_of_the_rfc),
        cmocka_unit_test(what_was_added_is_read_back),
        cmocka_unit_test(a_resumed_run_cuts_and_goes_on_as_if_it_had_never_stopped),
        cmocka_unit_test(a_file_that_is_not_as_the_checkpoint_left_it_is_refused),
        cmocka_unit_test(texts_that_a_protocol_buffer_cannot_hold_are_refused),
        cmocka_unit_test(a_full_disk_is_reported_and_nothing_more_is_written),
        cmocka_unit_test(damaged_files_never_pass),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
