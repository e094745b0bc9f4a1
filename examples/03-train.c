/* SPDX-License-Identifier: MIT */
/*
 * Train a small network to tell two spirals apart.
 *
 * Each spiral has 100 points at radius r in [0.1, 1] and angle  2 r pi + class pi,  with a little
 * noise.  The network  2 -> 32 -> 32 -> 2  with tanh is trained on all points at once by gradient
 * descent on the flat parameter vector:
 *
 *     theta <- theta - rate . d loss / d theta
 *
 * Expected: the loss falls from 0.73 to 0.03, and in the end every point is on its side.
 */
#include <deq/deq.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { POINTS = 200, HIDDEN = 32, STEPS = 500 };
#define RATE 0.1F

static deq_context *ctx;
static deq_program *p;

static void must(deq_status status)
{
    if (status == DEQ_OK) return;
    fprintf(stderr, "%s: %s%s\n", deq_status_text(status), deq_last_error(ctx),
            p ? deq_program_error(p) : "");
    exit(EXIT_FAILURE);
}

static void spirals(float (*x)[2], int32_t *label)
{
    const double pi = acos(-1);
    double noise[POINTS][2];
    must(deq_draw_normal(noise, DEQ_F64, 2 * POINTS, (deq_random_key){ .seed = 1 }, 0, 0.02));
    for (int i = 0; i < POINTS; i++) {
        label[i] = i % 2;
        double r = 0.1 + 0.9 * i / POINTS, angle = 2 * pi * r + pi * label[i];
        x[i][0] = (float)(r * cos(angle) + noise[i][0]);
        x[i][1] = (float)(r * sin(angle) + noise[i][1]);
    }
}

/* Layer l of the network has weights "wl" and biases "bl". */
static const int width[] = { 2, HIDDEN, HIDDEN, 2 };
enum { LAYERS = sizeof width / sizeof *width - 1 };

static deq_parameters *parameters_new(void)
{
    deq_parameters *theta;
    char name[16];
    must(deq_parameters_new(&theta, ctx, DEQ_F32));
    for (int l = 0; l < LAYERS; l++) {
        snprintf(name, sizeof name, "w%d", l);
        must(deq_parameters_add(theta, name, DEQ_SHAPE(width[l + 1], width[l])));
        snprintf(name, sizeof name, "b%d", l);
        must(deq_parameters_add(theta, name, DEQ_SHAPE(width[l + 1])));
    }
    must(deq_parameters_allocate(theta)); /* zeros: right for the biases */
    for (int l = 0; l < LAYERS; l++) {
        deq_parameter_info w = deq_parameters_info(theta, 2 * l);
        must(deq_draw_normal(deq_parameters_values(theta, 2 * l), DEQ_F32, w.count,
                             (deq_random_key){ .seed = 2, .stream = (uint64_t)l }, 0,
                             (l ? 1 : 2) / sqrt(width[l])));
    }
    return theta;
}

static deq_value network(deq_graph *g, deq_value x, deq_parameters *theta)
{
    char name[16];
    for (int l = 0; l < LAYERS; l++) {
        snprintf(name, sizeof name, "w%d", l);
        deq_value w = deq_parameter(g, theta, name);
        snprintf(name, sizeof name, "b%d", l);
        x = deq_linear(g, x, w, deq_parameter(g, theta, name));
        if (l + 1 < LAYERS) x = deq_tanh(g, x);
    }
    return x;
}

static void report(deq_value loss, deq_value logits, const int32_t *label, int step)
{
    float value, out[POINTS][2];
    int right = 0;
    must(deq_program_read(p, loss, &value, sizeof value));
    must(deq_program_read(p, logits, out, sizeof out));
    for (int i = 0; i < POINTS; i++) right += (out[i][1] > out[i][0]) == label[i];
    printf("step %4d  loss %.3f  accuracy %3d %%\n", step, (double)value, 100 * right / POINTS);
}

int main(void)
{
    static float data[POINTS][2];
    static int32_t label[POINTS];
    must(deq_context_new(&ctx, NULL));
    spirals(data, label);
    deq_parameters *theta = parameters_new();

    deq_graph *g;
    must(deq_graph_new(&g, ctx));
    deq_value x = deq_input(g, "x", DEQ_STAGE_INJECTED, DEQ_F32, DEQ_SHAPE(POINTS, 2));
    deq_value labels = deq_input(g, "labels", DEQ_STAGE_INJECTED, DEQ_I32, DEQ_SHAPE(POINTS));
    deq_value logits = network(g, x, theta);
    deq_value loss = deq_cross_entropy(g, logits, labels, NULL);

    /* Outputs: the loss, the logits, and one gradient a parameter, which the program shall write
     * where the store keeps them. */
    deq_value outputs[2 + 2 * LAYERS] = { loss, logits };
    deq_gradients(g, outputs + 2, loss, theta);
    must(deq_compile(&p, g, outputs, 2 + 2 * LAYERS, NULL));
    must(deq_program_bind_gradients(p, theta, outputs + 2));
    must(deq_program_write(p, x, data, sizeof data));
    must(deq_program_write(p, labels, label, sizeof label));

    float *value = deq_parameters_values(theta, -1);
    const float *gradient = deq_parameters_gradients(theta, -1);
    printf("%d parameters\n", (int)deq_parameters_elements(theta));
    for (int step = 0; step <= STEPS; step++) {
        must(deq_program_run(p, DEQ_STAGE_PARAMETER)); /* the parameters have changed */
        if (step % 100 == 0) report(loss, logits, label, step);
        for (int64_t i = 0; i < deq_parameters_length(theta); i++) value[i] -= RATE * gradient[i];
    }

    deq_program_free(p);
    deq_graph_free(g);
    deq_parameters_free(theta);
    deq_context_free(ctx);
    return EXIT_SUCCESS;
}
