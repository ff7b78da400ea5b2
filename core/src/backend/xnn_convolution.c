/* xnn_convolution.c - CONV and CONV_GRAD by XNNPACK's operators; own_convolution.c comes first.
 *
 * The gradient of a convolution by its input is a deconvolution of dy with the same window and the weights' two channel
 * axes exchanged. XNNPACK's deconvolution is a good kernel for KxK windows (stride s: s*s small convolutions without
 * multiplications by zero), but not for all of them, so CONV_GRAD is one of
 *   1x1, stride 1      a matrix product: convolution of dy with the exchanged weights
 *   1x1, stride s      the same on the small grid, then spread over the large one (deconvolution: 4 times slower)
 *   all others         deconvolution */
#include <math.h>
#include <string.h>

#include "backend/loops.h"
#include "backend/xnn.h"

/* Of a convolution or its gradient; the two nodes have x and dy as their first inputs. */
static bool read_problem(const nac_graph *graph, const nac_node *node, const nac_value *x, const nac_value *y, nac_convolution *p) {
    const nac_value *w = nac_input(graph, node, 1);
    if (!w || !w->constant || !w->data || x->shape.rank != 4 || y->shape.rank != 4) return false;
    *p = (nac_convolution){.window = node->u.conv.window,
                           .N = x->shape.dims[0], .H = x->shape.dims[1], .W = x->shape.dims[2], .Ci = x->shape.dims[3],
                           .OH = y->shape.dims[1], .OW = y->shape.dims[2], .Co = y->shape.dims[3],
                           .groups = node->u.conv.groups,
                           .zeros = nac_sparse_expects_zeros(graph, node->inputs[0])};
    if (w->type == NAC_Q8) p->quantised = true, p->bytes = nac_quantised_of(w);
    else p->w = w->data;
    return true;
}

/* XNNPACK takes four pixels and streams all weights past them, then the next four. Where the weights do not fit the cache it waits for
 * memory half of the time (29 of 50 GFLOP/s at 7 x 7 pixels and 512 channels; 38 so): their output channels are divided between
 * operators whose weights do fit. CHUNK_STEP is the width of its kernels. */
enum { CHUNK_FLOATS = 64 * 1024, CHUNK_STEP = 8 };

/* Output channels of one operator; all of them where one is enough. `taps`: weights of one output channel. */
static size_t chunk_channels(size_t channels, size_t taps, int groups) {
    size_t chunk = CHUNK_FLOATS / taps / CHUNK_STEP * CHUNK_STEP;
    if (chunk < CHUNK_STEP) chunk = CHUNK_STEP;
    return groups > 1 || chunk > channels ? channels : chunk;
}

/* Room for the operators of all chunks. */
static bool make_room(nac_kernel *kernel, size_t channels, size_t chunk) {
    kernel->chunk_channels = chunk;
    kernel->chunks = nac_alloc_array((channels + chunk - 1) / chunk, sizeof *kernel->chunks);
    return kernel->chunks != NULL;
}

/* One chunk's operator, created and reshaped; the far pads are what makes the output OH x OW. */
static enum xnn_status create_part(nac_kernel *kernel, const nac_convolution *p, size_t channels, const float *w, const float *bias, float min,
                                   float max) {
    const nac_window *v = &p->window;
    uint32_t bottom = (uint32_t)nac_pad_after(p->H, p->OH, v->kernel_h, v->stride_h, v->dilation_h, v->pad_top);
    uint32_t right = (uint32_t)nac_pad_after(p->W, p->OW, v->kernel_w, v->stride_w, v->dilation_w, v->pad_left);
    xnn_operator_t part = NULL;
    enum xnn_status status = xnn_create_convolution2d_nhwc_f32(
        (uint32_t)v->pad_top, right, bottom, (uint32_t)v->pad_left, (uint32_t)v->kernel_h, (uint32_t)v->kernel_w,
        (uint32_t)v->stride_h, (uint32_t)v->stride_w, (uint32_t)v->dilation_h, (uint32_t)v->dilation_w, (uint32_t)p->groups,
        (size_t)(p->Ci / p->groups), channels, (size_t)p->Ci, (size_t)p->Co, w, bias, min, max, 0, NULL, NULL, &part);
    status = nac_created(status, part);
    if (status != xnn_status_success) return status;
    kernel->chunks[kernel->chunk_count++] = part;
    size_t workspace, alignment, out_h, out_w;
    status = xnn_reshape_convolution2d_nhwc_f32(part, (size_t)p->N, (size_t)p->H, (size_t)p->W, &workspace, &alignment, &out_h, &out_w, NULL);
    if (status != xnn_status_success) return status;
    if (workspace > kernel->workspace_size) kernel->workspace_size = workspace;
    return out_h == (size_t)p->OH && out_w == (size_t)p->OW ? xnn_status_success : NAC_XNN_NOT_MINE;
}

static enum xnn_status create_convolution(nac_kernel *kernel, const nac_convolution *p, const float *w, const float *bias, float min,
                                          float max) {
    const size_t taps = (size_t)p->window.kernel_h * (size_t)p->window.kernel_w * (size_t)(p->Ci / p->groups), Co = (size_t)p->Co;
    const size_t chunk = chunk_channels(Co, taps, p->groups);
    if (!make_room(kernel, Co, chunk)) return xnn_status_out_of_memory;
    enum xnn_status status = xnn_status_success;
    for (size_t o = 0; o < Co && status == xnn_status_success; o += chunk) {
        const size_t channels = (Co - o < chunk ? Co - o : chunk) / (size_t)p->groups;
        status = create_part(kernel, p, channels, w + o * taps, bias ? bias + o : NULL, min, max);
    }
    return status;
}

static enum xnn_status set_up_parts(nac_kernel *kernel, const float *from, float *to) {
    enum xnn_status status = xnn_status_success;
    for (size_t i = 0; i < kernel->chunk_count && status == xnn_status_success; ++i)
        status = xnn_setup_convolution2d_nhwc_f32(kernel->chunks[i], kernel->workspace, from, to + i * kernel->chunk_channels);
    return status;
}

static enum xnn_status set_up_convolution(nac_kernel *kernel, const nac_graph *graph, const nac_node *node) {
    return set_up_parts(kernel, nac_input_data(graph, node, 0), nac_output_data(graph, node));
}

enum xnn_status nac_prepare_convolution(const nac_graph *graph, const nac_node *node, nac_kernel *kernel) {
    nac_convolution p;
    const nac_value *bias = nac_input(graph, node, 2);
    if (!read_problem(graph, node, nac_input(graph, node, 0), nac_output(graph, node), &p)) return NAC_XNN_NOT_MINE;
    if (bias && (!bias->constant || !bias->data)) return NAC_XNN_NOT_MINE;
    const enum xnn_status own = nac_prepare_own_convolution(&p, node, bias ? bias->data : NULL, kernel);
    if (own != NAC_XNN_NOT_MINE || p.quantised) return own;
    kernel->clamps = true;
    kernel->packed = 1u << 1 | 1u << 2;
    kernel->name = p.groups == 1 ? "xnn convolution" : "xnn grouped convolution";
    kernel->setup = set_up_convolution;
    return create_convolution(kernel, &p, p.w, bias ? bias->data : NULL, node->min, node->max);
}

/* ---- Gradient -------------------------------------------------------------------------------------- */

/* [Co,kh,kw,Ci/g] -> [Ci,kh,kw,Co/g], group by group; NULL when out of memory. */
static float *exchange_channels(const nac_convolution *p) {
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
static enum xnn_status create_product(nac_kernel *kernel, const nac_convolution *p) {
    nac_convolution t = {.window = {1, 1, 1, 1, 1, 1, 0, 0, 0, 0}, .groups = p->groups, .N = p->N,
                 .H = p->OH, .W = p->OW, .Ci = p->Co, .OH = p->OH, .OW = p->OW, .Co = p->Ci};
    float *w = exchange_channels(p);
    if (!w) return xnn_status_out_of_memory;
    enum xnn_status status = create_convolution(kernel, &t, w, NULL, -INFINITY, INFINITY);
    nac_free(w);
    return status;
}

static enum xnn_status set_up_spread_product(nac_kernel *kernel, const nac_graph *graph, const nac_node *node) {
    return set_up_parts(kernel, nac_input_data(graph, node, 0), kernel->scratch);
}

/* dx[n, y * sh, x * sw] = scratch[n, y, x], zero elsewhere. */
static void spread(const nac_kernel *kernel, const nac_graph *graph, const nac_node *node) {
    const int *in = graph->values[node->inputs[0]].shape.dims, *out = nac_output(graph, node)->shape.dims;
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

static enum xnn_status set_up_deconvolution(nac_kernel *kernel, const nac_graph *graph, const nac_node *node) {
    enum xnn_status status = xnn_status_success;
    for (size_t i = 0; i < kernel->chunk_count && status == xnn_status_success; ++i)
        status = xnn_setup_deconvolution2d_nhwc_f32(kernel->chunks[i], nac_input_data(graph, node, 0),
                                                    nac_output_data(graph, node) + i * kernel->chunk_channels);
    return status;
}

static enum xnn_status create_deconvolution_part(nac_kernel *kernel, const nac_convolution *p, size_t channels, const float *w, uint32_t rows,
                                                 uint32_t columns) {
    const nac_window *v = &p->window;
    xnn_operator_t part = NULL;
    enum xnn_status status = xnn_create_deconvolution2d_nhwc_f32(
        (uint32_t)v->pad_top, (uint32_t)v->pad_right, (uint32_t)v->pad_bottom, (uint32_t)v->pad_left, (uint32_t)v->kernel_h,
        (uint32_t)v->kernel_w, (uint32_t)v->stride_h, (uint32_t)v->stride_w, (uint32_t)v->dilation_h, (uint32_t)v->dilation_w,
        (uint32_t)p->groups, (size_t)(p->Co / p->groups), channels, (size_t)p->Co, (size_t)p->Ci, w, NULL, -INFINITY, INFINITY, 0, NULL, NULL, &part);
    status = nac_created(status, part);
    if (status != xnn_status_success) return status;
    kernel->chunks[kernel->chunk_count++] = part;
    size_t out_h, out_w;
    status = xnn_reshape_deconvolution2d_nhwc_f32(part, (size_t)p->N, (size_t)p->OH, (size_t)p->OW, rows, columns, &out_h, &out_w, NULL);
    if (status != xnn_status_success) return status;
    return out_h == (size_t)p->H && out_w == (size_t)p->W ? xnn_status_success : NAC_XNN_NOT_MINE;
}

static enum xnn_status create_deconvolution(nac_kernel *kernel, const nac_convolution *p) {
    const nac_window *v = &p->window;
    /* Input rows behind the last window: fewer than the stride, or the forward output would have been larger. */
    int rows = p->H + v->pad_top + v->pad_bottom - ((p->OH - 1) * v->stride_h + (v->kernel_h - 1) * v->dilation_h + 1);
    int columns = p->W + v->pad_left + v->pad_right - ((p->OW - 1) * v->stride_w + (v->kernel_w - 1) * v->dilation_w + 1);
    if (rows < 0 || rows >= v->stride_h || columns < 0 || columns >= v->stride_w) return NAC_XNN_NOT_MINE;
    /* An image smaller than the stride leaves some of the small convolutions without output; XNNPACK counts their widths
     * below zero and writes far outside of its buffer. */
    if (p->H < v->stride_h || p->W < v->stride_w) return NAC_XNN_NOT_MINE;
    const size_t taps = (size_t)v->kernel_h * (size_t)v->kernel_w * (size_t)(p->Co / p->groups), Ci = (size_t)p->Ci;
    const size_t chunk = chunk_channels(Ci, taps, p->groups);
    float *w = exchange_channels(p);
    enum xnn_status status = w && make_room(kernel, Ci, chunk) ? xnn_status_success : xnn_status_out_of_memory;
    for (size_t i = 0; i < Ci && status == xnn_status_success; i += chunk) {
        const size_t channels = (Ci - i < chunk ? Ci - i : chunk) / (size_t)p->groups;
        status = create_deconvolution_part(kernel, p, channels, w + i * taps, (uint32_t)rows, (uint32_t)columns);
    }
    nac_free(w);
    return status;
}

enum xnn_status nac_prepare_convolution_gradient(const nac_graph *graph, const nac_node *node, nac_kernel *kernel) {
    nac_convolution p;
    if (!read_problem(graph, node, nac_output(graph, node), nac_input(graph, node, 0), &p)) return NAC_XNN_NOT_MINE;
    const enum xnn_status own = nac_prepare_own_convolution(&p, node, NULL, kernel);
    if (own != NAC_XNN_NOT_MINE || p.quantised) return own;
    const nac_window *v = &p.window;
    bool unit_stride = v->stride_h == 1 && v->stride_w == 1;
    bool pads = v->pad_top || v->pad_left || v->pad_bottom || v->pad_right;
    kernel->packed = 1u << 1;
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
