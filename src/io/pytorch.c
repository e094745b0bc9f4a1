/* SPDX-License-Identifier: MIT */
/*
 * The two containers of torch.save().
 *
 * Zip (since 1.6):   NAME/data.pkl     a pickle that refers to storages by key
 *                    NAME/data/KEY     the elements of a storage
 *                    NAME/byteorder    "little" or "big"; little if it is missing
 *
 * Legacy:            pickle            the number 0x1950a86a20f9469cfc6c
 *                    pickle            the version, 1001
 *                    pickle            about the machine that wrote it
 *                    pickle            the object, which refers to storages by key
 *                    pickle            the list of keys, in the order that follows
 *                    for each key:     number of elements (8 bytes, little-endian), elements
 */
#include "io/checkpoint.h"
#include "io/zip.h"

#include <deq/io/pytorch.h>
#include <stdio.h>
#include <string.h>

#define VERSION 1001

typedef struct reading {
    deq_context *ctx;
    deq_archive *archive;
    deq_pickle pickle;
} reading;

/* Zip. */

static size_t find_pickle(const deq_zip *z)
{
    for (size_t i = 0; i < deq_zip_count(z); i++) {
        const char *name = deq_zip_name(z, i), *slash = strchr(name, '/');
        if (strcmp(name, "data.pkl") == 0 || (slash && strcmp(slash, "/data.pkl") == 0)) return i;
    }
    return SIZE_MAX;
}

/* A member beside data.pkl; SIZE_MAX if there is none. */
static size_t find_beside(const deq_zip *z, size_t pickle, const char *folder, const char *name)
{
    char full[DEQ_ZIP_NAME_BYTES];
    const char *first = deq_zip_name(z, pickle);
    const size_t prefix = strlen(first) - strlen("data.pkl");
    const int n = snprintf(full, sizeof full, "%.*s%s%s", (int)prefix, first, folder, name);

    return n > 0 && (size_t)n < sizeof full ? deq_zip_find(z, full) : SIZE_MAX;
}

static deq_status read_order(bool *big_endian, deq_zip *z, size_t pickle)
{
    const size_t i = find_beside(z, pickle, "", "byteorder");
    char name[DEQ_ZIP_NAME_BYTES], quoted[DEQ_QUOTED_BYTES];
    deq_source s;

    *big_endian = false;
    if (i == SIZE_MAX) return DEQ_OK;
    DEQ_TRY(deq_zip_read(&s, name, z, i));
    deq_status status = DEQ_OK;
    if (s.size == 3 && memcmp(s.data, "big", 3) == 0)
        *big_endian = true;
    else if (s.size != 6 || memcmp(s.data, "little", 6) != 0)
        status = deq_source_fail(&s, 0, "expected 'little' or 'big', found '%s'",
                                 deq_quote(quoted, s.data, s.size));
    deq_source_close(&s);
    return status;
}

static deq_status load_member(reading *r, deq_zip *z, size_t pickle, deq_pickle_storage *storage)
{
    const size_t i = find_beside(z, pickle, "data/", storage->key);
    const size_t bytes = storage->count * deq_element_size(storage->element);
    char name[DEQ_ZIP_NAME_BYTES];
    deq_source s;

    if (i == SIZE_MAX)
        return deq_zip_fail(z, "the member of storage '%.40s' is missing", storage->key);
    if (deq_zip_size(z, i) != bytes)
        return deq_zip_fail(z, "storage '%.40s' has %zu bytes, expected %zu: %zu x %s",
                            storage->key, deq_zip_size(z, i), bytes, storage->count,
                            deq_element_name(storage->element));
    DEQ_TRY(deq_zip_read(&s, name, z, i));
    storage->bytes = s;
    storage->bytes.name = deq_arena_strdup(&r->pickle.arena, name);
    storage->bytes.owned = NULL;
    storage->lent = true;
    DEQ_TRY(deq_archive_take_source(r->archive, &s));
    return storage->bytes.name ? DEQ_OK : DEQ_ERR_NOMEM;
}

static deq_status load_zip(reading *r, deq_zip *z, size_t member, const deq_source *s)
{
    deq_checkpoint c = {
        .archive = r->archive, .pickle = &r->pickle, .s = s, .file_bytes = deq_zip_total(z)
    };
    deq_pickle_value root;
    size_t at = 0;

    DEQ_TRY(deq_pickle_load(&r->pickle, &root, s, &at));
    if (at != s->size) return deq_source_fail(s, at, "%zu bytes follow the pickle", s->size - at);
    DEQ_TRY(read_order(&c.big_endian, z, member));
    for (size_t i = 0; i < r->pickle.n_storages; i++)
        DEQ_TRY(load_member(r, z, member, r->pickle.storages[i]));
    return deq_checkpoint_flatten(&c, &root);
}

static deq_status read_zip(reading *r, deq_zip *z)
{
    const size_t member = find_pickle(z);
    char name[DEQ_ZIP_NAME_BYTES];
    deq_source s;

    if (member == SIZE_MAX)
        return deq_zip_fail(z, "no member NAME/data.pkl: not a checkpoint of PyTorch");
    DEQ_TRY(deq_zip_read(&s, name, z, member));
    deq_status status = load_zip(r, z, member, &s);
    deq_source_close(&s);
    return status;
}

/* Legacy. */

static deq_status check_magic(reading *r, const deq_source *s, size_t *at)
{
    static const unsigned char magic[] = { 0x6c, 0xfc, 0x9c, 0x46, 0xf9,
                                           0x20, 0x6a, 0xa8, 0x50, 0x19 };
    deq_pickle_value v;

    if (s->size == 0 || s->data[0] != 0x80)
        return deq_source_fail(s, 0,
                               "neither a zip archive nor a pickle: not a checkpoint of "
                               "PyTorch");
    DEQ_TRY(deq_pickle_load(&r->pickle, &v, s, at));
    if (v.kind != DEQ_PICKLE_BIG || v.as.text->length != sizeof magic ||
        memcmp(v.as.text->data, magic, sizeof magic) != 0)
        return deq_source_fail(s, 0,
                               "a pickle, but not one of PyTorch's: its magic number is "
                               "missing");
    const size_t start = *at;
    DEQ_TRY(deq_pickle_load(&r->pickle, &v, s, at));
    if (v.kind != DEQ_PICKLE_INT || v.as.integer != VERSION)
        return deq_source_refuse(s, DEQ_ERR_UNSUPPORTED, start,
                                 "a version of the container that is not %d", VERSION);
    DEQ_TRY(deq_pickle_load(&r->pickle, &v, s, at)); /* the elements are little-endian anyway */
    return DEQ_OK;
}

/* The elements of one storage, at byte *at. */
static deq_status place_storage(reading *r, const deq_source *s, const deq_pickle_value *key,
                                bool lent, size_t *at)
{
    size_t place = DEQ_INDEX_NONE;

    if (key->kind == DEQ_PICKLE_TEXT) place = deq_index_find(&r->pickle.index, key->as.text->data);
    if (place == DEQ_INDEX_NONE || r->pickle.storages[place]->bytes.data)
        return deq_source_fail(s, *at, "the elements of a storage that nothing refers to");
    deq_pickle_storage *storage = r->pickle.storages[place];
    const size_t bytes = storage->count * deq_element_size(storage->element);
    DEQ_TRY(deq_source_need(s, *at, 8, "the size of a storage"));
    if (deq_le64(s->data + *at) != storage->count)
        return deq_source_fail(s, *at, "storage '%.40s' has %llu elements, expected %zu",
                               storage->key, (unsigned long long)deq_le64(s->data + *at),
                               storage->count);
    *at += 8;
    DEQ_TRY(deq_source_need(s, *at, bytes, "a storage"));
    storage->bytes =
        (deq_source){ .ctx = s->ctx, .name = s->name, .data = s->data + *at, .size = bytes };
    storage->lent = lent;
    *at += bytes;
    return DEQ_OK;
}

static deq_status read_legacy(reading *r, const deq_source *s, bool lent)
{
    deq_checkpoint c = {
        .archive = r->archive, .pickle = &r->pickle, .s = s, .file_bytes = s->size
    };
    deq_pickle_value root, keys;
    size_t at = 0;

    DEQ_TRY(check_magic(r, s, &at));
    DEQ_TRY(deq_pickle_load(&r->pickle, &root, s, &at));
    const size_t list = at;
    DEQ_TRY(deq_pickle_load(&r->pickle, &keys, s, &at));
    if (keys.kind != DEQ_PICKLE_LIST || keys.as.list->count != r->pickle.n_storages)
        return deq_source_fail(s, list, "expected the list of the keys of %zu storages",
                               r->pickle.n_storages);
    for (size_t i = 0; i < keys.as.list->count; i++)
        DEQ_TRY(place_storage(r, s, &keys.as.list->items[i], lent, &at));
    if (at != s->size)
        return deq_source_fail(s, at, "%zu bytes follow the last storage", s->size - at);
    return deq_checkpoint_flatten(&c, &root);
}

static deq_status begin(reading *r, deq_context *ctx)
{
    *r = (reading){ .ctx = ctx };
    deq_pickle_init(&r->pickle, ctx);
    return deq_archive_new(&r->archive, ctx);
}

static deq_status finish(deq_archive **out, reading *r, deq_status status)
{
    deq_pickle_free(&r->pickle);
    if (status == DEQ_OK)
        *out = r->archive;
    else
        deq_archive_free(r->archive);
    return status;
}

static deq_status read_open_zip(deq_archive **out, deq_context *ctx, deq_zip *z)
{
    reading r;
    deq_status status = begin(&r, ctx);

    if (status == DEQ_OK) status = read_zip(&r, z);
    deq_zip_close(z);
    return finish(out, &r, status);
}

static deq_status read_open_legacy(deq_archive **out, deq_source *s)
{
    const deq_source view = { .ctx = s->ctx, .name = s->name, .data = s->data, .size = s->size };
    const bool lent = s->owned != NULL;
    reading r;
    deq_status status = begin(&r, s->ctx);

    if (status == DEQ_OK) status = deq_archive_take_source(r.archive, s);
    if (status == DEQ_OK) status = read_legacy(&r, &view, lent);
    return finish(out, &r, status);
}

static deq_status starts_as_zip(bool *is_zip, deq_context *ctx, const char *path)
{
    unsigned char first[4];
    size_t size;

    DEQ_TRY(deq_source_size(&size, ctx, path));
    FILE *file = fopen(path, "rb");
    *is_zip = file && fread(first, 1, 4, file) == 4 && deq_zip_is(first, 4);
    if (file) (void)fclose(file);
    return DEQ_OK;
}

deq_status deq_pytorch_read(deq_archive **out, deq_context *ctx, const char *path)
{
    bool is_zip;
    deq_zip *z;
    deq_source s;

    *out = NULL;
    DEQ_TRY(starts_as_zip(&is_zip, ctx, path));
    if (is_zip) {
        DEQ_TRY(deq_zip_open(&z, ctx, path));
        return read_open_zip(out, ctx, z);
    }
    DEQ_TRY(deq_source_open(&s, ctx, path));
    deq_status status = read_open_legacy(out, &s);
    deq_source_close(&s);
    return status;
}

deq_status deq_pytorch_parse(deq_archive **out, deq_context *ctx, const void *bytes, size_t size)
{
    deq_zip *z;

    *out = NULL;
    if (deq_zip_is(bytes, size)) {
        DEQ_TRY(deq_zip_open_memory(&z, ctx, bytes, size));
        return read_open_zip(out, ctx, z);
    }
    deq_source s = deq_source_memory(ctx, bytes, size);
    return read_open_legacy(out, &s);
}
