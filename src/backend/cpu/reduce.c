/* SPDX-License-Identifier: MIT */
/*
 * Sums over axes in f32, with the element-wise nodes that compute what is summed.
 *
 * Many reductions have, in the order of memory, the form
 *
 *   [R1, K1, R0, K0]  ->  [K1, K0]
 *
 * with R summed, K kept, and any of the four may be absent: row sums [K1, R0], bias gradients
 * [R0, K0], sums per channel [R1, K1, R0] in the plain layout and [R0, K0] in channels-last, means of
 * images [K1, R0] and [K1, R0, K0].  Everything else is left to the reference kernels.
 *
 * A segment is one index of [R1, K1]: R0 K0 elements in one piece, seen as rows of lanes, where a lane
 * always has the same index of K0.  Segments are cut into chunks that do not depend on the number of
 * threads; the sums of a chunk are f32 over some 64 rows and double beyond.  The threads take a share
 * of the chunks each, meet, and then add the chunks up, in order.
 */
#include "backend/cpu/cpu.h"
#include "backend/cpu/reduce_kernels.h"
#include "backend/cpu/tile.h"
#include "op/shape.h"

#include <omp.h>
#include <stdalign.h>
#include <string.h>

enum {
    ROW = 2048, /* elements of the longest segment without K0 that shares a tile with others */
    BLOCK = 64, /* rows after which sums become double */
    CHUNK = 16384,
    WIDTH = 64,      /* lanes, at least */
    WIDEST = 4096,   /* K0, at most */
    MOST_CHUNKS = 64 /* of a segment */
};

typedef struct reduce {
    const deq_reduce_kernels *k;
    const deq_tile_program *p;
    int64_t outer, segments; /* R1; R1 K1 */
    int64_t elements, kept;  /* of a segment: R0 K0; K0 */
    int64_t width;           /* lanes: a multiple of K0 */
    int64_t tiles, chunks;   /* of a segment */
    bool rows;               /* K0 = 1, and tiles hold one or more segments */
    int y;                   /* slot */
    int partial;             /* slot: double [segments][chunks][K0] */
    int scratch;             /* slot: working memory of the threads */
    size_t work;             /* bytes of one thread */
    int threads;
} reduce;

typedef struct worker {
    const reduce *r;
    void *const *slot;
    float *s;      /* [width] sums of the current block */
    double *sum;   /* [width] of the current chunk */
    int64_t count; /* rows in the block */
    deq_tile_run run;
} worker;

static const deq_reduce_kernels *kernels_of(deq_isa isa)
{
    return DEQ_ISA_SELECT(isa, deq_reduce_kernels);
}

static size_t round_up(size_t bytes)
{
    return (bytes + DEQ_ALIGNMENT - 1) / DEQ_ALIGNMENT * DEQ_ALIGNMENT;
}

/* Running ------------------------------------------------------------------------------------ */

static void end_block(worker *w)
{
    const int64_t width = w->r->width;
    if (w->count == 0) return;
    for (int64_t j = 0; j < width; j++) w->sum[j] += (double)w->s[j];
    memset(w->s, 0, (size_t)width * sizeof *w->s);
    w->count = 0;
}

/* Hooks: look at a tile. */
static void add_tile(void *user, const deq_tile *tile, const void *a, const void *b, void *y)
{
    worker *w = user;
    const float *x = a;
    const int64_t width = w->r->width, rows = tile->n / width;
    (void)b, (void)y;
    if (rows) w->r->k->columns(x, rows, width, w->s);
    for (int64_t i = rows * width, j = 0; i < tile->n; i++, j++) w->sum[j] += (double)x[i];
    w->count += rows;
    if (w->count >= BLOCK) end_block(w);
}

static void add_rows(void *user, const deq_tile *tile, const void *a, const void *b, void *y)
{
    const worker *w = user;
    const reduce *r = w->r;
    double *partial = w->slot[r->partial];
    (void)b, (void)y;
    r->k->rows(a, tile->n / r->elements, r->elements, partial + tile->first / r->elements);
}

static void sum_chunk(worker *w, int64_t segment, int64_t chunk)
{
    const reduce *r = w->r;
    const int64_t tile = segment * r->tiles;
    double *partial = (double *)w->slot[r->partial] + (segment * r->chunks + chunk) * r->kept;
    memset(w->s, 0, (size_t)r->width * sizeof *w->s);
    memset(w->sum, 0, (size_t)r->width * sizeof *w->sum);
    w->count = 0;
    deq_tile_range(&w->run, tile + r->tiles * chunk / r->chunks,
                   tile + r->tiles * (chunk + 1) / r->chunks);
    end_block(w);
    memcpy(partial, w->sum, (size_t)r->kept * sizeof *partial);
    for (int64_t from = r->kept; from < r->width; from += r->kept)
        for (int64_t j = 0; j < r->kept; j++) partial[j] += w->sum[from + j];
}

static void sum_share(const reduce *r, void *const *slot, int thread, int threads)
{
    worker w = { .r = r, .slot = slot };
    const int64_t all = r->rows ? r->p->tiles : r->segments * r->chunks;
    const int64_t begin = all * thread / threads, end = all * (thread + 1) / threads;
    char *at = (char *)slot[r->scratch] + (size_t)thread * r->work;
    w.sum = (double *)(void *)at, at += round_up((size_t)r->width * sizeof *w.sum);
    w.s = (float *)(void *)at, at += round_up((size_t)r->width * sizeof *w.s);
    deq_tile_begin(&w.run, r->p, slot, at, r->rows ? add_rows : add_tile, &w);
    if (r->rows)
        deq_tile_range(&w.run, begin, end);
    else
        for (int64_t c = begin; c < end; c++) sum_chunk(&w, c / r->chunks, c % r->chunks);
}

/* Outputs [begin, end): index k1 K0 + k0, over R1 and the chunks. */
static void add_up(const reduce *r, void *const *slot, int thread, int threads)
{
    const double *partial = slot[r->partial];
    float *y = slot[r->y];
    const int64_t inner = r->segments / r->outer, n = inner * r->kept;
    const int64_t end = n * (thread + 1) / threads;
    for (int64_t k = n * thread / threads; k < end; k++) {
        const int64_t k1 = k / r->kept, k0 = k % r->kept;
        double sum = 0;
        for (int64_t o = 0; o < r->outer; o++)
            for (int64_t c = 0; c < r->chunks; c++)
                sum += partial[((o * inner + k1) * r->chunks + c) * r->kept + k0];
        y[k] = (float)sum;
    }
}

static deq_status run_reduce(void *self, void *const *slot, char *message)
{
    const reduce *r = self;
    (void)message;
    if (r->threads == 1) {
        sum_share(r, slot, 0, 1);
        add_up(r, slot, 0, 1);
        return DEQ_OK;
    }
#pragma omp parallel num_threads(r->threads)
    {
        int thread = omp_get_thread_num(), threads = omp_get_num_threads();
        sum_share(r, slot, thread, threads);
#pragma omp barrier
        add_up(r, slot, thread, threads);
    }
    return DEQ_OK;
}

/* The form of a reduction -------------------------------------------------------------------- */

/* Extents of R1, K1, R0, K0, and the axis in the order of memory where each begins. */
typedef struct form {
    int64_t R1, K1, R0, K0;
    int segment, kept; /* axes from `segment` on are R0 and K0, from `kept` on K0 */
} form;

static int axis_at(deq_layout layout, int i)
{
    static const int last[4] = { 0, 2, 3, 1 };
    return layout == DEQ_LAYOUT_CHANNELS_LAST ? last[i] : i;
}

/* From the innermost axis outwards: kept, reduced, kept, reduced, and no more changes.  Axes of extent
 * one are what their neighbours are. */
static bool find_form(form *f, const deq_shape *x, uint32_t axes, deq_layout layout)
{
    *f = (form){ 1, 1, 1, 1, x->rank, x->rank };
    int64_t *part[] = { &f->K0, &f->R0, &f->K1, &f->R1 };
    int at = 0;
    for (int i = x->rank - 1; i >= 0; i--) {
        int axis = axis_at(layout, i);
        int reduced = (int)(axes >> axis & 1);
        if (x->dim[axis] > 1 && at % 2 != reduced) at++;
        if (at > 3) return false;
        *part[at] *= x->dim[axis];
        if (at == 0) f->kept = i;
        if (at <= 1) f->segment = i;
    }
    return f->K0 <= WIDEST && f->R0 > 1;
}

static const deq_node *anchor_of(const deq_lowering *l, const deq_group *group)
{
    return &l->g->nodes[group->anchor];
}

static bool form_of(const deq_lowering *l, const deq_node *node, deq_layout layout, form *f)
{
    const deq_reduce_attr *a = node->attr;
    return find_form(f, &deq_type_of(l->g, node->in[0])->shape, a->axes, layout);
}

static bool supports(const deq_lowering *l, const deq_node *node)
{
    form f;
    return deq_type_of(l->g, node->in[0])->dtype == DEQ_F32 &&
           form_of(l, node, DEQ_LAYOUT_PLAIN, &f);
}

static bool takes_prologue(const deq_lowering *l, const deq_group *group, int node)
{
    const deq_node *n = &l->g->nodes[node];
    (void)group;
    if (!deq_tile_supports(l, n)) return false;
    if (deq_type_of(l->g, deq_node_out(n, 0))->dtype == DEQ_F64) return false;
    for (int i = 0; i < n->n_in; i++)
        if (deq_type_of(l->g, n->in[i])->dtype == DEQ_F64) return false;
    return true;
}

/* Are full-size inputs channels-last, and is the sum as easy there?  The result is written plain, or
 * where both layouts agree: of channels and pixels at most one kind may remain. */
static bool channels_last(const deq_lowering *l, const deq_group *group, bool inputs_are)
{
    const deq_node *anchor = anchor_of(l, group);
    const uint32_t axes = ((const deq_reduce_attr *)anchor->attr)->axes;
    const deq_shape *x = &deq_type_of(l->g, anchor->in[0])->shape;
    bool kept[4];
    form f;
    if (x->rank != 4 || !form_of(l, anchor, DEQ_LAYOUT_CHANNELS_LAST, &f)) return false;
    for (int i = 0; i < 4; i++) kept[i] = !(axes >> i & 1) && x->dim[i] > 1;
    if (kept[1] && (kept[2] || kept[3])) return false;
    inputs_are = false; /* that was asked for the shape of the group's first output */
    for (int i = 0; i < group->n_inputs; i++)
        inputs_are |= l->layout[group->inputs[i].id] == DEQ_LAYOUT_CHANNELS_LAST &&
                      deq_shape_equal(&deq_type_of(l->g, group->inputs[i])->shape, x);
    return inputs_are;
}

/* Lowering ----------------------------------------------------------------------------------- */

/* The program that computes what is summed; outputs of the prologue are stored on the way. */
static deq_status make_program(reduce *r, deq_lowering *l, const deq_group *group, const form *f,
                               deq_layout layout)
{
    const deq_node *anchor = anchor_of(l, group);
    deq_value *before = deq_lower_alloc(l, (size_t)group->n_outputs * sizeof *before);
    deq_tile_request q = { .nodes = group->nodes,
                           .n_nodes = group->n_nodes,
                           .anchor = group->anchor,
                           .sink = true,
                           .outputs = before,
                           .type = *deq_type_of(l->g, anchor->in[0]),
                           .layout = layout };
    deq_tile_program *p;
    if (!before) return DEQ_ERR_NOMEM;
    for (int i = 0; i < group->n_outputs; i++)
        if (l->g->values[group->outputs[i].id].node != group->anchor)
            before[q.n_outputs++] = group->outputs[i];
    deq_tile_space(&q);
    q.instances = f->segment;
    q.covered = r->rows ? f->segment : f->kept;
    DEQ_TRY(deq_tile_compile(&p, l, &q));
    r->p = p;
    r->tiles = p->tiles / r->segments;
    return DEQ_OK;
}

static void set_sizes(reduce *r, const form *f)
{
    r->outer = f->R1;
    r->segments = f->R1 * f->K1;
    r->elements = f->R0 * f->K0;
    r->kept = f->K0;
    r->width = r->kept < WIDTH ? (WIDTH + r->kept - 1) / r->kept * r->kept : r->kept;
    r->rows = f->K0 == 1 && r->elements <= ROW;
    r->chunks = r->rows ? 1 : r->elements / CHUNK;
    if (r->chunks > MOST_CHUNKS) r->chunks = MOST_CHUNKS;
    if (r->chunks < 1) r->chunks = 1;
}

static deq_status set_slots(reduce *r, deq_lowering *l, const deq_group *group)
{
    deq_status status = DEQ_OK;
    const size_t width = (size_t)r->width;
    const int64_t units = r->rows ? r->p->tiles : r->segments * r->chunks;
    r->threads = deq_tile_threads(r->p->cost, l->threads);
    if (units < r->threads) r->threads = (int)units;
    r->work = round_up(width * sizeof(double)) + round_up(width * sizeof(float)) +
              round_up(r->p->work);
    r->y = deq_lower_write(l, deq_node_out(anchor_of(l, group), 0), &status);
    r->partial = deq_lower_slot(l, (size_t)(r->segments * r->chunks * r->kept) * sizeof(double),
                                group->stage);
    r->scratch = deq_lower_slot(l, r->work * (size_t)r->threads, group->stage);
    if (r->partial < 0 || r->scratch < 0) return DEQ_ERR_NOMEM;
    return status;
}

static deq_status emit_step(reduce *r, deq_lowering *l, const deq_group *group)
{
    const deq_tile_program *p = r->p;
    int *writes = deq_lower_alloc(l, (size_t)(p->n_writes + 3) * sizeof(int));
    deq_overwrite *over = deq_lower_alloc(l,
                                          ((size_t)(p->n_reads * p->n_writes) + 1) * sizeof *over);
    if (!writes || !over) return DEQ_ERR_NOMEM;
    memcpy(writes, p->writes, (size_t)p->n_writes * sizeof(int));
    writes[p->n_writes] = r->y;
    writes[p->n_writes + 1] = r->partial;
    writes[p->n_writes + 2] = r->scratch;
    deq_step step = { .run = run_reduce,
                      .self = r,
                      .stage = group->stage,
                      .n_reads = p->n_reads,
                      .n_writes = p->n_writes + 3,
                      .reads = p->reads,
                      .writes = writes,
                      .overwrites = over,
                      .n_overwrites = deq_tile_list_overwrites(p, over),
                      .kernel = "sum",
                      .flops = p->flops,
                      .bytes = p->bytes };
    return deq_lower_step(l, &step);
}

static deq_status lower(deq_lowering *l, const deq_group *group)
{
    const bool last = channels_last(l, group, false);
    const deq_layout layout = last ? DEQ_LAYOUT_CHANNELS_LAST : DEQ_LAYOUT_PLAIN;
    reduce *r = deq_lower_alloc(l, sizeof *r);
    form f;
    if (!r) return DEQ_ERR_NOMEM;
    (void)form_of(l, anchor_of(l, group), layout, &f);
    r->k = kernels_of(deq_context_isa(l->ctx));
    set_sizes(r, &f);
    DEQ_TRY(make_program(r, l, group, &f, layout));
    DEQ_TRY(set_slots(r, l, group));
    return emit_step(r, l, group);
}

const deq_cpu_kernel deq_cpu_sum = {
    .op = &deq_op_sum,
    .supports = supports,
    .many_outputs = true,
    .takes_prologue = takes_prologue,
    .channels_last = channels_last,
    .lower = lower,
};
