/* SPDX-License-Identifier: MIT */
/*
 * Instructions of tile programs: one loop each over a tile that lies in the first-level cache.  The
 * loops are plain C without branches; the compiler makes vector code of them.  An instruction may
 * write onto one of its inputs, element by element, which `omp simd` declares to be harmless.
 */
#include "backend/cpu/tile_kernels.h"

#include "backend/cpu/vector_math.h"

/* In f64, exactness comes first: the C library. */
VM_INLINE double vd_gelu(double x)
{
    return x == -INFINITY ? 0 : 0.5 * x * erfc(-x * 0.70710678118654752440);
}

VM_INLINE double vd_sigmoid(double x)
{
    double e = exp(-fabs(x));
    return (x < 0 ? e : 1) / (1 + e);
}

VM_INLINE double vd_silu(double x)
{
    return x == -INFINITY ? 0 : x * vd_sigmoid(x);
}

VM_INLINE double vd_gelu_tanh(double x)
{
    double u = 0.79788456080286535588 * (x + 0.044715 * x * x * x);
    return x == -INFINITY ? 0 : 0.5 * x * (1 + tanh(u));
}

VM_INLINE double vd_softplus(double x)
{
    return (x < 0 ? 0 : x) + log1p(exp(-fabs(x)));
}

/* clang-format off */
#define vm_sin   sinf
#define vm_cos   cosf
#define vm_sqrt  sqrtf
#define vd_sin   sin
#define vd_cos   cos
#define vd_sqrt  sqrt
#define vd_exp   exp
#define vd_log   log
#define vd_log1p log1p
#define vd_pow   pow
#define vd_erf   erf
#define vd_abs   fabs
#define vd_tanh  tanh

/* X(code, number of inputs, T, value of one element); M(f) is the function f in type T.  Truth
 * values are 0 and 1. */
#define ARITHMETIC(X, T, M)                                                                        \
    X(DEQ_EW_ADD, 2, T, a + b)                                                                     \
    X(DEQ_EW_SUB, 2, T, a - b)                                                                     \
    X(DEQ_EW_MUL, 2, T, a * b)                                                                     \
    X(DEQ_EW_DIV, 2, T, a / b)                                                                     \
    X(DEQ_EW_MIN, 2, T, a < b || a != a ? a : b)                                                   \
    X(DEQ_EW_MAX, 2, T, a > b || a != a ? a : b)                                                   \
    X(DEQ_EW_NEG, 1, T, -a)                                                                        \
    X(DEQ_EW_ABS, 1, T, M(abs)(a))                                                                 \
    X(DEQ_EW_SIGN, 1, T, a > 0 ? (T)1 : a < 0 ? (T)-1 : a != a ? a : (T)0)                         \
    X(DEQ_EW_SQUARE, 1, T, a * a)                                                                  \
    X(DEQ_EW_SQRT, 1, T, M(sqrt)(a))                                                               \
    X(DEQ_EW_RSQRT, 1, T, (T)1 / M(sqrt)(a))                                                       \
    X(DEQ_EW_RELU, 1, T, a <= 0 ? (T)0 : a)                                                        \
    X(DEQ_EW_LEAKY_RELU, 1, T, a > 0 ? a : p0 * a)                                                 \
    X(DEQ_EW_CLAMP, 1, T, a < p0 ? p0 : a > p1 ? p1 : a)                                           \
    X(DEQ_EW_WHERE, 3, T, a != 0 ? b : c)                                                          \
    X(DEQ_EW_EQUAL, 2, T, a == b ? (T)1 : (T)0)                                                    \
    X(DEQ_EW_NOT_EQUAL, 2, T, a != b ? (T)1 : (T)0)                                                \
    X(DEQ_EW_LESS, 2, T, a < b ? (T)1 : (T)0)                                                      \
    X(DEQ_EW_LESS_EQUAL, 2, T, a <= b ? (T)1 : (T)0)                                               \
    X(DEQ_EW_GREATER, 2, T, a > b ? (T)1 : (T)0)                                                   \
    X(DEQ_EW_GREATER_EQUAL, 2, T, a >= b ? (T)1 : (T)0)                                            \
    X(DEQ_EW_AND, 2, T, a * b)                                                                     \
    X(DEQ_EW_OR, 2, T, a > b ? a : b)                                                              \
    X(DEQ_EW_NOT, 1, T, (T)1 - a)                                                                  \
    X(DEQ_EW_CAST, 1, T, a != 0 ? (T)1 : (T)0)                                                     \
    X(DEQ_TILE_COPY, 1, T, a)                                                                      \
    X(DEQ_TILE_MUL_ADD, 3, T, a * b + c)                                                           \
    X(DEQ_TILE_ADD_RELU, 2, T, a + b <= 0 ? (T)0 : a + b)

/* Vector code in f32, the C library in f64. */
#define FUNCTIONS(X, T, M)                                                                         \
    X(DEQ_EW_POW, 2, T, M(pow)(a, b))                                                              \
    X(DEQ_EW_EXP, 1, T, M(exp)(a))                                                                 \
    X(DEQ_EW_LOG, 1, T, M(log)(a))                                                                 \
    X(DEQ_EW_LOG1P, 1, T, M(log1p)(a))                                                             \
    X(DEQ_EW_ERF, 1, T, M(erf)(a))                                                                 \
    X(DEQ_EW_TANH, 1, T, M(tanh)(a))                                                               \
    X(DEQ_EW_SIGMOID, 1, T, M(sigmoid)(a))                                                         \
    X(DEQ_EW_SOFTPLUS, 1, T, M(softplus)(a))                                                       \
    X(DEQ_EW_GELU, 1, T, M(gelu)(a))                                                               \
    X(DEQ_EW_GELU_TANH, 1, T, M(gelu_tanh)(a))                                                     \
    X(DEQ_EW_SILU, 1, T, M(silu)(a))

/* The C library in both. */
#define CALLS(X, T, M)                                                                             \
    X(DEQ_EW_SIN, 1, T, M(sin)(a))                                                                 \
    X(DEQ_EW_COS, 1, T, M(cos)(a))
/* clang-format on */

#define READ_1(T) const T a = ((const T *)va)[i];
#define READ_2(T) READ_1(T) const T b = ((const T *)vb)[i];
#define READ_3(T) READ_2(T) const T c = ((const T *)vc)[i];

#define DEFINE(simd, code, arity, T, value)                                                        \
    static void code##_##T(int64_t n, const double *p, const void *va, const void *vb,             \
                           const void *vc, void *vy)                                               \
    {                                                                                              \
        const T p0 = (T)p[0], p1 = (T)p[1];                                                        \
        T *y = vy;                                                                                 \
        (void)p0, (void)p1, (void)vb, (void)vc;                                                    \
        simd for (int64_t i = 0; i < n; i++)                                                       \
        {                                                                                          \
            READ_##arity(T) y[i] = (value);                                                        \
        }                                                                                          \
    }
#define DEFINE_VECTOR(code, arity, T, value) DEFINE(_Pragma("omp simd"), code, arity, T, value)
#define DEFINE_CALLS(code, arity, T, value) DEFINE(, code, arity, T, value)

#define VM(f) vm_##f
#define VD(f) vd_##f
ARITHMETIC(DEFINE_VECTOR, float, VM)
FUNCTIONS(DEFINE_VECTOR, float, VM)
CALLS(DEFINE_CALLS, float, VM)
ARITHMETIC(DEFINE_VECTOR, double, VD)
FUNCTIONS(DEFINE_CALLS, double, VD)
CALLS(DEFINE_CALLS, double, VD)

/* What changes between the working type and bytes, and what makes tiles from arrays. ---------- */

#define DEFINE_STORE_BOOL(T)                                                                       \
    static void DEQ_TILE_STORE_BOOL_##T(int64_t n, const double *p, const void *va,                \
                                        const void *vb, const void *vc, void *vy)                  \
    {                                                                                              \
        const T *a = va;                                                                           \
        uint8_t *y = vy;                                                                           \
        (void)p, (void)vb, (void)vc;                                                               \
        _Pragma("omp simd") for (int64_t i = 0; i < n; i++) y[i] = a[i] != 0;                      \
    }
DEFINE_STORE_BOOL(float)
DEFINE_STORE_BOOL(double)

/* The innermost axis: a run of neighbours, one element repeated, or anything. */
#define DEFINE_RUN(name, T, X, value)                                                              \
    static inline void name(T *y, const X *from, int64_t n, int64_t stride)                        \
    {                                                                                              \
        if (stride == 1) {                                                                         \
            _Pragma("omp simd") for (int64_t i = 0; i < n; i++)                                    \
            {                                                                                      \
                const X x = from[i];                                                               \
                y[i] = (value);                                                                    \
            }                                                                                      \
        } else if (stride == 0) {                                                                  \
            const X x = *from;                                                                     \
            const T same = (value);                                                                \
            _Pragma("omp simd") for (int64_t i = 0; i < n; i++) y[i] = same;                       \
        } else {                                                                                   \
            for (int64_t i = 0; i < n; i++) {                                                      \
                const X x = from[i * stride];                                                      \
                y[i] = (value);                                                                    \
            }                                                                                      \
        }                                                                                          \
    }
DEFINE_RUN(run_f32, float, float, x)
DEFINE_RUN(run_f64, double, double, x)
DEFINE_RUN(run_bool_f32, float, uint8_t, x ? 1.0f : 0.0f)
DEFINE_RUN(run_bool_f64, double, uint8_t, x ? 1.0 : 0.0)

#define DEFINE_GATHER(name, run, T, X)                                                             \
    static void name(void *vy, const void *vx, int rank, const int64_t *dim,                       \
                     const int64_t *stride)                                                        \
    {                                                                                              \
        const X *x = vx;                                                                           \
        T *y = vy;                                                                                 \
        if (rank == 1) {                                                                           \
            run(y, x, dim[0], stride[0]);                                                          \
            return;                                                                                \
        }                                                                                          \
        int64_t inner = 1, last = rank - 1;                                                        \
        for (int i = 0; i < rank - 1; i++) inner *= dim[i];                                        \
        for (int64_t k = 0; k < dim[last]; k++)                                                    \
            if (rank == 2)                                                                         \
                run(y + k * inner, x + k * stride[1], inner, stride[0]);                           \
            else                                                                                   \
                name(y + k * inner, x + k * stride[last], rank - 1, dim, stride);                  \
    }
DEFINE_GATHER(gather_f32, run_f32, float, float)
DEFINE_GATHER(gather_f64, run_f64, double, double)
DEFINE_GATHER(gather_bool_f32, run_bool_f32, float, uint8_t)
DEFINE_GATHER(gather_bool_f64, run_bool_f64, double, uint8_t)

#define ENTRY(code, arity, T, value) [code] = code##_##T,
#define TABLE(T, M)                                                                                \
    ARITHMETIC(ENTRY, T, M)                                                                        \
    FUNCTIONS(ENTRY, T, M)                                                                         \
    CALLS(ENTRY, T, M)                                                                             \
    [DEQ_TILE_STORE_BOOL] = DEQ_TILE_STORE_BOOL_##T

const deq_tile_kernels DEQ_ISA_NAME(deq_tile_kernels) = {
    .f32 = { TABLE(float, VM) },
    .f64 = { TABLE(double, VD) },
    .gather_f32 = gather_f32,
    .gather_f64 = gather_f64,
    .gather_bool_f32 = gather_bool_f32,
    .gather_bool_f64 = gather_bool_f64,
};
