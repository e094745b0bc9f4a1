/* SPDX-License-Identifier: MIT */
#include "base/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print(char text[DEQ_NUMBER_BYTES], char conversion, int digits, double value)
{
    const char format[] = { '%', '.', '*', conversion, '\0' };

    snprintf(text, DEQ_NUMBER_BYTES, format, digits, value); /* NOLINT: four known formats */
}

/* Whatever a locale puts between the digits, of however many bytes, is a point. */
static const char *put_point(char *text)
{
    char *to = text;

    for (const char *from = text; *from; from++) {
        if (strchr("0123456789+-einfa", *from))
            *to++ = *from;
        else if (to == text || to[-1] != '.')
            *to++ = '.';
    }
    *to = '\0';
    return text;
}

const char *deq_number_text(char text[DEQ_NUMBER_BYTES], char conversion, int digits, double value)
{
    print(text, conversion, digits, value);
    return put_point(text);
}

const char *deq_number_shortest(char text[DEQ_NUMBER_BYTES], double value)
{
    for (int digits = 1; digits <= 17; digits++) {
        print(text, 'g', digits, value);
        if (isnan(value) || strtod(text, NULL) == value) break; /* both in the same locale */
    }
    return put_point(text);
}
