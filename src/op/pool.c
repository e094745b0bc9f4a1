/* SPDX-License-Identifier: MIT */
/* What the pooling operators share: their options and the shapes of their windows. */
#include "op/pool.h"

#include <string.h>

bool deq_pool_read(deq_graph *g, const char *op, deq_pool_attr *a, const int64_t kernel[2],
                   const int64_t stride[2], const int64_t padding[2])
{
    static const int64_t absent[2] = { 0, 0 };
    memset(a, 0, sizeof *a);
    if (!deq_window_pair(g, op, "kernel", a->kernel, kernel, 0)) return false;
    bool given = memcmp(stride, absent, sizeof absent) != 0;
    if (!deq_window_pair(g, op, "stride", a->stride, given ? stride : kernel, 0)) return false;
    memcpy(a->padding, padding, sizeof a->padding);
    return true;
}

bool deq_rule_pool(deq_shape_rule *r, int64_t out[2], const int64_t in[2])
{
    static const char *const axis_name[2] = { "height", "width" };
    const deq_pool_attr *a = r->attr;
    for (int i = 0; i < 2; i++) {
        deq_window w = { a->kernel[i], a->stride[i], a->padding[i], 1 };
        if (!deq_rule_window(r, axis_name[i], &out[i], in[i], &w)) return false;
        if (a->padding[i] >= a->kernel[i])
            return deq_rule_fail(r, DEQ_ERR_ARGUMENT,
                                 "%s: padding is %lld, expected less than the kernel %lld",
                                 axis_name[i], (long long)a->padding[i], (long long)a->kernel[i]);
    }
    return true;
}
