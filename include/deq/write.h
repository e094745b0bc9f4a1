/* SPDX-License-Identifier: MIT */
/**
 * @file
 * How the library hands text to its caller.
 */
#ifndef DEQ_WRITE_H
#define DEQ_WRITE_H

#include <stdbool.h>
#include <stddef.h>

/** Receives text piece by piece; returns false to stop. */
typedef bool deq_write_fn(void *user, const char *text, size_t length);

#endif
