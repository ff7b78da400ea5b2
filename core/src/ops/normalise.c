/* normalise.c - LayerNormalization, RMSNormalization, InstanceNormalization (PyTorch's GroupNorm too comes as one), GroupNormalization,
 * MeanVarianceNormalization and LRN. Their
 * statistics belong to the image, so unlike batch normalisation they cannot be folded. Over the last dim, where the
 * numbers are neighbours, it is one node; other axes are composed of operators that have gradients. */
#include <string.h>

#include "ops/common.h"

/* Mean, and 1 / sqrt(variance + epsilon) with the biased variance of the centred numbers. */
static double row_statistics(const float *x, int C, double epsilon, double *mean) {
    double sum = 0, squares = 0;
    for (int c = 0; c < C; ++c) sum += (double)x[c];
    *mean = sum / C;
    for (int c = 0; c < C; ++c) squares += ((double)x[c] - *mean) * ((double)x[c] - *mean);
    return 1 / sqrt(squares / C + epsilon);
}

/* x [...,C], scale [C], bias [C] -> (x - mean) / sqrt(variance + epsilon) * scale + bias. */
void nac_run_LAYER_NORM(const nac_graph *graph, const nac_node *node) {
    const nac_shape *shape = &graph->values[node->output].shape;
    const int C = shape->dims[shape->rank - 1], rows = (int)(nac_elements(shape) / (size_t)C);
    const float *x = nac_data(graph, node->inputs[0]), *scale = nac_data(graph, node->inputs[1]), *bias = nac_data(graph, node->inputs[2]);
    float *y = nac_data(graph, node->output);
    for (int r = 0; r < rows; ++r, x += C, y += C) {
        double mean;
        const double factor = row_statistics(x, C, (double)node->u.layer_norm.epsilon, &mean);
        for (int c = 0; c < C; ++c)
            y[c] = nac_clamp((float)(((double)x[c] - mean) * factor * (double)scale[c] + (double)bias[c]), node->min, node->max);
    }
}

/* With n = (x - mean) * factor and d = dy * scale: dx = factor * (d - mean(d) - n * mean(d * n)). The statistics are computed again:
 * that costs less than keeping them. */
void nac_run_LAYER_NORM_GRAD(const nac_graph *graph, const nac_node *node) {
    const nac_shape *shape = &graph->values[node->output].shape;
    const int C = shape->dims[shape->rank - 1], rows = (int)(nac_elements(shape) / (size_t)C);
    const float *x = nac_data(graph, node->inputs[0]), *dy = nac_data(graph, node->inputs[1]), *scale = nac_data(graph, node->inputs[2]);
    float *dx = nac_data(graph, node->output);
    for (int r = 0; r < rows; ++r, x += C, dy += C, dx += C) {
        double mean, sum = 0, product = 0;
        const double factor = row_statistics(x, C, (double)node->u.layer_norm.epsilon, &mean);
        for (int c = 0; c < C; ++c) {
            const double d = (double)dy[c] * (double)scale[c];
            sum += d;
            product += d * ((double)x[c] - mean) * factor;
        }
        for (int c = 0; c < C; ++c) {
            const double d = (double)dy[c] * (double)scale[c], n = ((double)x[c] - mean) * factor;
            dx[c] = nac_clamp((float)(factor * (d - sum / C - n * product / C)), node->min, node->max);
        }
    }
}

NAC_GRADIENT(LAYER_NORM) {
    if (slot != 0) return nac_gradient_refused(graph, node, slot, error);
    const nac_node forward = graph->nodes[node];
    const int x = forward.inputs[0];
    const nac_shape shape = graph->values[x].shape;
    nac_node gradient = nac_node_make(NAC_OP_LAYER_NORM_GRAD, forward.name);
    gradient.u = forward.u;
    return nac_graph_emit(graph, gradient, (const int[]){x, dy, forward.inputs[1]}, 3, NULL, &shape, graph->values[x].layout, dx, error);
}

/* ---- ONNX -------------------------------------------------------------------------------------- */

/* A constant [C] of one number. */
static nac_status filled(nac_lowering *lowering, int C, float number, int *value) {
    float *numbers;
    NAC_TRY(nac_lower_add_vector(lowering, C, value, &numbers));
    for (int c = 0; c < C; ++c) numbers[c] = number;
    return NAC_OK;
}

/* Over the last physical dim, without a scale or bias of its own. */
static nac_status normalise_last(nac_lowering *lowering, int x, float epsilon, int *result) {
    const nac_shape shape = lowering->graph->values[x].shape;
    const nac_layout layout = lowering->graph->values[x].layout;
    int inputs[3] = {x};
    NAC_TRY(filled(lowering, shape.dims[shape.rank - 1], 1, &inputs[1]));
    NAC_TRY(filled(lowering, shape.dims[shape.rank - 1], 0, &inputs[2]));
    nac_node node = nac_node_make(NAC_OP_LAYER_NORM, NULL);
    node.u.layer_norm.epsilon = epsilon;
    return nac_lower_emit(lowering, node, inputs, 3, &shape, layout, result);
}

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

/* x / sqrt(the mean of its squares + epsilon). */
static nac_status divide_by_root(nac_lowering *lowering, int x, const bool *axes, float epsilon, int *result) {
    int square, small;
    float *number;
    NAC_TRY(nac_lower_unary(lowering, NAC_UNARY_POW, 2, 0, x, &square));
    NAC_TRY(mean_over(lowering, square, axes, &square));
    NAC_TRY(nac_lower_add_vector(lowering, 1, &small, &number));
    *number = epsilon;
    NAC_TRY(nac_lower_combine(lowering, NAC_BINARY_ADD, square, small, &square));
    NAC_TRY(nac_lower_unary(lowering, NAC_UNARY_POW, -0.5f, 0, square, &square));
    return nac_lower_combine(lowering, NAC_BINARY_MUL, x, square, result);
}

/* (x - mean) / sqrt(variance + epsilon), the biased variance of the centred numbers. */
static nac_status normalise(nac_lowering *lowering, int x, const bool *axes, float epsilon, int *result) {
    const int last = lowering->graph->values[x].shape.rank - 1;
    bool others = false;
    for (int i = 0; i < last; ++i) others = others || axes[i];
    if (axes[last] && !others) return normalise_last(lowering, x, epsilon, result);
    int mean, centred;
    NAC_TRY(mean_over(lowering, x, axes, &mean));
    NAC_TRY(nac_lower_combine(lowering, NAC_BINARY_SUB, x, mean, &centred));
    return divide_by_root(lowering, centred, axes, epsilon, result);
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
    NAC_TRY(normalise_last(lowering, x, epsilon, &y));
    NAC_TRY(nac_lower_affine(lowering, y, affine[0], affine[1], &y));
    NAC_TRY(nac_lower_reshape(lowering, y, &shape, &y));
    return nac_lower_bind(lowering, 0, y);
}

/* X, scale: over all axes from `axis` on, of which no mean is taken off. */
nac_status nac_lower_RMSNormalization(nac_lowering *lowering) {
    float epsilon;
    int64_t wanted;
    int x, scale, axis, y;
    NAC_TRY(nac_attribute_float(lowering, "epsilon", 1e-5f, &epsilon));
    NAC_TRY(nac_attribute_int(lowering, "axis", -1, &wanted));
    NAC_TRY(nac_lower_float(lowering, 0, &x));
    NAC_TRY(nac_lower_float(lowering, 1, &scale));
    const nac_value v = lowering->graph->values[x];
    NAC_TRY(nac_lower_axis(lowering, wanted, v.shape.rank, &axis));
    bool axes[NAC_MAX_RANK] = {false};
    for (int i = axis; i < v.shape.rank; ++i) axes[nac_physical_axis(v.layout, i)] = true;
    NAC_TRY(divide_by_root(lowering, x, axes, epsilon, &y));
    NAC_TRY(nac_lower_combine(lowering, NAC_BINARY_MUL, y, scale, &y));
    return nac_lower_bind(lowering, 0, y);
}

/* Over axes 0, 2 and 3, or those that are given. An image must not depend on what else is in its batch. */
nac_status nac_lower_MeanVarianceNormalization(nac_lowering *lowering) {
    const float SMALL = 1e-18f; /* ONNX adds 1e-9 to the root */
    int64_t given[NAC_MAX_RANK];
    int x, count, axis, y;
    NAC_TRY(nac_lower_float(lowering, 0, &x));
    const nac_value v = lowering->graph->values[x];
    NAC_TRY(nac_attribute_ints(lowering, "axes", given, NAC_MAX_RANK, &count));
    if (count == 0) {
        memcpy(given, (const int64_t[]){0, 2, 3}, 3 * sizeof *given);
        count = 3;
    }
    bool axes[NAC_MAX_RANK] = {false};
    for (int i = 0; i < count; ++i) {
        NAC_TRY(nac_lower_axis(lowering, given[i], v.shape.rank, &axis));
        if (axis == 0 && v.shape.dims[0] > 1) return nac_lower_fail(lowering, NAC_UNSUPPORTED, "it normalises over the batch; use a batch of 1");
        axes[nac_physical_axis(v.layout, axis)] = true;
    }
    NAC_TRY(normalise(lowering, x, axes, SMALL, &y));
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

/* A scale or bias of GroupNormalization for every channel: opset 21 has one a channel, opset 18 one a group. */
static nac_status spread_over_channels(nac_lowering *lowering, int input, int C, int groups, int *result) {
    const char *what = input == 1 ? "scale" : "bias";
    const float *given;
    float *numbers;
    int value;
    NAC_TRY(nac_lower_input(lowering, input, &value));
    const int each = lowering->model->opset < 21 ? C / groups : 1;
    NAC_TRY(nac_lower_vector(lowering, value, what, C / each, &given));
    NAC_TRY(nac_lower_add_vector(lowering, C, result, &numbers));
    for (int c = 0; c < C; ++c) numbers[c] = given[c / each];
    const nac_shape channels = nac_shape_make(3, (const int[]){C, 1, 1});
    return nac_lower_reshape(lowering, *result, &channels, result);
}

/* X [N,C,H,W], scale, bias: over the channels of a group and all pixels. */
nac_status nac_lower_GroupNormalization(nac_lowering *lowering) {
    float epsilon;
    int64_t groups;
    int x, scale, bias, y;
    NAC_TRY(nac_attribute_float(lowering, "epsilon", 1e-5f, &epsilon));
    NAC_TRY(nac_attribute_int(lowering, "num_groups", 0, &groups));
    NAC_TRY(nac_lower_float(lowering, 0, &x));
    const nac_shape shape = nac_logical_shape(&lowering->graph->values[x]);
    if (shape.rank != 4) return nac_lower_fail(lowering, NAC_UNSUPPORTED, "the input has rank %d; an image of rank 4 is needed", shape.rank);
    const int C = shape.dims[1];
    if (groups < 1 || groups > C || C % groups != 0)
        return nac_lower_fail(lowering, NAC_MALFORMED, "%lld groups of %d channels", (long long)groups, C);
    const int G = (int)groups, each = (int)(nac_elements(&shape) / (size_t)(shape.dims[0] * G));
    const nac_shape grouped = nac_shape_make(3, (const int[]){shape.dims[0], G, each});
    NAC_TRY(nac_as_row_major(lowering, x, &x));
    NAC_TRY(nac_lower_reshape(lowering, x, &grouped, &x));
    NAC_TRY(normalise_last(lowering, x, epsilon, &y));
    NAC_TRY(nac_lower_reshape(lowering, y, &shape, &y));
    NAC_TRY(spread_over_channels(lowering, 1, C, G, &scale));
    NAC_TRY(spread_over_channels(lowering, 2, C, G, &bias));
    NAC_TRY(nac_lower_combine(lowering, NAC_BINARY_MUL, y, scale, &y));
    NAC_TRY(nac_lower_combine(lowering, NAC_BINARY_ADD, y, bias, &y));
    return nac_lower_bind(lowering, 0, y);
}

/* X [N,C,H,W] / (bias + alpha / size * the sum of squares over `size` neighbouring channels) ^ beta: AlexNet's and GoogLeNet's. The sum is a pool
 * along the channels, laid out as H; its window is a channel longer behind than in front where `size` is even. */
nac_status nac_lower_LRN(nac_lowering *lowering) {
    int64_t size;
    float alpha, beta, bias;
    int x, y, constant;
    float *number;
    NAC_TRY(nac_attribute_int(lowering, "size", 0, &size));
    NAC_TRY(nac_attribute_float(lowering, "alpha", 1e-4f, &alpha));
    NAC_TRY(nac_attribute_float(lowering, "beta", 0.75f, &beta));
    NAC_TRY(nac_attribute_float(lowering, "bias", 1, &bias));
    NAC_TRY(nac_lower_float(lowering, 0, &x));
    NAC_TRY(nac_as_channels_last(lowering, x, &x));
    const nac_shape shape = lowering->graph->values[x].shape;
    const int C = shape.dims[3];
    if (size < 1 || size > 2 * (int64_t)C) return nac_lower_fail(lowering, NAC_MALFORMED, "a window of %lld channels of %d", (long long)size, C);
    const nac_shape columns = nac_shape_make(4, (const int[]){shape.dims[0] * shape.dims[1] * shape.dims[2], C, 1, 1});
    nac_node pool = nac_node_make(NAC_OP_AVERAGE_POOL, lowering->node->name);
    pool.u.pool.count_include_pad = true;
    pool.u.pool.window = (nac_window){.kernel_h = (int)size, .kernel_w = 1, .stride_h = 1, .stride_w = 1, .dilation_h = 1, .dilation_w = 1,
                                      .pad_top = (int)(size - 1) / 2, .pad_bottom = (int)size / 2};
    NAC_TRY(nac_lower_unary(lowering, NAC_UNARY_POW, 2, 0, x, &y));
    NAC_TRY(nac_lower_emit(lowering, nac_node_make(NAC_OP_RESHAPE, NULL), &y, 1, &columns, NAC_ROW_MAJOR, &y));
    NAC_TRY(nac_lower_emit(lowering, pool, &y, 1, &columns, NAC_ROW_MAJOR, &y));
    NAC_TRY(nac_lower_emit(lowering, nac_node_make(NAC_OP_RESHAPE, NULL), &y, 1, &shape, NAC_CHANNELS_LAST, &y));
    NAC_TRY(nac_lower_scaled(lowering, y, alpha, &y));
    NAC_TRY(nac_lower_add_vector(lowering, 1, &constant, &number));
    *number = bias;
    NAC_TRY(nac_lower_combine(lowering, NAC_BINARY_ADD, y, constant, &y));
    NAC_TRY(nac_lower_unary(lowering, NAC_UNARY_POW, -beta, 0, y, &y));
    NAC_TRY(nac_lower_combine(lowering, NAC_BINARY_MUL, x, y, &y));
    return nac_lower_bind(lowering, 0, y);
}
