/* SPDX-License-Identifier: MIT */
/* Two arrays as a data set, and its examples: two bytes say how long the first .npy is, which the
 * second follows.  (A .npz has sums over its bytes, which a fuzzer does not guess.)  The seeds are the
 * arrays of files of `deq data make`. */
#include "reader.h"

#include "data/arrays.h"

#include <deq/io/npy.h>
#include <string.h>

/* Reads the first examples; what is read is looked at to its last element. */
static void read_examples(const deq_dataset *d)
{
    const deq_example_form form = deq_dataset_form(d);
    const size_t n = (size_t)deq_shape_count(&form.input);
    const size_t m = (size_t)deq_shape_count(&form.target);
    float *input = malloc(n * sizeof *input);
    int32_t *target = malloc(m * sizeof *target);

    for (int64_t i = 0; input && target && i < deq_dataset_count(d) && i < 64; i++) {
        char error[256] = "";
        const deq_status status = deq_dataset_read(d, i, input, target, error, sizeof error);
        expect(status == DEQ_OK || error[0], "an example that cannot be read has a message");
        for (size_t k = 0; status == DEQ_OK && k < n; k++)
            expect(input[k] - input[k] == 0, "inputs are finite");
        for (size_t k = 0; status == DEQ_OK && k < m; k++)
            expect(target[k] == DEQ_TARGET_IGNORE || (target[k] >= 0 && target[k] < form.classes),
                   "targets are classes");
    }
    free(input);
    free(target);
}

static deq_status read(deq_context *ctx, const uint8_t *bytes, size_t size, int *result)
{
    deq_named_array x = { .name = "data", .place = "inputs" };
    deq_named_array y = { .name = "data", .place = "targets" };
    const size_t first = size < 2 ? 0 : (size_t)bytes[0] | (size_t)bytes[1] << 8;
    const size_t left = size < 2 ? 0 : size - 2, length = first < left ? first : left;
    deq_dataset *d;
    deq_status status = deq_npy_parse(&x.archive, ctx, size < 2 ? bytes : bytes + 2, length);

    if (status != DEQ_OK) return status;
    status = deq_npy_parse(&y.archive, ctx, bytes + 2 + length, left - length);
    if (status != DEQ_OK) {
        deq_archive_free(x.archive);
        return status;
    }
    status = deq_dataset_arrays(&d, ctx, x, y);
    *result = d != NULL;
    if (d) read_examples(d);
    deq_dataset_free(d);
    return status;
}

FUZZ_READER(read)
