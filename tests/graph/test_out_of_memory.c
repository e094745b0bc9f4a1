/* SPDX-License-Identifier: MIT */
/*
 * Every allocation of a whole life fails in turn: of the context, a graph with operators of most
 * families, its derivatives, a parameter store, programs, their runs and descriptions.  Each time the
 * status is DEQ_ERR_NOMEM, a message is there, and everything is given back as it was taken.
 */
#include "support/engine.h"
#include "support/memory.h"

#include <deq/op/loss.h>
#include <deq/op/norm.h>
#include <deq/op/random.h>
#include <stdio.h>

/* What a life has made so far; destroyed in reverse whatever happened. */
typedef struct life {
    deq_context *ctx;
    deq_parameters *store;
    deq_graph *g;
    deq_program *p;
    int padding;       /* nodes more than the cell has */
    size_t n_building; /* allocations before the compilation */
    const test_memory *m;
} life;

typedef deq_value build_fn(life *l);

static void destroy(life *l)
{
    deq_program_free(l->p);
    deq_graph_free(l->g);
    deq_parameters_free(l->store);
    deq_context_free(l->ctx);
}

/* Graphs ---------------------------------------------------------------------------------------- */

static deq_value in(life *l, const char *name, deq_stage stage, deq_shape s)
{
    return deq_input(l->g, name, stage, DEQ_F32, s);
}

static deq_value image_cell(life *l)
{
    deq_graph *g = l->g;
    deq_value z = in(l, "z", DEQ_STAGE_STATE, DEQ_SHAPE(2, 4, 6, 6));
    deq_value x = in(l, "x", DEQ_STAGE_INJECTED, DEQ_SHAPE(2, 4, 6, 6)), both[2] = { z, x };
    deq_value w = deq_parameter(g, l->store, "kernel"), b = deq_parameter(g, l->store, "bias");
    deq_value norm = deq_sqrt(g, deq_squared_norm(g, w, DEQ_ALL_AXES, false));
    deq_value y = deq_conv2d(g, deq_concat(g, both, 2, 1), deq_div(g, w, norm), b,
                             DEQ_CONV2D(.padding = { 1, 1 }));
    y = deq_group_norm(g, deq_relu(g, y), 2, DEQ_NONE, DEQ_NONE, 1e-5);
    y = deq_add(g, y, deq_scale(g, z, 0.5));
    deq_value pooled = deq_max_pool2d(g, y, DEQ_MAX_POOL2D(.kernel = { 2, 2 }), NULL);
    pooled = deq_average_pool2d(g, pooled, DEQ_AVERAGE_POOL2D(.kernel = { 3, 3 }));
    return deq_name(g, deq_mean(g, deq_square(g, pooled), DEQ_ALL_AXES, false), "loss");
}

static deq_value token_cell(life *l)
{
    deq_graph *g = l->g;
    deq_value z = in(l, "z", DEQ_STAGE_STATE, DEQ_SHAPE(2, 5, 8));
    deq_value x = in(l, "x", DEQ_STAGE_INJECTED, DEQ_SHAPE(2, 5, 4)), both[2] = { z, x };
    deq_value ids = deq_input(g, "ids", DEQ_STAGE_INJECTED, DEQ_I32, DEQ_SHAPE(2, 5));
    deq_value key = deq_input(g, "key", DEQ_STAGE_INJECTED, DEQ_I64, DEQ_SHAPE(2));
    deq_value w = deq_parameter(g, l->store, "projection");
    deq_value h = deq_linear(g, deq_concat(g, both, 2, 2), w, DEQ_NONE);
    deq_value scores = deq_matmul(g, h, h, false, true);
    scores = deq_softmax(g, deq_scale(g, scores, 0.35), 2);
    h = deq_layer_norm(g, deq_add(g, deq_matmul(g, scores, h, false, false), z), 1, DEQ_NONE,
                       DEQ_NONE, 1e-5);
    h = deq_dropout(g, deq_gelu(g, h), key, 1, 0.1, 0);
    h = deq_pad(g, deq_slice(g, h, 1, 1, 3), (int64_t[]){ 0, 1, 0 }, (int64_t[]){ 0, 1, 0 },
                DEQ_PAD_ZERO);
    deq_value logits = deq_transpose(g, h, 1, 2);
    return deq_cross_entropy(g, logits, ids, NULL);
}

/* Blocks are large: what fails is whatever needs the next one.  More nodes and constants, each of
 * another size, move their ends, so that sooner or later every object is the first of a block. */
static deq_value padded(life *l, deq_value y)
{
    static const double zeros[2100]; /* a block and more: what is folded needs one of its own */
    for (int i = 0; i < l->padding; i++) {
        char name[16];
        snprintf(name, sizeof name, "p%d", i);
        deq_value x = deq_input(l->g, name, DEQ_STAGE_STATE, DEQ_F64, DEQ_SHAPE(3, 1));
        deq_value c = deq_constant(l->g, DEQ_F64, DEQ_SHAPE(i ? 60 + 9 * i : 2100), zeros);
        deq_value f = deq_slice(l->g, deq_exp(l->g, c), 0, 0, 1);
        y = deq_add(l->g, y, deq_mul(l->g, x, f));
    }
    return y;
}

static deq_value constant_cell(life *l)
{
    deq_graph *g = l->g;
    double numbers[12];
    for (int i = 0; i < 12; i++) numbers[i] = i;
    deq_value c = deq_constant(g, DEQ_F64, DEQ_SHAPE(3, 4), numbers);
    deq_value z = deq_input(g, "z", DEQ_STAGE_STATE, DEQ_F64, DEQ_SHAPE(3, 4));
    deq_value folded = deq_exp(g, deq_scale(g, deq_transpose(g, c, 0, 1), 0.1));
    deq_value y = deq_where(g, deq_greater(g, z, c), deq_transpose(g, folded, 0, 1), z);
    y = padded(l, y);
    y = deq_permute(g, deq_reshape(g, y, DEQ_SHAPE(2, 3, 2)), (int[]){ 2, 0, 1 }, 3);
    return deq_logsumexp(g, deq_cast(g, y, DEQ_F32), DEQ_ALL_AXES, false);
}

/* A life ---------------------------------------------------------------------------------------- */

static bool discard(void *user, const char *text, size_t length)
{
    (void)user, (void)text, (void)length;
    return true;
}

static deq_status make_store(life *l)
{
    deq_status status = deq_parameters_new(&l->store, l->ctx, DEQ_F32);
    if (status == DEQ_OK) status = deq_parameters_add(l->store, "kernel", DEQ_SHAPE(4, 8, 3, 3));
    if (status == DEQ_OK) status = deq_parameters_add(l->store, "bias", DEQ_SHAPE(4));
    if (status == DEQ_OK) status = deq_parameters_add(l->store, "projection", DEQ_SHAPE(8, 12));
    return status;
}

/* Loss, its gradients, and a second derivative along the state. */
static deq_status make_graph(life *l, build_fn *build, deq_value out[5])
{
    deq_status status = deq_graph_new(&l->g, l->ctx);
    if (status != DEQ_OK) return status;
    deq_value loss = build(l), z = { 1 }, dz; /* the first value is the first input made */
    out[0] = loss;
    deq_vjp(l->g, &dz, &loss, NULL, 1, &z, 1);
    deq_jvp(l->g, &out[4], &dz, 1, &z, &dz, 1);
    return deq_gradients(l->g, out + 1, loss, l->store);
}

static deq_status live(life *l, build_fn *build, bool tuned)
{
    deq_value out[5];
    deq_status status = make_store(l);
    if (status == DEQ_OK) status = make_graph(l, build, out);
    if (status != DEQ_OK) return status;
    l->n_building = l->m->calls;
    deq_compile_options o = tuned ? deq_compile_defaults() : plain_options();
    o.simplify = true;
    status = deq_compile(&l->p, l->g, out, 5, &o);
    assert_true((l->p != NULL) == (status == DEQ_OK));
    if (status == DEQ_OK) status = deq_program_run(l->p, DEQ_STAGE_PARAMETER);
    for (int f = DEQ_DESCRIBE_TEXT; status == DEQ_OK && f <= DEQ_DESCRIBE_DOT; f++)
        status = deq_program_describe(l->p, (deq_describe_format)f, discard, NULL);
    return status;
}

typedef struct trial {
    const char *name;
    build_fn *build;
    bool tuned;
    int padding;
} trial;

static void check_failure(const trial *t, const life *l, deq_status status, size_t fail_at)
{
    if (status != DEQ_ERR_NOMEM)
        fail_msg("%s: allocation %zu failed, and the status is '%s' (%s)", t->name, fail_at,
                 deq_status_text(status), deq_last_error(l->ctx));
    if (l->ctx && !strstr(deq_last_error(l->ctx), "out of memory"))
        fail_msg("%s: allocation %zu failed, and the message is '%s'", t->name, fail_at,
                 deq_last_error(l->ctx));
    if (l->g && deq_graph_status(l->g) != DEQ_OK)
        assert_non_null(strstr(deq_graph_error(l->g), "out of memory"));
}

/* The life whose allocation number `fail_at` fails, if there are so many, and what it came to. */
static life live_with_failure(const trial *t, size_t fail_at, bool *over)
{
    test_memory m = { .fail_at = fail_at };
    life l = { .ctx = test_memory_context(&m, 1), .padding = t->padding, .m = &m };
    deq_status status = l.ctx ? live(&l, t->build, t->tuned) : DEQ_ERR_NOMEM;
    *over = fail_at == 0 || m.calls < fail_at;
    if (!*over)
        check_failure(t, &l, status, fail_at);
    else if (status != DEQ_OK)
        fail_msg("%s: %s: %s", t->name, deq_status_text(status), deq_last_error(l.ctx));
    destroy(&l);
    if (m.live_blocks || m.wrong_frees || m.wrong_calls)
        fail_msg("%s: allocation %zu failed: %zu blocks leaked, %zu wrong frees", t->name, fail_at,
                 (size_t)m.live_blocks, (size_t)m.wrong_frees);
    return l;
}

static void fail_in_turn(const trial *t)
{
    bool over;
    size_t building = live_with_failure(t, 0, &over).n_building;
    size_t n = t->padding ? building : 1; /* building has failed in all ways without padding */
    do live_with_failure(t, n++, &over);
    while (!over);
    assert_true(n > 50); /* it was a life */
}

static void every_allocation_of_an_image_model_may_fail(void **state)
{
    (void)state;
    for (int tuned = 0; tuned < 2; tuned++) fail_in_turn(&(trial){ "image", image_cell, tuned, 0 });
}

static void every_allocation_of_a_token_model_may_fail(void **state)
{
    (void)state;
    for (int tuned = 0; tuned < 2; tuned++) fail_in_turn(&(trial){ "token", token_cell, tuned, 0 });
}

static void every_allocation_of_folded_constants_may_fail(void **state)
{
    (void)state;
    for (int padding = 0; padding < 14; padding++)
        fail_in_turn(&(trial){ "constant", constant_cell, padding % 5 == 0, padding });
}

/* After a failure the context and the store are as good as before. */
static void the_context_can_be_used_after_running_out_of_memory(void **state)
{
    (void)state;
    for (size_t n = 1; n < 60; n += 7) {
        test_memory m = { 0 };
        life l = { .ctx = test_memory_context(&m, 1), .m = &m };
        m.fail_at = m.calls + n;
        deq_status status = live(&l, constant_cell, true);
        if (status != DEQ_OK) assert_int_equal(status, DEQ_ERR_NOMEM);
        m.fail_at = 0;
        deq_program_free(l.p);
        deq_graph_free(l.g);
        deq_parameters_free(l.store);
        l = (life){ .ctx = l.ctx, .m = &m };
        assert_int_equal(live(&l, constant_cell, true), DEQ_OK);
        destroy(&l);
        assert_memory_clean(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_of_an_image_model_may_fail),
        cmocka_unit_test(every_allocation_of_a_token_model_may_fail),
        cmocka_unit_test(every_allocation_of_folded_constants_may_fail),
        cmocka_unit_test(the_context_can_be_used_after_running_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
