/* SPDX-License-Identifier: MIT */
/* Pages from inside: what is open, so that neighbours can share a box. */
#ifndef DEQ_SRC_REPORT_REPORT_H
#define DEQ_SRC_REPORT_REPORT_H

#include "report/page.h"
#include "report/plot.h"

typedef enum deq_open {
    DEQ_OPEN_NOTHING = 0,
    DEQ_OPEN_PAIRS,   /* a list of names and values */
    DEQ_OPEN_FIGURES, /* plots and images side by side */
    DEQ_OPEN_TABLE    /* until deq_report_table_end() */
} deq_open;

struct deq_report {
    deq_context *ctx;
    deq_mistake mistake;
    char *title;
    deq_page body;
    deq_page contents; /* the list of sections */
    int n_sections;    /* of level 1 */
    int n_headings;
    deq_open open;
    int n_columns, column; /* of the open table, and of its next cell */
    bool *is_text;         /* [n_columns] */
    bool folded;
};

/* Whether something may be added; closes what is open unless it is `wanted`, and opens that. */
bool deq_report_open(deq_report *r, deq_open wanted);
/* Keep the failure of a page, if there is one. */
void deq_report_check(deq_report *r, const deq_page *p);

#endif
