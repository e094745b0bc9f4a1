/* SPDX-License-Identifier: MIT */
/* Building graphs, and what is said of mistakes. */
#include "support/engine.h"

#include "graph/graph.h"

/* Mistakes: each is made alone in a fresh graph. */

static deq_value f32_of(deq_graph *g, const char *name, deq_shape shape)
{
    return deq_input(g, name, DEQ_STAGE_STATE, DEQ_F32, shape);
}

static void broadcast_mistake(deq_graph *g)
{
    deq_add(g, f32_of(g, "left", DEQ_SHAPE(2, 3)), f32_of(g, "right", DEQ_SHAPE(4)));
}
static void dtype_mistake(deq_graph *g)
{
    deq_mul(g, f32_of(g, "single", DEQ_SHAPE(2)),
            deq_input(g, "twice", DEQ_STAGE_STATE, DEQ_F64, DEQ_SHAPE(2)));
}
static void integer_mistake(deq_graph *g)
{
    deq_tanh(g, deq_input(g, "labels", DEQ_STAGE_INJECTED, DEQ_I32, DEQ_SHAPE(5)));
}
static void absent_mistake(deq_graph *g)
{
    deq_sub(g, f32_of(g, "present", DEQ_SHAPE(2)), DEQ_NONE);
}
static void condition_mistake(deq_graph *g)
{
    deq_value x = f32_of(g, "x", DEQ_SHAPE(2));
    deq_where(g, x, x, x);
}
static void clamp_mistake(deq_graph *g)
{
    deq_clamp(g, f32_of(g, "x", DEQ_SHAPE(2)), 2, 1);
}
static void matmul_mistake(deq_graph *g)
{
    deq_matmul(g, f32_of(g, "a", DEQ_SHAPE(32, 64)), f32_of(g, "b", DEQ_SHAPE(48, 10)), false,
               false);
}
static void conv_mistake(deq_graph *g)
{
    deq_conv2d(g, f32_of(g, "image", DEQ_SHAPE(1, 3, 8, 8)),
               f32_of(g, "kernel", DEQ_SHAPE(4, 5, 3, 3)), DEQ_NONE, NULL);
}
static void reshape_mistake(deq_graph *g)
{
    deq_reshape(g, f32_of(g, "x", DEQ_SHAPE(2, 3)), DEQ_SHAPE(4, 2));
}
static void concat_mistake(deq_graph *g)
{
    deq_value both[2] = { f32_of(g, "upper", DEQ_SHAPE(2, 3)),
                          f32_of(g, "lower", DEQ_SHAPE(2, 4)) };
    deq_concat(g, both, 2, 0);
}
static void slice_mistake(deq_graph *g)
{
    deq_slice(g, f32_of(g, "x", DEQ_SHAPE(2, 3)), 1, 2, 2);
}
static void permute_mistake(deq_graph *g)
{
    deq_permute(g, f32_of(g, "x", DEQ_SHAPE(2, 3)), (int[]){ 0, 0 }, 2);
}
static void zero_extent(deq_graph *g)
{
    f32_of(g, "hollow", DEQ_SHAPE(3, 0, 2));
}
static void negative_extent(deq_graph *g)
{
    f32_of(g, "hollow", DEQ_SHAPE(-3));
}
static void rank_nine(deq_graph *g)
{
    f32_of(g, "deep", (deq_shape){ .rank = 9, .dim = { 1, 1, 1, 1, 1, 1, 1, 1 } });
}
static void negative_rank(deq_graph *g)
{
    f32_of(g, "deep", (deq_shape){ .rank = -1 });
}
static void too_many_bytes(deq_graph *g)
{
    f32_of(g, "vast", DEQ_SHAPE(INT64_C(1) << 31, INT64_C(1) << 31));
}
static void too_many_bytes_of_one_axis(deq_graph *g)
{
    f32_of(g, "vast", DEQ_SHAPE(INT64_MAX));
}
static void too_many_bytes_of_an_output(deq_graph *g)
{
    deq_value column = f32_of(g, "column", DEQ_SHAPE(INT64_C(1) << 40, 1));
    deq_mul(g, column, f32_of(g, "row", DEQ_SHAPE(1, INT64_C(1) << 40)));
}
static void too_many_bytes_of_a_fill(deq_graph *g)
{
    deq_fill(g, DEQ_F64, DEQ_SHAPE(INT64_C(1) << 60), 1);
}
static void too_many_bytes_of_a_constant(deq_graph *g)
{
    deq_constant(g, DEQ_F64, DEQ_SHAPE(INT64_C(1) << 60), &(double){ 1 });
}
static void unknown_dtype(deq_graph *g)
{
    deq_input(g, "odd", DEQ_STAGE_STATE, (deq_dtype)42, DEQ_SCALAR);
}
static void unknown_dtype_of_a_fill(deq_graph *g)
{
    deq_fill(g, (deq_dtype)0, DEQ_SCALAR, 0);
}
static void unknown_dtype_of_a_cast(deq_graph *g)
{
    deq_cast(g, f32_of(g, "x", DEQ_SCALAR), (deq_dtype)42);
}
static void constant_stage(deq_graph *g)
{
    deq_input(g, "still", DEQ_STAGE_CONSTANT, DEQ_F32, DEQ_SCALAR);
}
static void unknown_stage(deq_graph *g)
{
    deq_input(g, "late", (deq_stage)4, DEQ_F32, DEQ_SCALAR);
}
static void no_name(deq_graph *g)
{
    f32_of(g, NULL, DEQ_SCALAR);
}
static void empty_name(deq_graph *g)
{
    f32_of(g, "", DEQ_SCALAR);
}
static void name_taken(deq_graph *g)
{
    f32_of(g, "again", DEQ_SCALAR);
    f32_of(g, "again", DEQ_SHAPE(2));
}
static void value_out_of_range(deq_graph *g)
{
    deq_add(g, f32_of(g, "x", DEQ_SHAPE(2)), (deq_value){ 1000 });
}
static void negative_value(deq_graph *g)
{
    deq_exp(g, (deq_value){ -7 });
}
static void no_outputs_to_derive(deq_graph *g)
{
    deq_value x = f32_of(g, "x", DEQ_SCALAR), d;
    deq_vjp(g, &d, NULL, NULL, 0, &x, 1);
}
static void no_inputs_to_derive(deq_graph *g)
{
    deq_value x = f32_of(g, "x", DEQ_SCALAR);
    deq_vjp(g, NULL, &x, NULL, 1, NULL, 0);
}
static void integers_to_derive(deq_graph *g)
{
    deq_value x = deq_input(g, "i", DEQ_STAGE_STATE, DEQ_I32, DEQ_SCALAR), d;
    deq_vjp(g, &d, &x, NULL, 1, &x, 1);
}
static void vector_without_cotangent(deq_graph *g)
{
    deq_value x = f32_of(g, "x", DEQ_SHAPE(3)), d;
    deq_vjp(g, &d, &x, NULL, 1, &x, 1);
}
static void cotangent_of_another_shape(deq_graph *g)
{
    deq_value x = f32_of(g, "x", DEQ_SHAPE(3)), c = f32_of(g, "c", DEQ_SHAPE(4)), d;
    deq_vjp(g, &d, &x, &c, 1, &x, 1);
}
static void cotangent_of_another_dtype(deq_graph *g)
{
    deq_value x = f32_of(g, "x", DEQ_SHAPE(3)), d;
    deq_value c = deq_input(g, "c", DEQ_STAGE_STATE, DEQ_F64, DEQ_SHAPE(3));
    deq_vjp(g, &d, &x, &c, 1, &x, 1);
}
static void cotangent_out_of_range(deq_graph *g)
{
    deq_value x = f32_of(g, "x", DEQ_SHAPE(3)), c = { 55 }, d;
    deq_vjp(g, &d, &x, &c, 1, &x, 1);
}
static void tangent_of_another_shape(deq_graph *g)
{
    deq_value x = f32_of(g, "x", DEQ_SHAPE(3)), c = f32_of(g, "c", DEQ_SHAPE(1, 3)), d;
    deq_jvp(g, &d, &x, 1, &x, &c, 1);
}
static void no_tangents(deq_graph *g)
{
    deq_value x = f32_of(g, "x", DEQ_SHAPE(3)), d;
    deq_jvp(g, &d, &x, 1, &x, NULL, 1);
}
static void derived_value_out_of_range(deq_graph *g)
{
    deq_value x = f32_of(g, "x", DEQ_SCALAR), y = { 99 }, d;
    deq_vjp(g, &d, &y, NULL, 1, &x, 1);
}

/* clang-format off */
static const struct mistake {
    const char *name;
    void (*make)(deq_graph *g);
    deq_status status;
    const char *texts[5]; /* all in the message */
} mistakes[] = {
    { "broadcast", broadcast_mistake, DEQ_ERR_SHAPE, { "add", "'left' f32 [2, 3]", "'right' f32 [4]" } },
    { "dtypes", dtype_mistake, DEQ_ERR_DTYPE, { "mul", "'single' f32 [2]", "'twice' f64 [2]" } },
    { "integers", integer_mistake, DEQ_ERR_DTYPE, { "tanh", "'labels' i32 [5]", "f32 or f64" } },
    { "absent input", absent_mistake, DEQ_ERR_DTYPE, { "sub", "'present' f32 [2]", "absent" } },
    { "condition", condition_mistake, DEQ_ERR_DTYPE, { "where", "bool", "'x' f32 [2]" } },
    { "clamp", clamp_mistake, DEQ_ERR_ARGUMENT, { "clamp", "2", "1" } },
    { "matmul", matmul_mistake, DEQ_ERR_SHAPE, { "matmul", "'a' f32 [32, 64]", "'b' f32 [48, 10]" } },
    { "conv2d", conv_mistake, DEQ_ERR_SHAPE, { "conv2d", "'image' f32 [1, 3, 8, 8]", "'kernel'" } },
    { "reshape", reshape_mistake, DEQ_ERR_SHAPE, { "reshape", "6 elements", "[4, 2]" } },
    { "concat", concat_mistake, DEQ_ERR_SHAPE, { "concat", "'upper' f32 [2, 3]", "'lower' f32 [2, 4]" } },
    { "slice", slice_mistake, DEQ_ERR_SHAPE, { "slice", "'x' f32 [2, 3]" } },
    { "permute", permute_mistake, DEQ_ERR_ARGUMENT, { "permute" } },
    { "zero extent", zero_extent, DEQ_ERR_SHAPE, { "input 'hollow'", "extent 0 at axis 1", "[3, 0, 2]" } },
    { "negative extent", negative_extent, DEQ_ERR_SHAPE, { "input 'hollow'", "extent -3 at axis 0" } },
    { "rank 9", rank_nine, DEQ_ERR_SHAPE, { "input 'deep'", "rank 9", "0 to 8" } },
    { "rank -1", negative_rank, DEQ_ERR_SHAPE, { "input 'deep'", "rank -1" } },
    { "size", too_many_bytes, DEQ_ERR_OVERFLOW, { "input 'vast'", "[2147483648, 2147483648]" } },
    { "size of an axis", too_many_bytes_of_one_axis, DEQ_ERR_OVERFLOW, { "input 'vast'", "9223372036854775807" } },
    { "size of an output", too_many_bytes_of_an_output, DEQ_ERR_OVERFLOW, { "mul", "[1099511627776, 1099511627776]" } },
    { "size of a fill", too_many_bytes_of_a_fill, DEQ_ERR_OVERFLOW, { "fill", "f64" } },
    { "size of a constant", too_many_bytes_of_a_constant, DEQ_ERR_OVERFLOW, { "constant", "f64" } },
    { "dtype 42", unknown_dtype, DEQ_ERR_DTYPE, { "input 'odd'", "42" } },
    { "dtype of a fill", unknown_dtype_of_a_fill, DEQ_ERR_DTYPE, { "fill", "0" } },
    { "dtype of a cast", unknown_dtype_of_a_cast, DEQ_ERR_DTYPE, { "cast", "42", "'x' f32 []" } },
    { "constant input", constant_stage, DEQ_ERR_ARGUMENT, { "input 'still'", "stage 0", "1 to 3" } },
    { "stage 4", unknown_stage, DEQ_ERR_ARGUMENT, { "input 'late'", "stage 4" } },
    { "no name", no_name, DEQ_ERR_NAME, { "input", "name" } },
    { "empty name", empty_name, DEQ_ERR_NAME, { "input", "name" } },
    { "duplicate name", name_taken, DEQ_ERR_NAME, { "input 'again'", "taken" } },
    { "value out of range", value_out_of_range, DEQ_ERR_ARGUMENT, { "add", "input 1" } },
    { "negative value", negative_value, DEQ_ERR_ARGUMENT, { "exp", "input 0" } },
    { "vjp of nothing", no_outputs_to_derive, DEQ_ERR_ARGUMENT, { "vjp", "outputs" } },
    { "vjp by nothing", no_inputs_to_derive, DEQ_ERR_ARGUMENT, { "vjp", "inputs" } },
    { "vjp of integers", integers_to_derive, DEQ_ERR_DTYPE, { "vjp", "outputs[0]", "i32 []" } },
    { "vjp of a vector", vector_without_cotangent, DEQ_ERR_SHAPE, { "vjp", "outputs[0]", "f32 [3]", "scalar" } },
    { "shape of a cotangent", cotangent_of_another_shape, DEQ_ERR_SHAPE, { "vjp", "cotangents[0]", "f32 [4]", "f32 [3]" } },
    { "dtype of a cotangent", cotangent_of_another_dtype, DEQ_ERR_SHAPE, { "vjp", "cotangents[0]", "f64 [3]", "f32 [3]" } },
    { "cotangent out of range", cotangent_out_of_range, DEQ_ERR_ARGUMENT, { "vjp", "cotangents[0]" } },
    { "shape of a tangent", tangent_of_another_shape, DEQ_ERR_SHAPE, { "jvp", "tangents[0]", "f32 [1, 3]" } },
    { "no tangents", no_tangents, DEQ_ERR_ARGUMENT, { "jvp", "tangents" } },
    { "vjp out of range", derived_value_out_of_range, DEQ_ERR_ARGUMENT, { "vjp", "outputs[0]" } },
};
/* clang-format on */

static void every_mistake_gives_its_status_and_the_facts(void **state)
{
    (void)state;
    int failed = 0;
    for (size_t i = 0; i < COUNT_OF(mistakes); i++) {
        const struct mistake *m = &mistakes[i];
        test_graph t = test_graph_new();
        m->make(t.g);
        const char *message = deq_graph_error(t.g);
        bool ok = deq_graph_status(t.g) == m->status;
        for (int k = 0; k < 5 && m->texts[k]; k++) ok = ok && strstr(message, m->texts[k]);
        if (!ok) {
            print_error("%s: %s: %s\n", m->name, deq_status_text(deq_graph_status(t.g)), message);
            failed++;
        }
        assert_string_equal(message, deq_last_error(t.ctx));
        test_graph_free(&t);
    }
    assert_int_equal(failed, 0);
}

static void the_first_mistake_is_the_one_reported(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(mistakes); i++) {
        test_graph t = test_graph_new();
        mistakes[i].make(t.g);
        char first[DEQ_MESSAGE_BYTES];
        memcpy(first, deq_graph_error(t.g), sizeof first);
        for (size_t k = 0; k < COUNT_OF(mistakes); k++) mistakes[k].make(t.g);
        assert_int_equal(deq_graph_status(t.g), mistakes[i].status);
        assert_string_equal(deq_graph_error(t.g), first);
        test_graph_free(&t);
    }
}

static void compiling_reports_the_first_mistake(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value x = f64_input(&t, "x", DEQ_STAGE_STATE, DEQ_SHAPE(2));
    matmul_mistake(t.g);
    (void)deq_fail(t.ctx, DEQ_ERR_IO, "something else");
    deq_program *p = (deq_program *)(uintptr_t)1;
    assert_int_equal(deq_compile(&p, t.g, &x, 1, NULL), DEQ_ERR_SHAPE);
    assert_null(p);
    assert_string_equal(deq_last_error(t.ctx), deq_graph_error(t.g));
    test_graph_free(&t);
}

static void values_pass_through_a_poisoned_graph(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value x = f64_input(&t, "x", DEQ_STAGE_STATE, DEQ_SHAPE(2, 3));
    broadcast_mistake(t.g);
    size_t nodes = t.g->n_nodes;
    deq_value bad = deq_add(t.g, x, x), both[2] = { x, bad }, d;
    assert_true(bad.id < 0);
    assert_true(deq_tanh(t.g, bad).id < 0);
    assert_true(deq_scale(t.g, bad, 2).id < 0);
    assert_true(deq_matmul(t.g, bad, x, false, true).id < 0);
    assert_true(deq_linear(t.g, x, bad, bad).id < 0);
    assert_true(deq_concat(t.g, both, 2, 0).id < 0);
    assert_true(deq_slice(t.g, bad, 0, 0, 1).id < 0);
    assert_true(deq_reshape(t.g, bad, DEQ_SHAPE(3, -1)).id < 0);
    assert_true(deq_permute(t.g, bad, (int[]){ 1, 0 }, 2).id < 0);
    assert_true(deq_transpose(t.g, bad, 0, 1).id < 0);
    assert_true(deq_sum(t.g, bad, DEQ_ALL_AXES, false).id < 0);
    assert_true(deq_mean(t.g, bad, DEQ_AXIS(1), true).id < 0);
    assert_true(deq_logsumexp(t.g, bad, DEQ_ALL_AXES, false).id < 0);
    assert_true(deq_stop_gradient(t.g, bad).id < 0);
    assert_true(deq_conv2d(t.g, bad, bad, DEQ_NONE, NULL).id < 0);
    assert_true(deq_fill(t.g, DEQ_F64, DEQ_SCALAR, 1).id < 0);
    assert_true(deq_constant(t.g, DEQ_F64, DEQ_SCALAR, &(double){ 1 }).id < 0);
    assert_true(f64_input(&t, "late", DEQ_STAGE_STATE, DEQ_SCALAR).id < 0);
    assert_int_equal(deq_name(t.g, bad, "bad").id, bad.id);
    assert_int_equal(deq_vjp(t.g, &d, &bad, NULL, 1, &x, 1), DEQ_ERR_SHAPE);
    assert_true(d.id < 0);
    assert_int_equal(deq_jvp(t.g, &d, &bad, 1, &x, &x, 1), DEQ_ERR_SHAPE);
    assert_true(d.id < 0);
    assert_int_equal(t.g->n_nodes, nodes);
    assert_refused(&t, DEQ_ERR_SHAPE, "'left'", NULL);
    test_graph_free(&t);
}

static void a_value_of_nothing_has_a_zeroed_type(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    const int32_t ids[] = { 0, -1, 77, INT32_MAX, INT32_MIN };
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        deq_type type = deq_value_type(t.g, (deq_value){ ids[i] });
        assert_int_equal(type.dtype, 0);
        assert_int_equal(type.shape.rank, 0);
    }
    test_graph_free(&t);
}

static void an_empty_graph_has_no_mistake(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    assert_int_equal(deq_graph_status(t.g), DEQ_OK);
    assert_string_equal(deq_graph_error(t.g), "");
    test_graph_free(&t);
    deq_graph_free(NULL);
}

static void names_are_copied_and_appear_in_messages(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    char name[] = "hidden";
    deq_value x = f64_input(&t, "x", DEQ_STAGE_STATE, DEQ_SHAPE(2, 3));
    deq_value h = deq_name(t.g, deq_tanh(t.g, x), name);
    memset(name, '#', sizeof name - 1);
    deq_add(t.g, h, f64_input(&t, "y", DEQ_STAGE_STATE, DEQ_SHAPE(5)));
    assert_refused(&t, DEQ_ERR_SHAPE, "'hidden' f64 [2, 3]", "'y' f64 [5]", NULL);
    test_graph_free(&t);
}

static void very_long_names_cut_the_message_and_nothing_else(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    char name[3000];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    deq_value x = f64_input(&t, name, DEQ_STAGE_STATE, DEQ_SHAPE(2));
    assert_ok(&t);
    deq_add(t.g, x, f64_input(&t, "y", DEQ_STAGE_STATE, DEQ_SHAPE(5)));
    assert_refused(&t, DEQ_ERR_SHAPE, "add: ", "nnnnnnnn", NULL);
    assert_int_equal(strlen(deq_graph_error(t.g)), DEQ_MESSAGE_BYTES - 1);
    test_graph_free(&t);
}

/* Stages of values ---------------------------------------------------------------------------- */

static void a_value_changes_as_often_as_what_it_depends_on(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value w = f64_input(&t, "w", DEQ_STAGE_PARAMETER, DEQ_SCALAR);
    deq_value x = f64_input(&t, "x", DEQ_STAGE_INJECTED, DEQ_SCALAR);
    deq_value z = f64_input(&t, "z", DEQ_STAGE_STATE, DEQ_SCALAR);
    deq_value c = deq_fill(t.g, DEQ_F64, DEQ_SCALAR, 2);
    assert_int_equal(deq_node_of(t.g, deq_add(t.g, c, c))->stage, DEQ_STAGE_CONSTANT);
    assert_int_equal(deq_node_of(t.g, deq_add(t.g, c, w))->stage, DEQ_STAGE_PARAMETER);
    assert_int_equal(deq_node_of(t.g, deq_add(t.g, x, w))->stage, DEQ_STAGE_INJECTED);
    assert_int_equal(deq_node_of(t.g, deq_add(t.g, x, z))->stage, DEQ_STAGE_STATE);
    assert_int_equal(deq_node_of(t.g, deq_exp(t.g, deq_mul(t.g, z, w)))->stage, DEQ_STAGE_STATE);
    test_graph_free(&t);
}

/* Leaves -------------------------------------------------------------------------------------- */

static void fills_and_constants_hold_their_numbers(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    double data[4] = { 1, -2, 3.5, NAN }, out[4];
    deq_value c = deq_constant(t.g, DEQ_F64, DEQ_SHAPE(2, 2), data);
    deq_value f = deq_fill(t.g, DEQ_F64, DEQ_SHAPE(2, 2), -0.75);
    data[0] = 99; /* it was copied */
    evaluate(&t, NULL, NULL, 0, c, out, NULL);
    assert_true(out[0] == 1 && out[1] == -2 && out[2] == 3.5 && isnan(out[3]));
    evaluate(&t, NULL, NULL, 0, f, out, NULL);
    for (int i = 0; i < 4; i++) assert_true(out[i] == -0.75);
    test_graph_free(&t);
}

static const struct fill_case {
    deq_dtype dtype;
    double number;
    int64_t expected;
} fill_cases[] = {
    { DEQ_I32, 7.9, 7 },
    { DEQ_I32, -7.9, -7 },
    { DEQ_I32, 1e20, INT32_MAX },
    { DEQ_I32, -1e20, INT32_MIN },
    { DEQ_I32, NAN, 0 },
    { DEQ_I64, 1e30, INT64_MAX },
    { DEQ_I64, -1e30, INT64_MIN },
    { DEQ_I64, INFINITY, INT64_MAX },
    { DEQ_I64, 4294967296.0, INT64_C(4294967296) },
    { DEQ_BOOL, 0, 0 },
    { DEQ_BOOL, -0.5, 1 },
    { DEQ_BOOL, NAN, 1 },
};

/* As a cast converts. */
static void numbers_are_converted_to_the_dtype_of_the_fill(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(fill_cases); i++) {
        const struct fill_case *c = &fill_cases[i];
        test_graph t = test_graph_new();
        deq_value f = deq_fill(t.g, c->dtype, DEQ_SCALAR, c->number);
        deq_value number = deq_constant(t.g, DEQ_F64, DEQ_SCALAR, &c->number);
        deq_value cast = deq_cast(t.g, number, c->dtype), both[2] = { f, cast };
        deq_compile_options o = plain_options();
        deq_program *p = must_compile(&t, both, 2, &o);
        must_run(p, DEQ_STAGE_PARAMETER);
        for (int k = 0; k < 2; k++) {
            int32_t i32;
            int64_t out = 0;
            uint8_t b;
            if (c->dtype == DEQ_I32) must_read(&t, p, both[k], &i32), out = i32;
            if (c->dtype == DEQ_I64) must_read(&t, p, both[k], &out);
            if (c->dtype == DEQ_BOOL) must_read(&t, p, both[k], &b), out = b;
            if (out != c->expected)
                fail_msg("%s of %s %g: %lld", k ? "cast" : "fill", deq_dtype_name(c->dtype),
                         c->number, (long long)out);
        }
        deq_program_free(p);
        test_graph_free(&t);
    }
}

static void garbage_beyond_the_rank_does_not_matter(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_shape s;
    memset(&s, 0x77, sizeof s);
    s.rank = 1;
    s.dim[0] = 3;
    deq_value x = f64_input(&t, "x", DEQ_STAGE_STATE, s);
    deq_value y = deq_mul(t.g, deq_add(t.g, x, deq_fill(t.g, DEQ_F64, s, 2)),
                          deq_fill(t.g, DEQ_F64, DEQ_SHAPE(3), 2));
    assert_ok(&t);
    assert_shape(&t, y, DEQ_SHAPE(3));
    for (int i = 1; i < DEQ_MAX_RANK; i++) assert_int_equal(deq_value_type(t.g, x).shape.dim[i], 0);
    assert_int_equal(nodes_after_simplify(&t, y), 4); /* both fills are one node */
    test_graph_free(&t);
}

/* Parameters of a graph ----------------------------------------------------------------------- */

static deq_parameters *store_of(deq_context *ctx, deq_dtype dtype)
{
    deq_parameters *p = NULL;
    assert_int_equal(deq_parameters_new(&p, ctx, dtype), DEQ_OK);
    assert_int_equal(deq_parameters_add(p, "conv.weight", DEQ_SHAPE(2, 3)), DEQ_OK);
    assert_int_equal(deq_parameters_add(p, "conv.bias", DEQ_SHAPE(3)), DEQ_OK);
    return p;
}

static void a_parameter_is_one_value_however_often_it_is_asked_for(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_parameters *p = store_of(t.ctx, DEQ_F32), *other = store_of(t.ctx, DEQ_F32);
    deq_value w = deq_parameter(t.g, p, "conv.weight");
    assert_int_equal(deq_parameter(t.g, p, "conv.weight").id, w.id);
    assert_int_not_equal(deq_parameter(t.g, p, "conv.bias").id, w.id);
    assert_int_not_equal(deq_parameter(t.g, other, "conv.weight").id, w.id);
    assert_int_equal(deq_value_type(t.g, w).dtype, DEQ_F32);
    assert_shape(&t, w, DEQ_SHAPE(2, 3));
    assert_int_equal(deq_node_of(t.g, w)->stage, DEQ_STAGE_PARAMETER);
    deq_parameters_free(p);
    deq_parameters_free(other);
    test_graph_free(&t);
}

static void an_unknown_parameter_is_refused_with_the_nearest_name(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_parameters *p = store_of(t.ctx, DEQ_F32);
    assert_true(deq_parameter(t.g, p, "conv.wieght").id < 0);
    assert_refused(&t, DEQ_ERR_NAME, "'conv.wieght'", "'conv.weight'", NULL);
    deq_parameters_free(p);
    test_graph_free(&t);
}

static void an_unknown_parameter_far_from_all_gets_no_suggestion(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_parameters *p = store_of(t.ctx, DEQ_F32);
    assert_true(deq_parameter(t.g, p, "zzz").id < 0);
    assert_refused(&t, DEQ_ERR_NAME, "'zzz'", NULL);
    assert_null(strstr(deq_graph_error(t.g), "mean"));
    deq_parameters_free(p);
    test_graph_free(&t);
}

static void a_parameter_without_a_name_is_refused(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_parameters *p = store_of(t.ctx, DEQ_F32);
    assert_true(deq_parameter(t.g, p, NULL).id < 0);
    assert_refused(&t, DEQ_ERR_NAME, "parameter", NULL);
    deq_parameters_free(p);
    test_graph_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mistake_gives_its_status_and_the_facts),
        cmocka_unit_test(the_first_mistake_is_the_one_reported),
        cmocka_unit_test(compiling_reports_the_first_mistake),
        cmocka_unit_test(values_pass_through_a_poisoned_graph),
        cmocka_unit_test(a_value_of_nothing_has_a_zeroed_type),
        cmocka_unit_test(an_empty_graph_has_no_mistake),
        cmocka_unit_test(names_are_copied_and_appear_in_messages),
        cmocka_unit_test(very_long_names_cut_the_message_and_nothing_else),
        cmocka_unit_test(a_value_changes_as_often_as_what_it_depends_on),
        cmocka_unit_test(fills_and_constants_hold_their_numbers),
        cmocka_unit_test(numbers_are_converted_to_the_dtype_of_the_fill),
        cmocka_unit_test(garbage_beyond_the_rank_does_not_matter),
        cmocka_unit_test(a_parameter_is_one_value_however_often_it_is_asked_for),
        cmocka_unit_test(an_unknown_parameter_is_refused_with_the_nearest_name),
        cmocka_unit_test(an_unknown_parameter_far_from_all_gets_no_suggestion),
        cmocka_unit_test(a_parameter_without_a_name_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
