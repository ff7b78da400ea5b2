/* GATHER, SCATTER, WHERE and what has no slope: values by hand, gradients by the adjoint identity. */
#include "test_ops.h"

static nac_node along(nac_op op, int axis) {
    nac_node node = nac_node_make(op, "places");
    node.u.gather.axis = axis;
    return node;
}

static int positions(const int *numbers, int count) {
    const nac_shape shape = nac_shape_make(1, &count);
    int value;
    ENSURE_OK(nac_graph_add_constant(&graph, NULL, NAC_I64, &shape, NAC_ROW_MAJOR, &value, &error), &error);
    for (int i = 0; i < count; ++i) ((int64_t *)graph.values[value].data)[i] = numbers[i];
    return value;
}
#define POSITIONS(...) positions((const int[]){__VA_ARGS__}, (int)NAC_COUNT(((const int[]){__VA_ARGS__})))

static void test_gather_and_scatter(void) {
    begin();
    const int x = tensor(SHAPE(2, 3, 1)), few = tensor(SHAPE(1, 3, 2)), twice = POSITIONS(2, 0, 2);
    SET(x, 1, 2, 3, 4, 5, 6);
    SET(few, 1, 2, 3, 4, 5, 6);
    const int rows = EMIT(along(NAC_OP_GATHER, 1), SHAPE(2, 3, 1), x, twice);
    const int outer = EMIT(along(NAC_OP_GATHER, 0), SHAPE(4, 3, 1), x, POSITIONS(1, 1, 0, 1));
    const int put = EMIT(along(NAC_OP_SCATTER, 1), SHAPE(1, 4, 2), few, twice);
    run();
    EXPECT(rows, 0, 3, 1, 3, 6, 4, 6);
    EXPECT(outer, 0, 4, 5, 6, 4, 5, 6, 1, 2, 3, 4, 5, 6);
    EXPECT(put, 0, 3, 4, 0, 0, 1 + 5, 2 + 6, 0, 0);
}

static void test_gather_adjoint(void) {
    for (int round = 0; round < 200; ++round) {
        seed = 9000 + (uint64_t)round;
        begin();
        const bool scatter = round % 2;
        int numbers[12];
        nac_shape xs = {.rank = pick(1, 4)};
        for (int i = 0; i < xs.rank; ++i) xs.dims[i] = pick(1, 5);
        const int axis = pick(0, xs.rank - 1), count = scatter ? xs.dims[axis] : pick(1, 12), size = scatter ? pick(1, 6) : xs.dims[axis];
        for (int i = 0; i < count; ++i) numbers[i] = pick(0, size - 1);
        nac_shape ys = xs;
        ys.dims[axis] = scatter ? size : count;
        const int x = tensor(xs), list = positions(numbers, count);
        EMIT(along(scatter ? NAC_OP_SCATTER : NAC_OP_GATHER, axis), ys, x, list);
        check_adjoint(0, 12); /* so many numbers may meet in one place */
    }
}

static void test_where(void) {
    begin();
    const int c = tensor(SHAPE(2, 1)), a = tensor(SHAPE(1, 3)), b = tensor(SHAPE(2, 3)), one = tensor((nac_shape){0}), no = tensor((nac_shape){0});
    SET(c, 0, -1);
    SET(a, 1, INFINITY, 3);
    SET(b, 4, 5, 6, 7, NAN, 9);
    SET(one, 2);
    SET(no, 0);
    const nac_node node = nac_node_make(NAC_OP_WHERE, "where");
    const int y = EMIT(node, SHAPE(2, 3), c, a, b), scalar = EMIT(node, (nac_shape){0}, no, one, no);
    run();
    ENSURE(data_of(y)[0] == 4 && data_of(y)[1] == 5 && data_of(y)[3] == 1 && data_of(y)[4] == INFINITY && data_of(y)[5] == 3);
    EXPECT(scalar, 0, 0);
}

static void test_where_adjoint(void) {
    for (int round = 0; round < 200; ++round) {
        seed = 9500 + (uint64_t)round;
        begin();
        nac_shape ys = {.rank = pick(0, 4)};
        for (int i = 0; i < ys.rank; ++i) ys.dims[i] = pick(1, 4);
        int inputs[3];
        for (int k = 0; k < 3; ++k) {
            nac_shape shape = ys;
            for (int i = 0; i < ys.rank; ++i)
                if (pick(0, 2) == 0 && k != 1) shape.dims[i] = 1;
            inputs[k] = tensor(shape);
        }
        for (size_t i = 0; i < count_of(inputs[0]); ++i) data_of(inputs[0])[i] = (float)pick(0, 1);
        const int slot = pick(1, 2), other = inputs[3 - slot];
        memset(data_of(other), 0, count_of(other) * sizeof(float)); /* linear in the operand alone */
        emit(nac_node_make(NAC_OP_WHERE, "where"), inputs, 3, ys);
        check_adjoint(slot, 64);
    }
}

/* Steps are flat wherever they have a slope: nothing is emitted for them. */
static void test_what_has_no_slope(void) {
    begin();
    const int x = tensor(SHAPE(3)), y = tensor(SHAPE(3));
    SET(x, 1, 2.5f, -0.5f);
    SET(y, 2, 2.5f, -1);
    int outputs[7], dx;
    for (int kind = 0; kind < 3; ++kind) {
        nac_node node = nac_node_make(NAC_OP_BINARY, "compare");
        node.u.binary.kind = (nac_binary)(NAC_BINARY_GREATER + kind);
        outputs[kind] = EMIT(node, SHAPE(3), x, y);
    }
    for (int kind = 0; kind < 4; ++kind) {
        nac_node node = nac_node_make(NAC_OP_UNARY, "step");
        node.u.unary.kind = (nac_unary)(NAC_UNARY_SIGN + kind);
        outputs[3 + kind] = EMIT(node, SHAPE(3), x);
    }
    run();
    EXPECT(outputs[0], 0, 0, 0, 1); /* greater */
    EXPECT(outputs[1], 0, 0, 1, 1); /* not less */
    EXPECT(outputs[2], 0, 0, 1, 0); /* equal */
    EXPECT(outputs[3], 0, 1, 1, -1);
    EXPECT(outputs[4], 0, 1, 2, -1);
    EXPECT(outputs[5], 0, 1, 3, 0);
    EXPECT(outputs[6], 0, 1, 2, 0); /* halves to even */
    const int count = graph.node_count;
    for (int n = 0; n < count; ++n) {
        dx = 0;
        ENSURE_OK(nac_ops[graph.nodes[n].op].gradient(&graph, n, 0, y, &dx, &error), &error);
        ENSURE(dx == NAC_NONE && graph.node_count == count);
    }
    EMIT(nac_node_make(NAC_OP_WHERE, "where"), SHAPE(3), outputs[0], x, y);
    ENSURE_OK(nac_ops[NAC_OP_WHERE].gradient(&graph, count, 0, y, &dx, &error), &error);
    ENSURE(dx == NAC_NONE);
}

int main(void) {
    RUN(test_gather_and_scatter);
    RUN(test_gather_adjoint);
    RUN(test_where);
    RUN(test_where_adjoint);
    RUN(test_what_has_no_slope);
    begin();
    return TEST_RESULT();
}
