/* SPDX-License-Identifier: MIT */
/* Thinning without loss of extremes. */
#include "report/thin.h"

#include <math.h>
#include <string.h>

enum { OF_EACH = 4 }; /* least and largest y, least low, largest high */

static bool rises(const deq_point *p, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (p[i].x < p[i - 1].x) return false;
    return true;
}

static bool has_intervals(const deq_point *p, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (p[i].low < p[i].y || p[i].high > p[i].y) return true;
    return false;
}

/* The strip of point i, never less than that of the one before. */
static size_t strip_of(const deq_point *p, size_t i, size_t count, size_t strips, bool by_place)
{
    const double span = p[count - 1].at_x - p[0].at_x;

    if (!by_place || !(span > 0)) return i / ((count + strips - 1) / strips);
    const double part = (p[i].at_x - p[0].at_x) / span;
    const size_t strip = (size_t)(part * (double)strips);
    return strip < strips ? strip : strips - 1;
}

/* Of points from to end - 1, which stay; rising, each once. */
static size_t choose(size_t chosen[OF_EACH], const deq_point *p, size_t from, size_t end)
{
    size_t best[OF_EACH] = { from, from, from, from }, n = 0;

    for (size_t i = from + 1; i < end; i++) {
        if (p[i].y < p[best[0]].y) best[0] = i;
        if (p[i].y > p[best[1]].y) best[1] = i;
        if (p[i].low < p[best[2]].low) best[2] = i;
        if (p[i].high > p[best[3]].high) best[3] = i;
    }
    for (int k = 0; k < OF_EACH; k++) {
        size_t at = 0;
        while (at < n && chosen[at] < best[k]) at++;
        if (at < n && chosen[at] == best[k]) continue;
        memmove(chosen + at + 1, chosen + at, (n - at) * sizeof *chosen);
        chosen[at] = best[k];
        n++;
    }
    return n;
}

/* Move point `from` to place *kept; a gap anywhere since the last one that stayed is its gap. */
static void keep(deq_point *p, size_t *kept, size_t *seen, size_t from)
{
    bool gap = false;

    if (from < *seen) return; /* it is kept already */
    for (size_t i = *seen; i <= from; i++) gap = gap || p[i].gap;
    p[*kept] = p[from];
    p[(*kept)++].gap = gap;
    *seen = from + 1;
}

size_t deq_thin_line(deq_point *p, size_t count, size_t most)
{
    if (count <= most) return count;
    const size_t strips = (most - 2) / (has_intervals(p, count) ? OF_EACH : OF_EACH / 2);
    const bool by_place = rises(p, count);
    size_t kept = 0, seen = 0;

    keep(p, &kept, &seen, 0);
    for (size_t from = 0, end; from < count; from = end) {
        const size_t strip = strip_of(p, from, count, strips, by_place);
        for (end = from + 1; end < count; end++)
            if (strip_of(p, end, count, strips, by_place) != strip) break;
        size_t chosen[OF_EACH];
        const size_t n = choose(chosen, p, from, end);
        for (size_t k = 0; k < n; k++) keep(p, &kept, &seen, chosen[k]);
    }
    if (seen < count) keep(p, &kept, &seen, count - 1);
    return kept;
}

/* Squares of `side` pixels over the places of the points. */
typedef struct grid {
    double left, top, side;
    size_t columns;
    unsigned char *taken; /* a bit a square */
    size_t bytes;
} grid;

enum { MOST_SIDE = 4096 }; /* squares in a row, of plots of at most 4000 pixels */

static size_t square_of(const grid *g, const deq_point *p)
{
    const double column = fmin(fmax((p->at_x - g->left) / g->side, 0), (double)(g->columns - 1));
    const double row = fmin(fmax((p->at_y - g->top) / g->side, 0), (double)(g->columns - 1));

    return (size_t)row * g->columns + (size_t)column;
}

static bool take(grid *g, const deq_point *p)
{
    const size_t square = square_of(g, p);
    const unsigned char bit = (unsigned char)(1U << square % 8);

    if (g->taken[square / 8] & bit) return false;
    g->taken[square / 8] |= bit;
    return true;
}

static void extremes(size_t of[4], const deq_point *p, size_t count)
{
    for (int k = 0; k < 4; k++) of[k] = 0;
    for (size_t i = 1; i < count; i++) {
        if (p[i].x < p[of[0]].x) of[0] = i;
        if (p[i].x > p[of[1]].x) of[1] = i;
        if (p[i].y < p[of[2]].y) of[2] = i;
        if (p[i].y > p[of[3]].y) of[3] = i;
    }
}

static bool is_extreme(const size_t of[4], size_t i)
{
    return i == of[0] || i == of[1] || i == of[2] || i == of[3];
}

/* How many points stay with this grid; they move to the front if `move`. */
static size_t sift(grid *g, deq_point *p, size_t count, const size_t of[4], bool move)
{
    size_t kept = 0;

    memset(g->taken, 0, g->bytes);
    for (int k = 0; k < 4; k++) (void)take(g, &p[of[k]]);
    for (size_t i = 0; i < count; i++) {
        if (!is_extreme(of, i) && !take(g, &p[i])) continue;
        if (move) p[kept] = p[i];
        kept++;
    }
    return kept;
}

deq_status deq_thin_cloud(size_t *kept, deq_context *ctx, deq_point *p, size_t count, size_t most)
{
    size_t of[4];

    *kept = count;
    if (count <= most) return DEQ_OK;
    extremes(of, p, count);
    grid g = { .left = p[of[0]].at_x, .top = fmin(p[of[2]].at_y, p[of[3]].at_y), .side = 1 };
    g.bytes = (size_t)MOST_SIDE * MOST_SIDE / 8;
    g.taken = deq_alloc(ctx, g.bytes);
    if (!g.taken) return DEQ_ERR_NOMEM;
    g.columns = MOST_SIDE;
    while (g.columns > 1 && sift(&g, p, count, of, false) > most) {
        g.side *= 1.25;
        g.columns = (size_t)(MOST_SIDE / g.side);
    }
    *kept = sift(&g, p, count, of, true);
    deq_release(ctx, g.taken, g.bytes);
    return DEQ_OK;
}
