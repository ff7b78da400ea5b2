/* loops_window.c - sliding windows over [N,H,W,C]: average pooling and the gradients of both poolings. The innermost loop
 * always runs over channels, which lie side by side. */
#include <string.h>

#include "backend/loops.h"

/* ---- Average pooling ------------------------------------------------------------------------------- */

/* What the sum is divided by. With count_include_pad the padding counts, but not what hangs over it (ceil_mode). */
static int divisor(int start, int kernel, int dilation, int size, int pad_after, bool include_pad) {
    int first, end;
    if (!include_pad) {
        nac_valid_taps(start, kernel, dilation, size, &first, &end);
        return end - first;
    }
    int count = (size + pad_after - 1 - start) / dilation + 1;
    return count < kernel ? count : kernel;
}

/* y[c] += x[c], or = where it is the first. */
static void accumulate(float *restrict y, const float *restrict x, size_t C, bool first) {
    if (first)
        memcpy(y, x, C * sizeof *y);
    else
        for (size_t c = 0; c < C; ++c) y[c] += x[c];
}

static void average_pool(const nac_graph *graph, const nac_node *node) {
    const nac_value *x = &graph->values[node->inputs[0]], *y = &graph->values[node->output];
    const nac_window *v = &node->u.pool.window;
    bool include_pad = node->u.pool.count_include_pad;
    int N = x->shape.dims[0], H = x->shape.dims[1], W = x->shape.dims[2], OH = y->shape.dims[1], OW = y->shape.dims[2];
    size_t C = (size_t)x->shape.dims[3];
    float *out = y->data;
    for (int n = 0; n < N; ++n) {
        const float *image = (const float *)x->data + (size_t)n * (size_t)H * (size_t)W * C;
        for (int oy = 0; oy < OH; ++oy) {
            int top = oy * v->stride_h - v->pad_top, y0, y1;
            nac_valid_taps(top, v->kernel_h, v->dilation_h, H, &y0, &y1);
            int rows = divisor(top, v->kernel_h, v->dilation_h, H, v->pad_bottom, include_pad);
            for (int ox = 0; ox < OW; ++ox, out += C) {
                int left = ox * v->stride_w - v->pad_left, x0, x1;
                nac_valid_taps(left, v->kernel_w, v->dilation_w, W, &x0, &x1);
                int count = rows * divisor(left, v->kernel_w, v->dilation_w, W, v->pad_right, include_pad);
                bool first = true;
                for (int ky = y0; ky < y1; ++ky)
                    for (int kx = x0; kx < x1; ++kx, first = false)
                        accumulate(out, image + ((size_t)(top + ky * v->dilation_h) * (size_t)W + (size_t)(left + kx * v->dilation_w)) * C, C, first);
                if (first) memset(out, 0, C * sizeof *out);
                float scale = count > 0 ? 1.0f / (float)count : 0;
                for (size_t c = 0; c < C; ++c) out[c] *= scale;
            }
        }
    }
}

static void add_scaled(float *restrict to, const float *restrict from, float scale, size_t C) {
    for (size_t c = 0; c < C; ++c) to[c] += from[c] * scale;
}

static void average_pool_gradient(const nac_graph *graph, const nac_node *node) {
    const nac_value *dy = &graph->values[node->inputs[0]], *dx = &graph->values[node->output];
    const nac_window *v = &node->u.pool.window;
    bool include_pad = node->u.pool.count_include_pad;
    int N = dx->shape.dims[0], H = dx->shape.dims[1], W = dx->shape.dims[2], OH = dy->shape.dims[1], OW = dy->shape.dims[2];
    size_t C = (size_t)dx->shape.dims[3];
    const float *from = dy->data;
    memset(dx->data, 0, (size_t)N * (size_t)H * (size_t)W * C * sizeof(float));
    for (int n = 0; n < N; ++n) {
        float *image = (float *)dx->data + (size_t)n * (size_t)H * (size_t)W * C;
        for (int oy = 0; oy < OH; ++oy) {
            int top = oy * v->stride_h - v->pad_top, y0, y1;
            nac_valid_taps(top, v->kernel_h, v->dilation_h, H, &y0, &y1);
            int rows = divisor(top, v->kernel_h, v->dilation_h, H, v->pad_bottom, include_pad);
            for (int ox = 0; ox < OW; ++ox, from += C) {
                int left = ox * v->stride_w - v->pad_left, x0, x1;
                nac_valid_taps(left, v->kernel_w, v->dilation_w, W, &x0, &x1);
                int count = rows * divisor(left, v->kernel_w, v->dilation_w, W, v->pad_right, include_pad);
                for (int ky = y0; ky < y1; ++ky)
                    for (int kx = x0; kx < x1; ++kx)
                        add_scaled(image + ((size_t)(top + ky * v->dilation_h) * (size_t)W + (size_t)(left + kx * v->dilation_w)) * C, from,
                                   1.0f / (float)count, C);
            }
        }
    }
}

/* ---- Max pooling's gradient ------------------------------------------------------------------------ */

/* `rest` holds what no tap has taken yet: the first tap that equals the maximum takes dy, later ones find 0. */
static void give_to_maximum(float *restrict dx, float *restrict rest, const float *restrict x, const float *restrict y, size_t C) {
    for (size_t c = 0; c < C; ++c) {
        float r = rest[c], taken = x[c] == y[c] ? r : 0;
        dx[c] += taken;
        rest[c] = x[c] == y[c] ? 0 : r;
    }
}

static void max_pool_gradient(const nac_graph *graph, const nac_node *node) {
    enum { CHUNK = 64 }; /* channels whose `rest` stays in registers or L1 */
    const nac_value *x = &graph->values[node->inputs[0]], *y = &graph->values[node->inputs[1]], *dy = &graph->values[node->inputs[2]];
    const nac_value *dx = &graph->values[node->output];
    const nac_window *v = &node->u.pool.window;
    int N = x->shape.dims[0], H = x->shape.dims[1], W = x->shape.dims[2], OH = y->shape.dims[1], OW = y->shape.dims[2];
    size_t C = (size_t)x->shape.dims[3], pixel = 0;
    memset(dx->data, 0, (size_t)N * (size_t)H * (size_t)W * C * sizeof(float));
    for (int n = 0; n < N; ++n) {
        size_t image = (size_t)n * (size_t)H * (size_t)W * C;
        for (int oy = 0; oy < OH; ++oy) {
            int top = oy * v->stride_h - v->pad_top, y0, y1;
            nac_valid_taps(top, v->kernel_h, v->dilation_h, H, &y0, &y1);
            for (int ox = 0; ox < OW; ++ox, pixel += C) {
                int left = ox * v->stride_w - v->pad_left, x0, x1;
                nac_valid_taps(left, v->kernel_w, v->dilation_w, W, &x0, &x1);
                for (size_t c = 0; c < C; c += CHUNK) {
                    size_t count = C - c < CHUNK ? C - c : CHUNK;
                    float rest[CHUNK];
                    memcpy(rest, (const float *)dy->data + pixel + c, count * sizeof *rest);
                    for (int ky = y0; ky < y1; ++ky)
                        for (int kx = x0; kx < x1; ++kx) {
                            size_t at = image + ((size_t)(top + ky * v->dilation_h) * (size_t)W + (size_t)(left + kx * v->dilation_w)) * C + c;
                            give_to_maximum((float *)dx->data + at, rest, (const float *)x->data + at, (const float *)y->data + pixel + c, count);
                        }
                }
            }
        }
    }
}

const nac_loop *nac_loop_find_window(const nac_graph *graph, const nac_node *node) {
    static const nac_loop average = {"loop over windows", average_pool, false};
    static const nac_loop average_gradient = {"loop over windows", average_pool_gradient, false};
    static const nac_loop max_gradient = {"loop over windows", max_pool_gradient, false};
    (void)graph;
    switch (node->op) {
    case NAC_OP_AVERAGE_POOL: return &average;
    case NAC_OP_AVERAGE_POOL_GRAD: return &average_gradient;
    case NAC_OP_MAX_POOL_GRAD: return &max_gradient;
    default: return NULL;
    }
}
