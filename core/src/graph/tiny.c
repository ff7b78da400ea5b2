/* tiny.c - numbers that cost a hundred times as much. Processors hand arithmetic with denormal numbers (below 2^-126) to slow paths, and
 * WebAssembly cannot switch that off: a network of nothing else took 68 times as long (tests/node/denormals.test.js; 4 times with what
 * is here). So numbers that could make one are brought to 2^-100, with their sign, before they meet a weight. What is added so, 1e-30,
 * is far below what a sum keeps or a state sees; a positive number stays one, so that its rectifier's gate is where it was; and products
 * with weights of 2^-26 are normal. What is lost is which of two tiny numbers was the larger. */
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "graph/passes.h"
#include "graph/quantised.h"

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
    for (int v = 0; v < graph->value_count; ++v) found[v] = graph->values[v].type != NAC_I64;
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

/* ---- Weights --------------------------------------------------------------------------------------- */

static uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* Magnitudes have the order of their bits: the largest, and one less than the smallest that isn't 0. Integers, for both become vectors. */
NAC_NOT_INLINED static void find_extremes(const float *x, size_t count, uint32_t *largest, uint32_t *smallest) {
    uint32_t high = *largest, low = *smallest;
    for (size_t i = 0; i < count; ++i) {
        const uint32_t magnitude = bits_of(x[i]) & 0x7fffffff, other = magnitude - 1;
        high = magnitude > high ? magnitude : high;
        low = other < low ? other : low;
    }
    *largest = high;
    *smallest = low;
}

bool nac_all_finite(const float *x, size_t count, bool *tiny) {
    uint32_t largest = 0, smallest = UINT32_MAX;
    for (size_t i = 0; i < count; i += NAC_STRETCH) find_extremes(x + i, count - i < NAC_STRETCH ? count - i : NAC_STRETCH, &largest, &smallest);
    *tiny = smallest < bits_of(NAC_TINY) - 1;
    return largest < bits_of(INFINITY);
}

/* Whether every byte times its scale is finite, and neither tiny nor changed by being so. */
static bool is_ordinary(const nac_value *weights) {
    const float *scales = nac_quantised_of(weights).scales;
    for (int o = 0; o < weights->shape.dims[0]; ++o)
        if (!(scales[o] >= NAC_TINY && scales[o] <= FLT_MAX / 1024)) return false;
    return true;
}

/* A product with a weight that is not finite is NaN, which a clamp behind it may turn into an ordinary number. Other constants may
 * be infinite: a mask, a bound. */
nac_status nac_graph_clean_weights(nac_graph *graph, int forward_count, const bool *liftable, nac_error *error) {
    for (int n = 0; n < forward_count; ++n) {
        const nac_node *node = &graph->nodes[n];
        if (node->op != NAC_OP_CONV && node->op != NAC_OP_CONV_GRAD && node->op != NAC_OP_MATMUL && node->op != NAC_OP_AFFINE) continue;
        for (int i = 1; i < node->input_count; ++i) {
            if (node->inputs[i] == NAC_NONE || !graph->values[node->inputs[i]].constant) continue;
            if (graph->values[node->inputs[i]].type == NAC_Q8) {
                if (is_ordinary(&graph->values[node->inputs[i]])) continue;
                NAC_TRY(nac_graph_dequantise(graph, node->inputs[i], error));
            }
            float *x = graph->values[node->inputs[i]].data;
            const size_t count = nac_elements(&graph->values[node->inputs[i]].shape);
            bool tiny;
            if (!nac_all_finite(x, count, &tiny)) return nac_fail(error, NAC_NOT_FINITE, "a weight of node '%s' is NaN or infinite", node->name);
            for (size_t k = 0; k < count && tiny && i == 1 && liftable[node->inputs[i]]; ++k)
                if (is_tiny(x[k])) x[k] = 0;
        }
    }
    return NAC_OK;
}
