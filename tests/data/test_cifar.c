/* SPDX-License-Identifier: MIT */
#include "data/data.h"

/* Records with labels that rise from `label`, and pixels that tell record and place. */
static void save_cifar(const char *path, int classes, int n, int label)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    for (int i = 0; i < n; i++) {
        if (classes == 100) fputc(i % 20, file);
        fputc(label + i, file);
        for (int k = 0; k < 3072; k++) fputc((label + i + k) & 255, file);
    }
    assert_int_equal(fclose(file), 0);
}

static void files_follow_each_other(void **state)
{
    (void)state;
    deq_context *ctx = data_context();
    char path[3][256];

    for (int classes = 10; classes <= 100; classes += 90) {
        const char *const paths[] = { scratch_path(path[0], ".bin"), scratch_path(path[1], ".bin"),
                                      scratch_path(path[2], ".bin") };
        deq_dataset *d;
        save_cifar(paths[0], classes, 2, 0);
        save_cifar(paths[1], classes, 3, 2);
        save_cifar(paths[2], classes, 1, 5);
        assert_done(ctx, deq_dataset_cifar(&d, ctx, paths, 3, classes));
        const deq_example_form form = deq_dataset_form(d);
        assert_true(deq_shape_equal(&form.input, &DEQ_SHAPE(3, 32, 32)));
        assert_int_equal(form.classes, classes);
        assert_int_equal(deq_dataset_count(d), 6);
        one_example e = example_new(d);
        for (int64_t i = 0; i < 6; i++) {
            example_read(&e, d, i);
            assert_int_equal(e.target[0], i);
            for (int k = 0; k < 3072; k++)
                assert_true(e.input[k] == (float)((i + k) & 255) / 255.0f);
        }
        example_free(&e);
        deq_dataset_free(d);
        for (int i = 0; i < 3; i++) remove(paths[i]);
    }
    deq_context_free(ctx);
}

static void classes_have_names(void **state)
{
    (void)state;
    static const struct {
        int classes, class_;
        const char *name;
    } cases[] = { { 10, 0, "airplane" },
                  { 10, 9, "truck" },
                  { 100, 0, "apple" },
                  { 100, 52, "oak_tree" },
                  { 100, 99, "worm" } };
    deq_context *ctx = data_context();
    char path[256], name[32];
    const char *paths = scratch_path(path, ".bin");

    for (size_t k = 0; k < COUNT_OF(cases); k++) {
        deq_dataset *d;
        save_cifar(paths, cases[k].classes, 1, 0);
        assert_done(ctx, deq_dataset_cifar(&d, ctx, &paths, 1, cases[k].classes));
        deq_dataset_class_name(d, cases[k].class_, name, sizeof name);
        assert_string_equal(name, cases[k].name);
        deq_dataset_class_name(d, cases[k].class_, name, 4);
        assert_true(strlen(name) == 3 && strncmp(name, cases[k].name, 3) == 0);
        deq_dataset_class_name(d, 100, name, sizeof name);
        assert_string_equal(name, "100");
        deq_dataset_free(d);
    }
    remove(paths);
    deq_context_free(ctx);
}

static void bad_files_are_named(void **state)
{
    (void)state;
    deq_context *ctx = data_context();
    char path[2][256];
    const char *const paths[] = { scratch_path(path[0], ".bin"), scratch_path(path[1], ".bin") };
    deq_dataset *d;

    save_cifar(paths[0], 10, 2, 0);
    save_cifar(paths[1], 100, 1, 0);
    const deq_status status = deq_dataset_cifar(&d, ctx, paths, 2, 10);
    assert_refused(ctx, status, DEQ_ERR_DATA, paths[1]);
    assert_refused(ctx, status, DEQ_ERR_DATA, "3074 bytes, expected one or more records of 3073");
    assert_null(d);
    save_cifar(paths[1], 10, 3, 8);
    assert_refused(ctx, deq_dataset_cifar(&d, ctx, paths, 2, 10), DEQ_ERR_DATA,
                   "byte 6146: found the label 10");
    assert_refused(ctx, deq_dataset_cifar(&d, ctx, paths, 0, 10), DEQ_ERR_ARGUMENT, "0 files");
    assert_refused(ctx, deq_dataset_cifar(&d, ctx, paths, 1, 20), DEQ_ERR_ARGUMENT,
                   "CIFAR of 20 classes, expected 10 or 100");
    for (int i = 0; i < 2; i++) remove(paths[i]);
    deq_context_free(ctx);
}

static void cifar_has_its_counts(void **state)
{
    (void)state;
    static const int64_t expected[10] = { 701, 658, 714, 685, 717, 673, 735, 679, 737, 701 };
    deq_context *ctx = data_context();
    char path[2][1024];
    const char *const paths[] = {
        shared_file(path[0], "DEQ_DATA", "cifar10/cifar-10-batches-bin/data_batch_1.bin"),
        shared_file(path[1], "DEQ_DATA", "cifar10/cifar-10-batches-bin/test_batch.bin")
    };
    int64_t found[10] = { 0 };
    deq_dataset *d;

    assert_done(ctx, deq_dataset_cifar(&d, ctx, paths, 2, 10));
    assert_int_equal(deq_dataset_count(d), 7000);
    one_example e = example_new(d);
    for (int64_t i = 0; i < 7000; i++) {
        example_read(&e, d, i);
        found[e.target[0]]++;
    }
    for (int i = 0; i < 10; i++) assert_int_equal(found[i], expected[i]);
    example_free(&e);
    deq_dataset_free(d);
    deq_context_free(ctx);
}

static deq_status open_two(deq_dataset **out, deq_context *ctx, const void *user)
{
    return deq_dataset_cifar(out, ctx, user, 2, 10);
}

static void memory_may_end_anywhere(void **state)
{
    (void)state;
    char path[2][256];
    const char *const paths[] = { scratch_path(path[0], ".bin"), scratch_path(path[1], ".bin") };

    for (int i = 0; i < 2; i++) save_cifar(paths[i], 10, 2, 0);
    check_memory(open_two, paths);
    for (int i = 0; i < 2; i++) remove(paths[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_follow_each_other), cmocka_unit_test(classes_have_names),
        cmocka_unit_test(bad_files_are_named),     cmocka_unit_test(memory_may_end_anywhere),
        cmocka_unit_test(cifar_has_its_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
