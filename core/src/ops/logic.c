/* logic.c - comparisons, choices and numbers masked: of constants at once, of what depends on the image while the network runs. Then truth is
 * float32, 1 or 0, and no gradient runs through it. */
#include <math.h>
#include <string.h>

#include "ops/common.h"

/* ---- Choices ----------------------------------------------------------------------------------- */

#define LOOP(type)                                                                                       \
    do {                                                                                                 \
        const type *p = (const type *)a->data + walk.offset[1], *q = (const type *)b->data + walk.offset[2]; \
        type *to = (type *)y->data + done;                                                               \
        for (int i = 0; i < last; ++i) {                                                                 \
            const type u = p[i * steps[1]], v = q[i * steps[2]];                                         \
            to[i] = chosen[i * steps[0]] != 0 ? u : v;                                                   \
        }                                                                                                \
    } while (0)

/* c, a, b of the output's rank, each dim the output's or 1 -> y; a and b of either type. One row of the last dim at a time. */
void nac_run_WHERE(const nac_graph *graph, const nac_node *node) {
    const nac_value *a = &graph->values[node->inputs[1]], *b = &graph->values[node->inputs[2]], *y = &graph->values[node->output];
    const int outer = y->shape.rank > 0 ? y->shape.rank - 1 : 0, last = y->shape.rank > 0 ? y->shape.dims[outer] : 1;
    int steps[3];
    size_t done = 0;
    nac_walk walk = nac_walk_make(outer, y->shape.dims);
    for (int i = 0; i < 3; ++i) {
        const nac_shape *shape = &graph->values[node->inputs[i]].shape;
        nac_walk_strides(&walk, i, shape);
        steps[i] = shape->rank > 0 && shape->dims[outer] != 1;
    }
    do {
        const float *chosen = nac_data(graph, node->inputs[0]) + walk.offset[0];
        if (y->type == NAC_F32) LOOP(float);
        else LOOP(int64_t);
        done += (size_t)last;
    } while (nac_walk_next(&walk));
}
#undef LOOP

/* dy where the operand was chosen, 0 elsewhere. */
NAC_GRADIENT(WHERE) {
    const nac_node forward = graph->nodes[node];
    const nac_value y = graph->values[forward.output];
    nac_shape one = y.shape;
    int zero, full;
    if (slot == 0) {
        *dx = NAC_NONE;
        return NAC_OK;
    }
    for (int i = 0; i < one.rank; ++i) one.dims[i] = 1;
    NAC_TRY(nac_graph_add_constant(graph, NULL, NAC_F32, &one, y.layout, &zero, error));
    const int inputs[3] = {forward.inputs[0], slot == 1 ? dy : zero, slot == 1 ? zero : dy};
    NAC_TRY(nac_graph_emit(graph, nac_node_make(NAC_OP_WHERE, forward.name), inputs, 3, NULL, &y.shape, y.layout, &full, error));
    return nac_emit_reduced_like(graph, forward.name, full, forward.inputs[slot], 1, dx, error);
}

/* ---- Truth ------------------------------------------------------------------------------------- */

/* Integers (booleans among them), which only constants are, as float32; float32 as it is. */
static nac_status as_floats(nac_lowering *lowering, int value, int *result) {
    const nac_value v = lowering->graph->values[value];
    *result = value;
    if (v.type == NAC_F32) return NAC_OK;
    NAC_TRY(nac_graph_add_constant(lowering->graph, NULL, NAC_F32, &v.shape, v.layout, result, lowering->error));
    float *numbers = nac_data(lowering->graph, *result);
    for (size_t i = 0, count = nac_elements(&v.shape); i < count; ++i) numbers[i] = (float)((const int64_t *)v.data)[i];
    return NAC_OK;
}

static nac_status negate(nac_lowering *lowering, int truth, int *result) {
    int one;
    NAC_TRY(nac_lower_number(lowering, 1, &one));
    return nac_lower_combine(lowering, NAC_BINARY_SUB, one, truth, result);
}

nac_status nac_lower_truth(nac_lowering *lowering, int x, int *result) {
    int zero;
    NAC_TRY(nac_lower_number(lowering, 0, &zero));
    NAC_TRY(nac_lower_combine(lowering, NAC_BINARY_EQUAL, x, zero, result));
    return negate(lowering, *result, result);
}

nac_status nac_lower_choose(nac_lowering *lowering, int condition, int a, int b, int *result) {
    int inputs[3] = {condition, a, b};
    nac_shape shape;
    nac_layout layout;
    NAC_TRY(as_floats(lowering, condition, &inputs[0]));
    NAC_TRY(nac_lower_broadcast(lowering, inputs, 3, &shape));
    NAC_TRY(nac_lower_align(lowering, inputs, 3, &shape, &layout));
    return nac_lower_emit(lowering, nac_node_make(NAC_OP_WHERE, NULL), inputs, 3, &shape, layout, result);
}

/* ---- Comparisons and logic --------------------------------------------------------------------- */

/* A function of two numbers to 0 or 1: of constants, and how it is composed while the network runs. */
typedef struct predicate {
    bool (*holds)(double a, double b);
    nac_binary kind;
    bool exchanged, negated;
} predicate;

static nac_status compare_constants(nac_lowering *lowering, const predicate *p, int inputs[2], int *result) {
    nac_shape shape;
    NAC_TRY(nac_lower_broadcast(lowering, inputs, 2, &shape));
    nac_walk walk = nac_walk_make(shape.rank, shape.dims);
    for (int i = 0; i < 2; ++i) {
        NAC_TRY(nac_as_row_major(lowering, inputs[i], &inputs[i]));
        const nac_shape own = nac_shape_aligned(&lowering->graph->values[inputs[i]].shape, shape.rank);
        nac_walk_strides(&walk, i, &own);
    }
    NAC_TRY(nac_graph_add_constant(lowering->graph, NULL, NAC_I64, &shape, NAC_ROW_MAJOR, result, lowering->error));
    const nac_value *a = &lowering->graph->values[inputs[0]], *b = &lowering->graph->values[inputs[1]];
    int64_t *y = lowering->graph->values[*result].data;
    do *y++ = p->holds(nac_number_at(a, walk.offset[0]), nac_number_at(b, walk.offset[1]));
    while (nac_walk_next(&walk));
    return NAC_OK;
}

static nac_status lower_predicate(nac_lowering *lowering, predicate p) {
    int inputs[2], y;
    for (int i = 0; i < 2; ++i) NAC_TRY(nac_lower_input(lowering, i, &inputs[i]));
    if (lowering->graph->values[inputs[0]].constant && lowering->graph->values[inputs[1]].constant) {
        NAC_TRY(compare_constants(lowering, &p, inputs, &y));
        return nac_lower_bind(lowering, 0, y);
    }
    for (int i = 0; i < 2; ++i) NAC_TRY(as_floats(lowering, inputs[i], &inputs[i]));
    NAC_TRY(nac_lower_combine(lowering, p.kind, inputs[p.exchanged], inputs[!p.exchanged], &y));
    if (p.negated) NAC_TRY(negate(lowering, y, &y));
    return nac_lower_bind(lowering, 0, y);
}

static bool is_equal(double a, double b) { return a == b; }
static bool is_greater(double a, double b) { return a > b; }
static bool is_less(double a, double b) { return a < b; }
static bool is_not_less(double a, double b) { return a >= b; }
static bool is_not_greater(double a, double b) { return a <= b; }
static bool are_both(double a, double b) { return a != 0 && b != 0; }
static bool is_either(double a, double b) { return a != 0 || b != 0; }
static bool is_one(double a, double b) { return (a != 0) != (b != 0); }

nac_status nac_lower_And(nac_lowering *lowering) { return lower_predicate(lowering, (predicate){are_both, NAC_BINARY_MUL, false, false}); }
nac_status nac_lower_Equal(nac_lowering *lowering) { return lower_predicate(lowering, (predicate){is_equal, NAC_BINARY_EQUAL, false, false}); }
nac_status nac_lower_Greater(nac_lowering *lowering) { return lower_predicate(lowering, (predicate){is_greater, NAC_BINARY_GREATER, false, false}); }
nac_status nac_lower_GreaterOrEqual(nac_lowering *lowering) { return lower_predicate(lowering, (predicate){is_not_less, NAC_BINARY_NOT_LESS, false, false}); }
nac_status nac_lower_Less(nac_lowering *lowering) { return lower_predicate(lowering, (predicate){is_less, NAC_BINARY_GREATER, true, false}); }
nac_status nac_lower_LessOrEqual(nac_lowering *lowering) { return lower_predicate(lowering, (predicate){is_not_greater, NAC_BINARY_NOT_LESS, true, false}); }
nac_status nac_lower_Or(nac_lowering *lowering) { return lower_predicate(lowering, (predicate){is_either, NAC_BINARY_MAX, false, false}); }
nac_status nac_lower_Xor(nac_lowering *lowering) { return lower_predicate(lowering, (predicate){is_one, NAC_BINARY_EQUAL, false, true}); }

nac_status nac_lower_Not(nac_lowering *lowering) {
    int x, y;
    NAC_TRY(nac_lower_input(lowering, 0, &x));
    if (!lowering->graph->values[x].constant) {
        NAC_TRY(negate(lowering, x, &y));
        return nac_lower_bind(lowering, 0, y);
    }
    NAC_TRY(nac_lower_constant(lowering, 0, &x));
    const nac_shape shape = lowering->graph->values[x].shape;
    NAC_TRY(nac_graph_add_constant(lowering->graph, NULL, NAC_I64, &shape, NAC_ROW_MAJOR, &y, lowering->error));
    int64_t *numbers = lowering->graph->values[y].data;
    for (int i = 0, count = (int)nac_elements(&shape); i < count; ++i) numbers[i] = nac_number_at(&lowering->graph->values[x], i) == 0;
    return nac_lower_bind(lowering, 0, y);
}

/* Integers, which only constants are: the remainder has the divisor's sign, or with fmod the dividend's. */
static nac_status mod_of_integers(nac_lowering *lowering, int inputs[2], bool fmod_rule, int *result) {
    nac_shape shape;
    NAC_TRY(nac_lower_broadcast(lowering, inputs, 2, &shape));
    nac_walk walk = nac_walk_make(shape.rank, shape.dims);
    for (int i = 0; i < 2; ++i) {
        const nac_shape own = nac_shape_aligned(&lowering->graph->values[inputs[i]].shape, shape.rank);
        nac_walk_strides(&walk, i, &own);
    }
    NAC_TRY(nac_graph_add_constant(lowering->graph, NULL, NAC_I64, &shape, NAC_ROW_MAJOR, result, lowering->error));
    const int64_t *a = lowering->graph->values[inputs[0]].data, *b = lowering->graph->values[inputs[1]].data;
    int64_t *y = lowering->graph->values[*result].data;
    do {
        const int64_t u = a[walk.offset[0]], v = b[walk.offset[1]];
        if (v == 0) return nac_lower_fail(lowering, NAC_MALFORMED, "integer %lld has no remainder by 0", (long long)u);
        const int64_t rest = v == -1 ? 0 : u % v; /* INT64_MIN % -1 overflows */
        *y++ = !fmod_rule && rest != 0 && (rest < 0) != (v < 0) ? rest + v : rest;
    } while (nac_walk_next(&walk));
    return NAC_OK;
}

/* a - b floor(a / b), or with fmod b times the quotient cut off towards 0. */
static nac_status mod_of_floats(nac_lowering *lowering, const int inputs[2], bool fmod_rule, int *result) {
    int quotient, sign;
    NAC_TRY(nac_lower_combine(lowering, NAC_BINARY_DIV, inputs[0], inputs[1], &quotient));
    if (fmod_rule) {
        NAC_TRY(nac_lower_unary(lowering, NAC_UNARY_SIGN, 0, 0, quotient, &sign));
        NAC_TRY(nac_lower_unary(lowering, NAC_UNARY_ABS, 0, 0, quotient, &quotient));
    }
    NAC_TRY(nac_lower_unary(lowering, NAC_UNARY_FLOOR, 0, 0, quotient, &quotient));
    if (fmod_rule) NAC_TRY(nac_lower_combine(lowering, NAC_BINARY_MUL, quotient, sign, &quotient));
    NAC_TRY(nac_lower_combine(lowering, NAC_BINARY_MUL, quotient, inputs[1], &quotient));
    return nac_lower_combine(lowering, NAC_BINARY_SUB, inputs[0], quotient, result);
}

nac_status nac_lower_Mod(nac_lowering *lowering) {
    int inputs[2], y;
    int64_t fmod_rule;
    NAC_TRY(nac_attribute_int(lowering, "fmod", 0, &fmod_rule));
    for (int i = 0; i < 2; ++i) NAC_TRY(nac_lower_input(lowering, i, &inputs[i]));
    const nac_type type = lowering->graph->values[inputs[0]].type;
    if (type != lowering->graph->values[inputs[1]].type) return nac_lower_fail(lowering, NAC_MALFORMED, "one operand holds integers, the other float32");
    NAC_TRY(type == NAC_I64 ? mod_of_integers(lowering, inputs, fmod_rule != 0, &y) : mod_of_floats(lowering, inputs, fmod_rule != 0, &y));
    return nac_lower_bind(lowering, 0, y);
}

/* ---- Choosing operators ------------------------------------------------------------------------ */

nac_status nac_lower_Where(nac_lowering *lowering) {
    int inputs[3], y;
    for (int i = 0; i < 3; ++i) NAC_TRY(nac_lower_input(lowering, i, &inputs[i]));
    const nac_value *values = lowering->graph->values;
    const bool condition = values[inputs[0]].type == NAC_I64 || !values[inputs[0]].constant; /* truth that depends on the image is float32 */
    if (!condition || values[inputs[1]].type != values[inputs[2]].type)
        return nac_lower_fail(lowering, NAC_MALFORMED, "the types of its inputs do not go together");
    NAC_TRY(nac_lower_choose(lowering, inputs[0], inputs[1], inputs[2], &y));
    return nac_lower_bind(lowering, 0, y);
}

/* The triangle of the last two axes on and below (upper: above) the k-th diagonal, and zeros. */
nac_status nac_lower_Trilu(nac_lowering *lowering) {
    nac_graph *graph = lowering->graph;
    int x, mask, zero, y, count = 0;
    int64_t upper, k = 0;
    NAC_TRY(nac_lower_input(lowering, 0, &x));
    NAC_TRY(nac_attribute_int(lowering, "upper", 1, &upper));
    const int diagonal = nac_lower_optional(lowering, 1);
    if (diagonal != NAC_NONE) NAC_TRY(nac_lower_ints(lowering, diagonal, "k", &k, 1, &count));
    const nac_shape shape = nac_logical_shape(&graph->values[x]), one = {.rank = 0};
    if (shape.rank < 2) return nac_lower_fail(lowering, NAC_MALFORMED, "the input has rank %d; at least 2 is needed", shape.rank);
    const nac_shape plane = nac_shape_make(2, &shape.dims[shape.rank - 2]);
    NAC_TRY(nac_graph_add_constant(graph, NULL, NAC_F32, &plane, NAC_ROW_MAJOR, &mask, lowering->error));
    NAC_TRY(nac_graph_add_constant(graph, NULL, graph->values[x].type, &one, NAC_ROW_MAJOR, &zero, lowering->error));
    float *kept = nac_data(graph, mask);
    k = k < -plane.dims[0] ? -plane.dims[0] : k > plane.dims[1] ? plane.dims[1] : k;
    for (int row = 0; row < plane.dims[0]; ++row)
        for (int column = 0; column < plane.dims[1]; ++column) *kept++ = (upper ? column - row >= k : column - row <= k) ? 1.0f : 0.0f;
    NAC_TRY(nac_lower_choose(lowering, mask, x, zero, &y));
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
        NAC_TRY(nac_lower_binding(lowering, result, &y));
        NAC_TRY(nac_lower_pass(lowering, i, y));
    }
    return NAC_OK;
}
