/* xnn_matmul.c - MATMUL. A constant matrix b is packed once into a fully connected operator; a computed one goes to the
 * batch matrix product, which packs it anew in every run (into the workspace). XNNPACK reads a only by rows: a transposed one
 * (the gradients of attention's values and keys) is turned into scratch memory first. */
#include "backend/loops.h"
#include "backend/xnn.h"

/* a [...,K,M] -> scratch [...,M,K], in tiles of which both sides stay in the cache. */
static void turn_a(const nac_kernel *kernel, const nac_graph *graph, const nac_node *node) {
    enum { TILE = 16 };
    const nac_shape *shape = &nac_input(graph, node, 0)->shape;
    const size_t K = (size_t)shape->dims[shape->rank - 2], M = (size_t)shape->dims[shape->rank - 1], count = nac_elements(shape);
    const float *a = nac_input_data(graph, node, 0);
    float *to = kernel->scratch;
    for (size_t batch = 0; batch < count; batch += K * M)
        for (size_t m0 = 0; m0 < M; m0 += TILE)
            for (size_t k0 = 0; k0 < K; k0 += TILE)
                for (size_t m = m0; m < M && m < m0 + TILE; ++m)
                    for (size_t k = k0; k < K && k < k0 + TILE; ++k) to[batch + m * K + k] = a[batch + k * M + m];
}

/* a by rows. */
static const float *rows_of_a(const nac_kernel *kernel, const nac_graph *graph, const nac_node *node) {
    return node->u.matmul.transpose_a ? kernel->scratch : nac_input_data(graph, node, 0);
}

static size_t inner_size(const nac_node *node, const nac_value *a) {
    return (size_t)a->shape.dims[a->shape.rank - (node->u.matmul.transpose_a ? 2 : 1)];
}

static enum xnn_status set_up_fully_connected(nac_kernel *kernel, const nac_graph *graph, const nac_node *node) {
    return xnn_setup_fully_connected_nc_f32(kernel->operation, rows_of_a(kernel, graph, node), nac_output_data(graph, node));
}

static enum xnn_status create_fully_connected(const nac_node *node, nac_kernel *kernel, const nac_value *a, const nac_value *b,
                                              const nac_value *bias) {
    size_t K = inner_size(node, a);
    size_t N = (size_t)b->shape.dims[node->u.matmul.transpose_b ? 0 : 1];
    kernel->name = "xnn fully connected";
    kernel->setup = set_up_fully_connected;
    kernel->clamps = true;
    kernel->packed = 1u << 1 | 1u << 2;
    enum xnn_status status = xnn_create_fully_connected_nc_f32(K, N, K, N, b->data, bias ? bias->data : NULL, node->min, node->max,
                                                               node->u.matmul.transpose_b ? 0 : XNN_FLAG_TRANSPOSE_WEIGHTS, NULL, NULL,
                                                               &kernel->operation);
    status = nac_created(status, kernel->operation);
    if (status != xnn_status_success) return status;
    return xnn_reshape_fully_connected_nc_f32(kernel->operation, nac_elements(&a->shape) / K, NULL);
}

static enum xnn_status set_up_batch(nac_kernel *kernel, const nac_graph *graph, const nac_node *node) {
    return xnn_setup_batch_matrix_multiply_nc_f32(kernel->operation, kernel->workspace, rows_of_a(kernel, graph, node),
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
    size_t dims[NAC_MAX_RANK] = {1}, M, K = inner_size(node, a), N = (size_t)out->dims[out->rank - 1];
    size_t batch_dims = 0, alignment;
    if (b->shape.rank == rank && rank > 2) {
        for (int i = 0; i < rank - 2; ++i) dims[batch_dims++] = (size_t)a->shape.dims[i];
        M = (size_t)out->dims[out->rank - 2];
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
    status = nac_created(status, kernel->operation);
    if (status != xnn_status_success) return status;
    return xnn_reshape_batch_matrix_multiply_nc_f32(kernel->operation, batch_dims, dims, dims, M, K, N, &kernel->workspace_size, &alignment, NULL);
}

enum xnn_status nac_prepare_matmul(const nac_graph *graph, const nac_node *node, nac_kernel *kernel) {
    const nac_value *a = nac_input(graph, node, 0), *b = nac_input(graph, node, 1), *bias = nac_input(graph, node, 2);
    if (a->shape.rank < 2) return NAC_XNN_NOT_MINE;
    if (node->u.matmul.transpose_a) {
        kernel->before = turn_a;
        kernel->scratch_size = nac_elements(&a->shape) * sizeof(float);
    }
    if (b->shape.rank == 2 && b->constant && b->data && (!bias || (bias->constant && bias->data)))
        return create_fully_connected(node, kernel, a, b, bias);
    return create_batch(graph, node, kernel, a, b);
}
