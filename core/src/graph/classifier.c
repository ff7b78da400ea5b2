/* classifier.c - is the last step to the logits one affine map of a tap? */
#include <math.h>

#include "graph/passes.h"

static const nac_node *producer_of(const nac_graph *graph, int value) {
    const int producer = graph->values[value].producer;
    return producer == NAC_NONE ? NULL : &graph->nodes[producer];
}

/* A permutation that moves no dimension of more than one element past another: the numbers stay in their order. */
static bool keeps_order(const nac_graph *graph, const nac_node *node) {
    const nac_shape *shape = &graph->values[node->inputs[0]].shape;
    int last = -1;
    for (int i = 0; i < shape->rank; ++i) {
        const int from = node->u.transpose.perm[i];
        if (shape->dims[from] == 1) continue;
        if (from < last) return false;
        last = from;
    }
    return true;
}

/* The first of the values that hold the same numbers in the same order. */
static int origin_of(const nac_graph *graph, int value) {
    for (;;) {
        const nac_node *node = producer_of(graph, value);
        if (!node) return value;
        if (node->op != NAC_OP_RESHAPE && !(node->op == NAC_OP_TRANSPOSE && keeps_order(graph, node))) return value;
        value = node->inputs[0];
    }
}

/* A product with constant weights, or a 1 x 1 convolution of one pixel, which is one; nothing of it clamped. */
static bool is_affine(const nac_graph *graph, const nac_node *node) {
    const nac_shape *w = node->input_count > 1 && node->inputs[1] != NAC_NONE ? &graph->values[node->inputs[1]].shape : NULL;
    if (!w || !graph->values[node->inputs[1]].constant || node->min != -INFINITY || node->max != INFINITY) return false;
    if (node->input_count > 2 && node->inputs[2] != NAC_NONE && !graph->values[node->inputs[2]].constant) return false;
    if (node->op == NAC_OP_MATMUL) return w->rank == 2 && !node->u.matmul.transpose_a;
    const nac_shape *x = &graph->values[node->inputs[0]].shape;
    return node->op == NAC_OP_CONV && node->u.conv.groups == 1 && x->dims[1] == 1 && x->dims[2] == 1 && w->dims[1] == 1 && w->dims[2] == 1 &&
           graph->values[node->output].shape.dims[1] == 1 && graph->values[node->output].shape.dims[2] == 1;
}

/* The class token: position 0 alone. */
static bool is_class_token(const nac_graph *graph, const nac_node *node) {
    const nac_shape *shape = &graph->values[node->output].shape;
    const int axis = nac_graph_token_axis(graph, node->inputs[0]);
    return node->op == NAC_OP_SLICE && shape->rank == 3 && shape->dims[axis] == 1 && node->u.slice.starts[axis] == 0;
}

/* Whether the pooled tap is `input`, number by number. */
static bool is_tap(const nac_graph *graph, const nac_graph_tap *tap, int input) {
    const nac_shape *x = &graph->values[input].shape, *z = &graph->values[tap->z].shape;
    if (nac_elements(x) != nac_elements(z)) return false; /* the pool sums over more than one */
    const nac_node *node = producer_of(graph, input);
    if (tap->pool == NAC_POOL_CLS && node && is_class_token(graph, node)) input = node->inputs[0];
    return origin_of(graph, input) == origin_of(graph, tap->value);
}

nac_classifier nac_graph_find_classifier(const nac_graph *graph, const nac_graph_tap *taps, int tap_count) {
    nac_classifier found = {.tap = NAC_NONE, .weight = NAC_NONE, .bias = NAC_NONE};
    const nac_node *node = producer_of(graph, origin_of(graph, graph->logits));
    if (!node || !is_affine(graph, node)) return found;
    const int input = origin_of(graph, node->inputs[0]);
    for (int i = 0; i < tap_count && found.tap == NAC_NONE; ++i)
        if (is_tap(graph, &taps[i], input)) found.tap = i;
    if (found.tap == NAC_NONE) return found;
    found.weight = node->inputs[1];
    if (node->input_count > 2) found.bias = node->inputs[2];
    found.inputs_first = node->op == NAC_OP_MATMUL && !node->u.matmul.transpose_b;
    return found;
}
