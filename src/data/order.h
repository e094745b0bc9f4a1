/* SPDX-License-Identifier: MIT */
/* The order of an epoch. */
#ifndef DEQ_SRC_DATA_ORDER_H
#define DEQ_SRC_DATA_ORDER_H

#include <stdint.h>

/* A permutation of 0 to count - 1, each as likely as the others; a function of (seed, epoch). */
void deq_order_shuffle(int64_t *order, int64_t count, uint64_t seed, int64_t epoch);

#endif
