/* SPDX-License-Identifier: MIT */
/*
 * The two operators under every equilibrium.  z are its states, c what its cell captured, J = df/dz.
 *
 *   equilibrium    z0, c, [o]   -> z* = f(z*; c), report, memory; o: captured by the outer loss, [saved]
 *   implicit_solve z, c, w, [m] -> u,  u (I - J) = w   (transposed, an adjoint)
 *                                  or  (I - J) u = w   (a tangent), with J at z; report
 *
 * memory is a handle (i64) of what the forward solver learned; SHINE hands it to its adjoint as m.
 * saved [n - 1, B, d] holds the intermediate states that the forward options ask for, earliest first,
 * without z* itself, the states of a sample behind each other; it is there if n > 1, and is constant
 * to derivatives.
 *
 * The second is the derivative of the first in both modes, and of itself:
 *
 *   dz* = (I - J)^-1 f_c dc
 *   du (I - J) = dw + u dJ        for the adjoint;  (I - J) du = dw + dJ u  for the tangent
 *
 * where dJ is the change of J with (z, c).  So with s the solution of the other kind for a cotangent
 * r of u, the cotangents are  s  of w, and the gradient of  u J(z, c) s  (s J u) of z and c.
 */
#ifndef DEQ_IMPLICIT_OPERATORS_H
#define DEQ_IMPLICIT_OPERATORS_H

#include "graph/lower.h"
#include "implicit/body.h"

/* What both hold: body and options, counted like the body. */
typedef struct deq_implicit {
    deq_context *ctx;
    int references;
    deq_body *body;
    deq_body *outer;                 /* z -> gradient of the outer loss, or NULL */
    deq_equilibrium_options options; /* what it points to is copied below */
    deq_custom_method custom, adjoint_custom;
    int *state_index; /* [options.forward.n_state_index] or NULL */
} deq_implicit;

/* outer may be NULL. */
deq_implicit *deq_implicit_new(deq_body *body, deq_body *outer,
                               const deq_equilibrium_options *options);
void deq_implicit_release(deq_implicit *m);

typedef struct deq_implicit_attr {
    deq_implicit *implicit;
    int64_t transposed; /* implicit_solve only */
    int64_t exact; /* implicit_solve only: by the adjoint solver, whatever options.gradient says */
} deq_implicit_attr;

extern const deq_op deq_op_equilibrium, deq_op_implicit_solve;
extern const deq_op deq_op_reversible; /* reversible.c: z0, c -> z_N, y_N */
extern const deq_op deq_op_unrolled;   /* unrolled.c: z0, c -> z_N */

/* Outputs behind the states: residual, outcome, evaluations. */
enum { DEQ_REPORT_RESIDUAL, DEQ_REPORT_OUTCOME, DEQ_REPORT_EVALUATIONS, DEQ_REPORT_VALUES };

/* Intermediate states that a forward solve saves, the returned one included. */
int deq_implicit_n_saved(const deq_solver_options *forward);

/* Add an implicit_solve node; u gets one value a state.  With a memory, the adjoint is an estimate by
 * options.gradient; with DEQ_NONE and exact it is solved. */
void deq_implicit_solve(deq_graph *g, const deq_implicit_attr *attr, const deq_value *z,
                        const deq_value *captured, const deq_value *w, deq_value memory,
                        deq_value *u);

/* Steps of the two operators (lower_forward.c, lower_linear.c). */
deq_status deq_lower_equilibrium(deq_lowering *l, const deq_node *n);
deq_status deq_lower_implicit_solve(deq_lowering *l, const deq_node *n);

#endif
