/* xnn_convolution.c - CONV and CONV_GRAD.
 *
 * The gradient of a convolution by its input is a deconvolution of dy with the same window and the weights' two channel
 * axes exchanged. XNNPACK's deconvolution is a good kernel for KxK windows (stride s: s*s small convolutions without
 * multiplications by zero), but not for all of them, so CONV_GRAD is one of
 *   1x1, stride 1      a matrix product: convolution of dy with the exchanged weights
 *   1x1, stride s      the same on the small grid, then spread over the large one (deconvolution: 4 times slower)
 *   depthwise, s = 1   depthwise convolution of dy with the window turned by 180 degrees
 *   depthwise, s > 1   a loop: XNNPACK has no depthwise deconvolution
 *   all others         deconvolution */
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

enum xnn_status nac_prepare_convolution(const nac_graph *graph, const nac_node *node, nac_kernel *kernel) {
    problem p;
    const nac_value *bias = nac_input(graph, node, 2);
    if (!read_problem(graph, node, nac_input(graph, node, 0), nac_output(graph, node), &p)) return NAC_XNN_NOT_MINE;
    if (bias && (!bias->constant || !bias->data)) return NAC_XNN_NOT_MINE;
    kernel->name = p.groups == 1 ? "xnn convolution" : p.groups == p.Co && p.Co == p.Ci ? "xnn depthwise convolution" : "xnn grouped convolution";
    kernel->setup = set_up_convolution;
    kernel->clamps = true;
    kernel->packed = 1u << 1 | 1u << 2;
    return create_convolution(kernel, &p, p.w, bias ? bias->data : NULL, node->min, node->max);
}

/* ---- Gradient -------------------------------------------------------------------------------------- */

/* [Co,kh,kw,Ci/g] -> [Ci,kh,kw,Co/g], group by group; NULL when out of memory. */
static float *exchange_channels(const problem *p) {
    size_t taps = (size_t)p->window.kernel_h * (size_t)p->window.kernel_w;
    size_t in = (size_t)(p->Ci / p->groups), out = (size_t)(p->Co / p->groups);
    float *result = nac_alloc_array((size_t)p->Co * taps, in * sizeof(float));
    if (!result) return NULL;
    for (size_t g = 0; g < (size_t)p->groups; ++g) {
        const float *from = p->w + g * out * taps * in;
        float *to = result + g * out * taps * in;
        for (size_t o = 0; o < out; ++o)
            for (size_t t = 0; t < taps; ++t)
                for (size_t i = 0; i < in; ++i) to[(i * taps + t) * out + o] = from[(o * taps + t) * in + i];
    }
    return result;
}

/* The convolution that takes a [N,OH,OW,Co] gradient to [N,H,W,Ci] at stride 1. */
static problem turned(const problem *p) {
    problem t = *p;
    t.H = p->OH, t.W = p->OW, t.Ci = p->Co, t.OH = p->H, t.OW = p->W, t.Co = p->Ci;
    t.window.pad_top = (p->window.kernel_h - 1) * p->window.dilation_h - p->window.pad_top;
    t.window.pad_left = (p->window.kernel_w - 1) * p->window.dilation_w - p->window.pad_left;
    return t;
}

static enum xnn_status create_product(nac_kernel *kernel, const problem *p) {
    problem t = turned(p);
    t.window = (nac_window){1, 1, 1, 1, 1, 1, 0, 0, 0, 0};
    t.OH = t.H, t.OW = t.W;
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

static enum xnn_status create_turned_depthwise(nac_kernel *kernel, const problem *p) {
    problem t = turned(p);
    size_t taps = (size_t)(p->window.kernel_h * p->window.kernel_w), C = (size_t)p->Ci;
    float *w = nac_alloc_array(taps * C, sizeof(float));
    if (!w) return xnn_status_out_of_memory;
    for (size_t c = 0; c < C; ++c)
        for (size_t k = 0; k < taps; ++k) w[c * taps + k] = p->w[c * taps + taps - 1 - k];
    enum xnn_status status = create_convolution(kernel, &t, w, NULL, -INFINITY, INFINITY);
    nac_free(w);
    return status;
}

static void strided_depthwise(const nac_kernel *kernel, const nac_graph *graph, const nac_node *node) {
    nac_loop_depthwise_gradient(nac_input_data(graph, node, 0), nac_input(graph, node, 0)->shape.dims, kernel->weights,
                                &node->u.conv.window, nac_output_data(graph, node), nac_output(graph, node)->shape.dims);
}

/* The loop wants [kh,kw,C]. */
static enum xnn_status create_strided_depthwise(nac_kernel *kernel, const problem *p) {
    size_t taps = (size_t)(p->window.kernel_h * p->window.kernel_w), C = (size_t)p->Ci;
    kernel->weights = nac_alloc_array(taps * C, sizeof(float));
    if (!kernel->weights) return xnn_status_out_of_memory;
    for (size_t c = 0; c < C; ++c)
        for (size_t k = 0; k < taps; ++k) kernel->weights[k * C + c] = p->w[c * taps + k];
    return xnn_status_success;
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
    if (p.groups > 1 && p.Ci == p.groups && p.Co == p.groups) {
        int reach_h = (v->kernel_h - 1) * v->dilation_h, reach_w = (v->kernel_w - 1) * v->dilation_w;
        if (unit_stride && v->pad_top <= reach_h && v->pad_bottom <= reach_h && v->pad_left <= reach_w && v->pad_right <= reach_w) {
            kernel->name = "xnn depthwise convolution, turned";
            kernel->setup = set_up_convolution;
            return create_turned_depthwise(kernel, &p);
        }
        kernel->name = "loop over depthwise windows";
        kernel->after = strided_depthwise;
        return create_strided_depthwise(kernel, &p);
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
