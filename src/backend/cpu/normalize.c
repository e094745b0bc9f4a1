/* SPDX-License-Identifier: MIT */
/*
 * Normalisation and its tangent (op/norm.h) with the element-wise nodes before and after.
 *
 * An instance is what is normalised by itself and lies in one piece: in the plain layout one group of
 * one sample, in channels-last a whole sample with all its groups.  Its elements are rows of lanes, a
 * lane always belonging to one channel.  There are three ways through memory:
 *
 *   whole rows     small plain instances: a tile holds several; one tile program computes what comes
 *                  before, the normalisation and what comes after
 *   by instance    two tile programs, one after the other over one instance while it is in the
 *                  cache: the first ends in sums, the second begins with what the sums are for
 *   in two phases  too few instances for the threads: all threads sum parts of all of them, meet,
 *                  and then map the same parts
 *
 * Sums.  An instance is cut into chunks, a chunk into blocks of some 64 rows.  The sums s of
 * d = x - x_0 and q of d^2 over a block are taken in f32, lane by lane.  The origin x_0 is the first
 * row, unless that turns out to lie four standard deviations off; so little is lost however far the
 * numbers are from zero.  From there on everything is double, and relative to a pivot p, one of the
 * numbers of the group: with e = x_0 - p, a block of n rows adds s + n e to the sum of x - p and
 * q + 2 e s + n e^2 to that of its square.  Chunks do not depend on the number of threads, and hence
 * nor do results.
 */
#include "backend/cpu/cpu.h"
#include "backend/cpu/normalize_kernels.h"
#include "backend/cpu/tile.h"
#include "op/norm.h"

#include <math.h>
#include <omp.h>
#include <stdalign.h>
#include <string.h>

enum {
    ROW = 2048,       /* elements of the largest instance that is computed as a whole row */
    BLOCK = 64,       /* rows after which sums become double */
    CHUNK = 16384,    /* elements that one thread at least sums */
    WIDTH = 64,       /* lanes, at least */
    MOST_CHUNKS = 256 /* of an instance */
};

/* Of one group in one chunk: of x - pivot, and of its square (tangent: of v, and of v xhat). */
typedef struct chunk_sums {
    double pivot, count, sum, square;
} chunk_sums;

typedef struct normalize {
    const deq_normalize_kernels *k;
    const deq_tile_program *first, *second; /* whole rows: second alone; either may be missing */
    bool tangent, whole, phases;
    int64_t instances, groups; /* groups of an instance */
    int64_t elements;          /* of an instance */
    int64_t channels;          /* of an instance that alternate from element to element */
    int64_t width;             /* lanes: a multiple of channels */
    int64_t chunks;            /* of an instance */
    int64_t tiles[2];          /* of an instance, in the first and the second program */
    double eps;
    int rstd;    /* slot: written by normalize (-1: nobody asks), read by its tangent */
    int partial; /* slot: [instances][chunks][groups] of chunk_sums */
    int scratch; /* slot: working memory of the threads, -1: the stack */
    size_t work; /* bytes of one thread */
    int threads;
} normalize;

static const deq_normalize_kernels *kernels_of(deq_isa isa)
{
    return DEQ_ISA_SELECT(isa, deq_normalize_kernels);
}

/* What a thread works with.  Lanes: [width] each. */
typedef struct worker {
    const normalize *n;
    void *const *slot;
    float *x0, *s, *q;    /* of the current block */
    int64_t rows;         /* in the current block */
    float *pivot;         /* of the current chunk */
    double *sum, *square; /* likewise, see chunk_sums */
    int64_t count;        /* elements of the current chunk so far */
    float *m, *r, *b;     /* y = (x - m) r + b;  tangent: y = v r + xhat m + b */
    deq_tile_run first, second;
} worker;

static size_t round_up(size_t bytes)
{
    return (bytes + DEQ_ALIGNMENT - 1) / DEQ_ALIGNMENT * DEQ_ALIGNMENT;
}

static size_t program_work(const deq_tile_program *p)
{
    return p ? round_up(p->work) : 0;
}

/* Sums --------------------------------------------------------------------------------------- */

/* The block's sums as double, into the chunk's. */
static void end_block(worker *w)
{
    const double n = (double)w->rows;
    if (w->rows == 0) return;
    for (int64_t j = 0; j < w->n->width; j++) {
        double s = (double)w->s[j], e = (double)w->x0[j] - (double)w->pivot[j];
        w->sum[j] += s + n * e;
        w->square[j] += (double)w->q[j] + e * (2 * s + n * e);
    }
    w->rows = 0;
}

/* The lanes of a group share the first element of its first lane. */
static void begin_chunk(worker *w, const float *x)
{
    const normalize *n = w->n;
    const int64_t of_group = n->channels / n->groups;
    for (int64_t j = 0; j < n->channels; j++)
        w->pivot[j] = n->tangent ? 0 : x[j / of_group * of_group];
    for (int64_t j = n->channels; j < n->width; j++) w->pivot[j] = w->pivot[j - n->channels];
}

/* What is left of a tile after its complete rows. */
static void add_rest(worker *w, const float *x, const float *xhat, int64_t n)
{
    for (int64_t j = 0; j < n; j++) {
        double d = (double)x[j] - (double)w->pivot[j];
        w->sum[j] += d;
        w->square[j] += d * (xhat ? (double)xhat[j] : d);
    }
}

static void begin_block(worker *w, const float *x0)
{
    const size_t bytes = (size_t)w->n->width * sizeof *x0;
    memmove(w->x0, x0, bytes); /* perhaps onto itself */
    memset(w->s, 0, bytes);
    memset(w->q, 0, bytes);
}

/* Is the mean of some lane off the origin by more than four standard deviations, as far as the first
 * tile of a block tells?  (s / n)^2 > 16 (q / n - (s / n)^2) */
static bool origin_is_far(const worker *w, float n)
{
    int far = 0;
    for (int64_t j = 0; j < w->n->width; j++) far |= 17 * w->s[j] * w->s[j] > 16 * n * w->q[j];
    return far;
}

static void add_moments(worker *w, const float *x, int64_t rows)
{
    const normalize *n = w->n;
    bool first = w->rows == 0;
    if (first) begin_block(w, x);
    n->k->moments(x, rows, n->width, w->x0, w->s, w->q);
    if (!first || !origin_is_far(w, (float)rows)) return;
    for (int64_t j = 0; j < n->width; j++) w->x0[j] += w->s[j] / (float)rows;
    begin_block(w, w->x0);
    n->k->moments(x, rows, n->width, w->x0, w->s, w->q);
}

static void add_products(worker *w, const float *v, const float *xhat, int64_t rows)
{
    if (w->rows == 0) begin_block(w, w->pivot);
    w->n->k->products(v, xhat, rows, w->n->width, w->s, w->q);
}

/* The hook of the first program: look at a tile. */
static void add_tile(void *user, const deq_tile *tile, const void *va, const void *vb, void *vy)
{
    worker *w = user;
    const normalize *n = w->n;
    const float *x = va, *xhat = vb;
    const int64_t width = n->width, rows = tile->n / width, whole = rows * width;
    (void)vy;
    if (w->count == 0) begin_chunk(w, x);
    if (rows && n->tangent) add_products(w, x, xhat, rows);
    if (rows && !n->tangent) add_moments(w, x, rows);
    add_rest(w, x + whole, n->tangent ? xhat + whole : NULL, tile->n - whole);
    w->count += tile->n;
    w->rows += rows;
    if (w->rows >= BLOCK) end_block(w);
}

static chunk_sums *sums_of(const worker *w, int64_t instance, int64_t chunk)
{
    const normalize *n = w->n;
    chunk_sums *all = w->slot[n->partial];
    return all + (instance * n->chunks + chunk) * n->groups;
}

/* Lanes of a chunk to groups. */
static void store_chunk(const worker *w, int64_t instance, int64_t chunk)
{
    const normalize *n = w->n;
    const int64_t of_group = n->channels / n->groups;
    chunk_sums *sums = sums_of(w, instance, chunk);
    for (int64_t g = 0; g < n->groups; g++)
        sums[g] = (chunk_sums){ .pivot = (double)w->pivot[g * of_group],
                                .count = (double)w->count / (double)n->groups };
    for (int64_t from = 0; from < n->width; from += n->channels)
        for (int64_t g = 0; g < n->groups; g++)
            for (int64_t j = from + g * of_group; j < from + (g + 1) * of_group; j++) {
                sums[g].sum += w->sum[j];
                sums[g].square += w->square[j];
            }
}

/* The tiles of a chunk. */
static void run_chunk(deq_tile_run *run, int64_t tiles, int64_t chunks, int64_t instance,
                      int64_t chunk)
{
    int64_t first = instance * tiles;
    deq_tile_range(run, first + tiles * chunk / chunks, first + tiles * (chunk + 1) / chunks);
}

static void sum_chunk(worker *w, int64_t instance, int64_t chunk)
{
    const normalize *n = w->n;
    const size_t bytes = (size_t)n->width * sizeof(double);
    memset(w->sum, 0, bytes);
    memset(w->square, 0, bytes);
    w->rows = w->count = 0;
    run_chunk(&w->first, n->tiles[0], n->chunks, instance, chunk);
    end_block(w);
    store_chunk(w, instance, chunk);
}

/* From sums to factors ----------------------------------------------------------------------- */

/* The chunks of a group as one, relative to the pivot of the first. */
static chunk_sums add_chunks(const worker *w, int64_t instance, int64_t group)
{
    chunk_sums all = sums_of(w, instance, 0)[group];
    for (int64_t c = 1; c < w->n->chunks; c++) {
        const chunk_sums *part = &sums_of(w, instance, c)[group];
        const double e = part->pivot - all.pivot;
        all.count += part->count;
        all.sum += part->sum + part->count * e;
        all.square += part->square + e * (2 * part->sum + part->count * e);
    }
    return all;
}

/* y = (x - m) r + b, where m - b / r is the mean: more than f32 alone could hold. */
static void set_moments(worker *w, const chunk_sums *sums, float *rstd, int64_t from, int64_t to)
{
    const double shift = sums->sum / sums->count, mean = sums->pivot + shift;
    const double variance = sums->square / sums->count - shift * shift;
    const double r = 1 / sqrt((variance < 0 ? 0 : variance) + w->n->eps);
    const float m = (float)mean;
    if (rstd) *rstd = (float)r;
    for (int64_t j = from; j < to; j++) {
        w->m[j] = m;
        w->r[j] = (float)r;
        w->b[j] = (float)(((double)m - mean) * r);
    }
}

/* y = r v - r m(xhat v) xhat - r m(v) */
static void set_products(worker *w, const chunk_sums *sums, float rstd, int64_t from, int64_t to)
{
    const double r = (double)rstd / sums->count;
    for (int64_t j = from; j < to; j++) {
        w->m[j] = (float)(-r * sums->square);
        w->r[j] = rstd;
        w->b[j] = (float)(-r * sums->sum);
    }
}

/* The factors of all lanes of an instance; `keep`: rstd is stored too, by one thread only. */
static void set_factors(worker *w, int64_t instance, bool keep)
{
    const normalize *n = w->n;
    const int64_t of_group = n->channels / n->groups;
    float *rstd = n->rstd < 0 ? NULL : (float *)w->slot[n->rstd] + instance * n->groups;
    for (int64_t g = 0; g < n->groups; g++) {
        const chunk_sums sums = add_chunks(w, instance, g);
        const int64_t from = g * of_group, to = from + of_group;
        if (n->tangent) /* whose rstd is an input, hence there */
            set_products(w, &sums, rstd ? rstd[g] : 0.0f, from, to);
        else
            set_moments(w, &sums, rstd && keep ? rstd + g : NULL, from, to);
    }
    for (int64_t j = n->channels; j < n->width; j++) {
        w->m[j] = w->m[j - n->channels];
        w->r[j] = w->r[j - n->channels];
        w->b[j] = w->b[j - n->channels];
    }
}

/* The hook of the second program. */
static void map_tile(void *user, const deq_tile *tile, const void *a, const void *b, void *y)
{
    const worker *w = user;
    const normalize *n = w->n;
    if (n->tangent)
        n->k->apply_tangent(a, b, tile->n, n->width, w->r, w->m, w->b, y);
    else
        n->k->apply(a, tile->n, n->width, w->m, w->r, w->b, y);
}

static void map_chunk(worker *w, int64_t instance, int64_t chunk)
{
    const normalize *n = w->n;
    if (n->second) run_chunk(&w->second, n->tiles[1], n->chunks, instance, chunk);
}

/* The three ways ----------------------------------------------------------------------------- */

static void worker_begin(worker *w, const normalize *n, void *const *slot, int thread)
{
    char *at = (char *)slot[n->scratch] + (size_t)thread * n->work;
    const size_t lanes = round_up((size_t)n->width * sizeof(float));
    *w = (worker){ .n = n, .slot = slot };
    float **singles[] = { &w->x0, &w->s, &w->q, &w->pivot, &w->m, &w->r, &w->b };
    for (size_t i = 0; i < sizeof singles / sizeof *singles; i++, at += lanes)
        *singles[i] = (float *)(void *)at;
    w->sum = (double *)(void *)at, at += 2 * lanes;
    w->square = (double *)(void *)at, at += 2 * lanes;
    deq_tile_begin(&w->first, n->first, slot, at, add_tile, w);
    at += program_work(n->first);
    if (n->second) deq_tile_begin(&w->second, n->second, slot, at, map_tile, w);
}

static void run_by_instance(const normalize *n, void *const *slot, int thread, int threads)
{
    worker w;
    worker_begin(&w, n, slot, thread);
    int64_t end = n->instances * (thread + 1) / threads;
    for (int64_t i = n->instances * thread / threads; i < end; i++) {
        for (int64_t c = 0; c < n->chunks; c++) sum_chunk(&w, i, c);
        set_factors(&w, i, true);
        for (int64_t c = 0; c < n->chunks; c++) map_chunk(&w, i, c);
    }
}

/* Called by all threads of a parallel region. */
static void run_in_phases(const normalize *n, void *const *slot, int thread, int threads)
{
    worker w;
    worker_begin(&w, n, slot, thread);
    int64_t all = n->instances * n->chunks;
    int64_t begin = all * thread / threads, end = all * (thread + 1) / threads;
    for (int64_t c = begin; c < end; c++) sum_chunk(&w, c / n->chunks, c % n->chunks);
#pragma omp barrier
    for (int64_t c = begin; c < end; c++) {
        int64_t instance = c / n->chunks, chunk = c % n->chunks;
        if (c == begin || chunk == 0) set_factors(&w, instance, chunk == 0);
        map_chunk(&w, instance, chunk);
    }
}

static void map_rows(void *user, const deq_tile *tile, const void *a, const void *b, void *y)
{
    const worker *w = user;
    const normalize *n = w->n;
    int64_t first = tile->first / n->elements, rows = tile->n / n->elements;
    float *rstd = n->rstd < 0 ? NULL : (float *)w->slot[n->rstd] + first;
    if (n->tangent)
        n->k->tangent_rows(a, b, rstd, rows, n->elements, y);
    else
        n->k->rows(a, rows, n->elements, n->eps, y, rstd);
}

static void run_whole_rows(const normalize *n, void *const *slot, int thread, int threads)
{
    alignas(DEQ_ALIGNMENT) char stack[DEQ_TILE_STACK];
    const deq_tile_program *p = n->second;
    worker w = { .n = n, .slot = slot };
    void *work = n->scratch < 0 ? stack : (char *)slot[n->scratch] + (size_t)thread * n->work;
    deq_tile_begin(&w.second, p, slot, work, map_rows, &w);
    deq_tile_range(&w.second, p->tiles * thread / threads, p->tiles * (thread + 1) / threads);
}

static void run_share(const normalize *n, void *const *slot, int thread, int threads)
{
    if (n->whole)
        run_whole_rows(n, slot, thread, threads);
    else if (n->phases)
        run_in_phases(n, slot, thread, threads);
    else
        run_by_instance(n, slot, thread, threads);
}

static deq_status run_normalize(void *self, void *const *slot, char *message)
{
    const normalize *n = self;
    (void)message;
    if (n->threads == 1) {
        n->whole ? run_whole_rows(n, slot, 0, 1) : run_by_instance(n, slot, 0, 1);
        return DEQ_OK;
    }
#pragma omp parallel num_threads(n->threads)
    run_share(n, slot, omp_get_thread_num(), omp_get_num_threads());
    return DEQ_OK;
}

/* Lowering ----------------------------------------------------------------------------------- */

/* What the group is made of. */
typedef struct parts {
    const deq_node *anchor;
    deq_type type;
    deq_layout layout;
    int64_t groups;            /* attribute */
    deq_value *before, *after; /* outputs: of the prologue; xhat and of the epilogue */
    int n_before, n_after;
    bool whole;
} parts;

static const deq_node *anchor_of(const deq_lowering *l, const deq_group *group)
{
    return &l->g->nodes[group->anchor];
}

static bool is_tangent(const deq_node *anchor)
{
    return anchor->op == &deq_op_normalize_tangent;
}

/* The second output of normalize; no value for its tangent. */
static deq_value rstd_of(const deq_node *anchor)
{
    return is_tangent(anchor) ? DEQ_NONE : deq_node_out(anchor, 1);
}

static int64_t groups_of(const deq_node *anchor)
{
    if (is_tangent(anchor)) return ((const deq_normalize_tangent_attr *)anchor->attr)->groups;
    return ((const deq_normalize_attr *)anchor->attr)->groups;
}

static deq_status find_parts(deq_lowering *l, const deq_group *group, parts *p)
{
    size_t n = (size_t)group->n_outputs + 1;
    *p = (parts){ .anchor = anchor_of(l, group) };
    p->type = *deq_type_of(l->g, deq_node_out(p->anchor, 0));
    p->groups = groups_of(p->anchor);
    p->before = deq_lower_alloc(l, n * sizeof(deq_value));
    p->after = deq_lower_alloc(l, n * sizeof(deq_value));
    if (!p->before || !p->after) return DEQ_ERR_NOMEM;
    for (int i = 0; i < group->n_outputs; i++) {
        deq_value v = group->outputs[i];
        if (v.id == rstd_of(p->anchor).id) continue;
        if (l->layout[v.id] == DEQ_LAYOUT_CHANNELS_LAST) p->layout = DEQ_LAYOUT_CHANNELS_LAST;
        if (l->g->values[v.id].node < group->anchor)
            p->before[p->n_before++] = v;
        else
            p->after[p->n_after++] = v;
    }
    return DEQ_OK;
}

/* Instances first, then what lies inside them. */
static void set_axes(deq_tile_request *r, const parts *p)
{
    const int64_t *d = p->type.shape.dim;
    int rank = p->type.shape.rank;
    if (p->layout == DEQ_LAYOUT_CHANNELS_LAST) {
        deq_tile_space(r);
        r->instances = 1;
        r->covered = 3; /* whole pixels */
        return;
    }
    int64_t of_group = d[1] / p->groups;
    r->axes[0] = (deq_tile_axis){ 0, d[0], 1 };
    r->axes[1] = (deq_tile_axis){ 1, p->groups, of_group };
    r->axes[2] = (deq_tile_axis){ 1, of_group, 1 };
    for (int i = 2; i < rank; i++) r->axes[i + 1] = (deq_tile_axis){ i, d[i], 1 };
    r->n_axes = rank + 1;
    r->instances = 2;
    r->covered = p->whole ? 2 : r->n_axes;
}

static deq_status make_program(const deq_tile_program **out, deq_lowering *l,
                               const deq_group *group, const parts *p, bool sink,
                               const deq_value *outputs, int n_outputs, int n_ready)
{
    deq_tile_request r = { .nodes = group->nodes,
                           .n_nodes = group->n_nodes,
                           .anchor = group->anchor,
                           .sink = sink,
                           .outputs = outputs,
                           .n_outputs = n_outputs,
                           .ready = p->before,
                           .n_ready = n_ready,
                           .type = p->type,
                           .layout = p->layout };
    deq_tile_program *program;
    set_axes(&r, p);
    DEQ_TRY(deq_tile_compile(&program, l, &r));
    *out = program;
    return DEQ_OK;
}

static deq_status make_programs(normalize *n, deq_lowering *l, const deq_group *group, parts *p)
{
    if (n->whole) { /* everything at once; somebody may want rstd alone */
        for (int i = 0; i < p->n_before; i++) p->after[p->n_after++] = p->before[i];
        bool sink = p->n_after == p->n_before;
        return make_program(&n->second, l, group, p, sink, p->after, p->n_after, 0);
    }
    DEQ_TRY(make_program(&n->first, l, group, p, true, p->before, p->n_before, 0));
    n->tiles[0] = n->first->tiles / n->instances;
    if (p->n_after == 0) return DEQ_OK;
    DEQ_TRY(make_program(&n->second, l, group, p, false, p->after, p->n_after, p->n_before));
    n->tiles[1] = n->second->tiles / n->instances;
    return DEQ_OK;
}

/* Enough lanes for whole vectors, if that takes no more than a few times the channels. */
static int64_t choose_width(int64_t channels)
{
    int64_t least = channels < WIDTH ? (WIDTH + channels - 1) / channels : 1;
    for (int64_t repeat = least; repeat * channels <= 4 * WIDTH; repeat++)
        if (repeat * channels % 16 == 0) return repeat * channels;
    return least * channels;
}

static void set_sizes(normalize *n, const parts *p)
{
    bool last = p->layout == DEQ_LAYOUT_CHANNELS_LAST;
    int64_t all = deq_shape_count(&p->type.shape), batch = p->type.shape.dim[0];
    n->instances = last ? batch : batch * p->groups;
    n->elements = all / n->instances;
    n->groups = last ? p->groups : 1;
    n->channels = last ? p->type.shape.dim[1] : 1;
    n->width = choose_width(n->channels);
    n->chunks = n->elements / CHUNK;
    if (n->chunks > MOST_CHUNKS) n->chunks = MOST_CHUNKS;
    if (n->chunks < 1) n->chunks = 1;
    n->whole = !last && n->elements <= ROW;
}

static void set_threads(normalize *n, int threads)
{
    double cost = 0.1 * (double)(n->instances * n->elements);
    if (n->first) cost += n->first->cost;
    if (n->second) cost += n->second->cost;
    n->threads = deq_tile_threads(cost, threads);
    if (n->whole) {
        if (n->second && n->second->tiles < n->threads) n->threads = (int)n->second->tiles;
        return;
    }
    n->phases = n->instances < 4 * n->threads && n->instances % n->threads != 0;
    int64_t most = n->phases ? n->instances * n->chunks : n->instances;
    if (most < n->threads) n->threads = (int)most;
}

static deq_status set_slots(normalize *n, deq_lowering *l, const deq_group *group, const parts *p)
{
    deq_status status = DEQ_OK;
    size_t lanes = round_up((size_t)n->width * sizeof(float));
    size_t sums = (size_t)(n->instances * n->chunks * n->groups) * sizeof(chunk_sums);
    deq_value rstd = rstd_of(p->anchor);
    n->rstd = n->scratch = n->partial = -1;
    if (n->tangent) n->rstd = deq_lower_read(l, p->anchor->in[2], DEQ_LAYOUT_PLAIN, &status);
    for (int i = 0; i < group->n_outputs; i++)
        if (group->outputs[i].id == rstd.id) n->rstd = deq_lower_write(l, rstd, &status);
    DEQ_TRY(status);
    n->work = n->whole ? program_work(n->second)
                       : 11 * lanes + program_work(n->first) + program_work(n->second);
    if (n->whole && n->work <= DEQ_TILE_STACK) return DEQ_OK;
    n->scratch = deq_lower_slot(l, n->work * (size_t)n->threads, group->stage);
    if (n->scratch < 0) return DEQ_ERR_NOMEM;
    if (n->whole) return DEQ_OK;
    n->partial = deq_lower_slot(l, sums, group->stage);
    return n->partial < 0 ? DEQ_ERR_NOMEM : DEQ_OK;
}

static int append_slots(int *to, int n, const int *from, int n_from)
{
    for (int i = 0; i < n_from; i++) to[n++] = from[i];
    return n;
}

static bool reads_slot(const deq_tile_program *p, int slot)
{
    for (int i = 0; i < p->n_reads; i++)
        if (p->reads[i] == slot) return true;
    return false;
}

/* The second program runs over an instance, or all of them, when the first is through with it. */
static int list_overwrites(const deq_tile_program *one, const deq_tile_program *two,
                           deq_overwrite *list)
{
    int n = 0, kept = 0;
    n = deq_tile_list_overwrites(one, list);
    for (int i = 0; i < n; i++)
        if (!reads_slot(two, list[i].read)) list[kept++] = list[i];
    return kept + deq_tile_list_overwrites(two, list + kept);
}

static deq_status emit_step(normalize *n, deq_lowering *l, const deq_group *group)
{
    static const deq_tile_program none;
    const deq_tile_program *one = n->first ? n->first : &none;
    const deq_tile_program *two = n->second ? n->second : &none;
    deq_step step = { .run = run_normalize,
                      .self = n,
                      .stage = group->stage,
                      .kernel = n->tangent ? "normalize tangent" : "normalize",
                      .flops = one->flops + two->flops + 5 * (double)(n->instances * n->elements) };
    int *reads = deq_lower_alloc(l, (size_t)(one->n_reads + two->n_reads + 1) * sizeof(int));
    int *writes = deq_lower_alloc(l, (size_t)(one->n_writes + two->n_writes + 3) * sizeof(int));
    deq_overwrite *over = deq_lower_alloc(
        l, ((size_t)(one->n_reads * one->n_writes) + (size_t)(two->n_reads * two->n_writes) + 1) *
               sizeof *over);
    if (!reads || !writes || !over) return DEQ_ERR_NOMEM;
    step.reads = reads, step.writes = writes;
    step.overwrites = over;
    step.n_overwrites = list_overwrites(one, two, over);
    step.n_reads = append_slots(reads, 0, one->reads, one->n_reads);
    step.n_reads = append_slots(reads, step.n_reads, two->reads, two->n_reads);
    step.n_writes = append_slots(writes, 0, one->writes, one->n_writes);
    step.n_writes = append_slots(writes, step.n_writes, two->writes, two->n_writes);
    if (n->rstd >= 0 && n->tangent) reads[step.n_reads++] = n->rstd;
    if (n->rstd >= 0 && !n->tangent) writes[step.n_writes++] = n->rstd;
    if (n->partial >= 0) writes[step.n_writes++] = n->partial;
    if (n->scratch >= 0) writes[step.n_writes++] = n->scratch;
    for (int i = 0; i < group->n_inputs; i++)
        step.bytes += (double)deq_type_bytes(deq_type_of(l->g, group->inputs[i]));
    for (int i = 0; i < group->n_outputs; i++)
        step.bytes += (double)deq_type_bytes(deq_type_of(l->g, group->outputs[i]));
    return deq_lower_step(l, &step);
}

static deq_status lower(deq_lowering *l, const deq_group *group)
{
    parts p;
    normalize *n = deq_lower_alloc(l, sizeof *n);
    if (!n) return DEQ_ERR_NOMEM;
    DEQ_TRY(find_parts(l, group, &p));
    n->k = kernels_of(deq_context_isa(l->ctx));
    n->tangent = is_tangent(p.anchor);
    n->eps = n->tangent ? 0 : ((const deq_normalize_attr *)p.anchor->attr)->eps;
    set_sizes(n, &p);
    p.whole = n->whole;
    DEQ_TRY(make_programs(n, l, group, &p));
    set_threads(n, l->threads);
    DEQ_TRY(set_slots(n, l, group, &p));
    return emit_step(n, l, group);
}

/* What can be fused -------------------------------------------------------------------------- */

static bool supports(const deq_lowering *l, const deq_node *node)
{
    return deq_type_of(l->g, node->in[0])->dtype == DEQ_F32;
}

/* f32 or truth values throughout, and not what is there only when the normalisation has ended. */
static bool takes(const deq_lowering *l, const deq_group *group, int node)
{
    const deq_node *n = &l->g->nodes[node];
    deq_value rstd = rstd_of(anchor_of(l, group));
    if (!deq_tile_supports(l, n)) return false;
    if (deq_type_of(l->g, deq_node_out(n, 0))->dtype == DEQ_F64) return false;
    for (int i = 0; i < n->n_in; i++)
        if (deq_type_of(l->g, n->in[i])->dtype == DEQ_F64 || n->in[i].id == rstd.id) return false;
    return true;
}

/* As the inputs are.  (inputs_are compares shapes with the group's first output, which may be rstd.)
 */
static bool channels_last(const deq_lowering *l, const deq_group *group, bool inputs_are)
{
    const deq_shape *shape = &deq_type_of(l->g, deq_node_out(anchor_of(l, group), 0))->shape;
    for (int i = 0; i < group->n_inputs; i++)
        inputs_are |= l->layout[group->inputs[i].id] == DEQ_LAYOUT_CHANNELS_LAST &&
                      deq_shape_equal(&deq_type_of(l->g, group->inputs[i])->shape, shape);
    return inputs_are && shape->rank == 4;
}

#define KERNEL(operator)                                                                           \
    {                                                                                              \
        .op = &(operator), .supports = supports, .many_outputs = true, .takes_epilogue = takes,    \
        .takes_prologue = takes, .channels_last = channels_last, .lower = lower,                   \
    }

const deq_cpu_kernel deq_cpu_normalize = KERNEL(deq_op_normalize);
const deq_cpu_kernel deq_cpu_normalize_tangent = KERNEL(deq_op_normalize_tangent);
