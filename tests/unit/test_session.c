/* Sessions: errors that name their cause, automatic taps, memory that is taken once, and memory that runs out. */
#include "golden.h"
#include "nac.h"

/* ---- An allocator that counts, and fails when told ----------------------------------------------- */

static long allocations, live, fail_at = -1;

static bool refuse(void) { return allocations++ == fail_at; }

void *nac_alloc(size_t bytes) {
    if (refuse()) return NULL;
    void *memory = malloc(bytes ? bytes : 1);
    live += memory != NULL;
    return memory;
}

void *nac_realloc(void *memory, size_t bytes) {
    if (refuse()) return NULL;
    void *moved = realloc(memory, bytes ? bytes : 1);
    live += memory == NULL && moved != NULL;
    return moved;
}

void nac_free(void *memory) {
    live -= memory != NULL;
    free(memory);
}

/* ---- Tests --------------------------------------------------------------------------------------- */

#ifdef NAC_HAVE_XNNPACK
static const nac_backend backend = NAC_BACKEND_XNNPACK;
#else
static const nac_backend backend = NAC_BACKEND_REFERENCE;
#endif

static nac_error error;

static nac_status open_network(const golden *onnx, const nac_session_options *options, nac_model **model, nac_session **session) {
    *model = NULL;
    *session = NULL;
    nac_status status = nac_model_open(onnx->bytes, onnx->size, model, &error);
    if (status == NAC_OK) status = nac_session_create(*model, options, session, &error);
    return status;
}

static void close_network(nac_model *model, nac_session *session) {
    nac_session_destroy(session);
    nac_model_close(model);
}

static void fill_input(nac_session *session) {
    int dims[4];
    float *input = nac_session_input(session, dims);
    uint64_t seed = 42;
    for (int i = 0; i < dims[0] * dims[1] * dims[2] * dims[3]; ++i) input[i] = test_uniform(&seed);
}

static void test_a_run_allocates_nothing(void) {
    golden onnx = golden_read("networks/resnet.onnx");
    nac_model *model;
    nac_session *session;
    ENSURE_OK(open_network(&onnx, &(nac_session_options){.batch = 2, .backend = backend}, &model, &session), &error);
    const long before = allocations;
    for (int i = 0; i < 20; ++i) {
        fill_input(session);
        ENSURE_OK(nac_session_forward(session, &error), &error);
        ENSURE_OK(nac_session_backward(session, &error), &error);
    }
    ENSURE(allocations == before);
    close_network(model, session);
    golden_close(&onnx);
}

static void test_out_of_memory_at_every_allocation(void) {
    golden onnx = golden_read("networks/vgg.onnx");
    nac_model *model;
    nac_session *session;
    /* Once without failure, so that what a backend keeps for the process's life is not taken for a leak. */
    ENSURE_OK(open_network(&onnx, &(nac_session_options){.batch = 1, .backend = backend}, &model, &session), &error);
    close_network(model, session);
    const long kept = live;
    nac_status status = NAC_OUT_OF_MEMORY;
    long n = 0;
    for (; status != NAC_OK; ++n) {
        allocations = 0;
        fail_at = n;
        status = open_network(&onnx, &(nac_session_options){.batch = 1, .backend = backend}, &model, &session);
        fail_at = -1;
        if (status != NAC_OK && status != NAC_OUT_OF_MEMORY) printf("allocation %ld: %s\n", n, error.message);
        ENSURE(status == NAC_OK || status == NAC_OUT_OF_MEMORY);
        close_network(model, session);
        ENSURE(live == kept);
    }
    if (n <= 50) printf("only %ld allocations\n", n);
    ENSURE(n > 50); /* the failures were really injected */
    golden_close(&onnx);
}

static void ensure_refused(const golden *onnx, nac_session_options options, nac_status expected, const char *sentence) {
    nac_model *model;
    nac_session *session;
    options.backend = backend;
    const nac_status status = open_network(onnx, &options, &model, &session);
    if (status != expected || !strstr(error.message, sentence)) printf("%s: %s\n", nac_status_name(status), error.message);
    ENSURE(status == expected && strstr(error.message, sentence));
    close_network(model, session);
}

static void test_errors_name_their_cause(void) {
    golden onnx = golden_read("networks/resnet.onnx");
    const nac_tap unknown = {.tensor = "layer9"}, logits = {.tensor = "logits", .pool = NAC_POOL_CLS}, weight = {.tensor = "network.fc.weight"};
    ensure_refused(&onnx, (nac_session_options){.batch = 0}, NAC_INVALID_ARGUMENT, "batch is 0");
    ensure_refused(&onnx, (nac_session_options){.batch = 1, .height = -3}, NAC_INVALID_ARGUMENT, "-3");
    ensure_refused(&onnx, (nac_session_options){.batch = 1, .height = 33, .width = 33}, NAC_INVALID_ARGUMENT, "33");
    ensure_refused(&onnx, (nac_session_options){.batch = 1, .taps = &unknown, .tap_count = 1}, NAC_INVALID_ARGUMENT, "layer9");
    ensure_refused(&onnx, (nac_session_options){.batch = 1, .taps = &logits, .tap_count = 1}, NAC_INVALID_ARGUMENT, "cls");
    ensure_refused(&onnx, (nac_session_options){.batch = 1, .taps = &weight, .tap_count = 1}, NAC_INVALID_ARGUMENT, "network.fc.weight");
    golden_close(&onnx);
}

/* Deepest first: the pooled output, then the last tensor at each larger resolution that every path runs through. */
static void test_automatic_taps_of_a_resnet(void) {
    static const char *const expected[] = {"avgpool", "layer2", "layer1"};
    golden onnx = golden_read("networks/resnet.onnx");
    nac_model *model;
    nac_session *session;
    ENSURE_OK(open_network(&onnx, &(nac_session_options){.batch = 1, .backend = backend}, &model, &session), &error);
    ENSURE(nac_session_tap_count(session) == 4);
    for (int i = 0; i < 3; ++i) ENSURE(strcmp(nac_session_tap_name(session, i), expected[i]) == 0);
    close_network(model, session);
    golden_close(&onnx);
}

/* When the only tap feeds the classifier, g is W^T (p - 1/K): one matrix product, no convolution backward. */
static void test_a_pooled_tap_needs_no_sweep(void) {
    golden onnx = golden_read("networks/resnet.onnx");
    const nac_tap pooled = {.tensor = "avgpool"};
    nac_model *model;
    nac_session *session;
    ENSURE_OK(open_network(&onnx, &(nac_session_options){.batch = 1, .backend = backend, .taps = &pooled, .tap_count = 1}, &model, &session),
              &error);
    ENSURE(strstr(nac_session_info(session), "\"macsBackward\":320,"));
    close_network(model, session);
    golden_close(&onnx);
}

/* At the earliest tap only the sums of the gradient are asked for. The shortcut of layer2 is a 1x1 convolution, whose gradient's sums are the gradient
 * of sums: 8 * 16 products instead of those of 16 pixels. The rest: the classifier's 10 * 32; 4 pixels of layer3 with 9 * (32 * 32 + 16 * 32) and
 * 16 * 32; 16 pixels of layer2 with 9 * (3 * 16 * 16 + 8 * 16). */
static void test_the_last_products_are_of_sums(void) {
    golden onnx = golden_read("networks/resnet.onnx");
    const nac_tap tap = {.tensor = "layer1"};
    nac_model *model;
    nac_session *session;
    ENSURE_OK(open_network(&onnx, &(nac_session_options){.batch = 1, .backend = backend, .taps = &tap, .tap_count = 1}, &model, &session), &error);
    ENSURE(strstr(nac_session_info(session), "\"macsBackward\":186816,"));
    close_network(model, session);
    golden_close(&onnx);
}

/* logits = 2 again + 4 same + back, each of which is `pooled` under another name: the gradient at a tap counts what reads that
 * name, whoever else is tapped. */
static void test_a_second_name_has_its_own_gradient(void) {
    static const nac_tap taps[] = {{.tensor = "again"}, {.tensor = "same"}, {.tensor = "pooled"}};
    static const float share[] = {2, 4, 7};
    golden onnx = golden_read("onnx/second_names.onnx");
    for (int first = 0; first < 3; ++first)
        for (int count = 1; first + count <= 3; ++count) {
            nac_model *model;
            nac_session *session;
            const nac_session_options options = {.batch = 2, .backend = backend, .taps = &taps[first], .tap_count = (size_t)count};
            ENSURE_OK(open_network(&onnx, &options, &model, &session), &error);
            fill_input(session);
            ENSURE_OK(nac_session_forward(session, &error), &error);
            ENSURE_OK(nac_session_backward(session, &error), &error);
            for (int tap = 0; tap < count; ++tap)
                for (int n = 0; n < 2; ++n) {
                    float probabilities[3];
                    (void)nac_baselines_compute(nac_session_logits(session) + 3 * n, 3, probabilities);
                    /* float32 through a handful of sums */
                    for (int k = 0; k < 3; ++k)
                        ENSURE_NEAR(nac_session_tap_g(session, tap)[3 * n + k], share[first + tap] * (probabilities[k] - 1.0f / 3), 1e-6);
                }
            close_network(model, session);
        }
    const nac_tap turned = {.tensor = "turned"}, shape = {.tensor = "shape"};
    ensure_refused(&onnx, (nac_session_options){.batch = 2, .taps = &turned, .tap_count = 1}, NAC_INVALID_ARGUMENT, "3 rows for a batch of 2");
    ensure_refused(&onnx, (nac_session_options){.batch = 2, .taps = &shape, .tap_count = 1}, NAC_INVALID_ARGUMENT, "does not depend on the image");
    golden_close(&onnx);
}

static void test_a_name_of_several_branches_names_no_tap(void) {
    golden onnx = golden_read("onnx/branches_reuse.onnx");
    nac_model *model;
    nac_session *session;
    const nac_tap inner = {"t", NAC_POOL_SUM}, outer = {"b", NAC_POOL_SUM};
    ensure_refused(&onnx, (nac_session_options){.batch = 1, .taps = &inner, .tap_count = 1}, NAC_INVALID_ARGUMENT,
                   "there are several tensors 't', in branches or in the rounds of a loop");
    ENSURE_OK(open_network(&onnx, &(nac_session_options){.batch = 1, .taps = &outer, .tap_count = 1, .backend = backend}, &model, &session), &error);
    close_network(model, session);
    golden_close(&onnx);
}

static void test_nan_is_named(void) {
    golden onnx = golden_read("networks/resnet.onnx");
    nac_model *model;
    nac_session *session;
    ENSURE_OK(open_network(&onnx, &(nac_session_options){.batch = 1, .backend = backend}, &model, &session), &error);
    fill_input(session);
    int dims[4];
    nac_session_input(session, dims)[5] = INFINITY;
    ENSURE(nac_session_forward(session, &error) == NAC_NOT_FINITE);
    ENSURE(strstr(error.message, "'"));
    close_network(model, session);
    golden_close(&onnx);
}

static void test_maps_sum_to_z(void) {
    golden onnx = golden_read("networks/densenet.onnx");
    nac_model *model;
    nac_session *session;
    ENSURE_OK(open_network(&onnx, &(nac_session_options){.batch = 2, .backend = backend, .keep_maps = true}, &model, &session), &error);
    fill_input(session);
    ENSURE_OK(nac_session_forward(session, &error), &error);
    ENSURE_OK(nac_session_backward(session, &error), &error);
    for (int tap = 0; tap < nac_session_tap_count(session); ++tap) {
        int d[4];
        const float *map = nac_session_tap_map(session, tap, d), *z = nac_session_tap_z(session, tap);
        ENSURE(d[0] == 2 && d[3] == nac_session_tap_neurons(session, tap));
        for (int n = 0; n < d[0]; ++n)
            for (int c = 0; c < d[3]; ++c) {
                double sum = 0, magnitude = 1e-6;
                for (int p = 0; p < d[1] * d[2]; ++p) {
                    sum += map[((size_t)n * (size_t)(d[1] * d[2]) + (size_t)p) * (size_t)d[3] + (size_t)c];
                    magnitude += fabs(map[((size_t)n * (size_t)(d[1] * d[2]) + (size_t)p) * (size_t)d[3] + (size_t)c]);
                }
                ENSURE_NEAR(z[n * d[3] + c], sum, 1e-5 * magnitude); /* the order of a float32 sum */
            }
    }
    close_network(model, session);
    golden_close(&onnx);
}

typedef struct early_end {
    nac_model *model;
    uint8_t *file;
} early_end;

static void end_early(void *context) {
    early_end *end = context;
    nac_model_close(end->model);
    memset(end->file, 0xff, 64); /* a read of what is freed may go unseen, one of this would not */
    free(end->file);
    *end = (early_end){0};
}

static void test_the_model_may_go_before_weights_are_packed(void) {
    golden onnx = golden_read("networks/resnet.onnx");
    nac_model *model;
    nac_session *usual, *early = NULL;
    early_end end = {.file = malloc(onnx.size)};
    ENSURE(end.file != NULL);
    memcpy(end.file, onnx.bytes, onnx.size);
    ENSURE_OK(open_network(&onnx, &(nac_session_options){.batch = 1, .backend = backend}, &model, &usual), &error);
    ENSURE_OK(nac_model_open(end.file, onnx.size, &end.model, &error), &error);
    const nac_session_options options = {.batch = 1, .backend = backend, .model_read = end_early, .context = &end};
    ENSURE_OK(nac_session_create(end.model, &options, &early, &error), &error);
    ENSURE(end.model == NULL);
    nac_session *const both[2] = {usual, early};
    for (int i = 0; i < 2; ++i) {
        fill_input(both[i]);
        ENSURE_OK(nac_session_forward(both[i], &error), &error);
        ENSURE_OK(nac_session_backward(both[i], &error), &error);
    }
    ENSURE(memcmp(nac_session_logits(usual), nac_session_logits(early), (size_t)nac_session_classes(usual) * sizeof(float)) == 0);
    for (int tap = 0; tap < nac_session_tap_count(usual); ++tap) {
        ENSURE(strcmp(nac_session_tap_name(usual, tap), nac_session_tap_name(early, tap)) == 0);
        ENSURE(memcmp(nac_session_tap_g(usual, tap), nac_session_tap_g(early, tap), (size_t)nac_session_tap_neurons(usual, tap) * sizeof(float)) == 0);
    }
    nac_session_destroy(early);
    close_network(model, usual);
    golden_close(&onnx);
}

int main(void) {
    RUN(test_a_run_allocates_nothing);
    RUN(test_out_of_memory_at_every_allocation);
    RUN(test_errors_name_their_cause);
    RUN(test_automatic_taps_of_a_resnet);
    RUN(test_a_pooled_tap_needs_no_sweep);
    RUN(test_the_last_products_are_of_sums);
    RUN(test_a_second_name_has_its_own_gradient);
    RUN(test_a_name_of_several_branches_names_no_tap);
    RUN(test_nan_is_named);
    RUN(test_maps_sum_to_z);
    RUN(test_the_model_may_go_before_weights_are_packed);
    return TEST_RESULT();
}
