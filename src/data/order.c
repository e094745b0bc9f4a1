/* SPDX-License-Identifier: MIT */
/* Fisher & Yates' shuffle (Durstenfeld 1964), with draws that belong to (seed, epoch). */
#include "data/order.h"

#include "data/draws.h"

void deq_order_shuffle(int64_t *order, int64_t count, uint64_t seed, int64_t epoch)
{
    deq_draws draws = deq_draws_of(seed, (uint64_t)epoch, DEQ_DRAWS_ORDER, 0);

    for (int64_t i = 0; i < count; i++) order[i] = i;
    for (int64_t i = count - 1; i > 0; i--) {
        const int64_t j = deq_draws_below(&draws, i + 1), kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
}
