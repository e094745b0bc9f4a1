/* SPDX-License-Identifier: MIT */
/* A graph of one test: made, run once with reference kernels, discarded. */
#ifndef DEQ_TESTS_SUPPORT_RUN_H
#define DEQ_TESTS_SUPPORT_RUN_H

#include "support/op_check.h"

typedef struct test_graph {
    deq_context *ctx;
    deq_graph *g;
} test_graph;

static inline test_graph test_graph_new(void)
{
    test_graph t = { test_context(), NULL };
    assert_int_equal(deq_graph_new(&t.g, t.ctx), DEQ_OK);
    return t;
}

static inline void test_graph_free(test_graph *t)
{
    deq_graph_free(t->g);
    deq_context_free(t->ctx);
}

/* Compute `out` from n inputs, on so many threads. */
static inline void test_graph_run(const test_graph *t, const deq_value *in, const void *const *data,
                                  int n, deq_value out, void *result, int threads)
{
    deq_program *p = NULL;
    deq_compile_options o = deq_compile_defaults();
    o.threads = threads;
    o.tuned = o.fuse = false;
    if (deq_compile(&p, t->g, &out, 1, &o) != DEQ_OK) fail_msg("%s", deq_last_error(t->ctx));
    for (int i = 0; i < n; i++) {
        deq_type type = deq_value_type(t->g, in[i]);
        assert_int_equal(deq_program_write(p, in[i], data[i], deq_type_bytes(&type)), DEQ_OK);
    }
    if (deq_program_run(p, DEQ_STAGE_PARAMETER) != DEQ_OK) fail_msg("%s", deq_program_error(p));
    deq_type type = deq_value_type(t->g, out);
    assert_int_equal(deq_program_read(p, out, result, deq_type_bytes(&type)), DEQ_OK);
    deq_program_free(p);
}

#endif
