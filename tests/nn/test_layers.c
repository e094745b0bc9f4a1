/* SPDX-License-Identifier: MIT */
/* Layers against the operators that they are made of, on weights copied out of them. */
#include "support/network.h"

#include <deq/equilibrium.h>

enum { MOST = 2000 };

typedef enum kind { LINEAR, CONV2D, CONV1D } kind;

typedef struct layer_case {
    const char *name;
    kind kind;
    deq_shape x;
    int64_t n, kernel;
    bool no_bias;
    int64_t stride, pad;
    int64_t plain_stride, plain_pad; /* what the operator gets */
    deq_shape y;
} layer_case;

/* clang-format off */
static const layer_case cases[] = {
    { "linear", LINEAR, { 2, { 4, 5 } }, 3, 0, false, 0, 0, 0, 0, { 2, { 4, 3 } } },
    { "linear of a vector", LINEAR, { 1, { 5 } }, 3, 0, false, 0, 0, 0, 0, { 1, { 3 } } },
    { "linear of tokens, no bias", LINEAR, { 3, { 2, 4, 5 } }, 6, 0, true, 0, 0, 0, 0, { 3, { 2, 4, 6 } } },
    { "conv2d 3x3", CONV2D, { 4, { 2, 3, 6, 5 } }, 4, 3, false, 0, 0, 1, 1, { 4, { 2, 4, 6, 5 } } },
    { "conv2d 1x1", CONV2D, { 4, { 2, 3, 6, 5 } }, 4, 1, false, 0, 0, 1, 0, { 4, { 2, 4, 6, 5 } } },
    { "conv2d 5x5, stride 2", CONV2D, { 4, { 2, 3, 7, 8 } }, 2, 5, true, 2, 0, 2, 2, { 4, { 2, 2, 4, 4 } } },
    { "conv2d without padding", CONV2D, { 4, { 1, 2, 5, 5 } }, 2, 3, false, 0, -1, 1, 0, { 4, { 1, 2, 3, 3 } } },
    { "conv2d with more padding", CONV2D, { 4, { 1, 2, 3, 3 } }, 2, 3, false, 0, 2, 1, 2, { 4, { 1, 2, 5, 5 } } },
    { "conv2d of even extent", CONV2D, { 4, { 1, 2, 4, 4 } }, 2, 2, false, 2, 0, 2, 0, { 4, { 1, 2, 2, 2 } } },
    { "conv1d 3", CONV1D, { 3, { 2, 3, 9 } }, 4, 3, false, 0, 0, 1, 1, { 3, { 2, 4, 9 } } },
    { "conv1d 3, stride 2", CONV1D, { 3, { 2, 3, 9 } }, 4, 3, true, 2, 0, 2, 1, { 3, { 2, 4, 5 } } },
};
/* clang-format on */

static deq_value build_layer(const test_network *n, const layer_case *c, deq_value x,
                             deq_weight_options weight)
{
    const deq_layer_options *o = DEQ_LAYER(.no_bias = c->no_bias, .stride = c->stride,
                                           .pad = c->pad, .weight = weight);
    if (c->kind == LINEAR) return deq_nn_linear(n->nn, "layer", x, c->n, o);
    if (c->kind == CONV2D) return deq_nn_conv2d(n->nn, "layer", x, c->n, c->kernel, o);
    return deq_nn_conv1d(n->nn, "layer", x, c->n, c->kernel, o);
}

/* The operator on these weights, given as data. */
static void plain(const layer_case *c, const double *x, const double *w, const deq_shape *w_shape,
                  const double *b, double *y)
{
    test_graph t = test_graph_new();
    deq_value in[3] = { f64_input(&t, "x", DEQ_STAGE_INJECTED, c->x),
                        f64_input(&t, "w", DEQ_STAGE_PARAMETER, *w_shape), DEQ_NONE };
    const double *const data[3] = { x, w, b };
    if (b) in[2] = f64_input(&t, "b", DEQ_STAGE_PARAMETER, DEQ_SHAPE(c->n));
    int64_t s = c->plain_stride, p = c->plain_pad;
    deq_value out = c->kind == LINEAR ? deq_linear(t.g, in[0], in[1], in[2])
                    : c->kind == CONV2D
                        ? deq_conv2d(t.g, in[0], in[1], in[2],
                                     DEQ_CONV2D(.stride = { s, s }, .padding = { p, p }))
                        : deq_conv1d(t.g, in[0], in[1], in[2],
                                     DEQ_CONV1D(.stride = s, .padding = p));
    deq_compile_options o = plain_options();
    evaluate(&t, in, data, b ? 3 : 2, out, y, &o);
    test_graph_free(&t);
}

/* The layer's result, with its weights left in n. */
static void run_layer(test_network *n, const layer_case *c, const double *x, double *y,
                      deq_weight_options weight, bool training)
{
    *n = network_new(NULL, NULL, training);
    deq_value in = network_input(n, c->x), out = build_layer(n, c, in, weight);
    assert_ok(&n->t);
    assert_shape(&n->t, out, c->y);
    network_begin(n, 11);
    deq_program *p = must_compile(&n->t, &out, 1, NULL);
    must_write(&n->t, p, in, x);
    must_run(p, DEQ_STAGE_PARAMETER);
    must_read(&n->t, p, out, y);
    deq_program_free(p);
}

static deq_shape weight_shape(const test_network *n, const char *name)
{
    deq_parameters *p = deq_weights_parameters(n->w);
    return deq_parameters_info(p, deq_parameters_find(p, name)).shape;
}

static void plain_layers_are_their_operators(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const layer_case *c = &cases[i];
        double x[MOST], y[MOST], expected[MOST];
        test_network n;
        wave(x, deq_shape_count(&c->x), 1);
        run_layer(&n, c, x, y, (deq_weight_options){ 0 }, true);
        deq_shape w = weight_shape(&n, "layer.weight");
        assert_int_equal(deq_parameters_count(deq_weights_parameters(n.w)), c->no_bias ? 1 : 2);
        plain(c, x, network_weight(&n, "layer.weight", NULL), &w,
              c->no_bias ? NULL : network_weight(&n, "layer.bias", NULL), expected);
        check_close(c->name, y, expected, deq_shape_count(&c->y), 1e-13);
        network_free(&n, true);
    }
}

/* At first g is the norm of v: W = v. */
static void a_weight_norm_changes_nothing_at_first(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const layer_case *c = &cases[i];
        double x[MOST], y[MOST], expected[MOST];
        test_network n;
        wave(x, deq_shape_count(&c->x), 2);
        run_layer(&n, c, x, y, (deq_weight_options){ .kind = DEQ_WEIGHT_NORM }, true);
        deq_shape w = weight_shape(&n, "layer.weight_v"), g = weight_shape(&n, "layer.weight_g");
        assert_int_equal(g.rank, w.rank);
        assert_true(g.dim[0] == c->n && deq_shape_count(&g) == c->n);
        plain(c, x, network_weight(&n, "layer.weight_v", NULL), &w,
              c->no_bias ? NULL : network_weight(&n, "layer.bias", NULL), expected);
        check_close(c->name, y, expected, deq_shape_count(&c->y), 1e-13);
        network_free(&n, true);
    }
}

static void a_weight_norm_has_the_norms_of_its_scale(void **state)
{
    (void)state;
    test_network n = network_new(NULL, NULL, true);
    deq_normalise_options two = deq_normalise_defaults();
    two.target = 2;
    deq_value x = deq_fill(n.t.g, DEQ_F64, DEQ_SHAPE(1, 5), 1);
    const deq_weight_options fixed = { DEQ_WEIGHT_NORM, &two, true, NULL };
    deq_value y = deq_nn_linear(n.nn, "a", x, 3, DEQ_LAYER(.no_bias = true, .weight = fixed));
    deq_nn_linear(n.nn, "b", x, 3,
                  DEQ_LAYER(.no_bias = true, .weight = { .kind = DEQ_WEIGHT_NORM }));
    assert_int_equal(deq_parameters_count(deq_weights_parameters(n.w)), 3); /* no a.weight_g */
    network_begin(&n, 1);
    double result[3], expected[3];
    const double *v = network_weight(&n, "a.weight_v", NULL);
    for (int r = 0; r < 3; r++) {
        double sum = 0, norm = 0;
        for (int k = 0; k < 5; k++) {
            sum += v[5 * r + k];
            norm += v[5 * r + k] * v[5 * r + k];
        }
        expected[r] = 2 * sum / sqrt(norm);
    }
    evaluate(&n.t, NULL, NULL, 0, y, result, NULL);
    check_close("fixed scale", result, expected, 3, 1e-13);
    network_free(&n, true);
}

/* Spectral norm ------------------------------------------------------------------------------ */

/* |W|_2 of [R, K] by many steps of power iteration on W'W, plainly. */
static double norm_of(const double *W, int R, int K)
{
    double v[64], u[64], norm = 0;
    for (int k = 0; k < K; k++) v[k] = 1 + 0.1 * k;
    for (int step = 0; step < 2000; step++) {
        norm = 0;
        for (int r = 0; r < R; r++) {
            u[r] = 0;
            for (int k = 0; k < K; k++) u[r] += W[r * K + k] * v[k];
            norm += u[r] * u[r];
        }
        norm = sqrt(norm);
        double length = 0;
        for (int k = 0; k < K; k++) {
            v[k] = 0;
            for (int r = 0; r < R; r++) v[k] += W[r * K + k] * u[r];
            length += v[k] * v[k];
        }
        for (int k = 0; k < K; k++) v[k] /= sqrt(length);
    }
    return norm;
}

/* W itself: the layer applied to the unit vectors. */
static void effective(const test_network *n, deq_program *p, deq_value y, double W[6 * 8])
{
    double rows[8 * 6];
    must_run(p, DEQ_STAGE_PARAMETER);
    must_read(&n->t, p, y, rows);
    for (int r = 0; r < 6; r++)
        for (int k = 0; k < 8; k++) W[r * 8 + k] = rows[k * 6 + r];
}

static void a_spectral_norm_is_its_scale_after_some_steps(void **state)
{
    (void)state;
    double unit[64] = { 0 }, W[48];
    for (int i = 0; i < 8; i++) unit[9 * i] = 1;
    test_network n = network_new(NULL, NULL, true);
    deq_value x = deq_constant(n.t.g, DEQ_F64, DEQ_SHAPE(8, 8), unit);
    const deq_layer_options *o = DEQ_LAYER(.no_bias = true,
                                           .weight = { .kind = DEQ_WEIGHT_SPECTRAL });
    deq_value out[3] = { deq_nn_linear(n.nn, "s", x, 6, o) };
    int count;
    const deq_nn_update *u = deq_nn_updates(n.nn, &count);
    assert_int_equal(count, 2);
    out[1] = u[0].value;
    out[2] = u[1].value;
    network_begin(&n, 4);

    /* In evaluation it is meaningful at once: the vectors began as singular ones. */
    test_network e = network_new(n.w, n.t.ctx, false);
    deq_value ex = deq_constant(e.t.g, DEQ_F64, DEQ_SHAPE(8, 8), unit);
    deq_value ey = deq_nn_linear(e.nn, "s", ex, 6, o);
    deq_program *q = must_compile(&e.t, &ey, 1, NULL);
    effective(&e, q, ey, W);
    assert_true(fabs(norm_of(W, 6, 8) - 1) < 0.05);

    /* Training moves the weights; the kept vectors follow. */
    network_weight(&n, "s.weight_g", NULL)[0] = 0.7;
    double *orig = network_weight(&n, "s.weight_orig", NULL);
    for (int i = 0; i < 48; i++) orig[i] += 0.2 * sin(3.0 * i);
    deq_program *p = must_compile(&n.t, out, 3, NULL);
    for (int step = 0; step < 300; step++) {
        must_run(p, DEQ_STAGE_PARAMETER);
        keep_updates(&n, p);
    }
    effective(&n, p, out[0], W);
    assert_true(fabs(norm_of(W, 6, 8) - 0.7) < 1e-9);
    effective(&e, q, ey, W);
    assert_true(fabs(norm_of(W, 6, 8) - 0.7) < 1e-9);
    deq_program_free(p);
    deq_program_free(q);
    network_free(&e, false);
    network_free(&n, true);
}

static void a_spectral_scale_may_be_one_a_channel_or_fixed(void **state)
{
    (void)state;
    test_network n = network_new(NULL, NULL, true);
    deq_normalise_options o = deq_normalise_defaults();
    o.per_channel = true;
    o.target = 0.5;
    deq_value x = deq_fill(n.t.g, DEQ_F64, DEQ_SHAPE(2, 3, 4, 4), 1);
    deq_nn_conv2d(n.nn, "a", x, 5, 3,
                  DEQ_LAYER(.weight = { DEQ_WEIGHT_SPECTRAL, &o, false, NULL }));
    deq_nn_conv2d(n.nn, "b", x, 5, 3,
                  DEQ_LAYER(.weight = { DEQ_WEIGHT_SPECTRAL, NULL, true, NULL }));
    assert_ok(&n.t);
    network_begin(&n, 1);
    int64_t count;
    const double *g = network_weight(&n, "a.weight_g", &count);
    assert_true(count == 5 && g[4] == 0.5);
    network_weight(&n, "a.weight_v", &count);
    assert_int_equal(count, 27);
    assert_int_equal(deq_parameters_find(deq_weights_parameters(n.w), "b.weight_g"), -1);
    network_free(&n, true);
}

/* Dropout ------------------------------------------------------------------------------------ */

typedef struct masked {
    deq_nn *nn;
    deq_value x;
} masked;

/* f(z) = drop(tanh(z / 2 + x)), half of it dropped */
static void masked_cell(deq_graph *g, const deq_value *z, deq_value *fz, void *user)
{
    const masked *m = user;
    deq_value h = deq_tanh(g, deq_add(g, deq_scale(g, z[0], 0.25), m->x));
    fz[0] = deq_nn_dropout(m->nn, "drop", h, 0.5, 0);
}

static void a_mask_is_fixed_within_a_solve_and_drawn_for_the_next(void **state)
{
    (void)state;
    enum { N = 3 * 40 };
    double x[N], z[2][N], fz[N];
    test_network n = network_new(NULL, NULL, true);
    masked m = { n.nn, network_input(&n, DEQ_SHAPE(3, 40)) };
    deq_equilibrium_options o = deq_equilibrium_defaults();
    o.forward.method = DEQ_PICARD;
    o.forward.rtol = 1e-12;
    o.forward.max_iter = 100;
    deq_value out[2], zero = deq_fill(n.t.g, DEQ_F64, DEQ_SHAPE(3, 40), 0);
    out[0] = deq_equilibrium(n.t.g, masked_cell, &m, zero, &o, NULL);
    masked_cell(n.t.g, out, out + 1, &m); /* once more, outside */
    assert_ok(&n.t);
    deq_program *p = must_compile(&n.t, out, 2, NULL);
    wave(x, N, 0);
    must_write(&n.t, p, m.x, x);
    int zeros[2] = { 0 }, same = 0;
    for (int step = 0; step < 2; step++) {
        write_key(&n, p, 5, step);
        must_run(p, DEQ_STAGE_PARAMETER);
        must_read(&n.t, p, out[0], z[step]);
        must_read(&n.t, p, out[1], fz);
        check_close("z = f(z)", fz, z[step], N, 1e-11);
        for (int i = 0; i < N; i++) zeros[step] += z[step][i] == 0;
    }
    for (int i = 0; i < N; i++) same += (z[0][i] == 0) == (z[1][i] == 0);
    /* Half of 120, five deviations of sqrt(30) around it. */
    assert_in_range(zeros[0], 33, 87);
    assert_in_range(zeros[1], 33, 87);
    assert_in_range(same, 33, 87);
    deq_program_free(p);
    network_free(&n, true);
}

static void evaluation_drops_nothing(void **state)
{
    (void)state;
    test_network n = network_new(NULL, NULL, false);
    deq_value x = network_input(&n, DEQ_SHAPE(2, 3));
    assert_int_equal(deq_nn_dropout(n.nn, "drop", x, 0.5, 0).id, x.id);
    assert_int_equal(deq_nn_used_key(n.nn).id, 0);
    network_free(&n, true);
}

/* Refusals ----------------------------------------------------------------------------------- */

static void refusals_name_layer_and_reason(void **state)
{
    (void)state;
    for (int i = 0; i < 9; i++) {
        test_network n = network_new(NULL, NULL, i % 2 == 0);
        deq_value x = network_input(&n, DEQ_SHAPE(2, 3));
        deq_layer_options o = { .struct_size = sizeof o };
        deq_normalise_options axis = deq_normalise_defaults();
        deq_status status = DEQ_ERR_ARGUMENT;
        const char *text = "network: fc:", *why = "";
        switch (i) {
        case 0: o.struct_size = 4, why = "struct_size is 4"; break;
        case 1: o.stride = -1, why = "stride -1"; break;
        case 2: o.pad = -2, why = "pad -2"; break;
        case 3: o.weight.kind = (deq_weight_kind)9, why = "9 is not a kind of weight"; break;
        case 4:
            axis.axis = 1;
            o.weight = (deq_weight_options){ DEQ_WEIGHT_NORM, &axis, false, NULL };
            why = "axis 0";
            break;
        case 5:
            deq_nn_conv2d(n.nn, "fc", x, 3, 3, NULL);
            status = DEQ_ERR_SHAPE, why = "expected rank 4";
            break;
        case 6:
            deq_nn_conv1d(n.nn, "fc", deq_fill(n.t.g, DEQ_F64, DEQ_SHAPE(1, 2, 3), 0), 3, 0, NULL);
            why = "kernel of extent 0";
            break;
        case 7:
            deq_nn_dropout(n.nn, "fc", x, 1, 0);
            why = "rate 1", text = "fc: dropout";
            break;
        default: deq_nn_linear(n.nn, "fc", x, 0, NULL); status = DEQ_ERR_SHAPE, text = "fc.weight";
        }
        deq_nn_linear(n.nn, "fc", x, 4, &o);
        assert_refused(&n.t, status, text, why, (char *)NULL);
        network_free(&n, true);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_layers_are_their_operators),
        cmocka_unit_test(a_weight_norm_changes_nothing_at_first),
        cmocka_unit_test(a_weight_norm_has_the_norms_of_its_scale),
        cmocka_unit_test(a_spectral_norm_is_its_scale_after_some_steps),
        cmocka_unit_test(a_spectral_scale_may_be_one_a_channel_or_fixed),
        cmocka_unit_test(a_mask_is_fixed_within_a_solve_and_drawn_for_the_next),
        cmocka_unit_test(evaluation_drops_nothing),
        cmocka_unit_test(refusals_name_layer_and_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
