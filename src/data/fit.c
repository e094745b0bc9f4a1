/* SPDX-License-Identifier: MIT */
/*
 * Resizing and cutting in one go.  With r = min(h / H, w / W), the old pixels that a new one spans,
 * new pixel i is centred on u of an axis of h old and H new pixels,
 *
 *   (1)  u = (h - H r) / 2 + (i + 1/2) r,
 *
 * and is the mean of old pixels j, which are centred on j + 1/2, weighted by a triangle
 *
 *   (2)  max(0, 1 - |j + 1/2 - u| / max(r, 1)):
 *
 * linear interpolation where the image grows, and where it shrinks a filter as wide as two new pixels,
 * so that fine patterns do not turn into coarse ones.  Rows first, then columns.
 */
#include "data/fit.h"

#include <math.h>
#include <string.h>

/* What one axis does. */
typedef struct axis {
    int64_t from, to;
    double ratio, offset; /* r, and the first summand of (1) */
} axis;

/* The weights of (2), which sum up to 1, from `first` on.  Returns how many; at most axis_span(). */
static int64_t axis_weights(float *weights, int64_t *first, const axis *a, int64_t i)
{
    const double centre = a->offset + ((double)i + 0.5) * a->ratio, width = fmax(a->ratio, 1.0);
    int64_t last = (int64_t)ceil(centre + width - 0.5), n = 0;
    double sum = 0;

    *first = (int64_t)floor(centre - width - 0.5) + 1;
    if (*first < 0) *first = 0;
    if (last > a->from) last = a->from;
    for (int64_t j = *first; j < last; j++) {
        const double weight = 1.0 - fabs((double)j + 0.5 - centre) / width;
        weights[n++] = (float)fmax(weight, 0.0);
        sum += fmax(weight, 0.0);
    }
    for (int64_t k = 0; k < n; k++) weights[k] = (float)(weights[k] / sum);
    return n;
}

static size_t axis_span(const axis *a)
{
    return 2 * (size_t)ceil(fmax(a->ratio, 1.0)) + 2;
}

/* Rows of `pitch` numbers: out[i] = sum of weights times in[first + k]. */
static void scale_rows(float *out, const float *in, const axis *a, int64_t pitch, float *weights)
{
    for (int64_t i = 0; i < a->to; i++) {
        int64_t first;
        const int64_t n = axis_weights(weights, &first, a, i);
        float *row = out + i * pitch;
        memset(row, 0, (size_t)pitch * sizeof *row);
        for (int64_t k = 0; k < n; k++)
            for (int64_t x = 0; x < pitch; x++) row[x] += weights[k] * in[(first + k) * pitch + x];
    }
}

static void scale_columns(float *out, const float *in, const axis *a, int64_t rows, float *weights)
{
    for (int64_t i = 0; i < a->to; i++) {
        int64_t first;
        const int64_t n = axis_weights(weights, &first, a, i);
        for (int64_t y = 0; y < rows; y++) {
            float sum = 0;
            for (int64_t k = 0; k < n; k++) sum += weights[k] * in[y * a->from + first + k];
            out[y * a->to + i] = sum;
        }
    }
}

deq_status deq_fit_image(float *out, deq_context *ctx, const float *in, int64_t channels,
                         int64_t from_height, int64_t from_width, int64_t height, int64_t width)
{
    const double ratio = fmin((double)from_height / (double)height,
                              (double)from_width / (double)width);
    const axis y = { from_height, height, ratio,
                     ((double)from_height - (double)height * ratio) / 2 };
    const axis x = { from_width, width, ratio, ((double)from_width - (double)width * ratio) / 2 };
    size_t elements;

    if (from_height == height && from_width == width) {
        memcpy(out, in, (size_t)(channels * height * width) * sizeof *out);
        return DEQ_OK;
    }
    if (!deq_size_mul(&elements, (size_t)height, (size_t)from_width) ||
        !deq_size_add(&elements, elements, axis_span(&y)))
        return deq_fail(ctx, DEQ_ERR_NOMEM, "out of memory: %lld rows of %lld pixels",
                        (long long)height, (long long)from_width);
    float *rows = deq_alloc_array(ctx, elements, sizeof *rows);
    if (!rows) return DEQ_ERR_NOMEM;
    float *weights = rows + height * from_width;
    for (int64_t c = 0; c < channels; c++) {
        scale_rows(rows, in + c * from_height * from_width, &y, from_width, weights);
        scale_columns(out + c * height * width, rows, &x, height, weights);
    }
    deq_release(ctx, rows, elements * sizeof *rows);
    return DEQ_OK;
}
