/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Multiscale equilibria of images (Bai, Koltun & Kolter, "Multiscale deep equilibrium models",
 * NeurIPS 2020), in the form of the authors' second implementation ("MDEQ-Vision") and of TorchDEQ's
 * zoo.  Branch i has channels[i] channels at 1/2^i of the resolution behind the stem.
 */
#ifndef DEQ_MODEL_MULTISCALE_H
#define DEQ_MODEL_MULTISCALE_H

#include <deq/nn.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Most branches. */
#define DEQ_MAX_BRANCHES 4

/** Published configurations. */
typedef enum deq_multiscale_preset {
    DEQ_MULTISCALE_CIFAR_TINY = 0,    /**< 158,890 parameters */
    DEQ_MULTISCALE_CIFAR_LARGE,       /**< 11,097,438 */
    DEQ_MULTISCALE_IMAGENET_SMALL,    /**< 16,808,936 */
    DEQ_MULTISCALE_IMAGENET_SMALL_JR, /**< 18,613,496; published with Jacobian regularisation */
    DEQ_MULTISCALE_IMAGENET_LARGE,    /**< 67,063,624 */
    DEQ_MULTISCALE_IMAGENET_LARGE_JR, /**< 67,061,224 */
    DEQ_MULTISCALE_IMAGENET_XL,       /**< 90,463,280 */
    DEQ_MULTISCALE_ZOO_TINY,          /**< TorchDEQ's CIFAR small, 159,034 */
    DEQ_MULTISCALE_ZOO_LARGE,         /**< TorchDEQ's CIFAR large */
    DEQ_MULTISCALE_PRESET_COUNT       /**< number of presets; not one itself */
} deq_multiscale_preset;

/** Everything is set: start from deq_multiscale_defaults(). */
typedef struct deq_multiscale_options {
    size_t struct_size;                 /**< sizeof(deq_multiscale_options) */
    int n_branches;                     /**< 1 to DEQ_MAX_BRANCHES */
    int64_t channels[DEQ_MAX_BRANCHES]; /**< of each branch, divisible by groups */
    int64_t head[DEQ_MAX_BRANCHES];     /**< h of each branch's bottleneck */
    int64_t final;                      /**< F, channels before pooling */
    int downsamplings;                  /**< of the stem: 0 to 4 */
    int64_t expansion;                  /**< E: inner width of a block is E C */
    int64_t groups;                     /**< G of the group normalisations */
    double dropout;                     /**< channel mask within a block, fixed during a solve */
    bool post_fuse_affine;              /**< post-fusion normalisation with weight and bias */
    deq_weight_kind norm;               /**< of the cell's convolutions; default weight norm */
    bool norm_fusion;                   /**< of the fusion's convolutions too (TorchDEQ, CIFAR) */
    bool stem_group_norm; /**< group instead of batch normalisation in the stem (SHINE) */
    int64_t kernel1;      /**< of conv1 in a block: 3 or 5 */
    int64_t kernel2;      /**< of conv2 in a block: 3 or 5 */
} deq_multiscale_options;

/**
 * A published configuration.
 *
 * @param preset which; others give the first.
 * @return a struct to change.
 */
DEQ_API deq_multiscale_options deq_multiscale_defaults(deq_multiscale_preset preset);

/**
 * The name of a preset: "cifar-tiny", "cifar-large", "imagenet-small", ...
 *
 * @param preset any value; unknown ones give NULL.
 * @return a string that is never freed.
 */
DEQ_API const char *deq_multiscale_preset_name(deq_multiscale_preset preset);

#ifdef __cplusplus
}
#endif
#endif
