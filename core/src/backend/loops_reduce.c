/* loops_reduce.c - REDUCE over neighbouring axes, and the gradients of softmax: sums.
 *
 * A sum is taken in blocks: at most BLOCK terms in float32, the blocks in double. Its error is at most BLOCK * 2^-24 of
 * sum |x| (5e-7), whatever the length: the sums of a whole activation map (12544 terms for 112 x 112) are what states are
 * made of. */
#include "backend/loops.h"
#include "backend/simd.h"

enum { BLOCK = 8, LANES = 16 };

/* Sums of `rows` rows of `columns` <= CHUNK floats that lie `stride` apart. */
enum { CHUNK = 64 };
static void sum_rows(const float *x, size_t rows, size_t columns, size_t stride, float scale, float *out) {
    double total[CHUNK] = {0};
    float block[CHUNK];
    for (size_t r = 0; r < rows; r += BLOCK) {
        size_t end = rows - r < BLOCK ? rows - r : BLOCK;
        const float *row = x + r * stride;
        if (columns == CHUNK && end == BLOCK) { /* sizes known to the compiler: 2.5 times as fast */
            for (size_t c = 0; c < CHUNK; ++c) {
                float sum = row[c];
                for (size_t i = 1; i < BLOCK; ++i) sum += row[i * stride + c];
                block[c] = sum;
            }
            for (size_t c = 0; c < CHUNK; ++c) total[c] += (double)block[c];
            continue;
        }
        for (size_t c = 0; c < columns; ++c) block[c] = row[c];
        for (size_t i = 1; i < end; ++i)
            for (size_t c = 0; c < columns; ++c) block[c] += row[i * stride + c];
        for (size_t c = 0; c < columns; ++c) total[c] += (double)block[c];
    }
    for (size_t c = 0; c < columns; ++c) out[c] = (float)(total[c] * (double)scale);
}

double nac_loop_sum(const float *x, const float *y, size_t count) {
    double total = 0;
    size_t i = 0;
    for (; i + BLOCK * LANES <= count; i += BLOCK * LANES) {
        nac_f4 sums[LANES / 4];
        for (size_t l = 0; l < LANES / 4; ++l) {
            nac_f4 sum = {0};
            for (size_t b = 0; b < BLOCK; ++b) {
                size_t at = i + b * LANES + l * 4;
                sum += y ? nac_load4(x + at) * nac_load4(y + at) : nac_load4(x + at);
            }
            sums[l] = sum;
        }
        for (size_t l = 0; l < LANES / 4; ++l) total += (double)sums[l][0] + (double)sums[l][1] + (double)sums[l][2] + (double)sums[l][3];
    }
    for (; i < count; ++i) total += y ? (double)x[i] * (double)y[i] : (double)x[i];
    return total;
}

/* Axes as [outer, reduced, inner]: false when the reduced ones aren't neighbours (ones aside). */
static bool as_three(const nac_shape *shape, const bool *axes, size_t *outer, size_t *reduced, size_t *inner) {
    *outer = *reduced = *inner = 1;
    enum { OUTER, REDUCED, INNER } part = OUTER;
    for (int i = 0; i < shape->rank; ++i) {
        size_t size = (size_t)shape->dims[i];
        if (size == 1) continue;
        if (axes[i]) {
            if (part == INNER) return false;
            part = REDUCED;
            *reduced *= size;
        } else if (part == OUTER) {
            *outer *= size;
        } else {
            part = INNER;
            *inner *= size;
        }
    }
    return true;
}

static void reduce(const nac_graph *graph, const nac_node *node) {
    const nac_value *value = &graph->values[node->inputs[0]];
    size_t outer, reduced, inner;
    (void)as_three(&value->shape, node->u.reduce.axes, &outer, &reduced, &inner);
    const float *x = value->data;
    float *y = graph->values[node->output].data, scale = node->u.reduce.scale;
    for (size_t o = 0; o < outer; ++o, x += reduced * inner, y += inner) {
        if (inner == 1)
            *y = (float)(nac_loop_sum(x, NULL, reduced) * (double)scale);
        else
            for (size_t c = 0; c < inner; c += CHUNK) sum_rows(x + c, reduced, inner - c < CHUNK ? inner - c : CHUNK, inner, scale, y + c);
    }
}

/* y * (dy - sum(y * dy)), each row by itself. */
static void softmax_gradient(const nac_graph *graph, const nac_node *node) {
    const nac_value *value = &graph->values[node->output];
    size_t C = (size_t)value->shape.dims[node->u.softmax.axis], rows = nac_elements(&value->shape) / C;
    const float *y = graph->values[node->inputs[0]].data, *dy = graph->values[node->inputs[1]].data;
    float *dx = value->data;
    for (size_t r = 0; r < rows; ++r, y += C, dy += C, dx += C) {
        float sum = (float)nac_loop_sum(y, dy, C);
        for (size_t c = 0; c < C; ++c) dx[c] = y[c] * (dy[c] - sum);
    }
}

const nac_loop *nac_loop_find_reduce(const nac_graph *graph, const nac_node *node) {
    static const nac_loop sums = {"loop over sums", reduce, false}, softmax = {"loop over rows", softmax_gradient, false};
    const nac_shape *shape = &graph->values[node->inputs[0]].shape;
    if (node->op == NAC_OP_REDUCE) {
        size_t outer, reduced, inner;
        return as_three(shape, node->u.reduce.axes, &outer, &reduced, &inner) ? &sums : NULL;
    }
    if (node->op == NAC_OP_SOFTMAX_GRAD) {
        for (int i = node->u.softmax.axis + 1; i < shape->rank; ++i)
            if (shape->dims[i] != 1) return NULL;
        return &softmax;
    }
    return NULL;
}
