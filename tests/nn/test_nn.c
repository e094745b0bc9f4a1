/* SPDX-License-Identifier: MIT */
#include "nn/nn.h"
#include "support/memory.h"
#include "support/network.h"

static bool has_parameter(const test_network *n, const char *name)
{
    return deq_parameters_find(deq_weights_parameters(n->w), name) >= 0;
}

static void scopes_stand_before_names(void **state)
{
    (void)state;
    test_network n = network_new(NULL, NULL, false);
    deq_nn_parameter(n.nn, "a", DEQ_SHAPE(1), DEQ_INIT_TO(0));
    deq_nn_enter(n.nn, "block.%d", 3);
    deq_nn_enter(n.nn, "conv");
    deq_nn_parameter(n.nn, "a", DEQ_SHAPE(2), DEQ_INIT_TO(0));
    assert_string_equal(deq_nn_scope(n.nn), "block.3.conv.");
    deq_nn_leave(n.nn);
    deq_nn_buffer(n.nn, "b", DEQ_SHAPE(3), DEQ_INIT_TO(0));
    deq_nn_leave(n.nn);
    assert_string_equal(deq_nn_scope(n.nn), "");
    assert_ok(&n.t);
    assert_true(has_parameter(&n, "a") && has_parameter(&n, "block.3.conv.a"));
    assert_true(deq_parameters_find(deq_weights_buffers(n.w), "block.3.b") == 0);
    network_free(&n, true);
}

static void a_network_is_built_again_over_its_weights(void **state)
{
    (void)state;
    test_network n = network_new(NULL, NULL, true);
    deq_nn_linear(n.nn, "fc", network_input(&n, DEQ_SHAPE(2, 3)), 4, NULL);
    network_begin(&n, 1);
    test_network m = network_new(n.w, n.t.ctx, false);
    deq_nn_linear(m.nn, "fc", network_input(&m, DEQ_SHAPE(5, 3)), 4, NULL); /* another batch */
    assert_ok(&m.t);
    deq_nn_linear(m.nn, "fd", deq_fill(m.t.g, DEQ_F64, DEQ_SHAPE(5, 3), 0), 4, NULL);
    assert_refused(&m.t, DEQ_ERR_STATE, "fd.weight", "nearest is 'fc.weight'", (char *)NULL);
    network_free(&m, false);
    network_free(&n, true);
}

static void another_shape_is_refused(void **state)
{
    (void)state;
    test_network n = network_new(NULL, NULL, true);
    deq_nn_linear(n.nn, "fc", network_input(&n, DEQ_SHAPE(2, 3)), 4, NULL);
    deq_nn_linear(n.nn, "fc", deq_fill(n.t.g, DEQ_F64, DEQ_SHAPE(2, 5), 0), 4, NULL);
    assert_refused(&n.t, DEQ_ERR_SHAPE, "fc.weight", "[4, 3]", "[4, 5]", (char *)NULL);
    network_free(&n, true);
}

static void the_key_is_made_when_it_is_asked_for(void **state)
{
    (void)state;
    test_network n = network_new(NULL, NULL, true);
    assert_int_equal(deq_nn_used_key(n.nn).id, 0);
    deq_value x = network_input(&n, DEQ_SHAPE(2, 3));
    assert_int_equal(deq_nn_dropout(n.nn, "none", x, 0, 0).id, x.id);
    assert_int_equal(deq_nn_used_key(n.nn).id, 0);
    deq_value key = deq_nn_key(n.nn);
    assert_int_equal(deq_nn_key(n.nn).id, key.id);
    assert_int_equal(deq_nn_used_key(n.nn).id, key.id);
    deq_type type = deq_value_type(n.t.g, key);
    assert_true(type.dtype == DEQ_I64 && type.shape.rank == 1 && type.shape.dim[0] == 2);
    network_free(&n, true);
}

static void streams_follow_names(void **state)
{
    (void)state;
    test_network n = network_new(NULL, NULL, true);
    int64_t a = deq_nn_stream(n.nn, "drop");
    assert_true(a >= 0 && a == deq_nn_stream(n.nn, "drop") && a != deq_nn_stream(n.nn, "drip"));
    deq_nn_enter(n.nn, "s");
    assert_true(a != deq_nn_stream(n.nn, "drop"));
    deq_nn_leave(n.nn);
    assert_true(a == deq_nn_stream(n.nn, "drop"));
    network_free(&n, true);
}

static void the_last_update_of_a_buffer_counts(void **state)
{
    (void)state;
    for (int training = 0; training < 2; training++) {
        test_network n = network_new(NULL, NULL, training != 0);
        deq_value b[3];
        int count;
        for (int i = 0; i < 3; i++) b[i] = deq_fill(n.t.g, DEQ_F64, DEQ_SHAPE(2), i);
        deq_nn_buffer(n.nn, "other", DEQ_SHAPE(2), DEQ_INIT_TO(0));
        deq_nn_enter(n.nn, "s");
        deq_nn_buffer(n.nn, "mean", DEQ_SHAPE(2), DEQ_INIT_TO(0));
        for (int i = 0; i < 3; i++) deq_nn_update_buffer(n.nn, "mean", b[i]);
        deq_nn_leave(n.nn);
        const deq_nn_update *u = deq_nn_updates(n.nn, &count);
        assert_int_equal(count, training);
        if (training) {
            double value[2];
            assert_int_equal(u[0].buffer, 1);
            evaluate(&n.t, NULL, NULL, 0, u[0].value, value, NULL);
            assert_true(value[1] == 2);
        }
        network_free(&n, true);
    }
}

static void mistakes_mark_the_graph(void **state)
{
    (void)state;
    char name[DEQ_NN_NAME_BYTES];
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = '\0';
    for (int i = 0; i < 7; i++) {
        test_network n = network_new(NULL, NULL, true);
        deq_value x = network_input(&n, DEQ_SHAPE(2, 3));
        deq_nn_enter(n.nn, "s");
        deq_nn_buffer(n.nn, "b", DEQ_SHAPE(2), DEQ_INIT_TO(0));
        switch (i) {
        case 0:
            deq_nn_leave(n.nn);
            deq_nn_leave(n.nn);
            assert_refused(&n.t, DEQ_ERR_STATE, "not entered", (char *)NULL);
            break;
        case 1:
            deq_nn_enter(n.nn, "%s", name);
            assert_refused(&n.t, DEQ_ERR_NAME, "network: s:", "too long", (char *)NULL);
            deq_nn_leave(n.nn);
            assert_string_equal(deq_nn_scope(n.nn), "s.");
            break;
        case 2:
            deq_nn_parameter(n.nn, name, DEQ_SHAPE(2), DEQ_INIT_TO(0));
            assert_refused(&n.t, DEQ_ERR_NAME, "bytes", (char *)NULL);
            break;
        case 3:
            deq_nn_update_buffer(n.nn, "c", x);
            assert_refused(&n.t, DEQ_ERR_NAME, "'c'", "no buffer", (char *)NULL);
            break;
        case 4:
            deq_nn_update_buffer(n.nn, "b", x);
            assert_refused(&n.t, DEQ_ERR_SHAPE, "'b' is f64 [2]", "f64 [2, 3]", (char *)NULL);
            break;
        case 5:
            deq_nn_enter(n.nn, "%s", "");
            assert_refused(&n.t, DEQ_ERR_NAME, "empty", (char *)NULL);
            break;
        default:
            deq_nn_linear(n.nn, "fc", deq_cast(n.t.g, x, DEQ_F32), 4, NULL);
            assert_refused(&n.t, DEQ_ERR_DTYPE, "network: s.fc:", "the weights are f64",
                           (char *)NULL);
        }
        network_free(&n, true);
    }
}

static deq_status all(deq_context *ctx)
{
    deq_weights *w = NULL;
    deq_graph *g = NULL;
    deq_nn *nn = NULL;
    deq_status status = deq_weights_new(&w, ctx, DEQ_F32);
    if (status == DEQ_OK) status = deq_graph_new(&g, ctx);
    if (status == DEQ_OK) status = deq_nn_new(&nn, g, w, true);
    if (status == DEQ_OK) {
        deq_value x = deq_input(g, "x", DEQ_STAGE_INJECTED, DEQ_F32, DEQ_SHAPE(2, 3, 4, 4));
        x = deq_nn_conv2d(nn, "conv", x, 2, 3,
                          DEQ_LAYER(.weight = { .kind = DEQ_WEIGHT_SPECTRAL }));
        x = deq_nn_batch_norm(nn, "bn", x, true, 0);
        deq_nn_dropout(nn, "drop", x, 0.5, 0);
        status = deq_graph_status(g);
    }
    deq_nn_free(nn);
    deq_graph_free(g);
    deq_weights_free(w);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (size_t fail_at = 1;; fail_at++) {
        test_memory m = { 0 };
        deq_context *ctx = test_memory_context(&m, 1);
        atomic_store(&m.fail_at, atomic_load(&m.calls) + fail_at);
        deq_status status = all(ctx);
        deq_context_free(ctx);
        assert_memory_clean(&m);
        if (status == DEQ_OK) {
            assert_true(fail_at > 20);
            break;
        }
        assert_int_equal(status, DEQ_ERR_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scopes_stand_before_names),
        cmocka_unit_test(a_network_is_built_again_over_its_weights),
        cmocka_unit_test(another_shape_is_refused),
        cmocka_unit_test(the_key_is_made_when_it_is_asked_for),
        cmocka_unit_test(streams_follow_names),
        cmocka_unit_test(the_last_update_of_a_buffer_counts),
        cmocka_unit_test(mistakes_mark_the_graph),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
