/* SPDX-License-Identifier: MIT */
/* Foreign bytes as labelled sparse rows. */
#include "reader.h"

#include <deq/io/svmlight.h>

static deq_status read(deq_context *ctx, const uint8_t *bytes, size_t size, int *result)
{
    deq_svmlight *out;
    const deq_status status = deq_svmlight_parse(&out, ctx, bytes, size, NULL);

    *result = out != NULL;
    deq_svmlight_free(out);
    return status;
}

FUZZ_READER(read)
