/* SPDX-License-Identifier: MIT */
/* No step ever reads memory that another step has used for something else in between. */
#include "graph/random_graph.h"

/* A program is followed symbolically: who wrote each slot last, and was it overwritten since? */
typedef struct trace {
    const deq_program *p;
    bool *intact; /* [slot]: holds what was written to it */
    unsigned long long seed;
} trace;

static bool in_arena(const deq_slot *s)
{
    return s->kind != DEQ_SLOT_PARAMETER;
}

static bool share_memory(const deq_slot *a, const deq_slot *b)
{
    return in_arena(a) && in_arena(b) && a->offset < b->offset + b->bytes &&
           b->offset < a->offset + a->bytes;
}

static void write_slot(trace *t, int slot)
{
    for (size_t i = 0; i < t->p->n_slots; i++)
        if (share_memory(&t->p->slots[slot], &t->p->slots[i])) t->intact[i] = false;
    t->intact[slot] = true;
}

static bool may_overwrite(const deq_program *p, const deq_step *s, int read, int write)
{
    bool declared = false;
    for (int i = 0; i < s->n_overwrites; i++)
        declared |= s->overwrites[i].read == read && s->overwrites[i].write == write;
    return declared && p->slots[read].offset == p->slots[write].offset &&
           p->slots[read].bytes == p->slots[write].bytes;
}

static void follow_step(trace *t, const deq_step *s, int index)
{
    for (int i = 0; i < s->n_reads; i++) {
        if (!t->intact[s->reads[i]])
            fail_msg("seed %llu: step %d of stage %d (%s) reads slot %d, which is gone", t->seed,
                     index, (int)s->stage, s->kernel, s->reads[i]);
        for (int k = 0; k < s->n_writes; k++)
            if (share_memory(&t->p->slots[s->reads[i]], &t->p->slots[s->writes[k]]) &&
                !may_overwrite(t->p, s, s->reads[i], s->writes[k]))
                fail_msg("seed %llu: step %d of stage %d (%s) writes what it reads", t->seed, index,
                         (int)s->stage, s->kernel);
    }
    for (int i = 0; i < s->n_writes; i++)
        for (int k = 0; k < i; k++)
            assert_false(share_memory(&t->p->slots[s->writes[i]], &t->p->slots[s->writes[k]]));
    for (int i = 0; i < s->n_writes; i++) write_slot(t, s->writes[i]);
}

static void follow_stage(trace *t, int stage)
{
    for (size_t k = 0; k < t->p->n_steps[stage]; k++)
        follow_step(t, &t->p->steps[stage][k], (int)k);
}

static void check_outputs(const trace *t)
{
    for (int i = 0; i < t->p->n_bindings; i++) {
        int slot = t->p->bindings[i].slot;
        if (slot >= 0 && !t->intact[slot])
            fail_msg("seed %llu: value %d is gone after the run", t->seed,
                     (int)t->p->bindings[i].value.id);
    }
}

static void check_plan(const deq_program *p, unsigned long long seed)
{
    static const int from[] = { 1, 3, 3, 2, 3, 2, 1, 3 };
    trace t = { p, calloc(p->n_slots + 1, sizeof(bool)), seed };
    assert_non_null(t.intact);
    for (size_t i = 0; i < p->n_slots; i++) {
        const deq_slot *s = &p->slots[i];
        if (s->kind != DEQ_SLOT_ARENA) t.intact[i] = true; /* inputs, constants, parameters */
        if (!in_arena(s)) continue;
        assert_int_equal(s->offset % DEQ_ALIGNMENT, 0);
        assert_true(s->offset + s->bytes <= p->arena_bytes);
    }
    follow_stage(&t, DEQ_STAGE_CONSTANT);
    for (size_t k = 0; k < COUNT_OF(from); k++) {
        for (int stage = from[k]; stage < DEQ_STAGES; stage++) follow_stage(&t, stage);
        check_outputs(&t);
    }
    free(t.intact);
}

static const deq_compile_options *way(int i, deq_compile_options *o)
{
    *o = i & 1 ? deq_compile_defaults() : plain_options();
    if (i & 2) o->simplify = !o->simplify;
    return o;
}

static void no_step_reads_what_another_has_overwritten(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 150; seed++) {
        random_graph r;
        random_graph_begin(&r, seed, seed % 2 ? DEQ_F64 : DEQ_F32, 3 + (int)seed % 45);
        for (int i = 0; i < 4; i++) {
            deq_compile_options o;
            deq_program *p = must_compile(&r.t, r.output, r.n_outputs, way(i, &o));
            check_plan(p, seed);
            deq_program_free(p);
        }
        random_graph_end(&r);
    }
}

/* Fill what may be unused before a run from stage `from` with NaN: everything that no constant, no
 * input and no result of an earlier stage occupies. */
static void poison(const deq_program *p, deq_stage from)
{
    unsigned char *keep = calloc(p->arena_bytes + 1, 1), *arena = p->arena;
    assert_non_null(keep);
    for (size_t i = 0; i < p->n_slots; i++) {
        const deq_slot *s = &p->slots[i];
        if (in_arena(s) && (s->kind == DEQ_SLOT_KEPT || s->stage < from))
            memset(keep + s->offset, 1, s->bytes);
    }
    for (size_t i = 0; i < p->arena_bytes; i++)
        if (!keep[i]) arena[i] = 0xFF;
    free(keep);
}

static void results_do_not_depend_on_what_memory_held_before(void **state)
{
    (void)state;
    static const deq_stage from[] = { DEQ_STAGE_PARAMETER, DEQ_STAGE_STATE, DEQ_STAGE_INJECTED,
                                      DEQ_STAGE_STATE, DEQ_STAGE_PARAMETER };
    random_results *expected = random_results_new(), *got = random_results_new();
    for (uint64_t seed = 0; seed < 80; seed++) {
        random_graph r;
        bool f32 = seed % 2;
        random_graph_begin(&r, seed, f32 ? DEQ_F32 : DEQ_F64, 3 + (int)seed % 45);
        deq_program *p = must_compile(&r.t, r.output, r.n_outputs, NULL);
        for (size_t k = 0; k < COUNT_OF(from); k++) {
            if (k > 0) random_graph_data(&r, from[k], false);
            random_graph_interpret(&r, expected->of);
            random_graph_write(&r, p);
            poison(p, from[k]);
            must_run(p, from[k]);
            random_graph_read(&r, p, got->of);
            random_graph_compare(&r, "poisoned", got->of, expected->of, f32 ? 1e-3 : 1e-11);
        }
        deq_program_free(p);
        random_graph_end(&r);
    }
    free(expected);
    free(got);
}

/* Every output of random programs in memory of the caller, changed between runs. */
static void bound_outputs_receive_the_results(void **state)
{
    (void)state;
    random_results *expected = random_results_new(), *got = random_results_new();
    const size_t room = RANDOM_ELEMENTS * sizeof(double);
    char *memory = aligned_alloc(64, 2 * RANDOM_OUTPUTS * room);
    assert_non_null(memory);
    for (uint64_t seed = 0; seed < 60; seed++) {
        random_graph r;
        random_graph_begin(&r, seed, DEQ_F64, 3 + (int)seed % 45);
        deq_program *p = must_compile(&r.t, r.output, r.n_outputs, NULL);
        for (int round = 0; round < 3; round++) {
            random_graph_data(&r, DEQ_STAGE_PARAMETER, false);
            random_graph_interpret(&r, expected->of);
            random_graph_write(&r, p);
            memset(memory, 0xFF, 2 * RANDOM_OUTPUTS * room);
            for (int i = 0; i < r.n_outputs; i++) {
                char *place = memory + (size_t)(2 * i + round % 2) * room;
                bool input = false;
                for (int k = 0; k < r.n_inputs; k++) input |= r.input[k].id == r.output[i].id;
                if (!input)
                    assert_int_equal(deq_program_bind(p, r.output[i], round < 2 ? place : NULL),
                                     DEQ_OK);
            }
            must_run(p, DEQ_STAGE_PARAMETER);
            random_graph_read(&r, p, got->of);
            random_graph_compare(&r, "bound", got->of, expected->of, 1e-11);
        }
        deq_program_free(p);
        random_graph_end(&r);
    }
    free(memory);
    free(expected);
    free(got);
}

/* A chain needs room for two of its values, however long it is. */
static void memory_does_not_grow_with_the_length_of_a_chain(void **state)
{
    (void)state;
    size_t bytes[2];
    for (int i = 0; i < 2; i++) {
        test_graph t = test_graph_new();
        deq_value x = f64_input(&t, "x", DEQ_STAGE_STATE, DEQ_SHAPE(1000)), y = x;
        for (int k = 0; k < (i ? 200 : 10); k++) y = deq_tanh(t.g, y);
        deq_compile_options o = plain_options();
        deq_program *p = must_compile(&t, &y, 1, &o);
        bytes[i] = deq_program_stats(p).arena_bytes;
        check_plan(p, 0);
        deq_program_free(p);
        test_graph_free(&t);
    }
    assert_int_equal(bytes[0], bytes[1]);
    assert_true(bytes[0] <= 4 * 8064);
}

/* sum(s norm(s W)): the input, s and s W, over which its normalisation is written. */
static void a_step_writes_over_what_nobody_reads_after_it(void **state)
{
    (void)state;
    const size_t tensor = (size_t)256 * 64 * sizeof(float);
    test_graph t = test_graph_new();
    deq_value x = deq_input(t.g, "x", DEQ_STAGE_STATE, DEQ_F32, DEQ_SHAPE(256, 64));
    deq_value w = deq_input(t.g, "w", DEQ_STAGE_STATE, DEQ_F32, DEQ_SHAPE(64, 64));
    deq_value s = deq_matmul(t.g, x, w, false, false);
    deq_value sw = deq_matmul(t.g, s, w, false, false);
    deq_value n = deq_layer_norm(t.g, sw, 1, DEQ_NONE, DEQ_NONE, 1e-5);
    deq_value y = deq_sum(t.g, deq_mul(t.g, s, n), DEQ_ALL_AXES, false);
    deq_program *p = must_compile(&t, &y, 1, NULL);
    check_plan(p, 0);
    assert_true(deq_program_stats(p).arena_bytes < 3 * tensor + tensor / 2);
    deq_program_free(p);
    test_graph_free(&t);
}

static void parameters_take_no_room_in_the_arena(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_parameters *store;
    assert_int_equal(deq_parameters_new(&store, t.ctx, DEQ_F64), DEQ_OK);
    assert_int_equal(deq_parameters_add(store, "w", DEQ_SHAPE(100000)), DEQ_OK);
    deq_value y = deq_sum(t.g, deq_parameter(t.g, store, "w"), DEQ_ALL_AXES, false);
    deq_program *p = must_compile(&t, &y, 1, NULL);
    assert_true(deq_program_stats(p).arena_bytes < 100000);
    assert_int_equal(deq_program_stats(p).parameter_bytes, 800000);
    deq_program_free(p);
    deq_parameters_free(store);
    test_graph_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_step_reads_what_another_has_overwritten),
        cmocka_unit_test(results_do_not_depend_on_what_memory_held_before),
        cmocka_unit_test(bound_outputs_receive_the_results),
        cmocka_unit_test(memory_does_not_grow_with_the_length_of_a_chain),
        cmocka_unit_test(a_step_writes_over_what_nobody_reads_after_it),
        cmocka_unit_test(parameters_take_no_room_in_the_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
