/* xnn.h - inside the XNNPACK backend. The one file of the repository that includes <xnnpack.h>.
 *
 * A node becomes a kernel: an XNNPACK operator (or several that share the output channels of a large convolution) with loops of
 * our own before and after it, or a convolution of our own, or a loop alone.
 * Preparing has two steps, because all kernels share one workspace whose size is known only when the last has said what
 * it needs: nac_prepare_* creates and reshapes, `setup` fixes the pointers. After that a run touches no allocator:
 * XNNPACK builds its indirection buffers when an operator is reshaped. */
#ifndef NAC_XNN_H
#define NAC_XNN_H

#include <stdint.h>
#include <xnnpack.h>

#include "backend/backend.h"
#include "backend/convolution.h"

typedef struct nac_kernel nac_kernel;

/* A convolution's transformed weights, made once for both directions. A list of the backend's. */
typedef struct nac_shared_weights {
    int value;
    const nac_algorithm *algorithm;
    int stride;   /* of the convolution */
    bool quantised;
    void *memory; /* as it was allocated */
    float *data;
    struct nac_shared_weights *next;
} nac_shared_weights;
typedef enum xnn_status (*nac_setup)(nac_kernel *kernel, const nac_graph *graph, const nac_node *node);
typedef void (*nac_kernel_loop)(const nac_kernel *kernel, const nac_graph *graph, const nac_node *node);

struct nac_kernel {
    const char *name;
    nac_kernel_loop before;   /* NULL: nothing */
    xnn_operator_t operation; /* NULL: none */
    xnn_operator_t *chunks;   /* instead of it: each computes `chunk_channels` output channels */
    size_t chunk_count, chunk_channels;
    nac_kernel_loop after;    /* NULL: nothing */
    void (*loop)(const nac_graph *graph, const nac_node *node); /* instead of the three above, where it is set */
    nac_setup setup;
    bool clamps;           /* applies the node's min and max itself */
    bool shares;           /* operator and weights with other nodes: set up anew before each run */
    bool borrowed;         /* another kernel's, who gives them up */
    unsigned packed;       /* bit i: input i has been copied into the kernel and isn't read any more */
    size_t workspace_size; /* bytes of the shared workspace, counted from `workspace` */
    size_t scratch_size;   /* bytes behind those: what `before` or `after` exchanges with the operator */
    void *workspace;
    float *scratch;
    float *weights;        /* the kernel's own rearranged copy, for a loop */
    nac_shared_weights **shared;  /* the backend's list, to find and to add to */
    const float *shared_weights;  /* in that list */
    const nac_algorithm *algorithm;
    nac_convolution convolution; /* sizes, for the algorithm */
};

/* One a family. xnn_status_success: the kernel is complete but for its setup. xnn_status_out_of_memory ends the creation.
 * Anything else, which XNNPACK's own refusals are too: not for this family, a loop takes the node. */
enum xnn_status nac_prepare_convolution(const nac_graph *graph, const nac_node *node, nac_kernel *kernel);
enum xnn_status nac_prepare_convolution_gradient(const nac_graph *graph, const nac_node *node, nac_kernel *kernel);
/* Of the two above, before XNNPACK is asked: own_convolution.c. `bias` is NULL for a gradient. */
enum xnn_status nac_prepare_own_convolution(const nac_convolution *p, const nac_node *node, const float *bias, nac_kernel *kernel);
enum xnn_status nac_prepare_matmul(const nac_graph *graph, const nac_node *node, nac_kernel *kernel);
enum xnn_status nac_prepare_unary(const nac_graph *graph, const nac_node *node, nac_kernel *kernel);
enum xnn_status nac_prepare_softmax(const nac_graph *graph, const nac_node *node, nac_kernel *kernel);
enum xnn_status nac_prepare_transpose(const nac_graph *graph, const nac_node *node, nac_kernel *kernel);
enum xnn_status nac_prepare_max_pool(const nac_graph *graph, const nac_node *node, nac_kernel *kernel);

/* A cache line, which XNNPACK asks for, too. */
enum { NAC_XNN_ALIGNMENT = 64 };

static inline void *nac_xnn_align(void *memory) { return (char *)memory + (-(uintptr_t)memory & (NAC_XNN_ALIGNMENT - 1)); }

#define NAC_XNN_NOT_MINE xnn_status_unsupported_parameter

/* What a create function really did: XNNPACK reports success, without an operator, when memory runs out for the zeros that
 * padding is read from. */
static inline enum xnn_status nac_created(enum xnn_status status, xnn_operator_t created) {
    return status == xnn_status_success && !created ? xnn_status_out_of_memory : status;
}

static inline const nac_value *nac_input(const nac_graph *graph, const nac_node *node, int slot) {
    return slot < node->input_count && node->inputs[slot] != NAC_NONE ? &graph->values[node->inputs[slot]] : NULL;
}

static inline float *nac_input_data(const nac_graph *graph, const nac_node *node, int slot) {
    const nac_value *value = nac_input(graph, node, slot);
    return value ? value->data : NULL;
}

static inline const nac_value *nac_output(const nac_graph *graph, const nac_node *node) { return &graph->values[node->output]; }

static inline float *nac_output_data(const nac_graph *graph, const nac_node *node) { return graph->values[node->output].data; }

#endif
