/* softmax.c - Softmax and LogSoftmax over one axis. */
#include "ops/common.h"

/* The tensor seen as [outer, size, inner], with the axis in the middle. */
typedef struct split {
    int outer, size, inner;
} split;

static split split_at(const nac_shape *shape, int axis) {
    split s = {1, shape->dims[axis], 1};
    for (int i = 0; i < axis; ++i) s.outer *= shape->dims[i];
    for (int i = axis + 1; i < shape->rank; ++i) s.inner *= shape->dims[i];
    return s;
}

/* y = exp(x - max x) / sum exp(x - max x) along the axis. */
void nac_run_SOFTMAX(const nac_graph *graph, const nac_node *node) {
    const split s = split_at(&graph->values[node->output].shape, node->u.softmax.axis);
    for (int o = 0; o < s.outer; ++o)
        for (int i = 0; i < s.inner; ++i) {
            const float *x = nac_data(graph, node->inputs[0]) + o * s.size * s.inner + i;
            float *y = nac_data(graph, node->output) + o * s.size * s.inner + i;
            float max = x[0];
            for (int k = 1; k < s.size; ++k) max = x[k * s.inner] > max ? x[k * s.inner] : max;
            double sum = 0;
            for (int k = 0; k < s.size; ++k) sum += exp((double)x[k * s.inner] - (double)max);
            for (int k = 0; k < s.size; ++k)
                y[k * s.inner] = nac_clamp((float)(exp((double)x[k * s.inner] - (double)max) / sum), node->min, node->max);
        }
}

/* dx = y * (dy - sum(y * dy)) along the axis. */
void nac_run_SOFTMAX_GRAD(const nac_graph *graph, const nac_node *node) {
    const split s = split_at(&graph->values[node->output].shape, node->u.softmax.axis);
    for (int o = 0; o < s.outer; ++o)
        for (int i = 0; i < s.inner; ++i) {
            const int at = o * s.size * s.inner + i;
            const float *y = nac_data(graph, node->inputs[0]) + at, *dy = nac_data(graph, node->inputs[1]) + at;
            float *dx = nac_data(graph, node->output) + at;
            double sum = 0;
            for (int k = 0; k < s.size; ++k) sum += (double)y[k * s.inner] * (double)dy[k * s.inner];
            for (int k = 0; k < s.size; ++k)
                dx[k * s.inner] = nac_clamp((float)((double)y[k * s.inner] * ((double)dy[k * s.inner] - sum)), node->min, node->max);
        }
}

NAC_GRADIENT(SOFTMAX) {
    (void)slot;
    const nac_node forward = graph->nodes[node];
    const nac_shape shape = graph->values[forward.output].shape;
    nac_node gradient = nac_node_make(NAC_OP_SOFTMAX_GRAD, forward.name);
    gradient.u = forward.u;
    return nac_graph_emit(graph, gradient, (const int[]){forward.output, dy}, 2, NULL, &shape, graph->values[forward.output].layout, dx,
                          error);
}

/* ---- ONNX -------------------------------------------------------------------------------------- */

/* x as it is with the physical axis to work along. Before opset 13 the axes from `axis` on were flattened to one, which
 * is another function unless `axis` is the last: then *x is [rows, columns], row-major, and *axis is 1. */
static nac_status operand(nac_lowering *lowering, int *x, int *axis) {
    const bool flattens = lowering->model->opset < 13;
    NAC_TRY(nac_lower_float(lowering, 0, x));
    const nac_shape logical = nac_logical_shape(&lowering->graph->values[*x]);
    int64_t wanted;
    NAC_TRY(nac_attribute_int(lowering, "axis", flattens ? 1 : -1, &wanted));
    if (logical.rank == 0) return nac_lower_fail(lowering, NAC_UNSUPPORTED, "the input is a scalar");
    NAC_TRY(nac_lower_axis(lowering, wanted, logical.rank, axis));
    if (!flattens || *axis == logical.rank - 1) {
        *axis = nac_physical_axis(lowering->graph->values[*x].layout, *axis);
        return NAC_OK;
    }
    int dims[2] = {1, 1};
    for (int i = 0; i < logical.rank; ++i) dims[i >= *axis] *= logical.dims[i];
    const nac_shape flat = nac_shape_make(2, dims);
    NAC_TRY(nac_as_row_major(lowering, *x, x));
    NAC_TRY(nac_lower_reshape(lowering, *x, &flat, x));
    *axis = 1;
    return NAC_OK;
}

/* Binds y, reshaped back to the input's shape where `operand` had flattened it. */
static nac_status bind_like_input(nac_lowering *lowering, int y) {
    int x;
    NAC_TRY(nac_lower_float(lowering, 0, &x));
    const nac_shape logical = nac_logical_shape(&lowering->graph->values[x]);
    const nac_shape now = nac_logical_shape(&lowering->graph->values[y]);
    if (!nac_shape_equal(&logical, &now)) NAC_TRY(nac_lower_reshape(lowering, y, &logical, &y));
    return nac_lower_bind(lowering, 0, y);
}

nac_status nac_lower_Softmax(nac_lowering *lowering) {
    int x, axis, y;
    NAC_TRY(operand(lowering, &x, &axis));
    nac_node node = nac_node_make(NAC_OP_SOFTMAX, lowering->node->name);
    node.u.softmax.axis = axis;
    const nac_shape shape = lowering->graph->values[x].shape;
    NAC_TRY(nac_lower_emit(lowering, node, &x, 1, &shape, lowering->graph->values[x].layout, &y));
    return bind_like_input(lowering, y);
}

/* d - log(sum(exp(d))) with d = x - max(x). log(softmax(x)) would be -inf, and its gradient NaN, where p underflows. That the maximum
 * too is differentiated changes nothing, as it cancels. */
nac_status nac_lower_LogSoftmax(nac_lowering *lowering) {
    int x, axis, max;
    NAC_TRY(operand(lowering, &x, &axis));
    const nac_shape shape = lowering->graph->values[x].shape;
    const nac_layout layout = lowering->graph->values[x].layout;
    nac_shape one = shape;
    one.dims[axis] = 1;
    bool axes[NAC_MAX_RANK] = {false};
    axes[axis] = true;
    NAC_TRY(nac_lower_maximum(lowering, x, axes, &max));

    nac_node subtract = nac_node_make(NAC_OP_BINARY, lowering->node->name);
    subtract.u.binary.kind = NAC_BINARY_SUB;
    nac_node sum = nac_node_make(NAC_OP_REDUCE, lowering->node->name);
    sum.u.reduce.scale = 1;
    sum.u.reduce.axes[axis] = true;
    int d, log_sum, y;
    NAC_TRY(nac_lower_emit(lowering, subtract, (const int[]){x, max}, 2, &shape, layout, &d));
    NAC_TRY(nac_lower_unary(lowering, NAC_UNARY_EXP, 0, 0, d, &log_sum));
    NAC_TRY(nac_lower_emit(lowering, sum, &log_sum, 1, &one, layout, &log_sum));
    NAC_TRY(nac_lower_unary(lowering, NAC_UNARY_LOG, 0, 0, log_sum, &log_sum));
    NAC_TRY(nac_lower_emit(lowering, subtract, (const int[]){d, log_sum}, 2, &shape, layout, &y));
    return bind_like_input(lowering, y);
}
