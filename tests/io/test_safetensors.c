/* SPDX-License-Identifier: MIT */
#include "io/samples.h"
#include "support/memory.h"

#include <deq/io/npy.h>
#include <deq/io/safetensors.h>
#include <stdio.h>

static deq_status parse(deq_context *ctx, const void *bytes, size_t size)
{
    deq_archive *a;
    const deq_status status = deq_safetensors_parse(&a, ctx, bytes, size);

    assert_true((status == DEQ_OK) == (a != NULL));
    deq_archive_free(a);
    return status;
}

static void a_file_gives_its_tensors_and_metadata(void **state)
{
    (void)state;
    file_bytes b = sample_safetensors();
    deq_context *ctx;
    deq_archive *a;

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    assert_int_equal(deq_safetensors_parse(&a, ctx, b.data, b.size), DEQ_OK);
    bytes_free(&b);
    assert_int_equal(deq_archive_count(a), 3);
    const deq_archive_tensor *t = deq_archive_at(a, 0);
    assert_string_equal(t->name, "a");
    assert_true(((const float *)t->data)[0] == 1 && ((const float *)t->data)[1] == -2);
    t = deq_archive_find(a, "b");
    assert_int_equal(t->type.dtype, DEQ_BOOL);
    assert_memory_equal(t->data, "\0\1\1\0", 4);
    t = deq_archive_find(a, "h");
    assert_int_equal(t->type.dtype, DEQ_F32);
    assert_string_equal(t->stored, "f16");
    assert_true(*(const float *)t->data == 1.5f);
    assert_string_equal(deq_archive_metadata(a, "k"), "v");
    deq_archive_free(a);
    deq_context_free(ctx);
}

static void damaged_files_are_refused(void **state)
{
    (void)state;
    file_bytes b = sample_safetensors();

    check_reader(parse, b.data, b.size);
    bytes_free(&b);
}

#define ENTRY(dtype, shape, offsets)                                                               \
    "{\"x\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

static const struct refusal {
    const char *header;
    size_t size; /* of the elements */
    deq_status status;
    const char *message;
} refusals[] = {
    { ENTRY("F8_E4M3", "[1]", "[0,1]"), 1, DEQ_ERR_UNSUPPORTED, "'x': dtype 'F8_E4M3'" },
    { ENTRY("f32", "[1]", "[0,4]"), 4, DEQ_ERR_UNSUPPORTED, "dtype 'f32'" },
    { ENTRY("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4, DEQ_ERR_UNSUPPORTED, "9 axes" },
    { ENTRY("F32", "[2]", "[0,4]"), 4, DEQ_ERR_DATA, "which its shape and dtype do not make" },
    { ENTRY("F32", "[1]", "[0,8]"), 8, DEQ_ERR_DATA, "which its shape and dtype do not make" },
    { ENTRY("F32", "[4611686018427387904,4]", "[0,0]"), 0, DEQ_ERR_DATA, "do not make" },
    { ENTRY("F32", "[-1]", "[0,4]"), 4, DEQ_ERR_DATA, "a wrong extent" },
    { ENTRY("F32", "[1.5]", "[0,4]"), 4, DEQ_ERR_DATA, "a wrong extent" },
    { ENTRY("F32", "2", "[0,8]"), 8, DEQ_ERR_DATA, "no list \"shape\"" },
    { ENTRY("F32", "[2]", "[0,16]"), 8, DEQ_ERR_DATA, "within the 8 bytes" },
    { ENTRY("F32", "[2]", "[-8,0]"), 8, DEQ_ERR_DATA, "within the 8 bytes" },
    { ENTRY("F32", "[2]", "[8,0]"), 8, DEQ_ERR_DATA, "within the 8 bytes" },
    { ENTRY("F32", "[2]", "[0]"), 8, DEQ_ERR_DATA, "two integers" },
    { ENTRY("F32", "[2]", "[0,99999999999999999999]"), 8, DEQ_ERR_DATA, "not JSON" },
    { ENTRY("F32", "[1]", "[4,8]"), 8, DEQ_ERR_DATA, "leave a gap" },
    { ENTRY("F32", "[1]", "[0,4]"), 8, DEQ_ERR_DATA, "4 bytes belong to no tensor" },
    { "{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},"
      "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,4]}}",
      4, DEQ_ERR_DATA, "overlap" },
    { "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
      "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
      1, DEQ_ERR_DATA, "duplicate" },
    { "{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"more\":1}}", 4,
      DEQ_ERR_DATA, "other keys" },
    { "{\"x\":{\"shape\":[1],\"data_offsets\":[0,4],\"more\":1}}", 4, DEQ_ERR_DATA, "\"dtype\"" },
    { "{\"x\":1}", 0, DEQ_ERR_DATA, "not an object" },
    { "{\"\":{}}", 0, DEQ_ERR_DATA, "an empty name" },
    { "{\"__metadata__\":{\"k\":1}}", 0, DEQ_ERR_DATA, "not a text" },
    { "{\"__metadata__\":[]}", 0, DEQ_ERR_DATA, "not an object" },
    { "[]", 0, DEQ_ERR_DATA, "memory: byte 8: expected a JSON object, found '[]'" },
    { "{\"x\":", 0, DEQ_ERR_DATA, "not JSON" },
    { "{\"a\\u0000b\":{}}", 0, DEQ_ERR_DATA, "not JSON" },
    { "", 0, DEQ_ERR_DATA, "expected a JSON object" },
};

static void wrong_headers_are_refused(void **state)
{
    (void)state;
    const unsigned char data[16] = { 0 };
    file_bytes b;

    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        b = sample_safetensors_of(refusals[i].header, data, refusals[i].size);
        check_refusal(parse, b.data, b.size, refusals[i].status, refusals[i].message);
        bytes_free(&b);
    }
    b = (file_bytes){ 0 };
    put_little(&b, 0xffffffffffffffff, 8);
    put_text(&b, "{}");
    check_refusal(parse, b.data, b.size, DEQ_ERR_DATA, "memory: byte 0: a header of 1844674407");
    bytes_free(&b);
}

/* Lists in lists, as deep as the header is long. */
static void deep_headers_are_refused(void **state)
{
    (void)state;
    file_bytes b = { 0 };

    put_little(&b, 300006, 8);
    put_text(&b, "{\"x\":");
    for (int i = 0; i < 300000; i++) put_byte(&b, '[');
    put_byte(&b, '}');
    check_refusal(parse, b.data, b.size, DEQ_ERR_DATA, "not JSON");
    bytes_free(&b);
}

static deq_archive *all_kinds(deq_context *ctx)
{
    static const unsigned char t[] = { 1, 0, 1 };
    static const float f[] = { 0, -1.5f, 3 };
    static const double d[] = { 1e-300, 2 };
    static const int32_t i[] = { -7 };
    static const int64_t l[] = { INT64_MIN, INT64_MAX };
    deq_archive *a;

    assert_int_equal(deq_archive_new(&a, ctx), DEQ_OK);
    assert_int_equal(deq_archive_add(a, "bool", (deq_type){ DEQ_BOOL, DEQ_SHAPE(3) }, t), DEQ_OK);
    assert_int_equal(deq_archive_add(a, "f", (deq_type){ DEQ_F32, DEQ_SHAPE(3) }, f), DEQ_OK);
    assert_int_equal(deq_archive_add(a, "\"quoted\"\n", (deq_type){ DEQ_F64, DEQ_SHAPE(1, 2) }, d),
                     DEQ_OK);
    assert_int_equal(deq_archive_add(a, "i", (deq_type){ DEQ_I32, DEQ_SCALAR }, i), DEQ_OK);
    assert_int_equal(deq_archive_add(a, "\xc3\xa9", (deq_type){ DEQ_I64, DEQ_SHAPE(2) }, l),
                     DEQ_OK);
    assert_int_equal(deq_archive_add(a, "e", (deq_type){ DEQ_F32, DEQ_SHAPE(2, 0) }, NULL), DEQ_OK);
    assert_int_equal(deq_archive_set_metadata(a, "config", "{\"model\": \"mdeq\"}"), DEQ_OK);
    assert_int_equal(deq_archive_set_metadata(a, "", ""), DEQ_OK);
    return a;
}

static void what_was_written_is_read_again(void **state)
{
    (void)state;
    test_memory m = { 0 };
    deq_context *ctx = test_memory_context(&m, 1);
    deq_archive *a = all_kinds(ctx), *b;
    char path[256];

    assert_int_equal(deq_safetensors_write(a, scratch_path(path, ".safetensors")), DEQ_OK);
    if (deq_safetensors_read(&b, ctx, path) != DEQ_OK) fail_msg("%s", deq_last_error(ctx));
    assert_int_equal(deq_archive_count(b), deq_archive_count(a));
    for (size_t i = 0; i < deq_archive_count(a); i++) {
        const deq_archive_tensor *x = deq_archive_at(a, i), *y = deq_archive_at(b, i);
        assert_string_equal(x->name, y->name);
        assert_int_equal(x->type.dtype, y->type.dtype);
        assert_true(deq_shape_equal(&x->type.shape, &y->type.shape));
        assert_memory_equal(x->data, y->data, deq_type_bytes(&x->type));
        assert_int_equal((uintptr_t)y->data % deq_dtype_size(y->type.dtype), 0);
    }
    assert_string_equal(deq_archive_metadata(b, "config"), "{\"model\": \"mdeq\"}");
    assert_string_equal(deq_archive_metadata(b, ""), "");
    deq_archive_free(b);
    assert_int_equal(remove(path), 0);
    deq_archive_free(a);
    deq_context_free(ctx);
    assert_memory_clean(&m);
}

/* Tensors whose bytes are ours as they stand are not copied. */
static void reading_takes_little_more_memory_than_the_file(void **state)
{
    (void)state;
    test_memory m = { 0 };
    deq_context *ctx = test_memory_context(&m, 1);
    deq_archive *a;
    char path[256];

    assert_int_equal(deq_archive_new(&a, ctx), DEQ_OK);
    assert_int_equal(deq_archive_add(a, "w", (deq_type){ DEQ_F32, DEQ_SHAPE(1000, 1000) }, NULL),
                     DEQ_OK);
    assert_int_equal(deq_safetensors_write(a, scratch_path(path, ".safetensors")), DEQ_OK);
    deq_archive_free(a);
    assert_int_equal(deq_safetensors_read(&a, ctx, path), DEQ_OK);
    assert_true(m.live_bytes < 4000000 + 100000);
    deq_archive_free(a);
    assert_int_equal(remove(path), 0);
    deq_context_free(ctx);
}

static void what_cannot_be_written_is_named_and_the_old_file_stays(void **state)
{
    (void)state;
    const deq_type scalar = { DEQ_F32, DEQ_SCALAR };
    deq_context *ctx;
    deq_archive *a, *b;
    char path[256];

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    assert_int_equal(deq_archive_new(&a, ctx), DEQ_OK);
    assert_int_equal(deq_safetensors_write(a, scratch_path(path, ".safetensors")), DEQ_OK);
    assert_int_equal(deq_archive_add(a, "\xff", scalar, NULL), DEQ_OK);
    assert_int_equal(deq_safetensors_write(a, path), DEQ_ERR_NAME);
    assert_non_null(strstr(deq_last_error(ctx), "UTF-8"));
    deq_archive_free(a);
    assert_int_equal(deq_archive_new(&a, ctx), DEQ_OK);
    assert_int_equal(deq_archive_add(a, "__metadata__", scalar, NULL), DEQ_OK);
    assert_int_equal(deq_safetensors_write(a, path), DEQ_ERR_NAME);
    deq_archive_free(a);
    assert_int_equal(deq_archive_new(&a, ctx), DEQ_OK);
    assert_int_equal(deq_archive_set_metadata(a, "k", "\xff"), DEQ_OK);
    assert_int_equal(deq_safetensors_write(a, path), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_safetensors_read(&b, ctx, path), DEQ_OK);
    assert_int_equal(deq_archive_count(b), 0);
    deq_archive_free(a);
    deq_archive_free(b);
    assert_int_equal(remove(path), 0);
    deq_context_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_gives_its_tensors_and_metadata),
        cmocka_unit_test(damaged_files_are_refused),
        cmocka_unit_test(wrong_headers_are_refused),
        cmocka_unit_test(deep_headers_are_refused),
        cmocka_unit_test(what_was_written_is_read_again),
        cmocka_unit_test(reading_takes_little_more_memory_than_the_file),
        cmocka_unit_test(what_cannot_be_written_is_named_and_the_old_file_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
