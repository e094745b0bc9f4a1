/* SPDX-License-Identifier: MIT */
/**
 * @file
 * IDX files, the format of MNIST and its relatives: bytes with extents, plain or gzip-compressed.
 */
#ifndef DEQ_IO_IDX_H
#define DEQ_IO_IDX_H

#include <deq/context.h>
#include <deq/type.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The contents of an IDX file of unsigned bytes: images [N, H, W], labels [N]. */
typedef struct deq_idx {
    deq_shape shape;      /**< extents; may be 0 */
    const uint8_t *data;  /**< row-major */
    deq_context *context; /**< supplied the memory */
    void *memory;         /**< the library's */
    size_t memory_bytes;  /**< likewise */
} deq_idx;

/**
 * Read an IDX file of unsigned bytes.
 *
 * @param out  receives the contents; free with deq_idx_free().  NULL on failure.
 * @param ctx  supplies memory; must outlive the contents.
 * @param path the file; unpacked if it is a gzip stream.
 * @return DEQ_OK, DEQ_ERR_IO, DEQ_ERR_DATA (not such a file, or damaged; offsets in the message
 *         count unpacked bytes), DEQ_ERR_UNSUPPORTED (another element type, or too many axes),
 *         DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_idx_read(deq_idx **out, deq_context *ctx, const char *path);

/**
 * Read an IDX file from memory.
 *
 * @param out   as deq_idx_read().
 * @param ctx   supplies memory; must outlive the contents.
 * @param bytes the contents of the file; may be freed afterwards.
 * @param size  how many bytes.
 * @return as deq_idx_read(), without DEQ_ERR_IO.
 */
DEQ_API deq_status deq_idx_parse(deq_idx **out, deq_context *ctx, const void *bytes, size_t size);

/**
 * Free the contents of an IDX file.
 *
 * @param idx NULL is allowed.
 */
DEQ_API void deq_idx_free(deq_idx *idx);

#ifdef __cplusplus
}
#endif
#endif
