/* loops_copy.c - operators that only move: RESHAPE, CONCAT, SLICE, PAD, in the longest runs that memory allows. */
#include <string.h>

#include "backend/loops.h"

/* Shares its input's memory; a constant input or an output that must live elsewhere is copied. */
static void reshape(const nac_graph *graph, const nac_node *node) {
    const nac_value *x = &graph->values[node->inputs[0]], *y = &graph->values[node->output];
    if (x->data != y->data) memcpy(y->data, x->data, nac_elements(&y->shape) * nac_type_size(y->type));
}

static size_t product(const nac_shape *shape, int from, int to) {
    size_t result = 1;
    for (int i = from; i < to; ++i) result *= (size_t)shape->dims[i];
    return result;
}

static void concat(const nac_graph *graph, const nac_node *node) {
    const nac_value *y = &graph->values[node->output];
    int axis = node->u.concat.axis;
    size_t outer = product(&y->shape, 0, axis), row = product(&y->shape, axis, y->shape.rank), done = 0;
    for (int i = 0; i < node->input_count; ++i) {
        const nac_value *x = &graph->values[node->inputs[i]];
        size_t run = product(&x->shape, axis, x->shape.rank);
        for (size_t o = 0; o < outer; ++o) memcpy((float *)y->data + o * row + done, (const float *)x->data + o * run, run * sizeof(float));
        done += run;
    }
}

/* Copies a box of `dims` runs of `run` floats; strides in floats. */
typedef struct box {
    int rank;
    int dims[NAC_MAX_RANK];
    size_t from_stride[NAC_MAX_RANK], to_stride[NAC_MAX_RANK];
    size_t run;
} box;

/* NOLINTNEXTLINE(misc-no-recursion): no deeper than NAC_MAX_RANK */
static void copy_box(const box *b, int axis, const float *from, float *to) {
    if (axis >= b->rank) {
        memcpy(to, from, b->run * sizeof *to);
        return;
    }
    if (axis == b->rank - 1 && b->run == 1) {
        for (int i = 0; i < b->dims[axis]; ++i) to[(size_t)i * b->to_stride[axis]] = from[(size_t)i * b->from_stride[axis]];
        return;
    }
    for (int i = 0; i < b->dims[axis]; ++i) copy_box(b, axis + 1, from + (size_t)i * b->from_stride[axis], to + (size_t)i * b->to_stride[axis]);
}

/* `small` is what is sliced out of (or padded to) `large`: small[k] is large[start + k * step]. Returns the offset into large. */
static size_t describe(const nac_shape *small, const nac_shape *large, const int *starts, const int *steps, size_t *small_stride,
                       size_t *large_stride, box *b) {
    size_t in = 1, out = 1, offset = 0;
    b->rank = small->rank;
    for (int i = small->rank - 1; i >= 0; --i) {
        b->dims[i] = small->dims[i];
        small_stride[i] = in;
        large_stride[i] = out * (size_t)steps[i];
        offset += out * (size_t)starts[i];
        in *= (size_t)small->dims[i];
        out *= (size_t)large->dims[i];
    }
    /* Innermost axes that are whole in both are one run with the axis in front of them, if that one isn't strided. */
    b->run = 1;
    while (b->rank > 0 && large_stride[b->rank - 1] == b->run && small_stride[b->rank - 1] == b->run) {
        int axis = --b->rank;
        b->run *= (size_t)small->dims[axis];
        if (small->dims[axis] != large->dims[axis]) break;
    }
    return offset;
}

static void slice(const nac_graph *graph, const nac_node *node) {
    const nac_value *x = &graph->values[node->inputs[0]], *y = &graph->values[node->output];
    box b;
    size_t offset = describe(&y->shape, &x->shape, node->u.slice.starts, node->u.slice.steps, b.to_stride, b.from_stride, &b);
    copy_box(&b, 0, (const float *)x->data + offset, y->data);
}

static void pad(const nac_graph *graph, const nac_node *node) {
    const nac_value *x = &graph->values[node->inputs[0]], *y = &graph->values[node->output];
    size_t count = nac_elements(&y->shape);
    float *to = y->data;
    if (node->u.pad.value == 0)
        memset(to, 0, count * sizeof *to);
    else
        for (size_t i = 0; i < count; ++i) to[i] = node->u.pad.value;
    box b;
    size_t offset = describe(&x->shape, &y->shape, node->u.pad.before, node->u.pad.steps, b.from_stride, b.to_stride, &b);
    copy_box(&b, 0, x->data, to + offset);
}

const nac_loop *nac_loop_find_copy(const nac_graph *graph, const nac_node *node) {
    static const nac_loop shared = {"shared memory", reshape, false}, joined = {"loop over copies", concat, false};
    static const nac_loop sliced = {"loop over copies", slice, false}, padded = {"loop over copies", pad, false};
    (void)graph;
    switch (node->op) {
    case NAC_OP_RESHAPE: return &shared;
    case NAC_OP_CONCAT: return &joined;
    case NAC_OP_SLICE: return &sliced;
    case NAC_OP_PAD: return &padded;
    default: return NULL;
    }
}
