/* xnnpack.c - the backend's life: which kernel computes which node, one workspace for all, and running them. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "backend/loops.h"
#include "backend/xnn.h"
#include "ops/ops.h"

struct nac_xnnpack {
    const nac_graph *graph;
    nac_kernel *kernels; /* [node_count] */
    nac_shared_weights *shared;
    void *workspace;     /* as it was allocated */
};

/* ---- XNNPACK's memory ---------------------------------------------------------------------------- */

static void *allocate(void *context, size_t size) {
    (void)context;
    return nac_alloc(size);
}

static void *reallocate(void *context, void *memory, size_t size) {
    (void)context;
    return nac_realloc(memory, size);
}

static void deallocate(void *context, void *memory) {
    (void)context;
    nac_free(memory);
}

static void *round_up(void *memory, size_t alignment) {
    return (char *)memory + (-(uintptr_t)memory & (alignment - 1));
}

/* nac_alloc aligns to 16 only: more is taken, and what was really allocated is noted in front of the block. */
static void *allocate_aligned(void *context, size_t alignment, size_t size) {
    (void)context;
    size_t bytes;
    if (!nac_add_size(size, alignment + sizeof(void *), &bytes)) return NULL;
    char *memory = nac_alloc(bytes);
    if (!memory) return NULL;
    char *block = round_up(memory + sizeof(void *), alignment);
    memcpy(block - sizeof(void *), &memory, sizeof(void *));
    return block;
}

static void deallocate_aligned(void *context, void *block) {
    (void)context;
    if (!block) return;
    void *memory;
    memcpy(&memory, (char *)block - sizeof(void *), sizeof(void *));
    nac_free(memory);
}

/* XNNPACK keeps the first caller's allocator for the life of the process; it holds no state. */
static const struct xnn_allocator allocator = {
    .allocate = allocate,
    .reallocate = reallocate,
    .deallocate = deallocate,
    .aligned_allocate = allocate_aligned,
    .aligned_deallocate = deallocate_aligned,
};

/* ---- Choosing kernels ------------------------------------------------------------------------------ */

typedef enum xnn_status (*prepare_function)(const nac_graph *graph, const nac_node *node, nac_kernel *kernel);

/* What is not here is a loop's. */
static const prepare_function prepares[NAC_OP_COUNT] = {
    [NAC_OP_CONV] = nac_prepare_convolution,
    [NAC_OP_CONV_GRAD] = nac_prepare_convolution_gradient,
    [NAC_OP_MATMUL] = nac_prepare_matmul,
    [NAC_OP_UNARY] = nac_prepare_unary,
    [NAC_OP_MAX_POOL] = nac_prepare_max_pool,
    [NAC_OP_SOFTMAX] = nac_prepare_softmax,
    [NAC_OP_TRANSPOSE] = nac_prepare_transpose,
};

/* XNNPACK multiplies sizes without a look at overflow, which 32 bits have: the pointers to every pixel of every window, weights
 * with their channels rounded up, the parts of a strided gradient. Generous bounds of them, as doubles, which do not overflow. */
static bool sizes_fit(const nac_graph *graph, const nac_node *node) {
    const double ROUNDING = 64, PART = 256; /* channels at most; bytes at most */
    const bool convolution = node->op == NAC_OP_CONV || node->op == NAC_OP_CONV_GRAD;
    const nac_window *v = convolution ? &node->u.conv.window : node->op == NAC_OP_MAX_POOL ? &node->u.pool.window : NULL;
    const nac_value *x = nac_input(graph, node, 0), *w = nac_input(graph, node, 1), *y = nac_output(graph, node);
    double bytes = 0;
    if (v && x->shape.rank == 4 && y->shape.rank == 4) {
        const double in = (double)x->shape.dims[1] * x->shape.dims[2], out = (double)y->shape.dims[1] * y->shape.dims[2];
        bytes = fmax(in, out) * v->kernel_h * v->kernel_w * sizeof(void *);
        bytes = fmax(bytes, (double)v->stride_h * v->stride_w * PART);
    }
    if (w && w->constant && (convolution || node->op == NAC_OP_MATMUL)) {
        const double groups = convolution ? node->u.conv.groups : 1;
        const double outputs = w->shape.dims[node->op == NAC_OP_CONV ? 0 : w->shape.rank - 1] / (node->op == NAC_OP_CONV ? groups : 1);
        const double inputs = (double)nac_elements(&w->shape) / outputs / groups;
        bytes = fmax(bytes, groups * (outputs + ROUNDING) * (inputs + ROUNDING) * sizeof(float));
    }
    return bytes <= NAC_MAX_TENSOR_BYTES;
}

static void reset_kernel(nac_kernel *kernel) {
    if (kernel->operation && !kernel->borrowed) (void)xnn_delete_operator(kernel->operation);
    for (size_t i = 0; i < kernel->chunk_count && !kernel->borrowed; ++i) (void)xnn_delete_operator(kernel->chunks[i]);
    if (!kernel->borrowed) {
        nac_free(kernel->chunks);
        nac_free(kernel->weights);
    }
    *kernel = (nac_kernel){0};
}

static bool has_clamp(const nac_node *node) { return node->min != -INFINITY || node->max != INFINITY; }

/* XNNPACK's kernel or one of our own. NAC_XNN_NOT_MINE and the like, and an empty kernel, where there is none. */
static enum xnn_status prepare_operator(nac_xnnpack *backend, const nac_node *node, nac_kernel *kernel) {
    const prepare_function function = prepares[node->op];
    if (!function || !sizes_fit(backend->graph, node)) return NAC_XNN_NOT_MINE;
    kernel->shared = &backend->shared;
    const enum xnn_status status = function(backend->graph, node, kernel);
    if (status != xnn_status_success) reset_kernel(kernel);
    return status;
}

static nac_status prepare(nac_xnnpack *backend, nac_graph *graph, const nac_node *node, nac_kernel *kernel, nac_error *error) {
    const nac_value *weights = nac_input(graph, node, 1);
    enum xnn_status status = prepare_operator(backend, node, kernel);
    if (status != xnn_status_success && status != xnn_status_out_of_memory && weights && weights->type == NAC_Q8) { /* who does not take bytes may take floats */
        NAC_TRY(nac_graph_dequantise(graph, node->inputs[1], error));
        status = prepare_operator(backend, node, kernel);
    }
    if (status == xnn_status_success) return NAC_OK;
    if (status == xnn_status_out_of_memory) return nac_fail(error, NAC_OUT_OF_MEMORY, "memory ran out for the weights of node '%s'", node->name);
    const nac_loop *loop = nac_loop_find(graph, node);
    if (loop) {
        *kernel = (nac_kernel){.name = loop->name, .loop = loop->run, .clamps = loop->clamps};
    } else {
        *kernel = (nac_kernel){.name = "plain loop", .loop = nac_ops[node->op].run, .clamps = true};
    }
    return NAC_OK;
}

/* One block: the operators' workspaces and, behind them, what loops exchange with operators. */
static nac_status set_up(nac_xnnpack *backend, nac_error *error) {
    size_t size = 0;
    for (int i = 0; i < backend->graph->node_count; ++i) {
        nac_kernel *kernel = &backend->kernels[i];
        kernel->workspace_size = (kernel->workspace_size + NAC_XNN_ALIGNMENT - 1) & ~(size_t)(NAC_XNN_ALIGNMENT - 1);
        size_t bytes;
        if (!nac_add_size(kernel->workspace_size, kernel->scratch_size, &bytes)) return nac_out_of_memory(error, "kernels' workspace");
        if (bytes > size) size = bytes;
    }
    char *workspace = NULL;
    if (size) {
        if (!nac_add_size(size, NAC_XNN_ALIGNMENT + NAC_DATA_SLACK, &size) || !(backend->workspace = nac_alloc(size)))
            return nac_out_of_memory(error, "kernels' workspace");
        memset(backend->workspace, 0, size); /* the slack is read, and then thrown away */
        workspace = nac_xnn_align(backend->workspace);
    }
    for (int i = 0; i < backend->graph->node_count; ++i) {
        nac_kernel *kernel = &backend->kernels[i];
        const nac_node *node = &backend->graph->nodes[i];
        kernel->workspace = workspace;
        kernel->scratch = workspace ? (float *)(workspace + kernel->workspace_size) : NULL;
        if (kernel->setup && kernel->setup(kernel, backend->graph, node) != xnn_status_success)
            return nac_fail(error, NAC_INTERNAL, "XNNPACK refuses to set up node '%s' (%s)", node->name, kernel->name);
    }
    return NAC_OK;
}

/* Gives up the constants that a kernel has packed and that no other node is still to read. What a kernel has not packed stays counted, for
 * every run reads it. */
static void release_packed(nac_graph *graph, const nac_node *node, const nac_kernel *kernel, int *readers) {
    for (int slot = 0; slot < node->input_count; ++slot) {
        const int input = node->inputs[slot];
        if (input == NAC_NONE || !(kernel->packed >> slot & 1) || --readers[input] > 0 || !graph->values[input].constant) continue;
        nac_free(graph->values[input].data);
        graph->values[input].data = NULL;
    }
}

/* Whether two nodes do the same with the same weights, as the steps of a recurrent layer do: but for where they read and write. */
static bool are_twins(const nac_graph *graph, const nac_node *a, const nac_node *b) {
    const nac_value *weights = nac_input(graph, a, 1);
    if (a->op != b->op || a->input_count != b->input_count || !weights || !weights->constant || a->min != b->min || a->max != b->max) return false;
    for (int i = 1; i < a->input_count; ++i)
        if (a->inputs[i] != b->inputs[i]) return false;
    /* nac_node_make has cleared what lies between the attributes. */
    const char *attributes = (const char *)&a->u, *others = (const char *)&b->u;
    return memcmp(attributes, others, sizeof a->u) == 0 && nac_shape_equal(&nac_input(graph, a, 0)->shape, &nac_input(graph, b, 0)->shape) &&
           nac_shape_equal(&nac_output(graph, a)->shape, &nac_output(graph, b)->shape);
}

/* Twins have one kernel: their weights would be packed once for each of them. */
static bool borrow(const nac_graph *graph, const nac_node *node, const nac_node *before, nac_kernel *lender, nac_kernel *kernel) {
    if (lender->loop || !are_twins(graph, node, before)) return false;
    lender->shares = true;
    *kernel = *lender;
    kernel->borrowed = true;
    return true;
}

/* A node in the order of preparing. */
typedef struct turn {
    int node;
    int weights;  /* the constant that is its second input, or NAC_NONE */
    size_t bytes; /* of it */
} turn;

static int compare_turns(const void *a, const void *b) {
    const turn *x = a, *y = b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    if (x->weights != y->weights) return x->weights > y->weights ? -1 : 1;
    return x->node < y->node ? -1 : x->node > y->node;
}

/* The largest weights first, while there are large holes for their packed copies; and the nodes that share them (a convolution and its gradient)
 * one after the other, so that they can be released at once, and twins can borrow. So memory holds little more than the weights once, in one form or
 * the other. */
static nac_status prepare_all(nac_xnnpack *backend, nac_graph *graph, nac_error *error) {
    turn *turns = nac_alloc_array((size_t)graph->node_count, sizeof *turns);
    if (!turns) return nac_out_of_memory(error, "the backend's kernels");
    for (int n = 0; n < graph->node_count; ++n) {
        const nac_value *weights = nac_input(graph, &graph->nodes[n], 1);
        turns[n] = (turn){.node = n, .weights = NAC_NONE};
        if (!weights || !weights->constant) continue;
        turns[n].weights = graph->nodes[n].inputs[1];
        turns[n].bytes = nac_elements(&weights->shape) * nac_type_size(weights->type == NAC_Q8 ? NAC_F32 : weights->type); /* as which they may be packed */
    }
    qsort(turns, (size_t)graph->node_count, sizeof *turns, compare_turns);
    int *readers;
    nac_status status = nac_graph_count_uses(graph, NULL, 0, &readers, error);
    if (status != NAC_OK) readers = NULL;
    for (int i = 0; status == NAC_OK && i < graph->node_count; ++i) {
        const int n = turns[i].node, before = i > 0 ? turns[i - 1].node : n;
        if (n == before || !borrow(graph, &graph->nodes[n], &graph->nodes[before], &backend->kernels[before], &backend->kernels[n]))
            status = prepare(backend, graph, &graph->nodes[n], &backend->kernels[n], error);
        if (status == NAC_OK) release_packed(graph, &graph->nodes[n], &backend->kernels[n], readers);
    }
    nac_free(readers);
    nac_free(turns);
    return status;
}

/* ---- Life ------------------------------------------------------------------------------------------ */

nac_status nac_xnnpack_create(nac_graph *graph, nac_xnnpack **result, nac_error *error) {
    if (xnn_initialize(&allocator) != xnn_status_success) return nac_fail(error, NAC_UNSUPPORTED, "XNNPACK doesn't run on this processor");
    nac_xnnpack *backend = nac_alloc_array(1, sizeof *backend);
    if (!backend) return nac_out_of_memory(error, "the backend");
    backend->graph = graph;
    backend->kernels = nac_alloc_array((size_t)graph->node_count, sizeof *backend->kernels);
    nac_status status = backend->kernels ? NAC_OK : nac_out_of_memory(error, "the backend's kernels");
    if (status == NAC_OK) status = prepare_all(backend, graph, error);
    if (status == NAC_OK) status = set_up(backend, error);
    if (status != NAC_OK) {
        nac_xnnpack_destroy(backend);
        return status;
    }
    *result = backend;
    return NAC_OK;
}

void nac_xnnpack_destroy(nac_xnnpack *backend) {
    if (!backend) return;
    for (int i = 0; backend->kernels && i < backend->graph->node_count; ++i) reset_kernel(&backend->kernels[i]);
    nac_free(backend->kernels);
    while (backend->shared) {
        nac_shared_weights *next = backend->shared->next;
        nac_free(backend->shared->memory);
        nac_free(backend->shared);
        backend->shared = next;
    }
    nac_free(backend->workspace);
    nac_free(backend);
}

nac_status nac_xnnpack_run(nac_xnnpack *backend, int index, nac_error *error) {
    const nac_graph *graph = backend->graph;
    const nac_node *node = &graph->nodes[index];
    nac_kernel *kernel = &backend->kernels[index];
    if (kernel->loop) {
        kernel->loop(graph, node);
    } else {
        if (kernel->shares && kernel->setup && kernel->setup(kernel, graph, node) != xnn_status_success)
            return nac_fail(error, NAC_INTERNAL, "XNNPACK refuses to set up node '%s' (%s)", node->name, kernel->name);
        if (kernel->before) kernel->before(kernel, graph, node);
        if (kernel->operation && xnn_run_operator(kernel->operation, NULL) != xnn_status_success)
            return nac_fail(error, NAC_INTERNAL, "XNNPACK refuses to run node '%s' (%s)", node->name, kernel->name);
        for (size_t i = 0; i < kernel->chunk_count; ++i)
            if (xnn_run_operator(kernel->chunks[i], NULL) != xnn_status_success)
                return nac_fail(error, NAC_INTERNAL, "XNNPACK refuses to run node '%s' (%s)", node->name, kernel->name);
        if (kernel->after) kernel->after(kernel, graph, node);
    }
    if (!kernel->clamps && has_clamp(node)) nac_loop_clamp(nac_output_data(graph, node), nac_elements(&nac_output(graph, node)->shape), node->min, node->max);
    return NAC_OK;
}

const char *nac_xnnpack_kernel_name(const nac_xnnpack *backend, int node) { return backend->kernels[node].name; }
