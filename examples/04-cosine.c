/* SPDX-License-Identifier: MIT */
/*
 * Fixed points  z* = f(z*)  of small maps, by the solvers alone: no graph, only vectors and a struct
 * of callbacks.
 *
 *     cosine    z = cos z                     slope -0.67 at z*: Picard gains 0.17 digits a step
 *     steep     z = 2 cos z                   slope -1.71: Picard moves away from z*
 *     spiral    z = 1.05 R z + b in R^2, R a rotation by 1 radian: Picard moves away in circles
 *     nowhere   z = exp z                     has no solution among the real numbers
 *
 * Not converging is an outcome, no error.  Whatever it is, the z that comes back is the one of least
 * residual that was seen.  Newton-Krylov asks for products J v besides f; they are counted apart.
 *
 * Expected: z* = 0.7390851332 and 1.0298665293, and the spiral's (0.5, -0.25), from all methods but
 * Picard, which finds the first alone.
 */
#include <deq/deq.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static deq_context *ctx;

static void must(deq_status status)
{
    if (status == DEQ_OK) return;
    fprintf(stderr, "%s: %s\n", deq_status_text(status), deq_last_error(ctx));
    exit(EXIT_FAILURE);
}

/* f at z, and J v with J = df/dz at z. */
typedef struct problem {
    const char *name;
    int dim;
    void (*f)(double *fz, const double *z);
    void (*product)(double *jv, const double *z, const double *v);
} problem;

/* clang-format off */
static void cosine(double *fz, const double *z)                       { fz[0] = cos(z[0]); }
static void cosine_j(double *jv, const double *z, const double *v)    { jv[0] = -sin(z[0]) * v[0]; }
static void steep(double *fz, const double *z)                        { fz[0] = 2 * cos(z[0]); }
static void steep_j(double *jv, const double *z, const double *v)     { jv[0] = -2 * sin(z[0]) * v[0]; }
static void nowhere(double *fz, const double *z)                      { fz[0] = exp(z[0]); }
static void nowhere_j(double *jv, const double *z, const double *v)   { jv[0] = exp(z[0]) * v[0]; }
/* clang-format on */

static void spiral_j(double *jv, const double *z, const double *v)
{
    (void)z;
    jv[0] = 1.05 * (cos(1) * v[0] - sin(1) * v[1]);
    jv[1] = 1.05 * (sin(1) * v[0] + cos(1) * v[1]);
}

static void spiral(double *fz, const double *z)
{
    const double centre[2] = { 0.5, -0.25 }, from[2] = { z[0] - centre[0], z[1] - centre[1] };
    spiral_j(fz, z, from);
    fz[0] += centre[0];
    fz[1] += centre[1];
}

/* The callbacks of deq_map get rows of a batch; here the batch is one sample, which is all of them. */
typedef struct use {
    const problem *p;
    double at[2]; /* where J is taken */
} use;

static deq_status eval(void *user, void *fz, const void *z, const int64_t *samples, int64_t n)
{
    (void)samples, (void)n;
    ((use *)user)->p->f(fz, z);
    return DEQ_OK;
}

static deq_status linearise(void *user, const void *z, const int64_t *samples, int64_t n)
{
    use *u = user;
    (void)samples, (void)n;
    memcpy(u->at, z, (size_t)u->p->dim * sizeof(double));
    return DEQ_OK;
}

static deq_status jvp(void *user, void *jv, const void *v, const int64_t *samples, int64_t n)
{
    use *u = user;
    (void)samples, (void)n;
    u->p->product(jv, u->at, v);
    return DEQ_OK;
}

static void solve(const problem *p, const char *method)
{
    use u = { .p = p };
    deq_map map = {
        .struct_size = sizeof map, .eval = eval, .linearise = linearise, .jvp = jvp, .user = &u
    };
    deq_solver_options o = deq_solver_defaults();
    o.max_iter = 100;
    o.atol = 1e-11;
    o.rtol = 0;
    must(deq_method_find(&o, ctx, method));

    double z[2] = { 0, 0 }; /* in: where to start; out: the solution */
    deq_solver *s;
    deq_solve_info info = { .struct_size = sizeof info };
    must(deq_solver_new(&s, ctx, &o, 1, p->dim, DEQ_F64));
    must(deq_solve(z, &info, s, &map));

    const deq_sample_info *i = &info.sample[0];
    printf("%-8s %-13s %3d evaluations, %2d products: %-10s", p->name, method, (int)i->n_feval,
           (int)info.n_jvp, deq_outcome_text(i->outcome));
    if (i->outcome != DEQ_CONVERGED) printf("  least residual %.2f", i->residual);
    for (int k = 0; k < p->dim && i->outcome == DEQ_CONVERGED; k++) printf(" %13.10f", z[k]);
    printf("\n");
    deq_solver_free(s);
}

int main(void)
{
    const problem problems[] = { { "cosine", 1, cosine, cosine_j },
                                 { "steep", 1, steep, steep_j },
                                 { "spiral", 2, spiral, spiral_j },
                                 { "nowhere", 1, nowhere, nowhere_j } };
    const char *methods[] = { "picard", "anderson", "broyden", "newton_krylov" };
    must(deq_context_new(&ctx, NULL));
    for (int p = 0; p < 4; p++)
        for (int m = 0; m < 4; m++) solve(&problems[p], methods[m]);
    deq_context_free(ctx);
    return EXIT_SUCCESS;
}
