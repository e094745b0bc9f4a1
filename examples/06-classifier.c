/* SPDX-License-Identifier: MIT */
/*
 * Train an equilibrium classifier to tell two spirals apart: the data of 03-train.c, but one layer
 * iterated to its fixed point in place of three.
 *
 *     z* = tanh(z* W' + x U' + b),     W = 0.9 w / |w|                                        (1)
 *     logits = z* V' + c,              loss = cross entropy
 *
 * Each step solves (1) for all points, gets the gradient from the implicit function theorem, and
 * moves the flat parameter vector by Adam (Kingma & Ba, ICLR 2015):
 *
 *     m <- 0.9 m + 0.1 grad,    v <- 0.999 v + 0.001 grad^2
 *     theta <- theta - rate (m / (1 - 0.9^t)) / (sqrt(v / (1 - 0.999^t)) + 1e-8)              (2)
 *
 * All of that but (2) is one compiled program, and its memory does not grow with the iterations.
 * The Frobenius norm bounds the slope, so that (1) has one solution whatever is learned; leave it
 * free, and sooner or later solves fail and the loss jumps.  In f64, so that the record holds on
 * every machine.
 *
 * Expected: every point ends on its side, and every solve converges, in 7 or 8 evaluations.
 */
#include <deq/deq.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { POINTS = 200, STATE = 16, STEPS = 150, PARAMETERS = 5 };
#define RATE 0.05

static deq_context *ctx;
static deq_program *p;

static void must(deq_status status)
{
    if (status == DEQ_OK) return;
    fprintf(stderr, "%s: %s%s\n", deq_status_text(status), deq_last_error(ctx),
            p ? deq_program_error(p) : "");
    exit(EXIT_FAILURE);
}

static void spirals(double (*x)[2], int32_t *label)
{
    const double pi = acos(-1);
    must(deq_draw_normal(x, DEQ_F64, 2 * POINTS, (deq_random_key){ .seed = 1 }, 0, 0.02));
    for (int i = 0; i < POINTS; i++) {
        label[i] = i % 2;
        double r = 0.1 + 0.9 * i / POINTS, angle = 2 * pi * r + pi * label[i];
        x[i][0] += r * cos(angle);
        x[i][1] += r * sin(angle);
    }
}

static deq_parameters *parameters_new(void)
{
    static const char *const name[PARAMETERS] = { "w", "U", "b", "V", "c" };
    const deq_shape shape[PARAMETERS] = { DEQ_SHAPE(STATE, STATE), DEQ_SHAPE(STATE, 2),
                                          DEQ_SHAPE(STATE), DEQ_SHAPE(2, STATE), DEQ_SHAPE(2) };
    const double deviation[PARAMETERS] = { 1, 2, 0, 0.5, 0 };
    deq_parameters *theta;
    must(deq_parameters_new(&theta, ctx, DEQ_F64));
    for (int i = 0; i < PARAMETERS; i++) must(deq_parameters_add(theta, name[i], shape[i]));
    must(deq_parameters_allocate(theta));
    for (int i = 0; i < PARAMETERS; i++)
        must(deq_draw_normal(
            deq_parameters_values(theta, i), DEQ_F64, deq_parameters_info(theta, i).count,
            (deq_random_key){ .seed = 2, .stream = (uint64_t)i }, 0, deviation[i]));
    return theta;
}

typedef struct model {
    deq_parameters *theta;
    deq_value x;
} model;

/* f of (1).  Called once; what does not depend on z is computed once a solve, or once a step. */
static void cell(deq_graph *g, const deq_value *z, deq_value *fz, void *user)
{
    const model *m = user;
    deq_value w = deq_parameter(g, m->theta, "w");
    deq_value U = deq_parameter(g, m->theta, "U"), b = deq_parameter(g, m->theta, "b");
    deq_value norm = deq_sqrt(g, deq_squared_norm(g, w, DEQ_ALL_AXES, false));
    deq_value W = deq_scale(g, deq_div(g, w, norm), 0.9);
    fz[0] = deq_tanh(g, deq_add(g, deq_linear(g, z[0], W, DEQ_NONE), deq_linear(g, m->x, U, b)));
}

/* (2) */
static void adam(deq_parameters *theta, int t)
{
    static double m[1024], v[1024]; /* at least deq_parameters_length() */
    double *value = deq_parameters_values(theta, -1);
    const double *gradient = deq_parameters_gradients(theta, -1);
    for (int64_t i = 0; i < deq_parameters_length(theta); i++) {
        m[i] = 0.9 * m[i] + 0.1 * gradient[i];
        v[i] = 0.999 * v[i] + 0.001 * gradient[i] * gradient[i];
        double mean = m[i] / (1 - pow(0.9, t)), square = v[i] / (1 - pow(0.999, t));
        value[i] -= RATE * mean / (sqrt(square) + 1e-8);
    }
}

static void report(int step, deq_value loss, deq_value logits, const deq_equilibrium_report *r,
                   const int32_t *label)
{
    double value, out[POINTS][2], evaluations = 0;
    int32_t n[POINTS], outcome[POINTS];
    int right = 0, converged = 0;
    must(deq_program_read(p, loss, &value, sizeof value));
    must(deq_program_read(p, logits, out, sizeof out));
    must(deq_program_read(p, r->n_feval, n, sizeof n));
    must(deq_program_read(p, r->outcome, outcome, sizeof outcome));
    for (int i = 0; i < POINTS; i++) {
        right += (out[i][1] > out[i][0]) == label[i];
        converged += outcome[i] == DEQ_CONVERGED;
        evaluations += n[i];
    }
    printf("step %3d  loss %.3f  accuracy %3d %%  %d converged, %.1f evaluations each\n", step,
           value, 100 * right / POINTS, converged, evaluations / POINTS);
}

int main(void)
{
    static double data[POINTS][2];
    static int32_t label[POINTS];
    deq_context_options small = deq_context_defaults();
    small.threads = 1; /* too little work in an iteration for more */
    must(deq_context_new(&ctx, &small));
    spirals(data, label);

    deq_graph *g;
    must(deq_graph_new(&g, ctx));
    model m = { parameters_new(),
                deq_input(g, "x", DEQ_STAGE_INJECTED, DEQ_F64, DEQ_SHAPE(POINTS, 2)) };
    deq_value labels = deq_input(g, "labels", DEQ_STAGE_INJECTED, DEQ_I32, DEQ_SHAPE(POINTS));
    deq_equilibrium_options options = deq_equilibrium_defaults();
    options.forward.rtol = 1e-6;
    deq_equilibrium_report r;
    deq_value start = deq_fill(g, DEQ_F64, DEQ_SHAPE(POINTS, STATE), 0);
    deq_value z_star = deq_equilibrium(g, cell, &m, start, &options, &r);
    deq_value logits = deq_linear(g, z_star, deq_parameter(g, m.theta, "V"),
                                  deq_parameter(g, m.theta, "c"));
    deq_value loss = deq_cross_entropy(g, logits, labels, NULL);

    deq_value outputs[4 + PARAMETERS] = { loss, logits, r.n_feval, r.outcome };
    deq_gradients(g, outputs + 4, loss, m.theta);
    must(deq_compile(&p, g, outputs, 4 + PARAMETERS, NULL));
    must(deq_program_bind_gradients(p, m.theta, outputs + 4));
    must(deq_program_write(p, m.x, data, sizeof data));
    must(deq_program_write(p, labels, label, sizeof label));

    for (int step = 0; step <= STEPS; step++) {
        must(deq_program_run(p, DEQ_STAGE_PARAMETER)); /* solve, and differentiate */
        if (step % 25 == 0) report(step, loss, logits, &r, label);
        adam(m.theta, step + 1);
    }

    deq_program_free(p);
    deq_graph_free(g);
    deq_parameters_free(m.theta);
    deq_context_free(ctx);
    return EXIT_SUCCESS;
}
