/* SPDX-License-Identifier: MIT */
#include "data/maze_text.h"

static deq_dataset *mazes(deq_context *ctx, int64_t size, int64_t count, double percolation,
                          deq_maze_start start)
{
    deq_mazes o = deq_mazes_defaults();
    deq_dataset *d;

    o.size = size;
    o.count = count;
    o.percolation = percolation;
    o.start = start;
    assert_done(ctx, deq_dataset_mazes(&d, ctx, &o));
    return d;
}

/* Mazes of others: the solver finds paths of the length that their headers state. */
static void paths_of_the_fixtures_have_the_stated_lengths(void **state)
{
    (void)state;
    deq_context *ctx = data_context();
    char path[1024];
    maze_text t = { .file = fopen(shared_file(path, "DEQ_DATA", "tasks/mazes.txt"), "r") };
    int n = 0;

    assert_non_null(t.file);
    for (; maze_text_next(&t); n++) {
        deq_maze m = maze_text_maze(&t, ctx, false);
        assert_int_equal(t.size, 2 * t.cells - 1);
        assert_int_equal(deq_maze_degree(&m, m.start), t.degree);
        assert_int_equal(deq_maze_solve(&m), t.path_pixels);
        if (t.percolation == 0) { /* only one path: the same */
            deq_maze other = maze_text_maze(&t, ctx, true);
            const size_t tiles = (size_t)(2 * t.cells + 1) * (size_t)(2 * t.cells + 1);
            assert_memory_equal(m.tiles, other.tiles, tiles);
            deq_maze_free(&other);
        }
        deq_maze_free(&m);
    }
    fclose(t.file);
    assert_true(n >= 20);
    deq_context_free(ctx);
}

/* An example as tiles, after checking colours, the double size and the border. */
typedef struct tiles {
    int64_t n;
    uint8_t *open, *path;
    int64_t start, end; /* offsets */
} tiles;

static tiles tiles_of(const one_example *e, int64_t size)
{
    const int64_t n = size + 2, side = 2 * size + 6, plane = side * side;
    tiles t = { n, calloc((size_t)(n * n), 1), calloc((size_t)(n * n), 1), -1, -1 };

    assert_int_equal(e->n_target, plane);
    for (int64_t i = 0; i < plane; i++) {
        const int64_t y = i / side, x = i % side, at = (y - 1) / 2 * n + (x - 1) / 2;
        const int colour = (e->input[i] > 0 ? 4 : 0) + (e->input[plane + i] > 0 ? 2 : 0) +
                           (e->input[2 * plane + i] > 0 ? 1 : 0);
        for (int c = 0; c < 3; c++)
            assert_true(e->input[c * plane + i] == 0 || e->input[c * plane + i] == 1);
        assert_true(colour == 0 || colour == 7 || colour == 4 || colour == 2);
        assert_int_equal(e->target[i] == DEQ_TARGET_IGNORE, colour == 0);
        if (y == 0 || x == 0 || y == side - 1 || x == side - 1) {
            assert_int_equal(colour, 0);
            continue;
        }
        if (y % 2 == 1 && x % 2 == 1) {
            t.open[at] = colour != 0;
            t.path[at] = e->target[i] == 1;
            if (colour == 2) assert_int_equal(t.start, -1), t.start = at;
            if (colour == 4) assert_int_equal(t.end, -1), t.end = at;
        } else {
            assert_int_equal(t.open[at], colour != 0);
            assert_int_equal(t.path[at], e->target[i] == 1);
            assert_int_equal(t.start == at, colour == 2);
            assert_int_equal(t.end == at, colour == 4);
        }
    }
    assert_true(t.start >= 0 && t.end >= 0 && t.start != t.end);
    return t;
}

static void tiles_free(tiles *t)
{
    free(t->open);
    free(t->path);
}

/* Relaxation, nothing like the solver's search: the distances to a tile, -1 where none leads. */
static void distances(int64_t *distance, const tiles *t, int64_t from)
{
    const int64_t n = t->n * t->n, steps[] = { 1, -1, t->n, -t->n };
    bool moved = true;

    for (int64_t i = 0; i < n; i++) distance[i] = i == from ? 0 : -1;
    while (moved) {
        moved = false;
        for (int64_t i = 0; i < n; i++)
            for (int k = 0; t->open[i] && k < 4; k++) {
                const int64_t d = distance[i + steps[k]];
                if (d < 0 || (distance[i] >= 0 && distance[i] <= d + 1)) continue;
                distance[i] = d + 1;
                moved = true;
            }
    }
}

/* Open tiles are cells and walls between; returns how many of the latter are open. */
static int64_t count_joins(const tiles *t, const int64_t *distance)
{
    int64_t joins = 0;

    for (int64_t i = 0; i < t->n * t->n; i++) {
        const bool row = i / t->n % 2 == 1, column = i % t->n % 2 == 1;
        if (row && column) {
            assert_true(t->open[i]);
            assert_true(distance[i] >= 0); /* all is connected */
        } else if (row != column) {
            joins += t->open[i];
        } else {
            assert_false(t->open[i]);
        }
    }
    return joins;
}

/* The path is a shortest one: its tiles lie on consecutive distances from the end. */
static void check_path(const tiles *t, const int64_t *distance)
{
    const int64_t steps[] = { 1, -1, t->n, -t->n };
    int64_t length = 0;

    for (int64_t i = 0; i < t->n * t->n; i++) {
        if (!t->path[i]) continue;
        bool goes_on = i == t->end;
        assert_true(t->open[i]);
        for (int k = 0; k < 4; k++)
            goes_on |= t->path[i + steps[k]] && distance[i + steps[k]] == distance[i] - 1;
        assert_true(goes_on);
        length++;
    }
    assert_true(t->path[t->start] && t->path[t->end]);
    assert_int_equal(length, distance[t->start] + 1);
}

static int degree(const tiles *t, int64_t at)
{
    return t->open[at - 1] + t->open[at + 1] + t->open[at - t->n] + t->open[at + t->n];
}

static void check_examples(deq_context *ctx, int64_t size, double percolation, deq_maze_start start,
                           int64_t count)
{
    deq_dataset *d = mazes(ctx, size, count, percolation, start);
    one_example e = example_new(d);
    const int64_t cells = (size + 1) / 2, all = (size + 2) * (size + 2);
    int64_t *distance = malloc((size_t)all * sizeof *distance), joins = 0;

    for (int64_t i = 0; i < count; i++) {
        example_read(&e, d, i);
        tiles t = tiles_of(&e, size);
        distances(distance, &t, t.end);
        const int64_t n = count_joins(&t, distance);
        check_path(&t, distance);
        if (percolation == 0) assert_int_equal(n, cells * cells - 1); /* a tree */
        if (start == DEQ_MAZE_START_DEAD_END || (start == DEQ_MAZE_START_ROOT && percolation == 0))
            assert_int_equal(degree(&t, t.start), 1);
        joins += n - (cells * cells - 1);
        tiles_free(&t);
    }
    /* Of the walls left by the tree, each opened with this chance: five deviations. */
    if (start != DEQ_MAZE_START_DEAD_END) {
        const double walls = (double)(count * (cells - 1) * (cells - 1));
        const double off = (double)joins - percolation * walls;
        assert_true(off * off <= 25 * walls * percolation * (1 - percolation));
    }
    free(distance);
    example_free(&e);
    deq_dataset_free(d);
}

static void mazes_are_as_specified(void **state)
{
    (void)state;
    static const struct {
        int64_t size, count;
        double percolation;
    } cases[] = { { 3, 50, 0 },   { 5, 20, 0 },   { 9, 60, 0 },  { 33, 2, 0 },  { 3, 50, 0.5 },
                  { 9, 60, 0.1 }, { 25, 4, 0.3 }, { 9, 5, 1.0 }, { 59, 1, 0.1 } };
    deq_context *ctx = data_context();

    for (size_t k = 0; k < COUNT_OF(cases); k++)
        for (int start = DEQ_MAZE_START_ROOT; start <= DEQ_MAZE_START_ANY; start++)
            if (cases[k].percolation < 1 || start != DEQ_MAZE_START_DEAD_END)
                check_examples(ctx, cases[k].size, cases[k].percolation, (deq_maze_start)start,
                               cases[k].count);
    deq_context_free(ctx);
}

/* Two by two cells: the tree leaves out one of four joins; by symmetry each equally often.  The start
 * is any cell, the end any other. */
static void small_mazes_are_equally_likely(void **state)
{
    (void)state;
    enum { N = 4800 };
    deq_context *ctx = data_context();
    static const int64_t joins[4] = { 7, 11, 13, 17 }, cell[4] = { 6, 8, 16, 18 };

    for (int start = DEQ_MAZE_START_ROOT; start <= DEQ_MAZE_START_ANY; start++) {
        deq_dataset *d = mazes(ctx, 3, N, 0, (deq_maze_start)start);
        one_example e = example_new(d);
        int64_t closed[4] = { 0 }, ends[12] = { 0 };
        for (int64_t i = 0; i < N; i++) {
            example_read(&e, d, i);
            tiles t = tiles_of(&e, 3);
            int64_t from = 0, to = 0;
            for (int k = 0; k < 4; k++) {
                closed[k] += !t.open[joins[k]];
                if (t.start == cell[k]) from = k;
                if (t.end == cell[k]) to = k;
            }
            ends[3 * from + (to > from ? to - 1 : to)]++;
            tiles_free(&t);
        }
        assert_uniform(closed, 4, "closed joins");
        assert_uniform(ends, 12, "start and end");
        example_free(&e);
        deq_dataset_free(d);
    }
    deq_context_free(ctx);
}

/* Any start: cells with one neighbour are no more likely than others. */
static void starts_are_uniform_over_the_cells(void **state)
{
    (void)state;
    enum { N = 2500 };
    deq_context *ctx = data_context();

    for (int start = DEQ_MAZE_START_ROOT; start <= DEQ_MAZE_START_ANY; start += 2) {
        deq_dataset *d = mazes(ctx, 9, N, 0.1, (deq_maze_start)start);
        one_example e = example_new(d);
        int64_t starts[25] = { 0 }, ends[25] = { 0 };
        for (int64_t i = 0; i < N; i++) {
            example_read(&e, d, i);
            for (int64_t at = 0; at < 25; at++) {
                const int64_t pixel = (4 * (at / 5) + 3) * 24 + 4 * (at % 5) + 3;
                starts[at] += e.input[pixel] == 0;
                ends[at] += e.input[576 + pixel] == 0;
            }
        }
        assert_uniform(starts, 25, "starts");
        assert_uniform(ends, 25, "ends");
        example_free(&e);
        deq_dataset_free(d);
    }
    deq_context_free(ctx);
}

static void an_example_depends_on_seed_and_index_alone(void **state)
{
    (void)state;
    deq_context *ctx = data_context();
    deq_mazes o = deq_mazes_defaults();
    deq_dataset *d[2];
    one_example e[2];

    o.percolation = 0.2;
    for (int k = 0; k < 2; k++, o.count = 5) {
        assert_done(ctx, deq_dataset_mazes(&d[k], ctx, &o));
        e[k] = example_new(d[k]);
    }
    for (int64_t i = 4; i >= 0; i--) {
        example_read(&e[0], d[0], i);
        example_read(&e[1], d[1], 4 - i);
        example_read(&e[1], d[1], i);
        assert_memory_equal(e[0].input, e[1].input, (size_t)e[0].n_input * sizeof(float));
        assert_memory_equal(e[0].target, e[1].target, (size_t)e[0].n_target * sizeof(int32_t));
        example_read(&e[1], d[0], i + 5);
        assert_memory_not_equal(e[0].input, e[1].input, (size_t)e[0].n_input * sizeof(float));
    }
    deq_dataset_free(d[1]);
    o.seed = 1;
    assert_done(ctx, deq_dataset_mazes(&d[1], ctx, &o));
    example_read(&e[1], d[1], 0);
    assert_memory_not_equal(e[0].input, e[1].input, (size_t)e[0].n_input * sizeof(float));
    for (int k = 0; k < 2; k++) {
        example_free(&e[k]);
        deq_dataset_free(d[k]);
    }
    deq_context_free(ctx);
}

static void impossible_settings_are_refused(void **state)
{
    (void)state;
    static const struct {
        deq_mazes o;
        const char *text;
    } cases[] = {
        { { .size = 8, .count = 1 }, "mazes of size 8, expected an odd number of 3 to 65535" },
        { { .size = 1, .count = 1 }, "mazes of size 1" },
        { { .size = 65537, .count = 1 }, "mazes of size 65537" },
        { { .size = 9, .count = 0 }, "0 mazes" },
        { { .size = 9, .count = 1, .percolation = 1.5 }, "percolation 1.5, expected 0 to 1" },
        { { .size = 9, .count = 1, .percolation = -0.1 }, "percolation -0.1" },
        { { .size = 9, .count = 1, .start = (deq_maze_start)3 }, "3 is no rule" },
        { { .size = 9, .count = 1, .percolation = 1, .start = DEQ_MAZE_START_DEAD_END },
          "no dead ends" },
    };
    deq_context *ctx = data_context();
    deq_dataset *d;

    for (size_t k = 0; k < COUNT_OF(cases); k++) {
        deq_mazes o = cases[k].o;
        o.struct_size = sizeof o;
        assert_refused(ctx, deq_dataset_mazes(&d, ctx, &o), DEQ_ERR_ARGUMENT, cases[k].text);
        assert_null(d);
    }
    assert_refused(ctx, deq_dataset_mazes(&d, ctx, &cases[0].o), DEQ_ERR_ARGUMENT, "of 0 bytes");
    deq_context_free(ctx);
}

/* So many open walls that a dead end practically never comes up: said, not searched for ever. */
static void a_start_that_does_not_exist_is_an_error(void **state)
{
    (void)state;
    deq_context *ctx = data_context();
    deq_dataset *d = mazes(ctx, 15, 1, 0.9999999, DEQ_MAZE_START_DEAD_END);

    assert_unreadable(d, 0, DEQ_ERR_DATA, "no dead end to start from in 1000 mazes of 8 x 8 cells");
    deq_dataset_free(d);
    deq_context_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_of_the_fixtures_have_the_stated_lengths),
        cmocka_unit_test(mazes_are_as_specified),
        cmocka_unit_test(small_mazes_are_equally_likely),
        cmocka_unit_test(starts_are_uniform_over_the_cells),
        cmocka_unit_test(an_example_depends_on_seed_and_index_alone),
        cmocka_unit_test(impossible_settings_are_refused),
        cmocka_unit_test(a_start_that_does_not_exist_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
