/* SPDX-License-Identifier: MIT */
/* Foreign bytes as comma-separated values, read to the end. */
#include "reader.h"

#include <deq/io/csv.h>

static deq_status read(deq_context *ctx, const uint8_t *bytes, size_t size, int *result)
{
    deq_csv *csv;
    const deq_csv_row *row;
    size_t length = 0;

    deq_status status = deq_csv_parse(&csv, ctx, bytes, size, NULL);
    if (status != DEQ_OK) return status;
    while ((status = deq_csv_next(&row, csv)) == DEQ_OK && row)
        for (size_t i = 0; i < row->count; i++)
            for (const char *p = row->fields[i]; *p; p++) length++;
    *result = status == DEQ_OK;
    expect(length <= size, "fields are no longer than the text");
    deq_csv_close(csv);
    return status;
}

FUZZ_READER(read)
