/* SPDX-License-Identifier: MIT */
/* Optimisers against the equations of optim.h written out for one element, and closed forms. */
#include "support/test.h"

#include <deq/optim.h>

#include <math.h>
#include <string.h>

#define N 67 /* no multiple of a vector */
#define STEPS 50

typedef deq_optimiser_options options;

static deq_context *context(int threads)
{
    deq_context_options o = deq_context_defaults();
    deq_context *ctx;

    o.threads = threads;
    assert_int_equal(deq_context_new(&ctx, &o), DEQ_OK);
    return ctx;
}

/* One element, as the papers write it. */
typedef struct element {
    double theta, m, v;
} element;

static void sgd(element *e, const options *o, double g, double eta)
{
    g += o->weight_decay * e->theta;
    e->m = o->momentum * e->m + g;
    e->theta -= eta * (o->nesterov ? g + o->momentum * e->m : e->m);
}

static void adam(element *e, const options *o, double g, double eta, int t)
{
    if (o->kind == DEQ_ADAMW)
        e->theta -= eta * o->weight_decay * e->theta;
    else
        g += o->weight_decay * e->theta;
    e->m = o->beta1 * e->m + (1 - o->beta1) * g;
    e->v = o->beta2 * e->v + (1 - o->beta2) * g * g;
    const double mhat = e->m / (1 - pow(o->beta1, t)), power = pow(o->beta2, t);
    if (o->kind != DEQ_RADAM) {
        e->theta -= eta * mhat / (sqrt(e->v / (1 - power)) + o->eps);
        return;
    }
    const double inf = 2 / (1 - o->beta2) - 1, rho = inf - 2 * t * power / (1 - power);
    if (rho <= 5) {
        e->theta -= eta * mhat;
        return;
    }
    const double r = sqrt((rho - 4) * (rho - 2) * inf / ((inf - 4) * (inf - 2) * rho));
    e->theta -= eta * r * mhat * sqrt(1 - power) / (sqrt(e->v) + o->eps);
}

static const struct optimiser_case {
    const char *name;
    options o;
} cases[] = {
    { "plain descent", { .kind = DEQ_SGD } },
    { "plain descent, decay", { .kind = DEQ_SGD, .weight_decay = 0.1 } },
    { "momentum", { .kind = DEQ_SGD, .momentum = 0.9 } },
    { "momentum, decay", { .kind = DEQ_SGD, .momentum = 0.5, .weight_decay = 0.01 } },
    { "nesterov", { .kind = DEQ_SGD, .momentum = 0.9, .nesterov = true } },
    { "nesterov, decay",
      { .kind = DEQ_SGD, .momentum = 0.8, .nesterov = true, .weight_decay = 0.02 } },
    { "adam", { .kind = DEQ_ADAM, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8 } },
    { "adam, decay, large eps",
      { .kind = DEQ_ADAM, .beta1 = 0.8, .beta2 = 0.99, .eps = 0.1, .weight_decay = 0.05 } },
    { "adam without memory", { .kind = DEQ_ADAM, .beta1 = 0, .beta2 = 0, .eps = 1e-3 } },
    { "adamw", { .kind = DEQ_ADAMW, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8 } },
    { "adamw, decay",
      { .kind = DEQ_ADAMW, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0.3 } },
    { "radam", { .kind = DEQ_RADAM, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8 } },
    { "radam, decay",
      { .kind = DEQ_RADAM, .beta1 = 0.9, .beta2 = 0.98, .eps = 1e-6, .weight_decay = 0.1 } },
    { "radam that never rectifies",
      { .kind = DEQ_RADAM, .beta1 = 0.5, .beta2 = 0.6, .eps = 1e-8 } },
};
#define N_CASES (sizeof cases / sizeof *cases)

static options full(const options *o)
{
    options all = *o;

    all.struct_size = sizeof all;
    return all;
}

/* A gradient that depends on the parameter, so that errors feed back. */
static double gradient(double theta, int i, int t)
{
    return 0.3 * theta + sin(0.7 * i + 0.2 * t) * pow(10, i % 5 - 2);
}

static void set(void *x, deq_dtype dtype, int64_t i, double value)
{
    if (dtype == DEQ_F32)
        ((float *)x)[i] = (float)value;
    else
        ((double *)x)[i] = value;
}

static double get(const void *x, deq_dtype dtype, int64_t i)
{
    return dtype == DEQ_F32 ? (double)((const float *)x)[i] : ((const double *)x)[i];
}

/* Errors of single steps add up, and Adam divides small numbers by small ones: a thousand roundings
 * of numbers of the size of theta, about 10. */
static double tolerance(deq_dtype dtype)
{
    return 1000 * (dtype == DEQ_F32 ? 6e-8 : 1.2e-16) * 10;
}

static void follows_equations(deq_context *ctx, const struct optimiser_case *c, deq_dtype dtype)
{
    const options o = full(&c->o);
    double theta[N], g[N]; /* room for either type */
    element e[N];
    deq_optimiser *opt;

    assert_int_equal(deq_optimiser_new(&opt, ctx, dtype, N, &o), DEQ_OK);
    for (int i = 0; i < N; i++) {
        e[i] = (element){ .theta = cos(i) };
        set(theta, dtype, i, e[i].theta);
    }
    for (int t = 1; t <= STEPS; t++) {
        const double eta = 0.02 / sqrt(t);
        for (int i = 0; i < N; i++) {
            const double value = gradient(e[i].theta, i, t);
            set(g, dtype, i, value);
            if (o.kind == DEQ_SGD)
                sgd(&e[i], &o, value, eta);
            else
                adam(&e[i], &o, value, eta, t);
        }
        assert_int_equal(deq_optimiser_step(opt, theta, g, eta), DEQ_OK);
        for (int i = 0; i < N; i++)
            if (!(fabs(get(theta, dtype, i) - e[i].theta) <= tolerance(dtype)))
                fail_msg("%s, %s, step %d, element %d: %.12g, expected %.12g", c->name,
                         deq_dtype_name(dtype), t, i, get(theta, dtype, i), e[i].theta);
    }
    assert_int_equal(deq_optimiser_steps(opt), STEPS);
    deq_optimiser_free(opt);
}

static void every_option_follows_its_equations(void **state)
{
    deq_context *ctx = context(1);

    (void)state;
    for (size_t k = 0; k < N_CASES; k++) {
        follows_equations(ctx, &cases[k], DEQ_F32);
        follows_equations(ctx, &cases[k], DEQ_F64);
    }
    deq_context_free(ctx);
}

/* With constant gradient g: theta_n = theta_0 - eta g sum_t (1 - mu^t) / (1 - mu). */
static void momentum_sums_a_geometric_series(void **state)
{
    deq_context *ctx = context(1);
    deq_optimiser *opt;
    double theta = 5, g = 0.25, expected = 5;

    (void)state;
    assert_int_equal(deq_optimiser_new(&opt, ctx, DEQ_F64, 1, NULL), DEQ_OK); /* mu = 0.9 */
    for (int t = 1; t <= 30; t++) {
        assert_int_equal(deq_optimiser_step(opt, &theta, &g, 0.1), DEQ_OK);
        expected -= 0.1 * 0.25 * (1 - pow(0.9, t)) / (1 - 0.9);
    }
    assert_true(fabs(theta - expected) < 1e-13);
    deq_optimiser_free(opt);
    deq_context_free(ctx);
}

/* Bias corrections make mhat = g and vhat = g^2 of a constant gradient, so Adam moves by eta. */
static void adam_moves_by_the_rate_whatever_the_gradient(void **state)
{
    deq_context *ctx = context(1);
    const double sizes[] = { 1e-3, 1, 1e6 };

    (void)state;
    for (size_t k = 0; k < 3; k++) {
        options o = deq_optimiser_defaults(DEQ_ADAM);
        deq_optimiser *opt;
        double theta = 0, g = -sizes[k];
        o.eps = 1e-300;
        assert_int_equal(deq_optimiser_new(&opt, ctx, DEQ_F64, 1, &o), DEQ_OK);
        for (int t = 1; t <= 20; t++) {
            assert_int_equal(deq_optimiser_step(opt, &theta, &g, 0.5), DEQ_OK);
            assert_true(fabs(theta - 0.5 * t) < 1e-11);
        }
        deq_optimiser_free(opt);
    }
    deq_context_free(ctx);
}

/* With beta2 = 0.999, rho_t passes 5 between t = 5 (4.9960) and t = 6 (5.9942): until then the step
 * is eta mhat, proportional to the gradient; from then on its size hardly matters. */
static void radam_rectifies_from_the_sixth_step_on(void **state)
{
    deq_context *ctx = context(1);
    options o = deq_optimiser_defaults(DEQ_RADAM);
    deq_optimiser *opt;
    double theta = 0, g = 1000, before = 0;

    (void)state;
    assert_int_equal(deq_optimiser_new(&opt, ctx, DEQ_F64, 1, &o), DEQ_OK);
    for (int t = 1; t <= 8; t++) {
        assert_int_equal(deq_optimiser_step(opt, &theta, &g, 1e-3), DEQ_OK);
        const double moved = before - theta;
        before = theta;
        if (t <= 5)
            assert_true(fabs(moved - 1) < 1e-12);
        else
            assert_true(moved > 0 && moved < 1e-3);
    }
    deq_optimiser_free(opt);
    deq_context_free(ctx);
}

enum { MANY = 100003 };

static void fill(float *theta, float *g)
{
    for (int i = 0; i < MANY; i++) {
        theta[i] = (float)sin(i);
        g[i] = (float)cos(3.0 * i);
    }
}

static void threads_do_not_change_a_bit(void **state)
{
    float *one = malloc(MANY * sizeof *one), *more = malloc(MANY * sizeof *more);
    float *g = malloc(MANY * sizeof *g);

    (void)state;
    for (size_t k = 0; k < N_CASES; k++)
        for (int threads = 1; threads <= 3; threads++) {
            deq_context *ctx = context(threads);
            const options o = full(&cases[k].o);
            float *theta = threads == 1 ? one : more;
            deq_optimiser *opt;
            assert_int_equal(deq_optimiser_new(&opt, ctx, DEQ_F32, MANY, &o), DEQ_OK);
            fill(theta, g);
            for (int t = 0; t < 3; t++)
                assert_int_equal(deq_optimiser_step(opt, theta, g, 0.01), DEQ_OK);
            if (threads > 1) assert_memory_equal(one, more, MANY * sizeof *one);
            deq_optimiser_free(opt);
            deq_context_free(ctx);
        }
    free(one);
    free(more);
    free(g);
}

static void steps(deq_optimiser *opt, double theta[N], int from, int to)
{
    double g[N];

    for (int t = from; t < to; t++) {
        for (int i = 0; i < N; i++) g[i] = gradient(theta[i], i, t);
        assert_int_equal(deq_optimiser_step(opt, theta, g, 0.01), DEQ_OK);
    }
}

static void restored_state_continues_bit_by_bit(void **state)
{
    deq_context *ctx = context(2);

    (void)state;
    for (size_t k = 0; k < N_CASES; k++) {
        const options o = full(&cases[k].o);
        double straight[N], resumed[N];
        deq_optimiser *a, *b;
        for (int i = 0; i < N; i++) straight[i] = resumed[i] = cos(i);
        assert_int_equal(deq_optimiser_new(&a, ctx, DEQ_F64, N, &o), DEQ_OK);
        steps(a, resumed, 0, 7);

        assert_int_equal(deq_optimiser_new(&b, ctx, DEQ_F64, N, &o), DEQ_OK);
        int n = 0;
        for (; deq_optimiser_state_at(a, n).name; n++) {
            assert_string_equal(deq_optimiser_state_at(b, n).name,
                                deq_optimiser_state_at(a, n).name);
            memcpy(deq_optimiser_state_at(b, n).data, deq_optimiser_state_at(a, n).data,
                   sizeof resumed);
        }
        assert_int_equal(n, o.kind != DEQ_SGD ? 2 : o.momentum > 0);
        deq_optimiser_set_steps(b, deq_optimiser_steps(a));
        deq_optimiser_free(a);
        steps(b, resumed, 7, 20);
        deq_optimiser_free(b);

        assert_int_equal(deq_optimiser_new(&a, ctx, DEQ_F64, N, &o), DEQ_OK);
        steps(a, straight, 0, 20);
        deq_optimiser_free(a);
        assert_memory_equal(straight, resumed, sizeof straight);
    }
    deq_context_free(ctx);
}

/* Each element against an optimiser of one element with the rate and decay that it should have. */
static void scaled_parts_have_their_rate_and_decay(void **state)
{
    deq_context *ctx = context(1);
    double rate[N], decay[N], theta[N];
    deq_optimiser *opt;

    (void)state;
    for (size_t k = 0; k < N_CASES; k++) {
        const options o = full(&cases[k].o);
        static const struct {
            int first, count;
            double rate, decay;
        } parts[] = { { 10, 30, 0.1, 1 }, { 0, 12, 2, 0 },    { 20, 5, 0, 3 }, { 60, 7, 1, 0.5 },
                      { 22, 1, 4, 4 },    { 39, 28, 3, 0.1 }, { 5, 0, 9, 9 } };
        assert_int_equal(deq_optimiser_new(&opt, ctx, DEQ_F64, N, &o), DEQ_OK);
        for (int i = 0; i < N; i++) rate[i] = decay[i] = 1;
        for (size_t p = 0; p < sizeof parts / sizeof *parts; p++) {
            assert_int_equal(deq_optimiser_scale(opt, parts[p].first, parts[p].count, parts[p].rate,
                                                 parts[p].decay),
                             DEQ_OK);
            for (int i = parts[p].first; i < parts[p].first + parts[p].count; i++) {
                rate[i] = parts[p].rate;
                decay[i] = parts[p].decay;
            }
        }
        for (int i = 0; i < N; i++) theta[i] = cos(i);
        steps(opt, theta, 0, 10);
        deq_optimiser_free(opt);

        for (int i = 0; i < N; i++) {
            options own = o;
            double x = cos(i);
            own.weight_decay *= decay[i];
            assert_int_equal(deq_optimiser_new(&opt, ctx, DEQ_F64, 1, &own), DEQ_OK);
            for (int t = 0; t < 10 && rate[i] > 0; t++) {
                double g = gradient(x, i, t);
                assert_int_equal(deq_optimiser_step(opt, &x, &g, 0.01 * rate[i]), DEQ_OK);
            }
            deq_optimiser_free(opt);
            if (x != theta[i])
                fail_msg("%s, element %d: %.17g, alone %.17g", cases[k].name, i, theta[i], x);
        }
    }
    deq_context_free(ctx);
}

static void gaps_of_zeros_stay_zeros(void **state)
{
    deq_context *ctx = context(1);
    float theta[N] = { 0 }, g[N] = { 0 }, zero[N] = { 0 };

    (void)state;
    for (size_t k = 0; k < N_CASES; k++) {
        const options o = full(&cases[k].o);
        deq_optimiser *opt;
        assert_int_equal(deq_optimiser_new(&opt, ctx, DEQ_F32, N, &o), DEQ_OK);
        for (int t = 0; t < 8; t++)
            assert_int_equal(deq_optimiser_step(opt, theta, g, 0.1), DEQ_OK);
        for (int i = 0; i < N; i++) assert_true(theta[i] == 0);
        assert_memory_equal(g, zero, sizeof g);
        deq_optimiser_free(opt);
    }
    deq_context_free(ctx);
}

static void bad_settings_are_refused_by_name(void **state)
{
    static const struct {
        const char *text;
        options o;
    } bad[] = {
        { "momentum = 1", { .kind = DEQ_SGD, .momentum = 1 } },
        { "momentum = -0.1", { .kind = DEQ_SGD, .momentum = -0.1 } },
        { "nesterov needs", { .kind = DEQ_SGD, .nesterov = true } },
        { "weight_decay = -1", { .kind = DEQ_SGD, .weight_decay = -1 } },
        { "weight_decay = inf", { .kind = DEQ_SGD, .weight_decay = INFINITY } },
        { "beta1 = 1", { .kind = DEQ_ADAM, .beta1 = 1, .eps = 1 } },
        { "beta2 = nan", { .kind = DEQ_RADAM, .beta2 = NAN, .eps = 1 } },
        { "eps = 0", { .kind = DEQ_ADAMW } },
        { "kind 4", { .kind = (deq_optimiser_kind)4 } },
    };
    deq_context *ctx = context(1);
    deq_optimiser *opt;
    double x = 1, g = 1;

    (void)state;
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        const options o = full(&bad[k].o);
        assert_int_equal(deq_optimiser_new(&opt, ctx, DEQ_F64, 1, &o), DEQ_ERR_ARGUMENT);
        assert_null(opt);
        if (!strstr(deq_last_error(ctx), bad[k].text))
            fail_msg("'%s' is not in '%s'", bad[k].text, deq_last_error(ctx));
    }
    options short_one = deq_optimiser_defaults(DEQ_SGD);
    short_one.struct_size = 8;
    assert_int_equal(deq_optimiser_new(&opt, ctx, DEQ_F64, 1, &short_one), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_optimiser_new(&opt, ctx, DEQ_I32, 1, NULL), DEQ_ERR_DTYPE);
    assert_int_equal(deq_optimiser_new(&opt, ctx, DEQ_F64, 0, NULL), DEQ_ERR_ARGUMENT);

    assert_int_equal(deq_optimiser_new(&opt, ctx, DEQ_F64, 1, NULL), DEQ_OK);
    assert_int_equal(deq_optimiser_step(opt, &x, &g, -1), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_optimiser_step(opt, &x, &g, NAN), DEQ_ERR_ARGUMENT);
    assert_true(x == 1 && deq_optimiser_steps(opt) == 0);
    assert_int_equal(deq_optimiser_scale(opt, 0, 2, 1, 1), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_optimiser_scale(opt, -1, 1, 1, 1), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_optimiser_scale(opt, 0, INT64_MAX, 1, 1), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_optimiser_scale(opt, 0, 1, NAN, 1), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_optimiser_scale(opt, 0, 1, 1, -1), DEQ_ERR_ARGUMENT);
    deq_optimiser_set_steps(opt, -5);
    assert_int_equal(deq_optimiser_steps(opt), 0);
    assert_null(deq_optimiser_state_at(opt, -1).name);
    assert_null(deq_optimiser_state_at(opt, 1).name);
    deq_optimiser_free(opt);
    deq_optimiser_free(NULL);
    deq_context_free(ctx);
}

/* The `left`-th allocation fails. */
static void *failing_alloc(void *user, size_t bytes, size_t align)
{
    int *left = user;

    return (*left)-- == 0 ? NULL : aligned_alloc(align, (bytes + align - 1) / align * align);
}

static void plain_free(void *user, void *memory, size_t bytes)
{
    (void)user;
    (void)bytes;
    free(memory);
}

static void every_allocation_may_fail(void **state)
{
    const options o = deq_optimiser_defaults(DEQ_ADAM);
    deq_status status = DEQ_ERR_NOMEM;

    (void)state;
    for (int n = 0; status == DEQ_ERR_NOMEM; n++) {
        int left = n + 1; /* the context itself is made */
        const deq_allocator a = { failing_alloc, plain_free, &left };
        deq_context_options c = deq_context_defaults();
        deq_context *ctx;
        deq_optimiser *opt;
        c.allocator = &a;
        assert_int_equal(deq_context_new(&ctx, &c), DEQ_OK);
        status = deq_optimiser_new(&opt, ctx, DEQ_F32, 100, &o);
        assert_true((status == DEQ_OK) == (opt != NULL));
        deq_optimiser_free(opt);
        deq_context_free(ctx);
        assert_in_range(n, 0, 10);
    }
    assert_int_equal(status, DEQ_OK);
}

static void names_are_those_of_the_header(void **state)
{
    (void)state;
    assert_string_equal(deq_optimiser_name(DEQ_SGD), "sgd");
    assert_string_equal(deq_optimiser_name(DEQ_ADAM), "adam");
    assert_string_equal(deq_optimiser_name(DEQ_ADAMW), "adamw");
    assert_string_equal(deq_optimiser_name(DEQ_RADAM), "radam");
    assert_string_equal(deq_optimiser_name((deq_optimiser_kind)-1), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_follows_its_equations),
        cmocka_unit_test(momentum_sums_a_geometric_series),
        cmocka_unit_test(adam_moves_by_the_rate_whatever_the_gradient),
        cmocka_unit_test(radam_rectifies_from_the_sixth_step_on),
        cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(restored_state_continues_bit_by_bit),
        cmocka_unit_test(scaled_parts_have_their_rate_and_decay),
        cmocka_unit_test(gaps_of_zeros_stay_zeros),
        cmocka_unit_test(bad_settings_are_refused_by_name),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(names_are_those_of_the_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
