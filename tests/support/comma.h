/* SPDX-License-Identifier: MIT */
/* A decimal comma for a test; see comma.locale. */
#ifndef DEQ_TESTS_SUPPORT_COMMA_H
#define DEQ_TESTS_SUPPORT_COMMA_H

#include <stdbool.h>

/* Numbers that the C library prints and reads have a comma from here on.  False where no such locale
 * could be made: the test is to be skipped, by name. */
bool test_comma(void);
/* And a point again. */
void test_point(void);

#endif
