/* SPDX-License-Identifier: MIT */
/*
 * Reads NumPy archives (.npz) of fixtures: zip files of .npy members, stored or deflated, whose
 * arrays are little-endian, C order, of floats, integers or booleans, all given as doubles.
 */
#ifndef DEQ_TESTS_SUPPORT_NPZ_H
#define DEQ_TESTS_SUPPORT_NPZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct npz npz;

typedef struct npz_array {
    int rank;
    int64_t dim[8];
    int64_t count; /* product of the extents */
    double *data;  /* belongs to the archive */
} npz_array;

/* NULL when the file cannot be read as an archive; `why` (may be NULL) then points to a reason. */
npz *npz_open(const char *path, const char **why);
void npz_close(npz *z);
/* Names as NumPy shows them, without ".npy". */
int npz_count(const npz *z);
const char *npz_name(const npz *z, int i);
/* NULL when there is no such array or its member is damaged. */
const npz_array *npz_find(npz *z, const char *name);
/* The array of a name made by printf, failing the cmocka test with that name when it is missing. */
const npz_array *npz_need(npz *z, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
