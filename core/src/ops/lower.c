/* lower.c - the tools of the translators: inputs, outputs, attributes, memory order. */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "graph/quantised.h"
#include "ops/common.h"

nac_status (nac_lower_fail)(nac_lowering *lowering, nac_status status, const char *format, ...) {
    char message[NAC_ERROR_LENGTH];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return nac_fail(lowering->error, status, "node '%.100s' (%.40s): %s", lowering->node->name, lowering->node->op_type, message);
}

/* ---- Inputs and outputs ------------------------------------------------------------------------ */

int nac_lower_optional(nac_lowering *lowering, int i) {
    const nac_onnx_node *node = lowering->node;
    if (i >= node->input_count || node->inputs[i] == NAC_ONNX_ABSENT || nac_lower_is_empty(lowering, i)) return NAC_NONE;
    return lowering->bindings[node->inputs[i]];
}

bool nac_lower_is_empty(const nac_lowering *lowering, int i) {
    const nac_onnx_node *node = lowering->node;
    return i < node->input_count && node->inputs[i] != NAC_ONNX_ABSENT && lowering->bindings[node->inputs[i]] == NAC_EMPTY;
}

static nac_status refuse_input(nac_lowering *lowering, int i, const char *why) {
    return nac_lower_fail(lowering, NAC_UNSUPPORTED, "input %d, tensor '%.100s', %s", i, lowering->model->tensor_names[lowering->node->inputs[i]], why);
}

nac_status nac_lower_binding(nac_lowering *lowering, int i, int *binding) {
    const nac_onnx_node *node = lowering->node;
    if (i >= node->input_count || node->inputs[i] == NAC_ONNX_ABSENT)
        return nac_lower_fail(lowering, NAC_MALFORMED, "input %d is missing", i);
    const int found = lowering->bindings[node->inputs[i]];
    if (found == NAC_NONE) return refuse_input(lowering, i, "is an output that is not supported");
    *binding = found;
    return NAC_OK;
}

nac_status nac_lower_input(nac_lowering *lowering, int i, int *value) {
    int found;
    NAC_TRY(nac_lower_binding(lowering, i, &found));
    if (found < 0) return refuse_input(lowering, i, found == NAC_EMPTY ? "has no elements" : "is a sequence");
    *value = found;
    return NAC_OK;
}

nac_status nac_lower_bind(nac_lowering *lowering, int output, int value) {
    const nac_onnx_node *node = lowering->node;
    if (output >= node->output_count || node->outputs[output] == NAC_ONNX_ABSENT) return NAC_OK;
    const int tensor = node->outputs[output];
    const nac_value *v = &lowering->graph->values[value];
    if (lowering->tapped && lowering->tapped[tensor] && (v->name || nac_graph_uses(lowering->graph, value) > 0)) {
        const nac_shape shape = v->shape;
        NAC_TRY(nac_lower_emit(lowering, nac_node_make(NAC_OP_RESHAPE, NULL), &value, 1, &shape, v->layout, &value));
    }
    lowering->bindings[tensor] = value;
    /* The first name stays: an Identity is another name for the same value. One that two branches use names nothing. */
    char **name = &lowering->graph->values[value].name;
    if (*name || !nac_model_name_is_unique(lowering->model, tensor)) return NAC_OK;
    const char *text = lowering->model->tensor_names[tensor];
    *name = nac_strndup(text, strlen(text));
    return *name ? NAC_OK : nac_out_of_memory(lowering->error, "a tensor's name");
}

nac_status nac_lower_pass(nac_lowering *lowering, int output, int binding) {
    const nac_onnx_node *node = lowering->node;
    if (binding >= 0) return nac_lower_bind(lowering, output, binding);
    if (output < node->output_count && node->outputs[output] != NAC_ONNX_ABSENT) lowering->bindings[node->outputs[output]] = binding;
    return NAC_OK;
}

void nac_lower_bind_empty(nac_lowering *lowering, int output) {
    (void)nac_lower_pass(lowering, output, NAC_EMPTY);
}

nac_status nac_lower_ints(nac_lowering *lowering, int value, const char *what, int64_t *ints, int capacity, int *count) {
    const nac_value *v = &lowering->graph->values[value];
    if (!v->constant)
        return nac_lower_fail(lowering, NAC_UNSUPPORTED, "%s is computed from the image; it must be a constant", what);
    const size_t elements = nac_elements(&v->shape);
    if (v->shape.rank > 1) return nac_lower_fail(lowering, NAC_MALFORMED, "%s has rank %d; it must be a list", what, v->shape.rank);
    if (elements > (size_t)capacity)
        return nac_lower_fail(lowering, NAC_UNSUPPORTED, "%s has %zu numbers; at most %d are supported", what, elements, capacity);
    for (size_t i = 0; i < elements; ++i) {
        if (v->type == NAC_I64) {
            ints[i] = ((const int64_t *)v->data)[i];
            continue;
        }
        const float number = ((const float *)v->data)[i];
        if (!(fabsf(number) < 0x1p62f) || (float)(int64_t)number != number)
            return nac_lower_fail(lowering, NAC_MALFORMED, "%s holds %g, which is not a whole number", what, (double)number);
        ints[i] = (int64_t)number;
    }
    *count = (int)elements;
    return NAC_OK;
}

static nac_status read_shape(nac_lowering *lowering, const nac_onnx_tensor *tensor, const char *name, nac_shape *shape) {
    if (tensor->count == 0) return nac_lower_fail(lowering, NAC_UNSUPPORTED, "tensor '%.100s' has no elements", name);
    *shape = (nac_shape){.rank = tensor->rank};
    for (int i = 0; i < tensor->rank && i < NAC_MAX_RANK; ++i) {
        if (tensor->dims[i] > INT_MAX)
            return nac_lower_fail(lowering, NAC_LIMIT_EXCEEDED, "tensor '%.100s' has a dimension of %lld", name, (long long)tensor->dims[i]);
        shape->dims[i] = (int)tensor->dims[i];
    }
    return NAC_OK;
}

nac_status nac_lower_filter_bytes(nac_lowering *lowering, const nac_onnx_tensor *tensor, const char *name, int *value) {
    nac_shape shape;
    int16_t zero;
    NAC_TRY(read_shape(lowering, tensor, name, &shape));
    const int *d = shape.dims;
    shape = nac_shape_make(4, (const int[]){d[0], d[2], d[3], d[1]});
    NAC_TRY(nac_graph_add_unfilled(lowering->graph, name, NAC_Q8, &shape, NAC_CHANNELS_LAST, value, lowering->error));
    const nac_quantised w = nac_quantised_of(&lowering->graph->values[*value]);
    nac_onnx_tensor_filter_bytes(tensor, w.q, &zero);
    for (int o = 0; o < shape.dims[0]; ++o) {
        w.scales[o] = 1;
        w.zeros[o] = zero;
    }
    return NAC_OK;
}

nac_status nac_lower_tensor(nac_lowering *lowering, const nac_onnx_tensor *tensor, const char *name, nac_layout layout, int *value) {
    nac_graph *graph = lowering->graph;
    nac_shape shape;
    NAC_TRY(read_shape(lowering, tensor, name, &shape));
    const bool floating = nac_onnx_tensor_becomes_float(tensor);
    int added;
    /* The size of a type that is not read was never compared with the file's. */
    if (!nac_onnx_tensor_is_number(tensor))
        return nac_lower_fail(lowering, NAC_UNSUPPORTED, "tensor '%.100s' has data type %d, which is not supported", name, tensor->data_type);
    const bool filters = layout == NAC_CHANNELS_LAST && nac_onnx_tensor_is_filters(tensor);
    const int *d = shape.dims;
    if (filters) shape = nac_shape_make(4, (const int[]){d[0], d[2], d[3], d[1]});
    NAC_TRY(nac_graph_add_unfilled(graph, name, floating ? NAC_F32 : NAC_I64, &shape, filters ? NAC_CHANNELS_LAST : NAC_ROW_MAJOR, &added,
                                   lowering->error));
    void *data = graph->values[added].data;
    NAC_TRY(filters    ? nac_onnx_tensor_filters(tensor, data, lowering->error)
            : floating ? nac_onnx_tensor_floats(tensor, data, lowering->error)
                       : nac_onnx_tensor_ints(tensor, data, lowering->error));
    *value = added;
    return NAC_OK;
}

/* ---- Nodes ------------------------------------------------------------------------------------- */

/* Operators that only move numbers, and whose plain loops do so for either type; *moved is the input whose type the result has. */
static bool moves_only(nac_op op, int *moved) {
    *moved = op == NAC_OP_WHERE ? 1 : 0;
    return op == NAC_OP_RESHAPE || op == NAC_OP_TRANSPOSE || op == NAC_OP_CONCAT || op == NAC_OP_SLICE || op == NAC_OP_GATHER || op == NAC_OP_WHERE;
}

nac_status nac_lower_emit(nac_lowering *lowering, nac_node node, const int *inputs, int input_count, const nac_shape *shape,
                          nac_layout layout, int *output) {
    nac_graph *graph = lowering->graph;
    node.name = (char *)lowering->node->name;
    const int places = node.op == NAC_OP_GATHER || node.op == NAC_OP_SCATTER; /* the last input is a list of them */
    int integers = 0, constants = 0, moved, folded;
    for (int i = 0; i < input_count; ++i) {
        if (inputs[i] == NAC_NONE) continue;
        integers += graph->values[inputs[i]].type == NAC_I64;
        constants += graph->values[inputs[i]].constant;
    }
    const bool folds = integers > 0 && constants == input_count && moves_only(node.op, &moved);
    if (!folds && integers == places)
        return nac_graph_emit(graph, node, inputs, input_count, NULL, shape, layout, output, lowering->error);
    if (!folds) return nac_lower_fail(lowering, NAC_UNSUPPORTED, "integers are supported as constants of shapes and indices only");
    NAC_TRY(nac_graph_add_constant(graph, NULL, graph->values[inputs[moved]].type, shape, layout, &folded, lowering->error));
    node.inputs = (int *)inputs; /* only read, and only until the loop returns */
    node.input_count = input_count;
    node.output = folded;
    nac_ops[node.op].run(graph, &node);
    *output = folded;
    return NAC_OK;
}

/* ---- Memory order ------------------------------------------------------------------------------ */

int nac_physical_axis(nac_layout layout, int axis) { return layout == NAC_CHANNELS_LAST ? (const int[]){0, 3, 1, 2}[axis] : axis; }

nac_status nac_lower_axis(nac_lowering *lowering, int64_t axis, int rank, int *result) {
    if (axis < -rank || axis >= rank)
        return nac_lower_fail(lowering, NAC_MALFORMED, "axis %lld is outside of rank %d", (long long)axis, rank);
    *result = (int)(axis < 0 ? axis + rank : axis);
    return NAC_OK;
}

static bool is_conversion(const nac_graph *graph, const nac_node *node, const int *perm, nac_layout from, nac_layout to) {
    return node->op == NAC_OP_TRANSPOSE && memcmp(node->u.transpose.perm, perm, 4 * sizeof *perm) == 0 &&
           graph->values[node->inputs[0]].layout == from && graph->values[node->output].layout == to;
}

/* Looks for the conversion that has been made already: the tensor that `value` was made from, or what a node just before made of it.
 * Only tensors without a name are passed over or shared: a named one may be a tap, and its gradient counts its own ONNX
 * readers, no more and no fewer. */
static int find_converted(const nac_graph *graph, int value, const int *perm, const int *inverse, nac_layout to) {
    enum { LOOK_BACK = 32 };
    const nac_value *v = &graph->values[value];
    if (!v->name && v->producer != NAC_NONE && is_conversion(graph, &graph->nodes[v->producer], inverse, to, v->layout))
        return graph->nodes[v->producer].inputs[0];
    for (int n = graph->node_count - 1; n >= 0 && n >= graph->node_count - LOOK_BACK; --n) {
        const nac_node *node = &graph->nodes[n];
        if (node->inputs[0] == value && !graph->values[node->output].name && is_conversion(graph, node, perm, v->layout, to))
            return node->output;
    }
    return NAC_NONE;
}

static nac_status convert(nac_lowering *lowering, int value, nac_layout to, int *result) {
    static const int to_last[4] = {0, 2, 3, 1}, to_first[4] = {0, 3, 1, 2};
    const int *perm = to == NAC_CHANNELS_LAST ? to_last : to_first;
    const nac_value v = lowering->graph->values[value];
    const int found = find_converted(lowering->graph, value, perm, to == NAC_CHANNELS_LAST ? to_first : to_last, to);
    if (found != NAC_NONE) {
        *result = found;
        return NAC_OK;
    }
    const nac_shape logical = nac_logical_shape(&v);
    nac_shape shape = {.rank = 4};
    for (int i = 0; i < 4; ++i) shape.dims[i] = v.shape.dims[perm[i]];
    const bool same_bytes = logical.dims[1] == 1 || (logical.dims[2] == 1 && logical.dims[3] == 1);
    nac_node node = nac_node_make(same_bytes ? NAC_OP_RESHAPE : NAC_OP_TRANSPOSE, NULL);
    if (!same_bytes) memcpy(node.u.transpose.perm, perm, 4 * sizeof *perm);
    return nac_lower_emit(lowering, node, &value, 1, &shape, to, result);
}

nac_status nac_as_row_major(nac_lowering *lowering, int value, int *result) {
    if (lowering->graph->values[value].layout != NAC_ROW_MAJOR) return convert(lowering, value, NAC_ROW_MAJOR, result);
    *result = value;
    return NAC_OK;
}

nac_status nac_as_channels_last(nac_lowering *lowering, int value, int *result) {
    const nac_value *v = &lowering->graph->values[value];
    if (v->layout != NAC_CHANNELS_LAST) {
        if (v->shape.rank != 4)
            return nac_lower_fail(lowering, NAC_UNSUPPORTED, "a tensor of rank %d stands where an image of rank 4 is needed",
                                  v->shape.rank);
        return convert(lowering, value, NAC_CHANNELS_LAST, result);
    }
    *result = value;
    return NAC_OK;
}

/* ---- Attributes -------------------------------------------------------------------------------- */

/* *found NULL where the node has none of this name. */
static nac_status find_attribute(nac_lowering *lowering, const char *name, nac_onnx_attribute_kind kind, const nac_onnx_attribute **found) {
    const nac_onnx_node *node = lowering->node;
    *found = NULL;
    for (int i = 0; i < node->attribute_count; ++i) {
        const nac_onnx_attribute *attribute = &node->attributes[i];
        if (strcmp(attribute->name, name) != 0) continue;
        if (attribute->kind != kind)
            return nac_lower_fail(lowering, NAC_MALFORMED, "attribute '%s' has type %d where %d is needed", name, (int)attribute->kind,
                                  (int)kind);
        *found = attribute;
        return NAC_OK;
    }
    return NAC_OK;
}

nac_status nac_attribute_int(nac_lowering *lowering, const char *name, int64_t otherwise, int64_t *result) {
    const nac_onnx_attribute *found;
    NAC_TRY(find_attribute(lowering, name, NAC_ATTRIBUTE_INT, &found));
    *result = found ? found->i : otherwise;
    return NAC_OK;
}

nac_status nac_attribute_float(nac_lowering *lowering, const char *name, float otherwise, float *result) {
    const nac_onnx_attribute *found;
    NAC_TRY(find_attribute(lowering, name, NAC_ATTRIBUTE_FLOAT, &found));
    *result = found ? found->f : otherwise;
    return NAC_OK;
}

nac_status nac_attribute_ints(nac_lowering *lowering, const char *name, int64_t *ints, int capacity, int *count) {
    const nac_onnx_attribute *found;
    NAC_TRY(find_attribute(lowering, name, NAC_ATTRIBUTE_INTS, &found));
    const size_t length = found ? found->length : 0;
    if (length > (size_t)capacity)
        return nac_lower_fail(lowering, NAC_UNSUPPORTED, "attribute '%s' has %zu numbers; at most %d are supported", name, length, capacity);
    if (length > 0) memcpy(ints, found->ints, length * sizeof *ints);
    *count = (int)length;
    return NAC_OK;
}

nac_status nac_lower_list(nac_lowering *lowering, const char *name, int i, int64_t *ints, int capacity, int *count) {
    NAC_TRY(nac_attribute_ints(lowering, name, ints, capacity, count));
    const int input = nac_lower_optional(lowering, i);
    return *count > 0 || input == NAC_NONE ? NAC_OK : nac_lower_ints(lowering, input, name, ints, capacity, count);
}

nac_status nac_attribute_string(nac_lowering *lowering, const char *name, const char **text, size_t *length) {
    const nac_onnx_attribute *found;
    NAC_TRY(find_attribute(lowering, name, NAC_ATTRIBUTE_STRING, &found));
    *text = found ? found->text : "";
    *length = found ? found->length : 0;
    return NAC_OK;
}

nac_status nac_attribute_strings(nac_lowering *lowering, const char *name, const char *const **texts, int *count) {
    const nac_onnx_attribute *found;
    NAC_TRY(find_attribute(lowering, name, NAC_ATTRIBUTE_STRINGS, &found));
    *texts = found ? found->texts : NULL;
    *count = found ? (int)found->length : 0;
    return NAC_OK;
}
