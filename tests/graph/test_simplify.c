/* SPDX-License-Identifier: MIT */
/* What rewriting removes, shares and folds, and what it must leave alone. */
#include "support/engine.h"

#include "graph/program_internal.h"

static const double six[6] = { 1.5, -2, 0.25, 3, -0.5, 4 };

static deq_value x_of(const test_graph *t)
{
    return f64_input(t, "x", DEQ_STAGE_STATE, DEQ_SHAPE(2, 3));
}

/* The program of `out` has so many nodes, and computes what the unsimplified one does. */
static void check_left(const char *name, const test_graph *t, deq_value x, deq_value out, int nodes)
{
    double a[64], b[64];
    const double *data[1] = { six };
    deq_compile_options plain = plain_options(), o = plain_options();
    o.simplify = true;
    assert_ok(t);
    deq_type type = deq_value_type(t->g, out);
    int64_t n = deq_shape_count(&type.shape);
    assert_true(n <= 64);
    evaluate(t, &x, data, x.id ? 1 : 0, out, a, &o);
    evaluate(t, &x, data, x.id ? 1 : 0, out, b, &plain);
    check_close(name, a, b, n, 0);
    int left = nodes_after_simplify(t, out);
    if (left != nodes) fail_msg("%s: %d nodes, expected %d", name, left, nodes);
}

/* Rules --------------------------------------------------------------------------------------- */

static deq_value number(deq_graph *g, double value)
{
    return deq_fill(g, DEQ_F64, DEQ_SCALAR, value);
}
static deq_value full(deq_graph *g, double value)
{
    return deq_fill(g, DEQ_F64, DEQ_SHAPE(2, 3), value);
}

static deq_value add_zero(deq_graph *g, deq_value x)
{
    return deq_add(g, x, number(g, 0));
}
static deq_value zero_add(deq_graph *g, deq_value x)
{
    return deq_add(g, full(g, 0), x);
}
static deq_value sub_zero(deq_graph *g, deq_value x)
{
    return deq_sub(g, x, full(g, 0));
}
static deq_value zero_sub(deq_graph *g, deq_value x)
{
    return deq_sub(g, number(g, 0), x);
}
static deq_value mul_one(deq_graph *g, deq_value x)
{
    return deq_mul(g, x, number(g, 1));
}
static deq_value one_mul(deq_graph *g, deq_value x)
{
    return deq_mul(g, full(g, 1), x);
}
static deq_value div_one(deq_graph *g, deq_value x)
{
    return deq_div(g, x, number(g, 1));
}
static deq_value one_div(deq_graph *g, deq_value x)
{
    return deq_div(g, number(g, 1), x);
}
static deq_value pow_one(deq_graph *g, deq_value x)
{
    return deq_pow(g, x, number(g, 1));
}
static deq_value one_pow(deq_graph *g, deq_value x)
{
    return deq_pow(g, number(g, 1), x);
}
static deq_value pow_two(deq_graph *g, deq_value x)
{
    return deq_pow(g, x, number(g, 2));
}
static deq_value pow_three(deq_graph *g, deq_value x)
{
    return deq_pow(g, x, number(g, 3));
}
static deq_value min_zero(deq_graph *g, deq_value x)
{
    return deq_min(g, x, number(g, 0));
}
static deq_value max_one(deq_graph *g, deq_value x)
{
    return deq_max(g, x, number(g, 1));
}
static deq_value mul_zero(deq_graph *g, deq_value x)
{
    return deq_mul(g, x, number(g, 0));
}
static deq_value neg_neg(deq_graph *g, deq_value x)
{
    return deq_neg(g, deq_neg(g, x));
}
static deq_value widening_zero(deq_graph *g, deq_value x)
{
    return deq_add(g, x, deq_fill(g, DEQ_F64, DEQ_SHAPE(4, 2, 3), 0));
}
static deq_value cast_same(deq_graph *g, deq_value x)
{
    return deq_cast(g, x, DEQ_F64);
}
static deq_value stop(deq_graph *g, deq_value x)
{
    return deq_stop_gradient(g, x);
}
static deq_value transpose_twice(deq_graph *g, deq_value x)
{
    return deq_transpose(g, deq_transpose(g, x, 0, 1), 0, 1);
}
static deq_value permute_chain(deq_graph *g, deq_value x)
{
    deq_value y = deq_reshape(g, x, DEQ_SHAPE(1, 2, 3));
    for (int i = 0; i < 3; i++) y = deq_permute(g, y, (int[]){ 1, 2, 0 }, 3);
    return y;
}
static deq_value permute_two(deq_graph *g, deq_value x)
{
    deq_value y = deq_reshape(g, x, DEQ_SHAPE(1, 2, 3));
    return deq_permute(g, deq_permute(g, y, (int[]){ 2, 0, 1 }, 3), (int[]){ 0, 2, 1 }, 3);
}
static deq_value reshape_chain(deq_graph *g, deq_value x)
{
    return deq_reshape(g, deq_reshape(g, deq_reshape(g, x, DEQ_SHAPE(6)), DEQ_SHAPE(3, 2)),
                       DEQ_SHAPE(1, 6));
}
static deq_value reshape_back(deq_graph *g, deq_value x)
{
    return deq_reshape(g, deq_reshape(g, x, DEQ_SHAPE(6)), DEQ_SHAPE(2, 3));
}
static deq_value broadcast_chain(deq_graph *g, deq_value x)
{
    return deq_broadcast(g, deq_broadcast(g, x, DEQ_SHAPE(2, 2, 3)), DEQ_SHAPE(3, 2, 2, 3));
}
static deq_value broadcast_dropped(deq_graph *g, deq_value x)
{
    deq_value row = deq_slice(g, x, 0, 0, 1);
    return deq_mul(g, x, deq_broadcast(g, row, DEQ_SHAPE(2, 3)));
}
static deq_value broadcast_needed(deq_graph *g, deq_value x)
{
    deq_value row = deq_slice(g, x, 0, 0, 1);
    deq_value wide = deq_broadcast(g, row, DEQ_SHAPE(4, 3));
    return deq_mul(g, wide, row);
}
static deq_value both_broadcast(deq_graph *g, deq_value x)
{
    deq_value row = deq_broadcast(g, deq_slice(g, x, 0, 0, 1), DEQ_SHAPE(2, 3));
    deq_value column = deq_broadcast(g, deq_slice(g, x, 1, 0, 1), DEQ_SHAPE(2, 3));
    return deq_mul(g, row, column);
}
static deq_value sum_of_ones(deq_graph *g, deq_value x)
{
    return deq_sum(g, deq_reshape(g, x, DEQ_SHAPE(2, 1, 3)), DEQ_AXIS(1), false);
}
static deq_value sum_kept(deq_graph *g, deq_value x)
{
    return deq_sum(g, deq_reshape(g, x, DEQ_SHAPE(1, 6)), DEQ_AXIS(0), true);
}
static deq_value sum_of_nothing(deq_graph *g, deq_value x)
{
    return deq_sum(g, x, 0, false);
}
static deq_value whole_slice(deq_graph *g, deq_value x)
{
    return deq_slice(g, x, 1, 0, 3);
}
static deq_value concat_one(deq_graph *g, deq_value x)
{
    return deq_concat(g, &x, 1, 0);
}
static deq_value slice_of_concat(deq_graph *g, deq_value x)
{
    deq_value parts[2] = { deq_exp(g, x), x };
    return deq_slice(g, deq_concat(g, parts, 2, 0), 0, 2, 2);
}
static deq_value part_of_concat(deq_graph *g, deq_value x)
{
    deq_value parts[2] = { deq_exp(g, x), x };
    return deq_slice(g, deq_concat(g, parts, 2, 0), 0, 3, 1);
}
static deq_value slice_across_concat(deq_graph *g, deq_value x)
{
    deq_value parts[2] = { x, x };
    return deq_slice(g, deq_concat(g, parts, 2, 0), 0, 1, 2);
}
static deq_value slice_of_other_axis(deq_graph *g, deq_value x)
{
    deq_value parts[2] = { x, x };
    return deq_slice(g, deq_concat(g, parts, 2, 0), 1, 0, 1);
}
static deq_value common(deq_graph *g, deq_value x)
{
    deq_value a = deq_exp(g, deq_scale(g, x, 0.5)), b = deq_exp(g, deq_scale(g, x, 0.5));
    return deq_add(g, a, b);
}
static deq_value common_but_attributes(deq_graph *g, deq_value x)
{
    return deq_add(g, deq_leaky_relu(g, x, 0.1), deq_leaky_relu(g, x, 0.2));
}
static deq_value dead(deq_graph *g, deq_value x)
{
    deq_value y = x;
    for (int i = 0; i < 9; i++) y = deq_exp(g, y);
    return deq_tanh(g, x);
}
static deq_value fill_moved(deq_graph *g, deq_value x)
{
    deq_value f = deq_reshape(g, deq_fill(g, DEQ_F64, DEQ_SHAPE(6), 2), DEQ_SHAPE(3, 2));
    f = deq_broadcast(g, deq_transpose(g, deq_slice(g, f, 0, 0, 1), 0, 1), DEQ_SHAPE(2, 3));
    return deq_mul(g, x, f);
}
static deq_value half_of_double(deq_graph *g, deq_value x)
{
    deq_value two = number(g, 2), three = deq_add(g, two, number(g, 1));
    return deq_mul(g, x, deq_exp(g, deq_sub(g, three, deq_square(g, two))));
}

/* clang-format off */
static const struct rule_case {
    const char *name;
    deq_value (*build)(deq_graph *g, deq_value x);
    int nodes; /* that are left, the input x included */
} rule_cases[] = {
    { "x + 0", add_zero, 1 },
    { "0 + x", zero_add, 1 },
    { "x - 0", sub_zero, 1 },
    { "0 - x stays", zero_sub, 3 },
    { "x * 1", mul_one, 1 },
    { "1 * x", one_mul, 1 },
    { "x / 1", div_one, 1 },
    { "1 / x stays", one_div, 3 },
    { "x ^ 1", pow_one, 1 },
    { "1 ^ x stays", one_pow, 3 },
    { "x ^ 2 is a square", pow_two, 2 },
    { "x ^ 3 stays", pow_three, 3 },
    { "min(x, 0) stays", min_zero, 3 },
    { "max(x, 1) stays", max_one, 3 },
    { "x * 0 stays", mul_zero, 3 },
    { "- -x", neg_neg, 1 },
    { "x + 0 of a larger shape stays", widening_zero, 3 },
    { "cast to the same dtype", cast_same, 1 },
    { "stop_gradient", stop, 1 },
    { "transposed twice", transpose_twice, 1 },
    { "permutations that cancel", permute_chain, 2 },
    { "permutations that do not", permute_two, 3 },
    { "chain of reshapes", reshape_chain, 2 },
    { "reshaped and back", reshape_back, 1 },
    { "chain of broadcasts", broadcast_chain, 2 },
    { "broadcast under an operator that broadcasts", broadcast_dropped, 3 },
    { "broadcast that gives the shape", broadcast_needed, 4 },
    { "two broadcasts", both_broadcast, 4 },
    { "sum over an extent of one", sum_of_ones, 1 },
    { "the same, kept", sum_kept, 2 },
    { "sum over no axes", sum_of_nothing, 1 },
    { "slice of everything", whole_slice, 1 },
    { "concatenation of one", concat_one, 1 },
    { "slice that is a part of a concatenation", slice_of_concat, 1 },
    { "slice within a part", part_of_concat, 2 },
    { "slice across parts", slice_across_concat, 3 },
    { "slice along another axis", slice_of_other_axis, 3 },
    { "common subexpressions", common, 5 },
    { "equal but for attributes", common_but_attributes, 4 },
    { "dead code", dead, 2 },
    { "moved fill", fill_moved, 3 },
    { "constants fold", half_of_double, 3 },
};
/* clang-format on */

/* relu(reshape(x)) + reshape(x), reshaped back: the reshapes meet and cancel. */
static void reshapes_go_on_until_they_meet_their_opposite(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value x = x_of(&t), line = deq_reshape(t.g, x, DEQ_SHAPE(6));
    deq_value y = deq_add(t.g, deq_relu(t.g, line), line);
    check_left("chain", &t, x, deq_reshape(t.g, y, DEQ_SHAPE(2, 3)), 3);

    /* An operand that was not reshaped is, the other way; a scalar fits as it is. */
    deq_value both = deq_mul(t.g, deq_scale(t.g, line, 2),
                             deq_constant(t.g, DEQ_F64, DEQ_SHAPE(6), six));
    check_left("operands", &t, x, deq_reshape(t.g, both, DEQ_SHAPE(2, 3)), 5);

    /* Where shapes broadcast, a reshape stays where it is. */
    deq_value row = deq_reshape(t.g, x, DEQ_SHAPE(1, 6));
    deq_value grid = deq_add(t.g, row, deq_reshape(t.g, x, DEQ_SHAPE(6, 1)));
    check_left("broadcast", &t, x, grid, 4);
    test_graph_free(&t);
}

static void rules_shorten_and_do_not_change_the_result(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rule_cases); i++) {
        test_graph t = test_graph_new();
        deq_value x = x_of(&t);
        check_left(rule_cases[i].name, &t, x, rule_cases[i].build(t.g, x), rule_cases[i].nodes);
        test_graph_free(&t);
    }
}

/* The rules again behind another node, where inputs of the rule are no leaves. */
static void rules_hold_for_computed_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rule_cases); i++) {
        test_graph t = test_graph_new();
        deq_value x = x_of(&t), y = deq_tanh(t.g, x);
        deq_value out = deq_sin(t.g, rule_cases[i].build(t.g, y));
        /* "dead code" is one case where the inner tanh differs from the node of the rule */
        check_left(rule_cases[i].name, &t, x, out, rule_cases[i].nodes + 2);
        test_graph_free(&t);
    }
}

static void nothing_times_zero_is_zero(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value x = f64_input(&t, "x", DEQ_STAGE_STATE, DEQ_SHAPE(3));
    const double data[3] = { NAN, INFINITY, 2 }, *in[1] = { data };
    const deq_value products[3] = {
        deq_mul(t.g, x, deq_fill(t.g, DEQ_F64, DEQ_SCALAR, 0)),
        deq_mul(t.g, deq_fill(t.g, DEQ_F64, DEQ_SHAPE(3), 0), x),
        deq_scale(t.g, x, 0),
    };
    for (int i = 0; i < 3; i++) {
        double out[3];
        evaluate(&t, &x, in, 1, products[i], out, NULL);
        assert_true(isnan(out[0]) && isnan(out[1]) && out[2] == 0);
    }
    test_graph_free(&t);
}

static void differences_of_equals_are_computed(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value x = f64_input(&t, "x", DEQ_STAGE_STATE, DEQ_SHAPE(2));
    const double data[2] = { INFINITY, 2 }, *in[1] = { data };
    double out[2];
    evaluate(&t, &x, in, 1, deq_sub(t.g, x, x), out, NULL);
    assert_true(isnan(out[0]) && out[1] == 0);
    evaluate(&t, &x, in, 1, deq_div(t.g, x, x), out, NULL);
    assert_true(isnan(out[0]) && out[1] == 1);
    test_graph_free(&t);
}

/* Constants ----------------------------------------------------------------------------------- */

static void a_constant_expression_is_folded(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value c = deq_constant(t.g, DEQ_F64, DEQ_SHAPE(2, 3), six);
    deq_value y = deq_mul(t.g, deq_tanh(t.g, c), deq_slice(t.g, c, 0, 1, 1));
    check_left("constant", &t, DEQ_NONE, y, 1);
    test_graph_free(&t);
}

static void a_constant_that_is_not_folded_is_computed_when_compiled(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value c = deq_constant(t.g, DEQ_F64, DEQ_SHAPE(2, 3), six);
    deq_value z = f64_input(&t, "z", DEQ_STAGE_STATE, DEQ_SHAPE(3));
    deq_value y = deq_add(t.g, z, deq_sum(t.g, deq_tanh(t.g, c), DEQ_AXIS(0), false));
    deq_program *p = must_compile(&t, &y, 1, NULL);
    deq_program_info info = deq_program_stats(p);
    assert_int_equal(info.n_steps[DEQ_STAGE_PARAMETER] + info.n_steps[DEQ_STAGE_INJECTED], 0);
    assert_int_equal(info.n_steps[DEQ_STAGE_STATE], 1);
    deq_program_free(p);
    test_graph_free(&t);
}

static void large_constants_are_left_to_the_constant_stage(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    const int64_t n = 100000;
    deq_value z = f64_input(&t, "z", DEQ_STAGE_STATE, DEQ_SHAPE(n));
    deq_value row = deq_fill(t.g, DEQ_F64, DEQ_SHAPE(n), 3);
    deq_value y = deq_add(t.g, z, deq_exp(t.g, row));
    deq_program *p = must_compile(&t, &y, 1, NULL);
    assert_int_equal(deq_program_stats(p).n_steps[DEQ_STAGE_CONSTANT], 1);
    assert_int_equal(deq_program_stats(p).n_steps[DEQ_STAGE_STATE], 1);
    double *data = calloc((size_t)n, sizeof *data);
    assert_non_null(data);
    for (int times = 0; times < 3; times++) {
        data[n - 1] = times;
        must_write(&t, p, z, data);
        must_run(p, times ? DEQ_STAGE_STATE : DEQ_STAGE_PARAMETER);
        must_read(&t, p, y, data);
        assert_true(fabs(data[0] - exp(3)) < 1e-12 * exp(3));
        assert_true(fabs(data[n - 1] - times - exp(3)) < 1e-12 * exp(3));
        memset(data, 0, (size_t)n * sizeof *data);
    }
    free(data);
    deq_program_free(p);
    test_graph_free(&t);
}

static void a_constant_that_its_kernel_refuses_fails_the_compilation(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value table = deq_constant(t.g, DEQ_F64, DEQ_SHAPE(2, 3), six);
    deq_value ids = deq_constant(t.g, DEQ_I32, DEQ_SHAPE(2), (int32_t[]){ 0, 7 });
    deq_value y = deq_gather(t.g, table, 0, ids);
    assert_ok(&t);
    deq_program *p = NULL;
    assert_int_equal(deq_compile(&p, t.g, &y, 1, NULL), DEQ_ERR_DATA);
    assert_null(p);
    assert_non_null(strstr(deq_last_error(t.ctx), "7"));
    test_graph_free(&t);
}

/* Random numbers have no inputs but the key: two nodes with different streams are not equal. */
static void random_nodes_are_shared_by_key_and_stream_only(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value key = deq_input(t.g, "key", DEQ_STAGE_INJECTED, DEQ_I64, DEQ_SHAPE(2));
    deq_value a = deq_random_uniform(t.g, key, DEQ_F64, DEQ_SHAPE(4), 1);
    deq_value b = deq_random_uniform(t.g, key, DEQ_F64, DEQ_SHAPE(4), 2);
    deq_value c = deq_random_uniform(t.g, key, DEQ_F64, DEQ_SHAPE(4), 1);
    deq_value y = deq_sub(t.g, a, b), z = deq_sub(t.g, a, c);
    assert_int_equal(nodes_after_simplify(&t, y), 4);
    assert_int_equal(nodes_after_simplify(&t, z), 3);
    const int64_t seed[2] = { 5, 7 };
    deq_value both[2] = { y, z };
    deq_program *p = must_compile(&t, both, 2, NULL);
    double out[4];
    must_write(&t, p, key, seed);
    must_run(p, DEQ_STAGE_PARAMETER);
    must_read(&t, p, y, out);
    for (int i = 0; i < 4; i++) assert_true(out[i] != 0);
    must_read(&t, p, z, out);
    for (int i = 0; i < 4; i++) assert_true(out[i] == 0);
    deq_program_free(p);
    test_graph_free(&t);
}

static void operators_with_several_outputs_are_shared_whole(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value x = f64_input(&t, "x", DEQ_STAGE_STATE, DEQ_SHAPE(1, 1, 2, 3)), where[2], best[2];
    const deq_max_pool2d_options o = { .struct_size = sizeof o,
                                       .kernel = { 2, 2 },
                                       .stride = { 1, 1 } };
    for (int i = 0; i < 2; i++) best[i] = deq_max_pool2d(t.g, x, &o, &where[i]);
    deq_value both[3] = { deq_add(t.g, best[0], best[1]), where[0], where[1] };
    deq_program *p = must_compile(&t, both, 3, NULL);
    assert_int_equal(deq_program_stats(p).n_nodes, 3);
    double out[2];
    int32_t at[2][2];
    must_write(&t, p, x, six);
    must_run(p, DEQ_STAGE_PARAMETER);
    must_read(&t, p, both[0], out);
    assert_true(out[0] == 6 && out[1] == 8);
    for (int i = 0; i < 2; i++) {
        must_read(&t, p, where[i], at[i]);
        assert_int_equal(at[i][0], 3);
        assert_int_equal(at[i][1], 5);
    }
    deq_program_free(p);
    test_graph_free(&t);
}

/* Sums over stages ---------------------------------------------------------------------------- */

static void sums_are_regrouped_so_that_what_changes_seldom_leaves_the_loop(void **state)
{
    (void)state;
    for (int order = 0; order < 4; order++) {
        test_graph t = test_graph_new();
        deq_value z = f64_input(&t, "z", DEQ_STAGE_STATE, DEQ_SHAPE(2, 3));
        deq_value x = f64_input(&t, "x", DEQ_STAGE_INJECTED, DEQ_SHAPE(2, 3));
        deq_value b = f64_input(&t, "b", DEQ_STAGE_PARAMETER, DEQ_SHAPE(3));
        deq_value zx = order & 1 ? deq_add(t.g, z, x) : deq_add(t.g, x, z);
        deq_value y = order & 2 ? deq_add(t.g, zx, b) : deq_add(t.g, b, zx);
        deq_program *p = must_compile(&t, &y, 1, NULL);
        assert_int_equal(deq_program_stats(p).n_steps[DEQ_STAGE_INJECTED], 1);
        assert_int_equal(deq_program_stats(p).n_steps[DEQ_STAGE_STATE], 1);
        deq_program_free(p);
        const deq_value in[3] = { z, x, b };
        const double *const data[3] = { six, six, six };
        double a[6], expected[6];
        evaluate(&t, in, data, 3, y, a, NULL);
        for (int i = 0; i < 6; i++) expected[i] = 2 * six[i] + six[i % 3];
        check_close("sum", a, expected, 6, 1e-15);
        test_graph_free(&t);
    }
}

/* (1 + tiny) + tiny is 1; regrouped it would not be. */
static void sums_keep_their_order_where_nothing_is_gained(void **state)
{
    (void)state;
    for (int injected = 0; injected < 2; injected++) {
        test_graph t = test_graph_new();
        deq_value a = f64_input(&t, "a", DEQ_STAGE_STATE, DEQ_SCALAR);
        deq_value b = f64_input(&t, "b", DEQ_STAGE_STATE, DEQ_SCALAR);
        deq_value c = f64_input(&t, "c", injected ? DEQ_STAGE_INJECTED : DEQ_STAGE_STATE,
                                DEQ_SCALAR);
        deq_value y = deq_add(t.g, deq_add(t.g, a, b), c);
        const double numbers[3] = { 1, 0x1p-53, 0x1p-53 }, *data[3];
        const deq_value in[3] = { a, b, c };
        double out;
        for (int i = 0; i < 3; i++) data[i] = &numbers[i];
        evaluate(&t, in, data, 3, y, &out, NULL);
        assert_true(out == 1);
        test_graph_free(&t);
    }
}

/* The graph itself ---------------------------------------------------------------------------- */

static void compiling_does_not_change_the_graph(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value x = x_of(&t), y = common(t.g, x);
    size_t nodes = t.g->n_nodes, values = t.g->n_values;
    double a[6], b[6];
    const double *data[1] = { six };
    evaluate(&t, &x, data, 1, y, a, NULL);
    assert_int_equal(t.g->n_nodes, nodes);
    assert_int_equal(t.g->n_values, values);
    deq_value z = deq_square(t.g, y); /* it can be extended and compiled again */
    evaluate(&t, &x, data, 1, z, b, NULL);
    for (int i = 0; i < 6; i++) assert_true(b[i] == a[i] * a[i]);
    test_graph_free(&t);
}

static void names_survive_in_the_program(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value x = x_of(&t), y = deq_name(t.g, deq_tanh(t.g, x), "hidden");
    deq_program *p = must_compile(&t, &y, 1, NULL);
    bool input = false, hidden = false;
    for (size_t v = 1; v < p->graph->n_values; v++) {
        const char *name = p->graph->values[v].name;
        input |= name && strcmp(name, "x") == 0;
        hidden |= name && strcmp(name, "hidden") == 0;
    }
    assert_true(input && hidden);
    deq_program_free(p);
    test_graph_free(&t);
}

static void very_many_nodes_are_shared(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value x = x_of(&t), sum = x;
    for (int i = 0; i < 2000; i++) sum = deq_add(t.g, sum, deq_scale(t.g, x, i % 50 + 2));
    int left = nodes_after_simplify(&t, sum);
    assert_int_equal(left, 1 + 50 + 50 + 2000); /* x, numbers, products, sums */
    test_graph_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reshapes_go_on_until_they_meet_their_opposite),
        cmocka_unit_test(rules_shorten_and_do_not_change_the_result),
        cmocka_unit_test(rules_hold_for_computed_values),
        cmocka_unit_test(nothing_times_zero_is_zero),
        cmocka_unit_test(differences_of_equals_are_computed),
        cmocka_unit_test(a_constant_expression_is_folded),
        cmocka_unit_test(a_constant_that_is_not_folded_is_computed_when_compiled),
        cmocka_unit_test(large_constants_are_left_to_the_constant_stage),
        cmocka_unit_test(a_constant_that_its_kernel_refuses_fails_the_compilation),
        cmocka_unit_test(random_nodes_are_shared_by_key_and_stream_only),
        cmocka_unit_test(operators_with_several_outputs_are_shared_whole),
        cmocka_unit_test(sums_are_regrouped_so_that_what_changes_seldom_leaves_the_loop),
        cmocka_unit_test(sums_keep_their_order_where_nothing_is_gained),
        cmocka_unit_test(compiling_does_not_change_the_graph),
        cmocka_unit_test(names_survive_in_the_program),
        cmocka_unit_test(very_many_nodes_are_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
