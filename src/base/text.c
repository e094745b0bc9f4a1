/* SPDX-License-Identifier: MIT */
#include "base/text.h"

#include <stdio.h>

#define MAX_NAME 128 /* longer names are compared by their beginning */

void deq_text_add(deq_text *t, const char *format, ...)
{
    if (t->length + 1 >= t->capacity) return;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->data + t->length, t->capacity - t->length, format, args);
    va_end(args);
    if (n < 0) return;
    size_t room = t->capacity - t->length - 1;
    t->length += (size_t)n < room ? (size_t)n : room;
}

static size_t name_length(const char *s)
{
    size_t n = 0;
    while (n < MAX_NAME && s[n]) n++;
    return n;
}

size_t deq_edit_distance(const char *a, const char *b)
{
    size_t n = name_length(a), m = name_length(b);
    size_t row[MAX_NAME + 1]; /* distances from a[0..i) to every prefix of b */
    for (size_t j = 0; j <= m; j++) row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t replace = diagonal + (a[i - 1] != b[j - 1]);
            size_t change = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = replace < change ? replace : change;
        }
    }
    return row[m];
}

const char *deq_nearest_name(const char *wanted, const char *(*name)(const void *set, int i),
                             const void *set, int count)
{
    const char *nearest = NULL;
    size_t least = name_length(wanted) / 2 + 1;
    for (int i = 0; i < count; i++) {
        size_t d = deq_edit_distance(wanted, name(set, i));
        if (d < least) {
            least = d;
            nearest = name(set, i);
        }
    }
    return nearest;
}
