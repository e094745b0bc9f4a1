/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Optimisers, schedules, clipping and averaging, on flat vectors: a parameter store's values and
 * gradients.  Everything is element-wise or a fixed reduction, so the same numbers give the same bits.
 *
 * With g the gradient, theta the parameters, eta the learning rate, lambda the weight decay, in step
 * t = 1, 2, ...:
 *
 *     SGD       g += lambda theta;  m = mu m + g;  theta -= eta (nesterov ? g + mu m : m)
 *     Adam      g += lambda theta;  m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;
 *               mhat = m / (1 - beta1^t);  vhat = v / (1 - beta2^t);
 *               theta -= eta mhat / (sqrt(vhat) + eps)           (Kingma & Ba, ICLR 2015)
 *     AdamW     theta -= eta lambda theta first, then Adam with lambda = 0
 *                                                                (Loshchilov & Hutter, ICLR 2019)
 *     RAdam     m, v as Adam;  rho_inf = 2 / (1 - beta2) - 1;
 *               rho_t = rho_inf - 2 t beta2^t / (1 - beta2^t);   (Liu et al., ICLR 2020)
 *               rho_t > 5:  r = sqrt((rho_t - 4) (rho_t - 2) rho_inf
 *                                    / ((rho_inf - 4) (rho_inf - 2) rho_t)),
 *                           theta -= eta r mhat sqrt(1 - beta2^t) / (sqrt(v) + eps)
 *               otherwise:  theta -= eta mhat
 *               (5 as its authors' program and PyTorch have it, where the paper says 4)
 */
#ifndef DEQ_OPTIM_H
#define DEQ_OPTIM_H

#include <deq/context.h>
#include <deq/type.h>

#ifdef __cplusplus
extern "C" {
#endif

/** See optim.h. */
typedef struct deq_optimiser deq_optimiser;

/** Which optimiser. */
typedef enum deq_optimiser_kind {
    DEQ_SGD = 0, /**< "sgd" */
    DEQ_ADAM,    /**< "adam" */
    DEQ_ADAMW,   /**< "adamw" */
    DEQ_RADAM    /**< "radam" */
} deq_optimiser_kind;

/** Settings of an optimiser.  Start from deq_optimiser_defaults(). */
typedef struct deq_optimiser_options {
    size_t struct_size;      /**< sizeof(deq_optimiser_options) */
    deq_optimiser_kind kind; /**< which */
    double momentum;         /**< SGD: mu in [0, 1); default 0.9 */
    bool nesterov;           /**< SGD; default false */
    double beta1;            /**< Adam family: in [0, 1); default 0.9 */
    double beta2;            /**< Adam family: in [0, 1); default 0.999 */
    double eps;              /**< Adam family: > 0; default 1e-8 */
    double weight_decay;     /**< lambda >= 0; default 0 */
} deq_optimiser_options;

/** A vector of an optimiser's state, for checkpoints. */
typedef struct deq_optimiser_state {
    const char *name; /**< "momentum" (SGD, unless mu is 0); "first_moment", "second_moment" */
    void *data;       /**< [length] of the optimiser's dtype; zeros at first */
} deq_optimiser_state;

/**
 * The default settings of an optimiser.
 *
 * @param kind which.
 * @return a struct to change.
 */
DEQ_API deq_optimiser_options deq_optimiser_defaults(deq_optimiser_kind kind);

/**
 * Make an optimiser.
 *
 * @param out     receives it; free with deq_optimiser_free().  NULL on failure.
 * @param ctx     supplies memory and threads.
 * @param dtype   of the vectors: DEQ_F32 or DEQ_F64.
 * @param length  of the vectors.
 * @param options NULL for SGD's defaults.
 * @return DEQ_OK, DEQ_ERR_ARGUMENT, DEQ_ERR_DTYPE, DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_optimiser_new(deq_optimiser **out, deq_context *ctx, deq_dtype dtype,
                                     int64_t length, const deq_optimiser_options *options);

/**
 * Free an optimiser.
 *
 * @param o NULL is allowed.
 */
DEQ_API void deq_optimiser_free(deq_optimiser *o);

/**
 * The name of an optimiser.
 *
 * @param kind any value; unknown ones give "unknown".
 * @return a string that is never freed.
 */
DEQ_API const char *deq_optimiser_name(deq_optimiser_kind kind);

/**
 * Treat a part of the vectors differently: a slower rate for a cell's weights, no weight decay for
 * biases and norms.  What no call names has both factors 1; a later call replaces an earlier one
 * where they overlap.
 *
 * @param o      an optimiser.
 * @param first  first element, >= 0.
 * @param count  elements, >= 0; first + count <= length.
 * @param rate   multiplies eta, >= 0; 0 freezes: values, state and decay stay as they are.
 * @param decay  multiplies lambda, >= 0.
 * @return DEQ_OK, DEQ_ERR_ARGUMENT, DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_optimiser_scale(deq_optimiser *o, int64_t first, int64_t count, double rate,
                                       double decay);

/**
 * One step.
 *
 * @param o      an optimiser.
 * @param values [length] parameters, changed.
 * @param grads  [length]; unchanged.
 * @param rate   eta >= 0, finite.
 * @return DEQ_OK, DEQ_ERR_ARGUMENT (rate; nothing was changed).
 */
DEQ_API deq_status deq_optimiser_step(deq_optimiser *o, void *values, const void *grads,
                                      double rate);

/**
 * The steps taken, which bias corrections depend on; to be saved with the state.
 *
 * @param o an optimiser.
 * @return steps.
 */
DEQ_API int64_t deq_optimiser_steps(const deq_optimiser *o);

/**
 * Set the number of steps taken, after the state was restored.
 *
 * @param o     an optimiser.
 * @param steps >= 0; less counts as 0.
 */
DEQ_API void deq_optimiser_set_steps(deq_optimiser *o, int64_t steps);

/**
 * A vector of the state, for saving and restoring.
 *
 * @param o     an optimiser.
 * @param index 0, 1, ...
 * @return name NULL behind the last.
 */
DEQ_API deq_optimiser_state deq_optimiser_state_at(deq_optimiser *o, int index);

/** How the learning rate falls after the warm-up. */
typedef enum deq_schedule_law {
    DEQ_SCHEDULE_CONSTANT = 0, /**< "constant" */
    DEQ_SCHEDULE_STEP,         /**< "step": times `factor` at each milestone */
    DEQ_SCHEDULE_COSINE,       /**< "cosine": from rate at step `warmup` to rate * final at step
                                    `total`, and there it stays */
    DEQ_SCHEDULE_INVERSE_SQRT /**< "inverse_sqrt": rate * sqrt(w / max(step, w)), w = max(warmup, 1) */
} deq_schedule_law;

/** A learning rate as a function of the step.  Start from deq_schedule_defaults(). */
typedef struct deq_schedule {
    size_t struct_size;        /**< sizeof(deq_schedule) */
    deq_schedule_law law;      /**< default constant */
    double rate;               /**< at its height, > 0; default 1e-3 */
    int64_t warmup;            /**< steps of linear rise, rate * (step + 1) / warmup; default 0 */
    int64_t total;             /**< cosine: steps, warm-up included; > warmup; default 0: none */
    double final;              /**< cosine: last rate / rate, in [0, 1]; default 0 */
    double factor;             /**< step law: > 0; default 0.1 */
    const int64_t *milestones; /**< step law: rising step numbers, >= 0; borrowed; default none */
    int n_milestones;          /**< length of milestones; default 0 */
} deq_schedule;

/**
 * The default settings.
 *
 * @return a constant rate of 1e-3.
 */
DEQ_API deq_schedule deq_schedule_defaults(void);

/**
 * The name of a law.
 *
 * @param law any value; unknown ones give "unknown".
 * @return a string that is never freed.
 */
DEQ_API const char *deq_schedule_name(deq_schedule_law law);

/**
 * Check a schedule.
 *
 * @param ctx receives the message.
 * @param s   a schedule.
 * @return DEQ_OK, DEQ_ERR_ARGUMENT (the message says which field, what it is, what it may be).
 */
DEQ_API deq_status deq_schedule_check(deq_context *ctx, const deq_schedule *s);

/**
 * The rate of a step.
 *
 * @param s    a schedule that deq_schedule_check() accepts.
 * @param step 0, 1, ...; less counts as 0.
 * @return >= 0.
 */
DEQ_API double deq_schedule_rate(const deq_schedule *s, int64_t step);

/**
 * Scale gradients so that their 2-norm is at most `limit`.
 *
 * @param grads   [length], changed if longer than that; left alone if the norm is not finite, which
 *                happens when an element is not: the norm itself does not overflow before it must.
 * @param dtype   DEQ_F32 or DEQ_F64.
 * @param length  elements.
 * @param limit   > 0; INFINITY only measures.
 * @param threads >= 1; the result does not depend on it.
 * @return the norm before, accumulated in double in a fixed order.
 */
DEQ_API double deq_clip_norm(void *grads, deq_dtype dtype, int64_t length, double limit,
                             int threads);

/**
 * Exponential moving average:  average <- decay average + (1 - decay) values.
 *
 * @param average [length], changed.
 * @param values  [length].
 * @param dtype   DEQ_F32 or DEQ_F64.
 * @param length  elements.
 * @param decay   in [0, 1].
 * @param threads >= 1.
 */
DEQ_API void deq_average_update(void *average, const void *values, deq_dtype dtype, int64_t length,
                                double decay, int threads);

#ifdef __cplusplus
}
#endif
#endif
