/* SPDX-License-Identifier: MIT */
/* An audit as a table for people and as JSON. */
#include "implicit/audit.h"

#include <math.h>
#include <stdio.h>

typedef struct writer {
    deq_write_fn *write;
    void *user;
    bool failed;
} writer;

static void put(writer *w, const char *format, ...) DEQ_PRINTF(2, 3);
static void put(writer *w, const char *format, ...)
{
    char line[DEQ_MESSAGE_BYTES + 256];
    va_list args;
    if (w->failed) return;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    size_t length = n < 0 ? 0 : (size_t)n < sizeof line ? (size_t)n : sizeof line - 1;
    w->failed = !w->write(w->user, line, length);
}

/* Table -------------------------------------------------------------------------------------- */

static void text_row(writer *w, const deq_audit *t, int row)
{
    deq_audit_row r = deq_audit_get(t, row);
    if (r.status != DEQ_OK) {
        put(w, "%-18s %s: %s\n", r.name, deq_status_text(r.status), r.message);
        return;
    }
    put(w, "%-18s %10.6f %10.4g %8lld %9lld %7lld %11.3f %11.1f\n", r.name, r.total.cosine,
        r.total.norm_ratio, (long long)r.n_feval, (long long)r.n_product, (long long)r.n_failed,
        1e3 * r.seconds, (double)r.bytes / 1024);
}

static void text_parameter(writer *w, const deq_audit *t, int parameter)
{
    put(w, "\n%s\n", t->parameter[parameter]);
    for (int i = 1; i < t->n_rows; i++) {
        deq_audit_match m = deq_audit_parameter(t, i, parameter);
        if (t->entry[i].row.status == DEQ_OK)
            put(w, "  %-16s %10.6f %10.4g\n", t->entry[i].name, m.cosine, m.norm_ratio);
    }
}

static void write_text(writer *w, const deq_audit *t)
{
    put(w, "%-18s %10s %10s %8s %9s %7s %11s %11s\n", "gradient", "cosine", "norm ratio", "n_feval",
        "products", "failed", "ms", "KiB");
    for (int i = 0; i < t->n_rows; i++) text_row(w, t, i);
    for (int i = 0; i < t->n_parameters; i++) text_parameter(w, t, i);
}

/* JSON --------------------------------------------------------------------------------------- */

static void json_string(writer *w, const char *s)
{
    put(w, "\"");
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            put(w, "\\%c", c);
        else if (c < 0x20)
            put(w, "\\u%04x", (unsigned)c);
        else
            put(w, "%c", c);
    }
    put(w, "\"");
}

/* JSON has no infinity and no NaN; and the decimal point is a point whatever the locale. */
static void json_number(writer *w, const char *name, double x)
{
    char text[40];
    put(w, ", \"%s\": ", name);
    if (!isfinite(x)) {
        put(w, "null");
        return;
    }
    snprintf(text, sizeof text, "%.10g", x);
    for (char *c = text; *c; c++)
        if (*c == ',') *c = '.';
    put(w, "%s", text);
}

static void json_match(writer *w, deq_audit_match m)
{
    json_number(w, "cosine", m.cosine);
    json_number(w, "norm_ratio", m.norm_ratio);
}

static void json_row(writer *w, const deq_audit *t, int row)
{
    deq_audit_row r = deq_audit_get(t, row);
    put(w, "%s\n    { \"name\": ", row ? "," : "");
    json_string(w, r.name);
    put(w, ", \"status\": ");
    json_string(w, deq_status_text(r.status));
    if (r.status != DEQ_OK) {
        put(w, ", \"message\": ");
        json_string(w, r.message);
        put(w, " }");
        return;
    }
    json_match(w, r.total);
    json_number(w, "loss", r.loss);
    put(w, ", \"n_feval\": %lld, \"n_product\": %lld, \"n_failed\": %lld, \"bytes\": %zu",
        (long long)r.n_feval, (long long)r.n_product, (long long)r.n_failed, r.bytes);
    json_number(w, "seconds", r.seconds);
    put(w, ",\n      \"parameters\": [");
    for (int i = 0; i < t->n_parameters; i++) {
        put(w, "%s{ \"name\": ", i ? ", " : "");
        json_string(w, t->parameter[i]);
        json_match(w, deq_audit_parameter(t, row, i));
        put(w, " }");
    }
    put(w, "] }");
}

static void write_json(writer *w, const deq_audit *t)
{
    put(w, "{ \"rows\": [");
    for (int i = 0; i < t->n_rows; i++) json_row(w, t, i);
    put(w, "\n] }\n");
}

deq_status deq_audit_write(const deq_audit *audit, deq_describe_format format, deq_write_fn *write,
                           void *user)
{
    writer w = { .write = write, .user = user };
    if (format == DEQ_DESCRIBE_TEXT)
        write_text(&w, audit);
    else if (format == DEQ_DESCRIBE_JSON)
        write_json(&w, audit);
    else
        return deq_fail(audit->ctx, DEQ_ERR_ARGUMENT, "audit: format %d, expected text or JSON",
                        (int)format);
    return w.failed ? deq_fail(audit->ctx, DEQ_ERR_IO, "audit: the writer refused") : DEQ_OK;
}
