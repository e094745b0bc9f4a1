/* SPDX-License-Identifier: MIT */
#include "support/op_check.h"

#include "op/pick.h"

#include <deq/op.h>
#include <math.h>
#include <stdlib.h>

#define MAX_ELEMENTS 4096
#define N_OF(table) (sizeof(table) / sizeof *(table))

static deq_value build_cross_entropy(deq_graph *g, const deq_value *in, int n, const void *user)
{
    (void)n;
    return deq_cross_entropy(g, in[0], in[1], user);
}

/* clang-format off */
#define X(...) { DEQ_F64, { sizeof((int[]){ __VA_ARGS__ }) / sizeof(int), { __VA_ARGS__ } } }
#define LABELS(...) { DEQ_I32, { sizeof((int[]){ __VA_ARGS__ }) / sizeof(int), { __VA_ARGS__ } } }
#define VALUES(...) (const int32_t[]){ __VA_ARGS__ }
#define DATA(...) { NULL, VALUES(__VA_ARGS__) }
#define CASE(text, logits, labels, data, options)                                                  \
    { .name = (text), .n_in = 2, .in = { logits, labels }, .low = -2, .high = 2,                    \
      .int_data = { NULL, (data) }, .build = build_cross_entropy, .user = (options) }
#define OPTIONS(...)                                                                               \
    &(const deq_cross_entropy_options){ .struct_size = sizeof(deq_cross_entropy_options),          \
                                        __VA_ARGS__ }
#define IGNORE .has_ignore = true, .ignore_index = -100
#define C(...) __VA_ARGS__

static const op_case cases[] = {
    CASE("defaults",            C(X(4, 3)),       C(LABELS(4)),       C(VALUES(0, 2, 1, 2)), NULL),
    CASE("sum",                 C(X(4, 3)),       C(LABELS(4)),       C(VALUES(0, 2, 1, 2)),
         OPTIONS(.reduction = DEQ_REDUCTION_SUM)),
    CASE("none",                C(X(4, 3)),       C(LABELS(4)),       C(VALUES(0, 2, 1, 2)),
         OPTIONS(.reduction = DEQ_REDUCTION_NONE)),
    CASE("one class",           C(X(2, 1)),       C(LABELS(2)),       C(VALUES(0, 0)), NULL),
    CASE("one position",        C(X(1, 5)),       C(LABELS(1)),       C(VALUES(4)), NULL),
    CASE("spatial",             C(X(2, 3, 2, 2)), C(LABELS(2, 2, 2)), C(VALUES(0, 1, 2, 0, 1, 2, 0, 1)), NULL),
    CASE("spatial, none",       C(X(2, 4, 3)),    C(LABELS(2, 3)),    C(VALUES(3, 1, 2, 0, 1, 2)),
         OPTIONS(.reduction = DEQ_REDUCTION_NONE)),
    CASE("classes last",        C(X(2, 2, 4)),    C(LABELS(2, 2)),    C(VALUES(3, 1, 0, 2)), OPTIONS(.axis = -1)),
    CASE("one vector",          C(X(3)),          C({ DEQ_I32, { 0, { 0 } } }), C(VALUES(1)), OPTIONS(.axis = -1)),
    CASE("classes first",       C(X(3, 2, 2)),    C(LABELS(2, 2)),    C(VALUES(2, 1, 0, 2)), OPTIONS(.axis = -3)),
    CASE("ignore",              C(X(4, 3)),       C(LABELS(4)),       C(VALUES(0, -100, 1, -100)), OPTIONS(IGNORE)),
    CASE("ignore a class",      C(X(4, 3)),       C(LABELS(4)),       C(VALUES(0, 2, 1, 2)),
         OPTIONS(.has_ignore = true, .ignore_index = 2)),
    CASE("ignore, sum",         C(X(2, 3, 2)),    C(LABELS(2, 2)),    C(VALUES(0, -100, 1, 2)),
         OPTIONS(IGNORE, .reduction = DEQ_REDUCTION_SUM)),
    CASE("ignore, none",        C(X(2, 3, 2)),    C(LABELS(2, 2)),    C(VALUES(0, -100, 1, 2)),
         OPTIONS(IGNORE, .reduction = DEQ_REDUCTION_NONE)),
    CASE("all ignored",         C(X(3, 3)),       C(LABELS(3)),       C(VALUES(-100, -100, -100)), OPTIONS(IGNORE)),
    CASE("smoothing",           C(X(4, 3)),       C(LABELS(4)),       C(VALUES(0, 2, 1, 2)),
         OPTIONS(.label_smoothing = 0.1)),
    CASE("smoothing, spatial",  C(X(2, 3, 2)),    C(LABELS(2, 2)),    C(VALUES(0, 2, 1, 2)),
         OPTIONS(.label_smoothing = 0.3, .reduction = DEQ_REDUCTION_NONE)),
    CASE("smoothing, ignore",   C(X(4, 3)),       C(LABELS(4)),       C(VALUES(0, -100, 1, -100)),
         OPTIONS(.label_smoothing = 0.1, IGNORE)),
    CASE("smoothing, ignored",  C(X(2, 3)),       C(LABELS(2)),       C(VALUES(-100, -100)),
         OPTIONS(.label_smoothing = 0.5, IGNORE)),
    CASE("all smooth",          C(X(2, 3)),       C(LABELS(2)),       C(VALUES(1, 0)), OPTIONS(.label_smoothing = 1)),
};
/* clang-format on */

/* The definition at the head of deq_cross_entropy(), position by position. */
static int64_t expected_loss(const op_case *c, const double *x, double *loss)
{
    const deq_cross_entropy_options defaults = { 0 };
    const deq_cross_entropy_options *o = c->user ? c->user : &defaults;
    const deq_shape *s = &c->in[0].shape;
    const int32_t *labels = c->int_data[1];
    const int axis = o->axis == 0 ? 1 : o->axis + s->rank;
    int64_t inner = 1, n = deq_shape_count(&c->in[1].shape), classes = s->dim[axis], counted = 0;
    double sum = 0;
    for (int i = axis + 1; i < s->rank; i++) inner *= s->dim[i];
    for (int64_t p = 0; p < n; p++) {
        const double *row = x + p / inner * classes * inner + p % inner;
        double z = 0, smooth = 0;
        loss[p] = 0;
        if (o->has_ignore && labels[p] == o->ignore_index) continue;
        for (int64_t k = 0; k < classes; k++) z += exp(row[k * inner]);
        for (int64_t k = 0; k < classes; k++) smooth += log(exp(row[k * inner]) / z);
        loss[p] = -(1 - o->label_smoothing) * log(exp(row[labels[p] * inner]) / z) -
                  o->label_smoothing / (double)classes * smooth;
        sum += loss[p];
        counted++;
    }
    if (o->reduction == DEQ_REDUCTION_NONE) return n;
    loss[0] = o->reduction == DEQ_REDUCTION_SUM ? sum : counted ? sum / (double)counted : 0;
    return 1;
}

static void cross_entropy_matches_plain_loops(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_OF(cases); i++) {
        double x[MAX_ELEMENTS], y[MAX_ELEMENTS], expected[MAX_ELEMENTS];
        random_data(&cases[i], 0, x);
        int64_t n = expected_loss(&cases[i], x, expected);
        deq_type t = type_of_op(&cases[i]);
        assert_int_equal(deq_shape_count(&t.shape), n);
        forward_op(&cases[i], NULL, y);
        check_close(cases[i].name, y, expected, n, 1e-14);
    }
}

static void derivatives_of_cross_entropy_match_differences(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_OF(cases); i++) check_op(&cases[i]);
}

static void cross_entropy_of_large_logits_is_finite(void **state)
{
    (void)state;
    static const double x[] = { 1e4, -1e4, 0, 0 };
    const op_case c = { .name = "large logits",
                        .n_in = 2,
                        .in = { X(2, 2), LABELS(2) },
                        .data = { x },
                        .int_data = DATA(1, 0),
                        .build = build_cross_entropy,
                        .user = OPTIONS(.reduction = DEQ_REDUCTION_NONE) };
    const double expected[] = { 2e4, log(2.0) };
    double y[2];
    forward_op(&c, NULL, y);
    check_close(c.name, y, expected, 2, 1e-15);
}

/* ---- gradients in closed form ------------------------------------------------------------- */

static deq_value build_gradient(deq_graph *g, const deq_value *in, int n, const void *user)
{
    deq_value loss = deq_cross_entropy(g, in[0], in[1], user), dx = DEQ_NONE;
    (void)n;
    deq_vjp(g, &dx, &loss, NULL, 1, &in[0], 1);
    return dx;
}

static void gradient_is_softmax_minus_one_hot(void **state)
{
    (void)state;
    static const double x[] = { 0, 0, 5, 5, 5, 5, 1, 2, 3 };
    const op_case c = { .name = "gradient",
                        .n_in = 2,
                        .in = { X(3, 3), LABELS(3) },
                        .data = { x },
                        .int_data = DATA(0, 1, -1),
                        .build = build_gradient,
                        .user = OPTIONS(.has_ignore = true, .ignore_index = -1) };
    const double z = 2 + exp(5.0);
    const double expected[] = {
        (1 / z - 1) / 2, 0.5 / z, 0.5 * exp(5.0) / z, 1.0 / 6, -1.0 / 3, 1.0 / 6, 0, 0, 0
    };
    double dx[9];
    forward_op(&c, NULL, dx);
    check_close(c.name, dx, expected, 9, 1e-15);
}

static void gradient_is_zero_when_all_is_ignored(void **state)
{
    (void)state;
    const op_case c = { .name = "all ignored, gradient",
                        .n_in = 2,
                        .in = { X(2, 3), LABELS(2) },
                        .int_data = DATA(7, 7),
                        .build = build_gradient,
                        .user = OPTIONS(.has_ignore = true, .ignore_index = 7,
                                        .label_smoothing = 0.1) };
    const double expected[6] = { 0 };
    double dx[6];
    forward_op(&c, NULL, dx);
    check_close(c.name, dx, expected, 6, 0);
}

/* ---- labels out of range ------------------------------------------------------------------ */

static void a_label_out_of_range_is_named_with_its_position(void **state)
{
    (void)state;
    op_case c = { .name = "label",
                  .n_in = 2,
                  .in = { X(2, 3, 4), LABELS(2, 4) },
                  .int_data = DATA(0, 1, 2, 0, 0, 1, 3, 0),
                  .build = build_cross_entropy };
    check_run_refused(&c, DEQ_ERR_DATA, "labels[1, 2] is 3, expected 0 to 2");
    c.user = OPTIONS(IGNORE);
    check_run_refused(&c, DEQ_ERR_DATA,
                      "labels[1, 2] is 3, expected 0 to 2, or -100 to be ignored");
    c.user = OPTIONS(.has_ignore = true, .ignore_index = 3);
    double loss;
    forward_op(&c, NULL, &loss);
    assert_true(isfinite(loss));

    const op_case negative = { .name = "negative",
                               .n_in = 2,
                               .in = { X(2, 3), LABELS(2) },
                               .int_data = DATA(-100, 1),
                               .build = build_cross_entropy };
    check_run_refused(&negative, DEQ_ERR_DATA, "labels[0] is -100, expected 0 to 2");
    const op_case scalar = { .name = "scalar",
                             .n_in = 2,
                             .in = { X(3), { DEQ_I32, { 0, { 0 } } } },
                             .int_data = DATA(4),
                             .build = build_cross_entropy,
                             .user = OPTIONS(.axis = -1) };
    check_run_refused(&scalar, DEQ_ERR_DATA, "labels is 4, expected 0 to 2");
    op_case gradient = negative; /* whose program may not need the loss itself */
    gradient.build = build_gradient;
    check_run_refused(&gradient, DEQ_ERR_DATA, "labels[0] is -100");
}

/* ---- pick and place ----------------------------------------------------------------------- */

static deq_value build_pick(deq_graph *g, const deq_value *in, int n, const void *user)
{
    (void)n;
    return deq_pick(g, in[0], in[1], user);
}

static deq_value build_place(deq_graph *g, const deq_value *in, int n, const void *user)
{
    (void)n;
    return deq_place(g, in[0], in[1], user);
}

static void pick_and_place_are_each_others_adjoint(void **state)
{
    (void)state;
    static const deq_pick_attr a = { .axis = 1, .classes = 3, .has_ignore = 1, .ignore_index = 9 };
    const op_case cases_of_both[] = {
        { .name = "pick",
          .n_in = 2,
          .in = { X(2, 3, 2), LABELS(2, 2) },
          .int_data = DATA(2, 9, 0, 1),
          .build = build_pick,
          .user = &a },
        { .name = "place",
          .n_in = 2,
          .in = { X(2, 2), LABELS(2, 2) },
          .int_data = DATA(2, 9, 0, 1),
          .build = build_place,
          .user = &a },
    };
    static const double x[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 }, y[] = { 5, 6, 7, 8 };
    const double picked[] = { 5, 0, 7, 10 };
    const double placed[] = { 0, 0, 0, 0, 5, 0, 7, 0, 0, 8, 0, 0 };
    const double *const in_x[2] = { x }, *const in_y[2] = { y };
    double out[12];
    forward_op(&cases_of_both[0], in_x, out);
    check_close("pick", out, picked, 4, 0);
    forward_op(&cases_of_both[1], in_y, out);
    check_close("place", out, placed, 12, 0);
    for (size_t i = 0; i < N_OF(cases_of_both); i++) check_op(&cases_of_both[i]);
}

/* ---- errors ------------------------------------------------------------------------------- */

static deq_value build_mse(deq_graph *g, const deq_value *in, int n, const void *user)
{
    (void)n;
    (void)user;
    return deq_mse(g, in[0], in[1]);
}

static deq_value build_l1(deq_graph *g, const deq_value *in, int n, const void *user)
{
    (void)n;
    (void)user;
    return deq_l1(g, in[0], in[1]);
}

static void mse_and_l1_are_means_over_all_elements(void **state)
{
    (void)state;
    static const double a[] = { 1, 2, 3, -4 }, b[] = { 0, 4, 3.5, -7 };
    op_case c = { .name = "errors", .n_in = 2, .in = { X(2, 2), X(2, 2) }, .data = { a, b } };
    const double mse = (1 + 4 + 0.25 + 9) / 4, l1 = (1 + 2 + 0.5 + 3) / 4;
    double y;
    c.build = build_mse;
    forward_op(&c, NULL, &y);
    check_close("mse", &y, &mse, 1, 1e-15);
    check_op(&c);
    c.build = build_l1;
    forward_op(&c, NULL, &y);
    check_close("l1", &y, &l1, 1, 1e-15);
    check_op(&c);
}

/* ---- refusals ----------------------------------------------------------------------------- */

static void mistakes_are_named(void **state)
{
    (void)state;
    const struct {
        op_case c;
        deq_status status;
        const char *text;
    } refused[] = {
        { { "labels", 2, { X(2, 3, 4), LABELS(2) }, .build = build_cross_entropy },
          DEQ_ERR_SHAPE,
          "labels are i32 [2], expected i32 [2, 4]" },
        { { "label dtype", 2, { X(2, 3), X(2) }, .build = build_cross_entropy },
          DEQ_ERR_DTYPE,
          "f64, expected i32" },
        { { "logits dtype", 2, { LABELS(2, 3), LABELS(2) }, .build = build_cross_entropy },
          DEQ_ERR_DTYPE,
          "i32, expected f32 or f64" },
        { { "rank", 2, { X(3), LABELS(3) }, .build = build_cross_entropy },
          DEQ_ERR_SHAPE,
          "class axis 1, logits have rank 1" },
        { { "axis",
            2,
            { X(3, 2), LABELS(3) },
            .build = build_cross_entropy,
            .user = OPTIONS(.axis = -3) },
          DEQ_ERR_SHAPE,
          "class axis -3, logits have rank 2" },
        { { "smoothing",
            2,
            { X(3, 2), LABELS(3) },
            .build = build_cross_entropy,
            .user = OPTIONS(.label_smoothing = 1.5) },
          DEQ_ERR_ARGUMENT,
          "label_smoothing is 1.5" },
        { { "reduction",
            2,
            { X(3, 2), LABELS(3) },
            .build = build_cross_entropy,
            .user = OPTIONS(.reduction = (deq_reduction)9) },
          DEQ_ERR_ARGUMENT,
          "reduction 9" },
        { { "size",
            2,
            { X(3, 2), LABELS(3) },
            .build = build_cross_entropy,
            .user = &(const deq_cross_entropy_options){ 0 } },
          DEQ_ERR_ARGUMENT,
          "struct_size is 0" },
        { { "broadcast", 2, { X(3, 1), X(3) }, .build = build_mse },
          DEQ_ERR_SHAPE,
          "mse: the prediction is f64 [3, 1], the target f64 [3]" },
        { { "integers", 2, { X(3), LABELS(3) }, .build = build_l1 },
          DEQ_ERR_DTYPE,
          "l1: the prediction is f64 [3], the target i32 [3]" },
    };
    for (size_t i = 0; i < N_OF(refused); i++)
        check_refused(&refused[i].c, refused[i].status, refused[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cross_entropy_matches_plain_loops),
        cmocka_unit_test(derivatives_of_cross_entropy_match_differences),
        cmocka_unit_test(cross_entropy_of_large_logits_is_finite),
        cmocka_unit_test(gradient_is_softmax_minus_one_hot),
        cmocka_unit_test(gradient_is_zero_when_all_is_ignored),
        cmocka_unit_test(a_label_out_of_range_is_named_with_its_position),
        cmocka_unit_test(pick_and_place_are_each_others_adjoint),
        cmocka_unit_test(mse_and_l1_are_means_over_all_elements),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
