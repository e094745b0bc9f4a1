/* SPDX-License-Identifier: MIT */
/*
 * Random graphs: whatever is simplified, fused and tuned, the groups are a partition that can run in
 * its order, and the results are those of an interpreter.  DEQ_TEST_EFFORT multiplies the number of
 * graphs; a failure names the seed.
 */
#include "graph/random_graph.h"

static int effort(int graphs)
{
    const char *text = getenv("DEQ_TEST_EFFORT");
    int factor = text ? (int)strtol(text, NULL, 10) : 1;
    return graphs * (factor > 1 ? factor : 1);
}

/* Structure ----------------------------------------------------------------------------------- */

static bool is_leaf(const deq_node *n)
{
    return n->op == &deq_op_input || n->op == &deq_op_parameter || n->op == &deq_op_fill ||
           n->op == &deq_op_constant;
}

static bool listed(const deq_value *list, int n, deq_value v)
{
    for (int i = 0; i < n; i++)
        if (list[i].id == v.id) return true;
    return false;
}

/* The group of each node, -1 for leaves; every node is in exactly one group, of its stage. */
static int *groups_of_nodes(const deq_program *p, unsigned long long seed)
{
    int *group_of = malloc(p->graph->n_nodes * sizeof *group_of);
    assert_non_null(group_of);
    for (size_t k = 0; k < p->graph->n_nodes; k++) group_of[k] = -1;
    for (int d = 0; d < p->n_groups; d++) {
        const deq_group *grp = &p->groups[d];
        assert_true(grp->n_nodes > 0);
        for (int k = 0; k < grp->n_nodes; k++) {
            int node = grp->nodes[k];
            assert_true(k == 0 || node > grp->nodes[k - 1]);
            if (group_of[node] >= 0) fail_msg("seed %llu: node %d is in two groups", seed, node);
            group_of[node] = d;
            assert_int_equal(p->graph->nodes[node].stage, grp->stage);
        }
    }
    for (size_t k = 0; k < p->graph->n_nodes; k++)
        if (is_leaf(&p->graph->nodes[k]) != (group_of[k] < 0))
            fail_msg("seed %llu: node %zu (%s) is in group %d", seed, k,
                     p->graph->nodes[k].op->name, group_of[k]);
    return group_of;
}

/* What comes from outside is an input made by an earlier group, what is used outside an output. */
static void check_ends(const deq_program *p, const int *group_of, unsigned long long seed)
{
    const deq_graph *g = p->graph;
    for (size_t k = 0; k < g->n_nodes; k++) {
        if (group_of[k] < 0) continue;
        const deq_group *mine = &p->groups[group_of[k]];
        for (int i = 0; i < g->nodes[k].n_in; i++) {
            deq_value v = g->nodes[k].in[i];
            if (v.id == 0) continue;
            int from = group_of[g->values[v.id].node];
            if (from == group_of[k]) continue;
            if (from > group_of[k])
                fail_msg("seed %llu: group %d runs before group %d", seed, group_of[k], from);
            assert_true(listed(mine->inputs, mine->n_inputs, v));
            if (from >= 0)
                assert_true(listed(p->groups[from].outputs, p->groups[from].n_outputs, v));
        }
    }
    for (int d = 0; d < p->n_groups; d++)
        for (int i = 0; i < p->groups[d].n_outputs; i++)
            assert_int_equal(group_of[g->values[p->groups[d].outputs[i].id].node], d);
}

/* An anchored group has its anchor among its nodes, and the others are element-wise. */
static void check_anchors(const deq_program *p)
{
    for (int d = 0; d < p->n_groups; d++) {
        const deq_group *grp = &p->groups[d];
        bool found = grp->anchor < 0;
        for (int k = 0; k < grp->n_nodes; k++) {
            found |= grp->nodes[k] == grp->anchor;
            if (grp->nodes[k] != grp->anchor)
                assert_true(p->graph->nodes[grp->nodes[k]].op->elementwise != 0);
        }
        assert_true(found);
    }
}

static void check_structure(const deq_program *p, unsigned long long seed)
{
    int *group_of = groups_of_nodes(p, seed);
    check_ends(p, group_of, seed);
    check_anchors(p);
    free(group_of);
}

/* Results ------------------------------------------------------------------------------------- */

static const struct way {
    const char *name;
    bool simplify, fuse, tuned, layout;
    int threads;
} ways[] = {
    { "plain", false, false, false, false, 1 },  { "simplified", true, false, false, false, 1 },
    { "fused", false, true, true, true, 1 },     { "tuned", false, false, true, true, 1 },
    { "everything", true, true, true, true, 1 }, { "in plain layout", true, true, true, false, 1 },
    { "threads", true, true, true, true, 3 },
};

static deq_program *compile_way(const random_graph *r, const struct way *w)
{
    deq_compile_options o = deq_compile_defaults();
    o.simplify = w->simplify;
    o.fuse = w->fuse;
    o.tuned = w->tuned;
    o.layout = w->layout;
    o.threads = w->threads;
    return must_compile(&r->t, r->output, r->n_outputs, &o);
}

/* Full run, new state, new injected input, everything new: always what the interpreter says. */
static void check_ways(uint64_t seed, deq_dtype dtype, int steps, double tol)
{
    random_graph r;
    random_results *expected = random_results_new(), *got = random_results_new();
    deq_program *p[COUNT_OF(ways)];
    static const deq_stage from[] = { DEQ_STAGE_PARAMETER, DEQ_STAGE_STATE, DEQ_STAGE_INJECTED,
                                      DEQ_STAGE_STATE, DEQ_STAGE_PARAMETER };
    random_graph_begin(&r, seed, dtype, steps);
    for (size_t w = 0; w < COUNT_OF(ways); w++) {
        p[w] = compile_way(&r, &ways[w]);
        check_structure(p[w], seed);
    }
    for (size_t k = 0; k < COUNT_OF(from); k++) {
        if (k > 0) random_graph_data(&r, from[k], false);
        random_graph_interpret(&r, expected->of);
        for (size_t w = 0; w < COUNT_OF(ways); w++) {
            random_graph_write(&r, p[w]);
            must_run(p[w], from[k]);
            random_graph_read(&r, p[w], got->of);
            bool exact = !ways[w].simplify && !ways[w].tuned;
            random_graph_compare(&r, ways[w].name, got->of, expected->of, exact ? 0 : tol);
        }
    }
    for (size_t w = 0; w < COUNT_OF(ways); w++) deq_program_free(p[w]);
    random_graph_end(&r);
    free(expected);
    free(got);
}

static void random_graphs_compute_the_same_in_every_way_in_f64(void **state)
{
    (void)state;
    for (int i = 0; i < effort(150); i++)
        check_ways(UINT64_C(1000) + (uint64_t)i, DEQ_F64, 4 + i % 40, 1e-11);
}

static void random_graphs_compute_the_same_in_every_way_in_f32(void **state)
{
    (void)state;
    for (int i = 0; i < effort(100); i++)
        check_ways(UINT64_C(500000) + (uint64_t)i, DEQ_F32, 4 + i % 40, 1e-3);
}

static void without_fusion_every_node_is_a_group(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        random_graph r;
        deq_compile_options o = deq_compile_defaults();
        random_graph_begin(&r, seed, DEQ_F32, 25);
        o.fuse = false;
        deq_program *p = must_compile(&r.t, r.output, r.n_outputs, &o);
        for (int d = 0; d < p->n_groups; d++) assert_int_equal(p->groups[d].n_nodes, 1);
        deq_program_free(p);
        random_graph_end(&r);
    }
}

/* The order of groups and the bits of the results do not depend on anything but the graph. */
static void compiling_twice_gives_the_same_program_and_bits(void **state)
{
    (void)state;
    random_results *a = random_results_new(), *b = random_results_new();
    for (uint64_t seed = 0; seed < 30; seed++) {
        random_graph r;
        random_graph_begin(&r, seed, DEQ_F32, 30);
        deq_program *p[2];
        for (int i = 0; i < 2; i++) {
            p[i] = must_compile(&r.t, r.output, r.n_outputs, NULL);
            random_graph_write(&r, p[i]);
            must_run(p[i], DEQ_STAGE_PARAMETER);
            random_graph_read(&r, p[i], i ? b->of : a->of);
        }
        random_graph_compare(&r, "again", a->of, b->of, 0);
        assert_int_equal(p[0]->n_groups, p[1]->n_groups);
        assert_int_equal(p[0]->arena_bytes, p[1]->arena_bytes);
        for (int d = 0; d < p[0]->n_groups; d++)
            assert_memory_equal(p[0]->groups[d].nodes, p[1]->groups[d].nodes,
                                (size_t)p[0]->groups[d].n_nodes * sizeof(int));
        deq_program_free(p[0]);
        deq_program_free(p[1]);
        random_graph_end(&r);
    }
    free(a);
    free(b);
}

/* x -> a -> (b = f(a), c = g(sum(a))) -> b + c: fusing a, b and the sum would close a cycle. */
static void a_path_through_another_group_is_not_fused_over(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value x = deq_input(t.g, "x", DEQ_STAGE_STATE, DEQ_F32, DEQ_SHAPE(4, 8));
    deq_value a = deq_tanh(t.g, x), s = deq_softmax(t.g, a, 1);
    deq_value y = deq_add(t.g, deq_square(t.g, a), deq_sigmoid(t.g, s));
    deq_program *p = must_compile(&t, &y, 1, NULL);
    check_structure(p, 0);
    float in[32], out[32];
    double expected[32], got[32];
    for (int i = 0; i < 32; i++) in[i] = (float)sin(i);
    must_write(&t, p, x, in);
    must_run(p, DEQ_STAGE_PARAMETER);
    must_read(&t, p, y, out);
    for (int i = 0; i < 4; i++) {
        double sum = 0;
        for (int j = 0; j < 8; j++) sum += exp(tanh((double)in[i * 8 + j]));
        for (int j = 0; j < 8; j++) {
            double v = tanh((double)in[i * 8 + j]);
            expected[i * 8 + j] = v * v + 1 / (1 + exp(-exp(v) / sum));
            got[i * 8 + j] = (double)out[i * 8 + j];
        }
    }
    check_close("diamond", got, expected, 32, 1e-6);
    deq_program_free(p);
    test_graph_free(&t);
}

/* a -> r;  p -> q = sum(p);  b = a + q grows the group of a beyond p;  then p . r must not join p:
 * r ends before p begins, but the group that r reads from waits for q, and q for p. */
static void a_group_that_grew_is_still_seen_behind_an_early_one(void **state)
{
    (void)state;
    test_graph t = test_graph_new();
    deq_value x = deq_input(t.g, "x", DEQ_STAGE_STATE, DEQ_F64, DEQ_SHAPE(8));
    deq_value c = deq_input(t.g, "c", DEQ_STAGE_STATE, DEQ_F64, DEQ_SHAPE(1));
    deq_value a = deq_tanh(t.g, c), r = deq_softmax(t.g, a, 0), p = deq_sin(t.g, x);
    deq_value q = deq_sum(t.g, p, DEQ_AXIS(0), true);
    deq_value y[2] = { deq_add(t.g, a, q), DEQ_NONE };
    y[1] = deq_mul(t.g, p, r);
    deq_program *program = must_compile(&t, y, 2, NULL);
    check_structure(program, 0);
    double in[8], start = 0.3, sum, product[8], expected[8], total = tanh(0.3);
    for (int i = 0; i < 8; i++) total += expected[i] = sin(in[i] = 0.3 * i);
    must_write(&t, program, x, in);
    must_write(&t, program, c, &start);
    must_run(program, DEQ_STAGE_PARAMETER);
    must_read(&t, program, y[0], &sum);
    must_read(&t, program, y[1], product);
    check_close("sum", &sum, &total, 1, 1e-12);
    check_close("product", product, expected, 8, 1e-12);
    deq_program_free(program);
    test_graph_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_graphs_compute_the_same_in_every_way_in_f64),
        cmocka_unit_test(random_graphs_compute_the_same_in_every_way_in_f32),
        cmocka_unit_test(without_fusion_every_node_is_a_group),
        cmocka_unit_test(compiling_twice_gives_the_same_program_and_bits),
        cmocka_unit_test(a_path_through_another_group_is_not_fused_over),
        cmocka_unit_test(a_group_that_grew_is_still_seen_behind_an_early_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
