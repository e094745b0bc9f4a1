/* SPDX-License-Identifier: MIT */
/* Text for people: safe, wrapped, and numbers with their units. */
#ifndef DEQ_CLI_TEXT_H
#define DEQ_CLI_TEXT_H

#include "command.h"

/* Text that grows; put_...() end the program without memory. */
typedef struct text_buffer {
    char *bytes; /* terminated; NULL while empty */
    size_t size, capacity;
} text_buffer;

void put(text_buffer *t, const char *s);
void put_bytes(text_buffer *t, const char *s, size_t n);
void put_format(text_buffer *t, const char *format, ...) CLI_PRINTF(2, 3);
void text_free(text_buffer *t);
/* t's text, "" while it is empty. */
const char *text_string(const text_buffer *t);

/* Of a string that may come from anywhere: control characters and bytes that are no UTF-8 as \xNN. */
void put_safe(text_buffer *t, const char *s);
/* Code points of UTF-8. */
size_t text_columns(const char *s);

/* Paragraphs, wrapped to `width` columns and indented; see command.description. */
void put_wrapped(text_buffer *t, const char *s, int indent, int width);

/* "1.5 KiB", "12 B"; "3.2 s", "4 min 05 s", "2 h 03 min".  Return the buffer. */
#define HUMAN_CAPACITY 32
const char *human_bytes(char buffer[HUMAN_CAPACITY], uint64_t bytes);
const char *human_seconds(char buffer[HUMAN_CAPACITY], double seconds);

/* malloc() and realloc() that end the program when there is no memory. */
void *must_alloc(size_t bytes);
void *must_realloc(void *old, size_t bytes);

#endif
