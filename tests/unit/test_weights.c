/* What a session does to weights before they are packed (graph/tiny.c): the denormal ones become 0, and those that are no numbers are refused. */
#include <math.h>
#include <string.h>

#include "graph/passes.h"
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

int main(void) {
    RUN(test_extremes);
    RUN(test_clean);
    return TEST_RESULT();
}
