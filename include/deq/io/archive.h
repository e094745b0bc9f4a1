/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Archives: named tensors in memory, as files of weights hold them.
 *
 * Readers of files (safetensors.h, npy.h, pytorch.h) make archives, writers store them.  A reader
 * either gives everything that the file holds or nothing at all; its message names the file, the
 * place, what was found there and what was expected.  The one exception: arrays of a .npz that are no
 * numbers (texts, dates, records, Python objects) are left out, and the archive says so
 * (deq_archive_left_out()).  Files are never trusted: every size is
 * compared with what the file can hold before memory is taken.
 *
 * Files know more element types than values do; they become the next type that holds all their
 * numbers:
 *
 *     f16 bf16 f32 -> f32      i8 u8 i16 u16 i32 -> i32      bool -> bool
 *     f64          -> f64      u32 i64 u64       -> i64 (larger u64 values are an error)
 */
#ifndef DEQ_IO_ARCHIVE_H
#define DEQ_IO_ARCHIVE_H

#include <deq/context.h>
#include <deq/type.h>

#ifdef __cplusplus
extern "C" {
#endif

/** See archive.h. */
typedef struct deq_archive deq_archive;

/** One tensor of an archive. */
typedef struct deq_archive_tensor {
    const char *name; /**< unique in the archive */
    deq_type type;    /**< unlike those of a graph's values, extents may be 0 */
    const void *data; /**< row-major; tensors of one file may share memory */
    const char
        *stored; /**< element type in the file: "f16", "u8", ...; that of type if there was none */
} deq_archive_tensor;

/**
 * Make an empty archive.
 *
 * @param out receives the archive; free with deq_archive_free().  NULL on failure.
 * @param ctx supplies memory; must outlive the archive.
 * @return DEQ_OK, DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_archive_new(deq_archive **out, deq_context *ctx);

/**
 * Free an archive with all its tensors.
 *
 * @param a NULL is allowed.
 */
DEQ_API void deq_archive_free(deq_archive *a);

/**
 * Add a copy of a tensor.
 *
 * @param a    an archive.
 * @param name not empty, not yet in the archive; copied.
 * @param type a known dtype; rank 0 to DEQ_MAX_RANK, extents at least 0.
 * @param data its elements, row-major; NULL for zeros.
 * @return DEQ_OK, DEQ_ERR_NAME (empty or duplicate), DEQ_ERR_DTYPE, DEQ_ERR_SHAPE,
 *         DEQ_ERR_OVERFLOW, DEQ_ERR_NOMEM; the archive is unchanged then.
 */
DEQ_API deq_status deq_archive_add(deq_archive *a, const char *name, deq_type type,
                                   const void *data);

/**
 * The number of tensors.
 *
 * @param a an archive.
 * @return at least 0.
 */
DEQ_API size_t deq_archive_count(const deq_archive *a);

/**
 * A tensor by its place: order of the file, or of addition.
 *
 * @param a an archive.
 * @param i 0 to deq_archive_count() - 1.
 * @return the tensor, valid until the archive changes; NULL for other i.
 */
DEQ_API const deq_archive_tensor *deq_archive_at(const deq_archive *a, size_t i);

/**
 * A tensor by its name.
 *
 * @param a    an archive.
 * @param name any string.
 * @return the tensor, valid until the archive changes; NULL if there is none of that name.
 */
DEQ_API const deq_archive_tensor *deq_archive_find(const deq_archive *a, const char *name);

/**
 * Keep only the tensors whose names begin with a prefix, and take the prefix off: what a checkpoint
 * holds below "state_dict." becomes the archive.  The metadata stay.
 *
 * @param a      an archive.
 * @param prefix e.g. "state_dict." or "module.".
 * @return DEQ_OK; DEQ_ERR_NAME when no name begins so or one is nothing but the prefix, and
 *         DEQ_ERR_NOMEM: the archive is unchanged then.
 */
DEQ_API deq_status deq_archive_narrow(deq_archive *a, const char *prefix);

/**
 * Set an entry of the metadata: text beside the tensors, such as a configuration.
 *
 * @param a     an archive.
 * @param key   replaced if it exists; copied.
 * @param value copied.
 * @return DEQ_OK, DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_archive_set_metadata(deq_archive *a, const char *key, const char *value);

/**
 * An entry of the metadata.
 *
 * @param a   an archive.
 * @param key any string.
 * @return its text, valid until the archive changes; NULL if there is none.
 */
DEQ_API const char *deq_archive_metadata(const deq_archive *a, const char *key);

/**
 * An entry of the metadata by its place, to list them all.
 *
 * @param a     an archive.
 * @param i     counts from 0.
 * @param value receives the text; NULL is allowed.
 * @return the key, or NULL when there are not so many.
 */
DEQ_API const char *deq_archive_metadata_at(const deq_archive *a, size_t i, const char **value);

/**
 * What the file had and the archive has not, by its place, to list it all.
 *
 * @param a   an archive.
 * @param i   counts from 0.
 * @param why receives the reason, which names file, member and place, what was found and what was
 *            expected; NULL is allowed.
 * @return the name, or NULL when there are not so many.
 */
DEQ_API const char *deq_archive_left_out_at(const deq_archive *a, size_t i, const char **why);

/**
 * Why an array is not in the archive although the file has it.
 *
 * @param a    an archive.
 * @param name any string.
 * @return the reason, valid as long as the archive; NULL if the file had nothing of that name that
 *         was left out.
 */
DEQ_API const char *deq_archive_left_out(const deq_archive *a, const char *name);

/**
 * Read a file of weights of any kind that we know, told by its first bytes: safetensors, .npy,
 * .npz, PyTorch's .pt and .pth.
 *
 * @param out  receives the archive; free with deq_archive_free().  NULL on failure.
 * @param ctx  supplies memory; must outlive the archive.
 * @param path the file.
 * @return as the reader of that kind.
 */
DEQ_API deq_status deq_archive_read(deq_archive **out, deq_context *ctx, const char *path);

#ifdef __cplusplus
}
#endif
#endif
