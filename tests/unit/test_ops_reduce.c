/* REDUCE, EXPAND, SOFTMAX, LOGITS_GRAD, MATMUL: values by hand, gradients by finite differences and the adjoint identity. */
#include "test_ops.h"

static nac_node reduce(const bool *axes, int rank, float scale) {
    nac_node node = nac_node_make(NAC_OP_REDUCE, "reduce");
    for (int i = 0; i < rank; ++i) node.u.reduce.axes[i] = axes[i];
    node.u.reduce.scale = scale;
    return node;
}

static nac_node expand(float scale) {
    nac_node node = nac_node_make(NAC_OP_EXPAND, "expand");
    node.u.expand.scale = scale;
    return node;
}

static void test_reduce(void) {
    begin();
    const int x = tensor(SHAPE(2, 2, 3));
    SET(x, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12);
    nac_node node = reduce((const bool[]){false, true, false}, 3, 1);
    const int middle = EMIT(node, SHAPE(2, 1, 3), x);
    node.min = 6;
    node.max = 18;
    const int clamped = EMIT(node, SHAPE(2, 1, 3), x);
    const int ends = EMIT(reduce((const bool[]){true, false, true}, 3, 0.5f), SHAPE(1, 2, 1), x);
    const int all = EMIT(reduce((const bool[]){true, true, true}, 3, 1), SHAPE(1, 1, 1), x);
    const int none = EMIT(reduce((const bool[]){false, false, false}, 3, 2), SHAPE(2, 2, 3), x);
    run();
    EXPECT(middle, 0, 5, 7, 9, 17, 19, 21);
    EXPECT(clamped, 0, 6, 7, 9, 17, 18, 18);
    EXPECT(ends, 0, (6 + 24) / 2.0f, (15 + 33) / 2.0f);
    EXPECT(all, 0, 78);
    EXPECT(none, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24);
}

/* 2^24 + 1 + 1 ...: a float sum would stand still. */
static void test_reduce_sums_in_double(void) {
    begin();
    const int x = tensor(SHAPE(1, 5, 1)), row = tensor(SHAPE(1, 5));
    SET(x, 16777216, 1, 1, 1, 1);
    SET(row, 16777216, 1, 1, 1, 1);
    const int a = EMIT(reduce((const bool[]){false, true, false}, 3, 1), SHAPE(1, 1, 1), x);
    const int b = EMIT(reduce((const bool[]){false, true}, 2, 1), SHAPE(1, 1), row);
    run();
    EXPECT(a, 0, 16777220);
    EXPECT(b, 0, 16777220);
}

static void test_expand(void) {
    begin();
    const int x = tensor(SHAPE(2, 1, 2)), low = tensor(SHAPE(2)), scalar = tensor((nac_shape){0});
    SET(x, 1, 2, 3, 4);
    SET(low, 5, 6);
    SET(scalar, 7);
    nac_node node = expand(2);
    const int y = EMIT(node, SHAPE(2, 2, 2), x);
    node.max = 5;
    const int clamped = EMIT(node, SHAPE(2, 2, 2), x);
    const int leading = EMIT(expand(1), SHAPE(2, 2), low), filled = EMIT(expand(1), SHAPE(2, 2), scalar);
    run();
    EXPECT(y, 0, 2, 4, 2, 4, 6, 8, 6, 8);
    EXPECT(clamped, 0, 2, 4, 2, 4, 5, 5, 5, 5);
    EXPECT(leading, 0, 5, 6, 5, 6);
    EXPECT(filled, 0, 7, 7, 7, 7);
}

static void test_reduce_and_expand_adjoint(void) {
    for (int round = 0; round < 200; ++round) {
        seed = 7000 + (uint64_t)round;
        begin();
        nac_shape wide = {.rank = pick(0, 5)}, narrow = wide;
        bool axes[NAC_MAX_RANK] = {false};
        for (int i = 0; i < wide.rank; ++i) {
            wide.dims[i] = i == wide.rank - 1 && round % 10 == 0 ? pick(60, 70) : pick(1, 4);
            axes[i] = pick(0, 1) != 0;
            narrow.dims[i] = axes[i] ? 1 : wide.dims[i];
        }
        const float scale = test_uniform(&seed);
        if (round % 2) {
            const int x = tensor(wide);
            EMIT(reduce(axes, wide.rank, scale), narrow, x);
        } else {
            const int drop = narrow.rank > 0 && narrow.dims[0] == 1 ? pick(0, 1) : 0; /* a shape of lower rank */
            const int x = tensor(nac_shape_make(narrow.rank - drop, narrow.dims + drop));
            EMIT(expand(scale), wide, x);
        }
        check_adjoint(0, 1);
    }
}

static nac_node softmax(int axis) {
    nac_node node = nac_node_make(NAC_OP_SOFTMAX, "softmax");
    node.u.softmax.axis = axis;
    return node;
}

static void test_softmax(void) {
    begin();
    const int x = tensor(SHAPE(2, 2));
    SET(x, 1000, 1000 + 0.6931472f, -1000, -1000); /* ln 2 apart: but float keeps only 2^-14 at 1000 */
    const int rows = EMIT(softmax(1), SHAPE(2, 2), x), columns = EMIT(softmax(0), SHAPE(2, 2), x);
    run();
    EXPECT(rows, 2e-5, 1.0f / 3, 2.0f / 3, 0.5f, 0.5f);
    EXPECT(columns, 0, 1, 1, 0, 0);
}

static void test_softmax_slopes(void) {
    for (int round = 0; round < 30; ++round) {
        seed = 8000 + (uint64_t)round;
        begin();
        const nac_shape shape = SHAPE(pick(1, 3), pick(1, 5), pick(1, 4));
        const int x = tensor(shape);
        for (size_t i = 0; i < count_of(x); ++i) data_of(x)[i] *= 3;
        EMIT(softmax(round % 3), shape, x);
        check_slope(0);
    }
}

static void test_logits_gradient(void) {
    begin();
    const int logits = tensor(SHAPE(3, 4));
    SET(logits, 0, 0, 0, 0, 100, 0, 0, 0, 1e4f, -1e4f, 0, 0);
    const int d = EMIT(nac_node_make(NAC_OP_LOGITS_GRAD, "root"), SHAPE(3, 4), logits);
    run();
    EXPECT(d, 0, 0, 0, 0, 0, 0.75f, -0.25f, -0.25f, -0.25f, 0.75f, -0.25f, -0.25f, -0.25f);
}

/* One class far ahead among many: p - 1/K for the others stays exact although p is below 1/K by many orders. */
static void test_logits_gradient_of_many_classes(void) {
    begin();
    const int K = 1000, logits = tensor(SHAPE(1, 1000));
    double sum = 0;
    for (int k = 0; k < K; ++k) {
        data_of(logits)[k] = (float)(k % 7) + (k == 3 ? 30.0f : 0.0f);
        sum += exp((double)data_of(logits)[k] - 33);
    }
    const int d = EMIT(nac_node_make(NAC_OP_LOGITS_GRAD, "root"), SHAPE(1, 1000), logits);
    run();
    for (int k = 0; k < K; ++k) {
        const double exact = exp((double)data_of(logits)[k] - 33) / sum - 1e-3;
        ENSURE_NEAR(data_of(d)[k], exact, fabs(exact) * 0x1p-23);
    }
}

static nac_node matmul(bool transpose_a, bool transpose_b) {
    nac_node node = nac_node_make(NAC_OP_MATMUL, "matmul");
    node.u.matmul.transpose_a = transpose_a;
    node.u.matmul.transpose_b = transpose_b;
    return node;
}

static void test_matmul(void) {
    begin();
    const int a = tensor(SHAPE(2, 3)), b = tensor(SHAPE(3, 2)), bias = tensor(SHAPE(2));
    const int at = tensor(SHAPE(3, 2)), bt = tensor(SHAPE(2, 3));
    SET(a, 1, 2, 3, 4, 5, 6);
    SET(at, 1, 4, 2, 5, 3, 6);
    SET(b, 7, 8, 9, 10, 11, 12);
    SET(bt, 7, 9, 11, 8, 10, 12);
    SET(bias, 0.5f, -100);
    nac_node clamped = matmul(false, false);
    clamped.min = 0;
    const int plain = EMIT(matmul(false, false), SHAPE(2, 2), a, b), ta = EMIT(matmul(true, false), SHAPE(2, 2), at, b);
    const int tb = EMIT(matmul(false, true), SHAPE(2, 2), a, bt), both = EMIT(matmul(true, true), SHAPE(2, 2), at, bt);
    const int with = EMIT(clamped, SHAPE(2, 2), a, b, bias);
    run();
    EXPECT(plain, 0, 58, 64, 139, 154);
    EXPECT(ta, 0, 58, 64, 139, 154);
    EXPECT(tb, 0, 58, 64, 139, 154);
    EXPECT(both, 0, 58, 64, 139, 154);
    EXPECT(with, 0, 58.5f, 0, 139.5f, 54);
}

/* Linear in each of its two operands. */
static void test_matmul_adjoint(void) {
    for (int round = 0; round < 200; ++round) {
        seed = 9000 + (uint64_t)round;
        begin();
        const int rank = pick(2, 4), M = pick(1, 5), K = pick(1, 6), N = round % 10 == 0 ? pick(60, 70) : pick(1, 5);
        const bool transpose_a = pick(0, 1) != 0, transpose_b = pick(0, 1) != 0, matrix = pick(0, 1) != 0;
        nac_shape as = {.rank = rank}, bs = {.rank = matrix ? 2 : rank}, ys = {.rank = rank};
        for (int i = 0; i < rank - 2; ++i) {
            as.dims[i] = ys.dims[i] = pick(1, 3);
            if (!matrix) bs.dims[i] = as.dims[i];
        }
        as.dims[rank - 2] = transpose_a ? K : M;
        as.dims[rank - 1] = transpose_a ? M : K;
        bs.dims[bs.rank - 2] = transpose_b ? N : K;
        bs.dims[bs.rank - 1] = transpose_b ? K : N;
        ys.dims[rank - 2] = M;
        ys.dims[rank - 1] = N;
        const int a = tensor(as), b = tensor(bs), slot = matrix && rank > 2 ? 0 : pick(0, 1);
        EMIT(matmul(transpose_a, transpose_b), ys, a, b);
        check_adjoint(slot, 1);
    }
}

static void test_gradient_of_a_shared_matrix_is_refused(void) {
    begin();
    const int a = tensor(SHAPE(2, 1, 1)), b = tensor(SHAPE(1, 1));
    const int y = EMIT(matmul(false, false), SHAPE(2, 1, 1), a, b);
    int dx;
    ENSURE(nac_ops[NAC_OP_MATMUL].gradient(&graph, 0, 1, y, &dx, &error) == NAC_UNSUPPORTED);
}

int main(void) {
    RUN(test_reduce);
    RUN(test_reduce_sums_in_double);
    RUN(test_expand);
    RUN(test_reduce_and_expand_adjoint);
    RUN(test_softmax);
    RUN(test_softmax_slopes);
    RUN(test_logits_gradient);
    RUN(test_logits_gradient_of_many_classes);
    RUN(test_matmul);
    RUN(test_matmul_adjoint);
    RUN(test_gradient_of_a_shared_matrix_is_refused);
    begin();
    return TEST_RESULT();
}
