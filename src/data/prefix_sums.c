/* SPDX-License-Identifier: MIT */
/*
 * Prefix sums modulo 2 (Schwarzschild et al., "Datasets for studying generalization from easy to hard
 * examples", 2021): x of n fair bits,
 *
 *     y_i = x_0 xor x_1 xor ... xor x_i,     input x - 1/2.
 *
 * Below 24 bits the strings of a dataset differ from each other: string i is entry i of a shuffled
 * list of all of them, of which only what is needed is shuffled and kept.
 */
#include "data/dataset.h"
#include "data/draws.h"

#include <string.h>

#define LISTED_BITS 24

typedef struct strings {
    int64_t bits;
    uint64_t seed;
    uint32_t *list; /* [count], of strings shorter than LISTED_BITS; else NULL */
    size_t list_bytes;
} strings;

static deq_status read(const deq_dataset *d, int64_t index, float *input, int32_t *target,
                       deq_context *own)
{
    const strings *s = d->data;
    deq_draws draws = deq_draws_of(s->seed, 0, DEQ_DRAWS_PREFIX_SUMS, index);
    uint32_t word = s->list ? s->list[index] : 0;
    int32_t sum = 0;

    (void)own;
    for (int64_t i = 0; i < s->bits; i++) {
        if (!s->list && i % 32 == 0) word = deq_draws_word(&draws);
        const int32_t bit = (int32_t)(word >> i % 32 & 1);
        sum ^= bit;
        input[i] = (float)bit - 0.5f;
        target[i] = sum;
    }
    return DEQ_OK;
}

static void free_list(deq_dataset *d)
{
    const strings *s = d->data;

    deq_release(d->ctx, s->list, s->list_bytes);
}

static const deq_dataset_kind kind = { .read = read, .free = free_list };

/* The first `count` entries of a shuffled list of all strings (Fisher & Yates, from the front). */
static deq_status make_list(strings *s, deq_context *ctx, int64_t count)
{
    const int64_t all = INT64_C(1) << s->bits;
    const size_t all_bytes = (size_t)all * sizeof(uint32_t);
    deq_draws draws = deq_draws_of(s->seed, 0, DEQ_DRAWS_PREFIX_SUMS, 0);

    uint32_t *list = deq_alloc(ctx, all_bytes);
    s->list_bytes = (size_t)count * sizeof *s->list;
    s->list = list ? deq_alloc(ctx, s->list_bytes) : NULL;
    if (s->list) {
        for (int64_t i = 0; i < all; i++) list[i] = (uint32_t)i;
        for (int64_t i = 0; i < count; i++) {
            const int64_t j = i + deq_draws_below(&draws, all - i);
            const uint32_t kept = list[i];
            list[i] = list[j];
            list[j] = kept;
        }
        memcpy(s->list, list, s->list_bytes);
    }
    deq_release(ctx, list, all_bytes);
    return s->list ? DEQ_OK : DEQ_ERR_NOMEM;
}

static deq_status check(deq_context *ctx, const deq_prefix_sums *o)
{
    if (o->bits < 1)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "prefix sums of %lld bits, expected 1 or more",
                        (long long)o->bits);
    if (o->count < 1 || o->count > DEQ_DRAWS_MOST)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "%lld prefix sums, expected 1 to 2^56",
                        (long long)o->count);
    if (o->bits < LISTED_BITS && o->count > INT64_C(1) << o->bits)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                        "%lld prefix sums of %lld bits: there are only %lld strings, and none "
                        "comes twice below %d bits",
                        (long long)o->count, (long long)o->bits, (long long)(INT64_C(1) << o->bits),
                        LISTED_BITS);
    return DEQ_OK;
}

deq_prefix_sums deq_prefix_sums_defaults(void)
{
    return (deq_prefix_sums){ .struct_size = sizeof(deq_prefix_sums), .bits = 32, .count = 10000 };
}

deq_status deq_dataset_prefix_sums(deq_dataset **out, deq_context *ctx,
                                   const deq_prefix_sums *options)
{
    const deq_prefix_sums defaults = deq_prefix_sums_defaults(), *o = options ? options : &defaults;
    deq_dataset *d;

    *out = NULL;
    if (o->struct_size != sizeof *o)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "deq_prefix_sums of %zu bytes, expected %zu",
                        o->struct_size, sizeof *o);
    DEQ_TRY(check(ctx, o));
    DEQ_TRY(deq_dataset_new(&d, ctx, &kind, sizeof(strings)));
    strings *s = d->data;
    *s = (strings){ .bits = o->bits, .seed = o->seed };
    d->form = (deq_example_form){ DEQ_SHAPE(1, o->bits), DEQ_SHAPE(o->bits), 2 };
    d->count = o->count;
    return deq_dataset_finish(out, d, o->bits < LISTED_BITS ? make_list(s, ctx, o->count) : DEQ_OK);
}
