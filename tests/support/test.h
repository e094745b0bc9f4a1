/* SPDX-License-Identifier: MIT */
/* What every test file includes first: cmocka, and the headers that cmocka wants before it. */
#ifndef DEQ_TESTS_SUPPORT_TEST_H
#define DEQ_TESTS_SUPPORT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
