/* SPDX-License-Identifier: MIT */
/**
 * @file
 * TensorBoard event files: scalars and texts over the steps of a run, appended as they come.
 *
 * A file is a sequence of records (TensorFlow's TFRecord: length, masked CRC-32C of the length, data,
 * masked CRC-32C of the data), each a protocol buffer of the type Event; the first names the
 * version.  TensorBoard finds files whose name contains "tfevents" in the folder that it is given.
 */
#ifndef DEQ_IO_TENSORBOARD_H
#define DEQ_IO_TENSORBOARD_H

#include <deq/context.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** See tensorboard.h. */
typedef struct deq_tensorboard deq_tensorboard;

/**
 * Begin to write, or go on.  A resumed run cuts the file to where its checkpoint was made, so that no
 * step stands twice.
 *
 * @param out   receives the writer; free with deq_tensorboard_close().  NULL on failure.
 * @param ctx   supplies memory; must outlive the writer.
 * @param path  the file, e.g. "run/events.out.tfevents.deq".
 * @param bytes -1: a new file, an old one is replaced; otherwise keep the first `bytes` bytes, as
 *              deq_tensorboard_bytes() gave them.  0 and no file: as -1.
 * @param time  of the first record, in seconds since 1970; < 0: now.
 * @return DEQ_OK; DEQ_ERR_IO; DEQ_ERR_DATA (the file is shorter, or what is kept is no event file
 *         that ends with a record; it is left as it was); DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_tensorboard_open(deq_tensorboard **out, deq_context *ctx, const char *path,
                                        int64_t bytes, double time);

/**
 * Add a scalar.
 *
 * @param t     a writer.
 * @param tag   what it is, e.g. "train/loss"; slashes make groups.
 * @param step  of the run.
 * @param value stored as f32; may be NaN or infinite.
 * @param time  seconds since 1970; < 0: now.
 * @return DEQ_OK, DEQ_ERR_ARGUMENT (tag empty or no UTF-8), DEQ_ERR_IO, DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_tensorboard_scalar(deq_tensorboard *t, const char *tag, int64_t step,
                                          double value, double time);

/**
 * Add a text, e.g. a configuration; TensorBoard shows it as Markdown.
 *
 * @param t    a writer.
 * @param tag  what it is.
 * @param step of the run.
 * @param text UTF-8.
 * @param time seconds since 1970; < 0: now.
 * @return as deq_tensorboard_scalar().
 */
DEQ_API deq_status deq_tensorboard_text(deq_tensorboard *t, const char *tag, int64_t step,
                                        const char *text, double time);

/**
 * Hand everything to the operating system, for TensorBoard to see, and to the disk: before a
 * checkpoint that keeps deq_tensorboard_bytes().
 *
 * @param t a writer.
 * @return DEQ_OK, DEQ_ERR_IO.
 */
DEQ_API deq_status deq_tensorboard_flush(deq_tensorboard *t);

/**
 * The length of the file, with all that was added.
 *
 * @param t a writer.
 * @return bytes.
 */
DEQ_API int64_t deq_tensorboard_bytes(const deq_tensorboard *t);

/**
 * End writing.
 *
 * @param t NULL is allowed.
 * @return DEQ_OK, DEQ_ERR_IO (something was not written); the writer is freed in any case.
 */
DEQ_API deq_status deq_tensorboard_close(deq_tensorboard *t);

#ifdef __cplusplus
}
#endif
#endif
