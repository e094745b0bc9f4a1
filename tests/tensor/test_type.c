/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include <deq/type.h>
#include <string.h>

static const struct dtype_case {
    int dtype;
    size_t size;
    const char *name;
} dtype_cases[] = {
    { DEQ_F32, 4, "f32" },   { DEQ_F64, 8, "f64" }, { DEQ_I32, 4, "i32" }, { DEQ_I64, 8, "i64" },
    { DEQ_BOOL, 1, "bool" }, { 0, 0, "unknown" },   { 99, 0, "unknown" },  { -1, 0, "unknown" },
};

static void dtypes_have_sizes_and_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof dtype_cases / sizeof *dtype_cases; i++) {
        const struct dtype_case *c = &dtype_cases[i];
        assert_int_equal(deq_dtype_size((deq_dtype)c->dtype), c->size);
        assert_string_equal(deq_dtype_name((deq_dtype)c->dtype), c->name);
    }
}

static void shapes_are_written_as_lists_of_extents(void **state)
{
    (void)state;
    deq_shape s = DEQ_SHAPE(2, 3, 5);
    assert_int_equal(s.rank, 3);
    assert_int_equal(s.dim[0], 2);
    assert_int_equal(s.dim[2], 5);
    for (int i = 3; i < DEQ_MAX_RANK; i++) assert_int_equal(s.dim[i], 0);
    assert_int_equal(DEQ_SCALAR.rank, 0);
    assert_int_equal(DEQ_SHAPE(1, 2, 3, 4, 5, 6, 7, 8).rank, DEQ_MAX_RANK);
}

static void the_count_is_the_product_of_the_extents(void **state)
{
    (void)state;
    assert_int_equal(deq_shape_count(&DEQ_SCALAR), 1);
    assert_int_equal(deq_shape_count(&DEQ_SHAPE(7)), 7);
    assert_int_equal(deq_shape_count(&DEQ_SHAPE(2, 3, 1, 5)), 30);
    assert_int_equal(deq_shape_count(&DEQ_SHAPE(INT64_C(1) << 31, 1 << 20)), INT64_C(1) << 51);
}

static void the_bytes_of_a_type_are_its_elements(void **state)
{
    (void)state;
    deq_type t = { DEQ_F64, DEQ_SHAPE(3, 4) };
    assert_int_equal(deq_type_bytes(&t), 96);
    t.dtype = DEQ_BOOL;
    assert_int_equal(deq_type_bytes(&t), 12);
    t.shape = DEQ_SCALAR;
    assert_int_equal(deq_type_bytes(&t), 1);
}

static void shapes_are_equal_by_rank_and_extents(void **state)
{
    (void)state;
    deq_shape a = DEQ_SHAPE(2, 3), b = DEQ_SHAPE(2, 3);
    assert_true(deq_shape_equal(&a, &b));
    assert_false(deq_shape_equal(&a, &DEQ_SHAPE(3, 2)));
    assert_false(deq_shape_equal(&a, &DEQ_SHAPE(2, 3, 1)));
    assert_false(deq_shape_equal(&a, &DEQ_SHAPE(2)));
    assert_true(deq_shape_equal(&DEQ_SCALAR, &DEQ_SCALAR));
    b.dim[5] = 99; /* beyond the rank */
    assert_true(deq_shape_equal(&a, &b));
}

static const struct format_case {
    deq_dtype dtype;
    int rank;
    int64_t dim[DEQ_MAX_RANK];
    const char *text;
} format_cases[] = {
    { DEQ_F32, 0, { 0 }, "f32 []" },
    { DEQ_F32, 2, { 32, 64 }, "f32 [32, 64]" },
    { DEQ_I64, 1, { 2 }, "i64 [2]" },
    { DEQ_BOOL, 8, { 1, 2, 3, 4, 5, 6, 7, 8 }, "bool [1, 2, 3, 4, 5, 6, 7, 8]" },
    { DEQ_F64, 3, { 0, -1, INT64_MIN }, "f64 [0, -1, -9223372036854775808]" },
    { DEQ_F64, 1000, { 1, 1, 1, 1, 1, 1, 1, 1 }, "f64 [1, 1, 1, 1, 1, 1, 1, 1]" },
    { DEQ_F64, -3, { 0 }, "f64 []" },
    { (deq_dtype)0, 0, { 0 }, "unknown []" },
};

static void types_are_written_as_dtype_and_extents(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof format_cases / sizeof *format_cases; i++) {
        const struct format_case *c = &format_cases[i];
        deq_type t = { .dtype = c->dtype, .shape = { .rank = c->rank } };
        char text[256];
        memcpy(t.shape.dim, c->dim, sizeof c->dim);
        assert_ptr_equal(deq_type_format(text, sizeof text, &t), text);
        assert_string_equal(text, c->text);
    }
}

static void the_longest_type_fits_the_buffer_that_messages_use(void **state)
{
    (void)state;
    deq_type t = { DEQ_BOOL, { .rank = DEQ_MAX_RANK } };
    for (int i = 0; i < DEQ_MAX_RANK; i++) t.shape.dim[i] = INT64_MIN;
    char text[256];
    deq_type_format(text, sizeof text, &t);
    assert_int_equal(text[strlen(text) - 1], ']');
}

static void a_type_that_does_not_fit_is_cut_and_terminated(void **state)
{
    (void)state;
    deq_type t = { DEQ_F32, DEQ_SHAPE(32, 64) };
    const char *whole = "f32 [32, 64]";
    for (size_t capacity = 1; capacity < 20; capacity++) {
        char text[24];
        memset(text, '#', sizeof text);
        deq_type_format(text, capacity, &t);
        size_t expected = capacity - 1 < strlen(whole) ? capacity - 1 : strlen(whole);
        assert_int_equal(strlen(text), expected);
        assert_memory_equal(text, whole, expected);
        assert_int_equal(text[capacity], '#');
    }
    char untouched = '#';
    deq_type_format(&untouched, 0, &t);
    assert_int_equal(untouched, '#');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dtypes_have_sizes_and_names),
        cmocka_unit_test(shapes_are_written_as_lists_of_extents),
        cmocka_unit_test(the_count_is_the_product_of_the_extents),
        cmocka_unit_test(the_bytes_of_a_type_are_its_elements),
        cmocka_unit_test(shapes_are_equal_by_rank_and_extents),
        cmocka_unit_test(types_are_written_as_dtype_and_extents),
        cmocka_unit_test(the_longest_type_fits_the_buffer_that_messages_use),
        cmocka_unit_test(a_type_that_does_not_fit_is_cut_and_terminated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
