/* SPDX-License-Identifier: MIT */
/* Short words for tests of the engine: programs of one graph, compiled and run or the test fails. */
#ifndef DEQ_TESTS_SUPPORT_ENGINE_H
#define DEQ_TESTS_SUPPORT_ENGINE_H

#include "support/run.h"

#include <deq/op.h>
#include <deq/program.h>
#include <math.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

/* Nothing on: every node by its reference kernel. */
static inline deq_compile_options plain_options(void)
{
    deq_compile_options o = deq_compile_defaults();
    o.simplify = o.fuse = o.tuned = o.layout = false;
    return o;
}

static inline deq_program *must_compile(const test_graph *t, const deq_value *outputs, int n,
                                        const deq_compile_options *o)
{
    deq_program *p = NULL;
    if (deq_compile(&p, t->g, outputs, n, o) != DEQ_OK) fail_msg("%s", deq_last_error(t->ctx));
    assert_non_null(p);
    return p;
}

static inline void must_write(const test_graph *t, deq_program *p, deq_value v, const void *data)
{
    deq_type type = deq_value_type(t->g, v);
    if (deq_program_write(p, v, data, deq_type_bytes(&type)) != DEQ_OK)
        fail_msg("%s", deq_program_error(p));
}

static inline void must_run(deq_program *p, deq_stage from)
{
    if (deq_program_run(p, from) != DEQ_OK) fail_msg("%s", deq_program_error(p));
}

static inline void must_read(const test_graph *t, deq_program *p, deq_value v, void *data)
{
    deq_type type = deq_value_type(t->g, v);
    if (deq_program_read(p, v, data, deq_type_bytes(&type)) != DEQ_OK)
        fail_msg("%s", deq_program_error(p));
}

/* An f64 input. */
static inline deq_value f64_input(const test_graph *t, const char *name, deq_stage stage,
                                  deq_shape shape)
{
    return deq_input(t->g, name, stage, DEQ_F64, shape);
}

/* The elements of an f64 output, computed from f64 inputs. */
static inline void evaluate(const test_graph *t, const deq_value *in, const double *const *data,
                            int n_in, deq_value out, double *result, const deq_compile_options *o)
{
    deq_program *p = must_compile(t, &out, 1, o);
    for (int i = 0; i < n_in; i++) must_write(t, p, in[i], data[i]);
    must_run(p, DEQ_STAGE_PARAMETER);
    must_read(t, p, out, result);
    deq_program_free(p);
}

/* The nodes that are left of the part of the graph that `out` depends on. */
static inline int nodes_after_simplify(const test_graph *t, deq_value out)
{
    deq_program *p = must_compile(t, &out, 1, NULL);
    int n = deq_program_stats(p).n_nodes;
    deq_program_free(p);
    return n;
}

static inline void assert_ok(const test_graph *t)
{
    if (deq_graph_status(t->g) != DEQ_OK) fail_msg("%s", deq_graph_error(t->g));
}

static inline void assert_shape(const test_graph *t, deq_value v, deq_shape expected)
{
    deq_type type = deq_value_type(t->g, v);
    assert_true(deq_shape_equal(&type.shape, &expected));
}

/* The graph is marked with this status and a message that contains every text up to NULL. */
static inline void assert_refused(const test_graph *t, deq_status status, ...)
{
    const char *message = deq_graph_error(t->g);
    if (deq_graph_status(t->g) != status)
        fail_msg("status %s: %s", deq_status_text(deq_graph_status(t->g)), message);
    va_list texts;
    va_start(texts, status);
    for (const char *text; (text = va_arg(texts, const char *));)
        if (!strstr(message, text)) fail_msg("'%s' is not in '%s'", text, message);
    va_end(texts);
}

#endif
