/* SPDX-License-Identifier: MIT */
/* Foreign bytes as labelled images. */
#include "reader.h"

#include <deq/io/cifar.h>

static deq_status read(deq_context *ctx, const uint8_t *bytes, size_t size, int *result)
{
    deq_cifar *out;
    const deq_status status = deq_cifar_parse(&out, ctx, bytes, size,
                                              size % 2 ? DEQ_CIFAR10 : DEQ_CIFAR100);

    *result = out != NULL;
    deq_cifar_free(out);
    return status;
}

FUZZ_READER(read)
