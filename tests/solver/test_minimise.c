/* SPDX-License-Identifier: MIT */
/* L-BFGS: minima, searches, the estimate of the inverse Hessian. */
#include "solver/linear_systems.h"

#include <deq/minimise.h>

/* What the tests minimise, one function a sample. */
typedef struct problem {
    int64_t d, n_rows, n_calls;
    deq_dtype dtype;
    double *hessian; /* of `quadratic`: [d, d] */
    int64_t nan_sample, nan_at;
    int64_t fail_at;
} problem;

typedef double function(const problem *p, const double *x, double *g);

/* sum 100 (x_{i+1} - x_i^2)^2 + (1 - x_i)^2 */
static double rosenbrock(const problem *p, const double *x, double *g)
{
    double h = 0;
    memset(g, 0, (size_t)p->d * sizeof *g);
    for (int64_t i = 0; i + 1 < p->d; i++) {
        double a = x[i + 1] - x[i] * x[i], b = 1 - x[i];
        h += 100 * a * a + b * b;
        g[i] += -400 * a * x[i] - 2 * b;
        g[i + 1] += 200 * a;
    }
    return h;
}

/* x . A x / 2 - sum x */
static double quadratic(const problem *p, const double *x, double *g)
{
    double h = 0;
    for (int64_t i = 0; i < p->d; i++) {
        double ax = 0;
        for (int64_t j = 0; j < p->d; j++) ax += p->hessian[i * p->d + j] * x[j];
        h += x[i] * (0.5 * ax - 1);
        g[i] = ax - 1;
    }
    return h;
}

/* log(cosh x), with a slope that hardly changes far away */
static double logcosh(const problem *p, const double *x, double *g)
{
    double h = 0;
    for (int64_t i = 0; i < p->d; i++) {
        h += fabs(x[i]) + log1p(exp(-2 * fabs(x[i])));
        g[i] = tanh(x[i]);
    }
    return h;
}

/* -log x + x, which exists for x > 0 only */
static double barrier(const problem *p, const double *x, double *g)
{
    double h = 0;
    for (int64_t i = 0; i < p->d; i++) {
        h += x[i] - log(x[i]);
        g[i] = 1 - 1 / x[i];
    }
    return h;
}

/* falls for ever */
static double bottomless(const problem *p, const double *x, double *g)
{
    double h = 0;
    for (int64_t i = 0; i < p->d; i++) {
        h += -exp(x[i]);
        g[i] = -exp(x[i]);
    }
    return h;
}

typedef struct task {
    problem p;
    function *h;
} task;

static deq_status evaluate(void *user, double *value, void *grad, const void *x,
                           const int64_t *samples, int64_t n)
{
    task *t = user;
    problem *p = &t->p;
    double *at = doubles(p->d), *g = doubles(p->d);
    if (p->fail_at && ++p->n_calls == p->fail_at) {
        free(at);
        free(g);
        return DEQ_ERR_BACKEND;
    }
    for (int64_t r = 0; r < n; r++) {
        for (int64_t i = 0; i < p->d; i++) at[i] = get(x, p->dtype, r * p->d + i);
        value[r] = t->h(p, at, g);
        for (int64_t i = 0; i < p->d; i++) put(grad, p->dtype, r * p->d + i, g[i]);
        if (p->nan_at && samples[r] == p->nan_sample && p->n_rows >= p->nan_at)
            put(grad, p->dtype, r * p->d, NAN);
    }
    p->n_rows += n;
    free(at);
    free(g);
    return DEQ_OK;
}

static deq_context *context(void)
{
    deq_context *ctx = NULL;
    deq_context_options o = deq_context_defaults();
    o.threads = 2;
    assert_int_equal(deq_context_new(&ctx, &o), DEQ_OK);
    return ctx;
}

static task task_of(function *h, int64_t d, deq_dtype t)
{
    return (task){ .p = { .d = d, .dtype = t }, .h = h };
}

static deq_objective objective_of(task *t)
{
    return (deq_objective){ .struct_size = sizeof(deq_objective), .eval = evaluate, .user = t };
}

static void run(task *t, void *x, int64_t batch, const deq_lbfgs_options *o, deq_lbfgs_info *info)
{
    deq_context *ctx = context();
    deq_lbfgs *l = NULL;
    deq_objective h = objective_of(t);
    int64_t total = 0;
    if (deq_lbfgs_new(&l, ctx, t->p.dtype, batch, t->p.d, o) != DEQ_OK)
        fail_msg("%s", deq_last_error(ctx));
    t->p.n_rows = 0;
    assert_int_equal(deq_lbfgs_minimise(x, info, l, &h), DEQ_OK);
    for (int64_t k = 0; k < batch; k++) total += info[k].n_eval;
    assert_int_equal(total, t->p.n_rows);
    deq_lbfgs_free(l);
    deq_context_free(ctx);
}

static void rosenbrock_is_minimised_from_the_usual_start(void **state)
{
    (void)state;
    static const int64_t dims[] = { 2, 5, 20 };
    for (int i = 0; i < 3; i++)
        for (int unit = 0; unit < (dims[i] < 20 ? 2 : 1); unit++) { /* H_0 = I is slow */
            int64_t d = dims[i];
            task t = task_of(rosenbrock, d, DEQ_F64);
            deq_lbfgs_options o = deq_lbfgs_defaults();
            deq_lbfgs_info info[1];
            double x[20];
            o.rtol = 1e-10;
            o.unit_scale = unit;
            for (int64_t j = 0; j < d; j++) x[j] = j % 2 ? 1 : -1.2;
            run(&t, x, 1, &o, info);
            if (info[0].outcome != DEQ_CONVERGED)
                fail_msg("d %d, H_0 = I %d: %s, gradient %g after %d", (int)d, unit,
                         deq_outcome_text(info[0].outcome), info[0].gradient, (int)info[0].n_eval);
            for (int64_t j = 0; d == 2 && j < d; j++) assert_true(fabs(x[j] - 1) < 1e-6);
            assert_true(info[0].n_eval < (unit ? 600 : 200));
            assert_true(info[0].gradient < 1e-10 * 1e4);
        }
}

static void quadratics_are_minimised_to_the_last_digits(void **state)
{
    (void)state;
    for (deq_dtype type = DEQ_F32; type <= DEQ_F64; type++) {
        task t = task_of(quadratic, 12, type);
        double a[144];
        float xf[24] = { 0 };
        double xd[24] = { 0 };
        deq_lbfgs_info info[2];
        deq_lbfgs_options o = deq_lbfgs_defaults();
        fill_positive(a, 12, 0);
        t.p.hessian = a;
        o.rtol = type == DEQ_F32 ? 1e-5 : 1e-13;
        for (int i = 12; i < 24; i++) xd[i] = xf[i] = i < 18 ? 3.0F : -2.0F;
        run(&t, type == DEQ_F32 ? (void *)xf : xd, 2, &o, info);
        for (int k = 0; k < 2; k++) {
            if (info[k].outcome != DEQ_CONVERGED)
                fail_msg("%d: %s %g after %d", k, deq_outcome_text(info[k].outcome),
                         info[k].gradient, (int)info[k].n_eval);
            assert_true(info[k].n_eval < 60);
        }
        if (type == DEQ_F64)
            for (int i = 0; i < 12; i++) assert_true(fabs(xd[i] - xd[12 + i]) < 1e-10);
    }
}

static void long_steps_and_edges_of_the_domain_are_survived(void **state)
{
    (void)state;
    deq_lbfgs_info info[2];
    deq_lbfgs_options o = deq_lbfgs_defaults();
    double far[2] = { 1000, -3000 }, near[2] = { 50, 1e-3 };
    task t = task_of(logcosh, 1, DEQ_F64), b = task_of(barrier, 1, DEQ_F64);
    o.rtol = 1e-9;
    run(&t, far, 2, &o, info);
    for (int k = 0; k < 2; k++) assert_int_equal(info[k].outcome, DEQ_CONVERGED);
    assert_true(fabs(far[0]) < 1e-8 && fabs(far[1]) < 1e-8);
    assert_true(info[1].n_eval < 60);
    run(&b, near, 2, &o, info);
    for (int k = 0; k < 2; k++) {
        assert_int_equal(info[k].outcome, DEQ_CONVERGED);
        assert_true(fabs(near[k] - 1) < 1e-5);
    }
}

static void outcomes_tell_what_went_wrong(void **state)
{
    (void)state;
    deq_lbfgs_info info[3];
    deq_lbfgs_options o = deq_lbfgs_defaults();
    double x[3] = { 1, 1, 1 };
    task t = task_of(bottomless, 1, DEQ_F64);
    run(&t, x, 1, &o, info);
    assert_true(info[0].outcome == DEQ_DIVERGED || info[0].outcome == DEQ_STAGNATED);
    assert_true(isfinite(x[0]));

    t = task_of(logcosh, 1, DEQ_F64);
    double start[3] = { 2, 2, 2 };
    t.p.nan_sample = 1;
    t.p.nan_at = 1;
    run(&t, start, 3, &o, info);
    assert_int_equal(info[0].outcome, DEQ_CONVERGED);
    assert_int_equal(info[1].outcome, DEQ_STAGNATED);
    assert_true(start[1] == 2);
    assert_memory_equal(&start[0], &start[2], sizeof *start);
    assert_true(info[1].n_search_failed == 1);

    double nan_start[1] = { NAN };
    t = task_of(logcosh, 1, DEQ_F64);
    run(&t, nan_start, 1, &o, info);
    assert_int_equal(info[0].outcome, DEQ_NON_FINITE);
    for (int64_t allowed = 0; allowed < 4; allowed++) {
        double y[1] = { 5 };
        o.max_eval = allowed;
        o.rtol = 1e-12;
        run(&t, y, 1, &o, info);
        assert_int_equal(info[0].outcome, DEQ_MAX_ITER);
        assert_int_equal(info[0].n_eval, allowed);
        assert_int_equal(isnan(info[0].value), allowed == 0);
    }
}

static void a_sample_has_the_same_bits_whatever_its_companions(void **state)
{
    (void)state;
    deq_lbfgs_info all[5], one[1];
    task t = task_of(rosenbrock, 4, DEQ_F32);
    float x[20], y[20];
    for (int i = 0; i < 20; i++) x[i] = y[i] = (float)(0.3 * (i % 7) - 1);
    run(&t, x, 5, NULL, all);
    for (int k = 0; k < 5; k++) {
        run(&t, y + 4 * k, 1, NULL, one);
        assert_memory_equal(y + 4 * k, x + 4 * k, 4 * sizeof *x);
        assert_memory_equal(one, &all[k], sizeof *one);
    }
}

/* With a pair for each direction, H is the inverse Hessian of a quadratic. */
static void the_estimate_satisfies_its_secant_equations(void **state)
{
    (void)state;
    enum { D = 6 };
    deq_context *ctx = context();
    deq_lbfgs *l = NULL;
    double a[D * D], e[D] = { 0 }, y[D], h[D];
    deq_lbfgs_options o = deq_lbfgs_defaults();
    o.memory = D;
    fill_positive(a, D, 3);
    assert_int_equal(deq_lbfgs_new(&l, ctx, DEQ_F64, 1, D, &o), DEQ_OK);
    assert_int_equal(deq_lbfgs_rank(l, 0), 0);
    deq_lbfgs_apply(h, l, a);
    assert_memory_equal(h, a, sizeof h); /* H = I */
    for (int i = 0; i < D; i++) {
        memset(e, 0, sizeof e);
        e[i] = 1;
        for (int j = 0; j < D; j++) y[j] = a[j * D + i];
        assert_int_equal(deq_lbfgs_add_pair(l, 0, e, y), DEQ_OK);
        deq_lbfgs_apply(h, l, y); /* the newest pair holds exactly */
        for (int j = 0; j < D; j++) assert_true(fabs(h[j] - e[j]) < 1e-12);
    }
    assert_int_equal(deq_lbfgs_rank(l, 0), D);
    for (int j = 0; j < D; j++) y[j] = -e[j];
    assert_int_equal(deq_lbfgs_add_pair(l, 0, e, y), DEQ_ERR_ARGUMENT);
    assert_string_equal(deq_last_error(ctx), "lbfgs: s . y is -1, expected > 0");
    assert_int_equal(deq_lbfgs_add_pair(l, 1, e, e), DEQ_ERR_ARGUMENT);
    deq_lbfgs_free(l);
    deq_context_free(ctx);
}

static deq_status outer(void *user, void *grad, const void *x, const int64_t *samples, int64_t n)
{
    task *t = user;
    (void)x;
    (void)samples;
    for (int64_t i = 0; i < n * t->p.d; i++) ((double *)grad)[i] = i % t->p.d < 2 ? 1 : 0;
    return DEQ_OK;
}

/* |H v - A^-1 v| / |A^-1 v| for the direction of the outer gradient, after the minimisation. */
static double inverse_error(int every, int64_t *n_outer)
{
    enum { D = 30 };
    deq_context *ctx = context();
    deq_lbfgs *l = NULL;
    deq_linear_solver *cg = NULL;
    systems s = systems_new(1, D, DEQ_F64);
    task t = task_of(quadratic, D, DEQ_F64);
    deq_objective h = objective_of(&t);
    deq_lbfgs_options o = deq_lbfgs_defaults();
    deq_lbfgs_info info[1];
    double x[D] = { 0 }, v[D] = { 1, 1 }, hv[D], exact[D], error = 0, size = 0;
    fill_positive(s.a, D, 1);
    for (int i = 0; i < D; i++) s.a[i * D + i] += i; /* spread the spectrum */
    t.p.hessian = s.a;
    o.memory = 60;
    o.rtol = 1e-6;
    if (every) {
        h.outer_gradient = outer;
        o.outer_every = every;
    }
    assert_int_equal(deq_lbfgs_new(&l, ctx, DEQ_F64, 1, D, &o), DEQ_OK);
    assert_int_equal(deq_lbfgs_minimise(x, info, l, &h), DEQ_OK);
    assert_int_equal(info[0].outcome, DEQ_CONVERGED);
    *n_outer = info[0].n_outer;
    deq_lbfgs_apply(hv, l, v);
    deq_linear_options lo = deq_linear_defaults();
    lo.method = DEQ_LINEAR_CG;
    lo.rtol = 1e-12;
    assert_int_equal(deq_linear_new(&cg, ctx, DEQ_F64, 1, D, &lo), DEQ_OK);
    deq_linear_operator a = { .apply = systems_apply, .user = &s };
    assert_int_equal(deq_linear_solve(exact, NULL, cg, &a, v, NULL), DEQ_OK);
    for (int i = 0; i < D; i++) {
        error += (hv[i] - exact[i]) * (hv[i] - exact[i]);
        size += exact[i] * exact[i];
    }
    deq_linear_free(cg);
    deq_lbfgs_free(l);
    deq_context_free(ctx);
    systems_free(&s);
    return sqrt(error / size);
}

static void extra_pairs_sharpen_the_inverse_where_the_outer_problem_looks(void **state)
{
    (void)state;
    int64_t none, some;
    double without = inverse_error(0, &none), with = inverse_error(2, &some);
    assert_int_equal(none, 0);
    assert_true(some > 3);
    assert_true(with < 0.5 * without);
}

static void memory_may_be_kept_for_the_next_problem(void **state)
{
    (void)state;
    deq_context *ctx = context();
    deq_lbfgs *l = NULL;
    task t = task_of(quadratic, 20, DEQ_F64);
    deq_objective h = objective_of(&t);
    deq_lbfgs_options o = deq_lbfgs_defaults();
    deq_lbfgs_info cold[1], warm[1];
    double a[400], x[20] = { 0 }, y[20];
    for (int i = 0; i < 20; i++) y[i] = 0.1;
    fill_graded(a, 20, 1e-2);
    t.p.hessian = a;
    o.keep_memory = true;
    o.memory = 40;
    assert_int_equal(deq_lbfgs_new(&l, ctx, DEQ_F64, 1, 20, &o), DEQ_OK);
    assert_int_equal(deq_lbfgs_minimise(x, cold, l, &h), DEQ_OK);
    assert_int_equal(deq_lbfgs_set_tolerance(l, 1e-6, 0), DEQ_OK);
    assert_int_equal(deq_lbfgs_minimise(y, warm, l, &h), DEQ_OK);
    assert_int_equal(warm[0].outcome, DEQ_CONVERGED);
    assert_true(warm[0].gradient <= 1e-6);
    assert_true(warm[0].n_eval < cold[0].n_eval / 2);
    assert_int_equal(deq_lbfgs_set_tolerance(l, -1, 0), DEQ_ERR_ARGUMENT);
    deq_lbfgs_free(l);
    deq_context_free(ctx);
}

static void errors_of_the_objective_and_of_memory_are_passed_on(void **state)
{
    (void)state;
    task t = task_of(rosenbrock, 4, DEQ_F64);
    deq_objective h = objective_of(&t), wrong = { .struct_size = sizeof wrong };
    bool done = false;
    for (size_t fail_at = 2; !done; fail_at++) {
        test_memory memory = { .fail_at = fail_at };
        deq_context *ctx = test_memory_context(&memory, 1);
        deq_lbfgs *l = NULL;
        deq_status status = deq_lbfgs_new(&l, ctx, DEQ_F64, 2, 4, NULL);
        done = status == DEQ_OK;
        if (done) {
            double x[8] = { 0 };
            size_t before = memory.calls;
            assert_int_equal(deq_lbfgs_minimise(x, NULL, l, &h), DEQ_OK);
            memset(x, 0, sizeof x);
            t.p.fail_at = 3;
            assert_int_equal(deq_lbfgs_minimise(x, NULL, l, &h), DEQ_ERR_BACKEND);
            assert_int_equal(deq_lbfgs_minimise(x, NULL, l, &wrong), DEQ_ERR_ARGUMENT);
            assert_int_equal(memory.calls, before);
        } else {
            assert_int_equal(status, DEQ_ERR_NOMEM);
            assert_null(l);
        }
        deq_lbfgs_free(l);
        deq_context_free(ctx);
        assert_memory_clean(&memory);
    }
}

#define REFUSE(field, value)                                                                       \
    do {                                                                                           \
        deq_lbfgs_options o_ = deq_lbfgs_defaults();                                               \
        o_.field = value;                                                                          \
        assert_int_equal(deq_lbfgs_new(&l, ctx, DEQ_F64, 1, 1, &o_), DEQ_ERR_ARGUMENT);            \
        assert_null(l);                                                                            \
    } while (0)

static void options_out_of_range_are_refused(void **state)
{
    (void)state;
    deq_context *ctx = context();
    deq_lbfgs *l = NULL;
    REFUSE(struct_size, 1);
    REFUSE(max_eval, -1);
    REFUSE(atol, NAN);
    REFUSE(rtol, -1);
    REFUSE(memory, 0);
    REFUSE(armijo, 0.5);
    REFUSE(curvature, 1e-5);
    REFUSE(max_search, 0);
    REFUSE(outer_every, 0);
    assert_int_equal(deq_lbfgs_new(&l, ctx, DEQ_BOOL, 1, 1, NULL), DEQ_ERR_DTYPE);
    assert_int_equal(deq_lbfgs_new(&l, ctx, DEQ_F32, 1, 0, NULL), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_lbfgs_new(&l, ctx, DEQ_F32, 1, INT64_MAX / 4, NULL), DEQ_ERR_OVERFLOW);
    deq_context_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rosenbrock_is_minimised_from_the_usual_start),
        cmocka_unit_test(quadratics_are_minimised_to_the_last_digits),
        cmocka_unit_test(long_steps_and_edges_of_the_domain_are_survived),
        cmocka_unit_test(outcomes_tell_what_went_wrong),
        cmocka_unit_test(a_sample_has_the_same_bits_whatever_its_companions),
        cmocka_unit_test(the_estimate_satisfies_its_secant_equations),
        cmocka_unit_test(extra_pairs_sharpen_the_inverse_where_the_outer_problem_looks),
        cmocka_unit_test(memory_may_be_kept_for_the_next_problem),
        cmocka_unit_test(errors_of_the_objective_and_of_memory_are_passed_on),
        cmocka_unit_test(options_out_of_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
