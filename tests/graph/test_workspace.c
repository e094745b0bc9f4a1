/* SPDX-License-Identifier: MIT */
/* Programs that use one block in turn. */
#include "support/engine.h"
#include "support/memory.h"

#include <deq/workspace.h>
#include <string.h>

enum { N = 1000 };

/* y = sum_k tanh(w_k x), of n elements, with w = p p: p is a parameter-stage input. */
typedef struct chain {
    deq_value p, x, y;
    deq_program *program;
    int64_t n;
} chain;

static chain chain_new(const test_graph *t, const char *names, int64_t n, deq_workspace *w)
{
    const char p[] = { names[0], 0 }, x[] = { names[1], 0 };
    chain c = { .p = f64_input(t, p, DEQ_STAGE_PARAMETER, DEQ_SHAPE(n)),
                .x = f64_input(t, x, DEQ_STAGE_INJECTED, DEQ_SHAPE(n)),
                .n = n };
    deq_compile_options o = deq_compile_defaults();
    o.workspace = w;
    o.fuse = false;
    c.y = deq_tanh(t->g, deq_mul(t->g, c.x, deq_square(t->g, c.p)));
    c.y = deq_add(t->g, c.y, deq_sin(t->g, c.y));
    c.program = must_compile(t, &c.y, 1, &o);
    return c;
}

static void write_p(const test_graph *t, const chain *c, double p)
{
    double v[2 * N];
    for (int i = 0; i < c->n; i++) v[i] = p;
    must_write(t, c->program, c->p, v);
}

static void write_x(const test_graph *t, const chain *c, double x)
{
    double v[2 * N];
    for (int i = 0; i < c->n; i++) v[i] = x * i / N;
    must_write(t, c->program, c->x, v);
}

static void check_y(const test_graph *t, const chain *c, double p, double x)
{
    double y[2 * N];
    must_read(t, c->program, c->y, y);
    for (int i = 0; i < c->n; i++) {
        double h = tanh(x * i / N * p * p);
        assert_true(fabs(y[i] - (h + sin(h))) < 1e-14);
    }
}

/* What a program derives from parameters alone outlives the others' turns. */
static void programs_take_turns(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_workspace *w;
    assert_int_equal(deq_workspace_new(&w, t.ctx), DEQ_OK);
    chain c[2] = { chain_new(&t, "px", N, w), chain_new(&t, "qy", 2 * N, w) };
    for (int i = 0; i < 2; i++) write_p(&t, &c[i], 0.5 + i);
    for (int turn = 0; turn < 6; turn++) {
        int i = turn % 2;
        write_x(&t, &c[i], 1 + turn);
        must_run(c[i].program, turn < 2 ? DEQ_STAGE_PARAMETER : DEQ_STAGE_INJECTED);
        check_y(&t, &c[i], 0.5 + i, 1 + turn);
    }
    deq_workspace_free(w);
    for (int i = 0; i < 2; i++) deq_program_free(c[i].program);
    test_graph_free(&t);
}

static void the_block_is_as_large_as_the_largest_needs(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_workspace *w;
    assert_int_equal(deq_workspace_new(&w, t.ctx), DEQ_OK);
    chain small = chain_new(&t, "px", N, w);
    size_t bytes = deq_workspace_bytes(w);
    assert_true(bytes >= 2 * N * sizeof(double));
    chain large = chain_new(&t, "qy", 2 * N, w);
    size_t more = deq_workspace_bytes(w);
    assert_true(more > bytes && more < 2 * bytes + 1000);
    assert_true(deq_program_stats(large.program).arena_bytes >= more);
    write_p(&t, &small, 1);
    write_x(&t, &small, 2);
    deq_program_free(large.program); /* the block shrinks, and what it held is lost */
    assert_int_equal(deq_workspace_bytes(w), bytes);
    assert_int_equal(deq_program_run(small.program, DEQ_STAGE_PARAMETER), DEQ_ERR_STATE);
    write_x(&t, &small, 2);
    must_run(small.program, DEQ_STAGE_PARAMETER);
    check_y(&t, &small, 1, 2);
    deq_program_free(small.program);
    assert_int_equal(deq_workspace_bytes(w), 0);
    deq_workspace_free(w);
    test_graph_free(&t);
}

static void assert_lost(const chain *c, deq_status status, const char *text)
{
    assert_int_equal(status, DEQ_ERR_STATE);
    if (!strstr(deq_program_error(c->program), text)) fail_msg("%s", deq_program_error(c->program));
}

static void what_another_program_has_taken_is_not_read(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_workspace *w;
    double y[2 * N];
    assert_int_equal(deq_workspace_new(&w, t.ctx), DEQ_OK);
    chain a = chain_new(&t, "px", N, w), b = chain_new(&t, "qy", N, w);
    for (int i = 0; i < 2; i++) {
        write_p(&t, i ? &b : &a, 1);
        write_x(&t, i ? &b : &a, 1);
    }
    assert_lost(&a, deq_program_run(a.program, DEQ_STAGE_PARAMETER), "has not been written");
    write_x(&t, &a, 1);
    must_run(a.program, DEQ_STAGE_PARAMETER);
    write_x(&t, &b, 1);
    assert_lost(&a, deq_program_read(a.program, a.y, y, N * sizeof *y), "lost");
    write_x(&t, &a, 1);
    assert_lost(&a, deq_program_run(a.program, DEQ_STAGE_STATE), "before stage");
    must_run(a.program, DEQ_STAGE_INJECTED);
    check_y(&t, &a, 1, 1);
    deq_program_free(a.program);
    deq_program_free(b.program);
    deq_workspace_free(w);
    test_graph_free(&t);
}

static void bound_memory_is_nobody_elses(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_workspace *w;
    assert_int_equal(deq_workspace_new(&w, t.ctx), DEQ_OK);
    chain a = chain_new(&t, "px", N, w);
    double *x = aligned_alloc(64, 2 * 8064), *y = x + 8064 / 8;
    for (int i = 0; i < N; i++) x[i] = (double)i / N;
    write_p(&t, &a, 1);
    assert_int_equal(deq_program_bind(a.program, a.x, x), DEQ_OK);
    assert_int_equal(deq_program_bind(a.program, a.y, y), DEQ_OK);
    chain b = chain_new(&t, "qy", 2 * N, w); /* moves the block */
    write_x(&t, &b, 1);
    must_run(a.program, DEQ_STAGE_PARAMETER);
    write_x(&t, &b, 1);
    check_y(&t, &a, 1, 1);
    assert_true(fabs(y[N - 1] - (tanh(x[N - 1]) + sin(tanh(x[N - 1])))) < 1e-14);
    deq_program_free(a.program);
    deq_program_free(b.program);
    deq_workspace_free(w);
    free(x);
    test_graph_free(&t);
}

/* Whatever allocation fails while a second program is compiled, the first can go on. */
static void a_failed_compilation_costs_the_others_nothing(void **state)
{
    (void)state;
    test_memory m = { 0 };
    test_graph t = { .ctx = test_memory_context(&m, 1) };
    deq_workspace *w;
    deq_program *p = NULL;
    assert_int_equal(deq_graph_new(&t.g, t.ctx), DEQ_OK);
    assert_int_equal(deq_workspace_new(&w, t.ctx), DEQ_OK);
    chain a = chain_new(&t, "px", N, w);
    write_p(&t, &a, 1);
    deq_value x = f64_input(&t, "y", DEQ_STAGE_INJECTED, DEQ_SHAPE(2 * N)), y = deq_tanh(t.g, x);
    deq_compile_options o = deq_compile_defaults();
    o.workspace = w;
    int failures = 0;
    for (size_t k = 1; !p; k++) {
        atomic_store(&m.fail_at, atomic_load(&m.calls) + k);
        deq_status status = deq_compile(&p, t.g, &y, 1, &o);
        atomic_store(&m.fail_at, 0);
        assert_int_equal(status, p ? DEQ_OK : DEQ_ERR_NOMEM);
        failures += !p;
        write_x(&t, &a, (double)k);
        must_run(a.program, DEQ_STAGE_PARAMETER);
        check_y(&t, &a, 1, (double)k);
    }
    assert_true(failures > 5);
    deq_program_free(p);
    deq_program_free(a.program);
    deq_workspace_free(w);
    test_graph_free(&t);
    assert_memory_clean(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(programs_take_turns),
        cmocka_unit_test(the_block_is_as_large_as_the_largest_needs),
        cmocka_unit_test(what_another_program_has_taken_is_not_read),
        cmocka_unit_test(bound_memory_is_nobody_elses),
        cmocka_unit_test(a_failed_compilation_costs_the_others_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
