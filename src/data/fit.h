/* SPDX-License-Identifier: MIT */
/* An image of any size as one of a given size. */
#ifndef DEQ_SRC_DATA_FIT_H
#define DEQ_SRC_DATA_FIT_H

#include "base/context.h"

/* Planes [channels, from_height, from_width] become [channels, height, width]: scaled so that they
 * cover that, and cut in the middle.  An image of the right size is copied. */
deq_status deq_fit_image(float *out, deq_context *ctx, const float *in, int64_t channels,
                         int64_t from_height, int64_t from_width, int64_t height, int64_t width);

#endif
