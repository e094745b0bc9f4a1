/* SPDX-License-Identifier: MIT */
/* Foreign bytes as a zip archive of arrays. */
#include "reader.h"

#include <deq/io/npy.h>

static deq_status read(deq_context *ctx, const uint8_t *bytes, size_t size, int *result)
{
    deq_archive *out;
    const deq_status status = deq_npz_parse(&out, ctx, bytes, size);

    *result = out != NULL;
    deq_archive_free(out);
    return status;
}

FUZZ_READER(read)
