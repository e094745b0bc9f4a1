/* SPDX-License-Identifier: MIT */
/* Foreign bytes as an IDX file, plain or gzip-compressed. */
#include "reader.h"

#include <deq/io/idx.h>

static deq_status read(deq_context *ctx, const uint8_t *bytes, size_t size, int *result)
{
    deq_idx *out;
    const deq_status status = deq_idx_parse(&out, ctx, bytes, size);

    *result = out != NULL;
    deq_idx_free(out);
    return status;
}

FUZZ_READER(read)
