/* SPDX-License-Identifier: MIT */
/*
 * Text that grows: what pages and plots are written to before a caller gets it.
 *
 * A failure is kept, and what follows is ignored.  Numbers never depend on the locale.
 */
#ifndef DEQ_SRC_REPORT_PAGE_H
#define DEQ_SRC_REPORT_PAGE_H

#include "base/context.h"
#include "base/number.h"

#include <deq/write.h>

typedef struct deq_page {
    deq_context *ctx;
    char *data;
    size_t length, capacity;
    deq_status status;
} deq_page;

void deq_page_free(deq_page *p);
void deq_page_bytes(deq_page *p, const char *bytes, size_t count);
/* Markup as it stands. */
void deq_page_raw(deq_page *p, const char *markup);
/* Markup from a format without floating-point numbers and without foreign text. */
void deq_page_format(deq_page *p, const char *format, ...) DEQ_PRINTF(2, 3);
/* Foreign text, for element contents and quoted attributes alike; NULL is "". */
void deq_page_text(deq_page *p, const char *text);
/* The same, of at most `most` characters; what is cut ends with an ellipsis. */
void deq_page_cut(deq_page *p, const char *text, size_t most);
/* A coordinate: hundredths of a pixel. */
void deq_page_place(deq_page *p, double place);
/* A number for people, of at most so many significant digits; "NaN", and signed infinity. */
void deq_page_number(deq_page *p, double value, int digits);

/* Characters of a text. */
size_t deq_text_characters(const char *text);

/* Hand everything over, or say why not. */
deq_status deq_page_write(const deq_page *p, deq_write_fn *write, void *user);
/* Replace a file by what `writer` writes. */
typedef deq_status deq_page_writer(void *object, deq_write_fn *write, void *user);
deq_status deq_page_save(deq_context *ctx, const char *path, deq_page_writer *writer, void *object);

#endif
