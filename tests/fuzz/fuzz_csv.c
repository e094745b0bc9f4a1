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

/* The same, going on behind bad rows: that ends, and lines only rise. */
static deq_status read_on(deq_context *ctx, const uint8_t *bytes, size_t size, int *result)
{
    deq_csv *csv;
    const deq_csv_row *row;
    deq_csv_options options = deq_csv_defaults();
    int64_t line = 0;

    options.recover = true;
    deq_status status = deq_csv_parse(&csv, ctx, bytes, size, &options);
    if (status != DEQ_OK) return status;
    for (size_t calls = 0; (status = deq_csv_next(&row, csv)) == DEQ_ERR_DATA || row; calls++) {
        expect(calls <= size, "there are no more rows than bytes");
        expect(!row || row->line > line, "lines rise");
        if (row) line = row->line;
    }
    *result = status == DEQ_OK;
    deq_csv_close(csv);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_reader(read, data, size);
    fuzz_reader(read_on, data, size);
    return 0;
}
