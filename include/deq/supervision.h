/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Supervising several states of an equilibrium, and weighting their losses ("fixed-point correction",
 * Bai, Geng, Savani & Kolter, "Deep Equilibrium Optical Flow Estimation", CVPR 2022).
 *
 * States come from two places:
 *
 *     forward   the solver saves states on its way (deq_solver_options.n_states or .state_index);
 *               each but the last is held and gets a tail of k damped steps            (1)
 *     tail      of  h_{t+1} = tau f(h_t) + (1 - tau) h_t,  t < k,  not only h_k but also every
 *               gap-th h_t, or chosen ones                                             (2)
 *
 * With k = 1 and tau = 1 a tail is the one-step gradient (JFB).  The last state has the gradient that
 * the options ask for: implicit, say.  See docs/math/implicit-gradients.md.
 */
#ifndef DEQ_SUPERVISION_H
#define DEQ_SUPERVISION_H

#include <deq/equilibrium.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Which states are returned.  Start from deq_supervision_defaults(). */
typedef struct deq_supervision {
    size_t struct_size;   /**< sizeof(deq_supervision) */
    const int *steps;     /**< [n_steps] k of the tail of each saved state, >= 1; NULL (default):
                               deq_equilibrium_options.steps for each */
    int n_steps;          /**< number of saved states, if steps is given */
    int gap;              /**< >= 1: every gap-th value of each tail; 0 (default): the last only */
    const int *locations; /**< [n_locations] also the values after so many steps, each >= 1; those
                               beyond the end of a tail are ignored; NULL (default): none */
    int n_locations;      /**< length of locations */
} deq_supervision;

/**
 * The default settings: the last value of each tail.
 *
 * @return a struct to change and pass to deq_equilibrium_supervised().
 */
DEQ_API deq_supervision deq_supervision_defaults(void);

/**
 * How many values of each state deq_equilibrium_supervised() gives.  The last value of a tail is
 * always among them, and none comes twice.
 *
 * @param options     NULL for the defaults.
 * @param supervision NULL for the defaults.
 * @return at least 1, if the options are valid.
 */
DEQ_API int deq_supervised_count(const deq_equilibrium_options *options,
                                 const deq_supervision *supervision);

/**
 * An equilibrium that returns several states; see deq_equilibrium_many() for the rest.
 *
 * With DEQ_GRADIENT_UNROLL there is one tail, the unrolling itself: forward.max_iter steps from z0.
 * With DEQ_GRADIENT_PHANTOM_UNROLL the last saved state, z*, has a tail too.  With the others the
 * last value is z*.
 *
 * @param g           a graph.
 * @param z           receives deq_supervised_count() * n_states values, earliest first; the states
 *                    of one equilibrium stand behind each other.
 * @param cell        builds f.
 * @param user        passed to cell.
 * @param z0          n_states start values.
 * @param n_states    1 to DEQ_MAX_STATES.
 * @param options     NULL for the defaults; copied.  forward.n_states or forward.state_index choose
 *                    the saved states.
 * @param supervision NULL for the defaults.
 * @param report      of the solve; NULL if not wanted.
 * @return DEQ_OK or the status of the graph.
 */
DEQ_API deq_status deq_equilibrium_supervised(deq_graph *g, deq_value *z, deq_cell_fn *cell,
                                              void *user, const deq_value *z0, int n_states,
                                              const deq_equilibrium_options *options,
                                              const deq_supervision *supervision,
                                              deq_equilibrium_report *report);

/** The weight of loss i of n, i = 0 the earliest. */
typedef enum deq_correction_law {
    DEQ_CORRECTION_EXPONENTIAL = 0, /**< factor^(n - i - 1) */
    DEQ_CORRECTION_LINEAR,          /**< 1 - factor (n - i - 1) / n + bias */
    DEQ_CORRECTION_CONSTANT         /**< factor */
} deq_correction_law;

/** Settings of deq_fixed_point_correction().  Start from deq_correction_defaults(). */
typedef struct deq_correction_options {
    size_t struct_size;     /**< sizeof(deq_correction_options) */
    deq_correction_law law; /**< default DEQ_CORRECTION_EXPONENTIAL */
    double factor;          /**< default 0.8 (exponential), 0.9 (linear), 1 (constant) */
    double bias;            /**< linear only; default 0 */
} deq_correction_options;

/**
 * The default settings of a law.
 *
 * @param law any of the laws.
 * @return a struct to change and pass to deq_fixed_point_correction().
 */
DEQ_API deq_correction_options deq_correction_defaults(deq_correction_law law);

/**
 * The weight of loss i of n.
 *
 * @param options NULL for the exponential law.
 * @param n       number of losses.
 * @param i       0 to n - 1, earliest first.
 * @return the weight; the last loss has weight 1 with the exponential law.
 */
DEQ_API double deq_correction_weight(const deq_correction_options *options, int n, int i);

/**
 * The weighted sum of the losses of several states,  sum_i weight(n, i) losses[i].
 *
 * @param g       a graph.
 * @param losses  n values of one floating type, usually scalars, earliest first.
 * @param n       at least 1.
 * @param options NULL for the exponential law.
 * @return the sum; invalid after DEQ_ERR_ARGUMENT, DEQ_ERR_SHAPE (losses of different types).
 */
DEQ_API deq_value deq_fixed_point_correction(deq_graph *g, const deq_value *losses, int n,
                                             const deq_correction_options *options);

#ifdef __cplusplus
}
#endif
#endif
