/* SPDX-License-Identifier: MIT */
/* The page of `deq vote ... --report`. */
#include "vote_page.h"

#include "command.h"
#include "text.h"

#include <deq/report.h>
#include <math.h>
#include <stdlib.h>

enum { MOST_SHOWN = 25, MOST_IN_PLOT = 20 };

/* A plot goes onto the page; what is wrong with it is the page's mistake. */
static void put_plot(deq_status *status, deq_report *r, deq_plot *plot, const char *caption)
{
    if (*status == DEQ_OK) deq_report_plot(r, plot, caption);
    deq_plot_free(plot);
}

/* Accuracies ------------------------------------------------------------------------------------- */

static void put_accuracy_table(deq_report *r, const vote_page *page)
{
    static const deq_column columns[] = { { "", true },
                                          { "believed", false },
                                          { "achieved", false },
                                          { "95 % interval", true },
                                          { "difference", false },
                                          { "", true } };
    deq_report_table(r, NULL, columns, LENGTH(columns), false);
    for (int i = 0; i < page->n_accuracies; i++) {
        const page_accuracy *a = &page->accuracies[i];
        char interval[64] = "";
        if (!isnan(a->low)) snprintf(interval, sizeof interval, "%.4f to %.4f", a->low, a->high);
        deq_report_cell(r, a->name);
        deq_report_number(r, a->believed, 4);
        deq_report_number(r, a->achieved, 4);
        deq_report_cell(r, interval);
        deq_report_number(r, a->achieved - a->believed, 3);
        deq_report_cell(r, a->note);
    }
    deq_report_table_end(r);
}

static void put_accuracy_plot(deq_status *status, deq_context *ctx, deq_report *r,
                              const vote_page *page)
{
    deq_plot *plot;
    *status = deq_plot_new(&plot, ctx,
                           DEQ_PLOT(.title = "Believed against achieved accuracy",
                                    .x = { .label = "believed" }, .y = { .label = "achieved" },
                                    .width = 480, .height = 460));
    if (*status != DEQ_OK) return;
    for (int i = 0; i < page->n_accuracies; i++) {
        const page_accuracy *a = &page->accuracies[i];
        const char *title = a->name;
        if (isnan(a->believed) || isnan(a->achieved)) continue;
        deq_plot_add(plot, DEQ_SERIES(.name = a->name, .mark = DEQ_MARK_SCATTER, .count = 1,
                                      .x = &a->believed, .y = &a->achieved, .low = &a->low,
                                      .high = &a->high, .titles = &title));
    }
    deq_plot_guide(plot, DEQ_GUIDE_DIAGONAL, 0, "as believed");
    put_plot(status, r, plot,
             "Below the line decisions are worth less than is believed: trust is too high. "
             "Whiskers are Wilson's 95 % intervals.");
}

static void put_accuracies(deq_status *status, deq_context *ctx, deq_report *r,
                           const vote_page *page)
{
    int known = 0;
    for (int i = 0; i < page->n_accuracies; i++)
        known += !isnan(page->accuracies[i].believed) && !isnan(page->accuracies[i].achieved);
    if (page->n_accuracies == 0) return;
    deq_report_heading(r, 1, "Believed and achieved accuracy");
    deq_report_paragraph(
        r,
        "Believed is the mean probability of the labels decided; achieved is counted on tasks of "
        "known truth%s. With unbiased trust the two agree on average.",
        known ? "" : ", of which there were none here");
    put_accuracy_table(r, page);
    if (known > 0) put_accuracy_plot(status, ctx, r, page);
}

/* Reliability ------------------------------------------------------------------------------------ */

/* 95 %, Wilson. */
static void interval_of(deq_reliability_bin *b)
{
    const double n = (double)b->count, p = b->accuracy, z = 1.959963984540054;
    const double middle = (p + z * z / (2 * n)) / (1 + z * z / n);
    const double half = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n));
    b->accuracy_low = fmax(middle - half, 0);
    b->accuracy_high = fmin(middle + half, 1);
}

static void put_diagram(deq_status *status, deq_context *ctx, deq_report *r, const page_bin *bins,
                        int n, const char *title, const char *x_label, const char *caption)
{
    deq_reliability_bin *b = must_alloc((size_t)(n ? n : 1) * sizeof *b);
    deq_plot *plot = NULL;
    for (int i = 0; i < n; i++) {
        b[i] = (deq_reliability_bin){ .low = bins[i].low,
                                      .high = bins[i].high,
                                      .count = bins[i].count,
                                      .confidence = bins[i].believed,
                                      .accuracy = bins[i].achieved };
        if (bins[i].count > 0)
            interval_of(&b[i]);
        else
            b[i].confidence = b[i].accuracy = 0;
    }
    if (*status == DEQ_OK)
        *status = deq_plot_reliability(
            &plot, ctx, b, (size_t)n,
            &(deq_reliability_options){ .struct_size = sizeof(deq_reliability_options),
                                        .title = title,
                                        .x_label = x_label,
                                        .y_label = "share that was right" });
    free(b);
    put_plot(status, r, plot, caption);
}

static void put_reliability(deq_status *status, deq_context *ctx, deq_report *r,
                            const vote_page *page)
{
    if (!page->decisions) return;
    deq_report_heading(r, 1, "Reliability");
    deq_report_paragraph(r,
                         "Expected calibration error %.4f; the test of Hosmer and Lemeshow gives p "
                         "= %.3g: small values say that the probabilities are wrong.",
                         page->calibration_error, page->p_value);
    put_diagram(status, ctx, r, page->decisions, page->n_decisions, "Decisions",
                "probability of the label decided", "Tasks of known truth, by what was believed.");
    if (page->trust)
        put_diagram(status, ctx, r, page->trust, page->n_trust, "Trust in workers",
                    "trust in who voted", "Votes on held-out tasks, by the trust in their worker.");
}

/* Workers ---------------------------------------------------------------------------------------- */

static void put_worker_plot(deq_status *status, deq_context *ctx, deq_report *r,
                            const vote_page *page)
{
    const int64_t n = page->n_workers < MOST_IN_PLOT ? page->n_workers : MOST_IN_PLOT;
    const char *names[MOST_IN_PLOT];
    double decides[MOST_IN_PLOT];
    deq_plot *plot;
    for (int64_t i = 0; i < n; i++) {
        names[i] = page->workers[i].name;
        decides[i] = page->workers[i].pivot * (double)page->workers[i].votes;
    }
    if (*status == DEQ_OK)
        *status = deq_plot_new(&plot, ctx,
                               DEQ_PLOT(.title = "Most influential workers",
                                        .y = { .label = "tasks left to the worker" },
                                        .categories = names, .n_categories = (size_t)n));
    if (*status != DEQ_OK) return;
    deq_plot_add(plot, DEQ_SERIES(.mark = DEQ_MARK_BAR, .count = (size_t)n, .y = decides));
    put_plot(status, r, plot, "Tasks whose decision the votes of the others leave to this worker.");
}

static void put_workers(deq_status *status, deq_context *ctx, deq_report *r, const vote_page *page)
{
    static const deq_column columns[] = { { "worker", true },   { "votes", false },
                                          { "pivotal", false }, { "decides", false },
                                          { "trust", false },   { "95 % interval", true },
                                          { "weight", false },  { "known truth", false },
                                          { "right", false } };
    if (!page->workers || page->n_workers == 0) return;
    deq_report_heading(r, 1, "Most influential workers");
    deq_report_paragraph(
        r,
        "A worker is pivotal on a task when the other votes leave the decision to it, "
        "whatever it votes. Of %lld workers the first %lld by tasks decided.",
        (long long)page->all_workers,
        (long long)(page->n_workers < MOST_SHOWN ? page->n_workers : MOST_SHOWN));
    put_worker_plot(status, ctx, r, page);
    deq_report_table(r, NULL, columns, LENGTH(columns), false);
    for (int64_t i = 0; i < page->n_workers && i < MOST_SHOWN; i++) {
        const page_worker *w = &page->workers[i];
        char interval[64] = "";
        if (!isnan(w->low)) snprintf(interval, sizeof interval, "%.3f to %.3f", w->low, w->high);
        deq_report_cell(r, w->name);
        deq_report_integer(r, w->votes);
        deq_report_number(r, w->pivot, 3);
        deq_report_number(r, w->pivot * (double)w->votes, 4);
        deq_report_number(r, w->trust, 4);
        deq_report_cell(r, interval);
        if (isnan(w->weight))
            deq_report_cell(r, "");
        else
            deq_report_number(r, w->weight, 4);
        deq_report_integer(r, w->gold);
        deq_report_integer(r, w->correct);
    }
    deq_report_table_end(r);
}

deq_status write_vote_page(deq_context *ctx, const vote_page *page, const char *path)
{
    deq_report *r;
    deq_status status = deq_report_new(&r, ctx, page->title);
    if (status != DEQ_OK) return status;
    for (int i = 0; i < page->n_facts; i++)
        deq_report_pair(r, page->facts[i].name, "%s", page->facts[i].value);
    put_accuracies(&status, ctx, r, page);
    put_reliability(&status, ctx, r, page);
    put_workers(&status, ctx, r, page);
    if (status == DEQ_OK) status = deq_report_save(r, path);
    deq_report_free(r);
    return status;
}
