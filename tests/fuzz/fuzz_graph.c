/* SPDX-License-Identifier: MIT */
/*
 * Foreign bytes choose a graph, which is then compiled twice: with every pass and tuned kernel, and
 * with none.  Both programs must compute the same.
 *
 * "The same" is up to rounding.  Each value carries a bound b of its elements and a bound e of the
 * error that any order of evaluation makes in them, which follow the operators:
 *
 *     y = f(x)           e_y = Lip(f) e_x + c u b_y
 *     y = a x            e_y = b_a e_x + b_x e_a + c u b_y
 *     y = sum of n x     e_y = n e_x + n u b_y
 *
 * Values that grow large are brought back by tanh, so that the bounds stay sharp enough to tell a
 * wrong number.  Derivatives have no such bounds: they are run, and not compared.
 *
 * The state is then changed and only its stage run again: what was moved out of the loop must be
 * what does not depend on the state.
 */
#include <deq/op.h>
#include <deq/program.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_VALUES = 48, MAX_INPUTS = 40, MAX_OUTPUTS = 6, MAX_ELEMENTS = 4096 };

typedef struct tracked {
    deq_value v;
    double bound, error; /* error INFINITY: not compared */
} tracked;

typedef struct fuzz {
    const uint8_t *byte, *end;
    deq_graph *g;
    deq_dtype dtype;
    double u; /* rounding unit of dtype */
    tracked pool[MAX_VALUES];
    int n_values;
    deq_value input[MAX_INPUTS];
    bool is_state[MAX_INPUTS];
    int n_inputs;
} fuzz;

static int next(fuzz *f, int n)
{
    return f->byte < f->end ? *f->byte++ % n : 0;
}

static deq_shape shape_of(const fuzz *f, deq_value v)
{
    return deq_value_type(f->g, v).shape;
}

/* Take a value into the pool; one that grew large goes through tanh first. */
static void keep(fuzz *f, deq_value v, double bound, double error)
{
    const deq_shape s = shape_of(f, v);

    if (f->n_values == MAX_VALUES || (v.id > 0 && deq_shape_count(&s) > MAX_ELEMENTS)) return;
    if (bound > 1e3) {
        v = deq_tanh(f->g, v);
        bound = 1;
        error += 16 * f->u;
    }
    f->pool[f->n_values++] = (tracked){ v, bound, error < 0.05 ? error : INFINITY };
}

static tracked new_input(fuzz *f, deq_stage stage, deq_shape shape)
{
    char name[16];

    if (f->n_inputs == MAX_INPUTS) return f->pool[0];
    snprintf(name, sizeof name, "x%d", f->n_inputs);
    const deq_value v = deq_input(f->g, name, stage, f->dtype, shape);
    f->is_state[f->n_inputs] = stage == DEQ_STAGE_STATE;
    f->input[f->n_inputs++] = v;
    return (tracked){ v, 1, 0 };
}

static deq_shape any_shape(fuzz *f)
{
    deq_shape s = { .rank = next(f, 5) };

    for (int i = 0; i < s.rank; i++) s.dim[i] = 1 + next(f, 5);
    return s;
}

static deq_stage any_stage(fuzz *f)
{
    static const deq_stage stages[] = { DEQ_STAGE_STATE, DEQ_STAGE_INJECTED, DEQ_STAGE_PARAMETER };

    return stages[next(f, 3)];
}

static tracked pick(fuzz *f)
{
    return f->pool[f->n_values - 1 - next(f, f->n_values)];
}

static bool broadcasts(const deq_shape *a, const deq_shape *b)
{
    for (int i = 1; i <= a->rank && i <= b->rank; i++) {
        const int64_t m = a->dim[a->rank - i], n = b->dim[b->rank - i];

        if (m != n && m != 1 && n != 1) return false;
    }
    return true;
}

/* A partner for a: any value, or a itself where shapes do not fit; seldom one that does not fit. */
static tracked partner(fuzz *f, tracked a, bool (*fits)(const deq_shape *, const deq_shape *))
{
    const tracked b = pick(f);
    const deq_shape s = shape_of(f, a.v), t = shape_of(f, b.v);

    return fits(&s, &t) || next(f, 256) == 255 ? b : a;
}

static void binary(fuzz *f)
{
    const tracked a = pick(f), b = partner(f, a, broadcasts);
    const double sum = a.bound + b.bound;

    switch (next(f, 5)) {
    case 0: keep(f, deq_add(f->g, a.v, b.v), sum, a.error + b.error + f->u * sum); break;
    case 1: keep(f, deq_sub(f->g, a.v, b.v), sum, a.error + b.error + f->u * sum); break;
    case 2:
        keep(f, deq_mul(f->g, a.v, b.v), a.bound * b.bound,
             a.error * b.bound + b.error * a.bound + 4 * f->u * a.bound * b.bound);
        break;
    case 3: keep(f, deq_max(f->g, a.v, b.v), sum, fmax(a.error, b.error)); break;
    default: keep(f, deq_min(f->g, a.v, b.v), sum, fmax(a.error, b.error)); break;
    }
}

static void unary(fuzz *f)
{
    static const struct {
        deq_value (*op)(deq_graph *, deq_value);
        double bound, slope; /* |op(x)| <= bound + |x|, |op'(x)| <= slope */
    } table[] = {
        { deq_neg, 0, 1 },           { deq_abs, 0, 1 },      { deq_tanh, 0, 1 },
        { deq_sigmoid, 1, 0.25 },    { deq_relu, 0, 1 },     { deq_sin, 0, 1 },
        { deq_cos, 1, 1 },           { deq_softplus, 1, 1 }, { deq_gelu, 1, 1.2 },
        { deq_silu, 1, 1.2 },        { deq_erf, 0, 1.2 },    { deq_gelu_tanh, 1, 1.2 },
        { deq_stop_gradient, 0, 1 },
    };
    const tracked x = pick(f);
    const int i = next(f, (int)(sizeof table / sizeof *table) + 3);
    const double number = next(f, 64) / 16.0 - 2;

    if (i < (int)(sizeof table / sizeof *table)) {
        const double bound = x.bound + table[i].bound;
        keep(f, table[i].op(f->g, x.v), bound, table[i].slope * x.error + 32 * f->u * bound);
    } else if (i % 3 == 0) {
        keep(f, deq_square(f->g, x.v), x.bound * x.bound,
             2 * x.bound * x.error + 4 * f->u * x.bound * x.bound);
    } else if (i % 3 == 1) {
        keep(f, deq_scale(f->g, x.v, number), 2 * x.bound, 2 * x.error + 4 * f->u * x.bound);
    } else {
        keep(f, deq_shift(f->g, x.v, number), x.bound + 2, x.error + 4 * f->u * (x.bound + 2));
    }
}

static void linear_map(fuzz *f, deq_value y, tracked x, tracked w, tracked b, double terms)
{
    const double bound = terms * x.bound * w.bound + b.bound;

    keep(f, y, bound,
         terms * (x.error * w.bound + w.error * x.bound) + b.error + (terms + 4) * f->u * bound);
}

static const tracked nothing = { { 0 }, 0, 0 };

static void linear(fuzz *f)
{
    const tracked x = pick(f);
    const deq_shape s = shape_of(f, x.v);
    const int64_t k = s.rank ? s.dim[s.rank - 1] : 1, n = 1 + next(f, 6);

    if (s.rank == 0) return;
    const tracked w = new_input(f, any_stage(f), DEQ_SHAPE(n, k));
    const tracked b = next(f, 2) ? new_input(f, any_stage(f), DEQ_SHAPE(n)) : nothing;
    linear_map(f, deq_linear(f->g, x.v, w.v, b.v), x, w, b, (double)k);
}

static void matmul(fuzz *f)
{
    const tracked a = pick(f);
    const deq_shape s = shape_of(f, a.v);
    const bool left = next(f, 2), transpose_a = next(f, 2), transpose_b = next(f, 2);

    if (s.rank < 2) return;
    const int64_t rows = s.dim[s.rank - 2], columns = s.dim[s.rank - 1], n = 1 + next(f, 6);
    const int64_t k = left ? (transpose_a ? rows : columns) : (transpose_b ? columns : rows);
    if (left) {
        const tracked b = new_input(f, any_stage(f),
                                    transpose_b ? DEQ_SHAPE(n, k) : DEQ_SHAPE(k, n));
        linear_map(f, deq_matmul(f->g, a.v, b.v, transpose_a, transpose_b), a, b, nothing,
                   (double)k);
    } else {
        const tracked b = new_input(f, any_stage(f),
                                    transpose_a ? DEQ_SHAPE(k, n) : DEQ_SHAPE(n, k));
        linear_map(f, deq_matmul(f->g, b.v, a.v, transpose_a, transpose_b), a, b, nothing,
                   (double)k);
    }
}

static void conv2d(fuzz *f)
{
    const tracked x = pick(f);
    const deq_shape s = shape_of(f, x.v);

    if (s.rank != 4) return;
    deq_conv2d_options o = { .struct_size = sizeof o, .groups = 1 };
    if (next(f, 4) == 0) o.groups = s.dim[1];
    const int64_t per_group = 1 + next(f, 4), channels = s.dim[1] / o.groups;
    const int64_t r = 1 + next(f, 3), q = 1 + next(f, 3);
    for (int i = 0; i < 2; i++) {
        o.stride[i] = 1 + next(f, 2);
        o.padding[i] = next(f, 3);
        o.dilation[i] = 1 + next(f, 2);
    }
    const bool fits = o.dilation[0] * (r - 1) < s.dim[2] + 2 * o.padding[0] &&
                      o.dilation[1] * (q - 1) < s.dim[3] + 2 * o.padding[1];
    if (!fits && next(f, 256) != 255) return;
    const tracked w = new_input(f, any_stage(f), DEQ_SHAPE(per_group * o.groups, channels, r, q));
    const tracked b = next(f, 2) ? new_input(f, any_stage(f), DEQ_SHAPE(per_group * o.groups))
                                 : nothing;
    linear_map(f, deq_conv2d(f->g, x.v, w.v, b.v, &o), x, w, b, (double)(channels * r * q));
}

static bool joins(const deq_shape *a, const deq_shape *b)
{
    return a->rank > 0 && a->rank == b->rank &&
           memcmp(a->dim + 1, b->dim + 1, sizeof *a->dim * (size_t)(a->rank - 1)) == 0;
}

static void move(fuzz *f)
{
    const tracked x = pick(f);
    const deq_shape s = shape_of(f, x.v);
    const int axis = s.rank ? next(f, s.rank) : 0, other = s.rank ? next(f, s.rank) : 0;
    int64_t before[DEQ_MAX_RANK] = { 0 }, after[DEQ_MAX_RANK] = { 0 };
    deq_value y = x.v;

    if (s.rank == 0) return;
    switch (next(f, 6)) {
    case 0: {
        const tracked b = partner(f, x, joins);
        const deq_value parts[] = { x.v, b.v };
        keep(f, deq_concat(f->g, parts, 2, 0), fmax(x.bound, b.bound), fmax(x.error, b.error));
        return;
    }
    case 1: {
        const int64_t start = next(f, (int)s.dim[axis]);
        y = deq_slice(f->g, x.v, axis, start, 1 + next(f, (int)(s.dim[axis] - start)));
        break;
    }
    case 2:
        before[axis] = next(f, 3);
        after[other] = next(f, 3);
        y = deq_pad(f->g, x.v, before, after, next(f, 2) ? DEQ_PAD_ZERO : DEQ_PAD_REPLICATE);
        break;
    case 3: y = deq_reshape(f->g, x.v, DEQ_SHAPE(s.dim[0], -1)); break;
    case 4: y = deq_transpose(f->g, x.v, axis, other); break;
    default:
        if (s.rank == 2 || s.rank == 3) {
            deq_shape wide = { .rank = s.rank + 1, .dim = { 1 + next(f, 3) } };
            memcpy(wide.dim + 1, s.dim, sizeof *s.dim * (size_t)s.rank);
            y = deq_broadcast(f->g, x.v, wide);
        }
        break;
    }
    keep(f, y, x.bound, x.error);
}

static void reduce(fuzz *f)
{
    const tracked x = pick(f);
    const deq_shape s = shape_of(f, x.v);
    const uint32_t axes = (uint32_t)next(f, 1 << s.rank);
    const bool kept = next(f, 2);
    double n = 1;

    for (int i = 0; i < s.rank; i++) n *= axes >> i & 1 ? (double)s.dim[i] : 1;
    switch (next(f, 5)) {
    case 0:
        keep(f, deq_sum(f->g, x.v, axes, kept), n * x.bound, n * (x.error + n * f->u * x.bound));
        break;
    case 1: keep(f, deq_mean(f->g, x.v, axes, kept), x.bound, x.error + n * f->u * x.bound); break;
    case 2: keep(f, deq_reduce_max(f->g, x.v, axes, kept), x.bound, x.error); break;
    case 3:
        keep(f, deq_logsumexp(f->g, x.v, axes, kept), x.bound + log(n) + 1,
             x.error + (n + 64) * f->u * (x.bound + log(n) + 1));
        break;
    default:
        if (s.rank > 0)
            keep(f, deq_softmax(f->g, x.v, next(f, s.rank)), 1,
                 2 * x.error + 64 * f->u * (x.bound + 1));
        break;
    }
}

static void derivative(fuzz *f)
{
    const tracked y = pick(f), x = pick(f);
    const deq_value total = deq_sum(f->g, y.v, DEQ_ALL_AXES, false);
    deq_value grad = DEQ_NONE;

    if (deq_vjp(f->g, &grad, &total, NULL, 1, &x.v, 1) == DEQ_OK) keep(f, grad, 1, INFINITY);
}

static void build(fuzz *f)
{
    static void (*const steps[])(fuzz *) = { binary, unary, linear, matmul,    conv2d,
                                             move,   move,  reduce, derivative };

    f->pool[0] = new_input(f, DEQ_STAGE_STATE, DEQ_SHAPE(2, 3, 4, 5));
    f->pool[1] = new_input(f, DEQ_STAGE_INJECTED, DEQ_SHAPE(2, 3, 4, 5));
    f->n_values = 2;
    while (f->byte < f->end && f->n_values < MAX_VALUES && deq_graph_status(f->g) == DEQ_OK) {
        const int step = next(f, 1 + (int)(sizeof steps / sizeof *steps));

        if (step == 0 && f->n_inputs < MAX_INPUTS) {
            const deq_stage stage = any_stage(f);
            const tracked x = new_input(f, stage, any_shape(f));
            keep(f, x.v, x.bound, x.error);
        } else if (step > 0) {
            steps[step - 1](f);
        }
    }
}

/* Numbers in (-1, 1), the same for both programs. */
static void write_inputs(const fuzz *f, deq_program *p, bool states_only, uint64_t seed)
{
    static double wide[MAX_ELEMENTS];
    static float narrow[MAX_ELEMENTS];

    for (int i = 0; i < f->n_inputs; i++) {
        const deq_type t = deq_value_type(f->g, f->input[i]);
        const int64_t n = deq_shape_count(&t.shape);
        uint64_t r = seed * 1000 + (uint64_t)i + 1;

        if (states_only && !f->is_state[i]) continue;
        for (int64_t k = 0; k < n; k++) {
            r = r * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            narrow[k] = (float)(int32_t)(r >> 32) / 2147483648.0f;
            wide[k] = (double)narrow[k];
        }
        const void *elements = f->dtype == DEQ_F32 ? (const void *)narrow : wide;
        if (deq_program_write(p, f->input[i], elements, deq_type_bytes(&t)) != DEQ_OK) abort();
    }
}

static double element(const fuzz *f, const void *data, int64_t k)
{
    return f->dtype == DEQ_F32 ? (double)((const float *)data)[k] : ((const double *)data)[k];
}

static void compare(const fuzz *f, deq_program *fast, deq_program *plain, const tracked *outputs,
                    int n, const char *when)
{
    static double a[MAX_ELEMENTS], b[MAX_ELEMENTS];

    for (int i = 0; i < n; i++) {
        const deq_type t = deq_value_type(f->g, outputs[i].v);
        const int64_t count = deq_shape_count(&t.shape);
        const double tol = 4 * outputs[i].error + 1e-30;

        if (deq_program_read(fast, outputs[i].v, a, deq_type_bytes(&t)) != DEQ_OK) abort();
        if (deq_program_read(plain, outputs[i].v, b, deq_type_bytes(&t)) != DEQ_OK) abort();
        for (int64_t k = 0; k < count && isfinite(tol); k++) {
            if (fabs(element(f, a, k) - element(f, b, k)) <= tol) continue;
            fprintf(stderr,
                    "%s: value %d, element %lld: compiled %.17g, plain %.17g, tolerance %g\n", when,
                    (int)outputs[i].v.id, (long long)k, element(f, a, k), element(f, b, k), tol);
            abort();
        }
    }
}

static void run_both(const fuzz *f, deq_program *fast, deq_program *plain, const tracked *outputs,
                     int n)
{
    write_inputs(f, fast, false, 1);
    write_inputs(f, plain, false, 1);
    if (deq_program_run(fast, DEQ_STAGE_PARAMETER) != DEQ_OK) abort();
    if (deq_program_run(plain, DEQ_STAGE_PARAMETER) != DEQ_OK) abort();
    compare(f, fast, plain, outputs, n, "first run");

    write_inputs(f, fast, true, 2);
    write_inputs(f, plain, true, 2);
    if (deq_program_run(fast, DEQ_STAGE_STATE) != DEQ_OK) abort();
    if (deq_program_run(plain, DEQ_STAGE_PARAMETER) != DEQ_OK) abort();
    compare(f, fast, plain, outputs, n, "after a change of the state");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz f = { .byte = data, .end = data + size };
    deq_context_options settings = deq_context_defaults();
    deq_compile_options bare = deq_compile_defaults();
    deq_context *ctx = NULL;
    deq_program *fast = NULL, *plain = NULL;
    deq_value outputs[MAX_OUTPUTS];
    const tracked *last;

    f.dtype = next(&f, 2) ? DEQ_F32 : DEQ_F64;
    f.u = f.dtype == DEQ_F32 ? 0x1p-24 : 0x1p-53;
    settings.threads = 1 + next(&f, 2);
    bare.simplify = bare.fuse = bare.tuned = bare.layout = false;
    if (deq_context_new(&ctx, &settings) != DEQ_OK) abort();
    if (deq_graph_new(&f.g, ctx) != DEQ_OK) abort();

    build(&f);
    const int n = f.n_values < MAX_OUTPUTS ? f.n_values : MAX_OUTPUTS;
    last = f.pool + f.n_values - n;
    for (int i = 0; i < n; i++) outputs[i] = last[i].v;
    const deq_status status = deq_compile(&fast, f.g, outputs, n, NULL);
    if (status != deq_compile(&plain, f.g, outputs, n, &bare)) abort();
    if (deq_graph_status(f.g) != DEQ_OK && status != deq_graph_status(f.g)) abort();
    if (status == DEQ_OK)
        run_both(&f, fast, plain, last, n);
    else if (deq_graph_status(f.g) == DEQ_OK)
        abort();

    deq_program_free(plain);
    deq_program_free(fast);
    deq_graph_free(f.g);
    deq_context_free(ctx);
    return 0;
}
