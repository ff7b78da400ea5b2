/* pool.c - sliding maxima and means, and their gradients. */
#include <float.h>
#include <string.h>

#include "ops/common.h"
#include "ops/window.h"

/* Sizes of the input [N,H,W,C] and of the output [N,OH,OW,C] of the forward node. */
typedef struct sizes {
    int N, H, W, C, OH, OW;
} sizes;

static sizes sizes_of(const nac_graph *graph, int x, int y) {
    const int *xd = graph->values[x].shape.dims, *yd = graph->values[y].shape.dims;
    return (sizes){xd[0], xd[1], xd[2], xd[3], yd[1], yd[2]};
}

/* x [N,H,W,C] -> y [N,OH,OW,C]. Padding never wins; NaN does, as in PyTorch. */
void nac_run_MAX_POOL(const nac_graph *graph, const nac_node *node) {
    const sizes s = sizes_of(graph, node->inputs[0], node->output);
    const nac_window k = node->u.pool.window;
    const float *x = nac_data(graph, node->inputs[0]);
    float *y = nac_data(graph, node->output);
    for (int n = 0; n < s.N; ++n)
        for (int oh = 0; oh < s.OH; ++oh)
            for (int ow = 0; ow < s.OW; ++ow, y += s.C) {
                for (int c = 0; c < s.C; ++c) y[c] = -INFINITY;
                for (int kh = 0; kh < k.kernel_h; ++kh) {
                    const int h = oh * k.stride_h - k.pad_top + kh * k.dilation_h;
                    if (h < 0 || h >= s.H) continue;
                    for (int kw = 0; kw < k.kernel_w; ++kw) {
                        const int w = ow * k.stride_w - k.pad_left + kw * k.dilation_w;
                        if (w < 0 || w >= s.W) continue;
                        const float *pixel = x + ((n * s.H + h) * s.W + w) * s.C;
                        for (int c = 0; c < s.C; ++c) y[c] = pixel[c] > y[c] || pixel[c] != pixel[c] ? pixel[c] : y[c];
                    }
                }
                for (int c = 0; c < s.C; ++c) y[c] = nac_clamp(y[c], node->min, node->max);
            }
}

/* x [N,H,W,C], y and dy [N,OH,OW,C] -> dx [N,H,W,C]. The first element of a window, along W and then H, that equals the
 * maximum takes the window's dy: PyTorch's rule. Where windows overlap dx is a float sum of few numbers. A y that a fused
 * clamp has changed equals no x; its dy is zero already. */
void nac_run_MAX_POOL_GRAD(const nac_graph *graph, const nac_node *node) {
    const sizes s = sizes_of(graph, node->inputs[0], node->inputs[1]);
    const nac_window k = node->u.pool.window;
    const float *x = nac_data(graph, node->inputs[0]), *y = nac_data(graph, node->inputs[1]), *dy = nac_data(graph, node->inputs[2]);
    float *dx = nac_data(graph, node->output);
    memset(dx, 0, nac_elements(&graph->values[node->output].shape) * sizeof *dx);
    for (int n = 0; n < s.N; ++n)
        for (int oh = 0; oh < s.OH; ++oh)
            for (int ow = 0; ow < s.OW; ++ow, y += s.C, dy += s.C)
                for (int c0 = 0; c0 < s.C; c0 += NAC_BLOCK) {
                    const int count = nac_min_int(NAC_BLOCK, s.C - c0);
                    float left[NAC_BLOCK]; /* dy, until it is given away */
                    for (int c = 0; c < count; ++c) left[c] = dy[c0 + c];
                    for (int kh = 0; kh < k.kernel_h; ++kh) {
                        const int h = oh * k.stride_h - k.pad_top + kh * k.dilation_h;
                        if (h < 0 || h >= s.H) continue;
                        for (int kw = 0; kw < k.kernel_w; ++kw) {
                            const int w = ow * k.stride_w - k.pad_left + kw * k.dilation_w;
                            if (w < 0 || w >= s.W) continue;
                            const int at = ((n * s.H + h) * s.W + w) * s.C + c0;
                            for (int c = 0; c < count; ++c) {
                                const bool wins = x[at + c] == y[c0 + c];
                                dx[at + c] += wins ? left[c] : 0.0f;
                                left[c] = wins ? 0.0f : left[c];
                            }
                        }
                    }
                }
}

/* One over the number of elements that window `o` of an axis averages over. With count_include_pad the padding counts, but not
 * what ceil_mode hangs over it. */
static double window_share(int o, int kernel, int stride, int before, int after, int size, bool count_include_pad) {
    int start = o * stride - before, end = nac_min_int(start + kernel, size + after);
    if (!count_include_pad) {
        start = start > 0 ? start : 0;
        end = nac_min_int(end, size);
    }
    return 1.0 / (end - start);
}

/* x [N,H,W,C] -> y [N,OH,OW,C]. */
void nac_run_AVERAGE_POOL(const nac_graph *graph, const nac_node *node) {
    const sizes s = sizes_of(graph, node->inputs[0], node->output);
    const nac_window k = node->u.pool.window;
    const bool include = node->u.pool.count_include_pad;
    const float *x = nac_data(graph, node->inputs[0]);
    float *y = nac_data(graph, node->output);
    for (int n = 0; n < s.N; ++n)
        for (int oh = 0; oh < s.OH; ++oh)
            for (int ow = 0; ow < s.OW; ++ow, y += s.C) {
                const double share = window_share(oh, k.kernel_h, k.stride_h, k.pad_top, k.pad_bottom, s.H, include) *
                                     window_share(ow, k.kernel_w, k.stride_w, k.pad_left, k.pad_right, s.W, include);
                for (int c0 = 0; c0 < s.C; c0 += NAC_BLOCK) {
                    const int count = nac_min_int(NAC_BLOCK, s.C - c0);
                    double sum[NAC_BLOCK] = {0};
                    for (int kh = 0; kh < k.kernel_h; ++kh) {
                        const int h = oh * k.stride_h - k.pad_top + kh;
                        if (h < 0 || h >= s.H) continue;
                        for (int kw = 0; kw < k.kernel_w; ++kw) {
                            const int w = ow * k.stride_w - k.pad_left + kw;
                            if (w < 0 || w >= s.W) continue;
                            const float *pixel = x + ((n * s.H + h) * s.W + w) * s.C + c0;
                            for (int c = 0; c < count; ++c) sum[c] += (double)pixel[c];
                        }
                    }
                    for (int c = 0; c < count; ++c) y[c0 + c] = nac_clamp((float)(sum[c] * share), node->min, node->max);
                }
            }
}

/* dy [N,OH,OW,C] -> dx [N,H,W,C]: every pixel gathers its share of the windows that saw it. */
void nac_run_AVERAGE_POOL_GRAD(const nac_graph *graph, const nac_node *node) {
    const sizes s = sizes_of(graph, node->output, node->inputs[0]);
    const nac_window k = node->u.pool.window;
    const bool include = node->u.pool.count_include_pad;
    const float *dy = nac_data(graph, node->inputs[0]);
    float *dx = nac_data(graph, node->output);
    for (int n = 0; n < s.N; ++n)
        for (int h = 0; h < s.H; ++h)
            for (int w = 0; w < s.W; ++w, dx += s.C)
                for (int c0 = 0; c0 < s.C; c0 += NAC_BLOCK) {
                    const int count = nac_min_int(NAC_BLOCK, s.C - c0);
                    double sum[NAC_BLOCK] = {0};
                    for (int kh = 0; kh < k.kernel_h; ++kh) {
                        const int oh = nac_window_source(h + k.pad_top - kh, k.stride_h, s.OH);
                        if (oh < 0) continue;
                        const double share_h = window_share(oh, k.kernel_h, k.stride_h, k.pad_top, k.pad_bottom, s.H, include);
                        for (int kw = 0; kw < k.kernel_w; ++kw) {
                            const int ow = nac_window_source(w + k.pad_left - kw, k.stride_w, s.OW);
                            if (ow < 0) continue;
                            const double share = share_h * window_share(ow, k.kernel_w, k.stride_w, k.pad_left, k.pad_right, s.W, include);
                            const float *d = dy + ((n * s.OH + oh) * s.OW + ow) * s.C + c0;
                            for (int c = 0; c < count; ++c) sum[c] += share * (double)d[c];
                        }
                    }
                    for (int c = 0; c < count; ++c) dx[c0 + c] = nac_clamp((float)sum[c], node->min, node->max);
                }
}

/* Emits the gradient `op` of a pool with the given inputs, in the shape and memory order of the forward node's input. */
static nac_status emit_gradient(nac_graph *graph, int node, nac_op op, const int *inputs, int input_count, int *dx, nac_error *error) {
    const nac_node forward = graph->nodes[node];
    const nac_shape shape = graph->values[forward.inputs[0]].shape;
    nac_node gradient = nac_node_make(op, forward.name);
    gradient.u = forward.u;
    return nac_graph_emit(graph, gradient, inputs, input_count, NULL, &shape, graph->values[forward.inputs[0]].layout, dx, error);
}

NAC_GRADIENT(MAX_POOL) {
    (void)slot;
    const int inputs[3] = {graph->nodes[node].inputs[0], graph->nodes[node].output, dy};
    return emit_gradient(graph, node, NAC_OP_MAX_POOL_GRAD, inputs, 3, dx, error);
}

NAC_GRADIENT(AVERAGE_POOL) {
    (void)slot;
    return emit_gradient(graph, node, NAC_OP_AVERAGE_POOL_GRAD, &dy, 1, dx, error);
}

/* ---- ONNX -------------------------------------------------------------------------------------- */

/* Whether every window of an axis sees at least one element of the input: a maximum or mean over padding alone means nothing. */
static bool windows_are_filled(int count, int kernel, int stride, int dilation, int before, int size) {
    for (int o = 0; o < count; ++o) {
        const int start = o * stride - before;
        const int first = start >= 0 ? 0 : (-start - 1) / dilation + 1; /* tap of the kernel that lies at 0 or behind it */
        if (first >= kernel || start + first * dilation >= size) return false;
    }
    return true;
}

/* The pool of x, an image that lies channels-last and has ONNX's shape xs, by the attributes of lowering->node. */
static nac_status pool_image(nac_lowering *lowering, nac_node node, bool dilations, int x, nac_shape xs, int axes, int *result) {
    int kernel_count, kernel[2] = {1, 1}, out[2];
    int64_t kernel_shape[NAC_MAX_RANK], ceil_mode;
    NAC_TRY(nac_attribute_ints(lowering, "kernel_shape", kernel_shape, NAC_MAX_RANK, &kernel_count));
    NAC_TRY(nac_attribute_int(lowering, "ceil_mode", 0, &ceil_mode));
    bool sound = kernel_count == axes;
    for (int i = 0; i < kernel_count && sound; ++i) {
        sound = kernel_shape[i] >= 1 && kernel_shape[i] <= INT16_MAX;
        if (sound) kernel[2 - axes + i] = (int)kernel_shape[i];
    }
    if (!sound) return nac_lower_fail(lowering, NAC_UNSUPPORTED, "kernel_shape must hold %d from 1 to %d", axes, INT16_MAX);
    nac_window *k = &node.u.pool.window;
    NAC_TRY(nac_lower_window(lowering, axes, &xs.dims[2], kernel, ceil_mode != 0, k, out));
    if (!dilations && (k->dilation_h != 1 || k->dilation_w != 1))
        return nac_lower_fail(lowering, NAC_UNSUPPORTED, "dilations %dx%d of an average are not supported", k->dilation_h, k->dilation_w);
    if (!windows_are_filled(out[0], k->kernel_h, k->stride_h, k->dilation_h, k->pad_top, xs.dims[2]) ||
        !windows_are_filled(out[1], k->kernel_w, k->stride_w, k->dilation_w, k->pad_left, xs.dims[3]))
        return nac_lower_fail(lowering, NAC_UNSUPPORTED, "a window lies in the padding altogether");
    const nac_shape shape = nac_shape_make(4, (const int[]){xs.dims[0], out[0], out[1], xs.dims[1]});
    return nac_lower_emit(lowering, node, &x, 1, &shape, NAC_CHANNELS_LAST, result);
}

static nac_status lower_pool(nac_lowering *lowering, nac_node node, bool dilations) {
    int x, y, axes;
    nac_shape xs;
    NAC_TRY(nac_lower_image(lowering, 0, &x, &xs, &axes));
    NAC_TRY(pool_image(lowering, node, dilations, x, xs, axes, &y));
    return nac_lower_bind_image(lowering, y, axes);
}

/* Its output Indices is not made: whoever reads it is refused. */
nac_status nac_lower_MaxPool(nac_lowering *lowering) {
    return lower_pool(lowering, nac_node_make(NAC_OP_MAX_POOL, lowering->node->name), true);
}

/* [N,C,D,H,W] by windows of k x 1 x 1: how PyTorch writes the mean of neighbouring channels (nn.LocalResponseNorm). Pixels are channels here,
 * and nothing moves. */
static nac_status lower_average_of_planes(nac_lowering *lowering, int x) {
    int64_t kernel[3], numbers[6];
    int count;
    NAC_TRY(nac_as_row_major(lowering, x, &x));
    const nac_shape volume = lowering->graph->values[x].shape;
    NAC_TRY(nac_attribute_ints(lowering, "kernel_shape", kernel, 3, &count));
    bool along_depth = count == 3 && kernel[0] >= 1 && kernel[0] <= volume.dims[2] && kernel[1] == 1 && kernel[2] == 1;
    NAC_TRY(nac_attribute_ints(lowering, "strides", numbers, 3, &count));
    for (int i = 0; i < count; ++i) along_depth = along_depth && numbers[i] == 1;
    NAC_TRY(nac_attribute_ints(lowering, "pads", numbers, 6, &count));
    for (int i = 0; i < count; ++i) along_depth = along_depth && numbers[i] == 0;
    if (!along_depth)
        return nac_lower_fail(lowering, NAC_UNSUPPORTED, "input 0 has rank 5; of such only windows of k x 1 x 1, with strides of 1 and no padding, are supported");
    const int *d = volume.dims, depth = d[2] - (int)kernel[0] + 1;
    const nac_shape planes = nac_shape_make(4, (const int[]){d[0] * d[1], d[2], 1, d[3] * d[4]});
    const nac_shape averaged = nac_shape_make(4, (const int[]){d[0] * d[1], depth, 1, d[3] * d[4]});
    const nac_shape result = nac_shape_make(5, (const int[]){d[0], d[1], depth, d[3], d[4]});
    nac_node node = nac_node_make(NAC_OP_AVERAGE_POOL, lowering->node->name);
    node.u.pool.window = (nac_window){.kernel_h = (int)kernel[0], .kernel_w = 1, .stride_h = 1, .stride_w = 1, .dilation_h = 1, .dilation_w = 1};
    NAC_TRY(nac_lower_emit(lowering, nac_node_make(NAC_OP_RESHAPE, NULL), &x, 1, &planes, NAC_CHANNELS_LAST, &x));
    NAC_TRY(nac_lower_emit(lowering, node, &x, 1, &averaged, NAC_CHANNELS_LAST, &x));
    NAC_TRY(nac_lower_emit(lowering, nac_node_make(NAC_OP_RESHAPE, NULL), &x, 1, &result, NAC_ROW_MAJOR, &x));
    return nac_lower_bind(lowering, 0, x);
}

nac_status nac_lower_AveragePool(nac_lowering *lowering) {
    int64_t include;
    int x;
    NAC_TRY(nac_lower_float(lowering, 0, &x));
    if (lowering->graph->values[x].shape.rank == 5) return lower_average_of_planes(lowering, x);
    NAC_TRY(nac_attribute_int(lowering, "count_include_pad", 0, &include));
    nac_node node = nac_node_make(NAC_OP_AVERAGE_POOL, lowering->node->name);
    node.u.pool.count_include_pad = include != 0;
    return lower_pool(lowering, node, false);
}

/* A REDUCE, as ReduceMean makes: fusion and backends then know one kind of global mean. */
nac_status nac_lower_GlobalAveragePool(nac_lowering *lowering) {
    int x, y, axes;
    nac_shape xs;
    NAC_TRY(nac_lower_image(lowering, 0, &x, &xs, &axes));
    nac_node node = nac_node_make(NAC_OP_REDUCE, lowering->node->name);
    node.u.reduce.axes[1] = node.u.reduce.axes[2] = true;
    node.u.reduce.scale = (float)(1.0 / ((double)xs.dims[2] * (double)xs.dims[3]));
    const nac_shape shape = nac_shape_make(4, (const int[]){xs.dims[0], 1, 1, xs.dims[1]});
    NAC_TRY(nac_lower_emit(lowering, node, &x, 1, &shape, NAC_CHANNELS_LAST, &y));
    return nac_lower_bind_image(lowering, y, axes);
}

nac_status nac_lower_GlobalMaxPool(nac_lowering *lowering) {
    int x, y, axes;
    nac_shape xs;
    NAC_TRY(nac_lower_image(lowering, 0, &x, &xs, &axes));
    nac_node node = nac_node_make(NAC_OP_MAX_POOL, lowering->node->name);
    node.u.pool.window = (nac_window){.kernel_h = xs.dims[2], .kernel_w = xs.dims[3], .stride_h = 1, .stride_w = 1,
                                      .dilation_h = 1, .dilation_w = 1};
    const nac_shape shape = nac_shape_make(4, (const int[]){xs.dims[0], 1, 1, xs.dims[1]});
    NAC_TRY(nac_lower_emit(lowering, node, &x, 1, &shape, NAC_CHANNELS_LAST, &y));
    return nac_lower_bind_image(lowering, y, axes);
}

/* |x|^p, what `sum` makes of it, and its p-th root. Where that is 0, so is the gradient: a clamp far below any power that float32 holds. */
static nac_status lower_norm(nac_lowering *lowering, nac_status (*sum)(nac_lowering *, int x, nac_shape xs, int axes, int *result)) {
    int64_t p;
    int x, y, axes;
    nac_shape xs;
    NAC_TRY(nac_attribute_int(lowering, "p", 2, &p));
    if (p < 1 || p > 64) return nac_lower_fail(lowering, NAC_UNSUPPORTED, "p is %lld; 1 to 64 is supported", (long long)p);
    NAC_TRY(nac_lower_image(lowering, 0, &x, &xs, &axes));
    NAC_TRY(nac_lower_unary(lowering, NAC_UNARY_ABS, 0, 0, x, &y));
    if (p > 1) NAC_TRY(nac_lower_unary(lowering, NAC_UNARY_POW, (float)p, 0, y, &y));
    NAC_TRY(sum(lowering, y, xs, axes, &y));
    if (p > 1) {
        NAC_TRY(nac_lower_unary(lowering, NAC_UNARY_CLAMP, FLT_MIN, INFINITY, y, &y));
        NAC_TRY(nac_lower_unary(lowering, NAC_UNARY_POW, 1 / (float)p, 0, y, &y));
    }
    return nac_lower_bind_image(lowering, y, axes);
}

static nac_status sum_windows(nac_lowering *lowering, int x, nac_shape xs, int axes, int *result) {
    nac_node node = nac_node_make(NAC_OP_AVERAGE_POOL, lowering->node->name);
    int64_t kernel[NAC_MAX_RANK];
    int count;
    float area = 1;
    node.u.pool.count_include_pad = true;
    NAC_TRY(pool_image(lowering, node, false, x, xs, axes, result));
    NAC_TRY(nac_attribute_ints(lowering, "kernel_shape", kernel, NAC_MAX_RANK, &count));
    for (int i = 0; i < count; ++i) area *= (float)kernel[i];
    return nac_lower_scaled(lowering, *result, area, result);
}

static nac_status sum_pixels(nac_lowering *lowering, int x, nac_shape xs, int axes, int *result) {
    (void)axes;
    nac_node node = nac_node_make(NAC_OP_REDUCE, lowering->node->name);
    node.u.reduce.axes[1] = node.u.reduce.axes[2] = true;
    node.u.reduce.scale = 1;
    const nac_shape shape = nac_shape_make(4, (const int[]){xs.dims[0], 1, 1, xs.dims[1]});
    return nac_lower_emit(lowering, node, &x, 1, &shape, NAC_CHANNELS_LAST, result);
}

nac_status nac_lower_LpPool(nac_lowering *lowering) {
    int64_t ceil_mode;
    NAC_TRY(nac_attribute_int(lowering, "ceil_mode", 0, &ceil_mode));
    /* A mean over a window that hangs over the end has another divisor. */
    if (ceil_mode != 0) return nac_lower_fail(lowering, NAC_UNSUPPORTED, "ceil_mode is not supported");
    return lower_norm(lowering, sum_windows);
}
nac_status nac_lower_GlobalLpPool(nac_lowering *lowering) { return lower_norm(lowering, sum_pixels); }
