/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Fixed points z* = f(z*) of a map, for a batch of independent samples.
 *
 * The solvers know vectors and a map, nothing of graphs: a map is a struct of callbacks.  With
 *
 *     g(z) = f(z) - z        the residual, undamped, of one sample
 *
 * a sample is finished when  |g| <= atol + rtol |f(z)|  (2-norms, accumulated in double).  Every
 * sample has its own residual, history, counters and outcome: what is computed for it does not
 * depend on its companions, as long as f gives it the same values.  A finished sample is frozen.
 *
 * What comes back is the iterate whose residual is reported: of all z at which f was evaluated the
 * one of smallest residual, chosen by selection, so that values that are not finite never touch it.
 * `max_iter` counts evaluations of f, for every method.  Not converging is an outcome, no error.
 *
 * The methods are described in docs/math/.
 */
#ifndef DEQ_SOLVER_H
#define DEQ_SOLVER_H

#include <deq/context.h>
#include <deq/outcome.h>
#include <deq/type.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * The map f and, where a method asks for them, its derivatives.
 *
 * All vectors are rows [n, dim] without gaps, of the map's dtype, in memory that starts at a 64-byte
 * boundary and belongs to the solver; results are written, never added.  samples[r] is the index in
 * the batch of row r.  With `partial`, any subset may come, in any order.  Without, n == batch and
 * samples[r] == r always; rows of samples that are finished hold some finite state of theirs, and
 * what is written for them is ignored.
 *
 * A callback that returns anything but DEQ_OK ends the solve with that status.
 */
typedef struct deq_map {
    size_t struct_size; /**< sizeof(deq_map) */
    /** fz = f(z), row by row. */
    deq_status (*eval)(void *user, void *fz, const void *z, const int64_t *samples, int64_t n);
    /** Fix the points z at which the following jvp and vjp are meant.  NULL: they are taken at the
     *  points of the last eval (or need none, as for an affine map). */
    deq_status (*linearise)(void *user, const void *z, const int64_t *samples, int64_t n);
    /** jv = J v with J = df/dz.  NULL if there is none. */
    deq_status (*jvp)(void *user, void *jv, const void *v, const int64_t *samples, int64_t n);
    /** vj = J' v.  NULL if there is none. */
    deq_status (*vjp)(void *user, void *vj, const void *v, const int64_t *samples, int64_t n);
    void *user;   /**< passed to all of them */
    bool partial; /**< subsets of the batch may be evaluated */
} deq_map;

/** The methods.  deq_method_name() and deq_method_find() know them by name. */
typedef enum deq_method {
    DEQ_AUTO = 0,        /**< "auto": the library's choice, at present DEQ_ANDERSON */
    DEQ_PICARD,          /**< "picard": z <- (1 - damping) z + damping f(z) */
    DEQ_ANDERSON,        /**< "anderson": multi-secant acceleration, types I and II */
    DEQ_BROYDEN,         /**< "broyden": low-rank inverse, good or bad updates */
    DEQ_ADJOINT_BROYDEN, /**< "adjoint_broyden": updates by vjp, optionally outer-problem-aware */
    DEQ_NEWTON_KRYLOV,   /**< "newton_krylov": inexact Newton steps, linear systems by GMRES */
    DEQ_SQUAREM,         /**< "squarem": squared extrapolation */
    DEQ_REVERSIBLE,      /**< "reversible": coupled iteration that can be run backwards */
    DEQ_CUSTOM,          /**< deq_solver_options.custom */
    DEQ_METHOD_COUNT     /**< number of methods; not one itself */
} deq_method;

/** Damped Picard iteration; docs/math/picard.md. */
typedef struct deq_picard_options {
    double damping; /**< in (0, 2); 1 is undamped; default 1 */
} deq_picard_options;

/** How Anderson's weights are fitted; the forms agree where the problem is regular. */
typedef enum deq_anderson_fit {
    DEQ_FIT_DIFFERENCE =
        0,              /**< least squares in differences of residuals, newest first, by Cholesky
                                 of the scaled normal equations; dependent columns are left out */
    DEQ_FIT_CONSTRAINED /**< weights that sum to one, from the Gram matrix of residuals */
} deq_anderson_fit;

/** Anderson acceleration; docs/math/anderson.md. */
typedef struct deq_anderson_options {
    int type;         /**< 1 or 2; default 2 */
    int depth;        /**< pairs (z, f(z)) in use, 1 to DEQ_DEPTH_MAX; default 20 */
    double mixing;    /**< beta in (0, 1]: weight of f(z) against z; default 1 */
    double ridge;     /**< Tikhonov term of the fit, >= 0, relative to each column's square;
                           default 0 */
    double condition; /**< a column is left out when its part that is independent of the newer ones
                           is below 1 / condition of it; > 1, or 0 (default) for 1e4 */
    double safeguard; /**< residual above safeguard * best: back to the best pair and on by a Picard
                           step, with an empty window; > 1, or 0 for never; default 100 */
    int restart;      /**< empty the window every so many steps; 0 (default): never */
    deq_anderson_fit fit; /**< default DEQ_FIT_DIFFERENCE, the only one for type I */
} deq_anderson_options;

/** What Broyden's method does when its memory is full. */
typedef enum deq_broyden_reduction {
    DEQ_REDUCE_RESTART = 0, /**< forget everything */
    DEQ_REDUCE_OLDEST,      /**< forget the oldest update */
    DEQ_REDUCE_SVD          /**< keep the leading half of the singular values */
} deq_broyden_reduction;

/** Broyden's methods, inverse form; docs/math/broyden.md. */
typedef struct deq_broyden_options {
    bool bad;   /**< bad Broyden (least change of the inverse); default false: good */
    int memory; /**< updates kept, 1 to DEQ_MEMORY_MAX; default 30 */
    deq_broyden_reduction reduction; /**< when it is full; default DEQ_REDUCE_RESTART */
    double gamma;     /**< initial inverse Jacobian of g is -gamma I; > 0; default 1 */
    bool line_search; /**< Armijo search on |g|^2, sample by sample; default false */
    double armijo;    /**< sufficient decrease c1 in (0, 1/2); default 1e-4 */
    double min_step;  /**< shortest step tried, in (0, 1); default 1e-2 */
    double safeguard; /**< residual above safeguard * best: restart from the best iterate;
                                  > 1, or 0 for never; default 1e3 */
} deq_broyden_options;

/** The gradient of the outer loss with respect to z, for outer-problem-aware updates. */
typedef deq_status deq_outer_gradient_fn(void *user, void *grad, const void *z,
                                         const int64_t *samples, int64_t n);

/** Adjoint Broyden; docs/math/broyden.md.  The map must have vjp. */
typedef struct deq_adjoint_broyden_options {
    int memory;                            /**< as in deq_broyden_options; default 30 */
    deq_broyden_reduction reduction;       /**< DEQ_REDUCE_RESTART or DEQ_REDUCE_OLDEST */
    double gamma;                          /**< as in deq_broyden_options; default 1 */
    deq_outer_gradient_fn *outer_gradient; /**< NULL (default): no outer-problem-aware updates */
    void *outer_user;                      /**< passed to outer_gradient */
    int outer_every;                       /**< one such update every so many steps; default 5 */
} deq_adjoint_broyden_options;

/** Newton-Krylov; docs/math/newton-krylov.md.  Uses the map's jvp; without one, differences of f,
 *  which count as evaluations. */
typedef struct deq_newton_krylov_options {
    int restart;        /**< Krylov vectors of a cycle, 1 to 1000; default 20 */
    int max_products;   /**< products J v for one step, >= 1; default 60 */
    double forcing_max; /**< linear systems are solved at least to this; in (0, 1); default 0.9 */
    double armijo;      /**< sufficient decrease of |g|, in (0, 1/2); default 1e-4 */
    double min_step;    /**< shortest step tried, in (0, 1); default 1e-3 */
} deq_newton_krylov_options;

/** Reversible coupled iteration; docs/math/reversible.md. */
typedef struct deq_reversible_options {
    double beta; /**< weight of f against the older point, in (0, 1); default 0.8 */
} deq_reversible_options;

/** Largest deq_anderson_options.depth. */
#define DEQ_DEPTH_MAX 32
/** Largest memory of the Broyden methods. */
#define DEQ_MEMORY_MAX 128

/** What a sample's own step function sees; see deq_custom_method. */
typedef struct deq_custom_step {
    deq_dtype dtype;      /**< DEQ_F32 or DEQ_F64, of every vector */
    int64_t dim;          /**< their length */
    int64_t sample;       /**< index in the batch */
    int64_t step;         /**< 0, 1, ... */
    double residual;      /**< |f(z) - z| */
    const void *z;        /**< where f was evaluated */
    const void *fz;       /**< f(z), finite */
    void *z_next;         /**< to be written: the next point; does not overlap the others */
    void *const *vectors; /**< n_vectors of this sample, kept from step to step */
    void *state;          /**< state_bytes of this sample, zero at step 0 */
} deq_custom_step;

/** A method written by the user: the step of one sample.  Stopping, best iterates, outcomes, traces
 *  and freezing are the library's part. */
typedef struct deq_custom_method {
    size_t struct_size; /**< sizeof(deq_custom_method) */
    const char *name;   /**< for deq_method_register(); the string must live on */
    int n_vectors;      /**< vectors [dim] to keep per sample, >= 0 */
    size_t state_bytes; /**< plain memory to keep per sample */
    /** Write s->z_next.  Called for different samples from different threads at once. */
    void (*step)(void *user, const deq_custom_step *s);
    void *user; /**< passed to step */
} deq_custom_method;

/** State of one sample as the outside sees it. */
typedef struct deq_sample_info {
    deq_outcome outcome; /**< how it ended */
    int64_t n_iter;      /**< steps taken: iterates after z_0 that were evaluated and accepted */
    int64_t n_feval;     /**< evaluations of f */
    int64_t best_feval;  /**< which of them (from 1) gave the state returned; 0: none was finite */
    double residual;     /**< |f(z) - z| of the state returned; infinite if none was finite */
    double relative;     /**< residual / |f(z)|; 0 / 0 counts as 0 */
    double initial;      /**< |f(z_0) - z_0|; infinite if it was never evaluated */
    int n_singular;      /**< fits or updates that were singular and were replaced or skipped */
    int n_restart;       /**< times the history was emptied */
    int n_fallback;      /**< Picard steps taken in place of accelerated ones */
    int n_search_failed; /**< line searches that found no decrease */
} deq_sample_info;

/** What a solve did.  The arrays belong to the solver until its next solve. */
typedef struct deq_solve_info {
    size_t struct_size;                   /**< sizeof(deq_solve_info), set by the caller */
    const deq_sample_info *sample;        /**< [batch] */
    int64_t batch;                        /**< samples */
    int64_t n_outcome[DEQ_OUTCOME_COUNT]; /**< how many samples ended so */
    int64_t n_feval;      /**< calls of eval; each may cover fewer samples than the one before */
    int64_t n_vjp;        /**< calls of vjp */
    int64_t n_jvp;        /**< calls of jvp */
    int64_t n_feval_rows; /**< rows evaluated by all calls of eval together */
    int64_t n_vjp_rows;   /**< rows of all calls of vjp */
    int64_t n_jvp_rows;   /**< rows of all calls of jvp */
    double residual;      /**< largest of the samples */
    double relative;      /**< largest of the samples */
} deq_solve_info;

/** See deq_solver_memory_new(). */
typedef struct deq_solver_memory deq_solver_memory;

/** What an observer is told after each evaluation of f. */
typedef struct deq_progress {
    int64_t n_feval;               /**< calls of eval so far */
    int64_t n_active;              /**< samples not yet finished */
    const deq_sample_info *sample; /**< [batch], as known now */
    const double *residual;        /**< [batch] of the point evaluated last, sample by sample */
    const double *relative;        /**< [batch] likewise */
} deq_progress;

/** Returns false to end the solve; unfinished samples then count as DEQ_MAX_ITER. */
typedef bool deq_observer_fn(void *user, const deq_progress *progress);

/** Settings of a solver.  Start from deq_solver_defaults(). */
typedef struct deq_solver_options {
    size_t struct_size; /**< sizeof(deq_solver_options) */
    deq_method method;  /**< default DEQ_AUTO */
    int max_iter;       /**< evaluations of f allowed, >= 0; default 40 */
    double atol;        /**< >= 0; default 0 */
    double rtol;        /**< >= 0; default 1e-3 */

    double divergence;     /**< diverged above divergence * initial residual; > 1 or 0: off; 1e6 */
    int stagnation_window; /**< evaluations without a new best that mean a stall; 0: off; 30 */

    int n_states; /**< states to save, evenly spaced, >= 1; default 1: the last */
    const int
        *state_index;  /**< n_state_index rising evaluation counts from 1 on, below max_iter (to
                                 which the last state belongs), instead of n_states; copied */
    int n_state_index; /**< default 0 */

    bool trace;                /**< keep residuals of all evaluations; default false */
    deq_observer_fn *observer; /**< NULL (default) or called after each evaluation */
    void *observer_user;       /**< passed to observer */
    deq_solver_memory *memory; /**< NULL (default), or history to start from and to leave behind */
    size_t history_bytes;      /**< cap of the history's memory: depth or memory shrink to fit it;
                                     0 (default): none */

    /** Reproduce the reference library TorchDEQ 0.1.0, for comparisons: stop on the largest residual
     *  of the batch, freeze nobody; damped residuals (Picard), absolute ridge (Anderson), the image
     *  of the best point returned (both), and its counts: best_feval is its `nstep`, n_iter the
     *  number of residuals measured, and a trace has 1e8 in front and the lowest value behind.
     *  Picard, Anderson and Broyden (good), with damping; depth, mixing, ridge; memory, line_search,
     *  armijo, min_step.  Needs `trace` for Broyden's stall test. */
    bool reference_batch_max;
    bool reference_relative; /**< with it: tolerance `rtol` on relative residuals, else `atol` */
    bool reference_final;    /**< with it: return the last state, never stop early */

    deq_picard_options picard;                   /**< for DEQ_PICARD */
    deq_anderson_options anderson;               /**< for DEQ_ANDERSON */
    deq_broyden_options broyden;                 /**< for DEQ_BROYDEN */
    deq_adjoint_broyden_options adjoint_broyden; /**< for DEQ_ADJOINT_BROYDEN */
    deq_newton_krylov_options newton_krylov;     /**< for DEQ_NEWTON_KRYLOV */
    deq_reversible_options reversible;           /**< for DEQ_REVERSIBLE */
    const deq_custom_method *custom;             /**< for DEQ_CUSTOM; copied */
} deq_solver_options;

/** A solver: workspace for one batch size, dimension and dtype. */
typedef struct deq_solver deq_solver;

/**
 * The default settings.
 *
 * @return a struct to change and pass to deq_solver_new().
 */
DEQ_API deq_solver_options deq_solver_defaults(void);

/**
 * Make a solver: all memory that its solves need.  A solve allocates nothing.
 *
 * @param out     receives the solver; free with deq_solver_free().  NULL on failure.
 * @param ctx     supplies memory, threads and instruction set; must outlive the solver.
 * @param options NULL for the defaults.
 * @param batch   samples, >= 1.
 * @param dim     elements of a sample's state, >= 1.
 * @param dtype   DEQ_F32 or DEQ_F64.
 * @return DEQ_OK, DEQ_ERR_ARGUMENT (an option out of range, or that the method does not know),
 *         DEQ_ERR_DTYPE, DEQ_ERR_OVERFLOW, DEQ_ERR_NOMEM; deq_last_error(ctx) explains.
 */
DEQ_API deq_status deq_solver_new(deq_solver **out, deq_context *ctx,
                                  const deq_solver_options *options, int64_t batch, int64_t dim,
                                  deq_dtype dtype);

/**
 * Free a solver, and with it the arrays that its last solve reported.
 *
 * @param s NULL is allowed.
 */
DEQ_API void deq_solver_free(deq_solver *s);

/**
 * Find z* = f(z*) for every sample.
 *
 * @param z    [batch, dim] in: z_0; out: for each sample the iterate of smallest residual.  Any
 *             alignment.  A sample for which f never gave finite values keeps its z_0.
 * @param info may be NULL; set its struct_size.  Meaningful when DEQ_OK is returned.
 * @param s    a solver; one thread at a time.
 * @param f    the map.
 * @return DEQ_OK even when nothing converged: read info.  DEQ_ERR_ARGUMENT when the map lacks what
 *         the method needs, or whatever a callback returned; z then holds the best iterates so far.
 */
DEQ_API deq_status deq_solve(void *z, deq_solve_info *info, deq_solver *s, const deq_map *f);

/**
 * How many intermediate states a solve saves: always the same number, the last one being the state
 * returned.
 *
 * @param s a solver.
 * @return at least 1.
 */
DEQ_API int deq_solver_n_states(const deq_solver *s);

/**
 * A saved state: for each sample the best iterate after deq_solver_state_index() evaluations of f.
 * A sample that finished earlier has its final state there.
 *
 * @param s a solver after a solve.
 * @param i 0 to deq_solver_n_states() - 1, earliest first.
 * @return [batch, dim], until the next solve; the last one is the z that was given to deq_solve().
 *         NULL when i is out of range or nothing was solved.
 */
DEQ_API const void *deq_solver_state(const deq_solver *s, int i);

/**
 * The number of evaluations after which state i is taken.
 *
 * @param s a solver.
 * @param i 0 to deq_solver_n_states() - 1.
 * @return the count; -1 when i is out of range.
 */
DEQ_API int deq_solver_state_index(const deq_solver *s, int i);

/** Residuals of one sample, one entry an evaluation of f, the first at z_0 (but see
 *  deq_solver_options.reference_batch_max). */
typedef struct deq_trace {
    const double *residual; /**< |f(z) - z| */
    const double *relative; /**< |f(z) - z| / |f(z)| */
    int64_t length;         /**< evaluations of this sample */
} deq_trace;

/**
 * The trace of a sample in the last solve.
 *
 * @param s      a solver whose options asked for traces.
 * @param sample 0 to batch - 1.
 * @return pointers into the solver, until the next solve; all zero when there is no trace.
 */
DEQ_API deq_trace deq_solver_trace(const deq_solver *s, int64_t sample);

/* Memory from solve to solve ----------------------------------------------------------------- */

/**
 * Make an empty memory.  Named in deq_solver_options.memory it receives, sample by sample, what the
 * method has learned: Anderson's pairs, Broyden's factors as they were at the state returned.  The
 * next solve that names it starts from there.  What does not fit (another method, batch, dimension
 * or dtype) is ignored and replaced.
 *
 * @param out receives the memory; free with deq_solver_memory_free(), after the solvers using it.
 * @param ctx supplies its memory.
 * @return DEQ_OK, DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_solver_memory_new(deq_solver_memory **out, deq_context *ctx);

/**
 * Free a memory.
 *
 * @param m NULL is allowed.
 */
DEQ_API void deq_solver_memory_free(deq_solver_memory *m);

/**
 * Forget, so that the next solve starts cold.
 *
 * @param m a memory.
 */
DEQ_API void deq_solver_memory_clear(deq_solver_memory *m);

/**
 * The number of pairs or updates kept for a sample.
 *
 * @param m      a memory.
 * @param sample index in the batch.
 * @return 0 when there is nothing.
 */
DEQ_API int deq_solver_memory_rank(const deq_solver_memory *m, int64_t sample);

/**
 * Multiply by the estimate B of the inverse of J - I that a Broyden method left behind (B = -gamma I
 * + sum_i u_i v_i'), with a minus sign:  u = -w B  estimates  w (I - J)^-1,  and  u = -B w  estimates
 * (I - J)^-1 w.  The first is the adjoint solution of SHINE (Ramzi et al., ICLR 2022).
 *
 * @param u     [batch, dim], may be w.
 * @param m     what a Broyden solve left behind.
 * @param w     [batch, dim].
 * @param right false: -w B; true: -B w.
 * @return DEQ_OK; DEQ_ERR_STATE when no Broyden solve filled m.
 */
DEQ_API deq_status deq_solver_memory_apply(void *u, deq_solver_memory *m, const void *w,
                                           bool right);

/**
 * Let the next solve of a Broyden solver, and only that one, begin with the estimate B that another
 * solve left behind in place of -gamma I; its own updates come on top.  Transposed, B estimates the
 * inverse of J' - I: that is where to begin with the adjoint system  u = w + J' u  (SHINE's
 * refinement).
 *
 * Of B no more than DEQ_MEMORY_MAX - memory updates are used, oldest first.  The memory is read where
 * it is: it must stay as it is until that solve is over, and is not changed by it.  During that solve
 * deq_solver_options.memory is neither read nor filled.
 *
 * @param s          a solver whose method is DEQ_BROYDEN.
 * @param m          what a solve by Broyden or adjoint Broyden left behind.
 * @param transposed begin with B' instead.
 * @return DEQ_OK; DEQ_ERR_ARGUMENT (another method); DEQ_ERR_STATE when no Broyden solve filled m;
 *         DEQ_ERR_SHAPE when its batch, dimension or dtype differ.
 */
DEQ_API deq_status deq_solver_start_from(deq_solver *s, const deq_solver_memory *m,
                                         bool transposed);

/* Names -------------------------------------------------------------------------------------- */

/**
 * Make a method known by name, for the whole process.
 *
 * @param custom a method with a name that is not taken; copied.
 * @return DEQ_OK, DEQ_ERR_ARGUMENT, DEQ_ERR_NAME (taken), DEQ_ERR_NOMEM (64 are known already).
 */
DEQ_API deq_status deq_method_register(const deq_custom_method *custom);

/**
 * Choose a method by name: sets options->method and, for a registered one, options->custom.
 *
 * @param options to be changed.
 * @param ctx     receives the message.
 * @param name    "anderson", "broyden", ... or a registered name.
 * @return DEQ_OK; DEQ_ERR_NAME, with the nearest known name in the message.
 */
DEQ_API deq_status deq_method_find(deq_solver_options *options, deq_context *ctx, const char *name);

/**
 * The name of a method.
 *
 * @param method any value; unknown ones give "unknown".
 * @return a string that is never freed.
 */
DEQ_API const char *deq_method_name(deq_method method);

#ifdef __cplusplus
}
#endif
#endif
