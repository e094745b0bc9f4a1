/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "base/philox.h"

#include <string.h>

/* kat_vectors of Random123, the implementation by the authors of the paper. */
static void philox_gives_the_published_vectors(void **state)
{
    (void)state;
    static const struct known_answer {
        uint32_t counter[4], key[2], out[4];
    } cases[] = {
        { { 0, 0, 0, 0 }, { 0, 0 }, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
        { { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff },
          { 0xffffffff, 0xffffffff },
          { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
        { { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 },
          { 0xa4093822, 0x299f31d0 },
          { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t out[4];
        deq_philox4x32(out, cases[i].counter, cases[i].key);
        assert_memory_equal(out, cases[i].out, sizeof out);
    }
}

static void every_bit_of_seed_step_and_stream_makes_another_stream(void **state)
{
    (void)state;
    const deq_philox_stream origin = deq_philox_stream_of(1, 2, 3);
    for (int bit = 0; bit < 64; bit++) {
        const uint64_t flip = UINT64_C(1) << bit;
        const deq_philox_stream other[] = { deq_philox_stream_of(1 ^ flip, 2, 3),
                                            deq_philox_stream_of(1, 2 ^ flip, 3),
                                            deq_philox_stream_of(1, 2, 3 ^ flip) };
        for (int i = 0; i < 3; i++) assert_memory_not_equal(&other[i], &origin, sizeof origin);
    }
}

static void sequences_and_blocks_of_a_stream_differ(void **state)
{
    (void)state;
    static const uint64_t blocks[] = { 0, 1, UINT64_C(1) << 31, UINT64_C(1) << 32,
                                       (UINT64_C(1) << 63) - 1 };
    enum { N_BLOCKS = sizeof blocks / sizeof *blocks, N = 2 * N_BLOCKS };
    const deq_philox_stream s = deq_philox_stream_of(7, 0, 0);
    uint32_t words[N][4];
    for (size_t i = 0; i < N_BLOCKS; i++) {
        deq_philox_words(words[2 * i], &s, DEQ_PHILOX_HIGH, blocks[i]);
        deq_philox_words(words[2 * i + 1], &s, DEQ_PHILOX_LOW, blocks[i]);
    }
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < i; j++) assert_memory_not_equal(words[i], words[j], sizeof words[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_gives_the_published_vectors),
        cmocka_unit_test(every_bit_of_seed_step_and_stream_makes_another_stream),
        cmocka_unit_test(sequences_and_blocks_of_a_stream_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
