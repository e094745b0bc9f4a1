/* SPDX-License-Identifier: MIT */
/*
 * Runs: training reduces the loss; stopping and resuming changes no bit; trouble is told with advice;
 * what is broken is refused, and what was there stays.
 */
#define _XOPEN_SOURCE 700
#include "support/comma.h"
#include "support/test.h"
#include "train/place.h"

#include <deq/io/archive.h>
#include <deq/train.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *in(const place *p, const char *name)
{
    static char path[4][256];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", p->root, name);
    return path[turn];
}

/* ---- small runs ---- */

static void set(place *p, deq_config *c, const char *assignment)
{
    if (deq_config_set(c, p->ctx, assignment) != DEQ_OK) fail_msg("%s", deq_last_error(p->ctx));
}

static deq_config small_config(place *p)
{
    static const char *const settings[] = {
        "data.size=8",
        "data.count=100",
        "data.test_count=20",
        "data.validation=20",
        "training.batch=10",
        "training.steps=24",
        "model.recurrent.width=6",
        "model.recurrent.blocks=1",
        "solver.max_iter=8",
        "training.log_every=4",
        "training.checkpoint_every=5",
        "optimiser.rate=0.01",
        "optimiser.schedule=cosine",
        "evaluation.batch=20",
    };
    deq_config c = deq_config_defaults();
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) set(p, &c, settings[i]);
    return c;
}

static void must(place *p, deq_status status)
{
    if (status != DEQ_OK) fail_msg("%s: %s", deq_status_text(status), deq_last_error(p->ctx));
}

/* Stops after a number of calls. */
static bool stop_after(void *user, const deq_run_progress *progress)
{
    int *left = user;
    (void)progress;
    return left == NULL || --*left > 0;
}

static deq_run_end train(place *p, deq_run *run, int *calls)
{
    deq_run_end end;
    must(p, deq_run_train(&end, run, stop_after, calls));
    return end;
}

static void run_through(place *p, const deq_config *c, const char *folder)
{
    deq_run *run;
    must(p, deq_run_new(&run, p->ctx, c, folder));
    assert_int_equal(train(p, run, NULL), DEQ_RUN_DONE);
    deq_run_free(run);
}

/* Everything of two checkpoints is equal, but the time that passed. */
static void assert_same_checkpoint(place *p, const char *a, const char *b)
{
    deq_archive *x, *y;
    char path[2][256];
    snprintf(path[0], sizeof path[0], "%s/checkpoints/last.safetensors", a);
    snprintf(path[1], sizeof path[1], "%s/checkpoints/last.safetensors", b);
    must(p, deq_archive_read(&x, p->ctx, path[0]));
    must(p, deq_archive_read(&y, p->ctx, path[1]));
    assert_int_equal(deq_archive_count(x), deq_archive_count(y));
    for (size_t i = 0; i < deq_archive_count(x); i++) {
        const deq_archive_tensor *t = deq_archive_at(x, i), *u = deq_archive_find(y, t->name);
        assert_non_null(u);
        if (memcmp(t->data, u->data, deq_type_bytes(&t->type)) != 0)
            fail_msg("%s differs", t->name);
    }
    assert_string_equal(deq_archive_metadata(x, "deq.step"), deq_archive_metadata(y, "deq.step"));
    assert_string_equal(deq_archive_metadata(x, "deq.best"), deq_archive_metadata(y, "deq.best"));
    deq_archive_free(x);
    deq_archive_free(y);
}

static size_t count_lines(const char *path)
{
    FILE *file = fopen(path, "r");
    size_t n = 0;
    assert_non_null(file);
    for (int c; (c = getc(file)) != EOF;) n += c == '\n';
    fclose(file);
    return n;
}

/* ---- tests ---- */

static void training_reduces_the_loss_and_leaves_a_folder(void **state)
{
    place *p = *state;
    deq_config c = small_config(p);
    set(p, &c, "training.steps=300");
    set(p, &c, "training.evaluate_every=100");
    set(p, &c, "model.recurrent.width=16");
    set(p, &c, "solver.max_iter=12");
    set(p, &c, "evaluation.budgets=[4, 12]");
    set(p, &c, "evaluation.sizes=[12]");
    set(p, &c, "evaluation.count=10");
    set(p, &c, "evaluation.spectral_radius=yes");
    deq_run *run;
    deq_run_end end;
    must(p, deq_run_new(&run, p->ctx, &c, in(p, "run")));
    must(p, deq_run_train(&end, run, NULL, NULL));
    int n;
    const deq_budget_row *rows = deq_run_results(run, &n);
    assert_int_equal(n, 4);
    assert_int_equal(rows[2].size, 12);
    if (!(rows[1].result.loss < 0.6)) fail_msg("loss %g", rows[1].result.loss); /* chance: log 2 */
    assert_true(rows[1].result.spectral_radius > 0);
    deq_run_free(run);
    const char *files[] = { "run/config.yaml", "run/metrics.jsonl", "run/report.html",
                            "run/events.out.tfevents.deq", "run/checkpoints/best.safetensors" };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        assert_int_equal(access(in(p, files[i]), R_OK), 0);
}

/* Variants that keep more state: a moving average, momentum, running averages, masks, pre-training, a
 * penalty at random steps, random depth, another loader. */
static const char *const variants[][8] = {
    { NULL },
    { "training.average=0.9", "optimiser.method=sgd", "solver.start=mixed", "training.depth=[2, 8]",
      NULL },
    { "training.pretrain_steps=7", "training.pretrain_layers=3", "penalty.weight=0.5",
      "penalty.probability=0.4", "training.loaders=2", NULL },
    { "training.dtype=f64", "model.recurrent.norm=spectral", "gradient.method=phantom_unroll",
      "gradient.steps=2", "optimiser.method=radam", NULL },
};

static void a_run_stopped_and_resumed_ends_with_the_same_bits(void **state)
{
    place *p = *state;
    for (size_t v = 0; v < sizeof variants / sizeof *variants; v++) {
        char whole[80], parts[80], metrics[2][120];
        snprintf(whole, sizeof whole, "%s/whole%zu", p->root, v);
        snprintf(parts, sizeof parts, "%s/parts%zu", p->root, v);
        deq_config c = small_config(p);
        for (int i = 0; variants[v][i]; i++) set(p, &c, variants[v][i]);
        run_through(p, &c, whole);

        deq_run *run;
        int left = 3 + (int)(5 * v);
        must(p, deq_run_new(&run, p->ctx, &c, parts));
        assert_int_equal(train(p, run, &left), DEQ_RUN_STOPPED);
        deq_run_free(run);
        for (int part = 0; part < 20; part++) {
            left = 6;
            must(p, deq_run_resume(&run, p->ctx, parts, NULL, 0));
            deq_run_end end = train(p, run, &left);
            deq_run_free(run);
            if (end == DEQ_RUN_DONE) break;
        }
        assert_same_checkpoint(p, whole, parts);
        snprintf(metrics[0], sizeof metrics[0], "%s/metrics.jsonl", whole);
        snprintf(metrics[1], sizeof metrics[1], "%s/metrics.jsonl", parts);
        assert_int_equal(count_lines(metrics[0]), count_lines(metrics[1]));
    }
}

static void work_after_the_last_checkpoint_is_done_again_alike(void **state)
{
    place *p = *state;
    deq_config c = small_config(p);
    run_through(p, &c, in(p, "whole"));
    /* Killed: freed without saving, in the middle between two checkpoints. */
    deq_run *run;
    deq_run_end end;
    int left = 13;
    must(p, deq_run_new(&run, p->ctx, &c, in(p, "killed")));
    must(p, deq_run_train(&end, run, stop_after, &left));
    deq_run_free(run);
    char old[256], last[256];
    snprintf(old, sizeof old, "%s", in(p, "killed/checkpoints/last.safetensors"));
    snprintf(last, sizeof last, "%s", in(p, "killed/metrics.jsonl"));
    FILE *file = fopen(last, "a"); /* a line that the checkpoint does not know of */
    fputs("{\"kind\":\"train\",\"step\":13,\"lo", file);
    fclose(file);
    must(p, deq_run_resume(&run, p->ctx, in(p, "killed"), NULL, 0));
    assert_int_equal(train(p, run, NULL), DEQ_RUN_DONE);
    deq_run_free(run);
    assert_same_checkpoint(p, in(p, "whole"), in(p, "killed"));
    assert_int_equal(count_lines(in(p, "whole/metrics.jsonl")), count_lines(last));
}

static void a_diverging_run_is_ended_with_advice_and_its_checkpoint_stays(void **state)
{
    place *p = *state;
    deq_config c = small_config(p);
    set(p, &c, "optimiser.rate=1e30");
    set(p, &c, "optimiser.schedule=constant");
    set(p, &c, "training.steps=1000");
    set(p, &c, "training.patience=5");
    deq_run *run;
    deq_run_end end;
    must(p, deq_run_new(&run, p->ctx, &c, in(p, "run")));
    must(p, deq_run_train(&end, run, NULL, NULL));
    assert_int_equal(end, DEQ_RUN_TROUBLE);
    assert_true(deq_run_step(run) < 200);
    assert_non_null(strstr(deq_run_advice(run), "optimiser.rate"));
    deq_parameters *w = deq_weights_parameters(deq_run_weights(run));
    const float *values = deq_parameters_values(w, -1);
    for (int64_t i = 0; i < deq_parameters_length(w); i++) assert_true(isfinite(values[i]));
    deq_run_free(run);
}

static void a_folder_with_a_run_is_not_written_over(void **state)
{
    place *p = *state;
    deq_config c = small_config(p);
    deq_run *run;
    run_through(p, &c, in(p, "run"));
    assert_int_equal(deq_run_new(&run, p->ctx, &c, in(p, "run")), DEQ_ERR_STATE);
    assert_null(run);
}

static void only_what_may_change_changes_when_a_run_is_resumed(void **state)
{
    place *p = *state;
    deq_config c = small_config(p);
    deq_run *run;
    const char *more[] = { "training.steps=30" }, *model[] = { "model.recurrent.width=7" };
    run_through(p, &c, in(p, "run"));
    assert_int_equal(deq_run_resume(&run, p->ctx, in(p, "run"), model, 1), DEQ_ERR_ARGUMENT);
    must(p, deq_run_resume(&run, p->ctx, in(p, "run"), more, 1));
    assert_int_equal(train(p, run, NULL), DEQ_RUN_DONE);
    assert_int_equal(deq_run_step(run), 30);
    deq_run_free(run);
}

/* How many training, validation and test examples a configuration gives, and the first of each. */
static void look(place *p, const deq_config *c, int64_t count[3], float first[3][8])
{
    deq_datasets d;
    must(p, deq_config_datasets(&d, p->ctx, c));
    const deq_dataset *sets[3] = { d.train, d.validation, d.test };
    for (int i = 0; i < 3; i++) {
        int32_t target[8];
        char error[200];
        count[i] = sets[i] ? deq_dataset_count(sets[i]) : 0;
        if (count[i] > 0)
            must(p, deq_dataset_read(sets[i], 0, first[i], target, error, sizeof error));
    }
    deq_datasets_free(&d);
}

static void generated_examples_are_kept_back_without_a_loss_of_others(void **state)
{
    place *p = *state;
    deq_config c = small_config(p);
    int64_t n[3], m[3];
    float with[3][8], without[3][8];
    look(p, &c, n, with);
    set(p, &c, "data.validation=0");
    look(p, &c, m, without);
    assert_true(n[0] == 100 && n[1] == 20 && n[2] == 20);
    assert_true(m[0] == 100 && m[1] == 0 && m[2] == 20);
    assert_memory_equal(with[0], without[0], sizeof with[0]);
    assert_memory_equal(with[2], without[2], sizeof with[2]);
    assert_memory_not_equal(with[0], with[1], sizeof with[0]);
    assert_memory_not_equal(with[1], with[2], sizeof with[1]);
}

static void no_checkpoint_is_chosen_on_the_test_set(void **state)
{
    place *p = *state;
    deq_config c = small_config(p);
    run_through(p, &c, in(p, "kept"));
    set(p, &c, "data.validation=0");
    run_through(p, &c, in(p, "all"));
    assert_int_equal(access(in(p, "kept/checkpoints/best.safetensors"), R_OK), 0);
    assert_int_not_equal(access(in(p, "all/checkpoints/best.safetensors"), F_OK), 0);
    /* Training is the same: what is kept back of generated examples is drawn besides. */
    deq_trained *t;
    must(p, deq_trained_open(&t, p->ctx, in(p, "all"), DEQ_WHICH_BEST, NULL));
    assert_non_null(strstr(deq_trained_path(t), "last.safetensors"));
    deq_trained_free(t);
}

/* Stops at the first call behind the last step: in the evaluation at the end. */
static bool stop_at_the_end(void *user, const deq_run_progress *progress)
{
    int *calls = user;
    return progress->step < progress->steps || progress->evaluation || ++*calls < 2;
}

static void the_evaluation_at_the_end_can_be_stopped_and_done_again(void **state)
{
    place *p = *state;
    deq_config c = small_config(p);
    deq_run *run;
    deq_run_end end;
    int calls = 0, n;
    set(p, &c, "evaluation.batch=5");
    set(p, &c, "evaluation.budgets=[2, 4]");
    must(p, deq_run_new(&run, p->ctx, &c, in(p, "run")));
    must(p, deq_run_train(&end, run, stop_at_the_end, &calls));
    assert_int_equal(end, DEQ_RUN_STOPPED);
    assert_int_equal(calls, 2);
    deq_run_results(run, &n);
    assert_int_equal(n, 0);
    deq_run_free(run);
    must(p, deq_run_resume(&run, p->ctx, in(p, "run"), NULL, 0));
    assert_int_equal(train(p, run, NULL), DEQ_RUN_DONE);
    deq_run_results(run, &n);
    assert_int_equal(n, 3);
    deq_run_free(run);
    run_through(p, &c, in(p, "whole"));
    assert_int_equal(count_lines(in(p, "run/metrics.jsonl")),
                     count_lines(in(p, "whole/metrics.jsonl")));
}

static void a_run_that_went_further_is_not_resumed(void **state)
{
    place *p = *state;
    deq_config c = small_config(p);
    deq_run *run;
    const char *fewer[] = { "training.steps=20" }, *model[] = { "model.family=mlp" };
    run_through(p, &c, in(p, "run"));
    assert_int_equal(deq_run_resume(&run, p->ctx, in(p, "run"), fewer, 1), DEQ_ERR_ARGUMENT);
    assert_non_null(strstr(deq_last_error(p->ctx), "has taken 24 steps"));
    assert_int_equal(deq_run_resume(&run, p->ctx, in(p, "run"), model, 1), DEQ_ERR_ARGUMENT);
    assert_non_null(strstr(deq_last_error(p->ctx), "keeps its model.family"));
    must(p, deq_run_resume(&run, p->ctx, in(p, "run"), NULL, 0)); /* nothing has changed */
    assert_int_equal(deq_run_step(run), 24);
    deq_run_free(run);
}

static void broken_checkpoints_are_refused_and_left_alone(void **state)
{
    place *p = *state;
    deq_config c = small_config(p);
    deq_run *run;
    char path[256];
    run_through(p, &c, in(p, "run"));
    snprintf(path, sizeof path, "%s", in(p, "run/checkpoints/last.safetensors"));
    struct stat before, after;
    assert_int_equal(stat(path, &before), 0);
    const off_t lengths[] = { 0, 4, 100, before.st_size / 2, before.st_size - 1 };
    for (int i = (int)(sizeof lengths / sizeof *lengths) - 1; i >= 0; i--) {
        assert_int_equal(truncate(path, lengths[i]), 0);
        assert_int_not_equal(deq_run_resume(&run, p->ctx, in(p, "run"), NULL, 0), DEQ_OK);
        assert_null(run);
        assert_non_null(strstr(deq_last_error(p->ctx), "last.safetensors"));
        assert_int_equal(stat(path, &after), 0);
        assert_int_equal(after.st_size, lengths[i]);
    }
}

static void a_checkpoint_of_another_model_is_refused(void **state)
{
    place *p = *state;
    deq_config c = small_config(p);
    run_through(p, &c, in(p, "narrow"));
    set(p, &c, "model.recurrent.width=9");
    run_through(p, &c, in(p, "wide"));
    char from[256];
    snprintf(from, sizeof from, "%s", in(p, "narrow/checkpoints/last.safetensors"));
    assert_int_equal(rename(from, in(p, "wide/checkpoints/last.safetensors")), 0);
    deq_run *run;
    assert_int_equal(deq_run_resume(&run, p->ctx, in(p, "wide"), NULL, 0), DEQ_ERR_SHAPE);
    assert_null(run);
}

static void a_folder_that_cannot_be_written_is_told(void **state)
{
    place *p = *state;
    deq_config c = small_config(p);
    deq_run *run;
    FILE *file = fopen(in(p, "file"), "w");
    fclose(file);
    assert_int_equal(deq_run_new(&run, p->ctx, &c, in(p, "file/run")), DEQ_ERR_IO);
    assert_non_null(strstr(deq_last_error(p->ctx), "file"));
}

static void a_trained_model_predicts_as_it_was_evaluated(void **state)
{
    place *p = *state;
    deq_config c = small_config(p);
    set(p, &c, "training.average=0.5");
    run_through(p, &c, in(p, "run"));
    deq_trained *t;
    deq_evaluation all, some;
    deq_datasets data;
    must(p, deq_trained_open(&t, p->ctx, in(p, "run"), DEQ_WHICH_LAST, NULL));
    assert_int_equal(deq_trained_steps(t), 24);
    must(p, deq_config_test_set(&data, p->ctx, deq_trained_config(t)));
    must(p, deq_evaluate(&all, t, data.test, NULL, NULL, NULL));
    deq_predictor_options o = deq_predictor_defaults();
    o.batch = 7; /* a batch that does not divide the set: results do not depend on it */
    must(p, deq_evaluate(&some, t, data.test, &o, NULL, NULL));
    assert_int_equal(all.n_examples, 20);
    assert_int_equal(some.n_examples, 20);
    assert_int_equal(all.n_right, some.n_right);
    assert_true(fabs(all.loss - some.loss) < 1e-4);
    deq_datasets_free(&data);
    deq_trained_free(t);
}

/* All of a file, with a terminating zero; free() it. */
static char *contents(const char *path)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 20) - 1, file) < (1 << 20) - 1);
    fclose(file);
    return text;
}

static void assert_same_file(const char *a, const char *b)
{
    char *x = contents(a), *y = contents(b);
    assert_string_equal(x, y);
    free(x);
    free(y);
}

/* A program that embeds the library may have chosen a locale with a decimal comma. */
static void a_run_does_not_depend_on_the_locale(void **state)
{
    place *p = *state;
    deq_config c = small_config(p);
    if (!test_comma()) {
        print_message("no locale with a decimal comma\n");
        skip();
    }
    deq_run *run;
    int calls = 9;
    set(p, &c, "solver.divergence=.inf");
    set(p, &c, "solver.rtol=2.5e-4");
    must(p, deq_run_new(&run, p->ctx, &c, in(p, "comma")));
    assert_int_equal(train(p, run, &calls), DEQ_RUN_STOPPED);
    deq_run_free(run);
    must(p, deq_run_resume(&run, p->ctx, in(p, "comma"), NULL, 0));
    assert_int_equal(train(p, run, NULL), DEQ_RUN_DONE);
    deq_run_free(run);
    assert_int_equal(rename(in(p, "comma/report.html"), in(p, "report.html")), 0);
    test_point();

    must(p, deq_run_write_report(p->ctx, in(p, "comma")));
    assert_same_file(in(p, "report.html"), in(p, "comma/report.html"));
    run_through(p, &c, in(p, "point"));
    assert_same_file(in(p, "comma/config.yaml"), in(p, "point/config.yaml"));
    assert_same_checkpoint(p, in(p, "comma"), in(p, "point"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_place, clear_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(training_reduces_the_loss_and_leaves_a_folder),
        TEST(a_run_stopped_and_resumed_ends_with_the_same_bits),
        TEST(work_after_the_last_checkpoint_is_done_again_alike),
        TEST(a_diverging_run_is_ended_with_advice_and_its_checkpoint_stays),
        TEST(a_folder_with_a_run_is_not_written_over),
        TEST(only_what_may_change_changes_when_a_run_is_resumed),
        TEST(generated_examples_are_kept_back_without_a_loss_of_others),
        TEST(no_checkpoint_is_chosen_on_the_test_set),
        TEST(the_evaluation_at_the_end_can_be_stopped_and_done_again),
        TEST(a_run_that_went_further_is_not_resumed),
        TEST(broken_checkpoints_are_refused_and_left_alone),
        TEST(a_checkpoint_of_another_model_is_refused),
        TEST(a_folder_that_cannot_be_written_is_told),
        TEST(a_trained_model_predicts_as_it_was_evaluated),
        TEST(a_run_does_not_depend_on_the_locale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
