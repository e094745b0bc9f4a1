/* SPDX-License-Identifier: MIT */
/* What logits say: labels, right answers, cross entropy. */
#ifndef DEQ_TRAIN_MEASURE_H
#define DEQ_TRAIN_MEASURE_H

#include <deq/data.h>

typedef struct score {
    int64_t n_examples, n_right;            /* right: in every position that counts */
    int64_t n_positions, n_positions_right; /* those that count */
    double loss_sum;                        /* of the cross entropies of these positions */
} score;

/* label [batch, P] = the first largest of logits [batch, K, P]. */
void deq_labels_from_logits(int32_t *label, const double *logits, int64_t batch, int64_t classes,
                            int64_t positions);

/* Add `count` examples to a score.  logits [count, K, P], label and target [count, P]. */
void deq_score_add(score *s, const double *logits, const int32_t *label, const int32_t *target,
                   int64_t count, int64_t classes, int64_t positions);

#endif
