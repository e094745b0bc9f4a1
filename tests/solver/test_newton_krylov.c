/* SPDX-License-Identifier: MIT */
/* Newton-Krylov: speed, counts, searches, what companions may not do. */
#include "solver/tanh_map.h"

static void it_converges_in_a_few_steps_with_exact_products(void **state)
{
    (void)state;
    static const double sizes[] = { 0.5, 0.95, 2 };
    for (int i = 0; i < 3; i++)
        for (int partial = 0; partial < 2; partial++) {
            tanh_map m = tanh_map_new(5, 20, DEQ_F64, sizes[i]);
            deq_map f = tanh_map_of(&m, true, partial);
            deq_solver_options o = options_of(DEQ_NEWTON_KRYLOV, 1e-11, 60);
            deq_sample_info info[5];
            deq_solve_info all;
            double z[100];
            tanh_map_solve(&m, &f, &o, 2, z, info, &all);
            for (int k = 0; k < 5; k++) {
                if (info[k].outcome != DEQ_CONVERGED)
                    fail_msg("size %g, sample %d: %s, %g after %d", sizes[i], k,
                             deq_outcome_text(info[k].outcome), info[k].residual,
                             (int)info[k].n_feval);
                assert_true(tanh_map_residual(&m, z, k) < 1.1e-11);
                assert_true(info[k].n_feval < (sizes[i] < 1 ? 10 : 50));
                if (partial) assert_int_equal(info[k].n_feval, m.n_eval[k]);
            }
            assert_int_equal(all.n_jvp, m.n_products);
            tanh_map_free(&m);
        }
}

/* One step solves an affine map, whatever its spectral radius. */
static void an_affine_map_takes_one_step_with_tight_forcing(void **state)
{
    (void)state;
    tanh_map m = tanh_map_new(3, 15, DEQ_F64, 3);
    deq_map f = tanh_map_of(&m, true, true);
    deq_solver_options o = options_of(DEQ_NEWTON_KRYLOV, 1e-9, 20);
    deq_sample_info info[3];
    double z[45];
    m.affine = true;
    o.newton_krylov.forcing_max = 1e-13;
    tanh_map_solve(&m, &f, &o, 1, z, info, NULL);
    for (int k = 0; k < 3; k++) {
        assert_int_equal(info[k].outcome, DEQ_CONVERGED);
        assert_in_range(info[k].n_feval, 2, 3);
        assert_in_range(info[k].n_iter, 1, 2);
    }
    tanh_map_free(&m);
}

/* Differences cost evaluations, and every one is counted. */
static void without_products_differences_serve_and_are_counted(void **state)
{
    (void)state;
    for (deq_dtype t = DEQ_F32; t <= DEQ_F64; t++)
        for (int partial = 0; partial < 2; partial++) {
            tanh_map m = tanh_map_new(4, 18, t, 0.9);
            deq_map f = tanh_map_of(&m, false, partial);
            deq_solver_options o = options_of(DEQ_NEWTON_KRYLOV, t == DEQ_F32 ? 1e-4 : 1e-10, 200);
            deq_sample_info info[4];
            deq_solve_info all;
            double z[72];
            o.trace = true;
            tanh_map_solve(&m, &f, &o, 2, z, info, &all);
            for (int k = 0; k < 4; k++) {
                assert_int_equal(info[k].outcome, DEQ_CONVERGED);
                assert_true(tanh_map_residual(&m, z, k) < (t == DEQ_F32 ? 1.1e-4 : 1.1e-10));
                assert_true(info[k].n_feval <= m.n_eval[k]);
                assert_true(info[k].n_iter < 12 && info[k].n_feval > info[k].n_iter + 5);
            }
            assert_int_equal(all.n_jvp, 0);
            tanh_map_free(&m);
        }
}

/* Evaluations for products repeat the residual of the iterate that they are for. */
static void traces_have_an_entry_for_every_evaluation(void **state)
{
    (void)state;
    tanh_map m = tanh_map_new(3, 18, DEQ_F64, 0.9);
    deq_map f = tanh_map_of(&m, false, true);
    deq_context *ctx;
    deq_solver *s = NULL;
    deq_solver_options o = options_of(DEQ_NEWTON_KRYLOV, 1e-10, 200);
    deq_solve_info info = { .struct_size = sizeof info };
    double z[3 * 18] = { 0 };
    o.trace = true;
    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    assert_int_equal(deq_solver_new(&s, ctx, &o, 3, 18, DEQ_F64), DEQ_OK);
    assert_int_equal(deq_solve(z, &info, s, &f), DEQ_OK);
    for (int k = 0; k < 3; k++) {
        deq_trace t = deq_solver_trace(s, k);
        assert_int_equal(t.length, info.sample[k].n_feval);
        assert_true(t.residual[0] >= info.sample[k].initial);
        for (int64_t i = 0; i < t.length; i++)
            assert_true(t.residual[i] > 0 && t.residual[i] < 100 && t.relative[i] > 0);
        assert_true(t.residual[t.length - 1] <= 1e-10);
    }
    deq_solver_free(s);
    deq_context_free(ctx);
    tanh_map_free(&m);
}

/* atan(z) = 0 as z = z - atan(z): undamped Newton diverges from 3. */
static deq_status minus_atan(void *user, void *fz, const void *z, const int64_t *samples, int64_t n)
{
    (void)user;
    (void)samples;
    for (int64_t i = 0; i < n; i++)
        ((double *)fz)[i] = ((const double *)z)[i] - atan(((const double *)z)[i]);
    return DEQ_OK;
}

static void shorter_steps_are_tried_where_newton_overshoots(void **state)
{
    (void)state;
    deq_context *ctx = NULL;
    deq_solver *s = NULL;
    deq_map f = { .struct_size = sizeof f, .eval = minus_atan, .partial = true };
    deq_solver_options o = options_of(DEQ_NEWTON_KRYLOV, 1e-10, 100);
    deq_solve_info info = { .struct_size = sizeof info };
    double z[3] = { 3, -20, 0.5 };
    o.newton_krylov.forcing_max = 1e-3;
    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    assert_int_equal(deq_solver_new(&s, ctx, &o, 3, 1, DEQ_F64), DEQ_OK);
    assert_int_equal(deq_solve(z, &info, s, &f), DEQ_OK);
    for (int k = 0; k < 3; k++) {
        assert_int_equal(info.sample[k].outcome, DEQ_CONVERGED);
        assert_true(fabs(z[k]) < 1e-10);
        assert_int_equal(info.sample[k].n_search_failed, 0);
    }
    /* trials and products are no steps */
    assert_true(info.sample[1].n_iter + 5 < info.sample[1].n_feval);
    deq_solver_free(s);
    deq_context_free(ctx);
}

static void few_evaluations_are_never_exceeded(void **state)
{
    (void)state;
    for (int derivative = 0; derivative < 2; derivative++)
        for (int allowed = 0; allowed < 6; allowed++) {
            tanh_map m = tanh_map_new(3, 12, DEQ_F64, 1.5);
            deq_map f = tanh_map_of(&m, derivative, true);
            deq_solver_options o = options_of(DEQ_NEWTON_KRYLOV, 1e-14, allowed);
            deq_sample_info info[3];
            double z[36], zero[12] = { 0 };
            o.stagnation_window = 0;
            tanh_map_solve(&m, &f, &o, 1, z, info, NULL);
            for (int k = 0; k < 3; k++) {
                assert_int_equal(info[k].outcome, DEQ_MAX_ITER);
                assert_int_equal(info[k].n_feval, allowed);
                /* differences are evaluated for companions' sake too, and not counted then */
                if (derivative) assert_int_equal(m.n_eval[k], allowed);
                if (allowed < 2)
                    assert_memory_equal(z + 12 * k, zero, sizeof zero);
                else
                    assert_true(fabs(tanh_map_residual(&m, z, k) - info[k].residual) < 1e-12);
            }
            tanh_map_free(&m);
        }
}

static void a_sample_has_the_same_bits_whatever_its_companions(void **state)
{
    (void)state;
    for (int derivative = 0; derivative < 2; derivative++) {
        tanh_map m = tanh_map_new(7, 30, DEQ_F32, 1.2), one = tanh_map_new(1, 30, DEQ_F32, 1.2);
        deq_map f = tanh_map_of(&m, derivative, true), whole = tanh_map_of(&m, derivative, false);
        deq_map alone = tanh_map_of(&one, derivative, true);
        deq_solver_options o = options_of(DEQ_NEWTON_KRYLOV, 1e-4, 150);
        deq_sample_info info[7], again[7], single[1];
        float z[210], y[210], x[30];
        for (int i = 0; i < 900; i++) m.w[i] *= 0.1; /* one that ends early */
        tanh_map_solve(&m, &f, &o, 3, z, info, NULL);
        tanh_map_solve(&m, &whole, &o, 1, y, again, NULL);
        assert_memory_equal(z, y, sizeof z);
        assert_memory_equal(info, again, sizeof info);
        for (int k = 0; k < 7; k++) {
            memcpy(one.w, m.w + k * 900, 900 * sizeof *one.w);
            memcpy(one.c, m.c + k * 30, 30 * sizeof *one.c);
            tanh_map_solve(&one, &alone, &o, 2, x, single, NULL);
            assert_memory_equal(x, z + k * 30, sizeof x);
            assert_memory_equal(single, &info[k], sizeof *single);
        }
        tanh_map_free(&one);
        tanh_map_free(&m);
    }
}

static void a_nan_in_one_sample_is_its_own_affair(void **state)
{
    (void)state;
    for (int derivative = 0; derivative < 2; derivative++)
        for (int at = 0; at < 4; at++) {
            tanh_map m = tanh_map_new(64, 8, DEQ_F64, 0.9);
            deq_map f = tanh_map_of(&m, derivative, true);
            deq_solver_options o = options_of(DEQ_NEWTON_KRYLOV, 1e-9, 120);
            deq_sample_info good[64], bad[64];
            double z[512], y[512];
            tanh_map_solve(&m, &f, &o, 2, z, good, NULL);
            m.poisoned = 9;
            m.poisoned_at = at;
            tanh_map_solve(&m, &f, &o, 2, y, bad, NULL);
            for (int k = 0; k < 64; k++) {
                if (k == 9) {
                    assert_true(bad[k].outcome != DEQ_CONVERGED);
                    for (int i = 0; i < 8; i++) assert_true(isfinite(y[8 * k + i]));
                    continue;
                }
                assert_memory_equal(&z[8 * k], &y[8 * k], 8 * sizeof *z);
                assert_memory_equal(&good[k], &bad[k], sizeof *good);
            }
            tanh_map_free(&m);
        }
}

static void every_failure_of_memory_is_survived(void **state)
{
    (void)state;
    bool done = false;
    for (size_t fail_at = 2; !done; fail_at++) {
        test_memory memory = { .fail_at = fail_at };
        deq_context *ctx = test_memory_context(&memory, 1);
        deq_solver_options o = options_of(DEQ_NEWTON_KRYLOV, 1e-9, 50);
        deq_solver *s = NULL;
        deq_status status = deq_solver_new(&s, ctx, &o, 2, 6, DEQ_F64);
        done = status == DEQ_OK;
        if (done) {
            tanh_map m = tanh_map_new(2, 6, DEQ_F64, 0.9);
            deq_map f = tanh_map_of(&m, true, true);
            double z[12] = { 0 };
            size_t before = memory.calls;
            assert_int_equal(deq_solve(z, NULL, s, &f), DEQ_OK);
            assert_int_equal(memory.calls, before);
            tanh_map_free(&m);
        } else {
            assert_int_equal(status, DEQ_ERR_NOMEM);
        }
        deq_solver_free(s);
        deq_context_free(ctx);
        assert_memory_clean(&memory);
    }
}

#define REFUSE(field, value)                                                                       \
    do {                                                                                           \
        deq_solver_options o_ = options_of(DEQ_NEWTON_KRYLOV, 1e-9, 50);                           \
        o_.newton_krylov.field = value;                                                            \
        assert_int_equal(deq_solver_new(&s, ctx, &o_, 1, 1, DEQ_F64), DEQ_ERR_ARGUMENT);           \
        assert_non_null(strstr(deq_last_error(ctx), "newton_krylov." #field));                     \
    } while (0)

static void options_out_of_range_are_refused(void **state)
{
    (void)state;
    deq_context *ctx = NULL;
    deq_solver *s = NULL;
    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    REFUSE(restart, 0);
    REFUSE(max_products, 0);
    REFUSE(forcing_max, 1);
    REFUSE(armijo, 0.5);
    REFUSE(min_step, 0);
    deq_context_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_converges_in_a_few_steps_with_exact_products),
        cmocka_unit_test(an_affine_map_takes_one_step_with_tight_forcing),
        cmocka_unit_test(without_products_differences_serve_and_are_counted),
        cmocka_unit_test(traces_have_an_entry_for_every_evaluation),
        cmocka_unit_test(shorter_steps_are_tried_where_newton_overshoots),
        cmocka_unit_test(few_evaluations_are_never_exceeded),
        cmocka_unit_test(a_sample_has_the_same_bits_whatever_its_companions),
        cmocka_unit_test(a_nan_in_one_sample_is_its_own_affair),
        cmocka_unit_test(every_failure_of_memory_is_survived),
        cmocka_unit_test(options_out_of_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
