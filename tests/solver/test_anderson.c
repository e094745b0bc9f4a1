/* SPDX-License-Identifier: MIT */
/* What is particular to Anderson acceleration. */
#include "solver/fixed_points.h"

enum { D = 12 };

static double run(const deq_solver_options *o, test_map *m, double *z, deq_solve_info *info)
{
    deq_map f = test_map_of(m, true);
    test_solve t = test_solve_new(o, 1, m->dim, DEQ_F64, 1);
    test_solve_run(&t, &f);
    for (int64_t i = 0; z && i < m->dim; i++) z[i] = test_z(&t, 0, i);
    double residual = t.info.residual;
    *info = t.info;
    static deq_sample_info sample;
    sample = t.info.sample[0];
    info->sample = &sample;
    test_solve_free(&t);
    return residual;
}

static void difference_and_constrained_forms_give_the_same_iterates(void **state)
{
    double *A = test_matrix(D, 0.9, 1), *b = test_vector(D, 2), z[2][D];
    static const double mixing[] = { 1, 0.6 };
    (void)state;
    for (int k = 0; k < 2; k++)
        for (int limit = 2; limit <= 8; limit++) {
            for (int form = 0; form < 2; form++) {
                test_map m = {
                    .dim = D, .A = A, .b = b, .dtype = DEQ_F64, .shape = tanh, .poison = -1
                };
                deq_solver_options o = deq_solver_defaults();
                deq_solve_info info;
                o.method = DEQ_ANDERSON;
                o.max_iter = limit;
                o.rtol = 0;
                o.anderson.depth = 4;
                o.anderson.mixing = mixing[k];
                o.anderson.fit = form ? DEQ_FIT_CONSTRAINED : DEQ_FIT_DIFFERENCE;
                run(&o, &m, z[form], &info);
            }
            for (int i = 0; i < D; i++) assert_true(fabs(z[0][i] - z[1][i]) < 1e-9);
        }
    free(A);
    free(b);
}

/* With a window as long as the dimension, an affine map is solved in dim + 2 evaluations. */
static void both_types_solve_affine_maps_in_dim_plus_two_evaluations(void **state)
{
    (void)state;
    for (int type = 1; type <= 2; type++)
        for (int64_t d = 1; d <= 8; d++) {
            double *A = test_matrix(d, 2.5, 7 + (uint64_t)d), *b = test_vector(d, 8);
            test_map m = { .dim = d, .A = A, .b = b, .dtype = DEQ_F64, .poison = -1 };
            deq_solver_options o = deq_solver_defaults();
            deq_solve_info info;
            o.method = DEQ_ANDERSON;
            o.anderson.type = type;
            o.anderson.safeguard = 0;
            o.rtol = 0;
            o.atol = 1e-7;
            run(&o, &m, NULL, &info);
            if (info.n_outcome[DEQ_CONVERGED] != 1 || info.n_feval > d + 2)
                fail_msg("type %d, dim %d: %d evaluations, residual %g", type, (int)d,
                         (int)info.n_feval, info.residual);
            free(A);
            free(b);
        }
}

/* f(z) = z + 1 has no fixed point: g is constant, its differences vanish, every window is singular. */
static void a_window_without_information_is_counted_and_stepped_over(void **state)
{
    const double A = 1, b = 1;
    test_map m = { .dim = 1, .A = &A, .b = &b, .dtype = DEQ_F64, .poison = -1 };
    deq_solver_options o = deq_solver_defaults();
    deq_solve_info info;
    (void)state;
    o.method = DEQ_ANDERSON;
    run(&o, &m, NULL, &info);
    assert_true(info.sample[0].outcome == DEQ_STAGNATED || info.sample[0].outcome == DEQ_MAX_ITER);
    assert_true(info.sample[0].n_singular > 5);
    assert_true(info.residual == 1);
}

static void depth_one_is_the_picard_iteration(void **state)
{
    double *A = test_matrix(D, 0.9, 1), *b = test_vector(D, 2), z[2][D];
    (void)state;
    for (int k = 0; k < 2; k++) {
        test_map m = { .dim = D, .A = A, .b = b, .dtype = DEQ_F64, .poison = -1 };
        deq_solver_options o = deq_solver_defaults();
        deq_solve_info info;
        o.method = k ? DEQ_ANDERSON : DEQ_PICARD;
        o.anderson.depth = 1;
        o.max_iter = 9;
        o.rtol = 0;
        run(&o, &m, z[k], &info);
    }
    assert_memory_equal(z[0], z[1], sizeof z[0]);
    free(A);
    free(b);
}

static void restarts_are_made_when_asked_for_and_counted(void **state)
{
    double *A = test_matrix(D, 0.99, 1), *b = test_vector(D, 2);
    test_map m = { .dim = D, .A = A, .b = b, .dtype = DEQ_F64, .shape = tanh, .poison = -1 };
    deq_solver_options o = deq_solver_defaults();
    deq_solve_info info;
    (void)state;
    o.method = DEQ_ANDERSON;
    o.max_iter = 10;
    o.rtol = 0;
    o.anderson.restart = 3;
    run(&o, &m, NULL, &info);
    assert_int_equal(info.sample[0].n_restart, 2); /* after 3 and 6 steps; the 9th is the last */
    free(A);
    free(b);
}

/* Once the right-hand side has moved a little, the old pairs tell most of the Jacobian. */
static void a_memory_saves_evaluations_when_the_problem_moves_a_little(void **state)
{
    double *A = test_matrix(D, 0.95, 5), *b = test_vector(D, 6);
    (void)state;
    for (int type = 1; type <= 2; type++) {
        int64_t cold = 0, warm = 0;
        for (int with = 0; with < 2; with++) {
            test_map m = { .dim = D, .A = A, .b = b, .shift = 0.1, .dtype = DEQ_F64, .poison = -1 };
            deq_map f = test_map_of(&m, true);
            deq_solver_options o = deq_solver_defaults();
            deq_solver_memory *memory = NULL;
            deq_context *ctx;
            assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
            assert_int_equal(deq_solver_memory_new(&memory, ctx), DEQ_OK);
            o.method = DEQ_ANDERSON;
            o.anderson.type = type;
            o.rtol = 1e-10;
            o.memory = with ? memory : NULL;
            test_solve t = test_solve_new(&o, 3, D, DEQ_F64, 1);
            test_solve_run(&t, &f);
            if (with) assert_true(deq_solver_memory_rank(memory, 2) > 3);
            memset(t.z, 0, 3 * D * sizeof(double));
            for (int i = 0; i < D; i++) b[i] += 0.01 * i;
            test_solve_run(&t, &f);
            for (int i = 0; i < D; i++) b[i] -= 0.01 * i;
            assert_int_equal(t.info.n_outcome[DEQ_CONVERGED], 3);
            *(with ? &warm : &cold) = t.info.n_feval;
            deq_solver_memory_clear(memory);
            assert_int_equal(deq_solver_memory_rank(memory, 2), 0);
            test_solve_free(&t);
            deq_solver_memory_free(memory);
            deq_context_free(ctx);
        }
        assert_true(warm + 3 <= cold);
    }
    free(A);
    free(b);
}

/* Steep at 0 and flat outside: steps go astray. */
static double steep(double z)
{
    return 1 + 0.5 * atan(20 * z);
}

static void a_step_astray_goes_back_to_the_best_pair(void **state)
{
    static const double A[4] = { 0, -1, 1, 0.2 }, b[2] = { 0.05, -0.02 };
    int back = 0;
    (void)state;
    for (int i = 0; i < 40; i++) {
        test_map m = { .dim = 2, .A = A, .b = b, .dtype = DEQ_F64, .shape = steep, .poison = -1 };
        deq_map f = test_map_of(&m, true);
        deq_solver_options o = deq_solver_defaults();
        o.method = DEQ_ANDERSON;
        o.anderson.safeguard = 1.5;
        o.anderson.mixing = i % 2 ? 1 : 0.5;
        o.max_iter = 60;
        o.rtol = 1e-10;
        test_solve t = test_solve_new(&o, 1, 2, DEQ_F64, 1);
        test_put(t.z, DEQ_F64, 0, 0.1 * i - 2);
        test_put(t.z, DEQ_F64, 1, 1 - 0.07 * i);
        test_solve_run(&t, &f);
        const deq_sample_info *in = &t.info.sample[0];
        back += in->n_fallback;
        assert_true(in->n_fallback <= in->n_restart);
        assert_true(in->residual <= in->initial);
        test_solve_free(&t);
    }
    assert_true(back > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(difference_and_constrained_forms_give_the_same_iterates),
        cmocka_unit_test(both_types_solve_affine_maps_in_dim_plus_two_evaluations),
        cmocka_unit_test(a_window_without_information_is_counted_and_stepped_over),
        cmocka_unit_test(depth_one_is_the_picard_iteration),
        cmocka_unit_test(restarts_are_made_when_asked_for_and_counted),
        cmocka_unit_test(a_step_astray_goes_back_to_the_best_pair),
        cmocka_unit_test(a_memory_saves_evaluations_when_the_problem_moves_a_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
