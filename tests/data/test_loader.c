/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L

#include "data/data.h"

#include <stdatomic.h>
#include <time.h>

/* Images [1, 2, 3] whose first pixel tells the index.  Reads are counted; one may fail. */
typedef struct source {
    atomic_long reads;
    int64_t fails_at; /* -1: never */
    long pause_ns;    /* of each read */
} source;

static deq_status give(void *user, int64_t index, float *input, int32_t *target, char *error,
                       size_t size)
{
    source *s = user;

    atomic_fetch_add(&s->reads, 1);
    if (s->pause_ns) nanosleep(&(struct timespec){ .tv_nsec = s->pause_ns }, NULL);
    if (index == s->fails_at) {
        snprintf(error, size, "image-%lld.png: byte 7: damaged", (long long)index);
        return DEQ_ERR_DATA;
    }
    for (int i = 0; i < 6; i++) input[i] = (float)(index + 1000 * i);
    *target = (int32_t)(index % 7);
    return DEQ_OK;
}

static deq_dataset *images(deq_context *ctx, int64_t count, source *s)
{
    const deq_example_form form = { DEQ_SHAPE(1, 2, 3), DEQ_SCALAR, 7 };
    deq_dataset *d;

    assert_done(ctx, deq_dataset_custom(&d, ctx, &form, count, give, s));
    return d;
}

static deq_loader *loader(deq_context *ctx, const deq_dataset *d, const deq_loader_options *o)
{
    deq_loader *l;

    assert_done(ctx, deq_loader_new(&l, ctx, d, o));
    return l;
}

static deq_batch next(deq_context *ctx, deq_loader *l)
{
    deq_batch b;

    assert_done(ctx, deq_loader_next(l, &b));
    return b;
}

/* Every example of an epoch once, with its own target; the next epoch in another order. */
static void an_epoch_deals_every_example_once(void **state)
{
    (void)state;
    enum { N = 12, B = 3 };
    deq_context *ctx = data_context();
    source s = { .fails_at = -1 };
    deq_dataset *d = images(ctx, N, &s);
    deq_loader_options o = deq_loader_defaults();
    int64_t order[3][N];

    o.batch = B;
    deq_loader *l = loader(ctx, d, &o);
    assert_int_equal(deq_loader_batches(l), N / B);
    for (int64_t p = 0; p < 3 * N / B; p++) {
        const deq_batch b = next(ctx, l);
        assert_int_equal(b.position, p);
        assert_int_equal(b.epoch, p / (N / B));
        assert_int_equal(b.number, p % (N / B));
        assert_int_equal(b.count, B);
        for (int i = 0; i < B; i++) {
            assert_true(b.input[6 * i] == (float)b.index[i]);
            assert_true(b.input[6 * i + 5] == (float)(b.index[i] + 5000));
            assert_int_equal(b.target[i], b.index[i] % 7);
            order[b.epoch][b.number * B + i] = b.index[i];
        }
    }
    for (int epoch = 0; epoch < 3; epoch++) {
        bool seen[N] = { false };
        for (int i = 0; i < N; i++) seen[order[epoch][i]] = true;
        for (int i = 0; i < N; i++) assert_true(seen[i]);
        assert_memory_not_equal(order[epoch], order[(epoch + 1) % 3], sizeof order[0]);
    }
    deq_loader_free(l);
    deq_dataset_free(d);
    deq_context_free(ctx);
}

static void without_shuffling_examples_come_as_they_are(void **state)
{
    (void)state;
    deq_context *ctx = data_context();
    source s = { .fails_at = -1 };
    deq_dataset *d = images(ctx, 10, &s);
    deq_loader_options o = deq_loader_defaults();

    o.batch = 4;
    o.shuffle = false;
    deq_loader *l = loader(ctx, d, &o);
    assert_int_equal(deq_loader_batches(l), 2); /* the rest is dropped */
    for (int p = 0; p < 5; p++) {
        const deq_batch b = next(ctx, l);
        for (int i = 0; i < 4; i++) assert_int_equal(b.index[i], p % 2 * 4 + i);
    }
    deq_loader_free(l);
    deq_dataset_free(d);
    deq_context_free(ctx);
}

/* The last batch says how many count, and repeats its last; then there is no more. */
static void a_single_epoch_ends_with_the_rest(void **state)
{
    (void)state;
    deq_context *ctx = data_context();
    source s = { .fails_at = -1 };
    deq_dataset *d = images(ctx, 10, &s);
    deq_loader_options o = deq_loader_defaults();

    o.batch = 4;
    o.shuffle = o.drop_last = o.endless = false;
    for (o.prefetch = 0; o.prefetch <= 8; o.prefetch += 4) {
        atomic_store(&s.reads, 0);
        deq_loader *l = loader(ctx, d, &o);
        assert_int_equal(deq_loader_batches(l), 3);
        assert_int_equal(next(ctx, l).count, 4);
        assert_int_equal(next(ctx, l).count, 4);
        deq_batch b = next(ctx, l);
        assert_int_equal(b.count, 2);
        for (int i = 0; i < 4; i++) {
            assert_int_equal(b.index[i], i == 0 ? 8 : 9);
            assert_true(b.input[6 * i + 1] == (float)(1000 + b.index[i]));
            assert_int_equal(b.target[i], b.index[i] % 7);
        }
        for (int again = 0; again < 2; again++) {
            b = next(ctx, l);
            assert_int_equal(b.count, 0);
            assert_int_equal(b.position, 3);
        }
        deq_loader_free(l);
        assert_int_equal(atomic_load(&s.reads), 10); /* copies are not read again */
    }
    o.position = 4; /* within epoch 1: what is left of it */
    deq_loader *l = loader(ctx, d, &o);
    assert_int_equal(next(ctx, l).number, 1);
    assert_int_equal(next(ctx, l).epoch, 1);
    assert_int_equal(next(ctx, l).count, 0);
    deq_loader_free(l);
    deq_dataset_free(d);
    deq_context_free(ctx);
}

/* What a run sees, as one number. */
static uint64_t digest(uint64_t hash, const void *data, size_t bytes)
{
    const unsigned char *p = data;

    for (size_t i = 0; i < bytes; i++) hash = (hash ^ p[i]) * UINT64_C(1099511628211);
    return hash;
}

static uint64_t digest_batch(const deq_batch *b, int64_t batch, int64_t input, int64_t target)
{
    uint64_t hash = digest(UINT64_C(14695981039346656037), &b->position, sizeof b->position);

    hash = digest(hash, b->input, (size_t)(batch * input) * sizeof *b->input);
    hash = digest(hash, b->target, (size_t)(batch * target) * sizeof *b->target);
    return digest(hash, b->index, (size_t)batch * sizeof *b->index);
}

/* Mazes, cropped and mirrored, over three epochs: the same bits from every position, whatever is made
 * ahead by however many threads. */
static void a_run_goes_on_anywhere_with_the_same_bits(void **state)
{
    (void)state;
    enum { N = 10, B = 3, POSITIONS = 12 };
    deq_context *ctx = data_context();
    deq_mazes m = deq_mazes_defaults();
    deq_loader_options o = deq_loader_defaults();
    uint64_t expected[POSITIONS];
    deq_dataset *d;

    m.count = N;
    assert_done(ctx, deq_dataset_mazes(&d, ctx, &m));
    o.batch = B;
    o.drop_last = false;
    o.seed = 11;
    o.augment = (deq_augment){ .crop_pad = 4,
                               .flip = true,
                               .cutout = 5,
                               .n_channels = 3,
                               .mean = { 0.5, 0.4, 0.3 },
                               .deviation = { 0.5, 0.6, 0.7 } };
    o.prefetch = 0;
    deq_loader *l = loader(ctx, d, &o);
    for (int p = 0; p < POSITIONS; p++) {
        const deq_batch b = next(ctx, l);
        expected[p] = digest_batch(&b, B, 3 * 24 * 24, 24 * 24);
        for (int q = 0; q < p; q++) assert_true(expected[q] != expected[p]);
    }
    deq_loader_free(l);
    static const int ahead[][2] = { { 0, 1 }, { 1, 1 }, { 2, 3 }, { 7, 2 }, { 16, 4 } };
    for (size_t k = 0; k < COUNT_OF(ahead); k++)
        for (int first = 0; first < POSITIONS; first += k ? 5 : 1) {
            o.prefetch = ahead[k][0];
            o.threads = ahead[k][1];
            o.position = first;
            l = loader(ctx, d, &o);
            for (int p = first; p < POSITIONS; p++) {
                const deq_batch b = next(ctx, l);
                assert_true(digest_batch(&b, B, 3 * 24 * 24, 24 * 24) == expected[p]);
            }
            deq_loader_free(l);
        }
    deq_dataset_free(d);
    deq_context_free(ctx);
}

static void augmentation_changes_with_the_epoch(void **state)
{
    (void)state;
    deq_context *ctx = data_context();
    source s = { .fails_at = -1 };
    deq_dataset *d = images(ctx, 1, &s);
    deq_loader_options o = deq_loader_defaults();
    int mirrored = 0;

    o.batch = 1;
    o.augment.flip = true;
    deq_loader *l = loader(ctx, d, &o);
    for (int epoch = 0; epoch < 100; epoch++) mirrored += next(ctx, l).input[0] > 0;
    assert_in_range(mirrored, 25, 75); /* five deviations */
    deq_loader_free(l);
    deq_dataset_free(d);
    deq_context_free(ctx);
}

/* Nothing is made ahead beyond what was asked for, and what was lent stays as it is. */
static void a_batch_is_the_callers_until_the_next(void **state)
{
    (void)state;
    deq_context *ctx = data_context();
    source s = { .fails_at = -1 };
    deq_dataset *d = images(ctx, 64, &s);
    deq_loader_options o = deq_loader_defaults();

    o.batch = 2;
    o.prefetch = 3;
    o.threads = 4;
    deq_loader *l = loader(ctx, d, &o);
    for (int p = 0; p < 20; p++) {
        const deq_batch b = next(ctx, l);
        const uint64_t before = digest_batch(&b, 2, 6, 1);
        for (int wait = 0; wait < 20000 && atomic_load(&s.reads) < 2 * (p + 4); wait++)
            nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
        assert_int_equal(atomic_load(&s.reads), 2 * (p + 4));
        assert_true(digest_batch(&b, 2, 6, 1) == before);
    }
    deq_loader_free(l);
    deq_dataset_free(d);
    deq_context_free(ctx);
}

/* The batches before are dealt out, the failure comes in its turn, and stays. */
static void a_failure_reaches_the_caller_with_its_place(void **state)
{
    (void)state;
    deq_context *ctx = data_context();
    source s = { .fails_at = 9 };
    deq_dataset *d = images(ctx, 16, &s);
    deq_loader_options o = deq_loader_defaults();

    o.batch = 4;
    o.shuffle = false;
    for (o.prefetch = 0; o.prefetch <= 4; o.prefetch += 2)
        for (o.threads = 1; o.threads <= 3; o.threads += 2) {
            deq_loader *l = loader(ctx, d, &o);
            deq_batch b = next(ctx, l);
            b = next(ctx, l);
            assert_int_equal(b.index[3], 7);
            for (int again = 0; again < 3; again++) {
                assert_refused(ctx, deq_loader_next(l, &b), DEQ_ERR_DATA,
                               "image-9.png: byte 7: damaged (example 9, epoch 0, batch 2)");
                assert_int_equal(b.count, 0);
                assert_null(b.input);
            }
            deq_loader_free(l);
        }
    deq_dataset_free(d);
    deq_context_free(ctx);
}

/* Freed at any moment: before anything is made, and while threads work. */
static void a_loader_stops_whenever_it_is_freed(void **state)
{
    (void)state;
    deq_context *ctx = data_context();
    source s = { .fails_at = -1, .pause_ns = 100000 };
    deq_dataset *d = images(ctx, 100, &s);
    deq_loader_options o = deq_loader_defaults();

    o.batch = 5;
    o.threads = 3;
    o.prefetch = 4;
    for (int n = 0; n < 20; n++) {
        deq_loader *l = loader(ctx, d, &o);
        for (int i = 0; i < n % 4; i++) (void)next(ctx, l);
        deq_loader_free(l);
    }
    deq_loader_free(NULL);
    deq_dataset_free(d);
    deq_context_free(ctx);
}

static void impossible_settings_are_refused(void **state)
{
    (void)state;
    deq_context *ctx = data_context();
    source s = { .fails_at = -1 };
    deq_dataset *d = images(ctx, 10, &s);
    const struct {
        deq_loader_options o;
        deq_status status;
        const char *text;
    } cases[] = {
        { { .batch = 0, .threads = 1 }, DEQ_ERR_ARGUMENT, "batches of 0 examples" },
        { { .batch = 11, .drop_last = true, .threads = 1 },
          DEQ_ERR_ARGUMENT,
          "batches of 11 examples from a dataset of 10: with drop_last there is none" },
        { { .batch = 1, .threads = 1, .position = -1 }, DEQ_ERR_ARGUMENT, "position -1" },
        { { .batch = 1, .threads = 0 }, DEQ_ERR_ARGUMENT, "0 threads, expected 1 to 1024" },
        { { .batch = 1, .threads = 1, .prefetch = -1 }, DEQ_ERR_ARGUMENT, "-1 batches made ahead" },
        { { .batch = 1, .threads = 1, .augment = { .n_channels = 2 } },
          DEQ_ERR_ARGUMENT,
          "normalisation of 2 channels" },
        { { .batch = INT64_MAX, .threads = 1, .prefetch = 4 }, DEQ_ERR_NOMEM, "out of memory" },
    };
    deq_loader *l;

    for (size_t k = 0; k < COUNT_OF(cases); k++) {
        deq_loader_options o = cases[k].o;
        o.struct_size = sizeof o;
        assert_refused(ctx, deq_loader_new(&l, ctx, d, &o), cases[k].status, cases[k].text);
        assert_null(l);
    }
    assert_refused(ctx, deq_loader_new(&l, ctx, d, &cases[0].o), DEQ_ERR_ARGUMENT, "of 0 bytes");
    deq_dataset_free(d);
    deq_context_free(ctx);
}

/* Allocations fail one after the other, in the loader and in its threads. */
static void memory_may_end_anywhere(void **state)
{
    (void)state;
    for (int prefetch = 0; prefetch <= 1; prefetch++)
        for (size_t n = 1;; n++) {
            test_memory m = { .fail_at = n };
            deq_context *ctx = test_memory_context(&m, 1);
            if (!ctx) continue;
            deq_dataset *d = NULL;
            deq_loader *l = NULL;
            deq_loader_options o = deq_loader_defaults();
            deq_mazes mazes = deq_mazes_defaults();
            deq_batch b = { 0 };
            mazes.count = 8;
            o.batch = 2;
            o.prefetch = prefetch;
            o.endless = false;
            deq_status status = deq_dataset_mazes(&d, ctx, &mazes);
            if (status == DEQ_OK) status = deq_loader_new(&l, ctx, d, &o);
            for (int i = 0; status == DEQ_OK && i < 4; i++) status = deq_loader_next(l, &b);
            if (status != DEQ_OK) assert_true(deq_last_error(ctx)[0] != '\0');
            deq_loader_free(l);
            deq_dataset_free(d);
            deq_context_free(ctx);
            assert_memory_clean(&m);
            if (m.calls < n) {
                assert_int_equal(status, DEQ_OK);
                break;
            }
            assert_int_equal(status, DEQ_ERR_NOMEM);
        }
}

/* No allocation while batches of a file in memory are dealt out. */
static void dealing_out_allocates_nothing(void **state)
{
    (void)state;
    test_memory m = { 0 };
    deq_context *ctx = test_memory_context(&m, 1);
    deq_loader_options o = deq_loader_defaults();
    deq_dataset *d;

    assert_done(ctx, deq_dataset_prefix_sums(&d, ctx, NULL));
    deq_loader *l = loader(ctx, d, &o);
    const size_t before = atomic_load(&m.calls);
    for (int i = 0; i < 50; i++) (void)next(ctx, l);
    assert_int_equal(atomic_load(&m.calls), before);
    deq_loader_free(l);
    deq_dataset_free(d);
    deq_context_free(ctx);
    assert_memory_clean(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_epoch_deals_every_example_once),
        cmocka_unit_test(without_shuffling_examples_come_as_they_are),
        cmocka_unit_test(a_single_epoch_ends_with_the_rest),
        cmocka_unit_test(a_run_goes_on_anywhere_with_the_same_bits),
        cmocka_unit_test(augmentation_changes_with_the_epoch),
        cmocka_unit_test(a_batch_is_the_callers_until_the_next),
        cmocka_unit_test(a_failure_reaches_the_caller_with_its_place),
        cmocka_unit_test(a_loader_stops_whenever_it_is_freed),
        cmocka_unit_test(impossible_settings_are_refused),
        cmocka_unit_test(memory_may_end_anywhere),
        cmocka_unit_test(dealing_out_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
