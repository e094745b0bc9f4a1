/* SPDX-License-Identifier: MIT */
/* Philox4x32-10, and streams of it. */
#include "base/philox.h"

/* Table 2 of the paper: the multipliers, and the Weyl constants that move the key each round. */
#define MULTIPLIER_0 UINT32_C(0xD2511F53)
#define MULTIPLIER_1 UINT32_C(0xCD9E8D57)
#define WEYL_0 UINT32_C(0x9E3779B9) /* golden ratio */
#define WEYL_1 UINT32_C(0xBB67AE85) /* sqrt(3) - 1 */
#define ROUNDS 10

void deq_philox4x32(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t p0 = (uint64_t)MULTIPLIER_0 * c0, p1 = (uint64_t)MULTIPLIER_1 * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += WEYL_0;
        k1 += WEYL_1;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/*
 * Seed, step, stream and position have more bits than one counter and key.  So the key of a stream
 * is itself a draw, keyed by the seed, at the counter (step, stream).
 */
deq_philox_stream deq_philox_stream_of(uint64_t seed, uint64_t step, uint64_t stream)
{
    const uint32_t key[2] = { (uint32_t)seed, (uint32_t)(seed >> 32) };
    const uint32_t counter[4] = { (uint32_t)step, (uint32_t)(step >> 32), (uint32_t)stream,
                                  (uint32_t)(stream >> 32) };
    uint32_t w[4];
    deq_philox4x32(w, counter, key);
    return (deq_philox_stream){ .key = { w[0], w[1] }, .nonce = { w[2], w[3] } };
}

void deq_philox_words(uint32_t out[4], const deq_philox_stream *s, int sequence, uint64_t block)
{
    const uint32_t counter[4] = { (uint32_t)block,
                                  (uint32_t)(block >> 32) | (uint32_t)sequence << 31, s->nonce[0],
                                  s->nonce[1] };
    deq_philox4x32(out, counter, s->key);
}
