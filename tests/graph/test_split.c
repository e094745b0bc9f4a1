/* SPDX-License-Identifier: MIT */
/* The share of a linear operator that acts on constant input leaves the loop. */
#include "support/engine.h"

enum { MAX_PARTS = 4, MAX_ELEMENTS = 2048 };

/* An operator A . concat(parts) with parts of given stages and extents along the axis. */
typedef struct split_case {
    const char *name;
    int n_parts;
    deq_stage stage[MAX_PARTS];
    int64_t extent[MAX_PARTS];
    deq_stage weight;
    int kind; /* 0: conv2d; 1: conv2d, strided, with bias; 2 to 5: matmul, transposes in bits; 6: conv1d */
    int state_steps; /* with reference kernels */
    bool splits;
} split_case;

#define Z DEQ_STAGE_STATE
#define X DEQ_STAGE_INJECTED
#define W DEQ_STAGE_PARAMETER

static const split_case cases[] = {
    { "conv2d", 2, { Z, X }, { 3, 2 }, W, 0, 2, true },
    { "conv2d, x first", 2, { X, Z }, { 3, 2 }, W, 0, 2, true },
    { "conv2d of three", 3, { Z, X, W }, { 3, 2, 1 }, W, 0, 2, true },
    { "conv2d, x between states", 3, { Z, X, Z }, { 1, 2, 3 }, W, 0, 4, true },
    { "conv2d of one stage", 2, { Z, Z }, { 3, 2 }, W, 0, 2, false },
    { "conv2d with stride and bias", 2, { Z, X }, { 3, 2 }, W, 1, 2, true },
    { "conv1d", 2, { Z, X }, { 3, 2 }, W, 6, 2, true },
    { "matmul", 2, { Z, X }, { 3, 4 }, W, 2, 2, true },
    { "matmul, a transposed", 2, { Z, X }, { 3, 4 }, W, 3, 2, true },
    { "matmul, b transposed", 2, { X, Z }, { 3, 4 }, W, 4, 2, true },
    { "matmul, both transposed", 2, { Z, X }, { 3, 4 }, W, 5, 2, true },
    { "matmul of four", 4, { Z, W, X, Z }, { 1, 2, 3, 4 }, W, 5, 4, true },
    { "matmul by injected weights", 2, { Z, X }, { 3, 4 }, X, 2, 2, true },
};

typedef struct built {
    deq_value part[MAX_PARTS], weight, bias, out;
} built;

static deq_value conv_of(deq_graph *g, const split_case *c, built *b)
{
    deq_value x = deq_concat(g, b->part, c->n_parts, 1);
    if (c->kind == 6) return deq_conv1d(g, x, b->weight, DEQ_NONE, NULL);
    return c->kind == 0 ? deq_conv2d(g, x, b->weight, DEQ_NONE, DEQ_CONV2D(.padding = { 1, 1 }))
                        : deq_conv2d(g, x, b->weight, b->bias, DEQ_CONV2D(.stride = { 2, 1 }));
}

static void build(const test_graph *t, const split_case *c, built *b)
{
    int64_t total = 0;
    bool line = c->kind == 6, conv = c->kind < 2 || line;
    bool ta = !conv && (c->kind - 2) & 1, tb = !conv && (c->kind - 2) & 2;
    for (int i = 0; i < c->n_parts; i++) {
        char name[2] = { (char)('a' + i), '\0' };
        int64_t n = c->extent[i];
        total += n;
        deq_shape s = line   ? DEQ_SHAPE(2, n, 7)
                      : conv ? DEQ_SHAPE(2, n, 5, 4)
                      : ta   ? DEQ_SHAPE(2, n, 3)
                             : DEQ_SHAPE(2, 3, n);
        b->part[i] = f64_input(t, name, c->stage[i], s);
    }
    deq_shape w = line   ? DEQ_SHAPE(4, total, 3)
                  : conv ? DEQ_SHAPE(4, total, 3, 3)
                  : tb   ? DEQ_SHAPE(5, total)
                         : DEQ_SHAPE(total, 5);
    b->weight = f64_input(t, "weight", c->weight, w);
    b->bias = c->kind == 1 ? f64_input(t, "bias", DEQ_STAGE_PARAMETER, DEQ_SHAPE(4)) : DEQ_NONE;
    b->out = conv ? conv_of(t->g, c, b)
                  : deq_matmul(t->g, deq_concat(t->g, b->part, c->n_parts, ta ? 1 : 2), b->weight,
                               ta, tb);
    assert_ok(t);
}

static void write_all(const test_graph *t, deq_program *p, const split_case *c, const built *b,
                      double shift)
{
    double data[MAX_ELEMENTS];
    for (int i = 0; i < MAX_ELEMENTS; i++) data[i] = sin(i * 0.7 + shift);
    for (int i = 0; i < c->n_parts; i++) must_write(t, p, b->part[i], data + 3 * i);
    must_write(t, p, b->weight, data + 17);
    if (b->bias.id) must_write(t, p, b->bias, data + 5);
}

static void parts_of_seldom_change_leave_the_loop(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const split_case *c = &cases[i];
        test_graph t = test_graph_new();
        built b;
        build(&t, c, &b);
        deq_compile_options plain = plain_options(), o = plain_options();
        o.simplify = true;
        deq_program *whole = must_compile(&t, &b.out, 1, &plain);
        deq_program *split = must_compile(&t, &b.out, 1, &o);
        deq_program_info before = deq_program_stats(whole), after = deq_program_stats(split);
        if (after.n_steps[DEQ_STAGE_STATE] != c->state_steps)
            fail_msg("%s: %d steps in the loop", c->name, after.n_steps[DEQ_STAGE_STATE]);
        if (c->splits != (after.flops[DEQ_STAGE_STATE] < before.flops[DEQ_STAGE_STATE]))
            fail_msg("%s: %g of %g operations in the loop", c->name, after.flops[DEQ_STAGE_STATE],
                     before.flops[DEQ_STAGE_STATE]);

        /* A new state with the old rest, then everything new: what left the loop must follow. */
        double a[MAX_ELEMENTS], e[MAX_ELEMENTS];
        deq_type type = deq_value_type(t.g, b.out);
        for (int round = 0; round < 3; round++) {
            write_all(&t, whole, c, &b, round);
            write_all(&t, split, c, &b, round);
            must_run(whole, DEQ_STAGE_PARAMETER);
            must_run(split, DEQ_STAGE_PARAMETER);
            for (int k = 0; k < c->n_parts; k++) {
                if (c->stage[k] != DEQ_STAGE_STATE) continue;
                for (int m = 0; m < MAX_ELEMENTS; m++) a[m] = cos(m * (k + 1.0));
                must_write(&t, whole, b.part[k], a);
                must_write(&t, split, b.part[k], a);
            }
            must_run(whole, DEQ_STAGE_PARAMETER);
            must_run(split, DEQ_STAGE_STATE);
            must_read(&t, whole, b.out, e);
            must_read(&t, split, b.out, a);
            check_close(c->name, a, e, deq_shape_count(&type.shape), 1e-14);
        }
        deq_program_free(whole);
        deq_program_free(split);
        test_graph_free(&t);
    }
}

/* Channels of one group do not reach the outputs of another: nothing is split. */
static void grouped_convolutions_are_left_alone(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value both[2] = { f64_input(&t, "z", Z, DEQ_SHAPE(1, 2, 4, 4)),
                          f64_input(&t, "x", X, DEQ_SHAPE(1, 2, 4, 4)) };
    deq_value w = f64_input(&t, "w", W, DEQ_SHAPE(4, 2, 3, 3));
    deq_value y = deq_conv2d(t.g, deq_concat(t.g, both, 2, 1), w, DEQ_NONE,
                             DEQ_CONV2D(.groups = 2));
    deq_compile_options o = plain_options();
    o.simplify = true;
    deq_program *p = must_compile(&t, &y, 1, &o);
    assert_int_equal(deq_program_stats(p).n_steps[DEQ_STAGE_INJECTED], 0);
    assert_int_equal(deq_program_stats(p).n_steps[DEQ_STAGE_STATE], 2);
    deq_program_free(p);
    test_graph_free(&t);
}

static void concatenations_of_other_axes_are_left_alone(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value both[2] = { f64_input(&t, "z", Z, DEQ_SHAPE(2, 3)),
                          f64_input(&t, "x", X, DEQ_SHAPE(4, 3)) };
    deq_value w = f64_input(&t, "w", W, DEQ_SHAPE(3, 5));
    deq_value y = deq_matmul(t.g, deq_concat(t.g, both, 2, 0), w, false, false);
    deq_compile_options o = plain_options();
    o.simplify = true;
    deq_program *p = must_compile(&t, &y, 1, &o);
    assert_int_equal(deq_program_stats(p).n_steps[DEQ_STAGE_INJECTED], 0);
    assert_int_equal(deq_program_stats(p).n_steps[DEQ_STAGE_STATE], 2);
    deq_program_free(p);
    test_graph_free(&t);
}

/* [2, 3 + 3] read as [4, 3]: every row of the product has elements of one part alone. */
static void reshapes_that_mix_the_parts_are_left_alone(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value both[2] = { f64_input(&t, "z", Z, DEQ_SHAPE(2, 3)),
                          f64_input(&t, "x", X, DEQ_SHAPE(2, 3)) };
    deq_value w = f64_input(&t, "w", W, DEQ_SHAPE(3, 2));
    deq_value c = deq_reshape(t.g, deq_concat(t.g, both, 2, 1), DEQ_SHAPE(4, 3));
    deq_value y = deq_matmul(t.g, c, w, false, false), in[3] = { both[0], both[1], w };
    const double zs[6] = { 1, 2, 3, 4, 5, 6 }, xs[6] = { 6, 5, 4, 3, 2, 1 };
    const double ws[6] = { 1, 0, 0, 1, 1, 1 }, *const data[3] = { zs, xs, ws };
    const double expected[8] = { 4, 5, 10, 9, 10, 11, 4, 3 };
    double out[8];
    evaluate(&t, in, data, 3, y, out, NULL);
    check_close("mixed", out, expected, 8, 1e-15);
    test_graph_free(&t);
}

/* A constant part of a concatenation, and the concatenation used elsewhere too. */
static void a_concatenation_with_other_users_stays_for_them(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value z = f64_input(&t, "z", Z, DEQ_SHAPE(2, 3));
    deq_value both[2] = { z, deq_fill(t.g, DEQ_F64, DEQ_SHAPE(2, 1), 1) };
    deq_value w = f64_input(&t, "w", W, DEQ_SHAPE(5, 4)), c = deq_concat(t.g, both, 2, 1);
    deq_value outs[2] = { deq_linear(t.g, c, w, DEQ_NONE), c };
    const double zs[6] = { 1, 2, 3, 4, 5, 6 };
    double ws[20], y[10], copy[8], expected[10];
    for (int i = 0; i < 20; i++) ws[i] = i * 0.5 - 3;
    deq_program *p = must_compile(&t, outs, 2, NULL);
    must_write(&t, p, z, zs);
    must_write(&t, p, w, ws);
    must_run(p, DEQ_STAGE_PARAMETER);
    must_read(&t, p, outs[0], y);
    must_read(&t, p, outs[1], copy);
    for (int i = 0; i < 2; i++) {
        assert_true(copy[i * 4 + 3] == 1 && copy[i * 4] == zs[i * 3]);
        for (int j = 0; j < 5; j++) {
            expected[i * 5 + j] = ws[j * 4 + 3];
            for (int k = 0; k < 3; k++) expected[i * 5 + j] += zs[i * 3 + k] * ws[j * 4 + k];
        }
    }
    check_close("linear", y, expected, 10, 1e-14);
    deq_program_free(p);
    test_graph_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_of_seldom_change_leave_the_loop),
        cmocka_unit_test(grouped_convolutions_are_left_alone),
        cmocka_unit_test(concatenations_of_other_axes_are_left_alone),
        cmocka_unit_test(reshapes_that_mix_the_parts_are_left_alone),
        cmocka_unit_test(a_concatenation_with_other_users_stays_for_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
