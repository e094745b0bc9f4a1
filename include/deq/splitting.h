/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Operator splitting for monotone equilibria (Winston & Kolter, "Monotone operator equilibrium
 * networks", NeurIPS 2020):
 *
 *     z* = sigma(W z* + c),   I - W strongly monotone,   sigma = prox of a convex function
 *
 * A splitting is itself a map with a fixed point, so that every solver of solver.h can drive it:
 * DEQ_PICARD gives the classical methods, DEQ_ANDERSON accelerates them.
 *
 *     forward-backward   F(z) = prox_a((1 - a) z + a (W z + c))                            (1)
 *     Peaceman-Rachford  F(u) = 2 V(2 z - u + a c) - (2 z - u),   z = prox_a(u),           (2)
 *                        V = (I + a (I - W))^-1
 *
 * (1) converges for 0 < a < 2 m / L^2, where m I <= I - (W + W')/2 and |I - W| <= L; (2) for every
 * a > 0.  The residual that a solver reports is that of F; deq_splitting_residual() gives that of
 * the equilibrium.  See docs/math/splitting.md.
 */
#ifndef DEQ_SPLITTING_H
#define DEQ_SPLITTING_H

#include <deq/solver.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Which splitting. */
typedef enum deq_splitting_method {
    DEQ_SPLITTING_FORWARD_BACKWARD = 0, /**< (1); needs linear */
    DEQ_SPLITTING_PEACEMAN_RACHFORD     /**< (2); needs resolvent */
} deq_splitting_method;

/**
 * The parts of a monotone equilibrium.  All vectors are rows [n, dim] of the splitting's dtype; row
 * i belongs to sample samples[i]; results never overlap arguments, except in prox.  A callback that
 * returns anything but DEQ_OK ends the solve with that status.
 */
typedef struct deq_monotone {
    size_t struct_size; /**< sizeof(deq_monotone) */
    /** wz = W z, without c. */
    deq_status (*linear)(void *user, void *wz, const void *z, const int64_t *samples, int64_t n);
    /** out = (I + alpha (I - W))^-1 v.  NULL if only forward-backward is used. */
    deq_status (*resolvent)(void *user, void *out, const void *v, double alpha,
                            const int64_t *samples, int64_t n);
    /** z = prox_alpha(z) in place: argmin_y |y - z|^2 / 2 + alpha h(y); relu for the indicator of
     *  y >= 0, whatever alpha.  prox_1 is sigma. */
    deq_status (*prox)(void *user, void *z, double alpha, const int64_t *samples, int64_t n);
    void *user;   /**< passed to all of them */
    bool partial; /**< subsets of the batch may be evaluated */
} deq_monotone;

/** A splitting of one problem, with its memory. */
typedef struct deq_splitting deq_splitting;

/**
 * Make a splitting.
 *
 * @param out    receives it; free with deq_splitting_free().  NULL on failure.
 * @param ctx    supplies memory and threads.
 * @param method which one.
 * @param parts  copied.
 * @param alpha  > 0; default of the literature: 1.
 * @param batch  samples, >= 1.
 * @param dim    elements of a sample's state, >= 1.
 * @param dtype  DEQ_F32 or DEQ_F64.
 * @return DEQ_OK, DEQ_ERR_ARGUMENT (a part that the method needs is missing, alpha, sizes),
 *         DEQ_ERR_DTYPE, DEQ_ERR_OVERFLOW, DEQ_ERR_NOMEM; deq_last_error() explains.
 */
DEQ_API deq_status deq_splitting_new(deq_splitting **out, deq_context *ctx,
                                     deq_splitting_method method, const deq_monotone *parts,
                                     double alpha, int64_t batch, int64_t dim, deq_dtype dtype);

/**
 * Free a splitting.
 *
 * @param splitting NULL is allowed.
 */
DEQ_API void deq_splitting_free(deq_splitting *splitting);

/**
 * The map F, for deq_solve().
 *
 * @param splitting a splitting.
 * @param c         [batch, dim] the injected input; borrowed as long as the map is used.
 * @return lives as long as the splitting, for one calling thread at a time.
 */
DEQ_API const deq_map *deq_splitting_map(deq_splitting *splitting, const void *c);

/**
 * The equilibrium from a fixed point of F: z = v for forward-backward, z = prox_alpha(v) for
 * Peaceman-Rachford.
 *
 * @param z         [batch, dim] receives the state; may be v.
 * @param splitting a splitting.
 * @param v         [batch, dim] what the solver found.
 * @return DEQ_OK or what prox returned.
 */
DEQ_API deq_status deq_splitting_state(void *z, deq_splitting *splitting, const void *v);

/**
 * The residual |sigma(W z + c) - z| of each sample, by one call of linear and of prox.
 *
 * @param residual  [batch] receives it.
 * @param splitting a splitting with linear, after deq_splitting_map().
 * @param z         [batch, dim] a state.
 * @return DEQ_OK, DEQ_ERR_STATE (no linear, or no c yet), or what a part returned.
 */
DEQ_API deq_status deq_splitting_residual(double *residual, deq_splitting *splitting,
                                          const void *z);

#ifdef __cplusplus
}
#endif
#endif
