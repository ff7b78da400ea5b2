/* Pooling: cases worked out by hand, gradients by finite differences and by the adjoint identity. */
#include "test_ops.h"

static nac_node pool(nac_op op, nac_window window, bool count_include_pad) {
    nac_node node = nac_node_make(op, "pool");
    node.u.pool.window = window;
    node.u.pool.count_include_pad = count_include_pad;
    return node;
}

/* kernel, stride, padding of one row */
static nac_window row(int kernel, int stride, int left, int right) {
    return (nac_window){1, kernel, 1, stride, 1, 1, 0, left, 0, right};
}

static void test_max(void) {
    begin();
    const int x = tensor(SHAPE(1, 1, 5, 2));
    SET(x, -1, 9, -2, 8, -3, 7, -1, 6, -5, 5);
    /* windows (pad, 0), (1, 2), (3, 4): padding would win as 0 in the first */
    const int y = EMIT(pool(NAC_OP_MAX_POOL, row(2, 2, 1, 0), false), SHAPE(1, 1, 3, 2), x);
    nac_node node = pool(NAC_OP_MAX_POOL, row(2, 2, 1, 0), false);
    node.min = -2;
    node.max = 7;
    const int clamped = EMIT(node, SHAPE(1, 1, 3, 2), x);
    run();
    EXPECT(y, 0, -1, 9, -2, 8, -1, 6);
    EXPECT(clamped, 0, -1, 7, -2, 7, -1, 6);
}

static void test_max_of_nan_is_nan(void) {
    begin();
    const int x = tensor(SHAPE(1, 1, 3, 1));
    SET(x, 1, NAN, 2);
    const int y = EMIT(pool(NAC_OP_MAX_POOL, row(3, 1, 0, 0), false), SHAPE(1, 1, 1, 1), x);
    run();
    ENSURE(isnan(data_of(y)[0]));
}

static void test_first_maximum_takes_all(void) {
    begin();
    /* A tie in each window; windows overlap, so the 5 in the middle is the first maximum of the second one only. */
    const int x = tensor(SHAPE(1, 1, 5, 1)), dy = tensor(SHAPE(1, 1, 2, 1));
    SET(x, 5, 1, 5, 5, 2);
    SET(dy, 10, 100);
    const int y = EMIT(pool(NAC_OP_MAX_POOL, row(3, 2, 0, 0), false), SHAPE(1, 1, 2, 1), x);
    const int dx = EMIT(pool(NAC_OP_MAX_POOL_GRAD, row(3, 2, 0, 0), false), SHAPE(1, 1, 5, 1), x, y, dy);
    run();
    EXPECT(y, 0, 5, 5);
    EXPECT(dx, 0, 10, 0, 100, 0, 0);
}

static void test_average_counts(void) {
    begin();
    const int x = tensor(SHAPE(1, 1, 4, 1));
    SET(x, 1, 2, 3, 4);
    /* (pad 1 2) (2 3 4) (4 pad over): ceil_mode's last window hangs one over the padding of one */
    const int without = EMIT(pool(NAC_OP_AVERAGE_POOL, row(3, 2, 1, 1), false), SHAPE(1, 1, 3, 1), x);
    const int with = EMIT(pool(NAC_OP_AVERAGE_POOL, row(3, 2, 1, 1), true), SHAPE(1, 1, 3, 1), x);
    run();
    EXPECT(without, 1e-6, 1.5f, 3, 4);
    EXPECT(with, 1e-6, 1, 3, 2);
}

static void test_average_gradient_by_hand(void) {
    begin();
    const int dy = tensor(SHAPE(1, 1, 3, 1));
    SET(dy, 6, 60, 600);
    const int dx = EMIT(pool(NAC_OP_AVERAGE_POOL_GRAD, row(3, 2, 1, 1), false), SHAPE(1, 1, 4, 1), dy);
    run();
    /* shares 1/2, 1/3, 1 as above */
    EXPECT(dx, 1e-5, 3, 3 + 20, 20, 20 + 600);
}

/* Random geometry whose windows all see the input; ceil_mode by chance. False: none such. */
static bool random_window(int H, int W, bool dilate, nac_window *k, int *OH, int *OW) {
    *k = (nac_window){pick(1, 4), pick(1, 4), pick(1, 3), pick(1, 3), 1, 1, 0, 0, 0, 0};
    if (dilate) {
        k->dilation_h = pick(1, 2);
        k->dilation_w = pick(1, 2);
    }
    k->pad_top = pick(0, k->kernel_h - 1);
    k->pad_left = pick(0, k->kernel_w - 1);
    k->pad_bottom = pick(0, k->kernel_h - 1);
    k->pad_right = pick(0, k->kernel_w - 1);
    const int room_h = H + k->pad_top + k->pad_bottom - (k->kernel_h - 1) * k->dilation_h - 1;
    const int room_w = W + k->pad_left + k->pad_right - (k->kernel_w - 1) * k->dilation_w - 1;
    if (room_h < 0 || room_w < 0) return false;
    *OH = room_h / k->stride_h + 1;
    *OW = room_w / k->stride_w + 1;
    if (pick(0, 1)) { /* ceil_mode */
        if (room_h % k->stride_h && *OH * k->stride_h < H + k->pad_top) ++*OH;
        if (room_w % k->stride_w && *OW * k->stride_w < W + k->pad_left) ++*OW;
    }
    /* The last window may otherwise lie in the bottom padding, which the lowering refuses. */
    return (*OH - 1) * k->stride_h - k->pad_top < H && (*OW - 1) * k->stride_w - k->pad_left < W;
}

static void test_average_adjoint(void) {
    for (int round = 0; round < 200; ++round) {
        seed = 2000 + (uint64_t)round;
        begin();
        const int N = pick(1, 2), H = pick(1, 9), W = pick(1, 9), C = round % 10 == 0 ? pick(60, 70) : pick(1, 5);
        nac_window k;
        int OH, OW;
        if (!random_window(H, W, false, &k, &OH, &OW)) continue;
        const int x = tensor(SHAPE(N, H, W, C));
        EMIT(pool(NAC_OP_AVERAGE_POOL, k, pick(0, 1) != 0), SHAPE(N, OH, OW, C), x);
        check_adjoint(0, 1);
    }
}

/* Numbers 1/4 apart in random order: no step of finite differences makes another one the maximum. */
static void test_max_slope(void) {
    for (int round = 0; round < 200; ++round) {
        seed = 3000 + (uint64_t)round;
        begin();
        const int N = pick(1, 2), H = pick(1, 6), W = pick(1, 6), C = round % 10 == 0 ? pick(60, 70) : pick(1, 4);
        nac_window k;
        int OH, OW;
        if (!random_window(H, W, true, &k, &OH, &OW)) continue;
        const int x = tensor(SHAPE(N, H, W, C));
        for (int c = 0; c < C; ++c)
            for (int n = 0; n < N; ++n) {
                float *plane = data_of(x) + n * H * W * C + c; /* a shuffle of 0 .. H W - 1 */
                for (int i = 0; i < H * W; ++i) {
                    const int j = pick(0, i);
                    plane[i * C] = plane[j * C];
                    plane[j * C] = (float)i / 4 - 2;
                }
            }
        EMIT(pool(NAC_OP_MAX_POOL, k, false), SHAPE(N, OH, OW, C), x);
        bool filled = true; /* dilated windows may step over a small input */
        run();
        for (size_t i = 0; i < count_of(graph.nodes[0].output); ++i) filled = filled && isfinite(data_of(graph.nodes[0].output)[i]);
        if (filled) check_slope(0);
    }
}

int main(void) {
    RUN(test_max);
    RUN(test_max_of_nan_is_nan);
    RUN(test_first_maximum_takes_all);
    RUN(test_average_counts);
    RUN(test_average_gradient_by_hand);
    RUN(test_average_adjoint);
    RUN(test_max_slope);
    begin();
    return TEST_RESULT();
}
