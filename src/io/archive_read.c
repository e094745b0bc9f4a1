/* SPDX-License-Identifier: MIT */
/* Which kind of file of weights it is, by its first bytes. */
#include "io/source.h"
#include "io/zip.h"

#include <deq/io/npy.h>
#include <deq/io/pytorch.h>
#include <deq/io/safetensors.h>
#include <stdio.h>
#include <string.h>

/* NumPy's archives have members NAME.npy; PyTorch's a member data.pkl. */
static deq_status read_zip(deq_archive **out, deq_context *ctx, const char *path)
{
    deq_zip *z;

    DEQ_TRY(deq_zip_open(&z, ctx, path));
    const char *first = deq_zip_count(z) > 0 ? deq_zip_name(z, 0) : "";
    const size_t length = strlen(first);
    const bool numpy = length == 0 || (length > 4 && strcmp(first + length - 4, ".npy") == 0);
    deq_zip_close(z);
    return numpy ? deq_npz_read(out, ctx, path) : deq_pytorch_read(out, ctx, path);
}

deq_status deq_archive_read(deq_archive **out, deq_context *ctx, const char *path)
{
    unsigned char first[6] = { 0 };
    size_t size;

    *out = NULL;
    DEQ_TRY(deq_source_size(&size, ctx, path));
    FILE *file = fopen(path, "rb");
    size = file ? fread(first, 1, sizeof first, file) : 0;
    if (file) (void)fclose(file);
    if (deq_zip_is(first, size)) return read_zip(out, ctx, path);
    if (size == 6 && memcmp(first, "\x93NUMPY", 6) == 0) return deq_npy_read(out, ctx, path);
    if (size > 0 && first[0] == 0x80 && first[1] >= 2 && first[1] <= 5 && first[2] == 0x8a)
        return deq_pytorch_read(out, ctx, path);
    return deq_safetensors_read(out, ctx, path);
}
