/* SPDX-License-Identifier: MIT */
/* Several supervised states of one equilibrium, against the same iterations in plain loops. */
#include "support/engine.h"

#include <deq/supervision.h>

enum { B = 2, D = 3, MOST = 16 };

static const double W[D * D] = { 0.3, -0.2, 0.4, 0.1, 0.5, -0.3, -0.4, 0.2, 0.1 };
static const double X[B * D] = { 0.3, -0.8, 0.5, 1.1, 0.2, -0.4 };

typedef struct dense {
    deq_value w, x;
} dense;

/* tanh(z W' + x) */
static void cell(deq_graph *g, const deq_value *z, deq_value *fz, void *user)
{
    const dense *c = user;
    fz[0] = deq_tanh(g, deq_add(g, deq_linear(g, z[0], c->w, DEQ_NONE), c->x));
}

static void plain_cell(double *fz, const double *z)
{
    for (int b = 0; b < B; b++)
        for (int i = 0; i < D; i++) {
            double h = X[b * D + i];
            for (int j = 0; j < D; j++) h += W[i * D + j] * z[b * D + j];
            fz[b * D + i] = tanh(h);
        }
}

static void plain_step(double *z, double tau)
{
    double fz[B * D];
    plain_cell(fz, z);
    for (int i = 0; i < B * D; i++) z[i] = tau * fz[i] + (1 - tau) * z[i];
}

typedef struct setting {
    test_graph t;
    dense c;
    deq_value z0, z[MOST];
    int count;
} setting;

static setting set_up(const deq_equilibrium_options *o, const deq_supervision *supervision)
{
    setting s = { .t = test_graph_new() };
    s.c = (dense){ f64_input(&s.t, "w", DEQ_STAGE_PARAMETER, DEQ_SHAPE(D, D)),
                   f64_input(&s.t, "x", DEQ_STAGE_INJECTED, DEQ_SHAPE(B, D)) };
    s.z0 = deq_fill(s.t.g, DEQ_F64, DEQ_SHAPE(B, D), 0);
    s.count = deq_supervised_count(o, supervision);
    assert_in_range(s.count, 1, MOST);
    deq_equilibrium_supervised(s.t.g, s.z, cell, &s.c, &s.z0, 1, o, supervision, NULL);
    assert_ok(&s.t);
    return s;
}

static void compute(const setting *s, deq_value out, double *result)
{
    const deq_value in[2] = { s->c.w, s->c.x };
    const double *data[2] = { W, X };
    evaluate(&s->t, in, data, 2, out, result, NULL);
}

static void check_state(const setting *s, int i, const double *expected)
{
    double z[B * D];
    compute(s, s->z[i], z);
    check_close("state", z, expected, B * D, 1e-12);
}

static deq_equilibrium_options phantom(int steps, double tau)
{
    deq_equilibrium_options o = deq_equilibrium_defaults();
    o.forward.method = DEQ_PICARD;
    o.forward.atol = 1e-14;
    o.forward.rtol = 0;
    o.forward.max_iter = 200;
    o.gradient = DEQ_GRADIENT_PHANTOM_UNROLL;
    o.steps = steps;
    o.tau = tau;
    return o;
}

/* Weights ------------------------------------------------------------------------------------ */

static void the_last_loss_weighs_most(void **state)
{
    (void)state;
    static const double exponential[4] = { 0.512, 0.64, 0.8, 1 };
    static const double linear[4] = { 0.325, 0.55, 0.775, 1 };
    deq_correction_options constant = deq_correction_defaults(DEQ_CORRECTION_CONSTANT);
    deq_correction_options line = deq_correction_defaults(DEQ_CORRECTION_LINEAR);
    for (int i = 0; i < 4; i++) {
        assert_true(fabs(deq_correction_weight(NULL, 4, i) - exponential[i]) < 1e-15);
        assert_true(fabs(deq_correction_weight(&line, 4, i) - linear[i]) < 1e-15);
        assert_true(deq_correction_weight(&constant, 4, i) == 1);
    }
    line.bias = 0.5;
    assert_true(fabs(deq_correction_weight(&line, 4, 3) - 1.5) < 1e-15);
}

static void corrections_sum_weighted_losses(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value losses[3] = { deq_fill(t.g, DEQ_F64, DEQ_SCALAR, 10),
                            deq_fill(t.g, DEQ_F64, DEQ_SCALAR, 20),
                            deq_fill(t.g, DEQ_F64, DEQ_SCALAR, 40) };
    double value, expected = 6.4 + 16 + 40;
    deq_value sum = deq_fixed_point_correction(t.g, losses, 3, NULL);
    evaluate(&t, NULL, NULL, 0, sum, &value, NULL);
    check_close("sum", &value, &expected, 1, 1e-15);
    losses[1] = deq_fill(t.g, DEQ_F64, DEQ_SHAPE(2), 1);
    deq_fixed_point_correction(t.g, losses, 3, NULL);
    assert_refused(&t, DEQ_ERR_SHAPE, "loss 1 is f64 [2], loss 0 is f64 []", NULL);
    test_graph_free(&t);
}

/* Tails -------------------------------------------------------------------------------------- */

static void every_gap_th_step_and_always_the_last_is_returned_once(void **state)
{
    (void)state;
    static const int at3[] = { 3 }, at27[] = { 2, 7, 7, 9 };
    struct {
        deq_supervision s;
        int expected[8], n; /* steps of a tail of 7 */
    } cases[] = {
        { { .gap = 0 }, { 7 }, 1 },
        { { .gap = 1 }, { 1, 2, 3, 4, 5, 6, 7 }, 7 },
        { { .gap = 3 }, { 3, 6, 7 }, 3 },
        { { .gap = 7 }, { 7 }, 1 },
        { { .gap = 9 }, { 7 }, 1 },
        { { .locations = at27, .n_locations = 4 }, { 2, 7 }, 2 },
        { { .locations = at3, .n_locations = 1, .gap = 2 }, { 2, 3, 4, 6, 7 }, 5 },
    };
    deq_equilibrium_options o = phantom(7, 0.6);
    o.forward.max_iter = 1; /* z* is z0 = 0, so that the steps differ */
    for (size_t c = 0; c < COUNT_OF(cases); c++) {
        cases[c].s.struct_size = sizeof cases[c].s;
        setting s = set_up(&o, &cases[c].s);
        assert_int_equal(s.count, cases[c].n);
        double z[B * D] = { 0 };
        for (int t = 1, i = 0; t <= 7; t++) {
            plain_step(z, 0.6);
            if (i < s.count && cases[c].expected[i] == t) check_state(&s, i++, z);
        }
        test_graph_free(&s.t);
    }
}

static void an_unrolling_is_one_tail(void **state)
{
    (void)state;
    deq_equilibrium_options o = phantom(1, 0.9);
    deq_supervision supervision = deq_supervision_defaults();
    o.gradient = DEQ_GRADIENT_UNROLL;
    o.forward.max_iter = 6;
    supervision.gap = 2;
    setting s = set_up(&o, &supervision);
    double z[B * D] = { 0 };
    assert_int_equal(s.count, 3);
    for (int i = 0; i < 3; i++) {
        plain_step(z, 0.9);
        plain_step(z, 0.9);
        check_state(&s, i, z);
    }
    test_graph_free(&s.t);
}

/* Forward states ----------------------------------------------------------------------------- */

/* After k evaluations of a contraction the best iterate is z_{k-1}. */
static void saved_states_get_tails_of_their_own(void **state)
{
    (void)state;
    static const int index[2] = { 2, 5 }, steps[3] = { 1, 3, 2 };
    deq_equilibrium_options o = phantom(1, 0.7);
    deq_supervision supervision = deq_supervision_defaults();
    o.forward.state_index = index;
    o.forward.n_state_index = 2;
    supervision.steps = steps;
    supervision.n_steps = 3;
    setting s = set_up(&o, &supervision);
    assert_int_equal(s.count, 3);
    for (int i = 0; i < 3; i++) {
        double z[B * D] = { 0 };
        int n = i < 2 ? index[i] - 1 : 100;
        for (int k = 0; k < n; k++) plain_step(z, 1);
        for (int k = 0; k < steps[i]; k++) plain_step(z, 0.7);
        check_state(&s, i, z);
    }
    test_graph_free(&s.t);
}

/* d sum_i c . z_i / dW = the sum over tails, each from its held start. */
static void the_gradient_is_the_sum_over_tails(void **state)
{
    (void)state;
    static const int index[1] = { 3 };
    deq_equilibrium_options o = phantom(2, 0.7);
    o.forward.state_index = index;
    o.forward.n_state_index = 1;
    setting s = set_up(&o, NULL);
    deq_graph *g = s.t.g;
    deq_value sum = deq_sum(g, deq_add(g, s.z[0], s.z[1]), DEQ_ALL_AXES, false), dw, expected;
    deq_vjp(g, &dw, &sum, NULL, 1, &s.c.w, 1);

    deq_value total = DEQ_NONE;
    for (int i = 0; i < 2; i++) {
        double start[B * D] = { 0 };
        for (int k = 0; k < (i ? 100 : 2); k++) plain_step(start, 1);
        deq_value h = deq_constant(g, DEQ_F64, DEQ_SHAPE(B, D), start), fh;
        for (int k = 0; k < 2; k++) {
            cell(g, &h, &fh, &s.c);
            h = deq_add(g, deq_scale(g, fh, 0.7), deq_scale(g, h, 0.3));
        }
        deq_value part = deq_sum(g, h, DEQ_ALL_AXES, false);
        total = i ? deq_add(g, total, part) : part;
    }
    deq_vjp(g, &expected, &total, NULL, 1, &s.c.w, 1);
    double a[D * D], b[D * D];
    compute(&s, dw, a);
    compute(&s, expected, b);
    check_close("dW", a, b, D * D, 1e-12);
    test_graph_free(&s.t);
}

static void the_last_state_keeps_its_implicit_gradient(void **state)
{
    (void)state;
    deq_equilibrium_options o = phantom(1, 1);
    o.gradient = DEQ_GRADIENT_IFT;
    o.adjoint.rtol = 1e-13;
    o.forward.n_states = 3;
    setting s = set_up(&o, NULL);
    assert_int_equal(s.count, 3);
    deq_graph *g = s.t.g;
    deq_value alone = deq_equilibrium(g, cell, &s.c, s.z0, &o, NULL), of[2] = { s.z[2], alone };
    double dw[2][D * D];
    for (int i = 0; i < 2; i++) {
        deq_value loss = deq_sum(g, deq_square(g, of[i]), DEQ_ALL_AXES, false), d;
        deq_vjp(g, &d, &loss, NULL, 1, &s.c.w, 1);
        compute(&s, d, dw[i]);
    }
    check_close("dW", dw[0], dw[1], D * D, 0);
    test_graph_free(&s.t);
}

/* A loss of all returned states and its gradient; the weights of the sum are 1, 2, ... */
static void loss_and_gradient(const deq_equilibrium_options *o, const deq_supervision *supervision,
                              double *loss, double *dw)
{
    setting s = set_up(o, supervision);
    deq_graph *g = s.t.g;
    deq_value sum = DEQ_NONE, d;
    for (int i = 0; i < s.count; i++) {
        deq_value square = deq_sum(g, deq_square(g, s.z[i]), DEQ_ALL_AXES, false);
        deq_value weighted = deq_scale(g, square, i + 1);
        sum = i ? deq_add(g, sum, weighted) : weighted;
    }
    deq_vjp(g, &d, &sum, NULL, 1, &s.c.w, 1);
    compute(&s, sum, loss);
    compute(&s, d, dw);
    test_graph_free(&s.t);
}

static void recomputation_changes_neither_states_nor_gradients(void **state)
{
    (void)state;
    static const int index[2] = { 2, 5 }, at[2] = { 1, 4 };
    for (int i = 0; i < 12; i++) {
        deq_equilibrium_options o = phantom(5, i % 2 ? 0.7 : 1);
        deq_supervision supervision = deq_supervision_defaults();
        if (i % 3 == 1) supervision.gap = 2;
        if (i % 3 == 2) supervision.locations = at, supervision.n_locations = 2;
        if (i >= 6) o.gradient = DEQ_GRADIENT_UNROLL, o.forward.max_iter = 6;
        if (i < 6) o.forward.state_index = index, o.forward.n_state_index = 2;
        double loss[2], dw[2][D * D];
        for (int k = 0; k < 2; k++) {
            o.recompute = k;
            loss_and_gradient(&o, &supervision, &loss[k], dw[k]);
        }
        check_close("loss", &loss[1], &loss[0], 1, 1e-14);
        check_close("dW", dw[1], dw[0], D * D, 1e-13);
    }
}

/* Two states of different sizes: f0 = tanh(z1 W'[0:1] / 2 + x0), f1 = tanh(z0 W[0:1] / 2). */
static void two_cell(deq_graph *g, const deq_value *z, deq_value *fz, void *user)
{
    const dense *c = user;
    deq_value row = deq_slice(g, c->w, 0, 0, 1), x0 = deq_slice(g, c->x, 1, 0, 1);
    fz[0] = deq_tanh(g, deq_add(g, deq_matmul(g, z[1], row, false, true), x0));
    fz[1] = deq_tanh(g, deq_matmul(g, z[0], row, false, false));
}

static void saved_states_come_apart_again(void **state)
{
    (void)state;
    static const int index[2] = { 2, 4 };
    deq_equilibrium_options o = phantom(1, 1);
    o.forward.state_index = index;
    o.forward.n_state_index = 2;
    setting s = { .t = test_graph_new() };
    deq_graph *g = s.t.g;
    s.c = (dense){ f64_input(&s.t, "w", DEQ_STAGE_PARAMETER, DEQ_SHAPE(D, D)),
                   f64_input(&s.t, "x", DEQ_STAGE_INJECTED, DEQ_SHAPE(B, D)) };
    deq_value z0[2] = { deq_fill(g, DEQ_F64, DEQ_SHAPE(B, 1), 0),
                        deq_fill(g, DEQ_F64, DEQ_SHAPE(B, D), 0.1) };
    deq_equilibrium_supervised(g, s.z, two_cell, &s.c, z0, 2, &o, NULL, NULL);
    assert_ok(&s.t);
    double a[B] = { 0 }, b[B * D], fa[B], fb[B * D];
    for (int i = 0; i < B * D; i++) b[i] = 0.1;
    for (int k = 1, at = 0; k <= 4; k++) {
        for (int n = 0; n < B; n++) {
            double h = X[n * D];
            for (int j = 0; j < D; j++) {
                h += W[j] * b[n * D + j];
                fb[n * D + j] = tanh(W[j] * a[n]);
            }
            fa[n] = tanh(h);
        }
        memcpy(a, fa, sizeof a);
        memcpy(b, fb, sizeof b);
        if (index[at] != k) continue; /* z_{k-1}, and one step of the tail */
        double za[B], zb[B * D];
        compute(&s, s.z[2 * at], za);
        compute(&s, s.z[2 * at + 1], zb);
        check_close("first", za, a, B, 1e-12);
        check_close("second", zb, b, B * D, 1e-12);
        if (++at == 2) break;
    }
    test_graph_free(&s.t);
}

/* A cell that the compiler computes channels-last. */
static void conv_cell(deq_graph *g, const deq_value *z, deq_value *fz, void *user)
{
    const dense *c = user;
    deq_value h = deq_conv2d(g, z[0], c->w, DEQ_NONE, DEQ_CONV2D(.padding = { 1, 1 }));
    fz[0] = deq_tanh(g, deq_add(g, h, c->x));
}

enum { CB = 2, CC = 16, CS = 6, CN = CB * CC * CS * CS, CW = CC * CC * 9 };

static void conv_states(deq_method method, bool layout, float *result)
{
    static float w[CW], x[CN];
    deq_equilibrium_options o = phantom(1, 1);
    deq_compile_options compile = deq_compile_defaults();
    deq_value z[2];
    test_graph t = test_graph_new();
    for (int i = 0; i < CW; i++) w[i] = (float)(0.08 * sin(1.3 * i));
    for (int i = 0; i < CN; i++) x[i] = (float)sin(0.7 * i);
    dense c = { deq_constant(t.g, DEQ_F32, DEQ_SHAPE(CC, CC, 3, 3), w),
                deq_input(t.g, "x", DEQ_STAGE_INJECTED, DEQ_F32, DEQ_SHAPE(CB, CC, CS, CS)) };
    deq_value z0 = deq_fill(t.g, DEQ_F32, DEQ_SHAPE(CB, CC, CS, CS), 0);
    o.forward.method = method;
    o.forward.atol = 1e-5;
    o.forward.n_states = 2;
    o.gradient = DEQ_GRADIENT_JFB;
    deq_equilibrium_supervised(t.g, z, conv_cell, &c, &z0, 1, &o, NULL, NULL);
    compile.layout = layout;
    deq_program *p = must_compile(&t, z, 2, &compile);
    must_write(&t, p, c.x, x);
    must_run(p, DEQ_STAGE_PARAMETER);
    must_read(&t, p, z[0], result);
    must_read(&t, p, z[1], result + CN);
    deq_program_free(p);
    test_graph_free(&t);
}

static void states_are_plain_in_whatever_layout_they_were_solved(void **state)
{
    (void)state;
    static const deq_method methods[] = { DEQ_PICARD, DEQ_ANDERSON, DEQ_ADJOINT_BROYDEN,
                                          DEQ_NEWTON_KRYLOV };
    for (size_t m = 0; m < COUNT_OF(methods); m++) {
        static float a[2 * CN], b[2 * CN];
        conv_states(methods[m], true, a);
        conv_states(methods[m], false, b);
        for (int i = 0; i < 2 * CN; i++)
            if (fabsf(a[i] - b[i]) > 2e-4f)
                fail_msg("%s: %g and %g at %d", deq_method_name(methods[m]), (double)a[i],
                         (double)b[i], i);
    }
}

/* Refusals ----------------------------------------------------------------------------------- */

static void wrong_supervision_is_refused(void **state)
{
    (void)state;
    static const int zero[1] = { 0 }, one[1] = { 1 };
    struct {
        deq_supervision s;
        int n_states;
        deq_gradient gradient;
        const char *text;
    } cases[] = {
        { { .struct_size = 3 }, 1, DEQ_GRADIENT_IFT, "struct_size is 3" },
        { { .gap = -1 }, 1, DEQ_GRADIENT_IFT, "gap is -1" },
        { { .steps = one, .n_steps = 1 }, 2, DEQ_GRADIENT_IFT, "1 tails for 2 saved states" },
        { { .steps = zero, .n_steps = 1 }, 1, DEQ_GRADIENT_IFT, "steps[0] is 0" },
        { { .locations = zero, .n_locations = 1 }, 1, DEQ_GRADIENT_IFT, "locations[0] is 0" },
        { { .n_locations = 1 }, 1, DEQ_GRADIENT_IFT, "locations is missing" },
        { { .gap = 1 }, 2, DEQ_GRADIENT_UNROLL, "unrolling saves no states (2 asked for)" },
        { { .gap = 0 }, 3, DEQ_GRADIENT_REVERSIBLE, "reversible iteration saves no states (3" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        test_graph t = test_graph_new();
        deq_equilibrium_options o = deq_equilibrium_defaults();
        deq_value z[MOST], z0 = deq_fill(t.g, DEQ_F64, DEQ_SHAPE(B, D), 0);
        dense c = { f64_input(&t, "w", DEQ_STAGE_PARAMETER, DEQ_SHAPE(D, D)), z0 };
        if (!cases[i].s.struct_size) cases[i].s.struct_size = sizeof cases[i].s;
        o.forward.n_states = cases[i].n_states;
        o.gradient = cases[i].gradient;
        deq_equilibrium_supervised(t.g, z, cell, &c, &z0, 1, &o, &cases[i].s, NULL);
        assert_refused(&t, DEQ_ERR_ARGUMENT, cases[i].text, NULL);
        test_graph_free(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_loss_weighs_most),
        cmocka_unit_test(corrections_sum_weighted_losses),
        cmocka_unit_test(every_gap_th_step_and_always_the_last_is_returned_once),
        cmocka_unit_test(an_unrolling_is_one_tail),
        cmocka_unit_test(saved_states_get_tails_of_their_own),
        cmocka_unit_test(the_gradient_is_the_sum_over_tails),
        cmocka_unit_test(the_last_state_keeps_its_implicit_gradient),
        cmocka_unit_test(recomputation_changes_neither_states_nor_gradients),
        cmocka_unit_test(saved_states_come_apart_again),
        cmocka_unit_test(states_are_plain_in_whatever_layout_they_were_solved),
        cmocka_unit_test(wrong_supervision_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
