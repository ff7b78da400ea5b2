/* The XNNPACK backend's memory: none taken in runs, all given back, packed weights freed, and every allocation may fail. */
#ifdef NAC_HAVE_XNNPACK
#include "backend_case.h"

/* ---- An allocator that counts, and fails when told: instead of core/src/base/memory.c -------------- */

static long allocations, live, fail_at = -1;

void *nac_alloc(size_t bytes) {
    if (allocations++ == fail_at) return NULL;
    void *memory = malloc(bytes ? bytes : 1);
    live += memory != NULL;
    return memory;
}

void *nac_realloc(void *memory, size_t bytes) {
    if (allocations++ == fail_at) return NULL;
    void *moved = realloc(memory, bytes ? bytes : 1);
    live += memory == NULL && moved != NULL;
    return moved;
}

void nac_free(void *memory) {
    live -= memory != NULL;
    free(memory);
}

/* ---- A graph with a node or two of each kind of kernel -------------------------------------------------- */

typedef struct network {
    backend_case c; /* owns the data; its graph has all nodes */
    int w[6], shared, last;
} network;

static int constant(network *n, int rank, const int *dims) {
    n->c.input_count = 0;
    case_input(&n->c, true, rank, dims, -1, 1);
    return n->c.inputs[0];
}

static int emit(network *n, nac_node node, const int *inputs, int input_count, int rank, const int *dims) {
    nac_shape shape = nac_shape_make(rank, dims);
    int output;
    ENSURE_OK(nac_graph_emit(&n->c.graph, node, inputs, input_count, NULL, &shape, NAC_ROW_MAJOR, &output, &case_error), &case_error);
    n->c.graph.values[output].data = case_data(&n->c, nac_elements(&shape));
    return output;
}

static void make_network(network *n) {
    *n = (network){0};
    const int image[4] = {1, 8, 8, 16}, dense[4] = {16, 3, 3, 16}, point[4] = {16, 1, 1, 16}, depth[4] = {16, 3, 3, 1}, row[2] = {1, 16}, matrix[2] = {16, 16};
    const int small[4] = {1, 4, 4, 16}, pixel[4] = {1, 1, 1, 16};
    case_input(&n->c, false, 4, image, -1, 1);
    int x = n->c.inputs[0];
    n->w[0] = constant(n, 4, dense), n->w[1] = constant(n, 4, point), n->w[2] = constant(n, 4, depth), n->w[3] = constant(n, 2, matrix);
    n->shared = constant(n, 4, image);
    nac_node node = nac_node_make(NAC_OP_CONV, "convolution");
    node.u.conv.window = (nac_window){3, 3, 1, 1, 1, 1, 1, 1, 1, 1};
    node.u.conv.groups = 1;
    int y = emit(n, node, (int[]){x, n->w[0]}, 2, 4, image);
    y = emit(n, node, (int[]){y, n->w[0]}, 2, 4, image);
    node.op = NAC_OP_CONV_GRAD;
    y = emit(n, node, (int[]){y, n->w[0]}, 2, 4, image);
    node.u.conv.groups = 16;
    node.u.conv.window.stride_h = node.u.conv.window.stride_w = 2;
    for (int i = 0; i < 2; ++i) {
        node.op = NAC_OP_CONV;
        y = emit(n, node, (int[]){y, n->w[2]}, 2, 4, small);
        node.op = NAC_OP_CONV_GRAD;
        y = emit(n, node, (int[]){y, n->w[2]}, 2, 4, image);
    }
    node.u.conv.groups = 1;
    node.op = NAC_OP_CONV;
    node.u.conv.window = (nac_window){1, 1, 2, 2, 1, 1, 0, 0, 0, 0};
    y = emit(n, node, (int[]){y, n->w[1]}, 2, 4, small);
    node.op = NAC_OP_CONV_GRAD;
    y = emit(n, node, (int[]){y, n->w[1]}, 2, 4, image);
    y = emit(n, nac_node_make(NAC_OP_BINARY, "sum"), (int[]){y, n->shared}, 2, 4, image);
    node = nac_node_make(NAC_OP_MAX_POOL, "pool");
    node.u.pool.window = (nac_window){2, 2, 2, 2, 1, 1, 0, 0, 0, 0};
    y = emit(n, node, &y, 1, 4, small);
    node = nac_node_make(NAC_OP_UNARY, "sigmoid");
    node.u.unary.kind = NAC_UNARY_SIGMOID;
    y = emit(n, node, &y, 1, 4, small);
    node = nac_node_make(NAC_OP_REDUCE, "mean");
    node.u.reduce.axes[1] = node.u.reduce.axes[2] = true;
    node.u.reduce.scale = 1;
    y = emit(n, node, &y, 1, 4, pixel);
    y = emit(n, nac_node_make(NAC_OP_RESHAPE, "flat"), &y, 1, 2, row);
    for (int i = 0; i < 2; ++i) y = emit(n, nac_node_make(NAC_OP_MATMUL, "classifier"), (int[]){y, n->w[3]}, 2, 2, row);
    node = nac_node_make(NAC_OP_SOFTMAX, "softmax");
    node.u.softmax.axis = 1;
    n->last = emit(n, node, &y, 1, 2, row);
    n->c.graph.logits = y;
}

static void run_all(network *n, nac_xnnpack *backend) {
    for (int i = 0; i < n->c.graph.node_count; ++i) ENSURE_OK(nac_xnnpack_run(backend, i, &case_error), &case_error);
}

static void test_a_run_allocates_nothing(void) {
    network n;
    make_network(&n);
    nac_xnnpack *backend;
    ENSURE_OK(nac_xnnpack_create(&n.c.graph, &backend, &case_error), &case_error);
    const long before = allocations, held = live;
    for (int round = 0; round < 3; ++round) run_all(&n, backend);
    ENSURE(allocations == before && live == held);
    ENSURE(!isnan(((float *)n.c.graph.values[n.last].data)[0]));
    nac_xnnpack_destroy(backend);
    case_free(&n.c);
    ENSURE(live == 0);
}

/* Weights that were packed are gone; what a loop still reads is not. */
static void test_packed_weights_are_freed(void) {
    network n;
    make_network(&n);
    nac_xnnpack *backend;
    ENSURE_OK(nac_xnnpack_create(&n.c.graph, &backend, &case_error), &case_error);
    for (int i = 0; i < 4; ++i) ENSURE(n.c.graph.values[n.w[i]].data == NULL);
    ENSURE(n.c.graph.values[n.shared].data != NULL);
    nac_xnnpack_destroy(backend);
    case_free(&n.c);
}

/* Allocations for `steps` products with the same weights, of which each reads what the one before it made. */
static long allocations_of_steps(int steps) {
    network n = {0};
    const int row[2] = {1, 16}, matrix[2] = {16, 16};
    case_input(&n.c, false, 2, row, -1, 1);
    int y = n.c.inputs[0];
    n.w[0] = constant(&n, 2, matrix);
    for (int i = 0; i < steps; ++i) y = emit(&n, nac_node_make(NAC_OP_MATMUL, "step"), (int[]){y, n.w[0]}, 2, 2, row);
    n.c.graph.logits = y;
    nac_xnnpack *backend;
    allocations = 0;
    ENSURE_OK(nac_xnnpack_create(&n.c.graph, &backend, &case_error), &case_error);
    const long taken = allocations;
    run_all(&n, backend);
    nac_xnnpack_destroy(backend);
    case_free(&n.c);
    return taken;
}

/* However many steps: one packed copy. */
static void test_steps_share_weights(void) { ENSURE(allocations_of_steps(12) == allocations_of_steps(2)); }

static void test_every_allocation_may_fail(void) {
    for (long n_th = 0;; ++n_th) {
        network n;
        make_network(&n);
        nac_xnnpack *backend = NULL;
        allocations = 0;
        fail_at = n_th;
        nac_status status = nac_xnnpack_create(&n.c.graph, &backend, &case_error);
        fail_at = -1;
        if (status == NAC_OK) {
            ENSURE(n_th > 10); /* all of them have failed by now, or the failure was survived */
            run_all(&n, backend);
            nac_xnnpack_destroy(backend);
            const bool reached = allocations > n_th + 1;
            case_free(&n.c);
            ENSURE(live == 0);
            if (!reached) break;
            continue;
        }
        ENSURE(status == NAC_OUT_OF_MEMORY);
        ENSURE(backend == NULL);
        case_free(&n.c);
        ENSURE(live == 0);
    }
}

int main(void) {
    RUN(test_a_run_allocates_nothing);
    RUN(test_packed_weights_are_freed);
    RUN(test_steps_share_weights);
    RUN(test_every_allocation_may_fail);
    return TEST_RESULT();
}
#else
#include "test.h"
int main(void) { return TEST_RESULT(); }
#endif
