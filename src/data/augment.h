/* SPDX-License-Identifier: MIT */
/* What happens to an example on its way into a batch: deq_augment. */
#ifndef DEQ_SRC_DATA_AUGMENT_H
#define DEQ_SRC_DATA_AUGMENT_H

#include "base/context.h"
#include "data/draws.h"

#include <deq/data.h>

/* Whether the settings are sound, and fit examples of this form. */
deq_status deq_augment_check(deq_context *ctx, const deq_augment *a, const deq_example_form *form);

/* Whether pixels move, so that deq_augment_move() needs the example in another place. */
bool deq_augment_moves(const deq_augment *a);

/* Crop and mirror: `input` and `target` from others. */
void deq_augment_move(float *input, int32_t *target, const deq_augment *a,
                      const deq_example_form *form, const float *from_input,
                      const int32_t *from_target, deq_draws *draws);
/* Cut out and normalise, in place. */
void deq_augment_change(float *input, const deq_augment *a, const deq_example_form *form,
                        deq_draws *draws);

#endif
