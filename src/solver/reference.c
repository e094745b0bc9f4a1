/* SPDX-License-Identifier: MIT */
#include "solver/solver.h"
deq_status deq_reference_solve(deq_solver *s, void *z)
{
    (void)s;
    (void)z;
    return DEQ_ERR_UNSUPPORTED;
}
