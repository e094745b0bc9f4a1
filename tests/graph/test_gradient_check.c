/* SPDX-License-Identifier: MIT */
/* The checker of derivatives finds wrong ones, and only those. */
#include "support/op_check.h"

#include "op/op.h"

#include <deq/op.h>
#include <deq/parameters.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* y = x^3, with derivatives that are wrong where the attribute says. */
typedef struct cube_attr {
    double vjp_factor[4]; /* of the element with this index modulo 4 */
    double jvp_factor;
} cube_attr;

static bool infer_cube(deq_shape_rule *r)
{
    r->out[0] = r->in[0];
    return deq_rule_float(r, 0);
}

static deq_value slope(const deq_frame *n)
{
    return deq_scale(n->g, deq_square(n->g, n->in[0]), 3.0);
}

static void vjp_cube(const deq_frame *n, const deq_value *dy, deq_value *dx)
{
    const cube_attr *a = n->attr;
    deq_type t = deq_value_type(n->g, n->in[0]);
    int64_t count = deq_shape_count(&t.shape);
    double *factor = malloc((size_t)count * sizeof *factor);
    assert_non_null(factor);
    for (int64_t i = 0; i < count; i++) factor[i] = a->vjp_factor[i % 4];
    deq_value wrong = deq_constant(n->g, DEQ_F64, t.shape, factor);
    dx[0] = deq_mul(n->g, wrong, deq_mul(n->g, dy[0], slope(n)));
    free(factor);
}

static void jvp_cube(const deq_frame *n, const deq_value *dx, deq_value *dy)
{
    const cube_attr *a = n->attr;
    dy[0] = deq_scale(n->g, deq_mul(n->g, dx[0], slope(n)), a->jvp_factor);
}

static deq_status kernel_cube(const deq_kernel_call *c)
{
    const double *x = c->in[0];
    double *y = c->out[0];
    int64_t n = deq_shape_count(&c->in_type[0].shape);
    for (int64_t i = 0; i < n; i++) y[i] = x[i] * x[i] * x[i];
    return DEQ_OK;
}

static const deq_op cube_op = { .name = "cube",
                                .n_out = 1,
                                .attr_bytes = sizeof(cube_attr),
                                .infer = infer_cube,
                                .vjp = vjp_cube,
                                .jvp = jvp_cube,
                                .kernel = kernel_cube };

static const cube_attr right = { { 1, 1, 1, 1 }, 1 };

typedef struct fixture {
    deq_context *ctx;
    deq_graph *g;
    deq_value x;
    double data[256];
} fixture;

static fixture make(int64_t n)
{
    fixture f = { .ctx = test_context() };
    assert_int_equal(deq_graph_new(&f.g, f.ctx), DEQ_OK);
    f.x = deq_input(f.g, "x", DEQ_STAGE_STATE, DEQ_F64, DEQ_SHAPE(n));
    for (int64_t i = 0; i < n; i++) f.data[i] = 0.5 + 0.25 * sin((double)i);
    return f;
}

static void drop(fixture *f)
{
    deq_graph_free(f->g);
    deq_context_free(f->ctx);
}

static deq_gradient_report check(fixture *f, deq_value y, const deq_gradient_check_options *o)
{
    deq_gradient_report r;
    deq_gradient_point at = { .value = f->x, .data = f->data };
    deq_status status = deq_gradient_check(&r, f->g, &y, 1, &at, 1, o);
    if (status != DEQ_OK) fail_msg("%s", deq_last_error(f->ctx));
    return r;
}

static deq_gradient_report check_cube(int64_t n, const cube_attr *a)
{
    fixture f = make(n);
    deq_gradient_report r = check(&f, deq_emit1(f.g, &cube_op, a, sizeof *a, &f.x, 1), NULL);
    drop(&f);
    return r;
}

static void right_derivatives_pass(void **state)
{
    (void)state;
    deq_gradient_report r = check_cube(4, &right);
    assert_true(r.passed);
    assert_true(r.relative_error < 1e-8);
    assert_true(r.adjoint_gap < 1e-14);
    assert_int_equal(r.n_comparisons, 2 * 4 + 2 * 4); /* two pairs, vjp and jvp of four elements */
    assert_int_equal(r.n_evaluations, 1 + 2 * 4 + 2 * 2);
    assert_non_null(strstr(r.message, "passed"));
}

static void a_wrong_vjp_is_found_with_its_place_and_values(void **state)
{
    (void)state;
    cube_attr wrong = { { 1, 1, 1.1, 1 }, 1 };
    deq_gradient_report r = check_cube(4, &wrong);
    assert_false(r.passed);
    assert_int_equal(r.mode, DEQ_GRADIENT_MODE_VJP);
    assert_int_equal(r.input, 0);
    assert_int_equal(r.coordinate, 2);
    assert_int_equal(r.output, -1);
    assert_true(fabs(r.analytic / r.numeric - 1.1) < 1e-6);
    assert_true(fabs(r.absolute_error - fabs(r.analytic - r.numeric)) < 1e-15);
    assert_true(r.adjoint_gap > 1e-4);
    assert_non_null(strstr(r.message, "failed: worst is vjp to input 0 at element 2"));
}

static void a_wrong_jvp_is_found(void **state)
{
    (void)state;
    cube_attr wrong = { { 1, 1, 1, 1 }, -1 };
    deq_gradient_report r = check_cube(4, &wrong);
    assert_false(r.passed);
    assert_int_equal(r.mode, DEQ_GRADIENT_MODE_JVP);
    assert_int_equal(r.input, -1);
    assert_int_equal(r.output, 0);
    assert_true(fabs(r.analytic + r.numeric) < 1e-6);
}

static void derivatives_that_are_close_but_not_adjoint_are_found(void **state)
{
    (void)state;
    cube_attr wrong = { { 1, 1, 1, 1 }, 1 + 1e-8 };
    deq_gradient_report r = check_cube(4, &wrong);
    assert_true(r.relative_error < 1e-6);
    assert_true(r.adjoint_gap > 1e-9);
    assert_false(r.passed);
}

static void large_inputs_are_checked_along_directions(void **state)
{
    (void)state;
    deq_gradient_report r = check_cube(200, &right);
    assert_true(r.passed);
    assert_int_equal(r.n_evaluations, 1 + 2 * 2 + 2 * 2);
    cube_attr wrong = { { 1, 1.1, 1, 1 }, 1 };
    r = check_cube(200, &wrong);
    assert_false(r.passed);
    assert_int_equal(r.coordinate, -1);
    assert_non_null(strstr(r.message, "along a direction"));
}

static void a_result_that_is_not_finite_fails(void **state)
{
    (void)state;
    fixture f = make(3);
    f.data[1] = -1;
    deq_gradient_report r = check(&f, deq_log(f.g, f.x), NULL);
    assert_false(r.passed);
    assert_true(isinf(r.relative_error));
    drop(&f);
}

static void several_outputs_and_inputs_are_checked_together(void **state)
{
    (void)state;
    fixture f = make(3);
    deq_value s = deq_input(f.g, "s", DEQ_STAGE_INJECTED, DEQ_F64, DEQ_SCALAR);
    deq_value mask = deq_input(f.g, "mask", DEQ_STAGE_INJECTED, DEQ_BOOL, DEQ_SHAPE(3));
    deq_value y[2] = { deq_mul(f.g, deq_exp(f.g, f.x), s),
                       deq_where(f.g, mask, deq_sin(f.g, f.x), deq_mul(f.g, f.x, s)) };
    const double scale = 0.7;
    const uint8_t bits[3] = { 1, 0, 1 };
    deq_gradient_point at[3] = { { .value = mask, .data = bits },
                                 { .value = s, .data = &scale },
                                 { .value = f.x, .data = f.data } };
    deq_gradient_report r;
    assert_int_equal(deq_gradient_check(&r, f.g, y, 2, at, 3, NULL), DEQ_OK);
    assert_true(r.passed);
    assert_int_equal(r.n_evaluations, 1 + 2 * (1 + 3) + 2 * 2);
    at[1].fixed = true;
    assert_int_equal(deq_gradient_check(&r, f.g, y, 2, at, 3, NULL), DEQ_OK);
    assert_int_equal(r.n_evaluations, 1 + 2 * 3 + 2 * 2);
    drop(&f);
}

static void parameters_are_checked_and_their_store_is_restored(void **state)
{
    (void)state;
    fixture f = make(2);
    deq_parameters *theta = NULL;
    assert_int_equal(deq_parameters_new(&theta, f.ctx, DEQ_F64), DEQ_OK);
    assert_int_equal(deq_parameters_add(theta, "w", DEQ_SHAPE(2)), DEQ_OK);
    assert_int_equal(deq_parameters_allocate(theta), DEQ_OK);
    double *w = deq_parameters_values(theta, 0);
    w[0] = 0.25;
    w[1] = -3;
    deq_value p = deq_parameter(f.g, theta, "w"), y = deq_tanh(f.g, deq_mul(f.g, p, f.x));
    deq_gradient_point at[2] = { { .value = f.x, .data = f.data }, { .value = p } };
    deq_gradient_report r;
    assert_int_equal(deq_gradient_check(&r, f.g, &y, 1, at, 2, NULL), DEQ_OK);
    assert_true(r.passed);
    assert_true(w[0] == 0.25 && w[1] == -3);
    const double elsewhere[2] = { 1, 2 };
    at[1].data = elsewhere;
    assert_int_equal(deq_gradient_check(&r, f.g, &y, 1, at, 2, NULL), DEQ_OK);
    assert_true(r.passed);
    assert_true(w[0] == 0.25 && w[1] == -3);
    deq_parameters_free(theta);
    drop(&f);
}

static void the_seed_decides_the_directions(void **state)
{
    (void)state;
    fixture f = make(3);
    deq_value y = deq_exp(f.g, f.x);
    deq_gradient_check_options o = deq_gradient_check_defaults();
    deq_gradient_report a = check(&f, y, &o), b = check(&f, y, &o);
    assert_true(a.analytic == b.analytic && a.numeric == b.numeric);
    o.seed = 5;
    b = check(&f, y, &o);
    assert_true(a.analytic != b.analytic);
    drop(&f);
}

static void refuse(fixture *f, deq_value y, const deq_gradient_point *at, int n,
                   const deq_gradient_check_options *o, deq_status status, const char *text)
{
    deq_gradient_report r;
    assert_int_equal(deq_gradient_check(&r, f->g, &y, 1, at, n, o), status);
    if (!strstr(deq_last_error(f->ctx), text))
        fail_msg("'%s' does not say '%s'", deq_last_error(f->ctx), text);
    assert_int_equal(deq_graph_status(f->g), DEQ_OK);
}

static void mistakes_are_refused_with_the_facts(void **state)
{
    (void)state;
    fixture f = make(2);
    deq_value z = deq_input(f.g, "z", DEQ_STAGE_STATE, DEQ_F64, DEQ_SHAPE(2));
    deq_value y = deq_mul(f.g, f.x, z), narrow = deq_cast(f.g, f.x, DEQ_F32);
    deq_value back = deq_cast(f.g, narrow, DEQ_F64);
    deq_gradient_point at[2] = { { .value = f.x, .data = f.data }, { .value = z } };
    deq_gradient_check_options o = deq_gradient_check_defaults();

    refuse(&f, y, at, 1, NULL, DEQ_ERR_ARGUMENT, "depend on input 'z'");
    refuse(&f, y, at, 2, NULL, DEQ_ERR_ARGUMENT, "points[1] has no data");
    at[1] = at[0];
    refuse(&f, y, at, 2, NULL, DEQ_ERR_ARGUMENT, "points[1] appears twice");
    at[1] = (deq_gradient_point){ .value = y, .data = f.data };
    refuse(&f, y, at, 2, NULL, DEQ_ERR_ARGUMENT, "points[1] is neither");
    refuse(&f, narrow, at, 1, NULL, DEQ_ERR_DTYPE, "outputs[0] is f32 [2]");
    refuse(&f, back, at, 1, NULL, DEQ_ERR_DTYPE, "f32 [2]");
    at[0].fixed = true;
    refuse(&f, f.x, at, 1, NULL, DEQ_ERR_ARGUMENT, "none of the 1 points");
    at[0].fixed = false;
    o.struct_size = 1;
    refuse(&f, f.x, at, 1, &o, DEQ_ERR_ARGUMENT, "struct_size is 1");
    o = deq_gradient_check_defaults();
    o.step = -1;
    refuse(&f, f.x, at, 1, &o, DEQ_ERR_ARGUMENT, "step -1");
    o = deq_gradient_check_defaults();
    o.directions = 65;
    refuse(&f, f.x, at, 1, &o, DEQ_ERR_ARGUMENT, "65 directions");
    drop(&f);
}

/* An allocator that refuses one request. */
typedef struct miser {
    int until_refusal, held;
} miser;

static void *miser_alloc(void *user, size_t bytes, size_t align)
{
    miser *m = user;
    if (m->until_refusal-- == 0) return NULL;
    m->held++;
    return aligned_alloc(align, (bytes + align - 1) / align * align);
}

static void miser_free(void *user, void *memory, size_t bytes)
{
    (void)bytes;
    ((miser *)user)->held--;
    free(memory);
}

/* The status of a check in which one allocation fails; everything must have been given back. */
static deq_status check_with_refusal(int at)
{
    miser m = { .until_refusal = -1 };
    const deq_allocator a = { miser_alloc, miser_free, &m };
    deq_context_options o = deq_context_defaults();
    deq_context *ctx = NULL;
    deq_graph *g = NULL;
    deq_gradient_report r;
    const double data[3] = { 1, 2, 3 };
    o.allocator = &a;
    assert_int_equal(deq_context_new(&ctx, &o), DEQ_OK);
    assert_int_equal(deq_graph_new(&g, ctx), DEQ_OK);
    deq_value x = deq_input(g, "x", DEQ_STAGE_STATE, DEQ_F64, DEQ_SHAPE(3));
    deq_value y = deq_sum(g, deq_tanh(g, deq_mul(g, x, x)), DEQ_ALL_AXES, false);
    deq_gradient_point point = { .value = x, .data = data };
    m.until_refusal = at;
    deq_status status = deq_gradient_check(&r, g, &y, 1, &point, 1, NULL);
    m.until_refusal = -1;
    if (status != DEQ_OK) assert_non_null(strstr(deq_last_error(ctx), "out of memory"));
    deq_graph_free(g);
    deq_context_free(ctx);
    assert_int_equal(m.held, 0);
    return status;
}

static void running_out_of_memory_anywhere_is_reported(void **state)
{
    (void)state;
    int at = 0;
    while (check_with_refusal(at) == DEQ_ERR_NOMEM) at++;
    assert_true(at > 10);
    assert_int_equal(check_with_refusal(at), DEQ_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_derivatives_pass),
        cmocka_unit_test(a_wrong_vjp_is_found_with_its_place_and_values),
        cmocka_unit_test(a_wrong_jvp_is_found),
        cmocka_unit_test(derivatives_that_are_close_but_not_adjoint_are_found),
        cmocka_unit_test(large_inputs_are_checked_along_directions),
        cmocka_unit_test(a_result_that_is_not_finite_fails),
        cmocka_unit_test(several_outputs_and_inputs_are_checked_together),
        cmocka_unit_test(parameters_are_checked_and_their_store_is_restored),
        cmocka_unit_test(the_seed_decides_the_directions),
        cmocka_unit_test(mistakes_are_refused_with_the_facts),
        cmocka_unit_test(running_out_of_memory_anywhere_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
