/* SPDX-License-Identifier: MIT */
/* Tables of a report. */
#include "report/report.h"

enum { MOST_COLUMNS = 256 };

static void add_head(deq_page *p, const char *caption, const deq_column *columns, int n,
                     bool folded)
{
    if (folded) {
        deq_page_raw(p, "<details><summary>");
        deq_page_text(p, caption ? caption : "table");
        deq_page_raw(p, "</summary>\n");
    }
    deq_page_raw(p, "<div class=\"wide\"><table>");
    if (caption && !folded) {
        deq_page_raw(p, "<caption>");
        deq_page_text(p, caption);
        deq_page_raw(p, "</caption>");
    }
    deq_page_raw(p, "<thead><tr>");
    for (int i = 0; i < n; i++) {
        deq_page_format(p, "<th scope=\"col\"%s>", columns[i].text ? " class=\"s\"" : "");
        deq_page_text(p, columns[i].name);
        deq_page_raw(p, "</th>");
    }
    deq_page_raw(p, "</tr></thead><tbody>\n");
}

void deq_report_table(deq_report *r, const char *caption, const deq_column *columns, int n_columns,
                      bool folded)
{
    if (!deq_report_open(r, DEQ_OPEN_NOTHING)) return;
    if (n_columns < 1 || n_columns > MOST_COLUMNS || !columns) {
        deq_mistake_set(&r->mistake, DEQ_ERR_ARGUMENT,
                        "report: a table of %d columns, expected 1 to %d", n_columns, MOST_COLUMNS);
        return;
    }
    bool *is_text = deq_alloc_array(r->ctx, (size_t)n_columns, sizeof *is_text);
    if (!is_text) {
        deq_mistake_set(&r->mistake, DEQ_ERR_NOMEM, "report: out of memory");
        return;
    }
    for (int i = 0; i < n_columns; i++) is_text[i] = columns[i].text;
    deq_release(r->ctx, r->is_text, (size_t)r->n_columns * sizeof *r->is_text);
    r->is_text = is_text;
    r->n_columns = n_columns;
    r->column = 0;
    r->folded = folded;
    r->open = DEQ_OPEN_TABLE;
    add_head(&r->body, caption, columns, n_columns, folded);
}

static bool in_table(deq_report *r, const char *what)
{
    if (r->mistake.status == DEQ_OK && r->open != DEQ_OPEN_TABLE)
        deq_mistake_set(&r->mistake, DEQ_ERR_STATE, "report: %s outside of a table", what);
    return r->mistake.status == DEQ_OK;
}

static deq_page *begin_cell(deq_report *r)
{
    if (!in_table(r, "a cell")) return NULL;
    if (r->column == 0) deq_page_raw(&r->body, "<tr>");
    deq_page_raw(&r->body, r->is_text[r->column] ? "<td class=\"s\">" : "<td>");
    return &r->body;
}

static void end_cell(deq_report *r)
{
    deq_page_raw(&r->body, "</td>");
    if (++r->column < r->n_columns) return;
    r->column = 0;
    deq_page_raw(&r->body, "</tr>\n");
}

void deq_report_cell(deq_report *r, const char *text)
{
    deq_page *p = begin_cell(r);

    if (!p) return;
    deq_page_text(p, text);
    end_cell(r);
}

void deq_report_number(deq_report *r, double value, int digits)
{
    deq_page *p = begin_cell(r);

    if (!p) return;
    deq_page_number(p, value, digits < 1 ? 1 : digits > 17 ? 17 : digits);
    end_cell(r);
}

void deq_report_integer(deq_report *r, int64_t value)
{
    deq_page *p = begin_cell(r);

    if (!p) return;
    deq_page_format(p, "%lld", (long long)value);
    end_cell(r);
}

void deq_report_table_end(deq_report *r)
{
    if (!in_table(r, "the end of a table")) return;
    if (r->column != 0) {
        deq_mistake_set(&r->mistake, DEQ_ERR_STATE, "report: a row of %d cells, expected %d",
                        r->column, r->n_columns);
        return;
    }
    deq_page_raw(&r->body, "</tbody></table></div>");
    deq_page_raw(&r->body, r->folded ? "</details>\n" : "\n");
    r->open = DEQ_OPEN_NOTHING;
}
