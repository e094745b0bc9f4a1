/* SPDX-License-Identifier: MIT */
/*
 * The three loops of Winograd's convolution, compiled once per instruction set.  The mathematics
 * stands in winograd.c.
 *
 * A tile is 6 x 6 pixels of the input, which give 4 x 4 pixels of the output.  Its 36 transformed
 * pixels lie `plane` floats apart, each with all its channels.
 */
#ifndef DEQ_BACKEND_CPU_WINOGRAD_KERNELS_H
#define DEQ_BACKEND_CPU_WINOGRAD_KERNELS_H

#include "backend/cpu/dispatch.h"

#include <stdint.h>

enum {
    DEQ_WINOGRAD_IN = 6,
    DEQ_WINOGRAD_OUT = 4,
    DEQ_WINOGRAD_PLANES = DEQ_WINOGRAD_IN * DEQ_WINOGRAD_IN,
    DEQ_WINOGRAD_LANES = 16 /* there are at least so many channels */
};

/* The points of interpolation are 0, +-A, +-B and infinity.  Of the exact numbers around these two
 * they lose the fewest digits. */
#define DEQ_WINOGRAD_A 0.6875
#define DEQ_WINOGRAD_B 1.375

typedef struct deq_winograd_kernels {
    int64_t panel; /* output channels for which the weights lie together, at most 64 */
    /* v = B' d B for one tile.  at[i]: where pixel i of the tile begins in x, < 0 where there is
     * nothing but zeros. */
    void (*input)(const float *x, const int64_t *at, int64_t channels, float *v, int64_t plane);
    /* m = v u for `rows` tiles and one transformed pixel; v is rows x depth and m rows x width,
     * width a multiple of DEQ_WINOGRAD_LANES; u holds panels of the columns, each depth x columns. */
    void (*multiply)(const float *v, const float *u, int64_t rows, int64_t depth, int64_t width,
                     float *m);
    /* y = A' m A + bias (unless NULL) for one tile.  at[i]: where pixel i of the 4 x 4 begins in y,
     * < 0 where nothing is stored. */
    void (*output)(const float *m, int64_t plane, int64_t channels, const float *bias, float *y,
                   const int64_t *at);
} deq_winograd_kernels;

DEQ_ISA_DECLARE(deq_winograd_kernels, deq_winograd_kernels);

#endif
