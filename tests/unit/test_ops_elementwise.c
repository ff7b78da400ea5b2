/* AFFINE, UNARY, CLAMP_GRAD, BINARY: values by hand, gradients by finite differences and by the adjoint identity. */
#include "test_ops.h"

static nac_node unary(nac_unary kind, float a, float b) {
    nac_node node = nac_node_make(NAC_OP_UNARY, "unary");
    node.u.unary.kind = kind;
    node.u.unary.a = a;
    node.u.unary.b = b;
    return node;
}

static nac_node binary(nac_binary kind) {
    nac_node node = nac_node_make(NAC_OP_BINARY, "binary");
    node.u.binary.kind = kind;
    return node;
}

static void test_affine(void) {
    begin();
    const int x = tensor(SHAPE(2, 3)), scale = tensor(SHAPE(3)), bias = tensor(SHAPE(3));
    SET(x, 1, 2, 3, 4, 5, 6);
    SET(scale, 1, 10, -1);
    SET(bias, 0, 1, 2);
    nac_node node = nac_node_make(NAC_OP_AFFINE, "affine");
    const int y = EMIT(node, SHAPE(2, 3), x, scale, bias);
    node.min = 0;
    const int clamped = EMIT(node, SHAPE(2, 3), x, scale, bias);
    run();
    EXPECT(y, 0, 1, 21, -1, 4, 51, -4);
    EXPECT(clamped, 0, 1, 21, 0, 4, 51, 0);
}

static void test_affine_adjoint(void) {
    for (int round = 0; round < 20; ++round) {
        seed = 4000 + (uint64_t)round;
        begin();
        const int N = pick(1, 3), C = pick(1, 70);
        const int x = tensor(SHAPE(N, 2, C)), scale = tensor(SHAPE(C)), bias = tensor(SHAPE(C));
        memset(data_of(bias), 0, (size_t)C * sizeof(float));
        EMIT(nac_node_make(NAC_OP_AFFINE, "affine"), SHAPE(N, 2, C), x, scale, bias);
        check_adjoint(0, 1);
    }
}

/* Values from mpmath to more digits than a float holds: within 1.2e-7 relative, an ulp at most. */
static void test_unary_values(void) {
    static const struct {
        nac_unary kind;
        float a, b, x;
        double y;
    } cases[] = {
        {NAC_UNARY_CLAMP, 0, INFINITY, -2, 0},
        {NAC_UNARY_CLAMP, 0, 6, 7, 6},
        {NAC_UNARY_CLAMP, 0, 6, 5.5f, 5.5},
        {NAC_UNARY_LEAKY_RELU, 0.25f, 0, -2, -0.5},
        {NAC_UNARY_LEAKY_RELU, 0.25f, 0, 2, 2},
        {NAC_UNARY_ELU, 1, 0, -1, -0.6321205588285577},
        {NAC_UNARY_ELU, 2, 0, 3, 3},
        {NAC_UNARY_ELU, 1, 0, -1e-6f, -9.999995e-7},
        {NAC_UNARY_SIGMOID, 0, 0, 0, 0.5},
        {NAC_UNARY_SIGMOID, 0, 0, 2, 0.8807970779778825},
        {NAC_UNARY_SIGMOID, 0, 0, -80, 1.8048513878454153e-35},
        {NAC_UNARY_SIGMOID, 0, 0, -1000, 0},
        {NAC_UNARY_SIGMOID, 0, 0, 1000, 1},
        {NAC_UNARY_HARD_SIGMOID, 0.25f, 0.5f, 1, 0.75},
        {NAC_UNARY_HARD_SIGMOID, 0.25f, 0.5f, -3, 0},
        {NAC_UNARY_HARD_SWISH, 0, 0, 1.5f, 1.125},
        {NAC_UNARY_HARD_SWISH, 0, 0, -3.5f, 0},
        {NAC_UNARY_HARD_SWISH, 0, 0, 4, 4},
        {NAC_UNARY_TANH, 0, 0, 0.5f, 0.46211715726000976},
        {NAC_UNARY_ERF, 0, 0, 0.5f, 0.5204998778130465},
        {NAC_UNARY_ERF, 0, 0, -2, -0.9953222650189527},
        {NAC_UNARY_EXP, 0, 0, 1, 2.718281828459045},
        {NAC_UNARY_LOG, 0, 0, 10, 2.302585092994046},
        {NAC_UNARY_SQRT, 0, 0, 2, 1.4142135623730951},
        {NAC_UNARY_ABS, 0, 0, -3, 3},
        {NAC_UNARY_NEG, 0, 0, 3, -3},
        {NAC_UNARY_RECIPROCAL, 0, 0, 4, 0.25},
        {NAC_UNARY_POW, 2, 0, -3, 9},
        {NAC_UNARY_POW, 0.5f, 0, 2, 1.4142135623730951},
        {NAC_UNARY_POW, -1.5f, 0, 4, 0.125},
        {NAC_UNARY_POW, 0, 0, 0, 1},
        {NAC_UNARY_SIN, 0, 0, 2, 0.9092974268256817},
        {NAC_UNARY_COS, 0, 0, 10, -0.8390715290764524},
        {NAC_UNARY_SIGN, 0, 0, -3, -1},
        {NAC_UNARY_SIGN, 0, 0, 0, 0},
        {NAC_UNARY_FLOOR, 0, 0, -1.25f, -2},
        {NAC_UNARY_CEIL, 0, 0, 1.25f, 2},
        {NAC_UNARY_ROUND, 0, 0, 2.5f, 2},
        {NAC_UNARY_SOFTPLUS, 0, 0, 0, 0.6931471805599453},
        {NAC_UNARY_SOFTPLUS, 0, 0, -20, 2.0611536181902037e-9},
        {NAC_UNARY_SOFTPLUS, 0, 0, 500, 500},
        {NAC_UNARY_SWISH, 0, 0, 1.5f, 1.2263617142904655},
        {NAC_UNARY_SWISH, 0, 0, -2, -0.2384058440442351},
        {NAC_UNARY_GELU, 0.5f, 0, 1.5f, 1.399789198096713},
        {NAC_UNARY_GELU, 1, 0, -2, -0.09100052779271688},
        {NAC_UNARY_GELU_TANH, 0.5f, 0, 1.5f, 1.3995715769802328},
    };
    for (size_t i = 0; i < NAC_COUNT(cases); ++i) {
        begin();
        const int x = tensor(SHAPE(1));
        SET(x, cases[i].x);
        const int y = EMIT(unary(cases[i].kind, cases[i].a, cases[i].b), SHAPE(1), x);
        run();
        ENSURE_NEAR(data_of(y)[0], cases[i].y, fabs(cases[i].y) * 1.2e-7);
    }
}

static void test_unary_clamps_and_keeps_nan(void) {
    begin();
    const int x = tensor(SHAPE(4));
    SET(x, -3, 0.5f, 3, NAN);
    nac_node node = unary(NAC_UNARY_NEG, 0, 0);
    node.min = -1;
    node.max = 2;
    const int y = EMIT(node, SHAPE(4), x);
    const int relu = EMIT(unary(NAC_UNARY_CLAMP, 0, INFINITY), SHAPE(4), x);
    run();
    ENSURE(data_of(y)[0] == 2 && data_of(y)[1] == -0.5f && data_of(y)[2] == -1);
    ENSURE(isnan(data_of(y)[3]) && isnan(data_of(relu)[3]));
}

/* x in [low, high] and 1/8 away from the kinks. */
static void test_unary_slopes(void) {
    static const struct {
        nac_unary kind;
        float a, b, low, high, kinks[2];
    } cases[] = {
        {NAC_UNARY_CLAMP, -0.5f, 1, -2, 2, {-0.5f, 1}},
        {NAC_UNARY_CLAMP, 0, INFINITY, -2, 2, {0, 0}},
        {NAC_UNARY_LEAKY_RELU, 0.1f, 0, -2, 2, {0, 0}},
        {NAC_UNARY_ELU, 1.5f, 0, -2, 2, {0, 0}},
        {NAC_UNARY_SIGMOID, 0, 0, -6, 6, {9, 9}},
        {NAC_UNARY_HARD_SIGMOID, 0.25f, 0.5f, -4, 4, {-2, 2}},
        {NAC_UNARY_HARD_SWISH, 0, 0, -5, 5, {-3, 3}},
        {NAC_UNARY_TANH, 0, 0, -3, 3, {9, 9}},
        {NAC_UNARY_ERF, 0, 0, -3, 3, {9, 9}},
        {NAC_UNARY_EXP, 0, 0, -2, 2, {9, 9}},
        {NAC_UNARY_LOG, 0, 0, 1, 4, {9, 9}},
        {NAC_UNARY_SQRT, 0, 0, 1, 4, {9, 9}},
        {NAC_UNARY_ABS, 0, 0, -2, 2, {0, 0}},
        {NAC_UNARY_NEG, 0, 0, -2, 2, {9, 9}},
        {NAC_UNARY_RECIPROCAL, 0, 0, 1, 3, {9, 9}},
        {NAC_UNARY_POW, 2, 0, -2, 2, {9, 9}},
        {NAC_UNARY_POW, 3, 0, -2, 2, {9, 9}},
        {NAC_UNARY_POW, 0, 0, -2, 2, {9, 9}},
        {NAC_UNARY_POW, -0.5f, 0, 1, 3, {9, 9}},
        {NAC_UNARY_SIN, 0, 0, -4, 4, {9, 9}},
        {NAC_UNARY_COS, 0, 0, -4, 4, {9, 9}},
        {NAC_UNARY_SOFTPLUS, 0, 0, -4, 4, {9, 9}},
        {NAC_UNARY_SWISH, 0, 0, -5, 5, {9, 9}},
        {NAC_UNARY_GELU, 0.5f, 0, -4, 4, {9, 9}},
        {NAC_UNARY_GELU_TANH, 0.75f, 0, -4, 4, {9, 9}},
    };
    for (size_t i = 0; i < NAC_COUNT(cases); ++i)
        for (int round = 0; round < 5; ++round) {
            seed = 5000 + (uint64_t)(i * 10) + (uint64_t)round;
            begin();
            const int x = tensor(SHAPE(3, 7));
            for (size_t e = 0; e < count_of(x); ++e)
                do data_of(x)[e] = cases[i].low + (cases[i].high - cases[i].low) * (test_uniform(&seed) + 1) / 2;
                while (fabsf(data_of(x)[e] - cases[i].kinks[0]) < 0.125f || fabsf(data_of(x)[e] - cases[i].kinks[1]) < 0.125f);
            EMIT(unary(cases[i].kind, cases[i].a, cases[i].b), SHAPE(3, 7), x);
            check_slope(0);
        }
}

/* What PyTorch answers at the kinks; sigmoid and softplus where exp would overflow. */
static void test_unary_slopes_at_kinks(void) {
    static const struct {
        nac_unary kind;
        float a, b, x, slope;
    } cases[] = {
        {NAC_UNARY_CLAMP, 0, INFINITY, 0, 0},   {NAC_UNARY_CLAMP, 0, 6, 6, 0},
        {NAC_UNARY_LEAKY_RELU, 0.1f, 0, 0, 0.1f}, {NAC_UNARY_ABS, 0, 0, 0, 0},
        {NAC_UNARY_HARD_SWISH, 0, 0, -3, 0},    {NAC_UNARY_HARD_SWISH, 0, 0, 3, 1},
        {NAC_UNARY_HARD_SIGMOID, 0.25f, 0.5f, 2, 0}, {NAC_UNARY_POW, 0, 0, 0, 0},
        {NAC_UNARY_SIGMOID, 0, 0, -1000, 0},    {NAC_UNARY_SIGMOID, 0, 0, 1000, 0},
        {NAC_UNARY_SOFTPLUS, 0, 0, -1000, 0},   {NAC_UNARY_SOFTPLUS, 0, 0, 1000, 1},
        {NAC_UNARY_ELU, 2, 0, 0, 2},
    };
    for (size_t i = 0; i < NAC_COUNT(cases); ++i) {
        begin();
        const int x = tensor(SHAPE(1));
        SET(x, cases[i].x);
        EMIT(unary(cases[i].kind, cases[i].a, cases[i].b), SHAPE(1), x);
        int dy;
        const int dx = gradient_of_last(0, &dy);
        ENSURE_NEAR(data_of(dx)[0], data_of(dy)[0] * cases[i].slope, 0);
        /* the same through UNARY_GRAD, where the gradient takes a shorter way (CLAMP, NEG) */
        nac_node node = unary(cases[i].kind, cases[i].a, cases[i].b);
        node.op = NAC_OP_UNARY_GRAD;
        const int direct = EMIT(node, SHAPE(1), x, dy);
        run();
        ENSURE(data_of(direct)[0] == data_of(dx)[0]);
    }
}

static void test_clamp_gradient(void) {
    begin();
    const int y = tensor(SHAPE(5)), dy = tensor(SHAPE(5));
    SET(y, 0, 1, 5.5f, 6, -0.0f);
    SET(dy, 1, 2, 3, 4, 5);
    nac_node node = nac_node_make(NAC_OP_CLAMP_GRAD, "clamp");
    node.min = 0;
    node.max = 6;
    const int relu6 = EMIT(node, SHAPE(5), y, dy);
    node.max = INFINITY;
    const int relu = EMIT(node, SHAPE(5), y, dy);
    run();
    EXPECT(relu6, 0, 0, 2, 3, 0, 0);
    EXPECT(relu, 0, 0, 2, 3, 4, 0);
}

static void test_binary_values(void) {
    begin();
    const int a = tensor(SHAPE(2, 1, 2)), b = tensor(SHAPE(1, 2, 1));
    SET(a, 1, 2, 3, 4);
    SET(b, 10, 2);
    nac_node clamped = binary(NAC_BINARY_SUB);
    clamped.min = -7;
    clamped.max = 1;
    const int sub = EMIT(binary(NAC_BINARY_SUB), SHAPE(2, 2, 2), a, b), div = EMIT(binary(NAC_BINARY_DIV), SHAPE(2, 2, 2), b, a);
    const int max = EMIT(binary(NAC_BINARY_MAX), SHAPE(2, 2, 2), a, b), min = EMIT(binary(NAC_BINARY_MIN), SHAPE(2, 2, 2), a, b);
    const int cut = EMIT(clamped, SHAPE(2, 2, 2), a, b);
    const int square = EMIT(binary(NAC_BINARY_MUL), SHAPE(2, 1, 2), a, a), sum = EMIT(binary(NAC_BINARY_ADD), SHAPE(2, 1, 2), a, square);
    run();
    EXPECT(sub, 0, -9, -8, -1, 0, -7, -6, 1, 2);
    EXPECT(div, 1e-6, 10, 5, 2, 1, 10.0f / 3, 2.5f, 2.0f / 3, 0.5f);
    EXPECT(max, 0, 10, 10, 2, 2, 10, 10, 3, 4);
    EXPECT(min, 0, 1, 2, 1, 2, 3, 4, 2, 2);
    EXPECT(cut, 0, -7, -7, -1, 0, -7, -6, 1, 1);
    EXPECT(sum, 0, 2, 6, 12, 20);
}

static void test_binary_slopes(void) {
    for (int round = 0; round < 240; ++round) {
        seed = 6000 + (uint64_t)round;
        begin();
        const nac_binary kind = (nac_binary)(round % 6);
        nac_shape as = {.rank = pick(0, 4)}, bs = {.rank = as.rank}, ys = as;
        for (int i = 0; i < as.rank; ++i) {
            ys.dims[i] = pick(1, 4);
            as.dims[i] = pick(0, 2) ? ys.dims[i] : 1;
            bs.dims[i] = pick(0, 2) || as.dims[i] == 1 ? ys.dims[i] : 1;
        }
        const int a = tensor(as), b = tensor(bs);
        for (size_t i = 0; i < count_of(b); ++i) {
            float *number = data_of(b) + i;
            if (kind == NAC_BINARY_DIV) *number += *number < 0 ? -2.0f : 2.0f; /* away from 0 */
            if (kind == NAC_BINARY_MAX || kind == NAC_BINARY_MIN) *number = (float)pick(-2, 2) / 2 + 0.25f;
        }
        if (kind == NAC_BINARY_MAX || kind == NAC_BINARY_MIN) /* at least 1/4 apart */
            for (size_t i = 0; i < count_of(a); ++i) data_of(a)[i] = (float)pick(-2, 2) / 2;
        const int slot = pick(0, 1);
        EMIT(binary(kind), ys, a, b);
        check_slope(slot);
    }
}

static void test_sum_of_equal_shapes_passes_the_gradient_on(void) {
    begin();
    const int a = tensor(SHAPE(2, 3)), b = tensor(SHAPE(2, 3));
    EMIT(binary(NAC_BINARY_ADD), SHAPE(2, 3), a, b);
    int dy;
    const int dx = gradient_of_last(1, &dy);
    ENSURE(dx == dy);
}

/* PyTorch's rule: torch.max(a, b) with a == b gives each of them half. */
static void test_tie_is_split(void) {
    begin();
    const int a = tensor(SHAPE(3)), b = tensor(SHAPE(3));
    SET(a, 1, 2, 3);
    SET(b, 1, 3, 2);
    EMIT(binary(NAC_BINARY_MAX), SHAPE(3), a, b);
    int dy;
    const int da = gradient_of_last(0, &dy);
    const float *d = data_of(dy);
    ENSURE(data_of(da)[0] == d[0] / 2 && data_of(da)[1] == 0 && data_of(da)[2] == d[2]);
}

int main(void) {
    RUN(test_affine);
    RUN(test_affine_adjoint);
    RUN(test_unary_values);
    RUN(test_unary_clamps_and_keeps_nan);
    RUN(test_unary_slopes);
    RUN(test_unary_slopes_at_kinks);
    RUN(test_clamp_gradient);
    RUN(test_binary_values);
    RUN(test_binary_slopes);
    RUN(test_sum_of_equal_shapes_passes_the_gradient_on);
    RUN(test_tie_is_split);
    begin();
    return TEST_RESULT();
}
