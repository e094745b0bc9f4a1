/* SPDX-License-Identifier: MIT */
/*
 * Elementary functions in f32, without branches and without calls, so that a loop over them becomes
 * vector code on any instruction set.
 *
 * Bounds, which tests/backend/test_vector_math.c measures against the C library in double:
 *
 *   exp, log, log1p, pow                                    2 ulp
 *   tanh, sigmoid, erf, softplus, silu, gelu, gelu_tanh     4 ulp or 1e-7 absolute
 *
 * Zeros, infinities and NaN give what the mathematics says (silu and gelu are 0 at -infinity).
 * Denormal arguments are taken as they are.  Results of exp below the smallest normal number are 0,
 * and with them the tails of sigmoid, softplus, silu and the gelus.
 *
 * Products and sums may be fused or not: no step relies on either.  Polynomials are minimax fits of
 * the quantity in the comment, with coefficients rounded to f32 one after another from the lowest
 * and the others refitted.
 */
#ifndef DEQ_BACKEND_CPU_VECTOR_MATH_H
#define DEQ_BACKEND_CPU_VECTOR_MATH_H

#include <math.h>
#include <stdint.h>

/* A loop is vector code only if what it calls is part of it. */
#define VM_INLINE static inline __attribute__((always_inline))

typedef union vm_bits {
    float f;
    int32_t i;
} vm_bits;

VM_INLINE float vm_float(int32_t i)
{
    return (vm_bits){ .i = i }.f;
}

VM_INLINE int32_t vm_int(float f)
{
    return (vm_bits){ .f = f }.i;
}

VM_INLINE float vm_abs(float x)
{
    return vm_float(vm_int(x) & 0x7fffffff);
}

VM_INLINE float vm_copysign(float x, float sign)
{
    return vm_float((vm_int(x) & 0x7fffffff) | (vm_int(sign) & INT32_MIN));
}

/* 2^n for -126 <= n <= 127; any other n gives some number, as unwanted lanes of a vector do. */
VM_INLINE float vm_power(int32_t n)
{
    return vm_float((int32_t)((uint32_t)(n + 127) << 23));
}

/* x 2^n for -252 <= n <= 254, in two steps so that small results lose bits only once. */
VM_INLINE float vm_scale(float x, int32_t n)
{
    int32_t half = n >> 1;
    return x * vm_power(half) * vm_power(n - half);
}

/* Adding 1.5 2^23 rounds |x| < 2^22 to an integer, which is then in the low bits. */
#define VM_ROUND 12582912.0f

/*
 * exp(x) = 2^n exp(r),  n = round(x / ln 2),  r = x - n ln 2,  with ln 2 in two parts of which the
 * first times n is exact;  exp(r) = 1 + r + r^2 P(r), relative error 3e-9.
 */
VM_INLINE float vm_exp(float x)
{
    int32_t vanishes = x < -87.3365402f; /* below the smallest normal number */
    x = vanishes ? 0.0f : x;
    x = x > 89.0f ? 89.0f : x; /* above: infinity */
    float shifted = x * 1.44269504f + VM_ROUND;
    float n = shifted - VM_ROUND;
    float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
    float p = 0x1.6a5e04p-10f;
    p = p * r + 0x1.123ac8p-7f;
    p = p * r + 0x1.5558a2p-5f;
    p = p * r + 0x1.555490p-3f;
    p = p * r + 0x1.fffffcp-2f;
    p = p * (r * r) + r + 1.0f;
    p = vm_scale(p, vm_int(shifted) - vm_int(VM_ROUND));
    return vanishes ? 0.0f : p;
}

/*
 * x = m 2^e with m in [sqrt(1/2), sqrt(2)), for positive x.  Denormal x are scaled up first.
 */
VM_INLINE float vm_split(float x, int32_t *e)
{
    int32_t tiny = x < 0x1p-126f;
    int32_t i = vm_int(tiny ? x * 0x1p23f : x);
    int32_t n = (int32_t)((uint32_t)i - 0x3f3504f3) >> 23; /* 0x3f3504f3 is sqrt(1/2) */
    *e = n - (tiny ? 23 : 0);
    return vm_float((int32_t)((uint32_t)i - ((uint32_t)n << 23)));
}

/*
 * log(x) = e ln 2 + log(1 + f),  f = m - 1;  log(1 + f) = f - f^2 / 2 + f^3 P(f), relative error
 * 8e-10.  `extra` is added where it rounds least; it must be small.
 */
VM_INLINE float vm_log_plus(float x, float extra)
{
    int32_t e;
    float f = vm_split(x, &e) - 1.0f, n = (float)e;
    float p = 0x1.13c8bcp-4f;
    p = p * f + -0x1.dd9ee4p-4f;
    p = p * f + 0x1.e6dbe2p-4f;
    p = p * f + -0x1.fc3d60p-4f;
    p = p * f + 0x1.233adap-3f;
    p = p * f + -0x1.555b90p-3f;
    p = p * f + 0x1.99a478p-3f;
    p = p * f + -0x1.000008p-2f;
    p = p * f + 0x1.555548p-2f;
    float f2 = f * f;
    float low = p * f * f2 + n * -2.12194440e-4f;
    float y = f + (low - 0.5f * f2 + extra) + n * 0.693359375f;
    y = x == INFINITY ? x : y;
    y = x == 0.0f ? -INFINITY : y;
    return x >= 0.0f ? y : NAN;
}

VM_INLINE float vm_log(float x)
{
    return vm_log_plus(x, 0.0f);
}

/*
 * log(1 + x) = log(u) + (x - (u - 1)) / u,  u = 1 + x rounded: the second term is what rounding
 * took away.
 */
VM_INLINE float vm_log1p(float x)
{
    float u = 1.0f + x;
    float lost = (x - (u - 1.0f)) / u;
    lost = u > 0.0f && u < INFINITY ? lost : 0.0f;
    float y = vm_log_plus(u, lost);
    return vm_abs(x) < 0x1p-25f ? x : y;
}

/* x + x^3 P(x^2) for small |x|, relative error 5e-9;  else 1 - 2 / (exp(2 |x|) + 1). */
VM_INLINE float vm_tanh(float x)
{
    float a = vm_abs(x), u = x * x;
    float p = -0x1.758facp-8f;
    p = p * u + 0x1.5211c4p-6f;
    p = p * u + -0x1.b838a0p-5f;
    p = p * u + 0x1.110704p-3f;
    p = p * u + -0x1.555532p-2f;
    float small = p * u * x + x;
    float large = 1.0f - 2.0f / (vm_exp(2.0f * a) + 1.0f);
    return a < 0.625f ? small : vm_copysign(large, x);
}

VM_INLINE float vm_sigmoid(float x)
{
    return 1.0f / (1.0f + vm_exp(-x));
}

/* log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)). */
VM_INLINE float vm_softplus(float x)
{
    return (x < 0.0f ? 0.0f : x) + vm_log1p(vm_exp(-vm_abs(x)));
}

/* erfc(t) for t >= 0 as exp(-t Q(t)), absolute error 1e-8, decaying to 0 at t = 10.2. */
VM_INLINE float vm_erfc_positive(float t)
{
    t = t > 10.2f ? 10.2f : t;
    float q = 0x1.cd88d6p-23f;
    q = q * t + -0x1.babbeep-18f;
    q = q * t + 0x1.4955fap-14f;
    q = q * t + -0x1.e35eaap-12f;
    q = q * t + 0x1.54244ap-10f;
    q = q * t + 0x1.1ee804p-12f;
    q = q * t + -0x1.3e6daep-6f;
    q = q * t + 0x1.a55fb4p-4f;
    q = q * t + 0x1.45f0fcp-1f;
    q = q * t + 0x1.20dd82p+0f;
    return vm_exp(-t * q);
}

/* x + x P(x^2) for small |x|, relative error 1e-8;  else 1 - erfc(|x|). */
VM_INLINE float vm_erf(float x)
{
    float a = vm_abs(x), u = x * x;
    float p = -0x1.3ed2b6p-11f;
    p = p * u + 0x1.485472p-8f;
    p = p * u + -0x1.b6b80ep-6f;
    p = p * u + 0x1.ce1d3cp-4f;
    p = p * u + -0x1.8126f4p-2f;
    p = p * u + 0x1.06eba6p-3f;
    float small = x + x * p;
    float large = vm_copysign(1.0f - vm_erfc_positive(a), x);
    return a < 0.9f ? small : large;
}

/* x Phi(x) = x - x h for x > 0, x h for x < 0, with h = erfc(|x| / sqrt(2)) / 2. */
VM_INLINE float vm_gelu(float x)
{
    float h = 0.5f * vm_erfc_positive(vm_abs(x) * 0.707106781f);
    float tail = h == 0.0f ? 0.0f : x * h;
    return x > 0.0f ? x - tail : tail;
}

/* x / (1 + exp(-u)), and its limit 0 at x = -infinity, where it would be infinity / infinity. */
VM_INLINE float vm_gate(float x, float u)
{
    float y = x / (1.0f + vm_exp(-u));
    return x == -INFINITY ? 0.0f : y;
}

VM_INLINE float vm_silu(float x)
{
    return vm_gate(x, x);
}

/* (1 + tanh(u)) / 2 = sigmoid(2 u),  u = sqrt(2 / pi) (x + 0.044715 x^3). */
VM_INLINE float vm_gelu_tanh(float x)
{
    return vm_gate(x, x * (1.59576912f + 0.0713548163f * (x * x)));
}

/*
 * |x|^y = 2^(y log2 |x|), where the exponent needs more bits than f32 has: in double.
 *
 *   log2 |x| = e + 2 atanh(s) / ln 2,  s = (m - 1) / (m + 1), relative error 4e-12
 *   2^r for |r| <= 1/2, relative error 2e-9
 */
VM_INLINE float vm_pow_positive(float a, float y)
{
    int32_t e;
    double m = (double)vm_split(a, &e);
    double s = (m - 1.0) / (m + 1.0), u = s * s;
    double p = 0x1.5cea83e483918p-2;
    p = p * u + 0x1.a58d66de9975ep-2;
    p = p * u + 0x1.2777803ab31f1p-1;
    p = p * u + 0x1.ec709d125022bp-1;
    p = p * u + 0x1.71547652bee6ep+1;
    double t = (double)y * ((double)e + s * p);
    t = t < -160.0 ? -160.0 : t;
    t = t > 130.0 ? 130.0 : t;
    float n = ((float)t + VM_ROUND) - VM_ROUND;
    double r = t - (double)n;
    p = 0x1.41d28ec154cabp-13;
    p = p * r + 0x1.5f464d6b9047cp-10;
    p = p * r + 0x1.3b2dbee112219p-7;
    p = p * r + 0x1.c6aed2f92545cp-5;
    p = p * r + 0x1.ebfbdad4cbc33p-3;
    p = p * r + 0x1.62e430c932193p-1;
    p = p * r + 0x1.0000000266344p+0;
    return vm_scale((float)p, vm_int(n + VM_ROUND) - vm_int(VM_ROUND));
}

/* Is y an integer; and an odd one? */
VM_INLINE int32_t vm_is_integer(float y)
{
    float a = vm_abs(y);
    return a >= 0x1p23f || (a + 0x1p23f) - 0x1p23f == a;
}

VM_INLINE int32_t vm_is_odd(float y)
{
    float half = 0.5f * y;
    return vm_is_integer(y) && !vm_is_integer(half);
}

/* x^y with the C library's answers for 0, 1, infinities, NaN and negative x. */
VM_INLINE float vm_pow(float x, float y)
{
    float a = vm_abs(x);
    int32_t grows = (a > 1.0f) == (y > 0.0f); /* where y is an infinity, or a is 0 or infinity */
    float extreme = grows ? INFINITY : 0.0f;
    float r = vm_pow_positive(a, y);
    r = a == 0.0f || a == INFINITY || vm_abs(y) == INFINITY ? extreme : r;
    r = a == 1.0f ? 1.0f : r;
    r = vm_int(x) < 0 && vm_is_odd(y) ? -r : r;
    r = x < 0.0f && a < INFINITY && !vm_is_integer(y) ? NAN : r;
    r = x != x || y != y ? NAN : r;
    return x == 1.0f || y == 0.0f ? 1.0f : r;
}

#endif
