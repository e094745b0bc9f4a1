/* SPDX-License-Identifier: MIT */
/* Operators that move elements: each is compared, index by index, with where its elements come from. */
#include "support/run.h"

#include <deq/op.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
/* An initialiser of static tables, where DEQ_SHAPE() is not constant enough. */
#define SHAPE(...)                                                                                 \
    {                                                                                              \
        (int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)),                               \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define SCALAR                                                                                     \
    {                                                                                              \
        0,                                                                                         \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }

/* --- one input: the table -------------------------------------------------------------------- */

typedef enum move_kind { BROADCAST, RESHAPE, PERMUTE, TRANSPOSE, SLICE, ZERO, REPLICATE } move_kind;

typedef struct move {
    const char *name;
    move_kind kind;
    deq_shape x, y; /* y: the shape expected; what broadcast and reshape are asked for */
    int64_t p[8],
        q[8];   /* permute: order; transpose: two axes; slice: axis, start; pad: before, after */
    bool large; /* forward only: several tiles, blocks, threads */
} move;

/* clang-format off */
static const move moves[] = {
    { "broadcast scalar",           BROADCAST, SCALAR,            SHAPE(2, 3),       { 0 }, { 0 }, 0 },
    { "broadcast nothing",          BROADCAST, SHAPE(2, 3),       SHAPE(2, 3),       { 0 }, { 0 }, 0 },
    { "broadcast to more ones",     BROADCAST, SHAPE(3),          SHAPE(1, 1, 3),    { 0 }, { 0 }, 0 },
    { "broadcast bias",             BROADCAST, SHAPE(3),          SHAPE(4, 3),       { 0 }, { 0 }, 0 },
    { "broadcast column",           BROADCAST, SHAPE(3, 1),       SHAPE(3, 4),       { 0 }, { 0 }, 0 },
    { "broadcast channels",         BROADCAST, SHAPE(3, 1, 1),    SHAPE(2, 3, 2, 2), { 0 }, { 0 }, 0 },
    { "broadcast between",          BROADCAST, SHAPE(2, 1, 3),    SHAPE(2, 2, 3),    { 0 }, { 0 }, 0 },
    { "broadcast apart",            BROADCAST, SHAPE(1, 2, 1, 3), SHAPE(2, 2, 2, 3), { 0 }, { 0 }, 0 },
    { "broadcast, large",           BROADCAST, SHAPE(9, 1, 21),   SHAPE(3, 9, 401, 21), { 0 }, { 0 }, 1 },
    { "broadcast rows, large",      BROADCAST, SHAPE(301, 1),     SHAPE(301, 403),   { 0 }, { 0 }, 1 },

    { "reshape flat",               RESHAPE, SHAPE(2, 3),      SHAPE(6),             { 0 }, { 0 }, 0 },
    { "reshape scalar",             RESHAPE, SCALAR,           SHAPE(1, 1),          { 0 }, { 0 }, 0 },
    { "reshape to scalar",          RESHAPE, SHAPE(1, 1),      SCALAR,               { 0 }, { 0 }, 0 },
    { "reshape",                    RESHAPE, SHAPE(2, 3, 4),   SHAPE(4, 1, 6),       { 0 }, { 0 }, 0 },

    { "permute nothing",            PERMUTE, SHAPE(2, 3),       SHAPE(2, 3),          { 0, 1 }, { 0 }, 0 },
    { "permute matrix",             PERMUTE, SHAPE(2, 3),       SHAPE(3, 2),          { 1, 0 }, { 0 }, 0 },
    { "permute around",             PERMUTE, SHAPE(2, 3, 4),    SHAPE(4, 2, 3),       { 2, 0, 1 }, { 0 }, 0 },
    { "permute heads",              PERMUTE, SHAPE(2, 3, 2, 2), SHAPE(2, 2, 3, 2),    { 0, 2, 1, 3 }, { 0 }, 0 },
    { "permute to channels last",   PERMUTE, SHAPE(2, 3, 2, 2), SHAPE(2, 2, 2, 3),    { 0, 2, 3, 1 }, { 0 }, 0 },
    { "permute with ones",          PERMUTE, SHAPE(1, 4, 1, 2), SHAPE(2, 1, 4, 1),    { 3, 0, 1, 2 }, { 0 }, 0 },
    { "permute eight axes",         PERMUTE, SHAPE(2, 1, 2, 1, 2, 2, 1, 2), SHAPE(2, 2, 1, 2, 1, 2, 2, 1),
                                    { 7, 2, 1, 0, 6, 4, 5, 3 }, { 0 }, 0 },
    { "permute matrix, large",      PERMUTE, SHAPE(301, 431),   SHAPE(431, 301),      { 1, 0 }, { 0 }, 1 },
    { "channels last, large",       PERMUTE, SHAPE(3, 37, 41, 43), SHAPE(3, 41, 43, 37), { 0, 2, 3, 1 }, { 0 }, 1 },
    { "channels first, large",      PERMUTE, SHAPE(3, 41, 43, 37), SHAPE(3, 37, 41, 43), { 0, 3, 1, 2 }, { 0 }, 1 },
    { "reverse, large",             PERMUTE, SHAPE(33, 31, 35, 3), SHAPE(3, 35, 31, 33), { 3, 2, 1, 0 }, { 0 }, 1 },
    { "inner axis stays, large",    PERMUTE, SHAPE(5, 65, 67, 8), SHAPE(67, 65, 5, 8),  { 2, 1, 0, 3 }, { 0 }, 1 },

    { "transpose",                  TRANSPOSE, SHAPE(2, 3, 4), SHAPE(4, 3, 2),        { 0, 2 }, { 0 }, 0 },
    { "transpose an axis with itself", TRANSPOSE, SHAPE(2, 3), SHAPE(2, 3),           { 1, 1 }, { 0 }, 0 },

    { "slice first",                SLICE, SHAPE(5),         SHAPE(2),                { 0, 0 }, { 0 }, 0 },
    { "slice last",                 SLICE, SHAPE(3, 5),      SHAPE(3, 1),             { 1, 4 }, { 0 }, 0 },
    { "slice all",                  SLICE, SHAPE(3, 5),      SHAPE(3, 5),             { 1, 0 }, { 0 }, 0 },
    { "slice outermost",            SLICE, SHAPE(4, 2, 3),   SHAPE(2, 2, 3),          { 0, 1 }, { 0 }, 0 },
    { "slice between",              SLICE, SHAPE(2, 5, 3),   SHAPE(2, 3, 3),          { 1, 1 }, { 0 }, 0 },
    { "slice, large",               SLICE, SHAPE(7, 90, 311), SHAPE(7, 90, 200),      { 2, 77 }, { 0 }, 1 },

    { "pad nothing",                ZERO, SHAPE(2, 3),       SHAPE(2, 3),             { 0 }, { 0 }, 0 },
    { "pad scalar",                 ZERO, SCALAR,            SCALAR,                  { 0 }, { 0 }, 0 },
    { "pad before",                 ZERO, SHAPE(3),          SHAPE(5),                { 2 }, { 0 }, 0 },
    { "pad after",                  ZERO, SHAPE(2, 3),       SHAPE(2, 4),             { 0 }, { 0, 1 }, 0 },
    { "pad image",                  ZERO, SHAPE(1, 2, 2, 3), SHAPE(1, 2, 5, 5),       { 0, 0, 1, 2 }, { 0, 0, 2, 0 }, 0 },
    { "pad outer axes",             ZERO, SHAPE(2, 2, 3),    SHAPE(4, 3, 3),          { 1, 0 }, { 1, 1 }, 0 },
    { "pad, large",                 ZERO, SHAPE(5, 60, 301), SHAPE(6, 63, 304),       { 1, 2, 0 }, { 0, 1, 3 }, 1 },

    { "replicate nothing",          REPLICATE, SHAPE(2, 3),       SHAPE(2, 3),        { 0 }, { 0 }, 0 },
    { "replicate one element",      REPLICATE, SHAPE(1),          SHAPE(6),           { 3 }, { 2 }, 0 },
    { "replicate before",           REPLICATE, SHAPE(3),          SHAPE(5),           { 2 }, { 0 }, 0 },
    { "replicate after",            REPLICATE, SHAPE(2, 3),       SHAPE(2, 5),        { 0 }, { 0, 2 }, 0 },
    { "replicate image",            REPLICATE, SHAPE(1, 2, 2, 3), SHAPE(1, 2, 5, 5),  { 0, 0, 1, 2 }, { 0, 0, 2, 0 }, 0 },
    { "replicate outer axes",       REPLICATE, SHAPE(2, 1, 3),    SHAPE(4, 3, 3),     { 1, 0 }, { 1, 2 }, 0 },
    { "replicate channels last",    REPLICATE, SHAPE(2, 3, 2),    SHAPE(5, 6, 2),     { 1, 2 }, { 2, 1 }, 0 },
    { "replicate wider than x",     REPLICATE, SHAPE(2, 2),       SHAPE(2, 9),        { 0, 3 }, { 0, 4 }, 0 },
    { "replicate, large",           REPLICATE, SHAPE(5, 60, 301), SHAPE(6, 63, 304),  { 1, 2, 0 }, { 0, 1, 3 }, 1 },
};
/* clang-format on */

static deq_value build_move(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    const move *m = user;
    int order[DEQ_MAX_RANK];
    (void)n_in;
    for (int i = 0; i < DEQ_MAX_RANK; i++) order[i] = (int)m->p[i];
    switch (m->kind) {
    case BROADCAST: return deq_broadcast(g, in[0], m->y);
    case RESHAPE: return deq_reshape(g, in[0], m->y);
    case PERMUTE: return deq_permute(g, in[0], order, m->x.rank);
    case TRANSPOSE: return deq_transpose(g, in[0], order[0], order[1]);
    case SLICE: return deq_slice(g, in[0], order[0], m->p[1], m->y.dim[order[0]]);
    case ZERO: return deq_pad(g, in[0], m->p, m->q, DEQ_PAD_ZERO);
    case REPLICATE: return deq_pad(g, in[0], m->p, m->q, DEQ_PAD_REPLICATE);
    }
    return DEQ_NONE;
}

/* The index in x, axis by axis, of the element of y at `at`; false where y has a zero. */
static bool find_source(const move *m, const int64_t *at, int64_t *from)
{
    int added = m->y.rank - m->x.rank;
    for (int i = 0; i < m->x.rank; i++) {
        int64_t last = m->x.dim[i] - 1;
        switch (m->kind) {
        case RESHAPE: break;
        case BROADCAST: from[i] = last == 0 ? 0 : at[i + added]; break;
        case PERMUTE: from[m->p[i]] = at[i]; break;
        case TRANSPOSE: from[i] = at[i == m->p[0] ? m->p[1] : i == m->p[1] ? m->p[0] : i]; break;
        case SLICE: from[i] = at[i] + (i == m->p[0] ? m->p[1] : 0); break;
        case ZERO:
            from[i] = at[i] - m->p[i];
            if (from[i] < 0 || from[i] > last) return false;
            break;
        case REPLICATE:
            from[i] = at[i] - m->p[i];
            if (from[i] < 0) from[i] = 0;
            if (from[i] > last) from[i] = last;
            break;
        }
    }
    return true;
}

/* Element i of y comes from this element of x; -1: it is a zero. */
static int64_t source_of(const move *m, int64_t i)
{
    int64_t at[DEQ_MAX_RANK], from[DEQ_MAX_RANK], rest = i, flat = 0;
    if (m->kind == RESHAPE) return i;
    for (int k = m->y.rank; k-- > 0;) {
        at[k] = rest % m->y.dim[k];
        rest /= m->y.dim[k];
    }
    if (!find_source(m, at, from)) return -1;
    for (int k = 0; k < m->x.rank; k++) flat = flat * m->x.dim[k] + from[k];
    return flat;
}

static int64_t element(const void *data, deq_dtype d, int64_t i)
{
    switch (d) {
    case DEQ_F32: return (int64_t)((const float *)data)[i];
    case DEQ_F64: return (int64_t)((const double *)data)[i];
    case DEQ_I32: return ((const int32_t *)data)[i];
    case DEQ_I64: return ((const int64_t *)data)[i];
    case DEQ_BOOL: return ((const uint8_t *)data)[i];
    }
    return -1;
}

/* n elements: 1, 2, 3, ... (of bool: 1, 0, 0, 1, 0, 0, ...) */
static void *count_up(deq_dtype d, int64_t n)
{
    void *data = calloc((size_t)n, 8);
    assert_non_null(data);
    for (int64_t i = 0; i < n; i++) switch (d) {
        case DEQ_F32: ((float *)data)[i] = (float)(i + 1); break;
        case DEQ_F64: ((double *)data)[i] = (double)(i + 1); break;
        case DEQ_I32: ((int32_t *)data)[i] = (int32_t)(i + 1); break;
        case DEQ_I64: ((int64_t *)data)[i] = i + 1; break;
        case DEQ_BOOL: ((uint8_t *)data)[i] = i % 3 == 0; break;
        }
    return data;
}

static void check_move(const move *m, deq_dtype d, int threads)
{
    test_graph t = test_graph_new();
    int64_t n = deq_shape_count(&m->y);
    void *x = count_up(d, deq_shape_count(&m->x)), *y = calloc((size_t)n, 8);
    assert_non_null(y);
    deq_value in = deq_input(t.g, "x", DEQ_STAGE_STATE, d, m->x);
    deq_value out = build_move(t.g, &in, 1, m);
    deq_type type = deq_value_type(t.g, out);
    assert_int_equal(type.dtype, d);
    assert_true(deq_shape_equal(&type.shape, &m->y));
    test_graph_run(&t, &in, (const void *[]){ x }, 1, out, y, threads);
    for (int64_t i = 0; i < n; i++) {
        int64_t from = source_of(m, i), expected = from < 0 ? 0 : element(x, d, from);
        if (element(y, d, i) != expected)
            fail_msg("%s, %s: element %lld is %lld, expected %lld", m->name, deq_dtype_name(d),
                     (long long)i, (long long)element(y, d, i), (long long)expected);
    }
    test_graph_free(&t);
    free(x);
    free(y);
}

static void every_element_comes_from_its_place(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(moves); k++)
        for (deq_dtype d = DEQ_F32; d <= DEQ_BOOL; d++) check_move(&moves[k], d, 1 + (int)k % 3);
}

static void derivatives_match_differences(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(moves); k++) {
        const move *m = &moves[k];
        op_case c = { .name = m->name, .n_in = 1, .build = build_move, .user = m };
        c.in[0] = (deq_type){ DEQ_F64, m->x };
        if (!m->large) check_op(&c);
    }
}

/* The adjoint of the large replication, <pad(x), w> = <x, pad^T(w)>, in exact arithmetic. */
static void large_replication_has_its_adjoint(void **state)
{
    (void)state;
    const move *m = &moves[COUNT(moves) - 1];
    int64_t n = deq_shape_count(&m->x), k = deq_shape_count(&m->y);
    for (deq_dtype d = DEQ_F32; d <= DEQ_F64; d++) {
        test_graph t = test_graph_new();
        deq_value x = deq_input(t.g, "x", DEQ_STAGE_STATE, d, m->x), dx;
        deq_value w = deq_input(t.g, "w", DEQ_STAGE_STATE, d, m->y), y = build_move(t.g, &x, 1, m);
        int64_t *expected = calloc((size_t)n, sizeof *expected);
        void *data = count_up(d, k), *result = calloc((size_t)n, 8);
        assert_true(expected && data && result);
        assert_int_equal(deq_vjp(t.g, &dx, &y, &w, 1, &x, 1), DEQ_OK);
        test_graph_run(&t, &w, (const void *[]){ data }, 1, dx, result, 2);
        for (int64_t i = 0; i < k; i++) expected[source_of(m, i)] += i + 1;
        for (int64_t i = 0; i < n; i++)
            assert_int_equal(element(result, d, i),
                             d == DEQ_F32 ? (int64_t)(float)expected[i] : expected[i]);
        test_graph_free(&t);
        free(expected);
        free(data);
        free(result);
    }
}

/* --- reshape with an extent to be found, identities ------------------------------------------ */

static void reshape_finds_the_missing_extent(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value x = deq_input(t.g, "x", DEQ_STAGE_STATE, DEQ_F32, DEQ_SHAPE(2, 3, 4));
    deq_type a = deq_value_type(t.g, deq_reshape(t.g, x, DEQ_SHAPE(-1)));
    deq_type b = deq_value_type(t.g, deq_reshape(t.g, x, DEQ_SHAPE(4, -1, 2)));
    deq_type c = deq_value_type(t.g, deq_reshape(t.g, x, DEQ_SHAPE(24, -1)));
    assert_true(deq_shape_equal(&a.shape, &DEQ_SHAPE(24)));
    assert_true(deq_shape_equal(&b.shape, &DEQ_SHAPE(4, 3, 2)));
    assert_true(deq_shape_equal(&c.shape, &DEQ_SHAPE(24, 1)));
    test_graph_free(&t);
}

static void calls_that_change_nothing_return_their_input(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    const int64_t none[2] = { 0, 0 };
    deq_value x = deq_input(t.g, "x", DEQ_STAGE_STATE, DEQ_F32, DEQ_SHAPE(2, 3));
    assert_int_equal(deq_broadcast(t.g, x, DEQ_SHAPE(2, 3)).id, x.id);
    assert_int_equal(deq_reshape(t.g, x, DEQ_SHAPE(2, -1)).id, x.id);
    assert_int_equal(deq_permute(t.g, x, (const int[]){ 0, 1 }, 2).id, x.id);
    assert_int_equal(deq_transpose(t.g, x, 0, 0).id, x.id);
    assert_int_equal(deq_slice(t.g, x, 1, 0, 3).id, x.id);
    assert_int_equal(deq_pad(t.g, x, none, none, DEQ_PAD_REPLICATE).id, x.id);
    assert_int_equal(deq_sum_to(t.g, x, DEQ_SHAPE(2, 3)).id, x.id);
    test_graph_free(&t);
}

/* --- concat ---------------------------------------------------------------------------------- */

static const struct concat_case {
    const char *name;
    int axis, n;
    deq_shape x[6];
    bool large;
} concats[] = {
    { "one value", 1, 1, { SHAPE(2, 3) }, false },
    { "vectors", 0, 3, { SHAPE(1), SHAPE(3), SHAPE(2) }, false },
    { "outermost", 0, 2, { SHAPE(1, 3), SHAPE(2, 3) }, false },
    { "innermost", 1, 2, { SHAPE(2, 1), SHAPE(2, 4) }, false },
    { "channels", 1, 3, { SHAPE(2, 1, 2, 2), SHAPE(2, 3, 2, 2), SHAPE(2, 2, 2, 2) }, false },
    { "six",
      1,
      6,
      { SHAPE(2, 1), SHAPE(2, 2), SHAPE(2, 1), SHAPE(2, 1), SHAPE(2, 3), SHAPE(2, 1) },
      false },
    { "large", 1, 2, { SHAPE(70, 30, 41), SHAPE(70, 1, 41) }, true },
};

static deq_value build_concat(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    return deq_concat(g, in, n_in, ((const struct concat_case *)user)->axis);
}

/* y counts its elements; where each comes from follows from walking the inputs. */
static void check_concat(const struct concat_case *k, deq_dtype d)
{
    test_graph t = test_graph_new();
    deq_value in[6];
    void *data[6];
    int64_t outer = 1, inner = 1, total = 0;
    for (int i = 0; i < k->axis; i++) outer *= k->x[0].dim[i];
    for (int i = k->axis + 1; i < k->x[0].rank; i++) inner *= k->x[0].dim[i];
    for (int i = 0; i < k->n; i++) {
        char name[16];
        snprintf(name, sizeof name, "x%d", i);
        in[i] = deq_input(t.g, name, DEQ_STAGE_STATE, d, k->x[i]);
        data[i] = count_up(d, deq_shape_count(&k->x[i]));
        total += k->x[i].dim[k->axis];
    }
    void *y = calloc((size_t)(outer * total * inner), 8);
    assert_non_null(y);
    test_graph_run(&t, in, (const void *const *)data, k->n, build_concat(t.g, in, k->n, k), y, 2);
    int64_t at = 0;
    for (int64_t o = 0; o < outer; o++)
        for (int i = 0; i < k->n; i++) {
            int64_t run = k->x[i].dim[k->axis] * inner;
            for (int64_t j = 0; j < run; j++, at++)
                assert_int_equal(element(y, d, at), element(data[i], d, o * run + j));
        }
    for (int i = 0; i < k->n; i++) free(data[i]);
    free(y);
    test_graph_free(&t);
}

static void concat_joins_along_any_axis(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(concats); k++) {
        op_case c = { .name = concats[k].name,
                      .n_in = concats[k].n,
                      .build = build_concat,
                      .user = &concats[k] };
        for (int i = 0; i < c.n_in; i++) c.in[i] = (deq_type){ DEQ_F64, concats[k].x[i] };
        for (deq_dtype d = DEQ_F32; d <= DEQ_BOOL; d++) check_concat(&concats[k], d);
        if (!concats[k].large) check_op(&c);
    }
}

static void concat_takes_the_same_value_many_times(void **state)
{
    (void)state;
    enum { N = 40 };
    test_graph t = test_graph_new();
    const double x[2] = { 1, 2 };
    double y[2 * N], dx[2], dy[2 * N];
    deq_value in = deq_input(t.g, "x", DEQ_STAGE_STATE, DEQ_F64, DEQ_SHAPE(2)), many[N], grad,
              tangent;
    for (int i = 0; i < N; i++) many[i] = in;
    deq_value out = deq_concat(t.g, many, N, 0), w = deq_fill(t.g, DEQ_F64, DEQ_SHAPE(2 * N), 1);
    assert_int_equal(deq_vjp(t.g, &grad, &out, &w, 1, &in, 1), DEQ_OK);
    assert_int_equal(deq_jvp(t.g, &tangent, &out, 1, &in, &in, 1), DEQ_OK);
    test_graph_run(&t, &in, (const void *[]){ x }, 1, out, y, 1);
    test_graph_run(&t, &in, (const void *[]){ x }, 1, grad, dx, 1);
    test_graph_run(&t, &in, (const void *[]){ x }, 1, tangent, dy, 1);
    for (int i = 0; i < 2 * N; i++) assert_true(y[i] == x[i % 2] && dy[i] == y[i]);
    assert_true(dx[0] == N && dx[1] == N);
    test_graph_free(&t);
}

/* --- stop_gradient --------------------------------------------------------------------------- */

static deq_value build_stopped_square(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    (void)n_in;
    (void)user;
    return deq_mul(g, in[0], deq_stop_gradient(g, in[0]));
}

static void stop_gradient_is_the_identity_and_a_constant(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    const double x[3] = { 1, -2, 3 };
    double y[3], dx[3], dy[3];
    deq_value in = deq_input(t.g, "x", DEQ_STAGE_STATE, DEQ_F64, DEQ_SHAPE(3)), grad, tangent;
    deq_value out = build_stopped_square(t.g, &in, 1, NULL),
              one = deq_fill(t.g, DEQ_F64, DEQ_SHAPE(3), 1);
    assert_int_equal(deq_vjp(t.g, &grad, &out, &one, 1, &in, 1), DEQ_OK);
    assert_int_equal(deq_jvp(t.g, &tangent, &out, 1, &in, &one, 1), DEQ_OK);
    test_graph_run(&t, &in, (const void *[]){ x }, 1, out, y, 1);
    test_graph_run(&t, &in, (const void *[]){ x }, 1, grad, dx, 1);
    test_graph_run(&t, &in, (const void *[]){ x }, 1, tangent, dy, 1);
    for (int i = 0; i < 3; i++) assert_true(y[i] == x[i] * x[i] && dx[i] == x[i] && dy[i] == x[i]);
    test_graph_free(&t);
}

/* --- refusals -------------------------------------------------------------------------------- */

static const struct refusal {
    move m;
    deq_status status;
    const char *message;
} refusals[] = {
    { { "rank lost", BROADCAST, SHAPE(2, 3), SHAPE(3), { 0 }, { 0 }, 0 },
      DEQ_ERR_SHAPE,
      "broadcast: the input does not repeat to f64 [3]" },
    { { "other extent", BROADCAST, SHAPE(2, 3), SHAPE(2, 6), { 0 }, { 0 }, 0 },
      DEQ_ERR_SHAPE,
      "broadcast: the input does not repeat to f64 [2, 6]" },
    { { "extent zero", BROADCAST, SHAPE(1), SHAPE(0), { 0 }, { 0 }, 0 },
      DEQ_ERR_SHAPE,
      "extent 0" },
    { { "too large", BROADCAST, SHAPE(1), SHAPE(INT64_MAX, INT64_MAX), { 0 }, { 0 }, 0 },
      DEQ_ERR_OVERFLOW,
      "broadcast" },
    { { "rank nine", BROADCAST, SHAPE(1), { 9, { 1 } }, { 0 }, { 0 }, 0 },
      DEQ_ERR_SHAPE,
      "the wanted rank is 9, expected 0 to 8" },
    { { "rank below zero", RESHAPE, SHAPE(1), { -1, { 0 } }, { 0 }, { 0 }, 0 },
      DEQ_ERR_SHAPE,
      "the wanted rank is -1, expected 0 to 8" },
    { { "other count", RESHAPE, SHAPE(2, 3), SHAPE(7), { 0 }, { 0 }, 0 },
      DEQ_ERR_SHAPE,
      "reshape: 6 elements do not make f64 [7]" },
    { { "no whole extent", RESHAPE, SHAPE(2, 3), SHAPE(4, -1), { 0 }, { 0 }, 0 },
      DEQ_ERR_SHAPE,
      "6 elements do not make f64 [4, -1]" },
    { { "two to be found", RESHAPE, SHAPE(2, 3), SHAPE(-1, -1), { 0 }, { 0 }, 0 },
      DEQ_ERR_SHAPE,
      "6 elements do not make f64 [-1, -1]" },
    { { "product that overflows",
        RESHAPE,
        SHAPE(2, 3),
        SHAPE(INT64_MAX, INT64_MAX),
        { 0 },
        { 0 },
        0 },
      DEQ_ERR_SHAPE,
      "6 elements do not make" },
    { { "twice", PERMUTE, SHAPE(2, 3), SHAPE(2, 2), { 0, 0 }, { 0 }, 0 },
      DEQ_ERR_ARGUMENT,
      "permute: axis 0 is in the order twice" },
    { { "no such axis", PERMUTE, SHAPE(2, 3), SHAPE(2, 2), { 0, 2 }, { 0 }, 0 },
      DEQ_ERR_ARGUMENT,
      "permute: axis 2 in the order, expected 0 to 1" },
    { { "no such axis", TRANSPOSE, SHAPE(2, 3), SHAPE(2, 2), { 0, -1 }, { 0 }, 0 },
      DEQ_ERR_ARGUMENT,
      "transpose: axes 0 and -1, the input has rank 2" },
    { { "no such axis", SLICE, SHAPE(2, 3), SHAPE(2, 2, 1), { 2, 0 }, { 0 }, 0 },
      DEQ_ERR_ARGUMENT,
      "slice: axis 2, the input has rank 2" },
    { { "beyond the end", SLICE, SHAPE(2, 3), SHAPE(2, 3), { 1, 1 }, { 0 }, 0 },
      DEQ_ERR_SHAPE,
      "slice: start 1 and length 3 do not lie within axis 1 of extent 3" },
    { { "before the start", SLICE, SHAPE(2, 3), SHAPE(2, 2), { 1, -1 }, { 0 }, 0 },
      DEQ_ERR_SHAPE,
      "start -1" },
    { { "nothing", SLICE, SHAPE(2, 3), SHAPE(2, 0), { 1, 1 }, { 0 }, 0 },
      DEQ_ERR_SHAPE,
      "length 0" },
    { { "start that overflows", SLICE, SHAPE(2, 3), SHAPE(2, 2), { 1, INT64_MAX }, { 0 }, 0 },
      DEQ_ERR_SHAPE,
      "do not lie within axis 1" },
    { { "negative", ZERO, SHAPE(2, 3), SHAPE(2, 2), { 0, -1 }, { 0 }, 0 },
      DEQ_ERR_ARGUMENT,
      "pad: -1 before and 0 after axis 1, expected at least 0" },
    { { "too long", REPLICATE, SHAPE(2, 3), SHAPE(2, 2), { 0, INT64_MAX }, { 0, INT64_MAX }, 0 },
      DEQ_ERR_OVERFLOW,
      "pad: axis 1 becomes too long" },
};

static deq_value build_absent(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    deq_value none = DEQ_NONE;
    (void)in;
    (void)n_in;
    return build_move(g, &none, 1, user);
}

static deq_value build_wrong_order(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    const int order[3] = { 2, 1, 0 };
    (void)n_in;
    (void)user;
    return deq_permute(g, in[0], order, 3);
}

static deq_value build_no_mode(deq_graph *g, const deq_value *in, int n_in, const void *user)
{
    const int64_t one[1] = { 1 };
    (void)n_in;
    (void)user;
    return deq_pad(g, in[0], one, one, (deq_pad_mode)7);
}

static void wrong_calls_are_refused_with_the_facts(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(refusals); k++) {
        op_case c = {
            .name = refusals[k].m.name, .n_in = 1, .build = build_move, .user = &refusals[k].m
        };
        c.in[0] = (deq_type){ DEQ_F64, refusals[k].m.x };
        check_refused(&c, refusals[k].status, refusals[k].message);
    }
    for (size_t k = 0; k < COUNT(moves); k++) {
        op_case c = { .name = "absent", .build = build_absent, .user = &moves[k] };
        if (moves[k].kind != TRANSPOSE) check_refused(&c, DEQ_ERR_ARGUMENT, "input 0 is absent");
    }
    op_case c = { .name = "order", .n_in = 1, .build = build_wrong_order };
    c.in[0] = (deq_type){ DEQ_F64, DEQ_SHAPE(2, 3) };
    check_refused(&c, DEQ_ERR_ARGUMENT, "permute: the order names 3 axes, the input has 2");
    c.build = build_no_mode;
    c.in[0].shape = DEQ_SHAPE(3);
    check_refused(&c, DEQ_ERR_ARGUMENT, "pad: mode 7 is unknown");
}

static void concat_refuses_what_does_not_fit(void **state)
{
    (void)state;
    struct concat_case k = { .axis = 1 };
    op_case c = { .name = "concat", .build = build_concat, .user = &k };
    check_refused(&c, DEQ_ERR_ARGUMENT, "concat: no values given");
    c.n_in = 2;
    c.in[0] = (deq_type){ DEQ_F64, DEQ_SHAPE(2, 3) };
    c.in[1] = (deq_type){ DEQ_F32, DEQ_SHAPE(2, 3) };
    check_refused(&c, DEQ_ERR_DTYPE, "different dtypes, f64 and f32");
    c.in[1] = (deq_type){ DEQ_F64, DEQ_SHAPE(2) };
    check_refused(&c, DEQ_ERR_SHAPE, "input 1 has rank 1, expected 2");
    c.in[1].shape = DEQ_SHAPE(4, 3);
    check_refused(&c, DEQ_ERR_SHAPE, "axis 0 has extent 2 in input 0, 4 in input 1");
    k.axis = 2;
    check_refused(&c, DEQ_ERR_ARGUMENT, "concat: axis 2, the input has rank 2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_element_comes_from_its_place),
        cmocka_unit_test(derivatives_match_differences),
        cmocka_unit_test(large_replication_has_its_adjoint),
        cmocka_unit_test(reshape_finds_the_missing_extent),
        cmocka_unit_test(calls_that_change_nothing_return_their_input),
        cmocka_unit_test(concat_joins_along_any_axis),
        cmocka_unit_test(concat_takes_the_same_value_many_times),
        cmocka_unit_test(stop_gradient_is_the_identity_and_a_constant),
        cmocka_unit_test(wrong_calls_are_refused_with_the_facts),
        cmocka_unit_test(concat_refuses_what_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
