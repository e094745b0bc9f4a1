/* SPDX-License-Identifier: MIT */
/*
 * Counter-based random numbers: a draw is a function of its position, with no state to carry.
 *
 * Philox4x32-10 maps a 128-bit counter to 128 random bits under a 64-bit key:
 * Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
 */
#ifndef DEQ_BASE_PHILOX_H
#define DEQ_BASE_PHILOX_H

#include <stdint.h>

/* The block of four words that belongs to a counter. */
void deq_philox4x32(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]);

/*
 * The draws of one (seed, step, stream): two sequences of 64-bit positions, `high` and `low`, of
 * independent 32-bit words.  Position i of a sequence is a function of (seed, step, stream, i).
 */
typedef struct deq_philox_stream {
    uint32_t key[2];
    uint32_t nonce[2]; /* the upper half of every counter */
} deq_philox_stream;

/* The sequences: an element that wants 32 bits uses the first; one that wants more, both. */
enum { DEQ_PHILOX_HIGH = 0, DEQ_PHILOX_LOW = 1 };

deq_philox_stream deq_philox_stream_of(uint64_t seed, uint64_t step, uint64_t stream);

/* Words 4 * block to 4 * block + 3 of a sequence; block < 2^63. */
void deq_philox_words(uint32_t out[4], const deq_philox_stream *s, int sequence, uint64_t block);

#endif
