/* tiny.c - numbers that cost a hundred times as much. Processors hand arithmetic with denormal numbers (below 2^-126) to slow paths, and
 * WebAssembly cannot switch that off: a network of nothing else took 68 times as long (tests/node/denormals.test.js; 4 times with what
 * is here). So numbers that could make one are brought to 2^-100, with their sign, before they meet a weight. What is added so, 1e-30,
 * is far below what a sum keeps or a state sees; a positive number stays one, so that its rectifier's gate is where it was; and products
 * with weights of 2^-26 are normal. What is lost is which of two tiny numbers was the larger. */
#include <math.h>

#include "graph/passes.h"

/* Whether elements of the op's inputs are multiplied or added, rather than only moved. */
static bool computes(nac_op op) {
    return op != NAC_OP_RESHAPE && op != NAC_OP_TRANSPOSE && op != NAC_OP_CONCAT && op != NAC_OP_SLICE && op != NAC_OP_PAD && op != NAC_OP_GATHER &&
           op != NAC_OP_WHERE;
}

/* Functions whose result depends on how small a small number is. */
static bool magnifies(const nac_node *node) {
    if (node->op == NAC_OP_BINARY) return node->u.binary.kind == NAC_BINARY_DIV;
    if (node->op != NAC_OP_UNARY && node->op != NAC_OP_UNARY_GRAD) return false;
    const nac_unary kind = node->u.unary.kind;
    return kind == NAC_UNARY_LOG || kind == NAC_UNARY_SQRT || kind == NAC_UNARY_RECIPROCAL || kind == NAC_UNARY_POW;
}

nac_status nac_graph_find_liftable(const nac_graph *graph, bool **liftable, nac_error *error) {
    bool *found = nac_alloc_array((size_t)graph->value_count, sizeof *found);
    if (!found) return nac_out_of_memory(error, "the plan");
    for (int v = 0; v < graph->value_count; ++v) found[v] = graph->values[v].type == NAC_F32;
    /* From the end, so that a RESHAPE, which shares its input's memory, speaks for its readers. */
    for (int n = graph->node_count - 1; n >= 0; --n) {
        const nac_node *node = &graph->nodes[n];
        const bool spoilt = magnifies(node) || (node->op == NAC_OP_RESHAPE && !found[node->output]);
        for (int i = 0; i < node->input_count && spoilt; ++i)
            if (node->inputs[i] != NAC_NONE) found[node->inputs[i]] = false;
    }
    /* And the other way: an alias is no safer than what it is an alias of. */
    for (int n = 0; n < graph->node_count; ++n)
        if (graph->nodes[n].op == NAC_OP_RESHAPE && !found[graph->nodes[n].inputs[0]]) found[graph->nodes[n].output] = false;
    *liftable = found;
    return NAC_OK;
}

static bool is_tiny(float x) { return fabsf(x) < NAC_TINY && x != 0.0f; }

/* A few in a thousand are found by looking at every 61st, a prime, so that no channel is passed over; fewer cost little. */
static bool has_tiny(const float *x, size_t count) {
    const size_t step = count < 4096 ? 1 : 61;
    for (size_t i = 0; i < count; i += step)
        if (is_tiny(x[i])) return true;
    return false;
}

static void lift(float *x, size_t count) {
    if (!has_tiny(x, count)) return;
    for (size_t i = 0; i < count; ++i)
        if (is_tiny(x[i])) x[i] = copysignf(NAC_TINY, x[i]);
}

void nac_lift_inputs(const nac_graph *graph, const nac_node *node, const bool *liftable) {
    for (int i = 0; i < node->input_count && computes(node->op); ++i) {
        const int v = node->inputs[i];
        if (v == NAC_NONE || !liftable[v] || graph->values[v].constant) continue;
        lift(graph->values[v].data, nac_elements(&graph->values[v].shape));
    }
}

NAC_NOT_INLINED static void drop_tiny(float *x, size_t count) {
    for (size_t i = 0; i < count; ++i) x[i] = fabsf(x[i]) < NAC_TINY ? 0 : x[i];
}

void nac_drop_tiny_weights(const nac_graph *graph, int forward_count, const bool *liftable) {
    for (int n = 0; n < forward_count; ++n) {
        const nac_node *node = &graph->nodes[n];
        if (node->op != NAC_OP_CONV && node->op != NAC_OP_CONV_GRAD && node->op != NAC_OP_MATMUL && node->op != NAC_OP_AFFINE) continue;
        const nac_value *weight = &graph->values[node->inputs[1]];
        if (!weight->constant || !liftable[node->inputs[1]]) continue;
        float *x = weight->data;
        const size_t count = nac_elements(&weight->shape);
        for (size_t i = 0; i < count; i += NAC_STRETCH) drop_tiny(x + i, count - i < NAC_STRETCH ? count - i : NAC_STRETCH);
    }
}
