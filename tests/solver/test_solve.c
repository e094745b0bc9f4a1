/* SPDX-License-Identifier: MIT */
/* What every fixed-point method promises, method by method. */
#include "solver/fixed_points.h"
#include "support/memory.h"

static const struct method_case {
    const char *name;
    deq_method method;
    double damping;
    int type;
    deq_anderson_fit fit;
    bool bad, search;
    deq_broyden_reduction reduction;
    int memory;
} methods[] = {
    { .name = "picard", .method = DEQ_PICARD, .damping = 1 },
    { .name = "picard, damped", .method = DEQ_PICARD, .damping = 0.7 },
    { .name = "anderson II", .method = DEQ_ANDERSON, .type = 2 },
    { .name = "anderson I", .method = DEQ_ANDERSON, .type = 1 },
    { .name = "anderson, constrained",
      .method = DEQ_ANDERSON,
      .type = 2,
      .fit = DEQ_FIT_CONSTRAINED },
    { .name = "anderson, depth 3", .method = DEQ_ANDERSON, .type = 2, .memory = 3 },
    { .name = "broyden", .method = DEQ_BROYDEN },
    { .name = "broyden, bad", .method = DEQ_BROYDEN, .bad = true },
    { .name = "broyden, search", .method = DEQ_BROYDEN, .search = true },
    { .name = "broyden, restart", .method = DEQ_BROYDEN, .memory = 4 },
    { .name = "broyden, svd", .method = DEQ_BROYDEN, .memory = 6, .reduction = DEQ_REDUCE_SVD },
    { .name = "adjoint broyden", .method = DEQ_ADJOINT_BROYDEN },
    { .name = "auto", .method = DEQ_AUTO, .type = 2 },
};
enum { N_METHODS = sizeof methods / sizeof *methods };

static deq_solver_options options_of(const struct method_case *m)
{
    deq_solver_options o = deq_solver_defaults();
    o.method = m->method;
    if (m->damping > 0) o.picard.damping = m->damping;
    if (m->type) o.anderson.type = m->type;
    o.anderson.fit = m->fit;
    o.broyden.bad = m->bad;
    o.broyden.line_search = m->search;
    o.broyden.reduction = m->reduction;
    if (m->memory) o.anderson.depth = o.broyden.memory = m->memory;
    return o;
}

static double tanh_slope(double x)
{
    return 1 - tanh(x) * tanh(x);
}

static double minus_sin(double x)
{
    return -sin(x);
}

/* |f(z) - z| of a result, computed here. */
static double residual_of(const test_solve *t, test_map *m, int64_t sample, double *f_norm)
{
    double gg = 0, ff = 0;
    for (int64_t i = 0; i < m->dim; i++) {
        double v = m->b[i] + (double)sample * m->shift;
        for (int64_t j = 0; j < m->dim; j++) v += m->A[i * m->dim + j] * test_z(t, sample, j);
        v = m->shape ? m->shape(v) : v;
        gg += (v - test_z(t, sample, i)) * (v - test_z(t, sample, i));
        ff += v * v;
    }
    *f_norm = sqrt(ff);
    return sqrt(gg);
}

static void every_method_solves_random_contractions_and_reports_their_residual(void **state)
{
    static const int64_t dims[] = { 1, 2, 7, 40 };
    (void)state;
    for (int k = 0; k < N_METHODS; k++)
        for (int d = 0; d < 4; d++)
            for (int shaped = 0; shaped < 2; shaped++) {
                double *A = test_matrix(dims[d], 0.8, 3 + (uint64_t)d),
                       *b = test_vector(dims[d], 5);
                double room[5 * 40];
                test_map m = { .dim = dims[d],
                               .A = A,
                               .b = b,
                               .shift = 0.2,
                               .dtype = DEQ_F64,
                               .poison = -1,
                               .linear = room };
                if (shaped) m.shape = tanh;
                if (shaped) m.slope = tanh_slope;
                deq_map f = test_map_of(&m, true);
                deq_solver_options o = options_of(&methods[k]);
                o.max_iter = 200;
                o.atol = 1e-10;
                o.rtol = 0;
                test_solve t = test_solve_new(&o, 5, dims[d], DEQ_F64, 1);
                test_solve_run(&t, &f);
                assert_int_equal(t.info.n_feval, m.calls);
                assert_int_equal(t.info.n_feval_rows, m.rows);
                assert_int_equal(t.info.n_vjp, m.products);
                for (int64_t i = 0; i < 5; i++) {
                    double f_norm, r = residual_of(&t, &m, i, &f_norm);
                    const deq_sample_info *in = &t.info.sample[i];
                    if (in->outcome != DEQ_CONVERGED)
                        fail_msg("%s, dim %d: %s", methods[k].name, (int)dims[d],
                                 deq_outcome_text(in->outcome));
                    assert_true(in->residual <= 1e-10);
                    assert_true(fabs(r - in->residual) < 1e-13);
                    assert_true(fabs(in->relative - r / f_norm) < 1e-12);
                }
                test_solve_free(&t);
                free(A);
                free(b);
            }
}

static void every_method_finds_the_cosine_fixed_point(void **state)
{
    const double A = 1, b = 0;
    double room;
    (void)state;
    for (int k = 0; k < N_METHODS; k++)
        for (deq_dtype dtype = DEQ_F32; dtype <= DEQ_F64; dtype++) {
            test_map m = { .dim = 1,
                           .A = &A,
                           .b = &b,
                           .dtype = dtype,
                           .shape = cos,
                           .slope = minus_sin,
                           .poison = -1,
                           .linear = &room };
            deq_map f = test_map_of(&m, true);
            deq_solver_options o = options_of(&methods[k]);
            o.max_iter = 100;
            o.rtol = dtype == DEQ_F32 ? 1e-6 : 1e-13;
            test_solve t = test_solve_new(&o, 1, 1, dtype, 1);
            test_solve_run(&t, &f);
            if (t.info.sample[0].outcome != DEQ_CONVERGED) fail_msg("%s", methods[k].name);
            assert_true(fabs(test_z(&t, 0, 0) - 0.73908513321516067) <
                        (dtype == DEQ_F32 ? 2e-6 : 1e-12));
            test_solve_free(&t);
        }
}

/* A rotation by 2 radians, shrunk: eigenvalues r e^{+-2i}; and one that is no contraction. */
static void rotations_are_solved_even_where_picard_diverges(void **state)
{
    static const double radius[] = { 0.95, 1.3 };
    const double b[2] = { 1, -0.5 };
    (void)state;
    for (int k = 0; k < N_METHODS; k++)
        for (int i = 0; i < 2; i++) {
            double c = radius[i] * cos(2), s = radius[i] * sin(2), A[4] = { c, -s, s, c }, room[2];
            double det = (1 - c) * (1 - c) + s * s;
            double want[2] = { ((1 - c) * b[0] - s * b[1]) / det,
                               (s * b[0] + (1 - c) * b[1]) / det };
            test_map m = {
                .dim = 2, .A = A, .b = b, .dtype = DEQ_F64, .poison = -1, .linear = room
            };
            deq_map f = test_map_of(&m, true);
            deq_solver_options o = options_of(&methods[k]);
            o.max_iter = 600;
            o.rtol = 1e-10;
            test_solve t = test_solve_new(&o, 1, 2, DEQ_F64, 1);
            test_solve_run(&t, &f);
            if (methods[k].method == DEQ_PICARD && radius[i] > 1 && methods[k].damping == 1) {
                assert_int_equal(t.info.sample[0].outcome, DEQ_DIVERGED);
                assert_int_equal(t.info.sample[0].best_feval, 1); /* nothing better than z_0 */
                assert_true(test_z(&t, 0, 0) == 0 && test_z(&t, 0, 1) == 0);
            } else {
                if (t.info.sample[0].outcome != DEQ_CONVERGED)
                    fail_msg("%s, radius %g: %s", methods[k].name, radius[i],
                             deq_outcome_text(t.info.sample[0].outcome));
                for (int j = 0; j < 2; j++) assert_true(fabs(test_z(&t, 0, j) - want[j]) < 1e-9);
            }
            test_solve_free(&t);
        }
}

static void few_evaluations_are_counted_exactly_and_the_best_of_them_is_returned(void **state)
{
    const double A = 0.5, b = 1;
    double room;
    (void)state;
    for (int k = 0; k < N_METHODS; k++)
        for (int limit = 0; limit <= 3; limit++) {
            test_map m = {
                .dim = 1, .A = &A, .b = &b, .dtype = DEQ_F64, .poison = -1, .linear = &room
            };
            deq_map f = test_map_of(&m, false);
            deq_solver_options o = options_of(&methods[k]);
            o.max_iter = limit;
            o.rtol = 0;
            o.trace = true;
            test_solve t = test_solve_new(&o, 1, 1, DEQ_F64, 1);
            test_put(t.z, DEQ_F64, 0, 8);
            test_solve_run(&t, &f);
            const deq_sample_info *in = &t.info.sample[0];
            deq_trace trace = deq_solver_trace(t.solver, 0);
            assert_true(m.calls <= limit);
            assert_int_equal(t.info.n_feval, m.calls);
            assert_int_equal(trace.length, m.calls);
            if (limit == 0) {
                assert_int_equal(in->outcome, DEQ_MAX_ITER);
                assert_true(isinf(in->residual) && isinf(in->initial));
                assert_true(test_z(&t, 0, 0) == 8);
            } else {
                double z = test_z(&t, 0, 0);
                assert_true(trace.residual[0] == 3); /* |0.5 8 + 1 - 8|, no sentinel */
                assert_true(in->initial == 3);
                assert_true(fabs(fabs(0.5 * z + 1 - z) - in->residual) < 1e-15);
                assert_true(in->residual == trace.residual[in->best_feval - 1]);
                for (int64_t i = 0; i < trace.length; i++)
                    assert_true(in->residual <= trace.residual[i]);
            }
            if (limit == 1) assert_true(test_z(&t, 0, 0) == 8); /* only z_0 was evaluated */
            test_solve_free(&t);
        }
}

/* f(z) = -z / 2: at the equilibrium |f(z)| is zero, and so is the relative bound. */
static void a_zero_equilibrium_needs_an_absolute_tolerance_or_ends_by_itself(void **state)
{
    const double A[4] = { -0.5, 0, 0, 0.3 }, b[2] = { 0, 0 };
    double room[2];
    (void)state;
    for (int k = 0; k < N_METHODS; k++)
        for (int absolute = 0; absolute < 2; absolute++) {
            test_map m = {
                .dim = 2, .A = A, .b = b, .dtype = DEQ_F64, .poison = -1, .linear = room
            };
            deq_map f = test_map_of(&m, true);
            deq_solver_options o = options_of(&methods[k]);
            o.max_iter = 3000;
            o.rtol = 1e-3;
            o.atol = absolute ? 1e-12 : 0;
            test_solve t = test_solve_new(&o, 1, 2, DEQ_F64, 1);
            test_put(t.z, DEQ_F64, 0, 1);
            test_put(t.z, DEQ_F64, 1, 1);
            test_solve_run(&t, &f);
            const deq_sample_info *in = &t.info.sample[0];
            if (absolute) assert_int_equal(in->outcome, DEQ_CONVERGED);
            if (in->outcome != DEQ_CONVERGED && in->outcome != DEQ_STAGNATED)
                fail_msg("%s: %s after %d, residual %g", methods[k].name,
                         deq_outcome_text(in->outcome), (int)in->n_feval, in->residual);
            assert_true(in->residual < 1e-11);
            test_solve_free(&t);
        }
}

static void a_start_at_the_fixed_point_is_one_evaluation(void **state)
{
    const double A = 0.5, b = 1;
    double room;
    (void)state;
    for (int k = 0; k < N_METHODS; k++) {
        test_map m = {
            .dim = 1, .A = &A, .b = &b, .dtype = DEQ_F64, .poison = -1, .linear = &room
        };
        deq_map f = test_map_of(&m, true);
        deq_solver_options o = options_of(&methods[k]);
        o.rtol = 0;
        test_solve t = test_solve_new(&o, 1, 1, DEQ_F64, 1);
        test_put(t.z, DEQ_F64, 0, 2);
        test_solve_run(&t, &f);
        assert_int_equal(m.calls, 1);
        assert_int_equal(t.info.sample[0].outcome, DEQ_CONVERGED);
        assert_int_equal(t.info.sample[0].n_iter, 0);
        assert_true(test_z(&t, 0, 0) == 2);
        test_solve_free(&t);
    }
}

/* The same sample, alone and among others of which one turns bad. */
static void companions_do_not_change_a_bit(void **state)
{
    enum { D = 33, B = 64 };
    double *A = test_matrix(D, 0.9, 11), *b = test_vector(D, 12), room[B * D];
    (void)state;
    for (int k = 0; k < N_METHODS; k++)
        for (deq_dtype dtype = DEQ_F32; dtype <= DEQ_F64; dtype++)
            for (int partial = 0; partial < 2; partial++) {
                size_t row = D * deq_dtype_size(dtype);
                deq_solver_options o = options_of(&methods[k]);
                o.max_iter = 80;
                o.rtol = dtype == DEQ_F32 ? 1e-5 : 1e-9;
                test_map m = { .dim = D,
                               .A = A,
                               .b = b,
                               .shift = 0.05,
                               .dtype = dtype,
                               .shape = tanh,
                               .slope = tanh_slope,
                               .poison = 17,
                               .poison_from = 3,
                               .linear = room };
                deq_map f = test_map_of(&m, partial);
                test_solve all = test_solve_new(&o, B, D, dtype, 3);
                test_solve_run(&all, &f);
                assert_int_equal(all.info.n_outcome[DEQ_NON_FINITE], 1);
                assert_int_equal(all.info.n_outcome[DEQ_CONVERGED], B - 1);
                assert_int_equal(all.info.sample[17].outcome, DEQ_NON_FINITE);
                if (!methods[k].search) /* which tries shorter steps first */
                    assert_int_equal(all.info.sample[17].n_feval, 3);
                assert_true(isfinite(all.info.sample[17].residual));
                for (int64_t j = 0; j < D; j++) assert_true(isfinite(test_z(&all, 17, j)));
                for (int64_t i = 0; i < B; i += 9) {
                    double *shifted = malloc(D * sizeof *shifted);
                    for (int j = 0; j < D; j++) shifted[j] = b[j] + (double)i * 0.05;
                    test_map one = m;
                    one.b = shifted;
                    one.shift = 0;
                    one.poison = -1;
                    one.calls = 0;
                    deq_map g = test_map_of(&one, true);
                    test_solve alone = test_solve_new(&o, 1, D, dtype, 1);
                    test_solve_run(&alone, &g);
                    if (memcmp(alone.z, (char *)all.z + (size_t)i * row, row) != 0)
                        fail_msg("%s, sample %d of %s: %d evaluations, alone %d", methods[k].name,
                                 (int)i, partial ? "parts" : "wholes",
                                 (int)all.info.sample[i].n_feval,
                                 (int)alone.info.sample[0].n_feval);
                    assert_int_equal(alone.info.sample[0].n_feval, all.info.sample[i].n_feval);
                    assert_true(alone.info.sample[0].residual == all.info.sample[i].residual);
                    test_solve_free(&alone);
                    free(shifted);
                }
                if (partial) assert_true(m.rows < m.calls * B); /* finished rows were dropped */
                if (!partial) assert_int_equal(m.rows, m.calls * B);
                test_solve_free(&all);
            }
    free(A);
    free(b);
}

/* f(z)_i = c_i z_i + 1, cheap enough for rows of many chunks. */
static deq_status eval_diagonal(void *user, void *fz, const void *z, const int64_t *samples,
                                int64_t n)
{
    int64_t d = *(const int64_t *)user;
    (void)samples;
    for (int64_t k = 0; k < n * d; k++) {
        float v, c = 0.9f * (float)((k % d) * 31 % 97) / 97.0f;
        memcpy(&v, (const char *)z + (size_t)k * sizeof v, sizeof v);
        v = c * v + 1.0f;
        memcpy((char *)fz + (size_t)k * sizeof v, &v, sizeof v);
    }
    return DEQ_OK;
}

static void threads_do_not_change_a_bit(void **state)
{
    static const int64_t shapes[][2] = { { 1, 40000 }, { 3, 20001 }, { 7, 5000 }, { 16, 2049 } };
    (void)state;
    for (int k = 0; k < N_METHODS; k++)
        for (int i = 0; i < 4; i++) {
            int64_t B = shapes[i][0], d = shapes[i][1];
            deq_map f = {
                .struct_size = sizeof f, .eval = eval_diagonal, .user = &d, .partial = true
            };
            deq_solver_options o = options_of(&methods[k]);
            if (methods[k].method == DEQ_ADJOINT_BROYDEN) continue;
            o.max_iter = 14;
            o.rtol = 1e-6;
            test_solve one = test_solve_new(&o, B, d, DEQ_F32, 1);
            test_solve_run(&one, &f);
            for (int threads = 2; threads <= 5; threads++) {
                test_solve many = test_solve_new(&o, B, d, DEQ_F32, threads);
                test_solve_run(&many, &f);
                assert_memory_equal(one.z, many.z, (size_t)(B * d) * sizeof(float));
                assert_true(one.info.residual == many.info.residual);
                test_solve_free(&many);
            }
            test_solve_free(&one);
        }
}

static void the_floor_of_the_precision_is_recognised(void **state)
{
    enum { D = 20 };
    double *A = test_matrix(D, 0.7, 21), *b = test_vector(D, 22), room[D];
    (void)state;
    for (int k = 0; k < N_METHODS; k++) {
        test_map m = { .dim = D, .A = A, .b = b, .dtype = DEQ_F32, .poison = -1, .linear = room };
        deq_map f = test_map_of(&m, true);
        deq_solver_options o = options_of(&methods[k]);
        o.max_iter = 2000;
        o.rtol = 1e-12;
        test_solve t = test_solve_new(&o, 1, D, DEQ_F32, 1);
        test_solve_run(&t, &f);
        const deq_sample_info *in = &t.info.sample[0];
        assert_true(in->outcome == DEQ_STAGNATED || in->outcome == DEQ_CONVERGED);
        assert_true(in->n_feval < 300);
        assert_true(in->relative < 1e-6);
        test_solve_free(&t);
    }
    free(A);
    free(b);
}

/* Picard on f(z) = -z + 1 goes round 0, 1, 0, 1; the others see through it. */
static void a_cycle_is_recognised_or_broken(void **state)
{
    const double A = -1, b = 1;
    double room;
    (void)state;
    for (int k = 0; k < N_METHODS; k++) {
        test_map m = {
            .dim = 1, .A = &A, .b = &b, .dtype = DEQ_F64, .poison = -1, .linear = &room
        };
        deq_map f = test_map_of(&m, true);
        deq_solver_options o = options_of(&methods[k]);
        bool cycles = methods[k].method == DEQ_PICARD && methods[k].damping == 1;
        o.max_iter = 1000;
        o.rtol = 1e-9;
        test_solve t = test_solve_new(&o, 1, 1, DEQ_F64, 1);
        test_solve_run(&t, &f);
        if (t.info.sample[0].outcome != (cycles ? DEQ_STAGNATED : DEQ_CONVERGED))
            fail_msg("%s: %s, residual %g", methods[k].name,
                     deq_outcome_text(t.info.sample[0].outcome), t.info.residual);
        assert_true(t.info.n_feval < 100);
        if (!cycles) assert_true(fabs(test_z(&t, 0, 0) - 0.5) < 1e-8);
        test_solve_free(&t);
    }
}

static void an_expansion_diverges_or_is_solved(void **state)
{
    const double A[4] = { 3, 0, 0, -2.5 }, b[2] = { 1, 1 };
    double room[2];
    (void)state;
    for (int k = 0; k < N_METHODS; k++) {
        test_map m = { .dim = 2, .A = A, .b = b, .dtype = DEQ_F64, .poison = -1, .linear = room };
        deq_map f = test_map_of(&m, true);
        deq_solver_options o = options_of(&methods[k]);
        o.max_iter = 500;
        o.rtol = 1e-9;
        test_solve t = test_solve_new(&o, 1, 2, DEQ_F64, 1);
        test_solve_run(&t, &f);
        const deq_sample_info *in = &t.info.sample[0];
        if (methods[k].method == DEQ_PICARD) assert_int_equal(in->outcome, DEQ_DIVERGED);
        if (in->outcome == DEQ_CONVERGED) {
            assert_true(fabs(test_z(&t, 0, 0) + 0.5) < 1e-7);
            assert_true(fabs(test_z(&t, 0, 1) - 1 / 3.5) < 1e-7);
        }
        assert_true(isfinite(test_z(&t, 0, 0)) && in->residual <= in->initial);
        test_solve_free(&t);
    }
}

/* I - J has an eigenvalue of 1e-6. */
static void a_nearly_singular_system_ends_with_a_small_residual(void **state)
{
    const double A[4] = { 1 - 1e-6, 0.3, 0, 0.2 }, b[2] = { 1e-6, 1 };
    double room[2];
    (void)state;
    for (int k = 0; k < N_METHODS; k++) {
        test_map m = { .dim = 2, .A = A, .b = b, .dtype = DEQ_F64, .poison = -1, .linear = room };
        deq_map f = test_map_of(&m, true);
        deq_solver_options o = options_of(&methods[k]);
        o.max_iter = 60;
        o.rtol = 1e-13;
        test_solve t = test_solve_new(&o, 1, 2, DEQ_F64, 1);
        test_solve_run(&t, &f);
        assert_true(t.info.sample[0].residual <= t.info.sample[0].initial);
        if (methods[k].method != DEQ_PICARD && !methods[k].search)
            assert_true(t.info.sample[0].residual < 1e-4);
        test_solve_free(&t);
    }
}

static deq_status eval_nan(void *user, void *fz, const void *z, const int64_t *samples, int64_t n)
{
    (void)user, (void)z, (void)samples;
    for (int64_t i = 0; i < n; i++) test_put(fz, DEQ_F64, i, NAN);
    return DEQ_OK;
}

static void a_map_that_is_never_finite_leaves_the_start(void **state)
{
    (void)state;
    for (int k = 0; k < N_METHODS; k++) {
        deq_map f = { .struct_size = sizeof f, .eval = eval_nan, .vjp = test_vjp };
        deq_solver_options o = options_of(&methods[k]);
        test_solve t = test_solve_new(&o, 1, 1, DEQ_F64, 1);
        test_put(t.z, DEQ_F64, 0, 7);
        test_solve_run(&t, &f);
        assert_int_equal(t.info.sample[0].outcome, DEQ_NON_FINITE);
        assert_int_equal(t.info.sample[0].best_feval, 0);
        assert_true(isinf(t.info.sample[0].residual));
        assert_true(test_z(&t, 0, 0) == 7);
        test_solve_free(&t);
    }
}

static deq_status eval_refuses(void *user, void *fz, const void *z, const int64_t *samples,
                               int64_t n)
{
    int64_t *calls = user;
    const double A = 0.9, b = 1;
    test_map m = { .dim = 1, .A = &A, .b = &b, .dtype = DEQ_F64, .poison = -1 };
    return (*calls)++ == 3 ? DEQ_ERR_BACKEND : test_eval(&m, fz, z, samples, n);
}

static void an_error_of_the_map_ends_the_solve_with_the_best_iterate(void **state)
{
    int64_t calls = 0;
    deq_map f = { .struct_size = sizeof f, .eval = eval_refuses, .user = &calls };
    deq_solver_options o = deq_solver_defaults();
    (void)state;
    o.method = DEQ_PICARD;
    test_solve t = test_solve_new(&o, 1, 1, DEQ_F64, 1);
    assert_int_equal(deq_solve(t.z, &t.info, t.solver, &f), DEQ_ERR_BACKEND);
    assert_true(fabs(test_z(&t, 0, 0) - 1.9) < 1e-15); /* z_2 */
    assert_null(deq_solver_state(t.solver, 0));
    test_solve_free(&t);
}

/* States, traces, observers -------------------------------------------------------------------- */

static void saved_states_are_always_as_many_and_the_last_is_the_result(void **state)
{
    const double A = 0.5, b = 1;
    static const int indices[] = { 2, 5 };
    double room[2];
    (void)state;
    for (int k = 0; k < N_METHODS; k++)
        for (int explicit = 0; explicit < 2; explicit ++) {
            test_map m = { .dim = 1,
                           .A = &A,
                           .b = &b,
                           .shift = 1,
                           .dtype = DEQ_F64,
                           .poison = -1,
                           .linear = room };
            deq_map f = test_map_of(&m, true);
            deq_solver_options o = options_of(&methods[k]);
            o.max_iter = 11;
            o.rtol = 0;
            o.atol = methods[k].method == DEQ_PICARD ? 0 : 1e-9;
            o.trace = true;
            if (explicit) o.state_index = indices;
            if (explicit) o.n_state_index = 2;
            if (!explicit) o.n_states = 3;
            test_solve t = test_solve_new(&o, 2, 1, DEQ_F64, 1);
            test_put(t.z, DEQ_F64, 1, 4); /* the second sample starts where it ends */
            test_solve_run(&t, &f);
            assert_int_equal(deq_solver_n_states(t.solver), 3);
            assert_int_equal(deq_solver_state_index(t.solver, 0), explicit ? 2 : 5);
            assert_int_equal(deq_solver_state_index(t.solver, 1), explicit ? 5 : 8);
            assert_int_equal(deq_solver_state_index(t.solver, 2), 11);
            assert_ptr_equal(deq_solver_state(t.solver, 2), t.z);
            assert_null(deq_solver_state(t.solver, 3));
            for (int i = 0; i < 3; i++) {
                const void *saved = deq_solver_state(t.solver, i);
                int index = deq_solver_state_index(t.solver, i);
                deq_trace trace = deq_solver_trace(t.solver, 0);
                double z = test_get(saved, DEQ_F64, 0), best = INFINITY;
                for (int64_t e = 0; e < trace.length && e < index; e++)
                    best = fmin(best, trace.residual[e]);
                assert_true(fabs(fabs(0.5 * z + 1 - z) - best) < 1e-14);
                assert_true(test_get(saved, DEQ_F64, 1) == 4);
            }
            test_solve_free(&t);
        }
}

typedef struct observed {
    int calls, stop_at;
    double last;
} observed;

static bool observe(void *user, const deq_progress *p)
{
    observed *o = user;
    o->calls++;
    o->last = p->residual[0];
    assert_int_equal(p->n_feval, o->calls);
    return o->calls != o->stop_at;
}

static void an_observer_sees_each_evaluation_and_may_end_the_solve(void **state)
{
    const double A = 0.5, b = 1;
    test_map m = { .dim = 1, .A = &A, .b = &b, .dtype = DEQ_F64, .poison = -1 };
    deq_map f = test_map_of(&m, true);
    observed seen = { .stop_at = 4 };
    deq_solver_options o = deq_solver_defaults();
    (void)state;
    o.method = DEQ_PICARD;
    o.rtol = 0;
    o.observer = observe;
    o.observer_user = &seen;
    test_solve t = test_solve_new(&o, 1, 1, DEQ_F64, 1);
    test_solve_run(&t, &f);
    assert_int_equal(seen.calls, 4);
    assert_int_equal(m.calls, 4);
    assert_true(seen.last == 0.125);
    assert_int_equal(t.info.sample[0].outcome, DEQ_MAX_ITER);
    assert_true(test_z(&t, 0, 0) == 1.75);
    test_solve_free(&t);
}

/* Memory --------------------------------------------------------------------------------------- */

static void solves_allocate_nothing_and_every_failed_allocation_is_survived(void **state)
{
    enum { D = 9 };
    double *A = test_matrix(D, 0.8, 31), *b = test_vector(D, 32), room[4 * D], z[4 * D];
    (void)state;
    for (int k = 0; k < N_METHODS; k++) {
        deq_solver_options o = options_of(&methods[k]);
        o.trace = true;
        o.n_states = 2;
        for (size_t fail = 0;; fail++) {
            test_memory memory = { 0 };
            deq_context *ctx = test_memory_context(&memory, 2);
            deq_solver *s = NULL;
            test_map m = {
                .dim = D, .A = A, .b = b, .dtype = DEQ_F64, .poison = -1, .linear = room
            };
            deq_map f = test_map_of(&m, true);
            atomic_store(&memory.fail_at, fail ? atomic_load(&memory.calls) + fail : 0);
            deq_status status = deq_solver_new(&s, ctx, &o, 4, D, DEQ_F64);
            size_t made = atomic_load(&memory.calls);
            if (status == DEQ_OK) {
                memset(z, 0, sizeof z);
                assert_int_equal(deq_solve(z, NULL, s, &f), DEQ_OK);
                assert_int_equal(deq_solve(z, NULL, s, &f), DEQ_OK);
                assert_int_equal(atomic_load(&memory.calls), made);
            } else {
                assert_int_equal(status, DEQ_ERR_NOMEM);
                assert_null(s);
            }
            deq_solver_free(s);
            deq_context_free(ctx);
            assert_memory_clean(&memory);
            if (fail && status == DEQ_OK) break;
        }
    }
    free(A);
    free(b);
}

static void a_cap_on_history_is_kept(void **state)
{
    enum { D = 100 };
    static const deq_method capped[] = { DEQ_ANDERSON, DEQ_BROYDEN };
    (void)state;
    for (int k = 0; k < 2; k++) {
        size_t bytes[2];
        for (int cap = 0; cap < 2; cap++) {
            test_memory memory = { 0 };
            deq_context *ctx = test_memory_context(&memory, 1);
            deq_solver *s = NULL;
            deq_solver_options o = deq_solver_defaults();
            o.method = capped[k];
            o.history_bytes = cap ? 3 * 2 * D * sizeof(double) : 0;
            assert_int_equal(deq_solver_new(&s, ctx, &o, 1, D, DEQ_F64), DEQ_OK);
            bytes[cap] = atomic_load(&memory.live_bytes);
            deq_solver_free(s);
            deq_context_free(ctx);
        }
        assert_true(bytes[1] + 15 * 2 * D * sizeof(double) < bytes[0]);
    }
}

/* Names, options, own methods ------------------------------------------------------------------- */

static void mistakes_in_options_are_told(void **state)
{
    deq_context *ctx;
    deq_solver *s = NULL;
    deq_solver_options o = deq_solver_defaults();
    static const int falling[] = { 4, 3 };
    (void)state;
    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
#define REFUSED(change, text)                                                                      \
    do {                                                                                           \
        o = deq_solver_defaults();                                                                 \
        change;                                                                                    \
        assert_int_equal(deq_solver_new(&s, ctx, &o, 2, 3, DEQ_F32), DEQ_ERR_ARGUMENT);            \
        assert_null(s);                                                                            \
        if (!strstr(deq_last_error(ctx), text)) fail_msg("%s", deq_last_error(ctx));               \
    } while (0)
    REFUSED(o.struct_size = 3, "deq_solver_defaults");
    REFUSED(o.max_iter = -1, "max_iter = -1");
    REFUSED(o.rtol = -1, "rtol = -1");
    REFUSED(o.rtol = NAN, "rtol");
    REFUSED(o.anderson.depth = 33, "anderson.depth = 33");
    REFUSED(o.anderson.mixing = 0, "anderson.mixing = 0");
    REFUSED((o.anderson.type = 1, o.anderson.fit = DEQ_FIT_CONSTRAINED), "anderson.fit");
    REFUSED((o.method = DEQ_PICARD, o.picard.damping = 2), "picard.damping");
    REFUSED((o.method = DEQ_BROYDEN, o.broyden.memory = 0), "broyden.memory");
    REFUSED((o.state_index = falling, o.n_state_index = 2), "state_index[1] = 3");
    REFUSED(o.n_states = 41, "n_states = 41");
    REFUSED((o.method = DEQ_CUSTOM), "custom");
    REFUSED((o.method = DEQ_ADJOINT_BROYDEN, o.reference_batch_max = true), "reference");
    o = deq_solver_defaults();
    assert_int_equal(deq_solver_new(&s, ctx, &o, 0, 3, DEQ_F32), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_solver_new(&s, ctx, &o, 2, 3, DEQ_I32), DEQ_ERR_DTYPE);
    assert_int_equal(deq_solver_new(&s, ctx, &o, INT64_MAX / 2, INT64_MAX / 2, DEQ_F32),
                     DEQ_ERR_OVERFLOW);
    assert_int_equal(deq_method_find(&o, ctx, "andreson"), DEQ_ERR_NAME);
    assert_non_null(strstr(deq_last_error(ctx), "anderson"));
    assert_int_equal(deq_method_find(&o, ctx, "broyden"), DEQ_OK);
    assert_int_equal(o.method, DEQ_BROYDEN);
    assert_string_equal(deq_method_name(DEQ_ADJOINT_BROYDEN), "adjoint_broyden");
    assert_string_equal(deq_method_name((deq_method)99), "unknown");
    deq_context_free(ctx);
}

/* A secant method for scalars, as a user would write it. */
typedef struct secant {
    double z, g;
    bool ready;
} secant;

static void secant_step(void *user, const deq_custom_step *s)
{
    secant *memory = s->state;
    double z = test_get(s->z, s->dtype, 0), g = test_get(s->fz, s->dtype, 0) - z;
    double slope = memory->ready ? (g - memory->g) / (z - memory->z) : -1;
    assert_int_equal(s->step == 0, !memory->ready);
    assert_true(fabs(s->residual - fabs(g)) < 1e-15);
    ++*(int *)user;
    test_put(s->vectors[0], s->dtype, 0, z);
    *memory = (secant){ z, g, true };
    test_put(s->z_next, s->dtype, 0, z - g / slope);
}

static void methods_of_the_user_are_known_by_name(void **state)
{
    const double A = 1, b = 0;
    int steps = 0;
    deq_custom_method c = { .struct_size = sizeof c,
                            .name = "test_secant",
                            .n_vectors = 1,
                            .state_bytes = sizeof(secant),
                            .step = secant_step,
                            .user = &steps };
    test_map m = {
        .dim = 1, .A = &A, .b = &b, .shift = 0.1, .dtype = DEQ_F64, .shape = cos, .poison = -1
    };
    deq_map f = test_map_of(&m, true);
    deq_solver_options o = deq_solver_defaults();
    deq_context *ctx;
    (void)state;
    assert_int_equal(deq_method_register(&c), DEQ_OK);
    assert_int_equal(deq_method_register(&c), DEQ_ERR_NAME);
    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    assert_int_equal(deq_method_find(&o, ctx, "test_secant"), DEQ_OK);
    deq_context_free(ctx);
    assert_int_equal(o.method, DEQ_CUSTOM);
    o.rtol = 1e-14;
    for (int again = 0; again < 2; again++) {
        test_solve t = test_solve_new(&o, 3, 1, DEQ_F64, 1);
        test_solve_run(&t, &f);
        assert_int_equal(t.info.n_outcome[DEQ_CONVERGED], 3);
        assert_true(t.info.n_feval < 12 && steps > 0);
        assert_true(fabs(test_z(&t, 0, 0) - 0.73908513321516067) < 1e-13);
        test_solve_free(&t);
    }
}

static void a_map_must_have_what_the_method_needs(void **state)
{
    deq_solver_options o = deq_solver_defaults();
    deq_map f = { .struct_size = sizeof f, .eval = test_eval };
    (void)state;
    o.method = DEQ_ADJOINT_BROYDEN;
    test_solve t = test_solve_new(&o, 1, 1, DEQ_F64, 1);
    assert_int_equal(deq_solve(t.z, NULL, t.solver, &f), DEQ_ERR_ARGUMENT);
    assert_non_null(strstr(deq_last_error(t.ctx), "vjp"));
    f.eval = NULL;
    assert_int_equal(deq_solve(t.z, NULL, t.solver, &f), DEQ_ERR_ARGUMENT);
    test_solve_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_method_solves_random_contractions_and_reports_their_residual),
        cmocka_unit_test(every_method_finds_the_cosine_fixed_point),
        cmocka_unit_test(rotations_are_solved_even_where_picard_diverges),
        cmocka_unit_test(few_evaluations_are_counted_exactly_and_the_best_of_them_is_returned),
        cmocka_unit_test(a_zero_equilibrium_needs_an_absolute_tolerance_or_ends_by_itself),
        cmocka_unit_test(a_start_at_the_fixed_point_is_one_evaluation),
        cmocka_unit_test(companions_do_not_change_a_bit),
        cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(the_floor_of_the_precision_is_recognised),
        cmocka_unit_test(a_cycle_is_recognised_or_broken),
        cmocka_unit_test(an_expansion_diverges_or_is_solved),
        cmocka_unit_test(a_nearly_singular_system_ends_with_a_small_residual),
        cmocka_unit_test(a_map_that_is_never_finite_leaves_the_start),
        cmocka_unit_test(an_error_of_the_map_ends_the_solve_with_the_best_iterate),
        cmocka_unit_test(saved_states_are_always_as_many_and_the_last_is_the_result),
        cmocka_unit_test(an_observer_sees_each_evaluation_and_may_end_the_solve),
        cmocka_unit_test(solves_allocate_nothing_and_every_failed_allocation_is_survived),
        cmocka_unit_test(a_cap_on_history_is_kept),
        cmocka_unit_test(mistakes_in_options_are_told),
        cmocka_unit_test(methods_of_the_user_are_known_by_name),
        cmocka_unit_test(a_map_must_have_what_the_method_needs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
