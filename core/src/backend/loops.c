/* loops.c - which family of loops takes a node. */
#include "backend/loops.h"

const nac_loop *nac_loop_find(const nac_graph *graph, const nac_node *node) {
    const nac_loop *loop = nac_loop_find_elementwise(graph, node);
    if (!loop) loop = nac_loop_find_gradient(graph, node);
    if (!loop) loop = nac_loop_find_window(graph, node);
    if (!loop) loop = nac_loop_find_normalise(graph, node);
    if (!loop) loop = nac_loop_find_reduce(graph, node);
    if (!loop) loop = nac_loop_find_copy(graph, node);
    return loop;
}
