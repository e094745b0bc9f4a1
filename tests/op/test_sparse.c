/* SPDX-License-Identifier: MIT */
/* Products with matrices in compressed row storage. */
#include "support/op_check.h"

#include <deq/op/sparse.h>
#include <string.h>

static deq_value product(deq_graph *g, const deq_value *in, int n, const void *user)
{
    (void)n;
    (void)user;
    return deq_csr_matmul(g, in[0], in[1], in[2], in[3]);
}

static deq_value transposed(deq_graph *g, const deq_value *in, int n, const void *user)
{
    (void)n;
    return deq_csr_matmul_transposed(g, in[0], in[1], in[2], in[3], *(const int64_t *)user);
}

static deq_value sample_dot(deq_graph *g, const deq_value *in, int n, const void *user)
{
    (void)n;
    (void)user;
    return deq_csr_sample_dot(g, in[0], in[1], in[2], in[3]);
}

/* A matrix: 4 x 5, an empty row, columns out of order, and one place twice. */
static const int32_t offsets[] = { 0, 3, 3, 4, 7 };
static const int64_t wide[] = { 0, 3, 3, 4, 7 };
static const int32_t columns[] = { 4, 0, 2, 1, 3, 3, 0 };
static const int64_t five = 5, one = 1;
static const int32_t single[] = { 0, 1 }, zero[] = { 0 };

/* clang-format off */
#define OFFSETS { DEQ_I32, { 1, { 5 } } }
#define WIDE { DEQ_I64, { 1, { 5 } } }
#define COLUMNS { DEQ_I32, { 1, { 7 } } }
#define VALUES { DEQ_F64, { 1, { 7 } } }
#define DENSE(m, n) { DEQ_F64, { 2, { m, n } } }
#define STRUCTURE .int_data = { offsets, columns }

static const op_case products[] = {
    { "product",              4, { OFFSETS, COLUMNS, VALUES, DENSE(5, 3) },  STRUCTURE, .build = product },
    { "product with a vector", 4, { OFFSETS, COLUMNS, VALUES, DENSE(5, 1) }, STRUCTURE, .build = product },
    { "wide product",         4, { WIDE, COLUMNS, VALUES, DENSE(5, 70) },    .int_data = { wide, columns }, .build = product },
    { "product of one",       4, { { DEQ_I32, { 1, { 2 } } }, { DEQ_I32, { 1, { 1 } } }, { DEQ_F64, { 1, { 1 } } }, DENSE(1, 1) }, .int_data = { single, zero }, .build = product },
};
static const op_case transposes[] = {
    { "transposed product",        4, { OFFSETS, COLUMNS, VALUES, DENSE(4, 3) },  STRUCTURE, .build = transposed, .user = &five },
    { "transposed with a vector",  4, { OFFSETS, COLUMNS, VALUES, DENSE(4, 1) },  STRUCTURE, .build = transposed, .user = &five },
    { "wide transposed product",   4, { WIDE, COLUMNS, VALUES, DENSE(4, 70) },    .int_data = { wide, columns }, .build = transposed, .user = &five },
    { "transposed product of one", 4, { { DEQ_I32, { 1, { 2 } } }, { DEQ_I32, { 1, { 1 } } }, { DEQ_F64, { 1, { 1 } } }, DENSE(1, 1) }, .int_data = { single, zero }, .build = transposed, .user = &one },
};
static const op_case dots[] = {
    { "sampled product",      4, { OFFSETS, COLUMNS, DENSE(4, 3), DENSE(5, 3) },  STRUCTURE, .build = sample_dot },
    { "sampled outer product", 4, { OFFSETS, COLUMNS, DENSE(4, 1), DENSE(5, 1) }, STRUCTURE, .build = sample_dot },
    { "wide sampled product", 4, { WIDE, COLUMNS, DENSE(4, 70), DENSE(5, 70) },   .int_data = { wide, columns }, .build = sample_dot },
};
/* clang-format on */

static int row_of(int k)
{
    int i = 0;
    while (offsets[i + 1] <= k) i++;
    return i;
}

static void products_match_dense_ones(void **state)
{
    (void)state;
    for (int c = 0; c < 3; c++) {
        int64_t width = products[c].in[3].shape.dim[1];
        double v[7], b[5 * 70], u[4 * 70], y[5 * 70], expected[5 * 70];
        memset(expected, 0, sizeof expected);
        random_data(&products[c], 2, v);
        random_data(&products[c], 3, b);
        for (int k = 0; k < 7; k++)
            for (int64_t d = 0; d < width; d++)
                expected[row_of(k) * width + d] += v[k] * b[columns[k] * width + d];
        forward_op(&products[c], NULL, y);
        check_close(products[c].name, y, expected, 4 * width, 1e-14);

        memset(expected, 0, sizeof expected);
        random_data(&transposes[c], 2, v);
        random_data(&transposes[c], 3, u);
        for (int k = 0; k < 7; k++)
            for (int64_t d = 0; d < width; d++)
                expected[columns[k] * width + d] += v[k] * u[row_of(k) * width + d];
        forward_op(&transposes[c], NULL, y);
        check_close(transposes[c].name, y, expected, 5 * width, 1e-14);

        memset(expected, 0, sizeof expected);
        random_data(&dots[c], 2, u);
        random_data(&dots[c], 3, b);
        for (int k = 0; k < 7; k++)
            for (int64_t d = 0; d < width; d++)
                expected[k] += u[row_of(k) * width + d] * b[columns[k] * width + d];
        forward_op(&dots[c], NULL, y);
        check_close(dots[c].name, y, expected, 7, 1e-14);
    }
}

static void derivatives_match_differences(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof products / sizeof *products; k++) check_op(&products[k]);
    for (size_t k = 0; k < sizeof transposes / sizeof *transposes; k++) check_op(&transposes[k]);
    for (size_t k = 0; k < sizeof dots / sizeof *dots; k++) check_op(&dots[k]);
}

static void a_broken_structure_ends_the_run(void **state)
{
    (void)state;
    const int32_t first[] = { 1, 3, 3, 4, 7 }, falls[] = { 0, 3, 2, 4, 7 };
    const int32_t ends[] = { 0, 3, 3, 4, 6 }, far[] = { 4, 0, 2, 5, 3, 3, 0 };
    const int32_t negative[] = { 4, 0, -2, 1, 3, 3, 0 };
    const op_case *all[] = { &products[0], &transposes[0], &dots[0] };
    for (int i = 0; i < 3; i++) {
        op_case c = *all[i];
        c.int_data[0] = first;
        check_run_refused(&c, DEQ_ERR_DATA, "row_offsets[0] is 1, expected 0");
        c.int_data[0] = falls;
        check_run_refused(&c, DEQ_ERR_DATA, "row_offsets[2] is 2, less than the 3 before it");
        c.int_data[0] = ends;
        check_run_refused(&c, DEQ_ERR_DATA, "row_offsets ends with 6, there are 7 entries");
        c.int_data[0] = offsets;
        c.int_data[1] = far;
        check_run_refused(&c, DEQ_ERR_DATA, "column 5 at entry 3 is out of range: 0 to 4");
        c.int_data[1] = negative;
        check_run_refused(&c, DEQ_ERR_DATA, "column -2 at entry 2 is out of range: 0 to 4");
    }
}

static void mistakes_are_refused(void **state)
{
    (void)state;
    static const int64_t none = 0;
    /* clang-format off */
    const op_case table[] = {
        { "row_offsets is f64, expected i32 or i64", 4, { VALUES, COLUMNS, VALUES, DENSE(5, 3) }, .build = product },
        { "input 0 has rank 2", 4, { { DEQ_I32, { 2, { 5, 1 } } }, COLUMNS, VALUES, DENSE(5, 3) }, .build = product },
        { "row_offsets has 1 elements", 4, { { DEQ_I32, { 1, { 1 } } }, COLUMNS, VALUES, DENSE(5, 3) }, .build = product },
        { "input 1 is i64, expected i32", 4, { OFFSETS, WIDE, VALUES, DENSE(5, 3) }, .build = product },
        { "values has 6 elements, columns has 7", 4, { OFFSETS, COLUMNS, { DEQ_F64, { 1, { 6 } } }, DENSE(5, 3) }, .build = product },
        { "input 3 has rank 1", 4, { OFFSETS, COLUMNS, VALUES, VALUES }, .build = product },
        { "different dtypes", 4, { OFFSETS, COLUMNS, VALUES, { DEQ_F32, { 2, { 5, 3 } } } }, .build = product },
        { "b has 5 rows, the sparse matrix has 4 rows", 4, { OFFSETS, COLUMNS, VALUES, DENSE(5, 3) }, .build = transposed, .user = &five },
        { "n_columns is 0", 4, { OFFSETS, COLUMNS, VALUES, DENSE(4, 3) }, .build = transposed, .user = &none },
        { "a has 3 rows, the sparse matrix has 4 rows", 4, { OFFSETS, COLUMNS, DENSE(3, 3), DENSE(5, 3) }, .build = sample_dot },
        { "rows have 2 elements in a, 3 in b", 4, { OFFSETS, COLUMNS, DENSE(4, 2), DENSE(5, 3) }, .build = sample_dot },
    };
    const deq_status status[] = { DEQ_ERR_DTYPE, DEQ_ERR_SHAPE, DEQ_ERR_SHAPE, DEQ_ERR_DTYPE, DEQ_ERR_SHAPE, DEQ_ERR_SHAPE,
                                  DEQ_ERR_DTYPE, DEQ_ERR_SHAPE, DEQ_ERR_ARGUMENT, DEQ_ERR_SHAPE, DEQ_ERR_SHAPE };
    /* clang-format on */
    for (size_t k = 0; k < sizeof table / sizeof *table; k++)
        check_refused(&table[k], status[k], table[k].name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_match_dense_ones),
        cmocka_unit_test(derivatives_match_differences),
        cmocka_unit_test(a_broken_structure_ends_the_run),
        cmocka_unit_test(mistakes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
