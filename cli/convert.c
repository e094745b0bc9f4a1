/* SPDX-License-Identifier: MIT */
/* deq convert: files of weights from one format to another, with names and precision changed. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "commands.h"
#include "context.h"
#include "json.h"
#include "terminal.h"
#include "text.h"

#include <deq/io.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef enum format { SAFETENSORS, NPZ, NPY } format;
static const char *const formats[] = { "safetensors", "npz", "npy", NULL };
static const char *const dtypes[] = { "f32", "f64", NULL };

/* Names -------------------------------------------------------------------------------------- */

/* Whether `name` is `part`, or begins with it up to a dot. */
static bool is_below(const char *name, const char *part)
{
    const size_t n = strlen(part);
    return strncmp(name, part, n) == 0 &&
           (name[n] == '\0' || name[n] == '.' || (n > 0 && part[n - 1] == '.'));
}

/* Whether any of the values of an option is, or is above, the name. */
static bool is_chosen(const arguments *a, const char *option_name, const char *name, bool *used)
{
    bool chosen = false;
    for (int i = 0; i < argument_count(a, option_name); i++)
        if (is_below(name, argument_text_at(a, option_name, i))) chosen = used[i] = true;
    return chosen;
}

static void strip(text_buffer *name, const arguments *a, bool *used)
{
    for (int i = 0; i < argument_count(a, "strip-prefix"); i++) {
        const char *prefix = argument_text_at(a, "strip-prefix", i);
        const size_t n = strlen(prefix);
        if (n == 0 || strncmp(text_string(name), prefix, n) != 0) continue;
        used[i] = true;
        text_buffer rest = { 0 };
        put(&rest, text_string(name) + n);
        text_free(name);
        *name = rest;
    }
}

/* OLD=NEW, in order, each on what the last one left. */
static void rename_parts(text_buffer *name, const arguments *a, bool *used)
{
    for (int i = 0; i < argument_count(a, "rename"); i++) {
        const char *rule = argument_text_at(a, "rename", i);
        const char *equals = strchr(rule, '=');
        text_buffer old = { 0 }, renamed = { 0 };
        put_bytes(&old, rule, (size_t)(equals - rule));
        if (is_below(text_string(name), text_string(&old))) {
            used[i] = true;
            put_format(&renamed, "%s%s", equals + 1, text_string(name) + old.size);
            text_free(name);
            *name = renamed;
        }
        text_free(&old);
    }
}

/* Elements ----------------------------------------------------------------------------------- */

/* The elements as double, or as float; NULL when a finite one would become infinite. */
static void *converted(const deq_archive_tensor *t, deq_dtype to)
{
    const size_t n = (size_t)deq_shape_count(&t->type.shape);
    double *wide = must_alloc(n * sizeof *wide);
    float *narrow = to == DEQ_F32 ? must_alloc(n * sizeof *narrow) : NULL;
    bool fits = true;
    for (size_t i = 0; i < n; i++) {
        wide[i] = t->type.dtype == DEQ_F32 ? ((const float *)t->data)[i]
                                           : ((const double *)t->data)[i];
        if (!narrow) continue;
        /* Half an ulp above the greatest float rounds to infinity. */
        fits = fits && (!isfinite(wide[i]) || fabs(wide[i]) < 0x1.ffffffp127);
        narrow[i] = fits ? (float)wide[i] : 0;
    }
    if (!narrow) return wide;
    free(wide);
    if (fits) return narrow;
    free(narrow);
    return NULL;
}

static int add_tensor(deq_archive *out, const arguments *a, const deq_context *ctx,
                      const deq_archive_tensor *t, const char *name)
{
    static const deq_dtype chosen[] = { DEQ_F32, DEQ_F64 };
    deq_type type = t->type;
    const int to = argument_choice(a, "dtype");
    void *copy = NULL;
    if (to >= 0 && type.dtype != chosen[to] && (type.dtype == DEQ_F32 || type.dtype == DEQ_F64)) {
        copy = converted(t, chosen[to]);
        type.dtype = chosen[to];
        if (!copy)
            return fail_about(CLI_DATA, a, t->name, "the tensor has elements too large for f32");
    }
    const deq_status status = deq_archive_add(out, name, type, copy ? copy : t->data);
    free(copy);
    return fail_status(a, ctx, status);
}

/* The whole archive -------------------------------------------------------------------------- */

/* Which values of the repeatable options did something. */
typedef struct usage {
    bool *keep, *drop, *strip, *rename;
} usage;

static bool *flags(const arguments *a, const char *option_name)
{
    const size_t n = (size_t)argument_count(a, option_name);
    bool *all = must_alloc(n * sizeof *all);
    for (size_t i = 0; i < n; i++) all[i] = false;
    return all;
}

/* What changed nothing was misspelt. */
static int check_used(const arguments *a, const char *option_name, const bool *used)
{
    for (int i = 0; i < argument_count(a, option_name); i++)
        if (!used[i])
            return fail_about(CLI_FAILED, a, argument_text_at(a, option_name, i),
                              "no tensor is called so (--%s)", option_name);
    return CLI_OK;
}

static int add_renamed(deq_archive *out, const arguments *a, const deq_context *ctx,
                       const deq_archive_tensor *t, const usage *u)
{
    text_buffer name = { 0 };
    if (argument_count(a, "keep") > 0 && !is_chosen(a, "keep", t->name, u->keep)) return CLI_OK;
    if (is_chosen(a, "drop", t->name, u->drop)) return CLI_OK;
    put(&name, t->name);
    strip(&name, a, u->strip);
    rename_parts(&name, a, u->rename);
    const int code = add_tensor(out, a, ctx, t, text_string(&name));
    text_free(&name);
    return code;
}

static int copy_metadata(deq_archive *out, const deq_archive *in, const arguments *a,
                         const deq_context *ctx)
{
    const char *key, *text;
    int code = CLI_OK;
    if (argument_flag(a, "no-metadata")) return CLI_OK;
    for (size_t i = 0; code == CLI_OK && (key = deq_archive_metadata_at(in, i, &text)); i++)
        code = fail_status(a, ctx, deq_archive_set_metadata(out, key, text));
    return code;
}

/* What IN has and no archive holds is said, and is an error where it was asked for. */
static int note_left_out(const deq_archive *in, const arguments *a, const usage *u)
{
    const char *name, *why;
    for (size_t i = 0; (name = deq_archive_left_out_at(in, i, &why)); i++) {
        if (argument_count(a, "keep") > 0 && !is_chosen(a, "keep", name, u->keep)) continue;
        if (is_chosen(a, "drop", name, u->drop)) continue;
        if (argument_count(a, "keep") > 0) return fail(CLI_DATA, a->path, "%s", why);
        text_buffer safe = { 0 };
        put_safe(&safe, why);
        progress_note(NULL, "deq convert: left out: %s", text_string(&safe));
        text_free(&safe);
    }
    return CLI_OK;
}

static int fill(deq_archive *out, const deq_archive *in, const arguments *a, const deq_context *ctx)
{
    const usage u = { flags(a, "keep"), flags(a, "drop"), flags(a, "strip-prefix"),
                      flags(a, "rename") };
    int code = copy_metadata(out, in, a, ctx);
    for (size_t i = 0; code == CLI_OK && i < deq_archive_count(in); i++)
        code = add_renamed(out, a, ctx, deq_archive_at(in, i), &u);
    if (code == CLI_OK) code = note_left_out(in, a, &u);
    if (code == CLI_OK) code = check_used(a, "keep", u.keep);
    if (code == CLI_OK) code = check_used(a, "drop", u.drop);
    if (code == CLI_OK) code = check_used(a, "strip-prefix", u.strip);
    if (code == CLI_OK) code = check_used(a, "rename", u.rename);
    free(u.keep);
    free(u.drop);
    free(u.strip);
    free(u.rename);
    return code;
}

/* Writing ------------------------------------------------------------------------------------ */

static int write_npy(const deq_archive *archive, const char *path, const arguments *a,
                     deq_context *ctx)
{
    const size_t n = deq_archive_count(archive);
    if (n != 1)
        return fail(CLI_FAILED, a->path,
                    "a .npy file holds one tensor, and there are %zu; choose one with --keep", n);
    const deq_archive_tensor *t = deq_archive_at(archive, 0);
    return fail_status(a, ctx, deq_npy_write(ctx, path, t->type, t->data));
}

static int write_archive(const deq_archive *archive, format to, const arguments *a,
                         deq_context *ctx)
{
    const char *path = argument_text(a, "OUT");
    if (to != SAFETENSORS && deq_archive_metadata_at(archive, 0, NULL))
        progress_note(NULL, "deq convert: %s has no metadata: they are left out", formats[to]);
    switch (to) {
    case SAFETENSORS: return fail_status(a, ctx, deq_safetensors_write(archive, path));
    case NPZ:
        return fail_status(a, ctx, deq_npz_write(archive, path, argument_flag(a, "compress")));
    case NPY: return write_npy(archive, path, a, ctx);
    }
    return CLI_FAILED;
}

static int report(const deq_archive *archive, format to, const arguments *a)
{
    int64_t elements = 0;
    json_t *result = json_object();
    for (size_t i = 0; i < deq_archive_count(archive); i++)
        elements += deq_shape_count(&deq_archive_at(archive, i)->type.shape);
    json_put(result, "file", json_text(argument_text(a, "OUT")));
    json_put(result, "format", json_string(formats[to]));
    json_put(result, "count", json_integer((json_int_t)deq_archive_count(archive)));
    json_put(result, "elements", json_integer(elements));
    return print_result(a, result);
}

/* Before anything is read: what cannot come out well. */
static int check(format *to, const arguments *a)
{
    const char *path = argument_text(a, "OUT"), *dot = strrchr(path, '.');
    struct stat about;
    int chosen = argument_choice(a, "to");
    for (int i = 0; chosen < 0 && dot && formats[i]; i++)
        if (strcmp(dot + 1, formats[i]) == 0) chosen = i;
    if (chosen < 0)
        return fail(CLI_USAGE, a->path,
                    "OUT ends with none of .safetensors, .npz, .npy; --to says which it is");
    *to = (format)chosen;
    if (argument_flag(a, "compress") && *to != NPZ)
        return fail(CLI_USAGE, a->path, "--compress is for npz");
    for (int i = 0; i < argument_count(a, "rename"); i++) {
        const char *rule = argument_text_at(a, "rename", i);
        if (!strchr(rule, '=') || rule[0] == '=')
            return fail(CLI_USAGE, a->path, "option '--rename': it is OLD=NEW");
    }
    if (!argument_flag(a, "force") && lstat(path, &about) == 0)
        return fail_about(CLI_FAILED, a, path, "exists; --force replaces it");
    return CLI_OK;
}

static int convert(const arguments *a, deq_context *ctx, format to)
{
    deq_archive *in = NULL, *out = NULL;
    int code = fail_status(a, ctx, deq_archive_read(&in, ctx, argument_text(a, "IN")));
    if (code == CLI_OK) code = fail_status(a, ctx, deq_archive_new(&out, ctx));
    if (code == CLI_OK) code = fill(out, in, a, ctx);
    if (code == CLI_OK) code = write_archive(out, to, a, ctx);
    if (code == CLI_OK && (argument_flag(a, "json") || !terminal_quiet()))
        code = report(out, to, a);
    deq_archive_free(out);
    deq_archive_free(in);
    return code;
}

static int run(const arguments *a)
{
    deq_context *ctx = NULL;
    format to = SAFETENSORS;
    int code = check(&to, a);
    if (code == CLI_OK) code = open_context(&ctx, a);
    if (code != CLI_OK) return code;
    code = convert(a, ctx, to);
    deq_context_free(ctx);
    return code;
}

static const option operands[] = {
    { .name = "IN",
      .kind = VALUE_FILE,
      .required = true,
      .help = "safetensors, PyTorch's .pt or .pth, NumPy's .npz or .npy" },
    { .name = "OUT",
      .kind = VALUE_FILE,
      .required = true,
      .help = "written at once: whoever reads it sees the old contents or the new" },
};

static const option options[] = {
    { .name = "to",
      .kind = VALUE_CHOICE,
      .argument = "FORMAT",
      .choices = formats,
      .help = "what to write, where the end of OUT's name does not tell" },
    { .name = "keep",
      .kind = VALUE_TEXT,
      .argument = "NAME",
      .repeatable = true,
      .help = "take only the tensor NAME, and those whose names begin with NAME up to a dot" },
    { .name = "drop",
      .kind = VALUE_TEXT,
      .argument = "NAME",
      .repeatable = true,
      .help = "leave those out, also of what is kept" },
    { .name = "strip-prefix",
      .kind = VALUE_TEXT,
      .argument = "PREFIX",
      .repeatable = true,
      .help = "take PREFIX off the names that begin with it" },
    { .name = "rename",
      .kind = VALUE_TEXT,
      .argument = "OLD=NEW",
      .repeatable = true,
      .help = "call the tensor OLD, or what begins with OLD up to a dot, NEW; in the order given, "
              "after --strip-prefix" },
    { .name = "dtype",
      .kind = VALUE_CHOICE,
      .choices = dtypes,
      .help = "make all floating-point tensors so; others stay" },
    { .name = "no-metadata", .help = "leave out the texts that stand beside the tensors" },
    { .name = "compress", .help = "deflate the members of an npz" },
    { .name = "force", .letter = 'f', .help = "replace OUT if it exists" },
};

static const example examples[] = {
    { "deq convert model.pth model.safetensors", "a checkpoint of PyTorch" },
    { "deq convert --keep state_dict --strip-prefix state_dict. --strip-prefix module. "
      "checkpoint.pt weights.safetensors",
      "only the weights of a training state, without the names around them" },
    { "deq convert --rename conv=features.0 --dtype f64 weights.npz weights.safetensors",
      "conv.weight becomes features.0.weight, in double precision" },
    { "deq convert --keep fc.weight model.safetensors weight.npy", "one tensor, for NumPy" },
};

const command command_convert = {
    .name = "convert",
    .summary = "convert files of weights, with names and precision changed",
    .description =
        "Reads IN, whose kind its first bytes tell, and writes OUT in the format that its name ends "
        "with. Element types that libdeq does not compute with become the next one that holds all "
        "their numbers: f16 and bf16 become f32, small integers i32.\n"
        "\n"
        "An option that applies to no tensor is an error, as are two tensors of one name, and "
        "elements that f32 cannot hold.\n",
    .operands = operands,
    .n_operands = LENGTH(operands),
    .options = options,
    .n_options = LENGTH(options),
    .examples = examples,
    .n_examples = LENGTH(examples),
    .common = COMMON_JSON | COMMON_QUIET,
    .run = run,
};
