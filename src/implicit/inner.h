/* SPDX-License-Identifier: MIT */
/*
 * A program within a program: the body of an equilibrium, or a product with its Jacobian, compiled
 * for rows in and rows out.  Its captured inputs are slots of the program around it, bound at each
 * run and never copied.
 */
#ifndef DEQ_IMPLICIT_INNER_H
#define DEQ_IMPLICIT_INNER_H

#include "graph/lower.h"
#include "implicit/states.h"

typedef enum deq_inner_kind {
    DEQ_INNER_MAP,   /* z -> f(z; c) */
    DEQ_INNER_PLAIN, /* the same, on plain rows */
    DEQ_INNER_VJP,   /* u -> u J(z; c), z fixed */
    DEQ_INNER_JVP    /* u -> J(z; c) u, z fixed */
} deq_inner_kind;

typedef struct deq_inner {
    deq_context *ctx;
    deq_program *program;
    deq_states states;
    deq_value in[DEQ_MAX_STATES], out[DEQ_MAX_STATES]; /* of the rows */
    deq_value z[DEQ_MAX_STATES];                       /* where J is taken; VJP and JVP only */
    int n_captured;
    const deq_value *captured;
} deq_inner;

/* Compile; `l` is the lowering of the program around.  Free with deq_inner_free().  The program works in
 * scratch memory of the step that runs it. */
deq_status deq_inner_new(deq_inner *inner, deq_lowering *l, const deq_body *body,
                         deq_inner_kind kind);
/* Bytes of the block, a multiple of DEQ_ALIGNMENT; 0 of an inner program that was not made. */
size_t deq_inner_lent_bytes(const deq_inner *inner);
/* Lend it the beginning of *memory, which moves on to what follows; once, before the first run. */
deq_status deq_inner_lend(deq_inner *inner, char **memory);
/* In builds with assertions: fill lent memory with NaN before a run, so that no test passes thanks to
 * what another step has left there. */
void deq_inner_poison(void *memory, size_t bytes);
/* An inner program outside of any program, with memory of its own.  `captured` is room for body->n_captured
 * values; it and the body must live as long as the inner program. */
deq_status deq_inner_build(deq_inner *inner, deq_value *captured, deq_context *ctx,
                           const deq_compile_options *options, const deq_body *body,
                           deq_inner_kind kind);
void deq_inner_free(deq_inner *inner);

/* Where the captured values are now. */
deq_status deq_inner_bind_captured(deq_inner *inner, void *const *data);
/* Where J is taken from now on: plain memory of each state. */
deq_status deq_inner_bind_point(deq_inner *inner, void *const *z);
/* The steps that depend on parameters only, and those on all that is fixed during a solve. */
deq_status deq_inner_run_parameters(deq_inner *inner);
deq_status deq_inner_run_injected(deq_inner *inner);
/* out_rows = program(in_rows), in the layout that the program likes. */
deq_status deq_inner_eval(deq_inner *inner, void *out_rows, const void *in_rows);

/* Rows in the layout that the program likes <- plain states, and back. */
void deq_inner_import(deq_inner *inner, void *rows, void *const *state);
void deq_inner_export(deq_inner *inner, void *const *state, void *rows);

#endif
