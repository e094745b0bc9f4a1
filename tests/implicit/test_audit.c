/* SPDX-License-Identifier: MIT */
/* Audits of an affine equilibrium, where every estimator is known in closed form. */
#include "support/engine.h"

#include <deq/audit.h>

enum { B = 2, D = 4 };

/* z = z W' + b + x, loss = sum (c . z). */
typedef struct affine {
    deq_parameters *store;
    deq_dtype dtype;
    deq_value x;
    const double *data;
    int fed;
    deq_status refuse;
} affine;

static const double W[D * D] = { 0.2, -0.1, 0.4, 0.3, 0.1, 0.5,  -0.3, 0.2,
                                 0.0, 0.3,  0.1, 0.4, 0.2, -0.2, 0.1,  0.3 };
static const double X[B * D] = { 0.3, -0.8, 0.5, 1.1, 0.2, -0.4, 0.9, 0.6 };
static const double C[D] = { 1, -0.5, 0.3, 0.8 };

typedef struct weights {
    deq_value w, b, x;
} weights;

static void cell(deq_graph *g, const deq_value *z, deq_value *fz, void *user)
{
    const weights *c = user;
    fz[0] = deq_add(g, deq_linear(g, z[0], c->w, c->b), c->x);
}

static deq_value constant(deq_graph *g, deq_dtype dtype, deq_shape shape, const double *data)
{
    return deq_cast(g, deq_constant(g, DEQ_F64, shape, data), dtype);
}

static deq_value build(deq_graph *g, const deq_equilibrium_options *options, void *user)
{
    affine *m = user;
    m->x = deq_input(g, "x", DEQ_STAGE_INJECTED, m->dtype, DEQ_SHAPE(B, D));
    weights c = { deq_parameter(g, m->store, "w\"0"), deq_parameter(g, m->store, "b"), m->x };
    deq_value z0 = deq_fill(g, m->dtype, DEQ_SHAPE(B, D), 0);
    deq_value z = deq_equilibrium(g, cell, &c, z0, options, NULL);
    return deq_sum(g, deq_mul(g, z, constant(g, m->dtype, DEQ_SHAPE(1, D), C)), DEQ_ALL_AXES,
                   false);
}

static deq_status feed(deq_program *p, void *user)
{
    affine *m = user;
    float narrow[B * D];
    m->fed++;
    if (m->refuse) return m->refuse;
    for (int i = 0; i < B * D; i++) narrow[i] = (float)X[i];
    return m->dtype == DEQ_F64 ? deq_program_write(p, m->x, X, sizeof X)
                               : deq_program_write(p, m->x, narrow, sizeof narrow);
}

static affine model_of(deq_context *ctx, deq_dtype dtype)
{
    affine m = { .dtype = dtype };
    assert_int_equal(deq_parameters_new(&m.store, ctx, dtype), DEQ_OK);
    assert_int_equal(deq_parameters_add(m.store, "w\"0", DEQ_SHAPE(D, D)), DEQ_OK);
    assert_int_equal(deq_parameters_add(m.store, "b", DEQ_SHAPE(D)), DEQ_OK);
    assert_int_equal(deq_parameters_allocate(m.store), DEQ_OK);
    for (int i = 0; i < D * D; i++)
        if (dtype == DEQ_F64)
            ((double *)deq_parameters_values(m.store, 0))[i] = W[i];
        else
            ((float *)deq_parameters_values(m.store, 0))[i] = (float)W[i];
    return m;
}

/* db of u = tau sum_{i<k} c B^i,  B = tau W + (1 - tau) I, times the batch; k < 0: to the end. */
static void bias_gradient(double *db, int k, double tau)
{
    double v[D];
    for (int j = 0; j < D; j++) {
        v[j] = C[j];
        db[j] = 0;
    }
    for (int i = 0; i < (k < 0 ? 2000 : k); i++) {
        double t[D];
        for (int j = 0; j < D; j++) {
            db[j] += B * tau * v[j];
            t[j] = (1 - tau) * v[j];
            for (int l = 0; l < D; l++) t[j] += tau * v[l] * W[l * D + j];
        }
        memcpy(v, t, sizeof v);
    }
}

static deq_audit_match expected_match(int k, double tau)
{
    double a[D], e[D], aa = 0, ee = 0, ae = 0;
    bias_gradient(a, k, tau);
    bias_gradient(e, -1, 1);
    for (int j = 0; j < D; j++) {
        aa += a[j] * a[j];
        ee += e[j] * e[j];
        ae += a[j] * e[j];
    }
    return (deq_audit_match){ ae / sqrt(aa * ee), sqrt(aa / ee) };
}

static int row_named(const deq_audit *t, const char *name)
{
    for (int i = 0; i < deq_audit_count(t); i++)
        if (!strcmp(deq_audit_get(t, i).name, name)) return i;
    fail_msg("no row '%s'", name);
    return -1;
}

static void check_bias(const deq_audit *t, const char *name, int k, double tau, double tol)
{
    deq_audit_match m = deq_audit_parameter(t, row_named(t, name), 1), e = expected_match(k, tau);
    if (!(fabs(m.cosine - e.cosine) <= tol && fabs(m.norm_ratio - e.norm_ratio) <= tol))
        fail_msg("%s: cosine %.10g, ratio %.10g; expected %.10g, %.10g", name, m.cosine,
                 m.norm_ratio, e.cosine, e.norm_ratio);
}

static void every_estimator_is_measured_against_the_exact_gradient(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        deq_dtype dtype = k ? DEQ_F32 : DEQ_F64;
        double tol = k ? 1e-4 : 1e-9;
        deq_context *ctx = test_context();
        affine m = model_of(ctx, dtype);
        deq_audit *t;
        deq_audit_options o = deq_audit_defaults();
        o.base.forward.rtol = k ? 1e-6 : 1e-12;
        o.base.adjoint.rtol = k ? 1e-6 : 1e-12;
        o.base.forward.max_iter = 40;
        o.refine = 30;
        assert_int_equal(deq_gradient_audit(&t, ctx, build, feed, &m, m.store, &o), DEQ_OK);
        assert_int_equal(deq_audit_count(t), 9);
        assert_int_equal(m.fed, 9);
        check_bias(t, "exact", -1, 1, 1e-14);
        check_bias(t, "ift", -1, 1, tol);
        check_bias(t, "jfb", 1, 1, tol);
        check_bias(t, "phantom unroll", 5, 0.5, tol);
        check_bias(t, "phantom neumann", 5, 0.5, tol);
        check_bias(t, "shine refined", -1, 1, tol);
        check_bias(t, "unroll", -1, 1, 1e-4);
        if (!k)
            check_bias(t, "reversible", -1, 1, 0.05); /* in f32 its rounding has grown by 2^40 */
        for (int i = 0; i < deq_audit_count(t); i++) {
            deq_audit_row r = deq_audit_get(t, i);
            if (r.status != DEQ_OK) fail_msg("%s: %s", r.name, r.message);
            if (!strcmp(r.name, "reversible")) continue;
            assert_true(fabs(r.loss - deq_audit_get(t, 0).loss) < 1e-4);
            assert_true(r.bytes > 0 && isfinite(r.seconds) && r.n_feval > 0 && r.n_product > 0);
            if (!(r.total.cosine > 0.5 && r.total.norm_ratio > 0.2))
                fail_msg("%s: cosine %g, ratio %g", r.name, r.total.cosine, r.total.norm_ratio);
        }
        deq_audit_free(t);
        deq_parameters_free(m.store);
        deq_context_free(ctx);
    }
}

static void costs_are_counted(void **state)
{
    (void)state;
    deq_context *ctx = test_context();
    affine m = model_of(ctx, DEQ_F64);
    deq_audit *t;
    deq_audit_options o = deq_audit_defaults();
    o.base.forward.method = DEQ_PICARD;
    o.base.forward.max_iter = 12;
    o.base.forward.rtol = 0;
    o.base.adjoint.rtol = 1e-10;
    assert_int_equal(deq_gradient_audit(&t, ctx, build, feed, &m, m.store, &o), DEQ_OK);
    deq_audit_row r = deq_audit_get(t, row_named(t, "jfb"));
    assert_int_equal(r.n_feval, 12);
    assert_int_equal(r.n_product, 1);
    assert_int_equal(r.n_failed, B); /* 12 steps do not reach a residual of 0 */
    r = deq_audit_get(t, row_named(t, "phantom neumann"));
    assert_int_equal(r.n_product, 5);
    r = deq_audit_get(t, row_named(t, "phantom unroll"));
    assert_int_equal(r.n_feval, 17);
    assert_int_equal(r.n_product, 5);
    r = deq_audit_get(t, row_named(t, "ift"));
    assert_in_range(r.n_product, 4, 8); /* a Krylov space of D = 4, the check, the parameters */
    r = deq_audit_get(t, row_named(t, "unroll"));
    assert_int_equal(r.n_feval, 12);
    assert_int_equal(r.n_product, 12);
    r = deq_audit_get(t, 0);
    assert_int_equal(r.n_failed, 0);
    deq_audit_free(t);
    deq_parameters_free(m.store);
    deq_context_free(ctx);
}

static void a_case_that_cannot_run_says_why(void **state)
{
    (void)state;
    deq_context *ctx = test_context();
    affine m = model_of(ctx, DEQ_F64);
    deq_audit *t;
    deq_audit_options o = deq_audit_defaults();
    deq_audit_case cases[2] = { { "wrong", o.base }, { "jfb", o.base } };
    cases[0].options.tau = 7;
    cases[1].options.gradient = DEQ_GRADIENT_JFB;
    o.cases = cases;
    o.n_cases = 2;
    assert_int_equal(deq_gradient_audit(&t, ctx, build, feed, &m, m.store, &o), DEQ_OK);
    assert_int_equal(deq_audit_count(t), 3);
    assert_int_equal(deq_audit_get(t, 1).status, DEQ_ERR_ARGUMENT);
    assert_non_null(strstr(deq_audit_get(t, 1).message, "tau is 7"));
    assert_int_equal(deq_audit_get(t, 2).status, DEQ_OK);
    assert_int_equal(deq_audit_get(t, 3).status, DEQ_OK);
    assert_null(deq_audit_get(t, 3).name);
    deq_audit_free(t);

    m.refuse = DEQ_ERR_DATA; /* of the exact gradient there is no audit */
    assert_int_equal(deq_gradient_audit(&t, ctx, build, feed, &m, m.store, &o), DEQ_ERR_DATA);
    assert_null(t);
    o.repeats = 0;
    assert_int_equal(deq_gradient_audit(&t, ctx, build, feed, &m, m.store, &o), DEQ_ERR_ARGUMENT);
    deq_parameters_free(m.store);
    deq_context_free(ctx);
}

/* Text --------------------------------------------------------------------------------------- */

typedef struct sink {
    char text[1 << 16];
    size_t length;
    bool refuse;
} sink;

static bool swallow(void *user, const char *text, size_t length)
{
    sink *s = user;
    if (s->refuse || s->length + length >= sizeof s->text) return false;
    memcpy(s->text + s->length, text, length);
    s->length += length;
    return true;
}

static void results_are_written_as_a_table_and_as_json(void **state)
{
    (void)state;
    static sink s;
    deq_context *ctx = test_context();
    affine m = model_of(ctx, DEQ_F64);
    deq_audit *t;
    assert_int_equal(deq_gradient_audit(&t, ctx, build, feed, &m, m.store, NULL), DEQ_OK);
    assert_int_equal(deq_audit_write(t, DEQ_DESCRIBE_TEXT, swallow, &s), DEQ_OK);
    static const char *const words[] = { "norm ratio", "phantom neumann", "shine refined",
                                         "\nb\n" };
    for (size_t i = 0; i < COUNT_OF(words); i++) assert_non_null(strstr(s.text, words[i]));

    memset(&s, 0, sizeof s);
    assert_int_equal(deq_audit_write(t, DEQ_DESCRIBE_JSON, swallow, &s), DEQ_OK);
    assert_non_null(strstr(s.text, "\"name\": \"w\\\"0\""));
    assert_non_null(
        strstr(s.text, "{ \"name\": \"exact\", \"status\": \"success\", \"cosine\": 1"));
    int depth = 0, quotes = 0;
    for (size_t i = 0; i < s.length; i++) {
        if (s.text[i] == '\\') {
            i++;
            continue;
        }
        quotes += s.text[i] == '"';
        if (quotes % 2 == 0)
            depth += (s.text[i] == '{' || s.text[i] == '[') -
                     (s.text[i] == '}' || s.text[i] == ']');
    }
    assert_true(depth == 0 && quotes % 2 == 0);
    s.refuse = true;
    assert_int_equal(deq_audit_write(t, DEQ_DESCRIBE_JSON, swallow, &s), DEQ_ERR_IO);
    assert_int_equal(deq_audit_write(t, DEQ_DESCRIBE_DOT, swallow, &s), DEQ_ERR_ARGUMENT);
    deq_audit_free(t);
    deq_parameters_free(m.store);
    deq_context_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_estimator_is_measured_against_the_exact_gradient),
        cmocka_unit_test(costs_are_counted),
        cmocka_unit_test(a_case_that_cannot_run_says_why),
        cmocka_unit_test(results_are_written_as_a_table_and_as_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
