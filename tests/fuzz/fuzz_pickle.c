/* SPDX-License-Identifier: MIT */
/* Foreign bytes as the pickle of a checkpoint whose storages are there, whatever it calls them: no
 * check sum stands before the machine. */
#include "io/checkpoint.h"
#include "reader.h"

static const unsigned char zeros[4096];

static deq_status run(deq_pickle *p, deq_archive *a, const deq_source *s)
{
    deq_checkpoint c = { .archive = a, .pickle = p, .s = s, .file_bytes = s->size };
    deq_pickle_value root;
    size_t at = 0;

    DEQ_TRY(deq_pickle_load(p, &root, s, &at));
    for (size_t i = 0; i < p->n_storages; i++) {
        deq_pickle_storage *storage = p->storages[i];
        const size_t bytes = storage->count * deq_element_size(storage->element);
        if (bytes > sizeof zeros) return deq_source_fail(s, at, "no elements for the storage");
        storage->bytes =
            (deq_source){ .ctx = s->ctx, .name = "zeros", .data = zeros, .size = bytes };
        storage->lent = i % 2;
    }
    return deq_checkpoint_flatten(&c, &root);
}

static deq_status read(deq_context *ctx, const uint8_t *bytes, size_t size, int *result)
{
    const deq_source s = deq_source_memory(ctx, bytes, size);
    deq_archive *a;
    deq_pickle p;

    deq_status status = deq_archive_new(&a, ctx);
    if (status != DEQ_OK) return status;
    deq_pickle_init(&p, ctx);
    status = run(&p, a, &s);
    deq_pickle_free(&p);
    deq_archive_free(a);
    *result = status == DEQ_OK;
    return status;
}

FUZZ_READER(read)
