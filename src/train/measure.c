/* SPDX-License-Identifier: MIT */
#include "train/measure.h"

#include <math.h>

void deq_labels_from_logits(int32_t *label, const double *logits, int64_t batch, int64_t classes,
                            int64_t positions)
{
    for (int64_t b = 0; b < batch; b++)
        for (int64_t p = 0; p < positions; p++) {
            const double *l = logits + b * classes * positions + p;
            int64_t best = 0;
            for (int64_t k = 1; k < classes; k++)
                if (l[k * positions] > l[best * positions]) best = k;
            label[b * positions + p] = (int32_t)best;
        }
}

/* -log softmax(l)_t = log sum_k exp(l_k - l_t) */
static double cross_entropy(const double *l, int64_t classes, int64_t stride, int64_t t)
{
    double most = l[0], sum = 0;
    for (int64_t k = 1; k < classes; k++) most = fmax(most, l[k * stride]);
    for (int64_t k = 0; k < classes; k++) sum += exp(l[k * stride] - most);
    return log(sum) + most - l[t * stride];
}

void deq_score_add(score *s, const double *logits, const int32_t *label, const int32_t *target,
                   int64_t count, int64_t classes, int64_t positions)
{
    for (int64_t b = 0; b < count; b++) {
        bool right = true;
        for (int64_t p = 0; p < positions; p++) {
            int32_t t = target[b * positions + p];
            if (t == DEQ_TARGET_IGNORE) continue;
            bool hit = label[b * positions + p] == t;
            right = right && hit;
            s->n_positions++;
            s->n_positions_right += hit;
            s->loss_sum += cross_entropy(logits + b * classes * positions + p, classes, positions,
                                         t);
        }
        s->n_examples++;
        s->n_right += right;
    }
}
