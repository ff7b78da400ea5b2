/* convolution.c - two-dimensional convolution with groups, and its gradient, which is the transposed convolution. */
#include <limits.h>

#include "graph/quantised.h"
#include "ops/common.h"
#include "ops/window.h"

/* x [N,H,W,Ci], w [Co,kh,kw,Ci/g], [bias [Co]] -> y [N,OH,OW,Co]. */
void nac_run_CONV(const nac_graph *graph, const nac_node *node) {
    const int *xd = graph->values[node->inputs[0]].shape.dims, *yd = graph->values[node->output].shape.dims;
    const int N = yd[0], OH = yd[1], OW = yd[2], Co = yd[3], H = xd[1], W = xd[2], Ci = xd[3];
    const nac_window k = node->u.conv.window;
    const int Cig = Ci / node->u.conv.groups, Cog = Co / node->u.conv.groups;
    const float *x = nac_data(graph, node->inputs[0]), *w = nac_data(graph, node->inputs[1]);
    const float *bias = node->input_count > 2 && node->inputs[2] != NAC_NONE ? nac_data(graph, node->inputs[2]) : NULL;
    float *y = nac_data(graph, node->output);
    for (int n = 0; n < N; ++n)
        for (int oh = 0; oh < OH; ++oh)
            for (int ow = 0; ow < OW; ++ow)
                for (int co = 0; co < Co; ++co) {
                    double sum = bias ? (double)bias[co] : 0;
                    for (int kh = 0; kh < k.kernel_h; ++kh) {
                        const int h = oh * k.stride_h - k.pad_top + kh * k.dilation_h;
                        if (h < 0 || h >= H) continue;
                        for (int kw = 0; kw < k.kernel_w; ++kw) {
                            const int v = ow * k.stride_w - k.pad_left + kw * k.dilation_w;
                            if (v < 0 || v >= W) continue;
                            const float *pixel = x + ((n * H + h) * W + v) * Ci + co / Cog * Cig;
                            const float *weight = w + ((co * k.kernel_h + kh) * k.kernel_w + kw) * Cig;
                            for (int c = 0; c < Cig; ++c) sum += (double)pixel[c] * (double)weight[c];
                        }
                    }
                    *y++ = nac_clamp((float)sum, node->min, node->max);
                }
}

/* dy [N,OH,OW,Co], w [Co,kh,kw,Ci/g] -> dx [N,H,W,Ci]: every pixel gathers from the windows that saw it. */
void nac_run_CONV_GRAD(const nac_graph *graph, const nac_node *node) {
    const int *yd = graph->values[node->inputs[0]].shape.dims, *xd = graph->values[node->output].shape.dims;
    const int N = yd[0], OH = yd[1], OW = yd[2], Co = yd[3], H = xd[1], W = xd[2], Ci = xd[3];
    const nac_window k = node->u.conv.window;
    const int groups = node->u.conv.groups, Cig = Ci / groups, Cog = Co / groups;
    const float *dy = nac_data(graph, node->inputs[0]), *w = nac_data(graph, node->inputs[1]);
    float *dx = nac_data(graph, node->output);
    for (int n = 0; n < N; ++n)
        for (int h = 0; h < H; ++h)
            for (int v = 0; v < W; ++v)
                for (int g = 0; g < groups; ++g)
                    for (int c0 = 0; c0 < Cig; c0 += NAC_BLOCK) {
                        const int count = nac_min_int(NAC_BLOCK, Cig - c0);
                        double sum[NAC_BLOCK] = {0};
                        for (int kh = 0; kh < k.kernel_h; ++kh) {
                            const int oh = nac_window_source(h + k.pad_top - kh * k.dilation_h, k.stride_h, OH);
                            if (oh < 0) continue;
                            for (int kw = 0; kw < k.kernel_w; ++kw) {
                                const int ow = nac_window_source(v + k.pad_left - kw * k.dilation_w, k.stride_w, OW);
                                if (ow < 0) continue;
                                for (int co = g * Cog; co < (g + 1) * Cog; ++co) {
                                    const double d = (double)dy[((n * OH + oh) * OW + ow) * Co + co];
                                    const float *weight = w + ((co * k.kernel_h + kh) * k.kernel_w + kw) * Cig + c0;
                                    for (int c = 0; c < count; ++c) sum[c] += d * (double)weight[c];
                                }
                            }
                        }
                        for (int c = 0; c < count; ++c) *dx++ = nac_clamp((float)sum[c], node->min, node->max);
                    }
}

NAC_GRADIENT(CONV) {
    if (slot != 0) return nac_gradient_refused(graph, node, slot, error);
    const nac_node forward = graph->nodes[node];
    const nac_shape shape = graph->values[forward.inputs[0]].shape;
    nac_node gradient = nac_node_make(NAC_OP_CONV_GRAD, forward.name);
    gradient.u = forward.u;
    return nac_graph_emit(graph, gradient, (const int[]){dy, forward.inputs[1]}, 2, NULL, &shape, graph->values[forward.inputs[0]].layout,
                          dx, error);
}

/* A transposed convolution's: the convolution that it transposes. */
NAC_GRADIENT(CONV_GRAD) {
    if (slot != 0) return nac_gradient_refused(graph, node, slot, error);
    const nac_node forward = graph->nodes[node];
    const nac_value x = graph->values[forward.inputs[0]];
    nac_node gradient = nac_node_make(NAC_OP_CONV, forward.name);
    gradient.u = forward.u;
    return nac_graph_emit(graph, gradient, (const int[]){dy, forward.inputs[1]}, 2, NULL, &x.shape, x.layout, dx, error);
}

/* ---- ONNX -------------------------------------------------------------------------------------- */

nac_status nac_lower_convolution(nac_lowering *lowering, int x, int w, int bias) {
    int axes, w_axes;
    nac_shape xs, ws;
    NAC_TRY(nac_as_image(lowering, 0, &x, &xs, &axes));
    if (!lowering->graph->values[w].constant)
        return nac_lower_fail(lowering, NAC_UNSUPPORTED, "the weights are computed at run time; they must be a constant");
    if (lowering->graph->values[x].constant) NAC_TRY(nac_graph_dequantise(lowering->graph, w, lowering->error)); /* to be folded */
    NAC_TRY(nac_as_image(lowering, 1, &w, &ws, &w_axes));

    int64_t groups, kernel[NAC_MAX_RANK];
    int kernel_count;
    NAC_TRY(nac_attribute_int(lowering, "group", 1, &groups));
    NAC_TRY(nac_attribute_ints(lowering, "kernel_shape", kernel, NAC_MAX_RANK, &kernel_count));
    const int Ci = xs.dims[1], Co = ws.dims[0];
    if (groups < 1 || groups > Ci || Ci % groups != 0 || Co % groups != 0 || w_axes != axes || ws.dims[1] != Ci / groups) {
        char x_text[NAC_SHAPE_TEXT], w_text[NAC_SHAPE_TEXT];
        return nac_lower_fail(lowering, NAC_MALFORMED, "weights %s do not fit an input %s in %lld groups", nac_shape_text(&ws, w_text),
                              nac_shape_text(&xs, x_text), (long long)groups);
    }
    bool differs = kernel_count != 0 && kernel_count != axes;
    for (int i = 0; i < kernel_count && !differs; ++i) differs = kernel[i] != ws.dims[4 - axes + i];
    if (differs) return nac_lower_fail(lowering, NAC_MALFORMED, "kernel_shape differs from the weights' %dx%d", ws.dims[2], ws.dims[3]);

    nac_node node = nac_node_make(NAC_OP_CONV, lowering->node->name);
    int out[2];
    NAC_TRY(nac_lower_window(lowering, axes, &xs.dims[2], &ws.dims[2], false, &node.u.conv.window, out));
    node.u.conv.groups = (int)groups;

    int inputs[3] = {x, w, bias}, y;
    if (bias != NAC_NONE) {
        const float *numbers;
        NAC_TRY(nac_lower_vector(lowering, bias, "the bias", Co, &numbers));
    }
    const nac_shape shape = nac_shape_make(4, (const int[]){xs.dims[0], out[0], out[1], Co});
    NAC_TRY(nac_lower_emit(lowering, node, inputs, bias == NAC_NONE ? 2 : 3, &shape, NAC_CHANNELS_LAST, &y));
    return nac_lower_bind_image(lowering, y, axes);
}

nac_status nac_lower_Conv(nac_lowering *lowering) {
    int x, w;
    NAC_TRY(nac_lower_float(lowering, 0, &x));
    NAC_TRY(nac_lower_input(lowering, 1, &w));
    if (lowering->graph->values[w].type != NAC_Q8) NAC_TRY(nac_lower_float(lowering, 1, &w));
    return nac_lower_convolution(lowering, x, w, nac_lower_optional(lowering, 2));
}

/* X [N,Ci,H,W], W [Ci,Co/g,kh,kw], B [Co]: the gradient of the convolution from Co channels to Ci. */
nac_status nac_lower_ConvTranspose(nac_lowering *lowering) {
    int x, w, y, axes, w_axes, out[2];
    nac_shape xs, ws;
    int64_t groups;
    nac_node node = nac_node_make(NAC_OP_CONV_GRAD, lowering->node->name);
    NAC_TRY(nac_lower_image(lowering, 0, &x, &xs, &axes));
    NAC_TRY(nac_lower_float(lowering, 1, &w));
    if (!lowering->graph->values[w].constant)
        return nac_lower_fail(lowering, NAC_UNSUPPORTED, "the weights are computed at run time; they must be a constant");
    NAC_TRY(nac_as_image(lowering, 1, &w, &ws, &w_axes));
    NAC_TRY(nac_attribute_int(lowering, "group", 1, &groups));
    if (groups < 1 || groups > xs.dims[1] || xs.dims[1] % groups != 0 || w_axes != axes || ws.dims[0] != xs.dims[1] ||
        ws.dims[1] > INT_MAX / groups) {
        char x_text[NAC_SHAPE_TEXT], w_text[NAC_SHAPE_TEXT];
        return nac_lower_fail(lowering, NAC_MALFORMED, "weights %s do not fit an input %s in %lld groups", nac_shape_text(&ws, w_text),
                              nac_shape_text(&xs, x_text), (long long)groups);
    }
    NAC_TRY(nac_lower_transposed_window(lowering, axes, &xs.dims[2], &ws.dims[2], &node.u.conv.window, out));
    node.u.conv.groups = (int)groups;
    const int Co = ws.dims[1] * (int)groups, bias = nac_lower_optional(lowering, 2);
    const nac_shape shape = nac_shape_make(4, (const int[]){xs.dims[0], out[0], out[1], Co});
    NAC_TRY(nac_lower_emit(lowering, node, (const int[]){x, w}, 2, &shape, NAC_CHANNELS_LAST, &y));
    if (bias != NAC_NONE) {
        const float *numbers;
        float *ones;
        int scale;
        NAC_TRY(nac_lower_vector(lowering, bias, "the bias", Co, &numbers));
        NAC_TRY(nac_lower_add_vector(lowering, Co, &scale, &ones));
        for (int c = 0; c < Co; ++c) ones[c] = 1;
        NAC_TRY(nac_lower_affine(lowering, y, scale, bias, &y));
    }
    return nac_lower_bind_image(lowering, y, axes);
}
