/* SPDX-License-Identifier: MIT */
#include "support/op_check.h"

#include <deq/op.h>
#include <deq/random.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define N_OF(table) (sizeof(table) / sizeof *(table))
#define COUNT 3000

typedef deq_value random_fn(deq_graph *g, deq_value key, deq_dtype dtype, deq_shape shape,
                            int64_t stream);

static deq_value bernoulli_third(deq_graph *g, deq_value key, deq_dtype dtype, deq_shape shape,
                                 int64_t stream)
{
    return deq_random_bernoulli(g, key, dtype, shape, stream, 1.0 / 3);
}

static random_fn *const all_laws[] = { deq_random_uniform, deq_random_normal, bernoulli_third,
                                       deq_random_rademacher };

/* A program that draws one array, by a key that can be written between runs. */
typedef struct source {
    deq_context *ctx;
    deq_graph *g;
    deq_value key, out;
    deq_program *p;
} source;

static source source_of(random_fn *law, deq_dtype dtype, deq_shape shape, int64_t stream,
                        int threads)
{
    source s = { .ctx = test_context() };
    deq_compile_options o = deq_compile_defaults();
    o.threads = threads;
    assert_int_equal(deq_graph_new(&s.g, s.ctx), DEQ_OK);
    s.key = deq_input(s.g, "key", DEQ_STAGE_INJECTED, DEQ_I64, DEQ_SHAPE(2));
    s.out = law(s.g, s.key, dtype, shape, stream);
    assert_int_equal(deq_compile(&s.p, s.g, &s.out, 1, &o), DEQ_OK);
    return s;
}

static void draw(const source *s, int64_t seed, int64_t step, void *data)
{
    const int64_t key[2] = { seed, step };
    deq_type t = deq_value_type(s->g, s->out);
    assert_int_equal(deq_program_write(s->p, s->key, key, sizeof key), DEQ_OK);
    assert_int_equal(deq_program_run(s->p, DEQ_STAGE_PARAMETER), DEQ_OK);
    assert_int_equal(deq_program_read(s->p, s->out, data, deq_type_bytes(&t)), DEQ_OK);
}

static void discard(source *s)
{
    deq_program_free(s->p);
    deq_graph_free(s->g);
    deq_context_free(s->ctx);
}

static void a_graph_draws_what_the_array_functions_draw(void **state)
{
    (void)state;
    double x[COUNT], y[COUNT];
    const deq_random_key key = { .seed = UINT64_MAX, .step = 17, .stream = 4 };
    source u = source_of(deq_random_uniform, DEQ_F64, DEQ_SHAPE(30, 100), 4, 1);
    source n = source_of(deq_random_normal, DEQ_F64, DEQ_SHAPE(3, 10, 100), 4, 1);
    draw(&u, -1, 17, x);
    assert_int_equal(deq_draw_uniform(y, DEQ_F64, COUNT, key, 0, 1), DEQ_OK);
    assert_memory_equal(x, y, sizeof x);
    draw(&n, -1, 17, x);
    assert_int_equal(deq_draw_normal(y, DEQ_F64, COUNT, key, 0, 1), DEQ_OK);
    assert_memory_equal(x, y, sizeof x);
    discard(&u);
    discard(&n);
}

static void seed_step_and_stream_each_change_the_draws(void **state)
{
    (void)state;
    double x[COUNT], y[COUNT];
    for (size_t k = 0; k < N_OF(all_laws); k++) {
        source s = source_of(all_laws[k], DEQ_F64, DEQ_SHAPE(COUNT), 0, 1);
        source other = source_of(all_laws[k], DEQ_F64, DEQ_SHAPE(COUNT), 1, 1);
        draw(&s, 1, 2, x);
        draw(&s, 3, 2, y);
        assert_memory_not_equal(x, y, sizeof x);
        draw(&s, 1, 3, y);
        assert_memory_not_equal(x, y, sizeof x);
        draw(&s, 1, 2, y);
        assert_memory_equal(x, y, sizeof x);
        draw(&other, 1, 2, y);
        assert_memory_not_equal(x, y, sizeof x);
        discard(&s);
        discard(&other);
    }
}

static void draws_do_not_depend_on_the_number_of_threads(void **state)
{
    (void)state;
    enum { N = 100003 };
    double *x = malloc(N * sizeof *x), *y = malloc(N * sizeof *y);
    assert_non_null(x);
    assert_non_null(y);
    for (size_t k = 0; k < N_OF(all_laws); k++)
        for (int threads = 1; threads <= 3; threads++) {
            source s = source_of(all_laws[k], DEQ_F64, DEQ_SHAPE(N), 5, threads);
            draw(&s, 8, 9, threads == 1 ? x : y);
            if (threads > 1) assert_memory_equal(x, y, N * sizeof *x);
            discard(&s);
        }
    free(x);
    free(y);
}

static void two_valued_laws_have_their_values_and_rates(void **state)
{
    (void)state;
    enum { N = 90000 };
    double *x = malloc(N * sizeof *x);
    int ones = 0, plus = 0;
    assert_non_null(x);
    source b = source_of(bernoulli_third, DEQ_F64, DEQ_SHAPE(N), 0, 1);
    source r = source_of(deq_random_rademacher, DEQ_F64, DEQ_SHAPE(N), 0, 1);
    draw(&b, 0, 0, x);
    for (int i = 0; i < N; i++) {
        assert_true(x[i] == 0 || x[i] == 1);
        ones += x[i] == 1;
    }
    draw(&r, 0, 0, x);
    for (int i = 0; i < N; i++) {
        assert_true(x[i] == -1 || x[i] == 1);
        plus += x[i] == 1;
    }
    assert_true(abs(ones - N / 3) < 4 * 142);
    assert_true(abs(plus - N / 2) < 4 * 150);
    discard(&b);
    discard(&r);
    free(x);
}

static void masks_are_equal_in_both_precisions(void **state)
{
    (void)state;
    double x[COUNT];
    float y[COUNT];
    for (size_t k = 2; k < N_OF(all_laws); k++) {
        source a = source_of(all_laws[k], DEQ_F64, DEQ_SHAPE(COUNT), 3, 1);
        source b = source_of(all_laws[k], DEQ_F32, DEQ_SHAPE(COUNT), 3, 1);
        draw(&a, 5, 6, x);
        draw(&b, 5, 6, y);
        for (int i = 0; i < COUNT; i++) assert_true(x[i] == (double)y[i]);
        discard(&a);
        discard(&b);
    }
}

/* ---- dropout ------------------------------------------------------------------------------ */

typedef struct dropping {
    double rate;
    uint32_t shared;
} dropping;

static deq_value build_dropout(deq_graph *g, const deq_value *in, int n, const void *user)
{
    const dropping *d = user;
    return deq_dropout(g, in[0], n > 1 ? in[1] : DEQ_NONE, 2, d->rate, d->shared);
}

static const int64_t some_key[2] = { 11, 12 };

/* clang-format off */
#define X(...) { DEQ_F64, { sizeof((int[]){ __VA_ARGS__ }) / sizeof(int), { __VA_ARGS__ } } }
#define KEY { DEQ_I64, { 1, { 2 } } }
#define DROP(rate, shared) &(const dropping){ (rate), (shared) }
#define DROPOUT(text, x, user_) { .name = (text), .n_in = 2, .in = { x, KEY }, .low = 1, .high = 2, \
                                  .int_data = { NULL, some_key }, .build = build_dropout, .user = (user_) }
#define C(...) __VA_ARGS__
static const op_case dropout_cases[] = {
    DROPOUT("elements",  C(X(3, 4, 5)),    DROP(0.5, 0)),
    DROPOUT("one",       C(X(1)),          DROP(0.5, 0)),
    DROPOUT("channels",  C(X(4, 6, 2, 3)), DROP(0.3, DEQ_AXIS(2) | DEQ_AXIS(3))),
    DROPOUT("features",  C(X(4, 6, 5)),    DROP(0.3, DEQ_AXIS(1))),
    DROPOUT("tokens",    C(X(4, 6, 5)),    DROP(0.3, DEQ_AXIS(2))),
    DROPOUT("samples",   C(X(9, 2, 3)),    DROP(0.7, DEQ_AXIS(1) | DEQ_AXIS(2))),
    DROPOUT("together",  C(X(3, 5)),       DROP(0.2, DEQ_ALL_AXES)),
    DROPOUT("rate zero", C(X(3, 5)),       DROP(0, 0)),
};
/* clang-format on */

/* The place of element i of x in an array whose shared axes have extent one. */
static int64_t place_of_draw(const deq_shape *s, uint32_t shared, int64_t i)
{
    int64_t place = 0, step = 1;
    for (int axis = s->rank; axis-- > 0; i /= s->dim[axis]) {
        if (shared >> axis & 1) continue;
        place += i % s->dim[axis] * step;
        step *= s->dim[axis];
    }
    return place;
}

static void dropout_scales_what_it_keeps(void **state)
{
    (void)state;
    for (size_t k = 0; k < N_OF(dropout_cases); k++) {
        const op_case *c = &dropout_cases[k];
        const dropping *d = c->user;
        const int64_t n = deq_shape_count(&c->in[0].shape);
        double x[512], y[512], expected[512], u[512];
        const deq_random_key key = { 11, 12, 2 };
        assert_true(n <= 512);
        random_data(c, 0, x);
        deq_draw_uniform(u, DEQ_F64, n, key, 0, 1);
        for (int64_t i = 0; i < n; i++) {
            bool keep = u[place_of_draw(&c->in[0].shape, d->shared, i)] < 1 - d->rate;
            expected[i] = keep ? x[i] / (1 - d->rate) : 0;
        }
        forward_op(c, NULL, y);
        check_close(c->name, y, expected, n, 1e-14);
        check_op(c);
    }
}

static void dropout_without_a_key_or_rate_adds_nothing(void **state)
{
    (void)state;
    deq_context *ctx = test_context();
    deq_graph *g;
    assert_int_equal(deq_graph_new(&g, ctx), DEQ_OK);
    deq_value x = deq_input(g, "x", DEQ_STAGE_STATE, DEQ_F32, DEQ_SHAPE(2, 3));
    deq_value key = deq_input(g, "key", DEQ_STAGE_INJECTED, DEQ_I64, DEQ_SHAPE(2));
    assert_int_equal(deq_dropout(g, x, DEQ_NONE, 0, 0.5, 0).id, x.id);
    assert_int_equal(deq_dropout(g, x, key, 0, 0, 0).id, x.id);
    assert_int_equal(deq_graph_status(g), DEQ_OK);
    deq_graph_free(g);
    deq_context_free(ctx);
}

/* Masks are drawn once a solve: running the state's stage again leaves them as they are. */
static void a_mask_does_not_change_while_the_state_does(void **state)
{
    (void)state;
    deq_context *ctx = test_context();
    deq_graph *g;
    deq_program *p;
    double x[64], y[64], z[64];
    assert_int_equal(deq_graph_new(&g, ctx), DEQ_OK);
    deq_value v = deq_input(g, "x", DEQ_STAGE_STATE, DEQ_F64, DEQ_SHAPE(64));
    deq_value key = deq_input(g, "key", DEQ_STAGE_INJECTED, DEQ_I64, DEQ_SHAPE(2));
    deq_value out = deq_dropout(g, v, key, 0, 0.5, 0);
    assert_int_equal(deq_compile(&p, g, &out, 1, NULL), DEQ_OK);
    for (int i = 0; i < 64; i++) x[i] = 1;
    deq_program_write(p, v, x, sizeof x);
    deq_program_write(p, key, some_key, sizeof some_key);
    assert_int_equal(deq_program_run(p, DEQ_STAGE_PARAMETER), DEQ_OK);
    deq_program_read(p, out, y, sizeof y);
    for (int i = 0; i < 64; i++) x[i] = 3;
    deq_program_write(p, v, x, sizeof x);
    assert_int_equal(deq_program_run(p, DEQ_STAGE_STATE), DEQ_OK);
    deq_program_read(p, out, z, sizeof z);
    for (int i = 0; i < 64; i++) assert_true(z[i] == 3 * y[i]);
    deq_program_free(p);
    deq_graph_free(g);
    deq_context_free(ctx);
}

/* ---- refusals ----------------------------------------------------------------------------- */

static deq_value build_stream(deq_graph *g, const deq_value *in, int n, const void *user)
{
    (void)n;
    return deq_random_normal(g, in[0], DEQ_F64, DEQ_SHAPE(2), *(const int *)user);
}

static deq_value build_probability(deq_graph *g, const deq_value *in, int n, const void *user)
{
    (void)n;
    return deq_random_bernoulli(g, in[0], DEQ_F64, DEQ_SHAPE(2), 0, *(const double *)user);
}

static deq_value build_dtype(deq_graph *g, const deq_value *in, int n, const void *user)
{
    (void)n;
    return deq_random_uniform(g, in[0], *(const deq_dtype *)user, DEQ_SHAPE(2), 0);
}

static deq_value build_rank(deq_graph *g, const deq_value *in, int n, const void *user)
{
    deq_shape shape = { .rank = *(const int *)user };
    (void)n;
    return deq_random_uniform(g, in[0], DEQ_F32, shape, 0);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    const struct {
        op_case c;
        deq_status status;
        const char *text;
    } cases[] = {
        { { "key dtype", 1, { X(2) }, .build = build_stream, .user = &(const int){ 0 } },
          DEQ_ERR_DTYPE,
          "f64, expected i64" },
        { { "key shape",
            1,
            { { DEQ_I64, { 1, { 3 } } } },
            .build = build_stream,
            .user = &(const int){ 0 } },
          DEQ_ERR_SHAPE,
          "the key must be i64 [2]" },
        { { "stream", 1, { KEY }, .build = build_stream, .user = &(const int){ -1 } },
          DEQ_ERR_ARGUMENT,
          "random_normal: stream is -1" },
        { { "probability", 1, { KEY }, .build = build_probability, .user = &(const double){ 1.5 } },
          DEQ_ERR_ARGUMENT,
          "random_bernoulli: probability is 1.5" },
        { { "not a number",
            1,
            { KEY },
            .build = build_probability,
            .user = &(const double){ NAN } },
          DEQ_ERR_ARGUMENT,
          "probability is nan" },
        { { "dtype", 1, { KEY }, .build = build_dtype, .user = &(const deq_dtype){ DEQ_I32 } },
          DEQ_ERR_DTYPE,
          "random_uniform: the result is to be i32" },
        { { "rank", 1, { KEY }, .build = build_rank, .user = &(const int){ 9 } },
          DEQ_ERR_SHAPE,
          "rank 9" },
        { { "rank below zero", 1, { KEY }, .build = build_rank, .user = &(const int){ -1 } },
          DEQ_ERR_SHAPE,
          "rank -1" },
        { { "extent", 1, { KEY }, .build = build_rank, .user = &(const int){ 1 } },
          DEQ_ERR_SHAPE,
          "extent 0" },
        { { "rate", 2, { X(2), KEY }, .build = build_dropout, .user = DROP(1, 0) },
          DEQ_ERR_ARGUMENT,
          "dropout: rate is 1, expected 0 <= rate < 1" },
        { { "axis", 2, { X(2, 3), KEY }, .build = build_dropout, .user = DROP(0.5, 4) },
          DEQ_ERR_SHAPE,
          "dropout: shared_axes is 0x4, x has rank 2" },
        { { "x dtype", 2, { KEY, KEY }, .build = build_dropout, .user = DROP(0.5, 0) },
          DEQ_ERR_DTYPE,
          "i64" },
    };
    for (size_t i = 0; i < N_OF(cases); i++)
        check_refused(&cases[i].c, cases[i].status, cases[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_graph_draws_what_the_array_functions_draw),
        cmocka_unit_test(seed_step_and_stream_each_change_the_draws),
        cmocka_unit_test(draws_do_not_depend_on_the_number_of_threads),
        cmocka_unit_test(two_valued_laws_have_their_values_and_rates),
        cmocka_unit_test(masks_are_equal_in_both_precisions),
        cmocka_unit_test(dropout_scales_what_it_keeps),
        cmocka_unit_test(dropout_without_a_key_or_rate_adds_nothing),
        cmocka_unit_test(a_mask_does_not_change_while_the_state_does),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
