/* fuse_patterns.c - functions that exporters write as many operators, found again: layer normalisation, GELU, x * sigmoid(x).
 *
 * As one node each runs in one pass over memory instead of four to nine, forward and backward, and its backward needs x alone where the
 * parts would keep three to five tensors alive. The node at the end of a pattern is rewritten where it stands; what led to it is
 * read by nobody any more, and swept. A pattern holds only when nobody else, taps included, reads what lies inside of it. */
#include <math.h>

#include "graph/passes.h"

/* ---- Looking at nodes -------------------------------------------------------------------------- */

static bool is_clamped(const nac_node *node) { return node->min != -INFINITY || node->max != INFINITY; }

/* The producer of `value` if it is an `op` without a clamp, read `uses` times in all, or NULL. */
static const nac_node *inner(const nac_graph *graph, const int *uses, int value, nac_op op, int times) {
    const int producer = graph->values[value].producer;
    if (producer == NAC_NONE || uses[value] != times) return NULL;
    const nac_node *node = &graph->nodes[producer];
    return node->op == op && !is_clamped(node) ? node : NULL;
}

static const nac_node *inner_unary(const nac_graph *graph, const int *uses, int value, nac_unary kind) {
    const nac_node *node = inner(graph, uses, value, NAC_OP_UNARY, 1);
    return node && node->u.unary.kind == kind ? node : NULL;
}

static bool is_binary(const nac_node *node, nac_binary kind) { return node && node->op == NAC_OP_BINARY && node->u.binary.kind == kind; }

static bool is_near(float a, double b) { return fabs((double)a - b) <= 1e-6 * fabs(b); }

/* value = base * scale + bias with two numbers; base is value itself, 1 and 0, where no such node made it. */
typedef struct scaled {
    int base;
    float scale, bias;
} scaled;

static scaled unscale(const nac_graph *graph, const int *uses, int value) {
    const scaled itself = {value, 1, 0};
    scaled found = itself;
    const nac_node *affine = inner(graph, uses, value, NAC_OP_AFFINE, 1);
    if (!affine || !nac_graph_is_uniform(graph, affine->inputs[1], &found.scale) || !nac_graph_is_uniform(graph, affine->inputs[2], &found.bias)) return itself;
    found.base = affine->inputs[0];
    return found;
}

/* ---- Layer normalisation ------------------------------------------------------------------------ */

/* The mean of the last dim: the sum over it, divided by its length. */
static const nac_node *inner_mean(const nac_graph *graph, const int *uses, int value) {
    const nac_node *node = inner(graph, uses, value, NAC_OP_REDUCE, 1);
    if (!node) return NULL;
    const nac_shape *shape = &graph->values[node->inputs[0]].shape;
    for (int i = 0; i < shape->rank; ++i)
        if (node->u.reduce.axes[i] != (i == shape->rank - 1)) return NULL;
    return shape->rank > 0 && is_near(node->u.reduce.scale, 1.0 / shape->dims[shape->rank - 1]) ? node : NULL;
}

/* sqrt(variance + epsilon) or, `inverse`, one over it: its input. */
static int match_deviation(const nac_graph *graph, const int *uses, int value, bool inverse) {
    const nac_node *node;
    if (inverse && (node = inner_unary(graph, uses, value, NAC_UNARY_POW)) && node->u.unary.a == -0.5f) return node->inputs[0];
    if (inverse) {
        if (!(node = inner_unary(graph, uses, value, NAC_UNARY_RECIPROCAL))) return NAC_NONE;
        value = node->inputs[0];
    }
    node = inner_unary(graph, uses, value, NAC_UNARY_SQRT);
    if (!node) {
        node = inner_unary(graph, uses, value, NAC_UNARY_POW);
        if (!node || node->u.unary.a != 0.5f) return NAC_NONE;
    }
    return node->inputs[0];
}

/* (x - mean) / sqrt(mean((x - mean)^2) + epsilon), with `centred` and `deviation` as the operands of the node at the end. */
static bool match_normalisation(const nac_graph *graph, const int *uses, int centred, int deviation, bool inverse, int *x, float *epsilon) {
    const int sum = match_deviation(graph, uses, deviation, inverse);
    if (sum == NAC_NONE) return false;
    int variance = NAC_NONE;
    const nac_node *add = inner(graph, uses, sum, NAC_OP_BINARY, 1);
    if (!is_binary(add, NAC_BINARY_ADD)) return false;
    for (int i = 0; i < 2; ++i)
        if (nac_graph_is_uniform(graph, add->inputs[i], epsilon)) variance = add->inputs[1 - i];
    const nac_node *mean_square = variance == NAC_NONE ? NULL : inner_mean(graph, uses, variance);
    if (!mean_square) return false;

    const int square = mean_square->inputs[0];
    const nac_node *power = inner_unary(graph, uses, square, NAC_UNARY_POW);
    const nac_node *product = inner(graph, uses, square, NAC_OP_BINARY, 1);
    const bool squares = power && power->u.unary.a == 2 && power->inputs[0] == centred;
    const bool multiplies = is_binary(product, NAC_BINARY_MUL) && product->inputs[0] == centred && product->inputs[1] == centred;
    if (!squares && !multiplies) return false;
    const nac_node *difference = inner(graph, uses, centred, NAC_OP_BINARY, squares ? 2 : 3);
    if (!is_binary(difference, NAC_BINARY_SUB)) return false;
    const nac_node *mean = inner_mean(graph, uses, difference->inputs[1]);
    *x = difference->inputs[0];
    return mean && mean->inputs[0] == *x;
}

bool nac_match_layer_norm(const nac_graph *graph, const int *uses, int node, int *x, float *epsilon) {
    const nac_node *root = &graph->nodes[node];
    if (root->op == NAC_OP_LAYER_NORM) {
        *x = root->inputs[0];
        *epsilon = root->u.layer_norm.epsilon;
        return true;
    }
    if (is_binary(root, NAC_BINARY_DIV)) return match_normalisation(graph, uses, root->inputs[0], root->inputs[1], false, x, epsilon);
    if (!is_binary(root, NAC_BINARY_MUL)) return false;
    return match_normalisation(graph, uses, root->inputs[0], root->inputs[1], true, x, epsilon) ||
           match_normalisation(graph, uses, root->inputs[1], root->inputs[0], true, x, epsilon);
}

static nac_status set_inputs(nac_node *node, const int *inputs, int count, nac_error *error) {
    int *copy = nac_alloc_array((size_t)count, sizeof *copy);
    if (!copy) return nac_out_of_memory(error, "fusion");
    for (int i = 0; i < count; ++i) copy[i] = inputs[i];
    nac_free(node->inputs);
    node->inputs = copy;
    node->input_count = count;
    return NAC_OK;
}

static nac_status fuse_layer_norm(nac_graph *graph, const int *uses, int n, nac_error *error) {
    int inputs[3];
    float epsilon;
    if (graph->nodes[n].op == NAC_OP_LAYER_NORM || !nac_match_layer_norm(graph, uses, n, &inputs[0], &epsilon)) return NAC_OK;
    const nac_shape shape = graph->values[inputs[0]].shape;
    const nac_shape channels = nac_shape_make(1, &shape.dims[shape.rank - 1]);
    for (int i = 1; i < 3; ++i) {
        NAC_TRY(nac_graph_add_constant(graph, NULL, NAC_F32, &channels, NAC_ROW_MAJOR, &inputs[i], error));
        float *numbers = graph->values[inputs[i]].data;
        for (int c = 0; c < channels.dims[0]; ++c) numbers[c] = i == 1 ? 1.0f : 0.0f;
    }
    nac_node *node = &graph->nodes[n];
    NAC_TRY(set_inputs(node, inputs, 3, error));
    node->op = NAC_OP_LAYER_NORM;
    node->u.layer_norm.epsilon = epsilon;
    return NAC_OK;
}

/* ---- x * gate(x) -------------------------------------------------------------------------------- */

static void become_unary(nac_node *node, nac_unary kind, float a, int x) {
    node->op = NAC_OP_UNARY;
    node->inputs[0] = x;
    node->input_count = 1;
    node->u.unary.kind = kind;
    node->u.unary.a = a;
    node->u.unary.b = 0;
}

/* side * gate with gate = f(side): SWISH, HARD_SWISH or, with factors wherever an exporter puts them, GELU. */
static bool match_gate(const nac_graph *graph, const int *uses, int side, int gate, nac_unary *kind, float *a, int *x) {
    const nac_node *function = inner(graph, uses, gate, NAC_OP_UNARY, 1);
    if (function && function->inputs[0] == side && function->u.unary.kind == NAC_UNARY_SIGMOID) {
        *kind = NAC_UNARY_SWISH, *a = 0, *x = side;
        return true;
    }
    if (function && function->inputs[0] == side && function->u.unary.kind == NAC_UNARY_HARD_SIGMOID && is_near(function->u.unary.a, 1.0 / 6) &&
        function->u.unary.b == 0.5f) {
        *kind = NAC_UNARY_HARD_SWISH, *a = 0, *x = side;
        return true;
    }
    const scaled outer = unscale(graph, uses, gate), factor = unscale(graph, uses, side);
    function = inner_unary(graph, uses, outer.base, NAC_UNARY_ERF);
    if (!function || outer.bias != outer.scale) return false;
    const scaled argument = unscale(graph, uses, function->inputs[0]);
    if (argument.bias != 0 || !is_near(argument.scale, 0.70710678118654752440)) return false;
    *kind = NAC_UNARY_GELU;
    *x = argument.base;
    if (side == *x) *a = outer.scale;
    else if (factor.base == *x && factor.bias == 0) *a = outer.scale * factor.scale;
    else return false;
    return true;
}

static void fuse_gate(nac_graph *graph, const int *uses, int n) {
    nac_node *node = &graph->nodes[n];
    nac_unary kind;
    float a;
    int x;
    if (is_binary(node, NAC_BINARY_MUL) && (match_gate(graph, uses, node->inputs[0], node->inputs[1], &kind, &a, &x) ||
                                            match_gate(graph, uses, node->inputs[1], node->inputs[0], &kind, &a, &x))) {
        become_unary(node, kind, a, x);
        return;
    }
    /* The half that is multiplied with at the end. */
    float scale, bias;
    if (node->op != NAC_OP_AFFINE || is_clamped(node)) return;
    const nac_node *gelu = inner_unary(graph, uses, node->inputs[0], NAC_UNARY_GELU);
    if (gelu && nac_graph_is_uniform(graph, node->inputs[1], &scale) && nac_graph_is_uniform(graph, node->inputs[2], &bias) && bias == 0)
        become_unary(node, NAC_UNARY_GELU, gelu->u.unary.a * scale, gelu->inputs[0]);
}

/* ---- Products ----------------------------------------------------------------------------------- */

/* A product with a transposed matrix reads it as it lies: queries times keys. */
static void fuse_transposed(nac_graph *graph, const int *uses, int n) {
    nac_node *node = &graph->nodes[n];
    if (node->op != NAC_OP_MATMUL) return;
    const nac_node *transpose = inner(graph, uses, node->inputs[1], NAC_OP_TRANSPOSE, 1);
    if (!transpose) return;
    const int rank = graph->values[node->inputs[1]].shape.rank, *perm = transpose->u.transpose.perm;
    for (int i = 0; i < rank; ++i)
        if (perm[i] != (i == rank - 2 ? rank - 1 : i == rank - 1 ? rank - 2 : i)) return;
    node->inputs[1] = transpose->inputs[0];
    node->u.matmul.transpose_b = !node->u.matmul.transpose_b;
}

nac_status nac_graph_fuse_patterns(nac_graph *graph, const int *keep, int keep_count, nac_error *error) {
    int *uses;
    NAC_TRY(nac_graph_count_uses(graph, keep, keep_count, &uses, error));
    nac_status status = NAC_OK;
    for (int n = 0; n < graph->node_count && status == NAC_OK; ++n) {
        status = fuse_layer_norm(graph, uses, n, error);
        fuse_gate(graph, uses, n);
        fuse_transposed(graph, uses, n);
    }
    nac_free(uses);
    return status == NAC_OK ? nac_graph_sweep(graph, keep, keep_count, error) : status;
}
