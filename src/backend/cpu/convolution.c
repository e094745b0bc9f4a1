/* SPDX-License-Identifier: MIT */
/*
 * The three convolution operators of op/conv.h in single precision.
 *
 *   conv2d              oneDNN's forward convolution
 *   conv2d_input_grad   the forward convolution of dy with the taps of w in reverse order and its
 *                       channels exchanged, where the stride is 1:
 *
 *     dx[b, c, h, v] = sum dy[b, k, h - p' + r d, v - q' + s d] w[k, c, R-1-r, S-1-s],
 *                       k, r, s                                        p' = d (R-1) - p    (1)
 *
 *                       so that it has the same kernels and epilogues; else backward data
 *   conv2d_weight_grad  backward weights
 *
 * The first two go through winograd.c instead where the caller allows it and it pays.
 *
 * Activations are channels-last.  Weights are packed as the library likes at their own stage.
 */
#include "backend/cpu/cpu.h"
#include "backend/cpu/onednn.h"
#include "backend/cpu/share.h"
#include "backend/cpu/winograd.h"
#include "op/conv.h"

/* --- description ------------------------------------------------------------------------------ */

static bool is_channels_last(const deq_lowering *l)
{
    return l->options->layout;
}

static deq_onednn_tensor activation(const deq_lowering *l, const deq_shape *s)
{
    deq_onednn_tensor t = deq_onednn_dense(4, s->dim);
    if (!is_channels_last(l)) return t;
    t.stride[1] = 1;
    t.stride[3] = s->dim[1];
    t.stride[2] = s->dim[1] * s->dim[3];
    t.stride[0] = s->dim[1] * s->dim[3] * s->dim[2];
    return t;
}

/* [K, C/g, R, S], or [g, K/g, C/g, R, S] if there are groups, row-major. */
static deq_onednn_tensor weights(const deq_conv_dims *d)
{
    int64_t dim[5] = { d->groups, d->k / d->groups, d->c / d->groups, d->r, d->s };
    return d->groups > 1 ? deq_onednn_dense(5, dim) : deq_onednn_dense(4, dim + 1);
}

/* The same memory seen with the two channel axes exchanged. */
static deq_onednn_tensor exchange_channels(deq_onednn_tensor t)
{
    int k = t.rank - 4, c = t.rank - 3;
    int64_t dim = t.dim[k], stride = t.stride[k];
    t.dim[k] = t.dim[c];
    t.stride[k] = t.stride[c];
    t.dim[c] = dim;
    t.stride[c] = stride;
    return t;
}

static deq_onednn_tensor any(deq_onednn_tensor t)
{
    t.any = true;
    return t;
}

/* One node, as its family needs it. */
typedef struct convolution {
    const deq_node *node;
    deq_type in[2], out;
    deq_conv_dims d;
    double flops;
    bool reversed;             /* (1) */
    bool winograd;             /* computed by winograd.c */
    deq_onednn_tensor weights; /* before packing */
    deq_onednn_spec spec;
} convolution;

/* A parallel region costs some microseconds, in which a core computes a million operations. */
static int threads_for(const deq_lowering *l, double flops)
{
    return flops < 1e6 ? 1 : l->threads;
}

static void set_windows(convolution *c, bool reversed)
{
    const deq_window *w[2] = { &c->d.height, &c->d.width };
    for (int i = 0; i < 2; i++) {
        c->spec.stride[i] = w[i]->stride;
        c->spec.dilation[i] = w[i]->dilation;
        c->spec.padding[i] = reversed ? w[i]->dilation * (w[i]->kernel - 1) - w[i]->padding
                                      : w[i]->padding;
    }
}

/* (1) needs stride 1 and p' >= 0. */
static bool can_reverse(const deq_conv_dims *d)
{
    const deq_window *w[2] = { &d->height, &d->width };
    for (int i = 0; i < 2; i++)
        if (w[i]->stride != 1 || w[i]->dilation * (w[i]->kernel - 1) < w[i]->padding) return false;
    return true;
}

static void fill_spec(convolution *c, const deq_lowering *l)
{
    const deq_conv_dims *d = &c->d;
    const deq_op *op = c->node->op;
    deq_onednn_spec *s = &c->spec;
    s->threads = threads_for(l, c->flops);
    s->channel = 1;
    s->a = activation(l, &c->in[0].shape);
    s->kind = DEQ_ONEDNN_CONVOLUTION;
    c->weights = weights(d);
    if (op == &deq_op_conv2d_weight_grad) {
        s->kind = DEQ_ONEDNN_CONVOLUTION_WEIGHTS;
        s->b = activation(l, &c->in[1].shape);
        s->result = any(c->weights);
    } else {
        c->reversed = op == &deq_op_conv2d_input_grad && can_reverse(d);
        if (op == &deq_op_conv2d_input_grad && !c->reversed)
            s->kind = DEQ_ONEDNN_CONVOLUTION_BACKWARD;
        if (c->reversed) c->weights = exchange_channels(c->weights);
        s->b = any(c->weights);
        s->result = activation(l, &c->out.shape);
    }
    set_windows(c, c->reversed);
    c->winograd = l->options->winograd && is_channels_last(l) && deq_winograd_pays(s);
}

static void describe(convolution *c, const deq_lowering *l, const deq_node *node)
{
    *c = (convolution){ .node = node };
    deq_kernel_call call = { .attr = node->attr, .in_type = c->in, .out_type = &c->out };
    deq_node_types(l->g, node, c->in, &c->out);
    if (node->op == &deq_op_conv2d)
        c->d = deq_conv2d_dims(&call);
    else if (node->op == &deq_op_conv2d_input_grad)
        c->d = deq_conv2d_input_grad_dims(&call);
    else
        c->d = deq_conv2d_weight_grad_dims(&call);
    c->flops = node->op->flops(&call);
    fill_spec(c, l);
}

/* --- what is taken ---------------------------------------------------------------------------- */

static bool supports(const deq_lowering *l, const deq_node *node)
{
    convolution c;
    if (deq_type_of(l->g, node->in[0])->dtype != DEQ_F32) return false;
    describe(&c, l, node);
    return c.winograd || deq_onednn_probe(&c.spec) > DEQ_ONEDNN_REFERENCE;
}

/* Winograd takes a bias.  The library takes more, but only its implementations of its own kind are
 * used then: its convolutions by way of matrix products add full-size channels-last operands at the
 * wrong places (version 2). */
static bool takes_epilogue(const deq_lowering *l, const deq_group *group, int node)
{
    convolution c;
    describe(&c, l, &l->g->nodes[group->anchor]);
    if (c.spec.kind != DEQ_ONEDNN_CONVOLUTION || !deq_onednn_epilogue(&c.spec, l, group, node))
        return false;
    return c.winograd ? c.spec.n_posts == 0 : deq_onednn_probe(&c.spec) == DEQ_ONEDNN_TUNED;
}

static bool channels_last(const deq_lowering *l, const deq_group *group, bool inputs_are)
{
    (void)l, (void)group, (void)inputs_are;
    return true;
}

/* --- reversed weights ------------------------------------------------------------------------- */

typedef struct reversal {
    int64_t filters, taps;
    int from, to;
} reversal;

/* to[f, t] = from[f, T-1-t] */
static deq_status run_reversal(void *self, void *const *slot, char *message)
{
    const reversal *v = self;
    const float *from = slot[v->from];
    float *to = slot[v->to];
    (void)message;
    for (int64_t f = 0; f < v->filters; f++, from += v->taps, to += v->taps)
        for (int64_t t = 0; t < v->taps; t++) to[t] = from[v->taps - 1 - t];
    return DEQ_OK;
}

static bool same_reversal(const void *self, const void *key)
{
    const reversal *a = self, *b = key;
    return a->filters == b->filters && a->taps == b->taps;
}

/* The slot of the reversed weights. */
static int reverse_taps(deq_lowering *l, const convolution *c, int from, deq_stage stage,
                        deq_status *status)
{
    int64_t taps = c->d.r * c->d.s;
    reversal want = { deq_shape_count(&c->in[1].shape) / taps, taps, from, -1 };
    if (taps == 1 || *status != DEQ_OK) return from;
    int known = deq_cpu_find_step(l, stage, run_reversal, from, same_reversal, &want);
    if (known >= 0) return known;

    size_t bytes = deq_type_bytes(&c->in[1]);
    reversal *v = deq_lower_alloc(l, sizeof *v);
    want.to = deq_lower_slot(l, bytes, stage);
    if (!v || want.to < 0) {
        *status = DEQ_ERR_NOMEM;
        return -1;
    }
    *v = want;
    int group = l->group_index;
    deq_step step = { .run = run_reversal,
                      .self = v,
                      .stage = stage,
                      .reads = &v->from,
                      .n_reads = 1,
                      .writes = &v->to,
                      .n_writes = 1,
                      .kernel = "reverse taps",
                      .bytes = 2.0 * (double)bytes };
    l->group_index = -1; /* whoever asks next shares it */
    *status = deq_lower_step(l, &step);
    l->group_index = group;
    return v->to;
}

/* --- lowering --------------------------------------------------------------------------------- */

static deq_stage stage_of(const deq_lowering *l, deq_value v)
{
    return deq_node_of(l->g, v)->stage;
}

static deq_status lower(deq_lowering *l, const deq_group *group)
{
    convolution c;
    deq_onednn *p;
    deq_status status = DEQ_OK;
    int slot[DEQ_ONEDNN_PARTS];
    deq_layout layout = is_channels_last(l) ? DEQ_LAYOUT_CHANNELS_LAST : DEQ_LAYOUT_PLAIN;
    for (int i = 0; i < DEQ_ONEDNN_PARTS; i++) slot[i] = -1;

    describe(&c, l, &l->g->nodes[group->anchor]);
    if (!deq_onednn_epilogue(&c.spec, l, group, -1))
        return deq_fail(l->ctx, DEQ_ERR_BACKEND, "convolution: the epilogue is not expressible");
    deq_value x = c.node->in[0], w = c.node->in[1];
    deq_onednn_read_operands(l, &c.spec, layout, slot, &status);
    slot[DEQ_ONEDNN_A] = deq_lower_read(l, x, layout, &status);
    int w_slot = deq_lower_read(l, w, DEQ_LAYOUT_PLAIN, &status);
    if (c.reversed && !c.winograd) w_slot = reverse_taps(l, &c, w_slot, stage_of(l, w), &status);
    slot[DEQ_ONEDNN_RESULT] = deq_lower_write(l, group->outputs[0], &status);
    DEQ_TRY(status);

    slot[DEQ_ONEDNN_B] = w_slot;
    if (c.winograd)
        return deq_winograd_lower(l, &c.spec, &c.weights, c.reversed, slot, c.node->stage,
                                  stage_of(l, w), c.flops);
    DEQ_TRY(deq_onednn_new(l, &p, &c.spec));
    slot[DEQ_ONEDNN_B] = deq_onednn_pack(l, p, DEQ_ONEDNN_B, &c.weights, w_slot, stage_of(l, w),
                                         &status);
    if (status == DEQ_OK) return deq_onednn_emit(l, p, slot, c.node->stage, c.flops);
    deq_onednn_free(p);
    return status;
}

/* dw is packed as the library likes; a second step brings it to [K, C/g, R, S]. */
static deq_status lower_weight_grad(deq_lowering *l, const deq_group *group)
{
    convolution c;
    deq_onednn *p, *unpack = NULL;
    deq_status status = DEQ_OK;
    int slot[DEQ_ONEDNN_PARTS], unpack_slot[DEQ_ONEDNN_PARTS];
    deq_layout layout = is_channels_last(l) ? DEQ_LAYOUT_CHANNELS_LAST : DEQ_LAYOUT_PLAIN;
    for (int i = 0; i < DEQ_ONEDNN_PARTS; i++) slot[i] = unpack_slot[i] = -1;

    describe(&c, l, &l->g->nodes[group->anchor]);
    slot[DEQ_ONEDNN_A] = deq_lower_read(l, c.node->in[0], layout, &status);
    slot[DEQ_ONEDNN_B] = deq_lower_read(l, c.node->in[1], layout, &status);
    int to = slot[DEQ_ONEDNN_RESULT] = deq_lower_write(l, group->outputs[0], &status);
    DEQ_TRY(status);

    DEQ_TRY(deq_onednn_new(l, &p, &c.spec));
    status = deq_onednn_unpack(l, &unpack, p, DEQ_ONEDNN_RESULT, &c.weights);
    if (unpack) {
        size_t bytes = deq_onednn_bytes(p, DEQ_ONEDNN_RESULT);
        slot[DEQ_ONEDNN_RESULT] = deq_lower_slot(l, bytes, c.node->stage);
        if (slot[DEQ_ONEDNN_RESULT] < 0) status = DEQ_ERR_NOMEM;
    }
    if (status != DEQ_OK) {
        deq_onednn_free(p);
        deq_onednn_free(unpack);
        return status;
    }
    unpack_slot[DEQ_ONEDNN_A] = slot[DEQ_ONEDNN_RESULT];
    unpack_slot[DEQ_ONEDNN_RESULT] = to;
    status = deq_onednn_emit(l, p, slot, c.node->stage, c.flops);
    if (status == DEQ_OK && unpack)
        return deq_onednn_emit(l, unpack, unpack_slot, c.node->stage, 0);
    deq_onednn_free(unpack);
    return status;
}

const deq_cpu_kernel deq_cpu_conv2d = { .op = &deq_op_conv2d,
                                        .supports = supports,
                                        .takes_epilogue = takes_epilogue,
                                        .channels_last = channels_last,
                                        .lower = lower };

const deq_cpu_kernel deq_cpu_conv2d_input_grad = { .op = &deq_op_conv2d_input_grad,
                                                   .supports = supports,
                                                   .takes_epilogue = takes_epilogue,
                                                   .channels_last = channels_last,
                                                   .lower = lower };

const deq_cpu_kernel deq_cpu_conv2d_weight_grad = { .op = &deq_op_conv2d_weight_grad,
                                                    .supports = supports,
                                                    .lower = lower_weight_grad };
