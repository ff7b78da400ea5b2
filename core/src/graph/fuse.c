#include <math.h>
#include <string.h>

#include "graph/passes.h"
#include "graph/quantised.h"

/* State of one fusion: how often each value is read, and which nodes are gone. Kept values count as read once more,
 * so that they never look private to their only consumer. */
typedef struct fusion {
    nac_graph *graph;
    int *uses;  /* [values] */
    bool *dead; /* [nodes] */
} fusion;

static bool is_clamped(const nac_node *node) { return node->min != -INFINITY || node->max != INFINITY; }

/* The producer of `value` if whoever asks is the only one to read it, or NULL. */
static nac_node *only_reader_of(const fusion *f, int value) {
    const int producer = f->graph->values[value].producer;
    return producer == NAC_NONE || f->uses[value] != 1 ? NULL : &f->graph->nodes[producer];
}

/* `producer` now computes what node `reader` did. */
static void absorb(fusion *f, nac_node *producer, int reader) {
    f->uses[producer->output] = 0;
    producer->output = f->graph->nodes[reader].output;
    f->graph->values[producer->output].producer = (int)(producer - f->graph->nodes);
    f->dead[reader] = true;
}

/* A constant of the same shape and content that nobody else reads. */
static nac_status private_constant(fusion *f, int value, int *copy, nac_error *error) {
    if (f->uses[value] == 1) {
        *copy = value;
        return NAC_OK;
    }
    const nac_value source = f->graph->values[value];
    NAC_TRY(nac_graph_add_constant(f->graph, source.name, source.type, &source.shape, source.layout, copy, error));
    memcpy(f->graph->values[*copy].data, source.data, nac_elements(&source.shape) * nac_type_size(source.type));
    int *uses = nac_realloc(f->uses, (size_t)f->graph->value_count * sizeof *uses);
    if (!uses) return nac_out_of_memory(error, "fusion");
    f->uses = uses;
    --f->uses[value];
    f->uses[*copy] = 1;
    return NAC_OK;
}

/* The clamp of (clamped x) * scale + shift, seen from behind: false where it differs from channel to channel, turns around, or does not
 * meet the node's own. Quantised models scale back what they have clamped. */
static bool scale_clamp(const nac_graph *graph, const nac_node *producer, const nac_node *affine, float *min, float *max) {
    float scale, shift;
    *min = affine->min;
    *max = affine->max;
    if (!is_clamped(producer)) return true;
    if (!nac_graph_is_uniform(graph, affine->inputs[1], &scale) || !nac_graph_is_uniform(graph, affine->inputs[2], &shift) || !(scale > 0))
        return false;
    *min = fmaxf(*min, producer->min * scale + shift);
    *max = fminf(*max, producer->max * scale + shift);
    return *min <= *max;
}

NAC_NOT_INLINED static void multiply_row(float *row, size_t count, float factor) {
    for (size_t i = 0; i < count; ++i) row[i] *= factor;
}

/* w's rows, or its columns, times scale[C]. */
static void scale_channels(float *w, size_t count, const float *scale, size_t C, bool rows) {
    const size_t others = count / C;
    for (size_t c = 0; c < C && rows; ++c) multiply_row(w + c * others, others, scale[c]);
    for (size_t o = 0; o < others && !rows; ++o)
        for (size_t c = 0; c < C; ++c) w[o * C + c] *= scale[c];
}

/* y = (x w + b) * scale + shift = x (w * scale) + (b * scale + shift), for the channel that each row of w makes.
 * Rounding w * scale to float32 moves a weight by at most 2^-24 of itself. */
static nac_status fold_affine(fusion *f, int affine, nac_error *error) {
    const nac_node a = f->graph->nodes[affine];
    nac_node *producer = only_reader_of(f, a.inputs[0]);
    float min, max;
    if (!producer) return NAC_OK;
    if (producer->op != NAC_OP_CONV && producer->op != NAC_OP_MATMUL && producer->op != NAC_OP_AFFINE && producer->op != NAC_OP_LAYER_NORM)
        return NAC_OK;
    if (!f->graph->values[a.inputs[1]].constant || !f->graph->values[a.inputs[2]].constant) return NAC_OK;
    if (!scale_clamp(f->graph, producer, &a, &min, &max)) return NAC_OK;
    const int weight_value = producer->inputs[1];
    const bool has_bias = producer->input_count > 2 && producer->inputs[2] != NAC_NONE;
    const nac_shape weight_shape = f->graph->values[weight_value].shape;
    if (!f->graph->values[weight_value].constant || (has_bias && !f->graph->values[producer->inputs[2]].constant)) return NAC_OK;
    if (producer->op == NAC_OP_MATMUL && weight_shape.rank != 2) return NAC_OK;

    const int node_index = (int)(producer - f->graph->nodes);
    int weight, bias;
    NAC_TRY(nac_graph_dequantise(f->graph, weight_value, error));
    NAC_TRY(private_constant(f, weight_value, &weight, error));
    const float *scale = f->graph->values[a.inputs[1]].data;
    const float *shift = f->graph->values[a.inputs[2]].data;
    const size_t C = nac_elements(&f->graph->values[a.inputs[1]].shape);
    /* Output channels are w's first dimension in a convolution, its only one in an affine node or a layer norm, and in a matrix
     * product its last or, transposed, its first. */
    const bool rows = producer->op != NAC_OP_MATMUL || producer->u.matmul.transpose_b;
    scale_channels(f->graph->values[weight].data, nac_elements(&weight_shape), scale, C, rows);

    const nac_shape bias_shape = nac_shape_make(1, (const int[]){(int)C});
    NAC_TRY(nac_graph_add_constant(f->graph, NULL, NAC_F32, &bias_shape, NAC_ROW_MAJOR, &bias, error));
    int *uses = nac_realloc(f->uses, (size_t)f->graph->value_count * sizeof *uses);
    if (!uses) return nac_out_of_memory(error, "fusion");
    f->uses = uses;
    f->uses[bias] = 1;
    float *b = f->graph->values[bias].data;
    const float *old = has_bias ? f->graph->values[producer->inputs[2]].data : NULL;
    for (size_t c = 0; c < C; ++c) b[c] = (float)((double)(old ? old[c] : 0.0f) * scale[c] + shift[c]);

    producer = &f->graph->nodes[node_index];
    int *inputs = nac_alloc_array(3, sizeof *inputs);
    if (!inputs) return nac_out_of_memory(error, "fusion");
    inputs[0] = producer->inputs[0];
    inputs[1] = weight;
    inputs[2] = bias;
    nac_free(producer->inputs);
    producer->inputs = inputs;
    producer->input_count = 3;
    producer->min = min;
    producer->max = max;
    absorb(f, producer, affine);
    return NAC_OK;
}

static bool can_clamp(nac_op op) { return op == NAC_OP_CONV || op == NAC_OP_MATMUL || op == NAC_OP_AFFINE || op == NAC_OP_BINARY; }

/* A second clamp (Relu, then Clip) narrows the first: both derivatives are 0 or 1, and so is their product. */
static void fold_clamp(fusion *f, int clamp) {
    const nac_node *node = &f->graph->nodes[clamp];
    nac_node *producer = only_reader_of(f, node->inputs[0]);
    if (!producer || !can_clamp(producer->op)) return;
    const float min = fmaxf(producer->min, node->u.unary.a), max = fminf(producer->max, node->u.unary.b);
    if (!(min <= max)) return; /* disjoint: the order of the two matters */
    producer->min = min;
    producer->max = max;
    absorb(f, producer, clamp);
}

/* Zeros around an image that only a convolution reads are the convolution's own padding: how TensorFlow's
 * "SAME" reaches ONNX through PyTorch. */
static void fold_pad(fusion *f, int convolution) {
    nac_node *conv = &f->graph->nodes[convolution];
    const nac_node *pad = only_reader_of(f, conv->inputs[0]);
    if (!pad || pad->op != NAC_OP_PAD || pad->u.pad.value != 0.0f) return;
    const int *in = f->graph->values[pad->inputs[0]].shape.dims, *out = f->graph->values[pad->output].shape.dims;
    const int *before = pad->u.pad.before;
    for (int i = 0; i < 4; ++i)
        if (pad->u.pad.steps[i] != 1 || out[i] < before[i] + in[i] || ((i == 0 || i == 3) && out[i] != in[i])) return;
    nac_window *window = &conv->u.conv.window;
    window->pad_top += before[1];
    window->pad_left += before[2];
    window->pad_bottom += out[1] - in[1] - before[1];
    window->pad_right += out[2] - in[2] - before[2];
    f->dead[f->graph->values[pad->output].producer] = true;
    f->uses[pad->output] = 0;
    conv->inputs[0] = pad->inputs[0];
}

/* Closes the gaps that dead nodes leave. */
static void compact(nac_graph *graph, const bool *dead) {
    int kept = 0;
    for (int n = 0; n < graph->node_count; ++n) {
        if (dead[n]) {
            nac_free(graph->nodes[n].name);
            nac_free(graph->nodes[n].inputs);
            continue;
        }
        graph->nodes[kept] = graph->nodes[n];
        graph->values[graph->nodes[kept].output].producer = kept;
        ++kept;
    }
    graph->node_count = kept;
}

nac_status nac_graph_sweep(nac_graph *graph, const int *keep, int keep_count, nac_error *error) {
    bool *live = nac_alloc_array((size_t)graph->value_count, sizeof *live);
    bool *dead = nac_alloc_array((size_t)graph->node_count, sizeof *dead);
    if (!live || !dead) {
        nac_free(live);
        nac_free(dead);
        return nac_out_of_memory(error, "dead code removal");
    }
    for (int i = 0; i < keep_count; ++i) live[keep[i]] = true;
    if (graph->logits != NAC_NONE) live[graph->logits] = true;
    for (int n = graph->node_count - 1; n >= 0; --n) {
        const nac_node *node = &graph->nodes[n];
        dead[n] = !live[node->output];
        for (int i = 0; i < node->input_count && !dead[n]; ++i)
            if (node->inputs[i] != NAC_NONE) live[node->inputs[i]] = true;
    }
    compact(graph, dead);
    for (int v = 0; v < graph->value_count; ++v) {
        nac_value *value = &graph->values[v];
        if (!value->constant || live[v]) continue;
        nac_free(value->data);
        value->data = NULL;
    }
    nac_free(live);
    nac_free(dead);
    return NAC_OK;
}

nac_status nac_graph_fuse(nac_graph *graph, const int *keep, int keep_count, nac_error *error) {
    NAC_TRY(nac_graph_sweep(graph, keep, keep_count, error));
    NAC_TRY(nac_graph_fuse_patterns(graph, keep, keep_count, error));
    fusion f = {.graph = graph};
    NAC_TRY(nac_graph_count_uses(graph, keep, keep_count, &f.uses, error));
    f.dead = nac_alloc_array((size_t)graph->node_count, sizeof *f.dead);
    nac_status status = f.dead ? NAC_OK : nac_out_of_memory(error, "fusion");
    if (status == NAC_OK) {
        /* In order, so that convolution, batch norm and clamp melt into one on the way down. */
        for (int n = 0; n < graph->node_count && status == NAC_OK; ++n) {
            if (graph->nodes[n].op == NAC_OP_AFFINE) status = fold_affine(&f, n, error);
            else if (graph->nodes[n].op == NAC_OP_CONV) fold_pad(&f, n);
            else if (graph->nodes[n].op == NAC_OP_UNARY && graph->nodes[n].u.unary.kind == NAC_UNARY_CLAMP) fold_clamp(&f, n);
        }
    }
    if (status == NAC_OK) compact(graph, f.dead);
    nac_free(f.uses);
    nac_free(f.dead);
    return status == NAC_OK ? nac_graph_sweep(graph, keep, keep_count, error) : status;
}
