/* SPDX-License-Identifier: MIT */
/*
 * Estimators that run a fixed number of steps and go back through them: a forward operator and its
 * adjoint, the latter with a program of products
 *
 *     z, u  ->  u J(z),  u df/dc(z)
 *
 * The cotangents of all floating captured values leave as one vector dc, behind each other, in the
 * dtype of the states: a cell captures any number of them.  Shapes, slots and lowering are shared;
 * reversible.c and unrolled.c say what a step is.
 */
#ifndef DEQ_IMPLICIT_SWEEP_H
#define DEQ_IMPLICIT_SWEEP_H

#include "implicit/inner.h"
#include "implicit/operators.h"

#include <deq/reversible.h>

enum { DEQ_SWEEP_ROWS = 6 };

/* One node's step at run time. */
typedef struct deq_sweep {
    deq_context *ctx;
    const deq_implicit *implicit;
    deq_states states;
    deq_inner f;
    deq_map map;                   /* f for the whole batch */
    int n_ends;                    /* states that the forward operator gives: n, or 2 n */
    int first[2 * DEQ_MAX_STATES]; /* slots: z0; or of the adjoint the states it begins with */
    int g[2 * DEQ_MAX_STATES];     /* slots: cotangents of the ends */
    int out[2 * DEQ_MAX_STATES];   /* slots: the ends; or dz0 */
    int dc;                        /* slot */
    int64_t n_dc;                  /* elements of dc; 0: there is none */
    int *captured;                 /* slots */
    int rows[DEQ_SWEEP_ROWS];      /* slots: one row a sample each, for the estimator's use */
    int lent;                      /* slot: what f, the products and the estimator work in */
    deq_reversible *pair;          /* reversible.c */
    size_t lent_bytes;
    size_t stored_bytes; /* set by prepare: scratch for the estimator's use */
    char *stored;

    deq_program *products; /* adjoint only */
    deq_value z[DEQ_MAX_STATES], u[DEQ_MAX_STATES], *c;
    deq_value uj[DEQ_MAX_STATES], uc; /* u J, u df/dc */
    deq_stage from;                   /* what the next product has to run */
} deq_sweep;

/* What an estimator brings. */
typedef struct deq_sweep_kind {
    const deq_op *forward, *adjoint;
    int ends;            /* states that leave, in units of n_states: 1 or 2 */
    bool adjoint_starts; /* the adjoint begins at z0, not at the ends */
    deq_status (*prepare)(deq_sweep *s, deq_lowering *l, bool adjoint);
    deq_status (*run_forward)(deq_sweep *s, void *const *slot);
    deq_status (*run_adjoint)(deq_sweep *s, void *const *slot); /* rows in, dz0 in rows[2] */
} deq_sweep_kind;

extern const deq_sweep_kind deq_sweep_reversible, deq_sweep_unrolled;

/* Shape rules and derivatives of the four operators. */
bool deq_sweep_infer_forward(deq_shape_rule *r, const deq_sweep_kind *k);
bool deq_sweep_infer_adjoint(deq_shape_rule *r);
void deq_sweep_vjp(const deq_frame *f, const deq_sweep_kind *k, const deq_value *dy, deq_value *dx);
void deq_sweep_no_vjp(const deq_frame *f, const deq_value *dy, deq_value *dx);
void deq_sweep_no_jvp(const deq_frame *f, const deq_value *dx, deq_value *dy);
void deq_sweep_retain(const void *attr);
void deq_sweep_release(const void *attr);
deq_status deq_sweep_lower(deq_lowering *l, const deq_node *n, const deq_sweep_kind *k);

/* y <- a y + b x over n elements, computed in double. */
void deq_sweep_combine(const deq_sweep *s, deq_dtype dtype, void *y, double a, const void *x,
                       double b, int64_t n);
/* uj = u J(z); dc grows by factor times u df/dc(z). */
deq_status deq_sweep_products(deq_sweep *s, void *uj, void *u, void *z, double factor,
                              void *const *slot);

#endif
