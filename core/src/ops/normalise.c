/* normalise.c - LayerNormalization and InstanceNormalization (PyTorch's GroupNorm too comes as one), composed of operators that
 * have gradients. Their statistics belong to the image, so unlike batch normalisation they cannot be folded. */
#include <string.h>

#include "ops/common.h"

/* The mean over the physical `axes`, with dims 1 there. */
static nac_status mean_over(nac_lowering *lowering, int x, const bool *axes, int *mean) {
    const nac_layout layout = lowering->graph->values[x].layout;
    nac_shape shape = lowering->graph->values[x].shape;
    nac_node node = nac_node_make(NAC_OP_REDUCE, lowering->node->name);
    double summands = 1;
    for (int i = 0; i < shape.rank; ++i) {
        if (!axes[i]) continue;
        summands *= shape.dims[i];
        shape.dims[i] = 1;
        node.u.reduce.axes[i] = true;
    }
    node.u.reduce.scale = (float)(1 / summands);
    return nac_lower_emit(lowering, node, &x, 1, &shape, layout, mean);
}

/* (x - mean) / sqrt(variance + epsilon), the biased variance of the centred numbers. */
static nac_status normalise(nac_lowering *lowering, int x, const bool *axes, float epsilon, int *result) {
    int mean, centred, variance, small;
    float *number;
    NAC_TRY(mean_over(lowering, x, axes, &mean));
    NAC_TRY(nac_lower_combine(lowering, NAC_BINARY_SUB, x, mean, &centred));
    NAC_TRY(nac_lower_unary(lowering, NAC_UNARY_POW, 2, 0, centred, &variance));
    NAC_TRY(mean_over(lowering, variance, axes, &variance));
    NAC_TRY(nac_lower_add_vector(lowering, 1, &small, &number));
    *number = epsilon;
    NAC_TRY(nac_lower_combine(lowering, NAC_BINARY_ADD, variance, small, &variance));
    NAC_TRY(nac_lower_unary(lowering, NAC_UNARY_POW, -0.5f, 0, variance, &variance));
    return nac_lower_combine(lowering, NAC_BINARY_MUL, centred, variance, result);
}

static nac_status refuse_statistics(nac_lowering *lowering) {
    for (int i = 1; i < lowering->node->output_count; ++i)
        if (lowering->node->outputs[i] != NAC_ONNX_ABSENT)
            return nac_lower_fail(lowering, NAC_UNSUPPORTED, "output %d, a statistic, is not supported", i);
    return NAC_OK;
}

/* X, Scale, [B]: over all axes from `axis` on, which are seen as one. */
nac_status nac_lower_LayerNormalization(nac_lowering *lowering) {
    nac_graph *graph = lowering->graph;
    float epsilon;
    int64_t wanted;
    int x, axis, affine[2], y;
    NAC_TRY(nac_attribute_float(lowering, "epsilon", 1e-5f, &epsilon));
    NAC_TRY(nac_attribute_int(lowering, "axis", -1, &wanted));
    NAC_TRY(refuse_statistics(lowering));
    NAC_TRY(nac_lower_float(lowering, 0, &x));
    NAC_TRY(nac_as_row_major(lowering, x, &x));
    const nac_shape shape = graph->values[x].shape;
    NAC_TRY(nac_lower_axis(lowering, wanted, shape.rank, &axis));
    nac_shape flat = nac_shape_make(axis + 1, shape.dims);
    for (int i = axis + 1; i < shape.rank; ++i) flat.dims[axis] *= shape.dims[i];
    NAC_TRY(nac_lower_reshape(lowering, x, &flat, &x));

    const int C = flat.dims[axis];
    for (int i = 0; i < 2; ++i) {
        float *numbers;
        NAC_TRY(nac_lower_add_vector(lowering, C, &affine[i], &numbers));
        const int given = nac_lower_optional(lowering, 1 + i);
        if (given == NAC_NONE) {
            if (i == 0) return nac_lower_fail(lowering, NAC_MALFORMED, "Scale is missing");
            for (int c = 0; c < C; ++c) numbers[c] = 0;
            continue;
        }
        const nac_value *value = &graph->values[given];
        if (!value->constant || value->type != NAC_F32 || nac_elements(&value->shape) != (size_t)C) {
            char text[NAC_SHAPE_TEXT];
            return nac_lower_fail(lowering, NAC_UNSUPPORTED, "input %d must be a float32 constant of %d numbers, not %s", 1 + i, C,
                                  nac_shape_text(&value->shape, text));
        }
        memcpy(numbers, value->data, (size_t)C * sizeof *numbers);
    }
    bool axes[NAC_MAX_RANK] = {false};
    axes[axis] = true;
    NAC_TRY(normalise(lowering, x, axes, epsilon, &y));
    NAC_TRY(nac_lower_affine(lowering, y, affine[0], affine[1], &y));
    NAC_TRY(nac_lower_reshape(lowering, y, &shape, &y));
    return nac_lower_bind(lowering, 0, y);
}

/* X [N,C,...], scale [C], B [C]: over all axes but N and C. */
nac_status nac_lower_InstanceNormalization(nac_lowering *lowering) {
    nac_graph *graph = lowering->graph;
    static const char *const names[2] = {"scale", "B"};
    float epsilon;
    int x, y;
    NAC_TRY(nac_attribute_float(lowering, "epsilon", 1e-5f, &epsilon));
    NAC_TRY(nac_lower_float(lowering, 0, &x));
    const nac_shape logical = nac_logical_shape(&graph->values[x]);
    if (logical.rank < 3) return nac_lower_fail(lowering, NAC_UNSUPPORTED, "the input has rank %d; at least 3 is needed", logical.rank);
    bool axes[NAC_MAX_RANK] = {false};
    for (int i = 2; i < logical.rank; ++i) axes[nac_physical_axis(graph->values[x].layout, i)] = true;
    NAC_TRY(normalise(lowering, x, axes, epsilon, &y));

    nac_shape channels = {.rank = logical.rank - 1}; /* [C,1,...]: broadcasts behind N */
    for (int i = 0; i < channels.rank; ++i) channels.dims[i] = i ? 1 : logical.dims[1];
    for (int i = 0; i < 2; ++i) {
        int vector;
        const float *numbers;
        NAC_TRY(nac_lower_input(lowering, 1 + i, &vector));
        NAC_TRY(nac_lower_vector(lowering, vector, names[i], logical.dims[1], &numbers));
        bool idle = true; /* GroupNorm leaves ones and zeros here, and scales afterwards */
        for (int c = 0; c < logical.dims[1]; ++c) idle = idle && numbers[c] == (i == 0 ? 1.0f : 0.0f);
        if (idle) continue;
        NAC_TRY(nac_lower_reshape(lowering, vector, &channels, &vector));
        NAC_TRY(nac_lower_combine(lowering, i == 0 ? NAC_BINARY_MUL : NAC_BINARY_ADD, y, vector, &y));
    }
    return nac_lower_bind(lowering, 0, y);
}
