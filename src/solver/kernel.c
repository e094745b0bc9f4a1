/* SPDX-License-Identifier: MIT */
/*
 * The kernels, compiled once per instruction set.
 *
 * Eight elements at a time, as doubles, in the vector types of GNU C: loops over lanes written out
 * would leave it to each compiler whether to peel for alignment, and then the order of a sum would
 * depend on an address.
 */
#include "solver/kernel.h"

#include <string.h>

#if defined(__GNUC__)
#pragma GCC diagnostic ignored "-Wpsabi" /* no vector leaves this file */
#endif

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

enum { LANES = 8 };
typedef double wide __attribute__((vector_size(LANES * sizeof(double))));
typedef float narrow_f32 __attribute__((vector_size(LANES * sizeof(float))));
typedef double narrow_f64 __attribute__((vector_size(LANES * sizeof(double))));

typedef float full_f32 __attribute__((vector_size(64)));
typedef double full_f64 __attribute__((vector_size(64)));

static inline double add_lanes(wide v)
{
    return ((v[0] + v[4]) + (v[1] + v[5])) + ((v[2] + v[6]) + (v[3] + v[7]));
}

#define T float
#define NAME(f) f##_f32
#include "solver/kernel_real.h"
#undef T
#undef NAME

#define T double
#define NAME(f) f##_f64
#include "solver/kernel_real.h"

extern const deq_kernels JOIN(deq_solver_kernels, DEQ_ISA_SUFFIX)[2];
const deq_kernels JOIN(deq_solver_kernels, DEQ_ISA_SUFFIX)[2] = {
    { sizeof(float), residual_f32, dots_f32, dots_two_f32, neighbours_f32, combine_f32, advance_f32,
      distance_f32 },
    { sizeof(double), residual_f64, dots_f64, dots_two_f64, neighbours_f64, combine_f64,
      advance_f64, distance_f64 },
};
