/* SPDX-License-Identifier: MIT */
/* Convolutions of the kernel library against the reference kernels. */
#include "support/test.h"

#include "backend/compare.h"
#include "support/memory.h"

static const struct conv_case {
    const char *name;
    int64_t b, c, k, h, w, r, s;
    deq_conv2d_options o;
} cases[] = {
#define OPTIONS(...)                                                                               \
    {                                                                                              \
        .struct_size = sizeof(deq_conv2d_options), __VA_ARGS__                                     \
    }
    { "everything one", 1, 1, 1, 1, 1, 1, 1, OPTIONS(.groups = 1) },
    { "one pixel, padded", 2, 3, 5, 1, 1, 3, 3, OPTIONS(.padding = { 1, 1 }) },
    { "3x3", 2, 16, 16, 8, 8, 3, 3, OPTIONS(.padding = { 1, 1 }) },
    { "3x3 without padding", 2, 16, 32, 9, 7, 3, 3, OPTIONS(.groups = 1) },
    { "1x1", 3, 24, 7, 5, 6, 1, 1, OPTIONS(.groups = 1) },
    { "1x1, stride 2", 3, 24, 120, 8, 8, 1, 1, OPTIONS(.stride = { 2, 2 }) },
    { "image to features", 4, 3, 24, 17, 15, 3, 3, OPTIONS(.padding = { 1, 1 }) },
    { "24 channels", 5, 24, 24, 12, 12, 3, 3, OPTIONS(.padding = { 1, 1 }) },
    { "120 channels", 1, 120, 120, 7, 9, 3, 3, OPTIONS(.padding = { 1, 1 }) },
    { "odd channels", 2, 7, 5, 11, 13, 3, 3, OPTIONS(.padding = { 1, 1 }) },
    { "stride 2", 2, 16, 24, 9, 12, 3, 3, OPTIONS(.stride = { 2, 2 }, .padding = { 1, 1 }) },
    { "strides and paddings differ", 2, 5, 6, 10, 9, 3, 2,
      OPTIONS(.stride = { 1, 3 }, .padding = { 2, 0 }) },
    { "5x5", 1, 8, 8, 10, 10, 5, 5, OPTIONS(.padding = { 2, 2 }) },
    { "1x7", 2, 6, 6, 1, 30, 1, 7, OPTIONS(.padding = { 0, 3 }) },
    { "4x4, stride 2", 2, 8, 4, 8, 8, 4, 4, OPTIONS(.stride = { 2, 2 }, .padding = { 1, 1 }) },
    { "more padding than taps", 2, 4, 4, 5, 5, 3, 3, OPTIONS(.padding = { 4, 3 }) },
    { "dilated", 2, 16, 16, 12, 12, 3, 3, OPTIONS(.padding = { 2, 2 }, .dilation = { 2, 2 }) },
    { "dilated unevenly", 1, 3, 4, 14, 9, 3, 3,
      OPTIONS(.padding = { 3, 1 }, .dilation = { 3, 1 }) },
    { "groups", 2, 12, 18, 8, 8, 3, 3, OPTIONS(.padding = { 1, 1 }, .groups = 3) },
    { "groups of 16", 2, 32, 32, 8, 8, 3, 3, OPTIONS(.padding = { 1, 1 }, .groups = 2) },
    { "groups, stride 2", 2, 8, 8, 9, 9, 3, 3,
      OPTIONS(.stride = { 2, 2 }, .padding = { 1, 1 }, .groups = 4) },
    { "depthwise", 2, 20, 20, 9, 8, 3, 3, OPTIONS(.padding = { 1, 1 }, .groups = 20) },
    { "large enough for threads", 8, 32, 48, 24, 24, 3, 3, OPTIONS(.padding = { 1, 1 }) },
};

#define N_CASES (sizeof cases / sizeof *cases)

static deq_shape x_shape(const struct conv_case *k)
{
    return DEQ_SHAPE(k->b, k->c, k->h, k->w);
}

static deq_shape w_shape(const struct conv_case *k)
{
    return DEQ_SHAPE(k->k, k->c / (k->o.groups ? k->o.groups : 1), k->r, k->s);
}

/* y = conv(x, w), dx and dw for a cotangent that is an input. */
static compared with_adjoints(const struct conv_case *k)
{
    compared c = { .t = test_graph_new(), .n_out = 3 };
    deq_value x = compared_input(&c, DEQ_STAGE_STATE, x_shape(k));
    deq_value w = compared_input(&c, DEQ_STAGE_PARAMETER, w_shape(k));
    c.out[0] = deq_conv2d(c.t.g, x, w, DEQ_NONE, &k->o);
    deq_value dy = compared_input(&c, DEQ_STAGE_STATE, deq_value_type(c.t.g, c.out[0]).shape);
    deq_vjp(c.t.g, &c.out[1], c.out, &dy, 1, (deq_value[]){ x, w }, 2);
    return c;
}

static void convolution_and_its_adjoints_match_the_reference(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_CASES; i++) {
        compared c = with_adjoints(&cases[i]);
        compare_programs(cases[i].name, &c, 1e-5);
        test_graph_free(&c.t);
    }
}

static void all_are_computed_by_the_library(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_CASES; i++) {
        compared c = with_adjoints(&cases[i]);
        deq_program *p = compile_native(&c, 2);
        if (uses_kernel(p, "reference")) fail_msg("%s: reference kernel", cases[i].name);
        deq_program_free(p);
        test_graph_free(&c.t);
    }
}

static void memory_bound_elsewhere_gives_the_same_bits(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_CASES; i++) {
        compared c = with_adjoints(&cases[i]);
        compare_rebound(cases[i].name, &c);
        test_graph_free(&c.t);
    }
}

static void double_precision_keeps_double_precision(void **state)
{
    test_graph t = test_graph_new();
    double x[2 * 3 * 4 * 4], w[5 * 3 * 3 * 3], y[2][2 * 5 * 4 * 4];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(x); i++) x[i] = sin((double)i);
    for (size_t i = 0; i < COUNT_OF(w); i++) w[i] = cos((double)i);
    deq_value in[2] = { f64_input(&t, "x", DEQ_STAGE_STATE, DEQ_SHAPE(2, 3, 4, 4)),
                        f64_input(&t, "w", DEQ_STAGE_PARAMETER, DEQ_SHAPE(5, 3, 3, 3)) };
    deq_value out = deq_conv2d(t.g, in[0], in[1], DEQ_NONE, DEQ_CONV2D(.padding = { 1, 1 }));
    deq_compile_options plain = plain_options();
    evaluate(&t, in, (const double *[]){ x, w }, 2, out, y[0], &plain);
    evaluate(&t, in, (const double *[]){ x, w }, 2, out, y[1], NULL);
    for (size_t i = 0; i < COUNT_OF(y[0]); i++) assert_true(fabs(y[0][i] - y[1][i]) < 1e-14);
    test_graph_free(&t);
}

/* --- epilogues -------------------------------------------------------------------------------- */

typedef deq_value epilogue_fn(deq_graph *g, deq_value y, deq_value bias, deq_value full);

static deq_value with_bias(deq_graph *g, deq_value y, deq_value bias, deq_value full)
{
    (void)full;
    return deq_add(g, y, bias);
}
static deq_value bias_first(deq_graph *g, deq_value y, deq_value bias, deq_value full)
{
    (void)full;
    return deq_tanh(g, deq_add(g, bias, y));
}
static deq_value residual(deq_graph *g, deq_value y, deq_value bias, deq_value full)
{
    return deq_sigmoid(g, deq_add(g, full, deq_add(g, y, bias)));
}
static deq_value gate(deq_graph *g, deq_value y, deq_value bias, deq_value full)
{
    return deq_mul(g, full, deq_tanh(g, deq_mul(g, y, bias)));
}
static deq_value differences(deq_graph *g, deq_value y, deq_value bias, deq_value full)
{
    return deq_sub(g, deq_sub(g, bias, y), full);
}
static deq_value quotient(deq_graph *g, deq_value y, deq_value bias, deq_value full)
{
    return deq_div(g, y, deq_shift(g, deq_square(g, deq_add(g, full, bias)), 1));
}
static deq_value numbers(deq_graph *g, deq_value y, deq_value bias, deq_value full)
{
    (void)bias, (void)full;
    return deq_shift(g, deq_scale(g, deq_neg(g, y), 0.75), -0.5);
}
static deq_value number_minus(deq_graph *g, deq_value y, deq_value bias, deq_value full)
{
    (void)bias, (void)full;
    return deq_sub(g, deq_fill(g, DEQ_F32, DEQ_SCALAR, 1.5), y);
}
static deq_value roots(deq_graph *g, deq_value y, deq_value bias, deq_value full)
{
    (void)bias, (void)full;
    return deq_sqrt(g, deq_shift(g, deq_abs(g, y), 0.25));
}
static deq_value leaky(deq_graph *g, deq_value y, deq_value bias, deq_value full)
{
    (void)bias, (void)full;
    return deq_leaky_relu(g, y, 0.1);
}
static deq_value not_leaky(deq_graph *g, deq_value y, deq_value bias, deq_value full)
{
    (void)bias, (void)full;
    return deq_leaky_relu(g, y, 0);
}
static deq_value bias_relu(deq_graph *g, deq_value y, deq_value bias, deq_value full)
{
    (void)full;
    return deq_relu(g, deq_add(g, y, bias));
}
static deq_value gelu(deq_graph *g, deq_value y, deq_value bias, deq_value full)
{
    (void)bias, (void)full;
    return deq_gelu(g, y);
}
static deq_value gelu_tanh(deq_graph *g, deq_value y, deq_value bias, deq_value full)
{
    (void)bias, (void)full;
    return deq_gelu_tanh(g, y);
}
static deq_value silu(deq_graph *g, deq_value y, deq_value bias, deq_value full)
{
    (void)bias, (void)full;
    return deq_silu(g, y);
}
static deq_value logarithms(deq_graph *g, deq_value y, deq_value bias, deq_value full)
{
    (void)bias, (void)full;
    return deq_softplus(g, deq_log(g, deq_exp(g, y)));
}
static deq_value long_chain(deq_graph *g, deq_value y, deq_value bias, deq_value full)
{
    for (int i = 0; i < 5; i++) y = deq_tanh(g, deq_add(g, deq_mul(g, y, bias), full));
    return y;
}
static deq_value limits(deq_graph *g, deq_value y, deq_value bias, deq_value full)
{
    return deq_clamp(g, deq_max(g, deq_min(g, y, full), bias), -0.25, 0.5);
}
static deq_value twice(deq_graph *g, deq_value y, deq_value bias, deq_value full)
{
    (void)full;
    y = deq_add(g, y, bias);
    return deq_mul(g, y, deq_tanh(g, y));
}

static const struct epilogue_case {
    const char *name;
    epilogue_fn *build;
    int steps; /* of the state loop when everything is native; 0: not asserted */
} epilogues[] = {
    { "bias", with_bias, 1 },
    { "tanh of bias plus y", bias_first, 1 },
    { "sigmoid of a residual", residual, 1 },
    { "gate", gate, 1 },
    { "differences", differences, 1 },
    { "quotient", quotient, 0 },
    { "scale and shift", numbers, 1 },
    { "number minus y", number_minus, 1 },
    { "square root", roots, 1 },
    { "leaky relu", leaky, 1 },
    { "leaky relu with slope 0", not_leaky, 0 },
    { "relu", bias_relu, 0 },
    { "gelu", gelu, 1 },
    { "gelu by tanh", gelu_tanh, 1 },
    { "silu", silu, 1 },
    { "exponentials and logarithms", logarithms, 0 },
    { "more than fits", long_chain, 0 },
    { "limits", limits, 0 },
    { "a value used twice", twice, 0 },
};

#define N_EPILOGUES (sizeof epilogues / sizeof *epilogues)

static compared with_epilogue(const struct conv_case *k, epilogue_fn *build)
{
    compared c = { .t = test_graph_new(), .n_out = 1 };
    deq_value x = compared_input(&c, DEQ_STAGE_STATE, x_shape(k));
    deq_value w = compared_input(&c, DEQ_STAGE_PARAMETER, w_shape(k));
    deq_value y = deq_conv2d(c.t.g, x, w, DEQ_NONE, &k->o);
    deq_value bias = compared_input(&c, DEQ_STAGE_PARAMETER, DEQ_SHAPE(k->k, 1, 1));
    deq_value full = compared_input(&c, DEQ_STAGE_STATE, deq_value_type(c.t.g, y).shape);
    c.out[0] = build(c.t.g, y, bias, full);
    return c;
}

static void epilogues_match_the_reference(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_CASES; i += 2)
        for (size_t k = 0; k < N_EPILOGUES; k++) {
            char name[128];
            snprintf(name, sizeof name, "%s, %s", cases[i].name, epilogues[k].name);
            compared c = with_epilogue(&cases[i], epilogues[k].build);
            compare_programs(name, &c, 2e-5);
            test_graph_free(&c.t);
        }
}

/* On the transposed convolution, which is an input gradient. */
static void epilogues_of_input_gradients_match_the_reference(void **state)
{
    (void)state;
    for (size_t k = 0; k < N_EPILOGUES; k++)
        for (int64_t stride = 1; stride <= 2; stride++) {
            compared c = { .t = test_graph_new(), .n_out = 1 };
            deq_value x = compared_input(&c, DEQ_STAGE_STATE, DEQ_SHAPE(2, 16, 7, 8));
            deq_value w = compared_input(&c, DEQ_STAGE_PARAMETER, DEQ_SHAPE(16, 8, 3, 3));
            deq_value y = deq_conv_transpose2d(
                c.t.g, x, w, DEQ_NONE,
                DEQ_CONV_TRANSPOSE2D(.stride = { stride, stride }, .padding = { 1, 1 }));
            deq_value bias = compared_input(&c, DEQ_STAGE_PARAMETER, DEQ_SHAPE(8, 1, 1));
            deq_value full = compared_input(&c, DEQ_STAGE_STATE, deq_value_type(c.t.g, y).shape);
            c.out[0] = epilogues[k].build(c.t.g, y, bias, full);
            compare_programs(epilogues[k].name, &c, 2e-5);
            compare_rebound(epilogues[k].name, &c);
            test_graph_free(&c.t);
        }
}

static void epilogues_are_part_of_the_convolution(void **state)
{
    const struct conv_case *k = &cases[2];
    (void)state;
    for (size_t i = 0; i < N_EPILOGUES; i++) {
        compared c = with_epilogue(k, epilogues[i].build);
        deq_program *p = compile_native(&c, 2);
        int steps = deq_program_stats(p).n_steps[DEQ_STAGE_STATE];
        if (epilogues[i].steps && steps != epilogues[i].steps)
            fail_msg("%s: %d steps, expected %d", epilogues[i].name, steps, epilogues[i].steps);
        deq_program_free(p);
        test_graph_free(&c.t);
    }
}

static void nan_passes_through_every_epilogue(void **state)
{
    const struct conv_case *k = &cases[2];
    (void)state;
    for (size_t i = 0; i < N_EPILOGUES; i++) {
        compared c = with_epilogue(k, epilogues[i].build);
        deq_program *p = compile_native(&c, 2);
        float *x = deq_program_data(p, c.in[0]);
        x[0] = NAN; /* sample 0, channel 0, upper left pixel */
        size_t n;
        float *y = compared_run(&c, p, &n);
        for (int64_t channel = 0; channel < k->k; channel++) {
            const float *plane = y + channel * k->h * k->w;
            if (!isnan(plane[0]))
                fail_msg("%s: NaN became %g", epilogues[i].name, (double)plane[0]);
            if (isnan(plane[k->h * k->w - 1])) fail_msg("%s: NaN everywhere", epilogues[i].name);
        }
        free(y);
        deq_program_free(p);
        test_graph_free(&c.t);
    }
}

static void a_bias_along_the_width_is_not_taken_for_one_of_channels(void **state)
{
    compared c = { .t = test_graph_new(), .n_out = 1 };
    (void)state;
    deq_value x = compared_input(&c, DEQ_STAGE_STATE, DEQ_SHAPE(2, 4, 6, 6));
    deq_value w = compared_input(&c, DEQ_STAGE_PARAMETER, DEQ_SHAPE(6, 4, 3, 3));
    deq_value bias = compared_input(&c, DEQ_STAGE_PARAMETER, DEQ_SHAPE(6));
    deq_value y = deq_conv2d(c.t.g, x, w, DEQ_NONE, DEQ_CONV2D(.padding = { 1, 1 }));
    c.out[0] = deq_add(c.t.g, y, bias);
    compare_programs("bias along the width", &c, 2e-6);
    test_graph_free(&c.t);
}

static void a_value_that_is_also_an_output_is_not_lost(void **state)
{
    compared c = { .t = test_graph_new(), .n_out = 2 };
    (void)state;
    deq_value x = compared_input(&c, DEQ_STAGE_STATE, DEQ_SHAPE(2, 4, 6, 6));
    deq_value w = compared_input(&c, DEQ_STAGE_PARAMETER, DEQ_SHAPE(6, 4, 3, 3));
    c.out[0] = deq_conv2d(c.t.g, x, w, DEQ_NONE, DEQ_CONV2D(.padding = { 1, 1 }));
    c.out[1] = deq_tanh(c.t.g, c.out[0]);
    compare_programs("y and tanh(y)", &c, 2e-6);
    test_graph_free(&c.t);
}

/* --- stages ----------------------------------------------------------------------------------- */

static void weights_are_packed_once_for_each_change(void **state)
{
    compared c = { .t = test_graph_new(), .n_out = 1 };
    (void)state;
    deq_value z = compared_input(&c, DEQ_STAGE_STATE, DEQ_SHAPE(2, 16, 8, 8));
    deq_value w = compared_input(&c, DEQ_STAGE_PARAMETER, DEQ_SHAPE(16, 16, 3, 3));
    deq_value y = z;
    for (int i = 0; i < 3; i++)
        y = deq_tanh(c.t.g, deq_conv2d(c.t.g, y, w, DEQ_NONE, DEQ_CONV2D(.padding = { 1, 1 })));
    c.out[0] = y;
    deq_program *p = compile_native(&c, 2);
    deq_program_info info = deq_program_stats(p);
    assert_int_equal(info.n_steps[DEQ_STAGE_PARAMETER], 1); /* shared by all three */
    assert_int_equal(info.n_steps[DEQ_STAGE_INJECTED], 0);
    assert_int_equal(info.n_steps[DEQ_STAGE_STATE], 3);
    deq_program_free(p);
    compare_programs("three times the same weights", &c, 2e-5);
    test_graph_free(&c.t);
}

static void backward_iterations_pack_nothing(void **state)
{
    compared c = { .t = test_graph_new(), .n_out = 1 };
    (void)state;
    deq_value z = compared_input(&c, DEQ_STAGE_INJECTED, DEQ_SHAPE(2, 16, 8, 8));
    deq_value w = compared_input(&c, DEQ_STAGE_PARAMETER, DEQ_SHAPE(16, 16, 3, 3));
    deq_value u = compared_input(&c, DEQ_STAGE_STATE, DEQ_SHAPE(2, 16, 8, 8));
    deq_value y = deq_conv2d(c.t.g, z, w, DEQ_NONE, DEQ_CONV2D(.padding = { 1, 1 }));
    deq_vjp(c.t.g, c.out, &y, &u, 1, &z, 1);
    c.out[0] = deq_add(c.t.g, c.out[0], u); /* the epilogue of the adjoint iteration */
    deq_program *p = compile_native(&c, 2);
    deq_program_info info = deq_program_stats(p);
    assert_int_equal(info.n_steps[DEQ_STAGE_PARAMETER], 2); /* reverse the taps, pack */
    assert_int_equal(info.n_steps[DEQ_STAGE_STATE], 1);
    deq_program_free(p);
    compare_programs("adjoint iteration", &c, 2e-5);
    test_graph_free(&c.t);
}

static void new_weights_are_packed_anew(void **state)
{
    compared c = with_adjoints(&cases[2]);
    size_t n;
    (void)state;
    deq_program *p = compile_native(&c, 1);
    float *before = compared_run(&c, p, &n);
    float *w = compared_data(&c, 1);
    for (size_t i = 0; i < compared_bytes(&c, c.in[1]) / sizeof *w; i++) w[i] *= -2;
    must_write(&c.t, p, c.in[1], w);
    float *after = compared_run(&c, p, &n);
    size_t n_y = compared_bytes(&c, c.out[0]) / sizeof *after;
    for (size_t i = 0; i < n_y; i++) assert_true(after[i] == -2 * before[i]);
    free(w), free(before), free(after);
    deq_program_free(p);
    test_graph_free(&c.t);
}

static void running_takes_no_memory_from_the_context(void **state)
{
    test_memory m = { 0 };
    (void)state;
    compared c = { .t = { test_memory_context(&m, 2), NULL }, .n_out = 1 };
    assert_int_equal(deq_graph_new(&c.t.g, c.t.ctx), DEQ_OK);
    deq_value x = compared_input(&c, DEQ_STAGE_STATE, DEQ_SHAPE(2, 24, 8, 8));
    deq_value w = compared_input(&c, DEQ_STAGE_PARAMETER, DEQ_SHAPE(24, 24, 3, 3));
    deq_value y = deq_conv2d(c.t.g, x, w, DEQ_NONE, DEQ_CONV2D(.padding = { 1, 1 }));
    deq_vjp(c.t.g, c.out, &y, &x, 1, &w, 1);
    deq_program *p = compile_native(&c, 2);
    size_t before = m.calls;
    must_run(p, DEQ_STAGE_PARAMETER);
    must_run(p, DEQ_STAGE_STATE);
    assert_int_equal(m.calls, before);
    deq_program_free(p);
    test_graph_free(&c.t);
    assert_memory_clean(&m);
}

static void compiling_survives_every_failing_allocation(void **state)
{
    bool failing = true;
    (void)state;
    for (size_t at = 1; failing; at++) {
        test_memory m = { 0 };
        compared c = { .t = { test_memory_context(&m, 2), NULL }, .n_out = 2 };
        assert_int_equal(deq_graph_new(&c.t.g, c.t.ctx), DEQ_OK);
        deq_value x = compared_input(&c, DEQ_STAGE_STATE, DEQ_SHAPE(1, 3, 4, 4));
        deq_value w = compared_input(&c, DEQ_STAGE_PARAMETER, DEQ_SHAPE(3, 3, 3, 3));
        deq_value b = compared_input(&c, DEQ_STAGE_PARAMETER, DEQ_SHAPE(3));
        deq_value y = deq_conv2d(c.t.g, x, w, b, DEQ_CONV2D(.padding = { 1, 1 }));
        y = deq_tanh(c.t.g, y);
        deq_vjp(c.t.g, c.out, &y, &x, 1, (deq_value[]){ x, w }, 2);
        deq_program *p = NULL;
        m.fail_at = m.calls + at;
        deq_status status = deq_compile(&p, c.t.g, c.out, 2, NULL);
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
        cmocka_unit_test(convolution_and_its_adjoints_match_the_reference),
        cmocka_unit_test(all_are_computed_by_the_library),
        cmocka_unit_test(memory_bound_elsewhere_gives_the_same_bits),
        cmocka_unit_test(double_precision_keeps_double_precision),
        cmocka_unit_test(epilogues_match_the_reference),
        cmocka_unit_test(epilogues_of_input_gradients_match_the_reference),
        cmocka_unit_test(epilogues_are_part_of_the_convolution),
        cmocka_unit_test(nan_passes_through_every_epilogue),
        cmocka_unit_test(a_bias_along_the_width_is_not_taken_for_one_of_channels),
        cmocka_unit_test(a_value_that_is_also_an_output_is_not_lost),
        cmocka_unit_test(weights_are_packed_once_for_each_change),
        cmocka_unit_test(backward_iterations_pack_nothing),
        cmocka_unit_test(new_weights_are_packed_anew),
        cmocka_unit_test(running_takes_no_memory_from_the_context),
        cmocka_unit_test(compiling_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
