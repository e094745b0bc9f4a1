/* SPDX-License-Identifier: MIT */
/* Reports: the page, its sections and texts. */
#include "report/report.h"

#include <deq/version.h>

#include <stdio.h>
#include <string.h>

deq_status deq_report_new(deq_report **out, deq_context *ctx, const char *title)
{
    *out = NULL;
    if (!title || !*title) return deq_fail(ctx, DEQ_ERR_ARGUMENT, "report: a title is needed");
    deq_report *r = deq_alloc(ctx, sizeof *r);
    if (!r) return DEQ_ERR_NOMEM;
    r->ctx = r->body.ctx = r->contents.ctx = ctx;
    r->title = deq_strdup(ctx, title);
    if (!r->title) {
        deq_report_free(r);
        return DEQ_ERR_NOMEM;
    }
    *out = r;
    return DEQ_OK;
}

void deq_report_free(deq_report *r)
{
    if (!r) return;
    if (r->title) deq_release(r->ctx, r->title, strlen(r->title) + 1);
    deq_release(r->ctx, r->is_text, (size_t)r->n_columns * sizeof *r->is_text);
    deq_page_free(&r->body);
    deq_page_free(&r->contents);
    deq_release(r->ctx, r, sizeof *r);
}

void deq_report_check(deq_report *r, const deq_page *p)
{
    if (p->status != DEQ_OK) deq_mistake_set(&r->mistake, p->status, "report: out of memory");
}

static const char *end_of(deq_open open)
{
    switch (open) {
    case DEQ_OPEN_PAIRS: return "</tbody></table>\n";
    case DEQ_OPEN_FIGURES: return "</div>\n";
    default: return "";
    }
}

bool deq_report_open(deq_report *r, deq_open wanted)
{
    deq_report_check(r, &r->body);
    if (r->mistake.status == DEQ_OK && r->open == DEQ_OPEN_TABLE)
        deq_mistake_set(&r->mistake, DEQ_ERR_STATE, "report: a table was not ended");
    if (r->mistake.status != DEQ_OK) return false;
    if (r->open == wanted) return true;
    deq_page_raw(&r->body, end_of(r->open));
    r->open = wanted;
    if (wanted == DEQ_OPEN_PAIRS) deq_page_raw(&r->body, "<table class=\"pairs\"><tbody>\n");
    if (wanted == DEQ_OPEN_FIGURES) deq_page_raw(&r->body, "<div class=\"figures\">\n");
    return true;
}

void deq_report_heading(deq_report *r, int level, const char *text)
{
    if (!deq_report_open(r, DEQ_OPEN_NOTHING)) return;
    if (level < 1 || level > 3) {
        deq_mistake_set(&r->mistake, DEQ_ERR_ARGUMENT,
                        "report: heading of level %d, expected 1 to 3", level);
        return;
    }
    const int id = ++r->n_headings;
    deq_page_format(&r->body, "<h%d id=\"s%d\">", level + 1, id);
    deq_page_text(&r->body, text);
    deq_page_format(&r->body, "</h%d>\n", level + 1);
    if (level > 1) return;
    r->n_sections++;
    deq_page_format(&r->contents, "<li><a href=\"#s%d\">", id);
    deq_page_text(&r->contents, text);
    deq_page_raw(&r->contents, "</a></li>\n");
    deq_report_check(r, &r->contents);
}

/* Foreign text from a format. */
static void add_formatted(deq_report *r, const char *format, va_list args)
{
    va_list again;

    va_copy(again, args);
    const int n = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (n < 0) {
        deq_mistake_set(&r->mistake, DEQ_ERR_ARGUMENT, "report: a format makes no text");
        return;
    }
    char *text = deq_alloc(r->ctx, (size_t)n + 1);
    if (!text) {
        deq_mistake_set(&r->mistake, DEQ_ERR_NOMEM, "report: out of memory");
        return;
    }
    vsnprintf(text, (size_t)n + 1, format, args);
    deq_page_text(&r->body, text);
    deq_release(r->ctx, text, (size_t)n + 1);
}

void deq_report_paragraph(deq_report *r, const char *format, ...)
{
    va_list args;

    if (!deq_report_open(r, DEQ_OPEN_NOTHING)) return;
    deq_page_raw(&r->body, "<p>");
    va_start(args, format);
    add_formatted(r, format, args);
    va_end(args);
    deq_page_raw(&r->body, "</p>\n");
}

void deq_report_verbatim(deq_report *r, const char *summary, const char *text)
{
    deq_page *p = &r->body;

    if (!deq_report_open(r, DEQ_OPEN_NOTHING)) return;
    if (summary) {
        deq_page_raw(p, "<details><summary>");
        deq_page_text(p, summary);
        deq_page_raw(p, "</summary>\n");
    }
    deq_page_raw(p, "<pre>\n"); /* a first line end is dropped by readers of HTML: it is ours */
    deq_page_text(p, text);
    deq_page_raw(p, summary ? "</pre></details>\n" : "</pre>\n");
}

void deq_report_pair(deq_report *r, const char *name, const char *format, ...)
{
    va_list args;

    if (!deq_report_open(r, DEQ_OPEN_PAIRS)) return;
    deq_page_raw(&r->body, "<tr><th scope=\"row\">");
    deq_page_text(&r->body, name);
    deq_page_raw(&r->body, "</th><td>");
    va_start(args, format);
    add_formatted(r, format, args);
    va_end(args);
    deq_page_raw(&r->body, "</td></tr>\n");
}

static void add_caption(deq_page *p, const char *caption)
{
    if (!caption) return;
    deq_page_raw(p, "<figcaption>");
    deq_page_text(p, caption);
    deq_page_raw(p, "</figcaption>");
}

void deq_report_plot(deq_report *r, deq_plot *plot, const char *caption)
{
    if (!deq_report_open(r, DEQ_OPEN_FIGURES)) return;
    deq_page_raw(&r->body, "<figure>");
    const deq_status status = deq_plot_draw(&r->body, plot, false);
    if (status != DEQ_OK) deq_mistake_set(&r->mistake, status, "%s", deq_last_error(r->ctx));
    add_caption(&r->body, caption);
    deq_page_raw(&r->body, "</figure>\n");
}

/* Nothing comes from elsewhere, whatever the texts say. */
static const char policy[] = "<meta http-equiv=\"Content-Security-Policy\" "
                             "content=\"default-src 'none'; style-src 'unsafe-inline'; "
                             "img-src data:\"/>\n";

static const char style[] =
    "\n:root{color-scheme:light dark}\n"
    "body{font:16px/1.5 system-ui,-apple-system,'Segoe UI',sans-serif;color:#222;background:#fff;"
    "max-width:76rem;margin:2rem auto;padding:0 1.2rem;overflow-wrap:break-word}\n"
    "h1{font-size:1.7rem;margin:0 0 1rem}h2{font-size:1.3rem;margin:2.2rem 0 .6rem;"
    "border-bottom:1px solid #ccc}\n"
    "h3{font-size:1.1rem}h4{font-size:1rem}p{max-width:46rem}nav ul{columns:14rem;padding-left:"
    "1.2rem}\n"
    "a{color:#0060a0}pre{font:13px/1.4 ui-monospace,monospace;background:#f4f4f4;padding:.8rem;"
    "overflow:auto;white-space:pre-wrap}\n"
    "table{border-collapse:collapse;margin:.6rem 0;font-variant-numeric:tabular-nums;"
    "font-size:.92rem}\n"
    "caption,figcaption{text-align:left;color:#555;font-size:.88rem;padding:.2rem 0}\n"
    "th,td{padding:.18rem .7rem;border-bottom:1px solid #ddd;text-align:right;"
    "vertical-align:top}\n"
    ".s,.pairs th,.pairs td{text-align:left}.pairs th{font-weight:500;color:#555}"
    "thead th{border-bottom:2px solid #bbb}\n"
    ".wide{overflow-x:auto}.figures{display:flex;flex-wrap:wrap;gap:1rem;align-items:flex-start}"
    "figure{margin:.4rem 0;max-width:100%}\n"
    "img{image-rendering:pixelated;max-width:100%;height:auto}summary{cursor:pointer}"
    "footer{margin-top:3rem;color:#777;font-size:.8rem}\n"
    "@media screen and (prefers-color-scheme:dark){body{color:#ddd;background:#16181c}"
    "a{color:#7cc0ff}pre{background:#22252b}\n"
    "caption,figcaption,.pairs th{color:#aaa}th,td{border-color:#333}h2,thead th{border-color:"
    "#555}}\n"
    "@media print{body{margin:0;max-width:none}nav{display:none}figure,tr{break-inside:avoid}"
    "h2,h3{break-after:avoid}.wide{overflow:visible}}\n";

static void add_head(deq_page *p, const deq_report *r)
{
    deq_page_raw(p, "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n"
                    "<head>\n<meta charset=\"utf-8\"/>\n");
    deq_page_raw(p, policy);
    deq_page_raw(p, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
                    "<meta name=\"generator\" content=\"libdeq\"/>\n<title>");
    deq_page_text(p, r->title);
    deq_page_raw(p, "</title>\n<style>");
    deq_page_raw(p, style);
    deq_plot_style(p);
    deq_page_raw(p, "</style>\n</head>\n<body>\n<h1>");
    deq_page_text(p, r->title);
    deq_page_raw(p, "</h1>\n");
    if (r->n_sections < 3) return;
    deq_page_raw(p, "<nav><ul>\n");
    deq_page_bytes(p, r->contents.data, r->contents.length);
    deq_page_raw(p, "</ul></nav>\n");
}

static void add_foot(deq_page *p, const deq_report *r)
{
    deq_page_raw(p, end_of(r->open));
    deq_page_format(p, "<footer>libdeq %s</footer>\n</body>\n</html>\n", deq_version());
}

deq_status deq_report_write(deq_report *r, deq_write_fn *write, void *user)
{
    deq_page head = { .ctx = r->ctx }, foot = { .ctx = r->ctx };

    deq_report_check(r, &r->body);
    DEQ_TRY(deq_mistake_status(&r->mistake, r->ctx));
    if (r->open == DEQ_OPEN_TABLE)
        return deq_fail(r->ctx, DEQ_ERR_STATE, "report: a table was not ended");
    add_head(&head, r);
    add_foot(&foot, r);
    deq_status status = head.status != DEQ_OK ? head.status : foot.status;
    if (status == DEQ_OK) status = deq_page_write(&head, write, user);
    if (status == DEQ_OK) status = deq_page_write(&r->body, write, user);
    if (status == DEQ_OK) status = deq_page_write(&foot, write, user);
    deq_page_free(&head);
    deq_page_free(&foot);
    return status;
}

static deq_status write_report(void *report, deq_write_fn *write, void *user)
{
    return deq_report_write(report, write, user);
}

deq_status deq_report_save(deq_report *r, const char *path)
{
    return deq_page_save(r->ctx, path, write_report, r);
}
