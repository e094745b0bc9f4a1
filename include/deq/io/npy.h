/* SPDX-License-Identifier: MIT */
/**
 * @file
 * NumPy's files: .npy holds one array, .npz (a zip archive) named ones.
 *
 * Formats 1.0 to 3.0, both orders of bytes, C and Fortran order; bool, integers, f16, f32 and f64.
 * What the elements become is said in archive.h.  Complex numbers, strings, dates, records and
 * Python objects are DEQ_ERR_UNSUPPORTED in a .npy, and left out of a .npz beside the arrays that can
 * be read: nothing in a file is ever executed.
 */
#ifndef DEQ_IO_NPY_H
#define DEQ_IO_NPY_H

#include <deq/io/archive.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Read a .npy file.
 *
 * @param out  receives an archive with one tensor, called "data"; free with deq_archive_free().
 *             NULL on failure.
 * @param ctx  supplies memory; must outlive the archive.
 * @param path the file.
 * @return DEQ_OK, DEQ_ERR_IO, DEQ_ERR_DATA (not such a file, or damaged), DEQ_ERR_UNSUPPORTED,
 *         DEQ_ERR_OVERFLOW, DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_npy_read(deq_archive **out, deq_context *ctx, const char *path);

/**
 * Read a .npy file from memory.
 *
 * @param out   as deq_npy_read().
 * @param ctx   supplies memory; must outlive the archive.
 * @param bytes the contents of the file; may be freed afterwards.
 * @param size  how many bytes.
 * @return as deq_npy_read(), without DEQ_ERR_IO.
 */
DEQ_API deq_status deq_npy_parse(deq_archive **out, deq_context *ctx, const void *bytes,
                                 size_t size);

/**
 * Write one array as a .npy file (format 1.0, little-endian, C order).  The file is replaced at
 * once: whoever reads it sees the old contents or the new.
 *
 * @param ctx  keeps the message of a failure.
 * @param path the file.
 * @param type dtype and extents; extents may be 0.
 * @param data its elements, row-major.
 * @return DEQ_OK, DEQ_ERR_ARGUMENT, DEQ_ERR_DTYPE, DEQ_ERR_SHAPE, DEQ_ERR_OVERFLOW, DEQ_ERR_IO,
 *         DEQ_ERR_NOMEM; the old file is intact then.
 */
DEQ_API deq_status deq_npy_write(deq_context *ctx, const char *path, deq_type type,
                                 const void *data);

/**
 * Read a .npz file.  Every member must be an array; the tensors are called as the members, without
 * ".npy".  Arrays of other things than numbers are left out: deq_archive_left_out().
 *
 * @param out  receives the archive; free with deq_archive_free().  NULL on failure.
 * @param ctx  supplies memory; must outlive the archive.
 * @param path the file.
 * @return as deq_npy_read(), and DEQ_ERR_NAME (two members of one name).
 */
DEQ_API deq_status deq_npz_read(deq_archive **out, deq_context *ctx, const char *path);

/**
 * Read a .npz file from memory.
 *
 * @param out   as deq_npz_read().
 * @param ctx   supplies memory; must outlive the archive.
 * @param bytes the contents of the file; may be freed afterwards.
 * @param size  how many bytes.
 * @return as deq_npz_read(), without DEQ_ERR_IO.
 */
DEQ_API deq_status deq_npz_parse(deq_archive **out, deq_context *ctx, const void *bytes,
                                 size_t size);

/**
 * Write an archive as a .npz file, replaced at once as by deq_npy_write().  Metadata are not
 * stored.  Equal archives give equal files.
 *
 * @param a        what to write.
 * @param path     the file.
 * @param compress whether to deflate the members, as numpy.savez_compressed() does.
 * @return DEQ_OK, DEQ_ERR_ARGUMENT, DEQ_ERR_IO, DEQ_ERR_NOMEM; the old file is intact then.
 */
DEQ_API deq_status deq_npz_write(const deq_archive *a, const char *path, bool compress);

#ifdef __cplusplus
}
#endif
#endif
