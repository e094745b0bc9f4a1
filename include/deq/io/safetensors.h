/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Safetensors: the format of libdeq's own checkpoints, and of many others'.
 *
 * A file is a JSON header (names, element types, shapes, places, metadata) and the elements.  There
 * is nothing in it that could be executed.
 */
#ifndef DEQ_IO_SAFETENSORS_H
#define DEQ_IO_SAFETENSORS_H

#include <deq/io/archive.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Read a safetensors file.
 *
 * The header must be whole and without doubt: every tensor's place must be as long as its shape and
 * element type say, places must not overlap, leave gaps, or end before or after the file does.
 *
 * @param out  receives the archive; free with deq_archive_free().  NULL on failure.
 * @param ctx  supplies memory; must outlive the archive.
 * @param path the file.
 * @return DEQ_OK, DEQ_ERR_IO, DEQ_ERR_DATA (not such a file, or damaged), DEQ_ERR_UNSUPPORTED (an
 *         element type, which the message names, or too many axes), DEQ_ERR_OVERFLOW,
 *         DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_safetensors_read(deq_archive **out, deq_context *ctx, const char *path);

/**
 * Read a safetensors file from memory.
 *
 * @param out   as deq_safetensors_read().
 * @param ctx   supplies memory; must outlive the archive.
 * @param bytes the contents of the file; may be freed afterwards.
 * @param size  how many bytes.
 * @return as deq_safetensors_read(), without DEQ_ERR_IO.
 */
DEQ_API deq_status deq_safetensors_parse(deq_archive **out, deq_context *ctx, const void *bytes,
                                         size_t size);

/**
 * Write an archive as a safetensors file, metadata included.
 *
 * The file is written beside the old one, brought to the disk and renamed: whoever reads it, also
 * after a crash, sees the old contents or the new.  Equal archives give equal files.
 *
 * @param a    what to write; names and metadata must be UTF-8, and no name "__metadata__".
 * @param path the file.
 * @return DEQ_OK, DEQ_ERR_ARGUMENT, DEQ_ERR_NAME, DEQ_ERR_OVERFLOW, DEQ_ERR_IO, DEQ_ERR_NOMEM; the
 *         old file is intact then.
 */
DEQ_API deq_status deq_safetensors_write(const deq_archive *a, const char *path);

#ifdef __cplusplus
}
#endif
#endif
