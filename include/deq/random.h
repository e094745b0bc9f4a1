/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Random numbers for arrays of the caller: initial values, test data.  Random values inside a graph
 * are made by op/random.h from the same generator.
 *
 * The generator has no state: element i of an array is a function of (seed, step, stream, i) alone.
 * It is Philox4x32-10 (Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3",
 * SC 2011).  Both precisions see the same draws: an f32 uniform is the f64 one cut to 24 bits, an
 * f32 normal the f64 one rounded.
 */
#ifndef DEQ_RANDOM_H
#define DEQ_RANDOM_H

#include <deq/type.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Which draws: any change of any field gives an independent sequence. */
typedef struct deq_random_key {
    uint64_t seed;   /**< of the experiment */
    uint64_t step;   /**< of training; 0 for initial values */
    uint64_t stream; /**< which array: a layer's or parameter's number */
} deq_random_key;

/**
 * Fill an array with independent draws, uniform in [low, high):  low + (high - low) u.
 *
 * u has 24 random bits in f32 and 53 in f64; high itself can occur only by rounding of the formula,
 * not for low = 0, high = 1.
 *
 * @param data  receives count elements.
 * @param dtype DEQ_F32 or DEQ_F64.
 * @param count at least 0.
 * @param key   which draws.
 * @param low   finite.
 * @param high  finite, at least low.
 * @return DEQ_OK, DEQ_ERR_DTYPE, DEQ_ERR_ARGUMENT (count or bounds); data is untouched then.
 */
DEQ_API deq_status deq_draw_uniform(void *data, deq_dtype dtype, int64_t count, deq_random_key key,
                                    double low, double high);

/**
 * Fill an array with independent normal draws of the given mean and standard deviation, by the
 * transform of Box & Muller (1958); no draw is further than 8.6 deviations from the mean.
 *
 * @param data      receives count elements.
 * @param dtype     DEQ_F32 or DEQ_F64.
 * @param count     at least 0.
 * @param key       which draws.
 * @param mean      finite.
 * @param deviation finite, at least 0.
 * @return DEQ_OK, DEQ_ERR_DTYPE, DEQ_ERR_ARGUMENT (count, mean or deviation); data is untouched
 *         then.
 */
DEQ_API deq_status deq_draw_normal(void *data, deq_dtype dtype, int64_t count, deq_random_key key,
                                   double mean, double deviation);

#ifdef __cplusplus
}
#endif
#endif
