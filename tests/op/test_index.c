/* SPDX-License-Identifier: MIT */
/* gather, embedding and scatter_add. */
#include "support/op_check.h"

#include <deq/op/index.h>
#include <string.h>

static const int axes[] = { 0, 1 };
static const int last = -1;

static deq_value gather(deq_graph *g, const deq_value *in, int n, const void *user)
{
    (void)n;
    return deq_gather(g, in[0], *(const int *)user, in[1]);
}

static deq_value embed(deq_graph *g, const deq_value *in, int n, const void *user)
{
    (void)n;
    (void)user;
    return deq_embedding(g, in[0], in[1]);
}

static deq_value scatter(deq_graph *g, const deq_value *in, int n, const void *user)
{
    (void)n;
    return deq_scatter_add(g, in[0], *(const int *)user, in[1], in[2]);
}

#define REAL(...)                                                                                  \
    {                                                                                              \
        DEQ_F64,                                                                                   \
        {                                                                                          \
            (int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)),                           \
            {                                                                                      \
                __VA_ARGS__                                                                        \
            }                                                                                      \
        }                                                                                          \
    }
#define INDEX(...)                                                                                 \
    {                                                                                              \
        DEQ_I32,                                                                                   \
        {                                                                                          \
            (int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)),                           \
            {                                                                                      \
                __VA_ARGS__                                                                        \
            }                                                                                      \
        }                                                                                          \
    }

static const int32_t repeated[] = { 2, 0, 2, 2, 1, 0 };
static const int32_t zeros[] = { 0, 0, 0 };
static int32_t many[300];

/* clang-format off */
static const op_case gathers[] = {
    { "gather rows",           2, { REAL(3, 4), INDEX(6) },       .int_data = { NULL, repeated }, .build = gather, .user = &axes[0] },
    { "gather columns",        2, { REAL(2, 3), INDEX(6) },       .int_data = { NULL, repeated }, .build = gather, .user = &axes[1] },
    { "gather a middle axis",  2, { REAL(2, 3, 5), INDEX(6) },    .int_data = { NULL, repeated }, .build = gather, .user = &axes[1] },
    { "gather the last axis",  2, { REAL(2, 1, 3), INDEX(2, 3) }, .int_data = { NULL, repeated }, .build = gather, .user = &last },
    { "gather extent one",     2, { REAL(1), INDEX(3) },          .int_data = { NULL, zeros },    .build = gather, .user = &axes[0] },
    { "gather by a scalar",    2, { REAL(3, 2), { DEQ_I32, { 0, { 0 } } } }, .int_data = { NULL, repeated }, .build = gather, .user = &axes[0] },
    { "gather many",           2, { REAL(5, 300), INDEX(300) },   .int_data = { NULL, many },     .build = gather, .user = &axes[0] },
    { "embedding",             2, { REAL(3, 5), INDEX(2, 3) },    .int_data = { NULL, repeated }, .build = embed },
};
static const op_case scatters[] = {
    { "scatter into rows",     3, { REAL(3, 4), INDEX(6), REAL(6, 4) },          .int_data = { NULL, repeated }, .build = scatter, .user = &axes[0] },
    { "scatter into columns",  3, { REAL(2, 4), INDEX(6), REAL(2, 6) },          .int_data = { NULL, repeated }, .build = scatter, .user = &axes[1] },
    { "scatter in the middle", 3, { REAL(2, 3, 5), INDEX(2, 3), REAL(2, 2, 3, 5) }, .int_data = { NULL, repeated }, .build = scatter, .user = &axes[1] },
    { "scatter to one place",  3, { REAL(1), INDEX(3), REAL(3) },                .int_data = { NULL, zeros },    .build = scatter, .user = &axes[0] },
    { "scatter wide rows",     3, { REAL(5, 131), INDEX(6), REAL(6, 131) },      .int_data = { NULL, repeated }, .build = scatter, .user = &axes[0] },
    { "scatter a scalar",      3, { REAL(3, 2), { DEQ_I32, { 0, { 0 } } }, REAL(2) }, .int_data = { NULL, repeated }, .build = scatter, .user = &axes[0] },
};
/* clang-format on */

/* The array as [outer, extent, inner] around an axis. */
static void split(const deq_shape *s, int axis, int64_t *outer, int64_t *extent, int64_t *inner)
{
    *outer = *inner = 1;
    for (int i = 0; i < axis; i++) *outer *= s->dim[i];
    for (int i = axis + 1; i < s->rank; i++) *inner *= s->dim[i];
    *extent = s->dim[axis];
}

static int axis_of(const op_case *c)
{
    int axis = c->user ? *(const int *)c->user : 0;
    return axis < 0 ? axis + c->in[0].shape.rank : axis;
}

static void gather_picks_entries(void **state)
{
    (void)state;
    static double x[1500], y[90000], expected[90000];
    for (size_t k = 0; k < sizeof gathers / sizeof *gathers; k++) {
        const op_case *c = &gathers[k];
        const int32_t *ids = c->int_data[1];
        int64_t outer, extent, inner, n = deq_shape_count(&c->in[1].shape);
        split(&c->in[0].shape, axis_of(c), &outer, &extent, &inner);
        random_data(c, 0, x);
        for (int64_t o = 0; o < outer; o++)
            for (int64_t i = 0; i < n; i++)
                for (int64_t q = 0; q < inner; q++)
                    expected[(o * n + i) * inner + q] = x[(o * extent + ids[i]) * inner + q];
        forward_op(c, NULL, y);
        check_close(c->name, y, expected, outer * n * inner, 0);
    }
}

static void scatter_adds_entries(void **state)
{
    (void)state;
    static double x[1000], s[1000], y[1000];
    for (size_t k = 0; k < sizeof scatters / sizeof *scatters; k++) {
        const op_case *c = &scatters[k];
        const int32_t *ids = c->int_data[1];
        int64_t outer, extent, inner, n = deq_shape_count(&c->in[1].shape);
        split(&c->in[0].shape, axis_of(c), &outer, &extent, &inner);
        random_data(c, 0, x);
        random_data(c, 2, s);
        for (int64_t o = 0; o < outer; o++)
            for (int64_t i = 0; i < n; i++)
                for (int64_t q = 0; q < inner; q++)
                    x[(o * extent + ids[i]) * inner + q] += s[(o * n + i) * inner + q];
        forward_op(c, NULL, y);
        check_close(c->name, y, x, outer * extent * inner, 1e-14);
    }
}

static void gather_puts_the_axes_of_the_indices_in_place_of_the_axis(void **state)
{
    (void)state;
    op_case c = gathers[2];
    c.in[1] = (deq_type)INDEX(2, 3);
    deq_type t = type_of_op(&c);
    assert_true(deq_shape_equal(&t.shape, &DEQ_SHAPE(2, 2, 3, 5)));
    t = type_of_op(&gathers[5]);
    assert_true(deq_shape_equal(&t.shape, &DEQ_SHAPE(2)));
    t = type_of_op(&gathers[7]);
    assert_true(deq_shape_equal(&t.shape, &DEQ_SHAPE(2, 3, 5)));
}

static void derivatives_match_differences(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof gathers / sizeof *gathers; k++) check_op(&gathers[k]);
    for (size_t k = 0; k < sizeof scatters / sizeof *scatters; k++) check_op(&scatters[k]);
}

/* 1e8 + 1 + ... + 1 - 1e8 loses every one of them in f32. */
static void scatter_accumulates_in_double(void **state)
{
    (void)state;
    static const int32_t to_zero[102];
    double s[102], zero = 0, y;
    for (int i = 0; i < 102; i++) s[i] = 1;
    s[0] = 1e8;
    s[101] = -1e8;
    op_case c = { "cancellation",
                  3,
                  { REAL(1), INDEX(102), REAL(102) },
                  .int_data = { NULL, to_zero },
                  .build = scatter,
                  .user = &axes[0] };
    forward_op_f32(&c, (const double *[]){ &zero, NULL, s }, &y);
    assert_true(y == 100);
}

static void integers_are_gathered_too(void **state)
{
    (void)state;
    const int32_t x[3] = { 7, 8, 9 };
    int32_t y[6];
    deq_context *ctx = test_context();
    deq_graph *g = NULL;
    deq_program *p = NULL;
    assert_int_equal(deq_graph_new(&g, ctx), DEQ_OK);
    deq_value v = deq_constant(g, DEQ_I32, DEQ_SHAPE(3), x);
    deq_value ids = deq_constant(g, DEQ_I32, DEQ_SHAPE(6), repeated);
    deq_value out = deq_gather(g, v, 0, ids);
    assert_int_equal(deq_compile(&p, g, &out, 1, NULL), DEQ_OK);
    assert_int_equal(deq_program_run(p, DEQ_STAGE_PARAMETER), DEQ_OK);
    assert_int_equal(deq_program_read(p, out, y, sizeof y), DEQ_OK);
    for (int i = 0; i < 6; i++) assert_int_equal(y[i], x[repeated[i]]);
    deq_program_free(p);
    deq_graph_free(g);
    deq_context_free(ctx);
}

static void indices_out_of_range_end_the_run(void **state)
{
    (void)state;
    const int32_t high[] = { 0, 2, 3, 1, 1, 1 }, low[] = { 0, -1, 2, 1, 1, 1 };
    op_case c = gathers[0];
    c.int_data[1] = high;
    check_run_refused(&c, DEQ_ERR_DATA, "index 3 at position 2 is out of range: 0 to 2");
    c.int_data[1] = low;
    check_run_refused(&c, DEQ_ERR_DATA, "index -1 at position 1 is out of range: 0 to 2");
    c = scatters[0];
    c.int_data[1] = high;
    check_run_refused(&c, DEQ_ERR_DATA, "index 3 at position 2 is out of range: 0 to 2");
}

static void mistakes_are_refused(void **state)
{
    (void)state;
    static const int three = 3, below = -3;
    /* clang-format off */
    const op_case axis = { "axis", 2, { REAL(3, 4), INDEX(6) }, .build = gather, .user = &three };
    const op_case under = { "under", 2, { REAL(3, 4), INDEX(6) }, .build = gather, .user = &below };
    const op_case scalar = { "scalar", 2, { { DEQ_F64, { 0, { 0 } } }, INDEX(6) }, .build = gather, .user = &axes[0] };
    const op_case ids = { "ids", 2, { REAL(3, 4), REAL(6) }, .build = gather, .user = &axes[0] };
    const op_case rank = { "rank", 2, { REAL(1, 1, 1, 1, 1), INDEX(1, 1, 1, 1, 1) }, .build = gather, .user = &axes[0] };
    const op_case table = { "table", 2, { REAL(3), INDEX(6) }, .build = embed };
    const op_case src = { "src", 3, { REAL(3, 4), INDEX(6), REAL(5, 4) }, .build = scatter, .user = &axes[0] };
    const op_case mixed = { "mixed", 3, { REAL(3, 4), INDEX(6), { DEQ_F32, { 2, { 6, 4 } } } }, .build = scatter, .user = &axes[0] };
    const op_case whole = { "whole", 3, { INDEX(3), INDEX(6), INDEX(6) }, .build = scatter, .user = &axes[0] };
    /* clang-format on */
    check_refused(&axis, DEQ_ERR_ARGUMENT, "axis 3, x has rank 2");
    check_refused(&under, DEQ_ERR_ARGUMENT, "axis -1, x has rank 2");
    check_refused(&scalar, DEQ_ERR_ARGUMENT, "axis 0, x has rank 0");
    check_refused(&ids, DEQ_ERR_DTYPE, "input 1 is f64, expected i32");
    check_refused(&rank, DEQ_ERR_SHAPE, "rank 9");
    check_refused(&table, DEQ_ERR_SHAPE, "the table has rank 1, expected 2");
    check_refused(&src, DEQ_ERR_SHAPE, "src is f64 [5, 4], expected f64 [6, 4]");
    check_refused(&mixed, DEQ_ERR_DTYPE, "different dtypes");
    check_refused(&whole, DEQ_ERR_DTYPE, "input 2 is i32");
}

int main(void)
{
    for (int i = 0; i < 300; i++) many[i] = (i * 7) % 5;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gather_picks_entries),
        cmocka_unit_test(scatter_adds_entries),
        cmocka_unit_test(gather_puts_the_axes_of_the_indices_in_place_of_the_axis),
        cmocka_unit_test(derivatives_match_differences),
        cmocka_unit_test(scatter_accumulates_in_double),
        cmocka_unit_test(integers_are_gathered_too),
        cmocka_unit_test(indices_out_of_range_end_the_run),
        cmocka_unit_test(mistakes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
