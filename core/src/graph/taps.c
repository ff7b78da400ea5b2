/* taps.c - which tensors of a network are worth tapping, and how each is pooled. */
#include <stdlib.h>
#include <string.h>

#include "graph/passes.h"

/* ---- What is known of a graph's values ----------------------------------------------------------- */

/* A layer normalisation of the last dim. */
typedef struct layer_norm {
    int x;         /* what is normalised */
    int value;     /* the result behind gain and bias, where that has a name; otherwise the last named one */
    int node;      /* the producer of `value` */
} layer_norm;

typedef struct survey {
    const nac_graph *graph;
    int *uses;         /* [values] */
    int *reader;       /* [values]: the last node that reads it */
    bool *channels;    /* [values]: row-major, with its channels (a token's features) along the last dim */
    bool *inside_norm; /* [values]: an intermediate or the result of a layer normalisation */
    layer_norm *norms;       /* in the order of nodes */
    int norm_count;
    int *cuts;
    int cut_count;
} survey;

/* Such a node's output holds its input's numbers: a tap on it says nothing new. */
static bool only_moves(nac_op op) { return op == NAC_OP_PAD || op == NAC_OP_RESHAPE || op == NAC_OP_TRANSPOSE; }

/* A move's result counts where the numbers have no earlier name: a mean without its kept dims is a node and a reshape here. */
static bool says_something_new(const nac_graph *graph, const nac_node *node) {
    while (only_moves(node->op)) {
        const nac_value *from = &graph->values[node->inputs[0]];
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

/* Values that every path from input to logits runs through. A value is a cut when, once it is computed, nothing computed before it is
 * read again: the number of open values (computed, with readers to come) is then one. Depends on the order of nodes, and any
 * order that can be run is good enough: exporters write a block's branches side by side before the tensor that joins them. */
static nac_status find_cuts(const nac_graph *graph, int **values, int *count, nac_error *error) {
    bool *needed = find_ancestors(graph);
    int *readers = nac_alloc_array((size_t)graph->value_count, sizeof *readers);
    int *cuts = nac_alloc_array((size_t)graph->node_count + 1, sizeof *cuts);
    if (!needed || !readers || !cuts) {
        nac_free(needed);
        nac_free(readers);
        nac_free(cuts);
        return nac_out_of_memory(error, "the search for taps");
    }
    for (int n = 0; n < graph->node_count; ++n)
        for (int i = 0; i < graph->nodes[n].input_count && needed[graph->nodes[n].output]; ++i)
            if (graph->nodes[n].inputs[i] != NAC_NONE) ++readers[graph->nodes[n].inputs[i]];
    int open = 1, found = 0; /* the input is open */
    for (int n = 0; n < graph->node_count; ++n) {
        const nac_node *node = &graph->nodes[n];
        if (!needed[node->output]) continue;
        for (int i = 0; i < node->input_count; ++i) {
            const int input = node->inputs[i];
            if (input == NAC_NONE || graph->values[input].constant) continue;
            if (--readers[input] == 0) --open;
        }
        ++open;
        if (open == 1 && node->output != graph->logits && says_something_new(graph, node)) cuts[found++] = node->output;
    }
    nac_free(needed);
    nac_free(readers);
    *values = cuts;
    *count = found;
    return NAC_OK;
}

/* Whether the last dim of what a node makes holds channels. Products of matrices make channels there, layer norms and constants for
 * each channel keep them, and an image that lies channels-last has them there when it is looked at as it lies. */
static bool makes_channels(const survey *s, const nac_node *node) {
    const nac_graph *graph = s->graph;
    const nac_value *y = &graph->values[node->output], *x = &graph->values[node->inputs[0]];
    if (y->layout != NAC_ROW_MAJOR || y->shape.rank < 3) return false;
    if (node->op == NAC_OP_MATMUL || node->op == NAC_OP_LAYER_NORM) return true;
    const bool had = s->channels[node->inputs[0]] || x->layout == NAC_CHANNELS_LAST;
    if (node->op == NAC_OP_TRANSPOSE) return had && node->u.transpose.perm[y->shape.rank - 1] == x->shape.rank - 1;
    if (node->op == NAC_OP_RESHAPE) return had && x->shape.dims[x->shape.rank - 1] == y->shape.dims[y->shape.rank - 1];
    for (int i = 0; i < node->input_count; ++i)
        if (node->inputs[i] != NAC_NONE && s->channels[node->inputs[i]]) return true;
    return false;
}

/* The norm that ends at a node, gain and bias included. */
static void add_norm(survey *s, int n, int x) {
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
    s->norms[s->norm_count++] = (layer_norm){.x = x, .value = named, .node = graph->values[named].producer};
}

static void free_survey(survey *s) {
    nac_free(s->uses);
    nac_free(s->reader);
    nac_free(s->channels);
    nac_free(s->inside_norm);
    nac_free(s->norms);
    nac_free(s->cuts);
}

static nac_status make_survey(survey *s, const nac_graph *graph, nac_error *error) {
    const size_t values = (size_t)graph->value_count;
    *s = (survey){.graph = graph};
    NAC_TRY(nac_graph_count_uses(graph, NULL, 0, &s->uses, error));
    s->reader = nac_alloc_array(values, sizeof *s->reader);
    s->channels = nac_alloc_array(values, sizeof *s->channels);
    s->inside_norm = nac_alloc_array(values, sizeof *s->inside_norm);
    s->norms = nac_alloc_array((size_t)graph->node_count + 1, sizeof *s->norms);
    if (!s->reader || !s->channels || !s->inside_norm || !s->norms) return nac_out_of_memory(error, "the search for taps");
    for (size_t v = 0; v < values; ++v) s->reader[v] = NAC_NONE;
    for (int n = 0; n < graph->node_count; ++n) {
        const nac_node *node = &graph->nodes[n];
        for (int i = 0; i < node->input_count; ++i)
            if (node->inputs[i] != NAC_NONE) s->reader[node->inputs[i]] = n;
    }
    for (int n = 0; n < graph->node_count; ++n) {
        int x;
        float epsilon;
        if (nac_match_layer_norm(graph, s->uses, n, &x, &epsilon)) {
            s->channels[x] = graph->values[x].layout == NAC_ROW_MAJOR;
            add_norm(s, n, x);
        }
        s->channels[graph->nodes[n].output] |= makes_channels(s, &graph->nodes[n]);
    }
    return find_cuts(graph, &s->cuts, &s->cut_count, error);
}

/* ---- Shapes --------------------------------------------------------------------------------------- */

/* How many positions a value has: pixels of an image, tokens of a sequence; 0 where it has none or nobody knows its channels. */
static int positions(const survey *s, int value) {
    const nac_value *v = &s->graph->values[value];
    const int *d = v->shape.dims;
    if (v->shape.rank == 3) return s->channels[value] ? d[1] : 0;
    if (v->shape.rank != 4) return 0;
    return v->layout == NAC_CHANNELS_LAST || s->channels[value] ? d[1] * d[2] : d[2] * d[3];
}

/* The pool that sums over the positions. */
static nac_pool natural_pool(const survey *s, int value) {
    const nac_value *v = &s->graph->values[value];
    return v->shape.rank == 4 && v->layout == NAC_ROW_MAJOR && s->channels[value] ? NAC_POOL_NHWC : NAC_POOL_SUM;
}

static nac_graph_tap make_tap(int value, nac_pool pool) { return (nac_graph_tap){.value = value, .pool = pool, .z = NAC_NONE, .g = NAC_NONE}; }

/* The node that computed a value's numbers. */
static const nac_node *computed_by(const nac_graph *graph, int value) {
    const nac_node *node = &graph->nodes[graph->values[value].producer];
    while (node->op == NAC_OP_RESHAPE && graph->values[node->inputs[0]].producer != NAC_NONE)
        node = &graph->nodes[graph->values[node->inputs[0]].producer];
    return node;
}

/* ---- The classifier's input ------------------------------------------------------------------------ */

/* Whether a value's only readers take the first token of it. */
static bool is_read_for_first_token(const survey *s, int value) {
    const nac_graph *graph = s->graph;
    const nac_node *reader = s->reader[value] == NAC_NONE ? NULL : &graph->nodes[s->reader[value]];
    if (graph->values[value].shape.rank != 3 || s->uses[value] != 1 || !reader || reader->op != NAC_OP_SLICE) return false;
    return reader->u.slice.starts[1] == 0 && graph->values[reader->output].shape.dims[1] == 1;
}

/* Finds the tap nearest to the logits; *cut is where it stands among the cuts, *covered how many positions the tensor has
 * that says the same. False where there is none.
 *   - the last global pool (of an image or of tokens), or the layer norm right behind it;
 *   - the layer norm of whose tokens the first is taken, as a vision transformer does;
 *   - what the last matrix product reads. */
static bool find_classifier_input(const survey *s, nac_graph_tap *tap, int *cut, int *covered) {
    const nac_graph *graph = s->graph;
    int before_matmul = NAC_NONE, last_norm = NAC_NONE;
    for (int i = s->cut_count - 1; i >= 0; --i) {
        const int value = s->cuts[i];
        if (!graph->values[value].name) continue;
        const nac_node *producer = computed_by(graph, value);
        const bool reduces = producer->op == NAC_OP_REDUCE || producer->op == NAC_OP_AVERAGE_POOL || producer->op == NAC_OP_MAX_POOL;
        *cut = i;
        if (is_read_for_first_token(s, value)) {
            *tap = make_tap(value, NAC_POOL_CLS);
            *covered = 0;
            return true;
        }
        if (reduces && !s->inside_norm[producer->output] && positions(s, producer->inputs[0]) > 1 && positions(s, value) <= 1) {
            *covered = positions(s, producer->inputs[0]);
            if (last_norm != NAC_NONE) *tap = make_tap(last_norm, natural_pool(s, last_norm));
            else *tap = make_tap(value, natural_pool(s, value));
            return true;
        }
        /* Going back, so that it ends as the norm nearest to the pool, and of that one its result. */
        for (int k = 0; k < s->norm_count; ++k)
            if (s->norms[k].value == value && positions(s, value) <= 1) last_norm = value;
        if (before_matmul == NAC_NONE && graph->values[value].shape.rank == 2) before_matmul = i;
    }
    if (before_matmul == NAC_NONE) return false;
    *cut = before_matmul;
    *tap = make_tap(s->cuts[before_matmul], NAC_POOL_SUM);
    *covered = positions(s, computed_by(graph, s->cuts[before_matmul])->inputs[0]);
    return true;
}

/* ---- Transformers ---------------------------------------------------------------------------------- */

/* Whether a norm stands in front of a block's MLP: no softmax between it and the sum that joins the block to its input. */
static bool precedes_mlp(const survey *s, const layer_norm *norm) {
    int end = s->graph->node_count;
    for (int i = 0; i < s->cut_count; ++i) {
        const int producer = s->graph->values[s->cuts[i]].producer;
        if (producer > norm->node && !s->inside_norm[s->cuts[i]]) {
            end = producer;
            break;
        }
    }
    for (int n = norm->node + 1; n < end; ++n)
        if (s->graph->nodes[n].op == NAC_OP_SOFTMAX) return false;
    return true;
}

/* A transformer of one resolution: at least two norms of tokens, all of equally many. A hierarchical one (Swin) has stages, as
 * convolutional networks have. */
static bool is_isotropic(const survey *s) {
    int count = 0, tokens = 0;
    for (int i = 0; i < s->norm_count; ++i) {
        const nac_shape *shape = &s->graph->values[s->norms[i].value].shape;
        if (shape->rank == 4 && positions(s, s->norms[i].value) > 1) return false;
        if (shape->rank != 3 || shape->dims[1] == 1) continue;
        if (count++ > 0 && shape->dims[1] != tokens) return false;
        tokens = shape->dims[1];
    }
    return count >= 2;
}

/* The norms in front of the last blocks' MLPs, deepest first. */
static int tap_blocks(const survey *s, nac_graph_tap *taps, int found) {
    const int behind = found > 0 ? s->graph->values[taps[0].value].producer : s->graph->node_count;
    for (int i = s->norm_count - 1; i >= 0 && found < NAC_AUTO_TAPS; --i) {
        const layer_norm *norm = &s->norms[i];
        const nac_value *value = &s->graph->values[norm->value];
        if (norm->node < behind && value->name && value->shape.rank == 3 && precedes_mlp(s, norm)) taps[found++] = make_tap(norm->value, NAC_POOL_SUM);
    }
    return found;
}

/* ---- Stages ----------------------------------------------------------------------------------------- */

/* The last cut at each number of positions above `covered`, from cuts[before] back. */
static int tap_stages(const survey *s, nac_graph_tap *taps, int found, int before, int covered) {
    for (int i = before - 1; i >= 0 && found < NAC_AUTO_TAPS; --i) {
        const int value = s->cuts[i], size = positions(s, value);
        /* A norm behind a stage belongs to what makes the next one of it. */
        if (!s->graph->values[value].name || s->inside_norm[value] || size <= 1 || size <= covered) continue;
        covered = size;
        taps[found++] = make_tap(value, natural_pool(s, value));
    }
    return found;
}

static int choose(const survey *s, nac_graph_tap *taps) {
    /* The tensor that the global pool reads says the same as the pool: its sums of z and g are multiples of the pool's. So is
     * everything of its size passed over, as the authors leave out ResNet's layer4. */
    int cut = s->cut_count, covered = 0, found = 0;
    nac_graph_tap tap;
    if (find_classifier_input(s, &tap, &cut, &covered)) taps[found++] = tap;
    else cut = s->cut_count;
    return is_isotropic(s) ? tap_blocks(s, taps, found) : tap_stages(s, taps, found, cut, covered);
}

nac_status nac_graph_auto_taps(const nac_graph *graph, nac_graph_tap taps[NAC_AUTO_TAPS], int *count, nac_error *error) {
    survey s;
    const nac_status status = make_survey(&s, graph, error);
    if (status == NAC_OK) *count = choose(&s, taps);
    free_survey(&s);
    return status;
}

static int compare_taps(const void *a, const void *b) {
    const int x = ((const nac_graph_tap *)a)->value, y = ((const nac_graph_tap *)b)->value;
    return x < y ? -1 : x > y;
}

nac_status nac_graph_tap_candidates(const nac_graph *graph, nac_graph_tap **candidates, int *count, nac_error *error) {
    survey s;
    nac_graph_tap *found = NULL;
    int n = 0;
    nac_status status = make_survey(&s, graph, error);
    if (status == NAC_OK && !(found = nac_alloc_array((size_t)(s.cut_count + s.norm_count + 1), sizeof *found)))
        status = nac_out_of_memory(error, "the search for taps");
    if (status == NAC_OK) {
        for (int i = 0; i < s.cut_count; ++i)
            if (graph->values[s.cuts[i]].name) found[n++] = make_tap(s.cuts[i], natural_pool(&s, s.cuts[i]));
        for (int i = 0; i < s.norm_count; ++i)
            if (graph->values[s.norms[i].value].name) found[n++] = make_tap(s.norms[i].value, natural_pool(&s, s.norms[i].value));
        qsort(found, (size_t)n, sizeof *found, compare_taps);
        int kept = 0; /* many norms are cuts, too */
        for (int i = 0; i < n; ++i)
            if (kept == 0 || found[kept - 1].value != found[i].value) found[kept++] = found[i];
        *candidates = found;
        *count = kept;
    }
    free_survey(&s);
    return status;
}
