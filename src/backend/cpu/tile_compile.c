/* SPDX-License-Identifier: MIT */
/*
 * Compiling tile programs:
 *
 *   1. which nodes are needed for the outputs and the hook
 *   2. nodes to instructions on operands, each result a temporary of its own; a product that only a
 *      sum uses becomes one instruction with it, a sum that only a relu uses likewise
 *   3. strides of all arrays along the axes, and axes merged where every array allows
 *   4. temporaries share buffers by lifetime
 *   5. a tile size for which everything that a tile touches fits into the first-level cache
 *   6. which arrays can be read in place
 */
#include "backend/cpu/tile.h"

#include <string.h>

enum {
    CACHE = 32768,  /* bytes that a tile may touch */
    LARGEST = 2048, /* elements of a tile */
    SMALLEST = 64,
    LONG_ROW = 1024 /* of which several tiles are better than one */
};

typedef struct binding {
    deq_value value;
    int operand;
} binding;

typedef struct compiler {
    deq_lowering *l;
    const deq_tile_request *r;
    deq_tile_program *p;
    const deq_tile_kernels *kernels;
    deq_arena scratch;
    bool *needed;      /* [nodes of the request] */
    binding *bindings; /* values that have operands */
    int n_bindings;
    int *writer;      /* [operand]: instruction that computes it, -1 */
    int inner_rank;   /* merged axes within an instance ... */
    int covered_rank; /* ... and within every tile */
    deq_status status;
} compiler;

/* What can be compiled ----------------------------------------------------------------------- */

static bool is_float(deq_dtype t)
{
    return t == DEQ_F32 || t == DEQ_F64;
}

static bool is_tile_type(deq_dtype t)
{
    return is_float(t) || t == DEQ_BOOL;
}

bool deq_tile_supports(const deq_lowering *l, const deq_node *node)
{
    if (!node->op->elementwise) return false;
    deq_dtype out = deq_type_of(l->g, deq_node_out(node, 0))->dtype;
    if (!is_tile_type(out)) return false;
    for (int i = 0; i < node->n_in; i++) {
        deq_dtype in = deq_type_of(l->g, node->in[i])->dtype;
        if (!is_tile_type(in)) return false;
        if (is_float(in) && is_float(out) && in != out) return false; /* a cast */
    }
    return true;
}

/* One floating dtype throughout: *t is the first one seen, 0 before. */
static bool agrees(deq_dtype *t, deq_dtype next)
{
    if (!is_float(next)) return true;
    if (!*t) *t = next;
    return *t == next;
}

bool deq_tile_fits(const deq_lowering *l, const int *nodes, int n_nodes, int anchor,
                   const deq_value *outputs, int n_outputs, deq_type *type)
{
    deq_dtype t = (deq_dtype)0;
    for (int k = 0; k < n_nodes; k++) {
        const deq_node *n = &l->g->nodes[nodes[k]];
        if (nodes[k] != anchor && !deq_tile_supports(l, n)) return false;
        if (!agrees(&t, deq_type_of(l->g, deq_node_out(n, 0))->dtype)) return false;
        for (int i = 0; i < n->n_in; i++)
            if (!agrees(&t, deq_type_of(l->g, n->in[i])->dtype)) return false;
    }
    for (int i = 0; i < n_outputs; i++)
        if (!deq_shape_equal(&deq_type_of(l->g, outputs[i])->shape, &type->shape)) return false;
    type->dtype = t ? t : DEQ_F32;
    return true;
}

void deq_tile_space(deq_tile_request *r)
{
    static const int last[4] = { 0, 2, 3, 1 };
    r->n_axes = r->type.shape.rank;
    for (int i = 0; i < r->n_axes; i++) {
        int axis = r->layout == DEQ_LAYOUT_CHANNELS_LAST ? last[i] : i;
        r->axes[i] = (deq_tile_axis){ axis, r->type.shape.dim[axis], 1 };
    }
    r->instances = 0;
    r->covered = r->n_axes;
}

/* 1. Needed nodes ---------------------------------------------------------------------------- */

static bool contains(const deq_value *list, int n, deq_value v)
{
    for (int i = 0; i < n; i++)
        if (list[i].id == v.id) return true;
    return false;
}

/* The node of the request that computes v, as an index into its list; -1 for what comes from
 * outside or is ready. */
static int computed_by(const compiler *c, deq_value v)
{
    const deq_tile_request *r = c->r;
    int node = c->l->g->values[v.id].node;
    if (contains(r->ready, r->n_ready, v)) return -1;
    for (int k = 0; k < r->n_nodes; k++)
        if (r->nodes[k] == node) return k;
    return -1;
}

static void find_needed(compiler *c)
{
    const deq_tile_request *r = c->r;
    for (int i = 0; i < r->n_outputs; i++) {
        int k = computed_by(c, r->outputs[i]);
        if (k >= 0) c->needed[k] = true;
    }
    for (int k = r->n_nodes - 1; k >= 0; k--) {
        const deq_node *n = &c->l->g->nodes[r->nodes[k]];
        if (r->nodes[k] == r->anchor && r->sink) c->needed[k] = true;
        if (!c->needed[k]) continue;
        for (int i = 0; i < n->n_in; i++) {
            int by = computed_by(c, n->in[i]);
            if (by >= 0) c->needed[by] = true;
        }
    }
}

/* 2. Operands and instructions --------------------------------------------------------------- */

static int new_operand(compiler *c, deq_tile_kind kind, size_t size)
{
    int o = c->p->n_operands++;
    c->p->operands[o] = (deq_tile_operand){ .kind = kind, .size = size, .slot = -1, .buffer = -1 };
    c->writer[o] = -1;
    return o;
}

static void bind(compiler *c, deq_value v, int operand)
{
    c->bindings[c->n_bindings++] = (binding){ v, operand };
}

/* Do both layouts of a value of rank 4 put the elements into the same places? */
static bool layouts_agree(const deq_shape *s)
{
    return s->dim[1] == 1 || s->dim[2] * s->dim[3] == 1;
}

/* The layout in which a value is best read; what exists is preferred where there is a choice. */
static deq_layout reading_layout(const compiler *c, deq_value v, const deq_shape *s)
{
    const int *slot = c->l->slots[v.id];
    if (s->rank != 4) return DEQ_LAYOUT_PLAIN;
    if (!layouts_agree(s)) return c->r->layout;
    return slot[DEQ_LAYOUT_PLAIN] < 0 && slot[DEQ_LAYOUT_CHANNELS_LAST] >= 0
               ? DEQ_LAYOUT_CHANNELS_LAST
               : DEQ_LAYOUT_PLAIN;
}

/* Strides along the axes of the request (outermost first), 0 where the value is broadcast. */
static void set_strides(const compiler *c, deq_tile_operand *o, const deq_shape *s,
                        deq_layout layout)
{
    static const int last[4] = { 0, 2, 3, 1 };
    int64_t natural[DEQ_MAX_RANK], step = 1;
    for (int i = s->rank - 1; i >= 0; i--) {
        int axis = layout == DEQ_LAYOUT_CHANNELS_LAST ? last[i] : i;
        natural[axis] = s->dim[axis] == 1 ? 0 : step;
        step *= s->dim[axis];
    }
    for (int i = 0; i < c->r->n_axes; i++) {
        int axis = c->r->axes[i].axis - (c->r->type.shape.rank - s->rank);
        o->stride[i] = axis < 0 ? 0 : natural[axis] * c->r->axes[i].step;
    }
}

static int array_operand(compiler *c, deq_value v, deq_tile_kind kind)
{
    deq_tile_program *p = c->p;
    const deq_type *t = deq_type_of(c->l->g, v);
    int o = new_operand(c, kind, deq_dtype_size(t->dtype));
    deq_tile_operand *operand = &p->operands[o];
    deq_layout layout;
    if (kind == DEQ_TILE_OUTPUT) {
        layout = c->l->layout[v.id];
        operand->slot = deq_lower_write(c->l, v, &c->status);
        p->writes[p->n_writes++] = operand->slot;
    } else {
        layout = reading_layout(c, v, &t->shape);
        operand->slot = deq_lower_read(c->l, v, layout, &c->status);
        p->reads[p->n_reads++] = operand->slot;
    }
    set_strides(c, operand, &t->shape, layout);
    p->arrays[p->n_arrays++] = o;
    p->bytes += (double)deq_type_bytes(t);
    return o;
}

/* The operand of a value, made now if it comes from outside. */
static int operand_of(compiler *c, deq_value v)
{
    double number;
    int o;
    for (int i = 0; i < c->n_bindings; i++)
        if (c->bindings[i].value.id == v.id) return c->bindings[i].operand;
    if (deq_is_fill(c->l->g, v, &number)) {
        o = new_operand(c, DEQ_TILE_IMMEDIATE, c->p->size);
        c->p->operands[o].number = number;
    } else {
        o = array_operand(c, v, DEQ_TILE_IN_PLACE); /* or gathered, see choose_kinds() */
    }
    bind(c, v, o);
    return o;
}

static deq_tile_instruction *add_instruction(compiler *c, int code, int y)
{
    deq_tile_program *p = c->p;
    deq_tile_instruction *i = &p->code[p->n_code];
    *i = (deq_tile_instruction){ .code = code, .y = y };
    if (y) c->writer[y] = p->n_code;
    p->n_code++;
    return i;
}

/* The instruction that computes v with this code, if the node at hand is all that uses it; else
 * NULL. */
static deq_tile_instruction *absorbable(compiler *c, deq_value v, int code)
{
    if (c->l->uses[v.id] != 1 || computed_by(c, v) < 0) return NULL;
    if (deq_node_of(c->l->g, v)->op->elementwise != code) return NULL;
    int by = c->writer[operand_of(c, v)];
    return by >= 0 && c->p->code[by].code == code ? &c->p->code[by] : NULL;
}

/* Take an instruction out: it becomes part of another. */
static deq_tile_instruction take(compiler *c, deq_tile_instruction *i)
{
    deq_tile_instruction taken = *i;
    c->writer[i->y] = -1;
    i->code = DEQ_EW_NONE;
    return taken;
}

/* a b + c, and relu(a + b), as one instruction. */
static bool emit_pair(compiler *c, const deq_node *n, int y)
{
    deq_tile_instruction *first, *i, taken;
    if (n->op->elementwise == DEQ_EW_RELU && (first = absorbable(c, n->in[0], DEQ_EW_ADD))) {
        taken = take(c, first);
        i = add_instruction(c, DEQ_TILE_ADD_RELU, y);
        i->a = taken.a, i->b = taken.b;
        return true;
    }
    if (n->op->elementwise != DEQ_EW_ADD) return false;
    for (int k = 1; k >= 0; k--) {
        int other = operand_of(c, n->in[1 - k]);
        if (!(first = absorbable(c, n->in[k], DEQ_EW_MUL))) continue;
        taken = take(c, first);
        i = add_instruction(c, DEQ_TILE_MUL_ADD, y);
        i->a = taken.a, i->b = taken.b, i->c = other;
        return true;
    }
    return false;
}

/* bool to float and casts to the same dtype change nothing in a tile. */
static bool is_nothing(const compiler *c, const deq_node *n)
{
    deq_dtype in = deq_type_of(c->l->g, n->in[0])->dtype;
    deq_dtype out = deq_type_of(c->l->g, deq_node_out(n, 0))->dtype;
    return n->op->elementwise == DEQ_EW_CAST && (in == out || in == DEQ_BOOL);
}

static void emit_elementwise(compiler *c, const deq_node *n)
{
    if (is_nothing(c, n)) {
        bind(c, deq_node_out(n, 0), operand_of(c, n->in[0]));
        return;
    }
    int in[3] = { 0, 0, 0 };
    for (int k = 0; k < n->n_in && k < 3; k++) in[k] = operand_of(c, n->in[k]);
    int y = new_operand(c, DEQ_TILE_TEMPORARY, c->p->size);
    if (!emit_pair(c, n, y)) {
        deq_tile_instruction *i = add_instruction(c, n->op->elementwise, y);
        i->a = in[0], i->b = in[1], i->c = in[2];
        if (n->attr) memcpy(i->p, ((const deq_elementwise_attr *)n->attr)->p, sizeof i->p);
    }
    bind(c, deq_node_out(n, 0), y);
}

static void emit_anchor(compiler *c, const deq_node *n)
{
    int a = operand_of(c, n->in[0]), b = n->n_in > 1 ? operand_of(c, n->in[1]) : 0;
    int y = c->r->sink ? 0 : new_operand(c, DEQ_TILE_TEMPORARY, c->p->size);
    deq_tile_instruction *i = add_instruction(c, DEQ_TILE_HOOK, y);
    i->a = a, i->b = b;
    if (y) bind(c, deq_node_out(n, 0), y);
}

/* A temporary of the stored type is computed right into the output; anything else is copied. */
static void emit_store(compiler *c, deq_value v)
{
    bool is_bool = deq_type_of(c->l->g, v)->dtype == DEQ_BOOL;
    int from = operand_of(c, v), to = array_operand(c, v, DEQ_TILE_OUTPUT);
    deq_tile_operand *source = &c->p->operands[from];
    if (!is_bool && source->kind == DEQ_TILE_TEMPORARY) {
        deq_tile_operand *output = &c->p->operands[to];
        *source = *output;
        c->p->arrays[c->p->n_arrays - 1] = from;
        output->kind = DEQ_TILE_NONE;
        return;
    }
    deq_tile_instruction *i = add_instruction(c, is_bool ? DEQ_TILE_STORE_BOOL : DEQ_TILE_COPY, to);
    i->a = from;
}

static void emit_nodes(compiler *c)
{
    const deq_tile_request *r = c->r;
    new_operand(c, DEQ_TILE_NONE, 0);
    for (int k = 0; k < r->n_nodes && c->status == DEQ_OK; k++) {
        const deq_node *n = &c->l->g->nodes[r->nodes[k]];
        if (!c->needed[k]) continue;
        if (r->nodes[k] == r->anchor)
            emit_anchor(c, n);
        else
            emit_elementwise(c, n);
        deq_value y = deq_node_out(n, 0);
        if (contains(r->outputs, r->n_outputs, y) && !contains(r->ready, r->n_ready, y))
            emit_store(c, y);
    }
    int kept = 0;
    for (int i = 0; i < c->p->n_code; i++)
        if (c->p->code[i].code != DEQ_EW_NONE) c->p->code[kept++] = c->p->code[i];
    c->p->n_code = kept;
}

/* 3. Axes ------------------------------------------------------------------------------------ */

/* Would one axis in place of merged axis `inner` and request axis `outer` do for every array? */
static bool mergeable(const compiler *c, int64_t (*merged)[DEQ_TILE_RANK], int inner, int outer)
{
    const deq_tile_program *p = c->p;
    for (int i = 0; i < p->n_arrays; i++)
        if (p->operands[p->arrays[i]].stride[outer] != merged[i][inner] * p->dim[inner])
            return false;
    return true;
}

static void append_axis(compiler *c, int64_t (*merged)[DEQ_TILE_RANK], int64_t extent, int axis)
{
    deq_tile_program *p = c->p;
    for (int i = 0; i < p->n_arrays; i++)
        merged[i][p->rank] = axis < 0 ? 1 : p->operands[p->arrays[i]].stride[axis];
    p->dim[p->rank++] = extent;
}

/* From the innermost axis outwards.  Where tiles or instances end, an axis ends too; between these
 * two ends there is at least one axis (of extent one if need be), to be cut into blocks. */
static bool merge_axes(compiler *c)
{
    const deq_tile_request *r = c->r;
    deq_tile_program *p = c->p;
    int64_t(*merged)[DEQ_TILE_RANK] = deq_arena_alloc(&c->scratch,
                                                      ((size_t)p->n_arrays + 1) * sizeof *merged);
    if (!merged) return false;
    int begins = 0; /* first merged axis that may still grow */
    for (int i = r->n_axes - 1; i >= 0; i--) {
        if (i == r->covered - 1) c->covered_rank = begins = p->rank;
        if (i == r->instances - 1) {
            if (r->covered > r->instances && p->rank == c->covered_rank)
                append_axis(c, merged, 1, -1);
            c->inner_rank = begins = p->rank;
        }
        if (r->axes[i].extent == 1) continue;
        if (p->rank > begins && mergeable(c, merged, p->rank - 1, i))
            p->dim[p->rank - 1] *= r->axes[i].extent;
        else
            append_axis(c, merged, r->axes[i].extent, i);
    }
    if (!r->covered) c->covered_rank = p->rank;
    if (p->rank == c->covered_rank) append_axis(c, merged, 1, -1);
    if (!r->instances) c->inner_rank = p->rank;
    for (int i = 0; i < p->n_arrays; i++)
        memcpy(p->operands[p->arrays[i]].stride, merged[i], sizeof merged[i]);
    return true;
}

/* 4. Buffers --------------------------------------------------------------------------------- */

/* Linear scan: a buffer is free again after the last use, also for the result of that very
 * instruction. */
static bool share_buffers(compiler *c)
{
    deq_tile_program *p = c->p;
    int *last = deq_arena_alloc(&c->scratch, (size_t)p->n_operands * sizeof *last);
    int *free_list = deq_arena_alloc(&c->scratch, (size_t)p->n_operands * sizeof *free_list);
    int n_free = 0;
    if (!last || !free_list) return false;
    for (int k = 0; k < p->n_code; k++) {
        const deq_tile_instruction *i = &p->code[k];
        last[i->a] = last[i->b] = last[i->c] = k;
    }
    for (int k = 0; k < p->n_code; k++) {
        const deq_tile_instruction *i = &p->code[k];
        const int in[3] = { i->a, i->b, i->c };
        for (int j = 0; j < 3; j++) {
            deq_tile_operand *o = &p->operands[in[j]];
            if (o->kind != DEQ_TILE_TEMPORARY || last[in[j]] != k) continue;
            last[in[j]] = -1; /* once, if it is used twice */
            free_list[n_free++] = o->buffer;
        }
        deq_tile_operand *y = &p->operands[i->y];
        if (y->kind == DEQ_TILE_TEMPORARY) y->buffer = n_free ? free_list[--n_free] : p->buffers++;
    }
    return true;
}

/* 5. Tiles ----------------------------------------------------------------------------------- */

/* Everything that takes a tile of cache. */
static int64_t tiles_touched(const deq_tile_program *p)
{
    int64_t n = p->buffers + p->n_arrays;
    for (int o = 0; o < p->n_operands; o++) n += p->operands[o].kind == DEQ_TILE_IMMEDIATE;
    return n;
}

/* Does an array have one number for each long row?  It is repeated over a tile, and again for every
 * row: less work where several tiles make a row. */
static bool repeats_along_rows(const compiler *c)
{
    const deq_tile_program *p = c->p;
    if (c->covered_rank > 0 || p->dim[0] < LONG_ROW) return false;
    for (int i = 0; i < p->n_arrays; i++) {
        const int64_t *stride = p->operands[p->arrays[i]].stride;
        for (int d = 1; d < p->rank; d++)
            if (stride[0] == 0 && stride[d] != 0) return true;
    }
    return false;
}

/* The axis that is cut, and into how large blocks. */
static void choose_tiles(compiler *c)
{
    deq_tile_program *p = c->p;
    int64_t elements = LARGEST, touched = tiles_touched(p) * (int64_t)p->size;
    int most = c->r->covered > c->r->instances ? c->inner_rank - 1 : p->rank - 1;
    while (elements > SMALLEST && elements * touched > CACHE) elements /= 2;
    if (repeats_along_rows(c)) {
        most = 0;
        while (elements > LONG_ROW / 4 && elements * 4 > p->dim[0]) elements /= 2;
    }

    p->split = 0;
    p->inner = 1;
    while (p->split < c->covered_rank ||
           (p->split < most && p->inner * p->dim[p->split] <= elements))
        p->inner *= p->dim[p->split++];

    int64_t extent = p->dim[p->split];
    p->rows = elements / p->inner < extent ? elements / p->inner : extent;
    if (p->rows < 1) p->rows = 1;
    p->blocks = (extent + p->rows - 1) / p->rows;
    p->rows = (extent + p->blocks - 1) / p->blocks; /* blocks of nearly one size */
    if (p->split == 0 && p->blocks > 1) {
        p->rows = (p->rows + 15) / 16 * 16; /* that begin at cache lines */
        p->blocks = (extent + p->rows - 1) / p->rows;
    }
    p->tiles = p->blocks;
    for (int d = p->split + 1; d < p->rank; d++) p->tiles *= p->dim[d];
}

/* 6. In place or gathered -------------------------------------------------------------------- */

static void choose_kind(compiler *c, deq_tile_operand *o)
{
    deq_tile_program *p = c->p;
    bool f64 = p->size == sizeof(double);
    int64_t contiguous = 1;
    bool in_place = o->size == p->size;
    for (int d = 0; d <= p->split; d++) {
        bool one = p->dim[d] == 1 || (d == p->split && p->rows == 1);
        in_place &= o->stride[d] == contiguous || one;
        contiguous *= p->dim[d];
    }
    if (in_place || o->kind == DEQ_TILE_OUTPUT) return;
    o->kind = DEQ_TILE_GATHERED;
    o->buffer = p->buffers++;
    if (o->size == 1)
        o->gather = f64 ? c->kernels->gather_bool_f64 : c->kernels->gather_bool_f32;
    else
        o->gather = f64 ? c->kernels->gather_f64 : c->kernels->gather_f32;
}

static bool make_immediate(compiler *c, deq_tile_operand *o)
{
    int64_t n = c->p->inner * c->p->rows;
    o->immediate = deq_lower_alloc(c->l, (size_t)n * c->p->size);
    if (!o->immediate) return false;
    for (int64_t i = 0; i < n; i++)
        if (c->p->size == sizeof(double))
            ((double *)o->immediate)[i] = o->number;
        else
            ((float *)o->immediate)[i] = (float)o->number;
    return true;
}

static bool choose_kinds(compiler *c)
{
    deq_tile_program *p = c->p;
    for (int i = 0; i < p->n_arrays; i++) choose_kind(c, &p->operands[p->arrays[i]]);
    for (int o = 0; o < p->n_operands; o++)
        if (p->operands[o].kind == DEQ_TILE_IMMEDIATE && !make_immediate(c, &p->operands[o]))
            return false;
    size_t align = DEQ_ALIGNMENT, tile = (size_t)(p->inner * p->rows) * p->size;
    size_t tables = 3 * (size_t)p->n_operands * sizeof(int64_t);
    p->work = (tables + align - 1) / align * align +
              (size_t)p->buffers * ((tile + align - 1) / align * align);
    return true;
}

/* The whole ---------------------------------------------------------------------------------- */

/* ns an element, in f32 with AVX-512; measured. */
static double cost_of(int code)
{
    switch (code) {
    case DEQ_EW_DIV:
    case DEQ_EW_SQRT: return 0.2;
    case DEQ_EW_RSQRT:
    case DEQ_EW_EXP:
    case DEQ_EW_LOG:
    case DEQ_EW_SIGMOID:
    case DEQ_EW_SILU: return 0.4;
    case DEQ_EW_TANH:
    case DEQ_EW_LOG1P:
    case DEQ_EW_GELU:
    case DEQ_EW_GELU_TANH:
    case DEQ_EW_ERF: return 0.7;
    case DEQ_EW_SOFTPLUS: return 1.2;
    case DEQ_EW_POW: return 2.6;
    case DEQ_EW_SIN:
    case DEQ_EW_COS: return 4;
    default: return 0.05;
    }
}

static void finish(compiler *c)
{
    deq_tile_program *p = c->p;
    double n = (double)deq_shape_count(&c->r->type.shape);
    double slower = p->size == sizeof(double) ? 8 : 1; /* the C library */
    for (int k = 0; k < p->n_code; k++) {
        deq_tile_instruction *i = &p->code[k];
        double cost = cost_of(i->code);
        p->cost += n * (cost > 0.1 ? cost * slower : cost);
        p->flops += n * (i->code == DEQ_TILE_MUL_ADD || i->code == DEQ_TILE_ADD_RELU ? 2 : 1);
        if (i->code != DEQ_TILE_HOOK)
            i->op = p->size == sizeof(double) ? c->kernels->f64[i->code] : c->kernels->f32[i->code];
    }
    p->cost += p->bytes / 30; /* 30 GB/s */
}

static bool allocate(compiler *c)
{
    deq_lowering *l = c->l;
    size_t values = 1; /* most operands, bindings, instructions: inputs, results and stores */
    for (int k = 0; k < c->r->n_nodes; k++) values += (size_t)l->g->nodes[c->r->nodes[k]].n_in + 2;
    c->p = deq_lower_alloc(l, sizeof *c->p);
    if (!c->p) return false;
    c->p->operands = deq_lower_alloc(l, values * sizeof *c->p->operands);
    c->p->code = deq_lower_alloc(l, values * sizeof *c->p->code);
    c->p->arrays = deq_lower_alloc(l, values * sizeof(int));
    c->p->reads = deq_lower_alloc(l, values * sizeof(int));
    c->p->writes = deq_lower_alloc(l, values * sizeof(int));
    c->needed = deq_arena_alloc(&c->scratch, (size_t)c->r->n_nodes + 1);
    c->bindings = deq_arena_alloc(&c->scratch, values * sizeof *c->bindings);
    c->writer = deq_arena_alloc(&c->scratch, values * sizeof *c->writer);
    c->p->size = deq_dtype_size(c->r->type.dtype);
    return c->p->operands && c->p->code && c->p->arrays && c->p->reads && c->p->writes &&
           c->needed && c->bindings && c->writer;
}

static deq_status compile(compiler *c)
{
    if (!allocate(c)) return DEQ_ERR_NOMEM;
    find_needed(c);
    emit_nodes(c);
    DEQ_TRY(c->status);
    if (!merge_axes(c) || !share_buffers(c)) return DEQ_ERR_NOMEM;
    choose_tiles(c);
    if (!choose_kinds(c)) return DEQ_ERR_NOMEM;
    finish(c);
    return DEQ_OK;
}

deq_status deq_tile_compile(deq_tile_program **out, deq_lowering *l, const deq_tile_request *r)
{
    compiler c = { .l = l, .r = r, .kernels = deq_tile_kernels_of(deq_context_isa(l->ctx)) };
    deq_arena_init(&c.scratch, l->ctx);
    deq_status status = compile(&c);
    deq_arena_free(&c.scratch);
    *out = status == DEQ_OK ? c.p : NULL;
    return status;
}

/* Writing over what was read -------------------------------------------------------------------- */

/* Does the operand lie in memory, tile for tile, as the output does? */
static bool lies_alike(const deq_tile_program *p, const deq_tile_operand *o,
                       const deq_tile_operand *output)
{
    if (o->kind != DEQ_TILE_IN_PLACE || o->size != output->size) return false;
    for (int d = 0; d < p->rank; d++)
        if (p->dim[d] > 1 && o->stride[d] != output->stride[d]) return false;
    return true;
}

/* The last instruction that reads the slot; n_code: one that does not read it alike. */
static int last_reader(const deq_tile_program *p, int slot, const deq_tile_operand *output)
{
    int last = -1;
    for (int k = 0; k < p->n_code; k++) {
        const deq_tile_instruction *i = &p->code[k];
        const int in[3] = { i->a, i->b, i->c };
        for (int j = 0; j < 3; j++) {
            const deq_tile_operand *o = &p->operands[in[j]];
            bool reads = (o->kind == DEQ_TILE_IN_PLACE || o->kind == DEQ_TILE_GATHERED) &&
                         o->slot == slot;
            if (reads && !lies_alike(p, o, output)) return p->n_code;
            if (reads) last = k;
        }
    }
    return last;
}

bool deq_tile_overwrites(const deq_tile_program *p, int read, int write)
{
    for (int k = 0; k < p->n_code; k++) {
        const deq_tile_operand *output = &p->operands[p->code[k].y];
        if (output->kind != DEQ_TILE_OUTPUT || output->slot != write) continue;
        int last = last_reader(p, read, output);
        return output->size == p->size && last >= 0 && last <= k;
    }
    return false;
}

int deq_tile_list_overwrites(const deq_tile_program *p, deq_overwrite *list)
{
    int n = 0;
    for (int w = 0; w < p->n_writes; w++)
        for (int r = 0; r < p->n_reads; r++)
            if (deq_tile_overwrites(p, p->reads[r], p->writes[w]))
                list[n++] = (deq_overwrite){ p->reads[r], p->writes[w] };
    return n;
}

int deq_tile_threads(double cost, int threads)
{
    const double enough = 8000; /* ns for each thread: a fork and join takes up to half of it */
    double most = cost / enough;
    if (most < 2) return 1;
    return most < threads ? (int)most : threads;
}
