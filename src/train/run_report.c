/* SPDX-License-Identifier: MIT */
/* report.html, from metrics.jsonl alone: so it can be written again at any time. */
#include "base/context.h"
#include "base/number.h"

#include <deq/report.h>
#include <deq/train/run.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_BYTES 4096
#define MAX_SIZES 64

/* The lines of metrics.jsonl. */
typedef struct lines {
    json_t **line;
    size_t count, capacity;
} lines;

/* A column of the lines of one kind, with their steps. */
typedef struct column {
    double *x, *y;
    size_t count, capacity;
} column;

static const char *kind_of(const json_t *line)
{
    const char *kind = json_string_value(json_object_get(line, "kind"));
    return kind ? kind : "";
}

/* A number, NaN for null and what is missing. */
static double number(const json_t *line, const char *name)
{
    const json_t *v = json_object_get(line, name);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

/* ---- reading ---- */

static deq_status read_lines(lines *l, deq_context *ctx, const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) return deq_fail(ctx, DEQ_ERR_IO, "%s: %s", path, strerror(errno));
    deq_status status = DEQ_OK;
    size_t number = 0;
    while (status == DEQ_OK) {
        json_error_t error;
        int c = getc(file);
        if (c == EOF) break;
        if (c == '\n') {
            number++;
            continue;
        }
        ungetc(c, file);
        json_t *line = json_loadf(file, JSON_DISABLE_EOF_CHECK, &error);
        if (!line) {
            status = deq_fail(ctx, DEQ_ERR_DATA, "%s:%zu: %s", path, number + 1, error.text);
            break;
        }
        status = deq_grow(ctx, (void **)&l->line, &l->capacity, l->count + 1, sizeof *l->line);
        if (status == DEQ_OK)
            l->line[l->count++] = line;
        else
            json_decref(line);
    }
    fclose(file);
    return status;
}

static void free_lines(lines *l, deq_context *ctx)
{
    for (size_t i = 0; i < l->count; i++) json_decref(l->line[i]);
    deq_release(ctx, l->line, l->capacity * sizeof *l->line);
}

static void free_column(column *c, deq_context *ctx)
{
    deq_release(ctx, c->x, c->capacity * sizeof *c->x);
    deq_release(ctx, c->y, c->capacity * sizeof *c->y);
    *c = (column){ 0 };
}

/* y = metric `name` against x = metric `against`, over the lines of a kind (and size, if >= 0). */
static deq_status take_column(column *c, deq_context *ctx, const lines *l, const char *kind,
                              const char *against, const char *name, double size)
{
    *c = (column){ .capacity = l->count + 1 };
    c->x = deq_alloc_array(ctx, c->capacity, sizeof *c->x);
    c->y = deq_alloc_array(ctx, c->capacity, sizeof *c->y);
    if (!c->x || !c->y) {
        free_column(c, ctx);
        return DEQ_ERR_NOMEM;
    }
    for (size_t i = 0; i < l->count; i++) {
        if (strcmp(kind_of(l->line[i]), kind) != 0) continue;
        if (size >= 0 && number(l->line[i], "size") != size) continue;
        if (!json_object_get(l->line[i], name)) continue;
        c->x[c->count] = number(l->line[i], against);
        c->y[c->count++] = number(l->line[i], name);
    }
    return DEQ_OK;
}

/* ---- plots over the steps ---- */

typedef struct curve {
    const char *title, *label, *metric;
    deq_scale scale;
    bool evaluated; /* evaluations have this metric too */
    const char *caption;
} curve;

static const curve curves[] = {
    { "Loss", "cross entropy", "loss", DEQ_SCALE_LOG, true, NULL },
    { "Accuracy", "examples right in every position", "accuracy", DEQ_SCALE_LINEAR, true, NULL },
    { "Residual", "|f(z) - z|", "residual", DEQ_SCALE_LOG, true,
      "Mean over the samples of a batch, of the state that the solver returned." },
    { "Evaluations of f", "a sample", "n_feval", DEQ_SCALE_LINEAR, true,
      "Forward solve; unrolled pre-training counts its layers." },
    { "Norm of the gradient", "|g|", "gradient_norm", DEQ_SCALE_LOG, false, "Before clipping." },
    { "Learning rate", "rate", "rate", DEQ_SCALE_LINEAR, false, NULL },
    { "Backward solve", "products with J", "adjoint_products", DEQ_SCALE_LINEAR, false, NULL },
    { "Jacobian penalty", "|J|_F^2 / d", "penalty", DEQ_SCALE_LOG, false, NULL },
    { "Spectral radius", "of df/dz", "spectral_radius", DEQ_SCALE_LINEAR, true,
      "Largest over a batch, by Arnoldi's method." },
};

/* What was evaluated while training: the examples kept back, or the test set. */
static const char *evaluated_kind(const lines *l)
{
    for (size_t i = 0; i < l->count; i++)
        if (strcmp(kind_of(l->line[i]), "validation") == 0) return "validation";
    return "evaluation";
}

static deq_status add_curve(deq_report *report, deq_context *ctx, const lines *l, const curve *c)
{
    column training, evaluation = { 0 };
    const char *kind = evaluated_kind(l);
    bool kept_back = strcmp(kind, "validation") == 0;
    DEQ_TRY(take_column(&training, ctx, l, "train", "step", c->metric, -1));
    deq_status status = DEQ_OK;
    if (c->evaluated) status = take_column(&evaluation, ctx, l, kind, "step", c->metric, -1);
    deq_plot *plot = NULL;
    if (status == DEQ_OK && training.count + evaluation.count > 0)
        status = deq_plot_new(&plot, ctx,
                              DEQ_PLOT(.title = c->title, .x = { .label = "step" },
                                       .y = { .label = c->label, .scale = c->scale }));
    if (plot) {
        deq_plot_add(plot, DEQ_SERIES(.name = "training", .count = training.count, .x = training.x,
                                      .y = training.y));
        if (evaluation.count > 0)
            deq_plot_add(plot, DEQ_SERIES(.name = kept_back ? "validation" : "test set",
                                          .mark = DEQ_MARK_LINE_POINTS, .count = evaluation.count,
                                          .x = evaluation.x, .y = evaluation.y));
        deq_report_plot(report, plot, c->caption);
        deq_plot_free(plot);
    }
    free_column(&training, ctx);
    free_column(&evaluation, ctx);
    return status;
}

/* ---- accuracy against budget ---- */

static int list_sizes(double sizes[MAX_SIZES], const lines *l)
{
    int n = 0;
    for (size_t i = 0; i < l->count; i++) {
        if (strcmp(kind_of(l->line[i]), "test") != 0) continue;
        double size = number(l->line[i], "size");
        int j = 0;
        while (j < n && sizes[j] != size) j++;
        if (j == n && n < MAX_SIZES && size >= 0) sizes[n++] = size;
    }
    return n;
}

static void name_size(char *name, size_t room, double size)
{
    if (size == 0)
        snprintf(name, room, "test set");
    else
        snprintf(name, room, "size %.0f", size);
}

static deq_status plot_budgets(deq_report *report, deq_context *ctx, const lines *l,
                               const double *sizes, int n)
{
    deq_plot *plot;
    DEQ_TRY(deq_plot_new(&plot, ctx,
                         DEQ_PLOT(.title = "Accuracy against solver budget",
                                  .x = { .label = "evaluations allowed", .scale = DEQ_SCALE_LOG },
                                  .y = { .label = "examples right", .fixed = true, .high = 1 })));
    deq_status status = DEQ_OK;
    for (int i = 0; i < n && status == DEQ_OK; i++) {
        column c;
        char name[64];
        status = take_column(&c, ctx, l, "test", "max_iter", "accuracy", sizes[i]);
        if (status != DEQ_OK) break;
        name_size(name, sizeof name, sizes[i]);
        deq_plot_add(plot, DEQ_SERIES(.name = name, .mark = DEQ_MARK_LINE_POINTS, .count = c.count,
                                      .x = c.x, .y = c.y));
        free_column(&c, ctx);
    }
    deq_report_plot(report, plot, "An example is right when every position of it is.");
    deq_plot_free(plot);
    return status;
}

static void tabulate_budgets(deq_report *report, const lines *l)
{
    static const deq_column columns[] = {
        { "data", true },
        { "evaluations allowed", false },
        { "examples", false },
        { "right", false },
        { "positions right", false },
        { "loss", false },
        { "evaluations", false },
        { "residual", false },
        { "converged", false },
    };
    deq_report_table(report, "Test results", columns, (int)(sizeof columns / sizeof *columns),
                     false);
    for (size_t i = 0; i < l->count; i++) {
        const json_t *line = l->line[i];
        char name[64];
        if (strcmp(kind_of(line), "test") != 0) continue;
        name_size(name, sizeof name, number(line, "size"));
        deq_report_cell(report, name);
        deq_report_number(report, number(line, "max_iter"), 10);
        deq_report_number(report, number(line, "examples"), 10);
        deq_report_number(report, number(line, "accuracy"), 5);
        deq_report_number(report, number(line, "element_accuracy"), 6);
        deq_report_number(report, number(line, "loss"), 4);
        deq_report_number(report, number(line, "n_feval"), 4);
        deq_report_number(report, number(line, "residual"), 3);
        deq_report_number(report, number(line, "converged"), 4);
    }
    deq_report_table_end(report);
}

static deq_status add_results(deq_report *report, deq_context *ctx, const lines *l)
{
    double sizes[MAX_SIZES];
    int n = list_sizes(sizes, l);
    if (n == 0) {
        deq_report_paragraph(report, "Training has not ended yet; there are no test results.");
        return DEQ_OK;
    }
    deq_report_paragraph(report, "With the weights of the last step.");
    DEQ_TRY(plot_budgets(report, ctx, l, sizes, n));
    tabulate_budgets(report, l);
    return DEQ_OK;
}

/* ---- the page ---- */

static char *read_text(deq_context *ctx, const char *path, size_t *room)
{
    FILE *file = fopen(path, "rb");
    *room = 1 << 16;
    char *text = file ? deq_alloc(ctx, *room) : NULL;
    if (text) text[fread(text, 1, *room - 1, file)] = 0;
    if (file) fclose(file);
    return text;
}

static void add_number(deq_report *report, const char *name, char conversion, int digits,
                       double value)
{
    char text[DEQ_NUMBER_BYTES];
    deq_report_pair(report, name, "%s", deq_number_text(text, conversion, digits, value));
}

static void add_head(deq_report *report, const lines *l)
{
    const json_t *last = NULL;
    double best = NAN, best_step = NAN;
    for (size_t i = 0; i < l->count; i++) {
        if (strcmp(kind_of(l->line[i]), "train") == 0) last = l->line[i];
        if (strcmp(kind_of(l->line[i]), "validation") != 0) continue;
        double accuracy = number(l->line[i], "accuracy");
        if (best >= accuracy) continue;
        best = accuracy;
        best_step = number(l->line[i], "step");
    }
    if (!last) return;
    add_number(report, "steps", 'f', 0, number(last, "step"));
    add_number(report, "last loss", 'g', 4, number(last, "loss"));
    if (!isnan(best)) {
        add_number(report, "best accuracy on validation", 'f', 4, best);
        add_number(report, "at step", 'f', 0, best_step);
    }
    add_number(report, "seconds a step", 'g', 3, number(last, "seconds"));
}

static deq_status compose(deq_report *report, deq_context *ctx, const lines *l, const char *folder)
{
    char path[PATH_BYTES];
    size_t room;
    deq_status status = DEQ_OK;
    add_head(report, l);
    deq_report_heading(report, 1, "Training");
    for (size_t i = 0; i < sizeof curves / sizeof *curves && status == DEQ_OK; i++)
        status = add_curve(report, ctx, l, &curves[i]);
    deq_report_heading(report, 1, "Results");
    if (status == DEQ_OK) status = add_results(report, ctx, l);
    deq_report_heading(report, 1, "Configuration");
    snprintf(path, sizeof path, "%s/config.yaml", folder);
    char *config = read_text(ctx, path, &room);
    if (config) deq_report_verbatim(report, "config.yaml", config);
    deq_release(ctx, config, room);
    return status;
}

deq_status deq_run_write_report(deq_context *ctx, const char *folder)
{
    char path[PATH_BYTES];
    lines l = { 0 };
    deq_report *report = NULL;
    if (snprintf(path, sizeof path, "%s/metrics.jsonl", folder) >= (int)sizeof path)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "the path of the run is too long");
    deq_status status = read_lines(&l, ctx, path);
    if (status == DEQ_OK) status = deq_report_new(&report, ctx, "Training an equilibrium model");
    if (status == DEQ_OK) status = compose(report, ctx, &l, folder);
    snprintf(path, sizeof path, "%s/report.html", folder);
    if (status == DEQ_OK) status = deq_report_save(report, path);
    deq_report_free(report);
    free_lines(&l, ctx);
    return status;
}
