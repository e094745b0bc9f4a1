/* SPDX-License-Identifier: MIT */
/* Winograd's convolution of channels-last activations, for those who prefer speed to digits. */
#ifndef DEQ_BACKEND_CPU_WINOGRAD_H
#define DEQ_BACKEND_CPU_WINOGRAD_H

#include "backend/cpu/onednn.h"

/* Is it a forward convolution of the right kind (3 x 3, dense, no groups) and cheaper so?  By a count
 * of operations; nothing is measured.  Its epilogue is ignored. */
bool deq_winograd_pays(const deq_onednn_spec *spec);

/* Append the steps.  slot[DEQ_ONEDNN_B] holds the weights, which lie as `weights` says ([K, C, 3, 3],
 * the taps next to each other) and change at `weight_stage`; `reversed`: their taps run backwards.
 * A bias is all the epilogue there may be. */
deq_status deq_winograd_lower(deq_lowering *l, const deq_onednn_spec *spec,
                              const deq_onednn_tensor *weights, bool reversed, const int *slot,
                              deq_stage stage, deq_stage weight_stage, double flops);

#endif
