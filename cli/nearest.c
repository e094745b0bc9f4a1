/* SPDX-License-Identifier: MIT */
/*
 * "Did you mean": the edit distance of Levenshtein (1966), row by row.
 *
 *     d(i, j) = min(d(i-1, j) + 1, d(i, j-1) + 1, d(i-1, j-1) + [a_i != b_j])
 */
#include "command.h"

#include <string.h>

#define LONGEST 63

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Of two strings no longer than LONGEST. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[LONGEST + 1], n = strlen(b);
    for (size_t j = 0; j <= n; j++) row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0]; /* d(i-1, j-1) */
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t changed = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = smaller(changed, smaller(row[j], row[j - 1]) + 1);
        }
    }
    return row[n];
}

const char *nearest_name(const char *wanted, const char *(*name)(const void *set, int i),
                         const void *set)
{
    const char *best = NULL, *known;
    size_t least = LONGEST;
    if (strlen(wanted) > LONGEST) return NULL;
    for (int i = 0; (known = name(set, i)); i++) {
        size_t d = strlen(known) > LONGEST ? LONGEST : edit_distance(wanted, known);
        if (d < least && 2 * d <= strlen(known)) {
            best = known;
            least = d;
        }
    }
    return best;
}
