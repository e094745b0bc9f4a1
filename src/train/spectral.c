/* SPDX-License-Identifier: MIT */
/* The spectral radius of df/dz at the equilibria of a batch, for evaluations. */
#include "train/spectral.h"

#include "train/program.h"

#include <deq/cell_map.h>
#include <deq/spectral.h>
#include <math.h>
#include <string.h>

static deq_status largest_radius(double *radius, deq_context *ctx, deq_cell_map *m)
{
    int64_t batch = deq_cell_map_batch(m);
    deq_spectral_info *info = deq_alloc_array(ctx, (size_t)batch, sizeof *info);
    deq_spectral_options o = deq_spectral_defaults();
    if (!info) return DEQ_ERR_NOMEM;
    if (o.subspace > deq_cell_map_dim(m)) o.subspace = (int)deq_cell_map_dim(m);
    deq_map map = deq_cell_map_get(m);
    deq_status status = deq_spectral_arnoldi(info, ctx, &map, NULL, deq_cell_map_dtype(m), batch,
                                             deq_cell_map_dim(m), &o);
    *radius = 0;
    for (int64_t i = 0; i < batch && status == DEQ_OK; i++)
        if (!(info[i].value <= *radius)) *radius = info[i].value; /* NaN stays */
    deq_release(ctx, info, (size_t)batch * sizeof *info);
    return status;
}

deq_status deq_evaluation_radius(double *radius, deq_context *ctx, const deq_config *config,
                                 deq_shape input, int64_t batch, deq_weights *weights,
                                 const float *x)
{
    deq_graph *g = NULL;
    deq_nn *nn = NULL;
    deq_cell_map *map = NULL;
    deq_model_solve solve = deq_evaluation_solve(config, 0, -1, -1);
    solve.map = &map;
    model_program m = { .dtype = config->training.dtype, .batch = batch };
    size_t count = (size_t)(batch * deq_shape_count(&input));
    double *scratch = deq_alloc_array(ctx, count, sizeof *scratch);
    deq_status status = scratch ? deq_graph_new(&g, ctx) : DEQ_ERR_NOMEM;
    if (status == DEQ_OK) status = deq_nn_new(&nn, g, weights, false);
    if (status == DEQ_OK) status = deq_build_evaluation(&m, nn, config, input, &solve);
    if (status == DEQ_OK) {
        m.p = deq_cell_map_program(map); /* lent */
        m.key = deq_nn_used_key(nn);
        status = deq_program_feed(&m, x, count, NULL, 0, 0, 0, scratch);
    }
    if (status == DEQ_OK) status = deq_cell_map_update(map);
    if (status == DEQ_OK) status = largest_radius(radius, ctx, map);
    deq_cell_map_free(map);
    deq_nn_free(nn);
    deq_graph_free(g);
    deq_release(ctx, scratch, count * sizeof *scratch);
    return status;
}
