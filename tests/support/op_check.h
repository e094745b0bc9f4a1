/* SPDX-License-Identifier: MIT */
/*
 * One table row tests one operator: forward in f32 against f64, optimised programs against plain
 * ones, first and second derivatives against central differences, and the adjoint identity.
 *
 * A failure names the case, the seed and the place.  DEQ_TEST_SEED=<number> tries other data.
 */
#ifndef DEQ_TESTS_SUPPORT_OP_CHECK_H
#define DEQ_TESTS_SUPPORT_OP_CHECK_H

#include "support/test.h"

#include <deq/gradient_check.h>
#include <deq/graph.h>
#include <deq/program.h>
#include <stdbool.h>

#define OP_CASE_MAX_IN 6

/* Builds the operator on inputs in[0 .. n_in - 1]; returns one value of a floating dtype. */
typedef deq_value op_build_fn(deq_graph *g, const deq_value *in, int n_in, const void *user);

typedef struct op_case {
    const char *name;
    int n_in;
    deq_type in[OP_CASE_MAX_IN]; /* floating inputs (either dtype) are made f32 or f64 as needed */
    double low, high;            /* range of random data; both 0: -1 to 1 */
    const void *int_data[OP_CASE_MAX_IN]; /* data of inputs that are not floating */
    double step; /* of central differences; 0: the default of deq_gradient_check() */
    double tol;  /* of derivatives; 0: 1e-6 */
    op_build_fn *build;
    const void *user; /* passed to build */

    /* All of these may be left out. */
    const double *data[OP_CASE_MAX_IN]; /* given instead of random data: away from kinks, say */
    bool fixed[OP_CASE_MAX_IN];         /* floating, but not differentiated */
    double tol32;                       /* f32 against f64, relative to the largest |y|; 0: 2e-5 */
    bool once_only;                     /* no second derivatives */
    bool only_forward;                  /* no derivatives at all */
} op_case;

/* Everything above. */
void check_op(const op_case *c);

/* The f64 result for the given data (of the floating inputs; NULL entries: as check_op() would
 * draw them).  `in` may be NULL.  `out` has room for the output's elements. */
void forward_op(const op_case *c, const double *const *in, double *out);
/* The same, computed in f32 and widened. */
void forward_op_f32(const op_case *c, const double *const *in, double *out);
/* The output's type of the f64 graph. */
deq_type type_of_op(const op_case *c);

/* Fill x with the random data that check_op() uses for floating input i. */
void random_data(const op_case *c, int i, double *x);

/* The graph must refuse the case with this status and a message that contains `text`. */
void check_refused(const op_case *c, deq_status status, const char *text);
/* Compiling works but running must fail with this status and a message that contains `text`. */
void check_run_refused(const op_case *c, deq_status status, const char *text);

/* |a[i] - b[i]| <= tol * max(1, largest |b|) for all i. */
void check_close(const char *name, const double *a, const double *b, int64_t n, double tol);

/* A context whose options do not matter; fails the test when there is none. */
deq_context *test_context(void);

#endif
