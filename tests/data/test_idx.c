/* SPDX-License-Identifier: MIT */
#include "data/data.h"

static void save(const char *path, const file_bytes *b)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(b->data, 1, b->size, file), b->size);
    assert_int_equal(fclose(file), 0);
}

/* An IDX file: extents until 0 (one more may be 0 itself), elements 0, 1, 2, ... */
static void save_idx(const char *path, int rank, const int *extents)
{
    file_bytes b = { 0 };
    int count = 1;

    put_big(&b, 0x800u + (unsigned)rank, 4);
    for (int i = 0; i < rank; i++) {
        put_big(&b, (unsigned)extents[i], 4);
        count *= extents[i];
    }
    for (int i = 0; i < count; i++) put_byte(&b, i & 255);
    save(path, &b);
    bytes_free(&b);
}

static void images_become_planes_in_0_to_1(void **state)
{
    (void)state;
    static const struct {
        int rank, extents[4];
        deq_shape shape;
    } cases[] = {
        { 3, { 3, 2, 4 }, { 3, { 1, 2, 4 } } },
        { 4, { 3, 2, 2, 2 }, { 3, { 2, 2, 2 } } },
        { 2, { 3, 5 }, { 1, { 5 } } },
    };
    deq_context *ctx = data_context();
    char images[256], labels[256];

    scratch_path(images, ".idx3");
    save_idx(scratch_path(labels, ".idx1"), 1, (int[]){ 3 });
    for (size_t k = 0; k < COUNT_OF(cases); k++) {
        deq_dataset *d;
        save_idx(images, cases[k].rank, cases[k].extents);
        assert_done(ctx, deq_dataset_idx(&d, ctx, images, labels));
        const deq_example_form form = deq_dataset_form(d);
        assert_true(deq_shape_equal(&form.input, &cases[k].shape));
        assert_int_equal(form.target.rank, 0);
        assert_int_equal(form.classes, 3); /* labels 0, 1, 2 */
        assert_int_equal(deq_dataset_count(d), 3);
        one_example e = example_new(d);
        example_read(&e, d, 2);
        assert_int_equal(e.target[0], 2);
        for (int64_t i = 0; i < e.n_input; i++)
            assert_true(e.input[i] == (float)(2 * e.n_input + i) / 255.0f);
        example_free(&e);
        deq_dataset_free(d);
    }
    remove(images);
    remove(labels);
    deq_context_free(ctx);
}

static void files_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    static const struct {
        int rank, extents[3], n_labels;
        const char *text;
    } cases[] = {
        { 3, { 3, 2, 2 }, 4, "3 images, but " },
        { 1, { 3 }, 3, "1 axes, expected images [N, H, W]" },
        { 3, { 0, 2, 2 }, 0, "extent 0 is 0" },
        { 3, { 3, 0, 2 }, 3, "extent 1 is 0" },
    };
    deq_context *ctx = data_context();
    char images[256], labels[256];
    deq_dataset *d;

    scratch_path(images, ".idx3");
    scratch_path(labels, ".idx1");
    for (size_t k = 0; k < COUNT_OF(cases); k++) {
        save_idx(images, cases[k].rank, cases[k].extents);
        save_idx(labels, 1, &cases[k].n_labels);
        const deq_status status = deq_dataset_idx(&d, ctx, images, labels);
        assert_refused(ctx, status, DEQ_ERR_DATA, cases[k].text);
        assert_refused(ctx, status, DEQ_ERR_DATA, images);
        assert_null(d);
    }
    save_idx(images, 3, (int[]){ 3, 2, 2 });
    assert_refused(ctx, deq_dataset_idx(&d, ctx, images, images), DEQ_ERR_DATA,
                   "3 axes, expected labels [N]");
    assert_refused(ctx, deq_dataset_idx(&d, ctx, "/nonexistent", labels), DEQ_ERR_IO,
                   "/nonexistent: cannot be read");

    file_bytes b = { 0 };
    b.data = load_file(images, &b.size);
    b.capacity = b.size;
    b.size--;
    save(images, &b);
    assert_refused(ctx, deq_dataset_idx(&d, ctx, images, labels), DEQ_ERR_DATA,
                   "byte 16: 11 bytes follow the extents");
    bytes_free(&b);
    remove(images);
    remove(labels);
    deq_context_free(ctx);
}

/* Counts, label histogram, mean and deviation of the data set's description. */
static void check_mnist(const char *kind, const int64_t *histogram, double mean, double deviation)
{
    deq_context *ctx = data_context();
    char name[64], images[1024], labels[1024];
    int64_t found[10] = { 0 }, count = 0;
    double sum = 0, squares = 0;
    deq_dataset *d;

    snprintf(name, sizeof name, "mnist/%s-images-idx3-ubyte.gz", kind);
    shared_file(images, "DEQ_DATA", name);
    snprintf(name, sizeof name, "mnist/%s-labels-idx1-ubyte.gz", kind);
    shared_file(labels, "DEQ_DATA", name);
    assert_done(ctx, deq_dataset_idx(&d, ctx, images, labels));
    for (int i = 0; i < 10; i++) count += histogram[i];
    assert_int_equal(deq_dataset_count(d), count);
    assert_int_equal(deq_dataset_form(d).classes, 10);
    one_example e = example_new(d);
    assert_int_equal(e.n_input, 784);
    for (int64_t i = 0; i < count; i++) {
        example_read(&e, d, i);
        found[e.target[0]]++;
        for (int k = 0; k < 784; k++) {
            sum += (double)e.input[k];
            squares += (double)e.input[k] * (double)e.input[k];
        }
    }
    for (int i = 0; i < 10; i++) assert_int_equal(found[i], histogram[i]);
    if (mean > 0) {
        const double n = 784.0 * (double)count, m = sum / n, s = squares / n - m * m;
        assert_true(m > mean - 5e-5 && m < mean + 5e-5);
        assert_true(s > (deviation - 5e-5) * (deviation - 5e-5));
        assert_true(s < (deviation + 5e-5) * (deviation + 5e-5));
    }
    example_free(&e);
    deq_dataset_free(d);
    deq_context_free(ctx);
}

static void mnist_has_its_counts_and_moments(void **state)
{
    (void)state;
    check_mnist("train",
                (const int64_t[]){ 5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949 },
                0.1307, 0.3081);
    check_mnist("t10k", (const int64_t[]){ 980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009 },
                0, 0);
}

/* Bytes stay bytes: one a pixel, and what holds them. */
static void images_stay_bytes_in_memory(void **state)
{
    (void)state;
    test_memory m = { 0 };
    deq_context *ctx = test_memory_context(&m, 1);
    char images[256], labels[256];
    deq_dataset *d;

    save_idx(scratch_path(images, ".idx3"), 3, (int[]){ 200, 28, 28 });
    save_idx(scratch_path(labels, ".idx1"), 1, (int[]){ 200 });
    const size_t before = m.live_bytes;
    assert_done(ctx, deq_dataset_idx(&d, ctx, images, labels));
    assert_true(m.live_bytes - before < 200 * 785 + 1024);
    deq_dataset_free(d);
    deq_context_free(ctx);
    assert_memory_clean(&m);
    remove(images);
    remove(labels);
}

static deq_status open_pair(deq_dataset **out, deq_context *ctx, const void *user)
{
    const char *const *paths = user;
    return deq_dataset_idx(out, ctx, paths[0], paths[1]);
}

static void memory_may_end_anywhere(void **state)
{
    (void)state;
    char images[256], labels[256];
    const char *const paths[] = { scratch_path(images, ".idx3"), scratch_path(labels, ".idx1") };

    save_idx(paths[0], 3, (int[]){ 3, 2, 2 });
    save_idx(paths[1], 1, (int[]){ 3 });
    check_memory(open_pair, paths);
    remove(images);
    remove(labels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(images_become_planes_in_0_to_1),
        cmocka_unit_test(files_that_do_not_fit_are_refused),
        cmocka_unit_test(images_stay_bytes_in_memory),
        cmocka_unit_test(memory_may_end_anywhere),
        cmocka_unit_test(mnist_has_its_counts_and_moments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
