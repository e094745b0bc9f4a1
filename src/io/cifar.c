/* SPDX-License-Identifier: MIT */
/* CIFAR's records, one after the other: one or two labels, then red, green and blue bytes. */
#include <deq/io/cifar.h>

#include "io/source.h"

#include <string.h>

#define IMAGE_BYTES 3072

static deq_status check_label(const deq_source *s, size_t at, int classes)
{
    if (s->data[at] < classes) return DEQ_OK;
    return deq_source_fail(s, at, "found the label %d, expected 0 to %d", s->data[at], classes - 1);
}

/* A block of images, labels and coarse labels, from records. */
static deq_status unpack(deq_cifar *c, const deq_source *s, bool hundred)
{
    const size_t record = IMAGE_BYTES + (hundred ? 2 : 1), count = s->size / record;
    uint8_t *images = c->memory, *labels = images + count * IMAGE_BYTES, *coarse = labels + count;

    for (size_t i = 0; i < count; i++) {
        const size_t at = i * record, fine = hundred ? at + 1 : at;
        if (hundred) {
            DEQ_TRY(check_label(s, at, 20));
            coarse[i] = s->data[at];
        }
        DEQ_TRY(check_label(s, fine, hundred ? 100 : 10));
        labels[i] = s->data[fine];
        memcpy(images + i * IMAGE_BYTES, s->data + fine + 1, IMAGE_BYTES);
    }
    c->count = (int64_t)count;
    c->images = images;
    c->labels = labels;
    c->coarse = hundred ? coarse : NULL;
    return DEQ_OK;
}

static deq_status read(deq_cifar **out, const deq_source *s, deq_cifar_kind kind)
{
    const bool hundred = kind == DEQ_CIFAR100;
    const size_t record = IMAGE_BYTES + (hundred ? 2 : 1);

    if (s->size == 0 || s->size % record != 0)
        return deq_source_fail(s, s->size / record * record,
                               "%zu bytes, expected one or more records of %zu for CIFAR-%s",
                               s->size, record, hundred ? "100" : "10");
    deq_cifar *c = deq_alloc(s->ctx, sizeof *c);
    if (!c) return DEQ_ERR_NOMEM;
    c->context = s->ctx;
    c->memory_bytes = s->size;
    c->memory = deq_alloc(s->ctx, s->size);
    deq_status status = c->memory ? unpack(c, s, hundred) : DEQ_ERR_NOMEM;
    if (status == DEQ_OK)
        *out = c;
    else
        deq_cifar_free(c);
    return status;
}

static deq_status check_kind(deq_context *ctx, deq_cifar_kind kind)
{
    if (kind == DEQ_CIFAR10 || kind == DEQ_CIFAR100) return DEQ_OK;
    return deq_fail(ctx, DEQ_ERR_ARGUMENT, "%d is no kind of CIFAR", (int)kind);
}

deq_status deq_cifar_read(deq_cifar **out, deq_context *ctx, const char *path, deq_cifar_kind kind)
{
    deq_source s;

    *out = NULL;
    DEQ_TRY(check_kind(ctx, kind));
    DEQ_TRY(deq_source_open(&s, ctx, path));
    deq_status status = read(out, &s, kind);
    deq_source_close(&s);
    return status;
}

deq_status deq_cifar_parse(deq_cifar **out, deq_context *ctx, const void *bytes, size_t size,
                           deq_cifar_kind kind)
{
    const deq_source s = deq_source_memory(ctx, bytes, size);

    *out = NULL;
    DEQ_TRY(check_kind(ctx, kind));
    return read(out, &s, kind);
}

void deq_cifar_free(deq_cifar *cifar)
{
    if (!cifar) return;
    deq_release(cifar->context, cifar->memory, cifar->memory_bytes);
    deq_release(cifar->context, cifar, sizeof *cifar);
}
