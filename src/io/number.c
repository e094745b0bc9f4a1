/* SPDX-License-Identifier: MIT */
/* strtod() rounds correctly but reads the locale's decimal point, and more than decimal numbers. */
#include "io/number.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool deq_number_i64(int64_t *value, const char *text, size_t length)
{
    const bool negative = length > 0 && text[0] == '-';
    size_t i = length > 0 && (text[0] == '-' || text[0] == '+') ? 1 : 0;
    int64_t n = 0; /* minus the value, whose range is the larger one */

    if (i == length) return false;
    for (; i < length; i++) {
        if (!is_digit(text[i]) || n < (INT64_MIN + (text[i] - '0')) / 10) return false;
        n = 10 * n - (text[i] - '0');
    }
    if (!negative && n == INT64_MIN) return false;
    *value = negative ? n : -n;
    return true;
}

/* Optional sign, digits with at most one point, optional exponent. */
static bool is_decimal(const char *text, size_t length)
{
    size_t i = 0, digits = 0;

    if (i < length && (text[i] == '-' || text[i] == '+')) i++;
    for (; i < length && is_digit(text[i]); i++) digits++;
    if (i < length && text[i] == '.')
        for (i++; i < length && is_digit(text[i]); i++) digits++;
    if (digits == 0) return false;
    if (i == length) return true;
    if (text[i] != 'e' && text[i] != 'E') return false;
    i++;
    if (i < length && (text[i] == '-' || text[i] == '+')) i++;
    if (i == length) return false;
    while (i < length && is_digit(text[i])) i++;
    return i == length;
}

bool deq_number_f64(double *value, const char *text, size_t length)
{
    const char *point = localeconv()->decimal_point;
    char copy[160], *to = copy;

    if (length > 127 || !is_decimal(text, length)) return false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '.') {
            const size_t n = strlen(point);
            if (n > 16) return false;
            memcpy(to, point, n);
            to += n;
        } else {
            *to++ = text[i];
        }
    }
    *to = '\0';
    *value = strtod(copy, NULL);
    return isfinite(*value);
}
