/* quantise_dynamic.c - DynamicQuantizeLinear, MatMulInteger and ConvInteger: models whose weights are integers, and whose activations become
 * integers on the way, by a scale that each image has of its own (ONNX Runtime's quantize_dynamic, most models of transformers.js).
 *
 * As in quantise.c nothing is rounded. What is left of (round(x / scale) * W) * scale is x * W, whatever the scale: so it is 1, and a constant. The range
 * is the image's own, and nothing of it is clamped. */
#include "ops/common.h"
#include "ops/window.h"

nac_status nac_lower_DynamicQuantizeLinear(nac_lowering *lowering) {
    int x, scale, zero;
    const nac_shape scalar = {.rank = 0};
    NAC_TRY(nac_lower_float(lowering, 0, &x));
    NAC_TRY(nac_graph_add_constant(lowering->graph, NULL, NAC_F32, &scalar, NAC_ROW_MAJOR, &scale, lowering->error));
    NAC_TRY(nac_graph_add_constant(lowering->graph, NULL, NAC_I64, &scalar, NAC_ROW_MAJOR, &zero, lowering->error));
    *nac_data(lowering->graph, scale) = 1;
    NAC_TRY(nac_lower_bind(lowering, 0, x));
    NAC_TRY(nac_lower_bind(lowering, 1, scale));
    return nac_lower_bind(lowering, 2, zero);
}

/* A constant of integers as float32; a float32 value as it is. */
static nac_status as_floats(nac_lowering *lowering, int x, int *result) {
    *result = x;
    if (lowering->graph->values[x].type == NAC_F32) return NAC_OK;
    const nac_shape shape = lowering->graph->values[x].shape;
    NAC_TRY(nac_graph_add_constant(lowering->graph, NULL, NAC_F32, &shape, NAC_ROW_MAJOR, result, lowering->error));
    float *numbers = nac_data(lowering->graph, *result);
    for (size_t i = 0, count = nac_elements(&shape); i < count; ++i) numbers[i] = (float)((const int64_t *)lowering->graph->values[x].data)[i];
    return NAC_OK;
}

/* Input i without its zero point, input `zero`: one for all, or one for each index of the axis `behind` places in front of the last one. */
static nac_status read_operand(nac_lowering *lowering, int i, int zero_input, int behind, int *result) {
    int x, zero = nac_lower_optional(lowering, zero_input);
    NAC_TRY(nac_lower_input(lowering, i, &x));
    NAC_TRY(as_floats(lowering, x, result));
    if (zero == NAC_NONE) return NAC_OK;
    const nac_value *zeros = &lowering->graph->values[zero];
    const int count = (int)nac_elements(&zeros->shape);
    const nac_shape from = nac_logical_shape(&lowering->graph->values[*result]);
    if (!zeros->constant || zeros->shape.rank > 1 || (count != 1 && (from.rank <= behind || from.dims[from.rank - 1 - behind] != count)))
        return nac_lower_fail(lowering, NAC_UNSUPPORTED, "the zero point of input %d must be a constant, one number or one for each channel", i);
    bool nothing = true;
    for (int k = 0; k < count; ++k) nothing = nothing && nac_number_at(zeros, k) == 0;
    if (nothing) return NAC_OK;
    nac_shape shape = {.rank = count == 1 ? 0 : behind + 1, .dims = {count}};
    for (int k = 1; k < shape.rank; ++k) shape.dims[k] = 1;
    NAC_TRY(as_floats(lowering, zero, &zero));
    NAC_TRY(nac_lower_reshape(lowering, zero, &shape, &zero));
    return nac_lower_combine(lowering, NAC_BINARY_SUB, *result, zero, result);
}

/* A, B and their zero points; that of B may have one for each column. */
nac_status nac_lower_MatMulInteger(nac_lowering *lowering) {
    int a, b, y;
    NAC_TRY(read_operand(lowering, 0, 2, 0, &a));
    NAC_TRY(read_operand(lowering, 1, 3, 0, &b));
    NAC_TRY(nac_lower_product(lowering, a, b, &y));
    return nac_lower_bind(lowering, 0, y);
}

/* X, W and their zero points; that of W may have one for each of its filters. */
nac_status nac_lower_ConvInteger(nac_lowering *lowering) {
    int x, w;
    NAC_TRY(read_operand(lowering, 0, 2, 0, &x));
    NAC_TRY(nac_lower_input(lowering, 1, &w));
    const int rank = lowering->graph->values[w].shape.rank;
    NAC_TRY(read_operand(lowering, 1, 3, rank > 0 ? rank - 1 : 0, &w));
    return nac_lower_convolution(lowering, x, w, NAC_NONE);
}
