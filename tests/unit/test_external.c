/* Models whose weights lie in other files: the same numbers as with the weights inside, and nothing read that is not there. */
#include "golden.h"
#include "onnx/model.h"

static nac_error error;

/* external.onnx and the two files that it names, in the order of their names. */
typedef struct parts {
    golden model, files[2];
} parts;

static const char *const names[] = {"bias.bin", "external.onnx.data"};

static parts read_parts(void) {
    return (parts){golden_read("onnx/external.onnx"), {golden_read("onnx/bias.bin"), golden_read("onnx/external.onnx.data")}};
}

static void free_parts(parts *p) {
    golden_close(&p->model);
    for (int i = 0; i < 2; ++i) golden_close(&p->files[i]);
}

static nac_model *open_parts(const parts *p) {
    nac_model *model = NULL;
    ENSURE_OK(nac_model_open(p->model.bytes, p->model.size, &model, &error), &error);
    return model;
}

static nac_status attach(nac_model *model, const parts *p, int file) {
    return nac_model_attach(model, names[file], p->files[file].bytes, p->files[file].size, &error);
}

static nac_status create(const nac_model *model, nac_session **session) {
    const nac_session_options options = {.batch = 1, .backend = NAC_BACKEND_REFERENCE};
    *session = NULL;
    return nac_session_create(model, &options, session, &error);
}

static void test_files(void) {
    parts p = read_parts();
    nac_model *model = open_parts(&p);
    for (size_t i = 0; i < 2; ++i) ENSURE(strcmp(nac_model_file(model, i), names[i]) == 0);
    ENSURE(!nac_model_file(model, 2));
    ENSURE(strstr(nac_model_info(model), "\"parameters\":108,\"files\":[{\"name\":\"bias.bin\",\"bytes\":16},{\"name\":\"external.onnx.data\",\"bytes\":448}]}"));
    ENSURE_OK(nac_model_check(model, &error), &error); /* needs no weights */
    nac_model_close(model);
    golden inside = golden_read("onnx/external_inside.onnx");
    ENSURE_OK(nac_model_open(inside.bytes, inside.size, &model, &error), &error);
    ENSURE(!nac_model_file(model, 0));
    ENSURE(nac_model_attach(model, "bias.bin", "", 0, &error) == NAC_INVALID_ARGUMENT);
    nac_model_close(model);
    golden_close(&inside);
    free_parts(&p);
}

/* Forward and backward, bit for bit. */
static void test_same_numbers(void) {
    parts p = read_parts();
    golden inside = golden_read("onnx/external_inside.onnx");
    nac_model *models[2] = {open_parts(&p), NULL};
    ENSURE_OK(nac_model_open(inside.bytes, inside.size, &models[1], &error), &error);
    for (int i = 1; i >= 0; --i) ENSURE_OK(attach(models[0], &p, i), &error);
    nac_session *sessions[2];
    for (int s = 0; s < 2; ++s) {
        /* As fast a way, with no copy in between, for either. */
        ENSURE(nac_onnx_tensor_is_filters(models[s]->initializers[nac_model_find_tensor(models[s], "w")]));
        ENSURE_OK(create(models[s], &sessions[s]), &error);
        /* Nothing of the files is needed any more. */
        nac_model_close(models[s]);
        int dims[4];
        float *input = nac_session_input(sessions[s], dims);
        for (int i = 0; i < dims[1] * dims[2] * dims[3]; ++i) input[i] = (float)(i % 11) - 5;
    }
    free_parts(&p);
    golden_close(&inside);
    for (int s = 0; s < 2; ++s) {
        ENSURE_OK(nac_session_forward(sessions[s], &error), &error);
        ENSURE_OK(nac_session_backward(sessions[s], &error), &error);
    }
    ENSURE(nac_session_tap_count(sessions[0]) > 0 && nac_session_tap_count(sessions[0]) == nac_session_tap_count(sessions[1]));
    ENSURE(memcmp(nac_session_logits(sessions[0]), nac_session_logits(sessions[1]), 4 * sizeof(float)) == 0);
    ENSURE(nac_session_logits(sessions[0])[0] != nac_session_logits(sessions[0])[3]); /* weights were there */
    for (int tap = 0; tap < nac_session_tap_count(sessions[0]); ++tap) {
        const size_t bytes = (size_t)nac_session_tap_neurons(sessions[0], tap) * sizeof(float);
        ENSURE(memcmp(nac_session_tap_z(sessions[0], tap), nac_session_tap_z(sessions[1], tap), bytes) == 0);
        ENSURE(memcmp(nac_session_tap_g(sessions[0], tap), nac_session_tap_g(sessions[1], tap), bytes) == 0);
    }
    for (int s = 0; s < 2; ++s) nac_session_destroy(sessions[s]);
}

static void test_missing(void) {
    parts p = read_parts();
    nac_model *model = open_parts(&p);
    nac_session *session;
    float numbers[108];
    ENSURE(create(model, &session) == NAC_NOT_FOUND && !session);
    ENSURE(strcmp(error.message, "weights lie in 'bias.bin' and 1 more, which are missing: they are needed beside the model") == 0);
    ENSURE(nac_onnx_tensor_floats(model->initializers[nac_model_find_tensor(model, "w")], numbers, &error) == NAC_NOT_FOUND);
    ENSURE_OK(attach(model, &p, 0), &error);
    ENSURE(create(model, &session) == NAC_NOT_FOUND && !session);
    ENSURE(strcmp(error.message, "weights lie in 'external.onnx.data', which is missing: it is needed beside the model") == 0);
    ENSURE(attach(model, &p, 0) == NAC_INVALID_ARGUMENT && strstr(error.message, "'bias.bin' has been attached before"));
    ENSURE(nac_model_attach(model, "other.data", "", 0, &error) == NAC_INVALID_ARGUMENT && strstr(error.message, "needs no file 'other.data'"));
    ENSURE_OK(attach(model, &p, 1), &error);
    ENSURE_OK(create(model, &session), &error);
    nac_session_destroy(session);
    nac_model_close(model);
    free_parts(&p);
}

/* Every length, in a block of exactly that size: where the tensor ends decides, and a sanitizer sees a read behind it. */
static void test_cut_off(void) {
    parts p = read_parts();
    for (size_t size = 0; size <= p.files[1].size; ++size) {
        uint8_t *bytes = malloc(size ? size : 1);
        memcpy(bytes, p.files[1].bytes, size);
        nac_model *model = open_parts(&p);
        ENSURE_OK(attach(model, &p, 0), &error);
        const nac_status status = nac_model_attach(model, names[1], bytes, size, &error);
        ENSURE(status == (size < 448 ? NAC_MALFORMED : NAC_OK));
        nac_session *session;
        ENSURE(create(model, &session) == (size < 448 ? NAC_NOT_FOUND : NAC_OK));
        nac_session_destroy(session);
        nac_model_close(model);
        free(bytes);
    }
    nac_model *model = open_parts(&p);
    ENSURE(nac_model_attach(model, names[1], p.files[1].bytes, 447, &error) == NAC_MALFORMED);
    ENSURE(strcmp(error.message, "'external.onnx.data' has 447 bytes, but tensor 'w' lies there from 16 to 448: it is cut off, or of another model") == 0);
    /* Checked by its size alone. */
    ENSURE(nac_model_attach(model, names[1], p.files[1].bytes, NAC_MAX_MODEL_BYTES, &error) == NAC_LIMIT_EXCEEDED);
    nac_model_close(model);
    free_parts(&p);
}

/* The tensor that ends last decides, wherever it stands in the model. */
static void test_shared(void) {
    golden file = golden_read("onnx/external_shared.onnx");
    static const uint8_t bytes[464];
    nac_model *model = NULL;
    ENSURE_OK(nac_model_open(file.bytes, file.size, &model, &error), &error);
    ENSURE(strcmp(nac_model_file(model, 0), "w.bin") == 0 && !nac_model_file(model, 1));
    ENSURE(nac_model_attach(model, "w.bin", bytes, 463, &error) == NAC_MALFORMED && strstr(error.message, "tensor 'v' lies there from 432 to 464"));
    ENSURE_OK(nac_model_attach(model, "w.bin", bytes, 464, &error), &error);
    nac_model_close(model);
    golden_close(&file);
}

/* In the place of 'bias.bin'. */
static void test_names(void) {
    static const struct {
        const char *name;
        bool fine;
    } cases[] = {
        {"a/bb.bin", true}, {"..a.data", true}, {"a..b/c.d", true}, {"%2e%2e/a", true}, {"\xc3\xa9\xc3\xa9.bin", true}, {"a b#c?.d", true},
        {"/bin/abc", false}, {"../a.bin", false}, {"a/../b.c", false}, {"abcde/..", false}, {"./ab.bin", false}, {"ab/./c.d", false},
        {"ab//cd.e", false}, {"abcdefg/", false}, {"..\\a.bin", false}, {"C:/a.bin", false}, {"http://a", false}, {"a.bin:xy", false},
        {"abc\n.bin", false}, {"abc\x7f.bin", false}, {"\\\\host\\a", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        parts p = read_parts();
        uint8_t *at = p.model.bytes;
        while (memcmp(at, names[0], 8) != 0) ++at;
        ENSURE(strlen(cases[i].name) == 8);
        memcpy(at, cases[i].name, 8);
        nac_model *model = NULL;
        const nac_status status = nac_model_open(p.model.bytes, p.model.size, &model, &error);
        if (status != (cases[i].fine ? NAC_OK : NAC_MALFORMED)) printf("%s: %s\n", cases[i].name, nac_status_name(status));
        ENSURE(status == (cases[i].fine ? NAC_OK : NAC_MALFORMED));
        if (cases[i].fine) ENSURE(strcmp(nac_model_file(model, 0), cases[i].name) == 0 || strcmp(nac_model_file(model, 1), cases[i].name) == 0);
        else ENSURE(strstr(error.message, "which is no name of a file beside the model"));
        nac_model_close(model);
        free_parts(&p);
    }
}

/* A graph of initializers, each in a file of its own. */
static void test_too_many_files(void) {
    static const char scalar[] = "\x2a\x1d\x42\x05wNNNN\x70\x01\x10\x01\x6a\x10\x0a\x08location\x12\x04NNNN";
    enum { COUNT = NAC_MAX_MODEL_FILES + 1, TENSOR = sizeof scalar - 1 };
    static uint8_t bytes[64 + COUNT * TENSOR];
    for (int count = COUNT - 1; count <= COUNT; ++count) {
        uint8_t *at = bytes;
        memcpy(at, "\x42\x02\x10\x0d\x3a", 5); /* the opset; the graph */
        at += 5;
        uint32_t length = (uint32_t)count * TENSOR;
        for (; length > 127; length >>= 7) *at++ = (uint8_t)(length & 127) | 128;
        *at++ = (uint8_t)length;
        for (int i = 0; i < count; ++i, at += TENSOR) {
            char digits[9];
            snprintf(digits, sizeof digits, "%04x", (unsigned)i);
            memcpy(at, scalar, TENSOR);
            memcpy(at + 5, digits, 4);
            memcpy(at + TENSOR - 4, digits, 4);
        }
        nac_model *model = NULL;
        const nac_status status = nac_model_open(bytes, (size_t)(at - bytes), &model, &error);
        if (count == COUNT) ENSURE(status == NAC_LIMIT_EXCEEDED && strstr(error.message, "lie in 4097 files; 4096 is the limit"));
        else ENSURE(status == NAC_OK && strcmp(nac_model_file(model, 4095), "0fff") == 0);
        nac_model_close(model);
    }
}

int main(void) {
    RUN(test_files);
    RUN(test_same_numbers);
    RUN(test_missing);
    RUN(test_cut_off);
    RUN(test_shared);
    RUN(test_names);
    RUN(test_too_many_files);
    return TEST_RESULT();
}
