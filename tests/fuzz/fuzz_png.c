/* SPDX-License-Identifier: MIT */
/* Foreign bytes as an image; the seeds are PNG. */
#include "reader.h"

#include <deq/io/image.h>

static deq_status read(deq_context *ctx, const uint8_t *bytes, size_t size, int *result)
{
    deq_image *out;
    const deq_status status = deq_image_parse(&out, ctx, bytes, size);

    *result = out != NULL;
    deq_image_free(out);
    return status;
}

FUZZ_READER(read)
