/* SPDX-License-Identifier: MIT */
#include "graph/random_graph.h"

#include <deq/op/norm.h>
#include <stdio.h>

/* Random numbers: splitmix64 (Steele, Lea & Flood 2014). */
static uint64_t next_word(random_graph *r)
{
    uint64_t x = r->state += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

int random_below(random_graph *r, int n)
{
    return (int)(next_word(r) % (uint64_t)n);
}

static double random_number(random_graph *r)
{
    return (double)(next_word(r) >> 11) * 0x1p-52 - 1;
}

/* Building ------------------------------------------------------------------------------------ */

static deq_shape shape_of(const random_graph *r, deq_value v)
{
    return deq_value_type(r->t.g, v).shape;
}

static deq_value pick(random_graph *r)
{
    /* Of two, the younger: graphs become deep, and old values are still used. */
    int a = random_below(r, r->n_pool), b = random_below(r, r->n_pool);
    return r->pool[a > b ? a : b];
}

static void keep(random_graph *r, deq_value v)
{
    deq_shape s = shape_of(r, v);
    if (v.id < 0 || r->n_pool == RANDOM_VALUES || deq_shape_count(&s) > RANDOM_ELEMENTS) return;
    r->pool[r->n_pool++] = v;
}

static deq_value new_input(random_graph *r, deq_shape shape)
{
    static const deq_stage stages[] = { DEQ_STAGE_PARAMETER, DEQ_STAGE_INJECTED, DEQ_STAGE_STATE };
    char name[16];
    if (r->n_inputs == RANDOM_INPUTS) return DEQ_NONE;
    int i = r->n_inputs++;
    r->stage[i] = stages[i < 3 ? i : random_below(r, 3)];
    snprintf(name, sizeof name, "in%d", i);
    r->input[i] = deq_input(r->t.g, name, r->stage[i], r->dtype, shape);
    r->data[i] = calloc((size_t)deq_shape_count(&shape), deq_dtype_size(r->dtype));
    assert_non_null(r->data[i]);
    return r->input[i];
}

static bool broadcasts(const deq_shape *a, const deq_shape *b)
{
    for (int i = 1; i <= a->rank && i <= b->rank; i++) {
        int64_t m = a->dim[a->rank - i], n = b->dim[b->rank - i];
        if (m != n && m != 1 && n != 1) return false;
    }
    return true;
}

static void unary(random_graph *r)
{
    deq_graph *g = r->t.g;
    deq_value x = pick(r);
    switch (random_below(r, 10)) {
    case 0: keep(r, deq_tanh(g, x)); break;
    case 1: keep(r, deq_sigmoid(g, x)); break;
    case 2: keep(r, deq_sin(g, x)); break;
    case 3: keep(r, deq_softplus(g, deq_tanh(g, x))); break;
    case 4: keep(r, deq_square(g, deq_tanh(g, x))); break;
    case 5: keep(r, deq_scale(g, x, 0.75)); break;
    case 6: keep(r, deq_shift(g, x, 0)); break;
    case 7: keep(r, deq_neg(g, x)); break;
    case 8: keep(r, deq_stop_gradient(g, x)); break;
    default: keep(r, deq_gelu(g, deq_tanh(g, x))); break;
    }
}

static void binary(random_graph *r)
{
    deq_graph *g = r->t.g;
    deq_value a = pick(r), b = pick(r);
    deq_shape sa = shape_of(r, a), sb = shape_of(r, b);
    if (!broadcasts(&sa, &sb)) b = a;
    switch (random_below(r, 4)) {
    case 0: keep(r, deq_tanh(g, deq_mul(g, a, b))); break;
    case 1: keep(r, deq_sub(g, a, deq_scale(g, b, 0.5))); break;
    case 2: keep(r, deq_div(g, a, deq_shift(g, deq_square(g, deq_tanh(g, b)), 1))); break;
    default: keep(r, deq_add(g, deq_scale(g, a, 0.5), b)); break;
    }
}

/* The sum of many terms is brought back to the size of one. */
static deq_value tame(deq_graph *g, deq_value y)
{
    return deq_tanh(g, deq_scale(g, y, 0.5));
}

static void product(random_graph *r)
{
    deq_value x = pick(r);
    deq_shape s = shape_of(r, x);
    if (s.rank < 1) return;
    deq_value w = new_input(r, DEQ_SHAPE(1 + random_below(r, 5), s.dim[s.rank - 1]));
    deq_value b = new_input(r, DEQ_SHAPE(w.id ? shape_of(r, w).dim[0] : 1));
    if (!w.id || !b.id) return;
    deq_value y = deq_linear(r->t.g, x, w, random_below(r, 2) ? b : DEQ_NONE);
    keep(r, random_below(r, 3) ? tame(r->t.g, y) : deq_scale(r->t.g, y, 0.2));
}

static void convolution(random_graph *r)
{
    deq_value x = pick(r);
    deq_shape s = shape_of(r, x);
    if (s.rank != 4) return;
    deq_value w = new_input(r, DEQ_SHAPE(1 + random_below(r, 4), s.dim[1], 3, 3));
    deq_value b = w.id ? new_input(r, DEQ_SHAPE(shape_of(r, w).dim[0])) : DEQ_NONE;
    if (!w.id || !b.id) return;
    deq_value y = deq_conv2d(r->t.g, x, w, random_below(r, 2) ? b : DEQ_NONE,
                             DEQ_CONV2D(.padding = { 1, 1 }));
    keep(r, tame(r->t.g, y));
}

static void reduction(random_graph *r)
{
    deq_graph *g = r->t.g;
    deq_value x = pick(r);
    deq_shape s = shape_of(r, x);
    uint32_t axes = (uint32_t)random_below(r, 1 << s.rank);
    bool kept = random_below(r, 2);
    switch (random_below(r, 5)) {
    case 0: keep(r, deq_tanh(g, deq_sum(g, x, axes, kept))); break;
    case 1: keep(r, deq_mean(g, x, axes, kept)); break;
    case 2: keep(r, deq_logsumexp(g, deq_tanh(g, x), axes, kept)); break;
    case 3:
        if (s.rank) keep(r, deq_layer_norm(g, x, 1, DEQ_NONE, DEQ_NONE, 0.1));
        break;
    default: keep(r, deq_sum_to(g, deq_scale(g, x, 0.3), DEQ_SCALAR)); break;
    }
}

static void movement(random_graph *r)
{
    deq_graph *g = r->t.g;
    deq_value x = pick(r), both[2] = { x, pick(r) };
    deq_shape s = shape_of(r, x), o = shape_of(r, both[1]);
    if (s.rank == 0) return;
    int axis = random_below(r, s.rank), other = random_below(r, s.rank);
    int64_t before[DEQ_MAX_RANK] = { 0 }, after[DEQ_MAX_RANK] = { 0 };
    switch (random_below(r, 6)) {
    case 0: keep(r, deq_transpose(g, x, axis, other)); break;
    case 1: keep(r, deq_reshape(g, x, DEQ_SHAPE(s.dim[0], -1))); break;
    case 2: keep(r, deq_slice(g, x, axis, 0, (s.dim[axis] + 1) / 2)); break;
    case 3:
        before[axis] = 1;
        after[other] = 1;
        keep(r, deq_pad(g, x, before, after, DEQ_PAD_ZERO));
        break;
    case 4:
        if (s.rank == o.rank) {
            for (int i = 0; i < s.rank; i++)
                if (i != axis && s.dim[i] != o.dim[i]) return;
            keep(r, deq_concat(g, both, 2, axis));
        }
        break;
    default:
        if (s.rank < 4) {
            deq_shape wide = { .rank = s.rank + 1, .dim = { 2 } };
            memcpy(wide.dim + 1, s.dim, (size_t)s.rank * sizeof *s.dim);
            keep(r, deq_broadcast(g, x, wide));
        }
        break;
    }
}

static void derivative(random_graph *r)
{
    deq_graph *g = r->t.g;
    deq_value y = deq_mean(g, deq_sin(g, pick(r)), DEQ_ALL_AXES, false), x = pick(r), d;
    if (deq_vjp(g, &d, &y, NULL, 1, &x, 1) == DEQ_OK) keep(r, deq_tanh(g, d));
}

void random_graph_begin(random_graph *r, uint64_t seed, deq_dtype dtype, int steps)
{
    static void (*const operators[])(random_graph *) = {
        unary,   unary,       unary,       binary,    binary,   binary,   binary,
        product, convolution, convolution, reduction, movement, movement,
    };
    memset(r, 0, sizeof *r);
    r->t = test_graph_new();
    r->seed = r->state = seed;
    r->dtype = dtype;
    for (int i = 0; i < 3; i++) keep(r, new_input(r, DEQ_SHAPE(2, 3, 4, 3)));
    keep(r, new_input(r, DEQ_SHAPE(4, 3)));
    keep(r, new_input(r, DEQ_SHAPE(3, 1, 1)));
    for (int i = 0; i < steps; i++) operators[random_below(r, (int)COUNT_OF(operators))](r);
    for (int i = random_below(r, 3); i > 0; i--) derivative(r);
    assert_ok(&r->t);
    r->n_outputs = 1 + random_below(r, RANDOM_OUTPUTS);
    for (int i = 0; i < r->n_outputs; i++) r->output[i] = pick(r);
    random_graph_data(r, DEQ_STAGE_PARAMETER, false);
}

void random_graph_end(random_graph *r)
{
    for (int i = 0; i < r->n_inputs; i++) free(r->data[i]);
    test_graph_free(&r->t);
}

/* Data ---------------------------------------------------------------------------------------- */

void random_graph_data(random_graph *r, deq_stage from, bool alone)
{
    for (int i = 0; i < r->n_inputs; i++) {
        if (r->stage[i] < from || (alone && r->stage[i] != from)) continue;
        deq_shape s = shape_of(r, r->input[i]);
        for (int64_t k = 0; k < deq_shape_count(&s); k++) {
            if (r->dtype == DEQ_F32)
                ((float *)r->data[i])[k] = (float)random_number(r);
            else
                ((double *)r->data[i])[k] = random_number(r);
        }
    }
}

void random_graph_write(const random_graph *r, deq_program *p)
{
    for (int i = 0; i < r->n_inputs; i++) must_write(&r->t, p, r->input[i], r->data[i]);
}

static void widen(double *out, const void *data, const deq_type *type)
{
    for (int64_t k = 0; k < deq_shape_count(&type->shape); k++)
        out[k] = type->dtype == DEQ_F32 ? (double)((const float *)data)[k]
                                        : ((const double *)data)[k];
}

void random_graph_read(const random_graph *r, deq_program *p, double *const *results)
{
    double plain[RANDOM_ELEMENTS];
    for (int i = 0; i < r->n_outputs; i++) {
        deq_type type = deq_value_type(r->t.g, r->output[i]);
        must_read(&r->t, p, r->output[i], plain);
        widen(results[i], plain, &type);
    }
}

/* The interpreter ----------------------------------------------------------------------------- */

static void interpret_node(const random_graph *r, const deq_node *n, void **value)
{
    deq_type in[RANDOM_INPUTS], out[DEQ_MAX_OUTPUTS];
    const void *reads[RANDOM_INPUTS];
    char message[DEQ_MESSAGE_BYTES];
    assert_true(n->n_in <= RANDOM_INPUTS);
    deq_node_types(r->t.g, n, in, out);
    for (int i = 0; i < n->n_in; i++) reads[i] = n->in[i].id ? value[n->in[i].id] : NULL;
    for (int o = 0; o < n->n_out; o++) {
        value[n->first_out + o] = malloc(deq_type_bytes(&out[o]));
        assert_non_null(value[n->first_out + o]);
    }
    deq_kernel_call c = { .attr = n->attr,
                          .n_in = n->n_in,
                          .n_out = n->n_out,
                          .in_type = in,
                          .out_type = out,
                          .in = reads,
                          .out = &value[n->first_out],
                          .threads = 1,
                          .message = message };
    size_t scratch = n->op->scratch ? n->op->scratch(&c) : 0;
    if (scratch) assert_non_null(c.scratch = aligned_alloc(64, (scratch + 63) / 64 * 64));
    assert_int_equal(n->op->kernel(&c), DEQ_OK);
    free(c.scratch);
}

void random_graph_interpret(const random_graph *r, double *const *results)
{
    const deq_graph *g = r->t.g;
    void **value = calloc(g->n_values, sizeof *value);
    assert_non_null(value);
    for (size_t k = 0; k < g->n_nodes; k++)
        if (g->nodes[k].op != &deq_op_input) {
            interpret_node(r, &g->nodes[k], value);
        } else {
            deq_value v = deq_node_out(&g->nodes[k], 0);
            for (int i = 0; i < r->n_inputs; i++) /* data of inputs is not ours to free */
                if (r->input[i].id == v.id) value[v.id] = r->data[i];
        }
    for (int i = 0; i < r->n_outputs; i++)
        widen(results[i], value[r->output[i].id], deq_type_of(g, r->output[i]));
    for (size_t v = 1; v < g->n_values; v++)
        if (deq_node_of(g, (deq_value){ (int32_t)v })->op != &deq_op_input) free(value[v]);
    free(value);
}

void random_graph_compare(const random_graph *r, const char *what, double *const *a,
                          double *const *b, double tol)
{
    char name[128];
    for (int i = 0; i < r->n_outputs; i++) {
        deq_shape s = shape_of(r, r->output[i]);
        snprintf(name, sizeof name, "%s: seed %llu, output %d", what, (unsigned long long)r->seed,
                 i);
        check_close(name, a[i], b[i], deq_shape_count(&s), tol);
    }
}

random_results *random_results_new(void)
{
    random_results *r = calloc(1, sizeof *r);
    assert_non_null(r);
    for (int i = 0; i < RANDOM_OUTPUTS; i++) r->of[i] = r->room[i];
    return r;
}
