/* SPDX-License-Identifier: MIT */
/* Element-wise groups against the reference kernels: every operator, broadcasts, layouts, types. */
#include "support/test.h"

#include "backend/isa.h"
#include "op/elementwise.h"

/* Builds outputs (up to COMPARE_MOST) from inputs of the case. */
typedef int build_fn(deq_graph *g, const deq_value *in, deq_value *out);

/* sigmoid(a b + c) - b */
static int chain(deq_graph *g, const deq_value *in, deq_value *out)
{
    deq_value s = deq_sigmoid(g, deq_add(g, deq_mul(g, in[0], in[1]), in[2]));
    out[0] = deq_sub(g, s, in[1]);
    return 1;
}

/* Values with several uses, some of which leave; the same input twice. */
static int branches(deq_graph *g, const deq_value *in, deq_value *out)
{
    deq_value p = deq_mul(g, in[0], in[1]), q = deq_add(g, p, in[2]), r = deq_relu(g, q);
    out[0] = deq_add(g, deq_mul(g, r, r), p);
    out[1] = deq_sub(g, deq_tanh(g, q), deq_mul(g, in[0], in[0]));
    out[2] = q;
    return 3;
}

/* relu(x + y), relu(x y + z), and a product of products. */
static int pairs(deq_graph *g, const deq_value *in, deq_value *out)
{
    out[0] = deq_relu(g, deq_add(g, in[0], in[1]));
    out[1] = deq_relu(g, deq_add(g, in[2], deq_mul(g, in[0], in[1])));
    out[2] = deq_mul(g, deq_mul(g, in[0], in[1]), deq_add(g, in[2], in[2]));
    return 3;
}

/* Numbers that the compiler knows, on either side. */
static int numbers(deq_graph *g, const deq_value *in, deq_value *out)
{
    deq_value one = deq_fill(g, DEQ_F32, DEQ_SCALAR, 1), x = deq_add(g, in[0], in[1]);
    deq_value y = deq_sub(g, one, deq_scale(g, deq_shift(g, x, 0.25), 3));
    out[0] = deq_mul(g, deq_clamp(g, y, -0.5, 0.75), deq_leaky_relu(g, in[2], 0.1));
    return 1;
}

/* Comparisons, their logic, selection and casts, all inside one group. */
static int tests(deq_graph *g, const deq_value *in, deq_value *out)
{
    deq_value less = deq_less(g, in[0], in[1]), more = deq_greater_equal(g, in[2], in[0]);
    deq_value both = deq_logical_and(g, less, deq_logical_not(g, more));
    deq_value either = deq_logical_or(g, both, deq_equal(g, in[0], in[0]));
    out[0] = deq_where(g, both, in[0], in[1]);
    out[1] = deq_mul(g, deq_cast(g, either, DEQ_F32), deq_cast(g, more, DEQ_F32));
    out[2] = deq_where(g, deq_cast(g, in[0], DEQ_BOOL), in[1],
                       deq_where(g, deq_not_equal(g, in[1], in[2]), in[2], in[0]));
    return 3;
}

/* Enough operands to make tiles small. */
static int wide(deq_graph *g, const deq_value *in, deq_value *out)
{
    deq_value s = in[0], t[8];
    for (int i = 0; i < 8; i++) t[i] = deq_scale(g, deq_shift(g, in[i % 3], i), 0.1 * i + 0.1);
    for (int i = 0; i < 8; i++) s = deq_add(g, s, deq_mul(g, t[i], t[(i + 3) % 8]));
    out[0] = s;
    out[1] = deq_mul(g, t[0], t[7]);
    return 2;
}

static const struct program {
    const char *name;
    build_fn *build;
} programs[] = {
    { "chain", chain },     { "branches", branches }, { "pairs", pairs },
    { "numbers", numbers }, { "tests", tests },       { "wide", wide },
};

#define SHAPE(...)                                                                                 \
    {                                                                                              \
        .rank = (int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), .dim = {              \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define RANK0                                                                                      \
    {                                                                                              \
        .rank = 0                                                                                  \
    }

static const struct shapes {
    const char *name;
    deq_shape in[3];
} shapes[] = {
    { "scalars", { RANK0, RANK0, RANK0 } },
    { "one element", { SHAPE(1), SHAPE(1, 1), RANK0 } },
    { "three", { SHAPE(3), SHAPE(3), SHAPE(3) } },
    { "a tile and one", { SHAPE(2049), SHAPE(2049), SHAPE(1) } },
    { "many tiles", { SHAPE(100003), SHAPE(100003), SHAPE(100003) } },
    { "bias, narrow", { SHAPE(1000, 3), SHAPE(3), SHAPE(1000, 3) } },
    { "bias, 8", { SHAPE(501, 8), SHAPE(8), SHAPE(501, 8) } },
    { "bias, 24", { SHAPE(700, 24), SHAPE(24), SHAPE(1, 24) } },
    { "bias, wide", { SHAPE(5, 3001), SHAPE(3001), SHAPE(5, 3001) } },
    { "bias, too wide for two rows", { SHAPE(7, 1500), SHAPE(1500), SHAPE(7, 1500) } },
    { "a number a row", { SHAPE(900, 5), SHAPE(900, 1), SHAPE(5) } },
    { "a number a long row", { SHAPE(9, 2500), SHAPE(9, 1), SHAPE(2500) } },
    { "outer product", { SHAPE(300, 1), SHAPE(1, 77), RANK0 } },
    { "channels", { SHAPE(3, 7, 5, 6), SHAPE(7, 1, 1), SHAPE(3, 7, 5, 6) } },
    { "channels of large planes", { SHAPE(2, 3, 40, 41), SHAPE(3, 1, 1), SHAPE(2, 3, 40, 41) } },
    { "samples", { SHAPE(5, 3, 4, 4), SHAPE(5, 1, 1, 1), SHAPE(5, 3, 1, 1) } },
    { "rows and columns", { SHAPE(4, 3, 10, 11), SHAPE(4, 1, 10, 1), SHAPE(1, 3, 1, 11) } },
    { "positions", { SHAPE(6, 8, 9, 10), SHAPE(1, 8, 9, 10), SHAPE(8, 9, 10) } },
    { "rank 6", { SHAPE(2, 3, 2, 3, 2, 5), SHAPE(3, 1, 3, 1, 5), SHAPE(2, 1, 2, 1, 2, 1) } },
    { "rank 8", { SHAPE(2, 1, 3, 2, 2, 3, 2, 2), SHAPE(2, 1, 1, 2, 1, 3, 1, 2), SHAPE(2) } },
    { "inputs smaller than the result", { SHAPE(1, 50), SHAPE(40, 1), SHAPE(3, 1, 1) } },
};

static compared compared_for(deq_isa isa, const struct program *p, const struct shapes *s)
{
    compared c = { .t = test_graph_for(isa) };
    for (int i = 0; i < 3; i++) (void)compared_input(&c, DEQ_STAGE_STATE, s->in[i]);
    c.n_out = p->build(c.t.g, c.in, c.out);
    return c;
}

static void groups_match_the_reference_for_all_shapes(void **state)
{
    (void)state;
    FOR_EACH_ISA(isa)
    for (size_t k = 0; k < COUNT_OF(programs); k++)
        for (size_t i = 0; i < COUNT_OF(shapes); i++) {
            char name[128], text[160];
            compared c = compared_for(isa, &programs[k], &shapes[i]);
            snprintf(name, sizeof name, "%s on %s", programs[k].name, shapes[i].name);
            compare_programs(with_isa(text, sizeof text, name, isa), &c, 2e-6);
            test_graph_free(&c.t);
        }
}

static void groups_need_no_reference_kernels(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT_OF(programs); k++) {
        compared c = compared_for(DEQ_ISA_AUTO, &programs[k], &shapes[13]);
        deq_program *p = compile_native(&c, 2);
        if (uses_kernel(p, "reference")) fail_msg("%s: reference kernel", programs[k].name);
        if (!uses_kernel(p, "fused")) fail_msg("%s: no fused kernel", programs[k].name);
        deq_program_free(p);
        test_graph_free(&c.t);
    }
}

static void memory_bound_elsewhere_gives_the_same_bits(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(shapes); i++) {
        compared c = compared_for(DEQ_ISA_AUTO, &programs[1], &shapes[i]);
        compare_rebound(shapes[i].name, &c);
        test_graph_free(&c.t);
    }
}

/* --- channels-last ---------------------------------------------------------------------------- */

/* A convolution makes channels-last activations; what follows it has operands of every kind. */
static compared after_convolution(deq_isa isa, int64_t B, int64_t C, int64_t H, int64_t W)
{
    compared c = { .t = test_graph_for(isa), .n_out = 3 };
    deq_graph *g = c.t.g;
    deq_value x = compared_input(&c, DEQ_STAGE_STATE, DEQ_SHAPE(B, C, H, W));
    deq_value w = compared_input(&c, DEQ_STAGE_PARAMETER, DEQ_SHAPE(C, 1, 1, 1));
    deq_value channel = compared_input(&c, DEQ_STAGE_PARAMETER, DEQ_SHAPE(C, 1, 1));
    deq_value sample = compared_input(&c, DEQ_STAGE_INJECTED, DEQ_SHAPE(B, C, 1, 1));
    deq_value position = compared_input(&c, DEQ_STAGE_PARAMETER, DEQ_SHAPE(C, H, W));
    deq_value column = compared_input(&c, DEQ_STAGE_STATE, DEQ_SHAPE(1, C, 1, W));
    deq_value mask = deq_greater(g, compared_input(&c, DEQ_STAGE_INJECTED, DEQ_SHAPE(B, C, H, W)),
                                 deq_fill(g, DEQ_F32, DEQ_SCALAR, 0));
    deq_value y = deq_conv2d(g, x, w, DEQ_NONE, DEQ_CONV2D(.groups = C));
    deq_value s = deq_sin(g, deq_add(g, deq_mul(g, y, channel), sample));
    c.out[0] = y;
    c.out[1] = deq_add(g, deq_mul(g, s, position), column);
    c.out[2] = deq_where(g, mask, s, deq_mul(g, y, x));
    return c;
}

static void channels_last_groups_match_the_reference(void **state)
{
    static const int64_t sizes[][4] = { { 1, 1, 1, 1 },   { 2, 3, 1, 1 },   { 3, 1, 4, 5 },
                                        { 2, 7, 5, 3 },   { 5, 8, 6, 6 },   { 2, 24, 9, 9 },
                                        { 1, 64, 8, 8 },  { 3, 120, 5, 7 }, { 2, 3000, 2, 2 },
                                        { 4, 16, 32, 32 } };
    (void)state;
    FOR_EACH_ISA(isa)
    for (size_t k = 0; k < COUNT_OF(sizes); k++) {
        char name[64], text[96];
        const int64_t *d = sizes[k];
        compared c = after_convolution(isa, d[0], d[1], d[2], d[3]);
        snprintf(name, sizeof name, "[%d, %d, %d, %d]", (int)d[0], (int)d[1], (int)d[2], (int)d[3]);
        compare_programs(with_isa(text, sizeof text, name, isa), &c, 1e-5);
        test_graph_free(&c.t);
    }
}

/* --- every operator, both types --------------------------------------------------------------- */

static deq_value apply(deq_graph *g, int code, const deq_value *in)
{
    static const int arity[] = { 0,
#define ARITY(c, name, n, kind) n,
                                 DEQ_ELEMENTWISE_LIST(ARITY)
#undef ARITY
    };
    deq_elementwise_attr a;
    memset(&a, 0, sizeof a);
    a.p[0] = -0.25, a.p[1] = 0.5;
    a.dtype = DEQ_BOOL;
    return deq_emit1(g, &deq_elementwise_ops[code], &a, sizeof a, in, arity[code]);
}

/* Inputs of the kind that the operator takes, from floats. */
static deq_value apply_to_floats(deq_graph *g, int code, deq_dtype t, const deq_value *x)
{
    deq_value zero = deq_fill(g, t, DEQ_SCALAR, 0), in[3] = { x[0], x[1], x[2] };
    bool logic = code == DEQ_EW_AND || code == DEQ_EW_OR || code == DEQ_EW_NOT;
    if (logic || code == DEQ_EW_WHERE) in[0] = deq_greater(g, x[0], zero);
    if (logic) in[1] = deq_greater(g, x[1], zero);
    if (code == DEQ_EW_POW || code == DEQ_EW_LOG || code == DEQ_EW_LOG1P || code == DEQ_EW_SQRT ||
        code == DEQ_EW_RSQRT)
        in[0] = deq_shift(g, deq_abs(g, x[0]), 0.01);
    return apply(g, code, in);
}

enum { N = 3001 };

static double number(int i, int k)
{
    return sin(1.7 * i + k) * (i % 5 == 0 ? 3 : 1) + (i % 11 == 0 && k == 1 ? 0 : 0.01);
}

/* The result of an operator, of whatever type, as bytes. */
static size_t compute(const test_graph *t, const deq_value *x, deq_value y, deq_dtype dtype,
                      const deq_compile_options *o, void *result)
{
    deq_program *p = must_compile(t, &y, 1, o);
    for (int k = 0; k < 3; k++) {
        float f[N];
        double d[N];
        for (int i = 0; i < N; i++) f[i] = (float)(d[i] = number(i, k));
        must_write(t, p, x[k], dtype == DEQ_F32 ? (void *)f : (void *)d);
    }
    must_run(p, DEQ_STAGE_PARAMETER);
    must_read(t, p, y, result);
    deq_program_free(p);
    deq_type type = deq_value_type(t->g, y);
    return deq_type_bytes(&type);
}

static void check_operator(deq_isa isa, int code, deq_dtype dtype)
{
    static double expected[N], got[N];
    test_graph t = test_graph_for(isa);
    deq_value x[3];
    for (int k = 0; k < 3; k++) {
        const char *names[3] = { "a", "b", "c" };
        x[k] = deq_input(t.g, names[k], DEQ_STAGE_STATE, dtype, DEQ_SHAPE(N));
    }
    deq_value y = apply_to_floats(t.g, code, dtype, x);
    assert_ok(&t);
    deq_compile_options plain = plain_options();
    size_t bytes = compute(&t, x, y, dtype, &plain, expected);
    (void)compute(&t, x, y, dtype, NULL, got);
    const char *name = deq_elementwise_ops[code].name;
    if (deq_value_type(t.g, y).dtype == DEQ_BOOL) {
        if (memcmp(got, expected, bytes) != 0) fail_msg("%s, %s", name, deq_isa_name(isa));
    } else {
        for (int i = 0; i < N; i++) {
            double e = dtype == DEQ_F64 ? expected[i] : (double)((float *)expected)[i];
            double r = dtype == DEQ_F64 ? got[i] : (double)((float *)got)[i];
            double tol = dtype == DEQ_F64 ? 1e-15 : 4e-7;
            if (!(fabs(e - r) <= tol * fmax(1, fabs(e))))
                fail_msg("%s, %s, %s: element %d is %.17g, expected %.17g", name, deq_isa_name(isa),
                         deq_dtype_name(dtype), i, r, e);
        }
    }
    test_graph_free(&t);
}

static void every_operator_matches_the_reference_in_both_types(void **state)
{
    (void)state;
    FOR_EACH_ISA(isa)
    for (int code = 1; code < DEQ_EW_COUNT; code++) {
        check_operator(isa, code, DEQ_F32);
        check_operator(isa, code, DEQ_F64);
    }
}

/* --- what is left to the reference kernels ---------------------------------------------------- */

static void casts_between_float_types_and_integers_still_work(void **state)
{
    test_graph t = test_graph_new();
    float x[5] = { -1.5F, 0, 2.25F, 1e9F, 7 };
    double y[5];
    (void)state;
    deq_value in = deq_input(t.g, "x", DEQ_STAGE_STATE, DEQ_F32, DEQ_SHAPE(5));
    deq_value i = deq_cast(t.g, deq_scale(t.g, in, 2), DEQ_I32);
    deq_value wide_x = deq_cast(t.g, i, DEQ_F64);
    deq_value positive = deq_greater(t.g, wide_x, deq_fill(t.g, DEQ_F64, DEQ_SCALAR, 0));
    deq_value out = deq_cast(t.g, deq_mul(t.g, deq_cast(t.g, positive, DEQ_F32), in), DEQ_F64);
    assert_ok(&t);
    deq_program *p = must_compile(&t, &out, 1, NULL);
    must_write(&t, p, in, x);
    must_run(p, DEQ_STAGE_PARAMETER);
    must_read(&t, p, out, y);
    for (int k = 0; k < 5; k++) assert_true(y[k] == (x[k] > 0 ? (double)x[k] : 0));
    deq_program_free(p);
    test_graph_free(&t);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(groups_match_the_reference_for_all_shapes),
        cmocka_unit_test(groups_need_no_reference_kernels),
        cmocka_unit_test(memory_bound_elsewhere_gives_the_same_bits),
        cmocka_unit_test(channels_last_groups_match_the_reference),
        cmocka_unit_test(every_operator_matches_the_reference_in_both_types),
        cmocka_unit_test(casts_between_float_types_and_integers_still_work),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
