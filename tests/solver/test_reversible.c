/* SPDX-License-Identifier: MIT */
/* The reversible iteration: as a solver, and there and back. */
#include "solver/tanh_map.h"

#include <deq/reversible.h>

enum { BATCH = 3, D = 10 };

static void as_a_solver_it_finds_the_fixed_point(void **state)
{
    (void)state;
    static const double betas[] = { 0.3, 0.8, 0.99 };
    for (int i = 0; i < 3; i++) {
        tanh_map m = tanh_map_new(BATCH, D, DEQ_F64, 0.6);
        deq_map f = tanh_map_of(&m, false, true);
        deq_solver_options o = options_of(DEQ_REVERSIBLE, 1e-10, 600);
        deq_sample_info info[BATCH];
        double z[BATCH * D];
        o.reversible.beta = betas[i];
        tanh_map_solve(&m, &f, &o, 2, z, info, NULL);
        for (int k = 0; k < BATCH; k++) {
            assert_int_equal(info[k].outcome, DEQ_CONVERGED);
            assert_true(tanh_map_residual(&m, z, k) < 1.1e-10);
            assert_int_equal(info[k].n_feval, m.n_eval[k]);
        }
        tanh_map_free(&m);
    }
}

static deq_reversible *workspace(deq_context *ctx, deq_dtype t, double beta)
{
    deq_reversible *r = NULL;
    assert_int_equal(deq_reversible_new(&r, ctx, t, BATCH, D, beta), DEQ_OK);
    return r;
}

static deq_context *context(void)
{
    deq_context *ctx = NULL;
    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    return ctx;
}

/* Written out as in the paper, against the library. */
static void forward_steps_are_those_of_the_paper(void **state)
{
    (void)state;
    deq_context *ctx = context();
    tanh_map m = tanh_map_new(BATCH, D, DEQ_F64, 0.9);
    deq_map f = tanh_map_of(&m, false, true);
    deq_reversible *r = workspace(ctx, DEQ_F64, 0.7);
    double y[BATCH * D] = { 0 }, z[BATCH * D] = { 0 }, u[BATCH * D] = { 0 }, v[BATCH * D] = { 0 };
    double h[BATCH * D];
    const int64_t samples[BATCH] = { 0, 1, 2 };
    assert_int_equal(deq_reversible_forward(y, z, r, &f, 4), DEQ_OK);
    for (int n = 0; n < 4; n++) {
        tanh_map_eval(&m, h, v, samples, BATCH);
        for (int i = 0; i < BATCH * D; i++) u[i] = (1 - 0.7) * u[i] + 0.7 * h[i];
        tanh_map_eval(&m, h, u, samples, BATCH);
        for (int i = 0; i < BATCH * D; i++) v[i] = (1 - 0.7) * v[i] + 0.7 * h[i];
    }
    for (int i = 0; i < BATCH * D; i++) {
        assert_true(fabs(y[i] - u[i]) < 1e-14);
        assert_true(fabs(z[i] - v[i]) < 1e-14);
    }
    assert_int_equal(m.n_eval[0], 16);
    deq_reversible_free(r);
    deq_context_free(ctx);
    tanh_map_free(&m);
}

static void backward_steps_undo_forward_steps(void **state)
{
    (void)state;
    deq_context *ctx = context();
    tanh_map m = tanh_map_new(BATCH, D, DEQ_F64, 0.9);
    deq_map f = tanh_map_of(&m, false, true);
    deq_reversible *r = workspace(ctx, DEQ_F64, 0.5);
    double y[BATCH * D], z[BATCH * D];
    for (int i = 0; i < BATCH * D; i++) {
        y[i] = sin(i);
        z[i] = cos(i);
    }
    assert_int_equal(deq_reversible_forward(y, z, r, &f, 8), DEQ_OK);
    assert_true(fabs(y[3] - sin(3)) > 1e-3);
    assert_int_equal(deq_reversible_backward(y, z, r, &f, 8), DEQ_OK);
    for (int i = 0; i < BATCH * D; i++) {
        assert_true(fabs(y[i] - sin(i)) < 1e-11);
        assert_true(fabs(z[i] - cos(i)) < 1e-11);
    }
    deq_reversible_free(r);
    deq_context_free(ctx);
    tanh_map_free(&m);
}

/* The error of the way back grows by 1 / (1 - beta) a step, from the rounding unit on. */
static void the_discrepancy_grows_as_stated(void **state)
{
    (void)state;
    deq_context *ctx = context();
    double small[BATCH], large[BATCH], f32[BATCH], zero[BATCH], z0[BATCH * D];
    float z0_f32[BATCH * D];
    for (int i = 0; i < BATCH * D; i++) z0[i] = z0_f32[i] = (float)sin(i);
    tanh_map m = tanh_map_new(BATCH, D, DEQ_F64, 0.5);
    deq_map f = tanh_map_of(&m, false, true);
    deq_reversible *r = workspace(ctx, DEQ_F64, 0.5), *q = workspace(ctx, DEQ_F64, 0.9);
    assert_int_equal(deq_reversible_discrepancy(small, r, &f, z0, z0, 10), DEQ_OK);
    assert_int_equal(deq_reversible_discrepancy(large, q, &f, z0, z0, 10), DEQ_OK);
    assert_int_equal(deq_reversible_discrepancy(zero, q, &f, z0, z0, 0), DEQ_OK);
    m.dtype = DEQ_F32;
    deq_reversible *p = workspace(ctx, DEQ_F32, 0.5);
    assert_int_equal(deq_reversible_discrepancy(f32, p, &f, z0_f32, z0_f32, 10), DEQ_OK);
    for (int k = 0; k < BATCH; k++) {
        assert_true(small[k] > 0 && small[k] < 1e-12); /* 2^10 eps and a little */
        if (!(large[k] > 1e-9 && large[k] < 1)) fail_msg("%g", large[k]); /* 10^10 eps */
        assert_true(f32[k] > 1e-6 && f32[k] < 1e-2);
        assert_true(zero[k] == 0);
    }
    deq_reversible_free(p);
    deq_reversible_free(q);
    deq_reversible_free(r);
    deq_context_free(ctx);
    tanh_map_free(&m);
}

static void wrong_arguments_and_lack_of_memory_are_refused(void **state)
{
    (void)state;
    bool done = false;
    for (size_t fail_at = 2; !done; fail_at++) {
        test_memory memory = { .fail_at = fail_at };
        deq_context *ctx = test_memory_context(&memory, 1);
        deq_reversible *r = NULL;
        double z[2] = { 0 };
        deq_status status = deq_reversible_new(&r, ctx, DEQ_F64, 1, 2, 0.5);
        done = status == DEQ_OK;
        if (!done) assert_int_equal(status, DEQ_ERR_NOMEM);
        if (done) assert_int_equal(deq_reversible_forward(z, z, r, NULL, 1), DEQ_ERR_ARGUMENT);
        deq_reversible_free(r);
        assert_int_equal(deq_reversible_new(&r, ctx, DEQ_F64, 1, 2, 1), DEQ_ERR_ARGUMENT);
        assert_int_equal(deq_reversible_new(&r, ctx, DEQ_F64, 0, 2, 0.5), DEQ_ERR_ARGUMENT);
        assert_int_equal(deq_reversible_new(&r, ctx, DEQ_I64, 1, 2, 0.5), DEQ_ERR_DTYPE);
        assert_int_equal(deq_reversible_new(&r, ctx, DEQ_F64, INT64_MAX, 2, 0.5), DEQ_ERR_OVERFLOW);
        assert_null(r);
        deq_context_free(ctx);
        assert_memory_clean(&memory);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_a_solver_it_finds_the_fixed_point),
        cmocka_unit_test(forward_steps_are_those_of_the_paper),
        cmocka_unit_test(backward_steps_undo_forward_steps),
        cmocka_unit_test(the_discrepancy_grows_as_stated),
        cmocka_unit_test(wrong_arguments_and_lack_of_memory_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
