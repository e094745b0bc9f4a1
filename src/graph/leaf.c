/* SPDX-License-Identifier: MIT */
/* Leaves of a graph: inputs, parameters, constants. */
#include "base/text.h"
#include "graph/graph.h"
#include "op/real.h"

#include <string.h>

static bool infer_input(deq_shape_rule *r)
{
    r->out[0] = ((const deq_input_attr *)r->attr)->type;
    return true;
}

static bool infer_parameter(deq_shape_rule *r)
{
    const deq_parameter_attr *a = r->attr;
    r->out[0].dtype = deq_parameters_dtype(a->parameters);
    r->out[0].shape = deq_parameters_info(a->parameters, (int)a->index).shape;
    return true;
}

static bool infer_fill(deq_shape_rule *r)
{
    r->out[0] = ((const deq_fill_attr *)r->attr)->type;
    return true;
}

static bool infer_constant(deq_shape_rule *r)
{
    r->out[0] = ((const deq_constant_attr *)r->attr)->type;
    return true;
}

static void fill_elements(void *out, deq_dtype dtype, int64_t n, double number)
{
    int32_t i32 = (int32_t)deq_to_int(number, INT32_MIN, INT32_MAX);
    int64_t i64 = deq_to_int(number, -0x1p63, 0x1p63);
    for (int64_t i = 0; i < n; i++) switch (dtype) {
        case DEQ_F32: ((float *)out)[i] = (float)number; break;
        case DEQ_F64: ((double *)out)[i] = number; break;
        case DEQ_I32: ((int32_t *)out)[i] = i32; break;
        case DEQ_I64: ((int64_t *)out)[i] = i64; break;
        case DEQ_BOOL: ((uint8_t *)out)[i] = number != 0; break;
        }
}

static deq_status fill_kernel(const deq_kernel_call *c)
{
    const deq_fill_attr *a = c->attr;
    fill_elements(c->out[0], a->type.dtype, deq_shape_count(&a->type.shape), a->number);
    return DEQ_OK;
}

static deq_status constant_kernel(const deq_kernel_call *c)
{
    const deq_constant_attr *a = c->attr;
    memcpy(c->out[0], a->data, deq_type_bytes(&a->type));
    return DEQ_OK;
}

const deq_op deq_op_input = { .name = "input", .n_out = 1, .infer = infer_input };
const deq_op deq_op_parameter = { .name = "parameter", .n_out = 1, .infer = infer_parameter };
const deq_op deq_op_fill = {
    .name = "fill", .n_out = 1, .infer = infer_fill, .kernel = fill_kernel
};
const deq_op deq_op_constant = {
    .name = "constant", .n_out = 1, .infer = infer_constant, .kernel = constant_kernel
};

/* Field by field into zeroed memory: attributes are compared as bytes, and structs have padding. */
static void set_type(deq_type *t, deq_dtype dtype, const deq_shape *shape)
{
    t->dtype = dtype;
    t->shape.rank = shape->rank;
    for (int i = 0; i < shape->rank && i < DEQ_MAX_RANK; i++) t->shape.dim[i] = shape->dim[i];
}

static bool input_name_taken(const deq_graph *g, const char *name)
{
    for (size_t i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].op == &deq_op_input &&
            strcmp(((const deq_input_attr *)g->nodes[i].attr)->name, name) == 0)
            return true;
    return false;
}

deq_value deq_input(deq_graph *g, const char *name, deq_stage stage, deq_dtype dtype,
                    deq_shape shape)
{
    deq_input_attr a;
    memset(&a, 0, sizeof a);
    if (!name || !*name) return deq_graph_fail(g, DEQ_ERR_NAME, "input: a name is needed");
    a.stage = stage;
    set_type(&a.type, dtype, &shape);
    if (stage < DEQ_STAGE_PARAMETER || stage > DEQ_STAGE_STATE)
        return deq_graph_fail(g, DEQ_ERR_ARGUMENT, "input '%s': stage %d, expected %d to %d", name,
                              (int)stage, DEQ_STAGE_PARAMETER, DEQ_STAGE_STATE);
    if (g->status == DEQ_OK && input_name_taken(g, name))
        return deq_graph_fail(g, DEQ_ERR_NAME, "input '%s': the name is taken", name);
    char what[128];
    deq_text t = { what, sizeof what, 0 };
    deq_text_add(&t, "input '%s'", name);
    if (!deq_check_type(g, what, &a.type)) return (deq_value){ -1 };
    a.name = deq_arena_strdup(&g->arena, name);
    if (!a.name) return deq_graph_fail(g, DEQ_ERR_NOMEM, "%s", deq_last_error(g->ctx));
    return deq_name(g, deq_emit1(g, &deq_op_input, &a, sizeof a, NULL, 0), name);
}

static const char *parameter_name(const void *set, int i)
{
    return deq_parameters_info(set, i).name;
}

deq_value deq_parameter(deq_graph *g, deq_parameters *parameters, const char *name)
{
    if (!name || !*name) return deq_graph_fail(g, DEQ_ERR_NAME, "parameter: a name is needed");
    deq_parameter_attr a = { parameters, deq_parameters_find(parameters, name) };
    if (a.index < 0) {
        const char *near = deq_nearest_name(name, parameter_name, parameters,
                                            deq_parameters_count(parameters));
        return deq_graph_fail(g, DEQ_ERR_NAME, "parameter '%s' is unknown%s%s%s", name,
                              near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    for (size_t i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].op == &deq_op_parameter && memcmp(g->nodes[i].attr, &a, sizeof a) == 0)
            return deq_node_out(&g->nodes[i], 0);
    return deq_name(g, deq_emit1(g, &deq_op_parameter, &a, sizeof a, NULL, 0), name);
}

deq_value deq_fill(deq_graph *g, deq_dtype dtype, deq_shape shape, double number)
{
    deq_fill_attr a;
    memset(&a, 0, sizeof a);
    set_type(&a.type, dtype, &shape);
    a.number = number;
    return deq_emit1(g, &deq_op_fill, &a, sizeof a, NULL, 0);
}

deq_value deq_constant(deq_graph *g, deq_dtype dtype, deq_shape shape, const void *data)
{
    deq_constant_attr a;
    memset(&a, 0, sizeof a);
    set_type(&a.type, dtype, &shape);
    if (g->status != DEQ_OK || !deq_check_type(g, "constant", &a.type)) return (deq_value){ -1 };
    a.data = deq_arena_copy(&g->arena, data, deq_type_bytes(&a.type));
    if (!a.data) return deq_graph_fail(g, DEQ_ERR_NOMEM, "%s", deq_last_error(g->ctx));
    return deq_emit1(g, &deq_op_constant, &a, sizeof a, NULL, 0);
}

bool deq_is_fill(const deq_graph *g, deq_value v, double *number)
{
    if (!deq_is(v) || deq_node_of(g, v)->op != &deq_op_fill) return false;
    *number = ((const deq_fill_attr *)deq_node_of(g, v)->attr)->number;
    return true;
}
