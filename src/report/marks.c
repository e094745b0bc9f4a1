/* SPDX-License-Identifier: MIT */
/* What stands in a plot's field: series with their intervals, guides, and what hovering shows. */
#include "report/plot.h"

#include <math.h>

/* Points of a series that the axes can show, with their places. */
static deq_status collect(deq_frame *f, const deq_series *s, deq_point *points, size_t *count)
{
    const deq_scale sx = f->x.scale, sy = f->y.scale;
    bool gap = false;

    *count = 0;
    for (size_t i = 0; i < s->count; i++) {
        const double x = deq_series_x(s, i), y = s->y[i];
        if (!deq_axis_shows(sx, x) || !deq_axis_shows(sy, y)) {
            const bool number = deq_axis_shows(DEQ_SCALE_LINEAR, x) &&
                                deq_axis_shows(DEQ_SCALE_LINEAR, y);
            f->n_not_positive += number;
            f->n_not_finite += !number;
            gap = true;
            continue;
        }
        deq_point p = { .x = x, .y = y, .low = y, .high = y, .index = i, .gap = gap };
        if (s->low && deq_axis_shows(DEQ_SCALE_LINEAR, s->low[i]) &&
            deq_axis_shows(sy, s->high[i])) {
            p.low = deq_axis_shows(sy, s->low[i]) ? s->low[i] : f->y.low;
            p.high = s->high[i];
        }
        p.at_x = deq_map_place(&f->x, x);
        p.at_y = deq_map_place(&f->y, y);
        points[(*count)++] = p;
        gap = false;
    }
    return DEQ_OK;
}

static deq_status thin(deq_frame *f, const deq_series *s, deq_point *points, size_t *count)
{
    const size_t all = *count, most = f->plot->o.most_points;

    if (s->mark == DEQ_MARK_SCATTER)
        DEQ_TRY(deq_thin_cloud(count, f->plot->ctx, points, all, most));
    else
        *count = deq_thin_line(points, all, most);
    if (*count < all) {
        f->n_thinned += *count;
        f->n_of += all;
    }
    return DEQ_OK;
}

/* "M12.5 3" */
static void add_point(deq_page *p, const char *command, double x, double y)
{
    deq_page_raw(p, command);
    deq_page_place(p, x);
    deq_page_raw(p, " ");
    deq_page_place(p, y);
}

static void add_attribute(deq_page *p, const char *name, double value)
{
    deq_page_format(p, " %s=\"", name);
    deq_page_place(p, value);
    deq_page_raw(p, "\"");
}

/* What hovering over a point shows. */
static void add_title(deq_frame *f, const deq_series *s, const deq_point *point)
{
    deq_page *p = f->page;

    deq_page_raw(p, "<title>");
    if (s->titles) {
        deq_page_text(p, s->titles[point->index]);
    } else {
        const deq_plot_options *o = &f->plot->o;
        if (s->name && f->plot->n_series > 1) {
            deq_page_text(p, s->name);
            deq_page_raw(p, ": ");
        }
        if (o->categories && point->x >= 0 && point->x < (double)o->n_categories &&
            point->x == floor(point->x))
            deq_page_text(p, o->categories[(size_t)point->x]);
        else
            deq_page_number(p, point->x, 7);
        deq_page_raw(p, ", ");
        deq_page_number(p, point->y, 6);
        if (point->low < point->high) {
            deq_page_raw(p, " (");
            deq_page_number(p, point->low, 4);
            deq_page_raw(p, " to ");
            deq_page_number(p, point->high, 4);
            deq_page_raw(p, ")");
        }
    }
    deq_page_raw(p, "</title>");
}

/* From the point before to this one. */
static void add_segment(deq_page *p, const deq_series *s, const deq_point *from,
                        const deq_point *to, double place)
{
    if (s->mark == DEQ_MARK_STEP) {
        deq_page_raw(p, "H");
        deq_page_place(p, to->at_x);
    }
    (void)from;
    add_point(p, "L", to->at_x, place);
}

static void draw_line(deq_frame *f, const deq_series *s, const deq_point *points, size_t count)
{
    deq_page *p = f->page;

    if (!count) return;
    deq_page_format(p, "<path class=\"l%s\" d=\"", s->dashed ? " dash" : "");
    for (size_t i = 0; i < count; i++) {
        const bool begins = i == 0 || points[i].gap, ends = i + 1 == count || points[i + 1].gap;
        if (begins) add_point(p, "M", points[i].at_x, points[i].at_y);
        if (begins && ends) deq_page_raw(p, "h0"); /* alone: round ends make it a dot */
        if (!begins) add_segment(p, s, &points[i - 1], &points[i], points[i].at_y);
    }
    deq_page_raw(p, "\"/>");
}

/* From points[from] to points[end - 1]: along the upper ends and back along the lower ones. */
static void draw_band(deq_frame *f, const deq_series *s, const deq_point *points, size_t from,
                      size_t end)
{
    deq_page *p = f->page;

    add_point(p, "M", points[from].at_x, deq_map_place(&f->y, points[from].high));
    for (size_t i = from + 1; i < end; i++)
        add_segment(p, s, &points[i - 1], &points[i], deq_map_place(&f->y, points[i].high));
    for (size_t i = end; i-- > from;) {
        add_point(p, "L", points[i].at_x, deq_map_place(&f->y, points[i].low));
        if (s->mark == DEQ_MARK_STEP && i > from) {
            deq_page_raw(p, "V");
            deq_page_place(p, deq_map_place(&f->y, points[i - 1].low));
        }
    }
    deq_page_raw(p, "Z");
}

static void draw_bands(deq_frame *f, const deq_series *s, const deq_point *points, size_t count)
{
    if (!s->low || !count) return;
    deq_page_raw(f->page, "<path class=\"b\" d=\"");
    for (size_t from = 0, end; from < count; from = end) {
        for (end = from + 1; end < count && !points[end].gap; end++)
            ;
        draw_band(f, s, points, from, end);
    }
    deq_page_raw(f->page, "\"/>");
}

static void draw_whiskers(deq_frame *f, const deq_series *s, const deq_point *points, size_t count,
                          double shift, const char *class)
{
    deq_page *p = f->page;

    if (!s->low || !count) return;
    deq_page_format(p, "<path class=\"%s\" d=\"", class);
    for (size_t i = 0; i < count; i++) {
        const double x = points[i].at_x + shift;
        if (!(points[i].low < points[i].high)) continue;
        add_point(p, "M", x, deq_map_place(&f->y, points[i].low));
        deq_page_raw(p, "V");
        deq_page_place(p, deq_map_place(&f->y, points[i].high));
        add_point(p, "M", x - 3, deq_map_place(&f->y, points[i].low));
        deq_page_raw(p, "h6");
        add_point(p, "M", x - 3, deq_map_place(&f->y, points[i].high));
        deq_page_raw(p, "h6");
    }
    deq_page_raw(p, "\"/>");
}

/* Shapes tell series apart where colors do not: disc, square, triangle, rhomb. */
static void add_shape(deq_page *p, int color, double x, double y)
{
    static const char *const shapes[] = { "m-3.2 0a3.2 3.2 0 1 0 6.4 0a3.2 3.2 0 1 0 -6.4 0Z",
                                          "m-2.8 -2.8h5.6v5.6h-5.6Z", "m0 -3.8l3.6 6.4h-7.2Z",
                                          "m0 -4l4 4l-4 4l-4 -4Z" };

    add_point(p, "M", x, y);
    deq_page_raw(p, shapes[(color - 1) % 4]);
}

static void draw_points(deq_frame *f, const deq_series *s, const deq_point *points, size_t count)
{
    deq_page *p = f->page;

    for (size_t i = 0; i < count; i++) {
        deq_page_raw(p, "<path class=\"m\" d=\"");
        add_shape(p, s->color, points[i].at_x, points[i].at_y);
        deq_page_raw(p, "\">");
        add_title(f, s, &points[i]);
        deq_page_raw(p, "</path>");
    }
}

/* Discs that nobody sees, for hovering over lines. */
static void draw_targets(deq_frame *f, const deq_series *s, const deq_point *points, size_t count)
{
    deq_page *p = f->page;

    for (size_t i = 0; i < count; i++) {
        deq_page_raw(p, "<circle class=\"h\" r=\"5\"");
        add_attribute(p, "cx", points[i].at_x);
        add_attribute(p, "cy", points[i].at_y);
        deq_page_raw(p, ">");
        add_title(f, s, &points[i]);
        deq_page_raw(p, "</circle>");
    }
}

/* The `index`-th of the series of bars; they share 0.8 of the distance to the next group. */
static void draw_bars(deq_frame *f, const deq_series *s, const deq_point *points, size_t count,
                      int index)
{
    deq_page *p = f->page;
    const bool log_y = f->y.scale == DEQ_SCALE_LOG;
    const double base = deq_map_place(&f->y, log_y ? f->y.low : 0);

    for (size_t i = 0; i < count; i++) {
        const double half = f->x.scale == DEQ_SCALE_LOG
                                ? 5
                                : fabs(deq_map_place(&f->x, points[i].x + 0.4 * f->unit) -
                                       points[i].at_x);
        const double width = 2 * half / f->plot->n_bars;
        const double left = points[i].at_x - half + index * width;
        const double top = fmin(points[i].at_y, base);
        deq_page_raw(p, "<rect class=\"r\"");
        add_attribute(p, "x", left);
        add_attribute(p, "y", top);
        add_attribute(p, "width", width);
        add_attribute(p, "height", fmax(fabs(points[i].at_y - base), 0.5));
        deq_page_raw(p, ">");
        add_title(f, s, &points[i]);
        deq_page_raw(p, "</rect>");
        draw_whiskers(f, s, &points[i], 1, left + width / 2 - points[i].at_x, "w d");
    }
}

static deq_status draw_series(deq_frame *f, const deq_series *s, int bar)
{
    deq_context *ctx = f->plot->ctx;
    size_t count;

    deq_point *points = deq_alloc_array(ctx, s->count, sizeof *points);
    if (!points) return DEQ_ERR_NOMEM;
    (void)collect(f, s, points, &count);
    const deq_status status = thin(f, s, points, &count);
    const bool line = s->mark == DEQ_MARK_LINE || s->mark == DEQ_MARK_STEP ||
                      s->mark == DEQ_MARK_LINE_POINTS;
    const bool marked = s->mark == DEQ_MARK_SCATTER || s->mark == DEQ_MARK_LINE_POINTS;

    f->n_drawn += count;
    deq_page_format(f->page, "<g class=\"k%d\">", s->color);
    if (line && !marked) draw_bands(f, s, points, count);
    if (line) draw_line(f, s, points, count);
    if (marked) draw_whiskers(f, s, points, count, 0, "w");
    if (marked) draw_points(f, s, points, count);
    if (line && !marked) draw_targets(f, s, points, count);
    if (s->mark == DEQ_MARK_BAR) draw_bars(f, s, points, count, bar);
    deq_page_raw(f->page, "</g>\n");
    deq_release(ctx, points, s->count * sizeof *points);
    return status;
}

/* The diagonal, as far as both axes reach; on axes of different scales it is no straight line. */
static void draw_diagonal(deq_frame *f)
{
    enum { PIECES = 64 };
    const double low = fmax(f->x.low, f->y.low), high = fmin(f->x.high, f->y.high);
    const bool log = f->x.scale == DEQ_SCALE_LOG;
    const double from = log ? log10(low) : low, to = log ? log10(high) : high;

    if (!(low < high)) return;
    deq_page_raw(f->page, "<path class=\"u\" d=\"");
    for (int i = 0; i <= PIECES; i++) {
        const double at = i == 0 ? low : i == PIECES ? high : from + (to - from) * i / PIECES;
        const double v = log && i > 0 && i < PIECES ? pow(10, at) : at;
        add_point(f->page, i == 0 ? "M" : "L", deq_map_place(&f->x, v), deq_map_place(&f->y, v));
        if (i == 0 && f->x.scale == f->y.scale) i = PIECES - 1;
    }
    deq_page_raw(f->page, "\"/>");
}

static void draw_guide(deq_frame *f, const deq_plot_guide_line *g)
{
    deq_page *p = f->page;
    const bool upright = g->guide == DEQ_GUIDE_X;
    const deq_map *m = upright ? &f->x : &f->y;

    if (g->guide == DEQ_GUIDE_DIAGONAL) {
        draw_diagonal(f);
        return;
    }
    if (!deq_axis_shows(m->scale, g->at)) {
        f->n_not_finite++;
        return;
    }
    const double at = deq_map_place(m, g->at);
    deq_page_raw(p, "<path class=\"u\" d=\"");
    add_point(p, "M", upright ? at : 0, upright ? 0 : at);
    add_point(p, "L", upright ? at : f->width, upright ? f->height : at);
    deq_page_raw(p, "\"/>");
    if (!g->label) return;
    const bool left = upright && at > f->width * 0.7;
    deq_page_format(p, "<text class=\"n\" text-anchor=\"%s\"", !upright || left ? "end" : "start");
    add_attribute(p, "x", !upright ? f->width - 4 : left ? at - 4 : at + 4);
    add_attribute(p, "y", upright ? 12 : at < 16 ? at + 13 : at - 4);
    deq_page_raw(p, ">");
    deq_page_cut(p, g->label, 60);
    deq_page_raw(p, "</text>");
}

deq_status deq_plot_draw_field(deq_frame *f)
{
    int bar = 0;

    if (f->plot->bins) deq_reliability_gaps(f);
    for (const deq_plot_guide_line *g = f->plot->guides; g; g = g->next) draw_guide(f, g);
    for (const deq_plot_series *s = f->plot->series; s; s = s->next) {
        DEQ_TRY(draw_series(f, &s->s, bar));
        bar += s->s.mark == DEQ_MARK_BAR;
    }
    return DEQ_OK;
}

void deq_plot_draw_sample(deq_page *p, const deq_series *s, double x, double y)
{
    deq_page_format(p, "<g class=\"k%d\">", s->color);
    if (s->mark == DEQ_MARK_BAR) {
        deq_page_raw(p, "<rect class=\"r\" width=\"14\" height=\"10\"");
        add_attribute(p, "x", x + 4);
        add_attribute(p, "y", y - 5);
        deq_page_raw(p, "/>");
    }
    if (s->mark != DEQ_MARK_BAR && s->mark != DEQ_MARK_SCATTER) {
        deq_page_format(p, "<path class=\"l%s\" d=\"", s->dashed ? " dash" : "");
        add_point(p, "M", x, y);
        deq_page_raw(p, "h22\"/>");
    }
    if (s->mark == DEQ_MARK_SCATTER || s->mark == DEQ_MARK_LINE_POINTS) {
        deq_page_raw(p, "<path class=\"m\" d=\"");
        add_shape(p, s->color, x + 11, y);
        deq_page_raw(p, "\"/>");
    }
    deq_page_raw(p, "</g>");
}
