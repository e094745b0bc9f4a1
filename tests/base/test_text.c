/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "base/text.h"

#include <string.h>

static void text_is_appended(void **state)
{
    (void)state;
    char data[32] = "";
    deq_text t = { data, sizeof data, 0 };
    deq_text_add(&t, "%s", "one");
    deq_text_add(&t, ", %d", 2);
    deq_text_add(&t, "%s", "");
    assert_string_equal(data, "one, 2");
    assert_int_equal(t.length, 6);
}

static void text_that_does_not_fit_is_cut_and_terminated(void **state)
{
    (void)state;
    for (size_t capacity = 1; capacity < 12; capacity++) {
        char data[16];
        memset(data, '#', sizeof data);
        deq_text t = { data, capacity, 0 };
        data[0] = '\0';
        deq_text_add(&t, "%s", "abcdef");
        deq_text_add(&t, "%s", "ghijkl");
        size_t expected = capacity - 1;
        assert_int_equal(t.length, expected);
        assert_int_equal(strlen(data), expected);
        assert_memory_equal(data, "abcdefghijkl", expected);
        assert_int_equal(data[capacity], '#'); /* nothing beyond */
    }
}

static void no_room_takes_no_text(void **state)
{
    (void)state;
    deq_text t = { NULL, 0, 0 };
    deq_text_add(&t, "%s", "abc");
    assert_int_equal(t.length, 0);
}

static const struct distance_case {
    const char *a, *b;
    size_t distance;
} distance_cases[] = {
    { "", "", 0 },
    { "a", "", 1 },
    { "abc", "abc", 0 },
    { "abc", "abd", 1 },
    { "abc", "ab", 1 },
    { "abc", "xabc", 1 },
    { "ab", "ba", 2 },
    { "kitten", "sitting", 3 },
    { "saturday", "sunday", 3 },
    { "weight", "wieght", 2 },
    { "conv.weight", "norm.bias", 8 },
};

static void edit_distance_is_symmetric_and_known(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof distance_cases / sizeof *distance_cases; i++) {
        const struct distance_case *c = &distance_cases[i];
        if (deq_edit_distance(c->a, c->b) != c->distance)
            fail_msg("'%s' to '%s': %zu", c->a, c->b, deq_edit_distance(c->a, c->b));
        assert_int_equal(deq_edit_distance(c->b, c->a), c->distance);
    }
}

static void long_names_are_compared_by_their_beginning(void **state)
{
    (void)state;
    char a[1001], b[1001];
    memset(a, 'a', sizeof a);
    memset(b, 'a', sizeof b);
    a[1000] = b[1000] = '\0';
    b[900] = 'b';
    assert_int_equal(deq_edit_distance(a, b), 0);
    b[0] = 'b';
    assert_int_equal(deq_edit_distance(a, b), 1);
    assert_int_equal(deq_edit_distance(a, ""), 128);
}

static const char *name_of(const void *set, int i)
{
    return ((const char *const *)set)[i];
}

static const char *nearest(const char *wanted, const char *const *names, int n)
{
    return deq_nearest_name(wanted, name_of, names, n);
}

static void the_nearest_name_is_found(void **state)
{
    (void)state;
    const char *const names[] = { "weight", "bias", "gamma", "beta" };
    assert_string_equal(nearest("wieght", names, 4), "weight");
    assert_string_equal(nearest("bais", names, 4), "bias");
    assert_string_equal(nearest("gama", names, 4), "gamma");
    assert_string_equal(nearest("beta2", names, 4), "beta");
    assert_string_equal(nearest("beta", names, 4), "beta");
}

static void the_first_of_equally_near_names_is_found(void **state)
{
    (void)state;
    const char *const names[] = { "w1", "w2", "w3" };
    assert_string_equal(nearest("w9", names, 3), "w1");
}

static void names_that_are_far_are_not_suggested(void **state)
{
    (void)state;
    const char *const names[] = { "weight", "bias" };
    assert_null(nearest("embedding", names, 2));
    assert_null(nearest("x", names, 2));
    assert_null(nearest("", names, 2));
    assert_null(nearest("weight", names, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_appended),
        cmocka_unit_test(text_that_does_not_fit_is_cut_and_terminated),
        cmocka_unit_test(no_room_takes_no_text),
        cmocka_unit_test(edit_distance_is_symmetric_and_known),
        cmocka_unit_test(long_names_are_compared_by_their_beginning),
        cmocka_unit_test(the_nearest_name_is_found),
        cmocka_unit_test(the_first_of_equally_near_names_is_found),
        cmocka_unit_test(names_that_are_far_are_not_suggested),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
