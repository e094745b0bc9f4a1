/* SPDX-License-Identifier: MIT */
/*
 * A plot on paper, from top to bottom: title, legend, field with its axes, names of the axes, the
 * strip of a reliability diagram, notes.
 *
 * Nobody here knows a font, so widths of texts are estimates; the field is a nested svg element,
 * which cuts what leaves it.
 */
#include "report/plot.h"

#include <math.h>
#include <string.h>

/* Of letters of 12 pixels, sans serif. */
#define LETTER 6.4
enum { LINE = 17, TITLE = 26, STRIP = 52, STRIP_FIELD = 38, LEGEND_CUT = 60, CATEGORY_CUT = 26 };

typedef struct layout {
    double width, height; /* of the paper */
    double left, top, field_width, field_height;
    double labels;     /* height of the numbers below the field */
    double legend_top; /* baseline of its first line */
    bool tilted;       /* categories that would touch */
    deq_ticks x, y;
} layout;

static double text_width(const char *text, size_t cut)
{
    const size_t n = deq_text_characters(text);

    return LETTER * (double)(n < cut ? n : cut);
}

static double widest_label(const deq_ticks *t)
{
    double widest = 0;

    for (int i = 0; i < t->count; i++)
        widest = fmax(widest, text_width(t->label[i], DEQ_TICK_BYTES));
    return widest;
}

/* How far the axes reach. */

static void reach_of_series(deq_range *x, deq_range *y, const deq_plot *plot, const deq_series *s,
                            double unit)
{
    const deq_scale sx = plot->o.x.scale, sy = plot->o.y.scale;
    const bool bar = s->mark == DEQ_MARK_BAR;

    for (size_t i = 0; i < s->count; i++) {
        const double at = deq_series_x(s, i);
        if (!deq_axis_shows(sx, at) || !deq_axis_shows(sy, s->y[i])) continue;
        deq_range_add(x, sx, bar ? at - unit / 2 : at);
        deq_range_add(x, sx, bar ? at + unit / 2 : at);
        deq_range_add(y, sy, s->y[i]);
        if (!s->low) continue;
        deq_range_add(y, sy, s->low[i]);
        deq_range_add(y, sy, s->high[i]);
    }
    if (bar) deq_range_add(y, sy, 0);
}

static void reach_of_axes(deq_range *x, deq_range *y, const deq_plot *plot, double unit)
{
    *x = *y = DEQ_RANGE_EMPTY;
    for (const deq_plot_series *s = plot->series; s; s = s->next)
        reach_of_series(x, y, plot, &s->s, unit);
    for (const deq_plot_guide_line *g = plot->guides; g; g = g->next) {
        if (g->guide == DEQ_GUIDE_X) deq_range_add(x, plot->o.x.scale, g->at);
        if (g->guide == DEQ_GUIDE_Y) deq_range_add(y, plot->o.y.scale, g->at);
    }
    *x = deq_range_usable(*x, plot->o.x.scale);
    *y = deq_range_usable(*y, plot->o.y.scale);
    if (!plot->n_bars) *x = deq_range_padded(*x, plot->o.x.scale, 0.02);
    if (plot->o.x.fixed) *x = (deq_range){ plot->o.x.low, plot->o.x.high };
    if (plot->o.categories) *x = (deq_range){ -0.5, (double)plot->o.n_categories - 0.5 };
    if (plot->o.categories && !plot->o.n_categories) *x = (deq_range){ 0, 1 };
    if (plot->o.y.fixed) *y = (deq_range){ plot->o.y.low, plot->o.y.high };
}

/* The legend. */

static double entry_width(const deq_series *s)
{
    return 22 + 6 + text_width(s->name, LEGEND_CUT) + 16;
}

/* Lay the entries out in lines; draw them if there is a page.  Returns the lines. */
static int legend(deq_page *page, const deq_plot *plot, const layout *l)
{
    double x = l->left;
    int lines = 0;

    for (const deq_plot_series *s = plot->series; s; s = s->next) {
        if (!s->s.name) continue;
        if (lines == 0 || x + entry_width(&s->s) > l->width) {
            x = l->left;
            lines++;
        }
        if (page) {
            const double y = l->legend_top + (lines - 1) * LINE;
            deq_plot_draw_sample(page, &s->s, x, y - 4);
            deq_page_raw(page, "<text x=\"");
            deq_page_place(page, x + 28);
            deq_page_raw(page, "\" y=\"");
            deq_page_place(page, y);
            deq_page_raw(page, "\">");
            deq_page_cut(page, s->s.name, LEGEND_CUT);
            deq_page_raw(page, "</text>\n");
        }
        x += entry_width(&s->s);
    }
    return lines;
}

/* Layout. */

static void lay_categories_out(layout *l, const deq_plot *plot)
{
    double widest = 0;

    for (size_t i = 0; i < plot->o.n_categories; i++)
        widest = fmax(widest, text_width(plot->o.categories[i], CATEGORY_CUT));
    l->tilted = (widest + 8) * (double)plot->o.n_categories > l->field_width;
    l->labels = l->tilted ? 0.6 * widest + 18 : 18;
}

static deq_frame lay_out(layout *l, const deq_plot *plot)
{
    const deq_plot_options *o = &plot->o;
    deq_frame f = { .plot = plot, .unit = deq_plot_bar_unit(plot) };
    deq_range x, y;

    *l = (layout){ .width = o->width, .height = o->height, .left = 50 };
    reach_of_axes(&x, &y, plot, f.unit);
    l->top = o->title ? TITLE : 8;
    l->legend_top = l->top + 12;
    l->top += legend(NULL, plot, l) * LINE + 6;

    /* The numbers of the y axis decide how wide the field is, so it comes first; its height is about
     * what is left. */
    const double below = 20 + (o->x.label ? LINE : 0) + (plot->bins ? STRIP : 0) + 4;
    const int about_y = (int)fmax(2, (o->height - l->top - below) / 48);
    if (!o->y.fixed) y = deq_range_rounded(y, o->y.scale, about_y);
    deq_ticks_make(&l->y, y, o->y.scale, about_y);
    l->left = widest_label(&l->y) + 14 + (o->y.label ? LINE : 0);
    l->field_width = fmax(l->width - l->left - 14, 40);
    l->labels = 18;
    if (o->categories)
        lay_categories_out(l, plot);
    else
        deq_ticks_make(&l->x, x, o->x.scale, (int)fmax(2, l->field_width / 80));
    l->field_height = fmax(l->height - l->top - below - l->labels + 18, 60);

    f.width = l->field_width;
    f.height = l->field_height;
    f.x = (deq_map){ o->x.scale, x.low, x.high, 0, f.width };
    f.y = (deq_map){ o->y.scale, y.low, y.high, f.height, 0 };
    return f;
}

/* Drawing. */

static void put_text(deq_page *p, const char *rest, double x, double y, const char *text,
                     size_t cut)
{
    deq_page_raw(p, "<text x=\"");
    deq_page_place(p, x);
    deq_page_raw(p, "\" y=\"");
    deq_page_place(p, y);
    deq_page_format(p, "\"%s>", rest);
    deq_page_cut(p, text, cut);
    deq_page_raw(p, "</text>\n");
}

static void rotate(deq_page *p, int degrees, double x, double y, const char *more)
{
    deq_page_format(p, "<g transform=\"translate(");
    deq_page_place(p, x);
    deq_page_raw(p, " ");
    deq_page_place(p, y);
    deq_page_format(p, ") rotate(%d)\"%s>", degrees, more);
}

static void draw_grid(const deq_frame *f, const layout *l)
{
    deq_page *p = f->page;

    deq_page_raw(p, "<path class=\"g\" d=\"");
    for (int i = 0; i < l->x.count; i++) {
        deq_page_raw(p, "M");
        deq_page_place(p, l->left + deq_map_place(&f->x, l->x.at[i]));
        deq_page_raw(p, " ");
        deq_page_place(p, l->top);
        deq_page_raw(p, "v");
        deq_page_place(p, l->field_height);
    }
    for (int i = 0; i < l->y.count; i++) {
        deq_page_raw(p, "M");
        deq_page_place(p, l->left);
        deq_page_raw(p, " ");
        deq_page_place(p, l->top + deq_map_place(&f->y, l->y.at[i]));
        deq_page_raw(p, "h");
        deq_page_place(p, l->field_width);
    }
    deq_page_raw(p, "\"/>\n");
}

static void draw_tick_labels(const deq_frame *f, const layout *l)
{
    const double below = l->top + l->field_height + 15;

    for (int i = 0; i < l->x.count; i++)
        put_text(f->page, " text-anchor=\"middle\"", l->left + deq_map_place(&f->x, l->x.at[i]),
                 below, l->x.label[i], DEQ_TICK_BYTES);
    for (int i = 0; i < l->y.count; i++)
        put_text(f->page, " text-anchor=\"end\"", l->left - 6,
                 l->top + deq_map_place(&f->y, l->y.at[i]) + 4, l->y.label[i], DEQ_TICK_BYTES);
}

static void draw_categories(const deq_frame *f, const layout *l)
{
    const deq_plot_options *o = &f->plot->o;
    /* Of very many categories only as many are named as there is room for. */
    const double slot = l->field_width / fmax(1, (double)o->n_categories);
    const size_t every = slot < 13 ? (size_t)ceil(13 / slot) : 1;

    for (size_t i = 0; i < o->n_categories; i += every) {
        const double x = l->left + deq_map_place(&f->x, (double)i);
        const double y = l->top + l->field_height + (l->tilted ? 10 : 15);
        if (!l->tilted) {
            put_text(f->page, " text-anchor=\"middle\"", x, y, o->categories[i], CATEGORY_CUT);
            continue;
        }
        rotate(f->page, -38, x + 4, y, "");
        put_text(f->page, " text-anchor=\"end\"", 0, 0, o->categories[i], CATEGORY_CUT);
        deq_page_raw(f->page, "</g>");
    }
}

static void draw_names(const deq_frame *f, const layout *l)
{
    const deq_plot_options *o = &f->plot->o;
    const double middle = l->left + l->field_width / 2;

    if (o->title)
        put_text(f->page, " class=\"t\"", l->left, 17, o->title,
                 (size_t)((l->width - l->left) / (LETTER * 1.15)));
    if (o->x.label)
        put_text(f->page, " text-anchor=\"middle\"", middle,
                 l->top + l->field_height + l->labels + 14, o->x.label,
                 (size_t)(l->field_width / LETTER));
    if (!o->y.label) return;
    rotate(f->page, -90, 13, l->top + l->field_height / 2, "");
    put_text(f->page, " text-anchor=\"middle\"", 0, 0, o->y.label,
             (size_t)(l->field_height / LETTER));
    deq_page_raw(f->page, "</g>\n");
}

static void begin_note(deq_page *p, const layout *l, double *y)
{
    *y += 15;
    deq_page_raw(p, "<text class=\"n\" x=\"");
    deq_page_place(p, l->left);
    deq_page_raw(p, "\" y=\"");
    deq_page_place(p, *y);
    deq_page_raw(p, "\">");
}

static void count_note(deq_page *p, const layout *l, double *y, size_t n, const char *one,
                       const char *many)
{
    if (!n) return;
    begin_note(p, l, y);
    deq_page_format(p, "%zu %s</text>\n", n, n == 1 ? one : many);
}

/* What the reader cannot see; y is the last baseline before and behind. */
static void draw_notes(const deq_frame *f, const layout *l, double *y)
{
    deq_page *p = f->page;

    if (f->plot->bins) {
        begin_note(p, l, y);
        deq_reliability_note(p, f->plot);
        deq_page_raw(p, "</text>\n");
    }
    count_note(p, l, y, f->n_not_finite, "point is not finite and left out",
               "points are not finite and left out");
    count_note(p, l, y, f->n_not_positive,
               "point is not above zero and left out of a logarithmic axis",
               "points are not above zero and left out of a logarithmic axis");
    if (!f->n_thinned) return;
    begin_note(p, l, y);
    deq_page_format(p, "%zu of %zu points are drawn; no extreme is lost</text>\n", f->n_thinned,
                    f->n_of);
}

static void open_svg(deq_page *p, const deq_plot *plot, double width, double height, bool alone)
{
    if (alone) deq_page_raw(p, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    deq_page_raw(p,
                 "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"deq\" role=\"img\" width=\"");
    deq_page_place(p, width);
    deq_page_raw(p, "\" height=\"");
    deq_page_place(p, height);
    deq_page_raw(p, "\" viewBox=\"0 0 ");
    deq_page_place(p, width);
    deq_page_raw(p, " ");
    deq_page_place(p, height);
    deq_page_raw(p, "\" aria-label=\"");
    deq_page_text(p, plot->o.title ? plot->o.title : "plot");
    deq_page_raw(p, "\">\n");
    if (!alone) return;
    deq_page_raw(p, "<style>");
    deq_plot_style(p);
    deq_page_raw(p, "</style>\n<rect class=\"p\" width=\"100%\" height=\"100%\"/>\n");
}

static deq_status draw_field(deq_frame *f, const layout *l)
{
    deq_page *p = f->page;

    deq_page_raw(p, "<svg class=\"f\" x=\"");
    deq_page_place(p, l->left);
    deq_page_raw(p, "\" y=\"");
    deq_page_place(p, l->top);
    deq_page_raw(p, "\" width=\"");
    deq_page_place(p, l->field_width);
    deq_page_raw(p, "\" height=\"");
    deq_page_place(p, l->field_height);
    deq_page_raw(p, "\">\n");
    DEQ_TRY(deq_plot_draw_field(f));
    if (!f->n_drawn)
        put_text(p, " class=\"n\" text-anchor=\"middle\"", f->width / 2, f->height / 2, "no data",
                 SIZE_MAX);
    deq_page_raw(p, "</svg>\n");
    return p->status;
}

/* Grid, axes, field and the strip, to `body`; what was left out is then known. */
static deq_status draw_body(deq_frame *f, const layout *l)
{
    const deq_plot_options *o = &f->plot->o;

    draw_grid(f, l);
    draw_tick_labels(f, l);
    if (o->categories) draw_categories(f, l);
    draw_names(f, l);
    (void)legend(f->page, f->plot, l);
    DEQ_TRY(draw_field(f, l));
    deq_page_raw(f->page, "<rect class=\"a\" x=\"");
    deq_page_place(f->page, l->left);
    deq_page_raw(f->page, "\" y=\"");
    deq_page_place(f->page, l->top);
    deq_page_raw(f->page, "\" width=\"");
    deq_page_place(f->page, l->field_width);
    deq_page_raw(f->page, "\" height=\"");
    deq_page_place(f->page, l->field_height);
    deq_page_raw(f->page, "\"/>\n");
    return DEQ_OK;
}

deq_status deq_plot_draw(deq_page *p, const deq_plot *plot, bool alone)
{
    layout *l;

    DEQ_TRY(deq_mistake_status(&plot->mistake, plot->ctx));
    l = deq_alloc(plot->ctx, sizeof *l);
    if (!l) return DEQ_ERR_NOMEM;
    deq_page body = { .ctx = plot->ctx };
    deq_frame f = lay_out(l, plot);
    f.page = &body;
    deq_status status = draw_body(&f, l);

    double y = l->top + l->field_height + l->labels + (plot->o.x.label ? LINE : 0);
    if (plot->bins) {
        rotate(&body, 0, l->left, y + 8, "");
        deq_reliability_strip(&f, 0, STRIP_FIELD);
        deq_page_raw(&body, "</g>\n");
        y += STRIP;
    }
    draw_notes(&f, l, &y);
    open_svg(p, plot, l->width, fmax(l->height, y + 8), alone);
    if (body.status == DEQ_OK) deq_page_bytes(p, body.data, body.length);
    deq_page_raw(p, "</svg>\n");
    if (status == DEQ_OK) status = body.status != DEQ_OK ? body.status : p->status;
    deq_page_free(&body);
    deq_release(plot->ctx, l, sizeof *l);
    return status;
}

/* Colors that color-blind readers tell apart, after Okabe & Ito (2008), brighter in the dark. */
void deq_plot_style(deq_page *p)
{
    deq_page_raw(
        p,
        "\nsvg.deq{font:12px system-ui,-apple-system,'Segoe UI',sans-serif;max-width:100%;"
        "height:auto}\n"
        ".deq text{fill:#333}.deq .t{font-size:14px;font-weight:600}.deq .n{fill:#666;"
        "font-size:11px}\n"
        ".deq .p{fill:#fff}.deq .g{fill:none;stroke:#000;stroke-opacity:.1}"
        ".deq .a{fill:none;stroke:#888}\n"
        ".deq .l{fill:none;stroke:currentColor;stroke-width:1.6;stroke-linejoin:round;"
        "stroke-linecap:round}\n"
        ".deq .dash{stroke-dasharray:6 4}.deq .b{fill:currentColor;fill-opacity:.18}\n"
        ".deq .w{fill:none;stroke:currentColor;stroke-opacity:.8}.deq .d{stroke:#333}.deq .m{fill:currentColor}\n"
        ".deq .r{fill:currentColor;fill-opacity:.75}.deq .r:hover{fill-opacity:1}\n"
        ".deq .h{fill:currentColor;fill-opacity:0}.deq .h:hover{fill-opacity:.5}\n"
        ".deq .u{fill:none;stroke:#777;stroke-dasharray:3 3}\n"
        ".deq .e{fill:#D55E00;fill-opacity:.22}\n"
        ".deq .k1{color:#0072B2}.deq .k2{color:#D55E00}.deq .k3{color:#009E73}"
        ".deq .k4{color:#B0518A}\n"
        ".deq .k5{color:#C68600}.deq .k6{color:#2E8BC0}.deq .k7{color:#7A5BB5}"
        ".deq .k8{color:#555}\n");
    deq_page_raw(
        p,
        "@media screen and (prefers-color-scheme:dark){\n"
        ".deq text{fill:#ddd}.deq .n{fill:#aaa}.deq .p{fill:#16181c}.deq .d{stroke:#ddd}.deq .g{stroke:#fff}\n"
        ".deq .k1{color:#56A9DE}.deq .k2{color:#F08A4B}.deq .k3{color:#3CC79C}"
        ".deq .k4{color:#E09CC3}\n"
        ".deq .k5{color:#F2B93B}.deq .k6{color:#8AD0F5}.deq .k7{color:#B79BDB}"
        ".deq .k8{color:#BBB}}\n");
}
