/* SPDX-License-Identifier: MIT */
/* Sliding windows: checks of what users give. */
#include "op/window.h"

bool deq_window_options(deq_graph *g, const char *op, size_t struct_size, size_t expected)
{
    if (struct_size == expected) return true;
    deq_graph_fail(g, DEQ_ERR_ARGUMENT, "%s: options.struct_size is %zu, expected %zu", op,
                   struct_size, expected);
    return false;
}

bool deq_window_pair(deq_graph *g, const char *op, const char *what, int64_t out[2],
                     const int64_t given[2], int64_t fallback)
{
    bool absent = given[0] == 0 && given[1] == 0;
    for (int i = 0; i < 2; i++) out[i] = absent ? fallback : given[i];
    if (out[0] > 0 && out[1] > 0) return true;
    if (given[0] < 0 || given[1] < 0 || absent)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "%s: %s is [%lld, %lld], expected at least 1", op, what,
                       (long long)given[0], (long long)given[1]);
    else
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "%s: %s is [%lld, %lld]; give both extents", op, what,
                       (long long)given[0], (long long)given[1]);
    return false;
}

static bool check_limit(deq_shape_rule *r, const char *axis, const char *what, int64_t n,
                        int64_t min)
{
    if (n < min)
        return deq_rule_fail(r, DEQ_ERR_ARGUMENT, "%s: %s is %lld, expected at least %lld", axis,
                             what, (long long)n, (long long)min);
    if (n > INT32_MAX)
        return deq_rule_fail(r, DEQ_ERR_OVERFLOW, "%s: %s is %lld, expected at most %lld", axis,
                             what, (long long)n, (long long)INT32_MAX);
    return true;
}

bool deq_rule_window(deq_shape_rule *r, const char *axis, int64_t *out, int64_t in,
                     const deq_window *w)
{
    if (!check_limit(r, axis, "extent", in, 1) || !check_limit(r, axis, "kernel", w->kernel, 1) ||
        !check_limit(r, axis, "stride", w->stride, 1) ||
        !check_limit(r, axis, "padding", w->padding, 0) ||
        !check_limit(r, axis, "dilation", w->dilation, 1))
        return false;
    int64_t window = w->dilation * (w->kernel - 1) + 1, padded = in + 2 * w->padding;
    if (window > padded)
        return deq_rule_fail(r, DEQ_ERR_SHAPE,
                             "%s: a window of %lld does not fit into %lld (%lld with padding %lld)",
                             axis, (long long)window, (long long)padded, (long long)in,
                             (long long)w->padding);
    *out = (padded - window) / w->stride + 1; /* (2) */
    return true;
}

bool deq_rule_product(deq_shape_rule *r, int64_t *out, int64_t a, int64_t b)
{
    if (a > INT64_MAX / b)
        return deq_rule_fail(r, DEQ_ERR_OVERFLOW, "an extent of %lld x %lld is too large",
                             (long long)a, (long long)b);
    *out = a * b;
    return true;
}
