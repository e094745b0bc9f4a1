/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Equilibria as nodes of a graph:  z* = f(z*; c).
 *
 * The cell f is a builder function.  Whatever it uses besides the state (parameters, the injected
 * input, values computed from them) is captured: computed once outside, constant during the solve,
 * and differentiated like any other input.  A graph may hold several equilibria, nested ones too;
 * derivatives are graphs, so an implicit gradient can be differentiated again.
 *
 * See docs/math/implicit-gradients.md.
 */
#ifndef DEQ_EQUILIBRIUM_H
#define DEQ_EQUILIBRIUM_H

#include <deq/graph.h>
#include <deq/linear.h>
#include <deq/solver.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Most state tensors of one equilibrium. */
#define DEQ_MAX_STATES 8

/**
 * Build f: fz[i] from z[0], ..., on the graph g.  Called once when the node is made.
 */
typedef void deq_cell_fn(deq_graph *g, const deq_value *z, deq_value *fz, void *user);

/** How the gradient of an equilibrium is computed; w is the cotangent of z*, J = df/dz at z*. */
typedef enum deq_gradient {
    DEQ_GRADIENT_IFT = 0,         /**< u (I - J) = w solved by the adjoint solver, then u df/dc */
    DEQ_GRADIENT_JFB,             /**< u = w: one vector-Jacobian product (Fung et al. 2022) */
    DEQ_GRADIENT_PHANTOM_NEUMANN, /**< u = tau sum_{i<k} w B^i, B = tau J + (1 - tau) I */
    DEQ_GRADIENT_PHANTOM_UNROLL,  /**< k damped steps from z*, differentiated (Geng et al. 2021) */
    DEQ_GRADIENT_SHINE,           /**< u = -w B with the solver's inverse Jacobian (Ramzi 2022);
                                     forward.method DEQ_BROYDEN (what DEQ_AUTO then means) or
                                     DEQ_ADJOINT_BROYDEN */
    DEQ_GRADIENT_UNROLL,          /**< no solver: forward.max_iter damped steps, differentiated */
    DEQ_GRADIENT_REVERSIBLE /**< coupled iteration, inverted backwards (arXiv 2509.12917); when
                                     rounding has spoilt it the log has a warning */
} deq_gradient;

/** Build the scalar loss of the outer problem from the states; see deq_equilibrium_options. */
typedef deq_value deq_outer_loss_fn(deq_graph *g, const deq_value *z, void *user);

/**
 * Told what became of a backward solve, each time a program runs one.
 *
 * @param user  of the options.
 * @param info  [batch], during the call only; a Neumann or SHINE estimate has no residual.
 * @param batch samples.
 */
typedef void deq_adjoint_observer_fn(void *user, const deq_linear_info *info, int64_t batch);

/** Settings of an equilibrium.  Start from deq_equilibrium_defaults(). */
typedef struct deq_equilibrium_options {
    size_t struct_size;         /**< sizeof(deq_equilibrium_options) */
    deq_solver_options forward; /**< how z* is found; its observer is called during runs, and is the
                                   way to the residuals on the way there */
    deq_gradient gradient;      /**< default DEQ_GRADIENT_IFT */
    deq_linear_options adjoint; /**< IFT: how u (I - J) = w is solved */
    bool
        adjoint_by_solver; /**< IFT: find u as the fixed point of u -> w + u J instead; default false */
    deq_solver_options adjoint_solver; /**< with adjoint_by_solver: how */
    int steps;                         /**< phantom: k >= 1; default 1 */
    double tau;       /**< phantom, unroll, reversible: damping in (0, 1]; default 1 */
    int shine_refine; /**< SHINE: steps of Broyden's method on u = w + u J from there, with the forward
                         solver's factors transposed; each a product with J, and one more; stops
                         at |w + u J - u| <= adjoint.atol + adjoint.rtol |w + u J|; default 0 */
    double shine_fallback; /**< SHINE: u = w where |u| > this times |w|; 0 never; default 1.3 */
    deq_adjoint_observer_fn *adjoint_observer; /**< NULL (default): none */
    void *adjoint_observer_user;               /**< passed to adjoint_observer */
    /** SHINE with forward.method DEQ_ADJOINT_BROYDEN: the loss whose gradient at intermediate states
     *  directs extra updates (outer-problem awareness, forward.adjoint_broyden.outer_every); built
     *  on the graph like the cell.  NULL (default): none. */
    deq_outer_loss_fn *outer_loss;
    void *outer_user; /**< passed to outer_loss */
    bool recompute;   /**< UNROLL, PHANTOM_UNROLL, tails of saved states: keep one state a step and
                         compute the rest again backwards; first derivatives only; default false */
    bool keep_memory; /**< start each solve from what the solver learned in the last one, besides
                         z0; default false */
} deq_equilibrium_options;

/** What a solve reports, as values of the graph that a program can have among its outputs.  For
 *  gradients that take a fixed number of steps it is measured by one more evaluation of f. */
typedef struct deq_equilibrium_report {
    deq_value residual; /**< [B] in the state's dtype: |f(z) - z| of each sample's z* */
    deq_value outcome;  /**< [B] i32: deq_outcome of each sample */
    deq_value n_feval;  /**< [B] i32: evaluations of f spent on each sample */
} deq_equilibrium_report;

/**
 * The default settings.
 *
 * @return the default solver, IFT by GMRES.
 */
DEQ_API deq_equilibrium_options deq_equilibrium_defaults(void);

/**
 * An equilibrium of several states, z* = f(z*; c).  The first axis of every state is the batch.
 *
 * @param g        a graph.
 * @param z_star   receives n_states values: z*; with phantom unrolling the value after the last
 *                 step, in which case the gradient flows through those steps.
 * @param cell     builds f.
 * @param user     passed to cell.
 * @param z0       n_states start values, f32 or f64, all of one dtype and batch; no gradient.
 * @param n_states 1 to DEQ_MAX_STATES.
 * @param options  NULL for the defaults; copied.
 * @param report   receives the report of the solve; NULL if not wanted.
 * @return DEQ_OK or the status of the graph.
 */
DEQ_API deq_status deq_equilibrium_many(deq_graph *g, deq_value *z_star, deq_cell_fn *cell,
                                        void *user, const deq_value *z0, int n_states,
                                        const deq_equilibrium_options *options,
                                        deq_equilibrium_report *report);

/**
 * An equilibrium of one state; see deq_equilibrium_many().
 *
 * @param g       a graph.
 * @param cell    builds f.
 * @param user    passed to cell.
 * @param z0      the start, [B, ...].
 * @param options NULL for the defaults; copied.
 * @param report  receives the report of the solve; NULL if not wanted.
 * @return z*.
 */
DEQ_API deq_value deq_equilibrium(deq_graph *g, deq_cell_fn *cell, void *user, deq_value z0,
                                  const deq_equilibrium_options *options,
                                  deq_equilibrium_report *report);

#ifdef __cplusplus
}
#endif
#endif
