/* SPDX-License-Identifier: MIT */
/* deq predict for strings of bits: 0110 -> 0010, the classes of the positions. */
#include "predict.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

#define MAX_LINE (1 << 20)

static int predict_string(use *u, const char *word)
{
    int64_t n = (int64_t)strlen(word);
    deq_example_form form = { .input = DEQ_SHAPE(1, n), .target = DEQ_SHAPE(n), .classes = 2 };
    deq_prediction found;
    if (n == 0) return fail(CLI_DATA, u->a->path, "an empty string has no prediction");
    size_t other = strspn(word, "01");
    if (word[other])
        return fail(CLI_DATA, u->a->path,
                    "a sequence model takes strings of 0 and 1; this one has another character at "
                    "%zu of %zu",
                    other + 1, strlen(word));
    float *x = malloc((size_t)n * sizeof *x);
    if (!x) return fail(CLI_FAILED, u->a->path, "out of memory");
    for (int64_t i = 0; i < n; i++) x[i] = word[i] == '1' ? 0.5f : -0.5f;
    int code = predict_one(u, &found, &form.input, x);
    if (code == CLI_OK) code = show_prediction(u, word, &form, x, NULL, &found);
    free(x);
    return code;
}

/* Lines of standard input. */
static int predict_lines(use *u)
{
    char *line = malloc(MAX_LINE);
    if (!line) return fail(CLI_FAILED, u->a->path, "out of memory");
    int code = CLI_OK;
    u->several = true;
    while (code == CLI_OK && fgets(line, MAX_LINE, stdin)) {
        size_t n = strcspn(line, "\r\n");
        if (!line[n] && !feof(stdin))
            code = fail(CLI_DATA, u->a->path, "a line on standard input is longer than %d bytes",
                        MAX_LINE - 2);
        line[n] = 0;
        if (code == CLI_OK && n > 0) code = predict_string(u, line);
    }
    free(line);
    return code;
}

int predict_bits(use *u, const char *word)
{
    return strcmp(word, "-") == 0 ? predict_lines(u) : predict_string(u, word);
}
