/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L

#include "data/data.h"
#include "data/fit.h"

#include <deq/io/image.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

/* A folder to fill, and what is to be removed, newest first. */
typedef struct tree {
    char root[256];
    char *made[32];
    int n;
} tree;

static const char *keep(tree *t, const char *name)
{
    const size_t bytes = strlen(t->root) + strlen(name) + 2;

    assert_true(t->n < 32);
    t->made[t->n] = malloc(bytes);
    assert_non_null(t->made[t->n]);
    snprintf(t->made[t->n], bytes, "%s%s%s", t->root, *name ? "/" : "", name);
    return t->made[t->n++];
}

static void make_folder(tree *t, const char *name)
{
    assert_int_equal(mkdir(keep(t, name), 0700), 0);
}

static tree tree_new(void)
{
    tree t = { .n = 0 };

    scratch_path(t.root, "");
    make_folder(&t, "");
    return t;
}

/* What is gone already is gone. */
static void tree_remove(tree *t)
{
    while (t->n > 0) {
        (void)remove(t->made[--t->n]);
        free(t->made[t->n]);
    }
    assert_int_not_equal(access(t->root, F_OK), 0);
}

static void make_text(tree *t, const char *name, const char *text)
{
    FILE *file = fopen(keep(t, name), "wb");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* All samples the same. */
static void make_image(tree *t, const char *name, deq_context *ctx, int64_t channels,
                       int64_t height, int64_t width, int value)
{
    deq_image *image;

    assert_done(ctx, deq_image_new(&image, ctx, DEQ_SAMPLE_U8, channels, height, width));
    memset(image->data, value, (size_t)(channels * height * width));
    assert_done(ctx, deq_image_write(image, keep(t, name)));
    deq_image_free(image);
}

/* Names sort as b, B, a would not: by their bytes. */
static void classes_and_files_are_in_the_order_of_their_names(void **state)
{
    (void)state;
    deq_context *ctx = data_context();
    tree t = tree_new();
    deq_dataset *d;

    make_folder(&t, "dog");
    make_folder(&t, "Cat");
    make_folder(&t, ".hidden");
    make_image(&t, "dog/10.png", ctx, 3, 2, 2, 30);
    make_image(&t, "dog/2.PPM", ctx, 3, 2, 2, 40);
    make_image(&t, "Cat/x.pgm", ctx, 1, 2, 2, 10);
    make_image(&t, "Cat/.y.png", ctx, 1, 2, 2, 99);
    make_image(&t, "above.png", ctx, 1, 2, 2, 99);
    make_text(&t, "dog/notes.txt", "no image");
    assert_done(ctx, deq_dataset_folder(&d, ctx, t.root, 3, 2, 2));
    assert_int_equal(deq_dataset_count(d), 3);
    assert_int_equal(deq_dataset_form(d).classes, 2);
    one_example e = example_new(d);
    static const int32_t labels[] = { 0, 1, 1 }, values[] = { 10, 30, 40 };
    for (int i = 0; i < 3; i++) {
        char name[16];
        example_read(&e, d, i);
        assert_int_equal(e.target[0], labels[i]);
        for (int k = 0; k < 12; k++) assert_true(e.input[k] == (float)values[i] / 255.0f);
        deq_dataset_class_name(d, labels[i], name, sizeof name);
        assert_string_equal(name, labels[i] ? "dog" : "Cat");
    }
    example_free(&e);
    deq_dataset_free(d);
    tree_remove(&t);
    deq_context_free(ctx);
}

static void folders_without_classes_or_images_are_refused(void **state)
{
    (void)state;
    deq_context *ctx = data_context();
    tree t = tree_new();
    deq_dataset *d;

    assert_refused(ctx, deq_dataset_folder(&d, ctx, t.root, 3, 2, 2), DEQ_ERR_DATA,
                   "no subfolder, expected one for each class");
    make_folder(&t, "a");
    make_folder(&t, "b");
    make_image(&t, "a/1.png", ctx, 1, 2, 2, 1);
    assert_refused(ctx, deq_dataset_folder(&d, ctx, t.root, 3, 2, 2), DEQ_ERR_DATA,
                   "/b: no image in this class");
    assert_refused(ctx, deq_dataset_folder(&d, ctx, t.root, 2, 2, 2), DEQ_ERR_ARGUMENT,
                   "images of [2, 2, 2], expected 1 or 3 channels");
    assert_refused(ctx, deq_dataset_folder(&d, ctx, t.root, 1, 0, 2), DEQ_ERR_ARGUMENT,
                   "images of [1, 0, 2]");
    assert_refused(ctx, deq_dataset_folder(&d, ctx, "/nonexistent", 1, 2, 2), DEQ_ERR_IO,
                   "/nonexistent: cannot be listed");
    assert_null(d);
    tree_remove(&t);
    deq_context_free(ctx);
}

/* Files are looked at when they are asked for: a bad one spoils itself only. */
static void unreadable_images_are_named(void **state)
{
    (void)state;
    deq_context *ctx = data_context();
    tree t = tree_new();
    deq_dataset *d;

    make_folder(&t, "a");
    make_image(&t, "a/1.png", ctx, 1, 2, 2, 1);
    make_text(&t, "a/2.png", "this is no image");
    make_image(&t, "a/3.png", ctx, 1, 2, 2, 1);
    make_text(&t, "a/4.pgm", "Pf\n1 1\n-1.0\n\1\2\3\4");
    make_text(&t, "a/5.ppm", "P6 4 4 255\nabc");
    assert_done(ctx, deq_dataset_folder(&d, ctx, t.root, 1, 2, 2));
    assert_int_equal(deq_dataset_count(d), 5);
    assert_unreadable(d, 1, DEQ_ERR_DATA, "/a/2.png: byte 0: expected a PNG");
    assert_unreadable(d, 3, DEQ_ERR_DATA, "/a/4.pgm: samples are floating-point numbers");
    assert_unreadable(d, 4, DEQ_ERR_DATA, "/a/5.ppm: byte ");
    assert_int_equal(remove(t.made[4]), 0);
    assert_unreadable(d, 2, DEQ_ERR_IO, "/a/3.png: cannot be read");
    one_example e = example_new(d);
    example_read(&e, d, 0);
    example_free(&e);
    deq_dataset_free(d);
    tree_remove(&t);
    deq_context_free(ctx);
}

static deq_status open_folder(deq_dataset **out, deq_context *ctx, const void *user)
{
    return deq_dataset_folder(out, ctx, user, 3, 2, 2);
}

static void memory_may_end_anywhere(void **state)
{
    (void)state;
    deq_context *ctx = data_context();
    tree t = tree_new();

    make_folder(&t, "a");
    make_folder(&t, "b");
    make_image(&t, "a/1.png", ctx, 1, 5, 4, 1);
    make_image(&t, "a/2.png", ctx, 1, 5, 4, 1);
    make_image(&t, "b/3.ppm", ctx, 3, 5, 4, 1);
    check_memory(open_folder, t.root);
    tree_remove(&t);
    deq_context_free(ctx);
}

/* Scaling a slope gives a slope, exactly in the middle; edges are flatter. */
static void slopes_stay_slopes(void **state)
{
    (void)state;
    static const int64_t sizes[][4] = {
        /* from height and width, to height and width */
        { 8, 8, 16, 16 }, { 64, 64, 16, 16 }, { 60, 40, 20, 20 }, { 40, 60, 20, 20 },
        { 33, 47, 7, 5 }, { 5, 9, 16, 4 },    { 64, 64, 63, 63 },
    };
    deq_context *ctx = data_context();

    for (size_t k = 0; k < COUNT_OF(sizes); k++) {
        const int64_t h = sizes[k][0], w = sizes[k][1], oh = sizes[k][2], ow = sizes[k][3];
        const double r = fmin((double)h / (double)oh, (double)w / (double)ow), reach = fmax(r, 1.0);
        float *in = malloc((size_t)(h * w) * sizeof *in), *out = malloc((size_t)(oh * ow) * 4);
        for (int64_t i = 0; i < h * w; i++) {
            const int64_t row = i / w;
            in[i] = (float)(3 * row + i % w);
        }
        assert_done(ctx, deq_fit_image(out, ctx, in, 1, h, w, oh, ow));
        for (int64_t i = 0; i < oh * ow; i++) {
            const int64_t row = i / ow, column = i % ow;
            const double y = ((double)h - (double)oh * r) / 2 + ((double)row + 0.5) * r;
            const double x = ((double)w - (double)ow * r) / 2 + ((double)column + 0.5) * r;
            if (y < reach || y > (double)h - reach || x < reach || x > (double)w - reach) continue;
            /* A triangle sampled at whole numbers has its mean at its middle only if its width is
             * whole: otherwise off by less than 1/8 of a pixel. */
            const double slack = r <= 1 || r == floor(r) ? 1e-4 : 0.5;
            assert_true(fabs((double)out[i] - (3 * (y - 0.5) + x - 0.5)) < slack);
        }
        free(in);
        free(out);
    }
    deq_context_free(ctx);
}

/* Halving: weights 1 3 3 1 over 8 by the equation; growing to twice: 1/4 and 3/4. */
static void weights_are_those_of_the_triangle(void **state)
{
    (void)state;
    deq_context *ctx = data_context();
    float in[8] = { 0, 0, 0, 8, 0, 0, 0, 0 }, wide[8 * 8], out[16], grown[4 * 4];

    for (int i = 0; i < 64; i++) wide[i] = in[i % 8];
    assert_done(ctx, deq_fit_image(out, ctx, wide, 1, 8, 8, 4, 4));
    static const float halves[4] = { 0, 3, 1, 0 };
    for (int i = 0; i < 16; i++) assert_true(fabsf(out[i] - halves[i % 4]) < 1e-6f);
    static const float two[4] = { 0, 4, 0, 4 }, doubled[4] = { 0, 1, 3, 4 };
    assert_done(ctx, deq_fit_image(grown, ctx, two, 1, 2, 2, 4, 4));
    for (int i = 0; i < 16; i++) assert_true(fabsf(grown[i] - doubled[i % 4]) < 1e-6f);
    deq_context_free(ctx);
}

/* The right size: the same bits.  The middle is kept. */
static void images_are_cut_in_the_middle(void **state)
{
    (void)state;
    deq_context *ctx = data_context();
    float in[2 * 3 * 5], out[2 * 3 * 5];

    for (int i = 0; i < 30; i++) in[i] = 0.1f * (float)i;
    assert_done(ctx, deq_fit_image(out, ctx, in, 2, 3, 5, 3, 5));
    assert_memory_equal(in, out, sizeof in);
    assert_done(ctx, deq_fit_image(out, ctx, in, 2, 3, 5, 3, 3));
    for (int i = 0; i < 18; i++) assert_true(out[i] == in[i / 3 * 5 + i % 3 + 1]);
    deq_context_free(ctx);
}

static void photographs_are_read(void **state)
{
    (void)state;
    deq_context *ctx = data_context();
    char from[1024];
    tree t = tree_new();
    deq_dataset *d;

    if (!getenv("DEQ_DATA")) tree_remove(&t);
    shared_file(from, "DEQ_DATA", "imagenet-sample/n01440764_tench.JPEG");
    make_folder(&t, "tench");
    assert_int_equal(symlink(from, keep(&t, "tench/1.JPEG")), 0);
    assert_done(ctx, deq_dataset_folder(&d, ctx, t.root, 3, 64, 64));
    one_example e = example_new(d);
    double sum = 0;
    example_read(&e, d, 0);
    for (int64_t i = 0; i < e.n_input; i++) {
        assert_true(e.input[i] >= 0 && e.input[i] <= 1);
        sum += (double)e.input[i];
    }
    assert_true(sum / (double)e.n_input > 0.1 && sum / (double)e.n_input < 0.9);
    example_free(&e);
    deq_dataset_free(d);
    tree_remove(&t);
    deq_context_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_and_files_are_in_the_order_of_their_names),
        cmocka_unit_test(folders_without_classes_or_images_are_refused),
        cmocka_unit_test(unreadable_images_are_named),
        cmocka_unit_test(memory_may_end_anywhere),
        cmocka_unit_test(slopes_stay_slopes),
        cmocka_unit_test(weights_are_those_of_the_triangle),
        cmocka_unit_test(images_are_cut_in_the_middle),
        cmocka_unit_test(photographs_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
