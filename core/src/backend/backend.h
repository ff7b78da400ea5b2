/* backend.h - who computes a node. Both backends take the same graph with every value's `data` in place.
 *
 * The reference backend is nac_ops[op].run, node by node: it has no state and needs no entry here. The XNNPACK
 * backend makes one kernel a node at creation (packs weights, fixes pointers), so that a run only runs. */
#ifndef NAC_BACKEND_H
#define NAC_BACKEND_H

#include "graph/graph.h"

typedef struct nac_xnnpack nac_xnnpack;

/* Prepares all of the graph's nodes. Values must have their final `data` pointers (the arena is laid out), each aligned to 16 bytes
 * with NAC_DATA_SLACK readable bytes behind it. Weights that were packed into kernels and that no other node reads are freed on the way
 * (their `data` becomes NULL), so after a failure the graph is good for nothing but to be freed. It must outlive the backend. */
nac_status nac_xnnpack_create(nac_graph *graph, nac_xnnpack **backend, nac_error *error);
void nac_xnnpack_destroy(nac_xnnpack *backend);

/* Runs one node, on the calling thread; allocates nothing. NAC_INTERNAL if XNNPACK refuses what it accepted before. */
nac_status nac_xnnpack_run(nac_xnnpack *backend, int node, nac_error *error);

/* "xnn convolution", "loop", ...: what computes the node, for `--timings` and `nac info`. */
const char *nac_xnnpack_kernel_name(const nac_xnnpack *backend, int node);

#endif
