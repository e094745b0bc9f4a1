/* SPDX-License-Identifier: MIT */
/* Derivatives of whole expressions against closed forms; those of operators are in tests/op. */
#include "support/engine.h"

#include "graph/graph.h"

enum { N = 5 };
static const double points[N] = { -1.3, -0.4, 0.2, 0.9, 1.7 };

static deq_value derivative(const test_graph *t, deq_value y, deq_value x)
{
    deq_value d = DEQ_NONE;
    deq_value sum = deq_sum(t->g, y, DEQ_ALL_AXES, false);
    if (deq_vjp(t->g, &d, &sum, NULL, 1, &x, 1) != DEQ_OK) fail_msg("%s", deq_graph_error(t->g));
    return d;
}

static deq_value tangent(const test_graph *t, deq_value y, deq_value x, deq_value dx)
{
    deq_value d = DEQ_NONE;
    if (deq_jvp(t->g, &d, &y, 1, &x, &dx, 1) != DEQ_OK) fail_msg("%s", deq_graph_error(t->g));
    return d;
}

/* Elements of `out` at x = points, compared with f(x) element by element, simplified and not. */
static void check_pointwise(const test_graph *t, deq_value x, deq_value out, double (*f)(double),
                            double tol)
{
    const double *data[1] = { points };
    for (int simplified = 0; simplified < 2; simplified++) {
        double result[N], expected[N];
        deq_compile_options o = plain_options();
        o.simplify = simplified;
        evaluate(t, &x, data, 1, out, result, &o);
        for (int i = 0; i < N; i++) expected[i] = f(points[i]);
        check_close("pointwise", result, expected, N, tol);
    }
}

static deq_value vector(const test_graph *t)
{
    return f64_input(t, "x", DEQ_STAGE_STATE, DEQ_SHAPE(N));
}

/* Compositions -------------------------------------------------------------------------------- */

static deq_value composition(deq_graph *g, deq_value x)
{
    /* sin(x^2) exp(-x) + tanh(x) */
    return deq_add(g, deq_mul(g, deq_sin(g, deq_square(g, x)), deq_exp(g, deq_neg(g, x))),
                   deq_tanh(g, x));
}
static double composition_slope(double x)
{
    return (2 * x * cos(x * x) - sin(x * x)) * exp(-x) + 1 - tanh(x) * tanh(x);
}

static void vjp_of_a_composition_is_the_closed_form(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value x = vector(&t);
    check_pointwise(&t, x, derivative(&t, composition(t.g, x), x), composition_slope, 1e-14);
    test_graph_free(&t);
}

static void jvp_of_a_composition_is_the_closed_form(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value x = vector(&t), one = deq_fill(t.g, DEQ_F64, DEQ_SHAPE(N), 1);
    check_pointwise(&t, x, tangent(&t, composition(t.g, x), x, one), composition_slope, 1e-14);
    test_graph_free(&t);
}

static double shared_slope(double x)
{
    double s = sin(x), c = cos(x);
    return 3 * s * s * c + c; /* s^3 + s with s shared by four uses */
}

static void uses_of_a_shared_subexpression_accumulate(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value x = vector(&t), s = deq_sin(t.g, x);
    deq_value y = deq_add(t.g, deq_mul(t.g, s, deq_mul(t.g, s, s)), s);
    check_pointwise(&t, x, derivative(&t, y, x), shared_slope, 1e-14);
    deq_value one = deq_fill(t.g, DEQ_F64, DEQ_SHAPE(N), 1);
    check_pointwise(&t, x, tangent(&t, y, x, one), shared_slope, 1e-14);
    test_graph_free(&t);
}

static double doubled(double x)
{
    return 2 * x;
}

static void an_input_used_twice_by_one_operator_counts_twice(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value x = vector(&t), y = deq_mul(t.g, x, x);
    deq_value one = deq_fill(t.g, DEQ_F64, DEQ_SHAPE(N), 1);
    check_pointwise(&t, x, derivative(&t, y, x), doubled, 1e-15);
    check_pointwise(&t, x, tangent(&t, y, x, one), doubled, 1e-15);
    test_graph_free(&t);
}

/* Intermediate values ------------------------------------------------------------------------- */

static double cosine(double x)
{
    return cos(sin(x)); /* d sin(h) / dh at h = sin x */
}
static double both_cosines(double x)
{
    return cos(sin(x)) * cos(x);
}

static void inputs_may_be_intermediate_values(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value x = vector(&t), h = deq_sin(t.g, x), y = deq_sin(t.g, h);
    check_pointwise(&t, x, derivative(&t, y, h), cosine, 1e-14);
    deq_value one = deq_fill(t.g, DEQ_F64, DEQ_SHAPE(N), 1);
    check_pointwise(&t, x, tangent(&t, y, h, one), cosine, 1e-14);
    test_graph_free(&t);
}

static void an_intermediate_value_among_the_inputs_hides_nothing(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value x = vector(&t), h = deq_sin(t.g, x);
    deq_value y = deq_sum(t.g, deq_sin(t.g, h), DEQ_ALL_AXES, false);
    deq_value both[2] = { h, x }, grads[2];
    assert_int_equal(deq_vjp(t.g, grads, &y, NULL, 1, both, 2), DEQ_OK);
    check_pointwise(&t, x, grads[0], cosine, 1e-14);
    check_pointwise(&t, x, grads[1], both_cosines, 1e-14);
    test_graph_free(&t);
}

/* With h = sin x and tangents 1 for both:  cos(h) (1 + cos x). */
static double both_tangents(double x)
{
    return cos(sin(x)) * (1 + cos(x));
}

static void tangents_of_an_intermediate_value_add_up(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value x = vector(&t), h = deq_sin(t.g, x), y = deq_sin(t.g, h), d;
    deq_value one = deq_fill(t.g, DEQ_F64, DEQ_SHAPE(N), 1);
    deq_value both[2] = { x, h }, ones[2] = { one, one };
    assert_int_equal(deq_jvp(t.g, &d, &y, 1, both, ones, 2), DEQ_OK);
    check_pointwise(&t, x, d, both_tangents, 1e-14);
    test_graph_free(&t);
}

static double one_of(double x)
{
    (void)x;
    return 1;
}
static double zero_of(double x)
{
    (void)x;
    return 0;
}

static void a_value_is_its_own_derivative_by_itself(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value x = vector(&t), one = deq_fill(t.g, DEQ_F64, DEQ_SHAPE(N), 1), d;
    assert_int_equal(deq_vjp(t.g, &d, &x, &one, 1, &x, 1), DEQ_OK);
    check_pointwise(&t, x, d, one_of, 0);
    assert_int_equal(deq_jvp(t.g, &d, &x, 1, &x, &one, 1), DEQ_OK);
    check_pointwise(&t, x, d, one_of, 0);
    test_graph_free(&t);
}

static void outputs_that_are_equal_values_accumulate(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value x = vector(&t), y = deq_square(t.g, x), both[2] = { y, y }, d;
    deq_value half = deq_fill(t.g, DEQ_F64, DEQ_SHAPE(N), 0.5), halves[2] = { half, half };
    assert_int_equal(deq_vjp(t.g, &d, both, halves, 2, &x, 1), DEQ_OK);
    check_pointwise(&t, x, d, doubled, 1e-15);
    test_graph_free(&t);
}

static void an_input_named_twice_gets_its_derivative_twice(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value x = vector(&t), twice[2] = { x, x }, grads[2];
    deq_value y = deq_sum(t.g, deq_square(t.g, x), DEQ_ALL_AXES, false);
    assert_int_equal(deq_vjp(t.g, grads, &y, NULL, 1, twice, 2), DEQ_OK);
    check_pointwise(&t, x, grads[0], doubled, 1e-15);
    check_pointwise(&t, x, grads[1], doubled, 1e-15);
    test_graph_free(&t);
}

static void the_list_of_inputs_may_receive_the_derivatives(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value x = vector(&t), list[2] = { x, x }, one = deq_fill(t.g, DEQ_F64, DEQ_SHAPE(N), 1);
    deq_value y = deq_sum(t.g, deq_square(t.g, x), DEQ_ALL_AXES, false);
    assert_int_equal(deq_vjp(t.g, list, &y, NULL, 1, list, 2), DEQ_OK);
    check_pointwise(&t, x, list[0], doubled, 1e-15);
    check_pointwise(&t, x, list[1], doubled, 1e-15);
    list[0] = deq_square(t.g, x);
    assert_int_equal(deq_jvp(t.g, list, list, 1, &x, &one, 1), DEQ_OK);
    check_pointwise(&t, x, list[0], doubled, 1e-15);
    test_graph_free(&t);
}

/* Zeros --------------------------------------------------------------------------------------- */

static void what_does_not_depend_has_zero_derivative(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value x = vector(&t), other = f64_input(&t, "other", DEQ_STAGE_STATE, DEQ_SHAPE(3, 2));
    deq_value y = deq_sum(t.g, deq_exp(t.g, x), DEQ_ALL_AXES, false), both[2] = { other, x };
    deq_value grads[2], d, one = deq_fill(t.g, DEQ_F64, DEQ_SHAPE(3, 2), 1);
    assert_int_equal(deq_vjp(t.g, grads, &y, NULL, 1, both, 2), DEQ_OK);
    assert_shape(&t, grads[0], DEQ_SHAPE(3, 2));
    double zeros[6];
    evaluate(&t, NULL, NULL, 0, grads[0], zeros, NULL);
    for (int i = 0; i < 6; i++) assert_true(zeros[i] == 0);
    check_pointwise(&t, x, grads[1], exp, 1e-15);
    assert_int_equal(deq_jvp(t.g, &d, &x, 1, &other, &one, 1), DEQ_OK);
    check_pointwise(&t, x, d, zero_of, 0);
    test_graph_free(&t);
}

static void no_cotangent_and_no_tangent_are_zero(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value x = vector(&t), y = deq_square(t.g, x), none = DEQ_NONE, d;
    assert_int_equal(deq_vjp(t.g, &d, &y, &none, 1, &x, 1), DEQ_OK);
    check_pointwise(&t, x, d, zero_of, 0);
    assert_int_equal(deq_jvp(t.g, &d, &y, 1, &x, &none, 1), DEQ_OK);
    check_pointwise(&t, x, d, zero_of, 0);
    test_graph_free(&t);
}

static void stop_gradient_stops_both_modes(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value x = vector(&t), one = deq_fill(t.g, DEQ_F64, DEQ_SHAPE(N), 1);
    deq_value y = deq_add(t.g, deq_exp(t.g, x), deq_square(t.g, deq_stop_gradient(t.g, x)));
    check_pointwise(&t, x, derivative(&t, y, x), exp, 1e-15);
    check_pointwise(&t, x, tangent(&t, y, x, one), exp, 1e-15);
    test_graph_free(&t);
}

static void comparisons_stop_derivatives(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value x = vector(&t), one = deq_fill(t.g, DEQ_F64, DEQ_SHAPE(N), 1);
    deq_value positive = deq_cast(t.g, deq_greater(t.g, x, deq_scale(t.g, one, 0)), DEQ_F64);
    deq_value y = deq_add(t.g, positive, x);
    check_pointwise(&t, x, derivative(&t, y, x), one_of, 0);
    check_pointwise(&t, x, tangent(&t, y, x, one), one_of, 0);
    test_graph_free(&t);
}

/* Only what is on a path from inputs to outputs is differentiated. */
static void unrelated_branches_add_no_nodes(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value x = vector(&t), other = f64_input(&t, "other", DEQ_STAGE_STATE, DEQ_SHAPE(N));
    deq_value heavy = other;
    for (int i = 0; i < 50; i++) heavy = deq_sin(t.g, heavy);
    deq_value y = deq_add(t.g, deq_square(t.g, x), heavy);
    size_t before = t.g->n_nodes;
    derivative(&t, y, x);
    assert_true(t.g->n_nodes - before < 15);
    before = t.g->n_nodes;
    tangent(&t, y, x, deq_fill(t.g, DEQ_F64, DEQ_SHAPE(N), 1));
    assert_true(t.g->n_nodes - before < 10);
    test_graph_free(&t);
}

/* Higher derivatives -------------------------------------------------------------------------- */

/* p(x) = x^5 - 2 x^3 + x:  p' = 5 x^4 - 6 x^2 + 1,  p'' = 20 x^3 - 12 x,  p''' = 60 x^2 - 12. */
static deq_value polynomial(deq_graph *g, deq_value x)
{
    deq_value x2 = deq_mul(g, x, x), x3 = deq_mul(g, x2, x);
    return deq_add(g, deq_sub(g, deq_mul(g, x3, x2), deq_scale(g, x3, 2)), x);
}
static double polynomial_1(double x)
{
    return 5 * pow(x, 4) - 6 * x * x + 1;
}
static double polynomial_2(double x)
{
    return 20 * pow(x, 3) - 12 * x;
}
static double polynomial_3(double x)
{
    return 60 * x * x - 12;
}

/* Each derivative by either mode: all eight ways to the third. */
static void a_polynomial_is_differentiated_three_times_in_any_mode(void **state)
{
    (void)state;
    double (*const expected[3])(double) = { polynomial_1, polynomial_2, polynomial_3 };
    for (int modes = 0; modes < 8; modes++) {
        test_graph t = test_graph_new();
        deq_value x = vector(&t), y = polynomial(t.g, x);
        deq_value one = deq_fill(t.g, DEQ_F64, DEQ_SHAPE(N), 1);
        for (int order = 0; order < 3; order++) {
            y = modes >> order & 1 ? tangent(&t, y, x, one) : derivative(&t, y, x);
            check_pointwise(&t, x, y, expected[order], 1e-13);
        }
        test_graph_free(&t);
    }
}

/*
 * f(x) = exp(a . x) + (x . x)^2 / 4:
 *   grad f = a e + (x . x) x,   H v = a (a . v) e + 2 (x . v) x + (x . x) v,   e = exp(a . x)
 */
static void check_hessian_vector(bool forward)
{
    test_graph t = test_graph_new();
    const double a[3] = { 0.3, -0.2, 0.5 }, at[3] = { 0.7, -1.1, 0.4 }, v[3] = { 1, 2, -0.5 };
    deq_value x = f64_input(&t, "x", DEQ_STAGE_STATE, DEQ_SHAPE(3));
    deq_value w = f64_input(&t, "v", DEQ_STAGE_STATE, DEQ_SHAPE(3)), grad, hv;
    deq_value ac = deq_constant(t.g, DEQ_F64, DEQ_SHAPE(3), a);
    deq_value e = deq_exp(t.g, deq_sum(t.g, deq_mul(t.g, ac, x), DEQ_ALL_AXES, false));
    deq_value square = deq_squared_norm(t.g, x, DEQ_ALL_AXES, false);
    deq_value f = deq_add(t.g, e, deq_scale(t.g, deq_square(t.g, square), 0.25));
    assert_int_equal(deq_vjp(t.g, &grad, &f, NULL, 1, &x, 1), DEQ_OK);
    if (forward)
        assert_int_equal(deq_jvp(t.g, &hv, &grad, 1, &x, &w, 1), DEQ_OK);
    else
        assert_int_equal(deq_vjp(t.g, &hv, &grad, &w, 1, &x, 1), DEQ_OK);

    double ax = 0, av = 0, xx = 0, xv = 0, expected[3], result[3];
    for (int i = 0; i < 3; i++) ax += a[i] * at[i], av += a[i] * v[i];
    for (int i = 0; i < 3; i++) xx += at[i] * at[i], xv += at[i] * v[i];
    for (int i = 0; i < 3; i++) expected[i] = a[i] * av * exp(ax) + 2 * xv * at[i] + xx * v[i];
    evaluate(&t, (deq_value[]){ x, w }, (const double *const[]){ at, v }, 2, hv, result, NULL);
    check_close("hessian", result, expected, 3, 1e-13);
    test_graph_free(&t);
}

static void jvp_of_vjp_is_the_hessian_vector_product(void **state)
{
    (void)state;
    check_hessian_vector(true);
}

static void vjp_of_vjp_is_the_hessian_vector_product(void **state)
{
    (void)state;
    check_hessian_vector(false);
}

/* vjp is linear in its cotangent: differentiating it by the cotangent transposes it, which is jvp. */
static void vjp_by_the_cotangent_of_vjp_is_jvp(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value x = f64_input(&t, "x", DEQ_STAGE_STATE, DEQ_SHAPE(2, 3));
    deq_value w = f64_input(&t, "w", DEQ_STAGE_PARAMETER, DEQ_SHAPE(4, 3));
    deq_value c = f64_input(&t, "c", DEQ_STAGE_STATE, DEQ_SHAPE(2, 4));
    deq_value v = f64_input(&t, "v", DEQ_STAGE_STATE, DEQ_SHAPE(2, 3));
    deq_value y = deq_tanh(t.g, deq_linear(t.g, x, w, DEQ_NONE)), back, twice, direct;
    assert_int_equal(deq_vjp(t.g, &back, &y, &c, 1, &x, 1), DEQ_OK);
    assert_int_equal(deq_vjp(t.g, &twice, &back, &v, 1, &c, 1), DEQ_OK);
    assert_int_equal(deq_jvp(t.g, &direct, &y, 1, &x, &v, 1), DEQ_OK);
    double xs[6], ws[12], cs[8], vs[6], a[8], b[8];
    for (int i = 0; i < 6; i++) xs[i] = 0.3 * i - 1, vs[i] = 1 - 0.4 * i;
    for (int i = 0; i < 12; i++) ws[i] = sin(i);
    for (int i = 0; i < 8; i++) cs[i] = cos(i);
    const deq_value in[4] = { x, w, c, v };
    const double *const data[4] = { xs, ws, cs, vs };
    evaluate(&t, in, data, 4, twice, a, NULL);
    evaluate(&t, in, data, 4, direct, b, NULL);
    check_close("twice", a, b, 8, 1e-14);
    test_graph_free(&t);
}

/* Several inputs and outputs ------------------------------------------------------------------ */

/* u = x y, v = x + y^2 with cotangents p, q:  dx = p y + q, dy = p x + 2 q y;  tangents likewise. */
static void several_inputs_and_outputs_are_swept_at_once(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    const char *const names[4] = { "x", "y", "p", "q" };
    const double numbers[4] = { 0.7, -1.2, 2.5, -0.3 };
    const double *data[4];
    deq_value in[4];
    for (int i = 0; i < 4; i++) {
        in[i] = f64_input(&t, names[i], DEQ_STAGE_STATE, DEQ_SCALAR);
        data[i] = &numbers[i];
    }
    deq_value outs[2] = { deq_mul(t.g, in[0], in[1]), deq_add(t.g, in[0], deq_square(t.g, in[1])) };
    deq_value grads[2], tangents[2];
    assert_int_equal(deq_vjp(t.g, grads, outs, in + 2, 2, in, 2), DEQ_OK);
    assert_int_equal(deq_jvp(t.g, tangents, outs, 2, in, in + 2, 2), DEQ_OK);
    double x = numbers[0], y = numbers[1], p = numbers[2], q = numbers[3], result;
    const double expected[4] = { p * y + q, p * x + 2 * q * y, p * y + x * q, p + 2 * y * q };
    for (int i = 0; i < 4; i++) {
        evaluate(&t, in, data, 4, i < 2 ? grads[i] : tangents[i - 2], &result, NULL);
        check_close("several", &result, &expected[i], 1, 1e-15);
    }
    test_graph_free(&t);
}

static void broadcast_inputs_collect_sums(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value x = f64_input(&t, "x", DEQ_STAGE_STATE, DEQ_SHAPE(2, 3));
    deq_value row = f64_input(&t, "row", DEQ_STAGE_STATE, DEQ_SHAPE(3));
    deq_value column = f64_input(&t, "column", DEQ_STAGE_STATE, DEQ_SHAPE(2, 1));
    deq_value scalar = f64_input(&t, "scalar", DEQ_STAGE_STATE, DEQ_SCALAR);
    deq_value y = deq_mul(t.g, deq_mul(t.g, x, row), deq_mul(t.g, column, scalar));
    deq_value loss = deq_sum(t.g, y, DEQ_ALL_AXES, false), in[4] = { x, row, column, scalar };
    deq_value grads[4];
    assert_int_equal(deq_vjp(t.g, grads, &loss, NULL, 1, in, 4), DEQ_OK);
    const double xs[6] = { 1, 2, 3, 4, 5, 6 }, rs[3] = { 1, -1, 2 }, cs[2] = { 3, -2 }, ss = 0.5;
    const double *const data[4] = { xs, rs, cs, &ss };
    double drow[3] = { 0 }, dcolumn[2] = { 0 }, dscalar = 0, result[6];
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 3; j++) {
            drow[j] += xs[i * 3 + j] * cs[i] * ss;
            dcolumn[i] += xs[i * 3 + j] * rs[j] * ss;
            dscalar += xs[i * 3 + j] * rs[j] * cs[i];
        }
    evaluate(&t, in, data, 4, grads[1], result, NULL);
    check_close("row", result, drow, 3, 1e-15);
    evaluate(&t, in, data, 4, grads[2], result, NULL);
    check_close("column", result, dcolumn, 2, 1e-15);
    evaluate(&t, in, data, 4, grads[3], result, NULL);
    check_close("scalar", result, &dscalar, 1, 1e-15);
    assert_shape(&t, grads[2], DEQ_SHAPE(2, 1));
    test_graph_free(&t);
}

static void derivatives_have_the_dtype_of_their_value(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value x = deq_input(t.g, "x", DEQ_STAGE_STATE, DEQ_F32, DEQ_SHAPE(3));
    deq_value y = deq_sum(t.g, deq_exp(t.g, deq_cast(t.g, x, DEQ_F64)), DEQ_ALL_AXES, false), d;
    assert_int_equal(deq_vjp(t.g, &d, &y, NULL, 1, &x, 1), DEQ_OK);
    assert_int_equal(deq_value_type(t.g, d).dtype, DEQ_F32);
    deq_value one = deq_fill(t.g, DEQ_F32, DEQ_SHAPE(3), 1);
    assert_int_equal(deq_jvp(t.g, &d, &y, 1, &x, &one, 1), DEQ_OK);
    assert_int_equal(deq_value_type(t.g, d).dtype, DEQ_F64);
    test_graph_free(&t);
}

/* Parameters ---------------------------------------------------------------------------------- */

static void gradients_of_unused_parameters_are_zeros(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_parameters *p;
    assert_int_equal(deq_parameters_new(&p, t.ctx, DEQ_F64), DEQ_OK);
    assert_int_equal(deq_parameters_add(p, "unused", DEQ_SHAPE(2, 2)), DEQ_OK);
    assert_int_equal(deq_parameters_add(p, "w", DEQ_SHAPE(3)), DEQ_OK);
    assert_int_equal(deq_parameters_allocate(p), DEQ_OK);
    for (int i = 0; i < 3; i++) ((double *)deq_parameters_values(p, 1))[i] = i + 1;
    deq_value w = deq_parameter(t.g, p, "w"), grads[2];
    deq_value loss = deq_squared_norm(t.g, w, DEQ_ALL_AXES, false);
    assert_int_equal(deq_gradients(t.g, grads, loss, p), DEQ_OK);
    double result[4];
    const double expected[3] = { 2, 4, 6 };
    evaluate(&t, NULL, NULL, 0, grads[0], result, NULL);
    for (int i = 0; i < 4; i++) assert_true(result[i] == 0);
    evaluate(&t, NULL, NULL, 0, grads[1], result, NULL);
    check_close("w", result, expected, 3, 1e-15);
    deq_parameters_free(p);
    test_graph_free(&t);
}

/* The derivative of a sum is the same value for both terms; the places are two. */
static void parameters_with_equal_gradients_are_bound_apart(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_parameters *p;
    const char *const names[3] = { "a", "b", "c" };
    assert_int_equal(deq_parameters_new(&p, t.ctx, DEQ_F64), DEQ_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(deq_parameters_add(p, names[i], DEQ_SHAPE(4)), DEQ_OK);
    assert_int_equal(deq_parameters_allocate(p), DEQ_OK);
    deq_value sum = deq_parameter(t.g, p, "a"), grads[3];
    for (int i = 1; i < 3; i++) sum = deq_add(t.g, sum, deq_parameter(t.g, p, names[i]));
    deq_value loss = deq_mean(t.g, sum, DEQ_ALL_AXES, false);
    assert_int_equal(deq_gradients(t.g, grads, loss, p), DEQ_OK);
    for (int simplified = 0; simplified < 2; simplified++) {
        deq_compile_options o = plain_options();
        o.simplify = simplified;
        deq_program *program = must_compile(&t, grads, 3, &o);
        memset(deq_parameters_gradients(p, -1), 0, 3 * 64);
        assert_int_equal(deq_program_bind_gradients(program, p, grads), DEQ_OK);
        must_run(program, DEQ_STAGE_PARAMETER);
        for (int i = 0; i < 3; i++)
            for (int k = 0; k < 4; k++)
                assert_true(((double *)deq_parameters_gradients(p, i))[k] == 0.25);
        deq_program_free(program);
    }
    deq_parameters_free(p);
    test_graph_free(&t);
}

static void gradients_in_a_poisoned_graph_are_invalid(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_parameters *p;
    assert_int_equal(deq_parameters_new(&p, t.ctx, DEQ_F64), DEQ_OK);
    assert_int_equal(deq_parameters_add(p, "w", DEQ_SHAPE(3)), DEQ_OK);
    deq_value loss = deq_add(t.g, DEQ_NONE, DEQ_NONE), grad = { 12345 };
    assert_int_equal(deq_gradients(t.g, &grad, loss, p), DEQ_ERR_DTYPE);
    assert_true(grad.id < 0);
    deq_parameters_free(p);
    test_graph_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vjp_of_a_composition_is_the_closed_form),
        cmocka_unit_test(jvp_of_a_composition_is_the_closed_form),
        cmocka_unit_test(uses_of_a_shared_subexpression_accumulate),
        cmocka_unit_test(an_input_used_twice_by_one_operator_counts_twice),
        cmocka_unit_test(inputs_may_be_intermediate_values),
        cmocka_unit_test(an_intermediate_value_among_the_inputs_hides_nothing),
        cmocka_unit_test(tangents_of_an_intermediate_value_add_up),
        cmocka_unit_test(a_value_is_its_own_derivative_by_itself),
        cmocka_unit_test(outputs_that_are_equal_values_accumulate),
        cmocka_unit_test(an_input_named_twice_gets_its_derivative_twice),
        cmocka_unit_test(the_list_of_inputs_may_receive_the_derivatives),
        cmocka_unit_test(what_does_not_depend_has_zero_derivative),
        cmocka_unit_test(no_cotangent_and_no_tangent_are_zero),
        cmocka_unit_test(stop_gradient_stops_both_modes),
        cmocka_unit_test(comparisons_stop_derivatives),
        cmocka_unit_test(unrelated_branches_add_no_nodes),
        cmocka_unit_test(a_polynomial_is_differentiated_three_times_in_any_mode),
        cmocka_unit_test(jvp_of_vjp_is_the_hessian_vector_product),
        cmocka_unit_test(vjp_of_vjp_is_the_hessian_vector_product),
        cmocka_unit_test(vjp_by_the_cotangent_of_vjp_is_jvp),
        cmocka_unit_test(several_inputs_and_outputs_are_swept_at_once),
        cmocka_unit_test(broadcast_inputs_collect_sums),
        cmocka_unit_test(derivatives_have_the_dtype_of_their_value),
        cmocka_unit_test(gradients_of_unused_parameters_are_zeros),
        cmocka_unit_test(parameters_with_equal_gradients_are_bound_apart),
        cmocka_unit_test(gradients_in_a_poisoned_graph_are_invalid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
