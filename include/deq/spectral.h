/* SPDX-License-Identifier: MIT */
/**
 * @file
 * How contractive is a map at its fixed point?  Spectral radius and norm of J = df/dz, sample by
 * sample, from products with J alone, and Lipschitz ratios along the iterates of a solve.
 *
 * The operator is a deq_map (solver.h): its jvp, its vjp, or both.  For the cell of a graph see
 * cell_map.h.  A simple iteration converges near z* if the spectral radius is below 1, and then
 * gains a factor of about the radius at each step.  See docs/math/spectral-radius.md.
 */
#ifndef DEQ_SPECTRAL_H
#define DEQ_SPECTRAL_H

#include <deq/solver.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Largest deq_spectral_options.subspace. */
#define DEQ_SUBSPACE_MAX 64

/** Settings of the estimates.  Start from deq_spectral_defaults(). */
typedef struct deq_spectral_options {
    size_t struct_size; /**< sizeof(deq_spectral_options) */
    int max_iter;       /**< power iteration, norm: iterations, >= 1; default 100 */
    double tol;         /**< relative change of the estimate that ends it, >= 0; default 1e-3;
                             0: never before max_iter */
    int subspace;       /**< Arnoldi: products, 1 to DEQ_SUBSPACE_MAX; default 30 */
    bool forward;       /**< power, Arnoldi: by J v; default false: by v J if the map has vjp */
    uint64_t seed;      /**< of start vectors */
} deq_spectral_options;

/** What was found for one sample. */
typedef struct deq_spectral_info {
    double value;    /**< the spectral radius, or the norm; NaN if a product was not finite */
    double real;     /**< Arnoldi: the eigenvalue of largest modulus.  Power iteration: the Rayleigh
                          quotient of the last step, for comparison */
    double imag;     /**< Arnoldi: its imaginary part, >= 0: that of a conjugate pair */
    bool converged;  /**< the change fell below tol, or the space was exhausted */
    int64_t n_apply; /**< products of a vector of this sample with J or J' */
} deq_spectral_info;

/**
 * The default settings.
 *
 * @return a struct to change.
 */
DEQ_API deq_spectral_options deq_spectral_defaults(void);

/**
 * The spectral radius by power iteration: v_{k+1} = v_k J / |v_k J|.
 *
 * The value is a growth rate, the geometric mean of |v_k J| over the second half of the steps, which
 * settles for complex pairs too; the Rayleigh quotient v J v' that is usually reported then swings,
 * and can be far below the radius.  Cheap in memory (3 vectors a sample); Arnoldi needs fewer
 * products.
 *
 * @param info    [batch] receives the results.
 * @param v       [batch, dim] in: start vectors, not 0; out: the last v.  NULL: random start.
 * @param ctx     supplies memory.
 * @param map     with jvp or vjp.
 * @param z       [batch, dim] where J is taken, given to map->linearise; NULL: where it is now.
 * @param dtype   DEQ_F32 or DEQ_F64, of all vectors.
 * @param batch   samples, >= 1.
 * @param dim     elements of a sample, >= 1.
 * @param options NULL for the defaults.
 * @return DEQ_OK, DEQ_ERR_ARGUMENT, DEQ_ERR_DTYPE, DEQ_ERR_NOMEM, or what the map returned.
 */
DEQ_API deq_status deq_spectral_power(deq_spectral_info *info, void *v, deq_context *ctx,
                                      const deq_map *map, const void *z, deq_dtype dtype,
                                      int64_t batch, int64_t dim,
                                      const deq_spectral_options *options);

/**
 * The spectral radius by Arnoldi's method: the largest modulus of the eigenvalues of J on the Krylov
 * space of a random vector (Arnoldi 1951), complex pairs included.
 *
 * Memory: min(subspace, dim) + 1 vectors a sample.  Exact when the subspace is the whole space.
 *
 * @param info    [batch] receives the results.
 * @param ctx     supplies memory.
 * @param map     with jvp or vjp.
 * @param z       [batch, dim] where J is taken; NULL: where it is now.
 * @param dtype   DEQ_F32 or DEQ_F64.
 * @param batch   samples, >= 1.
 * @param dim     elements of a sample, >= 1.
 * @param options NULL for the defaults.
 * @return as deq_spectral_power().
 */
DEQ_API deq_status deq_spectral_arnoldi(deq_spectral_info *info, deq_context *ctx,
                                        const deq_map *map, const void *z, deq_dtype dtype,
                                        int64_t batch, int64_t dim,
                                        const deq_spectral_options *options);

/**
 * The norm |J|_2, its largest singular value, by power iteration on J' J: the local Lipschitz
 * constant.  Never above the true value.
 *
 * @param info    [batch] receives the results; two products an iteration.
 * @param ctx     supplies memory.
 * @param map     with jvp and vjp.
 * @param z       [batch, dim] where J is taken; NULL: where it is now.
 * @param dtype   DEQ_F32 or DEQ_F64.
 * @param batch   samples, >= 1.
 * @param dim     elements of a sample, >= 1.
 * @param options NULL for the defaults.
 * @return as deq_spectral_power(); DEQ_ERR_ARGUMENT when either product is missing.
 */
DEQ_API deq_status deq_jacobian_norm(deq_spectral_info *info, deq_context *ctx, const deq_map *map,
                                     const void *z, deq_dtype dtype, int64_t batch, int64_t dim,
                                     const deq_spectral_options *options);

/* Contraction along a solve ------------------------------------------------------------------ */

/** A map that watches another one while a solver uses it. */
typedef struct deq_contraction deq_contraction;

/** Ratios |f(z) - f(z')| / |z - z'| of successive evaluations of one sample. */
typedef struct deq_contraction_info {
    int64_t n;      /**< ratios seen; the others are 0 if there are none */
    double largest; /**< below 1: a contraction as far as was seen */
    double mean;    /**< geometric mean */
    double last;    /**< nearest to the solution */
} deq_contraction_info;

/**
 * Watch a map.
 *
 * @param out   receives the watcher; free with deq_contraction_free().  NULL on failure.
 * @param ctx   supplies memory: 4 vectors a sample.
 * @param map   copied; what it points to must live on.
 * @param dtype DEQ_F32 or DEQ_F64.
 * @param batch samples, >= 1.
 * @param dim   elements of a sample, >= 1.
 * @return DEQ_OK, DEQ_ERR_ARGUMENT, DEQ_ERR_DTYPE, DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_contraction_new(deq_contraction **out, deq_context *ctx, const deq_map *map,
                                       deq_dtype dtype, int64_t batch, int64_t dim);

/**
 * Free a watcher.
 *
 * @param c NULL is allowed.
 */
DEQ_API void deq_contraction_free(deq_contraction *c);

/**
 * The map to give to deq_solve() in place of the watched one.
 *
 * @param c a watcher.
 * @return a map, valid as long as c.
 */
DEQ_API deq_map deq_contraction_map(deq_contraction *c);

/**
 * What was seen of a sample so far.
 *
 * @param c      a watcher.
 * @param sample 0 to batch - 1.
 * @return the ratios; zeros for an unknown sample.
 */
DEQ_API deq_contraction_info deq_contraction_of(const deq_contraction *c, int64_t sample);

/**
 * Forget what was seen.
 *
 * @param c a watcher.
 */
DEQ_API void deq_contraction_clear(deq_contraction *c);

#ifdef __cplusplus
}
#endif
#endif
