/* SPDX-License-Identifier: MIT */
#include "support/engine.h"

#include <deq/normalise_weight.h>

#define TYPE(...) ((deq_type){ DEQ_F64, DEQ_SHAPE(__VA_ARGS__) })

static void fill(double *x, int n, double phase)
{
    for (int i = 0; i < n; i++) x[i] = sin(1.7 * i + phase) + 0.1 * i;
}

/* Weight norm -------------------------------------------------------------------------------- */

static deq_value build_weight_norm(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    return deq_weight_norm(g, in[0], n_in > 1 ? in[1] : DEQ_NONE, user);
}

/* The norm of slice s along the axis of a [3, 2, 4] array. */
static double slice_norm(const double *w, int axis, int s)
{
    double sum = 0;
    for (int i = 0; i < 24; i++) {
        int index[3] = { i / 8, i / 4 % 2, i % 4 };
        if (index[axis] == s) sum += w[i] * w[i];
    }
    return sqrt(sum);
}

static void weight_norm_gives_every_slice_its_scale(void **state)
{
    (void)state;
    static const int extent[3] = { 3, 2, 4 };
    for (int axis = 0; axis < 3; axis++)
        for (int clip = 0; clip < 2; clip++)
            for (int learned = 0; learned < 2; learned++) {
                deq_normalise_options o = deq_normalise_defaults();
                o.axis = axis;
                o.target = 1.5;
                o.clip = clip;
                o.clip_value = 0.4;
                op_case c = { .name = "weight norm",
                              .n_in = 1 + learned,
                              .in = { TYPE(3, 2, 4), TYPE(extent[axis]) },
                              .build = build_weight_norm,
                              .user = &o };
                double v[24], scale[4], w[24], expected[24];
                fill(v, 24, 0);
                fill(scale, 4, 1);
                const double *data[2] = { v, scale };
                forward_op(&c, data, w);
                for (int i = 0; i < 24; i++) {
                    int index[3] = { i / 8, i / 4 % 2, i % 4 }, s = index[axis];
                    double f = (learned ? scale[s] : 1.5) / slice_norm(v, axis, s);
                    expected[i] = v[i] * (clip && f > 0.4 ? 0.4 : f);
                }
                check_close("weight norm", w, expected, 24, 1e-14);
                check_op(&c);
            }
}

static void a_zero_direction_gives_a_zero_weight(void **state)
{
    (void)state;
    op_case c = { .name = "zero", .n_in = 1, .in = { TYPE(2, 2) }, .build = build_weight_norm };
    double v[4] = { 0, 0, 3, 4 }, w[4], expected[4] = { 0, 0, 0.6, 0.8 };
    const double *data[1] = { v };
    forward_op(&c, data, w);
    check_close("zero", w, expected, 4, 1e-15);
    forward_op_f32(&c, data, w);
    check_close("zero", w, expected, 4, 1e-7);
}

/* Spectral norm ------------------------------------------------------------------------------ */

/* Singular values 5, 2, 1: reflections of a diagonal matrix [3, 4]. */
static void known_matrix(double *w)
{
    static const double p[3] = { 1, -2, 0.5 }, q[4] = { 0.3, 1, -1, 2 };
    static const double d[3] = { 5, 2, 1 };
    double pp = 0, qq = 0;
    for (int i = 0; i < 3; i++) pp += p[i] * p[i];
    for (int i = 0; i < 4; i++) qq += q[i] * q[i];
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 4; j++) {
            w[4 * i + j] = 0;
            for (int k = 0; k < 3; k++)
                w[4 * i + j] += ((i == k) - 2 * p[i] * p[k] / pp) * d[k] *
                                ((k == j) - 2 * q[k] * q[j] / qq);
        }
}

/* |w|_2 of an n x m matrix by long power iteration. */
static double norm_of(const double *w, int n, int m)
{
    double v[64], u[64], sigma = 0;
    for (int j = 0; j < m; j++) v[j] = 1 + sin(j);
    for (int k = 0; k < 5000; k++) {
        double uu = 0, vv = 0;
        for (int j = 0; j < m; j++) vv += v[j] * v[j];
        for (int i = 0; i < n; i++) {
            u[i] = 0;
            for (int j = 0; j < m; j++) u[i] += w[i * m + j] * v[j] / sqrt(vv);
            uu += u[i] * u[i];
        }
        sigma = sqrt(uu);
        for (int j = 0; j < m; j++) {
            v[j] = 0;
            for (int i = 0; i < n; i++) v[j] += w[i * m + j] * u[i];
        }
    }
    return sigma;
}

/* u and v are kept by the caller, a step of iteration a run. */
static void power_iteration_over_runs_converges_to_the_norm(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_graph *g = t.g;
    deq_value w = f64_input(&t, "w", DEQ_STAGE_PARAMETER, DEQ_SHAPE(3, 4));
    deq_value u = f64_input(&t, "u", DEQ_STAGE_PARAMETER, DEQ_SHAPE(3)), un, vn;
    assert_int_equal(deq_spectral_step(g, &un, &vn, w, u, 1, NULL), DEQ_OK);
    deq_value out[3] = { deq_spectral_norm(g, w, un, vn, DEQ_NONE, NULL), un, vn };
    double data[12], start[3] = { 1, 0.2, 0.3 }, result[12];
    known_matrix(data);
    deq_program *p = must_compile(&t, out, 3, NULL);
    must_write(&t, p, w, data);
    for (int k = 0; k < 60; k++) {
        must_write(&t, p, u, start);
        must_run(p, DEQ_STAGE_PARAMETER);
        must_read(&t, p, un, start);
    }
    must_read(&t, p, out[0], result);
    double norm = norm_of(result, 3, 4), one = 1;
    check_close("norm", &norm, &one, 1, 1e-12);
    deq_program_free(p);
    test_graph_free(&t);
}

static deq_value build_bound(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    (void)n_in;
    return deq_spectral_bound(g, in[0], *(const int *)user, 0);
}

static void the_bound_is_never_below_the_norm_and_tightens(void **state)
{
    (void)state;
    const deq_type types[] = { TYPE(3, 4), TYPE(1, 5), TYPE(5, 1), TYPE(8, 8), TYPE(4, 2, 3, 3) };
    for (size_t k = 0; k < COUNT_OF(types); k++) {
        double w[80], before = INFINITY;
        int rows = (int)types[k].shape.dim[0];
        int columns = (int)deq_shape_count(&types[k].shape) / rows;
        fill(w, rows * columns, 0.3);
        const double *data[1] = { w };
        double norm = norm_of(w, rows, columns);
        for (int doublings = 0; doublings <= 6; doublings++) {
            op_case c = { .name = "bound",
                          .n_in = 1,
                          .in = { types[k] },
                          .build = build_bound,
                          .user = &doublings };
            double bound, least = rows < columns ? rows : columns;
            forward_op(&c, data, &bound);
            assert_true(bound >= norm * (1 - 1e-12));
            assert_true(bound <= before * (1 + 1e-12));
            assert_true(bound <= norm * pow(least, 0.25 * pow(2, -doublings)) * (1 + 1e-12));
            before = bound;
            if (doublings == 3 || doublings == 0) check_op(&c);
        }
    }
}

static deq_value build_spectral(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    (void)n_in;
    return deq_spectral_norm(g, in[0], in[1], in[2], in[3], user);
}

static deq_value build_bounded(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    (void)n_in;
    return deq_spectral_norm(g, in[0], DEQ_NONE, DEQ_NONE, in[1], user);
}

static void spectral_norm_scales_by_sigma(void **state)
{
    (void)state;
    for (int per_channel = 0; per_channel < 2; per_channel++)
        for (int clip = 0; clip < 2; clip++) {
            deq_normalise_options o = deq_normalise_defaults();
            o.per_channel = per_channel;
            o.clip = clip;
            o.clip_value = 0.3;
            o.axis = 1;
            /* a transposed convolution: [I = 2, O = 3, 1, 2]; W2 is [3, 4] */
            op_case c = { .name = "spectral",
                          .n_in = 4,
                          .in = { TYPE(2, 3, 1, 2), TYPE(3), TYPE(4), TYPE(per_channel ? 3 : 1) },
                          .fixed = { false, true, true, false },
                          .build = build_spectral,
                          .user = &o };
            double w[12], scale[3] = { 0.7, 2, 1.1 }, result[12], expected[12], sigma = 0;
            double u[3] = { 0.6, 0.8, 0 }, v[4] = { 0.5, 0.5, -0.5, 0.5 };
            fill(w, 12, 0.2);
            for (int i = 0; i < 2; i++)
                for (int o_ = 0; o_ < 3; o_++)
                    for (int k = 0; k < 2; k++)
                        sigma += u[o_] * w[i * 6 + o_ * 2 + k] * v[i * 2 + k];
            const double *data[4] = { w, u, v, scale };
            if (sigma < 0)
                for (int i = 0; i < 4; i++) v[i] = -v[i];
            sigma = fabs(sigma);
            forward_op(&c, data, result);
            for (int i = 0; i < 12; i++) {
                double f = (per_channel ? scale[i / 2 % 3] : scale[0]) / sigma;
                expected[i] = w[i] * (clip && f > 0.3 ? 0.3 : f);
            }
            check_close("spectral", result, expected, 12, 1e-13);
            for (int i = 0; i < 4; i++) c.data[i] = data[i];
            check_op(&c);
        }
}

static void a_scalar_scale_bounds_the_product(void **state)
{
    (void)state;
    deq_normalise_options o = deq_normalise_defaults();
    op_case c = { .name = "bounded",
                  .n_in = 2,
                  .in = { TYPE(3, 4), { DEQ_F64, DEQ_SCALAR } },
                  .build = build_bounded,
                  .user = &o };
    double w[12], scale = 0.9, result[12];
    known_matrix(w);
    const double *data[2] = { w, &scale };
    for (o.doublings = 0; o.doublings <= 8; o.doublings += 4) {
        forward_op(&c, data, result);
        double norm = norm_of(result, 3, 4);
        assert_true(norm <= 0.9 * (1 + 1e-12) && norm > 0.6);
    }
    assert_true(norm_of(result, 3, 4) > 0.899);
    check_op(&c);
}

/* Stages ------------------------------------------------------------------------------------- */

static int state_steps(bool normalised)
{
    test_graph t = test_graph_new();
    deq_graph *g = t.g;
    deq_value w = f64_input(&t, "w", DEQ_STAGE_PARAMETER, DEQ_SHAPE(6, 6));
    deq_value scale = f64_input(&t, "scale", DEQ_STAGE_PARAMETER, DEQ_SHAPE(6));
    deq_value u = f64_input(&t, "u", DEQ_STAGE_PARAMETER, DEQ_SHAPE(6)), un, vn;
    deq_value x = f64_input(&t, "x", DEQ_STAGE_INJECTED, DEQ_SHAPE(4, 6));
    deq_value z = f64_input(&t, "z", DEQ_STAGE_STATE, DEQ_SHAPE(4, 6));
    if (normalised) {
        w = deq_weight_norm(g, w, scale, NULL);
        deq_spectral_step(g, &un, &vn, w, u, 2, NULL);
        w = deq_spectral_norm(g, w, un, vn, DEQ_NONE, NULL);
        w = deq_spectral_norm(g, w, DEQ_NONE, DEQ_NONE, DEQ_NONE, NULL);
    }
    deq_value fz = deq_tanh(g, deq_add(g, deq_linear(g, z, w, DEQ_NONE), x));
    assert_ok(&t);
    deq_program *p = must_compile(&t, &fz, 1, NULL);
    deq_program_info info = deq_program_stats(p);
    assert_true(!normalised || info.n_steps[DEQ_STAGE_PARAMETER] > 5);
    deq_program_free(p);
    test_graph_free(&t);
    return info.n_steps[DEQ_STAGE_STATE];
}

static void normalisation_leaves_the_loop(void **state)
{
    (void)state;
    assert_int_equal(state_steps(true), state_steps(false));
}

/* Refusals ----------------------------------------------------------------------------------- */

static void wrong_scales_and_options_are_refused(void **state)
{
    (void)state;
    deq_normalise_options o = deq_normalise_defaults();
    op_case wn = { .name = "weight norm",
                   .n_in = 2,
                   .in = { TYPE(3, 4), TYPE(4) },
                   .build = build_weight_norm,
                   .user = &o };
    op_case sn = { .name = "spectral norm",
                   .n_in = 2,
                   .in = { TYPE(3, 4), TYPE(3) },
                   .build = build_bounded,
                   .user = &o };
    op_case uv = { .name = "spectral norm",
                   .n_in = 4,
                   .in = { TYPE(3, 4), TYPE(4), TYPE(4), TYPE(1) },
                   .build = build_spectral,
                   .user = &o };
    check_refused(&wn, DEQ_ERR_SHAPE, "scale is f64 [4], expected f64 [3]");
    check_refused(&sn, DEQ_ERR_SHAPE, "scale is f64 [3], expected f64 [1]");
    check_refused(&uv, DEQ_ERR_SHAPE, "u is f64 [4], expected f64 [3]");
    o.axis = 2;
    check_refused(&wn, DEQ_ERR_SHAPE, "axis 2 of a weight f64 [3, 4]");
    o.axis = 0;
    o.target = 0;
    check_refused(&wn, DEQ_ERR_ARGUMENT, "target is 0");
    o.target = 1;
    o.clip = true;
    o.clip_value = -1;
    check_refused(&sn, DEQ_ERR_ARGUMENT, "clip_value is -1");
    o.clip = false;
    o.doublings = 21;
    check_refused(&sn, DEQ_ERR_ARGUMENT, "21 doublings");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weight_norm_gives_every_slice_its_scale),
        cmocka_unit_test(a_zero_direction_gives_a_zero_weight),
        cmocka_unit_test(power_iteration_over_runs_converges_to_the_norm),
        cmocka_unit_test(the_bound_is_never_below_the_norm_and_tightens),
        cmocka_unit_test(spectral_norm_scales_by_sigma),
        cmocka_unit_test(a_scalar_scale_bounds_the_product),
        cmocka_unit_test(normalisation_leaves_the_loop),
        cmocka_unit_test(wrong_scales_and_options_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
