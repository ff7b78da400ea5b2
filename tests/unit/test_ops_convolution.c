/* Convolution: cases worked out by hand, and the gradient by the adjoint identity on random geometry. */
#include "test_ops.h"

static nac_node convolution(nac_window window, int groups) {
    nac_node node = nac_node_make(NAC_OP_CONV, "conv");
    node.u.conv.window = window;
    node.u.conv.groups = groups;
    return node;
}

static const nac_window plain = {1, 1, 1, 1, 1, 1, 0, 0, 0, 0};

static void test_two_by_two(void) {
    begin();
    nac_window k = plain;
    k.kernel_h = k.kernel_w = 2;
    const int x = tensor(SHAPE(1, 3, 3, 1)), w = tensor(SHAPE(1, 2, 2, 1)), bias = tensor(SHAPE(1));
    SET(x, 1, 2, 3, 4, 5, 6, 7, 8, 9);
    SET(w, 1, 10, 100, 1000);
    SET(bias, 0.5f);
    const int y = EMIT(convolution(k, 1), SHAPE(1, 2, 2, 1), x, w, bias);
    run();
    /* 1*1 + 2*10 + 4*100 + 5*1000: correlation, the kernel is not flipped */
    EXPECT(y, 0, 5421.5f, 6532.5f, 8754.5f, 9865.5f);
}

static void test_padding_stride_dilation(void) {
    begin();
    /* H: 4 + 1 above, kernel 2 dilated by 2 (span 3), stride 2 -> 2 rows; W: one column. */
    nac_window k = {2, 1, 2, 1, 2, 1, 1, 0, 0, 0};
    const int x = tensor(SHAPE(1, 4, 1, 1)), w = tensor(SHAPE(1, 2, 1, 1));
    SET(x, 1, 2, 3, 4);
    SET(w, 10, 1);
    const int y = EMIT(convolution(k, 1), SHAPE(1, 2, 1, 1), x, w);
    run();
    EXPECT(y, 0, 10 * 0 + 2, 10 * 2 + 4);
}

static void test_groups_and_clamp(void) {
    begin();
    /* Two groups: output 0, 1 see channels 0, 1; output 2, 3 see channels 2, 3. */
    const int x = tensor(SHAPE(1, 1, 1, 4)), w = tensor(SHAPE(4, 1, 1, 2));
    SET(x, 1, 2, 3, 4);
    SET(w, 1, 1, 1, -1, 10, 1, -1, 0);
    nac_node node = convolution(plain, 2);
    const int y = EMIT(node, SHAPE(1, 1, 1, 4), x, w);
    node.min = 0;
    node.max = 6;
    const int clamped = EMIT(node, SHAPE(1, 1, 1, 4), x, w);
    run();
    EXPECT(y, 0, 3, -1, 34, -3);
    EXPECT(clamped, 0, 3, 0, 6, 0);
}

static void test_gradient_by_hand(void) {
    begin();
    /* x0 x1 x2 under [2, 3], stride 1: y0 = 2 x0 + 3 x1, y1 = 2 x1 + 3 x2. */
    nac_window k = plain;
    k.kernel_w = 2;
    nac_node node = nac_node_make(NAC_OP_CONV_GRAD, "conv");
    node.u.conv.window = k;
    node.u.conv.groups = 1;
    const int dy = tensor(SHAPE(1, 1, 2, 1)), w = tensor(SHAPE(1, 1, 2, 1));
    SET(dy, 1, 10);
    SET(w, 2, 3);
    const int dx = EMIT(node, SHAPE(1, 1, 3, 1), dy, w);
    run();
    EXPECT(dx, 0, 2, 23, 30);
}

/* A transposed convolution is the gradient of one, and has that one as its gradient. */
static void test_transposed_adjoint(void) {
    for (int round = 0; round < 200; ++round) {
        seed = 1500 + (uint64_t)round;
        begin();
        const int groups = pick(1, 3), Cig = pick(1, 4), Cog = pick(1, 4);
        const nac_window k = {pick(1, 4), pick(1, 4), pick(1, 3), pick(1, 3), pick(1, 3), pick(1, 3), pick(0, 1), pick(0, 1), pick(0, 1), pick(0, 1)};
        const int OH = pick(1, 5), OW = pick(1, 5);
        const int H = (OH - 1) * k.stride_h + (k.kernel_h - 1) * k.dilation_h + 1 - k.pad_top - k.pad_bottom + pick(0, k.stride_h - 1);
        const int W = (OW - 1) * k.stride_w + (k.kernel_w - 1) * k.dilation_w + 1 - k.pad_left - k.pad_right + pick(0, k.stride_w - 1);
        if (H < 1 || W < 1) continue;
        nac_node node = convolution(k, groups);
        node.op = NAC_OP_CONV_GRAD;
        const int x = tensor(SHAPE(2, OH, OW, groups * Cog)), w = tensor(SHAPE(groups * Cog, k.kernel_h, k.kernel_w, Cig));
        EMIT(node, SHAPE(2, H, W, groups * Cig), x, w);
        check_adjoint(0, 1);
    }
}

/* Odd sizes, strides that leave a rest, dilations, uneven padding, groups up to depthwise, and channel counts on both sides of
 * the block that the gradient sums at once. */
static void test_adjoint(void) {
    for (int round = 0; round < 200; ++round) {
        seed = 1000 + (uint64_t)round;
        begin();
        const int groups = pick(1, 4), depthwise = pick(0, 3) == 0;
        const int Cig = depthwise ? 1 : round % 20 == 0 ? pick(60, 70) : pick(1, 5), Cog = depthwise ? pick(1, 2) : pick(1, 4);
        const nac_window k = {pick(1, 4), pick(1, 4), pick(1, 3), pick(1, 3), pick(1, 3), pick(1, 3), pick(0, 3), pick(0, 3), pick(0, 3), pick(0, 3)};
        const int span_h = (k.kernel_h - 1) * k.dilation_h + 1, span_w = (k.kernel_w - 1) * k.dilation_w + 1;
        const int H = pick(1, 9), W = pick(1, 9);
        const int room_h = H + k.pad_top + k.pad_bottom - span_h, room_w = W + k.pad_left + k.pad_right - span_w;
        if (room_h < 0 || room_w < 0) continue;
        const int N = pick(1, 2);
        const int x = tensor(SHAPE(N, H, W, groups * Cig)), w = tensor(SHAPE(groups * Cog, k.kernel_h, k.kernel_w, Cig));
        EMIT(convolution(k, groups), SHAPE(N, room_h / k.stride_h + 1, room_w / k.stride_w + 1, groups * Cog), x, w);
        check_adjoint(0, 1);
    }
}

static void test_gradient_of_weights_is_refused(void) {
    begin();
    const int x = tensor(SHAPE(1, 1, 1, 1)), w = tensor(SHAPE(1, 1, 1, 1));
    const int y = EMIT(convolution(plain, 1), SHAPE(1, 1, 1, 1), x, w);
    int dx;
    ENSURE(nac_ops[NAC_OP_CONV].gradient(&graph, 0, 1, y, &dx, &error) == NAC_UNSUPPORTED);
    ENSURE(strstr(error.message, "'conv' (CONV)"));
}

int main(void) {
    RUN(test_two_by_two);
    RUN(test_padding_stride_dilation);
    RUN(test_groups_and_clamp);
    RUN(test_gradient_by_hand);
    RUN(test_adjoint);
    RUN(test_transposed_adjoint);
    RUN(test_gradient_of_weights_is_refused);
    begin();
    return TEST_RESULT();
}
