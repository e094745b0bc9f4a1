/* SPDX-License-Identifier: MIT */
#include "data/order.h"

#include "data/data.h"

/* The place of a permutation of 4 in some numbering. */
static int number_of(const int64_t p[4])
{
    int number = 0;

    for (int i = 0; i < 4; i++) {
        int smaller = 0;
        for (int j = i + 1; j < 4; j++) smaller += p[j] < p[i];
        number = number * (4 - i) + smaller;
    }
    return number;
}

static void all_permutations_are_equally_likely(void **state)
{
    (void)state;
    int64_t counts[24] = { 0 }, order[4];

    for (int epoch = 0; epoch < 4800; epoch++) {
        deq_order_shuffle(order, 4, 7, epoch);
        counts[number_of(order)]++;
    }
    assert_uniform(counts, 24, "permutations over epochs");
}

static void each_index_comes_once_and_epochs_differ(void **state)
{
    (void)state;
    enum { N = 1000 };
    static int64_t order[3][N];

    deq_order_shuffle(order[0], N, 1, 0);
    deq_order_shuffle(order[1], N, 1, 1);
    deq_order_shuffle(order[2], N, 2, 0);
    for (int k = 0; k < 3; k++) {
        bool seen[N] = { false };
        int fixed = 0, same = 0;
        for (int i = 0; i < N; i++) {
            assert_in_range(order[k][i], 0, N - 1);
            assert_false(seen[order[k][i]]);
            seen[order[k][i]] = true;
            fixed += order[k][i] == i;
            same += order[k][i] == order[(k + 1) % 3][i];
        }
        /* Poisson with mean 1: more than 12 has probability 1e-10 */
        assert_true(fixed <= 12 && same <= 12);
    }
    deq_order_shuffle(order[1], N, 1, 0);
    assert_memory_equal(order[0], order[1], sizeof order[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_permutations_are_equally_likely),
        cmocka_unit_test(each_index_comes_once_and_epochs_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
