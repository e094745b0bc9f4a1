/* SPDX-License-Identifier: MIT */
/* PNG through libpng, which leaves its functions by longjmp() when something is wrong. */
#include "io/image.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

/* One byte of a deflate stream makes at most 1032 bytes. */
#define MOST_PER_BYTE 1032

/* Everything that must survive a jump lives here, not in the frames that are left. */
typedef struct work {
    deq_context *ctx;
    const deq_source *s; /* reading */
    size_t at;
    deq_output *o; /* writing */
    const deq_image *from;
    deq_image *image;
    png_structp png;
    png_infop info;
    unsigned char *pixels;
    size_t pixel_bytes;
    png_bytepp rows;
    size_t n_rows;
    deq_status status;
    char message[200];
    jmp_buf escape;
} work;

static void on_error(png_structp png, png_const_charp message)
{
    work *w = png_get_error_ptr(png);

    snprintf(w->message, sizeof w->message, "%s", message);
    longjmp(w->escape, 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

/* Run the steps; false when libpng jumped out of them. */
static bool guarded(work *w, void (*steps)(work *w))
{
    if (setjmp(w->escape)) return false;
    steps(w);
    return true;
}

static void release(work *w)
{
    deq_release(w->ctx, w->pixels, w->pixel_bytes);
    deq_release(w->ctx, w->rows, w->n_rows * sizeof *w->rows);
}

/* Reading. */

static void read_bytes(png_structp png, png_bytep to, size_t count)
{
    work *w = png_get_io_ptr(png);

    if (!deq_source_has(w->s, w->at, count)) png_error(png, "the file ends too early");
    memcpy(to, w->s->data + w->at, count);
    w->at += count;
}

/* What the header announces, against what so many bytes can make. */
static bool is_plausible(work *w)
{
    const size_t width = png_get_image_width(w->png, w->info);
    const size_t height = png_get_image_height(w->png, w->info);
    const size_t bits = (size_t)png_get_bit_depth(w->png, w->info) *
                        png_get_channels(w->png, w->info);
    size_t packed;

    return deq_size_mul(&packed, (width * bits + 7) / 8, height) &&
           packed / MOST_PER_BYTE <= w->s->size;
}

static deq_status make_rows(work *w)
{
    const int channels = png_get_channels(w->png, w->info);
    const bool deep = png_get_bit_depth(w->png, w->info) == 16;
    const size_t row = png_get_rowbytes(w->png, w->info);

    w->n_rows = png_get_image_height(w->png, w->info);
    DEQ_TRY(deq_image_make(&w->image, w->s, deep ? DEQ_SAMPLE_U16 : DEQ_SAMPLE_U8,
                           deep ? 65535 : 255, channels, (int64_t)w->n_rows,
                           png_get_image_width(w->png, w->info)));
    w->pixels = deq_alloc_array(w->ctx, w->n_rows, row);
    if (!w->pixels) return DEQ_ERR_NOMEM;
    w->pixel_bytes = w->n_rows * row;
    w->rows = deq_alloc_array(w->ctx, w->n_rows, sizeof *w->rows);
    if (!w->rows) return DEQ_ERR_NOMEM;
    for (size_t y = 0; y < w->n_rows; y++) w->rows[y] = w->pixels + y * row;
    return DEQ_OK;
}

static void read_steps(work *w)
{
    w->info = png_create_info_struct(w->png);
    if (!w->info) png_error(w->png, "out of memory");
    png_set_read_fn(w->png, w, read_bytes);
    png_read_info(w->png, w->info);
    if (!is_plausible(w)) png_error(w->png, "more pixels than so few bytes can make");
    png_set_expand(w->png); /* palettes, less than 8 bits, transparency */
    if (!deq_host_is_big_endian()) png_set_swap(w->png);
    (void)png_set_interlace_handling(w->png);
    png_read_update_info(w->png, w->info);
    w->status = make_rows(w);
    if (w->status != DEQ_OK) return;
    png_read_image(w->png, w->rows);
    png_read_end(w->png, NULL);
    deq_image_from_pixels(w->image, w->pixels);
}

deq_status deq_png_decode(deq_image **out, const deq_source *s)
{
    work w = { .ctx = s->ctx, .s = s };

    w.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &w, on_error, on_warning);
    if (!w.png) return deq_fail(s->ctx, DEQ_ERR_NOMEM, "%s: out of memory", s->name);
    if (!guarded(&w, read_steps)) w.status = deq_source_fail(s, w.at, "damaged PNG: %s", w.message);
    png_destroy_read_struct(&w.png, &w.info, NULL);
    release(&w);
    *out = w.image;
    return w.status;
}

/* Writing. */

static void write_bytes(png_structp png, png_bytep bytes, size_t count)
{
    work *w = png_get_io_ptr(png);

    deq_output_write(w->o, bytes, count);
}

static void flush(png_structp png)
{
    (void)png;
}

static void write_steps(work *w)
{
    static const int types[] = { 0, PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA,
                                 PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGB_ALPHA };
    const deq_image *image = w->from;
    const bool deep = image->sample == DEQ_SAMPLE_U16;

    w->info = png_create_info_struct(w->png);
    if (!w->info) png_error(w->png, "out of memory");
    png_set_write_fn(w->png, w, write_bytes, flush);
    png_set_IHDR(w->png, w->info, (png_uint_32)image->width, (png_uint_32)image->height,
                 deep ? 16 : 8, types[image->channels], PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(w->png, w->info);
    if (deep && !deq_host_is_big_endian()) png_set_swap(w->png);
    for (int64_t y = 0; y < image->height; y++) {
        deq_image_to_pixels(w->pixels, image, y);
        png_write_row(w->png, w->pixels);
    }
    png_write_end(w->png, NULL);
}

deq_status deq_png_encode(deq_output *o, const deq_image *image)
{
    work w = { .ctx = o->ctx, .o = o, .from = image };

    if (image->maximum != (image->sample == DEQ_SAMPLE_U8 ? 255 : 65535) ||
        image->width > INT32_MAX || image->height > INT32_MAX)
        return deq_fail(o->ctx, DEQ_ERR_ARGUMENT,
                        "%s: a PNG file cannot hold samples up to %d, %lld x %lld pixels", o->path,
                        (int)image->maximum, (long long)image->width, (long long)image->height);
    w.pixel_bytes = (size_t)(image->width * image->channels) * deq_sample_size(image->sample);
    w.pixels = deq_alloc(o->ctx, w.pixel_bytes);
    if (!w.pixels) return DEQ_ERR_NOMEM;
    w.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &w, on_error, on_warning);
    if (!w.png)
        w.status = deq_fail(o->ctx, DEQ_ERR_NOMEM, "%s: out of memory", o->path);
    else if (!guarded(&w, write_steps))
        w.status = deq_fail(o->ctx, DEQ_ERR_ARGUMENT, "%s: %s", o->path, w.message);
    png_destroy_write_struct(&w.png, &w.info);
    release(&w);
    return w.status;
}
