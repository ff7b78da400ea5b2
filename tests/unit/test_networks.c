/* Whole networks against PyTorch autograd (tests/oracle/network_goldens.py), with every backend that this build has:
 * logits, pooled z and g, states' bins, scores; batches; and that a run allocates nothing. */
#include "golden.h"
#include "nac.h"

enum { MAX_TAPS = 4, IMAGES = 24, SIDE = 32 };

/* The goldens are float64 rounded once; ours are float32 sums over up to 1280 terms and 20 layers. 1e-4 of the
 * largest value is the promise of the specification; what is seen is 2e-6. */
static const double TOLERANCE = 1e-4;

static const char *const networks[] = {"resnet", "vgg", "densenet", "mobilenetv2", "vit", "swin", "swinv2", "convnext", "maxvit", "bit", "deit", "clip", "xcit", "keras", "crnn"};

/* Those whose goldens are of the taps that "auto" chooses, in its order. */
static const char *const automatic[] = {"vit", "swin", "swinv2", "convnext", "maxvit", "bit", "deit", "clip", "xcit", "keras"};

static const nac_backend backends[] = {
    NAC_BACKEND_REFERENCE,
#ifdef NAC_HAVE_XNNPACK
    NAC_BACKEND_XNNPACK,
#endif
};

/* Everything of one network under test. */
typedef struct fixture {
    const char *name;
    nac_backend backend;
    golden onnx, expected, input;
    nac_model *model;
    nac_session *session;
    yyjson_doc *taps, *pools, *alphas;
    int tap_count, batch;
    float *z[MAX_TAPS], *g[MAX_TAPS]; /* [IMAGES, neurons] */
    float *logits;
} fixture;

static nac_error error;

static const char *tap_name(const fixture *f, int tap) { return yyjson_get_str(yyjson_arr_get(yyjson_doc_get_root(f->taps), (size_t)tap)); }
static nac_pool tap_pool(const fixture *f, int tap) {
    const char *name = yyjson_get_str(yyjson_arr_get(yyjson_doc_get_root(f->pools), (size_t)tap));
    return strcmp(name, "cls") == 0 ? NAC_POOL_CLS : strcmp(name, "nhwc") == 0 ? NAC_POOL_NHWC : NAC_POOL_SUM;
}
static float tap_alpha(const fixture *f, int tap) { return (float)yyjson_get_num(yyjson_arr_get(yyjson_doc_get_root(f->alphas), (size_t)tap)); }

/* With the golden's taps, or those that are chosen without a wish. */
static fixture open_tapped(const char *name, nac_backend backend, int batch, bool chosen) {
    char path[256];
    fixture f = {.name = name, .backend = backend, .batch = batch};
    snprintf(path, sizeof path, "networks/%s.onnx", name);
    f.onnx = golden_read(path);
    snprintf(path, sizeof path, "networks/%s.safetensors", name);
    f.expected = golden_open(path);
    f.input = golden_open("networks/input.safetensors");
    const char *taps = golden_metadata(&f.expected, "taps"), *pools = golden_metadata(&f.expected, "pools");
    const char *alphas = golden_metadata(&f.expected, "alphas");
    f.taps = yyjson_read(taps, strlen(taps), 0);
    f.pools = yyjson_read(pools, strlen(pools), 0);
    f.alphas = yyjson_read(alphas, strlen(alphas), 0);
    f.tap_count = (int)yyjson_arr_size(yyjson_doc_get_root(f.taps));
    ENSURE(f.tap_count <= MAX_TAPS);
    nac_tap wanted[MAX_TAPS];
    for (int i = 0; i < f.tap_count; ++i) wanted[i] = (nac_tap){.tensor = tap_name(&f, i), .pool = tap_pool(&f, i)};
    ENSURE_OK(nac_model_open(f.onnx.bytes, f.onnx.size, &f.model, &error), &error);
    const nac_session_options options = {.batch = batch, .taps = wanted, .tap_count = chosen ? 0 : (size_t)f.tap_count, .backend = backend};
    ENSURE_OK(nac_session_create(f.model, &options, &f.session, &error), &error);
    ENSURE(nac_session_tap_count(f.session) == f.tap_count);
    for (int i = 0; i < f.tap_count; ++i) {
        const size_t count = (size_t)(IMAGES * nac_session_tap_neurons(f.session, i));
        f.z[i] = malloc(count * sizeof(float));
        f.g[i] = malloc(count * sizeof(float));
    }
    f.logits = malloc((size_t)(IMAGES * nac_session_classes(f.session)) * sizeof(float));
    return f;
}

static fixture open_fixture(const char *name, nac_backend backend, int batch) { return open_tapped(name, backend, batch, false); }

static void close_fixture(fixture *f) {
    nac_session_destroy(f->session);
    nac_model_close(f->model);
    golden_close(&f->onnx);
    golden_close(&f->expected);
    golden_close(&f->input);
    yyjson_doc_free(f->taps);
    yyjson_doc_free(f->pools);
    yyjson_doc_free(f->alphas);
    for (int i = 0; i < f->tap_count; ++i) {
        free(f->z[i]);
        free(f->g[i]);
    }
    free(f->logits);
}

/* Runs all images, `batch` at a time, and collects what the session says. */
static void run_all(fixture *f) {
    size_t count;
    const uint8_t *pixels = golden_tensor(&f->input, "pixels", &count);
    int dims[4];
    float *input = nac_session_input(f->session, dims);
    ENSURE(dims[0] == f->batch && dims[1] == SIDE && dims[2] == SIDE && dims[3] == 3);
    const size_t K = (size_t)nac_session_classes(f->session), N = (size_t)f->batch;
    for (size_t first = 0; first < IMAGES; first += N) {
        for (size_t n = 0; n < N; ++n)
            for (size_t p = 0; p < SIDE * SIDE; ++p)
                for (size_t c = 0; c < 3; ++c)
                    input[(n * SIDE * SIDE + p) * 3 + c] = ((float)pixels[((first + n) * 3 + c) * SIDE * SIDE + p] - 128.0f) / 64.0f;
        ENSURE_OK(nac_session_forward(f->session, &error), &error);
        ENSURE_OK(nac_session_backward(f->session, &error), &error);
        memcpy(f->logits + first * K, nac_session_logits(f->session), N * K * sizeof(float));
        for (int i = 0; i < f->tap_count; ++i) {
            const size_t C = (size_t)nac_session_tap_neurons(f->session, i);
            memcpy(f->z[i] + first * C, nac_session_tap_z(f->session, i), N * C * sizeof(float));
            memcpy(f->g[i] + first * C, nac_session_tap_g(f->session, i), N * C * sizeof(float));
        }
    }
}

static const float *expected_tensor(const fixture *f, const char *name, const char *suffix, size_t *count) {
    char key[256];
    snprintf(key, sizeof key, "%s%s", name, suffix);
    return golden_tensor(&f->expected, key, count);
}

static void ensure_close(const fixture *f, const char *name, const char *suffix, const float *actual) {
    size_t count;
    const float *expected = expected_tensor(f, name, suffix, &count);
    double largest = 0, worst = 0;
    for (size_t i = 0; i < count; ++i) {
        largest = fmax(largest, fabs(expected[i]));
        worst = fmax(worst, fabs((double)actual[i] - expected[i]));
        ENSURE(actual[i] == actual[i]);
    }
    if (worst > TOLERANCE * largest) printf("%s, %s backend: %s%s: off by %.3g of %.3g\n", f->name, f->backend == NAC_BACKEND_XNNPACK ? "XNNPACK" : "reference", name, suffix, worst, largest);
    ENSURE(worst <= TOLERANCE * largest);
}

/* A state next to an edge may fall on its other side by a rounding error; more than one in a thousand may not. */
static void ensure_same_bins(const fixture *f) {
    double edges[50];
    ENSURE_OK(nac_bin_edges(50, edges, &error), &error);
    size_t states = 0, same = 0;
    for (int i = 0; i < f->tap_count; ++i) {
        size_t count;
        const float *z = expected_tensor(f, tap_name(f, i), ".z", &count), *g = expected_tensor(f, tap_name(f, i), ".g", &count);
        for (size_t k = 0; k < count; ++k)
            same += nac_bin(nac_state(z[k], g[k], tap_alpha(f, i)), edges, 50) == nac_bin(nac_state(f->z[i][k], f->g[i][k], tap_alpha(f, i)), edges, 50);
        states += count;
    }
    if (!((double)same >= 0.999 * (double)states)) printf("%zu of %zu states in the same bin\n", same, states);
    ENSURE((double)same >= 0.999 * (double)states);
}

static void ensure_same_scores(const fixture *f) {
    const int profiled = atoi(golden_metadata(&f->expected, "profileImages"));
    nac_layer layers[MAX_TAPS];
    for (int i = 0; i < f->tap_count; ++i)
        layers[i] = (nac_layer){.name = tap_name(f, i), .pool = tap_pool(f, i), .neurons = nac_session_tap_neurons(f->session, i),
                                .alpha = tap_alpha(f, i), .M = 50, .O = atof(golden_metadata(&f->expected, "fill"))};
    nac_profile *profile;
    ENSURE_OK(nac_profile_create(layers, (size_t)f->tap_count, &profile, &error), &error);
    ENSURE_OK(nac_profile_add(profile, profiled, (const float *const *)f->z, (const float *const *)f->g, &error), &error);
    const float *z[MAX_TAPS], *g[MAX_TAPS];
    for (int i = 0; i < f->tap_count; ++i) {
        z[i] = f->z[i] + profiled * layers[i].neurons;
        g[i] = f->g[i] + profiled * layers[i].neurons;
    }
    float scores[IMAGES], layer_scores[IMAGES * MAX_TAPS];
    ENSURE_OK(nac_profile_score(profile, IMAGES - profiled, z, g, layer_scores, scores, &error), &error);
    nac_profile_destroy(profile);
    size_t count;
    const float *expected = expected_tensor(f, "scores", "", &count);
    ENSURE(count == (size_t)(IMAGES - profiled));
    for (size_t i = 0; i < count; ++i) ENSURE_NEAR(scores[i], expected[i], 1e-3);
}

static void ensure_same_states(const fixture *f) {
    for (int i = 0; i < f->tap_count; ++i) {
        ensure_close(f, tap_name(f, i), ".z", f->z[i]);
        ensure_close(f, tap_name(f, i), ".g", f->g[i]);
    }
}

static void check_network(const char *name, nac_backend backend) {
    fixture f = open_fixture(name, backend, 4);
    run_all(&f);
    ensure_close(&f, "logits", "", f.logits);
    ensure_same_states(&f);
    ensure_same_bins(&f);
    ensure_same_scores(&f);
    close_fixture(&f);
}

/* An image's numbers do not depend on its neighbours, to the last bit. */
static void check_batches(const char *name, nac_backend backend) {
    fixture one = open_fixture(name, backend, 1), many = open_fixture(name, backend, 6);
    run_all(&one);
    run_all(&many);
    for (int i = 0; i < one.tap_count; ++i) {
        const size_t bytes = (size_t)(IMAGES * nac_session_tap_neurons(one.session, i)) * sizeof(float);
        ENSURE(memcmp(one.z[i], many.z[i], bytes) == 0);
        ENSURE(memcmp(one.g[i], many.g[i], bytes) == 0);
    }
    close_fixture(&one);
    close_fixture(&many);
}

static void test_agrees_with_pytorch(void) {
    for (size_t n = 0; n < sizeof networks / sizeof *networks; ++n)
        for (size_t b = 0; b < sizeof backends / sizeof *backends; ++b) check_network(networks[n], backends[b]);
}

/* By its states a chosen tap is known: names of the same numbers differ, where a stage is turned to another memory order at its end. */
static void test_chooses_taps(void) {
    for (size_t n = 0; n < sizeof automatic / sizeof *automatic; ++n) {
        fixture f = open_tapped(automatic[n], backends[sizeof backends / sizeof *backends - 1], 4, true);
        run_all(&f);
        ensure_same_states(&f);
        close_fixture(&f);
    }
}

static void test_batch_does_not_matter(void) {
    for (size_t n = 0; n < sizeof networks / sizeof *networks; ++n)
        for (size_t b = 0; b < sizeof backends / sizeof *backends; ++b) check_batches(networks[n], backends[b]);
}

/* W z + b with z of the classifier's input are the logits; only the reference backend still has W. */
static void check_classifier(const char *name, int expected_tap) {
    for (size_t b = 0; b < sizeof backends / sizeof *backends; ++b) {
        fixture f = open_fixture(name, backends[b], 1);
        ENSURE(nac_session_classifier_tap(f.session) == expected_tap);
        const int K = nac_session_classes(f.session), C = nac_session_tap_neurons(f.session, 0);
        float *weight = malloc((size_t)(K * C) * sizeof(float)), *bias = malloc((size_t)K * sizeof(float));
        const nac_status status = nac_session_classifier(f.session, weight, bias, &error);
        ENSURE(status == (expected_tap < 0 ? NAC_INVALID_ARGUMENT : f.backend == NAC_BACKEND_REFERENCE ? NAC_OK : NAC_UNSUPPORTED));
        run_all(&f);
        for (int i = 0; i < IMAGES * K && status == NAC_OK; ++i) {
            double sum = (double)bias[i % K];
            for (int c = 0; c < C; ++c) sum += (double)weight[i % K * C + c] * (double)f.z[0][i / K * C + c];
            ENSURE_NEAR(f.logits[i], sum, 1e-5 * (1 + fabs(sum)));
        }
        free(weight);
        free(bias);
        close_fixture(&f);
    }
}

static void test_classifier(void) {
    check_classifier("resnet", 0); /* a global average pool */
    check_classifier("vgg", 0);    /* a hidden layer, behind a dropout */
    check_classifier("densenet", -1);
    check_classifier("mobilenetv2", -1); /* their first taps lie before the pool */
}

static void test_runs_again_the_same(void) {
    fixture f = open_fixture("resnet", backends[sizeof backends / sizeof *backends - 1], 4);
    run_all(&f);
    float *first = malloc((size_t)(IMAGES * 32) * sizeof(float));
    memcpy(first, f.g[0], (size_t)(IMAGES * 32) * sizeof(float));
    run_all(&f);
    ENSURE(memcmp(first, f.g[0], (size_t)(IMAGES * 32) * sizeof(float)) == 0);
    free(first);
    close_fixture(&f);
}

int main(void) {
    RUN(test_agrees_with_pytorch);
    RUN(test_chooses_taps);
    RUN(test_batch_does_not_matter);
    RUN(test_classifier);
    RUN(test_runs_again_the_same);
    return TEST_RESULT();
}
