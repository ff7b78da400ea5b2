/* probabilities.c - outputs that are probabilities without a softmax at the very end: the mean of several networks' softmaxes, or of one network's
 * over several views of an image. */
#include "ops/common.h"

/* The axis of a reshaped value's input that has the same numbers in front of it and behind it, or NAC_NONE. */
static int axis_before_reshape(const nac_shape *from, const nac_shape *to, int axis) {
    size_t behind = 1, seen = 1;
    for (int i = axis + 1; i < to->rank; ++i) behind *= (size_t)to->dims[i];
    for (int i = from->rank - 1; i >= 0; --i) {
        if (seen == behind && from->dims[i] == to->dims[axis]) return i;
        seen *= (size_t)from->dims[i];
    }
    return NAC_NONE;
}

/* What the numbers along a physical axis add up to, everywhere, by the way they are computed; NAN where that is not known. */
/* NOLINTNEXTLINE(misc-no-recursion): no deeper than `depth` */
static double mass_along(const nac_graph *graph, int value, int axis, int depth) {
    const nac_node *node = graph->values[value].producer == NAC_NONE ? NULL : &graph->nodes[graph->values[value].producer];
    if (!node || depth == 0 || node->min != -INFINITY || node->max != INFINITY) return NAN;
    const nac_shape *x = &graph->values[node->inputs[0]].shape, *y = &graph->values[value].shape;
    float scale = NAN, bias = NAN;
    double mass = 0;
    switch (node->op) {
    case NAC_OP_SOFTMAX: return node->u.softmax.axis == axis ? 1 : NAN;
    case NAC_OP_RESHAPE:
        axis = axis_before_reshape(x, y, axis);
        return axis == NAC_NONE ? NAN : mass_along(graph, node->inputs[0], axis, depth - 1);
    case NAC_OP_TRANSPOSE: return mass_along(graph, node->inputs[0], node->u.transpose.perm[axis], depth - 1);
    case NAC_OP_EXPAND: return nac_shape_equal(x, y) ? (double)node->u.expand.scale * mass_along(graph, node->inputs[0], axis, depth - 1) : NAN;
    case NAC_OP_SLICE: return x->dims[axis] == y->dims[axis] ? mass_along(graph, node->inputs[0], axis, depth - 1) : NAN;
    case NAC_OP_REDUCE: {
        const size_t summed = nac_elements(x) / nac_elements(y);
        return node->u.reduce.axes[axis] ? NAN : (double)node->u.reduce.scale * (double)summed * mass_along(graph, node->inputs[0], axis, depth - 1);
    }
    case NAC_OP_AFFINE:
        if (!nac_graph_is_uniform(graph, node->inputs[1], &scale) || !nac_graph_is_uniform(graph, node->inputs[2], &bias) || bias != 0) return NAN;
        return (double)scale * mass_along(graph, node->inputs[0], axis, depth - 1);
    case NAC_OP_BINARY:
        if (node->u.binary.kind != NAC_BINARY_ADD) return NAN;
        for (int i = 0; i < 2; ++i) {
            if (graph->values[node->inputs[i]].shape.dims[axis] != y->dims[axis]) return NAN;
            mass += mass_along(graph, node->inputs[i], axis, depth - 1);
        }
        return mass;
    case NAC_OP_CONCAT:
        if (node->u.concat.axis == axis) return NAN;
        mass = mass_along(graph, node->inputs[0], axis, depth - 1);
        for (int i = 1; i < node->input_count && mass == mass; ++i)
            if (fabs(mass_along(graph, node->inputs[i], axis, depth - 1) - mass) > 1e-6 * fabs(mass)) return NAN;
        return mass;
    default: return NAN;
    }
}

bool nac_lower_is_probabilities(const nac_graph *graph, int value, int axis) {
    enum { DEEPEST = 12 }; /* a sum of that many, one after the other */
    return fabs(mass_along(graph, value, axis, DEEPEST) - 1) < 1e-3;
}

nac_status nac_lower_log_probabilities(nac_graph *graph, int value, int *result, nac_error *error) {
    const nac_value v = graph->values[value];
    nac_node clamp = nac_node_make(NAC_OP_UNARY, "logits"), log = clamp;
    clamp.u.unary.kind = NAC_UNARY_CLAMP;
    clamp.u.unary.a = 0x1p-100f; /* the logarithm of 0 is no number, and its gradient none at all */
    clamp.u.unary.b = INFINITY;
    log.u.unary.kind = NAC_UNARY_LOG;
    NAC_TRY(nac_graph_emit(graph, clamp, &value, 1, NULL, &v.shape, v.layout, result, error));
    return nac_graph_emit(graph, log, result, 1, NULL, &v.shape, v.layout, result, error);
}
