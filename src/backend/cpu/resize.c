/* SPDX-License-Identifier: MIT */
/*
 * Enlarging to the nearest pixel by whole factors f_h x f_w, and its adjoint, in channels-last:
 *
 *   y[b, f_h i + p, f_w j + q, :] = x[b, i, j, :]                                               (1)
 *   x[b, i, j, :] = sum over p < f_h, q < f_w of  y[b, f_h i + p, f_w j + q, :]                 (2)
 *
 * A row of x and the f_h rows of y that belong to it are one piece of work.  In (2) the lines are
 * summed in the order of memory, whatever the number of threads.  Everything else is left to the
 * reference kernel.
 */
#include "op/resize.h"
#include "backend/cpu/cpu.h"

#include <string.h>

enum {
    PARALLEL = 1 << 15
}; /* elements of y from which on a fork and join costs less than it saves */

typedef struct resize {
    int64_t rows, width, channels; /* of x: rows of all samples */
    int64_t f_h, f_w;
    bool adjoint;
    int x, y; /* slots */
    int threads;
} resize;

/* (1) */
static void enlarge_row(const resize *r, float *y, const float *x)
{
    const int64_t C = r->channels, line = r->width * r->f_w * C;
    float *at = y;
    for (int64_t j = 0; j < r->width; j++)
        for (int64_t q = 0; q < r->f_w; q++, at += C) memcpy(at, x + j * C, (size_t)C * sizeof *at);
    for (int64_t p = 1; p < r->f_h; p++) memcpy(y + p * line, y, (size_t)line * sizeof *y);
}

/* (2) */
static void sum_row(const resize *r, float *x, const float *y)
{
    const int64_t C = r->channels;
    memset(x, 0, (size_t)(r->width * C) * sizeof *x);
    for (int64_t p = 0; p < r->f_h; p++)
        for (int64_t j = 0; j < r->width; j++) {
            float *to = x + j * C;
            for (int64_t q = 0; q < r->f_w; q++, y += C) {
#pragma omp simd
                for (int64_t c = 0; c < C; c++) to[c] += y[c];
            }
        }
}

static deq_status run_resize(void *self, void *const *slot, char *message)
{
    const resize *r = self;
    const int64_t of_x = r->width * r->channels, of_y = of_x * r->f_h * r->f_w;
    float *x = slot[r->x], *y = slot[r->y];
    (void)message;
#pragma omp parallel for schedule(static) num_threads(r->threads) if (r->threads > 1)
    for (int64_t i = 0; i < r->rows; i++)
        if (r->adjoint)
            sum_row(r, x + i * of_x, y + i * of_y);
        else
            enlarge_row(r, y + i * of_y, x + i * of_x);
    return DEQ_OK;
}

/* Lowering ----------------------------------------------------------------------------------- */

static bool supports(const deq_lowering *l, const deq_node *node)
{
    const deq_resize_attr *a = node->attr;
    const deq_type *in = deq_type_of(l->g, node->in[0]);
    const int64_t *small = in->shape.dim, large[4] = { 0, 0, a->height, a->width };
    if (in->dtype != DEQ_F32 || a->mode != DEQ_RESIZE_NEAREST) return false;
    for (int i = 2; i < 4; i++)
        if (a->adjoint ? small[i] % large[i] : large[i] % small[i]) return false;
    return true;
}

/* As the input is, whose shape is not that of the output, which inputs_are asks for. */
static bool channels_last(const deq_lowering *l, const deq_group *group, bool inputs_are)
{
    (void)inputs_are;
    return l->layout[l->g->nodes[group->anchor].in[0].id] == DEQ_LAYOUT_CHANNELS_LAST;
}

static deq_status lower(deq_lowering *l, const deq_group *group)
{
    const deq_node *node = &l->g->nodes[group->anchor];
    const deq_resize_attr *a = node->attr;
    deq_value out = deq_node_out(node, 0);
    const deq_type *in_type = deq_type_of(l->g, node->in[0]), *out_type = deq_type_of(l->g, out);
    if (l->layout[out.id] != DEQ_LAYOUT_CHANNELS_LAST) return deq_lower_reference(l, group);
    const int64_t *x = (a->adjoint ? out_type : in_type)->shape.dim;
    const int64_t *y = (a->adjoint ? in_type : out_type)->shape.dim;
    deq_status status = DEQ_OK;
    resize *r = deq_lower_alloc(l, sizeof *r);
    if (!r) return DEQ_ERR_NOMEM;
    *r = (resize){ .rows = x[0] * x[2],
                   .width = x[3],
                   .channels = x[1],
                   .f_h = y[2] / x[2],
                   .f_w = y[3] / x[3],
                   .adjoint = a->adjoint,
                   .threads = l->threads };
    int read = deq_lower_read(l, node->in[0], DEQ_LAYOUT_CHANNELS_LAST, &status);
    int write = deq_lower_write(l, out, &status);
    DEQ_TRY(status);
    r->x = a->adjoint ? write : read;
    r->y = a->adjoint ? read : write;
    int64_t elements = y[0] * y[1] * y[2] * y[3];
    if (elements < PARALLEL) r->threads = 1;
    if (r->rows < r->threads) r->threads = (int)r->rows;
    deq_step step = { .run = run_resize,
                      .self = r,
                      .stage = group->stage,
                      .n_reads = 1,
                      .n_writes = 1,
                      .reads = &read,
                      .writes = &write,
                      .kernel = "resize",
                      .flops = a->adjoint ? (double)elements : 0,
                      .bytes = (double)(deq_type_bytes(in_type) + deq_type_bytes(out_type)) };
    return deq_lower_step(l, &step);
}

const deq_cpu_kernel deq_cpu_resize = {
    .op = &deq_op_resize,
    .supports = supports,
    .channels_last = channels_last,
    .lower = lower,
};
