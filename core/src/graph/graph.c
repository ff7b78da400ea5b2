#include "graph/graph.h"

#include <math.h>
#include <string.h>

#include "graph/passes.h"
#include "graph/quantised.h"
#include "ops/ops.h"

void nac_graph_free(nac_graph *graph) {
    if (!graph) return;
    for (int i = 0; i < graph->value_count; ++i) {
        nac_free(graph->values[i].name);
        if (graph->values[i].constant) nac_free(graph->values[i].data);
    }
    for (int i = 0; i < graph->node_count; ++i) {
        nac_free(graph->nodes[i].name);
        nac_free(graph->nodes[i].inputs);
    }
    nac_free(graph->values);
    nac_free(graph->nodes);
    memset(graph, 0, sizeof *graph);
}

size_t nac_elements(const nac_shape *shape) {
    size_t count = 1;
    for (int i = 0; i < shape->rank; ++i) count *= (size_t)shape->dims[i];
    return count;
}

size_t nac_type_size(nac_type type) { return type == NAC_Q8 ? 1 : type == NAC_F32 ? sizeof(float) : sizeof(int64_t); }

bool nac_shape_equal(const nac_shape *a, const nac_shape *b) {
    return a->rank == b->rank && memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0;
}

nac_shape nac_shape_make(int rank, const int *dims) {
    nac_shape shape = {.rank = rank};
    memcpy(shape.dims, dims, (size_t)rank * sizeof *dims);
    return shape;
}

nac_shape nac_logical_shape(const nac_value *value) {
    if (value->layout != NAC_CHANNELS_LAST) return value->shape;
    const int *d = value->shape.dims;
    return nac_shape_make(4, (const int[]){d[0], d[3], d[1], d[2]});
}

/* Makes room for one more element; doubling keeps n additions O(n). */
static nac_status grow(void **array, int count, int *capacity, size_t size, const char *what, nac_error *error) {
    if (count < *capacity) return NAC_OK;
    int wanted = *capacity ? *capacity * 2 : 64;
    size_t bytes;
    if (wanted <= 0 || !nac_mul_size((size_t)wanted, size, &bytes)) return nac_out_of_memory(error, what);
    void *moved = nac_realloc(*array, bytes);
    if (!moved) return nac_out_of_memory(error, what);
    *array = moved;
    *capacity = wanted;
    return NAC_OK;
}

nac_status nac_graph_add_value(nac_graph *graph, const char *name, nac_type type, const nac_shape *given, nac_layout layout,
                               int *value, nac_error *error) {
    const nac_shape own = *given, *shape = &own; /* it may lie in the array that is about to move */
    const char *label = name ? name : "(inner)";
    if (shape->rank < 0 || shape->rank > NAC_MAX_RANK)
        return nac_fail(error, NAC_UNSUPPORTED, "tensor '%s' has rank %d; at most %d is supported", label, shape->rank,
                        NAC_MAX_RANK);
    /* Bytes that may become floats count as these. Exact far beyond the limit, and cannot overflow. */
    double bytes = (double)nac_type_size(type == NAC_Q8 ? NAC_F32 : type);
    for (int i = 0; i < shape->rank; ++i) {
        if (shape->dims[i] < 1)
            return nac_fail(error, NAC_UNSUPPORTED, "tensor '%s' has an empty dimension (%d)", label, shape->dims[i]);
        bytes *= shape->dims[i];
    }
    if (bytes > NAC_MAX_TENSOR_BYTES)
        return nac_fail(error, NAC_LIMIT_EXCEEDED, "tensor '%s' would take %.1f MB; %.1f MB is the limit", label, bytes / 1e6,
                        NAC_MAX_TENSOR_BYTES / 1e6);
    NAC_TRY(grow((void **)&graph->values, graph->value_count, &graph->value_capacity, sizeof *graph->values, "the graph's values", error));
    char *copy = NULL;
    if (name && !(copy = nac_strndup(name, strlen(name)))) return nac_out_of_memory(error, "a tensor's name");
    graph->values[graph->value_count] =
        (nac_value){.name = copy, .type = type, .shape = *shape, .layout = layout, .producer = NAC_NONE};
    *value = graph->value_count++;
    return NAC_OK;
}

nac_status nac_graph_alloc_data(nac_graph *graph, const char *name, nac_type type, const nac_shape *shape, void **data, nac_error *error) {
    const size_t bytes = type == NAC_Q8 ? nac_quantised_bytes(shape) : nac_elements(shape) * nac_type_size(type);
    graph->constant_bytes += bytes;
    if (graph->constant_bytes > NAC_MAX_SESSION_BYTES)
        return nac_fail(error, NAC_LIMIT_EXCEEDED, "the network's weights and constants need more than %.1f MB", (double)NAC_MAX_SESSION_BYTES / 1e6);
    /* The slack lets vector kernels read past the end of a constant, as they do past the end of any tensor. */
    char *memory = nac_alloc(bytes + NAC_DATA_SLACK);
    if (!memory) return nac_out_of_memory(error, name ? name : "a constant");
    memset(memory + bytes, 0, NAC_DATA_SLACK);
    *data = memory;
    return NAC_OK;
}

nac_status nac_graph_add_unfilled(nac_graph *graph, const char *name, nac_type type, const nac_shape *shape, nac_layout layout,
                                  int *value, nac_error *error) {
    int added;
    NAC_TRY(nac_graph_add_value(graph, name, type, shape, layout, &added, error));
    NAC_TRY(nac_graph_alloc_data(graph, name, type, &graph->values[added].shape, &graph->values[added].data, error));
    graph->values[added].constant = true;
    *value = added;
    return NAC_OK;
}

nac_status nac_graph_add_constant(nac_graph *graph, const char *name, nac_type type, const nac_shape *shape, nac_layout layout,
                                  int *value, nac_error *error) {
    NAC_TRY(nac_graph_add_unfilled(graph, name, type, shape, layout, value, error));
    memset(graph->values[*value].data, 0, nac_elements(&graph->values[*value].shape) * nac_type_size(type));
    return NAC_OK;
}

nac_node nac_node_make(nac_op op, const char *name) {
    nac_node node;
    memset(&node, 0, sizeof node);
    node.op = op;
    node.name = (char *)name; /* borrowed: nac_graph_emit copies it */
    node.min = -INFINITY;
    node.max = INFINITY;
    return node;
}

static bool all_constant(const nac_graph *graph, const int *inputs, int input_count) {
    for (int i = 0; i < input_count; ++i)
        if (inputs[i] != NAC_NONE && (!graph->values[inputs[i]].constant || graph->values[inputs[i]].type != NAC_F32)) return false;
    return input_count > 0;
}

/* What a plain loop does, roughly: a few bytes of a file can ask for hours. */
static uint64_t steps_of(const nac_graph *graph, const nac_node *node) {
    uint64_t steps = nac_elements(&graph->values[node->output].shape);
    if (node->op == NAC_OP_MAX_POOL || node->op == NAC_OP_AVERAGE_POOL)
        steps *= (uint64_t)node->u.pool.window.kernel_h * (uint64_t)node->u.pool.window.kernel_w; /* 2^29 * 2^15 * 2^15 at most */
    for (int i = 0; i < node->input_count; ++i)
        if (node->inputs[i] != NAC_NONE) steps += nac_elements(&graph->values[node->inputs[i]].shape);
    const uint64_t products = nac_node_macs(graph, node);
    return steps + products >= steps ? steps + products : UINT64_MAX;
}

static nac_status fold(nac_graph *graph, nac_node node, const int *inputs, int input_count, int folded, nac_error *error) {
    node.inputs = (int *)inputs; /* only read, and only until the loop below returns */
    node.input_count = input_count;
    node.output = folded;
    const uint64_t steps = steps_of(graph, &node);
    if (steps > NAC_MAX_FOLDING_STEPS - graph->folding_steps)
        return nac_fail(error, NAC_LIMIT_EXCEEDED, "node '%s': the network's constants take more than %.3g steps to compute", node.name ? node.name : "",
                        (double)NAC_MAX_FOLDING_STEPS);
    graph->folding_steps += steps;
    nac_ops[node.op].run(graph, &node);
    return NAC_OK;
}

nac_status nac_graph_emit(nac_graph *graph, nac_node node, const int *inputs, int input_count, const char *output_name,
                          const nac_shape *shape, nac_layout layout, int *output, nac_error *error) {
    if (all_constant(graph, inputs, input_count)) {
        int folded;
        NAC_TRY(nac_graph_add_unfilled(graph, output_name, NAC_F32, shape, layout, &folded, error));
        NAC_TRY(fold(graph, node, inputs, input_count, folded, error));
        *output = folded;
        return NAC_OK;
    }
    if (graph->node_count >= NAC_MAX_GRAPH_NODES)
        return nac_fail(error, NAC_LIMIT_EXCEEDED, "the network needs more than %d nodes", NAC_MAX_GRAPH_NODES);
    NAC_TRY(grow((void **)&graph->nodes, graph->node_count, &graph->node_capacity, sizeof *graph->nodes, "the graph's nodes", error));
    int value;
    NAC_TRY(nac_graph_add_value(graph, output_name, NAC_F32, shape, layout, &value, error));
    const char *name = node.name ? node.name : "";
    char *name_copy = nac_strndup(name, strlen(name));
    int *inputs_copy = nac_alloc_array((size_t)input_count, sizeof *inputs);
    if (!name_copy || !inputs_copy) {
        nac_free(name_copy);
        nac_free(inputs_copy);
        return nac_out_of_memory(error, "a node");
    }
    memcpy(inputs_copy, inputs, (size_t)input_count * sizeof *inputs);
    node.name = name_copy;
    node.inputs = inputs_copy;
    node.input_count = input_count;
    node.output = value;
    graph->values[value].producer = graph->node_count;
    graph->nodes[graph->node_count++] = node;
    *output = value;
    return NAC_OK;
}

int nac_graph_token_axis(const nac_graph *graph, int value) {
    const nac_shape *shape = &graph->values[value].shape;
    const int batch = graph->values[graph->input].shape.dims[0];
    return shape->rank == 3 && shape->dims[0] != batch && shape->dims[1] == batch ? 0 : 1;
}

int nac_graph_uses(const nac_graph *graph, int value) {
    int uses = 0;
    for (int n = 0; n < graph->node_count; ++n)
        for (int i = 0; i < graph->nodes[n].input_count; ++i) uses += graph->nodes[n].inputs[i] == value;
    return uses;
}

nac_status nac_graph_count_uses(const nac_graph *graph, const int *keep, int keep_count, int **uses, nac_error *error) {
    int *counts = nac_alloc_array((size_t)graph->value_count, sizeof *counts);
    if (!counts) return nac_out_of_memory(error, "the tensors' readers");
    for (int n = 0; n < graph->node_count; ++n)
        for (int i = 0; i < graph->nodes[n].input_count; ++i)
            if (graph->nodes[n].inputs[i] != NAC_NONE) ++counts[graph->nodes[n].inputs[i]];
    for (int i = 0; i < keep_count; ++i) ++counts[keep[i]];
    if (graph->logits != NAC_NONE) ++counts[graph->logits];
    *uses = counts;
    return NAC_OK;
}

bool nac_graph_is_uniform(const nac_graph *graph, int value, float *number) {
    const nac_value *v = &graph->values[value];
    if (!v->constant || v->type != NAC_F32) return false;
    const float *numbers = v->data;
    for (size_t i = 1, count = nac_elements(&v->shape); i < count; ++i)
        if (numbers[i] != numbers[0]) return false;
    *number = numbers[0];
    return true;
}
