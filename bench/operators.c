/* operators.c - speed of the backend's kernels on the shapes that networks have: one line a shape, GFLOP/s or GB/s.
 *
 *   build/wasm-relaxed/bench/operators.js [word]     only lines that contain `word`
 *
 * Each kernel runs for at least 0.2 s after a warm-up; the best run counts, since other programs only ever slow one down. */
#define _POSIX_C_SOURCE 199309L /* clock_gettime: timespec_get has milliseconds in Node */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backend/backend.h"
#include "ops/ops.h"

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static nac_graph graph;
static void *memory[16];
static int memory_count;
static const char *filter;
static int written_over = NAC_NONE; /* the input whose memory the output takes, as the plan does it */

static int add(bool constant, int rank, const int *dims) {
    nac_shape shape = nac_shape_make(rank, dims);
    int value;
    nac_status status = constant ? nac_graph_add_constant(&graph, NULL, NAC_F32, &shape, NAC_ROW_MAJOR, &value, NULL)
                                 : nac_graph_add_value(&graph, NULL, NAC_F32, &shape, NAC_ROW_MAJOR, &value, NULL);
    if (status != NAC_OK) exit(1);
    size_t count = nac_elements(&shape);
    if (!constant) graph.values[value].data = memory[memory_count++] = aligned_alloc(64, (count * sizeof(float) + NAC_DATA_SLACK + 63) / 64 * 64);
    float *data = graph.values[value].data;
    for (size_t i = 0; i < count; ++i) data[i] = (float)((i * 2654435761u >> 8) % 2048) / 1024 - 1;
    return value;
}

/* `work`: 1e9 of what `unit` counts, a run. */
static void measure(const char *name, nac_node node, const int *inputs, int input_count, int rank, const int *dims, double work, const char *unit) {
    nac_shape shape = nac_shape_make(rank, dims);
    int output;
    nac_error error;
    if (nac_graph_emit(&graph, node, inputs, input_count, NULL, &shape, NAC_ROW_MAJOR, &output, &error) != NAC_OK) exit(1);
    graph.values[output].data = memory[memory_count++] = aligned_alloc(64, (nac_elements(&shape) * sizeof(float) + NAC_DATA_SLACK + 63) / 64 * 64);
    if (written_over != NAC_NONE) graph.values[output].data = graph.values[inputs[written_over]].data;
    graph.logits = NAC_NONE;
    nac_xnnpack *backend;
    const int last = graph.node_count - 1; /* what stands in front of it only says what its input is like */
    if ((!filter || strstr(name, filter)) && nac_xnnpack_create(&graph, &backend, &error) == NAC_OK) {
        double best = INFINITY, end = seconds() + 0.2;
        for (int i = 0; i < 5 || seconds() < end; ++i) {
            double start = seconds();
            if (nac_xnnpack_run(backend, last, &error) != NAC_OK) exit(1);
            double time = seconds() - start;
            if (time < best) best = time;
        }
        printf("%-44s %8.3f ms %7.2f %s  %s\n", name, best * 1e3, work / best, unit, nac_xnnpack_kernel_name(backend, last));
        fflush(stdout);
        nac_xnnpack_destroy(backend);
    }
    nac_graph_free(&graph);
    while (memory_count) free(memory[--memory_count]);
}

enum { NO_RELU = -1 };

/* An image; with `zeros` percent of zeros, at random places, it is what a ReLU has put out. */
static int add_image(const int dims[4], int zeros) {
    const int value = add(false, 4, dims);
    if (zeros == NO_RELU) return value;
    nac_node relu = nac_node_make(NAC_OP_UNARY, "relu");
    relu.u.unary.kind = NAC_UNARY_CLAMP;
    relu.u.unary.b = INFINITY;
    const nac_shape shape = nac_shape_make(4, dims);
    int output;
    nac_error error;
    if (nac_graph_emit(&graph, relu, &value, 1, NULL, &shape, NAC_ROW_MAJOR, &output, &error) != NAC_OK) exit(1);
    float *data = graph.values[output].data = graph.values[value].data;
    uint32_t random = 1;
    for (size_t i = 0, count = nac_elements(&shape); i < count; ++i) {
        random = random * 1664525u + 1013904223u;
        data[i] = (int)(random >> 16) % 100 < zeros ? 0 : (float)(random >> 8) / 0x1p24f;
    }
    return output;
}

/* Forward and gradient of a square convolution on a size x size image. */
static void convolution(const char *network, int size, int in, int out, int kernel, int stride, int groups, int zeros) {
    int pad = kernel / 2, small = (size + 2 * pad - kernel) / stride + 1;
    const int x[4] = {1, size, size, in}, w[4] = {out, kernel, kernel, in / groups}, y[4] = {1, small, small, out};
    double work = 2e-9 * small * small * out * kernel * kernel * (in / groups);
    for (int gradient = 0; gradient < 2; ++gradient) {
        nac_node node = nac_node_make(gradient ? NAC_OP_CONV_GRAD : NAC_OP_CONV, "bench");
        node.u.conv.window = (nac_window){kernel, kernel, stride, stride, 1, 1, pad, pad, pad, pad};
        node.u.conv.groups = groups;
        if (!gradient) node.min = 0;
        char name[128];
        int length = snprintf(name, sizeof name, "%s %s %d^2 %d->%d k%d s%d%s", network, gradient ? "conv_grad" : "conv", size, in, out, kernel, stride,
                              groups > 1 ? " depthwise" : "");
        if (zeros != NO_RELU) snprintf(name + length, sizeof name - (size_t)length, " %d%% zeros", zeros);
        const int inputs[2] = {add_image(gradient ? y : x, zeros), add(true, 4, w)};
        measure(name, node, inputs, 2, 4, gradient ? x : y, work, "GFLOP/s");
    }
}

static void matmul(const char *network, int M, int K, int N, bool constant, bool transpose_b) {
    nac_node node = nac_node_make(NAC_OP_MATMUL, "bench");
    node.u.matmul.transpose_b = transpose_b;
    char name[128];
    snprintf(name, sizeof name, "%s matmul %dx%dx%d%s%s", network, M, K, N, constant ? "" : " computed b", transpose_b ? " transposed" : "");
    const int a[2] = {M, K}, b[2] = {transpose_b ? N : K, transpose_b ? K : N}, y[2] = {M, N};
    const int inputs[2] = {add(false, 2, a), add(constant, 2, b)};
    measure(name, node, inputs, 2, 2, y, 2e-9 * M * K * N, "GFLOP/s");
}

/* Operators that one pass over memory bounds: GB/s of what is read and written at least. */
static void element_wise(void) {
    const int map[4] = {1, 56, 56, 256}, pixel[4] = {1, 1, 1, 256}, vector[1] = {256}, small[4] = {1, 28, 28, 256};
    const double map_bytes = 4e-9 * 56 * 56 * 256, small_bytes = 4e-9 * 28 * 28 * 256;
    nac_node node = nac_node_make(NAC_OP_BINARY, "bench");
    node.min = 0;
    measure("add + relu", node, (int[]){add(false, 4, map), add(false, 4, map)}, 2, 4, map, 3 * map_bytes, "GB/s");
    node.u.binary.kind = NAC_BINARY_MUL;
    measure("multiply by a channel vector", node, (int[]){add(false, 4, map), add(false, 4, pixel)}, 2, 4, map, 2 * map_bytes, "GB/s");
    node = nac_node_make(NAC_OP_AFFINE, "bench");
    node.min = 0;
    measure("affine + relu", node, (int[]){add(false, 4, map), add(true, 1, vector), add(true, 1, vector)}, 3, 4, map, 2 * map_bytes, "GB/s");
    node = nac_node_make(NAC_OP_CLAMP_GRAD, "bench");
    node.min = 0;
    written_over = 1;
    measure("clamp_grad in place", node, (int[]){add(false, 4, map), add(false, 4, map)}, 2, 4, map, 3 * map_bytes, "GB/s");
    written_over = NAC_NONE;
    measure("clamp_grad", node, (int[]){add(false, 4, map), add(false, 4, map)}, 2, 4, map, 3 * map_bytes, "GB/s");
    node = nac_node_make(NAC_OP_EXPAND, "bench");
    node.u.expand.scale = 0.5f;
    measure("expand", node, (int[]){add(false, 4, pixel)}, 1, 4, map, map_bytes, "GB/s");
    node = nac_node_make(NAC_OP_REDUCE, "bench");
    node.u.reduce.axes[1] = node.u.reduce.axes[2] = true;
    node.u.reduce.scale = 1;
    measure("reduce H, W", node, (int[]){add(false, 4, map)}, 1, 4, pixel, map_bytes, "GB/s");
    const int rows[4] = {1, 56, 56, 1};
    node = nac_node_make(NAC_OP_REDUCE, "bench");
    node.u.reduce.axes[3] = true;
    node.u.reduce.scale = 1;
    measure("reduce C", node, (int[]){add(false, 4, map)}, 1, 4, rows, map_bytes, "GB/s");
    for (int kind = 0; kind <= NAC_UNARY_SOFTPLUS; ++kind)
        for (int gradient = 0; gradient < 2; ++gradient) {
            static const char *const names[] = {
#define X(name) #name,
                NAC_UNARY_LIST(X)
#undef X
            };
            char name[64];
            snprintf(name, sizeof name, "unary%s %s", gradient ? "_grad" : "", names[kind]);
            node = nac_node_make(gradient ? NAC_OP_UNARY_GRAD : NAC_OP_UNARY, "bench");
            node.u.unary.kind = (nac_unary)kind;
            node.u.unary.a = kind == NAC_UNARY_CLAMP ? 0 : 0.5f;
            node.u.unary.b = kind == NAC_UNARY_CLAMP ? 6 : 0.5f;
            measure(name, node, (int[]){add(false, 4, map), gradient ? add(false, 4, map) : 0}, 1 + gradient, 4, map, (2 + gradient) * map_bytes, "GB/s");
        }
    node = nac_node_make(NAC_OP_SOFTMAX, "bench");
    node.u.softmax.axis = 3;
    measure("softmax C", node, (int[]){add(false, 4, map)}, 1, 4, map, 2 * map_bytes, "GB/s");
    node = nac_node_make(NAC_OP_SOFTMAX_GRAD, "bench");
    node.u.softmax.axis = 3;
    measure("softmax_grad C", node, (int[]){add(false, 4, map), add(false, 4, map)}, 2, 4, map, 3 * map_bytes, "GB/s");
    for (int kernel = 2; kernel <= 3; ++kernel) {
        const nac_window window = {kernel, kernel, 2, 2, 1, 1, kernel / 3, kernel / 3, kernel / 3, kernel / 3};
        char name[64];
        node = nac_node_make(NAC_OP_MAX_POOL, "bench");
        node.u.pool.window = window;
        snprintf(name, sizeof name, "max_pool %d s2", kernel);
        measure(name, node, (int[]){add(false, 4, map)}, 1, 4, small, map_bytes + small_bytes, "GB/s");
        node = nac_node_make(NAC_OP_MAX_POOL_GRAD, "bench");
        node.u.pool.window = window;
        snprintf(name, sizeof name, "max_pool_grad %d s2", kernel);
        measure(name, node, (int[]){add(false, 4, map), add(false, 4, small), add(false, 4, small)}, 3, 4, map, 2 * map_bytes + 2 * small_bytes, "GB/s");
        node = nac_node_make(NAC_OP_AVERAGE_POOL, "bench");
        node.u.pool.window = window;
        snprintf(name, sizeof name, "average_pool %d s2", kernel);
        measure(name, node, (int[]){add(false, 4, map)}, 1, 4, small, map_bytes + small_bytes, "GB/s");
        node = nac_node_make(NAC_OP_AVERAGE_POOL_GRAD, "bench");
        node.u.pool.window = window;
        snprintf(name, sizeof name, "average_pool_grad %d s2", kernel);
        measure(name, node, (int[]){add(false, 4, small)}, 1, 4, map, map_bytes + small_bytes, "GB/s");
    }
    const int swapped[4] = {1, 256, 56, 56};
    node = nac_node_make(NAC_OP_TRANSPOSE, "bench");
    memcpy(node.u.transpose.perm, (int[]){0, 3, 1, 2}, 4 * sizeof(int));
    measure("transpose to NCHW", node, (int[]){add(false, 4, map)}, 1, 4, swapped, 2 * map_bytes, "GB/s");
    const int halves[4] = {1, 56, 56, 512};
    node = nac_node_make(NAC_OP_CONCAT, "bench");
    node.u.concat.axis = 3;
    measure("concat C", node, (int[]){add(false, 4, map), add(false, 4, map)}, 2, 4, halves, 4 * map_bytes, "GB/s");
}

int main(int argc, char **argv) {
    filter = argc > 1 ? argv[1] : NULL;
    static const int resnet18[][5] = {{224, 3, 64, 7, 2}, {56, 64, 64, 3, 1}, {56, 64, 128, 3, 2}, {56, 64, 128, 1, 2}, {28, 128, 128, 3, 1},
                                      {28, 128, 256, 3, 2}, {14, 256, 256, 3, 1}, {14, 256, 512, 3, 2}, {7, 512, 512, 3, 1}};
    for (size_t i = 0; i < NAC_COUNT(resnet18); ++i)
        convolution("resnet18", resnet18[i][0], resnet18[i][1], resnet18[i][2], resnet18[i][3], resnet18[i][4], 1, NO_RELU);
    static const int resnet50[][5] = {{56, 64, 64, 1, 1}, {56, 64, 256, 1, 1}, {56, 256, 64, 1, 1}, {56, 256, 128, 1, 1}, {56, 128, 128, 3, 2},
                                      {56, 256, 512, 1, 2}, {28, 128, 512, 1, 1}, {28, 512, 128, 1, 1}, {28, 512, 1024, 1, 2}, {14, 256, 1024, 1, 1},
                                      {14, 1024, 256, 1, 1}, {14, 1024, 2048, 1, 2}, {7, 512, 2048, 1, 1}, {7, 2048, 512, 1, 1}};
    for (size_t i = 0; i < NAC_COUNT(resnet50); ++i)
        convolution("resnet50", resnet50[i][0], resnet50[i][1], resnet50[i][2], resnet50[i][3], resnet50[i][4], 1, NO_RELU);
    static const int behind_relu[][5] = {{56, 256, 64, 1, 1}, {28, 128, 128, 3, 2}, {28, 512, 128, 1, 1}, {14, 1024, 256, 1, 1}, {14, 512, 512, 3, 2},
                                         {14, 1024, 2048, 1, 2}, {14, 256, 256, 3, 1}, {7, 512, 512, 3, 1}, {7, 512, 2048, 1, 1}, {7, 2048, 512, 1, 1}};
    for (size_t i = 0; i < NAC_COUNT(behind_relu); ++i)
        for (int zeros = 0; zeros <= 75; zeros += 25)
            convolution("relu", behind_relu[i][0], behind_relu[i][1], behind_relu[i][2], behind_relu[i][3], behind_relu[i][4], 1, zeros);
    static const int mobilenet[][5] = {{224, 3, 32, 3, 2}, {112, 16, 96, 1, 1}, {56, 96, 24, 1, 1}, {56, 24, 144, 1, 1}, {28, 144, 32, 1, 1},
                                       {14, 64, 384, 1, 1}, {14, 384, 64, 1, 1}, {7, 160, 960, 1, 1}, {7, 960, 160, 1, 1}, {7, 320, 1280, 1, 1}};
    for (size_t i = 0; i < NAC_COUNT(mobilenet); ++i)
        convolution("mobilenet", mobilenet[i][0], mobilenet[i][1], mobilenet[i][2], mobilenet[i][3], mobilenet[i][4], 1, NO_RELU);
    static const int depthwise[][3] = {{112, 32, 1}, {112, 96, 2}, {56, 144, 1}, {56, 144, 2}, {28, 192, 1}, {28, 192, 2}, {14, 576, 1}, {14, 576, 2}, {7, 960, 1}};
    for (size_t i = 0; i < NAC_COUNT(depthwise); ++i)
        convolution("mobilenet", depthwise[i][0], depthwise[i][1], depthwise[i][1], 3, depthwise[i][2], depthwise[i][1], NO_RELU);
    convolution("efficientnet", 28, 240, 240, 5, 1, 240, NO_RELU);
    convolution("efficientnet", 28, 240, 240, 5, 2, 240, NO_RELU);
    convolution("convnext", 28, 192, 192, 7, 1, 192, NO_RELU);
    convolution("resnext", 28, 256, 256, 3, 1, 32, NO_RELU);
    matmul("classifier", 1, 2048, 1000, true, true);
    matmul("classifier_grad", 1, 1000, 2048, true, false);
    matmul("vit", 197, 384, 1536, true, false);
    matmul("vit", 197, 1536, 384, true, true);
    matmul("vit", 197, 64, 197, false, true);
    matmul("vit", 197, 197, 64, false, false);
    element_wise();
    return 0;
}
