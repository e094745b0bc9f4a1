/* SPDX-License-Identifier: MIT */
#include "model/built.h"
#include "support/memory.h"

#include <stdio.h>

/* Names and sizes ---------------------------------------------------------------------------- */

static void families_have_names_and_classes(void **state)
{
    (void)state;
    static const char *const names[] = { "mlp", "monotone", "multiscale", "sequence", "maze" };
    for (int f = 0; f < DEQ_MODEL_COUNT; f++) {
        deq_model_options o = deq_model_defaults((deq_model_family)f);
        assert_string_equal(deq_model_name((deq_model_family)f), names[f]);
        assert_int_equal(o.family, f);
        assert_int_equal(o.classes, f < DEQ_MODEL_SEQUENCE ? 10 : 2);
    }
    assert_string_equal(deq_model_name(DEQ_MODEL_COUNT), "unknown");
}

/* Counted by hand from the layers.  783,504 is published: two blocks of 128 channels. */
static void models_have_the_published_numbers_of_parameters(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        deq_model_family family;
        deq_shape x;
        int64_t width;
        deq_weight_kind norm;
        bool layer_norm, no_injection;
        int64_t count;
    } table[] = {
        { "maze", DEQ_MODEL_MAZE, { 4, { 2, 3, 8, 8 } }, 0, 0, false, false, 783504 },
        { "maze, weight norm: a scale for each of 5 x 128 channels",
          DEQ_MODEL_MAZE,
          { 4, { 2, 3, 8, 8 } },
          0,
          DEQ_WEIGHT_NORM,
          false,
          false,
          783504 + 640 },
        { "maze without injection",
          DEQ_MODEL_MAZE,
          { 4, { 2, 3, 8, 8 } },
          0,
          0,
          false,
          true,
          783504 - 150912 },
        { "sequence",
          DEQ_MODEL_SEQUENCE,
          { 3, { 2, 1, 9 } },
          400,
          0,
          false,
          false,
          1200 + 481200 + 1920000 + 480000 + 240000 + 1200 },
        { "mlp",
          DEQ_MODEL_MLP,
          { 4, { 2, 1, 28, 28 } },
          0,
          0,
          false,
          false,
          65536 + 200704 + 256 + 2570 },
        { "mlp, spectral and layer norm",
          DEQ_MODEL_MLP,
          { 2, { 2, 784 } },
          0,
          DEQ_WEIGHT_SPECTRAL,
          true,
          false,
          65536 + 200704 + 256 + 2570 + 1 + 512 },
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        deq_model_options o = deq_model_defaults(table[i].family);
        o.mlp.width = o.recurrent.width = table[i].width;
        o.recurrent.head[0] = o.recurrent.head[1] = 0;
        o.mlp.norm = o.recurrent.norm = table[i].norm;
        o.mlp.layer_norm = table[i].layer_norm;
        o.recurrent.no_injection = table[i].no_injection;
        built b = build_model(NULL, NULL, true, table[i].x, &o, NULL);
        assert_ok(&b.n.t);
        int64_t count = deq_parameters_elements(deq_weights_parameters(b.n.w));
        if (count != table[i].count)
            fail_msg("%s: %lld, expected %lld", table[i].name, (long long)count,
                     (long long)table[i].count);
        built_free(&b, true);
    }
}

/* Equilibria --------------------------------------------------------------------------------- */

static double activation(deq_activation a, double x)
{
    switch (a) {
    case DEQ_ACTIVATION_TANH: return tanh(x);
    case DEQ_ACTIVATION_RELU: return x > 0 ? x : 0;
    case DEQ_ACTIVATION_GELU: return 0.5 * x * (1 + erf(x / sqrt(2)));
    default: return 1 / (1 + exp(-x));
    }
}

/* z = act(norm(W z + U x + b)), logits = V z + c, by plain loops on the model's own weights. */
static void an_mlp_solves_its_equation(void **state)
{
    (void)state;
    enum { B = 4, D = 6, N = 12, K = 3 };
    for (int k = 0; k < 8; k++) {
        deq_shape input;
        deq_model_options o = small_model(DEQ_MODEL_MLP, &input);
        o.mlp.activation = (deq_activation)(k / 2);
        o.mlp.layer_norm = k % 2 == 1;
        /* After a layer normalisation sigmoid and tanh contract, relu and gelu need not. */
        if (o.mlp.layer_norm && k / 2 % 3 != 0) continue;
        deq_model_solve s = exact_solve();
        built b = build_model(NULL, NULL, true, input, &o, &s);
        assert_ok(&b.n.t);
        network_begin(&b.n, 2);
        double z[B * N], logits[B * K], fz[B * N], head[B * K], x[B * D];
        value_of(&b, b.out.z_star[0], z);
        value_of(&b, b.out.logits[0], logits);
        wave(x, B * D, 1);
        const double *W = network_weight(&b.n, "state.weight", NULL);
        const double *U = network_weight(&b.n, "input.weight", NULL);
        const double *u = network_weight(&b.n, "input.bias", NULL);
        const double *V = network_weight(&b.n, "head.weight", NULL);
        const double *c = network_weight(&b.n, "head.bias", NULL);
        for (int i = 0; i < B; i++) {
            double h[N], mean = 0, var = 0;
            for (int j = 0; j < N; j++) {
                h[j] = u[j];
                for (int l = 0; l < N; l++) h[j] += W[j * N + l] * z[i * N + l];
                for (int l = 0; l < D; l++) h[j] += U[j * D + l] * x[i * D + l];
                mean += h[j] / N;
            }
            for (int j = 0; j < N; j++) var += (h[j] - mean) * (h[j] - mean) / N;
            for (int j = 0; j < N; j++) {
                if (o.mlp.layer_norm) h[j] = (h[j] - mean) / sqrt(var + 1e-5);
                fz[i * N + j] = activation(o.mlp.activation, h[j]);
            }
            for (int j = 0; j < K; j++) {
                head[i * K + j] = c[j];
                for (int l = 0; l < N; l++) head[i * K + j] += V[j * N + l] * z[i * N + l];
            }
        }
        check_close("z", z, fz, B * N, 1e-11);
        check_close("logits", logits, head, B * K, 1e-13);
        built_free(&b, true);
    }
}

static void a_cell_map_has_its_fixed_point_at_the_equilibrium(void **state)
{
    (void)state;
    for (int f = 0; f < DEQ_MODEL_COUNT; f++) {
        deq_shape input;
        deq_model_options o = small_model((deq_model_family)f, &input);
        deq_model_solve s = exact_solve();
        deq_cell_map *map = NULL;
        s.map = &map;
        built first = build_model(NULL, NULL, false, input, &o, NULL); /* declares */
        begin_calmly(&first.n, 5);
        built b = build_model(first.n.w, first.n.t.ctx, false, input, &o, &s);
        assert_ok(&b.n.t);
        assert_non_null(map);
        write_inputs(&b, deq_cell_map_program(map));
        assert_int_equal(deq_cell_map_update(map), DEQ_OK);
        int64_t n = deq_cell_map_batch(map) * deq_cell_map_dim(map);
        const double *z = deq_cell_map_state(map);
        double *fz = malloc((size_t)n * sizeof *fz);
        deq_map m = deq_cell_map_get(map);
        static const int64_t samples[] = { 0, 1, 2, 3 };
        assert_int_equal(m.eval(m.user, fz, z, samples, deq_cell_map_batch(map)), DEQ_OK);
        check_close(deq_model_name((deq_model_family)f), fz, z, n, 1e-11);
        free(fz);
        deq_cell_map_free(map);
        built_free(&b, false);
        built_free(&first, true);
    }
}

/* Starts ------------------------------------------------------------------------------------- */

/* z_0: no step is taken. */
static void start_of(deq_start start, int64_t step, double *z, deq_shape input, const double *given)
{
    deq_model_options o = small_model(DEQ_MODEL_MLP, &input);
    o.mlp.width = 200;
    input.dim[0] = 5;
    deq_model_solve s = deq_model_solve_defaults();
    s.equilibrium.gradient = DEQ_GRADIENT_UNROLL;
    s.equilibrium.forward.max_iter = 0;
    s.has_start = true;
    s.start = start;
    built b = { .n = network_new(NULL, NULL, true) };
    deq_value z0 = DEQ_NONE;
    if (given) z0 = deq_constant(b.n.t.g, DEQ_F64, DEQ_SHAPE(5, 200), given);
    s.z0 = &z0;
    b.x = network_input(&b.n, input);
    deq_model_build(b.n.nn, &b.out, b.x, &o, &s);
    assert_ok(&b.n.t);
    network_begin(&b.n, 2);
    deq_program *p = must_compile(&b.n.t, b.out.z_star, 1, NULL);
    write_inputs(&b, p);
    write_key(&b.n, p, 3, step);
    must_run(p, DEQ_STAGE_PARAMETER);
    must_read(&b.n.t, p, b.out.z_star[0], z);
    deq_program_free(p);
    built_free(&b, true);
}

static void starts_follow_their_laws(void **state)
{
    (void)state;
    enum { N = 1000, HALF = 600 }; /* 5 samples, of which 3 are the first half */
    static const struct {
        deq_start start;
        int from;                   /* zeros before */
        double share, square, most; /* of elements that are not zero, their mean square, largest */
    } table[] = {
        { DEQ_START_NORMAL, 0, 1, 1, 5 },
        { DEQ_START_UNIFORM, 0, 1, 1.0 / 3, 1 },
        { DEQ_START_MIXED, HALF, 1, 1, 5 },
        { DEQ_START_MIXED_ELEMENTS, 0, 0.5, 1, 5 },
    };
    deq_shape input = { 0 };
    double z[N], again[N];
    start_of(DEQ_START_ZERO, 0, z, input, NULL);
    for (int i = 0; i < N; i++) assert_true(z[i] == 0);
    for (size_t k = 0; k < COUNT_OF(table); k++) {
        int from = table[k].from, count = 0;
        double square = 0;
        start_of(table[k].start, 1, z, input, NULL);
        for (int i = 0; i < from; i++) assert_true(z[i] == 0);
        for (int i = from; i < N; i++) {
            count += z[i] != 0;
            square += z[i] * z[i];
            assert_true(fabs(z[i]) <= table[k].most);
        }
        /* Deviations of a share are at most 0.5 / sqrt(400), of a mean square sqrt(2 / 400). */
        assert_true(fabs(count / (double)(N - from) - table[k].share) < 0.08);
        assert_true(fabs(square / count - table[k].square) < 0.25);
        start_of(table[k].start, 1, again, input, NULL);
        assert_memory_equal(z, again, sizeof z);
        start_of(table[k].start, 2, again, input, NULL);
        assert_memory_not_equal(z, again, sizeof z);
    }
    wave(again, N, 0);
    start_of(DEQ_START_GIVEN, 0, z, input, again);
    assert_memory_equal(z, again, sizeof z);
}

/* Supervision -------------------------------------------------------------------------------- */

static void each_supervised_state_has_its_logits(void **state)
{
    (void)state;
    static const deq_model_family families[] = { DEQ_MODEL_MLP, DEQ_MODEL_MAZE };
    for (int f = 0; f < 2; f++) {
        enum { STEPS = 4, MOST = 400 };
        double logits[MOST], alone[MOST];
        deq_shape input;
        deq_model_options o = small_model(families[f], &input);
        deq_model_solve s = deq_model_solve_defaults();
        s.equilibrium.gradient = DEQ_GRADIENT_UNROLL;
        s.equilibrium.forward.max_iter = STEPS;
        s.supervision.gap = 1;
        built b = build_model(NULL, NULL, true, input, &o, &s);
        assert_ok(&b.n.t);
        assert_int_equal(b.out.n_logits, STEPS);
        network_begin(&b.n, 1);
        s.supervision.gap = 0;
        for (int k = 1; k <= STEPS; k++) {
            s.equilibrium.forward.max_iter = k;
            built a = build_model(b.n.w, b.n.t.ctx, true, input, &o, &s);
            assert_int_equal(a.out.n_logits, 1);
            value_of(&a, a.out.logits[0], alone);
            value_of(&b, b.out.logits[k - 1], logits);
            check_close("logits", logits, alone, count_of(&a, a.out.logits[0]), 1e-13);
            built_free(&a, false);
        }
        built_free(&b, true);
    }
}

static void saved_states_come_before_the_equilibrium(void **state)
{
    (void)state;
    enum { MOST = 12 };
    double with[MOST], without[MOST];
    deq_shape input;
    deq_model_options o = small_model(DEQ_MODEL_MLP, &input);
    deq_model_solve s = exact_solve();
    built a = build_model(NULL, NULL, true, input, &o, &s);
    network_begin(&a.n, 1);
    s.equilibrium.forward.n_states = 3;
    built b = build_model(a.n.w, a.n.t.ctx, true, input, &o, &s);
    assert_ok(&b.n.t);
    assert_int_equal(b.out.n_logits, 3);
    value_of(&a, a.out.logits[0], without);
    value_of(&b, b.out.logits[2], with);
    check_close("last", with, without, MOST, 1e-12);
    built_free(&b, false);
    built_free(&a, true);
}

/* Penalty ------------------------------------------------------------------------------------ */

/* J = diag(1 - z^2) W; with exact probes the penalty is weight |J|_F^2 / (B d). */
static void a_penalty_is_that_of_the_cell_at_its_equilibrium(void **state)
{
    (void)state;
    enum { B = 4, N = 12 };
    deq_shape input;
    deq_model_options o = small_model(DEQ_MODEL_MLP, &input);
    deq_model_solve s = exact_solve();
    deq_jacobian_options j = deq_jacobian_defaults();
    j.probe = DEQ_PROBE_EXACT;
    j.weight = 3;
    j.probability = 0.25; /* is the caller's business: 1 here */
    s.penalty = &j;
    built b = build_model(NULL, NULL, true, input, &o, &s);
    assert_ok(&b.n.t);
    assert_int_equal(deq_nn_used_key(b.n.nn).id, 0);
    network_begin(&b.n, 2);
    double z[B * N], penalty, expected = 0;
    value_of(&b, b.out.z_star[0], z);
    value_of(&b, b.out.penalty, &penalty);
    const double *W = network_weight(&b.n, "state.weight", NULL);
    for (int i = 0; i < B; i++)
        for (int r = 0; r < N; r++)
            for (int k = 0; k < N; k++) {
                double slope = (1 - z[i * N + r] * z[i * N + r]) * W[r * N + k];
                expected += 3 * slope * slope / (B * N);
            }
    check_close("penalty", &penalty, &expected, 1, 1e-12);
    built_free(&b, true);
}

static void without_a_penalty_there_is_none(void **state)
{
    (void)state;
    deq_shape input;
    deq_model_options o = small_model(DEQ_MODEL_MLP, &input);
    built b = build_model(NULL, NULL, true, input, &o, NULL);
    assert_int_equal(b.out.penalty.id, 0);
    built_free(&b, true);
}

/* Gradients ---------------------------------------------------------------------------------- */

/* Differences through the whole model, of some 20 elements of every parameter. */
static void implicit_gradients_match_differences_of_the_whole_model(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        deq_model_family family;
        deq_weight_kind norm;
        bool layer_norm;
    } table[] = {
        { "mlp", DEQ_MODEL_MLP, DEQ_WEIGHT_PLAIN, false },
        { "mlp, weight and layer norm", DEQ_MODEL_MLP, DEQ_WEIGHT_NORM, true },
        { "sequence", DEQ_MODEL_SEQUENCE, DEQ_WEIGHT_PLAIN, false },
        { "maze, weight norm", DEQ_MODEL_MAZE, DEQ_WEIGHT_NORM, false },
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        deq_shape input;
        deq_model_options o = small_model(table[i].family, &input);
        o.mlp.norm = o.recurrent.norm = table[i].norm;
        o.mlp.layer_norm = table[i].layer_norm;
        o.recurrent.width = 3;
        input.dim[0] = 2;
        deq_model_solve s = exact_solve();
        s.has_start = true; /* the implicit gradient is not that of the projection */
        built b = build_model(NULL, NULL, true, input, &o, &s);
        deq_value loss = loss_of(&b), grads[32];
        deq_parameters *store = deq_weights_parameters(b.n.w);
        int n = deq_parameters_count(store);
        deq_gradients(b.n.t.g, grads, loss, store);
        assert_ok(&b.n.t);
        network_begin(&b.n, 6);
        deq_value out[33] = { loss };
        for (int k = 0; k < n; k++) out[k + 1] = grads[k];
        deq_program *p = must_compile(&b.n.t, out, n + 1, NULL);
        write_inputs(&b, p);
        for (int k = 0; k < n; k++) {
            double *w = deq_parameters_values(store, k), g[200], d[200], up, down;
            deq_parameter_info info = deq_parameters_info(store, k);
            assert_true(info.count <= 200);
            must_run(p, DEQ_STAGE_PARAMETER);
            must_read(&b.n.t, p, grads[k], g);
            int64_t n_checked = 0;
            for (int64_t c = 0; c < info.count; c += 1 + info.count / 20) {
                const double h = 1e-5, was = w[c];
                w[c] = was + h;
                must_run(p, DEQ_STAGE_PARAMETER);
                must_read(&b.n.t, p, loss, &up);
                w[c] = was - h;
                must_run(p, DEQ_STAGE_PARAMETER);
                must_read(&b.n.t, p, loss, &down);
                w[c] = was;
                g[n_checked] = g[c];
                d[n_checked++] = (up - down) / (2 * h);
            }
            char what[128];
            snprintf(what, sizeof what, "%s: %s", table[i].name, info.name);
            check_close(what, g, d, n_checked, 1e-8);
        }
        deq_program_free(p);
        built_free(&b, true);
    }
}

/* A short step down the gradient lowers the loss by what the gradient says. */
static void a_gradient_step_lowers_the_loss_of_every_family(void **state)
{
    (void)state;
    for (int f = 0; f < DEQ_MODEL_COUNT; f++) {
        deq_shape input;
        deq_model_options o = small_model((deq_model_family)f, &input);
        deq_model_solve s = exact_solve();
        built b = build_model(NULL, NULL, true, input, &o, &s);
        deq_value loss = loss_of(&b), out[128] = { loss };
        deq_parameters *store = deq_weights_parameters(b.n.w);
        int n = deq_parameters_count(store);
        assert_true(n < (int)COUNT_OF(out));
        deq_gradients(b.n.t.g, out + 1, loss, store);
        assert_ok(&b.n.t);
        begin_calmly(&b.n, 8);
        deq_program *p = must_compile(&b.n.t, out, n + 1, NULL);
        write_inputs(&b, p);
        assert_int_equal(deq_program_bind_gradients(p, store, out + 1), DEQ_OK);
        double before, after, square = 0;
        must_run(p, DEQ_STAGE_PARAMETER);
        must_read(&b.n.t, p, loss, &before);
        double *w = deq_parameters_values(store, -1);
        const double *g = deq_parameters_gradients(store, -1);
        for (int64_t i = 0; i < deq_parameters_length(store); i++) square += g[i] * g[i];
        double rate = 1e-6 * before / square; /* to lower it by a millionth */
        for (int64_t i = 0; i < deq_parameters_length(store); i++) w[i] -= rate * g[i];
        must_run(p, DEQ_STAGE_PARAMETER);
        must_read(&b.n.t, p, loss, &after);
        double share = (before - after) / (rate * square);
        if (!(share > 0.9 && share < 1.1))
            fail_msg("%s: %.12g became %.12g, %g of what the gradient says",
                     deq_model_name((deq_model_family)f), before, after, share);
        deq_program_free(p);
        built_free(&b, true);
    }
}

/* Precision ---------------------------------------------------------------------------------- */

static void f32_agrees_with_f64(void **state)
{
    (void)state;
    for (int f = 0; f < DEQ_MODEL_COUNT; f++) {
        enum { MOST = 400 };
        deq_shape input;
        float x32[600], logits32[MOST];
        double x[600], logits[MOST], narrow[MOST];
        deq_model_options o = small_model((deq_model_family)f, &input);
        deq_model_solve s = exact_solve();
        built b = build_model(NULL, NULL, false, input, &o, &s);
        assert_ok(&b.n.t);
        begin_calmly(&b.n, 4);
        value_of(&b, b.out.logits[0], logits);

        s.equilibrium.forward.atol = 1e-5;
        test_graph t = { b.n.t.ctx, NULL };
        deq_weights *w = NULL;
        deq_nn *nn = NULL;
        deq_model_outputs out;
        assert_int_equal(deq_graph_new(&t.g, t.ctx), DEQ_OK);
        assert_int_equal(deq_weights_new(&w, t.ctx, DEQ_F32), DEQ_OK);
        assert_int_equal(deq_nn_new(&nn, t.g, w, false), DEQ_OK);
        deq_value in = deq_input(t.g, "x", DEQ_STAGE_INJECTED, DEQ_F32, input);
        deq_model_build(nn, &out, in, &o, &s);
        assert_ok(&t);
        assert_int_equal(deq_weights_allocate(w), DEQ_OK);
        deq_parameters *from = deq_weights_parameters(b.n.w), *to = deq_weights_parameters(w);
        assert_int_equal(deq_weights_initialise(w, 4), DEQ_OK);
        for (int k = 0; k < deq_parameters_count(from); k++) {
            const double *wide = deq_parameters_values(from, k);
            float *short_ = deq_parameters_values(to, k);
            for (int64_t i = 0; i < deq_parameters_info(from, k).count; i++)
                short_[i] = (float)wide[i];
        }
        deq_program *p = must_compile(&t, out.logits, 1, NULL);
        wave(x, deq_shape_count(&input), 1);
        for (int64_t i = 0; i < deq_shape_count(&input); i++) x32[i] = (float)x[i];
        must_write(&t, p, in, x32);
        must_run(p, DEQ_STAGE_PARAMETER);
        must_read(&t, p, out.logits[0], logits32);
        int64_t count = count_of(&b, b.out.logits[0]);
        for (int64_t i = 0; i < count; i++) narrow[i] = (double)logits32[i];
        check_close(deq_model_name((deq_model_family)f), narrow, logits, count, 2e-4);
        deq_program_free(p);
        deq_nn_free(nn);
        deq_graph_free(t.g);
        deq_weights_free(w);
        built_free(&b, true);
    }
}

/* Refusals ----------------------------------------------------------------------------------- */

static void refusals_say_what_does_not_fit(void **state)
{
    (void)state;
    static const int tails[1] = { 1 };
    for (int i = 0; i < 16; i++) {
        deq_shape input;
        deq_model_options o = small_model(i < 11 ? DEQ_MODEL_MLP : DEQ_MODEL_MAZE, &input);
        deq_model_solve s = deq_model_solve_defaults();
        deq_value z0 = DEQ_NONE;
        deq_status status = DEQ_ERR_ARGUMENT;
        const char *text = "";
        built b = { .n = network_new(NULL, NULL, true) };
        switch (i) {
        case 0: o.struct_size = 1, text = "options.struct_size is 1"; break;
        case 1: o.family = DEQ_MODEL_COUNT, text = "5 is not a family"; break;
        case 2: o.classes = 0, text = "0 classes"; break;
        case 3: s.struct_size = 1, text = "solve.struct_size"; break;
        case 4: s.supervision.struct_size = 1, text = "supervision.struct_size"; break;
        case 5:
            s.supervision.steps = tails, s.supervision.n_steps = 2, text = "2 tails for 1";
            break;
        case 6: s.supervision.n_locations = 3, text = "locations is missing"; break;
        case 7:
            s.equilibrium.gradient = DEQ_GRADIENT_UNROLL;
            s.supervision.gap = 1;
            text = "40 states are supervised";
            break;
        case 8: s.has_start = true, s.start = DEQ_START_GIVEN, text = "without z0"; break;
        case 9: s.has_start = true, s.start = DEQ_START_PROJECTION, text = "no projection"; break;
        case 10: o.mlp.activation = (deq_activation)7, text = "7 is not an activation"; break;
        case 11: o.recurrent.width = -1, text = "maze: width -1"; break;
        case 12:
            s.has_start = true, s.start = DEQ_START_GIVEN, s.z0 = &z0;
            z0 = deq_fill(b.n.t.g, DEQ_F64, DEQ_SHAPE(2, 5, 6, 6), 0);
            status = DEQ_ERR_SHAPE, text = "the start of state 0 is f64 [2, 5, 6, 6]";
            break;
        case 13:
            o.recurrent.no_injection = true, s.has_start = true;
            text = "the start must be that, or given";
            break;
        case 14: input = DEQ_SHAPE(2, 3, 6), status = DEQ_ERR_SHAPE, text = "[B, C, H, W]"; break;
        default: s.has_start = true, s.start = (deq_start)50, text = "50 is not a start";
        }
        b.x = network_input(&b.n, input);
        assert_int_equal(deq_model_build(b.n.nn, &b.out, b.x, &o, &s), status);
        assert_refused(&b.n.t, status, text, (char *)NULL);
        built_free(&b, true);
    }
}

static void an_input_of_another_dtype_is_refused(void **state)
{
    (void)state;
    deq_shape input;
    deq_model_options o = small_model(DEQ_MODEL_MLP, &input);
    test_network n = network_new(NULL, NULL, true);
    deq_model_outputs out;
    deq_value x = deq_input(n.t.g, "x", DEQ_STAGE_INJECTED, DEQ_F32, input);
    assert_int_equal(deq_model_build(n.nn, &out, x, &o, NULL), DEQ_ERR_DTYPE);
    assert_refused(&n.t, DEQ_ERR_DTYPE, "the weights are f64", (char *)NULL);
    network_free(&n, true);
}

static deq_status declare_and_build(deq_context *ctx, deq_model_family family)
{
    deq_shape input;
    deq_graph *g = NULL;
    deq_weights *w = NULL;
    deq_nn *nn = NULL;
    deq_model_outputs out;
    deq_model_options o = small_model(family, &input);
    deq_model_solve s = deq_model_solve_defaults();
    deq_jacobian_options j = deq_jacobian_defaults();
    s.penalty = &j;
    s.equilibrium.forward.n_states = 2;
    deq_status status = deq_graph_new(&g, ctx);
    if (status == DEQ_OK) status = deq_weights_new(&w, ctx, DEQ_F32);
    if (status == DEQ_OK) status = deq_nn_new(&nn, g, w, true);
    if (status == DEQ_OK)
        status = deq_model_build(nn, &out, deq_input(g, "x", DEQ_STAGE_INJECTED, DEQ_F32, input),
                                 &o, &s);
    deq_nn_free(nn);
    deq_graph_free(g);
    deq_weights_free(w);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (int f = 0; f < DEQ_MODEL_COUNT; f++) {
        deq_status status = DEQ_ERR_NOMEM;
        for (size_t fail_at = 1; status != DEQ_OK; fail_at += 1 + fail_at / 40) {
            test_memory m = { 0 };
            deq_context *ctx = test_memory_context(&m, 1);
            atomic_store(&m.fail_at, atomic_load(&m.calls) + fail_at);
            status = declare_and_build(ctx, (deq_model_family)f);
            bool failed = atomic_load(&m.calls) >= atomic_load(&m.fail_at);
            deq_context_free(ctx);
            assert_memory_clean(&m);
            assert_int_equal(status, failed ? DEQ_ERR_NOMEM : DEQ_OK);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(families_have_names_and_classes),
        cmocka_unit_test(models_have_the_published_numbers_of_parameters),
        cmocka_unit_test(an_mlp_solves_its_equation),
        cmocka_unit_test(a_cell_map_has_its_fixed_point_at_the_equilibrium),
        cmocka_unit_test(starts_follow_their_laws),
        cmocka_unit_test(each_supervised_state_has_its_logits),
        cmocka_unit_test(saved_states_come_before_the_equilibrium),
        cmocka_unit_test(a_penalty_is_that_of_the_cell_at_its_equilibrium),
        cmocka_unit_test(without_a_penalty_there_is_none),
        cmocka_unit_test(implicit_gradients_match_differences_of_the_whole_model),
        cmocka_unit_test(a_gradient_step_lowers_the_loss_of_every_family),
        cmocka_unit_test(f32_agrees_with_f64),
        cmocka_unit_test(refusals_say_what_does_not_fit),
        cmocka_unit_test(an_input_of_another_dtype_is_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
