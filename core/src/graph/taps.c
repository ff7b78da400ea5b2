/* taps.c - which tensors of a network are worth tapping. */
#include <stdlib.h>
#include <string.h>

#include "graph/passes.h"

/* Marks the values that the logits depend on. */
static bool *find_ancestors(const nac_graph *graph) {
    bool *needed = nac_alloc_array((size_t)graph->value_count, sizeof *needed);
    if (!needed) return NULL;
    needed[graph->logits] = true;
    for (int n = graph->node_count - 1; n >= 0; --n) {
        const nac_node *node = &graph->nodes[n];
        for (int i = 0; i < node->input_count && needed[node->output]; ++i)
            if (node->inputs[i] != NAC_NONE) needed[node->inputs[i]] = true;
    }
    return needed;
}

/* Such a node's output holds its input's numbers: a tap on it says nothing new. */
static bool only_moves(nac_op op) { return op == NAC_OP_PAD || op == NAC_OP_RESHAPE || op == NAC_OP_TRANSPOSE; }

/* A value is a cut when, once it is computed, nothing computed before it is read again: the number of open values (computed,
 * with readers to come) is then one. Depends on the order of nodes, and any order that can be run is good enough: exporters
 * write a block's branches side by side before the tensor that joins them. */
nac_status nac_graph_cut_values(const nac_graph *graph, int **values, int *count, nac_error *error) {
    bool *needed = find_ancestors(graph);
    int *readers = nac_alloc_array((size_t)graph->value_count, sizeof *readers);
    int *cuts = nac_alloc_array((size_t)graph->node_count + 1, sizeof *cuts);
    if (!needed || !readers || !cuts) {
        nac_free(needed);
        nac_free(readers);
        nac_free(cuts);
        return nac_out_of_memory(error, "the search for taps");
    }
    for (int n = 0; n < graph->node_count; ++n)
        for (int i = 0; i < graph->nodes[n].input_count && needed[graph->nodes[n].output]; ++i)
            if (graph->nodes[n].inputs[i] != NAC_NONE) ++readers[graph->nodes[n].inputs[i]];
    int open = 1, found = 0; /* the input is open */
    for (int n = 0; n < graph->node_count; ++n) {
        const nac_node *node = &graph->nodes[n];
        if (!needed[node->output]) continue;
        for (int i = 0; i < node->input_count; ++i) {
            const int input = node->inputs[i];
            if (input == NAC_NONE || graph->values[input].constant) continue;
            if (--readers[input] == 0) --open;
        }
        ++open;
        if (open == 1 && node->output != graph->logits && !only_moves(node->op)) cuts[found++] = node->output;
    }
    nac_free(needed);
    nac_free(readers);
    *values = cuts;
    *count = found;
    return NAC_OK;
}

/* The spatial size of an image-like value: H * W of rank 4, otherwise 0. */
static int pixels(const nac_value *value) {
    const nac_shape shape = nac_logical_shape(value);
    return shape.rank == 4 ? shape.dims[2] * shape.dims[3] : 0;
}

/* Position in `cuts` of the classifier's input: the last global pool (a named value of one pixel made from one of more), or else
 * what the last matrix product reads. */
static int find_classifier_input(const nac_graph *graph, const int *cuts, int count) {
    int before_matmul = NAC_NONE;
    for (int i = count - 1; i >= 0; --i) {
        const nac_value *value = &graph->values[cuts[i]];
        if (!value->name) continue;
        const nac_node *producer = &graph->nodes[value->producer];
        const int made_from = producer->inputs[0];
        const bool reduces = producer->op == NAC_OP_REDUCE || producer->op == NAC_OP_AVERAGE_POOL || producer->op == NAC_OP_MAX_POOL;
        if (reduces && pixels(&graph->values[made_from]) > 1 && pixels(value) <= 1) return i;
        if (before_matmul == NAC_NONE && value->shape.rank == 2) before_matmul = i;
    }
    return before_matmul;
}

nac_status nac_graph_auto_taps(const nac_graph *graph, nac_graph_tap taps[NAC_AUTO_TAPS], int *count, nac_error *error) {
    int *cuts, cut_count;
    NAC_TRY(nac_graph_cut_values(graph, &cuts, &cut_count, error));
    const int classifier = find_classifier_input(graph, cuts, cut_count);
    int found = 0, last_pixels = 0;
    if (classifier != NAC_NONE) {
        taps[found++] = (nac_graph_tap){.value = cuts[classifier], .pool = NAC_POOL_SUM, .z = NAC_NONE, .g = NAC_NONE};
        /* The tensor that the global pool reads says the same as the pool: its sums of z and g are multiples of the pool's. So is
         * everything of its size passed over, as the authors leave out ResNet's layer4. */
        last_pixels = pixels(&graph->values[graph->nodes[graph->values[cuts[classifier]].producer].inputs[0]]);
    }
    for (int i = (classifier == NAC_NONE ? cut_count : classifier) - 1; i >= 0 && found < NAC_AUTO_TAPS; --i) {
        const nac_value *value = &graph->values[cuts[i]];
        const int size = pixels(value);
        if (!value->name || size <= 1 || size <= last_pixels) continue;
        last_pixels = size;
        taps[found++] = (nac_graph_tap){.value = cuts[i], .pool = NAC_POOL_SUM, .z = NAC_NONE, .g = NAC_NONE};
    }
    nac_free(cuts);
    *count = found;
    return NAC_OK;
}
