/* SPDX-License-Identifier: MIT */
/* Images of a report: PNG by libpng, in base64 (RFC 4648). */
#include "report/report.h"

#include <png.h>
#include <string.h>

enum { MOST_PIXELS = 16384, MOST_ZOOM = 64, USUAL_SIZE = 128 };

static bool is_picture(const deq_picture *c)
{
    return c->pixels && (c->channels == 1 || c->channels == 3 || c->channels == 4) &&
           c->height >= 1 && c->height <= MOST_PIXELS && c->width >= 1 && c->width <= MOST_PIXELS &&
           c->zoom >= 0 && c->zoom <= MOST_ZOOM;
}

static void add_base64(deq_page *p, const unsigned char *bytes, size_t count)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < count; i += 3) {
        const size_t n = count - i < 3 ? count - i : 3;
        uint32_t bits = 0;
        for (size_t k = 0; k < 3; k++) bits = bits << 8 | (k < n ? bytes[i + k] : 0U);
        char four[4];
        for (size_t k = 0; k < 4; k++) four[k] = k <= n ? digits[bits >> (18 - 6 * k) & 63] : '=';
        deq_page_bytes(p, four, 4);
    }
}

/* From planes to pixels. */
static void interleave(unsigned char *to, const deq_picture *c)
{
    const size_t plane = (size_t)c->height * (size_t)c->width, channels = (size_t)c->channels;

    for (size_t k = 0; k < channels; k++)
        for (size_t i = 0; i < plane; i++) to[i * channels + k] = c->pixels[k * plane + i];
}

static deq_status encode(deq_page *p, const deq_picture *c, const unsigned char *pixels)
{
    png_image image;

    memset(&image, 0, sizeof image);
    image.version = PNG_IMAGE_VERSION;
    image.width = (png_uint_32)c->width;
    image.height = (png_uint_32)c->height;
    image.format = c->channels == 1   ? PNG_FORMAT_GRAY
                   : c->channels == 3 ? PNG_FORMAT_RGB
                                      : PNG_FORMAT_RGBA;
    const size_t most = PNG_IMAGE_PNG_SIZE_MAX(image);
    png_alloc_size_t size = most;
    unsigned char *png = deq_alloc(p->ctx, most);
    if (!png) return DEQ_ERR_NOMEM;
    deq_status status = DEQ_OK;
    if (png_image_write_to_memory(&image, png, &size, 0, pixels, 0, NULL))
        add_base64(p, png, size);
    else
        status = deq_fail(p->ctx, DEQ_ERR_BACKEND, "report: an image: %s", image.message);
    png_image_free(&image);
    deq_release(p->ctx, png, most);
    return status;
}

static void add_image(deq_report *r, const deq_picture *c, const char *caption)
{
    const size_t bytes = (size_t)c->height * (size_t)c->width * (size_t)c->channels;
    const int largest = c->height > c->width ? c->height : c->width;
    const int zoom = c->zoom ? c->zoom : largest < USUAL_SIZE ? USUAL_SIZE / largest : 1;
    unsigned char *pixels = deq_alloc(r->ctx, bytes);
    deq_status status = pixels ? DEQ_OK : DEQ_ERR_NOMEM;

    deq_page_format(&r->body, "<img width=\"%d\" height=\"%d\" alt=\"", c->width * zoom,
                    c->height * zoom);
    deq_page_text(&r->body, caption);
    deq_page_raw(&r->body, "\" src=\"data:image/png;base64,");
    if (pixels) {
        interleave(pixels, c);
        status = encode(&r->body, c, pixels);
        deq_release(r->ctx, pixels, bytes);
    }
    deq_page_raw(&r->body, "\"/>");
    if (status != DEQ_OK) deq_mistake_set(&r->mistake, status, "%s", deq_last_error(r->ctx));
}

void deq_report_picture(deq_report *r, const deq_picture *picture, const char *caption)
{
    if (!deq_report_open(r, DEQ_OPEN_FIGURES)) return;
    if (!is_picture(picture)) {
        deq_mistake_set(&r->mistake, DEQ_ERR_ARGUMENT,
                        "report: an image of %d channels, %d x %d pixels, zoom %d",
                        picture->channels, picture->height, picture->width, picture->zoom);
        return;
    }
    deq_page_raw(&r->body, "<figure>");
    add_image(r, picture, caption);
    if (caption) {
        deq_page_raw(&r->body, "<figcaption>");
        deq_page_text(&r->body, caption);
        deq_page_raw(&r->body, "</figcaption>");
    }
    deq_page_raw(&r->body, "</figure>\n");
}
