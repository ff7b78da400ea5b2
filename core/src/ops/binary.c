/* binary.c - functions of two numbers, broadcast: Add, Sub, Mul, Div, Max, Min, Sum, and the comparisons that logic.c makes. */
#include "ops/common.h"

/* a and b of the output's rank, each dim the output's or 1 -> y. One row of the last dim at a time. */
void nac_run_BINARY(const nac_graph *graph, const nac_node *node) {
    const nac_shape *as = &graph->values[node->inputs[0]].shape, *bs = &graph->values[node->inputs[1]].shape;
    const nac_shape *ys = &graph->values[node->output].shape;
    const float *a = nac_data(graph, node->inputs[0]), *b = nac_data(graph, node->inputs[1]);
    float *y = nac_data(graph, node->output);
    const float min = node->min, max = node->max;
    const bool flat = nac_shape_equal(as, bs); /* then everything is one row */
    const int outer = flat ? 0 : ys->rank - 1, last = flat ? (int)nac_elements(ys) : ys->dims[outer];
    const int a_step = flat || as->dims[outer] != 1, b_step = flat || bs->dims[outer] != 1;
    nac_walk walk = nac_walk_make(outer, ys->dims);
    nac_walk_strides(&walk, 0, as);
    nac_walk_strides(&walk, 1, bs);
    do {
        const float *p = a + walk.offset[0], *q = b + walk.offset[1];
#define LOOP(formula)                                                  \
    for (int i = 0; i < last; ++i) {                                   \
        const float u = p[i * a_step], v = q[i * b_step];              \
        y[i] = nac_clamp((formula), min, max);                         \
    }                                                                  \
    break
        switch (node->u.binary.kind) {
        case NAC_BINARY_ADD: LOOP(u + v);
        case NAC_BINARY_SUB: LOOP(u - v);
        case NAC_BINARY_MUL: LOOP(u * v);
        case NAC_BINARY_DIV: LOOP(u / v);
        case NAC_BINARY_MAX: LOOP(u > v || u != u ? u : v);
        case NAC_BINARY_MIN: LOOP(u < v || u != u ? u : v);
        case NAC_BINARY_GREATER: LOOP(u > v ? 1.0f : 0.0f);
        case NAC_BINARY_NOT_LESS: LOOP(u >= v ? 1.0f : 0.0f);
        case NAC_BINARY_EQUAL: LOOP(u == v ? 1.0f : 0.0f);
        case NAC_BINARY_COUNT: break;
        }
#undef LOOP
        y += last;
    } while (nac_walk_next(&walk));
}

/* A node of the gradient in the shape of the forward output. */
static nac_status emit(nac_graph *graph, const nac_node *forward, nac_node node, int a, int b, int *result, nac_error *error) {
    const nac_shape shape = graph->values[forward->output].shape;
    return nac_graph_emit(graph, node, (const int[]){a, b}, 2, NULL, &shape, graph->values[forward->output].layout, result, error);
}

static nac_node make(const nac_node *forward, nac_binary kind) {
    nac_node node = nac_node_make(NAC_OP_BINARY, forward->name);
    node.u.binary.kind = kind;
    return node;
}

/* In the broadcast shape first, then summed down to the operand's. */
NAC_GRADIENT(BINARY) {
    const nac_node forward = graph->nodes[node];
    const int mine = forward.inputs[slot], other = forward.inputs[1 - slot];
    int full = dy;
    float scale = 1;
    switch (forward.u.binary.kind) {
    case NAC_BINARY_ADD: break;
    case NAC_BINARY_SUB: scale = slot == 0 ? 1.0f : -1.0f; break;
    case NAC_BINARY_MUL: NAC_TRY(emit(graph, &forward, make(&forward, NAC_BINARY_MUL), dy, other, &full, error)); break;
    case NAC_BINARY_DIV: /* a / b: dy / b, and -dy * (a / b) / b */
        if (slot == 1) {
            NAC_TRY(emit(graph, &forward, make(&forward, NAC_BINARY_MUL), dy, forward.output, &full, error));
            scale = -1;
        }
        NAC_TRY(emit(graph, &forward, make(&forward, NAC_BINARY_DIV), full, forward.inputs[1], &full, error));
        break;
    case NAC_BINARY_MAX:
    case NAC_BINARY_MIN: {
        /* dy * (1 + sign(mine - other)) / 2 for a maximum: all for the larger, half for each of two equals, as in PyTorch. The
         * gradient of ABS is the sign. */
        const bool max = forward.u.binary.kind == NAC_BINARY_MAX;
        nac_node sign = nac_node_make(NAC_OP_UNARY_GRAD, forward.name);
        sign.u.unary.kind = NAC_UNARY_ABS;
        int difference;
        NAC_TRY(emit(graph, &forward, make(&forward, NAC_BINARY_SUB), max ? mine : other, max ? other : mine, &difference, error));
        NAC_TRY(emit(graph, &forward, sign, difference, dy, &difference, error));
        NAC_TRY(emit(graph, &forward, make(&forward, NAC_BINARY_ADD), dy, difference, &full, error));
        scale = 0.5f;
        break;
    }
    default: /* a comparison: a step, flat on both sides */
        *dx = NAC_NONE;
        return NAC_OK;
    }
    return nac_emit_reduced_like(graph, forward.name, full, mine, scale, dx, error);
}

/* ---- ONNX -------------------------------------------------------------------------------------- */

/* Integers are shape arithmetic, between constants only. False where the result is none. */
static bool integer_result(nac_binary kind, int64_t a, int64_t b, int64_t *result) {
    switch (kind) {
    case NAC_BINARY_ADD: return !__builtin_add_overflow(a, b, result);
    case NAC_BINARY_SUB: return !__builtin_sub_overflow(a, b, result);
    case NAC_BINARY_MUL: return !__builtin_mul_overflow(a, b, result);
    case NAC_BINARY_DIV:
        if (b == 0 || (a == INT64_MIN && b == -1)) return false;
        *result = a / b; /* towards zero, as ONNX says */
        return true;
    case NAC_BINARY_MAX: *result = a > b ? a : b; return true;
    case NAC_BINARY_MIN: *result = a < b ? a : b; return true;
    default: return false; /* comparisons of constants are logic.c's */
    }
}

static nac_status combine_integers(nac_lowering *lowering, nac_binary kind, int a, int b, int *result) {
    nac_graph *graph = lowering->graph;
    nac_shape shape;
    NAC_TRY(nac_lower_broadcast(lowering, (const int[]){a, b}, 2, &shape));
    int folded;
    NAC_TRY(nac_graph_add_constant(graph, NULL, NAC_I64, &shape, NAC_ROW_MAJOR, &folded, lowering->error));
    const nac_shape as = nac_shape_aligned(&graph->values[a].shape, shape.rank), bs = nac_shape_aligned(&graph->values[b].shape, shape.rank);
    const int64_t *left = graph->values[a].data, *right = graph->values[b].data;
    int64_t *out = graph->values[folded].data;
    nac_walk walk = nac_walk_make(shape.rank, shape.dims);
    nac_walk_strides(&walk, 0, &as);
    nac_walk_strides(&walk, 1, &bs);
    do {
        const int64_t u = left[walk.offset[0]], v = right[walk.offset[1]];
        if (!integer_result(kind, u, v, out++))
            return nac_lower_fail(lowering, NAC_MALFORMED, "integers %lld and %lld have no result", (long long)u, (long long)v);
    } while (nac_walk_next(&walk));
    *result = folded;
    return NAC_OK;
}

/* Where constant `c` holds one number, or one for every channel (last physical dim) of `x`, and does not widen x: how many
 * numbers that is. 0 otherwise. */
static int channel_constants(const nac_graph *graph, int x, int c, const nac_shape *broadcast_shape) {
    const nac_value *value = &graph->values[x], *constant = &graph->values[c];
    const nac_shape xs = nac_logical_shape(value);
    if (value->constant || !constant->constant || xs.rank == 0 || !nac_shape_equal(&xs, broadcast_shape)) return 0;
    const int channel = value->layout == NAC_CHANNELS_LAST ? 1 : xs.rank - 1;
    const nac_shape logical = nac_logical_shape(constant);
    const nac_shape cs = nac_shape_aligned(&logical, xs.rank);
    for (int i = 0; i < xs.rank; ++i)
        if (i != channel && cs.dims[i] != 1) return 0;
    return cs.dims[channel];
}

/* x (kind) c, or c (kind) x when `reversed`, as x * scale + bias: fusion can then fold it into a convolution or product. */
static nac_status combine_as_affine(nac_lowering *lowering, nac_binary kind, int x, int c, int count, bool reversed, int *result) {
    const nac_shape shape = lowering->graph->values[x].shape;
    const int C = shape.dims[shape.rank - 1];
    int scale, bias;
    float *scales, *biases;
    NAC_TRY(nac_lower_add_vector(lowering, C, &scale, &scales));
    NAC_TRY(nac_lower_add_vector(lowering, C, &bias, &biases));
    const float *numbers = nac_data(lowering->graph, c);
    for (int i = 0; i < C; ++i) {
        const float number = numbers[count == 1 ? 0 : i];
        scales[i] = kind == NAC_BINARY_MUL ? number : kind == NAC_BINARY_DIV ? 1 / number : kind == NAC_BINARY_SUB && reversed ? -1.0f : 1.0f;
        biases[i] = kind == NAC_BINARY_ADD ? number : kind != NAC_BINARY_SUB ? 0.0f : reversed ? number : -number;
    }
    return nac_lower_affine(lowering, x, scale, bias, result);
}

nac_status nac_lower_combine(nac_lowering *lowering, nac_binary kind, int a, int b, int *result) {
    const nac_graph *graph = lowering->graph;
    if (graph->values[a].type != graph->values[b].type)
        return nac_lower_fail(lowering, NAC_MALFORMED, "one operand holds integers, the other float32");
    if (graph->values[a].type == NAC_I64) return combine_integers(lowering, kind, a, b, result);
    nac_shape shape;
    NAC_TRY(nac_lower_broadcast(lowering, (const int[]){a, b}, 2, &shape));

    for (int reversed = 0; reversed < 2 && kind <= NAC_BINARY_MIN; ++reversed) {
        const int x = reversed ? b : a, c = reversed ? a : b;
        const int count = channel_constants(graph, x, c, &shape);
        if (count == 0) continue;
        const float number = *nac_data(graph, c);
        if (kind == NAC_BINARY_MAX || kind == NAC_BINARY_MIN) { /* a relu in disguise */
            if (count != 1 || number != number) continue;
            const bool max = kind == NAC_BINARY_MAX;
            return nac_lower_unary(lowering, NAC_UNARY_CLAMP, max ? number : -INFINITY, max ? INFINITY : number, x, result);
        }
        /* One number for tokens of one number (a layer norm's epsilon) is better added as such. */
        const bool narrow = graph->values[x].shape.dims[graph->values[x].shape.rank - 1] == 1;
        if (narrow || (kind == NAC_BINARY_DIV && reversed)) continue;
        return combine_as_affine(lowering, kind, x, c, count, reversed != 0, result);
    }

    int inputs[2] = {a, b};
    nac_layout layout;
    NAC_TRY(nac_lower_align(lowering, inputs, 2, &shape, &layout));
    nac_node node = nac_node_make(NAC_OP_BINARY, lowering->node->name);
    node.u.binary.kind = kind;
    return nac_lower_emit(lowering, node, inputs, 2, &shape, layout, result);
}

static nac_status lower_two(nac_lowering *lowering, nac_binary kind) {
    int a, b, y;
    NAC_TRY(nac_lower_input(lowering, 0, &a));
    NAC_TRY(nac_lower_input(lowering, 1, &b));
    NAC_TRY(nac_lower_combine(lowering, kind, a, b, &y));
    return nac_lower_bind(lowering, 0, y);
}

/* Max, Min, Sum and Mean take any number of operands: from the left, two at a time. */
static nac_status combine_all(nac_lowering *lowering, nac_binary kind, int *result) {
    int next;
    NAC_TRY(nac_lower_input(lowering, 0, result));
    for (int i = 1; i < lowering->node->input_count; ++i) {
        NAC_TRY(nac_lower_input(lowering, i, &next));
        NAC_TRY(nac_lower_combine(lowering, kind, *result, next, result));
    }
    return NAC_OK;
}

static nac_status lower_many(nac_lowering *lowering, nac_binary kind) {
    int y;
    NAC_TRY(combine_all(lowering, kind, &y));
    return nac_lower_bind(lowering, 0, y);
}

nac_status nac_lower_Mean(nac_lowering *lowering) {
    int y;
    NAC_TRY(combine_all(lowering, NAC_BINARY_ADD, &y));
    if (lowering->graph->values[y].type != NAC_F32) return nac_lower_fail(lowering, NAC_MALFORMED, "its inputs hold integers");
    NAC_TRY(nac_lower_scaled(lowering, y, 1.0f / (float)lowering->node->input_count, &y));
    return nac_lower_bind(lowering, 0, y);
}

nac_status nac_lower_Add(nac_lowering *lowering) { return lower_two(lowering, NAC_BINARY_ADD); }
nac_status nac_lower_Sub(nac_lowering *lowering) { return lower_two(lowering, NAC_BINARY_SUB); }
nac_status nac_lower_Mul(nac_lowering *lowering) { return lower_two(lowering, NAC_BINARY_MUL); }
nac_status nac_lower_Div(nac_lowering *lowering) { return lower_two(lowering, NAC_BINARY_DIV); }
nac_status nac_lower_Max(nac_lowering *lowering) { return lower_many(lowering, NAC_BINARY_MAX); }
nac_status nac_lower_Min(nac_lowering *lowering) { return lower_many(lowering, NAC_BINARY_MIN); }
nac_status nac_lower_Sum(nac_lowering *lowering) { return lower_many(lowering, NAC_BINARY_ADD); }
