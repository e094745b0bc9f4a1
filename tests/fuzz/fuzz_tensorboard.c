/* SPDX-License-Identifier: MIT */
/* Foreign bytes as a TensorBoard event file that a run is to go on with. */
#include "reader.h"

#include "io/tensorboard.h"

static deq_status read(deq_context *ctx, const uint8_t *bytes, size_t size, int *result)
{
    const deq_source s = deq_source_memory(ctx, bytes, size);
    const deq_status status = deq_tensorboard_check(&s);

    *result = status == DEQ_OK;
    return status;
}

FUZZ_READER(read)
