/* SPDX-License-Identifier: MIT */
/* Kernel families that are not written yet: weak definitions that decline, until the real ones are linked. */
#include "backend/cpu/cpu.h"
static bool none(const deq_lowering *l, const deq_node *n)
{
    (void)l, (void)n;
    return false;
}
#define PENDING(name) __attribute__((weak)) const deq_cpu_kernel name = { .supports = none }
PENDING(deq_cpu_normalize);
PENDING(deq_cpu_normalize_tangent);
