/* reduce.c - sums, means and extrema over axes, and the opposite, repetition. */
#include <float.h>
#include <string.h>

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

nac_status nac_lower_scaled(nac_lowering *lowering, int value, float scale, int *result) {
    if (scale == 1) {
        *result = value;
        return NAC_OK;
    }
    nac_node node = nac_node_make(NAC_OP_EXPAND, lowering->node->name);
    node.u.expand.scale = scale;
    const nac_shape shape = lowering->graph->values[value].shape;
    return nac_lower_emit(lowering, node, &value, 1, &shape, lowering->graph->values[value].layout, result);
}

/* What is summed or chosen, and what becomes of it. */
typedef enum reduction { SUM, MEAN, SQUARES, LENGTH, MAGNITUDES, MAXIMUM, MINIMUM, PRODUCT, LOG_SUM } reduction;

/* The axes of a reduction, and what it leaves. */
typedef struct reduced {
    bool axes[NAC_MAX_RANK];   /* physical */
    nac_shape shape;           /* physical, with dims 1 at the axes */
    nac_shape dropped;         /* ONNX's, without them */
    double summands;
    bool nothing;              /* no axes were given, and that is to mean none, not all */
} reduced;

/* All axes where none are given, but for `nothing`. */
static nac_status choose_axes(nac_lowering *lowering, int x, const int64_t *axes, int count, bool nothing, reduced *r) {
    const nac_value *value = &lowering->graph->values[x];
    const nac_shape logical = nac_logical_shape(value);
    bool chosen[NAC_MAX_RANK];
    *r = (reduced){.shape = value->shape, .summands = 1, .nothing = count == 0 && nothing};
    for (int i = 0; i < logical.rank; ++i) chosen[i] = count == 0;
    for (int i = 0; i < count; ++i) {
        int axis;
        NAC_TRY(nac_lower_axis(lowering, axes[i], logical.rank, &axis));
        chosen[axis] = true;
    }
    for (int i = 0; i < logical.rank; ++i) {
        const int axis = nac_physical_axis(value->layout, i);
        if (!chosen[i]) {
            r->dropped.dims[r->dropped.rank++] = logical.dims[i];
            continue;
        }
        r->axes[axis] = true;
        r->shape.dims[axis] = 1;
        r->summands *= logical.dims[i];
    }
    return NAC_OK;
}

/* The square root of a sum of squares. At 0, where its slope is infinite, the gradient is 0, as in PyTorch: a clamp far below any square
 * that float32 holds stands in between. */
static nac_status lower_root(nac_lowering *lowering, int sum, int *result) {
    NAC_TRY(nac_lower_unary(lowering, NAC_UNARY_CLAMP, FLT_MIN, INFINITY, sum, &sum));
    return nac_lower_unary(lowering, NAC_UNARY_SQRT, 0, 0, sum, result);
}

static nac_status lower_sum(nac_lowering *lowering, int x, const reduced *r, double scale, int *result) {
    nac_node node = nac_node_make(NAC_OP_REDUCE, lowering->node->name);
    memcpy(node.u.reduce.axes, r->axes, sizeof r->axes);
    node.u.reduce.scale = (float)scale;
    return nac_lower_emit(lowering, node, &x, 1, &r->shape, lowering->graph->values[x].layout, result);
}

/* The axes that are reduced side by side, and no other between them (dims of 1 do not count). */
static bool are_neighbours(const nac_shape *shape, const bool *axes, int *first, int *last) {
    *first = *last = NAC_NONE;
    for (int i = 0; i < shape->rank; ++i) {
        if (!axes[i]) continue;
        if (*first == NAC_NONE) *first = i;
        *last = i;
    }
    for (int i = *first; i >= 0 && i <= *last; ++i)
        if (!axes[i] && shape->dims[i] != 1) return false;
    return true;
}

nac_status nac_lower_maximum(nac_lowering *lowering, int x, const bool *axes, int *result) {
    const nac_graph *graph = lowering->graph;
    nac_shape shape = graph->values[x].shape;
    const nac_layout layout = graph->values[x].layout;
    nac_shape kept = shape;
    for (int i = 0; i < shape.rank; ++i)
        if (axes[i]) kept.dims[i] = 1;
    int first, last;
    if (!are_neighbours(&shape, axes, &first, &last)) { /* to the end with them */
        nac_node turn = nac_node_make(NAC_OP_TRANSPOSE, lowering->node->name);
        const nac_shape from = shape;
        int at = 0;
        for (int wanted = 0; wanted < 2; ++wanted)
            for (int i = 0; i < from.rank; ++i)
                if (axes[i] == (wanted != 0)) turn.u.transpose.perm[at++] = i;
        for (int i = 0; i < from.rank; ++i) shape.dims[i] = from.dims[turn.u.transpose.perm[i]];
        for (first = 0; first < from.rank && !axes[turn.u.transpose.perm[first]]; ++first) {}
        last = from.rank - 1;
        NAC_TRY(nac_lower_emit(lowering, turn, &x, 1, &shape, NAC_ROW_MAJOR, &x));
    }
    if (first == NAC_NONE) {
        *result = x;
        return NAC_OK;
    }
    /* A pool over the axes laid out as H. */
    int outer = 1, size = 1, inner = 1;
    for (int i = 0; i < shape.rank; ++i) *(i < first ? &outer : i <= last ? &size : &inner) *= shape.dims[i];
    const nac_shape high = nac_shape_make(4, (const int[]){outer, size, 1, inner}), flat = nac_shape_make(4, (const int[]){outer, 1, 1, inner});
    const nac_node reshape = nac_node_make(NAC_OP_RESHAPE, lowering->node->name);
    nac_node pool = nac_node_make(NAC_OP_MAX_POOL, lowering->node->name);
    pool.u.pool.window = (nac_window){.kernel_h = size, .kernel_w = 1, .stride_h = 1, .stride_w = 1, .dilation_h = 1, .dilation_w = 1};
    NAC_TRY(nac_lower_emit(lowering, reshape, &x, 1, &high, NAC_ROW_MAJOR, &x));
    NAC_TRY(nac_lower_emit(lowering, pool, &x, 1, &flat, NAC_ROW_MAJOR, &x));
    return nac_lower_emit(lowering, reshape, &x, 1, &kept, layout, result);
}

static nac_status lower_minimum(nac_lowering *lowering, int x, const bool *axes, int *result) {
    NAC_TRY(nac_lower_unary(lowering, NAC_UNARY_NEG, 0, 0, x, &x));
    NAC_TRY(nac_lower_maximum(lowering, x, axes, &x));
    return nac_lower_unary(lowering, NAC_UNARY_NEG, 0, 0, x, result);
}

/* max + log(sum(exp(x - max))): of the exponentials at least one is 1. */
static nac_status lower_log_sum(nac_lowering *lowering, int x, const reduced *r, int *result) {
    int max, sum;
    NAC_TRY(nac_lower_maximum(lowering, x, r->axes, &max));
    NAC_TRY(nac_lower_combine(lowering, NAC_BINARY_SUB, x, max, &x));
    NAC_TRY(nac_lower_unary(lowering, NAC_UNARY_EXP, 0, 0, x, &x));
    NAC_TRY(lower_sum(lowering, x, r, 1, &sum));
    NAC_TRY(nac_lower_unary(lowering, NAC_UNARY_LOG, 0, 0, sum, &sum));
    return nac_lower_combine(lowering, NAC_BINARY_ADD, sum, max, result);
}

static nac_status lower_floats(nac_lowering *lowering, int x, const reduced *r, reduction kind, int *y) {
    if (kind == SQUARES || kind == LENGTH) NAC_TRY(nac_lower_unary(lowering, NAC_UNARY_POW, 2, 0, x, &x));
    if (kind == MAGNITUDES) NAC_TRY(nac_lower_unary(lowering, NAC_UNARY_ABS, 0, 0, x, &x));
    *y = x;
    if (kind == PRODUCT) return nac_lower_fail(lowering, NAC_UNSUPPORTED, "only integers can be multiplied");
    if (kind == MAXIMUM && !r->nothing) NAC_TRY(nac_lower_maximum(lowering, x, r->axes, y));
    else if (kind == MINIMUM && !r->nothing) NAC_TRY(lower_minimum(lowering, x, r->axes, y));
    else if (kind == LOG_SUM && !r->nothing) NAC_TRY(lower_log_sum(lowering, x, r, y));
    else if (!r->nothing) NAC_TRY(lower_sum(lowering, x, r, kind == MEAN ? 1 / r->summands : 1, y));
    return kind == LENGTH ? lower_root(lowering, *y, y) : NAC_OK;
}

/* Constants of shape arithmetic, at once: what TensorFlow's exporter flattens by is a product of sizes. */
static nac_status lower_integers(nac_lowering *lowering, int x, const reduced *r, reduction kind, int *y) {
    nac_graph *graph = lowering->graph;
    const nac_shape from = graph->values[x].shape;
    if (kind != SUM && kind != PRODUCT && kind != MAXIMUM && kind != MINIMUM)
        return nac_lower_fail(lowering, NAC_UNSUPPORTED, "input 0 holds integers; only float32 is supported here");
    *y = x;
    if (r->nothing) return NAC_OK;
    NAC_TRY(nac_graph_add_constant(graph, NULL, NAC_I64, &r->shape, NAC_ROW_MAJOR, y, lowering->error));
    const int64_t *numbers = graph->values[x].data;
    int64_t *results = graph->values[*y].data;
    nac_walk walk = nac_walk_make(from.rank, from.dims);
    nac_walk_strides(&walk, 0, &from);
    nac_walk_strides(&walk, 1, &r->shape);
    const int64_t start = kind == SUM ? 0 : kind == PRODUCT ? 1 : kind == MAXIMUM ? INT64_MIN : INT64_MAX;
    for (size_t i = 0; i < nac_elements(&r->shape); ++i) results[i] = start;
    do {
        const int64_t number = numbers[walk.offset[0]];
        int64_t *to = &results[walk.offset[1]];
        const bool overflows = kind == SUM ? __builtin_add_overflow(*to, number, to) : kind == PRODUCT && __builtin_mul_overflow(*to, number, to);
        if (overflows) return nac_lower_fail(lowering, NAC_MALFORMED, "a sum or product of integers overflows");
        if (kind == MAXIMUM && number > *to) *to = number;
        if (kind == MINIMUM && number < *to) *to = number;
    } while (nac_walk_next(&walk));
    return NAC_OK;
}

static nac_status lower_reduce(nac_lowering *lowering, reduction kind) {
    int x, y, count;
    int64_t keep, noop, axes[NAC_MAX_RANK];
    reduced r;
    NAC_TRY(nac_lower_input(lowering, 0, &x));
    NAC_TRY(nac_attribute_int(lowering, "keepdims", 1, &keep));
    NAC_TRY(nac_attribute_int(lowering, "noop_with_empty_axes", 0, &noop));
    NAC_TRY(nac_lower_list(lowering, "axes", 1, axes, NAC_MAX_RANK, &count));
    NAC_TRY(choose_axes(lowering, x, axes, count, noop != 0, &r));
    if (lowering->graph->values[x].type == NAC_I64) NAC_TRY(lower_integers(lowering, x, &r, kind, &y));
    else NAC_TRY(lower_floats(lowering, x, &r, kind, &y));
    if (!keep && !r.nothing) {
        NAC_TRY(nac_as_row_major(lowering, y, &y));
        NAC_TRY(nac_lower_reshape(lowering, y, &r.dropped, &y));
    }
    return nac_lower_bind(lowering, 0, y);
}

nac_status nac_lower_ReduceL1(nac_lowering *lowering) { return lower_reduce(lowering, MAGNITUDES); }
nac_status nac_lower_ReduceL2(nac_lowering *lowering) { return lower_reduce(lowering, LENGTH); }
nac_status nac_lower_ReduceLogSumExp(nac_lowering *lowering) { return lower_reduce(lowering, LOG_SUM); }
nac_status nac_lower_ReduceMax(nac_lowering *lowering) { return lower_reduce(lowering, MAXIMUM); }
nac_status nac_lower_ReduceMean(nac_lowering *lowering) { return lower_reduce(lowering, MEAN); }
nac_status nac_lower_ReduceMin(nac_lowering *lowering) { return lower_reduce(lowering, MINIMUM); }
nac_status nac_lower_ReduceProd(nac_lowering *lowering) { return lower_reduce(lowering, PRODUCT); }
nac_status nac_lower_ReduceSum(nac_lowering *lowering) { return lower_reduce(lowering, SUM); }
nac_status nac_lower_ReduceSumSquare(nac_lowering *lowering) { return lower_reduce(lowering, SQUARES); }

/* x by its length along an axis, or by the sum of its magnitudes. */
nac_status nac_lower_LpNormalization(nac_lowering *lowering) {
    int x, length, y;
    int64_t axis, p;
    reduced r;
    NAC_TRY(nac_lower_float(lowering, 0, &x));
    NAC_TRY(nac_attribute_int(lowering, "axis", -1, &axis));
    NAC_TRY(nac_attribute_int(lowering, "p", 2, &p));
    if (p != 1 && p != 2) return nac_lower_fail(lowering, NAC_MALFORMED, "p is %lld; 1 and 2 are defined", (long long)p);
    NAC_TRY(choose_axes(lowering, x, &axis, 1, false, &r));
    NAC_TRY(lower_floats(lowering, x, &r, p == 1 ? MAGNITUDES : LENGTH, &length));
    NAC_TRY(nac_lower_combine(lowering, NAC_BINARY_DIV, x, length, &y));
    return nac_lower_bind(lowering, 0, y);
}
