/* xnn_convolution.c - CONV and CONV_GRAD.
 *
 * The gradient of a convolution by its input is a deconvolution of dy with the same window and the weights' two channel
 * axes exchanged. XNNPACK's deconvolution is a good kernel for KxK windows (stride s: s*s small convolutions without
 * multiplications by zero), but not for all of them, so CONV_GRAD is one of
 *   1x1, stride 1      a matrix product: convolution of dy with the exchanged weights
 *   1x1, stride s      the same on the small grid, then spread over the large one (deconvolution: 4 times slower)
 *   all others         deconvolution
 * Depthwise convolutions and their gradients are loops of our own (loops_depthwise.c), 3 to 9 times as fast as XNNPACK's; at stride 1
 * the gradient is the forward loop with the window turned by 180 degrees. */
#include <math.h>
#include <string.h>

#include "backend/loops.h"
#include "backend/xnn.h"

/* Sizes of the forward convolution, whichever of the two nodes it is read from. x is [N,H,W,Ci], y is [N,OH,OW,Co]. */
typedef struct problem {
    nac_window window;
    int N, H, W, Ci, OH, OW, Co, groups;
    const float *w; /* [Co,kh,kw,Ci/groups] */
} problem;

static bool read_problem(const nac_graph *graph, const nac_node *node, const nac_value *x, const nac_value *y, problem *p) {
    const nac_value *w = nac_input(graph, node, 1);
    if (!w || !w->constant || !w->data || x->shape.rank != 4 || y->shape.rank != 4) return false;
    *p = (problem){.window = node->u.conv.window,
                   .N = x->shape.dims[0], .H = x->shape.dims[1], .W = x->shape.dims[2], .Ci = x->shape.dims[3],
                   .OH = y->shape.dims[1], .OW = y->shape.dims[2], .Co = y->shape.dims[3],
                   .groups = node->u.conv.groups, .w = w->data};
    return true;
}

/* Creates and reshapes; the far pads are what makes the output OH x OW. */
static enum xnn_status create_convolution(nac_kernel *kernel, const problem *p, const float *w, const float *bias, float min, float max) {
    const nac_window *v = &p->window;
    uint32_t bottom = (uint32_t)nac_pad_after(p->H, p->OH, v->kernel_h, v->stride_h, v->dilation_h, v->pad_top);
    uint32_t right = (uint32_t)nac_pad_after(p->W, p->OW, v->kernel_w, v->stride_w, v->dilation_w, v->pad_left);
    enum xnn_status status = xnn_create_convolution2d_nhwc_f32(
        (uint32_t)v->pad_top, right, bottom, (uint32_t)v->pad_left, (uint32_t)v->kernel_h, (uint32_t)v->kernel_w,
        (uint32_t)v->stride_h, (uint32_t)v->stride_w, (uint32_t)v->dilation_h, (uint32_t)v->dilation_w, (uint32_t)p->groups,
        (size_t)(p->Ci / p->groups), (size_t)(p->Co / p->groups), (size_t)p->Ci, (size_t)p->Co, w, bias, min, max, 0, NULL, NULL,
        &kernel->operation);
    status = nac_created(status, kernel);
    if (status != xnn_status_success) return status;
    size_t alignment, out_h, out_w;
    status = xnn_reshape_convolution2d_nhwc_f32(kernel->operation, (size_t)p->N, (size_t)p->H, (size_t)p->W, &kernel->workspace_size,
                                                &alignment, &out_h, &out_w, NULL);
    if (status != xnn_status_success) return status;
    return out_h == (size_t)p->OH && out_w == (size_t)p->OW ? xnn_status_success : NAC_XNN_NOT_MINE;
}

static enum xnn_status set_up_convolution(nac_kernel *kernel, const nac_graph *graph, const nac_node *node) {
    return xnn_setup_convolution2d_nhwc_f32(kernel->operation, kernel->workspace, nac_input_data(graph, node, 0),
                                            nac_output_data(graph, node));
}

/* ---- Depthwise ------------------------------------------------------------------------------------- */

static bool is_depthwise(const problem *p) {
    return p->groups > 1 && p->Ci == p->groups && p->Co == p->groups && p->window.kernel_h <= NAC_DEPTHWISE_MAX &&
           p->window.kernel_w <= NAC_DEPTHWISE_MAX;
}

/* The loops want [kh,kw,C], and behind it the bias [C]. `turned`: the window by 180 degrees. */
static enum xnn_status copy_depthwise_weights(nac_kernel *kernel, const problem *p, bool turned, const float *bias) {
    size_t taps = (size_t)(p->window.kernel_h * p->window.kernel_w), C = (size_t)p->Ci;
    kernel->weights = nac_alloc_array((taps + 1) * C, sizeof(float));
    if (!kernel->weights) return xnn_status_out_of_memory;
    for (size_t c = 0; c < C; ++c)
        for (size_t k = 0; k < taps; ++k) kernel->weights[k * C + c] = p->w[c * taps + (turned ? taps - 1 - k : k)];
    if (bias) memcpy(kernel->weights + taps * C, bias, C * sizeof(float));
    return xnn_status_success;
}

static void run_depthwise(const nac_kernel *kernel, const nac_graph *graph, const nac_node *node) {
    const nac_value *x = nac_input(graph, node, 0), *y = nac_output(graph, node);
    const nac_window *v = &node->u.conv.window;
    const float *bias = kernel->weights + (size_t)(v->kernel_h * v->kernel_w) * (size_t)x->shape.dims[3];
    nac_loop_depthwise(x->data, x->shape.dims, kernel->weights, bias, v, node->min, node->max, y->data, y->shape.dims);
}

enum xnn_status nac_prepare_convolution(const nac_graph *graph, const nac_node *node, nac_kernel *kernel) {
    problem p;
    const nac_value *bias = nac_input(graph, node, 2);
    if (!read_problem(graph, node, nac_input(graph, node, 0), nac_output(graph, node), &p)) return NAC_XNN_NOT_MINE;
    if (bias && (!bias->constant || !bias->data)) return NAC_XNN_NOT_MINE;
    kernel->clamps = true;
    kernel->packed = 1u << 1 | 1u << 2;
    if (is_depthwise(&p)) {
        kernel->name = "loop over depthwise windows";
        kernel->after = run_depthwise;
        return copy_depthwise_weights(kernel, &p, false, bias ? bias->data : NULL);
    }
    kernel->name = p.groups == 1 ? "xnn convolution" : "xnn grouped convolution";
    kernel->setup = set_up_convolution;
    return create_convolution(kernel, &p, p.w, bias ? bias->data : NULL, node->min, node->max);
}

/* ---- Gradient -------------------------------------------------------------------------------------- */

/* [Co,kh,kw,Ci/g] -> [Ci,kh,kw,Co/g], group by group; NULL when out of memory. */
static float *exchange_channels(const problem *p) {
    enum { TILE = 16 };
    size_t taps = (size_t)p->window.kernel_h * (size_t)p->window.kernel_w;
    size_t in = (size_t)(p->Ci / p->groups), out = (size_t)(p->Co / p->groups);
    float *result = nac_alloc((size_t)p->Co * taps * in * sizeof(float)); /* as large as w, which exists */
    if (!result) return NULL;
    for (size_t g = 0; g < (size_t)p->groups; ++g) {
        const float *from = p->w + g * out * taps * in;
        float *to = result + g * out * taps * in;
        /* In tiles of which both sides stay in the cache. */
        for (size_t o0 = 0; o0 < out; o0 += TILE)
            for (size_t t = 0; t < taps; ++t)
                for (size_t i0 = 0; i0 < in; i0 += TILE)
                    for (size_t i = i0; i < in && i < i0 + TILE; ++i)
                        for (size_t o = o0; o < out && o < o0 + TILE; ++o) to[(i * taps + t) * out + o] = from[(o * taps + t) * in + i];
    }
    return result;
}

/* dy [N,OH,OW,Co] times [Co,Ci], pixel by pixel. */
static enum xnn_status create_product(nac_kernel *kernel, const problem *p) {
    problem t = {.window = {1, 1, 1, 1, 1, 1, 0, 0, 0, 0}, .groups = p->groups, .N = p->N,
                 .H = p->OH, .W = p->OW, .Ci = p->Co, .OH = p->OH, .OW = p->OW, .Co = p->Ci};
    float *w = exchange_channels(p);
    if (!w) return xnn_status_out_of_memory;
    enum xnn_status status = create_convolution(kernel, &t, w, NULL, -INFINITY, INFINITY);
    nac_free(w);
    return status;
}

static enum xnn_status set_up_spread_product(nac_kernel *kernel, const nac_graph *graph, const nac_node *node) {
    return xnn_setup_convolution2d_nhwc_f32(kernel->operation, kernel->workspace, nac_input_data(graph, node, 0), kernel->scratch);
}

/* dx[n, y * sh, x * sw] = scratch[n, y, x], zero elsewhere. */
static void spread(const nac_kernel *kernel, const nac_graph *graph, const nac_node *node) {
    const int *in = nac_input(graph, node, 0)->shape.dims, *out = nac_output(graph, node)->shape.dims;
    int sh = node->u.conv.window.stride_h, sw = node->u.conv.window.stride_w;
    size_t C = (size_t)out[3], bytes = C * sizeof(float);
    const float *from = kernel->scratch;
    float *to = nac_output_data(graph, node);
    memset(to, 0, (size_t)out[0] * (size_t)out[1] * (size_t)out[2] * bytes);
    for (int n = 0; n < in[0]; ++n)
        for (int y = 0; y < in[1]; ++y) {
            float *row = to + ((size_t)n * (size_t)out[1] + (size_t)(y * sh)) * (size_t)out[2] * C;
            for (int x = 0; x < in[2]; ++x, from += C) memcpy(row + (size_t)(x * sw) * C, from, bytes);
        }
}

static void run_depthwise_gradient(const nac_kernel *kernel, const nac_graph *graph, const nac_node *node) {
    const nac_value *dy = nac_input(graph, node, 0), *dx = nac_output(graph, node);
    nac_loop_depthwise_gradient(dy->data, dy->shape.dims, kernel->weights, &node->u.conv.window, dx->data, dx->shape.dims);
}

static void run_turned_depthwise(const nac_kernel *kernel, const nac_graph *graph, const nac_node *node) {
    const nac_value *dy = nac_input(graph, node, 0), *dx = nac_output(graph, node);
    nac_window v = node->u.conv.window;
    v.pad_top = (v.kernel_h - 1) * v.dilation_h - v.pad_top;
    v.pad_left = (v.kernel_w - 1) * v.dilation_w - v.pad_left;
    const float *zeros = kernel->weights + (size_t)(v.kernel_h * v.kernel_w) * (size_t)dx->shape.dims[3];
    nac_loop_depthwise(dy->data, dy->shape.dims, kernel->weights, zeros, &v, -INFINITY, INFINITY, dx->data, dx->shape.dims);
}

static enum xnn_status set_up_deconvolution(nac_kernel *kernel, const nac_graph *graph, const nac_node *node) {
    return xnn_setup_deconvolution2d_nhwc_f32(kernel->operation, nac_input_data(graph, node, 0), nac_output_data(graph, node));
}

static enum xnn_status create_deconvolution(nac_kernel *kernel, const problem *p) {
    const nac_window *v = &p->window;
    /* Input rows behind the last window: fewer than the stride, or the forward output would have been larger. */
    int rows = p->H + v->pad_top + v->pad_bottom - ((p->OH - 1) * v->stride_h + (v->kernel_h - 1) * v->dilation_h + 1);
    int columns = p->W + v->pad_left + v->pad_right - ((p->OW - 1) * v->stride_w + (v->kernel_w - 1) * v->dilation_w + 1);
    if (rows < 0 || rows >= v->stride_h || columns < 0 || columns >= v->stride_w) return NAC_XNN_NOT_MINE;
    /* An image smaller than the stride leaves some of the small convolutions without output; XNNPACK counts their widths
     * below zero and writes far outside of its buffer. */
    if (p->H < v->stride_h || p->W < v->stride_w) return NAC_XNN_NOT_MINE;
    float *w = exchange_channels(p);
    if (!w) return xnn_status_out_of_memory;
    enum xnn_status status = xnn_create_deconvolution2d_nhwc_f32(
        (uint32_t)v->pad_top, (uint32_t)v->pad_right, (uint32_t)v->pad_bottom, (uint32_t)v->pad_left, (uint32_t)v->kernel_h,
        (uint32_t)v->kernel_w, (uint32_t)v->stride_h, (uint32_t)v->stride_w, (uint32_t)v->dilation_h, (uint32_t)v->dilation_w,
        (uint32_t)p->groups, (size_t)(p->Co / p->groups), (size_t)(p->Ci / p->groups), (size_t)p->Co, (size_t)p->Ci, w, NULL,
        -INFINITY, INFINITY, 0, NULL, NULL, &kernel->operation);
    nac_free(w);
    status = nac_created(status, kernel);
    if (status != xnn_status_success) return status;
    size_t out_h, out_w;
    status = xnn_reshape_deconvolution2d_nhwc_f32(kernel->operation, (size_t)p->N, (size_t)p->OH, (size_t)p->OW, (uint32_t)rows,
                                                  (uint32_t)columns, &out_h, &out_w, NULL);
    if (status != xnn_status_success) return status;
    return out_h == (size_t)p->H && out_w == (size_t)p->W ? xnn_status_success : NAC_XNN_NOT_MINE;
}

enum xnn_status nac_prepare_convolution_gradient(const nac_graph *graph, const nac_node *node, nac_kernel *kernel) {
    problem p;
    if (!read_problem(graph, node, nac_output(graph, node), nac_input(graph, node, 0), &p)) return NAC_XNN_NOT_MINE;
    const nac_window *v = &p.window;
    bool unit_stride = v->stride_h == 1 && v->stride_w == 1;
    bool pads = v->pad_top || v->pad_left || v->pad_bottom || v->pad_right;
    kernel->packed = 1u << 1;
    if (is_depthwise(&p)) {
        bool turn = unit_stride && v->pad_top <= (v->kernel_h - 1) * v->dilation_h && v->pad_left <= (v->kernel_w - 1) * v->dilation_w;
        kernel->name = turn ? "loop over depthwise windows, turned" : "loop over depthwise gradients";
        kernel->after = turn ? run_turned_depthwise : run_depthwise_gradient;
        return copy_depthwise_weights(kernel, &p, turn, NULL);
    }
    if (v->kernel_h == 1 && v->kernel_w == 1 && !pads) {
        if (unit_stride) {
            kernel->name = "xnn convolution, exchanged";
            kernel->setup = set_up_convolution;
        } else {
            kernel->name = "xnn convolution, exchanged and spread";
            kernel->setup = set_up_spread_product;
            kernel->after = spread;
            if (!nac_mul_size((size_t)p.N * (size_t)p.OH * (size_t)p.OW, (size_t)p.Ci * sizeof(float), &kernel->scratch_size))
                return xnn_status_out_of_memory;
        }
        return create_product(kernel, &p);
    }
    kernel->name = "xnn deconvolution";
    kernel->setup = set_up_deconvolution;
    return create_deconvolution(kernel, &p);
}
