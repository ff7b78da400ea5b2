/* xnn_matmul.c - MATMUL. A constant matrix b is packed once into a fully connected operator; a computed one goes to the
 * batch matrix product, which packs it anew in every run (into the workspace). */
#include "backend/loops.h"
#include "backend/xnn.h"

static enum xnn_status set_up_fully_connected(nac_kernel *kernel, const nac_graph *graph, const nac_node *node) {
    return xnn_setup_fully_connected_nc_f32(kernel->operation, nac_input_data(graph, node, 0), nac_output_data(graph, node));
}

static enum xnn_status create_fully_connected(const nac_node *node, nac_kernel *kernel, const nac_value *a, const nac_value *b,
                                              const nac_value *bias) {
    size_t K = (size_t)a->shape.dims[a->shape.rank - 1];
    size_t N = (size_t)b->shape.dims[node->u.matmul.transpose_b ? 0 : 1];
    kernel->name = "xnn fully connected";
    kernel->setup = set_up_fully_connected;
    kernel->clamps = true;
    kernel->packed = 1u << 1 | 1u << 2;
    enum xnn_status status = xnn_create_fully_connected_nc_f32(K, N, K, N, b->data, bias ? bias->data : NULL, node->min, node->max,
                                                               node->u.matmul.transpose_b ? 0 : XNN_FLAG_TRANSPOSE_WEIGHTS, NULL, NULL,
                                                               &kernel->operation);
    status = nac_created(status, kernel);
    if (status != xnn_status_success) return status;
    return xnn_reshape_fully_connected_nc_f32(kernel->operation, nac_elements(&a->shape) / K, NULL);
}

static enum xnn_status set_up_batch(nac_kernel *kernel, const nac_graph *graph, const nac_node *node) {
    return xnn_setup_batch_matrix_multiply_nc_f32(kernel->operation, kernel->workspace, nac_input_data(graph, node, 0),
                                                  nac_input_data(graph, node, 1), nac_output_data(graph, node));
}

static void add_bias(const nac_kernel *kernel, const nac_graph *graph, const nac_node *node) {
    (void)kernel;
    const nac_shape *shape = &nac_output(graph, node)->shape;
    size_t N = (size_t)shape->dims[shape->rank - 1];
    nac_loop_add_rows(nac_output_data(graph, node), nac_input_data(graph, node, 2), nac_elements(shape) / N, N);
}

static enum xnn_status create_batch(const nac_graph *graph, const nac_node *node, nac_kernel *kernel, const nac_value *a, const nac_value *b) {
    const nac_shape *out = &nac_output(graph, node)->shape;
    int rank = a->shape.rank;
    size_t dims[NAC_MAX_RANK] = {1}, M, K = (size_t)a->shape.dims[rank - 1], N = (size_t)out->dims[out->rank - 1];
    size_t batch_dims = 0, alignment;
    if (b->shape.rank == rank && rank > 2) {
        for (int i = 0; i < rank - 2; ++i) dims[batch_dims++] = (size_t)a->shape.dims[i];
        M = (size_t)a->shape.dims[rank - 2];
    } else if (b->shape.rank == 2) { /* all of a's rows meet the same b */
        batch_dims = 1;
        M = nac_elements(&a->shape) / K;
    } else {
        return NAC_XNN_NOT_MINE;
    }
    kernel->name = "xnn batch matrix product";
    kernel->setup = set_up_batch;
    if (nac_input(graph, node, 2)) kernel->after = add_bias;
    enum xnn_status status = xnn_create_batch_matrix_multiply_nc_f32(node->u.matmul.transpose_b ? XNN_FLAG_TRANSPOSE_B : 0, &kernel->operation);
    status = nac_created(status, kernel);
    if (status != xnn_status_success) return status;
    return xnn_reshape_batch_matrix_multiply_nc_f32(kernel->operation, batch_dims, dims, dims, M, K, N, &kernel->workspace_size, &alignment, NULL);
}

enum xnn_status nac_prepare_matmul(const nac_graph *graph, const nac_node *node, nac_kernel *kernel) {
    const nac_value *a = nac_input(graph, node, 0), *b = nac_input(graph, node, 1), *bias = nac_input(graph, node, 2);
    if (node->u.matmul.transpose_a || a->shape.rank < 2) return NAC_XNN_NOT_MINE;
    if (b->shape.rank == 2 && b->constant && b->data && (!bias || (bias->constant && bias->data)))
        return create_fully_connected(node, kernel, a, b, bias);
    return create_batch(graph, node, kernel, a, b);
}
