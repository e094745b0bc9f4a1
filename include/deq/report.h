/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Reports: one HTML page that needs nothing else (no script, no font, no network), light or dark as
 * the reader likes, and printable; and plots, in it or alone as SVG.
 *
 *     deq_plot_new(&plot, ctx, DEQ_PLOT(.title = "Loss", .y = { .label = "loss", .scale = DEQ_SCALE_LOG }));
 *     deq_plot_add(plot, DEQ_SERIES(.name = "training", .count = n, .x = step, .y = loss));
 *     deq_report_new(&report, ctx, "Run 7");
 *     deq_report_plot(report, plot, "Each point is the mean of a hundred steps.");
 *     status = deq_report_save(report, "run7.html");
 *
 * Additions never fail half-way: the first mistake marks the report or plot, later additions are
 * ignored, and writing reports it.  All data and texts are copied or rendered when they are added.
 *
 * Texts are UTF-8 and may hold anything: they are escaped, and what is no character becomes U+FFFD.
 * Numbers are written with a point, whatever the locale (what a caller's format writes is the
 * caller's).  The same additions give the same bytes.
 */
#ifndef DEQ_REPORT_H
#define DEQ_REPORT_H

#include <deq/context.h>
#include <deq/write.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
/** Arguments are checked against the format. */
#define DEQ_REPORT_PRINTF(at, first) __attribute__((format(printf, at, first)))
#else
/** Arguments are not checked. */
#define DEQ_REPORT_PRINTF(at, first)
#endif

/* Plots. */

/** See report.h. */
typedef struct deq_plot deq_plot;

/** How an axis maps numbers to places. */
typedef enum deq_scale {
    DEQ_SCALE_LINEAR = 0, /**< evenly */
    DEQ_SCALE_LOG         /**< by their logarithm; numbers not above zero are left out, and said */
} deq_scale;

/** An axis; zero fields are the defaults. */
typedef struct deq_axis {
    const char *label; /**< NULL (default): none */
    deq_scale scale;   /**< default linear */
    bool fixed;        /**< from `low` to `high`; default: as far as the data reach */
    double low;        /**< if fixed: finite; above zero on a logarithmic axis */
    double high;       /**< if fixed: finite, above low */
} deq_axis;

/** Settings of a plot; zero fields are the defaults. */
typedef struct deq_plot_options {
    size_t struct_size;            /**< sizeof(deq_plot_options) */
    const char *title;             /**< NULL (default): none */
    deq_axis x;                    /**< the level axis */
    deq_axis y;                    /**< the upright axis */
    const char *const *categories; /**< names of x = 0, 1, ... instead of numbers; NULL (default) */
    size_t n_categories;           /**< length of categories */
    int width;                     /**< pixels, 160 to 4000; 0 (default): 640 */
    int height;                    /**< pixels, 160 to 4000; 0 (default): 400 */
    size_t most_points; /**< of a series that are drawn, >= 16; 0 (default): 600.  More are thinned
                             so that no extreme is lost, and the plot says so */
} deq_plot_options;

/** Settings in place: DEQ_PLOT(.title = "Loss"). */
#define DEQ_PLOT(...) (&(deq_plot_options){ .struct_size = sizeof(deq_plot_options), __VA_ARGS__ })

/** How a series is drawn. */
typedef enum deq_mark {
    DEQ_MARK_LINE = 0,    /**< straight from point to point, broken where a number is missing */
    DEQ_MARK_STEP,        /**< each value holds until the next x */
    DEQ_MARK_SCATTER,     /**< points alone; each series has its shape */
    DEQ_MARK_LINE_POINTS, /**< line and points */
    DEQ_MARK_BAR          /**< bars from zero; several series stand side by side */
} deq_mark;

/** A series; zero fields are the defaults. */
typedef struct deq_series {
    size_t struct_size; /**< sizeof(deq_series) */
    const char *name;   /**< in the legend; NULL (default): not there */
    deq_mark mark;      /**< default line */
    size_t count;       /**< points; 0 is allowed */
    const double *x;    /**< [count]; NULL (default): 0, 1, ... */
    const double *y;    /**< [count]; NULL only if count is 0 */
    const double *low;  /**< [count] an interval around y, with high: a band (lines, steps) or
                                    whiskers (points, bars); both or neither (NULL, default) */
    const double *high; /**< [count] its upper end */
    const char *const
        *titles; /**< [count] what hovering over a point shows; NULL (default): x, y */
    int color;   /**< 1 to 8; 0 (default): the next one */
    bool dashed; /**< lines; default false */
} deq_series;

/** A series in place: DEQ_SERIES(.name = "loss", .count = n, .y = loss). */
#define DEQ_SERIES(...) (&(deq_series){ .struct_size = sizeof(deq_series), __VA_ARGS__ })

/** Lines that are no data. */
typedef enum deq_guide {
    DEQ_GUIDE_X = 0,   /**< upright, at an x: the depth that a model was trained with */
    DEQ_GUIDE_Y,       /**< level, at a y: the accuracy of chance */
    DEQ_GUIDE_DIAGONAL /**< y = x */
} deq_guide;

/**
 * Begin a plot.
 *
 * @param out     receives the plot; free with deq_plot_free().  NULL on failure.
 * @param ctx     supplies memory; must outlive the plot.
 * @param options NULL for the defaults; texts are copied.
 * @return DEQ_OK, DEQ_ERR_ARGUMENT (options), DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_plot_new(deq_plot **out, deq_context *ctx, const deq_plot_options *options);

/**
 * Free a plot.
 *
 * @param plot NULL is allowed.
 */
DEQ_API void deq_plot_free(deq_plot *plot);

/**
 * Add a series.
 *
 * @param plot   a plot.
 * @param series copied.
 */
DEQ_API void deq_plot_add(deq_plot *plot, const deq_series *series);

/**
 * Add a guide.
 *
 * @param plot  a plot.
 * @param guide which; it stretches an axis that is not fixed, the diagonal does not.
 * @param at    where; not used by the diagonal.
 * @param label at its end; NULL for none.
 */
DEQ_API void deq_plot_guide(deq_plot *plot, deq_guide guide, double at, const char *label);

/** Predictions of about the same confidence. */
typedef struct deq_reliability_bin {
    double low;           /**< least confidence; bins rise and do not overlap */
    double high;          /**< above low */
    int64_t count;        /**< predictions in it, >= 0; what follows is not read if 0 */
    double confidence;    /**< their mean confidence */
    double accuracy;      /**< the part of them that was right */
    double accuracy_low;  /**< interval of the accuracy, lower end; both ends 0: none */
    double accuracy_high; /**< upper end */
} deq_reliability_bin;

/** Settings of a reliability diagram; zero fields are the defaults. */
typedef struct deq_reliability_options {
    size_t struct_size;  /**< sizeof(deq_reliability_options) */
    const char *title;   /**< NULL (default): none */
    const char *x_label; /**< NULL (default): "confidence" */
    const char *y_label; /**< NULL (default): "accuracy" */
    int width;           /**< as deq_plot_options; 0 (default): 480 */
    int height;          /**< as deq_plot_options; 0 (default): 460 */
} deq_reliability_options;

/**
 * Sort predictions into bins of equal width over [0, 1], with Wilson's interval of the accuracy.
 *
 * @param bins       receives n_bins bins.
 * @param n_bins     >= 1; a confidence on a border belongs to the bin above, 1 to the last.
 * @param confidence [count]; what is not in [0, 1] is skipped.
 * @param correct    [count] whether each was right.
 * @param count      predictions.
 * @param z          half width of the interval in standard deviations, e.g. 1.96; 0: none.
 * @return predictions skipped.
 */
DEQ_API size_t deq_reliability_sort(deq_reliability_bin *bins, size_t n_bins,
                                    const double *confidence, const bool *correct, size_t count,
                                    double z);

/**
 * The expected calibration error, sum of count |accuracy - confidence| over sum of count
 * (Naeini, Cooper & Hauskrecht, AAAI 2015).
 *
 * @param bins   n_bins bins.
 * @param n_bins how many.
 * @return in [0, 1]; 0 without predictions.
 */
DEQ_API double deq_reliability_error(const deq_reliability_bin *bins, size_t n_bins);

/**
 * A reliability diagram: accuracy over confidence, the diagonal of perfect calibration, the gaps to
 * it, the counts of the bins in a strip below, and the expected calibration error.
 *
 * @param out     receives the plot; free with deq_plot_free().  NULL on failure.
 * @param ctx     supplies memory; must outlive the plot.
 * @param bins    n_bins bins; copied.
 * @param n_bins  >= 1.
 * @param options NULL for the defaults.
 * @return DEQ_OK, DEQ_ERR_ARGUMENT (options, bins), DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_plot_reliability(deq_plot **out, deq_context *ctx,
                                        const deq_reliability_bin *bins, size_t n_bins,
                                        const deq_reliability_options *options);

/**
 * Write a plot as an SVG file of its own.
 *
 * @param plot  a plot.
 * @param write receives the text.
 * @param user  passed to write.
 * @return DEQ_OK; what an addition did wrong; DEQ_ERR_IO when write refused; DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_plot_write_svg(deq_plot *plot, deq_write_fn *write, void *user);

/**
 * Write a plot to a file, which is replaced at once.
 *
 * @param plot a plot.
 * @param path the file.
 * @return as deq_plot_write_svg(); the old file is intact on failure.
 */
DEQ_API deq_status deq_plot_save_svg(deq_plot *plot, const char *path);

/* Pages. */

/** See report.h. */
typedef struct deq_report deq_report;

/**
 * Begin a report.
 *
 * @param out   receives the report; free with deq_report_free().  NULL on failure.
 * @param ctx   supplies memory; must outlive the report.
 * @param title of the page; copied.
 * @return DEQ_OK, DEQ_ERR_ARGUMENT (no title), DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_report_new(deq_report **out, deq_context *ctx, const char *title);

/**
 * Free a report.
 *
 * @param r NULL is allowed.
 */
DEQ_API void deq_report_free(deq_report *r);

/**
 * Begin a section.  From three sections of level 1 on, the page has a table of contents.
 *
 * @param r     a report.
 * @param level 1 to 3, below the title.
 * @param text  its heading.
 */
DEQ_API void deq_report_heading(deq_report *r, int level, const char *text);

/**
 * Add a paragraph.
 *
 * @param r      a report.
 * @param format as for printf; the result is escaped.
 */
DEQ_API void deq_report_paragraph(deq_report *r, const char *format, ...) DEQ_REPORT_PRINTF(2, 3);

/**
 * Add text as it stands, in letters of equal width: a configuration, a log.
 *
 * @param r       a report.
 * @param summary NULL: shown; otherwise folded behind this text.
 * @param text    lines.
 */
DEQ_API void deq_report_verbatim(deq_report *r, const char *summary, const char *text);

/**
 * A name and a value, in a list of them: rows that follow each other make one table.
 *
 * @param r      a report.
 * @param name   left.
 * @param format of the value, as for printf.
 */
DEQ_API void deq_report_pair(deq_report *r, const char *name, const char *format, ...)
    DEQ_REPORT_PRINTF(3, 4);

/** A column of a table. */
typedef struct deq_column {
    const char *name; /**< its head */
    bool text;        /**< left-aligned; default: right-aligned, as numbers want it */
} deq_column;

/**
 * Begin a table.  Its cells follow, row by row, and deq_report_table_end().
 *
 * @param r         a report.
 * @param caption   NULL for none.
 * @param columns   n_columns columns; copied.
 * @param n_columns 1 to 256.
 * @param folded    whether the reader must open it.
 */
DEQ_API void deq_report_table(deq_report *r, const char *caption, const deq_column *columns,
                              int n_columns, bool folded);

/**
 * The next cell of the table.
 *
 * @param r    a report, within a table.
 * @param text NULL or "": empty.
 */
DEQ_API void deq_report_cell(deq_report *r, const char *text);

/**
 * The next cell, a number.
 *
 * @param r      a report, within a table.
 * @param value  a number; NaN and infinities stand as such.
 * @param digits significant ones, 1 to 17.
 */
DEQ_API void deq_report_number(deq_report *r, double value, int digits);

/**
 * The next cell, a whole number.
 *
 * @param r     a report, within a table.
 * @param value a number.
 */
DEQ_API void deq_report_integer(deq_report *r, int64_t value);

/**
 * End the table; a row that is not complete is a mistake.
 *
 * @param r a report, within a table.
 */
DEQ_API void deq_report_table_end(deq_report *r);

/**
 * Add a plot.  Plots and images that follow each other stand side by side where there is room.
 *
 * @param r       a report.
 * @param plot    a plot; may be freed afterwards.
 * @param caption below it; NULL for none.
 */
DEQ_API void deq_report_plot(deq_report *r, deq_plot *plot, const char *caption);

/** An image. */
typedef struct deq_picture {
    const uint8_t *pixels; /**< [channels, height, width] */
    int channels;          /**< 1 (grey), 3 (red, green, blue), 4 (and alpha) */
    int height;            /**< rows, 1 to 16384 */
    int width;             /**< columns, 1 to 16384 */
    int zoom; /**< each pixel becomes a square of so many, 1 to 64; 0: about 128 in all */
} deq_picture;

/**
 * Add an image; it is embedded as a PNG.
 *
 * @param r       a report.
 * @param picture an image; may be freed afterwards.
 * @param caption below it, and its alternative text; NULL for none.
 */
DEQ_API void deq_report_picture(deq_report *r, const deq_picture *picture, const char *caption);

/**
 * Write the page.
 *
 * @param r     a report; may be added to and written again.
 * @param write receives the text.
 * @param user  passed to write.
 * @return DEQ_OK; what an addition did wrong, with its message; DEQ_ERR_STATE (a table was not
 *         ended); DEQ_ERR_IO when write refused; DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_report_write(deq_report *r, deq_write_fn *write, void *user);

/**
 * Write the page to a file, which is replaced at once.
 *
 * @param r    a report.
 * @param path the file.
 * @return as deq_report_write(); the old file is intact on failure.
 */
DEQ_API deq_status deq_report_save(deq_report *r, const char *path);

#ifdef __cplusplus
}
#endif
#endif
