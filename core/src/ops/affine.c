/* affine.c - a scale and a bias per channel: batch normalisation, and constants added or multiplied along channels. */
#include <string.h>

#include "ops/common.h"
#include "ops/window.h"

/* x [...,C], scale [C], bias [C] -> [...,C]. */
void nac_run_AFFINE(const nac_graph *graph, const nac_node *node) {
    const nac_shape *shape = &graph->values[node->inputs[0]].shape;
    const int C = shape->dims[shape->rank - 1], rows = (int)(nac_elements(shape) / (size_t)C);
    const float *x = nac_data(graph, node->inputs[0]), *scale = nac_data(graph, node->inputs[1]), *bias = nac_data(graph, node->inputs[2]);
    float *y = nac_data(graph, node->output);
    const float min = node->min, max = node->max;
    for (int r = 0; r < rows; ++r, x += C, y += C)
        for (int c = 0; c < C; ++c) y[c] = nac_clamp(x[c] * scale[c] + bias[c], min, max);
}

NAC_GRADIENT(AFFINE) {
    if (slot != 0) return nac_gradient_refused(graph, node, slot, error);
    const nac_node forward = graph->nodes[node];
    const int x = forward.inputs[0], scale = forward.inputs[1];
    const nac_shape shape = graph->values[x].shape, channels = graph->values[scale].shape;
    int zero;
    NAC_TRY(nac_graph_add_constant(graph, NULL, NAC_F32, &channels, NAC_ROW_MAJOR, &zero, error));
    memset(graph->values[zero].data, 0, nac_elements(&channels) * sizeof(float));
    return nac_graph_emit(graph, nac_node_make(NAC_OP_AFFINE, forward.name), (const int[]){dy, scale, zero}, 3, NULL, &shape,
                          graph->values[x].layout, dx, error);
}

/* ---- ONNX -------------------------------------------------------------------------------------- */

/* One vector of C numbers a channel: scale, B, mean, variance. */
static nac_status read_vectors(nac_lowering *lowering, int count, int C, const float **vectors) {
    static const char *const names[4] = {"scale", "B", "the mean", "the variance"};
    for (int i = 0; i < count; ++i) {
        int vector;
        NAC_TRY(nac_lower_input(lowering, 1 + i, &vector));
        NAC_TRY(nac_lower_vector(lowering, vector, names[i], C, &vectors[i]));
    }
    return NAC_OK;
}

/* In training mode: by the statistics of x [N,C,...] itself, with the biased variance. Of an image they would mix its neighbours in the
 * batch; of a constant they are how timm standardises a convolution's weights (BiT). */
static nac_status normalise_constant(nac_lowering *lowering, float epsilon) {
    nac_graph *graph = lowering->graph;
    const float *vectors[2];
    int x, y;
    NAC_TRY(nac_lower_float(lowering, 0, &x));
    if (!graph->values[x].constant) return nac_lower_fail(lowering, NAC_UNSUPPORTED, "it is in training mode: export the model in evaluation mode");
    NAC_TRY(nac_as_row_major(lowering, x, &x));
    const nac_shape shape = graph->values[x].shape;
    if (shape.rank < 2) return nac_lower_fail(lowering, NAC_MALFORMED, "the input has rank %d", shape.rank);
    NAC_TRY(read_vectors(lowering, 2, shape.dims[1], vectors));
    NAC_TRY(nac_graph_add_constant(graph, NULL, NAC_F32, &shape, NAC_ROW_MAJOR, &y, lowering->error));
    const size_t C = (size_t)shape.dims[1], outer = (size_t)shape.dims[0], inner = nac_elements(&shape) / (outer * C);
    const float *from = nac_data(graph, x);
    float *to = nac_data(graph, y);
    for (size_t c = 0; c < C; ++c) {
        double sum = 0, squares = 0;
        for (size_t o = 0; o < outer; ++o)
            for (size_t i = 0; i < inner; ++i) sum += (double)from[(o * C + c) * inner + i];
        const double mean = sum / (double)(outer * inner);
        for (size_t o = 0; o < outer; ++o)
            for (size_t i = 0; i < inner; ++i) squares += ((double)from[(o * C + c) * inner + i] - mean) * ((double)from[(o * C + c) * inner + i] - mean);
        const double factor = (double)vectors[0][c] / sqrt(squares / (double)(outer * inner) + (double)epsilon);
        for (size_t o = 0; o < outer; ++o)
            for (size_t i = 0; i < inner; ++i)
                to[(o * C + c) * inner + i] = (float)(((double)from[(o * C + c) * inner + i] - mean) * factor + (double)vectors[1][c]);
    }
    return nac_lower_bind(lowering, 0, y);
}

/* Since opset 14 an attribute says so; before, outputs for the statistics. */
static nac_status is_training(nac_lowering *lowering, bool *training) {
    int64_t mode;
    NAC_TRY(nac_attribute_int(lowering, "training_mode", 0, &mode));
    *training = mode != 0;
    for (int i = 1; i < lowering->node->output_count; ++i) *training = *training || lowering->node->outputs[i] != NAC_ONNX_ABSENT;
    return NAC_OK;
}

/* gamma * (x - mean) / sqrt(var + eps) + beta, as one scale and one bias, in double until the end: PyTorch folds the same
 * way, in float. */
nac_status nac_lower_BatchNormalization(nac_lowering *lowering) {
    bool training;
    float epsilon;
    NAC_TRY(is_training(lowering, &training));
    NAC_TRY(nac_attribute_float(lowering, "epsilon", 1e-5f, &epsilon));
    if (training) return normalise_constant(lowering, epsilon);
    int x, axes = 2;
    NAC_TRY(nac_lower_float(lowering, 0, &x));
    nac_shape logical = nac_logical_shape(&lowering->graph->values[x]);
    if (logical.rank != 2) NAC_TRY(nac_lower_image(lowering, 0, &x, &logical, &axes));
    const int C = logical.dims[1];
    const float *vectors[4];
    NAC_TRY(read_vectors(lowering, 4, C, vectors));
    int scale, bias, y;
    float *scales, *biases;
    NAC_TRY(nac_lower_add_vector(lowering, C, &scale, &scales));
    NAC_TRY(nac_lower_add_vector(lowering, C, &bias, &biases));
    for (int c = 0; c < C; ++c) {
        const double factor = (double)vectors[0][c] / sqrt((double)vectors[3][c] + (double)epsilon);
        scales[c] = (float)factor;
        biases[c] = (float)((double)vectors[1][c] - (double)vectors[2][c] * factor);
    }
    NAC_TRY(nac_lower_affine(lowering, x, scale, bias, &y));
    return nac_lower_bind_image(lowering, y, axes);
}
