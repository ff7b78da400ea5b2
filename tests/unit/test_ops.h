/* test_ops.h - a graph built by hand, run by the plain loops, and the two ways in which a gradient is checked.
 *
 * One graph at a time: `begin` empties it. Inputs that a gradient is asked for are not constants, so nothing is folded. */
#ifndef NAC_TEST_OPS_H
#define NAC_TEST_OPS_H

#include "ops/common.h"
#include "test.h"

static nac_graph graph;
static nac_error error;
static uint64_t seed = 1;

/* Not every test file needs every tool. */
#if defined(__GNUC__)
#define TOOL __attribute__((unused)) static
#else
#define TOOL static
#endif

TOOL void begin(void) {
    for (int i = 0; i < graph.value_count; ++i)
        if (!graph.values[i].constant) free(graph.values[i].data);
    nac_graph_free(&graph);
}

TOOL int pick(int least, int most) { return least + (int)(test_random(&seed) % (uint32_t)(most - least + 1)); }

#define SHAPE(...) nac_shape_make((int)NAC_COUNT(((const int[]){__VA_ARGS__})), (const int[]){__VA_ARGS__})

TOOL size_t count_of(int value) { return nac_elements(&graph.values[value].shape); }
TOOL float *data_of(int value) { return graph.values[value].data; }

/* A tensor that depends on nothing, uniform in [-1, 1). */
TOOL int tensor(nac_shape shape) {
    int value;
    ENSURE_OK(nac_graph_add_value(&graph, NULL, NAC_F32, &shape, NAC_ROW_MAJOR, &value, &error), &error);
    /* Exactly as long as it is: the sanitizer sees a loop that reads behind it. */
    float *data = malloc(nac_elements(&shape) * sizeof *data);
    ENSURE(data);
    for (size_t i = 0; i < nac_elements(&shape); ++i) data[i] = test_uniform(&seed);
    graph.values[value].data = data;
    return value;
}

TOOL void set(int value, const float *numbers, size_t count) {
    ENSURE(count == count_of(value));
    memcpy(data_of(value), numbers, count * sizeof *numbers);
}
#define SET(value, ...) set(value, (const float[]){__VA_ARGS__}, NAC_COUNT(((const float[]){__VA_ARGS__})))

/* Appends a node; its output is computed by `run`. */
TOOL int emit(nac_node node, const int *inputs, int input_count, nac_shape shape) {
    int output;
    ENSURE_OK(nac_graph_emit(&graph, node, inputs, input_count, NULL, &shape, NAC_ROW_MAJOR, &output, &error), &error);
    return output;
}
#define EMIT(node, shape, ...) emit(node, (const int[]){__VA_ARGS__}, (int)NAC_COUNT(((const int[]){__VA_ARGS__})), shape)

/* Runs nodes [first, last). Memory is filled with NaN first: a loop must write all of its output and read none of it. */
TOOL void run_nodes(int first, int last) {
    for (int n = first; n < last; ++n) {
        nac_value *output = &graph.values[graph.nodes[n].output];
        const size_t count = nac_elements(&output->shape);
        if (!output->data) output->data = malloc(count * sizeof(float));
        ENSURE(output->data);
        for (size_t i = 0; i < count; ++i) ((float *)output->data)[i] = NAN;
        nac_ops[graph.nodes[n].op].run(&graph, &graph.nodes[n]);
    }
}
TOOL void run(void) { run_nodes(0, graph.node_count); }

#define EXPECT(value, tolerance, ...)                                                                        \
    do {                                                                                                     \
        const float expected_[] = {__VA_ARGS__};                                                             \
        ENSURE(NAC_COUNT(expected_) == count_of(value));                                                     \
        for (size_t i_ = 0; i_ < NAC_COUNT(expected_); ++i_) ENSURE_NEAR(data_of(value)[i_], expected_[i_], tolerance); \
    } while (0)

TOOL double dot(const float *a, const float *b, size_t count, double *magnitude) {
    double sum = 0, size = 0;
    for (size_t i = 0; i < count; ++i) {
        sum += (double)a[i] * (double)b[i];
        size += fabs((double)a[i] * (double)b[i]);
    }
    if (magnitude) *magnitude = size;
    return sum;
}

/* Emits the gradient of the last node with respect to `slot` behind a random dy, and runs it all. */
TOOL int gradient_of_last(int slot, int *dy) {
    const int node = graph.node_count - 1;
    int dx;
    *dy = tensor(graph.values[graph.nodes[node].output].shape);
    ENSURE_OK(nac_ops[graph.nodes[node].op].gradient(&graph, node, slot, *dy, &dx, &error), &error);
    ENSURE(nac_shape_equal(&graph.values[dx].shape, &graph.values[graph.nodes[node].inputs[slot]].shape));
    ENSURE(graph.values[dx].layout == graph.values[graph.nodes[node].inputs[slot]].layout);
    run();
    return dx;
}

/* Linear f without bias: <f(x), dy> == <x, f*(dy)> exactly in real numbers. Each element of f(x) and f*(dy) is rounded
 * `roundings` times to a float (relative 2^-24), the sums behind it are double: so the bound is proven, not chosen. */
TOOL void check_adjoint(int slot, int roundings) {
    const int node = graph.node_count - 1, y = graph.nodes[node].output, x = graph.nodes[node].inputs[slot];
    int dy;
    const int dx = gradient_of_last(slot, &dy);
    double y_size, x_size;
    const double left = dot(data_of(y), data_of(dy), count_of(y), &y_size), right = dot(data_of(x), data_of(dx), count_of(x), &x_size);
    ENSURE_NEAR(left, right, roundings * (y_size + x_size) * 0x1p-24 + 1e-12);
}

/* Any f: the slope of <f(x), dy> along a random direction v, by central differences with steps h and 2h and Richardson's
 * extrapolation, against <dx, v>. Tolerance: y is rounded to float, 2^-24 |y| each side, which a difference quotient
 * divides by h = 2^-5; what is left of the truncation is of order h^4 = 1e-6 and gets 1e-5, relative to the sums of magnitudes.
 * x must stay 2h = 1/16 away from kinks. `first` is the first node of f (usually the last node itself). */
TOOL void check_slope(int slot) {
    const int node = graph.node_count - 1, y = graph.nodes[node].output, x = graph.nodes[node].inputs[slot];
    const size_t count = count_of(x);
    int dy;
    const int dx = gradient_of_last(slot, &dy);
    float *at = malloc(count * sizeof *at);
    ENSURE(at);
    memcpy(at, data_of(x), count * sizeof *at);
    double quotient[2], y_size = 0, slope = 0, slope_size = 0;
    const uint64_t direction = seed;
    for (int step = 0; step < 2; ++step) {
        const float h = step ? 0x1p-4f : 0x1p-5f;
        double loss[2];
        for (int side = 0; side < 2; ++side) {
            seed = direction;
            for (size_t i = 0; i < count; ++i) {
                /* v is a multiple of 1/8: x + h v is then exact enough not to matter (x below 2^4: 2^-20 of h v) */
                const float v = (float)pick(-8, 8) / 8;
                data_of(x)[i] = at[i] + (side ? -h : h) * v;
                if (step == 0 && side == 0) {
                    slope += (double)data_of(dx)[i] * (double)v;
                    slope_size += fabs((double)data_of(dx)[i] * (double)v);
                }
            }
            run_nodes(0, node + 1);
            loss[side] = dot(data_of(y), data_of(dy), count_of(y), &y_size);
        }
        quotient[step] = (loss[0] - loss[1]) / (2 * (double)h);
    }
    memcpy(data_of(x), at, count * sizeof *at);
    free(at);
    ENSURE_NEAR(slope, (4 * quotient[0] - quotient[1]) / 3, 2 * y_size * 0x1p-24 / 0x1p-5 + 1e-5 * (slope_size + y_size));
}

#endif
