/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Monotone operator equilibrium networks (Winston & Kolter, NeurIPS 2020):
 *
 *     z* = relu(W z* + U x + b),    W = (1 - m) I - A'A + B - B',    logits = V z* + c
 *
 * so that I - W is strongly monotone with constant m > 0, and the equilibrium exists and is unique.
 * Fully connected, or A, B, U convolutions (zeros around the image).  Solved by forward-backward or
 * Peaceman-Rachford splitting, each of which is itself a map with a fixed point (splitting.h): any
 * solver can drive it, and reports, saves and starts from the variable of the splitting, which is z
 * for forward-backward and u with z = relu(u) for Peaceman-Rachford.
 *
 * With its safe step forward-backward converges for sure by DEQ_PICARD, slowly where the problem is
 * ill conditioned; deep memories of accelerators may stagnate at its kinks (on published weights
 * Anderson's depth 20 did, depth 5 did not).  Peaceman-Rachford takes a tenth of the evaluations;
 * fully connected one costs the same, with convolutions it is a nested solve.
 *
 * Weights are called mon.core.A, .S (which is B), .m_raw, .U, .b, classifier.weight, .bias;
 * deq_model_load() also knows the names of Winston & Kolter's fully connected model.
 */
#ifndef DEQ_MODEL_MONOTONE_H
#define DEQ_MODEL_MONOTONE_H

#include <deq/nn.h>
#include <deq/splitting.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Zero fields are the defaults. */
typedef struct deq_monotone_options {
    bool convolution; /**< default: fully connected */
    int64_t width;    /**< features of the state, or channels; 0 means 100 (convolution: 64) */
    int64_t rank;     /**< rows of A (fully connected); 0 means width */
    int64_t kernel;   /**< of the convolutions: 1, 3, 5 or 7; 0 means 3 */
    int64_t pool;     /**< convolution: average pooling of z* before the head; 0 means 4 */
    bool learn_m;     /**< m = softplus(m_raw) + 1e-4 instead of `m`; default false */
    double m;         /**< strong monotonicity, > 0; 0 means 1 (learn_m: its initial value) */
    deq_splitting_method splitting; /**< default forward-backward */
    double alpha; /**< step of the splitting, > 0; 0 means 1 for Peaceman-Rachford; for
                            forward-backward a step that is safe: m / L^2 with a bound L of
                            |I - W| computed from the weights */
} deq_monotone_options;

#ifdef __cplusplus
}
#endif
#endif
