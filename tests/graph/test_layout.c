/* SPDX-License-Identifier: MIT */
/* Inputs and outputs whose layout the program chooses. */
#include "support/engine.h"

enum { B = 2, C = 16, H = 5, W = 7, COUNT = B * C * H * W };

/* f(z) = tanh(conv(z) + x): whatever layout is chosen, z and f have it both. */
typedef struct fixture {
    test_graph t;
    deq_value z, x, w, f;
} fixture;

static void begin(fixture *c)
{
    c->t = test_graph_new();
    deq_graph *g = c->t.g;
    c->z = deq_input(g, "z", DEQ_STAGE_STATE, DEQ_F32, DEQ_SHAPE(B, C, H, W));
    c->x = deq_input(g, "x", DEQ_STAGE_INJECTED, DEQ_F32, DEQ_SHAPE(B, C, H, W));
    c->w = deq_input(g, "w", DEQ_STAGE_PARAMETER, DEQ_F32, DEQ_SHAPE(C, C, 3, 3));
    deq_value y = deq_conv2d(g, c->z, c->w, DEQ_NONE, DEQ_CONV2D(.padding = { 1, 1 }));
    c->f = deq_tanh(g, deq_add(g, y, c->x));
}

static deq_program *compile_native(const fixture *c, const deq_value *outs, int n_outs,
                                   const deq_value *native, int n)
{
    deq_compile_options o = deq_compile_defaults();
    o.native = native;
    o.n_native = n;
    return must_compile(&c->t, outs, n_outs, &o);
}

static void fill(float *data, int n, double step)
{
    for (int i = 0; i < n; i++) data[i] = (float)(0.3 * sin(i * step));
}

static void write_inputs(const fixture *c, deq_program *p)
{
    static float data[C * C * 9];
    fill(data, COUNT, 0.37);
    must_write(&c->t, p, c->z, data);
    fill(data, COUNT, 0.91);
    must_write(&c->t, p, c->x, data);
    fill(data, C * C * 9, 1.7);
    must_write(&c->t, p, c->w, data);
}

static void check_same(const float *a, const float *b)
{
    for (int i = 0; i < COUNT; i++)
        if (!(fabs((double)a[i] - (double)b[i]) < 1e-5))
            fail_msg("element %d is %g, expected %g", i, (double)a[i], (double)b[i]);
}

static void without_native_values_everything_is_plain(void **state)
{
    (void)state;
    fixture c;
    begin(&c);
    deq_program *p = must_compile(&c.t, &c.f, 1, NULL);
    assert_int_equal(deq_program_layout(p, c.z), DEQ_LAYOUT_PLAIN);
    assert_int_equal(deq_program_layout(p, c.f), DEQ_LAYOUT_PLAIN);
    deq_program_free(p);
    test_graph_free(&c.t);
}

/* Iterated in native memory, as a solver does, and with plain copies between runs: the same. */
static void native_outputs_are_fed_back_as_inputs(void **state)
{
    (void)state;
    static float plain[COUNT], native[COUNT];
    fixture c;
    begin(&c);
    const deq_value both[2] = { c.z, c.f };
    deq_program *p = must_compile(&c.t, &c.f, 1, NULL);
    deq_program *q = compile_native(&c, &c.f, 1, both, 2);
    assert_int_equal(deq_program_layout(q, c.z), deq_program_layout(q, c.f));
    assert_int_equal(deq_program_layout(q, c.x), DEQ_LAYOUT_PLAIN);
    write_inputs(&c, p);
    write_inputs(&c, q);
    float *memory = aligned_alloc(64, 2 * (COUNT + 16) * sizeof(float) / 64 * 64 + 64);
    assert_non_null(memory);
    float *now = memory, *next = memory + (COUNT + 15) / 16 * 16;
    memcpy(now, deq_program_data(q, c.z), COUNT * sizeof(float));
    for (int k = 0; k < 5; k++) {
        deq_stage from = k ? DEQ_STAGE_STATE : DEQ_STAGE_PARAMETER;
        must_run(p, from);
        must_read(&c.t, p, c.f, plain);
        must_write(&c.t, p, c.z, plain);
        assert_int_equal(deq_program_bind(q, c.z, now), DEQ_OK);
        assert_int_equal(deq_program_bind(q, c.f, next), DEQ_OK);
        must_run(q, from);
        must_read(&c.t, q, c.f, native);
        check_same(native, plain);
        float *swap = now;
        now = next;
        next = swap;
    }
    free(memory);
    deq_program_free(p);
    deq_program_free(q);
    test_graph_free(&c.t);
}

static void conversion_there_and_back_is_the_identity(void **state)
{
    (void)state;
    static float plain[COUNT], native[COUNT], back[COUNT];
    fixture c;
    begin(&c);
    const deq_value both[2] = { c.z, c.f };
    deq_program *q = compile_native(&c, &c.f, 1, both, 2);
    fill(plain, COUNT, 0.77);
    assert_int_equal(deq_program_convert(q, c.z, native, plain, true), DEQ_OK);
    assert_int_equal(deq_program_convert(q, c.z, native, back, false), DEQ_OK);
    assert_memory_equal(plain, back, sizeof plain);
    bool last = deq_program_layout(q, c.z) == DEQ_LAYOUT_CHANNELS_LAST;
    for (int b = 0; b < B; b++)
        for (int k = 0; k < C; k++)
            for (int i = 0; i < H * W; i++) {
                int from = (b * C + k) * H * W + i, to = last ? (b * H * W + i) * C + k : from;
                assert_true(native[to] == plain[from]);
            }
    must_write(&c.t, q, c.z, plain); /* what write and read do */
    assert_memory_equal(deq_program_data(q, c.z), native, sizeof native);
    must_read(&c.t, q, c.z, back);
    assert_memory_equal(plain, back, sizeof plain);
    deq_program_free(q);
    test_graph_free(&c.t);
}

/* A value that was not named keeps its plain layout, even where it equals one that was. */
static void values_that_were_not_named_stay_plain(void **state)
{
    (void)state;
    static float plain[COUNT], out[COUNT];
    fixture c;
    begin(&c);
    deq_graph *g = c.t.g;
    const deq_value same_z = deq_shift(g, c.z, 0), same_f = deq_scale(g, c.f, 1);
    const deq_value outs[4] = { c.f, same_f, same_z, deq_reshape(g, c.f, DEQ_SHAPE(B, -1)) };
    const deq_value native[3] = { c.f, same_z, c.x };
    deq_program *p = must_compile(&c.t, outs, 4, NULL);
    deq_program *q = compile_native(&c, outs, 4, native, 3);
    assert_int_equal(deq_program_layout(q, c.z), DEQ_LAYOUT_PLAIN);
    assert_int_equal(deq_program_layout(q, same_f), DEQ_LAYOUT_PLAIN);
    assert_int_equal(deq_program_layout(q, outs[3]), DEQ_LAYOUT_PLAIN);
    write_inputs(&c, p);
    write_inputs(&c, q);
    must_run(p, DEQ_STAGE_PARAMETER);
    must_run(q, DEQ_STAGE_PARAMETER);
    for (int i = 0; i < 4; i++) {
        must_read(&c.t, p, outs[i], plain);
        must_read(&c.t, q, outs[i], out);
        check_same(out, plain);
        if (deq_program_layout(q, outs[i]) == DEQ_LAYOUT_PLAIN)
            check_same(deq_program_data(q, outs[i]), plain);
    }
    deq_program_free(p);
    deq_program_free(q);
    test_graph_free(&c.t);
}

/* Outputs that are inputs, parameters, constants or duplicates, all native. */
static void odd_native_outputs_hold_their_values(void **state)
{
    (void)state;
    static float plain[COUNT], out[COUNT];
    fixture c;
    begin(&c);
    deq_graph *g = c.t.g;
    fill(plain, COUNT, 0.13);
    const deq_value outs[6] = { c.f,
                                c.z,
                                deq_constant(g, DEQ_F32, DEQ_SHAPE(B, C, H, W), plain),
                                deq_fill(g, DEQ_F32, DEQ_SHAPE(B, C, H, W), 2),
                                deq_tanh(g, c.x),
                                deq_scale(g, c.f, 1) };
    deq_program *p = must_compile(&c.t, outs, 6, NULL), *q = compile_native(&c, outs, 6, outs, 6);
    write_inputs(&c, p);
    write_inputs(&c, q);
    must_run(p, DEQ_STAGE_PARAMETER);
    must_run(q, DEQ_STAGE_PARAMETER);
    for (int i = 0; i < 6; i++) {
        must_read(&c.t, p, outs[i], plain);
        must_read(&c.t, q, outs[i], out);
        check_same(out, plain);
        assert_int_equal(deq_program_layout(q, outs[i]), deq_program_layout(q, c.f));
    }
    deq_program_free(p);
    deq_program_free(q);
    test_graph_free(&c.t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_native_values_everything_is_plain),
        cmocka_unit_test(native_outputs_are_fed_back_as_inputs),
        cmocka_unit_test(conversion_there_and_back_is_the_identity),
        cmocka_unit_test(values_that_were_not_named_stay_plain),
        cmocka_unit_test(odd_native_outputs_hold_their_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
