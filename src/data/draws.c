/* SPDX-License-Identifier: MIT */
/* Random draws one after the other. */
#include "data/draws.h"

deq_draws deq_draws_of(uint64_t seed, uint64_t step, deq_draws_use use, int64_t index)
{
    const uint64_t stream = (uint64_t)use << 56 | (uint64_t)index;

    return (deq_draws){ .stream = deq_philox_stream_of(seed, step, stream) };
}

uint32_t deq_draws_word(deq_draws *d)
{
    if (d->left == 0) {
        deq_philox_words(d->words, &d->stream, DEQ_PHILOX_HIGH, d->block++);
        d->left = 4;
    }
    return d->words[4 - d->left--];
}

/*
 * With w of 32 bits, floor(w n / 2^32) is nearly uniform; it is exactly so when those w are drawn
 * again whose product ends below 2^32 mod n (Lemire, "Fast random integer generation in an interval",
 * ACM TOMACS 2019).
 */
static uint32_t below_32(deq_draws *d, uint32_t n)
{
    uint64_t product = (uint64_t)deq_draws_word(d) * n;

    if ((uint32_t)product < n) {
        const uint32_t uneven = (uint32_t)(UINT64_C(0x100000000) % n);
        while ((uint32_t)product < uneven) product = (uint64_t)deq_draws_word(d) * n;
    }
    return (uint32_t)(product >> 32);
}

int64_t deq_draws_below(deq_draws *d, int64_t n)
{
    uint64_t mask = (uint64_t)n - 1, w;

    if (n <= UINT32_MAX) return below_32(d, (uint32_t)n);
    for (int shift = 1; shift < 64; shift *= 2) mask |= mask >> shift;
    do {
        w = (uint64_t)deq_draws_word(d) << 32;
        w = (w | deq_draws_word(d)) & mask;
    } while (w >= (uint64_t)n);
    return (int64_t)w;
}

bool deq_draws_chance(deq_draws *d, double p)
{
    return (double)deq_draws_word(d) < p * 0x1p32;
}
