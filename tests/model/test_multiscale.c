/* SPDX-License-Identifier: MIT */
/* Multiscale models: published sizes, names of weights, masks, refusals. */
#include "support/engine.h"

#include <deq/model.h>
#include <stdio.h>

/* A model built over weights of its own, declared but not allocated. */
typedef struct declared {
    test_graph t;
    deq_weights *w;
    deq_nn *nn;
    deq_model_outputs out;
    deq_value x;
} declared;

static declared declare(const deq_model_options *o, deq_dtype dtype, int64_t batch, int64_t extent,
                        bool training, const deq_model_solve *solve)
{
    declared d = { .t = test_graph_new() };
    assert_int_equal(deq_weights_new(&d.w, d.t.ctx, dtype), DEQ_OK);
    assert_int_equal(deq_nn_new(&d.nn, d.t.g, d.w, training), DEQ_OK);
    d.x = deq_input(d.t.g, "x", DEQ_STAGE_INJECTED, dtype, DEQ_SHAPE(batch, 3, extent, extent));
    (void)deq_model_build(d.nn, &d.out, d.x, o, solve);
    return d;
}

static void discard(declared *d)
{
    deq_nn_free(d->nn);
    deq_graph_free(d->t.g);
    d->t.g = NULL;
    deq_weights_free(d->w);
    test_graph_free(&d->t);
}

static deq_model_options preset(deq_multiscale_preset which)
{
    deq_model_options o = deq_model_defaults(DEQ_MODEL_MULTISCALE);
    o.multiscale = deq_multiscale_defaults(which);
    return o;
}

/* A small model: two branches of 8 channels. */
static deq_model_options small(void)
{
    deq_model_options o = preset(DEQ_MULTISCALE_CIFAR_TINY);
    o.classes = 3;
    o.multiscale.channels[0] = o.multiscale.channels[1] = 8;
    o.multiscale.head[0] = o.multiscale.head[1] = 2;
    o.multiscale.final = 5;
    o.multiscale.expansion = 2;
    o.multiscale.groups = 4;
    return o;
}

static int64_t count_of(const declared *d, const char *prefix)
{
    const deq_parameters *p = deq_weights_parameters(d->w);
    int64_t n = 0;
    for (int i = 0; i < deq_parameters_count(p); i++) {
        deq_parameter_info info = deq_parameters_info(p, i);
        if (!strncmp(info.name, prefix, strlen(prefix))) n += info.count;
    }
    return n;
}

/* All parameters, and those of the cell. */
static const struct published {
    deq_multiscale_preset preset;
    const char *name;
    int64_t extent, classes, all, cell, state;
} published[] = {
    { DEQ_MULTISCALE_CIFAR_TINY, "cifar-tiny", 32, 10, 158890, 111696, 30720 },
    { DEQ_MULTISCALE_CIFAR_LARGE, "cifar-large", 32, 10, 11097438, 8715232, 61440 },
    { DEQ_MULTISCALE_IMAGENET_SMALL, "imagenet-small", 224, 1000, 16808936, 8716192, 188160 },
    { DEQ_MULTISCALE_IMAGENET_SMALL_JR, "imagenet-small-jr", 224, 1000, 18613496, 8715232, 188160 },
    { DEQ_MULTISCALE_IMAGENET_LARGE, "imagenet-large", 224, 1000, 67063624, 54422800, 470400 },
    /* without the two vectors of each of four post-fusion normalisations */
    { DEQ_MULTISCALE_IMAGENET_LARGE_JR, "imagenet-large-jr", 224, 1000, 67061224,
      54422800 - 2 * (80 + 160 + 320 + 640), 470400 },
    { DEQ_MULTISCALE_IMAGENET_XL, "imagenet-xl", 224, 1000, 90463280, 77699952, 517440 },
    /* with them, and with the scales of the fusion's convolutions: 24 + 24 */
    { DEQ_MULTISCALE_ZOO_TINY, "zoo-tiny", 32, 10, 159034, 111696 + 2 * 48 + 48, 30720 },
    /* likewise; scales of 96, 192, 416 and 896 channels into the four branches */
    { DEQ_MULTISCALE_ZOO_LARGE, "zoo-large", 32, 10, 11097438 + 2 * 480 + 1600,
      8715232 + 2 * 480 + 1600, 61440 },
};

static void presets_have_the_published_numbers_of_parameters(void **state)
{
    (void)state;
    assert_int_equal(COUNT_OF(published), DEQ_MULTISCALE_PRESET_COUNT);
    for (size_t k = 0; k < COUNT_OF(published); k++) {
        const struct published *p = &published[k];
        deq_model_options o = preset(p->preset);
        o.classes = p->classes;
        declared d = declare(&o, DEQ_F32, 1, p->extent, true, NULL);
        assert_ok(&d.t);
        assert_string_equal(deq_multiscale_preset_name(p->preset), p->name);
        int64_t all = deq_parameters_elements(deq_weights_parameters(d.w)), dim = 0;
        for (int i = 0; i < d.out.n_states; i++) {
            deq_shape s = deq_value_type(d.t.g, d.out.z_star[i]).shape;
            dim += deq_shape_count(&s);
        }
        if (all != p->all || count_of(&d, "fullstage.") != p->cell || dim != p->state)
            fail_msg("%s: %lld parameters, %lld of the cell, state of %lld", p->name,
                     (long long)all, (long long)count_of(&d, "fullstage."), (long long)dim);
        assert_shape(&d.t, d.out.logits[0], DEQ_SHAPE(1, p->classes));
        discard(&d);
    }
    assert_null(deq_multiscale_preset_name(DEQ_MULTISCALE_PRESET_COUNT));
}

/* Names, by kind: p parameter, b buffer, - neither. */
typedef struct named {
    char kind;
    const char *name;
    int64_t dim[4];
    int rank;
} named;

static void check_names(const declared *d, const named *table, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const named *e = &table[i];
        deq_parameters *of[2] = { deq_weights_parameters(d->w), deq_weights_buffers(d->w) };
        int at[2] = { deq_parameters_find(of[0], e->name), deq_parameters_find(of[1], e->name) };
        bool ok = (at[0] >= 0) == (e->kind == 'p') && (at[1] >= 0) == (e->kind == 'b');
        if (ok && e->kind != '-') {
            int which = e->kind == 'b';
            deq_shape s = deq_parameters_info(of[which], at[which]).shape;
            ok = s.rank == e->rank;
            for (int k = 0; ok && k < s.rank; k++) ok = s.dim[k] == e->dim[k];
        }
        if (!ok) fail_msg("'%s' is not what is expected", e->name);
    }
}

static void weights_have_the_names_of_the_original(void **state)
{
    static const named large[] = {
        { 'p', "downsample.0.weight", { 32, 3, 3, 3 }, 4 },
        { 'p', "downsample.3.weight", { 32, 32, 3, 3 }, 4 },
        { 'b', "downsample.4.running_var", { 32 }, 1 },
        { 'p', "stage0.0.weight", { 32, 32, 1, 1 }, 4 },
        { 'p', "stage0.1.bias", { 32 }, 1 },
        { 'p', "fullstage.branches.3.blocks.0.conv1.weight_g", { 1280, 1, 1, 1 }, 4 },
        { 'p', "fullstage.branches.3.blocks.0.conv2.weight_v", { 256, 1280, 3, 3 }, 4 },
        { 'p', "fullstage.branches.1.blocks.0.gn3.bias", { 64 }, 1 },
        { 'p', "fullstage.fuse_layers.0.3.net.conv.weight", { 32, 256, 1, 1 }, 4 },
        { 'p', "fullstage.fuse_layers.0.3.net.gnorm.weight", { 32 }, 1 },
        { 'p', "fullstage.fuse_layers.3.0.net.1.conv.weight", { 32, 32, 3, 3 }, 4 },
        { 'p', "fullstage.fuse_layers.3.0.net.2.conv.weight", { 256, 32, 3, 3 }, 4 },
        { 'p', "fullstage.fuse_layers.3.0.net.2.gnorm.bias", { 256 }, 1 },
        { '-', "fullstage.fuse_layers.1.1.net.conv.weight", { 0 }, 0 },
        { 'p', "fullstage.post_fuse_layers.2.conv.weight_v", { 128, 128, 1, 1 }, 4 },
        { '-', "fullstage.post_fuse_layers.2.gnorm.weight", { 0 }, 0 },
        { 'p', "incre_modules.2.0.conv3.weight", { 224, 56, 1, 1 }, 4 },
        { 'b', "incre_modules.2.0.bn3.running_mean", { 224 }, 1 },
        { '-', "incre_modules.2.0.bn3.weight", { 0 }, 0 },
        { 'p', "incre_modules.2.0.downsample.0.weight", { 224, 128, 1, 1 }, 4 },
        { 'p', "incre_modules.2.0.downsample.1.weight", { 224 }, 1 },
        { 'p', "downsamp_modules.1.0.bias", { 224 }, 1 },
        { 'b', "downsamp_modules.1.1.running_mean", { 224 }, 1 },
        { 'p', "final_layer.0.weight", { 1680, 448, 1, 1 }, 4 },
        { 'p', "classifier.weight", { 10, 1680 }, 2 },
    };
    static const named shine[] = {
        { 'p', "downsample.1.weight", { 24 }, 1 },
        { '-', "downsample.1.running_mean", { 0 }, 0 },
        { '-', "stage0.0.weight", { 0 }, 0 },
        { 'p', "fullstage.branches.0.blocks.0.conv1.weight", { 120, 24, 5, 5 }, 4 },
        { 'p', "fullstage.branches.0.blocks.0.conv2.weight", { 24, 120, 3, 3 }, 4 },
        { '-', "fullstage.branches.0.blocks.0.conv1.weight_g", { 0 }, 0 },
    };
    static const named deep[] = { { 'p', "downsample.DS3.weight", { 24, 24, 3, 3 }, 4 },
                                  { 'b', "downsample.DS4-BN.running_mean", { 24 }, 1 } };
    (void)state;
    deq_model_options o = preset(DEQ_MULTISCALE_CIFAR_LARGE);
    declared d = declare(&o, DEQ_F32, 1, 32, false, NULL);
    assert_ok(&d.t);
    check_names(&d, large, COUNT_OF(large));
    discard(&d);

    o = preset(DEQ_MULTISCALE_CIFAR_TINY);
    o.multiscale.stem_group_norm = true;
    o.multiscale.norm = DEQ_WEIGHT_PLAIN;
    o.multiscale.kernel1 = 5;
    d = declare(&o, DEQ_F32, 1, 32, false, NULL);
    assert_ok(&d.t);
    check_names(&d, shine, COUNT_OF(shine));
    discard(&d);

    o = preset(DEQ_MULTISCALE_CIFAR_TINY);
    o.multiscale.downsamplings = 4;
    d = declare(&o, DEQ_F32, 1, 64, false, NULL);
    assert_ok(&d.t);
    assert_shape(&d.t, d.out.z_star[0], DEQ_SHAPE(1, 24, 4, 4));
    check_names(&d, deep, COUNT_OF(deep));
    discard(&d);
}

static void one_branch_is_its_block_alone(void **state)
{
    (void)state;
    deq_model_options o = small();
    o.multiscale.n_branches = 1;
    declared d = declare(&o, DEQ_F64, 2, 8, false, NULL);
    assert_ok(&d.t);
    assert_int_equal(d.out.n_states, 1);
    assert_int_equal(count_of(&d, "fullstage.fuse_layers"), 0);
    assert_int_equal(count_of(&d, "fullstage.post_fuse_layers"), 0);
    discard(&d);
}

/* `steps` evaluations from z0 with the masks of a key; z0 NULL: from 0.  State 0 goes to `z`. */
static void unroll(int steps, const int64_t key[2], const double *const z0[2], double *z[2])
{
    enum { B = 2, N = 8 };
    deq_model_options o = small();
    deq_model_solve solve = deq_model_solve_defaults();
    solve.equilibrium.gradient = DEQ_GRADIENT_UNROLL;
    solve.equilibrium.forward.max_iter = steps;
    o.multiscale.dropout = 0.5;
    deq_value start[2];
    declared d = { .t = test_graph_new() };
    assert_int_equal(deq_weights_new(&d.w, d.t.ctx, DEQ_F64), DEQ_OK);
    assert_int_equal(deq_nn_new(&d.nn, d.t.g, d.w, true), DEQ_OK);
    for (int i = 0; i < 2; i++)
        start[i] = deq_input(d.t.g, i ? "z1" : "z0", DEQ_STAGE_INJECTED, DEQ_F64,
                             DEQ_SHAPE(B, 8, N >> i, N >> i));
    solve.has_start = true;
    solve.start = DEQ_START_GIVEN;
    solve.z0 = start;
    d.x = deq_input(d.t.g, "x", DEQ_STAGE_INJECTED, DEQ_F64, DEQ_SHAPE(B, 3, N, N));
    deq_model_build(d.nn, &d.out, d.x, &o, &solve);
    assert_ok(&d.t);
    assert_int_equal(deq_weights_allocate(d.w), DEQ_OK);
    assert_int_equal(deq_weights_initialise(d.w, 7), DEQ_OK);
    deq_program *p = must_compile(&d.t, d.out.z_star, 2, NULL);
    double x[B * 3 * N * N];
    for (size_t i = 0; i < COUNT_OF(x); i++) x[i] = sin((double)i);
    must_write(&d.t, p, d.x, x);
    must_write(&d.t, p, deq_nn_used_key(d.nn), key);
    for (int i = 0; i < 2 && z0; i++) must_write(&d.t, p, start[i], z0[i]);
    must_run(p, DEQ_STAGE_PARAMETER);
    for (int i = 0; i < 2; i++) must_read(&d.t, p, d.out.z_star[i], z[i]);
    deq_program_free(p);
    discard(&d);
}

static void masks_are_drawn_once_a_solve(void **state)
{
    enum { FINE = 2 * 8 * 8 * 8, COARSE = FINE / 4 };
    static double once[2][FINE], twice[2][FINE], straight[2][FINE], other[2][FINE];
    const int64_t key[2] = { 3, 14 }, key2[2] = { 3, 15 };
    (void)state;
    double *a[2] = { once[0], once[1] }, *b[2] = { twice[0], twice[1] },
           *c[2] = { straight[0], straight[1] }, *e[2] = { other[0], other[1] };
    unroll(1, key, NULL, a);
    unroll(1, key, (const double *const *)(void *)a, b);
    unroll(2, key, NULL, c);
    unroll(2, key2, NULL, e);
    double gap = 0, apart = 0;
    for (int i = 0; i < FINE; i++) {
        gap = fmax(gap, fabs(twice[0][i] - straight[0][i]));
        apart = fmax(apart, fabs(other[0][i] - straight[0][i]));
    }
    if (gap > 1e-12) fail_msg("two steps and one step twice differ by %g", gap);
    if (apart < 1e-6) fail_msg("another key gives the same masks");
}

/* Everything in `p` under the names of an older checkpoint of the zoo, with second copies. */
static int64_t add_foreign(deq_archive *a, deq_parameters *p)
{
    int64_t copies = 0;
    for (int i = 0; i < deq_parameters_count(p); i++) {
        deq_parameter_info info = deq_parameters_info(p, i);
        const char *cell = strncmp(info.name, "fullstage.", 10) ? NULL : info.name + 10;
        deq_type t = { DEQ_F32, info.shape };
        char name[300];
        snprintf(name, sizeof name, "module.%s%s", cell ? "full_stage." : "",
                 cell ? cell : info.name);
        assert_int_equal(deq_archive_add(a, name, t, deq_parameters_values(p, i)), DEQ_OK);
        for (int k = 0; k < 3 && cell; k++, copies++) {
            static const char *const prefix[] = { "fullstage_copy.", "deq.func.",
                                                  "deq.func_copy." };
            snprintf(name, sizeof name, "module.%s%s", prefix[k], cell);
            assert_int_equal(deq_archive_add(a, name, t, NULL), DEQ_OK);
        }
    }
    return copies;
}

static void older_checkpoints_load_without_their_copies(void **state)
{
    (void)state;
    deq_model_options o = small();
    declared d = declare(&o, DEQ_F32, 1, 8, false, NULL),
             e = declare(&o, DEQ_F32, 1, 8, false, NULL);
    deq_load_report report;
    deq_archive *a = NULL;
    assert_int_equal(deq_weights_allocate(d.w), DEQ_OK);
    assert_int_equal(deq_weights_initialise(d.w, 1), DEQ_OK);
    assert_int_equal(deq_weights_allocate(e.w), DEQ_OK);
    assert_int_equal(deq_archive_new(&a, d.t.ctx), DEQ_OK);
    int64_t copies = add_foreign(a, deq_weights_parameters(d.w));
    copies += add_foreign(a, deq_weights_buffers(d.w));
    int64_t counter = 7;
    deq_type scalar = { DEQ_I64, DEQ_SCALAR };
    assert_int_equal(
        deq_archive_add(a, "module.downsample.1.num_batches_tracked", scalar, &counter), DEQ_OK);
    if (deq_model_load(e.w, a, &o, &report) != DEQ_OK) fail_msg("%s", deq_last_error(e.t.ctx));
    assert_int_equal(report.n_ignored, copies + 1);
    deq_parameters *p = deq_weights_parameters(d.w), *q = deq_weights_parameters(e.w);
    assert_memory_equal(deq_parameters_values(p, -1), deq_parameters_values(q, -1),
                        (size_t)deq_parameters_length(p) * sizeof(float));
    deq_archive_free(a);
    discard(&d);
    discard(&e);
}

static void what_does_not_fit_is_refused(void **state)
{
    static const struct refusal {
        const char *name, *text;
        int64_t extent;
        int n_branches;
        int64_t groups, channels;
        int64_t kernel;
        double dropout;
        deq_status status;
    } table[] = {
        { "plane", "multiples of 2", 7, 2, 4, 8, 3, 0, DEQ_ERR_SHAPE },
        { "branches", "5 branches", 8, 5, 4, 8, 3, 0, DEQ_ERR_ARGUMENT },
        { "odd groups", "even number", 8, 2, 3, 8, 3, 0, DEQ_ERR_ARGUMENT },
        { "channels", "branch 1", 8, 2, 4, 10, 3, 0, DEQ_ERR_ARGUMENT },
        { "kernel", "3 or 5", 8, 2, 4, 8, 4, 0, DEQ_ERR_ARGUMENT },
        { "dropout", "dropout is 1", 8, 2, 4, 8, 3, 1, DEQ_ERR_ARGUMENT },
    };
    (void)state;
    for (size_t k = 0; k < COUNT_OF(table); k++) {
        const struct refusal *r = &table[k];
        deq_model_options o = small();
        o.multiscale.n_branches = r->n_branches;
        o.multiscale.groups = r->groups;
        o.multiscale.channels[1] = r->channels;
        o.multiscale.kernel1 = r->kernel;
        o.multiscale.dropout = r->dropout;
        declared d = declare(&o, DEQ_F32, 1, r->extent, true, NULL);
        assert_refused(&d.t, r->status, "multiscale", r->text, NULL);
        discard(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(presets_have_the_published_numbers_of_parameters),
        cmocka_unit_test(weights_have_the_names_of_the_original),
        cmocka_unit_test(one_branch_is_its_block_alone),
        cmocka_unit_test(masks_are_drawn_once_a_solve),
        cmocka_unit_test(older_checkpoints_load_without_their_copies),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
