/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Compiled programs: a graph, made ready to run many times.
 *
 * Compiling removes dead and repeated work, folds constants, sorts nodes into stages by what they
 * depend on (so that loop-invariant work leaves the loop), fuses, chooses memory layouts and places
 * every buffer in one arena.  A run allocates nothing, creates nothing and looks nothing up.
 *
 * A program keeps no reference to the graph.  One thread at a time may use a program; different
 * programs may run in different threads.
 */
#ifndef DEQ_PROGRAM_H
#define DEQ_PROGRAM_H

#include <deq/graph.h>
#include <deq/workspace.h>

#ifdef __cplusplus
extern "C" {
#endif

/** See program.h. */
typedef struct deq_program deq_program;

/** Settings of deq_compile().  Start from deq_compile_defaults(). */
typedef struct deq_compile_options {
    size_t struct_size; /**< sizeof(deq_compile_options) */
    int threads;        /**< threads a run may use, >= 1; 0 for the context's */
    bool simplify;      /**< dead code, common subexpressions, constants, splitting; default true */
    bool fuse;          /**< fused groups instead of one kernel a node; default true */
    bool tuned;         /**< tuned kernels; false: reference kernels only; default true */
    bool layout;        /**< channels-last activations around convolutions; default true */
    /** 3x3 convolutions and their input gradients in f32 by Winograd's F(4x4, 3x3), where that is
     *  estimated to be faster; the error of a pixel may reach 1e-6 of the largest sum |x||w| near
     *  it.  Default false. */
    bool winograd;
    /** Inputs and outputs whose memory layout the program may choose (deq_program_layout()); all
     *  of one type then have the same layout, so a solver can feed an output back as an input. */
    const deq_value *native;
    int n_native;             /**< length of native */
    deq_workspace *workspace; /**< NULL (default): memory of its own; otherwise see workspace.h */
} deq_compile_options;

/** How the elements of an input or output lie in memory. */
typedef enum deq_layout {
    DEQ_LAYOUT_PLAIN = 0,    /**< row-major in the order of the axes */
    DEQ_LAYOUT_CHANNELS_LAST /**< [B, C, H, W] stored as [B, H, W, C] */
} deq_layout;

/** What a program takes and costs; see deq_program_stats(). */
typedef struct deq_program_info {
    size_t arena_bytes;     /**< planned memory: every buffer, constants included, also what lies in
                                 a workspace */
    size_t parameter_bytes; /**< values bound from parameter stores */
    int n_nodes;            /**< nodes after simplification */
    int n_steps[4];         /**< kernels run, by deq_stage */
    double flops[4];        /**< floating point operations, by deq_stage */
    double bytes[4];        /**< bytes read and written by the kernels, by deq_stage */
} deq_program_info;

/**
 * The default settings: everything on except Winograd.
 *
 * @return a struct to change and pass to deq_compile().
 */
DEQ_API deq_compile_options deq_compile_defaults(void);

/**
 * Compile a graph.
 *
 * @param out       receives the program; free with deq_program_free().  NULL on failure.
 * @param g         a graph; it is not changed, may be extended and compiled again, or freed.
 * @param outputs   n_outputs values of g, of any dtype; the same value may appear twice.
 * @param n_outputs at least 1.
 * @param options   NULL for the defaults.
 * @return DEQ_OK; the first mistake of the graph; DEQ_ERR_ARGUMENT; DEQ_ERR_NOMEM; DEQ_ERR_BACKEND.
 *         deq_last_error() of the graph's context explains.
 */
DEQ_API deq_status deq_compile(deq_program **out, deq_graph *g, const deq_value *outputs,
                               int n_outputs, const deq_compile_options *options);

/**
 * Free a program.
 *
 * @param p NULL is allowed.
 */
DEQ_API void deq_program_free(deq_program *p);

/**
 * Compute everything of stage `from` and above.  DEQ_STAGE_PARAMETER runs all; after a change of the
 * injected input only, DEQ_STAGE_INJECTED is enough; when only the state moved, DEQ_STAGE_STATE.
 * The first run must be from DEQ_STAGE_PARAMETER.
 *
 * @param p    a program.
 * @param from DEQ_STAGE_PARAMETER, DEQ_STAGE_INJECTED or DEQ_STAGE_STATE.
 * @return DEQ_OK; DEQ_ERR_ARGUMENT for another stage; DEQ_ERR_STATE when an earlier stage has never
 *         run, or failed, or has an output that was bound since; DEQ_ERR_DATA when a kernel
 *         refuses its data (an index out of range); DEQ_ERR_BACKEND.  deq_program_error() explains;
 *         outputs then hold unspecified values.
 */
DEQ_API deq_status deq_program_run(deq_program *p, deq_stage from);

/**
 * Copy data into an input.  Does not run anything.
 *
 * @param p     a program.
 * @param input an input of the graph (as deq_input() returned it).
 * @param data  row-major elements of the input's type; converted if its layout is another.
 * @param bytes size of data; must equal the size of the type.
 * @return DEQ_OK; DEQ_ERR_NAME when the value is no input of this program; DEQ_ERR_SHAPE when bytes
 *         differs.  An input that the outputs do not depend on is accepted and ignored.
 */
DEQ_API deq_status deq_program_write(deq_program *p, deq_value input, const void *data,
                                     size_t bytes);

/**
 * Copy an output (or an input) out.
 *
 * @param p     a program.
 * @param value one of the outputs given to deq_compile(), or an input.
 * @param data  receives row-major elements.
 * @param bytes size of data; must equal the size of the type.
 * @return DEQ_OK, DEQ_ERR_NAME, DEQ_ERR_SHAPE.
 */
DEQ_API deq_status deq_program_read(deq_program *p, deq_value value, void *data, size_t bytes);

/**
 * Let an input or output live in memory of the caller.  Costs nothing: a pointer is stored.  An
 * output moved so must be computed again by a run from its stage before a later stage may run.
 *
 * @param p      a program.
 * @param value  an input or output; a value that is both, or appears twice, is one place.
 * @param memory 64-byte aligned, in the layout of deq_program_layout(); must stay valid for every
 *               run until bound again.  NULL returns to the program's own memory.  It must not
 *               overlap another value of the program.
 * @return DEQ_OK, DEQ_ERR_NAME, DEQ_ERR_ARGUMENT (alignment).
 */
DEQ_API deq_status deq_program_bind(deq_program *p, deq_value value, void *memory);

/**
 * Bind gradient outputs to the gradient vector of a store, so that an optimiser finds them there.
 *
 * @param p          a program whose outputs include `grads`.
 * @param parameters an allocated store.
 * @param grads      deq_parameters_count(parameters) values, as deq_gradients() gave them.
 * @return DEQ_OK, DEQ_ERR_NAME, DEQ_ERR_STATE (store not allocated).
 */
DEQ_API deq_status deq_program_bind_gradients(deq_program *p, deq_parameters *parameters,
                                              const deq_value *grads);

/**
 * Where an input or output lies now.
 *
 * @param p     a program.
 * @param value an input or output.
 * @return its memory, in the layout of deq_program_layout(); NULL for other values.
 */
DEQ_API void *deq_program_data(deq_program *p, deq_value value);

/**
 * The layout of an input or output: DEQ_LAYOUT_PLAIN unless it was named in options.native.
 *
 * @param p     a program.
 * @param value an input or output.
 * @return the layout.
 */
DEQ_API deq_layout deq_program_layout(const deq_program *p, deq_value value);

/**
 * Copy between plain and native memory of an input or output of this program.
 *
 * @param p         a program.
 * @param value     an input or output.
 * @param native    memory in the layout of deq_program_layout().
 * @param plain     row-major memory.
 * @param to_native true: plain to native; false: native to plain.
 * @return DEQ_OK, DEQ_ERR_NAME.
 */
DEQ_API deq_status deq_program_convert(const deq_program *p, deq_value value, void *native,
                                       void *plain, bool to_native);

/**
 * The message of the last failing call on this program.
 *
 * @param p a program.
 * @return "" when there was none; valid until the next failing call.
 */
DEQ_API const char *deq_program_error(const deq_program *p);

/**
 * What the program takes and costs.
 *
 * @param p a program.
 * @return sizes and counts.
 */
DEQ_API deq_program_info deq_program_stats(const deq_program *p);

/** How deq_program_describe() writes. */
typedef enum deq_describe_format {
    DEQ_DESCRIBE_TEXT, /**< a table for people */
    DEQ_DESCRIBE_JSON, /**< one JSON object */
    DEQ_DESCRIBE_DOT   /**< Graphviz */
} deq_describe_format;

/** Receives text piece by piece; returns false to stop. */
typedef bool deq_write_fn(void *user, const char *text, size_t length);

/**
 * Describe the program: stages, nodes, fused groups, layouts, bytes, estimated operations.
 *
 * @param p      a program.
 * @param format text, JSON or Graphviz.
 * @param write  receives the description.
 * @param user   passed to write.
 * @return DEQ_OK; DEQ_ERR_ARGUMENT; DEQ_ERR_IO when write refused; DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_program_describe(const deq_program *p, deq_describe_format format,
                                        deq_write_fn *write, void *user);

#ifdef __cplusplus
}
#endif
#endif
