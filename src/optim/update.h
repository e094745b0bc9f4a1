/* SPDX-License-Identifier: MIT */
/*
 * The element-wise updates of optim.h, on one stretch of the vectors.
 *
 * Everything that is the same for all elements is computed once, in double, and stands in
 * deq_update; the kernels work in the dtype of the vectors.
 */
#ifndef DEQ_SRC_OPTIM_UPDATE_H
#define DEQ_SRC_OPTIM_UPDATE_H

#include <stdbool.h>
#include <stdint.h>

/* The scalars of a step, for one stretch:
 *
 *     theta <- keep theta                                                        (AdamW's decay)
 *     g     <- g + decay theta
 *     SGD:   m <- momentum m + g;  theta <- theta - rate (nesterov ? g + momentum m : m)
 *     Adam:  m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2
 *            theta <- theta - rate m / (root sqrt(v) + eps), or rate m if not adaptive
 */
typedef struct deq_update {
    double rate, decay, keep;
    double momentum;
    bool nesterov;
    double beta1, beta2, root, eps;
    bool adaptive;
} deq_update;

/* Elements first to first + count of the vectors; m NULL for SGD without momentum. */
typedef void deq_update_fn(const deq_update *u, void *theta, const void *g, void *m, void *v,
                           int64_t first, int64_t count);

deq_update_fn deq_sgd_f32, deq_sgd_f64, deq_adam_f32, deq_adam_f64;

/* A part of [0, length) for each of `parts`, in whole cache lines: [*first, *first + *count). */
void deq_update_part(int64_t *first, int64_t *count, int64_t length, int part, int parts);

#endif
