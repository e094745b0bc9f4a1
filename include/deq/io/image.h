/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Images and optical flow: PNG (8 and 16 bits), JPEG, binary PPM and PGM, PFM and Middlebury's .flo.
 *
 * An image is planar, [C, H, W], as images are everywhere in libdeq, whatever the file's order.
 *
 *     file        samples                      channels
 *     PNG         U8, U16 for 16 bits          1 grey, 2 grey and alpha, 3 red green blue, 4 and alpha
 *     JPEG        U8                           1 or 3
 *     PPM, PGM    U8, U16 above 255            3, 1
 *     PFM         F32                          3 or 1
 *     .flo        F32                          2: horizontal, vertical; unknown above 1e9
 *
 * Palettes and less than 8 bits become U8; gamma and colour profiles are left alone.
 */
#ifndef DEQ_IO_IMAGE_H
#define DEQ_IO_IMAGE_H

#include <deq/context.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What a sample of an image is. */
typedef enum deq_sample {
    DEQ_SAMPLE_U8 = 1, /**< uint8_t */
    DEQ_SAMPLE_U16,    /**< uint16_t */
    DEQ_SAMPLE_F32     /**< float */
} deq_sample;

/** An image. */
typedef struct deq_image {
    deq_sample sample;    /**< type of the samples */
    int32_t maximum;      /**< sample of full brightness: 255, 65535, a PPM's own; 0 for F32 */
    int64_t channels;     /**< at least 1 */
    int64_t height;       /**< at least 1 */
    int64_t width;        /**< at least 1 */
    void *data;           /**< [channels, height, width] */
    deq_context *context; /**< supplied the memory */
} deq_image;

/**
 * Make an image of zeros.
 *
 * @param out      receives the image; free with deq_image_free().  NULL on failure.
 * @param ctx      supplies memory; must outlive the image.
 * @param sample   type of the samples; maximum becomes 255, 65535 or 0.
 * @param channels at least 1.
 * @param height   at least 1.
 * @param width    at least 1.
 * @return DEQ_OK, DEQ_ERR_ARGUMENT, DEQ_ERR_OVERFLOW, DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_image_new(deq_image **out, deq_context *ctx, deq_sample sample,
                                 int64_t channels, int64_t height, int64_t width);

/**
 * Free an image.
 *
 * @param image NULL is allowed.
 */
DEQ_API void deq_image_free(deq_image *image);

/**
 * Read an image of any of the formats, told by its first bytes.
 *
 * @param out  receives the image; free with deq_image_free().  NULL on failure.
 * @param ctx  supplies memory; must outlive the image.
 * @param path the file.
 * @return DEQ_OK, DEQ_ERR_IO, DEQ_ERR_DATA (none of the formats, cut off, damaged, or larger than so
 *         few bytes can make), DEQ_ERR_UNSUPPORTED (e.g. a CMYK JPEG), DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_image_read(deq_image **out, deq_context *ctx, const char *path);

/**
 * Read an image from memory.
 *
 * @param out   as deq_image_read().
 * @param ctx   supplies memory; must outlive the image.
 * @param bytes the contents of the file; may be freed afterwards.
 * @param size  how many bytes.
 * @return as deq_image_read(), without DEQ_ERR_IO.
 */
DEQ_API deq_status deq_image_parse(deq_image **out, deq_context *ctx, const void *bytes,
                                   size_t size);

/**
 * Write an image in the format that the end of the name says: .png, .ppm, .pgm, .pfm or .flo.  The
 * file is replaced at once: whoever reads it sees the old contents or the new.
 *
 * @param image samples and channels as the table above says; maximum 255 or 65535 for .png.
 * @param path  the file.
 * @return DEQ_OK, DEQ_ERR_ARGUMENT (the format cannot hold the image), DEQ_ERR_UNSUPPORTED (another
 *         end of the name), DEQ_ERR_IO, DEQ_ERR_NOMEM; the old file is intact then.
 */
DEQ_API deq_status deq_image_write(const deq_image *image, const char *path);

/**
 * The samples as numbers: divided by the maximum, so that they are in [0, 1]; F32 as they are.
 *
 * @param values   receives [channels, height, width].
 * @param image    an image.
 * @param channels of the result: those of the image; or 1 or 3, where alpha is dropped, grey becomes
 *                 three equal channels, and red, green and blue become 0.299 R + 0.587 G + 0.114 B.
 * @return DEQ_OK, DEQ_ERR_ARGUMENT (other channels).
 */
DEQ_API deq_status deq_image_values(float *values, const deq_image *image, int64_t channels);

#ifdef __cplusplus
}
#endif
#endif
