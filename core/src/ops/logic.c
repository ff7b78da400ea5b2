/* logic.c - comparisons, choices and numbers put in place: what exporters compute masks and sizes with. All of it is known before the
 * first run, but for what Where chooses from. */
#include <math.h>
#include <string.h>

#include "ops/common.h"

enum { MAX_OPERANDS = 3 };

/* Counts through the common shape of up to three constants. */
static nac_status broadcast(nac_lowering *lowering, const int *values, int count, nac_shape *shape, nac_walk *walk) {
    *shape = (nac_shape){.rank = 0};
    for (int i = 0; i < count; ++i) {
        const int rank = lowering->graph->values[values[i]].shape.rank;
        if (rank > shape->rank) shape->rank = rank;
    }
    for (int d = 0; d < shape->rank; ++d) shape->dims[d] = 1;
    for (int i = 0; i < count; ++i) {
        const nac_shape own = nac_shape_aligned(&lowering->graph->values[values[i]].shape, shape->rank);
        for (int d = 0; d < shape->rank; ++d) {
            if (own.dims[d] == 1) continue;
            if (shape->dims[d] != 1 && shape->dims[d] != own.dims[d])
                return nac_lower_fail(lowering, NAC_MALFORMED, "sizes %d and %d do not broadcast", shape->dims[d], own.dims[d]);
            shape->dims[d] = own.dims[d];
        }
    }
    *walk = nac_walk_make(shape->rank, shape->dims);
    for (int i = 0; i < count; ++i) {
        const nac_shape own = nac_shape_aligned(&lowering->graph->values[values[i]].shape, shape->rank);
        nac_walk_strides(walk, i, &own);
    }
    return NAC_OK;
}

static nac_status add(nac_lowering *lowering, nac_type type, const nac_shape *shape, int *value) {
    return nac_graph_add_constant(lowering->graph, NULL, type, shape, NAC_ROW_MAJOR, value, lowering->error);
}

/* ---- Comparisons and logic --------------------------------------------------------------------- */

/* y = f(a, b) over constants, as 0 or 1. */
static nac_status lower_predicate(nac_lowering *lowering, bool (*holds)(double a, double b)) {
    int inputs[2], value;
    nac_shape shape;
    nac_walk walk;
    for (int i = 0; i < 2; ++i) NAC_TRY(nac_lower_constant(lowering, i, &inputs[i]));
    NAC_TRY(broadcast(lowering, inputs, 2, &shape, &walk));
    NAC_TRY(add(lowering, NAC_I64, &shape, &value));
    const nac_value *a = &lowering->graph->values[inputs[0]], *b = &lowering->graph->values[inputs[1]];
    int64_t *y = lowering->graph->values[value].data;
    do *y++ = holds(nac_number_at(a, walk.offset[0]), nac_number_at(b, walk.offset[1]));
    while (nac_walk_next(&walk));
    return nac_lower_bind(lowering, 0, value);
}

static bool is_equal(double a, double b) { return a == b; }
static bool is_greater(double a, double b) { return a > b; }
static bool is_less(double a, double b) { return a < b; }
static bool is_not_less(double a, double b) { return a >= b; }
static bool is_not_greater(double a, double b) { return a <= b; }
static bool are_both(double a, double b) { return a != 0 && b != 0; }
static bool is_either(double a, double b) { return a != 0 || b != 0; }

nac_status nac_lower_And(nac_lowering *lowering) { return lower_predicate(lowering, are_both); }
nac_status nac_lower_Equal(nac_lowering *lowering) { return lower_predicate(lowering, is_equal); }
nac_status nac_lower_Greater(nac_lowering *lowering) { return lower_predicate(lowering, is_greater); }
nac_status nac_lower_GreaterOrEqual(nac_lowering *lowering) { return lower_predicate(lowering, is_not_less); }
nac_status nac_lower_Less(nac_lowering *lowering) { return lower_predicate(lowering, is_less); }
nac_status nac_lower_LessOrEqual(nac_lowering *lowering) { return lower_predicate(lowering, is_not_greater); }
nac_status nac_lower_Or(nac_lowering *lowering) { return lower_predicate(lowering, is_either); }

nac_status nac_lower_Not(nac_lowering *lowering) {
    int x, y;
    NAC_TRY(nac_lower_constant(lowering, 0, &x));
    const nac_shape shape = lowering->graph->values[x].shape;
    NAC_TRY(add(lowering, NAC_I64, &shape, &y));
    int64_t *numbers = lowering->graph->values[y].data;
    for (int i = 0, count = (int)nac_elements(&shape); i < count; ++i) numbers[i] = nac_number_at(&lowering->graph->values[x], i) == 0;
    return nac_lower_bind(lowering, 0, y);
}

/* Integers: the remainder has the divisor's sign, or with fmod the dividend's. */
nac_status nac_lower_Mod(nac_lowering *lowering) {
    int inputs[2], value;
    int64_t fmod_rule;
    nac_shape shape;
    nac_walk walk;
    NAC_TRY(nac_attribute_int(lowering, "fmod", 0, &fmod_rule));
    for (int i = 0; i < 2; ++i) {
        NAC_TRY(nac_lower_constant(lowering, i, &inputs[i]));
        if (lowering->graph->values[inputs[i]].type != NAC_I64)
            return nac_lower_fail(lowering, NAC_UNSUPPORTED, "input %d is float32; only integers are supported", i);
    }
    NAC_TRY(broadcast(lowering, inputs, 2, &shape, &walk));
    NAC_TRY(add(lowering, NAC_I64, &shape, &value));
    const int64_t *a = lowering->graph->values[inputs[0]].data, *b = lowering->graph->values[inputs[1]].data;
    int64_t *y = lowering->graph->values[value].data;
    do {
        const int64_t u = a[walk.offset[0]], v = b[walk.offset[1]];
        if (v == 0) return nac_lower_fail(lowering, NAC_MALFORMED, "integer %lld has no remainder by 0", (long long)u);
        const int64_t rest = v == -1 ? 0 : u % v; /* INT64_MIN % -1 overflows */
        *y++ = !fmod_rule && rest != 0 && (rest < 0) != (v < 0) ? rest + v : rest;
    } while (nac_walk_next(&walk));
    return nac_lower_bind(lowering, 0, value);
}

/* ---- Choices ----------------------------------------------------------------------------------- */

static nac_status choose_constants(nac_lowering *lowering, const int *inputs) {
    int value;
    nac_shape shape;
    nac_walk walk;
    const nac_type type = lowering->graph->values[inputs[1]].type;
    NAC_TRY(broadcast(lowering, inputs, MAX_OPERANDS, &shape, &walk));
    NAC_TRY(add(lowering, type, &shape, &value));
    const int64_t *condition = lowering->graph->values[inputs[0]].data;
    const unsigned char *x = lowering->graph->values[inputs[1]].data, *z = lowering->graph->values[inputs[2]].data;
    unsigned char *y = lowering->graph->values[value].data;
    const size_t size = nac_type_size(type);
    do {
        const bool first = condition[walk.offset[0]] != 0;
        memcpy(y, first ? x + (size_t)walk.offset[1] * size : z + (size_t)walk.offset[2] * size, size);
        y += size;
    } while (nac_walk_next(&walk));
    return nac_lower_bind(lowering, 0, value);
}

/* One side of a choice that is made while the network runs: the numbers where the condition is `wanted`, 0 elsewhere. A constant is
 * never multiplied: attention masks are -infinity, and 0 times that is NaN. */
static nac_status choose_side(nac_lowering *lowering, int condition, bool wanted, int side, int *result) {
    nac_graph *graph = lowering->graph;
    const bool constant = graph->values[side].constant;
    const int operands[2] = {condition, side};
    nac_shape shape = graph->values[condition].shape;
    nac_walk walk;
    int mask;
    if (constant) NAC_TRY(nac_as_row_major(lowering, side, &side));
    NAC_TRY(broadcast(lowering, operands, constant ? 2 : 1, &shape, &walk));
    NAC_TRY(add(lowering, NAC_F32, &shape, &mask));
    const int64_t *choice = graph->values[condition].data;
    const float *numbers = graph->values[side].data;
    float *y = graph->values[mask].data;
    do *y++ = (choice[walk.offset[0]] != 0) != wanted ? 0.0f : constant ? numbers[walk.offset[1]] : 1.0f;
    while (nac_walk_next(&walk));
    if (!constant) return nac_lower_combine(lowering, NAC_BINARY_MUL, side, mask, result);
    *result = mask;
    return NAC_OK;
}

nac_status nac_lower_Where(nac_lowering *lowering) {
    int inputs[MAX_OPERANDS], sides[2], y;
    NAC_TRY(nac_lower_constant(lowering, 0, &inputs[0]));
    for (int i = 1; i < MAX_OPERANDS; ++i) NAC_TRY(nac_lower_input(lowering, i, &inputs[i]));
    const nac_value *values = lowering->graph->values;
    const nac_type type = values[inputs[1]].type;
    if (values[inputs[0]].type != NAC_I64 || values[inputs[2]].type != type)
        return nac_lower_fail(lowering, NAC_MALFORMED, "the types of its inputs do not go together");
    if (values[inputs[1]].constant && values[inputs[2]].constant) {
        for (int i = 1; i < MAX_OPERANDS; ++i) NAC_TRY(nac_lower_constant(lowering, i, &inputs[i]));
        return choose_constants(lowering, inputs);
    }
    for (int i = 0; i < 2; ++i) NAC_TRY(choose_side(lowering, inputs[0], i == 0, inputs[1 + i], &sides[i]));
    NAC_TRY(nac_lower_combine(lowering, NAC_BINARY_ADD, sides[0], sides[1], &y));
    return nac_lower_bind(lowering, 0, y);
}

/* A branch's nodes were lowered where the condition is theirs (lower_model.c), and the results are inputs. */
nac_status nac_lower_If(nac_lowering *lowering) {
    const nac_onnx_node *node = lowering->node;
    int condition, y;
    float holds;
    NAC_TRY(nac_lower_constant(lowering, 0, &condition));
    NAC_TRY(nac_lower_scalar(lowering, condition, "the condition", &holds));
    for (int i = 0; i < node->output_count; ++i) {
        const int result = 1 + i + (holds != 0 ? 0 : node->output_count);
        if (nac_lower_is_empty(lowering, result)) {
            nac_lower_bind_empty(lowering, i);
            continue;
        }
        NAC_TRY(nac_lower_input(lowering, result, &y));
        NAC_TRY(nac_lower_bind(lowering, i, y));
    }
    return NAC_OK;
}

/* ---- Numbers in place -------------------------------------------------------------------------- */

/* The element that a row of indices names, checked. */
static nac_status scatter_offset(nac_lowering *lowering, const int64_t *index, int depth, const nac_shape *shape, size_t *offset) {
    *offset = 0;
    for (int d = 0; d < depth; ++d) {
        const int64_t size = shape->dims[d];
        if (index[d] < -size || index[d] >= size)
            return nac_lower_fail(lowering, NAC_MALFORMED, "index %lld is outside of size %lld", (long long)index[d], (long long)size);
        *offset = *offset * (size_t)size + (size_t)(index[d] < 0 ? index[d] + size : index[d]);
    }
    for (int d = depth; d < shape->rank; ++d) *offset *= (size_t)shape->dims[d];
    return NAC_OK;
}

/* data, indices [..., depth], updates [..., data.shape[depth:]]: how PyTorch exports an assignment to a part of a tensor. */
nac_status nac_lower_ScatterND(nac_lowering *lowering) {
    int inputs[MAX_OPERANDS], value;
    const char *reduction;
    size_t length;
    NAC_TRY(nac_attribute_string(lowering, "reduction", &reduction, &length));
    if (length > 0 && strcmp(reduction, "none") != 0)
        return nac_lower_fail(lowering, NAC_UNSUPPORTED, "reduction '%.20s'; only none is supported", reduction);
    for (int i = 0; i < MAX_OPERANDS; ++i) NAC_TRY(nac_lower_constant(lowering, i, &inputs[i]));
    const nac_value data = lowering->graph->values[inputs[0]], indices = lowering->graph->values[inputs[1]];
    const nac_value updates = lowering->graph->values[inputs[2]];
    const int depth = indices.shape.rank > 0 ? indices.shape.dims[indices.shape.rank - 1] : 0;
    if (indices.type != NAC_I64 || updates.type != data.type || depth < 1 || depth > data.shape.rank)
        return nac_lower_fail(lowering, NAC_MALFORMED, "%d indices for a tensor of rank %d, or types that do not go together", depth, data.shape.rank);
    const size_t rows = nac_elements(&indices.shape) / (size_t)depth;
    size_t run = 1;
    for (int d = depth; d < data.shape.rank; ++d) run *= (size_t)data.shape.dims[d];
    if (nac_elements(&updates.shape) != rows * run)
        return nac_lower_fail(lowering, NAC_MALFORMED, "%zu updates for %zu places", nac_elements(&updates.shape), rows * run);
    NAC_TRY(add(lowering, data.type, &data.shape, &value));
    const size_t size = nac_type_size(data.type);
    unsigned char *y = lowering->graph->values[value].data;
    memcpy(y, data.data, nac_elements(&data.shape) * size);
    for (size_t r = 0; r < rows; ++r) {
        size_t offset;
        NAC_TRY(scatter_offset(lowering, (const int64_t *)indices.data + r * (size_t)depth, depth, &data.shape, &offset));
        memcpy(y + offset * size, (const unsigned char *)updates.data + r * run * size, run * size);
    }
    return nac_lower_bind(lowering, 0, value);
}
