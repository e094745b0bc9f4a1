/* SPDX-License-Identifier: MIT */
/* Plots from inside: what was added, and what drawing needs of it. */
#ifndef DEQ_SRC_REPORT_PLOT_H
#define DEQ_SRC_REPORT_PLOT_H

#include "base/arena.h"
#include "report/axis.h"
#include "report/page.h"
#include "report/thin.h"

#include <deq/report.h>

enum { DEQ_MISTAKE_BYTES = 256, DEQ_COLORS = 8 };

/* The first mistake of a sequence of additions. */
typedef struct deq_mistake {
    deq_status status;
    char message[DEQ_MISTAKE_BYTES];
} deq_mistake;

void deq_mistake_set(deq_mistake *m, deq_status status, const char *format, ...) DEQ_PRINTF(3, 4);
/* DEQ_OK, or its status, with the message given to the context again. */
deq_status deq_mistake_status(const deq_mistake *m, deq_context *ctx);

typedef struct deq_plot_series {
    deq_series s; /* copied, color chosen */
    struct deq_plot_series *next;
} deq_plot_series;

typedef struct deq_plot_guide_line {
    deq_guide guide;
    double at;
    const char *label;
    struct deq_plot_guide_line *next;
} deq_plot_guide_line;

struct deq_plot {
    deq_context *ctx;
    deq_arena arena;
    deq_mistake mistake;
    deq_plot_options o; /* copied, with defaults */
    deq_plot_series *series, **series_end;
    deq_plot_guide_line *guides, **guides_end;
    int n_series, n_bars;
    const deq_reliability_bin *bins; /* of a reliability diagram, or NULL */
    size_t n_bins;
};

/* Where things are drawn. */
typedef struct deq_frame {
    deq_page *page;
    const deq_plot *plot;
    deq_map x, y; /* in pixels of the field, whose upper left corner is (0, 0) */
    double width, height;
    double unit; /* between neighbouring bars, in numbers of the x axis */
    size_t n_not_finite, n_not_positive;
    size_t n_drawn;
    size_t n_thinned, n_of; /* points drawn and there, of the series that were thinned */
} deq_frame;

/* A point of a series, whether or not an axis can show it. */
double deq_series_x(const deq_series *s, size_t i);

/* The distance of bars: 1 with categories, else the least between two x of a series. */
double deq_plot_bar_unit(const deq_plot *plot);

/* Everything inside the field: series, guides, gaps. */
deq_status deq_plot_draw_field(deq_frame *f);
/* A sample of a series for the legend, 22 pixels from x at height y. */
void deq_plot_draw_sample(deq_page *p, const deq_series *s, double x, double y);

/* The counts of a reliability diagram, in a strip of this height below the field. */
void deq_reliability_strip(deq_frame *f, double top, double height);
/* The gaps between diagonal and accuracy. */
void deq_reliability_gaps(deq_frame *f);
/* What is said below. */
void deq_reliability_note(deq_page *p, const deq_plot *plot);

/* The plot as an svg element; `alone`: as a file of its own. */
deq_status deq_plot_draw(deq_page *p, const deq_plot *plot, bool alone);
/* The rules of style that plots need, once a page. */
void deq_plot_style(deq_page *p);

#endif
