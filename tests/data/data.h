/* SPDX-License-Identifier: MIT */
/* Short words for tests of datasets: read or the test fails, and counts against expectations. */
#ifndef DEQ_TESTS_DATA_DATA_H
#define DEQ_TESTS_DATA_DATA_H

#include "support/bytes.h"
#include "support/memory.h"

#include <deq/data.h>
#include <stdio.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static inline deq_context *data_context(void)
{
    deq_context *ctx = NULL;
    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    return ctx;
}

/* A status and a part of the context's message. */
static inline void assert_refused(const deq_context *ctx, deq_status said, deq_status expected,
                                  const char *text)
{
    if (said != expected || !strstr(deq_last_error(ctx), text))
        fail_msg("expected %s: ...%s..., got %s: %s", deq_status_text(expected), text,
                 deq_status_text(said), deq_last_error(ctx));
}

static inline void assert_done(const deq_context *ctx, deq_status status)
{
    if (status != DEQ_OK) fail_msg("%s: %s", deq_status_text(status), deq_last_error(ctx));
}

/* An example with memory of its own. */
typedef struct one_example {
    float *input;
    int32_t *target;
    int64_t n_input, n_target;
} one_example;

static inline one_example example_new(const deq_dataset *d)
{
    const deq_example_form form = deq_dataset_form(d);
    one_example e = { .n_input = deq_shape_count(&form.input),
                      .n_target = deq_shape_count(&form.target) };
    e.input = malloc((size_t)e.n_input * sizeof *e.input);
    e.target = malloc((size_t)e.n_target * sizeof *e.target);
    assert_non_null(e.input);
    assert_non_null(e.target);
    return e;
}

static inline void example_free(one_example *e)
{
    free(e->input);
    free(e->target);
}

static inline void example_read(one_example *e, const deq_dataset *d, int64_t index)
{
    char error[1024] = "";
    if (deq_dataset_read(d, index, e->input, e->target, error, sizeof error) != DEQ_OK)
        fail_msg("example %lld: %s", (long long)index, error);
}

/* The example cannot be read: this status, and a part of its message. */
static inline void assert_unreadable(const deq_dataset *d, int64_t index, deq_status expected,
                                     const char *text)
{
    char error[1024] = "";
    one_example e = example_new(d);
    const deq_status said = deq_dataset_read(d, index, e.input, e.target, error, sizeof error);
    if (said != expected || !strstr(error, text))
        fail_msg("expected %s: ...%s..., got %s: %s", deq_status_text(expected), text,
                 deq_status_text(said), error);
    example_free(&e);
}

/*
 * n counts of equally likely outcomes: the chi-square statistic, whose mean is n - 1 and whose
 * deviation is sqrt(2 (n - 1)), lies within five deviations.  Draws have fixed seeds: a test that
 * passes once passes always.
 */
static inline void assert_uniform(const int64_t *counts, int64_t n, const char *what)
{
    double total = 0, chi = 0, dof = (double)(n - 1);
    for (int64_t i = 0; i < n; i++) total += (double)counts[i];
    const double expected = total / (double)n;
    assert_true(expected >= 5);
    for (int64_t i = 0; i < n; i++) {
        const double difference = (double)counts[i] - expected;
        chi += difference * difference / expected;
    }
    if ((chi - dof) * (chi - dof) > 25 * 2 * dof)
        fail_msg("%s: chi-square %g for %g degrees of freedom", what, chi, dof);
}

/* Opens a dataset. */
typedef deq_status open_dataset(deq_dataset **out, deq_context *ctx, const void *user);

/* Opening it and reading its first example, with each allocation failing in turn. */
static inline void check_memory(open_dataset *open, const void *user)
{
    for (size_t n = 1;; n++) {
        test_memory m = { .fail_at = n };
        deq_context *ctx = test_memory_context(&m, 1);
        deq_dataset *d = NULL;
        if (!ctx) continue;
        deq_status status = open(&d, ctx, user);
        if (status == DEQ_OK) {
            one_example e = example_new(d);
            status = deq_dataset_read(d, 0, e.input, e.target, NULL, 0);
            example_free(&e);
        } else {
            assert_null(d);
            assert_true(deq_last_error(ctx)[0] != '\0');
        }
        deq_dataset_free(d);
        deq_context_free(ctx);
        assert_memory_clean(&m);
        if (m.calls < n) {
            assert_int_equal(status, DEQ_OK);
            return;
        }
        assert_int_equal(status, DEQ_ERR_NOMEM);
    }
}

#endif
