/* SPDX-License-Identifier: MIT */
/*
 * Axes: where numbers stand, how far an axis reaches, and its ticks.
 *
 *     linear   place = from + (v - low) / (high - low) (to - from)
 *     log      the same of log10
 */
#ifndef DEQ_SRC_REPORT_AXIS_H
#define DEQ_SRC_REPORT_AXIS_H

#include <deq/report.h>

enum { DEQ_MOST_TICKS = 40, DEQ_TICK_BYTES = 48 };

typedef struct deq_ticks {
    int count;
    double at[DEQ_MOST_TICKS];
    char label[DEQ_MOST_TICKS][DEQ_TICK_BYTES]; /* "": a line without a number */
} deq_ticks;

/* What an axis has to show. */
typedef struct deq_range {
    double low, high; /* low > high: nothing yet */
} deq_range;

typedef struct deq_map {
    deq_scale scale;
    double low, high; /* low < high */
    double from, to;  /* places of low and high */
} deq_map;

#define DEQ_RANGE_EMPTY ((deq_range){ .low = INFINITY, .high = -INFINITY })

/* Whether an axis can show a number.  Farther out, differences might not be finite. */
bool deq_axis_shows(deq_scale scale, double v);
void deq_range_add(deq_range *r, deq_scale scale, double v);
/* An interval that is not empty and wide enough to tell its ends apart. */
deq_range deq_range_usable(deq_range r, deq_scale scale);
/* The same on each side by the part `margin` more. */
deq_range deq_range_padded(deq_range r, deq_scale scale, double margin);
/* Outwards to the next ticks. */
deq_range deq_range_rounded(deq_range r, deq_scale scale, int about);

double deq_map_place(const deq_map *m, double v);
/* About so many ticks, fewer or more. */
void deq_ticks_make(deq_ticks *t, deq_range r, deq_scale scale, int about);

#endif
