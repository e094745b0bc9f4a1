/* SPDX-License-Identifier: MIT */
/* Resizing, and bilinear sampling at points. */
#include "support/op_check.h"

#include <deq/op/resample.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- resize ------------------------------------------------------------------------------------ */

enum { NEAREST, HALF_PIXEL, ALIGN_CORNERS, N_MODES };

typedef struct size {
    int64_t height, width;
    int mode;
} size;

static deq_value resize(deq_graph *g, const deq_value *in, int n, const void *user)
{
    const size *s = user;
    (void)n;
    if (s->mode == NEAREST) return deq_resize_nearest(g, in[0], s->height, s->width);
    return deq_resize_bilinear(g, in[0], s->height, s->width, s->mode == ALIGN_CORNERS);
}

/* clang-format off */
static const struct resize_case {
    const char *name;
    int64_t b, c, h, w, new_h, new_w;
} resizes[] = {
    { "one pixel",             1, 1, 1, 1, 1, 1 },
    { "from one pixel",        1, 2, 1, 1, 3, 4 },
    { "to one pixel",          1, 2, 3, 4, 1, 1 },
    { "same size",             2, 1, 3, 4, 3, 4 },
    { "twice",                 2, 3, 2, 3, 4, 6 },
    { "eight times",           1, 1, 2, 1, 16, 8 },
    { "half",                  1, 2, 4, 6, 2, 3 },
    { "odd up",                1, 2, 3, 5, 7, 11 },
    { "odd down",              2, 1, 7, 11, 3, 5 },
    { "up and down",           1, 1, 2, 9, 5, 4 },
};
/* clang-format on */
enum { N_RESIZES = sizeof resizes / sizeof *resizes };

static op_case resize_case_of(int k, int mode, size *s, char name[64])
{
    static const char *const modes[] = { "nearest", "half pixel", "align corners" };
    const struct resize_case *r = &resizes[k];
    *s = (size){ r->new_h, r->new_w, mode };
    snprintf(name, 64, "%s, %s", r->name, modes[mode]);
    return (op_case){ .name = name,
                      .n_in = 1,
                      .in = { { DEQ_F64, { 4, { r->b, r->c, r->h, r->w } } } },
                      .build = resize,
                      .user = s };
}

/* Entry (i, k) of the matrix that resizes n pixels to m. */
static double entry(int mode, int64_t n, int64_t m, int64_t i, int64_t k)
{
    if (mode == NEAREST) return floor((double)(i * n) / (double)m) == (double)k;
    double s = ((double)i + 0.5) * (double)n / (double)m - 0.5;
    if (mode == ALIGN_CORNERS) s = m > 1 ? (double)(i * (n - 1)) / (double)(m - 1) : 0;
    s = fmin(fmax(s, 0), (double)(n - 1));
    return fmax(0, 1 - fabs(s - (double)k));
}

static void resize_is_a_product_with_two_matrices(void **state)
{
    (void)state;
    for (int k = 0; k < N_RESIZES; k++)
        for (int mode = 0; mode < N_MODES; mode++) {
            char name[64];
            size s;
            op_case c = resize_case_of(k, mode, &s, name);
            const struct resize_case *r = &resizes[k];
            double x[256], y[256], expected[256];
            random_data(&c, 0, x);
            memset(expected, 0, sizeof expected);
            for (int64_t p = 0; p < r->b * r->c; p++)
                for (int64_t i = 0; i < r->new_h; i++)
                    for (int64_t j = 0; j < r->new_w; j++)
                        for (int64_t u = 0; u < r->h; u++)
                            for (int64_t v = 0; v < r->w; v++)
                                expected[(p * r->new_h + i) * r->new_w + j] +=
                                    entry(mode, r->h, r->new_h, i, u) *
                                    entry(mode, r->w, r->new_w, j, v) *
                                    x[(p * r->h + u) * r->w + v];
            forward_op(&c, NULL, y);
            check_close(name, y, expected, r->b * r->c * r->new_h * r->new_w, 1e-13);
        }
}

static void resize_derivatives_match_differences(void **state)
{
    (void)state;
    for (int k = 0; k < N_RESIZES; k++)
        for (int mode = 0; mode < N_MODES; mode++) {
            char name[64];
            size s;
            op_case c = resize_case_of(k, mode, &s, name);
            check_op(&c);
        }
}

/* The example of PyTorch's documentation of Upsample: 1 2 / 3 4 to 4 x 4. */
static void resize_agrees_with_published_numbers(void **state)
{
    (void)state;
    const double x[4] = { 1, 2, 3, 4 }, third = 1.0 / 3;
    const double expected[N_MODES][16] = {
        { 1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4 },
        { 1, 1.25, 1.75, 2, 1.5, 1.75, 2.25, 2.5, 2.5, 2.75, 3.25, 3.5, 3, 3.25, 3.75, 4 },
        { 1, 1 + third, 2 - third, 2, 2 - third, 2, 2 + third, 3 - third, 2 + third, 3 - third, 3,
          3 + third, 3, 3 + third, 4 - third, 4 }
    };
    for (int mode = 0; mode < N_MODES; mode++) {
        size s = { 4, 4, mode };
        const op_case c = {
            "published", 1, { { DEQ_F64, { 4, { 1, 1, 2, 2 } } } }, .build = resize, .user = &s
        };
        double y[16];
        forward_op(&c, (const double *[]){ x }, y);
        check_close(c.name, y, expected[mode], 16, 1e-14);
    }
}

static void resize_refuses_mistakes(void **state)
{
    (void)state;
    const size none = { 0, 3, NEAREST }, huge = { INT64_MAX / 2, 8, ALIGN_CORNERS };
    const size fine = { 2, 2, HALF_PIXEL };
    op_case c = { "size", 1, { { DEQ_F64, { 4, { 1, 1, 2, 2 } } } }, .build = resize };
    c.user = &none;
    check_refused(&c, DEQ_ERR_ARGUMENT, "new size is 0 x 3");
    c.user = &huge;
    check_refused(&c, DEQ_ERR_OVERFLOW, "more bytes than memory can address");
    c.user = &fine;
    c.in[0].shape = DEQ_SHAPE(2, 2, 2);
    check_refused(&c, DEQ_ERR_SHAPE, "input 0 has rank 3, expected 4");
    c.in[0] = (deq_type){ DEQ_I32, DEQ_SHAPE(1, 1, 2, 2) };
    check_refused(&c, DEQ_ERR_DTYPE, "input 0 is i32");
}

/* --- sample ------------------------------------------------------------------------------------ */

static deq_value sample(deq_graph *g, const deq_value *in, int n, const void *user)
{
    (void)n;
    (void)user;
    return deq_sample_bilinear(g, in[0], in[1]);
}

/* clang-format off */
static const struct sample_case {
    const char *name;
    int64_t b, c, h, w, points_h, points_w;
} samples[] = {
    { "one pixel, one point",   1, 1, 1, 1, 1, 1 },
    { "one pixel, many points", 1, 2, 1, 1, 3, 5 },
    { "one row",                1, 2, 1, 5, 2, 3 },
    { "one column",             2, 1, 4, 1, 2, 3 },
    { "odd sizes",              2, 3, 3, 5, 3, 3 },
    { "window of correlations", 5, 1, 4, 6, 3, 3 },
};
/* clang-format on */
enum { N_SAMPLES = sizeof samples / sizeof *samples };

static op_case sample_case_of(const struct sample_case *s)
{
    return (op_case){ .name = s->name,
                      .n_in = 2,
                      .in = { { DEQ_F64, { 4, { s->b, s->c, s->h, s->w } } },
                              { DEQ_F64, { 4, { s->b, 2, s->points_h, s->points_w } } } },
                      .build = sample };
}

/* Points inside, at the rim and outside of the image, a quarter away from integers at least: there
 * the hats have kinks. */
static void fill_coords(double *coords, const struct sample_case *s)
{
    int64_t points = s->points_h * s->points_w;
    unsigned random = 12345;
    for (int64_t i = 0; i < 2 * s->b * points; i++) {
        int64_t extent = i / points % 2 ? s->h : s->w;
        random = random * 1664525u + 1013904223u;
        int64_t whole = (int64_t)(random >> 16) % (extent + 3) - 2;
        random = random * 1664525u + 1013904223u;
        coords[i] = (double)whole + 0.25 + 0.5 * (double)(random >> 20) / 4096;
    }
}

static double hat(double t)
{
    return fmax(0, 1 - fabs(t));
}

static void sample_by_definition(double *y, const struct sample_case *s, const double *x,
                                 const double *coords)
{
    int64_t points = s->points_h * s->points_w;
    for (int64_t k = 0; k < s->b * s->c; k++)
        for (int64_t p = 0; p < points; p++) {
            const double *uv = coords + k / s->c * 2 * points + p;
            double sum = 0;
            for (int64_t i = 0; i < s->h; i++)
                for (int64_t j = 0; j < s->w; j++)
                    sum += hat(uv[0] - (double)j) * hat(uv[points] - (double)i) *
                           x[(k * s->h + i) * s->w + j];
            y[k * points + p] = sum;
        }
}

static void sampling_sums_hats(void **state)
{
    (void)state;
    for (int k = 0; k < N_SAMPLES; k++) {
        double x[128], coords[128], y[128], expected[128];
        op_case c = sample_case_of(&samples[k]);
        random_data(&c, 0, x);
        fill_coords(coords, &samples[k]);
        sample_by_definition(expected, &samples[k], x, coords);
        forward_op(&c, (const double *[]){ x, coords }, y);
        int64_t n = samples[k].b * samples[k].c * samples[k].points_h * samples[k].points_w;
        check_close(c.name, y, expected, n, 1e-14);
    }
}

static void integer_points_hit_pixels_and_outside_is_zero(void **state)
{
    (void)state;
    const double x[6] = { 1, 2, 3, 4, 5, 6 }; /* 2 x 3 */
    const double coords[2][9] = { { 0, 2, 1, -1, 3, 0, 1e30, -INFINITY, 2.5 },
                                  { 0, 1, 0.5, 0, 0, 2, 0, 0, 1 } };
    const double expected[9] = { 1, 6, 3.5, 0, 0, 0, 0, 0, 3 };
    const op_case c = { "known",
                        2,
                        { { DEQ_F64, { 4, { 1, 1, 2, 3 } } }, { DEQ_F64, { 4, { 1, 2, 1, 9 } } } },
                        .build = sample };
    double y[9];
    forward_op(&c, (const double *[]){ x, coords[0] }, y);
    check_close(c.name, y, expected, 9, 1e-15);
}

/* A point without coordinates must not look like a good one. */
static void a_coordinate_that_is_nan_gives_nan(void **state)
{
    (void)state;
    const double x[2] = { 1, 2 }, coords[2][3] = { { 0, NAN, 1 }, { 0, 0, NAN } };
    const op_case c = { "nan",
                        2,
                        { { DEQ_F64, { 4, { 1, 1, 1, 2 } } }, { DEQ_F64, { 4, { 1, 2, 1, 3 } } } },
                        .build = sample };
    double y[3];
    forward_op(&c, (const double *[]){ x, coords[0] }, y);
    assert_true(y[0] == 1);
    assert_true(isnan(y[1]) && isnan(y[2]));
}

static void sample_derivatives_match_differences(void **state)
{
    (void)state;
    for (int k = 0; k < N_SAMPLES; k++) {
        double coords[128];
        op_case c = sample_case_of(&samples[k]);
        fill_coords(coords, &samples[k]);
        c.data[1] = coords;
        check_op(&c);
    }
}

/* Third derivatives, once: the curvature along both axes of one pixel's surface is known,
 * d^2 y / du dv = x00 - x01 - x10 + x11, and its derivative in x is that pattern. */
static void mixed_curvature_is_the_cross_difference(void **state)
{
    (void)state;
    const double x[4] = { 1, 4, 2, 9 }, coords[2] = { 0.3, 0.6 }, pattern[4] = { 1, -1, -1, 1 };
    deq_context *ctx = test_context();
    deq_graph *g = NULL;
    deq_program *p = NULL;
    assert_int_equal(deq_graph_new(&g, ctx), DEQ_OK);
    deq_value vx = deq_input(g, "x", DEQ_STAGE_STATE, DEQ_F64, DEQ_SHAPE(1, 1, 2, 2));
    deq_value vc = deq_input(g, "c", DEQ_STAGE_STATE, DEQ_F64, DEQ_SHAPE(1, 2, 1, 1));
    deq_value along_u = deq_constant(g, DEQ_F64, DEQ_SHAPE(1, 2, 1, 1), (double[]){ 1, 0 });
    deq_value along_v = deq_constant(g, DEQ_F64, DEQ_SHAPE(1, 2, 1, 1), (double[]){ 0, 1 });
    deq_value y = deq_sample_bilinear(g, vx, vc), out[3],
              one = deq_fill(g, DEQ_F64, DEQ_SHAPE(1, 1, 1, 1), 1);
    assert_int_equal(deq_jvp(g, &out[0], &y, 1, &vc, &along_u, 1), DEQ_OK);
    assert_int_equal(deq_jvp(g, &out[1], &out[0], 1, &vc, &along_v, 1), DEQ_OK);
    assert_int_equal(deq_vjp(g, &out[2], &out[1], &one, 1, &vx, 1), DEQ_OK);
    assert_int_equal(deq_compile(&p, g, out, 3, NULL), DEQ_OK);
    assert_int_equal(deq_program_write(p, vx, x, sizeof x), DEQ_OK);
    assert_int_equal(deq_program_write(p, vc, coords, sizeof coords), DEQ_OK);
    assert_int_equal(deq_program_run(p, DEQ_STAGE_PARAMETER), DEQ_OK);
    double cross, grad[4];
    assert_int_equal(deq_program_read(p, out[1], &cross, sizeof cross), DEQ_OK);
    assert_int_equal(deq_program_read(p, out[2], grad, sizeof grad), DEQ_OK);
    assert_true(fabs(cross - (1 - 4 - 2 + 9)) < 1e-14);
    check_close("pattern", grad, pattern, 4, 0);
    deq_program_free(p);
    deq_graph_free(g);
    deq_context_free(ctx);
}

static void sample_refuses_mistakes(void **state)
{
    (void)state;
    op_case c = sample_case_of(&samples[4]);
    c.in[1].shape.dim[1] = 3;
    check_refused(&c, DEQ_ERR_SHAPE, "coords has 3 channels, expected 2");
    c = sample_case_of(&samples[4]);
    c.in[1].shape.dim[0] = 1;
    check_refused(&c, DEQ_ERR_SHAPE, "x has batch extent 2, coords 1");
    c = sample_case_of(&samples[4]);
    c.in[1].dtype = DEQ_F32;
    check_refused(&c, DEQ_ERR_DTYPE, "different dtypes");
    c = sample_case_of(&samples[4]);
    c.in[0].shape = DEQ_SHAPE(2, 3, 3);
    check_refused(&c, DEQ_ERR_SHAPE, "input 0 has rank 3, expected 4");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resize_is_a_product_with_two_matrices),
        cmocka_unit_test(resize_derivatives_match_differences),
        cmocka_unit_test(resize_agrees_with_published_numbers),
        cmocka_unit_test(resize_refuses_mistakes),
        cmocka_unit_test(sampling_sums_hats),
        cmocka_unit_test(integer_points_hit_pixels_and_outside_is_zero),
        cmocka_unit_test(a_coordinate_that_is_nan_gives_nan),
        cmocka_unit_test(sample_derivatives_match_differences),
        cmocka_unit_test(mixed_curvature_is_the_cross_difference),
        cmocka_unit_test(sample_refuses_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
