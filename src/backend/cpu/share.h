/* SPDX-License-Identifier: MIT */
/* Steps that prepare data (packing weights) and serve everybody who wants the same. */
#ifndef DEQ_BACKEND_CPU_SHARE_H
#define DEQ_BACKEND_CPU_SHARE_H

#include "graph/lower.h"

/* Whether the state of a step is what `key` asks for. */
typedef bool deq_cpu_same_fn(const void *self, const void *key);

/* The slot written by a step of `stage` that runs `run`, reads slot `from` first and is the same as
 * `key`; -1 if there is none yet. */
int deq_cpu_find_step(const deq_lowering *l, deq_stage stage, deq_step_fn *run, int from,
                      deq_cpu_same_fn *same, const void *key);

#endif
