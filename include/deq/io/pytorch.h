/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Checkpoints of PyTorch, as torch.save() writes them: .pt and .pth, both the zip container and the
 * older one.
 *
 * Such a file holds a pickle, which in Python is a program.  It is read by an interpreter that knows
 * only what tensors and containers of tensors need, and that can call nothing: a file that names any
 * other class or function is refused with that name and its place.
 *
 * What is found becomes an archive.  Dictionaries, lists and tuples inside each other give names with
 * dots ("state_dict.conv.weight", "optimizer.state.0.exp_avg"); numbers, truth values and texts
 * become metadata under such names; None is left out.  A tensor that is all there is is called
 * "data".  Tensors that share a storage are told apart, and may share memory; strides are resolved.
 */
#ifndef DEQ_IO_PYTORCH_H
#define DEQ_IO_PYTORCH_H

#include <deq/io/archive.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Read a checkpoint of PyTorch.
 *
 * @param out  receives the archive; free with deq_archive_free().  NULL on failure.
 * @param ctx  supplies memory; must outlive the archive.
 * @param path the file.
 * @return DEQ_OK, DEQ_ERR_IO, DEQ_ERR_DATA (not such a file, or damaged), DEQ_ERR_UNSUPPORTED (it
 *         holds other objects than tensors, containers and numbers; the message names them),
 *         DEQ_ERR_NAME (two tensors would have one name), DEQ_ERR_OVERFLOW, DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_pytorch_read(deq_archive **out, deq_context *ctx, const char *path);

/**
 * Read a checkpoint of PyTorch from memory.
 *
 * @param out   as deq_pytorch_read().
 * @param ctx   supplies memory; must outlive the archive.
 * @param bytes the contents of the file; may be freed afterwards.
 * @param size  how many bytes.
 * @return as deq_pytorch_read(), without DEQ_ERR_IO.
 */
DEQ_API deq_status deq_pytorch_parse(deq_archive **out, deq_context *ctx, const void *bytes,
                                     size_t size);

#ifdef __cplusplus
}
#endif
#endif
