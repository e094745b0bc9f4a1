/* SPDX-License-Identifier: MIT */
/* Compressed images, made by the libraries that others use. */
#ifndef DEQ_TESTS_IO_SAMPLE_IMAGES_H
#define DEQ_TESTS_IO_SAMPLE_IMAGES_H

#include "io/samples.h"

#include <png.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* stdio.h comes first */
#include <jpeglib.h>

static inline void append_png(png_structp png, png_bytep data, size_t size)
{
    put(png_get_io_ptr(png), data, size);
}

static inline void flush_png(png_structp png)
{
    (void)png;
}

/* A PNG of rows of packed samples. */
static inline file_bytes sample_png(int width, int height, int depth, int type, int interlace,
                                    const unsigned char *pixels, size_t row)
{
    static const png_color palette[4] = {
        { 0, 0, 0 }, { 255, 0, 0 }, { 0, 255, 0 }, { 0, 0, 255 }
    };
    file_bytes b = { 0 };
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_bytep rows[64];

    png_set_write_fn(png, &b, append_png, flush_png);
    png_set_IHDR(png, info, (png_uint_32)width, (png_uint_32)height, depth, type, interlace,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (type == PNG_COLOR_TYPE_PALETTE) png_set_PLTE(png, info, palette, 4);
    png_write_info(png, info);
    for (int y = 0; y < height; y++) rows[y] = (png_bytep)(uintptr_t)(pixels + (size_t)y * row);
    png_write_image(png, rows);
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    return b;
}

/* A JPEG of width x height pixels: a slope. */
static inline file_bytes sample_jpeg(int width, int height, int channels, int progressive)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    unsigned char *out = NULL, row[4 * 64];
    unsigned long size = 0;
    file_bytes b = { 0 };

    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &out, &size);
    jpeg.image_width = (JDIMENSION)width;
    jpeg.image_height = (JDIMENSION)height;
    jpeg.input_components = channels;
    jpeg.in_color_space = channels == 1 ? JCS_GRAYSCALE : channels == 3 ? JCS_RGB : JCS_CMYK;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, 95, TRUE);
    if (progressive) jpeg_simple_progression(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++)
            for (int c = 0; c < channels; c++)
                row[x * channels + c] = (unsigned char)(8 * x + 4 * y + 20 * c);
        JSAMPROW rows = row;
        jpeg_write_scanlines(&jpeg, &rows, 1);
    }
    jpeg_finish_compress(&jpeg);
    put(&b, out, size);
    free(out);
    jpeg_destroy_compress(&jpeg);
    return b;
}

#endif
