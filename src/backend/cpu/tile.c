/* SPDX-License-Identifier: MIT */
/* Running tile programs.  Compiling them: tile_compile.c. */
#include "backend/cpu/tile.h"

const deq_tile_kernels *deq_tile_kernels_of(deq_isa isa)
{
    return DEQ_ISA_SELECT(isa, deq_tile_kernels);
}

static size_t round_up(size_t bytes)
{
    return (bytes + DEQ_ALIGNMENT - 1) / DEQ_ALIGNMENT * DEQ_ALIGNMENT;
}

void deq_tile_begin(deq_tile_run *run, const deq_tile_program *p, void *const *slot, void *work,
                    deq_tile_hook *hook, void *user)
{
    size_t n = (size_t)p->n_operands;
    size_t tile = round_up((size_t)(p->inner * p->rows) * p->size);
    run->p = p;
    run->slot = slot;
    run->hook = hook;
    run->user = user;
    run->at = work;
    run->held = (int64_t *)(run->at + n);
    run->outer = run->held + n;
    char *buffers = (char *)work + round_up(3 * n * sizeof(int64_t));
    for (size_t i = 0; i < n; i++) {
        const deq_tile_operand *o = &p->operands[i];
        run->held[i] = -1;
        run->at[i] = o->buffer >= 0 ? buffers + (size_t)o->buffer * tile : o->immediate;
    }
}

/* The offsets that the axes behind k make. */
static void place_outer(deq_tile_run *run)
{
    const deq_tile_program *p = run->p;
    for (int i = 0; i < p->n_arrays; i++) {
        int o = p->arrays[i];
        int64_t offset = 0;
        for (int d = p->split + 1; d < p->rank; d++)
            offset += run->index[d] * p->operands[o].stride[d];
        run->outer[o] = offset;
    }
}

static void seek(deq_tile_run *run, int64_t tile)
{
    const deq_tile_program *p = run->p;
    run->block = tile % p->blocks;
    run->outer_index = tile / p->blocks;
    int64_t rest = run->outer_index;
    for (int d = p->split + 1; d < p->rank; d++) {
        run->index[d] = rest % p->dim[d];
        rest /= p->dim[d];
    }
    place_outer(run);
}

static void advance(deq_tile_run *run)
{
    const deq_tile_program *p = run->p;
    if (++run->block < p->blocks) return;
    run->block = 0;
    run->outer_index++;
    for (int d = p->split + 1; d < p->rank; d++) {
        if (++run->index[d] < p->dim[d]) break;
        run->index[d] = 0;
    }
    place_outer(run);
}

/* What does not change along axis k is gathered for a whole tile even if this one is shorter: the
 * next may not be.  Axes that follow each other in the array, as in an array of bytes of the iteration
 * shape, are one: channels are often few, and a loop over few elements is slow. */
static void gather(deq_tile_run *run, int o, const char *from, int64_t rows)
{
    const deq_tile_program *p = run->p;
    const deq_tile_operand *operand = &p->operands[o];
    int64_t dim[DEQ_TILE_RANK], stride[DEQ_TILE_RANK];
    int rank = 0;
    for (int d = 0; d <= p->split; d++) {
        int64_t step = operand->stride[d];
        int64_t n = d < p->split ? p->dim[d] : step ? rows : p->rows;
        if (rank > 0 && step == stride[rank - 1] * dim[rank - 1]) {
            dim[rank - 1] *= n;
        } else {
            dim[rank] = n;
            stride[rank++] = step;
        }
    }
    operand->gather(run->at[o], from, rank, dim, stride);
}

static void place(deq_tile_run *run, int64_t row, int64_t rows)
{
    const deq_tile_program *p = run->p;
    for (int i = 0; i < p->n_arrays; i++) {
        int o = p->arrays[i];
        const deq_tile_operand *operand = &p->operands[o];
        int64_t offset = run->outer[o] + row * operand->stride[p->split];
        char *memory = (char *)run->slot[operand->slot] + offset * (int64_t)operand->size;
        if (operand->kind != DEQ_TILE_GATHERED) {
            run->at[o] = memory;
        } else if (run->held[o] != offset) {
            gather(run, o, memory, rows);
            run->held[o] = offset;
        }
    }
}

static void execute(const deq_tile_run *run, const deq_tile *tile)
{
    const deq_tile_program *p = run->p;
    void *const *at = run->at;
    for (const deq_tile_instruction *i = p->code, *end = i + p->n_code; i < end; i++)
        if (i->op)
            i->op(tile->n, i->p, at[i->a], at[i->b], at[i->c], at[i->y]);
        else
            run->hook(run->user, tile, at[i->a], at[i->b], at[i->y]);
}

void deq_tile_range(deq_tile_run *run, int64_t begin, int64_t end)
{
    const deq_tile_program *p = run->p;
    if (begin >= end) return;
    seek(run, begin);
    for (int64_t t = begin; t < end; t++) {
        int64_t row = run->block * p->rows, left = p->dim[p->split] - row;
        int64_t rows = left < p->rows ? left : p->rows;
        deq_tile tile = { (run->outer_index * p->dim[p->split] + row) * p->inner, rows * p->inner };
        place(run, row, rows);
        execute(run, &tile);
        if (t + 1 < end) advance(run);
    }
}
