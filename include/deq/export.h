/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Marks what libdeq exports.  Everything without DEQ_API stays inside the
 * library: it is compiled with hidden visibility, and a test accepts no exported
 * symbol without the prefix `deq_`.
 */
#ifndef DEQ_EXPORT_H
#define DEQ_EXPORT_H

/** Stands before each declaration of the public interface. */
#if defined(__GNUC__)
#define DEQ_API __attribute__((visibility("default")))
#else
#define DEQ_API
#endif

#endif
