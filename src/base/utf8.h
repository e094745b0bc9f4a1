/* SPDX-License-Identifier: MIT */
/* UTF-8 (RFC 3629), one character after the other. */
#ifndef DEQ_BASE_UTF8_H
#define DEQ_BASE_UTF8_H

#include <stdint.h>

#define DEQ_UTF8_BAD UINT32_MAX

/*
 * The character at *at, which moves behind it; 0 at the end of the text, where *at stays.
 * DEQ_UTF8_BAD for one byte that begins no character: no surrogates, nothing overlong, at most
 * U+10FFFF.
 */
uint32_t deq_utf8_next(const char **at);

#endif
