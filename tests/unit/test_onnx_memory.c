/* How much memory a file may ask for, and what happens when it runs out at any allocation: NAC_OUT_OF_MEMORY, and nothing is lost. This
 * file's allocator takes the place of core/src/base/memory.c. */
#include "base/base.h"
#include "golden.h"
#include "graph/graph.h"
#include "onnx/model.h"
#include "ops/ops.h"

/* Every block begins with its size, so that the bytes in use can be counted. */
enum { HEAD = 16 };

static long allocations, fail_at = -1;
static size_t in_use, peak;

void *nac_alloc(size_t bytes) {
    if (allocations++ == fail_at) return NULL;
    unsigned char *block = malloc(HEAD + bytes);
    if (!block) return NULL;
    memcpy(block, &bytes, sizeof bytes);
    in_use += bytes;
    if (in_use > peak) peak = in_use;
    return block + HEAD;
}

void nac_free(void *memory) {
    if (!memory) return;
    unsigned char *block = (unsigned char *)memory - HEAD;
    size_t bytes;
    memcpy(&bytes, block, sizeof bytes);
    in_use -= bytes;
    free(block);
}

void *nac_realloc(void *memory, size_t bytes) {
    void *moved = nac_alloc(bytes);
    if (!moved || !memory) return moved;
    size_t old;
    memcpy(&old, (unsigned char *)memory - HEAD, sizeof old);
    memcpy(moved, memory, old < bytes ? old : bytes);
    nac_free(memory);
    return moved;
}

static nac_error error;

static nac_status open_and_lower(const void *bytes, size_t size) {
    nac_model *model = NULL;
    NAC_TRY(nac_model_open(bytes, size, &model, &error));
    for (size_t i = 0; nac_model_file(model, i); ++i) ENSURE_OK(nac_model_attach(model, nac_model_file(model, i), bytes, size, &error), &error);
    nac_graph graph;
    memset(&graph, 0, sizeof graph);
    int *bindings = malloc(((size_t)model->tensor_count + 1) * sizeof *bindings);
    const nac_status status = nac_lower_model(model, 1, 0, 0, NULL, &graph, bindings, &error);
    free(bindings);
    nac_graph_free(&graph);
    nac_model_close(model);
    return status;
}

static void test_out_of_memory(void) {
    static const char *const files[] = {"onnx/sound.onnx", "onnx/unsorted.onnx", "onnx/nhwc.onnx", "onnx/view.onnx",
                                        "onnx/softmax_image.onnx", "onnx/external.onnx", "onnx/loop_rounds.onnx", "onnx/scan.onnx", "onnx/recurrent.onnx"};
    for (size_t i = 0; i < sizeof files / sizeof *files; ++i) {
        golden file = golden_read(files[i]);
        nac_status status = NAC_OUT_OF_MEMORY;
        for (fail_at = 0; status != NAC_OK; ++fail_at) {
            allocations = 0;
            error = (nac_error){0};
            status = open_and_lower(file.bytes, file.size);
            ENSURE(in_use == 0);
            ENSURE(status == NAC_OK || (status == NAC_OUT_OF_MEMORY && error.status == NAC_OUT_OF_MEMORY));
            ENSURE(fail_at < 1000);
        }
        fail_at = -1;
        golden_close(&file);
    }
}

/* ---- Files that ask for much ------------------------------------------------------------------- */

/* A model of `size` bytes: the graph's field, then the same few bytes of it again and again. */
static void ensure_bounded(const char *what, const char *piece, size_t piece_size, size_t size, size_t factor) {
    uint8_t *bytes = malloc(size + 16), *at = bytes;
    const size_t count = size / piece_size;
    *at++ = 0x3a;
    size_t length = count * piece_size;
    for (; length > 127; length >>= 7) *at++ = (uint8_t)((length & 127) | 128);
    *at++ = (uint8_t)length;
    for (size_t i = 0; i < count; ++i, at += piece_size) memcpy(at, piece, piece_size);
    peak = 0;
    const nac_status status = open_and_lower(bytes, (size_t)(at - bytes));
    free(bytes);
    if (peak > size * factor) printf("%s: %zu bytes of file took %zu\n", what, size, peak);
    ENSURE(status != NAC_OK && in_use == 0);
    ENSURE(peak <= size * factor);
}

/* The dearest that each repeated field can be: memory is a multiple of the file that is known. Small pieces cost most, since each
 * becomes a structure; limits on their number end it. */
static void test_bounded(void) {
    enum { SIZE = 1 << 20 };
    ensure_bounded("inputs", "\x5a\x03\x0a\x01x", 5, SIZE, 64);
    ensure_bounded("outputs", "\x62\x03\x0a\x01x", 5, SIZE, 64);
    ensure_bounded("initializers", "\x2a\x06\x42\x01x\x08\x00\x10", 8, SIZE, 64);
    ensure_bounded("files", "\x2a\x18\x42\x01x\x70\x01\x10\x01\x08\x00\x6a\x0d\x0a\x08location\x12\x01y", 26, SIZE, 64);
    ensure_bounded("nodes", "\x0a\x04\x22\x02Hi", 6, SIZE, 64);
    /* one node's many parts */
    static char node[1 << 16];
    node[0] = 0x0a;
    node[1] = (char)0xfc;
    node[2] = (char)0xff;
    node[3] = 0x03; /* 65532 bytes follow */
    for (size_t i = 0; i < 65532; i += 3) memcpy(node + 4 + i, "\x0a\x01x", 3);
    ensure_bounded("a node's inputs", node, sizeof node, SIZE, 64);
    for (size_t i = 0; i < 65532; i += 2) memcpy(node + 4 + i, "\x2a\x00", 2);
    ensure_bounded("a node's attributes", node, sizeof node, SIZE, 64);
}

/* A hundred bytes that announce 2^30 numbers, or as many bytes as they like. */
static void test_announced(void) {
    static const char *const files[] = {"onnx/huge_dimension.onnx", "onnx/huge_dimensions.onnx"};
    for (size_t i = 0; i < 2; ++i) {
        golden file = golden_read(files[i]);
        peak = 0;
        ENSURE(open_and_lower(file.bytes, file.size) != NAC_OK);
        ENSURE(peak < 100000);
        golden_close(&file);
    }
    static const uint8_t cut[] = {0x3a, 0xff, 0xff, 0xff, 0xff, 0x07, 0x2a, 0xff, 0xff, 0xff, 0x7f, 0x22, 0xff, 0xff, 0xff, 0x3f, 0};
    peak = 0;
    ENSURE(open_and_lower(cut, sizeof cut) == NAC_MALFORMED);
    ENSURE(peak < 100000);
}

int main(void) {
    RUN(test_out_of_memory);
    RUN(test_bounded);
    RUN(test_announced);
    return TEST_RESULT();
}
