/* SPDX-License-Identifier: MIT */
/* See program.h. */
#include "train/program.h"

#include <deq/op.h>
#include <stdio.h>
#include <string.h>

/* ---- the options of the equilibrium ---- */

/* Ends a solve at the depth drawn for this step; see training.depth. */
static bool within_depth(void *user, const deq_progress *progress)
{
    return progress->n_feval < *(const int64_t *)user;
}

typedef struct solve_lists { /* int lists, where the options have int64_t ones */
    int states[DEQ_CONFIG_LIST], tails[DEQ_CONFIG_LIST], locations[DEQ_CONFIG_LIST];
} solve_lists;

static const int *to_int(int *out, const deq_int_list *list)
{
    for (int i = 0; i < list->count; i++) out[i] = (int)list->item[i];
    return list->count > 0 ? out : NULL;
}

static deq_model_solve common_solve(const deq_config *config)
{
    deq_model_solve solve = deq_model_solve_defaults();
    solve.equilibrium = config->equilibrium;
    deq_equilibrium_options *e = &solve.equilibrium;
    e->forward.n_states = 1;
    e->forward.history_bytes = (size_t)config->history_bytes;
    e->forward.trace = e->forward.reference_batch_max; /* its test of a stall looks back */
    e->adjoint_solver.trace = e->adjoint_solver.reference_batch_max;
    solve.has_start = config->has_start;
    solve.start = config->start;
    return solve;
}

static deq_model_solve training_solve(const deq_config *config, const step_variant *variant,
                                      solve_lists *lists)
{
    deq_model_solve solve = common_solve(config);
    deq_equilibrium_options *e = &solve.equilibrium;
    if (variant->pretraining) {
        e->gradient = DEQ_GRADIENT_UNROLL;
        e->forward.max_iter = (int)config->training.pretrain_layers;
        e->tau = 1;
        return solve;
    }
    e->forward.n_states = config->equilibrium.forward.n_states;
    e->forward.state_index = to_int(lists->states, &config->supervised);
    e->forward.n_state_index = config->supervised.count;
    solve.supervision.steps = to_int(lists->tails, &config->tails);
    solve.supervision.n_steps = config->tails.count;
    solve.supervision.locations = to_int(lists->locations, &config->locations);
    solve.supervision.n_locations = config->locations.count;
    solve.supervision.gap = config->gap;
    e->adjoint_observer = variant->observer;
    e->adjoint_observer_user = variant->observer_user;
    if (variant->depth) {
        e->forward.observer = within_depth;
        e->forward.observer_user = (void *)variant->depth;
    }
    return solve;
}

/* In evaluation the state is what the solver finds, without the tail of a phantom gradient.  A model
 * that was trained by an iteration of its own is evaluated by the same iteration, unless the
 * configuration names a solver. */
deq_model_solve deq_evaluation_solve(const deq_config *config, int max_iter, double rtol,
                                     double atol)
{
    deq_model_solve solve = common_solve(config);
    deq_equilibrium_options *e = &solve.equilibrium;
    const deq_evaluation_config *v = &config->evaluation;
    bool free = e->forward.method == DEQ_AUTO;
    if (free && e->gradient == DEQ_GRADIENT_UNROLL) {
        e->forward.method = DEQ_PICARD;
        e->forward.picard.damping = e->tau;
    } else if (free && e->gradient == DEQ_GRADIENT_REVERSIBLE) {
        e->forward.method = DEQ_REVERSIBLE;
        e->forward.reversible.beta = e->tau;
    }
    e->gradient = DEQ_GRADIENT_IFT;
    if (v->max_iter > 0) e->forward.max_iter = v->max_iter;
    if (v->rtol >= 0) e->forward.rtol = v->rtol;
    if (v->atol >= 0) e->forward.atol = v->atol;
    if (max_iter > 0) e->forward.max_iter = max_iter;
    if (rtol >= 0) e->forward.rtol = rtol;
    if (atol >= 0) e->forward.atol = atol;
    return solve;
}

/* ---- building ---- */

static deq_shape batched(int64_t batch, deq_shape shape)
{
    deq_shape s = { .rank = shape.rank + 1, .dim = { batch } };
    for (int i = 0; i < shape.rank && i + 1 < DEQ_MAX_RANK; i++) s.dim[i + 1] = shape.dim[i];
    return s;
}

/* (1) without the penalty. */
static deq_value build_loss(deq_graph *g, const deq_config *config, const deq_model_outputs *out,
                            deq_value target)
{
    deq_value losses[DEQ_MAX_SUPERVISED];
    for (int i = 0; i < out->n_logits; i++)
        losses[i] = deq_cross_entropy(
            g, out->logits[i], target,
            DEQ_CROSS_ENTROPY(.has_ignore = true, .ignore_index = DEQ_TARGET_IGNORE,
                              .label_smoothing = config->training.label_smoothing));
    return out->n_logits == 1
               ? losses[0]
               : deq_fixed_point_correction(g, losses, out->n_logits, &config->correction);
}

static deq_status keep_updates(model_program *m, deq_context *ctx, const deq_nn *nn)
{
    const deq_nn_update *updates = deq_nn_updates(nn, &m->n_updates);
    if (m->n_updates > MAX_UPDATES)
        return deq_fail(ctx, DEQ_ERR_UNSUPPORTED, "the model changes %d buffers a step; at most %d",
                        m->n_updates, MAX_UPDATES);
    if (m->n_updates > 0) memcpy(m->updates, updates, (size_t)m->n_updates * sizeof *updates);
    return DEQ_OK;
}

static void add_reports(deq_value *outputs, int *n, const deq_equilibrium_report *report)
{
    outputs[(*n)++] = report->residual;
    outputs[(*n)++] = report->outcome;
    outputs[(*n)++] = report->n_feval;
}

static deq_status compile(model_program *m, deq_graph *g, deq_nn *nn, const deq_config *config,
                          const deq_value *outputs, int n, deq_workspace *workspace)
{
    m->key = deq_nn_used_key(nn);
    deq_compile_options options = deq_compile_defaults();
    options.winograd = config->training.winograd;
    options.workspace = workspace;
    return deq_compile(&m->p, g, outputs, n, &options);
}

static deq_status build_step(model_program *m, deq_context *ctx, deq_graph *g, deq_nn *nn,
                             const deq_config *config, const deq_example_form *form,
                             deq_weights *weights, const step_variant *variant, deq_value *outputs)
{
    deq_parameters *parameters = deq_weights_parameters(weights);
    int n_parameters = deq_parameters_count(parameters), n = 0;
    solve_lists lists;
    deq_model_solve solve = training_solve(config, variant, &lists);
    deq_jacobian_options jacobian = deq_jacobian_defaults();
    jacobian.probe = config->penalty.probe;
    jacobian.n_probes = config->penalty.probes;
    jacobian.form = config->penalty.form;
    if (variant->penalty) solve.penalty = &jacobian;

    m->x = deq_input(g, "x", DEQ_STAGE_INJECTED, m->dtype, batched(m->batch, form->input));
    m->target = deq_input(g, "target", DEQ_STAGE_INJECTED, DEQ_I32,
                          batched(m->batch, form->target));
    deq_model_outputs out;
    DEQ_TRY(deq_model_build(nn, &out, m->x, &config->model, &solve));
    m->logits = out.logits[out.n_logits - 1];
    m->report = out.report;
    m->data_loss = build_loss(g, config, &out, m->target);
    deq_value loss = m->data_loss;
    if (variant->penalty) {
        m->penalty = out.penalty;
        m->gamma = deq_input(g, "gamma", DEQ_STAGE_INJECTED, m->dtype, DEQ_SCALAR);
        loss = deq_add(g, loss, deq_mul(g, m->gamma, m->penalty));
        outputs[n++] = m->penalty;
    }
    outputs[n++] = m->data_loss;
    outputs[n++] = m->logits;
    add_reports(outputs, &n, &m->report);
    DEQ_TRY(keep_updates(m, ctx, nn));
    for (int i = 0; i < m->n_updates; i++) outputs[n++] = m->updates[i].value;
    deq_value *grads = outputs + n;
    DEQ_TRY(deq_gradients(g, grads, loss, parameters));
    DEQ_TRY(compile(m, g, nn, config, outputs, n + n_parameters, variant->workspace));
    return deq_program_bind_gradients(m->p, parameters, grads);
}

deq_status deq_step_program(model_program *m, deq_context *ctx, const deq_config *config,
                            const deq_example_form *form, deq_weights *weights,
                            const step_variant *variant)
{
    *m = (model_program){ .dtype = config->training.dtype, .batch = config->training.batch };
    size_t room = (size_t)deq_parameters_count(deq_weights_parameters(weights)) + MAX_UPDATES + 8;
    deq_value *outputs = deq_alloc_array(ctx, room, sizeof *outputs);
    deq_graph *g = NULL;
    deq_nn *nn = NULL;
    deq_status status = outputs ? deq_graph_new(&g, ctx) : DEQ_ERR_NOMEM;
    if (status == DEQ_OK) status = deq_nn_new(&nn, g, weights, true);
    if (status == DEQ_OK)
        status = build_step(m, ctx, g, nn, config, form, weights, variant, outputs);
    deq_nn_free(nn);
    deq_graph_free(g);
    deq_release(ctx, outputs, room * sizeof *outputs);
    if (status != DEQ_OK) deq_model_program_free(m);
    return status;
}

deq_status deq_build_evaluation(model_program *m, deq_nn *nn, const deq_config *config,
                                deq_shape input, const deq_model_solve *solve)
{
    deq_model_outputs out;
    m->x = deq_input(deq_nn_graph(nn), "x", DEQ_STAGE_INJECTED, m->dtype, batched(m->batch, input));
    DEQ_TRY(deq_model_build(nn, &out, m->x, &config->model, solve));
    m->logits = out.logits[out.n_logits - 1];
    m->report = out.report;
    return DEQ_OK;
}

deq_status deq_predict_program(model_program *m, deq_context *ctx, const deq_config *config,
                               deq_shape input, int64_t batch, deq_weights *weights, int max_iter,
                               double rtol, double atol, deq_workspace *workspace)
{
    *m = (model_program){ .dtype = config->training.dtype, .batch = batch };
    deq_graph *g = NULL;
    deq_nn *nn = NULL;
    deq_model_solve solve = deq_evaluation_solve(config, max_iter, rtol, atol);
    deq_status status = deq_graph_new(&g, ctx);
    if (status == DEQ_OK) status = deq_nn_new(&nn, g, weights, false);
    if (status == DEQ_OK) status = deq_build_evaluation(m, nn, config, input, &solve);
    if (status == DEQ_OK) {
        deq_value outputs[4] = { m->logits };
        int n = 1;
        add_reports(outputs, &n, &m->report);
        status = compile(m, g, nn, config, outputs, n, workspace);
    }
    deq_nn_free(nn);
    deq_graph_free(g);
    if (status != DEQ_OK) deq_model_program_free(m);
    return status;
}

deq_status deq_declare_weights(deq_weights **out, deq_context *ctx, const deq_config *config,
                               deq_shape input)
{
    deq_graph *g = NULL;
    deq_nn *nn = NULL;
    *out = NULL;
    deq_status status = deq_weights_new(out, ctx, config->training.dtype);
    if (status == DEQ_OK) status = deq_graph_new(&g, ctx);
    if (status == DEQ_OK) status = deq_nn_new(&nn, g, *out, true);
    if (status == DEQ_OK) {
        deq_model_outputs built;
        deq_model_solve solve = common_solve(config);
        deq_value x = deq_input(g, "x", DEQ_STAGE_INJECTED, config->training.dtype,
                                batched(2, input));
        status = deq_model_build(nn, &built, x, &config->model, &solve);
    }
    deq_nn_free(nn);
    deq_graph_free(g);
    if (status == DEQ_OK) status = deq_weights_allocate(*out);
    if (status != DEQ_OK) {
        deq_weights_free(*out);
        *out = NULL;
    }
    return status;
}

/* ---- running ---- */

static deq_status write_input(model_program *m, const float *x, size_t count, void *scratch)
{
    if (m->dtype == DEQ_F32) return deq_program_write(m->p, m->x, x, count * sizeof *x);
    double *wide = scratch;
    for (size_t i = 0; i < count; i++) wide[i] = (double)x[i];
    return deq_program_write(m->p, m->x, wide, count * sizeof *wide);
}

deq_status deq_program_feed(model_program *m, const float *x, size_t x_count, const int32_t *target,
                            size_t target_count, uint64_t seed, uint64_t step, void *scratch)
{
    DEQ_TRY(write_input(m, x, x_count, scratch));
    if (m->target.id > 0)
        DEQ_TRY(deq_program_write(m->p, m->target, target, target_count * sizeof *target));
    if (m->key.id > 0) {
        int64_t key[2] = { (int64_t)seed, (int64_t)step };
        DEQ_TRY(deq_program_write(m->p, m->key, key, sizeof key));
    }
    return DEQ_OK;
}

void deq_model_program_free(model_program *m)
{
    deq_program_free(m->p);
    m->p = NULL;
}
