/* ONNX files, sound and broken (tests/oracle/onnx_goldens.py): what the reader says of each, and that no truncated or
 * damaged file makes it do worse than refuse. */
#include "golden.h"
#include "graph/graph.h"
#include "onnx/model.h"
#include "ops/ops.h"

static nac_error error;

static golden read_file(const char *name) {
    char path[256];
    snprintf(path, sizeof path, "onnx/%s.onnx", name);
    return golden_read(path);
}

static nac_model *open_file(const char *name) {
    golden file = read_file(name);
    nac_model *model = NULL;
    const nac_status status = nac_model_open(file.bytes, file.size, &model, &error);
    /* Only the numbers of weights are read from the bytes later. */
    golden_close(&file);
    ENSURE_OK(status, &error);
    return model;
}

/* ---- Sentences --------------------------------------------------------------------------------- */

static const struct {
    const char *file;
    nac_status status;
    const char *sentence;
} refusals[] = {
    {"text", NAC_MALFORMED, "not an ONNX file"},
    {"no_graph", NAC_MALFORMED, "holds no graph"},
    {"no_opset", NAC_MALFORMED, "does not say its opset"},
    {"two_graphs", NAC_MALFORMED, "two graphs"},
    {"opset_6", NAC_UNSUPPORTED, "opset 6; opsets 7 to 25"},
    {"opset_26", NAC_UNSUPPORTED, "opset 26; opsets 7 to 25"},
    {"cycle", NAC_MALFORMED, "tensor 'a' depends on itself"},
    {"self_reference", NAC_MALFORMED, "tensor 'logits' depends on itself (read by node 'ouroboros')"},
    {"produced_twice", NAC_MALFORMED, "tensor 'features' is produced twice (again by node 'again')"},
    {"produces_input", NAC_MALFORMED, "tensor 'x' is produced twice"},
    {"produces_initializer", NAC_MALFORMED, "tensor 'w' is produced twice"},
    {"missing_input", NAC_MALFORMED, "node 'conv' (Conv) reads tensor 'w', which nothing produces"},
    {"missing_output", NAC_MALFORMED, "nothing produces the model's output 'logits'"},
    {"two_initializers", NAC_MALFORMED, "tensor 'w' has two initializers"},
    {"two_inputs_of_a_name", NAC_MALFORMED, "two inputs named 'x'"},
    {"nameless_input", NAC_MALFORMED, "has no name"},
    {"nameless_operator", NAC_MALFORMED, "node 'blank' names no operator"},
    {"unknown_domain", NAC_UNSUPPORTED, "node 'fused': operator Conv of domain 'com.microsoft'"},
    {"branch_missing", NAC_MALFORMED, "node 'choice' (If) lacks its condition or a branch"},
    {"branch_condition", NAC_MALFORMED, "node 'choice' (If) lacks its condition or a branch"},
    {"branch_outputs", NAC_MALFORMED, "node 'choice' (If) has 1 outputs, but 2 by a branch"},
    {"branch_read_late", NAC_MALFORMED, "reads tensor 'late', which nothing produces"},
    {"branches_deep", NAC_LIMIT_EXCEEDED, "more than 4 deep"},
    {"loop_bodiless", NAC_MALFORMED, "node 'again' (Loop) lacks its body"},
    {"loop_of_text", NAC_MALFORMED, "node 'again' (Loop) lacks its body"},
    {"loop_reads_nothing", NAC_MALFORMED, "node 'lost' (Add) reads tensor 'nowhere', which nothing produces"},
    {"loop_read_inside", NAC_MALFORMED, "reads tensor 'next', which nothing produces"},
    {"loop_of_itself", NAC_MALFORMED, "tensor 'next' depends on itself (read by node 'again')"},
    {"loop_around_itself", NAC_MALFORMED, "depends on itself"},
    {"loop_gives_twice", NAC_MALFORMED, "tensor 'go' is given to node 'again' twice"},
    {"loop_makes_what_it_is_given", NAC_MALFORMED, "tensor 'h' is produced twice"},
    {"loop_nameless", NAC_MALFORMED, "is not UTF-8 text"},
    {"loops_deep", NAC_LIMIT_EXCEEDED, "more than 4 deep"},
    {"functions", NAC_UNSUPPORTED, "functions of its own"},
    {"sparse_initializer", NAC_UNSUPPORTED, "sparse initializer"},
    {"sparse_constant", NAC_UNSUPPORTED, "node 'thin' (Constant) has a sparse tensor"},
    {"external_nowhere", NAC_MALFORMED, "tensor 'w' lies in another file, but the model does not say in which"},
    {"external_up", NAC_MALFORMED, "tensor 'w' lies in 'a/../../w.bin', which is no name of a file beside the model"},
    {"external_length", NAC_MALFORMED, "tensor 'w' has 432 bytes by its dimensions but '431' in another file"},
    {"external_offset", NAC_MALFORMED, "tensor 'w' lies in another file at '1e3', which is no number"},
    {"external_far", NAC_LIMIT_EXCEEDED, "tensor 'w' lies in 'w.bin' at byte 2147483216 and has 432; a model and its files may have 2147483647"},
    {"external_overflow", NAC_LIMIT_EXCEEDED, "tensor 'w' lies in 'w.bin' at byte 18446744073709551632 and has 432"},
    {"raw_data_short", NAC_MALFORMED, "tensor 'w' has 431 bytes of data, which its elements of 4 bytes do not fill"},
    {"raw_data_long", NAC_MALFORMED, "108 elements by its dimensions but 109 by its data"},
    {"typed_data_short", NAC_MALFORMED, "tensor 'w' has 108 elements by its dimensions but 107 by its data"},
    {"typed_data_elsewhere", NAC_MALFORMED, "2 elements by its dimensions but 0 by its data"},
    {"negative_dimension", NAC_MALFORMED, "negative dimension"},
    {"huge_dimensions", NAC_LIMIT_EXCEEDED, "more elements than memory can address"},
    {"huge_dimension", NAC_MALFORMED, "tensor 'w' has 1073741824 elements by its dimensions but 0 by its data"},
    {"long_name", NAC_LIMIT_EXCEEDED, "1025 bytes long; 1024 is the limit"},
    {"not_utf8", NAC_MALFORMED, "not UTF-8"},
    {"nul_in_name", NAC_MALFORMED, "not UTF-8"},
    {"hollow_attribute", NAC_MALFORMED, "attribute 'value' says it is a tensor but holds none"},
    {"too_many_attributes", NAC_LIMIT_EXCEEDED, "more than 64 attributes"},
};

static void test_refusals(void) {
    size_t wrong = 0;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; ++i) {
        golden file = read_file(refusals[i].file);
        nac_model *model = NULL;
        error = (nac_error){0};
        const nac_status status = nac_model_open(file.bytes, file.size, &model, &error);
        if (status != refusals[i].status || error.status != status || model || !strstr(error.message, refusals[i].sentence)) {
            printf("%s: %s: %s\n", refusals[i].file, nac_status_name(status), error.message);
            ++wrong;
        }
        ENSURE(strlen(nac_status_text(status)) > 10 && strcmp(nac_status_name(status), "OK") != 0);
        nac_model_close(model);
        golden_close(&file);
    }
    ENSURE(wrong == 0);
    nac_model *model = NULL;
    ENSURE(nac_model_open("", 0, &model, &error) == NAC_MALFORMED && !model);
    nac_model_close(NULL);
}

/* ---- What is read ------------------------------------------------------------------------------ */

static void test_info(void) {
    nac_model *model = open_file("sound");
    const char *expected =
        "{\"name\":\"tiny\",\"opset\":13,\"producer\":\"tests 1\",\"inputs\":[{\"name\":\"x\",\"dims\":[null,3,8,8]}],"
        "\"outputs\":[{\"name\":\"logits\",\"dims\":[null,4]}],\"operators\":{\"Conv\":1,\"Flatten\":1,\"GlobalAveragePool\":1},"
        "\"labels\":[\"a\",\"b\",\"c\",\"\xc3\xa9\"],\"unsupported\":[],\"parameters\":108,\"files\":[]}";
    if (strcmp(nac_model_info(model), expected) != 0) printf("%s\n", nac_model_info(model));
    ENSURE(strcmp(nac_model_info(model), expected) == 0);
    nac_model_close(model);
    model = open_file("odd_labels");
    ENSURE(strstr(nac_model_info(model), "\"labels\":null"));
    nac_model_close(model);
}

/* What the logits do not need may be anything. */
static void test_operators(void) {
    nac_model *model = open_file("unknown_operators");
    ENSURE(nac_model_check(model, &error) == NAC_UNSUPPORTED);
    ENSURE(strcmp(error.message, "node 'strange': operator Foo is not supported; nor are Bar") == 0);
    ENSURE(strstr(nac_model_info(model), "\"unsupported\":[\"Bar\",\"Foo\"]"));
    nac_model_close(model);
    model = open_file("unknown_elsewhere");
    ENSURE_OK(nac_model_check(model, &error), &error);
    ENSURE(strstr(nac_model_info(model), "\"unsupported\":[\"Bar\",\"Foo\"]"));
    nac_model_close(model);
}

static void test_model(void) {
    nac_model *model = open_file("sound");
    ENSURE(model->opset == 13 && model->node_count == 3 && model->input_count == 1 && model->output_count == 1);
    ENSURE(model->tensor_count == 5);
    for (int t = 0; t < model->tensor_count; ++t) ENSURE(nac_model_find_tensor(model, model->tensor_names[t]) == t);
    ENSURE(nac_model_find_tensor(model, "") == NAC_ONNX_ABSENT && nac_model_find_tensor(model, "zzz") == NAC_ONNX_ABSENT);
    const nac_onnx_node *conv = &model->nodes[0];
    ENSURE(strcmp(conv->op_type, "Conv") == 0 && strcmp(conv->name, "conv") == 0);
    ENSURE(conv->inputs[0] == nac_model_find_tensor(model, "x") && conv->inputs[1] == nac_model_find_tensor(model, "w"));
    ENSURE(conv->attribute_count == 1 && conv->attributes[0].kind == NAC_ATTRIBUTE_INTS && conv->attributes[0].length == 2);
    ENSURE(conv->attributes[0].ints[0] == 3 && conv->attributes[0].ints[1] == 3);
    const nac_onnx_tensor *w = model->initializers[nac_model_find_tensor(model, "w")];
    ENSURE(w && w->rank == 4 && w->dims[0] == 4 && w->count == 108);
    nac_model_close(model);
}

static void test_order(void) {
    nac_model *model = open_file("unsorted");
    ENSURE(strcmp(model->nodes[0].op_type, "Conv") == 0);
    ENSURE(strcmp(model->nodes[1].op_type, "GlobalAveragePool") == 0 && strcmp(model->nodes[2].op_type, "Flatten") == 0);
    nac_model_close(model);
    model = open_file("initializer_as_input");
    ENSURE(model->input_count == 1);
    nac_model_close(model);
    model = open_file("domain");
    ENSURE(model->opset == 9 && strcmp(model->nodes[0].name, "features") == 0);
    nac_model_close(model);
}

/* ---- Numbers ----------------------------------------------------------------------------------- */

static const struct {
    const char *type;
    double numbers[4];
    int exact; /* how many of them float32 holds */
} kinds[] = {
    {"float", {0, 1, -2.5, 1e30f}, 4},
    {"double", {0, 1, -2.5, 1e30f}, 4},
    {"float16", {0, 1, -2.5, 0x1p-24}, 4}, /* 6e-8 is its smallest number, 2^-24 */
    {"bfloat16", {0, 1, -2.5, 0x1.92p99}, 4},
    {"int8", {0, 1, -2, 127}, 4},
    {"uint8", {0, 1, 200, 255}, 4},
    {"int16", {0, 1, -2, 32767}, 4},
    {"uint16", {0, 1, 2, 65535}, 4},
    {"int32", {0, 1, -2, 2147483647.0}, 3},
    {"uint32", {0, 1, 2, 4294967295.0}, 3},
    {"int64", {0, 1, -2, 0x1p62}, 4},
    {"uint64", {0, 1, 2, 0x1p62}, 4},
    {"bool", {0, 1, 1, 0}, 4},
};

static const nac_onnx_tensor *find(const nac_model *model, const char *type, const char *form) {
    char name[64];
    snprintf(name, sizeof name, "%s.%s", type, form);
    const int id = nac_model_find_tensor(model, name);
    ENSURE(id != NAC_ONNX_ABSENT && model->initializers[id]);
    return model->initializers[id];
}

static void test_numbers(void) {
    golden file = read_file("numbers");
    nac_model *model = NULL;
    ENSURE_OK(nac_model_open(file.bytes, file.size, &model, &error), &error);
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; ++k)
        for (int form = 0; form < 2; ++form) {
            const nac_onnx_tensor *tensor = find(model, kinds[k].type, form ? "typed" : "raw");
            float floats[4];
            int64_t ints[4];
            ENSURE(tensor->count == 4 && nac_onnx_tensor_is_number(tensor));
            ENSURE_OK(nac_onnx_tensor_floats(tensor, floats, &error), &error);
            for (int i = 0; i < kinds[k].exact; ++i) ENSURE((double)floats[i] == kinds[k].numbers[i]);
            if (nac_onnx_tensor_is_float(tensor)) {
                /* 1e30 fits no int64, but the status only says so when it is there. */
                const nac_status status = nac_onnx_tensor_ints(tensor, ints, &error);
                ENSURE(status == (kinds[k].numbers[3] > 1e18 ? NAC_UNSUPPORTED : NAC_OK));
                continue;
            }
            ENSURE_OK(nac_onnx_tensor_ints(tensor, ints, &error), &error);
            for (int i = 0; i < 4; ++i) ENSURE((double)ints[i] == kinds[k].numbers[i]);
        }
    float floats[2];
    int64_t ints[2];
    ENSURE_OK(nac_onnx_tensor_floats(find(model, "float", "unpacked"), floats, &error), &error);
    ENSURE(floats[0] == 1 && floats[1] == -2.5f);
    ENSURE_OK(nac_onnx_tensor_ints(find(model, "int64", "unpacked"), ints, &error), &error);
    ENSURE(ints[0] == 5 && ints[1] == 6);
    nac_model_close(model);
    golden_close(&file);
}

/* [2,3,2,2] as [2,2,2,3], of a type that is copied and of one that is decoded. */
static void test_filters(void) {
    float raw[25], numbers[24];
    uint16_t raw16[24];
    for (int i = 0; i < 24; ++i) raw16[i] = (uint16_t)(0x3c00 + i); /* 1 + i / 1024 */
    uint8_t *unaligned = (uint8_t *)raw + 1;
    for (int i = 0; i < 24; ++i) memcpy(unaligned + 4 * i, &(float){1 + (float)i / 1024}, 4);
    const nac_onnx_tensor tensors[] = {{.name = "w", .data_type = 1, .rank = 4, .dims = {2, 3, 2, 2}, .count = 24, .raw = unaligned},
                                       {.name = "w", .data_type = 10, .rank = 4, .dims = {2, 3, 2, 2}, .count = 24, .raw = (const uint8_t *)raw16}};
    for (int t = 0; t < 2; ++t) {
        ENSURE(nac_onnx_tensor_is_filters(&tensors[t]));
        ENSURE_OK(nac_onnx_tensor_filters(&tensors[t], numbers, &error), &error);
        for (int o = 0; o < 2; ++o)
            for (int i = 0; i < 3; ++i)
                for (int k = 0; k < 4; ++k) ENSURE(numbers[(o * 4 + k) * 3 + i] == 1 + (float)((o * 3 + i) * 4 + k) / 1024);
    }
    nac_onnx_tensor other = tensors[0];
    other.raw = NULL; /* in a typed field */
    ENSURE(!nac_onnx_tensor_is_filters(&other));
    other = tensors[0];
    other.rank = 3;
    ENSURE(!nac_onnx_tensor_is_filters(&other));
}

/* ---- Hostile bytes ----------------------------------------------------------------------------- */

static const char *const sound[] = {"sound", "unsorted", "initializer_as_input", "numbers", "nhwc", "softmax_image", "view", "side_output", "external"};

/* An exact copy, so that a sanitizer sees a read of one byte too many. Whatever opens is lowered, too. */
static void try_bytes(const uint8_t *bytes, size_t size) {
    uint8_t *copy = malloc(size ? size : 1);
    if (size) memcpy(copy, bytes, size);
    nac_model *model = NULL;
    error = (nac_error){0};
    if (nac_model_open(copy, size, &model, &error) == NAC_OK) {
        /* As long as its files are: what is not attached ends before any weight is read. */
        for (size_t i = 0; nac_model_file(model, i); ++i) (void)nac_model_attach(model, nac_model_file(model, i), copy, size, &error);
        nac_graph graph;
        memset(&graph, 0, sizeof graph);
        int *bindings = malloc(((size_t)model->tensor_count + 1) * sizeof *bindings);
        (void)nac_lower_model(model, 1, 0, 0, NULL, &graph, bindings, &error);
        free(bindings);
        nac_graph_free(&graph);
        nac_model_close(model);
    } else {
        ENSURE(error.status != NAC_OK && error.status != NAC_INTERNAL && error.message[0]);
    }
    free(copy);
}

static void test_truncated(void) {
    for (size_t i = 0; i < sizeof sound / sizeof *sound; ++i) {
        golden file = read_file(sound[i]);
        for (size_t size = 0; size <= file.size; ++size) try_bytes(file.bytes, size);
        golden_close(&file);
    }
}

static void test_damaged(void) {
    static const uint8_t masks[] = {0x01, 0x02, 0x08, 0x40, 0x80, 0xff};
    for (size_t i = 0; i < sizeof sound / sizeof *sound; ++i) {
        golden file = read_file(sound[i]);
        for (size_t at = 0; at < file.size; ++at)
            for (size_t m = 0; m < sizeof masks; ++m) {
                file.bytes[at] ^= masks[m];
                try_bytes(file.bytes, file.size);
                file.bytes[at] ^= masks[m];
            }
        golden_close(&file);
    }
}

/* The same small node, again and again, behind the head of a model. */
static void test_too_many_nodes(void) {
    enum { COUNT = NAC_MAX_NODES + 1, NODE = 6, BODY = COUNT * NODE };
    static uint8_t bytes[16 + BODY];
    uint8_t *at = bytes;
    *at++ = 0x3a; /* graph */
    uint32_t length = BODY;
    for (; length > 127; length >>= 7) *at++ = (uint8_t)(length & 127) | 128;
    *at++ = (uint8_t)length;
    for (int i = 0; i < COUNT; ++i, at += NODE) memcpy(at, "\x0a\x04\x22\x02Hi", NODE);
    nac_model *model = NULL;
    ENSURE(nac_model_open(bytes, (size_t)(at - bytes), &model, &error) == NAC_LIMIT_EXCEEDED);
    ENSURE(strstr(error.message, "more than 20000 nodes"));
}

int main(void) {
    RUN(test_refusals);
    RUN(test_info);
    RUN(test_operators);
    RUN(test_model);
    RUN(test_order);
    RUN(test_numbers);
    RUN(test_filters);
    RUN(test_truncated);
    RUN(test_damaged);
    RUN(test_too_many_nodes);
    return TEST_RESULT();
}
