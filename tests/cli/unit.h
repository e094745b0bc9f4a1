/* SPDX-License-Identifier: MIT */
/* What the tests of the program's parts share: cmocka, and what a call prints. */
#ifndef DEQ_TESTS_CLI_UNIT_H
#define DEQ_TESTS_CLI_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the five above first. */
#include <cmocka.h>

/* cmocka's; in the program it is a message on stderr. */
#undef fail

#define assert_says(text, part)                                                                    \
    do {                                                                                           \
        if (!strstr(text, part)) print_error("'%s' is not in: %s\n", part, text);                  \
        assert_non_null(strstr(text, part));                                                       \
    } while (0)

#endif
