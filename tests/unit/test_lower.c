/* From an ONNX file to the graph (tests/oracle/onnx_goldens.py): the image's size, the logits, what costs nothing. The operators'
 * numbers are test_ops_onnx.c's. */
#include "golden.h"
#include "graph/graph.h"
#include "onnx/model.h"
#include "ops/ops.h"

static nac_error error;

/* A lowered file; the bytes of its weights live as long. */
static golden file;
static nac_model *model;
static nac_graph graph;
static int *bindings;

static void close_file(void) {
    nac_graph_free(&graph);
    nac_model_close(model);
    golden_close(&file);
    free(bindings);
    model = NULL;
    bindings = NULL;
}

static nac_status lower(const char *name, int batch, int height, int width) {
    char path[256];
    close_file();
    snprintf(path, sizeof path, "onnx/%s.onnx", name);
    file = golden_read(path);
    error = (nac_error){0};
    ENSURE_OK(nac_model_open(file.bytes, file.size, &model, &error), &error);
    bindings = malloc(((size_t)model->tensor_count + 1) * sizeof *bindings);
    return nac_lower_model(model, batch, height, width, NULL, &graph, bindings, &error);
}

static const nac_value *value_of(const char *tensor) {
    const int id = nac_model_find_tensor(model, tensor);
    ENSURE(id != NAC_ONNX_ABSENT);
    return bindings[id] == NAC_NONE ? NULL : &graph.values[bindings[id]];
}

static int count_ops(nac_op op) {
    int count = 0;
    for (int n = 0; n < graph.node_count; ++n) count += graph.nodes[n].op == op;
    return count;
}

static bool has_shape(const nac_value *value, int rank, int a, int b, int c, int d) {
    const nac_shape shape = {.rank = rank, .dims = {a, b, c, d}};
    return value && nac_shape_equal(&value->shape, &shape);
}

/* ---- Sentences --------------------------------------------------------------------------------- */

static const struct {
    const char *file;
    int batch, height, width;
    nac_status status;
    const char *sentence; /* NULL: lowered */
} cases[] = {
    {"sound", 1, 0, 0, NAC_OK, NULL},
    {"sound", 3, 8, 8, NAC_OK, NULL},
    {"sound", 1, 9, 8, NAC_INVALID_ARGUMENT, "the model's height is fixed at 8; 9 was asked for"},
    {"sound", 1, 8, 9, NAC_INVALID_ARGUMENT, "the model's width is fixed at 8; 9 was asked for"},
    {"sound", 2000000000, 8, 8, NAC_LIMIT_EXCEEDED, "batch is 2000000000"},
    {"free_size", 1, 0, 0, NAC_INVALID_ARGUMENT, "leaves its input's height free"},
    {"free_size", 1, 16, 0, NAC_INVALID_ARGUMENT, "leaves its input's width free"},
    {"free_size", 2, 16, 12, NAC_OK, NULL},
    {"free_size", 1, 2, 2, NAC_UNSUPPORTED, "window"},
    {"all_free", 1, 8, 8, NAC_OK, NULL},
    {"fixed_batch", 2, 0, 0, NAC_OK, NULL},
    {"fixed_batch", 4, 0, 0, NAC_INVALID_ARGUMENT, "the model's batch is fixed at 2; 4 was asked for"},
    {"unknown_operators", 1, 0, 0, NAC_UNSUPPORTED, "node 'strange': operator Foo is not supported; nor are Bar"},
    {"unknown_elsewhere", 1, 0, 0, NAC_OK, NULL},
    {"loop", 1, 0, 0, NAC_OK, NULL},
    {"loop_needed", 1, 0, 0, NAC_MALFORMED, "node 'again' (Loop): a body of 1 inputs and 1 results does not fit 3 inputs and 1 outputs"},
    {"loop_endless", 1, 0, 0, NAC_LIMIT_EXCEEDED, "node 'again' (Loop): 4611686018427387904 rounds are more than 131072 nodes"},
    {"loop_strange", 1, 0, 0, NAC_UNSUPPORTED, "node 'strange': operator Foo is not supported"},
    {"loop_rounds", 2, 0, 0, NAC_OK, NULL},
    {"loop_nested", 2, 0, 0, NAC_OK, NULL},
    {"scan", 1, 0, 0, NAC_OK, NULL},
    {"recurrent", 1, 0, 0, NAC_OK, NULL},
    {"branches", 2, 0, 0, NAC_OK, NULL},
    {"branch_by_initializer", 1, 0, 0, NAC_OK, NULL},
    {"branches_reuse", 1, 0, 0, NAC_OK, NULL},
    {"branch_of_the_image", 1, 0, 0, NAC_UNSUPPORTED, "node 'choice' (If): input 0 is computed from the image; it must be a constant"},
    {"two_images", 1, 0, 0, NAC_UNSUPPORTED, "two inputs, 'x' and 'y'"},
    {"unused_input", 1, 0, 0, NAC_OK, NULL},
    {"no_image", 1, 0, 0, NAC_UNSUPPORTED, "depends on no input"},
    {"rank_3", 1, 0, 0, NAC_UNSUPPORTED, "input 'x' has rank 3"},
    {"no_shape", 1, 8, 8, NAC_UNSUPPORTED, "does not say the shape of its input 'x'"},
    {"large_image", 1, 0, 0, NAC_LIMIT_EXCEEDED, "height is 40000; at most 32768"},
    {"gray", 1, 0, 0, NAC_OK, NULL},
    {"softmax_wrong_axis", 1, 0, 0, NAC_UNSUPPORTED, "node 'odd' (Softmax): the final softmax runs over axis 3, but the classes are axis 1"},
    {"chosen_of_batch", 1, 0, 0, NAC_UNSUPPORTED, "node 'odd' (ArgMax): the final choice runs over axis 0, but the classes are axis 1"},
    {"image_as_output", 1, 0, 0, NAC_UNSUPPORTED, "output 'features' has shape [1, 4, 6, 6]; logits [1, classes] are needed"},
    {"pooled_as_output", 2, 0, 0, NAC_OK, NULL},
    {"one_class", 1, 0, 0, NAC_UNSUPPORTED, "1 class"},
    {"no_output", 1, 0, 0, NAC_UNSUPPORTED, "no output"},
    {"side_output", 1, 0, 0, NAC_OK, NULL},
    {"view", 3, 0, 0, NAC_OK, NULL},
    {"fixed_reshape", 1, 0, 0, NAC_OK, NULL},
    {"fixed_reshape", 2, 0, 0, NAC_MALFORMED, "node 'view' (Reshape): shape [2, 4, 1, 1] has not the 4 elements"},
    {"text_tensor", 1, 0, 0, NAC_UNSUPPORTED, "tensor 'w' has data type 8"},
    {"rank_7", 1, 0, 0, NAC_UNSUPPORTED, "rank 7; at most 6"},
    {"without_elements", 1, 0, 0, NAC_UNSUPPORTED, "input 1, tensor 'w', has no elements"},
};

static void test_cases(void) {
    size_t wrong = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        const nac_status status = lower(cases[i].file, cases[i].batch, cases[i].height, cases[i].width);
        bool right = status == cases[i].status;
        if (cases[i].sentence) right = right && strstr(error.message, cases[i].sentence);
        else right = right && has_shape(&graph.values[graph.logits], 2, cases[i].batch, 4, 0, 0);
        if (right) continue;
        printf("%s %d %dx%d: %s: %s\n", cases[i].file, cases[i].batch, cases[i].width, cases[i].height, nac_status_name(status), error.message);
        ++wrong;
    }
    ENSURE(wrong == 0);
}

/* ---- The image --------------------------------------------------------------------------------- */

static void test_memory_order(void) {
    ENSURE_OK(lower("sound", 2, 0, 0), &error);
    const nac_value *x = value_of("x"), *features = value_of("features");
    ENSURE(x == &graph.values[graph.input] && has_shape(x, 4, 2, 8, 8, 3) && x->layout == NAC_CHANNELS_LAST);
    ENSURE(has_shape(features, 4, 2, 6, 6, 4) && features->layout == NAC_CHANNELS_LAST && strcmp(features->name, "features") == 0);
    ENSURE(has_shape(value_of("pooled"), 4, 2, 1, 1, 4));
    ENSURE(count_ops(NAC_OP_TRANSPOSE) == 0); /* the weights were turned when they were read */
    const nac_value *w = value_of("w");
    ENSURE(has_shape(w, 4, 4, 3, 3, 3) && w->layout == NAC_CHANNELS_LAST && w == &graph.values[graph.nodes[0].inputs[1]]);
    ENSURE_OK(lower("gray", 1, 0, 0), &error);
    ENSURE(has_shape(value_of("x"), 4, 1, 8, 8, 1));
    ENSURE_OK(lower("all_free", 1, 8, 10), &error);
    ENSURE(has_shape(value_of("x"), 4, 1, 8, 10, 3));
}

/* A TensorFlow export: its transposes are the same bytes under another name. */
static void test_nhwc(void) {
    ENSURE_OK(lower("nhwc", 2, 0, 0), &error);
    const nac_value *x = value_of("x"), *nchw = value_of("nchw"), *nhwc = value_of("nhwc");
    ENSURE(has_shape(x, 4, 2, 8, 8, 3) && x->layout == NAC_ROW_MAJOR);
    ENSURE(has_shape(nchw, 4, 2, 8, 8, 3) && nchw->layout == NAC_CHANNELS_LAST);
    ENSURE(has_shape(nhwc, 4, 2, 6, 6, 4) && nhwc->layout == NAC_ROW_MAJOR);
    ENSURE(count_ops(NAC_OP_TRANSPOSE) == 0);
}

/* ---- The logits -------------------------------------------------------------------------------- */

static void test_final_softmax(void) {
    static const char *const files[][2] = {{"softmax", "logits"}, {"softmax_image", "logits"}, {"chosen", "p"}, {"chosen_of_logits", "top"}};
    for (size_t i = 0; i < NAC_COUNT(files); ++i) {
        ENSURE_OK(lower(files[i][0], 1, 0, 0), &error);
        ENSURE(count_ops(NAC_OP_SOFTMAX) == 0 && has_shape(&graph.values[graph.logits], 2, 1, 4, 0, 0));
        ENSURE(value_of(files[i][1]) == NULL); /* probabilities are not computed */
        ENSURE(!graph.logs);
    }
}

/* What the logits do not need is not lowered, however wrong it is. */
static void test_side_output(void) {
    ENSURE_OK(lower("side_output", 1, 0, 0), &error);
    ENSURE(value_of("side") == NULL && value_of("nonsense") == NULL);
}

/* Sizes computed from sizes leave nothing behind. */
static void test_shape_arithmetic(void) {
    ENSURE_OK(lower("view", 3, 0, 0), &error);
    ENSURE(graph.node_count == 2 + count_ops(NAC_OP_RESHAPE));
    const nac_value *to = value_of("to");
    ENSURE(to && to->constant && to->type == NAC_I64);
    ENSURE(((const int64_t *)to->data)[0] == 3 && ((const int64_t *)to->data)[1] == -1);
}

/* Of two branches one is lowered, whatever the other's names are. */
static void test_branches(void) {
    ENSURE_OK(lower("branches", 2, 0, 0), &error);
    ENSURE(value_of("squeezed") == value_of("pooled")); /* four channels: nothing was squeezed */
    const nac_value *logits = value_of("logits"), *half = value_of("half");
    ENSURE(has_shape(logits, 2, 2, 4, 0, 0) && value_of("u") == NULL);
    ENSURE(half && half->constant && *(const float *)half->data == 0.5f);
}

/* A branch's tensors are its own, whatever they are called elsewhere, and a name that several have names none of them. */
static void test_names_of_branches(void) {
    static const float factors[] = {0.5f, 0.25f, 8};
    int found = 0;
    ENSURE_OK(lower("branches_reuse", 1, 0, 0), &error);
    for (int n = 0; n < graph.node_count; ++n) {
        if (graph.nodes[n].op != NAC_OP_AFFINE) continue;
        ENSURE(found < 3 && *(const float *)graph.values[graph.nodes[n].inputs[1]].data == factors[found]);
        ++found;
    }
    ENSURE(found == 3 && value_of("a") && value_of("b") && strcmp(value_of("b")->name, "b") == 0);
}

/* Rounds: constants once, what is the same in all of them once, no names for what there are several of, and one for the result. */
static void test_rounds(void) {
    int scaled = 0, factors = 0;
    ENSURE_OK(lower("loop_rounds", 2, 0, 0), &error);
    for (int n = 0; n < graph.node_count; ++n) scaled += strcmp(graph.nodes[n].name, "scaled") == 0;
    for (int v = 0; v < graph.value_count; ++v) {
        const nac_value *value = &graph.values[v];
        factors += value->constant && value->shape.rank == 0 && value->type == NAC_F32 && value->data && *(const float *)value->data == 1;
        ENSURE(!value->name || (strcmp(value->name, "next") != 0 && strcmp(value->name, "scaled") != 0 && strcmp(value->name, "kept") != 0));
    }
    ENSURE(scaled == 1 && factors == 1);
    ENSURE(value_of("all") && strcmp(value_of("all")->name, "all") == 0 && has_shape(value_of("mean"), 4, 2, 4, 1, 1));
    /* nine doublings, of three loops of three rounds */
    ENSURE_OK(lower("loop_nested", 2, 0, 0), &error);
    int doubled = 0;
    for (int n = 0; n < graph.node_count; ++n) doubled += strcmp(graph.nodes[n].name, "doubled") == 0;
    ENSURE(doubled == 9);
}

int main(void) {
    RUN(test_cases);
    RUN(test_memory_order);
    RUN(test_nhwc);
    RUN(test_final_softmax);
    RUN(test_side_output);
    RUN(test_shape_arithmetic);
    RUN(test_branches);
    RUN(test_names_of_branches);
    RUN(test_rounds);
    close_file();
    return TEST_RESULT();
}
