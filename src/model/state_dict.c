/* SPDX-License-Identifier: MIT */
/*
 * State dictionaries: the weights of a model to an archive, and from one.
 *
 *   names    "module." goes; a family translates the names of other implementations; counters and
 *            frozen copies are ignored                                                     (1)
 *   match    each weight has its tensor, or all tensors of another form of its layer's weight; each
 *            tensor has a use                                                              (2)
 *   copy     into a staged copy of the stores                                              (3)
 *   commit   when everything fitted                                                        (4)
 */
#include "base/arena.h"
#include "base/text.h"
#include "model/family.h"
#include "model/layer_weight.h"
#include "nn/nn.h"

#include <ctype.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define NAMES_TOLD 3 /* of what does not match, how many a message names */

/* A tensor of the archive. */
typedef struct entry {
    const deq_archive_tensor *tensor;
    const char *name; /* as libdeq calls it */
    bool ignored, used;
} entry;

typedef struct load {
    deq_context *ctx;
    deq_weights *w;
    const deq_family *family;
    deq_arena arena;
    entry *entry;
    size_t n;
    void *staged[2]; /* of parameters and buffers */
} load;

/* Where a weight comes from. */
typedef struct source {
    const entry *direct;     /* the tensor itself, or NULL */
    deq_layer_form from, to; /* else, if not none: from another form of the layer's weight */
    deq_layer_part part;     /* of `to` */
    char base[DEQ_NN_NAME_BYTES];
} source;

/* Names -------------------------------------------------------------------------------------- */

/* Text that somebody else wrote, for a message: it prints, and it ends. */
static void add_name(deq_text *t, const char *name)
{
    int n = 0;
    deq_text_add(t, "'");
    for (; name[n] && n < 100; n++)
        deq_text_add(t, "%c", isprint((unsigned char)name[n]) ? name[n] : '?');
    deq_text_add(t, "%s'", name[n] ? "..." : "");
}

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

/* PyTorch's newer names of normalised weights: X.parametrizations.weight.original0 is X.weight_g. */
static void map_parametrization(char *name, size_t size)
{
    static const char mark[] = "parametrizations.weight.";
    static const char *const table[][2] = { { "original0", "weight_g" },
                                            { "original1", "weight_v" },
                                            { "original", "weight_orig" },
                                            { "0._u", "weight_u" },
                                            { "0._v", "weight_v" } };
    char *at = strstr(name, mark);
    if (!at || (at > name && at[-1] != '.')) return;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(at + strlen(mark), table[i][0]) == 0) {
            snprintf(at, size - (size_t)(at - name), "%s", table[i][1]);
            return;
        }
}

/* (1); false: it is of no use. */
static deq_status name_entry(load *l, entry *e, const deq_model_options *o)
{
    char plain[DEQ_NN_NAME_BYTES], mapped[DEQ_NN_NAME_BYTES];
    const char *name = e->tensor->name;
    while (strncmp(name, "module.", 7) == 0) name += 7;
    e->ignored = strcmp(name, "num_batches_tracked") == 0 ||
                 ends_with(name, ".num_batches_tracked");
    snprintf(plain, sizeof plain, "%s", name);
    map_parametrization(plain, sizeof plain);
    snprintf(mapped, sizeof mapped, "%s", plain);
    if (!e->ignored && l->family->map_name)
        e->ignored = l->family->map_name(mapped, sizeof mapped, plain, o) == DEQ_NAME_IGNORED;
    /* A name that was cut is not the name of a weight, whatever is left of it. */
    e->name = strlen(name) < sizeof plain ? deq_arena_strdup(&l->arena, mapped) : e->tensor->name;
    return e->name ? DEQ_OK : DEQ_ERR_NOMEM;
}

static deq_status name_entries(load *l, const deq_archive *archive, const deq_model_options *o)
{
    size_t bytes;
    l->n = deq_archive_count(archive);
    if (!deq_size_mul(&bytes, l->n + 1, sizeof *l->entry)) return DEQ_ERR_OVERFLOW;
    l->entry = deq_arena_alloc(&l->arena, bytes);
    if (!l->entry) return DEQ_ERR_NOMEM;
    for (size_t i = 0; i < l->n; i++) {
        l->entry[i].tensor = deq_archive_at(archive, i);
        DEQ_TRY(name_entry(l, &l->entry[i], o));
    }
    return DEQ_OK;
}

static entry *find(const load *l, const char *name)
{
    for (size_t i = 0; i < l->n; i++)
        if (!l->entry[i].ignored && strcmp(l->entry[i].name, name) == 0) return &l->entry[i];
    return NULL;
}

/* Match -------------------------------------------------------------------------------------- */

/* base followed by the part's name; false if it is too long for a weight. */
static bool part_name(char full[DEQ_NN_NAME_BYTES], const char *base, deq_layer_part part)
{
    int n = snprintf(full, DEQ_NN_NAME_BYTES, "%s%s", base, deq_part_name(part));
    return n > 0 && n < DEQ_NN_NAME_BYTES;
}

static deq_layer_form form_in_model(const load *l, const char *base)
{
    char name[DEQ_NN_NAME_BYTES];
    unsigned parts = 0;
    for (int p = 0; p < DEQ_PART_COUNT; p++)
        if (part_name(name, base, (deq_layer_part)p) && deq_weights_find(l->w, name).store)
            parts |= DEQ_PART(p);
    deq_layer_form form = deq_form_of_parts(parts);
    /* A scale that is not learned cannot take what another form holds. */
    return form == DEQ_FORM_SPECTRAL && !(parts & DEQ_PART(DEQ_PART_G)) ? DEQ_FORM_NONE : form;
}

/* The form of the archive's parts; `preferred`, if it is there among others. */
static deq_layer_form form_in_archive(const load *l, const char *base, deq_layer_form preferred,
                                      entry *part[DEQ_PART_COUNT])
{
    char name[DEQ_NN_NAME_BYTES];
    unsigned parts = 0;
    for (int p = 0; p < DEQ_PART_COUNT; p++) {
        part[p] = part_name(name, base, (deq_layer_part)p) ? find(l, name) : NULL;
        if (part[p]) parts |= DEQ_PART(p);
    }
    deq_layer_form form = deq_form_of_parts(parts);
    unsigned without_plain = parts & ~DEQ_PART(DEQ_PART_WEIGHT);
    return form == DEQ_FORM_PLAIN && deq_form_of_parts(without_plain) == preferred ? preferred
                                                                                   : form;
}

/* (2): where a weight comes from; false if from nowhere. */
static bool match(const load *l, const char *name, source *s)
{
    size_t base;
    entry *part[DEQ_PART_COUNT];
    *s = (source){ .direct = find(l, name), .part = deq_part_of(name, &base) };
    if (s->part == DEQ_PART_COUNT) return s->direct != NULL;
    snprintf(s->base, sizeof s->base, "%.*s", (int)base, name);
    s->to = form_in_model(l, s->base);
    s->from = s->to == DEQ_FORM_NONE ? DEQ_FORM_NONE : form_in_archive(l, s->base, s->to, part);
    if (s->from == s->to || s->from == DEQ_FORM_NONE || s->to == DEQ_FORM_NONE) {
        s->from = DEQ_FORM_NONE;
        return s->direct != NULL;
    }
    s->direct = NULL;
    for (int p = 0; p < DEQ_PART_COUNT; p++)
        if (part[p]) part[p]->used = true;
    return true;
}

static const char *unused_name(const void *set, int i)
{
    const load *l = set;
    const entry *e = &l->entry[i];
    return e->ignored || e->used ? "" : e->name;
}

static void tell(deq_text *t, int told, const char *what, const char *name, const char *near)
{
    if (told >= NAMES_TOLD) return;
    deq_text_add(t, "%s", told ? ", " : what);
    add_name(t, name);
    if (!near || !*near) return;
    deq_text_add(t, " (near ");
    add_name(t, near);
    deq_text_add(t, ")");
}

static void tell_rest(deq_text *t, int64_t count)
{
    if (count > NAMES_TOLD) deq_text_add(t, " and %lld more", (long long)(count - NAMES_TOLD));
    if (count > 0) deq_text_add(t, "; ");
}

static deq_status refuse(const load *l, deq_status status, const deq_archive_tensor *t,
                         const char *why)
{
    char data[256];
    deq_text text = { data, sizeof data, 0 };
    add_name(&text, t->name);
    return deq_fail(l->ctx, status, "state dictionary: %s %s", data, why);
}

/* Mark what is used; how many weights have no source. */
static int mark_used(load *l)
{
    int missing = 0;
    for (int i = 0; i < deq_weights_count(l->w); i++) {
        deq_weight_place at = deq_weights_at(l->w, i);
        const char *name = deq_parameters_info(at.store, at.index).name;
        source s;
        missing += !match(l, name, &s);
        if (s.direct) l->entry[s.direct - l->entry].used = true;
    }
    return missing;
}

/* Every weight has a source and every tensor a use; else the message names the first few. */
static deq_status check_names(load *l)
{
    char data[DEQ_MESSAGE_BYTES - 64];
    deq_text t = { data, sizeof data, 0 };
    int missing = 0, unknown = 0, n = l->n < INT32_MAX ? (int)l->n : INT32_MAX;
    int to_tell = mark_used(l);
    for (int i = 0; to_tell && i < deq_weights_count(l->w); i++) {
        deq_weight_place at = deq_weights_at(l->w, i);
        const char *name = deq_parameters_info(at.store, at.index).name;
        source s;
        if (match(l, name, &s)) continue;
        const char *near = missing < NAMES_TOLD ? deq_nearest_name(name, unused_name, l, n) : NULL;
        tell(&t, missing++, "it lacks ", name, near);
    }
    tell_rest(&t, missing);
    for (size_t i = 0; i < l->n; i++) {
        const entry *e = &l->entry[i];
        if (e->ignored || e->used) continue;
        const char *near = unknown < NAMES_TOLD ? deq_weights_nearest(l->w, e->name) : NULL;
        if (find(l, e->name) != e)
            return refuse(l, DEQ_ERR_NAME, e->tensor, "is there twice, under another name too");
        tell(&t, unknown++, "the model has no ", e->tensor->name, near);
    }
    tell_rest(&t, unknown);
    if (missing + unknown == 0) return DEQ_OK;
    if (t.length >= 2) data[t.length - 2] = '\0';
    return deq_fail(l->ctx, DEQ_ERR_NAME, "state dictionary: %s", data);
}

/* Copy --------------------------------------------------------------------------------------- */

/* Equal, extents of 1 aside: the elements then stand in the same order. */
static bool same_extents(const deq_shape *a, const deq_shape *b)
{
    int i = 0, j = 0;
    for (;;) {
        while (i < a->rank && a->dim[i] == 1) i++;
        while (j < b->rank && b->dim[j] == 1) j++;
        if (i == a->rank || j == b->rank) return i == a->rank && j == b->rank;
        if (a->dim[i++] != b->dim[j++]) return false;
    }
}

static deq_status check_tensor(const load *l, const deq_archive_tensor *t, const deq_shape *shape)
{
    char got[256], want[256], why[600];
    deq_type type = { deq_parameters_dtype(l->w->parameters), *shape };
    if (t->type.dtype != DEQ_F32 && t->type.dtype != DEQ_F64) {
        snprintf(why, sizeof why, "holds %s, expected numbers with a fraction",
                 deq_dtype_name(t->type.dtype));
        return refuse(l, DEQ_ERR_DTYPE, t, why);
    }
    if (same_extents(&t->type.shape, shape)) return DEQ_OK;
    snprintf(why, sizeof why, "is %s, the model's weight %s",
             deq_type_format(got, sizeof got, &t->type), deq_type_format(want, sizeof want, &type));
    return refuse(l, DEQ_ERR_SHAPE, t, why);
}

/* x where it belongs in the staged store; false when it does not fit its type. */
static bool put(const load *l, deq_weight_place at, int64_t i, double x)
{
    deq_parameter_info info = deq_parameters_info(at.store, at.index);
    void *staged = l->staged[at.trained ? 0 : 1];
    if (deq_parameters_dtype(at.store) == DEQ_F64) {
        ((double *)staged)[info.offset + i] = x;
        return true;
    }
    if (isfinite(x) && fabs(x) > (double)FLT_MAX) return false;
    ((float *)staged)[info.offset + i] = (float)x;
    return true;
}

static deq_status too_large(const load *l, const char *name)
{
    return deq_fail(l->ctx, DEQ_ERR_DATA, "state dictionary: '%s' has a number too large for f32",
                    name);
}

static deq_status copy(const load *l, deq_weight_place at, const deq_archive_tensor *t)
{
    deq_parameter_info info = deq_parameters_info(at.store, at.index);
    DEQ_TRY(check_tensor(l, t, &info.shape));
    for (int64_t i = 0; i < info.count; i++)
        if (!put(l, at, i, deq_tensor_number(t, i))) return too_large(l, info.name);
    return DEQ_OK;
}

/* The part of one form from the parts of another; W has room for the weight and for the part. */
static deq_status convert_with(const load *l, deq_weight_place at, const source *s,
                               const deq_archive_tensor *const part[DEQ_PART_COUNT],
                               const deq_shape *shape, double *W)
{
    deq_parameter_info info = deq_parameters_info(at.store, at.index);
    double *out = W + deq_shape_count(shape);
    DEQ_TRY(deq_layer_effective(W, l->ctx, s->from, part, shape));
    DEQ_TRY(deq_layer_decompose(out, info.count, l->ctx, s->to, s->part, W, shape));
    for (int64_t i = 0; i < info.count; i++)
        if (!put(l, at, i, out[i])) return too_large(l, info.name);
    return DEQ_OK;
}

static deq_status convert(const load *l, deq_weight_place at, const source *s)
{
    char name[DEQ_NN_NAME_BYTES];
    entry *entries[DEQ_PART_COUNT];
    const deq_archive_tensor *part[DEQ_PART_COUNT] = { NULL };
    part_name(name, s->base, deq_form_direction(s->to));
    deq_weight_place whole = deq_weights_find(l->w, name);
    deq_shape shape = deq_parameters_info(whole.store, whole.index).shape;
    form_in_archive(l, s->base, s->to, entries);
    for (int p = 0; p < DEQ_PART_COUNT; p++) {
        if (!entries[p]) continue;
        part[p] = entries[p]->tensor;
        bool direction = p == (int)deq_form_direction(s->from);
        DEQ_TRY(check_tensor(l, part[p], direction ? &shape : &part[p]->type.shape));
    }
    int64_t count = deq_parameters_info(at.store, at.index).count;
    size_t bytes = (size_t)(deq_shape_count(&shape) + count) * sizeof(double);
    double *W = deq_alloc(l->ctx, bytes);
    if (!W) return DEQ_ERR_NOMEM;
    deq_status status = convert_with(l, at, s, part, &shape, W);
    deq_release(l->ctx, W, bytes);
    return status;
}

static size_t store_bytes(const deq_parameters *p)
{
    return (size_t)deq_parameters_length(p) * deq_dtype_size(deq_parameters_dtype(p));
}

/* (3) and (4) */
static deq_status copy_all(load *l)
{
    l->staged[0] = deq_alloc(l->ctx, store_bytes(l->w->parameters));
    l->staged[1] = deq_alloc(l->ctx, store_bytes(l->w->buffers));
    if (!l->staged[0] || !l->staged[1]) return DEQ_ERR_NOMEM;
    for (int i = 0; i < deq_weights_count(l->w); i++) {
        deq_weight_place at = deq_weights_at(l->w, i);
        source s;
        match(l, deq_parameters_info(at.store, at.index).name, &s);
        DEQ_TRY(s.direct ? copy(l, at, s.direct->tensor) : convert(l, at, &s));
    }
    memcpy(deq_parameters_values(l->w->parameters, -1), l->staged[0],
           store_bytes(l->w->parameters));
    if (store_bytes(l->w->buffers))
        memcpy(deq_parameters_values(l->w->buffers, -1), l->staged[1], store_bytes(l->w->buffers));
    return DEQ_OK;
}

static void count(const load *l, deq_load_report *report)
{
    *report = (deq_load_report){ 0 };
    for (size_t i = 0; i < l->n; i++) {
        report->n_loaded += l->entry[i].used;
        report->n_ignored += l->entry[i].ignored;
    }
}

deq_status deq_model_load(deq_weights *w, const deq_archive *archive,
                          const deq_model_options *options, deq_load_report *report)
{
    load l = { .ctx = deq_weights_context(w), .w = w };
    if (!deq_weights_allocated(w))
        return deq_fail(l.ctx, DEQ_ERR_STATE, "state dictionary: the weights are not allocated");
    if (options->struct_size != sizeof *options || !deq_family_find(options->family))
        return deq_fail(l.ctx, DEQ_ERR_ARGUMENT,
                        "state dictionary: the options are those of no model");
    l.family = deq_family_find(options->family);
    deq_arena_init(&l.arena, l.ctx);
    deq_status status = name_entries(&l, archive, options);
    if (status == DEQ_OK) status = check_names(&l);
    if (status == DEQ_OK) status = copy_all(&l);
    if (status == DEQ_OK && report) count(&l, report);
    deq_release(l.ctx, l.staged[0], store_bytes(w->parameters));
    deq_release(l.ctx, l.staged[1], store_bytes(w->buffers));
    deq_arena_free(&l.arena);
    return status;
}

/* Saving ------------------------------------------------------------------------------------- */

/* Add a weight, or only ask whether its name is free. */
static deq_status save(deq_archive *archive, deq_weights *w, deq_weight_place at,
                       const char *prefix, bool ask)
{
    deq_parameter_info info = deq_parameters_info(at.store, at.index);
    size_t bytes = strlen(prefix) + strlen(info.name) + 1;
    char *name = deq_alloc(w->ctx, bytes);
    if (!name) return DEQ_ERR_NOMEM;
    snprintf(name, bytes, "%s%s", prefix, info.name);
    deq_status status = DEQ_OK;
    deq_type type = { deq_parameters_dtype(at.store), info.shape };
    if (!ask)
        status = deq_archive_add(archive, name, type, deq_parameters_values(at.store, at.index));
    else if (deq_archive_find(archive, name))
        status = deq_fail(w->ctx, DEQ_ERR_NAME, "state dictionary: the name '%s' is taken", name);
    deq_release(w->ctx, name, bytes);
    return status;
}

deq_status deq_weights_save(deq_archive *archive, deq_weights *w, const char *prefix)
{
    if (!deq_weights_allocated(w))
        return deq_fail(w->ctx, DEQ_ERR_STATE, "state dictionary: the weights are not allocated");
    for (int ask = 1; ask >= 0; ask--)
        for (int i = 0; i < deq_weights_count(w); i++)
            DEQ_TRY(save(archive, w, deq_weights_at(w, i), prefix ? prefix : "", ask != 0));
    return DEQ_OK;
}
