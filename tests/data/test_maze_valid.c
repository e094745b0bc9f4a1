/* SPDX-License-Identifier: MIT */
#include "data/maze_text.h"

/* Pixels that hang together with one of them, of one kind. */
static int64_t flood(const uint8_t *path, uint8_t *seen, int64_t side, int64_t from)
{
    int64_t *stack = malloc((size_t)(side * side) * sizeof *stack), height = 0, count = 0;

    stack[height++] = from;
    seen[from] = 1;
    while (height > 0) {
        const int64_t at = stack[--height], steps[] = { -1, 1, -side, side };
        count++;
        for (int k = 0; k < 4; k++) {
            const int64_t next = at + steps[k];
            if (next < 0 || next >= side * side || seen[next]) continue;
            if ((k == 0 && at % side == 0) || (k == 1 && next % side == 0)) continue;
            if (path[next] != path[at]) continue;
            seen[next] = 1;
            stack[height++] = next;
        }
    }
    free(stack);
    return count;
}

static int pieces(const uint8_t *path, int64_t side, uint8_t kind)
{
    uint8_t *seen = calloc((size_t)(side * side), 1);
    int n = 0;

    for (int64_t i = 0; i < side * side; i++)
        if (path[i] == kind && !seen[i]) {
            flood(path, seen, side, i);
            n++;
        }
    free(seen);
    return n;
}

/* The definition, word by word. */
static bool valid_by_definition(const float *input, const uint8_t *path, int64_t side,
                                int64_t path_pixels)
{
    const int64_t plane = side * side;
    int64_t count = 0;

    for (int64_t i = 0; i < plane; i++) {
        const bool red = input[i] > 0, green = input[plane + i] > 0,
                   blue = input[2 * plane + i] > 0;
        const bool is_start = green && !red && !blue, is_end = red && !green && !blue;
        if ((is_start || is_end) && !path[i]) return false;
        if (!red && !green && !blue && path[i]) return false;
        count += path[i];
    }
    for (int64_t y = 1; y + 2 < side; y += 2)
        for (int64_t x = 1; x + 2 < side; x += 2) {
            const int64_t at = y * side + x;
            const int sum = path[at] + path[at + 1] + path[at + side] + path[at + side + 1];
            if (sum != 0 && sum != 4) return false;
        }
    return count == path_pixels && pieces(path, side, 1) == 1 && pieces(path, side, 0) == 1;
}

/* A maze, its target and a prediction to spoil. */
typedef struct puzzle {
    one_example e;
    int64_t side, path_pixels;
    uint8_t *path;
} puzzle;

static puzzle puzzle_new(const deq_dataset *d, int64_t index)
{
    const deq_example_form form = deq_dataset_form(d);
    puzzle p = { .e = example_new(d), .side = form.input.dim[1] };

    example_read(&p.e, d, index);
    p.path = calloc((size_t)p.e.n_target, 1);
    for (int64_t i = 0; i < p.e.n_target; i++) p.path_pixels += p.path[i] = p.e.target[i] == 1;
    return p;
}

static void puzzle_free(puzzle *p)
{
    example_free(&p->e);
    free(p->path);
}

static bool judge(const puzzle *p)
{
    const bool valid = deq_maze_valid(p->e.input, p->path, p->side, p->path_pixels);

    assert_int_equal(valid, valid_by_definition(p->e.input, p->path, p->side, p->path_pixels));
    return valid;
}

static deq_dataset *open_mazes(deq_context *ctx, int64_t size, double percolation)
{
    deq_mazes o = deq_mazes_defaults();
    deq_dataset *d;

    o.size = size;
    o.percolation = percolation;
    o.start = DEQ_MAZE_START_ANY;
    assert_done(ctx, deq_dataset_mazes(&d, ctx, &o));
    return d;
}

static void targets_are_valid(void **state)
{
    (void)state;
    deq_context *ctx = data_context();

    for (int64_t size = 3; size <= 13; size += 2) {
        deq_dataset *d = open_mazes(ctx, size, 0.3);
        for (int64_t i = 0; i < 10; i++) {
            puzzle p = puzzle_new(d, i);
            assert_true(judge(&p));
            p.path_pixels -= 4;
            assert_false(judge(&p));
            p.path_pixels += 8;
            assert_false(judge(&p));
            puzzle_free(&p);
        }
        deq_dataset_free(d);
    }
    deq_context_free(ctx);
}

/* Every set of open tiles of a small maze: valid are those that the definition calls so, and where a
 * loop leaves two ways of one length, both. */
static void all_predictions_are_judged_as_defined(void **state)
{
    (void)state;
    deq_context *ctx = data_context();
    deq_dataset *d = open_mazes(ctx, 3, 0.5);
    int with_two = 0;

    for (int64_t index = 0; index < 6; index++) {
        puzzle p = puzzle_new(d, index);
        int64_t tile[25];
        int n = 0, valid = 0;
        for (int64_t y = 1; y + 2 < p.side; y += 2)
            for (int64_t x = 1; x + 2 < p.side; x += 2)
                if (p.e.target[y * p.side + x] != DEQ_TARGET_IGNORE) tile[n++] = y * p.side + x;
        assert_in_range(n, 7, 8);
        for (unsigned set = 0; set < 1u << n; set++) {
            memset(p.path, 0, (size_t)p.e.n_target);
            for (int k = 0; k < n; k++) {
                const uint8_t on = set >> k & 1;
                p.path[tile[k]] = p.path[tile[k] + 1] = on;
                p.path[tile[k] + p.side] = p.path[tile[k] + p.side + 1] = on;
            }
            valid += judge(&p);
        }
        assert_in_range(valid, 1, 2);
        with_two += valid == 2;
        puzzle_free(&p);
    }
    assert_true(with_two > 0);
    deq_dataset_free(d);
    deq_context_free(ctx);
}

/* Single pixels turned over, of walls, borders, ends and paths. */
static void any_wrong_pixel_makes_a_prediction_invalid(void **state)
{
    (void)state;
    deq_context *ctx = data_context();
    deq_dataset *d = open_mazes(ctx, 5, 0.2);
    puzzle p = puzzle_new(d, 1);

    for (int64_t i = 0; i < p.e.n_target; i++)
        for (int same_count = 0; same_count < 2; same_count++) {
            const int64_t before = p.path_pixels;
            p.path[i] ^= 1;
            if (!same_count) p.path_pixels += p.path[i] ? 1 : -1;
            assert_false(judge(&p));
            p.path_pixels = before;
            p.path[i] ^= 1;
        }
    assert_true(judge(&p));
    assert_false(deq_maze_valid(p.e.input, p.path, p.side - 1, p.path_pixels));
    assert_false(deq_maze_valid(p.e.input, p.path, 6, p.path_pixels));
    memset(p.path, 0, (size_t)p.e.n_target);
    assert_false(deq_maze_valid(p.e.input, p.path, p.side, 0));
    puzzle_free(&p);
    deq_dataset_free(d);
    deq_context_free(ctx);
}

/* The paths of others are valid in our raster. */
static void paths_of_the_fixtures_are_valid(void **state)
{
    (void)state;
    deq_context *ctx = data_context();
    char path[1024];
    maze_text t = { .file = fopen(shared_file(path, "DEQ_DATA", "tasks/mazes.txt"), "r") };

    assert_non_null(t.file);
    while (maze_text_next(&t)) {
        const int64_t side = 2 * t.size + 6, plane = side * side;
        deq_maze m = maze_text_maze(&t, ctx, true);
        puzzle p = { .side = side, .path_pixels = 4 * t.path_pixels };
        p.e.input = malloc(3 * (size_t)plane * sizeof(float));
        p.e.target = malloc((size_t)plane * sizeof(int32_t));
        p.path = calloc((size_t)plane, 1);
        deq_maze_raster(&m, p.e.input, p.e.target);
        for (int64_t i = 0; i < plane; i++) p.path[i] = p.e.target[i] == 1;
        assert_true(judge(&p));
        puzzle_free(&p);
        deq_maze_free(&m);
    }
    fclose(t.file);
    deq_context_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets_are_valid),
        cmocka_unit_test(all_predictions_are_judged_as_defined),
        cmocka_unit_test(any_wrong_pixel_makes_a_prediction_invalid),
        cmocka_unit_test(paths_of_the_fixtures_are_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
