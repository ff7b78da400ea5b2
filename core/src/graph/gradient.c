#include <math.h>
#include <string.h>

#include "graph/passes.h"
#include "ops/ops.h"

/* ---- Pooling of taps ---------------------------------------------------------------------------- */

static nac_status pool_failure(const nac_value *value, const char *pool, const char *wants, nac_error *error) {
    return nac_fail(error, NAC_INVALID_ARGUMENT, "tap '%s' has rank %d; pool '%s' wants %s", value->name ? value->name : "",
                    value->shape.rank, pool, wants);
}

/* ONNX's order of a [N,C,H,W] tensor, for a pool that keeps every element: the order is part of a profile. */
static nac_status to_onnx_order(nac_graph *graph, int value, int *result, nac_error *error) {
    const nac_value v = graph->values[value];
    if (v.layout == NAC_ROW_MAJOR) {
        *result = value;
        return NAC_OK;
    }
    nac_node node = nac_node_make(NAC_OP_TRANSPOSE, "tap");
    memcpy(node.u.transpose.perm, (const int[]){0, 3, 1, 2}, 4 * sizeof(int));
    const nac_shape shape = nac_logical_shape(&v);
    return nac_graph_emit(graph, node, &value, 1, NULL, &shape, NAC_ROW_MAJOR, result, error);
}

nac_status nac_graph_batch_first(nac_graph *graph, int value, int *result, nac_error *error) {
    const nac_value v = graph->values[value];
    *result = value;
    if (nac_graph_token_axis(graph, value) == 1) return NAC_OK;
    const int *d = v.shape.dims;
    nac_node node = nac_node_make(d[1] == 1 ? NAC_OP_RESHAPE : NAC_OP_TRANSPOSE, "tap");
    if (d[1] > 1) memcpy(node.u.transpose.perm, (const int[]){1, 0, 2}, 3 * sizeof(int));
    const nac_shape shape = nac_shape_make(3, (const int[]){d[1], d[0], d[2]});
    return nac_graph_emit(graph, node, &value, 1, NULL, &shape, NAC_ROW_MAJOR, result, error);
}

static nac_status flatten(nac_graph *graph, int value, int *result, nac_error *error) {
    const nac_shape s = graph->values[value].shape;
    const nac_shape flat = nac_shape_make(2, (const int[]){s.dims[0], (int)(nac_elements(&s) / (size_t)s.dims[0])});
    return nac_graph_emit(graph, nac_node_make(NAC_OP_RESHAPE, "tap"), &value, 1, NULL, &flat, NAC_ROW_MAJOR, result, error);
}

/* Whether the node does the same linear thing at every position of its first input, so that it may as well be done to the sum of them. */
static bool commutes_with_sums(const nac_graph *graph, const nac_node *node, const bool axes[NAC_MAX_RANK]) {
    const int last = graph->values[node->output].shape.rank - 1;
    const nac_window *v = &node->u.conv.window;
    if (axes[last]) return false;
    switch (node->op) {
        case NAC_OP_CONV_GRAD:
            return v->kernel_h == 1 && v->kernel_w == 1 && !v->pad_top && !v->pad_left && !v->pad_bottom && !v->pad_right && axes[1] && axes[2];
        case NAC_OP_MATMUL: return node->input_count == 2 && !node->u.matmul.transpose_a && graph->values[node->inputs[1]].shape.rank == 2;
        default: return false;
    }
}

static nac_shape reduced_shape(const nac_shape *shape, const nac_node *reduce) {
    nac_shape reduced = *shape;
    for (int i = 0; i < shape->rank; ++i)
        if (reduce->u.reduce.axes[i]) reduced.dims[i] = 1;
    return reduced;
}

/* Appends `reduce` of `value`; where a product made it, or a sum of products, the product of sums: a vector is multiplied instead of an
 * image. Of ResNet-50's multiply-adds back to layer1 that saves a sixteenth. The nodes that made the whole of `value` fall away if nobody else
 * reads them. `depth`: how many nodes it may go back. */
/* NOLINTNEXTLINE(misc-no-recursion): no deeper than `depth` */
static nac_status reduce_value(nac_graph *graph, int value, nac_node reduce, int depth, int *reduced, nac_error *error) {
    const nac_value v = graph->values[value];
    const nac_shape shape = reduced_shape(&v.shape, &reduce);
    const nac_node *producer = v.producer == NAC_NONE ? NULL : &graph->nodes[v.producer];
    if (depth > 0 && producer && producer->min == -INFINITY && producer->max == INFINITY) {
        nac_node node = *producer; /* a copy: emitting may move the array, but not node.inputs */
        const int *from = node.inputs;
        const bool sum = node.op == NAC_OP_BINARY && node.u.binary.kind == NAC_BINARY_ADD &&
                         nac_shape_equal(&graph->values[from[0]].shape, &v.shape) && nac_shape_equal(&graph->values[from[1]].shape, &v.shape);
        if (sum || commutes_with_sums(graph, &node, reduce.u.reduce.axes)) {
            int inputs[2] = {from[0], from[1]};
            for (int i = 0; i < (sum ? 2 : 1); ++i) NAC_TRY(reduce_value(graph, inputs[i], reduce, depth - 1, &inputs[i], error));
            if (node.op == NAC_OP_CONV_GRAD) node.u.conv.window.stride_h = node.u.conv.window.stride_w = 1; /* of one position */
            return nac_graph_emit(graph, node, inputs, 2, NULL, &shape, v.layout, reduced, error);
        }
    }
    return nac_graph_emit(graph, reduce, &value, 1, NULL, &shape, v.layout, reduced, error);
}

/* Appends the pooling of `value` (an activation, or a gradient of the same shape and layout). `depth`: see reduce_value. */
static nac_status pool_value(nac_graph *graph, int value, nac_pool pool, int depth, int *pooled, nac_error *error) {
    NAC_TRY(nac_graph_batch_first(graph, value, &value, error));
    const nac_value v = graph->values[value];
    const int rank = v.shape.rank;
    if (rank < 2) return pool_failure(&v, "any", "a batch and at least one more dimension", error);
    nac_node node = nac_node_make(NAC_OP_REDUCE, "tap");
    nac_shape shape = v.shape;
    int summed = value;
    switch (pool) {
        case NAC_POOL_NONE:
            NAC_TRY(to_onnx_order(graph, value, &summed, error));
            return flatten(graph, summed, pooled, error);
        case NAC_POOL_CLS:
            if (rank != 3) return pool_failure(&v, "cls", "[N,T,C]", error);
            node = nac_node_make(NAC_OP_SLICE, "tap");
            for (int i = 0; i < rank; ++i) node.u.slice.steps[i] = 1;
            shape.dims[1] = 1;
            break;
        case NAC_POOL_NHWC:
            if (rank != 4) return pool_failure(&v, "nhwc", "[N,H,W,C]", error);
            node.u.reduce.axes[nac_physical_axis(v.layout, 1)] = node.u.reduce.axes[nac_physical_axis(v.layout, 2)] = true;
            break;
        case NAC_POOL_SUM:
        case NAC_POOL_MEAN:
            if (rank > 4) return pool_failure(&v, "sum", "[N,C,H,W], [N,T,C] or [N,C]", error);
            if (rank == 4) node.u.reduce.axes[nac_physical_axis(v.layout, 2)] = node.u.reduce.axes[nac_physical_axis(v.layout, 3)] = true;
            if (rank == 3) node.u.reduce.axes[1] = true;
            break;
    }
    if (node.op == NAC_OP_REDUCE) {
        shape = reduced_shape(&v.shape, &node);
        node.u.reduce.scale = pool == NAC_POOL_MEAN ? (float)nac_elements(&shape) / (float)nac_elements(&v.shape) : 1.0f;
    }
    if (nac_shape_equal(&shape, &v.shape)) return flatten(graph, value, pooled, error);
    if (node.op == NAC_OP_REDUCE) NAC_TRY(reduce_value(graph, value, node, depth, &summed, error));
    else NAC_TRY(nac_graph_emit(graph, node, &value, 1, NULL, &shape, v.layout, &summed, error));
    return flatten(graph, summed, pooled, error);
}

nac_status nac_graph_pool_taps(nac_graph *graph, nac_graph_tap *taps, int tap_count, nac_error *error) {
    const int batch = graph->values[graph->logits].shape.dims[0];
    for (int i = 0; i < tap_count; ++i) {
        const nac_value *v = &graph->values[taps[i].value];
        if (v->shape.rank > 0 && v->shape.dims[0] != batch && nac_graph_token_axis(graph, taps[i].value) == 1)
            return nac_fail(error, NAC_INVALID_ARGUMENT, "tap '%s' has %d rows for a batch of %d; its first dimension must be the batch",
                            v->name ? v->name : "", v->shape.dims[0], batch);
        NAC_TRY(pool_value(graph, taps[i].value, taps[i].pool, 0, &taps[i].z, error));
    }
    return NAC_OK;
}

/* ---- One backward sweep -------------------------------------------------------------------------- */

/* A PAD with zeros of a stretch of one axis: what a slice sends back. *axis NAC_NONE: it is as long as the whole. */
static bool is_stretch(const nac_graph *graph, int value, int *axis) {
    const nac_node *node = graph->values[value].producer == NAC_NONE ? NULL : &graph->nodes[graph->values[value].producer];
    if (!node || node->op != NAC_OP_PAD || node->u.pad.value != 0) return false;
    const nac_shape *part = &graph->values[node->inputs[0]].shape, *whole = &graph->values[value].shape;
    *axis = NAC_NONE;
    for (int i = 0; i < whole->rank; ++i) {
        if (part->dims[i] > 1 && node->u.pad.steps[i] != 1) return false;
        if (part->dims[i] == whole->dims[i]) continue;
        if (*axis != NAC_NONE) return false;
        *axis = i;
    }
    return *axis != NAC_NONE;
}

/* Two neighbouring stretches are one, of both side by side; *joined NAC_NONE where they are none. So of the parts of a tensor that was cut up (steps
 * of a sequence, queries, keys and values) each goes back once, instead of being padded and added as often as there are parts. */
static nac_status join_stretches(nac_graph *graph, int a, int b, int *joined, nac_error *error) {
    int axis, other;
    *joined = NAC_NONE;
    if (!is_stretch(graph, a, &axis) || !is_stretch(graph, b, &other) || axis != other) return NAC_OK;
    const nac_value whole = graph->values[a];
    nac_node pads[2] = {graph->nodes[whole.producer], graph->nodes[graph->values[b].producer]};
    if (pads[0].u.pad.before[axis] > pads[1].u.pad.before[axis]) {
        const nac_node first = pads[1];
        pads[1] = pads[0];
        pads[0] = first;
    }
    nac_shape shape = graph->values[pads[0].inputs[0]].shape;
    if (pads[0].u.pad.before[axis] + shape.dims[axis] != pads[1].u.pad.before[axis]) return NAC_OK;
    shape.dims[axis] += graph->values[pads[1].inputs[0]].shape.dims[axis];

    /* What is joined already is not copied again. */
    nac_node concat = nac_node_make(NAC_OP_CONCAT, pads[0].name);
    concat.u.concat.axis = axis;
    const int *parts[2];
    int counts[2], total = 0, value;
    for (int i = 0; i < 2; ++i) {
        const int producer = graph->values[pads[i].inputs[0]].producer;
        const bool is_join = producer != NAC_NONE && graph->nodes[producer].op == NAC_OP_CONCAT && graph->nodes[producer].u.concat.axis == axis;
        parts[i] = is_join ? graph->nodes[producer].inputs : pads[i].inputs;
        counts[i] = is_join ? graph->nodes[producer].input_count : 1;
        total += counts[i];
    }
    int *all = nac_alloc_array((size_t)total, sizeof *all);
    if (!all) return nac_out_of_memory(error, "the parts of a gradient");
    for (int i = 0; i < 2; ++i) memcpy(all + (i ? counts[0] : 0), parts[i], (size_t)counts[i] * sizeof *all);
    const nac_status status = nac_graph_emit(graph, concat, all, total, NULL, &shape, whole.layout, &value, error);
    nac_free(all);
    NAC_TRY(status);
    *joined = value;
    if (nac_shape_equal(&shape, &whole.shape)) return NAC_OK;
    nac_node pad = nac_node_make(NAC_OP_PAD, pads[0].name);
    pad.u = pads[0].u;
    return nac_graph_emit(graph, pad, &value, 1, NULL, &whole.shape, whole.layout, joined, error);
}

/* gradients[v]: the sum so far of what v's readers send back, or NAC_NONE. */
static nac_status accumulate(nac_graph *graph, int *gradients, int value, int dx, nac_error *error) {
    if (gradients[value] == NAC_NONE) {
        gradients[value] = dx;
        return NAC_OK;
    }
    int joined;
    NAC_TRY(join_stretches(graph, gradients[value], dx, &joined, error));
    if (joined != NAC_NONE) {
        gradients[value] = joined;
        return NAC_OK;
    }
    nac_node sum = nac_node_make(NAC_OP_BINARY, graph->values[value].name);
    sum.u.binary.kind = NAC_BINARY_ADD;
    const nac_value v = graph->values[dx];
    return nac_graph_emit(graph, sum, (const int[]){gradients[value], dx}, 2, NULL, &v.shape, v.layout, &gradients[value], error);
}

static bool depends_on_tap(const nac_node *node, const bool *wanted) {
    for (int slot = 0; slot < node->input_count; ++slot)
        if (node->inputs[slot] != NAC_NONE && wanted[node->inputs[slot]]) return true;
    return false;
}

/* Takes gradient dy of nodes[n]'s output to those of its inputs that depend on a tap. */
static nac_status node_backward(nac_graph *graph, int n, int dy, const bool *wanted, int *gradients, nac_error *error) {
    const nac_node node = graph->nodes[n]; /* a copy: emitting may move the array, but not node.inputs */
    if (!depends_on_tap(&node, wanted)) return NAC_OK;
    if (node.min != -INFINITY || node.max != INFINITY) {
        nac_node clamp = nac_node_make(NAC_OP_CLAMP_GRAD, node.name);
        clamp.min = node.min;
        clamp.max = node.max;
        const nac_value y = graph->values[node.output];
        NAC_TRY(nac_graph_emit(graph, clamp, (const int[]){node.output, dy}, 2, NULL, &y.shape, y.layout, &dy, error));
    }
    for (int slot = 0; slot < node.input_count; ++slot) {
        const int input = node.inputs[slot];
        if (input == NAC_NONE || !wanted[input]) continue;
        if (!nac_ops[node.op].gradient)
            return nac_fail(error, NAC_UNSUPPORTED, "node '%s': operator %s has no backward", node.name, nac_ops[node.op].name);
        int dx;
        NAC_TRY(nac_ops[node.op].gradient(graph, n, slot, dy, &dx, error));
        if (dx != NAC_NONE) NAC_TRY(accumulate(graph, gradients, input, dx, error));
    }
    return NAC_OK;
}

static nac_status sweep_back(nac_graph *graph, nac_graph_tap *taps, int tap_count, bool *wanted, int *gradients, nac_error *error) {
    /* A residual sum, and the products in it. */
    enum { DEPTH = 3 };
    const int forward_count = graph->node_count;
    for (int i = 0; i < tap_count; ++i) wanted[taps[i].value] = true;
    for (int n = 0; n < forward_count; ++n)
        for (int i = 0; i < graph->nodes[n].input_count; ++i)
            if (graph->nodes[n].inputs[i] != NAC_NONE && wanted[graph->nodes[n].inputs[i]]) wanted[graph->nodes[n].output] = true;

    const nac_shape logits = graph->values[graph->logits].shape;
    NAC_TRY(nac_graph_emit(graph, nac_node_make(NAC_OP_LOGITS_GRAD, "p - 1/K"), &graph->logits, 1, NULL, &logits, NAC_ROW_MAJOR,
                           &gradients[graph->logits], error));
    /* Reverse order: when a node's turn comes, every reader of its output has sent its share. */
    for (int n = forward_count - 1; n >= -1; --n) {
        const int output = n >= 0 ? graph->nodes[n].output : graph->input;
        if (gradients[output] == NAC_NONE) continue; /* does not reach the logits */
        const bool end = n < 0 || !depends_on_tap(&graph->nodes[n], wanted); /* only the sums of this gradient are asked for */
        for (int i = 0; i < tap_count; ++i)
            if (taps[i].value == output) NAC_TRY(pool_value(graph, gradients[output], taps[i].pool, end ? DEPTH : 0, &taps[i].g, error));
        if (n >= 0) NAC_TRY(node_backward(graph, n, gradients[output], wanted, gradients, error));
    }
    for (int i = 0; i < tap_count; ++i)
        if (taps[i].g == NAC_NONE)
            return nac_fail(error, NAC_INVALID_ARGUMENT, "tap '%s' does not lead to the logits", graph->values[taps[i].value].name);
    return NAC_OK;
}

nac_status nac_graph_append_gradients(nac_graph *graph, nac_graph_tap *taps, int tap_count, nac_error *error) {
    /* Only values of the forward graph are looked up in these two. */
    const size_t values = (size_t)graph->value_count;
    bool *wanted = nac_alloc_array(values, sizeof *wanted);
    int *gradients = nac_alloc_array(values, sizeof *gradients);
    nac_status status = wanted && gradients ? NAC_OK : nac_out_of_memory(error, "the backward pass");
    if (status == NAC_OK) {
        for (size_t v = 0; v < values; ++v) gradients[v] = NAC_NONE;
        for (int i = 0; i < tap_count; ++i) taps[i].g = NAC_NONE;
        status = sweep_back(graph, taps, tap_count, wanted, gradients, error);
    }
    nac_free(wanted);
    nac_free(gradients);
    return status;
}
