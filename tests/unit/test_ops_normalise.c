/* LAYER_NORM and its gradient: values by hand, finite differences; and that fusion finds what exporters write out. */
#include "graph/passes.h"
#include "test_ops.h"

static nac_node layer_norm(float epsilon) {
    nac_node node = nac_node_make(NAC_OP_LAYER_NORM, "norm");
    node.u.layer_norm.epsilon = epsilon;
    return node;
}

static void test_values(void) {
    begin();
    const int x = tensor(SHAPE(2, 4)), scale = tensor(SHAPE(4)), bias = tensor(SHAPE(4));
    SET(x, 1, 3, 1, 3, 1e6f, 1e6f + 2, 1e6f, 1e6f + 2); /* the same spread far from 0 */
    SET(scale, 1, 1, 2, -1);
    SET(bias, 0, 10, 0, 0);
    const int y = EMIT(layer_norm(0), SHAPE(2, 4), x, scale, bias), soft = EMIT(layer_norm(3), SHAPE(2, 4), x, scale, bias);
    nac_node node = layer_norm(0);
    node.max = 5;
    const int clamped = EMIT(node, SHAPE(2, 4), x, scale, bias);
    run();
    EXPECT(y, 0, -1, 11, -2, -1, -1, 11, -2, -1);
    EXPECT(soft, 0, -0.5f, 10.5f, -1, -0.5f, -0.5f, 10.5f, -1, -0.5f); /* sqrt(1 + 3) = 2 */
    EXPECT(clamped, 0, -1, 5, -2, -1, -1, 5, -2, -1);
}

static void test_slopes(void) {
    for (int round = 0; round < 40; ++round) {
        seed = 12000 + (uint64_t)round;
        begin();
        const int C = round % 5 == 0 ? pick(60, 70) : pick(2, 9);
        const int x = tensor(SHAPE(2, 3, C)), scale = tensor(SHAPE(C)), bias = tensor(SHAPE(C));
        /* The finite difference wants a step that is small beside the spread: x in [-4, 4), and a variance of at least 1. */
        for (size_t i = 0; i < count_of(x); ++i) data_of(x)[i] *= 4;
        EMIT(layer_norm(1), SHAPE(2, 3, C), x, scale, bias);
        check_slope(0);
    }
}

/* ---- Fusion ---------------------------------------------------------------------------------------- */

static int constant(nac_shape shape, float number) {
    int value;
    ENSURE_OK(nac_graph_add_constant(&graph, NULL, NAC_F32, &shape, NAC_ROW_MAJOR, &value, &error), &error);
    for (size_t i = 0; i < count_of(value); ++i) data_of(value)[i] = number;
    return value;
}

static nac_node mean(void) {
    nac_node node = nac_node_make(NAC_OP_REDUCE, "mean");
    node.u.reduce.axes[1] = true;
    node.u.reduce.scale = 0.25f;
    return node;
}

static nac_node binary(nac_binary kind) {
    nac_node node = nac_node_make(NAC_OP_BINARY, "binary");
    node.u.binary.kind = kind;
    return node;
}

static nac_node unary(nac_unary kind, float a) {
    nac_node node = nac_node_make(NAC_OP_UNARY, "unary");
    node.u.unary.kind = kind;
    node.u.unary.a = a;
    return node;
}

static int affine(int x, float scale, float bias) {
    return EMIT(nac_node_make(NAC_OP_AFFINE, "affine"), SHAPE(2, 4), x, constant(SHAPE(4), scale), constant(SHAPE(4), bias));
}

/* (x - mean) / sqrt(variance + epsilon) * 2 + 3 as PyTorch 1.13 exports it. */
static int emit_composed_norm(int x, int *centred) {
    *centred = EMIT(binary(NAC_BINARY_SUB), SHAPE(2, 4), x, EMIT(mean(), SHAPE(2, 1), x));
    const int variance = EMIT(mean(), SHAPE(2, 1), EMIT(unary(NAC_UNARY_POW, 2), SHAPE(2, 4), *centred));
    const int sum = EMIT(binary(NAC_BINARY_ADD), SHAPE(2, 1), variance, constant(SHAPE(1, 1), 1e-5f));
    const int quotient = EMIT(binary(NAC_BINARY_DIV), SHAPE(2, 4), *centred, EMIT(unary(NAC_UNARY_SQRT, 0), SHAPE(2, 1), sum));
    return affine(affine(quotient, 2, 0), 1, 3);
}

static void fuse(int y, const int *keep, int keep_count) {
    graph.logits = y;
    ENSURE_OK(nac_graph_fuse(&graph, keep, keep_count, &error), &error);
}

static void test_composed_norm_becomes_one_node(void) {
    begin();
    int centred;
    const int y = emit_composed_norm(tensor(SHAPE(2, 4)), &centred);
    fuse(y, NULL, 0);
    ENSURE(graph.node_count == 1 && graph.nodes[0].op == NAC_OP_LAYER_NORM && graph.nodes[0].output == y);
    ENSURE(graph.nodes[0].u.layer_norm.epsilon == 1e-5f);
    ENSURE(data_of(graph.nodes[0].inputs[1])[3] == 2 && data_of(graph.nodes[0].inputs[2])[0] == 3);
}

/* A tap inside of a pattern must stay a value on the way to the logits. */
static void test_a_tap_keeps_a_norm_apart(void) {
    begin();
    int centred;
    const int y = emit_composed_norm(tensor(SHAPE(2, 4)), &centred);
    fuse(y, &centred, 1);
    ENSURE(graph.node_count == 8);
    for (int n = 0; n < graph.node_count; ++n) ENSURE(graph.nodes[n].op != NAC_OP_LAYER_NORM);
}

static void test_gelu_becomes_one_node(void) {
    begin();
    const int x = tensor(SHAPE(2, 4));
    const int gate = affine(EMIT(unary(NAC_UNARY_ERF, 0), SHAPE(2, 4), affine(x, 0.70710678f, 0)), 1, 1);
    fuse(affine(EMIT(binary(NAC_BINARY_MUL), SHAPE(2, 4), x, gate), 0.5f, 0), NULL, 0);
    ENSURE(graph.node_count == 1 && graph.nodes[0].u.unary.kind == NAC_UNARY_GELU);
    ENSURE(graph.nodes[0].u.unary.a == 0.5f && graph.nodes[0].inputs[0] == x);
}

/* clamp(x / 2 + 4, 0, 8) * 2 - 8 = clamp(x, -8, 8). */
static void test_a_clamp_is_seen_through_its_scale(void) {
    begin();
    const int x = tensor(SHAPE(2, 4));
    nac_node clamp = unary(NAC_UNARY_CLAMP, 0);
    clamp.u.unary.b = 8;
    fuse(affine(EMIT(clamp, SHAPE(2, 4), affine(x, 0.5f, 4)), 2, -8), NULL, 0);
    ENSURE(graph.node_count == 1 && graph.nodes[0].op == NAC_OP_AFFINE && graph.nodes[0].min == -8 && graph.nodes[0].max == 8);
    ENSURE(data_of(graph.nodes[0].inputs[1])[0] == 1 && data_of(graph.nodes[0].inputs[2])[0] == 0);
    begin();
    const int y = tensor(SHAPE(2, 4)); /* a negative scale turns the bounds around */
    fuse(affine(EMIT(clamp, SHAPE(2, 4), affine(y, 0.5f, 4)), -2, 8), NULL, 0);
    ENSURE(graph.node_count == 2);
}

int main(void) {
    RUN(test_values);
    RUN(test_slopes);
    RUN(test_composed_norm_becomes_one_node);
    RUN(test_a_tap_keeps_a_norm_apart);
    RUN(test_gelu_becomes_one_node);
    RUN(test_a_clamp_is_seen_through_its_scale);
    begin();
    return TEST_RESULT();
}
