/* SPDX-License-Identifier: MIT */
/* Images: memory, the choice of a format, and samples as numbers. */
#include "io/image.h"

#include <string.h>

size_t deq_sample_size(deq_sample sample)
{
    switch (sample) {
    case DEQ_SAMPLE_U8: return 1;
    case DEQ_SAMPLE_U16: return 2;
    case DEQ_SAMPLE_F32: return 4;
    }
    return 0;
}

static bool bytes_of(size_t *bytes, deq_sample sample, int64_t channels, int64_t height,
                     int64_t width)
{
    *bytes = deq_sample_size(sample);
    return deq_size_mul(bytes, *bytes, (size_t)channels) &&
           deq_size_mul(bytes, *bytes, (size_t)height) &&
           deq_size_mul(bytes, *bytes, (size_t)width);
}

static size_t image_bytes(const deq_image *image)
{
    return deq_sample_size(image->sample) *
           (size_t)(image->channels * image->height * image->width);
}

deq_status deq_image_new(deq_image **out, deq_context *ctx, deq_sample sample, int64_t channels,
                         int64_t height, int64_t width)
{
    size_t bytes;

    *out = NULL;
    if (deq_sample_size(sample) == 0)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "%d is no type of samples", (int)sample);
    if (channels < 1 || height < 1 || width < 1)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "an image of [%lld, %lld, %lld]",
                        (long long)channels, (long long)height, (long long)width);
    if (!bytes_of(&bytes, sample, channels, height, width))
        return deq_fail(ctx, DEQ_ERR_OVERFLOW, "an image of [%lld, %lld, %lld] is too large",
                        (long long)channels, (long long)height, (long long)width);
    deq_image *image = deq_alloc(ctx, sizeof *image);
    if (!image) return DEQ_ERR_NOMEM;
    const int32_t maximum = sample == DEQ_SAMPLE_U8 ? 255 : sample == DEQ_SAMPLE_U16 ? 65535 : 0;
    *image = (deq_image){ sample, maximum, channels, height, width, deq_alloc(ctx, bytes), ctx };
    if (!image->data) {
        deq_release(ctx, image, sizeof *image);
        return DEQ_ERR_NOMEM;
    }
    *out = image;
    return DEQ_OK;
}

void deq_image_free(deq_image *image)
{
    if (!image) return;
    deq_release(image->context, image->data, image_bytes(image));
    deq_release(image->context, image, sizeof *image);
}

deq_status deq_image_make(deq_image **out, const deq_source *s, deq_sample sample, int32_t maximum,
                          int64_t channels, int64_t height, int64_t width)
{
    if (channels < 1 || height < 1 || width < 1)
        return deq_source_fail(s, 0, "an image of %lld x %lld pixels", (long long)width,
                               (long long)height);
    DEQ_TRY(deq_image_new(out, s->ctx, sample, channels, height, width));
    (*out)->maximum = maximum;
    return DEQ_OK;
}

void deq_image_from_pixels(deq_image *image, const void *pixels)
{
    const size_t size = deq_sample_size(image->sample), channels = (size_t)image->channels;
    const size_t plane = (size_t)(image->height * image->width);
    const unsigned char *from = pixels;
    unsigned char *to = image->data;

    for (size_t c = 0; c < channels; c++)
        for (size_t i = 0; i < plane; i++)
            memcpy(to + (c * plane + i) * size, from + (i * channels + c) * size, size);
}

void deq_image_to_pixels(void *pixels, const deq_image *image, int64_t y)
{
    const size_t size = deq_sample_size(image->sample), channels = (size_t)image->channels;
    const size_t width = (size_t)image->width, plane = (size_t)image->height * width;
    const unsigned char *from = (const unsigned char *)image->data + (size_t)y * width * size;
    unsigned char *to = pixels;

    for (size_t c = 0; c < channels; c++)
        for (size_t x = 0; x < width; x++)
            memcpy(to + (x * channels + c) * size, from + (c * plane + x) * size, size);
}

/* Formats. */

static const struct format {
    const char *name, *ending;
    const char *magic;
    size_t magic_bytes;
    deq_status (*decode)(deq_image **out, const deq_source *s);
    deq_status (*encode)(deq_output *o, const deq_image *image);
    unsigned samples, channels; /* that it can be written from: bits */
} formats[] = {
#define INTEGERS (1u << DEQ_SAMPLE_U8 | 1u << DEQ_SAMPLE_U16)
#define REALS (1u << DEQ_SAMPLE_F32)
    { "PNG", ".png", "\x89PNG\r\n\x1a\n", 8, deq_png_decode, deq_png_encode, INTEGERS, 30 },
    { "JPEG", NULL, "\xff\xd8\xff", 3, deq_jpeg_decode, NULL, 0, 0 },
    { "PPM", ".ppm", "P6", 2, deq_netpbm_decode, deq_netpbm_encode, INTEGERS, 8 },
    { "PGM", ".pgm", "P5", 2, deq_netpbm_decode, deq_netpbm_encode, INTEGERS, 2 },
    { "PFM", ".pfm", "PF", 2, deq_pfm_decode, deq_pfm_encode, REALS, 10 },
    { "PFM", NULL, "Pf", 2, deq_pfm_decode, NULL, 0, 0 },
    { "flow", ".flo", "PIEH", 4, deq_flo_decode, deq_flo_encode, REALS, 4 },
};

#define N_FORMATS (sizeof formats / sizeof *formats)

static deq_status decode(deq_image **out, const deq_source *s)
{
    char quoted[DEQ_QUOTED_BYTES];

    *out = NULL;
    for (size_t i = 0; i < N_FORMATS; i++) {
        const struct format *f = &formats[i];
        if (s->size < f->magic_bytes || memcmp(s->data, f->magic, f->magic_bytes) != 0) continue;
        deq_image *image = NULL;
        deq_status status = f->decode(&image, s);
        if (status == DEQ_OK)
            *out = image;
        else
            deq_image_free(image);
        return status;
    }
    return deq_source_fail(s, 0,
                           "expected a PNG, JPEG, PPM, PGM, PFM or flow file, which '%s' does "
                           "not begin",
                           deq_quote(quoted, s->data, s->size < 8 ? s->size : 8));
}

deq_status deq_image_read(deq_image **out, deq_context *ctx, const char *path)
{
    deq_source s;

    *out = NULL;
    DEQ_TRY(deq_source_open(&s, ctx, path));
    deq_status status = decode(out, &s);
    deq_source_close(&s);
    return status;
}

deq_status deq_image_parse(deq_image **out, deq_context *ctx, const void *bytes, size_t size)
{
    const deq_source s = deq_source_memory(ctx, bytes, size);

    return decode(out, &s);
}

static bool ends_with(const char *path, const char *ending)
{
    const size_t n = strlen(path), m = strlen(ending);

    if (n < m) return false;
    for (size_t i = 0; i < m; i++) {
        const char c = path[n - m + i];
        if ((c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c) != ending[i]) return false;
    }
    return true;
}

deq_status deq_image_write(const deq_image *image, const char *path)
{
    deq_output o;

    for (size_t i = 0; path && i < N_FORMATS; i++) {
        const struct format *f = &formats[i];
        if (!f->ending || !ends_with(path, f->ending)) continue;
        if (!(f->samples >> image->sample & 1) || image->channels > 4 ||
            !(f->channels >> image->channels & 1))
            return deq_fail(image->context, DEQ_ERR_ARGUMENT,
                            "%s: a %s file cannot hold %lld channels of %zu-byte samples", path,
                            f->name, (long long)image->channels, deq_sample_size(image->sample));
        DEQ_TRY(deq_output_open(&o, image->context, path));
        return deq_output_close(&o, f->encode(&o, image));
    }
    return deq_fail(image->context, DEQ_ERR_UNSUPPORTED,
                    "%s: images are written as .png, .ppm, .pgm, .pfm or .flo",
                    path ? path : "no name");
}

/* Samples as numbers. */

static float value(const deq_image *image, int64_t i)
{
    switch (image->sample) {
    case DEQ_SAMPLE_U8: return (float)((const uint8_t *)image->data)[i] / (float)image->maximum;
    case DEQ_SAMPLE_U16: return (float)((const uint16_t *)image->data)[i] / (float)image->maximum;
    case DEQ_SAMPLE_F32: return ((const float *)image->data)[i];
    }
    return 0;
}

deq_status deq_image_values(float *values, const deq_image *image, int64_t channels)
{
    const int64_t plane = image->height * image->width, have = image->channels;
    const int64_t colours = have >= 3 ? 3 : 1; /* without alpha */

    if (channels != have && ((channels != 1 && channels != 3) || have > 4))
        return deq_fail(image->context, DEQ_ERR_ARGUMENT, "%lld channels asked of an image of %lld",
                        (long long)channels, (long long)have);
    for (int64_t c = 0; c < channels; c++)
        for (int64_t i = 0; i < plane; i++) {
            if (channels == have || channels == colours)
                values[c * plane + i] = value(image, c * plane + i);
            else if (colours == 1)
                values[c * plane + i] = value(image, i);
            else
                values[i] = 0.299f * value(image, i) + 0.587f * value(image, plane + i) +
                            0.114f * value(image, 2 * plane + i);
        }
    return DEQ_OK;
}
