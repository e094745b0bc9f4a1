/* SPDX-License-Identifier: MIT */
#ifndef DEQ_TRAIN_SPECTRAL_H
#define DEQ_TRAIN_SPECTRAL_H

#include <deq/train/config.h>

/* The largest spectral radius of df/dz over the samples of a batch x [batch, input], already
 * normalised; NaN if a product was not finite. */
deq_status deq_evaluation_radius(double *radius, deq_context *ctx, const deq_config *config,
                                 deq_shape input, int64_t batch, deq_weights *weights,
                                 const float *x);

#endif
