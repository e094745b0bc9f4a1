/* SPDX-License-Identifier: MIT */
#include "io/sample_images.h"
#include "support/memory.h"

#include <deq/io/image.h>
#include <math.h>

static deq_status parse(deq_context *ctx, const void *bytes, size_t size)
{
    deq_image *image;
    const deq_status status = deq_image_parse(&image, ctx, bytes, size);

    assert_true((status == DEQ_OK) == (image != NULL));
    deq_image_free(image);
    return status;
}

static deq_context *the_context;

static int make_context(void **state)
{
    (void)state;
    return deq_context_new(&the_context, NULL) != DEQ_OK;
}

static int free_context(void **state)
{
    (void)state;
    deq_context_free(the_context);
    return 0;
}

/* Parses, frees the bytes. */
static deq_image *image_of(file_bytes b, deq_sample sample, int64_t channels, int64_t height,
                           int64_t width)
{
    deq_image *image;

    if (deq_image_parse(&image, the_context, b.data, b.size) != DEQ_OK)
        fail_msg("%s", deq_last_error(the_context));
    assert_int_equal(image->sample, sample);
    assert_int_equal(image->channels, channels);
    assert_int_equal(image->height, height);
    assert_int_equal(image->width, width);
    bytes_free(&b);
    return image;
}

static void netpbm_pixels_become_planes(void **state)
{
    (void)state;
    deq_image *image = image_of(sample_ppm(), DEQ_SAMPLE_U8, 3, 2, 3);
    const uint8_t *p = image->data;
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < 6; i++) assert_int_equal(p[c * 6 + i], 10 * (3 * i + c));
    assert_int_equal(image->maximum, 255);
    deq_image_free(image);

    image = image_of(sample_pgm(), DEQ_SAMPLE_U16, 1, 2, 2);
    for (int i = 0; i < 4; i++) assert_int_equal(((const uint16_t *)image->data)[i], 300 * i);
    assert_int_equal(image->maximum, 1000);
    deq_image_free(image);
}

static void pfm_rows_come_from_below(void **state)
{
    (void)state;
    static const float expected[] = { 1.5f, -2, 1, 2 };
    deq_image *image = image_of(sample_pfm(), DEQ_SAMPLE_F32, 1, 2, 2);
    assert_memory_equal(image->data, expected, sizeof expected);
    deq_image_free(image);

    file_bytes b = { 0 };
    put_text(&b, "PF 1 1 1.0\n");
    put(&b, "\77\200\0\0\100\0\0\0\300\0\0\0", 12);
    image = image_of(b, DEQ_SAMPLE_F32, 3, 1, 1);
    assert_memory_equal(image->data, ((const float[]){ 1, 2, -2 }), 12);
    deq_image_free(image);
}

static void flow_has_two_planes(void **state)
{
    (void)state;
    static const float expected[] = { 1, 1.5f, 2, -2 };
    deq_image *image = image_of(sample_flo(), DEQ_SAMPLE_F32, 2, 1, 2);
    assert_memory_equal(image->data, expected, sizeof expected);
    deq_image_free(image);
}

static void pngs_of_all_kinds_are_read(void **state)
{
    (void)state;
    static const unsigned char grey[] = { 1, 2, 3, 4, 5, 6 };
    static const unsigned char rgb[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };
    static const unsigned char bits[] = { 0xa0, 0x40 };  /* 1 0 1, 0 1 0 */
    static const unsigned char index[] = { 0x18, 0xc0 }; /* 0 1 2, 3 0 0 */

    for (int interlace = 0; interlace < 2; interlace++) {
        deq_image *image = image_of(sample_png(3, 2, 8, PNG_COLOR_TYPE_GRAY, interlace, grey, 3),
                                    DEQ_SAMPLE_U8, 1, 2, 3);
        assert_memory_equal(image->data, grey, 6);
        deq_image_free(image);
        image = image_of(sample_png(2, 2, 8, PNG_COLOR_TYPE_RGB, interlace, rgb, 6), DEQ_SAMPLE_U8,
                         3, 2, 2);
        assert_memory_equal(image->data, "\1\4\7\12\2\5\10\13\3\6\11\14", 12);
        deq_image_free(image);
        image = image_of(sample_png(1, 3, 8, PNG_COLOR_TYPE_RGBA, interlace, rgb, 4), DEQ_SAMPLE_U8,
                         4, 3, 1);
        assert_int_equal(((const uint8_t *)image->data)[11], 12);
        deq_image_free(image);
        image = image_of(sample_png(1, 2, 16, PNG_COLOR_TYPE_RGB, interlace, rgb, 6),
                         DEQ_SAMPLE_U16, 3, 2, 1);
        assert_int_equal(((const uint16_t *)image->data)[1], 0x0708);
        deq_image_free(image);
        image = image_of(sample_png(3, 2, 1, PNG_COLOR_TYPE_GRAY, interlace, bits, 1),
                         DEQ_SAMPLE_U8, 1, 2, 3);
        assert_memory_equal(image->data, "\377\0\377\0\377\0", 6);
        deq_image_free(image);
        image = image_of(sample_png(3, 2, 2, PNG_COLOR_TYPE_PALETTE, interlace, index, 1),
                         DEQ_SAMPLE_U8, 3, 2, 3);
        assert_memory_equal(image->data, "\0\377\0\0\0\0\0\0\377\0\0\0\0\0\0\377\0\0", 18);
        deq_image_free(image);
    }
}

static void jpegs_are_close_to_what_was_compressed(void **state)
{
    (void)state;
    for (int channels = 1; channels <= 3; channels += 2)
        for (int progressive = 0; progressive < 2; progressive++) {
            deq_image *image = image_of(sample_jpeg(16, 16, channels, progressive), DEQ_SAMPLE_U8,
                                        channels, 16, 16);
            const uint8_t *p = image->data;
            for (int c = 0; c < channels; c++)
                for (int y = 0; y < 16; y++)
                    for (int x = 0; x < 16; x++)
                        assert_true(abs(p[(c * 16 + y) * 16 + x] - (8 * x + 4 * y + 20 * c)) < 12);
            deq_image_free(image);
        }
}

static void damaged_images_are_refused(void **state)
{
    (void)state;
    static const unsigned char rgb[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };
    file_bytes samples[] = { sample_ppm(),
                             sample_pgm(),
                             sample_pfm(),
                             sample_flo(),
                             sample_png(2, 2, 8, PNG_COLOR_TYPE_RGB, 0, rgb, 6),
                             sample_png(1, 2, 16, PNG_COLOR_TYPE_RGB, 1, rgb, 6),
                             sample_jpeg(8, 8, 1, 0),
                             sample_jpeg(8, 8, 3, 1) };

    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        check_reader(parse, samples[i].data, samples[i].size);
        bytes_free(&samples[i]);
    }
}

static const struct refusal {
    const char *bytes;
    size_t size;
    deq_status status;
    const char *message;
} refusals[] = {
#define TEXT(text) text, sizeof(text) - 1
    { TEXT("GIF89a.."), DEQ_ERR_DATA, "which 'GIF89a..' does not begin" },
    { TEXT(""), DEQ_ERR_DATA, "memory: byte 0: expected a PNG" },
    { TEXT("P6 1 1 255 12"), DEQ_ERR_DATA,
      "byte 11: 2 bytes follow the header, but 1 x 1 pixels of 3" },
    { TEXT("P6 1 1 255 1234"), DEQ_ERR_DATA, "4 bytes follow" },
    { TEXT("P6 0 1 255 "), DEQ_ERR_DATA, "expected a width from 1 to 2147483647, found '0'" },
    { TEXT("P6 1 -1 255 "), DEQ_ERR_DATA, "expected a height from 1 to 2147483647, found '-1'" },
    { TEXT("P6 1 1 65536 "), DEQ_ERR_DATA, "expected a maximum from 1 to 65535" },
    { TEXT("P6 2147483647 2147483647 255 "), DEQ_ERR_DATA, "0 bytes follow" },
    { TEXT("P6 99999999999999999999 1 255 "), DEQ_ERR_DATA, "expected a width" },
    { TEXT("P5 1 1 100 \145"), DEQ_ERR_DATA,
      "byte 11: found the sample 101, expected at most 100" },
    { TEXT("P61 1 255 "), DEQ_ERR_DATA, "byte 2: expected a white space" },
    { TEXT("Pf 1 1 0 1234"), DEQ_ERR_DATA, "expected a scale other than 0, found '0'" },
    { TEXT("Pf 1 1 nan 1234"), DEQ_ERR_DATA, "found 'nan'" },
    { TEXT("PIEH\377\377\377\377\377\377\377\377"), DEQ_ERR_DATA, "0 bytes follow" },
    { TEXT("PIEH\0\0\0\0\1\0\0\0"), DEQ_ERR_DATA, "an image of 0 x 1 pixels" },
};

static void wrong_headers_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        check_refusal(parse, refusals[i].bytes, refusals[i].size, refusals[i].status,
                      refusals[i].message);
    file_bytes cmyk = sample_jpeg(8, 8, 4, 0);
    check_refusal(parse, cmyk.data, cmyk.size, DEQ_ERR_UNSUPPORTED, "a JPEG of 4 components");
    bytes_free(&cmyk);
}

/* A header that announces far more pixels than the file can hold takes no memory. */
static void pixels_that_are_not_there_take_no_memory(void **state)
{
    (void)state;
    static const unsigned char grey[] = { 1 };
    file_bytes png = sample_png(1, 1, 8, PNG_COLOR_TYPE_GRAY, 0, grey, 1);
    file_bytes jpeg = sample_jpeg(8, 8, 1, 0);

    memcpy(png.data + 16, "\0\1\0\0\0\1\0\0", 8); /* 65536 x 65536 */
    for (unsigned crc = crc32_of(png.data + 12, 17), i = 0; i < 4; i++)
        png.data[29 + i] = (unsigned char)(crc >> (24 - 8 * i));
    check_refusal(parse, png.data, png.size, DEQ_ERR_DATA,
                  "more pixels than so few bytes can make");
    for (size_t i = 0; i + 9 < jpeg.size; i++)
        if (jpeg.data[i] == 0xff && jpeg.data[i + 1] == 0xc0)
            memcpy(jpeg.data + i + 5, "\377\320\377\320", 4); /* 65488 x 65488 */
    check_refusal(parse, jpeg.data, jpeg.size, DEQ_ERR_DATA, "65488 x 65488 pixels, more than");
    bytes_free(&png);
    bytes_free(&jpeg);
}

static const struct written {
    const char *ending;
    deq_sample sample;
    int channels;
} writable[] = {
    { ".png", DEQ_SAMPLE_U8, 1 },  { ".png", DEQ_SAMPLE_U8, 2 },  { ".png", DEQ_SAMPLE_U8, 3 },
    { ".PNG", DEQ_SAMPLE_U8, 4 },  { ".png", DEQ_SAMPLE_U16, 1 }, { ".png", DEQ_SAMPLE_U16, 3 },
    { ".ppm", DEQ_SAMPLE_U8, 3 },  { ".ppm", DEQ_SAMPLE_U16, 3 }, { ".pgm", DEQ_SAMPLE_U8, 1 },
    { ".pgm", DEQ_SAMPLE_U16, 1 }, { ".pfm", DEQ_SAMPLE_F32, 1 }, { ".pfm", DEQ_SAMPLE_F32, 3 },
    { ".flo", DEQ_SAMPLE_F32, 2 },
};

static void what_was_written_is_read_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof writable / sizeof *writable; i++) {
        const struct written *w = &writable[i];
        deq_image *image, *again;
        char path[256];

        assert_int_equal(deq_image_new(&image, the_context, w->sample, w->channels, 3, 5), DEQ_OK);
        for (int k = 0; k < 15 * w->channels; k++) {
            if (w->sample == DEQ_SAMPLE_U8) ((uint8_t *)image->data)[k] = (uint8_t)(7 * k);
            if (w->sample == DEQ_SAMPLE_U16) ((uint16_t *)image->data)[k] = (uint16_t)(1777 * k);
            if (w->sample == DEQ_SAMPLE_F32) ((float *)image->data)[k] = 0.3f * (float)k - 1;
        }
        if (deq_image_write(image, scratch_path(path, w->ending)) != DEQ_OK)
            fail_msg("%s", deq_last_error(the_context));
        if (deq_image_read(&again, the_context, path) != DEQ_OK)
            fail_msg("%s", deq_last_error(the_context));
        assert_int_equal(remove(path), 0);
        assert_int_equal(again->sample, w->sample);
        assert_int_equal(again->channels, w->channels);
        assert_int_equal(again->maximum, image->maximum);
        const size_t size = w->sample == DEQ_SAMPLE_U8 ? 1 : w->sample == DEQ_SAMPLE_U16 ? 2 : 4;
        assert_memory_equal(again->data, image->data, 15 * (size_t)w->channels * size);
        deq_image_free(image);
        deq_image_free(again);
    }
}

static void images_that_a_format_cannot_hold_are_refused(void **state)
{
    (void)state;
    deq_image *image;

    assert_int_equal(deq_image_new(&image, the_context, DEQ_SAMPLE_F32, 2, 1, 1), DEQ_OK);
    assert_int_equal(deq_image_write(image, "x.png"), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_image_write(image, "x.pfm"), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_image_write(image, "x.jpg"), DEQ_ERR_UNSUPPORTED);
    assert_int_equal(deq_image_write(image, NULL), DEQ_ERR_UNSUPPORTED);
    assert_int_equal(deq_image_write(image, "/nonexistent/x.flo"), DEQ_ERR_IO);
    deq_image_free(image);
    assert_int_equal(deq_image_new(&image, the_context, DEQ_SAMPLE_F32, 0, 1, 1), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_image_new(&image, the_context, (deq_sample)9, 1, 1, 1), DEQ_ERR_ARGUMENT);
    assert_int_equal(deq_image_new(&image, the_context, DEQ_SAMPLE_F32, INT64_MAX, 8, 8),
                     DEQ_ERR_OVERFLOW);
    assert_null(image);
}

static void samples_become_numbers_in_other_channels(void **state)
{
    (void)state;
    deq_image *image;
    float v[4];

    assert_int_equal(deq_image_new(&image, the_context, DEQ_SAMPLE_U8, 4, 1, 1), DEQ_OK);
    memcpy(image->data, "\377\0\63\1", 4);
    assert_int_equal(deq_image_values(v, image, 3), DEQ_OK);
    assert_true(v[0] == 1 && v[1] == 0 && v[2] == 0.2f);
    assert_int_equal(deq_image_values(v, image, 4), DEQ_OK);
    assert_true(v[3] == 1 / 255.0f);
    assert_int_equal(deq_image_values(v, image, 1), DEQ_OK);
    assert_true(fabsf(v[0] - (0.299f + 0.114f * 0.2f)) < 1e-6f);
    assert_int_equal(deq_image_values(v, image, 2), DEQ_ERR_ARGUMENT);
    deq_image_free(image);
    assert_int_equal(deq_image_new(&image, the_context, DEQ_SAMPLE_U16, 2, 1, 1), DEQ_OK);
    ((uint16_t *)image->data)[0] = 65535;
    assert_int_equal(deq_image_values(v, image, 3), DEQ_OK);
    assert_true(v[0] == 1 && v[1] == 1 && v[2] == 1);
    deq_image_free(image);
}

static const struct real {
    const char *file;
    deq_sample sample;
    int channels, height, width;
} reals[] = {
    { "flow/chairs/0000000-img0.ppm", DEQ_SAMPLE_U8, 3, 384, 512 },
    { "flow/chairs/0000000-gt.flo", DEQ_SAMPLE_F32, 2, 384, 512 },
    { "flow/kitti/flow_gt.png", DEQ_SAMPLE_U16, 3, 375, 1242 },
    { "flow/kitti/frame1.png", DEQ_SAMPLE_U8, 3, 375, 1242 },
    { "flow/mini/0000000-occ_weights_01.pfm", DEQ_SAMPLE_F32, 1, 50, 50 },
    { "flow/mini/00001_img1.ppm", DEQ_SAMPLE_U8, 3, 50, 50 },
    { "imagenet-sample/n01440764_tench.JPEG", DEQ_SAMPLE_U8, 3, 0, 0 },
    { "imagenet-sample/n07684084_French_loaf.JPEG", DEQ_SAMPLE_U8, 3, 0, 0 },
};

static void files_of_others_are_read(void **state)
{
    (void)state;
    char path[1024];

    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        const struct real *r = &reals[i];
        deq_image *image;
        if (deq_image_read(&image, the_context, shared_file(path, "DEQ_DATA", r->file)) != DEQ_OK)
            fail_msg("%s", deq_last_error(the_context));
        assert_int_equal(image->sample, r->sample);
        assert_int_equal(image->channels, r->channels);
        if (r->height) assert_int_equal(image->height, r->height);
        if (r->width) assert_int_equal(image->width, r->width);
        deq_image_free(image);
    }
}

/* The mean magnitude that the data's README states: 6.047, over every 5th pixel. */
static void flow_has_the_published_magnitude(void **state)
{
    (void)state;
    char path[1024];
    deq_image *image;
    double sum = 0;
    int count = 0;

    shared_file(path, "DEQ_DATA", "flow/chairs/0000000-gt.flo");
    assert_int_equal(deq_image_read(&image, the_context, path), DEQ_OK);
    const float *u = image->data, *v = u + image->height * image->width;
    for (int64_t y = 0; y < image->height; y += 5)
        for (int64_t x = 0; x < image->width; x += 5, count++)
            sum += hypot((double)u[y * image->width + x], (double)v[y * image->width + x]);
    assert_true(fabs(sum / count - 6.047) < 0.001);
    deq_image_free(image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(netpbm_pixels_become_planes),
        cmocka_unit_test(pfm_rows_come_from_below),
        cmocka_unit_test(flow_has_two_planes),
        cmocka_unit_test(pngs_of_all_kinds_are_read),
        cmocka_unit_test(jpegs_are_close_to_what_was_compressed),
        cmocka_unit_test(damaged_images_are_refused),
        cmocka_unit_test(wrong_headers_are_refused),
        cmocka_unit_test(pixels_that_are_not_there_take_no_memory),
        cmocka_unit_test(what_was_written_is_read_again),
        cmocka_unit_test(images_that_a_format_cannot_hold_are_refused),
        cmocka_unit_test(samples_become_numbers_in_other_channels),
        cmocka_unit_test(files_of_others_are_read),
        cmocka_unit_test(flow_has_the_published_magnitude),
    };
    return cmocka_run_group_tests(tests, make_context, free_context);
}
