/* SPDX-License-Identifier: MIT */
/**
 * @file
 * The version of libdeq.  It stands here once; the build reads it from this file.
 */
#ifndef DEQ_VERSION_H
#define DEQ_VERSION_H

#include <deq/export.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DEQ_VERSION_MAJOR 0 /**< changes when programs have to be changed */
#define DEQ_VERSION_MINOR 1 /**< changes when something is added          */
#define DEQ_VERSION_PATCH 0 /**< changes when something is mended         */

/** Counts the breaks of the binary interface; the shared library carries it in its name. */
#define DEQ_SOVERSION 0

/**
 * The version of the library that the program runs with, which may be newer than
 * the header it was compiled with.
 *
 * @return "major.minor.patch", a constant string.
 */
DEQ_API const char *deq_version(void);

#ifdef __cplusplus
}
#endif

#endif
