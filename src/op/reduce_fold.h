/* SPDX-License-Identifier: MIT */
/*
 * The loops of a reduction, for one element type.  Include it with
 *
 *   FOLD_NAME           name of the kernel function that is defined
 *   FOLD_TYPE           element type of x and y
 *   FOLD_SUM            type of the accumulator, eight bytes
 *   FOLD_START          its first value
 *   FOLD_STEP(a, x, s)  the accumulator after another element
 *   FOLD_JOIN(a, b)     of two accumulators
 *   FOLD_END(a, s)      the output
 *
 * s is what y held before for that output (logsumexp finds the maximum there).
 *
 * The partition into blocks and splits depends on the shape alone, and every accumulator is one
 * thread's: the result has the same bits for any number of threads.
 */
#define FOLD_PASTE_(a, b) a##b
#define FOLD_PASTE(a, b) FOLD_PASTE_(a, b)
#define fold_run FOLD_PASTE(FOLD_NAME, _run)
#define fold_columns FOLD_PASTE(FOLD_NAME, _columns)
#define fold_steps FOLD_PASTE(FOLD_NAME, _steps)
#define fold_end FOLD_PASTE(FOLD_NAME, _end)
#define fold_block FOLD_PASTE(FOLD_NAME, _block)
#define fold_rows FOLD_PASTE(FOLD_NAME, _rows)
#define fold_whole FOLD_PASTE(FOLD_NAME, _whole)
#define fold_split FOLD_PASTE(FOLD_NAME, _split)

/* One output, n consecutive elements: eight accumulators, so that additions need not wait. */
static FOLD_SUM fold_run(FOLD_SUM sum, const FOLD_TYPE *x, int64_t n, const FOLD_TYPE *s)
{
    enum { LANES = 8 };
    FOLD_SUM lane[LANES];
    int64_t i = 0;
    (void)s;
    if (n >= LANES) {
        for (int j = 0; j < LANES; j++) lane[j] = FOLD_START;
        for (; i + LANES <= n; i += LANES)
            for (int j = 0; j < LANES; j++) lane[j] = FOLD_STEP(lane[j], x[i + j], s[0]);
        for (int j = 0; j < LANES; j++) sum = FOLD_JOIN(sum, lane[j]);
    }
    for (; i < n; i++) sum = FOLD_STEP(sum, x[i], s[0]);
    return sum;
}

/* `width` outputs side by side, n elements each, a row of `inner` elements apart. */
static void fold_columns(FOLD_SUM *sum, const FOLD_TYPE *x, int64_t n, int64_t inner, int64_t width,
                         const FOLD_TYPE *s)
{
    (void)s;
    for (int64_t r = 0; r < n; r++, x += inner)
        for (int64_t j = 0; j < width; j++) sum[j] = FOLD_STEP(sum[j], x[j], s[j]);
}

/* Steps begin .. end - 1 of `width` outputs side by side, the first of which starts at x. */
static void fold_steps(FOLD_SUM *sum, const FOLD_TYPE *x, const deq_reduce_nest *n, int64_t width,
                       const FOLD_TYPE *s, int64_t begin, int64_t end)
{
    for (int64_t j = 0; j < width; j++) sum[j] = FOLD_START;
    for (int64_t at = begin, length; at < end; at += length) {
        int64_t over = n->n_over ? at / n->run : 0, r = at - over * n->run;
        const FOLD_TYPE *from = x + deq_reduce_over(n, over) + r * n->inner;
        length = n->run - r < end - at ? n->run - r : end - at;
        if (n->inner == 1)
            sum[0] = fold_run(sum[0], from, length, s);
        else
            fold_columns(sum, from, length, n->inner, width, s);
    }
}

static void fold_end(FOLD_TYPE *y, const FOLD_SUM *sum, int64_t width)
{
    for (int64_t j = 0; j < width; j++) y[j] = (FOLD_TYPE)FOLD_END(sum[j], y[j]);
}

/* Steps begin .. end - 1 of the block of outputs `item`. */
static deq_reduce_block fold_block(const deq_kernel_call *c, const deq_reduce_nest *n,
                                   FOLD_SUM *sum, int64_t item, int64_t begin, int64_t end)
{
    deq_reduce_block b = deq_reduce_block_of(n, item);
    fold_steps(sum, (const FOLD_TYPE *)c->in[0] + b.x, n, b.width,
               (const FOLD_TYPE *)c->out[0] + b.y, begin, end);
    return b;
}

/* Many outputs, each the sum of a row of a matrix: nothing to look up between them. */
static void fold_rows(const deq_kernel_call *c, const deq_reduce_nest *n)
{
    const FOLD_TYPE *x = c->in[0];
    FOLD_TYPE *y = c->out[0];
    bool large = n->rows * n->run > DEQ_REDUCE_PARALLEL;
#pragma omp parallel for num_threads(c->threads) if (large)
    for (int64_t i = 0; i < n->rows; i++)
        y[i] = (FOLD_TYPE)FOLD_END(fold_run(FOLD_START, x + i * n->run, n->run, y + i), y[i]);
}

/* Many outputs: each is computed at once. */
static void fold_whole(const deq_kernel_call *c, const deq_reduce_nest *n)
{
    int64_t items = n->rows * n->blocks;
    bool large = items * n->block * n->steps > DEQ_REDUCE_PARALLEL;
#pragma omp parallel for num_threads(c->threads) if (large)
    for (int64_t item = 0; item < items; item++) {
        FOLD_SUM sum[DEQ_REDUCE_BLOCK];
        deq_reduce_block b = fold_block(c, n, sum, item, 0, n->steps);
        fold_end((FOLD_TYPE *)c->out[0] + b.y, sum, b.width);
    }
}

/* Few outputs of many elements: pieces of them, put together in order. */
static void fold_split(const deq_kernel_call *c, const deq_reduce_nest *n)
{
    int64_t items = n->rows * n->blocks;
    FOLD_SUM *part = c->scratch;
#pragma omp parallel for num_threads(c->threads)
    for (int64_t k = 0; k < items * n->splits; k++)
        fold_block(c, n, part + k * n->block, k / n->splits, deq_reduce_cut(n, k % n->splits),
                   deq_reduce_cut(n, k % n->splits + 1));

    for (int64_t item = 0; item < items; item++) {
        deq_reduce_block b = deq_reduce_block_of(n, item);
        FOLD_SUM *sum = part + item * n->splits * n->block;
        for (int64_t split = 1; split < n->splits; split++)
            for (int64_t j = 0; j < b.width; j++)
                sum[j] = FOLD_JOIN(sum[j], sum[split * n->block + j]);
        fold_end((FOLD_TYPE *)c->out[0] + b.y, sum, b.width);
    }
}

static deq_status FOLD_NAME(const deq_kernel_call *c)
{
    deq_reduce_nest n = deq_reduce_nest_of(c);
    if (n.splits > 1)
        fold_split(c, &n);
    else if (n.inner == 1 && n.steps == n.run && n.n_kept <= 1)
        fold_rows(c, &n);
    else
        fold_whole(c, &n);
    return DEQ_OK;
}

#undef fold_run
#undef fold_columns
#undef fold_steps
#undef fold_end
#undef fold_block
#undef fold_rows
#undef fold_whole
#undef fold_split
#undef FOLD_PASTE
#undef FOLD_PASTE_
#undef FOLD_NAME
#undef FOLD_TYPE
#undef FOLD_SUM
#undef FOLD_START
#undef FOLD_STEP
#undef FOLD_JOIN
#undef FOLD_END
