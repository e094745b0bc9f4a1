/* SPDX-License-Identifier: MIT */
/* GMRES, BiCGSTAB, CG and Neumann against dense systems with known solutions. */
#include "solver/linear_systems.h"

typedef struct outcome {
    void *u;
    deq_linear_info *info;
    int64_t batch;
} outcome;

static deq_context *context(int threads)
{
    deq_context *ctx = NULL;
    deq_context_options o = deq_context_defaults();
    o.threads = threads;
    assert_int_equal(deq_context_new(&ctx, &o), DEQ_OK);
    return ctx;
}

/* Solve on so many threads, from u0 or from 0. */
static outcome solve_with(systems *s, const deq_linear_operator *a, const deq_linear_options *o,
                          int threads, const void *u0)
{
    deq_context *ctx = context(threads);
    deq_linear_solver *solver = NULL;
    size_t n = (size_t)(s->batch * s->d);
    outcome r = { calloc(n, deq_dtype_size(s->dtype)), calloc((size_t)s->batch, sizeof *r.info),
                  s->batch };
    void *b = systems_b(s);
    s->calls = 0;
    memset(s->rows, 0, (size_t)s->batch * sizeof *s->rows);
    if (deq_linear_new(&solver, ctx, s->dtype, s->batch, s->d, o) != DEQ_OK)
        fail_msg("%s", deq_last_error(ctx));
    assert_int_equal(deq_linear_solve(r.u, r.info, solver, a, b, u0), DEQ_OK);
    for (int64_t k = 0; k < s->batch && !a->whole_batch; k++)
        assert_int_equal(r.info[k].n_apply, s->rows[k]);
    deq_linear_free(solver);
    deq_context_free(ctx);
    free(b);
    return r;
}

static outcome solve(systems *s, const deq_linear_options *o)
{
    return solve_with(s, &(deq_linear_operator){ .apply = systems_apply, .user = s }, o, 2, NULL);
}

static void outcome_free(outcome *r)
{
    free(r->u);
    free(r->info);
}

static deq_linear_options options(deq_linear_method method, double rtol)
{
    deq_linear_options o = deq_linear_defaults();
    o.method = method;
    o.rtol = rtol;
    o.max_iter = 400;
    return o;
}

static void assert_solved(const systems *s, const outcome *r, double tol)
{
    void *b = systems_b(s);
    for (int64_t k = 0; k < s->batch; k++) {
        const deq_linear_info *i = &r->info[k];
        if (i->outcome != DEQ_CONVERGED)
            fail_msg("sample %d: %s, residual %g of %g after %d", (int)k,
                     deq_outcome_text(i->outcome), i->residual, i->b_norm, (int)i->n_apply);
        assert_true(i->verified);
        assert_false(i->fallback);
        assert_true(i->residual <= tol * i->b_norm);
        double slack = s->dtype == DEQ_F32 ? 1e-6 : 1e-14;
        double true_one = true_residual(s, b, r->u, k, false);
        assert_true(fabs(true_one - i->residual) <= slack * i->b_norm);
    }
    free(b);
}

enum { CONTRACTION, ROTATION, POSITIVE, FAMILIES };

static void fill(systems *s, int family)
{
    for (int64_t k = 0; k < s->batch; k++) {
        double *a = s->a + k * s->d * s->d;
        if (family == CONTRACTION) fill_contraction(a, s->d, k);
        if (family == ROTATION) fill_rotation(a, s->d, k);
        if (family == POSITIVE) fill_positive(a, s->d, k);
    }
    systems_fill_b(s, 5);
}

static bool applies(deq_linear_method method, int family)
{
    return method != DEQ_LINEAR_CG || family == POSITIVE;
}

static const int64_t sizes[][2] = { { 1, 1 }, { 1, 2 }, { 3, 1 }, { 1, 40 }, { 7, 33 } };

static void every_method_solves_what_it_is_made_for(void **state)
{
    (void)state;
    for (int family = 0; family < FAMILIES; family++)
        for (int m = 0; m < DEQ_LINEAR_METHOD_COUNT; m++)
            for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
                for (deq_dtype t = DEQ_F32; t <= DEQ_F64; t++) {
                    if (!applies((deq_linear_method)m, family)) continue;
                    double tol = t == DEQ_F32 ? 1e-5 : 1e-12;
                    systems s = systems_new(sizes[i][0], sizes[i][1], t);
                    fill(&s, family);
                    deq_linear_options o = options((deq_linear_method)m, tol);
                    o.max_iter = 2000;
                    o.damping = family == POSITIVE ? 0.3 : 1;
                    outcome r = solve(&s, &o);
                    assert_solved(&s, &r, tol);
                    outcome_free(&r);
                    systems_free(&s);
                }
}

static void solutions_are_those_of_the_dense_system(void **state)
{
    (void)state;
    systems s = systems_new(4, 30, DEQ_F64);
    fill(&s, CONTRACTION);
    for (int m = 0; m < DEQ_LINEAR_METHOD_COUNT; m++) {
        if (m == DEQ_LINEAR_CG) continue;
        deq_linear_options o = options((deq_linear_method)m, 1e-13);
        outcome r = solve(&s, &o);
        for (int64_t i = 0; i < s.batch * s.d; i++)
            assert_true(fabs(((double *)r.u)[i] - s.u[i]) < 1e-11);
        outcome_free(&r);
    }
    systems_free(&s);
}

/* u (I - J) = w: apply is the product u J, and nothing else is needed. */
static void the_adjoint_system_of_an_equilibrium_takes_only_a_vjp(void **state)
{
    (void)state;
    for (int m = 0; m < DEQ_LINEAR_METHOD_COUNT; m++) {
        if (m == DEQ_LINEAR_CG) continue;
        systems s = systems_new(5, 24, DEQ_F64);
        for (int64_t k = 0; k < s.batch; k++) fill_random(s.a + k * s.d * s.d, s.d, 0.5, 3, k);
        deq_random_key key = { .seed = 8 };
        assert_int_equal(deq_draw_normal(s.b, DEQ_F64, s.batch * s.d, key, 0, 1), DEQ_OK);
        s.transpose = true;
        deq_linear_operator a = { .apply = systems_apply, .user = &s, .identity_minus = true };
        deq_linear_options o = options((deq_linear_method)m, 1e-12);
        outcome r = solve_with(&s, &a, &o, 2, NULL);
        for (int64_t k = 0; k < s.batch; k++) {
            assert_int_equal(r.info[k].outcome, DEQ_CONVERGED);
            double norm = r.info[k].b_norm;
            assert_true(true_residual(&s, s.b, r.u, k, true) <= 1.01e-12 * norm);
        }
        outcome_free(&r);
        systems_free(&s);
    }
}

/* With three different eigenvalues the Krylov space closes after three products; a fourth checks. */
static void gmres_needs_one_product_for_each_eigenvalue(void **state)
{
    (void)state;
    for (int trust = 0; trust < 2; trust++) {
        systems s = systems_new(2, 30, DEQ_F64);
        for (int64_t k = 0; k < 2; k++)
            for (int64_t i = 0; i < s.d; i++)
                s.a[(k * s.d + i) * s.d + i] = 1 + (double)(i % (3 + k));
        systems_fill_b(&s, 1);
        deq_linear_options o = options(DEQ_LINEAR_GMRES, 1e-12);
        o.trust_recurrence = trust;
        outcome r = solve(&s, &o);
        for (int k = 0; k < 2; k++) {
            assert_int_equal(r.info[k].outcome, DEQ_CONVERGED);
            assert_int_equal(r.info[k].n_apply, 3 + k + (trust ? 0 : 1));
            assert_int_equal(r.info[k].verified, !trust);
            assert_int_equal(r.info[k].n_restart, 0);
        }
        assert_int_equal(s.calls, 4 + (trust ? 0 : 1));
        outcome_free(&r);
        systems_free(&s);
    }
}

/* The Hessenberg matrix of T and of I - T differ by the identity. */
static void gmres_takes_the_same_steps_given_t_and_given_one_minus_t(void **state)
{
    (void)state;
    for (int restart = 3; restart <= 30; restart += 27) {
        systems t = systems_new(3, 30, DEQ_F64), a = systems_new(3, 30, DEQ_F64);
        for (int64_t k = 0; k < 3; k++) fill_random(t.a + k * 900, 30, 0.3 + 0.2 * (double)k, 5, k);
        for (int64_t i = 0; i < 3 * 900; i++) a.a[i] = -t.a[i];
        for (int64_t i = 0; i < 3 * 30; i++) a.a[i * 30 + i % 30] += 1;
        systems_fill_b(&a, 2);
        memcpy(t.b, a.b, 3 * 30 * sizeof *t.b);
        deq_linear_options o = options(DEQ_LINEAR_GMRES, 1e-10);
        o.restart = restart;
        deq_linear_operator shifted = {
            .apply = systems_apply, .user = &t, .identity_minus = true, .whole_batch = true
        };
        outcome x = solve_with(&t, &shifted, &o, 1, NULL), y = solve(&a, &o);
        for (int k = 0; k < 3; k++) {
            assert_int_equal(x.info[k].outcome, DEQ_CONVERGED);
            assert_int_equal(x.info[k].n_apply, y.info[k].n_apply);
            assert_int_equal(x.info[k].n_restart, y.info[k].n_restart);
        }
        for (int i = 0; i < 90; i++)
            assert_true(fabs(((double *)x.u)[i] - ((double *)y.u)[i]) < 1e-8);
        outcome_free(&x);
        outcome_free(&y);
        systems_free(&t);
        systems_free(&a);
    }
}

/* The basis is stored unscaled: right sides and operators of any size have to do. */
static void the_size_of_numbers_does_not_matter(void **state)
{
    static const double scales[] = { 0x1p-60, 0x1p-24, 1, 0x1p24, 0x1p60 };
    (void)state;
    for (int m = 0; m < DEQ_LINEAR_METHOD_COUNT; m++)
        for (int i = 0; i < 25; i++) {
            systems s = systems_new(2, 24, DEQ_F32), unit = systems_new(2, 24, DEQ_F32);
            double of_a = m == DEQ_LINEAR_NEUMANN ? 1 : scales[i / 5], of_b = scales[i % 5];
            fill(&unit, m == DEQ_LINEAR_CG ? POSITIVE : CONTRACTION);
            for (int j = 0; j < 2 * 24 * 24; j++) s.a[j] = of_a * unit.a[j];
            for (int j = 0; j < 2 * 24; j++) s.b[j] = of_b * unit.b[j];
            deq_linear_options o = options((deq_linear_method)m, 1e-4);
            outcome r = solve(&s, &o), q = solve(&unit, &o);
            for (int k = 0; k < 2; k++)
                if (r.info[k].outcome != DEQ_CONVERGED || r.info[k].n_apply != q.info[k].n_apply)
                    fail_msg("%s, A %g, b %g: %d products, %d for A and b of size 1",
                             deq_linear_method_name((deq_linear_method)m), of_a, of_b,
                             (int)r.info[k].n_apply, (int)q.info[k].n_apply);
            outcome_free(&r);
            outcome_free(&q);
            systems_free(&s);
            systems_free(&unit);
        }
}

static void gmres_needs_no_more_products_than_neumann(void **state)
{
    (void)state;
    systems s = systems_new(3, 40, DEQ_F64);
    fill(&s, ROTATION);
    deq_linear_options o = options(DEQ_LINEAR_GMRES, 1e-8), n = options(DEQ_LINEAR_NEUMANN, 1e-8);
    o.restart = 40;
    outcome r = solve(&s, &o), q = solve(&s, &n);
    for (int k = 0; k < 3; k++) {
        assert_int_equal(r.info[k].outcome, DEQ_CONVERGED);
        assert_true(r.info[k].n_apply <= 42);
        assert_true(q.info[k].n_apply > 200); /* 0.95^n */
    }
    outcome_free(&r);
    outcome_free(&q);
    systems_free(&s);
}

/* The residual of Neumann's series is T^n b: for T = c I the count is known. */
static void neumann_counts_as_the_series_says(void **state)
{
    (void)state;
    systems s = systems_new(1, 5, DEQ_F64);
    for (int i = 0; i < 5; i++) s.a[i * 6] = 0.5;
    systems_fill_b(&s, 1);
    deq_linear_options o = options(DEQ_LINEAR_NEUMANN, 1e-3);
    outcome r = solve(&s, &o);
    assert_int_equal(r.info[0].outcome, DEQ_CONVERGED);
    assert_int_equal(r.info[0].n_apply, 10); /* 2^-10 < 1e-3 */
    assert_int_equal(r.info[0].n_restart, 0);
    assert_true(fabs(r.info[0].residual - r.info[0].b_norm / 1024) < 1e-12);
    outcome_free(&r);
    o.damping = 1.9; /* |1 - 0.95| */
    r = solve(&s, &o);
    assert_int_equal(r.info[0].n_apply, 3);
    outcome_free(&r);
    systems_free(&s);
}

static void neumann_outside_the_circle_diverges_and_returns_the_best(void **state)
{
    (void)state;
    systems s = systems_new(2, 6, DEQ_F64);
    for (int64_t k = 0; k < 2; k++) { /* one eigenvalue 3, of which b has little */
        for (int64_t i = 0; i < 6; i++) s.a[k * 36 + i * 7] = i ? 0.9 : 3 * (double)(1 - k) + 0.9;
        for (int64_t i = 0; i < 6; i++) s.b[k * 6 + i] = i ? 1 : 1e-3;
    }
    deq_linear_options o = options(DEQ_LINEAR_NEUMANN, 1e-10);
    outcome r = solve(&s, &o);
    assert_int_equal(r.info[0].outcome, DEQ_DIVERGED);
    assert_true(r.info[0].residual < 0.1 * r.info[0].b_norm);
    assert_false(r.info[0].fallback);
    assert_true(fabs(true_residual(&s, s.b, r.u, 0, false) - r.info[0].residual) < 1e-12);
    assert_int_equal(r.info[1].outcome, DEQ_CONVERGED);
    outcome_free(&r);
    systems_free(&s);
}

static void near_singular_systems_are_solved_or_said_not_to_be(void **state)
{
    (void)state;
    systems s = systems_new(3, 12, DEQ_F64);
    for (int64_t k = 0; k < 3; k++) fill_graded(s.a + k * 144, 12, pow(10, -2 - 4 * (double)k));
    systems_fill_b(&s, 4);
    void *b = systems_b(&s);
    for (int m = 0; m < DEQ_LINEAR_METHOD_COUNT; m++) {
        deq_linear_options o = options((deq_linear_method)m, 1e-9);
        outcome r = solve(&s, &o);
        for (int64_t k = 0; k < 3; k++) {
            const deq_linear_info *i = &r.info[k];
            double found = true_residual(&s, b, r.u, k, false);
            assert_true(found <= i->b_norm);
            assert_true(found <= 1.001 * i->residual + 1e-12 * i->b_norm || !i->verified);
            if (i->outcome == DEQ_CONVERGED) assert_true(found <= 1.001e-9 * i->b_norm);
            if (m == DEQ_LINEAR_GMRES) assert_int_equal(i->outcome, DEQ_CONVERGED);
        }
        outcome_free(&r);
    }
    free(b);
    systems_free(&s);
}

static void cg_stops_where_a_matrix_is_not_positive_definite(void **state)
{
    (void)state;
    systems s = systems_new(3, 4, DEQ_F64);
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < 4; i++)
            s.a[k * 16 + i * 5] = k == 1 ? 2 : i == 3 ? (k == 0 ? -1 : 0) : 1;
    for (int k = 0; k < 12; k++) s.b[k] = 1;
    for (int i = 0; i < 3; i++) s.b[8 + i] = 0; /* sample 2: b in the kernel */
    deq_linear_options o = options(DEQ_LINEAR_CG, 1e-10);
    outcome r = solve(&s, &o);
    assert_int_equal(r.info[0].outcome, DEQ_STAGNATED);
    assert_int_equal(r.info[0].breakdown, DEQ_BREAKDOWN_NOT_POSITIVE);
    assert_int_equal(r.info[1].outcome, DEQ_CONVERGED);
    assert_int_equal(r.info[1].breakdown, DEQ_BREAKDOWN_NONE);
    assert_int_equal(r.info[1].n_apply, 2);
    assert_int_equal(r.info[2].breakdown, DEQ_BREAKDOWN_NOT_POSITIVE);
    assert_true(r.info[2].fallback);
    assert_int_equal(r.info[2].n_apply, 1);
    for (int i = 0; i < 4; i++) assert_true(((double *)r.u)[8 + i] == s.b[8 + i]);
    outcome_free(&r);
    systems_free(&s);
}

/* r . A r = 0 for skew A, whatever r: the usual shadow fails at once, the bent one does not. */
static void bicgstab_bends_its_shadow_for_skew_matrices(void **state)
{
    (void)state;
    systems s = systems_new(1, 2, DEQ_F64);
    s.a[1] = 1;
    s.a[2] = -1;
    s.b[0] = 1;
    s.b[1] = 2;
    deq_linear_options o = options(DEQ_LINEAR_BICGSTAB, 1e-10);
    outcome r = solve(&s, &o);
    assert_int_equal(r.info[0].breakdown, DEQ_BREAKDOWN_ORTHOGONAL);
    assert_true(r.info[0].outcome != DEQ_NON_FINITE);
    assert_true(true_residual(&s, s.b, r.u, 0, false) <= 1.0001 * r.info[0].residual ||
                r.info[0].fallback);
    outcome_free(&r);
    o.method = DEQ_LINEAR_GMRES;
    r = solve(&s, &o);
    assert_solved(&s, &r, 1e-10);
    outcome_free(&r);
    systems_free(&s);
}

static void gmres_says_singular_when_the_space_closes_without_a_solution(void **state)
{
    (void)state;
    systems s = systems_new(2, 3, DEQ_F64);
    s.a[0] = s.a[4] = 1; /* sample 0: diag(1, 1, 0), b outside the range */
    s.b[0] = s.b[1] = s.b[2] = 1;
    s.b[5] = 1; /* sample 1: A = 0 */
    deq_linear_options o = options(DEQ_LINEAR_GMRES, 1e-10);
    outcome r = solve(&s, &o);
    assert_int_equal(r.info[0].outcome, DEQ_STAGNATED);
    assert_int_equal(r.info[0].breakdown, DEQ_BREAKDOWN_SINGULAR);
    assert_true(fabs(r.info[0].residual - 1) < 1e-12 || r.info[0].residual < sqrt(3.0));
    assert_int_equal(r.info[1].outcome, DEQ_STAGNATED);
    assert_int_equal(r.info[1].breakdown, DEQ_BREAKDOWN_SINGULAR);
    assert_true(r.info[1].fallback);
    assert_true(((double *)r.u)[5] == 1);
    outcome_free(&r);
    systems_free(&s);
}

static void restarted_gmres_stagnates_on_a_shift_that_the_full_method_solves(void **state)
{
    (void)state;
    systems s = systems_new(1, 10, DEQ_F64);
    fill_shift(s.a, 10);
    s.b[0] = 1;
    deq_linear_options o = options(DEQ_LINEAR_GMRES, 1e-10);
    o.restart = 5;
    outcome r = solve(&s, &o);
    assert_int_equal(r.info[0].outcome, DEQ_STAGNATED);
    assert_true(r.info[0].fallback);
    assert_true(((double *)r.u)[0] == 1);
    assert_true(isinf(r.info[0].residual));
    outcome_free(&r);
    o.restart = 10;
    r = solve(&s, &o);
    assert_solved(&s, &r, 1e-10);
    assert_int_equal(r.info[0].n_apply, 11);
    outcome_free(&r);
    systems_free(&s);
}

static void what_cannot_be_reached_in_f32_stagnates_at_the_floor(void **state)
{
    (void)state;
    systems s = systems_new(3, 40, DEQ_F32);
    fill(&s, CONTRACTION);
    for (int m = 0; m < DEQ_LINEAR_METHOD_COUNT; m++) {
        if (m == DEQ_LINEAR_CG) continue;
        deq_linear_options o = options((deq_linear_method)m, 1e-12);
        outcome r = solve(&s, &o);
        for (int k = 0; k < 3; k++) {
            assert_int_equal(r.info[k].outcome, DEQ_STAGNATED);
            assert_true(r.info[k].residual < 2e-6 * r.info[k].b_norm);
            assert_true(r.info[k].n_apply < 150);
            assert_false(r.info[k].fallback);
        }
        outcome_free(&r);
    }
    systems_free(&s);
}

static void a_nan_in_one_sample_leaves_the_others_their_bits(void **state)
{
    (void)state;
    for (int m = 0; m < DEQ_LINEAR_METHOD_COUNT; m++)
        for (int at = 0; at < 4; at++) {
            systems s = systems_new(64, 9, DEQ_F32);
            fill(&s, POSITIVE);
            deq_linear_options o = options((deq_linear_method)m, 1e-5);
            o.damping = 0.5;
            outcome good = solve(&s, &o);
            s.poisoned = 17;
            s.poisoned_at = at;
            outcome bad = solve(&s, &o);
            for (int64_t k = 0; k < 64; k++) {
                const float *x = (float *)good.u + k * 9, *y = (float *)bad.u + k * 9;
                if (k == 17) {
                    assert_int_equal(bad.info[k].outcome, DEQ_NON_FINITE);
                    for (int i = 0; i < 9; i++) assert_true(isfinite(y[i]));
                    assert_int_equal(bad.info[k].n_apply, at + 1);
                    continue;
                }
                assert_memory_equal(x, y, 9 * sizeof *x);
                assert_memory_equal(&good.info[k], &bad.info[k], sizeof *good.info);
            }
            outcome_free(&good);
            outcome_free(&bad);
            systems_free(&s);
        }
}

static void a_right_side_that_is_not_finite_is_flagged_at_once(void **state)
{
    (void)state;
    static const double wrong[] = { NAN, INFINITY };
    for (int w = 0; w < 2; w++)
        for (int warm = 0; warm < 2; warm++) {
            systems s = systems_new(2, 3, DEQ_F64);
            fill(&s, CONTRACTION);
            s.b[1] = wrong[w];
            double u0[6] = { 1, 2, 3, 4, 5, 6 };
            deq_linear_operator a = { .apply = systems_apply, .user = &s };
            outcome r = solve_with(&s, &a, NULL, 1, warm ? u0 : NULL);
            assert_int_equal(r.info[0].outcome, DEQ_NON_FINITE);
            assert_int_equal(r.info[0].n_apply, 0);
            assert_int_equal(r.info[0].fallback, !warm);
            if (warm) assert_memory_equal(r.u, u0, 3 * sizeof *u0);
            assert_int_equal(r.info[1].outcome, DEQ_CONVERGED);
            outcome_free(&r);
            systems_free(&s);
        }
}

/* A sample alone, among others, on other numbers of threads, with all rows always: the same bits. */
static void a_sample_has_the_same_bits_whatever_its_companions(void **state)
{
    (void)state;
    for (int m = 0; m < DEQ_LINEAR_METHOD_COUNT; m++) {
        int64_t d = 61;
        systems s = systems_new(9, d, DEQ_F32), one = systems_new(1, d, DEQ_F32);
        fill(&s, POSITIVE);
        for (int64_t i = 0; i < d * d; i++) s.a[4 * d * d + i] *= 1.3; /* some end early */
        deq_linear_options o = options((deq_linear_method)m, 1e-5);
        o.damping = 0.3;
        o.restart = 4;
        outcome all = solve(&s, &o);
        deq_linear_operator whole = { .apply = systems_apply, .user = &s, .whole_batch = true };
        outcome rows = solve_with(&s, &whole, &o, 3, NULL);
        assert_memory_equal(all.u, rows.u, (size_t)(9 * d) * sizeof(float));
        assert_memory_equal(all.info, rows.info, 9 * sizeof *all.info);
        for (int64_t k = 0; k < 9; k++) {
            memcpy(one.a, s.a + k * d * d, (size_t)(d * d) * sizeof *one.a);
            memcpy(one.b, s.b + k * d, (size_t)d * sizeof *one.b);
            outcome alone = solve(&one, &o);
            assert_memory_equal(alone.u, (float *)all.u + k * d, (size_t)d * sizeof(float));
            assert_memory_equal(alone.info, &all.info[k], sizeof *alone.info);
            outcome_free(&alone);
        }
        outcome_free(&rows);
        outcome_free(&all);
        systems_free(&one);
        systems_free(&s);
    }
}

/* v_i -> (2 + i mod 7) v_i + v_{i+1}: cheap enough for vectors that are split over threads. */
static deq_status band(void *user, void *out, const void *v, const int64_t *samples, int64_t n)
{
    int64_t d = *(int64_t *)user;
    (void)samples;
    for (int64_t i = 0; i < n * d; i++)
        ((float *)out)[i] = (float)(2 + i % d % 7) * ((const float *)v)[i] +
                            (i % d + 1 < d ? ((const float *)v)[i + 1] : 0);
    return DEQ_OK;
}

static void long_vectors_have_the_same_bits_on_any_number_of_threads(void **state)
{
    (void)state;
    int64_t d = 100003;
    size_t bytes = (size_t)(2 * d) * sizeof(float);
    float *b = malloc(bytes), *u[3] = { malloc(bytes), malloc(bytes), malloc(bytes) };
    assert_int_equal(deq_draw_normal(b, DEQ_F32, 2 * d, (deq_random_key){ 0 }, 0, 1), DEQ_OK);
    for (int m = 0; m < DEQ_LINEAR_METHOD_COUNT; m++) {
        if (m == DEQ_LINEAR_CG) continue;
        for (int i = 0; i < 3; i++) { /* 1 and 4 threads, then 1 sample on 4 */
            deq_context *ctx = context(i ? 4 : 1);
            deq_linear_options o = options((deq_linear_method)m, 1e-4);
            deq_linear_operator a = { .apply = band, .user = &d };
            deq_linear_solver *solver = NULL;
            deq_linear_info info[2];
            o.damping = 0.2;
            assert_int_equal(deq_linear_new(&solver, ctx, DEQ_F32, i < 2 ? 2 : 1, d, &o), DEQ_OK);
            assert_int_equal(deq_linear_solve(u[i], info, solver, &a, b, NULL), DEQ_OK);
            assert_int_equal(info[0].outcome, DEQ_CONVERGED);
            deq_linear_free(solver);
            deq_context_free(ctx);
        }
        assert_memory_equal(u[0], u[1], bytes);
        assert_memory_equal(u[0], u[2], bytes / 2);
    }
    for (int i = 0; i < 3; i++) free(u[i]);
    free(b);
}

static void few_iterations_are_counted_and_never_end_in_zeros(void **state)
{
    (void)state;
    for (int m = 0; m < DEQ_LINEAR_METHOD_COUNT; m++)
        for (int allowed = 0; allowed <= 3; allowed++)
            for (int64_t batch = 1; batch <= 2; batch++) {
                systems s = systems_new(batch, 20, DEQ_F64);
                fill(&s, POSITIVE);
                deq_linear_options o = options((deq_linear_method)m, 1e-14);
                o.max_iter = allowed;
                o.damping = 0.3;
                outcome r = solve(&s, &o);
                for (int64_t k = 0; k < batch; k++) {
                    const double *u = (double *)r.u + k * 20;
                    assert_int_equal(r.info[k].outcome, DEQ_MAX_ITER);
                    assert_int_equal(r.info[k].n_apply, allowed);
                    assert_int_equal(r.info[k].fallback, allowed == 0);
                    if (allowed == 0)
                        assert_memory_equal(u, s.b + k * 20, 20 * sizeof *u);
                    else
                        assert_true(fabs(true_residual(&s, s.b, r.u, k, false) -
                                         r.info[k].residual) < 1e-12 * r.info[k].b_norm);
                    assert_true(norm_of(u, 20) > 0);
                }
                outcome_free(&r);
                systems_free(&s);
            }
}

static void a_start_is_used_unless_zero_is_better(void **state)
{
    (void)state;
    for (int m = 0; m < DEQ_LINEAR_METHOD_COUNT; m++) {
        systems s = systems_new(4, 10, DEQ_F64);
        fill(&s, POSITIVE);
        deq_linear_operator a = { .apply = systems_apply, .user = &s };
        deq_linear_options o = options((deq_linear_method)m, 1e-9);
        o.damping = 0.4;
        outcome cold = solve(&s, &o);
        double *u0 = doubles(40);
        memcpy(u0, s.u, 40 * sizeof *u0);
        for (int i = 0; i < 10; i++) {
            u0[10 + i] *= 1 + 1e-6 * i;    /* sample 1: close */
            u0[20 + i] = 1e6 * (1 + i);    /* sample 2: worse than 0 */
            u0[30 + i] = i == 3 ? NAN : 0; /* sample 3: useless */
        }
        outcome warm = solve_with(&s, &a, &o, 1, u0);
        assert_solved(&s, &warm, 1e-9);
        assert_int_equal(warm.info[0].n_apply, 1);
        assert_true(warm.info[1].n_apply < cold.info[1].n_apply);
        for (int k = 2; k < 4; k++)
            assert_int_equal(warm.info[k].n_apply, cold.info[k].n_apply + 1);
        assert_memory_equal((double *)warm.u + 20, (double *)cold.u + 20, 20 * sizeof(double));
        outcome_free(&warm);
        o.max_iter = 0;
        warm = solve_with(&s, &a, &o, 1, u0);
        assert_memory_equal(warm.u, u0, 30 * sizeof *u0);
        assert_int_equal(warm.info[0].outcome, DEQ_MAX_ITER);
        assert_false(warm.info[0].fallback);
        assert_true(isinf(warm.info[0].residual));
        free(u0);
        outcome_free(&warm);
        outcome_free(&cold);
        systems_free(&s);
    }
}

static void a_solve_may_continue_in_place(void **state)
{
    (void)state;
    systems s = systems_new(2, 30, DEQ_F64);
    fill(&s, CONTRACTION);
    deq_context *ctx = context(1);
    deq_linear_solver *solver = NULL;
    deq_linear_info info[2];
    deq_linear_options o = options(DEQ_LINEAR_GMRES, 1e-10);
    deq_linear_operator a = { .apply = systems_apply, .user = &s };
    double u[60], last = INFINITY;
    o.max_iter = 6;
    assert_int_equal(deq_linear_new(&solver, ctx, DEQ_F64, 2, 30, &o), DEQ_OK);
    assert_int_equal(deq_linear_solve(u, info, solver, &a, s.b, NULL), DEQ_OK);
    for (int i = 0; i < 20 && info[0].outcome != DEQ_CONVERGED; i++) {
        assert_true(info[0].residual < last);
        last = info[0].residual * (1 + 1e-9);
        assert_int_equal(deq_linear_solve(u, info, solver, &a, s.b, u), DEQ_OK);
    }
    assert_int_equal(info[0].outcome, DEQ_CONVERGED);
    deq_linear_free(solver);
    deq_context_free(ctx);
    systems_free(&s);
}

static void a_zero_right_side_needs_nothing(void **state)
{
    (void)state;
    for (int m = 0; m < DEQ_LINEAR_METHOD_COUNT; m++) {
        systems s = systems_new(2, 4, DEQ_F64);
        fill(&s, POSITIVE);
        memset(s.b, 0, 4 * sizeof *s.b);
        double u0[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
        deq_linear_operator a = { .apply = systems_apply, .user = &s };
        deq_linear_options o = options((deq_linear_method)m, 1e-6);
        o.damping = 0.5;
        outcome r = solve_with(&s, &a, &o, 1, u0);
        assert_int_equal(r.info[0].outcome, DEQ_CONVERGED);
        assert_int_equal(r.info[0].n_apply, 0);
        assert_false(r.info[0].fallback);
        for (int i = 0; i < 4; i++) assert_true(((double *)r.u)[i] == 0);
        assert_int_equal(r.info[1].outcome, DEQ_CONVERGED);
        outcome_free(&r);
        systems_free(&s);
    }
}

/* BiCGSTAB's residual goes up and down; what is returned is the best of them. */
static void the_best_iterate_is_returned(void **state)
{
    (void)state;
    systems s = systems_new(6, 40, DEQ_F64);
    for (int64_t k = 0; k < 6; k++) fill_random(s.a + k * 1600, 40, 1, 21, k);
    systems_fill_b(&s, 2);
    double best[6] = { INFINITY, INFINITY, INFINITY, INFINITY, INFINITY, INFINITY };
    for (int allowed = 1; allowed < 60; allowed++) {
        deq_linear_options o = options(DEQ_LINEAR_BICGSTAB, 1e-13);
        o.max_iter = allowed;
        o.stagnation = 0;
        outcome r = solve(&s, &o);
        for (int64_t k = 0; k < 6; k++) {
            double found = r.info[k].fallback ? INFINITY : true_residual(&s, s.b, r.u, k, false);
            assert_true(found <= best[k] * (1 + 1e-6));
            best[k] = fmin(best[k], found);
        }
        outcome_free(&r);
    }
    systems_free(&s);
}

static void an_error_of_the_operator_ends_the_solve(void **state)
{
    (void)state;
    for (int at = 0; at < 5; at++) {
        systems s = systems_new(2, 12, DEQ_F64);
        fill(&s, CONTRACTION);
        s.fail_at = at;
        deq_context *ctx = context(1);
        deq_linear_solver *solver = NULL;
        double u[24];
        deq_linear_operator a = { .apply = systems_apply, .user = &s };
        assert_int_equal(deq_linear_new(&solver, ctx, DEQ_F64, 2, 12, NULL), DEQ_OK);
        assert_int_equal(deq_linear_solve(u, NULL, solver, &a, s.b, NULL), DEQ_ERR_BACKEND);
        s.fail_at = -1; /* and the solver is as good as new */
        assert_int_equal(deq_linear_solve(u, NULL, solver, &a, s.b, NULL), DEQ_OK);
        assert_true(true_residual(&s, s.b, u, 0, false) < 1e-5 * norm_of(s.b, 12));
        deq_linear_free(solver);
        deq_context_free(ctx);
        systems_free(&s);
    }
}

static void memory_is_taken_once_and_every_failure_of_it_is_survived(void **state)
{
    (void)state;
    for (int m = 0; m < DEQ_LINEAR_METHOD_COUNT; m++) {
        systems s = systems_new(3, 8, DEQ_F64);
        fill(&s, POSITIVE);
        deq_linear_options o = options((deq_linear_method)m, 1e-8);
        deq_linear_operator a = { .apply = systems_apply, .user = &s };
        bool done = false;
        o.damping = 0.4;
        for (size_t fail_at = 2; !done; fail_at++) {
            test_memory memory = { .fail_at = fail_at };
            deq_context *ctx = test_memory_context(&memory, 1);
            deq_linear_solver *solver = NULL;
            deq_status status = deq_linear_new(&solver, ctx, DEQ_F64, 3, 8, &o);
            done = status == DEQ_OK;
            if (done) {
                double u[24];
                size_t before = memory.calls;
                assert_int_equal(deq_linear_solve(u, NULL, solver, &a, s.b, NULL), DEQ_OK);
                assert_int_equal(memory.calls, before);
            } else {
                assert_int_equal(status, DEQ_ERR_NOMEM);
                assert_null(solver);
                assert_non_null(strstr(deq_last_error(ctx), "out of memory"));
            }
            deq_linear_free(solver);
            deq_context_free(ctx);
            assert_memory_clean(&memory);
        }
        systems_free(&s);
    }
}

static void refuse(const deq_linear_options *o, deq_dtype t, int64_t batch, int64_t d,
                   deq_status status, const char *message)
{
    deq_context *ctx = context(1);
    deq_linear_solver *solver = (deq_linear_solver *)(void *)ctx;
    assert_int_equal(deq_linear_new(&solver, ctx, t, batch, d, o), status);
    assert_null(solver);
    assert_string_equal(deq_last_error(ctx), message);
    deq_context_free(ctx);
}

#define REFUSE(field, value, message)                                                              \
    do {                                                                                           \
        deq_linear_options o_ = deq_linear_defaults();                                             \
        o_.field = value;                                                                          \
        refuse(&o_, DEQ_F64, 1, 1, DEQ_ERR_ARGUMENT, "linear solver: " message);                   \
    } while (0)

static void options_out_of_range_are_refused_with_the_facts(void **state)
{
    (void)state;
    REFUSE(method, (deq_linear_method)9, "unknown method 9");
    REFUSE(max_iter, -1, "max_iter is -1, expected >= 0");
    REFUSE(atol, -1, "atol is -1 and rtol 1e-06, expected finite numbers >= 0");
    REFUSE(rtol, INFINITY, "atol is 0 and rtol inf, expected finite numbers >= 0");
    REFUSE(restart, 0, "restart is 0, expected 1 to 1000");
    REFUSE(damping, 2, "damping is 2, expected in (0, 2)");
    REFUSE(damping, NAN, "damping is nan, expected in (0, 2)");
    REFUSE(divergence, 1, "divergence is 1, expected > 1");
    REFUSE(stagnation, -3, "stagnation is -3, expected >= 0");
    refuse(NULL, DEQ_I32, 1, 1, DEQ_ERR_DTYPE, "linear solver: dtype is i32, expected f32 or f64");
    refuse(NULL, DEQ_F64, 0, 1, DEQ_ERR_ARGUMENT,
           "linear solver: batch is 0 and d 1, expected >= 1");
    refuse(NULL, DEQ_F64, INT64_MAX / 2, 8, DEQ_ERR_OVERFLOW,
           "linear solver: 10 vectors of 8 elements for 4611686018427387903 samples are too large");
}

static void wrong_calls_are_refused(void **state)
{
    (void)state;
    deq_context *ctx = context(1);
    deq_linear_solver *solver = NULL;
    double u[2] = { 0 }, b[2] = { 1, 1 };
    systems s = systems_new(1, 2, DEQ_F64);
    deq_linear_operator none = { .user = &s }, a = { .apply = systems_apply, .user = &s };
    assert_int_equal(deq_linear_new(&solver, ctx, DEQ_F64, 1, 2, NULL), DEQ_OK);
    assert_int_equal(deq_linear_solve(u, NULL, solver, &none, b, NULL), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_linear_solve(b, NULL, solver, &a, b, NULL), DEQ_ERR_ARGUMENT);
    assert_string_equal(deq_last_error(ctx), "linear solver: u is b");
    deq_linear_free(solver);
    deq_linear_free(NULL);
    deq_context_free(ctx);
    systems_free(&s);
}

static void methods_have_names(void **state)
{
    (void)state;
    assert_string_equal(deq_linear_method_name(DEQ_LINEAR_GMRES), "gmres");
    assert_string_equal(deq_linear_method_name(DEQ_LINEAR_NEUMANN), "neumann");
    assert_string_equal(deq_linear_method_name(DEQ_LINEAR_METHOD_COUNT), "unknown");
    assert_string_equal(deq_linear_method_name((deq_linear_method)-1), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_method_solves_what_it_is_made_for),
        cmocka_unit_test(solutions_are_those_of_the_dense_system),
        cmocka_unit_test(the_adjoint_system_of_an_equilibrium_takes_only_a_vjp),
        cmocka_unit_test(gmres_needs_one_product_for_each_eigenvalue),
        cmocka_unit_test(gmres_takes_the_same_steps_given_t_and_given_one_minus_t),
        cmocka_unit_test(the_size_of_numbers_does_not_matter),
        cmocka_unit_test(gmres_needs_no_more_products_than_neumann),
        cmocka_unit_test(neumann_counts_as_the_series_says),
        cmocka_unit_test(neumann_outside_the_circle_diverges_and_returns_the_best),
        cmocka_unit_test(near_singular_systems_are_solved_or_said_not_to_be),
        cmocka_unit_test(cg_stops_where_a_matrix_is_not_positive_definite),
        cmocka_unit_test(bicgstab_bends_its_shadow_for_skew_matrices),
        cmocka_unit_test(gmres_says_singular_when_the_space_closes_without_a_solution),
        cmocka_unit_test(restarted_gmres_stagnates_on_a_shift_that_the_full_method_solves),
        cmocka_unit_test(what_cannot_be_reached_in_f32_stagnates_at_the_floor),
        cmocka_unit_test(a_nan_in_one_sample_leaves_the_others_their_bits),
        cmocka_unit_test(a_right_side_that_is_not_finite_is_flagged_at_once),
        cmocka_unit_test(a_sample_has_the_same_bits_whatever_its_companions),
        cmocka_unit_test(long_vectors_have_the_same_bits_on_any_number_of_threads),
        cmocka_unit_test(few_iterations_are_counted_and_never_end_in_zeros),
        cmocka_unit_test(a_start_is_used_unless_zero_is_better),
        cmocka_unit_test(a_solve_may_continue_in_place),
        cmocka_unit_test(a_zero_right_side_needs_nothing),
        cmocka_unit_test(the_best_iterate_is_returned),
        cmocka_unit_test(an_error_of_the_operator_ends_the_solve),
        cmocka_unit_test(memory_is_taken_once_and_every_failure_of_it_is_survived),
        cmocka_unit_test(options_out_of_range_are_refused_with_the_facts),
        cmocka_unit_test(wrong_calls_are_refused),
        cmocka_unit_test(methods_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
