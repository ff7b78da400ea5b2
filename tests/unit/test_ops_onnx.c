/* Every ONNX operator, forward and backward, against PyTorch autograd in float64 (tests/oracle/op_goldens.py), with every backend
 * of this build. The input is tapped whole (NAC_POOL_NONE), so g is the operator's adjoint applied to softmax(y) - 1/K. */
#include "golden.h"
#include "nac.h"

enum { N = 2, C = 3, H = 5, W = 6 };

/* Goldens are float64 rounded once. Ours round to float32 after every node, a few nodes a case, and XNNPACK's sums are float32: at
 * most 4e-7 of the largest value is seen. */
static const double TOLERANCE = 2e-6;

static const nac_backend backends[] = {
    NAC_BACKEND_REFERENCE,
#ifdef NAC_HAVE_XNNPACK
    NAC_BACKEND_XNNPACK,
#endif
};

static golden ops;
static nac_model *model;
static nac_session *session;
static nac_error error;

static void close_case(void) {
    nac_session_destroy(session);
    nac_model_close(model);
    session = NULL;
    model = NULL;
}

static const void *tensor(const char *name, const char *suffix, size_t *count) {
    char key[128];
    snprintf(key, sizeof key, "%s%s", name, suffix);
    return golden_tensor(&ops, key, count);
}

static nac_status open_case(const char *name, nac_backend backend) {
    close_case();
    size_t size;
    const void *bytes = tensor(name, ".onnx", &size);
    const nac_status status = nac_model_open(bytes, size, &model, &error);
    if (status != NAC_OK) return status;
    const nac_tap tap = {.tensor = "x", .pool = NAC_POOL_NONE};
    const nac_session_options options = {.batch = N, .taps = &tap, .tap_count = 1, .backend = backend};
    return nac_session_create(model, &options, &session, &error);
}

static bool is_close(const char *name, const char *suffix, const float *actual, size_t actual_count) {
    size_t count;
    const float *expected = tensor(name, suffix, &count);
    double largest = 0, worst = 0;
    if (count != actual_count) {
        printf("%s%s: %zu numbers, expected %zu\n", name, suffix, actual_count, count);
        return false;
    }
    for (size_t i = 0; i < count; ++i) {
        largest = fmax(largest, fabs(expected[i]));
        const double off = fabs((double)actual[i] - expected[i]);
        if (!(off <= worst)) worst = off; /* NaN too */
    }
    if (worst <= TOLERANCE * largest) return true;
    printf("%s%s: off by %.3g of %.3g\n", name, suffix, worst, largest);
    return false;
}

static bool matches(const char *name, nac_backend backend) {
    if (open_case(name, backend) != NAC_OK || nac_session_batch(session) != N) {
        printf("%s: %s\n", name, error.message);
        return false;
    }
    int dims[4];
    float *input = nac_session_input(session, dims);
    size_t count;
    const float *x = golden_tensor(&ops, "x", &count);
    ENSURE(dims[0] == N && dims[1] == H && dims[2] == W && dims[3] == C);
    for (int n = 0; n < N; ++n)
        for (int c = 0; c < C; ++c)
            for (int p = 0; p < H * W; ++p) input[(n * H * W + p) * C + c] = x[(n * C + c) * H * W + p];
    if (nac_session_forward(session, &error) != NAC_OK || nac_session_backward(session, &error) != NAC_OK) {
        printf("%s: %s\n", name, error.message);
        return false;
    }
    const bool forward = is_close(name, ".logits", nac_session_logits(session), N * (size_t)nac_session_classes(session));
    const bool backward = is_close(name, ".g", nac_session_tap_g(session, 0), N * (size_t)nac_session_tap_neurons(session, 0));
    return forward && backward && memcmp(nac_session_tap_z(session, 0), x, count * sizeof *x) == 0;
}

static void check_all(nac_backend backend) {
    const char *text = golden_metadata(&ops, "cases");
    yyjson_doc *cases = yyjson_read(text, strlen(text), 0);
    size_t i, count, wrong = 0;
    yyjson_val *name;
    yyjson_arr_foreach(yyjson_doc_get_root(cases), i, count, name) wrong += !matches(yyjson_get_str(name), backend);
    ENSURE(yyjson_arr_size(yyjson_doc_get_root(cases)) > 100);
    yyjson_doc_free(cases);
    close_case();
    ENSURE(wrong == 0);
}

static void test_reference(void) { check_all(backends[0]); }
static void test_xnnpack(void) {
    for (size_t i = 1; i < sizeof backends / sizeof *backends; ++i) check_all(backends[i]);
}

/* Each with a sentence that names the node; the reason is checked where it is listed here. */
static void test_refusals(void) {
    static const struct {
        const char *name, *sentence;
        nac_status status;
    } cases[] = {
        {"conv_1d_of_2d", "do not fit an input", NAC_MALFORMED},
        {"conv_1d_with_two_strides", "strides has 2 numbers where 1 are needed", NAC_UNSUPPORTED},
        {"conv_3d", "input 0 has rank 5", NAC_UNSUPPORTED},
        {"max_pool_1d_with_two_sizes", "kernel_shape must hold 1 from 1 to", NAC_UNSUPPORTED},
        {"conv_dynamic_weights", "weights are computed at run time", NAC_UNSUPPORTED},
        {"conv_negative_pads", "pads holds -1", NAC_UNSUPPORTED},
        {"conv_window_too_large", "a window of 7 does not fit", NAC_UNSUPPORTED},
        {"batch_norm_training", "it is in training mode", NAC_UNSUPPORTED},
        {"pow_dynamic", "the exponent is computed at run time", NAC_UNSUPPORTED},
        {"max_pool_indices_read", "'maxpool0_', is an output that is not supported", NAC_UNSUPPORTED},
        {"max_pool_of_padding", "a window lies in the padding", NAC_UNSUPPORTED},
        {"add_of_other_shape", "shapes [2, 3, 5, 6] and [4, 1, 1] do not broadcast", NAC_MALFORMED},
        {"conv_of_other_channels", "weights [4, 2, 3, 3] do not fit an input [2, 3, 5, 6]", NAC_MALFORMED},
        {"conv_of_other_groups", "in 2 groups", NAC_MALFORMED},
        {"conv_of_other_bias", "the bias has shape [3] where [4] is needed", NAC_MALFORMED},
        {"batch_norm_of_other_channels", "the mean has shape [4] where [3] is needed", NAC_MALFORMED},
        {"matmul_of_other_size", "matrices [2, 3, 5, 6] and [5, 4] cannot be multiplied", NAC_MALFORMED},
        {"gemm_of_other_bias", "shapes [2, 7] and [3, 7] do not broadcast", NAC_MALFORMED},
        {"integers_by_zero", "integers 2 and 0 have no result", NAC_MALFORMED},
        {"clip_at_nan", "min is NaN", NAC_MALFORMED},
        {"auto_pad_unknown", "auto_pad is 'SAME'", NAC_MALFORMED},
        {"softmax_of_no_axis", "axis 4", NAC_MALFORMED},
        {"slice_of_nothing", "nothing is left of axis 1 (size 3)", NAC_UNSUPPORTED},
        {"gather_computed", "the indices are computed from the image", NAC_UNSUPPORTED},
        {"pad_of_another_kind", "padding mode 'clamp'", NAC_UNSUPPORTED},
        {"average_pool_3d_wide", "only windows of k x 1 x 1", NAC_UNSUPPORTED},
        {"average_pool_3d_strided", "only windows of k x 1 x 1", NAC_UNSUPPORTED},
        {"average_pool_3d_padded", "only windows of k x 1 x 1", NAC_UNSUPPORTED},
        {"average_pool_3d_deep", "only windows of k x 1 x 1", NAC_UNSUPPORTED},
        {"sums_of_image_along_its_pixels", "sums along 7680 elements; at most 4096 are supported", NAC_LIMIT_EXCEEDED},
        {"sums_along_image", "the axis is computed from the image; it must be a constant", NAC_UNSUPPORTED},
        {"sums_along_no_axis", "axis 1 is outside of rank 1", NAC_MALFORMED},
        {"sums_too_large", "the sums do not fit 64 bits", NAC_MALFORMED},
        {"negative_of_the_least", "have no result", NAC_MALFORMED},
        {"pad_away", "paddings of -3 and -2 leave nothing of size 5", NAC_UNSUPPORTED},
        {"pad_without_end", "a padding of 9223372036854775807", NAC_LIMIT_EXCEEDED},
        {"dropout_training", "training_mode is 1", NAC_UNSUPPORTED},
        {"cast_to_integer", "computed from the image", NAC_UNSUPPORTED},
        {"group_norm_uneven", "2 groups of 3 channels", NAC_MALFORMED},
        {"gelu_of_another_kind", "approximate is 'sigmoid'", NAC_MALFORMED},
        {"einsum_dots", "'.' in the equation", NAC_UNSUPPORTED},
        {"einsum_ellipsis_of_less", "an ellipsis of -1 axes", NAC_MALFORMED},
        {"einsum_diagonal", "axis 'h' twice", NAC_UNSUPPORTED},
        {"einsum_of_other_sizes", "axis 'c' has size 3 and 5", NAC_MALFORMED},
        {"einsum_of_no_operand", "axis 'k' of the result is in no operand", NAC_MALFORMED},
        {"einsum_of_other_rank", "term 'nch' for an operand of rank 4", NAC_MALFORMED},
        {"scatter_outside", "index 5 is outside of size 5", NAC_MALFORMED},
        {"conv_transpose_of_other_channels", "weights [4, 2, 3, 3] do not fit an input [2, 3, 5, 6]", NAC_MALFORMED},
        {"conv_transpose_dynamic_weights", "weights are computed at run time", NAC_UNSUPPORTED},
        {"conv_transpose_far", "output_padding 1 with a stride of 1", NAC_UNSUPPORTED},
        {"conv_transpose_to_more", "an input of 5 cannot become 30", NAC_UNSUPPORTED},
        {"conv_transpose_to_nothing", "an input of 5 cannot become -1", NAC_UNSUPPORTED},
        {"gather_elements_computed", "the indices are computed from the image", NAC_UNSUPPORTED},
        {"gather_elements_outside", "index 3 is outside of size 3", NAC_MALFORMED},
        {"gather_elements_of_more", "indices [2, 4, 5, 6] do not fit data [2, 3, 5, 6]", NAC_MALFORMED},
        {"gather_nd_deep", "indices [2, 5] do not fit data", NAC_MALFORMED},
        {"gather_nd_of_other_batch", "indices [3, 4, 1] do not fit data", NAC_MALFORMED},
        {"scatter_computed", "the indices are computed from the image", NAC_UNSUPPORTED},
        {"scatter_product", "reduction 'mul'; none and add are supported", NAC_UNSUPPORTED},
        {"scatter_less", "2 updates for 180 places", NAC_MALFORMED},
        {"where_of_other_shape", "shapes [4, 1, 1] and [2, 3, 5, 6] do not broadcast", NAC_MALFORMED},
        {"where_of_numbers", "the types of its inputs do not go together", NAC_MALFORMED},
        {"triangle_of_row", "the input has rank 1", NAC_MALFORMED},
        {"mean_variance_norm_of_batch", "it normalises over the batch", NAC_UNSUPPORTED},
        {"lp_pool_ceil", "ceil_mode is not supported", NAC_UNSUPPORTED},
        {"attention_capped", "softcap is not supported", NAC_UNSUPPORTED},
        {"attention_of_the_past", "input 4, keys or values of the past", NAC_UNSUPPORTED},
        {"attention_of_uneven_heads", "input 0, [2, 15, 6], cannot be split into 4 heads", NAC_MALFORMED},
        {"mod_by_zero", "integer 2 has no remainder by 0", NAC_MALFORMED},
        {"local_norm_wide", "a window of 7 channels of 3", NAC_MALFORMED},
        {"product_of_image", "only integers can be multiplied", NAC_UNSUPPORTED},
        {"space_to_depth_of_part", "blocks of 2 do not divide 5x6", NAC_MALFORMED},
        {"resize_antialias", "antialias is not supported", NAC_UNSUPPORTED},
        {"resize_to_nothing", "axis 2 would get a size of 0", NAC_MALFORMED},
        {"dynamic_product_of_other_zeros", "the zero point of input 1 must be a constant", NAC_UNSUPPORTED},
        {"lstm_clipped", "clip is not supported", NAC_UNSUPPORTED},
        {"lstm_coupled", "input_forget is not supported", NAC_UNSUPPORTED},
        {"lstm_peepholes", "peepholes are not supported", NAC_UNSUPPORTED},
        {"lstm_short", "a sequence of 4 of 5 steps; only whole sequences are supported", NAC_UNSUPPORTED},
        {"lstm_sideways", "direction is 'sideways'", NAC_MALFORMED},
        {"lstm_softsign", "activation 'Softsign'; Relu, Sigmoid and Tanh are supported", NAC_UNSUPPORTED},
        {"lstm_two_activations", "2 activations where 3 are needed", NAC_MALFORMED},
        {"lstm_of_other_weights", "the matrix of the input has shape [1, 16, 19] where float32 [1, 16, 18] is needed", NAC_MALFORMED},
        {"lstm_of_other_states", "the matrix of the state has shape [1, 16, 5] where float32 [1, 16, 4] is needed", NAC_MALFORMED},
        {"lstm_of_few_states", "the matrix of the state has shape [1, 3, 4]", NAC_MALFORMED},
        {"lstm_of_one_direction", "where float32 [2, 16, 4] is needed", NAC_MALFORMED},
        {"lstm_of_other_bias", "the bias has shape [1, 16] where float32 [1, 32] is needed", NAC_MALFORMED},
        {"lstm_of_other_batch", "initial_h has shape [1, 3, 4] where float32 [1, 2, 4] is needed", NAC_MALFORMED},
        {"lstm_of_image", "the sequence has rank 4; 3 is needed", NAC_MALFORMED},
        {"lstm_of_image_weights", "input 2 is computed from the image; it must be a constant", NAC_UNSUPPORTED},
        {"loop_counted_by_image", "node 'Loop_1' (Loop): the number of rounds is computed from the image; it must be a constant", NAC_UNSUPPORTED},
        {"loop_while_image", "node 'Loop_0' (Loop): whether it goes on is computed from the image; it must be a constant", NAC_UNSUPPORTED},
        {"loop_without_end", "4611686018427387904 rounds are more than 131072 nodes", NAC_LIMIT_EXCEEDED},
        {"loop_without_limit", "9223372036854775807 rounds are more than 131072 nodes", NAC_LIMIT_EXCEEDED},
        {"loop_too_long", "65535 rounds are more than 131072 nodes", NAC_LIMIT_EXCEEDED},
        {"loop_while_forever", "the rounds of the model's loops have more than 131072 nodes", NAC_LIMIT_EXCEEDED},
        {"loop_in_loop_too_long", "1023 rounds are more than 131072 nodes", NAC_LIMIT_EXCEEDED},
        {"loop_of_few_inputs", "a body of 2 inputs and 2 results does not fit 3 inputs and 1 outputs", NAC_MALFORMED},
        {"loop_of_few_results", "a body of 3 inputs and 1 results does not fit 3 inputs and 1 outputs", NAC_MALFORMED},
        {"loop_of_many_outputs", "a body of 3 inputs and 2 results does not fit 3 inputs and 2 outputs", NAC_MALFORMED},
        {"loop_uneven", "tensors [2, 6, 5, 6] and [2, 9, 5, 6] cannot be stacked", NAC_MALFORMED},
        {"loop_of_nothing", "has no elements", NAC_UNSUPPORTED},
        {"loop_of_numbers", "the number of rounds holds 1.5, which is not a whole number", NAC_MALFORMED},
        {"scan_of_nothing", "0 of 1 inputs are scanned", NAC_MALFORMED},
        {"scan_of_more", "3 of 2 inputs are scanned", NAC_MALFORMED},
        {"scan_uneven", "sequences of 5 and 6 elements", NAC_MALFORMED},
        {"scan_of_other_body", "a body of 2 inputs and 1 results does not fit 1 inputs and 1 outputs", NAC_MALFORMED},
        {"scan_of_two_axes", "attribute 'scan_input_axes' has 1 numbers where 2 are needed", NAC_MALFORMED},
        {"scan_of_no_axis", "axis 4 is outside of rank 4", NAC_MALFORMED},
        {"scan_before_9", "it is another operator before opset 9", NAC_UNSUPPORTED},
        {"sequence_as_tensor", "is a sequence", NAC_UNSUPPORTED},
        {"sequence_of_sequences", "input 0, tensor 'sequenceerase", NAC_UNSUPPORTED},
        {"sequence_as_position", "is a sequence", NAC_UNSUPPORTED},
        {"sequence_as_limit", "input 0, tensor 'sequenceerase", NAC_UNSUPPORTED},
        {"sequence_outside", "position 3 in a sequence of 3", NAC_MALFORMED},
        {"sequence_inserted_outside", "position 4 in a sequence of 3", NAC_MALFORMED},
        {"sequence_of_nothing", "what is joined has no elements", NAC_UNSUPPORTED},
        {"sequence_stack_of_nothing", "what is joined has no elements", NAC_UNSUPPORTED},
        {"sequence_erased", "the sequence is empty", NAC_MALFORMED},
        {"sequence_of_image_position", "the position is computed from the image; it must be a constant", NAC_UNSUPPORTED},
        {"sequence_without_position", "input 1 is missing", NAC_MALFORMED},
        {"sequence_uneven", "tensors [2, 3, 2, 6] and [2, 3, 1, 6] cannot be stacked", NAC_MALFORMED},
        {"sequence_that_is_none", "input 0 is no sequence", NAC_MALFORMED},
        {"sequence_split_to_more", "part 1 has size 4 of 5", NAC_MALFORMED},
        {"sequence_split_to_less", "the parts add up to 4 of 5", NAC_MALFORMED},
        {"sequence_split_to_nothing", "parts of size 0", NAC_MALFORMED},
        {"sequence_without_end", "the model's sequences hold more than 4194304 tensors", NAC_LIMIT_EXCEEDED},
        {"unsqueeze_nothing", "no axes are given", NAC_MALFORMED},
        {"length_norm_cubed", "p is 3; 1 and 2 are defined", NAC_MALFORMED},
        {"cast_image_like", "computed from the image", NAC_UNSUPPORTED},
        {"reshape_image_to_scalar", "has not the 1 elements that are asked for", NAC_MALFORMED},
        {"quantise_to_float8", "quantising to data type 7", NAC_UNSUPPORTED},
        {"quantise_in_blocks", "scales in blocks", NAC_UNSUPPORTED},
        {"quantise_by_nothing", "a scale of 0", NAC_MALFORMED},
    };
    const char *text = golden_metadata(&ops, "refused");
    yyjson_doc *names = yyjson_read(text, strlen(text), 0);
    size_t i, count, checked = 0;
    yyjson_val *name;
    yyjson_arr_foreach(yyjson_doc_get_root(names), i, count, name) {
        const nac_status status = open_case(yyjson_get_str(name), NAC_BACKEND_REFERENCE);
        bool right = (status == NAC_UNSUPPORTED || status == NAC_MALFORMED || status == NAC_LIMIT_EXCEEDED) && strstr(error.message, "node '");
        for (size_t c = 0; c < sizeof cases / sizeof *cases; ++c) {
            if (strcmp(cases[c].name, yyjson_get_str(name)) != 0) continue;
            right = right && status == cases[c].status && strstr(error.message, cases[c].sentence);
            ++checked;
        }
        if (!right) printf("%s: %s: %s\n", yyjson_get_str(name), nac_status_name(status), error.message);
        ENSURE(right);
    }
    yyjson_doc_free(names);
    close_case();
    ENSURE(checked == sizeof cases / sizeof *cases);
}

int main(void) {
    ops = golden_open("ops/ops.safetensors");
    RUN(test_reference);
    RUN(test_xnnpack);
    RUN(test_refusals);
    close_case();
    golden_close(&ops);
    return TEST_RESULT();
}
