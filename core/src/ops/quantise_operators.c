/* quantise_operators.c - operators that read and write integers, as ONNX Runtime's quantiser makes them in its older format ("QOperator", most int8
 * models of the ONNX model zoo): each is its float operator between a DequantizeLinear and a QuantizeLinear, with all of quantise.c's meaning.
 *
 * An operand is three inputs behind each other: integers, scale, zero point. Only QLinearConv and QLinearMatMul are ONNX's; the others are of ONNX
 * Runtime's own domain. Between two of them there is no tensor but that of the integers, so that is what a tap has: x / scale + zero point. */
#include "ops/onnx_list.h"
#include "ops/quantise.h"
#include "ops/window.h"

/* Pixels in front of the channels, as ONNX Runtime rearranges models for itself. */
static nac_status refuse_channels_last(nac_lowering *lowering) {
    int64_t channels_last;
    NAC_TRY(nac_attribute_int(lowering, "channels_last", 0, &channels_last));
    if (!channels_last) return NAC_OK;
    return nac_lower_fail(lowering, NAC_UNSUPPORTED, "channels_last; channels in front of the pixels are supported");
}

/* What the float operator has bound to output 0, as integers. The name is theirs. */
static nac_status quantise_output(nac_lowering *lowering, int scale, int like) {
    const nac_onnx_node *node = lowering->node;
    if (node->output_count < 1 || node->outputs[0] == NAC_ONNX_ABSENT) return nac_lower_fail(lowering, NAC_MALFORMED, "the result has no name");
    int y = lowering->bindings[node->outputs[0]];
    char **name = &lowering->graph->values[y].name;
    nac_free(*name);
    *name = NULL;
    NAC_TRY(nac_lower_quantised(lowering, y, scale, 1, like, &y));
    return nac_lower_bind(lowering, 0, y);
}

/* A bias of int32 in input i (absent: NAC_NONE), whose scale is the product of the operands': one for all, or of the weights one for each channel. */
static nac_status read_bias(nac_lowering *lowering, int i, int x_scale, int w_scale, float factor, int *bias) {
    int given, sx, sw;
    float *numbers;
    *bias = nac_lower_optional(lowering, i);
    if (*bias == NAC_NONE) return NAC_OK;
    NAC_TRY(nac_lower_constant(lowering, i, &given));
    NAC_TRY(nac_lower_constant(lowering, x_scale, &sx));
    NAC_TRY(nac_lower_constant(lowering, w_scale, &sw));
    const nac_shape shape = lowering->graph->values[given].shape;
    const int count = (int)nac_elements(&shape), scales = (int)nac_elements(&lowering->graph->values[sw].shape);
    if (count != (shape.rank > 0 ? shape.dims[shape.rank - 1] : 1)) return nac_lower_fail(lowering, NAC_UNSUPPORTED, "a bias that is no row");
    if (nac_elements(&lowering->graph->values[sx].shape) != 1)
        return nac_lower_fail(lowering, NAC_UNSUPPORTED, "several scales of input 0, and a bias");
    if (scales != 1 && scales != count) return nac_lower_fail(lowering, NAC_MALFORMED, "%d scales for a bias of %d", scales, count);
    NAC_TRY(nac_lower_add_vector(lowering, count, bias, &numbers));
    const nac_value *b = &lowering->graph->values[given], *x = &lowering->graph->values[sx], *w = &lowering->graph->values[sw];
    for (int c = 0; c < count; ++c)
        numbers[c] = (float)(nac_number_at(b, c) * (double)factor * nac_number_at(x, 0) * nac_number_at(w, scales == 1 ? 0 : c));
    return NAC_OK;
}

/* x, w, the scale and zero point of y, and perhaps a bias. */
nac_status nac_lower_QLinearConv(nac_lowering *lowering) {
    int x, w, bias;
    NAC_TRY(refuse_channels_last(lowering));
    NAC_TRY(nac_lower_dequantised(lowering, 0, 1, 1, &x));
    NAC_TRY(nac_lower_dequantised(lowering, 3, 4, 0, &w));
    NAC_TRY(read_bias(lowering, 8, 1, 4, 1, &bias));
    NAC_TRY(nac_lower_convolution(lowering, x, w, bias));
    return quantise_output(lowering, 6, 2);
}

/* a and b, where a, and so y, may have a scale for each of its rows and b for each of its columns. */
nac_status nac_lower_QLinearMatMul(nac_lowering *lowering) {
    int a, b, y;
    NAC_TRY(nac_lower_dequantised(lowering, 0, 1, -2, &a));
    NAC_TRY(nac_lower_dequantised(lowering, 3, 4, -1, &b));
    NAC_TRY(nac_lower_product(lowering, a, b, &y));
    NAC_TRY(nac_lower_quantised(lowering, y, 6, -2, 2, &y));
    return nac_lower_bind(lowering, 0, y);
}

static nac_status combine(nac_lowering *lowering, nac_binary kind) {
    int a, b, y;
    NAC_TRY(nac_lower_dequantised(lowering, 0, 1, 1, &a));
    NAC_TRY(nac_lower_dequantised(lowering, 3, 4, 1, &b));
    NAC_TRY(nac_lower_combine(lowering, kind, a, b, &y));
    NAC_TRY(nac_lower_quantised(lowering, y, 6, 1, lowering->node->inputs[2] == NAC_ONNX_ABSENT ? 5 : 2, &y));
    return nac_lower_bind(lowering, 0, y);
}

nac_status nac_lower_QLinearAdd(nac_lowering *lowering) { return combine(lowering, NAC_BINARY_ADD); }
nac_status nac_lower_QLinearMul(nac_lowering *lowering) { return combine(lowering, NAC_BINARY_MUL); }

/* Scale and zero point of y, then the operands. */
static nac_status join(nac_lowering *lowering, int *operands, int count) {
    int64_t axis;
    int y;
    NAC_TRY(nac_attribute_int(lowering, "axis", INT64_MAX, &axis));
    for (int i = 0; i < count; ++i) NAC_TRY(nac_lower_dequantised(lowering, 2 + 3 * i, 3 + 3 * i, 1, &operands[i]));
    NAC_TRY(nac_lower_concat(lowering, operands, count, axis, &y));
    NAC_TRY(nac_lower_quantised(lowering, y, 0, 1, 4, &y));
    return nac_lower_bind(lowering, 0, y);
}

nac_status nac_lower_QLinearConcat(nac_lowering *lowering) {
    const int given = lowering->node->input_count - 2;
    if (given < 3 || given % 3 != 0) return nac_lower_fail(lowering, NAC_MALFORMED, "there are %d inputs, not two and three for each operand", given + 2);
    int *operands = nac_alloc_array((size_t)given / 3, sizeof *operands);
    if (!operands) return nac_out_of_memory(lowering->error, "a list of tensors");
    const nac_status status = join(lowering, operands, given / 3);
    nac_free(operands);
    return status;
}

/* Lowers the node as if it were one of `op`, its inputs 0 .. count - 1 (of this node the inputs `places`) being `values`. */
static nac_status lower_as(nac_lowering *lowering, nac_lower op, int count, const int *places, const int *values) {
    const nac_onnx_node *node = lowering->node;
    nac_onnx_node plain = *node;
    int inputs[3], bindings[3] = {0};
    for (int i = 0; i < count; ++i) {
        inputs[i] = values[i] == NAC_NONE ? NAC_ONNX_ABSENT : node->inputs[places[i]];
        for (int k = 0; k < i; ++k) /* it would be read with the scale of one of them */
            if (inputs[i] != NAC_ONNX_ABSENT && inputs[i] == inputs[k])
                return nac_lower_fail(lowering, NAC_UNSUPPORTED, "inputs %d and %d are the same tensor", places[k], places[i]);
    }
    for (int i = 0; i < count; ++i) {
        if (inputs[i] == NAC_ONNX_ABSENT) continue;
        bindings[i] = lowering->bindings[inputs[i]];
        lowering->bindings[inputs[i]] = values[i];
    }
    plain.inputs = inputs;
    plain.input_count = count;
    lowering->node = &plain;
    const nac_status status = op(lowering);
    lowering->node = node;
    for (int i = 0; i < count; ++i)
        if (inputs[i] != NAC_ONNX_ABSENT) lowering->bindings[inputs[i]] = bindings[i];
    return status;
}

static nac_status lower_unary_as(nac_lowering *lowering, nac_lower op) {
    int x;
    NAC_TRY(refuse_channels_last(lowering));
    NAC_TRY(nac_lower_dequantised(lowering, 0, 1, 1, &x));
    NAC_TRY(lower_as(lowering, op, 1, (const int[]){0}, &x));
    return quantise_output(lowering, 3, 2);
}

nac_status nac_lower_QLinearAveragePool(nac_lowering *lowering) { return lower_unary_as(lowering, nac_lower_AveragePool); }
nac_status nac_lower_QLinearGlobalAveragePool(nac_lowering *lowering) { return lower_unary_as(lowering, nac_lower_GlobalAveragePool); }
nac_status nac_lower_QLinearLeakyRelu(nac_lowering *lowering) { return lower_unary_as(lowering, nac_lower_LeakyRelu); }
nac_status nac_lower_QLinearSigmoid(nac_lowering *lowering) { return lower_unary_as(lowering, nac_lower_Sigmoid); }

/* A, B, perhaps C, and the scale and zero point of Y; without these Y is float32. */
nac_status nac_lower_QGemm(nac_lowering *lowering) {
    int operands[3];
    int64_t transpose_b;
    float alpha;
    NAC_TRY(nac_attribute_int(lowering, "transB", 0, &transpose_b));
    NAC_TRY(nac_attribute_float(lowering, "alpha", 1, &alpha));
    NAC_TRY(nac_lower_dequantised(lowering, 0, 1, 1, &operands[0]));
    NAC_TRY(nac_lower_dequantised(lowering, 3, 4, transpose_b ? 0 : 1, &operands[1]));
    NAC_TRY(read_bias(lowering, 6, 1, 4, alpha, &operands[2]));
    NAC_TRY(lower_as(lowering, nac_lower_Gemm, 3, (const int[]){0, 3, 6}, operands));
    const bool scaled = nac_lower_optional(lowering, 7) != NAC_NONE;
    if (scaled != (nac_lower_optional(lowering, 8) != NAC_NONE))
        return nac_lower_fail(lowering, NAC_UNSUPPORTED, "the result has a scale or a zero point, and not both");
    return scaled ? quantise_output(lowering, 7, NAC_NONE) : NAC_OK;
}
