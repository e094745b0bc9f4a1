/* SPDX-License-Identifier: MIT */
/* A run from a stage computes that stage and the later ones, and nothing else. */
#include "support/engine.h"

#include "op/op.h"

/* The identity, which counts how often it is computed in the place that its attribute names. */
enum { COUNTERS = 8 };
static int counted[COUNTERS];

typedef struct count_attr {
    int32_t counter;
} count_attr;

static bool infer_count(deq_shape_rule *r)
{
    r->out[0] = r->in[0];
    return true;
}

static deq_status count_kernel(const deq_kernel_call *c)
{
    counted[((const count_attr *)c->attr)->counter]++;
    memcpy(c->out[0], c->in[0], deq_type_bytes(&c->in_type[0]));
    return DEQ_OK;
}

static const deq_op counting = { .name = "count",
                                 .n_out = 1,
                                 .attr_bytes = sizeof(count_attr),
                                 .linear = 1,
                                 .joint = true,
                                 .infer = infer_count,
                                 .kernel = count_kernel };

static deq_value count(deq_graph *g, deq_value x, int counter)
{
    count_attr a = { counter };
    return deq_emit1(g, &counting, &a, sizeof a, &x, 1);
}

/* z + x w with a counter behind every value: 0 constant, 1 w, 2 x, 3 x w, 4 z, 5 all. */
typedef struct fixture {
    test_graph t;
    deq_value w, x, z, y;
    deq_program *p;
} fixture;

static void begin(fixture *f, const deq_compile_options *o)
{
    f->t = test_graph_new();
    deq_graph *g = f->t.g;
    f->w = f64_input(&f->t, "w", DEQ_STAGE_PARAMETER, DEQ_SHAPE(2));
    f->x = f64_input(&f->t, "x", DEQ_STAGE_INJECTED, DEQ_SHAPE(2));
    f->z = f64_input(&f->t, "z", DEQ_STAGE_STATE, DEQ_SHAPE(2));
    deq_value two = count(g, deq_fill(g, DEQ_F64, DEQ_SHAPE(2), 2), 0);
    deq_value w = count(g, deq_mul(g, f->w, two), 1), x = count(g, f->x, 2);
    deq_value xw = count(g, deq_mul(g, x, w), 3);
    f->y = count(g, deq_add(g, count(g, f->z, 4), xw), 5);
    memset(counted, 0, sizeof counted);
    f->p = must_compile(&f->t, &f->y, 1, o);
    const double data[2] = { 1, 1 };
    must_write(&f->t, f->p, f->w, data);
    must_write(&f->t, f->p, f->x, data);
    must_write(&f->t, f->p, f->z, data);
}

static void end(fixture *f)
{
    deq_program_free(f->p);
    test_graph_free(&f->t);
}

static void check_counts(const int expected[6])
{
    for (int i = 0; i < 6; i++)
        if (counted[i] != expected[i])
            fail_msg("counter %d: %d times, expected %d", i, counted[i], expected[i]);
    memset(counted, 0, sizeof counted);
}

static const deq_compile_options *options_of(int i, deq_compile_options *o)
{
    *o = i ? deq_compile_defaults() : plain_options();
    return o;
}

static void a_run_computes_its_stage_and_the_later_ones(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        fixture f;
        deq_compile_options o;
        begin(&f, options_of(i, &o));
        check_counts((int[]){ 1, 0, 0, 0, 0, 0 }); /* constants: when compiled */
        must_run(f.p, DEQ_STAGE_PARAMETER);
        check_counts((int[]){ 0, 1, 1, 1, 1, 1 });
        must_run(f.p, DEQ_STAGE_STATE);
        check_counts((int[]){ 0, 0, 0, 0, 1, 1 });
        must_run(f.p, DEQ_STAGE_INJECTED);
        check_counts((int[]){ 0, 0, 1, 1, 1, 1 });
        must_run(f.p, DEQ_STAGE_STATE);
        must_run(f.p, DEQ_STAGE_STATE);
        check_counts((int[]){ 0, 0, 0, 0, 2, 2 });
        must_run(f.p, DEQ_STAGE_PARAMETER);
        check_counts((int[]){ 0, 1, 1, 1, 1, 1 });
        end(&f);
    }
}

static void a_run_sees_what_was_written_for_its_stage(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        fixture f;
        deq_compile_options o;
        double y[2];
        begin(&f, options_of(i, &o));
        must_run(f.p, DEQ_STAGE_PARAMETER);
        must_read(&f.t, f.p, f.y, y);
        assert_true(y[0] == 3 && y[1] == 3);
        must_write(&f.t, f.p, f.z, (double[]){ 10, 20 });
        must_write(&f.t, f.p, f.x, (double[]){ 5, 6 });
        must_write(&f.t, f.p, f.w, (double[]){ 100, 1000 });
        must_run(f.p, DEQ_STAGE_STATE); /* only z is taken up */
        must_read(&f.t, f.p, f.y, y);
        assert_true(y[0] == 12 && y[1] == 22);
        must_run(f.p, DEQ_STAGE_INJECTED); /* and x */
        must_read(&f.t, f.p, f.y, y);
        assert_true(y[0] == 20 && y[1] == 32);
        must_run(f.p, DEQ_STAGE_PARAMETER); /* and w */
        must_read(&f.t, f.p, f.y, y);
        assert_true(y[0] == 1010 && y[1] == 12020);
        end(&f);
    }
}

static void a_later_stage_cannot_run_first(void **state)
{
    (void)state;
    fixture f;
    begin(&f, NULL);
    assert_int_equal(deq_program_run(f.p, DEQ_STAGE_STATE), DEQ_ERR_STATE);
    assert_non_null(strstr(deq_program_error(f.p), "stage"));
    assert_int_equal(deq_program_run(f.p, DEQ_STAGE_INJECTED), DEQ_ERR_STATE);
    check_counts((int[]){ 1, 0, 0, 0, 0, 0 });
    must_run(f.p, DEQ_STAGE_PARAMETER);
    must_run(f.p, DEQ_STAGE_STATE);
    end(&f);
}

static void unknown_stages_are_refused(void **state)
{
    (void)state;
    fixture f;
    begin(&f, NULL);
    must_run(f.p, DEQ_STAGE_PARAMETER);
    assert_int_equal(deq_program_run(f.p, DEQ_STAGE_CONSTANT), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_program_run(f.p, (deq_stage)4), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_program_run(f.p, (deq_stage)-1), DEQ_ERR_ARGUMENT);
    end(&f);
}

/* After a failure the failed stage has to run again before later ones may. */
static void a_stage_that_failed_has_not_run(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value ids = deq_input(t.g, "ids", DEQ_STAGE_INJECTED, DEQ_I32, DEQ_SHAPE(2));
    deq_value table = f64_input(&t, "table", DEQ_STAGE_PARAMETER, DEQ_SHAPE(3, 2));
    deq_value z = f64_input(&t, "z", DEQ_STAGE_STATE, DEQ_SHAPE(2, 2));
    deq_value y = deq_add(t.g, z, deq_gather(t.g, table, 0, ids));
    deq_program *p = must_compile(&t, &y, 1, NULL);
    double out[4];
    must_write(&t, p, table, (double[]){ 1, 2, 3, 4, 5, 6 });
    must_write(&t, p, z, (double[]){ 0, 0, 0, 0 });
    must_write(&t, p, ids, (int32_t[]){ 0, 3 });
    assert_int_equal(deq_program_run(p, DEQ_STAGE_PARAMETER), DEQ_ERR_DATA);
    assert_non_null(strstr(deq_program_error(p), "3"));
    assert_int_equal(deq_program_run(p, DEQ_STAGE_STATE), DEQ_ERR_STATE);
    must_write(&t, p, ids, (int32_t[]){ 0, 2 });
    must_run(p, DEQ_STAGE_INJECTED); /* the parameter stage had succeeded */
    must_read(&t, p, y, out);
    assert_true(out[0] == 1 && out[3] == 6);
    must_write(&t, p, ids, (int32_t[]){ -1, 2 });
    assert_int_equal(deq_program_run(p, DEQ_STAGE_INJECTED), DEQ_ERR_DATA);
    assert_int_equal(deq_program_run(p, DEQ_STAGE_STATE), DEQ_ERR_STATE);
    deq_program_free(p);
    test_graph_free(&t);
}

/* What a value of an earlier stage leaves in memory must survive any number of later runs. */
static void earlier_results_survive_later_runs(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    enum { DEPTH = 12 };
    deq_value w = f64_input(&t, "w", DEQ_STAGE_PARAMETER, DEQ_SHAPE(64));
    deq_value x = f64_input(&t, "x", DEQ_STAGE_INJECTED, DEQ_SHAPE(64));
    deq_value z = f64_input(&t, "z", DEQ_STAGE_STATE, DEQ_SHAPE(64)), y = z;
    for (int i = 0; i < DEPTH; i++) {
        w = deq_sin(t.g, w);
        x = deq_mul(t.g, deq_cos(t.g, x), w);
        y = deq_add(t.g, deq_tanh(t.g, y), deq_mul(t.g, x, y));
    }
    deq_program *p[2];
    deq_compile_options o;
    for (int i = 0; i < 2; i++) p[i] = must_compile(&t, &y, 1, options_of(i, &o));
    double data[64], out[2][64];
    for (int i = 0; i < 64; i++) data[i] = sin(i);
    const deq_stage from[] = { DEQ_STAGE_PARAMETER, DEQ_STAGE_STATE,     DEQ_STAGE_STATE,
                               DEQ_STAGE_INJECTED,  DEQ_STAGE_STATE,     DEQ_STAGE_INJECTED,
                               DEQ_STAGE_STATE,     DEQ_STAGE_PARAMETER, DEQ_STAGE_STATE };
    for (size_t k = 0; k < COUNT_OF(from); k++) {
        for (int i = 0; i < 64; i++) data[i] = cos((double)i + (double)k);
        for (int i = 0; i < 2; i++) {
            must_write(&t, p[i], z, data);
            if (k == 0) {
                deq_value leaves[2] = { { 1 }, { 2 } };
                for (int m = 0; m < 2; m++) must_write(&t, p[i], leaves[m], data);
            }
            must_run(p[i], i ? from[k] : DEQ_STAGE_PARAMETER);
            must_read(&t, p[i], y, out[i]);
        }
        check_close("depth", out[1], out[0], 64, 1e-12);
    }
    for (int i = 0; i < 2; i++) deq_program_free(p[i]);
    test_graph_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_computes_its_stage_and_the_later_ones),
        cmocka_unit_test(a_run_sees_what_was_written_for_its_stage),
        cmocka_unit_test(a_later_stage_cannot_run_first),
        cmocka_unit_test(unknown_stages_are_refused),
        cmocka_unit_test(a_stage_that_failed_has_not_run),
        cmocka_unit_test(earlier_results_survive_later_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
