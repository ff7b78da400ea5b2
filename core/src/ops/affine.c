/* affine.c - a scale and a bias per channel: batch normalisation, and constants added or multiplied along channels. */
#include <string.h>

#include "ops/common.h"

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

/* gamma * (x - mean) / sqrt(var + eps) + beta, as one scale and one bias, in double until the end: PyTorch folds the same
 * way, in float. */
nac_status nac_lower_BatchNormalization(nac_lowering *lowering) {
    int64_t training;
    float epsilon;
    NAC_TRY(nac_attribute_int(lowering, "training_mode", 0, &training));
    NAC_TRY(nac_attribute_float(lowering, "epsilon", 1e-5f, &epsilon));
    if (training != 0) return nac_lower_fail(lowering, NAC_UNSUPPORTED, "training_mode is 1: export the model in evaluation mode");
    for (int i = 1; i < lowering->node->output_count; ++i)
        if (lowering->node->outputs[i] != NAC_ONNX_ABSENT)
            return nac_lower_fail(lowering, NAC_UNSUPPORTED, "it has the running statistics as outputs: export the model in evaluation mode");
    int x;
    NAC_TRY(nac_lower_float(lowering, 0, &x));
    const nac_shape logical = nac_logical_shape(&lowering->graph->values[x]);
    if (logical.rank != 2 && logical.rank != 4)
        return nac_lower_fail(lowering, NAC_UNSUPPORTED, "the input has rank %d; 2 ([N,C]) and 4 ([N,C,H,W]) are supported", logical.rank);
    if (logical.rank == 4) NAC_TRY(nac_as_channels_last(lowering, x, &x));

    static const char *const names[4] = {"scale", "B", "the mean", "the variance"};
    const int C = logical.dims[1];
    const float *vectors[4];
    for (int i = 0; i < 4; ++i) {
        int vector;
        NAC_TRY(nac_lower_input(lowering, 1 + i, &vector));
        NAC_TRY(nac_lower_vector(lowering, vector, names[i], C, &vectors[i]));
    }
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
    return nac_lower_bind(lowering, 0, y);
}
