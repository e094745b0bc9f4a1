/* SPDX-License-Identifier: MIT */
/*
 * Normalisation and its tangent against the reference kernels: alone, with what comes before and
 * after, in both layouts, in small and large pieces.
 */
#include "support/test.h"

#include "backend/isa.h"
#include "op/norm.h"

static const struct norm_case {
    const char *name;
    int rank;
    int64_t shape[5];
    int64_t groups;
} cases[] = {
    { "two elements", 2, { 1, 2 }, 1 },
    { "rows", 2, { 37, 65 }, 1 },
    { "short rows", 2, { 1000, 3 }, 1 },
    { "rows of 512", 2, { 90, 512 }, 1 },
    { "rows of 2048", 2, { 33, 2048 }, 1 },
    { "rows too long for a tile", 2, { 5, 5001 }, 1 },
    { "one long row", 2, { 1, 100003 }, 1 },
    { "groups of channels without pixels", 2, { 7, 12 }, 4 },
    { "sequences", 3, { 3, 8, 21 }, 2 },
    { "one pixel", 4, { 3, 8, 1, 1 }, 2 },
    { "one channel", 4, { 3, 1, 5, 7 }, 1 },
    { "3 channels", 4, { 2, 3, 9, 11 }, 3 },
    { "7 channels, one group", 4, { 5, 7, 8, 9 }, 1 },
    { "24 channels", 4, { 4, 24, 14, 14 }, 4 },
    { "64 channels", 4, { 3, 64, 8, 8 }, 8 },
    { "64 channels, large", 4, { 3, 64, 29, 30 }, 8 },
    { "65 channels", 4, { 1, 65, 20, 20 }, 5 },
    { "120 channels", 4, { 2, 120, 16, 15 }, 6 },
    { "instances", 4, { 2, 20, 12, 12 }, 20 },
    { "one sample, many chunks", 4, { 1, 16, 80, 81 }, 4 },
    { "more channels than a tile", 4, { 2, 3000, 3, 3 }, 4 },
    { "volumes", 5, { 2, 6, 5, 6, 7 }, 3 },
};

static deq_shape shape_of(const struct norm_case *k)
{
    deq_shape s = { .rank = k->rank };
    for (int i = 0; i < k->rank; i++) s.dim[i] = k->shape[i];
    return s;
}

/* [C, 1, ...] */
static deq_shape channel_shape(const struct norm_case *k)
{
    deq_shape s = { .rank = k->rank - 1 };
    for (int i = 0; i < s.rank; i++) s.dim[i] = i == 0 ? k->shape[1] : 1;
    return s;
}

/* x; in images, the result of a convolution with weights [C, C/g, 1, 1], so that it is channels-last
 * where layouts are free.  It leaves as well: no epilogue of the convolution, that is. */
static deq_value source(compared *c, const struct norm_case *k, bool convolve)
{
    deq_value x = compared_input(c, DEQ_STAGE_STATE, shape_of(k));
    if (!convolve) return x;
    int64_t C = k->shape[1], groups = C > 100 ? C / 20 : 1; /* else, nothing but weights */
    deq_value w = compared_input(c, DEQ_STAGE_PARAMETER, DEQ_SHAPE(C, C / groups, 1, 1));
    return c->out[c->n_out++] = deq_conv2d(c->t.g, x, deq_scale(c->t.g, w, 0.1), DEQ_NONE,
                                           DEQ_CONV2D(.groups = groups));
}

typedef void build_fn(compared *c, const struct norm_case *k, deq_value x);

static void alone(compared *c, const struct norm_case *k, deq_value x)
{
    c->out[c->n_out++] = deq_normalize(c->t.g, x, k->groups, 1e-5, NULL);
}

static void with_rstd(compared *c, const struct norm_case *k, deq_value x)
{
    deq_value rstd, xhat = deq_normalize(c->t.g, x, k->groups, 1e-5, &rstd);
    c->out[c->n_out++] = xhat;
    c->out[c->n_out++] = rstd;
}

static void only_rstd(compared *c, const struct norm_case *k, deq_value x)
{
    deq_value rstd;
    (void)deq_normalize(c->t.g, x, k->groups, 1e-5, &rstd);
    c->out[c->n_out++] = rstd;
}

/* relu(z + y), normalised, times gamma plus beta plus residual, relu: the block of a DEQ cell. */
static void block(compared *c, const struct norm_case *k, deq_value x)
{
    deq_graph *g = c->t.g;
    deq_value z = compared_input(c, DEQ_STAGE_STATE, shape_of(k));
    deq_value gamma = compared_input(c, DEQ_STAGE_PARAMETER, channel_shape(k));
    deq_value beta = compared_input(c, DEQ_STAGE_PARAMETER, channel_shape(k));
    deq_value xhat = deq_normalize(g, deq_relu(g, deq_add(g, z, x)), k->groups, 1e-5, NULL);
    deq_value y = deq_add(g, deq_add(g, deq_mul(g, xhat, gamma), beta), z);
    c->out[c->n_out++] = deq_relu(g, y);
}

/* The same with everything that a derivative asks for: sum, xhat and rstd leave. */
static void block_that_keeps(compared *c, const struct norm_case *k, deq_value x)
{
    deq_graph *g = c->t.g;
    deq_value z = compared_input(c, DEQ_STAGE_STATE, shape_of(k)), rstd;
    deq_value gamma = compared_input(c, DEQ_STAGE_PARAMETER, channel_shape(k));
    deq_value sum = deq_add(g, z, x);
    deq_value xhat = deq_normalize(g, sum, k->groups, 1e-5, &rstd);
    c->out[c->n_out++] = deq_relu(g, deq_mul(g, xhat, gamma));
    c->out[c->n_out++] = sum;
    c->out[c->n_out++] = xhat;
    c->out[c->n_out++] = rstd;
}

/* The prologue computes more than the normalisation needs, and truth values. */
static void busy_prologue(compared *c, const struct norm_case *k, deq_value x)
{
    deq_graph *g = c->t.g;
    deq_value z = compared_input(c, DEQ_STAGE_STATE, shape_of(k));
    deq_value s = deq_mul(g, deq_tanh(g, x), z);
    deq_value positive = deq_cast(g, deq_greater(g, s, x), DEQ_F32);
    c->out[c->n_out++] = deq_mul(g, positive, z);
    c->out[c->n_out++] = deq_sigmoid(g, deq_normalize(g, s, k->groups, 1e-3, NULL));
}

/* A mask, and no xhat, beside rstd. */
static void mask_and_rstd(compared *c, const struct norm_case *k, deq_value x)
{
    deq_graph *g = c->t.g;
    deq_value z = compared_input(c, DEQ_STAGE_STATE, shape_of(k)), rstd;
    deq_value xhat = deq_normalize(g, x, k->groups, 1e-5, &rstd), y = deq_mul(g, xhat, z);
    deq_value mask = deq_greater(g, deq_add(g, y, z), deq_fill(g, DEQ_F32, DEQ_SCALAR, 0));
    c->out[c->n_out++] = deq_mean(g, deq_where(g, mask, y, z), DEQ_ALL_AXES, false);
    c->out[c->n_out++] = y;
    c->out[c->n_out++] = rstd;
    c->out[c->n_out++] = deq_softmax(g, deq_cast(g, mask, DEQ_F32), 0);
}

/* Derivatives, which use the tangent with a prologue (times gamma) and an epilogue (plus dy). */
static void adjoint(compared *c, const struct norm_case *k, deq_value x)
{
    deq_graph *g = c->t.g;
    deq_value z = compared_input(c, DEQ_STAGE_STATE, shape_of(k));
    deq_value gamma = compared_input(c, DEQ_STAGE_PARAMETER, channel_shape(k));
    deq_value xhat = deq_normalize(g, deq_add(g, z, x), k->groups, 1e-5, NULL);
    deq_value y = deq_relu(g, deq_add(g, deq_mul(g, xhat, gamma), z));
    deq_value dy = compared_input(c, DEQ_STAGE_STATE, shape_of(k));
    deq_vjp(g, &c->out[c->n_out++], &y, &dy, 1, &z, 1);
}

/* The tangent by itself, of data that is no normalisation of anything. */
static void tangent(compared *c, const struct norm_case *k, deq_value x)
{
    deq_graph *g = c->t.g;
    deq_value xhat = compared_input(c, DEQ_STAGE_STATE, shape_of(k));
    deq_value rstd = compared_input(c, DEQ_STAGE_INJECTED, DEQ_SHAPE(k->shape[0], k->groups));
    deq_value t = deq_normalize_tangent(g, x, xhat, rstd, k->groups);
    c->out[c->n_out++] = t;
    c->out[c->n_out++] = deq_mul(g, t, deq_sub(g, t, xhat));
}

static const struct program {
    const char *name;
    build_fn *build;
} programs[] = {
    { "alone", alone },
    { "with rstd", with_rstd },
    { "only rstd", only_rstd },
    { "block", block },
    { "block that keeps", block_that_keeps },
    { "busy prologue", busy_prologue },
    { "mask and rstd", mask_and_rstd },
    { "adjoint", adjoint },
    { "tangent", tangent },
};

static compared compared_for(deq_isa isa, const struct program *p, const struct norm_case *k,
                             bool convolve)
{
    compared c = { .t = test_graph_for(isa) };
    p->build(&c, k, source(&c, k, convolve));
    return c;
}

static void groups_match_the_reference_for_all_shapes(void **state)
{
    (void)state;
    FOR_EACH_ISA(isa)
    for (size_t i = 0; i < COUNT_OF(programs); i++)
        for (size_t k = 0; k < COUNT_OF(cases); k++)
            for (int convolve = 0; convolve <= (cases[k].rank == 4); convolve++) {
                char name[160], text[200];
                if (isa < deq_isa_detect() && (i + k + isa) % 2) continue; /* half will do */
                compared c = compared_for(isa, &programs[i], &cases[k], convolve);
                snprintf(name, sizeof name, "%s on %s%s", programs[i].name, cases[k].name,
                         convolve ? " after a convolution" : "");
                compare_programs(with_isa(text, sizeof text, name, isa), &c, 3e-6);
                test_graph_free(&c.t);
            }
}

static void a_block_is_one_step_after_the_convolution(void **state)
{
    (void)state;
    for (size_t i = 3; i <= 4; i++)
        for (size_t k = 0; k < COUNT_OF(cases); k++) {
            if (cases[k].rank != 4) continue;
            compared c = compared_for(DEQ_ISA_AUTO, &programs[i], &cases[k], true);
            deq_program *p = compile_native(&c, 2);
            if (uses_kernel(p, "reference")) fail_msg("%s: reference", cases[k].name);
            assert_int_equal(deq_program_stats(p).n_steps[DEQ_STAGE_STATE], 2);
            deq_program_free(p);
            test_graph_free(&c.t);
        }
}

static void memory_bound_elsewhere_gives_the_same_bits(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT_OF(cases); k++) {
        compared c = compared_for(DEQ_ISA_AUTO, &programs[4], &cases[k], false);
        compare_rebound(cases[k].name, &c);
        test_graph_free(&c.t);
    }
}

static void results_do_not_depend_on_the_number_of_threads(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT_OF(cases); k++)
        for (int convolve = 0; convolve <= (cases[k].rank == 4); convolve++) {
            size_t n;
            compared c = compared_for(DEQ_ISA_AUTO, &programs[4], &cases[k], convolve);
            float *y[3];
            for (int threads = 1; threads <= 3; threads++) {
                deq_program *p = compile_native(&c, threads);
                y[threads - 1] = compared_run(&c, p, &n);
                deq_program_free(p);
            }
            if (!convolve && (memcmp(y[0], y[1], n * sizeof(float)) != 0 ||
                              memcmp(y[0], y[2], n * sizeof(float)) != 0))
                fail_msg("%s", cases[k].name);
            for (int i = 0; i < 3; i++) free(y[i]);
            test_graph_free(&c.t);
        }
}

/* --- numbers far from zero -------------------------------------------------------------------- */

enum { LARGE_B = 2, LARGE_C = 8, LARGE_H = 24, LARGE_W = 25, LARGE_G = 2 };

/* A convolution by the identity: channels-last without rounding. */
static deq_value identity(deq_graph *g, deq_value x, int64_t channels)
{
    float *w = calloc((size_t)(channels * channels), sizeof *w);
    assert_non_null(w);
    for (int64_t i = 0; i < channels; i++) w[i * channels + i] = 1;
    deq_value v = deq_conv2d(g, x, deq_constant(g, DEQ_F32, DEQ_SHAPE(channels, channels, 1, 1), w),
                             DEQ_NONE, NULL);
    free(w);
    return v;
}

/* (x - mean) / std in double, two passes. */
static void exact(const float *x, double *y, int64_t n, double eps)
{
    double mean = 0, variance = 0;
    for (int64_t i = 0; i < n; i++) mean += (double)x[i] / (double)n;
    for (int64_t i = 0; i < n; i++)
        variance += ((double)x[i] - mean) * ((double)x[i] - mean) / (double)n;
    for (int64_t i = 0; i < n; i++) y[i] = ((double)x[i] - mean) / sqrt(variance + eps);
}

static const struct far_case {
    const char *name;
    double mean, std, outlier, tol;
} far_cases[] = {
    { "near zero", 0.1, 1, 0, 1e-6 },        { "mean 1000", 1000, 1, 0, 1e-6 },
    { "mean -1e5", -1e5, 1, 0, 1e-6 },       { "small numbers", 1e-4, 1e-5, 0, 1e-6 },
    { "an outlier first", 3, 1, 500, 4e-6 }, { "an outlier first, far", 1000, 1, -200, 4e-6 },
};

static void check_far(const struct far_case *f, deq_isa isa, deq_shape shape, int64_t groups,
                      bool last)
{
    const int64_t all = deq_shape_count(&shape), n = all / (shape.dim[0] * groups);
    float *x = malloc((size_t)all * sizeof *x), *y = malloc((size_t)all * sizeof *y);
    double *expected = malloc((size_t)all * sizeof *expected);
    assert_true(x && y && expected);
    for (int64_t i = 0; i < all; i++)
        x[i] = (float)(f->mean + f->std * (sin(12.9898 * (double)i) + cos(0.7 * (double)i)));
    if (f->outlier != 0)
        for (int64_t i = 0; i < all; i += n) x[i] = (float)f->outlier;
    for (int64_t i = 0; i < all; i += n) exact(x + i, expected + i, n, 1e-12);

    test_graph t = test_graph_for(isa);
    deq_value in = deq_input(t.g, "x", DEQ_STAGE_STATE, DEQ_F32, shape);
    deq_value source = last ? identity(t.g, in, shape.dim[1]) : in;
    deq_value out = deq_normalize(t.g, source, groups, 1e-12, NULL);
    assert_ok(&t);
    deq_program *p = must_compile(&t, &out, 1, NULL);
    must_write(&t, p, in, x);
    must_run(p, DEQ_STAGE_PARAMETER);
    must_read(&t, p, out, y);
    for (int64_t i = 0; i < all; i++)
        if (!(fabs((double)y[i] - expected[i]) <= f->tol * fmax(1, fabs(expected[i]))))
            fail_msg("%s, %s%s, groups of %d: element %d is %.9g, expected %.9g", f->name,
                     deq_isa_name(isa), last ? ", channels-last" : "", (int)n, (int)i, (double)y[i],
                     expected[i]);
    deq_program_free(p);
    test_graph_free(&t);
    free(x), free(y), free(expected);
}

static void numbers_far_from_zero_lose_nothing(void **state)
{
    (void)state;
    FOR_EACH_ISA(isa)
    for (size_t i = 0; i < COUNT_OF(far_cases); i++) {
        deq_shape image = DEQ_SHAPE(LARGE_B, LARGE_C, LARGE_H, LARGE_W);
        check_far(&far_cases[i], isa, image, LARGE_G, false);
        check_far(&far_cases[i], isa, image, LARGE_G, true);
        check_far(&far_cases[i], isa, DEQ_SHAPE(3, 16, 64, 64), 4, true);
        check_far(&far_cases[i], isa, DEQ_SHAPE(9, 700), 1, false);
        check_far(&far_cases[i], isa, DEQ_SHAPE(2, 7, 5, 5), 7, false);
    }
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(groups_match_the_reference_for_all_shapes),
        cmocka_unit_test(a_block_is_one_step_after_the_convolution),
        cmocka_unit_test(memory_bound_elsewhere_gives_the_same_bits),
        cmocka_unit_test(results_do_not_depend_on_the_number_of_threads),
        cmocka_unit_test(numbers_far_from_zero_lose_nothing),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
