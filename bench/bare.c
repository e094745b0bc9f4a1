/* SPDX-License-Identifier: MIT */
/*
 * Bare primitives of oneDNN, made without any of the library's code, so that the comparison does not
 * compare the library with itself.  Direct convolutions on channels-last activations, and the plain
 * blocked layout nChw16c; the faster counts.
 */
#include "bare.h"

#include <dnnl.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

typedef struct primitive {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_t primitive;
    dnnl_memory_t memory[3];
    dnnl_exec_arg_t args[3];
    int threads;
} primitive;

typedef struct problem {
    bare_kind kind;
    dnnl_dims_t x, w, y, stride, dilation, padding;
    dnnl_format_tag_t tag;
} problem;

/* The three tensors as the primitive wants them: x, w, y. */
#if DNNL_VERSION_MAJOR >= 3

static bool describe(dnnl_primitive_desc_t *pd, const problem *p, dnnl_engine_t engine)
{
    dnnl_memory_desc_t x, w, y;
    dnnl_primitive_desc_t forward = NULL;
    dnnl_memory_desc_create_with_tag(&x, 4, p->x, dnnl_f32, p->tag);
    dnnl_memory_desc_create_with_tag(&y, 4, p->y, dnnl_f32, p->tag);
    dnnl_memory_desc_create_with_tag(&w, 4, p->w, dnnl_f32, dnnl_format_tag_any);
    bool ok = dnnl_convolution_forward_primitive_desc_create(
                  &forward, engine, dnnl_forward_training, dnnl_convolution_direct, x, w, NULL, y,
                  p->stride, p->dilation, p->padding, p->padding, NULL) == dnnl_success;
    if (ok && p->kind == BARE_INPUT_GRAD)
        ok = dnnl_convolution_backward_data_primitive_desc_create(
                 pd, engine, dnnl_convolution_direct, x, w, y, p->stride, p->dilation, p->padding,
                 p->padding, forward, NULL) == dnnl_success;
    else if (ok && p->kind == BARE_WEIGHT_GRAD)
        ok = dnnl_convolution_backward_weights_primitive_desc_create(
                 pd, engine, dnnl_convolution_direct, x, w, NULL, y, p->stride, p->dilation,
                 p->padding, p->padding, forward, NULL) == dnnl_success;
    else if (ok)
        *pd = forward;
    if (*pd != forward) dnnl_primitive_desc_destroy(forward);
    dnnl_memory_desc_destroy(x);
    dnnl_memory_desc_destroy(w);
    dnnl_memory_desc_destroy(y);
    return ok;
}

typedef const_dnnl_memory_desc_t memory_desc;

static size_t bytes_of(memory_desc md)
{
    return dnnl_memory_desc_get_size(md);
}

#else

static bool describe(dnnl_primitive_desc_t *pd, const problem *p, dnnl_engine_t engine)
{
    dnnl_memory_desc_t x, w, y;
    dnnl_convolution_desc_t d;
    dnnl_primitive_desc_t forward = NULL;
    dnnl_memory_desc_init_by_tag(&x, 4, p->x, dnnl_f32, p->tag);
    dnnl_memory_desc_init_by_tag(&y, 4, p->y, dnnl_f32, p->tag);
    dnnl_memory_desc_init_by_tag(&w, 4, p->w, dnnl_f32, dnnl_format_tag_any);
    bool ok = dnnl_convolution_forward_desc_init(&d, dnnl_forward_training, dnnl_convolution_direct,
                                                 &x, &w, NULL, &y, p->stride, p->padding,
                                                 p->padding) == dnnl_success &&
              dnnl_primitive_desc_create(&forward, &d, NULL, engine, NULL) == dnnl_success;
    if (!ok || p->kind == BARE_FORWARD) {
        *pd = forward;
        return ok;
    }
    if (p->kind == BARE_INPUT_GRAD)
        ok = dnnl_convolution_backward_data_desc_init(&d, dnnl_convolution_direct, &x, &w, &y,
                                                      p->stride, p->padding,
                                                      p->padding) == dnnl_success;
    else
        ok = dnnl_convolution_backward_weights_desc_init(&d, dnnl_convolution_direct, &x, &w, NULL,
                                                         &y, p->stride, p->padding,
                                                         p->padding) == dnnl_success;
    ok = ok && dnnl_primitive_desc_create(pd, &d, NULL, engine, forward) == dnnl_success;
    dnnl_primitive_desc_destroy(forward);
    return ok;
}

typedef const dnnl_memory_desc_t *memory_desc;

static size_t bytes_of(memory_desc md)
{
    return dnnl_memory_desc_get_size(md);
}

#endif

static bool attach(primitive *r, int i, int argument, memory_desc md)
{
    void *data = NULL;
    r->args[i].arg = argument;
    if (dnnl_memory_create(&r->memory[i], md, r->engine, DNNL_MEMORY_ALLOCATE) != dnnl_success)
        return false;
    r->args[i].memory = r->memory[i];
    if (dnnl_memory_get_data_handle(r->memory[i], &data) != dnnl_success) return false;
    memset(data, 0, bytes_of(md));
    return true;
}

static bool begin(primitive *r, const problem *p)
{
    dnnl_primitive_desc_t pd = NULL;
    if (dnnl_engine_create(&r->engine, dnnl_cpu, 0) != dnnl_success ||
        dnnl_stream_create(&r->stream, r->engine, dnnl_stream_default_flags) != dnnl_success ||
        !describe(&pd, p, r->engine))
        return false;
    bool wg = p->kind == BARE_WEIGHT_GRAD, ig = p->kind == BARE_INPUT_GRAD;
    bool ok = dnnl_primitive_create(&r->primitive, pd) == dnnl_success &&
              attach(r, 0, ig ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC,
                     dnnl_primitive_desc_query_md(
                         pd, ig ? dnnl_query_diff_src_md : dnnl_query_src_md, 0)) &&
              attach(r, 1, wg ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS,
                     dnnl_primitive_desc_query_md(
                         pd, wg ? dnnl_query_diff_weights_md : dnnl_query_weights_md, 0)) &&
              attach(r, 2, ig || wg ? DNNL_ARG_DIFF_DST : DNNL_ARG_DST,
                     dnnl_primitive_desc_query_md(
                         pd, ig || wg ? dnnl_query_diff_dst_md : dnnl_query_dst_md, 0));
    dnnl_primitive_desc_destroy(pd);
    return ok;
}

static void end(primitive *r)
{
    for (int i = 0; i < 3; i++)
        if (r->memory[i]) dnnl_memory_destroy(r->memory[i]);
    if (r->primitive) dnnl_primitive_destroy(r->primitive);
    if (r->stream) dnnl_stream_destroy(r->stream);
    if (r->engine) dnnl_engine_destroy(r->engine);
}

static void execute(void *user)
{
    primitive *r = user;
    dnnl_primitive_execute(r->primitive, r->stream, 3, r->args);
    dnnl_stream_wait(r->stream);
}

static primitive *make(const problem *p, int threads)
{
    primitive *r = calloc(1, sizeof *r);
    if (!r) return NULL;
    r->threads = threads;
    omp_set_num_threads(threads);
    if (begin(r, p)) return r;
    end(r);
    free(r);
    return NULL;
}

void bare_convolution_run(void *convolution)
{
    primitive *r = convolution;
    omp_set_num_threads(r->threads); /* oneDNN asks OpenMP */
    execute(r);
}

void bare_convolution_free(void *convolution)
{
    if (convolution) end(convolution);
    free(convolution);
}

void *bare_convolution_new(bench_run *run, bare_kind kind, int batch, int c, int k, int plane,
                           int kernel)
{
    static const dnnl_format_tag_t tags[2] = { dnnl_nhwc, dnnl_nChw16c };
    primitive *fastest = NULL;
    double least = 0;
    for (int i = 0; i < 2; i++) {
        problem p = { .kind = kind,
                      .x = { batch, c, plane, plane },
                      .w = { k, c, kernel, kernel },
                      .y = { batch, k, plane, plane },
                      .stride = { 1, 1 },
                      .padding = { kernel / 2, kernel / 2 },
                      .tag = tags[i] };
        primitive *r = make(&p, run->threads);
        double median = r ? bench_measure(run, bare_convolution_run, r).median : 0;
        bool better = r && (!fastest || median < least);
        bare_convolution_free(better ? fastest : r);
        if (better) {
            fastest = r;
            least = median;
        }
    }
    if (!fastest) bench_fail(run, "oneDNN refuses the bare convolution");
    return fastest;
}

void bare_sgemm(void *product)
{
    const bare_product *p = product;
    dnnl_sgemm('N', 'T', p->m, p->n, p->k, 1.0f, p->a, p->k, p->b, p->k, 0.0f, p->c, p->n);
}
