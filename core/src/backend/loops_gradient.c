/* loops_gradient.c - UNARY_GRAD: dy * f'(x). */
#include <math.h>

#include "backend/exponential.h"
#include "backend/loops.h"

/* Sigmoid's derivative e / (1 + e)^2 with e = exp(-|x|), which neither overflows nor cancels. */
static inline nac_f4 sigmoid_slope(nac_f4 v) {
    const nac_f4 e = nac_exp4(-nac_abs4(v)), one = nac_splat4(1), s = one + e;
    return e / (s * s);
}

static inline nac_f4 elu_slope(nac_f4 v, float a) { return nac_select4(v > nac_splat4(0), nac_splat4(1), nac_splat4(a) * nac_exp4(v)); }

static inline nac_f4 swish_slope(nac_f4 v) { return nac_sigmoid4(v) + v * sigmoid_slope(v); }

/* sqrt(2 / pi) is the density's factor, twice, for 1 + erf is twice the distribution. */
static inline nac_f4 gelu_slope(nac_f4 v) { return nac_gelu_gate4(v) + v * nac_splat4(0.797884561f) * nac_exp4(v * v * nac_splat4(-0.5f)); }

static inline nac_f4 gelu_tanh_slope(nac_f4 v) {
    const nac_f4 u = nac_gelu_argument4(v), slope = nac_madd4(v * v, nac_splat4(0.214064449f), nac_splat4(1.59576912f));
    return nac_splat4(2) * (nac_sigmoid4(u) + v * sigmoid_slope(u) * slope);
}

/* Slopes that need an exponential. */
static void smooth_gradient(const nac_node *node, const float *x, const float *dy, float *dx, size_t count) {
    switch (node->u.unary.kind) {
    case NAC_UNARY_ELU: NAC_FOR_EACH_4(dx, x, dy, count, d * elu_slope(u, node->u.unary.a)); break;
    case NAC_UNARY_SIGMOID: NAC_FOR_EACH_4(dx, x, dy, count, d * sigmoid_slope(u)); break;
    case NAC_UNARY_TANH: NAC_FOR_EACH_4(dx, x, dy, count, d * (nac_splat4(4) * sigmoid_slope(u + u))); break;
    case NAC_UNARY_ERF: NAC_FOR_EACH_4(dx, x, dy, count, d * (nac_splat4(1.12837917f) * nac_exp4(-u * u))); break; /* 2 / sqrt(pi) */
    case NAC_UNARY_EXP: NAC_FOR_EACH_4(dx, x, dy, count, d * nac_exp4(u)); break;
    case NAC_UNARY_SOFTPLUS: NAC_FOR_EACH_4(dx, x, dy, count, d * nac_sigmoid4(u)); break;
    case NAC_UNARY_SWISH: NAC_FOR_EACH_4(dx, x, dy, count, d * swish_slope(u)); break;
    case NAC_UNARY_GELU: NAC_FOR_EACH_4(dx, x, dy, count, d * nac_splat4(node->u.unary.a) * gelu_slope(u)); break;
    case NAC_UNARY_GELU_TANH: NAC_FOR_EACH_4(dx, x, dy, count, d * nac_splat4(node->u.unary.a) * gelu_tanh_slope(u)); break;
    default: break;
    }
}

#define GRADIENT_LOOP(SLOPE) \
    NAC_INDEPENDENT \
    for (size_t i = 0; i < count; ++i) { \
        float v = x[i]; \
        dx[i] = dy[i] * (SLOPE); \
    } \
    break

static void unary_gradient(const nac_graph *graph, const nac_node *node) {
    const float *x = graph->values[node->inputs[0]].data, *dy = graph->values[node->inputs[1]].data, a = node->u.unary.a, b = node->u.unary.b;
    float *dx = graph->values[node->output].data;
    size_t count = nac_elements(&graph->values[node->output].shape);
    switch (node->u.unary.kind) {
    case NAC_UNARY_CLAMP:
        NAC_INDEPENDENT
        for (size_t i = 0; i < count; ++i) {
            float v = x[i], d = dy[i];
            dx[i] = ((v > a) & (v < b)) ? d : 0; /* not d * 0, where d may be infinite */
        }
        break;
    case NAC_UNARY_LEAKY_RELU: GRADIENT_LOOP(v > 0 ? 1 : a);
    case NAC_UNARY_HARD_SIGMOID: GRADIENT_LOOP(((a * v + b > 0) & (a * v + b < 1)) ? a : 0);
    case NAC_UNARY_HARD_SWISH: GRADIENT_LOOP(v <= -3 ? 0 : v >= 3 ? 1 : v * (1.0f / 3) + 0.5f);
    case NAC_UNARY_LOG: GRADIENT_LOOP(1 / v);
    case NAC_UNARY_SQRT: GRADIENT_LOOP(0.5f / sqrtf(v));
    case NAC_UNARY_ABS: GRADIENT_LOOP(v > 0 ? 1 : v < 0 ? -1 : 0);
    case NAC_UNARY_NEG: GRADIENT_LOOP(0 * v - 1);
    case NAC_UNARY_RECIPROCAL: GRADIENT_LOOP(-1 / (v * v));
    default: smooth_gradient(node, x, dy, dx, count);
    }
}

const nac_loop *nac_loop_find_gradient(const nac_graph *graph, const nac_node *node) {
    static const nac_loop slopes = {"loop over elements", unary_gradient, false};
    (void)graph;
    if (node->op != NAC_OP_UNARY_GRAD) return NULL;
    switch (node->u.unary.kind) {
    case NAC_UNARY_POW:
    case NAC_UNARY_SIN:
    case NAC_UNARY_COS:
    case NAC_UNARY_SIGN:
    case NAC_UNARY_FLOOR:
    case NAC_UNARY_CEIL:
    case NAC_UNARY_ROUND: return NULL;
    default: return &slopes;
    }
}
