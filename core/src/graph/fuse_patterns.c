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

/* The mean of the last dim, read `times` times: the sum over it, divided by its length. */
static const nac_node *inner_mean(const nac_graph *graph, const int *uses, int value, int times) {
    const nac_node *node = inner(graph, uses, value, NAC_OP_REDUCE, times);
    if (!node) return NULL;
    const nac_shape *shape = &graph->values[node->inputs[0]].shape;
    for (int i = 0; i < shape->rank; ++i)
        if (node->u.reduce.axes[i] != (i == shape->rank - 1)) return NULL;
    return shape->rank > 0 && is_near(node->u.reduce.scale, 1.0 / shape->dims[shape->rank - 1]) ? node : NULL;
}

/* 1 / x: what is x? */
static int match_reciprocal(const nac_graph *graph, const int *uses, int value) {
    float one;
    const nac_node *node = inner_unary(graph, uses, value, NAC_UNARY_RECIPROCAL);
    if (node) return node->inputs[0];
    node = inner(graph, uses, value, NAC_OP_BINARY, 1);
    return is_binary(node, NAC_BINARY_DIV) && nac_graph_is_uniform(graph, node->inputs[0], &one) && one == 1 ? node->inputs[1] : NAC_NONE;
}

/* sqrt(variance + epsilon) or, `inverse`, one over it: its input. */
static int match_deviation(const nac_graph *graph, const int *uses, int value, bool inverse) {
    const nac_node *node;
    if (inverse && (node = inner_unary(graph, uses, value, NAC_UNARY_POW)) && node->u.unary.a == -0.5f) return node->inputs[0];
    if (inverse && (value = match_reciprocal(graph, uses, value)) == NAC_NONE) return NAC_NONE;
    node = inner_unary(graph, uses, value, NAC_UNARY_SQRT);
    if (!node) {
        node = inner_unary(graph, uses, value, NAC_UNARY_POW);
        if (!node || node->u.unary.a != 0.5f) return NAC_NONE;
    }
    return node->inputs[0];
}

/* mean(y^2) + epsilon over the last dim: y, which is read `*reads` times for that, or NAC_NONE. */
static int match_mean_square(const nac_graph *graph, const int *uses, int sum, float *epsilon, int *reads) {
    int variance = NAC_NONE;
    const nac_node *add = inner(graph, uses, sum, NAC_OP_BINARY, 1);
    if (!is_binary(add, NAC_BINARY_ADD)) return NAC_NONE;
    for (int i = 0; i < 2; ++i)
        if (nac_graph_is_uniform(graph, add->inputs[i], epsilon)) variance = add->inputs[1 - i];
    const nac_node *mean_square = variance == NAC_NONE ? NULL : inner_mean(graph, uses, variance, 1);
    if (!mean_square) return NAC_NONE;
    const nac_node *power = inner_unary(graph, uses, mean_square->inputs[0], NAC_UNARY_POW);
    const nac_node *product = inner(graph, uses, mean_square->inputs[0], NAC_OP_BINARY, 1);
    *reads = power ? 1 : 2;
    if (power) return power->u.unary.a == 2 ? power->inputs[0] : NAC_NONE;
    return is_binary(product, NAC_BINARY_MUL) && product->inputs[0] == product->inputs[1] ? product->inputs[0] : NAC_NONE;
}

/* mean((x - mean(x))^2) + epsilon: x, or NAC_NONE. The centred numbers are read `beside` times by others, the mean as often as `means` says. */
static int match_variance(const nac_graph *graph, const int *uses, int sum, int beside, int means, int *centred, int *mean_value, float *epsilon) {
    int reads;
    *centred = match_mean_square(graph, uses, sum, epsilon, &reads);
    const nac_node *difference = *centred == NAC_NONE ? NULL : inner(graph, uses, *centred, NAC_OP_BINARY, beside + reads);
    if (!difference || !is_binary(difference, NAC_BINARY_SUB)) return NAC_NONE;
    *mean_value = difference->inputs[1];
    const nac_node *mean = inner_mean(graph, uses, *mean_value, means);
    return mean && mean->inputs[0] == difference->inputs[0] ? difference->inputs[0] : NAC_NONE;
}

/* (x - mean) / sqrt(variance + epsilon), with `centred` and `deviation` as the operands of the node at the end. */
static bool match_normalisation(const nac_graph *graph, const int *uses, int centred, int deviation, bool inverse, nac_norm_match *match) {
    const int sum = match_deviation(graph, uses, deviation, inverse);
    int squared, mean;
    if (sum == NAC_NONE) return false;
    *match = (nac_norm_match){.scale = NAC_NONE, .bias = NAC_NONE};
    match->x = match_variance(graph, uses, sum, 1, 1, &squared, &mean, &match->epsilon);
    return match->x != NAC_NONE && squared == centred;
}

/* Whether a constant holds one number for every channel of x, and nothing else. */
static bool is_of_channels(const nac_graph *graph, int constant, int x) {
    const nac_value *v = &graph->values[constant];
    const nac_shape *shape = &graph->values[x].shape;
    const int C = shape->dims[shape->rank - 1];
    return v->constant && v->type == NAC_F32 && v->shape.rank > 0 && v->shape.dims[v->shape.rank - 1] == C && nac_elements(&v->shape) == (size_t)C;
}

/* `factor` times another operand: that one, or NAC_NONE. */
static int other_factor(const nac_node *product, int factor) {
    if (!is_binary(product, NAC_BINARY_MUL)) return NAC_NONE;
    return product->inputs[0] == factor ? product->inputs[1] : product->inputs[1] == factor ? product->inputs[0] : NAC_NONE;
}

/* x k + (bias - mean k) with k = scale / sqrt(variance + epsilon): TensorFlow's, which has a function for it. */
static bool match_shifted(const nac_graph *graph, const int *uses, int scaled_x, int shift, nac_norm_match *match) {
    float minus;
    int centred, mean = NAC_NONE;
    const nac_node *product = inner(graph, uses, scaled_x, NAC_OP_BINARY, 1), *affine = inner(graph, uses, shift, NAC_OP_AFFINE, 1);
    if (!is_binary(product, NAC_BINARY_MUL) || !affine || !nac_graph_is_uniform(graph, affine->inputs[1], &minus) || minus != -1) return false;
    const nac_node *offset = inner(graph, uses, affine->inputs[0], NAC_OP_BINARY, 1);
    for (int i = 0; i < 2; ++i) {
        const int k = product->inputs[i], x = product->inputs[1 - i], taken = offset ? other_factor(offset, k) : NAC_NONE;
        const nac_node *gain = inner(graph, uses, k, NAC_OP_BINARY, 2);
        if (taken == NAC_NONE || !is_binary(gain, NAC_BINARY_MUL)) continue;
        for (int side = 0; side < 2; ++side) {
            if (!is_of_channels(graph, gain->inputs[side], x)) continue;
            const int sum = match_deviation(graph, uses, gain->inputs[1 - side], true);
            *match = (nac_norm_match){.x = x, .scale = gain->inputs[side], .bias = affine->inputs[2]};
            if (sum != NAC_NONE && match_variance(graph, uses, sum, 0, 2, &centred, &mean, &match->epsilon) == x && mean == taken) return true;
        }
    }
    return false;
}

bool nac_match_layer_norm(const nac_graph *graph, const int *uses, int node, nac_norm_match *match) {
    const nac_node *root = &graph->nodes[node];
    if (root->op == NAC_OP_LAYER_NORM) {
        *match = (nac_norm_match){.x = root->inputs[0], .epsilon = root->u.layer_norm.epsilon, .scale = root->inputs[1], .bias = root->inputs[2]};
        return true;
    }
    if (root->op != NAC_OP_BINARY) return false;
    const int a = root->inputs[0], b = root->inputs[1];
    switch (root->u.binary.kind) {
    case NAC_BINARY_DIV: return match_normalisation(graph, uses, a, b, false, match);
    case NAC_BINARY_MUL: return match_normalisation(graph, uses, a, b, true, match) || match_normalisation(graph, uses, b, a, true, match);
    case NAC_BINARY_ADD: return match_shifted(graph, uses, a, b, match) || match_shifted(graph, uses, b, a, match);
    default: return false;
    }
}

bool nac_match_rms_norm(const nac_graph *graph, const int *uses, int node, int *x) {
    const nac_node *root = &graph->nodes[node];
    const bool divides = is_binary(root, NAC_BINARY_DIV);
    float epsilon;
    int reads;
    for (int i = 0; i < 2 && (divides ? i == 0 : is_binary(root, NAC_BINARY_MUL)); ++i) {
        const int sum = match_deviation(graph, uses, root->inputs[1 - i], !divides);
        *x = root->inputs[i];
        if (sum != NAC_NONE && match_mean_square(graph, uses, sum, &epsilon, &reads) == *x) return true;
    }
    return false;
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
    nac_norm_match match;
    if (graph->nodes[n].op == NAC_OP_LAYER_NORM || !nac_match_layer_norm(graph, uses, n, &match)) return NAC_OK;
    const nac_shape shape = graph->values[match.x].shape;
    const nac_shape channels = nac_shape_make(1, &shape.dims[shape.rank - 1]);
    const int given[2] = {match.scale, match.bias};
    int inputs[3] = {match.x};
    for (int i = 0; i < 2; ++i) {
        NAC_TRY(nac_graph_add_constant(graph, NULL, NAC_F32, &channels, NAC_ROW_MAJOR, &inputs[1 + i], error));
        float *numbers = graph->values[inputs[1 + i]].data;
        const float *from = given[i] == NAC_NONE ? NULL : graph->values[given[i]].data;
        for (int c = 0; c < channels.dims[0]; ++c) numbers[c] = from ? from[c] : i == 0 ? 1.0f : 0.0f;
    }
    nac_node *node = &graph->nodes[n];
    NAC_TRY(set_inputs(node, inputs, 3, error));
    node->op = NAC_OP_LAYER_NORM;
    node->u.layer_norm.epsilon = match.epsilon;
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
