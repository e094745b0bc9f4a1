/* SPDX-License-Identifier: MIT */
#include "support/engine.h"

#include <deq/regularise.h>

enum { B = 3, D = 4 };

typedef struct dense {
    deq_value w, x;
    bool affine;
} dense;

/* tanh(z W' + x), or without the tanh. */
static void cell(deq_graph *g, const deq_value *z, deq_value *fz, void *user)
{
    const dense *c = user;
    deq_value h = deq_add(g, deq_linear(g, z[0], c->w, DEQ_NONE), c->x);
    fz[0] = c->affine ? h : deq_tanh(g, h);
}

/* Two states of 2 and 3 elements: f0 = tanh(z1 W' + x), f1 = sin(z0 W); w: [2, 3], x: [B, 2]. */
static void two_cell(deq_graph *g, const deq_value *z, deq_value *fz, void *user)
{
    const dense *c = user;
    fz[0] = deq_tanh(g, deq_add(g, deq_matmul(g, z[1], c->w, false, true), c->x));
    fz[1] = deq_sin(g, deq_matmul(g, z[0], c->w, false, false));
}

static void fill(double *x, int n, double phase)
{
    for (int i = 0; i < n; i++) x[i] = 0.6 * sin(1.7 * i + phase);
}

/* One penalty and its gradients for W, x and z*. */
typedef struct setting {
    test_graph t;
    dense c;
    deq_value z, key, eps, out[4]; /* penalty, dW, dx, dz */
    deq_program *p;
    double w[D * D], x[B * D], zs[B * D], probe[2 * B * D];
} setting;

static void set_up(setting *s, bool affine, deq_jacobian_options o)
{
    s->t = test_graph_new();
    deq_graph *g = s->t.g;
    s->c = (dense){ f64_input(&s->t, "w", DEQ_STAGE_PARAMETER, DEQ_SHAPE(D, D)),
                    f64_input(&s->t, "x", DEQ_STAGE_INJECTED, DEQ_SHAPE(B, D)), affine };
    s->z = f64_input(&s->t, "z", DEQ_STAGE_INJECTED, DEQ_SHAPE(B, D));
    s->key = deq_input(g, "key", DEQ_STAGE_INJECTED, DEQ_I64, DEQ_SHAPE(2));
    s->eps = f64_input(&s->t, "eps", DEQ_STAGE_INJECTED, DEQ_SHAPE(2, B, D));
    deq_value given[2];
    for (int m = 0; m < 2; m++)
        given[m] = deq_reshape(g, deq_slice(g, s->eps, 0, m, 1), DEQ_SHAPE(B, D));
    o.given = given;
    s->out[0] = deq_jacobian_penalty(g, cell, &s->c, &s->z, 1, s->key, &o);
    deq_value in[3] = { s->c.w, s->c.x, s->z };
    deq_vjp(g, s->out + 1, s->out, NULL, 1, in, 3);
    assert_ok(&s->t);
    s->p = must_compile(&s->t, s->out, 4, NULL);
    fill(s->w, D * D, 0);
    fill(s->x, B * D, 1);
    fill(s->zs, B * D, 2);
    fill(s->probe, 2 * B * D, 3);
    must_write(&s->t, s->p, s->c.w, s->w);
    must_write(&s->t, s->p, s->c.x, s->x);
    must_write(&s->t, s->p, s->z, s->zs);
    must_write(&s->t, s->p, s->eps, s->probe);
}

static double run(setting *s, int64_t seed, int64_t step)
{
    double value;
    int64_t key[2] = { seed, step };
    must_write(&s->t, s->p, s->key, key);
    must_run(s->p, DEQ_STAGE_PARAMETER);
    must_read(&s->t, s->p, s->out[0], &value);
    return value;
}

static void tear_down(setting *s)
{
    deq_program_free(s->p);
    test_graph_free(&s->t);
}

/* J[b][i][j] = d f_i / d z_j, plainly. */
static void jacobian(const setting *s, double J[B][D][D])
{
    for (int b = 0; b < B; b++)
        for (int i = 0; i < D; i++) {
            double h = s->x[b * D + i];
            for (int j = 0; j < D; j++) h += s->w[i * D + j] * s->zs[b * D + j];
            double slope = s->c.affine ? 1 : 1 - tanh(h) * tanh(h);
            for (int j = 0; j < D; j++) J[b][i][j] = slope * s->w[i * D + j];
        }
}

static double frobenius(const setting *s)
{
    double J[B][D][D], sum = 0;
    jacobian(s, J);
    for (int b = 0; b < B; b++)
        for (int i = 0; i < D; i++)
            for (int j = 0; j < D; j++) sum += J[b][i][j] * J[b][i][j];
    return sum / (B * D);
}

static double quadratic(const setting *s, int n_probes)
{
    double J[B][D][D], sum = 0;
    jacobian(s, J);
    for (int m = 0; m < n_probes; m++)
        for (int b = 0; b < B; b++)
            for (int j = 0; j < D; j++) {
                double r = 0;
                for (int i = 0; i < D; i++) r += s->probe[(m * B + b) * D + i] * J[b][i][j];
                sum += r * r;
            }
    return sum / (n_probes * B * D);
}

/* Values ------------------------------------------------------------------------------------- */

static const deq_jacobian_form forms[2] = { DEQ_JACOBIAN_REVERSE_OVER_JVP,
                                            DEQ_JACOBIAN_DOUBLE_BACKWARD };

static void exact_probes_give_the_frobenius_norm_of_W_for_an_affine_cell(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        deq_jacobian_options o = deq_jacobian_defaults();
        o.probe = DEQ_PROBE_EXACT;
        o.weight = 2;
        o.form = forms[k];
        setting s;
        set_up(&s, true, o);
        double norm = 0, value = run(&s, 1, 1), dw[D * D], expected[D * D];
        for (int i = 0; i < D * D; i++) norm += s.w[i] * s.w[i];
        double wanted = 2 * norm / D;
        check_close("value", &value, &wanted, 1, 1e-14);
        for (int i = 0; i < D * D; i++) expected[i] = 2 * 2 * s.w[i] / D;
        must_read(&s.t, s.p, s.out[1], dw);
        check_close("dW", dw, expected, D * D, 1e-14);
        tear_down(&s);
    }
}

static void values_match_plain_sums(void **state)
{
    (void)state;
    for (int n = 1; n <= 2; n++) {
        deq_jacobian_options o = deq_jacobian_defaults();
        o.probe = DEQ_PROBE_GIVEN;
        o.n_probes = n;
        setting s;
        set_up(&s, false, o);
        double value = run(&s, 0, 0), wanted = quadratic(&s, n);
        check_close("value", &value, &wanted, 1, 1e-14);
        tear_down(&s);
    }
}

static void random_probes_average_to_the_frobenius_norm(void **state)
{
    (void)state;
    static const deq_probe laws[2] = { DEQ_PROBE_NORMAL, DEQ_PROBE_RADEMACHER };
    for (int k = 0; k < 2; k++) {
        deq_jacobian_options o = deq_jacobian_defaults();
        o.probe = laws[k];
        o.n_probes = 4;
        setting s;
        set_up(&s, false, o);
        enum { RUNS = 400 };
        double mean = 0, wanted = frobenius(&s);
        for (int i = 0; i < RUNS; i++) mean += run(&s, 7, i) / RUNS;
        check_close("mean", &mean, &wanted, 1, 0.05 * wanted);
        tear_down(&s);
    }
}

static void both_forms_have_the_same_value_and_gradients(void **state)
{
    (void)state;
    double value[2], dw[2][D * D], dx[2][B * D];
    for (int k = 0; k < 2; k++) {
        deq_jacobian_options o = deq_jacobian_defaults();
        o.n_probes = 2;
        o.form = forms[k];
        setting s;
        set_up(&s, false, o);
        value[k] = run(&s, 3, 5);
        must_read(&s.t, s.p, s.out[1], dw[k]);
        must_read(&s.t, s.p, s.out[2], dx[k]);
        tear_down(&s);
    }
    check_close("value", &value[0], &value[1], 1, 1e-14);
    check_close("dW", dw[0], dw[1], D * D, 1e-13);
    check_close("dx", dx[0], dx[1], B * D, 1e-13);
}

static void nothing_flows_into_the_equilibrium(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        deq_jacobian_options o = deq_jacobian_defaults();
        o.form = forms[k];
        setting s;
        double dz[B * D];
        set_up(&s, false, o);
        run(&s, 1, 2);
        must_read(&s.t, s.p, s.out[3], dz);
        for (int i = 0; i < B * D; i++) assert_true(dz[i] == 0);
        tear_down(&s);
    }
}

/* Application -------------------------------------------------------------------------------- */

static void a_step_without_the_penalty_is_exactly_zero_and_is_known_beforehand(void **state)
{
    (void)state;
    enum { STEPS = 300 };
    deq_jacobian_options o = deq_jacobian_defaults();
    o.probability = 0.35;
    o.stream = 11;
    setting s;
    set_up(&s, false, o);
    int applied = 0;
    for (int step = 0; step < STEPS; step++) {
        double value = run(&s, 42, step), dw[D * D], dx[B * D];
        bool expected = deq_jacobian_applies(42, (uint64_t)step, &o);
        applied += expected;
        assert_true((value != 0) == expected);
        if (expected) continue;
        must_read(&s.t, s.p, s.out[1], dw);
        must_read(&s.t, s.p, s.out[2], dx);
        for (int i = 0; i < D * D; i++) assert_true(dw[i] == 0);
        for (int i = 0; i < B * D; i++) assert_true(dx[i] == 0);
    }
    assert_in_range(applied, (int)(0.35 * STEPS - 30), (int)(0.35 * STEPS + 30));
    tear_down(&s);
}

static void probability_zero_never_applies_and_one_always(void **state)
{
    (void)state;
    deq_jacobian_options o = deq_jacobian_defaults();
    for (uint64_t step = 0; step < 50; step++) {
        assert_true(deq_jacobian_applies(1, step, NULL));
        o.probability = 0;
        assert_false(deq_jacobian_applies(1, step, &o));
    }
}

/* Derivatives -------------------------------------------------------------------------------- */

#define TYPE(...) ((deq_type){ DEQ_F64, DEQ_SHAPE(__VA_ARGS__) })

static deq_value build(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    (void)n_in;
    deq_jacobian_options o = *(const deq_jacobian_options *)user;
    dense c = { in[0], in[1], false };
    o.given = in + 3;
    return deq_jacobian_penalty(g, cell, &c, in + 2, 1, DEQ_NONE, &o);
}

static deq_value build_two(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    (void)n_in;
    dense c = { in[0], in[1], false };
    return deq_jacobian_penalty(g, two_cell, &c, in + 2, 2, DEQ_NONE, user);
}

static void gradients_match_differences_to_second_order(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        deq_jacobian_options o = deq_jacobian_defaults();
        o.form = forms[k];
        o.probe = DEQ_PROBE_GIVEN;
        /* Neither z* nor eps carries a derivative. */
        op_case c = { .name = k ? "double backward" : "reverse over jvp",
                      .n_in = 4,
                      .in = { TYPE(D, D), TYPE(B, D), TYPE(B, D), TYPE(B, D) },
                      .fixed = { false, false, true, true },
                      .once_only = o.form == DEQ_JACOBIAN_REVERSE_OVER_JVP,
                      .build = build,
                      .user = &o };
        check_op(&c);
    }
}

static void several_states_have_one_jacobian(void **state)
{
    (void)state;
    deq_jacobian_options o = deq_jacobian_defaults();
    o.probe = DEQ_PROBE_EXACT;
    op_case c = { .name = "two states",
                  .n_in = 4,
                  .in = { TYPE(2, 3), TYPE(2, 2), TYPE(2, 2), TYPE(2, 3) },
                  .fixed = { false, false, true, true },
                  .once_only = true,
                  .build = build_two,
                  .user = &o };
    check_op(&c);

    /* |J|^2 = sum of squares of both blocks. */
    double w[6], x[4], z0[4], z1[6], value, wanted = 0;
    fill(w, 6, 0);
    fill(x, 4, 1);
    fill(z0, 4, 2);
    fill(z1, 6, 3);
    const double *data[4] = { w, x, z0, z1 };
    forward_op(&c, data, &value);
    for (int b = 0; b < 2; b++) {
        for (int i = 0; i < 2; i++) {
            double h = x[b * 2 + i];
            for (int j = 0; j < 3; j++) h += w[i * 3 + j] * z1[b * 3 + j];
            for (int j = 0; j < 3; j++) wanted += pow((1 - tanh(h) * tanh(h)) * w[i * 3 + j], 2);
        }
        for (int j = 0; j < 3; j++) {
            double h = 0;
            for (int i = 0; i < 2; i++) h += w[i * 3 + j] * z0[b * 2 + i];
            for (int i = 0; i < 2; i++) wanted += pow(cos(h) * w[i * 3 + j], 2);
        }
    }
    wanted /= 2 * 5;
    check_close("two states", &value, &wanted, 1, 1e-14);
}

/* Refusals ----------------------------------------------------------------------------------- */

static void wrong_options_are_refused(void **state)
{
    (void)state;
    struct {
        deq_jacobian_options o;
        const char *text;
    } cases[] = {
        { { .struct_size = 4 }, "struct_size" },
        { { .n_probes = 1, .weight = -1, .probability = 1 }, "weight is -1" },
        { { .n_probes = 0, .probability = 1 }, "0 probes" },
        { { .n_probes = 1, .probability = 1.5 }, "probability is 1.5" },
        { { .n_probes = 1, .probability = 1, .stream = -2 }, "stream is -2" },
        { { .n_probes = 1, .probability = 1, .probe = DEQ_PROBE_GIVEN }, "no probes given" },
        { { .n_probes = 1, .probability = 1 }, "no key" },
        { { .n_probes = 1, .probability = 1, .probe = (deq_probe)9 }, "9 is not a probe" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        test_graph t = test_graph_new();
        if (!cases[i].o.struct_size) cases[i].o.struct_size = sizeof cases[i].o;
        dense c = { f64_input(&t, "w", DEQ_STAGE_PARAMETER, DEQ_SHAPE(D, D)),
                    f64_input(&t, "x", DEQ_STAGE_INJECTED, DEQ_SHAPE(B, D)), false };
        deq_value z = f64_input(&t, "z", DEQ_STAGE_INJECTED, DEQ_SHAPE(B, D));
        deq_jacobian_penalty(t.g, cell, &c, &z, 1, DEQ_NONE, &cases[i].o);
        assert_refused(&t, DEQ_ERR_ARGUMENT, cases[i].text, NULL);
        test_graph_free(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_probes_give_the_frobenius_norm_of_W_for_an_affine_cell),
        cmocka_unit_test(values_match_plain_sums),
        cmocka_unit_test(random_probes_average_to_the_frobenius_norm),
        cmocka_unit_test(both_forms_have_the_same_value_and_gradients),
        cmocka_unit_test(nothing_flows_into_the_equilibrium),
        cmocka_unit_test(a_step_without_the_penalty_is_exactly_zero_and_is_known_beforehand),
        cmocka_unit_test(probability_zero_never_applies_and_one_always),
        cmocka_unit_test(gradients_match_differences_to_second_order),
        cmocka_unit_test(several_states_have_one_jacobian),
        cmocka_unit_test(wrong_options_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
