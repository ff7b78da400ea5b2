/* fusion.c - what it gains to find functions again that exporters write as many operators (graph/fuse_patterns.c).
 *
 *   build/wasm-relaxed/bench/fusion.js MODEL.onnx [rounds]
 *
 * A line for the network as it is run, one without each kind of pattern, and one without any: milliseconds forward and backward, batch 1, the
 * taps of "auto", the best of the interleaved rounds; nodes; MiB of activations. A kind is left out as a tap would do it: a value inside of the pattern
 * is said to be read. Exporters write the patterns up to opset 16 (layer norms) and 19 (GELU). */
#define _POSIX_C_SOURCE 199309L /* clock_gettime: timespec_get has milliseconds in Node */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "backend/backend.h"
#include "graph/passes.h"
#include "ops/ops.h"

static nac_error error;

#define NEED(call)                                 \
    do {                                           \
        if ((call) != NAC_OK) {                    \
            fprintf(stderr, "%s\n", error.message); \
            exit(1);                               \
        }                                          \
    } while (0)

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) {
        fprintf(stderr, "%s cannot be read\n", path);
        exit(1);
    }
    *size = (size_t)ftell(file);
    rewind(file);
    void *bytes = malloc(*size);
    if (!bytes || fread(bytes, 1, *size, file) != *size) exit(1);
    fclose(file);
    return bytes;
}

/* ---- What is left out -------------------------------------------------------------------------- */

enum { NORMS = 1, GATES = 2, TURNED = 4 };

/* Whether a node's output lies inside of a pattern of these kinds. */
static bool is_inside(const nac_node *node, int kinds) {
    if (node->op == NAC_OP_TRANSPOSE) return kinds & TURNED;
    if (node->op != NAC_OP_UNARY) return false;
    const nac_unary kind = node->u.unary.kind;
    if (kind == NAC_UNARY_SQRT || kind == NAC_UNARY_RECIPROCAL) return kinds & NORMS;
    return kinds & GATES && (kind == NAC_UNARY_SIGMOID || kind == NAC_UNARY_HARD_SIGMOID || kind == NAC_UNARY_ERF || kind == NAC_UNARY_TANH);
}

/* ---- One network ------------------------------------------------------------------------------- */

typedef struct network {
    nac_graph graph;
    nac_graph_tap taps[NAC_AUTO_TAPS];
    int tap_count;
    void *arena;
    size_t arena_bytes;
    nac_xnnpack *backend;
} network;

/* Where it stays: the backend points into its graph. */
static void build(const void *bytes, size_t size, int without, network *n) {
    *n = (network){.graph = {.input = NAC_NONE}};
    nac_graph *graph = &n->graph;
    nac_model *model;
    NEED(nac_model_open(bytes, size, &model, &error));
    int *bindings = malloc(((size_t)model->tensor_count + 1) * sizeof *bindings);
    NEED(nac_lower_model(model, 1, 0, 0, NULL, graph, bindings, &error));
    nac_model_close(model);
    NEED(nac_graph_auto_taps(graph, n->taps, &n->tap_count, &error));
    int *keep = malloc((size_t)(graph->node_count + 2 * NAC_AUTO_TAPS) * sizeof *keep), kept = 0;
    for (int t = 0; t < n->tap_count; ++t) keep[kept++] = n->taps[t].value;
    for (int i = 0; i < graph->node_count; ++i)
        if (is_inside(&graph->nodes[i], without)) keep[kept++] = graph->nodes[i].output;
    NEED(nac_graph_fuse(graph, keep, kept, &error));
    NEED(nac_graph_pool_taps(graph, n->taps, n->tap_count, &error));
    NEED(nac_graph_append_gradients(graph, n->taps, n->tap_count, &error));
    kept = 0;
    for (int t = 0; t < n->tap_count; ++t) keep[kept++] = n->taps[t].z, keep[kept++] = n->taps[t].g;
    NEED(nac_graph_sweep(graph, keep, kept, &error));
    NEED(nac_plan_make(graph, keep, kept, &n->arena, &n->arena_bytes, &error));
    NEED(nac_xnnpack_create(graph, &n->backend, &error));
    free(keep);
    free(bindings);
}

/* Milliseconds of the forward and of the backward pass, where they are less than the ones so far. */
static void run(const network *n, double best[2]) {
    const nac_graph *graph = &n->graph;
    float *input = graph->values[graph->input].data;
    for (size_t i = 0; i < nac_elements(&graph->values[graph->input].shape); ++i) input[i] = (float)((i * 2654435761u >> 8) % 2048) / 1024 - 1;
    int node = 0;
    for (int backward = 0; backward < 2; ++backward) {
        const double start = seconds();
        for (; node < graph->node_count && (backward || graph->nodes[node].op != NAC_OP_LOGITS_GRAD); ++node)
            NEED(nac_xnnpack_run(n->backend, node, &error));
        best[backward] = fmin(best[backward], 1e3 * (seconds() - start));
    }
}

static void destroy(network *n) {
    nac_xnnpack_destroy(n->backend);
    nac_graph_free(&n->graph);
    nac_free(n->arena);
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        int without;
    } lines[] = {{"as it is run", 0}, {"without layer norms", NORMS}, {"without x * f(x)", GATES}, {"without turned products", TURNED}, {"without any", NORMS | GATES | TURNED}};
    if (argc < 2) {
        fprintf(stderr, "usage: fusion MODEL.onnx [rounds]\n");
        return 2;
    }
    const int rounds = argc > 2 ? atoi(argv[2]) : 5;
    size_t size;
    void *bytes = read_file(argv[1], &size);
    network networks[NAC_COUNT(lines)];
    double best[NAC_COUNT(lines)][2];
    for (size_t i = 0; i < NAC_COUNT(lines); ++i) {
        build(bytes, size, lines[i].without, &networks[i]);
        best[i][0] = best[i][1] = INFINITY;
    }
    free(bytes);
    for (int r = 0; r < rounds; ++r)
        for (size_t i = 0; i < NAC_COUNT(lines); ++i) run(&networks[i], best[i]);
    for (size_t i = 0; i < NAC_COUNT(lines); ++i) {
        printf("%-26s %8.1f + %6.1f ms  %5d nodes  %6.1f MiB\n", lines[i].name, best[i][0], best[i][1], networks[i].graph.node_count,
               (double)networks[i].arena_bytes / 0x1p20);
        destroy(&networks[i]);
    }
    return 0;
}
