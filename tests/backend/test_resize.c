/* SPDX-License-Identifier: MIT */
/* Resizing by whole factors, and its adjoint, against the reference kernel. */
#include "backend/compare.h"

static const struct resize_case {
    const char *name;
    int64_t shape[4], height, width;
    bool tuned; /* channels-last, by whole factors */
} cases[] = {
    { "one pixel", { 1, 3, 1, 1 }, 2, 2, true },
    { "doubled", { 2, 24, 4, 4 }, 8, 8, true },
    { "eightfold", { 2, 5, 2, 3 }, 16, 24, true },
    { "factors differ", { 3, 7, 2, 5 }, 6, 5, true },
    { "many rows for two threads", { 8, 32, 8, 8 }, 32, 32, true },
    { "no whole factor", { 2, 5, 3, 4 }, 5, 8, false },
    { "made smaller", { 2, 5, 4, 4 }, 2, 2, false },
};

static compared begin(const struct resize_case *k, bool adjoint)
{
    compared c = { .t = test_graph_new(), .n_out = 1 };
    const int64_t *s = k->shape;
    deq_value x = compared_input(&c, DEQ_STAGE_STATE, DEQ_SHAPE(s[0], s[1], s[2], s[3]));
    deq_value y = deq_resize_nearest(c.t.g, x, k->height, k->width);
    c.out[0] = y;
    if (adjoint) {
        deq_value dy = compared_input(&c, DEQ_STAGE_STATE,
                                      DEQ_SHAPE(s[0], s[1], k->height, k->width));
        deq_vjp(c.t.g, &c.out[0], &y, &dy, 1, &x, 1);
    }
    return c;
}

static void resizing_agrees_with_the_reference(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        for (int adjoint = 0; adjoint < 2; adjoint++) {
            compared c = begin(&cases[i], adjoint);
            /* sums of up to 64 numbers below 1 in f32 */
            compare_programs(cases[i].name, &c, adjoint ? 1e-6 : 0);
            compare_rebound(cases[i].name, &c);
            test_graph_free(&c.t);
        }
}

/* Between convolutions, which are channels-last, no reference kernel and no reorder is left. */
static void resizing_stays_channels_last_between_convolutions(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct resize_case *k = &cases[i];
        const int64_t *s = k->shape;
        if (s[2] * s[3] == 1) continue; /* both layouts are one there */
        compared c = { .t = test_graph_new(), .n_out = 1 };
        deq_graph *g = c.t.g;
        deq_value x = compared_input(&c, DEQ_STAGE_STATE, DEQ_SHAPE(s[0], s[1], s[2], s[3]));
        deq_value w = compared_input(&c, DEQ_STAGE_PARAMETER, DEQ_SHAPE(s[1], s[1], 1, 1));
        deq_value h = deq_resize_nearest(g, deq_conv2d(g, x, w, DEQ_NONE, NULL), k->height,
                                         k->width);
        c.out[0] = deq_conv2d(g, h, w, DEQ_NONE, NULL);
        deq_program *p = compile_native(&c, 2);
        if (uses_kernel(p, "reference") == k->tuned)
            fail_msg("%s: %s", k->name, k->tuned ? "not tuned" : "tuned");
        deq_program_free(p);
        test_graph_free(&c.t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resizing_agrees_with_the_reference),
        cmocka_unit_test(resizing_stays_channels_last_between_convolutions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
