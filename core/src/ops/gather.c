/* gather.c - numbers taken from constant places, and numbers added up in them: each is the other's gradient. What ONNX puts in place (an
 * assignment to a part of a tensor) is taken, too: from the old numbers and the new ones side by side. Indices that depend on the image are
 * refused: they have no gradient. */
#include <limits.h>
#include <string.h>

#include "ops/common.h"

/* x [outer, size, inner] and y [outer, count, inner] around the node's axis. */
typedef struct places {
    size_t outer, size, count, inner;
} places;

static places places_of(const nac_shape *x, int axis, const nac_shape *index) {
    places p = {1, (size_t)x->dims[axis], nac_elements(index), 1};
    for (int i = 0; i < axis; ++i) p.outer *= (size_t)x->dims[i];
    for (int i = axis + 1; i < x->rank; ++i) p.inner *= (size_t)x->dims[i];
    return p;
}

/* x, index [count] -> y with y[..., i, ...] = x[..., index[i], ...]. Of either type, so that integer constants are folded by it, too. */
void nac_run_GATHER(const nac_graph *graph, const nac_node *node) {
    const nac_value *x = &graph->values[node->inputs[0]], *index = &graph->values[node->inputs[1]];
    const places p = places_of(&x->shape, node->u.gather.axis, &index->shape);
    const size_t bytes = p.inner * nac_type_size(x->type);
    const int64_t *from = index->data;
    const unsigned char *source = x->data;
    unsigned char *target = graph->values[node->output].data;
    for (size_t o = 0; o < p.outer; ++o, source += p.size * bytes)
        for (size_t i = 0; i < p.count; ++i, target += bytes) memcpy(target, source + (size_t)from[i] * bytes, bytes);
}

/* x [..., count, ...], index [count] -> y of zeros with y[..., index[i], ...] += x[..., i, ...]. Few numbers meet in one place: a float holds their sum. */
void nac_run_SCATTER(const nac_graph *graph, const nac_node *node) {
    const nac_value *y = &graph->values[node->output], *index = &graph->values[node->inputs[1]];
    const places p = places_of(&y->shape, node->u.gather.axis, &index->shape);
    const int64_t *to = index->data;
    const float *source = nac_data(graph, node->inputs[0]);
    float *target = y->data;
    memset(target, 0, nac_elements(&y->shape) * sizeof *target);
    for (size_t o = 0; o < p.outer; ++o, target += p.size * p.inner)
        for (size_t i = 0; i < p.count; ++i, source += p.inner) {
            float *sum = target + (size_t)to[i] * p.inner;
            for (size_t k = 0; k < p.inner; ++k) sum[k] += source[k];
        }
}

static nac_status emit_opposite(nac_graph *graph, int node, nac_op op, int dy, int *dx, nac_error *error) {
    const nac_node forward = graph->nodes[node];
    const nac_value x = graph->values[forward.inputs[0]];
    nac_node back = nac_node_make(op, forward.name);
    back.u = forward.u;
    return nac_graph_emit(graph, back, (const int[]){dy, forward.inputs[1]}, 2, NULL, &x.shape, x.layout, dx, error);
}

NAC_GRADIENT(GATHER) {
    (void)slot; /* the indices are constant */
    return emit_opposite(graph, node, NAC_OP_SCATTER, dy, dx, error);
}

NAC_GRADIENT(SCATTER) {
    (void)slot;
    return emit_opposite(graph, node, NAC_OP_GATHER, dy, dx, error);
}

/* ---- ONNX: taken ------------------------------------------------------------------------------- */

/* A list of positions, to be filled. */
static nac_status add_positions(nac_lowering *lowering, size_t count, int *value, int64_t **positions) {
    if (count > INT_MAX) return nac_lower_fail(lowering, NAC_LIMIT_EXCEEDED, "%zu positions", count);
    const nac_shape shape = nac_shape_make(1, (const int[]){(int)count});
    NAC_TRY(nac_graph_add_constant(lowering->graph, NULL, NAC_I64, &shape, NAC_ROW_MAJOR, value, lowering->error));
    *positions = lowering->graph->values[*value].data;
    return NAC_OK;
}

static nac_status gather(nac_lowering *lowering, int x, int axis, int positions, int *result) {
    nac_shape shape = lowering->graph->values[x].shape;
    nac_node node = nac_node_make(NAC_OP_GATHER, NULL);
    node.u.gather.axis = axis;
    shape.dims[axis] = lowering->graph->values[positions].shape.dims[0];
    return nac_lower_emit(lowering, node, (const int[]){x, positions}, 2, &shape, lowering->graph->values[x].layout, result);
}

nac_status nac_lower_gather(nac_lowering *lowering, int x, int axis, const int *positions, int count, int *result) {
    int list;
    int64_t *numbers;
    NAC_TRY(add_positions(lowering, (size_t)count, &list, &numbers));
    for (int i = 0; i < count; ++i) numbers[i] = positions[i];
    return gather(lowering, x, axis, list, result);
}

/* Input 1, constant integers in ONNX's order. */
static nac_status lower_indices(nac_lowering *lowering, int *indices) {
    NAC_TRY(nac_lower_input(lowering, 1, indices));
    const nac_value *v = &lowering->graph->values[*indices];
    if (!v->constant) return nac_lower_fail(lowering, NAC_UNSUPPORTED, "the indices are computed from the image; they must be constant");
    if (v->type != NAC_I64) return nac_lower_fail(lowering, NAC_MALFORMED, "the indices are not integers");
    return nac_as_row_major(lowering, *indices, indices);
}

/* An index counted from the front. */
static nac_status check_index(nac_lowering *lowering, int64_t given, int size, int *index) {
    if (given < -size || given >= size)
        return nac_lower_fail(lowering, NAC_MALFORMED, "index %lld is outside of size %d", (long long)given, size);
    *index = (int)(given < 0 ? given + size : given);
    return NAC_OK;
}

/* data.shape[:axis] + indices.shape + data.shape[axis+1:] */
static nac_status gathered_shape(nac_lowering *lowering, const nac_shape *data, const nac_shape *indices, int axis, nac_shape *shape) {
    shape->rank = data->rank - 1 + indices->rank;
    if (shape->rank > NAC_MAX_RANK)
        return nac_lower_fail(lowering, NAC_UNSUPPORTED, "the result has rank %d; at most %d is supported", shape->rank, NAC_MAX_RANK);
    int d = 0;
    for (int i = 0; i < axis; ++i) shape->dims[d++] = data->dims[i];
    for (int i = 0; i < indices->rank; ++i) shape->dims[d++] = indices->dims[i];
    for (int i = axis + 1; i < data->rank; ++i) shape->dims[d++] = data->dims[i];
    return NAC_OK;
}

static nac_status gather_list(nac_lowering *lowering, int data, int indices, int axis, int *result) {
    const nac_value *index = &lowering->graph->values[indices];
    const int count = (int)nac_elements(&index->shape), size = lowering->graph->values[data].shape.dims[axis];
    const int64_t *given = index->data;
    int *positions = nac_alloc_array((size_t)count, sizeof *positions);
    if (!positions) return nac_out_of_memory(lowering->error, "a list of indices");
    nac_status status = NAC_OK;
    for (int i = 0; i < count && status == NAC_OK; ++i) status = check_index(lowering, given[i], size, &positions[i]);
    if (status == NAC_OK) status = nac_lower_pick(lowering, data, axis, positions, count, result);
    nac_free(positions);
    return status;
}

nac_status nac_lower_Gather(nac_lowering *lowering) {
    int data, indices, axis, y;
    int64_t given;
    nac_shape shape;
    NAC_TRY(nac_lower_input(lowering, 0, &data));
    NAC_TRY(lower_indices(lowering, &indices));
    const nac_value v = lowering->graph->values[data], index = lowering->graph->values[indices];
    const nac_shape from = nac_logical_shape(&v);
    NAC_TRY(nac_attribute_int(lowering, "axis", 0, &given));
    NAC_TRY(nac_lower_axis(lowering, given, from.rank, &axis));
    NAC_TRY(gathered_shape(lowering, &from, &index.shape, axis, &shape));
    NAC_TRY(gather_list(lowering, data, indices, nac_physical_axis(v.layout, axis), &y));
    if (index.shape.rank != 1) {
        NAC_TRY(nac_as_row_major(lowering, y, &y));
        NAC_TRY(nac_lower_reshape(lowering, y, &shape, &y));
    }
    return nac_lower_bind(lowering, 0, y);
}

/* ---- ONNX: by element, by row ------------------------------------------------------------------ */

/* Where in the data the indices point, as positions of rows of `run` numbers each. */
typedef struct target {
    int positions;  /* the list, a constant */
    nac_shape rows; /* the data as [rows, run] */
} target;

static nac_status make_target(nac_lowering *lowering, const nac_shape *data, int depth, size_t count, target *t, int64_t **positions) {
    int rows = 1, run = 1;
    for (int i = 0; i < data->rank; ++i) *(i < depth ? &rows : &run) *= data->dims[i];
    t->rows = nac_shape_make(2, (const int[]){rows, run});
    return add_positions(lowering, count, &t->positions, positions);
}

/* GatherElements and ScatterElements: indices of data's rank, each of which replaces the element's own along `axis`. */
static nac_status find_elements(nac_lowering *lowering, const nac_shape *data, int indices, target *t) {
    const nac_value index = lowering->graph->values[indices];
    const int64_t *given = index.data;
    int64_t wanted, *positions;
    int axis;
    NAC_TRY(nac_attribute_int(lowering, "axis", 0, &wanted));
    NAC_TRY(nac_lower_axis(lowering, wanted, data->rank, &axis));
    bool fits = index.shape.rank == data->rank;
    for (int i = 0; fits && i < data->rank; ++i) fits = i == axis || index.shape.dims[i] <= data->dims[i];
    if (!fits) {
        char text[NAC_SHAPE_TEXT], data_text[NAC_SHAPE_TEXT];
        return nac_lower_fail(lowering, NAC_MALFORMED, "indices %s do not fit data %s", nac_shape_text(&index.shape, text), nac_shape_text(data, data_text));
    }
    NAC_TRY(make_target(lowering, data, data->rank, nac_elements(&index.shape), t, &positions));
    nac_walk walk = nac_walk_make(index.shape.rank, index.shape.dims);
    do {
        size_t at = 0;
        for (int i = 0; i < data->rank; ++i) {
            int place = walk.index[i];
            if (i == axis) NAC_TRY(check_index(lowering, *given++, data->dims[i], &place));
            at = at * (size_t)data->dims[i] + (size_t)place;
        }
        *positions++ = (int64_t)at;
    } while (nac_walk_next(&walk));
    return NAC_OK;
}

/* GatherND and ScatterND: indices [..., depth], each last row of which names data[index], behind `batch_dims` axes that both have in common. */
static nac_status find_rows(nac_lowering *lowering, const nac_shape *data, int indices, int batch_dims, target *t) {
    const nac_value index = lowering->graph->values[indices];
    const int last = index.shape.rank - 1, depth = last >= 0 ? index.shape.dims[last] : 0;
    const int64_t *given = index.data;
    int64_t *positions;
    size_t batches = 1;
    bool fits = depth >= 1 && depth <= data->rank - batch_dims && batch_dims <= last;
    for (int i = 0; fits && i < batch_dims; ++i) {
        fits = index.shape.dims[i] == data->dims[i];
        batches *= (size_t)data->dims[i];
    }
    if (!fits) {
        char text[NAC_SHAPE_TEXT], data_text[NAC_SHAPE_TEXT];
        return nac_lower_fail(lowering, NAC_MALFORMED, "indices %s do not fit data %s", nac_shape_text(&index.shape, text), nac_shape_text(data, data_text));
    }
    const size_t count = nac_elements(&index.shape) / (size_t)depth;
    NAC_TRY(make_target(lowering, data, batch_dims + depth, count, t, &positions));
    for (size_t r = 0; r < count; ++r) {
        size_t at = r / (count / batches);
        for (int d = 0; d < depth; ++d) {
            int place;
            NAC_TRY(check_index(lowering, *given++, data->dims[batch_dims + d], &place));
            at = at * (size_t)data->dims[batch_dims + d] + (size_t)place;
        }
        positions[r] = (int64_t)at;
    }
    return NAC_OK;
}

static nac_status lower_data(nac_lowering *lowering, int *data, int *indices, nac_shape *shape) {
    NAC_TRY(nac_lower_input(lowering, 0, data));
    NAC_TRY(lower_indices(lowering, indices));
    NAC_TRY(nac_as_row_major(lowering, *data, data));
    *shape = lowering->graph->values[*data].shape;
    return NAC_OK;
}

static nac_status bind_taken(nac_lowering *lowering, int data, const target *t, const nac_shape *shape) {
    NAC_TRY(nac_lower_reshape(lowering, data, &t->rows, &data));
    NAC_TRY(gather(lowering, data, 0, t->positions, &data));
    NAC_TRY(nac_lower_reshape(lowering, data, shape, &data));
    return nac_lower_bind(lowering, 0, data);
}

nac_status nac_lower_GatherElements(nac_lowering *lowering) {
    int data, indices;
    nac_shape shape;
    target t;
    NAC_TRY(lower_data(lowering, &data, &indices, &shape));
    NAC_TRY(find_elements(lowering, &shape, indices, &t));
    const nac_shape taken = lowering->graph->values[indices].shape;
    return bind_taken(lowering, data, &t, &taken);
}

nac_status nac_lower_GatherND(nac_lowering *lowering) {
    int data, indices;
    int64_t batch_dims;
    nac_shape shape;
    target t;
    NAC_TRY(lower_data(lowering, &data, &indices, &shape));
    NAC_TRY(nac_attribute_int(lowering, "batch_dims", 0, &batch_dims));
    if (batch_dims < 0 || batch_dims >= NAC_MAX_RANK) return nac_lower_fail(lowering, NAC_MALFORMED, "batch_dims is %lld", (long long)batch_dims);
    NAC_TRY(find_rows(lowering, &shape, indices, (int)batch_dims, &t));
    nac_shape taken = lowering->graph->values[indices].shape;
    const int depth = taken.dims[--taken.rank];
    for (int i = (int)batch_dims + depth; i < shape.rank; ++i) {
        if (taken.rank == NAC_MAX_RANK) return nac_lower_fail(lowering, NAC_UNSUPPORTED, "the result has more than %d axes", NAC_MAX_RANK);
        taken.dims[taken.rank++] = shape.dims[i];
    }
    return bind_taken(lowering, data, &t, &taken);
}

/* data with input 2 in its places, of which the last to name a place wins; or added there. */
static nac_status put_in_place(nac_lowering *lowering, int data, const target *t, const nac_shape *shape) {
    nac_graph *graph = lowering->graph;
    const char *reduction;
    size_t length;
    int updates, y;
    NAC_TRY(nac_attribute_string(lowering, "reduction", &reduction, &length));
    const bool adds = length > 0 && strcmp(reduction, "add") == 0;
    if (length > 0 && !adds && strcmp(reduction, "none") != 0)
        return nac_lower_fail(lowering, NAC_UNSUPPORTED, "reduction '%.20s'; none and add are supported", reduction);
    NAC_TRY(nac_lower_input(lowering, 2, &updates));
    NAC_TRY(nac_as_row_major(lowering, updates, &updates));
    const int rows = t->rows.dims[0], count = graph->values[t->positions].shape.dims[0];
    const nac_shape new_rows = nac_shape_make(2, (const int[]){count, t->rows.dims[1]});
    if (nac_elements(&graph->values[updates].shape) != nac_elements(&new_rows))
        return nac_lower_fail(lowering, NAC_MALFORMED, "%zu updates for %zu places", nac_elements(&graph->values[updates].shape), nac_elements(&new_rows));
    if (graph->values[updates].type != graph->values[data].type || (adds && graph->values[data].type != NAC_F32))
        return nac_lower_fail(lowering, NAC_MALFORMED, "the types of its inputs do not go together");
    NAC_TRY(nac_lower_reshape(lowering, updates, &new_rows, &updates));
    NAC_TRY(nac_lower_reshape(lowering, data, &t->rows, &data));
    if (adds) {
        nac_node node = nac_node_make(NAC_OP_SCATTER, NULL);
        NAC_TRY(nac_lower_emit(lowering, node, (const int[]){updates, t->positions}, 2, &t->rows, NAC_ROW_MAJOR, &y));
        NAC_TRY(nac_lower_combine(lowering, NAC_BINARY_ADD, data, y, &y));
    } else {
        int sources;
        int64_t *from;
        NAC_TRY(add_positions(lowering, (size_t)rows, &sources, &from));
        const int64_t *to = graph->values[t->positions].data;
        for (int i = 0; i < rows; ++i) from[i] = i;
        for (int i = 0; i < count; ++i) from[to[i]] = rows + (int64_t)i;
        nac_shape joined = t->rows;
        if (count > INT_MAX - rows) return nac_lower_fail(lowering, NAC_LIMIT_EXCEEDED, "%d updates of %d places", count, rows);
        joined.dims[0] += count;
        NAC_TRY(nac_lower_emit(lowering, nac_node_make(NAC_OP_CONCAT, NULL), (const int[]){data, updates}, 2, &joined, NAC_ROW_MAJOR, &y));
        NAC_TRY(gather(lowering, y, 0, sources, &y));
    }
    NAC_TRY(nac_lower_reshape(lowering, y, shape, &y));
    return nac_lower_bind(lowering, 0, y);
}

nac_status nac_lower_ScatterElements(nac_lowering *lowering) {
    int data, indices;
    nac_shape shape;
    target t;
    NAC_TRY(lower_data(lowering, &data, &indices, &shape));
    NAC_TRY(find_elements(lowering, &shape, indices, &t));
    return put_in_place(lowering, data, &t, &shape);
}

/* Its name before opset 11. */
nac_status nac_lower_Scatter(nac_lowering *lowering) { return nac_lower_ScatterElements(lowering); }

nac_status nac_lower_ScatterND(nac_lowering *lowering) {
    int data, indices;
    nac_shape shape;
    target t;
    NAC_TRY(lower_data(lowering, &data, &indices, &shape));
    NAC_TRY(find_rows(lowering, &shape, indices, 0, &t));
    return put_in_place(lowering, data, &t, &shape);
}
