/* SPDX-License-Identifier: MIT */
/*
 * The elementary functions of tile programs, for every instruction set that this machine has,
 * against the C library in double over the whole range of f32.
 */
#include "support/test.h"

#include "backend/cpu/tile_kernels.h"
#include "base/isa.h"

#include <float.h>
#include <math.h>
#include <string.h>

static double rsqrt(double x)
{
    return 1 / sqrt(x);
}

static double sigmoid(double x)
{
    return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}

static double softplus(double x)
{
    return fmax(x, 0) + log1p(exp(-fabs(x)));
}

static double silu(double x)
{
    return x == -INFINITY ? 0 : x * sigmoid(x);
}

static double gelu(double x)
{
    return x == -INFINITY ? 0 : 0.5 * x * erfc(-x * 0.70710678118654752440);
}

static double gelu_tanh(double x)
{
    return x == -INFINITY ? 0
                          : x * sigmoid(2 * 0.79788456080286535588 * (x + 0.044715 * x * x * x));
}

/* Within `ulp` units in the last place of f32 or within `absolute`. */
static const struct function {
    const char *name;
    int code;
    double (*exact)(double);
    double ulp, absolute;
} functions[] = {
    { "exp", DEQ_EW_EXP, exp, 2, 0 },
    { "log", DEQ_EW_LOG, log, 2, 0 },
    { "log1p", DEQ_EW_LOG1P, log1p, 2, 0 },
    { "sqrt", DEQ_EW_SQRT, sqrt, 0.51, 0 },
    { "rsqrt", DEQ_EW_RSQRT, rsqrt, 1.51, 0 },
    { "tanh", DEQ_EW_TANH, tanh, 4, 0 },
    { "sigmoid", DEQ_EW_SIGMOID, sigmoid, 4, 0 },
    { "softplus", DEQ_EW_SOFTPLUS, softplus, 4, 0 },
    { "erf", DEQ_EW_ERF, erf, 4, 0 },
    { "silu", DEQ_EW_SILU, silu, 4, 1e-35 },
    { "gelu", DEQ_EW_GELU, gelu, 4, 1e-7 },
    { "gelu_tanh", DEQ_EW_GELU_TANH, gelu_tanh, 4, 1e-7 },
    { "sin", DEQ_EW_SIN, sin, 1, 0 },
    { "cos", DEQ_EW_COS, cos, 1, 0 },
};

static const deq_tile_kernels *level(int k)
{
    return k > (int)deq_isa_detect() ? NULL : deq_tile_kernels_of((deq_isa)k);
}

static float from_bits(uint32_t i)
{
    float x;
    memcpy(&x, &i, sizeof x);
    return x;
}

/* Distance in units in the last place that f32 has at the exact value. */
static double ulps(float y, double exact)
{
    int e;
    if (isnan(exact)) return isnan(y) ? 0 : INFINITY;
    double largest = (double)FLT_MAX * (1 + 0x1p-25);
    if (fabs(exact) >= largest) return y == (exact > 0 ? INFINITY : -INFINITY) ? 0 : INFINITY;
    if (!isfinite(y)) return INFINITY;
    frexp(exact, &e);
    return fabs((double)y - exact) / ldexp(1, e - 24 > -149 ? e - 24 : -149);
}

static void within(const char *name, int isa, double ulp, double absolute, float x, float y,
                   double exact)
{
    double wrong = ulps(y, exact);
    if (wrong <= ulp || fabs((double)y - exact) <= absolute) return;
    if (fabs(exact) < (double)FLT_MIN && fabs((double)y) <= (double)FLT_MIN) return; /* flushed */
    fail_msg("%s(%a), %s: got %a, exact %a, %.2f ulp", name, (double)x, deq_isa_name((deq_isa)isa),
             (double)y, exact, wrong);
}

enum { TILE = 4096 };

static void sweep(const struct function *f, int isa, deq_tile_op *op)
{
    static const double p[2] = { 0 };
    static float x[TILE], y[TILE];
    const uint64_t step = 2003; /* of the 2^32 numbers */
    double worst = 0;
    for (uint64_t at = 0; at < 0x100000000u; at += step * TILE) {
        for (uint64_t i = 0; i < TILE; i++) x[i] = from_bits((uint32_t)(at + i * step));
        op(TILE, p, x, NULL, NULL, y);
        for (int i = 0; i < TILE; i++) {
            double exact = f->exact((double)x[i]);
            within(f->name, isa, f->ulp, f->absolute, x[i], y[i], exact);
            double wrong = ulps(y[i], exact);
            if (fabs(exact) >= 1e-6 && wrong > worst && wrong < INFINITY) worst = wrong;
        }
    }
    print_message("%-10s %-8s worst %.2f ulp where |y| >= 1e-6\n", f->name,
                  deq_isa_name((deq_isa)isa), worst);
}

static void functions_keep_their_bounds_over_all_of_f32(void **state)
{
    (void)state;
    for (int isa = DEQ_ISA_BASELINE; isa <= DEQ_ISA_AVX512 && level(isa); isa++)
        for (size_t k = 0; k < sizeof functions / sizeof *functions; k++)
            sweep(&functions[k], isa, level(isa)->f32[functions[k].code]);
}

/* Near 1 for log, near 0 for the rest, where relative accuracy is hardest. */
static void functions_keep_their_bounds_where_cancellation_lurks(void **state)
{
    static const double p[2] = { 0 };
    static float x[TILE], y[TILE];
    (void)state;
    for (int isa = DEQ_ISA_BASELINE; isa <= DEQ_ISA_AVX512 && level(isa); isa++)
        for (size_t k = 0; k < sizeof functions / sizeof *functions; k++) {
            const struct function *f = &functions[k];
            for (int centre = -1; centre <= 1; centre++) {
                for (int i = 0; i < TILE; i++)
                    x[i] = (float)centre +
                           ldexpf(1 + (float)(i % 64) / 64, -(i / 128)) * (i % 128 < 64 ? 1 : -1);
                level(isa)->f32[f->code](TILE, p, x, NULL, NULL, y);
                for (int i = 0; i < TILE; i++)
                    within(f->name, isa, f->ulp, f->absolute, x[i], y[i], f->exact((double)x[i]));
            }
        }
}

static void special_arguments_give_limits(void **state)
{
    static const struct special {
        int code;
        float x, y;
    } specials[] = {
        { DEQ_EW_EXP, INFINITY, INFINITY },
        { DEQ_EW_EXP, -INFINITY, 0 },
        { DEQ_EW_EXP, 0, 1 },
        { DEQ_EW_EXP, -1e9f, 0 },
        { DEQ_EW_LOG, 0, -INFINITY },
        { DEQ_EW_LOG, INFINITY, INFINITY },
        { DEQ_EW_LOG, 1, 0 },
        { DEQ_EW_LOG, -1, NAN },
        { DEQ_EW_LOG1P, -1, -INFINITY },
        { DEQ_EW_LOG1P, INFINITY, INFINITY },
        { DEQ_EW_LOG1P, 0, 0 },
        { DEQ_EW_LOG1P, -2, NAN },
        { DEQ_EW_TANH, INFINITY, 1 },
        { DEQ_EW_TANH, -INFINITY, -1 },
        { DEQ_EW_TANH, 0, 0 },
        { DEQ_EW_SIGMOID, INFINITY, 1 },
        { DEQ_EW_SIGMOID, -INFINITY, 0 },
        { DEQ_EW_SIGMOID, 0, 0.5f },
        { DEQ_EW_SOFTPLUS, INFINITY, INFINITY },
        { DEQ_EW_SOFTPLUS, -INFINITY, 0 },
        { DEQ_EW_ERF, INFINITY, 1 },
        { DEQ_EW_ERF, -INFINITY, -1 },
        { DEQ_EW_ERF, 0, 0 },
        { DEQ_EW_SILU, INFINITY, INFINITY },
        { DEQ_EW_SILU, -INFINITY, 0 },
        { DEQ_EW_GELU, INFINITY, INFINITY },
        { DEQ_EW_GELU, -INFINITY, 0 },
        { DEQ_EW_GELU, -FLT_MAX, 0 },
        { DEQ_EW_GELU_TANH, INFINITY, INFINITY },
        { DEQ_EW_GELU_TANH, -INFINITY, 0 },
        { DEQ_EW_GELU_TANH, -FLT_MAX, 0 },
        { DEQ_EW_RSQRT, 0, INFINITY },
        { DEQ_EW_RSQRT, INFINITY, 0 },
        { DEQ_EW_RSQRT, -1, NAN },
        { DEQ_EW_RELU, -INFINITY, 0 },
        { DEQ_EW_RELU, NAN, NAN },
        { DEQ_EW_SIGN, NAN, NAN },
        { DEQ_EW_SIGN, -3, -1 },
        { DEQ_EW_CLAMP, NAN, NAN },
        { DEQ_EW_ABS, -INFINITY, INFINITY },
    };
    static const double p[2] = { 0 };
    (void)state;
    for (int isa = DEQ_ISA_BASELINE; isa <= DEQ_ISA_AVX512 && level(isa); isa++)
        for (size_t k = 0; k < sizeof specials / sizeof *specials; k++)
            for (int is64 = 0; is64 < 2; is64++) {
                const struct special *s = &specials[k];
                double x64[3] = { (double)s->x, (double)s->x, (double)s->x }, y64[3];
                float x[3] = { s->x, s->x, s->x }, y[3];
                level(isa)->f32[s->code](3, p, x, NULL, NULL, y);
                level(isa)->f64[s->code](3, p, x64, NULL, NULL, y64);
                float got = is64 ? (float)y64[2] : y[2];
                if (isnan(s->y) ? !isnan(got) : got != s->y)
                    fail_msg("code %d at %g, %s: got %g, expected %g", s->code, (double)s->x,
                             deq_isa_name((deq_isa)isa), (double)got, (double)s->y);
            }
}

static void functions_of_nan_are_nan(void **state)
{
    static const double p[2] = { 0 };
    (void)state;
    for (int isa = DEQ_ISA_BASELINE; isa <= DEQ_ISA_AVX512 && level(isa); isa++)
        for (size_t k = 0; k < sizeof functions / sizeof *functions; k++) {
            float x[17], y[17];
            for (int i = 0; i < 17; i++) x[i] = NAN;
            level(isa)->f32[functions[k].code](17, p, x, NULL, NULL, y);
            for (int i = 0; i < 17; i++)
                if (!isnan(y[i])) fail_msg("%s(NaN) is %g", functions[k].name, (double)y[i]);
        }
}

static void pow_keeps_its_bound_and_the_rules_of_the_c_library(void **state)
{
    static const float points[] = { 0,        -0.0f,    1,          -1,      INFINITY, -INFINITY,
                                    NAN,      0.5f,     -0.5f,      2,       -2,       3,
                                    -3,       1e10f,    1e30f,      -1e30f,  1e-30f,   1e-42f,
                                    16777215, 16777218, 4194305.5f, 8388609, -2.5f,    1e20f };
    enum { N = sizeof points / sizeof *points };
    static const double p[2] = { 0 };
    static float x[TILE], b[TILE], y[TILE];
    uint64_t random = 1;
    (void)state;
    for (int isa = DEQ_ISA_BASELINE; isa <= DEQ_ISA_AVX512 && level(isa); isa++)
        for (int round = 0; round < 50; round++) {
            for (int i = 0; i < TILE; i++) {
                random = random * 6364136223846793005u + 1442695040888963407u;
                uint32_t r = (uint32_t)(random >> 32);
                x[i] = round ? from_bits(r & 0x7fffffff) : points[i % N];
                b[i] = round ? ldexpf((float)(int32_t)(r * 2654435761u), -(24 + round % 12))
                             : points[i / N % N];
            }
            level(isa)->f32[DEQ_EW_POW](TILE, p, x, b, NULL, y);
            for (int i = 0; i < TILE; i++)
                within("pow", isa, 2, 0, x[i], y[i], pow((double)x[i], (double)b[i]));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_keep_their_bounds_over_all_of_f32),
        cmocka_unit_test(functions_keep_their_bounds_where_cancellation_lurks),
        cmocka_unit_test(special_arguments_give_limits),
        cmocka_unit_test(functions_of_nan_are_nan),
        cmocka_unit_test(pow_keeps_its_bound_and_the_rules_of_the_c_library),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
