/* SPDX-License-Identifier: MIT */
/* Inputs and outputs of compiled programs, and their life. */
#include "support/engine.h"

#include <pthread.h>

static const double one_to_six[6] = { 1, 2, 3, 4, 5, 6 };

static deq_value x_of(const test_graph *t)
{
    return f64_input(t, "x", DEQ_STAGE_STATE, DEQ_SHAPE(2, 3));
}

static void check_output(const test_graph *t, deq_program *p, deq_value v, const double *expected,
                         int n)
{
    double out[64];
    must_read(t, p, v, out);
    check_close("output", out, expected, n, 1e-14);
}

static void times(double *out, const double *x, double factor, int n)
{
    for (int i = 0; i < n; i++) out[i] = x[i] * factor;
}

/* Write, read ---------------------------------------------------------------------------------- */

static void outputs_are_read_and_inputs_too(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value x = x_of(&t), y = deq_scale(t.g, x, 2);
    deq_program *p = must_compile(&t, &y, 1, NULL);
    double expected[6];
    must_write(&t, p, x, one_to_six);
    check_output(&t, p, x, one_to_six, 6);
    must_run(p, DEQ_STAGE_PARAMETER);
    times(expected, one_to_six, 2, 6);
    check_output(&t, p, y, expected, 6);
    check_output(&t, p, x, one_to_six, 6);
    assert_string_equal(deq_program_error(p), "");
    deq_program_free(p);
    test_graph_free(&t);
}

static void sizes_and_values_are_checked(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value x = x_of(&t), h = deq_exp(t.g, x), y = deq_scale(t.g, h, 2);
    deq_program *p = must_compile(&t, &y, 1, NULL);
    double data[8] = { 0 };
    const struct {
        deq_status got, expected;
        const char *text;
    } calls[] = {
        { deq_program_write(p, x, data, 40), DEQ_ERR_SHAPE, "40 bytes" },
        { deq_program_write(p, x, data, 56), DEQ_ERR_SHAPE, "f64 [2, 3]" },
        { deq_program_read(p, y, data, 0), DEQ_ERR_SHAPE, "0 bytes" },
        { deq_program_write(p, y, data, 48), DEQ_ERR_NAME, "output" },
        { deq_program_write(p, h, data, 48), DEQ_ERR_NAME, "value" },
        { deq_program_read(p, h, data, 48), DEQ_ERR_NAME, "value" },
        { deq_program_write(p, DEQ_NONE, data, 48), DEQ_ERR_NAME, "value 0" },
        { deq_program_read(p, (deq_value){ 99 }, data, 48), DEQ_ERR_NAME, "value 99" },
        { deq_program_read(p, (deq_value){ -1 }, data, 48), DEQ_ERR_NAME, "value -1" },
        { deq_program_bind(p, h, NULL), DEQ_ERR_NAME, "value" },
        { deq_program_convert(p, h, data, data, true), DEQ_ERR_NAME, "" },
    };
    for (size_t i = 0; i < COUNT_OF(calls); i++)
        if (calls[i].got != calls[i].expected)
            fail_msg("call %zu: %s", i, deq_status_text(calls[i].got));
    assert_null(deq_program_data(p, h));
    assert_int_equal(deq_program_write(p, x, data, 40), DEQ_ERR_SHAPE);
    assert_non_null(strstr(deq_program_error(p), "40 bytes"));
    assert_non_null(strstr(deq_program_error(p), "f64 [2, 3]"));
    deq_program_free(p);
    test_graph_free(&t);
}

static void inputs_that_nothing_depends_on_are_accepted_and_ignored(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value x = x_of(&t), unused = f64_input(&t, "unused", DEQ_STAGE_STATE, DEQ_SHAPE(2));
    deq_value late, y = deq_scale(t.g, x, 2);
    deq_program *p = must_compile(&t, &y, 1, NULL);
    double data[4] = { 0 };
    must_write(&t, p, unused, data);
    assert_int_equal(deq_program_write(p, unused, data, 1), DEQ_ERR_SHAPE);
    assert_int_equal(deq_program_read(p, unused, data, 16), DEQ_ERR_NAME);
    assert_null(deq_program_data(p, unused));
    late = f64_input(&t, "late", DEQ_STAGE_STATE, DEQ_SCALAR); /* after the program */
    assert_int_equal(deq_program_write(p, late, data, 8), DEQ_ERR_NAME);
    must_write(&t, p, x, one_to_six);
    must_run(p, DEQ_STAGE_PARAMETER);
    deq_program_free(p);
    test_graph_free(&t);
}

/* Odd outputs ---------------------------------------------------------------------------------- */

/* Everything an output may be besides the result of a kernel. */
static void check_odd_outputs(const deq_compile_options *o)
{
    test_graph t = test_graph_new();
    deq_parameters *store;
    assert_int_equal(deq_parameters_new(&store, t.ctx, DEQ_F64), DEQ_OK);
    assert_int_equal(deq_parameters_add(store, "w", DEQ_SHAPE(2, 3)), DEQ_OK);
    assert_int_equal(deq_parameters_allocate(store), DEQ_OK);
    memcpy(deq_parameters_values(store, 0), one_to_six, sizeof one_to_six);
    deq_graph *g = t.g;
    deq_value x = x_of(&t), y = deq_scale(g, x, 3), w = deq_parameter(g, store, "w");
    const deq_value outs[] = {
        y,
        x,
        deq_reshape(g, x, DEQ_SHAPE(3, 2)),
        w,
        deq_reshape(g, w, DEQ_SHAPE(6)),
        deq_constant(g, DEQ_F64, DEQ_SHAPE(2, 3), one_to_six),
        deq_fill(g, DEQ_F64, DEQ_SHAPE(2, 3), 7),
        y,
        x,
        deq_reshape(g, y, DEQ_SHAPE(6)),
        deq_shift(g, x, 0),
        deq_scale(g, x, 3), /* equal to y */
        deq_stop_gradient(g, y),
        deq_scale(g, deq_fill(g, DEQ_F64, DEQ_SHAPE(2, 3), 2), 3.5),
        deq_transpose(g, deq_transpose(g, w, 0, 1), 0, 1),
    };
    const double factor[] = { 3, 1, 1, 1, 1, 1, 0, 3, 1, 3, 1, 3, 3, 0, 1 };
    enum { N = COUNT_OF(outs) };
    deq_program *p = must_compile(&t, outs, N, o);
    double expected[N][6];
    for (int i = 0; i < N; i++)
        for (int k = 0; k < 6; k++) expected[i][k] = factor[i] != 0 ? factor[i] * one_to_six[k] : 7;

    must_write(&t, p, x, one_to_six);
    must_run(p, DEQ_STAGE_PARAMETER);
    for (int i = 0; i < N; i++) check_output(&t, p, outs[i], expected[i], 6);

    /* The same in memory of the caller, each in a place of its own; inputs stay where they are. */
    double *memory = aligned_alloc(64, N * 64);
    assert_non_null(memory);
    for (int i = 0; i < 8 * N; i++) memory[i] = -1;
    for (int i = 0; i < N; i++)
        if (outs[i].id != x.id)
            assert_int_equal(deq_program_bind(p, outs[i], memory + 8 * i), DEQ_OK);
    must_run(p, DEQ_STAGE_PARAMETER);
    for (int i = 0; i < N; i++) {
        bool moved_on = outs[i].id == x.id; /* or the same value was bound again */
        for (int k = i + 1; k < N; k++) moved_on |= outs[k].id == outs[i].id;
        check_output(&t, p, outs[i], expected[i], 6);
        if (!moved_on) check_close("bound", memory + 8 * i, expected[i], 6, 1e-14);
        assert_true(memory[8 * i + 6] == -1 && memory[8 * i + 7] == -1);
    }
    /* Nobody's memory but the bound is written, and sources are as they were. */
    assert_memory_equal(deq_parameters_values(store, 0), one_to_six, sizeof one_to_six);
    check_output(&t, p, x, one_to_six, 6);
    for (int i = 0; i < N; i++) assert_int_equal(deq_program_bind(p, outs[i], NULL), DEQ_OK);
    must_run(p, DEQ_STAGE_PARAMETER);
    for (int i = 0; i < N; i++) check_output(&t, p, outs[i], expected[i], 6);
    free(memory);
    deq_program_free(p);
    deq_parameters_free(store);
    test_graph_free(&t);
}

static void outputs_may_be_inputs_parameters_constants_and_duplicates(void **state)
{
    (void)state;
    check_odd_outputs(NULL);
    deq_compile_options o = plain_options();
    check_odd_outputs(&o);
    o.simplify = true;
    check_odd_outputs(&o);
}

static void outputs_may_have_any_dtype(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value x = x_of(&t), four = deq_fill(t.g, DEQ_F64, DEQ_SCALAR, 4);
    deq_value outs[4] = { deq_greater(t.g, x, four), deq_cast(t.g, x, DEQ_I32),
                          deq_cast(t.g, x, DEQ_I64), deq_cast(t.g, x, DEQ_F32) };
    deq_program *p = must_compile(&t, outs, 4, NULL);
    uint8_t b[6];
    int32_t i32[6];
    int64_t i64[6];
    float f[6];
    must_write(&t, p, x, one_to_six);
    must_run(p, DEQ_STAGE_PARAMETER);
    must_read(&t, p, outs[0], b);
    must_read(&t, p, outs[1], i32);
    must_read(&t, p, outs[2], i64);
    must_read(&t, p, outs[3], f);
    for (int i = 0; i < 6; i++)
        assert_true(b[i] == (i > 3) && i32[i] == i + 1 && i64[i] == i + 1 &&
                    f[i] == (float)(i + 1));
    deq_program_free(p);
    test_graph_free(&t);
}

/* Binding --------------------------------------------------------------------------------------- */

static void inputs_and_outputs_live_in_bound_memory(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value x = x_of(&t), y = deq_scale(t.g, x, 2), z = deq_shift(t.g, y, 1), outs[2] = { y, z };
    deq_program *p = must_compile(&t, outs, 2, NULL);
    double *memory = aligned_alloc(64, 4 * 64), expected[6];
    assert_non_null(memory);
    void *own = deq_program_data(p, x);
    assert_non_null(own);
    assert_int_equal((uintptr_t)own % 64, 0);
    must_write(&t, p, x, one_to_six);
    assert_int_equal(deq_program_bind(p, x, memory), DEQ_OK);
    assert_int_equal(deq_program_bind(p, y, memory + 8), DEQ_OK);
    assert_ptr_equal(deq_program_data(p, x), memory);
    assert_ptr_equal(deq_program_data(p, y), memory + 8);
    for (int i = 0; i < 6; i++) memory[i] = 10 * (i + 1);
    must_run(p, DEQ_STAGE_PARAMETER);
    times(expected, one_to_six, 20, 6);
    check_close("in place", memory + 8, expected, 6, 0);
    must_write(&t, p, x, one_to_six); /* goes where the input lives */
    check_close("written", memory, one_to_six, 6, 0);
    assert_int_equal(deq_program_bind(p, x, NULL), DEQ_OK);
    assert_ptr_equal(deq_program_data(p, x), own);
    must_run(p, DEQ_STAGE_STATE);
    times(expected, one_to_six, 2, 6);
    check_output(&t, p, y, expected, 6); /* what the program's own memory held all the time */
    free(memory);
    deq_program_free(p);
    test_graph_free(&t);
}

static void memory_that_is_not_aligned_is_refused(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value x = x_of(&t), y = deq_scale(t.g, x, 2);
    deq_program *p = must_compile(&t, &y, 1, NULL);
    char *memory = aligned_alloc(64, 256);
    assert_non_null(memory);
    const size_t offsets[] = { 1, 8, 16, 32, 63 };
    for (size_t i = 0; i < COUNT_OF(offsets); i++) {
        void *before = deq_program_data(p, y);
        assert_int_equal(deq_program_bind(p, y, memory + offsets[i]), DEQ_ERR_ARGUMENT);
        assert_non_null(strstr(deq_program_error(p), "64"));
        assert_ptr_equal(deq_program_data(p, y), before);
    }
    assert_int_equal(deq_program_bind(p, y, memory + 64), DEQ_OK);
    free(memory);
    deq_program_free(p);
    test_graph_free(&t);
}

/* z <- f(z) by exchanging two buffers, as a solver does. */
static void an_output_fed_back_as_input_iterates(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value z = f64_input(&t, "z", DEQ_STAGE_STATE, DEQ_SCALAR), f = deq_cos(t.g, z);
    deq_program *p = must_compile(&t, &f, 1, NULL);
    double *memory = aligned_alloc(64, 128), *now = memory, *next = memory + 8;
    assert_non_null(memory);
    *now = 1;
    for (int k = 0; k < 120; k++) {
        assert_int_equal(deq_program_bind(p, z, now), DEQ_OK);
        assert_int_equal(deq_program_bind(p, f, next), DEQ_OK);
        must_run(p, k ? DEQ_STAGE_STATE : DEQ_STAGE_PARAMETER);
        double *swap = now;
        now = next;
        next = swap;
    }
    assert_true(fabs(*now - 0.73908513321516064) < 1e-15);
    free(memory);
    deq_program_free(p);
    test_graph_free(&t);
}

/* An output of an earlier stage that moves must be computed again before a later stage reads it. */
static void an_earlier_output_that_was_bound_has_to_be_computed_again(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value w = f64_input(&t, "w", DEQ_STAGE_PARAMETER, DEQ_SHAPE(2, 3)), x = x_of(&t);
    deq_value n = deq_exp(t.g, w), y = deq_mul(t.g, x, n), outs[2] = { n, y };
    deq_program *p = must_compile(&t, outs, 2, NULL);
    double *memory = aligned_alloc(64, 64), expected[6];
    assert_non_null(memory);
    must_write(&t, p, w, (double[6]){ 0 });
    must_write(&t, p, x, one_to_six);
    must_run(p, DEQ_STAGE_PARAMETER);
    for (int i = 0; i < 8; i++) memory[i] = NAN;
    assert_int_equal(deq_program_bind(p, n, memory), DEQ_OK);
    assert_int_equal(deq_program_run(p, DEQ_STAGE_STATE), DEQ_ERR_STATE);
    must_run(p, DEQ_STAGE_PARAMETER);
    times(expected, one_to_six, 1, 6);
    check_output(&t, p, y, expected, 6);
    assert_int_equal(deq_program_bind(p, n, memory), DEQ_OK); /* where it is: nothing moved */
    must_run(p, DEQ_STAGE_STATE);
    check_output(&t, p, y, expected, 6);
    free(memory);
    deq_program_free(p);
    test_graph_free(&t);
}

static void parameter_gradients_land_in_the_store(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_parameters *store;
    assert_int_equal(deq_parameters_new(&store, t.ctx, DEQ_F64), DEQ_OK);
    assert_int_equal(deq_parameters_add(store, "w", DEQ_SHAPE(2, 3)), DEQ_OK);
    assert_int_equal(deq_parameters_add(store, "unused", DEQ_SHAPE(5)), DEQ_OK);
    assert_int_equal(deq_parameters_add(store, "b", DEQ_SHAPE(2)), DEQ_OK);
    deq_value x = f64_input(&t, "x", DEQ_STAGE_INJECTED, DEQ_SHAPE(1, 3)), grads[3], outs[4];
    deq_value y = deq_linear(t.g, x, deq_parameter(t.g, store, "w"),
                             deq_parameter(t.g, store, "b"));
    deq_value loss = deq_scale(t.g, deq_squared_norm(t.g, y, DEQ_ALL_AXES, false), 0.5);
    assert_int_equal(deq_gradients(t.g, grads, loss, store), DEQ_OK);
    outs[0] = loss;
    memcpy(outs + 1, grads, sizeof grads);
    deq_program *p = must_compile(&t, outs, 4, NULL); /* allocates the store */
    double *values = deq_parameters_values(store, -1), *g = deq_parameters_gradients(store, -1);
    assert_non_null(values);
    for (int i = 0; i < 6; i++) values[i] = i - 2; /* [-2 -1 0; 1 2 3] */
    values[deq_parameters_info(store, 2).offset] = 1;
    for (int64_t i = 0; i < deq_parameters_length(store); i++) g[i] = 99;
    for (int i = 0; i < 3; i++)
        memset(deq_parameters_gradients(store, i), 0xFF,
               (size_t)deq_parameters_info(store, i).count * 8);
    assert_int_equal(deq_program_bind_gradients(p, store, grads), DEQ_OK);
    must_write(&t, p, x, (double[]){ 1, 2, 3 });
    must_run(p, DEQ_STAGE_PARAMETER);
    /* y = [-3, 14]: dw = y x^T, db = y */
    check_close("w", deq_parameters_gradients(store, 0), (double[]){ -3, -6, -9, 14, 28, 42 }, 6,
                1e-15);
    check_close("unused", deq_parameters_gradients(store, 1), (double[5]){ 0 }, 5, 0);
    check_close("b", deq_parameters_gradients(store, 2), (double[]){ -3, 14 }, 2, 1e-15);
    assert_true(g[6] == 99 && g[7] == 99); /* gaps are not written */
    values[0] += 1;                        /* an optimiser's step shows in the next run */
    must_run(p, DEQ_STAGE_PARAMETER);
    check_close("b", deq_parameters_gradients(store, 2), (double[]){ -2, 14 }, 2, 1e-15);
    deq_program_free(p);
    deq_parameters_free(store);
    test_graph_free(&t);
}

static void gradients_are_bound_to_an_allocated_store_only(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_parameters *store;
    assert_int_equal(deq_parameters_new(&store, t.ctx, DEQ_F64), DEQ_OK);
    assert_int_equal(deq_parameters_add(store, "w", DEQ_SHAPE(2, 3)), DEQ_OK);
    deq_value x = x_of(&t), y = deq_scale(t.g, x, 2), other = deq_scale(t.g, x, 3);
    deq_program *p = must_compile(&t, &y, 1, NULL);
    assert_int_equal(deq_program_bind_gradients(p, store, &y), DEQ_ERR_STATE);
    assert_int_equal(deq_parameters_allocate(store), DEQ_OK);
    assert_int_equal(deq_program_bind_gradients(p, store, &other), DEQ_ERR_NAME);
    assert_int_equal(deq_program_bind_gradients(p, store, &y), DEQ_OK);
    deq_program_free(p);
    deq_parameters_free(store);
    test_graph_free(&t);
}

/* Options --------------------------------------------------------------------------------------- */

static void options_and_outputs_are_validated(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value x = x_of(&t), none = DEQ_NONE, far = { 99 }, bad = { -1 };
    deq_compile_options ok = deq_compile_defaults(), size = ok, threads = ok, native = ok, odd = ok;
    size.struct_size = 3;
    threads.threads = -1;
    native.n_native = 1;
    odd.native = &far;
    odd.n_native = 1;
    const struct {
        const deq_value *outputs;
        int n;
        const deq_compile_options *options;
        const char *text;
    } cases[] = {
        { &x, 1, &size, "struct_size" }, { &x, 1, &threads, "threads" },
        { &x, 1, &native, "native" },    { &x, 1, &odd, "native[0]" },
        { &x, 0, &ok, "outputs" },       { &x, -1, &ok, "outputs" },
        { NULL, 1, &ok, "outputs" },     { &none, 1, &ok, "outputs[0]" },
        { &far, 1, &ok, "outputs[0]" },  { &bad, 1, &ok, "outputs[0]" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        deq_program *p = (deq_program *)(uintptr_t)1;
        assert_int_equal(deq_compile(&p, t.g, cases[i].outputs, cases[i].n, cases[i].options),
                         DEQ_ERR_ARGUMENT);
        assert_null(p);
        if (!strstr(deq_last_error(t.ctx), cases[i].text)) fail_msg("%s", deq_last_error(t.ctx));
        assert_int_equal(deq_graph_status(t.g), DEQ_OK); /* the graph is not to blame */
    }
    size_t *older = malloc(sizeof *older); /* an address sanitizer watches its end */
    assert_non_null(older);
    *older = sizeof *older;
    deq_program *p = NULL;
    assert_int_equal(deq_compile(&p, t.g, &x, 1, (const deq_compile_options *)(void *)older),
                     DEQ_ERR_ARGUMENT);
    free(older);
    deq_program_free(NULL);
    test_graph_free(&t);
}

/* Life ------------------------------------------------------------------------------------------ */

static void programs_outlive_the_graph(void **state)
{
    (void)state;
    for (int simplified = 0; simplified < 2; simplified++) {
        test_graph t = test_graph_new();
        deq_compile_options o = plain_options();
        o.simplify = simplified;
        deq_value x = x_of(&t), c = deq_constant(t.g, DEQ_F64, DEQ_SHAPE(2, 3), one_to_six);
        deq_value y = deq_name(t.g, deq_mul(t.g, deq_concat(t.g, (deq_value[]){ x }, 1, 0), c),
                               "y");
        deq_program *p = must_compile(&t, &y, 1, &o);
        deq_graph_free(t.g);
        t.g = NULL;
        double out[6];
        assert_int_equal(deq_program_write(p, x, one_to_six, sizeof out), DEQ_OK);
        must_run(p, DEQ_STAGE_PARAMETER);
        assert_int_equal(deq_program_read(p, y, out, sizeof out), DEQ_OK);
        for (int i = 0; i < 6; i++) assert_true(out[i] == one_to_six[i] * one_to_six[i]);
        deq_program_free(p);
        test_graph_free(&t);
    }
}

static void programs_of_one_graph_are_independent(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value x = x_of(&t), y = deq_scale(t.g, x, 2);
    deq_program *a = must_compile(&t, &y, 1, NULL), *b = must_compile(&t, &y, 1, NULL);
    double expected[6], zeros[6] = { 0 };
    must_write(&t, a, x, one_to_six);
    must_write(&t, b, x, zeros);
    must_run(a, DEQ_STAGE_PARAMETER);
    must_run(b, DEQ_STAGE_PARAMETER);
    times(expected, one_to_six, 2, 6);
    check_output(&t, a, y, expected, 6);
    check_output(&t, b, y, zeros, 6);
    deq_program_free(a);
    check_output(&t, b, y, zeros, 6);
    deq_program_free(b);
    test_graph_free(&t);
}

/* Threads --------------------------------------------------------------------------------------- */

enum { ROUNDS = 200, WIDTH = 48 };

typedef struct worker {
    deq_program *p;
    deq_value z, f;
    float out[WIDTH * WIDTH];
    bool ok;
} worker;

static void *iterate(void *argument)
{
    worker *w = argument;
    float z[WIDTH * WIDTH];
    for (int i = 0; i < WIDTH * WIDTH; i++) z[i] = (float)sin(i);
    w->ok = true;
    for (int k = 0; k < ROUNDS; k++) {
        w->ok = w->ok && deq_program_write(w->p, w->z, z, sizeof z) == DEQ_OK &&
                deq_program_run(w->p, k ? DEQ_STAGE_STATE : DEQ_STAGE_PARAMETER) == DEQ_OK &&
                deq_program_read(w->p, w->f, z, sizeof z) == DEQ_OK;
    }
    memcpy(w->out, z, sizeof z);
    return NULL;
}

static void two_programs_in_two_threads_give_the_bits_of_each_alone(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_parameters *store;
    assert_int_equal(deq_parameters_new(&store, t.ctx, DEQ_F32), DEQ_OK);
    assert_int_equal(deq_parameters_add(store, "w", DEQ_SHAPE(WIDTH, WIDTH)), DEQ_OK);
    assert_int_equal(deq_parameters_allocate(store), DEQ_OK);
    for (int i = 0; i < WIDTH * WIDTH; i++)
        ((float *)deq_parameters_values(store, 0))[i] = (float)cos(i) / WIDTH;
    deq_value z = deq_input(t.g, "z", DEQ_STAGE_STATE, DEQ_F32, DEQ_SHAPE(WIDTH, WIDTH));
    deq_value w = deq_parameter(t.g, store, "w");
    const deq_value f[2] = {
        deq_tanh(t.g, deq_shift(t.g, deq_linear(t.g, z, w, DEQ_NONE), 0.1)),
        deq_softmax(t.g, deq_scale(t.g, deq_matmul(t.g, z, w, true, false), 3), 1),
    };
    static worker alone[2], together[2];
    for (int i = 0; i < 2; i++) {
        alone[i] = (worker){ .p = must_compile(&t, &f[i], 1, NULL), .z = z, .f = f[i] };
        together[i] = (worker){ .p = must_compile(&t, &f[i], 1, NULL), .z = z, .f = f[i] };
        iterate(&alone[i]);
        assert_true(alone[i].ok);
    }
    pthread_t thread[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, iterate, &together[i]), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(thread[i], NULL), 0);
        assert_true(together[i].ok);
        assert_memory_equal(alone[i].out, together[i].out, sizeof alone[i].out);
        deq_program_free(alone[i].p);
        deq_program_free(together[i].p);
    }
    deq_parameters_free(store);
    test_graph_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outputs_are_read_and_inputs_too),
        cmocka_unit_test(sizes_and_values_are_checked),
        cmocka_unit_test(inputs_that_nothing_depends_on_are_accepted_and_ignored),
        cmocka_unit_test(outputs_may_be_inputs_parameters_constants_and_duplicates),
        cmocka_unit_test(outputs_may_have_any_dtype),
        cmocka_unit_test(inputs_and_outputs_live_in_bound_memory),
        cmocka_unit_test(memory_that_is_not_aligned_is_refused),
        cmocka_unit_test(an_output_fed_back_as_input_iterates),
        cmocka_unit_test(an_earlier_output_that_was_bound_has_to_be_computed_again),
        cmocka_unit_test(parameter_gradients_land_in_the_store),
        cmocka_unit_test(gradients_are_bound_to_an_allocated_store_only),
        cmocka_unit_test(options_and_outputs_are_validated),
        cmocka_unit_test(programs_outlive_the_graph),
        cmocka_unit_test(programs_of_one_graph_are_independent),
        cmocka_unit_test(two_programs_in_two_threads_give_the_bits_of_each_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
