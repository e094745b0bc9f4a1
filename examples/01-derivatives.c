/* SPDX-License-Identifier: MIT */
/*
 * Derivatives of a small function, four ways.
 *
 *     F(x) = sum_i  (1/2) x_i^2  +  log(1 + (sum_j A_ij x_j)^2),      x in R^3
 *
 * Derivatives are graph to graph: deq_vjp and deq_jvp add nodes, so the gradient is a value like any
 * other and can be differentiated again.  Printed are F, its gradient (reverse mode), its slope along
 * a direction v (forward mode), and the product of its Hessian with v (forward over reverse), which
 * costs a few evaluations of F however many inputs there are.  A gradient check against differences
 * ends the program.
 */
#include <deq/deq.h>
#include <stdio.h>
#include <stdlib.h>

static deq_context *ctx;
static deq_program *p;

/* A status other than DEQ_OK ends the example; context and program know what happened. */
static void must(deq_status status)
{
    if (status == DEQ_OK) return;
    fprintf(stderr, "%s: %s%s\n", deq_status_text(status), deq_last_error(ctx),
            p ? deq_program_error(p) : "");
    exit(EXIT_FAILURE);
}

/* The nodes of F. */
static deq_value build(deq_graph *g, deq_value x)
{
    static const double a[3][3] = { { 1, 2, 0 }, { 0, -1, 1 }, { 3, 0, 1 } };
    deq_value A = deq_constant(g, DEQ_F64, DEQ_SHAPE(3, 3), a);
    deq_value Ax = deq_linear(g, x, A, DEQ_NONE); /* x A^T: one row a sample, here one sample */
    deq_value bowl = deq_scale(g, deq_square(g, x), 0.5);
    deq_value ridge = deq_log1p(g, deq_square(g, Ax));
    return deq_sum(g, deq_add(g, bowl, ridge), DEQ_ALL_AXES, false);
}

static void print(const char *what, deq_value v, int n)
{
    double number[3];
    must(deq_program_read(p, v, number, (size_t)n * sizeof *number));
    printf("%-12s", what);
    for (int i = 0; i < n; i++) printf(" %12.8f", number[i]);
    printf("\n");
}

int main(void)
{
    const double point[3] = { 0.5, -1, 2 }, direction[3] = { 1, 0, -1 };
    must(deq_context_new(&ctx, NULL));
    deq_graph *g;
    must(deq_graph_new(&g, ctx));

    /* Mistakes in building are kept by the graph and reported by deq_compile. */
    deq_value x = deq_input(g, "x", DEQ_STAGE_STATE, DEQ_F64, DEQ_SHAPE(1, 3));
    deq_value v = deq_input(g, "v", DEQ_STAGE_STATE, DEQ_F64, DEQ_SHAPE(1, 3));
    deq_value F = build(g, x), gradient, slope, hessian_v;
    deq_vjp(g, &gradient, &F, NULL, 1, &x, 1);
    deq_jvp(g, &slope, &F, 1, &x, &v, 1);
    deq_jvp(g, &hessian_v, &gradient, 1, &x, &v, 1);

    deq_value outputs[] = { F, gradient, slope, hessian_v };
    must(deq_compile(&p, g, outputs, 4, NULL));
    must(deq_program_write(p, x, point, sizeof point));
    must(deq_program_write(p, v, direction, sizeof direction));
    must(deq_program_run(p, DEQ_STAGE_PARAMETER)); /* the first run computes every stage */

    print("x", x, 3);
    print("v", v, 3);
    print("F(x)", F, 1);
    print("gradient", gradient, 3);
    print("gradient . v", slope, 1);
    print("Hessian v", hessian_v, 3);

    /* The gradient itself is checked, hence also the Hessian: each column by differences. */
    deq_gradient_report report;
    const deq_value checked[] = { F, gradient };
    const deq_gradient_point points[] = { { .value = x, .data = point } };
    must(deq_gradient_check(&report, g, checked, 2, points, 1, NULL));
    printf("gradient check: %s, %d comparisons\n", report.passed ? "passed" : report.message,
           (int)report.n_comparisons);

    deq_program_free(p);
    deq_graph_free(g);
    deq_context_free(ctx);
    return report.passed ? EXIT_SUCCESS : EXIT_FAILURE;
}
