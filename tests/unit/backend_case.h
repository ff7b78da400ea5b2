/* backend_case.h - one node on random numbers, computed by the plain loop and by the XNNPACK backend, compared.
 *
 * Tolerance. A float32 sum of k products, in any order and with or without FMA, is within (k + 1) * u * sum |terms| of the true
 * one, u = 2^-24 (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1, to first order). The plain loop sums in
 * double, so its own error is one rounding. sum |terms| is what the plain loop gives for the inputs' absolute values. */
#ifndef NAC_BACKEND_CASE_H
#define NAC_BACKEND_CASE_H

#include "backend/backend.h"
#include "ops/ops.h"
#include "test.h"

static nac_error case_error;
static uint64_t case_seed = 20240607;

/* Uniform in [low, high]. */
static inline int case_between(int low, int high) { return low + (int)(test_random(&case_seed) % (uint32_t)(high - low + 1)); }

typedef struct backend_case {
    nac_graph graph;
    nac_node node;
    int inputs[8], input_count;
    float *owned[32]; /* data that the arena would hold */
    int owned_count;
    const char *kernel; /* what computed it */
} backend_case;

/* Data as a plan lays it out: room for whole registers behind it. Filled with NaN, so that what is read but never written shows. */
static inline float *case_data(backend_case *c, size_t count) {
    float *data = aligned_alloc(64, (count * sizeof(float) + NAC_DATA_SLACK + 63) / 64 * 64);
    ENSURE(data != NULL);
    for (size_t i = 0; i < (count * sizeof(float) + NAC_DATA_SLACK + 63) / 64 * 16; ++i) data[i] = NAN;
    ENSURE(c->owned_count < 32);
    return c->owned[c->owned_count++] = data;
}

static inline backend_case case_make(nac_op op) { return (backend_case){.node = nac_node_make(op, "case")}; }

/* Adds an input of random numbers in [low, high). */
static inline float *case_input(backend_case *c, bool constant, int rank, const int *dims, float low, float high) {
    nac_shape shape = nac_shape_make(rank, dims);
    int value;
    if (constant)
        ENSURE_OK(nac_graph_add_constant(&c->graph, NULL, NAC_F32, &shape, NAC_ROW_MAJOR, &value, &case_error), &case_error);
    else
        ENSURE_OK(nac_graph_add_value(&c->graph, NULL, NAC_F32, &shape, NAC_ROW_MAJOR, &value, &case_error), &case_error);
    size_t count = nac_elements(&shape);
    if (!constant) c->graph.values[value].data = case_data(c, count);
    float *data = c->graph.values[value].data;
    for (size_t i = 0; i < count; ++i) data[i] = low + (high - low) * (test_uniform(&case_seed) * 0.5f + 0.5f);
    c->inputs[c->input_count++] = value;
    return data;
}

/* Adds an input that a ReLU puts out, or its gradient: of four numbers, `zeros` are 0 on average. That node is never run. */
static inline void case_rectified_input(backend_case *c, bool gradient, int rank, const int *dims, int zeros) {
    const nac_shape shape = nac_shape_make(rank, dims);
    nac_node relu = nac_node_make(gradient ? NAC_OP_CLAMP_GRAD : NAC_OP_UNARY, "relu");
    relu.min = 0;
    int sources[2], value;
    for (int i = 0; i < 2; ++i)
        ENSURE_OK(nac_graph_add_value(&c->graph, NULL, NAC_F32, &shape, NAC_ROW_MAJOR, &sources[i], &case_error), &case_error);
    ENSURE_OK(nac_graph_emit(&c->graph, relu, sources, gradient ? 2 : 1, NULL, &shape, NAC_ROW_MAJOR, &value, &case_error), &case_error);
    const size_t count = nac_elements(&shape);
    float *data = c->graph.values[value].data = case_data(c, count);
    for (size_t i = 0; i < count; ++i) data[i] = case_between(1, 4) <= zeros ? 0 : gradient ? test_uniform(&case_seed) : fabsf(test_uniform(&case_seed));
    c->inputs[c->input_count++] = value;
}

/* Appends the node. Inputs must not all be constants, or the graph folds it. */
static inline int case_emit(backend_case *c, int rank, const int *dims) {
    nac_shape shape = nac_shape_make(rank, dims);
    int output;
    ENSURE_OK(nac_graph_emit(&c->graph, c->node, c->inputs, c->input_count, NULL, &shape, NAC_ROW_MAJOR, &output, &case_error), &case_error);
    c->graph.logits = NAC_NONE;
    c->graph.values[output].data = case_data(c, nac_elements(&shape));
    return output;
}

static inline void case_free(backend_case *c) {
    nac_graph_free(&c->graph);
    for (int i = 0; i < c->owned_count; ++i) free(c->owned[i]);
    memset(c, 0, sizeof *c);
}

static inline float *case_copy(const float *from, size_t count) {
    float *copy = malloc(count * sizeof *copy);
    ENSURE(copy != NULL);
    memcpy(copy, from, count * sizeof *copy);
    return copy;
}

/* The plain loop's result for the inputs as they are, or for their absolute values and without the clamp. */
static inline float *case_expected(backend_case *c, int output, bool absolute) {
    nac_node *node = &c->graph.nodes[c->graph.values[output].producer];
    const float min = node->min, max = node->max;
    float *saved[8] = {0};
    if (absolute) {
        node->min = -INFINITY, node->max = INFINITY;
        for (int i = 0; i < c->input_count; ++i) {
            size_t count = nac_elements(&c->graph.values[c->inputs[i]].shape);
            float *data = c->graph.values[c->inputs[i]].data;
            saved[i] = case_copy(data, count);
            for (size_t k = 0; k < count; ++k) data[k] = fabsf(data[k]);
        }
    }
    nac_ops[node->op].run(&c->graph, node);
    float *result = case_copy(c->graph.values[output].data, nac_elements(&c->graph.values[output].shape));
    for (int i = 0; i < c->input_count && absolute; ++i) {
        memcpy(c->graph.values[c->inputs[i]].data, saved[i], nac_elements(&c->graph.values[c->inputs[i]].shape) * sizeof(float));
        free(saved[i]);
    }
    node->min = min, node->max = max;
    return result;
}

/* Runs the backend's kernel over an output full of NaN. */
static inline void case_run(backend_case *c, int output) {
    nac_xnnpack *backend;
    int node = c->graph.values[output].producer;
    ENSURE_OK(nac_xnnpack_create(&c->graph, &backend, &case_error), &case_error);
    float *data = c->graph.values[output].data;
    size_t count = nac_elements(&c->graph.values[output].shape);
    for (int round = 0; round < 2; ++round) { /* the second run must not depend on the first */
        if (c->graph.nodes[node].op != NAC_OP_RESHAPE)
            for (size_t i = 0; i < count; ++i) data[i] = NAN;
        ENSURE_OK(nac_xnnpack_run(backend, node, &case_error), &case_error);
    }
    c->kernel = nac_xnnpack_kernel_name(backend, node);
    for (size_t i = count; i < count + 4; ++i) ENSURE(isnan(data[i])); /* nothing is written behind the output */
    nac_xnnpack_destroy(backend);
}

/* Both, compared: |difference| <= terms * 2^-24 * sum |terms| + absolute. terms 0: `absolute` alone. Frees the case. */
static inline void case_check(backend_case *c, int output, double terms, double absolute) {
    size_t count = nac_elements(&c->graph.values[output].shape);
    float *expected = case_expected(c, output, false), *scale = terms > 0 ? case_expected(c, output, true) : NULL;
    case_run(c, output);
    const float *data = c->graph.values[output].data;
    for (size_t i = 0; i < count; ++i) {
        double tolerance = absolute + (scale ? terms * ldexp(1, -24) * fabs((double)scale[i]) : 0);
        if (data[i] == expected[i]) continue; /* infinities too: a window that holds nothing but padding */
        if (!(fabs((double)data[i] - (double)expected[i]) <= tolerance)) printf("element %zu of %zu, kernel '%s'\n", i, count, c->kernel);
        ENSURE_NEAR(data[i], expected[i], tolerance);
    }
    free(expected);
    free(scale);
    case_free(c);
}

/* Each image of a batch by itself gives, bit for bit, what it gives in the batch: `make` builds the same case for N images
 * with fresh random numbers, drawn in the same order. The first `batched` inputs have N in front. */
typedef int (*case_maker)(backend_case *c, int N, const void *parameters);

static inline void case_check_batch(case_maker make, const void *parameters, int N, int batched) {
    const uint64_t seed = case_seed;
    backend_case whole = {0};
    int output = make(&whole, N, parameters);
    size_t each = nac_elements(&whole.graph.values[output].shape) / (size_t)N;
    float *inputs[8] = {0};
    for (int i = 0; i < whole.input_count; ++i)
        inputs[i] = case_copy(whole.graph.values[whole.inputs[i]].data, nac_elements(&whole.graph.values[whole.inputs[i]].shape));
    case_run(&whole, output);
    const float *data = whole.graph.values[output].data;
    const uint64_t next = case_seed;
    for (int n = 0; n < N; ++n) {
        backend_case one = {0};
        case_seed = seed;
        int single = make(&one, 1, parameters);
        for (int i = 0; i < one.input_count; ++i) {
            size_t count = nac_elements(&one.graph.values[one.inputs[i]].shape);
            memcpy(one.graph.values[one.inputs[i]].data, inputs[i] + (i < batched ? (size_t)n * count : 0), count * sizeof(float));
        }
        case_run(&one, single);
        ENSURE(memcmp(one.graph.values[single].data, data + (size_t)n * each, each * sizeof(float)) == 0);
        case_free(&one);
    }
    case_seed = next;
    for (int i = 0; i < whole.input_count; ++i) free(inputs[i]);
    case_free(&whole);
}

#endif
