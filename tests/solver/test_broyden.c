/* SPDX-License-Identifier: MIT */
/* What is particular to Broyden's methods: what the factors are, and how they are kept. */
#include "solver/fixed_points.h"
#include "solver/tanh_map.h"

enum { D = 10 };

/* x' (I - A)^-1 or (I - A)^-1 x, by elimination. */
static void exact(double *x, const double *A, bool transposed)
{
    double M[D][D];
    for (int i = 0; i < D; i++)
        for (int j = 0; j < D; j++) M[i][j] = (i == j) - (transposed ? A[j * D + i] : A[i * D + j]);
    for (int k = 0; k < D; k++)
        for (int i = k + 1; i < D; i++) {
            double l = M[i][k] / M[k][k];
            for (int j = k; j < D; j++) M[i][j] -= l * M[k][j];
            x[i] -= l * x[k];
        }
    for (int i = D - 1; i >= 0; i--) {
        for (int j = i + 1; j < D; j++) x[i] -= M[i][j] * x[j];
        x[i] /= M[i][i];
    }
}

static void steep(void *user, void *grad, int64_t n)
{
    (void)user;
    for (int64_t i = 0; i < n; i++) test_put(grad, DEQ_F64, i, (double)(i % D) - 3);
}

static deq_status outer_gradient(void *user, void *grad, const void *z, const int64_t *samples,
                                 int64_t n)
{
    (void)z, (void)samples;
    ++*(int *)user;
    steep(user, grad, n * D);
    return DEQ_OK;
}

/* How much nearer than the identity the estimate must be: the secant methods only know the Jacobian
 * along their steps. */
static const double nearer[] = { 0.7, 0.7, 0.1 };

static void the_factors_left_behind_estimate_the_inverse_from_both_sides(void **state)
{
    double *A = test_matrix(D, 0.8, 41), *b = test_vector(D, 42);
    static const deq_method kinds[] = { DEQ_BROYDEN, DEQ_BROYDEN, DEQ_ADJOINT_BROYDEN };
    (void)state;
    for (int k = 0; k < 3; k++) {
        test_map m = { .dim = D, .A = A, .b = b, .shift = 0.3, .dtype = DEQ_F64, .poison = -1 };
        deq_map f = test_map_of(&m, true);
        deq_solver_options o = deq_solver_defaults();
        deq_solver_memory *memory = NULL;
        deq_context *ctx;
        double w[2 * D], u[2 * D];
        assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
        assert_int_equal(deq_solver_memory_new(&memory, ctx), DEQ_OK);
        assert_int_equal(deq_solver_memory_apply(u, memory, w, false), DEQ_ERR_STATE);
        o.method = kinds[k];
        o.broyden.bad = k == 1;
        o.rtol = 1e-14;
        o.max_iter = 100;
        o.memory = memory;
        test_solve t = test_solve_new(&o, 2, D, DEQ_F64, 1);
        test_solve_run(&t, &f);
        double both[2] = { 0, 0 };
        for (int right = 0; right < 2; right++) {
            double error = 0, size = 0, want[D];
            for (int i = 0; i < 2 * D; i++) w[i] = (double)(i % D) - 4;
            assert_int_equal(deq_solver_memory_apply(u, memory, w, right), DEQ_OK);
            memcpy(want, w, sizeof want);
            exact(want, A, !right);
            for (int i = 0; i < D; i++) {
                error += (u[i] - want[i]) * (u[i] - want[i]);
                size += (w[i] - want[i]) * (w[i] - want[i]); /* of the estimate by the identity */
            }
            if (!(sqrt(error) < nearer[k] * sqrt(size)))
                fail_msg("kind %d: error %g", k, sqrt(error / size));
            for (int i = 0; i < D; i++) both[right] += u[i] * w[i];
        }
        assert_true(fabs(both[0] - both[1]) < 1e-11 * fabs(both[0])); /* (w B) w = w (B w) */
        /* The same problem again, from the factors that it left. */
        int64_t cold = t.info.n_feval;
        memset(t.z, 0, 2 * D * sizeof(double));
        test_solve_run(&t, &f);
        assert_int_equal(t.info.n_outcome[DEQ_CONVERGED], 2);
        if (t.info.n_feval >= cold)
            fail_msg("kind %d: %d evaluations, at first %d", k, (int)t.info.n_feval, (int)cold);
        test_solve_free(&t);
        deq_solver_memory_free(memory);
        deq_context_free(ctx);
    }
    free(A);
    free(b);
}

/* -B dg = -dz for the last step of good and bad Broyden: what the pair was made for. */
static void the_secant_condition_holds_at_the_state_returned(void **state)
{
    double *A = test_matrix(D, 0.9, 51), *b = test_vector(D, 52);
    (void)state;
    for (int bad = 0; bad < 2; bad++) {
        double z[2][D], g[2][D];
        deq_context *ctx;
        assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
        deq_solver_memory *memory = NULL;
        assert_int_equal(deq_solver_memory_new(&memory, ctx), DEQ_OK);
        for (int limit = 5; limit <= 6; limit++) {
            test_map m = {
                .dim = D, .A = A, .b = b, .dtype = DEQ_F64, .shape = tanh, .poison = -1
            };
            deq_map f = test_map_of(&m, true);
            deq_solver_options o = deq_solver_defaults();
            o.method = DEQ_BROYDEN;
            o.broyden.bad = bad;
            o.max_iter = limit;
            o.rtol = 0;
            o.memory = limit == 6 ? memory : NULL;
            o.broyden.memory = 6;
            test_solve t = test_solve_new(&o, 1, D, DEQ_F64, 1);
            test_solve_run(&t, &f);
            assert_int_equal(t.info.sample[0].best_feval, limit);
            int64_t zero = 0;
            memcpy(z[limit - 5], t.z, sizeof z[0]);
            assert_int_equal(test_eval(&m, g[limit - 5], t.z, &zero, 1), DEQ_OK);
            for (int i = 0; i < D; i++) g[limit - 5][i] -= z[limit - 5][i];
            test_solve_free(&t);
        }
        double dg[D], u[D];
        for (int i = 0; i < D; i++) dg[i] = g[1][i] - g[0][i];
        assert_int_equal(deq_solver_memory_rank(memory, 0), 5);
        assert_int_equal(deq_solver_memory_apply(u, memory, dg, true), DEQ_OK);
        for (int i = 0; i < D; i++) assert_true(fabs(u[i] + z[1][i] - z[0][i]) < 1e-12);
        deq_solver_memory_free(memory);
        deq_context_free(ctx);
    }
    free(A);
    free(b);
}

/* The adjoint system u = w + J' u at a point. */
typedef struct adjoint_system {
    const tanh_map *f;
    double *slope; /* [batch, d] 1 - tanh^2 of the point */
    const double *w;
} adjoint_system;

static deq_status adjoint_eval(void *user, void *fu, const void *u, const int64_t *samples,
                               int64_t n)
{
    const adjoint_system *a = user;
    int64_t d = a->f->d;
    for (int64_t r = 0; r < n; r++)
        for (int64_t j = 0; j < d; j++) {
            const double *W = a->f->w + samples[r] * d * d, *s = a->slope + samples[r] * d;
            double sum = a->w[samples[r] * d + j];
            for (int64_t i = 0; i < d; i++)
                sum += W[i * d + j] * s[i] * ((const double *)u)[r * d + i];
            ((double *)fu)[r * d + j] = sum;
        }
    return DEQ_OK;
}

enum { FRESH, AS_THEY_ARE, TRANSPOSED, STARTS };

/* Residual of the adjoint system after ten steps from u, the worst of the batch. */
static double refined(deq_context *ctx, const adjoint_system *a, const deq_solver_memory *memory,
                      const double *u, int start)
{
    int64_t batch = a->f->batch, d = a->f->d;
    deq_map f = {
        .struct_size = sizeof f, .eval = adjoint_eval, .user = (void *)(uintptr_t)a, .partial = true
    };
    deq_solver_options o = options_of(DEQ_BROYDEN, 0, 11);
    deq_solver *s = NULL;
    deq_solve_info info = { .struct_size = sizeof info };
    double *x = doubles(batch * d);
    memcpy(x, u, (size_t)(batch * d) * sizeof *x);
    assert_int_equal(deq_solver_new(&s, ctx, &o, batch, d, DEQ_F64), DEQ_OK);
    if (start != FRESH)
        assert_int_equal(deq_solver_start_from(s, memory, start == TRANSPOSED), DEQ_OK);
    assert_int_equal(deq_solve(x, &info, s, &f), DEQ_OK);
    double residual = info.residual;
    /* The factors are for one solve. */
    memcpy(x, u, (size_t)(batch * d) * sizeof *x);
    assert_int_equal(deq_solve(x, &info, s, &f), DEQ_OK);
    if (start == FRESH) assert_true(info.residual <= residual && info.residual >= residual);
    if (start == TRANSPOSED) assert_true(info.residual > 2 * residual);
    deq_solver_free(s);
    free(x);
    return residual;
}

/* B estimates (J - I)^-1; the residual of the adjoint system has the Jacobian (J - I)'. */
static void transposed_factors_carry_over_to_the_adjoint_system(void **state)
{
    static const deq_method kinds[] = { DEQ_BROYDEN, DEQ_ADJOINT_BROYDEN };
    (void)state;
    for (int k = 0; k < 2; k++) {
        tanh_map m = tanh_map_new(3, 60, DEQ_F64, 0.9);
        deq_map f = tanh_map_of(&m, true, true);
        f.vjp = tanh_map_vjp;
        deq_context *ctx;
        deq_solver_memory *memory = NULL;
        deq_solver *s = NULL;
        deq_solver_options o = options_of(kinds[k], 1e-7, 100);
        int64_t n = m.batch * m.d;
        double *z = doubles(n), *w = doubles(n), *u = doubles(n), residual[STARTS];
        assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
        assert_int_equal(deq_solver_memory_new(&memory, ctx), DEQ_OK);
        o.memory = memory;
        assert_int_equal(deq_solver_new(&s, ctx, &o, m.batch, m.d, DEQ_F64), DEQ_OK);
        memset(z, 0, (size_t)n * sizeof *z);
        assert_int_equal(deq_solve(z, NULL, s, &f), DEQ_OK);
        if (k == 1) /* it cannot start from others' factors */
            assert_int_equal(deq_solver_start_from(s, memory, true), DEQ_ERR_ARGUMENT);

        adjoint_system a = { &m, doubles(n), w };
        for (int64_t i = 0; i < n; i++) {
            double t = tanh(tanh_map_argument(&m, i / m.d, z + i / m.d * m.d, i % m.d));
            a.slope[i] = 1 - t * t;
            w[i] = sin((double)i);
        }
        assert_int_equal(deq_solver_memory_apply(u, memory, w, false), DEQ_OK);
        for (int i = 0; i < STARTS; i++) residual[i] = refined(ctx, &a, memory, u, i);
        if (!(residual[TRANSPOSED] < 0.3 * residual[FRESH]) ||
            !(residual[TRANSPOSED] < 0.1 * residual[AS_THEY_ARE]))
            fail_msg("method %d: transposed %g, untransposed %g, fresh %g", k, residual[TRANSPOSED],
                     residual[AS_THEY_ARE], residual[FRESH]);
        deq_solver_free(s);
        deq_solver_memory_free(memory);
        deq_context_free(ctx);
        free(a.slope);
        free(u);
        free(w);
        free(z);
        tanh_map_free(&m);
    }
}

static void factors_that_do_not_fit_are_refused(void **state)
{
    deq_context *ctx;
    deq_solver_memory *memory = NULL;
    deq_solver *s[4] = { NULL };
    deq_solver_options o = deq_solver_defaults();
    (void)state;
    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    assert_int_equal(deq_solver_memory_new(&memory, ctx), DEQ_OK);
    o.method = DEQ_BROYDEN;
    assert_int_equal(deq_solver_new(&s[0], ctx, &o, 2, 5, DEQ_F64), DEQ_OK);
    assert_int_equal(deq_solver_start_from(s[0], memory, false), DEQ_ERR_STATE);
    o.memory = memory;
    assert_int_equal(deq_solver_new(&s[1], ctx, &o, 2, 6, DEQ_F64), DEQ_OK);
    assert_int_equal(deq_solver_start_from(s[0], memory, false), DEQ_ERR_SHAPE);
    assert_non_null(strstr(deq_last_error(ctx), "2 samples of 6 f64"));
    o.memory = NULL;
    assert_int_equal(deq_solver_new(&s[2], ctx, &o, 2, 6, DEQ_F32), DEQ_OK);
    assert_int_equal(deq_solver_start_from(s[2], memory, false), DEQ_ERR_SHAPE);
    o.method = DEQ_ANDERSON;
    assert_int_equal(deq_solver_new(&s[3], ctx, &o, 2, 6, DEQ_F64), DEQ_OK);
    assert_int_equal(deq_solver_start_from(s[3], memory, false), DEQ_ERR_ARGUMENT);
    assert_non_null(strstr(deq_last_error(ctx), "anderson, expected broyden"));
    for (int i = 0; i < 4; i++) deq_solver_free(s[i]);
    deq_solver_memory_free(memory);
    deq_context_free(ctx);
}

/* f(z) = z - 4 atan(z): from 1.5 a full secant step overshoots ever more. */
static double overshooting(double z)
{
    return z - 4 * atan(z);
}

static void a_search_makes_the_residual_fall(void **state)
{
    const double A = 1, b = 0;
    test_map m = {
        .dim = 1, .A = &A, .b = &b, .dtype = DEQ_F64, .shape = overshooting, .poison = -1
    };
    deq_map f = test_map_of(&m, true);
    deq_solver_options o = deq_solver_defaults();
    (void)state;
    o.method = DEQ_BROYDEN;
    o.broyden.line_search = true;
    o.max_iter = 100;
    o.atol = 1e-10;
    o.trace = true;
    test_solve t = test_solve_new(&o, 1, 1, DEQ_F64, 1);
    test_put(t.z, DEQ_F64, 0, 1.5);
    test_solve_run(&t, &f);
    const deq_sample_info *in = &t.info.sample[0];
    assert_int_equal(in->outcome, DEQ_CONVERGED);
    assert_true(in->n_iter < in->n_feval - 1); /* some trials were refused */
    assert_int_equal(in->n_feval, m.calls);
    test_solve_free(&t);
}

static void outer_updates_take_products_and_are_made_at_their_frequency(void **state)
{
    double *A = test_matrix(D, 0.9, 61), *b = test_vector(D, 62), room[2 * D];
    int calls = 0;
    test_map m = {
        .dim = D, .A = A, .b = b, .shift = 0.1, .dtype = DEQ_F64, .poison = -1, .linear = room
    };
    deq_map f = test_map_of(&m, true);
    deq_solver_options o = deq_solver_defaults();
    (void)state;
    o.method = DEQ_ADJOINT_BROYDEN;
    o.adjoint_broyden.outer_gradient = outer_gradient;
    o.adjoint_broyden.outer_user = &calls;
    o.adjoint_broyden.outer_every = 3;
    o.rtol = 1e-12;
    test_solve t = test_solve_new(&o, 2, D, DEQ_F64, 1);
    test_solve_run(&t, &f);
    assert_int_equal(t.info.n_outcome[DEQ_CONVERGED], 2);
    assert_int_equal(calls, (t.info.n_feval - 1) / 3);
    assert_int_equal(t.info.n_vjp, t.info.n_feval - 1 + calls);
    assert_int_equal(t.info.n_vjp, m.products);
    test_solve_free(&t);
    free(A);
    free(b);
}

static void a_full_memory_is_reduced_and_the_solve_goes_on(void **state)
{
    double *A = test_matrix(D, 0.97, 71), *b = test_vector(D, 72);
    (void)state;
    for (int reduction = DEQ_REDUCE_RESTART; reduction <= DEQ_REDUCE_SVD; reduction++)
        for (int memory = 1; memory <= 5; memory++) {
            test_map m = {
                .dim = D, .A = A, .b = b, .dtype = DEQ_F64, .shape = tanh, .poison = -1
            };
            deq_map f = test_map_of(&m, true);
            deq_solver_options o = deq_solver_defaults();
            o.method = DEQ_BROYDEN;
            o.broyden.memory = memory;
            o.broyden.reduction = (deq_broyden_reduction)reduction;
            o.max_iter = 200;
            o.rtol = 1e-10;
            test_solve t = test_solve_new(&o, 1, D, DEQ_F64, 1);
            test_solve_run(&t, &f);
            if (t.info.sample[0].outcome != DEQ_CONVERGED)
                fail_msg("reduction %d, memory %d", reduction, memory);
            test_solve_free(&t);
        }
    free(A);
    free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_factors_left_behind_estimate_the_inverse_from_both_sides),
        cmocka_unit_test(the_secant_condition_holds_at_the_state_returned),
        cmocka_unit_test(a_search_makes_the_residual_fall),
        cmocka_unit_test(outer_updates_take_products_and_are_made_at_their_frequency),
        cmocka_unit_test(a_full_memory_is_reduced_and_the_solve_goes_on),
        cmocka_unit_test(transposed_factors_carry_over_to_the_adjoint_system),
        cmocka_unit_test(factors_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
