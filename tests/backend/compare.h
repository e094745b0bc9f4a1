/* SPDX-License-Identifier: MIT */
/* Tuned programs against the same graph compiled with reference kernels only. */
#ifndef DEQ_TESTS_BACKEND_COMPARE_H
#define DEQ_TESTS_BACKEND_COMPARE_H

#include "support/engine.h"

#include <stdio.h>

enum { COMPARE_MOST = 8 };

/* A graph with its f32 inputs and outputs. */
typedef struct compared {
    test_graph t;
    deq_value in[COMPARE_MOST], out[COMPARE_MOST];
    deq_stage stage[COMPARE_MOST]; /* of the inputs */
    int n_in, n_out;
} compared;

static inline deq_value compared_input(compared *c, deq_stage stage, deq_shape shape)
{
    char name[16];
    snprintf(name, sizeof name, "in%d", c->n_in);
    c->stage[c->n_in] = stage;
    return c->in[c->n_in++] = deq_input(c->t.g, name, stage, DEQ_F32, shape);
}

static inline size_t compared_bytes(const compared *c, deq_value v)
{
    deq_type type = deq_value_type(c->t.g, v);
    return deq_type_bytes(&type);
}

/* Numbers in [-1, 1), always the same for one input. */
static inline float *compared_data(const compared *c, int i)
{
    size_t bytes = compared_bytes(c, c->in[i]);
    float *x = aligned_alloc(64, (bytes + 63) / 64 * 64);
    uint64_t state = (uint64_t)i + 1;
    assert_non_null(x);
    for (size_t k = 0; k < bytes / sizeof *x; k++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        x[k] = (float)(state >> 40) * 0x1p-23F - 1.0F;
    }
    return x;
}

static inline deq_program *compared_compile(const compared *c, const deq_compile_options *o)
{
    deq_program *p = must_compile(&c->t, c->out, c->n_out, o);
    for (int i = 0; i < c->n_in; i++) {
        float *x = compared_data(c, i);
        must_write(&c->t, p, c->in[i], x);
        free(x);
    }
    return p;
}

/* All outputs of a run, one after another. */
static inline float *compared_run(const compared *c, deq_program *p, size_t *count)
{
    *count = 0;
    for (int i = 0; i < c->n_out; i++) *count += compared_bytes(c, c->out[i]) / sizeof(float);
    float *y = malloc(*count * sizeof *y), *at = y;
    assert_non_null(y);
    must_run(p, DEQ_STAGE_PARAMETER);
    for (int i = 0; i < c->n_out; i++) {
        must_read(&c->t, p, c->out[i], at);
        at += compared_bytes(c, c->out[i]) / sizeof *at;
    }
    return y;
}

/* |a - b| <= tol * max(1, largest |b|) */
static inline void compared_check(const char *name, const char *how, const float *a, const float *b,
                                  size_t n, double tol)
{
    double largest = 1;
    for (size_t i = 0; i < n; i++) largest = fmax(largest, fabs((double)b[i]));
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)a[i] - (double)b[i]) <= tol * largest))
            fail_msg("%s, %s: element %zu is %.9g, expected %.9g", name, how, i, (double)a[i],
                     (double)b[i]);
}

/* The outputs and those inputs that are no weights; returns how many. */
static inline int compared_native(const compared *c, deq_value *native)
{
    int n = 0;
    for (int i = 0; i < c->n_in; i++)
        if (c->stage[i] > DEQ_STAGE_PARAMETER) native[n++] = c->in[i];
    for (int i = 0; i < c->n_out; i++) native[n++] = c->out[i];
    return n;
}

/* On one and two threads, with plain, channels-last and native layouts; twice, with equal bits. */
static inline void compare_programs(const char *name, const compared *c, double tol)
{
    size_t n;
    deq_compile_options plain = plain_options();
    assert_ok(&c->t);
    deq_program *reference = compared_compile(c, &plain);
    float *expected = compared_run(c, reference, &n);
    for (int how = 0; how < 6; how++) {
        char text[64];
        deq_value native[2 * COMPARE_MOST];
        deq_compile_options o = deq_compile_defaults();
        o.threads = 1 + how % 2;
        o.layout = how / 2 != 0;
        if (how / 2 == 2) o.native = native, o.n_native = compared_native(c, native);
        snprintf(text, sizeof text, "%d threads, layout %d, %d native", o.threads, o.layout,
                 o.n_native);
        deq_program *tuned = compared_compile(c, &o);
        float *first = compared_run(c, tuned, &n), *second = compared_run(c, tuned, &n);
        compared_check(name, text, first, expected, n, tol);
        if (memcmp(first, second, n * sizeof *first) != 0)
            fail_msg("%s, %s: the second run gives other bits", name, text);
        free(first), free(second);
        deq_program_free(tuned);
    }
    free(expected);
    deq_program_free(reference);
}

static inline bool compared_find(void *user, const char *text, size_t length)
{
    char **end = user;
    memcpy(*end, text, length);
    *end += length;
    return true;
}

/* Does the description of the program name this kernel? */
static inline bool uses_kernel(const deq_program *p, const char *kernel)
{
    char *text = calloc(1, 1 << 20), *end = text;
    assert_non_null(text);
    assert_int_equal(deq_program_describe(p, DEQ_DESCRIBE_TEXT, compared_find, &end), DEQ_OK);
    bool found = strstr(text, kernel) != NULL;
    free(text);
    return found;
}

/* Everything but weights in the layout that the program likes. */
static inline deq_program *compile_native(const compared *c, int threads)
{
    deq_value native[2 * COMPARE_MOST];
    deq_compile_options o = deq_compile_defaults();
    o.threads = threads;
    o.native = native;
    o.n_native = compared_native(c, native);
    return compared_compile(c, &o);
}

/* Inputs and outputs that are bound elsewhere give the same bits. */
static inline void compare_rebound(const char *name, const compared *c)
{
    size_t n;
    deq_program *p = compile_native(c, 2);
    void *memory[2 * COMPARE_MOST];
    float *expected = compared_run(c, p, &n);
    for (int i = 0; i < c->n_in + c->n_out; i++) {
        deq_value v = i < c->n_in ? c->in[i] : c->out[i - c->n_in];
        memory[i] = NULL;
        if (!deq_program_data(p, v)) continue; /* nothing depends on it */
        memory[i] = aligned_alloc(64, (compared_bytes(c, v) + 63) / 64 * 64);
        assert_non_null(memory[i]);
        memcpy(memory[i], deq_program_data(p, v), compared_bytes(c, v));
        assert_int_equal(deq_program_bind(p, v, memory[i]), DEQ_OK);
    }
    float *bound = compared_run(c, p, &n);
    if (memcmp(bound, expected, n * sizeof *bound) != 0)
        fail_msg("%s: other memory gives other bits", name);
    for (int i = 0; i < c->n_in + c->n_out; i++) free(memory[i]);
    free(bound), free(expected);
    deq_program_free(p);
}

#endif
