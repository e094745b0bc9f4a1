/* SPDX-License-Identifier: MIT */
/* deq info: what this build is and what it computes with on this machine. */
#include "commands.h"
#include "context.h"

#include <deq/deq.h>

/* OpenMP tells the date of its specification; people know its number. */
static const char *openmp_number(int date)
{
    static const struct {
        int date;
        const char *number;
    } known[] = {
        { 202411, "6.0" }, { 202111, "5.2" }, { 202011, "5.1" },
        { 201811, "5.0" }, { 201511, "4.5" }, { 201307, "4.0" },
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (date >= known[i].date) return known[i].number;
    return "3.1 or older";
}

static void print_text(const deq_info *info, int threads, const char *isa)
{
    printf("libdeq           %s, built with %s\n", info->version, info->compiler);
    printf("OpenMP           %s, %d threads\n", openmp_number(info->openmp_version), threads);
    printf("instruction set  %s in use, %s available\n", isa, deq_isa_name(info->isa));
    printf("%-16s %s, uses %s\n", info->kernel_library, info->kernel_library_version,
           info->kernel_library_isa);
}

/* A JSON string.  Only ASCII comes here. */
static void print_string(const char *s)
{
    putchar('"');
    for (; *s; s++) {
        if (*s == '"' || *s == '\\') putchar('\\');
        putchar((unsigned char)*s < 0x20 ? ' ' : *s);
    }
    putchar('"');
}

static void print_member(const char *before, const char *name, const char *value)
{
    printf("%s\"%s\": ", before, name);
    print_string(value);
}

static void print_info_json(const deq_info *info, int threads, const char *isa)
{
    print_member("{\n  ", "version", info->version);
    print_member(",\n  ", "compiler", info->compiler);
    printf(",\n  \"openmp\": { \"version\": %d, \"threads\": %d }", info->openmp_version, threads);
    print_member(",\n  \"isa\": { ", "used", isa);
    print_member(", ", "available", deq_isa_name(info->isa));
    print_member(" },\n  \"kernel_libraries\": [\n    { ", "name", info->kernel_library);
    print_member(", ", "version", info->kernel_library_version);
    print_member(", ", "isa", info->kernel_library_isa);
    printf(" }\n  ]\n}\n");
}

static int run(const arguments *a)
{
    deq_context *ctx = NULL;
    const int code = open_context(&ctx, a);
    if (code != CLI_OK) return code;
    deq_info info = deq_build_info();
    const char *isa = deq_isa_name(deq_context_isa(ctx));
    (argument_flag(a, "json") ? print_info_json : print_text)(&info, deq_context_threads(ctx), isa);
    deq_context_free(ctx);
    return CLI_OK;
}

static const example examples[] = {
    { "deq info", "what computes on this machine" },
    { "deq info --json", "the same for programs" },
};

const command command_info = {
    .name = "info",
    .summary = "show what this build is and what it computes with",
    .description =
        "Prints the version and compiler of the library, the number of threads, the instruction set "
        "of the library's own kernels, and each kernel library with the one that it uses. Kernel "
        "libraries choose theirs when they are loaded, and some choose badly on processors that they "
        "do not know: compare the two.\n",
    .examples = examples,
    .n_examples = LENGTH(examples),
    .common = COMMON_JSON | COMMON_THREADS,
    .run = run,
};
