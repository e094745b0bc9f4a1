/* SPDX-License-Identifier: MIT */
/* What every test file includes first: cmocka, and the headers that cmocka wants before it. */
#ifndef DEQ_TESTS_SUPPORT_TEST_H
#define DEQ_TESTS_SUPPORT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* DEQ_TEST='softmax_*' in the environment runs the tests whose names match. */
__attribute__((constructor)) static void filter_tests(void)
{
    const char *pattern = getenv("DEQ_TEST");

    if (pattern) cmocka_set_test_filter(pattern);
}

#endif
