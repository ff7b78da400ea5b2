/* matmul.c - products of matrices, batched over leading dims: MatMul, Gemm. */
#include "ops/common.h"

/* a [...,M,K] (or [...,K,M]), b [...,K,N] (or [...,N,K]) or of rank 2, [bias [N]] -> y [...,M,N]. */
void nac_run_MATMUL(const nac_graph *graph, const nac_node *node) {
    const nac_shape *as = &graph->values[node->inputs[0]].shape, *bs = &graph->values[node->inputs[1]].shape;
    const nac_shape *ys = &graph->values[node->output].shape;
    const bool transpose_a = node->u.matmul.transpose_a, transpose_b = node->u.matmul.transpose_b;
    const int M = ys->dims[ys->rank - 2], N = ys->dims[ys->rank - 1];
    const int K = as->dims[as->rank - (transpose_a ? 2 : 1)];
    const int batch = (int)(nac_elements(ys) / ((size_t)M * (size_t)N));
    const int a_row = transpose_a ? 1 : K, a_step = transpose_a ? M : 1;
    const int b_column = transpose_b ? K : 1, b_step = transpose_b ? 1 : N;
    const float *a = nac_data(graph, node->inputs[0]), *b = nac_data(graph, node->inputs[1]);
    const float *bias = node->input_count > 2 && node->inputs[2] != NAC_NONE ? nac_data(graph, node->inputs[2]) : NULL;
    float *y = nac_data(graph, node->output);
    for (int i = 0; i < batch; ++i, a += M * K, b += bs->rank > 2 ? K * N : 0)
        for (int m = 0; m < M; ++m)
            for (int n0 = 0; n0 < N; n0 += NAC_BLOCK) {
                const int count = nac_min_int(NAC_BLOCK, N - n0);
                double sum[NAC_BLOCK];
                for (int n = 0; n < count; ++n) sum[n] = bias ? (double)bias[n0 + n] : 0;
                for (int k = 0; k < K; ++k) {
                    const double factor = (double)a[m * a_row + k * a_step];
                    const float *row = b + k * b_step + n0 * b_column;
                    for (int n = 0; n < count; ++n) sum[n] += factor * (double)row[n * b_column];
                }
                for (int n = 0; n < count; ++n) *y++ = nac_clamp((float)sum[n], node->min, node->max);
            }
}

static nac_status emit_product(nac_graph *graph, const char *name, int a, bool transpose_a, int b, bool transpose_b, const nac_shape *shape,
                               int *y, nac_error *error) {
    nac_node node = nac_node_make(NAC_OP_MATMUL, name);
    node.u.matmul.transpose_a = transpose_a;
    node.u.matmul.transpose_b = transpose_b;
    return nac_graph_emit(graph, node, (const int[]){a, b}, 2, NULL, shape, NAC_ROW_MAJOR, y, error);
}

/* Y = A B, with A = a or its transpose, B likewise: dA = dY B^T, dB = A^T dY. What was stored transposed gets the transposed
 * product, da = B dY^T, db = dY^T A, so that only the flags of MATMUL are needed. */
NAC_GRADIENT(MATMUL) {
    const nac_node forward = graph->nodes[node];
    const int a = forward.inputs[0], b = forward.inputs[1];
    const bool transpose_a = forward.u.matmul.transpose_a, transpose_b = forward.u.matmul.transpose_b;
    const nac_shape as = graph->values[a].shape, bs = graph->values[b].shape;
    if (slot == 0 && !transpose_a) return emit_product(graph, forward.name, dy, false, b, !transpose_b, &as, dx, error);
    if (as.rank != bs.rank) { /* a constant matrix b under a batch of a */
        if (slot != 0) return nac_gradient_refused(graph, node, slot, error);
        nac_shape transposed = as;
        transposed.dims[as.rank - 2] = as.dims[as.rank - 1];
        transposed.dims[as.rank - 1] = as.dims[as.rank - 2];
        int product;
        NAC_TRY(emit_product(graph, forward.name, dy, false, b, !transpose_b, &transposed, &product, error));
        nac_node swap = nac_node_make(NAC_OP_TRANSPOSE, forward.name);
        for (int i = 0; i < as.rank; ++i) swap.u.transpose.perm[i] = i;
        swap.u.transpose.perm[as.rank - 2] = as.rank - 1;
        swap.u.transpose.perm[as.rank - 1] = as.rank - 2;
        return nac_graph_emit(graph, swap, &product, 1, NULL, &as, NAC_ROW_MAJOR, dx, error);
    }
    if (slot == 0) return emit_product(graph, forward.name, b, transpose_b, dy, true, &as, dx, error);
    if (slot == 1 && transpose_b) return emit_product(graph, forward.name, dy, true, a, transpose_a, &bs, dx, error);
    if (slot == 1) return emit_product(graph, forward.name, a, !transpose_a, dy, false, &bs, dx, error);
    return nac_gradient_refused(graph, node, slot, error);
}

/* ---- ONNX -------------------------------------------------------------------------------------- */

/* value repeated along leading dims, so that it has the first `rank - 2` dims of `batch`. */
static nac_status expand_batch(nac_lowering *lowering, int value, const nac_shape *batch, int *result) {
    nac_shape shape = lowering->graph->values[value].shape;
    bool same = true;
    for (int i = 0; i < shape.rank - 2; ++i) {
        same = same && shape.dims[i] == batch->dims[i];
        shape.dims[i] = batch->dims[i];
    }
    if (same) {
        *result = value;
        return NAC_OK;
    }
    nac_node node = nac_node_make(NAC_OP_EXPAND, lowering->node->name);
    node.u.expand.scale = 1;
    return nac_lower_emit(lowering, node, &value, 1, &shape, NAC_ROW_MAJOR, result);
}

static nac_status mismatch(nac_lowering *lowering, const nac_shape *a, const nac_shape *b) {
    char a_text[NAC_SHAPE_TEXT], b_text[NAC_SHAPE_TEXT];
    return nac_lower_fail(lowering, NAC_MALFORMED, "matrices %s and %s cannot be multiplied", nac_shape_text(a, a_text),
                          nac_shape_text(b, b_text));
}

/* numpy.matmul: vectors become matrices for the product, and leading dims broadcast. */
nac_status nac_lower_product(nac_lowering *lowering, int a, int b, int *result) {
    int y;
    NAC_TRY(nac_as_row_major(lowering, a, &a));
    NAC_TRY(nac_as_row_major(lowering, b, &b));
    nac_shape as = lowering->graph->values[a].shape, bs = lowering->graph->values[b].shape;
    if (as.rank == 0 || bs.rank == 0) return mismatch(lowering, &as, &bs);
    const bool row = as.rank == 1, column = bs.rank == 1;
    if (row) as = nac_shape_aligned(&as, 2);
    if (column) bs = nac_shape_make(2, (const int[]){bs.dims[0], 1});
    const int M = as.dims[as.rank - 2], K = as.dims[as.rank - 1], N = bs.dims[bs.rank - 1];
    if (bs.dims[bs.rank - 2] != K) return mismatch(lowering, &as, &bs);

    /* A constant b whose leading dims are all one is a matrix, which every batch of a shares; otherwise both get the same rank (an
     * activation's gradient would be a sum over the batch). */
    const int rank = as.rank > bs.rank ? as.rank : bs.rank;
    bool matrix = lowering->graph->values[b].constant || rank == 2;
    for (int i = 0; i < bs.rank - 2; ++i) matrix = matrix && bs.dims[i] == 1;
    as = nac_shape_aligned(&as, rank);
    bs = matrix ? nac_shape_make(2, (const int[]){K, N}) : nac_shape_aligned(&bs, rank);
    NAC_TRY(nac_lower_reshape(lowering, a, &as, &a));
    NAC_TRY(nac_lower_reshape(lowering, b, &bs, &b));
    nac_shape ys = as;
    for (int i = 0; i < rank - 2; ++i) {
        const int other = matrix ? 1 : bs.dims[i];
        if (as.dims[i] != other && as.dims[i] != 1 && other != 1) return mismatch(lowering, &as, &bs);
        if (ys.dims[i] == 1) ys.dims[i] = other;
    }
    ys.dims[rank - 1] = N;
    NAC_TRY(expand_batch(lowering, a, &ys, &a));
    if (!matrix) NAC_TRY(expand_batch(lowering, b, &ys, &b));
    NAC_TRY(nac_lower_emit(lowering, nac_node_make(NAC_OP_MATMUL, lowering->node->name), (const int[]){a, b}, 2, &ys, NAC_ROW_MAJOR, &y));

    if (row || column) { /* the dims that were only lent */
        nac_shape lent = {0};
        for (int i = 0; i < rank - 2; ++i) lent.dims[lent.rank++] = ys.dims[i];
        if (!row) lent.dims[lent.rank++] = M;
        if (!column) lent.dims[lent.rank++] = N;
        NAC_TRY(nac_lower_reshape(lowering, y, &lent, &y));
    }
    *result = y;
    return NAC_OK;
}

nac_status nac_lower_MatMul(nac_lowering *lowering) {
    int a, b, y;
    NAC_TRY(nac_lower_float(lowering, 0, &a));
    NAC_TRY(nac_lower_float(lowering, 1, &b));
    NAC_TRY(nac_lower_product(lowering, a, b, &y));
    return nac_lower_bind(lowering, 0, y);
}

/* C as the bias [N] of the product: a constant that is the same for every row. NAC_NONE where it is not. */
static nac_status gemm_bias(nac_lowering *lowering, int c, float beta, int N, int *bias) {
    const nac_value *value = &lowering->graph->values[c];
    const size_t count = nac_elements(&value->shape);
    *bias = NAC_NONE;
    const bool along_columns = value->shape.rank > 0 && value->shape.dims[value->shape.rank - 1] == (int)count;
    if (!value->constant || (count != 1 && (!along_columns || count != (size_t)N))) return NAC_OK;
    float *numbers;
    NAC_TRY(nac_lower_add_vector(lowering, N, bias, &numbers));
    const float *from = nac_data(lowering->graph, c);
    for (int n = 0; n < N; ++n) numbers[n] = beta * from[count == 1 ? 0 : n];
    return NAC_OK;
}

/* alpha A' B' + beta C. */
nac_status nac_lower_Gemm(nac_lowering *lowering) {
    nac_graph *graph = lowering->graph;
    float alpha, beta;
    int64_t transpose_a, transpose_b;
    NAC_TRY(nac_attribute_float(lowering, "alpha", 1, &alpha));
    NAC_TRY(nac_attribute_float(lowering, "beta", 1, &beta));
    NAC_TRY(nac_attribute_int(lowering, "transA", 0, &transpose_a));
    NAC_TRY(nac_attribute_int(lowering, "transB", 0, &transpose_b));
    int a, b, c = nac_lower_optional(lowering, 2), y;
    NAC_TRY(nac_lower_float(lowering, 0, &a));
    NAC_TRY(nac_lower_float(lowering, 1, &b));
    if (c != NAC_NONE) NAC_TRY(nac_lower_float(lowering, 2, &c));
    const nac_shape as = graph->values[a].shape, bs = graph->values[b].shape;
    if (as.rank != 2 || bs.rank != 2) return mismatch(lowering, &as, &bs);
    const int M = as.dims[transpose_a != 0], K = as.dims[transpose_a == 0], N = bs.dims[transpose_b == 0];
    if (bs.dims[transpose_b != 0] != K) return mismatch(lowering, &as, &bs);

    nac_node node = nac_node_make(NAC_OP_MATMUL, lowering->node->name);
    node.u.matmul.transpose_a = transpose_a != 0;
    node.u.matmul.transpose_b = transpose_b != 0;
    const nac_shape ys = nac_shape_make(2, (const int[]){M, N});
    int inputs[3] = {a, b, NAC_NONE}, input_count = 2;
    const bool scale_b = graph->values[b].constant; /* else the product is scaled, and a bias must wait for it */
    if (scale_b) NAC_TRY(nac_lower_scaled(lowering, b, alpha, &inputs[1]));
    if (c != NAC_NONE && (scale_b || alpha == 1)) {
        NAC_TRY(gemm_bias(lowering, c, beta, N, &inputs[2]));
        if (inputs[2] != NAC_NONE) {
            input_count = 3;
            c = NAC_NONE;
        }
    }
    NAC_TRY(nac_lower_emit(lowering, node, inputs, input_count, &ys, NAC_ROW_MAJOR, &y));
    if (!scale_b) NAC_TRY(nac_lower_scaled(lowering, y, alpha, &y));
    if (c != NAC_NONE) {
        NAC_TRY(nac_as_row_major(lowering, c, &c));
        NAC_TRY(nac_lower_scaled(lowering, c, beta, &c));
        NAC_TRY(nac_lower_combine(lowering, NAC_BINARY_ADD, y, c, &y));
        const nac_shape *now = &graph->values[y].shape;
        if (!nac_shape_equal(now, &ys)) return nac_lower_fail(lowering, NAC_MALFORMED, "C does not broadcast to [%d, %d]", M, N);
    }
    return nac_lower_bind(lowering, 0, y);
}
