/* loops_normalise.c - LAYER_NORM and its gradient, row by row: the row lies in the cache while its few passes run. */
#include <math.h>

#include "backend/loops.h"
#include "backend/simd.h"

/* centred[c] = x[c] - mean(x); returns 1 / sqrt(variance + epsilon). */
static float centre(const float *x, float *centred, size_t C, float epsilon) {
    const float mean = (float)(nac_loop_sum(x, NULL, C) / (double)C);
    NAC_INDEPENDENT
    for (size_t c = 0; c < C; ++c) centred[c] = x[c] - mean;
    /* The rounding of the mean is the same for all, so it adds its square to the variance: 2^-48 of the mean's. */
    return (float)(1 / sqrt(nac_loop_sum(centred, centred, C) / (double)C + (double)epsilon));
}

static void layer_norm(const nac_graph *graph, const nac_node *node) {
    const nac_value *value = &graph->values[node->output];
    const size_t C = (size_t)value->shape.dims[value->shape.rank - 1], rows = nac_elements(&value->shape) / C;
    const float *x = graph->values[node->inputs[0]].data, *scale = graph->values[node->inputs[1]].data, *bias = graph->values[node->inputs[2]].data;
    float *y = value->data;
    for (size_t r = 0; r < rows; ++r, x += C, y += C) {
        const float factor = centre(x, y, C, node->u.layer_norm.epsilon);
        NAC_INDEPENDENT
        for (size_t c = 0; c < C; ++c) y[c] = y[c] * factor * scale[c] + bias[c];
    }
}

/* Sum of a[c] * b[c] * d[c]. */
static double sum_products(const float *a, const float *b, const float *d, size_t C) {
    enum { BLOCK = 8 };
    double total = 0;
    size_t c = 0;
    for (; c + 4 * BLOCK <= C; c += 4 * BLOCK) {
        nac_f4 sum = {0};
        for (size_t i = c; i < c + 4 * BLOCK; i += 4) sum += nac_load4(a + i) * nac_load4(b + i) * nac_load4(d + i);
        total += (double)sum[0] + (double)sum[1] + (double)sum[2] + (double)sum[3];
    }
    for (; c < C; ++c) total += (double)a[c] * (double)b[c] * (double)d[c];
    return total;
}

static void layer_norm_gradient(const nac_graph *graph, const nac_node *node) {
    const nac_value *value = &graph->values[node->output];
    const size_t C = (size_t)value->shape.dims[value->shape.rank - 1], rows = nac_elements(&value->shape) / C;
    const float *x = graph->values[node->inputs[0]].data, *dy = graph->values[node->inputs[1]].data, *scale = graph->values[node->inputs[2]].data;
    float *dx = value->data;
    for (size_t r = 0; r < rows; ++r, x += C, dy += C, dx += C) {
        const float factor = centre(x, dx, C, node->u.layer_norm.epsilon);
        const float mean = (float)(nac_loop_sum(dy, scale, C) / (double)C);
        const float slope = (float)(sum_products(dy, scale, dx, C) / (double)C) * factor * factor;
        NAC_INDEPENDENT
        for (size_t c = 0; c < C; ++c) dx[c] = factor * (dy[c] * scale[c] - mean - dx[c] * slope);
    }
}

const nac_loop *nac_loop_find_normalise(const nac_graph *graph, const nac_node *node) {
    static const nac_loop forward = {"loop over rows", layer_norm, false}, backward = {"loop over rows", layer_norm_gradient, false};
    (void)graph;
    if (node->op == NAC_OP_LAYER_NORM) return &forward;
    return node->op == NAC_OP_LAYER_NORM_GRAD ? &backward : NULL;
}
