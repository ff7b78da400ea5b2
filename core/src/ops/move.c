/* move.c - operators that compute nothing: the same numbers in another shape, order or frame. All but RESHAPE are one loop, a copy
 * between two strided views. It copies either type, so that integer constants are folded by it, too. */
#include <string.h>

#include "ops/common.h"

/* ---- Strided copies ---------------------------------------------------------------------------- */

/* Strides of a dense tensor, in elements. */
static void dense_strides(const nac_shape *shape, int strides[NAC_MAX_RANK]) {
    int stride = 1;
    for (int i = shape->rank - 1; i >= 0; --i) {
        strides[i] = stride;
        stride *= shape->dims[i];
    }
}

/* `count` elements of 4 or 8 bytes, `*_stride` elements apart. */
static void copy_row(unsigned char *to, ptrdiff_t to_stride, const unsigned char *from, ptrdiff_t from_stride, int count, size_t size) {
    if (to_stride == 1 && from_stride == 1) {
        memcpy(to, from, (size_t)count * size);
    } else if (size == sizeof(float)) {
        void *aligned_to = to; /* the elements are floats */
        const void *aligned_from = from;
        float *t = aligned_to;
        const float *f = aligned_from;
        for (ptrdiff_t i = 0; i < count; ++i) t[i * to_stride] = f[i * from_stride];
    } else {
        for (ptrdiff_t i = 0; i < count; ++i) memcpy(to + i * to_stride * (ptrdiff_t)size, from + i * from_stride * (ptrdiff_t)size, size);
    }
}

/* to[to_start + sum index * to_strides] = from[from_start + sum index * from_strides], over all indices below sizes. */
static void copy_view(void *to, int to_start, const int *to_strides, const void *from, int from_start, const int *from_strides,
                      const nac_shape *sizes, size_t size) {
    const int outer = sizes->rank > 0 ? sizes->rank - 1 : 0, last = sizes->rank > 0 ? sizes->dims[outer] : 1;
    /* NOLINTNEXTLINE(clang-analyzer-core.*): callers fill as many strides as there are sizes */
    const ptrdiff_t to_last = sizes->rank > 0 ? to_strides[outer] : 1, from_last = sizes->rank > 0 ? from_strides[outer] : 1;
    nac_walk walk = nac_walk_make(outer, sizes->dims);
    memcpy(walk.strides[0], to_strides, (size_t)outer * sizeof *to_strides);
    memcpy(walk.strides[1], from_strides, (size_t)outer * sizeof *from_strides);
    unsigned char *t = to;
    const unsigned char *f = from;
    do copy_row(t + (size_t)(to_start + walk.offset[0]) * size, to_last, f + (size_t)(from_start + walk.offset[1]) * size, from_last, last, size);
    while (nac_walk_next(&walk));
}

/* The node's only input in a view that starts at starts[] and takes every steps[]-th element. */
static int view(const nac_shape *shape, const int *starts, const int *steps, int strides[NAC_MAX_RANK]) {
    int start = 0;
    dense_strides(shape, strides);
    for (int i = 0; i < shape->rank; ++i) {
        start += starts[i] * strides[i];
        strides[i] *= steps[i];
    }
    return start;
}

/* ---- Plain loops ------------------------------------------------------------------------------- */

void nac_run_RESHAPE(const nac_graph *graph, const nac_node *node) {
    const nac_value *x = &graph->values[node->inputs[0]], *y = &graph->values[node->output];
    /* Planned, the two share memory; a constant that is folded has its own. */
    if (x->data != y->data) memcpy(y->data, x->data, nac_elements(&y->shape) * nac_type_size(y->type));
}

void nac_run_TRANSPOSE(const nac_graph *graph, const nac_node *node) {
    const nac_value *x = &graph->values[node->inputs[0]], *y = &graph->values[node->output];
    int strides[NAC_MAX_RANK], from[NAC_MAX_RANK], to[NAC_MAX_RANK];
    dense_strides(&x->shape, strides);
    dense_strides(&y->shape, to);
    for (int i = 0; i < y->shape.rank; ++i) from[i] = strides[node->u.transpose.perm[i]];
    copy_view(y->data, 0, to, x->data, 0, from, &y->shape, nac_type_size(y->type));
}

void nac_run_CONCAT(const nac_graph *graph, const nac_node *node) {
    const nac_value *y = &graph->values[node->output];
    const int axis = node->u.concat.axis;
    int to[NAC_MAX_RANK], from[NAC_MAX_RANK], start = 0;
    dense_strides(&y->shape, to);
    for (int i = 0; i < node->input_count; ++i) {
        const nac_value *x = &graph->values[node->inputs[i]];
        dense_strides(&x->shape, from);
        copy_view(y->data, start, to, x->data, 0, from, &x->shape, nac_type_size(y->type));
        start += x->shape.dims[axis] * to[axis];
    }
}

void nac_run_SLICE(const nac_graph *graph, const nac_node *node) {
    const nac_value *x = &graph->values[node->inputs[0]], *y = &graph->values[node->output];
    int to[NAC_MAX_RANK], from[NAC_MAX_RANK];
    dense_strides(&y->shape, to);
    const int start = view(&x->shape, node->u.slice.starts, node->u.slice.steps, from);
    copy_view(y->data, 0, to, x->data, start, from, &y->shape, nac_type_size(y->type));
}

void nac_run_PAD(const nac_graph *graph, const nac_node *node) {
    const nac_value *x = &graph->values[node->inputs[0]], *y = &graph->values[node->output];
    int to[NAC_MAX_RANK], from[NAC_MAX_RANK];
    float *numbers = y->data;
    const size_t count = nac_elements(&y->shape);
    for (size_t i = 0; i < count; ++i) numbers[i] = node->u.pad.value;
    dense_strides(&x->shape, from);
    const int start = view(&y->shape, node->u.pad.before, node->u.pad.steps, to);
    copy_view(numbers, start, to, x->data, 0, from, &x->shape, sizeof(float));
}

/* ---- Gradients --------------------------------------------------------------------------------- */

/* Emits `node` from dy to a tensor like input `slot` of the forward node. */
static nac_status emit_like(nac_graph *graph, nac_node node, int like, int dy, int *dx, nac_error *error) {
    const nac_value x = graph->values[like];
    return nac_graph_emit(graph, node, &dy, 1, NULL, &x.shape, x.layout, dx, error);
}

NAC_GRADIENT(RESHAPE) {
    (void)slot;
    const nac_node forward = graph->nodes[node];
    return emit_like(graph, nac_node_make(NAC_OP_RESHAPE, forward.name), forward.inputs[0], dy, dx, error);
}

NAC_GRADIENT(TRANSPOSE) {
    (void)slot;
    const nac_node forward = graph->nodes[node];
    nac_node back = nac_node_make(NAC_OP_TRANSPOSE, forward.name);
    for (int i = 0; i < graph->values[dy].shape.rank; ++i) back.u.transpose.perm[forward.u.transpose.perm[i]] = i;
    return emit_like(graph, back, forward.inputs[0], dy, dx, error);
}

NAC_GRADIENT(CONCAT) {
    const nac_node forward = graph->nodes[node];
    const int axis = forward.u.concat.axis;
    nac_node back = nac_node_make(NAC_OP_SLICE, forward.name);
    for (int i = 0; i < NAC_MAX_RANK; ++i) back.u.slice.steps[i] = 1;
    for (int i = 0; i < slot; ++i) back.u.slice.starts[axis] += graph->values[forward.inputs[i]].shape.dims[axis];
    return emit_like(graph, back, forward.inputs[slot], dy, dx, error);
}

NAC_GRADIENT(SLICE) {
    (void)slot;
    const nac_node forward = graph->nodes[node];
    nac_node back = nac_node_make(NAC_OP_PAD, forward.name);
    memcpy(back.u.pad.before, forward.u.slice.starts, sizeof back.u.pad.before);
    memcpy(back.u.pad.steps, forward.u.slice.steps, sizeof back.u.pad.steps);
    return emit_like(graph, back, forward.inputs[0], dy, dx, error);
}

NAC_GRADIENT(PAD) {
    (void)slot;
    const nac_node forward = graph->nodes[node];
    nac_node back = nac_node_make(NAC_OP_SLICE, forward.name);
    memcpy(back.u.slice.starts, forward.u.pad.before, sizeof back.u.slice.starts);
    memcpy(back.u.slice.steps, forward.u.pad.steps, sizeof back.u.slice.steps);
    return emit_like(graph, back, forward.inputs[0], dy, dx, error);
}
