/* graph.h - the network as this library runs it.
 *
 * An ONNX file is lowered, for one input size, to a graph of few operators on PHYSICAL tensors: dense, row-major,
 * in the very order in which they lie in memory. A 4-D ONNX tensor [N,C,H,W] that comes out of a convolution lies
 * as [N,H,W,C], because XNNPACK wants it so; its value says so (`layout`), and whoever needs ONNX's own order asks for
 * a conversion (nac_as_row_major). Nothing below the lowering knows of NCHW.
 *
 * The backward pass is more nodes of the same graph: graph/gradient.c appends, behind the logits, the nodes that
 * compute every wanted gradient. So one planner sees the whole timeline, and a backend knows nothing of derivatives.
 *
 * Every node has one output, every value one producer, and nodes stand in an order that can be run.
 * Values and nodes are named by index: arrays grow while the graph is built, so never hold a pointer to
 * an element across a call that may add one. */
#ifndef NAC_GRAPH_H
#define NAC_GRAPH_H

#include "base/base.h"
#include "ops/op_list.h"

enum {
    NAC_NONE = -1,        /* no value, no node */
    NAC_DATA_SLACK = 128, /* readable bytes behind every tensor: vector kernels load whole registers */
};

typedef enum nac_type {
    NAC_F32,
    NAC_I64, /* constants: shapes, axes, indices */
    NAC_Q8,  /* constants that nothing but a convolution reads, as its weights: quantised.h */
} nac_type;

typedef enum nac_layout {
    NAC_ROW_MAJOR,     /* physical dims are ONNX's */
    NAC_CHANNELS_LAST, /* rank 4: ONNX says [N,C,H,W], memory holds [N,H,W,C] */
} nac_layout;

typedef struct nac_shape {
    int rank;                /* 0 (a scalar) .. NAC_MAX_RANK */
    int dims[NAC_MAX_RANK];  /* each >= 1; their product is checked by nac_graph_add_value */
} nac_shape;

typedef struct nac_value {
    char *name; /* the ONNX tensor's, or NULL */
    nac_type type;
    nac_shape shape;   /* physical */
    nac_layout layout;
    int producer;      /* node, or NAC_NONE for constants and the input */
    bool constant;
    void *data;        /* constant: owned by the graph. Otherwise NULL until the plan lays it in the arena. */
} nac_value;

/* A sliding window over [N,H,W,C]. Sizes in elements, all >= 1, pads >= 0. */
typedef struct nac_window {
    int kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
    int pad_top, pad_left, pad_bottom, pad_right;
} nac_window;

typedef struct nac_node {
    nac_op op;
    char *name;      /* of the ONNX node (or its output tensor), for messages and timings; never NULL */
    int *inputs;     /* values; an absent optional input is NAC_NONE */
    int input_count;
    int output;      /* value */
    float min, max;  /* the output is clamped to [min, max]; -INFINITY, INFINITY: not at all */
    union {          /* which one holds, and what it means: op_list.h */
        struct { nac_window window; int groups; } conv;
        struct { nac_window window; bool count_include_pad; } pool;
        struct { bool transpose_a, transpose_b; } matmul;
        struct { nac_unary kind; float a, b; } unary;
        struct { nac_binary kind; } binary;
        struct { bool axes[NAC_MAX_RANK]; float scale; } reduce;
        struct { float scale; } expand;
        struct { int perm[NAC_MAX_RANK]; } transpose;
        struct { int axis; } concat;
        struct { int axis; } softmax;
        struct { float epsilon; } layer_norm;
        struct { int axis; } gather;
        struct { int starts[NAC_MAX_RANK], steps[NAC_MAX_RANK]; } slice;
        struct { int before[NAC_MAX_RANK]; int steps[NAC_MAX_RANK]; float value; } pad;
    } u;
} nac_node;

typedef struct nac_graph {
    nac_value *values;
    int value_count, value_capacity;
    nac_node *nodes;
    int node_count, node_capacity;
    int input;  /* value: the image tensor, NAC_CHANNELS_LAST or physical [N,H,W,3] */
    int logits; /* value: [N, K] */
    bool logs;  /* the logits are logarithms of the model's probabilities, which have no logits of their own */
    uint64_t constant_bytes; /* of all constants that were ever added, in their last form */
    uint64_t folding_steps;  /* that it took to compute some of them in advance */
} nac_graph;

void nac_graph_free(nac_graph *graph); /* frees what the graph owns, leaves it empty */

/* Elements of a shape, as checked when the value was added. */
size_t nac_elements(const nac_shape *shape);
size_t nac_type_size(nac_type type); /* of an element; the scales of a NAC_Q8 come on top */
bool nac_shape_equal(const nac_shape *a, const nac_shape *b);
nac_shape nac_shape_make(int rank, const int *dims);

/* The value's dims as ONNX sees them ([N,C,H,W] of a channels-last value). */
nac_shape nac_logical_shape(const nac_value *value);

/* Adds a value without data. name is copied (may be NULL). NAC_LIMIT_EXCEEDED over NAC_MAX_TENSOR_BYTES. */
nac_status nac_graph_add_value(nac_graph *graph, const char *name, nac_type type, const nac_shape *shape, nac_layout layout,
                               int *value, nac_error *error);

/* Adds a constant of zeros, to be filled by the caller through graph->values[*value].data. */
nac_status nac_graph_add_constant(nac_graph *graph, const char *name, nac_type type, const nac_shape *shape, nac_layout layout,
                                  int *value, nac_error *error);

/* The same, but of whatever was in that memory, for a caller who fills all of it: weights are too many to be written twice. */
nac_status nac_graph_add_unfilled(nac_graph *graph, const char *name, nac_type type, const nac_shape *shape, nac_layout layout,
                                  int *value, nac_error *error);

/* Memory for the numbers of a constant, which the graph counts, and frees as a constant's `data`. */
nac_status nac_graph_alloc_data(nac_graph *graph, const char *name, nac_type type, const nac_shape *shape, void **data, nac_error *error);

/* A node under construction: zeroed attributes, no clamp. `name` is borrowed until nac_graph_emit. */
nac_node nac_node_make(nac_op op, const char *name);

/* Appends `node` with the given inputs (copied) and a new output value of this shape. When every input is a constant
 * and the graph is still being lowered, the node is run at once by its plain loop and *output is a constant: this is
 * the whole of constant folding for float tensors. NAC_LIMIT_EXCEEDED past NAC_MAX_FOLDING_STEPS. */
nac_status nac_graph_emit(nac_graph *graph, nac_node node, const int *inputs, int input_count, const char *output_name,
                          const nac_shape *shape, nac_layout layout, int *output, nac_error *error);

/* The axis of a value's tokens: 1 of [N,T,C]; 0 of [T,N,C], as PyTorch's encoders have it unless they are told otherwise. Any other
 * shape: 1. */
int nac_graph_token_axis(const nac_graph *graph, int value);

/* How many node inputs read the value (logits and taps not counted). O(nodes). */
int nac_graph_uses(const nac_graph *graph, int value);

/* How often each value is read: by nodes, as a kept value, as the logits. *uses is [value_count], the caller's to free. */
nac_status nac_graph_count_uses(const nac_graph *graph, const int *keep, int keep_count, int **uses, nac_error *error);

/* Whether all numbers of a constant are the same, and which that is. */
bool nac_graph_is_uniform(const nac_graph *graph, int value, float *number);

#endif
