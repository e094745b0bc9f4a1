/* SPDX-License-Identifier: MIT */
#include "data/arrays.h"

#include "data/data.h"

#include <deq/io/npy.h>
#include <math.h>

static void add(deq_archive *a, const char *name, deq_dtype dtype, deq_shape shape,
                const void *data)
{
    assert_int_equal(deq_archive_add(a, name, (deq_type){ dtype, shape }, data), DEQ_OK);
}

/* "x" f32 [3, 2, 2] of 0 to 11, "y" i64 [3] of 1, 0, 4, and other arrays. */
static deq_archive *sample(deq_context *ctx)
{
    deq_archive *a;
    float x[12];

    for (int i = 0; i < 12; i++) x[i] = (float)i;
    assert_done(ctx, deq_archive_new(&a, ctx));
    add(a, "x", DEQ_F32, DEQ_SHAPE(3, 2, 2), x);
    add(a, "y", DEQ_I64, DEQ_SHAPE(3), (int64_t[]){ 1, 0, 4 });
    add(a, "images", DEQ_BOOL, DEQ_SHAPE(3, 2), (uint8_t[]){ 0, 1, 1, 0, 1, 1 });
    add(a, "maps", DEQ_I32, DEQ_SHAPE(3, 2),
        (int32_t[]){ 1, DEQ_TARGET_IGNORE, 0, 0, DEQ_TARGET_IGNORE, 2 });
    return a;
}

static void arrays_of_an_archive_become_examples(void **state)
{
    (void)state;
    deq_context *ctx = data_context();
    deq_archive *a = sample(ctx);
    char path[256];
    deq_dataset *d;

    assert_done(ctx, deq_npz_write(a, scratch_path(path, ".npz"), true));
    deq_archive_free(a);
    assert_done(ctx, deq_dataset_npz(&d, ctx, path, NULL, NULL));
    const deq_example_form form = deq_dataset_form(d);
    assert_true(deq_shape_equal(&form.input, &DEQ_SHAPE(2, 2)));
    assert_int_equal(form.target.rank, 0);
    assert_int_equal(form.classes, 5);
    one_example e = example_new(d);
    example_read(&e, d, 2);
    assert_int_equal(e.target[0], 4);
    for (int i = 0; i < 4; i++) assert_true(e.input[i] == (float)(8 + i));
    example_free(&e);
    deq_dataset_free(d);

    assert_done(ctx, deq_dataset_npz(&d, ctx, path, "images", "maps"));
    e = example_new(d);
    assert_int_equal(e.n_target, 2);
    assert_int_equal(deq_dataset_form(d).classes, 3);
    example_read(&e, d, 0);
    assert_true(e.input[0] == 0 && e.input[1] == 1);
    assert_int_equal(e.target[1], DEQ_TARGET_IGNORE);
    example_free(&e);
    deq_dataset_free(d);
    remove(path);
    deq_context_free(ctx);
}

/* A .npy of bytes, as NumPy writes images. */
static void save_bytes(const char *path)
{
    static const char header[] = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }\n";
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    fwrite("\x93NUMPY\x01\x00", 1, 8, file);
    fputc((int)strlen(header), file);
    fputc(0, file);
    fwrite(header, 1, strlen(header), file);
    fwrite("\0\1\2\377\4\5", 1, 6, file);
    assert_int_equal(fclose(file), 0);
}

static void bytes_are_scaled_and_files_may_be_two(void **state)
{
    (void)state;
    deq_context *ctx = data_context();
    char x[256], y[256];
    deq_dataset *d;

    save_bytes(scratch_path(x, ".npy"));
    assert_done(ctx, deq_npy_write(ctx, scratch_path(y, ".npy"),
                                   (deq_type){ DEQ_I32, DEQ_SHAPE(2) }, (int32_t[]){ 0, 1 }));
    assert_done(ctx, deq_dataset_npy(&d, ctx, x, y));
    one_example e = example_new(d);
    example_read(&e, d, 1);
    assert_true(e.input[0] == 1.0f && e.input[2] == 5.0f / 255.0f);
    assert_int_equal(e.target[0], 1);
    example_free(&e);
    deq_dataset_free(d);
    assert_refused(ctx, deq_dataset_npy(&d, ctx, x, "/nonexistent"), DEQ_ERR_IO, "/nonexistent");
    assert_refused(ctx, deq_dataset_npy(&d, ctx, "/nonexistent", y), DEQ_ERR_IO, "/nonexistent");
    remove(x);
    remove(y);
    deq_context_free(ctx);
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *x, *y;
        deq_status status;
        const char *text;
    } cases[] = {
        { "imags", "y", DEQ_ERR_NAME, "no array of this name; did you mean 'images'?" },
        { "x", "labels", DEQ_ERR_NAME, "'labels': no array of this name among 8" },
        { "y", "y", DEQ_ERR_SHAPE, "expected [N, ...] of two axes or more" },
        { "x", "scalar", DEQ_ERR_SHAPE, "expected [N] or [N, ...]" },
        { "x", "four", DEQ_ERR_SHAPE, "the first extents differ" },
        { "empty", "y", DEQ_ERR_SHAPE, "an extent is 0" },
        { "x", "x", DEQ_ERR_DATA, "expected integers" },
        { "x", "negative", DEQ_ERR_DATA,
          "element 1 is -1, expected a class of 0 or more, or -100" },
    };
    deq_context *ctx = data_context();
    deq_archive *a = sample(ctx);
    char path[256];
    deq_dataset *d;

    add(a, "scalar", DEQ_I32, DEQ_SCALAR, NULL);
    add(a, "four", DEQ_I32, DEQ_SHAPE(4), NULL);
    add(a, "empty", DEQ_F32, (deq_shape){ 2, { 3, 0 } }, NULL);
    add(a, "negative", DEQ_I64, DEQ_SHAPE(3), (int64_t[]){ 0, -1, 0 });
    assert_done(ctx, deq_npz_write(a, scratch_path(path, ".npz"), false));
    deq_archive_free(a);
    for (size_t k = 0; k < COUNT_OF(cases); k++) {
        const deq_status status = deq_dataset_npz(&d, ctx, path, cases[k].x, cases[k].y);
        assert_refused(ctx, status, cases[k].status, cases[k].text);
        assert_refused(ctx, status, cases[k].status, path);
        assert_null(d);
    }
    remove(path);
    deq_context_free(ctx);
}

static void numbers_that_are_none_are_found_when_read(void **state)
{
    (void)state;
    deq_context *ctx = data_context();
    deq_archive *a;
    char path[256];
    deq_dataset *d;

    assert_done(ctx, deq_archive_new(&a, ctx));
    add(a, "x", DEQ_F64, DEQ_SHAPE(3, 2), (double[]){ 1, 2, 3, 1e300, 5, NAN });
    add(a, "y", DEQ_I32, DEQ_SHAPE(3), (int32_t[]){ 0, 0, 0 });
    assert_done(ctx, deq_npz_write(a, scratch_path(path, ".npz"), false));
    deq_archive_free(a);
    assert_done(ctx, deq_dataset_npz(&d, ctx, path, NULL, NULL));
    one_example e = example_new(d);
    example_read(&e, d, 0);
    example_free(&e);
    assert_unreadable(d, 1, DEQ_ERR_DATA, "'x': element 1 of example 1 is 1e+300");
    assert_unreadable(d, 2, DEQ_ERR_DATA, "'x': element 1 of example 2 is nan");
    deq_dataset_free(d);
    remove(path);
    deq_context_free(ctx);
}

/* Damaged archives, and no memory: tests/fuzz goes further. */
static deq_status parse(deq_context *ctx, const void *bytes, size_t size)
{
    deq_named_array x = { .name = "x", .place = "memory: 'x'" };
    const deq_named_array y = { .name = "y", .place = "memory: 'y'" };
    deq_dataset *d;
    deq_status status = deq_npz_parse(&x.archive, ctx, bytes, size);

    if (status != DEQ_OK) return status;
    status = deq_dataset_arrays(&d, ctx, x, y);
    assert_true((status == DEQ_OK) == (d != NULL));
    deq_dataset_free(d);
    return status;
}

static void damaged_files_leave_nothing_behind(void **state)
{
    (void)state;
    deq_context *ctx = data_context();
    deq_archive *a = sample(ctx);
    char path[256];
    size_t size;

    assert_done(ctx, deq_npz_write(a, scratch_path(path, ".npz"), false));
    deq_archive_free(a);
    void *bytes = load_file(path, &size);
    check_reads(parse, bytes, size);
    check_truncation(parse, bytes, size, NULL);
    check_out_of_memory(parse, bytes, size);
    free(bytes);
    remove(path);
    deq_context_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrays_of_an_archive_become_examples),
        cmocka_unit_test(bytes_are_scaled_and_files_may_be_two),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(numbers_that_are_none_are_found_when_read),
        cmocka_unit_test(damaged_files_leave_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
