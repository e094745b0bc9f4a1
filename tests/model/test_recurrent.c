/* SPDX-License-Identifier: MIT */
#include "model/built.h"

static deq_model_solve unrolled(int steps)
{
    deq_model_solve s = deq_model_solve_defaults();
    s.equilibrium.gradient = DEQ_GRADIENT_UNROLL;
    s.equilibrium.forward.max_iter = steps;
    return s;
}

/* The logits of the model on x, with the weights of `from`. */
static void logits_on(const built *from, deq_shape input, const double *x,
                      const deq_model_options *o, const deq_model_solve *s, double *logits)
{
    built b = build_model(from->n.w, from->n.t.ctx, false, input, o, s);
    assert_ok(&b.n.t);
    const double *const data = x;
    evaluate(&b.n.t, &b.x, &data, 1, b.out.logits[b.out.n_logits - 1], logits, NULL);
    built_free(&b, false);
}

/* Two steps of one block see 1 + 2 (1 + 2) + 3 positions to each side: the projection, the steps, the
 * head.  Further inside, a longer input does not matter. */
static void a_longer_sequence_has_the_same_weights_and_the_same_inside(void **state)
{
    (void)state;
    enum { SHORT = 32, LONG = 64, REACH = 10, K = 3 };
    deq_shape input;
    double x[2 * LONG], part[2 * SHORT], y[2 * K * SHORT], z[2 * K * LONG];
    deq_model_options o = small_model(DEQ_MODEL_SEQUENCE, &input);
    deq_model_solve s = unrolled(2);
    built b = build_model(NULL, NULL, true, DEQ_SHAPE(2, 1, SHORT), &o, &s);
    network_begin(&b.n, 1);
    wave(x, 2 * LONG, 0);
    for (int i = 0; i < 2 * SHORT; i++) part[i] = x[i / SHORT * LONG + i % SHORT];
    logits_on(&b, DEQ_SHAPE(2, 1, SHORT), part, &o, &s, y);
    logits_on(&b, DEQ_SHAPE(2, 1, LONG), x, &o, &s, z);
    for (int row = 0; row < 2 * K; row++)
        check_close("inside", z + (ptrdiff_t)row * LONG, y + (ptrdiff_t)row * SHORT, SHORT - REACH,
                    1e-13);
    assert_true(fabs(z[SHORT - 1] - y[SHORT - 1]) > 1e-9); /* the end does see */
    built_free(&b, true);
}

static void a_maze_of_any_extents_has_a_logit_a_position(void **state)
{
    (void)state;
    deq_shape input;
    double x[3 * 7 * 11], y[3 * 7 * 11];
    deq_model_options o = small_model(DEQ_MODEL_MAZE, &input);
    deq_model_solve s = exact_solve();
    built b = build_model(NULL, NULL, true, input, &o, &s);
    network_begin(&b.n, 1);
    wave(x, 3 * 7 * 11, 0);
    logits_on(&b, DEQ_SHAPE(1, 3, 7, 11), x, &o, &s, y);
    for (int i = 0; i < 3 * 7 * 11; i++) assert_true(isfinite(y[i]));
    built_free(&b, true);
}

/* The architecture once more, with plain operators on the model's weights. */
static deq_value plain_conv(const test_network *n, deq_value x, const char *name)
{
    deq_value w = deq_parameter(n->t.g, deq_weights_parameters(n->w), name);
    return deq_conv2d(n->t.g, x, w, DEQ_NONE, DEQ_CONV2D(.padding = { 1, 1 }));
}

static deq_value normed(const test_network *n, deq_value x, int64_t groups)
{
    return groups ? deq_group_norm(n->t.g, x, groups, DEQ_NONE, DEQ_NONE, 1e-5) : x;
}

static deq_value plain_maze(const test_network *n, deq_value x, const deq_recurrent_options *o,
                            int steps)
{
    deq_graph *g = n->t.g;
    deq_value z = deq_relu(g, plain_conv(n, x, "projection.weight"));
    for (int k = 0; k < steps; k++) {
        const deq_value both[2] = { z, x };
        if (!o->no_injection) z = plain_conv(n, deq_concat(g, both, 2, 1), "cell.inject.weight");
        if (!o->no_injection && o->inject_relu) z = deq_relu(g, z);
        deq_value h = plain_conv(n, z, "cell.block.0.conv1.weight");
        h = plain_conv(n, deq_relu(g, normed(n, h, o->groups)), "cell.block.0.conv2.weight");
        z = deq_relu(g, deq_add(g, normed(n, h, o->groups), z));
    }
    z = deq_relu(g, plain_conv(n, z, "head.conv1.weight"));
    z = deq_relu(g, plain_conv(n, z, "head.conv2.weight"));
    return plain_conv(n, z, "head.conv3.weight");
}

static void the_cell_is_that_of_deep_thinking_nets(void **state)
{
    (void)state;
    for (int k = 0; k < 8; k++) {
        enum { N = 2 * 3 * 6 * 5 };
        deq_shape input;
        double x[N], y[N], expected[N];
        deq_model_options o = small_model(DEQ_MODEL_MAZE, &input);
        o.recurrent.width = 6;
        o.recurrent.groups = k & 1 ? 2 : 0;
        o.recurrent.inject_relu = (k & 2) != 0;
        o.recurrent.no_injection = (k & 4) != 0;
        deq_model_solve s = unrolled(3);
        built b = build_model(NULL, NULL, false, input, &o, &s);
        deq_value plain = plain_maze(&b.n, b.x, &o.recurrent, 3);
        assert_ok(&b.n.t);
        network_begin(&b.n, 3);
        const double *const data = x;
        wave(x, N, 1);
        evaluate(&b.n.t, &b.x, &data, 1, b.out.logits[0], y, NULL);
        deq_compile_options p = plain_options();
        evaluate(&b.n.t, &b.x, &data, 1, plain, expected, &p);
        check_close("logits", y, expected, N, 1e-12);
        built_free(&b, true);
    }
}

/* Unrolled, the projection is trained; the implicit gradient does not depend on the start. */
static void the_projection_is_trained_by_unrolling_alone(void **state)
{
    (void)state;
    for (int implicit = 0; implicit < 2; implicit++) {
        deq_shape input;
        deq_model_options o = small_model(DEQ_MODEL_SEQUENCE, &input);
        deq_model_solve s = implicit ? exact_solve() : unrolled(3);
        built b = build_model(NULL, NULL, true, input, &o, &s);
        deq_value loss = loss_of(&b), grads[16];
        deq_parameters *store = deq_weights_parameters(b.n.w);
        deq_gradients(b.n.t.g, grads, loss, store);
        assert_ok(&b.n.t);
        network_begin(&b.n, 1);
        double g[64], sum = 0;
        int i = deq_parameters_find(store, "projection.weight");
        value_of(&b, grads[i], g);
        for (int64_t k = 0; k < deq_parameters_info(store, i).count; k++) sum += fabs(g[k]);
        assert_true(implicit ? sum == 0 : sum > 0);
        built_free(&b, true);
    }
}

/* Without injection a given start is all there is. */
static void without_injection_the_input_enters_by_the_start_alone(void **state)
{
    (void)state;
    enum { N = 2 * 5 * 6 * 5 };
    deq_shape input;
    double z[N], y[2][2 * 3 * 6 * 5], x[2 * 3 * 6 * 5];
    deq_model_options o = small_model(DEQ_MODEL_MAZE, &input);
    o.recurrent.no_injection = true;
    deq_model_solve s = unrolled(2);
    built first = build_model(NULL, NULL, false, input, &o, &s);
    network_begin(&first.n, 1);
    for (int k = 0; k < 2; k++) {
        built b = { .n = network_new(first.n.w, first.n.t.ctx, false) };
        wave(z, N, 2);
        wave(x, 2 * 3 * 6 * 5, k);
        deq_value z0 = deq_constant(b.n.t.g, DEQ_F64, DEQ_SHAPE(2, 5, 6, 5), z);
        s.has_start = true;
        s.start = DEQ_START_GIVEN;
        s.z0 = &z0;
        b.x = network_input(&b.n, input);
        deq_model_build(b.n.nn, &b.out, b.x, &o, &s);
        assert_ok(&b.n.t);
        const double *const data = x;
        evaluate(&b.n.t, &b.x, &data, 1, b.out.logits[0], y[k], NULL);
        built_free(&b, false);
    }
    assert_memory_equal(y[0], y[1], sizeof y[0]);
    built_free(&first, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_longer_sequence_has_the_same_weights_and_the_same_inside),
        cmocka_unit_test(a_maze_of_any_extents_has_a_logit_a_position),
        cmocka_unit_test(the_cell_is_that_of_deep_thinking_nets),
        cmocka_unit_test(the_projection_is_trained_by_unrolling_alone),
        cmocka_unit_test(without_injection_the_input_enters_by_the_start_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
