/* What a session does to weights before they are packed (graph/tiny.c): the denormal ones become 0, and those that are no numbers are refused. */
#include <math.h>
#include <string.h>

#include "graph/passes.h"
#include "graph/quantised.h"
#include "test.h"

static nac_error error;

enum { MANY = 3 * NAC_STRETCH + 5 };

static void test_extremes(void) {
    static const struct {
        float number;
        bool finite, tiny;
    } cases[] = {
        {0, true, false}, {-0.0f, true, false}, {NAC_TINY, true, false}, {-NAC_TINY, true, false}, {0x1.fffffep127f, true, false},
        {0x1.fffffep-101f, true, true}, {-0x1p-149f, true, true}, {INFINITY, false, false}, {-INFINITY, false, false}, {NAN, false, false},
    };
    static float x[MANY];
    static const size_t places[] = {0, NAC_STRETCH - 1, NAC_STRETCH, MANY - 1};
    for (size_t i = 0; i < NAC_COUNT(cases); ++i)
        for (size_t p = 0; p < NAC_COUNT(places); ++p) {
            for (size_t k = 0; k < MANY; ++k) x[k] = k % 3 == 0 ? 0 : 1;
            x[places[p]] = cases[i].number;
            bool tiny;
            ENSURE(nac_all_finite(x, MANY, &tiny) == cases[i].finite && tiny == cases[i].tiny);
        }
    bool tiny;
    ENSURE(nac_all_finite(x, 0, &tiny) && !tiny);
}

/* image [1,2] times w [2,2], plus an addend that a sum may well have infinite. */
static nac_status clean(const float w[4], bool liftable, float cleaned[4]) {
    nac_graph graph = {.input = NAC_NONE, .logits = NAC_NONE};
    const nac_shape rows = nac_shape_make(2, (const int[]){1, 2}), square = nac_shape_make(2, (const int[]){2, 2});
    int image, weight, addend, product, sum;
    ENSURE_OK(nac_graph_add_value(&graph, "image", NAC_F32, &rows, NAC_ROW_MAJOR, &image, &error), &error);
    ENSURE_OK(nac_graph_add_constant(&graph, "w", NAC_F32, &square, NAC_ROW_MAJOR, &weight, &error), &error);
    ENSURE_OK(nac_graph_add_constant(&graph, "mask", NAC_F32, &rows, NAC_ROW_MAJOR, &addend, &error), &error);
    memcpy(graph.values[weight].data, w, 4 * sizeof *w);
    memcpy(graph.values[addend].data, (const float[]){-INFINITY, 0x1p-120f}, 2 * sizeof(float));
    ENSURE_OK(nac_graph_emit(&graph, nac_node_make(NAC_OP_MATMUL, "product"), (const int[]){image, weight}, 2, NULL, &rows, NAC_ROW_MAJOR, &product, &error), &error);
    nac_node add = nac_node_make(NAC_OP_BINARY, "sum");
    add.u.binary.kind = NAC_BINARY_ADD;
    ENSURE_OK(nac_graph_emit(&graph, add, (const int[]){product, addend}, 2, NULL, &rows, NAC_ROW_MAJOR, &sum, &error), &error);
    bool lifts[8];
    for (int i = 0; i < 8; ++i) lifts[i] = liftable;
    ENSURE(graph.value_count <= 8);
    const nac_status status = nac_graph_clean_weights(&graph, graph.node_count, lifts, &error);
    memcpy(cleaned, graph.values[weight].data, 4 * sizeof *cleaned);
    ENSURE(((const float *)graph.values[addend].data)[1] == 0x1p-120f);
    nac_graph_free(&graph);
    return status;
}

static void test_clean(void) {
    const float w[4] = {0x1p-101f, -0x1p-149f, NAC_TINY, -3}, cleaned[4] = {0, 0, NAC_TINY, -3};
    float got[4];
    ENSURE_OK(clean(w, true, got), &error);
    ENSURE(memcmp(got, cleaned, sizeof got) == 0);
    ENSURE_OK(clean(w, false, got), &error);
    ENSURE(memcmp(got, w, sizeof got) == 0);
    ENSURE(clean((const float[4]){1, 2, NAN, 4}, true, got) == NAC_NOT_FINITE);
    ENSURE(strcmp(error.message, "a weight of node 'product' is NaN or infinite") == 0);
    ENSURE(clean((const float[4]){1, 2, 3, -INFINITY}, true, got) == NAC_NOT_FINITE);
}

/* Bytes stay bytes, unless their scales make of them what floats would have to be cleaned of. */
static void test_clean_bytes(void) {
    static const struct {
        float scale;
        nac_status status;
        bool keeps, zero;
    } cases[] = {{0.01f, NAC_OK, true, false}, {NAC_TINY, NAC_OK, true, false}, {0x1p-103f, NAC_OK, false, true}, {0x1p125f, NAC_NOT_FINITE, false, false}};
    const nac_shape image = nac_shape_make(4, (const int[]){1, 1, 1, 2}), filters = nac_shape_make(4, (const int[]){1, 1, 1, 2});
    const nac_shape result = nac_shape_make(4, (const int[]){1, 1, 1, 1});
    for (size_t i = 0; i < NAC_COUNT(cases); ++i) {
        nac_graph graph = {.input = NAC_NONE, .logits = NAC_NONE};
        int x, w, y;
        ENSURE_OK(nac_graph_add_value(&graph, "x", NAC_F32, &image, NAC_ROW_MAJOR, &x, &error), &error);
        ENSURE_OK(nac_graph_add_unfilled(&graph, "w", NAC_Q8, &filters, NAC_ROW_MAJOR, &w, &error), &error);
        const nac_quantised bytes = nac_quantised_of(&graph.values[w]);
        bytes.scales[0] = cases[i].scale, bytes.zeros[0] = 1, bytes.q[0] = 2, bytes.q[1] = 127;
        nac_node node = nac_node_make(NAC_OP_CONV, "conv");
        node.u.conv.window = (nac_window){1, 1, 1, 1, 1, 1, 0, 0, 0, 0};
        node.u.conv.groups = 1;
        ENSURE_OK(nac_graph_emit(&graph, node, (const int[]){x, w}, 2, NULL, &result, NAC_ROW_MAJOR, &y, &error), &error);
        const bool lifts[3] = {true, true, true};
        ENSURE(nac_graph_clean_weights(&graph, graph.node_count, lifts, &error) == cases[i].status);
        ENSURE((graph.values[w].type == NAC_Q8) == cases[i].keeps);
        ENSURE_OK(nac_graph_dequantise(&graph, w, &error), &error);
        const float *floats = graph.values[w].data;
        if (cases[i].status == NAC_OK) ENSURE(floats[0] == (cases[i].zero ? 0 : cases[i].scale) && floats[1] == 126 * cases[i].scale);
        nac_graph_free(&graph);
    }
}

int main(void) {
    RUN(test_extremes);
    RUN(test_clean);
    RUN(test_clean_bytes);
    return TEST_RESULT();
}
