/* fuzz_graph.c - attempts to make two ways of computing one network disagree: the bytes choose a valid graph of supported operators
 * (random_graph.h), written as ONNX, which is then run in the ways of graph_check.h. */
#include "graph_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static graph_check check;
    if (graph_check_run(&check, data, size) && check.message[0]) {
        fprintf(stderr, "%s\n", check.message);
        __builtin_trap();
    }
    return 0;
}
