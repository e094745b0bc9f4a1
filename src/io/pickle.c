/* SPDX-License-Identifier: MIT */
/* The machine that pickles are programs for; see pickle.h for what it knows and its bounds. */
#include "io/pickle.h"

#include <stdio.h>
#include <string.h>

void deq_pickle_init(deq_pickle *p, deq_context *ctx)
{
    *p = (deq_pickle){ .ctx = ctx };
    deq_arena_init(&p->arena, ctx);
    deq_index_init(&p->index, ctx);
}

static void free_machine(deq_pickle *p)
{
    deq_release(p->ctx, p->stack, p->stack_capacity * sizeof *p->stack);
    deq_release(p->ctx, p->memo, p->memo_capacity * sizeof *p->memo);
    p->stack = p->memo = NULL;
    p->depth = p->stack_capacity = p->memo_capacity = 0;
}

void deq_pickle_free(deq_pickle *p)
{
    free_machine(p);
    deq_release(p->ctx, p->storages, p->storage_capacity * sizeof *p->storages);
    deq_index_free(&p->index);
    deq_arena_free(&p->arena);
    p->storages = NULL;
    p->storage_capacity = p->n_storages = 0;
}

const char *deq_pickle_kind_name(deq_pickle_kind kind)
{
    static const char *const names[] = { "None",           "a bool",       "an integer",
                                         "a long integer", "a float",      "a text",
                                         "bytes",          "a tuple",      "a list",
                                         "a set",          "a dictionary", "a class or function",
                                         "a storage",      "a tensor",     "a mark" };

    return names[kind];
}

deq_status(deq_pickle_fail)(const deq_pickle *p, const char *format, ...)
{
    char text[DEQ_MESSAGE_BYTES];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return deq_source_fail(p->s, p->here, "%s", text);
}

/* The stack. */

static deq_status push(deq_pickle *p, deq_pickle_value v)
{
    void *stack = p->stack;
    deq_status status = deq_grow(p->ctx, &stack, &p->stack_capacity, p->depth + 1, sizeof v);

    p->stack = stack;
    DEQ_TRY(status);
    p->stack[p->depth++] = v;
    return DEQ_OK;
}

static deq_status pop(deq_pickle *p, deq_pickle_value *v)
{
    if (p->depth == 0 || p->stack[p->depth - 1].kind == DEQ_PICKLE_MARK)
        return deq_pickle_fail(p, "nothing left on the stack for the operation");
    *v = p->stack[--p->depth];
    return DEQ_OK;
}

/* The values above the last mark: from stack[*first] on; the mark is below. */
static deq_status find_mark(deq_pickle *p, size_t *first)
{
    for (size_t i = p->depth; i > 0; i--)
        if (p->stack[i - 1].kind == DEQ_PICKLE_MARK) {
            *first = i;
            return DEQ_OK;
        }
    return deq_pickle_fail(p, "no mark on the stack for the operation");
}

/* The container just below stack[at]. */
static deq_status container(deq_pickle *p, size_t at, deq_pickle_kind kind, deq_pickle_list **list)
{
    if (at == 0 || p->stack[at - 1].kind != kind)
        return deq_pickle_fail(p, "expected %s to add to, found %s", deq_pickle_kind_name(kind),
                               at == 0 ? "nothing" : deq_pickle_kind_name(p->stack[at - 1].kind));
    *list = p->stack[at - 1].as.list;
    return DEQ_OK;
}

/* Lists grow inside the arena: what is left behind is less than what is used. */
deq_status deq_pickle_append(deq_pickle *p, deq_pickle_list *list, const deq_pickle_value *items,
                             size_t count)
{
    if (count > list->capacity - list->count) {
        size_t capacity = 2 * list->capacity;
        if (capacity < list->count + count) capacity = list->count + count;
        deq_pickle_value *larger = deq_arena_alloc(&p->arena, capacity * sizeof *larger);
        if (!larger) return DEQ_ERR_NOMEM;
        if (list->count) memcpy(larger, list->items, list->count * sizeof *larger);
        list->items = larger;
        list->capacity = capacity;
    }
    if (count) memcpy(list->items + list->count, items, count * sizeof *items);
    list->count += count;
    return DEQ_OK;
}

deq_pickle_list *deq_pickle_new_list(deq_pickle *p, const deq_pickle_value *items, size_t count)
{
    deq_pickle_list *list = deq_arena_alloc(&p->arena, sizeof *list);

    if (list && deq_pickle_append(p, list, items, count) != DEQ_OK) return NULL;
    return list;
}

/* Replace stack[first..] by a container of these values. */
static deq_status collect(deq_pickle *p, size_t first, size_t below, deq_pickle_kind kind)
{
    deq_pickle_list *list = deq_pickle_new_list(p, p->stack + first, p->depth - first);

    if (!list) return DEQ_ERR_NOMEM;
    p->depth = first - below;
    return push(p, (deq_pickle_value){ .kind = kind, .as.list = list });
}

static deq_status collect_marked(deq_pickle *p, deq_pickle_kind kind)
{
    size_t first = 0;

    DEQ_TRY(find_mark(p, &first));
    if (kind == DEQ_PICKLE_DICT && (p->depth - first) % 2 != 0)
        return deq_pickle_fail(p, "a key without a value");
    return collect(p, first, 1, kind);
}

/* TUPLE1, TUPLE2, TUPLE3: they must not reach below a mark. */
static deq_status collect_tuple(deq_pickle *p, size_t count)
{
    if (p->depth < count) return deq_pickle_fail(p, "too few values for a tuple");
    for (size_t i = p->depth - count; i < p->depth; i++)
        if (p->stack[i].kind == DEQ_PICKLE_MARK)
            return deq_pickle_fail(p, "too few values for a tuple");
    return collect(p, p->depth - count, 0, DEQ_PICKLE_TUPLE);
}

static deq_status add_marked(deq_pickle *p, deq_pickle_kind kind)
{
    size_t first = 0;
    deq_pickle_list *list = NULL;

    DEQ_TRY(find_mark(p, &first));
    DEQ_TRY(container(p, first - 1, kind, &list));
    if (kind == DEQ_PICKLE_DICT && (p->depth - first) % 2 != 0)
        return deq_pickle_fail(p, "a key without a value");
    DEQ_TRY(deq_pickle_append(p, list, p->stack + first, p->depth - first));
    p->depth = first - 1;
    return DEQ_OK;
}

/* APPEND and SETITEM: the last `count` values into the container below them. */
static deq_status add_last(deq_pickle *p, deq_pickle_kind kind, size_t count)
{
    deq_pickle_list *list = NULL;

    if (p->depth <= count) return deq_pickle_fail(p, "too few values to add");
    for (size_t i = p->depth - count; i < p->depth; i++)
        if (p->stack[i].kind == DEQ_PICKLE_MARK) return deq_pickle_fail(p, "too few values to add");
    DEQ_TRY(container(p, p->depth - count, kind, &list));
    DEQ_TRY(deq_pickle_append(p, list, p->stack + p->depth - count, count));
    p->depth -= count;
    return DEQ_OK;
}

/* Arguments of operations. */

static deq_status take(deq_pickle *p, const unsigned char **bytes, size_t count)
{
    if (count > p->end - p->at)
        return deq_pickle_fail(p, "the operation needs %zu more bytes, but %zu are left", count,
                               p->end - p->at);
    *bytes = p->s->data + p->at;
    p->at += count;
    return DEQ_OK;
}

static deq_status take_number(deq_pickle *p, uint64_t *number, size_t size)
{
    const unsigned char *bytes = NULL;

    DEQ_TRY(take(p, &bytes, size));
    *number = 0;
    for (size_t i = size; i > 0; i--) *number = *number << 8 | bytes[i - 1];
    return DEQ_OK;
}

static deq_status take_line(deq_pickle *p, const char **line, size_t *length)
{
    const unsigned char *start = p->s->data + p->at;
    const unsigned char *end = memchr(start, '\n', p->end - p->at);

    if (!end) return deq_pickle_fail(p, "a line that does not end");
    *line = (const char *)start;
    *length = (size_t)(end - start);
    p->at += *length + 1;
    return DEQ_OK;
}

static deq_status push_text(deq_pickle *p, deq_pickle_kind kind, size_t length_size)
{
    uint64_t length;
    const unsigned char *bytes = NULL;

    DEQ_TRY(take_number(p, &length, length_size));
    if (length > p->end - p->at)
        return deq_pickle_fail(p, "%s of %llu bytes, but %zu are left", deq_pickle_kind_name(kind),
                               (unsigned long long)length, p->end - p->at);
    DEQ_TRY(take(p, &bytes, (size_t)length));
    deq_pickle_text *text = deq_arena_alloc(&p->arena, sizeof *text);
    char *copy = deq_arena_alloc(&p->arena, (size_t)length + 1);
    if (!text || !copy) return DEQ_ERR_NOMEM;
    if (length) memcpy(copy, bytes, (size_t)length);
    *text = (deq_pickle_text){ copy, (size_t)length };
    return push(p, (deq_pickle_value){ .kind = kind, .as.text = text });
}

static deq_status push_integer(deq_pickle *p, size_t size, bool is_signed)
{
    uint64_t bits;

    DEQ_TRY(take_number(p, &bits, size));
    if (is_signed && bits >> (8 * size - 1) & 1) bits |= ~(UINT64_MAX >> (64 - 8 * size));
    return push(p, (deq_pickle_value){ .kind = DEQ_PICKLE_INT,
                                       .as.integer = bits > INT64_MAX ? -(int64_t)~bits - 1
                                                                      : (int64_t)bits });
}

/* LONG1 and LONG4: two's complement of any length. */
static deq_status push_long(deq_pickle *p, size_t length_size)
{
    const size_t start = p->at;
    uint64_t length;

    DEQ_TRY(take_number(p, &length, length_size));
    if (length == 0) return push(p, (deq_pickle_value){ .kind = DEQ_PICKLE_INT });
    if (length <= 8) return push_integer(p, (size_t)length, true);
    p->at = start;
    return push_text(p, DEQ_PICKLE_BIG, length_size);
}

static deq_status push_float(deq_pickle *p)
{
    const unsigned char *bytes = NULL;
    uint64_t bits = 0;
    deq_pickle_value v = { .kind = DEQ_PICKLE_FLOAT };

    DEQ_TRY(take(p, &bytes, 8));
    for (int i = 0; i < 8; i++) bits = bits << 8 | bytes[i];
    memcpy(&v.as.real, &bits, sizeof bits);
    return push(p, v);
}

/* The memo. */

static deq_status put_memo(deq_pickle *p, uint64_t i)
{
    void *memo = p->memo;

    if (p->depth == 0) return deq_pickle_fail(p, "nothing on the stack to remember");
    if (i > p->operations)
        return deq_pickle_fail(p, "memo entry %llu after %zu operations", (unsigned long long)i,
                               p->operations);
    deq_status status = deq_grow(p->ctx, &memo, &p->memo_capacity, (size_t)i + 1, sizeof *p->memo);
    p->memo = memo;
    DEQ_TRY(status);
    p->memo[i] = p->stack[p->depth - 1];
    return DEQ_OK;
}

static deq_status get_memo(deq_pickle *p, size_t index_size)
{
    uint64_t i;

    DEQ_TRY(take_number(p, &i, index_size));
    /* None is never remembered: an entry of that kind is an empty one. */
    if (i >= p->memo_capacity || p->memo[i].kind == DEQ_PICKLE_NONE)
        return deq_pickle_fail(p, "memo entry %llu was never made", (unsigned long long)i);
    return push(p, p->memo[i]);
}

static deq_status put_memo_at(deq_pickle *p, size_t index_size)
{
    uint64_t i;

    DEQ_TRY(take_number(p, &i, index_size));
    return put_memo(p, i);
}

/* Classes, functions, and what they make. */

static deq_status push_global(deq_pickle *p)
{
    const char *module = NULL, *name = NULL;
    size_t module_length = 0, name_length = 0;
    deq_pickle_value v;

    DEQ_TRY(take_line(p, &module, &module_length));
    DEQ_TRY(take_line(p, &name, &name_length));
    DEQ_TRY(deq_pickle_find_global(p, &v, module, module_length, name, name_length));
    return push(p, v);
}

static deq_status push_stack_global(deq_pickle *p)
{
    deq_pickle_value name = { 0 }, module = { 0 }, v;

    DEQ_TRY(pop(p, &name));
    DEQ_TRY(pop(p, &module));
    if (name.kind != DEQ_PICKLE_TEXT || module.kind != DEQ_PICKLE_TEXT)
        return deq_pickle_fail(p, "the name of a class or function must be two texts");
    DEQ_TRY(deq_pickle_find_global(p, &v, module.as.text->data, module.as.text->length,
                                   name.as.text->data, name.as.text->length));
    return push(p, v);
}

static deq_status reduce(deq_pickle *p)
{
    deq_pickle_value arguments, function, v;

    DEQ_TRY(pop(p, &arguments));
    DEQ_TRY(pop(p, &function));
    DEQ_TRY(deq_pickle_apply(p, &v, function, arguments));
    return push(p, v);
}

/* The attributes of a dictionary (PyTorch's _metadata) or a parameter are of no use here. */
static deq_status build(deq_pickle *p)
{
    deq_pickle_value attributes;

    DEQ_TRY(pop(p, &attributes));
    if (p->depth == 0 || (p->stack[p->depth - 1].kind != DEQ_PICKLE_DICT &&
                          p->stack[p->depth - 1].kind != DEQ_PICKLE_TENSOR))
        return deq_pickle_fail(p, "attributes for what is neither a dictionary nor a tensor");
    return DEQ_OK;
}

static deq_status persistent(deq_pickle *p)
{
    deq_pickle_value id, v;

    DEQ_TRY(pop(p, &id));
    DEQ_TRY(deq_pickle_find_storage(p, &v, id));
    return push(p, v);
}

static deq_status push_empty(deq_pickle *p, deq_pickle_kind kind)
{
    deq_pickle_list *list = deq_pickle_new_list(p, NULL, 0);

    if (!list) return DEQ_ERR_NOMEM;
    return push(p, (deq_pickle_value){ .kind = kind, .as.list = list });
}

static deq_status push_simple(deq_pickle *p, deq_pickle_kind kind, int64_t integer)
{
    return push(p, (deq_pickle_value){ .kind = kind, .as.integer = integer });
}

static deq_status pop_mark(deq_pickle *p)
{
    size_t first = 0;

    DEQ_TRY(find_mark(p, &first));
    p->depth = first - 1;
    return DEQ_OK;
}

static deq_status duplicate(deq_pickle *p)
{
    deq_pickle_value v;

    DEQ_TRY(pop(p, &v));
    DEQ_TRY(push(p, v));
    return push(p, v);
}

static deq_status protocol(deq_pickle *p)
{
    uint64_t version;

    DEQ_TRY(take_number(p, &version, 1));
    if (version < 2 || version > 5)
        return deq_source_refuse(p->s, DEQ_ERR_UNSUPPORTED, p->here,
                                 "pickle protocol %u; known are 2 to 5", (unsigned)version);
    return DEQ_OK;
}

static deq_status skip_frame(deq_pickle *p)
{
    uint64_t length;

    return take_number(p, &length, 8);
}

static deq_status drop(deq_pickle *p)
{
    if (p->depth == 0) return deq_pickle_fail(p, "nothing on the stack to drop");
    p->depth--;
    return DEQ_OK;
}

static deq_status execute(deq_pickle *p, int operation)
{
    switch (operation) {
    case 0x80: return protocol(p);                        /* PROTO */
    case 0x95: return skip_frame(p);                      /* FRAME */
    case '(': return push_simple(p, DEQ_PICKLE_MARK, 0);  /* MARK */
    case '0': return drop(p);                             /* POP */
    case '1': return pop_mark(p);                         /* POP_MARK */
    case '2': return duplicate(p);                        /* DUP */
    case 'N': return push_simple(p, DEQ_PICKLE_NONE, 0);  /* NONE */
    case 0x88: return push_simple(p, DEQ_PICKLE_BOOL, 1); /* NEWTRUE */
    case 0x89: return push_simple(p, DEQ_PICKLE_BOOL, 0); /* NEWFALSE */
    case 'J': return push_integer(p, 4, true);            /* BININT */
    case 'K': return push_integer(p, 1, false);           /* BININT1 */
    case 'M': return push_integer(p, 2, false);           /* BININT2 */
    case 0x8a: return push_long(p, 1);                    /* LONG1 */
    case 0x8b: return push_long(p, 4);                    /* LONG4 */
    case 'G': return push_float(p);                       /* BINFLOAT */
    case 'X': return push_text(p, DEQ_PICKLE_TEXT, 4);    /* BINUNICODE */
    case 0x8c: return push_text(p, DEQ_PICKLE_TEXT, 1);   /* SHORT_BINUNICODE */
    case 0x8d: return push_text(p, DEQ_PICKLE_TEXT, 8);   /* BINUNICODE8 */
    case 'T': return push_text(p, DEQ_PICKLE_TEXT, 4);    /* BINSTRING */
    case 'U': return push_text(p, DEQ_PICKLE_TEXT, 1);    /* SHORT_BINSTRING */
    case 'B': return push_text(p, DEQ_PICKLE_BYTES, 4);   /* BINBYTES */
    case 'C': return push_text(p, DEQ_PICKLE_BYTES, 1);   /* SHORT_BINBYTES */
    case 0x8e: return push_text(p, DEQ_PICKLE_BYTES, 8);  /* BINBYTES8 */
    case ')': return push_empty(p, DEQ_PICKLE_TUPLE);     /* EMPTY_TUPLE */
    case ']': return push_empty(p, DEQ_PICKLE_LIST);      /* EMPTY_LIST */
    case '}': return push_empty(p, DEQ_PICKLE_DICT);      /* EMPTY_DICT */
    case 0x8f: return push_empty(p, DEQ_PICKLE_SET);      /* EMPTY_SET */
    case 't': return collect_marked(p, DEQ_PICKLE_TUPLE); /* TUPLE */
    case 'l': return collect_marked(p, DEQ_PICKLE_LIST);  /* LIST */
    case 'd': return collect_marked(p, DEQ_PICKLE_DICT);  /* DICT */
    case 0x85: return collect_tuple(p, 1);                /* TUPLE1 */
    case 0x86: return collect_tuple(p, 2);                /* TUPLE2 */
    case 0x87: return collect_tuple(p, 3);                /* TUPLE3 */
    case 'a': return add_last(p, DEQ_PICKLE_LIST, 1);     /* APPEND */
    case 's': return add_last(p, DEQ_PICKLE_DICT, 2);     /* SETITEM */
    case 'e': return add_marked(p, DEQ_PICKLE_LIST);      /* APPENDS */
    case 'u': return add_marked(p, DEQ_PICKLE_DICT);      /* SETITEMS */
    case 0x90: return add_marked(p, DEQ_PICKLE_SET);      /* ADDITEMS */
    case 'q': return put_memo_at(p, 1);                   /* BINPUT */
    case 'r': return put_memo_at(p, 4);                   /* LONG_BINPUT */
    case 'h': return get_memo(p, 1);                      /* BINGET */
    case 'j': return get_memo(p, 4);                      /* LONG_BINGET */
    case 0x94: return put_memo(p, p->memo_next++);        /* MEMOIZE */
    case 'c': return push_global(p);                      /* GLOBAL */
    case 0x93: return push_stack_global(p);               /* STACK_GLOBAL */
    case 'R': return reduce(p);                           /* REDUCE */
    case 'b': return build(p);                            /* BUILD */
    case 'Q': return persistent(p);                       /* BINPERSID */
    default:
        return deq_source_refuse(p->s, DEQ_ERR_UNSUPPORTED, p->here,
                                 "pickle operation 0x%02x, which containers of tensors do not need",
                                 (unsigned)operation);
    }
}

static deq_status run(deq_pickle *p, deq_pickle_value *result)
{
    for (;;) {
        const unsigned char *operation;
        p->here = p->at;
        if (p->at == p->end)
            return deq_pickle_fail(p, p->end < p->s->size ? "the pickle is longer than any we read"
                                                          : "the pickle does not end");
        DEQ_TRY(take(p, &operation, 1));
        p->operations++;
        if (*operation == '.') break; /* STOP */
        DEQ_TRY(execute(p, *operation));
    }
    DEQ_TRY(pop(p, result));
    if (p->depth > 0) return deq_pickle_fail(p, "the pickle ends with values left over");
    return DEQ_OK;
}

deq_status deq_pickle_load(deq_pickle *p, deq_pickle_value *result, const deq_source *s, size_t *at)
{
    p->s = s;
    p->at = *at;
    p->end = s->size - *at > DEQ_PICKLE_MAX_BYTES ? *at + DEQ_PICKLE_MAX_BYTES : s->size;
    p->memo_next = 0;
    deq_status status = run(p, result);
    free_machine(p);
    *at = p->at;
    return status;
}
