/* SPDX-License-Identifier: MIT */
/**
 * @file
 * The binary versions of CIFAR-10 and CIFAR-100: labelled images of 3 x 32 x 32 bytes.
 */
#ifndef DEQ_IO_CIFAR_H
#define DEQ_IO_CIFAR_H

#include <deq/context.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Which of the two. */
typedef enum deq_cifar_kind {
    DEQ_CIFAR10 = 1, /**< records of a label and an image: 3073 bytes */
    DEQ_CIFAR100     /**< records of a coarse label, a fine label and an image: 3074 bytes */
} deq_cifar_kind;

/** The contents of a file. */
typedef struct deq_cifar {
    int64_t count;         /**< images */
    const uint8_t *images; /**< [count, 3, 32, 32]: red, green, blue */
    const uint8_t *labels; /**< [count]: 0 to 9; of CIFAR-100 the fine ones, 0 to 99 */
    const uint8_t *coarse; /**< [count]: 0 to 19, of CIFAR-100; else NULL */
    deq_context *context;  /**< supplied the memory */
    void *memory;          /**< the library's */
    size_t memory_bytes;   /**< likewise */
} deq_cifar;

/**
 * Read a file of labelled images.
 *
 * @param out  receives the contents; free with deq_cifar_free().  NULL on failure.
 * @param ctx  supplies memory; must outlive the contents.
 * @param path the file, e.g. data_batch_1.bin.
 * @param kind which of the two.
 * @return DEQ_OK, DEQ_ERR_ARGUMENT (kind), DEQ_ERR_IO, DEQ_ERR_DATA (the size is no multiple of a
 *         record's, or a label is none), DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_cifar_read(deq_cifar **out, deq_context *ctx, const char *path,
                                  deq_cifar_kind kind);

/**
 * Read a file of labelled images from memory.
 *
 * @param out   as deq_cifar_read().
 * @param ctx   supplies memory; must outlive the contents.
 * @param bytes the contents of the file; may be freed afterwards.
 * @param size  how many bytes.
 * @param kind  which of the two.
 * @return as deq_cifar_read(), without DEQ_ERR_IO.
 */
DEQ_API deq_status deq_cifar_parse(deq_cifar **out, deq_context *ctx, const void *bytes,
                                   size_t size, deq_cifar_kind kind);

/**
 * Free the contents of a file of labelled images.
 *
 * @param cifar NULL is allowed.
 */
DEQ_API void deq_cifar_free(deq_cifar *cifar);

#ifdef __cplusplus
}
#endif
#endif
