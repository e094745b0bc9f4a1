/* SPDX-License-Identifier: MIT */
/* Matrix products of the kernel library against the reference kernels. */
#include "support/test.h"

#include "backend/compare.h"
#include "support/memory.h"

#include <deq/info.h>

static const struct matmul_case {
    const char *name;
    deq_shape a, b; /* before transposition */
} cases[] = {
    { "scalars", { 2, { 1, 1 } }, { 2, { 1, 1 } } },
    { "row times column", { 2, { 1, 700 } }, { 2, { 700, 1 } } },
    { "column times row", { 2, { 70, 1 } }, { 2, { 1, 30 } } },
    { "tiny", { 2, { 4, 4 } }, { 2, { 4, 4 } } },
    { "small", { 2, { 16, 16 } }, { 2, { 16, 16 } } },
    { "one row", { 2, { 1, 512 } }, { 2, { 512, 512 } } },
    { "two rows", { 2, { 2, 300 } }, { 2, { 300, 500 } } },
    { "four rows", { 2, { 4, 512 } }, { 2, { 512, 512 } } },
    { "seven rows", { 2, { 7, 131 } }, { 2, { 131, 67 } } },
    { "ten classes", { 2, { 128, 512 } }, { 2, { 512, 10 } } },
    { "one column", { 2, { 128, 512 } }, { 2, { 512, 1 } } },
    { "odd extents", { 2, { 33, 65 } }, { 2, { 65, 129 } } },
    { "large enough for threads", { 2, { 128, 200 } }, { 2, { 200, 300 } } },
    { "batched", { 3, { 5, 9, 33 } }, { 3, { 5, 33, 17 } } },
    { "weights for a batch", { 3, { 5, 9, 33 } }, { 2, { 33, 17 } } },
    { "a batch of weights", { 2, { 9, 33 } }, { 3, { 5, 33, 17 } } },
    { "heads of attention", { 4, { 2, 3, 20, 16 } }, { 4, { 2, 3, 16, 24 } } },
    { "batch axes broadcast", { 4, { 2, 1, 9, 33 } }, { 3, { 4, 33, 17 } } },
    { "batch axes broadcast both ways", { 4, { 2, 1, 9, 8 } }, { 4, { 1, 3, 8, 17 } } },
    { "extents of one", { 4, { 1, 3, 1, 40 } }, { 4, { 1, 1, 40, 1 } } },
};

#define N_CASES (sizeof cases / sizeof *cases)

static deq_shape maybe_transposed(deq_shape s, bool transposed)
{
    int64_t last = s.dim[s.rank - 1];
    if (transposed) {
        s.dim[s.rank - 1] = s.dim[s.rank - 2];
        s.dim[s.rank - 2] = last;
    }
    return s;
}

/* b is of stage `stage`, the cotangent of the product an input; products da and db as well. */
static compared with_adjoints(const struct matmul_case *k, bool ta, bool tb, deq_stage stage)
{
    compared c = { .t = test_graph_new(), .n_out = 3 };
    deq_value a = compared_input(&c, DEQ_STAGE_STATE, maybe_transposed(k->a, ta));
    deq_value b = compared_input(&c, stage, maybe_transposed(k->b, tb));
    c.out[0] = deq_matmul(c.t.g, a, b, ta, tb);
    deq_value dy = compared_input(&c, DEQ_STAGE_STATE, deq_value_type(c.t.g, c.out[0]).shape);
    deq_vjp(c.t.g, &c.out[1], c.out, &dy, 1, (deq_value[]){ a, b }, 2);
    return c;
}

static void products_and_their_adjoints_match_the_reference(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_CASES; i++)
        for (int way = 0; way < 8; way++) {
            bool ta = way & 1, tb = way & 2;
            char name[96];
            snprintf(name, sizeof name, "%s%s%s, b of stage %s", cases[i].name,
                     ta ? ", a transposed" : "", tb ? ", b transposed" : "",
                     way & 4 ? "state" : "parameter");
            deq_stage stage = way & 4 ? DEQ_STAGE_STATE : DEQ_STAGE_PARAMETER;
            compared c = with_adjoints(&cases[i], ta, tb, stage);
            compare_programs(name, &c, 2e-6);
            compare_rebound(name, &c);
            test_graph_free(&c.t);
        }
}

static void double_precision_keeps_double_precision(void **state)
{
    enum { M = 20, K = 30, N = 25 };
    test_graph t = test_graph_new();
    double a[M * K], b[K * N], y[2][M * N];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(a); i++) a[i] = sin((double)i);
    for (size_t i = 0; i < COUNT_OF(b); i++) b[i] = cos((double)i);
    deq_value in[2] = { f64_input(&t, "a", DEQ_STAGE_STATE, DEQ_SHAPE(M, K)),
                        f64_input(&t, "b", DEQ_STAGE_PARAMETER, DEQ_SHAPE(K, N)) };
    deq_value out = deq_matmul(t.g, in[0], in[1], false, false);
    deq_compile_options plain = plain_options();
    evaluate(&t, in, (const double *[]){ a, b }, 2, out, y[0], &plain);
    evaluate(&t, in, (const double *[]){ a, b }, 2, out, y[1], NULL);
    for (size_t i = 0; i < COUNT_OF(y[0]); i++) assert_true(fabs(y[0][i] - y[1][i]) < 1e-13);
    test_graph_free(&t);
}

/* --- epilogues -------------------------------------------------------------------------------- */

/* full is of the product's shape, row [N], column [M, 1], one [1]. */
typedef deq_value epilogue_fn(deq_graph *g, deq_value y, deq_value full, deq_value row,
                              deq_value column, deq_value one);

#define EPILOGUE(name, expression)                                                                 \
    static deq_value name(deq_graph *g, deq_value y, deq_value full, deq_value row,                \
                          deq_value column, deq_value one)                                         \
    {                                                                                              \
        (void)full, (void)row, (void)column, (void)one;                                            \
        return expression;                                                                         \
    }
EPILOGUE(cell, deq_tanh(g, deq_add(g, y, full)))
EPILOGUE(cell_with_bias, deq_tanh(g, deq_add(g, full, deq_add(g, y, row))))
EPILOGUE(bias, deq_add(g, row, y))
EPILOGUE(bias_and_gelu, deq_gelu(g, deq_add(g, y, row)))
EPILOGUE(scaled_rows, deq_add(g, deq_mul(g, y, row), row))
EPILOGUE(column_bias, deq_sigmoid(g, deq_add(g, y, column)))
EPILOGUE(single_number, deq_silu(g, deq_mul(g, y, one)))
EPILOGUE(row_minus, deq_mul(g, deq_sub(g, row, y), full))
EPILOGUE(bias_and_relu, deq_relu(g, deq_add(g, y, row)))
EPILOGUE(two_slopes, deq_leaky_relu(g, deq_leaky_relu(g, y, 0.5), 0.25))
EPILOGUE(scale_tanh_scale, deq_scale(g, deq_tanh(g, deq_scale(g, y, 0.125)), 3))

static const struct epilogue_case {
    const char *name;
    epilogue_fn *build;
    int steps; /* of the state loop; 0: not asserted */
} epilogues[] = {
    { "tanh(Wz + Ux)", cell, 1 },
    { "tanh(Wz + b + Ux)", cell_with_bias, 1 },
    { "bias", bias, 1 },
    { "gelu of bias", bias_and_gelu, 1 },
    { "scaled rows", scaled_rows, 1 },
    { "column", column_bias, 0 },
    { "single number", single_number, 1 },
    { "row minus product", row_minus, 1 },
    { "relu", bias_and_relu, 0 },
    { "two slopes", two_slopes, 0 },
    { "two scales", scale_tanh_scale, 0 },
};

#define N_EPILOGUES (sizeof epilogues / sizeof *epilogues)

static compared with_epilogue(const struct matmul_case *k, deq_stage stage, epilogue_fn *build)
{
    compared c = { .t = test_graph_new(), .n_out = 1 };
    deq_value a = compared_input(&c, DEQ_STAGE_STATE, k->a);
    deq_value b = compared_input(&c, stage, k->b);
    deq_value y = deq_matmul(c.t.g, a, b, false, false);
    deq_shape s = deq_value_type(c.t.g, y).shape;
    int64_t m = s.dim[s.rank - 2], n = s.dim[s.rank - 1];
    deq_value full = compared_input(&c, DEQ_STAGE_INJECTED, s);
    deq_value row = compared_input(&c, DEQ_STAGE_PARAMETER, DEQ_SHAPE(n));
    deq_value column = compared_input(&c, DEQ_STAGE_PARAMETER, DEQ_SHAPE(m, 1));
    deq_value one = compared_input(&c, DEQ_STAGE_PARAMETER, DEQ_SHAPE(1));
    c.out[0] = build(c.t.g, y, full, row, column, one);
    return c;
}

static void epilogues_match_the_reference(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_CASES; i++)
        for (size_t k = 0; k < 2 * N_EPILOGUES; k++) {
            const struct epilogue_case *e = &epilogues[k / 2];
            char name[128];
            snprintf(name, sizeof name, "%s, %s", cases[i].name, e->name);
            compared c = with_epilogue(&cases[i], k % 2 ? DEQ_STAGE_STATE : DEQ_STAGE_PARAMETER,
                                       e->build);
            compare_programs(name, &c, 2e-5);
            test_graph_free(&c.t);
        }
}

static const struct matmul_case middle = { "", { 2, { 32, 128 } }, { 2, { 128, 64 } } };

static void epilogues_are_part_of_the_product(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_EPILOGUES; i++) {
        compared c = with_epilogue(&middle, DEQ_STAGE_PARAMETER, epilogues[i].build);
        deq_program *p = compile_native(&c, 2);
        deq_program_info info = deq_program_stats(p);
        if (!uses_kernel(p, "onednn")) fail_msg("%s: reference kernel", epilogues[i].name);
        if (epilogues[i].steps && info.n_steps[DEQ_STAGE_STATE] != epilogues[i].steps)
            fail_msg("%s: %d steps, expected %d", epilogues[i].name, info.n_steps[DEQ_STAGE_STATE],
                     epilogues[i].steps);
        deq_program_free(p);
        test_graph_free(&c.t);
    }
}

static void nan_passes_through_every_epilogue(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_EPILOGUES; i++) {
        compared c = with_epilogue(&middle, DEQ_STAGE_PARAMETER, epilogues[i].build);
        deq_program *p = compile_native(&c, 2);
        float *a = deq_program_data(p, c.in[0]);
        size_t n;
        a[0] = NAN;
        float *y = compared_run(&c, p, &n);
        for (int64_t k = 0; k < 64; k++)
            if (!isnan(y[k])) fail_msg("%s: NaN became %g", epilogues[i].name, (double)y[k]);
        for (size_t k = 64; k < n; k++)
            if (isnan(y[k])) fail_msg("%s: NaN in element %zu", epilogues[i].name, k);
        free(y);
        deq_program_free(p);
        test_graph_free(&c.t);
    }
}

static void a_bias_along_the_batch_is_not_taken_for_a_row(void **state)
{
    compared c = { .t = test_graph_new(), .n_out = 1 };
    (void)state;
    deq_value a = compared_input(&c, DEQ_STAGE_STATE, DEQ_SHAPE(6, 6, 40));
    deq_value b = compared_input(&c, DEQ_STAGE_PARAMETER, DEQ_SHAPE(40, 6));
    deq_value bias = compared_input(&c, DEQ_STAGE_PARAMETER, DEQ_SHAPE(6, 1, 1));
    c.out[0] = deq_add(c.t.g, deq_matmul(c.t.g, a, b, false, false), bias);
    compare_programs("bias along the batch", &c, 2e-6);
    test_graph_free(&c.t);
}

/* --- stages ----------------------------------------------------------------------------------- */

static void the_injected_share_and_packing_leave_the_loop(void **state)
{
    compared c = { .t = test_graph_new(), .n_out = 1 };
    (void)state;
    deq_value z = compared_input(&c, DEQ_STAGE_STATE, DEQ_SHAPE(16, 64));
    deq_value x = compared_input(&c, DEQ_STAGE_INJECTED, DEQ_SHAPE(16, 48));
    deq_value w = compared_input(&c, DEQ_STAGE_PARAMETER, DEQ_SHAPE(64, 64));
    deq_value u = compared_input(&c, DEQ_STAGE_PARAMETER, DEQ_SHAPE(64, 48));
    deq_value b = compared_input(&c, DEQ_STAGE_PARAMETER, DEQ_SHAPE(64));
    c.out[0] = deq_tanh(
        c.t.g, deq_add(c.t.g, deq_linear(c.t.g, z, w, DEQ_NONE), deq_linear(c.t.g, x, u, b)));
    deq_program *p = compile_native(&c, 2);
    deq_program_info info = deq_program_stats(p);
    assert_int_equal(info.n_steps[DEQ_STAGE_PARAMETER], 2); /* packs w and u */
    assert_int_equal(info.n_steps[DEQ_STAGE_INJECTED], 1);  /* Ux + b */
    assert_int_equal(info.n_steps[DEQ_STAGE_STATE], 1);     /* tanh(Wz + ..) */
    deq_program_free(p);
    compare_programs("tanh(Wz + Ux + b)", &c, 2e-5);
    test_graph_free(&c.t);
}

static void one_packing_serves_all_products_with_the_same_weights(void **state)
{
    compared c = { .t = test_graph_new(), .n_out = 1 };
    (void)state;
    deq_value z = compared_input(&c, DEQ_STAGE_STATE, DEQ_SHAPE(16, 64));
    deq_value w = compared_input(&c, DEQ_STAGE_PARAMETER, DEQ_SHAPE(64, 64));
    deq_value y = z;
    for (int i = 0; i < 4; i++) y = deq_tanh(c.t.g, deq_linear(c.t.g, y, w, DEQ_NONE));
    c.out[0] = y;
    deq_program *p = compile_native(&c, 2);
    assert_int_equal(deq_program_stats(p).n_steps[DEQ_STAGE_PARAMETER], 1);
    assert_int_equal(deq_program_stats(p).n_steps[DEQ_STAGE_STATE], 4);
    deq_program_free(p);
    compare_programs("four times the same weights", &c, 2e-5);
    test_graph_free(&c.t);
}

static void running_takes_no_memory_from_the_context(void **state)
{
    test_memory m = { 0 };
    (void)state;
    compared c = { .t = { test_memory_context(&m, 2), NULL }, .n_out = 1 };
    assert_int_equal(deq_graph_new(&c.t.g, c.t.ctx), DEQ_OK);
    deq_value a = compared_input(&c, DEQ_STAGE_STATE, DEQ_SHAPE(32, 64));
    deq_value b = compared_input(&c, DEQ_STAGE_PARAMETER, DEQ_SHAPE(64, 64));
    c.out[0] = deq_tanh(c.t.g, deq_matmul(c.t.g, a, b, false, false));
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
        compared c = { .t = { test_memory_context(&m, 2), NULL }, .n_out = 1 };
        assert_int_equal(deq_graph_new(&c.t.g, c.t.ctx), DEQ_OK);
        deq_value a = compared_input(&c, DEQ_STAGE_STATE, DEQ_SHAPE(8, 64));
        deq_value b = compared_input(&c, DEQ_STAGE_PARAMETER, DEQ_SHAPE(32, 64));
        deq_value bias = compared_input(&c, DEQ_STAGE_PARAMETER, DEQ_SHAPE(32));
        c.out[0] = deq_tanh(c.t.g, deq_linear(c.t.g, a, b, bias));
        deq_program *p = NULL;
        m.fail_at = m.calls + at;
        deq_status status = deq_compile(&p, c.t.g, c.out, 1, NULL);
        failing = m.calls >= m.fail_at;
        assert_int_equal(status, failing ? DEQ_ERR_NOMEM : DEQ_OK);
        m.fail_at = 0;
        deq_program_free(p);
        test_graph_free(&c.t);
        assert_memory_clean(&m);
    }
}

static void the_build_says_what_computes(void **state)
{
    deq_info info = deq_build_info();
    (void)state;
    assert_true(strlen(info.version) > 0);
    assert_true(strlen(info.compiler) > 0);
    assert_true(info.isa >= DEQ_ISA_BASELINE);
    assert_string_equal(info.kernel_library, "oneDNN");
    assert_true(strchr(info.kernel_library_version, '.') != NULL);
    assert_string_not_equal(info.kernel_library_isa, "unknown");
    assert_true(info.openmp_version >= 201107);
    assert_true(info.openmp_max_threads >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_and_their_adjoints_match_the_reference),
        cmocka_unit_test(double_precision_keeps_double_precision),
        cmocka_unit_test(epilogues_match_the_reference),
        cmocka_unit_test(epilogues_are_part_of_the_product),
        cmocka_unit_test(nan_passes_through_every_epilogue),
        cmocka_unit_test(a_bias_along_the_batch_is_not_taken_for_a_row),
        cmocka_unit_test(the_injected_share_and_packing_leave_the_loop),
        cmocka_unit_test(one_packing_serves_all_products_with_the_same_weights),
        cmocka_unit_test(running_takes_no_memory_from_the_context),
        cmocka_unit_test(compiling_survives_every_failing_allocation),
        cmocka_unit_test(the_build_says_what_computes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
