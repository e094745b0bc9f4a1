/* SPDX-License-Identifier: MIT */
/*
 * Sliding windows along an axis, shared by convolution, pooling and unfolding.
 *
 * Tap r of the window at output position p reads input position
 *
 *     h = p * stride - padding + r * dilation                               (1)
 *
 * and an axis of `in` positions has
 *
 *     out = floor((in + 2 padding - dilation (kernel - 1) - 1) / stride) + 1    (2)
 */
#ifndef DEQ_SRC_OP_WINDOW_H
#define DEQ_SRC_OP_WINDOW_H

#include "op/op.h"

typedef struct deq_window {
    int64_t kernel, stride, padding, dilation;
} deq_window;

/* What users give: extent pairs, rows first.  {0, 0} means {fallback, fallback}; one zero alone is
 * refused, because `.stride = { 2 }` is a slip.  False after marking the graph. */
bool deq_window_pair(deq_graph *g, const char *op, const char *what, int64_t out[2],
                     const int64_t given[2], int64_t fallback);
/* An options struct must have been filled by someone who knows its size. */
bool deq_window_options(deq_graph *g, const char *op, size_t struct_size, size_t expected);

/* (2) for `axis` ("height", "width"), refusing windows that do not fit and numbers beyond 2^31 - 1
 * (with which no sum or product below can overflow). */
bool deq_rule_window(deq_shape_rule *r, const char *axis, int64_t *out, int64_t in,
                     const deq_window *w);
/* out = a * b of positive numbers, or refuse. */
bool deq_rule_product(deq_shape_rule *r, int64_t *out, int64_t a, int64_t b);

/* Output positions [from, to) for which tap r reads inside an axis of `in` positions. */
typedef struct deq_span {
    int64_t from, to;
} deq_span;

static inline deq_span deq_window_span(const deq_window *w, int64_t r, int64_t in, int64_t out)
{
    int64_t shift = r * w->dilation - w->padding; /* h = p * stride + shift */
    int64_t from = shift < 0 ? (-shift + w->stride - 1) / w->stride : 0;
    int64_t to = shift < in ? (in - 1 - shift) / w->stride + 1 : 0;
    if (to > out) to = out;
    return (deq_span){ from, to > from ? to : from };
}

/* How many threads to use for `items` equal pieces that take `work` operations altogether. */
static inline int deq_window_workers(int threads, int64_t items, double work)
{
    if (work < 1e5 || items < 2) return 1;
    return items < threads ? (int)items : threads;
}

#endif
