/* SPDX-License-Identifier: MIT */
/*
 * An equilibrium z* = f(z*; x, theta), found by running a compiled cell again and again.
 *
 *     f(z; x, theta) = tanh(W z + U x + b),     W = 0.9 w / |w|
 *
 * The Frobenius norm bounds the spectral norm, so f contracts by at least 0.9 and Picard's iteration
 * z <- f(z) converges.  What matters here is the cost of an iteration.  The compiler sorts the work
 * by what it depends on:
 *
 *     parameter   once for each theta    W from w
 *     injected    once for each x        U x + b
 *     state       in each iteration      tanh(W z + that)
 *
 * The description that the program prints shows it.  Input z and output f(z) take turns in two
 * buffers, so an iteration copies nothing.
 */
#include <deq/deq.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 8, FEATURES = 16, INPUTS = 12 };
#define Z_BYTES ((size_t)BATCH * FEATURES * sizeof(double)) /* a multiple of 64 */

static deq_context *ctx;
static deq_program *p;

static void must(deq_status status)
{
    if (status == DEQ_OK) return;
    fprintf(stderr, "%s: %s%s\n", deq_status_text(status), deq_last_error(ctx),
            p ? deq_program_error(p) : "");
    exit(EXIT_FAILURE);
}

static bool print_text(void *user, const char *text, size_t length)
{
    (void)user;
    return fwrite(text, 1, length, stdout) == length;
}

static deq_parameters *parameters_new(void)
{
    deq_parameters *theta;
    must(deq_parameters_new(&theta, ctx, DEQ_F64));
    must(deq_parameters_add(theta, "w", DEQ_SHAPE(FEATURES, FEATURES)));
    must(deq_parameters_add(theta, "U", DEQ_SHAPE(FEATURES, INPUTS)));
    must(deq_parameters_add(theta, "b", DEQ_SHAPE(FEATURES)));
    must(deq_parameters_allocate(theta));
    for (int i = 0; i < deq_parameters_count(theta); i++)
        must(deq_draw_normal(deq_parameters_values(theta, i), DEQ_F64,
                             deq_parameters_info(theta, i).count,
                             (deq_random_key){ .seed = 1, .stream = (uint64_t)i }, 0, 0.3));
    return theta;
}

static deq_value cell(deq_graph *g, deq_value z, deq_value x, deq_parameters *theta)
{
    deq_value w = deq_parameter(g, theta, "w");
    deq_value norm = deq_sqrt(g, deq_squared_norm(g, w, DEQ_ALL_AXES, false));
    deq_value W = deq_name(g, deq_scale(g, deq_div(g, w, norm), 0.9), "W");
    deq_value U = deq_parameter(g, theta, "U"), b = deq_parameter(g, theta, "b");
    return deq_tanh(g, deq_add(g, deq_linear(g, z, W, DEQ_NONE), deq_linear(g, x, U, b)));
}

/* Runs from stage `from`, then the state stage alone, until |f(z) - z| <= tol in every element.
 * *z holds the start and, at the end, the state; *other is the second buffer. */
static int picard(deq_value z_in, deq_value z_out, double **z, double **other, deq_stage from,
                  double tol)
{
    for (int k = 1;; k++, from = DEQ_STAGE_STATE) {
        must(deq_program_bind(p, z_in, *z));
        must(deq_program_bind(p, z_out, *other));
        must(deq_program_run(p, from));
        double residual = 0;
        for (int i = 0; i < BATCH * FEATURES; i++)
            residual = fmax(residual, fabs((*other)[i] - (*z)[i]));
        double *swap = *z;
        *z = *other;
        *other = swap;
        if (k % 5 == 1) printf("  %2d evaluations, residual %.2e\n", k, residual);
        if (residual <= tol || k == 100) return k;
    }
}

int main(void)
{
    must(deq_context_new(&ctx, NULL));
    deq_parameters *theta = parameters_new();
    deq_graph *g;
    must(deq_graph_new(&g, ctx));
    deq_value z = deq_input(g, "z", DEQ_STAGE_STATE, DEQ_F64, DEQ_SHAPE(BATCH, FEATURES));
    deq_value x = deq_input(g, "x", DEQ_STAGE_INJECTED, DEQ_F64, DEQ_SHAPE(BATCH, INPUTS));
    deq_value f = deq_name(g, cell(g, z, x, theta), "f");

    deq_compile_options options = deq_compile_defaults();
    options.threads = 1;
    must(deq_compile(&p, g, &f, 1, &options));
    must(deq_program_describe(p, DEQ_DESCRIBE_TEXT, print_text, NULL));

    double *state = aligned_alloc(64, Z_BYTES), *other = aligned_alloc(64, Z_BYTES);
    if (!state || !other) must(DEQ_ERR_NOMEM);
    memset(state, 0, Z_BYTES);
    deq_stage from = DEQ_STAGE_PARAMETER; /* nothing has been computed yet */
    for (uint64_t solve = 0; solve < 2; solve++, from = DEQ_STAGE_INJECTED) {
        double data[BATCH * INPUTS];
        must(deq_draw_normal(data, DEQ_F64, BATCH * INPUTS,
                             (deq_random_key){ .seed = 2, .step = solve }, 0, 1));
        must(deq_program_write(p, x, data, sizeof data));
        printf("solve %d\n", (int)solve + 1);
        int n = picard(z, f, &state, &other, from, 1e-10);
        printf("  %2d evaluations, z*[0][0..2] = %.8f %.8f %.8f\n", n, state[0], state[1],
               state[2]);
    }

    deq_program_free(p);
    deq_graph_free(g);
    deq_parameters_free(theta);
    deq_context_free(ctx);
    free(state);
    free(other);
    return EXIT_SUCCESS;
}
