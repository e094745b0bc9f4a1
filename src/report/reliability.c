/* SPDX-License-Identifier: MIT */
/*
 * Reliability diagrams.
 *
 *     accuracy of a bin            p = s / n
 *     Wilson's interval            (p + z^2 / 2n +- z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)
 *     expected calibration error   sum_b n_b |p_b - c_b| / sum_b n_b,  c_b the mean confidence
 */
#include "report/plot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static size_t bin_of(double confidence, size_t n_bins)
{
    const double n = (double)n_bins;
    size_t bin = (size_t)(confidence * n);

    if (bin >= n_bins) bin = n_bins - 1;
    /* The product was rounded; the borders are bin / n. */
    while (bin + 1 < n_bins && confidence >= (double)(bin + 1) / n) bin++;
    while (bin > 0 && confidence < (double)bin / n) bin--;
    return bin;
}

static void finish_bin(deq_reliability_bin *b, double z)
{
    const double n = (double)b->count;

    if (b->count == 0) return;
    b->confidence /= n;
    b->accuracy /= n;
    if (!(z > 0)) return;
    const double p = b->accuracy, scale = 1 + z * z / n, centre = p + z * z / (2 * n);
    const double half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n));
    b->accuracy_low = fmax(0, (centre - half) / scale);
    b->accuracy_high = fmin(1, (centre + half) / scale);
}

size_t deq_reliability_sort(deq_reliability_bin *bins, size_t n_bins, const double *confidence,
                            const bool *correct, size_t count, double z)
{
    size_t skipped = 0;

    for (size_t b = 0; b < n_bins; b++)
        bins[b] = (deq_reliability_bin){ .low = (double)b / (double)n_bins,
                                         .high = (double)(b + 1) / (double)n_bins };
    for (size_t i = 0; i < count; i++) {
        if (!(confidence[i] >= 0 && confidence[i] <= 1)) {
            skipped++;
            continue;
        }
        deq_reliability_bin *b = &bins[bin_of(confidence[i], n_bins)];
        b->count++;
        b->confidence += confidence[i];
        b->accuracy += correct[i];
    }
    for (size_t b = 0; b < n_bins; b++) finish_bin(&bins[b], z);
    return skipped;
}

double deq_reliability_error(const deq_reliability_bin *bins, size_t n_bins)
{
    double sum = 0, count = 0;

    for (size_t b = 0; b < n_bins; b++) {
        if (bins[b].count <= 0) continue;
        sum += (double)bins[b].count * fabs(bins[b].accuracy - bins[b].confidence);
        count += (double)bins[b].count;
    }
    return count > 0 ? sum / count : 0;
}

static bool is_part(double x)
{
    return x >= 0 && x <= 1;
}

static deq_status check_bins(deq_context *ctx, const deq_reliability_bin *bins, size_t n_bins)
{
    if (!bins || n_bins < 1) return deq_fail(ctx, DEQ_ERR_ARGUMENT, "reliability diagram: no bins");
    for (size_t i = 0; i < n_bins; i++) {
        const deq_reliability_bin *b = &bins[i];
        if (!(b->low < b->high) || !deq_axis_shows(DEQ_SCALE_LINEAR, b->low) ||
            !deq_axis_shows(DEQ_SCALE_LINEAR, b->high) || (i > 0 && b->low < b[-1].high))
            return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                            "reliability diagram: bin %zu from %g to %g does not rise", i, b->low,
                            b->high);
        if (b->count < 0 || (b->count > 0 && (!is_part(b->accuracy) || !is_part(b->accuracy_low) ||
                                              !is_part(b->accuracy_high))))
            return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                            "reliability diagram: bin %zu: %lld predictions of accuracy %g", i,
                            (long long)b->count, b->accuracy);
        if (b->count > 0 && !deq_axis_shows(DEQ_SCALE_LINEAR, b->confidence))
            return deq_fail(ctx, DEQ_ERR_ARGUMENT, "reliability diagram: bin %zu: confidence %g", i,
                            b->confidence);
    }
    return DEQ_OK;
}

/* "confidence 0.83, accuracy 0.79 (0.7 to 0.85), 120 predictions" */
static void describe(char *text, size_t capacity, const deq_plot *plot,
                     const deq_reliability_bin *b)
{
    char c[DEQ_NUMBER_BYTES], a[DEQ_NUMBER_BYTES], l[DEQ_NUMBER_BYTES], h[DEQ_NUMBER_BYTES];
    char interval[64] = "";

    if (b->accuracy_low < b->accuracy_high)
        snprintf(interval, sizeof interval, " (%.16s to %.16s)",
                 deq_number_text(l, 'g', 3, b->accuracy_low),
                 deq_number_text(h, 'g', 3, b->accuracy_high));
    snprintf(text, capacity, "%.60s %.16s, %.60s %.16s%s, %lld prediction%s", plot->o.x.label,
             deq_number_text(c, 'g', 4, b->confidence), plot->o.y.label,
             deq_number_text(a, 'g', 4, b->accuracy), interval, (long long)b->count,
             b->count == 1 ? "" : "s");
}

enum { TITLE_BYTES = 256 };

/* The series of a diagram, in arrays of n_bins. */
typedef struct columns {
    double *x, *y, *low, *high;
    const char **titles;
    char (*texts)[TITLE_BYTES];
} columns;

static bool make_columns(columns *c, deq_arena *arena, size_t n)
{
    c->x = deq_arena_alloc(arena, n * sizeof *c->x);
    c->y = deq_arena_alloc(arena, n * sizeof *c->y);
    c->low = deq_arena_alloc(arena, n * sizeof *c->low);
    c->high = deq_arena_alloc(arena, n * sizeof *c->high);
    c->titles = deq_arena_alloc(arena, n * sizeof *c->titles);
    c->texts = deq_arena_alloc(arena, n * sizeof *c->texts);
    return c->x && c->y && c->low && c->high && c->titles && c->texts;
}

static deq_status add_bins(deq_plot *plot, const deq_reliability_bin *bins, size_t n_bins)
{
    columns c;
    size_t n = 0, bytes;

    if (!deq_size_mul(&bytes, n_bins, TITLE_BYTES)) return DEQ_ERR_NOMEM;
    plot->bins = deq_arena_copy(&plot->arena, bins, n_bins * sizeof *bins);
    if (!plot->bins || !make_columns(&c, &plot->arena, n_bins)) return DEQ_ERR_NOMEM;
    plot->n_bins = n_bins;
    for (size_t i = 0; i < n_bins; i++) {
        const deq_reliability_bin *b = &bins[i];
        if (b->count == 0) continue;
        const bool interval = b->accuracy_low < b->accuracy_high;
        c.x[n] = b->confidence;
        c.y[n] = b->accuracy;
        c.low[n] = interval ? b->accuracy_low : b->accuracy;
        c.high[n] = interval ? b->accuracy_high : b->accuracy;
        describe(c.texts[n], TITLE_BYTES, plot, b);
        c.titles[n] = c.texts[n];
        n++;
    }
    deq_plot_guide(plot, DEQ_GUIDE_DIAGONAL, 0, NULL);
    deq_plot_add(plot, DEQ_SERIES(.mark = DEQ_MARK_LINE_POINTS, .count = n, .x = c.x, .y = c.y,
                                  .low = c.low, .high = c.high, .titles = c.titles));
    return deq_mistake_status(&plot->mistake, plot->ctx);
}

deq_status deq_plot_reliability(deq_plot **out, deq_context *ctx, const deq_reliability_bin *bins,
                                size_t n_bins, const deq_reliability_options *options)
{
    const deq_reliability_options o = options
                                          ? *options
                                          : (deq_reliability_options){ .struct_size = sizeof o };

    *out = NULL;
    if (o.struct_size != sizeof o)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                        "reliability diagram: struct_size is %zu, expected %zu", o.struct_size,
                        sizeof o);
    DEQ_TRY(check_bins(ctx, bins, n_bins));
    deq_plot *plot;
    DEQ_TRY(deq_plot_new(&plot, ctx,
                         DEQ_PLOT(.title = o.title,
                                  .x = { .label = o.x_label ? o.x_label : "confidence",
                                         .fixed = true,
                                         .low = bins[0].low,
                                         .high = bins[n_bins - 1].high },
                                  .y = { .label = o.y_label ? o.y_label : "accuracy",
                                         .fixed = true,
                                         .low = 0,
                                         .high = 1 },
                                  .width = o.width ? o.width : 480,
                                  .height = o.height ? o.height : 460)));
    deq_status status = add_bins(plot, bins, n_bins);
    if (status == DEQ_OK)
        *out = plot;
    else
        deq_plot_free(plot);
    return status;
}

static void rectangle(deq_page *p, const char *class, double left, double top, double right,
                      double bottom)
{
    deq_page_format(p, "<rect class=\"%s\" x=\"", class);
    deq_page_place(p, left);
    deq_page_raw(p, "\" y=\"");
    deq_page_place(p, top);
    deq_page_raw(p, "\" width=\"");
    deq_page_place(p, right - left);
    deq_page_raw(p, "\" height=\"");
    deq_page_place(p, bottom - top);
    deq_page_raw(p, "\">");
}

void deq_reliability_gaps(deq_frame *f)
{
    for (size_t i = 0; i < f->plot->n_bins; i++) {
        const deq_reliability_bin *b = &f->plot->bins[i];
        if (b->count == 0) continue;
        const double a = deq_map_place(&f->y, b->accuracy);
        const double c = deq_map_place(&f->y, b->confidence);
        rectangle(f->page, "e", deq_map_place(&f->x, b->low) + 1, fmin(a, c),
                  deq_map_place(&f->x, b->high) - 1, fmax(a, c));
        deq_page_raw(f->page, "</rect>\n");
    }
}

void deq_reliability_strip(deq_frame *f, double top, double height)
{
    int64_t most = 1;

    for (size_t i = 0; i < f->plot->n_bins; i++)
        if (f->plot->bins[i].count > most) most = f->plot->bins[i].count;
    deq_page_raw(f->page, "<g class=\"k8\">");
    for (size_t i = 0; i < f->plot->n_bins; i++) {
        const deq_reliability_bin *b = &f->plot->bins[i];
        if (b->count == 0) continue;
        const double size = fmax(1, height * ((double)b->count / (double)most));
        rectangle(f->page, "r", deq_map_place(&f->x, b->low) + 1, top + height - size,
                  deq_map_place(&f->x, b->high) - 1, top + height);
        deq_page_format(f->page, "<title>%lld</title></rect>\n", (long long)b->count);
    }
    deq_page_raw(f->page, "</g><text class=\"n\" text-anchor=\"end\" x=\"-6\" y=\"");
    deq_page_place(f->page, top + 10);
    deq_page_format(f->page, "\">%lld</text>", (long long)most);
}

void deq_reliability_note(deq_page *p, const deq_plot *plot)
{
    int64_t count = 0;

    for (size_t i = 0; i < plot->n_bins; i++) count += plot->bins[i].count;
    deq_page_raw(p, "expected calibration error ");
    deq_page_number(p, deq_reliability_error(plot->bins, plot->n_bins), 3);
    deq_page_format(p, ", %lld predictions", (long long)count);
}
