/* quantise.c - QuantizeLinear and DequantizeLinear: models whose weights, or also activations, are kept as integers. Scales that are the image's:
 * quantise_dynamic.c; operators that read and write integers: quantise_operators.c.
 *
 * Constants are turned to float32 when the model is loaded: (q - zero point) * scale, exactly as the file says; or later, where they are a
 * convolution's weights, which some kernels read as bytes.
 * On activations the rounding is left out: between the pair runs x / scale + zero point, clamped to the integer type's range, which keeps the
 * ReLU that quantisers express by it. So logits differ from an integer runtime's by its rounding, and the gradient is the one that
 * quantisation-aware training uses (straight through, 0 where the clamp holds). Fusion melts most pairs into a clamp
 * of the convolution in front. */
#include <math.h>
#include <string.h>

#include "graph/quantised.h"
#include "ops/quantise.h"

/* What a scale (and zero point) belongs to: one of each, or one for each index of an axis. */
typedef struct quantisation {
    int axis; /* of ONNX's order; NAC_NONE: one for all */
    int count;
    const float *scales;
    const int64_t *zeros; /* NULL: all 0 */
} quantisation;

/* The scale is input `scale`, its zero point the next one, which may be absent. `axis` counts if there are several. */
static nac_status read_quantisation(nac_lowering *lowering, const nac_shape *shape, int scale, int64_t axis, quantisation *q) {
    int value, zero = nac_lower_optional(lowering, scale + 1);
    NAC_TRY(nac_lower_constant(lowering, scale, &value));
    const nac_value *scales = &lowering->graph->values[value];
    if (scales->type != NAC_F32 || scales->shape.rank > 1)
        return nac_lower_fail(lowering, NAC_UNSUPPORTED, "scales in blocks; one a tensor or one a channel is supported");
    *q = (quantisation){.axis = NAC_NONE, .count = (int)nac_elements(&scales->shape), .scales = scales->data};
    if (q->count > 1) {
        NAC_TRY(nac_lower_axis(lowering, axis, shape->rank, &q->axis));
        if (shape->dims[q->axis] != q->count)
            return nac_lower_fail(lowering, NAC_MALFORMED, "%d scales for axis %d of size %d", q->count, q->axis, shape->dims[q->axis]);
    }
    for (int i = 0; i < q->count; ++i)
        if (!(q->scales[i] > 0 && isfinite(q->scales[i])))
            return nac_lower_fail(lowering, NAC_MALFORMED, "a scale of %g", (double)q->scales[i]);
    if (zero == NAC_NONE) return NAC_OK;
    const nac_value *zeros = &lowering->graph->values[zero];
    if (!zeros->constant || zeros->type != NAC_I64 || (int)nac_elements(&zeros->shape) != q->count)
        return nac_lower_fail(lowering, NAC_UNSUPPORTED, "the zero point must be %d constant integers", q->count);
    q->zeros = zeros->data;
    return NAC_OK;
}

/* (q - zero) * scale of numbers that share a scale. Integers of 8 and 16 bits and their differences are floats, so that there is one rounding, as
 * there is in double. */
static void dequantise_floats(float *x, size_t count, float zero, float scale) {
    for (size_t i = 0; i < count; ++i) x[i] = (x[i] - zero) * scale;
}

static void dequantise_integers(const int64_t *restrict x, size_t count, double zero, double scale, float *restrict y) {
    for (size_t i = 0; i < count; ++i) y[i] = (float)(((double)x[i] - zero) * scale);
}

/* A constant, in the memory order that it has; in its own memory where nothing else reads it (`own`): weights are too many to be there twice. */
static nac_status dequantise_constant(nac_lowering *lowering, int x, bool own, const quantisation *q, int *result) {
    nac_graph *graph = lowering->graph;
    const nac_value from = graph->values[x];
    const bool floats = from.type == NAC_F32;
    *result = x;
    if (!floats || !own)
        NAC_TRY(nac_graph_add_unfilled(graph, NULL, NAC_F32, &from.shape, from.layout, result, lowering->error));
    float *y = graph->values[*result].data;
    const size_t elements = nac_elements(&from.shape);
    if (floats && *result != x) memcpy(y, from.data, elements * sizeof *y);
    const int axis = q->axis == NAC_NONE ? NAC_NONE : nac_physical_axis(from.layout, q->axis);
    size_t inner = axis == NAC_NONE ? elements : 1;
    for (int i = axis + 1; axis != NAC_NONE && i < from.shape.rank; ++i) inner *= (size_t)from.shape.dims[i];
    for (size_t at = 0, stretch = 0; at < elements; at += inner, ++stretch) {
        const size_t c = stretch % (size_t)q->count;
        const int64_t zero = q->zeros ? q->zeros[c] : 0;
        if (floats) dequantise_floats(y + at, inner, (float)zero, q->scales[c]);
        else dequantise_integers((const int64_t *)from.data + at, inner, (double)zero, (double)q->scales[c], y + at);
    }
    return NAC_OK;
}

/* Whether bytes can keep these scales. */
static bool fits_bytes(const quantisation *q) {
    bool fits = q->axis == NAC_NONE || q->axis == 0;
    for (int i = 0; q->zeros && i < q->count && fits; ++i) fits = q->zeros[i] >= -128 && q->zeros[i] <= 255;
    return fits;
}

/* A convolution's weights stay bytes; what reads floats makes them. */
static void scale_bytes(const nac_value *x, const quantisation *q) {
    const nac_quantised w = nac_quantised_of(x);
    for (int o = 0; o < x->shape.dims[0]; ++o) {
        const int i = q->axis == NAC_NONE ? 0 : o;
        w.scales[o] = q->scales[i];
        if (q->zeros) w.zeros[o] = (int16_t)(w.zeros[o] + q->zeros[i]);
    }
}

/* A factor and a summand for each index of the axis, as constants that broadcast against x. */
static nac_status scale_and_shift(nac_lowering *lowering, int x, const quantisation *q, bool dequantise, int *result) {
    nac_shape shape = {.rank = 0};
    if (q->axis != NAC_NONE) {
        shape.rank = nac_logical_shape(&lowering->graph->values[x]).rank - q->axis;
        for (int i = 0; i < shape.rank; ++i) shape.dims[i] = i == 0 ? q->count : 1;
    }
    int factor, summand;
    NAC_TRY(nac_graph_add_constant(lowering->graph, NULL, NAC_F32, &shape, NAC_ROW_MAJOR, &factor, lowering->error));
    NAC_TRY(nac_graph_add_constant(lowering->graph, NULL, NAC_F32, &shape, NAC_ROW_MAJOR, &summand, lowering->error));
    float *factors = nac_data(lowering->graph, factor), *summands = nac_data(lowering->graph, summand);
    for (int i = 0; i < q->count; ++i) {
        const double scale = (double)q->scales[i], zero = q->zeros ? (double)q->zeros[i] : 0;
        factors[i] = (float)(dequantise ? scale : 1 / scale);
        summands[i] = (float)(dequantise ? -zero * scale : zero);
    }
    NAC_TRY(nac_lower_combine(lowering, NAC_BINARY_MUL, x, factor, &x));
    return nac_lower_combine(lowering, NAC_BINARY_ADD, x, summand, result);
}

static bool has_input(const nac_onnx_node *node, int i) { return i < node->input_count && node->inputs[i] != NAC_ONNX_ABSENT; }

/* The integers that a tensor's type holds. The type is that of its zero point, input i, and without one that of input `like`; a graph knows only
 * int64. */
static nac_status integer_range(nac_lowering *lowering, int i, int like, float *min, float *max) {
    const nac_model *model = lowering->model;
    const nac_onnx_node *node = lowering->node;
    int type = 2;
    if (!has_input(node, i) && like != NAC_NONE) i = like;
    if (has_input(node, i)) {
        const int zero = node->inputs[i];
        const nac_onnx_tensor *tensor = model->initializers[zero];
        for (int n = 0; n < model->node_count && !tensor; ++n) {
            const nac_onnx_node *made = &model->nodes[n];
            if (made->output_count == 1 && made->outputs[0] == zero && made->attribute_count == 1 && made->attributes[0].kind == NAC_ATTRIBUTE_TENSOR)
                tensor = &made->attributes[0].tensor;
        }
        if (!tensor) return nac_lower_fail(lowering, NAC_UNSUPPORTED, "the zero point is neither an initializer nor a Constant");
        type = tensor->data_type;
    } else if (like != NAC_NONE) {
        return nac_lower_fail(lowering, NAC_UNSUPPORTED, "no zero point says which integers the result has");
    }
    switch (type) { /* TensorProto.DataType */
    case 2: *min = 0, *max = 255; return NAC_OK;
    case 3: *min = -128, *max = 127; return NAC_OK;
    case 4: *min = 0, *max = 65535; return NAC_OK;
    case 5: *min = -32768, *max = 32767; return NAC_OK;
    default: return nac_lower_fail(lowering, NAC_UNSUPPORTED, "quantising to data type %d; 8 and 16 bit integers are supported", type);
    }
}

nac_status nac_lower_quantised(nac_lowering *lowering, int x, int scale, int64_t axis, int like, int *result) {
    float min, max;
    quantisation q;
    const nac_shape shape = nac_logical_shape(&lowering->graph->values[x]);
    NAC_TRY(read_quantisation(lowering, &shape, scale, axis, &q));
    NAC_TRY(integer_range(lowering, scale + 1, like, &min, &max));
    NAC_TRY(scale_and_shift(lowering, x, &q, false, &x));
    return nac_lower_unary(lowering, NAC_UNARY_CLAMP, min, max, x, result);
}

nac_status nac_lower_dequantised(nac_lowering *lowering, int i, int scale, int64_t axis, int *result) {
    int x;
    quantisation q;
    NAC_TRY(nac_lower_input(lowering, i, &x));
    const nac_shape shape = nac_logical_shape(&lowering->graph->values[x]);
    NAC_TRY(read_quantisation(lowering, &shape, scale, axis, &q));
    if (lowering->graph->values[x].type == NAC_Q8 && fits_bytes(&q)) {
        scale_bytes(&lowering->graph->values[x], &q);
        *result = x;
        return NAC_OK;
    }
    NAC_TRY(nac_graph_dequantise(lowering->graph, x, lowering->error));
    if (lowering->graph->values[x].constant) return dequantise_constant(lowering, x, nac_lower_is_own(lowering, i), &q, result);
    return scale_and_shift(lowering, x, &q, true, result);
}

static nac_status read_axis(nac_lowering *lowering, int64_t *axis) {
    int64_t block;
    NAC_TRY(nac_attribute_int(lowering, "axis", 1, axis));
    NAC_TRY(nac_attribute_int(lowering, "block_size", 0, &block));
    return block == 0 ? NAC_OK : nac_lower_fail(lowering, NAC_UNSUPPORTED, "scales in blocks; one a tensor or one a channel is supported");
}

nac_status nac_lower_QuantizeLinear(nac_lowering *lowering) {
    int x, y;
    int64_t axis;
    NAC_TRY(read_axis(lowering, &axis));
    NAC_TRY(nac_lower_float(lowering, 0, &x));
    NAC_TRY(nac_lower_quantised(lowering, x, 1, axis, NAC_NONE, &y));
    return nac_lower_bind(lowering, 0, y);
}

nac_status nac_lower_DequantizeLinear(nac_lowering *lowering) {
    int y;
    int64_t axis;
    NAC_TRY(read_axis(lowering, &axis));
    NAC_TRY(nac_lower_dequantised(lowering, 0, 1, axis, &y));
    return nac_lower_bind(lowering, 0, y);
}
