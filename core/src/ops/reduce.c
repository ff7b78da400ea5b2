/* reduce.c - sums and means over axes, and their opposite, repetition. */
#include <float.h>

#include "ops/common.h"

/* x -> the same with dims 1 at the axes: scale * sum. Every output element, or block of them along a last dim that is kept,
 * walks over what it sums. */
void nac_run_REDUCE(const nac_graph *graph, const nac_node *node) {
    const nac_shape *xs = &graph->values[node->inputs[0]].shape;
    const bool *axes = node->u.reduce.axes;
    const double scale = (double)node->u.reduce.scale;
    const float *x = nac_data(graph, node->inputs[0]);
    float *y = nac_data(graph, node->output);
    const int outer = xs->rank > 0 ? xs->rank - 1 : 0, last = xs->rank > 0 ? xs->dims[outer] : 1;
    const bool last_kept = xs->rank == 0 || !axes[outer];
    int kept_sizes[NAC_MAX_RANK], summed_sizes[NAC_MAX_RANK];
    for (int i = 0; i < outer; ++i) {
        kept_sizes[i] = axes[i] ? 1 : xs->dims[i];
        summed_sizes[i] = axes[i] ? xs->dims[i] : 1;
    }
    nac_walk kept = nac_walk_make(outer, kept_sizes), summed = nac_walk_make(outer, summed_sizes);
    nac_walk_strides(&kept, 0, xs);
    nac_walk_strides(&summed, 0, xs);
    do {
        for (int c0 = 0; c0 < (last_kept ? last : 1); c0 += NAC_BLOCK) {
            const int count = last_kept ? nac_min_int(NAC_BLOCK, last - c0) : 1;
            double sum[NAC_BLOCK] = {0};
            do {
                const float *row = x + kept.offset[0] + summed.offset[0] + c0;
                if (last_kept)
                    for (int c = 0; c < count; ++c) sum[c] += (double)row[c];
                else
                    for (int c = 0; c < last; ++c) sum[0] += (double)row[c];
            } while (nac_walk_next(&summed));
            for (int c = 0; c < count; ++c) *y++ = nac_clamp((float)(scale * sum[c]), node->min, node->max);
        }
    } while (nac_walk_next(&kept));
}

/* x, whose dims (behind leading ones) are the output's or 1 -> scale * x repeated. */
void nac_run_EXPAND(const nac_graph *graph, const nac_node *node) {
    const nac_shape *ys = &graph->values[node->output].shape;
    const nac_shape xs = nac_shape_aligned(&graph->values[node->inputs[0]].shape, ys->rank);
    const float scale = node->u.expand.scale, min = node->min, max = node->max;
    const float *x = nac_data(graph, node->inputs[0]);
    float *y = nac_data(graph, node->output);
    const int outer = ys->rank > 0 ? ys->rank - 1 : 0, last = ys->rank > 0 ? ys->dims[outer] : 1;
    const bool repeats = ys->rank > 0 && xs.dims[outer] == 1; /* one number along the last dim */
    nac_walk walk = nac_walk_make(outer, ys->dims);
    nac_walk_strides(&walk, 0, &xs);
    do {
        const float *row = x + walk.offset[0];
        if (repeats) {
            const float number = nac_clamp(scale * row[0], min, max);
            for (int c = 0; c < last; ++c) y[c] = number;
        } else {
            for (int c = 0; c < last; ++c) y[c] = nac_clamp(scale * row[c], min, max);
        }
        y += last;
    } while (nac_walk_next(&walk));
}

NAC_GRADIENT(REDUCE) {
    (void)slot;
    const nac_node forward = graph->nodes[node];
    const nac_shape shape = graph->values[forward.inputs[0]].shape;
    nac_node gradient = nac_node_make(NAC_OP_EXPAND, forward.name);
    gradient.u.expand.scale = forward.u.reduce.scale;
    return nac_graph_emit(graph, gradient, &dy, 1, NULL, &shape, graph->values[forward.inputs[0]].layout, dx, error);
}

NAC_GRADIENT(EXPAND) {
    (void)slot;
    const nac_node forward = graph->nodes[node];
    return nac_emit_reduced_like(graph, forward.name, dy, forward.inputs[0], forward.u.expand.scale, dx, error);
}

/* ---- ONNX -------------------------------------------------------------------------------------- */

/* What is summed, and what becomes of the sum. */
typedef enum reduction { SUM, MEAN, SQUARES, LENGTH, MAGNITUDES } reduction;

/* The square root of a sum of squares. At 0, where its slope is infinite, the gradient is 0, as in PyTorch: a clamp far below any square
 * that float32 holds stands in between. */
static nac_status lower_root(nac_lowering *lowering, int sum, int *result) {
    NAC_TRY(nac_lower_unary(lowering, NAC_UNARY_CLAMP, FLT_MIN, INFINITY, sum, &sum));
    return nac_lower_unary(lowering, NAC_UNARY_SQRT, 0, 0, sum, result);
}

/* `axes` was an attribute before `input_since`, and has been input 1 from then on. */
static nac_status lower_reduce(nac_lowering *lowering, int input_since, reduction kind) {
    nac_graph *graph = lowering->graph;
    int x, y, count = 0;
    int64_t axes[NAC_MAX_RANK], keep, noop;
    NAC_TRY(nac_lower_float(lowering, 0, &x));
    if (kind == SQUARES || kind == LENGTH) NAC_TRY(nac_lower_unary(lowering, NAC_UNARY_POW, 2, 0, x, &x));
    if (kind == MAGNITUDES) NAC_TRY(nac_lower_unary(lowering, NAC_UNARY_ABS, 0, 0, x, &x));
    NAC_TRY(nac_attribute_int(lowering, "keepdims", 1, &keep));
    NAC_TRY(nac_attribute_int(lowering, "noop_with_empty_axes", 0, &noop));
    if (lowering->model->opset < input_since) {
        noop = 0;
        NAC_TRY(nac_attribute_ints(lowering, "axes", axes, NAC_MAX_RANK, &count));
    } else {
        const int given = nac_lower_optional(lowering, 1);
        if (given != NAC_NONE) NAC_TRY(nac_lower_ints(lowering, given, "axes", axes, NAC_MAX_RANK, &count));
    }
    if (count == 0 && noop) {
        if (kind == LENGTH) NAC_TRY(lower_root(lowering, x, &x));
        return nac_lower_bind(lowering, 0, x);
    }

    const nac_shape logical = nac_logical_shape(&graph->values[x]);
    const nac_layout layout = graph->values[x].layout;
    bool reduced[NAC_MAX_RANK];
    for (int i = 0; i < logical.rank; ++i) reduced[i] = count == 0;
    for (int i = 0; i < count; ++i) {
        int axis;
        NAC_TRY(nac_lower_axis(lowering, axes[i], logical.rank, &axis));
        reduced[axis] = true;
    }
    nac_node node = nac_node_make(NAC_OP_REDUCE, lowering->node->name);
    nac_shape shape = graph->values[x].shape, dropped = {0};
    double summands = 1;
    for (int i = 0; i < logical.rank; ++i) {
        const int axis = nac_physical_axis(layout, i);
        if (!reduced[i]) {
            dropped.dims[dropped.rank++] = logical.dims[i];
            continue;
        }
        node.u.reduce.axes[axis] = true;
        shape.dims[axis] = 1;
        summands *= logical.dims[i];
    }
    node.u.reduce.scale = kind == MEAN ? (float)(1 / summands) : 1;
    NAC_TRY(nac_lower_emit(lowering, node, &x, 1, &shape, layout, &y));
    if (kind == LENGTH) NAC_TRY(lower_root(lowering, y, &y));
    if (!keep) {
        NAC_TRY(nac_as_row_major(lowering, y, &y));
        NAC_TRY(nac_lower_reshape(lowering, y, &dropped, &y));
    }
    return nac_lower_bind(lowering, 0, y);
}

nac_status nac_lower_ReduceL1(nac_lowering *lowering) { return lower_reduce(lowering, 18, MAGNITUDES); }
nac_status nac_lower_ReduceL2(nac_lowering *lowering) { return lower_reduce(lowering, 18, LENGTH); }
nac_status nac_lower_ReduceMean(nac_lowering *lowering) { return lower_reduce(lowering, 18, MEAN); }
nac_status nac_lower_ReduceSum(nac_lowering *lowering) { return lower_reduce(lowering, 13, SUM); }
nac_status nac_lower_ReduceSumSquare(nac_lowering *lowering) { return lower_reduce(lowering, 18, SQUARES); }
