/* SPDX-License-Identifier: MIT */
#include "data/augment.h"

#include "data/data.h"

#include <math.h>

enum { C = 2, H = 4, W = 5, P = 2, PLANE = H * W, SHIFTS = 2 * P + 1, N = 4000 };

static const deq_example_form image_form = { { 3, { C, H, W } }, { 0 }, 10 };
static const deq_example_form map_form = { { 3, { C, H, W } }, { 2, { H, W } }, 10 };

/* Pixels that are all different, and not 0; the target is the pixel's number. */
static void fill(float *input, int32_t *target)
{
    for (int i = 0; i < C * PLANE; i++) input[i] = (float)(i + 1);
    for (int i = 0; i < PLANE; i++) target[i] = i;
}

/* The image padded, cropped at (u, v) and mirrored, by plain loops. */
static void expect(float *input, int32_t *target, const float *from, int u, int v, int mirrored)
{
    float padded[H + 2 * P][W + 2 * P], cropped[H][W];

    for (int c = 0; c < C; c++) {
        memset(padded, 0, sizeof padded);
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++) padded[y + P][x + P] = from[(c * H + y) * W + x];
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++) cropped[y][x] = padded[y + u][x + v];
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++) {
                const float pixel = cropped[y][mirrored ? W - 1 - x : x];
                input[(c * H + y) * W + x] = pixel;
                if (c == 0) target[y * W + x] = pixel > 0 ? (int32_t)pixel - 1 : DEQ_TARGET_IGNORE;
            }
    }
}

static bool same(const float *a, const float *b)
{
    for (int i = 0; i < C * PLANE; i++)
        if (a[i] != b[i]) return false;
    return true;
}

/* Every crop and mirror image comes up, equally often, and nothing else. */
static void crops_and_mirrors_are_those_of_plain_loops(void **state)
{
    (void)state;
    const deq_augment a = { .crop_pad = P, .flip = true };
    static float from[C * PLANE], wanted[SHIFTS * SHIFTS * 2][C * PLANE], input[C * PLANE];
    static int32_t from_target[PLANE], wanted_target[SHIFTS * SHIFTS * 2][PLANE], target[PLANE];
    int64_t counts[SHIFTS * SHIFTS * 2] = { 0 };

    fill(from, from_target);
    for (int k = 0; k < SHIFTS * SHIFTS * 2; k++)
        expect(wanted[k], wanted_target[k], from, k / 2 / SHIFTS, k / 2 % SHIFTS, k % 2);
    for (int64_t i = 0; i < N; i++) {
        deq_draws draws = deq_draws_of(9, 0, DEQ_DRAWS_AUGMENT, i);
        int k = 0;
        deq_augment_move(input, target, &a, &map_form, from, from_target, &draws);
        while (k < SHIFTS * SHIFTS * 2 && !same(input, wanted[k])) k++;
        assert_true(k < SHIFTS * SHIFTS * 2);
        assert_memory_equal(target, wanted_target[k], sizeof target);
        counts[k]++;
    }
    assert_uniform(counts, SHIFTS * SHIFTS * 2, "crops");
}

static void one_of_the_two_alone_leaves_the_other_out(void **state)
{
    (void)state;
    float from[C * PLANE], input[C * PLANE], wanted[C * PLANE];
    int32_t from_target[PLANE], target[PLANE], unused[PLANE];
    int mirrored = 0;

    fill(from, from_target);
    for (int64_t i = 0; i < 100; i++) {
        deq_draws draws = deq_draws_of(9, 1, DEQ_DRAWS_AUGMENT, i);
        deq_augment_move(input, target, &(deq_augment){ .flip = true }, &image_form, from,
                         from_target, &draws);
        const int is = input[0] != from[0];
        expect(wanted, unused, from, P, P, is);
        assert_memory_equal(input, wanted, sizeof input);
        assert_int_equal(target[0], from_target[0]);
        mirrored += is;
    }
    assert_in_range(mirrored, 25, 75); /* five deviations */
    assert_false(deq_augment_moves(&(deq_augment){ .cutout = 3 }));
}

/* Each square around a pixel, cut at the edges, equally often. */
static void squares_are_cut_out_around_any_pixel(void **state)
{
    (void)state;
    for (int side = 1; side <= 4; side++) {
        const deq_augment a = { .cutout = side };
        int64_t counts[PLANE] = { 0 };
        int32_t unused[PLANE];
        for (int64_t i = 0; i < 2000; i++) {
            deq_draws draws = deq_draws_of(9, (uint64_t)side, DEQ_DRAWS_AUGMENT, i);
            float input[C * PLANE];
            fill(input, unused);
            deq_augment_change(input, &a, &image_form, &draws);
            int centre = 0;
            for (; centre < PLANE; centre++) {
                bool equal = true;
                for (int k = 0; k < C * PLANE && equal; k++) {
                    const int dy = k % PLANE / W - (centre / W - side / 2);
                    const int dx = k % W - (centre % W - side / 2);
                    const bool inside = dy >= 0 && dy < side && dx >= 0 && dx < side;
                    equal = input[k] == (inside ? 0.0f : (float)(k + 1));
                }
                if (equal) break;
            }
            assert_true(centre < PLANE);
            counts[centre]++;
        }
        assert_uniform(counts, PLANE, "squares");
    }
}

static void normalisation_comes_last(void **state)
{
    (void)state;
    const deq_augment a = {
        .cutout = 9, .n_channels = 2, .mean = { 1, -2 }, .deviation = { 2, 0.5 }
    };
    float input[C * PLANE];
    int32_t unused[PLANE];
    deq_draws draws = deq_draws_of(1, 1, DEQ_DRAWS_AUGMENT, 1);

    fill(input, unused);
    deq_augment_change(input, &a, &image_form, &draws); /* all is cut out: 9 covers 4 x 5 */
    for (int i = 0; i < PLANE; i++) assert_true(input[i] == -0.5f && input[PLANE + i] == 4.0f);

    const deq_example_form row = { { 1, { 3 } }, { 0 }, 2 };
    const deq_augment one = { .n_channels = 1, .mean = { 0.1307 }, .deviation = { 0.3081 } };
    float x[3] = { 0, 0.5f, 1 };
    deq_augment_change(x, &one, &row, &draws);
    for (int i = 0; i < 3; i++)
        assert_true(fabs((double)x[i] - (0.5 * i - 0.1307) / 0.3081) < 1e-6);
}

static void settings_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    static const struct {
        deq_augment a;
        deq_example_form form;
        const char *text;
    } cases[] = {
        { { .crop_pad = -1 }, { { 3, { 1, 4, 4 } }, { 0 }, 2 }, "padding of -1" },
        { { .cutout = -1 }, { { 3, { 1, 4, 4 } }, { 0 }, 2 }, "cut-out square of -1" },
        { { .flip = true }, { { 2, { 1, 4 } }, { 0 }, 2 }, "only images [C, H, W]" },
        { { .cutout = 2 }, { { 1, { 4 } }, { 0 }, 2 }, "only images [C, H, W]" },
        { { .crop_pad = 2 },
          { { 3, { 1, 4, 4 } }, { 1, { 4 } }, 2 },
          "one a pixel; it has 1 axes" },
        { { .flip = true }, { { 3, { 1, 4, 4 } }, { 2, { 4, 3 } }, 2 }, "one a pixel" },
        { { .n_channels = 3, .deviation = { 1, 1, 1 } },
          { { 3, { 1, 4, 4 } }, { 0 }, 2 },
          "normalisation of 3 channels, but examples have 1" },
        { { .n_channels = -1 }, { { 3, { 1, 4, 4 } }, { 0 }, 2 }, "of -1 channels" },
        { { .n_channels = 5 }, { { 3, { 5, 4, 4 } }, { 0 }, 2 }, "of 5 channels" },
        { { .n_channels = 1 }, { { 1, { 4 } }, { 0 }, 2 }, "deviation 0" },
        { { .n_channels = 1, .mean = { INFINITY }, .deviation = { 1 } },
          { { 3, { 1, 4, 4 } }, { 0 }, 2 },
          "mean inf" },
    };
    deq_context *ctx = data_context();

    for (size_t k = 0; k < COUNT_OF(cases); k++)
        assert_refused(ctx, deq_augment_check(ctx, &cases[k].a, &cases[k].form), DEQ_ERR_ARGUMENT,
                       cases[k].text);
    assert_done(ctx, deq_augment_check(ctx, &(deq_augment){ 0 }, &cases[3].form));
    deq_context_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crops_and_mirrors_are_those_of_plain_loops),
        cmocka_unit_test(one_of_the_two_alone_leaves_the_other_out),
        cmocka_unit_test(squares_are_cut_out_around_any_pixel),
        cmocka_unit_test(normalisation_comes_last),
        cmocka_unit_test(settings_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
