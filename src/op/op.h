/* SPDX-License-Identifier: MIT */
/*
 * What an operator is.
 *
 * An operator is one constant `deq_op`: a shape rule, two derivatives that add nodes to a graph, and
 * a reference kernel.  A node is an operator applied to values with attributes (plain bytes without
 * pointers or padding garbage, so that two equal nodes can be recognised).
 *
 * Derivatives use the public builder functions only; see docs/dev/add-an-operator.md.
 */
#ifndef DEQ_OP_OP_H
#define DEQ_OP_OP_H

#include "base/context.h"

#include <deq/graph.h>

#define DEQ_MAX_OUTPUTS 16

typedef struct deq_op deq_op;
struct deq_lowering; /* graph/lower.h */
struct deq_node;     /* graph/graph.h */

/* What a shape rule sees (in, attr) and fills (out).  `n_out` comes preset to op->n_out. */
typedef struct deq_shape_rule {
    const void *attr;
    int n_in;
    const deq_type *in; /* absent optional inputs have dtype 0 */
    int n_out;
    deq_type out[DEQ_MAX_OUTPUTS];
    deq_status status; /* set by deq_rule_fail */
    char message[512];
} deq_shape_rule;

/* Refuse: keeps the message and returns false, to be returned by the rule. */
bool deq_rule_fail(deq_shape_rule *r, deq_status status, const char *format, ...) DEQ_PRINTF(3, 4);
/* Common refusals: input i must have this dtype / a floating dtype / this rank. */
bool deq_rule_float(deq_shape_rule *r, int i);
bool deq_rule_dtype(deq_shape_rule *r, int i, deq_dtype dtype);
bool deq_rule_rank(deq_shape_rule *r, int i, int rank);
/* Inputs i and j must have the same dtype. */
bool deq_rule_same_dtype(deq_shape_rule *r, int i, int j);

/* A node, as a derivative sees it. */
typedef struct deq_frame {
    deq_graph *g;
    const deq_op *op;
    const void *attr;
    size_t attr_bytes;
    int n_in, n_out;
    const deq_value *in;
    const deq_value *out;
    const bool *need; /* vjp only: which inputs' cotangents are asked for */
} deq_frame;

/* A call of a reference kernel.  All data is row-major without gaps; outputs never alias inputs. */
typedef struct deq_kernel_call {
    const void *attr;
    int n_in, n_out;
    const deq_type *in_type; /* absent optional inputs: dtype 0 and in[i] == NULL */
    const deq_type *out_type;
    const void *const *in;
    void *const *out;
    void *scratch; /* op->scratch() bytes, 64-byte aligned, contents undefined */
    int threads;   /* use at most so many */
    char *message; /* DEQ_MESSAGE_BYTES; see deq_kernel_fail */
} deq_kernel_call;

/* Refuse data found at run time (an index out of range): keeps the message, returns the status. */
deq_status deq_kernel_fail(const deq_kernel_call *c, deq_status status, const char *format, ...)
    DEQ_PRINTF(3, 4);

struct deq_op {
    const char *name;
    int n_out;         /* number of outputs, unless the shape rule sets another */
    size_t attr_bytes; /* 0 if none or if it varies from node to node */

    /* Bit i: for all other inputs held fixed, every output is linear (not affine) in input i.
     * add, concat and the like are linear in all inputs *together*: that is `joint`. */
    uint32_t linear;
    bool joint;

    /* Code of an element-wise operator (op/elementwise.h), 0 for all others. */
    int elementwise;

    bool (*infer)(deq_shape_rule *r);

    /* dx[i] = sum over outputs of dy[o] . d out[o] / d in[i], for every i with need[i].  dy[o] is
     * DEQ_NONE where zero; dx arrives filled with DEQ_NONE, which means zero. NULL: not
     * differentiable, the cotangent stops here (comparisons, arg max, random numbers). */
    void (*vjp)(const deq_frame *n, const deq_value *dy, deq_value *dx);

    /* dy[o] = sum over inputs of d out[o] / d in[i] . dx[i]; DEQ_NONE as above.  NULL: with
     * `linear` or `joint` set, derived from linearity; else zero. */
    void (*jvp)(const deq_frame *n, const deq_value *dx, deq_value *dy);

    /* Plain loops, any dtype that `infer` admits.  NULL only for leaves. */
    deq_status (*kernel)(const deq_kernel_call *c);
    /* Bytes of scratch memory that the kernel wants; NULL for none. */
    size_t (*scratch)(const deq_kernel_call *c);
    /* Attributes that own something (the body of an equilibrium) are counted: retain when a node is
     * added, release when it goes.  NULL: plain bytes. */
    void (*retain)(const void *attr);
    void (*release)(const void *attr);
    /* Emit the steps of a node by other means than a kernel: for operators that run programs of
     * their own.  NULL: `kernel`. */
    deq_status (*lower)(struct deq_lowering *l, const struct deq_node *n);
    /* Floating point operations of one call, for pictures and records; NULL: one per element. */
    double (*flops)(const deq_kernel_call *c);
};

/* Add a node; outputs get n_out values (invalid ones after a mistake).  The attributes are copied.
 * Inputs may be DEQ_NONE where the operator allows absent inputs. */
void deq_emit(deq_graph *g, const deq_op *op, const void *attr, size_t attr_bytes,
              const deq_value *in, int n_in, deq_value *out, int n_out);
/* The same for a single output. */
deq_value deq_emit1(deq_graph *g, const deq_op *op, const void *attr, size_t attr_bytes,
                    const deq_value *in, int n_in);
/* Mark the graph: for mistakes that a builder function sees before there is a node. */
deq_value deq_graph_fail(deq_graph *g, deq_status status, const char *format, ...) DEQ_PRINTF(3, 4);
/* Whether v stands for something (neither DEQ_NONE nor the result of a mistake). */
static inline bool deq_is(deq_value v)
{
    return v.id > 0;
}
/* a + b where either may be DEQ_NONE. */
deq_value deq_add_maybe(deq_graph *g, deq_value a, deq_value b);

#endif
