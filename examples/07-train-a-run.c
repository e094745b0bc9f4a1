/* SPDX-License-Identifier: MIT */
/*
 * A model from a configuration to an answer, without writing a training loop: what `deq train`,
 * `deq eval` and `deq predict` do, from C.
 *
 * The task is the prefix sum modulo 2,
 *
 *     y_t = x_1 + ... + x_t  mod 2,
 *
 * learnt on strings of 8 bits.  The cell looks at three neighbouring positions, so a bit needs many
 * iterations to be heard at the other end: an equilibrium that is iterated longer can solve longer
 * strings.  The recipe is that of path-independent models (Anil et al., NeurIPS 2022): some starts
 * are noise, the depth of each step is drawn anew, and the gradient flows through the last few
 * iterations.
 *
 * A run is a folder with its configuration, metrics, checkpoints and a report.  It can be killed at
 * any moment and resumed to the same bits (deq_run_resume()); here it is made in a folder that is
 * deleted in the end.  The way there differs from machine to machine, in the last digits first; so
 * what is printed is coarse.
 *
 * Expected: in the end all batches are right, and so are strings of twice the length if they are given
 * more evaluations than were ever allowed in training.
 */
#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700
#endif
#include <deq/deq.h>
#include <deq/train.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { BITS = 8, STEPS = 400 };

static deq_context *ctx;

static void must(deq_status status)
{
    if (status == DEQ_OK) return;
    fprintf(stderr, "%s: %s\n", deq_status_text(status), deq_last_error(ctx));
    exit(EXIT_FAILURE);
}

/* A configuration is a plain struct; settings can also be given by their names, as --set does. */
static deq_config configure(void)
{
    static const char *const settings[] = {
        "solver.method=picard", "solver.start=mixed",     "gradient.method=phantom_unroll",
        "gradient.steps=6",     "training.depth=[1, 10]", "optimiser.schedule=cosine",
        "evaluation.rtol=0"
    };
    deq_config c = deq_config_defaults(); /* prefix sums */
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        must(deq_config_set(&c, ctx, settings[i]));
    c.data.size = BITS;
    c.data.count = 256;
    c.data.test_count = 100;
    c.model.recurrent.width = 24;
    c.model.recurrent.blocks = 2;
    c.model.recurrent.head[0] = c.model.recurrent.head[1] = 16;
    c.equilibrium.forward.max_iter = 10;
    c.equilibrium.forward.stagnation_window = 0; /* the residual does not fall on the way */
    c.schedule.rate = 5e-3;
    c.training.dtype = DEQ_F32;
    c.training.steps = STEPS;
    c.training.batch = 32;
    c.training.clip = 1;
    c.evaluation.max_iter = 20;
    return c;
}

static bool show(void *user, const deq_run_progress *p)
{
    (void)user;
    bool training = !p->evaluation && p->test_total == 0;
    if (training && p->step % (STEPS / 2) == 0)
        printf("step %3lld  loss %.2f  %3.0f %% of the batch right\n", (long long)p->step, p->loss,
               100 * p->accuracy);
    return true; /* false would save and stop */
}

static void train(const deq_config *config, const char *folder)
{
    deq_run *run;
    deq_run_end end;
    must(deq_run_new(&run, ctx, config, folder));
    must(deq_run_train(&end, run, show, NULL));
    if (end != DEQ_RUN_DONE) puts(deq_run_advice(run));
    deq_run_free(run);
}

static void evaluate(deq_trained *model, int64_t bits, int max_iter)
{
    deq_predictor_options o = deq_predictor_defaults();
    deq_evaluation e;
    deq_dataset *strings;
    o.max_iter = max_iter;
    must(deq_config_sized(&strings, ctx, deq_trained_config(model), bits, 200));
    must(deq_evaluate(&e, model, strings, &o, NULL, NULL));
    printf("%2d bits, %2d evaluations: %s\n", (int)bits, max_iter,
           e.n_right == e.n_examples ? "all strings right" : "some strings wrong");
    deq_dataset_free(strings);
}

/* One string; inputs are -1/2 for 0 and 1/2 for 1. */
static void predict(deq_trained *model, const char *bits)
{
    deq_predictor_options o = deq_predictor_defaults();
    deq_predictor *predictor;
    deq_prediction found;
    float x[BITS];
    o.batch = 1;
    must(deq_predictor_new(&predictor, model, DEQ_SHAPE(1, BITS), &o));
    for (int i = 0; i < BITS; i++) x[i] = bits[i] == '1' ? 0.5f : -0.5f;
    must(deq_predictor_run(predictor, &found, x));
    printf("%s -> ", bits);
    for (int i = 0; i < BITS; i++) printf("%d", (int)found.label[i]);
    puts("");
    deq_predictor_free(predictor);
}

static int delete_one(const char *path, const struct stat *about, int type, struct FTW *place)
{
    (void)about, (void)type, (void)place;
    return remove(path);
}

int main(void)
{
    char folder[] = "/tmp/deq-run-XXXXXX";
    deq_context_options one = deq_context_defaults();
    one.threads = 1;
    must(deq_context_new(&ctx, &one));
    if (!mkdtemp(folder)) return EXIT_FAILURE;

    deq_config config = configure();
    train(&config, folder);

    deq_trained *model;
    must(deq_trained_open(&model, ctx, folder, DEQ_WHICH_LAST, NULL));
    evaluate(model, BITS, 20);
    evaluate(model, 2 * BITS, 10);
    evaluate(model, 2 * BITS, 40);
    predict(model, "10010110");

    deq_trained_free(model);
    deq_context_free(ctx);
    return nftw(folder, delete_one, 8, FTW_DEPTH | FTW_PHYS) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
