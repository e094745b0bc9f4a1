/* SPDX-License-Identifier: MIT */
/* Formats of images: each knows its first bytes, a decoder, and perhaps an encoder. */
#ifndef DEQ_SRC_IO_IMAGE_H
#define DEQ_SRC_IO_IMAGE_H

#include "io/output.h"
#include "io/source.h"

#include <deq/io/image.h>

/* An image as a file describes it; fails with the file's name.  `maximum` as in deq_image. */
deq_status deq_image_make(deq_image **out, const deq_source *s, deq_sample sample, int32_t maximum,
                          int64_t channels, int64_t height, int64_t width);
size_t deq_sample_size(deq_sample sample);
/* Samples as they stand in files, pixel after pixel, in the machine's order of bytes. */
void deq_image_from_pixels(deq_image *image, const void *pixels);
/* Row y in that order. */
void deq_image_to_pixels(void *pixels, const deq_image *image, int64_t y);

/* Decoders of whole files that begin as they should. */
deq_status deq_png_decode(deq_image **out, const deq_source *s);
deq_status deq_jpeg_decode(deq_image **out, const deq_source *s);
deq_status deq_netpbm_decode(deq_image **out, const deq_source *s); /* P5, P6 */
deq_status deq_pfm_decode(deq_image **out, const deq_source *s);    /* Pf, PF */
deq_status deq_flo_decode(deq_image **out, const deq_source *s);

/* Encoders; samples and channels were checked. */
deq_status deq_png_encode(deq_output *o, const deq_image *image);
deq_status deq_netpbm_encode(deq_output *o, const deq_image *image);
deq_status deq_pfm_encode(deq_output *o, const deq_image *image);
deq_status deq_flo_encode(deq_output *o, const deq_image *image);

#endif
