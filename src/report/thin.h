/* SPDX-License-Identifier: MIT */
/* Which points of a series are drawn. */
#ifndef DEQ_SRC_REPORT_THIN_H
#define DEQ_SRC_REPORT_THIN_H

#include "base/context.h"

/* A point that the axes can show. */
typedef struct deq_point {
    double x, y, low, high; /* low = high = y without an interval */
    double at_x, at_y;      /* places on the paper */
    size_t index;           /* in the series */
    bool gap;               /* something between this and the point before cannot be shown */
} deq_point;

/*
 * Thin a line to at most `most` points (>= 16), in place: the paper is cut into upright strips (or,
 * where x falls somewhere, the series into runs of equal length), and of each the points of least and
 * largest y, low and high stay; so do the first and the last point of all.
 */
size_t deq_thin_line(deq_point *points, size_t count, size_t most);
/*
 * Thin a cloud: of each square of the paper one point stays, and the extreme ones in x and y.  Squares
 * grow from a pixel until few enough are left.
 */
deq_status deq_thin_cloud(size_t *kept, deq_context *ctx, deq_point *points, size_t count,
                          size_t most);

#endif
