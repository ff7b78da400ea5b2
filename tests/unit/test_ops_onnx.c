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

/* Each with its reason in the sentence, and with the name of the node. */
static void test_refusals(void) {
    static const char *const sentences[][2] = {
        {"conv_1d", "only 2-D convolution"},
        {"conv_dynamic_weights", "weights are computed at run time"},
        {"conv_negative_pads", "pads holds -1"},
        {"conv_window_too_large", "a window of 7 does not fit"},
        {"batch_norm_training", "training_mode is 1"},
        {"pow_dynamic", "the exponent is computed at run time"},
        {"max_pool_indices", "Indices"},
        {"max_pool_of_padding", "a window lies in the padding"},
        {"matmul_shared_dynamic_matrix", "no gradient for its input 1"},
    };
    const char *text = golden_metadata(&ops, "refused");
    yyjson_doc *names = yyjson_read(text, strlen(text), 0);
    const size_t count = yyjson_arr_size(yyjson_doc_get_root(names));
    yyjson_doc_free(names);
    ENSURE(count == sizeof sentences / sizeof *sentences);
    for (size_t i = 0; i < count; ++i) {
        const nac_status status = open_case(sentences[i][0], NAC_BACKEND_REFERENCE);
        if (status != NAC_UNSUPPORTED || !strstr(error.message, sentences[i][1])) {
            printf("%s: %s: %s\n", sentences[i][0], nac_status_name(status), error.message);
            test_fail(__FILE__, __LINE__, sentences[i][1]);
        }
    }
    close_case();
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
