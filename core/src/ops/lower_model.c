/* lower_model.c - one walk over the ONNX nodes that the logits need, for one input size. */
#include <string.h>

#include "ops/common.h"
#include "ops/needs.h"

/* State of the walk besides the translators' own. The nodes of a body are lowered, round by round, by the node that the body belongs to. */
typedef struct walk {
    nac_lowering lowering; /* first, so that a translator's is the walk's */
    nac_needs needs;
    int *lowered_at;    /* [nodes]: by `clock`, 0: not yet. In bodies only */
    int *bound_at;      /* [tensors]: by `clock`, 0: not in a body */
    int clock, depth;   /* bodies that are being lowered */
    uint64_t collected; /* constant_bytes at the last collection */
} walk;

/* ---- The image --------------------------------------------------------------------------------- */

static nac_status find_image(const walk *w, const nac_onnx_io **image) {
    const nac_model *model = w->lowering.model;
    const nac_onnx_io *found = NULL;
    for (int i = 0; i < model->input_count; ++i) {
        if (!w->needs.needed[model->inputs[i].tensor]) continue;
        if (found)
            return nac_fail(w->lowering.error, NAC_UNSUPPORTED, "the model has two inputs, '%.100s' and '%.100s'; one image is supported",
                            model->tensor_names[found->tensor], model->tensor_names[model->inputs[i].tensor]);
        found = &model->inputs[i];
    }
    if (!found) return nac_fail(w->lowering.error, NAC_UNSUPPORTED, "the model's first output depends on no input");
    *image = found;
    return NAC_OK;
}

static bool is_channels(int64_t dim) { return dim >= 1 && dim <= 4; }

/* A size of the image: the model's where that is fixed, the caller's where it is free. `asked` 0: no wish. */
static nac_status bind_size(const walk *w, const char *what, int64_t fixed, int asked, int *size) {
    if (fixed < 0 && asked == 0)
        return nac_fail(w->lowering.error, NAC_INVALID_ARGUMENT, "the model leaves its input's %s free: say which", what);
    if (fixed > 0 && asked != 0 && asked != fixed)
        return nac_fail(w->lowering.error, NAC_INVALID_ARGUMENT, "the model's %s is fixed at %lld; %d was asked for", what,
                        (long long)fixed, asked);
    const int64_t bound = fixed > 0 ? fixed : asked;
    if (bound > NAC_MAX_IMAGE_SIDE)
        return nac_fail(w->lowering.error, NAC_LIMIT_EXCEEDED, "the input's %s is %lld; at most %d is supported", what, (long long)bound,
                        NAC_MAX_IMAGE_SIDE);
    *size = (int)bound;
    return NAC_OK;
}

static nac_status bind_image(walk *w, int batch, int height, int width) {
    const nac_model *model = w->lowering.model;
    nac_error *error = w->lowering.error;
    const nac_onnx_io *image;
    NAC_TRY(find_image(w, &image));
    const char *name = model->tensor_names[image->tensor];
    if (image->rank != 4) {
        if (image->rank < 0) return nac_fail(error, NAC_UNSUPPORTED, "the model does not say the shape of its input '%.100s'", name);
        return nac_fail(error, NAC_UNSUPPORTED, "the model's input '%.100s' has rank %d; an image of rank 4 is needed", name, image->rank);
    }
    /* [N,C,H,W] unless only the last dim can be a number of channels. */
    const bool last = !is_channels(image->dims[1]) && is_channels(image->dims[3]);
    const int64_t channels = image->dims[last ? 3 : 1];
    int N, C, H, W;
    NAC_TRY(bind_size(w, "batch", image->dims[0], batch, &N));
    NAC_TRY(bind_size(w, "number of channels", channels, channels < 0 ? 3 : 0, &C));
    NAC_TRY(bind_size(w, "height", image->dims[last ? 1 : 2], height, &H));
    NAC_TRY(bind_size(w, "width", image->dims[last ? 2 : 3], width, &W));
    const nac_shape shape = nac_shape_make(4, (const int[]){N, H, W, C});
    nac_graph *graph = w->lowering.graph;
    NAC_TRY(nac_graph_add_value(graph, name, NAC_F32, &shape, last ? NAC_ROW_MAJOR : NAC_CHANNELS_LAST, &graph->input, error));
    w->lowering.bindings[image->tensor] = graph->input;
    return NAC_OK;
}

/* ---- Nodes ------------------------------------------------------------------------------------- */

/* Whether a tensor ends as a convolution's weights, perhaps through the Cast that stands behind float16, or what stands behind quantised ones.
 * *alone: nothing else reads it, or what is made of it, and it is scaled but once. */
static bool is_filters(const walk *w, int tensor, bool *alone) {
    bool scaled = false;
    *alone = w->depth == 0;
    while (tensor != NAC_ONNX_ABSENT && w->needs.last_readers[tensor] != NAC_NONE) {
        const nac_onnx_node *reader = &w->lowering.model->nodes[w->needs.last_readers[tensor]];
        *alone = *alone && w->needs.reads[tensor] == 1 && !reader->scope && !(w->lowering.tapped && w->lowering.tapped[tensor]);
        const bool quantised = nac_is_op(reader, "QLinearConv"), scales = quantised || nac_is_op(reader, "DequantizeLinear");
        *alone = *alone && !(scaled && scales) && !nac_is_op(reader, "Cast");
        scaled = scaled || scales;
        if (quantised || nac_is_op(reader, "Conv")) return reader->input_count > (quantised ? 3 : 1) && reader->inputs[quantised ? 3 : 1] == tensor;
        if (!nac_is_op(reader, "Cast") && !scales) return false;
        tensor = reader->outputs[0];
    }
    return false;
}

/* A weight becomes a constant of the graph when the first node reads it. */
static nac_status bind_initializer(walk *w, int tensor) {
    const nac_onnx_tensor *initializer = w->lowering.model->initializers[tensor];
    if (!initializer || w->lowering.bindings[tensor] != NAC_NONE) return NAC_OK;
    if (initializer->count == 0) {
        w->lowering.bindings[tensor] = NAC_EMPTY;
        return NAC_OK;
    }
    bool alone;
    const nac_layout layout = is_filters(w, tensor, &alone) ? NAC_CHANNELS_LAST : NAC_ROW_MAJOR;
    const char *name = w->lowering.model->tensor_names[tensor];
    int *value = &w->lowering.bindings[tensor];
    if (layout == NAC_CHANNELS_LAST && alone && nac_onnx_tensor_is_filters_of_bytes(initializer))
        return nac_lower_filter_bytes(&w->lowering, initializer, name, value);
    return nac_lower_tensor(&w->lowering, initializer, name, layout, value);
}

bool nac_lower_is_own(const nac_lowering *lowering, int i) {
    const walk *w = (const walk *)lowering;
    const int tensor = lowering->node->inputs[i];
    return w->depth == 0 && lowering->model->initializers[tensor] && w->needs.reads[tensor] == 1;
}

/* Frees the constants that no node of the graph reads and no node of the model after `node` will: weights in the file's order and type, of which
 * there is a copy in another. */
static nac_status collect(walk *w, int node) {
    const nac_model *model = w->lowering.model;
    nac_graph *graph = w->lowering.graph;
    bool *read = nac_alloc_array((size_t)graph->value_count, sizeof *read);
    if (!read) return nac_out_of_memory(w->lowering.error, "the model's tensors");
    for (int n = 0; n < graph->node_count; ++n)
        for (int i = 0; i < graph->nodes[n].input_count; ++i)
            if (graph->nodes[n].inputs[i] != NAC_NONE) read[graph->nodes[n].inputs[i]] = true;
    for (int t = 0; t < model->tensor_count; ++t)
        if (w->lowering.bindings[t] >= 0 && w->needs.last_uses[t] > node) read[w->lowering.bindings[t]] = true;
    for (int t = 0; t < model->tensor_count; ++t) {
        if (w->lowering.bindings[t] > NAC_SEQUENCE || w->needs.last_uses[t] <= node) continue;
        const nac_sequence *sequence = &w->lowering.sequences[NAC_SEQUENCE - w->lowering.bindings[t]];
        for (int i = 0; i < sequence->count; ++i) read[sequence->values[i]] = true;
    }
    for (int v = 0; v < graph->value_count; ++v) {
        if (read[v] || !graph->values[v].constant) continue;
        nac_free(graph->values[v].data);
        graph->values[v].data = NULL;
    }
    nac_free(read);
    return NAC_OK;
}

/* A collection looks at the whole graph, so it has to be worth it. */
static nac_status collect_sometimes(walk *w, int node) {
    const uint64_t ENOUGH = 1 << 20;
    const uint64_t bytes = w->lowering.graph->constant_bytes;
    if (bytes - w->collected < ENOUGH) return NAC_OK;
    w->collected = bytes;
    return collect(w, node);
}

/* Whether the branches that a node stands in, inside of its body, are taken. What is wrong with a condition, its If says. */
static nac_status find_taken(walk *w, const nac_onnx_node *node, bool *taken) {
    *taken = false;
    for (const nac_onnx_scope *branch = node->scope; branch && branch->condition; branch = branch->outer) {
        NAC_TRY(bind_initializer(w, *branch->condition));
        const int binding = w->lowering.bindings[*branch->condition];
        const nac_value *condition = binding < 0 ? NULL : &w->lowering.graph->values[binding];
        if (!condition || !condition->constant || nac_elements(&condition->shape) != 1) return NAC_OK;
        if ((nac_number_at(condition, 0) != 0) != branch->wanted) return NAC_OK;
    }
    *taken = true;
    return NAC_OK;
}

/* Whether a body's node was lowered in an earlier round and reads what it read then: constants are not made twice, nor is anything computed twice. */
static bool is_settled(const walk *w, int node) {
    const nac_onnx_node *n = &w->lowering.model->nodes[node];
    bool settled = w->lowered_at[node] > 0 && !n->body;
    for (int i = 0; settled && i < n->input_count; ++i)
        settled = n->inputs[i] == NAC_ONNX_ABSENT || w->bound_at[n->inputs[i]] < w->lowered_at[node];
    return settled;
}

/* Counts a node or a round, and more of them for one that names many tensors. */
static nac_status count_round_nodes(walk *w, int names) {
    enum { FEW = 16 };
    const int cost = 1 + names / FEW;
    if (cost <= NAC_MAX_ROUND_NODES - w->lowering.round_nodes) {
        w->lowering.round_nodes += cost;
        return NAC_OK;
    }
    return nac_lower_fail(&w->lowering, NAC_LIMIT_EXCEEDED, "the rounds of the model's loops have more than %d nodes", NAC_MAX_ROUND_NODES);
}

/* Translators of constants are quick, but not when they run in every round. */
static nac_status count_steps(walk *w, const nac_onnx_node *node) {
    nac_graph *graph = w->lowering.graph;
    uint64_t steps = 0;
    for (int i = 0; i < node->input_count; ++i) {
        const int binding = node->inputs[i] == NAC_ONNX_ABSENT ? NAC_NONE : w->lowering.bindings[node->inputs[i]];
        if (binding < 0) continue;
        if (!graph->values[binding].constant) return NAC_OK;
        steps += nac_elements(&graph->values[binding].shape);
    }
    if (steps <= NAC_MAX_FOLDING_STEPS - graph->folding_steps) {
        graph->folding_steps += steps;
        return NAC_OK;
    }
    return nac_lower_fail(&w->lowering, NAC_LIMIT_EXCEEDED, "the network's constants take more than %.3g steps to compute",
                          (double)NAC_MAX_FOLDING_STEPS);
}

static nac_status check_sequences(walk *w, const nac_onnx_node *node) {
    int value;
    for (int i = 0; i < node->input_count; ++i)
        if (node->inputs[i] != NAC_ONNX_ABSENT && w->lowering.bindings[node->inputs[i]] <= NAC_SEQUENCE && !nac_lower_takes_sequence(node, i))
            return nac_lower_input(&w->lowering, i, &value); /* which says so */
    return NAC_OK;
}

static nac_status lower_node(walk *w, int n) {
    const nac_onnx_node *node = &w->lowering.model->nodes[n];
    w->lowering.node = node;
    bool taken;
    if (w->depth > 0) NAC_TRY(count_round_nodes(w, node->input_count + node->output_count));
    NAC_TRY(find_taken(w, node, &taken));
    if (!taken || (w->depth > 0 && is_settled(w, n))) return NAC_OK;
    for (int i = 0; i < node->input_count; ++i)
        if (node->inputs[i] != NAC_ONNX_ABSENT) NAC_TRY(bind_initializer(w, node->inputs[i]));
    if (w->depth > 0) NAC_TRY(count_steps(w, node));
    NAC_TRY(check_sequences(w, node));
    NAC_TRY(nac_onnx_op_find(node->op_type)->lower(&w->lowering));
    if (w->depth == 0) return collect_sometimes(w, n); /* not in a body: its loop's translator holds values that nothing else does */
    w->lowered_at[n] = ++w->clock;
    for (int i = 0; i < node->output_count; ++i)
        if (node->outputs[i] != NAC_ONNX_ABSENT) w->bound_at[node->outputs[i]] = w->clock;
    return NAC_OK;
}

/* Of the body with this number, or of the model itself. A loop's translator comes back here, as deep as bodies lie in each other, which
 * the reader limits. */
static nac_status lower_nodes(walk *w, int body) {
    for (int n = w->needs.first_nodes[body]; n != NAC_NONE; n = w->needs.next_nodes[n])
        if (nac_needs_node(&w->needs, &w->lowering.model->nodes[n])) NAC_TRY(lower_node(w, n));
    return NAC_OK;
}

void nac_lower_give(nac_lowering *lowering, int i, int binding) {
    walk *w = (walk *)lowering;
    const int tensor = lowering->node->body->inputs[i];
    if (lowering->bindings[tensor] == binding) return;
    lowering->bindings[tensor] = binding;
    w->bound_at[tensor] = ++w->clock;
}

bool nac_lower_is_fixed(const nac_lowering *lowering, int tensor, int i) {
    const walk *w = (const walk *)lowering;
    const nac_onnx_scope *body = lowering->node->body;
    for (;;) {
        if (tensor == NAC_ONNX_ABSENT) return false;
        if (i < body->input_count && tensor == body->inputs[i]) return true;
        const int producer = w->needs.producers[tensor];
        if (producer == NAC_NONE) return !lowering->model->repeated[tensor] || lowering->model->initializers[tensor];
        const nac_onnx_node *node = &lowering->model->nodes[producer];
        if (nac_body_number(node->scope) != body->number || node->input_count == 0) return true;
        if (node->input_count > 1 || node->body) return false;
        tensor = node->inputs[0];
    }
}

nac_status nac_lower_round(nac_lowering *lowering) {
    walk *w = (walk *)lowering;
    const nac_onnx_node *node = lowering->node;
    NAC_TRY(count_round_nodes(w, node->body->input_count + node->body->result_count));
    ++w->depth;
    const nac_status status = lower_nodes(w, node->body->number);
    --w->depth;
    lowering->node = node;
    return status;
}

/* ---- Logits ------------------------------------------------------------------------------------ */

/* The position of the only dim behind the batch that is not 1 (the last one if all are), or NAC_NONE. */
static int find_classes(const nac_shape *shape) {
    int found = NAC_NONE;
    for (int i = 1; i < shape->rank; ++i) {
        if (shape->dims[i] == 1) continue;
        if (found != NAC_NONE) return NAC_NONE;
        found = i;
    }
    return found == NAC_NONE ? shape->rank - 1 : found;
}

/* A softmax over anything but the classes would not be the one that the method's gradient begins with. */
static nac_status check_end(walk *w, const nac_shape *shape, int classes) {
    if (!w->needs.end) return NAC_OK;
    const bool flattens = w->lowering.model->opset < 13 && (nac_is_softmax(w->needs.end) || nac_is_op(w->needs.end, "Hardmax")); /* over all dims from `axis` on */
    int64_t given;
    int axis;
    w->lowering.node = w->needs.end;
    NAC_TRY(nac_attribute_int(&w->lowering, "axis", nac_is_op(w->needs.end, "ArgMax") ? 0 : flattens ? 1 : -1, &given));
    NAC_TRY(nac_lower_axis(&w->lowering, given, shape->rank, &axis));
    if (axis == classes || (flattens && axis >= 1 && axis <= classes)) return NAC_OK;
    return nac_lower_fail(&w->lowering, NAC_UNSUPPORTED, "the final %s runs over axis %d, but the classes are axis %d",
                          nac_is_softmax(w->needs.end) ? "softmax" : "choice", axis, classes);
}

static nac_status bind_logits(walk *w, int batch) {
    nac_graph *graph = w->lowering.graph;
    nac_error *error = w->lowering.error;
    const char *name = w->lowering.model->tensor_names[w->needs.logits];
    const int value = w->lowering.bindings[w->needs.logits];
    if (value < 0 || graph->values[value].constant || graph->values[value].type != NAC_F32)
        return nac_fail(error, NAC_UNSUPPORTED, "the model's output '%.100s' is not computed from the image", name);
    const nac_value v = graph->values[value];
    const nac_shape shape = nac_logical_shape(&v);
    const int classes = shape.rank < 2 || shape.dims[0] != batch ? NAC_NONE : find_classes(&shape);
    if (classes == NAC_NONE) {
        char text[NAC_SHAPE_TEXT];
        return nac_fail(error, NAC_UNSUPPORTED, "the model's output '%.100s' has shape %s; logits [%d, classes] are needed", name,
                        nac_shape_text(&shape, text), batch);
    }
    const int K = shape.dims[classes];
    if (K < 2) return nac_fail(error, NAC_UNSUPPORTED, "the model has %d class; two or more are needed", K);
    if (K > NAC_MAX_CLASSES) return nac_fail(error, NAC_LIMIT_EXCEEDED, "the model has %d classes; at most %d are supported", K, NAC_MAX_CLASSES);
    NAC_TRY(check_end(w, &shape, classes));
    graph->logits = value;
    /* The softmax of their logarithms are the probabilities again, so that the loss and its gradient are the averaged network's. */
    graph->logs = !(w->needs.end && nac_is_softmax(w->needs.end)) && nac_lower_is_probabilities(graph, value, nac_physical_axis(v.layout, classes));
    if (graph->logs) NAC_TRY(nac_lower_log_probabilities(graph, value, &graph->logits, error));
    if (v.shape.rank == 2) return NAC_OK;
    /* All other dims are 1, so every memory order is the same. */
    const nac_shape flat = nac_shape_make(2, (const int[]){batch, K});
    return nac_graph_emit(graph, nac_node_make(NAC_OP_RESHAPE, "logits"), &graph->logits, 1, NULL, &flat, NAC_ROW_MAJOR, &graph->logits, error);
}

/* ---- All --------------------------------------------------------------------------------------- */

static nac_status lower_all(walk *w, int batch, int height, int width) {
    const nac_model *model = w->lowering.model;
    NAC_TRY(nac_needs_find(model, &w->needs, w->lowering.error));
    w->bound_at = nac_alloc_array((size_t)model->tensor_count, sizeof *w->bound_at);
    w->lowered_at = nac_alloc_array((size_t)model->node_count, sizeof *w->lowered_at);
    if (!w->bound_at || !w->lowered_at) return nac_out_of_memory(w->lowering.error, "the model's tensors");
    for (int t = 0; t < model->tensor_count; ++t) w->lowering.bindings[t] = NAC_NONE;
    NAC_TRY(bind_image(w, batch, height, width));
    NAC_TRY(nac_model_check_files(model, w->lowering.error));
    NAC_TRY(lower_nodes(w, 0));
    return bind_logits(w, batch);
}

nac_status nac_lower_model(const nac_model *model, int batch, int height, int width, const bool *tapped, nac_graph *graph, int *bindings,
                           nac_error *error) {
    graph->input = graph->logits = NAC_NONE;
    walk w = {.lowering = {.model = model, .graph = graph, .bindings = bindings, .tapped = tapped, .error = error}};
    const nac_status status = lower_all(&w, batch, height, width);
    nac_lower_free_sequences(&w.lowering);
    nac_needs_free(&w.needs);
    nac_free(w.bound_at);
    nac_free(w.lowered_at);
    return status;
}
