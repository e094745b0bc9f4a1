/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Which gradient can this model live with?  Every estimator of an equilibrium's gradient against the
 * exact one, on one batch: direction, length, cost.
 *
 * The model is built once for each estimator, with the options that the audit hands to it; the
 * program is fed, run, and its gradient compared with that of a tight implicit solve.  See
 * docs/math/implicit-gradients.md.
 */
#ifndef DEQ_AUDIT_H
#define DEQ_AUDIT_H

#include <deq/equilibrium.h>
#include <deq/program.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Build the model: its cell, equilibria with the given options, and the loss.  The graph belongs to a
 * context of the audit; parameters come from the store of the audit.
 *
 * @param g       an empty graph.
 * @param options for every equilibrium of the model.
 * @param user    of the audit.
 * @return the loss, a scalar of the parameters' dtype.
 */
typedef deq_value deq_audit_model_fn(deq_graph *g, const deq_equilibrium_options *options,
                                     void *user);

/**
 * Write the batch to the inputs of the model built last.
 *
 * @param p    a program of that model.
 * @param user of the audit.
 * @return DEQ_OK; anything else is reported in the row of the estimator.
 */
typedef deq_status deq_audit_feed_fn(deq_program *p, void *user);

/** One estimator. */
typedef struct deq_audit_case {
    const char *name;                /**< for the table; copied */
    deq_equilibrium_options options; /**< its settings */
} deq_audit_case;

/** Settings of an audit.  Start from deq_audit_defaults(). */
typedef struct deq_audit_options {
    size_t struct_size;           /**< sizeof(deq_audit_options) */
    deq_equilibrium_options base; /**< what the standard cases are made from: solvers, tolerances */
    int steps;                    /**< phantom: k; default 5 */
    double tau;                   /**< phantom, reversible: damping; default 0.5 */
    int refine;                   /**< SHINE, refined: Broyden steps from there; default 5 */
    double tight;                 /**< relative tolerance of the exact gradient, both solves; 0
                                       (default): 1e-12 for f64, 2e-6 for f32 */
    int repeats;                  /**< timed runs, >= 1, of which the fastest counts; default 3 */
    const deq_audit_case *cases;  /**< instead of the standard cases; NULL (default) */
    int n_cases;                  /**< length of cases */
} deq_audit_options;

/** How close two gradients are. */
typedef struct deq_audit_match {
    double cosine;     /**< of the angle to the exact gradient; 1 if both are zero, 0 if one is */
    double norm_ratio; /**< |estimate| / |exact|; 1 if both are zero */
} deq_audit_match;

/** What was found for one estimator. */
typedef struct deq_audit_row {
    const char *name;      /**< "exact", "ift", "jfb", ... */
    deq_status status;     /**< whether it could be built and run; if not, the rest is zero */
    const char *message;   /**< "" or why not */
    deq_audit_match total; /**< over all parameters */
    double loss;           /**< value of the loss */
    int64_t n_feval;       /**< evaluations of f, the most of any sample, summed over equilibria */
    int64_t n_product; /**< vector-Jacobian products backwards, parameters' included, likewise */
    int64_t n_failed;  /**< samples whose forward or adjoint solve did not converge */
    double seconds;    /**< of one run: forward and backward */
    size_t bytes;      /**< memory that the program holds; a run takes no more */
} deq_audit_row;

/** The result of an audit. */
typedef struct deq_audit deq_audit;

/**
 * The default settings.
 *
 * @return a struct to change and pass to deq_gradient_audit().
 */
DEQ_API deq_audit_options deq_audit_defaults(void);

/**
 * Compare estimators.  The standard cases:
 *
 *     ift               base, implicit
 *     jfb               one product
 *     phantom unroll    `steps` damped steps from z*, differentiated
 *     phantom neumann   `steps` terms at z*
 *     shine             the inverse of Broyden's method (base.forward if that is one)
 *     shine refined     with `refine` steps of Broyden's method from there
 *     unroll            base.forward.max_iter steps from z0, differentiated
 *     reversible        base.forward.max_iter steps of the coupled iteration; its rounding errors
 *                       grow by 1 / (1 - tau) a step
 *
 * Row 0 is "exact": implicit, both solves to `tight`.
 *
 * @param out        receives the result; free with deq_audit_free().  NULL on failure.
 * @param ctx        supplies memory and threads; must outlive the result.
 * @param model      builds the model.
 * @param feed       writes the batch; NULL if the model has no inputs.
 * @param user       passed to both.
 * @param parameters an allocated store; its values are read, its gradients left alone.
 * @param options    NULL for the defaults.
 * @return DEQ_OK, also when single estimators could not run: read the rows.  DEQ_ERR_ARGUMENT,
 *         DEQ_ERR_STATE (store not allocated), DEQ_ERR_NOMEM, or why the exact gradient could not be
 *         computed; deq_last_error(ctx) explains.
 */
DEQ_API deq_status deq_gradient_audit(deq_audit **out, deq_context *ctx, deq_audit_model_fn *model,
                                      deq_audit_feed_fn *feed, void *user,
                                      deq_parameters *parameters, const deq_audit_options *options);

/**
 * Free a result.
 *
 * @param audit NULL is allowed.
 */
DEQ_API void deq_audit_free(deq_audit *audit);

/**
 * The number of rows, "exact" included.
 *
 * @param audit a result.
 * @return at least 1.
 */
DEQ_API int deq_audit_count(const deq_audit *audit);

/**
 * A row.
 *
 * @param audit a result.
 * @param row   0 to deq_audit_count() - 1; others give a zeroed struct.
 * @return the row; its texts live as long as the result.
 */
DEQ_API deq_audit_row deq_audit_get(const deq_audit *audit, int row);

/**
 * How close an estimator is for one parameter.
 *
 * @param audit     a result.
 * @param row       as for deq_audit_get().
 * @param parameter index in the store.
 * @return the match; zeros for unknown indices or a row that could not run.
 */
DEQ_API deq_audit_match deq_audit_parameter(const deq_audit *audit, int row, int parameter);

/**
 * Write the result.
 *
 * @param audit  a result.
 * @param format DEQ_DESCRIBE_TEXT: a table; DEQ_DESCRIBE_JSON: one object with the rows, each with
 *               its parameters.
 * @param write  receives the text.
 * @param user   passed to write.
 * @return DEQ_OK, DEQ_ERR_ARGUMENT (another format), DEQ_ERR_IO when write refused.
 */
DEQ_API deq_status deq_audit_write(const deq_audit *audit, deq_describe_format format,
                                   deq_write_fn *write, void *user);

#ifdef __cplusplus
}
#endif
#endif
