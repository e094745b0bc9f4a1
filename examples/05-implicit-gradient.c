/* SPDX-License-Identifier: MIT */
/*
 * The gradient of an equilibrium, exactly and by the cheaper estimators.
 *
 *     z* = f(z*; x, W) = tanh(z* W' + x),     loss = |z* - t|^2 / 2
 *
 * Nothing is differentiated through the iterations.  With w = d loss / d z* and J = df/dz at z*, the
 * implicit function theorem gives
 *
 *     d loss / dW = u df/dW,     u (I - J) = w                                          (IFT)
 *
 * and the estimators replace u: by w itself (JFB), by some terms of w (I + J + J^2 + ...) (phantom
 * gradients), by what Broyden's method learned about (I - J)^-1 on its way (SHINE).  Unrolling
 * differentiates iterations after all, and the reversible iteration those of its own without keeping
 * them.  Printed are the cosine between each gradient and the exact one, and the ratio of lengths.
 *
 * Expected: every estimator points uphill (cosine > 0), and gains with the work it is given.
 */
#include <deq/deq.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 8, FEATURES = 16, WEIGHTS = FEATURES * FEATURES };

static deq_context *ctx;
static deq_program *p;
static double W[WEIGHTS], x[BATCH * FEATURES], t[BATCH * FEATURES];

static void must(deq_status status)
{
    if (status == DEQ_OK) return;
    fprintf(stderr, "%s: %s%s\n", deq_status_text(status), deq_last_error(ctx),
            p ? deq_program_error(p) : "");
    exit(EXIT_FAILURE);
}

/* What the cell uses besides the state is captured: it comes through `user`. */
typedef struct captured {
    deq_value W, x;
} captured;

static void cell(deq_graph *g, const deq_value *z, deq_value *fz, void *user)
{
    const captured *c = user;
    fz[0] = deq_tanh(g, deq_add(g, deq_linear(g, z[0], c->W, DEQ_NONE), c->x));
}

/* d loss / dW with these options; returns the loss. */
static double gradient(double *dW, const deq_equilibrium_options *options)
{
    deq_graph *g;
    must(deq_graph_new(&g, ctx));
    captured c = { deq_input(g, "W", DEQ_STAGE_PARAMETER, DEQ_F64, DEQ_SHAPE(FEATURES, FEATURES)),
                   deq_input(g, "x", DEQ_STAGE_INJECTED, DEQ_F64, DEQ_SHAPE(BATCH, FEATURES)) };
    deq_value start = deq_fill(g, DEQ_F64, DEQ_SHAPE(BATCH, FEATURES), 0);
    deq_value target = deq_constant(g, DEQ_F64, DEQ_SHAPE(BATCH, FEATURES), t);
    deq_value z_star = deq_equilibrium(g, cell, &c, start, options, NULL);
    deq_value distance = deq_squared_norm(g, deq_sub(g, z_star, target), DEQ_ALL_AXES, false);
    deq_value out[2] = { deq_scale(g, distance, 0.5) };
    deq_vjp(g, &out[1], &out[0], NULL, 1, &c.W, 1);

    double loss;
    must(deq_compile(&p, g, out, 2, NULL));
    must(deq_program_write(p, c.W, W, sizeof W));
    must(deq_program_write(p, c.x, x, sizeof x));
    must(deq_program_run(p, DEQ_STAGE_PARAMETER));
    must(deq_program_read(p, out[0], &loss, sizeof loss));
    must(deq_program_read(p, out[1], dW, WEIGHTS * sizeof *dW));
    deq_program_free(p);
    p = NULL;
    deq_graph_free(g);
    return loss;
}

static double dot(const double *a, const double *b)
{
    double sum = 0;
    for (int i = 0; i < WEIGHTS; i++) sum += a[i] * b[i];
    return sum;
}

/* The exact gradient along itself against a difference of two solved problems. */
static void check(const double *exact, const deq_equilibrium_options *o)
{
    double loss[2], ignored[WEIGHTS], h = 1e-5 / sqrt(dot(exact, exact));
    for (int side = 0; side < 2; side++) {
        for (int i = 0; i < WEIGHTS; i++) W[i] += (side ? -2 : 1) * h * exact[i];
        loss[side] = gradient(ignored, o);
    }
    for (int i = 0; i < WEIGHTS; i++) W[i] += h * exact[i];
    double difference = (loss[0] - loss[1]) / (2 * h), slope = dot(exact, exact);
    bool equal = fabs(difference / slope - 1) < 1e-6;
    printf("IFT against differences: %s\n", equal ? "equal" : "wrong");
}

/* Settings; 0 keeps the default. */
static const struct estimator {
    const char *name;
    deq_gradient how;
    int steps;     /* terms, steps or products */
    double tau;    /* damping */
    int max_iter;  /* evaluations forward, where the estimator depends on them */
    double linear; /* tolerance of the adjoint system */
} estimators[] = {
    { "IFT, adjoint to 0.1", .how = DEQ_GRADIENT_IFT, .linear = 0.1 },
    { "JFB", .how = DEQ_GRADIENT_JFB },
    { "phantom, 5 terms", .how = DEQ_GRADIENT_PHANTOM_NEUMANN, .steps = 5 },
    { "phantom, 5 steps", .how = DEQ_GRADIENT_PHANTOM_UNROLL, .steps = 5 },
    { "phantom, 5 steps, tau 0.5", .how = DEQ_GRADIENT_PHANTOM_UNROLL, .steps = 5, .tau = 0.5 },
    { "SHINE", .how = DEQ_GRADIENT_SHINE },
    { "SHINE, 5 Broyden steps more", .how = DEQ_GRADIENT_SHINE, .steps = 5 },
    { "unrolled, 10 steps", .how = DEQ_GRADIENT_UNROLL, .max_iter = 10 },
    { "unrolled, 40 steps", .how = DEQ_GRADIENT_UNROLL, .max_iter = 40 },
    { "reversible, 40 evaluations", .how = DEQ_GRADIENT_REVERSIBLE, .max_iter = 40, .tau = 0.5 },
};

/* Solved tightly, so that what differs is the estimator. */
static deq_equilibrium_options options(const struct estimator *e)
{
    deq_equilibrium_options o = deq_equilibrium_defaults();
    o.forward.rtol = 1e-11;
    o.forward.max_iter = e->max_iter ? e->max_iter : 200;
    o.forward.method = e->how == DEQ_GRADIENT_SHINE ? DEQ_BROYDEN : DEQ_AUTO;
    o.adjoint.rtol = e->linear > 0 ? e->linear : 1e-11;
    o.gradient = e->how;
    o.shine_refine = e->steps;
    if (e->steps) o.steps = e->steps;
    if (e->tau > 0) o.tau = e->tau;
    return o;
}

int main(void)
{
    double exact[WEIGHTS], dW[WEIGHTS];
    must(deq_context_new(&ctx, NULL));
    must(deq_draw_normal(W, DEQ_F64, WEIGHTS, (deq_random_key){ .seed = 1 }, 0, 0.9 / 4));
    must(deq_draw_normal(x, DEQ_F64, BATCH * FEATURES, (deq_random_key){ .seed = 2 }, 0, 0.5));
    must(deq_draw_normal(t, DEQ_F64, BATCH * FEATURES, (deq_random_key){ .seed = 3 }, 0, 0.5));

    deq_equilibrium_options o = options(&(struct estimator){ .how = DEQ_GRADIENT_IFT });
    printf("loss %.3f\n", gradient(exact, &o));
    check(exact, &o);
    for (size_t i = 0; i < sizeof estimators / sizeof *estimators; i++) {
        o = options(&estimators[i]);
        gradient(dW, &o);
        double length = sqrt(dot(dW, dW) / dot(exact, exact));
        printf("%-28s cosine %.3f  length %.3f\n", estimators[i].name,
               dot(dW, exact) / (length * dot(exact, exact)), length);
    }
    deq_context_free(ctx);
    return EXIT_SUCCESS;
}
