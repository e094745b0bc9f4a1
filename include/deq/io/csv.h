/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Comma-separated values (RFC 4180), row after row: a file of any length takes the memory of its
 * longest row.
 *
 * Fields may stand in double quotes; inside, a quote is written twice, and separators and line ends
 * are text.  Lines end with LF or CR LF.  A UTF-8 byte order mark is skipped.  All rows have as many
 * fields as the first; empty lines are skipped unless that is one.
 */
#ifndef DEQ_IO_CSV_H
#define DEQ_IO_CSV_H

#include <deq/context.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** See csv.h. */
typedef struct deq_csv deq_csv;

/** Settings of a reader.  Start from deq_csv_defaults(). */
typedef struct deq_csv_options {
    size_t struct_size; /**< sizeof(deq_csv_options) */
    char separator;     /**< between fields; any but a quote, CR, LF or zero; default ',' */
    bool detect; /**< take the first tab, comma or semicolon of the first line for the separator, if
                      there is one outside quotes; default false */
    size_t max_row_bytes; /**< longer rows are errors; at least 1; default 16 MiB */
    bool
        recover; /**< after DEQ_ERR_DATA the next call goes on with the line after the one where the
                       bad row began; default false */
} deq_csv_options;

/** A row. */
typedef struct deq_csv_row {
    int64_t line;              /**< of its beginning, from 1 */
    size_t count;              /**< fields, at least 1 */
    const char *const *fields; /**< [count]: without quotes, terminated by zero */
    const size_t *lengths;     /**< [count]: their bytes */
} deq_csv_row;

/**
 * The default settings.
 *
 * @return a struct to change and pass to deq_csv_open().
 */
DEQ_API deq_csv_options deq_csv_defaults(void);

/**
 * Begin to read a file.
 *
 * @param out     receives the reader; free with deq_csv_close().  NULL on failure.
 * @param ctx     supplies memory; must outlive the reader.
 * @param path    the file; may be a pipe.
 * @param options NULL for the defaults.
 * @return DEQ_OK, DEQ_ERR_ARGUMENT (options), DEQ_ERR_IO, DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_csv_open(deq_csv **out, deq_context *ctx, const char *path,
                                const deq_csv_options *options);

/**
 * Begin to read text in memory.
 *
 * @param out     as deq_csv_open().
 * @param ctx     supplies memory; must outlive the reader.
 * @param bytes   the text; must outlive the reader.
 * @param size    how many bytes.
 * @param options NULL for the defaults.
 * @return as deq_csv_open(), without DEQ_ERR_IO.
 */
DEQ_API deq_status deq_csv_parse(deq_csv **out, deq_context *ctx, const void *bytes, size_t size,
                                 const deq_csv_options *options);

/**
 * Read the next row.
 *
 * @param row receives the row, valid until the next call; NULL at the end and on failure.
 * @param csv a reader; after a failure it must only be closed, unless it recovers from DEQ_ERR_DATA.
 * @return DEQ_OK, DEQ_ERR_DATA (the message says line and field), DEQ_ERR_IO, DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_csv_next(const deq_csv_row **row, deq_csv *csv);

/**
 * A field as a number.
 *
 * @param value receives the number.
 * @param csv   the reader whose last row it is.
 * @param field which field of the row, from 0.
 * @return DEQ_OK, DEQ_ERR_ARGUMENT (no such field), DEQ_ERR_DATA (no finite decimal number; the
 *         message says line and field).
 */
DEQ_API deq_status deq_csv_number(double *value, const deq_csv *csv, size_t field);

/**
 * Refuse a field of the last row: DEQ_ERR_DATA with the message
 * "FILE: line L, field F: expected EXPECTED, found 'TEXT'".
 *
 * @param csv      the reader whose last row it is.
 * @param field    which field of the row, from 0; without one (no such field) the message is
 *                 "FILE: line L: EXPECTED", and before the first row "FILE: EXPECTED".
 * @param expected what should stand there: "a probability in [0, 1]".
 * @return DEQ_ERR_DATA.
 */
DEQ_API deq_status deq_csv_refuse(const deq_csv *csv, size_t field, const char *expected);

/**
 * End reading.
 *
 * @param csv NULL is allowed.
 */
DEQ_API void deq_csv_close(deq_csv *csv);

#ifdef __cplusplus
}
#endif
#endif
