/* own_convolution.c - CONV and CONV_GRAD that are not XNNPACK's: algorithms that hold one copy of the weights for both directions, sums without
 * what a ReLU has set to zero (sparse.c), products for few pixels (direct.c) and Winograd's for 3x3 windows of stride 1 and 2 (winograd.c), which
 * multiplies 2.25 and 1.44 times less; and loops for depthwise ones (loops_depthwise.c), 3 to 9 times as fast as XNNPACK's. */
#include <math.h>
#include <string.h>

#include "backend/loops.h"
#include "backend/xnn.h"

/* ---- One copy of the weights for both directions --------------------------------------------------- */

static const nac_algorithm *const algorithms[] = {&nac_sparse, &nac_direct, &nac_winograd};

/* Weights that an algorithm has arranged, for a convolution of this stride, which Winograd's differ with. NULL for the algorithm: any that takes
 * the convolution. */
static const nac_shared_weights *find_shared(const nac_shared_weights *shared, int value, const nac_algorithm *algorithm, const nac_convolution *p) {
    for (; shared; shared = shared->next)
        if (shared->value == value && shared->stride == p->window.stride_h && (algorithm ? shared->algorithm == algorithm : shared->algorithm->takes(p)))
            return shared;
    return NULL;
}

/* The one that has arranged the weights for the other direction, or else the first that takes the convolution. */
static const nac_algorithm *find_algorithm(const nac_shared_weights *shared, int value, const nac_convolution *p) {
    const nac_shared_weights *there = find_shared(shared, value, NULL, p);
    if (there) return there->algorithm;
    for (size_t i = 0; i < NAC_COUNT(algorithms); ++i)
        if (algorithms[i]->takes(p)) return algorithms[i];
    return NULL;
}

/* The arranged weights, made when the first of their nodes asks; NULL when out of memory. */
static const nac_shared_weights *share_weights(nac_shared_weights **shared, int value, const nac_algorithm *algorithm, const nac_convolution *p) {
    const nac_shared_weights *there = find_shared(*shared, value, algorithm, p);
    if (there) return there;
    size_t bytes;
    if (!nac_mul_size(algorithm->weights(p), sizeof(float), &bytes) || !nac_add_size(bytes, NAC_XNN_ALIGNMENT, &bytes)) return NULL;
    nac_shared_weights *added = nac_alloc_array(1, sizeof *added);
    void *memory = added ? nac_alloc(bytes) : NULL;
    if (!memory) {
        nac_free(added);
        return NULL;
    }
    *added = (nac_shared_weights){.value = value, .algorithm = algorithm, .stride = p->window.stride_h, .quantised = p->quantised,
                                  .memory = memory, .data = nac_xnn_align(memory), .next = *shared};
    algorithm->arrange(p, added->data);
    *shared = added;
    return added;
}

static void run_algorithm(const nac_kernel *kernel, const nac_graph *graph, const nac_node *node) {
    const bool backward = node->op == NAC_OP_CONV_GRAD;
    kernel->algorithm->run(&kernel->convolution, backward, kernel->shared_weights, nac_input_data(graph, node, 0),
                           backward ? NULL : nac_input_data(graph, node, 2), node->min, node->max, kernel->scratch, nac_output_data(graph, node));
}

static enum xnn_status prepare_algorithm(const nac_algorithm *algorithm, const nac_convolution *p, const nac_node *node, nac_kernel *kernel) {
    const bool backward = node->op == NAC_OP_CONV_GRAD;
    const nac_shared_weights *weights = share_weights(kernel->shared, node->inputs[1], algorithm, p);
    if (!weights || !nac_mul_size(algorithm->scratch(p, backward), sizeof(float), &kernel->scratch_size))
        return xnn_status_out_of_memory;
    kernel->name = backward ? algorithm->backward : algorithm->forward;
    kernel->algorithm = algorithm;
    kernel->shared_weights = weights->data;
    kernel->convolution = *p;
    kernel->convolution.w = NULL; /* freed when all are packed */
    kernel->convolution.bytes = (nac_quantised){0};
    kernel->convolution.quantised = weights->quantised;
    kernel->clamps = true;
    kernel->packed = 1u << 1;
    kernel->after = run_algorithm;
    return xnn_status_success;
}

/* ---- Depthwise: at stride 1 the gradient is the forward loop with the window turned by 180 degrees ----- */

static bool is_depthwise(const nac_convolution *p) {
    return p->groups > 1 && p->Ci == p->groups && p->Co == p->groups && p->window.kernel_h <= NAC_DEPTHWISE_MAX &&
           p->window.kernel_w <= NAC_DEPTHWISE_MAX;
}

/* The loops want [kh,kw,C], and behind it the bias [C]. `turned`: the window by 180 degrees. */
static enum xnn_status copy_depthwise_weights(nac_kernel *kernel, const nac_convolution *p, bool turned, const float *bias) {
    size_t taps = (size_t)p->window.kernel_h * (size_t)p->window.kernel_w, C = (size_t)p->Ci;
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

static enum xnn_status prepare_depthwise(const nac_convolution *p, const nac_node *node, const float *bias, nac_kernel *kernel) {
    const nac_window *v = &p->window;
    const bool backward = node->op == NAC_OP_CONV_GRAD;
    const bool turn = backward && v->stride_h == 1 && v->stride_w == 1 && v->pad_top <= (v->kernel_h - 1) * v->dilation_h &&
                      v->pad_left <= (v->kernel_w - 1) * v->dilation_w;
    kernel->name = turn ? "loop over depthwise windows, turned" : backward ? "loop over depthwise gradients" : "loop over depthwise windows";
    kernel->after = turn ? run_turned_depthwise : backward ? run_depthwise_gradient : run_depthwise;
    kernel->clamps = !backward;
    kernel->packed = backward ? 1u << 1 : 1u << 1 | 1u << 2;
    return copy_depthwise_weights(kernel, p, turn, bias);
}

enum xnn_status nac_prepare_own_convolution(const nac_convolution *p, const nac_node *node, const float *bias, nac_kernel *kernel) {
    if (is_depthwise(p)) return p->quantised ? NAC_XNN_NOT_MINE : prepare_depthwise(p, node, bias, kernel);
    const nac_algorithm *algorithm = find_algorithm(*kernel->shared, node->inputs[1], p);
    return algorithm && (algorithm->keeps_bytes || !p->quantised) ? prepare_algorithm(algorithm, p, node, kernel) : NAC_XNN_NOT_MINE;
}
