/* SPDX-License-Identifier: MIT */
/* SQUAREM: what it gains on slow monotone iterations, and what it may not lose. */
#include "solver/tanh_map.h"

static void it_solves_what_picard_solves(void **state)
{
    (void)state;
    for (deq_dtype t = DEQ_F32; t <= DEQ_F64; t++)
        for (int64_t batch = 1; batch <= 5; batch += 4)
            for (int64_t d = 1; d <= 17; d += 16) {
                tanh_map m = tanh_map_new(batch, d, t, 0.6);
                deq_map f = tanh_map_of(&m, false, true);
                double tol = t == DEQ_F32 ? 1e-5 : 1e-11, z[85];
                deq_solver_options o = options_of(DEQ_SQUAREM, tol, 200);
                deq_sample_info info[5];
                tanh_map_solve(&m, &f, &o, 2, z, info, NULL);
                for (int64_t k = 0; k < batch; k++) {
                    assert_int_equal(info[k].outcome, DEQ_CONVERGED);
                    assert_int_equal(info[k].n_feval, m.n_eval[k]);
                    assert_true(tanh_map_residual(&m, z, k) < tol * 1.1);
                }
                tanh_map_free(&m);
            }
}

/* A slow linear map with real eigenvalues up to 0.99: what extrapolation is for. */
static void it_needs_far_fewer_evaluations_than_picard_on_slow_maps(void **state)
{
    (void)state;
    tanh_map m = tanh_map_new(2, 6, DEQ_F64, 0);
    deq_map f = tanh_map_of(&m, false, true);
    deq_solver_options s = options_of(DEQ_SQUAREM, 1e-8, 5000);
    deq_solver_options p = options_of(DEQ_PICARD, 1e-8, 5000);
    deq_sample_info fast[2], slow[2];
    double z[12];
    m.affine = true;
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < 6; i++) m.w[k * 36 + i * 7] = 0.99 - 0.1 * i;
    tanh_map_solve(&m, &f, &s, 1, z, fast, NULL);
    tanh_map_solve(&m, &f, &p, 1, z, slow, NULL);
    for (int k = 0; k < 2; k++) {
        assert_int_equal(fast[k].outcome, DEQ_CONVERGED);
        assert_int_equal(slow[k].outcome, DEQ_CONVERGED);
        if (fast[k].n_feval >= slow[k].n_feval / 5)
            fail_msg("%d against %d", (int)fast[k].n_feval, (int)slow[k].n_feval);
    }
    tanh_map_free(&m);
}

static void companions_do_not_matter(void **state)
{
    (void)state;
    tanh_map m = tanh_map_new(6, 20, DEQ_F32, 0.9), one = tanh_map_new(1, 20, DEQ_F32, 0.9);
    deq_map f = tanh_map_of(&m, false, false), alone = tanh_map_of(&one, false, true);
    deq_solver_options o = options_of(DEQ_SQUAREM, 1e-4, 100);
    deq_sample_info info[6], single[1];
    float z[120], x[20];
    m.poisoned = 2;
    m.poisoned_at = 5;
    tanh_map_solve(&m, &f, &o, 2, z, info, NULL);
    assert_int_equal(info[2].outcome, DEQ_NON_FINITE);
    for (int k = 0; k < 6; k++) {
        if (k == 2) continue;
        memcpy(one.w, m.w + k * 400, 400 * sizeof *one.w);
        memcpy(one.c, m.c + k * 20, 20 * sizeof *one.c);
        tanh_map_solve(&one, &alone, &o, 1, x, single, NULL);
        assert_memory_equal(x, z + k * 20, sizeof x);
        assert_memory_equal(single, &info[k], sizeof *single);
    }
    tanh_map_free(&one);
    tanh_map_free(&m);
}

static void few_evaluations_are_never_exceeded(void **state)
{
    (void)state;
    for (int allowed = 0; allowed < 7; allowed++) {
        tanh_map m = tanh_map_new(2, 9, DEQ_F64, 1.5);
        deq_map f = tanh_map_of(&m, false, true);
        deq_solver_options o = options_of(DEQ_SQUAREM, 1e-14, allowed);
        deq_sample_info info[2];
        double z[18];
        tanh_map_solve(&m, &f, &o, 1, z, info, NULL);
        for (int k = 0; k < 2; k++) {
            assert_int_equal(info[k].outcome, DEQ_MAX_ITER);
            assert_int_equal(m.n_eval[k], allowed);
            if (allowed) assert_true(fabs(tanh_map_residual(&m, z, k) - info[k].residual) < 1e-12);
        }
        tanh_map_free(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_solves_what_picard_solves),
        cmocka_unit_test(it_needs_far_fewer_evaluations_than_picard_on_slow_maps),
        cmocka_unit_test(companions_do_not_matter),
        cmocka_unit_test(few_evaluations_are_never_exceeded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
