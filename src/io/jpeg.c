/* SPDX-License-Identifier: MIT */
/* JPEG through libjpeg(-turbo), which leaves its functions by longjmp() when something is wrong. */
#include "io/image.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

/* These want stdio.h before them. */
#include <jerror.h>
#include <jpeglib.h>

/* Bounds that no honest file meets: pixels for each byte of the file, and scans. */
#define MOST_PIXELS_PER_BYTE 1024
#define MAX_SCANS 500

/* Everything that must survive a jump lives here, not in the frames that are left. */
typedef struct work {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    const deq_source *s;
    deq_image *image;
    unsigned char *pixels;
    size_t pixel_bytes;
    deq_status status;
    char message[JMSG_LENGTH_MAX];
    jmp_buf escape;
} work;

static void on_error(j_common_ptr jpeg)
{
    work *w = jpeg->client_data;

    jpeg->err->format_message(jpeg, w->message);
    longjmp(w->escape, 1);
}

/* Most warnings mean that pixels are missing or made up: they are errors here. */
static void on_message(j_common_ptr jpeg, int level)
{
    if (level >= 0) return;
    switch (jpeg->err->msg_code) {
    case JWRN_ADOBE_XFORM:
    case JWRN_BOGUS_PROGRESSION:
    case JWRN_EXTRANEOUS_DATA:
    case JWRN_NOT_SEQUENTIAL:
    case JWRN_TOO_MUCH_DATA: break;
    default: on_error(jpeg);
    }
}

static void leave(work *w, const char *message)
{
    snprintf(w->message, sizeof w->message, "%s", message);
    longjmp(w->escape, 1);
}

static void on_progress(j_common_ptr jpeg)
{
    work *w = jpeg->client_data;

    if (w->jpeg.input_scan_number > MAX_SCANS) leave(w, "too many scans");
}

static bool guarded(work *w, void (*steps)(work *w))
{
    if (setjmp(w->escape)) return false;
    steps(w);
    return true;
}

static deq_status prepare(work *w)
{
    struct jpeg_decompress_struct *jpeg = &w->jpeg;
    const size_t width = jpeg->image_width, height = jpeg->image_height;

    if (width * height / MOST_PIXELS_PER_BYTE > w->s->size + 64)
        return deq_source_fail(w->s, 0, "damaged JPEG: %zu x %zu pixels, more than %zu bytes make",
                               width, height, w->s->size);
    const bool grey = jpeg->jpeg_color_space == JCS_GRAYSCALE;
    if (!grey && jpeg->jpeg_color_space != JCS_YCbCr && jpeg->jpeg_color_space != JCS_RGB)
        return deq_source_refuse(w->s, DEQ_ERR_UNSUPPORTED, 0,
                                 "a JPEG of %d components that are neither grey, YCbCr nor RGB",
                                 jpeg->num_components);
    jpeg->out_color_space = grey ? JCS_GRAYSCALE : JCS_RGB;
    DEQ_TRY(deq_image_make(&w->image, w->s, DEQ_SAMPLE_U8, 255, grey ? 1 : 3, (int64_t)height,
                           (int64_t)width));
    w->pixel_bytes = width * height * (grey ? 1 : 3);
    w->pixels = deq_alloc(w->s->ctx, w->pixel_bytes);
    return w->pixels ? DEQ_OK : DEQ_ERR_NOMEM;
}

static void read_steps(work *w)
{
    struct jpeg_decompress_struct *jpeg = &w->jpeg;

    jpeg_create_decompress(jpeg);
    jpeg->client_data = w;
    jpeg->progress = &w->progress;
    jpeg_mem_src(jpeg, w->s->data, (unsigned long)w->s->size);
    (void)jpeg_read_header(jpeg, TRUE);
    w->status = prepare(w);
    if (w->status != DEQ_OK) return;
    (void)jpeg_start_decompress(jpeg);
    const size_t row = (size_t)jpeg->output_width * (size_t)jpeg->output_components;
    while (jpeg->output_scanline < jpeg->output_height) {
        JSAMPROW to = w->pixels + jpeg->output_scanline * row;
        (void)jpeg_read_scanlines(jpeg, &to, 1);
    }
    (void)jpeg_finish_decompress(jpeg);
    deq_image_from_pixels(w->image, w->pixels);
}

static void destroy(work *w)
{
    jpeg_destroy_decompress(&w->jpeg);
}

deq_status deq_jpeg_decode(deq_image **out, const deq_source *s)
{
    work *w = deq_alloc(s->ctx, sizeof *w);

    if (!w) return DEQ_ERR_NOMEM;
    w->s = s;
    w->jpeg.err = jpeg_std_error(&w->errors);
    w->jpeg.client_data = w;
    w->errors.error_exit = on_error;
    w->errors.emit_message = on_message;
    w->progress.progress_monitor = on_progress;
    if (!guarded(w, read_steps)) {
        const size_t left = w->jpeg.src ? w->jpeg.src->bytes_in_buffer : 0;
        w->status = deq_source_fail(s, left <= s->size ? s->size - left : s->size,
                                    "damaged JPEG: %s", w->message);
    }
    (void)guarded(w, destroy);
    deq_release(s->ctx, w->pixels, w->pixel_bytes);
    *out = w->image;
    const deq_status status = w->status;
    deq_release(s->ctx, w, sizeof *w);
    return status;
}
