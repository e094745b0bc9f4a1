/* SPDX-License-Identifier: MIT */
/*
 * Equilibria as nodes: value, first and second derivatives in both modes, by the same checks as any
 * operator (differences go through the whole solve), and the estimators against closed forms.
 */
#include "support/engine.h"
#include "support/op_check.h"

#include <deq/deq.h>
#include <deq/equilibrium.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Solved to round-off, so that differences of solutions are differences of z*. */
static deq_equilibrium_options tight(void)
{
    deq_equilibrium_options o = deq_equilibrium_defaults();
    o.forward.atol = 1e-13;
    o.forward.rtol = 0;
    o.forward.max_iter = 200;
    o.adjoint.rtol = 1e-13;
    return o;
}

/* Cells -------------------------------------------------------------------------------------- */

typedef struct dense {
    deq_value w, x;
} dense;

/* tanh(z W' / 2 + x) */
static void dense_cell(deq_graph *g, const deq_value *z, deq_value *fz, void *user)
{
    const dense *c = user;
    deq_value wz = deq_scale(g, deq_linear(g, z[0], c->w, DEQ_NONE), 0.3);
    fz[0] = deq_tanh(g, deq_add(g, wz, c->x));
}

static deq_value zeros_like(deq_graph *g, deq_value v)
{
    deq_type t = deq_value_type(g, v);
    return deq_fill(g, t.dtype, t.shape, 0);
}

static deq_value build_dense(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    (void)n_in;
    dense c = { in[0], in[1] };
    return deq_equilibrium(g, dense_cell, &c, zeros_like(g, in[1]), user, NULL);
}

/* z W' / 4 + x */
static void affine_cell(deq_graph *g, const deq_value *z, deq_value *fz, void *user)
{
    const dense *c = user;
    fz[0] = deq_add(g, deq_scale(g, deq_linear(g, z[0], c->w, DEQ_NONE), 0.25), c->x);
}

static deq_value build_affine(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    (void)n_in;
    dense c = { in[0], in[1] };
    return deq_equilibrium(g, affine_cell, &c, zeros_like(g, in[1]), user, NULL);
}

/* Two states of different sizes that feed each other. */
static void two_cell(deq_graph *g, const deq_value *z, deq_value *fz, void *user)
{
    const dense *c = user; /* w: [2, 3], x: [B, 2] */
    deq_value up = deq_matmul(g, z[0], c->w, false, false);
    fz[1] = deq_tanh(g, deq_scale(g, up, 0.4));
    fz[0] = deq_sin(g, deq_add(g, deq_scale(g, deq_matmul(g, z[1], c->w, false, true), 0.3), c->x));
}

static deq_value build_two(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    (void)n_in;
    dense c = { in[0], in[1] };
    int64_t batch = deq_value_type(g, in[1]).shape.dim[0];
    deq_dtype dtype = deq_value_type(g, in[1]).dtype;
    deq_value z0[2] = { zeros_like(g, in[1]), deq_fill(g, dtype, DEQ_SHAPE(batch, 3), 0.1) }, z[2];
    deq_equilibrium_many(g, z, two_cell, &c, z0, 2, user, NULL);
    return deq_concat(g, z, 2, 1);
}

/* A convolutional cell with normalisation; smooth, so that differences mean something. */
static void conv_cell(deq_graph *g, const deq_value *z, deq_value *fz, void *user)
{
    const dense *c = user;
    deq_value h = deq_conv2d(g, z[0], c->w, DEQ_NONE, DEQ_CONV2D(.padding = { 1, 1 }));
    fz[0] = deq_tanh(g, deq_add(g, deq_scale(g, h, 0.1), c->x));
}

static deq_value build_conv(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    (void)n_in;
    dense c = { in[0], in[1] };
    return deq_equilibrium(g, conv_cell, &c, zeros_like(g, in[1]), user, NULL);
}

/* An equilibrium inside the cell of another: y*(z) = tanh(y W'/5 + z), z = sin(y* / 3 + x). */
typedef struct nest {
    deq_value w, x;
    const deq_equilibrium_options *options;
} nest;

static void inner_cell(deq_graph *g, const deq_value *y, deq_value *fy, void *user)
{
    const dense *c = user;
    fy[0] = deq_tanh(g, deq_add(g, deq_scale(g, deq_linear(g, y[0], c->w, DEQ_NONE), 0.2), c->x));
}

static void outer_cell(deq_graph *g, const deq_value *z, deq_value *fz, void *user)
{
    const nest *n = user;
    dense c = { n->w, z[0] };
    deq_value y = deq_equilibrium(g, inner_cell, &c, zeros_like(g, z[0]), n->options, NULL);
    fz[0] = deq_sin(g, deq_add(g, deq_scale(g, y, 1.0 / 3), n->x));
}

static deq_value build_nested(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    (void)n_in;
    nest n = { in[0], in[1], user };
    return deq_equilibrium(g, outer_cell, &n, zeros_like(g, in[1]), user, NULL);
}

/* Two equilibria in one graph, the second on the first. */
static deq_value build_chain(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    deq_value first = build_dense(g, in, n_in, user);
    deq_value again[2] = { in[0], first };
    return build_affine(g, again, n_in, user);
}

/* Derivatives -------------------------------------------------------------------------------- */

static void check(const char *name, op_build_fn *build, deq_type w, deq_type x, bool once)
{
    deq_equilibrium_options o = tight();
    op_case c = { .name = name,
                  .n_in = 2,
                  .in = { w, x },
                  .build = build,
                  .user = &o,
                  .step = 1e-4,
                  .tol = 1e-6,
                  .once_only = once };
    check_op(&c);
}

#define TYPE(...) ((deq_type){ DEQ_F64, DEQ_SHAPE(__VA_ARGS__) })

static void implicit_derivatives_of_an_affine_map_match_differences(void **state)
{
    (void)state;
    check("affine", build_affine, TYPE(3, 3), TYPE(2, 3), false);
}

static void implicit_derivatives_of_a_dense_cell_match_differences_twice(void **state)
{
    (void)state;
    check("dense", build_dense, TYPE(4, 4), TYPE(3, 4), false);
    check("dense, one", build_dense, TYPE(1, 1), TYPE(1, 1), false);
}

static void several_states_are_one_equilibrium(void **state)
{
    (void)state;
    check("two states", build_two, TYPE(2, 3), TYPE(2, 2), false);
}

static void implicit_derivatives_of_a_convolutional_cell_match_differences(void **state)
{
    (void)state;
    check("conv", build_conv, TYPE(2, 2, 3, 3), TYPE(2, 2, 4, 3), false);
}

static void equilibria_nest(void **state)
{
    (void)state;
    check("nested", build_nested, TYPE(2, 2), TYPE(2, 2), true);
}

static void one_graph_holds_several_equilibria(void **state)
{
    (void)state;
    check("chain", build_chain, TYPE(2, 2), TYPE(2, 2), false);
}

/* Estimators --------------------------------------------------------------------------------- */

enum { B = 3, D = 4 };

static const double W[D * D] = { 0.2, -0.1, 0.4, 0.3, 0.1, 0.5,  -0.3, 0.2,
                                 0.0, 0.3,  0.1, 0.4, 0.2, -0.2, 0.1,  0.3 };

/* dl/dx of l = sum(c z*), z* = z W'/4 + x, by some estimator: u = c A with A ~ (I - W/4)^-1. */
static void gradient_of(op_build_fn *build, const void *user, double *u, const double *cotangent)
{
    deq_context *ctx = test_context();
    deq_graph *g;
    deq_program *p;
    assert_int_equal(deq_graph_new(&g, ctx), DEQ_OK);
    deq_value w = deq_input(g, "w", DEQ_STAGE_PARAMETER, DEQ_F64, DEQ_SHAPE(D, D));
    deq_value x = deq_input(g, "x", DEQ_STAGE_INJECTED, DEQ_F64, DEQ_SHAPE(B, D)), dx;
    deq_value in[2] = { w, x };
    deq_value c = deq_constant(g, DEQ_F64, DEQ_SHAPE(B, D), cotangent);
    deq_value z = build(g, in, 2, user);
    assert_int_equal(deq_vjp(g, &dx, &z, &c, 1, &x, 1), DEQ_OK);
    assert_int_equal(deq_compile(&p, g, &dx, 1, NULL), DEQ_OK);
    double data[B * D];
    for (int i = 0; i < B * D; i++) data[i] = sin(i);
    assert_int_equal(deq_program_write(p, w, W, sizeof W), DEQ_OK);
    assert_int_equal(deq_program_write(p, x, data, sizeof data), DEQ_OK);
    assert_int_equal(deq_program_run(p, DEQ_STAGE_PARAMETER), DEQ_OK);
    assert_int_equal(deq_program_read(p, dx, u, B * D * sizeof *u), DEQ_OK);
    deq_program_free(p);
    deq_graph_free(g);
    deq_context_free(ctx);
}

static void gradient_of_affine(const deq_equilibrium_options *o, double *u, const double *cotangent)
{
    gradient_of(build_affine, o, u, cotangent);
}

/* u = sum_{i<k} tau w (tau J + (1 - tau) I)^i with J = W/4, in plain loops. */
static void neumann(double *u, const double *w, int k, double tau)
{
    for (int b = 0; b < B; b++) {
        double v[D], t[D];
        memcpy(v, w + b * D, sizeof v);
        for (int j = 0; j < D; j++) u[b * D + j] = tau * v[j];
        for (int i = 1; i < k; i++) {
            for (int j = 0; j < D; j++) {
                t[j] = (1 - tau) * v[j];
                for (int m = 0; m < D; m++) t[j] += tau * v[m] * W[m * D + j] / 4;
            }
            memcpy(v, t, sizeof v);
            for (int j = 0; j < D; j++) u[b * D + j] += tau * v[j];
        }
    }
}

static void cotangents(double *c)
{
    for (int i = 0; i < B * D; i++) c[i] = cos(2 * i + 1);
}

static void ift_sums_the_whole_neumann_series(void **state)
{
    (void)state;
    deq_equilibrium_options o = tight();
    double u[B * D], expected[B * D], c[B * D];
    cotangents(c);
    gradient_of_affine(&o, u, c);
    neumann(expected, c, 200, 1);
    check_close("ift", u, expected, B * D, 1e-12);
}

static void the_adjoint_may_be_solved_as_a_fixed_point(void **state)
{
    (void)state;
    static const deq_method methods[] = { DEQ_PICARD, DEQ_ANDERSON, DEQ_BROYDEN };
    for (int i = 0; i < 3; i++) {
        deq_equilibrium_options o = tight();
        double u[B * D], expected[B * D], c[B * D];
        cotangents(c);
        o.adjoint_by_solver = true;
        o.adjoint_solver = o.forward;
        o.adjoint_solver.method = methods[i];
        gradient_of_affine(&o, u, c);
        neumann(expected, c, 200, 1);
        check_close(deq_method_name(methods[i]), u, expected, B * D, 1e-11);
    }
}

static void phantom_neumann_sums_k_damped_terms(void **state)
{
    (void)state;
    for (int k = 1; k <= 6; k++) {
        deq_equilibrium_options o = tight();
        double u[B * D], expected[B * D], c[B * D];
        cotangents(c);
        o.gradient = DEQ_GRADIENT_PHANTOM_NEUMANN;
        o.steps = k;
        o.tau = 0.7;
        gradient_of_affine(&o, u, c);
        neumann(expected, c, k, 0.7);
        check_close("neumann", u, expected, B * D, 1e-14);
    }
}

/* For an affine map J is the same everywhere, so unrolling and the series agree exactly. */
static void phantom_unrolling_equals_the_series_for_an_affine_map(void **state)
{
    (void)state;
    deq_equilibrium_options o = tight();
    double u[B * D], expected[B * D], c[B * D];
    cotangents(c);
    o.gradient = DEQ_GRADIENT_PHANTOM_UNROLL;
    o.steps = 5;
    o.tau = 0.5;
    gradient_of_affine(&o, u, c);
    neumann(expected, c, 5, 0.5);
    check_close("phantom", u, expected, B * D, 1e-14);
}

static void jfb_takes_w_itself(void **state)
{
    (void)state;
    deq_equilibrium_options o = tight();
    double u[B * D], c[B * D];
    cotangents(c);
    o.gradient = DEQ_GRADIENT_JFB;
    gradient_of_affine(&o, u, c);
    check_close("jfb", u, c, B * D, 0);
}

static void a_long_unroll_is_the_implicit_gradient(void **state)
{
    (void)state;
    deq_equilibrium_options o = tight();
    double u[B * D], expected[B * D], c[B * D];
    cotangents(c);
    gradient_of_affine(&o, expected, c);
    o.gradient = DEQ_GRADIENT_UNROLL;
    o.forward.max_iter = 60;
    gradient_of_affine(&o, u, c);
    check_close("unroll", u, expected, B * D, 1e-12);
}

/* With every direction visited, good Broyden's inverse is exact for an affine map. */
static void shine_is_exact_once_broyden_knows_the_affine_map(void **state)
{
    (void)state;
    deq_equilibrium_options o = tight();
    double u[B * D], expected[B * D], c[B * D];
    cotangents(c);
    gradient_of_affine(&o, expected, c);
    o.gradient = DEQ_GRADIENT_SHINE;
    o.shine_fallback = 0;
    o.forward.method = DEQ_BROYDEN;
    gradient_of_affine(&o, u, c);
    check_close("shine", u, expected, B * D, 0.2);
    o.shine_refine = 50;
    gradient_of_affine(&o, u, c);
    check_close("shine, refined", u, expected, B * D, 1e-10);
}

static void shine_needs_a_method_that_builds_an_inverse(void **state)
{
    (void)state;
    deq_context *ctx = test_context();
    deq_graph *g;
    deq_equilibrium_options o = tight();
    double u[B * D], expected[B * D], c[B * D];
    cotangents(c);
    o.gradient = DEQ_GRADIENT_SHINE; /* with the default method: Broyden */
    gradient_of_affine(&o, u, c);
    o.forward.method = DEQ_BROYDEN;
    gradient_of_affine(&o, expected, c);
    check_close("shine by default", u, expected, B * D, 0);
    o.forward.method = DEQ_ANDERSON;
    assert_int_equal(deq_graph_new(&g, ctx), DEQ_OK);
    dense d = { deq_input(g, "w", DEQ_STAGE_PARAMETER, DEQ_F64, DEQ_SHAPE(D, D)),
                deq_input(g, "x", DEQ_STAGE_INJECTED, DEQ_F64, DEQ_SHAPE(B, D)) };
    deq_equilibrium(g, affine_cell, &d, zeros_like(g, d.x), &o, NULL);
    assert_int_equal(deq_graph_status(g), DEQ_ERR_ARGUMENT);
    assert_non_null(strstr(deq_graph_error(g), "anderson"));
    deq_graph_free(g);
    deq_context_free(ctx);
}

/* With the outer gradient among the directions visited, the estimate is exact where it matters. */
static deq_value outer_sum(deq_graph *g, const deq_value *z, void *user)
{
    return deq_sum(g, deq_mul(g, z[0], *(deq_value *)user), DEQ_ALL_AXES, false);
}

typedef struct outer_case {
    deq_equilibrium_options o;
    const double *cotangent;
} outer_case;

static deq_value build_outer(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    const outer_case *c = user;
    deq_value cotangent = deq_constant(g, DEQ_F64, DEQ_SHAPE(B, D), c->cotangent);
    deq_equilibrium_options o = c->o;
    (void)n_in;
    o.outer_loss = outer_sum;
    o.outer_user = &cotangent;
    dense d = { in[0], in[1] };
    return deq_equilibrium(g, affine_cell, &d, zeros_like(g, in[1]), &o, NULL);
}

static void outer_awareness_sharpens_shine(void **state)
{
    (void)state;
    double exact[B * D], plain[B * D], aware[B * D], c[B * D];
    deq_equilibrium_options o = tight();
    cotangents(c);
    gradient_of_affine(&o, exact, c);
    o.gradient = DEQ_GRADIENT_SHINE;
    o.shine_fallback = 0;
    o.forward.method = DEQ_ADJOINT_BROYDEN;
    o.forward.atol = 1e-6;
    gradient_of_affine(&o, plain, c);
    outer_case with = { o, c };
    with.o.forward.adjoint_broyden.outer_every = 2;
    gradient_of(build_outer, &with, aware, c);
    double error[2] = { 0, 0 };
    for (int i = 0; i < B * D; i++) {
        error[0] += pow(plain[i] - exact[i], 2);
        error[1] += pow(aware[i] - exact[i], 2);
    }
    assert_true(error[1] < error[0]);
    check_close("outer-problem-aware", aware, exact, B * D, 0.02);
}

/* The reversible gradient is that of the computation: of 2 N evaluations, without storing them. */
static deq_value build_reversible(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    (void)user;
    deq_equilibrium_options o = tight();
    o.gradient = DEQ_GRADIENT_REVERSIBLE;
    o.forward.max_iter = 12;
    o.tau = 0.6;
    return build_two(g, in, n_in, &o);
}

static deq_value build_reversible_conv(deq_graph *g, const deq_value *in, int n_in,
                                       const void *user)
{
    (void)user;
    deq_equilibrium_options o = tight();
    o.gradient = DEQ_GRADIENT_REVERSIBLE;
    o.forward.max_iter = 6;
    o.tau = 0.5;
    return build_conv(g, in, n_in, &o);
}

/* Loss and gradient of a reversible solve by differences of the solve itself. */
static void check_by_differences(op_build_fn *build, deq_type w, deq_type x)
{
    deq_context *ctx = test_context();
    deq_graph *g;
    double data[2][64], plus, minus, grads[2][64];
    deq_program *p;
    assert_int_equal(deq_graph_new(&g, ctx), DEQ_OK);
    deq_value in[2] = { deq_input(g, "w", DEQ_STAGE_PARAMETER, DEQ_F64, w.shape),
                        deq_input(g, "x", DEQ_STAGE_INJECTED, DEQ_F64, x.shape) };
    deq_value loss = deq_sum(g, deq_square(g, build(g, in, 2, NULL)), DEQ_ALL_AXES, false);
    deq_value out[3] = { loss };
    assert_int_equal(deq_vjp(g, out + 1, &loss, NULL, 1, in, 2), DEQ_OK);
    assert_int_equal(deq_compile(&p, g, out, 3, NULL), DEQ_OK);
    size_t bytes[2] = { deq_type_bytes(&w), deq_type_bytes(&x) };
    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; i < bytes[k] / 8; i++) data[k][i] = 0.7 * sin((double)(3 * i) + k);
        assert_int_equal(deq_program_write(p, in[k], data[k], bytes[k]), DEQ_OK);
    }
    assert_int_equal(deq_program_run(p, DEQ_STAGE_PARAMETER), DEQ_OK);
    for (int k = 0; k < 2; k++)
        assert_int_equal(deq_program_read(p, out[1 + k], grads[k], bytes[k]), DEQ_OK);
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < bytes[k] / 8; i++) {
            const double h = 1e-5, at = data[k][i];
            for (int side = 0; side < 2; side++) {
                data[k][i] = side ? at - h : at + h;
                deq_program_write(p, in[k], data[k], bytes[k]);
                assert_int_equal(deq_program_run(p, DEQ_STAGE_PARAMETER), DEQ_OK);
                deq_program_read(p, loss, side ? &minus : &plus, sizeof plus);
            }
            data[k][i] = at;
            deq_program_write(p, in[k], data[k], bytes[k]);
            double difference = (plus - minus) / (2 * h);
            check_close("reversible", &grads[k][i], &difference, 1, 1e-8);
        }
    deq_program_free(p);
    deq_graph_free(g);
    deq_context_free(ctx);
}

static void the_reversible_gradient_is_that_of_the_computation(void **state)
{
    (void)state;
    check_by_differences(build_reversible, TYPE(2, 3), TYPE(2, 2));
    check_by_differences(build_reversible_conv, TYPE(2, 2, 3, 3), TYPE(1, 2, 3, 3));
}

/* Recomputation changes the memory, not the gradient. */
static void recomputed_unrolling_is_unrolling(void **state)
{
    (void)state;
    deq_equilibrium_options o = tight();
    double u[B * D], expected[B * D], c[B * D];
    cotangents(c);
    o.gradient = DEQ_GRADIENT_UNROLL;
    o.forward.max_iter = 7;
    o.tau = 0.8;
    gradient_of_affine(&o, expected, c);
    o.recompute = true;
    gradient_of_affine(&o, u, c);
    check_close("recomputed", u, expected, B * D, 1e-14);
}

static deq_value build_recomputed(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    (void)user;
    deq_equilibrium_options o = tight();
    o.gradient = DEQ_GRADIENT_UNROLL;
    o.recompute = true;
    o.forward.max_iter = 5;
    o.tau = 0.9;
    return build_two(g, in, n_in, &o);
}

static void the_recomputed_gradient_is_that_of_the_computation(void **state)
{
    (void)state;
    check_by_differences(build_recomputed, TYPE(2, 3), TYPE(2, 2));
}

/* Twenty vectors in the cell, some of another precision than the state. */
enum { MANY = 20 };

static void cell_of_many(deq_graph *g, const deq_value *z, deq_value *fz, void *user)
{
    const deq_value *c = user;
    fz[0] = z[0];
    for (int i = 0; i < MANY; i++) {
        deq_value b = deq_cast(g, c[i], DEQ_F64);
        fz[0] = deq_sin(g, deq_add(g, deq_scale(g, fz[0], 0.9), b));
    }
}

static void gradient_of_many(deq_gradient gradient, bool recompute, double dc[MANY][D])
{
    test_graph t = test_graph_new();
    deq_equilibrium_options o = tight();
    deq_value c[MANY], back[MANY], z0 = deq_fill(t.g, DEQ_F64, DEQ_SHAPE(B, D), 0.2);
    o.gradient = gradient;
    o.recompute = recompute;
    o.tau = 0.5;
    o.forward.max_iter = gradient == DEQ_GRADIENT_REVERSIBLE ? 80 : 40;
    for (int i = 0; i < MANY; i++) {
        char name[16];
        snprintf(name, sizeof name, "c%d", i);
        c[i] = deq_input(t.g, name, DEQ_STAGE_PARAMETER, i % 7 ? DEQ_F64 : DEQ_F32, DEQ_SHAPE(D));
    }
    deq_value z = deq_equilibrium(t.g, cell_of_many, c, z0, &o, NULL);
    deq_value loss = deq_sum(t.g, z, DEQ_ALL_AXES, false);
    deq_vjp(t.g, back, &loss, NULL, 1, c, MANY);
    deq_program *p = must_compile(&t, back, MANY, NULL);
    for (int i = 0; i < MANY; i++) {
        double wide[D];
        float narrow[D];
        for (int k = 0; k < D; k++) wide[k] = narrow[k] = (float)sin(i + 0.3 * k);
        must_write(&t, p, c[i], i % 7 ? (const void *)wide : narrow);
    }
    must_run(p, DEQ_STAGE_PARAMETER);
    for (int i = 0; i < MANY; i++) {
        float narrow[D];
        must_read(&t, p, back[i], i % 7 ? (void *)dc[i] : narrow);
        for (int k = 0; k < D && i % 7 == 0; k++) dc[i][k] = (double)narrow[k];
    }
    deq_program_free(p);
    test_graph_free(&t);
}

static void a_cell_captures_any_number_of_values(void **state)
{
    (void)state;
    double expected[MANY][D], got[MANY][D];
    gradient_of_many(DEQ_GRADIENT_UNROLL, false, expected);
    gradient_of_many(DEQ_GRADIENT_UNROLL, true, got);
    check_close("recomputed", got[0], expected[0], MANY * D, 1e-7); /* three are f32 */
    gradient_of_many(DEQ_GRADIENT_REVERSIBLE, false, got);
    check_close("reversible", got[0], expected[0], MANY * D, 1e-6);
}

/* Reports and refusals ----------------------------------------------------------------------- */

static void the_report_counts_evaluations_and_names_the_outcome(void **state)
{
    (void)state;
    deq_context *ctx = test_context();
    deq_graph *g;
    deq_program *p;
    deq_equilibrium_options o = tight();
    deq_equilibrium_report r;
    o.forward.method = DEQ_PICARD;
    o.forward.max_iter = 3;
    assert_int_equal(deq_graph_new(&g, ctx), DEQ_OK);
    dense c = { deq_constant(g, DEQ_F64, DEQ_SHAPE(D, D), W),
                deq_fill(g, DEQ_F64, DEQ_SHAPE(B, D), 0.5) };
    deq_value z = deq_equilibrium(g, affine_cell, &c, zeros_like(g, c.x), &o, &r);
    deq_value out[4] = { z, r.residual, r.outcome, r.n_feval };
    assert_int_equal(deq_compile(&p, g, out, 4, NULL), DEQ_OK);
    assert_int_equal(deq_program_run(p, DEQ_STAGE_PARAMETER), DEQ_OK);
    double residual[B];
    int32_t outcome[B], evaluations[B];
    deq_program_read(p, r.residual, residual, sizeof residual);
    deq_program_read(p, r.outcome, outcome, sizeof outcome);
    deq_program_read(p, r.n_feval, evaluations, sizeof evaluations);
    for (int b = 0; b < B; b++) {
        assert_int_equal(outcome[b], DEQ_MAX_ITER);
        assert_int_equal(evaluations[b], 3);
        assert_true(residual[b] > 0 && residual[b] < 1);
    }
    deq_program_free(p);
    deq_graph_free(g);
    deq_context_free(ctx);
}

/* Steps that no solver watched report what one more evaluation finds. */
static void unrolled_steps_report_their_residual(void **state)
{
    (void)state;
    static const int steps[2] = { 4, 60 };
    for (int k = 0; k < 2; k++) {
        deq_context *ctx = test_context();
        deq_graph *g;
        deq_program *p;
        deq_equilibrium_options o = tight();
        deq_equilibrium_report r;
        double residual[B];
        int32_t outcome[B], evaluations[B];
        o.gradient = DEQ_GRADIENT_UNROLL;
        o.forward.max_iter = steps[k];
        assert_int_equal(deq_graph_new(&g, ctx), DEQ_OK);
        dense c = { deq_constant(g, DEQ_F64, DEQ_SHAPE(D, D), W),
                    deq_fill(g, DEQ_F64, DEQ_SHAPE(B, D), 0.5) };
        deq_value z = deq_equilibrium(g, affine_cell, &c, zeros_like(g, c.x), &o, &r);
        deq_value out[4] = { z, r.residual, r.outcome, r.n_feval };
        assert_int_equal(deq_compile(&p, g, out, 4, NULL), DEQ_OK);
        assert_int_equal(deq_program_run(p, DEQ_STAGE_PARAMETER), DEQ_OK);
        deq_program_read(p, r.residual, residual, sizeof residual);
        deq_program_read(p, r.outcome, outcome, sizeof outcome);
        deq_program_read(p, r.n_feval, evaluations, sizeof evaluations);
        for (int b = 0; b < B; b++) {
            assert_int_equal(outcome[b], k ? DEQ_CONVERGED : DEQ_MAX_ITER);
            assert_int_equal(evaluations[b], steps[k]);
            assert_true(k ? residual[b] < 1e-13 : residual[b] > 1e-6);
        }
        deq_program_free(p);
        deq_graph_free(g);
        deq_context_free(ctx);
    }
}

/* A backward solve that fails is told to the observer and to the log, and is never zero. */
typedef struct told {
    int calls, failed, log_lines;
} told;

static void observe(void *user, const deq_linear_info *info, int64_t batch)
{
    told *t = user;
    t->calls++;
    for (int64_t b = 0; b < batch; b++) t->failed += info[b].outcome != DEQ_CONVERGED;
}

static void count_line(void *user, deq_log_level level, const char *message)
{
    told *t = user;
    t->log_lines += level == DEQ_LOG_WARNING && strstr(message, "did not converge") != NULL;
}

static void a_failed_adjoint_solve_is_told_and_is_not_zero(void **state)
{
    (void)state;
    told t = { 0, 0, 0 };
    deq_context_options co = deq_context_defaults();
    deq_context *ctx;
    deq_graph *g;
    deq_program *p;
    co.log = count_line;
    co.log_user = &t;
    assert_int_equal(deq_context_new(&ctx, &co), DEQ_OK);
    assert_int_equal(deq_graph_new(&g, ctx), DEQ_OK);
    deq_equilibrium_options o = tight();
    o.adjoint.max_iter = 1;
    o.adjoint_observer = observe;
    o.adjoint_observer_user = &t;
    deq_value x = deq_input(g, "x", DEQ_STAGE_INJECTED, DEQ_F64, DEQ_SHAPE(B, D)), dx;
    deq_value in[2] = { deq_constant(g, DEQ_F64, DEQ_SHAPE(D, D), W), x };
    deq_value loss = deq_sum(g, build_affine(g, in, 2, &o), DEQ_ALL_AXES, false);
    assert_int_equal(deq_vjp(g, &dx, &loss, NULL, 1, &x, 1), DEQ_OK);
    assert_int_equal(deq_compile(&p, g, &dx, 1, NULL), DEQ_OK);
    double data[B * D] = { 0 }, u[B * D];
    assert_int_equal(deq_program_write(p, x, data, sizeof data), DEQ_OK);
    assert_int_equal(deq_program_run(p, DEQ_STAGE_PARAMETER), DEQ_OK);
    assert_int_equal(deq_program_read(p, dx, u, sizeof u), DEQ_OK);
    for (int i = 0; i < B * D; i++) assert_true(fabs(u[i]) > 0.1);
    assert_int_equal(t.calls, 1);
    assert_int_equal(t.failed, B);
    assert_int_equal(t.log_lines, 1);
    deq_program_free(p);
    deq_graph_free(g);
    deq_context_free(ctx);
}

static void count_loss(void *user, deq_log_level level, const char *message)
{
    told *t = user;
    t->log_lines += level == DEQ_LOG_WARNING && strstr(message, "lost precision") != NULL;
}

/* f32 has 7 digits; going back over 20 steps multiplies rounding by 2^20 or by 10^20. */
static void a_reversible_gradient_says_when_rounding_has_spoilt_it(void **state)
{
    static const struct {
        int steps;
        double tau;
        bool lost;
    } cases[] = { { 4, 0.5, false }, { 20, 0.2, false }, { 20, 0.9, true }, { 40, 0.5, true } };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        told t = { 0, 0, 0 };
        deq_context_options co = deq_context_defaults();
        deq_context *ctx;
        deq_graph *g;
        deq_program *p;
        float w[D * D], x[B * D];
        co.log = count_loss;
        co.log_user = &t;
        assert_int_equal(deq_context_new(&ctx, &co), DEQ_OK);
        assert_int_equal(deq_graph_new(&g, ctx), DEQ_OK);
        deq_equilibrium_options o = tight();
        o.gradient = DEQ_GRADIENT_REVERSIBLE;
        o.forward.max_iter = 2 * cases[i].steps;
        o.tau = cases[i].tau;
        for (int j = 0; j < D * D; j++) w[j] = (float)W[j];
        for (int j = 0; j < B * D; j++) x[j] = (float)sin(j);
        deq_value in[2] = { deq_constant(g, DEQ_F32, DEQ_SHAPE(D, D), w),
                            deq_input(g, "x", DEQ_STAGE_INJECTED, DEQ_F32, DEQ_SHAPE(B, D)) };
        deq_value loss = deq_sum(g, build_dense(g, in, 2, &o), DEQ_ALL_AXES, false), dx;
        assert_int_equal(deq_vjp(g, &dx, &loss, NULL, 1, &in[1], 1), DEQ_OK);
        assert_int_equal(deq_compile(&p, g, &dx, 1, NULL), DEQ_OK);
        assert_int_equal(deq_program_write(p, in[1], x, sizeof x), DEQ_OK);
        assert_int_equal(deq_program_run(p, DEQ_STAGE_PARAMETER), DEQ_OK);
        if (t.log_lines != cases[i].lost)
            fail_msg("%d steps, tau %g: %d warnings", cases[i].steps, cases[i].tau, t.log_lines);
        deq_program_free(p);
        deq_graph_free(g);
        deq_context_free(ctx);
    }
}

static void wrong_cell(deq_graph *g, const deq_value *z, deq_value *fz, void *user)
{
    (void)user;
    fz[0] = deq_sum(g, z[0], DEQ_AXIS(1), true);
}

static deq_value build_wrong(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    (void)n_in;
    return deq_equilibrium(g, wrong_cell, NULL, in[0], user, NULL);
}

static void a_cell_that_changes_the_type_is_refused(void **state)
{
    (void)state;
    op_case c = { .name = "wrong", .n_in = 1, .in = { TYPE(2, 3) }, .build = build_wrong };
    check_refused(&c, DEQ_ERR_SHAPE, "the cell maps state 0, f64 [2, 3], to f64 [2, 1]");
}

/* Memory does not grow with the iterations allowed ------------------------------------------ */

typedef struct counter {
    size_t now, peak;
} counter;

static void *count_alloc(void *user, size_t bytes, size_t align)
{
    counter *c = user;
    c->now += bytes;
    if (c->now > c->peak) c->peak = c->now;
    return aligned_alloc(align, (bytes + align - 1) / align * align);
}

static void count_free(void *user, void *memory, size_t bytes)
{
    ((counter *)user)->now -= bytes;
    free(memory);
}

static size_t peak_of_training(int max_iter, deq_gradient gradient)
{
    counter count = { 0, 0 };
    deq_allocator a = { count_alloc, count_free, &count };
    deq_context_options co = deq_context_defaults();
    deq_context *ctx;
    deq_graph *g;
    deq_program *p;
    co.allocator = &a;
    assert_int_equal(deq_context_new(&ctx, &co), DEQ_OK);
    assert_int_equal(deq_graph_new(&g, ctx), DEQ_OK);
    deq_equilibrium_options o = tight();
    o.forward.max_iter = max_iter;
    o.adjoint.max_iter = max_iter;
    o.gradient = gradient;
    o.forward.method = DEQ_PICARD;
    o.adjoint.restart = 5;
    deq_value w = deq_input(g, "w", DEQ_STAGE_PARAMETER, DEQ_F64, DEQ_SHAPE(D, D));
    deq_value x = deq_input(g, "x", DEQ_STAGE_INJECTED, DEQ_F64, DEQ_SHAPE(B, D));
    deq_value in[2] = { w, x }, dw;
    deq_value loss = deq_sum(g, deq_square(g, build_dense(g, in, 2, &o)), DEQ_ALL_AXES, false);
    assert_int_equal(deq_vjp(g, &dw, &loss, NULL, 1, &w, 1), DEQ_OK);
    assert_int_equal(deq_compile(&p, g, &dw, 1, NULL), DEQ_OK);
    assert_int_equal(deq_program_run(p, DEQ_STAGE_PARAMETER), DEQ_OK);
    deq_program_free(p);
    deq_graph_free(g);
    deq_context_free(ctx);
    assert_int_equal(count.now, 0);
    return count.peak;
}

static void keeping_cell(deq_graph *g, const deq_value *z, deq_value *fz, void *user)
{
    *(deq_value *)user = deq_scale(g, z[0], 2);
    fz[0] = deq_scale(g, z[0], 0.5);
}

static void a_value_kept_by_a_cell_is_refused_outside(void **state)
{
    (void)state;
    deq_context *ctx = test_context();
    deq_graph *g = NULL;
    deq_program *p = NULL;
    assert_int_equal(deq_graph_new(&g, ctx), DEQ_OK);
    deq_value kept, zero = deq_fill(g, DEQ_F64, DEQ_SHAPE(2, 3), 0);
    deq_equilibrium(g, keeping_cell, &kept, zero, NULL, NULL);
    assert_int_equal(deq_compile(&p, g, &kept, 1, NULL), DEQ_ERR_ARGUMENT);
    assert_null(p);
    assert_non_null(strstr(deq_last_error(ctx), "the state inside a cell is used outside"));
    deq_graph_free(g);
    deq_context_free(ctx);
}

static void training_memory_is_the_same_for_10_and_1000_iterations(void **state)
{
    (void)state;
    assert_int_equal(peak_of_training(10, DEQ_GRADIENT_IFT),
                     peak_of_training(1000, DEQ_GRADIENT_IFT));
    assert_int_equal(peak_of_training(10, DEQ_GRADIENT_JFB),
                     peak_of_training(1000, DEQ_GRADIENT_JFB));
    assert_int_equal(peak_of_training(10, DEQ_GRADIENT_PHANTOM_UNROLL),
                     peak_of_training(1000, DEQ_GRADIENT_PHANTOM_UNROLL));
}

static void damped_cell(deq_graph *g, const deq_value *z, deq_value *fz, void *user)
{
    fz[0] = deq_add(g, deq_scale(g, deq_tanh(g, z[0]), 0.5), *(const deq_value *)user);
}

/* Peak memory of the gradient through a chain of equilibria, each the input of the next. */
static size_t peak_of_chain(int n)
{
    counter count = { 0, 0 };
    deq_allocator a = { count_alloc, count_free, &count };
    deq_context_options co = deq_context_defaults();
    deq_context *ctx;
    deq_graph *g;
    deq_program *p;
    co.allocator = &a;
    assert_int_equal(deq_context_new(&ctx, &co), DEQ_OK);
    assert_int_equal(deq_graph_new(&g, ctx), DEQ_OK);
    deq_equilibrium_options o = tight();
    o.forward.method = DEQ_BROYDEN;
    o.adjoint.restart = 40;
    deq_value x = deq_input(g, "x", DEQ_STAGE_STATE, DEQ_F64, DEQ_SHAPE(8, 4096)), z = x, dx;
    for (int i = 0; i < n; i++) {
        deq_value c = z;
        z = deq_equilibrium(g, damped_cell, &c, deq_fill(g, DEQ_F64, DEQ_SHAPE(8, 4096), 0), &o,
                            NULL);
    }
    deq_value loss = deq_sum(g, deq_square(g, z), DEQ_ALL_AXES, false);
    assert_int_equal(deq_vjp(g, &dx, &loss, NULL, 1, &x, 1), DEQ_OK);
    assert_int_equal(deq_compile(&p, g, &dx, 1, NULL), DEQ_OK);
    assert_int_equal(deq_program_run(p, DEQ_STAGE_PARAMETER), DEQ_OK);
    deq_program_free(p);
    deq_graph_free(g);
    deq_context_free(ctx);
    return count.peak;
}

/* A solve needs at least 40 vectors of 8 x 4096 doubles, its result and the like a few. */
static void equilibria_of_a_graph_take_turns_in_one_block_of_memory(void **state)
{
    (void)state;
    size_t vector = 8 * 4096 * sizeof(double), one = peak_of_chain(1), three = peak_of_chain(3);
    assert_true(one > 40 * vector);
    assert_true(three < one + 2 * 10 * vector);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(implicit_derivatives_of_an_affine_map_match_differences),
        cmocka_unit_test(implicit_derivatives_of_a_dense_cell_match_differences_twice),
        cmocka_unit_test(several_states_are_one_equilibrium),
        cmocka_unit_test(implicit_derivatives_of_a_convolutional_cell_match_differences),
        cmocka_unit_test(equilibria_nest),
        cmocka_unit_test(one_graph_holds_several_equilibria),
        cmocka_unit_test(ift_sums_the_whole_neumann_series),
        cmocka_unit_test(the_adjoint_may_be_solved_as_a_fixed_point),
        cmocka_unit_test(phantom_neumann_sums_k_damped_terms),
        cmocka_unit_test(phantom_unrolling_equals_the_series_for_an_affine_map),
        cmocka_unit_test(jfb_takes_w_itself),
        cmocka_unit_test(a_long_unroll_is_the_implicit_gradient),
        cmocka_unit_test(shine_is_exact_once_broyden_knows_the_affine_map),
        cmocka_unit_test(shine_needs_a_method_that_builds_an_inverse),
        cmocka_unit_test(outer_awareness_sharpens_shine),
        cmocka_unit_test(the_reversible_gradient_is_that_of_the_computation),
        cmocka_unit_test(recomputed_unrolling_is_unrolling),
        cmocka_unit_test(the_recomputed_gradient_is_that_of_the_computation),
        cmocka_unit_test(a_cell_captures_any_number_of_values),
        cmocka_unit_test(the_report_counts_evaluations_and_names_the_outcome),
        cmocka_unit_test(unrolled_steps_report_their_residual),
        cmocka_unit_test(a_failed_adjoint_solve_is_told_and_is_not_zero),
        cmocka_unit_test(a_reversible_gradient_says_when_rounding_has_spoilt_it),
        cmocka_unit_test(a_cell_that_changes_the_type_is_refused),
        cmocka_unit_test(a_value_kept_by_a_cell_is_refused_outside),
        cmocka_unit_test(training_memory_is_the_same_for_10_and_1000_iterations),
        cmocka_unit_test(equilibria_of_a_graph_take_turns_in_one_block_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
