/* SPDX-License-Identifier: MIT */
/* Configurations from anybody: what is refused has a message, what is taken can be written and read
 * back to the same text. */
#include <deq/train/config.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct text {
    char data[1 << 16];
    size_t length;
} text;

static bool append(void *user, const char *piece, size_t length)
{
    text *t = user;
    if (t->length + length >= sizeof t->data) return false;
    memcpy(t->data + t->length, piece, length);
    t->length += length;
    return true;
}

static void expect(int holds, const char *what)
{
    if (holds) return;
    fprintf(stderr, "not so: %s\n", what);
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static deq_context *ctx;
    static text first, second;
    if (!ctx && deq_context_new(&ctx, NULL) != DEQ_OK) return 0;
    deq_config c = deq_config_defaults();
    if (deq_config_parse(&c, ctx, (const char *)data, size, "fuzz.yaml") != DEQ_OK) {
        expect(*deq_last_error(ctx) != 0, "a refusal has a message");
        return 0;
    }
    first.length = second.length = 0;
    expect(deq_config_write(&c, size % 2 == 0, append, &first) == DEQ_OK, "it can be written");
    deq_config back = deq_config_defaults();
    expect(deq_config_parse(&back, ctx, first.data, first.length, "again") == DEQ_OK,
           "what is written can be read");
    expect(deq_config_write(&back, size % 2 == 0, append, &second) == DEQ_OK, "and written");
    expect(first.length == second.length && memcmp(first.data, second.data, first.length) == 0,
           "it is the same");
    return 0;
}
