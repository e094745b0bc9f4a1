/* SPDX-License-Identifier: MIT */
/* Settings: defaults, ranges, names. */
#include "base/text.h"
#include "solver/solver.h"

#include <math.h>
#include <string.h>

deq_solver_options deq_solver_defaults(void)
{
    return (deq_solver_options){
        .struct_size = sizeof(deq_solver_options),
        .method = DEQ_AUTO,
        .max_iter = 40,
        .rtol = 1e-3,
        .divergence = 1e6,
        .stagnation_window = 30,
        .n_states = 1,
        .picard = { .damping = 1 },
        .anderson = { .type = 2, .depth = 20, .mixing = 1, .safeguard = 100 },
        .broyden = { .memory = 30, .gamma = 1, .armijo = 1e-4, .min_step = 1e-2, .safeguard = 1e3 },
        .adjoint_broyden = { .memory = 30, .gamma = 1, .outer_every = 5 },
        .newton_krylov = { .restart = 20,
                           .max_products = 60,
                           .forcing_max = 0.9,
                           .armijo = 1e-4,
                           .min_step = 1e-3 },
        .reversible = { .beta = 0.8 },
    };
}

/* Ranges: one row a number.  `open_low` and `open_high` leave the bound itself out. */
typedef struct range {
    const char *name;
    double value, low, high;
    bool open_low, open_high, or_zero;
} range;

static bool inside(const range *r)
{
    if (r->or_zero && r->value == 0) return true;
    return (r->open_low ? r->value > r->low : r->value >= r->low) &&
           (r->open_high ? r->value < r->high : r->value <= r->high);
}

static deq_status check_ranges(deq_context *ctx, const range *r, int n)
{
    for (int i = 0; i < n; i++)
        if (!inside(&r[i]))
            return deq_fail(ctx, DEQ_ERR_ARGUMENT, "solver: %s = %g is not in %c%g, %g%c%s",
                            r[i].name, r[i].value, r[i].open_low ? '(' : '[', r[i].low, r[i].high,
                            r[i].open_high ? ')' : ']', r[i].or_zero ? " and not 0" : "");
    return DEQ_OK;
}

#define CHECK(ctx, ranges) check_ranges(ctx, ranges, (int)(sizeof(ranges) / sizeof(ranges)[0]))

static deq_status check_common(deq_context *ctx, const deq_solver_options *o)
{
    const range ranges[] = {
        { "max_iter", o->max_iter, 0, 1e9, false, false, false },
        { "atol", o->atol, 0, INFINITY, false, true, false },
        { "rtol", o->rtol, 0, INFINITY, false, true, false },
        { "divergence", o->divergence, 1, INFINITY, true, false, true },
        { "stagnation_window", o->stagnation_window, 0, 1e9, false, false, false },
        { "n_states", o->n_states, 1, o->max_iter > 1 ? o->max_iter : 1, false, false, false },
        { "n_state_index", o->n_state_index, 0, 1e6, false, false, false },
    };
    DEQ_TRY(CHECK(ctx, ranges));
    for (int i = 0; i < o->n_state_index; i++)
        if (o->state_index[i] < (i ? o->state_index[i - 1] + 1 : 1) ||
            o->state_index[i] >= o->max_iter)
            return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                            "solver: state_index[%d] = %d must rise and lie in [1, max_iter = %d)",
                            i, o->state_index[i], o->max_iter);
    return DEQ_OK;
}

static deq_status check_anderson(deq_context *ctx, const deq_anderson_options *o)
{
    const range ranges[] = {
        { "anderson.type", o->type, 1, 2, false, false, false },
        { "anderson.depth", o->depth, 1, DEQ_DEPTH_MAX, false, false, false },
        { "anderson.mixing", o->mixing, 0, 1, true, false, false },
        { "anderson.ridge", o->ridge, 0, INFINITY, false, true, false },
        { "anderson.condition", o->condition, 1, INFINITY, true, false, true },
        { "anderson.safeguard", o->safeguard, 1, INFINITY, true, false, true },
        { "anderson.restart", o->restart, 0, 1e9, false, false, false },
        { "anderson.fit", o->fit, DEQ_FIT_DIFFERENCE,
          o->type == 1 ? DEQ_FIT_DIFFERENCE : DEQ_FIT_CONSTRAINED, false, false, false },
    };
    return CHECK(ctx, ranges);
}

static deq_status check_broyden(deq_context *ctx, const deq_broyden_options *o)
{
    const range ranges[] = {
        { "broyden.memory", o->memory, 1, DEQ_MEMORY_MAX, false, false, false },
        { "broyden.reduction", o->reduction, DEQ_REDUCE_RESTART, DEQ_REDUCE_SVD, false, false,
          false },
        { "broyden.gamma", o->gamma, 0, INFINITY, true, true, false },
        { "broyden.armijo", o->armijo, 0, 0.5, true, true, false },
        { "broyden.min_step", o->min_step, 0, 1, true, true, false },
        { "broyden.safeguard", o->safeguard, 1, INFINITY, true, false, true },
    };
    return CHECK(ctx, ranges);
}

static deq_status check_adjoint_broyden(deq_context *ctx, const deq_adjoint_broyden_options *o)
{
    const range ranges[] = {
        { "adjoint_broyden.memory", o->memory, 1, DEQ_MEMORY_MAX, false, false, false },
        { "adjoint_broyden.reduction", o->reduction, DEQ_REDUCE_RESTART, DEQ_REDUCE_OLDEST, false,
          false, false },
        { "adjoint_broyden.gamma", o->gamma, 0, INFINITY, true, true, false },
        { "adjoint_broyden.outer_every", o->outer_every, 1, 1e9, false, false, false },
    };
    return CHECK(ctx, ranges);
}

static deq_status check_newton_krylov(deq_context *ctx, const deq_newton_krylov_options *o)
{
    const range ranges[] = {
        { "newton_krylov.restart", o->restart, 1, 1000, false, false, false },
        { "newton_krylov.max_products", o->max_products, 1, 1e9, false, false, false },
        { "newton_krylov.forcing_max", o->forcing_max, 0, 1, true, true, false },
        { "newton_krylov.armijo", o->armijo, 0, 0.5, true, true, false },
        { "newton_krylov.min_step", o->min_step, 0, 1, true, true, false },
    };
    return CHECK(ctx, ranges);
}

static deq_status check_reversible(deq_context *ctx, const deq_reversible_options *o)
{
    const range ranges[] = { { "reversible.beta", o->beta, 0, 1, true, true, false } };
    return CHECK(ctx, ranges);
}

static deq_status check_custom(deq_context *ctx, const deq_custom_method *c)
{
    if (!c || c->struct_size != sizeof *c || !c->step || c->n_vectors < 0 || c->n_vectors > 256)
        return deq_fail(
            ctx, DEQ_ERR_ARGUMENT,
            "solver: a custom method needs its struct_size, a step and 0 to 256 vectors");
    return DEQ_OK;
}

static deq_status check_picard(deq_context *ctx, const deq_picard_options *o)
{
    const range ranges[] = { { "picard.damping", o->damping, 0, 2, true, true, false } };
    return CHECK(ctx, ranges);
}

deq_status deq_solver_check(deq_context *ctx, const deq_solver_options *o)
{
    if (o->struct_size != sizeof *o)
        return deq_fail(
            ctx, DEQ_ERR_ARGUMENT,
            "solver: struct_size is %zu, expected %zu; start from deq_solver_defaults()",
            o->struct_size, sizeof *o);
    DEQ_TRY(check_common(ctx, o));
    switch (o->method) {
    case DEQ_PICARD: return check_picard(ctx, &o->picard);
    case DEQ_AUTO:
    case DEQ_ANDERSON: return check_anderson(ctx, &o->anderson);
    case DEQ_BROYDEN: return check_broyden(ctx, &o->broyden);
    case DEQ_ADJOINT_BROYDEN: return check_adjoint_broyden(ctx, &o->adjoint_broyden);
    case DEQ_NEWTON_KRYLOV: return check_newton_krylov(ctx, &o->newton_krylov);
    case DEQ_REVERSIBLE: return check_reversible(ctx, &o->reversible);
    case DEQ_CUSTOM: return check_custom(ctx, o->custom);
    default: return DEQ_OK;
    }
}

/* Names -------------------------------------------------------------------------------------- */

static const char *const method_names[DEQ_METHOD_COUNT] = {
    "auto",          "picard",  "anderson",   "broyden", "adjoint_broyden",
    "newton_krylov", "squarem", "reversible", "custom"
};

const char *deq_method_name(deq_method method)
{
    return (unsigned)method < DEQ_METHOD_COUNT ? method_names[method] : "unknown";
}

/* The methods of users, known to the whole process; they are added and never removed, so that a
 * pointer to one stays good. */
enum { MAX_CUSTOM = 64 };
static deq_custom_method registered[MAX_CUSTOM];
static int n_registered;

static int n_names(void)
{
    int n;
#pragma omp atomic read
    n = n_registered;
    return DEQ_CUSTOM + n; /* without "custom" itself */
}

static const char *name_at(const void *set, int i)
{
    (void)set;
    return i < DEQ_CUSTOM ? method_names[i] : registered[i - DEQ_CUSTOM].name;
}

static int find(const char *name)
{
    for (int i = 0; i < n_names(); i++)
        if (strcmp(name_at(NULL, i), name) == 0) return i;
    return -1;
}

deq_status deq_method_register(const deq_custom_method *custom)
{
    deq_status status = DEQ_OK;
    if (!custom || custom->struct_size != sizeof *custom || !custom->name || !*custom->name ||
        !custom->step || custom->n_vectors < 0)
        return DEQ_ERR_ARGUMENT;
#pragma omp critical(deq_method_register)
    {
        if (find(custom->name) >= 0 || strcmp(custom->name, "custom") == 0) {
            status = DEQ_ERR_NAME;
        } else if (n_registered == MAX_CUSTOM) {
            status = DEQ_ERR_NOMEM;
        } else {
            registered[n_registered] = *custom;
#pragma omp atomic update
            n_registered++;
        }
    }
    return status;
}

deq_status deq_method_find(deq_solver_options *options, deq_context *ctx, const char *name)
{
    int i = find(name);
    if (i < 0) {
        const char *near = deq_nearest_name(name, name_at, NULL, n_names());
        return deq_fail(ctx, DEQ_ERR_NAME, "no solver is called \"%s\"%s%s%s", name,
                        near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    }
    options->method = i < DEQ_CUSTOM ? (deq_method)i : DEQ_CUSTOM;
    if (i >= DEQ_CUSTOM) options->custom = &registered[i - DEQ_CUSTOM];
    return DEQ_OK;
}
