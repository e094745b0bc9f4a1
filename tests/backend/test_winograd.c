/* SPDX-License-Identifier: MIT */
/* Winograd's convolution against sums in double, within the bound that winograd.c states. */
#include "support/test.h"

#include "backend/isa.h"
#include "support/memory.h"

static const char kernel[] = "winograd F(4x4, 3x3)";

static const struct winograd_case {
    const char *name;
    int64_t b, c, k, h, w, top, left;
} cases[] = {
    { "whole tiles", 2, 16, 16, 8, 8, 1, 1 },
    { "tiles cut off", 1, 32, 32, 7, 9, 1, 1 },
    { "no padding", 2, 32, 16, 10, 14, 0, 0 },
    { "paddings differ", 1, 16, 32, 9, 8, 2, 0 },
    { "24 channels", 2, 24, 24, 12, 12, 1, 1 },
    { "odd channels", 1, 19, 37, 8, 12, 1, 1 },
    { "panels and a rest", 1, 17, 113, 8, 8, 1, 1 },
    { "128 channels", 1, 128, 128, 8, 8, 1, 1 },
    { "large enough for threads", 6, 64, 64, 32, 32, 1, 1 },
};

#define OPTIONS(k) DEQ_CONV2D(.padding = { (k)->top, (k)->left })

/* --- accuracy --------------------------------------------------------------------------------- */

typedef struct volume {
    int64_t channels, h, w;
    const float *data;
} volume;

/* Outside of the plane is zero. */
static double pixel(const volume *v, int64_t b, int64_t c, int64_t h, int64_t w)
{
    if (h < 0 || h >= v->h || w < 0 || w >= v->w) return 0;
    return (double)v->data[((b * v->channels + c) * v->h + h) * v->w + w];
}

/* One output pixel and its sum of absolute values. */
static double convolve(const volume *x, const float *w, int64_t b, int64_t k, int64_t h, int64_t v,
                       double *magnitude)
{
    double y = 0;
    *magnitude = 0;
    for (int64_t c = 0; c < x->channels; c++)
        for (int64_t t = 0; t < 9; t++) {
            double term = pixel(x, b, c, h + t / 3, v + t % 3) *
                          (double)w[(k * x->channels + c) * 9 + t];
            y += term;
            *magnitude += fabs(term);
        }
    return y;
}

/* |y - sum| <= 1e-6 times the largest sum of |x||w| in the tile of 4 x 4. */
static void check_tile(const char *name, const volume *x, const float *w, const volume *y,
                       int64_t b, int64_t k, int64_t row, int64_t column, int64_t top, int64_t left)
{
    double error = 0, largest = 0;
    for (int64_t i = row; i < row + 4 && i < y->h; i++)
        for (int64_t j = column; j < column + 4 && j < y->w; j++) {
            double magnitude, expected = convolve(x, w, b, k, i - top, j - left, &magnitude);
            error = fmax(error, fabs(pixel(y, b, k, i, j) - expected));
            largest = fmax(largest, magnitude);
        }
    if (!(error <= 1e-6 * largest))
        fail_msg("%s: tile at (%d, %d) of channel %d: error %g, sums up to %g", name, (int)row,
                 (int)column, (int)k, error, largest);
}

static void check_accuracy(const char *name, const struct winograd_case *k, const compared *c,
                           const float *result)
{
    float *x_data = compared_data(c, 0), *w = compared_data(c, 1);
    volume x = { k->c, k->h, k->w, x_data };
    volume y = { k->k, k->h + 2 * k->top - 2, k->w + 2 * k->left - 2, result };
    int64_t step = k->b * k->k > 128 ? 7 : 1; /* not every channel of large cases */
    for (int64_t n = 0; n < k->b * k->k; n += step)
        for (int64_t row = 0; row < y.h; row += 4)
            for (int64_t column = 0; column < y.w; column += 4)
                check_tile(name, &x, w, &y, n / k->k, n % k->k, row, column, k->top, k->left);
    free(x_data), free(w);
}

/* --- programs --------------------------------------------------------------------------------- */

static deq_program *compile_winograd(const compared *c, int threads)
{
    deq_value native[2 * COMPARE_MOST];
    deq_compile_options o = deq_compile_defaults();
    o.threads = threads;
    o.winograd = true;
    o.native = native;
    o.n_native = compared_native(c, native);
    return compared_compile(c, &o);
}

static compared convolution(const struct winograd_case *k, deq_isa isa)
{
    compared c = { .t = test_graph_for(isa), .n_out = 1 };
    deq_value x = compared_input(&c, DEQ_STAGE_STATE, DEQ_SHAPE(k->b, k->c, k->h, k->w));
    deq_value w = compared_input(&c, DEQ_STAGE_PARAMETER, DEQ_SHAPE(k->k, k->c, 3, 3));
    c.out[0] = deq_conv2d(c.t.g, x, w, DEQ_NONE, OPTIONS(k));
    return c;
}

static void the_error_stays_within_the_stated_bound(void **state)
{
    (void)state;
    FOR_EACH_ISA(isa)
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char name[80];
        size_t n;
        compared c = convolution(&cases[i], isa);
        deq_program *p = compile_winograd(&c, 2);
        with_isa(name, sizeof name, cases[i].name, isa);
        if (!uses_kernel(p, kernel)) fail_msg("%s: another kernel", name);
        float *y = compared_run(&c, p, &n);
        check_accuracy(name, &cases[i], &c, y);
        free(y);
        deq_program_free(p);
        test_graph_free(&c.t);
    }
}

static void any_number_of_threads_gives_the_same_bits(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        size_t n;
        compared c = convolution(&cases[i], deq_isa_detect());
        deq_program *one = compile_winograd(&c, 1), *three = compile_winograd(&c, 3);
        float *a = compared_run(&c, one, &n), *b = compared_run(&c, three, &n);
        if (memcmp(a, b, n * sizeof *a) != 0) fail_msg("%s: other bits", cases[i].name);
        free(a), free(b);
        deq_program_free(one);
        deq_program_free(three);
        test_graph_free(&c.t);
    }
}

/* y with a bias, relu and a residual; its two gradients. */
static void derivatives_and_what_follows_match_the_reference(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct winograd_case *k = &cases[i];
        size_t n;
        compared c = { .t = test_graph_new(), .n_out = 3 };
        deq_graph *g = c.t.g;
        deq_value x = compared_input(&c, DEQ_STAGE_STATE, DEQ_SHAPE(k->b, k->c, k->h, k->w));
        deq_value w = compared_input(&c, DEQ_STAGE_PARAMETER, DEQ_SHAPE(k->k, k->c, 3, 3));
        deq_value bias = compared_input(&c, DEQ_STAGE_PARAMETER, DEQ_SHAPE(k->k));
        deq_value y = deq_conv2d(g, x, w, bias, OPTIONS(k));
        deq_value dy = compared_input(&c, DEQ_STAGE_STATE, deq_value_type(g, y).shape);
        c.out[0] = deq_add(g, dy, deq_relu(g, y));
        deq_vjp(g, &c.out[1], &y, &dy, 1, (deq_value[]){ x, w }, 2);
        deq_compile_options plain = plain_options();
        deq_program *reference = compared_compile(&c, &plain), *p = compile_winograd(&c, 2);
        float *expected = compared_run(&c, reference, &n), *result = compared_run(&c, p, &n);
        assert_true(uses_kernel(p, kernel));
        compared_check(k->name, "winograd", result, expected, n, 1e-5);
        free(expected), free(result);
        deq_program_free(reference);
        deq_program_free(p);
        test_graph_free(&c.t);
    }
}

static void weights_are_transformed_once_for_each_change(void **state)
{
    compared c = { .t = test_graph_new(), .n_out = 1 };
    (void)state;
    deq_value z = compared_input(&c, DEQ_STAGE_STATE, DEQ_SHAPE(1, 32, 8, 8));
    deq_value w = compared_input(&c, DEQ_STAGE_PARAMETER, DEQ_SHAPE(32, 32, 3, 3));
    deq_value y = z;
    for (int i = 0; i < 3; i++)
        y = deq_conv2d(c.t.g, y, w, DEQ_NONE, DEQ_CONV2D(.padding = { 1, 1 }));
    c.out[0] = y;
    deq_program *p = compile_winograd(&c, 2);
    deq_program_info info = deq_program_stats(p);
    assert_int_equal(info.n_steps[DEQ_STAGE_PARAMETER], 1);
    assert_int_equal(info.n_steps[DEQ_STAGE_STATE], 3);
    deq_program_free(p);
    test_graph_free(&c.t);
}

static void nan_is_seen(void **state)
{
    compared c = convolution(&cases[0], deq_isa_detect());
    size_t n;
    (void)state;
    deq_program *p = compile_winograd(&c, 2);
    float *x = deq_program_data(p, c.in[0]);
    x[0] = NAN;
    float *y = compared_run(&c, p, &n);
    assert_true(isnan(y[0]) != 0);
    assert_true(isfinite(y[n - 1]) != 0);
    free(y);
    deq_program_free(p);
    test_graph_free(&c.t);
}

static void nobody_gets_it_who_did_not_ask(void **state)
{
    compared c = convolution(&cases[0], deq_isa_detect());
    (void)state;
    deq_program *p = compile_native(&c, 2);
    assert_false(uses_kernel(p, "winograd"));
    deq_program_free(p);
    test_graph_free(&c.t);
}

static void it_is_left_alone_where_it_does_not_fit_or_pay(void **state)
{
    static const struct {
        const char *name;
        int64_t c, k, h, w, r, s;
        deq_conv2d_options o;
    } other[] = {
#define OTHER(...) { .struct_size = sizeof(deq_conv2d_options), __VA_ARGS__ }
        { "1x1", 32, 32, 8, 8, 1, 1, OTHER(.groups = 1) },
        { "5x5", 32, 32, 8, 8, 5, 5, OTHER(.padding = { 2, 2 }) },
        { "3x1", 32, 32, 8, 8, 3, 1, OTHER(.padding = { 1, 0 }) },
        { "stride 2", 32, 32, 8, 8, 3, 3, OTHER(.stride = { 2, 2 }) },
        { "dilated", 32, 32, 8, 8, 3, 3, OTHER(.dilation = { 2, 2 }) },
        { "groups", 32, 32, 8, 8, 3, 3, OTHER(.groups = 2) },
        { "image to features", 3, 64, 32, 32, 3, 3, OTHER(.padding = { 1, 1 }) },
        { "features to few", 64, 3, 32, 32, 3, 3, OTHER(.padding = { 1, 1 }) },
        { "one pixel", 64, 64, 1, 1, 3, 3, OTHER(.padding = { 1, 1 }) },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(other); i++) {
        compared c = { .t = test_graph_new(), .n_out = 1 };
        int64_t groups = other[i].o.groups ? other[i].o.groups : 1;
        deq_value x = compared_input(&c, DEQ_STAGE_STATE,
                                     DEQ_SHAPE(1, other[i].c, other[i].h, other[i].w));
        deq_value w = compared_input(
            &c, DEQ_STAGE_PARAMETER,
            DEQ_SHAPE(other[i].k, other[i].c / groups, other[i].r, other[i].s));
        c.out[0] = deq_conv2d(c.t.g, x, w, DEQ_NONE, &other[i].o);
        deq_program *p = compile_winograd(&c, 2);
        if (uses_kernel(p, "winograd")) fail_msg("%s: taken", other[i].name);
        deq_program_free(p);
        test_graph_free(&c.t);
    }
}

static void compiling_survives_every_failing_allocation(void **state)
{
    bool failing = true;
    (void)state;
    for (size_t at = 1; failing; at++) {
        test_memory m = { 0 };
        compared c = { .t = { test_memory_context(&m, 2), NULL }, .n_out = 1 };
        assert_int_equal(deq_graph_new(&c.t.g, c.t.ctx), DEQ_OK);
        deq_value x = compared_input(&c, DEQ_STAGE_STATE, DEQ_SHAPE(1, 16, 8, 8));
        deq_value w = compared_input(&c, DEQ_STAGE_PARAMETER, DEQ_SHAPE(16, 16, 3, 3));
        c.out[0] = deq_conv2d(c.t.g, x, w, DEQ_NONE, DEQ_CONV2D(.padding = { 1, 1 }));
        deq_compile_options o = deq_compile_defaults();
        o.winograd = true;
        deq_program *p = NULL;
        m.fail_at = m.calls + at;
        deq_status status = deq_compile(&p, c.t.g, c.out, 1, &o);
        failing = m.calls >= m.fail_at;
        assert_int_equal(status, failing ? DEQ_ERR_NOMEM : DEQ_OK);
        m.fail_at = 0;
        deq_program_free(p);
        test_graph_free(&c.t);
        assert_memory_clean(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_error_stays_within_the_stated_bound),
        cmocka_unit_test(any_number_of_threads_gives_the_same_bits),
        cmocka_unit_test(derivatives_and_what_follows_match_the_reference),
        cmocka_unit_test(weights_are_transformed_once_for_each_change),
        cmocka_unit_test(nan_is_seen),
        cmocka_unit_test(nobody_gets_it_who_did_not_ask),
        cmocka_unit_test(it_is_left_alone_where_it_does_not_fit_or_pay),
        cmocka_unit_test(compiling_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
