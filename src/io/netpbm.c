/* SPDX-License-Identifier: MIT */
/*
 * Formats without compression:
 *
 *     PGM, PPM   "P5" or "P6", width, height, maximum as text with comments; one white space; pixels,
 *                one byte a sample or, if the maximum is above 255, two, highest first
 *     PFM        "Pf" or "PF", width, height, scale as text; one white space; rows of floats from the
 *                lowest to the highest, little-endian if the scale is negative
 *     .flo       the float 202021.25, width, height (4 bytes each), pixels of two floats, all
 *                little-endian
 */
#include "io/image.h"

#include "base/text.h"
#include "io/number.h"

#include <math.h>
#include <string.h>

static bool is_space(int c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The next word of a header, after white space and comments. */
static deq_status word(const deq_source *s, size_t *at, const char **text, size_t *length)
{
    while (*at < s->size && (is_space(s->data[*at]) || s->data[*at] == '#')) {
        if (s->data[*at] == '#')
            while (*at < s->size && s->data[*at] != '\n') (*at)++;
        else
            (*at)++;
    }
    const size_t start = *at;
    while (*at < s->size && !is_space(s->data[*at]) && s->data[*at] != '#') (*at)++;
    *text = (const char *)s->data + start;
    *length = *at - start;
    if (*at == s->size) return deq_source_fail(s, start, "the file ends within the header");
    return DEQ_OK;
}

static deq_status integer(const deq_source *s, size_t *at, int64_t most, const char *what,
                          int64_t *value)
{
    const char *text;
    size_t length;
    char quoted[DEQ_QUOTED_BYTES];

    DEQ_TRY(word(s, at, &text, &length));
    if (deq_number_i64(value, text, length) && *value >= 1 && *value <= most) return DEQ_OK;
    return deq_source_fail(s, *at - length, "expected %s from 1 to %lld, found '%s'", what,
                           (long long)most, deq_quote(quoted, text, length));
}

static deq_status extents(const deq_source *s, size_t *at, int64_t *width, int64_t *height)
{
    if (s->size == *at || !is_space(s->data[*at]))
        return deq_source_fail(s, *at, "expected a white space");
    DEQ_TRY(integer(s, at, INT32_MAX, "a width", width));
    return integer(s, at, INT32_MAX, "a height", height);
}

/* One white space, and the header is over. */
static deq_status end_header(const deq_source *s, size_t *at)
{
    if (!is_space(s->data[*at])) return deq_source_fail(s, *at, "expected a white space");
    (*at)++;
    return DEQ_OK;
}

/* Exactly so many bytes must follow. */
static deq_status check_rest(const deq_source *s, size_t at, int64_t width, int64_t height,
                             size_t pixel)
{
    size_t bytes;

    if (deq_size_mul(&bytes, (size_t)width, (size_t)height) && deq_size_mul(&bytes, bytes, pixel) &&
        bytes == s->size - at)
        return DEQ_OK;
    return deq_source_fail(s, at,
                           "%zu bytes follow the header, but %lld x %lld pixels of %zu bytes "
                           "are announced",
                           s->size - at, (long long)width, (long long)height, pixel);
}

/* PGM and PPM. */

static deq_status read_samples(deq_image *image, const deq_source *s, size_t start)
{
    const size_t channels = (size_t)image->channels;
    const size_t plane = (size_t)(image->height * image->width);
    const bool deep = image->sample == DEQ_SAMPLE_U16;
    const unsigned char *p = s->data + start;

    for (size_t i = 0; i < plane; i++)
        for (size_t c = 0; c < channels; c++) {
            const size_t k = i * channels + c, to = c * plane + i;
            const int sample = deep ? p[2 * k] << 8 | p[2 * k + 1] : p[k];
            if (sample > image->maximum)
                return deq_source_fail(s, start + (deep ? 2 * k : k),
                                       "found the sample %d, expected at most %d", sample,
                                       (int)image->maximum);
            if (deep)
                ((uint16_t *)image->data)[to] = (uint16_t)sample;
            else
                ((uint8_t *)image->data)[to] = (uint8_t)sample;
        }
    return DEQ_OK;
}

deq_status deq_netpbm_decode(deq_image **out, const deq_source *s)
{
    const int64_t channels = s->data[1] == '6' ? 3 : 1;
    int64_t width, height, maximum;
    size_t at = 2;

    DEQ_TRY(extents(s, &at, &width, &height));
    DEQ_TRY(integer(s, &at, 65535, "a maximum", &maximum));
    DEQ_TRY(end_header(s, &at));
    const size_t size = maximum > 255 ? 2 : 1;
    DEQ_TRY(check_rest(s, at, width, height, size * (size_t)channels));
    DEQ_TRY(deq_image_make(out, s, size == 2 ? DEQ_SAMPLE_U16 : DEQ_SAMPLE_U8, (int32_t)maximum,
                           channels, height, width));
    return read_samples(*out, s, at);
}

deq_status deq_netpbm_encode(deq_output *o, const deq_image *image)
{
    char header[100];
    deq_text t = { header, sizeof header, 0 };
    const bool deep = image->sample == DEQ_SAMPLE_U16;
    const int64_t plane = image->height * image->width;

    if (image->maximum < (deep ? 256 : 1) || image->maximum > (deep ? 65535 : 255))
        return deq_fail(o->ctx, DEQ_ERR_ARGUMENT, "%s: samples up to %d", o->path,
                        (int)image->maximum);
    deq_text_add(&t, "P%d\n%lld %lld\n%d\n", image->channels == 3 ? 6 : 5, (long long)image->width,
                 (long long)image->height, (int)image->maximum);
    deq_output_write(o, header, t.length);
    for (int64_t i = 0; i < plane; i++)
        for (int64_t c = 0; c < image->channels; c++) {
            const int sample = deep ? ((const uint16_t *)image->data)[c * plane + i]
                                    : ((const uint8_t *)image->data)[c * plane + i];
            const unsigned char bytes[] = { (unsigned char)(sample >> 8),
                                            (unsigned char)(sample & 255) };
            deq_output_write(o, deep ? bytes : bytes + 1, deep ? 2 : 1);
        }
    return DEQ_OK;
}

/* Floats. */

static float load_float(const unsigned char *p, bool big)
{
    const uint32_t bits = big ? deq_be32(p) : deq_le32(p);
    float x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

static void write_float(deq_output *o, float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof bits);
    const unsigned char bytes[] = { (unsigned char)(bits & 255), (unsigned char)(bits >> 8 & 255),
                                    (unsigned char)(bits >> 16 & 255),
                                    (unsigned char)(bits >> 24) };
    deq_output_write(o, bytes, sizeof bytes);
}

static void read_floats(deq_image *image, const unsigned char *p, bool big, bool upwards)
{
    const int64_t plane = image->height * image->width;
    float *to = image->data;

    for (int64_t y = 0; y < image->height; y++)
        for (int64_t x = 0; x < image->width; x++)
            for (int64_t c = 0; c < image->channels; c++, p += 4) {
                const int64_t row = upwards ? image->height - 1 - y : y;
                to[c * plane + row * image->width + x] = load_float(p, big);
            }
}

static void write_floats(deq_output *o, const deq_image *image, bool upwards)
{
    const int64_t plane = image->height * image->width;
    const float *from = image->data;

    for (int64_t y = 0; y < image->height; y++)
        for (int64_t x = 0; x < image->width; x++)
            for (int64_t c = 0; c < image->channels; c++) {
                const int64_t row = upwards ? image->height - 1 - y : y;
                write_float(o, from[c * plane + row * image->width + x]);
            }
}

/* PFM.  The scale's sign tells the order of bytes; its value has no agreed meaning. */

deq_status deq_pfm_decode(deq_image **out, const deq_source *s)
{
    const int64_t channels = s->data[1] == 'F' ? 3 : 1;
    int64_t width, height;
    size_t at = 2, length;
    const char *text;
    char quoted[DEQ_QUOTED_BYTES];
    double scale;

    DEQ_TRY(extents(s, &at, &width, &height));
    DEQ_TRY(word(s, &at, &text, &length));
    if (!deq_number_f64(&scale, text, length) || scale == 0)
        return deq_source_fail(s, at - length, "expected a scale other than 0, found '%s'",
                               deq_quote(quoted, text, length));
    DEQ_TRY(end_header(s, &at));
    DEQ_TRY(check_rest(s, at, width, height, 4 * (size_t)channels));
    DEQ_TRY(deq_image_make(out, s, DEQ_SAMPLE_F32, 0, channels, height, width));
    read_floats(*out, s->data + at, scale > 0, true);
    return DEQ_OK;
}

deq_status deq_pfm_encode(deq_output *o, const deq_image *image)
{
    char header[100];
    deq_text t = { header, sizeof header, 0 };

    deq_text_add(&t, "P%c\n%lld %lld\n-1.0\n", image->channels == 3 ? 'F' : 'f',
                 (long long)image->width, (long long)image->height);
    deq_output_write(o, header, t.length);
    write_floats(o, image, true);
    return DEQ_OK;
}

/* Flow; the first float is "PIEH" as text. */

deq_status deq_flo_decode(deq_image **out, const deq_source *s)
{
    DEQ_TRY(deq_source_need(s, 4, 8, "the width and height"));
    const int64_t width = deq_le32(s->data + 4), height = deq_le32(s->data + 8);
    DEQ_TRY(check_rest(s, 12, width, height, 8));
    DEQ_TRY(deq_image_make(out, s, DEQ_SAMPLE_F32, 0, 2, height, width));
    read_floats(*out, s->data + 12, false, false);
    return DEQ_OK;
}

deq_status deq_flo_encode(deq_output *o, const deq_image *image)
{
    if (image->width > INT32_MAX || image->height > INT32_MAX)
        return deq_fail(o->ctx, DEQ_ERR_ARGUMENT, "%s: too many pixels", o->path);
    write_float(o, 202021.25f);
    for (int i = 0; i < 2; i++) {
        const uint32_t n = (uint32_t)(i ? image->height : image->width);
        const unsigned char bytes[] = { (unsigned char)(n & 255), (unsigned char)(n >> 8 & 255),
                                        (unsigned char)(n >> 16 & 255), (unsigned char)(n >> 24) };
        deq_output_write(o, bytes, sizeof bytes);
    }
    write_floats(o, image, false);
    return DEQ_OK;
}
