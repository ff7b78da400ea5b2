/* unary.c - functions of one number, and their derivatives. */
#include <float.h>
#include <string.h>

#include "ops/common.h"

/* In double and rounded once, where a library function is called; in float where a processor has the operation. */
static double sigmoid(double x) {
    if (x >= 0) return 1 / (1 + exp(-x));
    const double e = exp(x); /* exp(-x) would overflow */
    return e / (1 + e);
}

static double softplus(double x) { return (x > 0 ? x : 0) + log1p(exp(-fabs(x))); }

#define TWO_OVER_SQRT_PI 1.12837916709551257390
#define SQRT_TWO_OVER_PI 0.79788456080286535588
#define SQRT_HALF 0.70710678118654752440

/* What GELU_TANH takes the hyperbolic tangent of, and its derivative. */
static double gelu_argument(double x) { return SQRT_TWO_OVER_PI * (x + 0.044715 * x * x * x); }
static double gelu_argument_slope(double x) { return SQRT_TWO_OVER_PI * (1 + 3 * 0.044715 * x * x); }

/* One loop a kind, so that the choice stands outside of it: `x` is the element, `formula` the result. */
#define LOOP(formula)                                     \
    for (int i = 0; i < count; ++i) {                     \
        const float x = in[i];                            \
        out[i] = nac_clamp((float)(formula), min, max);   \
    }                                                     \
    break

/* x -> f(x), same shape. */
void nac_run_UNARY(const nac_graph *graph, const nac_node *node) {
    const float *in = nac_data(graph, node->inputs[0]);
    float *out = nac_data(graph, node->output);
    const int count = (int)nac_elements(&graph->values[node->output].shape);
    const float a = node->u.unary.a, b = node->u.unary.b, min = node->min, max = node->max;
    switch (node->u.unary.kind) {
    case NAC_UNARY_CLAMP: LOOP(nac_clamp(x, a, b));
    case NAC_UNARY_LEAKY_RELU: LOOP(x >= 0 ? x : a * x);
    case NAC_UNARY_ELU: LOOP(x > 0 ? (double)x : (double)a * expm1((double)x));
    case NAC_UNARY_SIGMOID: LOOP(sigmoid((double)x));
    case NAC_UNARY_HARD_SIGMOID: LOOP(nac_clamp(a * x + b, 0, 1));
    case NAC_UNARY_HARD_SWISH: LOOP(x * nac_clamp(x / 6 + 0.5f, 0, 1));
    case NAC_UNARY_TANH: LOOP(tanh((double)x));
    case NAC_UNARY_ERF: LOOP(erf((double)x));
    case NAC_UNARY_EXP: LOOP(exp((double)x));
    case NAC_UNARY_LOG: LOOP(log((double)x));
    case NAC_UNARY_SQRT: LOOP(sqrtf(x));
    case NAC_UNARY_ABS: LOOP(fabsf(x));
    case NAC_UNARY_NEG: LOOP(-x);
    case NAC_UNARY_RECIPROCAL: LOOP(1 / x);
    case NAC_UNARY_POW:
        if (a == 2) { /* layer normalisation's variance */
            LOOP(x * x);
        }
        LOOP(pow((double)x, (double)a));
    case NAC_UNARY_SIN: LOOP(sin((double)x));
    case NAC_UNARY_COS: LOOP(cos((double)x));
    case NAC_UNARY_SIGN: LOOP(x > 0 ? 1.0f : x < 0 ? -1.0f : x);
    case NAC_UNARY_FLOOR: LOOP(floorf(x));
    case NAC_UNARY_CEIL: LOOP(ceilf(x));
    case NAC_UNARY_ROUND: LOOP(rintf(x));
    case NAC_UNARY_SOFTPLUS: LOOP(softplus((double)x));
    case NAC_UNARY_SWISH: LOOP((double)x * sigmoid((double)x));
    case NAC_UNARY_GELU: LOOP((double)a * (double)x * (1 + erf((double)x * SQRT_HALF)));
    case NAC_UNARY_GELU_TANH: LOOP((double)a * (double)x * (1 + tanh(gelu_argument((double)x))));
    }
}
#undef LOOP

/* `slope` is f'(x); dy * slope is what is stored. */
#define LOOP(slope)                                              \
    for (int i = 0; i < count; ++i) {                            \
        const float x = in[i];                                   \
        out[i] = nac_clamp((float)(dy[i] * (slope)), min, max);  \
    }                                                            \
    break
#define LOOP_DOUBLE(slope)                                               \
    for (int i = 0; i < count; ++i) {                                    \
        const double x = (double)in[i];                                  \
        out[i] = nac_clamp((float)((double)dy[i] * (slope)), min, max);  \
    }                                                                    \
    break

static double sigmoid_slope(double x) {
    const double s = sigmoid(x);
    return s * (1 - s);
}

static double tanh_slope(double x) {
    const double t = tanh(x);
    return 1 - t * t;
}

static double swish_slope(double x) { return sigmoid(x) + x * sigmoid_slope(x); }

static double gelu_slope(double x) { return 1 + erf(x * SQRT_HALF) + x * SQRT_TWO_OVER_PI * exp(-x * x / 2); }

static double gelu_tanh_slope(double x) {
    return 1 + tanh(gelu_argument(x)) + x * tanh_slope(gelu_argument(x)) * gelu_argument_slope(x);
}

/* x, dy -> dy * f'(x). At a kink PyTorch's one-sided choice, except that a clamp has slope 0 at its bounds. */
void nac_run_UNARY_GRAD(const nac_graph *graph, const nac_node *node) {
    const float *in = nac_data(graph, node->inputs[0]), *dy = nac_data(graph, node->inputs[1]);
    float *out = nac_data(graph, node->output);
    const int count = (int)nac_elements(&graph->values[node->output].shape);
    const float a = node->u.unary.a, b = node->u.unary.b, min = node->min, max = node->max;
    switch (node->u.unary.kind) {
    case NAC_UNARY_CLAMP: LOOP(x > a && x < b ? 1.0f : 0.0f);
    case NAC_UNARY_LEAKY_RELU: LOOP(x > 0 ? 1 : a);
    case NAC_UNARY_ELU: LOOP_DOUBLE(x > 0 ? 1 : (double)a * exp(x));
    case NAC_UNARY_SIGMOID: LOOP_DOUBLE(sigmoid_slope(x));
    case NAC_UNARY_HARD_SIGMOID: LOOP(a * x + b > 0 && a * x + b < 1 ? a : 0.0f);
    case NAC_UNARY_HARD_SWISH: LOOP(x <= -3 ? 0.0f : x < 3 ? x / 3 + 0.5f : 1.0f);
    case NAC_UNARY_TANH: LOOP_DOUBLE(tanh_slope(x));
    case NAC_UNARY_ERF: LOOP_DOUBLE(TWO_OVER_SQRT_PI * exp(-x * x));
    case NAC_UNARY_EXP: LOOP_DOUBLE(exp(x));
    case NAC_UNARY_LOG: LOOP(1 / x);
    case NAC_UNARY_SQRT: LOOP_DOUBLE(0.5 / sqrt(x));
    case NAC_UNARY_ABS: LOOP(x > 0 ? 1.0f : x < 0 ? -1.0f : 0.0f);
    case NAC_UNARY_NEG: LOOP(-1.0f + 0 * x);
    case NAC_UNARY_RECIPROCAL: LOOP_DOUBLE(-1 / (x * x));
    case NAC_UNARY_POW:
        if (a == 2) {
            LOOP(2 * x);
        }
        if (a == 0) { /* 0^-1 is infinite */
            LOOP(0 * x);
        }
        LOOP_DOUBLE((double)a * pow(x, (double)a - 1));
    case NAC_UNARY_SIN: LOOP_DOUBLE(cos(x));
    case NAC_UNARY_COS: LOOP_DOUBLE(-sin(x));
    case NAC_UNARY_SIGN:
    case NAC_UNARY_FLOOR:
    case NAC_UNARY_CEIL:
    case NAC_UNARY_ROUND: LOOP(0 * x); /* steps, which no gradient passes */
    case NAC_UNARY_SOFTPLUS: LOOP_DOUBLE(sigmoid(x));
    case NAC_UNARY_SWISH: LOOP_DOUBLE(swish_slope(x));
    case NAC_UNARY_GELU: LOOP_DOUBLE((double)a * gelu_slope(x));
    case NAC_UNARY_GELU_TANH: LOOP_DOUBLE((double)a * gelu_tanh_slope(x));
    }
}
#undef LOOP
#undef LOOP_DOUBLE

/* y, dy -> dy where min < y < max, else 0: y tells what its clamp did, and lies in memory anyway. */
void nac_run_CLAMP_GRAD(const nac_graph *graph, const nac_node *node) {
    const float *y = nac_data(graph, node->inputs[0]), *dy = nac_data(graph, node->inputs[1]);
    float *dx = nac_data(graph, node->output);
    const int count = (int)nac_elements(&graph->values[node->output].shape);
    const float min = node->min, max = node->max;
    for (int i = 0; i < count; ++i) dx[i] = y[i] > min && y[i] < max ? dy[i] : 0.0f;
}

static bool is_step(nac_unary kind) {
    return kind == NAC_UNARY_SIGN || kind == NAC_UNARY_FLOOR || kind == NAC_UNARY_CEIL || kind == NAC_UNARY_ROUND;
}

NAC_GRADIENT(UNARY) {
    (void)slot;
    const nac_node forward = graph->nodes[node];
    if (is_step(forward.u.unary.kind)) {
        *dx = NAC_NONE;
        return NAC_OK;
    }
    const nac_shape shape = graph->values[forward.output].shape;
    const nac_layout layout = graph->values[forward.output].layout;
    if (forward.u.unary.kind == NAC_UNARY_NEG) {
        nac_node gradient = nac_node_make(NAC_OP_UNARY, forward.name);
        gradient.u = forward.u;
        return nac_graph_emit(graph, gradient, &dy, 1, NULL, &shape, layout, dx, error);
    }
    if (forward.u.unary.kind == NAC_UNARY_CLAMP) { /* from y, so that x need not be kept */
        nac_node gradient = nac_node_make(NAC_OP_CLAMP_GRAD, forward.name);
        gradient.min = forward.u.unary.a;
        gradient.max = forward.u.unary.b;
        return nac_graph_emit(graph, gradient, (const int[]){forward.output, dy}, 2, NULL, &shape, layout, dx, error);
    }
    nac_node gradient = nac_node_make(NAC_OP_UNARY_GRAD, forward.name);
    gradient.u = forward.u;
    return nac_graph_emit(graph, gradient, (const int[]){forward.inputs[0], dy}, 2, NULL, &shape, layout, dx, error);
}

/* ---- ONNX -------------------------------------------------------------------------------------- */

nac_status nac_lower_unary(nac_lowering *lowering, nac_unary kind, float a, float b, int x, int *result) {
    nac_node node = nac_node_make(NAC_OP_UNARY, lowering->node->name);
    node.u.unary.kind = kind;
    node.u.unary.a = a;
    node.u.unary.b = b;
    const nac_shape shape = lowering->graph->values[x].shape;
    return nac_lower_emit(lowering, node, &x, 1, &shape, lowering->graph->values[x].layout, result);
}

/* The whole translator of an ONNX operator that is one UNARY. */
static nac_status lower(nac_lowering *lowering, nac_unary kind, float a, float b) {
    int x, y;
    NAC_TRY(nac_lower_float(lowering, 0, &x));
    NAC_TRY(nac_lower_unary(lowering, kind, a, b, x, &y));
    return nac_lower_bind(lowering, 0, y);
}

nac_status nac_lower_Relu(nac_lowering *lowering) { return lower(lowering, NAC_UNARY_CLAMP, 0, INFINITY); }
nac_status nac_lower_Sigmoid(nac_lowering *lowering) { return lower(lowering, NAC_UNARY_SIGMOID, 0, 0); }
nac_status nac_lower_HardSwish(nac_lowering *lowering) { return lower(lowering, NAC_UNARY_HARD_SWISH, 0, 0); }
nac_status nac_lower_Tanh(nac_lowering *lowering) { return lower(lowering, NAC_UNARY_TANH, 0, 0); }
nac_status nac_lower_Erf(nac_lowering *lowering) { return lower(lowering, NAC_UNARY_ERF, 0, 0); }
nac_status nac_lower_Exp(nac_lowering *lowering) { return lower(lowering, NAC_UNARY_EXP, 0, 0); }
nac_status nac_lower_Log(nac_lowering *lowering) { return lower(lowering, NAC_UNARY_LOG, 0, 0); }
nac_status nac_lower_Sqrt(nac_lowering *lowering) { return lower(lowering, NAC_UNARY_SQRT, 0, 0); }
nac_status nac_lower_Abs(nac_lowering *lowering) { return lower(lowering, NAC_UNARY_ABS, 0, 0); }
nac_status nac_lower_Sin(nac_lowering *lowering) { return lower(lowering, NAC_UNARY_SIN, 0, 0); }
nac_status nac_lower_Cos(nac_lowering *lowering) { return lower(lowering, NAC_UNARY_COS, 0, 0); }
nac_status nac_lower_Sign(nac_lowering *lowering) { return lower(lowering, NAC_UNARY_SIGN, 0, 0); }
nac_status nac_lower_Floor(nac_lowering *lowering) { return lower(lowering, NAC_UNARY_FLOOR, 0, 0); }
nac_status nac_lower_Ceil(nac_lowering *lowering) { return lower(lowering, NAC_UNARY_CEIL, 0, 0); }
nac_status nac_lower_Round(nac_lowering *lowering) { return lower(lowering, NAC_UNARY_ROUND, 0, 0); }

/* Integers count from the end of something. */
nac_status nac_lower_Neg(nac_lowering *lowering) {
    int x, zero, y;
    NAC_TRY(nac_lower_input(lowering, 0, &x));
    if (lowering->graph->values[x].type != NAC_I64) return lower(lowering, NAC_UNARY_NEG, 0, 0);
    const nac_shape scalar = {.rank = 0};
    NAC_TRY(nac_graph_add_constant(lowering->graph, NULL, NAC_I64, &scalar, NAC_ROW_MAJOR, &zero, lowering->error));
    NAC_TRY(nac_lower_combine(lowering, NAC_BINARY_SUB, zero, x, &y));
    return nac_lower_bind(lowering, 0, y);
}

nac_status nac_lower_Reciprocal(nac_lowering *lowering) { return lower(lowering, NAC_UNARY_RECIPROCAL, 0, 0); }
nac_status nac_lower_Softplus(nac_lowering *lowering) { return lower(lowering, NAC_UNARY_SOFTPLUS, 0, 0); }

nac_status nac_lower_Gelu(nac_lowering *lowering) {
    const char *approximate;
    size_t length;
    NAC_TRY(nac_attribute_string(lowering, "approximate", &approximate, &length));
    if (length == 0 || strcmp(approximate, "none") == 0) return lower(lowering, NAC_UNARY_GELU, 0.5f, 0);
    if (strcmp(approximate, "tanh") == 0) return lower(lowering, NAC_UNARY_GELU_TANH, 0.5f, 0);
    return nac_lower_fail(lowering, NAC_MALFORMED, "approximate is '%.20s'", approximate);
}

static nac_status lower_with_alpha(nac_lowering *lowering, nac_unary kind, float otherwise) {
    float alpha;
    NAC_TRY(nac_attribute_float(lowering, "alpha", otherwise, &alpha));
    return lower(lowering, kind, alpha, 0);
}

nac_status nac_lower_LeakyRelu(nac_lowering *lowering) { return lower_with_alpha(lowering, NAC_UNARY_LEAKY_RELU, 0.01f); }
nac_status nac_lower_Elu(nac_lowering *lowering) { return lower_with_alpha(lowering, NAC_UNARY_ELU, 1); }

/* factor * elu(x / width), with `alpha` as ELU's: Selu and Celu are that. */
static nac_status lower_scaled_elu(nac_lowering *lowering, float width, float alpha, float factor) {
    int x, y;
    NAC_TRY(nac_lower_float(lowering, 0, &x));
    NAC_TRY(nac_lower_scaled(lowering, x, 1 / width, &x));
    NAC_TRY(nac_lower_unary(lowering, NAC_UNARY_ELU, alpha, 0, x, &y));
    NAC_TRY(nac_lower_scaled(lowering, y, factor, &y));
    return nac_lower_bind(lowering, 0, y);
}

nac_status nac_lower_Selu(nac_lowering *lowering) {
    float alpha, gamma;
    NAC_TRY(nac_attribute_float(lowering, "alpha", 1.67326319217681884765625f, &alpha));
    NAC_TRY(nac_attribute_float(lowering, "gamma", 1.05070102214813232421875f, &gamma));
    return lower_scaled_elu(lowering, 1, alpha, gamma);
}

nac_status nac_lower_Celu(nac_lowering *lowering) {
    float alpha;
    NAC_TRY(nac_attribute_float(lowering, "alpha", 1, &alpha));
    if (!(alpha != 0)) return nac_lower_fail(lowering, NAC_MALFORMED, "alpha is %g", (double)alpha);
    return lower_scaled_elu(lowering, alpha, 1, alpha);
}

/* x sigmoid(alpha x) */
nac_status nac_lower_Swish(nac_lowering *lowering) {
    int x, gate, y;
    float alpha;
    NAC_TRY(nac_lower_float(lowering, 0, &x));
    NAC_TRY(nac_attribute_float(lowering, "alpha", 1, &alpha));
    if (alpha == 1) return lower(lowering, NAC_UNARY_SWISH, 0, 0);
    NAC_TRY(nac_lower_scaled(lowering, x, alpha, &gate));
    NAC_TRY(nac_lower_unary(lowering, NAC_UNARY_SIGMOID, 0, 0, gate, &gate));
    NAC_TRY(nac_lower_combine(lowering, NAC_BINARY_MUL, x, gate, &y));
    return nac_lower_bind(lowering, 0, y);
}

/* x / (1 + |x|) */
nac_status nac_lower_Softsign(nac_lowering *lowering) {
    int x, one, size, y;
    NAC_TRY(nac_lower_float(lowering, 0, &x));
    NAC_TRY(nac_lower_number(lowering, 1, &one));
    NAC_TRY(nac_lower_unary(lowering, NAC_UNARY_ABS, 0, 0, x, &size));
    NAC_TRY(nac_lower_combine(lowering, NAC_BINARY_ADD, size, one, &size));
    NAC_TRY(nac_lower_combine(lowering, NAC_BINARY_DIV, x, size, &y));
    return nac_lower_bind(lowering, 0, y);
}

/* x tanh(softplus(x)), as PyTorch's exporter writes it out before opset 18. */
nac_status nac_lower_Mish(nac_lowering *lowering) {
    int x, gate, y;
    NAC_TRY(nac_lower_float(lowering, 0, &x));
    NAC_TRY(nac_lower_unary(lowering, NAC_UNARY_SOFTPLUS, 0, 0, x, &gate));
    NAC_TRY(nac_lower_unary(lowering, NAC_UNARY_TANH, 0, 0, gate, &gate));
    NAC_TRY(nac_lower_combine(lowering, NAC_BINARY_MUL, x, gate, &y));
    return nac_lower_bind(lowering, 0, y);
}

nac_status nac_lower_HardSigmoid(nac_lowering *lowering) {
    float alpha, beta;
    NAC_TRY(nac_attribute_float(lowering, "alpha", 0.2f, &alpha));
    NAC_TRY(nac_attribute_float(lowering, "beta", 0.5f, &beta));
    return lower(lowering, NAC_UNARY_HARD_SIGMOID, alpha, beta);
}

/* One bound of Clip: an attribute before opset 11, an optional input since; as nac_lower_list has it. */
static nac_status clip_bound(nac_lowering *lowering, const char *name, int input, float otherwise, float *bound) {
    const int value = nac_lower_optional(lowering, input);
    NAC_TRY(nac_attribute_float(lowering, name, otherwise, bound));
    if (value != NAC_NONE) NAC_TRY(nac_lower_scalar(lowering, value, name, bound));
    if (*bound != *bound) return nac_lower_fail(lowering, NAC_MALFORMED, "%s is NaN", name);
    if (*bound <= -FLT_MAX) *bound = -INFINITY; /* how exporters write "no bound" */
    if (*bound >= FLT_MAX) *bound = INFINITY;
    return NAC_OK;
}

nac_status nac_lower_Clip(nac_lowering *lowering) {
    float min, max;
    NAC_TRY(clip_bound(lowering, "min", 1, -INFINITY, &min));
    NAC_TRY(clip_bound(lowering, "max", 2, INFINITY, &max));
    return lower(lowering, NAC_UNARY_CLAMP, min, max);
}

nac_status nac_lower_Pow(nac_lowering *lowering) {
    int exponent;
    float a;
    NAC_TRY(nac_lower_input(lowering, 1, &exponent));
    NAC_TRY(nac_lower_scalar(lowering, exponent, "the exponent", &a));
    return lower(lowering, NAC_UNARY_POW, a, 0);
}

/* x above alpha, and 0 elsewhere. */
nac_status nac_lower_ThresholdedRelu(nac_lowering *lowering) {
    float alpha;
    int x, threshold, above, zero, y;
    NAC_TRY(nac_lower_float(lowering, 0, &x));
    NAC_TRY(nac_attribute_float(lowering, "alpha", 1, &alpha));
    NAC_TRY(nac_lower_number(lowering, alpha, &threshold));
    NAC_TRY(nac_lower_number(lowering, 0, &zero));
    NAC_TRY(nac_lower_combine(lowering, NAC_BINARY_GREATER, x, threshold, &above));
    NAC_TRY(nac_lower_choose(lowering, above, x, zero, &y));
    return nac_lower_bind(lowering, 0, y);
}

/* max(x, 0) + slope * min(x, 0), but for one slope, which is LeakyRelu. At exactly 0 the slope is 0. */
nac_status nac_lower_PRelu(nac_lowering *lowering) {
    int x, slope, above, below, y;
    NAC_TRY(nac_lower_float(lowering, 0, &x));
    NAC_TRY(nac_lower_float(lowering, 1, &slope));
    const nac_value *slopes = &lowering->graph->values[slope];
    if (slopes->constant && nac_elements(&slopes->shape) == 1) return lower(lowering, NAC_UNARY_LEAKY_RELU, *(const float *)slopes->data, 0);
    NAC_TRY(nac_lower_unary(lowering, NAC_UNARY_CLAMP, 0, INFINITY, x, &above));
    NAC_TRY(nac_lower_unary(lowering, NAC_UNARY_CLAMP, -INFINITY, 0, x, &below));
    NAC_TRY(nac_lower_combine(lowering, NAC_BINARY_MUL, below, slope, &below));
    NAC_TRY(nac_lower_combine(lowering, NAC_BINARY_ADD, above, below, &y));
    return nac_lower_bind(lowering, 0, y);
}
