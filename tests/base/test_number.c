/* SPDX-License-Identifier: MIT */
/* Numbers as text: the same bytes in every locale. */
#include "base/number.h"
#include "support/comma.h"
#include "support/test.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void check_texts(void)
{
    char text[DEQ_NUMBER_BYTES];

    assert_string_equal(deq_number_text(text, 'f', 2, -1234.5), "-1234.50");
    assert_string_equal(deq_number_text(text, 'g', 4, 1.25e-9), "1.25e-09");
    assert_string_equal(deq_number_text(text, 'e', 1, 12), "1.2e+01");
    assert_string_equal(deq_number_text(text, 'f', 0, 7), "7");
    assert_string_equal(deq_number_text(text, 'g', 3, -INFINITY), "-inf");
    assert_int_equal(strlen(deq_number_text(text, 'f', 3, -DBL_MAX)), 1 + 309 + 4);
    assert_string_equal(deq_number_shortest(text, 0.1), "0.1");
    assert_string_equal(deq_number_shortest(text, 1e23), "1e+23");
    assert_string_equal(deq_number_shortest(text, 0.1 + 0.2), "0.30000000000000004");
    assert_string_equal(deq_number_shortest(text, NAN), "nan");
}

static void numbers_have_a_point(void **state)
{
    (void)state;
    check_texts();
}

static void numbers_have_a_point_where_the_locale_has_a_comma(void **state)
{
    (void)state;
    if (!test_comma()) {
        print_message("no locale with a decimal comma\n");
        skip();
    }
    check_texts();
    test_point();
}

static void the_shortest_text_reads_back_to_the_same_bits(void **state)
{
    (void)state;
    for (int i = 0; i < 2000; i++) {
        char text[DEQ_NUMBER_BYTES];
        double x = ldexp(sin(i + 1.0), i % 600 - 300);
        double back = strtod(deq_number_shortest(text, x), NULL);
        assert_memory_equal(&back, &x, sizeof x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_have_a_point),
        cmocka_unit_test(numbers_have_a_point_where_the_locale_has_a_comma),
        cmocka_unit_test(the_shortest_text_reads_back_to_the_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
