/* survey.c - what is known of a graph's values: layer norms, where channels lie, and what every path runs through. */
#include "graph/survey.h"

/* What a part of a concatenation was cut from; itself where it is whole. */
static int whole_of(const nac_graph *graph, int value) {
    const int producer = graph->values[value].producer;
    return producer != NAC_NONE && graph->nodes[producer].op == NAC_OP_SLICE ? graph->nodes[producer].inputs[0] : value;
}

int nac_survey_moved(const nac_graph *graph, const nac_node *node) {
    if (node->op == NAC_OP_PAD || node->op == NAC_OP_RESHAPE || node->op == NAC_OP_TRANSPOSE || node->op == NAC_OP_GATHER) return node->inputs[0];
    if (node->op != NAC_OP_CONCAT) return NAC_NONE;
    /* Stretches of one tensor: a mirrored frame, a shift, pixels sorted into channels. */
    const int whole = whole_of(graph, node->inputs[0]);
    for (int i = 1; i < node->input_count; ++i)
        if (node->inputs[i] != whole && whole_of(graph, node->inputs[i]) != whole) return NAC_NONE;
    return whole;
}

/* A move's result counts where the numbers have no earlier name: a mean without its kept dims is a node and a reshape here. */
static bool says_something_new(const nac_graph *graph, const nac_node *node) {
    for (int moved; (moved = nac_survey_moved(graph, node)) != NAC_NONE;) {
        const nac_value *from = &graph->values[moved];
        if (from->name || from->producer == NAC_NONE) return false;
        node = &graph->nodes[from->producer];
    }
    return true;
}

/* Marks the values that the logits depend on. */
static bool *find_ancestors(const nac_graph *graph) {
    bool *needed = nac_alloc_array((size_t)graph->value_count, sizeof *needed);
    if (!needed) return NULL;
    needed[graph->logits] = true;
    for (int n = graph->node_count - 1; n >= 0; --n) {
        const nac_node *node = &graph->nodes[n];
        for (int i = 0; i < node->input_count && needed[node->output]; ++i)
            if (node->inputs[i] != NAC_NONE) needed[node->inputs[i]] = true;
    }
    return needed;
}

/* One row an image, or one column behind tokens as layer norms read them: MobileViT's tokens are of parts of an image, and heads may stand
 * where tokens do. */
static bool has_batch(const nac_survey *s, int value) {
    const nac_shape *shape = &s->graph->values[value].shape;
    const bool behind = nac_graph_token_axis(s->graph, value) == 0 && shape->dims[0] == s->sequence;
    return shape->rank > 0 && (shape->dims[0] == s->graph->values[s->graph->input].shape.dims[0] || behind);
}

/* What attention's heads make of their values, before it is put together: the first axis behind the batch is no side of an image. */
static bool is_of_heads(const nac_graph *graph, const nac_node *node) {
    return node->op == NAC_OP_MATMUL && graph->values[node->output].shape.rank == 4 && !graph->values[node->inputs[1]].constant;
}

/* Values that every path from input to logits runs through. A value is a cut when, once it is computed, nothing computed before it is
 * read again: the number of open values (computed, with readers to come) is then one. Depends on the order of nodes, and any
 * order that can be run is good enough: exporters write a block's branches side by side before the tensor that joins them. */
static nac_status find_cuts(nac_survey *s, nac_error *error) {
    const nac_graph *graph = s->graph;
    bool *needed = find_ancestors(graph);
    int *readers = nac_alloc_array((size_t)graph->value_count, sizeof *readers);
    s->cuts = nac_alloc_array((size_t)graph->node_count + 1, sizeof *s->cuts);
    if (!needed || !readers || !s->cuts) {
        nac_free(needed);
        nac_free(readers);
        return nac_out_of_memory(error, "the search for taps");
    }
    for (int n = 0; n < graph->node_count; ++n)
        for (int i = 0; i < graph->nodes[n].input_count && needed[graph->nodes[n].output]; ++i)
            if (graph->nodes[n].inputs[i] != NAC_NONE) ++readers[graph->nodes[n].inputs[i]];
    int open = 1; /* the input is */
    for (int n = 0; n < graph->node_count; ++n) {
        const nac_node *node = &graph->nodes[n];
        if (!needed[node->output]) continue;
        for (int i = 0; i < node->input_count; ++i) {
            const int input = node->inputs[i];
            if (input == NAC_NONE || graph->values[input].constant) continue;
            if (--readers[input] == 0) --open;
        }
        ++open;
        if (open != 1 || node->output == graph->logits || is_of_heads(graph, node)) continue;
        if (has_batch(s, node->output) && says_something_new(graph, node)) s->cuts[s->cut_count++] = node->output;
    }
    nac_free(needed);
    nac_free(readers);
    return NAC_OK;
}

/* Whether the last dim of what a node makes holds channels. Products of matrices make channels there, layer norms and constants for
 * each channel keep them, and an image that lies channels-last has them there when it is looked at as it lies. */
static bool makes_channels(const nac_survey *s, const nac_node *node) {
    const nac_graph *graph = s->graph;
    const nac_value *y = &graph->values[node->output], *x = &graph->values[node->inputs[0]];
    if (y->layout != NAC_ROW_MAJOR || y->shape.rank < 2) return false;
    if (node->op == NAC_OP_MATMUL) return true;
    const bool had = s->channels[node->inputs[0]] || x->layout == NAC_CHANNELS_LAST;
    if (node->op == NAC_OP_TRANSPOSE) return had && node->u.transpose.perm[y->shape.rank - 1] == x->shape.rank - 1;
    if (node->op == NAC_OP_RESHAPE) return had && x->shape.dims[x->shape.rank - 1] == y->shape.dims[y->shape.rank - 1];
    for (int i = 0; i < node->input_count; ++i)
        if (node->inputs[i] != NAC_NONE && s->channels[node->inputs[i]]) return true;
    return false;
}

/* Whether a norm's last dim is an image's channels of one group with their pixels, as GroupNorm looks at it: no features of a token. */
static bool is_group(const nac_graph *graph, int x) {
    const nac_value *value = &graph->values[x];
    const nac_node *node = value->producer == NAC_NONE ? NULL : &graph->nodes[value->producer];
    if (!node || node->op != NAC_OP_RESHAPE || value->shape.rank != 3) return false;
    const nac_shape *from = &graph->values[node->inputs[0]].shape;
    return from->rank == 4 && from->dims[from->rank - 1] != value->shape.dims[value->shape.rank - 1];
}

/* The norm that ends at a node, gain and bias included. */
static void add_norm(nac_survey *s, int n, int x) {
    const nac_graph *graph = s->graph;
    const nac_node *root = &graph->nodes[n];
    int value = root->output, named = value;
    for (int i = 0; i < root->input_count; ++i)
        if (root->inputs[i] != x) s->inside_norm[root->inputs[i]] = true;
    s->inside_norm[value] = true;
    for (int behind = 0; behind < 2 && s->uses[value] == 1 && s->reader[value] != NAC_NONE; ++behind) {
        const nac_node *next = &graph->nodes[s->reader[value]];
        if (next->op != NAC_OP_AFFINE) break;
        value = next->output;
        s->inside_norm[value] = true;
        if (graph->values[value].name) named = value;
    }
    if (s->sequence == 0 && nac_graph_token_axis(graph, x) == 0) s->sequence = graph->values[x].shape.dims[0];
    if (has_batch(s, named)) s->norms[s->norm_count++] = (nac_layer_norm){.x = x, .value = named, .node = graph->values[named].producer};
}

void nac_survey_free(nac_survey *s) {
    nac_free(s->uses);
    nac_free(s->reader);
    nac_free(s->channels);
    nac_free(s->inside_norm);
    nac_free(s->norms);
    nac_free(s->cuts);
    nac_free(s->is_cut);
}

nac_status nac_survey_make(nac_survey *s, const nac_graph *graph, nac_error *error) {
    const size_t values = (size_t)graph->value_count;
    *s = (nac_survey){.graph = graph};
    NAC_TRY(nac_graph_count_uses(graph, NULL, 0, &s->uses, error));
    s->reader = nac_alloc_array(values, sizeof *s->reader);
    s->channels = nac_alloc_array(values, sizeof *s->channels);
    s->inside_norm = nac_alloc_array(values, sizeof *s->inside_norm);
    s->norms = nac_alloc_array((size_t)graph->node_count + 1, sizeof *s->norms);
    s->is_cut = nac_alloc_array(values, sizeof *s->is_cut);
    if (!s->reader || !s->channels || !s->inside_norm || !s->norms || !s->is_cut) return nac_out_of_memory(error, "the search for taps");
    for (size_t v = 0; v < values; ++v) s->reader[v] = NAC_NONE;
    for (int n = 0; n < graph->node_count; ++n) {
        const nac_node *node = &graph->nodes[n];
        for (int i = 0; i < node->input_count; ++i)
            if (node->inputs[i] != NAC_NONE) s->reader[node->inputs[i]] = n;
    }
    for (int n = 0; n < graph->node_count; ++n) {
        nac_norm_match norm;
        if ((nac_match_layer_norm(graph, s->uses, n, &norm) || nac_match_rms_norm(graph, s->uses, n, &norm.x)) && !is_group(graph, norm.x)) {
            s->channels[norm.x] = graph->values[norm.x].layout == NAC_ROW_MAJOR;
            add_norm(s, n, norm.x);
        }
        s->channels[graph->nodes[n].output] |= makes_channels(s, &graph->nodes[n]);
    }
    while (s->first_product < graph->node_count && graph->nodes[s->first_product].op != NAC_OP_CONV && graph->nodes[s->first_product].op != NAC_OP_MATMUL)
        ++s->first_product;
    NAC_TRY(find_cuts(s, error));
    for (int i = 0; i < s->cut_count; ++i) s->is_cut[s->cuts[i]] = true;
    return NAC_OK;
}

int nac_survey_positions(const nac_survey *s, int value) {
    const nac_value *v = &s->graph->values[value];
    const int *d = v->shape.dims;
    if (v->shape.rank == 3) return s->channels[value] ? d[nac_graph_token_axis(s->graph, value)] : 0;
    if (v->shape.rank != 4) return 0;
    return v->layout == NAC_CHANNELS_LAST || s->channels[value] ? d[1] * d[2] : d[2] * d[3];
}

nac_pool nac_survey_pool(const nac_survey *s, int value) {
    const nac_value *v = &s->graph->values[value];
    if (v->shape.rank == 3 && v->shape.dims[2] == 1 && !s->channels[value]) return NAC_POOL_NONE; /* tokens were in a row behind their channels */
    return v->shape.rank == 4 && v->layout == NAC_ROW_MAJOR && s->channels[value] ? NAC_POOL_NHWC : NAC_POOL_SUM;
}

const nac_node *nac_survey_computed_by(const nac_graph *graph, int value) {
    const nac_node *node = &graph->nodes[graph->values[value].producer];
    while (node->op == NAC_OP_RESHAPE && graph->values[node->inputs[0]].producer != NAC_NONE)
        node = &graph->nodes[graph->values[node->inputs[0]].producer];
    return node;
}
