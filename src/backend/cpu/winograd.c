/* SPDX-License-Identifier: MIT */
/*
 * Winograd's convolution F(4 x 4, 3 x 3)
 *
 * The product of two polynomials is known from its values at as many points as it has coefficients.
 * Transposed, that gives four neighbours of a convolution with three taps by six multiplications, and
 * in two dimensions, for a tile d of 6 x 6 pixels and taps g,
 *
 *     y = A' [ sum_c (G g_c G') o (B' d_c B) ] A         4 x 4 pixels by 36 multiplications, not 144
 *
 * The sum over channels makes of each of the 36 transformed pixels a matrix product, tiles x C by
 * C x K.  With the points 0, a, -a, b, -b and infinity,
 *
 *          1  1   1   1   1   0             a²b²   0   -a²-b²    0    1  0
 *     A' = 0  a  -a   b  -b   0        B' =   0  -ab²    -b²     a    1  0     -a likewise
 *          0  a²  a²  b²  b²  0               0  -a²b    -a²     b    1  0     -b likewise
 *          0  a³ -a³  b³ -b³  1               0   a²b²     0  -a²-b²  0  1
 *
 *     G = row p: (1, p, p²) / product of (p - q) over the other finite q;  infinity: (0, 0, 1)
 *
 * Accuracy.  The differences in B' and A' amplify rounding.  With a = 11/16 and b = 11/8 the error
 * of an output pixel stays below 1e-6 of the largest sum |x||w| among the pixels of its tile, which a
 * test checks; 3e-7 was the worst seen, against 2e-7 of direct summation, and the mean square error is
 * twice that of direct summation.  The usual points 1 and 2 lose four times as much.  NaN and infinity
 * spread to all pixels of their tiles, as NaN.
 *
 * S. Winograd, "Arithmetic Complexity of Computations", SIAM 1980;  A. Lavin and S. Gray, "Fast
 * Algorithms for Convolutional Neural Networks", CVPR 2016.
 */
#include "backend/cpu/winograd.h"

#include "backend/cpu/share.h"
#include "backend/cpu/winograd_kernels.h"
#include "graph/program_internal.h"

#include <omp.h>
#include <string.h>

enum {
    IN = DEQ_WINOGRAD_IN,
    OUT = DEQ_WINOGRAD_OUT,
    PLANES = DEQ_WINOGRAD_PLANES,
    TAPS = 3,
    MOST_COLUMNS = 64 /* of a panel of weights */
};

typedef struct winograd {
    const deq_winograd_kernels *kernels;
    int64_t c, h, w, k, oh, ow; /* of x and y */
    int64_t top, left;          /* padding */
    int64_t tile_rows, tile_columns, tiles;
    int64_t width;            /* k, rounded up to whole vectors */
    int64_t blocks;           /* of tiles, each done by one thread */
    int64_t v_plane, m_plane; /* floats from one transformed pixel to the next */
    int threads;
    int x, y, u, bias, scratch; /* slots; bias may be -1 */
} winograd;

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static int64_t round_up(int64_t a, int64_t b)
{
    return divide_up(a, b) * b;
}

/* --- when ------------------------------------------------------------------------------------- */

static bool is_possible(const deq_onednn_spec *s)
{
    for (int i = 0; i < 2; i++)
        if (s->stride[i] != 1 || s->dilation[i] != 1) return false;
    return s->kind == DEQ_ONEDNN_CONVOLUTION && s->b.rank == 4 && s->b.dim[2] == TAPS &&
           s->b.dim[3] == TAPS && s->a.dim[1] >= DEQ_WINOGRAD_LANES &&
           s->result.dim[1] >= DEQ_WINOGRAD_LANES;
}

/* By multiplications.  A channel of a transformed pixel costs as much as MOVE of them: it is computed,
 * stored, loaded and combined (measured with AVX-512). */
bool deq_winograd_pays(const deq_onednn_spec *s)
{
    enum { MOVE = 16 };
    if (!is_possible(s)) return false;
    double c = (double)s->a.dim[1], k = (double)s->result.dim[1];
    double pixels = (double)(s->result.dim[2] * s->result.dim[3]);
    double tiles = (double)(divide_up(s->result.dim[2], OUT) * divide_up(s->result.dim[3], OUT));
    double width = (double)round_up(s->result.dim[1], DEQ_WINOGRAD_LANES);
    double direct = pixels * TAPS * TAPS * c * k;
    return tiles * PLANES * (c * width + MOVE * (c + k)) < direct;
}

/* --- weights: u = G g G' ---------------------------------------------------------------------- */

typedef struct weight_transform {
    int64_t c, k, width, panel;
    int64_t c_stride, k_stride;
    bool reversed;
    int threads, from, to;
} weight_transform;

static void fill_G(double G[IN][TAPS])
{
    const double a = DEQ_WINOGRAD_A, b = DEQ_WINOGRAD_B;
    const double point[IN - 1] = { 0, a, -a, b, -b };
    for (int i = 0; i < IN - 1; i++) {
        double denominator = 1;
        for (int j = 0; j < IN - 1; j++)
            if (j != i) denominator *= point[i] - point[j];
        G[i][0] = 1 / denominator;
        G[i][1] = point[i] / denominator;
        G[i][2] = point[i] * point[i] / denominator;
    }
    G[IN - 1][0] = G[IN - 1][1] = 0;
    G[IN - 1][2] = 1;
}

static void transform_taps(const double (*G)[TAPS], const float *g, bool reversed, double u[IN][IN])
{
    double rows[IN][TAPS], taps[TAPS][TAPS];
    for (int t = 0; t < TAPS * TAPS; t++)
        taps[t / TAPS][t % TAPS] = (double)g[reversed ? TAPS * TAPS - 1 - t : t];
    for (int i = 0; i < IN; i++)
        for (int j = 0; j < TAPS; j++)
            rows[i][j] = G[i][0] * taps[0][j] + G[i][1] * taps[1][j] + G[i][2] * taps[2][j];
    for (int i = 0; i < IN; i++)
        for (int j = 0; j < IN; j++)
            u[i][j] = rows[i][0] * G[j][0] + rows[i][1] * G[j][1] + rows[i][2] * G[j][2];
}

/* One panel: `columns` output channels from k on. */
static void transform_panel(const weight_transform *t, const double (*G)[TAPS], const float *from,
                            int64_t k, int64_t columns, float *to)
{
    float row[PLANES][MOST_COLUMNS] = { { 0 } };
    size_t bytes = (size_t)columns * sizeof(float);
    for (int64_t c = 0; c < t->c; c++) {
        for (int64_t j = 0; j < columns && k + j < t->k; j++) {
            double u[IN][IN];
            transform_taps(G, from + (k + j) * t->k_stride + c * t->c_stride, t->reversed, u);
            for (int i = 0; i < PLANES; i++) row[i][j] = (float)u[i / IN][i % IN];
        }
        for (int i = 0; i < PLANES; i++)
            memcpy(to + (i * t->width + k) * t->c + c * columns, row[i], bytes);
    }
}

static deq_status run_weights(void *self, void *const *slot, char *message)
{
    const weight_transform *t = self;
    double G[IN][TAPS];
    (void)message;
    fill_G(G);
#pragma omp parallel for schedule(static) num_threads(t->threads) if (t->threads > 1)
    for (int64_t k = 0; k < t->width; k += t->panel) {
        int64_t left = t->width - k;
        transform_panel(t, (const double(*)[TAPS])G, slot[t->from], k,
                        left < t->panel ? left : t->panel, slot[t->to]);
    }
    return DEQ_OK;
}

static bool same_weights(const void *self, const void *key)
{
    const weight_transform *a = self, *b = key;
    return a->c == b->c && a->k == b->k && a->c_stride == b->c_stride &&
           a->k_stride == b->k_stride && a->reversed == b->reversed;
}

/* The slot of the transformed weights; -1 if there is no memory for them. */
static int transform_weights(deq_lowering *l, const weight_transform *want, deq_stage stage,
                             deq_status *status)
{
    int known = deq_cpu_find_step(l, stage, run_weights, want->from, same_weights, want);
    if (known >= 0) return known;
    size_t floats = (size_t)(PLANES * want->c * want->width);
    weight_transform *t = deq_lower_alloc(l, sizeof *t);
    int to = deq_lower_slot(l, floats * sizeof(float), stage);
    *status = DEQ_ERR_NOMEM;
    if (!t || to < 0) return -1;
    *t = *want;
    t->to = to;
    int group = l->group_index;
    deq_step step = { .run = run_weights,
                      .self = t,
                      .stage = stage,
                      .reads = &t->from,
                      .n_reads = 1,
                      .writes = &t->to,
                      .n_writes = 1,
                      .kernel = "winograd weights",
                      .bytes = (double)(want->c * want->k * TAPS * TAPS + (int64_t)floats) *
                               sizeof(float) };
    l->group_index = -1; /* whoever asks next shares it */
    *status = deq_lower_step(l, &step);
    l->group_index = group;
    return to;
}

/* --- convolution ------------------------------------------------------------------------------ */

/* Tile number t: its image and the first pixel of its 4 x 4. */
typedef struct tile {
    int64_t image, row, column;
} tile;

static tile tile_at(const winograd *g, int64_t t)
{
    int64_t in_image = t % (g->tile_rows * g->tile_columns);
    return (tile){ .image = t / (g->tile_rows * g->tile_columns),
                   .row = in_image / g->tile_columns * OUT,
                   .column = in_image % g->tile_columns * OUT };
}

/* at[i] = first channel of pixel i of a square that begins at (row, column) of a plane h x w. */
static void locate(int64_t *at, int square, int64_t image, int64_t row, int64_t column, int64_t h,
                   int64_t w, int64_t channels)
{
    for (int i = 0; i < square; i++)
        for (int j = 0; j < square; j++) {
            int64_t y = row + i, x = column + j;
            bool inside = y >= 0 && y < h && x >= 0 && x < w;
            at[i * square + j] = inside ? ((image * h + y) * w + x) * channels : -1;
        }
}

static void run_block(const winograd *g, void *const *slot, int64_t from, int64_t to, float *v,
                      float *m)
{
    const float *u = slot[g->u], *bias = g->bias < 0 ? NULL : slot[g->bias];
    int64_t at[PLANES];
    for (int64_t t = from; t < to; t++) {
        tile s = tile_at(g, t);
        locate(at, IN, s.image, s.row - g->top, s.column - g->left, g->h, g->w, g->c);
        g->kernels->input(slot[g->x], at, g->c, v + (t - from) * g->c, g->v_plane);
    }
    for (int i = 0; i < PLANES; i++)
        g->kernels->multiply(v + i * g->v_plane, u + i * g->c * g->width, to - from, g->c, g->width,
                             m + i * g->m_plane);
    for (int64_t t = from; t < to; t++) {
        tile s = tile_at(g, t);
        locate(at, OUT, s.image, s.row, s.column, g->oh, g->ow, g->k);
        g->kernels->output(m + (t - from) * g->width, g->m_plane, g->k, bias, slot[g->y], at);
    }
}

static deq_status run(void *self, void *const *slot, char *message)
{
    const winograd *g = self;
    int64_t v_floats = PLANES * g->v_plane, m_floats = PLANES * g->m_plane;
    (void)message;
#pragma omp parallel for schedule(static) num_threads(g->threads) if (g->threads > 1)
    for (int64_t b = 0; b < g->blocks; b++) {
        float *v = (float *)slot[g->scratch] + omp_get_thread_num() * (v_floats + m_floats);
        run_block(g, slot, g->tiles * b / g->blocks, g->tiles * (b + 1) / g->blocks, v,
                  v + v_floats);
    }
    return DEQ_OK;
}

/* Blocks whose transformed pixels stay in a second-level cache, but are not so small that weights
 * are read for a few rows only; as many for each thread. */
static void choose_blocks(winograd *g)
{
    enum { BYTES = 640 * 1024, FEWEST = 24, LINE = DEQ_WINOGRAD_LANES };
    int64_t most = BYTES / (PLANES * (g->c + g->width) * (int64_t)sizeof(float));
    if (most < FEWEST) most = FEWEST;
    g->blocks = round_up(divide_up(g->tiles, most), g->threads);
    if (g->blocks > g->tiles) g->blocks = g->tiles;
    int64_t rows = divide_up(g->tiles, g->blocks);
    /* An odd number of lines apart, so that the planes do not fall onto each other in a cache. */
    g->v_plane = (divide_up(rows * g->c, LINE) | 1) * LINE;
    g->m_plane = (divide_up(rows * g->width, LINE) | 1) * LINE;
}

static void describe(winograd *g, const deq_lowering *l, const deq_onednn_spec *s)
{
    deq_isa isa = deq_context_isa(l->ctx);
    g->kernels = DEQ_ISA_SELECT(isa, deq_winograd_kernels);
    g->c = s->a.dim[1];
    g->h = s->a.dim[2];
    g->w = s->a.dim[3];
    g->k = s->result.dim[1];
    g->oh = s->result.dim[2];
    g->ow = s->result.dim[3];
    g->top = s->padding[0];
    g->left = s->padding[1];
    g->threads = s->threads;
    g->tile_rows = divide_up(g->oh, OUT);
    g->tile_columns = divide_up(g->ow, OUT);
    g->tiles = s->a.dim[0] * g->tile_rows * g->tile_columns;
    g->width = round_up(g->k, DEQ_WINOGRAD_LANES);
    choose_blocks(g);
}

deq_status deq_winograd_lower(deq_lowering *l, const deq_onednn_spec *s,
                              const deq_onednn_tensor *weights, bool reversed, const int *slot,
                              deq_stage stage, deq_stage weight_stage, double flops)
{
    deq_status status = DEQ_OK;
    winograd *g = deq_lower_alloc(l, sizeof *g);
    if (!g) return DEQ_ERR_NOMEM;
    *g = (winograd){ .x = slot[DEQ_ONEDNN_A],
                     .y = slot[DEQ_ONEDNN_RESULT],
                     .bias = s->has_bias ? slot[DEQ_ONEDNN_BIAS] : -1 };
    describe(g, l, s);
    weight_transform want = { .c = g->c,
                              .k = g->k,
                              .width = g->width,
                              .panel = g->kernels->panel,
                              .k_stride = weights->stride[0],
                              .c_stride = weights->stride[1],
                              .reversed = reversed,
                              .threads = s->threads,
                              .from = slot[DEQ_ONEDNN_B] };
    g->u = transform_weights(l, &want, weight_stage, &status);
    DEQ_TRY(status);
    size_t scratch = (size_t)(PLANES * (g->v_plane + g->m_plane) * g->threads) * sizeof(float);
    g->scratch = deq_lower_slot(l, scratch, stage);
    if (g->scratch < 0) return DEQ_ERR_NOMEM;

    int reads[3] = { g->x, g->u, g->bias }, writes[2] = { g->y, g->scratch };
    const deq_slot *slots = l->program->slots;
    deq_step step = { .run = run,
                      .self = g,
                      .stage = stage,
                      .reads = reads,
                      .n_reads = g->bias < 0 ? 2 : 3,
                      .writes = writes,
                      .n_writes = 2,
                      .kernel = "winograd F(4x4, 3x3)",
                      .flops = flops,
                      .bytes = (double)(slots[g->x].bytes + slots[g->u].bytes +
                                        slots[g->y].bytes) };
    return deq_lower_step(l, &step);
}
