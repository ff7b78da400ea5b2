/* ops.h - what every operator family offers, and the lowering from ONNX that it is reached by. */
#ifndef NAC_OPS_H
#define NAC_OPS_H

#include "graph/graph.h"
#include "onnx/model.h"

/* ---- Operators of the graph -------------------------------------------------------------------- */

/* The plain loops: the specification, which every fast kernel is tested against. Reads and writes the `data` of
 * the node's values, which must all be set; float32 in, float32 out, sums in double. Applies the node's clamp. */
typedef void (*nac_op_run)(const nac_graph *graph, const nac_node *node);

/* Emits the nodes that turn dy (shape of the node's output; a fused clamp has already been taken off it) into the gradient with
 * respect to input `slot`; *dx has exactly that input's shape and may be dy itself, or is NAC_NONE: zero everywhere. NULL in the
 * table: no gradient. */
typedef nac_status (*nac_op_gradient)(nac_graph *graph, int node, int slot, int dy, int *dx, nac_error *error);

typedef struct nac_op_entry {
    const char *name; /* "CONV" */
    nac_op_run run;
    nac_op_gradient gradient;
} nac_op_entry;

extern const nac_op_entry nac_ops[NAC_OP_COUNT]; /* ops.c */

/* One pair a line in ops.c's table; each family's file defines its own. Gradient-only ops have no gradient. */
#define X(NAME) void nac_run_##NAME(const nac_graph *graph, const nac_node *node);
NAC_OP_LIST(X)
#undef X
#define NAC_GRADIENT(NAME) nac_status nac_gradient_##NAME(nac_graph *graph, int node, int slot, int dy, int *dx, nac_error *error)
NAC_GRADIENT(CONV);
NAC_GRADIENT(CONV_GRAD);
NAC_GRADIENT(MATMUL);
NAC_GRADIENT(AFFINE);
NAC_GRADIENT(UNARY);
NAC_GRADIENT(BINARY);
NAC_GRADIENT(MAX_POOL);
NAC_GRADIENT(AVERAGE_POOL);
NAC_GRADIENT(REDUCE);
NAC_GRADIENT(EXPAND);
NAC_GRADIENT(SOFTMAX);
NAC_GRADIENT(LAYER_NORM);
NAC_GRADIENT(RESHAPE);
NAC_GRADIENT(TRANSPOSE);
NAC_GRADIENT(CONCAT);
NAC_GRADIENT(SLICE);
NAC_GRADIENT(PAD);
NAC_GRADIENT(GATHER);
NAC_GRADIENT(SCATTER);
NAC_GRADIENT(WHERE);

/* ---- Lowering from ONNX ------------------------------------------------------------------------ */

/* Bindings that are no values of the graph. */
enum {
    NAC_EMPTY = -2,    /* a constant without elements: exporters join such lists to others */
    NAC_SEQUENCE = -3, /* NAC_SEQUENCE - i: nac_lowering.sequences[i] */
};

/* A list of values that exists while a model is lowered. */
typedef struct nac_sequence {
    int *values;
    int count;
} nac_sequence;

/* One walk over the ONNX nodes with all sizes known. Each ONNX tensor is bound to a graph value; a tensor that depends on
 * constants alone becomes a constant, so Shape -> Gather -> Concat -> Reshape chains vanish on the way. */
typedef struct nac_lowering {
    const nac_model *model;
    nac_graph *graph;
    int *bindings;               /* [tensors of the model]: value, NAC_NONE, or what is no value, see above */
    const bool *tapped;          /* [tensors of the model], or NULL: none */
    const nac_onnx_node *node;   /* the one being lowered */
    int round_nodes;             /* counted against NAC_MAX_ROUND_NODES */
    nac_sequence *sequences;     /* never changed once they are made */
    int sequence_count, sequence_capacity, sequence_values; /* values: of all of them */
    nac_error *error;
} nac_lowering;

/* Lowers lowering->node: reads inputs and attributes, checks them, emits nodes, binds outputs. */
typedef nac_status (*nac_lower)(nac_lowering *lowering);

typedef struct nac_onnx_op {
    const char *op_type; /* "Conv" */
    nac_lower lower;
} nac_onnx_op;

/* The entry for an ONNX operator, or NULL. ops/onnx_list.c. */
const nac_onnx_op *nac_onnx_op_find(const char *op_type);

/* lower_model.c: the whole of it. Fills an empty graph for this input size (height, width 0: the model's own), with graph->input
 * and graph->logits set; final softmaxes and choices of classes are left out, so that the logits are logits, and of a mean of softmaxes they are its
 * logarithms. bindings is [tensor_count]: the value of each
 * ONNX tensor, NAC_NONE where the logits do not depend on it. tapped (NULL: none) marks tensors that get a value of their own, even
 * where they are another's numbers under a second name: the gradient at an Identity counts what is behind it, not what else
 * reads its input. On failure the graph is the caller's to free. */
nac_status nac_lower_model(const nac_model *model, int batch, int height, int width, const bool *tapped, nac_graph *graph, int *bindings,
                           nac_error *error);

/* lower_model.c, for operators with a body: what the body's input i is in the next round (a value, or as it may stand in bindings), and one round,
 * which lowers the body's nodes. Its results are the node's inputs behind its own. */
void nac_lower_give(nac_lowering *lowering, int i, int binding);
nac_status nac_lower_round(nac_lowering *lowering);
/* Whether a result of the body is the same in every round, as far as one can see: made of nothing that rounds are given but the body's input i. */
bool nac_lower_is_fixed(const nac_lowering *lowering, int tensor, int i);

/* lower_model.c: whether input i is a constant out of the file that nothing else reads, so that the node's translator may write over it. */
bool nac_lower_is_own(const nac_lowering *lowering, int i);

/* sequence.c: whether a node's input i may be a sequence. A node is refused before it is lowered where another one is. */
bool nac_lower_takes_sequence(const nac_onnx_node *node, int i);
void nac_lower_free_sequences(nac_lowering *lowering);

/* lower.c: the tools of a nac_lower. */

/* Value of input i. nac_lower_input fails where it is missing or without elements; nac_lower_optional gives NAC_NONE. */
nac_status nac_lower_input(nac_lowering *lowering, int i, int *value);
int nac_lower_optional(nac_lowering *lowering, int i);
/* Input i as it stands in bindings, but for NAC_NONE. A sequence only where nac_lower_takes_sequence says so. */
nac_status nac_lower_binding(nac_lowering *lowering, int i, int *binding);
bool nac_lower_is_empty(const nac_lowering *lowering, int i);
nac_status nac_lower_bind(nac_lowering *lowering, int output, int value);
nac_status nac_lower_pass(nac_lowering *lowering, int output, int binding); /* a value, or what is none */
void nac_lower_bind_empty(nac_lowering *lowering, int output); /* to a constant without elements: joined to others, or never read */

/* The constant's integers (I64, or F32 of whole numbers); NAC_UNSUPPORTED when it isn't a constant. */
nac_status nac_lower_ints(nac_lowering *lowering, int value, const char *what, int64_t *ints, int capacity, int *count);

/* The same tensor in the wanted memory order: itself, or through a TRANSPOSE (constants are permuted at once; a
 * tensor whose bytes are the same either way, H = W = 1 or C = 1, through a RESHAPE). Channels last needs rank 4. */
nac_status nac_as_row_major(nac_lowering *lowering, int value, int *result);
nac_status nac_as_channels_last(nac_lowering *lowering, int value, int *result);

/* A constant with the numbers of an ONNX tensor: F32, or I64 for integers (but for bytes of more than one dim) and booleans. Channels last where
 * that is asked for and the tensor can be read so, else row-major. */
nac_status nac_lower_tensor(nac_lowering *lowering, const nac_onnx_tensor *tensor, const char *name, nac_layout layout, int *value);

/* The same of a convolution's weights that is_filters_of_bytes: a NAC_Q8, for nac_lower_dequantised to scale. Nobody else may read it. */
nac_status nac_lower_filter_bytes(nac_lowering *lowering, const nac_onnx_tensor *tensor, const char *name, int *value);

/* nac_graph_emit under the name of the ONNX node. Integer constants are moved about (RESHAPE, GATHER and the like) at once. */
nac_status nac_lower_emit(nac_lowering *lowering, nac_node node, const int *inputs, int input_count, const nac_shape *shape,
                          nac_layout layout, int *output);

/* NAC_UNSUPPORTED / NAC_MALFORMED with "node 'name' (Conv): " in front. */
nac_status nac_lower_fail(nac_lowering *lowering, nac_status status, const char *format, ...) NAC_PRINTF(3, 4);
#ifdef __clang_analyzer__ /* as in base.h */
#define nac_lower_fail(lowering, status, ...) (nac_lower_fail(lowering, status, __VA_ARGS__), (status))
#endif

/* Attributes of lowering->node, with their defaults. Wrong types are NAC_MALFORMED. */
nac_status nac_attribute_int(nac_lowering *lowering, const char *name, int64_t otherwise, int64_t *result);
nac_status nac_attribute_float(nac_lowering *lowering, const char *name, float otherwise, float *result);
/* *count is 0 where the attribute is absent. */
nac_status nac_attribute_ints(nac_lowering *lowering, const char *name, int64_t *ints, int capacity, int *count);
/* A list that was an attribute before some opset and is input i from then on, whichever the node has: there are files whose opset was changed by hand.
 * *count is 0 where both are absent. */
nac_status nac_lower_list(nac_lowering *lowering, const char *name, int i, int64_t *ints, int capacity, int *count);
/* "" where the attribute is absent; not NUL-terminated beyond *length. */
nac_status nac_attribute_string(nac_lowering *lowering, const char *name, const char **text, size_t *length);
/* *count is 0 where the attribute is absent. */
nac_status nac_attribute_strings(nac_lowering *lowering, const char *name, const char *const **texts, int *count);

/* Negative axes counted from the end; then the physical axis of a value with that layout. */
nac_status nac_lower_axis(nac_lowering *lowering, int64_t axis, int rank, int *result);
int nac_physical_axis(nac_layout layout, int axis);

#endif
