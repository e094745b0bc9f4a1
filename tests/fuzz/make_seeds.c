/* SPDX-License-Identifier: MIT */
/* Writes the seeds of the fuzz targets that read files: make_seeds FOLDER, which is seeds/.  The
 * samples are those of the tests in tests/io. */
#include "support/test.h"

#include "io/sample_images.h"

#include <stdlib.h>

static const char *folder;

static void write_seed(const char *target, const char *name, file_bytes b)
{
    char path[1024];

    snprintf(path, sizeof path, "%s/fuzz_%s/%s", folder, target, name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(b.data, 1, b.size, file) != b.size || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
    bytes_free(&b);
}

static file_bytes text(const char *s)
{
    file_bytes b = { 0 };

    put_text(&b, s);
    return b;
}

static file_bytes npz(void)
{
    file_bytes a = sample_npy();
    const zip_member members[] = { { "a.npy", a.data, a.size }, { "b/c.npy", a.data, a.size } };
    file_bytes b = sample_zip(members, 2);

    bytes_free(&a);
    return b;
}

static file_bytes pickle(void)
{
    file_bytes b = { 0 };

    pickle_object(&b);
    return b;
}

static void write_images(void)
{
    static const unsigned char pixels[48] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };

    write_seed("png", "rgb", sample_png(2, 2, 8, PNG_COLOR_TYPE_RGB, 0, pixels, 6));
    write_seed("png", "rgba-interlaced", sample_png(3, 4, 8, PNG_COLOR_TYPE_RGBA, 1, pixels, 12));
    write_seed("png", "grey-16", sample_png(2, 2, 16, PNG_COLOR_TYPE_GRAY, 0, pixels, 4));
    write_seed("png", "palette", sample_png(3, 2, 2, PNG_COLOR_TYPE_PALETTE, 0, pixels, 1));
    write_seed("png", "bits", sample_png(3, 2, 1, PNG_COLOR_TYPE_GRAY, 1, pixels, 1));
    write_seed("jpeg", "grey", sample_jpeg(8, 8, 1, 0));
    write_seed("jpeg", "colour", sample_jpeg(16, 8, 3, 0));
    write_seed("jpeg", "progressive", sample_jpeg(16, 16, 3, 1));
    write_seed("jpeg", "cmyk", sample_jpeg(8, 8, 4, 0));
    write_seed("netpbm", "ppm", sample_ppm());
    write_seed("netpbm", "pgm", sample_pgm());
    write_seed("netpbm", "pfm", sample_pfm());
    write_seed("netpbm", "flo", sample_flo());
}

int main(int argc, char **argv)
{
    if (argc != 2) return 2;
    folder = argv[1];
    write_seed("safetensors", "three", sample_safetensors());
    write_seed("npy", "f4", sample_npy());
    write_seed(
        "npy", "fortran",
        sample_npy_of("{'descr': '>i2', 'fortran_order': True, 'shape': (3, 1), }", "123456", 6));
    write_seed("npz", "two", npz());
    write_seed("pytorch", "legacy", sample_legacy());
    write_seed("pytorch", "zip", sample_pytorch());
    write_seed("pickle", "object", pickle());
    write_seed("idx", "three-axes", sample_idx());
    write_seed("cifar", "ten", sample_cifar(10, 1));
    write_seed("cifar", "hundred", sample_cifar(100, 1));
    write_seed("svmlight", "rows", text("# c\n+1 1:0.5 3:-2e1\n\n-1\n0.25 2:1"));
    write_seed("csv", "quoted", text("\"a\"\"b\",\"c,d\"\r\n\"e\nf\",\"\"\n1,2"));
    write_images();
    return 0;
}
