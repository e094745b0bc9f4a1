/* SPDX-License-Identifier: MIT */
/* What is added to plots, checked and copied. */
#include "report/plot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void deq_mistake_set(deq_mistake *m, deq_status status, const char *format, ...)
{
    va_list args;

    if (m->status != DEQ_OK) return;
    m->status = status;
    va_start(args, format);
    vsnprintf(m->message, sizeof m->message, format, args);
    va_end(args);
}

deq_status deq_mistake_status(const deq_mistake *m, deq_context *ctx)
{
    return m->status == DEQ_OK ? DEQ_OK : deq_fail(ctx, m->status, "%s", m->message);
}

static deq_status check_axis(deq_context *ctx, const deq_axis *a, const char *name)
{
    if (a->scale != DEQ_SCALE_LINEAR && a->scale != DEQ_SCALE_LOG)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "plot: scale %d of the %s axis is not known",
                        (int)a->scale, name);
    if (!a->fixed) return DEQ_OK;
    if (!deq_axis_shows(a->scale, a->low) || !deq_axis_shows(a->scale, a->high) ||
        !(a->low < a->high))
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "plot: the %s axis cannot reach from %g to %g", name,
                        a->low, a->high);
    return DEQ_OK;
}

static deq_status check_options(deq_context *ctx, const deq_plot_options *o)
{
    if (o->struct_size != sizeof *o)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "plot: struct_size is %zu, expected %zu",
                        o->struct_size, sizeof *o);
    DEQ_TRY(check_axis(ctx, &o->x, "x"));
    DEQ_TRY(check_axis(ctx, &o->y, "y"));
    if (o->n_categories && !o->categories)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "plot: %zu categories without names",
                        o->n_categories);
    if (o->categories && (o->x.fixed || o->x.scale == DEQ_SCALE_LOG))
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "plot: categories with an x axis of numbers");
    if ((o->width && (o->width < 160 || o->width > 4000)) ||
        (o->height && (o->height < 160 || o->height > 4000)))
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "plot: %d x %d pixels, expected 160 to 4000",
                        o->width, o->height);
    if (o->most_points && o->most_points < 16)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "plot: most_points is %zu, expected at least 16",
                        o->most_points);
    return DEQ_OK;
}

/* A copy of a text that may be NULL; false: no memory. */
static bool copy_text(const char **text, deq_arena *arena)
{
    if (!*text) return true;
    *text = deq_arena_strdup(arena, *text);
    return *text != NULL;
}

/* Copies of an array of texts, of which a NULL becomes "". */
static bool copy_texts(const char *const **texts, deq_arena *arena, size_t count)
{
    size_t bytes;

    if (!*texts) return true;
    if (!deq_size_mul(&bytes, count, sizeof **texts)) return false;
    const char **copies = deq_arena_alloc(arena, bytes ? bytes : 1);
    if (!copies) return false;
    for (size_t i = 0; i < count; i++) {
        copies[i] = (*texts)[i] ? (*texts)[i] : "";
        if (!copy_text(&copies[i], arena)) return false;
    }
    *texts = copies;
    return true;
}

static bool copy_numbers(const double **numbers, deq_arena *arena, size_t count)
{
    size_t bytes;

    if (!*numbers || count == 0) return true;
    if (!deq_size_mul(&bytes, count, sizeof **numbers)) return false;
    *numbers = deq_arena_copy(arena, *numbers, bytes);
    return *numbers != NULL;
}

deq_status deq_plot_new(deq_plot **out, deq_context *ctx, const deq_plot_options *options)
{
    const deq_plot_options o = options ? *options : *DEQ_PLOT(.title = NULL);

    *out = NULL;
    DEQ_TRY(check_options(ctx, &o));
    deq_plot *plot = deq_alloc(ctx, sizeof *plot);
    if (!plot) return DEQ_ERR_NOMEM;
    plot->ctx = ctx;
    plot->o = o;
    if (!o.width) plot->o.width = 640;
    if (!o.height) plot->o.height = 400;
    if (!o.most_points) plot->o.most_points = 600;
    plot->series_end = &plot->series;
    plot->guides_end = &plot->guides;
    deq_arena_init(&plot->arena, ctx);
    if (!copy_text(&plot->o.title, &plot->arena) || !copy_text(&plot->o.x.label, &plot->arena) ||
        !copy_text(&plot->o.y.label, &plot->arena) ||
        !copy_texts(&plot->o.categories, &plot->arena, o.n_categories)) {
        deq_plot_free(plot);
        return DEQ_ERR_NOMEM;
    }
    *out = plot;
    return DEQ_OK;
}

void deq_plot_free(deq_plot *plot)
{
    if (!plot) return;
    deq_arena_free(&plot->arena);
    deq_release(plot->ctx, plot, sizeof *plot);
}

static const char *wrong_series(const deq_series *s)
{
    if (s->struct_size != sizeof *s) return "struct_size is wrong";
    if ((int)s->mark < DEQ_MARK_LINE || s->mark > DEQ_MARK_BAR) return "its mark is not known";
    if (s->color < 0 || s->color > DEQ_COLORS) return "its color is not 0 to 8";
    if (s->count && !s->y) return "it has no y";
    if (!s->low != !s->high) return "its intervals have one end";
    return NULL;
}

static void out_of_memory(deq_plot *plot)
{
    deq_mistake_set(&plot->mistake, DEQ_ERR_NOMEM, "plot: out of memory");
}

void deq_plot_add(deq_plot *plot, const deq_series *series)
{
    if (plot->mistake.status != DEQ_OK) return;
    const char *wrong = wrong_series(series);
    if (wrong) {
        deq_mistake_set(&plot->mistake, DEQ_ERR_ARGUMENT, "plot: series %d: %s", plot->n_series + 1,
                        wrong);
        return;
    }
    deq_plot_series *copy = deq_arena_alloc(&plot->arena, sizeof *copy);
    if (!copy) {
        out_of_memory(plot);
        return;
    }
    copy->s = *series;
    deq_series *s = &copy->s;
    if (!copy_text(&s->name, &plot->arena) || !copy_numbers(&s->x, &plot->arena, s->count) ||
        !copy_numbers(&s->y, &plot->arena, s->count) ||
        !copy_numbers(&s->low, &plot->arena, s->count) ||
        !copy_numbers(&s->high, &plot->arena, s->count) ||
        !copy_texts(&s->titles, &plot->arena, s->count)) {
        out_of_memory(plot);
        return;
    }
    if (!s->color) s->color = plot->n_series % DEQ_COLORS + 1;
    plot->n_series++;
    if (s->mark == DEQ_MARK_BAR) plot->n_bars++;
    *plot->series_end = copy;
    plot->series_end = &copy->next;
}

void deq_plot_guide(deq_plot *plot, deq_guide guide, double at, const char *label)
{
    if (plot->mistake.status != DEQ_OK) return;
    if ((int)guide < DEQ_GUIDE_X || guide > DEQ_GUIDE_DIAGONAL) {
        deq_mistake_set(&plot->mistake, DEQ_ERR_ARGUMENT, "plot: guide %d is not known",
                        (int)guide);
        return;
    }
    deq_plot_guide_line *copy = deq_arena_alloc(&plot->arena, sizeof *copy);
    if (!copy || !copy_text(&label, &plot->arena)) {
        out_of_memory(plot);
        return;
    }
    *copy = (deq_plot_guide_line){ .guide = guide, .at = at, .label = label };
    *plot->guides_end = copy;
    plot->guides_end = &copy->next;
}

double deq_series_x(const deq_series *s, size_t i)
{
    return s->x ? s->x[i] : (double)i;
}

/* The least distance of neighbours in a series that need not be sorted is not asked: bars that
 * overlap are the caller's. */
double deq_plot_bar_unit(const deq_plot *plot)
{
    double unit = INFINITY;

    if (plot->o.categories) return 1;
    for (const deq_plot_series *p = plot->series; p; p = p->next)
        for (size_t i = 1; p->s.mark == DEQ_MARK_BAR && i < p->s.count; i++) {
            const double d = fabs(deq_series_x(&p->s, i) - deq_series_x(&p->s, i - 1));
            if (d > 0 && d < unit) unit = d;
        }
    return isfinite(unit) ? unit : 1;
}

deq_status deq_plot_write_svg(deq_plot *plot, deq_write_fn *write, void *user)
{
    deq_page page = { .ctx = plot->ctx };

    deq_status status = deq_plot_draw(&page, plot, true);
    if (status == DEQ_OK) status = deq_page_write(&page, write, user);
    deq_page_free(&page);
    return status;
}

static deq_status write_plot(void *plot, deq_write_fn *write, void *user)
{
    return deq_plot_write_svg(plot, write, user);
}

deq_status deq_plot_save_svg(deq_plot *plot, const char *path)
{
    return deq_page_save(plot->ctx, path, write_plot, plot);
}
