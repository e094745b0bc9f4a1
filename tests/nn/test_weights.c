/* SPDX-License-Identifier: MIT */
#include "nn/weights.h"
#include "support/engine.h"
#include "support/memory.h"

#include <deq/weights.h>

#define INIT(...) ((deq_init){ __VA_ARGS__ })

static deq_weights *weights_new(deq_context *ctx, deq_dtype dtype)
{
    deq_weights *w = NULL;
    assert_int_equal(deq_weights_new(&w, ctx, dtype), DEQ_OK);
    return w;
}

static void declare(deq_weights *w, const char *name, deq_shape shape, deq_init init)
{
    if (deq_weights_declare(w, name, shape, init, true) != DEQ_OK)
        fail_msg("%s: %s", name, deq_last_error(deq_weights_context(w)));
}

static void begin(deq_weights *w, uint64_t seed)
{
    assert_int_equal(deq_weights_allocate(w), DEQ_OK);
    if (deq_weights_initialise(w, seed) != DEQ_OK)
        fail_msg("%s", deq_last_error(deq_weights_context(w)));
}

static const double *values_of(deq_weights *w, const char *name)
{
    deq_weight_place at = deq_weights_find(w, name);
    assert_non_null(at.store);
    return deq_parameters_values(at.store, at.index);
}

/* Laws --------------------------------------------------------------------------------------- */

/* Moments of n draws: the mean of x / deviation has deviation 1 / sqrt(n), and its variance at most
 * sqrt(2 / n) (normal). */
static void laws_have_their_moments(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        deq_init init;
        double deviation, bound; /* of the law; largest value it can take */
    } table[] = {
        { "normal", { DEQ_INIT_NORMAL, 0.3, NULL, 0 }, 0.3, 0.3 * 8.7 },
        { "uniform", { DEQ_INIT_UNIFORM, 0.5, NULL, 0 }, 0.288675134594813, 0.5 },
        { "fan in", { DEQ_INIT_FAN_IN, 1, NULL, 0 }, 0.0340206908719886, 0.0589255650988790 },
        { "fan in, axis 1",
          { DEQ_INIT_FAN_IN, 2, NULL, 1 },
          0.0481125224324688,
          0.0833333333333334 },
        { "fan in, normal", { DEQ_INIT_FAN_IN_NORMAL, 1, NULL, 0 }, 0.0589255650988790, 0.52 },
    };
    deq_context *ctx = test_context();
    deq_weights *w = weights_new(ctx, DEQ_F64);
    enum { N = 64 * 32 * 3 * 3 };
    for (size_t i = 0; i < COUNT_OF(table); i++)
        declare(w, table[i].name, DEQ_SHAPE(64, 32, 3, 3), table[i].init);
    begin(w, 1);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        const double *x = values_of(w, table[i].name);
        double mean = 0, square = 0, most = 0;
        for (int k = 0; k < N; k++) {
            mean += x[k] / N;
            square += x[k] * x[k] / N;
            most = fmax(most, fabs(x[k]));
        }
        double s = table[i].deviation, five = 5 / sqrt((double)N);
        if (fabs(mean) > five * s || fabs(square / (s * s) - 1) > 1.5 * five ||
            most > table[i].bound || most < 0.99 * fmin(table[i].bound, 3.4 * s))
            fail_msg("%s: mean %g, deviation %g, largest %g", table[i].name, mean, sqrt(square),
                     most);
    }
    deq_weights_free(w);
    deq_context_free(ctx);
}

static void a_bias_has_the_fan_in_of_its_weight(void **state)
{
    (void)state;
    deq_context *ctx = test_context();
    deq_weights *w = weights_new(ctx, DEQ_F64);
    declare(w, "bias", DEQ_SHAPE(4000), INIT(DEQ_INIT_FAN_IN, 1, "weight", 0));
    declare(w, "weight", DEQ_SHAPE(4000, 25), INIT(DEQ_INIT_FAN_IN, 1, NULL, 0));
    begin(w, 1);
    double most = 0;
    for (int i = 0; i < 4000; i++) most = fmax(most, fabs(values_of(w, "bias")[i]));
    assert_true(most < 0.2 && most > 0.199);
    deq_weights_free(w);
    deq_context_free(ctx);
}

static void constants_are_constant(void **state)
{
    (void)state;
    deq_context *ctx = test_context();
    deq_weights *w = weights_new(ctx, DEQ_F64);
    declare(w, "a", DEQ_SHAPE(3), DEQ_INIT_TO(-0.25));
    declare(w, "scalar", DEQ_SCALAR, DEQ_INIT_TO(7));
    begin(w, 1);
    for (int i = 0; i < 3; i++) assert_true(values_of(w, "a")[i] == -0.25);
    assert_true(values_of(w, "scalar")[0] == 7);
    deq_weights_free(w);
    deq_context_free(ctx);
}

static void slice_norms_are_the_norms_of_slices(void **state)
{
    (void)state;
    deq_context *ctx = test_context();
    deq_weights *w = weights_new(ctx, DEQ_F64);
    declare(w, "rows", DEQ_SHAPE(5),
            INIT(DEQ_INIT_SLICE_NORM, 2, "v", 0)); /* before v: no matter */
    declare(w, "v", DEQ_SHAPE(5, 4, 3), INIT(DEQ_INIT_NORMAL, 1, NULL, 0));
    declare(w, "middle", DEQ_SHAPE(1, 4), INIT(DEQ_INIT_SLICE_NORM, 1, "v", 1));
    begin(w, 3);
    const double *v = values_of(w, "v");
    double rows[5] = { 0 }, middle[4] = { 0 };
    for (int i = 0; i < 60; i++) {
        rows[i / 12] += v[i] * v[i];
        middle[i / 3 % 4] += v[i] * v[i];
    }
    for (int i = 0; i < 5; i++) rows[i] = 2 * sqrt(rows[i]);
    for (int i = 0; i < 4; i++) middle[i] = sqrt(middle[i]);
    check_close("rows", values_of(w, "rows"), rows, 5, 1e-14);
    check_close("middle", values_of(w, "middle"), middle, 4, 1e-14);
    deq_weights_free(w);
    deq_context_free(ctx);
}

/* W2 = 3 a b' + small: a gap that power iteration closes to rounding. */
static void singular_vectors_belong_together(void **state)
{
    (void)state;
    enum { R = 6, K = 10 };
    double W[R * K], u[R], v[K];
    for (int r = 0; r < R; r++) u[r] = sin(r + 1.0);
    for (int r = 0; r < R; r++)
        for (int k = 0; k < K; k++)
            W[r * K + k] = 3 * sin(r + 1.0) * cos(k + 0.3) + 0.1 * sin(7.0 * r + 3.0 * k * k);
    deq_shape shape = DEQ_SHAPE(R, 5, 2);
    double sigma = deq_power_iteration(u, v, W, DEQ_F64, &shape, 0, 60), norm = 0;
    double Wv[R], Wu[K] = { 0 }, su[R], sv[K];
    for (int r = 0; r < R; r++) {
        Wv[r] = 0;
        for (int k = 0; k < K; k++) {
            Wv[r] += W[r * K + k] * v[k];
            Wu[k] += W[r * K + k] * u[r];
        }
        su[r] = sigma * u[r];
        norm += u[r] * u[r];
    }
    for (int k = 0; k < K; k++) sv[k] = sigma * v[k];
    check_close("W v = sigma u", Wv, su, R, 1e-12);
    check_close("W' u = sigma v", Wu, sv, K, 1e-12);
    assert_true(fabs(norm - 1) < 1e-13 && sigma > 0);
}

static void singular_laws_agree_in_sign_and_axis(void **state)
{
    (void)state;
    enum { A = 3, R = 4, C = 5 };
    deq_context *ctx = test_context();
    deq_weights *w = weights_new(ctx, DEQ_F64);
    declare(w, "w", DEQ_SHAPE(A, R, C), INIT(DEQ_INIT_NORMAL, 1, NULL, 0));
    declare(w, "u", DEQ_SHAPE(R), INIT(DEQ_INIT_LEFT_SINGULAR, 1, "w", 1));
    declare(w, "v", DEQ_SHAPE(A * C), INIT(DEQ_INIT_RIGHT_SINGULAR, 1, "w", 1));
    begin(w, 5);
    const double *W = values_of(w, "w"), *u = values_of(w, "u"), *v = values_of(w, "v");
    double sigma = 0, norm = 0, frobenius = 0;
    for (int r = 0; r < R; r++) {
        double row = 0;
        for (int a = 0; a < A; a++)
            for (int c = 0; c < C; c++) {
                double x = W[(a * R + r) * C + c];
                row += x * v[a * C + c];
                frobenius += x * x;
            }
        sigma += u[r] * row;
        norm += u[r] * u[r];
    }
    /* Positive, and at least the mean singular value. */
    assert_true(fabs(norm - 1) < 1e-12);
    assert_true(sigma > sqrt(frobenius / R) && sigma <= sqrt(frobenius));
    deq_weights_free(w);
    deq_context_free(ctx);
}

/* Determinism -------------------------------------------------------------------------------- */

static void initial_values_do_not_depend_on_the_order(void **state)
{
    (void)state;
    static const char *const names[3] = { "a.weight", "b.weight", "bb.weight" };
    deq_context *ctx = test_context();
    deq_weights *w[2];
    for (int k = 0; k < 2; k++) {
        w[k] = weights_new(ctx, DEQ_F64);
        for (int i = 0; i < 3; i++)
            declare(w[k], names[k ? 2 - i : i], DEQ_SHAPE(7, 11),
                    INIT(DEQ_INIT_NORMAL, 1, NULL, 0));
        begin(w[k], 9);
    }
    for (int i = 0; i < 3; i++)
        assert_memory_equal(values_of(w[0], names[i]), values_of(w[1], names[i]),
                            77 * sizeof(double));
    assert_memory_not_equal(values_of(w[0], names[0]), values_of(w[0], names[1]), sizeof(double));
    assert_memory_not_equal(values_of(w[0], names[1]), values_of(w[0], names[2]), sizeof(double));
    double first = values_of(w[1], names[0])[0];
    assert_int_equal(deq_weights_initialise(w[1], 10), DEQ_OK);
    assert_true(values_of(w[1], names[0])[0] != first);
    assert_int_equal(deq_weights_initialise(w[1], 9), DEQ_OK);
    assert_true(values_of(w[1], names[0])[0] == first);
    for (int k = 0; k < 2; k++) deq_weights_free(w[k]);
    deq_context_free(ctx);
}

static void both_dtypes_begin_alike(void **state)
{
    (void)state;
    deq_context *ctx = test_context();
    deq_weights *w[2];
    for (int k = 0; k < 2; k++) {
        w[k] = weights_new(ctx, k ? DEQ_F64 : DEQ_F32);
        declare(w[k], "v", DEQ_SHAPE(4, 9), INIT(DEQ_INIT_FAN_IN, 1, NULL, 0));
        declare(w[k], "g", DEQ_SHAPE(4), INIT(DEQ_INIT_SLICE_NORM, 1, "v", 0));
        begin(w[k], 2);
    }
    const float *f = deq_parameters_values(deq_weights_parameters(w[0]), -1);
    for (int i = 0; i < 36; i++) assert_true(fabs((double)f[i] - values_of(w[1], "v")[i]) < 1e-7);
    for (int k = 0; k < 2; k++) deq_weights_free(w[k]);
    deq_context_free(ctx);
}

/* Declaring ---------------------------------------------------------------------------------- */

static void the_same_declaration_twice_is_one(void **state)
{
    (void)state;
    deq_context *ctx = test_context();
    deq_weights *w = weights_new(ctx, DEQ_F32);
    for (int i = 0; i < 2; i++) declare(w, "a", DEQ_SHAPE(3), DEQ_INIT_TO(0));
    assert_int_equal(deq_parameters_count(deq_weights_parameters(w)), 1);
    begin(w, 0);
    declare(w, "a", DEQ_SHAPE(3), DEQ_INIT_TO(0)); /* allocated: found */
    assert_int_equal(deq_weights_allocate(w), DEQ_OK);
    deq_weights_free(w);
    deq_context_free(ctx);
}

static void buffers_are_no_parameters(void **state)
{
    (void)state;
    deq_context *ctx = test_context();
    deq_weights *w = weights_new(ctx, DEQ_F64);
    assert_int_equal(deq_weights_declare(w, "mean", DEQ_SHAPE(3), DEQ_INIT_TO(4), false), DEQ_OK);
    assert_int_equal(deq_weights_allocate(w), DEQ_ERR_STATE); /* nothing to train */
    declare(w, "a", DEQ_SHAPE(2), DEQ_INIT_TO(1));
    begin(w, 0);
    assert_int_equal(deq_parameters_elements(deq_weights_parameters(w)), 2);
    assert_int_equal(deq_parameters_elements(deq_weights_buffers(w)), 3);
    assert_true(values_of(w, "mean")[2] == 4);
    deq_weights_free(w);
    deq_context_free(ctx);
}

static void mistakes_are_told_with_names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        deq_shape shape;
        deq_init init;
        bool trained;
        deq_status status;
        const char *text;
    } table[] = {
        { "", { 1, { 3 } }, { .value = 0 }, true, DEQ_ERR_NAME, "name is needed" },
        { "known", { 1, { 3 } }, { .value = 0 }, false, DEQ_ERR_NAME, "is a parameter" },
        { "known", { 1, { 4 } }, { .value = 0 }, true, DEQ_ERR_SHAPE, "f32 [3]" },
        { "x", { 1, { 0 } }, { .value = 0 }, true, DEQ_ERR_SHAPE, "extent 0" },
        { "x", { 1, { 3 } }, { .law = (deq_init_law)99 }, true, DEQ_ERR_ARGUMENT, "99" },
        { "x", { 1, { 3 } }, { DEQ_INIT_NORMAL, -1, NULL, 0 }, true, DEQ_ERR_ARGUMENT, "-1" },
        { "x", { 1, { 3 } }, { .value = NAN }, true, DEQ_ERR_ARGUMENT, "a number" },
        { "x", { 1, { 3 } }, { DEQ_INIT_FAN_IN, 1, NULL, 1 }, true, DEQ_ERR_ARGUMENT, "axis 1" },
        { "x",
          { 1, { 3 } },
          { DEQ_INIT_SLICE_NORM, 1, NULL, 0 },
          true,
          DEQ_ERR_ARGUMENT,
          "another" },
    };
    deq_context *ctx = test_context();
    deq_weights *w = weights_new(ctx, DEQ_F32);
    declare(w, "known", DEQ_SHAPE(3), DEQ_INIT_TO(0));
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        deq_status status = deq_weights_declare(w, table[i].name, table[i].shape, table[i].init,
                                                table[i].trained);
        if (status != table[i].status || !strstr(deq_last_error(ctx), table[i].text))
            fail_msg("row %zu: %s, %s", i, deq_status_text(status), deq_last_error(ctx));
    }
    assert_int_equal(deq_weights_initialise(w, 0), DEQ_ERR_STATE);
    assert_int_equal(deq_weights_allocate(w), DEQ_OK);
    assert_int_equal(deq_weights_declare(w, "knowm", DEQ_SHAPE(3), DEQ_INIT_TO(0), true),
                     DEQ_ERR_STATE);
    assert_non_null(strstr(deq_last_error(ctx), "nearest is 'known'"));
    deq_weights_free(w);
    assert_int_equal(deq_weights_new(&w, ctx, DEQ_I32), DEQ_ERR_DTYPE);
    assert_null(w);
    deq_context_free(ctx);
}

static void laws_that_do_not_fit_are_told(void **state)
{
    (void)state;
    static const struct {
        deq_init init;
        deq_status status;
        const char *text;
    } table[] = {
        { { DEQ_INIT_FAN_IN, 1, "other", 0 }, DEQ_ERR_NAME, "'other', which is unknown" },
        { { DEQ_INIT_FAN_IN, 1, "w", 5 }, DEQ_ERR_SHAPE, "no such axis" },
        { { DEQ_INIT_SLICE_NORM, 1, "w", 1 }, DEQ_ERR_SHAPE, "each slice" },
        { { DEQ_INIT_LEFT_SINGULAR, 1, "w", 1 }, DEQ_ERR_SHAPE, "singular" },
        { { DEQ_INIT_RIGHT_SINGULAR, 1, "w", 0 }, DEQ_ERR_SHAPE, "singular" },
    };
    deq_context *ctx = test_context();
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        deq_weights *w = weights_new(ctx, DEQ_F32);
        declare(w, "w", DEQ_SHAPE(2, 3), DEQ_INIT_TO(1));
        declare(w, "x", DEQ_SHAPE(2), table[i].init);
        assert_int_equal(deq_weights_allocate(w), DEQ_OK);
        deq_status status = deq_weights_initialise(w, 0);
        if (status != table[i].status || !strstr(deq_last_error(ctx), table[i].text))
            fail_msg("row %zu: %s, %s", i, deq_status_text(status), deq_last_error(ctx));
        deq_weights_free(w);
    }
    deq_context_free(ctx);
}

/* Everything once; each allocation may fail. */
static deq_status all(deq_context *ctx)
{
    deq_weights *w;
    deq_status status = deq_weights_new(&w, ctx, DEQ_F32);
    if (status != DEQ_OK) return status;
    status = deq_weights_declare(w, "v", DEQ_SHAPE(2, 3), INIT(DEQ_INIT_FAN_IN, 1, NULL, 0), true);
    if (status == DEQ_OK)
        status = deq_weights_declare(w, "g", DEQ_SHAPE(2), INIT(DEQ_INIT_SLICE_NORM, 1, "v", 0),
                                     true);
    if (status == DEQ_OK)
        status = deq_weights_declare(w, "u", DEQ_SHAPE(2), INIT(DEQ_INIT_LEFT_SINGULAR, 1, "v", 0),
                                     false);
    if (status == DEQ_OK) status = deq_weights_allocate(w);
    if (status == DEQ_OK) status = deq_weights_initialise(w, 1);
    deq_weights_free(w);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (size_t fail_at = 1;; fail_at++) {
        test_memory m = { 0 };
        deq_context *ctx = test_memory_context(&m, 1);
        atomic_store(&m.fail_at, atomic_load(&m.calls) + fail_at);
        deq_status status = all(ctx);
        deq_context_free(ctx);
        assert_memory_clean(&m);
        if (status == DEQ_OK) {
            assert_true(fail_at > 10);
            break;
        }
        assert_int_equal(status, DEQ_ERR_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(laws_have_their_moments),
        cmocka_unit_test(a_bias_has_the_fan_in_of_its_weight),
        cmocka_unit_test(constants_are_constant),
        cmocka_unit_test(slice_norms_are_the_norms_of_slices),
        cmocka_unit_test(singular_vectors_belong_together),
        cmocka_unit_test(singular_laws_agree_in_sign_and_axis),
        cmocka_unit_test(initial_values_do_not_depend_on_the_order),
        cmocka_unit_test(both_dtypes_begin_alike),
        cmocka_unit_test(the_same_declaration_twice_is_one),
        cmocka_unit_test(buffers_are_no_parameters),
        cmocka_unit_test(mistakes_are_told_with_names),
        cmocka_unit_test(laws_that_do_not_fit_are_told),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
