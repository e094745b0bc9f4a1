/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "support/comma.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool test_comma(void)
{
    static const char *const names[] = { "deq_COMMA", "de_DE.UTF-8", "fr_FR.UTF-8" };
    const char *folder = getenv("DEQ_TEST_LOCALES");
    char text[16];

    if (folder) setenv("LOCPATH", folder, 1);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!setlocale(LC_NUMERIC, names[i])) continue;
        snprintf(text, sizeof text, "%.1f", 0.5);
        if (strcmp(text, "0,5") == 0) return true;
    }
    test_point();
    return false;
}

void test_point(void)
{
    setlocale(LC_NUMERIC, "C");
    unsetenv("LOCPATH");
}
