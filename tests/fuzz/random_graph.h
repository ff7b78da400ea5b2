/* random_graph.h - bytes to a valid ONNX file: every byte is a choice (which operator, which input, which size), so that a fuzzer
 * that changes a byte changes the network, and every file that comes out must be taken. Bytes that have run out read as 0.
 *
 * Two kinds of network. In an `exact` one all numbers of the forward pass are whole and below 2^23, so every order of
 * summation gives the same bits, and two ways to compute it can be compared with ==. In the other kind there is every operator. */
#ifndef NAC_FUZZ_RANDOM_GRAPH_H
#define NAC_FUZZ_RANDOM_GRAPH_H

#include "nac.h"
#include "onnx_writer.h"

enum { MAX_TENSORS = 96, MAX_ELEMENTS = 8192, MAX_RANDOM_TAPS = 4, PARENTS = 3 };

typedef struct random_tensor {
    int rank, dims[4];
    int parents[PARENTS]; /* -1: none. A weight has none at all */
    bool activation;      /* depends on the image */
    double bound;         /* exact: no number is larger; otherwise unused */
} random_tensor;

typedef struct random_graph {
    onnx_writer onnx;
    random_tensor tensors[MAX_TENSORS];
    int tensor_count;
    int N, side_h, side_w; /* the image is [N, 3, side_h, side_w] */
    bool exact;
    nac_tap taps[MAX_RANDOM_TAPS], all[NAC_MAX_TAPS]; /* a few, and all that can be */
    int tap_count, all_count;
    char names[MAX_TENSORS][16];
    const uint8_t *choices;
    size_t choices_left;
    uint64_t numbers; /* state of the generator of weights */
} random_graph;

/* ---- Choices ------------------------------------------------------------------------------------- */

/* 0 .. count - 1 */
static inline int choose(random_graph *g, int count) {
    if (g->choices_left == 0 || count < 2) return 0;
    --g->choices_left;
    return *g->choices++ % count;
}

static inline bool flip(random_graph *g) { return choose(g, 2) == 1; }

static inline uint32_t random_bits(random_graph *g) {
    g->numbers = g->numbers * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(g->numbers >> 33);
}

/* A weight: whole and small, or real in [-1, 1) times scale. */
static inline float random_weight(random_graph *g, float scale) {
    if (g->exact) return (float)((int)(random_bits(g) % 5) - 2);
    return ((float)random_bits(g) / 1073741824.0f - 1.0f) * scale;
}

/* ---- Tensors ------------------------------------------------------------------------------------- */

static inline size_t count_of(int rank, const int *dims) {
    size_t count = 1;
    for (int i = 0; i < rank; ++i) count *= (size_t)dims[i];
    return count;
}

static inline int add_tensor(random_graph *g, int rank, const int *dims, const int *parents, double bound) {
    random_tensor *t = &g->tensors[g->tensor_count];
    *t = (random_tensor){.rank = rank, .parents = {-1, -1, -1}, .bound = bound};
    for (int i = 0; i < rank; ++i) t->dims[i] = dims[i];
    for (int i = 0; parents && i < PARENTS; ++i) {
        t->parents[i] = parents[i];
        t->activation = t->activation || (parents[i] >= 0 && g->tensors[parents[i]].activation);
    }
    snprintf(g->names[g->tensor_count], sizeof g->names[0], "t%d", g->tensor_count);
    return g->tensor_count++;
}

static inline int add_weight(random_graph *g, int rank, const int *dims, float scale, float offset) {
    static float numbers[MAX_ELEMENTS];
    const size_t count = count_of(rank, dims);
    for (size_t i = 0; i < count; ++i) numbers[i] = random_weight(g, scale) + offset;
    const int tensor = add_tensor(g, rank, dims, NULL, 2 + (double)offset);
    put_initializer(&g->onnx, tensor, 1, rank, dims, numbers, count * sizeof *numbers);
    return tensor;
}

static inline int add_ints(random_graph *g, int count, const int *ints) {
    int64_t numbers[16];
    for (int i = 0; i < count; ++i) numbers[i] = ints[i];
    const int tensor = add_tensor(g, 1, &count, NULL, 0);
    put_initializer(&g->onnx, tensor, 7, 1, &count, numbers, (size_t)count * sizeof *numbers);
    return tensor;
}

static inline int add_scalar(random_graph *g, float number) {
    const int tensor = add_tensor(g, 0, NULL, NULL, (double)(number < 0 ? -number : number));
    put_initializer(&g->onnx, tensor, 1, 0, NULL, &number, sizeof number);
    return tensor;
}

/* ---- Nodes --------------------------------------------------------------------------------------- */

/* Begins a node whose single output is a new tensor; inputs of -1 are left out, as in ONNX. end_node() ends it. */
static inline size_t begin_node(random_graph *g, const char *op, int count, const int *inputs) {
    const size_t message = put_begin(&g->onnx, 1);
    put_text(&g->onnx, 4, op);
    for (int i = 0; i < count; ++i)
        if (inputs[i] < 0) put_text(&g->onnx, 1, "");
        else put_name(&g->onnx, 1, inputs[i]);
    return message;
}

static inline int end_node(random_graph *g, size_t begun, int rank, const int *dims, const int *parents, double bound) {
    const int tensor = add_tensor(g, rank, dims, parents, bound);
    put_name(&g->onnx, 2, tensor);
    put_end(&g->onnx, begun);
    return tensor;
}

/* A node without attributes that reads x and perhaps others. */
static inline int add_node(random_graph *g, const char *op, int count, const int *inputs, int rank, const int *dims, double bound) {
    int parents[PARENTS] = {-1, -1, -1};
    for (int i = 0; i < count && i < PARENTS; ++i) parents[i] = inputs[i];
    return end_node(g, begin_node(g, op, count, inputs), rank, dims, parents, bound);
}

/* The same shape as x. */
static inline int add_like(random_graph *g, const char *op, int x, double bound) {
    const random_tensor t = g->tensors[x];
    return add_node(g, op, 1, &x, t.rank, t.dims, bound);
}

/* Weights as bytes, signed or not, with one scale and zero point or one for each output channel. */
static inline int add_quantised_weight(random_graph *g, int rank, const int *dims, float scale) {
    static uint8_t bytes[MAX_ELEMENTS], zeros[MAX_ELEMENTS];
    static float scales[MAX_ELEMENTS];
    const bool is_signed = flip(g), channels = flip(g);
    const int type = is_signed ? 3 : 2, count = channels ? dims[0] : 1;
    const size_t elements = count_of(rank, dims), each = elements / (size_t)count;
    for (int c = 0; c < count; ++c) {
        scales[c] = g->exact ? 1 : scale / 100 * (1.5f + random_weight(g, 1));
        zeros[c] = (uint8_t)((is_signed ? 0 : 128) + (int)(random_bits(g) % 17) - 8);
    }
    for (size_t i = 0; i < elements; ++i) bytes[i] = (uint8_t)(zeros[i / each] + (g->exact ? (int)(random_bits(g) % 5) - 2 : (int)(random_bits(g) % 201) - 100));
    int inputs[3];
    inputs[0] = add_tensor(g, rank, dims, NULL, 0);
    put_initializer(&g->onnx, inputs[0], type, rank, dims, bytes, elements);
    inputs[1] = add_tensor(g, channels, &count, NULL, 0);
    put_initializer(&g->onnx, inputs[1], 1, channels, &count, scales, (size_t)count * sizeof *scales);
    inputs[2] = add_tensor(g, channels, &count, NULL, 0);
    put_initializer(&g->onnx, inputs[2], type, channels, &count, zeros, (size_t)count);
    const size_t node = begin_node(g, "DequantizeLinear", 3, inputs);
    put_attribute_int(&g->onnx, "axis", 0);
    return end_node(g, node, rank, dims, NULL, 2);
}

#include "random_ops.h"

/* ---- Graphs -------------------------------------------------------------------------------------- */

/* An activation: mostly the newest, so that networks are deep rather than wide. */
static inline int choose_input(random_graph *g) {
    const int back = choose(g, 8);
    int x = g->tensor_count - 1;
    for (int seen = 0; x > 0; --x)
        if (g->tensors[x].activation && ++seen > (back < 6 ? 0 : 3 * (back - 5))) break;
    while (!g->tensors[x].activation) ++x;
    return x;
}

static inline int add_classifier(random_graph *g, int x) {
    if (g->tensors[x].rank != 2) {
        const random_tensor t = g->tensors[x];
        const int flat[2] = {g->N, (int)(count_of(t.rank, t.dims) / (size_t)g->N)};
        const int parents[PARENTS] = {x, -1, -1};
        const size_t node = begin_node(g, "Flatten", 1, &x);
        put_attribute_int(&g->onnx, "axis", 1);
        x = end_node(g, node, 2, flat, parents, t.bound);
    }
    int K = 2 + choose(g, 4);
    const int columns = g->tensors[x].dims[1];
    while (K * columns > MAX_ELEMENTS && K > 2) --K;
    const int weight = add_weight(g, 2, (const int[]){K, columns}, 1.5f / (float)(1 + columns / 8), 0), bias = add_weight(g, 1, &K, 1, 0);
    const int inputs[PARENTS] = {x, weight, bias};
    const size_t node = begin_node(g, "Gemm", 3, inputs);
    put_attribute_int(&g->onnx, "transB", 1);
    return end_node(g, node, 2, (const int[]){g->N, K}, inputs, 0);
}

static inline nac_pool choose_pool(random_graph *g, int rank) {
    static const nac_pool of_4[] = {NAC_POOL_SUM, NAC_POOL_MEAN, NAC_POOL_NHWC, NAC_POOL_NONE};
    static const nac_pool of_3[] = {NAC_POOL_SUM, NAC_POOL_CLS, NAC_POOL_MEAN, NAC_POOL_NONE};
    return rank == 4 ? of_4[choose(g, 4)] : rank == 3 ? of_3[choose(g, 4)] : choose(g, 2) ? NAC_POOL_NONE : NAC_POOL_SUM;
}

/* Taps: tensors that the logits depend on, for others are never computed. */
static inline void choose_taps(random_graph *g, int logits) {
    bool needed[MAX_TENSORS] = {false};
    needed[logits] = true;
    for (int t = logits; t > 0; --t)
        for (int i = 0; needed[t] && i < PARENTS; ++i)
            if (g->tensors[t].parents[i] >= 0) needed[g->tensors[t].parents[i]] = true;
    for (int t = 1; t < logits && g->all_count < NAC_MAX_TAPS; ++t) {
        if (!needed[t] || !g->tensors[t].activation) continue;
        const nac_tap tap = {.tensor = g->names[t], .pool = choose_pool(g, g->tensors[t].rank)};
        g->all[g->all_count++] = tap;
        if (g->tap_count < MAX_RANDOM_TAPS && choose(g, 4) == 0) g->taps[g->tap_count++] = tap;
    }
    if (g->tap_count == 0 && g->all_count > 0) g->taps[g->tap_count++] = g->all[g->all_count - 1];
}

/* Fills g, which may hold anything. False when no file of use came out (too large). */
static inline bool random_graph_make(random_graph *g, const uint8_t *choices, size_t size) {
    enum { STEPS = 14, ROOM = 12 }; /* no step adds more than ROOM tensors */
    memset(g, 0, sizeof *g);
    g->choices = choices;
    g->choices_left = size;
    g->exact = flip(g);
    const int steps = 1 + choose(g, STEPS);
    g->numbers = (uint64_t)choose(g, 256);
    g->N = 1 + choose(g, 2);
    g->side_h = 5 + choose(g, 8);
    g->side_w = 5 + choose(g, 8);
    put_int(&g->onnx, 1, 8);
    const size_t opset = put_begin(&g->onnx, 8);
    put_int(&g->onnx, 2, 17);
    put_end(&g->onnx, opset);
    const size_t graph = put_begin(&g->onnx, 7);
    const int image = add_tensor(g, 4, (const int[]){g->N, 3, g->side_h, g->side_w}, NULL, 4);
    g->tensors[image].activation = true;
    for (int step = 0; step < steps && g->tensor_count < MAX_TENSORS - ROOM; ++step) add_step(g, choose_input(g));
    const int logits = add_classifier(g, choose_input(g));
    put_value(&g->onnx, 11, image, 4, (const int[]){0, 3, g->side_h, g->side_w});
    put_value(&g->onnx, 12, logits, 2, (const int[]){0, g->tensors[logits].dims[1]});
    put_end(&g->onnx, graph);
    choose_taps(g, logits);
    return !g->onnx.full && g->tap_count > 0;
}

/* A pixel of the image, as the session wants it. */
static inline float random_pixel(random_graph *g) { return g->exact ? (float)((int)(random_bits(g) % 9) - 4) : ((float)random_bits(g) / 1073741824.0f - 1.0f) * 2; }

#endif
