/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Jacobian regularisation of equilibria (Bai, Koltun & Kolter, "Stabilizing Equilibrium Models by
 * Jacobian Regularization", ICML 2021).
 *
 *     L_jac = tau  gamma / (M B d)  sum_m sum_b |eps_mb' J_b(z*)|^2,    tau ~ Bernoulli(p)        (1)
 *
 * J = df/dz at the held equilibrium z*, of sample b; d elements a sample, B samples, M probes eps of
 * mean 0 and covariance I, so that  E |eps' J|^2 = |J|_F^2  (Hutchinson 1989), which bounds the
 * square of the spectral radius.  The parameters act through df/dz alone: z* is a constant here, and
 * nothing flows into it.  See docs/math/jacobian-regularisation.md.
 */
#ifndef DEQ_REGULARISE_H
#define DEQ_REGULARISE_H

#include <deq/equilibrium.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Largest number of elements of a sample for DEQ_PROBE_EXACT. */
#define DEQ_EXACT_PROBES_MAX 256

/** The vectors eps of (1). */
typedef enum deq_probe {
    DEQ_PROBE_NORMAL = 0, /**< standard normal, as published */
    DEQ_PROBE_RADEMACHER, /**< signs: the smaller variance where J is nearly diagonal */
    DEQ_PROBE_EXACT,      /**< all d unit vectors, M = 1: |J|_F^2 itself, by d products */
    DEQ_PROBE_GIVEN       /**< deq_jacobian_options.given */
} deq_probe;

/** How (1) is built; the values and the first derivatives agree. */
typedef enum deq_jacobian_form {
    /** With r = eps' J held:  value |r|^2, gradient 2 d(eps' J r), reverse mode through a jvp.
     *  First derivatives only: a second derivative would miss the change of r. */
    DEQ_JACOBIAN_REVERSE_OVER_JVP = 0,
    DEQ_JACOBIAN_DOUBLE_BACKWARD /**< |r|^2 differentiated through the vjp; any order */
} deq_jacobian_form;

/** Settings of deq_jacobian_penalty().  Start from deq_jacobian_defaults(). */
typedef struct deq_jacobian_options {
    size_t struct_size;     /**< sizeof(deq_jacobian_options) */
    double weight;          /**< gamma, >= 0; default 1 */
    deq_probe probe;        /**< default DEQ_PROBE_NORMAL */
    int n_probes;           /**< M >= 1; default 1.  DEQ_PROBE_EXACT ignores it */
    deq_jacobian_form form; /**< default DEQ_JACOBIAN_REVERSE_OVER_JVP */
    double probability;     /**< p in [0, 1] of a penalty at a step; default 1: always */
    int64_t stream;         /**< first random stream, >= 0; default 0.  Used: 1 for tau and
                                 n_probes * n_states for eps */
    const deq_value *given; /**< DEQ_PROBE_GIVEN: n_probes * n_states values of the states' types,
                                 those of the first probe first */
} deq_jacobian_options;

/**
 * The default settings.
 *
 * @return a struct to change and pass to deq_jacobian_penalty().
 */
DEQ_API deq_jacobian_options deq_jacobian_defaults(void);

/**
 * Add the penalty (1) to a graph.
 *
 * With p < 1 the draw tau is *selected* by the key: at a step where it is 0, value and gradients are
 * exactly zero (as long as J is finite there).  The products are computed all the same: a program
 * has no branches.  To save them too, compile the training step with and without the penalty, both
 * with probability 1, and let deq_jacobian_applies() choose between the programs.
 *
 * @param g        a graph.
 * @param cell     builds f, as for deq_equilibrium_many(); called once more.
 * @param user     passed to cell.
 * @param z_star   n_states values: where J is taken; held.
 * @param n_states 1 to DEQ_MAX_STATES.
 * @param key      i64 [2]: (seed, step).  DEQ_NONE when nothing is random (p = 1, probes exact or
 *                 given).
 * @param options  NULL for the defaults.
 * @return a scalar of the states' dtype; invalid after DEQ_ERR_ARGUMENT (an option out of range, no
 *         key), DEQ_ERR_SHAPE (states of different batches, given probes of other types, more than
 *         DEQ_EXACT_PROBES_MAX elements for exact probes) or DEQ_ERR_DTYPE.
 */
DEQ_API deq_value deq_jacobian_penalty(deq_graph *g, deq_cell_fn *cell, void *user,
                                       const deq_value *z_star, int n_states, deq_value key,
                                       const deq_jacobian_options *options);

/**
 * Whether the draw tau of (1) is 1 for this key: what deq_jacobian_penalty() selects by.
 *
 * @param seed    as in the key.
 * @param step    as in the key.
 * @param options NULL for the defaults.
 * @return true with probability options->probability.
 */
DEQ_API bool deq_jacobian_applies(uint64_t seed, uint64_t step,
                                  const deq_jacobian_options *options);

#ifdef __cplusplus
}
#endif
#endif
