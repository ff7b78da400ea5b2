/* loops_depthwise.c - depthwise convolution and its gradient on [N,H,W,C], weights [kh,kw,C].
 *
 * A depthwise tap is one multiply-add for two loads, so loads are what bounds it. Four neighbouring outputs of a row share the
 * weights and, as far as their windows overlap, the pixels: 0.75 loads a multiply-add for a 3x3 window at stride 1, not 2. With
 * relaxed SIMD that is 31 to 34 GFLOP/s, and 26 for 7x7, where XNNPACK's depthwise kernels reach 11, and 3. */
#include <math.h>

#include "backend/loops.h"
#include "backend/simd.h"

static inline nac_f4 clamp4(nac_f4 v, nac_f4 low, nac_f4 high) { return nac_min4(nac_max4(v, low), high); }

/* y[c] = start[c] + sum over taps of x[t][c] * w[t][c], clamped; the sum in registers, in the order of the taps. start may be y, or
 * NULL for 0. */
static void sum_taps(float *y, const float *const *x, const float *const *w, int taps, size_t C, const float *start, float low, float high) {
    const nac_f4 low4 = nac_splat4(low), high4 = nac_splat4(high), zero = nac_splat4(0);
    size_t c = 0;
    for (; c + 8 <= C; c += 8) {
        nac_f4 a = start ? nac_load4(start + c) : zero, b = start ? nac_load4(start + c + 4) : zero;
        for (int t = 0; t < taps; ++t) {
            a = nac_madd4(nac_load4(x[t] + c), nac_load4(w[t] + c), a);
            b = nac_madd4(nac_load4(x[t] + c + 4), nac_load4(w[t] + c + 4), b);
        }
        nac_store4(y + c, clamp4(a, low4, high4));
        nac_store4(y + c + 4, clamp4(b, low4, high4));
    }
    for (; c < C; ++c) {
        float sum = start ? start[c] : 0;
        for (int t = 0; t < taps; ++t) sum += x[t][c] * w[t][c];
        sum = sum < low ? low : sum;
        y[c] = sum > high ? high : sum;
    }
}

/* ---- Forward --------------------------------------------------------------------------------------- */

/* Four outputs beside each other whose windows lie inside the image's width. x and w point to the first of `rows` rows of the
 * window that lie inside its height. K and S, kernel width and stride, are constants where this is inlined. */
static inline __attribute__((always_inline)) void four_outputs(float *y, const float *x, size_t row, const float *w, int rows, size_t C, size_t K,
                                                               size_t S, const float *bias, float low, float high) {
    const nac_f4 low4 = nac_splat4(low), high4 = nac_splat4(high);
    size_t c = 0;
    for (; c + 4 <= C; c += 4) {
        nac_f4 a0 = nac_load4(bias + c), a1 = a0, a2 = a0, a3 = a0;
        const float *from = x + c, *weight = w + c;
        for (int r = 0; r < rows; ++r, from += row, weight += K * C) {
#define TAP(sum, j, first) \
    if ((j) >= (first) && (j) < (first) + K) sum = nac_madd4(v, nac_load4(weight + ((j) - (first)) * C), sum)
#define COLUMN(j)                                  \
    if ((j) < K + 3 * S) {                         \
        const nac_f4 v = nac_load4(from + (j) * C); \
        TAP(a0, (size_t)(j), 0);                   \
        TAP(a1, (size_t)(j), S);                   \
        TAP(a2, (size_t)(j), 2 * S);               \
        TAP(a3, (size_t)(j), 3 * S);               \
    }
            COLUMN(0) COLUMN(1) COLUMN(2) COLUMN(3) COLUMN(4) COLUMN(5) COLUMN(6) COLUMN(7) COLUMN(8) COLUMN(9) COLUMN(10) COLUMN(11) COLUMN(12)
#undef COLUMN
#undef TAP
        }
        nac_store4(y + c, clamp4(a0, low4, high4));
        nac_store4(y + C + c, clamp4(a1, low4, high4));
        nac_store4(y + 2 * C + c, clamp4(a2, low4, high4));
        nac_store4(y + 3 * C + c, clamp4(a3, low4, high4));
    }
    for (; c < C; ++c)
        for (size_t i = 0; i < 4; ++i) {
            float sum = bias[c];
            for (size_t r = 0; r < (size_t)rows; ++r)
                for (size_t k = 0; k < K; ++k) sum += x[r * row + (i * S + k) * C + c] * w[(r * K + k) * C + c];
            sum = sum < low ? low : sum;
            y[i * C + c] = sum > high ? high : sum;
        }
}

typedef void (*four_function)(float *y, const float *x, size_t row, const float *w, int rows, size_t C, const float *bias, float low, float high);

#define FOUR_FUNCTION(K, S)                                                                                                              \
    static void four_##K##_##S(float *y, const float *x, size_t row, const float *w, int rows, size_t C, const float *bias, float low, \
                               float high) {                                                                                           \
        four_outputs(y, x, row, w, rows, C, K, S, bias, low, high);                                                                    \
    }
FOUR_FUNCTION(3, 1)
FOUR_FUNCTION(3, 2)
FOUR_FUNCTION(5, 1)
FOUR_FUNCTION(5, 2)
FOUR_FUNCTION(7, 1)
FOUR_FUNCTION(7, 2)

/* NULL where outputs are made one by one. */
static four_function find_four(const nac_window *v) {
    if (v->dilation_w != 1 || (v->stride_w != 1 && v->stride_w != 2)) return NULL;
    switch (v->kernel_w) {
    case 3: return v->stride_w == 1 ? four_3_1 : four_3_2;
    case 5: return v->stride_w == 1 ? four_5_1 : four_5_2;
    case 7: return v->stride_w == 1 ? four_7_1 : four_7_2;
    default: return NULL;
    }
}

enum { TAPS = 64 }; /* summed at once; larger windows in several goes */

/* One output: the taps at rows [y0,y1) of the window. Clamped only behind the last go. */
static void one_output(float *y, const float *image, int W, size_t C, const nac_window *v, int top, int left, int y0, int y1, const float *w,
                       const float *bias, float low, float high) {
    const float *from[TAPS], *weight[TAPS];
    int x0, x1, taps = 0;
    nac_valid_taps(left, v->kernel_w, v->dilation_w, W, &x0, &x1);
    for (int ky = y0; ky < y1; ++ky)
        for (int kx = x0; kx < x1; ++kx) {
            if (taps == TAPS) {
                sum_taps(y, from, weight, taps, C, bias, -INFINITY, INFINITY);
                bias = y;
                taps = 0;
            }
            from[taps] = image + ((size_t)(top + ky * v->dilation_h) * (size_t)W + (size_t)(left + kx * v->dilation_w)) * C;
            weight[taps++] = w + ((size_t)ky * (size_t)v->kernel_w + (size_t)kx) * C;
        }
    sum_taps(y, from, weight, taps, C, bias, low, high);
}

void nac_loop_depthwise(const float *x, const int x_dims[4], const float *w, const float *bias, const nac_window *v, float low, float high, float *y,
                        const int y_dims[4]) {
    int N = x_dims[0], H = x_dims[1], W = x_dims[2], OH = y_dims[1], OW = y_dims[2];
    size_t C = (size_t)x_dims[3];
    const four_function four = v->dilation_h == 1 ? find_four(v) : NULL;
    /* Outputs whose windows lie inside the width: [inner, outer). */
    int inner = (v->pad_left + v->stride_w - 1) / v->stride_w, outer = W + v->pad_left >= v->kernel_w ? (W + v->pad_left - v->kernel_w) / v->stride_w + 1 : 0;
    if (outer > OW) outer = OW;
    for (int n = 0; n < N; ++n, x += (size_t)H * (size_t)W * C)
        for (int oy = 0; oy < OH; ++oy) {
            int top = oy * v->stride_h - v->pad_top, y0, y1;
            nac_valid_taps(top, v->kernel_h, v->dilation_h, H, &y0, &y1);
            for (int ox = 0; ox < OW;) {
                int left = ox * v->stride_w - v->pad_left;
                if (four && ox >= inner && ox + 4 <= outer && y0 < y1) {
                    four(y, x + ((size_t)(top + y0) * (size_t)W + (size_t)left) * C, (size_t)W * C, w + (size_t)y0 * (size_t)v->kernel_w * C, y1 - y0, C,
                         bias, low, high);
                    ox += 4;
                    y += 4 * C;
                } else {
                    one_output(y, x, W, C, v, top, left, y0, y1, w, bias, low, high);
                    ox += 1;
                    y += C;
                }
            }
        }
}

/* ---- Gradient -------------------------------------------------------------------------------------- */

/* The windows that hold input row i = t - pad: taps k[0..n) and the output rows (t - k * dilation) / stride they belong to. */
static int covering(int t, int kernel, int stride, int dilation, int out, int *k, int *row) {
    int n = 0;
    if (dilation == 1) { /* without a division a tap: a pixel has few multiply-adds to hide it behind */
        for (int tap = t % stride, at = t / stride; tap < kernel && at >= 0; tap += stride, --at)
            if (at < out) k[n] = tap, row[n++] = at;
        return n;
    }
    for (int tap = 0; tap < kernel && t - tap * dilation >= 0; ++tap)
        if ((t - tap * dilation) % stride == 0 && (t - tap * dilation) / stride < out) k[n] = tap, row[n++] = (t - tap * dilation) / stride;
    return n;
}

void nac_loop_depthwise_gradient(const float *dy, const int dy_dims[4], const float *w, const nac_window *v, float *dx, const int dx_dims[4]) {
    const float *from[TAPS], *weight[TAPS];
    int ky[NAC_DEPTHWISE_MAX], kx[NAC_DEPTHWISE_MAX], oy[NAC_DEPTHWISE_MAX], ox[NAC_DEPTHWISE_MAX];
    int N = dx_dims[0], H = dx_dims[1], W = dx_dims[2], OH = dy_dims[1], OW = dy_dims[2];
    size_t C = (size_t)dx_dims[3];
    for (int n = 0; n < N; ++n, dy += (size_t)OH * (size_t)OW * C)
        for (int iy = 0; iy < H; ++iy) {
            int rows = covering(iy + v->pad_top, v->kernel_h, v->stride_h, v->dilation_h, OH, ky, oy);
            for (int ix = 0; ix < W; ++ix, dx += C) {
                int columns = covering(ix + v->pad_left, v->kernel_w, v->stride_w, v->dilation_w, OW, kx, ox), taps = 0;
                const float *start = NULL;
                for (int r = 0; r < rows; ++r)
                    for (int c = 0; c < columns; ++c) {
                        if (taps == TAPS) {
                            sum_taps(dx, from, weight, taps, C, start, -INFINITY, INFINITY);
                            start = dx;
                            taps = 0;
                        }
                        from[taps] = dy + ((size_t)oy[r] * (size_t)OW + (size_t)ox[c]) * C;
                        weight[taps++] = w + ((size_t)ky[r] * (size_t)v->kernel_w + (size_t)kx[c]) * C;
                    }
                sum_taps(dx, from, weight, taps, C, start, -INFINITY, INFINITY);
            }
        }
}
