/* loops_elementwise.c - BINARY, EXPAND, AFFINE, CLAMP_GRAD and the unary functions that XNNPACK doesn't serve. One pass over
 * memory each, with the node's clamp in it where fusion puts one (the addition and Relu at the end of a residual block). */
#include <math.h>

#include "backend/exponential.h"
#include "backend/loops.h"

static inline float clamp(float v, float low, float high) {
    v = v < low ? low : v; /* NaN stays NaN */
    return v > high ? high : v;
}

void nac_loop_clamp(float *data, size_t count, float low, float high) {
    for (size_t i = 0; i < count; ++i) data[i] = clamp(data[i], low, high);
}

void nac_loop_add_rows(float *data, const float *row, size_t rows, size_t N) {
    for (size_t r = 0; r < rows; ++r, data += N)
        for (size_t n = 0; n < N; ++n) data[n] += row[n];
}

/* ---- Two inputs with broadcasting ------------------------------------------------------------------ */

/* A run of n outputs. A step of 0 repeats that input's one element. */
typedef void (*run_function)(float *y, const float *a, const float *b, size_t n, size_t step_a, size_t step_b, float low, float high);

#define RUN_FUNCTION(NAME, EXPRESSION)                                                                                         \
    static void NAME(float *y, const float *a, const float *b, size_t n, size_t step_a, size_t step_b, float low, float high) { \
        if (step_a && step_b) {                                                                                                \
            NAC_INDEPENDENT                                                                                                    \
            for (size_t i = 0; i < n; ++i) {                                                                                   \
                float u = a[i], v = b[i];                                                                                      \
                y[i] = clamp(EXPRESSION, low, high);                                                                           \
            }                                                                                                                  \
        } else if (step_a) {                                                                                                   \
            float v = *b;                                                                                                      \
            NAC_INDEPENDENT                                                                                                    \
            for (size_t i = 0; i < n; ++i) {                                                                                   \
                float u = a[i];                                                                                                \
                y[i] = clamp(EXPRESSION, low, high);                                                                           \
            }                                                                                                                  \
        } else if (step_b) {                                                                                                   \
            float u = *a;                                                                                                      \
            NAC_INDEPENDENT                                                                                                    \
            for (size_t i = 0; i < n; ++i) {                                                                                   \
                float v = b[i];                                                                                                \
                y[i] = clamp(EXPRESSION, low, high);                                                                           \
            }                                                                                                                  \
        } else {                                                                                                               \
            float u = *a, v = *b, all = clamp(EXPRESSION, low, high);                                                          \
            for (size_t i = 0; i < n; ++i) y[i] = all;                                                                         \
        }                                                                                                                      \
    }
RUN_FUNCTION(run_add, u + v)
RUN_FUNCTION(run_sub, u - v)
RUN_FUNCTION(run_mul, u * v)
RUN_FUNCTION(run_div, u / v)
RUN_FUNCTION(run_max, u > v ? u : v)
RUN_FUNCTION(run_min, u < v ? u : v)
RUN_FUNCTION(run_greater, u > v ? 1.0f : 0.0f)
RUN_FUNCTION(run_not_less, u >= v ? 1.0f : 0.0f)
RUN_FUNCTION(run_equal, u == v ? 1.0f : 0.0f)

static const run_function run_functions[] = {
    [NAC_BINARY_ADD] = run_add, [NAC_BINARY_SUB] = run_sub, [NAC_BINARY_MUL] = run_mul,
    [NAC_BINARY_DIV] = run_div, [NAC_BINARY_MAX] = run_max, [NAC_BINARY_MIN] = run_min,
    [NAC_BINARY_GREATER] = run_greater, [NAC_BINARY_NOT_LESS] = run_not_less, [NAC_BINARY_EQUAL] = run_equal,
};

/* The output's axes, neighbours joined where both inputs go on in the same way; step 0 where an input repeats. */
typedef struct grid {
    int rank;
    size_t dims[NAC_MAX_RANK], step_a[NAC_MAX_RANK], step_b[NAC_MAX_RANK];
} grid;

/* Shapes of lower rank have ones in front. */
static size_t aligned_dim(const nac_shape *shape, int rank, int i) {
    i -= rank - shape->rank;
    return i < 0 ? 1 : (size_t)shape->dims[i];
}

static grid make_grid(const nac_shape *out, const nac_shape *a, const nac_shape *b) {
    grid g = {0};
    size_t stride_a = 1, stride_b = 1;
    size_t dims[NAC_MAX_RANK], steps_a[NAC_MAX_RANK], steps_b[NAC_MAX_RANK]; /* innermost first */
    int rank = 0;
    for (int i = out->rank - 1; i >= 0; --i) {
        size_t size = (size_t)out->dims[i], size_a = aligned_dim(a, out->rank, i), size_b = b ? aligned_dim(b, out->rank, i) : 1;
        if (size == 1) continue;
        size_t step_a = size_a == 1 ? 0 : stride_a, step_b = size_b == 1 ? 0 : stride_b;
        stride_a *= size_a;
        stride_b *= size_b;
        if (rank && step_a == steps_a[rank - 1] * dims[rank - 1] && step_b == steps_b[rank - 1] * dims[rank - 1]) {
            dims[rank - 1] *= size;
            continue;
        }
        dims[rank] = size, steps_a[rank] = step_a, steps_b[rank++] = step_b;
    }
    g.rank = rank;
    for (int i = 0; i < rank; ++i) g.dims[i] = dims[rank - 1 - i], g.step_a[i] = steps_a[rank - 1 - i], g.step_b[i] = steps_b[rank - 1 - i];
    return g;
}

/* NOLINTNEXTLINE(misc-no-recursion): no deeper than NAC_MAX_RANK */
static float *run_grid(const grid *g, int axis, run_function run, float *y, const float *a, const float *b, float low, float high) {
    size_t size = axis < g->rank ? g->dims[axis] : 1, step_a = axis < g->rank ? g->step_a[axis] : 0, step_b = axis < g->rank ? g->step_b[axis] : 0;
    if (axis >= g->rank - 1) {
        run(y, a, b, size, step_a, step_b, low, high);
        return y + size;
    }
    for (size_t i = 0; i < size; ++i) y = run_grid(g, axis + 1, run, y, a + i * step_a, b + i * step_b, low, high);
    return y;
}

static void binary(const nac_graph *graph, const nac_node *node) {
    const nac_value *a = &graph->values[node->inputs[0]], *b = &graph->values[node->inputs[1]], *y = &graph->values[node->output];
    grid g = make_grid(&y->shape, &a->shape, &b->shape);
    run_grid(&g, 0, run_functions[node->u.binary.kind], y->data, a->data, b->data, node->min, node->max);
}

static void expand(const nac_graph *graph, const nac_node *node) {
    const nac_value *x = &graph->values[node->inputs[0]], *y = &graph->values[node->output];
    grid g = make_grid(&y->shape, &x->shape, NULL);
    run_grid(&g, 0, run_mul, y->data, x->data, &node->u.expand.scale, node->min, node->max);
}

static void affine(const nac_graph *graph, const nac_node *node) {
    const nac_value *value = &graph->values[node->output];
    size_t C = (size_t)value->shape.dims[value->shape.rank - 1], rows = nac_elements(&value->shape) / C;
    const float *x = graph->values[node->inputs[0]].data, *scale = graph->values[node->inputs[1]].data, *bias = graph->values[node->inputs[2]].data;
    float *y = value->data, low = node->min, high = node->max;
    for (size_t r = 0; r < rows; ++r, x += C, y += C)
        NAC_INDEPENDENT
        for (size_t c = 0; c < C; ++c) y[c] = clamp(x[c] * scale[c] + bias[c], low, high);
}

/* ---- One input ------------------------------------------------------------------------------------- */

static void clamp_gradient(const nac_graph *graph, const nac_node *node) {
    const float *y = graph->values[node->inputs[0]].data, *dy = graph->values[node->inputs[1]].data;
    float *dx = graph->values[node->output].data, low = node->min, high = node->max;
    size_t count = nac_elements(&graph->values[node->output].shape);
    NAC_INDEPENDENT
    for (size_t i = 0; i < count; ++i) {
        float v = y[i], d = dy[i]; /* read whether it is used or not: a load under a condition keeps the loop scalar, 5 times slower */
        dx[i] = ((v > low) & (v < high)) ? d : 0;
    }
}

#define UNARY_LOOP(EXPRESSION) \
    NAC_INDEPENDENT \
    for (size_t i = 0; i < count; ++i) { \
        float v = x[i]; \
        y[i] = (EXPRESSION); \
    } \
    break

static void unary(const nac_graph *graph, const nac_node *node) {
    const float *x = graph->values[node->inputs[0]].data, a = node->u.unary.a, b = node->u.unary.b;
    float *y = graph->values[node->output].data;
    size_t count = nac_elements(&graph->values[node->output].shape);
    switch (node->u.unary.kind) {
    case NAC_UNARY_CLAMP: UNARY_LOOP(clamp(v, a, b));
    case NAC_UNARY_HARD_SIGMOID: UNARY_LOOP(clamp(a * v + b, 0, 1));
    case NAC_UNARY_ERF: NAC_FOR_EACH_4(y, x, x, count, nac_erf4(u)); break;
    case NAC_UNARY_EXP: NAC_FOR_EACH_4(y, x, x, count, nac_exp4(u)); break;
    case NAC_UNARY_SQRT: UNARY_LOOP(sqrtf(v));
    case NAC_UNARY_ABS: UNARY_LOOP(fabsf(v));
    case NAC_UNARY_NEG: UNARY_LOOP(-v);
    case NAC_UNARY_RECIPROCAL: UNARY_LOOP(1 / v);
    case NAC_UNARY_SWISH: NAC_FOR_EACH_4(y, x, x, count, u * nac_sigmoid4(u)); break;
    case NAC_UNARY_GELU: NAC_FOR_EACH_4(y, x, x, count, nac_splat4(a) * u * nac_gelu_gate4(u)); break;
    case NAC_UNARY_GELU_TANH: NAC_FOR_EACH_4(y, x, x, count, nac_splat4(2 * a) * u * nac_sigmoid4(nac_gelu_argument4(u))); break;
    default: break;
    }
}

const nac_loop *nac_loop_find_elementwise(const nac_graph *graph, const nac_node *node) {
    static const nac_loop pairs = {"loop over pairs", binary, true}, spread = {"loop over copies", expand, true};
    static const nac_loop scaled = {"loop over channels", affine, true}, masked = {"loop over elements", clamp_gradient, true};
    static const nac_loop each = {"loop over elements", unary, false};
    (void)graph;
    switch (node->op) {
    case NAC_OP_BINARY: return &pairs;
    case NAC_OP_EXPAND: return &spread;
    case NAC_OP_AFFINE: return &scaled;
    case NAC_OP_CLAMP_GRAD: return &masked; /* here min and max are not a clamp of the output */
    case NAC_OP_UNARY:
        switch (node->u.unary.kind) {
        case NAC_UNARY_CLAMP:
        case NAC_UNARY_HARD_SIGMOID:
        case NAC_UNARY_ERF:
        case NAC_UNARY_EXP:
        case NAC_UNARY_SQRT:
        case NAC_UNARY_ABS:
        case NAC_UNARY_NEG:
        case NAC_UNARY_RECIPROCAL:
        case NAC_UNARY_SWISH:
        case NAC_UNARY_GELU:
        case NAC_UNARY_GELU_TANH: return &each;
        default: return NULL;
        }
    default: return NULL;
    }
}
