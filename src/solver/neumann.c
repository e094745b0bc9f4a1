/* SPDX-License-Identifier: MIT */
/*
 * Richardson's iteration.
 *
 *   r_i     = b - A u_i                    (1), computed by linear.c
 *   u_{i+1} = u_i + damping r_i            (2)
 *
 * With A = I - T, u_0 = 0 and damping 1, u_i is the Neumann series b + T b + ... + T^{i-1} b.
 * Converges if and only if every eigenvalue of I - damping A lies inside the unit circle.
 */
#include "solver/linear_sample.h"

static void begin(deq_linear_solver *s, int64_t k)
{
    void *x = deq_linear_row(s, DEQ_LINEAR_X, k);
    (void)deq_vector_combine(&s->v, x, s->o.damping, deq_linear_row(s, DEQ_LINEAR_R, k),
                             1); /* (2) */
    deq_linear_verify(s, k, s->samples[k].residual);
}

deq_linear_kind deq_neumann_kind(void)
{
    return (deq_linear_kind){
        .name = "neumann", .rows = DEQ_LINEAR_OWN, .stationary = true, .begin = begin
    };
}
