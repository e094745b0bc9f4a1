/* SPDX-License-Identifier: MIT */
/*
 * Multiscale models against the numbers of the original implementations.
 *
 * A folder of $DEQ_GOLDEN holds the weights (in three containers), golden.npz (stem, two
 * evaluations, the equilibrium, logits, two kinds of gradients) and jac.npz (what the Jacobian at the
 * equilibrium of the first sample does); its README.md states the agreement to expect, which the
 * tolerances below repeat.  Sizes and options of the model are read from the arrays.
 */
#include "model/multiscale.h"
#include "support/engine.h"
#include "support/npz.h"

#include <deq/cell_map.h>
#include <deq/model.h>
#include <deq/regularise.h>
#include <deq/spectral.h>
#include <stdio.h>

/* f64, f32: relative to the largest entry of the array. */
static const double tol_evaluation[2] = { 1e-11, 2e-5 }, tol_equilibrium[2] = { 1e-8, 2e-4 },
                    tol_phantom[2] = { 1e-9, 1e-3 }, tol_ift[2] = { 1e-7, 1e-3 },
                    tol_product[2] = { 1e-9, 1e-3 }, tol_penalty[2] = { 1e-8, 1e-2 };

typedef struct fixture {
    const char *folder;
    deq_dtype dtype;
} fixture;

/* A model of one fixture over loaded weights. */
typedef struct network {
    const fixture *of;
    int narrow; /* index of tolerances */
    test_graph t;
    npz *golden;
    deq_archive *archive;
    deq_model_options options;
    deq_weights *w;
    deq_nn *nn;
    deq_value x;
    int64_t B, dim;
} network;

static void need_fixture(void)
{
    if (getenv("DEQ_GOLDEN")) return;
    print_message("DEQ_GOLDEN is not set: there are no golden numbers to compare with\n");
    skip();
}

static void path_of(char *path, size_t size, const fixture *f, const char *name)
{
    snprintf(path, size, "%s/%s/%s", getenv("DEQ_GOLDEN"), f->folder, name);
}

static npz *open_npz(const fixture *f, const char *name)
{
    char path[1300];
    const char *why;
    path_of(path, sizeof path, f, name);
    npz *z = npz_open(path, &why);
    if (!z) fail_msg("%s: %s", path, why);
    return z;
}

static deq_archive *read_weights(deq_context *ctx, const fixture *f, const char *name)
{
    char path[1300];
    deq_archive *a;
    path_of(path, sizeof path, f, name);
    if (deq_archive_read(&a, ctx, path) != DEQ_OK) fail_msg("%s", deq_last_error(ctx));
    return a;
}

/* What the arrays say about the model --------------------------------------------------------- */

/* Extent `axis` of the array of a name made by printf; 0 if there is none. */
static int64_t extent(const deq_archive *a, int axis, const char *format, int i, const char *end)
{
    char name[256], part[200];
    static const char *const stage[2] = { "fullstage.", "full_stage." };
    snprintf(part, sizeof part, format, i, end);
    for (int s = -1; s < 2; s++) {
        snprintf(name, sizeof name, "%s%s", s < 0 ? "" : stage[s], part);
        const deq_archive_tensor *t = deq_archive_find(a, name);
        if (t) return t->type.shape.dim[axis];
    }
    return 0;
}

static deq_model_options options_of(const deq_archive *a, npz *golden)
{
    deq_model_options m = deq_model_defaults(DEQ_MODEL_MULTISCALE);
    deq_multiscale_options *o = &m.multiscale;
    const char *const conv = "branches.%d.blocks.0.conv%s";
    bool norm = extent(a, 0, conv, 0, "1.weight_v") > 0;
    const char *const one = norm ? "1.weight_v" : "1.weight",
                      *two = norm ? "2.weight_v" : "2.weight";
    o->n_branches = 0;
    for (int i = 0; i < DEQ_MAX_BRANCHES && extent(a, 0, conv, i, one); i++) {
        o->channels[i] = extent(a, 0, conv, i, two);
        o->head[i] = extent(a, 0, "incre_modules.%d.0.conv1.%s", i, "weight");
        o->n_branches++;
    }
    o->expansion = extent(a, 0, conv, 0, one) / o->channels[0];
    o->kernel1 = extent(a, 2, conv, 0, one);
    o->kernel2 = extent(a, 2, conv, 0, two);
    o->final = extent(a, 0, "final_layer.%d.%s", 0, "weight");
    o->norm = norm ? DEQ_WEIGHT_NORM : DEQ_WEIGHT_PLAIN;
    o->norm_fusion = extent(a, 0, "fuse_layers.%d.1.net.conv.%s", 0, "weight_g") > 0;
    o->post_fuse_affine = extent(a, 0, "post_fuse_layers.%d.gnorm.%s", 0, "weight") > 0;
    o->stem_group_norm = extent(a, 0, "downsample.%d.%s", 1, "running_mean") == 0;
    m.classes = deq_archive_find(a, "classifier.weight")->type.shape.dim[0];
    int64_t before = npz_need(golden, "x")->dim[2], behind = npz_need(golden, "stem")->dim[2];
    for (o->downsamplings = 0; behind << o->downsamplings < before;) o->downsamplings++;
    return m;
}

/* Networks ------------------------------------------------------------------------------------ */

static void declare(network *n)
{
    deq_graph *g = NULL;
    deq_nn *nn = NULL;
    deq_model_outputs out;
    assert_int_equal(deq_graph_new(&g, n->t.ctx), DEQ_OK);
    assert_int_equal(deq_nn_new(&nn, g, n->w, false), DEQ_OK);
    const npz_array *x = npz_need(n->golden, "x");
    deq_value v = deq_input(g, "x", DEQ_STAGE_INJECTED, n->of->dtype,
                            DEQ_SHAPE(x->dim[0], x->dim[1], x->dim[2], x->dim[3]));
    if (deq_model_build(nn, &out, v, &n->options, NULL) != DEQ_OK)
        fail_msg("%s", deq_graph_error(g));
    assert_int_equal(deq_weights_allocate(n->w), DEQ_OK);
    deq_nn_free(nn);
    deq_graph_free(g);
}

static network open_network(const fixture *f, int64_t batch)
{
    network n = { .of = f, .narrow = f->dtype == DEQ_F32, .t = test_graph_new() };
    n.golden = open_npz(f, "golden.npz");
    n.archive = read_weights(n.t.ctx, f, "weights.pth");
    n.options = options_of(n.archive, n.golden);
    assert_int_equal(deq_weights_new(&n.w, n.t.ctx, f->dtype), DEQ_OK);
    declare(&n);
    if (deq_model_load(n.w, n.archive, &n.options, NULL) != DEQ_OK)
        fail_msg("%s", deq_last_error(n.t.ctx));
    assert_int_equal(deq_nn_new(&n.nn, n.t.g, n.w, false), DEQ_OK);
    const npz_array *x = npz_need(n.golden, "x");
    n.B = batch ? batch : x->dim[0];
    n.dim = npz_need(n.golden, "f1")->dim[1];
    n.x = deq_input(n.t.g, "x", DEQ_STAGE_INJECTED, f->dtype,
                    DEQ_SHAPE(n.B, x->dim[1], x->dim[2], x->dim[3]));
    return n;
}

static void close_network(network *n)
{
    deq_nn_free(n->nn);
    deq_archive_free(n->archive);
    npz_close(n->golden);
    deq_weights_free(n->w);
    test_graph_free(&n->t);
}

static deq_multiscale_cell cell_of(network *n)
{
    const deq_multiscale_options *o = &n->options.multiscale;
    deq_value stem = deq_multiscale_stem(n->nn, n->x, o);
    return (deq_multiscale_cell){ n->nn, o, deq_multiscale_injection(n->nn, stem, o) };
}

/* Inputs [batch, dim] of all states behind each other, taken apart. */
static deq_value states_input(network *n, const char *name, deq_value *z)
{
    deq_graph *g = n->t.g;
    deq_shape s[DEQ_MAX_BRANCHES];
    deq_value rows = deq_input(g, name, DEQ_STAGE_INJECTED, n->of->dtype, DEQ_SHAPE(n->B, n->dim));
    const npz_array *stem = npz_need(n->golden, "stem");
    deq_multiscale_shapes(s, DEQ_SHAPE(n->B, stem->dim[1], stem->dim[2], stem->dim[3]),
                          &n->options.multiscale);
    int64_t at = 0;
    for (int i = 0; i < n->options.multiscale.n_branches; i++) {
        int64_t length = deq_shape_count(&s[i]) / n->B;
        z[i] = deq_reshape(g, deq_slice(g, rows, 1, at, length), s[i]);
        at += length;
    }
    assert_int_equal(at, n->dim);
    return rows;
}

static deq_value states_output(network *n, const deq_value *z)
{
    deq_value rows[DEQ_MAX_BRANCHES];
    int k = n->options.multiscale.n_branches;
    for (int i = 0; i < k; i++) {
        deq_shape s = deq_value_type(n->t.g, z[i]).shape;
        rows[i] = deq_reshape(n->t.g, z[i], DEQ_SHAPE(n->B, deq_shape_count(&s) / n->B));
    }
    return k == 1 ? rows[0] : deq_concat(n->t.g, rows, k, 1);
}

/* As many elements of an array as the value has, in its dtype. */
static void write_real(network *n, deq_program *p, deq_value v, const npz_array *a)
{
    deq_type t = deq_value_type(n->t.g, v);
    int64_t count = deq_shape_count(&t.shape);
    assert_true(count <= a->count);
    float *narrow = malloc((size_t)count * sizeof *narrow);
    assert_non_null(narrow);
    for (int64_t i = 0; i < count; i++) narrow[i] = (float)a->data[i];
    must_write(&n->t, p, v, n->narrow ? (const void *)narrow : a->data);
    free(narrow);
}

static deq_program *compile(network *n, const deq_value *out, int count, bool layout)
{
    deq_compile_options o = deq_compile_defaults();
    o.layout = layout;
    assert_ok(&n->t);
    deq_program *p = must_compile(&n->t, out, count, &o);
    write_real(n, p, n->x, npz_need(n->golden, "x"));
    return p;
}

/* Largest difference of v from the first elements of `want`, relative to their largest. */
static double distance(network *n, deq_program *p, deq_value v, const npz_array *want)
{
    deq_type t = deq_value_type(n->t.g, v);
    int64_t count = deq_shape_count(&t.shape);
    double largest = 0, worst = 0, *wide = malloc((size_t)count * sizeof *wide);
    float *narrow = malloc((size_t)count * sizeof *narrow);
    assert_true(wide && narrow);
    must_read(&n->t, p, v, n->narrow ? (void *)narrow : wide);
    assert_true(count <= want->count);
    for (int64_t i = 0; i < count; i++) {
        largest = fmax(largest, fabs(want->data[i]));
        double gap = fabs((n->narrow ? narrow[i] : wide[i]) - want->data[i]);
        worst = gap > worst || gap != gap ? gap : worst;
    }
    free(wide);
    free(narrow);
    return worst == 0 ? 0 : worst / largest;
}

static void agree(network *n, deq_program *p, deq_value v, const npz_array *want, double tol,
                  const char *what)
{
    double off = distance(n, p, v, want);
    if (!(off <= tol))
        fail_msg("%s: %s is off by %.3g of its largest entry, agreed are %.3g", n->of->folder, what,
                 off, tol);
}

/* The worst of the gradients of parameters that the fixture knows under PREFIXgrad/NAME. */
static double gradient_distance(network *n, deq_program *p, const deq_value *grads, npz *z,
                                const char *prefix, int *found)
{
    deq_parameters *parameters = deq_weights_parameters(n->w);
    double worst = 0;
    *found = 0;
    for (int i = 0; i < deq_parameters_count(parameters); i++) {
        const char *name = deq_parameters_info(parameters, i).name;
        const char *rest = strncmp(name, "fullstage.", 10) ? NULL : name + 10;
        char key[300];
        snprintf(key, sizeof key, "%sgrad/%s", prefix, name);
        const npz_array *want = npz_find(z, key);
        if (!want && rest) {
            snprintf(key, sizeof key, "%sgrad/full_stage.%s", prefix, rest);
            want = npz_find(z, key);
        }
        if (!want) continue;
        double off = distance(n, p, grads[i], want);
        if (!(off <= worst)) worst = off;
        ++*found;
    }
    return worst;
}

/* Tests --------------------------------------------------------------------------------------- */

static void weights_are_the_same_from_every_container(void **state)
{
    static const char *const others[] = { "weights_legacy.pth", "weights.npz" };
    network n;
    need_fixture();
    n = open_network(*state, 0);
    for (size_t k = 0; k < COUNT_OF(others); k++) {
        network m = { .of = n.of, .t = test_graph_new(), .golden = n.golden, .options = n.options };
        deq_load_report report;
        m.archive = read_weights(m.t.ctx, m.of, others[k]);
        assert_int_equal(deq_weights_new(&m.w, m.t.ctx, m.of->dtype), DEQ_OK);
        declare(&m);
        if (deq_model_load(m.w, m.archive, &m.options, &report) != DEQ_OK)
            fail_msg("%s", deq_last_error(m.t.ctx));
        assert_int_equal(report.n_loaded + report.n_ignored, deq_archive_count(m.archive));
        for (int kind = 0; kind < 2; kind++) {
            deq_parameters *a = kind ? deq_weights_buffers(n.w) : deq_weights_parameters(n.w);
            deq_parameters *b = kind ? deq_weights_buffers(m.w) : deq_weights_parameters(m.w);
            size_t bytes = (size_t)deq_parameters_length(a) * deq_dtype_size(m.of->dtype);
            assert_memory_equal(deq_parameters_values(a, -1), deq_parameters_values(b, -1), bytes);
        }
        deq_archive_free(m.archive);
        deq_weights_free(m.w);
        test_graph_free(&m.t);
    }
    close_network(&n);
}

static void stem_and_first_evaluations_agree(void **state)
{
    network n;
    need_fixture();
    n = open_network(*state, 0);
    deq_multiscale_cell cell = cell_of(&n);
    deq_value stem = deq_multiscale_stem(n.nn, n.x, &n.options.multiscale);
    deq_value out[4] = { stem, cell.x };
    for (int steps = 1; steps <= 2; steps++) {
        deq_model_outputs m;
        deq_model_solve solve = deq_model_solve_defaults();
        solve.equilibrium.gradient = DEQ_GRADIENT_UNROLL;
        solve.equilibrium.forward.max_iter = steps;
        if (deq_model_build(n.nn, &m, n.x, &n.options, &solve) != DEQ_OK)
            fail_msg("%s", deq_graph_error(n.t.g));
        out[1 + steps] = states_output(&n, m.z_star);
    }
    deq_program *p = compile(&n, out, 4, true);
    must_run(p, DEQ_STAGE_PARAMETER);
    static const char *const keys[4] = { "stem", "injection0", "f1", "f2" };
    for (int i = 0; i < 4; i++)
        agree(&n, p, out[i], npz_need(n.golden, "%s", keys[i]), tol_evaluation[n.narrow], keys[i]);
    deq_program_free(p);
    close_network(&n);
}

static void equilibrium_and_logits_agree(void **state)
{
    network n;
    need_fixture();
    n = open_network(*state, 2);
    deq_model_outputs m;
    deq_model_solve solve = deq_model_solve_defaults();
    solve.equilibrium.forward.max_iter = 100;
    solve.equilibrium.forward.rtol = n.narrow ? 1e-6 : 1e-10;
    if (deq_model_build(n.nn, &m, n.x, &n.options, &solve) != DEQ_OK)
        fail_msg("%s", deq_graph_error(n.t.g));
    deq_value out[2] = { states_output(&n, m.z_star), m.logits[m.n_logits - 1] };
    deq_program *p = compile(&n, out, 2, true);
    must_run(p, DEQ_STAGE_PARAMETER);
    agree(&n, p, out[0], npz_need(n.golden, "zstar"), tol_equilibrium[n.narrow], "zstar");
    agree(&n, p, out[1], npz_need(n.golden, "logits"), tol_equilibrium[n.narrow], "logits");
    deq_program_free(p);
    close_network(&n);
}

/* Loss, logits, states and all gradients of METHOD/... from a start START.
 *
 * In f32 the sign of a relu's argument that is next to 0 depends on the order of summation, and with
 * it a gradient by a few thousandths.  So there one of two layouts must agree as agreed, and the
 * other nearly. */
static void check_gradients(network *n, const deq_model_solve *options, const char *start,
                            const char *method, double tol)
{
    deq_value z0[DEQ_MAX_BRANCHES], rows = states_input(n, "z0", z0);
    deq_parameters *parameters = deq_weights_parameters(n->w);
    int count = deq_parameters_count(parameters);
    deq_model_solve solve = *options;
    deq_model_outputs m;
    char prefix[64];
    solve.has_start = true;
    solve.start = DEQ_START_GIVEN;
    solve.z0 = z0;
    if (deq_model_build(n->nn, &m, n->x, &n->options, &solve) != DEQ_OK)
        fail_msg("%s", deq_graph_error(n->t.g));
    deq_value logits = m.logits[m.n_logits - 1];
    deq_value labels = deq_input(n->t.g, "labels", DEQ_STAGE_INJECTED, DEQ_I32, DEQ_SHAPE(n->B));
    deq_value loss = deq_cross_entropy(n->t.g, logits, labels, NULL);
    deq_value *out = malloc((size_t)(count + 3) * sizeof *out);
    assert_non_null(out);
    assert_int_equal(deq_gradients(n->t.g, out, loss, parameters), DEQ_OK);
    out[count] = loss;
    out[count + 1] = logits;
    deq_value z = states_output(n, m.z_star);
    out[count + 2] = deq_slice(n->t.g, z, 0, 0, 1);

    double off[2] = { 0 };
    for (int plain = 0; plain < 1 + n->narrow; plain++) {
        deq_program *p = compile(n, out, count + 3, !plain);
        const npz_array *y = npz_need(n->golden, "y");
        int32_t label[256];
        int found;
        assert_true(n->B <= 256);
        for (int64_t i = 0; i < n->B; i++) label[i] = (int32_t)y->data[i];
        must_write(&n->t, p, labels, label);
        write_real(n, p, rows, npz_need(n->golden, "%s", start));
        must_run(p, DEQ_STAGE_PARAMETER);
        agree(n, p, loss, npz_need(n->golden, "%s/loss", method), tol, "loss");
        agree(n, p, logits, npz_need(n->golden, "%s/logits", method), tol, "logits");
        agree(n, p, out[count + 2], npz_need(n->golden, "%s/z_out", method), tol, "z_out");
        snprintf(prefix, sizeof prefix, "%s/", method);
        off[plain] = gradient_distance(n, p, out, n->golden, prefix, &found);
        assert_int_equal(found, count);
        deq_program_free(p);
    }
    free(out);
    double best = n->narrow ? fmin(off[0], off[1]) : off[0];
    if (!(best <= tol && off[0] <= 10 * tol && off[1] <= 10 * tol))
        fail_msg("%s: gradients of %s are off by %.3g and %.3g, agreed are %.3g", n->of->folder,
                 method, off[0], off[1], tol);
}

static void phantom_gradients_agree(void **state)
{
    network n;
    deq_model_solve solve = deq_model_solve_defaults();
    need_fixture();
    n = open_network(*state, 0);
    solve.equilibrium.gradient = DEQ_GRADIENT_UNROLL;
    solve.equilibrium.forward.max_iter = 5;
    solve.equilibrium.tau = 0.5;
    check_gradients(&n, &solve, "f2", "phantom5", tol_phantom[n.narrow]);
    close_network(&n);
}

static void implicit_gradients_agree(void **state)
{
    network n;
    deq_model_solve solve = deq_model_solve_defaults();
    need_fixture();
    n = open_network(*state, 0);
    solve.equilibrium.forward.rtol = n.narrow ? 1e-6 : 1e-9; /* the start is the solution */
    solve.equilibrium.adjoint.rtol = n.narrow ? 1e-5 : 1e-8;
    check_gradients(&n, &solve, "zstar", "ift", tol_ift[n.narrow]);
    close_network(&n);
}

/* At the equilibrium of the first sample, with the injection held. */
static void jacobian_penalty_and_products_agree(void **state)
{
    network n;
    need_fixture();
    n = open_network(*state, 1);
    deq_graph *g = n.t.g;
    npz *jac = open_npz(n.of, "jac.npz");
    deq_value z[DEQ_MAX_BRANCHES], eps[DEQ_MAX_BRANCHES], w[DEQ_MAX_BRANCHES], fz[DEQ_MAX_BRANCHES],
        vJ[DEQ_MAX_BRANCHES], Jw[DEQ_MAX_BRANCHES];
    deq_value rows[3] = { states_input(&n, "z", z), states_input(&n, "eps", eps),
                          states_input(&n, "w", w) };
    int k = n.options.multiscale.n_branches;
    deq_multiscale_cell cell = cell_of(&n);
    cell.x = deq_stop_gradient(g, cell.x);
    deq_multiscale_map(g, z, fz, &cell);
    assert_int_equal(deq_vjp(g, vJ, fz, eps, k, z, k), DEQ_OK);
    assert_int_equal(deq_jvp(g, Jw, fz, k, z, w, k), DEQ_OK);

    deq_jacobian_options o = deq_jacobian_defaults();
    o.probe = DEQ_PROBE_GIVEN;
    o.given = eps;
    deq_value penalty = deq_jacobian_penalty(g, deq_multiscale_map, &cell, z, k, DEQ_NONE, &o);
    int count = deq_parameters_count(deq_weights_parameters(n.w));
    deq_value *out = malloc((size_t)(count + 3) * sizeof *out);
    assert_non_null(out);
    assert_int_equal(deq_gradients(g, out, penalty, deq_weights_parameters(n.w)), DEQ_OK);
    out[count] = penalty;
    out[count + 1] = states_output(&n, vJ);
    out[count + 2] = states_output(&n, Jw);

    deq_program *p = compile(&n, out, count + 3, true);
    write_real(&n, p, rows[0], npz_need(n.golden, "zstar"));
    write_real(&n, p, rows[1], npz_need(jac, "noise"));
    write_real(&n, p, rows[2], npz_need(jac, "jvp_direction"));
    must_run(p, DEQ_STAGE_PARAMETER);
    agree(&n, p, penalty, npz_need(jac, "value"), tol_product[n.narrow], "penalty");
    agree(&n, p, out[count + 1], npz_need(jac, "vJ"), tol_product[n.narrow], "vJ");
    agree(&n, p, out[count + 2], npz_need(jac, "Jw"), tol_product[n.narrow], "Jw");
    int found;
    double off = gradient_distance(&n, p, out, jac, "", &found);
    assert_true(found > 0);
    if (!(off <= tol_penalty[n.narrow])) fail_msg("gradients of the penalty are off by %.3g", off);
    deq_program_free(p);
    free(out);
    npz_close(jac);
    close_network(&n);
}

/* The Rayleigh quotient after so many steps of power iteration on v J. */
static double rayleigh(network *n, deq_cell_map *map, const npz_array *v0, int steps)
{
    deq_spectral_options o = deq_spectral_defaults();
    deq_spectral_info info;
    deq_map products = deq_cell_map_get(map);
    size_t bytes = (size_t)n->dim * deq_dtype_size(n->of->dtype);
    char *v = malloc(bytes);
    assert_non_null(v);
    for (int64_t i = 0; i < n->dim; i++) {
        float narrow = (float)v0->data[i];
        if (n->narrow)
            memcpy(v + (size_t)i * sizeof narrow, &narrow, sizeof narrow);
        else
            memcpy(v + (size_t)i * sizeof(double), &v0->data[i], sizeof(double));
    }
    o.max_iter = steps;
    o.tol = 0;
    if (deq_spectral_power(&info, v, n->t.ctx, &products, NULL, n->of->dtype, 1, n->dim, &o) !=
        DEQ_OK)
        fail_msg("%s", deq_last_error(n->t.ctx));
    free(v);
    return fabs(info.real);
}

static void power_iteration_agrees(void **state)
{
    static const int steps[] = { 1, 10, 40 };
    network n;
    need_fixture();
    n = open_network(*state, 1);
    npz *jac = open_npz(n.of, "jac.npz");
    deq_value z[DEQ_MAX_BRANCHES], rows = states_input(&n, "z", z);
    deq_multiscale_cell cell = cell_of(&n);
    deq_cell_map *map = NULL;
    if (deq_cell_map_new(&map, n.t.g, deq_multiscale_map, &cell, z, n.options.multiscale.n_branches,
                         NULL) != DEQ_OK)
        fail_msg("%s", deq_last_error(n.t.ctx));
    deq_program *p = deq_cell_map_program(map);
    write_real(&n, p, n.x, npz_need(n.golden, "x"));
    write_real(&n, p, rows, npz_need(n.golden, "zstar"));
    assert_int_equal(deq_cell_map_update(map), DEQ_OK);
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        double want = npz_need(jac, "power_radius_%d", steps[i])->data[0];
        double got = rayleigh(&n, map, npz_need(jac, "power_v0"), steps[i]);
        if (!(fabs(got - want) <= tol_product[n.narrow] * want))
            fail_msg("%s: after %d steps the quotient is %.17g, expected %.17g", n.of->folder,
                     steps[i], got, want);
    }
    deq_cell_map_free(map);
    npz_close(jac);
    close_network(&n);
}

/* The fixture is named by the arguments, FOLDER f32|f64; without any it is mdeq_zoo in f32. */
int main(int argc, char **argv)
{
    static fixture f;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(weights_are_the_same_from_every_container, &f),
        cmocka_unit_test_prestate(stem_and_first_evaluations_agree, &f),
        cmocka_unit_test_prestate(equilibrium_and_logits_agree, &f),
        cmocka_unit_test_prestate(phantom_gradients_agree, &f),
        cmocka_unit_test_prestate(implicit_gradients_agree, &f),
        cmocka_unit_test_prestate(jacobian_penalty_and_products_agree, &f),
        cmocka_unit_test_prestate(power_iteration_agrees, &f),
    };
    f = (fixture){ argc > 1 ? argv[1] : "mdeq_zoo", DEQ_F32 };
    if (argc > 2 && !strcmp(argv[2], "f64")) f.dtype = DEQ_F64;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
