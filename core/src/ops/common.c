#include "ops/common.h"

#include <stdio.h>
#include <string.h>

nac_walk nac_walk_make(int rank, const int *sizes) {
    nac_walk walk;
    memset(&walk, 0, sizeof walk);
    walk.rank = rank;
    for (int i = 0; i < rank; ++i) walk.sizes[i] = sizes[i];
    return walk;
}

void nac_walk_strides(nac_walk *walk, int tensor, const nac_shape *shape) {
    int stride = 1;
    for (int i = shape->rank - 1; i >= 0; --i) {
        if (i < walk->rank) walk->strides[tensor][i] = shape->dims[i] == 1 ? 0 : stride;
        stride *= shape->dims[i];
    }
}

bool nac_walk_next(nac_walk *walk) {
    for (int i = walk->rank - 1; i >= 0; --i) {
        for (int t = 0; t < 3; ++t) walk->offset[t] += walk->strides[t][i];
        if (++walk->index[i] < walk->sizes[i]) return true;
        for (int t = 0; t < 3; ++t) walk->offset[t] -= walk->strides[t][i] * walk->sizes[i];
        walk->index[i] = 0;
    }
    return false;
}

nac_shape nac_shape_aligned(const nac_shape *shape, int rank) {
    nac_shape aligned = {.rank = rank};
    for (int i = 0; i < rank; ++i) {
        int from = i - (rank - shape->rank);
        aligned.dims[i] = from < 0 ? 1 : shape->dims[from];
    }
    return aligned;
}

nac_status nac_emit_reduced_like(nac_graph *graph, const char *name, int value, int target, float scale, int *result,
                                 nac_error *error) {
    const nac_shape from = graph->values[value].shape, to = graph->values[target].shape;
    const nac_layout layout = graph->values[target].layout;
    if (nac_shape_equal(&from, &to)) {
        if (scale == 1) {
            *result = value;
            return NAC_OK;
        }
        nac_node node = nac_node_make(NAC_OP_EXPAND, name);
        node.u.expand.scale = scale;
        return nac_graph_emit(graph, node, &value, 1, NULL, &to, layout, result, error);
    }
    nac_shape kept = nac_shape_aligned(&to, from.rank);
    nac_node node = nac_node_make(NAC_OP_REDUCE, name);
    node.u.reduce.scale = scale;
    for (int i = 0; i < from.rank; ++i) node.u.reduce.axes[i] = kept.dims[i] == 1 && from.dims[i] != 1;
    int reduced;
    NAC_TRY(nac_graph_emit(graph, node, &value, 1, NULL, &kept, layout, &reduced, error));
    if (to.rank == from.rank) {
        *result = reduced;
        return NAC_OK;
    }
    return nac_graph_emit(graph, nac_node_make(NAC_OP_RESHAPE, name), &reduced, 1, NULL, &to, layout, result, error);
}

nac_status nac_gradient_refused(const nac_graph *graph, int node, int slot, nac_error *error) {
    return nac_fail(error, NAC_UNSUPPORTED, "node '%s' (%s) has no gradient for its input %d", graph->nodes[node].name,
                    nac_ops[graph->nodes[node].op].name, slot);
}

nac_status nac_lower_float(nac_lowering *lowering, int i, int *value) {
    int found;
    NAC_TRY(nac_lower_input(lowering, i, &found));
    if (lowering->graph->values[found].type != NAC_F32)
        return nac_lower_fail(lowering, NAC_UNSUPPORTED, "input %d holds integers; only float32 is supported here", i);
    *value = found;
    return NAC_OK;
}

nac_status nac_lower_constant(nac_lowering *lowering, int i, int *value) {
    NAC_TRY(nac_lower_input(lowering, i, value));
    if (!lowering->graph->values[*value].constant)
        return nac_lower_fail(lowering, NAC_UNSUPPORTED, "input %d is computed from the image; it must be a constant", i);
    return nac_as_row_major(lowering, *value, value);
}

nac_status nac_lower_sizes(nac_lowering *lowering, int i, int64_t sizes[NAC_MAX_RANK], int *count) {
    int input;
    *count = 0;
    if (nac_lower_is_empty(lowering, i)) return NAC_OK;
    NAC_TRY(nac_lower_input(lowering, i, &input));
    return nac_lower_ints(lowering, input, "the shape", sizes, NAC_MAX_RANK, count);
}

nac_status nac_lower_scalar(nac_lowering *lowering, int value, const char *what, float *number) {
    const nac_value *v = &lowering->graph->values[value];
    if (!v->constant) return nac_lower_fail(lowering, NAC_UNSUPPORTED, "%s is computed at run time; it must be a constant", what);
    size_t count = nac_elements(&v->shape);
    if (count != 1) return nac_lower_fail(lowering, NAC_UNSUPPORTED, "%s has %zu elements; only one number is supported", what, count);
    *number = v->type == NAC_F32 ? *(const float *)v->data : (float)*(const int64_t *)v->data;
    return NAC_OK;
}

nac_status nac_lower_vector(nac_lowering *lowering, int value, const char *what, int count, const float **numbers) {
    const nac_value *v = &lowering->graph->values[value];
    if (!v->constant || v->type != NAC_F32)
        return nac_lower_fail(lowering, NAC_UNSUPPORTED, "%s must be a float32 constant", what);
    if (v->shape.rank != 1 || v->shape.dims[0] != count) {
        char text[NAC_SHAPE_TEXT];
        return nac_lower_fail(lowering, NAC_MALFORMED, "%s has shape %s where [%d] is needed", what, nac_shape_text(&v->shape, text),
                              count);
    }
    *numbers = v->data;
    return NAC_OK;
}

nac_status nac_lower_broadcast(nac_lowering *lowering, const int *values, int count, nac_shape *shape) {
    *shape = (nac_shape){.rank = 0};
    for (int i = 0; i < count; ++i) {
        const nac_shape own = nac_logical_shape(&lowering->graph->values[values[i]]);
        const int rank = own.rank > shape->rank ? own.rank : shape->rank;
        const nac_shape left = nac_shape_aligned(shape, rank), right = nac_shape_aligned(&own, rank);
        nac_shape both = left;
        for (int d = 0; d < rank; ++d) {
            if (left.dims[d] != right.dims[d] && left.dims[d] != 1 && right.dims[d] != 1) {
                char text[NAC_SHAPE_TEXT], own_text[NAC_SHAPE_TEXT];
                return nac_lower_fail(lowering, NAC_MALFORMED, "shapes %s and %s do not broadcast", nac_shape_text(shape, text),
                                      nac_shape_text(&own, own_text));
            }
            if (left.dims[d] == 1) both.dims[d] = right.dims[d];
        }
        *shape = both;
    }
    return NAC_OK;
}

nac_status nac_lower_align(nac_lowering *lowering, int *values, int count, nac_shape *shape, nac_layout *layout) {
    bool channels_last = false;
    for (int i = 0; i < count; ++i) {
        const nac_value *value = &lowering->graph->values[values[i]];
        channels_last = channels_last || (shape->rank == 4 && !value->constant && value->layout == NAC_CHANNELS_LAST);
    }
    for (int i = 0; i < count; ++i) {
        if (lowering->graph->values[values[i]].shape.rank < shape->rank) {
            NAC_TRY(nac_as_row_major(lowering, values[i], &values[i]));
            const nac_shape aligned = nac_shape_aligned(&lowering->graph->values[values[i]].shape, shape->rank);
            NAC_TRY(nac_lower_reshape(lowering, values[i], &aligned, &values[i]));
        }
        NAC_TRY(channels_last ? nac_as_channels_last(lowering, values[i], &values[i]) : nac_as_row_major(lowering, values[i], &values[i]));
    }
    *layout = channels_last ? NAC_CHANNELS_LAST : NAC_ROW_MAJOR;
    if (channels_last) *shape = nac_shape_make(4, (const int[]){shape->dims[0], shape->dims[2], shape->dims[3], shape->dims[1]});
    return NAC_OK;
}

nac_status nac_lower_number(nac_lowering *lowering, float number, int *value) {
    const nac_shape scalar = {.rank = 0};
    NAC_TRY(nac_graph_add_constant(lowering->graph, NULL, NAC_F32, &scalar, NAC_ROW_MAJOR, value, lowering->error));
    *nac_data(lowering->graph, *value) = number;
    return NAC_OK;
}

nac_status nac_lower_reshape(nac_lowering *lowering, int value, const nac_shape *shape, int *result) {
    if (nac_shape_equal(&lowering->graph->values[value].shape, shape)) {
        *result = value;
        return NAC_OK;
    }
    return nac_lower_emit(lowering, nac_node_make(NAC_OP_RESHAPE, lowering->node->name), &value, 1, shape, NAC_ROW_MAJOR, result);
}

nac_status nac_lower_add_vector(nac_lowering *lowering, int count, int *value, float **numbers) {
    nac_shape shape = nac_shape_make(1, &count);
    NAC_TRY(nac_graph_add_constant(lowering->graph, NULL, NAC_F32, &shape, NAC_ROW_MAJOR, value, lowering->error));
    *numbers = nac_data(lowering->graph, *value);
    return NAC_OK;
}

nac_status nac_lower_affine(nac_lowering *lowering, int x, int scale, int bias, int *result) {
    const nac_shape shape = lowering->graph->values[x].shape;
    return nac_lower_emit(lowering, nac_node_make(NAC_OP_AFFINE, lowering->node->name), (const int[]){x, scale, bias}, 3, &shape,
                          lowering->graph->values[x].layout, result);
}

const char *nac_shape_text(const nac_shape *shape, char *text) {
    int used = snprintf(text, NAC_SHAPE_TEXT, "[");
    for (int i = 0; i < shape->rank; ++i)
        used += snprintf(text + used, (size_t)(NAC_SHAPE_TEXT - used), i ? ", %d" : "%d", shape->dims[i]);
    (void)snprintf(text + used, (size_t)(NAC_SHAPE_TEXT - used), "]");
    return text;
}
