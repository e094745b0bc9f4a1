/* SPDX-License-Identifier: MIT */
/* One tile of a matrix product for one element type.  Included by matmul.c once for each type, with
 * REAL and TYPED(name) defined; no include guard on purpose. */

/* Gather rows [i0, i0 + rows) and inner indices [k0, k0 + depth) of a strided matrix, in groups of
 * `group` rows, padded with zeros to whole groups. */
static void TYPED(gather)(double *out, const REAL *in, int64_t row, int64_t col, int64_t rows,
                          int64_t depth, int64_t group)
{
    for (int64_t i = 0; i < rows; i += group)
        for (int64_t k = 0; k < depth; k++)
            for (int64_t r = i; r < i + group; r++)
                *out++ = r < rows ? (double)in[r * row + k * col] : 0.0;
}

/* y = A B on tile t of the plan. */
static void TYPED(tile)(REAL *y, const REAL *a, const REAL *b, const deq_matmul_dims *d,
                        const tile_plan *p, int64_t t, double *scratch_memory)
{
    int64_t j0 = t % p->columns * p->tile_n, i0 = t / p->columns % p->rows * p->tile_m;
    int64_t matrix = t / (p->columns * p->rows), a_at, b_at;
    int64_t rows = least(p->tile_m, d->m - i0), columns = least(p->tile_n, d->n - j0);
    int64_t padded = round_up(columns, NR);
    deq_matmul_offsets(d, matrix, &a_at, &b_at);
    a += a_at + i0 * d->a_row;
    b += b_at + j0 * d->b_col;
    y += (matrix * d->m + i0) * d->n + j0;

    double *a_piece = scratch_memory, *b_piece = a_piece + p->a_part, *sums = b_piece + p->b_part;
    memset(sums, 0, p->sums_part * sizeof *sums);
    for (int64_t k0 = 0; k0 < d->k; k0 += p->depth) {
        int64_t depth = least(p->depth, d->k - k0);
        TYPED(gather)(a_piece, a + k0 * d->a_col, d->a_row, d->a_col, rows, depth, MR);
        TYPED(gather)(b_piece, b + k0 * d->b_row, d->b_col, d->b_row, columns, depth, NR);
        multiply_pieces(sums, a_piece, b_piece, round_up(rows, MR), padded, depth);
    }
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) y[i * d->n + j] = (REAL)sums[i * padded + j];
}

#undef REAL
#undef TYPED
