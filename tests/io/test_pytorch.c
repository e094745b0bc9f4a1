/* SPDX-License-Identifier: MIT */
#include "io/samples.h"
#include "support/memory.h"

#include <deq/io/npy.h>
#include <deq/io/pytorch.h>
#include <stdio.h>

static deq_status parse(deq_context *ctx, const void *bytes, size_t size)
{
    deq_archive *a;
    const deq_status status = deq_pytorch_parse(&a, ctx, bytes, size);

    assert_true((status == DEQ_OK) == (a != NULL));
    deq_archive_free(a);
    return status;
}

static void check_sample(file_bytes b)
{
    deq_context *ctx;
    deq_archive *a;

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    if (deq_pytorch_parse(&a, ctx, b.data, b.size) != DEQ_OK) fail_msg("%s", deq_last_error(ctx));
    assert_int_equal(deq_archive_count(a), 3);
    assert_string_equal(deq_archive_metadata(a, "epoch"), "3");
    assert_int_equal(deq_archive_narrow(a, "state_dict."), DEQ_OK);
    const deq_archive_tensor *w = deq_archive_find(a, "w"), *wt = deq_archive_find(a, "wt");
    assert_true(deq_shape_equal(&w->type.shape, &DEQ_SHAPE(2, 3)));
    assert_true(deq_shape_equal(&wt->type.shape, &DEQ_SHAPE(3, 2)));
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 3; j++) {
            assert_true(((const float *)w->data)[3 * i + j] == (float)(3 * i + j));
            assert_true(((const float *)wt->data)[2 * j + i] == (float)(3 * i + j));
        }
    const deq_archive_tensor *h = deq_archive_find(a, "h");
    assert_int_equal(h->type.dtype, DEQ_F32);
    assert_string_equal(h->stored, "f16");
    assert_true(((const float *)h->data)[0] == 1.5f && ((const float *)h->data)[1] == -2);
    deq_archive_free(a);
    deq_context_free(ctx);
}

static void both_containers_give_tensors_by_name(void **state)
{
    (void)state;
    file_bytes legacy = sample_legacy(), zip = sample_pytorch();

    check_sample(legacy);
    check_sample(zip);
    bytes_free(&legacy);
    bytes_free(&zip);
}

static void damaged_checkpoints_are_refused(void **state)
{
    (void)state;
    file_bytes legacy = sample_legacy(), zip = sample_pytorch();

    check_reader(parse, legacy.data, legacy.size);
    check_reader(parse, zip.data, zip.size);
    bytes_free(&legacy);
    bytes_free(&zip);
}

/* The old container around the operations of an object, without storages or with one, "0", of two
 * floats. */
static file_bytes legacy_of(const void *operations, size_t size, bool storage)
{
    file_bytes b = { 0 };

    pickle_legacy_head(&b);
    put(&b, operations, size);
    put(&b, "\x80\2]", 3);
    if (storage) {
        pickle_text(&b, "0");
        put_byte(&b, 'a');
    }
    put_byte(&b, '.');
    if (storage) {
        put_little(&b, 2, 8);
        put(&b, "\0\0\200\77\0\0\0\100", 8);
    }
    return b;
}

#define OPS(text) text, sizeof(text) - 1

static const struct refusal {
    const char *operations;
    size_t size;
    deq_status status;
    const char *message;
} refusals[] = {
    { OPS("\x80\2cposix\nsystem\nX\4\0\0\0true\x85R."), DEQ_ERR_UNSUPPORTED,
      "memory: byte 51: the class or function 'posix.system'" },
    { OPS("\x80\2c__builtin__\neval\n."), DEQ_ERR_UNSUPPORTED, "'__builtin__.eval'" },
    { OPS("\x80\2cbuiltins\ngetattr\n."), DEQ_ERR_UNSUPPORTED, "'builtins.getattr'" },
    { OPS("\x80\4\x8c\2os\x8c\6system\x93."), DEQ_ERR_UNSUPPORTED, "'os.system'" },
    { OPS("\x80\2(ios\nsystem\n."), DEQ_ERR_UNSUPPORTED, "pickle operation 0x69" },
    { OPS("\x80\2(cos\nsystem\no."), DEQ_ERR_UNSUPPORTED, "'os.system'" },
    { OPS("\x80\2\x82\1."), DEQ_ERR_UNSUPPORTED, "operation 0x82" },
    { OPS("\x80\2Pname\n."), DEQ_ERR_UNSUPPORTED, "operation 0x50" },
    { OPS("\x80\6N."), DEQ_ERR_UNSUPPORTED, "pickle protocol 6" },
    { OPS("\x80\2N."), DEQ_ERR_DATA, "the checkpoint is None" },
    { OPS("\x80\2K\1."), DEQ_ERR_DATA, "the checkpoint is an integer" },
    { OPS("\x80\2."), DEQ_ERR_DATA, "nothing left on the stack" },
    { OPS("\x80\2}}."), DEQ_ERR_DATA, "values left over" },
    { OPS("\x80\2(."), DEQ_ERR_DATA, "nothing left on the stack" },
    { OPS("\x80\2t."), DEQ_ERR_DATA, "no mark" },
    { OPS("\x80\2}u."), DEQ_ERR_DATA, "no mark" },
    { OPS("\x80\2}(K\1u."), DEQ_ERR_DATA, "a key without a value" },
    { OPS("\x80\2](K\1u."), DEQ_ERR_DATA, "expected a dictionary to add to, found a list" },
    { OPS("\x80\2(u."), DEQ_ERR_DATA, "found nothing" },
    { OPS("\x80\2K\1K\1a."), DEQ_ERR_DATA, "expected a list to add to, found an integer" },
    { OPS("\x80\2K\1K\1b."), DEQ_ERR_DATA, "attributes for" },
    { OPS("\x80\2h\0."), DEQ_ERR_DATA, "memo entry 0 was never made" },
    { OPS("\x80\2}r\xff\xff\xff\xff."), DEQ_ERR_DATA, "memo entry 4294967295 after" },
    { OPS("\x80\2X\xff\xff\xff\xff."), DEQ_ERR_DATA, "a text of 4294967295 bytes" },
    { OPS("\x80\2\x8d\xff\xff\xff\xff\xff\xff\xff\xff."), DEQ_ERR_DATA, "bytes, but" },
    { OPS("\x80\2}X\1\0\0\0a\x8a\x0a\1\1\1\1\1\1\1\1\1\1s."), DEQ_ERR_DATA,
      "'a': found a long integer" },
    { OPS("\x80\2}X\0\0\0\0Ns."), DEQ_ERR_DATA, "empty or broken key" },
    { OPS("\x80\2}X\2\0\0\0a\0Ns."), DEQ_ERR_DATA, "empty or broken key" },
    { OPS("\x80\2}\x88Ns."), DEQ_ERR_DATA, "a key is neither" },
    { OPS("\x80\2}q\0X\1\0\0\0ah\0s."), DEQ_ERR_DATA, "nested too deeply" },
    { OPS("\x80\2ctorch\nFloatStorage\n)R."), DEQ_ERR_DATA,
      "torch.FloatStorage is not a function" },
    { OPS("\x80\2K\1)R."), DEQ_ERR_DATA, "found an integer and a tuple" },
    { OPS("\x80\2K\1Q."), DEQ_ERR_DATA, "expected ('storage'" },
    { OPS("\x80\2ctorch._utils\n_rebuild_tensor_v2\n)R."), DEQ_ERR_DATA, "expected a storage" },
    { OPS("\x80\2ctorch._utils\n_rebuild_parameter\n)R."), DEQ_ERR_DATA, "expected a tensor" },
};

static void hostile_pickles_are_refused_and_execute_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const struct refusal *c = &refusals[i];
        file_bytes b = legacy_of(c->operations, c->size, false);
        check_refusal(parse, b.data, b.size, c->status, c->message);
        bytes_free(&b);
    }
    check_refusal(parse, "", 0, DEQ_ERR_DATA, "neither a zip archive nor a pickle");
    check_refusal(parse, "\x80\2N.", 4, DEQ_ERR_DATA, "its magic number is missing");
}

static const struct tensor_case {
    const char *storage_class;
    int count, offset, rank, size[9], stride[9];
    deq_status status;
    const char *message;
} tensors[] = {
    { "FloatStorage", 2, 0, 1, { 2 }, { 1 }, DEQ_OK, "" },
    { "FloatStorage", 2, 1, 0, { 0 }, { 0 }, DEQ_OK, "" },
    { "FloatStorage", 2, 1, 2, { 3, 4 }, { 0, 0 }, DEQ_OK, "" },
    { "FloatStorage", 2, 9, 2, { 3, 0 }, { 0, 0 }, DEQ_OK, "" },
    { "FloatStorage", 2, 0, 1, { 3 }, { 1 }, DEQ_ERR_DATA, "reaches element 2 of storage '0'" },
    { "FloatStorage", 2, 2, 0, { 0 }, { 0 }, DEQ_ERR_DATA, "reaches element 2" },
    { "FloatStorage", 2, -1, 0, { 0 }, { 0 }, DEQ_ERR_DATA, "expected a storage, an offset" },
    { "FloatStorage", 2, 0, 1, { -2 }, { 1 }, DEQ_ERR_DATA, "size of a tensor must be" },
    { "FloatStorage", 2, 1, 1, { 2 }, { -1 }, DEQ_ERR_DATA, "strides of a tensor must be" },
    { "FloatStorage", 3, 0, 1, { 2 }, { 1 }, DEQ_ERR_DATA, "has 2 elements, expected 3" },
    { "DoubleStorage", 2, 0, 1, { 2 }, { 1 }, DEQ_ERR_DATA, "a storage needs 16 bytes" },
    { "ShortStorage", 2, 0, 1, { 2 }, { 1 }, DEQ_ERR_DATA, "4 bytes follow the last storage" },
    { "ComplexFloatStorage",
      2,
      0,
      1,
      { 1 },
      { 1 },
      DEQ_ERR_UNSUPPORTED,
      "'torch.ComplexFloatStorage'" },
    { "FloatStorage",
      2,
      0,
      9,
      { 1, 1, 1, 1, 1, 1, 1, 1, 1 },
      { 0 },
      DEQ_ERR_UNSUPPORTED,
      "9 axes" },
    { "FloatStorage",
      2,
      0,
      3,
      { 2147483647, 2147483647, 2147483647 },
      { 0, 0, 0 },
      DEQ_ERR_DATA,
      "too large" },
    /* 2^32 elements of a storage of two */
    { "FloatStorage",
      2,
      0,
      2,
      { 65536, 65536 },
      { 0, 0 },
      DEQ_ERR_DATA,
      "share storages too often" },
};

static void tensors_stay_within_their_storage(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
        const struct tensor_case *c = &tensors[i];
        file_bytes object = { 0 };

        pickle_begin(&object);
        pickle_tensor(&object, c->storage_class, "0", c->count, c->offset, c->rank, c->size,
                      c->stride);
        put_byte(&object, '.');
        file_bytes b = legacy_of(object.data, object.size, true);
        if (c->status == DEQ_OK)
            check_reads(parse, b.data, b.size);
        else
            check_refusal(parse, b.data, b.size, c->status, c->message);
        bytes_free(&object);
        bytes_free(&b);
    }
}

/* A list that holds a list twice, which holds a list twice, ...: 2^40 paths. */
static void containers_that_hold_each_other_are_refused(void **state)
{
    (void)state;
    file_bytes object = { 0 };

    pickle_begin(&object);
    put_text(&object, "]");
    for (int i = 0; i < 40; i++) {
        put_text(&object, "2\x86");
    }
    put_byte(&object, '.');
    file_bytes b = legacy_of(object.data, object.size, false);
    check_refusal(parse, b.data, b.size, DEQ_ERR_DATA, "hold each other too often");
    bytes_free(&object);
    bytes_free(&b);
}

/* One list of pairs, made a dictionary again and again. */
static void dictionaries_cost_no_more_than_their_operations(void **state)
{
    (void)state;
    file_bytes object = { 0 };

    pickle_begin(&object);
    put_text(&object, "ccollections\nOrderedDict\nq");
    put_byte(&object, 0);
    put_text(&object, "](");
    for (int i = 0; i < 1000; i++) put_text(&object, "NN\x86");
    put_text(&object, "e\x85q");
    put_byte(&object, 1);
    put_text(&object, "R");
    for (int i = 0; i < 1000; i++) put(&object, "0h\0h\1R", 6);
    put_byte(&object, '.');
    file_bytes b = legacy_of(object.data, object.size, false);
    check_refusal(parse, b.data, b.size, DEQ_ERR_DATA, "more pairs than the pickle has operations");
    bytes_free(&object);
    bytes_free(&b);
}

static void broken_zip_containers_are_refused(void **state)
{
    (void)state;
    file_bytes pickle = { 0 };

    pickle_object(&pickle);
    const struct {
        zip_member members[4];
        int count;
        const char *message;
    } cases[] = {
        { { { "m/other", "", 0 } }, 1, "not a checkpoint of PyTorch" },
        { { { "m/data.pkl", pickle.data, pickle.size } }, 1, "storage '0' is missing" },
        { { { "m/data.pkl", pickle.data, pickle.size }, { "m/data/0", "1234", 4 } },
          2,
          "storage '0' has 4 bytes, expected 24: 6 x f32" },
        { { { "m/data.pkl", pickle.data, pickle.size }, { "m/byteorder", "middle", 6 } },
          2,
          "found 'middle'" },
        { { { "m/data.pkl", "\x80\2}.rest", 8 } }, 1, "m/data.pkl: byte 4: 4 bytes follow" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        file_bytes b = sample_zip(cases[i].members, cases[i].count);
        check_refusal(parse, b.data, b.size, DEQ_ERR_DATA, cases[i].message);
        bytes_free(&b);
    }
    bytes_free(&pickle);
}

static void big_endian_storages_are_turned(void **state)
{
    (void)state;
    file_bytes pickle = { 0 };
    deq_context *ctx;
    deq_archive *a;

    pickle_begin(&pickle);
    pickle_tensor(&pickle, "ShortStorage", "s", 2, 0, 1, (int[]){ 2 }, (int[]){ 1 });
    put_byte(&pickle, '.');
    const zip_member members[] = { { "data.pkl", pickle.data, pickle.size },
                                   { "byteorder", "big", 3 },
                                   { "data/s", "\1\2\377\376", 4 } };
    file_bytes b = sample_zip(members, 3);
    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    assert_int_equal(deq_pytorch_parse(&a, ctx, b.data, b.size), DEQ_OK);
    const int32_t *x = deq_archive_find(a, "data")->data;
    assert_int_equal(x[0], 258);
    assert_int_equal(x[1], -2);
    deq_archive_free(a);
    deq_context_free(ctx);
    bytes_free(&b);
    bytes_free(&pickle);
}

static void assert_same(const deq_archive *a, const deq_archive *b)
{
    assert_int_equal(deq_archive_count(a), deq_archive_count(b));
    for (size_t i = 0; i < deq_archive_count(a); i++) {
        const deq_archive_tensor *x = deq_archive_at(a, i), *y = deq_archive_find(b, x->name);
        if (!y) fail_msg("no tensor '%s'", x->name);
        assert_int_equal(x->type.dtype, y->type.dtype);
        assert_true(deq_shape_equal(&x->type.shape, &y->type.shape));
        assert_memory_equal(x->data, y->data, deq_type_bytes(&x->type));
    }
}

/* What PyTorch wrote in both containers, against what NumPy wrote. */
static void pytorchs_files_hold_what_numpys_hold(void **state)
{
    (void)state;
    static const char *const folders[] = { "mdeq_zoo", "mdeq_vision", "transformer_lm",
                                           "transformer_seq" };
    deq_context *ctx;
    char path[1024], name[64];

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    for (size_t i = 0; i < 4; i++) {
        deq_archive *a[3];
        static const char *const files[] = { "weights.npz", "weights.pth", "weights_legacy.pth" };
        for (int k = 0; k < 3; k++) {
            snprintf(name, sizeof name, "%s/%s", folders[i], files[k]);
            shared_file(path, "DEQ_GOLDEN", name);
            if (deq_archive_read(&a[k], ctx, path) != DEQ_OK) fail_msg("%s", deq_last_error(ctx));
        }
        assert_same(a[0], a[1]);
        assert_same(a[0], a[2]);
        for (int k = 0; k < 3; k++) deq_archive_free(a[k]);
    }
    deq_context_free(ctx);
}

static void published_checkpoints_are_read(void **state)
{
    (void)state;
    const struct {
        const char *file, *tensor;
        deq_shape shape;
        int64_t parameters;
    } files[] = {
        { "weights/mnist_mondeq_float.pt", NULL, DEQ_SCALAR, 92011 },
        { "weights/raft-small.pth", "module.fnet.conv1.weight", DEQ_SHAPE(32, 3, 7, 7), 990162 },
    };
    deq_context *ctx;
    char path[1024];

    assert_int_equal(deq_context_new(&ctx, NULL), DEQ_OK);
    for (size_t i = 0; i < 2; i++) {
        deq_archive *a;
        int64_t parameters = 0;
        if (deq_pytorch_read(&a, ctx, shared_file(path, "DEQ_DATA", files[i].file)) != DEQ_OK)
            fail_msg("%s", deq_last_error(ctx));
        for (size_t k = 0; k < deq_archive_count(a); k++) {
            const deq_archive_tensor *t = deq_archive_at(a, k);
            if (t->type.dtype == DEQ_F32) parameters += deq_shape_count(&t->type.shape);
        }
        if (files[i].tensor) {
            const deq_archive_tensor *t = deq_archive_find(a, files[i].tensor);
            assert_non_null(t);
            assert_true(deq_shape_equal(&t->type.shape, &files[i].shape));
        }
        assert_int_equal(parameters, files[i].parameters);
        deq_archive_free(a);
    }
    deq_context_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_containers_give_tensors_by_name),
        cmocka_unit_test(damaged_checkpoints_are_refused),
        cmocka_unit_test(hostile_pickles_are_refused_and_execute_nothing),
        cmocka_unit_test(tensors_stay_within_their_storage),
        cmocka_unit_test(containers_that_hold_each_other_are_refused),
        cmocka_unit_test(dictionaries_cost_no_more_than_their_operations),
        cmocka_unit_test(broken_zip_containers_are_refused),
        cmocka_unit_test(big_endian_storages_are_turned),
        cmocka_unit_test(pytorchs_files_hold_what_numpys_hold),
        cmocka_unit_test(published_checkpoints_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
