/* SPDX-License-Identifier: MIT */
/* deq train: a configuration becomes a trained model, in a folder of its own. */
#include "commands.h"
#include "context.h"
#include "json.h"
#include "settings.h"
#include "table.h"
#include "terminal.h"

#include <deq/train.h>
#include <math.h>
#include <string.h>
#include <time.h>

static const option options[] = {
    { .name = "set",
      .letter = 's',
      .kind = VALUE_TEXT,
      .argument = "KEY=VALUE",
      .repeatable = true,
      .help = "change a setting of the configuration; lists as [1, 2]" },
    { .name = "out",
      .letter = 'o',
      .kind = VALUE_FOLDER,
      .argument = "DIR",
      .help = "the folder of the run; default: runs/ and the configuration's name and the time" },
    { .name = "resume",
      .kind = VALUE_NONE,
      .help = "go on with the run in --out from its last checkpoint" },
    { .name = "print-config",
      .kind = VALUE_NONE,
      .help = "print the effective configuration with the meaning of every key, and do nothing" },
    { .name = "list-settings",
      .kind = VALUE_NONE,
      .help = "print every key with its type and meaning, and do nothing" },
};

static const option operands[] = {
    { .name = "CONFIG", .kind = VALUE_FILE, .help = "YAML; without it, the default configuration" },
};

/* ---- while it runs ---- */

typedef struct screen {
    progress bar;
    int64_t epoch;
} screen;

static void format_time(char *text, size_t size, double seconds)
{
    long s = seconds > 0 ? lround(seconds) : 0;
    if (s >= 3600)
        snprintf(text, size, "%ld h %02ld min", s / 3600, s / 60 % 60);
    else if (s >= 60)
        snprintf(text, size, "%ld min %02ld s", s / 60, s % 60);
    else
        snprintf(text, size, "%ld s", s);
}

static void note_evaluation(screen *s, const deq_run_progress *p)
{
    const deq_evaluation *e = p->evaluation;
    double n = e->n_examples > 0 ? (double)e->n_examples : 1;
    progress_note(&s->bar,
                  "step %lld, epoch %lld of %lld: accuracy %.2f %% of %lld %s, loss %.4f, %.1f "
                  "evaluations, residual %.2g",
                  (long long)p->step, (long long)p->epoch, (long long)p->epochs,
                  100 * (double)e->n_right / n, (long long)e->n_examples,
                  p->validation ? "kept back" : "test examples", e->loss, e->n_feval,
                  e->mean_residual);
    if (!isnan(e->spectral_radius))
        progress_note(&s->bar, "  spectral radius of df/dz %.3f", e->spectral_radius);
}

static bool show(void *user, const deq_run_progress *p)
{
    screen *s = user;
    char left[64] = "?";
    if (p->seconds_left >= 0) format_time(left, sizeof left, p->seconds_left);
    if (p->evaluation)
        note_evaluation(s, p);
    else if (p->test_total > 0)
        progress_update(&s->bar, p->step, "testing: %lld of %lld examples", (long long)p->tested,
                        (long long)p->test_total);
    else
        progress_update(&s->bar, p->step,
                        "loss %.4f  right %.0f %%  %s %.1f  residual %.1e  %.0f/s  %s left",
                        p->loss, 100 * p->accuracy, p->pretraining ? "layers" : "evaluations",
                        p->n_feval, p->residual, p->examples_per_second, left);
    return !interrupted();
}

/* ---- afterwards ---- */

static void print_results_table(const deq_run *run)
{
    static const char *const titles[] = {
        "data", "evaluations allowed", "right", "positions right", "mean evaluations", "residual",
        NULL
    };
    int n;
    const deq_budget_row *rows = deq_run_results(run, &n);
    table *t = table_new(titles, "lrrrrr");
    for (int i = 0; i < n; i++) {
        const deq_evaluation *e = &rows[i].result;
        double examples = e->n_examples > 0 ? (double)e->n_examples : 1;
        double positions = e->n_positions > 0 ? (double)e->n_positions : 1;
        if (rows[i].size > 0)
            table_add(t, "size %lld", (long long)rows[i].size);
        else
            table_add(t, "test set");
        table_add(t, "%d", rows[i].max_iter);
        table_add(t, "%.2f %%", 100 * (double)e->n_right / examples);
        table_add(t, "%.3f %%", 100 * (double)e->n_positions_right / positions);
        table_add(t, "%.1f", e->n_feval);
        table_add(t, "%.2g", e->mean_residual);
    }
    table_print(t, stdout);
    table_free(t);
}

static json_t *results_json(const deq_run *run, const char *folder)
{
    int n;
    const deq_budget_row *rows = deq_run_results(run, &n);
    json_t *result = json_object(), *list = json_array();
    json_put(result, "folder", json_text(folder));
    json_put(result, "steps", json_integer(deq_run_step(run)));
    for (int i = 0; i < n; i++) {
        json_t *row = evaluation_json(&rows[i].result);
        json_put(row, "size", json_integer(rows[i].size));
        json_put(row, "max_iter", json_integer(rows[i].max_iter));
        json_push(list, row);
    }
    json_put(result, "results", list);
    return result;
}

static int finish(const arguments *a, const deq_run *run, deq_run_end end, const char *folder)
{
    if (end == DEQ_RUN_TROUBLE) return fail(CLI_UNMET, a->path, "%s", deq_run_advice(run));
    if (end == DEQ_RUN_STOPPED)
        return fail(CLI_INTERRUPTED, a->path,
                    "stopped after step %lld, which is saved; go on with\n  deq train --resume "
                    "--out %s",
                    (long long)deq_run_step(run), folder);
    if (argument_flag(a, "json")) return print_json(results_json(run, folder));
    print_results_table(run);
    printf("\n%s/report.html has the curves.\n", folder);
    return CLI_OK;
}

/* ---- before ---- */

/* runs/NAME-20261123-184501 */
static void choose_folder(char *folder, size_t size, const char *config)
{
    char stamp[32];
    time_t now = time(NULL);
    const char *slash = config ? strrchr(config, '/') : NULL;
    const char *name = slash ? slash + 1 : config ? config : "default";
    const char *dot = strrchr(name, '.');
    strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", localtime(&now));
    snprintf(folder, size, "runs/%.*s-%s", dot ? (int)(dot - name) : (int)strlen(name), name,
             stamp);
}

static int list_settings(void)
{
    static const char *const titles[] = { "key", "value", "meaning", NULL };
    table *t = table_new(titles, "lll");
    deq_setting_info s;
    for (int i = 0; deq_config_setting(i, &s); i++) {
        table_add(t, "%s", s.key);
        table_add(t, "%s", s.type);
        table_add(t, "%s", s.help);
    }
    table_print(t, stdout);
    table_free(t);
    return CLI_OK;
}

static int open_run(deq_run **run, deq_context *ctx, const arguments *a, const char *folder)
{
    const char *set[64];
    int n = argument_count(a, "set");
    if (argument_flag(a, "resume")) {
        for (int i = 0; i < n && i < 64; i++) set[i] = argument_text_at(a, "set", i);
        return fail_status(a, ctx, deq_run_resume(run, ctx, folder, set, n < 64 ? n : 64));
    }
    deq_config config;
    int code = read_config(&config, ctx, a, argument_text(a, "CONFIG"));
    return code == CLI_OK ? fail_status(a, ctx, deq_run_new(run, ctx, &config, folder)) : code;
}

static int train(deq_context *ctx, const arguments *a, const char *folder)
{
    deq_run *run = NULL;
    deq_run_end end;
    screen s = { 0 };
    int code = open_run(&run, ctx, a, folder);
    if (code != CLI_OK) return code;
    int64_t begun = deq_run_step(run);
    progress_note(NULL, "%s: %lld parameters, from step %lld", folder,
                  (long long)deq_parameters_elements(deq_weights_parameters(deq_run_weights(run))),
                  (long long)begun);
    interrupt_watch();
    progress_start(&s.bar, "training", deq_run_steps(run));
    deq_status status = deq_run_train(&end, run, show, &s);
    progress_end(&s.bar);
    code = status == DEQ_OK ? finish(a, run, end, folder) : fail_status(a, ctx, status);
    deq_run_free(run);
    return code;
}

static int run(const arguments *a)
{
    char folder[1024];
    deq_context *ctx = NULL;
    if (argument_flag(a, "list-settings")) return list_settings();
    if (argument_flag(a, "resume") && !argument_given(a, "out"))
        return fail(CLI_USAGE, a->path, "--resume needs --out DIR: the run to go on with");
    if (argument_flag(a, "resume") && argument_given(a, "CONFIG"))
        return fail(CLI_USAGE, a->path,
                    "--resume takes the configuration from the run; use --set to change something");
    if (argument_count(a, "set") > 64) return fail(CLI_USAGE, a->path, "more than 64 --set");
    int code = open_context(&ctx, a);
    if (code != CLI_OK) return code;
    if (argument_flag(a, "print-config")) {
        code = print_config(ctx, a, argument_text(a, "CONFIG"));
    } else {
        if (argument_given(a, "out"))
            snprintf(folder, sizeof folder, "%s", argument_text(a, "out"));
        else
            choose_folder(folder, sizeof folder, argument_text(a, "CONFIG"));
        code = train(ctx, a, folder);
    }
    deq_context_free(ctx);
    return code;
}

static const example examples[] = {
    { "deq train configs/prefix-sums.yaml --out runs/sums",
      "train, and write everything to runs/sums" },
    { "deq train configs/mnist-mlp.yaml --set optimiser.rate=3e-4 --set solver.method=broyden",
      "with two settings changed" },
    { "deq train --resume --out runs/sums", "go on after a crash or Ctrl-C" },
    { "deq train --print-config > my.yaml", "begin a configuration of your own" },
};

const command command_train = {
    .name = "train",
    .summary = "train a model",
    .description =
        "Trains the model that CONFIG describes and writes a folder: config.yaml (the effective "
        "configuration), metrics.jsonl, TensorBoard's events, checkpoints/last.safetensors and, "
        "where data.validation keeps examples back to choose it, best.safetensors, and "
        "report.html with curves and results.\n\n"
        "Ctrl-C saves and says how to go on.  A run that was killed at any moment goes on with "
        "--resume from its last checkpoint, and ends with the same weights, bit for bit.\n\n"
        "A run whose loss is no longer finite, or whose solves diverge, is ended with advice "
        "(exit code 4).",
    .examples = examples,
    .n_examples = LENGTH(examples),
    .options = options,
    .n_options = LENGTH(options),
    .operands = operands,
    .n_operands = LENGTH(operands),
    .common = COMMON_JSON | COMMON_THREADS | COMMON_QUIET,
    .run = run,
};
