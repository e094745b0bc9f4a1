/* SPDX-License-Identifier: MIT */
#include "model/built.h"
#include "support/memory.h"

#include <deq/io/archive.h>
#include <stdio.h>

static deq_archive *archive_new(deq_context *ctx)
{
    deq_archive *a = NULL;
    assert_int_equal(deq_archive_new(&a, ctx), DEQ_OK);
    return a;
}

static void must_save(deq_archive *a, const built *b, const char *prefix)
{
    if (deq_weights_save(a, b->n.w, prefix) != DEQ_OK) fail_msg("%s", deq_last_error(b->n.t.ctx));
}

/* A copy of an archive with names changed and some tensors left out. */
typedef const char *rename_fn(char *buffer, size_t size, const char *name, int index);

static deq_archive *renamed(deq_context *ctx, const deq_archive *from, rename_fn *rename)
{
    deq_archive *a = archive_new(ctx);
    for (size_t i = 0; i < deq_archive_count(from); i++) {
        char buffer[256];
        const deq_archive_tensor *t = deq_archive_at(from, i);
        const char *name = rename(buffer, sizeof buffer, t->name, (int)i);
        if (name) assert_int_equal(deq_archive_add(a, name, t->type, t->data), DEQ_OK);
    }
    return a;
}

/* A model in evaluation, with weights of this seed. */
static built model_of(const deq_model_options *o, deq_shape input, deq_context *ctx, uint64_t seed)
{
    deq_model_solve s = exact_solve();
    built b = build_model(NULL, ctx, false, input, o, &s);
    assert_ok(&b.n.t);
    network_begin(&b.n, seed);
    return b;
}

/* Free a model, but keep the context that it was given. */
static void free_model(built *b)
{
    built_free(b, false);
    deq_weights_free(b->n.w);
}

static void assert_same_weights(const built *a, const built *b)
{
    for (int k = 0; k < 2; k++) {
        deq_parameters *p = k ? deq_weights_buffers(a->n.w) : deq_weights_parameters(a->n.w);
        deq_parameters *q = k ? deq_weights_buffers(b->n.w) : deq_weights_parameters(b->n.w);
        assert_int_equal(deq_parameters_length(p), deq_parameters_length(q));
        size_t bytes = (size_t)deq_parameters_length(p) * sizeof(double);
        if (bytes)
            assert_memory_equal(deq_parameters_values(p, -1), deq_parameters_values(q, -1), bytes);
    }
}

/* Every weight is set to a number of its own, buffers too. */
static void number_weights(const built *b)
{
    for (int k = 0; k < 2; k++) {
        deq_parameters *p = k ? deq_weights_buffers(b->n.w) : deq_weights_parameters(b->n.w);
        for (int i = 0; i < deq_parameters_count(p); i++) {
            double *w = deq_parameters_values(p, i);
            for (int64_t j = 0; j < deq_parameters_info(p, i).count; j++)
                w[j] = k * 1000 + i + (double)j / 4096;
        }
    }
}

static void what_is_saved_is_loaded(void **state)
{
    (void)state;
    for (int f = 0; f < DEQ_MODEL_COUNT; f++) {
        deq_shape input;
        deq_model_options o = small_model((deq_model_family)f, &input);
        deq_context *ctx = test_context();
        built a = model_of(&o, input, ctx, 1), b = model_of(&o, input, ctx, 2);
        number_weights(&a);
        deq_archive *file = archive_new(ctx);
        must_save(file, &a, "");
        deq_load_report report;
        if (deq_model_load(b.n.w, file, &o, &report) != DEQ_OK) fail_msg("%s", deq_last_error(ctx));
        assert_same_weights(&a, &b);
        assert_int_equal(report.n_loaded, deq_archive_count(file));
        assert_int_equal(report.n_ignored, 0);
        deq_archive_free(file);
        free_model(&a);
        free_model(&b);
        deq_context_free(ctx);
    }
}

static void f32_and_f64_become_each_other(void **state)
{
    (void)state;
    deq_shape input;
    deq_model_options o = small_model(DEQ_MODEL_MLP, &input);
    deq_context *ctx = test_context();
    built a = model_of(&o, input, ctx, 1), b = model_of(&o, input, ctx, 2);
    deq_weights *w = NULL;
    deq_graph *g = NULL;
    deq_nn *nn = NULL;
    deq_model_outputs out;
    assert_int_equal(deq_graph_new(&g, ctx), DEQ_OK);
    assert_int_equal(deq_weights_new(&w, ctx, DEQ_F32), DEQ_OK);
    assert_int_equal(deq_nn_new(&nn, g, w, false), DEQ_OK);
    deq_model_build(nn, &out, deq_input(g, "x", DEQ_STAGE_INJECTED, DEQ_F32, input), &o, NULL);
    assert_int_equal(deq_weights_allocate(w), DEQ_OK);
    number_weights(&a); /* exact in f32 */
    deq_archive *wide = archive_new(ctx), *narrow = archive_new(ctx);
    must_save(wide, &a, "");
    assert_int_equal(deq_model_load(w, wide, &o, NULL), DEQ_OK);
    assert_int_equal(deq_weights_save(narrow, w, ""), DEQ_OK);
    assert_int_equal(deq_archive_find(narrow, "head.bias")->type.dtype, DEQ_F32);
    assert_int_equal(deq_model_load(b.n.w, narrow, &o, NULL), DEQ_OK);
    assert_same_weights(&a, &b);

    network_weight(&a.n, "head.bias", NULL)[1] = 1e39;
    deq_archive *large = archive_new(ctx);
    must_save(large, &a, "");
    assert_int_equal(deq_model_load(w, large, &o, NULL), DEQ_ERR_DATA);
    assert_non_null(strstr(deq_last_error(ctx), "'head.bias' has a number too large for f32"));
    deq_archive_free(large);
    deq_archive_free(wide);
    deq_archive_free(narrow);
    deq_nn_free(nn);
    deq_graph_free(g);
    deq_weights_free(w);
    free_model(&a);
    free_model(&b);
    deq_context_free(ctx);
}

/* Names -------------------------------------------------------------------------------------- */

static const char *parallel(char *buffer, size_t size, const char *name, int index)
{
    snprintf(buffer, size, "%s%s", index % 2 ? "module." : "module.module.", name);
    return buffer;
}

static const char *deep_thinking(char *buffer, size_t size, const char *name, int index)
{
    static const char *const table[][2] = {
        { "projection.weight", "projection.0.weight" },
        { "cell.inject.weight", "recur_block.0.weight" },
        { "cell.block.0.conv1.weight", "recur_block.2.0.conv1.weight" },
        { "cell.block.0.conv2.weight", "recur_block.2.0.conv2.weight" },
        { "head.conv1.weight", "head.0.weight" },
        { "head.conv2.weight", "head.2.weight" },
        { "head.conv3.weight", "head.4.weight" },
    };
    (void)index;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        if (strcmp(name, table[i][0]) == 0) snprintf(buffer, size, "module.%s", table[i][1]);
    return buffer;
}

/* weight_g and weight_v by their newer names. */
static const char *parametrized(char *buffer, size_t size, const char *name, int index)
{
    const char *end = strstr(name, ".weight_");
    (void)index;
    if (!end) return name;
    snprintf(buffer, size, "%.*s.parametrizations.weight.original%d", (int)(end - name), name,
             strcmp(end, ".weight_v") == 0);
    return buffer;
}

static void names_of_others_are_understood(void **state)
{
    (void)state;
    static const struct {
        deq_model_family family;
        deq_weight_kind norm;
        rename_fn *rename;
    } table[] = {
        { DEQ_MODEL_MLP, DEQ_WEIGHT_PLAIN, parallel },
        { DEQ_MODEL_SEQUENCE, DEQ_WEIGHT_PLAIN, deep_thinking },
        { DEQ_MODEL_MAZE, DEQ_WEIGHT_PLAIN, deep_thinking },
        { DEQ_MODEL_MAZE, DEQ_WEIGHT_NORM, parametrized },
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        deq_shape input;
        deq_model_options o = small_model(table[i].family, &input);
        o.recurrent.norm = table[i].norm;
        deq_context *ctx = test_context();
        built a = model_of(&o, input, ctx, 1), b = model_of(&o, input, ctx, 2);
        deq_archive *file = archive_new(ctx);
        must_save(file, &a, "");
        deq_archive *other = renamed(ctx, file, table[i].rename);
        deq_load_report report;
        if (deq_model_load(b.n.w, other, &o, &report) != DEQ_OK)
            fail_msg("row %zu: %s", i, deq_last_error(ctx));
        assert_same_weights(&a, &b);
        deq_archive_free(other);
        deq_archive_free(file);
        free_model(&a);
        free_model(&b);
        deq_context_free(ctx);
    }
}

static void a_layer_without_injection_has_its_blocks_in_front(void **state)
{
    (void)state;
    deq_shape input;
    deq_model_options o = small_model(DEQ_MODEL_MAZE, &input);
    o.recurrent.no_injection = true;
    deq_context *ctx = test_context();
    built a = model_of(&o, input, ctx, 1);
    deq_archive *file = archive_new(ctx);
    double w[5 * 5 * 9];
    wave(w, 225, 0);
    const struct {
        const char *name;
        deq_shape shape;
    } tensors[] = {
        { "projection.0.weight", DEQ_SHAPE(5, 3, 3, 3) },
        { "recur_block.0.0.conv1.weight", DEQ_SHAPE(5, 5, 3, 3) },
        { "recur_block.0.0.conv2.weight", DEQ_SHAPE(5, 5, 3, 3) },
        { "head.0.weight", DEQ_SHAPE(4, 5, 3, 3) },
        { "head.2.weight", DEQ_SHAPE(3, 4, 3, 3) },
        { "head.4.weight", DEQ_SHAPE(3, 3, 3, 3) },
    };
    for (size_t i = 0; i < COUNT_OF(tensors); i++)
        assert_int_equal(
            deq_archive_add(file, tensors[i].name, (deq_type){ DEQ_F64, tensors[i].shape }, w),
            DEQ_OK);
    if (deq_model_load(a.n.w, file, &o, NULL) != DEQ_OK) fail_msg("%s", deq_last_error(ctx));
    assert_memory_equal(network_weight(&a.n, "cell.block.0.conv2.weight", NULL), w, sizeof w);
    deq_archive_free(file);
    free_model(&a);
    deq_context_free(ctx);
}

static void counters_are_ignored_and_counted(void **state)
{
    (void)state;
    deq_shape input;
    deq_model_options o = small_model(DEQ_MODEL_MLP, &input);
    deq_context *ctx = test_context();
    built a = model_of(&o, input, ctx, 1);
    deq_archive *file = archive_new(ctx);
    must_save(file, &a, "");
    const int64_t n = 17;
    deq_type type = { DEQ_I64, DEQ_SCALAR };
    assert_int_equal(deq_archive_add(file, "bn.num_batches_tracked", type, &n), DEQ_OK);
    deq_load_report report;
    assert_int_equal(deq_model_load(a.n.w, file, &o, &report), DEQ_OK);
    assert_int_equal(report.n_loaded, 5);
    assert_int_equal(report.n_ignored, 1);
    deq_archive_free(file);
    free_model(&a);
    deq_context_free(ctx);
}

static void a_prefix_stands_before_saved_names(void **state)
{
    (void)state;
    deq_shape input;
    deq_model_options o = small_model(DEQ_MODEL_MLP, &input);
    deq_context *ctx = test_context();
    built a = model_of(&o, input, ctx, 1), b = model_of(&o, input, ctx, 2);
    deq_archive *file = archive_new(ctx);
    const double zero = 0;
    must_save(file, &a, "model.");
    assert_int_equal(deq_archive_add(file, "step", (deq_type){ DEQ_F64, DEQ_SCALAR }, &zero),
                     DEQ_OK);
    assert_int_equal(deq_archive_count(file), 6);
    assert_non_null(deq_archive_find(file, "model.head.weight"));
    assert_int_equal(deq_weights_save(file, a.n.w, "model."), DEQ_ERR_NAME);
    assert_int_equal(deq_archive_count(file), 6);
    assert_int_equal(deq_archive_narrow(file, "model."), DEQ_OK);
    assert_int_equal(deq_model_load(b.n.w, file, &o, NULL), DEQ_OK);
    assert_same_weights(&a, &b);
    deq_archive_free(file);
    free_model(&a);
    free_model(&b);
    deq_context_free(ctx);
}

/* Forms of weights --------------------------------------------------------------------------- */

/* A model of one form loads what another saved: the logits stay.  A spectral weight's vectors have to
 * be made: a hundred power iterations leave some 1e-6 of |W|, which the scale then makes good where it
 * is used with the same vectors. */
static void every_form_of_weight_becomes_every_other(void **state)
{
    (void)state;
    static const deq_weight_kind kinds[] = { DEQ_WEIGHT_PLAIN, DEQ_WEIGHT_NORM,
                                             DEQ_WEIGHT_SPECTRAL };
    static const deq_model_family families[] = { DEQ_MODEL_MLP, DEQ_MODEL_MAZE };
    for (int k = 0; k < 18; k++) {
        enum { MOST = 400 };
        deq_shape input;
        double before[MOST], after[MOST];
        deq_model_options o = small_model(families[k / 9], &input), p;
        p = o;
        o.mlp.norm = o.recurrent.norm = kinds[k / 3 % 3];
        p.mlp.norm = p.recurrent.norm = kinds[k % 3];
        deq_context *ctx = test_context();
        built a = model_of(&o, input, ctx, 1), b = model_of(&p, input, ctx, 2);
        deq_archive *file = archive_new(ctx);
        must_save(file, &a, "");
        deq_load_report report;
        if (deq_model_load(b.n.w, file, &p, &report) != DEQ_OK)
            fail_msg("%d: %s", k, deq_last_error(ctx));
        assert_int_equal(report.n_loaded, deq_archive_count(file));
        value_of(&a, a.out.logits[0], before);
        value_of(&b, b.out.logits[0], after);
        check_close("logits", after, before, count_of(&a, a.out.logits[0]), 1e-11);
        deq_archive_free(file);
        free_model(&a);
        free_model(&b);
        deq_context_free(ctx);
    }
}

/* Refusals ----------------------------------------------------------------------------------- */

static const char *without_bias(char *buffer, size_t size, const char *name, int index)
{
    (void)buffer, (void)size, (void)index;
    return strstr(name, "bias") ? NULL : name;
}

static const char *misspelt(char *buffer, size_t size, const char *name, int index)
{
    snprintf(buffer, size, "%s%s", name, index == 1 ? "s" : "");
    return buffer;
}

static const char *numbered(char *buffer, size_t size, const char *name, int index)
{
    (void)name;
    snprintf(buffer, size, "layer%d\n%c", index, 1);
    return buffer;
}

static void a_wrong_file_is_refused_with_names_and_changes_nothing(void **state)
{
    (void)state;
    static const struct {
        rename_fn *rename;
        const char *texts[3];
    } table[] = {
        { without_bias, { "it lacks 'input.bias', 'head.bias'" } },
        { misspelt,
          { "it lacks 'input.bias' (near 'input.biass')",
            "the model has no 'input.biass' (near 'input.bias')" } },
        { numbered,
          { "it lacks", "and 2 more",
            "the model has no 'layer0?"
            "?'" } },
    };
    deq_shape input;
    deq_model_options o = small_model(DEQ_MODEL_MLP, &input);
    deq_context *ctx = test_context();
    built a = model_of(&o, input, ctx, 1), b = model_of(&o, input, ctx, 2);
    built same = model_of(&o, input, ctx, 2);
    deq_archive *file = archive_new(ctx);
    must_save(file, &a, "");
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        deq_archive *other = renamed(ctx, file, table[i].rename);
        assert_int_equal(deq_model_load(b.n.w, other, &o, NULL), DEQ_ERR_NAME);
        for (int k = 0; k < 3; k++)
            if (table[i].texts[k] && !strstr(deq_last_error(ctx), table[i].texts[k]))
                fail_msg("'%s' is not in '%s'", table[i].texts[k], deq_last_error(ctx));
        assert_same_weights(&b, &same);
        deq_archive_free(other);
    }
    deq_archive_free(file);
    free_model(&a);
    free_model(&b);
    free_model(&same);
    deq_context_free(ctx);
}

/* The last tensor is replaced by something else; the first ones would have fitted. */
static void a_tensor_that_does_not_fit_is_refused_and_nothing_changes(void **state)
{
    (void)state;
    static const double data[64] = { 0 };
    static const struct {
        const char *name;
        deq_type type;
        deq_status status;
        const char *text;
    } table[] = {
        { "head.bias",
          { DEQ_F64, { 1, { 4 } } },
          DEQ_ERR_SHAPE,
          "'head.bias' is f64 [4], the model's weight f64 [3]" },
        { "head.bias", { DEQ_F64, { 1, { 0 } } }, DEQ_ERR_SHAPE, "f64 [0]" },
        { "head.bias", { DEQ_I64, { 1, { 3 } } }, DEQ_ERR_DTYPE, "'head.bias' holds i64" },
        { "module.input.bias", { DEQ_F64, { 1, { 12 } } }, DEQ_ERR_NAME, "there twice" },
        { "head.weight_g", { DEQ_F64, { 1, { 3 } } }, DEQ_ERR_NAME, "has no 'head.weight_g'" },
    };
    deq_shape input;
    deq_model_options o = small_model(DEQ_MODEL_MLP, &input);
    deq_context *ctx = test_context();
    built a = model_of(&o, input, ctx, 1), b = model_of(&o, input, ctx, 2);
    built same = model_of(&o, input, ctx, 2);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        deq_archive *all = archive_new(ctx), *file = archive_new(ctx);
        must_save(all, &a, "");
        for (size_t k = 0; k < deq_archive_count(all); k++) {
            const deq_archive_tensor *t = deq_archive_at(all, k);
            if (strcmp(t->name, table[i].name) != 0)
                assert_int_equal(deq_archive_add(file, t->name, t->type, t->data), DEQ_OK);
        }
        assert_int_equal(deq_archive_add(file, table[i].name, table[i].type, data), DEQ_OK);
        deq_status status = deq_model_load(b.n.w, file, &o, NULL);
        if (status != table[i].status || !strstr(deq_last_error(ctx), table[i].text))
            fail_msg("row %zu: %s: %s", i, deq_status_text(status), deq_last_error(ctx));
        assert_same_weights(&b, &same);
        deq_archive_free(all);
        deq_archive_free(file);
    }
    free_model(&a);
    free_model(&b);
    free_model(&same);
    deq_context_free(ctx);
}

/* The parts of another form must fit each other. */
static void parts_that_do_not_fit_each_other_are_refused(void **state)
{
    (void)state;
    static const double data[256] = { 1 };
    static const struct {
        const char *part[3];
        deq_shape shape[3];
        deq_status status;
        const char *text;
    } table[] = {
        { { "weight_v", "weight_g" },
          { { 2, { 12, 12 } }, { 1, { 5 } } },
          DEQ_ERR_SHAPE,
          "'weight_g' has 5 elements, expected 12" },
        { { "weight_v", "weight_g" },
          { { 2, { 12, 11 } }, { 1, { 12 } } },
          DEQ_ERR_SHAPE,
          "f64 [12, 11]" },
        { { "weight_v" }, { { 2, { 12, 12 } } }, DEQ_ERR_NAME, "it lacks 'state.weight'" },
        { { "weight_orig", "weight_u", "weight_v" },
          { { 2, { 12, 12 } }, { 1, { 12 } }, { 1, { 7 } } },
          DEQ_ERR_SHAPE,
          "'weight_v' has 7" },
        { { "weight_orig", "weight_u", "weight_v" },
          { { 2, { 12, 12 } }, { 1, { 12 } }, { 1, { 12 } } },
          DEQ_OK,
          "" },
    };
    deq_shape input;
    deq_model_options o = small_model(DEQ_MODEL_MLP, &input);
    deq_context *ctx = test_context();
    built a = model_of(&o, input, ctx, 1);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        deq_archive *all = archive_new(ctx), *file = archive_new(ctx);
        must_save(all, &a, "");
        for (size_t k = 0; k < deq_archive_count(all); k++) {
            const deq_archive_tensor *t = deq_archive_at(all, k);
            if (strcmp(t->name, "state.weight") != 0)
                assert_int_equal(deq_archive_add(file, t->name, t->type, t->data), DEQ_OK);
        }
        for (int k = 0; k < 3 && table[i].part[k]; k++) {
            char name[64];
            deq_type type = { DEQ_F64, table[i].shape[k] };
            snprintf(name, sizeof name, "state.%s", table[i].part[k]);
            assert_int_equal(deq_archive_add(file, name, type, data), DEQ_OK);
        }
        deq_status status = deq_model_load(a.n.w, file, &o, NULL);
        if (status != table[i].status || !strstr(deq_last_error(ctx), table[i].text))
            fail_msg("row %zu: %s: %s", i, deq_status_text(status), deq_last_error(ctx));
        deq_archive_free(all);
        deq_archive_free(file);
    }
    free_model(&a);
    deq_context_free(ctx);
}

static void calls_out_of_order_are_refused(void **state)
{
    (void)state;
    deq_shape input;
    deq_model_options o = small_model(DEQ_MODEL_MLP, &input);
    built b = build_model(NULL, NULL, false, input, &o, NULL);
    deq_archive *file = archive_new(b.n.t.ctx);
    assert_int_equal(deq_model_load(b.n.w, file, &o, NULL), DEQ_ERR_STATE);
    assert_int_equal(deq_weights_save(file, b.n.w, ""), DEQ_ERR_STATE);
    network_begin(&b.n, 0);
    o.family = DEQ_MODEL_COUNT;
    assert_int_equal(deq_model_load(b.n.w, file, &o, NULL), DEQ_ERR_ARGUMENT);
    deq_archive_free(file);
    built_free(&b, true);
}

/* Save, and load in another form: each allocation may fail, and then nothing has changed. */
static void every_allocation_may_fail(void **state)
{
    (void)state;
    deq_shape input;
    deq_model_options o = small_model(DEQ_MODEL_MLP, &input), p;
    p = o;
    p.mlp.norm = DEQ_WEIGHT_SPECTRAL;
    test_memory m = { 0 };
    deq_context *ctx = test_memory_context(&m, 1);
    built a = model_of(&o, input, ctx, 1), b = model_of(&p, input, ctx, 2);
    built same = model_of(&p, input, ctx, 2);
    for (size_t fail_at = 1;; fail_at++) {
        deq_archive *file = archive_new(ctx);
        atomic_store(&m.fail_at, atomic_load(&m.calls) + fail_at);
        deq_status status = deq_weights_save(file, a.n.w, "");
        if (status == DEQ_OK) status = deq_model_load(b.n.w, file, &p, NULL);
        atomic_store(&m.fail_at, 0);
        deq_archive_free(file);
        if (status == DEQ_OK) {
            assert_true(fail_at > 15);
            break;
        }
        assert_int_equal(status, DEQ_ERR_NOMEM);
        assert_same_weights(&b, &same);
    }
    free_model(&a);
    free_model(&b);
    free_model(&same);
    deq_context_free(ctx);
    assert_memory_clean(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_saved_is_loaded),
        cmocka_unit_test(f32_and_f64_become_each_other),
        cmocka_unit_test(names_of_others_are_understood),
        cmocka_unit_test(a_layer_without_injection_has_its_blocks_in_front),
        cmocka_unit_test(counters_are_ignored_and_counted),
        cmocka_unit_test(a_prefix_stands_before_saved_names),
        cmocka_unit_test(every_form_of_weight_becomes_every_other),
        cmocka_unit_test(a_wrong_file_is_refused_with_names_and_changes_nothing),
        cmocka_unit_test(a_tensor_that_does_not_fit_is_refused_and_nothing_changes),
        cmocka_unit_test(parts_that_do_not_fit_each_other_are_refused),
        cmocka_unit_test(calls_out_of_order_are_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
