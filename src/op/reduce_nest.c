/* SPDX-License-Identifier: MIT */
/* The loops that a reduction comes to, and how they are cut for threads. */
#include "op/reduce.h"

/* Merge neighbouring axes with the same fate.  Extents of one have none.  Returns the groups. */
static int collapse(const deq_shape *s, uint32_t axes, int64_t *dim, bool *reduced)
{
    int n = 0;
    for (int i = 0; i < s->rank; i++) {
        bool r = axes >> i & 1;
        if (s->dim[i] == 1) continue;
        if (n == 0 || reduced[n - 1] != r) {
            dim[n] = 1;
            reduced[n++] = r;
        }
        dim[n - 1] *= s->dim[i];
    }
    return n;
}

/* Blocks of outputs side by side; and splits where there are too few of them for many threads.  A
 * function of the shape alone, so that results do not depend on the number of threads. */
static void partition(deq_reduce_nest *n)
{
    enum { FEW = 16, ENOUGH = 32 };
    n->block = n->inner < DEQ_REDUCE_BLOCK ? n->inner : DEQ_REDUCE_BLOCK;
    n->blocks = (n->inner + n->block - 1) / n->block;
    int64_t items = n->rows * n->blocks;
    n->splits = 1;
    if (items >= FEW || items * n->block * n->steps < 2 * DEQ_REDUCE_PARALLEL) return;
    n->splits = (ENOUGH + items - 1) / items;
    if (n->splits > n->steps) n->splits = n->steps;
}

deq_reduce_nest deq_reduce_nest_of(const deq_kernel_call *c)
{
    deq_reduce_nest n = { .inner = 1, .run = 1, .rows = 1, .steps = 1 };
    int64_t dim[DEQ_MAX_RANK];
    bool reduced[DEQ_MAX_RANK];
    const deq_reduce_attr *a = c->attr;
    int groups = collapse(&c->in_type[0].shape, a->axes, dim, reduced);

    if (groups > 0 && !reduced[groups - 1]) n.inner = dim[--groups];
    if (groups > 0) n.run = dim[--groups];
    int64_t step = n.run * n.inner;
    for (int i = groups; i-- > 0; step *= dim[i])
        if (reduced[i]) {
            n.over_dim[n.n_over] = dim[i];
            n.over_step[n.n_over++] = step;
            n.steps *= dim[i];
        } else {
            n.kept_dim[n.n_kept] = dim[i];
            n.kept_step[n.n_kept++] = step;
            n.rows *= dim[i];
        }
    n.steps *= n.run;
    partition(&n);
    return n;
}

/* The offset of a row-major index over axes listed innermost first. */
static int64_t offset_of(int64_t index, int n, const int64_t *dim, const int64_t *step)
{
    int64_t offset = 0;
    for (int i = 0; i < n - 1; i++) {
        offset += index % dim[i] * step[i];
        index /= dim[i];
    }
    return n ? offset + index * step[n - 1] : 0;
}

int64_t deq_reduce_over(const deq_reduce_nest *n, int64_t index)
{
    return offset_of(index, n->n_over, n->over_dim, n->over_step);
}

int64_t deq_reduce_cut(const deq_reduce_nest *n, int64_t split)
{
    int64_t each = n->steps / n->splits, rest = n->steps % n->splits;
    return each * split + rest * split / n->splits;
}

deq_reduce_block deq_reduce_block_of(const deq_reduce_nest *n, int64_t item)
{
    int64_t row = n->blocks == 1 ? item : item / n->blocks;
    int64_t j = (item - row * n->blocks) * n->block;
    return (deq_reduce_block){
        .x = offset_of(row, n->n_kept, n->kept_dim, n->kept_step) + j,
        .y = row * n->inner + j,
        .width = n->inner - j < n->block ? n->inner - j : n->block,
    };
}

size_t deq_reduce_scratch(const deq_kernel_call *c)
{
    deq_reduce_nest n = deq_reduce_nest_of(c);
    if (n.splits == 1) return 0;
    return (size_t)(n.rows * n.blocks * n.splits * n.block) * sizeof(double);
}

double deq_reduce_flops(const deq_kernel_call *c)
{
    return (double)deq_shape_count(&c->in_type[0].shape);
}
