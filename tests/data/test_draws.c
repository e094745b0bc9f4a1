/* SPDX-License-Identifier: MIT */
#include "data/draws.h"

#include "data/data.h"

static void words_follow_the_blocks_of_the_generator(void **state)
{
    (void)state;
    const deq_philox_stream s = deq_philox_stream_of(3, 4, UINT64_C(0xd2) << 56 | 5);
    deq_draws d = deq_draws_of(3, 4, DEQ_DRAWS_MAZES, 5);

    for (uint64_t block = 0; block < 3; block++) {
        uint32_t words[4];
        deq_philox_words(words, &s, DEQ_PHILOX_HIGH, block);
        for (int i = 0; i < 4; i++) assert_int_equal(deq_draws_word(&d), words[i]);
    }
}

static void integers_are_uniform_whatever_the_bound(void **state)
{
    (void)state;
    static const int64_t bounds[] = { 1, 2, 3, 7, 64, 100 };

    for (size_t k = 0; k < COUNT_OF(bounds); k++) {
        deq_draws d = deq_draws_of(1, k, DEQ_DRAWS_ORDER, 0);
        int64_t counts[100] = { 0 };
        for (int i = 0; i < 20000; i++) {
            const int64_t x = deq_draws_below(&d, bounds[k]);
            assert_in_range(x, 0, bounds[k] - 1);
            counts[x]++;
        }
        if (bounds[k] > 1) assert_uniform(counts, bounds[k], "integers");
    }
}

/* 3 2^30 of 2^32 words: without drawing again a third of the results were half as likely. */
static void large_bounds_are_uniform_too(void **state)
{
    (void)state;
    static const int64_t bounds[] = { INT64_C(3) << 30, INT64_C(3) << 40, INT64_MAX };

    for (size_t k = 0; k < COUNT_OF(bounds); k++) {
        deq_draws d = deq_draws_of(2, k, DEQ_DRAWS_ORDER, 0);
        int64_t counts[6] = { 0 };
        for (int i = 0; i < 60000; i++) {
            const int64_t x = deq_draws_below(&d, bounds[k]);
            assert_true(x >= 0 && x < bounds[k]);
            counts[(int)((double)x / ((double)bounds[k] / 6))]++;
        }
        assert_uniform(counts, 6, "sixths");
    }
}

static void chances_come_true_as_often_as_they_should(void **state)
{
    (void)state;
    static const double chances[] = { 0, 0.1, 0.5, 1 };

    for (size_t k = 0; k < COUNT_OF(chances); k++) {
        deq_draws d = deq_draws_of(3, k, DEQ_DRAWS_MAZES, 0);
        int n = 0;
        for (int i = 0; i < 40000; i++) n += deq_draws_chance(&d, chances[k]);
        /* five deviations: sqrt(40000 / 4) = 100 at most */
        assert_true(n >= 40000 * chances[k] - 500 && n <= 40000 * chances[k] + 500);
        if (k == 0) assert_int_equal(n, 0);
        if (k == 3) assert_int_equal(n, 40000);
    }
}

static void any_other_key_gives_another_sequence(void **state)
{
    (void)state;
    uint32_t first[5];
    deq_draws d[5] = { deq_draws_of(1, 1, DEQ_DRAWS_MAZES, 1),
                       deq_draws_of(2, 1, DEQ_DRAWS_MAZES, 1),
                       deq_draws_of(1, 2, DEQ_DRAWS_MAZES, 1),
                       deq_draws_of(1, 1, DEQ_DRAWS_ORDER, 1),
                       deq_draws_of(1, 1, DEQ_DRAWS_MAZES, 2) };

    for (int i = 0; i < 5; i++) {
        first[i] = deq_draws_word(&d[i]);
        for (int j = 0; j < i; j++) assert_int_not_equal(first[i], first[j]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_follow_the_blocks_of_the_generator),
        cmocka_unit_test(integers_are_uniform_whatever_the_bound),
        cmocka_unit_test(large_bounds_are_uniform_too),
        cmocka_unit_test(chances_come_true_as_often_as_they_should),
        cmocka_unit_test(any_other_key_gives_another_sequence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
