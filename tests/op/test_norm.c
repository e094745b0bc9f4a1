/* SPDX-License-Identifier: MIT */
#include "support/run.h"

#include "op/norm.h"

#include <deq/op.h>
#include <deq/random.h>
#include <math.h>
#include <stdlib.h>

/* Inputs are x, then gamma and beta where present, then what the layer needs more. */
typedef struct layer {
    int64_t groups; /* group_norm */
    int n_axes;     /* layer_norm */
    double eps;
    bool gamma, beta;
} layer;

static deq_value input_or_none(const deq_value *in, int *next, bool present)
{
    return present ? in[(*next)++] : DEQ_NONE;
}

#define AFFINE_INPUTS                                                                              \
    const layer *l = user;                                                                         \
    int next = 1;                                                                                  \
    deq_value gamma = input_or_none(in, &next, l->gamma);                                          \
    deq_value beta = input_or_none(in, &next, l->beta);                                            \
    (void)n

static deq_value build_group(deq_graph *g, const deq_value *in, int n, const void *user)
{
    AFFINE_INPUTS;
    return deq_group_norm(g, in[0], l->groups, gamma, beta, l->eps);
}

static deq_value build_instance(deq_graph *g, const deq_value *in, int n, const void *user)
{
    AFFINE_INPUTS;
    return deq_instance_norm(g, in[0], gamma, beta, l->eps);
}

static deq_value build_layer(deq_graph *g, const deq_value *in, int n, const void *user)
{
    AFFINE_INPUTS;
    return deq_layer_norm(g, in[0], l->n_axes, gamma, beta, l->eps);
}

static deq_value build_batch(deq_graph *g, const deq_value *in, int n, const void *user)
{
    AFFINE_INPUTS;
    return deq_batch_norm(g, in[0], gamma, beta, l->eps, NULL, NULL);
}

static deq_value build_batch_mean(deq_graph *g, const deq_value *in, int n, const void *user)
{
    deq_value mean;
    AFFINE_INPUTS;
    deq_batch_norm(g, in[0], gamma, beta, l->eps, &mean, NULL);
    return mean;
}

static deq_value build_batch_variance(deq_graph *g, const deq_value *in, int n, const void *user)
{
    deq_value variance;
    AFFINE_INPUTS;
    deq_batch_norm(g, in[0], gamma, beta, l->eps, NULL, &variance);
    return variance;
}

static deq_value build_frozen(deq_graph *g, const deq_value *in, int n, const void *user)
{
    AFFINE_INPUTS;
    deq_value mean = in[next], variance = in[next + 1];
    return deq_batch_norm_frozen(g, in[0], gamma, beta, mean, variance, l->eps);
}

/* ---- forward against plain loops ---------------------------------------------------------- */

#define MAX_ELEMENTS 4096

/* Elements whose key is equal share their statistics. */
typedef int64_t key_fn(const op_case *c, int64_t b, int64_t channel, int64_t s);

static int64_t group_key(const op_case *c, int64_t b, int64_t channel, int64_t s)
{
    const layer *l = c->user;
    (void)s;
    return b * l->groups + channel / (c->in[0].shape.dim[1] / l->groups);
}

static int64_t instance_key(const op_case *c, int64_t b, int64_t channel, int64_t s)
{
    (void)s;
    return b * c->in[0].shape.dim[1] + channel;
}

static int64_t batch_key(const op_case *c, int64_t b, int64_t channel, int64_t s)
{
    (void)c;
    (void)b;
    (void)s;
    return channel;
}

/* Mean and biased variance of the elements that share a key, the slow way. */
static void statistics(const double *x, const int64_t *key, int64_t n, int64_t wanted, double *mean,
                       double *variance)
{
    double count = 0;
    *mean = *variance = 0;
    for (int64_t i = 0; i < n; i++)
        if (key[i] == wanted) *mean += x[i], count++;
    *mean /= count;
    for (int64_t i = 0; i < n; i++)
        if (key[i] == wanted) *variance += (x[i] - *mean) * (x[i] - *mean);
    *variance /= count;
}

static double *inputs_of(const op_case *c, int i)
{
    double *x = malloc((size_t)deq_shape_count(&c->in[i].shape) * sizeof *x);
    assert_non_null(x);
    random_data(c, i, x);
    return x;
}

static void expect_channels(const op_case *c, key_fn *key_of)
{
    const layer *l = c->user;
    const deq_shape *s = &c->in[0].shape;
    const int64_t n = deq_shape_count(s), channels = s->dim[1], inner = n / s->dim[0] / channels;
    int next = 1;
    double *x = inputs_of(c, 0), *gamma = l->gamma ? inputs_of(c, next++) : NULL;
    double *beta = l->beta ? inputs_of(c, next++) : NULL;
    double y[MAX_ELEMENTS], expected[MAX_ELEMENTS];
    int64_t key[MAX_ELEMENTS];
    assert_true(n <= MAX_ELEMENTS);
    for (int64_t i = 0; i < n; i++)
        key[i] = key_of(c, i / inner / channels, i / inner % channels, i % inner);
    for (int64_t i = 0; i < n; i++) {
        double mean, variance;
        statistics(x, key, n, key[i], &mean, &variance);
        expected[i] = (x[i] - mean) / sqrt(variance + l->eps);
        if (gamma) expected[i] *= gamma[i / inner % channels];
        if (beta) expected[i] += beta[i / inner % channels];
    }
    forward_op(c, NULL, y);
    check_close(c->name, y, expected, n, 1e-12);
    free(x);
    free(gamma);
    free(beta);
}

static void expect_rows(const op_case *c)
{
    const layer *l = c->user;
    const deq_shape *s = &c->in[0].shape;
    const int64_t n = deq_shape_count(s);
    int64_t row = 1;
    for (int i = s->rank - l->n_axes; i < s->rank; i++) row *= s->dim[i];
    int next = 1;
    double *x = inputs_of(c, 0), *gamma = l->gamma ? inputs_of(c, next++) : NULL;
    double *beta = l->beta ? inputs_of(c, next++) : NULL;
    double y[MAX_ELEMENTS], expected[MAX_ELEMENTS];
    int64_t key[MAX_ELEMENTS];
    assert_true(n <= MAX_ELEMENTS);
    for (int64_t i = 0; i < n; i++) key[i] = i / row;
    for (int64_t i = 0; i < n; i++) {
        double mean, variance;
        statistics(x, key, n, key[i], &mean, &variance);
        expected[i] = (x[i] - mean) / sqrt(variance + l->eps);
        if (gamma) expected[i] *= gamma[i % row];
        if (beta) expected[i] += beta[i % row];
    }
    forward_op(c, NULL, y);
    check_close(c->name, y, expected, n, 1e-12);
    free(x);
    free(gamma);
    free(beta);
}

/* ---- cases -------------------------------------------------------------------------------- */

/* clang-format off */
#define X(...) { DEQ_F64, { sizeof((int[]){ __VA_ARGS__ }) / sizeof(int), { __VA_ARGS__ } } }
#define PLAIN(groups, eps)  &(const layer){ (groups), 0, (eps), false, false }
#define AFFINE(groups, eps) &(const layer){ (groups), 0, (eps), true, true }
#define ROWS(n_axes, eps)   &(const layer){ 0, (n_axes), (eps), false, false }
#define ROWS_AFFINE(n_axes, eps) &(const layer){ 0, (n_axes), (eps), true, true }

static const op_case group_cases[] = {
    { "one group",             1, { X(2, 4, 3, 3) },             .build = build_group, .user = PLAIN(1, 1e-5) },
    { "two groups, affine",    3, { X(3, 6, 5), X(6), X(6) },    .build = build_group, .user = AFFINE(2, 1e-5) },
    { "group per channel",     3, { X(2, 3, 2, 4), X(3), X(3) }, .build = build_group, .user = AFFINE(3, 1e-3) },
    { "no axes behind",        3, { X(4, 6), X(6), X(6) },       .build = build_group, .user = AFFINE(2, 1e-1) },
    { "batch of one",          1, { X(1, 8, 7) },                .build = build_group, .user = PLAIN(4, 1e-5) },
    { "single elements",       3, { X(2, 3), X(3), X(3) },       .build = build_group, .user = AFFINE(3, 1e-2) },
    { "rank five",             1, { X(2, 2, 3, 1, 2) },          .build = build_group, .user = PLAIN(1, 0.5) },
    { "gamma only",            2, { X(2, 4, 3), X(4) },          .build = build_group,
      .user = &(const layer){ 2, 0, 1e-5, true, false } },
    { "beta only",             2, { X(2, 4, 3), X(4) },          .build = build_group,
      .user = &(const layer){ 2, 0, 1e-5, false, true } },
    { "no eps",                1, { X(2, 4, 3) },                .build = build_group, .user = PLAIN(2, 0) },
    { "f32 input",             1, { { DEQ_F32, { 3, { 2, 4, 3 } } } }, .build = build_group, .user = PLAIN(2, 1e-5) },
    { "far from zero",         1, { X(2, 4, 9) }, 1000, 1001,    .build = build_group, .user = PLAIN(2, 1e-5),
      .only_forward = true },
};

static const op_case instance_cases[] = {
    { "instances",             1, { X(2, 3, 4, 2) },             .build = build_instance, .user = PLAIN(0, 1e-5) },
    { "instances, affine",     3, { X(2, 3, 7), X(3), X(3) },    .build = build_instance, .user = AFFINE(0, 1e-5) },
};

static const op_case layer_cases[] = {
    { "last axis",             1, { X(3, 5) },                         .build = build_layer, .user = ROWS(1, 1e-5) },
    { "last axis, affine",     3, { X(2, 3, 5), X(5), X(5) },          .build = build_layer, .user = ROWS_AFFINE(1, 1e-5) },
    { "two axes, affine",      3, { X(3, 2, 5), X(2, 5), X(2, 5) },    .build = build_layer, .user = ROWS_AFFINE(2, 1e-5) },
    { "all axes",              3, { X(2, 3, 2), X(2, 3, 2), X(2, 3, 2) }, .build = build_layer, .user = ROWS_AFFINE(3, 1e-5) },
    { "a vector",              1, { X(7) },                            .build = build_layer, .user = ROWS(1, 1e-5) },
    { "rows of one",           1, { X(3, 1) },                         .build = build_layer, .user = ROWS(1, 1e-2) },
};

static const op_case batch_cases[] = {
    { "batch of vectors",      3, { X(5, 3), X(3), X(3) },             .build = build_batch, .user = AFFINE(0, 1e-5) },
    { "batch of images",       1, { X(3, 2, 2, 3) },                   .build = build_batch, .user = PLAIN(0, 1e-5) },
    { "batch of one image",    3, { X(1, 3, 4, 2), X(3), X(3) },       .build = build_batch, .user = AFFINE(0, 1e-3) },
};
/* clang-format on */

#define N_OF(table) (sizeof(table) / sizeof *(table))

static void group_norm_matches_plain_loops(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_OF(group_cases); i++) expect_channels(&group_cases[i], group_key);
}

static void instance_norm_matches_plain_loops(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_OF(instance_cases); i++)
        expect_channels(&instance_cases[i], instance_key);
}

static void layer_norm_matches_plain_loops(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_OF(layer_cases); i++) expect_rows(&layer_cases[i]);
}

static void batch_norm_matches_plain_loops(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_OF(batch_cases); i++) expect_channels(&batch_cases[i], batch_key);
}

static void derivatives_of_the_layers_match_differences(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_OF(group_cases); i++) check_op(&group_cases[i]);
    for (size_t i = 0; i < N_OF(instance_cases); i++) check_op(&instance_cases[i]);
    for (size_t i = 0; i < N_OF(layer_cases); i++) check_op(&layer_cases[i]);
    for (size_t i = 0; i < N_OF(batch_cases); i++) check_op(&batch_cases[i]);
}

/* ---- batch statistics --------------------------------------------------------------------- */

static void batch_norm_gives_batch_mean_and_biased_variance(void **state)
{
    (void)state;
    const layer l = { .eps = 1e-5 };
    op_case c = { .name = "batch statistics", .n_in = 1, .in = { X(3, 2, 4) }, .user = &l };
    double *x = inputs_of(&c, 0), got[2], mean[2], variance[2];
    int64_t key[24];
    for (int64_t i = 0; i < 24; i++) key[i] = i / 4 % 2;
    for (int64_t k = 0; k < 2; k++) statistics(x, key, 24, k, &mean[k], &variance[k]);
    c.build = build_batch_mean;
    forward_op(&c, NULL, got);
    check_close("mean", got, mean, 2, 1e-14);
    check_op(&c);
    c.build = build_batch_variance;
    forward_op(&c, NULL, got);
    check_close("variance", got, variance, 2, 1e-14);
    check_op(&c);
    free(x);
}

static void batch_norm_frozen_uses_the_given_statistics(void **state)
{
    (void)state;
    const layer l = { .eps = 0.25, .gamma = true, .beta = true };
    static const double x[] = { 1, 2, 3, 4, 5, 6, 7, 8 }, gamma[] = { 2, 3 }, beta[] = { 10, 20 };
    static const double mean[] = { 1, 2 }, variance[] = { 2, 0.75 };
    const op_case c = { .name = "frozen statistics",
                        .n_in = 5,
                        .in = { X(2, 2, 2), X(2), X(2), X(2), X(2) },
                        .data = { x, gamma, beta, mean, variance },
                        .build = build_frozen,
                        .user = &l };
    double y[8], expected[8];
    for (int i = 0; i < 8; i++) {
        int k = i / 2 % 2;
        expected[i] = (x[i] - mean[k]) / sqrt(variance[k] + 0.25) * gamma[k] + beta[k];
    }
    forward_op(&c, NULL, y);
    check_close(c.name, y, expected, 8, 1e-14);
    check_op(&c);
}

/* ---- the two operators -------------------------------------------------------------------- */

static deq_value build_rstd(deq_graph *g, const deq_value *in, int n, const void *user)
{
    deq_value rstd;
    (void)n;
    deq_normalize(g, in[0], ((const layer *)user)->groups, ((const layer *)user)->eps, &rstd);
    return rstd;
}

/* A function of both outputs: their cotangents and tangents must add up. */
static deq_value build_both(deq_graph *g, const deq_value *in, int n, const void *user)
{
    const layer *l = user;
    deq_value rstd, xhat = deq_normalize(g, in[0], l->groups, l->eps, &rstd);
    deq_type t = deq_value_type(g, in[0]);
    (void)n;
    deq_value rows = deq_reshape(g, xhat, DEQ_SHAPE(t.shape.dim[0], l->groups, -1));
    return deq_mul(g, rows, deq_reshape(g, rstd, DEQ_SHAPE(t.shape.dim[0], l->groups, 1)));
}

static deq_value build_tangent(deq_graph *g, const deq_value *in, int n, const void *user)
{
    (void)n;
    return deq_normalize_tangent(g, in[0], in[1], in[2], ((const layer *)user)->groups);
}

static void normalize_gives_one_over_the_deviation(void **state)
{
    (void)state;
    static const double x[] = { 1, 3, 5, 5, 0, 8, 2, 2 };
    const op_case c = { .name = "rstd",
                        .n_in = 1,
                        .in = { X(2, 2, 2) },
                        .data = { x },
                        .build = build_rstd,
                        .user = PLAIN(2, 0.0625) };
    const double expected[] = { 1 / sqrt(1.0625), 4, 1 / sqrt(16.0625), 4 };
    double rstd[4];
    forward_op(&c, NULL, rstd);
    check_close(c.name, rstd, expected, 4, 1e-15);
}

static void derivatives_of_the_operators_match_differences(void **state)
{
    (void)state;
    const op_case cases[] = {
        { "rstd", 1, { X(2, 4, 3) }, .build = build_rstd, .user = PLAIN(2, 1e-2) },
        { "rstd, odd", 1, { X(3, 5) }, .build = build_rstd, .user = PLAIN(1, 1e-2) },
        { "rstd, single elements", 1, { X(2, 3) }, .build = build_rstd, .user = PLAIN(3, 1e-2) },
        { "xhat times rstd", 1, { X(2, 6, 3) }, .build = build_both, .user = PLAIN(3, 1e-2) },
        { "xhat times rstd, one group", 1, { X(3, 5) }, .build = build_both, .user = PLAIN(1, 1) },
        { "tangent",
          3,
          { X(2, 4, 3), X(2, 4, 3), X(2, 2) },
          .build = build_tangent,
          .user = PLAIN(2, 0) },
        { "tangent, no axes behind",
          3,
          { X(3, 5), X(3, 5), X(3, 1) },
          .build = build_tangent,
          .user = PLAIN(1, 0) },
        { "tangent, single elements",
          3,
          { X(2, 3), X(2, 3), X(2, 3) },
          .build = build_tangent,
          .user = PLAIN(3, 0) },
    };
    for (size_t i = 0; i < N_OF(cases); i++) check_op(&cases[i]);
}

/* ---- hard inputs -------------------------------------------------------------------------- */

static void equal_elements_become_beta(void **state)
{
    (void)state;
    static const double x[] = { 7, 7, 7, 7 }, gamma[] = { 3, 4 }, beta[] = { 5, 6 };
    const op_case c = { .name = "equal elements",
                        .n_in = 3,
                        .in = { X(1, 2, 2), X(2), X(2) },
                        .data = { x, gamma, beta },
                        .build = build_group,
                        .user = AFFINE(1, 1e-5) };
    const double expected[] = { 5, 5, 6, 6 };
    double y[4];
    forward_op(&c, NULL, y);
    check_close(c.name, y, expected, 4, 0);
}

static void a_sample_does_not_depend_on_its_companions(void **state)
{
    (void)state;
    static const double x[] = { 1, 2, 3, 5, NAN, 1, INFINITY, 0, 1, 2, 3, 5 };
    const op_case c = { .name = "bad sample",
                        .n_in = 1,
                        .in = { X(3, 2, 2) },
                        .data = { x },
                        .build = build_group,
                        .user = PLAIN(1, 1e-5) };
    double y[12];
    forward_op(&c, NULL, y);
    for (int i = 0; i < 4; i++) {
        assert_true(isfinite(y[i]) && y[i] == y[8 + i]);
        assert_true(isnan(y[4 + i]));
    }
}

static void the_number_of_threads_changes_no_bit(void **state)
{
    (void)state;
    enum { N = 6 * 8 * 1001 };
    float *x = malloc(N * sizeof *x), *one = malloc(N * sizeof *one), *y = malloc(N * sizeof *y);
    assert_true(x && one && y);
    assert_int_equal(deq_draw_normal(x, DEQ_F32, N, (deq_random_key){ 1, 2, 3 }, 0, 1), DEQ_OK);
    test_graph t = test_graph_new();
    deq_value in = deq_input(t.g, "x", DEQ_STAGE_STATE, DEQ_F32, DEQ_SHAPE(6, 8, 1001)), rstd;
    deq_value xhat = deq_normalize(t.g, in, 4, 1e-5, &rstd);
    deq_value out[2] = { xhat, deq_normalize_tangent(t.g, in, xhat, rstd, 4) };
    for (int k = 0; k < 2; k++)
        for (int threads = 1; threads <= 3; threads++) {
            test_graph_run(&t, &in, (const void *const[]){ x }, 1, out[k], threads == 1 ? one : y,
                           threads);
            if (threads > 1) assert_memory_equal(y, one, N * sizeof *y);
        }
    test_graph_free(&t);
    free(x);
    free(one);
    free(y);
}

/* ---- refusals ----------------------------------------------------------------------------- */

static void mistakes_are_named(void **state)
{
    (void)state;
    static const deq_type labels = { DEQ_I32, { 2, { 4, 4 } } };
    const struct {
        op_case c;
        deq_status status;
        const char *text;
    } cases[] = {
        { { "rank", 1, { X(4) }, .build = build_group, .user = PLAIN(1, 1) },
          DEQ_ERR_SHAPE,
          "group_norm: x is f64 [4], expected [B, C, ...]" },
        { { "divide", 1, { X(2, 6) }, .build = build_group, .user = PLAIN(4, 1) },
          DEQ_ERR_SHAPE,
          "x has 6 channels, which 4 groups do not divide" },
        { { "no groups", 1, { X(2, 6) }, .build = build_group, .user = PLAIN(0, 1) },
          DEQ_ERR_SHAPE,
          "x has 6 channels, which 0 groups do not divide" },
        { { "dtype", 1, { labels }, .build = build_group, .user = PLAIN(1, 1) },
          DEQ_ERR_DTYPE,
          "group_norm: x is i32, expected f32 or f64" },
        { { "eps", 1, { X(2, 4) }, .build = build_group, .user = PLAIN(1, -1) },
          DEQ_ERR_ARGUMENT,
          "eps is -1" },
        { { "nan", 1, { X(2, 4) }, .build = build_layer, .user = ROWS(1, NAN) },
          DEQ_ERR_ARGUMENT,
          "eps is nan" },
        { { "gamma", 3, { X(2, 4, 3), X(3), X(4) }, .build = build_group, .user = AFFINE(1, 1) },
          DEQ_ERR_SHAPE,
          "gamma is f64 [3], expected f64 [4]" },
        { { "beta dtype",
            3,
            { X(2, 4, 3), X(4), { DEQ_F32, { 1, { 4 } } } },
            .build = build_instance,
            .user = AFFINE(1, 1) },
          DEQ_ERR_SHAPE,
          "instance_norm: beta is f32 [4], expected f64 [4]" },
        { { "axes", 1, { X(2, 4) }, .build = build_layer, .user = ROWS(3, 1) },
          DEQ_ERR_SHAPE,
          "over 3 axes, x has rank 2" },
        { { "no axes", 1, { X(2, 4) }, .build = build_layer, .user = ROWS(0, 1) },
          DEQ_ERR_SHAPE,
          "over 0 axes" },
        { { "rows", 3, { X(2, 4), X(2), X(4) }, .build = build_layer, .user = ROWS_AFFINE(1, 1) },
          DEQ_ERR_SHAPE,
          "gamma is f64 [2], the last 1 axes of x are f64 [4]" },
        { { "frozen", 3, { X(2, 4), X(4), X(3) }, .build = build_frozen, .user = PLAIN(1, 1) },
          DEQ_ERR_SHAPE,
          "batch_norm_frozen: variance is f64 [3], expected f64 [4]" },
        { { "batch", 1, { X(5) }, .build = build_batch, .user = PLAIN(1, 1) },
          DEQ_ERR_SHAPE,
          "batch_norm: x is f64 [5]" },
        { { "rstd", 3, { X(2, 4), X(2, 4), X(2, 4) }, .build = build_tangent, .user = PLAIN(2, 1) },
          DEQ_ERR_SHAPE,
          "rstd [B, 2]" },
    };
    for (size_t i = 0; i < N_OF(cases); i++)
        check_refused(&cases[i].c, cases[i].status, cases[i].text);
}

static void a_mistake_before_passes_through_every_layer(void **state)
{
    (void)state;
    deq_context *ctx = test_context();
    deq_graph *g;
    deq_value mean, variance, none = DEQ_NONE;
    assert_int_equal(deq_graph_new(&g, ctx), DEQ_OK);
    deq_value bad = deq_input(g, "", DEQ_STAGE_STATE, DEQ_F32, DEQ_SHAPE(2, 2));
    assert_int_equal(deq_graph_status(g), DEQ_ERR_NAME);
    assert_true(deq_group_norm(g, bad, 1, bad, none, 1).id < 0);
    assert_true(deq_instance_norm(g, bad, none, bad, 1).id < 0);
    assert_true(deq_layer_norm(g, bad, 1, bad, bad, 1).id < 0);
    assert_true(deq_batch_norm(g, bad, bad, bad, 1, &mean, &variance).id < 0);
    assert_true(mean.id < 0 && variance.id < 0);
    assert_true(deq_batch_norm_frozen(g, bad, bad, bad, bad, bad, 1).id < 0);
    assert_int_equal(deq_graph_status(g), DEQ_ERR_NAME);
    deq_graph_free(g);
    deq_context_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(group_norm_matches_plain_loops),
        cmocka_unit_test(instance_norm_matches_plain_loops),
        cmocka_unit_test(layer_norm_matches_plain_loops),
        cmocka_unit_test(batch_norm_matches_plain_loops),
        cmocka_unit_test(derivatives_of_the_layers_match_differences),
        cmocka_unit_test(batch_norm_gives_batch_mean_and_biased_variance),
        cmocka_unit_test(batch_norm_frozen_uses_the_given_statistics),
        cmocka_unit_test(normalize_gives_one_over_the_deviation),
        cmocka_unit_test(derivatives_of_the_operators_match_differences),
        cmocka_unit_test(equal_elements_become_beta),
        cmocka_unit_test(a_sample_does_not_depend_on_its_companions),
        cmocka_unit_test(the_number_of_threads_changes_no_bit),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(a_mistake_before_passes_through_every_layer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
