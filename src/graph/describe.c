/* SPDX-License-Identifier: MIT */
/* A program as text, JSON or Graphviz: what was hoisted, fused and reordered, and what it costs. */
#include "graph/program_internal.h"

#include "base/text.h"

#include <stdio.h>

typedef struct writer {
    deq_write_fn *write;
    void *user;
    bool failed;
} writer;

static void put(writer *w, const char *format, ...) DEQ_PRINTF(2, 3);
static void put(writer *w, const char *format, ...)
{
    char line[2048];
    va_list args;
    if (w->failed) return;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    size_t length = n < 0 ? 0 : (size_t)n < sizeof line ? (size_t)n : sizeof line - 1;
    w->failed = !w->write(w->user, line, length);
}

static const char *const stage_names[DEQ_STAGES] = { "constant", "parameter", "injected", "state" };
static const char *const stage_notes[DEQ_STAGES] = { "when compiled", "once per parameter change",
                                                     "once per injected input", "every iteration" };

static const char *layout_name(deq_layout layout)
{
    return layout == DEQ_LAYOUT_PLAIN ? "plain" : "channels-last";
}

/* "conv2d + add + relu" */
static void group_title(deq_text *t, const deq_program *p, int group)
{
    if (group < 0) return;
    const deq_group *grp = &p->groups[group];
    for (int i = 0; i < grp->n_nodes; i++)
        deq_text_add(t, "%s%s", i ? " + " : "", p->graph->nodes[grp->nodes[i]].op->name);
}

static void group_outputs(deq_text *t, const deq_program *p, int group)
{
    if (group < 0) return;
    const deq_group *grp = &p->groups[group];
    for (int i = 0; i < grp->n_outputs; i++) {
        deq_text_add(t, i ? ", " : "");
        deq_text_add_value(t, p->graph, grp->outputs[i]);
        if (p->layout[grp->outputs[i].id] == DEQ_LAYOUT_CHANNELS_LAST)
            deq_text_add(t, " %s", layout_name(DEQ_LAYOUT_CHANNELS_LAST));
    }
}

/* Text --------------------------------------------------------------------------------------- */

static void text_step(writer *w, const deq_program *p, int index, const deq_step *s)
{
    char title[512] = "", outputs[512] = "";
    deq_text t = { title, sizeof title, 0 }, o = { outputs, sizeof outputs, 0 };
    group_title(&t, p, s->group);
    group_outputs(&o, p, s->group);
    put(w, "  %4d  %-28s %10.3f MFLOP %10.3f MB  %s%s%s\n", index, s->kernel, s->flops * 1e-6,
        s->bytes * 1e-6, title, *outputs ? " -> " : "", outputs);
}

static void describe_text(writer *w, const deq_program *p)
{
    deq_program_info info = deq_program_stats(p);
    put(w, "program: %d nodes, %d threads, %.3f MB arena, %.3f MB parameters\n", info.n_nodes,
        p->threads, (double)info.arena_bytes * 1e-6, (double)info.parameter_bytes * 1e-6);
    for (int stage = 0; stage < DEQ_STAGES; stage++) {
        if (!p->n_steps[stage]) continue;
        put(w, "stage %s (%s): %d steps, %.3f MFLOP, %.3f MB moved\n", stage_names[stage],
            stage_notes[stage], info.n_steps[stage], info.flops[stage] * 1e-6,
            info.bytes[stage] * 1e-6);
        for (size_t k = 0; k < p->n_steps[stage]; k++) text_step(w, p, (int)k, &p->steps[stage][k]);
    }
    for (int i = 0; i < p->n_bindings; i++) {
        const deq_binding *b = &p->bindings[i];
        char type[256];
        put(w, "%s %d: %s, %s%s\n", b->is_input ? "input" : "output", (int)b->value.id,
            deq_type_format(type, sizeof type, &b->type), layout_name(b->layout),
            b->slot < 0 ? ", unused" : "");
    }
}

/* JSON --------------------------------------------------------------------------------------- */

/* Bytes of the UTF-8 character that s begins with; 0 if they are none (RFC 3629, section 4). */
static int utf8_length(const unsigned char *s)
{
    int n = s[0] < 0x80   ? 1
            : s[0] < 0xC2 ? 0
            : s[0] < 0xE0 ? 2
            : s[0] < 0xF0 ? 3
            : s[0] < 0xF5 ? 4
                          : 0;
    unsigned char low = s[0] == 0xE0 ? 0xA0 : s[0] == 0xF0 ? 0x90 : 0x80;
    unsigned char high = s[0] == 0xED ? 0x9F : s[0] == 0xF4 ? 0x8F : 0xBF;
    if (n > 1 && (s[1] < low || s[1] > high)) return 0;
    for (int i = 2; i < n; i++)
        if (s[i] < 0x80 || s[i] > 0xBF) return 0; /* the end of the string among them */
    return n;
}

/* A JSON string with its quotes; control characters and what is not UTF-8 become spaces. */
static void put_string(writer *w, const char *string)
{
    put(w, "\"");
    for (const unsigned char *s = (const unsigned char *)string; *s;) {
        int n = utf8_length(s);
        if (n == 0 || *s < 0x20)
            put(w, " ");
        else
            put(w, "%s%.*s", *s == '"' || *s == '\\' ? "\\" : "", n, (const char *)s);
        s += n ? n : 1;
    }
    put(w, "\"");
}

static void put_slots(writer *w, const char *key, const int *slots, int n)
{
    put(w, ", \"%s\": [", key);
    for (int i = 0; i < n; i++) put(w, "%s%d", i ? ", " : "", slots[i]);
    put(w, "]");
}

static void json_step(writer *w, const deq_program *p, const deq_step *s)
{
    char outputs[1024] = "";
    deq_text o = { outputs, sizeof outputs, 0 };
    group_outputs(&o, p, s->group);
    put(w, "    {\"kernel\": ");
    put_string(w, s->kernel);
    put(w, ", \"operators\": [");
    const deq_group *grp = s->group < 0 ? NULL : &p->groups[s->group];
    for (int i = 0; grp && i < grp->n_nodes; i++) {
        if (i) put(w, ", ");
        put_string(w, p->graph->nodes[grp->nodes[i]].op->name);
    }
    put(w, "], \"outputs\": ");
    put_string(w, outputs);
    /* Whole numbers: a decimal point would be a comma in some locales. */
    put(w, ", \"flops\": %.0f, \"bytes\": %.0f", s->flops, s->bytes);
    put_slots(w, "reads", s->reads, s->n_reads);
    put_slots(w, "writes", s->writes, s->n_writes);
    put(w, "}");
}

static void json_bindings(writer *w, const deq_program *p)
{
    put(w, "  \"values\": [\n");
    for (int i = 0; i < p->n_bindings; i++) {
        const deq_binding *b = &p->bindings[i];
        char type[256];
        put(w,
            "    {\"kind\": \"%s\", \"id\": %d, \"type\": \"%s\", \"layout\": \"%s\", \"slot\": %d}%s\n",
            b->is_input ? "input" : "output", (int)b->value.id,
            deq_type_format(type, sizeof type, &b->type), layout_name(b->layout), b->slot,
            i + 1 < p->n_bindings ? "," : "");
    }
    put(w, "  ],\n");
}

static void json_slots(writer *w, const deq_program *p)
{
    put(w, "  \"slots\": [\n");
    for (size_t i = 0; i < p->n_slots; i++)
        put(w, "    {\"bytes\": %zu, \"offset\": %zu, \"stage\": \"%s\", \"parameter\": %s}%s\n",
            p->slots[i].bytes, p->slots[i].offset, stage_names[p->slots[i].stage],
            p->slots[i].kind == DEQ_SLOT_PARAMETER ? "true" : "false",
            i + 1 < p->n_slots ? "," : "");
    put(w, "  ]\n");
}

static void describe_json(writer *w, const deq_program *p)
{
    deq_program_info info = deq_program_stats(p);
    put(w, "{\n  \"nodes\": %d,\n  \"threads\": %d,\n  \"arena_bytes\": %zu,\n", info.n_nodes,
        p->threads, info.arena_bytes);
    put(w, "  \"parameter_bytes\": %zu,\n  \"stages\": {\n", info.parameter_bytes);
    for (int stage = 0; stage < DEQ_STAGES; stage++) {
        put(w, "   \"%s\": [", stage_names[stage]);
        for (size_t k = 0; k < p->n_steps[stage]; k++) {
            put(w, k ? ",\n" : "\n");
            json_step(w, p, &p->steps[stage][k]);
        }
        put(w, "]%s\n", stage + 1 < DEQ_STAGES ? "," : "");
    }
    put(w, "  },\n");
    json_bindings(w, p);
    json_slots(w, p);
    put(w, "}\n");
}

/* Graphviz ----------------------------------------------------------------------------------- */

static const char *const stage_colours[DEQ_STAGES] = { "#eeeeee", "#dbe9f6", "#e2f0d9", "#fde9d9" };

/* An edge from every step that wrote a slot to this step; slots nobody writes are leaves. */
static void dot_edges(writer *w, const deq_program *p, int *writer_of, int index, const deq_step *s)
{
    for (int i = 0; i < s->n_reads; i++) {
        int from = writer_of[s->reads[i]];
        if (from < 0)
            put(w, "  slot%d -> step%d;\n", s->reads[i], index);
        else
            put(w, "  step%d -> step%d [label=\"%.2f MB\"];\n", from, index,
                (double)p->slots[s->reads[i]].bytes * 1e-6);
    }
    for (int i = 0; i < s->n_writes; i++) writer_of[s->writes[i]] = index;
}

static void dot_step(writer *w, const deq_program *p, int index, const deq_step *s)
{
    char title[512] = "";
    deq_text t = { title, sizeof title, 0 };
    group_title(&t, p, s->group);
    put(w, "  step%d [label=\"%s\\n%s\\n%.3f MFLOP\", fillcolor=\"%s\"];\n", index, s->kernel,
        title, s->flops * 1e-6, stage_colours[s->stage]);
}

static deq_status describe_dot(writer *w, const deq_program *p)
{
    int *writer_of = deq_alloc_array(p->ctx, p->n_slots + 1, sizeof *writer_of);
    if (!writer_of) return DEQ_ERR_NOMEM;
    for (size_t i = 0; i < p->n_slots; i++) writer_of[i] = -1;
    put(w, "digraph program {\n  rankdir=TB;\n  node [shape=box, style=filled, fontsize=10];\n");
    for (int i = 0; i < p->n_bindings; i++) {
        const deq_binding *b = &p->bindings[i];
        char type[256];
        if (b->is_input && b->slot >= 0)
            put(w, "  slot%d [label=\"input %d\\n%s\", shape=ellipse];\n", b->slot,
                (int)b->value.id, deq_type_format(type, sizeof type, &b->type));
    }
    int index = 0;
    for (int stage = 0; stage < DEQ_STAGES; stage++)
        for (size_t k = 0; k < p->n_steps[stage]; k++, index++) {
            dot_step(w, p, index, &p->steps[stage][k]);
            dot_edges(w, p, writer_of, index, &p->steps[stage][k]);
        }
    put(w, "}\n");
    deq_release(p->ctx, writer_of, (p->n_slots + 1) * sizeof *writer_of);
    return DEQ_OK;
}

deq_status deq_program_describe(const deq_program *p, deq_describe_format format,
                                deq_write_fn *write, void *user)
{
    writer w = { write, user, false };
    deq_status status = DEQ_OK;
    if (!write) return DEQ_ERR_ARGUMENT;
    switch (format) {
    case DEQ_DESCRIBE_TEXT: describe_text(&w, p); break;
    case DEQ_DESCRIBE_JSON: describe_json(&w, p); break;
    case DEQ_DESCRIBE_DOT: status = describe_dot(&w, p); break;
    default: return DEQ_ERR_ARGUMENT;
    }
    return status != DEQ_OK ? status : w.failed ? DEQ_ERR_IO : DEQ_OK;
}
