/* SPDX-License-Identifier: MIT */
/* The settings of a run; see setting.h. */
#include "train/setting.h"

#include <math.h>
#include <string.h>

#define AT(field) .offset = offsetof(deq_config, field), .size = sizeof(((deq_config *)0)->field)
#define INTEGER(name, field, least, text)                                                          \
    {                                                                                              \
        .key = name, .help = text, .kind = SETTING_INTEGER, AT(field), .low = least, .high = 9e15  \
    }
#define INT(name, field, least, most, text)                                                        \
    {                                                                                              \
        .key = name, .help = text, .kind = SETTING_INT, AT(field), .low = least, .high = most      \
    }
#define REAL(name, field, least, most, text)                                                       \
    {                                                                                              \
        .key = name, .help = text, .kind = SETTING_REAL, AT(field), .low = least, .high = most     \
    }
#define ABOVE(name, field, least, most, text)                                                      \
    {                                                                                              \
        .key = name, .help = text, .kind = SETTING_REAL, AT(field), .low = least, .high = most,    \
        .open_low = true                                                                           \
    }
#define WITHIN(name, field, least, most, text)                                                     \
    {                                                                                              \
        .key = name, .help = text, .kind = SETTING_REAL, AT(field), .low = least, .high = most,    \
        .open_low = true, .open_high = true                                                        \
    }
#define BELOW(name, field, least, most, text)                                                      \
    {                                                                                              \
        .key = name, .help = text, .kind = SETTING_REAL, AT(field), .low = least, .high = most,    \
        .open_high = true                                                                          \
    }
#define BOOL(name, field, text)                                                                    \
    {                                                                                              \
        .key = name, .help = text, .kind = SETTING_BOOL, AT(field)                                 \
    }
#define TEXT(name, field, text)                                                                    \
    {                                                                                              \
        .key = name, .help = text, .kind = SETTING_TEXT, AT(field)                                 \
    }
#define CHOICE(name, field, names, text)                                                           \
    {                                                                                              \
        .key = name, .help = text, .kind = SETTING_CHOICE, AT(field), .choices = names             \
    }
#define PRESET(name, field, names, function, text)                                                 \
    {                                                                                              \
        .key = name, .help = text, .kind = SETTING_CHOICE, AT(field), .choices = names,            \
        .apply = function                                                                          \
    }
#define INTEGERS(name, field, least, text)                                                         \
    {                                                                                              \
        .key = name, .help = text, .kind = SETTING_INTEGERS, AT(field), .low = least, .high = 9e15 \
    }
#define REALS(name, field, least, text)                                                            \
    {                                                                                              \
        .key = name, .help = text, .kind = SETTING_REALS, AT(field), .low = least,                 \
        .high = INFINITY                                                                           \
    }

static const setting_choice sources[] = {
    { "prefix-sums", DEQ_SOURCE_PREFIX_SUMS },
    { "mazes", DEQ_SOURCE_MAZES },
    { "mnist", DEQ_SOURCE_MNIST },
    { "cifar10", DEQ_SOURCE_CIFAR10 },
    { "cifar100", DEQ_SOURCE_CIFAR100 },
    { "folder", DEQ_SOURCE_FOLDER },
    { "npz", DEQ_SOURCE_NPZ },
    { NULL, 0 },
};
static const setting_choice maze_starts[] = {
    { "root", DEQ_MAZE_START_ROOT },
    { "dead-end", DEQ_MAZE_START_DEAD_END },
    { "any", DEQ_MAZE_START_ANY },
    { NULL, 0 },
};
static const setting_choice families[] = {
    { "mlp", DEQ_MODEL_MLP },
    { "monotone", DEQ_MODEL_MONOTONE },
    { "multiscale", DEQ_MODEL_MULTISCALE },
    { "sequence", DEQ_MODEL_SEQUENCE },
    { "maze", DEQ_MODEL_MAZE },
    { NULL, 0 },
};
static const setting_choice activations[] = {
    { "tanh", DEQ_ACTIVATION_TANH },
    { "relu", DEQ_ACTIVATION_RELU },
    { "gelu", DEQ_ACTIVATION_GELU },
    { "sigmoid", DEQ_ACTIVATION_SIGMOID },
    { NULL, 0 },
};
static const setting_choice norms[] = {
    { "plain", DEQ_WEIGHT_PLAIN },
    { "weight", DEQ_WEIGHT_NORM },
    { "spectral", DEQ_WEIGHT_SPECTRAL },
    { NULL, 0 },
};
static const setting_choice splittings[] = {
    { "forward-backward", DEQ_SPLITTING_FORWARD_BACKWARD },
    { "peaceman-rachford", DEQ_SPLITTING_PEACEMAN_RACHFORD },
    { NULL, 0 },
};
static const setting_choice presets[] = {
    { "cifar-tiny", DEQ_MULTISCALE_CIFAR_TINY },
    { "cifar-large", DEQ_MULTISCALE_CIFAR_LARGE },
    { "imagenet-small", DEQ_MULTISCALE_IMAGENET_SMALL },
    { "imagenet-small-jr", DEQ_MULTISCALE_IMAGENET_SMALL_JR },
    { "imagenet-large", DEQ_MULTISCALE_IMAGENET_LARGE },
    { "imagenet-large-jr", DEQ_MULTISCALE_IMAGENET_LARGE_JR },
    { "imagenet-xl", DEQ_MULTISCALE_IMAGENET_XL },
    { "zoo-tiny", DEQ_MULTISCALE_ZOO_TINY },
    { "zoo-large", DEQ_MULTISCALE_ZOO_LARGE },
    { NULL, 0 },
};
static const setting_choice methods[] = {
    { "auto", DEQ_AUTO },
    { "picard", DEQ_PICARD },
    { "anderson", DEQ_ANDERSON },
    { "broyden", DEQ_BROYDEN },
    { "adjoint_broyden", DEQ_ADJOINT_BROYDEN },
    { "newton_krylov", DEQ_NEWTON_KRYLOV },
    { "squarem", DEQ_SQUAREM },
    { "reversible", DEQ_REVERSIBLE },
    { NULL, 0 },
};
/* Of the adjoint system there are products with J from one side only. */
static const setting_choice adjoint_methods[] = {
    { "auto", DEQ_AUTO },
    { "picard", DEQ_PICARD },
    { "anderson", DEQ_ANDERSON },
    { "broyden", DEQ_BROYDEN },
    { "newton_krylov", DEQ_NEWTON_KRYLOV },
    { "squarem", DEQ_SQUAREM },
    { "reversible", DEQ_REVERSIBLE },
    { NULL, 0 },
};
static const setting_choice reductions[] = {
    { "restart", DEQ_REDUCE_RESTART },
    { "oldest", DEQ_REDUCE_OLDEST },
    { "svd", DEQ_REDUCE_SVD },
    { NULL, 0 },
};
static const setting_choice adjoint_reductions[] = {
    { "restart", DEQ_REDUCE_RESTART },
    { "oldest", DEQ_REDUCE_OLDEST },
    { NULL, 0 },
};
static const setting_choice fits[] = {
    { "difference", DEQ_FIT_DIFFERENCE },
    { "constrained", DEQ_FIT_CONSTRAINED },
    { NULL, 0 },
};
static const setting_choice gradients[] = {
    { "ift", DEQ_GRADIENT_IFT },
    { "jfb", DEQ_GRADIENT_JFB },
    { "phantom_neumann", DEQ_GRADIENT_PHANTOM_NEUMANN },
    { "phantom_unroll", DEQ_GRADIENT_PHANTOM_UNROLL },
    { "shine", DEQ_GRADIENT_SHINE },
    { "unroll", DEQ_GRADIENT_UNROLL },
    { "reversible", DEQ_GRADIENT_REVERSIBLE },
    { NULL, 0 },
};
static const setting_choice linear_methods[] = {
    { "gmres", DEQ_LINEAR_GMRES },
    { "bicgstab", DEQ_LINEAR_BICGSTAB },
    { "cg", DEQ_LINEAR_CG },
    { "neumann", DEQ_LINEAR_NEUMANN },
    { NULL, 0 },
};
static const setting_choice laws[] = {
    { "exponential", DEQ_CORRECTION_EXPONENTIAL },
    { "linear", DEQ_CORRECTION_LINEAR },
    { "constant", DEQ_CORRECTION_CONSTANT },
    { NULL, 0 },
};
static const setting_choice probes[] = {
    { "normal", DEQ_PROBE_NORMAL },
    { "rademacher", DEQ_PROBE_RADEMACHER },
    { "exact", DEQ_PROBE_EXACT },
    { NULL, 0 },
};
static const setting_choice forms[] = {
    { "reverse_over_jvp", DEQ_JACOBIAN_REVERSE_OVER_JVP },
    { "double_backward", DEQ_JACOBIAN_DOUBLE_BACKWARD },
    { NULL, 0 },
};
static const setting_choice starts[] = {
    { "zero", DEQ_START_ZERO },
    { "normal", DEQ_START_NORMAL },
    { "uniform", DEQ_START_UNIFORM },
    { "mixed", DEQ_START_MIXED },
    { "mixed_elements", DEQ_START_MIXED_ELEMENTS },
    { "projection", DEQ_START_PROJECTION },
    { NULL, 0 },
};
static const setting_choice optimisers[] = {
    { "sgd", DEQ_SGD },     { "adam", DEQ_ADAM }, { "adamw", DEQ_ADAMW },
    { "radam", DEQ_RADAM }, { NULL, 0 },
};
static const setting_choice schedules[] = {
    { "constant", DEQ_SCHEDULE_CONSTANT },
    { "step", DEQ_SCHEDULE_STEP },
    { "cosine", DEQ_SCHEDULE_COSINE },
    { "inverse_sqrt", DEQ_SCHEDULE_INVERSE_SQRT },
    { NULL, 0 },
};
static const setting_choice dtypes[] = { { "f32", DEQ_F32 }, { "f64", DEQ_F64 }, { NULL, 0 } };

static void apply_preset(deq_config *c)
{
    c->model.multiscale = deq_multiscale_defaults(c->preset);
}

static void apply_law(deq_config *c)
{
    c->correction = deq_correction_defaults(c->correction.law);
}

static void apply_start(deq_config *c)
{
    c->has_start = true;
}

/* clang-format off */
/* The options of a solver of fixed points: the one of z*, and the one of the adjoint. */
#define SOLVER(key, at, names, how, allowed, stop)                                                                      \
    CHOICE(key ".method", at.method, names, how),                                                                       \
    INT(key ".max_iter", at.max_iter, 0, MAX_INT, allowed),                                                             \
    REAL(key ".atol", at.atol, 0, INFINITY, stop),                                                                      \
    REAL(key ".rtol", at.rtol, 0, INFINITY, "see " key ".atol"),                                                        \
    REAL(key ".divergence", at.divergence, 0, INFINITY, "diverged above this times the first residual; 0: off"),        \
    INT(key ".stagnation_window", at.stagnation_window, 0, MAX_INT,                                                     \
        "evaluations without a new best that mean a stall; 0: off"),                                                    \
    BOOL(key ".reference_batch_max", at.reference_batch_max, "as TorchDEQ 0.1.0 stops: all samples together"),          \
    BOOL(key ".reference_relative", at.reference_relative, "with it: rtol on relative residuals, else atol"),           \
    BOOL(key ".reference_final", at.reference_final, "with it: the last state, never an early stop"),                   \
    WITHIN(key ".picard.damping", at.picard.damping, 0, 2, "1: undamped"),                                              \
    INT(key ".anderson.type", at.anderson.type, 1, 2, "I or II"),                                                       \
    INT(key ".anderson.depth", at.anderson.depth, 1, DEQ_DEPTH_MAX, "pairs remembered"),                                \
    ABOVE(key ".anderson.mixing", at.anderson.mixing, 0, 1, "weight of f(z) against z"),                                \
    REAL(key ".anderson.ridge", at.anderson.ridge, 0, INFINITY, "of the fit, relative"),                                \
    REAL(key ".anderson.condition", at.anderson.condition, 0, INFINITY, "filter of dependent columns; 0: 1e4"),         \
    REAL(key ".anderson.safeguard", at.anderson.safeguard, 0, INFINITY,                                                 \
         "back to the best above this times its residual; 0: never"),                                                   \
    INT(key ".anderson.restart", at.anderson.restart, 0, MAX_INT, "empty the window every so many steps; 0: never"),    \
    CHOICE(key ".anderson.fit", at.anderson.fit, fits, "form of the least squares problem"),                            \
    BOOL(key ".broyden.bad", at.broyden.bad, "least change of the inverse"),                                            \
    INT(key ".broyden.memory", at.broyden.memory, 1, DEQ_MEMORY_MAX, "updates kept"),                                   \
    CHOICE(key ".broyden.reduction", at.broyden.reduction, reductions, "when the memory is full"),                      \
    ABOVE(key ".broyden.gamma", at.broyden.gamma, 0, INFINITY, "initial inverse Jacobian is -gamma I"),                 \
    BOOL(key ".broyden.line_search", at.broyden.line_search, "Armijo search"),                                          \
    WITHIN(key ".broyden.armijo", at.broyden.armijo, 0, 0.5, "of the search: sufficient decrease"),                     \
    WITHIN(key ".broyden.min_step", at.broyden.min_step, 0, 1, "of the search: shortest step tried"),                   \
    REAL(key ".broyden.safeguard", at.broyden.safeguard, 0, INFINITY,                                                   \
         "restart above this times the best residual; 0: never"),                                                       \
    INT(key ".newton_krylov.restart", at.newton_krylov.restart, 1, 1000, "Krylov vectors of a cycle"),                  \
    INT(key ".newton_krylov.max_products", at.newton_krylov.max_products, 1, MAX_INT, "products for one step"),         \
    WITHIN(key ".newton_krylov.forcing_max", at.newton_krylov.forcing_max, 0, 1,                                        \
           "linear systems are solved at least to this"),                                                               \
    WITHIN(key ".newton_krylov.armijo", at.newton_krylov.armijo, 0, 0.5, "sufficient decrease"),                        \
    WITHIN(key ".newton_krylov.min_step", at.newton_krylov.min_step, 0, 1, "shortest step tried"),                      \
    WITHIN(key ".reversible.beta", at.reversible.beta, 0, 1, "weight of f against the older point")
/* clang-format on */

#define F equilibrium.forward
#define B equilibrium.adjoint
#define S equilibrium.adjoint_solver
#define MS model.multiscale
#define MAX_INT 1e9

/* clang-format off */
const deq_setting deq_settings[] = {
    CHOICE("data.source", data.source, sources, "where examples come from"),
    TEXT("data.path", data.path, "folder or file of the training data"),
    TEXT("data.test", data.test, "folder, npz: the test data"),
    TEXT("data.inputs", data.inputs, "npz: name of the inputs"),
    TEXT("data.targets", data.targets, "npz: name of the targets"),
    INTEGER("data.size", data.size, 0, "bits of prefix sums, size of mazes; 0: 32, 9"),
    INTEGER("data.count", data.count, 0, "training examples; 0: all, 10000 if generated"),
    INTEGER("data.test_count", data.test_count, 0, "test examples; 0: all, 2000 if generated"),
    INTEGER("data.validation", data.validation, 0, "examples kept back to evaluate while training and choose the best; 0: none, no best"),
    INTEGER("data.seed", data.seed, 0, "of generated examples"),
    REAL("data.percolation", data.percolation, 0, 1, "mazes: chance that a remaining wall opens"),
    CHOICE("data.start", data.start, maze_starts, "mazes: where they may start"),
    INTEGER("data.channels", data.channels, 1, "folder: 1 or 3"),
    INTEGER("data.height", data.height, 1, "folder: images are brought to this height"),
    INTEGER("data.width", data.width, 1, "folder: and this width"),
    INTEGER("data.crop_pad", data.crop_pad, 0, "augmentation: pad by so much, crop anywhere"),
    BOOL("data.flip", data.flip, "augmentation: mirror half of the images"),
    INTEGER("data.cutout", data.cutout, 0, "augmentation: side of the square that is cut out"),
    REALS("data.mean", data.mean, -INFINITY, "normalisation by channel: subtracted; empty: none"),
    REALS("data.deviation", data.deviation, 0, "normalisation by channel: divided by"),

    CHOICE("model.family", model.family, families, "which model"),
    INTEGER("model.classes", model.classes, 0, "classes; 0: as the data have"),
    INTEGER("model.mlp.width", model.mlp.width, 0, "state; 0: 256"),
    CHOICE("model.mlp.activation", model.mlp.activation, activations, "of the cell"),
    CHOICE("model.mlp.norm", model.mlp.norm, norms, "normalisation of W"),
    BOOL("model.mlp.layer_norm", model.mlp.layer_norm, "layer normalisation before the activation"),
    BELOW("model.mlp.dropout", model.mlp.dropout, 0, 1, "rate on the equilibrium"),
    BOOL("model.monotone.convolution", model.monotone.convolution, "convolutional instead of fully connected"),
    INTEGER("model.monotone.width", model.monotone.width, 0, "features or channels of the state; 0: 100, 64"),
    INTEGER("model.monotone.rank", model.monotone.rank, 0, "rows of A; 0: width"),
    INTEGER("model.monotone.kernel", model.monotone.kernel, 0, "of the convolutions, odd; 0: 3"),
    INTEGER("model.monotone.pool", model.monotone.pool, 0, "convolution: pooling before the head; 0: 4"),
    BOOL("model.monotone.learn_m", model.monotone.learn_m, "learn the constant m"),
    REAL("model.monotone.m", model.monotone.m, 0, INFINITY, "strong monotonicity; 0: 1"),
    CHOICE("model.monotone.splitting", model.monotone.splitting, splittings, "of the equilibrium's operator"),
    REAL("model.monotone.alpha", model.monotone.alpha, 0, INFINITY, "step of the splitting; 0: a safe one"),
    PRESET("model.multiscale.preset", preset, presets, apply_preset, "sets all other model.multiscale keys"),
    INT("model.multiscale.branches", MS.n_branches, 1, DEQ_MAX_BRANCHES, "number of resolutions"),
    INTEGER("model.multiscale.channels0", MS.channels[0], 1, "channels of branch 0"),
    INTEGER("model.multiscale.channels1", MS.channels[1], 0, "of branch 1"),
    INTEGER("model.multiscale.channels2", MS.channels[2], 0, "of branch 2"),
    INTEGER("model.multiscale.channels3", MS.channels[3], 0, "of branch 3"),
    INTEGER("model.multiscale.head0", MS.head[0], 1, "width of the head's bottleneck of branch 0"),
    INTEGER("model.multiscale.head1", MS.head[1], 0, "of branch 1"),
    INTEGER("model.multiscale.head2", MS.head[2], 0, "of branch 2"),
    INTEGER("model.multiscale.head3", MS.head[3], 0, "of branch 3"),
    INTEGER("model.multiscale.final", MS.final, 1, "channels before pooling"),
    INT("model.multiscale.downsamplings", MS.downsamplings, 0, 4, "halvings of the resolution in the stem"),
    INTEGER("model.multiscale.expansion", MS.expansion, 1, "inner width of a block over its channels"),
    INTEGER("model.multiscale.groups", MS.groups, 1, "of group normalisation"),
    BELOW("model.multiscale.dropout", MS.dropout, 0, 1, "rate of the channel masks in the cell"),
    BOOL("model.multiscale.post_fuse_affine", MS.post_fuse_affine, "post-fusion normalisation with weight and bias"),
    CHOICE("model.multiscale.norm", MS.norm, norms, "normalisation of the cell's weights"),
    BOOL("model.multiscale.norm_fusion", MS.norm_fusion, "of the fusion's weights too"),
    BOOL("model.multiscale.stem_group_norm", MS.stem_group_norm, "group normalisation in the stem"),
    INTEGER("model.multiscale.kernel1", MS.kernel1, 1, "first kernel of a block: 3 or 5"),
    INTEGER("model.multiscale.kernel2", MS.kernel2, 1, "second kernel of a block: 3 or 5"),
    INTEGER("model.recurrent.width", model.recurrent.width, 0, "channels of the state; 0: 128"),
    INTEGER("model.recurrent.blocks", model.recurrent.blocks, 0, "residual blocks; 0: 2"),
    INTEGER("model.recurrent.head0", model.recurrent.head[0], 0, "channels in the head; 0: by family"),
    INTEGER("model.recurrent.head1", model.recurrent.head[1], 0, "channels in the head; 0: by family"),
    CHOICE("model.recurrent.norm", model.recurrent.norm, norms, "normalisation of the cell's weights"),
    BOOL("model.recurrent.inject_relu", model.recurrent.inject_relu, "relu behind the injection"),
    BOOL("model.recurrent.no_injection", model.recurrent.no_injection, "the cell does not see the input"),
    INTEGER("model.recurrent.groups", model.recurrent.groups, 0, "group normalisation behind each block; 0: none"),

    { .key = "solver.start", .help = "where a solve starts", .kind = SETTING_CHOICE, AT(start),
      .choices = starts, .apply = apply_start },
    SOLVER("solver", F, methods, "how z* is found", "evaluations of f allowed", "stop at |f(z) - z| <= atol + rtol |f(z)|"),
    INT("solver.adjoint_broyden.memory", F.adjoint_broyden.memory, 1, DEQ_MEMORY_MAX, "updates kept"),
    CHOICE("solver.adjoint_broyden.reduction", F.adjoint_broyden.reduction, adjoint_reductions, "when the memory is full"),
    ABOVE("solver.adjoint_broyden.gamma", F.adjoint_broyden.gamma, 0, INFINITY, "initial inverse Jacobian is -gamma I"),
    INTEGER("solver.history_bytes", history_bytes, 0, "cap of the history's memory, which depth or memory shrink to fit; 0: none"),

    CHOICE("gradient.method", equilibrium.gradient, gradients, "how the gradient is computed"),
    INT("gradient.steps", equilibrium.steps, 1, MAX_INT, "phantom: k"),
    ABOVE("gradient.tau", equilibrium.tau, 0, 1, "phantom, unroll, reversible: damping"),
    BOOL("gradient.recompute", equilibrium.recompute, "unrolled steps, also of phantom_unroll: keep states only, compute the rest again"),
    INT("gradient.shine_refine", equilibrium.shine_refine, 0, MAX_INT, "SHINE: steps of refinement"),
    REAL("gradient.shine_fallback", equilibrium.shine_fallback, 0, INFINITY, "SHINE: u = w where |u| exceeds this times |w|; 0: never"),
    CHOICE("gradient.adjoint.method", B.method, linear_methods, "IFT: how u (I - J) = w is solved"),
    INTEGER("gradient.adjoint.max_iter", B.max_iter, 0, "products allowed"),
    REAL("gradient.adjoint.atol", B.atol, 0, INFINITY, "stop at |w - u (I - J)| <= atol + rtol |w|"),
    REAL("gradient.adjoint.rtol", B.rtol, 0, INFINITY, "see gradient.adjoint.atol"),
    INT("gradient.adjoint.restart", B.restart, 1, 1000, "GMRES: vectors of a cycle"),
    WITHIN("gradient.adjoint.damping", B.damping, 0, 2, "Neumann"),
    ABOVE("gradient.adjoint.divergence", B.divergence, 1, INFINITY, "diverged above this times |w|"),
    INT("gradient.adjoint.stagnation", B.stagnation, 0, MAX_INT, "BiCGSTAB, CG, Neumann: products without gain that mean a stall; 0: off"),
    BOOL("gradient.adjoint.trust_recurrence", B.trust_recurrence, "believe the residual carried along"),
    BOOL("gradient.adjoint_by_solver", equilibrium.adjoint_by_solver, "IFT: find u as a fixed point instead"),
    SOLVER("gradient.adjoint_solver", S, adjoint_methods, "with it: how", "with it: products allowed", "stop at |w + u J - u| <= atol + rtol |w + u J|"),

    INT("supervision.count", F.n_states, 1, DEQ_MAX_SUPERVISED, "so many states, evenly spaced, get a loss; 1: the last"),
    INTEGERS("supervision.states", supervised, 1, "evaluations whose states get a loss too, besides the last"),
    INTEGERS("supervision.steps", tails, 1, "damped steps behind each of them; empty: gradient.steps"),
    INT("supervision.gap", gap, 0, MAX_INT, "every gap-th of these steps gets a loss; 0: the last only"),
    INTEGERS("supervision.locations", locations, 1, "and the steps of these numbers"),
    PRESET("supervision.law", correction.law, laws, apply_law, "weights of the losses; sets factor and bias"),
    REAL("supervision.factor", correction.factor, 0, INFINITY, "of the law"),
    REAL("supervision.bias", correction.bias, -INFINITY, INFINITY, "of the linear law"),

    REAL("penalty.weight", penalty.weight, 0, INFINITY, "of the Jacobian penalty; 0: none"),
    REAL("penalty.probability", penalty.probability, 0, 1, "of a penalty in a step"),
    INT("penalty.probes", penalty.probes, 1, 1000, "vectors of the estimate"),
    CHOICE("penalty.probe", penalty.probe, probes, "their law"),
    CHOICE("penalty.form", penalty.form, forms, "how it is differentiated; values and gradients agree"),
    INTEGER("penalty.until", penalty.until, 0, "no penalty from this step on; 0: always"),
    REAL("penalty.increase", penalty.increase, 0, INFINITY, "the weight grows by this ..."),
    INTEGER("penalty.increase_every", penalty.increase_every, 0, "... every so many steps; 0: never"),

    CHOICE("optimiser.method", optimiser.kind, optimisers, "which optimiser"),
    BELOW("optimiser.momentum", optimiser.momentum, 0, 1, "SGD"),
    BOOL("optimiser.nesterov", optimiser.nesterov, "SGD"),
    BELOW("optimiser.beta1", optimiser.beta1, 0, 1, "Adam family"),
    BELOW("optimiser.beta2", optimiser.beta2, 0, 1, "Adam family"),
    ABOVE("optimiser.eps", optimiser.eps, 0, INFINITY, "Adam family"),
    REAL("optimiser.weight_decay", optimiser.weight_decay, 0, INFINITY, "lambda"),
    BOOL("optimiser.decay_vectors", decay_vectors, "weight decay of biases, scales and other vectors too"),
    CHOICE("optimiser.schedule", schedule.law, schedules, "of the learning rate"),
    ABOVE("optimiser.rate", schedule.rate, 0, INFINITY, "learning rate"),
    INTEGER("optimiser.warmup", schedule.warmup, 0, "steps of linear rise"),
    INTEGER("optimiser.total", schedule.total, 0, "cosine: steps to the last rate, warm-up included; 0: all"),
    REAL("optimiser.final", schedule.final, 0, 1, "cosine: last rate over first"),
    ABOVE("optimiser.factor", schedule.factor, 0, 1, "step: at each milestone"),
    INTEGERS("optimiser.milestones", milestones, 1, "step: steps at which the rate falls"),

    INTEGER("training.epochs", training.epochs, 1, "passes over the training set"),
    INTEGER("training.steps", training.steps, 0, "batches; 0: as many as training.epochs has"),
    INTEGER("training.batch", training.batch, 1, "examples of a step"),
    INTEGER("training.seed", training.seed, 0, "of weights, order, masks"),
    CHOICE("training.dtype", training.dtype, dtypes, "of weights and activations"),
    REAL("training.clip", training.clip, 0, INFINITY, "limit of the gradient's norm; 0: none"),
    BELOW("training.average", training.average, 0, 1, "decay of the weights' moving average; 0: none"),
    REAL("training.label_smoothing", training.label_smoothing, 0, 1, "of the cross entropy"),
    INTEGER("training.pretrain_steps", training.pretrain_steps, 0, "first steps with an unrolled network"),
    INTEGER("training.pretrain_layers", training.pretrain_layers, 1, "its depth"),
    INTEGERS("training.depth", training.depth, 1, "[low, high]: evaluations allowed, drawn for each batch; empty: solver.max_iter"),
    INTEGER("training.log_every", training.log_every, 1, "steps between lines of metrics"),
    INTEGER("training.checkpoint_every", training.checkpoint_every, 0, "steps; 0: once an epoch"),
    INTEGER("training.evaluate_every", training.evaluate_every, 0, "steps; 0: once an epoch"),
    INTEGER("training.patience", training.patience, 1, "steps in trouble before a run is ended with advice"),
    INTEGER("training.loaders", training.loaders, 1, "threads that make batches"),
    BOOL("training.winograd", training.winograd, "3x3 convolutions by Winograd's algorithm where faster"),

    INTEGER("evaluation.batch", evaluation.batch, 1, "examples at a time"),
    INT("evaluation.max_iter", evaluation.max_iter, 0, MAX_INT, "evaluations of f allowed; 0: solver.max_iter"),
    REAL("evaluation.rtol", evaluation.rtol, -1, INFINITY, "negative: solver.rtol"),
    REAL("evaluation.atol", evaluation.atol, -1, INFINITY, "negative: solver.atol"),
    BOOL("evaluation.average", evaluation.average, "use the weights' moving average, if there is one"),
    INTEGERS("evaluation.budgets", evaluation.budgets, 1, "evaluations allowed, for accuracy against budget at the end"),
    INTEGERS("evaluation.sizes", evaluation.sizes, 1, "generated tasks: sizes to evaluate at the end"),
    INTEGER("evaluation.count", evaluation.count, 1, "examples of each size"),
    BOOL("evaluation.spectral_radius", evaluation.spectral_radius, "estimate the spectral radius of df/dz"),
};
/* clang-format on */

const int deq_settings_count = (int)(sizeof deq_settings / sizeof *deq_settings);

deq_config deq_config_defaults(void)
{
    deq_config c;
    memset(&c, 0, sizeof c);
    c.struct_size = sizeof c;
    c.data = (deq_data_config){ .channels = 3, .height = 32, .width = 32 };
    strcpy(c.data.inputs, "x");
    strcpy(c.data.targets, "y");
    c.model = deq_model_defaults(DEQ_MODEL_SEQUENCE);
    c.model.classes = 0;
    c.model.multiscale = deq_multiscale_defaults(c.preset);
    c.equilibrium = deq_equilibrium_defaults();
    c.equilibrium.adjoint.rtol = 1e-3; /* f32 does not reach the default of the library */
    c.decay_vectors = true;
    c.correction = deq_correction_defaults(DEQ_CORRECTION_EXPONENTIAL);
    c.penalty = (deq_penalty_config){ .probability = 1, .probes = 1 };
    c.optimiser = deq_optimiser_defaults(DEQ_ADAM);
    c.schedule = deq_schedule_defaults();
    c.training = (deq_training_config){ .epochs = 10,
                                        .batch = 100,
                                        .dtype = DEQ_F32,
                                        .pretrain_layers = 8,
                                        .log_every = 10,
                                        .patience = 200,
                                        .loaders = 1 };
    c.evaluation = (deq_evaluation_config){
        .batch = 100, .rtol = -1, .atol = -1, .average = true, .count = 1000
    };
    return c;
}
