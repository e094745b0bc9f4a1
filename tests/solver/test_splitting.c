/* SPDX-License-Identifier: MIT */
/* Forward-backward and Peaceman-Rachford on monotone equilibria z = relu(W z + c). */
#include "solver/linear_systems.h"

#include <deq/splitting.h>

enum { D = 12, BATCH = 3 };

/* W = (1 - m) I - A'A + B - B': then I - W is strongly monotone with constant m. */
typedef struct monotone {
    double w[D * D], c[BATCH * D], inverse[D * D], alpha;
    deq_dtype dtype;
    int n_linear, n_resolvent, fail_at;
} monotone;

static void fill_monotone(monotone *p, double m, double size, deq_dtype dtype)
{
    double a[D * D], b[D * D];
    *p = (monotone){ .dtype = dtype };
    fill_random(a, D, size, 1, 0);
    fill_random(b, D, size, 2, 0);
    for (int i = 0; i < D; i++)
        for (int j = 0; j < D; j++) {
            double w = i == j ? 1 - m : 0;
            for (int k = 0; k < D; k++) w -= a[k * D + i] * a[k * D + j];
            p->w[i * D + j] = w + b[i * D + j] - b[j * D + i];
        }
    deq_random_key key = { .seed = 3 };
    assert_int_equal(deq_draw_normal(p->c, DEQ_F64, BATCH * D, key, 0, 1), DEQ_OK);
}

/* inverse = (I + alpha (I - W))^-1 by Gauss-Jordan; its symmetric part is positive definite. */
static void invert(monotone *p, double alpha)
{
    double m[D * D];
    for (int i = 0; i < D * D; i++) {
        m[i] = (i % (D + 1) == 0 ? 1 + alpha : 0) - alpha * p->w[i];
        p->inverse[i] = i % (D + 1) == 0;
    }
    for (int k = 0; k < D; k++) {
        double pivot = m[k * D + k];
        for (int j = 0; j < D; j++) {
            m[k * D + j] /= pivot;
            p->inverse[k * D + j] /= pivot;
        }
        for (int i = 0; i < D; i++) {
            double factor = m[i * D + k];
            if (i == k) continue;
            for (int j = 0; j < D; j++) {
                m[i * D + j] -= factor * m[k * D + j];
                p->inverse[i * D + j] -= factor * p->inverse[k * D + j];
            }
        }
    }
    p->alpha = alpha;
}

static void product(const monotone *p, const double *a, void *out, const void *v, int64_t n)
{
    for (int64_t r = 0; r < n; r++)
        for (int i = 0; i < D; i++) {
            double sum = 0;
            for (int j = 0; j < D; j++) sum += a[i * D + j] * get(v, p->dtype, r * D + j);
            put(out, p->dtype, r * D + i, sum);
        }
}

static deq_status linear(void *user, void *wz, const void *z, const int64_t *samples, int64_t n)
{
    monotone *p = user;
    (void)samples;
    if (++p->n_linear == p->fail_at) return DEQ_ERR_BACKEND;
    product(p, p->w, wz, z, n);
    return DEQ_OK;
}

static deq_status resolvent(void *user, void *out, const void *v, double alpha,
                            const int64_t *samples, int64_t n)
{
    monotone *p = user;
    (void)samples;
    assert_true(alpha == p->alpha);
    p->n_resolvent++;
    product(p, p->inverse, out, v, n);
    return DEQ_OK;
}

static deq_status relu(void *user, void *z, double alpha, const int64_t *samples, int64_t n)
{
    monotone *p = user;
    (void)alpha;
    (void)samples;
    for (int64_t i = 0; i < n * D; i++) put(z, p->dtype, i, fmax(0, get(z, p->dtype, i)));
    return DEQ_OK;
}

static deq_monotone parts_of(monotone *p)
{
    return (deq_monotone){ .struct_size = sizeof(deq_monotone),
                           .linear = linear,
                           .resolvent = resolvent,
                           .prox = relu,
                           .user = p,
                           .partial = true };
}

static deq_context *context(void)
{
    deq_context *ctx = NULL;
    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    return ctx;
}

/* Evaluations of F until 1e-10; -1 if it did not converge.  z receives the equilibrium. */
static int64_t solve(monotone *p, deq_splitting_method method, double alpha, deq_method driver,
                     void *z, double *residual)
{
    deq_context *ctx = context();
    deq_splitting *s = NULL;
    deq_solver *solver = NULL;
    deq_monotone parts = parts_of(p);
    deq_solver_options o = deq_solver_defaults();
    deq_solve_info info = { .struct_size = sizeof info };
    void *c = calloc(BATCH * D, deq_dtype_size(p->dtype));
    assert_non_null(c);
    for (int i = 0; i < BATCH * D; i++) put(c, p->dtype, i, p->c[i]);
    o.method = driver;
    o.max_iter = 3000;
    o.atol = p->dtype == DEQ_F32 ? 1e-5 : 1e-10;
    o.rtol = 0;
    memset(z, 0, BATCH * D * deq_dtype_size(p->dtype));
    invert(p, alpha);
    assert_int_equal(deq_splitting_new(&s, ctx, method, &parts, alpha, BATCH, D, p->dtype), DEQ_OK);
    assert_int_equal(deq_solver_new(&solver, ctx, &o, BATCH, D, p->dtype), DEQ_OK);
    assert_int_equal(deq_solve(z, &info, solver, deq_splitting_map(s, c)), DEQ_OK);
    assert_int_equal(deq_splitting_state(z, s, z), DEQ_OK);
    assert_int_equal(deq_splitting_residual(residual, s, z), DEQ_OK);
    deq_solver_free(solver);
    deq_splitting_free(s);
    deq_context_free(ctx);
    free(c);
    return info.n_outcome[DEQ_CONVERGED] == BATCH ? info.n_feval : -1;
}

static void both_find_the_same_equilibrium(void **state)
{
    (void)state;
    for (deq_dtype t = DEQ_F32; t <= DEQ_F64; t++) {
        monotone p;
        double a[BATCH * D], b[BATCH * D], residual[BATCH], tol = t == DEQ_F32 ? 1e-4 : 1e-8;
        fill_monotone(&p, 0.5, 0.4, t);
        assert_true(solve(&p, DEQ_SPLITTING_FORWARD_BACKWARD, 0.3, DEQ_PICARD, a, residual) > 0);
        for (int k = 0; k < BATCH; k++) assert_true(residual[k] < tol);
        assert_true(solve(&p, DEQ_SPLITTING_PEACEMAN_RACHFORD, 1, DEQ_PICARD, b, residual) > 0);
        for (int k = 0; k < BATCH; k++) assert_true(residual[k] < tol);
        for (int i = 0; i < BATCH * D; i++) {
            double x = get(a, t, i);
            assert_true(fabs(x - get(b, t, i)) < tol);
            assert_true(x >= 0);
        }
    }
}

/* With large W the plain iteration z <- relu(W z + c) expands; a splitting does not mind. */
static void peaceman_rachford_converges_for_any_alpha(void **state)
{
    (void)state;
    static const double alphas[] = { 0.03, 0.3, 1, 3 };
    monotone p;
    double z[BATCH * D], first[BATCH * D], residual[BATCH];
    fill_monotone(&p, 0.5, 1.5, DEQ_F64);
    assert_int_equal(solve(&p, DEQ_SPLITTING_FORWARD_BACKWARD, 1, DEQ_PICARD, z, residual), -1);
    for (int i = 0; i < 4; i++) {
        assert_true(solve(&p, DEQ_SPLITTING_PEACEMAN_RACHFORD, alphas[i], DEQ_PICARD, z, residual) >
                    0);
        if (i == 0) memcpy(first, z, sizeof first);
        for (int j = 0; j < BATCH * D; j++) assert_true(fabs(z[j] - first[j]) < 1e-7);
    }
    assert_true(solve(&p, DEQ_SPLITTING_FORWARD_BACKWARD, 0.02, DEQ_PICARD, z, residual) > 0);
    for (int j = 0; j < BATCH * D; j++) assert_true(fabs(z[j] - first[j]) < 1e-6);
}

static void a_splitting_can_be_accelerated(void **state)
{
    (void)state;
    monotone p;
    double z[BATCH * D], residual[BATCH];
    fill_monotone(&p, 0.5, 1, DEQ_F64);
    int64_t plain = solve(&p, DEQ_SPLITTING_FORWARD_BACKWARD, 0.1, DEQ_PICARD, z, residual);
    int64_t fast = solve(&p, DEQ_SPLITTING_FORWARD_BACKWARD, 0.1, DEQ_ANDERSON, z, residual);
    if (fast < 0 || fast >= plain / 3) fail_msg("%d against %d", (int)fast, (int)plain);
    for (int k = 0; k < BATCH; k++) assert_true(residual[k] < 1e-7);
}

static void forward_backward_with_alpha_one_is_the_plain_map(void **state)
{
    (void)state;
    deq_context *ctx = context();
    deq_splitting *s = NULL;
    monotone p;
    double z[BATCH * D], f[BATCH * D], w[BATCH * D];
    int64_t samples[2] = { 2, 0 }; /* rows in any order find their own c */
    fill_monotone(&p, 0.5, 0.4, DEQ_F64);
    deq_monotone parts = parts_of(&p);
    for (int i = 0; i < 2 * D; i++) z[i] = sin(i);
    assert_int_equal(
        deq_splitting_new(&s, ctx, DEQ_SPLITTING_FORWARD_BACKWARD, &parts, 1, BATCH, D, DEQ_F64),
        DEQ_OK);
    const deq_map *map = deq_splitting_map(s, p.c);
    assert_true(map->partial);
    assert_int_equal(map->eval(map->user, f, z, samples, 2), DEQ_OK);
    product(&p, p.w, w, z, 2);
    for (int r = 0; r < 2; r++)
        for (int i = 0; i < D; i++)
            assert_true(f[r * D + i] == fmax(0, w[r * D + i] + p.c[samples[r] * D + i]));
    p.fail_at = p.n_linear + 1;
    assert_int_equal(map->eval(map->user, f, z, samples, 2), DEQ_ERR_BACKEND);
    deq_splitting_free(s);
    deq_context_free(ctx);
}

static void missing_parts_and_memory_are_refused(void **state)
{
    (void)state;
    bool done = false;
    monotone p;
    fill_monotone(&p, 0.5, 0.4, DEQ_F64);
    for (size_t fail_at = 2; !done; fail_at++) {
        test_memory memory = { .fail_at = fail_at };
        deq_context *ctx = test_memory_context(&memory, 1);
        deq_splitting *s = NULL;
        deq_monotone parts = parts_of(&p);
        deq_status status = deq_splitting_new(&s, ctx, DEQ_SPLITTING_FORWARD_BACKWARD, &parts, 1, 1,
                                              D, DEQ_F64);
        done = status == DEQ_OK;
        double r[1], z[D] = { 0 };
        if (done)
            assert_int_equal(deq_splitting_residual(r, s, z), DEQ_ERR_STATE);
        else
            assert_int_equal(status, DEQ_ERR_NOMEM);
        deq_splitting_free(s);
        parts.linear = NULL;
        assert_int_equal(
            deq_splitting_new(&s, ctx, DEQ_SPLITTING_FORWARD_BACKWARD, &parts, 1, 1, D, DEQ_F64),
            DEQ_ERR_ARGUMENT);
        assert_string_equal(deq_last_error(ctx), "splitting: prox or linear is missing");
        parts = parts_of(&p);
        assert_int_equal(
            deq_splitting_new(&s, ctx, DEQ_SPLITTING_PEACEMAN_RACHFORD, &parts, 0, 1, D, DEQ_F64),
            DEQ_ERR_ARGUMENT);
        assert_int_equal(
            deq_splitting_new(&s, ctx, DEQ_SPLITTING_PEACEMAN_RACHFORD, &parts, 1, 1, D, DEQ_I32),
            DEQ_ERR_DTYPE);
        assert_null(s);
        deq_context_free(ctx);
        assert_memory_clean(&memory);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_find_the_same_equilibrium),
        cmocka_unit_test(peaceman_rachford_converges_for_any_alpha),
        cmocka_unit_test(a_splitting_can_be_accelerated),
        cmocka_unit_test(forward_backward_with_alpha_one_is_the_plain_map),
        cmocka_unit_test(missing_parts_and_memory_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
