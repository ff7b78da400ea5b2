/* xnn_elementwise.c - UNARY, SOFTMAX and TRANSPOSE: operators that need no weights. */
#include "backend/xnn.h"

static enum xnn_status set_up_unary(nac_kernel *kernel, const nac_graph *graph, const nac_node *node) {
    return xnn_setup_unary_elementwise_nc(kernel->operation, nac_input_data(graph, node, 0), nac_output_data(graph, node));
}

/* Those whose XNNPACK kernel is as exact as a loop and faster. Clamp, hard sigmoid and the like are one pass over memory
 * either way; exp and erf have no wasm kernel there; its square root is 1 ulp off on x86. */
enum xnn_status nac_prepare_unary(const nac_graph *graph, const nac_node *node, nac_kernel *kernel) {
    union xnn_unary_params parameters = {.clamp = {0}};
    enum xnn_unary_operator kind;
    switch (node->u.unary.kind) {
    case NAC_UNARY_LEAKY_RELU:
        kind = xnn_unary_leaky_relu;
        parameters.leaky_relu.negative_slope = node->u.unary.a;
        break;
    case NAC_UNARY_ELU:
        if (!(node->u.unary.a > 0)) return NAC_XNN_NOT_MINE;
        kind = xnn_unary_elu;
        parameters.elu.alpha = node->u.unary.a;
        break;
    case NAC_UNARY_SIGMOID: kind = xnn_unary_sigmoid; break;
    case NAC_UNARY_HARD_SWISH: kind = xnn_unary_hardswish; break;
    case NAC_UNARY_TANH: kind = xnn_unary_tanh; break;
    default: return NAC_XNN_NOT_MINE;
    }
    kernel->name = "xnn unary";
    kernel->setup = set_up_unary;
    enum xnn_status status = xnn_create_unary_elementwise_nc(kind, xnn_datatype_fp32, xnn_datatype_fp32, &parameters, NULL, NULL, 0,
                                                             &kernel->operation);
    status = nac_created(status, kernel->operation);
    if (status != xnn_status_success) return status;
    return xnn_reshape_unary_elementwise_nc(kernel->operation, nac_elements(&nac_output(graph, node)->shape), 1, 1, 1, NULL);
}

static enum xnn_status set_up_softmax(nac_kernel *kernel, const nac_graph *graph, const nac_node *node) {
    return xnn_setup_softmax_nc_f32(kernel->operation, nac_input_data(graph, node, 0), nac_output_data(graph, node));
}

enum xnn_status nac_prepare_softmax(const nac_graph *graph, const nac_node *node, nac_kernel *kernel) {
    const nac_shape *shape = &nac_output(graph, node)->shape;
    size_t channels = 1;
    for (int i = node->u.softmax.axis; i < shape->rank; ++i) channels *= (size_t)shape->dims[i];
    if (shape->rank == 0 || channels != (size_t)shape->dims[node->u.softmax.axis]) return NAC_XNN_NOT_MINE; /* not the innermost */
    kernel->name = "xnn softmax";
    kernel->setup = set_up_softmax;
    enum xnn_status status = xnn_create_softmax_nc_f32(0, &kernel->operation);
    status = nac_created(status, kernel->operation);
    if (status != xnn_status_success) return status;
    return xnn_reshape_softmax_nc_f32(kernel->operation, channels, channels, channels, nac_elements(shape) / channels, NULL);
}

static enum xnn_status set_up_transpose(nac_kernel *kernel, const nac_graph *graph, const nac_node *node) {
    return xnn_setup_transpose_nd_x32(kernel->operation, nac_input_data(graph, node, 0), nac_output_data(graph, node));
}

enum xnn_status nac_prepare_transpose(const nac_graph *graph, const nac_node *node, nac_kernel *kernel) {
    const nac_value *x = nac_input(graph, node, 0);
    size_t dims[NAC_MAX_RANK], perm[NAC_MAX_RANK];
    if (x->shape.rank == 0 || x->type != NAC_F32) return NAC_XNN_NOT_MINE;
    for (int i = 0; i < x->shape.rank; ++i) {
        dims[i] = (size_t)x->shape.dims[i];
        perm[i] = (size_t)node->u.transpose.perm[i];
    }
    kernel->name = "xnn transpose";
    kernel->setup = set_up_transpose;
    enum xnn_status status = xnn_create_transpose_nd_x32(0, &kernel->operation);
    status = nac_created(status, kernel->operation);
    if (status != xnn_status_success) return status;
    return xnn_reshape_transpose_nd_x32(kernel->operation, (size_t)x->shape.rank, dims, perm, NULL);
}
