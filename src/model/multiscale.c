/* SPDX-License-Identifier: MIT */
/* Multiscale equilibrium models: published configurations, and the model from end to end. */
#include "model/multiscale.h"

#include "model/family.h"
#include "model/solve.h"
#include "nn/nn.h"

#include <stdio.h>
#include <string.h>

static const struct preset {
    const char *name;
    int n_branches;
    int64_t channels[DEQ_MAX_BRANCHES], head[DEQ_MAX_BRANCHES], final;
    int downsamplings;
    int64_t expansion;
    double dropout;
    bool post_fuse_affine, norm_fusion;
} presets[DEQ_MULTISCALE_PRESET_COUNT] = {
    /* clang-format off */
    { "cifar-tiny",        2, { 24, 24 },            { 8, 16 },             200, 0, 5, 0.25, false, false },
    { "cifar-large",       4, { 32, 64, 128, 256 },  { 14, 28, 56, 112 },  1680, 0, 5, 0.3,  false, false },
    { "imagenet-small",    4, { 32, 64, 128, 256 },  { 24, 48, 96, 192 },  2048, 2, 5, 0,    true,  false },
    { "imagenet-small-jr", 4, { 32, 64, 128, 256 },  { 28, 56, 112, 224 }, 2048, 2, 5, 0.02, false, false },
    { "imagenet-large",    4, { 80, 160, 320, 640 }, { 32, 64, 128, 256 }, 2048, 2, 5, 0,    true,  false },
    { "imagenet-large-jr", 4, { 80, 160, 320, 640 }, { 32, 64, 128, 256 }, 2048, 2, 5, 0,    false, false },
    { "imagenet-xl",       4, { 88, 176, 352, 704 }, { 32, 64, 128, 256 }, 2048, 2, 6, 0,    true,  false },
    { "zoo-tiny",          2, { 24, 24 },            { 8, 16 },             200, 0, 5, 0,    true,  true  },
    { "zoo-large",         4, { 32, 64, 128, 256 },  { 14, 28, 56, 112 },  1680, 0, 5, 0,    true,  true  },
    /* clang-format on */
};

static bool known(deq_multiscale_preset preset)
{
    return (unsigned)preset < DEQ_MULTISCALE_PRESET_COUNT;
}

deq_multiscale_options deq_multiscale_defaults(deq_multiscale_preset preset)
{
    const struct preset *p = &presets[known(preset) ? preset : DEQ_MULTISCALE_CIFAR_TINY];
    deq_multiscale_options o = { .struct_size = sizeof o,
                                 .n_branches = p->n_branches,
                                 .final = p->final,
                                 .downsamplings = p->downsamplings,
                                 .expansion = p->expansion,
                                 .groups = 8,
                                 .dropout = p->dropout,
                                 .post_fuse_affine = p->post_fuse_affine,
                                 .norm = DEQ_WEIGHT_NORM,
                                 .norm_fusion = p->norm_fusion,
                                 .kernel1 = 3,
                                 .kernel2 = 3 };
    for (int i = 0; i < p->n_branches; i++) {
        o.channels[i] = p->channels[i];
        o.head[i] = p->head[i];
    }
    return o;
}

const char *deq_multiscale_preset_name(deq_multiscale_preset preset)
{
    return known(preset) ? presets[preset].name : NULL;
}

/* The model ---------------------------------------------------------------------------------- */

typedef struct multiscale {
    deq_multiscale_cell cell;
    int64_t classes;
} multiscale;

static void defaults(deq_model_options *o)
{
    o->multiscale = deq_multiscale_defaults(DEQ_MULTISCALE_CIFAR_TINY);
}

static bool check_numbers(deq_graph *g, const deq_multiscale_options *o)
{
    if (o->struct_size != sizeof *o)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "multiscale: struct_size is %zu, expected %zu",
                       o->struct_size, sizeof *o);
    else if (o->n_branches < 1 || o->n_branches > DEQ_MAX_BRANCHES)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "multiscale: %d branches, expected 1 to %d",
                       o->n_branches, DEQ_MAX_BRANCHES);
    else if (o->downsamplings < 0 || o->downsamplings > 4)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "multiscale: %d downsamplings, expected 0 to 4",
                       o->downsamplings);
    else if (o->expansion < 1 || o->final < 1)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "multiscale: expansion %lld, final %lld, expected >= 1",
                       (long long)o->expansion, (long long)o->final);
    else if (o->groups < 2 || o->groups % 2)
        deq_graph_fail(g, DEQ_ERR_ARGUMENT,
                       "multiscale: %lld groups, expected an even number (half of them at the end)",
                       (long long)o->groups);
    else if (!(o->dropout >= 0 && o->dropout < 1))
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "multiscale: dropout is %g, expected 0 <= rate < 1",
                       o->dropout);
    else if ((o->kernel1 != 3 && o->kernel1 != 5) || (o->kernel2 != 3 && o->kernel2 != 5))
        deq_graph_fail(g, DEQ_ERR_ARGUMENT, "multiscale: kernels %lld and %lld, expected 3 or 5",
                       (long long)o->kernel1, (long long)o->kernel2);
    return deq_graph_status(g) == DEQ_OK;
}

static bool check_branches(deq_graph *g, const deq_multiscale_options *o)
{
    for (int i = 0; i < o->n_branches; i++) {
        if (o->channels[i] >= 1 && o->channels[i] % o->groups == 0 && o->head[i] >= 1) continue;
        deq_graph_fail(g, DEQ_ERR_ARGUMENT,
                       "multiscale: branch %d has %lld channels in %lld groups and a head of %lld, "
                       "expected a multiple of the groups and >= 1",
                       i, (long long)o->channels[i], (long long)o->groups, (long long)o->head[i]);
        return false;
    }
    return true;
}

/* Every branch halves the plane of the one before, and is doubled again. */
static bool check_plane(deq_graph *g, deq_value x, const deq_multiscale_options *o)
{
    int64_t step = (int64_t)1 << (o->downsamplings + o->n_branches - 1);
    deq_type t = deq_value_type(g, x);
    if (deq_graph_status(g) != DEQ_OK) return false;
    if (t.shape.rank != 4)
        deq_graph_fail(g, DEQ_ERR_SHAPE, "multiscale: the input has %d axes, expected [B, C, H, W]",
                       t.shape.rank);
    else if (t.shape.dim[2] % step || t.shape.dim[3] % step)
        deq_graph_fail(g, DEQ_ERR_SHAPE,
                       "multiscale: images of %lld x %lld, expected multiples of %lld for %d "
                       "branches behind %d downsamplings",
                       (long long)t.shape.dim[2], (long long)t.shape.dim[3], (long long)step,
                       o->n_branches, o->downsamplings);
    return deq_graph_status(g) == DEQ_OK;
}

static deq_value head(deq_nn *nn, const deq_value *z, void *user)
{
    const multiscale *m = user;
    return deq_multiscale_head(nn, z, m->cell.options, m->classes);
}

/* The problem's user begins with the cell, so that both callbacks find what they know. */
static void build(deq_nn *nn, deq_model_outputs *out, deq_value x, const deq_model_options *options,
                  const deq_model_solve *solve)
{
    const deq_multiscale_options *o = &options->multiscale;
    deq_graph *g = deq_nn_graph(nn);
    if (!check_numbers(g, o) || !check_branches(g, o) || !check_plane(g, x, o)) return;
    deq_value stem = deq_multiscale_stem(nn, x, o);
    multiscale m = { { nn, o, deq_multiscale_injection(nn, stem, o) }, options->classes };
    deq_model_problem p = {
        .cell = deq_multiscale_map, .head = head, .user = &m, .n_states = o->n_branches
    };
    deq_multiscale_shapes(p.shape, deq_value_type(g, stem).shape, o);
    deq_model_equilibrium(nn, out, &p, solve);
}

/* Names -------------------------------------------------------------------------------------- */

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static bool ends(const char *text, const char *with)
{
    size_t n = strlen(text), m = strlen(with);
    return n >= m && strcmp(text + n - m, with) == 0;
}

/* TorchDEQ writes full_stage; older files hold frozen second copies of the cell. */
static deq_name_use map_name(char *mapped, size_t size, const char *name,
                             const deq_model_options *o)
{
    static const char *const copies[] = { "fullstage_copy.", "full_stage_copy.", "deq.func.",
                                          "deq.func_copy." };
    (void)o;
    for (size_t i = 0; i < sizeof copies / sizeof *copies; i++)
        if (begins(name, copies[i])) return DEQ_NAME_IGNORED;
    if (ends(name, ".num_batches_tracked")) return DEQ_NAME_IGNORED;
    if (begins(name, "full_stage."))
        snprintf(mapped, size, "fullstage.%s", name + strlen("full_stage."));
    else
        snprintf(mapped, size, "%s", name);
    return DEQ_NAME_WEIGHT;
}

const deq_family deq_family_multiscale = { "multiscale", defaults, build, map_name };
