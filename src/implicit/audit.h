/* SPDX-License-Identifier: MIT */
/* The result of an audit, as audit.c fills it and audit_write.c writes it. */
#ifndef DEQ_IMPLICIT_AUDIT_H
#define DEQ_IMPLICIT_AUDIT_H

#include "base/context.h"

#include <deq/audit.h>

#define DEQ_AUDIT_NAME 64

typedef struct deq_audit_entry {
    deq_audit_row row;
    char name[DEQ_AUDIT_NAME], message[DEQ_MESSAGE_BYTES];
    double *gradient;       /* [elements] all parameters behind each other */
    deq_audit_match *match; /* [n_parameters] */
} deq_audit_entry;

struct deq_audit {
    deq_context *ctx;
    int n_rows, n_parameters;
    int64_t elements;
    char **parameter; /* [n_parameters] names, copied */
    deq_audit_entry *entry;
};

#endif
