/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Text in svmlight's (LIBSVM's) format: labelled sparse rows.
 *
 *     label index:value index:value ...  # comment
 *
 * Labels and values are finite decimal numbers; the indices of a row rise.  Empty lines and comments
 * are skipped.
 */
#ifndef DEQ_IO_SVMLIGHT_H
#define DEQ_IO_SVMLIGHT_H

#include <deq/context.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Settings of the reader.  Start from deq_svmlight_defaults(). */
typedef struct deq_svmlight_options {
    size_t struct_size;  /**< sizeof(deq_svmlight_options) */
    int32_t columns;     /**< columns of the matrix; 0: as many as the file needs; default 0 */
    int32_t first_index; /**< the index of the first column, 0 or 1; default 1 */
} deq_svmlight_options;

/** Labelled rows of a sparse matrix in compressed row storage, as deq_csr_matmul() takes it. */
typedef struct deq_svmlight {
    int64_t rows;               /**< at least 0 */
    int32_t columns;            /**< at least 0 */
    int64_t entries;            /**< at least 0 */
    const double *labels;       /**< [rows] */
    const int64_t *row_offsets; /**< [rows + 1]: the first entry of each row; the last is entries */
    const int32_t *indices;     /**< [entries]: columns, from 0, rising in each row */
    const double *values;       /**< [entries] */
    deq_context *context;       /**< supplied the memory */
    void *memory;               /**< the library's */
    size_t memory_bytes;        /**< likewise */
} deq_svmlight;

/**
 * The default settings.
 *
 * @return a struct to change and pass to deq_svmlight_read().
 */
DEQ_API deq_svmlight_options deq_svmlight_defaults(void);

/**
 * Read labelled rows.
 *
 * @param out     receives the rows; free with deq_svmlight_free().  NULL on failure.
 * @param ctx     supplies memory; must outlive the rows.
 * @param path    the file; unpacked if it is a gzip stream.
 * @param options NULL for the defaults.
 * @return DEQ_OK, DEQ_ERR_ARGUMENT (options), DEQ_ERR_IO, DEQ_ERR_DATA (the message says the line),
 *         DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_svmlight_read(deq_svmlight **out, deq_context *ctx, const char *path,
                                     const deq_svmlight_options *options);

/**
 * Read labelled rows from memory.
 *
 * @param out     as deq_svmlight_read().
 * @param ctx     supplies memory; must outlive the rows.
 * @param bytes   the contents of the file; may be freed afterwards.
 * @param size    how many bytes.
 * @param options NULL for the defaults.
 * @return as deq_svmlight_read(), without DEQ_ERR_IO.
 */
DEQ_API deq_status deq_svmlight_parse(deq_svmlight **out, deq_context *ctx, const void *bytes,
                                      size_t size, const deq_svmlight_options *options);

/**
 * Free labelled rows.
 *
 * @param rows NULL is allowed.
 */
DEQ_API void deq_svmlight_free(deq_svmlight *rows);

#ifdef __cplusplus
}
#endif
#endif
