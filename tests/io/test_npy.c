/* SPDX-License-Identifier: MIT */
#include "io/samples.h"
#include "io/zip.h"
#include "support/memory.h"
#include "support/npz.h"

#include <deq/io/npy.h>
#include <stdio.h>

static deq_status parse_npy(deq_context *ctx, const void *bytes, size_t size)
{
    deq_archive *a;
    const deq_status status = deq_npy_parse(&a, ctx, bytes, size);

    assert_true((status == DEQ_OK) == (a != NULL));
    deq_archive_free(a);
    return status;
}

static deq_status parse_npz(deq_context *ctx, const void *bytes, size_t size)
{
    deq_archive *a;
    const deq_status status = deq_npz_parse(&a, ctx, bytes, size);

    assert_true((status == DEQ_OK) == (a != NULL));
    deq_archive_free(a);
    return status;
}

static void an_array_is_its_header_and_its_elements(void **state)
{
    (void)state;
    file_bytes b = sample_npy();
    deq_context *ctx;
    deq_archive *a;

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    assert_int_equal(deq_npy_parse(&a, ctx, b.data, b.size), DEQ_OK);
    bytes_free(&b);
    assert_int_equal(deq_archive_count(a), 1);
    const deq_archive_tensor *t = deq_archive_find(a, "data");
    assert_int_equal(t->type.dtype, DEQ_F32);
    assert_true(deq_shape_equal(&t->type.shape, &DEQ_SHAPE(2, 3)));
    for (int i = 0; i < 6; i++) assert_true(((const float *)t->data)[i] == (float)i);
    deq_archive_free(a);
    deq_context_free(ctx);
}

static void damaged_arrays_are_refused(void **state)
{
    (void)state;
    file_bytes b = sample_npy();

    check_reader(parse_npy, b.data, b.size);
    bytes_free(&b);
}

/* Headers as others write them, and a value to find: element 1 of the result. */
static const struct header_case {
    const char *header;
    const char *data;
    size_t size;
    deq_dtype dtype;
    const char *stored;
    double second;
} headers[] = {
    { "{'descr':'<i4','fortran_order':False,'shape':(2,)}", "\1\0\0\0\2\0\0\0", 8, DEQ_I32, "i32",
      2 },
    { "{\"shape\": (2L,), \"descr\": \"<i2\", \"fortran_order\": False}  \n", "\1\0\376\377", 4,
      DEQ_I32, "i16", -2 },
    { "{'descr': '>u4', 'fortran_order': False, 'shape': (2,), }", "\0\0\0\1\377\377\377\377", 8,
      DEQ_I64, "u32", 4294967295.0 },
    { "{'descr': '|b1', 'fortran_order': False, 'shape': (3,), }", "\0\1\0", 3, DEQ_BOOL, "bool",
      1 },
    { "{'descr': '?', 'fortran_order': False, 'shape': (3,), }", "\0\1\0", 3, DEQ_BOOL, "bool", 1 },
    { "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 2), }", "\1\377", 2, DEQ_I32, "u8",
      255 },
    { "{'descr': '|i1', 'fortran_order': False, 'shape': (2, 1), }", "\1\377", 2, DEQ_I32, "i8",
      -1 },
    { "{'descr': '>f2', 'fortran_order': False, 'shape': (2,), }", "\0\0\74\0", 4, DEQ_F32, "f16",
      1 },
    { "{'descr': '>f8', 'fortran_order': False, 'shape': (2,), }",
      "\0\0\0\0\0\0\0\0\100\10\0\0\0\0\0\0", 16, DEQ_F64, "f64", 3 },
    /* columns (1 2 3), (4 5 6) of a 3 x 2 matrix */
    { "{'descr': '|i1', 'fortran_order': True, 'shape': (3, 2), }", "\1\2\3\4\5\6", 6, DEQ_I32,
      "i8", 4 },
    /* i + 2 j + 4 k of a 2 x 2 x 2 cube: [0, 0, 1] is 4 */
    { "{'descr': '|i1', 'fortran_order': True, 'shape': (2, 2, 2), }", "\0\1\2\3\4\5\6\7", 8,
      DEQ_I32, "i8", 4 },
};

static double value_of(const deq_archive_tensor *t, int i)
{
    switch (t->type.dtype) {
    case DEQ_F32: return (double)((const float *)t->data)[i];
    case DEQ_F64: return ((const double *)t->data)[i];
    case DEQ_I32: return ((const int32_t *)t->data)[i];
    case DEQ_I64: return (double)((const int64_t *)t->data)[i];
    case DEQ_BOOL: return ((const unsigned char *)t->data)[i];
    }
    return -1;
}

static void element_types_and_orders_are_converted(void **state)
{
    (void)state;
    deq_context *ctx;

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        const struct header_case *c = &headers[i];
        file_bytes b = sample_npy_of(c->header, c->data, c->size);
        deq_archive *a;

        if (deq_npy_parse(&a, ctx, b.data, b.size) != DEQ_OK)
            fail_msg("%s: %s", c->header, deq_last_error(ctx));
        const deq_archive_tensor *t = deq_archive_at(a, 0);
        assert_int_equal(t->type.dtype, c->dtype);
        assert_string_equal(t->stored, c->stored);
        if (value_of(t, 1) != c->second) fail_msg("%s: found %g", c->header, value_of(t, 1));
        deq_archive_free(a);
        bytes_free(&b);
    }
    deq_context_free(ctx);
}

static void formats_2_and_3_have_longer_headers(void **state)
{
    (void)state;
    for (int major = 2; major <= 3; major++) {
        file_bytes b = { 0 };
        const char *header = "{'descr': '<f4', 'fortran_order': False, 'shape': (), }\n";
        put(&b, "\x93NUMPY", 6);
        put_byte(&b, major);
        put_byte(&b, 0);
        put_little(&b, strlen(header), 4);
        put_text(&b, header);
        put(&b, "\0\0\0\0", 4);
        check_reads(parse_npy, b.data, b.size);
        check_truncation(parse_npy, b.data, b.size, NULL);
        bytes_free(&b);
    }
}

static const struct refusal {
    const char *header;
    size_t size;
    deq_status status;
    const char *message;
} refusals[] = {
    { "{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", 8, DEQ_ERR_UNSUPPORTED,
      "memory: byte 20: the elements have type '<c8'" },
    { "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", 8, DEQ_ERR_UNSUPPORTED, "'|O'" },
    { "{'descr': '<U10', 'fortran_order': False, 'shape': (1,), }", 8, DEQ_ERR_UNSUPPORTED,
      "'<U10'" },
    { "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", 4, DEQ_ERR_UNSUPPORTED,
      "records" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 1, 1, 1), }", 4,
      DEQ_ERR_UNSUPPORTED, "more than 8 axes" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 23, DEQ_ERR_DATA,
      "23 bytes of elements follow" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 25, DEQ_ERR_DATA, "25 bytes" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }", 0,
      DEQ_ERR_DATA, "0 bytes of elements follow" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", 0,
      DEQ_ERR_DATA, "an extent is too large" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", 0, DEQ_ERR_DATA,
      "expected an extent" },
    { "{'descr': '<f4', 'fortran_order': False}", 0, DEQ_ERR_DATA, "'shape'" },
    { "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': ()}", 4, DEQ_ERR_DATA,
      "each once" },
    { "{'descr': '<f4', 'evil': os.system('true'), 'shape': ()}", 4, DEQ_ERR_DATA,
      "found ''evil'" },
    { "{'descr': '<f4', 'fortran_order': Maybe, 'shape': ()}", 4, DEQ_ERR_DATA, "True or False" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': (2 3)}", 24, DEQ_ERR_DATA, "',' or ')'" },
    { "{'descr': '<f4' 'fortran_order': False, 'shape': ()}", 4, DEQ_ERR_DATA, "',' or '}'" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': ()} + 1", 4, DEQ_ERR_DATA,
      "nothing more" },
    { "{'descr': '|b1', 'fortran_order': False, 'shape': (7,)}", 7, DEQ_ERR_DATA,
      "found 7 as a bool, expected 0 or 1" },
    { "", 0, DEQ_ERR_DATA, "expected '{'" },
};

static void what_is_not_an_array_of_numbers_is_said(void **state)
{
    (void)state;
    const unsigned char data[32] = { 0, 0, 0, 0, 7 };

    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const struct refusal *c = &refusals[i];
        file_bytes b = sample_npy_of(c->header, data, c->size);
        check_refusal(parse_npy, b.data, b.size, c->status, c->message);
        bytes_free(&b);
    }
    check_refusal(parse_npy, "PK\3\4....", 8, DEQ_ERR_DATA, "found 'PK\\x03\\x04..'");
    check_refusal(parse_npy, "\x93NUMPY\4\0\0\0\0\0", 12, DEQ_ERR_UNSUPPORTED, "NumPy format 4.0");
}

/* An archive with all dtypes and awkward shapes. */
static deq_archive *all_kinds(deq_context *ctx)
{
    static const float f[] = { 0, -1.5f, 3 };
    static const double d[] = { 1e-300, 2 };
    static const int32_t i[] = { -7 };
    static const int64_t l[] = { INT64_MIN, INT64_MAX };
    static const unsigned char t[] = { 1, 0, 1, 1, 0 };
    deq_archive *a;

    assert_int_equal(deq_archive_new(&a, ctx), DEQ_OK);
    assert_int_equal(deq_archive_add(a, "f", (deq_type){ DEQ_F32, DEQ_SHAPE(3) }, f), DEQ_OK);
    assert_int_equal(deq_archive_add(a, "a/b.c", (deq_type){ DEQ_F64, DEQ_SHAPE(1, 2) }, d),
                     DEQ_OK);
    assert_int_equal(deq_archive_add(a, "i", (deq_type){ DEQ_I32, DEQ_SCALAR }, i), DEQ_OK);
    assert_int_equal(deq_archive_add(a, "l", (deq_type){ DEQ_I64, DEQ_SHAPE(2) }, l), DEQ_OK);
    assert_int_equal(deq_archive_add(a, "b", (deq_type){ DEQ_BOOL, DEQ_SHAPE(5) }, t), DEQ_OK);
    assert_int_equal(deq_archive_add(a, "e", (deq_type){ DEQ_F32, DEQ_SHAPE(2, 0) }, NULL), DEQ_OK);
    assert_int_equal(
        deq_archive_add(a, "deep", (deq_type){ DEQ_F32, DEQ_SHAPE(1, 1, 3, 1, 1, 1, 1, 1) }, f),
        DEQ_OK);
    return a;
}

static void assert_same(const deq_archive *a, const deq_archive *b)
{
    assert_int_equal(deq_archive_count(a), deq_archive_count(b));
    for (size_t i = 0; i < deq_archive_count(a); i++) {
        const deq_archive_tensor *x = deq_archive_at(a, i), *y = deq_archive_at(b, i);
        assert_string_equal(x->name, y->name);
        assert_int_equal(x->type.dtype, y->type.dtype);
        assert_true(deq_shape_equal(&x->type.shape, &y->type.shape));
        assert_memory_equal(x->data, y->data, deq_type_bytes(&x->type));
    }
}

static void what_was_written_is_read_again(void **state)
{
    (void)state;
    test_memory m = { 0 };
    deq_context *ctx = test_memory_context(&m, 1);
    deq_archive *a = all_kinds(ctx), *b;
    char path[256];

    for (int compress = 0; compress < 2; compress++) {
        scratch_path(path, ".npz");
        assert_int_equal(deq_npz_write(a, path, compress), DEQ_OK);
        assert_int_equal(deq_npz_read(&b, ctx, path), DEQ_OK);
        assert_same(a, b);
        deq_archive_free(b);
        assert_int_equal(remove(path), 0);
    }
    scratch_path(path, ".npy");
    for (size_t i = 0; i < deq_archive_count(a); i++) {
        const deq_archive_tensor *t = deq_archive_at(a, i);
        assert_int_equal(deq_npy_write(ctx, path, t->type, t->data), DEQ_OK);
        assert_int_equal(deq_npy_read(&b, ctx, path), DEQ_OK);
        assert_true(deq_shape_equal(&deq_archive_at(b, 0)->type.shape, &t->type.shape));
        assert_memory_equal(deq_archive_at(b, 0)->data, t->data, deq_type_bytes(&t->type));
        deq_archive_free(b);
    }
    assert_int_equal(remove(path), 0);
    deq_archive_free(a);
    deq_context_free(ctx);
    assert_memory_clean(&m);
}

static void damaged_archives_are_refused(void **state)
{
    (void)state;
    deq_context *ctx;
    deq_archive *a;
    char path[256];

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    for (int compress = 0; compress < 2; compress++) {
        static const double d[] = { 1, 2, 3 };
        size_t size;
        assert_int_equal(deq_archive_new(&a, ctx), DEQ_OK);
        assert_int_equal(deq_archive_add(a, "x", (deq_type){ DEQ_F64, DEQ_SHAPE(3) }, d), DEQ_OK);
        scratch_path(path, ".npz");
        assert_int_equal(deq_npz_write(a, path, compress), DEQ_OK);
        deq_archive_free(a);
        void *data = load_file(path, &size);
        assert_int_equal(remove(path), 0);
        check_reader(parse_npz, data, size);
        free(data);
    }
    check_refusal(parse_npz, "", 0, DEQ_ERR_DATA, "zip archive");
    check_refusal(parse_npz, "not a zip archive", 17, DEQ_ERR_DATA, "zip archive");
    deq_context_free(ctx);
}

/* An archive as NumPy writes it: words, numbers and objects beside each other. */
static deq_status mixed_part(deq_zip_part *part, void *user, size_t i)
{
    static const char *const names[] = { "words.npy", "x.npy", "things.npy" };
    static const char *const descr[] = { "<U3", "<f4", "|O" };
    static const float two[] = { 3, 4 };
    char(*heads)[128] = user;

    memset(heads[i], ' ', 128);
    memcpy(heads[i], "\x93NUMPY\1\0\x76\0", 10);
    const int n = snprintf(heads[i] + 10, 118,
                           "{'descr': '%s', 'fortran_order': False, 'shape': (2,)}", descr[i]);
    heads[i][10 + n] = ' ';
    heads[i][127] = '\n';
    *part = (deq_zip_part){ .head = heads[i], .head_bytes = 128, .body = two, .body_bytes = 8 };
    snprintf(part->name, sizeof part->name, "%s", names[i]);
    return DEQ_OK;
}

static void arrays_of_other_things_are_left_out_and_named(void **state)
{
    (void)state;
    test_memory m = { 0 };
    deq_context *ctx = test_memory_context(&m, 1);
    deq_archive *a;
    char path[256], heads[3][128];
    const char *why;
    size_t size;

    assert_int_equal(deq_zip_write(ctx, scratch_path(path, ".npz"), 3, false, mixed_part, heads),
                     DEQ_OK);
    if (deq_npz_read(&a, ctx, path) != DEQ_OK) fail_msg("%s", deq_last_error(ctx));
    assert_int_equal(deq_archive_count(a), 1);
    assert_true(((const float *)deq_archive_find(a, "x")->data)[1] == 4);
    assert_string_equal(deq_archive_left_out_at(a, 0, &why), "words");
    assert_non_null(strstr(why, path));
    assert_non_null(strstr(why, "words.npy: byte 20: the elements have type '<U3'; known are"));
    assert_string_equal(deq_archive_left_out_at(a, 1, NULL), "things");
    assert_null(deq_archive_left_out_at(a, 2, NULL));
    assert_non_null(strstr(deq_archive_left_out(a, "things"), "'|O'"));
    assert_null(deq_archive_left_out(a, "x"));
    deq_archive_free(a);
    void *data = load_file(path, &size);
    assert_int_equal(remove(path), 0);
    check_reader(parse_npz, data, size);
    free(data);
    deq_context_free(ctx);
    assert_memory_clean(&m);
}

static void equal_archives_give_equal_files(void **state)
{
    (void)state;
    deq_context *ctx;
    char path[2][256];
    void *data[2];
    size_t size[2];

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    deq_archive *a = all_kinds(ctx);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(deq_npz_write(a, scratch_path(path[i], ".npz"), true), DEQ_OK);
        data[i] = load_file(path[i], &size[i]);
        assert_int_equal(remove(path[i]), 0);
    }
    assert_int_equal(size[0], size[1]);
    assert_memory_equal(data[0], data[1], size[0]);
    free(data[0]);
    free(data[1]);
    deq_archive_free(a);
    deq_context_free(ctx);
}

static void what_cannot_be_read_or_written_is_named(void **state)
{
    (void)state;
    deq_context *ctx;
    deq_archive *a, *none;

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    assert_int_equal(deq_npy_read(&none, ctx, "/nonexistent.npy"), DEQ_ERR_IO);
    assert_non_null(strstr(deq_last_error(ctx), "/nonexistent.npy: cannot be read: No such file"));
    assert_int_equal(deq_npz_read(&none, ctx, "/nonexistent.npz"), DEQ_ERR_IO);
    assert_int_equal(deq_npz_read(&none, ctx, "/dev/zero"), DEQ_ERR_IO);
    assert_int_equal(deq_npz_read(&none, ctx, NULL), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_npy_read(&none, ctx, "/"), DEQ_ERR_IO);
    assert_int_equal(deq_npy_write(ctx, "/nonexistent/x", (deq_type){ DEQ_F32, DEQ_SCALAR }, &a),
                     DEQ_ERR_IO);
    a = all_kinds(ctx);
    assert_int_equal(deq_npz_write(a, "/nonexistent/x.npz", false), DEQ_ERR_IO);
    assert_int_equal(deq_npz_write(a, "/dev/null", false), DEQ_ERR_IO);
    deq_archive_free(a);
    deq_context_free(ctx);
}

/* NumPy's own files, against the reader that the tests have. */
static void numpys_files_are_read(void **state)
{
    (void)state;
    static const char *const files[] = { "mdeq_zoo/weights.npz", "mdeq_vision/golden.npz",
                                         "mondeq_mnist/golden.npz" };
    deq_context *ctx;
    char path[1024];

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
        deq_archive *a;
        shared_file(path, "DEQ_GOLDEN", files[f]);
        if (deq_npz_read(&a, ctx, path) != DEQ_OK) fail_msg("%s", deq_last_error(ctx));
        npz *z = npz_open(path, NULL);
        for (size_t i = 0; i < deq_archive_count(a); i++) {
            const deq_archive_tensor *t = deq_archive_at(a, i);
            const npz_array *expected = npz_need(z, "%s", t->name);
            const int64_t count = deq_shape_count(&t->type.shape);
            assert_int_equal(count, expected->count);
            for (int64_t k = 0; k < count; k++)
                assert_true(value_of(t, (int)k) == expected->data[k]);
        }
        npz_close(z);
        deq_archive_free(a);
    }
    deq_context_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_array_is_its_header_and_its_elements),
        cmocka_unit_test(damaged_arrays_are_refused),
        cmocka_unit_test(element_types_and_orders_are_converted),
        cmocka_unit_test(formats_2_and_3_have_longer_headers),
        cmocka_unit_test(what_is_not_an_array_of_numbers_is_said),
        cmocka_unit_test(what_was_written_is_read_again),
        cmocka_unit_test(damaged_archives_are_refused),
        cmocka_unit_test(arrays_of_other_things_are_left_out_and_named),
        cmocka_unit_test(equal_archives_give_equal_files),
        cmocka_unit_test(what_cannot_be_read_or_written_is_named),
        cmocka_unit_test(numpys_files_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
