/* SPDX-License-Identifier: MIT */
/*
 * Element-wise operators: shape rule and reference kernel.  Derivatives: elementwise_derive.c.
 */
#include "op/elementwise.h"

#include "op/elementwise_derive.h"
#include "op/real.h"

#include <math.h>
#include <string.h>

bool deq_broadcast_shapes(deq_shape *out, const deq_shape *a, const deq_shape *b)
{
    deq_shape s = { .rank = a->rank > b->rank ? a->rank : b->rank };
    for (int i = 1; i <= s.rank; i++) {
        int64_t da = i <= a->rank ? a->dim[a->rank - i] : 1;
        int64_t db = i <= b->rank ? b->dim[b->rank - i] : 1;
        if (da != db && da != 1 && db != 1) return false;
        s.dim[s.rank - i] = da == 1 ? db : da;
    }
    *out = s;
    return true;
}

/* Shape rules, by kind ----------------------------------------------------------------------- */

static bool broadcast_inputs(deq_shape_rule *r)
{
    r->out[0].shape = r->in[0].shape;
    for (int i = 1; i < r->n_in; i++) {
        deq_shape before = r->out[0].shape;
        if (deq_broadcast_shapes(&r->out[0].shape, &before, &r->in[i].shape)) continue;
        char a[256], b[256];
        deq_type ta = { r->in[i - 1].dtype, before };
        return deq_rule_fail(r, DEQ_ERR_SHAPE, "%s and %s do not broadcast",
                             deq_type_format(a, sizeof a, &ta),
                             deq_type_format(b, sizeof b, &r->in[i]));
    }
    return true;
}

static bool infer_map(deq_shape_rule *r)
{
    for (int i = 0; i < r->n_in; i++)
        if (!deq_rule_float(r, i) || !deq_rule_same_dtype(r, 0, i)) return false;
    r->out[0].dtype = r->in[0].dtype;
    return broadcast_inputs(r);
}

static bool infer_test(deq_shape_rule *r)
{
    if (!r->in[0].dtype) return deq_rule_float(r, 0);
    if (!deq_rule_same_dtype(r, 0, 1)) return false;
    r->out[0].dtype = DEQ_BOOL;
    return broadcast_inputs(r);
}

static bool infer_logic(deq_shape_rule *r)
{
    for (int i = 0; i < r->n_in; i++)
        if (!deq_rule_dtype(r, i, DEQ_BOOL)) return false;
    r->out[0].dtype = DEQ_BOOL;
    return broadcast_inputs(r);
}

static bool infer_pick(deq_shape_rule *r)
{
    if (!deq_rule_dtype(r, 0, DEQ_BOOL)) return false;
    if (!r->in[1].dtype) return deq_rule_float(r, 1);
    if (!deq_rule_same_dtype(r, 1, 2)) return false;
    r->out[0].dtype = r->in[1].dtype;
    return broadcast_inputs(r);
}

static bool infer_cast(deq_shape_rule *r)
{
    const deq_elementwise_attr *a = r->attr;
    if (!r->in[0].dtype) return deq_rule_float(r, 0);
    if (!deq_dtype_size((deq_dtype)a->dtype))
        return deq_rule_fail(r, DEQ_ERR_DTYPE, "%lld is not a dtype", (long long)a->dtype);
    r->out[0] = (deq_type){ (deq_dtype)a->dtype, r->in[0].shape };
    return true;
}

/* Reference kernel ---------------------------------------------------------------------------
 *
 * The value of one element, in double for f64 and in float for f32: each is what the C library
 * computes in that type.  One body serves both through the macro F(function) that adds the suffix.
 */

#define SCALAR_BODY(T, F)                                                                          \
    switch (code) {                                                                                \
    case DEQ_EW_ADD: return a + b;                                                                 \
    case DEQ_EW_SUB: return a - b;                                                                 \
    case DEQ_EW_MUL: return a * b;                                                                 \
    case DEQ_EW_DIV: return a / b;                                                                 \
    case DEQ_EW_POW: return F(pow)(a, b);                                                          \
    case DEQ_EW_MIN: return a < b || isnan(a) ? a : b;                                             \
    case DEQ_EW_MAX: return a > b || isnan(a) ? a : b;                                             \
    case DEQ_EW_NEG: return -a;                                                                    \
    case DEQ_EW_ABS: return F(fabs)(a);                                                            \
    case DEQ_EW_SIGN: return isnan(a) ? a : (T)((a > 0) - (a < 0));                                \
    case DEQ_EW_SQUARE: return a * a;                                                              \
    case DEQ_EW_SQRT: return F(sqrt)(a);                                                           \
    case DEQ_EW_RSQRT: return 1 / F(sqrt)(a);                                                      \
    case DEQ_EW_EXP: return F(exp)(a);                                                             \
    case DEQ_EW_LOG: return F(log)(a);                                                             \
    case DEQ_EW_LOG1P: return F(log1p)(a);                                                         \
    case DEQ_EW_ERF: return F(erf)(a);                                                             \
    case DEQ_EW_SIN: return F(sin)(a);                                                             \
    case DEQ_EW_COS: return F(cos)(a);                                                             \
    case DEQ_EW_TANH: return F(tanh)(a);                                                           \
    case DEQ_EW_SIGMOID:                                                                           \
        if (a >= 0) return 1 / (1 + F(exp)(-a));                                                   \
        return F(exp)(a) / (1 + F(exp)(a));                                                        \
    case DEQ_EW_SOFTPLUS: return (a > 0 ? a : 0) + F(log1p)(F(exp)(-F(fabs)(a)));                  \
    case DEQ_EW_RELU: return a > 0 || isnan(a) ? a : 0;                                            \
    case DEQ_EW_LEAKY_RELU: return a > 0 ? a : (T)p[0] * a;                                        \
    case DEQ_EW_GELU: return (T)0.5 * a * F(erfc)(-a * (T)0.70710678118654752440);                 \
    case DEQ_EW_GELU_TANH:                                                                         \
        return (T)0.5 * a *                                                                        \
               (1 + F(tanh)((T)0.79788456080286535588 * (a + (T)0.044715 * a * a * a)));           \
    case DEQ_EW_SILU:                                                                              \
        if (a >= 0) return a / (1 + F(exp)(-a));                                                   \
        return a * F(exp)(a) / (1 + F(exp)(a));                                                    \
    case DEQ_EW_CLAMP: return a < (T)p[0] ? (T)p[0] : a > (T)p[1] ? (T)p[1] : a;                   \
    case DEQ_EW_WHERE: return a != 0 ? b : c;                                                      \
    case DEQ_EW_EQUAL: return a == b;                                                              \
    case DEQ_EW_NOT_EQUAL: return a != b;                                                          \
    case DEQ_EW_LESS: return a < b;                                                                \
    case DEQ_EW_LESS_EQUAL: return a <= b;                                                         \
    case DEQ_EW_GREATER: return a > b;                                                             \
    case DEQ_EW_GREATER_EQUAL: return a >= b;                                                      \
    case DEQ_EW_AND: return a != 0 && b != 0;                                                      \
    case DEQ_EW_OR: return a != 0 || b != 0;                                                       \
    case DEQ_EW_NOT: return a == 0;                                                                \
    default: return a;                                                                             \
    }

#define SAME(function) function
#define WITH_F(function) function##f

static double scalar_f64(int code, const double *p, double a, double b, double c)
{
    SCALAR_BODY(double, SAME)
}

static float scalar_f32(int code, const double *p, float a, float b, float c)
{
    SCALAR_BODY(float, WITH_F)
}

/* Integers have comparisons, selection and casts only. */
static int64_t scalar_int(int code, int64_t a, int64_t b, int64_t c)
{
    switch (code) {
    case DEQ_EW_WHERE: return a ? b : c;
    case DEQ_EW_EQUAL: return a == b;
    case DEQ_EW_NOT_EQUAL: return a != b;
    case DEQ_EW_LESS: return a < b;
    case DEQ_EW_LESS_EQUAL: return a <= b;
    case DEQ_EW_GREATER: return a > b;
    case DEQ_EW_GREATER_EQUAL: return a >= b;
    case DEQ_EW_AND: return a && b;
    case DEQ_EW_OR: return a || b;
    case DEQ_EW_NOT: return !a;
    default: return a;
    }
}

static double load_f64(const void *data, deq_dtype dtype, int64_t i)
{
    switch (dtype) {
    case DEQ_F32: return (double)((const float *)data)[i];
    case DEQ_F64: return ((const double *)data)[i];
    case DEQ_I32: return ((const int32_t *)data)[i];
    case DEQ_I64: return (double)((const int64_t *)data)[i];
    case DEQ_BOOL: return ((const uint8_t *)data)[i];
    }
    return 0;
}

static int64_t load_int(const void *data, deq_dtype dtype, int64_t i)
{
    switch (dtype) {
    case DEQ_I32: return ((const int32_t *)data)[i];
    case DEQ_I64: return ((const int64_t *)data)[i];
    case DEQ_BOOL: return ((const uint8_t *)data)[i];
    default: return 0;
    }
}

static void store_f64(void *data, deq_dtype dtype, int64_t i, double x)
{
    switch (dtype) {
    case DEQ_F32: ((float *)data)[i] = (float)x; break;
    case DEQ_F64: ((double *)data)[i] = x; break;
    case DEQ_I32: ((int32_t *)data)[i] = (int32_t)deq_to_int(x, INT32_MIN, INT32_MAX); break;
    case DEQ_I64: ((int64_t *)data)[i] = deq_to_int(x, -0x1p63, 0x1p63); break;
    case DEQ_BOOL: ((uint8_t *)data)[i] = x != 0; break;
    }
}

static void store_int(void *data, deq_dtype dtype, int64_t i, int64_t x)
{
    switch (dtype) {
    case DEQ_F32: ((float *)data)[i] = (float)x; break;
    case DEQ_F64: ((double *)data)[i] = (double)x; break;
    case DEQ_I32: ((int32_t *)data)[i] = (int32_t)x; break;
    case DEQ_I64: ((int64_t *)data)[i] = x; break;
    case DEQ_BOOL: ((uint8_t *)data)[i] = x != 0; break;
    }
}

/* Element offsets of each input for the output's multi-index: 0 along broadcast axes. */
typedef struct walk {
    int rank;
    int64_t dim[DEQ_MAX_RANK];
    int64_t index[DEQ_MAX_RANK];
    int64_t stride[3][DEQ_MAX_RANK];
    int64_t at[3];
} walk;

static void walk_begin(walk *w, const deq_kernel_call *c)
{
    const deq_shape *s = &c->out_type[0].shape;
    *w = (walk){ .rank = s->rank };
    memcpy(w->dim, s->dim, sizeof w->dim);
    for (int k = 0; k < c->n_in; k++) {
        const deq_shape *in = &c->in_type[k].shape;
        int64_t stride = 1;
        for (int i = in->rank - 1, j = s->rank - 1; i >= 0; i--, j--) {
            w->stride[k][j] = in->dim[i] == 1 ? 0 : stride;
            stride *= in->dim[i];
        }
    }
}

static void walk_next(walk *w)
{
    for (int j = w->rank - 1; j >= 0; j--) {
        for (int k = 0; k < 3; k++) w->at[k] += w->stride[k][j];
        if (++w->index[j] < w->dim[j]) return;
        for (int k = 0; k < 3; k++) w->at[k] -= w->stride[k][j] * w->dim[j];
        w->index[j] = 0;
    }
}

static void element(const deq_kernel_call *c, const walk *w, int code, int64_t i)
{
    static const deq_elementwise_attr none;
    const double *p = c->attr ? ((const deq_elementwise_attr *)c->attr)->p : none.p;
    int last = c->n_in - 1;
    deq_dtype in = c->in_type[last].dtype, out = c->out_type[0].dtype;
    if (in == DEQ_F32 || in == DEQ_F64) {
        double v[3] = { 0, 0, 0 };
        for (int k = 0; k < c->n_in; k++) v[k] = load_f64(c->in[k], c->in_type[k].dtype, w->at[k]);
        double y = in == DEQ_F64
                       ? scalar_f64(code, p, v[0], v[1], v[2])
                       : (double)scalar_f32(code, p, (float)v[0], (float)v[1], (float)v[2]);
        store_f64(c->out[0], out, i, y);
    } else {
        int64_t v[3] = { 0, 0, 0 };
        for (int k = 0; k < c->n_in; k++) v[k] = load_int(c->in[k], c->in_type[k].dtype, w->at[k]);
        store_int(c->out[0], out, i, scalar_int(code, v[0], v[1], v[2]));
    }
}

static deq_status run(const deq_kernel_call *c, int code)
{
    int64_t n = deq_shape_count(&c->out_type[0].shape);
    walk w;
    walk_begin(&w, c);
    for (int64_t i = 0; i < n; i++, walk_next(&w)) element(c, &w, code, i);
    return DEQ_OK;
}

/* The table ---------------------------------------------------------------------------------- */

#define KERNEL(code, name, arity, kind)                                                            \
    static deq_status kernel_##code(const deq_kernel_call *c)                                      \
    {                                                                                              \
        return run(c, DEQ_EW_##code);                                                              \
    }
DEQ_ELEMENTWISE_LIST(KERNEL)

#define INFER_MAP infer_map
#define INFER_TEST infer_test
#define INFER_LOGIC infer_logic
#define INFER_PICK infer_pick
#define INFER_CAST infer_cast
#define DERIVE_MAP(f) f
#define DERIVE_TEST(f) NULL
#define DERIVE_LOGIC(f) NULL
#define DERIVE_PICK(f) f
#define DERIVE_CAST(f) f

#define ENTRY(code, text, arity, kind)                                                             \
    [DEQ_EW_##code] = {                                                                            \
        .name = (text),                                                                            \
        .n_out = 1,                                                                                \
        .attr_bytes = sizeof(deq_elementwise_attr),                                                \
        .elementwise = DEQ_EW_##code,                                                              \
        .infer = INFER_##kind,                                                                     \
        .vjp = DERIVE_##kind(deq_elementwise_vjp),                                                 \
        .jvp = DERIVE_##kind(deq_elementwise_jvp),                                                 \
        .kernel = kernel_##code,                                                                   \
    },

const deq_op deq_elementwise_ops[DEQ_EW_COUNT] = { DEQ_ELEMENTWISE_LIST(ENTRY) };
