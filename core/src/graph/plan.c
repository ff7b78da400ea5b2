/* plan.c - where every tensor of a run lies.
 *
 * Nodes run in their order, forward and backward alike, so a tensor lives from its producer to its last reader. Tensors
 * that share memory (a RESHAPE and its input; an elementwise result written over an input that nobody reads again) form
 * one block. Blocks are laid into one arena, largest first, each at the lowest place free for its whole life: within
 * a few percent of the largest sum of live blocks on the networks in tests. */
#include <stdlib.h>
#include <string.h>

#include "graph/passes.h"
#include "ops/ops.h"

enum { ALIGNMENT = 64 }; /* a cache line */

typedef struct block {
    int value;       /* the one that the block began with */
    int first, last; /* nodes; -1: before the first */
    size_t bytes, offset;
} block;

typedef struct planner {
    nac_graph *graph;
    int *block_of;  /* [values]: index into blocks, NAC_NONE for constants */
    int *last_read; /* [values]: the last node that reads it; node_count for kept values */
    block *blocks;
    int block_count;
} planner;

/* Which input an operator may write its result over, NAC_NONE: none. Its loop must read element i of that input for the last time
 * when it writes element i of the output. */
static int overwritable_input(const nac_graph *graph, const nac_node *node, int candidate) {
    if (candidate >= node->input_count) return NAC_NONE;
    switch (node->op) {
        case NAC_OP_UNARY: return candidate == 0 ? node->inputs[0] : NAC_NONE;
        case NAC_OP_UNARY_GRAD:
        case NAC_OP_CLAMP_GRAD: return candidate == 1 ? node->inputs[1] : NAC_NONE;
        case NAC_OP_BINARY: {
            const int input = node->inputs[candidate];
            /* A broadcast operand is read again and again. */
            return nac_shape_equal(&graph->values[input].shape, &graph->values[node->output].shape) ? input : NAC_NONE;
        }
        default: return NAC_NONE;
    }
}

/* The block that node n's output goes to: an input's, or NAC_NONE for a new one. */
static int shared_block(const planner *p, int n) {
    const nac_node *node = &p->graph->nodes[n];
    if (node->op == NAC_OP_RESHAPE) return p->block_of[node->inputs[0]];
    for (int i = 0; i < 2; ++i) {
        const int input = overwritable_input(p->graph, node, i);
        if (input == NAC_NONE || p->block_of[input] == NAC_NONE) continue;
        const block *b = &p->blocks[p->block_of[input]];
        /* Nobody may read anything of the block after this node; nor, through an alias, may this node's other input be it. */
        if (b->last != n || b->first < 0) continue;
        const int other = 1 - i < node->input_count ? node->inputs[1 - i] : NAC_NONE;
        if (other != NAC_NONE && other != input && p->block_of[other] == p->block_of[input]) continue;
        return p->block_of[input];
    }
    return NAC_NONE;
}

static void place(planner *p, int value, int block_index, int first) {
    if (block_index == NAC_NONE) {
        block_index = p->block_count++;
        p->blocks[block_index] =
            (block){.value = value, .first = first, .last = first, .bytes = nac_elements(&p->graph->values[value].shape) * sizeof(float)};
    }
    p->block_of[value] = block_index;
    block *b = &p->blocks[block_index];
    if (p->last_read[value] > b->last) b->last = p->last_read[value];
}

/* A RESHAPE's readers read its input, so an input lives as long as its aliases; found before any block is shared. */
static void find_last_reads(planner *p, const int *keep, int keep_count) {
    const nac_graph *graph = p->graph;
    for (int v = 0; v < graph->value_count; ++v) p->last_read[v] = -1;
    for (int i = 0; i < keep_count; ++i) p->last_read[keep[i]] = graph->node_count;
    p->last_read[graph->logits] = p->last_read[graph->input] = graph->node_count;
    for (int n = graph->node_count - 1; n >= 0; --n) {
        const nac_node *node = &graph->nodes[n];
        for (int i = 0; i < node->input_count; ++i) {
            const int input = node->inputs[i];
            if (input == NAC_NONE) continue;
            const int until = node->op == NAC_OP_RESHAPE && p->last_read[node->output] > n ? p->last_read[node->output] : n;
            if (until > p->last_read[input]) p->last_read[input] = until;
        }
    }
}

static int compare_blocks(const void *a, const void *b) {
    const block *x = *(const block *const *)a, *y = *(const block *const *)b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return x->value < y->value ? -1 : x->value > y->value;
}

static nac_status beyond_addresses(nac_error *error) {
    return nac_fail(error, NAC_LIMIT_EXCEEDED, "this network needs more than %.1f MB for activations and gradients, which cannot be addressed here",
                    (double)SIZE_MAX / 1e6);
}

/* Gives each block the lowest offset at which no placed block of an overlapping lifetime lies. `placed` is kept sorted by offset. */
static nac_status lay_out(planner *p, block **order, block **placed, size_t *arena_bytes, nac_error *error) {
    *arena_bytes = 0;
    for (int i = 0; i < p->block_count; ++i) order[i] = &p->blocks[i];
    qsort(order, (size_t)p->block_count, sizeof *order, compare_blocks);
    for (int i = 0; i < p->block_count; ++i) {
        block *b = order[i];
        size_t size, end, offset = 0;
        if (!nac_add_size(b->bytes, NAC_DATA_SLACK + ALIGNMENT - 1, &size)) return beyond_addresses(error);
        size &= ~(size_t)(ALIGNMENT - 1);
        for (int j = 0; j < i; ++j) {
            const block *other = placed[j];
            if (other->last < b->first || b->last < other->first) continue;
            if (other->offset >= offset + size) break; /* sorted by offset: the gap is wide enough */
            if (other->offset + other->bytes > offset) offset = other->offset + other->bytes;
        }
        b->offset = offset;
        b->bytes = size;
        if (!nac_add_size(offset, size, &end)) return beyond_addresses(error);
        if (end > *arena_bytes) *arena_bytes = end;
        int at = i;
        for (; at > 0 && placed[at - 1]->offset > offset; --at) placed[at] = placed[at - 1];
        placed[at] = b;
    }
    return NAC_OK;
}

static nac_status make_blocks(planner *p, const int *keep, int keep_count, size_t *arena_bytes, nac_error *error) {
    nac_graph *graph = p->graph;
    find_last_reads(p, keep, keep_count);
    for (int v = 0; v < graph->value_count; ++v) p->block_of[v] = NAC_NONE;
    place(p, graph->input, NAC_NONE, -1);
    for (int n = 0; n < graph->node_count; ++n) place(p, graph->nodes[n].output, shared_block(p, n), n);

    block **order = nac_alloc_array((size_t)p->block_count, sizeof *order);
    block **placed = nac_alloc_array((size_t)p->block_count, sizeof *placed);
    nac_status status = order && placed ? lay_out(p, order, placed, arena_bytes, error) : nac_out_of_memory(error, "the plan");
    nac_free(order);
    nac_free(placed);
    return status;
}

nac_status nac_plan_make(nac_graph *graph, const int *keep, int keep_count, void **arena, size_t *arena_bytes, nac_error *error) {
    planner p = {.graph = graph};
    p.block_of = nac_alloc_array((size_t)graph->value_count, sizeof *p.block_of);
    p.last_read = nac_alloc_array((size_t)graph->value_count, sizeof *p.last_read);
    p.blocks = nac_alloc_array((size_t)graph->node_count + 1, sizeof *p.blocks);
    nac_status status = p.block_of && p.last_read && p.blocks ? make_blocks(&p, keep, keep_count, arena_bytes, error)
                                                              : nac_out_of_memory(error, "the plan");
    uint8_t *memory = NULL;
    if (status == NAC_OK && graph->constant_bytes + *arena_bytes > NAC_MAX_SESSION_BYTES)
        status = nac_fail(error, NAC_LIMIT_EXCEEDED, "this network needs %.1f MB (%.1f of weights, %.1f of activations and gradients); %.1f MB is the limit",
                          (double)(graph->constant_bytes + *arena_bytes) / 1e6, (double)graph->constant_bytes / 1e6, (double)*arena_bytes / 1e6,
                          (double)NAC_MAX_SESSION_BYTES / 1e6);
    if (status == NAC_OK) {
        memory = *arena_bytes < SIZE_MAX - ALIGNMENT ? nac_alloc_array(*arena_bytes + ALIGNMENT, 1) : NULL;
        if (!memory)
            status = nac_fail(error, NAC_OUT_OF_MEMORY, "this network's plan needs %.1f MB for activations and gradients, which are not to be had",
                              (double)*arena_bytes / 1e6);
    }
    if (status == NAC_OK) {
        uint8_t *base = memory + (ALIGNMENT - (uintptr_t)memory % ALIGNMENT) % ALIGNMENT;
        for (int v = 0; v < graph->value_count; ++v)
            if (p.block_of[v] != NAC_NONE) graph->values[v].data = base + p.blocks[p.block_of[v]].offset;
        *arena = memory;
    }
    nac_free(p.block_of);
    nac_free(p.last_read);
    nac_free(p.blocks);
    return status;
}

uint64_t nac_node_macs(const nac_graph *graph, const nac_node *node) {
    const nac_shape *out = &graph->values[node->output].shape;
    if (node->op != NAC_OP_CONV && node->op != NAC_OP_CONV_GRAD && node->op != NAC_OP_MATMUL) return 0;
    const nac_shape *in = &graph->values[node->inputs[0]].shape;
    const nac_shape *weight = &graph->values[node->inputs[1]].shape;
    if (node->op == NAC_OP_MATMUL) {
        const int K = in->dims[node->u.matmul.transpose_a ? in->rank - 2 : in->rank - 1];
        return (uint64_t)nac_elements(out) * (uint64_t)K;
    }
    /* Each output pixel of the forward convolution meets each weight once; backward, the pixels are those of dy. */
    const nac_shape *pixels = node->op == NAC_OP_CONV ? out : in;
    return (uint64_t)pixels->dims[0] * (uint64_t)pixels->dims[1] * (uint64_t)pixels->dims[2] * (uint64_t)nac_elements(weight);
}
