/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Checks the derivatives of a graph against central differences.
 *
 * For y = F(x), random cotangents w and random directions v, three statements are tested:
 *
 *     w . dF/dx . e_j  =  d/dh  w . F(x + h e_j)       (vjp, coordinate by coordinate)        (1)
 *     dF/dx . v        =  d/dh  F(x + h v)             (jvp, every element of the output)     (2)
 *     w . (J v)        =  (J^T w) . v                  (vjp and jvp are adjoint)              (3)
 *
 * The right sides of (1) and (2) are  (F(x + h d) - F(x - h d)) / 2h  with F run as a compiled
 * program in f64.  Differences are smooth-function tools: keep x away from kinks (relu at 0, ties
 * of a maximum) by more than the step.
 */
#ifndef DEQ_GRADIENT_CHECK_H
#define DEQ_GRADIENT_CHECK_H

#include <deq/graph.h>
#include <deq/program.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Where derivatives are checked: a leaf of the graph and its data. */
typedef struct deq_gradient_point {
    deq_value value;  /**< what deq_input() or deq_parameter() returned */
    const void *data; /**< row-major elements of the value's type; borrowed, never written.  NULL
                           for a parameter: what its store holds (always, if it is fixed) */
    bool fixed;       /**< true: only feed the data, do not differentiate with respect to it;
                           implied by an integer or bool dtype */
} deq_gradient_point;

/** Settings of deq_gradient_check().  Start from deq_gradient_check_defaults(). */
typedef struct deq_gradient_check_options {
    size_t struct_size; /**< sizeof(deq_gradient_check_options) */
    double step;        /**< step h relative to max(1, |x|), > 0; 0 means 6.06e-6, the cube root of
                             the rounding unit, where truncation and rounding balance */
    double tol;         /**< largest relative error that passes, > 0; 0 means 1e-6 */
    double adjoint_tol; /**< largest relative gap in (3) that passes, > 0; 0 means 1e-10 */
    uint64_t seed;      /**< of cotangents and directions; any value; default 0 */
    int64_t max_coordinates; /**< inputs with at most so many elements are checked at every
                                  coordinate, larger ones along random directions; > 0; 0 means 64 */
    int directions;          /**< random cotangents and random directions, 1 to 64; 0 means 2 */
    const deq_compile_options *compile; /**< for both programs; NULL for the defaults */
} deq_gradient_check_options;

/** Which of the derivatives a comparison was about. */
typedef enum deq_gradient_mode {
    DEQ_GRADIENT_MODE_VJP = 0, /**< statement (1) */
    DEQ_GRADIENT_MODE_JVP      /**< statement (2) */
} deq_gradient_mode;

/**
 * What a check found.  The place and the two numbers are those of the comparison with the largest
 * relative error.
 */
typedef struct deq_gradient_report {
    bool passed;               /**< every error within tol and the gap within adjoint_tol */
    double relative_error;     /**< worst of |a - n| / max(|a|, |n|, typical derivative, magnitude
                                 of w . F / 1000); infinite when something was not finite */
    double absolute_error;     /**< |a - n| there */
    double analytic;           /**< a: the graph's derivative there */
    double numeric;            /**< n: the central difference there */
    deq_gradient_mode mode;    /**< which statement it was */
    int input;                 /**< vjp: index into points; jvp: -1 (all inputs move together) */
    int64_t coordinate;        /**< vjp: element of that input, or -1 for a random direction */
    int output;                /**< jvp: index into outputs; vjp: -1 (all outputs are weighted) */
    int64_t output_coordinate; /**< jvp: element of that output; vjp: -1 */
    int direction;             /**< number of the random cotangent or direction, from 0 */
    double adjoint_gap;        /**< worst relative gap in (3) */
    int64_t n_comparisons;     /**< pairs of numbers compared */
    int64_t n_evaluations;     /**< runs of F */
    char message[256];         /**< the above in one sentence */
} deq_gradient_report;

/**
 * The default settings.
 *
 * @return a struct to change and pass to deq_gradient_check().
 */
DEQ_API deq_gradient_check_options deq_gradient_check_defaults(void);

/**
 * Check vjp and jvp of a graph at a point.
 *
 * The nodes of the derivatives, and inputs named "gradient_check/...", are added to g; programs
 * that do not ask for them are not affected.  With a parameter among the points its store is
 * changed during the call and restored before every return.
 *
 * @param report    receives the result; meaningful only after DEQ_OK.
 * @param g         a graph; everything that the outputs depend on is f64, integer or bool.
 * @param outputs   n_outputs values of dtype f64, any shapes.
 * @param n_outputs at least 1.
 * @param points    n_points leaves: every input that the outputs depend on, and the parameters that
 *                  shall be checked; at least one not fixed.  No value twice.
 * @param n_points  at least 1.
 * @param options   NULL for the defaults.
 * @return DEQ_OK even when the derivatives are wrong: read report->passed.  Otherwise
 *         DEQ_ERR_ARGUMENT (options out of range, a point that is no leaf, an input without data,
 *         nothing to check), DEQ_ERR_DTYPE (f32 in the graph, an output that is not f64),
 *         DEQ_ERR_STATE (a parameter whose store is not allocated), DEQ_ERR_NOMEM, the first mistake of the graph, or what compiling or running returned;
 *         deq_last_error() of the graph's context explains.
 */
DEQ_API deq_status deq_gradient_check(deq_gradient_report *report, deq_graph *g,
                                      const deq_value *outputs, int n_outputs,
                                      const deq_gradient_point *points, int n_points,
                                      const deq_gradient_check_options *options);

#ifdef __cplusplus
}
#endif
#endif
