/* SPDX-License-Identifier: MIT */
/* Numbers in text files, whatever the program's locale. */
#ifndef DEQ_SRC_IO_NUMBER_H
#define DEQ_SRC_IO_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The whole text is a decimal integer that fits. */
bool deq_number_i64(int64_t *value, const char *text, size_t length);
/* The whole text is a finite decimal number, of at most 127 characters. */
bool deq_number_f64(double *value, const char *text, size_t length);

#endif
