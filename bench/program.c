/* SPDX-License-Identifier: MIT */
/* Programs over random numbers, for cases. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

bool bench_program_begin(bench_program *p, bench_run *run)
{
    *p = (bench_program){ .run = run };
    if (deq_graph_new(&p->g, run->ctx) == DEQ_OK &&
        deq_parameters_new(&p->parameters, run->ctx, DEQ_F32) == DEQ_OK)
        return true;
    bench_fail(run, deq_last_error(run->ctx));
    bench_program_end(p);
    return false;
}

deq_value bench_parameter(bench_program *p, const char *name, deq_shape shape)
{
    if (deq_parameters_add(p->parameters, name, shape) != DEQ_OK)
        bench_fail(p->run, deq_last_error(p->run->ctx));
    return deq_parameter(p->g, p->parameters, name);
}

/* Weights of a size that keeps activations of order one: uniform in +-1/sqrt(fan in). */
static void fill_parameters(deq_parameters *store)
{
    for (int i = 0; i < deq_parameters_count(store); i++) {
        deq_parameter_info info = deq_parameters_info(store, i);
        int64_t fan = info.shape.rank > 1 ? info.count / info.shape.dim[0] : 1;
        double size = 1.0;
        while (size * size * (double)fan > 1.0) size *= 0.9;
        float *from = bench_floats((size_t)info.count), *to = deq_parameters_values(store, i);
        for (int64_t k = 0; k < info.count; k++) to[k] = from[k] * (float)size;
        free(from);
    }
}

static bool fill_input(bench_program *p, deq_value v)
{
    deq_type type = deq_value_type(p->g, v);
    float *data = bench_floats((size_t)deq_shape_count(&type.shape));
    deq_status status = deq_program_write(p->program, v, data, deq_type_bytes(&type));
    free(data);
    return status == DEQ_OK;
}

bool bench_program_compile(bench_program *p, const deq_value *outputs, int n_outputs,
                           const deq_value *inputs, int n_inputs, bool winograd)
{
    deq_value native[16];
    int n = 0;
    for (int i = 0; i < n_inputs && n < 16; i++) native[n++] = inputs[i];
    for (int i = 0; i < n_outputs && n < 16; i++) native[n++] = outputs[i];
    deq_compile_options o = deq_compile_defaults();
    o.threads = p->run->threads;
    o.winograd = winograd;
    o.native = native;
    o.n_native = n;
    if (deq_parameters_count(p->parameters)) {
        if (deq_parameters_allocate(p->parameters) != DEQ_OK) return false;
        fill_parameters(p->parameters);
    }
    if (deq_compile(&p->program, p->g, outputs, n_outputs, &o) != DEQ_OK) {
        bench_fail(p->run, deq_last_error(p->run->ctx));
        return false;
    }
    for (int i = 0; i < n_inputs; i++)
        if (!fill_input(p, inputs[i])) return false;
    if (deq_program_run(p->program, DEQ_STAGE_PARAMETER) == DEQ_OK) return true;
    bench_fail(p->run, deq_program_error(p->program));
    return false;
}

void bench_program_end(bench_program *p)
{
    deq_program_free(p->program);
    deq_parameters_free(p->parameters);
    deq_graph_free(p->g);
}

void bench_state_run(void *program)
{
    bench_program *p = program;
    if (deq_program_run(p->program, DEQ_STAGE_STATE) != DEQ_OK)
        bench_fail(p->run, deq_program_error(p->program));
}
