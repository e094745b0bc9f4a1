/* SPDX-License-Identifier: MIT */
/* What shape rules and kernels say when they refuse. */
#include "op/op.h"

#include <stdio.h>

bool deq_rule_fail(deq_shape_rule *r, deq_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(r->message, sizeof r->message, format, args);
    va_end(args);
    r->status = status;
    return false;
}

bool deq_rule_float(deq_shape_rule *r, int i)
{
    deq_dtype d = r->in[i].dtype;
    if (d == DEQ_F32 || d == DEQ_F64) return true;
    return deq_rule_fail(r, DEQ_ERR_DTYPE, "input %d is %s, expected f32 or f64", i,
                         d ? deq_dtype_name(d) : "absent");
}

bool deq_rule_dtype(deq_shape_rule *r, int i, deq_dtype dtype)
{
    deq_dtype d = r->in[i].dtype;
    if (d == dtype) return true;
    return deq_rule_fail(r, DEQ_ERR_DTYPE, "input %d is %s, expected %s", i,
                         d ? deq_dtype_name(d) : "absent", deq_dtype_name(dtype));
}

bool deq_rule_same_dtype(deq_shape_rule *r, int i, int j)
{
    deq_dtype a = r->in[i].dtype, b = r->in[j].dtype;
    if (a == b) return true;
    return deq_rule_fail(r, DEQ_ERR_DTYPE, "inputs %d and %d have different dtypes, %s and %s", i,
                         j, deq_dtype_name(a), deq_dtype_name(b));
}

bool deq_rule_rank(deq_shape_rule *r, int i, int rank)
{
    if (r->in[i].shape.rank == rank) return true;
    return deq_rule_fail(r, DEQ_ERR_SHAPE, "input %d has rank %d, expected %d", i,
                         r->in[i].shape.rank, rank);
}

deq_status deq_kernel_fail(const deq_kernel_call *c, deq_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(c->message, DEQ_MESSAGE_BYTES, format, args);
    va_end(args);
    return status;
}
