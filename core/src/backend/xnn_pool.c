/* xnn_pool.c - MAX_POOL. Average pooling is a loop: XNNPACK never counts the padding, ONNX sometimes does. */
#include "backend/loops.h"
#include "backend/xnn.h"

static enum xnn_status set_up_max_pool(nac_kernel *kernel, const nac_graph *graph, const nac_node *node) {
    return xnn_setup_max_pooling2d_nhwc_f32(kernel->operation, nac_input_data(graph, node, 0), nac_output_data(graph, node));
}

enum xnn_status nac_prepare_max_pool(const nac_graph *graph, const nac_node *node, nac_kernel *kernel) {
    const nac_value *x = nac_input(graph, node, 0), *y = nac_output(graph, node);
    const nac_window *v = &node->u.pool.window;
    if (x->shape.rank != 4 || y->shape.rank != 4) return NAC_XNN_NOT_MINE;
    const int *in = x->shape.dims, *out = y->shape.dims;
    int bottom = nac_pad_after(in[1], out[1], v->kernel_h, v->stride_h, v->dilation_h, v->pad_top);
    int right = nac_pad_after(in[2], out[2], v->kernel_w, v->stride_w, v->dilation_w, v->pad_left);
    /* XNNPACK fills the padding with the nearest pixel: right where each window holds that pixel anyway. */
    if ((v->dilation_h > 1 || v->dilation_w > 1) && (v->pad_top || v->pad_left || bottom || right)) return NAC_XNN_NOT_MINE;
    if (v->pad_top >= v->kernel_h || bottom >= v->kernel_h || v->pad_left >= v->kernel_w || right >= v->kernel_w) return NAC_XNN_NOT_MINE;
    kernel->name = "xnn max pooling";
    kernel->setup = set_up_max_pool;
    kernel->clamps = true;
    enum xnn_status status = xnn_create_max_pooling2d_nhwc_f32(
        (uint32_t)v->pad_top, (uint32_t)right, (uint32_t)bottom, (uint32_t)v->pad_left, (uint32_t)v->kernel_h, (uint32_t)v->kernel_w,
        (uint32_t)v->stride_h, (uint32_t)v->stride_w, (uint32_t)v->dilation_h, (uint32_t)v->dilation_w, node->min, node->max, 0,
        &kernel->operation);
    status = nac_created(status, kernel->operation);
    if (status != xnn_status_success) return status;
    size_t out_h, out_w;
    status = xnn_reshape_max_pooling2d_nhwc_f32(kernel->operation, (size_t)in[0], (size_t)in[1], (size_t)in[2], (size_t)in[3], (size_t)in[3],
                                                (size_t)in[3], &out_h, &out_w, NULL);
    if (status != xnn_status_success) return status;
    return out_h == (size_t)out[1] && out_w == (size_t)out[2] ? xnn_status_success : NAC_XNN_NOT_MINE;
}
