/* SPDX-License-Identifier: MIT */
/* Labels, right answers and cross entropies from logits. */
#include "support/test.h"
#include "train/measure.h"

#include <math.h>

static void the_label_is_the_first_largest_logit(void **state)
{
    (void)state;
    /* [1, 3, 2]: position 0 has logits 1, 5, 2; position 1 has 4, 4, 0 */
    const double logits[] = { 1, 4, 5, 4, 2, 0 };
    int32_t label[2];
    deq_labels_from_logits(label, logits, 1, 3, 2);
    assert_int_equal(label[0], 1);
    assert_int_equal(label[1], 0);
}

static void an_example_is_right_when_all_its_positions_are(void **state)
{
    (void)state;
    const double logits[] = { 0, 0, 0, 1, 1, 1, /**/ 0, 0, 0, 1, 1, 1 }; /* [2, 2, 3]: all 1 */
    const int32_t label[] = { 1, 1, 1, 1, 1, 1 }, target[] = { 1, 1, 1, 1, 0, 1 };
    score s = { 0 };
    deq_score_add(&s, logits, label, target, 2, 2, 3);
    assert_int_equal(s.n_examples, 2);
    assert_int_equal(s.n_right, 1);
    assert_int_equal(s.n_positions, 6);
    assert_int_equal(s.n_positions_right, 5);
    /* five positions of log(1 + e^-1), one of log(1 + e) */
    assert_true(fabs(s.loss_sum - (5 * log1p(exp(-1.0)) + log1p(exp(1.0)))) < 1e-14);
}

static void positions_that_are_ignored_count_nowhere(void **state)
{
    (void)state;
    const double logits[] = { 0, 0, 1, 1 };
    const int32_t label[] = { 1, 1 }, target[] = { 1, DEQ_TARGET_IGNORE };
    score s = { 0 };
    deq_score_add(&s, logits, label, target, 1, 2, 2);
    assert_int_equal(s.n_positions, 1);
    assert_int_equal(s.n_right, 1);
}

static void large_logits_do_not_overflow(void **state)
{
    (void)state;
    const double logits[] = { 1e4, -1e4 };
    const int32_t label[] = { 0 }, target[] = { 1 };
    score s = { 0 };
    deq_score_add(&s, logits, label, target, 1, 2, 1);
    assert_true(s.loss_sum == 2e4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_label_is_the_first_largest_logit),
        cmocka_unit_test(an_example_is_right_when_all_its_positions_are),
        cmocka_unit_test(positions_that_are_ignored_count_nowhere),
        cmocka_unit_test(large_logits_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
