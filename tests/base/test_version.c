/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include <deq/version.h>
#include <stdio.h>

static void version_text_is_the_header_numbers(void **state)
{
    (void)state;
    char expected[64];

    snprintf(expected, sizeof(expected), "%d.%d.%d", DEQ_VERSION_MAJOR, DEQ_VERSION_MINOR,
             DEQ_VERSION_PATCH);
    assert_string_equal(deq_version(), expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_text_is_the_header_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
