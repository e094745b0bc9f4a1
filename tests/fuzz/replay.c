/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzz target without a fuzzer, so that every build and compiler does:
 *
 *     replay N [FILE...]
 *
 * feeds it the files, which may be inputs that once crashed, then N strings of random bytes.  The
 * last string is always in memory; on a crash its number and seed have been printed.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CAPACITY = 1 << 16, LONGEST = 512 };

static uint8_t bytes[CAPACITY];

static uint64_t draw(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");

    if (!file) {
        perror(path);
        return 1;
    }
    const size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    fprintf(stderr, "%s\n", path);
    LLVMFuzzerTestOneInput(bytes, size);
    return 0;
}

int main(int argc, char **argv)
{
    const long n = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
    int failed = 0;

    for (int i = 2; i < argc; i++) failed |= replay_file(argv[i]);
    for (long i = 0; i < n; i++) {
        uint64_t state = (uint64_t)i;
        const size_t size = draw(&state) % LONGEST;

        for (size_t k = 0; k < size; k++) bytes[k] = (uint8_t)draw(&state);
        if (i % 100 == 0) fprintf(stderr, "random strings from number %ld on\n", i);
        LLVMFuzzerTestOneInput(bytes, size);
    }
    return failed;
}
