/* SPDX-License-Identifier: MIT */
/*
 * The one file that sees oneDNN.  Version 3 took operation descriptors away and made memory
 * descriptors opaque; where the two versions differ, the differences stand next to each other.
 *
 * Everything is created when a program is compiled.  A run sets the data pointers that have changed
 * and executes; scratch memory is a slot (scratchpad mode "user").
 */
#include "backend/cpu/onednn.h"

#include "backend/cpu/share.h"
#include "graph/program_internal.h"
#include "op/elementwise.h"

#include <dnnl.h>
#include <omp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define V3 (DNNL_VERSION_MAJOR >= 3)

/* --- engine ----------------------------------------------------------------------------------- */

/* One for the process, as the library's cache of primitives wants it; never freed. */
static dnnl_engine_t the_engine(void)
{
    static _Atomic(dnnl_engine_t) shared;
    dnnl_engine_t engine = atomic_load(&shared), none = NULL;
    if (engine || dnnl_engine_create(&engine, dnnl_cpu, 0) != dnnl_success) return engine;
    if (atomic_compare_exchange_strong(&shared, &none, engine)) return engine;
    dnnl_engine_destroy(engine); /* another thread was faster */
    return none;
}

/* The library uses as many threads as OpenMP would. */
static int enter_threads(int threads)
{
    int before = omp_get_max_threads();
    if (before != threads) omp_set_num_threads(threads);
    return before;
}

static void leave_threads(int before, int threads)
{
    if (before != threads) omp_set_num_threads(before);
}

/* --- memory descriptors ----------------------------------------------------------------------- */

#if V3
typedef const_dnnl_memory_desc_t desc_ref;
typedef struct desc {
    dnnl_memory_desc_t opaque; /* NULL: absent */
} desc;
static desc_ref ref(const desc *d)
{
    return d->opaque;
}
static void desc_clear(desc *d)
{
    if (d->opaque) dnnl_memory_desc_destroy(d->opaque);
    d->opaque = NULL;
}
static dnnl_status_t desc_strided(desc *d, int rank, const dnnl_dim_t *dim,
                                  const dnnl_dim_t *stride)
{
    return dnnl_memory_desc_create_with_strides(&d->opaque, rank, dim, dnnl_f32, stride);
}
static dnnl_status_t desc_any(desc *d, int rank, const dnnl_dim_t *dim)
{
    return dnnl_memory_desc_create_with_tag(&d->opaque, rank, dim, dnnl_f32, dnnl_format_tag_any);
}
#else
typedef const dnnl_memory_desc_t *desc_ref;
typedef struct desc {
    dnnl_memory_desc_t plain;
    bool present;
} desc;
static desc_ref ref(const desc *d)
{
    return d->present ? &d->plain : NULL;
}
static void desc_clear(desc *d)
{
    d->present = false;
}
static dnnl_status_t desc_strided(desc *d, int rank, const dnnl_dim_t *dim,
                                  const dnnl_dim_t *stride)
{
    d->present = true;
    return dnnl_memory_desc_init_by_strides(&d->plain, rank, dim, dnnl_f32, stride);
}
static dnnl_status_t desc_any(desc *d, int rank, const dnnl_dim_t *dim)
{
    d->present = true;
    return dnnl_memory_desc_init_by_tag(&d->plain, rank, dim, dnnl_f32, dnnl_format_tag_any);
}
#endif

/* *d must be clear; rank 0 leaves it absent. */
static dnnl_status_t desc_init(desc *d, const deq_onednn_tensor *t)
{
    dnnl_dims_t dim = { 0 }, stride = { 0 };
    if (t->rank == 0) return dnnl_success;
    for (int i = 0; i < t->rank; i++) {
        dim[i] = t->dim[i];
        stride[i] = t->stride[i];
    }
    return t->any ? desc_any(d, t->rank, dim) : desc_strided(d, t->rank, dim, stride);
}

deq_onednn_tensor deq_onednn_dense(int rank, const int64_t *dim)
{
    deq_onednn_tensor t = { .rank = rank };
    int64_t step = 1;
    for (int i = rank - 1; i >= 0; i--) {
        t.dim[i] = dim[i];
        t.stride[i] = step;
        step *= dim[i];
    }
    return t;
}

/* --- attributes: post-operations and scratch memory ------------------------------------------- */

static dnnl_status_t append_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t kind, float alpha,
                                    float beta)
{
#if V3
    return dnnl_post_ops_append_eltwise(ops, kind, alpha, beta);
#else
    return dnnl_post_ops_append_eltwise(ops, 1.0F, kind, alpha, beta);
#endif
}

static dnnl_status_t append_binary(dnnl_post_ops_t ops, dnnl_alg_kind_t kind,
                                   const deq_onednn_tensor *operand)
{
    desc d = { 0 };
    dnnl_status_t status = desc_init(&d, operand);
    if (status == dnnl_success) status = dnnl_post_ops_append_binary(ops, kind, ref(&d));
    desc_clear(&d);
    return status;
}

static dnnl_status_t append_post(dnnl_post_ops_t ops, const deq_onednn_post *p)
{
    switch (p->code) {
    case DEQ_EW_NONE: return append_eltwise(ops, dnnl_eltwise_linear, p->alpha, p->beta);
    case DEQ_EW_ADD: return append_binary(ops, dnnl_binary_add, &p->operand.tensor);
    case DEQ_EW_SUB: return append_binary(ops, dnnl_binary_sub, &p->operand.tensor);
    case DEQ_EW_MUL: return append_binary(ops, dnnl_binary_mul, &p->operand.tensor);
    case DEQ_EW_DIV: return append_binary(ops, dnnl_binary_div, &p->operand.tensor);
    case DEQ_EW_ABS: return append_eltwise(ops, dnnl_eltwise_abs, 0, 0);
    case DEQ_EW_SQUARE: return append_eltwise(ops, dnnl_eltwise_square, 0, 0);
    case DEQ_EW_SQRT: return append_eltwise(ops, dnnl_eltwise_sqrt, 0, 0);
    case DEQ_EW_TANH: return append_eltwise(ops, dnnl_eltwise_tanh, 0, 0);
    case DEQ_EW_SIGMOID: return append_eltwise(ops, dnnl_eltwise_logistic, 0, 0);
    case DEQ_EW_SILU: return append_eltwise(ops, dnnl_eltwise_swish, 1, 0);
    case DEQ_EW_GELU: return append_eltwise(ops, dnnl_eltwise_gelu_erf, 0, 0);
    case DEQ_EW_GELU_TANH: return append_eltwise(ops, dnnl_eltwise_gelu_tanh, 0, 0);
    case DEQ_EW_LEAKY_RELU: return append_eltwise(ops, dnnl_eltwise_relu, p->alpha, 0);
    default: return dnnl_unimplemented;
    }
}

static dnnl_status_t attributes_new(dnnl_primitive_attr_t *out, const deq_onednn_spec *s)
{
    dnnl_post_ops_t ops = NULL;
    *out = NULL;
    dnnl_status_t status = dnnl_primitive_attr_create(out);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_scratchpad_mode(*out, dnnl_scratchpad_mode_user);
    if (status == dnnl_success) status = dnnl_post_ops_create(&ops);
    for (int i = 0; i < s->n_posts && status == dnnl_success; i++)
        status = append_post(ops, &s->post[i]);
    if (status == dnnl_success) status = dnnl_primitive_attr_set_post_ops(*out, ops);
    if (ops) dnnl_post_ops_destroy(ops);
    return status;
}

/* --- primitive descriptors: which implementation computes it ---------------------------------- */

/* What the creation of a primitive descriptor needs. */
typedef struct request {
    desc a, b, result, bias;
    dnnl_dims_t stride, dilation, padding; /* oneDNN's dilation 0 is dense */
    dnnl_primitive_attr_t attr;
    const char *prefer;
} request;

static void request_clear(request *r)
{
    desc_clear(&r->a);
    desc_clear(&r->b);
    desc_clear(&r->result);
    desc_clear(&r->bias);
    if (r->attr) dnnl_primitive_attr_destroy(r->attr);
}

static dnnl_status_t request_init(request *r, const deq_onednn_spec *s)
{
    memset(r, 0, sizeof *r);
    for (int i = 0; i < 2; i++) {
        r->stride[i] = s->stride[i];
        r->dilation[i] = s->dilation[i] - 1;
        r->padding[i] = s->padding[i];
    }
    r->prefer = s->prefer;
    dnnl_status_t status = desc_init(&r->a, &s->a);
    if (status == dnnl_success) status = desc_init(&r->b, &s->b);
    if (status == dnnl_success) status = desc_init(&r->result, &s->result);
    if (status == dnnl_success && s->has_bias) status = desc_init(&r->bias, &s->bias.tensor);
    if (status == dnnl_success) status = attributes_new(&r->attr, s);
    return status;
}

/* "brgconv:avx512_core", "ref:any", ... */
static const char *implementation(dnnl_primitive_desc_t pd)
{
    const char *name = NULL;
    if (dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name) != dnnl_success || !name)
        return "unknown";
    return name;
}

static bool is_preferred(dnnl_primitive_desc_t pd, const request *r)
{
    return !r->prefer || strncmp(implementation(pd), r->prefer, strlen(r->prefer)) == 0;
}

#if V3

static dnnl_status_t create_forward(dnnl_primitive_desc_t *pd, request *r, desc_ref x, desc_ref w,
                                    desc_ref y, dnnl_primitive_attr_t attr)
{
    return dnnl_convolution_forward_primitive_desc_create(
        pd, the_engine(), dnnl_forward_training, dnnl_convolution_direct, x, w, ref(&r->bias), y,
        r->stride, r->dilation, r->padding, r->padding, attr);
}

static dnnl_status_t create_backward(dnnl_primitive_desc_t *pd, request *r,
                                     dnnl_primitive_desc_t forward)
{
    return dnnl_convolution_backward_data_primitive_desc_create(
        pd, the_engine(), dnnl_convolution_direct, ref(&r->result), ref(&r->b), ref(&r->a),
        r->stride, r->dilation, r->padding, r->padding, forward, r->attr);
}

static dnnl_status_t create_weights(dnnl_primitive_desc_t *pd, request *r,
                                    dnnl_primitive_desc_t forward)
{
    return dnnl_convolution_backward_weights_primitive_desc_create(
        pd, the_engine(), dnnl_convolution_direct, ref(&r->a), ref(&r->result), NULL, ref(&r->b),
        r->stride, r->dilation, r->padding, r->padding, forward, r->attr);
}

static dnnl_status_t create_best_matmul(dnnl_primitive_desc_t *pd, request *r)
{
    return dnnl_matmul_primitive_desc_create(pd, the_engine(), ref(&r->a), ref(&r->b),
                                             ref(&r->bias), ref(&r->result), r->attr);
}

static dnnl_status_t create_matmul(dnnl_primitive_desc_t *pd, request *r)
{
    dnnl_status_t status = create_best_matmul(pd, r);
    if (status != dnnl_success) return status;
    while (!is_preferred(*pd, r)) {
        if (dnnl_primitive_desc_next_impl(*pd) == dnnl_success) continue;
        dnnl_primitive_desc_destroy(*pd); /* it has none of that name */
        return create_best_matmul(pd, r);
    }
    return dnnl_success;
}

#else

static dnnl_status_t create(dnnl_primitive_desc_t *pd, const_dnnl_op_desc_t op,
                            dnnl_primitive_attr_t attr, dnnl_primitive_desc_t forward)
{
    return dnnl_primitive_desc_create(pd, op, attr, the_engine(), forward);
}

static dnnl_status_t create_forward(dnnl_primitive_desc_t *pd, request *r, desc_ref x, desc_ref w,
                                    desc_ref y, dnnl_primitive_attr_t attr)
{
    dnnl_convolution_desc_t d;
    dnnl_status_t status = dnnl_dilated_convolution_forward_desc_init(
        &d, dnnl_forward_training, dnnl_convolution_direct, x, w, ref(&r->bias), y, r->stride,
        r->dilation, r->padding, r->padding);
    return status == dnnl_success ? create(pd, &d, attr, NULL) : status;
}

static dnnl_status_t create_backward(dnnl_primitive_desc_t *pd, request *r,
                                     dnnl_primitive_desc_t forward)
{
    dnnl_convolution_desc_t d;
    dnnl_status_t status = dnnl_dilated_convolution_backward_data_desc_init(
        &d, dnnl_convolution_direct, ref(&r->result), ref(&r->b), ref(&r->a), r->stride,
        r->dilation, r->padding, r->padding);
    return status == dnnl_success ? create(pd, &d, r->attr, forward) : status;
}

static dnnl_status_t create_weights(dnnl_primitive_desc_t *pd, request *r,
                                    dnnl_primitive_desc_t forward)
{
    dnnl_convolution_desc_t d;
    dnnl_status_t status = dnnl_dilated_convolution_backward_weights_desc_init(
        &d, dnnl_convolution_direct, ref(&r->a), ref(&r->result), NULL, ref(&r->b), r->stride,
        r->dilation, r->padding, r->padding);
    return status == dnnl_success ? create(pd, &d, r->attr, forward) : status;
}

static dnnl_status_t create_matmul(dnnl_primitive_desc_t *pd, request *r)
{
    dnnl_matmul_desc_t d;
    dnnl_primitive_desc_iterator_t all = NULL;
    bool found = false;
    dnnl_status_t status = dnnl_matmul_desc_init(&d, ref(&r->a), ref(&r->b), ref(&r->bias),
                                                 ref(&r->result));
    if (status == dnnl_success)
        status = dnnl_primitive_desc_iterator_create(&all, &d, r->attr, the_engine(), NULL);
    if (status != dnnl_success) return status;
    do {
        *pd = dnnl_primitive_desc_iterator_fetch(all);
        found = *pd && is_preferred(*pd, r);
        if (*pd && !found) dnnl_primitive_desc_destroy(*pd);
    } while (!found && dnnl_primitive_desc_iterator_next(all) == dnnl_success);
    dnnl_primitive_desc_iterator_destroy(all);
    return found ? dnnl_success : create(pd, &d, r->attr, NULL); /* it has none of that name */
}

#endif

/* The two backward kinds want the forward one as a hint. */
static dnnl_status_t create_with_hint(dnnl_primitive_desc_t *pd, request *r, bool weights)
{
    dnnl_primitive_desc_t forward = NULL;
    desc_ref x = weights ? ref(&r->a) : ref(&r->result);
    desc_ref w = weights ? ref(&r->result) : ref(&r->b);
    desc_ref y = weights ? ref(&r->b) : ref(&r->a);
    dnnl_status_t status = create_forward(&forward, r, x, w, y, NULL);
    if (status == dnnl_success)
        status = weights ? create_weights(pd, r, forward) : create_backward(pd, r, forward);
    if (forward) dnnl_primitive_desc_destroy(forward);
    return status;
}

static dnnl_status_t create_any(dnnl_primitive_desc_t *pd, request *r, deq_onednn_kind kind)
{
    switch (kind) {
    case DEQ_ONEDNN_CONVOLUTION:
        return create_forward(pd, r, ref(&r->a), ref(&r->b), ref(&r->result), r->attr);
    case DEQ_ONEDNN_CONVOLUTION_BACKWARD: return create_with_hint(pd, r, false);
    case DEQ_ONEDNN_CONVOLUTION_WEIGHTS: return create_with_hint(pd, r, true);
    case DEQ_ONEDNN_MATMUL: return create_matmul(pd, r);
    case DEQ_ONEDNN_REORDER: break; /* made of two descriptors: see reorder_new */
    }
    return dnnl_unimplemented;
}

/* *pd is NULL unless success is returned. */
static dnnl_status_t describe(dnnl_primitive_desc_t *pd, const deq_onednn_spec *s)
{
    request r;
    *pd = NULL;
    if (!the_engine()) return dnnl_out_of_memory;
    int before = enter_threads(s->threads);
    dnnl_status_t status = request_init(&r, s);
    if (status == dnnl_success) status = create_any(pd, &r, s->kind);
    request_clear(&r);
    leave_threads(before, s->threads);
    if (status != dnnl_success) *pd = NULL;
    return status;
}

deq_onednn_grade deq_onednn_probe(const deq_onednn_spec *spec)
{
    dnnl_primitive_desc_t pd;
    if (describe(&pd, spec) != dnnl_success) return DEQ_ONEDNN_NONE;
    const char *name = implementation(pd);
    deq_onednn_grade grade = strstr(name, "ref") ? DEQ_ONEDNN_REFERENCE
                             : strstr(name, "gemm:") || strstr(name, "im2col") ? DEQ_ONEDNN_GEMM
                                                                               : DEQ_ONEDNN_TUNED;
    dnnl_primitive_desc_destroy(pd);
    return grade;
}

/* --- primitives ------------------------------------------------------------------------------- */

struct deq_onednn {
    deq_onednn_kind kind;
    dnnl_primitive_desc_t pd;
    dnnl_primitive_t primitive;
    dnnl_stream_t stream;
    int threads;
    int n_args;
    dnnl_exec_arg_t arg[DEQ_ONEDNN_PARTS];
    void *data[DEQ_ONEDNN_PARTS]; /* what the argument points to now */
    int slot[DEQ_ONEDNN_PARTS];   /* where its data lies */
    deq_onednn_post *post;        /* for the operands' descriptors */
};

/* The name of a part among the library's execution arguments. */
static int argument_of(deq_onednn_kind kind, int part)
{
    static const int argument[][3] = {
        [DEQ_ONEDNN_CONVOLUTION] = { DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST },
        [DEQ_ONEDNN_CONVOLUTION_BACKWARD] = { DNNL_ARG_DIFF_DST, DNNL_ARG_WEIGHTS,
                                              DNNL_ARG_DIFF_SRC },
        [DEQ_ONEDNN_CONVOLUTION_WEIGHTS] = { DNNL_ARG_SRC, DNNL_ARG_DIFF_DST,
                                             DNNL_ARG_DIFF_WEIGHTS },
        [DEQ_ONEDNN_MATMUL] = { DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST },
        [DEQ_ONEDNN_REORDER] = { DNNL_ARG_FROM, 0, DNNL_ARG_TO },
    };
    if (part == DEQ_ONEDNN_BIAS) return DNNL_ARG_BIAS;
    if (part == DEQ_ONEDNN_SCRATCH) return DNNL_ARG_SCRATCHPAD;
    if (part >= DEQ_ONEDNN_POST)
        return DNNL_ARG_ATTR_MULTIPLE_POST_OP(part - DEQ_ONEDNN_POST) | DNNL_ARG_SRC_1;
    return argument[kind][part];
}

/* How a part other than an operand of the epilogue lies in memory. */
static desc_ref layout_of(const deq_onednn *p, int part)
{
    return dnnl_primitive_desc_query_md(p->pd, dnnl_query_exec_arg_md, argument_of(p->kind, part));
}

size_t deq_onednn_bytes(const deq_onednn *p, deq_onednn_part part)
{
    desc_ref d = layout_of(p, (int)part);
    return d ? dnnl_memory_desc_get_size(d) : 0;
}

void deq_onednn_free(deq_onednn *p)
{
    if (!p) return;
    for (int i = 0; i < p->n_args; i++) dnnl_memory_destroy(p->arg[i].memory);
    if (p->stream) dnnl_stream_destroy(p->stream);
    if (p->primitive) dnnl_primitive_destroy(p->primitive);
    if (p->pd) dnnl_primitive_desc_destroy(p->pd);
    *p = (deq_onednn){ .kind = p->kind }; /* its memory belongs to the program */
}

static deq_status failed(deq_lowering *l, const char *what, dnnl_status_t status)
{
    if (status == dnnl_out_of_memory) return DEQ_ERR_NOMEM;
    char version[32];
    deq_onednn_version(version, sizeof version);
    return deq_fail(l->ctx, DEQ_ERR_BACKEND, "oneDNN %s: %s failed with status %d", version, what,
                    (int)status);
}

/* Takes pd over. */
static deq_status primitive_new(deq_lowering *l, deq_onednn **out, dnnl_primitive_desc_t pd,
                                deq_onednn_kind kind, int threads)
{
    deq_onednn *p = deq_lower_alloc(l, sizeof *p);
    if (!p) {
        dnnl_primitive_desc_destroy(pd);
        return DEQ_ERR_NOMEM;
    }
    *p = (deq_onednn){ .kind = kind, .pd = pd, .threads = threads };
    int before = enter_threads(threads);
    dnnl_status_t status = dnnl_primitive_create(&p->primitive, pd);
    leave_threads(before, threads);
    if (status == dnnl_success)
        status = dnnl_stream_create(&p->stream, the_engine(), dnnl_stream_default_flags);
    if (status != dnnl_success) {
        deq_onednn_free(p);
        return failed(l, "creating a primitive", status);
    }
    *out = p;
    return DEQ_OK;
}

deq_status deq_onednn_new(deq_lowering *l, deq_onednn **out, const deq_onednn_spec *spec)
{
    dnnl_primitive_desc_t pd;
    deq_onednn *p = NULL;
    *out = NULL;
    dnnl_status_t status = describe(&pd, spec);
    if (status != dnnl_success) return failed(l, "describing a primitive", status);
    DEQ_TRY(primitive_new(l, &p, pd, spec->kind, spec->threads));
    if (p) p->post = deq_arena_copy(&l->program->memory, spec->post, sizeof spec->post);
    if (!p || !p->post) {
        deq_onednn_free(p);
        return DEQ_ERR_NOMEM;
    }
    *out = p;
    return DEQ_OK;
}

/* --- reorders --------------------------------------------------------------------------------- */

/* From how `tensor` says to how p's part lies in memory, or back; NULL when that is the same. */
static deq_status reorder_new(deq_lowering *l, deq_onednn **out, const deq_onednn *p,
                              deq_onednn_part part, const deq_onednn_tensor *tensor, bool pack)
{
    *out = NULL;
    desc plain = { 0 };
    desc_ref packed = layout_of(p, (int)part);
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t status = desc_init(&plain, tensor);
    if (status == dnnl_success && !dnnl_memory_desc_equal(ref(&plain), packed)) {
        int before = enter_threads(p->threads);
        status = dnnl_reorder_primitive_desc_create(&pd, pack ? ref(&plain) : packed, the_engine(),
                                                    pack ? packed : ref(&plain), the_engine(),
                                                    NULL);
        leave_threads(before, p->threads);
    }
    desc_clear(&plain);
    if (status != dnnl_success) return failed(l, "describing a reorder", status);
    return pd ? primitive_new(l, out, pd, DEQ_ONEDNN_REORDER, p->threads) : DEQ_OK;
}

deq_status deq_onednn_unpack(deq_lowering *l, deq_onednn **out, const deq_onednn *p,
                             deq_onednn_part part, const deq_onednn_tensor *tensor)
{
    return reorder_new(l, out, p, part, tensor, false);
}

static deq_step_fn run;

static bool same_reorder(const void *self, const void *key)
{
    const deq_onednn *p = self, *q = key;
    if (p->kind != DEQ_ONEDNN_REORDER) return false;
    for (int part = DEQ_ONEDNN_A; part <= DEQ_ONEDNN_RESULT; part += 2)
        if (!dnnl_memory_desc_equal(layout_of(p, part), layout_of(q, part))) return false;
    return true;
}

int deq_onednn_pack(deq_lowering *l, const deq_onednn *p, deq_onednn_part part,
                    const deq_onednn_tensor *tensor, int from, deq_stage stage, deq_status *status)
{
    deq_onednn *reorder = NULL;
    if (*status == DEQ_OK) *status = reorder_new(l, &reorder, p, part, tensor, true);
    if (*status != DEQ_OK) return -1;
    if (!reorder) return from;
    int to = deq_cpu_find_step(l, stage, run, from, same_reorder, reorder);
    if (to >= 0) {
        deq_onednn_free(reorder);
        return to;
    }
    int slot[DEQ_ONEDNN_PARTS];
    for (int i = 0; i < DEQ_ONEDNN_PARTS; i++) slot[i] = -1;
    slot[DEQ_ONEDNN_A] = from;
    slot[DEQ_ONEDNN_RESULT] = to = deq_lower_slot(l, deq_onednn_bytes(reorder, DEQ_ONEDNN_RESULT),
                                                  stage);
    if (to < 0) {
        deq_onednn_free(reorder);
        *status = DEQ_ERR_NOMEM;
        return -1;
    }
    int group = l->group_index;
    l->group_index = -1; /* whoever asks next shares it */
    *status = deq_onednn_emit(l, reorder, slot, stage, 0);
    l->group_index = group;
    return to;
}

/* --- steps ------------------------------------------------------------------------------------ */

static deq_status run(void *self, void *const *slot, char *message)
{
    deq_onednn *p = self;
    for (int i = 0; i < p->n_args; i++) {
        void *data = slot[p->slot[i]];
        if (data == p->data[i]) continue; /* version 2 clears padding when a pointer is set */
        dnnl_memory_set_data_handle(p->arg[i].memory, data);
        p->data[i] = data;
    }
    int before = enter_threads(p->threads);
    dnnl_status_t status = dnnl_primitive_execute(p->primitive, p->stream, p->n_args, p->arg);
    leave_threads(before, p->threads);
    if (status == dnnl_success) return DEQ_OK;
    snprintf(message, DEQ_MESSAGE_BYTES, "oneDNN: %s failed with status %d", implementation(p->pd),
             (int)status);
    return DEQ_ERR_BACKEND;
}

static void release(void *self)
{
    deq_onednn_free(self);
}

static dnnl_status_t add_argument(deq_onednn *p, int part, int slot)
{
    desc operand = { 0 };
    desc_ref d = NULL;
    dnnl_status_t status = dnnl_success;
    if (part >= DEQ_ONEDNN_POST) {
        status = desc_init(&operand, &p->post[part - DEQ_ONEDNN_POST].operand.tensor);
        d = ref(&operand);
    } else {
        d = layout_of(p, (int)part);
    }
    dnnl_exec_arg_t *a = &p->arg[p->n_args];
    a->arg = argument_of(p->kind, part);
    if (status == dnnl_success)
        status = dnnl_memory_create(&a->memory, d, the_engine(), DNNL_MEMORY_NONE);
    desc_clear(&operand);
    if (status == dnnl_success) p->slot[p->n_args++] = slot;
    return status;
}

static deq_status add_arguments(deq_lowering *l, deq_onednn *p, const int *slot, deq_stage stage)
{
    size_t scratch = deq_onednn_bytes(p, DEQ_ONEDNN_SCRATCH);
    int scratch_slot = scratch ? deq_lower_slot(l, scratch, stage) : -1;
    if (scratch && scratch_slot < 0) return DEQ_ERR_NOMEM;
    for (int part = 0; part < DEQ_ONEDNN_PARTS; part++) {
        int where = part == DEQ_ONEDNN_SCRATCH ? scratch_slot : slot[part];
        dnnl_status_t status = where < 0 ? dnnl_success : add_argument(p, part, where);
        if (status != dnnl_success) return failed(l, "creating a memory object", status);
    }
    return DEQ_OK;
}

/* "onednn brgconv:avx512_core" in program memory. */
static const char *kernel_name(deq_lowering *l, const deq_onednn *p)
{
    const char *name = implementation(p->pd);
    size_t bytes = strlen(name) + sizeof "onednn ";
    char *text = deq_lower_alloc(l, bytes);
    if (text) snprintf(text, bytes, "onednn %s", name);
    return text;
}

static deq_status emit(deq_lowering *l, deq_onednn *p, const int *slot, deq_stage stage,
                       double flops)
{
    DEQ_TRY(add_arguments(l, p, slot, stage));
    int reads[DEQ_ONEDNN_PARTS], writes[2];
    deq_step step = { .run = run,
                      .self = p,
                      .release = release,
                      .stage = stage,
                      .reads = reads,
                      .writes = writes,
                      .kernel = kernel_name(l, p),
                      .flops = flops };
    if (!step.kernel) return DEQ_ERR_NOMEM;
    for (int i = 0; i < p->n_args; i++) {
        bool result = p->slot[i] == slot[DEQ_ONEDNN_RESULT];
        bool scratch = p->arg[i].arg == DNNL_ARG_SCRATCHPAD;
        if (result || scratch)
            writes[step.n_writes++] = p->slot[i];
        else
            reads[step.n_reads++] = p->slot[i];
        if (!scratch) step.bytes += (double)l->program->slots[p->slot[i]].bytes;
    }
    return deq_lower_step(l, &step); /* which releases p if it fails */
}

deq_status deq_onednn_emit(deq_lowering *l, deq_onednn *p, const int *slot, deq_stage stage,
                           double flops)
{
    deq_status status = emit(l, p, slot, stage, flops);
    if (status != DEQ_OK) deq_onednn_free(p); /* harmless the second time */
    return status;
}

/* --- the library ------------------------------------------------------------------------------ */

void deq_onednn_version(char *buffer, size_t capacity)
{
    const dnnl_version_t *v = dnnl_version();
    snprintf(buffer, capacity, "%d.%d.%d", v->major, v->minor, v->patch);
}

const char *deq_onednn_isa(void)
{
    int isa = (int)dnnl_get_effective_cpu_isa();
    static const struct {
        int isa;
        const char *name;
    } known[] = {
        { dnnl_cpu_isa_sse41, "sse41" },
        { dnnl_cpu_isa_avx, "avx" },
        { dnnl_cpu_isa_avx2, "avx2" },
        { dnnl_cpu_isa_avx2_vnni, "avx2_vnni" },
        { dnnl_cpu_isa_avx512_core, "avx512_core" },
        { dnnl_cpu_isa_avx512_core_vnni, "avx512_core_vnni" },
        { dnnl_cpu_isa_avx512_core_bf16, "avx512_core_bf16" },
        { dnnl_cpu_isa_avx512_core_amx, "avx512_core_amx" },
#if V3
        { dnnl_cpu_isa_avx2_vnni_2, "avx2_vnni_2" },
        { dnnl_cpu_isa_avx512_core_fp16, "avx512_core_fp16" },
        { dnnl_cpu_isa_avx512_core_amx_fp16, "avx512_core_amx_fp16" },
#endif
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].isa == isa) return known[i].name;
    return "unknown";
}
