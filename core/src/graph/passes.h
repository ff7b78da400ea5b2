/* passes.h - what happens to a lowered graph before it can run, in this order:
 *   nac_graph_fuse -> nac_graph_append_gradients -> nac_plan_make -> a backend. */
#ifndef NAC_PASSES_H
#define NAC_PASSES_H

#include "graph/graph.h"

/* Folds batch norms into convolutions and matrix products, clamps into their producers, and drops what neither the logits nor a
 * kept value needs. `keep` are values that must still be computed as they are (taps): nothing is fused over them. */
nac_status nac_graph_fuse(nac_graph *graph, const int *keep, int keep_count, nac_error *error);

/* The first step of fusion: layer norms, GELUs and the like that exporters write as many operators become one node. */
nac_status nac_graph_fuse_patterns(nac_graph *graph, const int *keep, int keep_count, nac_error *error);

/* Whether nodes[node] ends a layer normalisation of the last dim, and of what. */
typedef struct nac_norm_match {
    int x;
    float epsilon;
    int scale, bias; /* constants of C numbers that are in it, or NAC_NONE: they may be behind it */
} nac_norm_match;
bool nac_match_layer_norm(const nac_graph *graph, const int *uses, int node, nac_norm_match *match);

/* Whether it ends a division of x by the root of the mean of its squares over the last dim. */
bool nac_match_rms_norm(const nac_graph *graph, const int *uses, int node, int *x);

/* Removes nodes that nothing kept depends on, and the data of constants that no node reads. */
nac_status nac_graph_sweep(nac_graph *graph, const int *keep, int keep_count, nac_error *error);

/* A tap on the graph: the value, how it is pooled, and the pooled results, each [N, neurons]. */
typedef struct nac_graph_tap {
    int value;
    nac_pool pool;
    int z, g; /* values, set by nac_graph_pool_taps and nac_graph_append_gradients */
} nac_graph_tap;

/* The node that makes the logits of one tap by an affine map with constant weights; tap NAC_NONE: there is none. After
 * nac_graph_pool_taps. */
typedef struct nac_classifier {
    int tap;
    int weight, bias;   /* values; bias NAC_NONE: zeroes */
    bool inputs_first;  /* weight is [C, K] and not [K, C] */
} nac_classifier;
nac_classifier nac_graph_find_classifier(const nac_graph *graph, const nac_graph_tap *taps, int tap_count);

/* Tokens [T,N,C] as [N,T,C]; anything else as it is. */
nac_status nac_graph_batch_first(nac_graph *graph, int value, int *result, nac_error *error);

/* Appends the pooling of every tap's activation. NAC_INVALID_ARGUMENT where pool and rank do not fit. */
nac_status nac_graph_pool_taps(nac_graph *graph, nac_graph_tap *taps, int tap_count, nac_error *error);

/* Appends one backward sweep from softmax(logits) - 1/K to the earliest tap, and the pooling of each tap's gradient as
 * soon as it is complete, so that its memory can be used again. Nothing in front of the earliest tap is differentiated. */
nac_status nac_graph_append_gradients(nac_graph *graph, nac_graph_tap *taps, int tap_count, nac_error *error);

/* The taps of "auto", deepest first, from a lowered graph that is not yet fused; at most 4: the classifier's input (the global pool, or the
 * norm of the class token), then the last block's output at each resolution in front of it or, where a transformer has but one, the
 * norms in front of the last blocks' MLPs. Of several networks in one: what each of their classifiers reads. *count 0 when there is nothing
 * that could be tapped. */
enum { NAC_AUTO_TAPS = 4 };
nac_status nac_graph_auto_taps(const nac_graph *graph, nac_graph_tap taps[NAC_AUTO_TAPS], int *count, nac_error *error);

/* What is worth tapping, in order, each with the pool that sums over its positions: named values that every path from input to logits runs
 * through, without mere copies, and the results of layer norms. *candidates is the caller's to free. */
nac_status nac_graph_tap_candidates(const nac_graph *graph, nac_graph_tap **candidates, int *count, nac_error *error);

/* One block of memory for every tensor that is not a constant: lifetimes from the order of nodes, reuse where they do not overlap,
 * elementwise nodes in place. Sets `data` of all values. `keep` values stay readable to the end of a run. */
nac_status nac_plan_make(nac_graph *graph, const int *keep, int keep_count, void **arena, size_t *arena_bytes, nac_error *error);

/* Nothing in a network is worth more than this; see tiny.c. */
#define NAC_TINY 0x1p-100f

/* Which float tensors may have their numbers below NAC_TINY brought to it: those that no logarithm, root or quotient reads.
 * *liftable is [value_count], the caller's to free. */
nac_status nac_graph_find_liftable(const nac_graph *graph, bool **liftable, nac_error *error);

/* Brings tiny numbers of what the node is about to read to NAC_TINY, in place; the sign stays, and 0 stays 0. */
void nac_lift_inputs(const nac_graph *graph, const nac_node *node, const bool *liftable);

/* Tiny weights become 0: decay leaves many of them in the filters that training gave up. NAC_NOT_FINITE for NaN and infinity among them. The
 * gradients have no weights of their own. */
nac_status nac_graph_clean_weights(nac_graph *graph, int forward_count, const bool *liftable, nac_error *error);

/* False where a number is NaN or infinite. *tiny: whether there is one below NAC_TINY that is not 0. */
bool nac_all_finite(const float *x, size_t count, bool *tiny);

/* Multiply-adds of a node: CONV, CONV_GRAD and MATMUL; 0 for the rest. */
uint64_t nac_node_macs(const nac_graph *graph, const nac_node *node);

#endif
