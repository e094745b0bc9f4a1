/* SPDX-License-Identifier: MIT */
#include "support/network.h"

enum { B = 4, C = 6, H = 3, W = 5, N = B * C * H * W };

static double at(const double *x, int b, int c, int i)
{
    return x[(b * C + c) * H * W + i];
}

/* (x - mean) / sqrt(var + eps) * weight + bias with the given statistics of a channel. */
static double normalised(double x, double mean, double var, double weight, double bias)
{
    return (x - mean) / sqrt(var + 1e-5) * weight + bias;
}

static void channel_moments(const double *x, int c, double *mean, double *var)
{
    *mean = *var = 0;
    for (int b = 0; b < B; b++)
        for (int i = 0; i < H * W; i++) *mean += at(x, b, c, i) / (B * H * W);
    for (int b = 0; b < B; b++)
        for (int i = 0; i < H * W; i++)
            *var += (at(x, b, c, i) - *mean) * (at(x, b, c, i) - *mean) / (B * H * W);
}

static void batch_norm_keeps_the_averages_of_a_plain_loop(void **state)
{
    (void)state;
    static const double momenta[] = { 0, 0.01, 1 }; /* 0 means 0.1 */
    for (size_t m = 0; m < COUNT_OF(momenta); m++) {
        double momentum = momenta[m] > 0 ? momenta[m] : 0.1, mean[C] = { 0 }, var[C];
        double x[N], y[N], expected[N];
        test_network n = network_new(NULL, NULL, true);
        deq_value in = network_input(&n, DEQ_SHAPE(B, C, H, W)), out[3];
        out[0] = deq_nn_batch_norm(n.nn, "bn", in, true, momenta[m]);
        int count;
        const deq_nn_update *u = deq_nn_updates(n.nn, &count);
        assert_int_equal(count, 2);
        out[1] = u[0].value;
        out[2] = u[1].value;
        network_begin(&n, 0);
        for (int c = 0; c < C; c++) {
            var[c] = 1;
            network_weight(&n, "bn.weight", NULL)[c] = 1 + 0.1 * c;
            network_weight(&n, "bn.bias", NULL)[c] = 0.2 * c;
        }
        deq_program *p = must_compile(&n.t, out, 3, NULL);
        for (int step = 0; step < 5; step++) {
            wave(x, N, step);
            must_write(&n.t, p, in, x);
            must_run(p, DEQ_STAGE_PARAMETER);
            must_read(&n.t, p, out[0], y);
            keep_updates(&n, p);
            for (int c = 0; c < C; c++) {
                double batch_mean, batch_var;
                channel_moments(x, c, &batch_mean, &batch_var);
                for (int b = 0; b < B; b++)
                    for (int i = 0; i < H * W; i++)
                        expected[(b * C + c) * H * W + i] = normalised(
                            at(x, b, c, i), batch_mean, batch_var, 1 + 0.1 * c, 0.2 * c);
                double unbiased = batch_var * (B * H * W) / (B * H * W - 1);
                mean[c] = (1 - momentum) * mean[c] + momentum * batch_mean;
                var[c] = (1 - momentum) * var[c] + momentum * unbiased;
            }
            check_close("training", y, expected, N, 1e-12);
        }
        check_close("running mean", network_weight(&n, "bn.running_mean", NULL), mean, C, 1e-13);
        check_close("running var", network_weight(&n, "bn.running_var", NULL), var, C, 1e-13);
        deq_program_free(p);

        test_network e = network_new(n.w, n.t.ctx, false);
        in = network_input(&e, DEQ_SHAPE(B, C, H, W));
        deq_value ey = deq_nn_batch_norm(e.nn, "bn", in, true, momenta[m]);
        deq_nn_updates(e.nn, &count);
        assert_int_equal(count, 0);
        const double *const data = x;
        evaluate(&e.t, &in, &data, 1, ey, y, NULL);
        for (int i = 0; i < N; i++) {
            int c = i / (H * W) % C;
            expected[i] = normalised(x[i], mean[c], var[c], 1 + 0.1 * c, 0.2 * c);
        }
        check_close("evaluation", y, expected, N, 1e-12);
        network_free(&e, false);
        network_free(&n, true);
    }
}

static void no_gradient_flows_through_averages(void **state)
{
    (void)state;
    test_network n = network_new(NULL, NULL, true);
    deq_value x = network_input(&n, DEQ_SHAPE(B, C)), dx;
    deq_nn_batch_norm(n.nn, "bn", x, false, 0);
    int count;
    const deq_nn_update *u = deq_nn_updates(n.nn, &count);
    deq_value sum = deq_sum(n.t.g, deq_add(n.t.g, u[0].value, u[1].value), DEQ_ALL_AXES, false);
    deq_vjp(n.t.g, &dx, &sum, NULL, 1, &x, 1);
    assert_ok(&n.t);
    deq_nn_parameter(n.nn, "a", DEQ_SHAPE(1), DEQ_INIT_TO(0)); /* there has to be one */
    network_begin(&n, 0);
    double data[B * C], result[B * C];
    const double *const in = data;
    wave(data, B * C, 0);
    evaluate(&n.t, &x, &in, 1, dx, result, NULL);
    for (int i = 0; i < B * C; i++) assert_true(result[i] == 0);
    network_free(&n, true);
}

/* Group and layer normalisation: the operators with the layer's weights. */
static void group_and_layer_norms_are_their_operators(void **state)
{
    (void)state;
    for (int k = 0; k < 4; k++) {
        bool layer = k / 2 == 1, affine = k % 2 == 1;
        double x[N], y[N], expected[N];
        test_network n = network_new(NULL, NULL, true);
        deq_value in = network_input(&n, DEQ_SHAPE(B, C, H, W));
        deq_value out = layer ? deq_nn_layer_norm(n.nn, "norm", in, affine)
                              : deq_nn_group_norm(n.nn, "norm", in, 3, affine);
        assert_int_equal(deq_parameters_count(deq_weights_parameters(n.w)), affine ? 2 : 0);
        deq_nn_parameter(n.nn, "a", DEQ_SHAPE(1), DEQ_INIT_TO(0));
        network_begin(&n, 0);
        int64_t channels = layer ? W : C;
        test_graph t = test_graph_new();
        deq_value from[3] = { f64_input(&t, "x", DEQ_STAGE_INJECTED, DEQ_SHAPE(B, C, H, W)) };
        const double *data[3] = { x, NULL, NULL };
        for (int j = 1; affine && j < 3; j++) {
            from[j] = f64_input(&t, j == 1 ? "g" : "b", DEQ_STAGE_PARAMETER, DEQ_SHAPE(channels));
            double *weight = network_weight(&n, j == 1 ? "norm.weight" : "norm.bias", NULL);
            for (int64_t i = 0; i < channels; i++) {
                assert_true(weight[i] == (j == 1));
                weight[i] += 0.1 * (double)i * j;
            }
            data[j] = weight;
        }
        deq_value plain = layer ? deq_layer_norm(t.g, from[0], 1, from[1], from[2], 1e-5)
                                : deq_group_norm(t.g, from[0], 3, from[1], from[2], 1e-5);
        wave(x, N, 1);
        evaluate(&n.t, &in, data, 1, out, y, NULL);
        evaluate(&t, from, data, affine ? 3 : 1, plain, expected, NULL);
        check_close(layer ? "layer norm" : "group norm", y, expected, N, 1e-13);
        test_graph_free(&t);
        network_free(&n, true);
    }
}

static void refusals_name_layer_and_reason(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        test_network n = network_new(NULL, NULL, true);
        deq_value x = network_input(&n, DEQ_SHAPE(1, C)), row = deq_reshape(n.t.g, x, DEQ_SHAPE(C));
        deq_status status = i < 2 || i == 4 ? DEQ_ERR_SHAPE : DEQ_ERR_ARGUMENT;
        const char *why = "";
        switch (i) {
        case 0: deq_nn_batch_norm(n.nn, "bn", x, true, 0), why = "has no variance"; break;
        case 1: deq_nn_batch_norm(n.nn, "bn", row, true, 0), why = "expected rank 2"; break;
        case 2: deq_nn_batch_norm(n.nn, "bn", x, true, 1.5), why = "momentum 1.5"; break;
        case 3: deq_nn_batch_norm(n.nn, "bn", x, true, NAN), why = "momentum"; break;
        default: deq_nn_group_norm(n.nn, "bn", row, 2, true), why = "group norm of f64 [6]";
        }
        assert_refused(&n.t, status, "network: bn:", why, (char *)NULL);
        network_free(&n, true);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch_norm_keeps_the_averages_of_a_plain_loop),
        cmocka_unit_test(no_gradient_flows_through_averages),
        cmocka_unit_test(group_and_layer_norms_are_their_operators),
        cmocka_unit_test(refusals_name_layer_and_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
