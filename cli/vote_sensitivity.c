/* SPDX-License-Identifier: MIT */
/* deq vote sensitivity: what each source does to the accuracy of a vote. */
#include "context.h"
#include "text.h"
#include "vote.h"
#include "vote_sources.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const titles[] = { "worker", "trust",     "weight",     "pivot", "influence",
                                      "share",  "trust_low", "trust_high", NULL };

typedef struct found {
    sources s;
    deq_vote_sensitivity_result r;
    deq_vote_sensitivity_source *sources; /* [n] */
} found;

static void write_sources(sheet *out, void *user)
{
    const found *f = user;
    for (int64_t i = 0; i < f->s.n; i++) {
        const deq_vote_sensitivity_source *s = &f->sources[i];
        sheet_text(out, f->s.names[i]);
        sheet_number(out, f->s.t[i]);
        sheet_number(out, s->weight);
        sheet_number(out, s->pivot);
        sheet_number(out, s->influence);
        sheet_number(out, s->share);
        sheet_number(out, s->trust_low);
        sheet_number(out, s->trust_high);
    }
}

static int find_source(int64_t *at, const found *f, const char *name, size_t length)
{
    for (*at = 0; *at < f->s.n; ++*at)
        if (strlen(f->s.names[*at]) == length && memcmp(f->s.names[*at], name, length) == 0)
            return CLI_OK;
    return fail(CLI_USAGE, f->s.a->path, "option '--pair': there is no source '%.*s'", (int)length,
                name);
}

/* d2C / dp_i dp_j of the pairs asked for. */
static int add_pairs(json_t *result, const found *f, const deq_vote_correctness_options *o)
{
    const arguments *a = f->s.a;
    json_t *rows = json_array();
    int code = CLI_OK;
    for (int k = 0; k < argument_count(a, "pair") && code == CLI_OK; k++) {
        const char *text = argument_text_at(a, "pair", k);
        const size_t first = strcspn(text, ",");
        const char *second = text + first + (text[first] == ',');
        int64_t i, j;
        double mixed;
        if (!*second) code = fail(CLI_USAGE, a->path, "option '--pair': expected two sources A,B");
        if (code == CLI_OK) code = find_source(&i, f, text, first);
        if (code == CLI_OK) code = find_source(&j, f, second, strlen(second));
        if (code != CLI_OK) break;
        code = fail_status(
            a, f->s.ctx,
            deq_vote_mixed(&mixed, f->s.ctx, f->s.n, f->s.t, f->s.p ? f->s.p : f->s.t, i, j, o));
        json_t *row = json_object();
        json_put(row, "first", json_text(f->s.names[i]));
        json_put(row, "second", json_text(f->s.names[j]));
        json_put(row, "mixed_derivative", json_number(mixed));
        json_push(rows, row);
    }
    if (json_array_size(rows) > 0)
        json_put(result, "pairs", rows);
    else
        json_decref(rows);
    return code;
}

static json_t *summary(const found *f)
{
    const deq_vote_sensitivity_result *r = &f->r;
    json_t *o = json_object();
    json_put(o, "sources", json_integer(f->s.n));
    json_put(o, "believed", json_number(r->believed.correctness));
    if (f->s.p) {
        json_put(o, "actual", json_number(r->actual.correctness));
        json_put(o, "believed_minus_actual", json_number(r->difference));
        json_put(o, "to_first_order", json_number(r->first_order));
    }
    json_put(o, "flip_radius", json_number(r->flip_radius));
    json_put(o, "method", json_string(deq_vote_correctness_method_name(r->method)));
    json_put(o, "certified", json_boolean(r->certified));
    if (!r->certified) json_put(o, "pivot_band", json_number(r->pivot_band));
    return o;
}

static int compute(found *f, json_t **result)
{
    deq_vote_correctness_options o;
    correctness_options(&o, f->s.a);
    f->sources = must_alloc((size_t)(f->s.n ? f->s.n : 1) * sizeof *f->sources);
    int code = fail_status(f->s.a, f->s.ctx,
                           deq_vote_sensitivity(&f->r, f->sources, f->s.ctx, f->s.n, f->s.t,
                                                f->s.p ? f->s.p : f->s.t, &o));
    if (code != CLI_OK) return code;
    *result = summary(f);
    return add_pairs(*result, f, &o);
}

static int run(const arguments *a)
{
    found f = { 0 };
    json_t *result = NULL;
    int code = check_formats(a);
    if (code != CLI_OK) return code;
    code = sources_open(&f.s, a);
    if (code == CLI_OK) code = compute(&f, &result);
    if (code == CLI_OK)
        code = print_rows_result(a, result, "each", titles, "lrrrrrrr", write_sources, &f);
    else
        json_decref(result);
    free(f.sources);
    sources_close(&f.s);
    return code;
}

static const option options[] = {
    SOURCES_OPTIONS,
    { .name = "pair",
      .kind = VALUE_TEXT,
      .argument = "A,B",
      .repeatable = true,
      .help = "mixed derivative of two sources: do they substitute (negative) or complement\n"
              "each other" },
    CSV_OPTION("the sources"),
};

static const option operands[] = {
    { .name = "FILE", .kind = VALUE_FILE, .help = SOURCES_HELP },
};

static const example examples[] = {
    { "deq vote sensitivity --t 0.9,0.8,0.7,0.6,0.55", "who is pivotal, and how often" },
    { "deq vote sensitivity --t 0.8,0.7,0.7 --p 0.75,0.7,0.7 --pair 1,2",
      "what a wrong trust costs, and how two sources interact" },
    { "deq vote sensitivity trust.csv --csv", "of the workers that deq vote trust wrote" },
};

const command command_vote_sensitivity = {
    .name = "sensitivity",
    .summary = "compute what each source does to the accuracy of a vote",
    .description =
        "The rule of deq vote accuracy, source by source:\n"
        "  pivot      dC(t,p)/dp: the probability that the others leave the decision to this source;\n"
        "             negative where its vote is reversed\n"
        "  influence  the same at p = 1/2 for this source\n"
        "  share      |pivot| as a part of the sum\n"
        "  trust_low, trust_high   trust may move between them before any decision changes\n"
        "flip_radius is the least relative change of the weights, all at once, that changes a decision. "
        "With p the difference believed - actual stands beside its first order, the sum of pivot (t - p). "
        "Intervals and radius are known for up to 44 sources of different weights.\n",
    .options = options,
    .n_options = LENGTH(options),
    .operands = operands,
    .n_operands = LENGTH(operands),
    .examples = examples,
    .n_examples = LENGTH(examples),
    .common = COMMON_JSON | COMMON_THREADS,
    .run = run,
};
