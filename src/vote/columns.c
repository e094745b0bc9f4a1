/* SPDX-License-Identifier: MIT */
#include "vote/columns.h"

#include "base/text.h"

#include <string.h>

deq_status deq_columns_open(deq_csv **out, deq_context *ctx, const char *path, const void *bytes,
                            size_t size, char separator, bool recover)
{
    deq_csv_options o = deq_csv_defaults();

    o.detect = separator == '\0';
    if (separator) o.separator = separator;
    o.recover = recover;
    return bytes ? deq_csv_parse(out, ctx, bytes, size, &o) : deq_csv_open(out, ctx, path, &o);
}

deq_status deq_columns_header(const deq_csv_row **header, deq_csv *csv)
{
    DEQ_TRY(deq_csv_next(header, csv));
    if (*header) return DEQ_OK;
    return deq_csv_refuse(csv, SIZE_MAX, "the file is empty; expected a header line");
}

static deq_status missing(const deq_csv *csv, const deq_csv_row *header, const char *name,
                          const char *const *usual)
{
    char message[512];
    deq_text t = { message, sizeof message, 0 };

    deq_text_add(&t, "no column '%.40s'", name ? name : usual[0]);
    for (size_t i = 1; !name && usual[i]; i++) deq_text_add(&t, " or '%s'", usual[i]);
    deq_text_add(&t, " among");
    for (size_t i = 0; i < header->count && i < 8; i++)
        deq_text_add(&t, "%s '%.40s'", i ? "," : "", header->fields[i]);
    if (header->count > 8) deq_text_add(&t, ", ...");
    return deq_csv_refuse(csv, SIZE_MAX, message);
}

deq_status deq_column_find(size_t *column, const deq_csv *csv, const deq_csv_row *header,
                           const char *name, const char *const *usual, bool needed)
{
    const char *const given[] = { name, NULL };
    const char *const *names = name ? given : usual;

    *column = SIZE_MAX;
    for (size_t k = 0; names[k] && *column == SIZE_MAX; k++) {
        for (size_t i = 0; i < header->count; i++) {
            if (strcmp(header->fields[i], names[k]) != 0) continue;
            if (*column != SIZE_MAX) return deq_csv_refuse(csv, i, "each column once");
            *column = i;
        }
    }
    return *column != SIZE_MAX || !needed ? DEQ_OK : missing(csv, header, name, usual);
}
